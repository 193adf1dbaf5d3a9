//! What an execution needs of the workspace: models, secrets, the folder to look at.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::runtime::{Handle, Runtime};

use super::Runs;
use crate::domain::ids::RunId;
use crate::domain::money::{TokenUsage, UnitPrices};
use crate::domain::redact::Redactor;
use crate::domain::run::{Basis, Refusal};
use crate::executor::{Ask, Control, Executor, Stop, Stream, StreamError};
use crate::providers::Models;
use crate::providers::simulated::{Script, ScriptError};
use crate::settings;
use crate::store;
use crate::tools::{Toolbox, remove_left_folders};
use crate::views::run_detail::RunDetail;
use crate::workspace::library::Entry;
use crate::workspace::{ActiveRun, McpError, ResumeError, ResumeRequest, RunRequest, StartError, outside_runtimes};

/// Why the simulation's script cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// The file cannot be read.
    #[error("script {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The MCP servers that its agents use cannot be used.
    #[error(transparent)]
    Mcp(#[from] McpError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The file is no script.
    #[error("script {}: {source}", path.display())]
    Script {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ScriptError,
    },
}

/// Why a run could not be carried to its end, by what can be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It cannot start, and nothing was appended.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It cannot go on, and nothing was appended.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Its models cannot be made.
    #[error(transparent)]
    Models(#[from] ModelsError),
    /// The rules forbid what comes next.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The operating system gives no threads.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
}

impl From<StreamError> for RunError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Refused(refusal) => Self::Refused(refusal),
            StreamError::Store(error) => Self::Store(error),
        }
    }
}

impl Runs<'_> {
    /// Starts a run and carries it to where it ends or must wait; returns what there is to know of it. Questions that the request does
    /// not answer take the template's defaults. It blocks for as long as the run takes.
    ///
    /// # Errors
    /// A [`RunError`].
    pub fn run_to_end(&self, entry: &Entry, request: RunRequest) -> Result<RunDetail, RunError> {
        outside_runtimes(|| self.carry_to_end(self.start(entry, request)?))
    }

    /// Goes on with a run that nobody executes and carries it to where it ends or must wait, with what it decided by when it began;
    /// returns what there is to know of it. It blocks for as long as the run takes.
    ///
    /// # Errors
    /// A [`RunError`].
    pub fn resume_to_end(&self, id: RunId, request: &ResumeRequest) -> Result<RunDetail, RunError> {
        outside_runtimes(|| self.carry_to_end(self.resume(id, request)?))
    }

    fn carry_to_end(&self, run: ActiveRun) -> Result<RunDetail, RunError> {
        let ActiveRun { id, stream, basis, lock, redactor, .. } = run;
        let runtime = Runtime::new().map_err(RunError::Runtime)?;
        // Nobody interrupts it: the sender stays until the end and says nothing.
        let (_control, controlled) = std::sync::mpsc::channel();
        let executor = self.executor(stream, basis, redactor, runtime.handle().clone(), controlled, Box::new(|_| None))?;
        let (stop, stream) = executor.execute()?;
        drop(stream);
        match stop {
            Stop::Ended => lock.end()?,
            Stop::Suspended(_) => drop(lock),
        }
        Ok(self.detail(id)?)
    }

    /// Makes the executor of a run: with the models of its recorded settings, under what today's settings allow.
    ///
    /// # Errors
    /// When the simulation's script or an MCP server cannot be used.
    pub(crate) fn executor(
        &self,
        stream: Stream,
        basis: Arc<Basis>,
        redactor: Arc<Redactor>,
        runtime: Handle,
        control: Receiver<Control>,
        ask: Ask,
    ) -> Result<Executor, ModelsError> {
        let settings = settings::under(basis.settings.clone(), &self.0.resolved.settings);
        // Wherever it is continued from, a run works where it began.
        let workspace = self.folder_of(stream.id())?;
        let servers = self.take_servers(stream.id(), &basis, stream.run())?;
        let ancestors = match basis.settings.tools.reuses_results {
            true => self.ancestors(stream.run(), &basis.settings.tools, &settings.tools)?,
            false => Vec::new(),
        };
        let script = match settings.simulated.script.as_str() {
            "" => Script::default(),
            path => script(&workspace.join(path))?,
        };
        let models = Arc::new(Models::new(&settings, script, |name| self.0.variables.get(name)));
        // A day's limit is for all runs of the day, so it is today's: what a run recorded long ago neither raises nor lowers it.
        let per_day = self.0.resolved.settings.per_day_budget;
        let store = self.0.place().map(|place| place.dir().to_owned()).ok();
        let never: Vec<&std::path::Path> = store.iter().map(PathBuf::as_path).collect();
        let environment = self.tool_environment(&settings);
        remove_left_folders(&environment);
        let tools = Toolbox::new(&workspace, &never, &settings.tools, environment)
            .redacting(Arc::clone(&redactor))
            .noting(self.programs());
        let tools = Arc::new(tools.with_servers(servers));
        // Nobody watches until somebody says so.
        let progress = Arc::new(|_, _: &str| ());
        Ok(Executor { stream, basis, models, tools, ancestors, redactor, runtime, per_day, workspace, control, ask, progress })
    }

    /// Returns the prices of the model that was a run's premium tier, for a short prompt, to compare the run's cost with.
    pub(crate) fn premium_prices(&self, id: RunId) -> Option<UnitPrices> {
        let basis = self.recorded_basis(id).ok()?;
        let premium = basis.settings.tiers.premium.as_ref()?;
        Some(basis.prices.price(&premium.provider, &premium.model, &TokenUsage::default())?.unit)
    }

    /// Hands the store over to whoever wants it and stops this process, as Ctrl-Z means it; returns when it goes on.
    pub(crate) fn hand_over_and_stop(&self) {
        if let Some(session) = self.0.session()
            && let Err(error) = session.release()
        {
            tracing::debug!("the store is not handed over before the stop: {error}");
        }
        // The default action of SIGTSTP is taken over by the handler, so the stop itself is asked for.
        if let Err(error) = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP) {
            tracing::debug!("cannot stop: {error}");
        }
    }
}

fn script(path: &std::path::Path) -> Result<Script, ModelsError> {
    let text = std::fs::read_to_string(path).map_err(|source| ModelsError::Unreadable { path: path.to_owned(), source })?;
    Script::parse(&text).map_err(|source| ModelsError::Script { path: path.to_owned(), source })
}
