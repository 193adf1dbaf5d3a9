//! Tables of known outcomes as people write them: JSON Lines or CSV, read into a [`Table`] that cannot be wrong.
//!
//! Every task has an outcome and a cost for every model: a table with holes would compare models on different tasks.

use std::collections::HashMap;

use serde::Deserialize;

use super::trial::{Outcome, Table};

/// Tasks that a table has at least: fewer teach nothing.
pub const TASKS_MIN: usize = 20;

/// Why a text is no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is nothing in it.
    #[error("the table is empty")]
    Empty,
    /// A line cannot be read.
    #[error("line {line}: {why}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// The columns are not those of a table.
    #[error("the header {0}")]
    Header(String),
    /// There are too few tasks to learn from some and measure on others.
    #[error("the table has {0} tasks, and needs {TASKS_MIN} at least")]
    Few(usize),
    /// There is nothing to choose between.
    #[error("the table has only one model, `{0}`")]
    OneModel(String),
}

/// Reads a table: JSON Lines when it begins with `{`, else CSV.
///
/// # Errors
/// A [`TableError`] that names the line.
pub fn read(text: &str) -> Result<Table, TableError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = match text.trim_start().chars().next() {
        None => return Err(TableError::Empty),
        Some('{') => json_lines(text)?,
        Some(_) => csv_rows(text)?,
    };
    match table.models.as_slice() {
        [] => Err(TableError::Empty),
        [one] => Err(TableError::OneModel(one.clone())),
        _ if table.texts.len() < TASKS_MIN => Err(TableError::Few(table.texts.len())),
        _ => Ok(table),
    }
}

#[derive(Deserialize)]
struct JsonTask {
    text: String,
    models: indexmap::IndexMap<String, JsonOutcome>,
}

#[derive(Deserialize)]
struct JsonOutcome {
    correct: Option<serde_json::Value>,
    score: Option<f64>,
    cost_usd: Option<serde_json::Value>,
}

fn json_lines(text: &str) -> Result<Table, TableError> {
    let mut builder = Builder::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |why: String| TableError::Line { line: index as u64 + 1, why };
        let task: JsonTask = serde_json::from_str(line).map_err(|error| at(json_words(&error)))?;
        let mut outcomes = Vec::with_capacity(task.models.len());
        for (model, outcome) in &task.models {
            outcomes.push((model.clone(), json_outcome(model, outcome).map_err(at)?));
        }
        builder.add(task.text, outcomes).map_err(at)?;
    }
    Ok(builder.table)
}

/// Says what serde found without its own idea of the line, which is always 1.
fn json_words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    let end = words.rfind(" at line ").unwrap_or(words.len());
    format!("{} (column {})", &words[..end], error.column())
}

fn json_outcome(model: &str, outcome: &JsonOutcome) -> Result<Outcome, String> {
    let correct = match (&outcome.correct, outcome.score) {
        (Some(serde_json::Value::Bool(correct)), _) => *correct,
        (Some(serde_json::Value::Number(number)), _) => is_correct(number.as_f64().unwrap_or(f64::NAN), model)?,
        (Some(other), _) => return Err(format!("`correct` of model `{model}` is neither true nor false but {other}")),
        (None, Some(score)) => is_correct(score, model)?,
        (None, None) => return Err(format!("model `{model}` has no `correct`")),
    };
    let cost = match &outcome.cost_usd {
        Some(serde_json::Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        Some(serde_json::Value::Null) | None => return Err(format!("model `{model}` has no `cost_usd`")),
        Some(other) => return Err(format!("`cost_usd` of model `{model}` is no number but {other}")),
    };
    Ok(Outcome { correct, cost_usd: checked_cost(cost, model)? })
}

fn is_correct(score: f64, model: &str) -> Result<bool, String> {
    if (0.0..=1.0).contains(&score) {
        Ok(score >= 0.5)
    } else {
        Err(format!("the score of model `{model}` is not between 0 and 1"))
    }
}

fn checked_cost(cost: f64, model: &str) -> Result<f64, String> {
    if cost.is_finite() && cost >= 0.0 { Ok(cost) } else { Err(format!("the cost of model `{model}` is not an amount")) }
}

#[derive(Default)]
struct Builder {
    table: Table,
    places: HashMap<String, usize>,
}

impl Builder {
    /// Adds a task; the first one says which models there are.
    fn add(&mut self, text: String, outcomes: Vec<(String, Outcome)>) -> Result<(), String> {
        if self.table.texts.is_empty() {
            self.table.models = outcomes.iter().map(|(model, _)| model.clone()).collect();
            self.places = self.table.models.iter().cloned().enumerate().map(|(place, model)| (model, place)).collect();
        }
        let mut row: Vec<Option<Outcome>> = vec![None; self.table.models.len()];
        for (model, outcome) in outcomes {
            let place = self.places.get(&model).ok_or_else(|| format!("model `{model}` is not in the lines before"))?;
            row[*place] = Some(outcome);
        }
        let missing = |place: usize| format!("model `{}` has no outcome", self.table.models[place]);
        let row: Result<Vec<Outcome>, String> =
            row.into_iter().enumerate().map(|(place, outcome)| outcome.ok_or_else(|| missing(place))).collect();
        self.table.outcomes.push(row?);
        self.table.texts.push(text);
        Ok(())
    }
}

/// Reads rows with a column `text` and for each model two columns, `MODEL.correct` and `MODEL.cost_usd`.
fn csv_rows(text: &str) -> Result<Table, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| TableError::Header(format!("cannot be read: {error}")))?.clone();
    let text_column = header
        .iter()
        .position(|name| name == "text")
        .ok_or_else(|| TableError::Header("has no column `text`, and the file does not begin with `{`".to_owned()))?;
    let mut models: Vec<(String, usize, usize)> = Vec::new();
    for (column, name) in header.iter().enumerate() {
        let Some(model) = name.strip_suffix(".correct") else { continue };
        let cost = header
            .iter()
            .position(|other| other.strip_suffix(".cost_usd") == Some(model))
            .ok_or_else(|| TableError::Header(format!("has `{name}` but no `{model}.cost_usd`")))?;
        models.push((model.to_owned(), column, cost));
    }
    if models.is_empty() {
        return Err(TableError::Header("has no column `MODEL.correct`".to_owned()));
    }
    let mut builder = Builder::default();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            TableError::Line { line, why: csv_words(&error) }
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let at = |why: String| TableError::Line { line, why };
        let cell = |column: usize| record.get(column).unwrap_or_default().trim();
        let mut outcomes = Vec::with_capacity(models.len());
        for (model, correct, cost) in &models {
            let correct = csv_correct(cell(*correct), model).map_err(at)?;
            let amount = match cell(*cost) {
                "" => return Err(at(format!("model `{model}` has no cost"))),
                words => words.parse().map_err(|_| at(format!("the cost of model `{model}` is no number: `{words}`")))?,
            };
            outcomes.push((model.clone(), Outcome { correct, cost_usd: checked_cost(amount, model).map_err(at)? }));
        }
        builder.add(record.get(text_column).unwrap_or_default().to_owned(), outcomes).map_err(at)?;
    }
    Ok(builder.table)
}

