//! `import`: what came of it, for reading.

use crate::cli::output::{sanitize, words};
use crate::domain::event::Mode;
use crate::workspace::Imported;

/// Lines with problems that people are shown; programs get more.
const SHOWN_MAX: usize = 20;

/// Says what is wrong with which line, what tells other things, and what was not taken as it stands.
pub fn problems(imported: &Imported) -> Vec<String> {
    let mut told = Vec::new();
    for at in imported.problems.iter().take(SHOWN_MAX) {
        let problem = &at.problem;
        let field = if problem.field.is_empty() { String::new() } else { format!("`{}` ", problem.field) };
        let text = format!("line {}: {field}{}: {}", at.line, problem.reason, problem.remedy);
        told.push(sanitize::line(&text).into_owned());
    }
    let shown = imported.problems.iter().take(SHOWN_MAX).map(|at| at.line).collect::<std::collections::BTreeSet<_>>().len();
    let rest = imported.failed.saturating_sub(shown as u64);
    if rest > 0 {
        told.push(format!("{} more cannot be imported; `--json` lists up to 200 problems", words::plural(rest, "line")));
    }
    for change in imported.changes.iter().take(SHOWN_MAX) {
        let id = change.foreign.as_ref().map_or_else(String::new, |id| format!(" `{id}`"));
        let text = format!("line {}: run{id} was imported before as {} with other content", change.line, change.run);
        told.push(sanitize::line(&(text + "; nothing was changed")).into_owned());
    }
    for (notice, lines, first) in &imported.notices {
        let text = format!("`{}` {} ({}, first line {first})", notice.field, notice.what, words::plural(*lines, "line"));
        told.push(sanitize::line(&text).into_owned());
    }
    told
}

/// Sums up an import on one line.
pub fn summary(imported: &Imported) -> String {
    let mut parts = vec![format!("{} imported", words::plural(imported.runs, "run"))];
    if imported.runs > 0 {
        let cost = words::cost(imported.cost.0, imported.cost_complete, Mode::Imported);
        parts[0].push_str(&format!(" ({}, {cost})", words::plural(imported.attempts, "attempt")));
    }
    for (count, what) in [
        (imported.already_there, "there already"),
        (imported.changed, "there already with other content"),
        (imported.failed, "with problems"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", words::count(count)));
        }
    }
    format!("{}: {}", words::plural(imported.lines, "line"), parts.join(", "))
}
