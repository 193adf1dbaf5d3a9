//! The templates: how each does; and one: its rules, how its tiers and criteria do, what changed, and what is advised.

use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};

use crate::analytics::report::{Advice, Analytics, Anomaly, TemplateLine, TemplateReport};
use crate::charts::outcomes::{share, trend};
use crate::charts::rules::rules;
use crate::charts::scrolled;
use crate::charts::spark::spark;
use crate::cli::error::{CliError, Result};
use crate::cli::output::words;
use crate::cli::render::analytics::{self, money_each, run_lengths};
use crate::ui::report as sections;
use crate::ui::{Answer, Page, Params, Request, Ui, element};
use crate::workspace::library::{Entry, Origin};
use crate::workspace::{AnalyticsQuestion, transcript_sources};

/// Weeks of a trend.
const WEEKS: usize = 26;
/// Weeks and roles with tiers and models that the page of one template draws: more would make it too large.
const WEEKS_DRAWN: usize = 60;
const TIERS_SHOWN: usize = 40;
/// Criteria that are drawn, and rules: the same.
const CRITERIA_SHOWN: usize = 40;
const RULES_DRAWN: usize = 120;
/// Templates on one page of the list.
const ROWS: usize = 50;

/// Shows all templates.
///
/// # Errors
/// When the address cannot be read, or the store.
pub fn list(ui: &Ui, request: &Request) -> Result<Answer> {
    let asked = question(ui, request, None)?;
    let analytics = ui.workspace.memory().analytics(&asked)?;
    let trends = ui.workspace.memory().trends(&asked)?;
    let entries = ui.templates.get(&ui.workspace.library);
    // Templates that were run and are not here any more, those of other systems among them.
    let others = analytics.templates.iter().filter(|line| !entries.iter().any(|entry| entry.id == line.template_id));
    let line_of = |id: &str| analytics.templates.iter().find(|line| line.template_id == id);
    let mut rows: Vec<(String, Option<&Entry>, Option<&TemplateLine>)> =
        entries.iter().map(|entry| (entry.id.clone(), Some(entry), line_of(&entry.id))).collect();
    rows.extend(others.map(|line| (line.template_id.clone(), None, Some(line))));
    rows.sort_by_key(|(_, _, line)| std::cmp::Reverse(line.map_or(0, |line| line.runs)));
    let total = rows.len();
    let from = request.read("from", |text| text.parse::<usize>().ok(), "a number of templates")?.unwrap_or(0);
    let place = |from: usize| request.query.with("from", (from > 0).then(|| from.to_string()).as_deref()).link("/templates");
    let chosen = request.query.with("from", None);
    let body = html! {
        h1 { "Templates" }
        (form(request, "/templates"))
        (counted(&analytics, request, "/templates"))
        div class="wide" tabindex="0" role="region" aria-label="Templates" {
            table class="stack" {
                thead { tr {
                    th { "Template" } th class="num" { "Runs" } th { "Success" } th { "Success per week" } th { "Cost p50 / p90" } th { "Duration p50 / p90" }
                } }
                tbody {
                    @for (id, entry, line) in rows.into_iter().skip(from).take(ROWS) {
                        tr {
                            td data-name="Template" { div {
                                a href=(link(&id, &chosen)) { (element::name(element::line(&id))) }
                                @if let Some(entry) = entry { (name(entry)) } @else { " " span class="mode" { "not in this store" } }
                            } }
                            td data-name="Runs" class="num" { (words::count(line.map_or(0, |line| line.runs))) }
                            td data-name="Success" { (line.map_or_else(|| "–".to_owned(), |line| share(line.success))) }
                            td data-name="Per week" {
                                @if let Some((shares, words)) = trends.get(&id).and_then(|weeks| trend(weeks, WEEKS)) {
                                    (PreEscaped(spark(&shares, &words).to_svg()))
                                }
                            }
                            td data-name="Cost" { (line.map_or_else(|| "–".to_owned(), |line| money_each(&line.money))) }
                            td data-name="Duration" { (line.map_or_else(|| "–".to_owned(), run_lengths)) }
                        }
                    }
                }
            }
        }
        @if total > ROWS || from > 0 {
            p class="pages" {
                @if from > 0 { a href=(place(from.saturating_sub(ROWS))) rel="prev" { "Previous templates" } }
                span class="hint" {
                    @if from < total {
                        (words::count(from as u64 + 1)) " to " (words::count((from + ROWS).min(total) as u64)) " of "
                    } @else { "none of " }
                    (words::plural(total as u64, "template")) ", those with the most runs first"
                }
                @if from + ROWS < total { a href=(place(from + ROWS)) rel="next" { "More templates" } }
            }
        }
    };
    Ok(Page { title: "Templates".to_owned(), here: "/templates", body, live: None }.into())
}

