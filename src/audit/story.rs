//! One run's events, each looked at by itself: may it stand where it stands, and is what it says true of what came before?
//!
//! The rules here are said anew, not taken from the code that decides: what they find is found even when that code is wrong. They need
//! the state before an event and the run's recorded ground, never a file. Whether the bytes are those that were written is not asked.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Check, Findings, Location};
use super::{judging, money, tools};
use crate::domain::answers::Answers;
use crate::domain::event::{
    AgentPlanned, AgentSucceeded, AttemptEnded, AttemptOutcome, Envelope, Escalate, Event, Fact, FactObserved, Recorded,
    RunStarted, TierEscalated, Verdict,
};
use crate::domain::ids::{AgentNo, CallNo, Hash, RunId};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::run::{Agent, AgentStatus, Basis, CallState, Causes, Observation, Phase, Run};
use crate::domain::team::{self, PlanDefaults, Team};
use crate::domain::text::Text;

/// The audit of one run, event by event.
#[derive(Debug)]
pub struct RunAudit {
    id: RunId,
    /// What is known before the next event.
    pub(super) run: Run,
    pub(super) basis: Option<Basis>,
    pub(super) is_imported: bool,
    /// Some private part or text is gone, so what depends on it cannot be told.
    pub(super) gone: Gone,
    /// The team that the answers call for; made when the form is complete.
    team: Option<Team>,
    /// Agents whose climb was allowed and has not happened.
    granted: BTreeSet<AgentNo>,
    /// What judging models said in attempts that are open; `None` when it is gone.
    pub(super) judge_replies: BTreeMap<CallNo, Option<String>>,
    /// A call whose tokens are known and whose cost must follow.
    pub(super) owed: Option<money::Owed>,
    /// What was charged for each call of another system so far: what is told of it later adds to that.
    pub(super) counted: BTreeMap<CallNo, (TokenUsage, NanoUsd)>,
    versions: u64,
    /// Positions of what later events may follow from.
    causes: Causes<u64>,
    /// The sum of all costs.
    cost: NanoUsd,
}

/// Which texts of a run are gone: forgotten, or never kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Answers.
    pub answers: bool,
    /// Material.
    pub inputs: bool,
    /// What models said.
    pub outputs: bool,
    /// What agents were planned with.
    pub plans: bool,
    /// What was seen of files.
    pub facts: bool,
    /// What tools showed.
    pub results: bool,
}

impl RunAudit {
    /// Begins with a run that has no events.
    pub fn new(id: RunId) -> Self {
        Self {
            id,
            run: Run::default(),
            basis: None,
            is_imported: false,
            gone: Gone::default(),
            team: None,
            granted: BTreeSet::new(),
            judge_replies: BTreeMap::new(),
            owed: None,
            counted: BTreeMap::new(),
            versions: 0,
            causes: Causes::default(),
            cost: NanoUsd(0),
        }
    }

    /// Takes in an event that this version cannot read: it counts as a step of the stream.
    pub fn take_unknown(&mut self, envelope: &Envelope, book: &mut Findings<'_>) {
        self.step(envelope, book);
        self.run.version = envelope.version;
    }

    /// Looks at the run's next event. Large texts must have been read in; one that is not there counts as gone.
    pub fn take(&mut self, recorded: &Recorded, book: &mut Findings<'_>) {
        self.step(&recorded.envelope, book);
        self.note_what_is_gone(&recorded.event);
        let at = Location { seq: Some(recorded.envelope.seq), run: Some(self.id) };
        self.must_be_possible(&recorded.event, at, book);
        self.must_follow(recorded, at, book);
        money::look(self, &recorded.event, at, book);
        tools::look(self, &recorded.event, at, book);
        match &recorded.event {
            Event::RunStarted(body) => self.started(body, at, book),
            Event::FormCompleted(_) => self.plan(),
            Event::AgentPlanned(body) => self.agent_planned(body, at, book),
            Event::StartTierChosen(body) => {
                let tiers = self.run.agent(body.agent).map(|agent| agent.plan.strategy.tiers().to_vec()).unwrap_or_default();
                book.holds(Check::Agents, at, tiers.contains(&body.tier), || {
                    let expected = tiers.iter().map(|tier| tier.name()).collect::<Vec<_>>().join(" or ");
                    ["an agent starts at a tier that its strategy does not have".into(), expected, body.tier.name().into()]
                });
            }
            Event::ApprovalGiven(body) if body.granted => drop(self.granted.insert(body.agent)),
            Event::TierEscalated(body) => self.escalated(body, at, book),
            Event::CallReplied(body) => {
                let said = body.private.as_ref().and_then(|private| inline(&private.output));
                if self.run.calls.get(&body.call).is_some_and(|call| call.purpose == crate::domain::event::Purpose::Judge) {
                    self.judge_replies.insert(body.call, said);
                }
            }
            Event::AttemptEnded(body) => self.attempt_ended(body, at, book),
            Event::AgentSucceeded(body) => self.agent_succeeded(body, at, book),
            Event::RunSucceeded(body) => {
                self.ended(at, book);
                let verdicts: Vec<bool> = self.run.agents.iter().filter_map(verified).collect();
                if !self.is_imported {
                    let expected = !verdicts.is_empty() && verdicts.iter().all(|verified| *verified);
                    book.same(Check::Criteria, at, "whether the run is verified", &expected, &body.verified);
                }
            }
            Event::RunFailed(_) | Event::RunCancelled(_) => self.ended(at, book),
            _ => {}
        }
        self.add(recorded);
    }

