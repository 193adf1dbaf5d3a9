//! What ships is read whole: no key of a template or base agent is unknown to the types, none is lost when it is written.

use std::fs;
use std::path::{Path, PathBuf};

use meno::internals::domain::{BaseAgent, Template};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn shipped(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).expect("the folder ships with the sources");
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("a readable entry").path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Reads a file, and says which key the types lost or changed when it is written again.
#[track_caller]
fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(path: &Path) -> T {
    let text = fs::read_to_string(path).expect("a readable file");
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let written = serde_json::to_value(&read).expect("templates are plain JSON");
    let again: T = serde_json::from_value(written.clone()).expect("what was written can be read");
    assert_eq!(again, read, "{}", path.display());
    let original: Value = serde_json::from_str(&text).expect("it was read above");
    assert_eq!(first_lost(&original, &written, String::new()), None, "{}", path.display());
    read
}

/// Returns the place of the first value of `original` that `written` lacks or changed; `written` may have defaults on top.
fn first_lost(original: &Value, written: &Value, place: String) -> Option<String> {
    match (original, written) {
        (Value::Object(original), Value::Object(written)) => original.iter().find_map(|(key, value)| {
            let place = format!("{place}/{key}");
            match written.get(key) {
                Some(found) => first_lost(value, found, place),
                None if matches!(value, Value::Bool(false)) => None,
                None => Some(place),
            }
        }),
        (Value::Array(original), Value::Array(written)) if original.len() == written.len() => (original.iter().zip(written))
            .enumerate()
            .find_map(|(position, (value, found))| first_lost(value, found, format!("{place}/{position}"))),
        (Value::Number(original), Value::Number(written)) if original.as_f64() == written.as_f64() => None,
        _ if original == written => None,
        _ => Some(place),
    }
}

#[test]
fn every_shipped_template_is_read_whole() {
    let files = shipped("templates");
    assert_eq!(files.len(), 12);
    for path in files {
        let template: Template = round_trip(&path);
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(template.template_id.as_str()));
        assert!(template.tests.len() >= 3, "{} has too few tests", template.template_id);
    }
}

#[test]
fn every_shipped_base_agent_is_read_whole() {
    let files = shipped("templates/agents");
    assert!(files.len() >= 23);
    for path in files {
        let agent: BaseAgent = round_trip(&path);
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(agent.id.as_str()));
    }
}

#[test]
fn a_key_that_the_types_do_not_know_is_noticed_as_lost() {
    let original = serde_json::json!({"rules": [{"role": "a", "tols": ["x"]}]});
    let written = serde_json::json!({"rules": [{"role": "a", "tools": []}]});
    assert_eq!(first_lost(&original, &written, String::new()), Some("/rules/0/tols".to_owned()));
}

#[test]
fn the_generic_agent_adds_nothing_but_instructions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/agents/generic.json");
    let generic: BaseAgent = round_trip(&path);
    assert_eq!(generic.aliases, ["generic_agent"]);
    assert!(generic.tools.is_empty() && generic.criteria.is_empty() && generic.output_contract.is_none());
}
