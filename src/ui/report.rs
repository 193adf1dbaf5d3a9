//! `analytics --html`: the report as one page with charts. It needs no network, runs no script, and every stored text is escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::analytics::report::*;
use crate::analytics::spending::CostReport;
use crate::charts::costs::cost_chart;
use crate::charts::intervals::{Row, intervals};
use crate::charts::outcomes::{self, modes};
use crate::charts::{self, figure};
use crate::cli::output::{sanitize, words};
use crate::cli::render::analytics::{
    advice, agent_failures, anomaly, answer, dominated, escalation, lengths, money_each, rate, run_lengths, share,
};
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;

const STYLE: &str = include_str!("assets/report.css");
/// Periods that are drawn, the newest.
const PERIODS_MAX: usize = 62;

/// What the page is made of.
#[derive(Clone, Copy, Debug)]
pub struct ReportPage<'a> {
    /// How templates do.
    pub analytics: &'a Analytics,
    /// What was spent, by day, week or month first.
    pub costs: &'a CostReport,
    /// What a UTC day may cost, in nUSD.
    pub day_budget: Option<u64>,
}

/// Returns the page.
pub fn page(page: &ReportPage<'_>) -> String {
    let analytics = page.analytics;
    let title = analytics.template.as_ref().map_or("all templates", |report| report.summary.template_id.as_str());
    let title = sanitize::line(title);
    let style = PreEscaped([charts::STYLE, STYLE].concat());
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Meno: " (title) }
                style { (style) }
            }
            body {
                main {
                    h1 { "Run analytics: " (title) }
                    p.lead { (counted(analytics)) }
                    @if analytics.modes.contains(&Mode::Simulated) {
                        p.notice { "Simulated runs are included: no model was called, and their costs are estimates." }
                    }
                    @if let Some(report) = &analytics.template { (tiles(report)) }
                    (success(analytics, &|_| None, &|_| None))
                    (spent(page))
                    (templates(&analytics.templates))
                    @if let Some(report) = &analytics.template { (template(report)) }
                }
                footer {
                    "Shares stand with their 95 % interval. No share and no advice under " (analytics.min_sample)
                    " observations; costs and durations describe the runs that there were. Weeks and days are UTC unless it says otherwise."
                }
            }
        }
    };
    whole.into_string()
}

fn counted(analytics: &Analytics) -> String {
    let modes: Vec<&str> = analytics.modes.iter().map(|mode| mode.name()).collect();
    let runs: u64 = analytics.templates.iter().map(|line| line.runs).sum();
    let span = match (&analytics.since, &analytics.until) {
        (None, None) => String::new(),
        (since, until) => {
            format!(" from {} to {}", since.as_deref().unwrap_or("the beginning"), until.as_deref().unwrap_or("the end"))
        }
    };
    let unverified = if analytics.unverified_counts { "; unverified successes count" } else { "" };
    format!("{}, {}{span}{unverified}.", words::plural(runs, "ended run"), modes.join(" and "))
}

/// The few numbers that are looked for first.
pub fn tiles(report: &TemplateReport) -> Markup {
    let line = &report.summary;
    html! {
        dl.facts.tiles {
            (tile("runs", words::count(line.runs)))
            (tile("success", share(line.success)))
            (tile("recent success", share(report.success_recent)))
            (tile("cost p50 / p90", money_each(&line.money)))
            (tile("duration p50 / p90", run_lengths(line)))
        }
    }
}

fn tile(name: &str, value: String) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// Success per week, each mode by itself, with the change and the runs unlike the others marked.
pub fn success(analytics: &Analytics, runs: outcomes::LinkOf<'_>, weeks: outcomes::LinkOf<'_>) -> Markup {
    let report = analytics.template.as_ref();
    let drift = report.and_then(|report| report.drift.as_ref()).map(|drift| {
        let (before, after) = (share(Some(drift.before)), share(Some(drift.after)));
        format!("The share of successes of all runs counted changed on {}: {before} before, {after} since.", drift.date)
    });
    let shown = modes(analytics);
    html! {
        section id="success" {
            h2 { "Success per week" }
            @if shown.is_empty() { p.hint { "No run that counts has ended well or failed." } }
            @for mode in shown {
                h3 { (mode_heading(mode)) " runs" }
                (PreEscaped(figure(|width| outcomes::success(analytics, mode, runs, weeks).draw(width), "")))
            }
            @if let Some(drift) = drift { p { (drift) } }
        }
    }
}

