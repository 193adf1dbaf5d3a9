//! `replay --verify`: the first event of a run that does not follow from what was recorded, and how much does.

use crate::audit::replay::{Difference, Verification};
use crate::cli::output::{BAD, FAINT, GOOD, WARN, sanitize, styled, words};
use crate::workspace::ReplayDocument;

/// Shows where a run's record and what follows from it part.
pub fn difference(run: &str, found: &Difference) -> String {
    let clean = |text: &str| sanitize::line(text).into_owned();
    format!(
        "{}  run {run}, event {} ({}, {} of the run): {}\n  recorded {}\n  derived  {}\n  cause    {}: {}",
        styled(BAD, "differs"),
        found.seq,
        clean(&found.kind),
        found.version,
        clean(&found.field),
        clean(&found.recorded),
        clean(&found.derived),
        found.cause,
        clean(&found.because)
    )
}

/// Says of a run that nothing differs.
pub fn agreement(run: &Verification) -> String {
    let gone = if run.not_verifiable > 0 { format!(", {} not verifiable", run.not_verifiable) } else { String::new() };
    let early = if run.incomplete { ", and then the events end too early" } else { "" };
    format!("run {}: {} follow from {}{gone}{early}", run.run_id, words::count(run.verified), words::plural(run.inputs, "input"))
}

/// Shows how the comparison of all runs went.
pub fn summary(document: &ReplayDocument) -> String {
    let counts = format!(
        "{}, {}: {}, {} derived from them and found equal, {} not verifiable",
        words::plural(document.runs, "run"),
        words::plural(document.events, "event"),
        words::plural(document.inputs, "input"),
        words::count(document.verified),
        words::count(document.not_verifiable)
    );
    let mut counts = styled(FAINT, counts).to_string();
    if document.locked > 0 {
        let runs = words::plural(document.locked, "run");
        counts += &format!("\n{}", styled(WARN, format!("{runs} with encrypted texts, whose key is not available")));
    }
    if document.incomplete > 0 {
        let runs = words::plural(document.incomplete, "run");
        counts += &format!("\n{}", styled(WARN, format!("{runs} incomplete: the events end too early; save them again")));
    }
    let verdict = if document.is_void() {
        styled(BAD, "nothing could be verified: the texts that decisions were made from are not there")
    } else if document.sound {
        styled(GOOD, "every decision that can be repeated comes out as recorded")
    } else {
        styled(BAD, format!("{} with a decision that comes out differently", words::plural(document.differing, "run")))
    };
    format!("{counts}\n{verdict}")
}
