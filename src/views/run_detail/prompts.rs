//! What the models of a run were told: large, and added only where somebody asks for it.

use std::collections::HashMap;

use crate::domain::event::{Event, Recorded};
use crate::domain::ids::CallNo;

use super::fold::TextOf;
use super::{CallPrompt, RunDetail};

impl RunDetail {
    /// Adds to each call what its model was told. `events` are those of the run, `text` finds texts that are kept beside the log.
    #[must_use]
    pub fn with_prompts<'a>(mut self, events: impl Iterator<Item = &'a Recorded>, text: TextOf<'_>) -> Self {
        let started = events.filter_map(|recorded| match &recorded.event {
            Event::CallStarted(body) => Some(body),
            _ => None,
        });
        let told = |body: &crate::domain::event::CallStarted| {
            let private = body.private.as_ref();
            CallPrompt {
                system: private.and_then(|private| text(&private.system)),
                user: private.and_then(|private| text(&private.prompt)),
                transcript: private.and_then(|private| private.transcript.as_ref()).and_then(text),
            }
        };
        let mut prompts: HashMap<CallNo, CallPrompt> = started.map(|body| (body.call, told(body))).collect();
        let attempts = self.agents.iter_mut().flat_map(|agent| &mut agent.attempts);
        for call in attempts.flat_map(|attempt| &mut attempt.calls) {
            call.prompt = prompts.remove(&call.call);
        }
        self
    }
}
