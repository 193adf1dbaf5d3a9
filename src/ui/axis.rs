//! A time axis in per cent of its width. Long times in which nothing worked may be squeezed, so that the work between them can be seen.

use crate::domain::ids::TimeNs;
use crate::views::timeline::{Pause, PauseKind};

/// The width of a squeezed pause, and of all of them at most, in per cent: more would leave no room for the work.
const SQUEEZED: f64 = 3.0;
const SQUEEZED_TOGETHER: f64 = 40.0;
/// A pause is squeezed when it would be wider, in per cent of what is left by longer ones that are.
const SQUEEZE_ABOVE: f64 = 6.0;
/// Pauses that are squeezed, at most.
const SQUEEZED_MAX: usize = 200;
/// A shorter time without work is the program's own and never squeezed.
const IDLE_MIN: TimeNs = 10_000_000_000;
/// How many ticks an axis has, about.
const TICKS: i64 = 8;
/// Ticks are at least so far apart, in per cent.
const TICK_ROOM: f64 = 7.0;

/// A part of the axis on which time passes evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    from: TimeNs,
    to: TimeNs,
    left: f64,
    right: f64,
    squeezed: Option<PauseKind>,
}

/// A time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// From when ticks are counted.
    origin: TimeNs,
    from: TimeNs,
    to: TimeNs,
    segments: Vec<Segment>,
}

/// A squeezed pause, from left to right in per cent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Squeezed {
    /// Its left end.
    pub left: f64,
    /// Its right end.
    pub right: f64,
    /// Why nothing worked.
    pub kind: PauseKind,
    /// How long it was, in milliseconds.
    pub ms: u64,
}

impl Axis {
    /// Makes the axis from one moment to another; `squeeze` says whether long pauses are drawn short.
    pub fn new(from: TimeNs, to: TimeNs, pauses: &[Pause], squeeze: bool) -> Self {
        // Nothing has no width: a run of one moment still has an axis.
        let to = to.max(from.saturating_add(1_000_000));
        let long = if squeeze { to_squeeze(from, to, pauses) } else { Vec::new() };
        let narrow = SQUEEZED.min(SQUEEZED_TOGETHER / long.len().max(1) as f64);
        let paused: i64 = long.iter().map(|pause| pause.to - pause.from).sum();
        let work = ((to - from - paused) as f64).max(1.0);
        let share = (100.0 - narrow * long.len() as f64) / work;
        let (mut segments, mut at, mut left) = (Vec::new(), from, 0.0);
        for pause in long.into_iter().map(Some).chain([None]) {
            let end = pause.map_or(to, |pause| pause.from).max(at);
            let right = left + (end - at) as f64 * share;
            segments.push(Segment { from: at, to: end, left, right, squeezed: None });
            (at, left) = (end, right);
            if let Some(pause) = pause {
                let squeezed = Segment { from: at, to: pause.to.max(at), left, right: left + narrow, squeezed: Some(pause.kind) };
                segments.push(squeezed);
                (at, left) = (squeezed.to, squeezed.right);
            }
        }
        Self { origin: from, from, to, segments }
    }

    /// Returns the same with its ticks counted from another moment: an axis may be a part of a longer one.
    #[must_use]
    pub fn counted_from(self, origin: TimeNs) -> Self {
        Self { origin: origin.min(self.from), ..self }
    }

    /// Returns where a moment is, in per cent from the left.
    pub fn at(&self, moment: TimeNs) -> f64 {
        let moment = moment.clamp(self.from, self.to);
        let segment = self.segments.get(self.segments.partition_point(|segment| segment.to < moment)).or(self.segments.last());
        segment.map_or(0.0, |segment| {
            let long = (segment.to - segment.from) as f64;
            let share = if long > 0.0 { (moment - segment.from) as f64 / long } else { 0.0 };
            (segment.left + share * (segment.right - segment.left)).clamp(0.0, 100.0)
        })
    }

    /// Returns which moment is at a place, in per cent from the left.
    pub fn moment(&self, place: f64) -> TimeNs {
        let segment = self.segments.get(self.segments.partition_point(|segment| segment.right < place)).or(self.segments.last());
        segment.map_or(self.from, |segment| {
            let wide = segment.right - segment.left;
            let share = if wide > 0.0 { ((place - segment.left) / wide).clamp(0.0, 1.0) } else { 0.0 };
            segment.from.saturating_add((share * (segment.to - segment.from) as f64) as i64).min(segment.to)
        })
    }

