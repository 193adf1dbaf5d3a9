//! One run: what became of it, the waterfall of what it did, and the scrubber with which it can be seen as it was.

mod act;
mod agents;
mod events;
mod family;
mod head;
mod panel;
mod scrubber;

pub use act::{
    Unblock, approve, cancel, form, form_is_open, note, refuse_home, refuse_strange, resolve, resume, unblock, waiting_words,
};
pub use events::page as events;

use maud::{Markup, html};

use crate::cli::error::{CliError, Result};
use crate::cli::output::time;
use crate::domain::event::Recorded;
use crate::domain::ids::RunId;
use crate::ui::waterfall::{self, Colour, Cursor, Target};
use crate::ui::zoom::Zoom;
use crate::ui::{Answer, Page, Request, Ui, element, markdown};
use crate::views::run_detail::RunDetail;
use crate::views::status::RunStatus;
use crate::views::timeline::Timeline;
use crate::workspace::{NOTE_BYTES_MAX, Story};

/// Bars of a run above which calls and tools are shown only when they are asked for.
const BARS_WITH_CALLS: usize = 120;

/// What the parts of the page are drawn from.
struct Shown<'a> {
    ui: &'a Ui,
    request: &'a Request,
    story: &'a Story,
    detail: &'a RunDetail,
    /// The run on its time axis, to its end.
    whole: &'a Timeline,
    /// The position that is looked at; `None` for the run as it is.
    at: Option<u64>,
}

impl Shown<'_> {
    /// The address of this page with another part of the run's time: pages of rows are counted anew there.
    fn zoomed(&self, zoom: Option<Zoom>) -> String {
        let query = self.request.query.with("part", None);
        let request = Request { query, ..self.request.clone() };
        Shown { request: &request, ..*self }.link("z", zoom.map(Zoom::to_text).as_deref())
    }

    /// The address of this page with one thing of it changed.
    fn link(&self, name: &str, value: Option<&str>) -> String {
        // A position that was chosen by its number is from now on the position itself.
        let at = self.at.map(|at| at.to_string());
        let query = self.request.query.with("step", None).with("at", at.as_deref());
        query.with(name, value).link(&format!("/runs/{}", self.detail.run_id))
    }
}

/// Shows a run.
///
/// # Errors
/// When there is no such run, it had not begun at the position that is asked for, or the store cannot be read.
pub fn page(ui: &Ui, request: &Request) -> Result<Answer> {
    let id = ui.workspace.runs().find_run(request.part("run"))?;
    let asked = request.read("at", |text| text.parse::<u64>().ok(), "a position in the log")?;
    let step = request.read("step", |text| text.parse::<usize>().ok(), "the number of an event of the run")?;
    let (story, at) = story(ui, id, asked, step)?;
    let detail = story.detail.clone().masked();
    let mut whole = Timeline::fold(&story.events);
    let mut then = at.map(|_| Timeline::fold(story.told()));
    for timeline in std::iter::once(&mut whole).chain(then.as_mut()) {
        name_lanes(timeline, &detail);
    }
    let shown = Shown { ui, request, story: &story, detail: &detail, whole: &whole, at };
    let body = html! {
        (head::head(&shown))
        (scrubber::scrubber(&shown))
        section aria-labelledby="waterfall-title" {
            (drawing(&shown, then.as_ref()))
        }
        (panel::panel(&shown)?)
        (agents::agents(&shown))
        (report(&shown))
        (family::family(&shown)?)
        (notes(&shown))
    };
    let title = format!("{} {}", element::line(&detail.template_id), element::id_end(&detail.run_id));
    let live = (at.is_none() && detail.node.is_none()).then(|| detail.run_id.clone());
    Ok(Page { title, here: "/", body, live }.into())
}

/// Reads the run as it is, or as it was at a position, which may also be told by the number of the run's event.
fn story(ui: &Ui, id: RunId, at: Option<u64>, step: Option<usize>) -> Result<(Story, Option<u64>)> {
    let gone = || CliError::not_found(format!("run {id} has no events"));
    let Some(step) = step.filter(|_| at.is_none()) else {
        let story = ui.workspace.runs().story(id, at)?.ok_or_else(|| {
            CliError::not_found(format!("run {id} had not begun when the log was at position {}", at.unwrap_or_default()))
                .hint(format!("`meno events {id}` shows the positions of its events"))
        })?;
        return Ok((story, at));
    };
    let all = ui.workspace.runs().story(id, None)?.ok_or_else(gone)?;
    let chosen = all.events.get(step.clamp(1, all.events.len().max(1)) - 1).map(position);
    match chosen {
        Some(seq) if step < all.events.len() => Ok((ui.workspace.runs().story(id, Some(seq))?.ok_or_else(gone)?, Some(seq))),
        // The last step is the run as it is.
        _ => Ok((all, None)),
    }
}

