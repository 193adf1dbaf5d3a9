//! Runs as the program records them: 50 events each, about 375 bytes per event as the log keeps it.

use meno::event::*;
use meno::internals::domain::BatchId;
use meno::internals::store::{Batch, NewEvent, codec};

use super::Result;

/// Events of one run.
pub const EVENTS_PER_RUN: usize = 50;
/// Runs that differ in their texts; after that many they repeat, under other ids.
const VARIANTS: u64 = 16;
const AGENTS: AgentNo = 4;
/// When the first run began: 2026-11-22T16:21:31Z, in ms.
const BEGIN_MS: u64 = 1_795_364_491_000;

/// Makes batches of events, run after run, without end.
pub struct Events {
    variants: Vec<Vec<NewEvent>>,
    /// Events made so far.
    made: usize,
    /// Keeps the ids of several makers apart.
    maker: u64,
    batches: u64,
}

impl Events {
    /// Prepares the runs; makers with different numbers make different ids.
    pub fn new(maker: u64) -> Result<Self> {
        let variants = (0..VARIANTS).map(encoded).collect::<Result<_>>()?;
        Ok(Self { variants, made: 0, maker, batches: 0 })
    }

    /// Returns a batch of the next `count` events.
    pub fn batch(&mut self, count: usize) -> Batch {
        let events = (self.made..self.made + count).map(|number| {
            let run = (number / EVENTS_PER_RUN) as u64;
            let variant = &self.variants[(run % VARIANTS) as usize];
            NewEvent { run: Some(run_id(self.maker, run)), ..variant[number % EVENTS_PER_RUN].clone() }
        });
        let events = events.collect();
        self.made += count;
        self.batches += 1;
        let id = BatchId::from_bytes((u128::from(self.maker) << 64 | u128::from(self.batches)).to_be_bytes());
        Batch { id, expected_version: None, events, payloads: Vec::new(), day_limit: None }
    }

    /// Returns the batches that the next `count` events make at `per_batch` each.
    pub fn batches(&mut self, count: usize, per_batch: usize) -> Vec<Batch> {
        (0..count / per_batch).map(|_| self.batch(per_batch)).collect()
    }
}

/// Returns the id of the maker's run number `run`: one begins each millisecond.
pub fn run_id(maker: u64, run: u64) -> RunId {
    let id = u128::from(BEGIN_MS + run) << 80 | u128::from(maker) << 64 | u128::from(run);
    RunId::from_bytes(id.to_be_bytes())
}

/// Returns the bytes that a store without chain and numbering keeps of an event: what the peers write.
pub fn record(event: &NewEvent) -> Vec<u8> {
    let envelope = [0x5a; 47];
    [&envelope[..], &event.public, &event.commitment, &event.private].concat()
}

fn encoded(variant: u64) -> Result<Vec<NewEvent>> {
    let events = run(variant);
    assert_eq!(events.len(), EVENTS_PER_RUN, "a run has as many events as it says");
    let salt = Hash::of(&variant.to_be_bytes()).0;
    let mut salted = [0; codec::SALT_BYTES];
    salted.copy_from_slice(&salt[..codec::SALT_BYTES]);
    events.iter().map(|event| Ok(codec::offer(event, salted, None, None, None)?)).collect()
}

fn run(variant: u64) -> Vec<Event> {
    let mut events = vec![started(variant)];
    let questions = ["package_name", "publish_to", "audience", "tone", "deadline", "reviewer", "notes"];
    events.push(
        QuestionsShown { questions: questions.map(str::to_owned).to_vec(), private: Some(QuestionsShownPrivate {}) }.into(),
    );
    for question in questions {
        let value = format!("\"{question} of project {variant}, as somebody would write it into a form of theirs\"");
        let private = Some(AnswerGivenPrivate { value });
        events.push(AnswerGiven { question: question.to_owned(), source: AnswerSource::Asked, secret: false, private }.into());
    }
    events.push(FormCompleted { answered: 7, hidden: vec!["token".to_owned()], private: Some(FormCompletedPrivate {}) }.into());
    events.extend((0..AGENTS).map(planned));
    events.extend((0..AGENTS).flat_map(|agent| agents_work(agent, variant)));
    let report = Text::Inline(words("# Report\n\n", 900));
    events.push(ReportComposed { by: ReportBy::Outputs, private: Some(ReportComposedPrivate { report }) }.into());
    events.push(RunSucceeded { verified: true, private: Some(RunSucceededPrivate {}) }.into());
    let note = NoteAddedPrivate { text: Text::Inline(words("Good: ", 80)), tags: vec!["keep".to_owned()] };
    events.push(NoteAdded { rating: Some(4), private: Some(note) }.into());
    let note = NoteAddedPrivate { text: Text::Inline(words("Later: ", 80)), tags: Vec::new() };
    events.push(NoteAdded { rating: None, private: Some(note) }.into());
    events
}

