//! What a search is asked for, put together one thing at a time.

use std::time::Duration;

use jiff::Zoned;
use serde::{Deserialize, Serialize};

/// How long the index may take to catch up before an answer, unless another time is said.
const CATCH_UP: Duration = Duration::from_millis(1500);
/// Runs that an answer names, unless another number is said.
const HITS: usize = 10;

/// What a search is asked for.
///
/// ```
/// use meno::workspace::SearchRequest;
///
/// let request = SearchRequest::new("failed releases in october").limit(5);
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The question.
    pub query: String,
    /// Runs to be named, at most.
    pub limit: usize,
    /// By words alone.
    pub lexical_only: bool,
    /// The moment and the zone in which dates are read: RFC 9557.
    pub now: String,
    /// How long the index may take to catch up before the answer, in milliseconds.
    pub catch_up_ms: u64,
}

impl SearchRequest {
    /// A search by words and by meaning, as of now in the system's time zone.
    pub fn new(query: impl Into<String>) -> Self {
        Self {
            query: query.into(),
            limit: HITS,
            lexical_only: false,
            now: Zoned::now().to_string(),
            catch_up_ms: CATCH_UP.as_millis() as u64,
        }
    }

    /// Sets how many runs are named, at most.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Searches by words alone, without the embedding model.
    #[must_use]
    pub fn lexical_only(mut self, lexical_only: bool) -> Self {
        self.lexical_only = lexical_only;
        self
    }

    /// Sets how long the index may take to catch up with the log before the answer.
    #[must_use]
    pub fn catch_up(mut self, patience: Duration) -> Self {
        self.catch_up_ms = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the moment from which `last week` is counted, and the zone in which dates are read.
    #[must_use]
    pub fn now(mut self, now: &Zoned) -> Self {
        self.now = now.to_string();
        self
    }
}
