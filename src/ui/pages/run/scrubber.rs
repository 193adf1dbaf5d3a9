//! The scrubber: a run's events as a track along which the page can be moved. With a script it is dragged and played; without, it is links.

use maud::{Markup, html};

use super::Shown;
use crate::cli::output::{time, words};
use crate::cli::progress::Names;
use crate::cli::render::events;
use crate::ui::element;
use crate::views::timeline::Moment;

/// Marks on the track, at most: the important events first.
const MARKS_MAX: usize = 400;

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
    let elapsed = last.map(|last| {
        let at = last.envelope.occurred_at.unwrap_or(last.envelope.at);
        time::duration(crate::views::millis_between(shown.whole.from, at))
    });
    html! {
        p id="said" class="said" data-part {
            b { @if shown.at.is_some() { "As it was at event " } @else { "Event " } (words::count(step as u64)) }
            " of " (words::count(count as u64))
            @if let Some(elapsed) = elapsed { ", " (elapsed) " after the start" }
            @if let Some(event) = event { br; code { (element::plain(&event).trim_start()) } }
        }
    }
}

fn marks(moments: &[Moment], step: usize, to: &dyn Fn(usize) -> String) -> Markup {
    let steps = moments.len().saturating_sub(1).max(1) as f64;
    let place = |step: usize| format!("{:.2}%", (step as f64 - 1.0).max(0.0) / steps * 100.0);
    let mut chosen: Vec<(usize, &Moment, &'static str, u8)> = moments
        .iter()
        .enumerate()
        .filter_map(|(at, moment)| weight(moment.kind).map(|(class, weight)| (at + 1, moment, class, weight)))
        .collect();
    chosen.sort_by_key(|(_, _, _, weight)| *weight);
    chosen.truncate(MARKS_MAX);
    html! {
        svg class="marks" width="100%" height="18" role="img" aria-label="Milestones along the run" {
            @for (at, moment, class, weight) in chosen {
                a href=(to(at)) data-step=(at) tabindex="-1" aria-hidden="true" {
                    @if weight < 2 {
                        circle class={ "mark m-" (class) @if at > step { " to-come" } } cx=(place(at)) cy="9" r=(if weight == 0 { 5 } else { 4 }) {
                            title { "Event " (at) ": " (moment.kind) }
                        }
                    } @else {
                        line class={ "mark m-" (class) @if at > step { " to-come" } } x1=(place(at)) x2=(place(at)) y1="5" y2="13" {
                            title { "Event " (at) ": " (moment.kind) }
                        }
                    }
                }
            }
        }
    }
}
