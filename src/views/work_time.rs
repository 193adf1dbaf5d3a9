//! How long a run worked: the one fold behind every duration, which keeps apart the time that a person took.
//!
//! The time from a run's start to its end has three parts. **Form**: from the start until the form is complete. **Waited**: from a pause,
//! an end or a crash until somebody resumes the run, and while an escalation is to be approved and no attempt is under way. **Work**: the
//! rest. Durations and every statistic over them mean work. A run of another system works while any of its attempts does; one whose
//! attempts have no times has only its start and its end, and all of it is work.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{AgentNo, AttemptNo, TimeNs};

const NS_PER_MS: u64 = 1_000_000;
/// Stretches of work that are kept apart in a run of another system; with more, the shortest pause counts as work.
const STRETCHES_MAX: usize = 1000;

/// A run's time so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkTime {
    phase: Phase,
    is_imported: bool,
    form_complete: bool,
    /// Up to when time is counted.
    mark: TimeNs,
    form_ns: u64,
    waited_ns: u64,
    work_ns: u64,
    /// Attempts under way.
    at_work: BTreeSet<(AgentNo, AttemptNo)>,
    /// Agents whose escalation a person is to approve.
    asking: BTreeSet<AgentNo>,
    /// When somebody last wanted the run to end.
    cancel_asked: Option<TimeNs>,
    /// When attempts of a run of another system were at work, from and to, apart and in order.
    stretches: Vec<(TimeNs, TimeNs)>,
    /// When its attempts under way began.
    begun: BTreeMap<(AgentNo, AttemptNo), TimeNs>,
    /// It has attempts with times.
    has_attempts: bool,
}

/// Where a run stands, as far as its time is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// It has not begun.
    #[default]
    New,
    /// It goes on: its form is filled in, or its agents work.
    Active,
    /// It was paused.
    Paused,
    /// It has ended.
    Ended,
    /// It has ended, and its record does not say when.
    EndedSometime,
}

impl WorkTime {
    /// Returns the time of a run that begins with this event.
    pub fn begun_with(recorded: &Recorded) -> Self {
        let mut time = Self::default();
        time.apply(recorded);
        time
    }

    /// Takes in the run's next event.
    pub fn apply(&mut self, recorded: &Recorded) {
        if !recorded.event.is_timed() {
            return;
        }
        let envelope = &recorded.envelope;
        let at = envelope.occurred_at.unwrap_or(envelope.at);
        match &recorded.event {
            Event::CancelAsked(_) => {
                self.cancel_asked = Some(at);
                return;
            }
            Event::RunStarted(body) if self.phase == Phase::New => {
                self.is_imported = body.is_imported();
                self.form_complete = self.is_imported;
                (self.phase, self.mark) = (Phase::Active, at);
                return;
            }
            _ => {}
        }
        // Of an imported run only the moments of its record count, never when it was imported.
        let is_dated = !self.is_imported || envelope.occurred_at.is_some();
        if is_dated {
            self.count(&recorded.event, at);
        }
        if self.is_imported && is_dated {
            self.stretch(&recorded.event, at);
        }
        self.turn(&recorded.event, is_dated);
    }

    /// Counts the time up to an event.
    fn count(&mut self, event: &Event, at: TimeNs) {
        let goes_on = matches!(event, Event::RunResumed(_) | Event::RunCancelled(_));
        let elapsed = u64::try_from(at.saturating_sub(self.mark)).unwrap_or_default();
        let held = match self.phase {
            Phase::New => return,
            // What is appended to a run that nobody executes says nothing of time until it goes on.
            Phase::Paused | Phase::Ended | Phase::EndedSometime if !goes_on => return,
            Phase::Paused | Phase::Ended | Phase::EndedSometime => &mut self.waited_ns,
            // Whoever executed the run is gone: it is resumed, or ended in the moment in which that was asked for.
            Phase::Active if matches!(event, Event::RunResumed(_)) || self.cancel_asked == Some(at) => &mut self.waited_ns,
            Phase::Active if !self.form_complete => &mut self.form_ns,
            Phase::Active if !self.asking.is_empty() && self.at_work.is_empty() => &mut self.waited_ns,
            Phase::Active => &mut self.work_ns,
        };
        *held = held.saturating_add(elapsed);
        self.mark = at;
    }

