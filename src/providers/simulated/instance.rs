//! JSON values that are valid against a schema, for the keywords that schemas of answers use.

use serde_json::{Map, Number, Value, json};

use super::draw::Draw;
use super::matching::matching;
use super::phrases::Phrases;
use super::record::Record;
use super::severity::Severity;

/// References and nesting are followed so deep; what lies deeper is left out where it may be.
const DEPTH_MAX: usize = 12;
/// Optional fields are filled down to here, so that recursive schemas end.
const OPTIONAL_DEPTH_MAX: usize = 4;
/// Arrays and strings are filled up to here, whatever their schema asks for.
const ITEMS_MAX: usize = 200;
const CHARS_MAX: usize = 20_000;

/// Makes a value for `schema`; another `variant` takes other branches. The caller checks it: not every keyword is followed.
pub(super) fn instance(schema: &Value, phrases: &Phrases<'_>, draw: &Draw, variant: u32) -> Value {
    let mut making = Making { root: schema, phrases, draw, variant, made: 0, told: false, record: None, found: 0 };
    making.value(schema, "answer", 0)
}

struct Making<'a> {
    root: &'a Value,
    phrases: &'a Phrases<'a>,
    draw: &'a Draw,
    variant: u32,
    /// How many scalars were made: each one draws its own.
    made: u64,
    /// A text said that the answer is simulated.
    told: bool,
    /// What the item being made is about.
    record: Option<Record>,
    /// Items made so far of what was found.
    found: usize,
}

