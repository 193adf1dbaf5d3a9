//! What can be typed: commands, options, their help, and the checks that need nothing but the words themselves.
//!
//! This is the only place that knows clap. Values arrive parsed into types that cannot be wrong; whether a template or a
//! run exists is for the commands to find out.

pub mod analysis;
pub mod bench;
pub mod import;
pub mod keeping;
pub mod logs;
pub mod mcp;
pub mod memory;
pub mod proof;
pub mod query;
pub mod run;
pub mod template;
pub mod ui;
pub mod values;

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use jiff::tz::TimeZone;

use super::output::Color;
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;
use crate::views::run_list::SortBy;
use crate::views::status::RunStatus;
pub use analysis::{AnalyticsArgs, CostsArgs, TelemetryCommand, TelemetryFormat, TelemetrySpan};
pub use import::{ImportCommand, ImportEventsArgs, ImportRunsArgs, ImportTranscriptsArgs};
pub use keeping::{
    BackupArgs, ExportArgs, ExportFormat, ForgetArgs, PullArgs, PurgeArgs, PushArgs, PushFormat, RekeyArgs, RestoreArgs,
};
pub use logs::LogArgs;
pub use mcp::{McpArgs, McpCommand};
pub use proof::{AuditArgs, DiffArgs, ReplayArgs, SealArgs};
pub use run::{ForkArgs, NewTerms, RerunArgs, ResolveArgs, ResumeArgs, RunArgs, UndoArgs};
pub use template::{ExportTemplateArgs, ListTemplatesArgs, ShowTemplateArgs, TemplateCommand, ValidateTemplateArgs};
pub use ui::UiArgs;
use values::{KeyValue, Moment, RunRef, Setting, mode, run_status, seconds, time_zone, whole};

/// Run teams of LLM agents and search past runs
#[derive(Debug, Parser)]
#[command(
    name = "meno",
    version,
    arg_required_else_help = true,
    infer_subcommands = false,
    after_help = "A template's questions are asked; the answers decide which agents are needed; each agent tries the cheapest model \
        that may do, is judged by objective criteria, and escalates to the next tier only when it failed them.\n\n\
        Start with `meno list-templates`, then `meno run TEMPLATE`. `meno COMMAND --help` says more.\n\n\
        Exit codes: 0 done, 1 something you can mend, 2 usage, 3 the run did not succeed, 4 a verification found a \
        violation, 5 the store cannot be reached or written to, 70 a fault of meno itself, 130 interrupted."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Use this store instead of MENO_STORE, .meno/ or your own
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Use these settings instead of MENO_CONFIG or your config.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Use this price table over the built-in one and yours
    #[arg(long, global = true, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Print one JSON document (JSON Lines for streams)
    #[arg(long, global = true)]
    pub json: bool,
    /// Colour output
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        hide_possible_values = true,
        help = "Colour output: auto, always, never [default: auto]",
        hide_default_value = true
    )]
    pub color: Color,
    /// Print only data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more about what is done
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Write the trace to this file (filter: MENO_LOG)
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Fail instead of asking for what is missing
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Show times in this zone: Europe/Berlin, UTC, +02:00
    #[arg(long, global = true, value_name = "ZONE", value_parser = time_zone, allow_hyphen_values = true)]
    pub time_zone: Option<TimeZone>,
    /// Wait this long for a store held by another process
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub wait: std::time::Duration,
}

/// Returns the command line as it is read: an option that takes a number takes a negative one too, to say itself what is wrong with it.
pub fn program() -> clap::Command {
    fn numbers(command: clap::Command) -> clap::Command {
        command.mut_args(|arg| if is_number(&arg) { arg.allow_negative_numbers(true) } else { arg }).mut_subcommands(numbers)
    }
    numbers(Cli::command())
}

