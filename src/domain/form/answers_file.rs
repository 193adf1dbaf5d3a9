//! Files of answers: JSON or TOML, question by question, or the Python peer's `form_responses.json`.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::domain::answers::quoted;
use crate::domain::nearest::nearest;
use crate::domain::template::{Template, parse_json};

/// The answers of a file, not yet checked against their questions.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswersFile {
    /// Values by question id, in the file's order.
    pub answers: IndexMap<String, Value>,
    /// The template that the file says it is for.
    pub template_id: Option<String>,
}

/// Why a file of answers cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadAnswersFile {
    /// It is neither JSON nor TOML, or says something twice.
    #[error("{name}: line {line}, column {column}: {message}")]
    Syntax {
        /// The file's name.
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// It is not a table of answers.
    #[error("{name}: {message}")]
    Shape {
        /// The file's name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// It was made for another template.
    #[error("{name}: the answers are for template {found}, not for `{wanted}`")]
    OtherTemplate {
        /// The file's name.
        name: String,
        /// The template that the file names.
        found: String,
        /// The template that is to be run.
        wanted: String,
    },
}

/// Keys of the peer's `form_responses.json`.
const PEER_KEYS: [&str; 4] = ["template_id", "responses", "timestamp", "response_id"];

/// Reads a file of answers for `template`. The name's ending decides between JSON and TOML; otherwise the text's first
/// character does.
///
/// A key `template_id` names the template that the answers are for, unless the template has a question of that id.
///
/// # Errors
/// The text is neither, has another shape, or names another template.
pub fn parse_answers_file(text: &str, name: &str, template: &Template) -> Result<AnswersFile, BadAnswersFile> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("json") => true,
        Some("toml") => false,
        // TOML cannot begin with a brace.
        _ => text.trim_start().starts_with('{'),
    };
    let mut fields = if json { read_json(text, name)? } else { read_toml(text, name)? };

    let is_question = |id: &str| template.form_schema.questions.iter().any(|question| question.id == id);
    let mut template_id = None;
    if !is_question("template_id")
        && let Some(value) = fields.shift_remove("template_id")
    {
        let found = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if found != template.template_id {
            let (name, wanted) = (name.to_owned(), template.template_id.clone());
            return Err(BadAnswersFile::OtherTemplate { name, found: quoted(&found), wanted });
        }
        template_id = Some(found);
    }
    let peers = !is_question("responses") && fields.contains_key("responses");
    if peers {
        if let Some(key) = fields.keys().find(|key| !PEER_KEYS.contains(&key.as_str())) {
            let hint = nearest(key, PEER_KEYS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let message = format!("unknown key {} beside `responses`{hint}", quoted(key));
            return Err(BadAnswersFile::Shape { name: name.to_owned(), message });
        }
        fields = match fields.shift_remove("responses") {
            Some(Value::Object(responses)) => responses,
            _ => return Err(BadAnswersFile::Shape { name: name.to_owned(), message: "`responses` is no object".to_owned() }),
        };
    }
    Ok(AnswersFile { answers: fields.into_iter().collect(), template_id })
}

fn read_json(text: &str, name: &str) -> Result<Map<String, Value>, BadAnswersFile> {
    let value = parse_json(text).map_err(|problem| BadAnswersFile::Syntax {
        name: name.to_owned(),
        line: problem.line,
        column: problem.column,
        message: problem.message,
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(BadAnswersFile::Shape { name: name.to_owned(), message: "expected an object of answers".to_owned() }),
    }
}

fn read_toml(text: &str, name: &str) -> Result<Map<String, Value>, BadAnswersFile> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| text.floor_char_boundary(span.start))];
        BadAnswersFile::Syntax {
            name: name.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
            message: error.message().replace('\n', ", "),
        }
    })?;
    table.into_iter().map(|(key, value)| Ok((key, from_toml(value, name)?))).collect()
}

fn from_toml(value: toml::Value, name: &str) -> Result<Value, BadAnswersFile> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::Number(
            serde_json::Number::from_f64(number)
                .ok_or_else(|| BadAnswersFile::Shape { name: name.to_owned(), message: format!("`{number}` is no answer") })?,
        ),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(|item| from_toml(item, name)).collect::<Result<_, _>>()?),
        toml::Value::Table(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| Ok((key, from_toml(value, name)?))).collect::<Result<_, BadAnswersFile>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        serde_json::from_value(json!({
            "template_id": "demo", "name": "T", "description": "", "form_schema": {"title": "", "description": "", "questions": []}
        }))
        .expect("a template")
    }

    fn read(text: &str, name: &str) -> Result<Value, String> {
        let file = parse_answers_file(text, name, &template()).map_err(|error| error.to_string())?;
        Ok(json!(file.answers))
    }

    #[test]
    fn json_toml_and_the_peers_shape_say_the_same() {
        let same = json!({"a": "x", "b": ["y"], "c": 1.5});
        assert_eq!(read(r#"{"a": "x", "b": ["y"], "c": 1.5}"#, "a.json"), Ok(same.clone()));
        assert_eq!(read("a = \"x\"\nb = [\"y\"]\nc = 1.5\n", "a.toml"), Ok(same.clone()));
        assert_eq!(read("a = \"x\"\nb = [\"y\"]\nc = 1.5\n", "-"), Ok(same.clone()));
        let peer = r#"{"template_id":"demo","responses":{"a":"x","b":["y"],"c":1.5},"timestamp":"t","response_id":"r"}"#;
        assert_eq!(read(peer, "-"), Ok(same));
    }

    #[test]
    fn answers_for_another_template_and_broken_files_are_errors_with_a_place() {
        for (text, name, message) in [
            (r#"{"template_id": "other", "a": 1}"#, "a.json", "a.json: the answers are for template `other`, not for `demo`"),
            (r#"{"a": 1, "a": 2}"#, "a.json", "a.json: line 1, column 10: `a` is given twice"),
            ("{\n \"a\": }", "a.json", "a.json: line 2, column 7: expected value"),
            ("[1]", "a.json", "a.json: expected an object of answers"),
            ("a = \n", "a.toml", "a.toml: line 1, column 5: string values must be quoted, expected literal string"),
            (r#"{"responses": 5}"#, "a.json", "a.json: `responses` is no object"),
        ] {
            assert_eq!(read(text, name), Err(message.to_owned()), "{text}");
        }
    }
}
