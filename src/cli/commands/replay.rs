//! `meno replay`: a run once more, without models and money: event by event, as it was at one moment, or with every decision made anew.

use std::io::BufRead;
use std::time::Duration;

use crate::audit::replay::Verification;
use crate::cli::args::ReplayArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::error_map::at_hint;
use crate::cli::open;
use crate::cli::progress::Names;
use crate::cli::render::output::Texts;
use crate::cli::render::{events, replay, show_run};
use crate::cli::stop::Stop;
use crate::domain::ids::RunId;
use crate::views::event_line::EventLine;
use crate::workspace::runs::saved::verify_saved;
use crate::workspace::{Access, ReplayDocument, Workspace};

/// Longer pauses than this are cut: nobody waits a night for a run that was resumed in the morning.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Walks through a run, shows it as it was, or verifies it.
///
/// # Errors
/// When there is no such run, or the store cannot be read.
pub fn run(context: &mut Context, args: &ReplayArgs) -> Result<Exit> {
    if !args.from.is_empty() {
        return told(context, |tell| Ok(verify_saved(&args.from, tell)?));
    }
    let workspace = open::store(context, Access::Read)?;
    let run = args.run.as_ref().map(|run| workspace.runs().find_run(&run.to_string())).transpose()?;
    match (run, args.at) {
        (run, _) if args.verify => verify(context, &workspace, run),
        (Some(run), Some(seq)) => show(context, &workspace, run, seq),
        (Some(run), None) => walk(context, &workspace, run, args),
        (None, _) => Err(CliError::usage("no run is named").hint("`meno replay last`, or `meno replay --verify --all`")),
    }
}

fn verify(context: &mut Context, workspace: &Workspace, run: Option<RunId>) -> Result<Exit> {
    told(context, |tell| Ok(workspace.proof().verify(run, tell)?))
}

/// Tells each run in which `verify` finds a difference, and what it found in all.
fn told(context: &mut Context, verify: impl FnOnce(&mut dyn FnMut(&Verification)) -> Result<ReplayDocument>) -> Result<Exit> {
    let is_told = !context.out.json();
    let mut failure = None;
    let document = verify(&mut |one| {
        if is_told && failure.is_none() {
            failure = match &one.difference {
                Some(difference) => context.out.data(replay::difference(&one.run_id, difference)).err(),
                None => {
                    context.out.detail(replay::agreement(one));
                    None
                }
            };
        }
    })?;
    if let Some(report) = failure {
        return Err(report);
    }
    if context.out.json() {
        context.out.document(&document)?;
    } else {
        context.out.data(replay::summary(&document))?;
    }
    Ok(match document.sound {
        false => Exit::Violation,
        // What was not looked at is not sound either.
        true if document.is_void() || document.incomplete > 0 => Exit::Mendable,
        true => Exit::Done,
    })
}

fn show(context: &mut Context, workspace: &Workspace, run: RunId, seq: u64) -> Result<Exit> {
    let Some(detail) = workspace.proof().detail_at(run, seq)? else {
        let reach = workspace.proof().reach(run)?;
        return Err(CliError::not_found(format!("run {run} has nothing at {seq}: {reach}")).hint(at_hint(run)));
    };
    if let Some(end) = workspace.proof().end_before(run, seq)? {
        context.out.warn(format!("the log ends at position {end}: the run is shown as it was then"));
    }
    let detail = detail.masked();
    if context.out.json() {
        context.out.document(&detail)?;
    } else {
        let shown = show_run::ShowRunOptions {
            texts: Texts::default(),
            agent: None,
            zone: context.out.zone(),
            family: &[],
            diff: false,
            allow_write: false,
            width: context.out.width(),
        };
        let page = show_run::show_run(&detail, shown);
        context.out.verbatim(page)?;
    }
    Ok(Exit::Done)
}

fn walk(context: &mut Context, workspace: &Workspace, run: RunId, args: &ReplayArgs) -> Result<Exit> {
    // Only somebody who waits needs to be able to stop waiting.
    let stop = args.speed.is_some().then(Stop::listen).transpose()?;
    let mut names = Names::default();
    let mut before = None;
    let mut stdin = std::io::stdin().lock();
    for recorded in workspace.runs().events_of(run, 1, u32::MAX)? {
        if let (Some(stop), Some(speed), Some(before)) = (&stop, args.speed, before) {
            stop.wait(pause(before, recorded.envelope.at, speed));
            if stop.is_asked() {
                return Ok(Exit::Done);
            }
        }
        before = Some(recorded.envelope.at);
        if args.step {
            let mut line = String::new();
            let read = stdin
                .read_line(&mut line)
                .map_err(|error| CliError::new("io", Exit::Mendable, format!("cannot read stdin: {error}")))?;
            if read == 0 {
                return Ok(Exit::Done);
            }
        }
        if context.out.json() {
            let line =
                EventLine::of(&recorded).map_err(|error| CliError::fault("an event cannot be written as JSON").source(&error))?;
            context.out.json_line(&line)?;
        } else {
            let line = events::event(&recorded, &mut names, context.out.zone());
            context.out.data(line)?;
        }
    }
    Ok(Exit::Done)
}

/// How long to wait between two events that were recorded at these moments.
fn pause(before: i64, at: i64, speed: f64) -> Duration {
    let ns = u64::try_from(at.saturating_sub(before)).unwrap_or_default();
    Duration::try_from_secs_f64(Duration::from_nanos(ns).as_secs_f64() / speed).unwrap_or(PAUSE_MAX).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_scaled_cut_and_never_negative() {
        assert_eq!(pause(0, 10_000_000_000, 10.0), Duration::from_secs(1));
        assert_eq!(pause(10_000_000_000, 0, 1.0), Duration::ZERO);
        assert_eq!(pause(0, i64::MAX, 1e-300), PAUSE_MAX);
    }
}
