//! What may be kept of a run's texts: full, or a salted hash, or nothing.
//!
//! Texts that may not be kept are needed while the run goes on, so deciding sees them and only what is stored is without them. A
//! prompt is made of answers and of earlier outputs, and a criterion of answers: each text falls under the strictest level of what
//! it is made of. Numbers, verdicts and times are kept at every level.

use super::event::Event;
use super::ids::Hash;
use super::run::Basis;
use super::template::Capture;
use super::text::Text;

/// The levels that hold for a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Prompts.
    pub prompts: Capture,
    /// What models and tools wrote.
    pub outputs: Capture,
    /// Answers and inputs.
    pub answers: Capture,
}

impl Levels {
    /// Returns what holds for a run: what the settings say, or the template where it is stricter.
    pub fn of(basis: &Basis) -> Self {
        let (settings, asked) = (&basis.settings.capture, basis.template.capture.unwrap_or_default());
        Self {
            prompts: settings.prompts.max(asked.prompts.unwrap_or_default()),
            outputs: settings.outputs.max(asked.outputs.unwrap_or_default()),
            answers: settings.answers.max(asked.answers.unwrap_or_default()),
        }
    }

    /// Returns whether there are texts that may not be kept.
    pub fn withhold(self) -> bool {
        self.prompts.max(self.outputs).max(self.answers) >= Capture::Hash
    }
}