    /// The event points at the one that led to it. Runs of the first edition point at nothing.
    fn must_follow(&mut self, recorded: &Recorded, at: Location, book: &mut Findings<'_>) {
        let (expected, found) = (self.causes.of(&recorded.event), recorded.envelope.cause);
        self.causes.take(recorded.envelope.seq, &recorded.event);
        if self.is_imported {
            return;
        }
        let points = self.basis.as_ref().is_some_and(Basis::records_facts);
        match (expected, found) {
            (Some(_), None) if !points => book.not_verifiable(Check::Causes),
            _ => book.same(Check::Causes, at, "the event that it follows from", &expected, &found),
        }
    }

    fn add(&mut self, recorded: &Recorded) {
        if let Event::CostIncurred(body) = &recorded.event {
            self.cost = self.cost.plus(body.amount.unwrap_or_default());
        }
        self.run.apply(recorded);
    }

    /// Returns the run, as far as it was taken in.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Ends the audit of the run.
    pub fn finish(mut self, book: &mut Findings<'_>) {
        let at = Location { seq: None, run: Some(self.id) };
        money::settle(&mut self, at, book);
        book.same(Check::Money, at, "the sum of the run's costs", &self.cost, &self.run.spent);
    }

    /// Versions follow each other without a gap, all of one run.
    fn step(&mut self, envelope: &Envelope, book: &mut Findings<'_>) {
        let at = Location { seq: Some(envelope.seq), run: Some(self.id) };
        self.versions += 1;
        let (expected, found) = ((Some(self.id), self.run.version + 1), (envelope.run, envelope.version));
        book.same(Check::Positions, at, "run and version of the event", &expected, &found);
    }

    fn note_what_is_gone(&mut self, event: &Event) {
        let mut text_gone = false;
        event.clone().each_text_mut(&mut |text| text_gone |= !matches!(text, Text::Inline(_)));
        let gone = &mut self.gone;
        match event {
            Event::AnswerGiven(body) => gone.answers |= body.private.is_none(),
            Event::AnswerChanged(body) => gone.answers |= body.private.is_none(),
            Event::InputAttached(body) => gone.inputs |= body.private.is_none() || text_gone,
            Event::ToolEnded(body) => gone.results |= body.private.is_none() || text_gone,
            Event::CallReplied(body) => gone.outputs |= body.private.is_none() || text_gone,
            Event::AttemptImported(body) => gone.outputs |= body.private.is_none() || text_gone,
            Event::AgentPlanned(body) => gone.plans |= body.private.is_none(),
            Event::FactObserved(body) => gone.facts |= body.private.is_none() || Observation::recorded(body).lacks_hash(),
            _ => {}
        }
    }

