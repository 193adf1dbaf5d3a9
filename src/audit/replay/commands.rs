//! From a recorded event back to the command that it came by.
//!
//! Inputs are recorded whole, but for whether a cancel that stands before a reply was known when the reply was judged (a reply that had
//! to wait in the spool was judged before), and, in runs of the first edition, what files of the workspace were like when a criterion
//! asked for them. For these every possibility is tried, and the record must follow from one. A verdict on a file of which nothing is
//! recorded can follow from one whatever it says: it is no proof, and is counted as not verifiable.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::criterion::{Check, Criterion};
use crate::domain::event::{
    AttemptOutcome, CallReplied, ChosenBy, Event, Fact, FailureReason, FileState, Purpose, Recorded, SkipReason, ToolEnded,
    ToolFault, ToolResolved, Verdict,
};
use crate::domain::ids::{AgentNo, Hash};
use crate::domain::judge::files_asked;
use crate::domain::run::{Basis, Command, DayBudget, DayRefusal, FileLook, NewLimits, Observation, Reused, Run, StartAdvice};
use crate::domain::text::Text;
use crate::domain::tool::ToolOutcome;

/// So many files that criteria ask about are tried in all their states; a run with more is counted as not verifiable where it differs.
const FILES_TRIED_MAX: usize = 3;
/// How the evidence begins when judging was not paid for.
const JUDGE_UNPAID: &str = "judging it does not fit the budget: ";

/// Commands by which an event may have come.
pub(super) struct Candidates {
    /// The likeliest first.
    pub list: Vec<Candidate>,
    /// There is no other possibility.
    pub exhaustive: bool,
}

/// A command, and the run as it was known when it was decided, where that is not what the stream says.
pub(super) struct Candidate {
    pub command: Command,
    pub run: Option<Run>,
}

/// Tells whether an event neither comes by a decision nor changes one.
pub(super) fn is_bystander(event: &Event) -> bool {
    matches!(
        event,
        Event::NoteAdded(_)
            | Event::RecommendationShown(_)
            | Event::RecommendationTaken(_)
            | Event::WriteUndone(_)
            | Event::AttemptImported(_)
            | Event::StoreCreated(_)
            | Event::CheckpointSealed(_)
            | Event::PrivatePartsForgotten(_)
            | Event::SegmentImported(_)
            | Event::ClockMovedBack(_)
            | Event::ImportKeysRetained(_)
    )
}

/// Tells whether an event records what came from outside, rather than what follows from it.
pub(super) fn is_input(event: &Event) -> bool {
    matches!(
        event,
        Event::QuestionsShown(_)
            | Event::AnswerGiven(_)
            | Event::AnswerChanged(_)
            | Event::InputAttached(_)
            | Event::AttemptInherited(_)
            | Event::RequestRetried(_)
            | Event::FactObserved(_)
            | Event::ToolEnded(_)
            | Event::ToolResolved(_)
            | Event::WritePrepared(_)
            | Event::CallReplied(_)
            | Event::CallFailed(_)
            | Event::CallCancelled(_)
            | Event::ApprovalGiven(_)
            | Event::RunSuspended(_)
            | Event::RunResumed(_)
            | Event::CancelAsked(_)
    )
}

/// Tells whether something that later decisions need is gone from an event.
pub(super) fn lacks_input(event: &Event) -> bool {
    let mut text_gone = false;
    event.clone().each_text_mut(&mut |text| text_gone |= !matches!(text, Text::Inline(_)));
    text_gone
        || match event {
            Event::AnswerGiven(body) => body.private.is_none(),
            Event::AnswerChanged(body) => body.private.is_none(),
            Event::InputAttached(body) => body.private.is_none(),
            Event::AgentPlanned(body) => body.private.is_none(),
            Event::CallReplied(body) => body.private.is_none(),
            Event::CallFailed(body) => body.private.is_none(),
            Event::AttemptInherited(body) => body.private.is_none(),
            Event::ToolEnded(body) => body.private.is_none(),
            Event::WritePrepared(body) => body.private.is_none(),
            Event::AgentFailed(body) => body.private.is_none(),
            Event::CriterionJudged(body) => body.private.is_none(),
            Event::FactObserved(body) => body.private.is_none() || Observation::recorded(body).lacks_hash(),
            _ => false,
        }
}

