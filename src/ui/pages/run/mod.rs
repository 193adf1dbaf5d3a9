//! One run: what became of it, the waterfall of what it did, and the scrubber with which it can be seen as it was.

mod act;
mod agents;
mod approvals;
mod events;
mod family;
mod head;
mod panel;
mod room;
mod scrubber;
mod texts;

pub use act::{
    Unblock, approve, cancel, form, form_is_open, note, refuse_home, refuse_strange, resolve, resume, unblock, waiting_words,
};
pub use events::page as events;
pub use texts::page as text;

use maud::{Markup, html};

use crate::cli::error::{CliError, Result};
use crate::cli::output::{time, words};
use crate::domain::event::{CallStarted, Recorded};
use crate::domain::ids::RunId;
use crate::ui::grid;
use crate::ui::waterfall::{self, Colour, Cursor, Target};
use crate::ui::zoom::{Steps, Zoom};
use crate::ui::{Answer, Page, Params, Request, Ui, element, markdown};
use crate::views::run_detail::{Note, RunDetail};
use crate::views::status::RunStatus;
use crate::views::timeline::Timeline;
use crate::workspace::{NOTE_BYTES_MAX, Story};
use room::Room;

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
        match query.with(name, value).link("") {
            // There are many of them on a page that is the run's own: the query says it all.
            link if !link.is_empty() && self.request.part("run") == self.detail.run_id => link,
            link => format!("/runs/{}{link}", self.detail.run_id),
        }
    }

    /// The address of a whole text of the run: of the row `key`, or its report.
    fn text(&self, key: &str, part: &str) -> String {
        let at = self.at.map(|at| at.to_string());
        let query = Params::default().with("of", Some(key)).with("part", Some(part)).with("at", at.as_deref());
        query.link(&format!("/runs/{}/text", self.detail.run_id))
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
    let key = request.query.get("sel").unwrap_or_default();
    let story = story(ui, id, asked, step, &|body| waterfall::is_about(key, body))?;
    let at = story.at;
    let detail = story.detail.clone().masked();
    let mut whole = Timeline::fold(&story.events);
    let mut then = at.map(|_| Timeline::fold(story.told()));
    for timeline in std::iter::once(&mut whole).chain(then.as_mut()) {
        name_lanes(timeline, &detail);
    }
    let shown = Shown { ui, request, story: &story, detail: &detail, whole: &whole, at };
    // What a page has at the least comes first: it has room. The rest shows as much as there is room for still.
    let room = Room::default();
    let head = room.drawn(head::head(&shown));
    let scrubber = room.drawn(scrubber::scrubber(&shown));
    let drawing = room.drawn(drawing(&shown, then.as_ref()));
    let panel = room.drawn(panel::panel(&shown)?);
    let family = room.drawn(family::family(&shown)?);
    let body = html! {
        (head)
        (scrubber)
        section aria-labelledby="waterfall-title" { (drawing) }
        (panel)
        (room.drawn(agents::agents(&shown, &room)))
        (room.drawn(report(&shown, &room)))
        (family)
        (notes(&shown, &room))
    };
    let title = format!("{} {}", element::line(&detail.template_id), element::id_end(&detail.run_id));
    let live = (at.is_none() && detail.node.is_none()).then(|| detail.run_id.clone());
    Ok(Page { title, here: "/", body, live }.into())
}