fn csv_words(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} columns where the header has {expected_len}"),
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

fn csv_correct(words: &str, model: &str) -> Result<bool, String> {
    match words.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        "" => Err(format!("model `{model}` has no outcome")),
        number => number
            .parse()
            .map_err(|_| format!("the outcome of model `{model}` is neither true nor false: `{words}`"))
            .and_then(|score| is_correct(score, model)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str, a: &str, b: &str) -> String {
        format!(r#"{{"text": "{text}", "models": {{"a": {a}, "b": {b}}}}}"#)
    }

    const FINE: &str = r#"{"correct": true, "cost_usd": 0.1}"#;

    fn message(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn both_forms_say_the_same() {
        let json: Vec<String> = (0..20).map(|i| line(&format!("task, {i}"), FINE, r#"{"score": 0.4, "cost_usd": 2}"#)).collect();
        let mut csv = "id,text,a.correct,a.cost_usd,b.correct,b.cost_usd\n".to_owned();
        (0..20).for_each(|i| csv.push_str(&format!("{i},\"task, {i}\",true,0.1,0,2\n")));
        let table = read(&json.join("\n")).unwrap();
        assert_eq!(table, read(&csv).unwrap());
        assert_eq!(table.models, ["a", "b"]);
        assert_eq!(table.outcomes[3][1], Outcome { correct: false, cost_usd: 2.0 });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let after = |bad: &str| format!("{}\n\n{bad}\n", line("x", FINE, FINE));
        for (text, expected) in [
            (after("{\"text\": 1}"), "line 3: invalid type: integer `1`, expected a string"),
            (after("{\"text\""), "line 3: EOF"),
            (after(&line("x", FINE, r#"{"correct": true}"#)), "line 3: model `b` has no `cost_usd`"),
            (after(&line("x", FINE, r#"{"correct": "?", "cost_usd": 1}"#)), "line 3: `correct` of model `b`"),
            (after(&line("x", FINE, r#"{"correct": true, "cost_usd": -1}"#)), "line 3: the cost of model `b` is not an amount"),
            (after(&line("x", FINE, r#"{"score": 7, "cost_usd": 1}"#)), "line 3: the score of model `b`"),
            (after(&format!(r#"{{"text": "x", "models": {{"a": {FINE}}}}}"#)), "line 3: model `b` has no outcome"),
            (after(&format!(r#"{{"text": "x", "models": {{"c": {FINE}}}}}"#)), "line 3: model `c` is not in the lines before"),
            (String::new(), "the table is empty"),
            ("\n  \n".to_owned(), "the table is empty"),
            (line("x", FINE, FINE), "the table has 1 tasks, and needs 20"),
            (format!(r#"{{"text": "x", "models": {{"a": {FINE}}}}}"#), "only one model, `a`"),
            (r#"{"text": "x", "models": {}}"#.to_owned(), "the table is empty"),
            ("task,a.correct\nx,1\n".to_owned(), "the header has no column `text`"),
            ("text,answer\nx,1\n".to_owned(), "the header has no column `MODEL.correct`"),
            ("text,a.correct\nx,1\n".to_owned(), "the header has `a.correct` but no `a.cost_usd`"),
            ("text,a.correct,a.cost_usd\nx,1,NaN\n".to_owned(), "line 2: the cost of model `a` is not an amount"),
            ("text,a.correct,a.cost_usd\nx,1,\n".to_owned(), "line 2: model `a` has no cost"),
            ("text,a.correct,a.cost_usd\nx,NaN,1\n".to_owned(), "line 2: the score of model `a`"),
            ("text,a.correct,a.cost_usd\nx,maybe,1\n".to_owned(), "line 2: the outcome of model `a`"),
            ("text,a.correct,a.cost_usd\nx,1\n".to_owned(), "line 2: 2 columns where the header has 3"),
        ] {
            let found = message(&text);
            assert!(found.contains(expected), "{text}\n{found}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,200}", rest in "(text|a.correct|a.cost_usd|,|\n|\"|1|\\{|\\})*") {
            let _ = (read(&text), read(&rest), read(&format!("{{{rest}")));
        }
    }
}
