//! What can be typed: commands, options, their help, and the checks that need nothing but the words themselves.
//!
//! This is the only place that knows clap. Values arrive parsed into types that cannot be wrong; whether a template or a
//! run exists is for the commands to find out.

pub mod analysis;
pub mod bench;
pub mod import;
pub mod keeping;
pub mod memory;
pub mod proof;
pub mod query;
pub mod run;
pub mod values;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::tz::TimeZone;

use super::output::Color;
use crate::domain::event::Mode;
use crate::views::run_list::{LogFilter, SortBy};
use crate::views::status::RunStatus;
pub use analysis::{AnalyticsArgs, CostsArgs, TelemetryCommand, TelemetryFormat, TelemetrySpan};
pub use import::{ImportCommand, ImportEventsArgs, ImportRunsArgs};
pub use keeping::{BackupArgs, ExportArgs, ExportFormat, ForgetArgs, PurgeArgs, RekeyArgs, RestoreArgs};
pub use proof::{AuditArgs, DiffArgs, ReplayArgs, SealArgs};
pub use run::{ForkArgs, NewTerms, RerunArgs, ResumeArgs, RunArgs};
use values::{KeyValue, Moment, RunRef, Setting, mode, run_status, seconds, time_zone};

/// Run teams of LLM agents from templates; remember everything
#[derive(Debug, Parser)]
#[command(
    name = "meno",
    version,
    arg_required_else_help = true,
    infer_subcommands = false,
    max_term_width = 110,
    after_help = "A template's questions are asked; the answers decide which agents are needed; each agent tries the cheapest model \
        that may do, is judged by objective criteria, and climbs a tier only when it failed them.\n\n\
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
    /// The store to use; else MENO_STORE, the nearest .meno/ upward, your own
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Your settings; else MENO_CONFIG, the usual config.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A price table over the built-in one and your own
    #[arg(long, global = true, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Print one JSON document (JSON Lines for streams)
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN",
        hide_possible_values = true,
        help = "When to colour: auto, always, never [default: auto]",
        hide_default_value = true
    )]
    pub color: Color,
    /// Only data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More words about what is done
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Write the trace to this file (what is traced: MENO_LOG)
    #[arg(long, global = true, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Never ask; what is missing is an error
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Show times in this zone: a name like Europe/Berlin, UTC, or an offset like +02:00
    #[arg(long, global = true, value_name = "ZONE", value_parser = time_zone, allow_hyphen_values = true)]
    pub time_zone: Option<TimeZone>,
    /// How long to wait for a store that another process holds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub wait: std::time::Duration,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a store for this folder: .meno/ with a commented config.toml
    Init,
    /// Trust the settings and templates of a store that lies in a project
    Trust(TrustArgs),
    /// List all templates
    #[command(visible_alias = "templates")]
    ListTemplates,
    /// Show a template: questions, rules, conditions, expected cost
    ShowTemplate(ShowTemplateArgs),
    /// Make a template, or take one into the store
    #[command(subcommand, arg_required_else_help = true)]
    Template(TemplateCommand),
    /// Print a template's JSON
    ExportTemplate(ExportTemplateArgs),
    /// Check template files: all problems with place and remedy, then their tests
    ValidateTemplate(ValidateTemplateArgs),
    /// Ask a template's questions, build the team and run it
    Run(Box<RunArgs>),
    /// Go on with a run that stopped
    Resume(ResumeArgs),
    /// Begin a run where another one was, with the work of it that still counts
    Fork(ForkArgs),
    /// Run once more what another run did, as it was recorded
    Rerun(RerunArgs),
    /// End a run for good
    Cancel(CancelArgs),
    /// List runs, newest first
    #[command(visible_alias = "runs")]
    ListRuns(ListRunsArgs),
    /// Show the whole story of a run
    ShowRun(ShowRunArgs),
    /// Print a run's report
    Report(ReportArgs),
    /// Write a run as files: config, answers, agents, result, report
    ExportRun(ExportRunArgs),
    /// Show how templates do: success, cost, tiers, failures, and what may be concluded
    Analytics(AnalyticsArgs),
    /// Show what was spent, by day, model, template or whatever else
    Costs(CostsArgs),
    /// Show or export the model calls, without anything that was said
    #[command(subcommand, arg_required_else_help = true)]
    Telemetry(TelemetryCommand),
    /// Print the event log
    Events(EventsArgs),
    /// Say something about a run; it is remembered with it
    Note(NoteArgs),
    /// Take in what other systems wrote down
    #[command(subcommand, arg_required_else_help = true)]
    Import(ImportCommand),
    /// Write the store into one file, verified, while others go on
    Backup(BackupArgs),
    /// Make a store out of a backup
    Restore(RestoreArgs),
    /// Hand the log over to somebody: verifiable, with or without private parts
    Export(ExportArgs),
    /// Remove what was said in a run from every file of the store, for good
    Forget(ForgetArgs),
    /// Forget runs that ended long ago
    Purge(PurgeArgs),
    /// Encrypt the texts beside the log, or change their key
    Rekey(RekeyArgs),
    /// Show settings with their sources, or change one of the store
    Config(ConfigArgs),
    /// Show the price table
    Prices(PricesArgs),
    /// Prove that everything is as it was written and holds together
    Audit(AuditArgs),
    /// Go through a run again, or make every decision anew and compare
    Replay(ReplayArgs),
    /// Show how two runs differ
    Diff(DiffArgs),
    /// Write down what the log is now, to be kept elsewhere
    Seal(SealArgs),
    /// Check the store and everything around it, and say what to do
    Doctor(DoctorArgs),
    /// Make the store's indexes anew from its journal
    Rebuild,
    /// Hold the store and keep it warm for other commands
    Serve,
    /// Search past runs in your own words
    Search(memory::SearchArgs),
    /// Say which template fits to what you want to do
    Suggest(memory::SuggestArgs),
    /// Say from past runs how the next one will go, and which tier to start at
    Recommend(memory::RecommendArgs),
    /// Say what the record of past runs tells about other strategies
    Backtest(memory::BacktestArgs),
    /// Say what a run's own record tells about another strategy
    Whatif(memory::WhatifArgs),
    /// Bring the search index up to the log
    Reindex(memory::ReindexArgs),
    /// Embedding models: list them, fetch one
    #[command(subcommand, arg_required_else_help = true)]
    Model(memory::ModelCommand),
    /// Measure search and advice on collections and tables of your own
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

