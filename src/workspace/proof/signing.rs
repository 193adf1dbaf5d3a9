//! Signatures of seals, in the form of `ssh-keygen -Y sign`: the only place that knows signing keys.
//!
//! What is signed are the bytes of the seal's file under the namespace `meno-seal`, so that `ssh-keygen -Y verify` and Meno check each
//! other's signatures (PROTOCOL.sshsig of OpenSSH).

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use crate::audit::seal::Signed;
use crate::workspace::proof::signers::Signers;

/// What signatures of seals are for; a signature made for anything else counts for nothing here.
const NAMESPACE: &str = "meno-seal";
/// Longer files hold neither keys nor signatures.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a seal was not signed, or its signature not checked.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It holds no key that can sign.
    #[error("{} is no signing key: {why}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The key is locked, and there is no terminal to ask for it ons passphrase.
    #[error("the key in {} has a passphrase, and there is no terminal to ask for it on", .0.display())]
    NoPassphrase(PathBuf),
    /// That is not its passphrase.
    #[error("that is not the passphrase of the key in {}", .0.display())]
    WrongPassphrase(PathBuf),
    /// There is none, and a signer was asked for.
    #[error("the seal is not signed: there is no {}", .0.display())]
    Unsigned(PathBuf),
    /// The signature is none.
    #[error("{} is no signature: {why}", path.display())]
    NoSignature {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// It names nobody.
    #[error("{} has no public key of a signer", .0.display())]
    NoSigners(PathBuf),
}

/// A key that can sign.
#[derive(Debug)]
pub struct Signer(PrivateKey);

impl Signer {
    /// Reads an ed25519 key in OpenSSH's form; `passphrase` is asked for when the key has one, and gives `None` when nobody can say it.
    ///
    /// # Errors
    /// A [`SignError`].
    pub fn read(path: &Path, passphrase: &dyn Fn() -> Option<SecretString>) -> Result<Self, SignError> {
        let no_key = |why: String| SignError::NoKey { path: path.to_owned(), why };
        let text = SecretString::from(read(path)?);
        let mut key =
            PrivateKey::from_openssh(text.expose_secret()).map_err(|why| match text.expose_secret().contains("PRIVATE KEY") {
                true => no_key(why.to_string()),
                false => no_key("name the private key, in OpenSSH's form".to_owned()),
            })?;
        if key.is_encrypted() {
            let passphrase = passphrase().ok_or_else(|| SignError::NoPassphrase(path.to_owned()))?;
            key = key.decrypt(passphrase.expose_secret()).map_err(|_| SignError::WrongPassphrase(path.to_owned()))?;
        }
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(Self(key)),
            other => Err(no_key(format!("it is a key for {other}, and only ssh-ed25519 is supported"))),
        }
    }

    /// Returns the fingerprint of its public key, as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Signs the text of a seal; the result is the text of a `.sig` file.
    ///
    /// # Errors
    /// [`SignError::NoKey`] when the key cannot sign after all.
    pub fn sign(&self, seal: &[u8]) -> Result<String, SignError> {
        let signed = self.0.sign(NAMESPACE, HashAlg::Sha512, seal).and_then(|signature| signature.to_pem(LineEnding::LF));
        signed.map_err(|why| SignError::NoKey { path: PathBuf::new(), why: why.to_string() })
    }
}

/// Returns where the signature of a seal lies: beside it, as `ssh-keygen` puts it.
pub fn signature_of(seal: &Path) -> PathBuf {
    let mut name = seal.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

/// Checks the signature in `file` over the text of a seal. With `signers`, a file with public keys (one `.pub` file, or OpenSSH's
/// `allowed_signers`), it counts only when it is by one of them who may sign at the moment `now`.
///
/// # Errors
/// A [`SignError`] when a file is not what it should be; a signature that does not hold is no error but an answer.
pub fn check(seal: &[u8], file: &Path, signers: Option<&Path>, now: Timestamp) -> Result<Signed, SignError> {
    let no_signature = |why: String| SignError::NoSignature { path: file.to_owned(), why };
    if signers.is_some() && !file.exists() {
        return Err(SignError::Unsigned(file.to_owned()));
    }
    let signature = SshSig::from_pem(read(file)?).map_err(|why| no_signature(why.to_string()))?;
    let key = PublicKey::from(signature.public_key().clone());
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(no_signature(format!("it is by a key for {}, and only ssh-ed25519 is supported", key.algorithm())));
    }
    let by = key.fingerprint(HashAlg::Sha256).to_string();
    let holds = key.verify(NAMESPACE, seal, &signature).is_ok();
    let Some(path) = signers else { return Ok(Signed { holds, by, allowed: None, refused: None }) };
    let Signers { allowed, mut refused } = Signers::read(&read(path)?, NAMESPACE, now, &fingerprint);
    if allowed.is_empty() && refused.is_empty() {
        return Err(SignError::NoSigners(path.to_owned()));
    }
    let refused = refused.remove(&by);
    Ok(Signed { holds, by, allowed: Some(allowed), refused })
}

/// Returns the fingerprint of the public key in two words of a line, if it is one that can sign seals.
fn fingerprint(words: &[&str]) -> Option<String> {
    if words.first() != Some(&Algorithm::Ed25519.as_str()) {
        return None;
    }
    PublicKey::from_openssh(&words.join(" ")).ok().map(|key| key.fingerprint(HashAlg::Sha256).to_string())
}

fn read(path: &Path) -> Result<String, SignError> {
    use std::io::Read;
    let failed = |source| SignError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