/// Tells whether an option takes a number.
fn is_number(arg: &clap::Arg) -> bool {
    let of = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<f64>(),
        TypeId::of::<NanoUsd>(),
        TypeId::of::<std::time::Duration>(),
    ];
    let value = arg.get_value_parser().type_id();
    !arg.is_positional() && arg.get_action().takes_values() && of.iter().any(|number| value == *number)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a store for this folder: .meno/ with config.toml
    Init,
    /// Trust the settings and templates of a project's store
    Trust(TrustArgs),
    /// List templates
    #[command(visible_alias = "templates")]
    ListTemplates(ListTemplatesArgs),
    /// Show a template: questions, rules, conditions, expected cost
    ShowTemplate(ShowTemplateArgs),
    /// Create a template, or add one to the store
    #[command(subcommand, arg_required_else_help = true)]
    Template(TemplateCommand),
    /// Print a template's JSON
    ExportTemplate(ExportTemplateArgs),
    /// Check template files and run their tests
    ValidateTemplate(ValidateTemplateArgs),
    /// Ask a template's questions, build the team and run it
    Run(Box<RunArgs>),
    /// Continue a run that stopped
    Resume(ResumeArgs),
    /// Continue a run by saying whether a tool finished
    Resolve(ResolveArgs),
    /// Take back what a run's tools wrote
    Undo(UndoArgs),
    /// Start a run from another run's recorded state
    Fork(ForkArgs),
    /// Repeat a run with everything as it was recorded
    Rerun(RerunArgs),
    /// End a run for good
    Cancel(CancelArgs),
    /// List runs, newest first
    #[command(visible_alias = "runs")]
    ListRuns(ListRunsArgs),
    /// Show a run in detail
    ShowRun(ShowRunArgs),
    /// Print a run's report
    Report(ReportArgs),
    /// Write a run as files: config, answers, agents, report
    ExportRun(ExportRunArgs),
    /// Show run analytics: success, cost, tiers, failures
    Analytics(AnalyticsArgs),
    /// Show costs by day, model, template, role and more
    Costs(CostsArgs),
    /// Show or export model calls, without prompts and outputs
    #[command(subcommand, arg_required_else_help = true)]
    Telemetry(TelemetryCommand),
    /// Print the event log
    Events(EventsArgs),
    /// Add a note to a run
    Note(NoteArgs),
    /// Import run histories or another store's log
    #[command(subcommand, arg_required_else_help = true)]
    Import(ImportCommand),
    /// Write the store to one verified file
    Backup(BackupArgs),
    /// Create a store from a backup
    Restore(RestoreArgs),
    /// Export the log, verifiable, with or without private parts
    Export(ExportArgs),
    /// Push the log to a shared folder or bucket
    Push(PushArgs),
    /// Pull the logs of other stores, each verified
    Pull(PullArgs),
    /// Remove a run's texts from the store for good
    Forget(ForgetArgs),
    /// Forget runs that ended long ago
    Purge(PurgeArgs),
    /// Encrypt payloads or change the key
    Rekey(RekeyArgs),
    /// Show settings and their sources, or change one
    Config(ConfigArgs),
    /// Show the price table
    Prices(PricesArgs),
    /// Verify the log
    Audit(AuditArgs),
    /// Replay a run, or repeat every decision and compare
    Replay(ReplayArgs),
    /// Compare two runs
    Diff(DiffArgs),
    /// Write a seal of the log, to keep elsewhere
    Seal(SealArgs),
    /// Check the store and its surroundings, and suggest fixes
    Doctor(DoctorArgs),
    /// Rebuild the store's indexes from its journal
    Rebuild,
    /// Hold the store open for other commands
    Serve,
    /// Show the store in a browser on this machine
    Ui(UiArgs),
    /// Let coding agents search the store over MCP
    Mcp(McpArgs),
    /// Search past runs
    Search(memory::SearchArgs),
    /// Suggest templates for what you want to do
    Suggest(memory::SuggestArgs),
    /// Predict a template's next run, and recommend start tiers
    Recommend(memory::RecommendArgs),
    /// Estimate other strategies from past runs
    Backtest(memory::BacktestArgs),
    /// Estimate other strategies for one recorded run
    Whatif(memory::WhatifArgs),
    /// Update the search index
    Reindex(memory::ReindexArgs),
    /// List or fetch embedding models
    #[command(subcommand, arg_required_else_help = true)]
    Model(memory::ModelCommand),
    /// Measure search and advice on your own data
    #[command(subcommand, arg_required_else_help = true)]
    Bench(bench::BenchCommand),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Write man pages to a folder
    Man(ManArgs),
}

/// `trust`.
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// The store, or a folder that has one
    #[arg(default_value = ".", value_name = "DIR")]
    pub dir: PathBuf,
}

/// `cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
}

