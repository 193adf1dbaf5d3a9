//! The large texts inside events, which the shell moves to payloads before it appends and reads back before it folds.

use super::kinds::Event;
use crate::domain::text::Text;

impl Event {
    /// Calls `visit` with each text of the private part.
    pub fn each_text_mut(&mut self, visit: &mut dyn FnMut(&mut Text)) {
        match self {
            Self::RunStarted(body) => {
                if let Some(private) = &mut body.private {
                    [&mut private.template, &mut private.base_agents, &mut private.settings, &mut private.prices]
                        .into_iter()
                        .for_each(visit);
                }
            }
            Self::InputAttached(body) => {
                body.private.iter_mut().flat_map(|private| &mut private.texts).for_each(|(_, text)| visit(text));
            }
            Self::AttemptStarted(body) => {
                body.private.iter_mut().filter_map(|private| private.task.as_mut()).for_each(visit);
            }
            Self::CallStarted(body) => {
                if let Some(private) = &mut body.private {
                    visit(&mut private.system);
                    visit(&mut private.prompt);
                    private.transcript.iter_mut().for_each(visit);
                }
            }
            Self::CallReplied(body) => {
                if let Some(private) = &mut body.private {
                    visit(&mut private.output);
                    private.reasoning.iter_mut().for_each(&mut *visit);
                    visit(&mut private.tool_calls);
                }
            }
            Self::ToolStarted(body) => body.private.iter_mut().for_each(|private| visit(&mut private.arguments)),
            Self::ToolEnded(body) => {
                if let Some(private) = &mut body.private {
                    visit(&mut private.result);
                    private.whole.iter_mut().for_each(&mut *visit);
                    private.diff.iter_mut().for_each(&mut *visit);
                    private.originals.iter_mut().filter_map(|(_, text)| text.as_mut()).for_each(visit);
                }
            }
            Self::WritePrepared(body) => {
                let files = body.private.iter_mut().flat_map(|private| &mut private.files);
                files.filter_map(|file| file.original.as_mut()).for_each(visit);
            }
            Self::AttemptImported(body) => {
                body.private.iter_mut().filter_map(|private| private.output.as_mut()).for_each(visit);
            }
            Self::AttemptInherited(body) => {
                body.private.iter_mut().filter_map(|private| private.output.as_mut()).for_each(visit);
            }
            Self::FactObserved(body) => {
                body.private.iter_mut().filter_map(|private| private.output.as_mut()).for_each(visit);
            }
            Self::ReportComposed(body) => body.private.iter_mut().for_each(|private| visit(&mut private.report)),
            Self::NoteAdded(body) => body.private.iter_mut().for_each(|private| visit(&mut private.text)),
            Self::RecommendationShown(body) => body.private.iter_mut().for_each(|private| visit(&mut private.advice)),
            _ => {}
        }
    }
}
