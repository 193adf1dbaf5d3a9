//! Which calls' costs are not known: the one rule behind `cost_complete`, in lists and in stories.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::event::{CostIncurred, Event};
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
    /// A try failed of which nobody said what it used.
    untold: BTreeSet<CallNo>,
    /// Another system made the calls: what it did not say was not lost.
    is_imported: bool,
}

impl OpenCosts {
    /// Returns how many calls have no end in the log.
    pub fn without_end(&self) -> usize {
        self.running.len()
    }

    /// Takes in one event. What failed tries cost on the way settles nothing: the call itself is still to be paid.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::RunStarted(body) => self.is_imported = body.is_imported(),
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
                let Some(call) = body.call else { return };
                self.replied.remove(&call);
                if body.is_untold() && !self.is_imported {
                    self.untold.insert(call);
                }
            }
            _ => {}
        }
    }

    /// Returns whether the cost of every call is known.
    pub fn is_settled(&self) -> bool {
        self.running.is_empty() && self.replied.is_empty() && self.lost.is_empty() && self.untold.is_empty()
    }

    /// Returns whether the cost of `call` is not known, or not yet.
    pub fn is_open(&self, call: CallNo) -> bool {
        [&self.running, &self.replied, &self.lost, &self.untold].iter().any(|open| open.contains(&call))
    }

    /// Returns whether a cost is not known because its model has no price, or because another system did not say it.
    pub fn lacks_price(&self, body: &CostIncurred) -> bool {
        body.amount.is_none() && (self.is_imported || !body.is_untold())
    }

    /// Returns how many calls' costs will never be known.
    pub fn n_lost(&self) -> u64 {
        self.lost.union(&self.untold).count() as u64
    }
}
