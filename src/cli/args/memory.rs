//! Arguments of the commands that recall the past: `search`, `suggest`, `recommend`, `backtest`, `whatif`, `reindex`, `model`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

use super::LogArgs;
use super::values::{sort, whole};
use crate::domain::tier::Strategy;
use crate::memory::query::{SYNTAX, Sort};

/// `search`.
#[derive(Debug, Args)]
#[command(after_help = SYNTAX)]
pub struct SearchArgs {
    /// What to look for, in your own words; key:value filters
    #[arg(value_name = "QUERY", required = true, num_args = 1..)]
    pub query: Vec<OsString>,
    /// Show at most N runs [default: as the query says, or 10]
    #[arg(long, short = 'n', value_name = "N", value_parser = whole::<u32>(1..))]
    pub limit: Option<u32>,
    /// Sort by this order
    #[arg(long, value_name = "ORDER", value_parser = sort())]
    pub sort: Option<Sort>,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Search by words alone, without the embedding model
    #[arg(long)]
    pub lexical: bool,
    /// Show also runs that are not close to the question
    #[arg(long)]
    pub all: bool,
    /// Show ranks, scores, filters, order and what was dropped
    #[arg(long)]
    pub explain: bool,
}

/// `suggest`.
#[derive(Debug, Args)]
pub struct SuggestArgs {
    /// What you want to do, in your own words
    #[arg(value_name = "WORDS", required = true, num_args = 1..)]
    pub words: Vec<OsString>,
}

/// `recommend`.
#[derive(Debug, Args)]
#[command(
    after_help = "With TEMPLATE: how a run will probably go, where each agent should start, what to answer. The strategy `adaptive` \
        (`meno run TEMPLATE --strategy adaptive`) starts agents there.\n\n\
        With --tasks: FILE is JSON Lines: {\"id\", \"template_id\"?, \"role\", \"text\"}. For each task comes one line: {\"id\", \"start_tier\", \
        \"tiers\": [{\"tier\", \"p_pass\", \"low\", \"high\", \"n\", \"benefit\", ...}], \"evidence\": [run ids]}. p_pass is the chance of a first \
        attempt with its 95 % interval, `basis` what it is known from; p_pass_after_failure is the chance once a lower tier has failed. \
        benefit is the chance that the tier passes and the next lower listed one fails; start_tier is null while too \
        little is known, and so is every number of a tier with less than `memory.min_sample` attempts.\n\n\
        Examples:\n  meno recommend release_prep --set checks=Security\n  \
        meno recommend security_audit --input source=./src\n  meno recommend --tasks tasks.jsonl"
)]
pub struct RecommendArgs {
    /// The template
    #[arg(value_name = "TEMPLATE", required_unless_present = "tasks", conflicts_with = "tasks")]
    pub template: Option<String>,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Read answers from a JSON or TOML file
    #[arg(long, value_name = "FILE", conflicts_with = "tasks")]
    pub answers: Option<std::path::PathBuf>,
    /// Give an answer; repeatable
    #[arg(long = "set", value_name = "ID=VALUE", conflicts_with = "tasks")]
    pub set: Vec<super::values::KeyValue>,
    /// Give material: a file, folder or text; repeatable
    #[arg(long = "input", value_name = "ID=PATH", conflicts_with = "tasks")]
    pub inputs: Vec<super::values::KeyValue>,
    /// Recommend start tiers for these tasks; - for stdin
    #[arg(long, value_name = "FILE")]
    pub tasks: Option<std::path::PathBuf>,
    /// Learn from simulated runs too
    #[arg(long)]
    pub include_simulated: bool,
    /// Count unverified successes as successes
    #[arg(long)]
    pub include_unverified: bool,
}

/// `backtest`.
#[derive(Debug, Args)]
#[command(after_help = "Each recorded task is followed along the strategy's tiers, with the outcomes and costs recorded there. \
        Where a task never tried a tier, its outcome is unknown and counted as unknown. `adaptive` uses only runs that \
        began earlier.\n\n\
        Examples:\n  meno backtest --strategy adaptive,cheap_only\n  meno backtest --strategy capable_first --runs \"template:release_prep since:30d\"")]
pub struct BacktestArgs {
    /// Estimate these: cheap_only, progressive, capable_first, premium_only, adaptive
    #[arg(long, value_name = "S,…", value_delimiter = ',', required = true, value_parser = super::values::strategy(), hide_possible_values = true)]
    pub strategy: Vec<Strategy>,
    /// Use only runs that this filter finds, as in search
    #[arg(long, value_name = "FILTER")]
    pub runs: Option<String>,
    /// Use simulated runs too
    #[arg(long)]
    pub include_simulated: bool,
    /// Count unverified successes as successes
    #[arg(long)]
    pub include_unverified: bool,
}

/// `whatif`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meno whatif last --strategy cheap_only,premium_only")]
pub struct WhatifArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN")]
    pub run: super::values::RunRef,
    /// Estimate these: cheap_only, progressive, capable_first, premium_only, adaptive
    #[arg(long, value_name = "S,…", value_delimiter = ',', required = true, value_parser = super::values::strategy(), hide_possible_values = true)]
    pub strategy: Vec<Strategy>,
}

/// `reindex`.
#[derive(Debug, Args)]
pub struct ReindexArgs {
    /// Rebuild the index, keeping known embeddings
    #[arg(long)]
    pub anew: bool,
}

/// `model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// List embedding models, built-in and fetchable
    List,
    /// Fetch a model; the only command that downloads one
    Fetch(ModelFetchArgs),
}

/// `model fetch`.
#[derive(Debug, Args)]
pub struct ModelFetchArgs {
    /// The model's name, as `meno model list` shows it
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = super::values::seconds)]
    pub deadline: std::time::Duration,
}
