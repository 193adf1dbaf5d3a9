//! What each UTC day has spent and reserved, for budgets that runs of several processes share.

use std::collections::{HashMap, HashSet};

use crate::domain::event::{Event, Mode};
use crate::domain::ids::{CallNo, RunId};
use crate::domain::money::NanoUsd;
use crate::store::codec::{self, Decoded};
use crate::store::log::Stored;
use crate::store::owned::Ledger;

/// Folds calls and costs of real runs into days. A call counts on the day that it started.
#[derive(Debug, Default)]
pub(in crate::workspace) struct DayLedger {
    days: HashMap<u32, u64>,
    calls: HashMap<(RunId, CallNo), Account>,
    /// Runs that cost nothing real.
    unreal: HashSet<RunId>,
}

/// What one call has in its day's account.
#[derive(Clone, Copy, Debug)]
struct Account {
    day: u32,
    spent: u64,
    reserved: u64,
}

impl DayLedger {
    fn change(&mut self, call: (RunId, CallNo), change: impl FnOnce(&mut Account)) {
        if let Some(account) = self.calls.get_mut(&call) {
            let before = account.spent.saturating_add(account.reserved);
            change(account);
            let sum = self.days.entry(account.day).or_default();
            *sum = sum.saturating_sub(before).saturating_add(account.spent.saturating_add(account.reserved));
        }
    }
}

impl Ledger for DayLedger {
    fn reset(&mut self) {
        *self = Self::default();
    }

    fn apply(&mut self, stored: &Stored) {
        let Some(run) = stored.envelope.run else { return };
        // An event that cannot be read holds no amount that could be counted; audits report it.
        let Ok(Decoded::Known(recorded)) = codec::decode(stored) else { return };
        match recorded.event {
            Event::RunStarted(started) if started.mode != Mode::Real => {
                self.unreal.insert(run);
            }
            Event::CallStarted(call) if !self.unreal.contains(&run) => {
                self.calls.insert((run, call.call), Account { day: call.day, spent: 0, reserved: 0 });
                self.change((run, call.call), |account| account.reserved = call.reserved.unwrap_or_default().0);
            }
            Event::CostIncurred(cost) => {
                let amount = cost.amount.unwrap_or_default().0;
                if let Some(call) = cost.call {
                    self.change((run, call), |account| account.spent = account.spent.saturating_add(amount));
                }
            }
            // A call that ended keeps nothing set aside; of one that was lost or dropped nobody knows what it cost.
            Event::CallReplied(call) => self.change((run, call.call), |account| account.reserved = 0),
            Event::CallFailed(call) => self.change((run, call.call), |account| account.reserved = 0),
            _ => {}
        }
    }

    fn used(&self, day: u32) -> NanoUsd {
        NanoUsd(self.days.get(&day).copied().unwrap_or_default())
    }
}
