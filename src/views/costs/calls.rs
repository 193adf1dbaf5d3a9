//! One row per model call, in the order of time: what telemetry is read from. It says how much and how long, never what.

use serde::{Deserialize, Serialize};

use super::super::rows::{Key, KeyReader};
use super::super::status::CallStatus;
use crate::domain::event::Purpose;
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, RunId, TimeNs};
use crate::domain::money::TokenUsage;
use crate::domain::tier::Tier;

/// First byte of these rows' keys.
pub const KIND: u8 = b'c';

/// Which call a row is about. An attempt that another system made has the number 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CallKey {
    /// When it began, in ns since the epoch.
    pub at: TimeNs,
    /// The run.
    pub run: RunId,
    /// The agent.
    pub agent: AgentNo,
    /// The attempt.
    pub attempt: AttemptNo,
    /// The call's number within the run.
    pub call: CallNo,
}

impl CallKey {
    /// Returns the key's bytes; they begin with the time.
    pub fn to_bytes(self) -> Vec<u8> {
        let numbers = [self.agent, self.attempt, self.call].map(u32::to_be_bytes).concat();
        Self::from_time(self.at).bytes(&self.run.to_bytes()).bytes(&numbers).finish()
    }

    /// Returns the beginning of the keys of a moment.
    pub fn from_time(at: TimeNs) -> Key {
        Key::new(KIND).signed(at)
    }

    /// Reads a key.
    pub fn read(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        let (at, run) = (reader.signed()?, RunId::from_bytes(reader.bytes(16)?.try_into().ok()?));
        let mut number = || Some(u32::from_be_bytes(reader.bytes(4)?.try_into().ok()?));
        Some(Self { at, run, agent: number()?, attempt: number()?, call: number()? })
    }
}

/// One model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallRow {
    /// Work or judging.
    pub purpose: Purpose,
    /// The tier.
    pub tier: Tier,
    /// The provider's name in the settings; empty when not known.
    pub provider: String,
    /// The model; empty when not known.
    pub model: String,
    /// Where it stands.
    pub status: CallStatus,
    /// What is known of its cost, failed tries included, in nUSD.
    pub amount: u64,
    /// Charges of it so far.
    pub charges: u32,
    /// Of them, those whose amount is not known.
    pub unknown: u32,
    /// Tokens, as far as known.
    pub usage: TokenUsage,
    /// Something is known of its tokens: without, zeros say nothing.
    pub told: bool,
    /// From the request's start to its end, retries included, in milliseconds.
    pub latency_ms: Option<u64>,
    /// From the last try's start to the first piece of output, in milliseconds.
    pub first_token_ms: Option<u64>,
    /// Tries that failed and were repeated.
    pub retries: u32,
}

impl CallRow {
    /// Returns its tokens; `None` when nothing is known of them.
    pub fn known_usage(&self) -> Option<TokenUsage> {
        Some(self.usage).filter(|_| self.told)
    }

    /// Returns what it cost, in nUSD; `None` when that is not known, or not yet.
    pub fn cost(&self) -> Option<u64> {
        let is_over = match self.status {
            CallStatus::Replied => self.charges > 0,
            CallStatus::Failed => true,
            CallStatus::Cancelled => self.charges > 0,
            CallStatus::Running | CallStatus::Lost => false,
        };
        (is_over && self.unknown == 0).then_some(self.amount)
    }
}
