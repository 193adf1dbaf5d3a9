//! What the server holds: the store, opened when there is one, and the runs under way.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::running::Runs;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::error::Result;
use crate::cli::open::{self, Opening};
use crate::domain::money::NanoUsd;
use crate::settings::{Flags, Preset};
use crate::workspace::{Access, Workspace};

/// What the person who starts the server allows.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Clients may run and resume.
    pub allow_run: bool,
    /// What one of their runs may cost, at most.
    pub budget: Option<NanoUsd>,
    /// The models of their runs, over what the settings say.
    pub preset: Option<Preset>,
}

/// The store behind the server.
pub(super) struct Door {
    global: Global,
    options: Options,
    runtime: Handle,
    workspace: Mutex<Option<Arc<Workspace>>>,
    runs: Runs,
}

impl Door {
    pub(super) fn new(global: &Global, options: Options, runtime: Handle) -> Self {
        // Stdin and stdout are the protocol's: nobody can be asked, and nothing else is printed there.
        let global = Global { no_input: true, json: false, ..global.clone() };
        Self { global, options, runtime, workspace: Mutex::new(None), runs: Runs::default() }
    }

    /// Takes a store that is open already.
    pub(super) fn holding(self, open: Option<Arc<Workspace>>) -> Self {
        Self { workspace: Mutex::new(open), ..self }
    }

    /// Returns the store. One that is not there yet is looked for again at the next question; then it stays open.
    ///
    /// # Errors
    /// When a file or another process is in the way.
    pub(super) fn workspace(&self) -> Result<Arc<Workspace>> {
        let access = if self.options.allow_run { Access::Change } else { Access::Read };
        self.open(access)
    }

    /// Returns the store, made if it is not there.
    ///
    /// # Errors
    /// As [`Self::workspace`].
    pub(super) fn workspace_to_write(&self) -> Result<Arc<Workspace>> {
        self.open(Access::Write)
    }

    fn open(&self, access: Access) -> Result<Arc<Workspace>> {
        let mut held = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(workspace) = &*held {
            return Ok(Arc::clone(workspace));
        }
        let flags = Flags { preset: self.options.preset, ..Flags::default() };
        let workspace = Arc::new(open::store_with(&mut self.context(), access, Opening { flags, ..Opening::default() })?);
        if workspace.session().is_some() {
            *held = Some(Arc::clone(&workspace));
        }
        Ok(workspace)
    }

    /// Returns the surroundings in which something is done as a command would do it.
    pub(super) fn context(&self) -> Context {
        Context::new(self.global.clone())
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn runs(&self) -> &Runs {
        &self.runs
    }
}
