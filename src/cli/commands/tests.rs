//! The commands about the past, on a store with runs.

use std::path::Path;

use clap::Parser;
use serde_json::{Value, json};

use super::{dispatch, doctor, export_run, note, rebuild, serve};
use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit};
use crate::cli::open::{self, Opening};
use crate::cli::output::capture::Captured;
use crate::cli::output::{OutputOptions, Printer};
use crate::settings::{Preset, Variables};
use crate::views::schema_test::check;
use crate::workspace::{Access, RunRequest, Workspace};

/// Types a command for the store in `dir`; returns how it ended and what stood on stdout and stderr.
fn typed(dir: &Path, words: &[&str]) -> (Result<Exit, CliError>, String, String) {
    let store = dir.join("store");
    let all = ["meno", "--no-input", "--store", store.to_str().unwrap()].into_iter().chain(words.iter().copied());
    let cli = Cli::try_parse_from(all).unwrap();
    let (data, said) = (Captured::default(), Captured::default());
    let look = OutputOptions { json: cli.global.json, ..OutputOptions::default() };
    let mut context = Context {
        out: Printer::to(look, data.clone(), said.clone(), None),
        global: cli.global,
        variables: Variables::through(|_| None),
    };
    let ended = dispatch(&mut context, cli.command);
    (ended, data.text(), said.text())
}

fn json(dir: &Path, words: &[&str]) -> Value {
    let (ended, data, _) = typed(dir, &[words, &["--json"]].concat());
    assert!(ended.is_ok(), "{ended:?}");
    serde_json::from_str(&data).unwrap()
}

/// Opens the store in `dir` for writing.
fn opened(dir: &Path) -> Workspace {
    let (out, store) = (Printer::to(OutputOptions::default(), Vec::new(), Vec::new(), None), dir.join("store"));
    let cli = Cli::try_parse_from(["meno", "--store", store.to_str().unwrap(), "rebuild"]).unwrap();
    let mut context = Context { out, global: cli.global, variables: Variables::through(|_| None) };
    let opening = Opening { fallback: Some(Preset::Simulated), ..Opening::default() };
    open::store_with(&mut context, Access::Write, opening).unwrap()
}

/// Brings the words' side of the search index up to the log.
fn index(dir: &Path) {
    assert!(opened(dir).memory().catch_up(&|_, _| true).unwrap().is_some());
}

/// Starts `count` simulated runs in the store in `dir`; nobody executes them.
fn begin(dir: &Path, count: usize) {
    let workspace = opened(dir);
    let entry = workspace.library.find("release_prep").unwrap().unwrap();
    for _ in 0..count {
        let request = RunRequest::new().answer("project_name", "demo").leave_open();
        workspace.runs().start(&entry, request).unwrap();
    }
}

#[test]
fn a_list_is_filtered_before_it_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 3);
    let list = json(dir.path(), &["list-runs", "--limit", "2", "--status", "interrupted"]);
    assert_eq!((list["total"].as_u64(), list["runs"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(json(dir.path(), &["list-runs", "--status", "failed"])["total"], 0);
}

#[test]
fn a_store_that_is_not_there_is_empty_and_stays_away() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(json(dir.path(), &["list-runs"]), json!({"runs": [], "total": 0}));
    let (ended, ..) = typed(dir.path(), &["note", "last", "good"]);
    assert_eq!(ended.unwrap_err().kind, "run_not_found");
    let work: [&[&str]; 6] = [
        &["rebuild"],
        &["replay", "--verify", "--all"],
        &["reindex"],
        &["audit"],
        &["backup", "/dev/null/there.tar.zst"],
        &["export", "/dev/null/there"],
    ];
    for words in work {
        assert_eq!(typed(dir.path(), words).0.unwrap_err().kind, "store_not_found", "{words:?}");
    }
    assert!(!dir.path().join("store").exists());
}

#[test]
fn a_note_is_an_event_that_the_log_and_the_run_show() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    let noted = json(dir.path(), &["note", "last", "missed \u{1b}[2J a case", "--rating", "2"]);
    let (_, lines, _) = typed(dir.path(), &["events", "last", "--kind", "NoteAdded", "--json"]);
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!((&line["seq"], &line["hash"], &line["data"]["rating"]), (&noted["seq"], &noted["hash"], &json!(2)));
    assert!(!lines.contains('\u{1b}'));
    assert_eq!(json(dir.path(), &["show-run"])["notes"][0]["rating"], 2);
    assert_eq!(typed(dir.path(), &["note", "last", " "]).0.unwrap_err().kind, "invalid_input");
}

#[test]
fn indexes_made_anew_say_what_the_old_ones_said() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 3);
    let before = (json(dir.path(), &["list-runs"]), typed(dir.path(), &["events", "--json"]).1);
    let rebuilt = json(dir.path(), &["rebuild"]);
    assert_eq!((rebuilt["runs"].as_u64(), rebuilt["events"].as_u64()), (Some(3), Some(before.1.lines().count() as u64)));
    assert_eq!((json(dir.path(), &["list-runs"]), typed(dir.path(), &["events", "--json"]).1), before);
    assert!(!dir.path().join("store/log/events.before").exists());
}

