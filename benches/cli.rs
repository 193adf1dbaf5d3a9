//! What somebody at a terminal waits for: the program's start, `list-runs` and `show-run`, cold and from a warm owner.
//!
//! Each command takes turns with `true`, the shortest program there is: the difference is what is Meno's.

mod support;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use meno::Access;
use meno::event::RunId;
use meno::internals::settings::{Flags, Places, Variables};
use meno::internals::store::Log;
use meno::internals::workspace::{self, Options, Upkeep, World};
use meno::run::{RunFilter, SortBy};

use support::Result;
use support::data::{EVENTS_PER_RUN, run_id};
use support::numbers::{Table, median, ms, percentile, timed, times, verdict};
use support::stores::{self, MILLION, Scratch};

/// Runs of the smaller store.
const RUNS: usize = 10_000;
const STARTS: usize = 30;
const QUESTIONS: usize = 1_000;
const BAR_HELP: f64 = 0.010;
const BAR_LIST_COLD: f64 = 0.060;
const BAR_WARM: f64 = 0.010;
const BAR_MEMORY: f64 = 300e6;
/// This program as the owner of a store, until its input ends: stands in where the binary has no `serve`.
const OWN: &str = "own";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(OWN) {
        return own(Path::new(&arguments.next().ok_or("whose owner?")?));
    }
    let scratch = Scratch::new("cli")?;
    let store = scratch.path("store");
    let program = Program { home: scratch.path("home"), store: store.clone() };
    std::fs::create_dir_all(&program.home)?;
    let mut table = Table::new(["command", "store", "p50", "p99", "`true` p50", "bar", "reached"]);
    program.measure(&mut table, "no store", &["--help"], Some(BAR_HELP))?;

    stores::fill(&store, 1, RUNS * EVENTS_PER_RUN, stores::FILL_BATCH)?;
    let id = run_id(1, RUNS as u64 / 2);
    program.measure_all(&mut table, "10,000 runs, cold", id, Some(BAR_LIST_COLD))?;
    let owner = Owner::start(&program)?;
    program.measure_all(&mut table, &format!("10,000 runs, {}", owner.name), id, None)?;
    owner.end()?;

    stores::fill(&store, 2, MILLION - RUNS * EVENTS_PER_RUN, stores::FILL_BATCH)?;
    program.measure_all(&mut table, "1 million events, cold", id, None)?;
    let owner = Owner::start(&program)?;
    program.measure_all(&mut table, &format!("1 million events, {}", owner.name), id, None)?;
    let warm = questions(&program)?;
    let memory = stores::resident(owner.child.id());
    owner.end()?;

    table.print("Commands, from the start of the process to its end");
    warm.print("Questions to a warm owner at a million events, from a client that has started");
    let mut table = Table::new(["memory", "measured", "bar", "reached"]);
    if let Some(bytes) = memory {
        let bytes = bytes as f64;
        let shown = |bytes: f64| format!("{:.0} MB", bytes / 1e6);
        table.row([
            "owner at a million events".to_owned(),
            shown(bytes),
            format!("< {}", shown(BAR_MEMORY)),
            verdict(bytes, BAR_MEMORY, false),
        ]);
    }
    table.print("Memory");
    Ok(())
}

/// The program under measurement, with a home of its own.
struct Program {
    home: PathBuf,
    store: PathBuf,
}

