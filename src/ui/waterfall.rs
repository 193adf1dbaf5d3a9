//! The waterfall: what each agent of a run did and when, one row per attempt, call and tool, drawn as SVG. Pure: data in, markup out.
//!
//! Places are per cents, so that the drawing fits any width without a script; heights are pixels. A stroke keeps the shortest bar two
//! pixels wide. The label of a row is its link: the style sheet lays it over the whole row, so that the drawing needs no links of its own.

use maud::{Markup, html};

use super::axis::{Axis, Squeezed};
use super::element;
use super::grid::{self, pauses_words, percent};
use super::zoom::Zoom;
use crate::cli::output::{time, words};
use crate::domain::event::{CallStarted, Purpose};
use crate::domain::ids::{AgentNo, TimeNs};
use crate::views::timeline::{Bar, BarKind, Lane, Outcome, PauseKind, Timeline};

/// The height of a row, in pixels: as large as a target for fingers has to be.
pub const ROW: usize = 26;
/// The height of the axis, in pixels.
const HEAD: usize = 26;
/// Rows on one page; more are on the next ones.
pub const ROWS_MAX: usize = 150;
/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 40;
/// Shades of cost.
const SHADES: u64 = 4;

/// What bars are coloured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// The tier.
    #[default]
    Tier,
    /// The cost, from none to that of the dearest bar of its kind.
    Cost,
}

/// How the waterfall is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What bars are coloured by.
    pub colour: Colour,
    /// Calls and tools have rows too; without, only attempts.
    pub calls: bool,
    /// Long pauses are drawn short.
    pub squeeze: bool,
    /// The page of rows, from 0; `None` for the one that has the row that is looked at.
    pub part: Option<usize>,
    /// Only what was under way in this part of the run's time.
    pub zoom: Option<Zoom>,
    /// The end of the axis for what has not ended: now, for a run that goes on.
    pub now: Option<TimeNs>,
    /// The run as it was at a moment; `None` for as it is.
    pub cursor: Option<Cursor<'a>>,
    /// The row that is looked at.
    pub chosen: &'a str,
}

/// A moment to look at.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// When.
    pub at: TimeNs,
    /// The run as it was then.
    pub then: &'a Timeline,
}

/// A row: an agent, or something that it did.
struct Row<'a> {
    lane: &'a Lane,
    bar: Option<&'a Bar>,
}

/// A drawn waterfall.
pub struct Waterfall {
    /// The drawing.
    pub markup: Markup,
    /// How many rows there are on all pages.
    pub rows: usize,
    /// The page of rows that is drawn, from 0.
    pub part: usize,
    /// The part of the run's time that its axis has.
    pub shown: Zoom,
    /// The axis of the whole run.
    pub whole: Axis,
    /// How many pauses are drawn short, or would be if that was wanted, and for how long nothing worked in them, in milliseconds.
    pub squeezed: (usize, u64),
    /// Some of them are times for which nothing says why nothing worked.
    pub has_idle: bool,
}

/// The name of what a bar stands for, as links carry it: `a2.1` is the first attempt of agent 2, `c17` a call, `t17.0` a tool.
pub fn key(agent: AgentNo, bar: &Bar) -> String {
    match (bar.call, bar.tool) {
        (Some(call), Some(tool)) => format!("t{call}.{tool}"),
        (Some(call), None) => format!("c{call}"),
        _ => format!("a{agent}.{}", bar.attempt),
    }
}

/// Tells whether a call is what a key stands for, or belongs to it.
pub fn is_about(key: &str, call: &CallStarted) -> bool {
    let own = call.call.to_string();
    match key.split_at_checked(1) {
        Some(("a", _)) => key == format!("a{}.{}", call.agent, call.attempt),
        Some(("c" | "t", rest)) => rest.split('.').next() == Some(own.as_str()),
        _ => false,
    }
}

/// What a row's link is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// What is known of the row with this key.
    Row(&'a str),
    /// This part of the run's time.
    Part(Zoom),
}

