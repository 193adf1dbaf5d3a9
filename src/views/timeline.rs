//! One run on a time axis: when each attempt, model call and tool began and ended, what climbed where, and when nothing worked because a
//! person was waited for. What is drawn from it is for the doors.

use std::collections::HashMap;

use crate::domain::event::{AttemptOutcome, Event, Purpose, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, CallNo, TimeNs};
use crate::domain::tier::Tier;

use super::work_time::WorkTime;

const NS_PER_MS: i64 = 1_000_000;

/// A run on a time axis. Moments are ns since the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// When the first event of work or form happened.
    pub from: TimeNs,
    /// When the last one did.
    pub to: TimeNs,
    /// One lane per agent, in the order in which they appear.
    pub lanes: Vec<Lane>,
    /// When nothing worked.
    pub pauses: Vec<Pause>,
    /// Every event, for those who walk along the log.
    pub moments: Vec<Moment>,
    /// Of attempts of another system it is not recorded when they began: those of an agent stand one after the other.
    pub is_untimed: bool,
}

/// What one agent did.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// The agent's number.
    pub agent: AgentNo,
    /// Its role, with the item where there is one.
    pub label: String,
    /// Its attempts, each followed by its calls, each followed by its tools.
    pub bars: Vec<Bar>,
    /// Its escalations.
    pub climbs: Vec<Climb>,
}

/// What a bar stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BarKind {
    /// An attempt, from its start to its end.
    Attempt,
    /// A model call.
    Call(Purpose),
    /// A tool.
    Tool,
}

/// How what a bar stands for came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// It did what it was to do.
    Good,
    /// It did not.
    Bad,
    /// It was dropped, or its process died.
    Gone,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What it stands for.
    pub kind: BarKind,
    /// The attempt.
    pub attempt: AttemptNo,
    /// The call, of a call or a tool.
    pub call: Option<CallNo>,
    /// The tool call's number within the call, of a tool.
    pub tool: Option<u32>,
    /// The model or the tool; empty where it is not known.
    pub name: String,
    /// When it began.
    pub from: TimeNs,
    /// When it ended; `None` while it has not.
    pub to: Option<TimeNs>,
    /// The tier.
    pub tier: Tier,
    /// How it came out.
    pub outcome: Outcome,
    /// What is known of its cost in nUSD; `None` while nothing is.
    pub cost: Option<u64>,
    /// Failed tries of a call's request, each with how long Meno waited then, in milliseconds.
    pub retries: Vec<u64>,
    /// Of an attempt: it passed, and every criterion is known to pass. Without criteria nobody judged it.
    pub verified: bool,
    /// Another run made it.
    pub inherited: bool,
    /// The position in the log at which it began.
    pub seq: u64,
}

/// What the time of an attempt was spent on, in milliseconds: what went on at the same time counts once, as the first of these that it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// From its start to its end, as long as its bar is.
    pub whole: u64,
    /// Calls for work.
    pub work: u64,
    /// Calls that judge.
    pub judging: u64,
    /// Tools.
    pub tools: u64,
    /// Neither: the commands of its criteria, and the program itself.
    pub rest: u64,
}

impl Lane {
    /// Returns what the time of an attempt was spent on; `None` for one that has not ended.
    pub fn spent(&self, attempt: AttemptNo) -> Option<Spent> {
        let of_attempt = || self.bars.iter().filter(|bar| bar.attempt == attempt);
        let whole = of_attempt().find(|bar| bar.kind == BarKind::Attempt)?;
        let (from, to) = (whole.from, whole.to?);
        let ms = |ns: i64| u64::try_from(ns / NS_PER_MS).unwrap_or_default();
        let mut parts: Vec<(TimeNs, TimeNs)> = Vec::new();
        let mut before = 0;
        let mut more = |is_meant: &dyn Fn(&Bar) -> bool| {
            let meant = of_attempt().filter(|bar| is_meant(bar));
            parts.extend(meant.map(|bar| (bar.from.clamp(from, to), bar.to.unwrap_or(to).clamp(from, to))));
            let all = united(&mut parts);
            ms(all) - ms(std::mem::replace(&mut before, all))
        };
        let work = more(&|bar| bar.kind == BarKind::Call(Purpose::Work));
        let judging = more(&|bar| bar.kind == BarKind::Call(Purpose::Judge));
        let tools = more(&|bar| bar.kind == BarKind::Tool);
        let whole = ms(to - from);
        Some(Spent { whole, work, judging, tools, rest: whole.saturating_sub(work + judging + tools) })
    }
}