/// Tells whether a verdict may rest on files of which the run recorded nothing.
pub(super) fn rests_on_unrecorded_files(run: &Run, basis: &Basis, event: &Event) -> bool {
    let Event::CriterionJudged(body) = event else { return false };
    let criterion = run.agent(body.agent).and_then(|agent| agent.criteria.get(body.criterion as usize));
    !basis.records_facts() && criterion.is_some_and(|criterion| !files_asked(std::slice::from_ref(criterion)).is_empty())
}

/// Returns the commands by which the first of `events` may have come in `run`; none when it can only follow from another event.
pub(super) fn candidates(run: &Run, basis: &Basis, events: &[Recorded]) -> Candidates {
    let Some(head) = events.first() else { return Candidates { list: Vec::new(), exhaustive: true } };
    let mut exhaustive = true;
    let has_facts = basis.records_facts();
    let told = |day: Option<String>| day.filter(|_| !has_facts);
    let commands = match &head.event {
        Event::QuestionsShown(body) => vec![Command::ShowQuestions(body.questions.clone())],
        Event::InputAttached(body) => vec![Command::Attach(Box::new(body.clone()))],
        Event::AnswerGiven(body) => {
            vec![answer(&body.question, body.private.as_ref().map(|private| &private.value), body.source, body.secret)]
        }
        // Whoever completes the form takes back the answers that are hidden by then.
        Event::AnswerChanged(body) if body.removed => {
            vec![Command::CompleteForm(advice(events)), Command::TakeBack { question: body.question.clone() }]
        }
        Event::AnswerChanged(body) => {
            vec![answer(&body.question, body.private.as_ref().map(|private| &private.value), body.source, body.secret)]
        }
        Event::FormCompleted(_) => vec![Command::CompleteForm(advice(events))],
        Event::AttemptInherited(body) => {
            let attempts = events.iter().map_while(|recorded| match &recorded.event {
                Event::AttemptInherited(attempt) if attempt.agent == body.agent => Some(attempt.clone()),
                _ => None,
            });
            vec![Command::Inherit(attempts.collect())]
        }
        Event::AttemptStarted(body) => vec![Command::StartCall { agent: body.agent, purpose: Purpose::Work }],
        Event::CallStarted(body) => vec![Command::StartCall { agent: body.agent, purpose: body.purpose }],
        Event::ToolStarted(body) => {
            let agent = run.calls.get(&body.call).map(|call| call.agent);
            agent.map(|agent| Command::StartTools { agent }).into_iter().collect()
        }
        Event::ToolEnded(ToolEnded { call, tool_call, reused: Some((run, of_call, of_tool_call)), private, .. }) => {
            let result = private.as_ref().map_or("", |private| match &private.result {
                Text::Inline(text) => text.as_str(),
                _ => "",
            });
            let of = Reused { run: *run, call: *of_call, tool_call: *of_tool_call, result: result.into() };
            vec![Command::ReuseTool { call: *call, tool_call: *tool_call, of }]
        }
        Event::ToolEnded(body) => {
            vec![Command::RecordTool { call: body.call, tool_call: body.tool_call, outcome: outcome(body) }]
        }
        Event::WritePrepared(body) => {
            let files = body.private.as_ref().map(|private| private.files.clone()).unwrap_or_default();
            vec![Command::PrepareWrite { call: body.call, tool_call: body.tool_call, files }]
        }
        Event::ToolResolved(body) => {
            let ended = events.get(1).and_then(|next| match &next.event {
                Event::ToolEnded(ended) if (ended.call, ended.tool_call) == (body.call, body.tool_call) => Some(outcome(ended)),
                _ => None,
            });
            let ToolResolved { call, tool_call, resolution, by, .. } = *body;
            vec![Command::ResolveTool { call, tool_call, resolution, by, outcome: ended }]
        }
        Event::RequestRetried(body) => {
            let retry = Retry {
                failed_try: body.failed_try,
                class: body.class,
                status: body.status,
                wait_ms: body.waited_ms,
                usage: body.usage,
                message: body.private.as_ref().map_or_else(String::new, |private| private.message.clone()),
            };
            vec![Command::RecordRetry { call: body.call, retry }]
        }
        Event::CallReplied(body) => {
            let follow = &events[1..];
            let (seen, all) = if has_facts { (vec![recorded_facts(follow)], true) } else { tried_files(run, body, follow) };
            exhaustive = all;
            let reply = reply(body, follow.first().map(|next| &next.event));
            let command = |seen| Command::RecordReply { call: body.call, reply: Box::new(reply.clone()), seen };
            seen.into_iter().map(command).collect()
        }
        Event::CallFailed(body) => {
            let private = body.private.as_ref();
            let failure = CallFailure {
                class: body.class,
                status: body.status,
                code: private.and_then(|private| private.code.clone()),
                message: private.map_or_else(String::new, |private| private.message.clone()),
                retryable: body.retryable,
                usage: body.usage,
                request_id: private.and_then(|private| private.request_id.clone()),
                latency_ms: body.latency_ms,
            };
            vec![Command::RecordFailure { call: body.call, failure }]
        }
        Event::FactObserved(body) => match body.fact {
            Fact::DayBudget { limit, used, wanted } => {
                let because = DayRefusal::Seen(DayBudget { limit, used, wanted });
                let refused = |purpose| Command::RefuseForDayBudget { agent: body.agent, purpose, because: because.clone() };
                vec![refused(Purpose::Work), refused(Purpose::Judge)]
            }
            Fact::Command { .. } | Fact::CommandNotRun { .. } => {
                let seen = events.iter().map_while(|recorded| match &recorded.event {
                    Event::FactObserved(fact) if fact.agent == body.agent && fact.attempt == body.attempt => {
                        Some(Observation::recorded(fact)).filter(|seen| seen.command().is_some())
                    }
                    _ => None,
                });
                vec![Command::RecordCommands { agent: body.agent, seen: seen.collect() }]
            }
            // What was seen of a file stands behind the reply that it was looked at for.
            Fact::File { .. } => Vec::new(),
        },
        Event::CallCancelled(body) => vec![Command::RecordCancelled { call: body.call, usage: body.usage }],
        // Without a reply before it, an attempt ends, an agent fails or a verdict is missing because a call could not start.
        Event::AttemptEnded(body) if body.outcome == AttemptOutcome::Cancelled => vec![Command::Cancel],
        Event::AttemptEnded(body) => {
            let mut commands = not_started(body.agent, Purpose::Work, told(day_budget(events)));
            commands.push(Command::StartCall { agent: body.agent, purpose: Purpose::Judge });
            commands
        }
        Event::AgentFailed(body) => {
            let mut commands = match body.reason {
                FailureReason::Budget | FailureReason::Configuration => {
                    not_started(body.agent, Purpose::Work, told(day_budget(events)))
                }
                _ => Vec::new(),
            };
            // Whether it failed so in the other run is for an audit to say.
            let message = body.private.as_ref().map_or_else(String::new, |private| private.message.clone());
            commands.push(Command::LeaveFailed { agent: body.agent, reason: body.reason, message });
            commands
        }
        Event::CriterionJudged(body) => not_started(body.agent, Purpose::Judge, told(unpaid_judge(events))),
        Event::ApprovalGiven(body) => vec![Command::Approve { agent: body.agent, granted: body.granted }],
        Event::RunSuspended(body) => vec![Command::Suspend(body.why)],
        Event::RunResumed(body) => vec![Command::Resume {
            executor: body.executor,
            retry_failed: body.retry_failed,
            meno_version: body.meno_version.clone(),
            limits: NewLimits {
                budget: body.budget,
                agent_budgets: body.agent_budgets.clone(),
                allow_unpriced: body.allow_unpriced,
            },
        }],
        Event::CancelAsked(_) => vec![Command::Cancel, Command::AskCancel],
        Event::CallLost(_) | Event::RunCancelled(_) => vec![Command::Cancel],
        Event::AgentSkipped(body) if body.because == SkipReason::Cancelled => vec![Command::Cancel],
        _ => Vec::new(),
    };
    let unaware = unaware(run, &head.event);
    let later: Vec<Candidate> = match &unaware {
        Some(run) => commands.iter().map(|command| Candidate { command: command.clone(), run: Some(run.clone()) }).collect(),
        None => Vec::new(),
    };
    let mut list: Vec<Candidate> = commands.into_iter().map(|command| Candidate { command, run: None }).collect();
    list.extend(later);
    Candidates { list, exhaustive }
}

