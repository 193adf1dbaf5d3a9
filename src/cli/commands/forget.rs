//! `meno forget` and `meno purge`: what was said in runs is removed for good.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::{ForgetArgs, PurgeArgs};
use crate::cli::ask::{Prompter, Terminal, agrees};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{time, words};
use crate::cli::{form_fill, open};
use crate::domain::event::ForgottenParts;
use crate::domain::ids::RunId;
use crate::views::{self, run_list::RunRow};
use crate::workspace::{Access, Forgotten, Workspace};

/// What `forget --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was forgotten, as `meno forget --json` prints it")]
pub struct ForgetDocument {
    /// The run.
    pub run_id: String,
    /// Which parts: answers, outputs or all.
    pub which: String,
    /// Events whose texts are gone now; 0 when they were gone before.
    pub events: u64,
    /// Runs that were forked from it and still hold what they took over.
    pub children: Vec<String>,
    /// Files whose contents before a tool changed them are still there, so that the command undo can put them back.
    pub originals: u64,
}

/// What `purge --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Runs that were purged or would be, as `meno purge --json` prints it")]
pub struct PurgeDocument {
    /// Runs that ended before this moment are meant.
    pub before: String,
    /// Nothing was changed.
    pub dry_run: bool,
    /// The runs, the oldest first.
    pub runs: Vec<PurgeLine>,
    /// Runs that began before the moment and have not ended; they are left alone.
    pub open: u64,
    /// Events whose texts are gone now.
    pub events: u64,
}

/// A run to be purged.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PurgeLine {
    /// The run.
    pub run_id: String,
    /// Its template.
    pub template_id: String,
    /// How it ended.
    pub status: String,
    /// When it ended.
    pub ended_at: Option<String>,
}

/// Forgets what was said in a run.
///
/// # Errors
/// When there is no such run, it has not ended, or the store's files cannot be had.
pub fn forget(context: &mut Context, args: &ForgetArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    let run = workspace.runs().find_own_run(&args.run.to_string())?;
    let which = match (args.answers, args.outputs) {
        (true, _) => ForgottenParts::Answers,
        (_, true) => ForgottenParts::Outputs,
        _ => ForgottenParts::All,
    };
    let what = if which == ForgottenParts::All { "all texts" } else { which.name() };
    let forks = workspace.runs().descendants(run)?;
    let mut runs = vec![run];
    if args.with_forks {
        runs.extend(&forks);
    } else if !forks.is_empty() {
        let forks: Vec<String> = forks.iter().map(ToString::to_string).collect();
        context.out.warn(format!("forks hold copies of its texts, which stay without `--with-forks`: {}", forks.join(", ")));
    }
    let of = match runs.len() {
        1 => format!("run {run}"),
        more => format!("run {run} and {} forked from it", words::plural(more as u64 - 1, "run")),
    };
    confirm(context, args.yes, format!("Forget {what} of {of} for good?"))?;
    let why = form_fill::redactor_about(&workspace, run).redact_answer(&args.why).into_owned();
    let forgotten = workspace.keeping().forget(&runs, which, &why, context.global.wait)?;
    let mut originals = 0;
    for run in &runs {
        originals += workspace.runs().originals_of(*run)?;
    }
    if context.out.json() {
        context.out.document(&ForgetDocument {
            originals,
            run_id: run.to_string(),
            which: which.name().to_owned(),
            events: forgotten.events,
            children: left(&forgotten, &runs).iter().map(ToString::to_string).collect(),
        })?;
        return Ok(Exit::Done);
    }
    let gone = match forgotten.events {
        0 => "they were forgotten before".to_owned(),
        events => format!("the texts of {} are gone", words::plural(events, "event")),
    };
    context.out.say(format!("{of}: {what} forgotten; {gone}"));
    if originals > 0 {
        context.out.say(format!(
            "what {} held before tools changed it stays, so that `meno undo {run}` can put it back; `meno forget {run}` removes that too",
            words::plural(originals, "file")
        ));
    }
    told(context, &workspace)?;
    Ok(Exit::Done)
}

/// Returns the forks that were not forgotten too.
fn left(forgotten: &Forgotten, runs: &[RunId]) -> Vec<RunId> {
    forgotten.children.iter().copied().filter(|child| !runs.contains(child)).collect()
}

