//! What a search found: a line for each run with the part that says why.

use crate::cli::output::sanitize;
use crate::cli::output::table::{Entry, Fit, Table};
use crate::cli::output::{BAD, FAINT, GOOD, HEADING, Out, styled, time, words};
use crate::domain::event::Mode;
use crate::workspace::{Found, HitDocument, Suggested};

/// Says what was understood, and what was left out; with `explain`, how it could be typed.
pub fn understood(found: &Found, explain: bool) -> String {
    let mut line = sanitize::line(&found.understood.line).into_owned();
    let dropped: Vec<String> = found
        .understood
        .filters
        .iter()
        .filter(|filter| filter.dropped)
        .map(|filter| format!("`{}`", sanitize::line(&filter.words)))
        .collect();
    if !dropped.is_empty() {
        line.push_str(&format!("\nleft out {}: nothing would have been found", dropped.join(", ")));
    }
    for phrase in &found.understood.loosened {
        line.push_str(&format!("\n\"{}\" occurs nowhere as it stands: its words are searched", sanitize::line(phrase)));
    }
    if explain {
        for filter in &found.understood.filters {
            let origin = if filter.origin == "words" { "from words" } else { "typed" };
            let dropped = if filter.dropped { ", left out" } else { "" };
            line.push_str(&format!("\nfilter: {} ({origin}{dropped})", sanitize::line(&filter.typed)));
        }
        if let Some(order) = &found.understood.order {
            line.push_str(&format!("\norder: {} (--sort {})", order.words, order.sort));
        }
        if found.understood.filters_alone {
            line.push_str("\nnothing else is asked: every run that passes is listed");
        }
    }
    line
}

/// Shows the hits. `all` are the ids of all runs of the store, so that a shortened one names one run only.
pub fn hits(out: &Out, found: &Found, all: &[&str], explain: bool) -> String {
    let ids: Vec<&str> = found.hits.iter().map(|hit| hit.run_id.as_str()).collect();
    let shown = if out.width().is_some() { words::unique_suffixes(&ids, all) } else { ids };
    let mut columns = vec![
        ("#", Fit::Number),
        ("run", Fit::Whole),
        ("started", Fit::Whole),
        ("outcome", Fit::Whole),
        ("cost", Fit::Number),
        ("found by", Fit::Whole),
    ];
    if explain {
        columns.extend([("score", Fit::Number), ("BM25", Fit::Number), ("share", Fit::Number), ("cosine", Fit::Number)]);
    }
    columns.push(("what", Fit::Words));
    let mut table = Table::new(out, &columns);
    for (hit, id) in found.hits.iter().zip(shown) {
        let started =
            time::nanoseconds(&hit.started_at).map_or_else(|| hit.started_at.clone(), |at| time::minute(at, out.zone()));
        let style = match hit.status.as_str() {
            "succeeded" => GOOD,
            "failed" => BAD,
            _ => FAINT,
        };
        let mut row = vec![
            Entry::from(hit.rank),
            Entry::from(id),
            Entry::from(started),
            Entry::styled(style, outcome(hit)),
            Entry::from(words::cost(u64::try_from(hit.cost_nusd).unwrap_or(0), hit.cost_complete, mode(&hit.mode))),
            Entry::from(found_by(hit, explain)),
        ];
        if explain {
            let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
            row.extend([number(Some(hit.score)), number(hit.bm25), number(Some(hit.share)), number(hit.cosine)].map(Entry::from));
        }
        let of = hit.node.as_deref().map_or_else(String::new, |node| format!(" (of log {})", words::id_end(node)));
        row.push(Entry::from(format!("{}{of}: {}", hit.title, hit.snippet)));
        table.row(row);
    }
    table.finish()
}

/// Shows templates that fit.
pub fn suggested(out: &Out, suggested: &Suggested) -> String {
    let columns = [("template", Fit::Whole), ("confidence", Fit::Number), ("runs", Fit::Number), ("why", Fit::Words)];
    let mut table = Table::new(out, &columns);
    for template in &suggested.templates {
        table.row([
            Entry::from(template.template_id.as_str()),
            Entry::from(format!("{:.0} %", template.confidence * 100.0)),
            Entry::from(template.runs),
            Entry::from(template.because.as_str()),
        ]);
    }
    let first = suggested.templates.first().map_or("", |template| template.template_id.as_str());
    format!("{}\n\n{}", table.finish(), styled(HEADING, format!("meno run {first}")))
}

fn outcome(hit: &HitDocument) -> String {
    let verified = if hit.status == "succeeded" && !hit.verified { ", unverified" } else { "" };
    let mode = if hit.mode == "real" { String::new() } else { format!(", {}", hit.mode) };
    format!("{}{verified}{mode}", hit.status)
}

fn found_by(hit: &HitDocument, explain: bool) -> String {
    let side = |name: &str, rank: Option<u32>| rank.map(|rank| if explain { format!("{name} {rank}") } else { name.to_owned() });
    let sides: Vec<String> =
        [side("words", hit.lexical_rank), side("meaning", hit.semantic_rank)].into_iter().flatten().collect();
    let sides = if sides.is_empty() { "filters".to_owned() } else { sides.join(" + ") };
    if hit.weak { format!("{sides}, weak") } else { sides }
}

fn mode(name: &str) -> Mode {
    match name {
        "simulated" => Mode::Simulated,
        "imported" => Mode::Imported,
        _ => Mode::Real,
    }
}
