//! From what a session says to its events: which exchanges and replies are new, and where they belong.
//!
//! The session is always read from its beginning; what the log has already is recognised by its keys and passes by. So a session that
//! grew gets its new part only, an import that was killed goes on where its last batch ended, and a reply that stands in several files
//! is taken from the first.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::events;
use super::grown::Retold;
use super::resume::RecordedSession;
use super::rules::Rules;
use super::taken::Taken;
use super::{Entry, Facts, Reply, Session, ToolUse, What};
use crate::domain::event::{
    AttemptEnded, AttemptEndedPrivate, AttemptOutcome, AttemptStarted, AttemptStartedPrivate, CostSource, ErrorClass, Event,
    Purpose, StopReason,
};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, NodeId, RunId, TimeNs};
use crate::domain::text::Text;
use crate::domain::tier::Tier;
use crate::lake::call_events::{self, CallCost, CallModel, CallPlace, Start, is_plausible, tier_of_model};
use crate::lake::convert;
use crate::lake::resold::price_of;
use crate::views::imports;
use crate::views::millis_between;
use crate::views::status::RunStatus;
use crate::views::transcripts::{Key, Seen};

/// How an exchange stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Replied { is_final: bool },
    Interrupted,
    Failed,
    Unfinished,
}

/// An exchange as it is read.
#[derive(Clone, Debug)]
struct Exchange {
    key: Key,
    task: Option<String>,
    stands_alone: bool,
    at: TimeNs,
    /// When the model was last told something.
    told_at: TimeNs,
    last_at: TimeNs,
    /// Its attempt in the log, once it has one.
    attempt: Option<AttemptNo>,
    /// Replies of it are here already, in this run or in another one.
    is_known: bool,
    last: Last,
}

/// A thread as it is read.
#[derive(Debug, Default)]
struct Thread {
    name: Option<Arc<str>>,
    number: Option<AgentNo>,
    attempts: AttemptNo,
    open: Option<AttemptNo>,
    /// How its last attempt ended.
    last: Option<AttemptOutcome>,
    /// The agent was not said to be done after it.
    is_undecided: bool,
    why: String,
    exchange: Option<Exchange>,
    model: String,
    tools: HashMap<String, (CallNo, u32, TimeNs)>,
}

/// A session on its way into the log.
pub struct Conversation<'a> {
    pub(super) rules: &'a Rules<'a>,
    session: &'a Session,
    seen: &'a mut Seen,
    pub(super) run: Option<RunId>,
    /// The own node, and the runs of other stores whose logs lie beside the own one.
    elsewhere: Option<(NodeId, &'a HashSet<RunId>)>,
    left_apart: Option<RunId>,
    /// When the session began, as far as that is known.
    began: Option<TimeNs>,
    has_met: bool,
    status: Option<RunStatus>,
    pub(super) known: RecordedSession,
    /// Replies of other runs, which may have had a part of them only.
    pub(super) retold: Vec<Retold>,
    facts: Facts,
    threads: Vec<Thread>,
    agents: AgentNo,
    calls: CallNo,
    last_at: TimeNs,
    events: Vec<(Event, Option<TimeNs>)>,
    has_added: bool,
    /// What was taken in.
    pub taken: Taken,
}

impl<'a> Conversation<'a> {
    /// Begins to read a session, whose run the log may know already.
    pub fn new(rules: &'a Rules<'a>, session: &'a Session, seen: &'a mut Seen, run: Option<(RunId, RecordedSession)>) -> Self {
        let (run, known) = run.map_or((None, RecordedSession::default()), |(run, known)| (Some(run), known));
        let thread = |(agent, number): (&super::resume::KnownAgent, AgentNo)| Thread {
            name: agent.thread.as_deref().map(Arc::from),
            number: Some(number),
            attempts: agent.attempts,
            open: agent.open,
            last: agent.last,
            is_undecided: agent.is_undecided,
            ..Thread::default()
        };
        let threads: Vec<Thread> = known.agents.iter().zip(0..).map(thread).collect();
        Self {
            rules,
            session,
            seen,
            run,
            elsewhere: None,
            left_apart: None,
            began: None,
            has_met: false,
            status: known.status,
            facts: Facts::default(),
            agents: AgentNo::try_from(threads.len()).unwrap_or(AgentNo::MAX),
            threads,
            calls: known.calls,
            known,
            retold: Vec::new(),
            last_at: TimeNs::MIN,
            events: Vec::new(),
            has_added: false,
            taken: Taken::default(),
        }
    }

