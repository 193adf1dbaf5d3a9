//! The loop that carries a run to its end: start what is owed, record what comes back.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::ask::{Approval, Ask, Question, Reply, open_tool};
use super::starts::{Starts, next_call};
use super::stream::{Stream, StreamError};
use crate::domain::call::{CallFailure, CallReply, Retry};
use crate::domain::event::{FileState, Mode, Purpose, ResolvedBy, SuspendReason, ToolFault};
use crate::domain::ids::{AgentNo, CallNo, Hash};
use crate::domain::judge;
use crate::domain::money::NanoUsd;
use crate::domain::redact::Redactor;
use crate::domain::run::{
    Basis, CallState, Command, DayBudget, DayRefusal, Effect, FileLook, Observation, Phase, Refusal, Run, Turn,
    affords_another_try, pending, request,
};
use crate::domain::text::Text;
use crate::domain::tool::ToolOutcome;
use crate::providers::{CallOutcome, CallUpdate, Models};
use crate::store;
use crate::tools::change::Write;
use crate::tools::{Begun, SearchMemory, Toolbox};

/// How often a run that waits for models looks for what others appended to it, such as a wish to cancel.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a person may tell a run that is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Stop for now: calls in flight are dropped, and the run can be resumed.
    Interrupt,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The run has ended: succeeded, failed or cancelled.
    Ended,
    /// The run can go on later.
    Suspended(SuspendReason),
}

/// What a task or a person reports.
enum Message {
    /// A try failed; the call waits to hear whether another one may follow.
    Retried(CallNo, Retry, oneshot::Sender<bool>),
    Done(CallNo, CallOutcome),
    /// `None`: it was stopped before it had a result.
    ToolDone(CallNo, u32, Option<ToolOutcome>),
    /// A tool is about to change files.
    ToolWrites(CallNo, u32, Write),
    /// What became of the commands of an agent's criteria; `None` likewise.
    Observed(AgentNo, Option<Vec<Observation>>),
}

/// Carries one run to its end, or to where it must wait.
pub struct Executor {
    /// The run.
    pub stream: Stream,
    /// What it decides by.
    pub basis: Arc<Basis>,
    /// The models.
    pub models: Arc<Models>,
    /// The tools.
    pub tools: Arc<Toolbox>,
    /// The runs that this one was forked from, the nearest first, where what their tools found may be given again.
    pub ancestors: Vec<Run>,
    /// Keeps secrets out of what is recorded and forwarded.
    pub redactor: Arc<Redactor>,
    /// Where calls run.
    pub runtime: Handle,
    /// What real runs of a UTC day may cost together.
    pub per_day: Option<NanoUsd>,
    /// The folder that criteria about files look at.
    pub workspace: PathBuf,
    /// What a person says meanwhile.
    pub control: Receiver<Control>,
    /// Asks a person what only a person can say.
    pub ask: Ask,
    /// Is told how far a tool of a call is, in words: for whoever watches, and recorded nowhere.
    pub progress: ToolProgress,
}

/// Is told how far a tool of a call is.
pub type ToolProgress = Arc<dyn Fn(CallNo, &str) + Send + Sync>;

/// The calls and tools in flight, and what was seen before them.
struct InFlight {
    tokens: HashMap<CallNo, CancellationToken>,
    tools: HashMap<(CallNo, u32), CancellationToken>,
    /// Tools whose files were looked at and did not tell whether they had finished.
    untold: HashSet<(CallNo, u32)>,
    /// Agents whose criteria have commands that run.
    commands: HashMap<AgentNo, CancellationToken>,
    /// Results of tools whose fellows still run: those that were started together are recorded together.
    results: BTreeMap<(CallNo, u32), ToolOutcome>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    /// The files that an agent's criteria ask about, as they were before its first attempt.
    before: HashMap<AgentNo, BTreeMap<String, FileLook>>,
    stopping: bool,
}