fn position(recorded: &Recorded) -> u64 {
    recorded.envelope.seq
}

/// Lanes are called as the run's document calls its agents, where sensitive answers are masked.
fn name_lanes(timeline: &mut Timeline, detail: &RunDetail) {
    for lane in &mut timeline.lanes {
        match detail.agents.iter().find(|agent| agent.number == lane.agent) {
            Some(agent) => lane.label.clone_from(&agent.role),
            // An agent that is yet to be planned: its item may be an answer that is masked.
            None => lane.label = lane.label.split('[').next().unwrap_or_default().to_owned(),
        }
    }
}

fn drawing(shown: &Shown<'_>, then: Option<&Timeline>) -> Markup {
    let query = &shown.request.query;
    let colour = if query.get("by") == Some("cost") { Colour::Cost } else { Colour::Tier };
    let calls = query.get("calls").map_or(shown.whole.bars() <= BARS_WITH_CALLS, |calls| calls == "yes");
    let squeeze = query.get("waits") != Some("full");
    let part = query.get("part").and_then(|part| part.parse::<usize>().ok()).map(|part| part.saturating_sub(1));
    let is_going_on = shown.at.is_none() && shown.detail.status == RunStatus::Running;
    let now = is_going_on.then(|| i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX));
    let moment = shown.story.told().last().map(|last| last.envelope.occurred_at.unwrap_or(last.envelope.at));
    let cursor = then.zip(moment).map(|(then, at)| Cursor { at, then });
    let long = crate::views::millis_between(shown.whole.from, now.unwrap_or(shown.whole.to).max(shown.whole.to));
    let zoom = query.get("z").and_then(|text| Zoom::read(text, long));
    let chosen = query.get("sel").unwrap_or_default();
    let options = waterfall::Options { colour, calls, squeeze, part, zoom, now, cursor, chosen };
    let drawn = waterfall::draw(shown.whole, &options, &|target| match target {
        Target::Row(key) => shown.link("sel", Some(key)),
        Target::Part(zoom) => shown.zoomed(Some(zoom)),
    });
    let part = drawn.part;
    let parts = drawn.rows.div_ceil(waterfall::ROWS_MAX).max(1);
    let choice = |name: &str, value: Option<&str>, words: &str, is_chosen: bool| {
        html! { a href=(shown.link(name, value)) aria-current=[is_chosen.then_some("true")] { (words) } }
    };
    html! {
        div id="waterfall" data-part {
            div class="wf-bar-head" {
                h2 id="waterfall-title" { "Waterfall" }
                span class="choice" { "Colour by "
                    (choice("by", None, "tier", colour == Colour::Tier)) (choice("by", Some("cost"), "cost", colour == Colour::Cost)) }
                span class="choice" { "Calls and tools "
                    (choice("calls", Some("yes"), "shown", calls)) (choice("calls", Some("no"), "hidden", !calls)) }
                @if !shown.whole.pauses.is_empty() {
                    span class="choice" { "Waiting "
                        (choice("waits", None, "squeezed", squeeze)) (choice("waits", Some("full"), "to scale", !squeeze)) }
                }
            }
            (zooms(shown, zoom, drawn.shown, long))
            (legend(colour))
            @if shown.whole.lanes.is_empty() {
                p class="card" { "No agent was planned yet." }
            } @else {
                (drawn.markup)
            }
            @if parts > 1 {
                p class="pages" {
                    "Rows, page " (part + 1) " of " (parts)
                    @if part > 0 { a href=(shown.link("part", Some(&part.to_string()))) { "Earlier" } }
                    @if part + 1 < parts {
                        a href=(shown.link("part", Some(&(part + 2).to_string()))) { "Later" }
                        a href=(shown.link("part", Some(&parts.to_string()))) { "Last" }
                    }
                }
            }
        }
    }
}

/// Links to other parts of the run's time: those that lead nowhere are not there.
/// `here`: what the axis has, which may be less than the whole run also where nothing was zoomed.
fn zooms(shown: &Shown<'_>, zoom: Option<Zoom>, here: Zoom, long: u64) -> Markup {
    let is_whole = here == Zoom::new(0, long, long);
    let around = middle_of_chosen(shown).unwrap_or(here.from + (here.to - here.from) / 2);
    let nearer = Some(here.nearer(around, long)).filter(|nearer| *nearer != here);
    let link = |id: &str, sign: &str, words: &str, to: Option<Zoom>| {
        html! { a class="zoom" id=(id) href=(shown.zoomed(to)) data-step aria-label=(words) title=(words) { (sign) } }
    };
    html! {
        p class="choice" {
            "Zoom "
            @if let Some(nearer) = nearer { (link("zoom-in", "+", "Nearer (key +)", Some(nearer))) }
            @if zoom.is_some() {
                (link("zoom-out", "−", "Further away (key -)", here.wider(long)))
                @if let Some(earlier) = here.earlier(long) { (link("zoom-earlier", "◂", "Earlier", Some(earlier))) }
                @if let Some(later) = here.later(long) { (link("zoom-later", "▸", "Later", Some(later))) }
                (link("zoom-whole", "whole run", "The whole run (key 0)", None))
                span { " " (time::duration(here.from)) " to " (time::duration(here.to)) " after the start" }
            } @else {
                span { (shown_words(here, is_whole)) "; an agent's name zooms to its time" }
            }
        }
    }
}

