//! From a line of text to a run, with everything that is wrong with it: field, reason and what to do.
//!
//! A line is good as a whole or not taken at all. What can be taken but not as it stands (a cost finer than a nUSD, a field that
//! nobody knows) gives a notice.

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};

use super::form::{
    AGENTS_MAX, ATTEMPTS_MAX, COST_MAX, COUNT_MAX, ImportedAgent, ImportedAttempt, ImportedNote, ImportedRun, NAME_CHARS_MAX,
};
use crate::domain::ids::TimeNs;
use crate::domain::lenient_json;
use crate::domain::money::NanoUsd;
use crate::domain::nearest::nearest;
use crate::domain::tier::Tier;
use crate::views::status::{AgentStatus, RunStatus};

/// Problems told of one line, at most.
const PROBLEMS_MAX: usize = 20;
/// Decimals of a dollar that are kept.
const DECIMALS_MAX: usize = 9;

/// Why a line cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `agents[0].attempts[1].tier`; empty for the line as a whole.
    pub field: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

/// What was taken, but not as it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// Where, without numbers: `agents[].attempts[].cost_usd`.
    pub field: String,
    /// What was done.
    pub what: String,
}

/// Reads one line.
///
/// # Errors
/// Everything that is wrong with it, at most 20 problems.
pub fn line(text: &[u8]) -> Result<(ImportedRun, Vec<Notice>), Vec<Problem>> {
    let value: Value = lenient_json::read_halves(text).map_err(|error| vec![not_json(text, &error)])?;
    let mut reader = Reader::default();
    let run = reader.run(&value);
    match run {
        Some(run) if reader.problems.is_empty() => Ok((run, reader.notices)),
        _ => Err(reader.problems),
    }
}

fn not_json(text: &[u8], error: &serde_json::Error) -> Problem {
    let has = |word: &str| text.windows(word.len()).any(|part| part == word.as_bytes());
    let remedy = if std::str::from_utf8(text).is_err() {
        "convert the file to UTF-8"
    } else if has("NaN") || has("Infinity") {
        "JSON has no NaN or Infinity: leave the field out or write null where a number is not known"
    } else if error.is_eof() {
        "the line ends too early: one run must stand on one line, whole"
    } else {
        "write one JSON object per line"
    };
    // serde_json counts lines within the text, of which there is one.
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or_default();
    Problem {
        field: String::new(),
        reason: format!("is not JSON at column {}: {reason}", error.column()),
        remedy: remedy.to_owned(),
    }
}

#[derive(Default)]
struct Reader {
    problems: Vec<Problem>,
    notices: Vec<Notice>,
}

/// An object of the line and the path to it, which ends with a dot unless it is empty.
struct Object<'v> {
    fields: &'v Map<String, Value>,
    path: String,
}

impl<'v> Object<'v> {
    /// Returns a field's value; null is as good as nothing.
    fn get(&self, name: &str) -> Option<&'v Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }
}

