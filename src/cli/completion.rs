//! What a shell asks for while somebody types: commands and options by clap, runs, templates, inputs and questions from the store.
//!
//! The store's files are read as they lie: nothing is locked, opened or written, so that a key press costs nothing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use super::args::Cli;
use super::args::values::RunRef;
use super::output::sanitize;
use crate::settings::{Places, Variables};
use crate::workspace::runs::glance::{self, Blank};

/// The variable by which a shell's script asks.
pub const VARIABLE: &str = "MENO_COMPLETE";
/// Runs that are offered, at most: the newest.
const RUNS_MAX: usize = 50;

/// Answers a shell that asks what may follow `words`; false when no shell asks.
pub fn answer(words: &[OsString]) -> bool {
    if Variables::of_process().get(VARIABLE).is_none() {
        return false;
    }
    let typed: Vec<OsString> = words.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    let current = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(|| prepared(&typed)).var(VARIABLE).bin("meno").completer("meno");
    // A shell has no place for the words of an error; it completes nothing.
    asked.try_complete(words.iter().cloned(), current.as_deref()).unwrap_or(true)
}

/// The command line, with what the store knows for its values.
fn prepared(typed: &[OsString]) -> Command {
    let surroundings = Surroundings::of(typed);
    let Some(surroundings) = surroundings else { return Cli::command() };
    with_values(Cli::command(), &surroundings)
}

fn with_values(command: Command, surroundings: &Surroundings) -> Command {
    let command = command.mut_args(|arg| with_value(arg, surroundings));
    command.mut_subcommands(|command| with_values(command, surroundings))
}

fn with_value(arg: Arg, surroundings: &Surroundings) -> Arg {
    let name = arg.get_value_names().and_then(<[_]>::first).map(ToString::to_string).unwrap_or_default();
    let Surroundings { store, template } = surroundings.clone();
    let is_template = name == "TEMPLATE" || arg.get_long() == Some("template");
    match name.as_str() {
        "RUN" => arg.add(ArgValueCompleter::new(move |typed: &OsStr| runs(&store, typed))),
        "ID=VALUE" => arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
            template.as_ref().map_or_else(Vec::new, |template| pairs(&glance::questions(&store, template), typed))
        })),
        "ID=PATH" => arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
            template.as_ref().map_or_else(Vec::new, |template| material(&glance::inputs(&store, template), typed))
        })),
        _ if is_template => arg.add(ArgValueCompleter::new(move |typed: &OsStr| templates(&store, typed))),
        _ => arg,
    }
}

/// What the words typed so far say of store and template.
#[derive(Clone)]
struct Surroundings {
    store: PathBuf,
    template: Option<String>,
}

impl Surroundings {
    fn of(typed: &[OsString]) -> Option<Self> {
        let places = Places::of_process(&Variables::of_process()).ok()?;
        // What is being typed is no option yet, so it is read as far as it goes.
        let matches = Cli::command().ignore_errors(true).try_get_matches_from(typed).ok();
        let named = matches.as_ref().and_then(|matches| value::<PathBuf>(matches, "store"));
        let store = places.store(named.as_deref(), Path::is_dir).path;
        let inner = matches.as_ref().and_then(ArgMatches::subcommand).map(|(_, inner)| inner);
        let template = inner.and_then(|inner| {
            let of_run = || template_of_run(&store, &value::<RunRef>(inner, "run")?);
            value::<String>(inner, "template").or_else(of_run)
        });
        Some(Self { store, template })
    }
}

fn value<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, id: &str) -> Option<T> {
    matches.try_get_one::<T>(id).ok().flatten().cloned()
}

fn template_of_run(store: &Path, run: &RunRef) -> Option<String> {
    let runs = glance::recent_runs(store, RUNS_MAX);
    let found = match run {
        RunRef::Last(back) => runs.get(*back as usize),
        RunRef::Id(id) => runs.iter().find(|run| run.id == *id),
        RunRef::Part(part) => runs.iter().find(|run| run.id.to_string().starts_with(part) || run.id.to_string().ends_with(part)),
    };
    found.map(|run| run.template.clone())
}

fn runs(store: &Path, typed: &OsStr) -> Vec<CompletionCandidate> {
    let runs = glance::recent_runs(store, RUNS_MAX);
    let newest = runs.first().map(|run| ("last".to_owned(), format!("the newest: {}", run.template)));
    let ids = runs.iter().map(|run| (run.id.to_string(), run.template.clone()));
    offered(newest.into_iter().chain(ids), typed)
}

fn templates(store: &Path, typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = offered(glance::templates(store), typed);
    // A template may be named by its file.
    if typed.to_string_lossy().contains(['/', '.']) {
        found.extend(paths("", &typed.to_string_lossy()));
    }
    found
}

/// Offers `id=`, and behind it the values that the question takes.
fn pairs(questions: &[Blank], typed: &OsStr) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    match text.split_once('=') {
        None => offered(questions.iter().map(|question| (format!("{}=", question.id), question.about.clone())), typed),
        Some((id, _)) => {
            let values = questions.iter().filter(|question| question.id == id).flat_map(|question| &question.values);
            offered(values.map(|value| (format!("{id}={value}"), String::new())), typed)
        }
    }
}

/// Offers `id=`, and behind it paths.
fn material(inputs: &[Blank], typed: &OsStr) -> Vec<CompletionCandidate> {
    let text = typed.to_string_lossy();
    match text.split_once('=') {
        None => offered(inputs.iter().map(|input| (format!("{}=", input.id), input.about.clone())), typed),
        Some((id, path)) => paths(&format!("{id}="), path),
    }
}

/// Offers the files and folders whose paths begin so.
fn paths(before: &str, typed: &str) -> Vec<CompletionCandidate> {
    let (folder, start) = typed.rfind('/').map_or(("", typed), |slash| typed.split_at(slash + 1));
    let entries = std::fs::read_dir(if folder.is_empty() { "." } else { folder }).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.starts_with(start))?;
        let end = if entry.path().is_dir() { "/" } else { "" };
        Some((format!("{before}{folder}{name}{end}"), String::new()))
    });
    let mut names: Vec<_> = names.filter(|(name, _)| !start.is_empty() || !name.contains("/.")).collect();
    names.sort();
    offered(names, OsStr::new(""))
}

/// What begins as was typed, each with a word about it. What a terminal would take for a command is not offered.
fn offered(values: impl IntoIterator<Item = (String, String)>, typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fits = |(value, _): &(String, String)| {
        value.to_lowercase().starts_with(&typed.to_lowercase()) && sanitize::line(value) == value.as_str()
    };
    let candidate = |(order, (value, about)): (usize, (String, String))| {
        let about = (!about.is_empty()).then(|| sanitize::line(&about).into_owned().into());
        CompletionCandidate::new(value).help(about).display_order(Some(order))
    };
    values.into_iter().filter(fits).enumerate().map(candidate).collect()
}
