//! What an execution needs of the workspace: models, secrets, the folder to look at.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::runtime::Handle;

use super::Workspace;
use crate::domain::money::{TokenUsage, UnitPrices};
use crate::domain::redact::Redactor;
use crate::domain::run::Basis;
use crate::executor::{Ask, Control, Executor, Stream};
use crate::providers::Models;
use crate::providers::simulated::{Script, ScriptError};
use crate::settings;

/// Why the simulation's script cannot be used.
#[derive(Debug, thiserror::Error)]
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

impl Workspace {
    /// Makes the executor of a run: with the models of its recorded settings, under what today's settings allow.
    ///
    /// # Errors
    /// When the simulation's script cannot be used.
    pub fn executor(
        &self,
        stream: Stream,
        basis: Arc<Basis>,
        redactor: Arc<Redactor>,
        runtime: Handle,
        control: Receiver<Control>,
        ask: Ask,
    ) -> Result<Executor, ModelsError> {
        let settings = settings::under(basis.settings.clone(), &self.resolved.settings);
        let script = match settings.simulated.script.as_str() {
            "" => Script::default(),
            path => script(&self.places.current.join(path))?,
        };
        let models = Arc::new(Models::new(&settings, script, |name| std::env::var(name).ok()));
        let workspace = self.places.current.clone();
        Ok(Executor { stream, basis, models, redactor, runtime, workspace, control, ask })
    }

    /// Returns the prices of the premium tier's model for a short prompt, to compare a run's cost with.
    pub fn premium_prices(&self) -> Option<UnitPrices> {
        let premium = self.resolved.settings.tiers.premium.as_ref()?;
        let priced = self.prices.price(&premium.provider, &premium.model, &TokenUsage::default())?;
        Some(priced.unit)
    }

    /// Hands the store over to whoever wants it and stops this process, as Ctrl-Z means it; returns when it goes on.
    pub fn hand_over_and_stop(&self) {
        if let Some(session) = self.session()
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
