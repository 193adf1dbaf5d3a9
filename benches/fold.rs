//! How fast a million events are read again: from the journal into folds, and from the journal into a new index.

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use meno::event::{Hash, NodeId, Recorded, RunId};
use meno::internals::store::codec::{self, Decoded};
use meno::internals::store::journal::{self, Frame, Item, segments};
use meno::internals::store::{Log, OsFiles, chain};
use meno::internals::views::{self, RunRow};

use support::Result;
use support::numbers::{Table, median, rate, timed, times, verdict};
use support::stores::{self, MILLION, Scratch};

const ROUNDS: usize = 5;
const REFILLS: usize = 3;
const BAR_FOLD: f64 = 300_000.0;
const BAR_REFILL: f64 = 200_000.0;
const BAR_REFILL_ALONE: f64 = 80_000.0;
const BAR_SIZE: f64 = 1.8;
/// Events of the stores whose index is filled anew, by events per frame.
const REFILLED: [(usize, usize, f64); 2] = [(64, 400_000, BAR_REFILL), (1, 30_000, BAR_REFILL_ALONE)];

fn main() -> Result<()> {
    let scratch = Scratch::new("fold")?;
    let store = scratch.path("store");
    let filled = stores::fill(&store, 1, MILLION, stores::FILL_BATCH)?;
    let node = stores::open(&store)?.node();
    let journal = journal::folder(&store, node);
    let bytes = size(&journal)?;
    println!(
        "A store of {MILLION} events, made at {} in batches of 512: journal {} bytes per event, index {}, views {}",
        rate(filled),
        bytes / MILLION as u64,
        size(&store.join("log").join("events"))? / MILLION as u64,
        size(&store.join("log").join("views"))? / MILLION as u64,
    );
    reading(&journal, node)?;
    fs::remove_dir_all(&store)?;
    let mut table = Table::new(["filled anew", "events per frame", "events/s", "bytes / journal", "bar", "reached"]);
    for (per_frame, events, bar) in REFILLED {
        refilling(&scratch.path(&format!("frames-{per_frame}")), per_frame, events, bar, &mut table)?;
    }
    table.print("Refill of sled");
    Ok(())
}

/// One way of going through the whole journal; returns how many events it met.
type Pass<'a> = (&'static str, Option<f64>, Box<dyn Fn() -> Result<usize> + 'a>);

fn reading(journal: &Path, node: NodeId) -> Result<()> {
    let passes: [Pass<'_>; 5] = [
        ("read the files, look at nothing", None, Box::new(|| raw(journal))),
        ("scan: checksums, events told apart", None, Box::new(|| scan(journal, node, |frame| Ok(frame.records().count())))),
        ("scan and verify the chain", None, Box::new(|| verify(journal, node))),
        ("scan and decode", None, Box::new(|| decode(journal, node, |_| {}))),
        ("scan, decode and fold the run list", Some(BAR_FOLD), Box::new(|| fold(journal, node))),
    ];
    let mut rates = vec![Vec::new(); passes.len()];
    for _ in 0..ROUNDS {
        for ((_, _, pass), rates) in passes.iter().zip(&mut rates) {
            let (seconds, met) = timed(pass);
            rates.push(met? as f64 / seconds);
        }
    }
    let mut table = Table::new(["one core", "events/s", "of reading alone", "bar", "reached"]);
    for (number, (name, bar, _)) in passes.iter().enumerate() {
        let ratio = median(&(0..ROUNDS).map(|round| rates[number][round] / rates[0][round]).collect::<Vec<_>>());
        let measured = median(&rates[number]);
        table.row([
            (*name).to_owned(),
            rate(measured),
            times(ratio),
            bar.map_or_else(String::new, |bar| format!(">= {}", rate(bar))),
            bar.map_or_else(String::new, |bar| format!("{} ({} the bar)", verdict(measured, bar, true), times(measured / bar))),
        ]);
    }
    table.print("From the journal into memory");
    Ok(())
}

