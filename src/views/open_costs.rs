//! Which calls' costs are not known: the one rule behind `cost_complete`, in lists and in stories.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::ids::CallNo;

/// The calls of a run whose cost is still to come, or will never be known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCosts {
    /// No end is recorded.
    running: BTreeSet<CallNo>,
    /// Replied; the cost follows.
    replied: BTreeSet<CallNo>,
    /// Lost, or dropped with unknown usage. A reply that was saved aside may still come.
    lost: BTreeSet<CallNo>,
}

impl OpenCosts {
    /// Returns how many calls have no end in the log.
    pub fn without_end(&self) -> usize {
        self.running.len()
    }

    /// Takes in one event. What failed tries cost on the way settles nothing: the call itself is still to be paid.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::CallStarted(body) => {
                self.running.insert(body.call);
            }
            Event::CallReplied(body) => {
                self.running.remove(&body.call);
                self.lost.remove(&body.call);
                self.replied.insert(body.call);
            }
            Event::CallFailed(body) => {
                self.running.remove(&body.call);
            }
            Event::CallCancelled(body) => {
                self.running.remove(&body.call);
                if body.usage.is_none() {
                    self.lost.insert(body.call);
                }
            }
            Event::CallLost(body) => {
                self.running.remove(&body.call);
                self.lost.insert(body.call);
            }
            Event::CostIncurred(body) => {
                body.call.map(|call| self.replied.remove(&call));
            }
            _ => {}
        }
    }

    /// Returns whether the cost of every call is known.
    pub fn is_settled(&self) -> bool {
        self.running.is_empty() && self.replied.is_empty() && self.lost.is_empty()
    }

    /// Returns whether the cost of `call` is not known, or not yet.
    pub fn is_open(&self, call: CallNo) -> bool {
        self.running.contains(&call) || self.replied.contains(&call) || self.lost.contains(&call)
    }

    /// Returns how many calls' costs will never be known.
    pub fn n_lost(&self) -> u64 {
        self.lost.len() as u64
    }
}
