//! What lies behind the bars of the waterfall: the axis with its ticks, and the times in which nothing worked. Pure: data in, markup out.

use maud::{Markup, html};

use super::axis::{Axis, Squeezed};
use crate::cli::output::{time, words};
use crate::views::timeline::{PauseKind, Timeline};

/// Writes a place.
pub fn percent(place: f64) -> String {
    // Two decimals are a tenth of a pixel on a wide screen.
    format!("{place:.2}%")
}

/// Draws it from `head`, the height of the axis, to `height`, in pixels.
pub fn draw(axis: &Axis, (head, height): (usize, usize), timeline: &Timeline) -> Markup {
    /// The last place in per cent behind which a time fits, on narrow windows too.
    const TEXT_TO: f64 = 92.0;
    html! {
        @for (number, (place, words)) in ticks(axis).into_iter().enumerate() {
            // What is later than the tick before it says nothing without that one.
            @let minor = if number % 4 == 0 && !words.starts_with('+') { "" } else { " minor" };
            line class="wf-tick" x1=(percent(place)) x2=(percent(place)) y1=(head - 6) y2=(height) {}
            // At the right edge there is no room behind the line.
            @let (dx, anchor) = if place > TEXT_TO { (-3, Some("end")) } else { (3, None) };
            text class={ "wf-time" (minor) } x=(percent(place)) y=(head - 11) dx=(dx) text-anchor=[anchor] { (words) }
        }
        @for (left, right) in pauses(axis, timeline) {
            rect class="wf-pause" fill="url(#hatch)" x=(percent(left)) width=(percent(right - left)) y=(head) height=(height - head) {}
        }
        @for idle in axis.squeezed().filter(|squeezed| squeezed.kind == PauseKind::Idle) {
            rect class="wf-pause" fill="url(#idle)" x=(percent(idle.left)) width=(percent(idle.right - idle.left)) y=(head) height=(height - head) {}
        }
        @for (place, minor, squeezed) in named(axis) {
            @let anchor = if place > TEXT_TO { "end" } else if place < 100.0 - TEXT_TO { "start" } else { "middle" };
            text class={ "wf-squeezed" (minor) } x=(percent(place)) y=(head + 10) text-anchor=(anchor) {
                (pause_words(squeezed.kind)) " " (time::duration(squeezed.ms))
            }
        }
    }
}

/// Returns which of the pauses that are drawn short have room for their length, each with its place, and with a class where only wide windows
/// have that room.
fn named(axis: &Axis) -> Vec<(f64, &'static str, Squeezed)> {
    /// In per cent of a wide drawing and of a narrow one.
    const ROOM: f64 = 11.0;
    const ROOM_NARROW: f64 = 45.0;
    let (mut last, mut last_major) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
    let place = |squeezed: Squeezed| {
        let place = (squeezed.left + squeezed.right) / 2.0;
        let is_major = place - last_major >= ROOM_NARROW;
        let has_room = place - last >= ROOM;
        last = if has_room { place } else { last };
        last_major = if has_room && is_major { place } else { last_major };
        has_room.then_some((place, if is_major { "" } else { " minor" }, squeezed))
    };
    axis.squeezed().filter_map(place).collect()
}

/// How often nothing worked, and for how long in all.
pub fn pauses_words(count: usize, ms: u64) -> String {
    format!("{} of {}", words::plural(count as u64, "pause"), time::duration(ms))
}

/// Returns where nothing worked, as far as that is wide enough to be seen.
fn pauses(axis: &Axis, timeline: &Timeline) -> impl Iterator<Item = (f64, f64)> {
    /// In per cent: a few pixels.
    const SEEN: f64 = 0.25;
    let places = timeline.pauses.iter().map(|pause| (axis.at(pause.from), axis.at(pause.to)));
    places.filter(|(left, right)| right - left >= SEEN)
}

fn pause_words(kind: PauseKind) -> &'static str {
    match kind {
        PauseKind::Form => "form",
        PauseKind::Waited => "waited",
        PauseKind::Idle => "idle",
    }
}

/// Returns the ticks with their words: one that is as late as the one before, in words, says by how much it is later.
fn ticks(axis: &Axis) -> Vec<(f64, String)> {
    let mut named: Option<(u64, String)> = None;
    let tick = |(place, ms): (f64, u64)| {
        let words = time::duration(ms);
        if let Some((since, _)) = named.as_ref().filter(|(_, last)| *last == words) {
            return (place, format!("+{}", time::duration(ms - since)));
        }
        named = Some((ms, words.clone()));
        (place, words)
    };
    axis.ticks().into_iter().map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn each_tick_says_another_time() {
        let late = Axis::new(40_000 * SECOND, 40_080 * SECOND, &[], true).counted_from(0);
        let words: Vec<String> = ticks(&late).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words[..4], ["11 h 06 min", "+10.0 s", "11 h 07 min", "+10.0 s"].map(str::to_owned), "{words:?}");
        assert!((1..words.len()).all(|place| words[place] != words[place - 1]), "{words:?}");
    }
}