    /// Takes in when attempts of a run of another system work. Its events come agent by agent, not in the order of time.
    fn stretch(&mut self, event: &Event, at: TimeNs) {
        match event {
            Event::AttemptStarted(body) => {
                self.has_attempts = true;
                self.begun.entry((body.agent, body.attempt)).or_insert(at);
            }
            Event::AttemptEnded(body) => {
                if let Some(from) = self.begun.remove(&(body.agent, body.attempt)).filter(|from| *from < at) {
                    self.worked(from, at);
                }
            }
            _ => {}
        }
    }

    /// Adds a stretch of work to those that are known.
    fn worked(&mut self, mut from: TimeNs, mut to: TimeNs) {
        let first = self.stretches.partition_point(|(_, end)| *end < from);
        let after = self.stretches.partition_point(|(begin, _)| *begin <= to);
        if let Some(overlapped) = self.stretches.get(first..after)
            && let (Some((begin, _)), Some((_, end))) = (overlapped.first(), overlapped.last())
        {
            (from, to) = (from.min(*begin), to.max(*end));
        }
        self.stretches.splice(first..after.max(first), [(from, to)]);
        if self.stretches.len() > STRETCHES_MAX {
            let pauses = self.stretches.windows(2).enumerate();
            let shortest = pauses.min_by_key(|(_, pair)| pair[1].0.saturating_sub(pair[0].1)).map_or(0, |(place, _)| place);
            let (_, end) = self.stretches.remove(shortest + 1);
            self.stretches[shortest].1 = end;
        }
    }

    /// Says how the run stands after an event.
    fn turn(&mut self, event: &Event, is_dated: bool) {
        match event {
            _ if self.phase == Phase::New => {}
            Event::FormCompleted(_) => self.form_complete = true,
            Event::AttemptStarted(body) => drop(self.at_work.insert((body.agent, body.attempt))),
            Event::AttemptEnded(body) => drop(self.at_work.remove(&(body.agent, body.attempt))),
            Event::ApprovalAsked(body) => drop(self.asking.insert(body.agent)),
            Event::ApprovalGiven(body) => drop(self.asking.remove(&body.agent)),
            Event::RunSuspended(_) => self.phase = Phase::Paused,
            Event::RunResumed(_) => (self.phase, self.cancel_asked) = (Phase::Active, None),
            Event::RunSucceeded(_) | Event::RunFailed(_) | Event::RunCancelled(_) => {
                self.phase = if is_dated { Phase::Ended } else { Phase::EndedSometime };
                self.at_work.clear();
                self.asking.clear();
            }
            _ => {}
        }
    }

    /// Returns how long the run worked, in milliseconds; `None` until it has ended, or when its end has no date.
    pub fn work_ms(&self) -> Option<u64> {
        if self.phase == Phase::Ended && self.has_attempts {
            let length = |(from, to): &(TimeNs, TimeNs)| u64::try_from(to.saturating_sub(*from)).unwrap_or_default();
            return Some(self.stretches.iter().map(length).fold(0, u64::saturating_add) / NS_PER_MS);
        }
        (self.phase == Phase::Ended).then_some(self.work_ns / NS_PER_MS)
    }

    /// Returns how long its form took so far, in milliseconds; `None` for a run of another system.
    pub fn form_ms(&self) -> Option<u64> {
        self.own(self.form_ns)
    }

    /// Returns how long it waited for a person so far, in milliseconds; `None` for a run of another system.
    pub fn waited_ms(&self) -> Option<u64> {
        self.own(self.waited_ns)
    }

    /// Returns how long its form took so far, in nanoseconds; 0 for a run of another system.
    pub fn form_ns(&self) -> u64 {
        self.form_ns
    }

    /// Returns how long it waited for a person so far, in nanoseconds.
    pub fn waited_ns(&self) -> u64 {
        self.waited_ns
    }

