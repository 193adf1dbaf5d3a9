//! What is shown while a run is at work: on a terminal a line per agent that is redrawn, else a plain line per event of note.
//!
//! It sees acknowledged events, so what it shows is what the log says; how far a running tool is comes beside them. It draws on stderr.

mod counting;
mod lines;
mod live;
mod reading;
mod state;

use super::output::{Printer, sanitize};
use crate::domain::event::Recorded;
use crate::domain::ids::CallNo;
pub use counting::{Counting, EMBEDDING, EXPORTING, FETCHING, INDEXING, MEASURING};
use lines::line_before_outcome;
pub use lines::{Names, attached, line};
pub use live::Live;
pub use reading::Reading;

/// How a run's progress is shown.
#[derive(Debug)]
pub enum Progress {
    /// Not at all: `-q`, or `--json`, whose events say it all.
    Hidden,
    /// A plain line per event of note.
    Plain(Box<Names>),
    /// A line per agent, redrawn.
    Live(Box<Live>),
}

impl Progress {
    /// Chooses what fits to where output goes.
    pub fn new(out: &Printer) -> Self {
        if out.quiet() || out.json() {
            Self::Hidden
        } else if out.can_redraw() {
            Self::Live(Box::default())
        } else {
            Self::Plain(Box::default())
        }
    }

    /// Shows an event that was acknowledged.
    pub fn event(&mut self, recorded: &Recorded, out: &mut Printer) {
        match self {
            Self::Hidden => {}
            Self::Plain(names) => {
                if let Some(line) = line_before_outcome(recorded, names) {
                    out.say(line);
                }
            }
            Self::Live(live) => live.event(recorded),
        }
    }

    /// Shows how far a tool of a call is, which no event says.
    pub fn tool(&mut self, call: CallNo, words: &str, out: &mut Printer) {
        match self {
            Self::Hidden => {}
            Self::Plain(names) => out.say(sanitize::line(&format!("{}: {words}", names.caller(call)))),
            Self::Live(live) => live.tool(call, words),
        }
    }

    /// Takes in an event of before, which is not shown but which later lines need.
    pub fn learn(&mut self, recorded: &Recorded) {
        match self {
            Self::Hidden => {}
            Self::Plain(names) => names.learn(recorded),
            Self::Live(live) => live.learn(recorded),
        }
    }

    /// Gives the terminal to `ask` for a while, as to a question.
    pub fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        match self {
            Self::Live(live) => live.pause(ask),
            Self::Hidden | Self::Plain(_) => ask(),
        }
    }

    /// Takes the lines of the agents away: the outcome follows.
    pub fn finish(self) {
        if let Self::Live(live) = self {
            live.finish();
        }
    }
}
