//! How far a long file has been read: a bar on a terminal, nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::output::{Printer, words};

/// A bar over the bytes of a file, or a count where its size is not known.
#[derive(Debug)]
pub struct Reading(Option<ProgressBar>);

impl Reading {
    /// Starts at nothing of `bytes`.
    pub fn new(out: &Printer, what: &'static str, bytes: Option<u64>) -> Self {
        if out.quiet() || out.json() || !out.can_redraw() {
            return Self(None);
        }
        let bar = match bytes {
            Some(bytes) => ProgressBar::new(bytes),
            None => ProgressBar::no_length(),
        };
        let form = if bytes.is_some() {
            "{prefix} {wide_bar} {percent:>3} %  {msg} {eta:>4}"
        } else {
            "{spinner} {prefix} {bytes}  {msg}"
        };
        // A template that indicatif does not take would leave its own form.
        let style = ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = bar.with_style(style).with_prefix(what);
        bar.set_draw_target(ProgressDrawTarget::stderr());
        Self(Some(bar))
    }

    /// Shows that `bytes` were read, and how many `runs` are safe.
    pub fn reached(&mut self, bytes: u64, runs: Option<u64>) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
            if let Some(runs) = runs {
                bar.set_message(words::plural(runs, "run"));
            }
        }
    }

    /// Shows that `done` of `total` are done.
    pub fn of(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.0 {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
