//! Placeholders: `{{answers.x}}`, `{{config.x}}`, `{{inputs.x}}`, `{{agents.ROLE.output}}`, `{{item}}`, and `{{x}}` for an answer.
//!
//! A text is cut once into parts, and what is put in is never looked at again: an answer that says `{{answers.y}}` stays as it
//! is. Inputs and other agents' outputs are not known when a team is planned; they stay symbolic as [`Piece`]s until the agent
//! starts. `\{{` writes braces that mean themselves. Which names exist is not known here.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answers::{Answers, answer, prose};

/// What stands in for a sensitive answer where only a judge would read it.
pub const MASK: &str = "[sensitive]";

/// What a placeholder names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// `{{answers.x}}` or `{{x}}`.
    Answer(String),
    /// `{{config.x}}`: a key of the rule's configuration.
    Config(String),
    /// `{{inputs.x}}`.
    Input(String),
    /// `{{agents.ROLE.output}}`.
    Output(String),
    /// `{{item}}`: the item that `foreach` made the agent for.
    Item,
    /// Braces around something else.
    Unknown(String),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Plain text, with `\{{` already read.
    Text(String),
    /// A placeholder and its bytes in the text.
    Placeholder(Reference, Range<usize>),
}

/// Cuts a text into plain parts and placeholders.
pub fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        if let Some(before) = text[at..open].strip_suffix('\\') {
            plain.push_str(before);
            plain.push_str("{{");
            at = open + 2;
            continue;
        }
        let Some(length) = text[open + 2..].find("}}") else { break };
        let close = open + 2 + length;
        plain.push_str(&text[at..open]);
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Placeholder(reference(text[open + 2..close].trim()), open..close + 2));
        at = close + 2;
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}

/// Fills a text in one pass: what `resolve` returns is taken as it is, never read for placeholders again.
pub fn render(text: &str, resolve: impl Fn(&Reference) -> String) -> String {
    parts(text)
        .into_iter()
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Placeholder(reference, _) => resolve(&reference),
        })
        .collect()
}

/// Returns every placeholder of a text.
pub fn references(text: &str) -> Vec<Reference> {
    let reference = |part| match part {
        Part::Placeholder(reference, _) => Some(reference),
        Part::Text(_) => None,
    };
    parts(text).into_iter().filter_map(reference).collect()
}

/// Returns the placeholder when it is the whole text.
pub fn whole(text: &str) -> Option<Reference> {
    match parts(text).as_mut_slice() {
        [Part::Placeholder(reference, _)] => Some(std::mem::replace(reference, Reference::Item)),
        _ => None,
    }
}

fn reference(inner: &str) -> Reference {
    let named = |name: &str, make: fn(String) -> Reference| {
        let name = name.trim();
        if name.is_empty() { Reference::Unknown(inner.to_owned()) } else { make(name.to_owned()) }
    };
    if inner == "item" {
        return Reference::Item;
    }
    if let Some(role) = inner.strip_prefix("agents.").and_then(|rest| rest.strip_suffix(".output")) {
        return named(role, Reference::Output);
    }
    match inner.split_once('.') {
        Some(("answers", name)) => named(name, Reference::Answer),
        Some(("config", name)) => named(name, Reference::Config),
        Some(("inputs", name)) => named(name, Reference::Input),
        Some(_) => Reference::Unknown(inner.to_owned()),
        None if inner.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-') => named(inner, Reference::Answer),
        None => Reference::Unknown(inner.to_owned()),
    }
}

/// What placeholders are filled with.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The answers.
    pub answers: &'a Answers,
    /// The rule's configuration.
    pub config: &'a Map<String, Value>,
    /// The item of `foreach`.
    pub item: Option<&'a str>,
    /// Questions whose answers are replaced by [`MASK`].
    pub masked: &'a [&'a str],
}

impl Scope<'_> {
    /// Returns the value, `Null` when there is none; `None` when the reference is not resolved here.
    fn value(&self, reference: &Reference) -> Option<Value> {
        match reference {
            Reference::Answer(question) if self.masked.contains(&question.as_str()) => Some(Value::from(MASK)),
            Reference::Answer(question) => Some(answer(self.answers, question).cloned().unwrap_or(Value::Null)),
            Reference::Config(key) => Some(self.config.get(key).cloned().unwrap_or(Value::Null)),
            Reference::Item => Some(self.item.map_or(Value::Null, Value::from)),
            Reference::Input(_) | Reference::Output(_) | Reference::Unknown(_) => None,
        }
    }
}

/// A piece of a text whose inputs and outputs are not known yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Piece {
    /// Text to be taken as it is.
    Text(String),
    /// The material of this input.
    Input(String),
    /// The output of the agents of this role.
    Output(String),
}

/// Fills what is known and leaves inputs and outputs as pieces. Unknown placeholders stay as they are written.
pub fn pieces(text: &str, scope: &Scope<'_>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts(text) {
        let piece = match part {
            Part::Text(plain) => Piece::Text(plain),
            Part::Placeholder(Reference::Input(input), _) => Piece::Input(input),
            Part::Placeholder(Reference::Output(role), _) => Piece::Output(role),
            Part::Placeholder(reference, at) => {
                Piece::Text(scope.value(&reference).map_or_else(|| text[at].to_owned(), |value| prose(&value)))
            }
        };
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => before.push_str(&more),
            (_, Piece::Text(empty)) if empty.is_empty() => {}
            (_, piece) => pieces.push(piece),
        }
    }
    pieces
}

