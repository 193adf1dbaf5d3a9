//! The typed criteria that code decides.

use regex::RegexBuilder;

use super::super::criterion::Check;
use super::super::event::NotRun;
use super::quote::{clip, found, in_line, quote};
use super::{CommandFact, Edition, Facts, Judged, cites, json, name_of, runners};

/// A pattern is at most so many bytes long, and its compiled form takes at most so much memory: a hostile one costs little.
/// Matching is linear in the answer.
const PATTERN_BYTES_MAX: usize = 8 * 1024;
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Decides a criterion that is neither a sentence nor made of parts.
pub(super) fn decide(check: &Check, answer: &str, facts: &Facts) -> Judged {
    let edition = facts.edition;
    match check {
        Check::Contains { value, ignore_case } => contains(value, *ignore_case, answer, edition, true),
        Check::NotContains { value, ignore_case } => contains(value, *ignore_case, answer, edition, false),
        Check::Regex { pattern } => matches(pattern, answer, edition),
        Check::JsonSchema { schema } => json::valid(schema, answer, edition),
        Check::JsonPath { path, test } => json::path_holds(path, test, answer, edition),
        Check::MinWords { value } => {
            words(edition.words(answer), |words| words >= *value, &format!("at least {value} are asked for"))
        }
        Check::MaxWords { value } => {
            words(edition.words(answer), |words| words <= *value, &format!("at most {value} are allowed"))
        }
        Check::CitesInputs {} => cites::cites(answer, &facts.input_files),
        Check::FileExists { path } => match facts.workspace.get(path) {
            Some(fact) if fact.exists => Judged::code(true, format!("`{path}` is in the workspace")),
            Some(_) => Judged::code(false, format!("`{path}` is not in the workspace")),
            None => Judged::unknown(format!("nobody looked for `{path}` in the workspace")),
        },
        Check::FileChanged { path } => match facts.workspace.get(path).and_then(|fact| fact.changed) {
            Some(true) => Judged::code(true, format!("`{path}` was changed")),
            Some(false) => Judged::code(false, format!("`{path}` is as it was before")),
            None => Judged::unknown(format!("nobody knows how `{path}` was before the attempt")),
        },
        Check::Command { run, exit_code, patched, .. } if edition.runs_commands() => command(run, *patched, *exit_code, facts),
        Check::Command { run, .. } => {
            Judged::unknown(format!("commands cannot be run in this version: {}", quote(&run.join(" "))))
        }
        // A walk over the criteria takes these apart before it comes here.
        Check::Judge { .. } | Check::All { .. } | Check::Any { .. } | Check::Not { .. } => {
            Judged::unknown("this criterion cannot be decided on its own")
        }
    }
}

fn contains(value: &str, ignore_case: bool, answer: &str, edition: Edition, wanted: bool) -> Judged {
    let place = if ignore_case {
        // Lower case may be longer or shorter than the original, so the place is known by its line only.
        let small = value.to_lowercase();
        answer.to_lowercase().contains(&small).then(|| {
            let line = answer.lines().position(|line| line.to_lowercase().contains(&small));
            line.map_or_else(
                || format!("found {}", quote(value)),
                |line| in_line(line + 1, answer.lines().nth(line).unwrap_or_default(), edition),
            )
        })
    } else {
        answer.find(value).map(|at| found(answer, at, at + value.len(), edition))
    };
    let present = place.is_some();
    Judged::code(present == wanted, place.unwrap_or_else(|| format!("{} is not in the answer", quote(value))))
}

fn matches(pattern: &str, answer: &str, edition: Edition) -> Judged {
    match compile(pattern) {
        Err(problem) => Judged::unknown(format!("the pattern cannot be used: {problem}")),
        Ok(regex) => match regex.find(answer) {
            Some(place) => Judged::code(true, found(answer, place.start(), place.end(), edition)),
            None => Judged::code(false, format!("nothing in the answer matches `{}`", clip(pattern, 200))),
        },
    }
}

/// Compiles a criterion's pattern within its limits.
pub(super) fn compile(pattern: &str) -> Result<regex::Regex, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
    }
    let mut builder = RegexBuilder::new(pattern);
    let built = builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).nest_limit(100).build();
    // The crate's message shows the pattern over several lines; its last line says what is wrong.
    built.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
}

/// A program that may not run, or is not there, says nothing of the answer.
fn command(run: &[String], patched: bool, wanted: i32, facts: &Facts) -> Judged {
    let (program, line) = (run.first().map_or("", String::as_str), quote(&run.join(" ")));
    match facts.commands.get(&name_of(run, patched)) {
        None if facts.is_ending => Judged::unknown(format!("{line} was not run: the run is ending")),
        None => Judged::unknown(format!("{line} was not run: it could not change the outcome")),
        Some(CommandFact::NotRun(NotRun::NotAllowed)) => {
            Judged::unknown(format!("{line} was not run: the settings do not allow `{program}`"))
        }
        Some(CommandFact::NotRun(NotRun::NotFound)) => Judged::unknown(format!("{line} was not run: `{program}` is not there")),
        Some(CommandFact::NotTried { why: NotRun::PatchFails, said }) => {
            Judged::code(false, format!("{line} was not run: {said}"))
        }
        Some(CommandFact::NotTried { said, .. }) => Judged::unknown(format!("{line} was not run: {said}")),
        Some(CommandFact::NotRun(why)) => Judged::unknown(format!("{line} was not run: {}", why.name())),
        Some(CommandFact::Ran { exit: Some(code), timed_out: false, tail, .. })
            if facts.edition.knows_unstarted() && *code != wanted && runners::is_unstarted(*code, tail) =>
        {
            let said = if tail.is_empty() { "it wrote nothing" } else { tail.as_str() };
            Judged::unknown(format!(
                "{line} did not get to work: something that it needs is not there, or is not to be read by programs here (`readable` \
                 under [tools]); exit code {code}: {said}"
            ))
        }
        Some(CommandFact::Ran { exit: Some(code), timed_out: false, tail, .. })
            if facts.edition.reads_outputs() && facts.no_network && *code != wanted && runners::lacked_network(tail) =>
        {
            Judged::unknown(format!(
                "{line} did not get to work: it wants something from the network, which programs do not have here (`network` under \
                 [tools]); exit code {code}: {tail}"
            ))
        }
        Some(CommandFact::Ran { exit: Some(code), timed_out: false, tail, no_test: true })
            if facts.edition.reads_outputs() && *code == wanted =>
        {
            Judged::unknown(format!("{line} ran no test, so it proves nothing; exit code {code}: {tail}"))
        }
        Some(CommandFact::Ran { exit, timed_out, tail, .. }) => {
            let end = match (exit, timed_out) {
                (_, true) => "it did not end in time".to_owned(),
                (None, false) => "a signal ended it".to_owned(),
                (Some(code), false) => format!("exit code {code}"),
            };
            let said = if tail.is_empty() { "it wrote nothing" } else { tail.as_str() };
            Judged::code(*exit == Some(wanted) && !timed_out, format!("{end}: {said}"))
        }
    }
}

fn words(count: u64, holds: impl Fn(u64) -> bool, limit: &str) -> Judged {
    Judged::code(holds(count), format!("{count} words; {limit}"))
}