fn mode_heading(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "Real",
        Mode::Imported => "Imported",
        Mode::Simulated => "Simulated",
    }
}

fn spent(page: &ReportPage<'_>) -> Markup {
    let costs = page.costs;
    let period = costs.by.first().map_or("day", String::as_str);
    let shown = page.analytics.modes.iter().filter_map(|mode| {
        let chart = cost_chart(costs, *mode, PERIODS_MAX, page.day_budget, &|_| None)?;
        let total = costs.totals.iter().find(|total| total.mode == *mode)?;
        let total = words::cost(total.cost_nusd, total.unknown == 0, *mode);
        Some((*mode, chart, total))
    });
    html! {
        section id="costs" {
            h2 { "Cost per " (period) }
            @for (mode, chart, total) in shown {
                h3 { (mode_heading(mode)) " money: " (total) }
                (PreEscaped(chart.figure()))
            }
            p.hint { "By " (costs.by.join(" and ")) ", in the time zone " (costs.time_zone) "." }
            @for notice in &costs.notices { p { (notice) } }
        }
    }
}

fn templates(lines: &[TemplateLine]) -> Markup {
    if lines.len() < 2 {
        return html! {};
    }
    html! {
        section id="templates" {
            h2 { "Templates" }
            (PreEscaped(figure(|width| intervals("success by template", &outcomes::templates(lines, &|_| None), width), "")))
            (table(
                &["template", "runs", "succeeded", "unverified", "failed", "cost p50 / p90", "duration p50 / p90"],
                lines.iter().map(|line| vec![
                    line.template_id.clone(),
                    words::count(line.runs),
                    words::count(line.succeeded),
                    words::count(line.unverified),
                    words::count(line.failed),
                    money_each(&line.money),
                    run_lengths(line),
                ]),
            ))
        }
    }
}

fn template(report: &TemplateReport) -> Markup {
    html! {
        (next_run(report))
        (tiers(report, &|_| None))
        (advised(report))
        (criteria(report))
        (failures(report))
        (list("Answers that go with failure or success", report.answers.found.iter().map(answer)))
        (list("Unlike the others", report.anomalies.iter().map(anomaly)))
    }
}

/// What the next run will be like.
pub fn next_run(report: &TemplateReport) -> Markup {
    let row = |forecast: &Forecast| {
        vec![
            mode_heading(forecast.mode).to_owned(),
            format!("{} to {}", NanoUsd(forecast.cost_p10_nusd), NanoUsd(forecast.cost_p90_nusd)),
            NanoUsd(forecast.cost_p50_nusd).to_string(),
            share(forecast.success),
            share(forecast.held),
            words::count(forecast.n),
        ]
    };
    let heads = ["money", "cost p10 to p90", "median", "success", "past intervals that held", "from runs"];
    titled("The next run", &table(&heads, report.forecast.iter().map(row)))
}

/// Tiers and models with their intervals.
pub fn tiers(report: &TemplateReport, runs: outcomes::LinkOf<'_>) -> Markup {
    if report.tiers.is_empty() {
        return html! {};
    }
    let heads = [
        "role",
        "tier",
        "model",
        "attempts",
        "first attempts passed",
        "passed after a failure",
        "cost p50 / p90",
        "duration p50 / p90",
    ];
    let row = |line: &TierLine| {
        vec![
            line.role.clone(),
            line.tier.name().to_owned(),
            line.model.clone().unwrap_or_else(|| "unknown".to_owned()),
            words::count(line.attempts),
            rate(line.pass_first, line),
            rate(line.pass_after_failure, line),
            money_each(&line.money),
            lengths(&line.latency),
        ]
    };
    let escalations = escalation(&report.escalation);
    html! {
        section id="tiers" {
            h2 { "Tiers and models" }
            (rows("attempts that passed", &outcomes::tiers(&report.tiers, runs), outcomes::tiers_caption(&report.tiers)))
            @for line in escalations { p { (line) } }
            details { summary { "Numbers" } (table(&heads, report.tiers.iter().map(row))) }
        }
    }
}

