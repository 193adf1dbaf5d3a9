//! Verdicts: every criterion is judged again by what the run recorded (its answers, what was seen of files), a judging model's scores are
//! read again from what it said, and the attempt's end must follow from the verdicts.

use super::finding::{Check, Findings, Location};
use super::story::RunAudit;
use crate::domain::event::{AttemptEnded, AttemptOutcome, JudgedBy, Purpose, StopReason, Verdict};
use crate::domain::judge::{self, DecidedBy, Facts, Finding, Judged, Scores};
use crate::domain::run::{Agent, Attempt, Basis, CallState, quotable_files};
use crate::domain::settings::Settings;

/// Looks at the verdicts of an attempt that ends, and at its end.
pub(super) fn look(audit: &RunAudit, body: &AttemptEnded, at: Location, book: &mut Findings<'_>) {
    if !matches!(body.outcome, AttemptOutcome::Passed | AttemptOutcome::FailedCriteria) {
        return book.same(Check::Criteria, at, "whether an attempt without a verdict is verified", &false, &body.verified);
    }
    let Some(agent) = audit.run.agent(body.agent) else { return };
    let Some(attempt) = agent.open_attempt() else { return };
    // How an attempt ended in another system is that system's word: its verdicts are not here.
    if audit.is_imported && (body.outcome, body.verified) != (AttemptOutcome::Passed, false) {
        return book.not_verifiable(Check::Criteria);
    }
    if audit.gone.plans {
        return book.not_verifiable(Check::Criteria);
    }
    follows(agent, attempt, body, at, book);
    match &audit.basis {
        Some(basis) => again(audit, agent, attempt, &basis.settings, at, book),
        // By which rules the run was judged is recorded with its settings.
        None => agent.criteria.iter().for_each(|_| book.not_verifiable(Check::Criteria)),
    }
}

/// The attempt's end follows from its verdicts.
fn follows(agent: &Agent, attempt: &Attempt, body: &AttemptEnded, at: Location, book: &mut Findings<'_>) {
    let numbers = 0..u32::try_from(agent.criteria.len()).unwrap_or(u32::MAX);
    let missing: Vec<u32> = numbers.clone().filter(|number| !attempt.judged.contains_key(number)).collect();
    book.same(Check::Criteria, at, "criteria without a verdict", &Vec::new(), &missing);
    let judged: Vec<Judged> = numbers
        .map(|number| {
            let judged = attempt.judged.get(&number);
            Judged {
                verdict: judged.map_or(Verdict::Unknown, |judged| judged.verdict),
                score: judged.and_then(|judged| judged.score),
                evidence: String::new(),
                by: DecidedBy::Code,
            }
        })
        .collect();
    let verdict = judge::verdict(&agent.criteria, &judged, agent.plan.strict, agent.plan.threshold);
    let passed = verdict.passed && body.signals.is_empty();
    let outcome = if passed { AttemptOutcome::Passed } else { AttemptOutcome::FailedCriteria };
    let (expected, found) = ((outcome, passed && verdict.verified), (body.outcome, body.verified));
    book.same(Check::Criteria, at, "the end that follows from the verdicts, and whether it is verified", &expected, &found);
}

/// Judges the answer again.
fn again(audit: &RunAudit, agent: &Agent, attempt: &Attempt, settings: &Settings, at: Location, book: &mut Findings<'_>) {
    let edition = settings.judging;
    let count = agent.criteria.len();
    let answer = attempt.output.as_deref();
    let judge = attempt.calls.iter().rev().find(|call| {
        let call = audit.run.calls.get(call);
        call.is_some_and(|call| call.purpose == Purpose::Judge && matches!(call.state, CallState::Replied { .. }))
    });
    let said = judge.map(|call| audit.judge_replies.get(call).cloned().flatten());
    let (Some(answer), false) = (answer, said == Some(None)) else {
        return (0..count).for_each(|_| book.not_verifiable(Check::Criteria));
    };
    // Who did not judge, and why, is in the words of the evidence only: words are not compared.
    let scores =
        said.flatten().map(|said| judge::read_scores(&said, StopReason::End, judge::sentences(&agent.criteria).len(), edition));
    let scores = scores.as_deref().map_or(Scores::Nobody(""), Scores::Given);
    let (workspace, commands) = (attempt.files.clone(), attempt.commands.clone());
    let input_files = quotable_files(&audit.run, agent.plan.agent, edition);
    let no_network = !settings.tools.network;
    let facts = Facts { edition, input_files, workspace, commands, no_network, is_ending: false };
    let before = judge::check(&agent.criteria, answer, &facts);
    let judged = judge::judge(&agent.criteria, answer, &facts, scores);
    for ((index, criterion), (before, judged)) in (0..).zip(&agent.criteria).zip(before.into_iter().zip(judged)) {
        // What code could decide was decided before a judge was asked, whatever the judge said then.
        let derived = match before {
            Finding::Judged(decided) => decided,
            Finding::Pending => judged,
        };
        let Some(recorded) = attempt.judged.get(&index) else { continue };
        let criterion = std::slice::from_ref(criterion);
        let needs_files = !judge::files_asked(criterion).is_empty() || !judge::commands_asked(criterion).is_empty();
        let is_seen = audit.basis.as_ref().is_some_and(Basis::records_facts) && !audit.gone.facts;
        if (needs_files && !is_seen)
            || audit.gone.inputs
            || (edition.quotes_tools() && audit.gone.results && judge::quotes_lines(criterion))
        {
            book.not_verifiable(Check::Criteria);
            continue;
        }
        let who = match recorded.by {
            JudgedBy::Code => DecidedBy::Code,
            JudgedBy::Model(_) => DecidedBy::Model,
            JudgedBy::Nobody => DecidedBy::Nobody,
        };
        let expected = (derived.verdict, derived.score, who_name(derived.by));
        let what = format!("verdict, score and judge of criterion {index}");
        book.same(Check::Criteria, at, &what, &expected, &(recorded.verdict, recorded.score, who_name(who)));
    }
}

fn who_name(by: DecidedBy) -> &'static str {
    match by {
        DecidedBy::Code => "code",
        DecidedBy::Model => "model",
        DecidedBy::Nobody => "nobody",
    }
}
