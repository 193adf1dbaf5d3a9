//! `meno costs`: what was spent, by day, model, template or whatever else.

use jiff::Timestamp;

use crate::analytics::spending::{CostQuestion, Dimension};
use crate::cli::args::CostsArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::{open, render};
use crate::workspace::Access;

/// Shows what was spent.
///
/// # Errors
/// When the store cannot be read.
pub fn run(context: &mut Context, args: &CostsArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    workspace.keeping().count_logs(args.logs.filter())?;
    let (now, zone) = (Timestamp::now(), context.out.zone().clone());
    // A table has each column once.
    let by = args.by.iter().enumerate().filter(|(at, one)| !args.by[..*at].contains(one)).map(|(_, one)| one.clone()).collect();
    let question = CostQuestion {
        by,
        only: args.only.clone(),
        since: args.since.as_ref().map(|when| when.since(now, &zone)),
        until: args.until.as_ref().map(|when| when.until(now, &zone)),
    };
    let report = workspace.memory().costs(&question, &zone)?;
    if context.out.json() {
        context.out.document(&report)?;
    } else if question.by.contains(&Dimension::Tool) || question.only.iter().any(|only| only.dimension == Dimension::Tool) {
        if report.tools.is_empty() {
            context.out.say("no tool ran then; `meno list-runs` shows the runs");
        } else {
            let table = render::costs::tools(&context.out, &report);
            context.out.data(table)?;
        }
    } else if report.rows.is_empty() {
        context.out.say("nothing was spent then; `meno list-runs` shows the runs");
    } else {
        let table = render::costs::costs(&context.out, &report);
        context.out.data(table)?;
    }
    Ok(Exit::Done)
}