    fn own(&self, ns: u64) -> Option<u64> {
        (self.phase != Phase::New && !self.is_imported).then_some(ns / NS_PER_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::event::*;
    use crate::domain::tier::Tier;
    use crate::views::sample::{self, recorded};

    const SECOND: i64 = 1_000_000_000;

    /// Folds events, each so many seconds after the run's start.
    fn fold(events: impl IntoIterator<Item = (i64, Event)>) -> WorkTime {
        let mut time = WorkTime::default();
        for ((seconds, event), version) in events.into_iter().zip(1..) {
            let mut recorded = recorded(version, event);
            recorded.envelope.at = seconds * SECOND;
            time.apply(&recorded);
        }
        time
    }

    fn parts(time: &WorkTime) -> (Option<u64>, Option<u64>, Option<u64>) {
        let seconds = |ms: Option<u64>| ms.map(|ms| ms / 1000);
        (seconds(time.form_ms()), seconds(time.waited_ms()), seconds(time.work_ms()))
    }

    fn form_completed() -> Event {
        FormCompleted { answered: 0, hidden: vec![], private: Some(FormCompletedPrivate {}) }.into()
    }

    fn asked(agent: u32) -> Event {
        let (from, to, reason) = (Tier::Cheap, Tier::Capable, EscalationReason::Criteria);
        ApprovalAsked { agent, attempt: 1, from, to, reason, worst_case: None, private: Some(ApprovalAskedPrivate {}) }.into()
    }

    fn given(agent: u32) -> Event {
        ApprovalGiven { agent, granted: true, private: Some(ApprovalGivenPrivate {}) }.into()
    }

    fn failed() -> Event {
        RunFailed { reason: RunFailure::AgentFailed, private: None }.into()
    }

    fn cancelled() -> [Event; 2] {
        [CancelAsked { private: None }.into(), RunCancelled { private: None }.into()]
    }

    fn note() -> Event {
        NoteAdded { rating: None, private: None }.into()
    }

    #[test]
    fn the_form_and_an_approval_are_no_work() {
        let time = fold([
            (0, sample::started()),
            (50, sample::answer("package_name", "1")),
            (100, form_completed()),
            (101, sample::attempt_started(0, 1, Tier::Cheap)),
            (103, sample::attempt_ended(0, 1, AttemptOutcome::FailedCriteria)),
            (103, asked(0)),
            (703, given(0)),
            (703, sample::attempt_started(0, 2, Tier::Capable)),
            (710, sample::attempt_ended(0, 2, AttemptOutcome::Passed)),
            (711, sample::succeeded()),
            (9000, note()),
        ]);
        assert_eq!(parts(&time), (Some(100), Some(600), Some(11)));
    }

    #[test]
    fn while_others_work_nobody_waits() {
        let time = fold([
            (0, sample::started()),
            (0, form_completed()),
            (0, sample::attempt_started(0, 1, Tier::Cheap)),
            (0, sample::attempt_started(1, 1, Tier::Cheap)),
            (10, sample::attempt_ended(0, 1, AttemptOutcome::FailedCriteria)),
            (10, asked(0)),
            (40, sample::attempt_ended(1, 1, AttemptOutcome::Passed)),
            (100, given(0)),
            (101, sample::succeeded()),
        ]);
        assert_eq!(parts(&time), (Some(0), Some(60), Some(41)));
    }

    #[test]
    fn pauses_crashes_and_retries_count_from_the_last_event_of_work() {
        let time = fold([
            (0, sample::started()),
            (5, sample::suspended(SuspendReason::Form)),
            (105, sample::resumed(false)),
            (110, form_completed()),
            (110, sample::attempt_started(0, 1, Tier::Cheap)),
            (120, sample::suspended(SuspendReason::Interrupted)),
            (150, note()),
            (220, sample::resumed(false)),
            (230, sample::call_started(1, 0, 1, Purpose::Work)),
            // The process died; a note is no sign of life.
            (300, note()),
            (1230, sample::resumed(false)),
            (1231, failed()),
            (2231, sample::resumed(true)),
            (2240, sample::succeeded()),
        ]);
        assert_eq!(parts(&time), (Some(10), Some(100 + 100 + 1000 + 1000), Some(10 + 10 + 1 + 9)));
    }

    #[test]
    fn a_run_that_nobody_executed_was_not_at_work_when_it_was_cancelled() {
        let begun = || [(0, sample::started()), (0, form_completed()), (7, sample::attempt_started(0, 1, Tier::Cheap))];
        let [ask, end] = cancelled();
        assert_eq!(parts(&fold(begun().into_iter().chain([(900, ask), (900, end)]))), (Some(0), Some(893), Some(7)));
        let [ask, end] = cancelled();
        assert_eq!(
            parts(&fold(begun().into_iter().chain([(20, ask), (21, end)]))),
            (Some(0), Some(0), Some(21)),
            "it was executed"
        );
    }

    #[test]
    fn an_imported_run_has_only_its_ends() {
        let Event::RunStarted(mut body) = sample::started() else { unreachable!("it is a start") };
        body.mode = Mode::Imported;
        let story = |ended: Option<i64>| {
            let mut time = WorkTime::default();
            for (version, (event, at)) in (1..).zip([(body.clone().into(), Some(0)), (failed(), ended)]) {
                let mut recorded = recorded(version, event);
                recorded.envelope.occurred_at = at;
                time.apply(&recorded);
            }
            time
        };
        assert_eq!(parts(&story(Some(30 * SECOND))), (None, None, Some(30)));
        assert_eq!(parts(&story(None)), (None, None, None));
    }

    #[test]
    fn an_imported_run_works_while_any_of_its_attempts_does() {
        let Event::RunStarted(mut body) = sample::started() else { unreachable!("it is a start") };
        body.mode = Mode::Imported;
        let attempt = |agent, number, from: i64, to: i64| {
            let ended = sample::attempt_ended(agent, number, AttemptOutcome::Passed);
            [(sample::attempt_started(agent, number, Tier::Cheap), from), (ended, to)]
        };
        let story = [
            vec![(body.into(), 0)],
            attempt(0, 1, 0, 30).to_vec(),
            // The person thought about it for an hour.
            attempt(0, 2, 3600, 3620).to_vec(),
            // A subagent was at work within the first exchange, and a little beyond it; another in between.
            attempt(1, 1, 20, 35).to_vec(),
            attempt(2, 1, 100, 101).to_vec(),
            vec![(sample::succeeded(), 3620)],
        ];
        let mut time = WorkTime::default();
        for (version, (event, at)) in (1..).zip(story.concat()) {
            let mut recorded = recorded(version, event);
            recorded.envelope.occurred_at = Some(at * SECOND);
            time.apply(&recorded);
        }
        assert_eq!(parts(&time), (None, None, Some(35 + 1 + 20)));
    }

    proptest! {
        #[test]
        fn stretches_of_work_are_their_union(spans in proptest::collection::vec((0i64..200, 1i64..20), 0..40)) {
            let mut time = WorkTime { has_attempts: true, phase: Phase::Ended, ..WorkTime::default() };
            let mut seconds = BTreeSet::new();
            for (from, length) in spans {
                time.worked(from * SECOND, (from + length) * SECOND);
                seconds.extend(from..from + length);
            }
            prop_assert_eq!(time.work_ms(), Some(seconds.len() as u64 * 1000));
            prop_assert!(time.stretches.is_sorted_by(|a, b| a.1 < b.0));
        }

        #[test]
        fn the_parts_are_the_whole(events in proptest::collection::vec((0i64..100, sample::any_event()), 0..60)) {
            let mut at = 0;
            let mut story = vec![(0, sample::started())];
            for (step, event) in events {
                at += step;
                story.push((at, event));
            }
            story.push((at, sample::succeeded()));
            let time = fold(story);
            let all = time.form_ns + time.waited_ns + time.work_ns;
            prop_assert!(all <= at as u64 * SECOND as u64, "{time:?}");
        }
    }
}
