//! The shape of a file: every value against the schema of the types, all deviations at once.
//!
//! What does not fit is replaced by something neutral, so that the rest can be checked for its meaning; the places are noted
//! as damaged, and nothing that follows from a replacement is reported.

use serde_json::{Map, Number, Value, json};

use super::places::{Field, Kind, Node};
use super::problem::{Findings, key};
use super::schema::{properties, resolve};
use crate::domain::answers::quoted;
use crate::domain::nearest::nearest;

/// Walks `node` along `schema` and returns it in a shape that the types take.
pub(super) fn fit(schema: &Value, node: &Node, findings: &mut Findings) -> Value {
    Walker { root: schema, findings }.walk(schema, node, "")
}

struct Walker<'w> {
    root: &'w Value,
    findings: &'w mut Findings,
}

impl<'w> Walker<'w> {
    fn walk(&mut self, schema: &'w Value, node: &Node, pointer: &str) -> Value {
        let schema = resolve(self.root, schema);
        if let Some(words) = words(schema) {
            return self.walk_word(schema, &words, node, pointer);
        }
        if properties(schema).is_none()
            && let Some(parts) = alternatives(schema)
        {
            return self.walk_alternatives(parts, node, pointer);
        }
        match (types(schema).as_slice(), &node.kind) {
            ([], _) => node.value(),
            (types, Kind::Null) if types.contains(&"null") => Value::Null,
            (types, Kind::Bool(flag)) if types.contains(&"boolean") => Value::Bool(*flag),
            (types, Kind::Text(text)) if types.contains(&"string") => Value::String(text.clone()),
            (types, Kind::Number(number)) if types.contains(&"number") => Value::Number(number.clone()),
            (types, Kind::Number(number)) if types.contains(&"integer") => self.walk_integer(schema, number, pointer),
            (types, Kind::Array(elements)) if types.contains(&"array") => self.walk_array(schema, elements, pointer),
            (types, Kind::Object(fields)) if types.contains(&"object") => self.walk_object(schema, node, fields, pointer),
            _ => self.wrong(schema, node, pointer),
        }
    }

    /// Reports a value of the wrong type.
    fn wrong(&mut self, schema: &'w Value, node: &Node, pointer: &str) -> Value {
        let wanted = self.wanted(schema);
        let remedy = match (&node.kind, types(schema).as_slice()) {
            (Kind::Text(text), types) if types.contains(&"number") || types.contains(&"integer") => match text.parse::<f64>() {
                Ok(_) => format!("write {text} without quotes"),
                Err(_) => format!("write {wanted}"),
            },
            // A command is a program and its arguments, each by itself.
            (Kind::Text(text), types) if types.contains(&"array") && pointer.ends_with("/run") => {
                format!("write {}", Value::from(text.split_whitespace().collect::<Vec<_>>()))
            }
            (Kind::Text(text), types) if types.contains(&"array") => format!("write [{}]", Value::from(text.as_str())),
            (Kind::Null, _) => "leave the key out".to_owned(),
            _ => format!("write {wanted}"),
        };
        self.findings.error(pointer, format!("expected {wanted}, found {}", found(node)), remedy);
        self.replace(schema, pointer)
    }

    fn replace(&mut self, schema: &'w Value, pointer: &str) -> Value {
        self.findings.damage(pointer.to_owned());
        self.neutral(schema, 0)
    }

    fn walk_word(&mut self, schema: &'w Value, words: &[&str], node: &Node, pointer: &str) -> Value {
        let list = || words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        match &node.kind {
            Kind::Text(text) if words.contains(&text.as_str()) => return Value::String(text.clone()),
            Kind::Text(text) => {
                let remedy = match nearest(text, words.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write one of {}", list()),
                };
                self.findings.error(pointer, format!("{} is none of {}", quoted(text), list()), remedy);
            }
            _ => {
                let message = format!("expected one of {}, found {}", list(), found(node));
                self.findings.error(pointer, message, format!("write one of {}", list()));
            }
        }
        self.replace(schema, pointer)
    }

