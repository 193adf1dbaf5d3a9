//! A new run that begins where another one was: with its answers and material, and with the work of it that still counts.

use std::borrow::Cow;
use std::sync::Arc;

use indexmap::IndexMap;

use super::Runs;
use crate::domain::capture::Levels;
use crate::domain::event::{ChosenBy, Escalate, Event, InputAttached, OnFailure, Recorded, RunStarted, RunStartedPrivate};
use crate::domain::ids::{ExecutorId, RunId};
use crate::domain::money::NanoUsd;
use crate::domain::redact::Redactor;
use crate::domain::run::{Agent, Basis, Command, Parent, RecordedAnswer, Refusal, Run, StartAdvice, TakeOver, take_over};
use crate::domain::template::Capture;
use crate::domain::text::Text;
use crate::domain::tier::Strategy;
use crate::domain::tool::{ToolSpec, changes_files};
use crate::executor::StreamError;
use crate::store;
use crate::store::session::RunLock;
use crate::tools;
use crate::workspace::proof::replay::Reach;
use crate::workspace::request::GivenAnswer;
use crate::workspace::runs::ready::ModelNotReady;
use crate::workspace::runs::start::{ResumeError, answer_command, labels};
use crate::workspace::{ActiveRun, proof::replay};

/// How a new run shall differ from the one it is forked from.
#[derive(Clone, Debug, Default)]
pub struct ForkRequest {
    /// What of the work is taken over; when not given, all with a position, else what succeeded.
    pub take_over: Option<TakeOver>,
    /// All answers, when some are other ones.
    pub answers: Option<Vec<GivenAnswer>>,
    /// Another strategy for the whole run.
    pub strategy: Option<Strategy>,
    /// Another budget for the whole run.
    pub budget: Option<NanoUsd>,
    /// What to do when an agent is to escalate, if something else.
    pub escalate: Option<Escalate>,
    /// Tools run again, also where the other run recorded what they found in the same conversation.
    pub fresh_tools: bool,
    /// Agents may change files, also where the other run's might not.
    pub allow_write: bool,
    /// Another seed.
    pub seed: Option<u64>,
    /// Further labels.
    pub labels: Vec<(String, String)>,
    /// Answers that are never stored, logged or shown.
    pub secrets: Vec<secrecy::SecretString>,
}

/// A run as it was where another one is forked off.
pub struct ForkPoint {
    /// The run as it was.
    pub run: Run,
    /// What it decides by.
    pub basis: Basis,
    /// What it was answered in all, also after that point.
    pub answers: IndexMap<String, RecordedAnswer>,
    id: RunId,
    started: RunStarted,
    inputs: Vec<InputAttached>,
    advice: Vec<StartAdvice>,
    has_position: bool,
}

