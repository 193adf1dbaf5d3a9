//! `analytics --html`: the report as one page with charts. It needs no network, runs no script, and every stored text is escaped.

use super::analytics::{advice, anomaly, answer, dominated, lengths, money_each, rate, run_lengths, share, success_of};
use crate::analytics::report::*;
use crate::domain::event::Mode;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}\
    table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}th,td{text-align:left;padding:.25rem .75rem .25rem 0;\
    border-bottom:1px solid #ddd;vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
    .bar{background:#e8e8e8;width:10rem;height:.8rem;display:inline-block}.bar i{background:#2f7d4f;height:100%;display:block}\
    svg{width:100%;height:6rem}footer{color:#666;font-size:.85rem}\
    @media(prefers-color-scheme:dark){body{color:#eee;background:#161616}th,td{border-color:#333}.bar{background:#333}}";

/// Returns the page.
pub fn page(analytics: &Analytics) -> String {
    let title = analytics.template.as_ref().map_or("all templates", |report| report.summary.template_id.as_str());
    let mut body = format!("<h1>What experience says: {}</h1>\n{}", escape(title), templates(&analytics.templates));
    if let Some(report) = &analytics.template {
        body.push_str(&template(report));
    }
    let modes: Vec<&str> = analytics.modes.iter().map(|mode| mode.name()).collect();
    let span = match (&analytics.since, &analytics.until) {
        (None, None) => String::new(),
        (since, until) => {
            format!(" Runs from {} to {}.", since.as_deref().unwrap_or("the beginning"), until.as_deref().unwrap_or("the end"))
        }
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Meno: {}</title>\n<style>{STYLE}</style></head>\n<body>\n{body}\n<footer>Counted: {} runs.{span} Shares stand with their 95 % \
         interval. Nothing is claimed under {} observations.</footer>\n</body></html>\n",
        escape(title),
        modes.join(" and "),
        analytics.min_sample
    )
}

fn templates(lines: &[TemplateLine]) -> String {
    let rows = lines.iter().map(|line| {
        row(&[
            escape(&line.template_id),
            line.runs.to_string(),
            line.succeeded.to_string(),
            line.unverified.to_string(),
            line.failed.to_string(),
            escape(&share(line.success)),
            line.success.map_or_else(String::new, |share| bar(share.value)),
            escape(&money_each(&line.money)),
            escape(&run_lengths(line)),
        ])
    });
    table(&["template", "runs", "succeeded", "unverified", "failed", "success", "", "cost p50 / p90", "took p50 / p90"], rows)
}

fn template(report: &TemplateReport) -> String {
    let mut page = String::new();
    if report.days.len() > 1 {
        page.push_str("<h2>Success by day (UTC)</h2>\n");
        page.push_str(&days(&report.days));
    }
    let money = report.forecast.iter().map(|forecast| {
        let amounts = Money {
            mode: forecast.mode,
            n: forecast.n,
            unknown: 0,
            total_nusd: 0,
            mean_nusd: None,
            p50_nusd: Some(forecast.cost_p50_nusd),
            p90_nusd: Some(forecast.cost_p90_nusd),
        };
        let kind = if forecast.mode == Mode::Real { "real money".to_owned() } else { forecast.mode.to_string() };
        row(&[kind, escape(&money_each(&[amounts])), escape(&share(forecast.success)), escape(&share(forecast.held))])
    });
    page.push_str(&titled("The next run", table(&["", "cost p50 / p90", "success", "past intervals held"], money)));
    let tiers = report.tiers.iter().map(|line| {
        row(&[
            escape(&line.role),
            line.tier.to_string(),
            escape(line.model.as_deref().unwrap_or("unknown")),
            line.attempts.to_string(),
            escape(&rate(line.pass_first, line)),
            escape(&rate(line.pass_after_failure, line)),
            line.pass.map_or_else(String::new, |share| bar(share.value)),
            escape(&money_each(&line.money)),
            escape(&lengths(&line.latency)),
        ])
    });
    let heads = [
        "role",
        "tier",
        "model",
        "attempts",
        "first attempts passed",
        "passed after a failure",
        "all",
        "cost p50 / p90",
        "took p50 / p90",
    ];
    page.push_str(&titled("Tiers and models", table(&heads, tiers)));
    page.push_str(&list("Advice", report.advice.iter().map(advice).chain(report.dominated.iter().map(dominated))));
    let criteria = report.criteria.iter().map(|line| {
        row(&[
            escape(&line.role),
            escape(&line.criterion),
            line.passed.to_string(),
            line.failed.to_string(),
            line.unknown.to_string(),
            line.caught_alone.to_string(),
        ])
    });
    page.push_str(&titled("Criteria", table(&["role", "criterion", "passed", "failed", "unknown", "caught alone"], criteria)));
    let reasons = report.failures.attempts.iter().map(|(reason, count)| format!("{reason}: {count}"));
    page.push_str(&list("Failed attempts", reasons));
    page.push_str(&list("Answers that go with failure or success", report.answers.found.iter().map(answer)));
    page.push_str(&list("Unlike the others", report.anomalies.iter().map(anomaly)));
    page
}

/// Draws the share of successes by day.
fn days(days: &[DayLine]) -> String {
    let width = 1000.0 / days.len() as f64;
    let bars = days.iter().enumerate().filter_map(|(place, day)| {
        let share = success_of(day)?;
        let (x, height) = (place as f64 * width, share * 100.0);
        Some(format!(
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#2f7d4f\"><title>{}: {} of {}</title></rect>",
            100.0 - height,
            width * 0.9,
            escape(&day.date),
            day.succeeded,
            day.succeeded + day.failed
        ))
    });
    let bars: String = bars.collect();
    format!(
        "<svg viewBox=\"0 0 1000 100\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"success by day\">{bars}</svg>\n"
    )
}

fn bar(share: f64) -> String {
    format!("<span class=\"bar\"><i style=\"width:{:.0}%\"></i></span>", share.clamp(0.0, 1.0) * 100.0)
}

fn row(cells: &[String]) -> String {
    let numeric = |cell: &String| !cell.is_empty() && cell.bytes().all(|byte| byte.is_ascii_digit());
    let cell = |cell: &String| if numeric(cell) { format!("<td class=\"n\">{cell}</td>") } else { format!("<td>{cell}</td>") };
    format!("<tr>{}</tr>\n", cells.iter().map(cell).collect::<String>())
}

fn table(heads: &[&str], rows: impl Iterator<Item = String>) -> String {
    let rows: String = rows.collect();
    if rows.is_empty() {
        return rows;
    }
    let heads: String = heads.iter().map(|head| format!("<th>{head}</th>")).collect();
    format!("<table><thead><tr>{heads}</tr></thead><tbody>\n{rows}</tbody></table>\n")
}

fn titled(title: &str, content: String) -> String {
    if content.is_empty() { content } else { format!("<h2>{title}</h2>\n{content}") }
}

fn list(title: &str, items: impl Iterator<Item = String>) -> String {
    let items: String = items.map(|item| format!("<li>{}</li>\n", escape(&item))).collect();
    if items.is_empty() { items } else { titled(title, format!("<ul>\n{items}</ul>\n")) }
}

/// Writes a text so that it is nothing but text in a page; control characters are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_texts_are_text_in_the_page() {
        assert_eq!(escape("<script>\u{1b}[2J\"'&"), "&lt;script&gt;[2J&quot;&#39;&amp;");
        let line = TemplateLine {
            template_id: "<img src=x>".into(),
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
        };
        let analytics = Analytics {
            modes: vec![Mode::Real],
            unverified_counts: false,
            min_sample: 10,
            half_life_days: 90.0,
            since: None,
            until: None,
            templates: vec![line],
            template: None,
        };
        let page = page(&analytics);
        assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img"), "{page}");
        assert!(!page.contains("http") && !page.contains("<script"), "nothing is fetched or run");
    }
}
