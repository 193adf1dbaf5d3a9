//! Replies of which only a part was there when they were taken in: what they have more is a further charge of the same call.
//!
//! A reply is written several times while it streams, and a file may end in the middle of it. Events never change, so what the whole reply
//! used beyond what was counted comes as one more [`CostIncurred`](crate::domain::event::CostIncurred) of its call, at the moment at which
//! that began: tokens by kind, and what the whole costs less what was counted. It is the same call, so nothing counts twice; and what the
//! log has counted so far says whether there is more to come, so a repeated import adds nothing.

use super::conversation::Conversation;
use super::resume::RecordedSession;
use super::rules::Rules;
use super::taken::Taken;
use super::{Reply, events};
use crate::domain::event::{CostSource, Event, Purpose};
use crate::domain::ids::{CallNo, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::Priced;
use crate::domain::tier::Tier;
use crate::lake::call_events::{CallCost, CallModel, CallPlace, is_plausible};
use crate::lake::resold::price_of;
use crate::views::status::RunStatus;
use crate::views::transcripts::Key;

/// A reply that another run has, as it is told here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retold {
    /// The run.
    pub run: RunId,
    key: Key,
    at: TimeNs,
    usage: TokenUsage,
    unpriced_because: Option<&'static str>,
}

/// A further charge of a call.
struct Charge {
    event: Event,
    started_at: TimeNs,
    usage: TokenUsage,
    amount: Option<NanoUsd>,
}

impl Charge {
    fn count(&self, taken: &mut Taken) {
        taken.corrected += 1;
        taken.usage = taken.usage.plus(self.usage);
        taken.cost = taken.cost.plus(self.amount.unwrap_or_default());
    }
}

impl Conversation<'_> {
    /// Takes in a reply that is here already, in whichever run: its tools may have been at work when it was taken in, and it may have
    /// been there in part.
    pub(super) fn tell_again(&mut self, place: usize, at: TimeNs, (run, key): (RunId, Key), reply: Reply) {
        let usage = reply.usage.filter(is_plausible);
        if self.run != Some(run) {
            let retold = |usage| Retold { run, key, at, usage, unpriced_because: reply.unpriced_because };
            self.retold.extend(usage.map(retold));
            return;
        }
        let Some(call) = self.known.replies.get_only(key) else { return };
        let started = self.known.counted.get(&call).map_or(u32::MAX, |call| call.tools);
        for (tool, number) in reply.tools.into_iter().zip(0..) {
            if number >= started {
                self.start_tool(place, run, (call, number), tool, at);
            } else if self.known.open_tools.contains(&(call, number)) {
                self.await_tool(place, tool.id, (call, number), at);
            }
        }
        let charge = usage.and_then(|usage| charge(self.rules, &self.known, call, usage, reply.unpriced_because, at));
        if let Some(charge) = charge {
            charge.count(&mut self.taken);
            self.emit(run, charge.event, Some(charge.started_at));
        }
    }

    /// Returns how many replies of other runs were told since they were taken last.
    pub fn retold(&self) -> usize {
        self.retold.len()
    }

    /// Returns the replies of other runs that were told since the last call.
    pub fn drain_retold(&mut self) -> Vec<Retold> {
        std::mem::take(&mut self.retold)
    }
}

/// Returns the events that bring the replies of one run up to what was told of them, and what they add; none when it has them whole.
pub fn correct(
    rules: &Rules<'_>,
    run: RunId,
    known: &mut RecordedSession,
    retold: &[Retold],
) -> (Vec<(Event, Option<TimeNs>)>, Taken) {
    let (mut charges, mut taken) = (Vec::new(), Taken::default());
    for told in retold {
        let Some(call) = known.replies.get_only(told.key) else { continue };
        let Some(charge) = charge(rules, known, call, told.usage, told.unpriced_because, told.at) else { continue };
        charge.count(&mut taken);
        known.count(&charge.event, charge.started_at);
        charges.push((charge.event, Some(charge.started_at)));
    }
    if let Some((ended, at)) = known.ended.clone().filter(|_| !charges.is_empty() && known.status.is_some_and(RunStatus::ended)) {
        charges.insert(0, (events::run_resumed(run), at));
        charges.push((ended, at));
    }
    (charges, taken)
}

/// Returns what is charged for what a reply used beyond what was counted; `None` when that was all, or more.
fn charge(
    rules: &Rules<'_>,
    known: &RecordedSession,
    number: CallNo,
    whole: TokenUsage,
    unpriced_because: Option<&'static str>,
    at: TimeNs,
) -> Option<Charge> {
    let call = known.counted.get(&number)?;
    let more = whole.beyond(call.usage.unwrap_or_default())?;
    let (provider, model) = known.models.get(call.model)?;
    let priced = price_of(rules.prices, provider, model, &whole, at).filter(|_| unpriced_because.is_none());
    let amount = priced.map(|priced| NanoUsd(priced.amount.0.saturating_sub(call.amount.0)));
    let priced = priced.zip(amount).map(|(priced, amount)| Priced { amount, ..priced });
    let of = CallModel { provider, model, purpose: Purpose::Work, tier: call.tier.unwrap_or(Tier::Capable) };
    let cost = CallCost { amount, source: CostSource::Estimated, priced, reported: None };
    let place = CallPlace { call: number, agent: call.agent, attempt: call.attempt };
    Some(Charge { event: place.cost(of, Some(more), cost), started_at: call.started_at, usage: more, amount })
}
