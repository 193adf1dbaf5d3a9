//! `meno run TEMPLATE`: asks, builds the team, runs it, remembers it.

use std::io::{IsTerminal, Read};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::templates;
use crate::cli::args::RunArgs;
use crate::cli::args::values::KeyValue;
use crate::cli::ask::{AskKind, AskQuestion, Asked, Prompter, Terminal, ask_valid};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::{self, Opening};
use crate::cli::output::{sanitize, words};
use crate::cli::{consent, form_fill, preview, running};
use crate::domain::event::{AnswerSource, Mode};
use crate::domain::form::{self, AnswerProblem};
use crate::domain::template::Template;
use crate::settings::{Choice, DetectedKeys, Flags, Preset, edit};
use crate::workspace::library::{Entry, Origin};
use crate::workspace::runs::material::Lacking;
use crate::workspace::{Access, ActiveRun, GivenAnswer, RunRequest, StartError, Workspace, mode, runs::ready};

/// What was given before anybody is asked: question → value and source.
pub type GivenAnswers = IndexMap<String, (Value, AnswerSource)>;

/// Runs a template.
///
/// # Errors
/// When the template, an answer, a setting or the store is in the way; nothing was started then, unless the report says so.
pub fn run(context: &mut Context, args: &RunArgs) -> Result<Exit> {
    let flags = flags(args)?;
    let access = if args.dry_run { Access::Read } else { Access::Change };
    let (looked, fallback) = open_with_models(context, args, &flags, access)?;
    let entry = match templates::of_path(&looked.library, &args.template)? {
        Some(entry) => entry,
        None => looked.runs().template(&args.template)?,
    };
    let template = entry.template.clone().ok_or_else(|| broken(&entry))?;
    say_what_is_hidden(context, &looked, &entry);
    open::usable(&looked)?;
    if args.dry_run {
        looked.runs().check_tiers(&template, args.strategy)?;
    } else {
        looked.runs().check_models(&template, args.strategy, args.budget)?;
    }
    // Who only looks calls nothing.
    if !args.dry_run {
        consent::to_template(context, &looked, &entry)?;
        let is_strangers = matches!(entry.origin, Origin::User(_));
        consent::to_programs(context, &looked, &template, is_strangers, &looked.places.current)?;
    }
    let given = given(context, args.answers.as_deref(), &args.set, &template)?;
    say_twice(context, "--label", &args.labels);
    let material = with_material(context, &looked, &template, args, request(args))?;
    let request = material.clone();
    let asks = context.can_ask() && !args.dry_run;
    let request = if asks {
        // What was given is checked before anybody is asked for the rest.
        form_fill::check_given(&template, &given)?;
        request.leave_open()
    } else {
        let given = given.iter().map(|(id, (value, source))| GivenAnswer::new(id, value.clone(), *source));
        let request = request.answers(given);
        for notice in looked.settle(&template, &request)?.notices {
            context.out.say(sanitize::line(&notice));
        }
        request
    };
    if args.dry_run {
        let preview = looked.runs().preview(&template, &request)?;
        if let (Some(budget), Some((least, _))) = (args.budget, preview.cost)
            && budget < least
        {
            context.out.warn(format!("a budget of {budget} does not hold the least that this is expected to cost, {least}"));
        }
        preview::show(context, &template, &preview, mode(&looked.resolved.settings))?;
        return Ok(Exit::Done);
    }
    if !asks && mode(&looked.resolved.settings) == Mode::Real {
        say_expected_cost(context, &looked, &template, &request);
    }
    let workspace = if looked.session().is_some() {
        looked
    } else {
        // The store is made only now that nothing else can go wrong.
        drop(looked);
        open::store_with(context, Access::Write, Opening { hush: true, ..opening(args, &flags, fallback) })?
    };
    let workspace = Arc::new(workspace);
    if asks {
        let mut active = start(context, &workspace, &entry, request)?;
        form_fill::fill(context, &workspace, &mut active, &given)?;
        if mode(&workspace.resolved.settings) == Mode::Real {
            let answers = active.stream.run().answers.iter().map(|(id, answer)| GivenAnswer::recorded(id, answer));
            let known = material.answers(answers);
            say_expected_cost(context, &workspace, &template, &known);
        }
        return running::carry_on(context, &workspace, active);
    }
    let active = start(context, &workspace, &entry, request)?;
    running::carry_on(context, &workspace, active)
}