/// `show-template`.
#[derive(Debug, Args)]
pub struct ShowTemplateArgs {
    /// The template's id, or a path to its file
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
}

/// `template …`.
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// Write a commented start of a template into the store
    New {
        /// The new template's id: a-z, 0-9, _ and -
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Check a template file and take it into the store
    Add {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `export-template`.
#[derive(Debug, Args)]
pub struct ExportTemplateArgs {
    /// The template's id
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Where to; stdout without it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `validate-template`.
#[derive(Debug, Args)]
pub struct ValidateTemplateArgs {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// `cancel`.
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
}

/// `list-runs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno list-runs --status failed --since 7d\n  meno list-runs --label team=core --sort cost --limit 10"
)]
pub struct ListRunsArgs {
    /// Only of this template
    #[arg(short, long, value_name = "ID")]
    pub template: Option<String>,
    /// Only in this state; may be given several times
    #[arg(short, long, value_name = "STATUS", value_parser = run_status(), value_delimiter = ',')]
    pub status: Vec<RunStatus>,
    /// Only real, simulated or imported ones
    #[arg(long, value_name = "MODE", value_parser = mode())]
    pub mode: Option<Mode>,
    /// Only begun then or later: 2026-10-01, 7d, yesterday, "last week", as a search reads it
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Only begun before then; a day counts to its end
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Only with this label; may be given several times
    #[arg(long = "label", value_name = "K=V")]
    pub labels: Vec<KeyValue>,
    /// Only of this imported log: its node, or its beginning or end; `own` for none of them
    #[arg(long, value_name = "NODE")]
    pub node: Option<LogFilter>,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// In which order
    #[arg(long, value_name = "BY", default_value = "newest", value_parser = values::sort_by())]
    pub sort: SortBy,
}

/// `show-run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno show-run last --outputs\n  meno show-run last~1 --agent linter\n  meno show-run 7QW2 --json"
)]
pub struct ShowRunArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: RunRef,
    /// With its events
    #[arg(long)]
    pub events: bool,
    /// Add each agent's last output with its verdict, and the report
    #[arg(long)]
    pub outputs: bool,
    /// Show the output of attempt N instead of the last one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
    /// Add what the models were told
    #[arg(long)]
    pub prompts: bool,
    /// Only this agent
    #[arg(long, value_name = "ROLE")]
    pub agent: Option<String>,
}

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  meno report\n  meno report last~1 > report.md")]
pub struct ReportArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN", default_value = "last")]
    pub run: RunRef,
}

/// `export-run`.
#[derive(Debug, Args)]
pub struct ExportRunArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// The folder to write to; made when it is not there
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// With sensitive answers in clear
    #[arg(long)]
    pub sensitive: bool,
    /// Write the output of attempt N instead of the last one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
    /// Add what the models were told
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
    /// Only of this run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: Option<RunRef>,
    /// Only of this kind; may be given several times
    #[arg(short, long = "kind", value_name = "KIND", value_delimiter = ',', value_parser = values::event_kind)]
    pub kinds: Vec<&'static str>,
    /// Go on with what is appended from now on, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last N of what is there
    #[arg(short = 'n', long, value_name = "N")]
    pub limit: Option<u64>,
    /// From this position in the log on
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    pub from: Option<u64>,
}

/// `note`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meno note last \"missed the unsafe block in parse.rs\" --rating 2 --tag false-negative")]
pub struct NoteArgs {
    /// The run: an id, its beginning or end, `last` or `last~N`
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// What there is to say
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// From 1 (bad) to 5 (good)
    #[arg(long, value_name = "1..5", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub rating: Option<u8>,
    /// A tag; may be given several times
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
    /// Check this price table and make it your own
    #[arg(long, value_name = "FILE")]
    pub update: Option<PathBuf>,
}

/// `doctor`.
#[derive(Debug, Args)]
#[command(
    after_help = "A store on read-only media or a full disk is looked at as it lies: everything is read from its journal, and damage is \
        reported and not restored. Reading, searching, audit, export and backup to another place work there; commands that write end with 5."
)]
pub struct DoctorArgs {
    /// Mend what can be mended, after making a copy
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
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(words: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("meno").chain(words.split_whitespace()))
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
            }
            command.get_subcommands().for_each(look);
        }
        let mut command = Cli::command();
        command.build();
        look(&command);
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
            ("run release_prep --jobs 0", "1"),
            ("list-runs --status done", "succeeded"),
            ("list-runs --limit 0", "1"),
            ("list-runs --since someday", "yesterday"),
            ("list-runs --time-zone Mars/Phobos", "time zone"),
            ("show-run 7Q", "at least 4"),
            ("note last text --rating 6", "1..=5"),
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