/// Why a run cannot be forked, by what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// It had not begun by then.
    #[error("run {run} has nothing at {at}: {reach}")]
    TooEarly {
        /// The run.
        run: RunId,
        /// The position.
        at: u64,
        /// What positions it has.
        reach: Reach,
    },
    /// It had ended by then.
    #[error("at position {at} run {run} had ended: there is nothing to go on with")]
    Ended {
        /// The run.
        run: RunId,
        /// The position.
        at: u64,
        /// The last position before its end.
        last: u64,
    },
    /// No agent has the role.
    #[error("run {run} has no agent `{role}`")]
    NoSuchAgent {
        /// The run.
        run: RunId,
        /// The role.
        role: String,
        /// The roles that it has.
        known: Vec<String>,
    },
    /// Agents of other roles failed too, and each ends the run.
    #[error("in run {run} {} failed too, which ends a run whatever `{role}` does", others.iter().map(|other| format!("`{other}`")).collect::<Vec<_>>().join(", "))]
    OthersFailed {
        /// The run.
        run: RunId,
        /// The role that is to work anew.
        role: String,
        /// The agents that failed besides.
        others: Vec<String>,
    },
    /// Its form is not complete.
    #[error("the form of run {0} is not complete: it has no agents")]
    NoTeam(RunId),
    /// What an agent of it wrote holds words that today's settings do not let be kept.
    #[error("what {role} of run {run} wrote holds words that the settings redact today")]
    Redacted {
        /// The run.
        run: RunId,
        /// The agent.
        role: String,
    },
    /// A model that the new run needs cannot be called.
    #[error(transparent)]
    ModelNotReady(#[from] ModelNotReady),
    /// Texts are missing, or it was imported.
    #[error(transparent)]
    Gone(#[from] ResumeError),
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Runs<'_> {
    /// Reads a run as it was when the log stood at position `at`, or as it is now, to fork another one off it. With `needs_work`, the
    /// texts of its work must be there too, not only answers and inputs.
    ///
    /// # Errors
    /// A [`ForkError`]: it had not begun or had ended by then, was imported, or misses texts.
    pub(crate) fn fork_point(&self, id: RunId, at: Option<u64>, needs_work: bool) -> Result<ForkPoint, ForkError> {
        let events = self.events_of(id, 1, u32::MAX)?;
        let until = at.map_or(events.len(), |at| replay::until(&events, at));
        let reach = Reach::of(&events);
        let (before, _) = events.split_at(until);
        let too_early = ForkError::TooEarly { run: id, at: at.unwrap_or_default(), reach };
        let Some(started) = before.iter().find_map(started) else { return Err(too_early) };
        if started.is_imported() {
            return Err(ResumeError::Imported(id).into());
        }
        let basis = self.recorded_basis(id)?;
        let levels = Levels::of(&basis);
        let kept = if needs_work { levels } else { Levels { outputs: Capture::Full, ..levels } };
        if kept.withhold() {
            return Err(ResumeError::Forgotten { run: id, part: "earlier text" }.into());
        }
        self.must_have_texts(id, before.iter().filter(|recorded| needs_work || is_told(&recorded.event)))?;
        let mut run = Run::default();
        let mut last = reach.first;
        for recorded in before {
            if !run.is_ended() {
                last = recorded.envelope.seq.saturating_sub(1);
            }
            run.apply(recorded);
        }
        if let Some(at) = at.filter(|_| run.is_ended()) {
            return Err(ForkError::Ended { run: id, at, last });
        }
        let mut whole = run.clone();
        events[until..].iter().for_each(|recorded| whole.apply(recorded));
        let inputs = before.iter().filter_map(|recorded| match &recorded.event {
            Event::InputAttached(body) => Some(body.clone()),
            _ => None,
        });
        Ok(ForkPoint {
            inputs: inputs.collect(),
            advice: advice(before, &run),
            answers: whole.answers,
            started: started.clone(),
            has_position: at.is_some(),
            basis,
            run,
            id,
        })
    }

    /// Starts a run that is forked off another one: one append with everything that it takes over. What that cost is the other run's.
    ///
    /// # Errors
    /// A [`ForkError`]; nothing was appended then.
    pub(crate) fn fork(&self, point: &ForkPoint, request: ForkRequest) -> Result<ActiveRun, ForkError> {
        let what = request.take_over.clone().unwrap_or(match point.has_position && request.answers.is_none() {
            true => TakeOver::All,
            false => TakeOver::Succeeded,
        });
        point.check(&what)?;
        let id = self.0.new_run_id()?;
        let lock = RunLock::acquire(self.0.place()?, id)?;
        self.0.payloads.may_write()?;
        // What today's settings do not let be kept is not kept because an older run did.
        let mut basis = point.basis.clone();
        basis.settings.capture = basis.settings.capture.max(self.0.resolved.settings.capture);
        basis.settings.tools.reuses_results = !request.fresh_tools;
        if request.allow_write {
            let_write(&mut basis);
        }
        let redactor = self.0.redactor_of(&basis, &request.secrets);
        let parent = Parent { run: point.id, version: point.run.version, head: point.run.head };
        let mut commands = vec![Command::Fork(parent), Command::Begin(Box::new(self.started_from(point, &basis, &request)?))];
        commands.extend(point.inputs.iter().map(|input| Command::Attach(Box::new(attached(input, &redactor)))));
        let is_answered = request.answers.is_some() || point.run.form_complete;
        let answers = request.answers.unwrap_or_else(|| {
            point.run.answers.iter().map(|(question, answer)| GivenAnswer::recorded(question, answer)).collect()
        });
        commands.extend(answers.into_iter().map(|answer| answer_command(&redactor, &basis.template, answer)));
        if is_answered {
            commands.push(Command::CompleteForm(match request.strategy {
                Some(_) => self.adaptive_starts(&basis.template, request.strategy, point.started.mode)?,
                None => point.advice.clone(),
            }));
        }
        let mut stream = self.stream(id)?;
        if is_answered {
            let child = stream.foresee(&basis, &commands)?;
            let taken = take_over(&point.run, point.id, &child, &basis, &what, self.0.world.now());
            let taken = taken?;
            point.check_words(&taken, &redactor)?;
            commands.extend(taken);
        }
        // What is taken over needs no model any more.
        let checked = self.check_run(&stream.foresee(&basis, &commands)?, &basis, true);
        if let Err(error) = checked {
            lock.end()?;
            return Err(error.into());
        }
        stream.perform(&basis, &commands)?;
        let folder = self.0.places.current.clone();
        Ok(ActiveRun { id, folder, stream, basis: Arc::new(basis), lock, shown_from: 1, redactor })
    }

    /// What the parent started with, but for what is this run's own.
    fn started_from(&self, point: &ForkPoint, basis: &Basis, request: &ForkRequest) -> Result<RunStarted, store::Error> {
        let user = self.0.user_hash()?;
        let old = &point.started;
        let private = old.private.as_ref().map(|private| {
            let redactor = self.0.redactor_of(basis, &request.secrets);
            let [own, theirs] = [&request.labels, &private.labels].map(|told| labels(&redactor, told));
            let kept = theirs.into_iter().filter(|(key, _)| !own.iter().any(|(other, _)| key == other));
            let labels = kept.chain(own.clone()).collect();
            RunStartedPrivate {
                foreign_run_id: None,
                // Settings serialise always: texts, numbers, maps with text keys.
                settings: Text::Inline(serde_json::to_string(&basis.settings).unwrap_or_default()),
                workspace: self.0.places.current.display().to_string(),
                user,
                labels,
                ..private.clone()
            }
        });
        Ok(RunStarted {
            strategy: request.strategy.or(old.strategy),
            budget: request.budget.or(point.run.terms.as_ref().and_then(|terms| terms.budget)),
            allow_unpriced: point.run.terms.as_ref().map_or(old.allow_unpriced, |terms| terms.allow_unpriced),
            escalate: request.escalate.unwrap_or(old.escalate),
            seed: request.seed.unwrap_or(old.seed),
            meno_version: env!("CARGO_PKG_VERSION").to_owned(),
            executor: ExecutorId(self.0.world.ulid(None)),
            private,
            ..old.clone()
        })
    }
}

impl From<StreamError> for ForkError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Refused(refusal) => Self::Refused(refusal),
            StreamError::Store(error) => Self::Store(error),
        }
    }
}

