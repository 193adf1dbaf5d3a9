//! Sentences as vectors: which model, how many at once, and never the same text twice.
//!
//! An [`Embedder`] answers for one model; its vectors have unit length, so that their dot product is the cosine. What the
//! texts are and what the vectors are for is not known here. `engine` is the only file that names fastembed; without the feature
//! `embeddings` another one stands in its place.

mod builtin;
#[cfg(feature = "embeddings")]
mod engine;
pub mod named;
#[cfg(not(feature = "embeddings"))]
mod no_engine;
pub mod unrelated;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use engine::{Files, OnnxSession};
#[cfg(not(feature = "embeddings"))]
use no_engine as engine;

use super::fuse::Unrelated;

/// Texts that one model reads at once: more gains nothing on a processor, and padding costs.
const BATCH: usize = 16;

/// Tokens that the model that ships reads; what follows is not seen.
#[cfg(feature = "embeddings")]
pub const TOKENS_MAX: usize = 256;

/// Why texts cannot be embedded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The feature `embeddings` is off.
    #[error("this build of Meno has no embeddings: it goes by words alone (they come with the feature `embeddings`)")]
    NotBuilt,
    /// There is no such model.
    #[error("the embedding model `{0}` is not known")]
    Unknown(String),
    /// It was never fetched.
    #[error("the embedding model `{name}` is not here: {} is missing", file.display())]
    Missing {
        /// The model.
        name: String,
        /// The file that is missing.
        file: PathBuf,
    },
    /// A file of it cannot be read.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The engine refuses it.
    #[error("the embedding model `{name}` does not work: {why}")]
    Engine {
        /// The model.
        name: String,
        /// What the engine said.
        why: String,
    },
}

/// One embedding model, loaded when it is first used, on as many threads as it is given texts for.
pub struct Embedder {
    id: String,
    dims: usize,
    files: Files,
    workers: usize,
    /// Loaded models that nobody uses at this moment.
    idle: Mutex<Vec<OnnxSession>>,
}

impl std::fmt::Debug for Embedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedder").field("id", &self.id).field("dims", &self.dims).finish_non_exhaustive()
    }
}

impl Embedder {
    /// Returns the model that ships.
    pub fn builtin() -> Self {
        Self::of(builtin::ID, builtin::DIMS, Files::Builtin)
    }

    /// Returns the model `name`: the one that ships or one that was fetched into the folder `models`. The native ONNX Runtime at
    /// `native` is used when one is given; the first model of a process decides.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Missing`]; [`Error::Engine`] when the runtime cannot be loaded.
    pub fn open(name: &str, models: &Path, native: Option<&Path>) -> Result<Self, Error> {
        if let Some(library) = native {
            engine::use_native(library).map_err(|why| Error::Engine { name: name.to_owned(), why })?;
        }
        if name == builtin::NAME {
            return Ok(Self::builtin());
        }
        let model = named::find(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let folder = models.join(&model.name);
        let missing = model.files().map(|file| folder.join(file)).find(|file| !file.is_file());
        if let Some(file) = missing {
            return Err(Error::Missing { name: model.name, file });
        }
        Ok(Self::of(&model.name, model.dims, Files::Folder { folder, model: model.clone() }))
    }

    fn of(id: &str, dims: usize, files: Files) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { id: id.to_owned(), dims, files, workers, idle: Mutex::default() }
    }

    /// Tells whether this build can load models at all.
    ///
    /// # Errors
    /// [`Error::NotBuilt`].
    pub fn usable(&self) -> Result<(), Error> {
        if cfg!(feature = "embeddings") { Ok(()) } else { Err(Error::NotBuilt) }
    }