/// Shows one template.
///
/// # Errors
/// When it is neither known nor was ever run, when the address cannot be read, or the store.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let id = request.part("id");
    let entry = ui.workspace.library.find(id).ok().flatten();
    let mut analytics = ui.workspace.memory().analytics(&question(ui, request, Some(id))?)?;
    let left_out = shorten(&mut analytics);
    let is_of_sessions = transcript_sources().any(|source| source == id);
    if !is_of_sessions && entry.is_none() && analytics.template.is_none() && ui.workspace.memory().outcomes(Some(id))?.is_empty()
    {
        return Err(CliError::not_found(format!("template `{}` is not known and was never run", element::line(id)))
            .hint("the page Templates lists all templates"));
    }
    let here = address(id);
    let template = entry.as_ref().and_then(|entry| entry.template.as_ref());
    let runs = |run: &str| Some(format!("/runs/{run}"));
    let weeks = |monday: &str| {
        let monday: jiff::civil::Date = monday.parse().ok()?;
        let sunday = monday.checked_add(jiff::Span::new().days(6)).ok()?;
        let span = Params::default().with("template", Some(id)).with("since", Some(&monday.to_string()));
        Some(span.with("until", Some(&sunday.to_string())).link("/"))
    };
    let body = html! {
        h1 { (element::line(template.map_or(id, |template| template.name.as_str()))) }
        p { @if let Some(template) = template { (element::line(&template.description)) " " } span class="id" { (element::line(id)) } }
        p class="actions" {
            a class="button" href=(Params::default().with("template", Some(id)).link("/")) { "Its runs" }
            a class="button" href=(Params::default().with("where", Some(&format!("template={id}"))).with("by", Some("day,tier")).link("/costs")) { "Its costs" }
            @if template.is_some() && !ui.read_only { a class="button" href=(format!("/new/{id}")) { "Run it" } }
        }
        @if is_of_sessions { p class="hint" { "Sessions of other agents are in no statistic: nobody judged what came of them." } }
        (form(request, &here))
        (counted(&analytics, request, &here))
        @if let Some(report) = &analytics.template {
            @for words in &left_out { p class="hint" { (words) } }
            section class="card" { (sections::tiles(report)) }
            section class="card" { (sections::success(&analytics, &runs, &weeks)) }
            @for part in [sections::tiers(report, &runs), advice(report), sections::criteria(report)] {
                @if !part.0.is_empty() { div class="card" { (part) } }
            }
            (sections::next_run(report))
            (sections::failures(report))
            (found(report))
            (anomalies(report))
        }
        @if let Some(template) = template {
            section class="card" {
                h2 { "Rules" }
                @let count = template.agent_composition_rules.len();
                @if count > RULES_DRAWN {
                    p { (words::plural(count as u64, "rule")) ", too many for a drawing: " code { "meno show-template " (id) } " prints them." }
                } @else {
                    (PreEscaped(scrolled(&rules(template).draw(), "Questions on the left make agents; an orange line leads to an agent that waits.")))
                }
            }
        } @else if let Some(entry) = &entry {
            p class="notice" { "The template is broken: " (entry.first_error().map_or_else(|| "it cannot be read".to_owned(), |problem| element::line(&problem.to_string()))) }
        }
        p class="hint" {
            "The same as a document: "
            a href=(request.query.with("template", Some(id)).link("/api/analytics")) { "/api/analytics" } "."
        }
    };
    Ok(Page { title: element::line(id), here: "/templates", body, live: None }.into())
}

