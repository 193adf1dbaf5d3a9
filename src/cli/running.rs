//! A run at work, as a person sees it: progress, questions about escalations, Ctrl-C, and the outcome.
//!
//! The executor has a thread of its own, so that a blocked or closed stdout never holds up a run. What it appends comes here
//! over a channel and is shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

use super::ask::{AskError, AskKind, AskQuestion, Asked, Prompter, Terminal};
use super::context::Context;
use super::error::{CliError, Exit, Result};
use super::output::{sanitize, words};
use super::progress::{Progress, attached};
use super::render::{GoOn, outcome, report};
use crate::domain::event::{Event, Mode, Recorded, ReportComposed, Resolution, SuspendReason};
use crate::domain::ids::CallNo;
use crate::domain::text::Text;
use crate::domain::tool::{HTTP_GET, RECALL, changes_files};
use crate::executor::{Approval, Control, OpenTool, Question, Reply, Stop, StreamError};
use crate::tools::sandbox::{Enforced, OPEN};
use crate::views::event_line::EventLine;
use crate::views::status::RunStatus;
use crate::workspace::{ActiveRun, NoWriting, NoWritingWhy, Workspace, mode};

/// What the executor's thread tells.
enum News {
    Event(Box<Recorded>),
    Notice(String),
    /// How far a tool of a call is.
    ToolProgress(CallNo, String),
    Asks(Question, Sender<Option<Reply>>),
    Done(std::result::Result<Stop, StreamError>),
}

/// Carries a run on to its end, shows it meanwhile, and says how it came out.
///
/// # Errors
/// When the store cannot take what happens; whatever was recorded stays, and the report says how to go on.
pub fn carry_on(context: &mut Context, workspace: &Arc<Workspace>, active: ActiveRun) -> Result<Exit> {
    let id = active.id;
    let before = workspace.runs().events_of(id, 1, u32::MAX)?;
    let shown_from = active.shown_from;
    let runtime = Runtime::new().map_err(|error| CliError::fault("cannot start the runtime").source(&error))?;
    let (control, controlled) = channel();
    listen(&runtime, workspace, control);
    let (sender, news) = channel();
    if active.folder != workspace.places.current {
        context.out.say(sanitize::line(&format!("run {id} works in {}, where it began", active.folder.display())));
    }
    if before.iter().any(|recorded| matches!(recorded.event, Event::WriteUndone(_))) {
        context.out.warn(
            "writes of this run were taken back (undo), and its agents do not know that: they take their files for written",
        );
    }
    let may_plant = say_tools(context, workspace, &active);
    let folder = active.folder.clone();
    // Nothing is looked through for a run that can change nothing.
    let watched = may_plant.then(|| workspace.runs().watched(&folder));
    let lock = start(&runtime, workspace, active, controlled, sender)?;
    let after = Duration::from_millis(workspace.resolved.settings.memory.embed_ms);
    let beside = (!after.is_zero()).then(|| workspace.embed_beside(after));
    let shown = show(context, &news, &before, shown_from)?;
    drop((runtime, beside));
    for file in watched.into_iter().flat_map(|before| before.changed(&workspace.runs().watched(&folder))) {
        let file = file.display().to_string();
        context.out.warn(format!(
            "{} changed during this run, and what stands there is run or believed later: look at it",
            sanitize::line(&file)
        ));
    }
    finish(context, workspace, id, shown, lock)
}

