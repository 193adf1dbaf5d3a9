//! An answer while it is being written: pages of Markdown or a JSON value, and the ways to change either.

use serde_json::Value;

use super::paths;
use super::phrases::Phrases;
use crate::domain::judge::Edition;

/// No answer is made longer than so many words, whatever a criterion asks for.
const WORDS_MAX: u64 = 20_000;
/// So many texts of a JSON answer are tried for a change.
const TEXTS_TRIED: usize = 12;

/// A line of Markdown.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    text: String,
    /// It is there for a criterion or the form, not to fill a page.
    kept: bool,
}

/// An answer being written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ScriptedAnswer {
    /// Markdown.
    Page(Page),
    /// Bare JSON.
    Json(Value),
}

/// Markdown: lines, and a JSON value in its one fenced block.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    notice: String,
    /// The notice is the last line; else the first.
    notice_last: bool,
    lines: Vec<Line>,
    json: Option<Value>,
}

/// Where a text is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InsertAt {
    /// Before everything.
    Start,
    /// Among the lines.
    Within,
    /// After everything.
    End,
}

impl Page {
    pub(super) fn new(notice: String) -> Self {
        Self { notice, notice_last: false, lines: Vec::new(), json: None }
    }

    pub(super) fn push(&mut self, text: impl Into<String>, kept: bool) {
        self.lines.push(Line { text: text.into(), kept });
    }
}

impl ScriptedAnswer {
    /// Returns the answer's text.
    pub(super) fn render(&self) -> String {
        let page = match self {
            Self::Json(value) => return serde_json::to_string_pretty(value).unwrap_or_default(),
            Self::Page(page) => page,
        };
        let mut parts: Vec<String> = page.lines.iter().map(|line| line.text.clone()).filter(|text| !text.is_empty()).collect();
        if let Some(value) = &page.json {
            let json = serde_json::to_string_pretty(value).unwrap_or_default();
            // Before the last line: an end that a criterion asked for stays the end.
            parts.insert(parts.len().saturating_sub(1), format!("```json\n{json}\n```"));
        }
        parts.insert(if page.notice_last { parts.len() } else { 0 }, page.notice.clone());
        parts.join("\n\n")
    }

