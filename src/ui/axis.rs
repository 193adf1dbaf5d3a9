//! A time axis in per cent of its width. Long times in which nothing worked may be squeezed, so that the work between them can be seen.

use crate::domain::ids::TimeNs;
use crate::views::timeline::{Pause, PauseKind};

/// The width of a squeezed pause, in per cent.
const SQUEEZED: f64 = 3.0;
/// A pause is squeezed when it would be wider, in per cent.
const SQUEEZE_ABOVE: f64 = 6.0;
/// Pauses that are squeezed, at most: more would leave no room for the work.
const SQUEEZED_MAX: usize = 10;
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
        let whole = (to - from) as f64;
        let mut long: Vec<Pause> = pauses
            .iter()
            .map(|pause| Pause { from: pause.from.clamp(from, to), to: pause.to.clamp(from, to), ..*pause })
            .filter(|pause| squeeze && (pause.to - pause.from) as f64 / whole * 100.0 > SQUEEZE_ABOVE)
            .collect();
        long.sort_by_key(|pause| std::cmp::Reverse(pause.to - pause.from));
        long.truncate(SQUEEZED_MAX);
        long.sort_by_key(|pause| pause.from);
        let paused: i64 = long.iter().map(|pause| pause.to - pause.from).sum();
        let work = ((to - from - paused) as f64).max(1.0);
        let share = (100.0 - SQUEEZED * long.len() as f64) / work;
        let (mut segments, mut at, mut left) = (Vec::new(), from, 0.0);
        for pause in long.into_iter().map(Some).chain([None]) {
            let end = pause.map_or(to, |pause| pause.from).max(at);
            let right = left + (end - at) as f64 * share;
            segments.push(Segment { from: at, to: end, left, right, squeezed: None });
            (at, left) = (end, right);
            if let Some(pause) = pause {
                let squeezed =
                    Segment { from: at, to: pause.to.max(at), left, right: left + SQUEEZED, squeezed: Some(pause.kind) };
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
        let segment = self.segments.iter().find(|segment| moment <= segment.to).or(self.segments.last());
        segment.map_or(0.0, |segment| {
            let long = (segment.to - segment.from) as f64;
            let share = if long > 0.0 { (moment - segment.from) as f64 / long } else { 0.0 };
            (segment.left + share * (segment.right - segment.left)).clamp(0.0, 100.0)
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
            let first = (segment.from - self.origin).div_euclid(step);
            // A segment has no more ticks than the whole axis could have.
            for number in (first..).take(4 * TICKS as usize) {
                let after = number.saturating_mul(step);
                let moment = self.origin.saturating_add(after);
                if moment > segment.to {
                    break;
                }
                let place = self.at(moment);
                if moment >= segment.from && ticks.last().is_none_or(|(last, _)| place - last >= TICK_ROOM) {
                    ticks.push((place, u64::try_from(after / 1_000_000).unwrap_or_default()));
                }
            }
        }
        ticks
    }
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
            let ticks = axis.ticks();
            prop_assert!(ticks.len() <= 16 && ticks.windows(2).all(|two| two[1].0 - two[0].0 >= TICK_ROOM - 1e-9));
        }
    }
}
