//! Watches a store: one line for each run that ends, whichever process ran it.
//!
//! `cargo run --example watch -- STORE` watches until it is stopped; `meno run` in another terminal gives it something to tell.

use std::error::Error;
use std::path::Path;

use futures_util::StreamExt;
use meno::Workspace;
use meno::event::Event;

/// Calls `line` for each of the next `count` runs that end after position `after` of the log; `None` watches for ever.
pub fn watch(dir: &Path, after: u64, count: Option<usize>, mut line: impl FnMut(String)) -> Result<(), Box<dyn Error>> {
    let workspace = Workspace::at(dir, None)?;
    let mut follow = workspace.runs().follow(after + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut seen = 0;
    while count.is_none_or(|count| seen < count) {
        let Some(recorded) = runtime.block_on(follow.next()) else { break };
        let recorded = recorded?;
        if !matches!(recorded.event, Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_)) {
            continue;
        }
        if let Some(id) = recorded.envelope.run {
            let run = workspace.runs().detail(id)?;
            line(format!("{id} {} ({}): {} nUSD", run.status.name(), run.template_id, run.cost_nusd));
            seen += 1;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which store? `cargo run --example watch -- STORE`")?;
    let dir = Path::new(&dir);
    let head = Workspace::at(dir, None)?.runs().events(1).last().transpose()?.map_or(0, |recorded| recorded.envelope.seq);
    watch(dir, head, None, |line| println!("{line}"))
}