    /// Returns the JSON value, if the answer has one.
    pub(super) fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Page(page) => page.json.as_ref(),
        }
    }

    /// Returns the answer with another JSON value.
    #[must_use]
    pub(super) fn with_json(&self, value: Value) -> Self {
        match self {
            Self::Json(_) => Self::Json(value),
            Self::Page(page) => Self::Page(Page { json: Some(value), ..page.clone() }),
        }
    }

    /// Returns the answers that have `text` in them somewhere, the most natural first.
    pub(super) fn put(&self, text: &str, place: InsertAt, phrases: &Phrases<'_>) -> Vec<Self> {
        let page = match self {
            Self::Page(page) => page,
            Self::Json(value) => {
                let mut answers = self.edit_texts(|there| format!("{there} {text}"));
                answers.extend(self.edit_texts(|_| text.to_owned()));
                if let Value::Object(fields) = value {
                    let mut fields = fields.clone();
                    fields.insert("notes".to_owned(), Value::String(text.to_owned()));
                    answers.push(Self::Json(Value::Object(fields)));
                }
                return answers;
            }
        };
        let line = Line { text: text.to_owned(), kept: true };
        let mut start = page.clone();
        start.notice_last = true;
        start.lines.insert(0, line.clone());
        let mut end = page.clone();
        end.notice_last = false;
        end.lines.push(line.clone());
        let mut within = page.clone();
        if text.starts_with('#') {
            within.lines.push(line);
            within.push(phrases.paragraph(900 + within.lines.len() as u64, 2), false);
        } else {
            let top = within.lines.iter().take_while(|line| line.kept && !line.text.starts_with("##")).count();
            within.lines.insert(top, line);
        }
        let places = match place {
            InsertAt::Start => vec![start],
            InsertAt::End => vec![end],
            InsertAt::Within => vec![within, end, start],
        };
        places.into_iter().map(Self::Page).collect()
    }

    /// Returns one answer per text of a JSON answer, with that text changed.
    fn edit_texts(&self, edit: impl Fn(&str) -> String) -> Vec<Self> {
        let Self::Json(value) = self else { return Vec::new() };
        let changed = |pointer: String| {
            let mut value = value.clone();
            let text = value.pointer_mut(&pointer)?;
            *text = Value::String(edit(text.as_str()?));
            Some(Self::Json(value))
        };
        paths::strings(value, TEXTS_TRIED).into_iter().filter_map(changed).collect()
    }

    /// Returns the answer with every text changed by `edit`, the notice excepted.
    #[must_use]
    pub(super) fn map_texts(&self, edit: impl Fn(&str) -> String) -> Self {
        let in_json = |value: &Value| {
            let mut value = value.clone();
            for pointer in paths::strings(&value, usize::MAX) {
                if let Some(text) = value.pointer_mut(&pointer) {
                    *text = Value::String(edit(text.as_str().unwrap_or_default()));
                }
            }
            value
        };
        match self {
            Self::Json(value) => Self::Json(in_json(value)),
            Self::Page(page) => Self::Page(Page {
                lines: page.lines.iter().map(|line| Line { text: edit(&line.text).trim().to_owned(), kept: line.kept }).collect(),
                json: page.json.as_ref().map(in_json),
                ..page.clone()
            }),
        }
    }

    fn words(&self) -> u64 {
        word_count(&self.render())
    }

    /// Returns answers with `least` words or a few more.
    pub(super) fn lengthened(&self, least: u64, phrases: &Phrases<'_>) -> Vec<Self> {
        let missing = least.saturating_sub(self.words());
        if least > WORDS_MAX {
            return Vec::new();
        }
        let mut more = Vec::new();
        let mut words = 0;
        for index in 1_000.. {
            if words >= missing {
                break;
            }
            // A sentence has words, so this ends.
            let sentence = phrases.sentence(index);
            words += word_count(&sentence).max(1);
            more.push(sentence);
        }
        match self {
            Self::Json(_) => self.edit_texts(|text| format!("{text} {}", more.join(" "))),
            Self::Page(page) => {
                let mut longer = page.clone();
                let last = longer.lines.len().saturating_sub(1);
                // Before the last line when that is kept: it may have to be the end.
                let keeps_end = longer.lines.last().is_some_and(|line| line.kept);
                let at = if keeps_end { last } else { longer.lines.len() };
                for (offset, paragraph) in more.chunks(5).enumerate() {
                    longer.lines.insert(at + offset, Line { text: paragraph.join(" "), kept: false });
                }
                vec![Self::Page(longer)]
            }
        }
    }

    /// Returns answers with at most `most` words where that can be reached by cutting texts: first with what criteria
    /// asked for spared, then without.
    pub(super) fn shortened(&self, most: u64) -> Vec<Self> {
        match self {
            Self::Json(_) => {
                let halves = std::iter::successors(Some(self.clone()), |longer| {
                    let shorter = longer.map_texts(halved);
                    (longer.words() > most && shorter != *longer).then_some(shorter)
                });
                halves.last().into_iter().collect()
            }
            Self::Page(page) => {
                let cut = |spare: bool| {
                    let mut page = page.clone();
                    while Self::Page(page.clone()).words() > most {
                        let length = |line: &Line| if spare && line.kept { 0 } else { word_count(&line.text) };
                        let Some(longest) = page.lines.iter_mut().max_by_key(|line| length(line)).filter(|line| length(line) > 0)
                        else {
                            break;
                        };
                        longest.text = halved(&longest.text);
                    }
                    Self::Page(page)
                };
                vec![cut(true), cut(false)]
            }
        }
    }
}

/// Counts words as the criteria do that a run of today is judged by.
fn word_count(text: &str) -> u64 {
    Edition::default().words(text)
}

/// The first half of the words, rounded down: a text of one word becomes empty.
fn halved(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words[..words.len() / 2].join(" ")
}
