//! `meno serve`: holds the store and keeps it warm for the other commands, until Ctrl-C or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open::{Opening, retain, store_with};
use crate::cli::stop::Stop;
use crate::store::session::{Role, Session};
use crate::store::{self};
use crate::workspace::Access;

/// How often it is looked who owns the store.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often it is looked whether another day has begun, on which old runs may have to be forgotten.
const RETENTION_EVERY: Duration = Duration::from_secs(600);

/// A line of `serve --json`: who holds the store from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Who holds the store, as `meno serve --json` prints it, one line per change")]
pub struct ServeLine {
    /// Whether this process serves, waits until the other one ends, or has stopped.
    pub state: ServeState,
    /// The store's folder.
    pub store: String,
    /// The process that holds the store; null when that is not known.
    pub pid: Option<u32>,
}

/// What `serve` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServeState {
    /// This process holds the store and answers.
    Serving,
    /// Another process holds it; this one takes over when that one ends.
    Waiting,
    /// This process has let go of it.
    Stopped,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When the store cannot be opened.
pub fn run(context: &mut Context) -> Result<Exit> {
    let stop = Stop::listen()?;
    let workspace = Arc::new(store_with(context, Access::Write, Opening { stay: true, ..Opening::default() })?);
    let ending = Arc::new(AtomicBool::new(false));
    let attending = {
        let (workspace, ending) = (Arc::clone(&workspace), Arc::clone(&ending));
        std::thread::Builder::new()
            .name("meno-attend".to_owned())
            .spawn(move || workspace.attend(&|| ending.load(Ordering::Relaxed)))?
    };
    let folder = workspace.store.path.display().to_string();
    let session = workspace.session().ok_or_else(|| store::Error::NotFound(workspace.store.path.clone()))?;
    let (mut told, mut looked) = (None, Instant::now());
    loop {
        let role = session.role();
        if told != Some(role) {
            // Where this is shown may block for as long as it likes: others are served by other threads.
            tell(context, &line(role, session, &folder))?;
            told = Some(role);
        }
        if stop.wait(LOOK_EVERY) {
            break;
        }
        if looked.elapsed() >= RETENTION_EVERY {
            looked = Instant::now();
            retain(context, &workspace);
        }
    }
    ending.store(true, Ordering::Relaxed);
    // A panic in there has ended it as well.
    let _ = attending.join();
    drop(workspace);
    tell(context, &ServeLine { state: ServeState::Stopped, store: folder, pid: Some(std::process::id()) })?;
    Ok(Exit::Done)
}

fn line(role: Role, session: &Session, folder: &str) -> ServeLine {
    let (state, pid) = match role {
        Role::Owner => (ServeState::Serving, Some(std::process::id())),
        Role::Client | Role::Reader(_) => (ServeState::Waiting, session.status().ok().map(|status| status.pid)),
    };
    ServeLine { state, store: folder.to_owned(), pid }
}

fn tell(context: &mut Context, line: &ServeLine) -> Result<()> {
    if context.out.json() {
        return context.out.json_line(line);
    }
    let pid = line.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    match line.state {
        ServeState::Serving => context.out.say(format!("serving {} as process{pid}; Ctrl-C ends", line.store)),
        ServeState::Waiting => context.out.say(format!("{} is held by process{pid}; taking over when it ends", line.store)),
        ServeState::Stopped => context.out.say(format!("stopped serving {}", line.store)),
    }
    Ok(())
}