/// `list-runs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno list-runs --status failed --since 7d\n  meno list-runs --label team=core --sort cost --limit 10"
)]
pub struct ListRunsArgs {
    /// Show only runs of this template
    #[arg(short, long, value_name = "ID")]
    pub template: Option<String>,
    /// Show only runs in this state; repeatable
    #[arg(short, long, value_name = "STATUS", value_parser = run_status(), value_delimiter = ',')]
    pub status: Vec<RunStatus>,
    /// Show only real, simulated or imported runs
    #[arg(long, value_name = "MODE", value_parser = mode())]
    pub mode: Option<Mode>,
    /// Show only runs begun since: 2026-10-01, 7d, "last week"
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Show only runs begun until then, that day included
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Show only runs with this label; repeatable
    #[arg(long = "label", value_name = "K=V")]
    pub labels: Vec<KeyValue>,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Show at most N runs
    #[arg(short = 'n', long, value_name = "N", value_parser = whole::<u64>(1..))]
    pub limit: Option<u64>,
    /// Sort runs by this
    #[arg(long, value_name = "BY", default_value = "newest", value_parser = values::sort_by())]
    pub sort: SortBy,
}

/// `show-run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno show-run last --outputs\n  meno show-run last~1 --agent linter\n  meno show-run 7QW2 --json"
)]
pub struct ShowRunArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: RunRef,
    /// Show its events too
    #[arg(long)]
    pub events: bool,
    /// Show the report and each agent's last output
    #[arg(long)]
    pub outputs: bool,
    /// Show the output of attempt N instead of the last
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..))]
    pub attempt: Option<u32>,
    /// Include the prompts
    #[arg(long)]
    pub prompts: bool,
    /// Show what its tools changed in files
    #[arg(long)]
    pub diff: bool,
    /// Show only this agent
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
}

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meno report\n  meno report last~1 > report.md")]
pub struct ReportArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: RunRef,
}

/// `export-run`.
#[derive(Debug, Args)]
pub struct ExportRunArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Write to this folder, created if missing
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Include sensitive answers in clear
    #[arg(long)]
    pub sensitive: bool,
    /// Write the output of attempt N instead of the last
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1..))]
    pub attempt: Option<u32>,
    /// Include the prompts
    #[arg(long)]
    pub prompts: bool,
}

/// `events`.
#[derive(Debug, Args)]
#[command(
    after_help = "--follow begins at the end of what there is, as `tail -f` does; -n or --from shows something of before.\n\n\
        Examples:\n  meno events last --kind TierEscalated\n  meno events -n 20\n  meno events --follow --json"
)]
pub struct EventsArgs {
    /// Only of this run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: Option<RunRef>,
    /// Print only events of this kind; repeatable
    #[arg(short, long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = values::event_kind)]
    pub kinds: Vec<&'static str>,
    /// Print new events until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Print only the last N events
    #[arg(short = 'n', long, value_name = "N", value_parser = whole::<u64>(0..))]
    pub limit: Option<u64>,
    /// Start at this position of the log
    #[arg(long, value_name = "SEQ", value_parser = whole::<u64>(1..))]
    pub from: Option<u64>,
}

/// `note`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meno note last \"missed the unsafe block in parse.rs\" --rating 2 --tag false-negative")]
pub struct NoteArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// The note
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// Rate the run from 1 (bad) to 5 (good)
    #[arg(long, value_name = "1..5", value_parser = whole::<u8>(1..=5))]
    pub rating: Option<u8>,
    /// Add a tag; repeatable
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

/// `config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meno config\n  meno config run.jobs\n  meno config run.budget_usd=2.50")]
pub struct ConfigArgs {
    /// A key to show, or KEY=VALUE to change in the store's file
    #[arg(value_name = "KEY[=VALUE]")]
    pub setting: Option<Setting>,
}

/// `prices`.
#[derive(Debug, Args)]
pub struct PricesArgs {
    /// Only of this model
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// Check this price table and use it from now on
    #[arg(long, value_name = "FILE")]
    pub update: Option<PathBuf>,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "A store on read-only media or a full disk is checked as it is: everything is read from its journal, and damage is \
        reported and not restored. Reading, searching, audit, export and backup to another place work there; commands that write end with 5."
)]
pub struct DoctorArgs {
    /// Repair what can be repaired, after making a copy
    #[arg(long)]
    pub repair: bool,
}