/// The run before anybody asked for its end, for replies that may have been judged before that was known.
fn unaware(run: &Run, event: &Event) -> Option<Run> {
    let is_paid =
        matches!(event, Event::CallReplied(_) | Event::CallFailed(_) | Event::CallCancelled(_) | Event::RequestRetried(_));
    (is_paid && run.cancel_asked).then(|| Run { cancel_asked: false, ..run.clone() })
}

fn answer(question: &str, value: Option<&String>, source: crate::domain::event::AnswerSource, secret: bool) -> Command {
    let value = value.and_then(|value| serde_json::from_str(value).ok()).unwrap_or(Value::Null);
    Command::Answer { question: question.to_owned(), value, source, secret }
}

/// What history said of where agents should start: an input, recorded with the tiers chosen by it.
fn advice(events: &[Recorded]) -> Vec<StartAdvice> {
    let mut roles: BTreeMap<AgentNo, &str> = BTreeMap::new();
    let mut advice = Vec::new();
    for recorded in events {
        match &recorded.event {
            Event::AgentPlanned(body) => drop(roles.insert(body.agent, &body.role)),
            Event::StartTierChosen(body) if body.by == ChosenBy::History => advice.push(StartAdvice {
                role: roles.get(&body.agent).copied().unwrap_or_default().to_owned(),
                tier: body.tier,
                because: body.private.as_ref().map_or_else(String::new, |private| private.because.clone()),
                evidence: body.evidence.clone(),
            }),
            Event::AnswerChanged(_) | Event::FormCompleted(_) | Event::RuleSkipped(_) | Event::StartTierChosen(_) => {}
            _ => break,
        }
    }
    advice
}

