//! How a run ended or stands, in words: "failed", "ran successfully", "waiting for input", "simulated", "escalated".

use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;
use crate::views::status::RunStatus;

use super::amounts::{any_phrase, w};
use super::filter::{Bounds, FilterTest, Outcome};
use super::negation;
use super::phrase::{Need, PhraseMatch};
use super::scan::Word;

/// The states and what people call them; `true` for those that may stand before a noun.
const STATES: &[(&str, &[RunStatus], bool)] = &[
    ("ended in failure", &[RunStatus::Failed], false),
    ("ended with failure", &[RunStatus::Failed], false),
    ("ran successfully", &[RunStatus::Succeeded], false),
    ("completed successfully", &[RunStatus::Succeeded], false),
    ("finished successfully", &[RunStatus::Succeeded], false),
    ("ended successfully", &[RunStatus::Succeeded], false),
    ("successfully completed", &[RunStatus::Succeeded], true),
    ("successfully finished", &[RunStatus::Succeeded], true),
    ("ended in success", &[RunStatus::Succeeded], false),
    ("ended well", &[RunStatus::Succeeded], false),
    ("ended badly", &[RunStatus::Failed], false),
    ("without success", &[RunStatus::Failed], false),
    ("failed", &[RunStatus::Failed], true),
    ("failing", &[RunStatus::Failed], true),
    ("unsuccessful", &[RunStatus::Failed], true),
    ("unsuccessfully", &[RunStatus::Failed], false),
    ("fail", &[RunStatus::Failed], false),
    ("fails", &[RunStatus::Failed], false),
    ("failures", &[RunStatus::Failed], false),
    ("succeeded", &[RunStatus::Succeeded], true),
    ("successful", &[RunStatus::Succeeded], true),
    ("succeed", &[RunStatus::Succeeded], false),
    ("succeeds", &[RunStatus::Succeeded], false),
    ("succeeding", &[RunStatus::Succeeded], false),
    ("successes", &[RunStatus::Succeeded], false),
    ("passed", &[RunStatus::Succeeded], true),
    ("passing", &[RunStatus::Succeeded], true),
    ("pass", &[RunStatus::Succeeded], false),
    ("worked", &[RunStatus::Succeeded], false),
    ("cancelled", &[RunStatus::Cancelled], true),
    ("canceled", &[RunStatus::Cancelled], true),
    ("aborted", &[RunStatus::Cancelled], true),
    ("cancellations", &[RunStatus::Cancelled], false),
    ("suspended", &[RunStatus::Suspended], true),
    ("paused", &[RunStatus::Suspended], true),
    ("interrupted", &[RunStatus::Interrupted], true),
    ("still running", &[RunStatus::Running], true),
    ("currently running", &[RunStatus::Running], true),
    ("running", &[RunStatus::Running], true),
    ("in progress", &[RunStatus::Running], true),
    ("ongoing", &[RunStatus::Running], true),
    ("waiting for input", &[RunStatus::AwaitingInput], true),
    ("waiting for approval", &[RunStatus::AwaitingInput], true),
    ("waiting for me", &[RunStatus::AwaitingInput], false),
    ("waiting for an answer", &[RunStatus::AwaitingInput], false),
    ("awaiting input", &[RunStatus::AwaitingInput], true),
    ("awaiting approval", &[RunStatus::AwaitingInput], true),
    ("awaiting_input", &[RunStatus::AwaitingInput], true),
    ("waiting", &[RunStatus::AwaitingInput], true),
    ("unfinished", UNFINISHED, true),
    ("incomplete", UNFINISHED, true),
    ("finished", ENDED, true),
    ("completed", ENDED, true),
    ("finish", ENDED, false),
    ("complete", ENDED, false),
    ("ended", ENDED, true),
];
const UNFINISHED: &[RunStatus] = &[RunStatus::Running, RunStatus::AwaitingInput, RunStatus::Suspended, RunStatus::Interrupted];
const ENDED: &[RunStatus] = &[RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];

/// Tells whether a state, mode or the like stands at `at`.
pub fn is_state(words: &[Word], at: usize) -> bool {
    state(words, at).is_some()
}

