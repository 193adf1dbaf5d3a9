//! A projection of your own: what each model cost per verdict, folded from the events alone.
//!
//! `cargo run --example projection -- STORE` reads a store without changing it; without a store it makes two simulated runs in a
//! folder that is removed afterwards.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use meno::event::{AgentNo, AttemptNo, AttemptOutcome, Envelope, Event, Purpose, RunId};
use meno::{Preset, RunRequest, Workspace};

/// What one model did.
#[derive(Debug, Default, PartialEq)]
pub struct ModelRow {
    /// Calls with a known cost.
    pub calls: u64,
    /// Calls whose cost is not known; they are no zeros.
    pub calls_without_cost: u64,
    /// What the known ones cost, in nUSD.
    pub cost_nusd: u64,
    /// Attempts that passed on a reply of this model.
    pub passed: u64,
    /// Attempts that ended in any other way.
    pub not_passed: u64,
}

/// The projection: rows by model, and which model an attempt under way was made with.
#[derive(Debug, Default)]
pub struct Models {
    /// The rows.
    pub rows: BTreeMap<String, ModelRow>,
    attempts: BTreeMap<(RunId, AgentNo, AttemptNo), String>,
}

impl Models {
    /// Folds one event. Total: kinds that say nothing about models change nothing.
    pub fn apply(&mut self, envelope: &Envelope, event: &Event) {
        let Some(run) = envelope.run else { return };
        match event {
            Event::CostIncurred(cost) => {
                let row = self.rows.entry(cost.model.clone().unwrap_or_else(|| "unknown".to_owned())).or_default();
                match cost.amount {
                    Some(amount) => {
                        row.calls += 1;
                        row.cost_nusd += amount.0;
                    }
                    None => row.calls_without_cost += 1,
                }
            }
            Event::CallStarted(call) if call.purpose == Purpose::Work => {
                self.attempts.insert((run, call.agent, call.attempt), call.model.clone());
            }
            Event::AttemptEnded(end) => {
                let Some(model) = self.attempts.remove(&(run, end.agent, end.attempt)) else { return };
                let row = self.rows.entry(model).or_default();
                if end.outcome == AttemptOutcome::Passed { row.passed += 1 } else { row.not_passed += 1 }
            }
            _ => {}
        }
    }
}

/// Folds the whole log of the store at `dir`.
pub fn models(dir: &Path) -> Result<Models, Box<dyn Error>> {
    let workspace = Workspace::at(dir, None)?;
    let mut models = Models::default();
    for recorded in workspace.runs().events(1) {
        let recorded = recorded?;
        models.apply(&recorded.envelope, &recorded.event);
    }
    Ok(models)
}

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let dir = match std::env::args_os().nth(1) {
        Some(dir) => dir.into(),
        None => {
            let dir = scratch.path().join("store");
            let workspace = Workspace::at(&dir, Some(Preset::Simulated))?;
            let template = workspace.runs().template("release_prep")?;
            for seed in [1, 2] {
                workspace.runs().run_to_end(&template, RunRequest::new().seed(seed))?;
            }
            dir
        }
    };
    for (model, row) in &models(&dir)?.rows {
        println!("{model}: {row:?}");
    }
    Ok(())
}
