//! Meno runs teams of LLM agents from JSON templates and remembers every run as immutable events.
//!
//! This is the map of the code: a line of it should know its room.
//!
//! ```text
//! people, scripts, other programs
//!         │
//!     cli · ui · mcp               arguments and requests in, words, JSON and pages out
//!         │
//!     workspace                    open a store (own it or reach its owner); use cases: runs · memory · proof · keeping
//!         │
//!     executor                     performs what the pure core asks for
//!         ├──────────── providers  the models: four wire formats and a simulation
//!         ├──────────── tools      what agents may do in the world, and what keeps them inside it
//!         ├──────────── memory     recall and advice: embeddings, index, search, chances
//!         ├──────────── lake       histories of other systems come in, tables for other engines go out
//!         │
//!       store                      log · codec · chain · journal · sled · payloads · projections · owner and clients
//!         │
//!       views                      pure folds: read models
//!         │
//!       domain                     pure rules: template · form · team · judge · prices · run (decide · evolve · pending)
//! ```
//!
//! - [`domain`] is where every decision is made, without I/O, clock or randomness. Begin with [`domain::event`], what can
//!   happen, and [`domain::run`], what follows from it.
//! - [`views`] folds events into what is shown: [`views::run_list`] and [`views::run_detail`].
//! - [`analytics`] says what those rows mean: reports with their uncertainty, over [`views::stats`] and [`views::costs`].
//! - [`charts`] draws those reports, as SVG for pages and as text for terminals.
//! - [`audit`] proves what happened: every rule looked at again, every decision made again, over one run's events.
//! - [`store`] keeps the promise: [`store::journal`] acknowledges, [`store::ordered`] is the index in sled that can always
//!   be rebuilt, [`store::owned`] puts them together, [`store::session`] is how any number of processes share them.
//! - [`providers`] speak to models and know nothing of runs; [`settings`] say which, and where each value comes from.
//! - [`tools`] read files and run allowed programs for agents; [`tools::root`] is the wall around what is read.
//! - [`executor`] starts the calls and tools that [`domain::run::pending`] asks for and feeds their outcome back as commands.
//! - [`memory`] finds past runs by words and by meaning ([`memory::search`]) and learns from outcomes ([`memory::advice`]); all
//!   of it is derived from the log and can be deleted.
//! - [`lake`] reads what other systems and coding agents wrote down and makes events of it, and makes tables and traces of events.
//! - [`workspace`] is the library's door: open a store, check a template, run it, read and follow what happened.
//! - [`cli`] is the program's door, [`ui`] that of a browser on the same machine, and [`mcp`] the one for coding agents, over the
//!   Model Context Protocol.
//!
//! # Example
//!
//! Runs a template against the simulated models and reads what happened; `examples/library.rs` shows more:
//!
//! ```
//! use meno::settings::Preset;
//! use meno::workspace::{RunRequest, Workspace};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let dir = folder.path().join("store");
//! let workspace = Workspace::at(&dir, Some(Preset::Simulated))?;
//! let template = workspace.runs().template("python_package_publish")?;
//! // What is not answered takes the template's default.
//! let request = RunRequest::new().answer("package_name", "demo").answer("has_tests", true).seed(7);
//! let run = workspace.runs().run_to_end(&template, request)?;
//! println!("{}: {} agents, {} nUSD", run.status.name(), run.agents.len(), run.cost_nusd);
//!
//! // The log itself, from its first event; `follow` is a stream that goes on.
//! for event in workspace.runs().events(1) {
//!     let event = event?;
//!     println!("{} {}", event.envelope.seq, event.event.name());
//! }
//! # Ok(())
//! # }
//! ```

pub mod analytics;
pub mod audit;
pub mod charts;
pub mod cli;
pub mod domain;
pub mod executor;
pub mod lake;
pub mod mcp;
pub mod memory;
pub mod providers;
pub mod settings;
pub mod store;
pub mod tools;
pub mod ui;
pub mod views;
pub mod workspace;