fn raw(journal: &Path) -> Result<usize> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(journal)? {
        sum += fs::read(entry?.path())?.iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>();
    }
    // The sum keeps the reads from being left out.
    Ok(MILLION + usize::from(std::hint::black_box(sum) == u64::MAX))
}

fn scan(journal: &Path, node: NodeId, mut each: impl FnMut(&Frame<'_>) -> Result<usize>) -> Result<usize> {
    let mut met = 0;
    for segment in segments(&OsFiles, journal, node, 1)? {
        for item in segment?.items() {
            if let Item::Frame(_, frame) = item {
                met += each(&frame)?;
            }
        }
    }
    Ok(met)
}

fn verify(journal: &Path, node: NodeId) -> Result<usize> {
    let mut previous = chain::genesis(node);
    scan(journal, node, |frame| {
        frame.chained(previous, |_, _| Ok(()))?;
        previous = frame.hash;
        Ok(frame.count as usize)
    })
}

fn decode(journal: &Path, node: NodeId, mut each: impl FnMut(Recorded)) -> Result<usize> {
    scan(journal, node, |frame| {
        for record in frame.records() {
            if let Decoded::Known(recorded) = codec::decode(&record?.to_stored(Hash::default())?)? {
                each(recorded);
            }
        }
        Ok(frame.count as usize)
    })
}

fn fold(journal: &Path, node: NodeId) -> Result<usize> {
    let mut rows: HashMap<RunId, RunRow> = HashMap::new();
    let met = decode(journal, node, |recorded| {
        if let Some(run) = recorded.envelope.run {
            let row = rows.remove(&run).unwrap_or_else(|| RunRow::new(run));
            rows.insert(run, row.apply(&recorded));
        }
    })?;
    assert!(rows.values().all(RunRow::cost_complete), "every run of the store is whole");
    Ok(met)
}

/// The index and the views are deleted; the first question afterwards makes them anew.
fn refilling(store: &Path, per_frame: usize, events: usize, bar: f64, table: &mut Table) -> Result<()> {
    stores::fill(store, 1, events, per_frame)?;
    let journal = journal::folder(store, stores::open(store)?.node());
    let (mut index, mut views) = (Vec::new(), Vec::new());
    let (mut index_bytes, mut views_bytes) = (0, 0);
    for _ in 0..REFILLS {
        fs::remove_dir_all(store.join("log").join("events"))?;
        let log = stores::open(store)?;
        let (seconds, read) = timed(|| log.read(events as u64, 1));
        assert_eq!(read?.len(), 1, "the index has the events again");
        index.push(events as f64 / seconds);
        drop(log);
        fs::remove_dir_all(store.join("log").join("views"))?;
        let log = stores::open(store)?;
        log.read(1, 1)?;
        let (seconds, count) = timed(|| {
            views::projections().iter().map(|view| Ok(log.view(view.name(), &[], None, false, 1)?)).collect::<Result<Vec<_>>>()
        });
        assert!(count?.iter().all(|view| view.seen > events as u64), "the views have seen everything");
        views.push(events as f64 / seconds);
        drop(log);
        index_bytes = size(&store.join("log").join("events"))?;
        views_bytes = size(&store.join("log").join("views"))?;
    }
    let journal_bytes = size(&journal)? as f64;
    let mut row = |what: &str, rates: &[f64], bytes: u64, bars: Option<(f64, f64)>| {
        let (measured, bytes) = (median(rates), bytes as f64 / journal_bytes);
        let reached = bars.map_or_else(String::new, |(least, most)| {
            format!("{} ({} the bar), {}", verdict(measured, least, true), times(measured / least), verdict(bytes, most, false))
        });
        let bar = bars.map_or_else(String::new, |(least, most)| format!(">= {}, < {}", rate(least), times(most)));
        table.row([what.to_owned(), per_frame.to_string(), rate(measured), times(bytes), bar, reached]);
    };
    row("index, from the journal", &index, index_bytes, Some((bar, BAR_SIZE)));
    row("views, from the index", &views, views_bytes, None);
    Ok(())
}

/// Returns the bytes of the files in a folder and below.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
