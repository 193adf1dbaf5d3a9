//! What a person says of a tool during which Meno stopped: whether it had finished.

use std::sync::Arc;

use crate::domain::event::{Resolution, ResolvedBy};
use crate::domain::ids::CallNo;
use crate::domain::run::{Command, Effect, Run, pending};
use crate::executor::StreamError;
use crate::workspace::runs::start::ActiveRun;

impl ActiveRun {
    /// Records what a person says of the tool with this number; `false` when the run does not wait for that.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub(crate) fn resolve_tool(&mut self, number: u32, resolution: Resolution) -> Result<bool, StreamError> {
        let Some((call, tool_call)) = open_tool(self.stream.run(), number) else { return Ok(false) };
        let by = ResolvedBy::Person;
        let basis = Arc::clone(&self.basis);
        self.stream.perform(&basis, &[Command::ResolveTool { call, tool_call, resolution, by, outcome: None }])?;
        Ok(true)
    }
}

/// Returns call and place within it of the tool with this number, of which somebody must say whether it had finished.
fn open_tool(run: &Run, number: u32) -> Option<(CallNo, u32)> {
    pending(run).into_iter().find_map(|effect| match effect {
        Effect::ResolveTool { call, tool_call } => {
            let turn = run.calls.get(&call)?.turn.as_ref()?;
            (turn.runs.get(tool_call as usize)?.number == number).then_some((call, tool_call))
        }
        _ => None,
    })
}