/// Draws a run. `link` makes the address of what a row leads to.
pub fn draw(timeline: &Timeline, options: &Options<'_>, link: &dyn Fn(Target<'_>) -> String) -> Waterfall {
    let end = options.now.unwrap_or(timeline.to).max(timeline.to);
    let window = options.zoom.map(|zoom| (moment(timeline, zoom.from), moment(timeline, zoom.to)));
    let is_in = |bar: &Bar| window.is_none_or(|(from, to)| bar.from <= to && bar.to.unwrap_or(end) >= from);
    let all: Vec<Row<'_>> = timeline.lanes.iter().flat_map(|lane| rows_of(lane, options.calls, &is_in)).collect();
    let is_chosen = |row: &Row<'_>| row.bar.is_some_and(|bar| key(row.lane.agent, bar) == options.chosen);
    let part = options.part.unwrap_or_else(|| all.iter().position(is_chosen).unwrap_or_default() / ROWS_MAX);
    let part = part.min(all.len().saturating_sub(1) / ROWS_MAX);
    let first = part * ROWS_MAX;
    let rows = &all[first..(first + ROWS_MAX).min(all.len())];
    // A page of rows has its own span, so that the end of a long run can be seen as well as its beginning.
    let whole = if all.len() > ROWS_MAX { span(rows, timeline, end) } else { (timeline.from, end) };
    let (from, to) = window.unwrap_or(whole);
    let pauses = timeline.with_idle(end);
    let axis = Axis::new(from, to, &pauses, options.squeeze).counted_from(timeline.from);
    let squeezed: Vec<Squeezed> = Axis::new(from, to, &pauses, true).squeezed().collect();
    let has_idle = squeezed.iter().any(|squeezed| squeezed.kind == PauseKind::Idle);
    let scale = Scale::of(&all);
    let height = HEAD + rows.len() * ROW;
    let places = rows.iter().enumerate().map(|(place, row)| (HEAD + place * ROW, row));
    let markup = html! {
        div class="waterfall" {
            div class="wf-labels" {
                div class="wf-head" { "Agent, attempt" @if options.calls { ", call" } }
                @for row in rows { (label(row, timeline, end, options, link)) }
            }
            svg class="wf-plot" width="100%" height=(height) role="img" aria-label=(summary(timeline, &axis)) {
                defs {
                    pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                        rect class="wf-wait" width="3" height="6" {}
                    }
                    @if has_idle {
                        pattern id="idle" width="6" height="8" patternUnits="userSpaceOnUse" { path class="wf-idle" d="M1 0 L5 4 L1 8" {} }
                    }
                    marker id="climb" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto" {
                        path class="wf-arrow-head" d="M0 0 L8 4 L0 8 z" {}
                    }
                }
                (grid::draw(&axis, (HEAD, height), timeline))
                @for (y, row) in places.clone() { (row_of(row, y, &axis, options, scale, end)) }
                g marker-end="url(#climb)" { @for (y, row) in places.clone() { (climbs(row, y, rows, &axis, options)) } }
                @if let Some(cursor) = options.cursor {
                    @let x = percent(axis.at(cursor.at));
                    line class="wf-cursor" x1=(x) x2=(x) y1=(HEAD - 8) y2=(height) {}
                    circle class="wf-cursor" cx=(x) cy=(HEAD - 8) r="4" {}
                }
            }
        }
    };
    let after = |at: TimeNs| crate::views::millis_between(timeline.from, at);
    let shown = Zoom::new(after(from), after(to), after(end));
    let whole = Axis::new(timeline.from, end, &pauses, options.squeeze);
    let squeezed = (squeezed.len(), squeezed.iter().map(|squeezed| squeezed.ms).sum());
    Waterfall { markup, rows: all.len(), part, shown, whole, squeezed, has_idle }
}

/// Returns the moment so many milliseconds after the run's start.
fn moment(timeline: &Timeline, ms: u64) -> TimeNs {
    timeline.from.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// Returns the part of the run's time in which an agent worked, with a little room around it; `None` for one that never did.
fn part_of(lane: &Lane, timeline: &Timeline, end: TimeNs) -> Option<Zoom> {
    let after = |at: TimeNs| crate::views::millis_between(timeline.from, at);
    let from = after(lane.bars.iter().map(|bar| bar.from).min()?);
    let to = after(lane.bars.iter().map(|bar| bar.to.unwrap_or(end)).max()?);
    let room = (to - from.min(to)) / 20 + 1;
    Some(Zoom::new(from.saturating_sub(room), to + room, after(end)))
}

/// Returns the rows of an agent, as far as they are shown; an agent without any has none, unless it never did anything.
fn rows_of<'a>(lane: &'a Lane, calls: bool, is_in: &dyn Fn(&Bar) -> bool) -> Vec<Row<'a>> {
    let bars = lane.bars.iter().filter(|bar| (calls || bar.kind == BarKind::Attempt) && is_in(bar));
    let rows: Vec<Row<'_>> = bars.map(|bar| Row { lane, bar: Some(bar) }).collect();
    if rows.is_empty() && !lane.bars.is_empty() && !lane.bars.iter().any(is_in) {
        return rows;
    }
    std::iter::once(Row { lane, bar: None }).chain(rows).collect()
}

