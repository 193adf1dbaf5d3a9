//! `meno search`, `meno suggest`, `meno reindex`: what happened before, found by asking.

use std::ffi::OsString;

use jiff::Zoned;

use crate::cli::args::memory::{ReindexArgs, SearchArgs, SuggestArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::{sanitize, words};
use crate::cli::progress::{Counting, EMBEDDING, INDEXING};
use crate::cli::{open, render};
use crate::workspace::{Access, RecallError, SearchRequest};

/// Searches the past.
///
/// # Errors
/// When the store or its index cannot be read.
pub fn search(context: &mut Context, args: &SearchArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let now = Zoned::now().with_time_zone(context.out.zone().clone());
    let logs = workspace.keeping().known_logs(args.logs.filter())?;
    let request = SearchRequest {
        limit: args.limit.map(|limit| limit as usize),
        sort: args.sort,
        ..SearchRequest::new(joined(&args.query))
    };
    let request = request.lexical_only(args.lexical).all(args.all).of_logs(logs).now(&now);
    let found = workspace.memory().search(&request).map_err(report)?;
    if context.out.json() {
        context.out.document(&found)?;
        return Ok(Exit::Done);
    }
    context.out.say(render::search::understood(&found, args.explain));
    for option in args.query.iter().filter(|word| word.to_str().is_some_and(|word| word.starts_with("--"))) {
        context.out.say(format!("`{}` is searched as text: there is no such option", sanitize::line(&option.to_string_lossy())));
    }
    for notice in found.understood.notes.iter().chain(&found.notices) {
        context.out.say(notice);
    }
    if found.nothing_close {
        context.out.say(match found.hits.is_empty() {
            true => "nothing close: no run shares a word of weight with the question or means something like it; --all shows the nearest",
            false => "nothing close: these are the nearest of runs that have nothing to do with the question",
        });
    }
    if found.hits.is_empty() && found.nothing_close {
        return Ok(Exit::Done);
    }
    if found.hits.is_empty() {
        context.out.say(match found.log_head {
            0 | 1 => format!("no runs yet in {}; `meno list-templates` shows what can be run", workspace.store.path.display()),
            _ => "nothing was found; fewer filters find more, and `meno list-runs` shows all runs".to_owned(),
        });
        return Ok(Exit::Done);
    }
    let all = if context.out.width().is_some() { workspace.runs().run_ids()? } else { Vec::new() };
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    context.out.data(render::search::hits(&context.out, &found, &all, args.explain))?;
    if (found.hits.len() as u64) < found.total {
        let total = words::plural(found.total, "run");
        context.out.say(format!("{} of {total}; more with --limit", found.hits.len()));
    }
    Ok(Exit::Done)
}

/// Says which template fits to what a person wants to do.
///
/// # Errors
/// When the store cannot be read.
pub fn suggest(context: &mut Context, args: &SuggestArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let suggested = workspace.memory().suggest(&joined(&args.words)).map_err(report)?;
    if context.out.json() {
        context.out.document(&suggested)?;
        return Ok(Exit::Done);
    }
    if suggested.templates.is_empty() {
        context.out.say("no template fits; `meno list-templates` shows all, `meno template new ID` begins a new one");
        return Ok(Exit::Done);
    }
    context.out.data(render::search::suggested(&context.out, &suggested))?;
    Ok(Exit::Done)
}

/// Brings both sides of the index up to the log.
///
/// # Errors
/// When the index cannot be written.
pub fn reindex(context: &mut Context, args: &ReindexArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    let patience = context.global.wait;
    let (events, passages) = (Counting::new(&context.out, INDEXING), Counting::new(&context.out, EMBEDDING));
    let indexed = workspace
        .memory()
        .reindex(args.anew, patience, &|done, all| events.show(done, all), &|done, all| passages.show(done, all));
    events.finish();
    passages.finish();
    let indexed = indexed.map_err(report)?;
    if context.out.json() {
        context.out.document(&indexed)?;
        return Ok(Exit::Done);
    }
    let (runs, embedded) = (words::plural(indexed.runs, "run"), words::plural(indexed.embedded, "passage"));
    context.out.say(format!("indexed {runs} and embedded {embedded}; the index has seen all {} events", indexed.indexed_to));
    Ok(Exit::Done)
}

/// Joins words as they were typed; what is no text is replaced.
fn joined(words: &[OsString]) -> String {
    words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// What kept the past from being recalled, for people.
pub fn report(error: RecallError) -> CliError {
    if let Some(why) = error.unwritable() {
        return CliError::unwritable(error.to_string(), why);
    }
    match error {
        RecallError::Store(error) => error.into(),
        RecallError::Busy => CliError::new("index_busy", Exit::Unreachable, "another process is changing the search index")
            .hint("wait for it, or raise --wait"),
        RecallError::Embed(error) => CliError::new("model", Exit::Mendable, error.to_string())
            .hint("`meno model list` shows the models, `meno model fetch NAME` fetches one"),
        other => CliError::new("index", Exit::Mendable, "the search index cannot be used")
            .source(&other)
            .hint("the index can be deleted at any time: `meno reindex --anew` rebuilds it"),
    }
}
