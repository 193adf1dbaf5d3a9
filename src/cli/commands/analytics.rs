//! `meno analytics`: what experience says.

use jiff::Timestamp;

use crate::cli::args::AnalyticsArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Report, Result};
use crate::cli::output::sanitize;
use crate::cli::{open, render};
use crate::workspace::{Access, AnalyticsQuestion};

/// Shows how templates do.
///
/// # Errors
/// When the store cannot be read, the page not written, or the template is not known.
pub fn run(context: &mut Context, args: &AnalyticsArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    workspace.count_logs(args.node.clone().unwrap_or_default());
    let (now, zone) = (Timestamp::now(), context.out.zone().clone());
    let question = AnalyticsQuestion {
        template: args.template.clone(),
        since: args.since.as_ref().map(|when| when.since(now, &zone)),
        until: args.until.as_ref().map(|when| when.until(now, &zone)),
        simulated: args.include_simulated,
        unverified: args.include_unverified,
    };
    let analytics = workspace.analytics(&question)?;
    if let Some(template) = &args.template
        && analytics.template.is_none()
        && workspace.library.find(template)?.is_none()
        && workspace.outcomes(Some(template))?.is_empty()
    {
        let known = workspace.library.list();
        let ids: Vec<&str> = known.iter().map(|entry| entry.id.as_str()).collect();
        return Err(Report::not_found(format!("template `{}` is not known and was never run", sanitize::line(template)))
            .suggest(template, ids.iter().copied(), "`meno analytics` shows the templates that were run"));
    }
    if let Some(file) = &args.html {
        std::fs::write(file, render::analytics_html::page(&analytics))
            .map_err(|error| Report::invalid(format!("{} cannot be written", file.display())).source(&error))?;
        context.out.say(format!("written: {}", file.display()));
    }
    if context.out.json() {
        context.out.document(&analytics)?;
    } else if analytics.templates.is_empty() {
        let hint = if args.include_simulated { "" } else { "; --include-simulated counts simulated runs too" };
        context.out.say(format!("no ended run counts{hint}"));
    } else {
        let text = render::analytics::analytics(&context.out, &analytics);
        context.out.data(text)?;
    }
    Ok(Exit::Done)
}
