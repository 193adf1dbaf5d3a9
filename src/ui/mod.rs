//! The page: `meno ui` serves the store to a browser on this machine.
//!
//! A door like [`crate::cli`]: a request becomes a call of [`crate::workspace`], and what that returns is drawn as HTML. No rule and no
//! arithmetic of runs lives here. [`server`] is the only file that speaks HTTP; [`guard`] says who may come in; a page is a function
//! from [`Ui`] and [`Request`] to an [`Answer`], one file each in [`pages`]; [`layout`] is what stands around every page.

pub mod axis;
pub mod changes;
pub mod element;
pub mod grid;
pub mod guard;
pub mod layout;
pub mod markdown;
pub mod pages;
pub mod pending;
pub mod report;
pub mod request;
pub mod runner;
pub mod server;
pub mod waterfall;
pub mod zoom;

use std::net::TcpListener;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::cli::args::Global;
use crate::cli::error::{CliError, Result};
use crate::mcp;
use crate::workspace::Workspace;
use crate::workspace::library::Listed;
pub use request::{Answer, Page, Params, Request};

/// What the page is served with.
pub struct Ui {
    /// The store.
    pub workspace: Arc<Workspace>,
    /// Who may come in.
    pub guard: guard::Guard,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// Nothing can be changed from the page.
    pub read_only: bool,
    /// Tells open pages that the log has grown.
    pub changes: changes::Changes,
    /// The runs that were started or continued here.
    pub runner: runner::Runner,
    /// The templates, looked through once per change of their files.
    pub templates: Listed,
    /// Pages that take long.
    pub pending: pending::Pending<Result<Answer>>,
    /// What programs may do that speak the Model Context Protocol to this server, and with what options a command would do it.
    pub mcp: (Global, mcp::Options),
}

impl Ui {
    /// Makes what serves `workspace` at `listener`.
    ///
    /// # Errors
    /// When the machine gives no randomness or no address.
    pub fn new(
        workspace: Arc<Workspace>,
        zone: TimeZone,
        read_only: bool,
        mcp: (Global, mcp::Options),
        listener: &TcpListener,
    ) -> Result<Self> {
        let failed = |error: &(dyn std::error::Error + 'static)| CliError::fault("the page cannot be served").source(error);
        let port = listener.local_addr().map_err(|error| failed(&error))?.port();
        let guard = guard::Guard::new(port, getrandom::fill).map_err(|error| failed(&error))?;
        let guard = match workspace.mcp_token() {
            Some(token) => guard.with_bearer(&token).map_err(|why| {
                CliError::invalid(format!("MENO_MCP_TOKEN cannot be used: {why}"))
                    .hint("set it to a long random text, such as `openssl rand -hex 32` prints")
            })?,
            None => guard,
        };
        let read_only = read_only || workspace.read_only().is_some() || workspace.session().is_none();
        let (changes, runner, templates, pending) = Default::default();
        Ok(Self { workspace, guard, zone, read_only, changes, runner, templates, pending, mcp })
    }

    /// Refuses a change when nothing can be changed from the page.
    ///
    /// # Errors
    /// A report that says so.
    pub fn must_write(&self) -> Result<()> {
        if self.read_only {
            return Err(CliError::refused("this page only shows the store").hint("start it without `--read-only`: `meno ui`"));
        }
        Ok(())
    }
}
