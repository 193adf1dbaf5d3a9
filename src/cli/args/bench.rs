//! Arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::values::whole;

/// `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure search quality and latency on a test collection
    Search(BenchSearchArgs),
    /// Measure routing on a table of known outcomes
    Route(BenchRouteArgs),
}

/// `bench search`.
#[derive(Debug, Args)]
pub struct BenchSearchArgs {
    /// A folder with docs.jsonl {id, title?, text} or histories.jsonl (as `import runs` takes), queries.jsonl {id, text} and qrels.tsv (question, document, grade)
    #[arg(value_name = "COLLECTION")]
    pub collection: PathBuf,
}

/// `bench route`.
#[derive(Debug, Args)]
#[command(
    after_help = "DATA is JSON Lines, {\"text\", \"models\": {NAME: {\"correct\" or \"score\", \"cost_usd\"}}}, or CSV with the columns text and, \
        for each model, NAME.correct and NAME.cost_usd. Each split learns from its history alone and is measured on other tasks.\n\n\
        APGR is the mean share of the quality gap between the two models that is recovered over all shares of calls to the \
        stronger one: 0.5 is chance. CPT(50) is the share of calls that recovers half of the gap.\n\n\
        Examples:\n  meno bench route outcomes.jsonl\n  \
        meno bench route outcomes.csv --weak small --strong large --history 800 --test 519 --splits 20 --json"
)]
pub struct BenchRouteArgs {
    /// The table of outcomes
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// Learn from N tasks per split [default: 60 %]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1..))]
    pub history: Option<u64>,
    /// Measure on N tasks per split [default: all others]
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1..))]
    pub test: Option<u64>,
    /// Draw history and test N times
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole::<u64>(1..=1000))]
    pub splits: u64,
    /// Set the first split's seed
    #[arg(long, value_name = "SEED", default_value = "0", value_parser = whole::<u64>(0..))]
    pub seed: u64,
    /// Measure only chains that begin with this model
    #[arg(long, value_name = "MODEL")]
    pub weak: Option<String>,
    /// Measure only chains that end with this model
    #[arg(long, value_name = "MODEL")]
    pub strong: Option<String>,
}