    /// Returns the pauses that are drawn short.
    pub fn squeezed(&self) -> impl Iterator<Item = Squeezed> {
        self.segments.iter().filter_map(|segment| {
            let ms = u64::try_from((segment.to - segment.from) / 1_000_000).unwrap_or_default();
            Some(Squeezed { left: segment.left, right: segment.right, kind: segment.squeezed?, ms })
        })
    }

    /// Returns ticks: where they are in per cent, and how long after the moment that they are counted from, in milliseconds.
    pub fn ticks(&self) -> Vec<(f64, u64)> {
        let work: i64 = self.segments.iter().filter(|it| it.squeezed.is_none()).map(|it| it.to - it.from).sum();
        let step = step(work / 1_000_000 / TICKS).saturating_mul(1_000_000);
        let mut ticks: Vec<(f64, u64)> = Vec::new();
        for segment in self.segments.iter().filter(|segment| segment.squeezed.is_none()) {
            let is_room = |ticks: &[(f64, u64)], place: f64| ticks.last().is_none_or(|(last, _)| place - last >= TICK_ROOM);
            // Behind a pause that is drawn short it is said how late it is.
            if segment.from > self.from && is_room(&ticks, segment.left) {
                ticks.push((segment.left, u64::try_from((segment.from - self.origin) / 1_000_000).unwrap_or_default()));
            }
            let first = (segment.from - self.origin).div_euclid(step);
            // A segment has no more ticks than the whole axis could have.
            for number in (first..).take(4 * TICKS as usize) {
                let after = number.saturating_mul(step);
                let moment = self.origin.saturating_add(after);
                if moment > segment.to {
                    break;
                }
                let place = self.at(moment);
                if moment >= segment.from && is_room(&ticks, place) {
                    ticks.push((place, u64::try_from(after / 1_000_000).unwrap_or_default()));
                }
            }
        }
        ticks
    }
}

/// Returns which pauses are drawn short, in order: the longest, as long as they would take much of the axis, or are together longer than the
/// work. Where nothing but a pause is looked at, it is drawn to scale.
fn to_squeeze(from: TimeNs, to: TimeNs, pauses: &[Pause]) -> Vec<Pause> {
    let inside = pauses.iter().map(|pause| Pause { from: pause.from.clamp(from, to), to: pause.to.clamp(from, to), ..*pause });
    let least = |pause: &Pause| if pause.kind == PauseKind::Idle { IDLE_MIN } else { 1 };
    let mut pauses: Vec<Pause> = inside.filter(|pause| pause.to - pause.from >= least(pause)).collect();
    pauses.sort_by_key(|pause| std::cmp::Reverse(pause.to - pause.from));
    let mut paused: TimeNs = pauses.iter().map(|pause| pause.to - pause.from).sum();
    let work = to - from - paused;
    if work <= 0 {
        return Vec::new();
    }
    let is_long = |pause: &Pause| {
        let (long, left) = (pause.to - pause.from, work + paused);
        let is_long = paused > work || long as f64 / left as f64 * 100.0 > SQUEEZE_ABOVE;
        paused -= long;
        is_long
    };
    let mut long: Vec<Pause> = pauses.into_iter().take(SQUEEZED_MAX).take_while(is_long).collect();
    long.sort_by_key(|pause| pause.from);
    long
}

