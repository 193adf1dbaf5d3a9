//! Arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure search on a test collection: nDCG@10, recall@10, MRR, latency
    Search(BenchSearchArgs),
}

/// `bench search`.
#[derive(Debug, Args)]
pub struct BenchSearchArgs {
    /// A folder with docs.jsonl {id, title?, text} or histories.jsonl (as `import runs` takes), queries.jsonl {id, text} and qrels.tsv (question, document, grade)
    #[arg(value_name = "COLLECTION")]
    pub collection: PathBuf,
}
