//! A part of a run's time that is looked at, in milliseconds after its start. Pure: numbers in, numbers out.

use super::axis::Axis;
use crate::domain::ids::TimeNs;

/// The shortest part that is looked at, in milliseconds.
const SHORTEST: u64 = 8;

/// A part of a run's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoom {
    /// Where it begins.
    pub from: u64,
    /// Where it ends.
    pub to: u64,
}

impl Zoom {
    /// Returns from one moment to another of a run that is `whole` long: widened to the shortest part, and moved to lie within the run.
    pub fn new(from: u64, to: u64, whole: u64) -> Self {
        let long = to.saturating_sub(from).max(SHORTEST).min(whole.max(SHORTEST));
        let from = from.min(whole.saturating_sub(long));
        Self { from, to: from + long }
    }

    /// Reads what [`Zoom::to_text`] wrote; `None` when it is no such thing, or the whole run.
    pub fn read(text: &str, whole: u64) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        Self::new(from.parse().ok()?, to.parse().ok()?, whole).unless_whole(whole)
    }

    /// Writes it as links carry it.
    pub fn to_text(self) -> String {
        format!("{}-{}", self.from, self.to)
    }

    /// Returns half of it, around a moment.
    pub fn nearer(self, around: u64, whole: u64) -> Self {
        let quarter = (self.to - self.from).div_ceil(4);
        let around = around.clamp(self.from, self.to);
        Self::new(around.saturating_sub(quarter), around.saturating_add(quarter), whole)
    }

    /// Returns twice of it; `None` for the whole run.
    pub fn wider(self, whole: u64) -> Option<Self> {
        let half = (self.to - self.from).div_ceil(2);
        Self::new(self.from.saturating_sub(half), self.to.saturating_add(half), whole).unless_whole(whole)
    }

    /// Returns the part half of it earlier; `None` at the beginning of the run.
    pub fn earlier(self, whole: u64) -> Option<Self> {
        let half = (self.to - self.from).div_ceil(2);
        (self.from > 0).then(|| Self::new(self.from.saturating_sub(half), self.to.saturating_sub(half.min(self.from)), whole))
    }

    /// Returns the part half of it later; `None` at the end of the run.
    pub fn later(self, whole: u64) -> Option<Self> {
        let half = (self.to - self.from).div_ceil(2);
        (self.to < whole).then(|| Self::new(self.from + half, self.to.saturating_add(half), whole))
    }

    fn unless_whole(self, whole: u64) -> Option<Self> {
        (self.from > 0 || self.to < whole).then_some(self)
    }
}

/// A step from what is shown of a whole; the last is where something in milliseconds is in that whole.
type Step<'a> = dyn Fn(Zoom, u64, &dyn Fn(u64) -> u64) -> Option<Zoom> + 'a;

/// Steps through a run's time as its axis shows it: half of the axis is half of what is seen, whatever is drawn short.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a> {
    /// The axis of the whole run.
    pub axis: &'a Axis,
    /// When the run began.
    pub from: TimeNs,
    /// How long it is, in milliseconds.
    pub long: u64,
}

