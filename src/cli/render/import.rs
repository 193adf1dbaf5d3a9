//! `import`: what came of it, for reading.

use crate::cli::output::{sanitize, words};
use crate::domain::event::Mode;
use crate::workspace::{FoundTranscripts, HistoryImported, Imported, ImportedTranscripts};

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

/// Says what transcripts were found, place by place.
pub fn offer(found: &[FoundTranscripts]) -> Vec<String> {
    let line = |found: &FoundTranscripts| {
        let known = match found.unchanged {
            0 => String::new(),
            known => format!("; {} more did not change since they were imported", words::count(known)),
        };
        let sessions = words::plural(found.sessions.len() as u64, "session");
        let files = words::plural(found.files(), "file");
        let place = found.place.display().to_string();
        format!("{}: {sessions} in {files}, {}, in {}{known}", found.source, size(found.bytes()), sanitize::line(&place))
    };
    found.iter().map(line).collect()
}

/// Writes a size in KiB or MiB.
pub fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes < MIB { format!("{} KiB", words::count(bytes.div_ceil(1024))) } else { format!("{} MiB", words::count(bytes / MIB)) }
}

/// Names what of transcripts was not taken, and whose cost is not known.
pub fn not_taken(imported: &ImportedTranscripts) -> Vec<String> {
    let mut told = Vec::new();
    for (what, count, first) in imported.tally.skipped().chain(imported.tally.left_out()).take(SHOWN_MAX) {
        let place = if first.line == 0 { String::new() } else { format!(", line {}", first.line) };
        let text = format!("{what}: {}, first in {}{place}", words::plural(count, "time"), first.file.display());
        told.push(sanitize::line(&text).into_owned());
    }
    for ((model, why), count) in imported.taken.unpriced.iter().take(SHOWN_MAX) {
        let model = if model.is_empty() { "a model that is not named" } else { model };
        let text = format!("{model}: cost unknown for {}: {why}", words::plural(*count, "model call"));
        told.push(sanitize::line(&text).into_owned());
    }
    if imported.taken.corrected > 0 {
        told.push(format!(
            "{} had been imported in part: tokens and cost are those of the whole now",
            words::plural(imported.taken.corrected, "model call")
        ));
    }
    if imported.taken.unfinished > 0 {
        told.push(format!(
            "{} still being written: the next import takes what comes",
            words::plural(imported.taken.unfinished, "model call")
        ));
    }
    told
}

/// Sums up an import of transcripts on one line.
pub fn transcripts(imported: &ImportedTranscripts) -> String {
    let taken = &imported.taken;
    let mut parts = vec![format!("{} imported", words::plural(imported.sessions, "session"))];
    for (count, what) in [
        (imported.grown, "grown"),
        (imported.already_there, "there already"),
        (imported.empty, "with nothing to take"),
        (imported.forgotten, "forgotten here"),
        (imported.cut, "incomplete"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", words::count(count)));
        }
    }
    if taken.calls > 0 {
        let cost = words::cost(taken.cost.0, taken.unpriced.is_empty(), Mode::Imported);
        parts.push(format!(
            "{}, {}, {} tokens, {cost}",
            words::plural(taken.exchanges, "exchange"),
            words::plural(taken.calls, "model call"),
            words::count(taken.usage.total_input().saturating_add(taken.usage.output)),
        ));
    }
    parts.join(", ")
}

/// Names each file or line that was not taken, what was taken but not as it stands, and whose cost is not known.
pub fn history_notices(imported: &HistoryImported) -> Vec<String> {
    let mut told = Vec::new();
    for skip in imported.skipped.named.iter().take(SHOWN_MAX) {
        let place = if skip.line == 0 { String::new() } else { format!(", line {}", skip.line) };
        told.push(sanitize::line(&format!("{}{place}: {}", skip.path.display(), skip.why)).into_owned());
    }
    let rest = imported.skipped.total.saturating_sub(SHOWN_MAX as u64);
    if rest > 0 {
        told.push(format!("{} more were skipped; `--json` lists up to 200", words::count(rest)));
    }
    for (what, count) in &imported.notices {
        told.push(sanitize::line(&format!("{what} ({})", words::plural(*count, "time"))).into_owned());
    }
    for ((model, why), calls) in imported.sums.unpriced.iter().take(SHOWN_MAX) {
        let text = format!("{model}: cost unknown for {}: {why}", words::plural(*calls, "model call"));
        told.push(sanitize::line(&text).into_owned());
    }
    for template in imported.templates.iter().take(SHOWN_MAX) {
        let file = template.display();
        told.push(sanitize::line(&format!("{file}: a template; `meno template add FILE` takes it in")).into_owned());
    }
    told
}

/// Sums up an import of another system's files on one line.
pub fn history(imported: &HistoryImported) -> String {
    let HistoryImported { sums, .. } = imported;
    let mut parts = vec![format!("{} imported", words::plural(imported.runs, "run"))];
    for (count, what) in [
        (imported.simulated, "simulated"),
        (imported.already_there, "there already"),
        (imported.changed, "there already with other content"),
        (imported.skipped.total, "skipped"),
    ] {
        if count > 0 {
            parts.push(format!("{} {what}", words::count(count)));
        }
    }
    if imported.runs > 0 {
        let complete = sums.unpriced.is_empty() && imported.costless == 0;
        parts.push(words::plural(imported.agents, "agent"));
        if sums.calls > 0 {
            let tokens = sums.usage.total_input().saturating_add(sums.usage.output);
            parts.push(format!("{}, {} tokens", words::plural(sums.calls, "model call"), words::count(tokens)));
        }
        if imported.simulated < imported.runs {
            parts.push(words::cost(sums.cost.0, complete, Mode::Imported));
        }
        if imported.simulated > 0 {
            parts.push(words::cost(imported.simulated_cost.0, complete, Mode::Simulated));
        }
    }
    parts.join(", ")
}
