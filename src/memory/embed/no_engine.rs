//! In place of the engine where the feature `embeddings` is off: there are no models, and each use says so.

use std::path::{Path, PathBuf};

use super::Error;
use super::named::Named;

/// Refuses a native ONNX Runtime.
///
/// # Errors
/// Always.
pub fn use_native(_: &Path) -> Result<(), String> {
    Err(Error::NotBuilt.to_string())
}

/// Where a model's files would be.
pub enum Files {
    /// In the binary.
    Builtin,
    /// In a folder.
    #[expect(dead_code, reason = "no model can be fetched, so none lies in a folder")]
    Folder { folder: PathBuf, model: Named },
}

impl Files {
    /// Loads no model.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], always.
    pub fn load(&self, _: &str) -> Result<OnnxSession, Error> {
        Err(Error::NotBuilt)
    }
}

/// A loaded model: there is none.
pub enum OnnxSession {}

impl OnnxSession {
    /// Returns the vectors of `texts`.
    ///
    /// # Errors
    /// Never: there is nothing to call it on.
    pub fn embed(&mut self, _: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        match *self {}
    }
}

/// Returns the text models that are known by name: none.
pub fn known() -> Vec<Named> {
    Vec::new()
}
