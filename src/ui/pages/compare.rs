//! Two runs side by side: how they ended, what they cost, answers, team, criteria, outputs.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::Value;

use crate::audit::diff::{RunDiff, text_diff};
use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::cli::render::ending;
use crate::domain::event::{Mode, Verdict};
use crate::ui::{Answer, Page, Request, Ui, element};
use crate::views::run_detail::{AgentDetail, RunDetail};
use crate::views::run_list::RunFilter;
use crate::workspace::Workspace;

/// Runs that are offered to choose from, the newest.
const OFFERED: usize = 40;
/// Rows of a table that are shown: of more, those that differ.
const ROWS_MAX: usize = 60;
/// Bytes of a table, and of all differences of outputs together.
const ROWS_BYTES: usize = 30_000;
const OUTPUTS_BYTES: usize = 60_000;
/// Characters of a name that are shown, and attempts of an agent.
const NAME_CHARS_MAX: usize = 80;
const ATTEMPTS_MAX: usize = 6;

/// Shows how two runs differ, with sensitive values masked.
///
/// # Errors
/// When there is no such run, or the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let chosen = match (request.query.get("a"), request.query.get("b")) {
        // Texts are compared line by line as far as there is room for them.
        (Some(a), Some(b)) => Some(differing(&ui.workspace, a, b, |a, b| (a != b).then(String::new))?),
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
            (outputs(request, &texts(a, b, found)))
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
    super::api::document(&differing(&ui.workspace, part("a")?, part("b")?, text_diff)?.2)
}

type Two = (RunDetail, RunDetail, RunDiff);

