//! The commands, one file each: what was typed goes in, a use case is called, what it gives is rendered.

pub mod backtest;
pub mod backup;
pub mod bench;
mod bench_route;
pub mod cancel;
pub mod completions;
pub mod config;
pub mod export_tables;
pub mod export_template;
pub mod fork;
pub mod init;
pub mod list_templates;
pub mod man;
pub mod model;
pub mod prices;
pub mod recommend;
pub mod resolve;
pub mod resume;
pub mod run;
pub mod search;
pub mod show_template;
pub mod template;
mod templates;
pub mod trust;
pub mod validate_template;

pub mod analytics;
pub mod audit;
pub mod costs;
pub mod diff;
pub mod doctor;
pub mod events;
pub mod export;
pub mod export_run;
pub mod forget;
pub mod import;
mod import_events;
mod import_history;
mod import_transcripts;
pub mod list_runs;
pub mod mcp;
pub mod note;
pub mod rebuild;
pub mod rekey;
pub mod replay;
pub mod report;
#[cfg(test)]
mod schema_test;
#[cfg(test)]
mod screens_test;
pub mod seal;
pub mod serve;
pub mod show_run;
mod sync;
pub mod telemetry;
pub mod ui;
pub mod undo;

#[cfg(test)]
mod tests;

use super::args::Command;
use super::context::Context;
use super::error::{Exit, Result};

/// Carries out `command`; returns how the program ends when nothing went wrong.
///
/// # Errors
/// Whatever keeps the command from doing what it was asked.
pub fn dispatch(context: &mut Context, command: Command) -> Result<Exit> {
    match command {
        Command::Run(args) => run::run(context, &args).map_err(|report| report.about("TEMPLATE", &args.template)),
        Command::Resume(args) => resume::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Resolve(args) => resolve::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Undo(args) => undo::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Fork(args) => fork::fork(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Rerun(args) => fork::rerun(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Cancel(args) => cancel::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Completions(args) => completions::run(context, &args),
        Command::Man(args) => man::run(context, &args),
        Command::Init => init::run(context),
        Command::Trust(args) => trust::run(context, &args),
        Command::ListTemplates(args) => list_templates::run(context, &args),
        Command::ShowTemplate(args) => show_template::run(context, &args),
        Command::Template(command) => template::run(context, &command),
        Command::ExportTemplate(args) => export_template::run(context, &args),
        Command::ValidateTemplate(args) => validate_template::run(context, &args),
        Command::Config(args) => config::run(context, &args),
        Command::Prices(args) => prices::run(context, &args),
        Command::ListRuns(args) => list_runs::run(context, &args),
        Command::ShowRun(args) => show_run::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Report(args) => report::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::ExportRun(args) => export_run::run(context, &args),
        Command::Events(args) => events::run(context, &args),
        Command::Note(args) => note::run(context, &args).map_err(|report| report.about("RUN", &args.run)),
        Command::Import(command) => import::run(context, &command),
        Command::Backup(args) => backup::backup(context, &args),
        Command::Restore(args) => backup::restore(context, &args),
        Command::Export(args) => export::run(context, &args),
        Command::Push(args) => sync::push(context, &args),
        Command::Pull(args) => sync::pull(context, &args),
        Command::Forget(args) => forget::forget(context, &args),
        Command::Rekey(args) => rekey::run(context, &args),
        Command::Purge(args) => forget::purge(context, &args),
        Command::Analytics(args) => analytics::run(context, &args),
        Command::Costs(args) => costs::run(context, &args),
        Command::Telemetry(command) => telemetry::run(context, &command),
        Command::Audit(args) => audit::run(context, &args),
        Command::Replay(args) => replay::run(context, &args),
        Command::Diff(args) => diff::run(context, &args),
        Command::Seal(args) => seal::run(context, &args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Rebuild => rebuild::run(context),
        Command::Serve => serve::run(context),
        Command::Ui(args) => ui::run(context, &args),
        Command::Mcp(args) => mcp::run(context, &args),
        Command::Search(args) => search::search(context, &args),
        Command::Suggest(args) => search::suggest(context, &args),
        Command::Recommend(args) => recommend::run(context, &args),
        Command::Backtest(args) => backtest::backtest(context, &args),
        Command::Whatif(args) => backtest::whatif(context, &args),
        Command::Reindex(args) => search::reindex(context, &args),
        Command::Model(command) => model::run(context, &command),
        Command::Bench(command) => bench::run(context, &command),
    }
}
