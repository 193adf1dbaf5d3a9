//! `costs`, `telemetry` and `analytics`: questions about what was spent and how things went.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use schemars::JsonSchema;
use serde::Serialize;

use super::LogArgs;
use super::values::Moment;
use crate::analytics::spending::{Dimension, Only};

/// `analytics`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno analytics\n  meno analytics release_prep\n  meno analytics release_prep --since 30d --html report.html\n\n\
    Shares stand with the interval that holds them with 95 %. Nothing is claimed from fewer observations than memory.min_sample; \
    what is older than memory.half_life_days counts half where it says `recent`. What passes after a failure says nothing \
    certain of first attempts: the two are shown apart, and `meno recommend TEMPLATE` estimates the second from the first."
)]
pub struct AnalyticsArgs {
    /// Everything about this template; without it one line per template
    #[arg(value_name = "TEMPLATE")]
    pub template: Option<String>,
    /// Count only runs begun since: 2026-10-01, 7d, 12h, yesterday
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Count only runs begun until then, that day included
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Count simulated runs too
    #[arg(long)]
    pub include_simulated: bool,
    /// Count unverified successes as successes
    #[arg(long)]
    pub include_unverified: bool,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Write one page with charts that needs no network
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `costs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  meno costs\n  meno costs --by week,model --since 90d\n  meno costs --by role --where template=release_prep\n  meno costs --by label.team --since 2026-10-01 --json\n\n\
    Dimensions: day, week, month, mode, provider, model, tier, template, role, purpose, workspace, label, label.NAME, node, tool.\n\n\
    Every charge is in one row: the totals are the sums of the rows. Real, imported and simulated money are never added together, \
    and what is not known is said to be unknown. Charges are kept by UTC quarter hour, so --since and --until widen to whole quarters of an hour."
)]
pub struct CostsArgs {
    /// Group by these dimensions, separated by commas
    #[arg(long, value_name = "WHAT", value_delimiter = ',', default_value = "day", hide_default_value = false)]
    pub by: Vec<Dimension>,
    /// Count only costs with this value: template=release_prep, tier=premium
    #[arg(long = "where", value_name = "WHAT=VALUE")]
    pub only: Vec<Only>,
    /// Count only costs since: 2026-10-01, 7d, 12h, yesterday
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Count only costs until then, that day included
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// `telemetry …`.
#[derive(Debug, Subcommand)]
pub enum TelemetryCommand {
    /// Show sums by tier and model, and estimated savings
    Show(TelemetrySpan),
    /// Write one line per model call, without its texts
    #[command(
        after_help = "Examples:\n  meno telemetry export --format csv -o calls.csv\n  meno telemetry export --since 7d | jq .cost_nusd"
    )]
    Export {
        /// From when to when.
        #[command(flatten)]
        span: TelemetrySpan,
        /// Write jsonl, csv or otlp-json (OpenTelemetry spans)
        #[arg(long, value_enum, default_value = "jsonl", value_name = "FORM", hide_possible_values = true)]
        format: TelemetryFormat,
        /// Write to this file instead of stdout
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// From when to when.
#[derive(Clone, Debug, Default, Args)]
pub struct TelemetrySpan {
    /// Count only calls begun since: 2026-10-01, 7d, 12h, yesterday
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Count only calls begun until then, that day included
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Which logs count.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// How telemetry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TelemetryFormat {
    /// A table with a line of names
    Csv,
    /// One JSON object per line
    Jsonl,
    /// OpenTelemetry spans: OTLP JSON, 500 calls a line
    OtlpJson,
}
