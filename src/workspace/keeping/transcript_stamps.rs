//! Which transcripts were read whole, so that they need not be read again. It is only a saving: the log alone says what is here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Keeping;
use crate::domain::ids::Hash;
use crate::lake::transcripts::Session;

/// The file that says which sessions were read whole.
const STAMPS: &str = "transcripts.json";
/// How much is seen in a session: a version that sees more reads every session once again.
const VERSION: u8 = 2;

/// The sessions that were read whole, each with the hash of what its files looked like. Names are hashed: what is forgotten stands nowhere.
pub(super) type Stamps = BTreeMap<Hash, Hash>;

impl Keeping<'_> {
    pub(super) fn stamps_file(&self) -> PathBuf {
        self.0.store.path.join(STAMPS)
    }

    /// Reads which sessions were read whole; none of them when that cannot be known.
    pub(super) fn stamps(&self) -> Stamps {
        read_stamps(&std::fs::read(self.stamps_file()).unwrap_or_default())
    }
}

/// Reads stamps; names that an earlier version wrote out are hashed.
pub(super) fn read_stamps(text: &[u8]) -> Stamps {
    let stamps: BTreeMap<String, Hash> = serde_json::from_slice(text).unwrap_or_default();
    stamps.into_iter().map(|(name, stamp)| (name.parse().unwrap_or_else(|_| Hash::of(name.as_bytes())), stamp)).collect()
}

pub(super) fn write_stamps(stamps: &Stamps) -> Vec<u8> {
    let stamps: BTreeMap<String, Hash> = stamps.iter().map(|(name, stamp)| (name.to_string(), *stamp)).collect();
    // Texts are always JSON.
    serde_json::to_vec(&stamps).unwrap_or_default()
}

pub(super) fn stamp_key(source: &str, session: &Session) -> Hash {
    // One session may lie in two places, and several in one file.
    let place = session.files.first().map(|file| file.path.display().to_string()).unwrap_or_default();
    Hash::of(format!("{source} {} {place}", session.id).as_bytes())
}

pub(super) fn stamp(session: &Session) -> Hash {
    // Texts and numbers are always JSON.
    Hash::of(&serde_json::to_vec(&(VERSION, session.stamp())).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::transcripts::SessionFile;

    #[test]
    fn a_stamp_names_neither_the_session_nor_its_project_and_those_of_before_still_count() {
        let path = PathBuf::from("/home/me/.claude/projects/secret-shop/5f1c.jsonl");
        let file = SessionFile { path, thread: None, family: Vec::new(), bytes: 7, modified: 1, is_live: false };
        let session = Session { id: "5f1c".to_owned(), project: "secret-shop".to_owned(), files: vec![file] };
        let stamps = Stamps::from([(stamp_key("claude-code", &session), stamp(&session))]);
        let written = write_stamps(&stamps);
        let text = String::from_utf8(written.clone()).unwrap();
        assert!(!text.contains("5f1c.jsonl") && !text.contains("secret-shop"), "{text}");
        assert_eq!(read_stamps(&written), stamps);
        let before = BTreeMap::from([(format!("claude-code 5f1c {}", session.files[0].path.display()), stamp(&session))]);
        assert_eq!(read_stamps(&serde_json::to_vec(&before).unwrap()), stamps);
        assert_eq!(read_stamps(b"no JSON"), Stamps::new());
    }
}
