//! Two runs side by side: how they ended, what they cost, answers, team, criteria, outputs.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::cli::render::attempt_words;
use crate::domain::event::{Mode, Verdict};
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::views::run_detail::{AgentDetail, RunDetail};
use crate::views::run_list::RunFilter;
use crate::workspace::Workspace;

/// Runs that are offered to choose from, the newest.
const OFFERED: usize = 40;
/// Lines of a difference that are shown.
const LINES_MAX: usize = 400;

/// Shows how two runs differ, with sensitive values masked.
///
/// # Errors
/// When there is no such run, or the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let chosen = match (request.query.get("a"), request.query.get("b")) {
        (Some(a), Some(b)) => Some(differing(&ui.workspace, a, b)?),
        _ => None,
    };
    let body = html! {
        h1 { "Compare two runs" }
        (form(ui, request)?)
        @if let Some((a, b, found)) = &chosen {
            @if found.same { p class="notice" { "Nothing differs in answers, team, attempts, outputs and cost." } }
            (facts(ui, a, b, found.cost_difference_nusd))
            (answers(a, b))
            (team(a, b))
            (criteria(a, b))
            (outputs(found))
            p class="hint" {
                "The same as a document: "
                a href=(request.query.link("/api/compare")) { "/api/compare" } "."
            }
        } @else {
            p class="card" { "Choose two runs: an id or the end of one, " code { "last" } " or " code { "last~1" } "." }
        }
    };
    Ok(Page { title: "Compare".to_owned(), here: "/compare", body, live: None }.into())
}

/// Answers with the document that `meno diff A B --json` prints.
///
/// # Errors
/// As [`page`].
pub fn document(ui: &Ui, request: &Request) -> Result<Answer> {
    let part = |name: &str| {
        let missing = || CliError::invalid(format!("`{name}` names no run")).hint("`/api/compare?a=RUN&b=RUN`");
        request.query.get(name).ok_or_else(missing)
    };
    super::api::document(&differing(&ui.workspace, part("a")?, part("b")?)?.2)
}

type Two = (RunDetail, RunDetail, crate::audit::diff::RunDiff);

fn differing(workspace: &Workspace, a: &str, b: &str) -> Result<Two> {
    let (a, b) = (workspace.runs().find_run(a.trim())?, workspace.runs().find_run(b.trim())?);
    let found = workspace.runs().diff(a, b)?;
    Ok((workspace.runs().detail(a)?.masked(), workspace.runs().detail(b)?.masked(), found))
}

fn form(ui: &Ui, request: &Request) -> Result<Markup> {
    let newest = ui.workspace.runs().runs_page(&RunFilter::default(), None, OFFERED)?;
    let field = |name: &str, words: &str| {
        html! {
            label class="grow" { (words)
                input name=(name) value=[request.query.get(name)] list="runs" autocomplete="off" placeholder="last";
            }
        }
    };
    Ok(html! {
        form class="bar" action="/compare" {
            (field("a", "First run"))
            (field("b", "Second run"))
            button type="submit" { "Compare" }
            datalist id="runs" {
                @for run in &newest.runs {
                    option value=(run.run_id) { (element::line(&run.template_id)) ", " (run.status.name()) ", " (run.started_at) }
                }
            }
        }
    })
}

