//! In place of keys where the feature `signing` is off: nothing is signed and no signature is checked, and each use says so.

use std::path::Path;

use jiff::Timestamp;
use secrecy::SecretString;

use super::signing::SignError;
use crate::audit::seal::Signed;

/// A key that can sign: there is none.
#[derive(Debug)]
pub enum Signer {}

impl Signer {
    /// Reads no key.
    ///
    /// # Errors
    /// [`SignError`], always.
    pub fn read(_: &Path, _: &dyn Fn() -> Option<SecretString>) -> Result<Self, SignError> {
        Err(SignError)
    }

    /// Returns the fingerprint of its public key.
    pub fn fingerprint(&self) -> String {
        match *self {}
    }

    /// Signs the text of a seal.
    ///
    /// # Errors
    /// Never: there is nothing to call it on.
    pub fn sign(&self, _: &[u8]) -> Result<String, SignError> {
        match *self {}
    }
}

/// Checks no signature.
///
/// # Errors
/// [`SignError`], always.
pub fn check(_: &[u8], _: &Path, _: Option<&Path>, _: Timestamp) -> Result<Signed, SignError> {
    Err(SignError)
}
