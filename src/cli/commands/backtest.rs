//! `meno backtest` and `meno whatif`: estimates for other strategies from recorded runs.

use std::collections::HashSet;

use jiff::Zoned;

use super::search;
use crate::cli::args::memory::{BacktestArgs, WhatifArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::{open, render};
use crate::domain::ids::RunId;
use crate::memory::advice::past::Counts;
use crate::workspace::{Access, SearchRequest};

/// Estimates from many runs.
///
/// # Errors
/// When the filter is no filter, or the store or its index cannot be read.
pub fn backtest(context: &mut Context, args: &BacktestArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let (mut only, mut understood, mut notices) = (None, None, Vec::new());
    if let Some(filter) = &args.runs {
        let now = Zoned::now().with_time_zone(context.out.zone().clone());
        let request = SearchRequest::new(filter).limit(usize::MAX).lexical_only(true).now(&now).catch_up(context.global.wait);
        let found = workspace.memory().search(&request).map_err(search::report)?;
        if found.understood.filters.is_empty() && found.understood.order.is_none() {
            return Err(CliError::invalid(format!("`{filter}` filters nothing: {}", found.understood.line))
                .hint("say it like `template:release_prep since:30d`; `meno search --help` lists the keys"));
        }
        let runs: HashSet<RunId> = found.hits.iter().filter_map(|hit| hit.run_id.parse().ok()).collect();
        understood = Some(found.understood.line);
        notices = found.understood.notes;
        notices.extend(found.notices);
        only = Some(runs);
    }
    let counts = Counts { simulated: args.include_simulated, unverified: args.include_unverified };
    let mut report = workspace.memory().backtest(&args.strategy, only.as_ref(), counts)?;
    report.understood = understood;
    report.notices.extend(notices);
    if context.out.json() {
        context.out.document(&report)?;
        return Ok(Exit::Done);
    }
    if let Some(line) = &report.understood {
        context.out.say(line);
    }
    if report.tasks == 0 {
        report.notices.iter().for_each(|notice| context.out.say(notice));
        context.out.say("no task of an ended run is recorded here; `meno list-runs` shows the runs");
        return Ok(Exit::Done);
    }
    context.out.data(render::backtest::backtest(&context.out, &report))?;
    Ok(Exit::Done)
}

/// Estimates from one run.
///
/// # Errors
/// When there is no such run, it has not ended, or the store cannot be read.
pub fn whatif(context: &mut Context, args: &WhatifArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let run = workspace.runs().find_own_run(&args.run.to_string())?;
    let Some(report) = workspace.memory().whatif(run, &args.strategy)? else {
        if workspace.runs().detail(run)?.failed_by_configuration {
            return Err(CliError::refused(format!("run {run} failed by its configuration: there is nothing to estimate from"))
                .hint(format!("`meno show-run {run}` says why")));
        }
        return Err(CliError::refused(format!("run {run} has not ended, or has no attempt: there is nothing to estimate from"))
            .hint(format!("`meno show-run {run}` shows how far it came")));
    };
    if context.out.json() {
        context.out.document(&report)?;
    } else {
        context.out.data(render::backtest::whatif(&context.out, &report))?;
    }
    Ok(Exit::Done)
}
