//! Large private texts beside the log: one file per content, named by its BLAKE3, compressed with zstd, and encrypted when the store has a key.
//!
//! A payload is durable before the event that names it is appended; a crash in between leaves a file that nobody names, which harms
//! nothing. This room does not know who names what.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Error;
use super::cipher::{self, Key, KeyId, Keyring};
use super::files::{Files, make_dirs, make_dirs_inside, write_whole};
use crate::domain::ids::Hash;

/// The zstd level: texts shrink to about a third at several hundred MB/s.
const LEVEL: i32 = 3;
/// From this many new files on, one sync of the whole file system is cheaper than one for each.
const SYNC_ALL_FROM: usize = 32;

/// The file among the payloads that says under which key they are; there is none where that never changed.
const MARK: &str = "key";
/// What the mark says where they are not encrypted any more.
const PLAIN: &str = "none";

/// What bringing payloads under a key came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rekeying {
    /// Payloads that were written anew.
    pub changed: u64,
    /// Files that are not what their names say, and why: they are left as they are.
    pub damaged: Vec<String>,
    /// Files under a key that is not at hand.
    pub locked: Vec<String>,
}

/// The payloads of one store.
#[derive(Clone)]
pub struct Payloads {
    files: Arc<dyn Files>,
    dir: PathBuf,
    keyring: Arc<Keyring>,
}

impl Payloads {
    /// The payloads of the store in the folder `store`, without keys: new ones are written as they are.
    pub fn new(files: Arc<dyn Files>, store: &Path) -> Self {
        Self::with_keys(files, store, Arc::default())
    }

    /// The payloads of the store in the folder `store`, encrypted under the keys of `keyring`.
    pub fn with_keys(files: Arc<dyn Files>, store: &Path, keyring: Arc<Keyring>) -> Self {
        Self { files, dir: store.join("payloads"), keyring }
    }