fn facts(ui: &Ui, a: &RunDetail, b: &RunDetail, difference: Option<i64>) -> Markup {
    let line = |name: &str, cell: &dyn Fn(&RunDetail) -> Markup| {
        let (one, other) = (cell(a), cell(b));
        let class = (one.0 != other.0).then_some("differs");
        html! { tr class=[class] { th scope="row" { (name) } td { (one) } td { (other) } } }
    };
    let more = difference.filter(|difference| *difference != 0).map(|difference| {
        let amount = words::amount(Some(difference.unsigned_abs()));
        format!("The {} run cost {amount} more, as far as is known.", if difference > 0 { "second" } else { "first" })
    });
    html! {
        section class="card" {
            div class="wide" {
                table class="sides" {
                    thead { tr { th {} @for run in [a, b] { th { (element::run_link(&run.run_id)) } } } }
                    tbody {
                        (line("Status", &|run| element::status(run.status, run.verified)))
                        (line("Template", &|run| html! { (element::line(&run.template_id)) " " (element::line(&run.template_version)) " " (element::mode(run.mode)) }))
                        (line("Started", &|run| html! { @if let Some(at) = &run.started_at { (element::moment(at, &ui.zone)) } }))
                        (line("Duration", &|run| html! { (run.duration_ms.map_or_else(|| "unknown".to_owned(), time::duration)) }))
                        (line("Cost", &|run| html! { (words::cost(run.cost_nusd, run.cost_complete, run.mode)) }))
                        (line("Tokens in", &|run| html! { (words::tokens(run.tokens.total_input(), run.untold_calls)) }))
                        (line("Tokens out", &|run| html! { (words::tokens(run.tokens.output, run.untold_calls)) }))
                        (line("Agents", &|run| html! { (run.agents.len()) }))
                        (line("Escalations", &|run| html! { (run.escalations.len()) }))
                        (line("Strategy", &|run| html! { (run.strategy.map_or("of the rules", |strategy| strategy.name())) }))
                    }
                }
            }
            @if a.template_hash != b.template_hash { p class="hint" { "Their templates differ." } }
            @if let Some(more) = more { p { (more) } }
        }
    }
}