    /// An event must concern something that is there, and in a state in which it can happen.
    fn must_be_possible(&self, event: &Event, at: Location, book: &mut Findings<'_>) {
        let run = &self.run;
        let is_fork = run.parent.is_some();
        let in_place = match event {
            Event::RunForked(_) => self.versions == 1,
            Event::RunStarted(_) => self.versions == 1 + u64::from(is_fork),
            _ => self.versions > 1 + u64::from(is_fork),
        };
        book.holds(Check::Positions, at, in_place, || {
            let expected = "RunStarted first, or RunForked and then RunStarted".into();
            ["how a run begins".into(), expected, format!("{} as event {}", event.name(), self.versions)]
        });
        if let Event::AttemptInherited(body) = event {
            let agent = run.agent(body.agent);
            let idle = agent.is_some_and(|agent| agent.status == AgentStatus::Waiting && agent.open_attempt().is_none());
            let is_next = agent.and_then(|agent| agent.attempts.last()).is_none_or(|last| last.number < body.attempt);
            book.holds(Check::Lineage, at, is_fork && idle && is_next, || {
                let expected = "a fork, and an agent that waits and has no later attempt".into();
                ["an attempt is inherited".into(), expected, status(agent)]
            });
        }
        let may_follow_the_end = matches!(
            event,
            Event::NoteAdded(_)
                | Event::RunResumed(_)
                | Event::RecommendationShown(_)
                | Event::RecommendationTaken(_)
                | Event::WriteUndone(_)
                | Event::PrivatePartsForgotten(_)
                | Event::ImportKeysRetained(_)
        );
        book.holds(Check::Attempts, at, may_follow_the_end || !run.is_ended(), || {
            ["something happens after the run's end".into(), "nothing more".into(), event.name().into()]
        });
        if let Event::AttemptStarted(body) = event {
            let agent = run.agent(body.agent);
            // In another system a person chooses the model of each exchange, and an agent that has answered may be asked again.
            let tier = if self.is_imported { Some(body.tier) } else { agent.map(|agent| agent.tier) };
            let expected = agent.zip(tier).map(|(agent, tier)| (agent.attempts.last().map_or(1, |last| last.number + 1), tier));
            book.same(Check::Attempts, at, "number and tier of an attempt", &expected, &Some((body.attempt, body.tier)));
            let waits = |agent: &Agent| self.is_imported || agent.status == AgentStatus::Waiting;
            let idle = agent.is_some_and(|agent| waits(agent) && agent.open_attempt().is_none());
            book.holds(Check::Attempts, at, idle, || {
                ["an agent begins an attempt".into(), "an agent that waits for its turn".into(), status(agent)]
            });
        }
        if let Event::CallStarted(body) = event {
            let next = run.calls.last_key_value().map_or(1, |(last, _)| last + 1);
            book.same(Check::Attempts, at, "the number of a call", &next, &body.call);
            let open = run.agent(body.agent).and_then(Agent::open_attempt).map(|attempt| attempt.number);
            book.same(Check::Attempts, at, "the open attempt that a call belongs to", &open, &Some(body.attempt));
        }
        let ends_call = match event {
            Event::CallReplied(body) => Some(body.call),
            Event::CallFailed(body) => Some(body.call),
            Event::CallCancelled(body) => Some(body.call),
            Event::CallLost(body) => Some(body.call),
            Event::RequestRetried(body) => Some(body.call),
            _ => None,
        };
        if let Some(call) = ends_call {
            let open = run.calls.get(&call).is_some_and(|call| call.state == CallState::Open);
            book.holds(Check::Attempts, at, open, || {
                [format!("{} of call {call}", event.name()), "a call that is open".into(), call_state(run, call)]
            });
        }
        let of_attempt = match event {
            Event::CriterionJudged(body) if !self.is_imported => Some((body.agent, body.attempt)),
            Event::AttemptEnded(body) => Some((body.agent, body.attempt)),
            Event::FactObserved(FactObserved { agent, attempt: Some(attempt), .. }) => Some((*agent, *attempt)),
            Event::ProviderSwitched(body) => Some((body.agent, body.attempt)),
            _ => None,
        };
        if let Some((agent, attempt)) = of_attempt {
            let open = run.agent(agent).and_then(Agent::open_attempt).map(|attempt| attempt.number);
            book.same(Check::Attempts, at, "the open attempt that it is about", &open, &Some(attempt));
        }
        if let Event::FactObserved(FactObserved { agent, attempt: Some(attempt), fact: Fact::File { .. }, .. }) = event {
            let judged = run.agent(*agent).and_then(|agent| agent.attempts.iter().find(|known| known.number == *attempt));
            let verdicts = judged.map_or(0, |attempt| attempt.judged.len());
            book.holds(Check::Criteria, at, verdicts == 0, || {
                let what = "a file is observed after what it decides".to_owned();
                [what, "no verdict yet".into(), format!("{verdicts} verdicts")]
            });
        }
        let decides_agent = match event {
            Event::AgentSucceeded(body) => Some(body.agent),
            Event::AgentFailed(body) => Some(body.agent),
            Event::AgentSkipped(body) => Some(body.agent),
            _ => None,
        };
        if let Some(agent) = decides_agent {
            let agent = run.agent(agent);
            let idle = agent.is_some_and(|agent| !agent.status.is_ended() && agent.open_attempt().is_none());
            book.holds(Check::Attempts, at, idle, || {
                [event.name().into(), "an agent that is there, not ended, without an open attempt".into(), status(agent)]
            });
        }
    }