/// Starts a run; a person at a terminal is asked about MCP servers that have changed.
fn start(context: &mut Context, workspace: &Workspace, entry: &Entry, request: RunRequest) -> Result<ActiveRun> {
    loop {
        match workspace.runs().start(entry, request.clone()) {
            Err(StartError::Mcp(error)) => consent::to_changed_server(context, workspace, error)?,
            other => return Ok(other?),
        }
    }
}

fn flags(args: &RunArgs) -> Result<Flags> {
    Ok(Flags {
        preset: args.preset.as_deref().map(preset).transpose()?,
        strategy: args.strategy,
        budget: args.budget,
        jobs: args.jobs.and_then(NonZeroU16::new),
        escalate: args.escalate,
        allow_unpriced: args.allow_unpriced,
        allow_write: args.allow_write,
    })
}

/// Reads the name of a preset.
///
/// # Errors
/// When there is none of that name.
pub fn preset(name: &str) -> Result<Preset> {
    name.parse::<Preset>().map_err(|_| {
        let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
        CliError::invalid(format!("there is no preset `{}`", sanitize::line(name))).suggest(
            name,
            names.iter().copied(),
            &format!("presets are {}", names.join(", ")),
        )
    })
}

/// Opens the store to look at it; when nobody chose a model, finds one or asks, and returns what came of it.
fn open_with_models(context: &mut Context, args: &RunArgs, flags: &Flags, access: Access) -> Result<(Workspace, Option<Preset>)> {
    let workspace = open::store_with(context, access, opening(args, flags, None))?;
    let Choice::Nothing { found } = &workspace.resolved.choice else { return Ok((workspace, None)) };
    let fallback = Some(choose_models(context, &workspace, *found)?);
    drop(workspace);
    let workspace = open::store_with(context, access, Opening { hush: true, ..opening(args, flags, fallback) })?;
    Ok((workspace, fallback))
}

fn opening(args: &RunArgs, flags: &Flags, fallback: Option<Preset>) -> Opening {
    Opening { flags: flags.clone(), fallback, deterministic: args.deterministic, ..Opening::default() }
}

/// Whoever names a template by its id may mean the built-in one: what is run in its place is said.
fn say_what_is_hidden(context: &mut Context, workspace: &Workspace, entry: &Entry) {
    let id = sanitize::line(&entry.id);
    match &entry.origin {
        Origin::User(path) if entry.hides_builtin => {
            context.out.say(format!("template `{id}` is that of {}, which hides the built-in one", path.display()));
        }
        Origin::File(path) if matches!(workspace.library.find(&entry.id), Ok(Some(known)) if known.text != entry.text) => {
            context.out.say(format!("template `{id}` is that of {}, not the one that `meno run {id}` runs", path.display()));
        }
        Origin::BuiltIn | Origin::User(_) | Origin::File(_) => {}
    }
}

