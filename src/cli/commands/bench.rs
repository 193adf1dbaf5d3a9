//! `meno bench`: how good search and advice are, measured on collections and tables that people bring.

use super::bench_route;
use crate::cli::args::bench::{BenchCommand, BenchSearchArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::table::{Column, Fit, Table};
use crate::cli::output::words;
use crate::cli::progress::{Counting, EMBEDDING};
use crate::workspace::Access;

/// Measures.
///
/// # Errors
/// When the collection or the table is not what it must be.
pub fn run(context: &mut Context, command: &BenchCommand) -> Result<Exit> {
    match command {
        BenchCommand::Search(args) => search(context, args),
        BenchCommand::Route(args) => bench_route::run(context, args),
    }
}

fn search(context: &mut Context, args: &BenchSearchArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let counting = Counting::new(&context.out, EMBEDDING);
    let quality =
        workspace.memory().bench_search(&args.collection, &|done, total| counting.show(done, total)).map_err(|error| {
            CliError::invalid("the collection cannot be measured")
                .source(&error)
                .hint("`meno bench search --help` shows the format of a collection")
        })?;
    counting.finish();
    if context.out.json() {
        context.out.document(&quality)?;
        return Ok(Exit::Done);
    }
    let columns = [
        Column::new("mode", Fit::Words),
        Column::new("nDCG@10", Fit::Number),
        Column::new("recall@10", Fit::Number),
        Column::new("MRR", Fit::Number).optional(2),
        Column::new("p50 ms", Fit::Number).optional(1),
        Column::new("p99 ms", Fit::Number).optional(1),
    ];
    let mut table = Table::new(&context.out, &columns);
    for measured in &quality.modes {
        table.row([
            measured.mode.clone(),
            format!("{:.3}", measured.ndcg_at_10),
            format!("{:.3}", measured.recall_at_10),
            format!("{:.3}", measured.mrr),
            format!("{:.1}", measured.p50_ms),
            format!("{:.1}", measured.p99_ms),
        ]);
    }
    context.out.data(table.finish())?;
    context.out.say(format!(
        "{} over {}, embedded by {}",
        words::plural(quality.queries as u64, "question"),
        words::plural(quality.documents as u64, "document"),
        quality.embedder
    ));
    Ok(Exit::Done)
}