/// Returns for how long any of these was under way.
fn united(parts: &mut [(TimeNs, TimeNs)]) -> i64 {
    parts.sort_unstable();
    let (mut at, mut sum) = (TimeNs::MIN, 0);
    for (from, to) in parts.iter() {
        sum += to.saturating_sub(at.max(*from)).max(0);
        at = at.max(*to);
    }
    sum
}

/// An escalation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climb {
    /// The attempt that failed.
    pub attempt: AttemptNo,
    /// The tier left.
    pub from: Tier,
    /// The tier entered.
    pub to: Tier,
    /// When.
    pub at: TimeNs,
}

/// Why nothing worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseKind {
    /// The form was filled in.
    Form,
    /// A person or another process was waited for.
    Waited,
    /// No attempt, call or tool was under way, and nothing says why.
    Idle,
}

/// A time in which nothing worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why.
    pub kind: PauseKind,
    /// From when.
    pub from: TimeNs,
    /// Until when.
    pub to: TimeNs,
}

/// An event, as a place in the run to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Its position in the log.
    pub seq: u64,
    /// When it happened.
    pub at: TimeNs,
    /// The kind's name.
    pub kind: &'static str,
    /// The agent that it is about.
    pub agent: Option<AgentNo>,
}

/// The fold.
#[derive(Clone, Debug, Default)]
struct Fold {
    timeline: Timeline,
    time: WorkTime,
    is_imported: bool,
    /// When the last event happened that says something of time.
    last: TimeNs,
    /// Where the bars are: lane and place.
    attempts: HashMap<(AgentNo, AttemptNo), (usize, usize)>,
    calls: HashMap<CallNo, (usize, usize)>,
    tools: HashMap<(CallNo, u32), (usize, usize)>,
}

impl Timeline {
    /// Folds the events of one run, in order.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Recorded>) -> Self {
        let mut fold = Fold::default();
        events.into_iter().for_each(|recorded| fold.apply(recorded));
        for lane in &mut fold.timeline.lanes {
            // An attempt stands before its calls, a call before its tools, whatever was under way at the same time.
            lane.bars.sort_by_key(|bar| (bar.attempt, bar.call, bar.tool));
        }
        fold.timeline
    }

    /// Returns the pauses together with the times until `end` in which nothing is recorded to have been under way, in order.
    pub fn with_idle(&self, end: TimeNs) -> Vec<Pause> {
        let bars = self.lanes.iter().flat_map(|lane| &lane.bars).map(|bar| (bar.from, bar.to.unwrap_or(end)));
        let mut known: Vec<(TimeNs, TimeNs)> = bars.chain(self.pauses.iter().map(|pause| (pause.from, pause.to))).collect();
        known.sort_unstable();
        let (mut at, mut pauses) = (self.from, self.pauses.clone());
        for (from, to) in known.into_iter().chain([(end, end)]) {
            if from > at {
                pauses.push(Pause { kind: PauseKind::Idle, from: at, to: from });
            }
            at = at.max(to);
        }
        pauses.sort_by_key(|pause| pause.from);
        pauses
    }

    /// Returns how many bars there are.
    pub fn bars(&self) -> usize {
        self.lanes.iter().map(|lane| lane.bars.len()).sum()
    }
}

impl Fold {
    fn apply(&mut self, recorded: &Recorded) {
        let envelope = &recorded.envelope;
        let at = envelope.occurred_at.unwrap_or(envelope.at);
        let event = &recorded.event;
        if let Event::RunStarted(body) = event {
            self.is_imported = body.is_imported();
        }
        let (form, waited) = (self.time.form_ns(), self.time.waited_ns());
        self.time.apply(recorded);
        let grown = [(PauseKind::Form, self.time.form_ns() - form), (PauseKind::Waited, self.time.waited_ns() - waited)];
        for (kind, ns) in grown.into_iter().filter(|(_, ns)| *ns > 0) {
            let from = at.saturating_sub(i64::try_from(ns).unwrap_or(i64::MAX));
            match self.timeline.pauses.last_mut().filter(|last| last.kind == kind && last.to >= from) {
                Some(last) => last.to = at,
                None => self.timeline.pauses.push(Pause { kind, from, to: at }),
            }
        }
        // Of an imported run only the moments of its record count; a note is no part of the work.
        if event.is_timed() && (!self.is_imported || envelope.occurred_at.is_some()) {
            self.see(at);
        }
        let agent = self.act(event, at, envelope.seq);
        self.timeline.moments.push(Moment { seq: envelope.seq, at, kind: event.name(), agent });
        if event.is_timed() {
            self.last = at;
        }
    }