fn differing(workspace: &Workspace, a: &str, b: &str, differs: fn(&str, &str) -> Option<String>) -> Result<Two> {
    let (a, b) = (workspace.runs().find_run(a.trim())?, workspace.runs().find_run(b.trim())?);
    // Each is folded by itself, which for large runs is most of the time.
    let detail = |run| workspace.runs().detail(run).map(|detail| detail.masked());
    let (a, b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| detail(b));
        (detail(a), other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (a, b) = (a?, b?);
    let found = RunDiff::by(&a, &b, differs);
    Ok((a, b, found))
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
            div class="wide" tabindex="0" role="region" aria-label="The two runs" {
                table class="sides" {
                    thead { tr { th { "What" } @for run in [a, b] { th { (element::run_link(&run.run_id)) } } } }
                    tbody {
                        (line("Status", &|run| element::status(run.status, run.verified)))
                        (line("Template", &|run| html! { (element::name(element::short(&run.template_id, NAME_CHARS_MAX))) " " (element::short(&run.template_version, NAME_CHARS_MAX)) " " (element::mode(run.mode)) }))
                        (line("Started", &|run| html! { @if let Some(at) = &run.started_at { (element::moment(at, &ui.zone)) } }))
                        (line("Duration", &|run| html! { (run.duration_ms.map_or_else(|| "unknown".to_owned(), time::duration)) }))
                        (line("Cost", &|run| html! { (words::cost(run.cost_nusd, run.cost_complete, run.mode)) }))
                        (line("Tokens in", &|run| html! { (words::tokens(run.tokens.total_input(), run.untold_calls)) }))
                        (line("Tokens out", &|run| html! { (words::tokens(run.tokens.output, run.untold_calls)) }))
                        (line("Agents", &|run| html! { (words::count(run.agents.len() as u64)) }))
                        (line("Escalations", &|run| html! { (words::count(run.escalations.len() as u64)) }))
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
    let rows = questions.into_iter().map(|id| {
        let differs = a.answers.get(id) != b.answers.get(id);
        Row::new(
            differs,
            html! { th scope="row" { (element::name(element::short(id, NAME_CHARS_MAX))) } td { (value(a, id)) } td { (value(b, id)) } },
        )
    });
    sides("Answers", &["Question", "First", "Second"], rows.collect(), "answer")
}

/// A row of a table of both sides.
struct Row {
    differs: bool,
    markup: Markup,
}

impl Row {
    fn new(differs: bool, cells: Markup) -> Self {
        Self { differs, markup: html! { tr class=[differs.then_some("differs")] { (cells) } } }
    }
}

/// Draws a table of both sides as far as there is room for it: where there is not, what is the same on both sides is left out first.
fn sides(title: &str, heads: &[&str], rows: Vec<Row>, what: &str) -> Markup {
    let all = rows.len();
    let mut bytes = 0;
    let mut fits = |row: &Row| {
        bytes += row.markup.0.len();
        bytes <= ROWS_BYTES
    };
    let is_long = all > ROWS_MAX || rows.iter().map(|row| row.markup.0.len()).sum::<usize>() > ROWS_BYTES;
    let kept = rows.into_iter().filter(|row| !is_long || row.differs);
    let shown: Vec<Row> = kept.take(ROWS_MAX).take_while(|row| fits(row)).collect();
    html! {
        @if all > 0 { h2 { (title) } }
        @if !shown.is_empty() {
            div class="wide" tabindex="0" role="region" aria-label=(title) {
                table class="sides" {
                    thead { tr { @for head in heads { th { (head) } } } }
                    tbody { @for row in &shown { (row.markup) } }
                }
            }
        }
        @if shown.len() < all {
            p class="hint" {
                @if shown.is_empty() { "None of " (words::plural(all as u64, what)) " differs." }
                @else { (words::count(shown.len() as u64)) " of " (words::plural(all as u64, what)) ", of those that differ. The document below has all that differ." }
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
                    @for attempt in agent.attempts.iter().take(ATTEMPTS_MAX) {
                        div { (element::tier(attempt.tier)) " " span class="hint" {
                            (element::name(attempt.model.as_deref().map_or_else(|| "model unknown".to_owned(), |model| element::short(model, NAME_CHARS_MAX))))
                            ": " (ending(attempt))
                        } }
                    }
                    @if agent.attempts.len() > ATTEMPTS_MAX { div class="hint" { "and " (words::plural((agent.attempts.len() - ATTEMPTS_MAX) as u64, "more attempt")) } }
                }
            }
        }
    };
    let rows = roles(a, b).into_iter().map(|role| {
        let (one, other) = (cell(a, role), cell(b, role));
        let cells =
            html! { th scope="row" { (element::name(element::short(role, NAME_CHARS_MAX))) } td { (one) } td { (other) } };
        Row::new(one.0 != other.0, cells)
    });
    sides("Team", &["Role", "First", "Second"], rows.collect(), "agent")
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
    let rows = rows.iter().map(|(role, name, one, other)| {
        let cells = html! {
            th scope="row" { (element::name(element::short(role, NAME_CHARS_MAX))) }
            td { (element::name(element::short(name, 2 * NAME_CHARS_MAX))) }
            td { (cell(*one)) }
            td { (cell(*other)) }
        };
        Row::new(one != other, cells)
    });
    sides("Criteria of the last attempts", &["Role", "Criterion", "First", "Second"], rows.collect(), "verdict")
}

/// A text that both runs have and that differs: what it is, and as each has it.
type Text<'a> = (String, &'a str, &'a str);

/// Returns the outputs that differ, and the report if it does.
fn texts<'a>(a: &'a RunDetail, b: &'a RunDetail, found: &RunDiff) -> Vec<Text<'a>> {
    let outputs = found.agents.iter().filter(|found| found.output.is_some()).filter_map(|found| {
        let of = |run: &'a RunDetail| agent(run, &found.role)?.output.as_deref();
        Some((format!("Output of {}", element::short(&found.role, NAME_CHARS_MAX)), of(a)?, of(b)?))
    });
    let of = |run: &'a RunDetail| run.report.as_deref().unwrap_or_default();
    outputs.chain(found.report.is_some().then(|| ("Report".to_owned(), of(a), of(b)))).collect()
}

/// How the outputs differ: as many as there is room for; each of the others has a page of its own, on which it comes first.
fn outputs(request: &Request, texts: &[Text<'_>]) -> Markup {
    /// Differences that do not fit, after which no further one is tried.
    const TRIES: usize = 4;
    let first = request.query.get("of").and_then(|of| of.parse::<usize>().ok()).filter(|of| *of < texts.len());
    let order = first.into_iter().chain((0..texts.len()).filter(|place| Some(*place) != first));
    let (mut bytes, mut misses, mut shown, mut others) = (0, 0, Vec::new(), Vec::new());
    for place in order {
        let (name, one, other) = &texts[place];
        let text = (bytes < OUTPUTS_BYTES && misses < TRIES).then(|| text_diff(one, other).unwrap_or_default());
        let drawn = text.map(|text| (text.lines().count() < 40 || Some(place) == first, element::diff(&text)));
        misses += usize::from(drawn.is_some());
        match drawn.filter(|(_, drawn)| shown.is_empty() || bytes + drawn.0.len() <= OUTPUTS_BYTES) {
            Some((is_open, drawn)) => {
                (bytes, misses) = (bytes + drawn.0.len() + name.len(), 0);
                shown.push((name, is_open, drawn));
            }
            None => others.push((place, name)),
        }
    }
    let more = others.len().saturating_sub(ROWS_MAX);
    html! {
        @if !texts.is_empty() { h2 id="outputs" { "Outputs" } }
        @for (name, is_open, drawn) in shown { details open[is_open] { summary { (name) } (drawn) } }
        @if !others.is_empty() {
            p { "Others that differ:" }
            ul class="others" {
                @for (place, name) in others.iter().take(ROWS_MAX) {
                    li { a href={ (request.query.with("of", Some(&place.to_string())).link("/compare")) "#outputs" } { (name) } }
                }
            }
            @if more > 0 { p class="hint" { "And " (words::count(more as u64)) " more, in the document below." } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Params;

    #[test]
    fn as_many_differences_are_drawn_as_there_is_room_for_and_one_that_is_asked_for_comes_first() {
        let long: Vec<(String, String)> = (0..300)
            .map(|agent| (0..300).map(|line| format!("{agent} {line}\n")).collect::<String>())
            .map(|one| (one.replace(' ', "-"), one))
            .collect();
        let texts: Vec<Text<'_>> = long
            .iter()
            .enumerate()
            .map(|(agent, (one, other))| (format!("Output of {agent}"), one.as_str(), other.as_str()))
            .collect();
        let drawn = |of: &str| {
            let request = Request { query: Params::parse(of.as_bytes()), ..Request::default() };
            outputs(&request, &texts).into_string()
        };
        let page = drawn("");
        assert!(page.len() < 2 * OUTPUTS_BYTES, "{} bytes", page.len());
        let (shown, others) = (page.matches("<details").count(), page.matches("#outputs\">").count());
        assert!(
            shown >= 1 && others == ROWS_MAX && page.contains(&format!("And {} more", 300 - shown - others)),
            "{shown} {others}"
        );
        let last = drawn("of=299");
        assert!(last.split("<summary>").nth(1).is_some_and(|first| first.starts_with("Output of 299<")), "{}", &last[..400]);
        // A long one leaves room for short ones behind it.
        let mixed: Vec<Text<'_>> = texts[..6].iter().cloned().chain([("short".to_owned(), "a", "b")]).collect();
        assert!(outputs(&Request::default(), &mixed).into_string().contains("<summary>short<"));
    }
}