/// Says what the axis has where nothing was zoomed: a page of many rows has the time of its rows.
fn shown_words(here: Zoom, is_whole: bool) -> String {
    if is_whole {
        return "whole run".to_owned();
    }
    format!("the time of these rows, {} to {} after the start", time::duration(here.from), time::duration(here.to))
}

/// Returns the middle of the bar that is looked at, in milliseconds after the start.
fn middle_of_chosen(shown: &Shown<'_>) -> Option<u64> {
    let chosen = shown.request.query.get("sel")?;
    let mut bars = shown.whole.lanes.iter().flat_map(|lane| lane.bars.iter().map(move |bar| (lane, bar)));
    let (_, bar) = bars.find(|(lane, bar)| waterfall::key(lane.agent, bar) == chosen)?;
    let after = |at| crate::views::millis_between(shown.whole.from, at);
    let (from, to) = (after(bar.from), after(bar.to.unwrap_or(shown.whole.to)));
    Some(from + to.saturating_sub(from) / 2)
}

fn legend(colour: Colour) -> Markup {
    html! {
        p class="legend" {
            @match colour {
                Colour::Tier => {
                    @for (class, words) in [("t-cheap", "cheap"), ("t-capable", "capable"), ("t-premium", "premium"),
                        ("t-judge", "judging"), ("t-tool", "tool")] {
                        span { i class={ "key " (class) } {} (words) }
                    }
                }
                Colour::Cost => {
                    @for (class, words) in [("c-0", "free"), ("c-1", "up to ¼ of the dearest of its kind"), ("c-2", "½"), ("c-3", "¾"),
                        ("c-4", "the dearest"), ("c-unknown", "unknown")] {
                        span { i class={ "key " (class) } {} (words) }
                    }
                }
            }
            span { i class="key wait" {} "waiting" } span { "→ escalation" } span { "✓ passed ✗ failed ∅ dropped ↻ retried" }
        }
    }
}

fn report(shown: &Shown<'_>) -> Markup {
    html! {
        // There before there is a report, so that it can come.
        div id="report" data-part {
            @if let Some(report) = &shown.detail.report {
                section aria-labelledby="report-title" {
                    h2 id="report-title" { "Report" }
                    div class="card prose" dir="auto" { (markdown::render(report)) }
                }
            }
        }
    }
}

fn notes(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    html! {
        section aria-labelledby="notes-title" {
            h2 id="notes-title" { "Notes" }
            div id="notes" data-part {
                @for note in &detail.notes {
                    div class="card note" {
                        p class="soft" {
                            (element::moment(&note.at, &shown.ui.zone))
                            @if let Some(rating) = note.rating {
                                " · " span role="img" aria-label={ (rating) " of 5" } { (stars(rating)) }
                            }
                            @for tag in &note.tags { " " span class="label" { (element::line(tag)) } }
                        }
                        @match &note.text {
                            Some(text) => p class="said" dir="auto" { (element::lines(text)) },
                            None => p class="hint" { "The text is no longer retained." },
                        }
                    }
                }
                @if detail.notes.is_empty() { p class="hint" { "No notes yet." } }
            }
            div id="note" data-part {
                @if !shown.ui.read_only && shown.at.is_none() && detail.node.is_none() { (note_form(shown.ui, &detail.run_id)) }
            }
        }
    }
}

fn note_form(ui: &Ui, run: &str) -> Markup {
    html! {
        form class="card" method="post" action={ "/runs/" (run) "/note" } {
            (element::form_word(ui))
            label { "Note" textarea name="text" required maxlength=(NOTE_BYTES_MAX) dir="auto" {} }
            div class="actions" {
                label { "Rating " select name="rating" {
                    option value="" { "none" }
                    @for rating in 1..=5u8 { option value=(rating) { (stars(rating)) } }
                } }
                label { "Tags " input name="tags" placeholder="separated by commas"; }
                button type="submit" { "Add note" }
            }
        }
    }
}

fn stars(rating: u8) -> String {
    (1..=5).map(|place| if place <= rating { '★' } else { '☆' }).collect()
}
