//! `meno recommend`: how a template's next run will probably go, and which tier each of many tasks should start at.

use std::io::BufReader;
use std::path::Path;

use serde_json::Value;

use crate::cli::args::memory::RecommendArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::{form_fill, open, render};

use super::{run, templates};
use crate::cli::output::words;
use crate::cli::progress::{Counting, EMBEDDING};
use crate::memory::advice::past::Counts;
use crate::workspace::memory::recommend_tasks::{AskedTask, RecommendError, read_tasks};
use crate::workspace::{Access, RecommendRequest, StartError};

/// Advises on a template, or on each of many tasks.
///
/// # Errors
/// When the template is not known, or tasks or the store cannot be read.
pub fn run(context: &mut Context, args: &RecommendArgs) -> Result<Exit> {
    match (&args.template, &args.tasks) {
        (Some(template), _) => on_template(context, args, template),
        (None, Some(file)) => on_tasks(context, args, file),
        (None, None) => Err(CliError::usage("a template or --tasks is needed")),
    }
}

fn on_template(context: &mut Context, args: &RecommendArgs, id: &str) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    workspace.keeping().count_logs(args.logs.filter())?;
    // Histories of other tools come without template files: what they name is known by its runs.
    let known = workspace.library.find(id).ok().flatten();
    let template = known.as_ref().and_then(|entry| entry.template.as_ref());
    let answers = match template {
        Some(template) => {
            let given = run::given(context, args.answers.as_deref(), &args.set, template)?;
            form_fill::check_given(template, &given)?
        }
        None => args.set.iter().map(|pair| (pair.key.clone(), Value::String(pair.value.clone()))).collect(),
    };
    let given: Vec<(String, String)> = args.inputs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect();
    let inputs = workspace.memory().profiles(template, &given).map_err(StartError::Input)?;
    let request = RecommendRequest::new().include_simulated(args.include_simulated).include_unverified(args.include_unverified);
    let request = answers.into_iter().fold(request.inputs(inputs), |request, (question, value)| request.answer(question, value));
    let recommendation = workspace.memory().recommend(id, &request)?;
    if template.is_none() && recommendation.n_similar == 0 {
        templates::find(&workspace.library, id)?;
    }
    if context.out.json() {
        context.out.document(&recommendation)?;
    } else {
        context.out.data(render::recommend::recommendation(&context.out, &recommendation))?;
    }
    Ok(Exit::Done)
}

/// Prints one line of advice per task, JSON Lines.
fn on_tasks(context: &mut Context, args: &RecommendArgs, file: &Path) -> Result<Exit> {
    let tasks = tasks(file)?;
    let workspace = open::store(context, Access::Read)?;
    workspace.keeping().count_logs(args.logs.filter())?;
    let embedding = Counting::new(&context.out, EMBEDDING);
    let counts = Counts { simulated: args.include_simulated, unverified: args.include_unverified };
    let advice = workspace
        .memory()
        .recommend_tasks(&tasks, counts, &|done, total| embedding.show(done, total))
        .map_err(|error| report(file, error))?;
    embedding.finish();
    for line in &advice.tasks {
        context.out.json_line(line)?;
    }
    if let Some(why) = &advice.without_meaning {
        context.out.warn(format!("texts were compared by words alone, without the embedding model: {why}"));
    }
    context.out.say(format!("learned from {}", words::plural(advice.learned_from as u64, "past task")));
    if advice.not_embedded > 0 {
        context.out.say(format!(
            "{} of them are compared by their form alone, since they are not embedded yet: each call embeds some more, the nearest by words first",
            words::count(advice.not_embedded as u64)
        ));
    }
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

fn report(file: &Path, error: RecommendError) -> CliError {
    match error {
        RecommendError::Store(error) => CliError::from(error),
        RecommendError::Io(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            CliError::not_found(format!("there is no file {}", file.display()))
        }
        error => CliError::invalid(format!("{} is not a list of tasks", file.display()))
            .source(&error)
            .hint("`meno recommend --help` shows the format of a task"),
    }
}