    /// Says which runs other stores have: what is new of a session of theirs becomes a run of `node`'s own.
    pub fn know_elsewhere(&mut self, node: NodeId, runs: &'a HashSet<RunId>) {
        self.elsewhere = Some((node, runs));
    }

    /// Says when the session began: what a subagent was asked may be whole before what the session was asked.
    pub fn know_began(&mut self, at: Option<TimeNs>) {
        self.began = at;
    }

    /// Returns the run of another store from which this one was told apart.
    pub fn left_apart(&self) -> Option<RunId> {
        self.left_apart
    }

    /// Tells whether something of it was here already, in whichever run.
    pub fn has_met(&self) -> bool {
        self.has_met
    }

    /// Returns the run, once there is something of it.
    pub fn run(&self) -> Option<RunId> {
        self.run
    }

    /// Returns the events since the last call.
    pub fn drain(&mut self) -> Vec<(Event, Option<TimeNs>)> {
        std::mem::take(&mut self.events)
    }

    /// Takes in something about the session; what was said first counts.
    pub fn facts(&mut self, facts: Facts) {
        let held = &mut self.facts;
        held.folder = held.folder.take().or(facts.folder);
        held.branch = held.branch.take().or(facts.branch);
        held.version = held.version.take().or(facts.version);
    }

    /// Takes in what happened next.
    pub fn take(&mut self, entry: Entry) {
        let Entry { thread, at, what } = entry;
        let place = self.thread(thread.as_ref());
        self.last_at = self.last_at.max(at);
        match what {
            What::Prompt { text, stands_alone } => self.prompt(place, at, &text, stands_alone),
            What::Reply(reply) => self.reply(place, at, reply),
            What::ToolResult { id, ok, text } => self.tool_result(place, at, &id, ok, &text),
            What::Interrupted => self.touch(place, at).last = Last::Interrupted,
            What::Failed { class, message } => self.failed(place, at, class, &message),
            What::Unfinished => {
                self.taken.unfinished += 1;
                self.touch(place, at).last = Last::Unfinished;
            }
        }
    }

    /// Ends the reading: what is done is said to be done.
    pub fn finish(&mut self) {
        for place in 0..self.threads.len() {
            self.close(place, false);
        }
        let main = self.threads.iter().position(|thread| thread.name.is_none()).unwrap_or(0);
        let Some(run) = self.run else { return };
        if self.threads.get(main).is_none_or(|thread| thread.open.is_some() || thread.number.is_none()) {
            return;
        }
        let is_ended = self.status.is_some_and(RunStatus::ended);
        let has_open = self.threads.iter().any(|thread| thread.open.is_some());
        if is_ended && !self.has_added && !has_open {
            return;
        }
        // Whoever worked for the main thread has no more to say, now that it is done.
        for place in 0..self.threads.len() {
            if let Some(attempt) = self.threads[place].open {
                self.end(place, attempt, AttemptOutcome::Lost, self.last_at, self.last_at);
            }
        }
        let last_at = Some(self.last_at).filter(|at| *at != TimeNs::MIN);
        let mut outcome = AttemptOutcome::Passed;
        let mut why = String::new();
        for place in 0..self.threads.len() {
            let thread = &mut self.threads[place];
            let Some((number, last)) = thread.number.zip(thread.last) else { continue };
            let (attempt, said) = (thread.attempts, std::mem::take(&mut thread.why));
            if place == main {
                (outcome, why) = (last, said.clone());
            }
            if std::mem::take(&mut self.threads[place].is_undecided) {
                self.emit(run, events::agent_decided(number, attempt, last, &said), last_at);
            }
        }
        self.emit(run, events::run_ended(outcome, &why), last_at);
        self.status = Some(RunStatus::Succeeded);
    }

    fn thread(&mut self, name: Option<&Arc<str>>) -> usize {
        if let Some(place) = self.threads.iter().position(|thread| thread.name.as_ref() == name) {
            return place;
        }
        self.threads.push(Thread { name: name.cloned(), ..Thread::default() });
        self.threads.len() - 1
    }