/// Shows the runs of a purge.
fn table(context: &Context, workspace: &Workspace, runs: &[RunRow]) -> Result<String> {
    let all = if context.out.width().is_some() { workspace.runs().run_ids()? } else { Vec::new() };
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let ids: Vec<String> = runs.iter().map(|run| run.run_id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let moments: Vec<_> = runs.iter().map(|run| run.ended_at).collect();
    let (short_times, note) = time::short_list(&moments, context.out.zone());
    let columns = [
        Column::new("run", Fit::Whole),
        Column::new("template", Fit::Words),
        Column::new("status", Fit::Words).once(),
        Column::new("ended", Fit::Whole),
    ];
    let mut table = Table::new(&context.out, &columns);
    table.short_note(note);
    for (((run, id), short_id), short_time) in runs.iter().zip(&ids).zip(words::unique_suffixes(&ids, &all)).zip(short_times) {
        let ended = run.ended_at.map(|at| time::moment(at, context.out.zone())).unwrap_or_default();
        table.row([
            Entry::from(*id).short(short_id),
            Entry::from(run.template_id.as_str()),
            Entry::from(run.status.name()),
            Entry::from(ended).short(short_time.unwrap_or_default()),
        ]);
    }
    Ok(table.finish())
}

/// Forgets what was said in runs that ended long ago.
///
/// # Errors
/// As [`forget`].
pub fn purge(context: &mut Context, args: &PurgeArgs) -> Result<Exit> {
    let access = if args.dry_run { Access::Read } else { Access::Change };
    let workspace = open::store(context, access)?;
    let before = args.older_than.since(Timestamp::now(), context.out.zone());
    let found = workspace.keeping().purgeable(before)?;
    let count = words::plural(found.runs.len() as u64, "run");
    if !context.out.json() {
        if !found.runs.is_empty() {
            let table = table(context, &workspace, &found.runs)?;
            context.out.data(table)?;
        }
        if found.open > 0 {
            let open = words::plural(found.open, "run");
            context.out.say(format!("{open} of that age can still go on and are left alone; `meno cancel RUN` ends one"));
        }
    }
    let mut forgotten = Forgotten { events: 0, children: Vec::new() };
    if !args.dry_run && !found.runs.is_empty() {
        confirm(context, args.yes, format!("Forget all texts of {count} for good?"))?;
        let runs: Vec<RunId> = found.runs.iter().map(|run| run.run_id).collect();
        let why = format!("purged: ended before {}", views::utc(before));
        forgotten = workspace.keeping().forget(&runs, ForgottenParts::All, &why, context.global.wait)?;
    }
    if context.out.json() {
        context.out.document(&PurgeDocument {
            before: views::utc(before),
            dry_run: args.dry_run,
            runs: found.runs.iter().map(line).collect(),
            open: found.open,
            events: forgotten.events,
        })?;
        return Ok(Exit::Done);
    }
    if found.runs.is_empty() {
        context.out.say(format!("no run that ended before {} has texts", views::utc(before)));
    } else if args.dry_run {
        context.out.say(format!("{count} would be forgotten; nothing was changed"));
    } else {
        context.out.say(format!("{count} forgotten; the texts of {} are gone", words::plural(forgotten.events, "event")));
        let runs: Vec<RunId> = found.runs.iter().map(|run| run.run_id).collect();
        let left: Vec<String> = left(&forgotten, &runs).iter().map(ToString::to_string).collect();
        if !left.is_empty() {
            context.out.warn(format!("their forks keep copies of their texts: {}", left.join(", ")));
        }
        told(context, &workspace)?;
    }
    Ok(Exit::Done)
}

fn line(run: &RunRow) -> PurgeLine {
    PurgeLine {
        run_id: run.run_id.to_string(),
        template_id: run.template_id.clone(),
        status: run.status.name().to_owned(),
        ended_at: run.ended_at.map(views::utc),
    }
}

/// Says what forgetting leaves, here and elsewhere.
fn told(context: &mut Context, workspace: &Workspace) -> Result<()> {
    let head = workspace.log().head()?;
    context.out.say(format!("the log verifies as before; head: event {}, {}", head.seq, head.hash));
    context.out.say("backups, exports and copies that others pulled keep theirs");
    Ok(())
}

/// Asks a person whether it is meant; where there is nobody to ask, `--yes` must say so.
fn confirm(context: &Context, yes: bool, text: String) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !context.can_ask() {
        let why = "nothing was forgotten: it cannot be undone, and there is no terminal to ask on";
        return Err(CliError::refused(why).hint(
            "`--yes` goes ahead without asking; of `meno purge --older-than 90d`, `--dry-run` shows which runs are meant",
        ));
    }
    meant(&mut Terminal::new(true), text)
}

fn meant(prompter: &mut dyn Prompter, text: String) -> Result<()> {
    match agrees(prompter, "forget", text, Some("it cannot be undone"), (false, "to be on the safe side"))? {
        true => Ok(()),
        false => Err(CliError::refused("nothing was forgotten").hint("`--yes` goes ahead without asking")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ask::tests::{Does, Script};

    #[test]
    fn nothing_is_forgotten_without_a_yes_and_ctrl_c_ends_the_command() {
        let asked = |does| meant(&mut Script::of([does]), "Forget it?".to_owned()).map_err(|error| error.exit);
        let answers = |yes: bool| Does::Answers(yes.into());
        let outcomes = [answers(true), answers(false), Does::GoesBack, Does::Leaves].map(asked);
        assert_eq!(outcomes, [Ok(()), Err(Exit::Mendable), Err(Exit::Mendable), Err(Exit::Interrupted)]);
    }

    #[test]
    fn the_schemas_of_forgetting_are_those_of_their_types() {
        crate::views::schema_test::check::<super::ForgetDocument>("forget.json");
        crate::views::schema_test::check::<super::PurgeDocument>("purge.json");
    }
}
