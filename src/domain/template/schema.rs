//! The JSON schemas of template and base-agent files, made from the types.
//!
//! `shape` walks files along them, and the same text lies in `schemas/` for editors.

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::types::{BaseAgent, Template};

/// Returns the schema of template files: draft 2020-12.
pub fn template_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| schema_of::<Template>("Meno template"));
    &SCHEMA
}

/// Returns the schema of base-agent files: draft 2020-12.
pub fn agent_schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| schema_of::<BaseAgent>("Meno base agent"));
    &SCHEMA
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    seal(&mut schema, true);
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.values_mut().for_each(|definition| seal(definition, true));
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), Value::from(title));
        if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
            properties
                .insert("$schema".to_owned(), json!({"type": "string", "description": "Where this schema is, for editors."}));
        }
    }
    schema
}

/// Makes unknown keys an error, `$comment` a known one. The types themselves read leniently.
///
/// `alone`: the schema describes a whole object, not one alternative of the fields of another.
fn seal(schema: &mut Value, alone: bool) {
    let Some(fields) = schema.as_object_mut() else { return };
    let alternatives = ["oneOf", "anyOf"].iter().any(|word| fields.contains_key(*word));
    if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(|property| seal(property, true));
        if alone {
            properties.insert("$comment".to_owned(), json!({"description": "Anything; never read."}));
            let word = if alternatives { "unevaluatedProperties" } else { "additionalProperties" };
            fields.insert(word.to_owned(), Value::Bool(false));
        }
    }
    let whole = !fields.contains_key("properties");
    for word in ["oneOf", "anyOf"] {
        if let Some(Value::Array(parts)) = fields.get_mut(word) {
            parts.iter_mut().for_each(|part| seal(part, whole));
        }
    }
    if let Some(items) = fields.get_mut("items") {
        seal(items, true);
    }
}

/// Follows `$ref`s into the schema's definitions.
pub(super) fn resolve<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // Definitions made from types never refer to themselves without an object between; the bound is for foreign ones.
    for _ in 0..16 {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
        match name.and_then(|name| root.get("$defs")?.get(name)) {
            Some(definition) => schema = definition,
            None => break,
        }
    }
    schema
}

/// Returns the properties of an object schema.
pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(file: &str, schema: &Value) {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(file);
        let text = format!("{}\n", serde_json::to_string_pretty(schema).expect("a schema is JSON"));
        if std::env::var_os("MENO_BLESS").is_some() {
            std::fs::write(&path, &text).expect("the schema can be written");
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == text, "{} differs from the types; `MENO_BLESS=1 cargo test --lib schema` rewrites it", path.display());
    }

    #[test]
    fn the_schemas_in_the_repository_are_those_of_the_types() {
        compare("template.schema.json", template_schema());
        compare("agent.schema.json", agent_schema());
    }

    #[test]
    fn the_schema_takes_the_peers_template_and_refuses_unknown_keys() {
        let validator = jsonschema::validator_for(template_schema()).expect("a schema");
        let mut template: Value =
            serde_json::from_str(include_str!("../../../tests/data/peer/template_exported_by_4.2.0.json")).expect("json");
        assert!(validator.is_valid(&template));
        template["agent_composition_rules"][0]["when"] = json!({"all": [{"question": "has_tests", "is": true, "$comment": "x"}]});
        template["agent_composition_rules"][0]["success_criteria"] =
            json!(["text", {"type": "min_words", "value": 5, "weight": 2}]);
        assert!(validator.is_valid(&template));
        for (pointer, key) in [
            ("", "x"),
            ("/form_schema", "x"),
            ("/form_schema/questions/0", "x"),
            ("/agent_composition_rules/0", "x"),
            ("/agent_composition_rules/0/when", "x"),
            ("/agent_composition_rules/0/when/all/0", "x"),
            ("/agent_composition_rules/0/success_criteria/1", "x"),
        ] {
            let mut broken = template.clone();
            broken.pointer_mut(pointer).expect("there")[key] = json!(1);
            assert!(!validator.is_valid(&broken), "{pointer}");
        }
    }
}