    fn walk_alternatives(&mut self, parts: &'w [Value], node: &Node, pointer: &str) -> Value {
        let fits = |part: &&'w Value| {
            let types = types(resolve(self.root, part));
            match &node.kind {
                Kind::Null => types.contains(&"null"),
                Kind::Text(_) => types.contains(&"string") || words(resolve(self.root, part)).is_some(),
                Kind::Object(_) => types.contains(&"object") || alternatives(resolve(self.root, part)).is_some(),
                _ => false,
            }
        };
        let possible: Vec<&Value> = parts.iter().filter(fits).collect();
        match possible.as_slice() {
            [] => {
                let mut wanted: Vec<String> = parts.iter().map(|part| self.wanted(part)).filter(|word| word != "null").collect();
                wanted.dedup();
                let wanted = wanted.join(" or ");
                self.findings.error(pointer, format!("expected {wanted}, found {}", found(node)), format!("write {wanted}"));
                let first = parts.first().unwrap_or(self.root);
                self.replace(first, pointer)
            }
            [only] => self.walk(only, node, pointer),
            several => self.walk_variants(several, node, pointer),
        }
    }

    /// Objects that are told apart by the keys they must have.
    fn walk_variants(&mut self, variants: &[&'w Value], node: &Node, pointer: &str) -> Value {
        let has_all = |variant: &&&'w Value| required(resolve(self.root, variant)).iter().all(|name| node.get(name).is_some());
        if let Some(variant) = variants.iter().find(has_all) {
            return self.walk(variant, node, pointer);
        }
        let starts: Vec<&str> = variants.iter().flat_map(|variant| required(resolve(self.root, variant))).collect();
        let list = starts.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let meant = match &node.kind {
            Kind::Object(fields) => fields.iter().find_map(|field| nearest(&field.name, starts.iter().copied())),
            _ => None,
        };
        let remedy = meant.map_or_else(|| format!("write one of {list}"), |near| format!("did you mean `{near}`?"));
        self.findings.error(pointer, format!("expected an object with one of {list}"), remedy);
        match variants.first() {
            Some(first) => self.replace(first, pointer),
            None => Value::Null,
        }
    }

    fn walk_integer(&mut self, schema: &'w Value, number: &Number, pointer: &str) -> Value {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        let (from, to) = match format {
            "int32" => (i64::from(i32::MIN), i32::MAX as u64),
            "uint32" => (0, u64::from(u32::MAX)),
            "uint64" => (0, u64::MAX),
            _ => (i64::MIN, i64::MAX as u64),
        };
        let in_range = match number.as_u64() {
            Some(number) => number <= to,
            None => number.as_i64().is_some_and(|number| number >= from),
        };
        if in_range {
            return Value::Number(number.clone());
        }
        let message = if number.is_f64() {
            format!("expected a whole number, found {number}")
        } else {
            format!("{number} is out of range")
        };
        self.findings.error(pointer, message, format!("write a whole number from {from} to {to}"));
        self.replace(schema, pointer)
    }

    fn walk_array(&mut self, schema: &'w Value, elements: &[Node], pointer: &str) -> Value {
        let count = |word: &str| schema.get(word).and_then(Value::as_u64);
        let length = elements.len() as u64;
        if count("minItems").is_some_and(|min| length < min) || count("maxItems").is_some_and(|max| length > max) {
            let wanted = count("minItems").or_else(|| count("maxItems")).unwrap_or_default();
            self.findings.error(pointer, format!("expected {wanted} values, found {length}"), format!("write {wanted} values"));
            return self.replace(schema, pointer);
        }
        let Some(items) = schema.get("items") else {
            return Value::Array(elements.iter().map(Node::value).collect());
        };
        let element = |(i, element): (usize, &Node)| self.walk(items, element, &format!("{pointer}/{i}"));
        Value::Array(elements.iter().enumerate().map(element).collect())
    }

    fn walk_object(&mut self, schema: &'w Value, node: &Node, fields: &[Field], pointer: &str) -> Value {
        let Some(own) = properties(schema) else {
            // A map: any key, values of one kind.
            let mut map = Map::new();
            for field in fields {
                let at = format!("{pointer}/{}", key(&field.name));
                let value = match schema.get("additionalProperties") {
                    Some(inner @ Value::Object(_)) => self.walk(inner, &field.node, &at),
                    _ => field.node.value(),
                };
                map.entry(field.name.clone()).or_insert(value);
            }
            return Value::Object(map);
        };
        let mut known: Vec<(&str, &Value)> = own.iter().map(|(name, inner)| (name.as_str(), inner)).collect();
        let mut needed = required(schema);
        if let Some(variants) = alternatives(schema) {
            let Some(variant) = self.choose(variants, node, pointer) else {
                return self.replace(schema, pointer);
            };
            known.extend(properties(variant).into_iter().flatten().map(|(name, inner)| (name.as_str(), inner)));
            needed.extend(required(variant));
        }
        let mut map = Map::new();
        for field in fields {
            let at = format!("{pointer}/{}", key(&field.name));
            match known.iter().find(|(name, _)| *name == field.name) {
                Some((name, _)) if name.starts_with('$') => {}
                Some((_, inner)) => {
                    let value = self.walk(inner, &field.node, &at);
                    map.entry(field.name.clone()).or_insert(value);
                }
                None => {
                    let names: Vec<&str> = known.iter().map(|(name, _)| *name).filter(|name| !name.starts_with('$')).collect();
                    let remedy = match nearest(&field.name, names.iter().copied().filter(|name| node.get(name).is_none())) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("remove it; known here: {}", names.join(", ")),
                    };
                    self.findings.lenient(&at, format!("unknown key {}", quoted(&field.name)), remedy);
                }
            }
        }
        for name in needed {
            if node.get(name).is_none() {
                let inner = known.iter().find(|(known, _)| *known == name).map_or(self.root, |(_, inner)| inner);
                let about = description(inner).or_else(|| description(resolve(self.root, inner))).unwrap_or("a value");
                self.findings.error(pointer, format!("`{name}` is missing"), format!("add `{name}`: {about}"));
                let value = self.replace(inner, &format!("{pointer}/{}", key(name)));
                map.insert(name.to_owned(), value);
            }
        }
        Value::Object(map)
    }

    /// Chooses between alternatives of an object's fields: by the constant of a field that is there, or by a key that must be.
    fn choose(&mut self, variants: &'w [Value], node: &Node, pointer: &str) -> Option<&'w Value> {
        let constant = |variant: &'w Value| {
            properties(variant)?.iter().find_map(|(name, inner)| Some((name.as_str(), inner.get("const")?.as_str()?)))
        };
        if let Some((tag, _)) = variants.iter().find_map(constant) {
            let names: Vec<&str> = variants.iter().filter_map(constant).map(|(_, name)| name).collect();
            let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            return match node.get(tag).map(|node| &node.kind) {
                None => {
                    self.findings.error(pointer, format!("`{tag}` is missing"), format!("add `{tag}`: one of {list}"));
                    None
                }
                Some(Kind::Text(text)) if names.contains(&text.as_str()) => {
                    variants.iter().find(|variant| constant(variant).is_some_and(|(_, name)| name == text))
                }
                Some(Kind::Text(text)) => {
                    let near = nearest(text, names.iter().copied());
                    let remedy = near.map_or_else(|| format!("write one of {list}"), |near| format!("did you mean `{near}`?"));
                    self.findings.error(&format!("{pointer}/{tag}"), format!("{} is none of {list}", quoted(text)), remedy);
                    None
                }
                Some(_) => {
                    self.findings.error(
                        &format!("{pointer}/{tag}"),
                        format!("expected one of {list}"),
                        format!("write one of {list}"),
                    );
                    None
                }
            };
        }
        let present: Vec<&Value> =
            variants.iter().filter(|variant| required(variant).iter().all(|name| node.get(name).is_some())).collect();
        let list = variants.iter().flat_map(required).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match present.as_slice() {
            [only] => Some(only),
            [] => {
                self.findings.error(pointer, format!("one of {list} is missing"), format!("add one of {list}"));
                None
            }
            _ => {
                self.findings.error(pointer, format!("only one of {list} may be given"), "use `all` for several conditions");
                None
            }
        }
    }

    /// Returns the least value that the types take.
    fn neutral(&self, schema: &Value, depth: usize) -> Value {
        let schema = resolve(self.root, schema);
        if let Some(words) = words(schema) {
            return words.first().copied().map_or(Value::Null, Value::from);
        }
        if properties(schema).is_none()
            && let Some(first) = alternatives(schema).and_then(<[Value]>::first)
        {
            return self.neutral(first, depth + 1);
        }
        match types(schema).first() {
            Some(&"string") => json!(""),
            Some(&"boolean") => json!(false),
            Some(&"number" | &"integer") => json!(0),
            Some(&"array") => {
                let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(16) as usize;
                let item = schema.get("items").map_or(Value::Null, |items| self.neutral(items, depth + 1));
                Value::Array(vec![item; count])
            }
            Some(&"object") if depth < 16 => {
                let mut map = Map::new();
                let variant = alternatives(schema).and_then(<[Value]>::first);
                for part in std::iter::once(schema).chain(variant) {
                    for name in required(part) {
                        let inner = properties(part).and_then(|inner| inner.get(name));
                        map.insert(name.to_owned(), inner.map_or(Value::Null, |inner| self.neutral(inner, depth + 1)));
                    }
                }
                Value::Object(map)
            }
            _ => Value::Null,
        }
    }

    fn wanted(&self, schema: &Value) -> String {
        let schema = resolve(self.root, schema);
        if words(schema).is_some() {
            return "a word".to_owned();
        }
        let word = |name: &&str| match *name {
            "string" => "a text",
            "boolean" => "true or false",
            "number" => "a number",
            "integer" => "a whole number",
            "array" => "an array",
            "object" => "an object",
            _ => "null",
        };
        let words: Vec<&str> = types(schema).iter().filter(|name| **name != "null").map(word).collect();
        if words.is_empty() {
            if alternatives(schema).is_some() { "an object" } else { "null" }.to_owned()
        } else {
            words.join(" or ")
        }
    }
}

fn found(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(flag) => flag.to_string(),
        Kind::Number(number) => number.to_string(),
        Kind::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Kind::Text(text) => format!("the text {}", quoted(text)),
        Kind::Array(_) => "an array".to_owned(),
        Kind::Object(_) => "an object".to_owned(),
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    ["anyOf", "oneOf"].iter().find_map(|word| schema.get(*word)?.as_array()).map(Vec::as_slice)
}

/// Returns the words of an enumeration, written as `enum` or as alternatives of constants.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(vec![word]);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return words.iter().map(Value::as_str).collect();
    }
    let parts = schema.get("oneOf")?.as_array()?;
    let words: Option<Vec<Vec<&str>>> = parts.iter().map(words).collect();
    words.map(|words| words.concat())
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description").and_then(Value::as_str).map(|text| text.trim_end_matches('.'))
}
