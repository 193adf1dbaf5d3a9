//! The texts in events' private parts: which ones a table of texts has, and what they belong to.

use crate::domain::event::Event;
use crate::domain::ids::{AgentNo, AttemptNo, CallNo};
use crate::domain::text::Text;

/// Which part of a run a text belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The agent.
    pub agent: Option<AgentNo>,
    /// The attempt.
    pub attempt: Option<AttemptNo>,
    /// The call.
    pub call: Option<CallNo>,
}

fn of_attempt(agent: AgentNo, attempt: AttemptNo) -> Place {
    Place { agent: Some(agent), attempt: Some(attempt), call: None }
}

fn of_agent(agent: AgentNo) -> Place {
    Place { agent: Some(agent), ..Place::default() }
}

fn of_call(call: CallNo) -> Place {
    Place { call: Some(call), ..Place::default() }
}

/// Calls `each` with every text of an event's private part: its place, its kind, its name and itself. Settings, prices and the salt of
/// users are left out: they are nobody's words.
pub(super) fn each_text(event: &Event, each: &mut dyn FnMut(Place, &str, &str, &str)) {
    let mut say = |place: Place, kind: &str, name: &str, text: &str| {
        if !text.is_empty() {
            each(place, kind, name, text);
        }
    };
    let run = Place::default();
    match event {
        Event::RunStarted(body) => {
            let Some(private) = &body.private else { return };
            say(run, "foreign_run_id", "", private.foreign_run_id.as_deref().unwrap_or_default());
            say(run, "workspace", "", &private.workspace);
            say(run, "user", "", &private.user);
            private.labels.iter().for_each(|(key, value)| say(run, "label", key, value));
        }
        Event::AnswerGiven(body) if !body.secret => {
            let value = body.private.as_ref().map(|private| private.value.as_str());
            say(run, "answer", &body.question, value.unwrap_or_default());
        }
        Event::AnswerChanged(body) if !body.secret && !body.removed => {
            let value = body.private.as_ref().map(|private| private.value.as_str());
            say(run, "answer", &body.question, value.unwrap_or_default());
        }
        Event::InputAttached(body) => {
            let Some(private) = &body.private else { return };
            say(run, "input_path", &body.input, &private.path);
            private.texts.iter().for_each(|(name, text)| say(run, "input", name, inline(text)));
        }
        Event::AgentPlanned(body) => {
            let Some(private) = &body.private else { return };
            let agent = of_agent(body.agent);
            say(agent, "item", "", private.item.as_deref().unwrap_or_default());
            say(agent, "task", "", &private.task);
            say(agent, "config", "", &private.config);
            say(agent, "criteria", "", &private.criteria);
        }
        Event::AttemptStarted(body) => {
            let task = body.private.as_ref().and_then(|private| private.task.as_ref());
            say(of_attempt(body.agent, body.attempt), "task", "", task.map(inline).unwrap_or_default());
        }
        Event::CallStarted(body) => {
            let Some(private) = &body.private else { return };
            let call = Place { call: Some(body.call), ..of_attempt(body.agent, body.attempt) };
            say(call, "system", "", inline(&private.system));
            say(call, "prompt", "", inline(&private.prompt));
            say(call, "transcript", "", private.transcript.as_ref().map(inline).unwrap_or_default());
        }
        Event::CallReplied(body) => {
            let Some(private) = &body.private else { return };
            say(of_call(body.call), "output", "", inline(&private.output));
            say(of_call(body.call), "reasoning", "", private.reasoning.as_ref().map(inline).unwrap_or_default());
            say(of_call(body.call), "replied_model", "", private.model.as_deref().unwrap_or_default());
        }
        Event::RequestRetried(body) => {
            let message = body.private.as_ref().map(|private| private.message.as_str());
            say(of_call(body.call), "error", "", message.unwrap_or_default());
        }
        Event::CallFailed(body) => {
            let message = body.private.as_ref().map(|private| private.message.as_str());
            say(of_call(body.call), "error", "", message.unwrap_or_default());
        }
        Event::ToolStarted(body) => {
            let arguments = body.private.as_ref().map(|private| inline(&private.arguments));
            say(of_call(body.call), "tool_arguments", &body.tool_call.to_string(), arguments.unwrap_or_default());
        }
        Event::ToolEnded(body) => {
            let Some(private) = &body.private else { return };
            let result = private.whole.as_ref().unwrap_or(&private.result);
            say(of_call(body.call), "tool_result", &body.tool_call.to_string(), inline(result));
            let diff = private.diff.as_ref().map(inline).unwrap_or_default();
            say(of_call(body.call), "tool_diff", &body.tool_call.to_string(), diff);
        }
        _ => of_outcomes(event, &mut say),
    }
}

/// The texts of what came of attempts, agents and the run.
fn of_outcomes(event: &Event, say: &mut dyn FnMut(Place, &str, &str, &str)) {
    let run = Place::default();
    match event {
        Event::AttemptImported(body) => {
            let output = body.private.as_ref().and_then(|private| private.output.as_ref());
            say(of_attempt(body.agent, body.attempt), "output", "", output.map(inline).unwrap_or_default());
        }
        Event::AttemptInherited(body) => {
            let output = body.private.as_ref().and_then(|private| private.output.as_ref());
            say(of_attempt(body.agent, body.attempt), "output", "", output.map(inline).unwrap_or_default());
        }
        Event::FactObserved(body) => {
            let Some(private) = &body.private else { return };
            let place = Place { attempt: body.attempt, ..of_agent(body.agent) };
            say(place, "fact", "", &private.subject);
            say(place, "fact_output", "", private.output.as_ref().map(inline).unwrap_or_default());
        }
        Event::CriterionJudged(body) => {
            let Some(private) = &body.private else { return };
            let (place, number) = (of_attempt(body.agent, body.attempt), body.criterion.to_string());
            say(place, "criterion", &number, &private.name);
            say(place, "evidence", &number, &private.evidence);
        }
        Event::AgentFailed(body) => {
            let message = body.private.as_ref().map(|private| private.message.as_str());
            say(of_agent(body.agent), "failure", "", message.unwrap_or_default());
        }
        Event::RunFailed(body) => {
            let message = body.private.as_ref().map(|private| private.message.as_str());
            say(run, "failure", "", message.unwrap_or_default());
        }
        Event::ReportComposed(body) => {
            let report = body.private.as_ref().map(|private| inline(&private.report));
            say(run, "report", "", report.unwrap_or_default());
        }
        Event::NoteAdded(body) => {
            let Some(private) = &body.private else { return };
            say(run, "note", "", inline(&private.text));
            private.tags.iter().for_each(|tag| say(run, "tag", "", tag));
        }
        _ => {}
    }
}

/// Returns a text that is at hand; nothing when it is elsewhere or not kept.
fn inline(text: &Text) -> &str {
    match text {
        Text::Inline(text) => text,
        _ => "",
    }
}
