//! Durable appends: against a plain file, SQLite and redb, when the index has to keep up, and through the owner.
//!
//! Contenders take turns in short slices, so that a busy machine is busy for all of them; what counts is the median of the ratios
//! within one round.

mod support;

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;
use std::time::Duration;

use meno::internals::domain::Redactor;
use meno::internals::store::{Batch, KEY_BYTES, Key, Keyring, Keys, Log, OsFiles, OwnedLog, Payloads};
use redb::{Database, TableDefinition};
use rusqlite::Connection;

use support::Result;
use support::data::{self, Events, record};
use support::numbers::{Table, median, ms, percentile, rate, settle, timed, times, verdict};
use support::stores::{self, Scratch};

/// Commits in a slice and rounds, by events per commit. A slice stays below what the log lets wait for its index.
const SIZES: [(usize, usize, usize); 3] = [(1, 30, 30), (64, 14, 30), (512, 8, 20)];
/// Events that every contender gets before it is measured.
const BEGINNING: usize = 16_384;
/// Room for everything that a contender gets.
const PREPARED_BYTES: usize = 192 * 1024 * 1024;
const BAR_APPEND: f64 = 0.8;
const BAR_SUSTAINED: f64 = 0.5;
const BAR_CLIENT: f64 = 1.5;
const BAR_CLIENTS: f64 = 3.0;
const CLIENTS: usize = 8;

fn main() -> Result<()> {
    let awake = Awake::keep();
    bursts()?;
    sustained()?;
    guarded()?;
    drop(awake);
    through_the_owner()
}

/// Keeps the processors from falling asleep while a sync is waited for: on some virtual machines its end is then noticed only at the
/// next tick, 4 ms later, which would punish whoever has no thread of its own at work meanwhile.
struct Awake {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    fn keep() -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let threads = (0..std::thread::available_parallelism().map_or(1, usize::from)).map(|_| {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_micros(50));
                }
            })
        });
        let threads = threads.collect();
        Self { ended, threads }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot panic, and if it did, it would have measured nothing.
            let _ = thread.join();
        }
    }
}

/// Somebody who makes events durable.
trait Contender {
    fn name(&self) -> &'static str;
    /// Appends a batch durably. `records` are the batch's events as bytes.
    fn append(&mut self, batch: &Batch, records: &[Vec<u8>]) -> Result<()>;
    /// Waits until nothing is left over.
    fn rest(&mut self) -> Result<()> {
        Ok(())
    }
}

struct Meno(OwnedLog);

impl Contender for Meno {
    fn name(&self) -> &'static str {
        "meno"
    }

    fn append(&mut self, batch: &Batch, _: &[Vec<u8>]) -> Result<()> {
        self.0.append(batch)?;
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        stores::drain(&self.0)
    }
}

struct PlainFile {
    file: File,
    name: &'static str,
}

impl PlainFile {
    fn open(path: &Path) -> Result<Self> {
        Ok(Self { file: File::create(path)?, name: "file + fdatasync" })
    }

    /// A file that is written over instead of growing: nobody can be faster who writes the same bytes.
    fn prepared(path: &Path) -> Result<Self> {
        let mut file = File::create(path)?;
        file.write_all(&vec![0; PREPARED_BYTES])?;
        file.sync_all()?;
        file.rewind()?;
        Ok(Self { file, name: "file of zeros + fdatasync" })
    }
}

impl Contender for PlainFile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn append(&mut self, _: &Batch, records: &[Vec<u8>]) -> Result<()> {
        self.file.write_all(&records.concat())?;
        self.file.sync_data()?;
        Ok(())
    }
}

struct Sqlite(Connection);

impl Sqlite {
    fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch("CREATE TABLE events (seq INTEGER PRIMARY KEY, record BLOB NOT NULL)")?;
        Ok(Self(connection))
    }
}

