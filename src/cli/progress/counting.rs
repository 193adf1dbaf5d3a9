//! How far long work has come: a bar on a terminal, elsewhere a plain line at its beginning, and one after each tenth of what takes very long.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{Aside, Printer, words};

/// A kind of work that may take long.
#[derive(Debug)]
pub struct Work {
    /// What is done.
    doing: &'static str,
    /// To what, one of it.
    of: &'static str,
    /// How many of them take so long that it is worth a line where no bar is drawn.
    long: u64,
}

/// Computing the meaning of texts: up to a hundredth of a second each.
pub const EMBEDDING: Work = Work { doing: "embedding", of: "text", long: 50 };
/// Reading the log into the search index.
pub const INDEXING: Work = Work { doing: "indexing", of: "event", long: 20_000 };
/// Writing the log elsewhere.
pub const EXPORTING: Work = Work { doing: "exporting", of: "event", long: 20_000 };
/// Measuring advice on parts of a collection.
pub const MEASURING: Work = Work { doing: "measuring", of: "split", long: 2 };
/// Fetching a file.
pub const FETCHING: Work = Work { doing: "fetching", of: "byte", long: 1 << 20 };

/// Work that counts.
#[derive(Debug)]
pub struct Counting {
    work: Work,
    bar: ProgressBar,
    /// Where no bar is drawn.
    aside: Option<Aside>,
    /// Tenths of the work that were said, from 1; 0 before anything was.
    said: AtomicU64,
}

impl Counting {
    /// Shows `work` as soon as it says how much there is.
    pub fn new(out: &Printer, work: Work) -> Self {
        let is_drawn = out.can_redraw() && !out.quiet() && !out.json();
        let target = if is_drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_message(work.doing);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self { work, bar, aside: (!is_drawn).then(|| out.aside()), said: AtomicU64::new(0) }
    }

    /// Shows that `done` of `total` are done. Always says to go on.
    pub fn show(&self, done: u64, total: u64) -> bool {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if let Some(aside) = &self.aside {
            self.say(aside, done, total);
        }
        true
    }

    fn say(&self, aside: &Aside, done: u64, total: u64) {
        /// How many times as long as long very long work is.
        const VERY: u64 = 100;
        let (said, left) = (self.said.load(Ordering::Relaxed), total.saturating_sub(done));
        let is_first = said == 0 && left >= self.work.long;
        let tenth = 1 + done.saturating_mul(10) / total.max(1);
        let is_next = said > 0 && total >= self.work.long.saturating_mul(VERY) && tenth > said && left > 0;
        // Several threads count at once; one of them says it.
        let is_mine = || self.said.compare_exchange(said, tenth, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_first && is_mine() {
            aside.say(format!("{} {} …", self.work.doing, words::plural(left, self.work.of)));
        } else if is_next && is_mine() {
            aside.say(format!("{}: {} of {}", self.work.doing, words::count(done), words::plural(total, self.work.of)));
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;

    #[test]
    fn without_a_terminal_long_work_is_said_at_its_beginning_very_long_work_by_tenths_and_short_work_never() {
        let said = |look: OutputOptions, totals: &[(u64, u64)]| {
            let words = Captured::default();
            let counting = Counting::new(&Printer::to(look, Captured::default(), words.clone(), None), EMBEDDING);
            totals.iter().for_each(|(done, total)| assert!(counting.show(*done, *total)));
            counting.finish();
            words.text()
        };
        let all = [(0, 1312), (32, 1312), (1312, 1312)];
        assert_eq!(said(OutputOptions::default(), &all), "embedding 1,312 texts …\n");
        assert_eq!(said(OutputOptions::default(), &[(0, 3), (3, 3)]), "");
        assert_eq!(
            said(OutputOptions::default(), &[(0, 0), (0, 1312)]),
            "embedding 1,312 texts …\n",
            "who begins with nothing to do"
        );
        let hours = [(0, 64_000), (64, 64_000), (6_400, 64_000), (6_464, 64_000), (12_900, 64_000), (64_000, 64_000)];
        let tenths = "embedding 64,000 texts …\nembedding: 6,400 of 64,000 texts\nembedding: 12,900 of 64,000 texts\n";
        assert_eq!(said(OutputOptions::default(), &hours), tenths);
        assert_eq!(said(OutputOptions { quiet: true, ..OutputOptions::default() }, &all), "");
        assert_eq!(said(OutputOptions { json: true, ..OutputOptions::default() }, &all), "");
    }
}
