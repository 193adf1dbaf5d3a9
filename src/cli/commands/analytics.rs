//! `meno analytics`: what experience says.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::analytics::spending::{CostQuestion, CostReport, Dimension, Only};
use crate::charts::costs::periods;
use crate::cli::args::AnalyticsArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::sanitize;
use crate::cli::{open, render};
use crate::ui::report::{self, ReportPage};
use crate::workspace::{Access, AnalyticsQuestion, Workspace, transcript_sources};

/// Shows how templates do.
///
/// # Errors
/// When the store cannot be read, the page not written, or the template is not known.
pub fn run(context: &mut Context, args: &AnalyticsArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    workspace.keeping().count_logs(args.logs.filter())?;
    let (now, zone) = (Timestamp::now(), context.out.zone().clone());
    let question = AnalyticsQuestion {
        template: args.template.clone(),
        since: args.since.as_ref().map(|when| when.since(now, &zone)),
        until: args.until.as_ref().map(|when| when.until(now, &zone)),
        simulated: args.include_simulated,
        unverified: args.include_unverified,
    };
    let analytics = workspace.memory().analytics(&question)?;
    if let Some(template) = &args.template
        && analytics.template.is_none()
        && workspace.library.find(template)?.is_none()
        && workspace.memory().outcomes(Some(template))?.is_empty()
    {
        if transcript_sources().any(|source| source == template) {
            return Err(CliError::not_found(format!("the sessions of {template} are in no statistic: nobody judged what came of them"))
                .hint(format!("`meno costs --where template={template}` says what they cost, `meno list-runs --template {template}` which there are")));
        }
        let known = workspace.library.list();
        let ids: Vec<&str> = known.iter().map(|entry| entry.id.as_str()).collect();
        return Err(CliError::not_found(format!("template `{}` is not known and was never run", sanitize::line(template)))
            .suggest(template, ids.iter().copied(), "`meno analytics` shows the templates that were run"));
    }
    if let Some(file) = &args.html {
        let costs = costs_over_time(&workspace, &question, &zone)?;
        let day_budget = workspace.resolved.settings.per_day_budget.map(|budget| budget.0);
        let page = ReportPage { analytics: &analytics, costs: &costs, day_budget };
        let page = report::page(&page);
        if file == std::path::Path::new("-") {
            context.out.bytes(page.as_bytes())?;
            return Ok(Exit::Done);
        }
        std::fs::write(file, page).map_err(|error| CliError::cannot_write(file, &error))?;
        context.out.say(format!("written: {}", file.display()));
    }
    if context.out.json() {
        context.out.document(&analytics)?;
    } else if analytics.templates.is_empty() {
        let hint = if args.include_simulated { "" } else { "--include-simulated counts simulated runs too; " };
        context.out.say(format!(
            "no ended run counts; {hint}sessions of other agents never count, because nobody judged them: `meno costs` has what they cost"
        ));
    } else {
        let text = render::analytics::analytics(&context.out, &analytics);
        context.out.data(text)?;
    }
    Ok(Exit::Done)
}

/// Returns costs over time, by day as long as that can be drawn, else by week or month: of all templates by template, of one by tier.
fn costs_over_time(workspace: &Workspace, question: &AnalyticsQuestion, zone: &TimeZone) -> Result<CostReport> {
    /// Bars that can be told apart.
    const PERIODS_MAX: usize = 62;
    let template = question.template.clone();
    let parts = if template.is_some() { Dimension::Tier } else { Dimension::Template };
    let only: Vec<Only> = template.into_iter().map(|value| Only { dimension: Dimension::Template, value }).collect();
    let by = |period| {
        let by = vec![period, parts.clone()];
        let asked = CostQuestion { by, only: only.clone(), since: question.since, until: question.until };
        workspace.memory().costs(&asked, zone)
    };
    for period in [Dimension::Day, Dimension::Week] {
        let report = by(period)?;
        if periods(&report) <= PERIODS_MAX {
            return Ok(report);
        }
    }
    Ok(by(Dimension::Month)?)
}
