//! Meno as a library: run a template, read the log, search the past, ask for advice.
//!
//! `cargo run --example library` does all of it with simulated models, in a folder that is removed afterwards.

use std::error::Error;
use std::path::Path;

use futures_util::StreamExt;
use meno::error::{RunError, StartError};
use meno::{Preset, RecommendRequest, RunRequest, SearchRequest, Workspace};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    tour(&dir.path().join("store"))
}

/// Does everything once, in the store at `dir`, whose parent exists.
pub fn tour(dir: &Path) -> Result<(), Box<dyn Error>> {
    let workspace = Workspace::at(dir, Some(Preset::Simulated))?;

    // A run. Questions that are not answered take the template's defaults.
    let template = workspace.runs().template("python_package_publish")?;
    let request = || RunRequest::new().answer("package_name", "demo").answer("has_tests", true).seed(7);
    let run = workspace.runs().run_to_end(&template, request().label("team", "blue"))?;
    println!("{} is {}: {} agents, {} nUSD", run.run_id, run.status.name(), run.agents.len(), run.cost_nusd);

    // What went wrong says what can be done about it.
    match workspace.runs().run_to_end(&template, request().answer("version_bump", "gigantic")) {
        Err(RunError::Start(StartError::Answers(problems))) => problems.iter().for_each(|problem| println!("mend: {problem}")),
        Err(other) => return Err(other.into()),
        Ok(run) => println!("{} accepted that", run.run_id),
    }

    // The log, from its first event to its last …
    let mut last = 0;
    for event in workspace.runs().events(1) {
        let event = event?;
        last = event.envelope.seq;
        println!("{last} {}", event.event.name());
    }
    // … and as a stream, which goes on with what any process appends.
    let mut follow = workspace.runs().follow(last + 1);
    let next = workspace.runs().run_to_end(&template, request())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    if let Some(event) = runtime.block_on(follow.next()) {
        println!("{} began with {}", next.run_id, event?.event.name());
    }

    // The past, by words and by meaning …
    for hit in workspace.memory().search(&SearchRequest::new("publishing a package").limit(3))?.hits {
        println!("found {} ({}): {}", hit.run_id, hit.template_id, hit.title);
    }
    // … and what it says about the next run.
    let request = RecommendRequest::new().answer("has_tests", true).include_simulated(true);
    for agent in workspace.memory().recommend("python_package_publish", &request)?.agents {
        println!("{}: {}", agent.role, agent.because);
    }
    Ok(())
}