    fn prompt(&mut self, place: usize, at: TimeNs, text: &str, stands_alone: bool) {
        let key = Key::of(&["prompt", self.rules.source, &at.to_string(), text]);
        if self.threads[place].exchange.as_ref().is_some_and(|exchange| exchange.key == key) {
            // A subagent's file tells again what the main file has told.
            return;
        }
        self.close(place, true);
        let task = Some(self.rules.clean(text));
        self.begin(place, Exchange { stands_alone, task, ..exchange(key, at) });
    }

    fn begin(&mut self, place: usize, mut exchange: Exchange) {
        let number = self.threads[place].number;
        let mine = self.known.prompts.get(&exchange.key).filter(|(agent, _)| Some(*agent) == number);
        exchange.attempt = mine.map(|(_, attempt)| *attempt);
        self.threads[place].exchange = Some(exchange);
    }

    /// Returns the exchange that goes on; one that nobody began is begun.
    fn touch(&mut self, place: usize, at: TimeNs) -> &mut Exchange {
        if self.threads[place].exchange.is_none() {
            let name = self.threads[place].name.as_deref().unwrap_or_default();
            let key = Key::of(&["beginning", self.rules.source, &self.session.id, name]);
            self.begin(place, exchange(key, at));
        }
        let exchange = self.threads[place].exchange.get_or_insert_with(|| exchange(Key::of(&[]), at));
        exchange.last_at = at;
        exchange
    }

    fn reply(&mut self, place: usize, at: TimeNs, reply: Reply) {
        let is_final = reply.is_final();
        let known = std::iter::once(&reply.key).chain(&reply.aliases).find(|key| self.seen.run_of(**key).is_some());
        let (key, run_of) = (*known.unwrap_or(&reply.key), known.and_then(|key| self.seen.run_of(*key)));
        let exchange = self.touch(place, at);
        exchange.last = Last::Replied { is_final };
        let told_at = std::mem::replace(&mut exchange.told_at, at);
        exchange.is_known |= run_of.is_some();
        self.has_met |= run_of.is_some();
        self.threads[place].model.clone_from(&reply.model);
        if let Some(run) = run_of {
            return self.tell_again(place, at, (run, key), reply);
        }
        let usage = reply.usage.filter(is_plausible);
        let provider = reply.provider.as_deref().map_or_else(|| self.rules.provider.to_owned(), |name| self.rules.name(name));
        let priced = usage
            .filter(|_| reply.unpriced_because.is_none())
            .and_then(|usage| price_of(self.rules.prices, &provider, &reply.model, &usage, at));
        let tier = tier_of_model(self.rules.prices, &provider, &reply.model, at);
        let Some((run, agent, attempt)) = self.attempt(place, tier) else { return };
        self.seen.add(reply.key, run);
        self.calls += 1;
        let call = CallPlace { call: self.calls, agent, attempt };
        let model = self.rules.name(&reply.model);
        let of = CallModel { provider: &provider, model: &model, purpose: Purpose::Work, tier };
        self.emit(run, call.started(of, told_at, reply.key.to_parameters()), Some(told_at));
        let stop = reply.stop.unwrap_or(if is_final { StopReason::Other } else { StopReason::ToolUse });
        let output = self.rules.clean(&reply.text);
        let replied = call.replied(stop, usage, (millis_between(told_at, at), None), output, reply.request.clone());
        self.emit(run, replied, Some(at));
        let amount = priced.map(|priced| priced.amount);
        let cost = CallCost { amount, source: CostSource::Estimated, priced, reported: reply.reported };
        self.emit(run, call.cost(of, usage, cost), Some(at));
        self.taken.calls += 1;
        self.taken.usage = self.taken.usage.plus(usage.unwrap_or_default());
        match priced {
            Some(priced) => self.taken.cost = self.taken.cost.plus(priced.amount),
            None => {
                let why = match (reply.usage, usage) {
                    (None, _) => "the source does not say how many tokens",
                    (Some(_), None) => "the source names more tokens than there can be",
                    (Some(_), Some(_)) => "no price is known",
                };
                let why = reply.unpriced_because.unwrap_or(why);
                *self.taken.unpriced.entry((model, why)).or_default() += 1;
            }
        }
        for (tool, number) in reply.tools.into_iter().zip(0..) {
            self.start_tool(place, run, (call.call, number), tool, at);
        }
    }