/// Says what agents may do in the world, and what they will have to do without. Returns whether they may change anything there.
fn say_tools(context: &mut Context, workspace: &Workspace, active: &ActiveRun) -> bool {
    let notice = workspace.runs().tools_of(active);
    let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if !notice.programs.is_empty() {
        let (programs, folder) = (list(&notice.programs), notice.folder.display());
        let confined = match &notice.confined {
            None => "as you and unconfined: the sandbox is off".to_owned(),
            Some(Enforced { is_full: true, .. }) => {
                let store = if notice.holds_store { ", .git and the store" } else { " and .git" };
                format!("confined to it: what lies there can be read and changed, .env{store} too; open to them: {OPEN}")
            }
            Some(Enforced { missing, .. }) => {
                format!("confined only in part: this system does not enforce {}; open to them: {OPEN}", missing.join(", "))
            }
        };
        context.out.say(sanitize::line(&format!("runs {programs} in {folder}, {confined}")));
        if notice.no_network {
            context.out.say("these programs have no network, so nothing is downloaded: `network = true` under [tools] opens TCP");
        }
    }
    if !notice.unknown.is_empty() {
        let programs = list(&notice.unknown);
        context.out.say(sanitize::line(&format!(
            "criteria that run {programs} will be unknown: the settings do not allow it (`commands` under [tools])"
        )));
    }
    if !notice.absent.is_empty() {
        let programs = list(&notice.absent);
        context.out.say(sanitize::line(&format!("not on this machine: {programs}; criteria that run it will be unknown")));
    }
    let offered = || notice.offered.iter().map(String::as_str);
    let writing: Vec<&str> = offered().filter(|tool| changes_files(tool)).collect();
    let reading: Vec<&str> = offered().filter(|tool| reads_files(tool)).collect();
    let folder = notice.folder.display();
    if !writing.is_empty() {
        let (tools, id) = (writing.join(", "), active.id);
        let back = match notice.can_undo {
            true => format!("`meno undo {id}` takes it back"),
            false => "it cannot be taken back, because `capture.outputs` keeps no texts".to_owned(),
        };
        context.out.say(sanitize::line(&format!("agents may change files below {folder} ({tools}); {back}")));
    }
    if !reading.is_empty() {
        let tools = reading.join(", ");
        context.out.say(sanitize::line(&format!("agents may read files below {folder} ({tools}), never .env, keys or stores")));
    }
    let beside = offered().filter(|tool| !reads_files(tool) && !changes_files(tool));
    for words in beside.map(said_of_tool) {
        context.out.say(words);
    }
    for (server, tools) in &notice.servers {
        let tools = list(tools);
        let how = match notice.addresses.get(server) {
            Some(url) => format!("is reached at {url}"),
            None => "runs as you and unconfined".to_owned(),
        };
        context.out.say(sanitize::line(&format!("MCP server `{server}` {how}; agents may call {tools}")));
    }
    for note in &notice.notes {
        context.out.say(sanitize::line(note));
    }
    if let Some(no_writing) = &notice.no_writing {
        let words = said_of_no_writing(no_writing, &active.id.to_string());
        // A simulation pays for nothing.
        match mode(&active.basis.settings) {
            Mode::Simulated => context.out.say(sanitize::line(&words)),
            _ => context.out.warn(sanitize::line(&words)),
        }
    }
    for (why, tools) in &notice.missing {
        context.out.say(sanitize::line(&format!("agents list and do not have {}: {why}", list(tools))));
    }
    !notice.programs.is_empty() || !writing.is_empty() || !notice.servers.is_empty()
}

/// Says that agents which are to change files may not, and what lets them.
fn said_of_no_writing(no_writing: &NoWriting, run: &str) -> String {
    let list = |names: &BTreeSet<String>| names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let (tools, roles) = (list(&no_writing.tools), list(&no_writing.roles));
    let vain =
        format!("agents may not change files: {tools} are not allowed to {roles}, and work that needs them is paid in vain");
    match no_writing.why {
        NoWritingWhy::NotAllowed => format!("{vain}; allow it with `--allow-write`, or `allow_write = true` under [tools]"),
        NoWritingWhy::BeganWithout => {
            format!("{vain}; a run keeps what it began with, so `meno rerun {run} --allow-write` repeats it with leave to")
        }
        NoWritingWhy::NotNow => format!(
            "{vain}; this run may by what it recorded, and lacks today's leave: pause it with Ctrl-C, then \
             `meno resume {run} --allow-write`"
        ),
    }
}

