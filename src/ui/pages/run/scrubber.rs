//! The scrubber: a run's events as a track along which the page can be moved. With a script it is dragged and played; without, it is links.

use maud::{Markup, html};

use super::Shown;
use crate::cli::output::{time, words};
use crate::cli::progress::Names;
use crate::cli::render::events;
use crate::domain::event::Recorded;
use crate::ui::element;
use crate::views::timeline::Moment;

/// Places for marks along the track: of several events at one place the most important one is drawn.
const PLACES: usize = 120;
/// Characters of an event that are shown.
const EVENT_CHARS_MAX: usize = 1_000;

/// What a kind of event is to somebody who looks for a place in a run: a class for its mark and how much it matters.
fn weight(kind: &str) -> Option<(&'static str, u8)> {
    Some(match kind {
        "TierEscalated" => ("climb", 0),
        "ApprovalAsked" | "ApprovalGiven" | "RunSuspended" | "RunResumed" => ("wait", 0),
        "AgentFailed" | "RunFailed" | "RunCancelled" => ("bad", 0),
        "AgentSucceeded" | "RunSucceeded" => ("good", 1),
        "AttemptStarted" | "AttemptImported" | "AttemptInherited" => ("start", 2),
        "CallFailed" | "RequestRetried" | "CallLost" => ("bad", 2),
        _ => return None,
    })
}

/// Draws the scrubber.
pub(super) fn scrubber(shown: &Shown<'_>) -> Markup {
    let moments = &shown.whole.moments;
    let (count, step) = (moments.len(), shown.story.until);
    let to = |step: usize| match moments.get(step.saturating_sub(1)) {
        // The last step is the run as it is, which goes on by itself.
        Some(moment) if step < count => shown.link("at", Some(&moment.seq.to_string())),
        _ => shown.link("at", None),
    };
    let is_mark = |moment: &&Moment| weight(moment.kind).is_some_and(|(_, weight)| weight < 2);
    let mark_before = moments[..step.saturating_sub(1)].iter().rposition(|moment| is_mark(&moment)).map(|place| place + 1);
    let mark_after = moments[step.min(count)..].iter().position(|moment| is_mark(&moment)).map(|place| step + place + 1);
    let button = |target: Option<usize>, sign: &str, name: &str, id: &str| {
        html! {
            @match target {
                Some(step) => a class="button" id=(id) href=(to(step)) data-step=(step) aria-label=(name) title=(name) { (sign) },
                None => span class="button off" aria-hidden="true" { (sign) },
            }
        }
    };
    html! {
        form class="card scrubber" id="scrubber" action={ "/runs/" (shown.detail.run_id) } data-steps=(count) {
            div class="track" {
                div id="marks" data-part { (marks(moments, step, &to)) }
                input type="range" name="step" min="1" max=(count) value=(step) aria-label="Event of the run" autocomplete="off";
            }
            @for name in ["by", "calls", "waits", "sel", "z", "part"] {
                @if let Some(value) = shown.request.query.get(name) { input type="hidden" name=(name) value=(value); }
            }
            div class="actions" {
                div id="steps" class="actions" data-part {
                    (button((step > 1).then_some(1), "|◂", "First event", "step-first"))
                    (button(mark_before, "◂◂", "Milestone before", "step-mark-before"))
                    (button((step > 1).then(|| step - 1), "◂", "Event before", "step-before"))
                    (button((step < count).then_some(step + 1), "▸", "Next event", "step-after"))
                    (button(mark_after, "▸▸", "Next milestone", "step-mark-after"))
                    (button((step < count).then_some(count), "▸|", "As it is now", "step-last"))
                }
                button type="button" id="play" hidden { "▶ Play" }
                button type="submit" id="go" { "Go" }
                (said(shown))
            }
        }
    }
}