/// Reads the run as it is, or as it was at a position, which may also be told by the number of the run's event.
fn story(ui: &Ui, id: RunId, at: Option<u64>, step: Option<usize>, wants: &dyn Fn(&CallStarted) -> bool) -> Result<Story> {
    let place = |events: &[Recorded]| {
        // The last step is the run as it is.
        let step = step.filter(|step| *step < events.len());
        at.or_else(|| events.get(step?.max(1) - 1).map(position))
    };
    ui.workspace.runs().story(id, &place, wants)?.ok_or_else(|| match at {
        None => CliError::not_found(format!("run {id} has no events")),
        Some(at) => CliError::not_found(format!("run {id} had not begun when the log was at position {at}"))
            .hint(format!("`meno events {id}` shows the positions of its events")),
    })
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
                @let (pauses, ms) = drawn.squeezed;
                @if pauses > 0 || !squeeze || !shown.whole.pauses.is_empty() {
                    span class="choice" title=[(pauses > 0).then(|| grid::pauses_words(pauses, ms))] { "Pauses "
                        (choice("waits", None, "drawn short", squeeze)) (choice("waits", Some("full"), "to scale", !squeeze)) }
                }
            }
            (zooms(shown, zoom, drawn.shown, Steps { axis: &drawn.whole, from: shown.whole.from, long }))
            (legend(colour, drawn.has_idle && squeeze))
            @if shown.whole.is_untimed {
                p class="hint" { "It is recorded how long attempts took, not when each began: those of an agent are drawn one after the other." }
            }
            @if shown.whole.lanes.is_empty() {
                p class="card" { "No agent was planned yet." }
            } @else {
                (drawn.markup)
            }
            @if parts > 1 {
                p class="pages" {
                    "Rows, page " (words::count(part as u64 + 1)) " of " (words::count(parts as u64))
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
fn zooms(shown: &Shown<'_>, zoom: Option<Zoom>, here: Zoom, steps: Steps<'_>) -> Markup {
    let is_whole = here == Zoom::new(0, steps.long, steps.long);
    let nearer = steps.nearer(here, middle_of_chosen(shown));
    let link = |id: &str, sign: &str, words: &str, to: Option<Zoom>| {
        html! { a class="zoom" id=(id) href=(shown.zoomed(to)) data-step aria-label=(words) title=(words) { (sign) } }
    };
    html! {
        p class="choice" {
            "Zoom "
            @if let Some(nearer) = nearer { (link("zoom-in", "+", "Nearer (key +)", Some(nearer))) }
            @if zoom.is_some() {
                (link("zoom-out", "−", "Further away (key -)", steps.wider(here)))
                @if let Some(earlier) = steps.earlier(here) { (link("zoom-earlier", "◂", "Earlier", Some(earlier))) }
                @if let Some(later) = steps.later(here) { (link("zoom-later", "▸", "Later", Some(later))) }
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

fn legend(colour: Colour, has_idle: bool) -> Markup {
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
            span { i class="key wait" {} "waiting" } @if has_idle { span { i class="key idle" {} "idle: nothing worked, drawn short" } } span { "→ escalation" } span { "✓ passed ○ unverified ✗ failed ∅ dropped ↻ retried" }
        }
    }
}

fn report(shown: &Shown<'_>, room: &Room) -> Markup {
    /// Bytes of a report that are rendered, and of what that makes.
    const BYTES_MAX: usize = 30_000;
    let rendered = |report: &str| {
        // Marks and signs may make many bytes of few: then less of it is shown.
        let tries = (0..4).map(|less| markdown::render(report, BYTES_MAX >> less, Some(&shown.text("report", "report"))));
        let mut fitting = tries.filter(|drawn| room.has(drawn.0.len()));
        fitting
            .next()
            .unwrap_or_else(|| html! { p class="hint" { a href=(shown.text("report", "report")) { "The whole report" } } })
    };
    html! {
        // There before there is a report, so that it can come.
        div id="report" data-part {
            @if let Some(report) = &shown.detail.report {
                section aria-labelledby="report-title" {
                    h2 id="report-title" { "Report" }
                    div class="card prose" dir="auto" { (rendered(report)) }
                }
            }
        }
    }
}

fn notes(shown: &Shown<'_>, room: &Room) -> Markup {
    let detail = shown.detail;
    let drawn: Vec<Markup> = detail.notes.iter().rev().map_while(|note| room.takes(self::note_of(shown, note))).collect();
    let left_out = detail.notes.len() - drawn.len();
    html! {
        section aria-labelledby="notes-title" {
            h2 id="notes-title" { "Notes" }
            div id="notes" data-part {
                @if left_out > 0 {
                    p class="hint" { (words::plural(left_out as u64, "older note")) ": " code { "meno show-run " (detail.run_id) } " prints all." }
                }
                @for note in drawn.iter().rev() { (note) }
                @if detail.notes.is_empty() { p class="hint" { "No notes yet." } }
            }
            div id="note" data-part {
                @if !shown.ui.read_only && shown.at.is_none() && detail.node.is_none() { (note_form(shown.ui, &detail.run_id)) }
            }
        }
    }
}

fn note_of(shown: &Shown<'_>, note: &Note) -> Markup {
    html! {
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
