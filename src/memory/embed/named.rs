//! Models by name: the one that ships, and those that can be fetched when a user asks for it.

use super::{builtin, engine};

/// A model that fastembed knows by name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name: `BGESmallENV15`.
    pub name: String,
    /// Numbers in a vector.
    pub dims: usize,
    /// What it is, in a few words.
    pub description: String,
    /// The repository that its files come from: `Xenova/bge-small-en-v1.5`.
    pub repository: String,
    /// The network's file in the repository.
    pub network: String,
    /// Further files with weights.
    pub additional: Vec<String>,
}

impl Named {
    /// Returns the names of all files in the repository.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        const TOKENIZER: [&str; 4] = ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];
        TOKENIZER.into_iter().chain([self.network.as_str()]).chain(self.additional.iter().map(String::as_str))
    }
}

/// Returns the name of the model that ships.
pub fn builtin() -> (&'static str, usize) {
    (builtin::NAME, builtin::DIMS)
}

/// Returns the models that can be fetched, by name.
pub fn all() -> Vec<Named> {
    engine::known()
}

/// Returns the model `name`, whatever its case.
pub fn find(name: &str) -> Option<Named> {
    all().into_iter().find(|model| model.name.eq_ignore_ascii_case(name))
}

/// Returns what a model wants to read before a question: the makers of these trained them so.
pub fn query_prefix(name: &str) -> Option<&'static str> {
    let plain = name.trim_end_matches('Q');
    if (plain.starts_with("BGE") && plain.contains("EN")) || plain.starts_with("SnowflakeArctic") || plain.starts_with("Mxbai") {
        Some("Represent this sentence for searching relevant passages: ")
    } else if plain.starts_with("MultilingualE5") {
        Some("query: ")
    } else if plain.starts_with("NomicEmbed") {
        Some("search_query: ")
    } else {
        None
    }
}
