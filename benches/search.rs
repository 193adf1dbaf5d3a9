//! How long a question takes when the index is open already, at ten thousand, a hundred thousand and, when asked to, a million documents.
//!
//! Documents are made of words of a small vocabulary; their vectors are made up around a few centres, because embedding a million
//! texts would take hours. What is measured is therefore how long search takes, not how good it is. The question's own vector is
//! real: the model is asked for it each time.
//!
//! With `quality` it measures how good search is instead: on collections as `meno bench search` does, and on the same texts imported as runs
//! and asked as `meno search` does.

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use meno::internals::memory::{
    Appender, Collection, Document, DocumentTest, Embedder, Facts, IndexDir, Kind, NumberFact, OpenIndex, Question, Seen, Sides,
    WordFact, passages,
};
use meno::internals::workspace::{bench_search, import_runs, reindex, search_here};
use meno::{SearchRequest, Workspace};

use support::Result;
use support::numbers::{Table, ms, percentile, timed, verdict};
use support::stores::{Scratch, resident};

const WORDS: [&str; 48] = [
    "release",
    "build",
    "wheel",
    "linker",
    "coverage",
    "audit",
    "secret",
    "token",
    "rotation",
    "certificate",
    "expired",
    "database",
    "pool",
    "timeout",
    "retry",
    "backoff",
    "schema",
    "migration",
    "index",
    "query",
    "slow",
    "cache",
    "eviction",
    "memory",
    "leak",
    "thread",
    "deadlock",
    "flaky",
    "test",
    "fixture",
    "snapshot",
    "review",
    "paper",
    "method",
    "sample",
    "bias",
    "incident",
    "pager",
    "alarm",
    "rollback",
    "deploy",
    "canary",
    "feature",
    "flag",
    "document",
    "diagram",
    "translation",
    "license",
];
const QUESTIONS: [&str; 8] = [
    "why was the release rolled back after the migration",
    "flaky tests that leaked memory",
    "expired certificate incident",
    "slow query without an index",
    "license review of a paper",
    "deadlock between threads in the pool",
    "secret token rotation failed",
    "who was paged about the canary",
];
const ROUNDS: usize = 25;
/// Of a question through a warm index at a hundred thousand documents, in seconds.
const BAR_P50: f64 = 0.015;
const BAR_P99: f64 = 0.060;

/// Collections with the nDCG@10 that is asked of them; what is not here is skipped with a line.
const COLLECTIONS: [(&str, f64); 4] = [
    ("tests/collections/runs", 0.88),
    ("tests/collections/paraphrases", 0.0),
    ("tests/collections/long_questions", 0.0),
    ("../shared/data/search/cranfield", 0.437),
];
/// How much one side alone may be better than both.
const TOLERANCE: f64 = 0.005;

fn main() -> Result<()> {
    if std::env::args().any(|word| word == "quality") {
        return quality();
    }
    let mut sizes = vec![10_000, 100_000];
    if std::env::args().any(|word| word == "million") {
        sizes.push(1_000_000);
    }
    let embedder = Embedder::builtin().with_workers(1);
    let (first, _) = timed(|| embedder.query("load the model"));
    let queries: Vec<f64> = (0..40).map(|_| timed(|| embedder.query(QUESTIONS[0])).0).collect();
    println!("The model: loaded in {}, a question embedded in {} (p50)", ms(first), ms(percentile(&queries, 0.5)));
    for size in sizes {
        measure(size, &embedder)?;
    }
    Ok(())
}

fn quality() -> Result<()> {
    let scratch = Scratch::new("quality")?;
    let mut table = Table::new(["collection", "lexical", "semantic", "hybrid", "imported and asked by search", "bar", "reached"]);
    for (folder, bar) in COLLECTIONS {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        if !dir.is_dir() {
            println!("skipped: {folder} is not here");
            continue;
        }
        let name = folder.rsplit('/').next().unwrap_or(folder);
        let workspace = Workspace::at(&scratch.path(name), None)?;
        let quality = bench_search(&workspace, &dir, &|_, _| true)?;
        let of = |mode: &str| quality.modes.iter().find(|measured| measured.mode == mode).map_or(0.0, |one| one.ndcg_at_10);
        let (lexical, semantic, hybrid) = (of("lexical"), of("semantic"), of("hybrid"));

        let collection = Collection::read(&dir, &|_| Ok(Vec::new()))?;
        let histories = dir.join("histories.jsonl");
        let runs = if histories.is_file() { std::fs::read_to_string(histories)? } else { collection.as_runs() };
        import_runs(&workspace, &runs)?;
        reindex(&workspace, Duration::from_secs(60))?;
        let mut own: HashMap<String, String> = HashMap::new();
        for line in workspace.runs().list(&Default::default(), Default::default(), None)?.runs {
            let id = line.run_id.parse().map_err(|_| "the id of a run cannot be read")?;
            own.extend(workspace.runs().detail(id)?.foreign_run_id.map(|own| (line.run_id, own)));
        }
        let searched = collection.ndcg_of(&mut |query| {
            let found = search_here(&workspace, &SearchRequest::new(query));
            let hits = found.map(|found| found.hits).unwrap_or_default();
            hits.iter().filter_map(|hit| own.get(&hit.run_id).cloned()).collect()
        });
        let bar = bar.max(lexical.max(semantic) - TOLERANCE);
        let shown = |number: f64| format!("{number:.3}");
        table.row([
            name.to_owned(),
            shown(lexical),
            shown(semantic),
            shown(hybrid),
            shown(searched),
            format!(">= {}", shown(bar)),
            verdict(hybrid.min(searched), bar, true),
        ]);
    }
    table.print("nDCG@10");
    Ok(())
}