/// `completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "The script asks meno while you type: besides commands and options it completes runs, templates, inputs and questions. \
        Write it again after an upgrade.\n\n\
        Example:\n  meno completions bash > ~/.local/share/bash-completion/completions/meno"
)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meno man ~/.local/share/man/man1    # then: man meno-run")]
pub struct ManArgs {
    /// The folder, which is made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        let mut matches = program().try_get_matches_from(std::iter::once("meno").chain(words.split_whitespace()))?;
        Cli::from_arg_matches_mut(&mut matches)
    }

    #[test]
    fn an_option_that_takes_a_number_takes_a_negative_one_and_says_what_is_wrong_with_it() {
        let options = "run t --seed -1|run t --budget -1|replay last --speed -1|list-runs --wait -1|events -n -5|show-run --attempt -1|ui --port -1";
        for words in options.split('|') {
            let error = parse(words).unwrap_err();
            assert_eq!(error.kind(), clap::error::ErrorKind::ValueValidation, "{words}: {error}");
            assert!(error.to_string().contains("not a"), "{words}: {error}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_option_says_in_one_line_what_it_does() {
        fn look(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(!help.is_empty() && !help.contains('\n'), "{} {}", command.get_name(), argument.get_id());
                // Values with words of their own would put every option of the command on lines of its own.
                let values = argument.get_possible_values();
                let told = !argument.is_hide_possible_values_set() && values.iter().any(|value| value.get_help().is_some());
                assert!(!told, "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(look);
        }
        let mut command = Cli::command();
        command.build();
        look(&command);
    }

    #[test]
    fn help_lines_are_short_and_begin_with_a_verb() {
        const VERBS: &str = "Take Name Accept Add Allow Ask Audit Cancel Change Check Choose Colour Compare Continue Count Create Decrypt Draw Encrypt End \
            Escalate Estimate Export Fail Fetch Fix Forbid Forget Give Group Hold Import Include Learn Leave Let Limit List Measure Name \
            Predict Print Pull Purge Push Rate Read Rebuild Recommend Record Remove Repair Repeat Replay Resume Retry Run Search Set Show Sign Skip Sort \
            Start Suggest Trust Update Use Verify Wait Write";
        fn look(command: &clap::Command, wrong: &mut Vec<String>) {
            let options = command.get_arguments().filter(|argument| !argument.is_positional()).filter_map(clap::Arg::get_help);
            for help in options.chain(command.get_about()).map(ToString::to_string) {
                let line = help.split(" [default: ").next().unwrap_or_default();
                let first = line.split([' ', ';']).next().unwrap_or_default();
                if line.split_whitespace().count() > 10 || !VERBS.split_whitespace().any(|verb| verb == first) {
                    wrong.push(format!("{}: {help}", command.get_name()));
                }
            }
            command.get_subcommands().for_each(|inner| look(inner, wrong));
        }
        let mut wrong = Vec::new();
        look(&Cli::command(), &mut wrong);
        assert!(wrong.is_empty(), "begin with a verb of the list, and say it in ten words:\n{}", wrong.join("\n"));
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        assert!(parse("--json list-runs").unwrap().global.json);
        let after = parse("list-runs --json --no-input --time-zone +02:00 --wait 0.5").unwrap().global;
        assert!(after.json && after.no_input && after.time_zone.is_some());
        assert_eq!(after.wait, std::time::Duration::from_millis(500));
    }

    #[test]
    fn wrong_words_are_usage_errors_that_name_what_is_allowed() {
        for (words, expected) in [
            ("run release_prep --budget -1", "not an amount"),
            ("run release_prep --budget 1e3", "not an amount"),
            ("run release_prep --set novalue", "KEY=VALUE"),
            ("run release_prep --escalate maybe", "auto"),
            ("run release_prep --strategy cheap", "cheap_only"),
            ("run release_prep --jobs 0", "positive"),
            ("run release_prep --jobs -1", "positive"),
            ("list-runs --status done", "succeeded"),
            ("list-runs --limit 0", "positive"),
            ("list-runs -n -1", "positive"),
            ("search --limit 0 words", "positive"),
            ("list-runs --since someday", "yesterday"),
            ("list-runs --time-zone Mars/Phobos", "time zone"),
            ("show-run 7Q", "at least 4"),
            ("note last text --rating 6", "1 to 5"),
            ("events --kind Nonsense", "kind"),
            ("resume last --approve --deny", "cannot be used with"),
            ("frobnicate", "unrecognized"),
        ] {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words}");
            assert!(error.to_string().contains(expected), "{words}: {error}");
        }
    }
}
