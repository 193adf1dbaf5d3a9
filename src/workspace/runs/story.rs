//! A run as somebody walks along it: its events, how far they are looked at, and what they make of it that far.

use super::Runs;
use crate::domain::event::{CallStarted, Event, Recorded};
use crate::domain::ids::RunId;
use crate::domain::text::Text;
use crate::store;
use crate::views::run_detail::RunDetail;

use crate::workspace::proof::replay::until;

/// A run and its events.
#[derive(Clone, Debug)]
pub struct Story {
    /// All its events, in order.
    pub events: Vec<Recorded>,
    /// The position of the log at which the run is looked at; `None` for the run as it is.
    pub at: Option<u64>,
    /// How many of the events are looked at.
    pub until: usize,
    /// What these make of the run, with what those of its models were told that were asked for.
    pub detail: RunDetail,
}

impl Story {
    /// Returns the events that are looked at.
    pub fn told(&self) -> &[Recorded] {
        &self.events[..self.until]
    }
}

impl Runs<'_> {
    /// Returns a run with all its events, or as it was when the log had reached a position, which `at` finds among the events; `None` for a run
    /// that had not begun then. What models were told is long, and read only where `wants` says so.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn story(
        &self,
        id: RunId,
        at: &dyn Fn(&[Recorded]) -> Option<u64>,
        wants: &dyn Fn(&CallStarted) -> bool,
    ) -> Result<Option<Story>, store::Error> {
        let leave_out = |event: &mut Event| match event {
            Event::CallStarted(body) if !wants(body) => body.private = None,
            _ => {}
        };
        let events = self.events_without(id, 1, u32::MAX, &leave_out)?;
        let at = at(&events);
        let until = at.map_or(events.len(), |at| until(&events, at));
        if until == 0 {
            return Ok(None);
        }
        let text = |text: &Text| match text {
            Text::Inline(text) => Some(text.clone()),
            _ => None,
        };
        let told = &events[..until];
        // A run as it was has no say about who executes it now, which forks it has and where it lies.
        let detail = if at.is_some() { RunDetail::fold(told.iter(), &text) } else { self.detail_of(id, told)? };
        let detail = detail.with_prompts(told.iter(), &text);
        Ok(Some(Story { until, at, detail, events }))
    }
}