/// Leaves of a long past what one page can show, and says in words what was left out. The document has all of it.
fn shorten(analytics: &mut Analytics) -> Vec<String> {
    let mut said = Vec::new();
    let mut mondays: Vec<String> = analytics.weeks.iter().map(|week| week.monday.clone()).collect();
    mondays.sort_unstable();
    mondays.dedup();
    if let Some(first) =
        mondays.len().checked_sub(WEEKS_DRAWN).and_then(|at| mondays.get(at)).filter(|first| **first != mondays[0])
    {
        analytics.weeks.retain(|week| week.monday >= *first);
        said.push(format!("Weeks are drawn from {first} on; all numbers count the whole time."));
    }
    if let Some(report) = analytics.template.as_mut().filter(|report| report.tiers.len() > TIERS_SHOWN) {
        let all = report.tiers.len();
        let mut attempts: Vec<u64> = report.tiers.iter().map(|line| line.attempts).collect();
        attempts.sort_unstable_by(|a, b| b.cmp(a));
        let least = attempts.get(TIERS_SHOWN - 1).copied().unwrap_or(0);
        report.tiers.retain(|line| line.attempts >= least);
        report.tiers.truncate(TIERS_SHOWN);
        said.push(format!(
            "Of {} roles, tiers and models the {TIERS_SHOWN} with the most attempts are shown.",
            words::count(all as u64)
        ));
    }
    if let Some(report) = analytics.template.as_mut().filter(|report| report.criteria.len() > CRITERIA_SHOWN) {
        let all = report.criteria.len();
        // In their order: those that failed most often, or of all the first.
        let mut failed: Vec<u64> = report.criteria.iter().map(|line| line.failed).collect();
        failed.sort_unstable_by(|a, b| b.cmp(a));
        let least = failed.get(CRITERIA_SHOWN - 1).copied().unwrap_or(0);
        report.criteria.retain(|line| line.failed >= least);
        report.criteria.truncate(CRITERIA_SHOWN);
        said.push(format!("Of {} criteria the {CRITERIA_SHOWN} that failed most often are shown.", words::count(all as u64)));
    }
    said
}

/// Answers with the document that `meno analytics [TEMPLATE] --json` prints.
///
/// # Errors
/// When the address cannot be read, or the store.
pub fn document(ui: &Ui, request: &Request) -> Result<Answer> {
    super::api::document(&ui.workspace.memory().analytics(&question(ui, request, request.query.get("template"))?)?)
}

fn question(ui: &Ui, request: &Request, template: Option<&str>) -> Result<AnalyticsQuestion> {
    let now = Timestamp::now().to_zoned(ui.zone.clone());
    let moment = |name| {
        let span = |text: &str| crate::cli::args::values::span(text, &now);
        request.read(name, span, "a time such as 2026-10-01, 7d or yesterday")
    };
    Ok(AnalyticsQuestion {
        template: template.map(str::to_owned),
        since: moment("since")?.map(|(from, _)| from),
        until: moment("until")?.map(|(_, to)| to),
        simulated: request.query.get("simulated").is_some(),
        unverified: request.query.get("unverified").is_some(),
    })
}

fn form(request: &Request, action: &str) -> Markup {
    let is_set = |name: &str| request.query.get(name).is_some();
    html! {
        form class="bar" action=(action) {
            label { "Since" input name="since" value=[request.query.get("since")] size="10" placeholder="30d"; }
            label { "Until" input name="until" value=[request.query.get("until")] size="10" placeholder="today"; }
            label { "Simulated runs" input type="checkbox" name="simulated" value="1" checked[is_set("simulated")]; }
            label { "Unverified successes" input type="checkbox" name="unverified" value="1" checked[is_set("unverified")]; }
            button type="submit" { "Count" }
        }
    }
}

/// Says what counts, and where nothing does, what else could.
fn counted(analytics: &Analytics, request: &Request, here: &str) -> Markup {
    let runs: u64 = analytics.templates.iter().map(|line| line.runs).sum();
    let modes: Vec<&str> = analytics.modes.iter().map(|mode| mode.name()).collect();
    html! {
        p class="hint" {
            (words::plural(runs, "ended run")) " counted, " (modes.join(" and "))
            ". Shares stand with their 95 % interval; nothing is claimed under " (analytics.min_sample) " observations."
        }
        @if runs == 0 && request.query.get("simulated").is_none() {
            p class="notice" {
                "No real or imported run has ended. "
                a href=(request.query.with("simulated", Some("1")).link(here)) { "Count simulated runs too" }
            }
        }
    }
}

fn name(entry: &Entry) -> Markup {
    let origin = match entry.origin {
        Origin::BuiltIn => "built in",
        Origin::User(_) | Origin::File(_) => "own",
    };
    html! {
        " " span class="mode" { (origin) }
        @match &entry.template {
            Some(template) => p class="snippet" { (element::line(&template.name)) },
            None => p class="snippet" { "broken: " code { "meno validate-template" } " shows why" },
        }
    }
}

fn link(id: &str, query: &Params) -> String {
    query.link(&address(id))
}

