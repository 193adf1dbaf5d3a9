//! The events of a session, each with what a transcript can say of it and nothing else.

use crate::domain::event::{
    AgentFailed, AgentFailedPrivate, AgentPlanned, AgentPlannedPrivate, AgentSkipped, AgentSkippedPrivate, AgentSucceeded,
    AgentSucceededPrivate, AttemptOutcome, CallStarted, CallStartedPrivate, CostIncurred, CostIncurredPrivate, CostSource,
    Escalate, Event, FailureReason, Mode, OnFailure, Purpose, RunCancelled, RunCancelledPrivate, RunFailed, RunFailedPrivate,
    RunFailure, RunResumed, RunResumedPrivate, RunStarted, RunStartedPrivate, RunSucceeded, RunSucceededPrivate, SkipReason,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, ExecutorId, Hash, RunId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage, UnitPrices};
use crate::domain::prices::Priced;
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::views::imports;
use crate::views::stats::day_of;
use crate::views::transcripts::Key;

use super::Facts;

/// The base agent of agents of sessions.
const BASE: &str = "imported";
/// Up to here a million output tokens are what a cheap model costs, in nUSD.
const CHEAP_MAX: u64 = 5_000_000_000;
/// Up to here a million output tokens are what a capable model costs, in nUSD.
const CAPABLE_MAX: u64 = 15_000_000_000;

/// Returns the tier that a model's price puts it in; an unknown price says nothing, and the middle is taken.
pub(in crate::lake) fn tier_of(unit: Option<UnitPrices>) -> Tier {
    match unit.map(|unit| unit.output) {
        Some(..=CHEAP_MAX) => Tier::Cheap,
        Some(..=CAPABLE_MAX) | None => Tier::Capable,
        Some(_) => Tier::Premium,
    }
}

/// What a run begins with.
pub(super) struct Start<'a> {
    pub source: &'a str,
    pub foreign: Option<String>,
    pub digest: Hash,
    pub family: Option<&'a str>,
    pub prices_as_of: &'a str,
    pub prices_hash: Hash,
    pub folder: String,
    pub labels: Vec<(String, String)>,
}

pub(super) fn run_started(id: RunId, start: Start<'_>) -> Event {
    let nothing = || Text::Inline("{}".to_owned());
    RunStarted {
        template_id: start.source.to_owned(),
        template_version: String::new(),
        template_hash: Hash::default(),
        source: Some(start.source.to_owned()),
        mode: Mode::Imported,
        strategy: None,
        budget: None,
        allow_unpriced: true,
        escalate: Escalate::Auto,
        jobs: 1,
        seed: 0,
        prices_as_of: start.prices_as_of.to_owned(),
        prices_hash: start.prices_hash,
        meno_version: env!("CARGO_PKG_VERSION").to_owned(),
        executor: ExecutorId(id.0),
        private: Some(RunStartedPrivate {
            foreign_run_id: start.foreign,
            template: nothing(),
            base_agents: nothing(),
            settings: Text::Inline(imports::settings_of_family(&start.digest, start.family)),
            prices: nothing(),
            workspace: start.folder,
            user: String::new(),
            labels: start.labels,
        }),
    }
    .into()
}

pub(super) fn run_resumed(id: RunId) -> Event {
    RunResumed {
        executor: ExecutorId(id.0),
        retry_failed: false,
        meno_version: env!("CARGO_PKG_VERSION").to_owned(),
        budget: None,
        agent_budgets: Vec::new(),
        allow_unpriced: false,
        private: Some(RunResumedPrivate {}),
    }
    .into()
}

pub(super) fn agent_planned(agent: AgentNo, thread: Option<&str>, tier: Tier, task: String) -> Event {
    let strategy = match tier {
        Tier::Cheap => Strategy::Progressive,
        Tier::Capable => Strategy::CapableFirst,
        Tier::Premium => Strategy::PremiumOnly,
    };
    AgentPlanned {
        agent,
        rule: agent,
        role: if thread.is_some() { "subagent" } else { "main" }.to_owned(),
        base: BASE.to_owned(),
        strategy,
        tools: Vec::new(),
        depends_on: Vec::new(),
        max_attempts_per_tier: 1,
        budget: None,
        on_failure: OnFailure::Continue,
        strict: false,
        threshold: None,
        private: Some(AgentPlannedPrivate {
            item: thread.map(str::to_owned),
            config: "{}".to_owned(),
            criteria: "[]".to_owned(),
            task,
            because: String::new(),
        }),
    }
    .into()
}

