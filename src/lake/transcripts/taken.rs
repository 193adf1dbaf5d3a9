//! What came of sessions, counted.

use std::collections::BTreeMap;

use crate::domain::money::{NanoUsd, TokenUsage};

/// What was taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Exchanges: attempts that were begun.
    pub exchanges: u64,
    /// Replies of models.
    pub calls: u64,
    /// Tools that were used.
    pub tools: u64,
    /// Tokens of the replies.
    pub usage: TokenUsage,
    /// What is known of their cost.
    pub cost: NanoUsd,
    /// Replies whose cost is not known: by model and reason.
    pub unpriced: BTreeMap<(String, &'static str), u64>,
    /// Replies that are not whole yet.
    pub unfinished: u64,
    /// Replies that were here in part and are counted whole now.
    pub corrected: u64,
}

impl Taken {
    /// Adds what another session had.
    pub fn add(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.calls += other.calls;
        self.tools += other.tools;
        self.usage = self.usage.plus(other.usage);
        self.cost = self.cost.plus(other.cost);
        self.unfinished += other.unfinished;
        self.corrected += other.corrected;
        for (what, count) in &other.unpriced {
            *self.unpriced.entry(what.clone()).or_default() += count;
        }
    }
}