fn span(rows: &[Row<'_>], timeline: &Timeline, end: TimeNs) -> (TimeNs, TimeNs) {
    let bars = || rows.iter().filter_map(|row| row.bar);
    let from = bars().map(|bar| bar.from).min().unwrap_or(timeline.from);
    let to = bars().map(|bar| bar.to.unwrap_or(end)).max().unwrap_or(end);
    (from, to)
}

/// The dearest bar of each kind, by which costs are shaded.
#[derive(Clone, Copy, Default)]
struct Scale {
    attempt: u64,
    call: u64,
}

impl Scale {
    fn of(rows: &[Row<'_>]) -> Self {
        let most = |is_meant: &dyn Fn(&Bar) -> bool| {
            let costs = rows.iter().filter_map(|row| row.bar).filter(|bar| is_meant(bar)).filter_map(|bar| bar.cost);
            costs.max().unwrap_or_default()
        };
        Self { attempt: most(&|bar| bar.kind == BarKind::Attempt), call: most(&|bar| bar.kind != BarKind::Attempt) }
    }

    fn shade(self, bar: &Bar) -> Option<u64> {
        let most = if bar.kind == BarKind::Attempt { self.attempt } else { self.call };
        let cost = bar.cost?;
        Some(if most == 0 { 0 } else { (u128::from(cost) * u128::from(SHADES)).div_ceil(u128::from(most)) as u64 })
    }
}

/// What the drawing shows, for those who cannot see it.
fn summary(timeline: &Timeline, axis: &Axis) -> String {
    let climbs: usize = timeline.lanes.iter().map(|lane| lane.climbs.len()).sum();
    let attempts = timeline.lanes.iter().flat_map(|lane| &lane.bars).filter(|bar| bar.kind == BarKind::Attempt).count();
    let (count, ms) = axis.squeezed().fold((0, 0), |(count, ms), squeezed| (count + 1, ms + squeezed.ms));
    let short = if count == 0 { String::new() } else { format!(", {} drawn short", pauses_words(count, ms)) };
    format!(
        "Waterfall of {}, {}, {} over {}{short}",
        words::plural(timeline.lanes.len() as u64, "agent"),
        words::plural(attempts as u64, "attempt"),
        words::plural(climbs as u64, "escalation"),
        time::duration(crate::views::millis_between(timeline.from, timeline.to)),
    )
}

/// What a bar is called.
fn bar_words(bar: &Bar) -> String {
    let name = element::short(&bar.name, NAME_CHARS_MAX);
    match bar.kind {
        BarKind::Attempt if bar.inherited => format!("attempt {}, inherited", bar.attempt),
        BarKind::Attempt => format!("attempt {}", bar.attempt),
        BarKind::Call(Purpose::Work) => name,
        BarKind::Call(Purpose::Judge) => format!("judge {name}"),
        BarKind::Tool => format!("{name}()"),
    }
}

fn label(row: &Row<'_>, timeline: &Timeline, end: TimeNs, options: &Options<'_>, link: &dyn Fn(Target<'_>) -> String) -> Markup {
    let Some(bar) = row.bar else {
        let name = element::short(&row.lane.label, NAME_CHARS_MAX);
        return html! {
            @match part_of(row.lane, timeline, end) {
                Some(part) => a class="wf-label wf-agent" id={ "lane-" (row.lane.agent) } href=(link(Target::Part(part))) data-step
                    title={ (name) ": zoom to its time" } dir="auto" { (name) },
                None => div class="wf-label wf-agent" title=(name) dir="auto" { (name) },
            }
        };
    };
    let key = key(row.lane.agent, bar);
    let depth = match bar.kind {
        BarKind::Attempt => 1,
        BarKind::Call(_) => 2,
        BarKind::Tool => 3,
    };
    let (then, until) = match options.cursor {
        Some(cursor) => (bar_then(cursor.then, row.lane.agent, bar), cursor.at),
        None => (Some(bar), end),
    };
    let shown = then.unwrap_or(bar);
    html! {
        a class={ "wf-label wf-d" (depth) @if then.is_none() { " to-come" } } id={ "row-" (key) } href=(link(Target::Row(&key))) data-detail
            aria-current=[(options.chosen == key).then_some("true")] title=(tip(row.lane, shown, timeline.from, shown.to.unwrap_or(until).max(shown.from))) {
            span class="wf-name" { (bar_words(bar)) }
            @if bar.kind == BarKind::Attempt { " " (element::tier(bar.tier)) }
        }
    }
}

/// The same bar in the run as it was.
fn bar_then<'a>(then: &'a Timeline, agent: AgentNo, bar: &Bar) -> Option<&'a Bar> {
    let lane = then.lanes.iter().find(|lane| lane.agent == agent)?;
    lane.bars.iter().find(|known| (known.attempt, known.call, known.tool) == (bar.attempt, bar.call, bar.tool))
}

fn row_of(row: &Row<'_>, y: usize, axis: &Axis, options: &Options<'_>, scale: Scale, end: TimeNs) -> Markup {
    let Some(bar) = row.bar else {
        return html! { line class="wf-rule" x2="100%" y1=(y) y2=(y) {} };
    };
    let (then, until) = match options.cursor {
        Some(cursor) => (bar_then(cursor.then, row.lane.agent, bar), cursor.at),
        None => (Some(bar), end),
    };
    // The style sheet knows how high they are.
    let (high, inset) = if bar.kind == BarKind::Attempt { (" wf-high", 5) } else { ("", 9) };
    let x = |from: TimeNs| axis.at(from);
    let width = |from: TimeNs, to: TimeNs| percent((axis.at(to) - axis.at(from)).max(0.01));
    html! {
        @if options.cursor.is_some() {
            rect class={ "wf-ghost" (high) } x=(percent(x(bar.from))) width=(width(bar.from, bar.to.unwrap_or(end))) y=(y + inset) {}
        }
        @if let Some(bar) = then {
            @let to = bar.to.unwrap_or(until).max(bar.from);
            rect class={ "wf-bar " (colour(bar, options.colour, scale)) (high) (faded(bar.outcome)) }
                x=(percent(x(bar.from))) width=(width(bar.from, to)) y=(y + inset) {}
            (after(bar, x(bar.from), x(to), y, to))
        }
    }
}

/// What stands behind a bar, or before it where there is no room behind it.
fn after(bar: &Bar, left: f64, right: f64, y: usize, to: TimeNs) -> Markup {
    /// Behind this place, in per cent, a text would leave the drawing.
    const ROOM: f64 = 82.0;
    let mark = match (bar.outcome, bar.kind) {
        (Outcome::Running, _) => "…",
        (Outcome::Bad, _) => "✗",
        (Outcome::Gone, _) => "∅",
        (Outcome::Good, BarKind::Attempt) if bar.verified => "✓",
        // Nobody judged it, or not by all of its criteria.
        (Outcome::Good, BarKind::Attempt) => "○",
        (Outcome::Good, _) => "",
    };
    let retries = if bar.retries.is_empty() { String::new() } else { format!("↻{} ", bar.retries.len()) };
    let words = format!("{mark} {retries}{}", time::duration(crate::views::millis_between(bar.from, to)));
    let is_behind = right < ROOM || left < 100.0 - ROOM;
    let is_inside = is_behind && right >= ROOM;
    let (x, dx, anchor) = match (is_inside, is_behind) {
        (true, _) => (left, 6, None),
        (false, true) => (right, 6, None),
        (false, false) => (left, -6, Some("end")),
    };
    let is_inside = is_inside && bar.kind == BarKind::Attempt;
    let class = match (is_inside, bar.outcome) {
        (true, _) => Some("inside"),
        (false, Outcome::Bad) => Some("o-bad"),
        (false, _) => None,
    };
    html! {
        text class=[class] x=(percent(x)) dx=(dx) y=(y + 17) text-anchor=[anchor] { (words.trim()) }
    }
}

fn colour(bar: &Bar, colour: Colour, scale: Scale) -> String {
    match (colour, bar.kind) {
        (Colour::Tier, BarKind::Attempt | BarKind::Call(Purpose::Work)) => format!("t-{}", bar.tier.name()),
        (Colour::Tier, BarKind::Call(Purpose::Judge)) => "t-judge".to_owned(),
        (Colour::Tier, BarKind::Tool) => "t-tool".to_owned(),
        (Colour::Cost, _) => scale.shade(bar).map_or_else(|| "c-unknown".to_owned(), |shade| format!("c-{shade}")),
    }
}

/// The class of a bar by how it ended; most have none.
fn faded(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Good => "",
        Outcome::Running => " o-running",
        Outcome::Bad => " o-bad",
        Outcome::Gone => " o-gone",
    }
}