    fn started(&mut self, body: &RunStarted, at: Location, book: &mut Findings<'_>) {
        self.is_imported = body.is_imported();
        if self.is_imported {
            return;
        }
        let Some(private) = &body.private else { return book.not_verifiable(Check::Hashes) };
        match &private.template {
            Text::Inline(template) => {
                book.same(Check::Hashes, at, "the template's hash", &Hash::of(template.as_bytes()), &body.template_hash);
            }
            _ => book.not_verifiable(Check::Hashes),
        }
        match Basis::recorded(private) {
            Ok(basis) => {
                let (id, version) = (&basis.template.template_id, &basis.template.version);
                let found = (&body.template_id, &body.template_version);
                book.same(Check::Hashes, at, "the template's id and version", &(id, version), &found);
                self.basis = Some(basis);
            }
            Err(crate::domain::run::BasisError::Gone(_)) => book.not_verifiable(Check::Hashes),
            Err(why) => book.broken(Check::Hashes, at, "what the run decides by", "texts that can be read", why.to_string()),
        }
    }

    fn plan(&mut self) {
        let Some(basis) = self.basis.as_ref().filter(|_| !self.gone.answers) else { return };
        let answers: Answers = self.run.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect();
        let settings = &basis.settings.run;
        let defaults = PlanDefaults {
            strategy_override: self.run.terms.as_ref().and_then(|terms| terms.strategy),
            strategy: settings.strategy,
            max_attempts_per_tier: settings.max_attempts_per_tier,
        };
        self.team = Some(team::plan(&basis.template, &basis.bases, &answers, &defaults));
    }

    /// A rule of the template makes the agent, and its conditions hold for the answers.
    fn agent_planned(&self, body: &AgentPlanned, at: Location, book: &mut Findings<'_>) {
        let next = u32::try_from(self.run.agents.len()).unwrap_or(u32::MAX);
        book.same(Check::Agents, at, "the number of an agent", &next, &body.agent);
        if self.is_imported {
            return;
        }
        let Some(basis) = &self.basis else { return book.not_verifiable(Check::Agents) };
        let rule = basis.template.agent_composition_rules.get(body.rule as usize);
        book.same(Check::Agents, at, "the role of the agent's rule", &rule.map(|rule| &rule.role), &Some(&body.role));
        let (Some(team), Some(private)) = (&self.team, &body.private) else { return book.not_verifiable(Check::Agents) };
        let planned = team.agents.iter().find(|agent| agent.number == body.agent);
        let expected = planned.map(|agent| (agent.rule, agent.strategy, &agent.depends_on));
        let found = Some((body.rule, body.strategy, &body.depends_on));
        book.same(Check::Agents, at, "rule, strategy and order of the agent that the answers call for", &expected, &found);
        // An item is part of an answer, which may be sensitive: that it differs is enough.
        let is_item = planned.is_some_and(|agent| agent.item == private.item);
        book.holds(Check::Agents, at, is_item, || {
            ["the item that the agent is for".into(), "the item of the answer".into(), "another one".into()]
        });
    }

    /// An escalation has a failed attempt before it, and goes up within the strategy.
    fn escalated(&mut self, body: &TierEscalated, at: Location, book: &mut Findings<'_>) {
        let granted = self.granted.remove(&body.agent);
        let Some(agent) = self.run.agent(body.agent) else {
            return book.broken(
                Check::Escalations,
                at,
                "an agent escalates",
                "an agent of the team",
                format!("agent {}", body.agent),
            );
        };
        let last = agent.attempts.last();
        let failed = last.filter(|last| last.number == body.attempt).and_then(|last| last.outcome);
        let did_not_pass = matches!(failed, Some(AttemptOutcome::FailedCriteria | AttemptOutcome::Error));
        book.holds(Check::Escalations, at, did_not_pass, || {
            let found = failed.map_or_else(|| "no attempt that ended".to_owned(), |outcome| outcome.name().to_owned());
            ["an escalation without a failed verdict before it".into(), "a failed attempt".into(), found]
        });
        book.same(Check::Escalations, at, "the tier that the agent leaves", &agent.tier, &body.from);
        book.holds(Check::Escalations, at, body.to > body.from && agent.plan.strategy.tiers().contains(&body.to), || {
            let tiers = agent.plan.strategy.tiers().iter().filter(|tier| **tier > body.from).map(|tier| tier.name());
            ["an escalation to a tier".into(), tiers.collect::<Vec<_>>().join(" or "), body.to.name().into()]
        });
        let judged = |index: &u32| last.and_then(|last| last.judged.get(index)).map(|judged| judged.verdict);
        for index in &body.failed {
            let verdict = judged(index);
            let speaks_against =
                verdict == Some(Verdict::Fail) || (agent.plan.strict && matches!(verdict, Some(Verdict::Unknown) | None));
            book.holds(Check::Escalations, at, speaks_against, || {
                let found = verdict.map_or("no verdict", Verdict::name).to_owned();
                [format!("criterion {index} as a reason to escalate"), Verdict::Fail.name().to_owned(), found]
            });
        }
        match self.run.terms.as_ref().map(|terms| terms.escalate) {
            Some(Escalate::Ask) => book.holds(Check::Escalations, at, granted, || {
                ["an escalation that a person must allow".into(), "ApprovalGiven before it".into(), "none".into()]
            }),
            Some(Escalate::Never) => {
                book.broken(Check::Escalations, at, "an escalation", "none, because escalation is switched off", body.to.name());
            }
            Some(Escalate::Auto) | None => {}
        }
    }

