//! `meno list-runs`: which runs there are.

use jiff::Timestamp;

use crate::cli::args::ListRunsArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::{open, render};
use crate::views::run_list::RunFilter;
use crate::workspace::Access;

/// How many runs people are shown when they do not say; programs get all.
const SHOWN_MAX: u64 = 20;

/// Lists the runs that the filters let through.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &mut Context, args: &ListRunsArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let mut filter = filter(args, Timestamp::now(), context);
    filter.log = workspace.keeping().known_logs(filter.log)?;
    let limit = args.limit.or((!context.out.json()).then_some(SHOWN_MAX));
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let list = workspace.runs().list(&filter, args.sort, limit)?;
    if context.out.json() {
        context.out.document(&list)?;
        return Ok(Exit::Done);
    }
    if list.runs.is_empty() {
        context.out.say(if filter == RunFilter::default() {
            format!("no runs yet in {}; `meno list-templates` shows what can be run", workspace.store.path.display())
        } else {
            "no run matches; `meno list-runs` without filters shows all".to_owned()
        });
        return Ok(Exit::Done);
    }
    // Ids are shortened on terminals only, and must then be told apart from those that are not shown.
    let all = if context.out.width().is_some() { workspace.runs().run_ids()? } else { Vec::new() };
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let table = render::list_runs::list_runs(&context.out, &list, &all);
    context.out.data(table)?;
    if let Some(legend) = render::list_runs::legend(&list) {
        context.out.say(legend);
    }
    if let Some(rest) = render::list_runs::remainder(&list) {
        context.out.say(rest);
    }
    Ok(Exit::Done)
}

fn filter(args: &ListRunsArgs, now: Timestamp, context: &Context) -> RunFilter {
    let zone = context.out.zone();
    RunFilter {
        template: args.template.clone(),
        status: args.status.clone(),
        mode: args.mode,
        since: args.since.as_ref().map(|when| when.since(now, zone)),
        until: args.until.as_ref().map(|when| when.until(now, zone)),
        under_way: None,
        log: args.logs.filter(),
        labels: args.labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect(),
    }
}
