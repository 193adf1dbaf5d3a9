//! What ended by a failure of configuration: the one rule by which attempts, agents and runs are left out of what experience says.
//!
//! A key that is missing or not accepted, a model that does not exist or has no price under a budget, parameters that are refused, a
//! server that cannot be reached: none of it says anything of a tier, a criterion or a template, and nothing was spent or learned.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::event::{AttemptOutcome, ErrorClass, Event, FailureReason, OnFailure, Purpose, Signal};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo};
use crate::domain::run::NO_PRICE;

/// Says how many runs are left out because a failure of configuration ended them; `None` when there are none.
pub fn left_out_words(runs: u64) -> Option<String> {
    let noun = if runs == 1 { "run" } else { "runs" };
    (runs > 0).then(|| format!("left out: {runs} {noun} that could not work (key, model, price or server)"))
}

/// What of a run ended by a failure of configuration so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misconfigured {
    /// Calls for work that have not ended.
    calls: BTreeMap<CallNo, (AgentNo, AttemptNo)>,
    /// Attempts under way that a model has replied to.
    replied: BTreeSet<(AgentNo, AttemptNo)>,
    /// Attempts under way whose last call met no model.
    unmet: BTreeSet<(AgentNo, AttemptNo)>,
    /// Attempts that ended so.
    attempts: BTreeSet<(AgentNo, AttemptNo)>,
    /// Agents whose last attempt ended so.
    stuck: BTreeSet<AgentNo>,
    /// Agents whose failure does not fail the run.
    optional: BTreeSet<AgentNo>,
    /// Agents that failed, and whether by that.
    failed: BTreeMap<AgentNo, bool>,
}

