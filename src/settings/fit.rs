//! Says quickly whether settings fit their schema. Nearly all do, and then nobody has to be told anything: the validator that finds all
//! faults and their places takes longer to be made than most commands take altogether.

use serde_json::{Map, Value};

/// Returns whether `value` surely fits `schema`, a part of `root`. What it cannot judge it does not call fitting.
pub(super) fn surely(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { return *schema == Value::Bool(true) };
    keywords.iter().all(|(keyword, says)| match keyword.as_str() {
        // A format is a remark here: the validator does not look at it either.
        "$schema" | "$defs" | "title" | "description" | "format" => true,
        "$ref" => {
            let definition =
                says.as_str().and_then(|name| name.strip_prefix("#/$defs/")).and_then(|name| root.get("$defs")?.get(name));
            definition.is_some_and(|definition| surely(root, definition, value))
        }
        "type" => match says {
            Value::String(name) => is_of(name, value),
            Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_of(name, value)),
            _ => false,
        },
        "enum" => says.as_array().is_some_and(|choices| choices.contains(value)),
        "minimum" => compares(value, says, |value, limit| value >= limit, |value, limit| value >= limit),
        "maximum" => compares(value, says, |value, limit| value <= limit, |value, limit| value <= limit),
        "minLength" => value.as_str().is_none_or(|text| says.as_u64().is_some_and(|least| text.chars().count() as u64 >= least)),
        "required" => value.as_object().is_none_or(|fields| {
            says.as_array()
                .is_some_and(|names| names.iter().all(|name| name.as_str().is_some_and(|name| fields.contains_key(name))))
        }),
        "properties" => {
            value.as_object().is_none_or(|fields| has_fields(root, says, keywords.get("additionalProperties"), fields))
        }
        "additionalProperties" => {
            keywords.contains_key("properties")
                || value.as_object().is_none_or(|fields| has_fields(root, &Value::Null, Some(says), fields))
        }
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| surely(root, says, item))),
        _ => false,
    })
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

fn compares(value: &Value, limit: &Value, whole: fn(i64, i64) -> bool, broken: fn(f64, f64) -> bool) -> bool {
    match (value.as_i64(), limit.as_i64()) {
        (Some(value), Some(limit)) => whole(value, limit),
        _ if value.is_f64() && (limit.is_f64() || limit.as_i64().is_some_and(|limit| limit.unsigned_abs() < 1 << 53)) => {
            value.as_f64().zip(limit.as_f64()).is_some_and(|(value, limit)| broken(value, limit))
        }
        _ => !value.is_number(),
    }
}

fn has_fields(root: &Value, known: &Value, others: Option<&Value>, fields: &Map<String, Value>) -> bool {
    fields.iter().all(|(name, value)| match (known.get(name), others) {
        (Some(schema), _) | (None, Some(schema)) => surely(root, schema, value),
        (None, None) => true,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{file, keys};
    use super::*;

    const SOUND: &str = r#"
preset = "mixed"
[memory]
embed_ms = 0
min_sample = 5
[simulated]
delay_ms = 3
[tools]
commands = ["cargo", "git"]
sandbox = "require"
[providers.mine]
kind = "openai-chat"
base_url = "http://localhost:1234/v1"
[tiers.cheap]
provider = "mine"
model = "small"
"#;

    fn json_of(text: &str) -> Value {
        let table: toml::Table = toml::from_str(text).unwrap();
        serde_json::to_value(table).unwrap()
    }

    /// Puts each of `others` in the place of each value in turn, and adds a key beside it.
    fn each_change(value: &Value, others: &[Value], each: &mut dyn FnMut(Value)) {
        let mut replaced = |pointer: &str| {
            for other in others {
                let mut changed = value.clone();
                if let Some(place) = changed.pointer_mut(pointer) {
                    *place = other.clone();
                    each(changed);
                }
                let mut changed = value.clone();
                if let Some(Value::Object(fields)) = changed.pointer_mut(pointer) {
                    fields.insert("unheard_of".to_owned(), other.clone());
                    each(changed);
                }
            }
        };
        fn walk(value: &Value, pointer: &str, replaced: &mut dyn FnMut(&str)) {
            replaced(pointer);
            match value {
                Value::Object(fields) => {
                    fields.iter().for_each(|(name, value)| walk(value, &format!("{pointer}/{name}"), replaced))
                }
                Value::Array(items) => {
                    items.iter().enumerate().for_each(|(at, value)| walk(value, &format!("{pointer}/{at}"), replaced));
                }
                _ => {}
            }
        }
        walk(value, "", &mut replaced);
    }

    #[test]
    fn settings_that_fit_are_taken_at_once_and_no_others() {
        let (schema, sound) = (keys::schema(), json_of(SOUND));
        let validator = jsonschema::validator_for(schema).unwrap();
        assert!(surely(schema, schema, &sound), "{:?}", validator.validate(&sound).err().map(|error| error.to_string()));
        assert!(file::parse(SOUND).is_ok());
        let others = [
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(7),
            json!(1e9),
            json!(0.5),
            json!(3.0),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(""),
            json!("mixed"),
            json!("é"),
            json!([]),
            json!(["a", 1]),
            json!({}),
            json!({"a": 1}),
        ];
        let (mut taken, mut refused) = (0, 0);
        each_change(&sound, &others, &mut |changed| {
            let quickly = surely(schema, schema, &changed);
            assert!(!quickly || validator.is_valid(&changed), "{changed}");
            *(if quickly { &mut taken } else { &mut refused }) += 1;
        });
        assert!(taken > 20 && refused > 100, "{taken} {refused}");
    }
}