fn measure(size: usize, embedder: &Embedder) -> Result<()> {
    let scratch = Scratch::new("search")?;
    let place = IndexDir::new(scratch.path("index"));
    let documents: Vec<Document> = (0..size).map(document).collect();
    let hold = place.hold()?.ok_or("the folder is in use")?;
    let (filled, done) = timed(|| hold.fill(&documents, &Seen::default()));
    done?;
    let mut appender = Appender::open(&place.vectors_dir(embedder.id()), embedder.dims())?;
    for chunk in documents.chunks(4096) {
        let texts = chunk.iter().flat_map(|document| passages::embedded(&document.body));
        let rows = texts.map(|text| passages::key(&text)).map(|key| (key, vector(key, embedder.dims())));
        appender.append(&rows.collect::<Vec<_>>())?;
    }
    drop((documents, hold));
    let (cold, opened) = timed(|| {
        let mut opened = OpenIndex::open(&place, embedder)?;
        opened.refresh(&place, embedder).ok()?;
        Some(opened)
    });
    let opened = opened.ok_or("the index cannot be opened")?;
    println!("{size} documents: indexed at {:.0}/s, opened in {}", size as f64 / filled, ms(cold));
    let mut table = Table::new(["question", "p50", "p99", "bar p50", "bar p99"]);
    let failed = vec![
        DocumentTest::Is(WordFact::Status, vec!["failed".to_owned()]),
        DocumentTest::Within(NumberFact::Cost, Some(500_000_000), None),
    ];
    for (name, sides, hard) in [
        ("words", Sides::Lexical, Vec::new()),
        ("words and meaning", Sides::Both, Vec::new()),
        ("words and meaning, failed and dear", Sides::Both, failed),
    ] {
        let mut times = Vec::new();
        for text in QUESTIONS.iter().cycle().take(ROUNDS * QUESTIONS.len()) {
            let question = Question { text: (*text).to_owned(), hard: hard.clone(), limit: 10, ..Question::default() };
            let (time, answer) = timed(|| opened.answer(&question, sides, &|text| embedder.query(text).ok()));
            assert!(!answer?.hits.is_empty(), "something is found");
            times.push(time);
        }
        let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
        let bar = |measured, bar| if size == 100_000 { verdict(measured, bar, false) } else { String::new() };
        table.row([name.to_owned(), ms(p50), ms(p99), bar(p50, BAR_P50), bar(p99, BAR_P99)]);
    }
    table.print(&format!("Search over {size} documents"));
    if let Some(bytes) = resident(std::process::id()) {
        println!("memory of this process, model included: {} MB", bytes / 1_000_000);
    }
    Ok(())
}

fn document(number: usize) -> Document {
    let mut state = number as u64 + 1;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let words: Vec<&str> = (0..88).map(|_| WORDS[(next(48) * next(48) / 48) as usize]).collect();
    let status = if next(5) == 0 { "failed" } else { "succeeded" };
    let facts = Facts {
        run_id: format!("run-{number}"),
        template: "release_prep".to_owned(),
        status: status.to_owned(),
        mode: "real".to_owned(),
        started_at: 1_700_000_000 + number as i64,
        cost_nusd: next(1_000_000_000) as i64,
        ..Facts::default()
    };
    Document {
        kind: Kind::Run,
        title: format!("{} {}", words[0], words[1]),
        body: format!("number {number}: {}", words.join(" ")),
        facts,
    }
}

/// A vector of unit length near one of 64 centres.
fn vector(seed: u64, dims: usize) -> Vec<f32> {
    let spread = |seed: u64| {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        }
    };
    let (mut own, mut centre) = (spread(seed), spread((seed % 64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let mut vector: Vec<f32> = (0..dims).map(|_| centre() + 0.7 * own()).collect();
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|number| *number /= length);
    vector
}
