//! Large private texts beside the log: one file per content, named by its BLAKE3, compressed with zstd.
//!
//! A payload is durable before the event that names it is appended; a crash in between leaves a file that nobody names, which harms
//! nothing. This room does not know who names what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;
use super::files::{Files, make_dirs};
use crate::domain::ids::Hash;

/// The zstd level: texts shrink to about a third at several hundred MB/s.
const LEVEL: i32 = 3;
/// From this many new files on, one sync of the whole file system is cheaper than one for each.
const SYNC_ALL_FROM: usize = 32;

/// The payloads of one store.
#[derive(Clone)]
pub struct Payloads {
    files: Arc<dyn Files>,
    dir: PathBuf,
}

impl Payloads {
    /// The payloads of the store in the folder `store`.
    pub fn new(files: Arc<dyn Files>, store: &Path) -> Self {
        Self { files, dir: store.join("payloads") }
    }

    /// Returns whether the payload is there.
    pub fn has(&self, name: Hash) -> bool {
        self.files.exists(&self.path(name))
    }

    /// Returns those of `names` that are not there.
    pub fn missing(&self, names: &[Hash]) -> Vec<Hash> {
        names.iter().copied().filter(|name| !self.has(*name)).collect()
    }

    /// Writes `texts` and returns their names once all are durable.
    ///
    /// # Errors
    /// [`Error::Io`]; some may have been written then, which does no harm.
    pub fn write(&self, texts: &[&[u8]]) -> Result<Vec<Hash>, Error> {
        /// Tells the temporary files of threads apart.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if texts.is_empty() {
            // There may be no folder yet that could be synced.
            return Ok(Vec::new());
        }
        let names: Vec<Hash> = texts.iter().map(|text| Hash::of(text)).collect();
        let (mut written, mut seen) = (Vec::new(), BTreeSet::new());
        let mut folders: BTreeSet<PathBuf> = self.dir.parent().into_iter().chain([&*self.dir]).map(Path::to_owned).collect();
        for (text, name) in texts.iter().zip(&names) {
            let path = self.path(*name);
            // What is there already may have been made by somebody who died before syncing the folder.
            folders.extend(path.parent().map(Path::to_owned));
            if !seen.insert(*name) || self.files.exists(&path) {
                continue;
            }
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let beside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
            let write = || {
                path.parent().map_or(Ok(()), |folder| make_dirs(&*self.files, folder))?;
                let file = self.files.create(&beside)?;
                file.write_at(&zstd::encode_all(*text, LEVEL)?, 0)?;
                Ok(file)
            };
            written.push((write().map_err(Error::io(&beside))?, beside, path));
        }
        let together = written.len() >= SYNC_ALL_FROM && self.files.sync_all(&self.dir).map_err(Error::io(&self.dir))?;
        for (file, beside, path) in written {
            if !together {
                file.sync_data().map_err(Error::io(&beside))?;
            }
            drop(file);
            self.files.rename(&beside, &path).map_err(Error::io(&path))?;
        }
        if !(together && self.files.sync_all(&self.dir).map_err(Error::io(&self.dir))?) {
            for folder in folders {
                self.files.sync_dir(&folder).map_err(Error::io(&folder))?;
            }
        }
        Ok(names)
    }

    /// Returns a payload's text.
    ///
    /// # Errors
    /// [`Error::MissingPayloads`] when it is not there, [`Error::Damaged`] when it is not what its name says, [`Error::Io`].
    pub fn read(&self, name: Hash) -> Result<Vec<u8>, Error> {
        let path = self.path(name);
        if !self.files.exists(&path) {
            return Err(Error::MissingPayloads(vec![name]));
        }
        let bytes = self.files.read(&path).map_err(Error::io(&path))?;
        let damaged = |why: &str| Error::Damaged(format!("payload {}: {why}", path.display()));
        let text = zstd::decode_all(&*bytes).map_err(|why| damaged(&why.to_string()))?;
        if Hash::of(&text) == name { Ok(text) } else { Err(damaged("its text does not have this hash")) }
    }

    /// Returns whether the payload's file has the very bytes that this release writes for `text`. Where it has not and the text is right,
    /// another release of the compressor wrote it, or a bit was changed that means nothing. A file in another form than a plain zstd
    /// frame is not judged.
    pub fn is_as_written(&self, name: Hash, text: &[u8]) -> bool {
        const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
        let (Ok(bytes), Ok(again)) = (self.files.read(&self.path(name)), zstd::encode_all(text, LEVEL)) else { return false };
        !bytes.starts_with(&ZSTD_MAGIC) || bytes == again
    }

    /// Returns where a payload lies.
    pub fn path(&self, name: Hash) -> PathBuf {
        let name = name.to_string();
        self.dir.join(&name[..2]).join(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::files::OsFiles;
    use crate::store::journal::sim::SimFiles;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn what_was_written_survives_a_power_cut(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..600), 1..6), seed in any::<u64>(),
        ) {
            let files = SimFiles::default();
            let payloads = Payloads::new(Arc::new(files.clone()), Path::new("/store"));
            let names = payloads.write(&texts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            let after = Payloads::new(Arc::new(files.power_cut(seed)), Path::new("/store"));
            for (name, text) in names.iter().zip(&texts) {
                prop_assert_eq!(&after.read(*name).unwrap(), text);
            }
        }
    }

    #[test]
    fn a_text_is_kept_once_and_many_are_synced_together() {
        let dir = tempfile::tempdir().unwrap();
        let payloads = Payloads::new(Arc::new(OsFiles), dir.path());
        let texts: Vec<String> = (0..40).map(|number| format!("text {}", number % 35)).collect();
        let names = payloads.write(&texts.iter().map(String::as_bytes).collect::<Vec<_>>()).unwrap();
        assert_eq!(names[0], names[35]);
        assert!(payloads.missing(&names).is_empty());
        assert_eq!(payloads.read(names[3]).unwrap(), b"text 3");
        assert_eq!(payloads.write(&[b"text 3"]).unwrap(), [names[3]]);
        let absent = Hash::of(b"absent");
        assert_eq!(payloads.missing(&[names[0], absent]), [absent]);
        assert!(matches!(payloads.read(absent), Err(Error::MissingPayloads(names)) if names == [absent]));
    }

    #[test]
    fn writing_nothing_needs_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Payloads::new(Arc::new(OsFiles), dir.path()).write(&[]).unwrap(), []);
    }

    #[cfg(unix)]
    #[test]
    fn payloads_are_closed_to_others() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let payloads = Payloads::new(Arc::new(OsFiles), dir.path());
        let name = payloads.write(&[b"text"]).unwrap()[0];
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&payloads.path(name)), mode(&dir.path().join("payloads"))), (0o600, 0o700));
    }

    #[test]
    fn a_flipped_byte_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let payloads = Payloads::new(Arc::new(OsFiles), dir.path());
        let name = payloads.write(&[b"some text that is long enough"]).unwrap()[0];
        let sound = std::fs::read(payloads.path(name)).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            std::fs::write(payloads.path(name), bytes).unwrap();
            // A bit that zstd ignores changes no text.
            assert!(
                payloads.read(name).is_err() || payloads.read(name).unwrap() == b"some text that is long enough",
                "byte {at}"
            );
        }
        std::fs::write(payloads.path(name), zstd::encode_all(&b"another text"[..], 3).unwrap()).unwrap();
        assert!(payloads.read(name).unwrap_err().to_string().ends_with("its text does not have this hash"));
    }
}