#[test]
fn a_flipped_byte_of_the_journal_is_damage_that_repair_puts_back() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 2);
    assert_eq!(typed(dir.path(), &["doctor"]).0, Ok(Exit::Done));
    json(dir.path(), &["list-runs"]);
    let mut journal = std::fs::read_dir(dir.path().join("store/journal")).unwrap().map(|entry| entry.unwrap().path());
    let folder = journal.find(|path| path.is_dir()).unwrap();
    let segment = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[72 + 90] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let seen = json(dir.path(), &["doctor", "--repair"]);
    assert!(seen["checks"].to_string().contains("all is restored"), "{seen}");
    assert_eq!(typed(dir.path(), &["doctor"]).0, Ok(Exit::Done));
}

#[test]
fn an_export_has_all_files_and_no_half_ones() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    let to = dir.path().join("out");
    let written = json(dir.path(), &["export-run", "last", "--dir", to.to_str().unwrap()]);
    let mut there: Vec<String> =
        std::fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, ["agents.json", "config.json", "form_responses.json", "report.md", "result.json"]);
    assert_eq!(written["files"].as_array().unwrap().len(), 5);
}

#[test]
fn a_file_that_cannot_be_written_is_named_as_it_was_typed_and_with_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    let folder = dir.path().join("gone");
    let file = folder.join("out");
    let (folder, file) = (folder.to_str().unwrap(), file.to_str().unwrap());
    let writing: [&[&str]; 6] = [
        &["backup", file],
        &["seal", "-o", file],
        &["audit", "--report", file],
        &["export-template", "release_prep", "-o", file],
        &["telemetry", "export", "-o", file],
        &["analytics", "--html", file],
    ];
    for words in writing {
        let report = typed(dir.path(), words).0.unwrap_err();
        assert_eq!(report.message, format!("cannot write {file}: there is no folder {folder}"), "{words:?}");
        assert!(report.hint.unwrap().contains("mkdir -p"), "{words:?}");
        assert!(!Path::new(folder).exists(), "{words:?}");
    }
}

#[test]
fn nothing_that_is_given_is_passed_over_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    let said = |words: &[&str]| {
        let (ended, data, said) = typed(dir.path(), words);
        assert!(ended.is_ok(), "{words:?}: {ended:?}");
        (data, said)
    };
    let dry = ["run", "release_prep", "--dry-run", "--preset", "simulated", "--budget", "0", "--label", "a=1", "--label", "a=2"];
    let (_, notes) = said(&dry);
    assert!(notes.contains("`--label a` is given twice"), "{notes}");
    assert!(notes.contains("does not hold the least"), "{notes}");
    let (_, notes) = said(&["replay", "last", "--at", "99999"]);
    assert!(notes.contains("the log ends at position"), "{notes}");
    assert_eq!(json(dir.path(), &["costs", "--by", "model,day,model"])["by"], json!(["model", "day"]));
    let report = typed(dir.path(), &["config", "memory.model=Nope"]).0.unwrap_err();
    assert!(report.message.contains("no such embedding model") && report.hint.unwrap().contains("meno model list"));
    assert!(typed(dir.path(), &["config", "memory.model=all-MiniLM-L6-v2"]).0.is_ok());
}

#[test]
fn a_damaged_text_is_said_by_what_leaves_it_out() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    typed(dir.path(), &["note", "last", &"a long note ".repeat(2000)]).0.unwrap();
    let mut damaged = 0;
    for folder in std::fs::read_dir(dir.path().join("store/payloads")).unwrap().flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            std::fs::write(file.path(), "x").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "nothing lies beside the log");
    let out = dir.path().join("out");
    for words in [["backup", dir.path().join("file").to_str().unwrap()], ["export", out.to_str().unwrap()]] {
        let (ended, _, said) = typed(dir.path(), &words);
        assert_eq!(ended, Ok(Exit::Done), "{words:?}");
        assert!(said.contains("missing or damaged"), "{words:?}: {said}");
    }
    for words in [&["show-run", "last"] as &[&str], &["search", "--lexical", "release"], &["events", "last"]] {
        assert!(typed(dir.path(), words).0.is_ok(), "{words:?}");
    }
    assert_eq!(typed(dir.path(), &["doctor"]).0, Ok(Exit::Violation));
}

#[test]
fn a_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store"), "words").unwrap();
    for words in [&["list-runs"] as &[&str], &["config", "preset=simulated"], &["doctor"], &["run", "release_prep"]] {
        let report = typed(dir.path(), words).0.unwrap_err();
        assert!(report.message.ends_with("store: it is no store: a store is a folder"), "{words:?}: {}", report.message);
        assert_eq!(report.exit, Exit::Unreachable, "{words:?}");
    }
}