/// Tells whether a tool reads files of the workspace.
fn reads_files(tool: &str) -> bool {
    !changes_files(tool) && !matches!(tool, RECALL | HTTP_GET)
}

/// Says what a tool may do that has nothing to do with files.
fn said_of_tool(tool: &str) -> String {
    match tool {
        RECALL => "agents may search the runs of this store (recall)".to_owned(),
        HTTP_GET => "agents may fetch from the origins that the settings allow (http_get)".to_owned(),
        other => sanitize::line(&format!("agents may use {other}")).into_owned(),
    }
}

/// Starts the executor's thread; returns the run's lock once more, to be let go of at the end.
fn start(
    runtime: &Runtime,
    workspace: &Arc<Workspace>,
    active: ActiveRun,
    control: Receiver<Control>,
    sender: Sender<News>,
) -> Result<crate::store::session::RunLock> {
    let ActiveRun { mut stream, basis, lock, redactor, .. } = active;
    let events = sender.clone();
    stream.observe(move |recorded| drop(events.send(News::Event(Box::new(recorded.clone())))));
    let notices = sender.clone();
    stream.on_notice(move |notice| drop(notices.send(News::Notice(notice.to_owned()))));
    let asks = sender.clone();
    let ask = move |question: &Question| {
        let (answer, answered) = channel();
        asks.send(News::Asks(question.clone(), answer)).ok()?;
        answered.recv().ok().flatten()
    };
    let executor = workspace.runs().executor(stream, basis, redactor, runtime.handle().clone(), control, Box::new(ask))?;
    let watching = sender.clone();
    let tell = move |call, words: &str| drop(watching.send(News::ToolProgress(call, words.to_owned())));
    let executor = executor.recalling(workspace.memory_search()).telling(Arc::new(tell));
    let run = move || {
        let outcome = executor.execute().map(|(stop, _)| stop);
        drop(sender.send(News::Done(outcome)));
    };
    let thread = std::thread::Builder::new().name("meno-executor".to_owned()).spawn(run);
    thread.map_err(|error| CliError::fault("cannot start the executor").source(&error))?;
    Ok(lock)
}

/// What came of an executor.
struct Shown {
    /// Why it stopped.
    stop: Stop,
    /// The report, if one was composed.
    report: Option<String>,
    /// The person left a question by Ctrl-C.
    has_left: bool,
}

/// Shows what happens until the executor is done.
fn show(context: &mut Context, news: &Receiver<News>, before: &[Recorded], shown_from: u64) -> Result<Shown> {
    let (mut report, mut has_left) = (None, false);
    let mut progress = Progress::new(&context.out);
    // A closed pipe ends what is shown, never the run.
    let mut is_read = true;
    for recorded in before {
        // Lines of agents that are redrawn have no room for what came before the agents.
        if let (Event::InputAttached(body), Progress::Live(_), true) =
            (&recorded.event, &progress, recorded.envelope.version >= shown_from)
        {
            context.out.say(attached(body));
        }
        if recorded.envelope.version < shown_from {
            progress.learn(recorded);
        } else {
            progress.event(recorded, &mut context.out);
            is_read = is_read && (!context.out.json() || event(context, recorded).is_ok());
        }
    }
    let result = loop {
        match news.recv() {
            Ok(News::Event(recorded)) => {
                if let Event::ReportComposed(ReportComposed { private: Some(private), .. }) = &recorded.event
                    && let Text::Inline(text) = &private.report
                {
                    report = Some(text.clone());
                }
                progress.event(&recorded, &mut context.out);
                if context.out.json() && is_read {
                    is_read = event(context, &recorded).is_ok();
                }
            }
            Ok(News::ToolProgress(call, words)) => progress.tool(call, &words, &mut context.out),
            Ok(News::Notice(notice)) => context.out.say(sanitize::line(&notice)),
            Ok(News::Asks(question, reply)) => {
                let ask = || answer(&mut Terminal::new(true), &question, &mut has_left);
                let asked = context.can_ask().then(|| progress.pause(ask)).flatten();
                let _ = reply.send(asked);
            }
            Ok(News::Done(result)) => break result,
            Err(_) => {
                progress.finish();
                return Err(
                    CliError::fault("the run's executor ended without a result").hint("`meno resume last` continues the run")
                );
            }
        }
    };
    progress.finish();
    Ok(Shown { stop: result?, report, has_left })
}

