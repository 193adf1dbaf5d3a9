//! JSON with places: the text read strictly, every value with where it stands, duplicate keys kept.
//!
//! serde_json decides what is JSON; jsonc-parser, held to the same grammar, says where things are.

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use serde_json::{Map, Number, Value};

use super::problem::{Problem, Severity, key};
use crate::domain::answers::quoted;
use crate::domain::json_fault::JsonFault;

/// The longest file, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting of arrays and objects.
pub const DEPTH_MAX: usize = 64;

/// A value with the byte at which it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Node>),
    /// Keys in order, duplicates included.
    Object(Vec<Field>),
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// The byte at which the key stands.
    pub(super) at: usize,
    pub(super) node: Node,
}

impl Node {
    /// Returns the value of a key; of its first occurrence.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(fields) => fields.iter().find(|field| field.name == name).map(|field| &field.node),
            _ => None,
        }
    }

    /// Returns the elements of an array, nothing for anything else.
    pub(super) fn elements(&self) -> &[Node] {
        match &self.kind {
            Kind::Array(elements) => elements,
            _ => &[],
        }
    }

    /// Returns the value without places.
    pub(super) fn value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::Array(elements) => Value::Array(elements.iter().map(Self::value).collect()),
            Kind::Object(fields) => {
                let mut map = Map::new();
                for field in fields {
                    map.entry(field.name.clone()).or_insert_with(|| field.node.value());
                }
                Value::Object(map)
            }
        }
    }
}

/// A text read as JSON.
#[derive(Debug)]
pub(super) struct Places {
    root: Node,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    text: String,
}

impl Places {
    /// Reads a text as strict JSON.
    ///
    /// # Errors
    /// It is too long, too deep or no JSON.
    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > FILE_BYTES_MAX {
            return Err(whole(
                format!("the file has {} bytes, more than the {FILE_BYTES_MAX} that are read", text.len()),
                "keep material out of the template: give it to the run as an input",
            ));
        }
        let lines = line_starts(text);
        if let Some(at) = too_deep(text) {
            let (line, column) = place_of(text, &lines, at);
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Problem { line, column, ..whole(message, "write it flatter") });
        }
        if let Err(error) = serde_json::from_str::<Value>(text) {
            return Err(syntax(text, &error));
        }
        let strict = ParseOptions {
            allow_comments: false,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let located = match parse_to_ast(text, &CollectOptions::default(), &strict) {
            Ok(result) => result.value.map(node).ok_or_else(|| "the file is empty".to_owned()),
            Err(error) => Err(error.kind().to_string().to_lowercase()),
        };
        let root = located.map_err(|message| whole(message, "write strict JSON"))?;
        Ok(Self { root, lines, text: text.to_owned() })
    }

    /// Returns the outermost value.
    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Returns line and column, both from 1, of what a JSON pointer names; of the innermost part that is there.
    ///
    /// A key that is named by a pointer stands where its value stands.
    pub(super) fn place(&self, pointer: &str) -> (usize, usize) {
        let mut node = &self.root;
        let mut at = node.at;
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let inner = match &node.kind {
                Kind::Array(elements) => name.parse::<usize>().ok().and_then(|i| elements.get(i)).map(|inner| (inner.at, inner)),
                Kind::Object(fields) => fields.iter().find(|field| field.name == name).map(|field| (field.node.at, &field.node)),
                _ => None,
            };
            let Some((inner_at, inner)) = inner else { break };
            (at, node) = (inner_at, inner);
        }
        place_of(&self.text, &self.lines, at)
    }

    /// Returns every key that is given twice in one object: its pointer and name.
    pub(super) fn duplicates(&self) -> Vec<Duplicate> {
        let mut duplicates = Vec::new();
        find_duplicates(&self.root, "", &mut |pointer, field| {
            let (line, column) = place_of(&self.text, &self.lines, field.at);
            duplicates.push(Duplicate { pointer, name: field.name.clone(), line, column });
        });
        duplicates
    }
}

