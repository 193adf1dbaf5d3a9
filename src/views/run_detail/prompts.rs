//! What the models of a run were told: large, and added only where somebody asks for it.

use std::collections::HashMap;

use crate::domain::event::{Event, Recorded};
use crate::domain::ids::CallNo;

use super::fold::TextOf;
use super::{CallPrompt, RunDetail};

impl RunDetail {
    /// Adds to each call what its model was told. `events` are those of the run, `text` finds texts that are kept beside the log.
    #[must_use]
    pub(crate) fn with_prompts<'a>(mut self, events: impl Iterator<Item = &'a Recorded>, text: TextOf<'_>) -> Self {
        let mut results: HashMap<(CallNo, u32), Option<String>> = HashMap::new();
        let started = events.filter_map(|recorded| match &recorded.event {
            Event::CallStarted(body) => Some(body),
            Event::ToolEnded(body) => {
                let result = body.private.as_ref().and_then(|private| text(&private.result));
                results.insert((body.call, body.tool_call), result);
                None
            }
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
            for tool in &mut call.tools {
                tool.result = results.remove(&(call.call, tool.tool_call)).flatten();
            }
        }
        self
    }
}
