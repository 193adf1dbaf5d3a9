//! The published schemas are those of the types. `MENO_BLESS=1` writes them anew.

use std::path::Path;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::event_line::EventLine;
use super::run_detail::RunDetail;
use super::run_list::RunList;

/// Compares the schema of `T` with the published one.
#[track_caller]
pub(crate) fn check<T: JsonSchema>(name: &str) {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    let generated = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/cli").join(name);
    if std::env::var_os("MENO_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == generated, "schemas/cli/{name} is not what the types say; MENO_BLESS=1 writes it anew");
}

#[test]
fn the_schema_of_a_run_is_that_of_its_type() {
    check::<RunDetail>("show-run.json");
}

#[test]
fn the_schema_of_the_list_of_runs_is_that_of_its_type() {
    check::<RunList>("list-runs.json");
}

#[test]
fn the_schema_of_an_event_is_that_of_its_type() {
    check::<EventLine>("events.json");
}