    /// Takes in that a tool was asked for.
    pub(super) fn start_tool(&mut self, place: usize, run: RunId, (call, number): (CallNo, u32), tool: ToolUse, at: TimeNs) {
        let arguments = Text::Inline(self.rules.redactor.redact_arguments(&tool.arguments));
        let started = call_events::tool_started(call, number, self.rules.name(&tool.name), tool.writes, arguments);
        self.emit(run, started, Some(at));
        self.taken.tools += 1;
        if tool.is_done {
            self.emit(run, call_events::tool_ended(call, number, true, 0, Text::Withheld), Some(at));
        } else {
            self.await_tool(place, tool.id, (call, number), at);
        }
    }

    /// Waits for the answer of a tool.
    pub(super) fn await_tool(&mut self, place: usize, id: String, (call, number): (CallNo, u32), at: TimeNs) {
        self.threads[place].tools.insert(id, (call, number, at));
    }

    fn tool_result(&mut self, place: usize, at: TimeNs, id: &str, ok: bool, text: &str) {
        if let Some(exchange) = &mut self.threads[place].exchange {
            (exchange.told_at, exchange.last_at) = (at, at);
        }
        let Some((call, tool_call, asked_at)) = self.threads[place].tools.remove(id) else { return };
        let Some(run) = self.run else { return };
        let ended = call_events::tool_ended(call, tool_call, ok, millis_between(asked_at, at), self.rules.result(text));
        self.emit(run, ended, Some(at));
    }

    fn failed(&mut self, place: usize, at: TimeNs, class: ErrorClass, message: &str) {
        let message = self.rules.clean(message);
        let key = Key::of(&["failed", self.rules.source, &at.to_string(), &message]);
        let is_known = self.seen.run_of(key).is_some();
        let exchange = self.touch(place, at);
        exchange.last = Last::Failed;
        exchange.is_known |= is_known;
        let told_at = exchange.told_at;
        self.threads[place].why.clone_from(&message);
        if is_known {
            return;
        }
        let model = self.rules.name(&self.threads[place].model);
        let tier = tier_of_model(self.rules.prices, self.rules.provider, &model, at);
        let Some((run, agent, attempt)) = self.attempt(place, tier) else { return };
        self.seen.add(key, run);
        self.calls += 1;
        let call = CallPlace { call: self.calls, agent, attempt };
        let of = CallModel { provider: self.rules.provider, model: &model, purpose: Purpose::Work, tier };
        self.emit(run, call.started(of, told_at, key.to_parameters()), Some(told_at));
        self.emit(run, call.failed(class, message, None, millis_between(told_at, at)), Some(at));
    }

    /// Returns the open attempt of the exchange that goes on; begins it, its agent and the run where they have not begun.
    fn attempt(&mut self, place: usize, tier: Tier) -> Option<(RunId, AgentNo, AttemptNo)> {
        let exchange = self.threads[place].exchange.clone()?;
        let run = self.run_id(exchange.at);
        let open = self.threads[place].open;
        if let (Some(number), Some(open)) = (self.threads[place].number, open)
            && exchange.attempt == Some(open)
        {
            return Some((run, number, open));
        }
        if let Some(open) = open {
            self.end(place, open, AttemptOutcome::Cancelled, exchange.at, exchange.at);
        }
        let agent = self.agent(place, run, tier, &exchange);
        let thread = &mut self.threads[place];
        thread.attempts += 1;
        let attempt = thread.attempts;
        thread.open = Some(attempt);
        let is_new = exchange.attempt.is_none();
        if let Some(held) = &mut thread.exchange {
            held.attempt = Some(attempt);
        }
        if is_new {
            self.seen.add(exchange.key, run);
            self.known.prompts.insert(exchange.key, (agent, attempt));
        }
        let private = Some(AttemptStartedPrivate {
            task: exchange.task.clone().filter(|_| is_new).map(Text::Inline),
            import_key: is_new.then(|| exchange.key.to_hex()),
        });
        self.emit(run, AttemptStarted { agent, attempt, tier, private }.into(), Some(exchange.at));
        self.taken.exchanges += 1;
        Some((run, agent, attempt))
    }