impl Misconfigured {
    /// Takes in the run's next event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::AgentPlanned(body) if body.on_failure == OnFailure::Continue => drop(self.optional.insert(body.agent)),
            Event::CallStarted(body) if body.purpose == Purpose::Work => {
                self.calls.insert(body.call, (body.agent, body.attempt));
            }
            Event::CallReplied(body) => {
                if let Some(attempt) = self.calls.remove(&body.call) {
                    self.unmet.remove(&attempt);
                    self.replied.insert(attempt);
                }
            }
            Event::CallFailed(body) => {
                if let Some(attempt) = self.calls.remove(&body.call) {
                    self.call_failed(attempt, body.class);
                }
            }
            Event::CallCancelled(body) => drop(self.calls.remove(&body.call)),
            Event::CallLost(body) => drop(self.calls.remove(&body.call)),
            Event::AttemptEnded(body) => {
                let attempt = (body.agent, body.attempt);
                let is_unmet = self.unmet.remove(&attempt) || body.signals.contains(&Signal::Configuration);
                self.replied.remove(&attempt);
                self.attempt_ended(attempt, body.outcome == AttemptOutcome::Error && is_unmet);
            }
            Event::AttemptInherited(body) => {
                let is_unmet = body.signals.contains(&Signal::Configuration);
                self.attempt_ended((body.agent, body.attempt), body.outcome == AttemptOutcome::Error && is_unmet);
            }
            Event::AgentFailed(body) => {
                let by_it = match body.reason {
                    FailureReason::Configuration | FailureReason::NotAllowed => true,
                    FailureReason::Budget => body.private.as_ref().is_some_and(|private| private.message.contains(NO_PRICE)),
                    FailureReason::TiersExhausted | FailureReason::NeverEscalate | FailureReason::Denied => {
                        self.stuck.contains(&body.agent)
                    }
                    FailureReason::Context | FailureReason::Imported => false,
                };
                self.failed.insert(body.agent, by_it);
            }
            Event::AgentSucceeded(body) => drop(self.failed.remove(&body.agent)),
            Event::RunResumed(body) if body.retry_failed => self.failed.clear(),
            _ => {}
        }
    }

    fn call_failed(&mut self, attempt: (AgentNo, AttemptNo), class: ErrorClass) {
        // A connection that broke off after a reply was there before.
        let is_unmet = class.is_configuration() || (class == ErrorClass::Connection && !self.replied.contains(&attempt));
        if is_unmet {
            self.unmet.insert(attempt)
        } else {
            self.unmet.remove(&attempt)
        };
    }

    fn attempt_ended(&mut self, attempt: (AgentNo, AttemptNo), by_it: bool) {
        if by_it {
            self.attempts.insert(attempt);
            self.stuck.insert(attempt.0);
        } else {
            self.attempts.remove(&attempt);
            self.stuck.remove(&attempt.0);
        }
    }

    /// Tells whether an attempt ended by a failure of configuration.
    pub fn attempt(&self, agent: AgentNo, attempt: AttemptNo) -> bool {
        self.attempts.contains(&(agent, attempt))
    }

    /// Tells whether an agent did.
    pub fn agent(&self, agent: AgentNo) -> bool {
        self.failed.get(&agent) == Some(&true)
    }

    /// Tells whether a run that ended without success did: every failure that counts was one of configuration.
    pub fn run(&self) -> bool {
        let is_optional = |agent: &AgentNo| self.optional.contains(agent);
        // Where only agents failed that may fail, none of the others was there to succeed.
        let all_optional = self.failed.keys().all(is_optional);
        let mut counted = self.failed.iter().filter(|(agent, _)| all_optional || !is_optional(agent)).map(|(_, by_it)| *by_it);
        counted.next().is_some_and(|first| first && counted.all(|by_it| by_it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::*;
    use crate::domain::tier::Tier;
    use crate::views::sample;

    fn fold(events: impl IntoIterator<Item = Event>) -> Misconfigured {
        let mut found = Misconfigured::default();
        events.into_iter().for_each(|event| found.apply(&event));
        found
    }

    pub(crate) fn call_failed(call: u32, class: ErrorClass) -> Event {
        CallFailed { call, class, status: None, retryable: false, usage: None, latency_ms: 1, private: None }.into()
    }

    pub(crate) fn attempt_failed(agent: u32, attempt: u32, signal: Signal) -> Event {
        let (outcome, signals) = (AttemptOutcome::Error, vec![signal]);
        AttemptEnded { agent, attempt, outcome, verified: false, signals, duration_ms: 1, private: None }.into()
    }

    pub(crate) fn agent_failed(agent: u32, reason: FailureReason, message: &str) -> Event {
        AgentFailed { agent, reason, private: Some(AgentFailedPrivate { message: message.into() }) }.into()
    }

    /// An agent whose only attempt meets such a failure.
    fn agent(number: u32, class: ErrorClass, signal: Signal, reason: FailureReason) -> Vec<Event> {
        vec![
            sample::planned(number, "linter", None),
            sample::attempt_started(number, 1, Tier::Cheap),
            sample::call_started(number + 1, number, 1, Purpose::Work),
            call_failed(number + 1, class),
            attempt_failed(number, 1, signal),
            agent_failed(number, reason, "x"),
        ]
    }

    #[test]
    fn keys_models_requests_and_servers_that_are_wrong_are_failures_of_configuration() {
        let unmet = [ErrorClass::Auth, ErrorClass::UnknownModel, ErrorClass::BadRequest, ErrorClass::Forbidden];
        for class in unmet {
            let found = fold(agent(0, class, Signal::Configuration, FailureReason::Configuration));
            assert!(found.attempt(0, 1) && found.agent(0) && found.run(), "{class}");
        }
        let found = fold(agent(0, ErrorClass::Connection, Signal::Unavailable, FailureReason::TiersExhausted));
        assert!(found.attempt(0, 1) && found.agent(0) && found.run());
        for class in [ErrorClass::Server, ErrorClass::RateLimit, ErrorClass::Timeout, ErrorClass::Quota] {
            let found = fold(agent(0, class, Signal::Unavailable, FailureReason::TiersExhausted));
            assert!(!found.attempt(0, 1) && !found.agent(0) && !found.run(), "{class}");
        }
    }

    #[test]
    fn a_connection_that_broke_after_a_reply_is_none() {
        let found = fold([
            sample::call_started(1, 0, 1, Purpose::Work),
            sample::replied(1, "a tool, please"),
            sample::call_started(2, 0, 1, Purpose::Work),
            call_failed(2, ErrorClass::Connection),
            attempt_failed(0, 1, Signal::Unavailable),
        ]);
        assert!(!found.attempt(0, 1));
    }

    #[test]
    fn a_model_without_a_price_is_one_and_a_budget_that_is_used_up_is_none() {
        let refused = |message: &str| fold([agent_failed(0, FailureReason::Budget, message)]);
        assert!(refused("model `m` has no price, so the run's budget of $1.00 cannot hold").run());
        assert!(!refused("the next call may cost $0.09, $0.02 is left").run());
    }

    #[test]
    fn a_run_that_failed_otherwise_too_counts() {
        let mut events = agent(0, ErrorClass::Auth, Signal::Configuration, FailureReason::Configuration);
        events.extend([sample::planned(1, "auditor", None), sample::agent_failed(1)]);
        let found = fold(events.clone());
        assert!(found.agent(0) && !found.agent(1) && !found.run());
        // What may fail does not decide.
        let Event::AgentPlanned(mut optional) = sample::planned(1, "auditor", None) else { unreachable!("it is a plan") };
        optional.on_failure = OnFailure::Continue;
        events[6] = optional.into();
        assert!(fold(events).run());
    }

    #[test]
    fn what_is_tried_again_with_a_key_counts() {
        let mut events = agent(0, ErrorClass::Auth, Signal::Configuration, FailureReason::Configuration);
        events.push(sample::resumed(true));
        let found = fold(events.clone());
        assert!(!found.agent(0) && !found.run() && found.attempt(0, 1));
        events.extend([sample::attempt_ended(0, 2, AttemptOutcome::FailedCriteria)]);
        events.push(agent_failed(0, FailureReason::TiersExhausted, "x"));
        let found = fold(events);
        assert!(!found.agent(0) && !found.run() && found.attempt(0, 1) && !found.attempt(0, 2));
    }
}