#[test]
fn the_schemas_of_documents_are_those_of_their_types() {
    check::<doctor::DoctorDocument>("doctor.json");
    check::<rebuild::RebuildDocument>("rebuild.json");
    check::<note::Noted>("note.json");
    check::<export_run::Exported>("export-run.json");
    check::<serve::ServeLine>("serve.json");
}

#[test]
fn a_position_that_a_run_does_not_have_is_refused_with_those_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 2);
    let seqs: Vec<u64> = typed(dir.path(), &["events", "last", "--json"])
        .1
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    let (first, last, count) = (seqs[0], seqs[seqs.len() - 1], seqs.len());
    assert!(first > count as u64 + 1, "{seqs:?}");
    let between = (first - 1).to_string();
    for command in ["fork", "replay"] {
        let refused = typed(dir.path(), &[command, "last", "--at", &between]).0.unwrap_err();
        let range = format!("numbered 1 to {count} and stand at positions {first} to {last} of the log");
        assert!(refused.message.contains(&range), "{command}: {}", refused.message);
        assert!(refused.hint.unwrap().contains("`--at N` takes the number of one of its events"), "{command}");
    }
}

#[test]
fn without_a_home_folder_it_is_said_that_transcripts_were_looked_for_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let refused = typed(dir.path(), &["import", "transcripts"]).0.unwrap_err();
    assert_eq!(refused.causes, ["HOME is not set, and agents keep their transcripts in the home folder"]);
    assert!(refused.hint.unwrap().contains("`meno import transcripts claude-code DIR`"));
    let named = typed(dir.path(), &["import", "transcripts", dir.path().to_str().unwrap()]).0.unwrap_err();
    assert_eq!(named.causes, [format!("looked in: {}", dir.path().display())]);
}

#[test]
fn an_age_that_no_run_has_says_how_many_there_are() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let refused = |dir: &Path, run: &str| {
        let refused = typed(dir, &["show-run", run]).0.unwrap_err();
        (refused.kind, refused.message, refused.hint.unwrap())
    };
    assert_eq!(refused(dir.path(), "last").1, "there is no run `last`: there is none yet");
    begin(dir.path(), 2);
    assert_eq!(refused(dir.path(), "last~2").1, "there is no run `last~2`: the store has 2 runs of its own");
    let log = dir.path().join("exported");
    let exported = json(dir.path(), &["export", log.to_str().unwrap()]);
    // An empty store would take the log as its own.
    drop(opened(elsewhere.path()));
    json(elsewhere.path(), &["seal"]);
    json(elsewhere.path(), &["import", "events", exported["file"].as_str().unwrap()]);
    let (kind, message, hint) = refused(elsewhere.path(), "last");
    assert_eq!(kind, "run_not_found");
    assert!(message.ends_with("all that there are (2) are of pulled or imported logs"), "{message}");
    assert!(hint.starts_with("name one by its id"), "{hint}");
}

#[test]
fn telemetry_in_a_file_is_told_as_json_too() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 1);
    let file = dir.path().join("calls.csv");
    let words = ["telemetry", "export", "--format", "csv", "-o", file.to_str().unwrap()];
    let told = json(dir.path(), &words);
    assert_eq!(told, json!({"file": file.to_str().unwrap(), "format": "csv", "calls": 0}));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1, "the names of the columns");
    assert!(typed(dir.path(), &words).1.is_empty());
}

#[test]
fn a_search_index_is_looked_at_beside_the_log_and_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    begin(dir.path(), 2);
    let search = |dir: &Path| {
        let seen = typed(dir, &["doctor", "--json"]).1;
        let seen: Value = serde_json::from_str(&seen).unwrap();
        let check = seen["checks"].as_array().unwrap().iter().find(|check| check["name"] == "search").unwrap().clone();
        (check["state"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned(), check["hint"].to_string())
    };
    assert_eq!(search(dir.path()).1, "there is no index yet");
    assert!(!dir.path().join("store/index").exists(), "looking makes none");
    index(dir.path());
    assert_eq!(search(dir.path()).1, "2 runs indexed, up to the log");
    begin(dir.path(), 1);
    let (state, found, hint) = search(dir.path());
    assert!(state == "ok" && found.starts_with("2 of 3 runs indexed, ") && hint.contains("`meno reindex`"), "{found} {hint}");
    let commit = dir.path().join("store/index/lexical/meta.json");
    std::fs::write(&commit, "{").unwrap();
    let (state, _, hint) = search(dir.path());
    assert!(state == "problem" && hint.contains("`meno reindex`"), "{hint}");
    std::fs::remove_file(&commit).unwrap();
    assert_eq!(search(dir.path()).1, "the index cannot be read: meta.json is missing");
    assert!(!commit.exists(), "looking mends nothing");
    index(dir.path());
    assert_eq!(search(dir.path()).1, "3 runs indexed, up to the log");
}