impl Steps<'_> {
    /// Parts of an axis on which pauses are drawn short: finer than a pixel, however near it is looked at.
    const PARTS: u64 = 1 << 40;

    /// Returns half of what is shown, around a moment: the middle of it where there is none.
    pub fn nearer(self, here: Zoom, around: Option<u64>) -> Option<Zoom> {
        let nearer = self.stepped(here, &|shown, whole, to| {
            let middle = shown.from + (shown.to - shown.from) / 2;
            Some(shown.nearer(around.map_or(middle, to), whole))
        });
        nearer.filter(|nearer| *nearer != here)
    }

    /// Returns twice of what is shown; `None` for the whole run.
    pub fn wider(self, here: Zoom) -> Option<Zoom> {
        self.stepped(here, &|shown, whole, _| shown.wider(whole))
    }

    /// Returns the part before what is shown; `None` at the beginning of the run.
    pub fn earlier(self, here: Zoom) -> Option<Zoom> {
        self.stepped(here, &|shown, whole, _| shown.earlier(whole))
    }

    /// Returns the part behind what is shown; `None` at the end of the run.
    pub fn later(self, here: Zoom) -> Option<Zoom> {
        self.stepped(here, &|shown, whole, _| shown.later(whole))
    }

    /// Takes a step in milliseconds, or in parts of the axis where these pass unevenly.
    fn stepped(self, here: Zoom, step: &Step<'_>) -> Option<Zoom> {
        if self.axis.squeezed().next().is_none() {
            return step(here, self.long, &|ms| ms);
        }
        let moment = |ms: u64| self.from.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1_000_000));
        let part = |ms: u64| (self.axis.at(moment(ms)) / 100.0 * Self::PARTS as f64) as u64;
        let ms = |part: u64| {
            let at = self.axis.moment(part as f64 / Self::PARTS as f64 * 100.0);
            (at.saturating_sub(self.from).max(0) as u64 + 500_000) / 1_000_000
        };
        let stepped = step(Zoom { from: part(here.from), to: part(here.to) }, Self::PARTS, &part)?;
        Zoom::new(ms(stepped.from), ms(stepped.to), self.long).unless_whole(self.long)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::views::timeline::{Pause, PauseKind};

    #[test]
    fn a_step_is_half_of_what_is_seen_also_where_a_night_is_drawn_short() {
        const SECOND: i64 = 1_000_000_000;
        let pauses = [Pause { kind: PauseKind::Idle, from: 100 * SECOND, to: 50_100 * SECOND }];
        let axis = Axis::new(0, 50_200 * SECOND, &pauses, true);
        let steps = Steps { axis: &axis, from: 0, long: 50_200_000 };
        let whole = Zoom { from: 0, to: steps.long };
        let nearer = steps.nearer(whole, None).unwrap();
        let (left, right) = (axis.at(nearer.from as i64 * 1_000_000), axis.at(nearer.to as i64 * 1_000_000));
        assert!((left - 25.0).abs() < 0.01 && (right - 75.0).abs() < 0.01, "{nearer:?} is from {left} to {right}");
        assert!(nearer.from > 40_000 && nearer.from < 60_000 && nearer.to > 50_140_000, "{nearer:?}");
        assert_eq!(steps.wider(nearer), None, "the whole again");
        let turn = steps.nearer(whole, Some(50_150_000)).unwrap();
        assert!(turn.from < 50_150_000 && 50_150_000 < turn.to, "{turn:?}");
        let earlier = steps.earlier(nearer).unwrap();
        assert!(earlier.from == 0 && earlier.to >= 99_000 && earlier.to <= 50_100_000, "{earlier:?}");
        assert!(steps.later(nearer).unwrap().to == steps.long && steps.later(whole).is_none());
        let even = Axis::new(0, 50_200 * SECOND, &pauses, false);
        let even = Steps { axis: &even, ..steps };
        assert_eq!(even.nearer(whole, None), Some(whole.nearer(25_100_000, steps.long)), "to scale as ever");
    }

    #[test]
    fn a_part_is_read_back_and_the_whole_is_no_part() {
        let part = Zoom { from: 200, to: 1_200 };
        assert_eq!(Zoom::read(&part.to_text(), 5_000), Some(part));
        assert_eq!((Zoom::read("0-5000", 5_000), Zoom::read("x-1", 5_000), Zoom::read("7", 5_000)), (None, None, None));
        assert_eq!(part.nearer(400, 5_000), Zoom { from: 150, to: 650 });
        assert_eq!(part.wider(5_000), Some(Zoom { from: 0, to: 1_700 }));
        assert_eq!(Zoom { from: 0, to: 4_000 }.wider(5_000), None);
        assert_eq!((part.earlier(5_000), Zoom { from: 0, to: 9 }.earlier(5_000)), (Some(Zoom { from: 0, to: 1_000 }), None));
        assert_eq!((part.later(5_000), Zoom { from: 3, to: 5_000 }.later(5_000)), (Some(Zoom { from: 700, to: 1_700 }), None));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_lies_in_the_run(from in any::<u64>(), to in any::<u64>(), around in any::<u64>(), whole in 8u64..1 << 40) {
            let part = Zoom::new(from, to, whole);
            let all = [Some(part), Some(part.nearer(around, whole)), part.wider(whole), part.earlier(whole), part.later(whole)];
            for part in all.into_iter().flatten() {
                prop_assert!(part.from < part.to && part.to <= whole, "{part:?} of {whole}");
            }
        }
    }
}