/// Where another start is cheaper, and what is more expensive and not better.
pub fn advised(report: &TemplateReport) -> Markup {
    list("Advice", report.advice.iter().map(advice).chain(report.dominated.iter().map(dominated)))
}

/// Criteria by how often they catch something.
pub fn criteria(report: &TemplateReport) -> Markup {
    if report.criteria.is_empty() {
        return html! {};
    }
    let heads = ["role", "criterion", "passed", "failed", "unknown", "caught alone"];
    let row = |line: &CriterionLine| {
        let counts = [line.passed, line.failed, line.unknown, line.caught_alone].map(words::count);
        [line.role.clone(), line.criterion.clone()].into_iter().chain(counts).collect::<Vec<String>>()
    };
    html! {
        section id="criteria" {
            h2 { "Criteria by how often they catch" }
            (rows("how often each criterion failed an attempt", &outcomes::criteria(&report.criteria), "Attempts that it failed, of those that it judged."))
            details { summary { "Numbers" } (table(&heads, report.criteria.iter().map(row))) }
        }
    }
}

/// Why attempts and agents failed.
pub fn failures(report: &TemplateReport) -> Markup {
    let attempts =
        report.failures.attempts.iter().map(|(reason, count)| format!("attempts: {reason}, {}", words::plural(*count, "time")));
    list("Failures", attempts.chain(report.failures.agents.iter().map(agent_failures)))
}

fn rows(label: &str, rows: &[Row], caption: &str) -> Markup {
    PreEscaped(figure(|width| intervals(label, rows, width), caption))
}

/// Writes a table; nothing when it has no rows. Cells that are numbers stand to the right.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Markup {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return html! {};
    }
    let is_number = |cell: &str| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
    let numeric: Vec<bool> =
        (0..heads.len()).map(|place| rows.iter().all(|row| row.get(place).is_some_and(|cell| is_number(cell)))).collect();
    let class = |place: usize| numeric.get(place).copied().unwrap_or(false).then_some("num");
    html! {
        div.wide tabindex="0" {
            table {
                thead { tr { @for (place, head) in heads.iter().enumerate() { th scope="col" class=[class(place)] { (head) } } } }
                tbody {
                    @for row in &rows {
                        tr { @for (place, cell) in row.iter().enumerate() { td class=[class(place)] { (sanitize::line(cell)) } } }
                    }
                }
            }
        }
    }
}

fn titled(title: &str, content: &Markup) -> Markup {
    if content.0.is_empty() {
        return html! {};
    }
    html! { section { h2 { (title) } (content) } }
}

/// Writes a list under a heading; nothing when it is empty.
pub fn list(title: &str, items: impl Iterator<Item = String>) -> Markup {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        return html! {};
    }
    titled(title, &html! { ul { @for item in &items { li { (sanitize::line(item)) } } } })
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    fn line(template_id: &str) -> TemplateLine {
        TemplateLine {
            template_id: template_id.into(),
            runs: 3,
            succeeded: 3,
            unverified: 0,
            failed: 0,
            cancelled: 0,
            forks: 0,
            failed_by_configuration: 0,
            success: None,
            money: Vec::new(),
            duration: Lengths { n: 0, p50_ms: None, p90_ms: None },
            attempts_duration: Lengths { n: 0, p50_ms: None, p90_ms: None },
        }
    }

    #[test]
    fn stored_texts_are_text_in_the_page() {
        let analytics = Analytics {
            modes: vec![Mode::Real],
            unverified_counts: false,
            min_sample: 10,
            half_life_days: 90.0,
            since: None,
            until: None,
            templates: vec![line("<img src=x>\u{1b}[2J\u{202e}"), line("b")],
            template: None,
            weeks: Vec::new(),
        };
        let costs = CostReport {
            by: vec!["day".into()],
            only: IndexMap::new(),
            since: None,
            until: None,
            time_zone: "UTC".into(),
            rows: Vec::new(),
            totals: Vec::new(),
            tools: Vec::new(),
            notices: Vec::new(),
        };
        let page = page(&ReportPage { analytics: &analytics, costs: &costs, day_budget: None });
        assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img"), "{page}");
        assert!(!page.contains(['\u{1b}', '\u{202e}']), "nothing hides or reorders text");
        assert!(!page.contains("http") && !page.contains("<script"), "nothing is fetched or run");
    }
}