fn started(variant: u64) -> Event {
    RunStarted {
        template_id: "release_prep".to_owned(),
        template_version: "1.2.0".to_owned(),
        template_hash: Hash::of(b"template"),
        source: None,
        mode: Mode::Simulated,
        strategy: None,
        budget: Some(NanoUsd(500_000_000)),
        allow_unpriced: false,
        escalate: Escalate::Auto,
        jobs: 4,
        seed: variant,
        prices_as_of: "2026-11-22".to_owned(),
        prices_hash: Hash::of(b"prices"),
        meno_version: "0.1.0".to_owned(),
        executor: ExecutorId::from_bytes([1; 16]),
        private: Some(RunStartedPrivate {
            foreign_run_id: None,
            template: Text::Payload { hash: Hash::of(b"template"), bytes: 12_000 },
            base_agents: Text::Inline(words("{", 600)),
            settings: Text::Inline(words("{", 600)),
            prices: Text::Inline(words("[", 500)),
            workspace: "/home/ada/projects/demo".to_owned(),
            user: "0123456789abcdef".to_owned(),
            labels: vec![("team".to_owned(), "core".to_owned())],
        }),
    }
    .into()
}

fn planned(agent: AgentNo) -> Event {
    AgentPlanned {
        agent,
        rule: agent,
        role: format!("reviewer_{agent}"),
        base: "code_reviewer".to_owned(),
        strategy: Strategy::Progressive,
        tools: vec!["ruff".to_owned()],
        depends_on: Vec::new(),
        max_attempts_per_tier: 1,
        budget: None,
        on_failure: OnFailure::FailRun,
        strict: false,
        threshold: None,
        private: Some(AgentPlannedPrivate {
            item: None,
            config: words("{", 250),
            criteria: words("[", 200),
            task: words("Look at it. ", 400),
            because: "the rule has no condition".to_owned(),
        }),
    }
    .into()
}

/// An agent works, is judged and succeeds: eight events.
fn agents_work(agent: AgentNo, variant: u64) -> [Event; 8] {
    let (call, attempt, tier) = (agent + 1, 1, Tier::Cheap);
    let criterion = |criterion| {
        let private = Some(CriterionJudgedPrivate { name: "no lint errors".to_owned(), evidence: words("Line 3: ", 120) });
        CriterionJudged { agent, attempt, criterion, verdict: Verdict::Pass, score: None, by: JudgedBy::Code, private }
    };
    [
        AttemptStarted { agent, attempt, tier, private: Some(AttemptStartedPrivate { task: None, import_key: None }) }.into(),
        call_started(call, agent),
        replied(call),
        cost(call, agent, variant),
        criterion(0).into(),
        criterion(1).into(),
        AttemptEnded {
            agent,
            attempt,
            outcome: AttemptOutcome::Passed,
            verified: true,
            signals: vec![],
            duration_ms: 2_000,
            private: Some(AttemptEndedPrivate {}),
        }
        .into(),
        AgentSucceeded { agent, attempt, verified: true, private: Some(AgentSucceededPrivate {}) }.into(),
    ]
}

fn call_started(call: CallNo, agent: AgentNo) -> Event {
    CallStarted {
        call,
        agent,
        attempt: 1,
        purpose: Purpose::Work,
        provider: "simulated".to_owned(),
        model: "sim-small".to_owned(),
        estimated_input: 900,
        max_output: 8192,
        reserved: Some(NanoUsd(90_000_000)),
        day: 20_779,
        private: Some(CallStartedPrivate {
            system: Text::Payload { hash: Hash::of(b"system"), bytes: 20_000 },
            prompt: Text::Inline(words("Review this: ", 700)),
            transcript: None,
            parameters: "{}".to_owned(),
        }),
    }
    .into()
}

fn replied(call: CallNo) -> Event {
    CallReplied {
        call,
        stop: StopReason::End,
        usage: usage(),
        usage_source: UsageSource::Reported,
        latency_ms: 1_500,
        first_token_ms: Some(300),
        private: Some(CallRepliedPrivate {
            output: Text::Inline(words("I find: ", 900)),
            reasoning: None,
            tool_calls: Text::Inline(String::new()),
            model: Some("sim-small-1".to_owned()),
            request_id: Some("req-0123456789".to_owned()),
            stop_details: None,
        }),
    }
    .into()
}

fn cost(call: CallNo, agent: AgentNo, variant: u64) -> Event {
    CostIncurred {
        call: Some(call),
        agent,
        attempt: 1,
        tier: Tier::Cheap,
        purpose: Purpose::Work,
        provider: Some("simulated".to_owned()),
        model: Some("sim-small".to_owned()),
        amount: Some(NanoUsd(2_000_000 + variant)),
        usage: Some(usage()),
        unit_prices: None,
        band_above: 0,
        source: CostSource::Computed,
        reported: None,
        private: Some(CostIncurredPrivate {}),
    }
    .into()
}

fn usage() -> TokenUsage {
    TokenUsage { input: 1_000, cache_read: 200, cache_write_5m: 30, cache_write_1h: 4, output: 500, reasoning: 100 }
}

/// Returns about `bytes` bytes of text that begin with `start`.
pub fn words(start: &str, bytes: usize) -> String {
    let words = "the second parameter of this function is never read and the test does not say why it should be ";
    start.chars().chain(words.chars().cycle()).take(bytes).collect()
}