impl ForkPoint {
    /// What is taken over stands in the new run's log word for word, or not at all.
    fn check_words(&self, taken: &[Command], redactor: &Redactor) -> Result<(), ForkError> {
        let attempts = taken.iter().filter_map(|command| match command {
            Command::Inherit(attempts) => Some(attempts),
            _ => None,
        });
        for attempt in attempts.flatten() {
            let Some(private) = &attempt.private else { continue };
            let output = private.output.iter().filter_map(|text| match text {
                Text::Inline(text) => Some(text.as_str()),
                _ => None,
            });
            let mut words = output.chain(private.criteria.iter().map(|(_, evidence)| evidence.as_str()));
            if words.any(|words| matches!(redactor.redact_output(words), Cow::Owned(_))) {
                let role = self.run.agent(attempt.agent).map_or_else(String::new, |agent| agent.label.clone());
                return Err(ForkError::Redacted { run: self.id, role });
            }
        }
        Ok(())
    }

    fn check(&self, what: &TakeOver) -> Result<(), ForkError> {
        let TakeOver::AllBut { role, .. } = what else { return Ok(()) };
        if self.run.agents.is_empty() {
            return Err(ForkError::NoTeam(self.id));
        }
        let known = |agent: &Agent| agent.plan.role == *role || agent.label == *role;
        if self.run.agents.iter().any(known) {
            let ends_the_run = |agent: &&Agent| agent.plan.on_failure == OnFailure::FailRun;
            let others = what.left_failed(&self.run).into_iter().filter(ends_the_run).map(|agent| agent.label.clone());
            let others: Vec<String> = others.collect();
            return match others.is_empty() {
                true => Ok(()),
                false => Err(ForkError::OthersFailed { run: self.id, role: role.clone(), others }),
            };
        }
        let mut roles: Vec<String> = self.run.agents.iter().map(|agent| agent.label.clone()).collect();
        roles.dedup();
        Err(ForkError::NoSuchAgent { run: self.id, role: role.clone(), known: roles })
    }
}

/// Lets agents change files where the recorded settings do not: with the tools for it that they list.
fn let_write(basis: &mut Basis) {
    let tools = &mut basis.settings.tools;
    tools.allow_write = true;
    let of_rules = basis.template.agent_composition_rules.iter().flat_map(|rule| &rule.tools);
    let listed: Vec<&String> = of_rules.chain(basis.bases.values().flat_map(|base| &base.tools)).collect();
    let is_new = |spec: &ToolSpec| {
        changes_files(&spec.name) && listed.contains(&&spec.name) && tools.catalogue.iter().all(|had| had.name != spec.name)
    };
    let new: Vec<ToolSpec> = tools::catalogue().into_iter().filter(is_new).collect();
    tools.catalogue.extend(new);
}

/// The material of the other run, as it may be used and kept today.
fn attached(input: &InputAttached, redactor: &Redactor) -> InputAttached {
    let mut input = input.clone();
    for (_, text) in input.private.iter_mut().flat_map(|private| &mut private.texts) {
        if let Text::Inline(inline) = text
            && let Cow::Owned(redacted) = redactor.redact_answer(inline)
        {
            *inline = redacted;
        }
    }
    input
}

fn started(recorded: &Recorded) -> Option<&RunStarted> {
    match &recorded.event {
        Event::RunStarted(body) => Some(body),
        _ => None,
    }
}

/// Whether an event says what a run was told, not what it did.
fn is_told(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted(_)
            | Event::InputAttached(_)
            | Event::AnswerGiven(_)
            | Event::AnswerChanged(_)
            | Event::FormCompleted(_)
    )
}

/// What history said, then, of where agents should start.
fn advice(events: &[Recorded], run: &Run) -> Vec<StartAdvice> {
    let chosen = events.iter().filter_map(|recorded| match &recorded.event {
        Event::StartTierChosen(body) if body.by == ChosenBy::History => Some(body),
        _ => None,
    });
    let advice = chosen.filter_map(|body| {
        Some(StartAdvice {
            role: run.agent(body.agent)?.plan.role.clone(),
            tier: body.tier,
            because: body.private.as_ref()?.because.clone(),
            evidence: body.evidence.clone(),
        })
    });
    advice.collect()
}
