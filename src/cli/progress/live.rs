//! The lines on a terminal: one per agent, one for the run, redrawn as events come; escalations stay above them.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines::{Names, line};
use super::state::ProgressState;
use crate::cli::output::{self, sanitize};
use crate::domain::event::{Event, Recorded};
use crate::domain::ids::{AgentNo, CallNo};
use crate::views::status::AgentStatus;

/// How often elapsed times move on.
const TICK: Duration = Duration::from_millis(200);

/// Columns of the run's line, and of an agent's, that the message does not have: marks, the role, the time.
const RUN_ROOM: usize = 8;
const AGENT_ROOM: usize = 33;

/// Returns the columns that a message has on this terminal beside `taken` ones.
fn room(taken: usize) -> usize {
    usize::from(output::terminal_width()).saturating_sub(taken)
}

/// Lines on a terminal.
#[derive(Debug)]
pub struct Live {
    bars: MultiProgress,
    run: ProgressBar,
    agents: HashMap<AgentNo, ProgressBar>,
    state: ProgressState,
    names: Names,
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// Starts with the run's own line, on stderr.
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let run = bars.add(ProgressBar::no_length().with_style(style("{spinner} {wide_msg} {elapsed:>5}")));
        run.enable_steady_tick(TICK);
        Self { bars, run, agents: HashMap::new(), state: ProgressState::default(), names: Names::default() }
    }

    /// Shows an event.
    pub fn event(&mut self, recorded: &Recorded) {
        let changed = self.state.apply(recorded);
        let text = line(recorded, &mut self.names);
        if let Some(text) = text.filter(|_| stays(&recorded.event)) {
            // A terminal that cannot be written to shows nothing; the log has it all.
            let _ = self.bars.println(text);
        }
        if let Some(number) = changed {
            self.redraw(number);
        }
        self.run.set_message(self.state.summary(room(RUN_ROOM)));
    }

    /// Shows how far a tool of a call is.
    pub fn tool(&mut self, call: CallNo, words: &str) {
        if let Some(number) = self.state.tool(call, words) {
            self.redraw(number);
        }
    }

    /// Takes in an event of before, which is not shown.
    pub fn learn(&mut self, recorded: &Recorded) {
        self.state.apply(recorded);
        self.names.learn(recorded);
    }

    fn redraw(&mut self, number: AgentNo) {
        let Some(agent) = self.state.agents.iter().find(|agent| agent.number == number) else { return };
        let bar = self.agents.entry(number).or_insert_with(|| {
            let bar = ProgressBar::no_length().with_style(style("  {prefix:24!} {wide_msg}"));
            let bar = self.bars.insert_before(&self.run, bar);
            bar.set_prefix(sanitize::line(&agent.role).into_owned());
            bar
        });
        bar.set_message(agent.summary(room(AGENT_ROOM)));
        match agent.status {
            AgentStatus::Pending => {}
            AgentStatus::Running if bar.is_finished() || bar.position() == 0 => {
                // The position only marks that the clock of this agent runs.
                bar.set_position(1);
                bar.set_style(style("{spinner} {prefix:24!} {wide_msg} {elapsed:>5}"));
                bar.reset_elapsed();
                bar.enable_steady_tick(TICK);
            }
            AgentStatus::Running => {}
            _ => {
                bar.disable_steady_tick();
                bar.set_style(style("  {prefix:24!} {wide_msg} {elapsed:>5}"));
                bar.abandon();
            }
        }
    }

    /// Takes the lines off the screen while `ask` has the terminal.
    pub fn pause<T>(&self, ask: impl FnOnce() -> T) -> T {
        self.bars.suspend(ask)
    }

    /// Takes the lines off the screen for good.
    pub fn finish(self) {
        self.run.finish_and_clear();
        self.agents.values().for_each(ProgressBar::finish_and_clear);
        let _ = self.bars.clear();
    }
}

/// Tells whether what happened is worth a line that stays, besides the agents' own.
fn stays(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted(_)
            | Event::RuleSkipped(_)
            | Event::StartTierChosen(_)
            | Event::ProviderSwitched(_)
            | Event::TierEscalated(_)
            | Event::ApprovalAsked(_)
            | Event::ApprovalGiven(_)
            | Event::CallLost(_)
            | Event::AgentFailed(_)
            | Event::RunSuspended(_)
            | Event::RunResumed(_)
            | Event::CancelAsked(_)
    )
}

fn style(template: &str) -> ProgressStyle {
    // A template that could not be read would only look plainer; a test reads them all.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample;

    #[test]
    fn a_whole_run_can_be_drawn() {
        for template in
            ["{spinner} {wide_msg} {elapsed:>5}", "  {prefix:24!} {wide_msg}", "{spinner} {prefix:24!} {wide_msg} {elapsed:>5}"]
        {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
        let mut live = Live::new();
        live.bars.set_draw_target(ProgressDrawTarget::hidden());
        sample::story().iter().for_each(|recorded| live.event(recorded));
        assert_eq!(live.run.message(), live.state.summary(room(RUN_ROOM)));
        assert_eq!(live.agents[&0].message(), live.state.agents[0].summary(room(AGENT_ROOM)));
        live.finish();
    }
}