/// A key that is given for the second time.
#[derive(Debug)]
pub(super) struct Duplicate {
    pub(super) pointer: String,
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Duplicate> for Problem {
    fn from(duplicate: Duplicate) -> Self {
        Problem {
            severity: Severity::Error,
            pointer: duplicate.pointer,
            line: duplicate.line,
            column: duplicate.column,
            message: format!("{} is given twice", quoted(&duplicate.name)),
            remedy: "remove one of them".to_owned(),
        }
    }
}

/// Reads strict JSON, refusing duplicate keys.
///
/// # Errors
/// It is too long, too deep, no JSON, or gives a key twice.
pub fn parse_json(text: &str) -> Result<Value, Problem> {
    let places = Places::read(text)?;
    match places.duplicates().into_iter().next() {
        Some(duplicate) => Err(duplicate.into()),
        None => Ok(places.root().value()),
    }
}

/// A problem of the whole file.
pub(super) fn whole(message: impl Into<String>, remedy: &str) -> Problem {
    Problem {
        severity: Severity::Error,
        pointer: String::new(),
        line: 1,
        column: 1,
        message: message.into(),
        remedy: remedy.to_owned(),
    }
}

fn find_duplicates(node: &Node, pointer: &str, found: &mut dyn FnMut(String, &Field)) {
    match &node.kind {
        Kind::Array(elements) => {
            elements.iter().enumerate().for_each(|(i, element)| find_duplicates(element, &format!("{pointer}/{i}"), found));
        }
        Kind::Object(fields) => {
            let mut seen = std::collections::HashSet::new();
            for field in fields {
                let inner = format!("{pointer}/{}", key(&field.name));
                if seen.insert(&field.name) {
                    find_duplicates(&field.node, &inner, found);
                } else {
                    found(inner, field);
                }
            }
        }
        _ => {}
    }
}

fn node(value: ast::Value<'_>) -> Node {
    let at = value.range().start;
    let kind = match value {
        ast::Value::NullKeyword(_) => Kind::Null,
        ast::Value::BooleanLit(literal) => Kind::Bool(literal.value),
        // serde_json has read the same text before, so the number is one; zero stands for what cannot be.
        ast::Value::NumberLit(literal) => Kind::Number(literal.value.parse().unwrap_or_else(|_| Number::from(0))),
        ast::Value::StringLit(literal) => Kind::Text(literal.value.into_owned()),
        ast::Value::Array(array) => Kind::Array(array.elements.into_iter().map(node).collect()),
        ast::Value::Object(object) => Kind::Object(
            object
                .properties
                .into_iter()
                .map(|property| Field { at: property.range.start, name: property.name.into_string(), node: node(property.value) })
                .collect(),
        ),
    };
    Node { at, kind }
}

/// Returns the byte at which the nesting gets too deep, before any parser has to follow it.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Some(at);
                }
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

fn syntax(text: &str, error: &serde_json::Error) -> Problem {
    let JsonFault { at, line, column, message } = JsonFault::of(text, error);
    let rest = &text[at..];
    let remedy = if text.trim().is_empty() {
        "`meno template new ID` writes a start"
    } else if message.contains("trailing comma") {
        "remove the comma"
    } else if rest.starts_with("//") || rest.starts_with("/*") || rest.starts_with('#') {
        "JSON has no comments: put it into `$comment`"
    } else if rest.starts_with('\'') {
        "put texts and keys between double quotes"
    } else if message.starts_with("EOF") {
        "close what was opened: a text, array or object is not finished"
    } else if message.contains("control character") {
        "write a line break inside a text as \\n"
    } else {
        "write strict JSON"
    };
    Problem { line, column, ..whole(message, remedy) }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn place_of(text: &str, lines: &[usize], at: usize) -> (usize, usize) {
    let line = lines.partition_point(|start| *start <= at).max(1);
    let start = lines.get(line - 1).copied().unwrap_or(0);
    (line, text.get(start..at).map_or(1, |before| before.chars().count() + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_found_by_pointer_in_lines_and_characters() {
        let places = Places::read("{\n  \"é\": [1, {\"a/b\": true}],\n  \"x\": null }").expect("json");
        for (pointer, place) in [
            ("", (1, 1)),
            ("/é", (2, 8)),
            ("/é/0", (2, 9)),
            ("/é/1/a~1b", (2, 20)),
            ("/é/1/gone/further", (2, 12)),
            ("/x", (3, 8)),
        ] {
            assert_eq!(places.place(pointer), place, "{pointer}");
        }
    }

    #[test]
    fn what_is_not_strict_json_is_refused_with_its_place() {
        for (text, place, message) in [
            ("", (1, 1), "EOF while parsing a value"),
            ("{\"a\": 1,}", (1, 8), "trailing comma"),
            ("{\n// no\n}", (2, 1), "key must be a string"),
            ("{'a': 1}", (1, 2), "key must be a string"),
            ("[1e999]", (1, 6), "number out of range"),
            ("[\"\u{1}\"]", (1, 3), "control character (\\u0000-\\u001F) found while parsing a string"),
            ("[01]", (1, 3), "invalid number"),
        ] {
            let problem = Places::read(text).expect_err(text);
            assert_eq!((problem.line, problem.column, problem.message.as_str()), (place.0, place.1, message), "{text:?}");
        }
    }

    #[test]
    fn size_and_depth_have_limits() {
        let problem = Places::read(&"[".repeat(DEPTH_MAX + 1)).expect_err("deep");
        assert_eq!((problem.line, problem.column), (1, DEPTH_MAX + 1));
        assert!(Places::read(&format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX))).is_ok());
        let long = format!("[\"{}\"]", "[".repeat(FILE_BYTES_MAX - 4));
        assert!(Places::read(&long).is_ok(), "brackets in texts are no nesting");
        assert!(Places::read(&format!("{long} ")).expect_err("long").message.contains("bytes"));
    }

    proptest! {
        #[test]
        fn both_parsers_agree_on_what_json_says(text in r#"[\[\]{}:,"a1e.\-+ \\u/tfn]{0,24}"#) {
            let value = serde_json::from_str::<Value>(&text).ok();
            let places = Places::read(&text).ok();
            if let (Some(value), Some(places)) = (&value, &places) {
                if places.duplicates().is_empty() {
                    prop_assert_eq!(value, &places.root().value());
                }
            } else {
                prop_assert_eq!(value.is_some(), places.is_some());
            }
        }
    }
}