/// Says where in the run the page is, and what happened there.
fn said(shown: &Shown<'_>) -> Markup {
    let (step, count) = (shown.story.until, shown.whole.moments.len());
    let last = shown.story.told().last();
    let event = last.map(|recorded| {
        let mut names = Names::default();
        shown.story.told().iter().for_each(|recorded| names.learn(recorded));
        events::event(recorded, &mut names, &shown.ui.zone)
    });
    // When an import wrote an event down says nothing of the run.
    let is_of_run = |last: &&Recorded| shown.detail.source.is_none() || last.envelope.occurred_at.is_some();
    let elapsed = last.filter(is_of_run).map(|last| {
        let at = last.envelope.occurred_at.unwrap_or(last.envelope.at);
        time::duration(crate::views::millis_between(shown.whole.from, at))
    });
    html! {
        p id="said" class="said" data-part {
            b { @if shown.at.is_some() { "As it was at event " } @else { "Event " } (words::count(step as u64)) }
            " of " (words::count(count as u64))
            @if let Some(elapsed) = elapsed { ", " (elapsed) " after the start" }
            @if let Some(event) = event { br; code { (element::plain(&event).trim_start().chars().take(EVENT_CHARS_MAX).collect::<String>()) } }
        }
    }
}

/// What stands at one place of the track.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Mark {
    /// The event, by its number in the run.
    step: usize,
    kind: &'static str,
    class: &'static str,
    weight: u8,
    /// Other events at the same place.
    others: usize,
}

/// Returns one mark for each place of the track at which something happened, from left to right.
fn places(moments: &[Moment]) -> Vec<Mark> {
    let mut marks: Vec<Option<Mark>> = vec![None; PLACES];
    for (at, moment) in moments.iter().enumerate() {
        let Some((class, weight)) = weight(moment.kind) else { continue };
        let held = &mut marks[at * PLACES / moments.len()];
        let others = held.map_or(0, |held| held.others + 1);
        let first = held.filter(|held| held.weight <= weight);
        *held = Some(Mark { others, ..first.unwrap_or(Mark { step: at + 1, kind: moment.kind, class, weight, others }) });
    }
    marks.into_iter().flatten().collect()
}

/// Draws the marks, for who points at them: the buttons beside the track lead to the same places.
fn marks(moments: &[Moment], step: usize, to: &dyn Fn(usize) -> String) -> Markup {
    let steps = moments.len().saturating_sub(1).max(1) as f64;
    let place = |step: usize| format!("{:.1}%", (step as f64 - 1.0).max(0.0) / steps * 100.0);
    html! {
        svg class="marks" width="100%" height="18" aria-hidden="true" {
            @for Mark { step: at, kind, class, weight, others } in places(moments) {
                a href=(to(at)) data-step=(at) tabindex="-1" {
                    @let class = format!("mark m-{class}{}", if at > step { " to-come" } else { "" });
                    @if weight < 2 { circle class=(class) cx=(place(at)) cy="9" r=(if weight == 0 { 5 } else { 4 }) { (title(at, kind, others)) } }
                    @else { line class=(class) x1=(place(at)) x2=(place(at)) y1="5" y2="13" { (title(at, kind, others)) } }
                }
            }
        }
    }
}

fn title(step: usize, kind: &str, others: usize) -> Markup {
    html! { title { "Event " (words::count(step as u64)) ": " (kind) @if others > 0 { ", and " (words::count(others as u64)) " more here" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_few_marks_and_every_important_event_is_at_one_of_them() {
        let moment = |seq: u64| {
            let kind = if seq % 400 == 399 { "TierEscalated" } else { "AttemptStarted" };
            Moment { seq, at: 0, kind, agent: None }
        };
        let moments: Vec<Moment> = (0..10_000).map(moment).collect();
        let marks = places(&moments);
        assert_eq!((marks.len(), marks.iter().map(|mark| mark.others + 1).sum::<usize>()), (PLACES, moments.len()));
        let important: Vec<usize> = marks.iter().filter(|mark| mark.weight == 0).map(|mark| mark.step).collect();
        assert_eq!(important, (1..=25).map(|number| number * 400).collect::<Vec<_>>());
        let drawn = super::marks(&moments, 1, &|step| format!("?at={step}")).into_string();
        assert!(drawn.len() < 25_000, "{} bytes", drawn.len());
        assert!(places(&[]).is_empty());
    }
}