/// Returns a step of at least so many milliseconds that people count in.
fn step(least: i64) -> i64 {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const STEPS: [i64; 26] = [
        1,
        2,
        5,
        10,
        20,
        50,
        100,
        200,
        500,
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        7 * DAY,
        30 * DAY,
    ];
    STEPS.into_iter().find(|step| *step >= least).unwrap_or(365 * DAY)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn pause(from: i64, to: i64) -> Pause {
        Pause { kind: PauseKind::Waited, from: from * SECOND, to: to * SECOND }
    }

    #[test]
    fn a_night_of_waiting_leaves_room_for_the_work() {
        let axis = Axis::new(0, 36_020 * SECOND, &[pause(10, 36_010)], true);
        assert!((axis.at(10 * SECOND) - 48.5).abs() < 0.01 && (axis.at(36_010 * SECOND) - 51.5).abs() < 0.01);
        assert_eq!(axis.squeezed().map(|it| it.ms).collect::<Vec<_>>(), [36_000_000]);
        let ticks = axis.ticks();
        assert_eq!(ticks[0], (0.0, 0));
        assert!(ticks.len() >= 4 && ticks.iter().any(|(_, ms)| *ms > 36_000_000), "{ticks:?}");
        let true_to_scale = Axis::new(0, 36_020 * SECOND, &[pause(10, 36_010)], false);
        assert!(true_to_scale.at(10 * SECOND) < 0.1 && true_to_scale.squeezed().next().is_none());
    }

    /// A session of so many turns of a minute each, an hour apart.
    fn session(turns: i64) -> (i64, Vec<Pause>) {
        let idle = |turn: i64| Pause { kind: PauseKind::Idle, ..pause(turn * 3_660 + 60, (turn + 1) * 3_660) };
        ((turns - 1) * 3_660 + 60, (0..turns - 1).map(idle).collect())
    }

    #[test]
    fn a_session_of_days_leaves_room_for_each_turn() {
        for turns in [2, 5, 30, 150] {
            let (long, pauses) = session(turns);
            let axis = Axis::new(0, long * SECOND, &pauses, true);
            assert_eq!(axis.squeezed().count() as i64, turns - 1, "none of them is a large part of the whole");
            let each = axis.at(60 * SECOND) - axis.at(0);
            assert!(each * turns as f64 > 59.9, "{turns} turns of {each} %");
            assert!(axis.ticks().len() >= 2);
            let behind = axis.ticks().into_iter().filter(|(_, ms)| *ms > 60_000);
            assert!(behind.clone().count() > 0 && behind.clone().all(|(_, ms)| ms % 3_660_000 <= 60_000), "{:?}", axis.ticks());
        }
    }

    #[test]
    fn what_is_short_beside_the_work_or_is_all_there_is_stays_to_scale() {
        let idle = |from, to| Pause { kind: PauseKind::Idle, ..pause(from, to) };
        for (long, pauses) in [
            (1_000, vec![idle(100, 150), idle(500, 540)]),
            // The program's own time.
            (20, vec![idle(0, 9), idle(12, 15)]),
            // A part that is zoomed to and has nothing else.
            (100, vec![idle(0, 100)]),
            (100, vec![pause(-50, 150)]),
        ] {
            let axis = Axis::new(0, long * SECOND, &pauses, true);
            assert_eq!(axis.squeezed().count(), 0, "{pauses:?}");
            assert!(
                (axis.at(long * SECOND / 2) - 50.0).abs() < 1e-9
                    && axis.ticks() == Axis::new(0, long * SECOND, &[], true).ticks()
            );
        }
    }

    #[test]
    fn ticks_of_a_part_say_when_it_was_in_the_whole() {
        let part = Axis::new(95 * SECOND, 135 * SECOND, &[], true).counted_from(0);
        let ticks = part.ticks();
        assert_eq!((ticks[0], ticks[1].1), ((0.0, 95_000), 100_000), "counted from the start of the whole");
        assert!(ticks.iter().all(|(_, ms)| ms % 5_000 == 0), "{ticks:?}");
    }

    proptest! {
        #[test]
        fn time_never_goes_back_and_stays_on_the_axis(
            from in -1000i64..1000, long in 0i64..100_000,
            pauses in proptest::collection::vec((-2000i64..100_000, 0i64..50_000), 0..30),
            moments in proptest::collection::vec(-5000i64..200_000, 2..40),
            squeeze in any::<bool>(),
        ) {
            let mut at = i64::MIN;
            let mut apart: Vec<Pause> = Vec::new();
            let mut pauses = pauses;
            pauses.sort_unstable();
            for (start, length) in pauses {
                if start >= at {
                    apart.push(pause(start, start + length));
                    at = start + length;
                }
            }
            let axis = Axis::new(from * SECOND, (from + long) * SECOND, &apart, squeeze);
            let mut moments = moments;
            moments.sort_unstable();
            let places: Vec<f64> = moments.iter().map(|moment| axis.at(moment * SECOND)).collect();
            prop_assert!(places.iter().all(|place| (0.0..=100.0).contains(place)));
            prop_assert!(places.windows(2).all(|two| two[0] <= two[1] + 1e-9), "{places:?}");
            for place in places {
                prop_assert!((axis.at(axis.moment(place)) - place).abs() < 1e-3, "{place} is {}", axis.moment(place));
            }
            let ticks = axis.ticks();
            prop_assert!(ticks.len() <= 16 && ticks.windows(2).all(|two| two[1].0 - two[0].0 >= TICK_ROOM - 1e-9));
        }
    }
}
