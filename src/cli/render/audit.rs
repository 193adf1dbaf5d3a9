//! `audit`: violations as they are found, then what was looked at.

use crate::audit::finding::Violation;
use crate::cli::output::table::{Entry, Fit, Table};
use crate::cli::output::{BAD, FAINT, GOOD, Printer, WARN, sanitize, styled, words};
use crate::workspace::AuditDocument;

/// Shows a violation: position, what, expected and found.
pub fn violation(found: &Violation) -> String {
    let place = match (found.seq, &found.run_id) {
        (Some(seq), Some(run)) => format!("event {seq} of run {run}"),
        (Some(seq), None) => format!("event {seq}"),
        (None, Some(run)) => format!("run {run}"),
        (None, None) => "the log".to_owned(),
    };
    let clean = |text: &str| sanitize::line(text).into_owned();
    let cure = found.cure().map(|command| format!("\n  {command} makes it again from the journal"));
    format!(
        "{}  {}  {place}: {}\n  expected {}\n  found    {}{}",
        styled(BAD, "violated"),
        found.check,
        clean(&found.what),
        clean(&found.expected),
        clean(&found.found),
        cure.unwrap_or_default()
    )
}

/// Shows what was looked at, and whether it holds.
pub fn audit(out: &Printer, document: &AuditDocument) -> String {
    let columns = [
        ("", Fit::Whole),
        ("check", Fit::Words),
        ("checked", Fit::Number),
        ("violations", Fit::Number),
        ("not verifiable", Fit::Number),
    ];
    let mut table = Table::new(out, &columns);
    for tally in &document.checks {
        let (style, word) = match (tally.violations, tally.checked) {
            (0, 0) => (WARN, "?"),
            (0, _) => (GOOD, "ok"),
            _ => (BAD, "violated"),
        };
        let cells: [Entry; 5] = [
            Entry::styled(style, word),
            tally.check.name().into(),
            words::count(tally.checked).into(),
            words::count(tally.violations).into(),
            words::count(tally.not_verifiable).into(),
        ];
        table.row(cells);
    }
    let mut page = table.finish();
    for note in &document.notes {
        page.push_str(&format!("\n{} {}", styled(WARN, "note:"), sanitize::line(note)));
    }
    let scope = match &document.run_id {
        Some(run) => format!("run {run}"),
        None => words::plural(document.runs, "run"),
    };
    let events = words::plural(document.events - document.genesis_events, "event");
    let genesis = if document.genesis_events > 0 { " and the genesis" } else { "" };
    let at = document.position;
    page.push_str(&format!(
        "\n{}",
        styled(FAINT, format!("{events}{genesis}, {scope}; the head at event {at} is {}", document.head))
    ));
    if let Some(seal) = &document.against {
        let signed = document.signed_by.as_ref().map_or_else(|| "not signed".to_owned(), |by| format!("signed by {by}"));
        let held = format!("compared with the seal of event {}, made {}, {}", seal.position, seal.at, sanitize::line(&signed));
        page.push_str(&format!("\n{}", styled(FAINT, held)));
    }
    page.push('\n');
    page.push_str(&if document.sound {
        styled(GOOD, "everything that can be verified is as it was written")
    } else {
        styled(BAD, words::plural(document.violations_total, "violation"))
    });
    page
}
