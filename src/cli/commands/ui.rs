//! `meno ui`: serves the page, until Ctrl-C or SIGTERM.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::allocator;
use crate::cli::args::UiArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::{Opening, store_with};
use crate::cli::stop::Stop;
use crate::mcp::Options;
use crate::ui::{Ui, server};
use crate::workspace::{Access, Workspace};

/// Where the page is when nobody says, so that a browser finds it again.
const PORT: u16 = 4690;

/// What `ui --json` prints: where the page is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "Where the page is, as `meno ui --json` prints it")]
pub struct UiLine {
    /// The address; its token lets one browser in, once.
    pub url: String,
    /// The store's folder.
    pub store: String,
    /// Nothing can be changed from the page.
    pub read_only: bool,
    /// Where programs speak the Model Context Protocol.
    pub mcp_url: String,
    /// What they bring as `Authorization: Bearer …`.
    pub mcp_token: String,
}

/// Serves the page until it is told to stop.
///
/// # Errors
/// When the store cannot be opened or the port is taken.
pub fn run(context: &mut Context, args: &UiArgs) -> Result<Exit> {
    let stop = Stop::listen()?;
    let workspace = Arc::new(open(context, args.read_only)?);
    let listener = listen(args.port)?;
    let options = Options { allow_run: args.allow_run, budget: args.budget, preset: None };
    let mcp = (context.global.clone(), options);
    let ui = Arc::new(Ui::new(Arc::clone(&workspace), context.out.zone().clone(), args.read_only, mcp, &listener)?);
    let url = ui.guard.url();
    if context.out.json() {
        let store = workspace.store.path.display().to_string();
        let (mcp_url, mcp_token) = (ui.guard.mcp_url(), ui.guard.bearer().to_owned());
        context.out.json_line(&UiLine { url: url.clone(), store, read_only: ui.read_only, mcp_url, mcp_token })?;
    } else {
        context.out.data(&url)?;
        let only = if ui.read_only { ", to be read only" } else { "" };
        context.out.say(format!("serving {} to this machine{only}; Ctrl-C ends", workspace.store.path.display()));
    }
    if !context.out.json() {
        let may = if args.allow_run { "reads and runs" } else { "reads only" };
        context.out.say(format!("MCP clients ({may}): {}", ui.guard.mcp_url()));
        match workspace.mcp_token() {
            Some(_) => context.out.say("  with the header `Authorization: Bearer …` of MENO_MCP_TOKEN"),
            None => context.out.say(format!("  with the header `Authorization: Bearer {}`", ui.guard.bearer())),
        }
    }
    if !args.no_open
        && let Err(why) = open_browser(&url)
    {
        context.out.say(format!("no browser was opened ({why}): open the address yourself; `--no-open` leaves the attempt out"));
    }
    let ending = Arc::new(AtomicBool::new(false));
    let attending = attend(&workspace, &ending)?;
    let served = server::serve(&ui, listener, move || stop.is_asked());
    ending.store(true, Ordering::Relaxed);
    // A panic in there has ended it as well.
    drop(attending.map(std::thread::JoinHandle::join));
    served.map(|()| Exit::Done)
}

fn open(context: &mut Context, read_only: bool) -> Result<Workspace> {
    let looked = store_with(context, Access::Read, Opening { hush: !read_only, ..Opening::default() })?;
    // What cannot be written to is shown as it is.
    if read_only || looked.read_only().is_some() {
        return Ok(looked);
    }
    drop(looked);
    store_with(context, Access::Write, Opening { stay: true, ..Opening::default() })
}

fn listen(port: Option<u16>) -> Result<TcpListener> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let bound = match port {
        Some(port) => bind(port),
        None => bind(PORT).or_else(|_| bind(0)),
    };
    bound.map_err(|error| {
        let port = port.unwrap_or_default();
        CliError::new("port", Exit::Mendable, format!("port {port} cannot be used"))
            .source(&error)
            .hint("choose another with `--port`, or leave it out")
    })
}

/// Keeps the index up to the log, as long as the store is held.
fn attend(workspace: &Arc<Workspace>, ending: &Arc<AtomicBool>) -> Result<Option<std::thread::JoinHandle<()>>> {
    if workspace.session().is_none() || workspace.read_only().is_some() {
        return Ok(None);
    }
    let (workspace, ending) = (Arc::clone(workspace), Arc::clone(ending));
    let attend = move || workspace.attend(&|| ending.load(Ordering::Relaxed));
    Ok(Some(std::thread::Builder::new().name("meno-attend".to_owned()).spawn(attend)?))
}

/// Asks the desktop to open the address; says why that cannot be done.
fn open_browser(url: &str) -> std::result::Result<(), String> {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    // A browser keeps memory as it likes.
    command.env_remove(allocator::VARIABLE);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop).map_err(|error| format!("{opener}: {error}"))
}
