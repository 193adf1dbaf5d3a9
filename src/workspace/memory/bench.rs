//! Measuring Meno's own judgement on collections and tables that people bring.

use std::path::Path;

use super::Recall;
use crate::memory::collection::{self, Collection, Quality};
use crate::memory::document::{self, Document};
use crate::memory::embed::{self, Embedder};
use crate::memory::index::GoOn;
use crate::workspace::Workspace;

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

impl Recall<'_> {
    /// Measures search on the collection in the folder `dir`; `progress` is told how many of how many texts are embedded.
    ///
    /// # Errors
    /// A [`BenchError`].
    pub(crate) fn bench_search(&self, dir: &Path, progress: GoOn<'_>) -> Result<Quality, BenchError> {
        let embedder = self.embedder()?;
        let scratch = self.bench_folder().map_err(BenchError::Scratch)?;
        let measured = Collection::read(dir, &|file| documents(file, &scratch.join("store"))).and_then(|collection| {
            let now = jiff::Zoned::now();
            collection::measure(&collection, &embedder, &scratch.join("index"), &self.bench_cache(), &now, progress)
        });
        // What was made on the way is of no use to anybody; a folder that cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(measured?)
    }

    /// Opens the embedding model that the settings name.
    ///
    /// # Errors
    /// When it is not known or was never fetched.
    pub(crate) fn embedder(&self) -> Result<Embedder, embed::Error> {
        let native = self.0.variables.path("ORT_DYLIB_PATH");
        Embedder::open(&self.0.resolved.settings.memory.model, &self.0.places.data.join("models"), native.as_deref())
    }

    /// Returns the folder that keeps the vectors of texts that were measured with.
    pub(in crate::workspace) fn bench_cache(&self) -> std::path::PathBuf {
        self.0.places.cache.join("vectors")
    }

    fn bench_folder(&self) -> std::io::Result<std::path::PathBuf> {
        let folder = self.0.places.cache.join(format!("bench-{}", self.0.world.ulid(None)));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Reads a file of histories into a store of its own, and returns what would be searched there, under the runs' own ids.
fn documents(file: &Path, store: &Path) -> Result<Vec<Document>, String> {
    let words = |error: &dyn std::error::Error| error.to_string();
    let text = std::io::BufReader::new(std::fs::File::open(file).map_err(|error| words(&error))?);
    let workspace = Workspace::at(store, None).map_err(|error| words(&error))?;
    let imported = workspace.keeping().import_runs(text, "collection", &mut |_| ()).map_err(|error| words(&error))?;
    if let Some(told) = imported.problems.first() {
        return Err(format!("line {}: {}: {}", told.line, told.problem.field, told.problem.reason));
    }
    let mut documents = Vec::new();
    for row in workspace.runs().all_rows().map_err(|error| words(&error))? {
        let run = workspace.runs().detail(row.run_id).map_err(|error| words(&error))?;
        documents.extend(document::of_run(&run).into_iter().map(|mut document| {
            document.facts.run_id = run.foreign_run_id.clone().unwrap_or_else(|| run.run_id.clone());
            document
        }));
    }
    Ok(documents)
}
