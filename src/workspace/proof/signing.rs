//! Signatures of seals, in the form of `ssh-keygen -Y sign`.
//!
//! What is signed are the bytes of the seal's file under the namespace `meno-seal`, so that `ssh-keygen -Y verify` and Meno check each
//! other's signatures (PROTOCOL.sshsig of OpenSSH).

use std::path::{Path, PathBuf};

pub use super::keys::{Signer, check};

/// What signatures of seals are for; a signature made for anything else counts for nothing here.
#[cfg(feature = "signing")]
pub(super) const NAMESPACE: &str = "meno-seal";
/// Longer files hold neither keys nor signatures.
#[cfg(feature = "signing")]
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why a seal was not signed, or its signature not checked: the feature `signing` is off.
#[cfg(not(feature = "signing"))]
#[derive(Debug, thiserror::Error)]
#[error("this build of Meno neither signs seals nor checks signatures (that comes with the feature `signing`)")]
pub struct SignError;

/// Why a seal was not signed, or its signature not checked.
#[cfg(feature = "signing")]
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

/// Returns where the signature of a seal lies: beside it, as `ssh-keygen` puts it.
pub fn signature_of(seal: &Path) -> PathBuf {
    let mut name = seal.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}

#[cfg(feature = "signing")]
pub(super) fn read(path: &Path) -> Result<String, SignError> {
    use std::io::Read;
    let failed = |source| SignError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