fn event(context: &mut Context, recorded: &Recorded) -> Result<()> {
    let line = EventLine::of(recorded).map_err(|error| CliError::fault("an event cannot be said in JSON").source(&error))?;
    context.out.typed_line("event", &line)
}

/// Says how the run came out; its exit code follows.
fn finish(
    context: &mut Context,
    workspace: &Arc<Workspace>,
    id: crate::domain::ids::RunId,
    shown: Shown,
    lock: crate::store::session::RunLock,
) -> Result<Exit> {
    let Shown { stop, report, has_left } = shown;
    match stop {
        Stop::Ended => lock.end()?,
        Stop::Suspended(_) => drop(lock),
    }
    let detail = workspace.runs().detail(id)?;
    if context.out.json() {
        context.out.typed_line("run", &detail)?;
    } else {
        if let (Some(report), None) = (report, &detail.report) {
            // It may not be kept: this is the only time that it can be read.
            context.out.verbatim(sanitize::text(&report))?;
        }
        let premium = workspace.runs().premium_prices(id);
        let on = GoOn { run: &id.to_string(), allow_write: workspace.runs().needs_leave_to_write(id) };
        let is_failed = detail.status == RunStatus::Failed;
        // Without what it decided by nothing can be said about its money, and it cannot go on either.
        let stop = is_failed.then(|| workspace.runs().money_stop(id).ok()).flatten().unwrap_or_default();
        context.out.data(outcome::outcome(&detail, &on, premium.as_ref(), &stop))?;
        if let (Some(report), Some(width)) = (&detail.report, context.out.width()) {
            // The result is what people wait for, so it stands where they look: at the end.
            let excerpt = report::report(&report::excerpt(report), Some(width));
            context.out.verbatim(format!("\n{excerpt}\n\nthe whole report: `meno report {id}`"))?;
        }
    }
    remember(context, workspace);
    Ok(match (stop, detail.status) {
        (Stop::Ended, RunStatus::Succeeded) => Exit::Done,
        (Stop::Suspended(_), _) if has_left => Exit::Interrupted,
        (Stop::Suspended(SuspendReason::Interrupted | SuspendReason::Form), _) => Exit::Interrupted,
        _ => Exit::Unsuccessful,
    })
}

/// Makes what was appended searchable by its words, and says when that is not all done yet. What fails here is done by the next search.
pub fn remember(context: &mut Context, workspace: &Workspace) {
    match workspace.memory().remember() {
        Ok(None) => {}
        Ok(Some(behind)) => context.out.say(format!(
            "the search index has seen {} of {} events; `meno reindex` brings it up to the log",
            words::count(behind.indexed_to),
            words::count(behind.log_head)
        )),
        Err(error) => context.out.warn(format!("the search index is behind: {}", sanitize::line(&error.to_string()))),
    }
}

/// Asks a person whether an agent may escalate; `None` when they say neither.
fn ask_approval(prompter: &mut dyn Prompter, approval: &Approval) -> std::result::Result<Option<bool>, AskError> {
    let question = AskQuestion {
        id: "approve".to_owned(),
        text: format!("{} failed at {} ({}). May it try {}?", approval.role, approval.from, approval.reason, approval.to),
        help: None,
        kind: AskKind::Confirm,
        required: true,
        default: Some((serde_json::Value::Bool(true), "as with --escalate auto".to_owned())),
        progress: None,
        validate: &|value| Ok(value.clone()),
    };
    Ok(match prompter.ask(&question)? {
        Asked::Answer(value) => value.as_bool(),
        _ => None,
    })
}

