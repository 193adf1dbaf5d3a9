//! Embedding models: which there are, and fetching one when a user asks for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Workspace;
use crate::memory::embed::named::{self, Named};
use crate::memory::embed::{self, Embedder};
use crate::providers::download::{self, DownloadError};

/// Where models come from unless HF_ENDPOINT names another place.
const HUB: &str = "https://huggingface.co";

/// Embedding models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Embedding models, as `meno model list --json` prints them")]
pub struct ModelList {
    /// The models, the built-in one first.
    pub models: Vec<ModelLine>,
}

/// An embedding model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ModelLine {
    /// Its name, for `memory.model` in the settings.
    pub name: String,
    /// Numbers in a vector.
    pub dimensions: u64,
    /// What it is.
    pub description: String,
    /// It is in the binary.
    pub built_in: bool,
    /// Its files are here.
    pub here: bool,
    /// The settings name it.
    pub in_use: bool,
}

/// Why a model was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no such model.
    #[error("the embedding model `{name}` is not known")]
    Unknown {
        /// The name.
        name: String,
        /// The name of a model that may be meant.
        nearest: Option<String>,
    },
    /// It is in the binary.
    #[error("the embedding model `{0}` is built in: there is nothing to fetch")]
    BuiltIn(String),
    /// A file did not come.
    #[error("{file} of `{name}` could not be fetched")]
    Download {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: DownloadError,
    },
    /// Its files came and do not make a model.
    #[error("`{name}` was fetched and does not work")]
    Broken {
        /// The model.
        name: String,
        /// Why.
        #[source]
        source: embed::Error,
    },
    /// The files cannot be kept.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Workspace {
    /// Returns the embedding models: the built-in one, and those that can be fetched.
    pub(crate) fn models(&self) -> ModelList {
        let (builtin, dimensions) = named::builtin();
        let used = &self.resolved.settings.memory.model;
        let mut models = vec![ModelLine {
            name: builtin.to_owned(),
            dimensions: dimensions as u64,
            description: "sentence embeddings, English, 256 tokens".to_owned(),
            built_in: true,
            here: true,
            in_use: used == builtin,
        }];
        let folder = self.models_folder();
        let is_here = |model: &Named| model.files().all(|file| folder.join(&model.name).join(file).is_file());
        models.extend(named::all().into_iter().map(|model| ModelLine {
            dimensions: model.dims as u64,
            description: model.description.clone(),
            built_in: false,
            here: is_here(&model),
            in_use: model.name.eq_ignore_ascii_case(used),
            name: model.name,
        }));
        ModelList { models }
    }

    /// Fetches the model `name` and tries it once; returns the folder that holds it. `progress` is told the file and how many of
    /// how many bytes of it came. What came before it failed is thrown away.
    ///
    /// # Errors
    /// A [`FetchError`].
    pub(crate) fn fetch_model(
        &self,
        name: &str,
        hub: Option<&str>,
        deadline: Duration,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<PathBuf, FetchError> {
        let (builtin, _) = named::builtin();
        if name.eq_ignore_ascii_case(builtin) {
            return Err(FetchError::BuiltIn(builtin.to_owned()));
        }
        let model = named::find(name).ok_or_else(|| {
            let names: Vec<String> = named::all().into_iter().map(|model| model.name).collect();
            let nearest = crate::domain::nearest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
            FetchError::Unknown { name: name.to_owned(), nearest }
        })?;
        let folder = self.models_folder();
        let (whole, part) = (folder.join(&model.name), folder.join(format!("{}.part", model.name)));
        let kept = self.fetch_files(&model, &part, hub.unwrap_or(HUB), deadline, progress).and_then(|()| {
            let io = |source| FetchError::Io { path: whole.clone(), source };
            if whole.exists() {
                std::fs::remove_dir_all(&whole).map_err(io)?;
            }
            std::fs::rename(&part, &whole).map_err(io)?;
            let works = Embedder::open(&model.name, &folder, None).and_then(|embedder| embedder.query("does it work"));
            works.map(|_| whole.clone()).map_err(|source| FetchError::Broken { name: model.name.clone(), source })
        });
        if kept.is_err() {
            // Half a model is of no use; what cannot be removed is overwritten by the next try.
            let _ = std::fs::remove_dir_all(&part);
        }
        kept
    }

    fn fetch_files(
        &self,
        model: &Named,
        folder: &Path,
        hub: &str,
        deadline: Duration,
        progress: &mut dyn FnMut(&str, u64, u64),
    ) -> Result<(), FetchError> {
        let until = std::time::Instant::now() + deadline;
        for file in model.files() {
            let path = folder.join(file);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|source| FetchError::Io { path: parent.to_owned(), source })?;
            let address = format!("{}/{}/resolve/main/{file}", hub.trim_end_matches('/'), model.repository);
            let left = until.saturating_duration_since(std::time::Instant::now());
            download::to_file(&address, &path, left, &mut |done, total| progress(file, done, total))
                .map_err(|source| FetchError::Download { name: model.name.clone(), file: file.to_owned(), source })?;
        }
        Ok(())
    }

    fn models_folder(&self) -> PathBuf {
        self.places.data.join("models")
    }
}
