//! Keys that sign seals: the only file that names ssh-key.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, SshSig};

use super::signers::Signers;
use super::signing::{NAMESPACE, SignError, read};
use crate::audit::seal::Signed;

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
