//! Measuring Meno's own judgement on collections and tables that people bring.

use std::path::Path;

use super::Workspace;
use crate::memory::collection::{self, Collection, Quality};
use crate::memory::embed::{self, Embedder};
use crate::memory::index::GoOn;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The collection.
    #[error(transparent)]
    Collection(#[from] collection::Error),
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// There is no room for what is made on the way.
    #[error("a folder for the index cannot be made: {0}")]
    Scratch(#[source] std::io::Error),
}

impl Workspace {
    /// Measures search on the collection in the folder `dir`; `progress` is told how many of how many texts are embedded.
    ///
    /// # Errors
    /// A [`BenchError`].
    pub fn bench_search(&self, dir: &Path, progress: GoOn<'_>) -> Result<Quality, BenchError> {
        let collection = Collection::read(dir)?;
        let embedder = self.embedder()?;
        let scratch = self.bench_folder().map_err(BenchError::Scratch)?;
        let measured = collection::measure(&collection, &embedder, &scratch, &self.bench_cache(), progress);
        // What was made on the way is of no use to anybody; a folder that cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(measured?)
    }

    /// Opens the embedding model that the settings name.
    ///
    /// # Errors
    /// When it is not known or was never fetched.
    pub fn embedder(&self) -> Result<Embedder, embed::Error> {
        let native = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
        Embedder::open(&self.resolved.settings.memory.model, &self.places.data.join("models"), native.as_deref().map(Path::new))
    }

    /// Returns the folder that keeps the vectors of texts that were measured with.
    pub(super) fn bench_cache(&self) -> std::path::PathBuf {
        self.places.cache.join("vectors")
    }

    fn bench_folder(&self) -> std::io::Result<std::path::PathBuf> {
        let folder = self.places.cache.join(format!("bench-{}", self.world.ulid(None)));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