/// Returns the event as it may be stored; `None` when that is the event itself. `hash` hashes a text with the event's salt.
///
/// Where a body has no room for a hash, nothing is kept instead of one.
pub fn withheld(event: &Event, levels: Levels, hash: &dyn Fn(&str) -> Hash) -> Option<Event> {
    let Levels { prompts, outputs, answers } = levels;
    let cover = |text: &mut Text, level: Capture| {
        *text = match (&*text, level) {
            (Text::Inline(inline), Capture::Hash) => Text::Hashed { hash: hash(inline), bytes: inline.len() as u64 },
            (Text::Inline(_) | Text::Payload { .. } | Text::Hashed { .. }, Capture::None) => Text::Withheld,
            _ => return,
        };
    };
    let hide = |text: &mut String, level: Capture, instead: &str| {
        if level >= Capture::Hash {
            instead.clone_into(text);
        }
    };
    let drop_at = |text: &mut Option<String>, level: Capture| {
        if level >= Capture::Hash {
            *text = None;
        }
    };
    let mut stored = event.clone();
    match &mut stored {
        Event::AnswerGiven(body) => body.private.iter_mut().for_each(|private| hide(&mut private.value, answers, "null")),
        Event::AnswerChanged(body) => body.private.iter_mut().for_each(|private| hide(&mut private.value, answers, "null")),
        Event::InputAttached(body) => {
            let texts = body.private.iter_mut().flat_map(|private| &mut private.texts);
            texts.for_each(|(_, text)| cover(text, answers.max(prompts)));
        }
        Event::AgentPlanned(body) => {
            if let Some(private) = &mut body.private {
                drop_at(&mut private.item, answers);
                hide(&mut private.config, answers, "{}");
                hide(&mut private.criteria, answers, "[]");
                hide(&mut private.task, answers.max(prompts), "");
                hide(&mut private.because, answers, "");
            }
        }
        Event::RuleSkipped(body) => body.private.iter_mut().for_each(|private| hide(&mut private.because, answers, "")),
        Event::CallStarted(body) => {
            if let Some(private) = &mut body.private {
                let level = prompts.max(outputs).max(answers);
                cover(&mut private.system, level);
                cover(&mut private.prompt, level);
                private.transcript.iter_mut().for_each(|text| cover(text, level));
            }
        }
        Event::RequestRetried(body) => body.private.iter_mut().for_each(|private| hide(&mut private.message, outputs, "")),
        Event::CallReplied(body) => {
            if let Some(private) = &mut body.private {
                cover(&mut private.output, outputs);
                private.reasoning.iter_mut().for_each(|text| cover(text, outputs));
                // That a reply asked for nothing is no text of it.
                if private.tool_calls != Text::EMPTY {
                    cover(&mut private.tool_calls, outputs);
                }
                drop_at(&mut private.stop_details, outputs);
            }
        }
        Event::CallFailed(body) => body.private.iter_mut().for_each(|private| hide(&mut private.message, outputs, "")),
        Event::ToolStarted(body) => body.private.iter_mut().for_each(|private| cover(&mut private.arguments, outputs)),
        Event::ToolEnded(body) => {
            if let Some(private) = &mut body.private {
                cover(&mut private.result, outputs);
                private.whole.iter_mut().for_each(|text| cover(text, outputs));
                private.diff.iter_mut().for_each(|text| cover(text, outputs));
                private.originals.iter_mut().filter_map(|(_, text)| text.as_mut()).for_each(|text| cover(text, outputs));
            }
        }
        Event::WritePrepared(body) => {
            for file in body.private.iter_mut().flat_map(|private| &mut private.files) {
                file.original.iter_mut().for_each(|text| cover(text, outputs));
                if outputs >= Capture::Hash {
                    (file.before, file.after) = (None, None);
                }
            }
        }
        Event::FactObserved(body) => {
            if let Some(private) = &mut body.private {
                hide(&mut private.subject, answers, "");
                private.output.iter_mut().for_each(|text| cover(text, outputs));
                if outputs >= Capture::Hash {
                    (private.before, private.after) = (None, None);
                }
            }
        }
        Event::CriterionJudged(body) => {
            if let Some(private) = &mut body.private {
                hide(&mut private.name, answers, "");
                hide(&mut private.evidence, outputs.max(answers), "");
            }
        }
        Event::AttemptInherited(body) => {
            if let Some(private) = &mut body.private {
                if prompts.max(answers) >= Capture::Hash {
                    private.prompt = Hash::default();
                }
                private.output.iter_mut().for_each(|text| cover(text, outputs));
                for (name, evidence) in &mut private.criteria {
                    hide(name, answers, "");
                    hide(evidence, outputs.max(answers), "");
                }
            }
        }
        Event::AgentFailed(body) => {
            body.private.iter_mut().for_each(|private| hide(&mut private.message, outputs.max(answers), ""));
        }
        Event::ReportComposed(body) => {
            body.private.iter_mut().for_each(|private| cover(&mut private.report, outputs.max(answers)));
        }
        _ => return None,
    }
    (stored != *event).then_some(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{AnswerGiven, AnswerGivenPrivate, AnswerSource, CallReplied, CallRepliedPrivate, StopReason};
    use crate::domain::money::{TokenUsage, UsageSource};

    fn levels(prompts: Capture, outputs: Capture, answers: Capture) -> Levels {
        Levels { prompts, outputs, answers }
    }

    fn reply() -> Event {
        let private = CallRepliedPrivate {
            output: Text::Inline("the words".to_owned()),
            reasoning: None,
            tool_calls: Text::EMPTY,
            model: Some("m".to_owned()),
            request_id: None,
            stop_details: Some("the words".to_owned()),
        };
        let (usage, usage_source) = (TokenUsage::default(), UsageSource::Reported);
        let private = Some(private);
        CallReplied { call: 1, stop: StopReason::End, usage, usage_source, latency_ms: 3, first_token_ms: None, private }.into()
    }

    #[test]
    fn an_output_is_kept_as_the_level_says() {
        let hash = |text: &str| Hash::of(text.as_bytes());
        for level in [Capture::Full, Capture::Redacted] {
            assert_eq!(withheld(&reply(), levels(Capture::None, level, Capture::None), &hash), None);
        }
        let output = |level| {
            let Some(Event::CallReplied(body)) = withheld(&reply(), levels(Capture::Full, level, Capture::Full), &hash) else {
                panic!("nothing is withheld")
            };
            let private = body.private.unwrap();
            assert_eq!((private.stop_details, private.model.as_deref()), (None, Some("m")));
            private.output
        };
        assert_eq!(output(Capture::Hash), Text::Hashed { hash: Hash::of(b"the words"), bytes: 9 });
        assert_eq!(output(Capture::None), Text::Withheld);
    }

    #[test]
    fn an_answer_that_may_not_be_kept_is_null() {
        let private = Some(AnswerGivenPrivate { value: "\"secretive\"".to_owned() });
        let given: Event = AnswerGiven { question: "q".to_owned(), source: AnswerSource::Flag, secret: false, private }.into();
        let hash = |_: &str| Hash::default();
        let Some(Event::AnswerGiven(body)) = withheld(&given, levels(Capture::Full, Capture::Full, Capture::Hash), &hash) else {
            panic!("nothing is withheld")
        };
        assert_eq!(body.private.unwrap().value, "null");
        assert_eq!(withheld(&given, levels(Capture::None, Capture::None, Capture::Full), &hash), None);
        assert!(!Levels::default().withhold() && levels(Capture::Full, Capture::Full, Capture::Hash).withhold());
    }
}