impl Making<'_> {
    fn value(&mut self, schema: &Value, key: &str, depth: usize) -> Value {
        let Some(fields) = schema.as_object() else { return Value::String(self.text(key, &Map::new())) };
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(constant) = fields.get("const") {
            return constant.clone();
        }
        if let Some(value) = self.known(fields, key) {
            return value;
        }
        if let Some(Value::Array(options)) = fields.get("enum") {
            let option = self.draw.pick("enum", self.next() + u64::from(self.variant), options);
            return option.cloned().unwrap_or(Value::Null);
        }
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let root = self.root;
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.value(target, key, depth + 1));
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(options)) = fields.get(keyword)
                && !options.is_empty()
            {
                let merged = merge(fields, &options[self.variant as usize % options.len()], keyword);
                return self.value(&merged, key, depth + 1);
            }
        }
        if let Some(Value::Array(parts)) = fields.get("allOf") {
            let start = Value::Object(fields.iter().filter(|(name, _)| *name != "allOf").map(own).collect());
            let merged = parts.iter().fold(start, |all, part| {
                let part = self.resolved(part);
                all.as_object().map_or(Value::Null, |fields| merge(fields, &part, "allOf"))
            });
            return self.value(&merged, key, depth + 1);
        }
        let may_be_null = matches!(fields.get("type"), Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "null"));
        match kind(fields) {
            // A number that nobody measured is not made up where the form lets it be left open.
            "integer" | "number" if may_be_null => Value::Null,
            "object" => self.object(fields, depth),
            "array" => self.array(fields, key, depth),
            "integer" => self.number(fields, true),
            "number" => self.number(fields, false),
            "boolean" => Value::Bool(self.next().is_multiple_of(2)),
            "null" => Value::Null,
            _ => Value::String(self.text(key, fields)),
        }
    }

    /// Returns what is known for a scalar called `key`, if the form has room for it.
    fn known(&self, fields: &Map<String, Value>, key: &str) -> Option<Value> {
        let options = fields.get("enum").and_then(Value::as_array);
        let options: Option<Vec<&str>> = options.map(|options| options.iter().filter_map(Value::as_str).collect());
        if let Some(record) = &self.record {
            let value = record.get(key)?;
            return match (&options, value) {
                (Some(options), Value::String(word)) if options.contains(&word.as_str()) => Some(value.clone()),
                (Some(options), Value::String(word)) if key == "severity" || key == "risk" => {
                    Some(Value::from(Severity::named(word)?.among(options)?))
                }
                (Some(_), _) => None,
                (None, Value::String(_)) => (kind(fields) == "string" && fits(fields, value)).then(|| value.clone()),
                (None, Value::Array(_)) => (kind(fields) == "array").then(|| value.clone()),
                (None, Value::Number(_)) => ["integer", "number"].contains(&kind(fields)).then(|| value.clone()),
                (None, Value::Bool(_)) => (kind(fields) == "boolean").then(|| value.clone()),
                _ => None,
            };
        }
        if let Some(options) = options {
            return self.phrases.reading.option(key, &options, self.found).map(Value::from);
        }
        let text = Value::String(self.phrases.reading.text(key).filter(|_| kind(fields) == "string")?);
        fits(fields, &text).then_some(text)
    }

    fn next(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn resolved(&self, schema: &Value) -> Value {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        reference.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema).clone()
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let required: Vec<&str> =
            fields.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let empty = Map::new();
        let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let mut object = Map::new();
        for (name, property) in properties {
            if depth < OPTIONAL_DEPTH_MAX || required.contains(&name.as_str()) {
                object.insert(name.clone(), self.value(property, name, depth + 1));
            }
        }
        let others = fields.get("additionalProperties").filter(|others| others.is_object()).cloned().unwrap_or(json!({}));
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.to_owned(), self.value(&others, name, depth + 1));
            }
        }
        let least = count(fields, "minProperties").unwrap_or(0).min(ITEMS_MAX);
        for number in 1.. {
            if object.len() >= least {
                break;
            }
            let name = format!("item_{number}");
            let value = self.value(&others, &name, depth + 1);
            object.insert(name, value);
        }
        Value::Object(object)
    }

    fn array(&mut self, fields: &Map<String, Value>, key: &str, depth: usize) -> Value {
        let least = count(fields, "minItems").unwrap_or(0);
        let most = count(fields, "maxItems").unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
        let usual = if depth < OPTIONAL_DEPTH_MAX { 1 + (self.next() + u64::from(self.variant)) as usize % 2 } else { 0 };
        let wanted = least.max(usual).min(most);
        let mut items: Vec<Value> = Vec::new();
        let first = fields.get("prefixItems").and_then(Value::as_array).cloned().unwrap_or_default();
        for schema in first.iter().take(most) {
            items.push(self.value(schema, key, depth + 1));
        }
        if let Some(schema) = fields.get("contains") {
            items.push(self.value(schema, key, depth + 1));
        }
        let others = fields.get("items").cloned().unwrap_or(json!({}));
        let known = self.items(&others, key);
        let wanted = known.as_ref().map_or(wanted, |known| known.len().max(least).min(most));
        items.extend(known.into_iter().flatten().take(most.saturating_sub(items.len())));
        let unique = fields.get("uniqueItems") == Some(&Value::Bool(true));
        for _ in 0..wanted * 4 {
            if items.len() >= wanted || others == Value::Bool(false) {
                break;
            }
            let item = self.value(&others, key, depth + 1);
            if !unique || !items.contains(&item) {
                items.push(item);
            }
        }
        Value::Array(items)
    }

    /// Returns the items that are known for a list called `key`; `None` when its form says nothing about what belongs there.
    fn items(&mut self, schema: &Value, key: &str) -> Option<Vec<Value>> {
        let schema = self.resolved(schema);
        let fields = schema.as_object()?;
        if kind(fields) == "string" && !fields.contains_key("enum") {
            let texts = self.phrases.reading.texts(key)?.into_iter().map(Value::String);
            return Some(texts.filter(|text| fits(fields, text)).collect());
        }
        let names: Vec<&str> = fields.get("properties")?.as_object()?.keys().map(String::as_str).collect();
        let records = self.phrases.reading.records(key, &names)?;
        if !["claim", "documented", "exit_code"].iter().any(|name| names.contains(name)) {
            self.found += records.len();
        }
        let outer = self.record.take();
        let made = records.into_iter().map(|record| {
            self.record = Some(record);
            self.object(fields, OPTIONAL_DEPTH_MAX - 1)
        });
        let made = made.collect();
        self.record = outer;
        Some(made)
    }

    fn number(&mut self, fields: &Map<String, Value>, integer: bool) -> Value {
        let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
        let step = bound("multipleOf").filter(|step| *step > 0.0).or(integer.then_some(1.0));
        let least = match (bound("minimum"), bound("exclusiveMinimum")) {
            (minimum, Some(above)) => Some(minimum.unwrap_or(above).max(above + step.unwrap_or(0.01))),
            (minimum, None) => minimum,
        };
        let most = match (bound("maximum"), bound("exclusiveMaximum")) {
            (maximum, Some(below)) => Some(maximum.unwrap_or(below).min(below - step.unwrap_or(0.01))),
            (maximum, None) => maximum,
        };
        let share = self.draw.unit("number", self.next() + u64::from(self.variant));
        let (low, high) = match (least, most) {
            (Some(low), Some(high)) => (low, high.max(low)),
            (Some(low), None) => (low, low + 10.0),
            (None, Some(high)) => (high.min(0.0), high),
            (None, None) => (0.0, 10.0),
        };
        let raw = low + share * (high - low);
        let value = match step {
            Some(step) => {
                let rounded = (raw / step).round() * step;
                if rounded < low {
                    (low / step).ceil() * step
                } else if rounded > high {
                    (high / step).floor() * step
                } else {
                    rounded
                }
            }
            None => ((raw * 100.0).round() / 100.0).clamp(low, high),
        };
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Value::from(value as i64);
        }
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }

    fn text(&mut self, key: &str, fields: &Map<String, Value>) -> String {
        let number = self.next();
        if let Some(pattern) = fields.get("pattern").and_then(Value::as_str)
            && let Some(found) = matching(pattern, self.variant)
        {
            return found.text;
        }
        let format = fields.get("format").and_then(Value::as_str).and_then(formatted);
        if let Some(text) = format {
            return text.to_owned();
        }
        let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        let least = count(fields, "minLength").unwrap_or(0).min(CHARS_MAX);
        let most = count(fields, "maxLength").unwrap_or(CHARS_MAX);
        let cites = description.contains("path:line") || description.contains("file:line") || key == "where";
        let mut text = match self.phrases.citation(number).filter(|_| cites) {
            Some(citation) => citation,
            None => self.phrases.sentence(number),
        };
        // Short texts are labels; only a longer one has room to say what it is.
        if !self.told && most >= 60 && !cites {
            self.told = true;
            text = format!("Simulated answer, no model was called. {text}");
        }
        let mut more = number * 100;
        while text.chars().count() < least {
            more += 1;
            text = format!("{text} {}", self.phrases.sentence(more));
        }
        text.chars().take(most).collect()
    }
}