impl InFlight {
    fn new(sender: Sender<Message>, receiver: Receiver<Message>) -> Self {
        Self {
            tokens: HashMap::new(),
            tools: HashMap::new(),
            untold: HashSet::new(),
            commands: HashMap::new(),
            results: BTreeMap::new(),
            sender,
            receiver,
            before: HashMap::new(),
            stopping: false,
        }
    }

    fn running(&self) -> impl Iterator<Item = &CancellationToken> {
        self.tokens.values().chain(self.tools.values()).chain(self.commands.values())
    }
}

/// Whatever still runs has nobody left to tell: it stops.
impl Drop for InFlight {
    fn drop(&mut self) {
        self.running().for_each(CancellationToken::cancel);
    }
}

impl Executor {
    /// Lets its tools search the memory of the store by `search`.
    #[must_use]
    pub fn recalling(mut self, search: SearchMemory) -> Self {
        if let Some(tools) = Arc::get_mut(&mut self.tools) {
            tools.recall_by(search);
        }
        self
    }

    /// Tells `progress` how far tools are.
    #[must_use]
    pub fn telling(mut self, progress: ToolProgress) -> Self {
        self.progress = progress;
        self
    }

    /// Carries the run on until it ends, must wait for a person, or is interrupted.
    ///
    /// # Errors
    /// When the store cannot take what happened. Whatever was recorded before stays, and `resume` goes on from there.
    pub fn execute(mut self) -> Result<(Stop, Stream), StreamError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut flight = InFlight::new(sender, receiver);
        let stop = loop {
            self.notice_stop(&mut flight);
            if !flight.stopping {
                self.start_what_is_owed(&mut flight)?;
            }
            if flight.tokens.is_empty() && flight.tools.is_empty() && flight.commands.is_empty() {
                if let Some(stop) = self.rest(flight.stopping)? {
                    break stop;
                }
                continue;
            }
            match flight.receiver.recv_timeout(LOOK_EVERY) {
                Ok(message) => self.record(&mut flight, message)?,
                Err(RecvTimeoutError::Timeout) => match self.stream.catch_up() {
                    // Calls are in flight: their replies wait for the store, looking at it need not.
                    Err(store::Error::Unreachable { .. } | store::Error::Disconnected(_)) | Ok(()) => {}
                    Err(error) => return Err(error.into()),
                },
                Err(RecvTimeoutError::Disconnected) => break self.rest(true)?.unwrap_or(Stop::Ended),
            }
        };
        Ok((stop, self.stream))
    }

    /// Stops what is in flight where somebody asked for that.
    fn notice_stop(&self, flight: &mut InFlight) {
        if self.control.try_recv().is_ok() || self.stream.run().cancel_asked {
            flight.stopping = true;
            flight.running().for_each(CancellationToken::cancel);
        }
    }

    /// Decides what nothing in flight means: the end, a pause, or a question to a person. `None`: go on.
    fn rest(&mut self, stopping: bool) -> Result<Option<Stop>, StreamError> {
        let run = self.stream.run();
        match run.phase {
            Phase::Running => {}
            Phase::Suspended(why) => return Ok(Some(Stop::Suspended(why))),
            _ => return Ok(Some(Stop::Ended)),
        }
        if run.cancel_asked {
            self.stream.perform(&self.basis, &[Command::Cancel])?;
            return Ok(Some(Stop::Ended));
        }
        if stopping {
            return self.suspend(SuspendReason::Interrupted).map(Some);
        }
        let role = |agent: AgentNo| run.agent(agent).map_or_else(String::new, |agent| agent.label.clone());
        for effect in pending(run) {
            let (command, why) = match effect {
                Effect::AskApproval { agent, from, to, reason } => {
                    let question = Question::Approval(Approval { role: role(agent), from, to, reason });
                    let command = match (self.ask)(&question) {
                        Some(Reply::Approval(granted)) => Some(Command::Approve { agent, granted }),
                        _ => None,
                    };
                    (command, SuspendReason::Approval)
                }
                Effect::ResolveTool { call, tool_call } => {
                    let Some(open) = open_tool(run, call, tool_call) else { continue };
                    let command = match (self.ask)(&Question::Tool(open)) {
                        Some(Reply::Tool(resolution)) => {
                            let by = ResolvedBy::Person;
                            Some(Command::ResolveTool { call, tool_call, resolution, by, outcome: None })
                        }
                        _ => None,
                    };
                    (command, SuspendReason::Tool)
                }
                _ => continue,
            };
            return match command {
                Some(command) => self.stream.perform(&self.basis, &[command]).map(|()| None),
                None => self.suspend(why).map(Some),
            };
        }
        let why = if run.form_complete { SuspendReason::Interrupted } else { SuspendReason::Form };
        self.suspend(why).map(Some)
    }

    /// Finds out of tools during which Meno stopped whether they had finished, as far as the files say that they were to change.
    fn look_at_interrupted(&mut self, flight: &mut InFlight) -> Result<(), StreamError> {
        for effect in pending(self.stream.run()) {
            let Effect::ResolveTool { call, tool_call } = effect else { continue };
            let turn = self.stream.run().calls.get(&call).and_then(|call| call.turn.as_ref());
            let known = turn.and_then(|turn| Some((turn.calls.get(tool_call as usize)?, turn.runs.get(tool_call as usize)?)));
            let Some((asked, run)) = known.filter(|_| !flight.untold.contains(&(call, tool_call))) else { continue };
            let Some((resolution, outcome)) = self.tools.look(&asked.name, &asked.arguments, run.files.as_deref()) else {
                flight.untold.insert((call, tool_call));
                continue;
            };
            let outcome = outcome.map(|outcome| outcome.redacted(&self.redactor));
            let command = Command::ResolveTool { call, tool_call, resolution, by: ResolvedBy::Files, outcome };
            self.stream.perform(&self.basis, &[command])?;
        }
        Ok(())
    }

    fn suspend(&mut self, why: SuspendReason) -> Result<Stop, StreamError> {
        self.stream.perform(&self.basis, &[Command::Suspend(why)])?;
        Ok(Stop::Suspended(why))
    }

    /// Starts every call and tool that may start now.
    fn start_what_is_owed(&mut self, flight: &mut InFlight) -> Result<(), StreamError> {
        // Those that ran when an earlier process died run again, where that does no harm or they had not finished.
        self.look_at_interrupted(flight)?;
        self.launch_commands(flight);
        let day = self.day_limit();
        let (basis, ancestors, redactor) = (&self.basis, &self.ancestors, &self.redactor);
        let starts = Starts { basis, ancestors, redactor, calls: day.is_none() };
        self.stream.start(&self.basis, &starts)?;
        self.launch(flight);
        // What did not start there waits for a budget, or says why it cannot.
        let mut waiting: Vec<AgentNo> = Vec::new();
        while let Some((agent, purpose)) = next_call(self.stream.run(), &waiting) {
            match self.stream.perform_within(&self.basis, &[Command::StartCall { agent, purpose }], day) {
                Ok(()) => self.launch(flight),
                Err(StreamError::Refused(Refusal::WaitsForBudget | Refusal::NotWaiting(_))) => waiting.push(agent),
                Err(StreamError::Store(store::Error::DayLimit { used, wanted, limit })) => {
                    let because = DayRefusal::Seen(DayBudget { limit, used, wanted });
                    self.stream.perform(&self.basis, &[Command::RefuseForDayBudget { agent, purpose, because }])?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Returns what real runs of a day may cost together, where this is one of them.
    fn day_limit(&self) -> Option<NanoUsd> {
        let is_real = self.stream.run().terms.as_ref().is_some_and(|terms| terms.mode == Mode::Real);
        self.per_day.filter(|_| is_real)
    }

    /// Records what was paid for or done, and in the same batch what starts after it.
    fn record_and_go_on(&mut self, flight: &mut InFlight, commands: &[Command]) -> Result<(), StreamError> {
        self.notice_stop(flight);
        let calls = self.day_limit().is_none();
        let (basis, ancestors, redactor) = (&self.basis, &self.ancestors, &self.redactor);
        let starts = Starts { basis, ancestors, redactor, calls };
        self.stream.perform_paid(&self.basis, commands, (!flight.stopping).then_some(&starts))?;
        if !flight.stopping {
            self.launch(flight);
        }
        Ok(())
    }

    /// Runs the calls and tools that are recorded as started and not in flight.
    fn launch(&self, flight: &mut InFlight) {
        self.launch_tools(flight);
        let run = self.stream.run();
        for call in run.open_calls().filter(|call| call.state == CallState::Open) {
            if flight.tokens.contains_key(&call.number) {
                continue;
            }
            self.look_before(flight, call.agent, call.purpose);
            let Some(request) = request(run, &self.basis, call) else { continue };
            let (number, token, sender) = (call.number, CancellationToken::new(), flight.sender.clone());
            flight.tokens.insert(number, token.clone());
            let models = Arc::clone(&self.models);
            self.runtime.spawn(async move {
                let retries = sender.clone();
                let update = move |update| {
                    let CallUpdate::Retry(retry) = update else { return None };
                    let (answer, permission) = oneshot::channel();
                    retries.send(Message::Retried(number, retry, answer)).is_ok().then_some(permission)
                };
                let outcome = models.call(&request, &token, update).await;
                drop(sender.send(Message::Done(number, outcome)));
            });
        }
    }

    /// Runs the tools that are recorded as started and not in flight.
    fn launch_tools(&self, flight: &mut InFlight) {
        for (call, turn) in self.stream.run().calls.values().filter_map(|call| Some((call, call.turn.as_ref()?))) {
            for index in turn.open() {
                let key = (call.number, index as u32);
                if flight.tools.contains_key(&key) || flight.results.contains_key(&key) || turn.runs[index].is_interrupted {
                    continue;
                }
                let (stop, sender, tools) = (CancellationToken::new(), flight.sender.clone(), Arc::clone(&self.tools));
                let (calls, recorded) = (Arc::clone(&turn.calls), turn.runs[index].files.clone());
                flight.tools.insert(key, stop.clone());
                let progress = Arc::clone(&self.progress);
                self.runtime.spawn_blocking(move || {
                    let begin = || {
                        let asked = calls.get(index)?;
                        let tell = |words: &str| progress(key.0, &format!("{}: {words}", asked.name));
                        Some(tools.begin_telling(&asked.name, &asked.arguments, recorded.as_deref(), (&stop, &tell)))
                    };
                    drop(sender.send(match catch_unwind(AssertUnwindSafe(begin)) {
                        Ok(Some(Begun::Writes(write))) => Message::ToolWrites(key.0, key.1, write),
                        Ok(Some(Begun::Ended(outcome))) => Message::ToolDone(key.0, key.1, outcome),
                        Ok(None) => Message::ToolDone(key.0, key.1, None),
                        Err(_) => Message::ToolDone(key.0, key.1, Some(broken())),
                    }));
                });
            }
        }
    }

    /// Runs the commands that criteria ask for, once per answer.
    fn launch_commands(&self, flight: &mut InFlight) {
        let run = self.stream.run();
        for effect in pending(run) {
            let Effect::RunCriteria { agent } = effect else { continue };
            let Some(known) = run.agent(agent).filter(|_| !flight.commands.contains_key(&agent)) else { continue };
            let (stop, sender, tools) = (CancellationToken::new(), flight.sender.clone(), Arc::clone(&self.tools));
            let criteria = known.criteria.clone();
            let answer = known.open_attempt().and_then(|attempt| attempt.output.clone());
            flight.commands.insert(agent, stop.clone());
            self.runtime.spawn_blocking(move || {
                let answer = answer.as_deref().unwrap_or_default();
                let asked =
                    || judge::commands_asked(&criteria).into_iter().map(|asked| tools.observe(asked, answer, &stop)).collect();
                // What breaks off has seen nothing: its criteria are unknown.
                let seen = catch_unwind(AssertUnwindSafe(asked)).unwrap_or_else(|_| Some(Vec::new()));
                drop(sender.send(Message::Observed(agent, seen)));
            });
        }
    }

    /// Records what a tool is about to make of which files, and only then lets it.
    fn write(&mut self, flight: &mut InFlight, call: CallNo, tool_call: u32, write: Write) -> Result<(), StreamError> {
        if flight.stopping {
            // Nothing is changed: whoever goes on finds it so.
            flight.tools.remove(&(call, tool_call));
            return Ok(());
        }
        match self.stream.perform(&self.basis, &[Command::PrepareWrite { call, tool_call, files: write.changes() }]) {
            Ok(()) => {}
            // A cancel from elsewhere came first.
            Err(StreamError::Refused(_)) => {
                flight.tools.remove(&(call, tool_call));
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let (sender, tools) = (flight.sender.clone(), Arc::clone(&self.tools));
        self.runtime.spawn_blocking(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| tools.write(&write))).unwrap_or_else(|_| broken());
            drop(sender.send(Message::ToolDone(call, tool_call, Some(outcome))));
        });
        Ok(())
    }

    /// Records the results of tools that were started together, once all of them are there.
    fn record_tools(&mut self, flight: &mut InFlight, call: CallNo) -> Result<(), StreamError> {
        if flight.tools.keys().any(|(other, _)| *other == call) {
            return Ok(());
        }
        let ended: Vec<(CallNo, u32)> = flight.results.range((call, 0)..=(call, u32::MAX)).map(|(key, _)| *key).collect();
        let command = |key: (CallNo, u32)| {
            let outcome = flight.results.remove(&key)?;
            Some(Command::RecordTool { call, tool_call: key.1, outcome })
        };
        let commands: Vec<Command> = ended.into_iter().filter_map(command).collect();
        match self.record_and_go_on(flight, &commands) {
            // A cancel from elsewhere came first.
            Err(StreamError::Refused(Refusal::ToolNotOpen(..))) => Ok(()),
            other => other,
        }
    }

    fn record(&mut self, flight: &mut InFlight, message: Message) -> Result<(), StreamError> {
        let command = match message {
            Message::Observed(agent, seen) => {
                flight.commands.remove(&agent);
                let Some(mut seen) = seen else { return Ok(()) };
                for output in seen.iter_mut().filter_map(|seen| seen.private.output.as_mut()) {
                    if let Text::Inline(text) = output
                        && let Cow::Owned(redacted) = self.redactor.redact_output(text)
                    {
                        *text = redacted;
                    }
                }
                return match self.record_and_go_on(flight, &[Command::RecordCommands { agent, seen }]) {
                    // A cancel from elsewhere came first.
                    Err(StreamError::Refused(_)) => Ok(()),
                    other => other,
                };
            }
            Message::ToolDone(call, index, outcome) => {
                flight.tools.remove(&(call, index));
                if let Some(outcome) = outcome {
                    flight.results.insert((call, index), outcome.redacted(&self.redactor));
                }
                return self.record_tools(flight, call);
            }
            Message::ToolWrites(call, index, write) => return self.write(flight, call, index, write),
            Message::Retried(call, mut retry, answer) => {
                retry.message = self.redactor.redact_output(&retry.message).into_owned();
                // Nobody listens any more where the call was cancelled.
                let is_allowed = affords_another_try(self.stream.run(), &self.basis, call, &retry);
                let _ = answer.send(is_allowed);
                if !is_allowed {
                    return Ok(());
                }
                Command::RecordRetry { call, retry }
            }
            Message::Done(call, outcome) => {
                flight.tokens.remove(&call);
                match outcome {
                    CallOutcome::Replied(reply) => {
                        Command::RecordReply { call, reply: Box::new(self.redacted(reply)), seen: self.look_after(flight, call) }
                    }
                    CallOutcome::Failed(failure) => Command::RecordFailure { call, failure: self.redacted_failure(failure) },
                    CallOutcome::Cancelled { usage } => Command::RecordCancelled { call, usage },
                }
            }
        };
        match self.record_and_go_on(flight, &[command]) {
            // The call's end is recorded already: a cancel from elsewhere came first.
            Err(StreamError::Refused(Refusal::CallNotOpen(_))) => Ok(()),
            other => other,
        }
    }

    fn redacted(&self, mut reply: CallReply) -> CallReply {
        let redact = |text: &mut String| {
            if let Cow::Owned(redacted) = self.redactor.redact_output(text) {
                *text = redacted;
            }
        };
        redact(&mut reply.text);
        for call in &mut reply.tool_calls {
            redact(&mut call.name);
            self.redactor.redact_value(&mut call.arguments);
            // What is signed cannot be changed: it goes whole or not at all.
            call.carried.retain(|carried| {
                let is_clean = matches!(self.redactor.redact_output(&carried.to_string()), Cow::Borrowed(_));
                is_clean && !self.redactor.finds_in_value(carried)
            });
        }
        // Whatever a server says may quote what it was told, also where it names itself or the request.
        let others = [&mut reply.reasoning, &mut reply.stop_details, &mut reply.model, &mut reply.request_id];
        others.into_iter().flatten().for_each(redact);
        reply
    }

    fn redacted_failure(&self, mut failure: CallFailure) -> CallFailure {
        failure.message = self.redactor.redact_output(&failure.message).into_owned();
        for text in [&mut failure.code, &mut failure.request_id].into_iter().flatten() {
            *text = self.redactor.redact_output(text).into_owned();
        }
        failure
    }

    /// Remembers the files that an agent's criteria ask about, before any attempt of its can change them: what an earlier one changed is
    /// the agent's work too.
    fn look_before(&self, flight: &mut InFlight, agent: AgentNo, purpose: Purpose) {
        let Some(known) = self.stream.run().agent(agent) else { return };
        let run = self.stream.run();
        let has_started = |turn: &Turn| !turn.runs.is_empty();
        let is_untouched = |attempt| !run.calls_of(attempt).filter_map(|call| call.turn.as_ref()).any(has_started);
        // Whoever goes on after a crash in which no tool had started finds them as they were.
        if purpose == Purpose::Work && known.open_attempt().is_none_or(is_untouched) {
            let files = judge::files_asked(&known.criteria);
            let before = flight.before.entry(agent).or_default();
            for path in files {
                let first = || known.files_before.get(path).copied().unwrap_or_else(|| look(&self.workspace, path));
                before.entry(path.to_owned()).or_insert_with(first);
            }
        }
    }

    /// Says what became of those files.
    fn look_after(&self, flight: &InFlight, call: CallNo) -> Vec<Observation> {
        let run = self.stream.run();
        let Some(agent) = run.calls.get(&call).and_then(|call| run.agent(call.agent)) else { return Vec::new() };
        let before = flight.before.get(&agent.plan.agent);
        let seen = |path: &str| {
            let before = before.and_then(|before| before.get(path)).or_else(|| agent.files_before.get(path));
            let before = before.copied().unwrap_or(FileLook::UNSEEN);
            Observation::of_file(path, before, look(&self.workspace, path))
        };
        judge::files_asked(&agent.criteria).into_iter().map(seen).collect()
    }
}

/// What came of a tool that has a fault: the run goes on without it.
fn broken() -> ToolOutcome {
    ToolOutcome::refused(ToolFault::Failed, "This tool broke off by a fault of its own. Do without it.")
}

/// Looks at a file inside `root`. One that is not there, not readable, or whose path leads outside is absent.
fn look(root: &Path, path: &str) -> FileLook {
    let content = content(root, path);
    content.map_or(FileLook::ABSENT, |content| FileLook {
        state: FileState::Present { bytes: content.len() as u64 },
        hash: Some(Hash::of(&content)),
    })
}

fn content(root: &Path, path: &str) -> Option<Vec<u8>> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let resolved = root.join(relative).canonicalize().ok()?;
    let inside = resolved.starts_with(root.canonicalize().ok()?);
    if inside { std::fs::read(resolved).ok() } else { None }
}
