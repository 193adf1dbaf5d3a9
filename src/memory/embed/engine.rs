//! The engine behind embedding models: fastembed on a pure-Rust backend, or on a native ONNX Runtime where one is asked for.
//!
//! The only file that names fastembed and ort. A process has one backend, chosen by whoever comes first.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use fastembed::{InitOptionsUserDefined, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};

use super::named::Named;
use super::{Error, TOKENS_MAX, builtin};

/// Whether the native runtime is in use, or why it could not be loaded.
static BACKEND: OnceLock<Result<bool, String>> = OnceLock::new();

/// Loads the native ONNX Runtime at `library`, for all models of this process.
///
/// # Errors
/// Why it cannot be loaded, or that models are in use on the other engine already.
pub fn use_native(library: &Path) -> Result<(), String> {
    let load = || match ort::init_from(library) {
        Ok(environment) => {
            environment.commit();
            Ok(true)
        }
        Err(why) => Err(format!("the ONNX Runtime {} cannot be used: {why}", library.display())),
    };
    match BACKEND.get_or_init(load) {
        Ok(true) => Ok(()),
        Ok(false) => Err("the built-in engine is in use already".to_owned()),
        Err(why) => Err(why.clone()),
    }
}

/// Chooses the pure-Rust backend unless another one was chosen.
fn ensure_backend() -> Result<(), String> {
    let choose = || {
        let mut api = ort_tract::api();
        // The backend has no symbolic dimensions and says so with an error; nothing here depends on their names.
        api.SetSymbolicDimensions = accept_symbolic_dimensions;
        ort::set_api(api);
        Ok(false)
    };
    BACKEND.get_or_init(choose).as_ref().map(|_| ()).map_err(Clone::clone)
}

extern "system" fn accept_symbolic_dimensions(
    _info: *mut ort_sys::OrtTensorTypeAndShapeInfo,
    _names: *mut *const std::ffi::c_char,
    _count: usize,
) -> ort_sys::OrtStatusPtr {
    ort_sys::OrtStatusPtr::default()
}

/// Where a model's files are.
pub enum Files {
    /// In the binary.
    Builtin,
    /// In a folder, under the names that they have at their source.
    Folder { folder: PathBuf, model: Named },
}

impl Files {
    /// Loads the model `name`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Engine`].
    pub fn load(&self, name: &str) -> Result<OnnxSession, Error> {
        let engine = |why: String| Error::Engine { name: name.to_owned(), why };
        ensure_backend().map_err(engine)?;
        let (network, tokenizer) = match self {
            Self::Builtin => (
                builtin::NETWORK.to_vec(),
                TokenizerFiles {
                    tokenizer_file: builtin::TOKENIZER.to_vec(),
                    config_file: builtin::CONFIG.to_vec(),
                    special_tokens_map_file: builtin::SPECIAL_TOKENS.to_vec(),
                    tokenizer_config_file: builtin::TOKENIZER_CONFIG.to_vec(),
                },
            ),
            Self::Folder { folder, model } => {
                let read = |file: &str| {
                    let file = folder.join(file);
                    std::fs::read(&file).map_err(|source| Error::Io { file, source })
                };
                let tokenizer = TokenizerFiles {
                    tokenizer_file: read("tokenizer.json")?,
                    config_file: read("config.json")?,
                    special_tokens_map_file: read("special_tokens_map.json")?,
                    tokenizer_config_file: read("tokenizer_config.json")?,
                };
                (read(&model.network)?, tokenizer)
            }
        };
        let mut definition = UserDefinedEmbeddingModel::new(network, tokenizer);
        if let Self::Folder { folder, model } = self {
            for file in &model.additional {
                let path = folder.join(file);
                let bytes = std::fs::read(&path).map_err(|source| Error::Io { file: path, source })?;
                let base = file.rsplit('/').next().unwrap_or(file).to_owned();
                definition = definition.with_external_initializer(base, bytes);
            }
            definition.output_key = model.output();
            definition = definition.with_quantization(model.quantization());
            if let Some(pooling) = model.pooling() {
                definition = definition.with_pooling(pooling);
            }
        }
        // One thread a session: several sessions share the work of many texts better than several threads one text.
        let options = InitOptionsUserDefined::new().with_max_length(TOKENS_MAX).with_intra_threads(1);
        let model = TextEmbedding::try_new_from_user_defined(definition, options).map_err(|why| engine(chain(&why)))?;
        Ok(OnnxSession(model))
    }
}

/// A loaded model.
pub struct OnnxSession(TextEmbedding);

impl OnnxSession {
    /// Returns the vectors of `texts`, of unit length.
    ///
    /// # Errors
    /// What the engine says.
    pub fn embed(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, String> {
        self.0.embed(texts, Some(texts.len().max(1))).map_err(|why| chain(&why))
    }
}

/// Returns the text models that fastembed knows by name.
pub fn known() -> Vec<Named> {
    let models = TextEmbedding::list_supported_models().into_iter();
    let mut known: Vec<Named> = models
        .map(|info| Named {
            name: format!("{:?}", info.model),
            dims: info.dim,
            description: info.description,
            repository: info.model_code,
            network: info.model_file,
            additional: info.additional_files,
        })
        .collect();
    known.sort_by(|a, b| a.name.cmp(&b.name));
    known
}

impl Named {
    fn model(&self) -> Option<fastembed::EmbeddingModel> {
        self.name.parse().ok()
    }

    fn pooling(&self) -> Option<fastembed::Pooling> {
        TextEmbedding::get_default_pooling_method(&self.model()?)
    }

    fn quantization(&self) -> fastembed::QuantizationMode {
        self.model().map(|model| TextEmbedding::get_quantization_mode(&model)).unwrap_or_default()
    }

    fn output(&self) -> Option<fastembed::OutputKey> {
        TextEmbedding::get_model_info(&self.model()?).ok()?.output_key.clone()
    }
}

/// An error with its causes, because the cause is often only there.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
