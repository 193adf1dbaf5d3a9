//! `events`: the log for reading, one line per event. What was imported stands with the time at which it happened.

use jiff::tz::TimeZone;

use crate::cli::output::{FAINT, HEADING, sanitize, styled, time, words};
use crate::cli::progress::{Names, line};
use crate::domain::event::{Event, Fact, FactObserved, FileState, Recorded};
use crate::domain::judge::FileFact;
use crate::domain::run::Observation;
use crate::domain::text::Text;
use crate::domain::tool::{ProgramEnd, RUN_COMMAND, program_end};

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
        Event::ToolEnded(body) => {
            let (caller, tool) = (names.caller(body.call), names.tool(body.call, body.tool_call));
            if body.repeats.is_some() {
                return Some(format!("{caller}: {tool}: told again, nothing ran"));
            }
            let fault = || body.fault.map_or_else(|| "failed".to_owned(), |fault| fault.name().replace('_', " "));
            let ended = if body.ok { "ended".to_owned() } else { fault() };
            // A long result lies beside the log, which is not read here.
            let end = match body.private.as_ref().map(|private| &private.result) {
                Some(Text::Inline(result)) if tool == RUN_COMMAND => program_end(result).and_then(ProgramEnd::words),
                _ => None,
            };
            let end = end.map_or_else(String::new, |end| format!(", {end}"));
            format!("{caller}: {tool}: {ended} after {}{end}", time::duration(body.latency_ms))
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
    use crate::domain::event::{FactObservedPrivate, Purpose, ToolEnded, ToolEndedPrivate, ToolFault, ToolStarted};
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
    fn the_end_of_a_tool_says_which_one_and_how_it_ended() {
        let started = |tool: &str| ToolStarted { call: 1, tool_call: 0, tool: tool.to_owned(), writes: false, private: None };
        let shown = |tool: &str, fault: Option<ToolFault>, result: &str| {
            let private =
                ToolEndedPrivate { result: Text::Inline(result.to_owned()), whole: None, diff: None, originals: Vec::new() };
            let (ok, private) = (fault.is_none(), Some(private));
            let (bytes, told_bytes) = (Some(2), Some(2));
            let (repeats, reused) = (None, None);
            let ended =
                ToolEnded { call: 1, tool_call: 0, ok, latency_ms: 1_500, fault, bytes, told_bytes, repeats, reused, private };
            let begin = [sample::planned(0, "fixer", None), sample::call_started(1, 0, 1, Purpose::Work)];
            let story = sample::stream(begin.into_iter().chain([started(tool).into(), ended.into()]));
            let mut names = Names::default();
            let lines: Vec<String> = story.iter().map(|recorded| event(recorded, &mut names, &TimeZone::UTC)).collect();
            let last = anstream::adapter::strip_str(lines.last().unwrap()).to_string();
            last.split_once("ToolEnded  ").unwrap().1.to_owned()
        };
        let failed = "test failed\n(exit code 101, 1.5 s)\n";
        assert_eq!(shown("run_command", None, failed), "fixer: run_command: ended after 1.5 s, exit code 101");
        assert_eq!(shown("run_command", None, "(exit code 0, 1.5 s)\n"), "fixer: run_command: ended after 1.5 s");
        let killed = "(ended by a signal, 1.5 s)\n";
        let fault = Some(ToolFault::TimedOut);
        assert_eq!(shown("run_command", fault, killed), "fixer: run_command: timed out after 1.5 s, ended by a signal");
        assert_eq!(shown("read_file", Some(ToolFault::NotAllowed), failed), "fixer: read_file: not allowed after 1.5 s");
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
