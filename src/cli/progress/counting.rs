//! How far long work has come: a bar on a terminal, elsewhere one plain line at its beginning.

use std::sync::atomic::{AtomicBool, Ordering};

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
    is_said: AtomicBool,
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
        Self { work, bar, aside: (!is_drawn).then(|| out.aside()), is_said: AtomicBool::new(false) }
    }

    /// Shows that `done` of `total` are done. Always says to go on.
    pub fn show(&self, done: u64, total: u64) -> bool {
        self.bar.set_length(total);
        self.bar.set_position(done);
        if let Some(aside) = &self.aside
            && !self.is_said.swap(true, Ordering::Relaxed)
            && total.saturating_sub(done) >= self.work.long
        {
            aside.say(format!("{} {} …", self.work.doing, words::plural(total - done, self.work.of)));
        }
        true
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
    fn without_a_terminal_long_work_is_said_once_at_its_beginning_and_short_work_never() {
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
        assert_eq!(said(OutputOptions { quiet: true, ..OutputOptions::default() }, &all), "");
        assert_eq!(said(OutputOptions { json: true, ..OutputOptions::default() }, &all), "");
    }
}