/// Where a call belongs.
#[derive(Clone, Copy)]
pub(super) struct CallPlace {
    pub call: CallNo,
    pub agent: AgentNo,
    pub attempt: AttemptNo,
}

pub(super) fn call_started(at: CallPlace, asked_at: TimeNs, provider: &str, model: &str, key: Key) -> Event {
    let nothing = || Text::Inline(String::new());
    CallStarted {
        call: at.call,
        agent: at.agent,
        attempt: at.attempt,
        purpose: Purpose::Work,
        provider: provider.to_owned(),
        model: model.to_owned(),
        estimated_input: 0,
        max_output: 0,
        reserved: None,
        day: u32::try_from(day_of(asked_at)).unwrap_or(0),
        private: Some(CallStartedPrivate {
            system: nothing(),
            prompt: nothing(),
            transcript: None,
            parameters: key.to_parameters(),
        }),
    }
    .into()
}

pub(super) fn cost(
    at: CallPlace,
    provider: &str,
    model: &str,
    reported: Option<NanoUsd>,
    usage: TokenUsage,
    priced: Option<Priced>,
) -> Event {
    CostIncurred {
        call: Some(at.call),
        agent: at.agent,
        attempt: at.attempt,
        tier: tier_of(priced.map(|priced| priced.unit)),
        purpose: Purpose::Work,
        provider: Some(provider.to_owned()),
        model: Some(model.to_owned()),
        amount: priced.map(|priced| priced.amount),
        usage: Some(usage),
        unit_prices: priced.map(|priced| priced.unit),
        band_above: priced.map_or(0, |priced| priced.band_above),
        source: CostSource::Estimated,
        reported,
        private: Some(CostIncurredPrivate {}),
    }
    .into()
}

/// Returns how an agent stands by its last attempt; nobody has judged it.
pub(super) fn agent_decided(agent: AgentNo, attempt: AttemptNo, outcome: AttemptOutcome, why: &str) -> Event {
    match outcome {
        AttemptOutcome::Error => {
            let private = Some(AgentFailedPrivate { message: why.to_owned() });
            AgentFailed { agent, reason: FailureReason::Imported, private }.into()
        }
        AttemptOutcome::Cancelled | AttemptOutcome::Lost => {
            AgentSkipped { agent, because: SkipReason::Cancelled, cause: None, private: Some(AgentSkippedPrivate {}) }.into()
        }
        AttemptOutcome::Passed | AttemptOutcome::FailedCriteria => {
            AgentSucceeded { agent, attempt, verified: false, private: Some(AgentSucceededPrivate {}) }.into()
        }
    }
}

/// Returns how a session stands by the last exchange of its main thread.
pub(super) fn run_ended(outcome: AttemptOutcome, why: &str) -> Event {
    match outcome {
        AttemptOutcome::Error => {
            let private = Some(RunFailedPrivate { message: why.to_owned() });
            RunFailed { reason: RunFailure::Imported, private }.into()
        }
        AttemptOutcome::Cancelled | AttemptOutcome::Lost => RunCancelled { private: Some(RunCancelledPrivate {}) }.into(),
        AttemptOutcome::Passed | AttemptOutcome::FailedCriteria => {
            RunSucceeded { verified: false, private: Some(RunSucceededPrivate {}) }.into()
        }
    }
}

/// Returns the labels of a session: its project is the last part of its folder.
pub(super) fn labels(facts: &Facts, project: &str) -> Vec<(String, String)> {
    let last = facts.folder.as_deref().and_then(|folder| folder.rsplit(['/', '\\']).find(|part| !part.is_empty()));
    let mut labels = vec![("project".to_owned(), last.unwrap_or(project).to_owned())];
    labels.extend(facts.branch.clone().filter(|branch| !branch.is_empty()).map(|branch| ("branch".to_owned(), branch)));
    labels.extend(facts.version.clone().filter(|version| !version.is_empty()).map(|version| ("version".to_owned(), version)));
    labels
}