    /// Returns the keys.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
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
    /// [`Error::Io`]; some may have been written then, which does no harm. [`Error::Locked`] when they are to be encrypted and the key
    /// cannot be had; nothing is written then.
    pub fn write(&self, texts: &[&[u8]]) -> Result<Vec<Hash>, Error> {
        /// Tells the temporary files of threads apart.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if texts.is_empty() {
            // There may be no folder yet that could be synced.
            return Ok(Vec::new());
        }
        let key = self.may_write()?;
        let names: Vec<Hash> = texts.iter().map(|text| Hash::of(text)).collect();
        let (mut written, mut seen, mut unsettled) = (Vec::new(), BTreeSet::new(), Vec::new());
        for (text, name) in texts.iter().zip(&names) {
            let path = self.path(*name);
            if !seen.insert(*name) || self.files.is_marked_durable(&path) {
                continue;
            }
            match self.files.open_read(&path) {
                Ok(file) => {
                    // It may have been copied here, or made by somebody who died before syncing the folders.
                    file.sync_data().map_err(Error::io(&path))?;
                    unsettled.push((file, path));
                    continue;
                }
                Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(why) => return Err(Error::io(path)(why)),
            }
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let beside = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
            let write = || {
                path.parent().map_or(Ok(()), |folder| make_dirs_inside(&*self.files, [&self.dir, folder]))?;
                let file = self.files.create(&beside)?;
                file.write_at(&packed(*name, text, key)?, 0)?;
                Ok(file)
            };
            written.push((write().map_err(Error::io(&beside))?, beside, path));
        }
        let mut made = Vec::new();
        let together = written.len() >= SYNC_ALL_FROM && self.files.sync_all(&self.dir).map_err(Error::io(&self.dir))?;
        for (file, beside, path) in written {
            if !together {
                file.sync_data().map_err(Error::io(&beside))?;
            }
            self.files.rename(&beside, &path).map_err(Error::io(&path))?;
            made.push(path.clone());
            unsettled.push((file, path));
        }
        if !(together && self.files.sync_all(&self.dir).map_err(Error::io(&self.dir))?) {
            // From the store's own folder down, each once.
            let folders: BTreeSet<&Path> = unsettled.iter().flat_map(|(_, path)| path.ancestors().skip(1).take(3)).collect();
            for folder in folders {
                self.files.sync_dir(folder).map_err(Error::io(folder))?;
            }
        }
        // Who brings payloads under another key says so first, and looks for payloads afterwards: these may have come too late for that.
        self.may_write().inspect_err(|_| made.iter().for_each(|path| drop(self.files.remove(path))))?;
        unsettled.iter().for_each(|(file, _)| file.mark_durable());
        Ok(names)
    }

    /// Returns the key that a payload is encrypted under, as far as that can be told.
    pub fn key_of(&self, name: Hash) -> Option<KeyId> {
        cipher::key_of(&self.files.read(&self.path(name)).ok()?).ok()?
    }

    /// Returns a payload's text.
    ///
    /// # Errors
    /// [`Error::MissingPayloads`] when it is not there, [`Error::Damaged`] when it is not what its name says, [`Error::Locked`] when it
    /// is encrypted and the key is not at hand, [`Error::Io`].
    pub fn read(&self, name: Hash) -> Result<Vec<u8>, Error> {
        let path = self.path(name);
        if !self.files.exists(&path) {
            return Err(Error::MissingPayloads(vec![name]));
        }
        let bytes = self.files.read(&path).map_err(Error::io(&path))?;
        self.unpacked(name, bytes).map_err(|why| match why {
            Error::Damaged(why) => Error::Damaged(format!("payload {}: {why}", path.display())),
            why => why,
        })
    }

    /// Returns the text that the file of payload `name` with these bytes holds.
    ///
    /// # Errors
    /// As [`Payloads::read`].
    pub fn unpacked(&self, name: Hash, file: Vec<u8>) -> Result<Vec<u8>, Error> {
        let packed = self.keyring.open(name, file)?;
        let text = zstd::decode_all(&*packed).map_err(|why| Error::Damaged(why.to_string()))?;
        if Hash::of(&text) == name { Ok(text) } else { Err(Error::Damaged("its text does not have this hash".to_owned())) }
    }

    /// Tells whether new payloads could be written now.
    ///
    /// # Errors
    /// [`Error::Locked`] when they are to be encrypted and the key cannot be had, or the store's texts are under another key than this
    /// process knows.
    pub fn may_write(&self) -> Result<Option<&Key>, Error> {
        let key = self.keyring.current()?;
        let Some(mark) = self.marked()? else { return Ok(key) };
        if mark == mark_of(key.map(Key::id)) {
            return Ok(key);
        }
        let then = "if somebody rekeys the store now, try again; else put that key back, or see `meno doctor`";
        Err(Error::Locked(match key {
            _ if mark == PLAIN => format!("they are not encrypted any more, and the settings name a key; {then}"),
            Some(_) => format!("they are under key {mark}, which is not the one that the settings name; {then}"),
            None => format!("they are under key {mark}, and the settings name none; `meno rekey --off` ends encryption"),
        }))
    }

    /// Returns what the mark says: the id of a key, or that payloads are not encrypted; `None` when that never changed.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn marked(&self) -> Result<Option<String>, Error> {
        match self.files.read(&self.dir.join(MARK)) {
            Ok(mark) => Ok(Some(String::from_utf8_lossy(&mark).trim().to_owned())),
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(why) => Err(Error::io(self.dir.join(MARK))(why)),
        }
    }

    /// Says which key new payloads are under from now on: who knows another one, or none, does not write any more. Returns what was said
    /// before, for [`Payloads::unmark`].
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn mark(&self, key: Option<KeyId>) -> Result<Option<String>, Error> {
        let before = self.marked()?;
        self.write_mark(&mark_of(key))?;
        Ok(before)
    }

    /// Takes back what [`Payloads::mark`] said.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn unmark(&self, before: Option<&str>) -> Result<(), Error> {
        let path = self.dir.join(MARK);
        match before {
            Some(before) => self.write_mark(before),
            None => self.files.remove(&path).and_then(|()| self.files.sync_dir(&self.dir)).map_err(Error::io(&path)),
        }
    }

    fn write_mark(&self, mark: &str) -> Result<(), Error> {
        let path = self.dir.join(MARK);
        make_dirs(&*self.files, &self.dir).map_err(Error::io(&self.dir))?;
        write_whole(&*self.files, &path, format!("{mark}\n").as_bytes()).map_err(Error::io(&path))
    }

    /// Writes every payload anew that is not as the current key wants it: encrypted under it, or not encrypted without one; what was never
    /// finished is deleted. All that was written is durable then. A kill in between leaves each payload as it was or as it is to be. Nobody
    /// else may be writing payloads.
    ///
    /// # Errors
    /// [`Error::Locked`] when the current key cannot be had, and [`Error::Io`].
    pub fn rekey(&self) -> Result<Rekeying, Error> {
        let key = self.keyring.current()?;
        let mut done = Rekeying::default();
        let mut delete = |left: &Path| match is_being_written(left) {
            true => Ok(()),
            false => self.files.remove(left).map_err(Error::io(left)),
        };
        for (name, path) in self.all(&mut delete)? {
            let file = self.files.read(&path).map_err(Error::io(&path))?;
            match self.under(name, file, key) {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    write_whole(&*self.files, &path, &bytes).map_err(Error::io(&path))?;
                    done.changed += 1;
                }
                Err(Error::Damaged(why)) => done.damaged.push(format!("{}: {why}", path.display())),
                Err(Error::Locked(why)) => done.locked.push(format!("{}: {why}", path.display())),
                Err(why) => return Err(why),
            }
        }
        Ok(done)
    }

    /// Returns the bytes of a payload's file under `key`; `None` when it is already.
    fn under(&self, name: Hash, file: Vec<u8>, key: Option<&Key>) -> Result<Option<Vec<u8>>, Error> {
        if cipher::key_of(&file)? == key.map(Key::id) {
            return Ok(None);
        }
        let text = self.unpacked(name, file)?;
        packed(name, &text, key).map(Some).map_err(Error::io(self.path(name)))
    }

    /// Returns how many payloads there are under each key, and how many under none. A file that is damaged counts as it seems.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn by_key(&self) -> Result<BTreeMap<Option<KeyId>, u64>, Error> {
        let mut counts = BTreeMap::new();
        for (_, path) in self.all(&mut |_| Ok(()))? {
            let file = self.files.read(&path).map_err(Error::io(&path))?;
            *counts.entry(cipher::key_of(&file).unwrap_or_default()).or_default() += 1;
        }
        Ok(counts)
    }

    /// Returns the names of all payloads with their files; `other` is given what lies among them and is a write that was cut short.
    fn all(&self, other: &mut dyn FnMut(&Path) -> Result<(), Error>) -> Result<Vec<(Hash, PathBuf)>, Error> {
        let list = |dir: &Path| match self.files.list(dir) {
            Err(why) if matches!(why.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
            names => names.map_err(Error::io(dir)),
        };
        let mut all = Vec::new();
        for folder in list(&self.dir)? {
            let folder = self.dir.join(folder);
            for file in list(&folder)? {
                let path = folder.join(&file);
                match file.parse() {
                    Ok(name) => all.push((name, path)),
                    Err(_) => other(&path)?,
                }
            }
        }
        Ok(all)
    }

    /// Returns whether the payload's file has the very bytes that this release writes for `text`. Where it has not and the text is right,
    /// another release of the compressor wrote it, or a bit was changed that means nothing. An encrypted file is not judged: there no bit
    /// means nothing.
    pub fn is_as_written(&self, name: Hash, text: &[u8]) -> bool {
        let (Ok(bytes), Ok(again)) = (self.files.read(&self.path(name)), packed(name, text, None)) else { return false };
        matches!(cipher::key_of(&bytes), Ok(Some(_))) || bytes == again
    }

    /// Returns where a payload lies.
    pub fn path(&self, name: Hash) -> PathBuf {
        let name = name.to_string();
        self.dir.join(&name[..2]).join(name)
    }
}