    /// Uses at most `workers` threads: each needs the model in memory once, some 100 MB.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers.clamp(1, self.workers);
        self
    }

    /// Returns the model's id. Vectors of different ids are never compared.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns how many numbers a vector has.
    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Returns how near unrelated texts are for this model, where that is known without measuring it.
    pub fn unrelated(&self) -> Option<Unrelated> {
        matches!(self.files, Files::Builtin).then_some(builtin::UNRELATED)
    }

    /// Loads the model unless it is loaded already, so that the next question need not wait for it.
    ///
    /// # Errors
    /// [`Error::Engine`], [`Error::Io`] when it cannot be loaded.
    pub fn load(&self) -> Result<(), Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle().is_empty() {
            let session = self.files.load(&self.id)?;
            idle().push(session);
        }
        Ok(())
    }

    /// Returns the vector of one question.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn query(&self, text: &str) -> Result<Vec<f32>, Error> {
        let prefixed = named::query_prefix(&self.id).map(|prefix| format!("{prefix}{text}"));
        let vectors = self.embed(&[prefixed.as_deref().unwrap_or(text)])?;
        vectors.into_iter().next().ok_or_else(|| Error::Engine { name: self.id.clone(), why: "it returned no vector".to_owned() })
    }

    /// Returns the vectors of `texts`, in their order.
    ///
    /// # Errors
    /// [`Error::Engine`], [`Error::Io`] when the model cannot be loaded.
    pub fn embed<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Vec<f32>>, Error> {
        self.embed_with(texts, &|_| true).map(|vectors| vectors.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Embeds as long as `go_on` says so, which is told how many texts are done. Texts that it did not come to are `None`;
    /// those at the front come first, as far as batches of like length allow.
    ///
    /// # Errors
    /// As [`Self::embed`].
    pub fn embed_with<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        go_on: &(dyn Fn(usize) -> bool + Sync),
    ) -> Result<Vec<Option<Vec<f32>>>, Error> {
        let vectors: Mutex<Vec<Option<Vec<f32>>>> = Mutex::new(vec![None; texts.len()]);
        let batches = batches(texts);
        let next = std::sync::atomic::AtomicUsize::new(0);
        let done = std::sync::atomic::AtomicUsize::new(0);
        let work = || -> Result<(), Error> {
            let mut session = None;
            let outcome = loop {
                let index = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(batch) = batches.get(index) else { break Ok(()) };
                if !go_on(done.load(std::sync::atomic::Ordering::Relaxed)) {
                    break Ok(());
                }
                let taken = match session.take().map_or_else(|| self.session(), Ok) {
                    Ok(taken) => session.insert(taken),
                    Err(why) => break Err(why),
                };
                let texts: Vec<&str> = batch.iter().map(|index| texts[*index].as_ref()).collect();
                match taken.embed(&texts) {
                    Ok(embedded) if embedded.len() == batch.len() && embedded.iter().all(|vector| vector.len() == self.dims) => {
                        let mut vectors = vectors.lock().unwrap_or_else(PoisonError::into_inner);
                        for (index, vector) in batch.iter().zip(embedded) {
                            vectors[*index] = Some(vector);
                        }
                    }
                    Ok(_) => {
                        let why = format!("it returned vectors of another shape than {} numbers a text", self.dims);
                        break Err(Error::Engine { name: self.id.clone(), why });
                    }
                    Err(why) => break Err(Error::Engine { name: self.id.clone(), why }),
                }
                done.fetch_add(batch.len(), std::sync::atomic::Ordering::Relaxed);
            };
            if let Some(session) = session {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
            }
            outcome
        };
        let helpers = self.workers.min(batches.len()).saturating_sub(1);
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut outcome = work();
            for helper in helpers {
                let theirs = helper
                    .join()
                    .unwrap_or_else(|_| Err(Error::Engine { name: self.id.clone(), why: "the engine panicked".to_owned() }));
                outcome = outcome.and(theirs);
            }
            outcome
        })?;
        // A text that a stopped worker left is `None`; the vectors themselves are whole.
        Ok(vectors.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Gives back the memory of all loaded models but one, which answers the next question.
    pub fn release(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).truncate(1);
    }

    fn session(&self) -> Result<OnnxSession, Error> {
        if let Some(session) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(session);
        }
        self.files.load(&self.id)
    }
}

/// Puts texts of like length together, because a batch is padded to its longest; batches with the front of `texts` first.
fn batches<S: AsRef<str>>(texts: &[S]) -> Vec<Vec<usize>> {
    /// Texts among which lengths are compared: what stands further apart keeps its order.
    const WINDOW: usize = 64 * BATCH;
    let mut order: Vec<usize> = (0..texts.len()).collect();
    for window in order.chunks_mut(WINDOW) {
        window.sort_by_key(|index| texts[*index].as_ref().len());
    }
    order.chunks(WINDOW).flat_map(|window| window.chunks(BATCH)).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests;