/// Joins pieces into a text, once inputs and outputs are known.
pub fn join(pieces: &[Piece], input: impl Fn(&str) -> String, output: impl Fn(&str) -> String) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Input(id) => input(id),
        Piece::Output(role) => output(role),
    };
    pieces.iter().map(text).collect()
}

/// Fills a text, passing each filled-in value through `quote`. Inputs, outputs and unknown placeholders stay as written.
pub fn fill_text(text: &str, scope: &Scope<'_>, quote: impl Fn(String) -> String) -> String {
    let filled = |part| match part {
        Part::Text(plain) => plain,
        Part::Placeholder(reference, at) => {
            scope.value(&reference).map_or_else(|| text[at].to_owned(), |value| quote(prose(&value)))
        }
    };
    parts(text).into_iter().map(filled).collect()
}

/// Fills the texts inside a JSON value. A placeholder that is a whole text keeps the type of what it names; `None` and left
/// out of objects and arrays when that has no value.
pub fn fill_value(value: &Value, scope: &Scope<'_>) -> Option<Value> {
    match value {
        Value::String(text) => match whole(text).and_then(|reference| scope.value(&reference)) {
            Some(Value::Null) => None,
            Some(value) => Some(value),
            None => Some(Value::String(fill_text(text, scope, |filled| filled))),
        },
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(|item| fill_value(item, scope)).collect())),
        Value::Object(fields) => {
            let filled = |(key, value): (&String, &Value)| Some((key.clone(), fill_value(value, scope)?));
            Some(Value::Object(fields.iter().filter_map(filled).collect()))
        }
        other => Some(other.clone()),
    }
}

/// Calls `visit` for every text inside a JSON value, with its JSON pointer relative to the value.
pub fn each_text<'v>(value: &'v Value, pointer: &str, visit: &mut dyn FnMut(&str, &'v str)) {
    match value {
        Value::String(text) => visit(pointer, text),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, item)| each_text(item, &format!("{pointer}/{i}"), visit)),
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                each_text(value, &format!("{pointer}/{key}"), visit);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn with_scope<T>(use_scope: impl FnOnce(&Scope<'_>) -> T) -> T {
        let answers: Answers = serde_json::from_value(json!({
            "name": "demo", "n": 80, "flag": true, "set": ["a", "b"], "evil": "{{answers.name}} {{agents.x.output}}", "pin": "1234"
        }))
        .expect("a map");
        let config = json!({"key": [1, 2]}).as_object().cloned().unwrap_or_default();
        use_scope(&Scope { answers: &answers, config: &config, item: Some("one"), masked: &["pin"] })
    }

    #[test]
    fn names_are_read_with_and_without_spaces() {
        assert_eq!(
            references(
                "{{answers.a}} {{ config.b }} {{inputs.c}} {{agents.type checker: v2.output}} {{item}} {{d}} {{x.y}} {{}}"
            ),
            [
                Reference::Answer("a".into()),
                Reference::Config("b".into()),
                Reference::Input("c".into()),
                Reference::Output("type checker: v2".into()),
                Reference::Item,
                Reference::Answer("d".into()),
                Reference::Unknown("x.y".into()),
                Reference::Unknown(String::new()),
            ]
        );
    }

    #[test]
    fn escaped_and_unclosed_braces_mean_themselves() {
        assert_eq!(parts(r"a \{{b}} {{c"), [Part::Text("a {{b}} {{c".into())]);
        assert_eq!(with_scope(|scope| fill_text(r"\{{name}} {{name}}", scope, |text| text)), "{{name}} demo");
    }

    #[test]
    fn a_placeholder_that_is_the_whole_value_keeps_its_type() {
        let value = json!({"a": "{{n}}", "b": "{{flag}}", "c": "{{set}}", "d": "n={{n}} {{flag}}", "e": "{{gone}}", "f": ["{{gone}}", "{{item}}"]});
        assert_eq!(
            with_scope(|scope| fill_value(&value, scope)),
            Some(json!({"a": 80, "b": true, "c": ["a", "b"], "d": "n=80 Yes", "f": ["one"]}))
        );
    }

    #[test]
    fn inserted_text_is_never_expanded_again() {
        with_scope(|scope| {
            assert_eq!(fill_text("{{evil}}", scope, |text| text), "{{answers.name}} {{agents.x.output}}");
            let pieces = pieces("{{evil}}! {{agents.linter.output}} {{inputs.code}}", scope);
            assert_eq!(
                pieces,
                [
                    Piece::Text("{{answers.name}} {{agents.x.output}}! ".into()),
                    Piece::Output("linter".into()),
                    Piece::Text(" ".into()),
                    Piece::Input("code".into())
                ]
            );
            let joined = join(&pieces, |id| format!("<{id}>"), |_| "{{inputs.code}}".to_owned());
            assert_eq!(joined, "{{answers.name}} {{agents.x.output}}! {{inputs.code}} <code>");
        });
    }

    #[test]
    fn a_masked_answer_is_not_shown() {
        assert_eq!(with_scope(|scope| fill_text("pin {{pin}}", scope, |text| text)), "pin [sensitive]");
    }

    proptest! {
        #[test]
        fn any_text_is_cut_without_losing_what_is_not_a_placeholder(text in r"[a-z{}.\\ é]{0,40}") {
            let mut kept = String::new();
            for part in parts(&text) {
                match part {
                    Part::Text(plain) => kept.push_str(&plain),
                    Part::Placeholder(_, at) => kept.push_str(&text[at]),
                }
            }
            prop_assert_eq!(kept, text.replace(r"\{{", "{{"));
        }
    }
}
