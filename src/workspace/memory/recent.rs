//! Texts of payloads that were read lately: runs that follow each other often name the same.

use std::collections::HashMap;

use crate::domain::ids::Hash;

/// So much is kept, in bytes.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Texts of payloads read lately.
#[derive(Default)]
pub(in crate::workspace) struct Recent {
    pub texts: HashMap<Hash, String>,
    bytes: usize,
}

impl Recent {
    /// Keeps a text for whoever names it next.
    pub fn keep(&mut self, name: Hash, text: &str) {
        if self.bytes + text.len() > RECENT_BYTES_MAX {
            *self = Self::default();
        }
        if text.len() <= RECENT_BYTES_MAX {
            self.bytes += text.len();
            self.texts.insert(name, text.to_owned());
        }
    }
}