fn answers(a: &RunDetail, b: &RunDetail) -> Markup {
    let mut questions: Vec<&String> = a.answers.keys().collect();
    questions.extend(b.answers.keys().filter(|id| !a.answers.contains_key(*id)));
    let value =
        |run: &RunDetail, id: &str| run.answers.get(id).map_or_else(|| "–".to_owned(), |value| element::line(&words_of(value)));
    html! {
        @if !questions.is_empty() {
            h2 { "Answers" }
            div class="wide" {
                table class="sides" {
                    thead { tr { th { "Question" } th { "First" } th { "Second" } } }
                    tbody {
                        @for id in questions {
                            tr class=[(a.answers.get(id) != b.answers.get(id)).then_some("differs")] {
                                th scope="row" { (element::line(id)) }
                                td { (value(a, id)) }
                                td { (value(b, id)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn words_of(value: &Value) -> String {
    /// Characters of an answer that are shown.
    const CHARS_MAX: usize = 400;
    let words = words::value(value);
    if words.chars().count() > CHARS_MAX { format!("{}…", words.chars().take(CHARS_MAX).collect::<String>()) } else { words }
}

/// Roles of both, in the order of the first and then those that only the second has.
fn roles<'a>(a: &'a RunDetail, b: &'a RunDetail) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    a.agents.iter().chain(&b.agents).map(|agent| agent.role.as_str()).filter(|role| seen.insert(*role)).collect()
}

fn agent<'a>(run: &'a RunDetail, role: &str) -> Option<&'a AgentDetail> {
    run.agents.iter().find(|agent| agent.role == role)
}

fn team(a: &RunDetail, b: &RunDetail) -> Markup {
    let cell = |run: &RunDetail, role: &str| {
        html! {
            @match agent(run, role) {
                None => span class="hint" { "not in the team" },
                Some(agent) => {
                    (agent.status.name()) ", " (words::cost(agent.cost_nusd, agent.cost_complete, Mode::Real))
                    @for attempt in &agent.attempts {
                        div { (element::tier(attempt.tier)) " " span class="hint" {
                            (element::line(attempt.model.as_deref().unwrap_or("model unknown"))) ": " (attempt_words(attempt.status, attempt.verified))
                        } }
                    }
                }
            }
        }
    };
    html! {
        h2 { "Team" }
        div class="wide" {
            table class="sides" {
                thead { tr { th { "Role" } th { "First" } th { "Second" } } }
                tbody {
                    @for role in roles(a, b) {
                        @let (one, other) = (cell(a, role), cell(b, role));
                        tr class=[(one.0 != other.0).then_some("differs")] {
                            th scope="row" { (element::line(role)) } td { (one) } td { (other) }
                        }
                    }
                }
            }
        }
    }
}

/// The verdicts on the last attempt of each agent, where both have the criterion or one of them.
fn criteria(a: &RunDetail, b: &RunDetail) -> Markup {
    let verdicts = |run: &RunDetail, role: &str| -> Vec<(String, Verdict)> {
        let attempt = agent(run, role).and_then(|agent| agent.attempts.last());
        let named = attempt.into_iter().flat_map(|attempt| &attempt.criteria);
        named.map(|held| (held.name.clone().unwrap_or_else(|| format!("criterion {}", held.criterion)), held.verdict)).collect()
    };
    let rows: Vec<(String, String, Option<Verdict>, Option<Verdict>)> = roles(a, b)
        .into_iter()
        .flat_map(|role| {
            let (one, other) = (verdicts(a, role), verdicts(b, role));
            let mut names: Vec<String> = one.iter().map(|(name, _)| name.clone()).collect();
            names.extend(other.iter().map(|(name, _)| name.clone()).filter(|name| !one.iter().any(|(known, _)| known == name)));
            let of =
                |all: &[(String, Verdict)], name: &str| all.iter().find(|(known, _)| known == name).map(|(_, verdict)| *verdict);
            let row = |name: String| (role.to_owned(), name.clone(), of(&one, &name), of(&other, &name));
            names.into_iter().map(row).collect::<Vec<_>>()
        })
        .collect();
    let cell = |verdict: Option<Verdict>| {
        html! { @match verdict { Some(verdict) => span class={ "state s-" (verdict.name()) } { (verdict.name()) }, None => "–" } }
    };
    html! {
        @if !rows.is_empty() {
            h2 { "Criteria of the last attempts" }
            div class="wide" {
                table class="sides" {
                    thead { tr { th { "Role" } th { "Criterion" } th { "First" } th { "Second" } } }
                    tbody {
                        @for (role, name, one, other) in &rows {
                            tr class=[(one != other).then_some("differs")] {
                                th scope="row" { (element::line(role)) }
                                td { (element::line(name)) }
                                td { (cell(*one)) }
                                td { (cell(*other)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outputs(found: &crate::audit::diff::RunDiff) -> Markup {
    let texts: Vec<(String, &str)> = found
        .agents
        .iter()
        .filter_map(|agent| Some((format!("Output of {}", agent.role), agent.output.as_deref()?)))
        .chain(found.report.as_deref().map(|report| ("Report".to_owned(), report)))
        .collect();
    html! {
        @if !texts.is_empty() { h2 { "Outputs" } }
        @for (name, text) in texts {
            details open[text.lines().count() < 40] {
                summary { (element::line(&name)) }
                (diff(text))
            }
        }
    }
}

/// Draws a unified difference, line by line.
pub fn diff(text: &str) -> Markup {
    let class = |line: &str| match line.chars().next() {
        Some('+') => "added",
        Some('-') => "removed",
        Some('@') => "place",
        _ => "same",
    };
    let lines = text.lines().count();
    html! {
        pre class="diff" { @for line in text.lines().take(LINES_MAX) { span class=(class(line)) { (cut(line)) "\n" } } }
        @if lines > LINES_MAX { p class="hint" { "The first " (LINES_MAX) " of " (words::plural(lines as u64, "line")) "." } }
    }
}

/// A line of a text, cut when it is very long.
fn cut(line: &str) -> String {
    /// Characters of a line that are shown.
    const CHARS_MAX: usize = 500;
    let clean = element::line(line);
    if clean.chars().count() > CHARS_MAX { format!("{}…", clean.chars().take(CHARS_MAX).collect::<String>()) } else { clean }
}
