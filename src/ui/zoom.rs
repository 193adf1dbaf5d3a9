//! A part of a run's time that is looked at, in milliseconds after its start. Pure: numbers in, numbers out.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
