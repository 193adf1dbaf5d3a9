//! Starting a run, and going on with one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::Runs;
use super::windows;
use crate::domain::capture::Levels;
use crate::domain::event::{Event, InputAttached, Mode, Recorded, RunStarted, RunStartedPrivate};
use crate::domain::form::AnswerProblem;
use crate::domain::ids::{ExecutorId, Hash, RunId};
use crate::domain::money::NanoUsd;
use crate::domain::nearest::nearest;
use crate::domain::redact::Redactor;
use crate::domain::run::{Basis, BasisError, Command, Phase, Refusal};
use crate::domain::settings::{ProviderKind, Settings};
use crate::domain::team::PlanDefaults;
use crate::domain::template::{BaseAgent, QuestionKind, Template};
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::domain::tool::{HTTP_GET, RUN_COMMAND, ToolSpec, changes_files, is_built_in};
use crate::executor::{Stream, StreamError};
use crate::store;
use crate::store::session::RunLock;
use crate::store::unretained::Withheld;
use crate::tools;
use crate::views::event_line::is_forgotten;
use crate::workspace::McpError;
use crate::workspace::library::Entry;
use crate::workspace::request::{GivenAnswer, ResumeRequest, RunRequest};
use crate::workspace::runs::inputs::{self, InputError};
use crate::workspace::runs::preview::imagine;
use crate::workspace::runs::ready::{ModelNotReady, works_in_folder};

/// A run that this process holds.
pub struct ActiveRun {
    /// The run.
    pub id: RunId,
    /// The folder in which it works: where it began.
    pub folder: PathBuf,
    /// Its stream.
    pub stream: Stream,
    /// What it decides by.
    pub basis: Arc<Basis>,
    /// Held until the process lets go of the run.
    pub lock: RunLock,
    /// The version of the first event that this process appended: what went before is known to whoever watches.
    pub shown_from: u64,
    /// Knows the run's own secrets too.
    pub redactor: Arc<Redactor>,
}

/// Why a run cannot start, by what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such template: name another.
    #[error("template `{id}` is not known{}", nearest.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?")))]
    UnknownTemplate {
        /// The name.
        id: String,
        /// The name of a template that may be meant.
        nearest: Option<String>,
    },
    /// The template's file cannot be read.
    #[error("template `{id}` cannot be read: {source}")]
    UnreadableTemplate {
        /// The template.
        id: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The template is broken: mend it.
    #[error("template `{id}` is broken: {first}")]
    Broken {
        /// The template.
        id: String,
        /// Its first error.
        first: String,
    },
    /// Answers are missing or wrong: all of them.
    #[error("{}", answers_in_words(.0))]
    Answers(Vec<AnswerProblem>),
    /// A tier that the template needs has no model: set one, or choose another strategy.
    #[error("strategy {strategy} of `{role}` needs the tier {tier}, which no model serves")]
    TierWithoutModel {
        /// The rule's role.
        role: String,
        /// Its strategy.
        strategy: Strategy,
        /// The tier.
        tier: Tier,
    },
    /// A model that the template needs cannot be called: mend what is said, or choose another.
    #[error(transparent)]
    ModelNotReady(#[from] ModelNotReady),
    /// A prompt is larger than any model that may get it can hold: give less material, or set a model with a larger window.
    #[error(
        "the prompt of `{role}` has at least {least} tokens, and the largest window that it may use, of the {tier} model `{model}`, has {window}"
    )]
    PromptTooLarge {
        /// The agent.
        role: String,
        /// How many tokens it has at least.
        least: u64,
        /// The largest window.
        window: u64,
        /// The tier that has it.
        tier: Tier,
        /// Its model.
        model: String,
    },
    /// Agents need material that is not given, and they would be paid for saying so.
    #[error("the agents need material that is not given: {}", missing_words(.0))]
    MaterialMissing(Vec<String>),
    /// The MCP servers that the agents use cannot be used.
    #[error(transparent)]
    Mcp(#[from] McpError),
    /// Programs are to be confined, and this system cannot do it: allow less, or ask for less.
    #[error("{0}")]
    Unconfined(String),
    /// Material cannot be taken.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn missing_words(ids: &[String]) -> String {
    ids.iter().map(|id| format!("`--input {id}=PATH`")).collect::<Vec<_>>().join(", ")
}

