//! What a person says about a run.

use super::Runs;
use crate::domain::event::{Envelope, Event, NoteAdded, NoteAddedPrivate};
use crate::domain::ids::{Hash, RunId};
use crate::domain::text::Text;
use crate::store;

/// The longest note in bytes, its tags included; whatever is longer is material, not a note.
pub const NOTE_BYTES_MAX: usize = 1024 * 1024;

/// Why a note cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// It is too long.
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes (1 MiB), the most that a note may have")]
    TooLong,
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Runs<'_> {
    /// Adds a person's note to a run; returns where it came to stand.
    ///
    /// # Errors
    /// When it is longer than [`NOTE_BYTES_MAX`], or the store cannot take it.
    pub(crate) fn note(
        &self,
        run: RunId,
        text: &str,
        rating: Option<u8>,
        tags: Vec<String>,
    ) -> Result<(Envelope, Hash), NoteError> {
        if text.len() + tags.iter().map(String::len).sum::<usize>() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let text = self.0.redactor.redact(text).into_owned();
        let tags = tags.iter().map(|tag| self.0.redactor.redact(tag).into_owned()).collect();
        let note = NoteAdded { rating, private: Some(NoteAddedPrivate { text: Text::Inline(text), tags }) };
        Ok(self.append_one(Event::from(note), Some(run))?)
    }
}