    /// Widens the axis.
    fn see(&mut self, at: TimeNs) {
        let timeline = &mut self.timeline;
        if timeline.to == 0 {
            (timeline.from, timeline.to) = (at, at);
        }
        (timeline.from, timeline.to) = (timeline.from.min(at), timeline.to.max(at));
    }

    /// Takes in what an event says of an agent; returns which.
    fn act(&mut self, event: &Event, at: TimeNs, seq: u64) -> Option<AgentNo> {
        match event {
            Event::AgentPlanned(body) => {
                let item = body.private.as_ref().and_then(|private| private.item.clone());
                let label = item.map_or_else(|| body.role.clone(), |item| format!("{}[{item}]", body.role));
                let lane = self.lane(body.agent);
                self.timeline.lanes[lane].label = label;
                Some(body.agent)
            }
            Event::StartTierChosen(body) => Some(body.agent),
            Event::AttemptStarted(body) => {
                self.attempt(body.agent, body.attempt, bar(BarKind::Attempt, body.attempt, body.tier, at, seq));
                Some(body.agent)
            }
            Event::AttemptEnded(body) => {
                let outcome = match body.outcome {
                    AttemptOutcome::Passed => Outcome::Good,
                    AttemptOutcome::FailedCriteria | AttemptOutcome::Error => Outcome::Bad,
                    AttemptOutcome::Cancelled | AttemptOutcome::Lost => Outcome::Gone,
                };
                // When an attempt whose process died was found, not when it ended, is in its record.
                let to = if body.outcome == AttemptOutcome::Lost { self.last } else { at };
                let place = self.attempts.get(&(body.agent, body.attempt)).copied();
                self.end(place, to, outcome);
                if let Some(bar) = self.bar_mut(place) {
                    bar.verified = body.verified;
                }
                Some(body.agent)
            }
            Event::AttemptImported(body) => {
                // An event of an import has the moment of its run, which is that of one attempt at most.
                self.timeline.is_untimed = true;
                let at = self.behind(body.agent, at);
                let to = at.saturating_add(body.duration_ms.map_or(0, ns));
                let outcome = if body.passed { Outcome::Good } else { Outcome::Bad };
                let begun = bar(BarKind::Attempt, body.attempt, body.tier, at, seq);
                let name = body.model.clone().unwrap_or_default();
                self.attempt(body.agent, body.attempt, Bar { name, to: Some(to), outcome, verified: body.passed, ..begun });
                self.see(to);
                Some(body.agent)
            }
            Event::AttemptInherited(body) => {
                let outcome = if body.outcome == AttemptOutcome::Passed { Outcome::Good } else { Outcome::Bad };
                let begun = bar(BarKind::Attempt, body.attempt, body.tier, at, seq);
                let verified = body.verified;
                let made = Bar { name: body.model.clone(), to: Some(at), outcome, inherited: true, verified, ..begun };
                self.attempt(body.agent, body.attempt, made);
                Some(body.agent)
            }
            Event::TierEscalated(body) => {
                let at = if self.is_imported { self.behind(body.agent, at) } else { at };
                let climb = Climb { attempt: body.attempt, from: body.from, to: body.to, at };
                let lane = self.lane(body.agent);
                self.timeline.lanes[lane].climbs.push(climb);
                Some(body.agent)
            }
            Event::CallStarted(body) => {
                let tier =
                    self.bar_of(self.attempts.get(&(body.agent, body.attempt)).copied()).map_or(Tier::Cheap, |bar| bar.tier);
                let begun = bar(BarKind::Call(body.purpose), body.attempt, tier, at, seq);
                let place = self.push(body.agent, Bar { call: Some(body.call), name: body.model.clone(), ..begun });
                self.calls.insert(body.call, place);
                if body.purpose == Purpose::Work
                    && let Some(attempt) = self.bar_mut(self.attempts.get(&(body.agent, body.attempt)).copied())
                {
                    attempt.name.clone_from(&body.model);
                }
                Some(body.agent)
            }
            Event::RequestRetried(body) => {
                let place = self.calls.get(&body.call).copied();
                self.bar_mut(place)?.retries.push(body.waited_ms);
                self.agent_of(place)
            }
            Event::CallReplied(body) => self.end_call(body.call, at, Outcome::Good),
            Event::CallFailed(body) => self.end_call(body.call, at, Outcome::Bad),
            Event::CallCancelled(body) => self.end_call(body.call, at, Outcome::Gone),
            Event::CallLost(body) => self.end_call(body.call, self.last, Outcome::Gone),
            Event::ToolStarted(body) => {
                let place = self.calls.get(&body.call).copied();
                let (agent, tier, attempt) = (self.agent_of(place)?, self.bar_of(place)?.tier, self.bar_of(place)?.attempt);
                let begun = bar(BarKind::Tool, attempt, tier, at, seq);
                let tool = Bar { call: Some(body.call), tool: Some(body.tool_call), name: body.tool.clone(), ..begun };
                let place = self.push(agent, tool);
                self.tools.insert((body.call, body.tool_call), place);
                Some(agent)
            }
            Event::ToolEnded(body) => {
                let place = self.tools.get(&(body.call, body.tool_call)).copied();
                // Results of tools that were started together are recorded together: each took as long as it says.
                let from = self.bar_of(place).map_or(at, |bar| bar.from);
                let to = from.saturating_add(ns(body.latency_ms)).min(at.max(from));
                self.end(place, to, if body.ok { Outcome::Good } else { Outcome::Bad });
                self.agent_of(place)
            }
            Event::CostIncurred(body) => {
                let attempt = self.attempts.get(&(body.agent, body.attempt)).copied();
                let call = body.call.and_then(|call| self.calls.get(&call).copied());
                for place in [attempt, call] {
                    if let (Some(bar), Some(amount)) = (self.bar_mut(place), body.amount) {
                        bar.cost = Some(bar.cost.unwrap_or_default().saturating_add(amount.0));
                    }
                }
                Some(body.agent)
            }
            Event::CriterionJudged(body) => Some(body.agent),
            Event::ApprovalAsked(body) => Some(body.agent),
            Event::ApprovalGiven(body) => Some(body.agent),
            Event::AgentSucceeded(body) => Some(body.agent),
            Event::AgentFailed(body) => Some(body.agent),
            Event::AgentSkipped(body) => Some(body.agent),
            _ => None,
        }
    }

