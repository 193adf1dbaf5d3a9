//! Advice for a template, for people.

use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{HEADING, Printer, WARN, sanitize, styled, time, words};
use crate::domain::percent;
use crate::workspace::Recommendation;

/// Shows a recommendation.
pub fn recommendation(out: &Printer, advice: &Recommendation) -> String {
    let mut parts = Vec::new();
    let title = styled(HEADING, sanitize::line(&advice.template_id));
    parts.push(format!("{title}: from {}", words::plural(advice.n_similar, "past run")));
    let mut lines = Vec::new();
    if let Some(success) = &advice.success {
        lines.push(format!("success   {}", percent::with_interval(success.p, success.low, success.high)));
    }
    if let Some(cost) = &advice.cost_nusd {
        let amount = |amount| words::amount(Some(amount));
        let budget =
            advice.budget_p95_nusd.map_or_else(String::new, |budget| format!("; {} would have covered 95 %", amount(budget)));
        lines.push(format!("cost      {} (p10 {}, p90 {}{budget})", amount(cost.p50), amount(cost.p10), amount(cost.p90)));
    }
    if let Some(duration) = &advice.duration_ms {
        let length = time::duration;
        lines.push(format!("duration  {} (p10 {}, p90 {})", length(duration.p50), length(duration.p10), length(duration.p90)));
    }
    for input in &advice.inputs {
        let id = sanitize::line(&input.input);
        lines.push(format!("input     {id}: {} of these runs had the same, {} one like it", input.same, input.alike));
    }
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    if !advice.agents.is_empty() {
        let mut table = Table::new(out, &columns("agent", "start at"));
        for agent in &advice.agents {
            let start = agent.start_tier.map_or("-", |tier| tier.name());
            table.row([Entry::from(agent.role.as_str()), Entry::from(start), Entry::from(agent.because.as_str())]);
        }
        parts.push(table.finish());
    }
    if !advice.answers.is_empty() {
        let mut table = Table::new(out, &columns("question", "answer"));
        for answer in &advice.answers {
            let value = words::value(&answer.value);
            table.row([Entry::from(answer.question.as_str()), Entry::from(value), Entry::from(answer.because.as_str())]);
        }
        parts.push(table.finish());
    }
    if let Some(next) = advice.next.first() {
        parts.push(format!(
            "often followed within a day by {} ({} times as often as otherwise)",
            next.template_id,
            next.lift.round()
        ));
    }
    let warnings = advice.warnings.iter().map(|warning| format!("{} {}", styled(WARN, "note:"), sanitize::line(warning)));
    let warnings: Vec<String> = warnings.collect();
    if !warnings.is_empty() {
        parts.push(warnings.join("\n"));
    }
    parts.join("\n\n")
}

/// The columns of what is advised, each with its reason.
fn columns(of: &'static str, advised: &'static str) -> [Column<'static>; 3] {
    [Column::new(of, Fit::Words), Column::new(advised, Fit::Words), Column::new("because", Fit::Below)]
}