fn answers_in_words(problems: &[AnswerProblem]) -> String {
    let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
    words.join("; ")
}

/// Why a run cannot go on, by what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// What it decides by was forgotten.
    #[error("run {run} cannot continue: its {part} is no longer retained")]
    Forgotten {
        /// The run.
        run: RunId,
        /// Which part.
        part: &'static str,
    },
    /// What it decides by is encrypted.
    #[error("run {run} cannot continue: its {part} is encrypted and the key is not available")]
    Locked {
        /// The run.
        run: RunId,
        /// Which part.
        part: &'static str,
    },
    /// What it decides by cannot be read.
    #[error("run {run} cannot continue: its recorded {part} cannot be read: {why}")]
    Unreadable {
        /// The run.
        run: RunId,
        /// Which part.
        part: &'static str,
        /// Why.
        why: String,
    },
    /// The folder in which it works is not there.
    #[error("run {run} cannot continue: the folder in which it works is gone: {}", folder.display())]
    FolderGone {
        /// The run.
        run: RunId,
        /// The folder.
        folder: PathBuf,
    },
    /// Another system's run.
    #[error("run {0} was imported: there is nothing to go on with")]
    Imported(RunId),
    /// No agent has the role whose budget is to change.
    #[error("run {run} has no agent `{role}`")]
    NoSuchAgent {
        /// The run.
        run: RunId,
        /// The role.
        role: String,
        /// The roles that it has.
        known: Vec<String>,
    },
    /// A model that it needs cannot be called.
    #[error(transparent)]
    ModelNotReady(#[from] ModelNotReady),
    /// The MCP servers that the agents use cannot be used.
    #[error(transparent)]
    Mcp(#[from] McpError),
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Runs<'_> {
    /// Refuses a template whose rules need a tier that no model serves, before anything is asked.
    ///
    /// # Errors
    /// [`StartError::TierWithoutModel`] names the first rule and tier.
    pub(crate) fn check_tiers(&self, template: &Template, strategy: Option<Strategy>) -> Result<(), StartError> {
        self.tiers_needed(template, strategy).map(|_| ())
    }

    /// Returns the template called `id`: the store's own, or a built-in one.
    ///
    /// # Errors
    /// [`StartError::UnknownTemplate`], [`StartError::UnreadableTemplate`].
    pub fn template(&self, id: &str) -> Result<Entry, StartError> {
        let found = self.0.library.find(id);
        let found = found.map_err(|source| StartError::UnreadableTemplate { id: id.to_owned(), source })?;
        found.ok_or_else(|| {
            let known: Vec<String> = self.0.library.list().into_iter().map(|entry| entry.id).collect();
            let nearest = nearest(id, known.iter().map(String::as_str)).map(str::to_owned);
            StartError::UnknownTemplate { id: id.to_owned(), nearest }
        })
    }

    /// Returns all templates by id: the built-in ones and the store's own, good and broken.
    pub fn templates(&self) -> Vec<Entry> {
        self.0.library.list()
    }

    /// Starts a run of the template `entry`: one append with everything that is known of it.
    ///
    /// # Errors
    /// A [`StartError`]; nothing was appended then.
    pub(crate) fn start(&self, entry: &Entry, request: RunRequest) -> Result<ActiveRun, StartError> {
        let Some(template) = &entry.template else {
            let first = entry.first_error().map_or_else(|| "it cannot be read".to_owned(), ToString::to_string);
            return Err(StartError::Broken { id: entry.id.clone(), first });
        };
        self.check_models(template, request.strategy, request.budget)?;
        let missing = self.lacking_material(template, &request).missing;
        if !missing.is_empty() && !request.without_material && mode(&self.0.resolved.settings) == Mode::Real {
            return Err(StartError::MaterialMissing(missing));
        }
        let mut basis = self.basis(template);
        if !basis.settings.tools.commands.is_empty()
            && let Some(refusal) = self.confinement_refusal(&basis.settings.tools)
        {
            return Err(StartError::Unconfined(refusal));
        }
        let settled = self.0.settle(template, &request)?;
        let redactor = self.0.redactor_of(&basis, &settled.secrets);
        let inputs = request.inputs.iter().map(|(id, value)| inputs::read(&template.inputs, id, value, &redactor));
        let inputs: Vec<InputAttached> = inputs.collect::<Result<_, _>>()?;
        let servers = self.servers_of_template(template, &basis)?;
        servers.iter().for_each(|servers| servers.describe(&mut basis.settings.tools));
        let executor = ExecutorId(self.0.world.ulid(None));
        let mut commands = vec![Command::Begin(Box::new(self.started_now(template, &basis, &request, &redactor, executor)?))];
        commands.extend(inputs.into_iter().map(|input| Command::Attach(Box::new(input))));
        commands.extend(settled.answers.into_iter().map(|answer| answer_command(&redactor, template, answer)));
        if !request.is_open {
            commands.push(Command::CompleteForm(self.adaptive_starts(
                template,
                request.strategy,
                mode(&self.0.resolved.settings),
            )?));
        }
        windows::check(&basis, &imagine(&basis, commands.clone())?, request.strategy)?;
        let id = self.0.new_run_id()?;
        let lock = RunLock::acquire(self.0.place()?, id)?;
        self.0.payloads.may_write()?;
        let mut stream = self.stream(id)?;
        stream.perform(&basis, &commands)?;
        self.keep_servers(id, servers);
        let folder = self.0.places.current.clone();
        Ok(ActiveRun { id, folder, stream, basis: Arc::new(basis), lock, shown_from: 1, redactor })
    }

    /// Takes over a run that nobody executes: what it decides by is read from its own events, never from today's files.
    ///
    /// # Errors
    /// [`ResumeError::Refused`] when the run has ended, [`ResumeError::ModelNotReady`] when a model that it needs cannot be called,
    /// [`store::Error::Unreachable`] with the holder's process id when somebody executes it.
    pub(crate) fn resume(&self, id: RunId, request: &ResumeRequest) -> Result<ActiveRun, ResumeError> {
        let lock = RunLock::acquire(self.0.place()?, id)?;
        self.0.take_in_spool(id)?;
        let mut stream = self.stream(id)?;
        let first = self.events_of(id, 1, 1)?;
        if first.iter().any(|first| matches!(&first.event, Event::RunStarted(body) if body.is_imported())) {
            return Err(ResumeError::Imported(id));
        }
        let basis = self.recorded_basis(id)?;
        // What a model is told next may have to quote what is gone.
        if Levels::of(&basis).withhold() && !Withheld::of(self.0.place()?, id).exists() {
            return Err(ResumeError::Forgotten { run: id, part: "earlier text" });
        }
        self.must_have_texts(id, &self.events_of(id, 1, u32::MAX)?)?;
        self.0.payloads.may_write()?;
        let shown_from = stream.run().version + 1;
        // What was typed as a secret is recorded nowhere; what stands in a variable the caller may add.
        let redactor = self.0.redactor_of(&basis, &[]);
        let executor = ExecutorId(self.0.world.ulid(None));
        let meno_version = env!("CARGO_PKG_VERSION").to_owned();
        let roles = || stream.run().agents.iter().map(|agent| agent.label.clone()).collect();
        let limits = request.limits(stream.run()).map_err(|role| ResumeError::NoSuchAgent { run: id, role, known: roles() })?;
        let retry_failed = request.retry_failed;
        let resume = [Command::Resume { executor, retry_failed, meno_version, limits }];
        let resumed = stream.foresee(&basis, &resume)?;
        let folder = self.folder_of(id)?;
        if !folder.is_dir() && works_in_folder(&resumed, &basis) {
            return Err(ResumeError::FolderGone { run: id, folder });
        }
        self.check_run(&resumed, &basis, !request.denies)?;
        // What a killed process left running must not work beside its own repetition.
        self.end_left_programs();
        self.servers_of_run(id, &basis, &resumed)?;
        stream.perform(&basis, &resume)?;
        Ok(ActiveRun { id, folder, stream, basis: Arc::new(basis), lock, shown_from, redactor })
    }

    /// Asks for the end of a run; where nobody executes it, it is ended here. Returns whether it has ended.
    ///
    /// # Errors
    /// When the rules forbid it or the store cannot take it.
    pub fn cancel(&self, id: RunId) -> Result<bool, ResumeError> {
        let mut stream = self.stream(id)?;
        if self.started(id)?.is_some_and(|started| started.is_imported()) {
            return Err(ResumeError::Imported(id));
        }
        // Cancelling decides nothing by the template, so a run whose basis is forgotten can be ended too.
        let basis = self.recorded_basis(id).or_else(|error| match error {
            ResumeError::Store(error) => Err(ResumeError::Store(error)),
            _ => Ok(self.basis(&empty_template())),
        })?;
        match RunLock::acquire(self.0.place()?, id) {
            Ok(lock) => {
                self.end_left_programs();
                stream.perform(&basis, &[Command::Cancel])?;
                lock.end()?;
                Ok(true)
            }
            Err(store::Error::RunHeld { .. }) => {
                stream.perform(&basis, &[Command::AskCancel])?;
                Ok(stream.run().phase == Phase::Cancelled)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the stream of a run.
    pub(in crate::workspace) fn stream(&self, id: RunId) -> Result<Stream, store::Error> {
        Stream::open(
            id,
            Arc::clone(&self.0.log),
            Arc::clone(&self.0.payloads),
            Arc::clone(&self.0.world),
            self.0.place()?.clone(),
        )
    }

    /// Reads what a run decides by from its own events.
    ///
    /// # Errors
    /// When a part is forgotten or cannot be read.
    pub(crate) fn recorded_basis(&self, id: RunId) -> Result<Basis, ResumeError> {
        let Some(private) = self.started(id)?.and_then(|started| started.private) else {
            return Err(ResumeError::Forgotten { run: id, part: "start" });
        };
        Basis::recorded(&private).map_err(|error| match error {
            BasisError::Gone(part) => {
                let texts = [&private.template, &private.base_agents, &private.settings, &private.prices];
                let is_there = texts.into_iter().filter_map(Text::payload).any(|name| self.0.payloads.has(name));
                if is_there { ResumeError::Locked { run: id, part } } else { ResumeError::Forgotten { run: id, part } }
            }
            BasisError::Unreadable { part, why } => ResumeError::Unreadable { run: id, part, why: why.to_string() },
        })
    }

    /// Returns what a run started with; its first event, or the second of a fork.
    pub(in crate::workspace) fn started(&self, id: RunId) -> Result<Option<RunStarted>, store::Error> {
        Ok(self.events_of(id, 1, 2)?.into_iter().find_map(|recorded| match recorded.event {
            Event::RunStarted(body) => Some(body),
            _ => None,
        }))
    }

    /// Refuses to go on with events some of whose texts are forgotten, or encrypted under a key that is not available.
    pub(in crate::workspace) fn must_have_texts<'a>(
        &self,
        run: RunId,
        events: impl IntoIterator<Item = &'a Recorded>,
    ) -> Result<(), ResumeError> {
        let part = "earlier text";
        for recorded in events {
            if is_forgotten(&recorded.event) {
                return Err(ResumeError::Forgotten { run, part });
            }
            let mut missing = None;
            recorded.event.clone().each_text_mut(&mut |text| missing = missing.or(text.payload()));
            match missing {
                // What is there and was not read in is locked.
                Some(name) if self.0.payloads.has(name) => return Err(ResumeError::Locked { run, part }),
                Some(_) => return Err(ResumeError::Forgotten { run, part }),
                None => {}
            }
        }
        Ok(())
    }

    /// Gathers what a new run decides by: only what it may use, so that what is recorded stays small.
    pub(in crate::workspace) fn basis(&self, template: &Template) -> Basis {
        let mut settings = self.0.resolved.settings.clone();
        let named = template.agent_composition_rules.iter().map(|rule| rule.base_template.as_str());
        let bases: BTreeMap<String, BaseAgent> = named
            .chain(["generic"])
            .filter_map(|id| self.0.library.agent(id))
            .map(|base| (base.id.clone(), base.clone()))
            .collect();
        let asked: Vec<&String> = {
            let of_rules = template.agent_composition_rules.iter().flat_map(|rule| &rule.tools);
            of_rules.chain(bases.values().flat_map(|base| &base.tools)).collect()
        };
        let runs_programs = asked.iter().any(|name| settings.tools.commands.contains(name) && !is_built_in(name));
        let may_write = settings.tools.allow_write;
        let is_asked = |spec: &ToolSpec| {
            let may_fetch = spec.name != HTTP_GET || !settings.tools.origins.is_empty();
            let is_named = asked.contains(&&spec.name) && (may_write || !changes_files(&spec.name)) && may_fetch;
            is_named || (spec.name == RUN_COMMAND && runs_programs)
        };
        settings.tools.catalogue = tools::catalogue().into_iter().filter(is_asked).collect();
        if !settings.tools.commands.is_empty() {
            settings.tools.unenforced = self.unenforced(&settings.tools);
        }
        let models = models(&settings);
        let prices = self.0.prices.narrowed(models.iter().map(|(provider, model)| (provider.as_str(), model.as_str())));
        Basis { template: template.clone(), bases, settings, prices }
    }

    fn started_now(
        &self,
        template: &Template,
        basis: &Basis,
        request: &RunRequest,
        redactor: &Redactor,
        executor: ExecutorId,
    ) -> Result<RunStarted, store::Error> {
        let mut started = self.started_without_store(template, basis, request, redactor, executor);
        if let Some(private) = &mut started.private {
            private.user = self.0.user_hash()?;
        }
        Ok(started)
    }

    /// Writes down what a run starts with, but for what only the store knows.
    pub(in crate::workspace) fn started_without_store(
        &self,
        template: &Template,
        basis: &Basis,
        request: &RunRequest,
        redactor: &Redactor,
        executor: ExecutorId,
    ) -> RunStarted {
        let settings = &basis.settings;
        let budget_of_template = template.defaults.as_ref().and_then(|defaults| defaults.budget_usd).and_then(NanoUsd::from_usd);
        let seed = request.seed.unwrap_or_else(|| {
            let bytes = self.0.world.random();
            // Seeds are shown to people and typed again: six digits are enough.
            u64::from(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])) % 1_000_000
        });
        let recorded = serde_json::to_string(template).unwrap_or_default();
        // Text of JSON types that serialise always: strings, numbers, maps with string keys.
        let json = |value: Result<String, serde_json::Error>| Text::Inline(value.unwrap_or_default());
        RunStarted {
            template_id: template.template_id.clone(),
            template_version: template.version.clone(),
            template_hash: Hash::of(recorded.as_bytes()),
            source: None,
            mode: mode(settings),
            strategy: request.strategy,
            budget: request.budget.or(settings.run.budget).or(budget_of_template),
            allow_unpriced: settings.run.allow_unpriced,
            escalate: settings.run.escalate,
            jobs: settings.run.jobs,
            seed,
            prices_as_of: self.0.prices.as_of(),
            prices_hash: self.0.prices.hash(),
            meno_version: env!("CARGO_PKG_VERSION").to_owned(),
            executor,
            private: Some(RunStartedPrivate {
                foreign_run_id: None,
                template: Text::Inline(recorded),
                base_agents: json(serde_json::to_string(&basis.bases)),
                settings: json(serde_json::to_string(settings)),
                prices: json(serde_json::to_string(&basis.prices.to_file())),
                workspace: self.0.places.current.display().to_string(),
                user: String::new(),
                labels: labels(redactor, &request.labels),
            }),
        }
    }

    /// Returns what rules leave open, as the settings fill it.
    pub(in crate::workspace) fn plan_defaults(&self, strategy_override: Option<Strategy>) -> PlanDefaults {
        let run = &self.0.resolved.settings.run;
        PlanDefaults { strategy_override, strategy: run.strategy, max_attempts_per_tier: run.max_attempts_per_tier }
    }
}

/// The command that records an answer, as it may be kept.
pub(in crate::workspace) fn answer_command(redactor: &Redactor, template: &Template, answer: GivenAnswer) -> Command {
    let GivenAnswer { question, value, source, secret } = answer;
    Command::Answer { value: redacted(redactor, template, &question, value), question, source, secret }
}

/// Redacts an answer: secrets everywhere, what was asked for besides only where people write freely. What they choose is the template's text.
pub fn redacted(redactor: &Redactor, template: &Template, question: &str, value: Value) -> Value {
    let mut questions = template.form_schema.questions.iter();
    let is_free = questions.any(|known| known.id == question && known.kind == QuestionKind::TextInput);
    match value {
        Value::String(text) if is_free => Value::String(redactor.redact_answer(&text).into_owned()),
        Value::String(text) => Value::String(redactor.redact(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| redacted(redactor, template, question, item)).collect()),
        other => other,
    }
}

/// Redacts labels, keys too.
pub(in crate::workspace) fn labels(redactor: &Redactor, labels: &[(String, String)]) -> Vec<(String, String)> {
    let redact = |text: &str| redactor.redact_answer(text).into_owned();
    labels.iter().map(|(key, value)| (redact(key), redact(value))).collect()
}

/// Returns whether runs under these settings are real.
pub fn mode(settings: &Settings) -> Mode {
    let tiers = Tier::ALL.into_iter().filter_map(|tier| settings.tiers.get(tier)).chain(&settings.tiers.judge);
    let kind = |provider: &str| settings.providers.get(provider).map(|provider| provider.kind);
    let simulated = tiers.clone().all(|tier| kind(&tier.provider) == Some(ProviderKind::Simulated));
    if simulated { Mode::Simulated } else { Mode::Real }
}

/// Returns every model that the settings may call: provider and name.
fn models(settings: &Settings) -> Vec<(String, String)> {
    let tiers = Tier::ALL.into_iter().filter_map(|tier| settings.tiers.get(tier)).chain(&settings.tiers.judge);
    tiers
        .flat_map(|tier| {
            let first = (tier.provider.clone(), tier.model.clone());
            std::iter::once(first).chain(tier.fallbacks.iter().map(|model| (model.provider.clone(), model.model.clone())))
        })
        .collect()
}

fn empty_template() -> Template {
    Template {
        template_id: "forgotten".to_owned(),
        name: String::new(),
        description: String::new(),
        version: String::new(),
        tags: Vec::new(),
        author: String::new(),
        estimated_cost_range: [0.0, 0.0],
        estimated_duration_minutes: 0.0,
        form_schema: crate::domain::template::FormSchema {
            title: String::new(),
            description: String::new(),
            questions: Vec::new(),
        },
        agent_composition_rules: Vec::new(),
        inputs: Vec::new(),
        defaults: None,
        capture: None,
        report: None,
        tests: Vec::new(),
    }
}

impl From<StreamError> for StartError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Refused(refusal) => Self::Refused(refusal),
            StreamError::Store(error) => Self::Store(error),
        }
    }
}

impl From<StreamError> for ResumeError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Refused(refusal) => Self::Refused(refusal),
            StreamError::Store(error) => Self::Store(error),
        }
    }
}
