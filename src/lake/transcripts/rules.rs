//! By what sessions become events: whose prices they have, what is taken out of their texts, and how their names are written in public.

use super::{Session, ToolResults};
use crate::domain::ids::{Hash, NodeId};
use crate::domain::prices::PriceTable;
use crate::domain::redact::Redactor;
use crate::domain::text::Text;
use crate::views::imports::Origin;

/// Characters that a public name has at most.
const NAME_CHARS_MAX: usize = 100;

/// By what sessions of one source become events.
pub struct Rules<'a> {
    /// The source's name.
    pub source: &'static str,
    /// Whose prices its models have.
    pub provider: &'static str,
    /// Takes secrets out of every text.
    pub redactor: &'a Redactor,
    /// The prices.
    pub prices: &'a PriceTable,
    /// Their hash.
    pub prices_hash: Hash,
    /// How much of what tools answered is kept.
    pub tool_results: ToolResults,
}

impl Rules<'_> {
    /// Returns by what a session is found again, with the id that may be kept of it.
    pub fn origin(&self, session: &Session) -> (Origin, Option<String>, Hash) {
        self.origin_of(&session.id)
    }

    /// The same for a session with this id.
    pub fn origin_of(&self, id: &str) -> (Origin, Option<String>, Hash) {
        let digest = Hash::of(id.as_bytes());
        let foreign = Some(id.to_owned()).filter(|id| !self.redactor.finds(id));
        (Origin::new(self.source, foreign.as_deref(), digest), foreign, digest)
    }

    /// Returns by what the part of a session that `node` alone has is told apart from what other stores have of it.
    pub fn origin_apart(&self, session: &Session, node: NodeId) -> Origin {
        let (_, foreign, digest) = self.origin(session);
        let foreign = foreign.map(|id| format!("{node} {id}"));
        let digest = Hash::of(format!("{node} {digest}").as_bytes());
        Origin::new(self.source, foreign.as_deref(), digest)
    }

    /// Takes secrets out of a text.
    pub(super) fn clean(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    /// Returns what is kept of a tool's answer.
    pub(super) fn result(&self, text: &str) -> Text {
        /// Bytes that are kept unless everything is asked for.
        const RESULT_BYTES_MAX: usize = 8 * 1024;
        /// Bytes beyond the cut that are looked at, so that a secret is seen whole that begins before it.
        const BEYOND: usize = 1024;
        /// Bytes for the words that something was left out.
        const NOTE_BYTES: usize = 80;
        match self.tool_results {
            ToolResults::None => Text::Withheld,
            ToolResults::Short if text.len() > RESULT_BYTES_MAX => {
                let clean = self.clean(&text[..text.floor_char_boundary(RESULT_BYTES_MAX + BEYOND)]);
                let kept = &clean[..clean.floor_char_boundary(RESULT_BYTES_MAX - NOTE_BYTES)];
                Text::Inline(format!("{kept}\n(the rest of {} bytes was not imported)", text.len()))
            }
            ToolResults::All | ToolResults::Short => Text::Inline(self.clean(text)),
        }
    }

    /// Returns a name of a tool, a model or a provider as the public part of an event may have it: without what looks like a secret,
    /// short, and of the characters that such names have.
    pub(super) fn name(&self, name: &str) -> String {
        if self.redactor.finds(name) {
            return "redacted".to_owned();
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.:/@+[]".contains(c) { c } else { '_' };
        name.trim().chars().take(NAME_CHARS_MAX).map(plain).collect()
    }
}