/// Reads a state, mode, or whether it escalated.
pub fn state(words: &[Word], at: usize) -> Option<PhraseMatch> {
    let found = |to: usize, test: FilterTest, adjective: bool| Some(PhraseMatch::new(at, to, test, Need::Attached { adjective }));
    if let Some(noun) = noun(words, at) {
        return Some(noun);
    }
    // "non-simulated", "non-failed", "unsimulated"
    if let Some(rest) =
        w(words, at).strip_prefix("non-").or_else(|| w(words, at).strip_prefix("un").filter(|rest| *rest == "simulated"))
        && let Some(word) = words.get(at)
    {
        let plain = [Word { text: rest.to_owned(), ..word.clone() }];
        return state(&plain, 0).map(|found| PhraseMatch { from: at, to: at + 1, negated: !found.negated, ..found });
    }
    for (text, states, adjective) in STATES {
        if let Some(to) = any_phrase(words, at, &[text]) {
            return found(to, FilterTest::Status(states.iter().map(|status| Outcome::Is(*status)).collect()), *adjective);
        }
    }
    if let Some(next) = any_phrase(words, at, &["status is", "status was", "status =", "status", "outcome"])
        && let Some(state) = state(words, next).filter(|state| matches!(state.test(), Some(FilterTest::Status(_))))
    {
        return Some(PhraseMatch { from: at, need: Need::Context, ..state });
    }
    let modes = [("in real mode", Mode::Real), ("in simulated mode", Mode::Simulated), ("in simulation", Mode::Simulated)];
    if let Some((to, mode)) = modes.iter().find_map(|(text, mode)| any_phrase(words, at, &[text]).map(|to| (to, *mode))) {
        return Some(PhraseMatch::new(at, to, FilterTest::Mode(vec![mode]), Need::Context));
    }
    match w(words, at) {
        "verified" => found(at + 1, FilterTest::Status(vec![Outcome::Verified]), true),
        "unverified" => found(at + 1, FilterTest::Status(vec![Outcome::Unverified]), true),
        "simulated" => found(at + 1, FilterTest::Mode(vec![Mode::Simulated]), true),
        "imported" => found(at + 1, FilterTest::Mode(vec![Mode::Imported]), true),
        "real" => found(at + 1, FilterTest::Mode(vec![Mode::Real]), true),
        "escalated" | "escalating" => found(at + 1, FilterTest::Escalated(true), true),
        "escalate" | "escalates" | "climbed" => found(at + 1, FilterTest::Escalated(true), false),
        "non-escalated" | "unescalated" => found(at + 1, FilterTest::Escalated(false), true),
        "free" => found(at + 1, FilterTest::Cost(Bounds::exactly(NanoUsd(0))), true),
        _ => None,
    }
}

/// Tells whether a phrase of one word is a noun that a run has or lacks.
pub fn is_noun(words: &[Word], found: &PhraseMatch) -> bool {
    found.to == found.from + 1 && noun(words, found.from).is_some()
}

/// Reads a noun that a run has or lacks: "without failures", "with escalations", "no simulations".
fn noun(words: &[Word], at: usize) -> Option<PhraseMatch> {
    let test = match w(words, at) {
        "failures" | "failure" | "failing" => FilterTest::Status(vec![Outcome::Is(RunStatus::Failed)]),
        "successes" | "success" => FilterTest::Status(vec![Outcome::Is(RunStatus::Succeeded)]),
        "cancellations" | "cancellation" => FilterTest::Status(vec![Outcome::Is(RunStatus::Cancelled)]),
        "interruptions" | "interruption" => FilterTest::Status(vec![Outcome::Is(RunStatus::Interrupted)]),
        "verification" => FilterTest::Status(vec![Outcome::Verified]),
        "simulations" | "simulation" => FilterTest::Mode(vec![Mode::Simulated]),
        "escalations" | "escalation" | "escalating" => FilterTest::Escalated(true),
        _ => return None,
    };
    let articles = (1..=2).take_while(|back| {
        at.checked_sub(*back).is_some_and(|before| matches!(w(words, before), "a" | "an" | "any" | "single" | "some"))
    });
    let lead = at - articles.count();
    let before = lead.checked_sub(1).map_or("", |before| w(words, before));
    // "without failures or escalations"
    let listed = matches!(before, "or" | "and" | "nor") && lead.checked_sub(2).is_some_and(|other| noun(words, other).is_some());
    let adverb = !w(words, at).ends_with("ing");
    let lacks = negation::ends_at(words, lead).is_some() && (adverb || before == "without");
    let has = adverb && matches!(before, "with" | "had" | "have" | "having");
    (lacks || has || listed).then(|| PhraseMatch::new(at, at + 1, test, Need::Context))
}