impl Program {
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("HOME", &self.home).env("MENO_STORE", &self.store).env("NO_COLOR", "1");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(&self.home).stdin(Stdio::null());
        command
    }

    fn meno(&self, arguments: &[&str]) -> Command {
        self.command(env!("CARGO_BIN_EXE_meno"), arguments)
    }

    fn measure_all(&self, table: &mut Table, store: &str, id: RunId, bar: Option<f64>) -> Result<()> {
        self.measure(table, store, &["list-runs", "--json", "--limit", "20"], bar)?;
        self.measure(table, store, &["list-runs", "--json", "--limit", "1000000"], None)?;
        self.measure(table, store, &["show-run", "--json", &id.to_string()], None)
    }

    /// Starts the command again and again; one that the binary refuses is skipped with a line that says so.
    fn measure(&self, table: &mut Table, store: &str, arguments: &[&str], bar: Option<f64>) -> Result<()> {
        let words = arguments.join(" ");
        let first = self.meno(arguments).output()?;
        if !first.status.success() {
            let why = String::from_utf8_lossy(&first.stderr);
            eprintln!("skipped: `meno {words}` ({store}): {}", why.lines().next().unwrap_or("it says nothing"));
            return Ok(());
        }
        let (mut measured, mut shortest) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let mut nothing = self.command("true", &[]);
            shortest.push(timed(|| nothing.output()).0);
            let mut command = self.meno(arguments);
            let (seconds, output) = timed(|| command.output());
            if !output?.status.success() {
                return Err(format!("`meno {words}` succeeded once and then failed").into());
            }
            measured.push(seconds);
        }
        let p50 = median(&measured);
        table.row([
            words,
            store.to_owned(),
            ms(p50),
            ms(percentile(&measured, 0.99)),
            ms(median(&shortest)),
            bar.map_or_else(String::new, |bar| format!("< {}", ms(bar))),
            bar.map_or_else(String::new, |bar| format!("{} ({} the bar)", verdict(p50, bar, false), times(p50 / bar))),
        ]);
        Ok(())
    }
}

/// The process that owns the store while it is measured; ended in any case.
struct Owner {
    child: Child,
    name: &'static str,
}

impl Owner {
    fn start(program: &Program) -> Result<Self> {
        let mut serve = program.meno(&["serve"]);
        let mut child = serve.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut name = "through serve";
        std::thread::sleep(Duration::from_secs(1));
        if child.try_wait()?.is_some() {
            eprintln!("skipped: `meno serve`: it ends at once; this bench owns the store instead");
            let path = std::env::current_exe()?;
            child = Command::new(path).arg(OWN).arg(&program.store).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
            name = "warm owner";
        }
        let owner = Self { child, name };
        // A question to the index, and the owner is warm.
        let session = loop {
            match stores::session(&program.store, false) {
                Ok(session) => break session,
                Err(why) => eprintln!("waiting for the owner: {why}"),
            }
        };
        stores::drain(&session)?;
        Ok(owner)
    }

    fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        if self.name == "through serve" {
            // Ends as it does at Ctrl-C: with the index written out.
            Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // After a proper end both have nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own(store: &Path) -> Result<()> {
    let session = stores::session(store, true)?;
    session.head()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What a program that has started already waits for: the use cases behind the commands.
fn questions(program: &Program) -> Result<Table> {
    let workspace = workspace::open(Options {
        places: Places {
            current: program.home.clone(),
            data: program.home.join("data"),
            config: program.home.join("config"),
            cache: program.home.join("cache"),
            store_variable: None,
            config_variable: None,
        },
        store: Some(&program.store),
        config: None,
        prices: None,
        flags: &Flags::default(),
        fallback: None,
        variables: Variables::through(|_| None),
        access: Access::Read,
        wait: Duration::from_secs(60),
        stay: false,
        upkeep: Upkeep::default(),
        world: World::real(),
        notice: Arc::new(|_| {}),
    })?;
    let (mut list, mut show) = (Vec::new(), Vec::new());
    for number in 0..QUESTIONS {
        let (seconds, found) = timed(|| workspace.runs().list(&RunFilter::default(), SortBy::Newest, Some(20)));
        assert_eq!(found?.runs.len(), 20, "the list is as long as asked");
        list.push(seconds);
        let id = run_id(1, (number * 7919 % RUNS) as u64);
        let (seconds, found) = timed(|| workspace.runs().detail(id));
        assert_eq!(found?.agents.len(), 4, "the run has its agents");
        show.push(seconds);
    }
    let mut table = Table::new(["question", "p50", "p99", "bar for p99", "reached"]);
    for (name, seconds) in [("list-runs, the newest 20", &list), ("show-run, any", &show)] {
        let p99 = percentile(seconds, 0.99);
        let reached = format!("{} ({} the bar)", verdict(p99, BAR_WARM, false), times(p99 / BAR_WARM));
        table.row([name.to_owned(), ms(median(seconds)), ms(p99), format!("< {}", ms(BAR_WARM)), reached]);
    }
    Ok(table)
}