impl Contender for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite WAL FULL"
    }

    fn append(&mut self, _: &Batch, records: &[Vec<u8>]) -> Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO events (record) VALUES (?1)")?;
            for record in records {
                insert.execute([record])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

struct Redb {
    database: Database,
    next: u64,
}

impl Contender for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn append(&mut self, _: &Batch, records: &[Vec<u8>]) -> Result<()> {
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(EVENTS)?;
            for record in records {
                self.next += 1;
                table.insert(self.next, record.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn contenders(scratch: &Scratch, name: &str) -> Result<Vec<Box<dyn Contender>>> {
    let path = |what: &str| scratch.path(&format!("{name}-{what}"));
    let mut contenders: Vec<Box<dyn Contender>> = vec![
        Box::new(Meno(stores::open(&path("meno"))?)),
        Box::new(PlainFile::open(&path("file"))?),
        Box::new(Sqlite::open(&path("sqlite"))?),
        Box::new(Redb { database: Database::create(path("redb"))?, next: 0 }),
        Box::new(PlainFile::prepared(&path("zeros"))?),
    ];
    // Beginnings are not what is measured: the log opens its index, SQLite's WAL grows to the size that it is then reused at.
    let beginning = Events::new(9)?.batches(BEGINNING, 512);
    for contender in &mut contenders {
        slice(contender.as_mut(), &beginning)?;
        contender.rest()?;
    }
    Ok(contenders)
}

/// Appends the batches one after the other; returns the seconds that each took.
fn slice(contender: &mut dyn Contender, batches: &[Batch]) -> Result<Vec<f64>> {
    let records: Vec<Vec<Vec<u8>>> = batches.iter().map(|batch| batch.events.iter().map(record).collect()).collect();
    let timings = batches.iter().zip(&records).map(|(batch, records)| {
        let (seconds, outcome) = timed(|| contender.append(batch, records));
        outcome.map(|()| seconds)
    });
    timings.collect()
}

fn bursts() -> Result<()> {
    let scratch = Scratch::new("append")?;
    let mut table = Table::new(["events per commit", "who", "commit p50", "p99", "events/s", "meno / it", "bar", "reached"]);
    for (maker, (per_commit, commits, rounds)) in (10..).zip(SIZES) {
        let mut contenders = contenders(&scratch, &per_commit.to_string())?;
        let mut source = Events::new(maker)?;
        let mut commit_times = vec![Vec::new(); contenders.len()];
        let mut slice_rates = vec![Vec::new(); contenders.len()];
        for _ in 0..rounds {
            let batches = source.batches(commits * per_commit, per_commit);
            for (number, contender) in contenders.iter_mut().enumerate() {
                let timings = slice(contender.as_mut(), &batches)?;
                slice_rates[number].push((commits * per_commit) as f64 / timings.iter().sum::<f64>());
                commit_times[number].extend(timings);
                contender.rest()?;
                settle();
            }
        }
        let ratios = |to: &dyn Fn(usize) -> f64| -> f64 {
            median(&(0..rounds).map(|round| slice_rates[0][round] / to(round)).collect::<Vec<_>>())
        };
        let mut row = |who: &str, number: Option<usize>, ratio: Option<f64>, has_bar: bool| {
            let of = |show: &dyn Fn(usize) -> String| number.map_or_else(String::new, show);
            let bar = if has_bar { format!(">= {BAR_APPEND}") } else { String::new() };
            let reached = ratio.filter(|_| has_bar).map_or_else(String::new, |ratio| verdict(ratio, BAR_APPEND, true));
            table.row([
                per_commit.to_string(),
                who.to_owned(),
                of(&|number| ms(median(&commit_times[number]))),
                of(&|number| ms(percentile(&commit_times[number], 0.99))),
                of(&|number| rate(median(&slice_rates[number]))),
                ratio.map_or_else(String::new, times),
                bar,
                reached,
            ]);
        };
        for (number, contender) in contenders.iter().enumerate() {
            let ratio = (number > 0).then(|| ratios(&|round| slice_rates[number][round]));
            row(contender.name(), Some(number), ratio, false);
        }
        let better = ratios(&|round| slice_rates[1][round].max(slice_rates[2][round]));
        row("better of file and SQLite", None, Some(better), per_commit < 512);
    }
    table.print("Durable append, in bursts");
    Ok(())
}

/// Long enough that the index holds appenders back; the wait for it at the end counts.
fn sustained() -> Result<()> {
    const ROUNDS: usize = 5;
    let scratch = Scratch::new("sustained")?;
    let mut table =
        Table::new(["events per commit", "who", "acknowledged", "all in the index", "lag at the end", "meno / it", "reached"]);
    for (maker, (per_commit, events)) in (20..).zip([(64, 12_800), (512, 51_200)]) {
        let mut contenders = contenders(&scratch, &per_commit.to_string())?;
        let mut source = Events::new(maker)?;
        let mut acknowledged = vec![Vec::new(); contenders.len()];
        let mut indexed = vec![Vec::new(); contenders.len()];
        let mut lags = vec![Vec::new(); contenders.len()];
        for _ in 0..ROUNDS {
            let batches = source.batches(events, per_commit);
            for (number, contender) in contenders.iter_mut().enumerate() {
                let seconds: f64 = slice(contender.as_mut(), &batches)?.iter().sum();
                let (lag, outcome) = timed(|| contender.rest());
                outcome?;
                acknowledged[number].push(events as f64 / seconds);
                indexed[number].push(events as f64 / (seconds + lag));
                lags[number].push(lag);
            }
        }
        let has_bar = |number: usize| per_commit == 64 && contenders[number].name().contains("SQLite");
        for (number, contender) in contenders.iter().enumerate() {
            let ratio = median(&(0..ROUNDS).map(|round| indexed[0][round] / indexed[number][round]).collect::<Vec<_>>());
            table.row([
                per_commit.to_string(),
                contender.name().to_owned(),
                rate(median(&acknowledged[number])),
                rate(median(&indexed[number])),
                ms(median(&lags[number])),
                if number == 0 { String::new() } else { times(ratio) },
                if has_bar(number) { verdict(ratio, BAR_SUSTAINED, true) } else { String::new() },
            ]);
        }
    }
    table.print("Sustained append, index and views included");
    Ok(())
}

/// A log with texts beside it, which are redacted and encrypted on their way, or neither.
struct Texts {
    log: OwnedLog,
    payloads: Payloads,
    redactor: Option<Redactor>,
}

impl Texts {
    fn open(dir: &Path, guarded: bool) -> Result<Self> {
        let keys = Keys { current: guarded.then(|| Key::new(&[7; KEY_BYTES])), older: Vec::new() };
        let payloads = Payloads::with_keys(Arc::new(OsFiles), dir, Arc::new(Keyring::of(keys)));
        let redactor = guarded.then(|| Redactor::new(["sk-ant-a-key-of-the-environment", "what-somebody-typed-as-a-secret"]));
        Ok(Self { log: stores::open(dir)?, payloads, redactor })
    }

    fn append(&self, batch: &Batch, texts: &[String]) -> Result<()> {
        let texts: Vec<_> = match &self.redactor {
            Some(redactor) => texts.iter().map(|text| redactor.redact(text)).collect(),
            None => texts.iter().map(|text| text.as_str().into()).collect(),
        };
        let payloads = self.payloads.write(&texts.iter().map(|text| text.as_bytes()).collect::<Vec<_>>())?;
        self.log.append(&Batch { payloads, ..batch.clone() })?;
        Ok(())
    }
}

/// Prompts and answers of 20 kB beside the log, redacted and encrypted, against the same as they are.
fn guarded() -> Result<()> {
    const ROUNDS: usize = 20;
    const TEXT_BYTES: usize = 20_000;
    let scratch = Scratch::new("guarded")?;
    let mut table =
        Table::new(["events per commit", "texts per commit", "as they are", "redacted, encrypted", "ratio", "bar", "reached"]);
    for (maker, (per_commit, texts_per_commit, commits)) in (50..).zip([(1, 1, 20), (64, 8, 6)]) {
        let open = |name: &str, guarded| Texts::open(&scratch.path(&format!("{per_commit}-{name}")), guarded);
        let contenders = [open("plain", false)?, open("guarded", true)?];
        let mut source = Events::new(maker)?;
        let (mut rates, mut number) = ([Vec::new(), Vec::new()], 0);
        for round in 0..ROUNDS {
            let batches = source.batches(commits * per_commit, per_commit);
            let texts: Vec<Vec<String>> = batches
                .iter()
                .map(|_| {
                    let text = |number: usize| data::words(&format!("Text {number} says that "), TEXT_BYTES);
                    number += texts_per_commit;
                    (number - texts_per_commit..number).map(text).collect()
                })
                .collect();
            // Who goes first changes from round to round.
            for turn in [round % 2, 1 - round % 2] {
                let (seconds, outcome) =
                    timed(|| batches.iter().zip(&texts).try_for_each(|(batch, texts)| contenders[turn].append(batch, texts)));
                outcome?;
                rates[turn].push((commits * per_commit) as f64 / seconds);
                stores::drain(&contenders[turn].log)?;
                settle();
            }
        }
        let ratio = median(&rates[1].iter().zip(&rates[0]).map(|(guarded, plain)| guarded / plain).collect::<Vec<_>>());
        table.row([
            per_commit.to_string(),
            texts_per_commit.to_string(),
            rate(median(&rates[0])),
            rate(median(&rates[1])),
            times(ratio),
            format!(">= {BAR_APPEND}"),
            verdict(ratio, BAR_APPEND, true),
        ]);
    }
    table.print("Texts beside the log, redacted and encrypted");
    Ok(())
}

/// One event per commit, as an executor appends: the owner itself, one client, and several at once.
fn through_the_owner() -> Result<()> {
    const COMMITS: usize = 30;
    const ROUNDS: usize = 25;
    let scratch = Scratch::new("owner")?;
    let dir = scratch.path("store");
    let owner = stores::session(&dir, true)?;
    let clients = (0..CLIENTS).map(|_| stores::session(&dir, false)).collect::<Result<Vec<_>>>()?;
    let mut sources = (30..).take(CLIENTS + 1).map(Events::new).collect::<Result<Vec<_>>>()?;
    let (mut own, mut one, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut together, mut rates) = (Vec::new(), Vec::new());
    owner.append(&sources[CLIENTS].batch(1))?;
    let appends = |log: &dyn Log, batches: &[Batch]| -> Result<Vec<f64>> {
        let timings = batches.iter().map(|batch| {
            let (seconds, outcome) = timed(|| log.append(batch));
            Ok(outcome.map(|_| seconds)?)
        });
        timings.collect()
    };
    for _ in 0..ROUNDS {
        let (mut by_owner, mut by_one) = (Vec::new(), Vec::new());
        for _ in 0..COMMITS {
            by_owner.extend(appends(&owner, &[sources[CLIENTS].batch(1)])?);
            by_one.extend(appends(&clients[0], &[sources[0].batch(1)])?);
        }
        stores::drain(&owner)?;
        let batches: Vec<Vec<Batch>> = sources[..CLIENTS].iter_mut().map(|source| source.batches(COMMITS, 1)).collect();
        let start = Barrier::new(CLIENTS + 1);
        let seconds = std::thread::scope(|scope| -> Result<f64> {
            let threads: Vec<_> = clients
                .iter()
                .zip(&batches)
                .map(|(client, batches)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        appends(client, batches)
                    })
                })
                .collect();
            start.wait();
            let (seconds, outcome) = timed(|| -> Result<()> {
                for thread in threads {
                    thread.join().map_err(|_| "a client panicked")??;
                }
                Ok(())
            });
            outcome.map(|()| seconds)
        })?;
        stores::drain(&owner)?;
        ratios.push(median(&by_one) / median(&by_owner));
        let rate_of_one = COMMITS as f64 / by_one.iter().sum::<f64>();
        let rate_of_all = (CLIENTS * COMMITS) as f64 / seconds;
        together.push(rate_of_all / rate_of_one);
        rates.push(rate_of_all);
        own.extend(by_owner);
        one.extend(by_one);
    }
    let mut table = Table::new(["what", "measured", "ratio", "bar", "reached"]);
    table.row(["owner's own append, p50".to_owned(), ms(median(&own)), String::new(), String::new(), String::new()]);
    let ratio = median(&ratios);
    let reached = verdict(ratio, BAR_CLIENT, false);
    table.row(["one client's append, p50".to_owned(), ms(median(&one)), times(ratio), format!("< {BAR_CLIENT}"), reached]);
    let ratio = median(&together);
    let reached = verdict(ratio, BAR_CLIENTS, true);
    table.row([
        format!("{CLIENTS} clients together"),
        rate(median(&rates)),
        format!("{} one", times(ratio)),
        format!(">= {BAR_CLIENTS}"),
        reached,
    ]);
    table.print("One event per commit, through the owner");
    Ok(())
}
