//! The store as a server of the Model Context Protocol: what a coding agent asks becomes the same calls of [`crate::workspace`] that
//! the commands make, and the answers are the same JSON documents.
//!
//! A door like [`crate::cli`], for programs that speak for a model. It only looks, unless the person who starts it lets it run.
//! [`tools`] is what can be asked, `document` keeps an answer within what a client takes, `running` carries runs on, and `server`
//! alone knows the protocol. Start with [`serve`].

pub mod arguments;
pub mod client_config;
mod document;
mod door;
mod hints;
mod running;
mod server;
pub mod tools;

pub use door::Options;
pub use server::HttpService;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::cli::args::Global;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::stop::Stop;
use crate::workspace::Workspace;
use door::Door;

/// How long runs that are under way are waited for when the client has gone.
const RUNS_WAIT: Duration = Duration::from_secs(10);

/// The store as a server over HTTP, for whoever serves something beside it. Who may come in is checked before.
pub struct HttpDoor {
    door: Arc<Door>,
    ended: CancellationToken,
}

impl HttpDoor {
    /// Makes it for a store that is open; without one it is looked for at each question. `runtime` is where it is served.
    pub fn new(global: &Global, options: Options, open: Option<Arc<Workspace>>, runtime: Handle) -> Self {
        let door = Arc::new(Door::new(global, options, runtime).holding(open));
        Self { door, ended: CancellationToken::new() }
    }

    /// Returns the service that answers.
    pub fn service(&self) -> HttpService {
        server::over_http(&self.door, self.ended.clone())
    }

    /// Answers nothing more, and interrupts the runs of clients; they can be resumed.
    pub fn end(&self) {
        self.ended.cancel();
        self.door.runs().end(RUNS_WAIT);
    }
}

/// Serves on stdin and stdout until the client closes them, Ctrl-C or SIGTERM. Runs that are under way then are interrupted, and can be
/// resumed.
///
/// # Errors
/// When the process gets no threads, or the store cannot be opened.
pub fn serve(global: &Global, options: Options) -> Result<Exit> {
    let stop = Stop::listen()?;
    let runtime = Runtime::new().map_err(|error| CliError::fault("cannot start the runtime").source(&error))?;
    let door = Arc::new(Door::new(global, options, runtime.handle().clone()));
    // What is wrong with the settings or the store is said now, where a person sees it, and not first at a question.
    drop(door.workspace()?);
    let ended = CancellationToken::new();
    let asked = ended.clone();
    std::thread::Builder::new().name("meno-mcp-stop".to_owned()).spawn(move || {
        while !stop.wait(Duration::from_secs(3600)) {}
        asked.cancel();
    })?;
    let outcome = runtime.block_on(server::serve(Arc::clone(&door), ended));
    door.runs().end(RUNS_WAIT);
    // A read of stdin may be under way for ever.
    runtime.shutdown_background();
    outcome.map(|()| Exit::Done)
}
