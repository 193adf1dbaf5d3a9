//! `meno recommend --tasks`: which tier each of many tasks should start at.

use std::io::BufReader;
use std::path::Path;

use crate::cli::args::memory::RecommendArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Report, Result};
use crate::cli::open;
use crate::cli::output::words;
use crate::cli::progress::Counting;
use crate::memory::advice::past::Counts;
use crate::workspace::Access;
use crate::workspace::recommend_tasks::{AskedTask, RecommendError, read_tasks};

/// Prints one line of advice per task, JSON Lines.
///
/// # Errors
/// When the tasks or the store cannot be read.
pub fn run(context: &mut Context, args: &RecommendArgs) -> Result<Exit> {
    let tasks = tasks(&args.tasks)?;
    let workspace = open::store(context, Access::Read)?;
    let embedding = Counting::new(&context.out, "embedding");
    let counts = Counts { simulated: args.include_simulated, unverified: args.include_unverified };
    let advice = workspace
        .recommend_tasks(&tasks, counts, &|done, total| embedding.show(done, total))
        .map_err(|error| report(&args.tasks, error))?;
    embedding.finish();
    for line in &advice.tasks {
        context.out.json_line(line)?;
    }
    if let Some(why) = &advice.without_meaning {
        context.out.warn(format!("texts were compared by their form alone, without meaning: {why}"));
    }
    context.out.say(format!("learned from {}", words::plural(advice.learned_from as u64, "past task")));
    Ok(Exit::Done)
}

fn tasks(file: &Path) -> Result<Vec<AskedTask>> {
    let read = if file == Path::new("-") {
        read_tasks(std::io::stdin().lock())
    } else {
        std::fs::File::open(file).map_err(RecommendError::Io).and_then(|open| read_tasks(BufReader::new(open)))
    };
    read.map_err(|error| report(file, error))
}

fn report(file: &Path, error: RecommendError) -> Report {
    match error {
        RecommendError::Store(error) => Report::from(error),
        RecommendError::Io(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            Report::not_found(format!("there is no file {}", file.display()))
        }
        error => Report::invalid(format!("{} is no list of tasks", file.display()))
            .source(&error)
            .hint("`meno recommend --help` says what a task is"),
    }
}