/// Chooses a preset when nobody has: what is there and agreed to, or the simulation. Real money is never spent unasked.
fn choose_models(context: &mut Context, workspace: &Workspace, found: DetectedKeys) -> Result<Preset> {
    let mut there = Vec::new();
    if found.anthropic {
        there.push(("an Anthropic key", Preset::Anthropic));
    }
    if found.openai {
        there.push(("an OpenAI key", Preset::Openai));
    }
    if there.is_empty() {
        let ollama = workspace.resolved.settings.providers.get("ollama");
        if ollama.is_some_and(|ollama| ready::answers(&ollama.base_url)) {
            context.out.say("an Ollama runs here; name its models under [tiers.*] and set preset = \"ollama\" to use it");
        }
        context.out.say("no model is set up: this run is simulated (set one up with `meno config preset=…`)");
        return Ok(Preset::Simulated);
    }
    let words: Vec<&str> = there.iter().map(|(words, _)| *words).collect();
    if !context.can_ask() {
        let presets: Vec<String> = there.iter().map(|(_, preset)| format!("`--preset {}`", preset.name())).collect();
        return Err(CliError::refused(format!("{} is in the environment, but its use was not confirmed", words.join(" and ")))
            .hint(format!("say {} to spend real money, or `--preset simulated`", presets.join(" or "))));
    }
    let mut options: Vec<String> =
        there.iter().map(|(words, preset)| format!("use {words} (preset {})", preset.name())).collect();
    options.push("simulate: no model is asked, nothing is spent".to_owned());
    let chosen = Terminal::new(true).choose("Which models shall do the work? The choice is remembered.", &options, 0)?;
    let Some(chosen) = chosen else { return Err(CliError::interrupted()) };
    let preset = there.get(chosen).map_or(Preset::Simulated, |(_, preset)| *preset);
    let (path, _) = workspace.places.user_config(context.global.config.as_deref());
    edit::edit_file(&path, "preset", Some(preset.name()))?;
    context.out.say(format!("remembered in {}", path.display()));
    Ok(preset)
}

fn broken(entry: &Entry) -> CliError {
    let report = CliError::invalid(format!("template `{}` is broken", entry.id));
    let report =
        entry.first_error().into_iter().fold(report, |report, problem| report.cause(sanitize::line(&problem.to_string())));
    match &entry.origin {
        Origin::User(path) | Origin::File(path) => {
            report.hint(format!("`meno validate-template {}` shows all its problems", words::argument(path)))
        }
        // What ships is sound: it names a base agent of the store's own that is not.
        Origin::BuiltIn => report.hint("mend the base agent; `meno list-templates --agents` names its file"),
    }
}

/// Gathers the answers of `--answers` and `--set`; the latter win.
pub fn given(context: &mut Context, answers: Option<&Path>, set: &[KeyValue], template: &Template) -> Result<GivenAnswers> {
    let mut given = GivenAnswers::new();
    if let Some(path) = answers {
        let (text, name) = read_answers(path)?;
        let file = form::parse_answers_file(&text, &name, template).map_err(|error| {
            CliError::invalid(format!("answers of {name}: {error}")).hint("`meno show-template TEMPLATE` lists the questions")
        })?;
        given.extend(file.answers.into_iter().map(|(id, value)| (id, (value, AnswerSource::File))));
    }
    say_twice(context, "--set", set);
    for pair in set {
        given.insert(pair.key.clone(), (Value::String(pair.value.clone()), AnswerSource::Flag));
    }
    Ok(given)
}

/// Answers files are small; what is larger is something else.
const ANSWERS_BYTES_MAX: u64 = 4 * 1024 * 1024;

fn read_answers(path: &Path) -> Result<(String, String)> {
    let mut text = String::new();
    if path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            return Err(
                CliError::invalid("`--answers -` reads stdin, which is a terminal").hint("pipe a JSON or TOML text into it")
            );
        }
        let read = std::io::stdin().take(ANSWERS_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| CliError::invalid("the answers on stdin cannot be read").source(&error))?;
        return Ok((text, "stdin".to_owned()));
    }
    let name = path.display().to_string();
    let read = std::fs::File::open(path).and_then(|file| file.take(ANSWERS_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| CliError::invalid(format!("answers file {name} cannot be read")).source(&error))?;
    Ok((text, name))
}

