//! How far long work has come: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::Printer;

/// Work that counts.
#[derive(Debug)]
pub struct Counting(ProgressBar);

impl Counting {
    /// Shows work called `what` as soon as it says how much there is.
    pub fn new(out: &Printer, what: &'static str) -> Self {
        let visible = out.can_redraw() && !out.quiet() && !out.json();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Shows that `done` of `total` are done. Always says to go on.
    pub fn show(&self, done: u64, total: u64) -> bool {
        self.0.set_length(total);
        self.0.set_position(done);
        true
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
