//! What people see: the tables of all commands on terminals of several widths, over a store whose runs are always the same.

use std::fmt::Write as _;
use std::path::Path;

use anstream::adapter::strip_str;
use clap::Parser;
use jiff::tz::TimeZone;
use textwrap::core::display_width;

use super::dispatch;
use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::output::capture::Captured;
use crate::cli::output::{Look, Out};
use crate::settings::Variables;

const WIDTHS: [u16; 4] = [60, 80, 100, 160];

/// The commands that print tables and little else.
const TABLES: [&str; 10] = [
    "list-runs",
    "list-runs --sort cost --limit 3",
    "costs",
    "costs --by role",
    "costs --by month,model,tier",
    "costs --by template,role,model",
    "list-templates",
    "prices",
    "model list",
    "config",
];

/// Those that print sentences and tables.
const PAGES: [&str; 2] = ["telemetry show", "show-template release_prep"];

fn history(number: u32) -> String {
    let (day, hour) = (1 + number % 28, number % 24);
    let template =
        ["python_package_publish", "a_template_with_a_really_long_name_of_our_own", "release_prep"][number as usize % 3];
    let failed = number.is_multiple_of(5);
    let passed = if failed { "false" } else { "true" };
    let status = if failed { "failed" } else { "succeeded" };
    let second = format!(
        r#",{{"tier":"capable","provider":"anthropic","model":"claude-sonnet-5-5","passed":{passed},"cost_usd":0.{number:03},"input_tokens":9{number:03},"output_tokens":21{number:02},"duration_ms":6{number:03},"output":"All stubs are in place; mypy reports nothing."}}"#
    );
    format!(
        r#"{{"run_id":"h{number}","template_id":"{template}","started_at":"2026-10-{day:02}T{hour:02}:05:00Z","ended_at":"2026-10-{day:02}T{hour:02}:06:{:02}Z","status":"{status}","labels":{{"team":"core"}},"answers":{{"package_name":"demo-{number}"}},"agents":[{{"role":"type_checker","task":"Check the types of the package and explain each error in words that a newcomer understands","attempts":[{{"tier":"cheap","provider":"anthropic","model":"claude-haiku-5-5","passed":{},"cost_usd":0.00{number:02},"input_tokens":4{number:03},"output_tokens":8{number:02},"duration_ms":2{number:03},"output":"mypy found {number} type errors in demo/parse.py; the release should wait until they are fixed, since two of them are in public functions.","failed_criteria":{}}}{}]}},{{"role":"documentation_and_changelog_writer","task":"Write what changed","attempts":[{{"tier":"cheap","provider":"anthropic","model":"claude-haiku-5-5","passed":true,"cost_usd":0.0011,"input_tokens":1200,"output_tokens":340,"duration_ms":1800,"output":"Changelog written."}}]}}],"report":"The release of demo-{number} was held back by type errors, which were then fixed."}}"#,
        10 + number % 50,
        number.is_multiple_of(2),
        if number.is_multiple_of(2) { "[]" } else { r#"["every function that is public has annotations"]"# },
        if number.is_multiple_of(2) && !failed { "" } else { &second },
    )
}

/// Fills the store in `dir` with runs of October 2026.
fn fill(dir: &Path) {
    let file = dir.join("histories.jsonl");
    let lines: String = (1..=30).fold(String::new(), |mut lines, number| {
        let _ = writeln!(lines, "{}", history(number));
        lines
    });
    std::fs::write(&file, lines).unwrap();
    let (said, _) = screen(dir, 80, &format!("import runs {}", file.display()));
    assert!(said.contains("30"), "{said}");
}

/// Types a command on a terminal of `width` columns; returns what stands on stdout, and on stderr.
fn screen(dir: &Path, width: u16, command: &str) -> (String, String) {
    let store = dir.join("store");
    let words = ["meno", "--no-input", "--store", store.to_str().unwrap()];
    let cli = Cli::try_parse_from(words.into_iter().chain(quoted(command))).unwrap();
    let (data, said) = (Captured::default(), Captured::default());
    let look = Look { zone: Some(TimeZone::UTC), ..Look::default() };
    let out = Out::to(look, data.clone(), said.clone(), Some(width));
    let mut context = Context { out, global: cli.global, variables: Variables::through(|_| None) };
    if let Err(report) = dispatch(&mut context, cli.command) {
        panic!("{command}: {}", report.to_text());
    }
    (strip_str(&data.text()).to_string(), said.text())
}

/// A question is one word of the command line.
fn quoted(command: &str) -> Vec<&str> {
    let Some(start) = ["search ", "suggest "].into_iter().find(|start| command.starts_with(start)) else {
        return command.split_whitespace().collect();
    };
    let (question, options) =
        command[start.len()..].find(" --").map_or((&command[start.len()..], ""), |at| command[start.len()..].split_at(at));
    [start.trim(), question].into_iter().chain(options.split_whitespace()).collect()
}

#[test]
fn every_table_fits_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    for command in TABLES {
        for width in WIDTHS.into_iter().chain([20, 40]) {
            let (shown, _) = screen(dir.path(), width, command);
            for line in shown.lines() {
                assert!(display_width(line) <= usize::from(width), "{command} at {width}:\n{shown}");
            }
        }
    }
}

#[test]
fn every_table_is_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let place = dir.path().display().to_string();
    for command in TABLES.into_iter().chain(PAGES) {
        let mut page = String::new();
        for width in WIDTHS {
            let (shown, _) = screen(dir.path(), width, command);
            let _ = writeln!(page, "{}\n{shown}", "=".repeat(usize::from(width)));
        }
        let name: String = command.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        insta::assert_snapshot!(name, page.replace(&place, "DIR"));
    }
}