impl Reader {
    fn problem(&mut self, field: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { field: field.into(), reason: reason.into(), remedy: remedy.into() });
        }
    }

    fn notice(&mut self, field: &str, what: impl Into<String>) {
        // Numbers in brackets go, so that a thousand lines with the same fault are told once.
        let mut general = String::with_capacity(field.len());
        let mut inside = false;
        for letter in field.chars() {
            inside = (inside || letter == '[') && letter != ']';
            if !inside || letter == '[' {
                general.push(letter);
            }
        }
        let notice = Notice { field: general, what: what.into() };
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }

    /// Takes `value` as an object and tells of fields that are not `known`.
    fn object<'v>(&mut self, value: &'v Value, path: &str, known: &[&str]) -> Option<Object<'v>> {
        let Value::Object(fields) = value else {
            self.problem(path, format!("is {}, not an object", kind(value)), "write {\"name\": value, …}");
            return None;
        };
        let path = if path.is_empty() { String::new() } else { format!("{path}.") };
        for name in fields.keys().filter(|name| !known.contains(&name.as_str())) {
            let near = nearest(name, known.iter().copied());
            let advice = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            self.notice(&format!("{path}{}", short(name)), format!("is no field of the form and is left out{advice}"));
        }
        Some(Object { fields, path })
    }

    fn run(&mut self, value: &Value) -> Option<ImportedRun> {
        let known =
            ["run_id", "template_id", "started_at", "ended_at", "status", "labels", "answers", "agents", "report", "notes"];
        let line = self.object(value, "", &known)?;
        let run_id = self.name(&line, "run_id", false);
        let template_id = self.name(&line, "template_id", true);
        let started_at = self.time(&line, "started_at", true);
        let ended_at = self.time(&line, "ended_at", false);
        if let (Some(started), Some(ended)) = (started_at, ended_at)
            && ended < started
        {
            self.problem("ended_at", "lies before started_at", "check both times and their zones, or leave ended_at out");
        }
        let status = self.state(&line, RunStatus::ALL, RunStatus::name);
        let (labels, answers) = (self.labels(&line), self.answers(&line));
        let agents = self.list(&line, "agents", true, AGENTS_MAX, Self::agent);
        let report = self.text(&line, "report", false);
        let notes = self.notes(&line);
        Some(ImportedRun {
            run_id,
            template_id: template_id?,
            started_at: started_at?,
            ended_at,
            status,
            labels,
            answers,
            agents,
            report,
            notes,
        })
    }

    fn agent(&mut self, value: &Value, path: &str) -> Option<ImportedAgent> {
        let agent = self.object(value, path, &["role", "task", "status", "attempts"])?;
        let role = self.name(&agent, "role", true);
        let task = self.text(&agent, "task", false);
        let status = self.state(&agent, AgentStatus::ALL, AgentStatus::name);
        let attempts = self.list(&agent, "attempts", true, ATTEMPTS_MAX, Self::attempt);
        Some(ImportedAgent { role: role?, task, status, attempts })
    }

    fn attempt(&mut self, value: &Value, path: &str) -> Option<ImportedAttempt> {
        let known = [
            "tier",
            "provider",
            "model",
            "passed",
            "cost_usd",
            "input_tokens",
            "output_tokens",
            "duration_ms",
            "output",
            "failed_criteria",
        ];
        let attempt = self.object(value, path, &known)?;
        let tier = self.tier(&attempt);
        let (provider, model) = (self.name(&attempt, "provider", false), self.name(&attempt, "model", false));
        let passed = match attempt.get("passed") {
            Some(Value::Bool(passed)) => Some(*passed),
            Some(other) => {
                self.problem(attempt.at("passed"), format!("is {}", kind(other)), "write true or false");
                None
            }
            None => {
                self.problem(attempt.at("passed"), "is missing", "say whether the attempt met its criteria: true or false");
                None
            }
        };
        let cost = self.cost(&attempt);
        let (input_tokens, output_tokens) = (self.count(&attempt, "input_tokens"), self.count(&attempt, "output_tokens"));
        let duration_ms = self.count(&attempt, "duration_ms");
        let output = self.text(&attempt, "output", false);
        let failed_criteria = self.list(&attempt, "failed_criteria", false, usize::MAX, |reader, value, path| {
            reader.as_text(value, path, Some(usize::MAX))
        });
        Some(ImportedAttempt {
            tier: tier?,
            provider,
            model,
            passed: passed?,
            cost,
            input_tokens,
            output_tokens,
            duration_ms,
            output,
            failed_criteria,
        })
    }

    /// Reads a list; one that must be there may be empty, but not missing.
    fn list<T>(
        &mut self,
        object: &Object<'_>,
        name: &str,
        required: bool,
        most: usize,
        mut item: impl FnMut(&mut Self, &Value, &str) -> Option<T>,
    ) -> Vec<T> {
        let path = object.at(name);
        match object.get(name) {
            Some(Value::Array(items)) if items.len() > most => {
                self.problem(path, format!("has {} entries", items.len()), format!("{most} are the most that one run may have"));
                Vec::new()
            }
            Some(Value::Array(items)) => {
                items.iter().zip(0..).filter_map(|(value, at): (_, usize)| item(self, value, &format!("{path}[{at}]"))).collect()
            }
            Some(other) => {
                self.problem(path, format!("is {}, not a list", kind(other)), "write [ … ]");
                Vec::new()
            }
            None => {
                if required {
                    self.problem(path, "is missing", "write a list; [] when there are none");
                }
                Vec::new()
            }
        }
    }

    /// Reads an id or a role: a text that is short and not empty.
    fn name(&mut self, object: &Object<'_>, name: &str, required: bool) -> Option<String> {
        match object.get(name) {
            Some(value) => self.as_text(value, &object.at(name), None),
            None => {
                if required {
                    self.problem(object.at(name), "is missing", format!("write a text of 1 to {NAME_CHARS_MAX} characters"));
                }
                None
            }
        }
    }

    fn text(&mut self, object: &Object<'_>, name: &str, required: bool) -> Option<String> {
        match object.get(name) {
            Some(value) => self.as_text(value, &object.at(name), Some(usize::MAX)),
            None => {
                if required {
                    self.problem(object.at(name), "is missing", "write a text");
                }
                None
            }
        }
    }

    /// Takes a value as text: a name when `most` is not given, else any text of at most so many characters.
    fn as_text(&mut self, value: &Value, path: &str, most: Option<usize>) -> Option<String> {
        let Value::String(text) = value else {
            self.problem(path, format!("is {}, not a text", kind(value)), "write it in quotation marks");
            return None;
        };
        let (most, least) = most.map_or((NAME_CHARS_MAX, 1), |most| (most, 0));
        // Bytes are at least as many as characters: most texts need no counting.
        if text.len() > most && text.chars().count() > most {
            let chars = text.chars().count();
            self.problem(path, format!("has {chars} characters"), format!("{most} are the most; keep long texts in `task`"));
            return None;
        }
        if text.trim().len() < least {
            self.problem(path, "is empty", "write a text, or leave the field out where it may be missing");
            return None;
        }
        Some(text.clone())
    }

    fn time(&mut self, object: &Object<'_>, name: &str, required: bool) -> Option<TimeNs> {
        const FORM: &str = "write RFC 3339: 2026-10-01T09:30:00Z";
        let path = object.at(name);
        let text = match object.get(name) {
            Some(Value::String(text)) => text,
            Some(other) => {
                self.problem(path, format!("is {}, not a time", kind(other)), FORM);
                return None;
            }
            None => {
                if required {
                    self.problem(path, "is missing", FORM);
                }
                return None;
            }
        };
        let at = text.trim().parse::<jiff::Timestamp>().or_else(|error| {
            let civil = text.trim().parse::<jiff::civil::DateTime>().map_err(|_| error)?;
            let at = civil.to_zoned(jiff::tz::TimeZone::UTC)?.timestamp();
            self.notice(&path, "has no zone and is read as UTC");
            Ok::<_, jiff::Error>(at)
        });
        let Ok(at) = at else {
            self.problem(path, format!("is no time: `{}`", short(text)), FORM);
            return None;
        };
        let at = i64::try_from(at.as_nanosecond()).ok().filter(|at| *at >= 0);
        if at.is_none() {
            self.problem(path, format!("lies out of range: `{}`", short(text)), "times from 1970 to 2261 can be kept");
        }
        at
    }

    fn state<S: Copy>(&mut self, object: &Object<'_>, all: &[S], name: fn(S) -> &'static str) -> Option<S> {
        let value = object.get("status")?;
        let names: Vec<&str> = all.iter().map(|state| name(*state)).collect();
        let found = value.as_str().and_then(|text| all.iter().copied().find(|state| name(*state) == text));
        if found.is_none() {
            let typed = value.as_str().map_or_else(|| kind(value).to_owned(), |text| format!("`{}`", short(text)));
            let near = value.as_str().and_then(|text| nearest(text, names.iter().copied()));
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            self.problem(object.at("status"), format!("is {typed}"), format!("{near}use one of {}", names.join(", ")));
        }
        found
    }

    fn tier(&mut self, object: &Object<'_>) -> Option<Tier> {
        let names = Tier::ALL.map(Tier::name);
        let path = object.at("tier");
        let remedy = format!("use one of {}", names.join(", "));
        match object.get("tier") {
            Some(Value::String(text)) => {
                let found = Tier::ALL.into_iter().find(|tier| tier.name() == text);
                if found.is_none() {
                    self.problem(path, format!("is no tier: `{}`", short(text)), remedy);
                }
                found
            }
            Some(other) => {
                self.problem(path, format!("is {}", kind(other)), remedy);
                None
            }
            None => {
                self.problem(path, "is missing", remedy);
                None
            }
        }
    }

    fn cost(&mut self, object: &Object<'_>) -> Option<NanoUsd> {
        let path = object.at("cost_usd");
        let number = self.number(object, "cost_usd")?.as_f64()?;
        if number < 0.0 {
            self.problem(path, "is negative", "write what it cost, or leave it out when that is not known");
            return None;
        }
        let Some(cost) = NanoUsd::from_usd(number).filter(|cost| *cost <= COST_MAX) else {
            self.problem(path, "is more than a million dollars", "check the unit: dollars are expected");
            return None;
        };
        // The shortest decimal that reads back as the same number is what was written, but for zeros.
        let decimals = number.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
        if decimals > DECIMALS_MAX {
            self.notice(&path, "is finer than a billionth of a dollar and was rounded to one");
        }
        Some(cost)
    }

    fn count(&mut self, object: &Object<'_>, name: &str) -> Option<u64> {
        let path = object.at(name);
        let number = self.number(object, name)?;
        if let Some(count) = number.as_u64().filter(|count| *count <= COUNT_MAX) {
            return Some(count);
        }
        let float = number.as_f64()?;
        if float < 0.0 {
            self.problem(path, "is negative", "write a count, or leave it out when it is not known");
            return None;
        }
        if float > COUNT_MAX as f64 {
            self.problem(path, "is too large", format!("{COUNT_MAX} is the most"));
            return None;
        }
        if float.fract() != 0.0 {
            self.notice(&path, "is not whole and was rounded");
        }
        Some(float.round() as u64)
    }

    fn number<'v>(&mut self, object: &Object<'v>, name: &str) -> Option<&'v Number> {
        match object.get(name)? {
            Value::Number(number) => Some(number),
            other => {
                let remedy = "write a number without quotation marks, or leave it out when it is not known";
                self.problem(object.at(name), format!("is {}, not a number", kind(other)), remedy);
                None
            }
        }
    }

    fn labels(&mut self, line: &Object<'_>) -> IndexMap<String, String> {
        let mut labels = IndexMap::new();
        for (key, value) in self.map(line, "labels").into_iter().flatten() {
            match value {
                Value::String(text) => drop(labels.insert(key.clone(), text.clone())),
                Value::Number(_) | Value::Bool(_) => drop(labels.insert(key.clone(), value.to_string())),
                Value::Null => {}
                other => {
                    self.problem(format!("labels.{}", short(key)), format!("is {}, not a text", kind(other)), "write a text");
                }
            }
        }
        labels
    }

    fn answers(&mut self, line: &Object<'_>) -> IndexMap<String, Value> {
        self.map(line, "answers").into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn map<'v>(&mut self, line: &Object<'v>, name: &str) -> Option<&'v Map<String, Value>> {
        match line.get(name)? {
            Value::Object(fields) => Some(fields),
            other => {
                self.problem(name, format!("is {}, not an object", kind(other)), "write {\"name\": value, …}");
                None
            }
        }
    }

    fn notes(&mut self, line: &Object<'_>) -> Vec<ImportedNote> {
        match line.get("notes") {
            Some(Value::String(text)) => vec![ImportedNote { text: text.clone(), rating: None, tags: Vec::new(), at: None }],
            _ => self.list(line, "notes", false, usize::MAX, Self::note),
        }
    }

    fn note(&mut self, value: &Value, path: &str) -> Option<ImportedNote> {
        if let Value::String(text) = value {
            return Some(ImportedNote { text: text.clone(), rating: None, tags: Vec::new(), at: None });
        }
        let note = self.object(value, path, &["text", "rating", "tags", "at"])?;
        let text = self.text(&note, "text", true);
        let rating = match note.get("rating") {
            None => None,
            Some(value) => {
                let rating =
                    value.as_u64().and_then(|rating| u8::try_from(rating).ok()).filter(|rating| (1..=5).contains(rating));
                if rating.is_none() {
                    self.problem(note.at("rating"), "is no rating", "use a whole number from 1 (bad) to 5 (good)");
                }
                rating
            }
        };
        let tags =
            self.list(&note, "tags", false, usize::MAX, |reader, value, path| reader.as_text(value, path, Some(usize::MAX)));
        let at = self.time(&note, "at", false);
        Some(ImportedNote { text: text?, rating, tags, at })
    }
}

/// Says what kind of value it is.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns the beginning of a text, enough to find it again.
fn short(text: &str) -> String {
    const CHARS: usize = 40;
    let mut short: String = text.chars().take(CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
