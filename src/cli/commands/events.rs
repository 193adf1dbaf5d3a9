//! `meno events`: the log itself, from any process, also while it grows.
//!
//! Following is pull by position: whoever owns the store may change, the position does not. It ends with 0 on Ctrl-C, as that is the
//! only way in which it can end well.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::cli::args::EventsArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::{FAINT, HEADING, styled, time};
use crate::cli::progress::Names;
use crate::cli::stop::Stop;
use crate::cli::{open, render};
use crate::domain::event::KINDS;
use crate::domain::ids::RunId;
use crate::store::codec::{self, Decoded};
use crate::store::{self, log::Stored};
use crate::views::event_line::{EventLine, UNKNOWN, is_forgotten};
use crate::workspace::{Access, Workspace};

/// How long one question for more takes at most; between two of them Ctrl-C is looked for.
const WAIT_SLICE: Duration = Duration::from_millis(500);

/// Events looked at together while the last ones are searched.
const BLOCK: u64 = 2000;

/// Prints the events asked for.
///
/// # Errors
/// When there is no such run, or the store cannot be read.
pub fn run(context: &mut Context, args: &EventsArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    if args.follow && workspace.session().is_none() {
        return Err(store::Error::NotFound(workspace.store.path.clone()).into());
    }
    let run = args.run.as_ref().map(|run| workspace.runs().find_run(&run.to_string())).transpose()?;
    let stop = if args.follow { Some(Stop::listen()?) } else { None };
    let mut reader = Reader::new(&workspace, run, args)?;
    loop {
        // Asked for before reading: what comes later is either read now or passes this position.
        let seen = match reader.read(context, stop.as_ref()) {
            Ok(seen) => seen,
            Err(report) if stop.is_some() && report.exit == Exit::Unreachable => {
                context.out.warn(format!("{}; trying again", report.message));
                continue_after(stop.as_ref())
            }
            Err(report) => return Err(report),
        };
        let Some(stop) = &stop else { return Ok(Exit::Done) };
        while !stop.is_asked() {
            match workspace.log().wait(seen, WAIT_SLICE) {
                Ok(at) if at > seen => break,
                Ok(_) => {}
                // The session looks for the next owner for as long as it may; following has no end to that.
                Err(error) => {
                    let report = CliError::from(error);
                    if report.exit != Exit::Unreachable {
                        return Err(report);
                    }
                    stop.wait(WAIT_SLICE);
                }
            }
        }
        if stop.is_asked() {
            return Ok(Exit::Done);
        }
    }
}

/// After a failure there is no position to wait behind: the next look is for everything.
fn continue_after(stop: Option<&Stop>) -> u64 {
    if let Some(stop) = stop {
        stop.wait(WAIT_SLICE);
    }
    0
}

/// Reads on in the log and prints.
struct Reader<'a> {
    workspace: &'a Workspace,
    run: Option<RunId>,
    kinds: Vec<u16>,
    from: u64,
    /// The run's next version, or the log's next position.
    next: u64,
    names: HashMap<Option<RunId>, Names>,
}

impl<'a> Reader<'a> {
    fn new(workspace: &'a Workspace, run: Option<RunId>, args: &EventsArgs) -> Result<Self> {
        let numbers = KINDS.iter().filter(|(_, _, name)| args.kinds.contains(name)).map(|(number, ..)| *number);
        let mut reader =
            Self { workspace, run, kinds: numbers.collect(), from: args.from.unwrap_or(1), next: 1, names: HashMap::new() };
        // Whoever follows wants to see what comes.
        let limit = args.limit.or((args.follow && args.from.is_none()).then_some(0));
        if let Some(limit) = limit {
            reader.from = reader.last(usize::try_from(limit).unwrap_or(usize::MAX))?;
        }
        // A run is read from its beginning, so that its agents have names.
        reader.next = if run.is_some() { 1 } else { reader.from };
        Ok(reader)
    }

