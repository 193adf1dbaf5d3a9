//! The model that ships: all-MiniLM-L6-v2 with weights kept as 8-bit integers, in the binary itself.

use crate::memory::fuse::Unrelated;

/// Its name in the settings.
pub const NAME: &str = "all-MiniLM-L6-v2";
/// Its id beside vectors: other weights would give other vectors.
pub const ID: &str = "all-MiniLM-L6-v2-w8";
/// Numbers in a vector.
pub const DIMS: usize = 384;
/// How near unrelated texts are: questions of four collections against the texts of another one (some two million pairs). Of them 1 in
/// 1,000 are nearer than .22 where the fields differ; the nearest of a thousand lies below .26 for nine questions of ten.
pub const UNRELATED: Unrelated = Unrelated { mean: -0.01, deviation: 0.07 };

#[cfg(feature = "embeddings")]
macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/all-MiniLM-L6-v2-w8/", $name))
    };
}

/// The network; its output is pooled.
#[cfg(feature = "embeddings")]
pub const NETWORK: &[u8] = file!("model.onnx");
/// The four files that make a tokenizer.
#[cfg(feature = "embeddings")]
pub const TOKENIZER: &[u8] = file!("tokenizer.json");
#[cfg(feature = "embeddings")]
pub const CONFIG: &[u8] = file!("config.json");
#[cfg(feature = "embeddings")]
pub const SPECIAL_TOKENS: &[u8] = file!("special_tokens_map.json");
#[cfg(feature = "embeddings")]
pub const TOKENIZER_CONFIG: &[u8] = file!("tokenizer_config.json");