    fn run_id(&mut self, at: TimeNs) -> RunId {
        if let Some(run) = self.run {
            return run;
        }
        let (origin, foreign, digest) = self.rules.origin(self.session);
        // What another store has of the session stays there, and what is new here is a run of this store's own.
        let there = convert::run_id(at, &origin);
        let apart = self.elsewhere.filter(|(_, runs)| runs.contains(&there));
        self.left_apart = apart.map(|_| there);
        let run = apart.map_or(there, |(node, _)| convert::run_id(at, &self.rules.origin_apart(self.session, node)));
        self.run = Some(run);
        let family = self.session.files.iter().find(|file| file.thread.is_none()).or(self.session.files.first());
        let family = family.and_then(|file| file.family.first()).map(String::as_str);
        let labels = events::labels(&self.facts, &self.session.project);
        let labels = labels.into_iter().map(|(key, value)| (key, self.rules.clean(&value))).collect();
        let start = Start {
            source: self.rules.source,
            template: self.rules.source.to_owned(),
            is_simulated: false,
            foreign,
            settings: imports::settings_of_family(&digest, family.filter(|family| !self.rules.redactor.finds(family))),
            prices_as_of: &self.rules.prices.as_of(),
            prices_hash: self.rules.prices_hash,
            folder: self.rules.clean(self.facts.folder.as_deref().unwrap_or_default()),
            labels,
        };
        let started = call_events::run_started(run, start);
        self.status = Some(RunStatus::Running);
        self.emit(run, started, Some(self.began.map_or(at, |began| began.min(at))));
        run
    }

    fn agent(&mut self, place: usize, run: RunId, tier: Tier, exchange: &Exchange) -> AgentNo {
        if let Some(number) = self.threads[place].number {
            return number;
        }
        let number = self.agents;
        self.agents += 1;
        self.threads[place].number = Some(number);
        let name = self.threads[place].name.clone();
        let task = exchange.task.clone().unwrap_or_default();
        self.emit(run, events::agent_planned(number, name.as_deref(), tier, task), Some(exchange.at));
        number
    }

    /// Ends the exchange of a thread, because the next one begins or the files have no more to say.
    fn close(&mut self, place: usize, next_begins: bool) {
        let Some(exchange) = &self.threads[place].exchange else { return };
        let outcome = match exchange.last {
            Last::Interrupted => Some(AttemptOutcome::Cancelled),
            Last::Failed => Some(AttemptOutcome::Error),
            Last::Replied { is_final: true } => Some(AttemptOutcome::Passed),
            // Nothing came back: whoever asked next did not wait for it.
            Last::Nothing | Last::Replied { is_final: false } | Last::Unfinished => {
                next_begins.then_some(AttemptOutcome::Cancelled)
            }
        };
        let (at, last_at) = (exchange.at, exchange.last_at);
        let is_unanswered = exchange.attempt.is_none() && !exchange.is_known && exchange.last != Last::Unfinished;
        if is_unanswered && exchange.stands_alone && self.seen.run_of(exchange.key).is_none() {
            self.attempt(place, Tier::Capable);
        }
        let thread = &self.threads[place];
        let attempt = thread.exchange.as_ref().and_then(|exchange| exchange.attempt);
        if let (Some(outcome), Some(attempt)) = (outcome, attempt)
            && thread.open == Some(attempt)
        {
            self.end(place, attempt, outcome, at, last_at);
        }
        self.threads[place].exchange = None;
    }

    fn end(&mut self, place: usize, attempt: AttemptNo, outcome: AttemptOutcome, from: TimeNs, to: TimeNs) {
        let thread = &mut self.threads[place];
        let (Some(run), Some(agent)) = (self.run, thread.number) else { return };
        thread.open = None;
        thread.last = Some(outcome);
        thread.is_undecided = true;
        thread.tools.clear();
        let duration_ms = millis_between(from, to);
        let private = Some(AttemptEndedPrivate {});
        let ended = AttemptEnded { agent, attempt, outcome, verified: false, signals: Vec::new(), duration_ms, private };
        self.emit(run, ended.into(), Some(to));
    }

    /// Adds an event; a run that ended is resumed, as late as what was read last.
    pub(super) fn emit(&mut self, run: RunId, event: Event, at: Option<TimeNs>) {
        if self.status.is_some_and(RunStatus::ended) {
            self.status = Some(RunStatus::Running);
            self.events.push((events::run_resumed(run), at.map(|at| at.max(self.last_at))));
        }
        self.has_added = true;
        self.known.count(&event, at.unwrap_or_default());
        self.events.push((event, at));
    }
}

fn exchange(key: Key, at: TimeNs) -> Exchange {
    Exchange {
        key,
        task: None,
        stands_alone: false,
        at,
        told_at: at,
        last_at: at,
        attempt: None,
        is_known: false,
        last: Last::Nothing,
    }
}