/// Returns whether a text is of the length and the pattern that its form asks for.
fn fits(fields: &Map<String, Value>, text: &Value) -> bool {
    let chars = text.as_str().map_or(0, |text| text.chars().count());
    count(fields, "minLength").unwrap_or(0) <= chars
        && chars <= count(fields, "maxLength").unwrap_or(CHARS_MAX)
        && !fields.contains_key("pattern")
        && !fields.contains_key("format")
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// Joins a schema, without `keyword`, with one of the parts that stood under it.
fn merge(fields: &Map<String, Value>, part: &Value, keyword: &str) -> Value {
    let mut merged: Map<String, Value> = fields.iter().filter(|(name, _)| *name != keyword).map(own).collect();
    for (name, value) in part.as_object().into_iter().flatten() {
        match (merged.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(new)) if name == "properties" => there.extend(new.iter().map(own)),
            (Some(Value::Array(there)), Value::Array(new)) if name == "required" => there.extend(new.iter().cloned()),
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    Value::Object(merged)
}

fn kind(fields: &Map<String, Value>) -> &str {
    let named = match fields.get("type") {
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").or(Some("null")),
        _ => None,
    };
    let has = |names: &[&str]| names.iter().any(|name| fields.contains_key(*name));
    named.unwrap_or_else(|| {
        if has(&["properties", "required", "additionalProperties", "minProperties"]) {
            "object"
        } else if has(&["items", "prefixItems", "minItems", "contains"]) {
            "array"
        } else if has(&["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"]) {
            "number"
        } else {
            "string"
        }
    })
}

fn count(fields: &Map<String, Value>, name: &str) -> Option<usize> {
    fields.get(name).and_then(Value::as_u64).map(|count| usize::try_from(count).unwrap_or(usize::MAX))
}

fn formatted(format: &str) -> Option<&'static str> {
    Some(match format {
        "date" => "2026-01-15",
        "date-time" => "2026-01-15T12:00:00Z",
        "time" => "12:00:00Z",
        "duration" => "PT15M",
        "email" | "idn-email" => "someone@example.com",
        "hostname" | "idn-hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "uri" | "iri" | "uri-reference" | "iri-reference" => "https://example.com/simulated",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        "regex" => "simulated",
        "json-pointer" => "/simulated",
        _ => return None,
    })
}