    /// Returns the position at which the last `count` events begin that are asked for; behind the log's end for none.
    fn last(&self, count: usize) -> Result<u64> {
        let head = self.workspace.log().head()?.seq;
        let mut found: VecDeque<u64> = VecDeque::new();
        if count > 0
            && let Some(run) = self.run
        {
            let mut next = 1;
            loop {
                let page = self.workspace.runs().run_page(run, next)?;
                let Some(last) = page.last() else { break };
                next = last.envelope.version.max(next) + 1;
                for stored in page.iter().filter(|stored| self.is_wanted(stored)) {
                    if found.len() == count {
                        found.pop_front();
                    }
                    found.push_back(stored.envelope.seq);
                }
            }
        } else if count > 0 {
            // From the end in blocks, so that a long log is not read whole.
            let mut until = head;
            while found.len() < count && until >= self.from {
                let first = until.saturating_sub(BLOCK - 1).max(self.from);
                let mut block = Vec::new();
                let mut next = first;
                while next <= until {
                    let page = self.workspace.runs().log_page(next)?;
                    let Some(last) = page.last() else { break };
                    next = last.envelope.seq.max(next) + 1;
                    let here = page.iter().filter(|stored| stored.envelope.seq <= until && self.is_wanted(stored));
                    block.extend(here.map(|stored| stored.envelope.seq));
                }
                let missing = count - found.len();
                block.into_iter().rev().take(missing).for_each(|seq| found.push_front(seq));
                until = first - 1;
            }
        }
        Ok(found.front().copied().unwrap_or(head + 1))
    }

    fn is_wanted(&self, stored: &Stored) -> bool {
        stored.envelope.seq >= self.from && (self.kinds.is_empty() || self.kinds.contains(&stored.kind))
    }

    /// Prints what there is and was not printed; returns a position that the log had reached before.
    fn read(&mut self, context: &mut Context, stop: Option<&Stop>) -> Result<u64> {
        let seen = self.workspace.log().head()?.seq;
        while stop.is_none_or(|stop| !stop.is_asked()) {
            let page = match self.run {
                Some(run) => self.workspace.runs().run_page(run, self.next)?,
                None => self.workspace.runs().log_page(self.next)?,
            };
            if page.is_empty() {
                break;
            }
            for stored in &page {
                self.print(context, stored)?;
                self.next = 1 + if self.run.is_some() { stored.envelope.version } else { stored.envelope.seq };
            }
        }
        Ok(seen)
    }

    /// Takes in what a run's events before `version` say of its agents.
    fn learn(&mut self, run: RunId, version: u64) -> Result<()> {
        let names = self.names.entry(Some(run)).or_default();
        let mut next = 1;
        while next < version {
            let page = self.workspace.runs().run_page(run, next)?;
            let Some(last) = page.last() else { break };
            next = last.envelope.version.max(next) + 1;
            for stored in page.iter().filter(|stored| stored.envelope.version < version) {
                if let Ok(Decoded::Known(recorded)) = codec::decode(stored) {
                    names.learn(&recorded);
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, context: &mut Context, stored: &Stored) -> Result<()> {
        let envelope = &stored.envelope;
        let wanted = self.is_wanted(stored);
        if !wanted && context.out.json() {
            return Ok(());
        }
        let known = self.workspace.runs().decode(stored)?;
        if context.out.json() {
            let line = match &known {
                Some(recorded) => EventLine::of(recorded)
                    .map_err(|error| CliError::fault("an event cannot be written as JSON").source(&error))?,
                None => EventLine::unknown(envelope, (stored.kind, stored.kind_version), stored.private.is_none(), &stored.hash),
            };
            return context.out.json_line(&line);
        }
        let line = match &known {
            Some(recorded) => {
                // Also what is not wanted says how agents are called, and what came before the first position does.
                if let (Some(run), false) = (envelope.run, self.names.contains_key(&envelope.run)) {
                    self.learn(run, envelope.version)?;
                }
                let names = self.names.entry(envelope.run).or_default();
                let line = render::events::event(recorded, names, context.out.zone());
                let gone =
                    if is_forgotten(&recorded.event) { styled(FAINT, "  (its texts are forgotten)") } else { String::new() };
                line + &gone
            }
            None => {
                let run = envelope.run.map_or_else(|| "-".repeat(6), |run| run.to_string().chars().skip(20).collect());
                let moment = styled(FAINT, time::moment_ms(envelope.at, context.out.zone()));
                let kind = format!("of kind {} version {}, which this meno does not know", stored.kind, stored.kind_version);
                format!("{:>7}  {moment}  {run}  {}  {kind}", envelope.seq, styled(HEADING, UNKNOWN))
            }
        };
        if wanted { context.out.data(line) } else { Ok(()) }
    }
}