    /// Returns when something of another system's agent was at the earliest: behind its attempts before, where its moment says less.
    fn behind(&self, agent: AgentNo, at: TimeNs) -> TimeNs {
        let lane = self.timeline.lanes.iter().find(|lane| lane.agent == agent);
        lane.into_iter().flat_map(|lane| &lane.bars).filter_map(|bar| bar.to).fold(at, TimeNs::max)
    }

    fn lane(&mut self, agent: AgentNo) -> usize {
        let lanes = &mut self.timeline.lanes;
        lanes.iter().position(|lane| lane.agent == agent).unwrap_or_else(|| {
            lanes.push(Lane { agent, label: format!("agent-{agent}"), bars: Vec::new(), climbs: Vec::new() });
            lanes.len() - 1
        })
    }

    fn push(&mut self, agent: AgentNo, bar: Bar) -> (usize, usize) {
        let lane = self.lane(agent);
        let bars = &mut self.timeline.lanes[lane].bars;
        bars.push(bar);
        (lane, bars.len() - 1)
    }

    fn attempt(&mut self, agent: AgentNo, attempt: AttemptNo, bar: Bar) {
        let place = self.push(agent, bar);
        self.attempts.insert((agent, attempt), place);
    }

    fn bar_of(&self, place: Option<(usize, usize)>) -> Option<&Bar> {
        place.map(|(lane, bar)| &self.timeline.lanes[lane].bars[bar])
    }

    fn bar_mut(&mut self, place: Option<(usize, usize)>) -> Option<&mut Bar> {
        place.map(|(lane, bar)| &mut self.timeline.lanes[lane].bars[bar])
    }

    fn agent_of(&self, place: Option<(usize, usize)>) -> Option<AgentNo> {
        place.map(|(lane, _)| self.timeline.lanes[lane].agent)
    }

    fn end(&mut self, place: Option<(usize, usize)>, at: TimeNs, outcome: Outcome) {
        if let Some(bar) = self.bar_mut(place) {
            bar.to = Some(at.max(bar.from));
            bar.outcome = outcome;
        }
    }

    fn end_call(&mut self, call: CallNo, at: TimeNs, outcome: Outcome) -> Option<AgentNo> {
        let place = self.calls.get(&call).copied();
        self.end(place, at, outcome);
        self.agent_of(place)
    }
}

