//! Payloads at rest, encrypted: XChaCha20-Poly1305 under a key that the store does not hold. The only place that knows the cipher.
//!
//! ```text
//! "menoenc1" 8 · key id 8 · nonce 24 · ciphertext · tag 16
//! ```
//! The first two fields and the payload's name are authenticated with the text, so that no file passes for another. Keys for encryption and
//! for nonces are derived from the one given (BLAKE3 `derive_key`), and a nonce is made of the very bytes that it encrypts, as in AES-SIV
//! (RFC 5297): nothing random is needed, no two texts share one, and the same text under the same key is the same file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use secrecy::{ExposeSecret, SecretBox};

use super::Error;
use crate::domain::ids::Hash;

const MAGIC: [u8; 8] = *b"menoenc1";
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + ID_BYTES;
/// How long keys that could not be had are not asked for again.
const RETRY_AFTER: Duration = Duration::from_secs(20);
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Names a key without telling anything of it: derived from it, and written into each file that it encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; ID_BYTES]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// A key for payloads.
pub struct Key {
    id: KeyId,
    encryption: SecretBox<[u8; KEY_BYTES]>,
    nonces: SecretBox<[u8; KEY_BYTES]>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Why a text is no key.
#[derive(Debug, thiserror::Error)]
#[error("it is no key: 32 bytes in hexadecimal (64 digits) or Base64 are one")]
pub struct NoKey;

impl Key {
    /// Makes a key of 32 random bytes.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        let derived = |purpose: &str| blake3::derive_key(purpose, bytes);
        let mut id = [0; ID_BYTES];
        id.copy_from_slice(&derived("meno 2026-11 payload key id")[..ID_BYTES]);
        Self {
            id: KeyId(id),
            encryption: SecretBox::new(Box::new(derived("meno 2026-11 payload encryption"))),
            nonces: SecretBox::new(Box::new(derived("meno 2026-11 payload nonces"))),
        }
    }

    /// Reads a key as files and commands give it, with white space around it.
    ///
    /// # Errors
    /// [`NoKey`]; the text is not repeated.
    pub fn parse(text: &[u8]) -> Result<Self, NoKey> {
        let text = text.trim_ascii();
        let bytes = HEXLOWER_PERMISSIVE.decode(text).or_else(|_| BASE64.decode(text)).map_err(|_| NoKey)?;
        let bytes = SecretBox::<[u8; KEY_BYTES]>::new(Box::new(bytes.try_into().map_err(|_| NoKey)?));
        Ok(Self::new(bytes.expose_secret()))
    }

    /// Writes a key as [`Key::parse`] reads it.
    pub fn write(bytes: &[u8; KEY_BYTES]) -> String {
        data_encoding::HEXLOWER.encode(bytes)
    }

    /// Returns its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Encrypts the bytes of the payload `name`.
    pub fn encrypt(&self, name: Hash, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = blake3::Hasher::new_keyed(self.nonces.expose_secret());
        hasher.update(&name.0).update(bytes);
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&hasher.finalize().as_bytes()[..NONCE_BYTES]);
        let head = [MAGIC, self.id.0].concat();
        let payload = Payload { msg: bytes, aad: &authenticated(&head, name) };
        let cipher = XChaCha20Poly1305::new(self.encryption.expose_secret().into());
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("a text is shorter than 256 GiB");
        [&head[..], &nonce, &sealed].concat()
    }

    fn decrypt(&self, name: Hash, file: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = file.split_at_checked(HEAD_BYTES)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: &authenticated(head, name) };
        let cipher = XChaCha20Poly1305::new(self.encryption.expose_secret().into());
        cipher.decrypt(XNonce::from_slice(nonce), payload).ok()
    }
}

fn authenticated(head: &[u8], name: Hash) -> Vec<u8> {
    [head, &name.0].concat()
}