/// The address of a template's page.
pub fn address(id: &str) -> String {
    format!("/templates/{}", encoded(id))
}

/// Writes an id as one part of a path.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Advice, each with the runs that it rests on.
fn advice(report: &TemplateReport) -> Markup {
    let evidence = |advice: &Advice| {
        let tiers = report.tiers.iter().filter(|line| line.role == advice.role);
        let mut runs: Vec<&String> = tiers.flat_map(|line| &line.evidence).collect();
        runs.sort_by(|a, b| b.cmp(a));
        runs.dedup();
        runs.into_iter().take(6).cloned().collect::<Vec<_>>()
    };
    let lines: Vec<(String, Vec<String>)> = report
        .advice
        .iter()
        .map(|found| (analytics::advice(found), evidence(found)))
        .chain(report.dominated.iter().map(|found| (analytics::dominated(found), Vec::new())))
        .collect();
    html! {
        @if !lines.is_empty() {
            section {
                h2 { "Advice" }
                ul { @for (words, runs) in &lines { li { (element::line(words)) (evidence_of(runs)) } } }
            }
        }
    }
}

fn evidence_of(runs: &[String]) -> Markup {
    html! {
        @if !runs.is_empty() {
            p class="snippet" { "newest runs: " @for run in runs { (element::run_link(run)) " " } }
        }
    }
}

fn found(report: &TemplateReport) -> Markup {
    html! {
        @if !report.answers.found.is_empty() {
            section {
                h2 { "Answers that go with failure or success" }
                ul { @for found in &report.answers.found { li { (element::line(&analytics::answer(found))) (evidence_of(&found.evidence)) } } }
                p class="hint" {
                    (words::plural(report.answers.tested, "answer")) " tested; of the findings at most "
                    (format!("{:.0} %", report.answers.false_discovery_rate * 100.0)) " are expected to be chance."
                }
            }
        }
    }
}

fn anomalies(report: &TemplateReport) -> Markup {
    html! {
        @if !report.anomalies.is_empty() {
            section {
                h2 { "Runs unlike the others" }
                ul { @for found in &report.anomalies { li { (unlike(found)) } } }
            }
        }
    }
}

/// A run unlike the others, by the end of its id, as every list names runs.
fn unlike(found: &Anomaly) -> Markup {
    let words = analytics::anomaly(found);
    let rest = words.strip_prefix(found.run_id.as_str()).unwrap_or(&words);
    html! { (element::run_link(&found.run_id)) " " (element::line(rest.trim_start())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analytics::report::WeekLine;
    use crate::domain::event::Mode;

    #[test]
    fn a_run_unlike_the_others_is_named_once() {
        let found = Anomaly {
            run_id: "01M09KDDQ00000XGTWNQXVZKTX".to_owned(),
            started_at: "2026-08-18T10:00:00Z".to_owned(),
            what: "attempts".to_owned(),
            value: 9,
            median: 3,
            z: 4.0,
        };
        let drawn = unlike(&found).into_string();
        assert!(drawn.contains("</a> of 2026-08-18: attempts 9, median 3 (z 4.0)"), "{drawn}");
    }

    #[test]
    fn a_long_past_is_shortened_to_its_newest_weeks_and_commonest_tiers() {
        let week = |number: u64| WeekLine {
            monday: jiff::civil::date(2024, 1, 1).checked_add(jiff::Span::new().days(7 * number as i64)).unwrap().to_string(),
            mode: Mode::Imported,
            succeeded: 1,
            failed: 0,
            success: None,
        };
        let mut analytics = Analytics {
            modes: vec![Mode::Imported],
            unverified_counts: false,
            min_sample: 10,
            half_life_days: 90.0,
            since: None,
            until: None,
            templates: Vec::new(),
            template: None,
            weeks: (0..60).map(week).collect(),
        };
        assert_eq!((shorten(&mut analytics).len(), analytics.weeks.len()), (0, 60));
        analytics.weeks = (0..100).map(week).collect();
        let words = shorten(&mut analytics);
        assert_eq!((words.len(), analytics.weeks.len()), (1, 60));
        assert!(words[0].contains(&analytics.weeks[0].monday) && analytics.weeks[0] == week(40), "{words:?}");
    }

    #[test]
    fn an_id_of_another_system_is_one_part_of_a_path() {
        assert_eq!(encoded("release_prep"), "release_prep");
        assert_eq!(encoded("../a b?c"), "..%2Fa%20b%3Fc");
    }
}