/// Asks a person whether a tool had finished when Meno stopped; `None` when they do not say.
fn ask_tool(prompter: &mut dyn Prompter, open: &OpenTool) -> std::result::Result<Option<Resolution>, AskError> {
    let OpenTool { role, number, tool, arguments } = open;
    let short: String = arguments.chars().take(200).collect();
    let question =
        format!("Meno stopped while {role} ran tool {number}, {tool} {short}. Had it finished? Look before you answer.");
    let options = [
        (Resolution::Done, "done: it had finished, and does not run again"),
        (Resolution::NotDone, "not done: it runs again"),
        (Resolution::Unknown, "unknown: it does not run again, and the agent is told so"),
    ];
    let words = options.map(|(_, words)| words.to_owned());
    let chosen = prompter.choose(&sanitize::line(&question), &words, 2)?;
    Ok(chosen.and_then(|chosen| options.get(chosen)).map(|(resolution, _)| *resolution))
}

/// Puts a question of the executor to a person; `None` when it stays open. Ctrl-C leaves it open too, and is noted in `left`.
fn answer(prompter: &mut dyn Prompter, question: &Question, left: &mut bool) -> Option<Reply> {
    let replied = match question {
        Question::Approval(approval) => ask_approval(prompter, approval).map(|granted| granted.map(Reply::Approval)),
        Question::Tool(tool) => ask_tool(prompter, tool).map(|resolution| resolution.map(Reply::Tool)),
    };
    *left |= replied == Err(AskError::Interrupted);
    replied.ok().flatten()
}

/// Turns signals into requests: the first Ctrl-C, SIGTERM or SIGHUP pauses the run, the second leaves at once; before a stop (Ctrl-Z) the
/// store is handed over.
fn listen(runtime: &Runtime, workspace: &Arc<Workspace>, control: Sender<Control>) {
    let workspace = Arc::clone(workspace);
    runtime.spawn(async move {
        let streams = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::from_raw(SIGTSTP)));
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut stop)) = streams else { return };
        // A terminal that closes pauses the run too, unless whoever started it wants it to go on then (`nohup`).
        let mut hangup = if super::stop::is_hangup_ignored() { None } else { signal(SignalKind::hangup()).ok() };
        let mut asked = false;
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                } => {}
                _ = stop.recv() => {
                    workspace.runs().hand_over_and_stop();
                    continue;
                }
            }
            if asked {
                crate::tools::end_all();
                // Whatever was acknowledged is durable; the run shows as interrupted and can be resumed.
                std::process::exit(Exit::Interrupted as i32);
            }
            asked = true;
            let _ = control.send(Control::Interrupt);
        }
    });
}

/// The signal of Ctrl-Z; the same number on Linux and macOS is not promised, so rustix is asked.
const SIGTSTP: i32 = rustix::process::Signal::TSTP.as_raw();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ask::tests::{Does, Script};

    #[test]
    fn a_question_of_a_run_stays_open_for_who_goes_back_and_ctrl_c_leaves_it_as_an_interruption() {
        let open = OpenTool { role: "writer".into(), number: 1, tool: "write_file".into(), arguments: "{}".into() };
        let asked = |does| {
            let mut has_left = false;
            let reply = answer(&mut Script::of([does]), &Question::Tool(open.clone()), &mut has_left);
            (reply, has_left)
        };
        let outcomes = [Does::Chooses(1), Does::GoesBack, Does::Leaves].map(asked);
        assert_eq!(outcomes, [(Some(Reply::Tool(Resolution::NotDone)), false), (None, false), (None, true)]);
    }
}