fn mark_of(key: Option<KeyId>) -> String {
    key.map_or_else(|| PLAIN.to_owned(), |key| key.to_string())
}

/// Whether the process that a temporary file is named after is alive: `<hash>.<pid>-<number>.tmp`.
pub(super) fn is_being_written(file: &Path) -> bool {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let pid = name.split('.').nth(1).and_then(|part| part.split('-').next()?.parse::<i32>().ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// Returns the bytes of a payload's file: compressed, then encrypted when there is a key.
fn packed(name: Hash, text: &[u8], key: Option<&Key>) -> std::io::Result<Vec<u8>> {
    let packed = zstd::encode_all(text, LEVEL)?;
    Ok(match key {
        Some(key) => key.encrypt(name, &packed),
        None => packed,
    })
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
    fn what_is_durable_is_synced_no_more_and_what_may_not_be_is_synced_again() {
        let files = SimFiles::with_store();
        let texts: [&[u8]; 3] = [b"one", b"two", b"three"];
        let payloads = |files: &SimFiles| Payloads::new(Arc::new(files.clone()), Path::new("/store"));
        let names = payloads(&files).write(&texts).unwrap();
        let (before, folders) =
            (files.syncs(), names.iter().map(|name| name.to_string()[..2].to_owned()).collect::<BTreeSet<_>>());
        // The store's folder, the payloads' own and those in it; one more made `/store` durable.
        assert_eq!(before, (texts.len() + folders.len() + 3) as u64);
        payloads(&files).write(&texts).unwrap();
        assert_eq!(files.syncs(), before);
        for calls in 0..40 {
            for seed in 0..10 {
                let files = SimFiles::with_store();
                files.die_after(calls);
                let _ = payloads(&files).write(&texts);
                files.go_on();
                payloads(&files).write(&texts).unwrap();
                let after = payloads(&files.power_cut(seed));
                assert!(after.missing(&names).is_empty(), "died after {calls} calls, seed {seed}");
            }
        }
    }

    #[test]
    fn files_on_disk_are_marked_when_they_are_durable() {
        let dir = tempfile::tempdir().unwrap();
        let payloads = Payloads::new(Arc::new(OsFiles), dir.path());
        let path = payloads.path(payloads.write(&[b"a text"]).unwrap()[0]);
        let copy = dir.path().join("copy");
        std::fs::write(&copy, std::fs::read(&path).unwrap()).unwrap();
        assert!(!OsFiles.is_marked_durable(&copy) && !OsFiles.is_marked_durable(&dir.path().join("none")));
        OsFiles.open_read(&copy).unwrap().mark_durable();
        // Both are, or the file system has no attributes and neither is.
        assert_eq!(OsFiles.is_marked_durable(&path), OsFiles.is_marked_durable(&copy));
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
    fn payloads_are_encrypted_rekeyed_and_read_without_a_trace_of_the_text() {
        let dir = tempfile::tempdir().unwrap();
        let with = |keys: cipher::Keys| Payloads::with_keys(Arc::new(OsFiles), dir.path(), Arc::new(Keyring::of(keys)));
        let key = |byte: u8| cipher::Key::new(&[byte; cipher::KEY_BYTES]);
        let plain = with(cipher::Keys::default());
        let texts: Vec<String> = (0..5).map(|number| format!("text number {number}, which nobody may read")).collect();
        let names = plain.write(&texts.iter().map(String::as_bytes).collect::<Vec<_>>()).unwrap();
        let first = with(cipher::Keys { current: Some(key(1)), older: vec![] });
        let cut_short = plain.path(names[0]).with_extension("2147483646-2.tmp");
        std::fs::write(&cut_short, "text in clear").unwrap();
        assert_eq!((first.rekey().unwrap().changed, first.rekey().unwrap().changed), (5, 0));
        assert!(!cut_short.exists());
        first.mark(Some(key(1).id())).unwrap();
        assert!(matches!(plain.write(&[b"in clear"]), Err(Error::Locked(_))) && first.may_write().is_ok());
        assert_eq!(first.by_key().unwrap(), BTreeMap::from([(Some(key(1).id()), 5)]));
        assert_eq!(first.read(names[2]).unwrap(), texts[2].as_bytes());
        assert!(matches!(plain.read(names[2]), Err(Error::Locked(_))));
        let both = with(cipher::Keys { current: Some(key(2)), older: vec![key(1)] });
        assert!(matches!(both.write(&[b"too early"]), Err(Error::Locked(_))));
        both.mark(Some(key(2).id())).unwrap();
        let sixth = both.write(&[b"a sixth text"]).unwrap()[0];
        assert_eq!((both.rekey().unwrap().changed, both.read(sixth).unwrap()), (5, b"a sixth text".to_vec()));
        assert_eq!(first.rekey().unwrap().locked.len(), 6);
        let second = with(cipher::Keys { current: Some(key(2)), older: vec![] });
        assert_eq!(second.read(names[4]).unwrap(), texts[4].as_bytes());
        let off = with(cipher::Keys { current: None, older: vec![key(2)] });
        assert_eq!((off.rekey().unwrap().changed, plain.read(names[0]).unwrap()), (6, texts[0].as_bytes().to_vec()));
        off.mark(None).unwrap();
        plain.write(&[texts[1].as_bytes()]).unwrap();
        let away = Payloads::with_keys(Arc::new(OsFiles), dir.path(), Arc::new(Keyring::new(|| Err("away".to_owned()), |_| {})));
        assert!(matches!(away.write(&[b"not to be written in clear"]), Err(Error::Locked(_))));
        assert_eq!(plain.by_key().unwrap(), BTreeMap::from([(None, 6)]));
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