/// Returns the key under which a file's bytes are encrypted; `None` when they are not.
///
/// # Errors
/// [`Error::Damaged`] when they begin as if they were and cannot be.
pub fn key_of(file: &[u8]) -> Result<Option<KeyId>, Error> {
    if !file.starts_with(&MAGIC) {
        return Ok(None);
    }
    if file.len() < HEAD_BYTES + NONCE_BYTES + TAG_BYTES {
        return Err(Error::Damaged("an encrypted text is cut short".to_owned()));
    }
    let mut id = [0; ID_BYTES];
    id.copy_from_slice(&file[MAGIC.len()..HEAD_BYTES]);
    Ok(Some(KeyId(id)))
}

/// The keys at hand: the one that new payloads are encrypted under, and older ones that some still are.
#[derive(Debug, Default)]
pub struct Keys {
    /// For new payloads; without it they are written as they are.
    pub current: Option<Key>,
    /// For reading only.
    pub older: Vec<Key>,
}

/// Fetches keys from where they are kept; the words say why one cannot be had.
type Fetch = Box<dyn Fn() -> Result<Keys, String> + Send + Sync>;

/// Is told why texts are locked.
type Tell = Box<dyn Fn(&str) + Send + Sync>;

/// Fetches keys when they are first needed: reading a key may run a command or ask a person.
#[derive(Default)]
pub struct Keyring {
    fetch: Option<Fetch>,
    tell: Option<Tell>,
    keys: OnceLock<Keys>,
    /// When keys could not be had last, and why: somebody may make them available while this process lives.
    failed: Mutex<Option<(Instant, String)>>,
    is_told: AtomicBool,
}

impl Keyring {
    /// Keys that `fetch` gets when a text has to be encrypted or read; `tell` hears why the first text that cannot be read is locked.
    pub fn new(
        fetch: impl Fn() -> Result<Keys, String> + Send + Sync + 'static,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self { fetch: Some(Box::new(fetch)), tell: Some(Box::new(tell)), ..Self::default() }
    }

    /// Keys that are at hand.
    pub fn of(keys: Keys) -> Self {
        let ring = Self::default();
        // It is new, so nothing is there yet.
        let _ = ring.keys.set(keys);
        ring
    }

    fn keys(&self) -> Result<&Keys, String> {
        if let Some(keys) = self.keys.get() {
            return Ok(keys);
        }
        // One at a time: fetching may ask a person.
        let mut failed = super::lock(&self.failed);
        if let Some((at, why)) = &*failed
            && at.elapsed() < RETRY_AFTER
        {
            return Err(why.clone());
        }
        match self.fetch.as_ref().map_or_else(|| Ok(Keys::default()), |fetch| fetch()) {
            Ok(keys) => Ok(self.keys.get_or_init(|| keys)),
            Err(why) => {
                *failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Returns the key for new payloads; `None` when they are not to be encrypted.
    ///
    /// # Errors
    /// [`Error::Locked`] when they are, and the key cannot be had.
    pub fn current(&self) -> Result<Option<&Key>, Error> {
        self.keys().map(|keys| keys.current.as_ref()).map_err(Error::Locked)
    }

    /// Returns whether the key with this id is at hand.
    pub fn has(&self, id: &str) -> bool {
        self.keys().is_ok_and(|keys| keys.current.iter().chain(&keys.older).any(|key| key.id().to_string() == id))
    }

    /// Returns a payload's bytes as they were before they were encrypted, if they were.
    ///
    /// # Errors
    /// [`Error::Locked`] when the key is not at hand, [`Error::Damaged`] when the file is not what was written.
    pub fn open(&self, name: Hash, file: Vec<u8>) -> Result<Vec<u8>, Error> {
        let Some(id) = key_of(&file)? else { return Ok(file) };
        let keys = self.keys().map_err(|why| self.lock(why))?;
        let key = keys.current.iter().chain(&keys.older).find(|key| key.id == id);
        let key = key.ok_or_else(|| self.lock(format!("key {id} is not the one that the settings name")))?;
        key.decrypt(name, &file).ok_or_else(|| Error::Damaged("it was not encrypted like this".to_owned()))
    }

    fn lock(&self, why: String) -> Error {
        if !self.is_told.swap(true, Ordering::Relaxed)
            && let Some(tell) = &self.tell
        {
            tell(&why);
        }
        Error::Locked(why)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; KEY_BYTES])
    }

    fn ring(current: u8, older: &[u8]) -> Keyring {
        Keyring::of(Keys { current: Some(key(current)), older: older.iter().map(|byte| key(*byte)).collect() })
    }

    #[test]
    fn a_key_reads_as_hexadecimal_and_as_base64_and_shows_itself_nowhere() {
        let bytes = [0xab; KEY_BYTES];
        let read = |text: &str| Key::parse(text.as_bytes()).map(|key| key.id);
        assert_eq!(read(&format!("  {}\n", Key::write(&bytes))).unwrap(), Key::new(&bytes).id);
        assert_eq!(read(&BASE64.encode(&bytes)).unwrap(), Key::new(&bytes).id);
        assert_eq!(read(&Key::write(&bytes).to_uppercase()).unwrap(), Key::new(&bytes).id);
        for wrong in ["", "abcd", "correct horse battery staple", &"ab".repeat(33)] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(!error.contains(wrong) || wrong.is_empty(), "{error}");
        }
        let shown = format!("{:?}", Key::new(&bytes));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }

    #[test]
    fn every_changed_or_missing_byte_is_found_and_so_is_a_file_under_another_name() {
        let (name, text) = (Hash::of(b"text"), b"some text".as_slice());
        let file = key(1).encrypt(name, text);
        assert_eq!(ring(1, &[]).open(name, file.clone()).unwrap(), text);
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            let read = ring(1, &[]).open(name, changed);
            assert!(read.is_err() || at < MAGIC.len(), "byte {at} is another one");
            assert!(ring(1, &[]).open(name, file[..at].to_vec()).is_err() || at < MAGIC.len(), "cut at {at}");
        }
        assert!(matches!(ring(1, &[]).open(Hash::of(b"other"), file), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_text_whose_key_is_not_at_hand_is_locked_not_damaged() {
        let (name, file) = (Hash::of(b"text"), key(1).encrypt(Hash::of(b"text"), b"text"));
        let other = ring(2, &[]);
        assert!(matches!(other.open(name, file.clone()), Err(Error::Locked(_))));
        assert_eq!(ring(2, &[3, 1]).open(name, file.clone()).unwrap(), b"text");
        let told = std::sync::Arc::new(AtomicBool::new(false));
        let tell = std::sync::Arc::clone(&told);
        let away = Keyring::new(|| Err("the key is on a stick".to_owned()), move |_| tell.store(true, Ordering::Relaxed));
        assert!(away.current().is_err());
        assert!(matches!(away.open(name, file), Err(Error::Locked(why)) if why.contains("stick")));
        assert!(told.load(Ordering::Relaxed));
        assert_eq!(away.open(name, b"plain".to_vec()).unwrap(), b"plain");
    }

    proptest! {
        #[test]
        fn what_was_encrypted_comes_back_and_two_texts_never_share_a_nonce(a in any::<Vec<u8>>(), b in any::<Vec<u8>>()) {
            let (name, other) = (Hash::of(&a), Hash::of(&b));
            let (first, second) = (key(7).encrypt(name, &a), key(7).encrypt(other, &b));
            prop_assert_eq!(&ring(7, &[]).open(name, first.clone()).unwrap(), &a);
            prop_assert_eq!(&key(7).encrypt(name, &a), &first);
            let nonce = |file: &[u8]| file[HEAD_BYTES..HEAD_BYTES + NONCE_BYTES].to_vec();
            prop_assert_eq!(nonce(&first) == nonce(&second), a == b);
        }
    }
}