/// Reports all problems of answers at once.
pub fn wrong(problems: &[AnswerProblem]) -> CliError {
    let message = match problems {
        [one] => {
            return CliError::invalid(sanitize::line(&one.to_string()).into_owned())
                .hint("answer with `--set ID=VALUE` or `--answers FILE`; `meno show-template TEMPLATE` lists the questions");
        }
        many => format!("{} answers are missing or wrong", many.len()),
    };
    let report =
        problems.iter().fold(CliError::invalid(message), |report, problem| report.cause(sanitize::line(&problem.to_string())));
    report.hint("answer with `--set ID=VALUE` or `--answers FILE`; `meno show-template TEMPLATE` lists the questions")
}

/// Says which key of an option is given more than once.
pub fn say_twice(context: &mut Context, option: &str, pairs: &[KeyValue]) {
    for (at, pair) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|before| before.key == pair.key) {
            context.out.warn(format!("`{option} {}` is given twice; the last one counts", sanitize::line(&pair.key)));
        }
    }
}

fn request(args: &RunArgs) -> RunRequest {
    let request = RunRequest::new().strategy(args.strategy).budget(args.budget).seed(args.seed);
    let request = args.inputs.iter().fold(request, |request, pair| request.input(&pair.key, &pair.value));
    args.labels.iter().fold(request, |request, pair| request.label(&pair.key, &pair.value))
}

/// Sees to the material that the template needs and that is not given: what agents read for themselves is said; of the rest a simulated
/// run says that it will lack it, for a real one a person is asked, and where nobody can be asked it is refused before anything is spent.
fn with_material(
    context: &mut Context,
    workspace: &Workspace,
    template: &Template,
    args: &RunArgs,
    request: RunRequest,
) -> Result<RunRequest> {
    let Lacking { readable, missing } = workspace.runs().lacking_material(template, &request);
    for id in readable {
        let folder = workspace.places.current.display();
        context.out.say(sanitize::line(&format!(
            "the material `{id}` is not given: agents read {folder} with their tools instead; `--input {id}=PATH` gives it them at once"
        )));
    }
    if missing.is_empty() {
        return Ok(request);
    }
    let options: Vec<String> = missing.iter().map(|id| format!("`--input {id}=PATH`")).collect();
    if mode(&workspace.resolved.settings) == Mode::Simulated || args.no_material || args.dry_run {
        context.out.warn(format!(
            "the agents need material that is not given and can only say that it is missing: {}",
            options.join(", ")
        ));
        return Ok(request.without_material(args.no_material));
    }
    if !context.can_ask() {
        return Err(StartError::MaterialMissing(missing).into());
    }
    let mut request = request;
    for id in missing {
        let description = template.inputs.iter().find(|input| input.id == id).map(|input| input.description.clone());
        let question = AskQuestion {
            id: id.clone(),
            text: format!("Where is the material `{id}`?"),
            help: description,
            kind: AskKind::Path,
            required: true,
            default: None,
            progress: None,
            validate: &|value| {
                let given = (id.clone(), value.as_str().unwrap_or_default().to_owned());
                workspace.memory().profiles(Some(template), &[given]).map(|_| value.clone()).map_err(|error| error.to_string())
            },
        };
        match ask_valid(&mut Terminal::new(true), &question)? {
            Asked::Answer(Value::String(path)) => request = request.input(id, path),
            _ => return Err(StartError::MaterialMissing(vec![id]).into()),
        }
    }
    Ok(request)
}

fn say_expected_cost(context: &mut Context, workspace: &Workspace, template: &Template, request: &RunRequest) {
    // A preview that cannot be made is no reason not to start: starting says what is wrong.
    if let Ok(preview) = workspace.runs().preview(template, request) {
        for input in preview.inputs.iter().filter(|input| input.agents > 1) {
            context.out.say(preview::shared_line(input, Mode::Real));
        }
        context.out.say(preview::cost_line(&preview, Mode::Real));
        if let Some(past) = &preview.past {
            context.out.say(preview::past_line(past));
        }
    }
}