/// A call could not start: no budget or no model by the run's own rules, or the day's budget, which other runs share.
fn not_started(agent: AgentNo, purpose: Purpose, day: Option<String>) -> Vec<Command> {
    let because = day.map(DayRefusal::Told);
    let day = because.map(|because| Command::RefuseForDayBudget { agent, purpose, because });
    std::iter::once(Command::StartCall { agent, purpose }).chain(day).collect()
}

/// The words with which the day's budget was refused, if it was.
fn day_budget(events: &[Recorded]) -> Option<String> {
    events.iter().take(2).find_map(|recorded| match &recorded.event {
        Event::AgentFailed(body) if body.reason == FailureReason::Budget => {
            body.private.as_ref().map(|private| private.message.clone()).filter(|message| is_of_day_budget(message))
        }
        _ => None,
    })
}

/// The same, where a judge was to be paid.
fn unpaid_judge(events: &[Recorded]) -> Option<String> {
    let verdicts = events.iter().map_while(|recorded| match &recorded.event {
        Event::CriterionJudged(body) => Some(body.private.as_ref()),
        _ => None,
    });
    let mut said = verdicts.flatten().filter_map(|private| private.evidence.strip_prefix(JUDGE_UNPAID));
    said.next().map(str::to_owned).filter(|message| is_of_day_budget(message))
}

/// The run's and the agent's own budgets are decided again; only the day's is taken as it was told.
fn is_of_day_budget(message: &str) -> bool {
    message.starts_with("the day's budget")
}

fn reply(body: &CallReplied, next: Option<&Event>) -> CallReply {
    let private = body.private.as_ref();
    let text = |text: &Text| match text {
        Text::Inline(text) => text.clone(),
        _ => String::new(),
    };
    CallReply {
        text: private.map_or_else(String::new, |private| text(&private.output)),
        reasoning: private.and_then(|private| private.reasoning.as_ref()).map(text),
        tool_calls: private.and_then(|private| serde_json::from_str(&text(&private.tool_calls)).ok()).unwrap_or_default(),
        stop: body.stop,
        stop_details: private.and_then(|private| private.stop_details.clone()),
        usage: body.usage,
        usage_source: body.usage_source,
        // What the provider itself said is recorded with the cost.
        reported_cost: match next {
            Some(Event::CostIncurred(cost)) if cost.call == Some(body.call) => cost.reported,
            _ => None,
        },
        model: private.and_then(|private| private.model.clone()),
        request_id: private.and_then(|private| private.request_id.clone()),
        latency_ms: body.latency_ms,
        first_token_ms: body.first_token_ms,
    }
}

