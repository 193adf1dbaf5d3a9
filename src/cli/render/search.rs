//! What a search found: a line for each run with the part that says why.

use crate::cli::output::sanitize;
use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{BAD, FAINT, GOOD, HEADING, Printer, styled, time, words};
use crate::domain::event::Mode;
use crate::workspace::{HitDocument, SearchResponse, Suggested};

/// Says what was understood, and what was left out; with `explain`, how it could be typed.
pub fn understood(found: &SearchResponse, explain: bool) -> String {
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
pub fn hits(out: &Printer, found: &SearchResponse, all: &[&str], explain: bool) -> String {
    let ids: Vec<&str> = found.hits.iter().map(|hit| hit.run_id.as_str()).collect();
    let short_ids = words::unique_suffixes(&ids, all);
    let moments: Vec<_> = found.hits.iter().map(|hit| time::nanoseconds(&hit.started_at)).collect();
    let (short_times, note) = time::short_list(&moments, out.zone());
    // Who asks for scores sees them first.
    let rank = |rank| if explain { rank + 4 } else { rank };
    let mut columns = vec![
        Column::new("#", Fit::Number),
        Column::new("run", Fit::Whole),
        Column::new("started", Fit::Whole).optional(rank(1)),
        Column::new("outcome", Fit::Words),
        Column::new("cost", Fit::Number).optional(rank(2)),
        Column::new("mode", Fit::Whole).once().optional(rank(3)),
        Column::new("found by", Fit::Words).optional(4),
    ];
    if explain {
        columns.extend(["score", "BM25", "share", "cosine"].map(|name| Column::new(name, Fit::Number).optional(3)));
    }
    columns.push(Column::new("what", Fit::Below));
    let mut table = Table::new(out, &columns);
    table.short_note(note);
    for (((hit, short_id), at), short_time) in found.hits.iter().zip(short_ids).zip(moments).zip(short_times) {
        let started = at.map_or_else(|| hit.started_at.clone(), |at| time::moment(at, out.zone()));
        let style = match hit.status.as_str() {
            "succeeded" => GOOD,
            "failed" => BAD,
            _ => FAINT,
        };
        let mut row = vec![
            Entry::from(hit.rank),
            Entry::from(hit.run_id.as_str()).short(short_id),
            Entry::from(started).short(short_time.unwrap_or_default()),
            Entry::styled(style, outcome(hit)),
            // The column `mode` says what kind of money it is.
            Entry::from(words::cost(u64::try_from(hit.cost_nusd).unwrap_or(0), hit.cost_complete, Mode::Real)),
            Entry::from(hit.mode.as_str()),
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
pub fn suggested(out: &Printer, suggested: &Suggested) -> String {
    let columns = [
        Column::new("template", Fit::Words),
        Column::new("confidence", Fit::Number),
        Column::new("runs", Fit::Number).optional(1),
        Column::new("why", Fit::Below),
    ];
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
    format!("{}{verified}", hit.status)
}

fn found_by(hit: &HitDocument, explain: bool) -> String {
    let side = |name: &str, rank: Option<u32>| rank.map(|rank| if explain { format!("{name} {rank}") } else { name.to_owned() });
    let sides: Vec<String> =
        [side("words", hit.lexical_rank), side("meaning", hit.semantic_rank)].into_iter().flatten().collect();
    let sides = if sides.is_empty() { "filters".to_owned() } else { sides.join(" + ") };
    if hit.weak { format!("{sides}, weak") } else { sides }
}
