//! Files of OTLP JSON: one document, or many one after the other, compressed or not.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use serde_json::Value;

use crate::lake::skipped::Skipped;

/// Bytes of one document, at most.
const DOCUMENT_BYTES_MAX: u64 = 256 << 20;
/// Folders within folders that are looked into.
const DEPTH_MAX: usize = 8;
/// How a file begins that is compressed by gzip.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Returns the files at `path`, a file or a folder, in the order of their names; what is something else is named in `tally`.
///
/// # Errors
/// When `path` itself cannot be read.
pub fn files(path: &Path, tally: &mut Skipped) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if fs::metadata(path)?.is_dir() {
        folder(path, 0, &mut found, tally)?;
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

fn folder(dir: &Path, depth: usize, found: &mut Vec<PathBuf>, tally: &mut Skipped) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        entries.push((entry.path(), entry.file_type()?));
    }
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (path, kind) in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plain = name.strip_suffix(".gz").unwrap_or(&name);
        if kind.is_dir() && depth < DEPTH_MAX {
            if let Err(error) = folder(&path, depth + 1, found, tally) {
                tally.skip(format!("cannot be read: {error}"), &path, 0);
            }
        } else if kind.is_file() && [".json", ".jsonl", ".ndjson"].iter().any(|end| plain.ends_with(end)) {
            found.push(path);
        } else {
            tally.skip("is no .json, .jsonl or .ndjson, nor one of them as .gz", &path, 0);
        }
    }
    Ok(())
}

/// Counts what was read of a file, and ends it when one document is too large.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let read = self.read.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if read > DOCUMENT_BYTES_MAX {
            let why = format!("a document is larger than {} MiB", DOCUMENT_BYTES_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
        }
        Ok(count)
    }
}

/// Calls `each` with every document of a file, numbered from 1.
///
/// # Errors
/// Why the file, or what follows the last document that was given, cannot be read.
pub fn each<E>(path: &Path, each: &mut dyn FnMut(u64, Value) -> Result<(), E>) -> Result<Result<(), E>, String> {
    const BUFFER: usize = 1 << 20;
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(|error| format!("cannot be read: {error}"))?);
    let begin = file.fill_buf().map_err(|error| format!("cannot be read: {error}"))?;
    if begin.is_empty() {
        return Err("is empty".to_owned());
    }
    let read = Arc::new(AtomicU64::new(0));
    let inner: Box<dyn Read> = if begin.starts_with(&GZIP) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let counted = BufReader::with_capacity(BUFFER, Counted { inner, read: Arc::clone(&read) });
    let mut number = 0;
    for document in serde_json::Deserializer::from_reader(counted).into_iter::<Value>() {
        number += 1;
        let document = document.map_err(|error| match error.classify() {
            serde_json::error::Category::Io => format!("document {number} cannot be read: {error}"),
            _ => format!("document {number} is not JSON: {error}"),
        })?;
        read.store(0, Ordering::Relaxed);
        if let Err(error) = each(number, document) {
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}
