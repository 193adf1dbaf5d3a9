//! Files of OTLP JSON: one document, or many one after the other, compressed or not.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
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

/// The bytes of a file, of which some were read and put back.
struct Source<R> {
    back: Cursor<Vec<u8>>,
    rest: BufReader<R>,
}

impl<R: Read> Source<R> {
    fn put_back(&mut self, mut bytes: Vec<u8>) {
        let at = usize::try_from(self.back.position()).unwrap_or(usize::MAX).min(self.back.get_ref().len());
        bytes.extend_from_slice(&self.back.get_ref()[at..]);
        self.back = Cursor::new(bytes);
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.back.read(buffer)?;
        if count > 0 { Ok(count) } else { self.rest.read(buffer) }
    }
}

impl<R: Read> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.back.fill_buf()?.is_empty() { self.rest.fill_buf() } else { self.back.fill_buf() }
    }

    fn consume(&mut self, count: usize) {
        if usize::try_from(self.back.position()).is_ok_and(|at| at < self.back.get_ref().len()) {
            self.back.consume(count);
        } else {
            self.rest.consume(count);
        }
    }
}

/// Keeps what is read.
struct Kept<'a, R> {
    source: &'a mut Source<R>,
    kept: Vec<u8>,
}

impl<R: Read> Read for Kept<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

/// Calls `each` with every document of a file, numbered from 1, and `skip` with why one is none: then it goes on at the next line, or at the
/// next one that begins a document.
///
/// # Errors
/// Why the file, or what follows the last document that was given, cannot be read.
pub fn each<E>(
    path: &Path,
    each: &mut dyn FnMut(u64, Value) -> Result<(), E>,
    skip: &mut dyn FnMut(u64, String),
) -> Result<Result<(), E>, String> {
    const BUFFER: usize = 1 << 20;
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).map_err(|error| format!("cannot be read: {error}"))?);
    let begin = file.fill_buf().map_err(|error| format!("cannot be read: {error}"))?;
    if begin.is_empty() {
        return Err("is empty".to_owned());
    }
    let inner: Box<dyn Read> = if begin.starts_with(&GZIP) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let read = Arc::new(AtomicU64::new(0));
    let rest = BufReader::with_capacity(BUFFER, Counted { inner, read: Arc::clone(&read) });
    let mut source = Source { back: Cursor::default(), rest };
    let (mut number, mut is_lost) = (0, false);
    let mut line = Vec::new();
    let unread = |number: u64, error: &dyn std::fmt::Display| format!("document {number} cannot be read: {error}");
    loop {
        line.clear();
        read.store(0, Ordering::Relaxed);
        if source.read_until(b'\n', &mut line).map_err(|error| unread(number + 1, &error))? == 0 {
            return Ok(Ok(()));
        }
        if line.iter().all(u8::is_ascii_whitespace) || (is_lost && !line.starts_with(b"{")) {
            continue;
        }
        is_lost = false;
        let mut documents = serde_json::Deserializer::from_slice(&line).into_iter::<Value>();
        let (mut end, mut broken) = (0, None);
        while let Some(document) = documents.next() {
            match document {
                Ok(document) => {
                    number += 1;
                    end = documents.byte_offset();
                    if let Err(error) = each(number, document) {
                        return Ok(Err(error));
                    }
                }
                Err(error) => broken = Some(error),
            }
            if broken.is_some() {
                break;
            }
        }
        let Some(error) = broken else { continue };
        number += 1;
        if !error.is_eof() {
            skip(number, format!("document {number} is not JSON: {error}"));
            continue;
        }
        // It goes on in the next lines, unless it was cut off.
        let mut more = Kept { source: &mut source, kept: Vec::new() };
        let whole = Value::deserialize(&mut serde_json::Deserializer::from_reader(Cursor::new(&line[end..]).chain(&mut more)));
        match whole {
            Ok(document) => {
                if let Err(error) = each(number, document) {
                    return Ok(Err(error));
                }
            }
            Err(error) if error.is_io() => return Err(unread(number, &error)),
            Err(error) => {
                skip(number, format!("document {number} is not JSON: {error}"));
                let kept = more.kept;
                source.put_back(kept);
                is_lost = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Vec<Value>, Vec<u64>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        let mut take = |_, document| {
            found.push(document);
            Ok::<(), ()>(())
        };
        each(file.path(), &mut take, &mut |number, _| skipped.push(number)).unwrap().unwrap();
        (found, skipped)
    }

    #[test]
    fn a_line_that_is_no_document_does_not_keep_the_others_away() {
        let (a, b, c) = (json!({"a": [1]}), json!({"b": {"x": "}\n{"}}), json!({"c": 3}));
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        for (text, wanted, skipped) in [
            (format!("{a}\n{b}\n{c}\n"), vec![&a, &b, &c], vec![]),
            (format!("{a}{b}\n\n{}", pretty(&c)), vec![&a, &b, &c], vec![]),
            (format!("{}\n{}{}\n", pretty(&a), pretty(&b), pretty(&c)), vec![&a, &b, &c], vec![]),
            (format!("{a}\noops\n{b}\n{{\"cut\": [\n{c}\n"), vec![&a, &b, &c], vec![2, 4]),
            (format!("{a}\n{{\"cut\": {{\"off\n{b}\n{c}"), vec![&a, &b, &c], vec![2]),
            (format!("{{\n  \"x\": 1,\n  oops\n}}\n{a}\n"), vec![&a], vec![1]),
            (format!("{a}\n{{\"cut"), vec![&a], vec![2]),
        ] {
            let (found, why) = read(&text);
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{text}");
            assert_eq!(why, skipped, "{text}");
        }
    }
}