    fn attempt_ended(&mut self, body: &AttemptEnded, at: Location, book: &mut Findings<'_>) {
        if let Some(attempt) = self.run.agent(body.agent).and_then(Agent::open_attempt) {
            let open =
                attempt.calls.iter().filter(|call| self.run.calls.get(call).is_some_and(|call| call.state == CallState::Open));
            let open: Vec<CallNo> = open.copied().collect();
            book.same(Check::Attempts, at, "calls of an ended attempt that have no end", &Vec::new(), &open);
        }
        judging::look(self, body, at, book);
        let calls = self.run.agent(body.agent).and_then(Agent::open_attempt).map(|attempt| attempt.calls.clone());
        for call in calls.unwrap_or_default() {
            self.judge_replies.remove(&call);
        }
    }

    fn agent_succeeded(&self, body: &AgentSucceeded, at: Location, book: &mut Findings<'_>) {
        if self.is_imported {
            return;
        }
        let attempt = self.run.agent(body.agent).and_then(|agent| agent.attempts.last());
        let found = attempt.map(|attempt| (attempt.number, attempt.outcome, attempt.verified));
        let expected = Some((body.attempt, Some(AttemptOutcome::Passed), body.verified));
        book.same(Check::Criteria, at, "the attempt by which an agent succeeded", &expected, &found);
    }

    /// At a run's end every attempt and call has an end, or a loss.
    fn ended(&self, at: Location, book: &mut Findings<'_>) {
        let running = matches!(self.run.phase, Phase::Running | Phase::Suspended(_));
        book.holds(Check::Attempts, at, running, || {
            ["a run ends".into(), "a run that goes on".into(), format!("{:?}", self.run.phase)]
        });
        let calls: Vec<CallNo> = self.run.open_calls().map(|call| call.number).collect();
        book.same(Check::Attempts, at, "calls without an end", &Vec::new(), &calls);
        let open = self.run.agents.iter().filter(|agent| agent.open_attempt().is_some()).map(|agent| agent.plan.agent);
        book.same(Check::Attempts, at, "agents with an attempt without an end", &Vec::new(), &open.collect::<Vec<_>>());
        if !self.is_imported {
            let left = self.run.agents.iter().filter(|agent| !agent.status.is_ended()).map(|agent| agent.plan.agent);
            book.same(Check::Attempts, at, "agents that neither ended nor were skipped", &Vec::new(), &left.collect::<Vec<_>>());
        }
    }
}

pub(super) fn inline(text: &Text) -> Option<String> {
    match text {
        Text::Inline(text) => Some(text.clone()),
        _ => None,
    }
}

fn verified(agent: &Agent) -> Option<bool> {
    match agent.status {
        AgentStatus::Succeeded { verified, .. } => Some(verified),
        _ => None,
    }
}

fn status(agent: Option<&Agent>) -> String {
    let words = match agent.map(|agent| &agent.status) {
        None => "no such agent",
        Some(AgentStatus::Waiting) => "it waits",
        Some(AgentStatus::Working) => "it is at work",
        Some(AgentStatus::AwaitingApproval { .. }) => "it waits for a person",
        Some(AgentStatus::Succeeded { .. }) => "it has succeeded",
        Some(AgentStatus::Failed(..)) => "it has failed",
        Some(AgentStatus::Skipped) => "it was skipped",
    };
    words.to_owned()
}

fn call_state(run: &Run, call: CallNo) -> String {
    let words = match run.calls.get(&call).map(|call| call.state) {
        None => "no such call",
        Some(CallState::Open) => "it is open",
        Some(CallState::Replied { .. }) => "it was replied to",
        Some(CallState::Failed(_)) => "it has failed",
        Some(CallState::Cancelled) => "it was dropped",
        Some(CallState::Lost) => "it was lost",
    };
    words.to_owned()
}
