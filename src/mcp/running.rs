//! Runs that a client starts or continues: each on a thread of its own, waited for as long as the client wants to.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::arguments::{ResumeArguments, RunArguments};
use super::door::Door;
use crate::cli::commands::run::GivenAnswers;
use crate::cli::error::{CliError, Result};
use crate::cli::render::GoOn;
use crate::cli::{consent, form_fill, open};
use crate::domain::event::AnswerSource;
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::run::{AgentStatus, Command};
use crate::executor::{Control, Stop, StreamError};
use crate::settings::Choice;
use crate::views::run_detail::RunDetail;
use crate::workspace::library::Origin;
use crate::workspace::{ActiveRun, ResumeRequest, RunRequest, Workspace};

/// How long a client waits for the end of a run unless it says otherwise: shorter than the minute after which many clients give up.
const WAIT_S: u64 = 45;
const WAIT_S_MAX: u64 = 3600;
/// How often it is looked whether the client has cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The runs under way.
#[derive(Default)]
pub(super) struct Runs(Mutex<BTreeMap<RunId, Handle>>);

struct Handle {
    control: Sender<Control>,
    thread: JoinHandle<()>,
}

impl Runs {
    /// Interrupts the runs under way and waits for them, at most so long.
    pub(super) fn end(&self, patience: Duration) {
        let runs = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        // One that has just ended hears nothing any more.
        for run in runs.values() {
            let _ = run.control.send(Control::Interrupt);
        }
        let until = Instant::now() + patience;
        for run in runs.into_values() {
            while !run.thread.is_finished() && Instant::now() < until {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    fn interrupt(&self, id: RunId) {
        if let Some(run) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            let _ = run.control.send(Control::Interrupt);
        }
    }

    fn add(&self, id: RunId, run: Handle) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.retain(|_, run| !run.thread.is_finished());
        runs.insert(id, run);
    }
}

/// Runs a template as `meno run` does where nobody can be asked.
pub(super) fn run(door: &Door, given: RunArguments, stop: &CancellationToken) -> Result<RunDetail> {
    let looked = door.workspace()?;
    usable(&looked)?;
    let entry = looked.runs().template(&given.template)?;
    let budget = budget(door, given.budget_usd)?;
    if let Some(template) = &entry.template {
        looked.runs().check_models(template, given.strategy, budget)?;
    }
    consent::to_template(&mut door.context(), &looked, &entry)?;
    if let Some(template) = &entry.template {
        let is_strangers = matches!(entry.origin, Origin::User(_));
        consent::to_programs(&mut door.context(), &looked, template, is_strangers, &looked.places.current)?;
    }
    drop(looked);
    let workspace = door.workspace_to_write()?;
    let request = RunRequest::new().strategy(given.strategy).budget(budget).seed(given.seed);
    let request = given.answers.into_iter().fold(request, |request, (id, value)| request.answer(id, value));
    let request = given.inputs.into_iter().fold(request, |request, (id, value)| request.input(id, value));
    let request = given.labels.into_iter().fold(request, |request, (key, value)| request.label(key, value));
    let active = workspace.runs().start(&entry, request)?;
    carry_on(door, &workspace, active, given.wait_s, stop)
}

/// Continues a run as `meno resume` does where nobody can be asked.
pub(super) fn resume(door: &Door, given: ResumeArguments, stop: &CancellationToken) -> Result<RunDetail> {
    let workspace = door.workspace()?;
    let id = workspace.runs().find_own_run(given.run.trim())?;
    if let Ok(basis) = workspace.runs().recorded_basis(id) {
        consent::to_run(&mut door.context(), &workspace, id, &basis)?;
        let folder = workspace.runs().folder_of(id)?;
        consent::to_programs(&mut door.context(), &workspace, &basis.template, true, &folder)?;
    }
    let request =
        ResumeRequest { retry_failed: given.retry_failed, budget: budget(door, given.budget_usd)?, ..ResumeRequest::default() };
    let mut active = workspace.runs().resume(id, &request).map_err(|error| CliError::from(error).about("RUN", id))?;
    let known = form_fill::secrets_of(&workspace, &active.basis.template, &GivenAnswers::new());
    active.redactor = workspace.redactor_of(&active.basis, &known);
    if !active.stream.run().form_complete && !active.stream.run().is_ended() {
        let answers: GivenAnswers = given.answers.into_iter().map(|(id, value)| (id, (value, AnswerSource::Flag))).collect();
        form_fill::complete(&workspace, &mut active, &answers)?;
    } else if !given.answers.is_empty() {
        return Err(CliError::refused(format!("the form of run {id} is complete, so answers change nothing"))
            .hint(format!("`meno fork {id} --set ID=VALUE` begins a new run with other answers")));
    }
    if let Some(granted) = given.approve {
        approve(&mut active, granted)?;
    }
    carry_on(door, &workspace, active, given.wait_s, stop)
}

/// Answers every escalation that waits for a person's word.
fn approve(active: &mut ActiveRun, granted: bool) -> Result<()> {
    let basis = Arc::clone(&active.basis);
    loop {
        let waits = |agent: &&crate::domain::run::Agent| matches!(agent.status, AgentStatus::AwaitingApproval { .. });
        let Some(agent) = active.stream.run().agents.iter().find(waits).map(|agent| agent.plan.agent) else { return Ok(()) };
        active.stream.perform(&basis, &[Command::Approve { agent, granted }])?;
    }
}

/// Refuses settings with which nothing can run.
fn usable(workspace: &Workspace) -> Result<()> {
    if matches!(workspace.resolved.choice, Choice::Nothing { .. }) {
        return Err(CliError::refused("no model is set up, so nothing can run")
            .hint("the person sets one up with `meno config preset=…`, or starts the server with `meno mcp --allow-run --preset simulated`"));
    }
    open::usable(workspace)
}

/// Returns what a run may cost: what the client says, and never more than the person who started the server.
fn budget(door: &Door, wanted: Option<f64>) -> Result<Option<NanoUsd>> {
    let exact = |usd| NanoUsd::from_usd(usd).ok_or_else(|| CliError::invalid("`budget_usd` is not an amount of US dollars"));
    let wanted = wanted.map(exact).transpose()?;
    Ok(match (wanted, door.options().budget) {
        (Some(wanted), Some(most)) => Some(wanted.min(most)),
        (wanted, most) => wanted.or(most),
    })
}

/// Carries a run on and returns it as it stands when it has ended, must wait for a person, or `wait_s` is over. A client that cancels
/// interrupts the run.
fn carry_on(
    door: &Door,
    workspace: &Arc<Workspace>,
    active: ActiveRun,
    wait_s: Option<u64>,
    stop: &CancellationToken,
) -> Result<RunDetail> {
    let id = active.id;
    let done = start(door, workspace, active)?;
    let until = Instant::now() + Duration::from_secs(wait_s.unwrap_or(WAIT_S).min(WAIT_S_MAX));
    loop {
        match done.recv_timeout(LOOK_EVERY) {
            Ok(outcome) => {
                outcome?;
                break;
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err(CliError::fault("the run's executor ended without a result")
                    .hint(format!("`{}` continues the run", how_to_resume(workspace, id))));
            }
            Err(RecvTimeoutError::Timeout) if stop.is_cancelled() => {
                door.runs().interrupt(id);
                return Err(CliError::interrupted().hint(format!("`{}` continues the run", how_to_resume(workspace, id))));
            }
            Err(RecvTimeoutError::Timeout) if Instant::now() >= until => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    Ok(workspace.runs().detail(id)?)
}

/// The command by which a person goes on with a run.
fn how_to_resume(workspace: &Workspace, run: RunId) -> String {
    GoOn { run: &run.to_string(), allow_write: workspace.runs().needs_leave_to_write(run) }.resume("")
}

/// Starts the thread that carries a run on.
fn start(door: &Door, workspace: &Arc<Workspace>, active: ActiveRun) -> Result<Receiver<std::result::Result<(), StreamError>>> {
    let ActiveRun { id, stream, basis, lock, redactor, .. } = active;
    let (control, controlled) = channel();
    let executor = workspace.runs().executor(stream, basis, redactor, door.runtime().clone(), controlled, Box::new(|_| None))?;
    let (sender, done) = channel();
    let workspace = Arc::clone(workspace);
    let work = move || {
        let outcome = executor.execute().and_then(|(stop, stream)| {
            drop(stream);
            match stop {
                Stop::Ended => lock.end()?,
                Stop::Suspended(_) => drop(lock),
            }
            Ok(())
        });
        // What fails here is done by the next search.
        if let Err(error) = workspace.memory().remember() {
            tracing::debug!("the search index is behind: {error}");
        }
        // Nobody may be waiting any more.
        let _ = sender.send(outcome);
    };
    let thread = std::thread::Builder::new().name("meno-executor".to_owned()).spawn(work);
    let thread = thread.map_err(|error| CliError::fault("cannot start the executor").source(&error))?;
    door.runs().add(id, Handle { control, thread });
    Ok(done)
}