/// What a bar says when it is pointed at: what it was, when, how long it took and what it cost.
fn tip(lane: &Lane, bar: &Bar, start: TimeNs, to: TimeNs) -> String {
    let mut tip = format!("{} · {} · {}", element::short(&lane.label, NAME_CHARS_MAX), bar_words(bar), bar.tier);
    if bar.kind == BarKind::Attempt && !bar.name.is_empty() {
        tip.push_str(&format!(" · {}", element::short(&bar.name, NAME_CHARS_MAX)));
    }
    let (after, long) = (crate::views::millis_between(start, bar.from), crate::views::millis_between(bar.from, to));
    tip.push_str(&format!(" · {} after the start, for {}", time::duration(after), time::duration(long)));
    if bar.kind == BarKind::Attempt && bar.outcome == Outcome::Good && !bar.verified {
        tip.push_str(" · unverified");
    }
    if bar.kind != BarKind::Tool {
        tip.push_str(&format!(" · {}", words::amount(bar.cost)));
    }
    if !bar.retries.is_empty() {
        let waited: u64 = bar.retries.iter().sum();
        tip.push_str(&format!(" · {}, waited {}", retried_words(bar.retries.len()), time::duration(waited)));
    }
    if let Some(climb) = lane.climbs.iter().find(|climb| bar.kind == BarKind::Attempt && climb.attempt == bar.attempt) {
        tip.push_str(&format!(" · escalated to {}", climb.to.name()));
    }
    tip
}

