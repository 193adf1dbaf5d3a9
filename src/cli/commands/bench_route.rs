//! `meno bench route`: what advice is worth on a table of known outcomes.

use crate::cli::args::bench::BenchRouteArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::progress::{Counting, EMBEDDING, MEASURING};
use crate::cli::{open, render};
use crate::workspace::Access;
use crate::workspace::memory::bench_route::{BenchRouteRequest, RouteError};

/// Measures routing.
///
/// # Errors
/// When the table is not what it must be.
pub fn run(context: &mut Context, args: &BenchRouteArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let number = |request: u64| usize::try_from(request).unwrap_or(usize::MAX);
    let request = BenchRouteRequest {
        history: args.history.map(number),
        test: args.test.map(number),
        splits: number(args.splits),
        seed: args.seed,
        weak: args.weak.clone(),
        strong: args.strong.clone(),
    };
    let embedding = Counting::new(&context.out, EMBEDDING);
    let measuring = Counting::new(&context.out, MEASURING);
    let report = workspace
        .memory()
        .bench_route(&args.data, &request, &|done, total| embedding.show(done, total), &|done, total| measuring.show(done, total))
        .map_err(|error| report(args, &error))?;
    embedding.finish();
    measuring.finish();
    if context.out.json() {
        context.out.document(&report)?;
        return Ok(Exit::Done);
    }
    let text = render::bench_route::bench_route(&context.out, &report);
    context.out.data(text)?;
    context.out.say(render::bench_route::about(&report));
    Ok(Exit::Done)
}

fn report(args: &BenchRouteArgs, error: &RouteError) -> CliError {
    let file = args.data.display();
    let report = match error {
        RouteError::Io(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            CliError::not_found(format!("there is no file {file}"))
        }
        _ => CliError::invalid(format!("{file} cannot be measured")).source(error),
    };
    match error {
        RouteError::Io(_) | RouteError::Table(_) => report.hint("`meno bench route --help` shows the format of a table"),
        RouteError::Model { meant: Some(meant), .. } => report.hint(format!("did you mean `{meant}`?")),
        RouteError::Model { .. } | RouteError::NoChain | RouteError::SameModel(_) => {
            report.hint("without --weak and --strong all chains are measured")
        }
        RouteError::Split { .. } => report.hint("ask for less with --history N and --test N"),
        RouteError::Embed(_) | RouteError::Vectors(_) => report.hint("`meno config memory.model` shows the model in use"),
    }
}