/// What came of a tool, as it was recorded: the whole result where the model was told less.
fn outcome(body: &ToolEnded) -> ToolOutcome {
    let private = body.private.as_ref();
    let text = private.map(|private| private.whole.as_ref().unwrap_or(&private.result));
    let text = match text {
        Some(Text::Inline(text)) => text.clone(),
        _ => String::new(),
    };
    let bytes = body.bytes.unwrap_or(text.len() as u64);
    // Records of before say that it failed and not why.
    let fault = body.fault.or_else(|| (!body.ok).then_some(ToolFault::Failed));
    let diff = private.and_then(|private| match private.diff.as_ref()? {
        Text::Inline(text) => Some(text.clone()),
        _ => None,
    });
    ToolOutcome { fault, text, bytes, diff, latency_ms: body.latency_ms }
}

/// What was seen before a reply was judged: it stands right behind the reply's cost. A day's budget is seen later, by whoever would pay a
/// judge.
fn recorded_facts(follow: &[Recorded]) -> Vec<Observation> {
    let behind_cost = follow.iter().skip_while(|recorded| matches!(recorded.event, Event::CostIncurred(_)));
    let facts = behind_cost.map_while(|recorded| match &recorded.event {
        Event::FactObserved(body) if matches!(body.fact, Fact::File { .. }) => Some(Observation::recorded(body)),
        _ => None,
    });
    facts.collect()
}

/// Returns what the files that an agent's criteria ask about may have been like, the likeliest first, and whether that is all.
fn tried_files(run: &Run, body: &CallReplied, follow: &[Recorded]) -> (Vec<Vec<Observation>>, bool) {
    let agent = run.calls.get(&body.call).and_then(|call| run.agent(call.agent));
    let Some(agent) = agent else { return (vec![Vec::new()], true) };
    let files = files_asked(&agent.criteria);
    if files.is_empty() {
        return (vec![Vec::new()], true);
    }
    let mut all: Vec<Vec<Observation>> = vec![files.iter().map(|path| likely(path, &agent.criteria, follow)).collect()];
    if files.len() > FILES_TRIED_MAX {
        return (all, false);
    }
    let states = [true, false].into_iter().flat_map(|exists| [None, Some(true), Some(false)].map(|changed| (exists, changed)));
    let mut tried: Vec<Vec<Observation>> = vec![Vec::new()];
    for path in files {
        let with = |seen: &[Observation], (exists, changed)| [seen, &[assumed(path, exists, changed)]].concat();
        tried = tried.iter().flat_map(|seen| states.clone().map(|state| with(seen, state))).collect();
    }
    all.extend(tried);
    (all, true)
}

/// A file that is seen to exist or not, and to have changed or not.
fn assumed(path: &str, exists: bool, changed: Option<bool>) -> Observation {
    let there = |content: &[u8]| FileLook { state: FileState::Present { bytes: 1 }, hash: Some(Hash::of(content)) };
    let after = if exists { there(b"1") } else { FileLook::ABSENT };
    let before = match changed {
        None => FileLook::UNSEEN,
        Some(false) => after,
        Some(true) => there(b"0"),
    };
    Observation::of_file(path, before, after)
}

/// What a file was like if the verdicts on it are right.
fn likely(path: &str, criteria: &[Criterion], follow: &[Recorded]) -> Observation {
    let (mut exists, mut changed) = (true, None);
    for recorded in follow {
        let judged = match &recorded.event {
            Event::CriterionJudged(judged) => judged,
            Event::CostIncurred(_) => continue,
            _ => break,
        };
        let Some(Criterion::Typed(typed)) = criteria.get(judged.criterion as usize) else { continue };
        match &typed.check {
            Check::FileExists { path: asked } if asked == path => exists = judged.verdict == Verdict::Pass,
            Check::FileChanged { path: asked } if asked == path => {
                changed = match judged.verdict {
                    Verdict::Pass => Some(true),
                    Verdict::Fail => Some(false),
                    Verdict::Unknown => None,
                };
            }
            _ => {}
        }
    }
    assumed(path, exists, changed)
}