fn retried_words(tries: usize) -> String {
    if tries == 1 { "retried once".to_owned() } else { format!("retried {tries} times") }
}

/// An arrow from each attempt that failed to the one of the next tier.
fn climbs(row: &Row<'_>, y: usize, rows: &[Row<'_>], axis: &Axis, options: &Options<'_>) -> Markup {
    let Some(bar) = row.bar.filter(|bar| bar.kind == BarKind::Attempt) else { return html! {} };
    // Two events may share a moment: what had happened is what the run of then says.
    let lane = match options.cursor {
        Some(cursor) => cursor.then.lanes.iter().find(|lane| lane.agent == row.lane.agent),
        None => Some(row.lane),
    };
    let climb = lane.and_then(|lane| lane.climbs.iter().find(|climb| climb.attempt == bar.attempt));
    let next = |row: &Row<'_>| row.bar.is_some_and(|next| next.kind == BarKind::Attempt && next.attempt == bar.attempt + 1);
    let target = rows.iter().enumerate().find(|(_, other)| other.lane.agent == row.lane.agent && next(other));
    let (Some(climb), Some((place, target))) = (climb, target) else { return html! {} };
    let from = axis.at(bar.to.unwrap_or(bar.from));
    let to = axis.at(target.bar.map_or(climb.at, |bar| bar.from));
    let (top, bottom) = (y + ROW / 2 + 8, HEAD + place * ROW + 4);
    html! {
        line class="wf-climb" x1=(percent(from)) x2=(percent(to)) y1=(top) y2=(bottom) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tier::Tier;
    use crate::views::sample;
    use crate::views::timeline::Climb;

    const PLAIN: Options<'_> =
        Options { colour: Colour::Tier, calls: true, squeeze: true, part: None, zoom: None, now: None, cursor: None, chosen: "" };

    fn drawn(timeline: &Timeline, options: &Options<'_>) -> (String, usize) {
        let drawn = draw(timeline, options, &|target| match target {
            Target::Row(key) => format!("/runs/X?sel={key}"),
            Target::Part(zoom) => format!("/runs/X?z={}", zoom.to_text()),
        });
        (drawn.markup.into_string(), drawn.rows)
    }

    #[test]
    fn every_attempt_call_and_tool_has_a_bar_and_every_climb_an_arrow() {
        let timeline = Timeline::fold(&sample::story());
        let (svg, rows) = drawn(&timeline, &PLAIN);
        assert_eq!(rows, timeline.bars() + timeline.lanes.len());
        for lane in &timeline.lanes {
            for bar in &lane.bars {
                assert_eq!(
                    svg.matches(&format!("sel={}\"", key(lane.agent, bar))).count(),
                    1,
                    "the label is the link of its row: {bar:?}"
                );
            }
        }
        assert_eq!(svg.matches("class=\"wf-bar").count(), timeline.bars());
        assert!(!svg[svg.find("<svg").unwrap()..].contains("<a "), "what is drawn is an image: nothing in it can have the focus");
        let climbs: usize = timeline.lanes.iter().map(|lane| lane.climbs.len()).sum();
        assert!(climbs > 0);
        assert_eq!(svg.matches("class=\"wf-climb\"").count(), climbs);
        assert!(!svg.contains("style="), "the page allows no style in it: {svg}");
    }

    #[test]
    fn a_session_over_days_is_drawn_without_its_nights_and_to_scale_when_that_is_asked_for() {
        const HOUR: i64 = 3_600_000_000_000;
        let mut timeline = Timeline::fold(&sample::story());
        let (lane, bar) = (timeline.lanes[0].clone(), timeline.lanes[0].bars[0].clone());
        let turn = |attempt: u32| {
            let from = i64::from(attempt) * 8 * HOUR;
            Bar { attempt, from, to: Some(from + HOUR / 60), ..bar.clone() }
        };
        timeline.lanes = vec![Lane {
            bars: (1..=5).map(turn).collect(),
            climbs: vec![Climb { attempt: 1, from: Tier::Cheap, to: Tier::Capable, at: 9 * HOUR }],
            ..lane
        }];
        (timeline.from, timeline.to, timeline.pauses) = (8 * HOUR, 40 * HOUR + HOUR / 60, vec![]);
        let wide = |svg: &str| {
            let of = |bar: &str| bar.split("width=\"").nth(1).unwrap().split('%').next().unwrap().parse::<f64>().unwrap();
            svg.split("class=\"wf-bar").skip(1).map(of).collect::<Vec<_>>()
        };
        let whole = draw(&timeline, &PLAIN, &|_| String::new());
        let svg = whole.markup.into_string();
        assert_eq!(wide(&svg), [17.6; 5], "{svg}");
        assert_eq!((svg.matches("fill=\"url(#idle)\"").count(), svg.matches("idle 7 h 59 min").count()), (4, 4), "{svg}");
        assert!(svg.contains("over 1 d 08 h, 4 pauses of 1 d 07 h drawn short"), "{svg}");
        assert_eq!((whole.squeezed, whole.has_idle), ((4, 4 * (8 * 3_600_000 - 60_000)), true));
        let arrow = svg.split("class=\"wf-climb\"").nth(1).unwrap();
        assert!(arrow.contains("x1=\"17.60%\" x2=\"20.60%\""), "from the end of a bar to the beginning of the next: {arrow}");
        let scale = draw(&timeline, &Options { squeeze: false, ..PLAIN }, &|_| String::new());
        assert_eq!(scale.squeezed, whole.squeezed, "the other way stays offered");
        let svg = scale.markup.into_string();
        assert!(
            wide(&svg).iter().all(|wide| *wide < 0.1) && !svg.contains("url(#idle)") && !svg.contains("drawn short"),
            "{svg}"
        );
    }

    #[test]
    fn ten_thousand_bars_are_all_on_some_page() {
        let mut timeline = Timeline::fold(&sample::story());
        let (lane, bar) = (timeline.lanes[0].clone(), timeline.lanes[0].bars[0].clone());
        let made = (1..=10_000).map(|attempt| Bar { attempt, from: bar.from + i64::from(attempt), ..bar.clone() });
        timeline.lanes = vec![Lane { bars: made.collect(), ..lane }];
        let (_, rows) = drawn(&timeline, &PLAIN);
        let pages = rows.div_ceil(ROWS_MAX);
        let bars: usize = (0..pages)
            .map(|part| drawn(&timeline, &Options { part: Some(part), ..PLAIN }).0.matches("class=\"wf-bar").count())
            .sum();
        assert_eq!(bars, 10_000);
        let last = draw(&timeline, &Options { part: Some(99_999), ..PLAIN }, &|_| String::new());
        assert_eq!(last.part, pages - 1, "beyond the last page is the last");
        let axis = |part| draw(&timeline, &Options { part: Some(part), ..PLAIN }, &|_| String::new()).shown;
        assert!(axis(0).from <= axis(pages - 1).from && axis(0).to > axis(0).from, "each page says which time it has");
        let long = |name: &str| name.repeat(500);
        timeline.lanes[0].label = long("ä<");
        timeline.lanes[0].bars.iter_mut().for_each(|bar| (bar.name, bar.retries) = (long("&\""), vec![1000]));
        let (svg, _) = drawn(&timeline, &Options { part: Some(3), ..PLAIN });
        assert!(svg.len() < 125_000, "a page of rows has {} bytes, however long their names are", svg.len());
        let (svg, _) = drawn(&timeline, &Options { chosen: "a0.7777", ..PLAIN });
        assert!(svg.contains("id=\"row-a0.7777\""), "a link to a bar leads to the page that has it");
    }

    #[test]
    fn a_part_of_the_time_has_the_rows_of_then_and_every_agent_leads_to_its_own() {
        let timeline = Timeline::fold(&sample::story());
        let end = crate::views::millis_between(timeline.from, timeline.to);
        for lane in timeline.lanes.iter().filter(|lane| !lane.bars.is_empty()) {
            let zoom = part_of(lane, &timeline, timeline.to).unwrap();
            assert!(zoom.to <= end.max(8), "{zoom:?} of {end}");
            let (svg, rows) = drawn(&timeline, &Options { zoom: Some(zoom), ..PLAIN });
            assert!(rows <= timeline.bars() + timeline.lanes.len());
            for bar in &lane.bars {
                assert!(svg.contains(&format!("id=\"row-{}\"", key(lane.agent, bar))), "{bar:?}");
            }
        }
        let last = timeline.lanes.iter().flat_map(|lane| &lane.bars).map(|bar| bar.from).max().unwrap();
        let at = crate::views::millis_between(timeline.from, last);
        let (_, rows) = drawn(&timeline, &Options { zoom: Some(Zoom::new(at, at + 1, end)), ..PLAIN });
        assert!(rows < timeline.bars() + timeline.lanes.len(), "what had ended is not there: {rows}");
    }

    #[test]
    fn at_a_moment_what_is_to_come_is_a_shadow() {
        let events = sample::story();
        let timeline = Timeline::fold(&events);
        let half = &events[..events.len() / 2];
        let then = Timeline::fold(half);
        let at = then.moments.last().unwrap().at;
        let (svg, _) = drawn(&timeline, &Options { cursor: Some(Cursor { at, then: &then }), ..PLAIN });
        assert_eq!(svg.matches("class=\"wf-ghost").count(), timeline.bars());
        assert_eq!(svg.matches("class=\"wf-bar").count(), then.bars());
        assert!(then.bars() < timeline.bars() && svg.contains("wf-cursor"));
    }

    #[test]
    fn only_what_was_judged_has_the_sign_of_it() {
        let mut timeline = Timeline::fold(&sample::story());
        let signs = |timeline: &Timeline| {
            let (svg, _) = drawn(timeline, &Options { calls: false, ..PLAIN });
            [">✓ ", ">○ ", " · unverified"].map(|sign| svg.matches(sign).count())
        };
        let attempts = |timeline: &mut Timeline, verified: bool| {
            let bars = timeline.lanes.iter_mut().flat_map(|lane| &mut lane.bars);
            let passed = bars.filter(|bar| bar.kind == BarKind::Attempt && bar.outcome == Outcome::Good);
            passed.map(|bar| bar.verified = verified).count()
        };
        let passed = attempts(&mut timeline, true);
        assert!(passed > 0);
        assert_eq!(signs(&timeline), [passed, 0, 0]);
        attempts(&mut timeline, false);
        assert_eq!(signs(&timeline), [0, passed, passed]);
    }

    #[test]
    fn no_name_reaches_the_page_as_markup() {
        let mut timeline = Timeline::fold(&sample::story());
        timeline.lanes[0].label = "<script>alert(1)</script>\u{1b}[31m".to_owned();
        timeline.lanes[0].bars[0].name = "\"><img src=x onerror=alert(1)>".to_owned();
        let (svg, _) = drawn(&timeline, &PLAIN);
        assert!(!svg.contains("<script") && !svg.contains("<img") && !svg.contains('\u{1b}'), "{svg}");
    }
}
