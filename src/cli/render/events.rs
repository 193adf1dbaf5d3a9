//! `events`: the log for reading, one line per event. What was imported stands with the time at which it happened.

use jiff::tz::TimeZone;

use crate::cli::output::{FAINT, HEADING, sanitize, styled, time, words};
use crate::cli::progress::{Names, line};
use crate::domain::event::{Event, Fact, FactObserved, FileState, Recorded};
use crate::domain::judge::FileFact;
use crate::domain::run::Observation;

/// Shows an event: position, time, the end of the run's id, kind, and what happened when it is of note.
pub fn event(recorded: &Recorded, names: &mut Names, zone: &TimeZone) -> String {
    let envelope = &recorded.envelope;
    let run = envelope.run.map_or_else(|| "-".repeat(6), |run| run.to_string().chars().skip(20).collect());
    let words = line(recorded, names).or_else(|| aside(recorded, names)).unwrap_or_default();
    let words = sanitize::line(&words);
    let moment = time::moment_ms(envelope.occurred_at.unwrap_or(envelope.at), zone);
    let kind = sanitize::line(recorded.event.name());
    format!("{:>7}  {}  {run}  {}  {words}", envelope.seq, styled(FAINT, moment), styled(HEADING, kind)).trim_end().to_owned()
}

/// Says what an event is about that is not of note while a run goes on. Answers themselves are not shown: they may be sensitive.
fn aside(recorded: &Recorded, names: &Names) -> Option<String> {
    Some(match &recorded.event {
        Event::AnswerGiven(body) => format!("{}: {}", body.question, body.source),
        Event::AnswerChanged(body) => format!("{}: {}", body.question, if body.removed { "removed" } else { "changed" }),
        Event::StartTierChosen(body) => format!("{}: starts at {}", names.role(body.agent), body.tier),
        Event::CallReplied(body) => {
            let tokens = body.usage.total_input().saturating_add(body.usage.output);
            let ended = recorded.envelope.occurred_at.unwrap_or(recorded.envelope.at);
            let latency_ms = names.latency_ms(body.call, body.latency_ms, ended);
            format!("{}: {} after {}", names.caller(body.call), words::plural(tokens, "token"), time::duration(latency_ms))
        }
        Event::CostIncurred(body) => {
            format!("{}: {}", names.role(body.agent), names.amount(body.amount.map(|amount| amount.0)))
        }
        Event::CriterionJudged(body) => {
            format!("{}: {}: {}", names.role(body.agent), names.criterion(body), body.verdict)
        }
        Event::FactObserved(body) => format!("{}: {}", names.role(body.agent), seen(body)),
        Event::NoteAdded(body) => {
            body.rating.map_or_else(|| "a note".to_owned(), |rating| format!("a note, rated {rating} of 5"))
        }
        Event::RecommendationShown(body) => format!("advice on {}", body.template_id),
        Event::RecommendationTaken(body) => format!("the advice of event {} was taken", body.shown),
        _ => return None,
    })
}

/// Says what was seen of the world outside.
fn seen(body: &FactObserved) -> String {
    let subject = body.private.as_ref().map(|private| private.subject.as_str());
    match body.fact {
        Fact::File { before, after } => {
            let words = |state| match state {
                FileState::Unseen => "not checked".to_owned(),
                FileState::Absent => "not there".to_owned(),
                FileState::Present { bytes } => words::plural(bytes, "byte"),
            };
            let changed = match Observation::recorded(body).file() {
                Some((_, FileFact { changed: Some(true), .. })) => ", changed",
                Some((_, FileFact { changed: Some(false), .. })) => ", unchanged",
                _ => "",
            };
            format!("{}: before {}, after {}{changed}", subject.unwrap_or("a file"), words(before), words(after))
        }
        Fact::Command { exit, timed_out, latency_ms, .. } => {
            let end = match exit {
                Some(code) => format!("exit code {code}"),
                None if timed_out => "ended by its time limit".to_owned(),
                None => "ended by a signal".to_owned(),
            };
            format!("{}: {end} after {}", subject.unwrap_or("a command"), time::duration(latency_ms))
        }
        Fact::CommandNotRun { why } => {
            format!("{}: not run, {}", subject.unwrap_or("a command"), why.name().replace('_', " "))
        }
        Fact::DayBudget { limit, used, wanted } => format!("the day's budget of {limit}: {used} used, {wanted} wanted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{FactObservedPrivate, Purpose};
    use crate::domain::money::NanoUsd;
    use crate::views::sample;

    #[test]
    fn an_event_is_one_line() {
        let mut names = Names::default();
        let shown = event(&sample::story()[5], &mut names, &TimeZone::UTC);
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(shown, "      7  2026-11-22 16:21:36.000 UTC  V3W5X7  AgentPlanned  linter: planned, progressive");
    }

    #[test]
    fn a_call_took_no_longer_than_lies_between_its_events() {
        let mut names = Names::default();
        let mut story = sample::stream([sample::call_started(1, 0, 1, Purpose::Work), sample::replied(1, "text")]);
        for (recorded, after_ms) in story.iter_mut().zip([0, 5]) {
            recorded.envelope.at = after_ms * 1_000_000;
        }
        let told: Vec<String> = story.iter().map(|recorded| event(recorded, &mut names, &TimeZone::UTC)).collect();
        let told = anstream::adapter::strip_str(&told[1]).to_string();
        assert!(told.contains("1970-01-01 00:00:00.005 UTC") && told.ends_with(" after 5 ms"), "{told}");
    }

    #[test]
    fn what_was_seen_outside_is_said_in_a_line() {
        let private =
            |subject: &str| Some(FactObservedPrivate { subject: subject.to_owned(), output: None, before: None, after: None });
        let fact = |fact, subject: &str| seen(&FactObserved { agent: 0, attempt: Some(1), fact, private: private(subject) });
        let file = Fact::File { before: FileState::Absent, after: FileState::Present { bytes: 1 } };
        assert_eq!(fact(file, "a.md"), "a.md: before not there, after 1 byte, changed");
        let command = |exit, timed_out| Fact::Command { exit, timed_out, latency_ms: 1500, output_bytes: 9 };
        assert_eq!(fact(command(Some(1), false), "cargo test"), "cargo test: exit code 1 after 1.5 s");
        assert_eq!(fact(command(None, true), "cargo test"), "cargo test: ended by its time limit after 1.5 s");
        let day = Fact::DayBudget { limit: NanoUsd(2_000_000_000), used: NanoUsd(1_990_000_000), wanted: NanoUsd(20_000_000) };
        assert_eq!(fact(day, ""), "the day's budget of $2.00: $1.99 used, $0.0200 wanted");
    }

    #[test]
    fn an_answer_is_named_and_not_shown() {
        let mut names = Names::default();
        let story = sample::story();
        let given = story.iter().find(|recorded| matches!(recorded.event, Event::AnswerGiven(_))).unwrap();
        let Event::AnswerGiven(body) = &given.event else { unreachable!() };
        let shown = anstream::adapter::strip_str(&event(given, &mut names, &TimeZone::UTC)).to_string();
        assert!(shown.ends_with(&format!("AnswerGiven  {}: {}", body.question, body.source)), "{shown}");
    }
}