fn bar(kind: BarKind, attempt: AttemptNo, tier: Tier, from: TimeNs, seq: u64) -> Bar {
    Bar {
        kind,
        attempt,
        call: None,
        tool: None,
        name: String::new(),
        from,
        to: None,
        tier,
        outcome: Outcome::Running,
        cost: None,
        retries: Vec::new(),
        verified: false,
        inherited: false,
        seq,
    }
}

fn ns(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::views::sample;

    #[test]
    fn a_story_has_its_attempts_with_their_calls_and_climbs() {
        let events = sample::story();
        let timeline = Timeline::fold(&events);
        assert_eq!(timeline.moments.len(), events.len());
        let lane = timeline.lanes.iter().find(|lane| !lane.climbs.is_empty()).unwrap();
        let attempts: Vec<&Bar> = lane.bars.iter().filter(|bar| bar.kind == BarKind::Attempt).collect();
        assert!(attempts.len() >= 2, "{lane:?}");
        assert_eq!(attempts[0].outcome, Outcome::Bad);
        assert!(attempts[1].tier > attempts[0].tier && attempts[1].from >= attempts[0].to.unwrap());
        let call = lane.bars.iter().position(|bar| bar.call.is_some()).unwrap();
        assert_eq!((lane.bars[call].attempt, lane.bars[call - 1].kind), (lane.bars[call - 1].attempt, BarKind::Attempt));
    }

    #[test]
    fn the_time_of_an_attempt_is_that_of_its_calls_tools_and_the_rest() {
        let at = |ms: i64| ms * NS_PER_MS;
        let part = |kind, from, to| Bar { to: Some(at(to)), ..bar(kind, 1, Tier::Cheap, at(from), 1) };
        let work = BarKind::Call(Purpose::Work);
        let bars = vec![
            part(BarKind::Attempt, 100, 1_100),
            part(work, 100, 300),
            part(BarKind::Tool, 300, 500),
            // At the same time as the other one, and longer.
            part(BarKind::Tool, 310, 600),
            part(work, 600, 700),
            // The commands of its criteria ran from here to the judge.
            part(BarKind::Call(Purpose::Judge), 1_000, 1_050),
            Bar { attempt: 2, ..part(work, 1_100, 9_000) },
        ];
        let lane = Lane { agent: 0, label: String::new(), bars, climbs: Vec::new() };
        assert_eq!(lane.spent(1), Some(Spent { whole: 1_000, work: 300, judging: 50, tools: 300, rest: 350 }));
        assert_eq!(lane.spent(2), None);
    }

    proptest! {
        /// Whatever happens, every bar lies within the axis, in its attempt's order, and waiting is what the durations say.
        #[test]
        fn any_events_make_a_timeline(events in proptest::collection::vec(sample::any_event(), 0..60)) {
            let mut story = vec![sample::started()];
            story.extend(events);
            let events = sample::stream(story);
            let timeline = Timeline::fold(&events);
            for bar in timeline.lanes.iter().flat_map(|lane| &lane.bars) {
                prop_assert!(bar.to.is_none_or(|to| to >= bar.from));
            }
            for lane in &timeline.lanes {
                for spent in lane.bars.iter().filter_map(|bar| lane.spent(bar.attempt)) {
                    prop_assert!(spent.work + spent.judging + spent.tools + spent.rest == spent.whole, "{spent:?}");
                }
            }
            let time = events.iter().fold(WorkTime::default(), |mut time, recorded| {
                time.apply(recorded);
                time
            });
            let waited: i64 = timeline.pauses.iter().filter(|it| it.kind == PauseKind::Waited).map(|it| it.to - it.from).sum();
            prop_assert_eq!(waited as u64, time.waited_ns());
            let pauses = timeline.with_idle(timeline.to);
            prop_assert!(pauses.is_sorted_by_key(|pause| pause.from) && timeline.pauses.iter().all(|known| pauses.contains(known)));
            for idle in pauses.iter().filter(|pause| pause.kind == PauseKind::Idle) {
                let meets = |from: TimeNs, to: TimeNs| from < idle.to && to > idle.from;
                let bars = timeline.lanes.iter().flat_map(|lane| &lane.bars);
                prop_assert!(!bars.clone().any(|bar| meets(bar.from, bar.to.unwrap_or(timeline.to))), "{idle:?}");
                prop_assert!(idle.from < idle.to && !timeline.pauses.iter().any(|pause| meets(pause.from, pause.to)), "{idle:?}");
            }
        }
    }
}
