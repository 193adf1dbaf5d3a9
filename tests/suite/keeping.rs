//! What a store keeps and what it forgets: backups made beside writers, logs handed over, and texts that are gone from every file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use meno::internals::store::journal::{self, Item};
use meno::internals::store::{NodeFile, OsFiles};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Done, House, Running, files, files_with};

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("one document")
}

/// An event's head and private part.
type Bytes = (Vec<u8>, Option<Vec<u8>>);

/// Every batch of the store's own log as its files have it: the batch's id, then head and private part of each event.
fn batches(store: &Path) -> Vec<(String, Vec<Bytes>)> {
    let node = NodeFile::read(&fs::read(store.join("journal/node")).expect("a node")).node().expect("an id");
    let dir = journal::folder(store, node);
    let mut batches = Vec::new();
    for segment in journal::segments(&OsFiles, &dir, node, 1).expect("a folder") {
        for item in segment.expect("a segment").items() {
            if let Item::Frame(_, frame) = item {
                let records = frame.records().map(|record| record.expect("an event"));
                let records = records.map(|record| (record.head.to_vec(), record.private.map(<[u8]>::to_vec)));
                batches.push((frame.batch.to_string(), records.collect()));
            }
        }
    }
    batches
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

fn run(house: &House, seed: u64) -> Running {
    house.start(["run", "python_package_publish", "--no-input", "--seed", &seed.to_string(), "--json"])
}

#[test]
fn a_backup_beside_three_writers_comes_back_byte_for_byte_and_a_killed_one_is_never_taken_for_one() {
    let house = House::with_delay(25);
    let mut writers: Vec<Running> = (0..3).map(|seed| run(&house, seed)).collect();
    for writer in &mut writers {
        writer.until("RunStarted");
    }
    let mut killed = 0;
    for round in 0..8u64 {
        let file = house.path(&format!("killed-{round}.tar.zst"));
        let backup = house.start(["backup", text(&file)]);
        std::thread::sleep(Duration::from_millis(round * 6));
        backup.kill();
        if file.exists() {
            house.meno(["restore", "--check", text(&file)]).exits(0);
        } else {
            killed += 1;
        }
    }
    assert!(killed > 0, "no kill came early enough");
    let file = house.path("live.tar.zst");
    let made = document(house.meno(["backup", text(&file), "--json"]));
    for writer in writers {
        writer.end().ends();
    }
    // Nothing is written over what is there.
    house.meno(["backup", text(&file)]).exits(1);
    let restored = house.path("restored");
    let back = document(house.meno(["restore", text(&file), "--store", text(&restored), "--json"]));
    assert_eq!((&back["head"], &back["events"], &back["bytes"]), (&made["head"], &made["events"], &made["bytes"]));
    let (all, some) = (batches(&house.store()), batches(&restored));
    assert!(some.len() < all.len(), "the writers went on");
    assert_eq!(some, all[..some.len()]);
    let events = |store: &Path| house.meno(["events", "--json", "--store", text(store)]).exits(0).stdout;
    let before = events(&house.store());
    assert!(before.starts_with(&events(&restored)));
    house.meno(["doctor", "--store", text(&restored)]).exits(0);

    let whole = house.path("whole.tar.zst");
    document(house.meno(["backup", text(&whole), "--json"]));
    let again = house.path("again");
    house.meno(["restore", text(&whole), "--store", text(&again)]).exits(0);
    assert_eq!(batches(&again), all);
    let runs = |store: &Path| document(house.meno(["list-runs", "--json", "--store", text(store)]));
    assert_eq!(runs(&again), runs(&house.store()));
    for round in 0..6u64 {
        let to = house.path(&format!("killed-{round}"));
        let restore = house.start(["restore", text(&whole), "--store", text(&to)]);
        std::thread::sleep(Duration::from_millis(5 + round * 5));
        restore.kill();
        // All of it or nothing.
        if !to.exists() {
            house.meno(["restore", text(&whole), "--store", text(&to)]).exits(0);
        }
        assert_eq!(batches(&to), all, "round {round}");
        assert!(!house.path(&format!("killed-{round}.restoring")).exists());
    }
    // A store in which something happened is left alone.
    house.meno(["restore", text(&file), "--store", text(&again)]).exits(1);
    assert_eq!(batches(&again), all);
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_no_store() {
    let house = House::with_delay(0);
    run(&house, 1).end().ends();
    let file = house.path("backup.tar.zst");
    house.meno(["backup", text(&file)]).exits(0);
    let sound = fs::read(&file).expect("the backup");
    let to = house.path("to");
    for at in (0..sound.len()).step_by(sound.len() / 20 + 1) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).expect("it is damaged");
        let done = house.meno(["restore", text(&file), "--store", text(&to), "--json"]).exits(4);
        let error: Value = serde_json::from_str(&done.stderr).expect("an error");
        assert_eq!(error["error"]["kind"], "backup_unsound", "byte {at}");
        assert!(!to.exists(), "byte {at}");
    }
    fs::write(&file, &sound[..sound.len() - 1]).expect("it is cut");
    house.meno(["restore", text(&file), "--store", text(&to)]).exits(4);
    assert!(!to.exists());
}

#[test]
fn a_log_that_is_handed_over_is_the_same_chain_with_and_without_its_texts() {
    let house = House::with_delay(0);
    run(&house, 1).end().ends();
    let (whole, public) = (house.path("whole"), house.path("public"));
    let first = document(house.meno(["export", text(&whole), "--json"]));
    run(&house, 2).end().ends();
    let second = document(house.meno(["export", text(&whole), "--json"]));
    assert_eq!(second["from"], first["head"]["seq"].as_u64().expect("a position") + 1);
    assert_eq!(document(house.meno(["export", text(&whole), "--json"]))["file"], Value::Null);
    let bare = document(house.meno(["export", text(&public), "--without-private", "--json"]));
    assert_eq!(bare["head"], second["head"]);

    let theirs = house.path("theirs");
    let taken = document(house.meno(["import", "events", text(&whole), "--store", text(&theirs), "--json"]));
    assert_eq!((&taken["taken_as"], &taken["head"]), (&json!("own"), &second["head"]));
    assert_eq!(batches(&theirs), batches(&house.store()));
    let runs = |store: &Path| document(house.meno(["list-runs", "--json", "--store", text(store)]));
    assert_eq!(runs(&theirs), runs(&house.store()));
    let again = document(house.meno(["import", "events", text(&whole), "--store", text(&theirs), "--json"]));
    assert_eq!((&again["taken_as"], &again["imported"]), (&json!("nothing"), &json!(0)));

    let auditors = house.path("auditors");
    let taken = document(house.meno(["import", "events", text(&public), "--store", text(&auditors), "--json"]));
    assert_eq!((&taken["head"], &taken["without_private"]), (&second["head"], &second["head"]["seq"]));
    house.meno(["doctor", "--store", text(&auditors)]).exits(0);
    assert!(runs(&auditors)["runs"].as_array().is_some_and(|runs| runs.len() == 2));
    // Texts do not come in later by another door.
    house.meno(["import", "events", text(&whole), "--store", text(&auditors)]).exits(0);
    assert!(batches(&auditors).iter().flat_map(|(_, events)| events).all(|(_, private)| private.is_none()));

    // Beside a log of its own, another one is kept apart.
    let other = House::with_delay(0);
    run(&other, 3).end().ends();
    let own = batches(&other.store()).len();
    let beside = document(other.meno(["import", "events", text(&whole), "--json"]));
    assert_eq!((&beside["taken_as"], &beside["head"]), (&json!("beside"), &second["head"]));
    assert_eq!(document(other.meno(["import", "events", text(&whole), "--json"]))["imported"], 0);
    assert_eq!(batches(&other.store()).len(), own + 1, "that it came is the only new event");
    other.meno(["doctor"]).exits(0);
    let (file, again) = (other.path("both.tar.zst"), other.path("again"));
    other.meno(["backup", text(&file)]).exits(0);
    let both = document(other.meno(["restore", text(&file), "--store", text(&again), "--json"]));
    assert_eq!(both["others"], json!([second["head"]]));
    assert_eq!(document(other.meno(["import", "events", text(&whole), "--store", text(&again), "--json"]))["imported"], 0);

    let file = second["file"].as_str().expect("a file");
    let mut bytes = fs::read(file).expect("the export");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("it is damaged");
    let third = house.path("third");
    let done = house.meno(["import", "events", text(&whole), "--store", text(&third), "--json"]).exits(4);
    let error: Value = serde_json::from_str(&done.stderr).expect("an error");
    assert_eq!(error["error"]["kind"], "events_unsound");
    assert!(!third.exists());
}

/// The words that must be gone: an answer, a short output, one that is kept beside the log, and a note.
const CANARIES: [&str; 4] = ["quokkanswer", "quokkoutput", "quokkpayload", "quokknote"];

/// Imports two runs that say the canaries, of which they share one text; returns the ids of a run to forget and of the other.
fn told(house: &House, forget: &str) -> (String, String) {
    let line = |id: &str, secret: bool| {
        let [answer, output, payload, _] = CANARIES.map(|word| if secret { word } else { "harmless" });
        let shared = "both of them say this ".repeat(600);
        let long = format!("{payload} and more ").repeat(900);
        json!({"run_id": id, "template_id": "code_review", "started_at": "2026-03-01T09:00:00Z", "ended_at": "2026-03-01T09:10:00Z",
            "answers": {"focus": format!("{answer} {id}")},
            "agents": [
                {"role": "reviewer", "task": "look at it", "attempts": [{"tier": "cheap", "passed": true, "output": format!("{output} {id}")}]},
                {"role": "writer", "attempts": [{"tier": "cheap", "passed": true, "output": long}]},
                {"role": "reader", "attempts": [{"tier": "cheap", "passed": true, "output": shared}]}]})
        .to_string()
    };
    let file = house.path(&format!("{forget}.jsonl"));
    let other = format!("{forget}-other");
    fs::write(&file, [line(forget, true), line(&other, false)].join("\n")).expect("the histories");
    house.meno(["import", "runs", text(&file)]).exits(0);
    let detail = |id: &str| {
        let runs = document(house.meno(["list-runs", "--json"]));
        let ids: Vec<String> =
            runs["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].as_str().expect("an id").to_owned()).collect();
        let is_it = |run: &String| document(house.meno(["show-run", run, "--json"]))["foreign_run_id"] == id;
        ids.into_iter().find(is_it).expect("the run")
    };
    let (run, other) = (detail(forget), detail(&other));
    house.meno(["note", &run, CANARIES[3]]).exits(0);
    (run, other)
}

fn is_payload(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "payloads")
}

fn hashes(house: &House) -> Vec<Value> {
    house.meno(["events", "--json"]).exits(0).lines().into_iter().map(|line| line["hash"].clone()).collect()
}

fn found(house: &House, word: &str) -> u64 {
    document(house.meno(["search", word, "--lexical", "--json"]))["total"].as_u64().expect("a number")
}

#[track_caller]
fn assert_gone(house: &House, words: &[&str]) {
    for word in words {
        assert_eq!(files_with(&house.store(), word), Vec::<std::path::PathBuf>::new(), "{word}");
        assert_eq!(found(house, word), 0, "{word}");
    }
}

#[test]
fn what_is_forgotten_is_in_no_file_and_found_by_no_search_and_the_chain_verifies() {
    let house = House::new();
    let (run, other) = told(&house, "one");
    house.meno(["reindex"]).exits(0);
    for word in CANARIES {
        assert!(!files_with(&house.store(), word).is_empty() && found(&house, word) > 0, "{word}");
    }
    let backup = house.path("before.tar.zst");
    house.meno(["backup", text(&backup)]).exits(0);
    // A copy of a damaged file, and an index that was set aside.
    let journal = batches(&house.store());
    let segments = house.store().join("journal");
    let node = NodeFile::read(&fs::read(segments.join("node")).expect("a node")).node().expect("an id");
    let segment =
        fs::read_dir(segments.join(node.to_string())).expect("a folder").next().expect("a segment").expect("an entry").path();
    fs::copy(&segment, segment.with_extension("seg.damaged-1")).expect("a copy");
    fs::create_dir(house.store().join("log/events.broken-1")).expect("a folder");
    fs::copy(house.store().join("log/events/db"), house.store().join("log/events.broken-1/db")).expect("a copy");
    let before = hashes(&house);
    let indexed = || -> Vec<std::path::PathBuf> {
        let own = ["meta.json", ".managed.json", ".tantivy-meta.lock", ".tantivy-writer.lock"];
        let all = files(&house.store().join("index/lexical")).into_iter();
        all.filter(|path| own.iter().all(|own| !path.ends_with(own))).collect()
    };
    let indexed_before = indexed();
    assert!(!indexed_before.is_empty());

    // Another process holds the store, with the index open and answers at hand.
    let mut serve = house.start(["serve", "--json"]);
    assert!(serve.line().is_some_and(|line| line.contains("serving")));
    assert!(found(&house, CANARIES[1]) > 0);
    let forgotten = document(house.meno(["forget", &run, "--outputs", "--why", "asked for", "--yes", "--json"]));
    assert!(forgotten["events"].as_u64() > Some(0), "{forgotten}");
    assert_gone(&house, &CANARIES[1..3]);
    assert!(!files_with(&house.store(), CANARIES[0]).is_empty(), "answers are kept");
    assert_eq!(
        files_with(&house.store(), "both of them say this").iter().filter(|path| is_payload(path)).count(),
        1,
        "the other run needs it"
    );
    let all = document(house.meno(["forget", &run, "--yes", "--json"]));
    assert!(all["events"].as_u64() > Some(0), "{all}");
    assert_gone(&house, &CANARIES);
    // Deleted words stay in the files of an index: all of it is new.
    assert!(indexed().iter().all(|path| !indexed_before.contains(path)), "{indexed_before:?}");
    assert!(["stale", "unpruned"].iter().all(|flag| !house.store().join("index").join(flag).exists()));
    serve.signal(Signal::TERM);
    serve.end().exits(0);
    assert_gone(&house, &CANARIES);

    let after = hashes(&house);
    assert_eq!(after[..before.len()], before);
    let told = house.meno(["doctor"]).exits(0);
    assert!(told.stdout.contains("the chain is whole") && told.stdout.contains("forgotten texts"), "{}", told.stdout);
    let heads = |batches: &[(String, Vec<Bytes>)]| {
        batches.iter().flat_map(|(_, events)| events.iter().map(|(head, _)| head.clone())).collect::<Vec<_>>()
    };
    assert_eq!(heads(&batches(&house.store()))[..before.len()], heads(&journal));
    assert_eq!(document(house.meno(["show-run", &run, "--json"]))["status"], "succeeded");
    assert_eq!(found(&house, "harmless"), 1);
    assert_eq!(document(house.meno(["show-run", &other, "--json"]))["forgotten_events"], 0);
    assert_eq!(document(house.meno(["forget", &run, "--yes", "--json"]))["events"], 0, "once is enough");
    // It does not come back by the doors that it came in by.
    let again = document(house.meno(["import", "runs", text(&house.path("one.jsonl")), "--json"]));
    assert_eq!((&again["imported"], &again["already_there"]), (&json!(0), &json!(2)));
    assert_gone(&house, &CANARIES);
    // A backup from before keeps its own, as was said; what the log forgets later is never in an export.
    let restored = house.path("restored");
    house.meno(["restore", text(&backup), "--store", text(&restored)]).exits(0);
    assert!(!files_with(&restored, CANARIES[0]).is_empty());
    house.meno(["export", text(&house.path("out"))]).exits(0);
    let theirs = House::new();
    theirs.meno(["import", "events", text(&house.path("out"))]).exits(0);
    assert_gone(&theirs, &CANARIES);
}

#[test]
fn a_kill_while_something_is_forgotten_only_means_that_the_next_opening_does_it() {
    let house = House::new();
    let mut caught = 0;
    for round in 0..6u64 {
        let (run, _) = told(&house, &format!("round-{round}"));
        let mut forget = house.start(["forget", &run, "--yes", "--json"]);
        // From the moment on at which something is about to be recorded.
        let mark = house.store().join("journal/forgetting");
        let until = Instant::now() + DEADLINE;
        while !mark.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(round * 300));
        forget.signal(Signal::KILL);
        let done = loop {
            if forget.line().is_none() {
                break forget.end();
            }
        };
        // The next opening: any command.
        let events = house.meno(["events", &run, "--kind", "PrivatePartsForgotten", "--json"]).exits(0).lines();
        if events.is_empty() {
            house.meno(["forget", &run, "--yes"]).exits(0);
        } else if done.code.is_none() {
            caught += 1;
        }
        for word in CANARIES {
            assert_eq!(files_with(&house.store(), word), Vec::<std::path::PathBuf>::new(), "{word} in round {round}");
        }
        house.meno(["doctor"]).exits(0);
    }
    assert!(caught > 0, "no kill came between the record and the end");
}

#[test]
fn a_run_that_came_in_without_its_end_is_purged_by_its_start() {
    let house = House::new();
    let line = json!({"run_id": "a", "template_id": "code_review", "started_at": "2024-01-01T09:30:00Z", "agents": [
        {"role": "reviewer", "task": "Look for CANARY", "attempts": [{"tier": "cheap", "passed": true, "output": "Found."}]}]});
    fs::write(house.path("history.jsonl"), line.to_string()).expect("written");
    house.meno(["import", "runs", text(&house.path("history.jsonl"))]).exits(0);
    let purged = document(house.meno(["purge", "--older-than", "2025-01-01", "--yes", "--json"]));
    assert_eq!(purged["runs"].as_array().map(Vec::len), Some(1), "{purged}");
    assert_eq!(document(house.meno(["purge", "--older-than", "2025-01-01", "--dry-run", "--json"]))["runs"], json!([]));
}

#[test]
fn a_purge_shows_what_it_would_forget_and_then_forgets_that() {
    let house = House::with_delay(0);
    let (old, _) = told(&house, "old");
    run(&house, 1).end().ends();
    let recent = document(house.meno(["show-run", "--json"]))["run_id"].clone();
    house.meno(["run", "python_package_publish", "--no-input", "--json"]).ends();
    let hashes_before = hashes(&house);
    let shown = document(house.meno(["purge", "--older-than", "2026-06-01", "--dry-run", "--json"]));
    // Where nobody can be asked, nothing is forgotten without a word.
    for command in [&["purge", "--older-than", "2026-06-01"][..], &["forget", "last"]] {
        let refused = house.meno(command).exits(1);
        assert!(refused.stderr.contains("nothing was forgotten") && refused.stderr.contains("--yes"), "{}", refused.stderr);
    }
    let runs = |shown: &Value| -> Vec<Value> {
        shown["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].clone()).collect()
    };
    assert!(runs(&shown).len() == 2 && runs(&shown).contains(&json!(old)), "{shown}");
    assert_eq!(hashes(&house), hashes_before);
    let purged = document(house.meno(["purge", "--older-than", "2026-06-01", "--yes", "--json"]));
    assert_eq!(runs(&purged), runs(&shown));
    assert_gone(&house, &CANARIES);
    assert_eq!(runs(&document(house.meno(["purge", "--older-than", "2026-06-01", "--json"]))), Vec::<Value>::new());
    let kept = document(house.meno(["show-run", recent.as_str().expect("an id"), "--json"]));
    assert_eq!(kept["forgotten_events"], 0);
    // A run that can still go on is not forgotten.
    let mut live = house.start(["run", "python_package_publish", "--no-input", "--json"]);
    let id = live.until("RunStarted")["run_id"].as_str().expect("an id").to_owned();
    live.kill();
    let refused = house.meno(["forget", &id, "--yes", "--json"]);
    if refused.code != Some(0) {
        let error: Value = serde_json::from_str(&refused.exits(1).stderr).expect("an error");
        assert_eq!(error["error"]["kind"], "run_open");
    }
}

#[test]
fn runs_older_than_the_settings_allow_are_forgotten_once_a_day_and_it_is_said() {
    let house = House::new();
    let (_, other) = told(&house, "old");
    house.configure("preset = \"simulated\"\n[retention]\ndays = 30\n");
    let done = house.meno(["list-runs"]).exits(0);
    assert!(done.stderr.contains("2 runs ended more than retention.days ago"), "{}", done.stderr);
    assert_gone(&house, &CANARIES);
    assert!(document(house.meno(["show-run", &other, "--json"]))["forgotten_events"].as_u64() > Some(0));
    told(&house, "later");
    house.meno(["list-runs"]).exits(0);
    assert!(!files_with(&house.store(), CANARIES[0]).is_empty(), "a day has passed too soon");
}

#[test]
fn a_failed_run_goes_on_until_its_texts_are_forgotten() {
    let house = House::new();
    let script = house.path("script.json");
    fs::write(&script, json!({"replies": vec![json!({"text": "no"}); 20]}).to_string()).expect("the script");
    house.configure(&format!("preset = \"simulated\"\n[simulated]\nscript = {:?}\n", text(&script)));
    let rule = json!({"role": "writer", "base_template": "generic", "prompt": "Write about {{answers.topic}}.",
        "success_criteria": [{"name": "long enough", "type": "min_words", "value": 3}]});
    let question = json!({"id": "topic", "text": "About what?", "type": "text_input", "default": "rust"});
    let template = json!({"template_id": "hard", "name": "Hard", "description": "One agent", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1, "agent_composition_rules": [rule],
        "form_schema": {"title": "Hard", "description": "As little as there can be", "questions": [question]}});
    house.template("hard", &template);
    house.meno(["run", "hard", "--no-input", "--strategy", "cheap_only", "--json"]).exits(3);
    let id = document(house.meno(["show-run", "--json"]))["run_id"].as_str().expect("an id").to_owned();
    house.meno(["resume", &id, "--retry-failed", "--json"]).exits(3);
    house.meno(["forget", &id, "--outputs", "--yes"]).exits(0);
    let refused = house.meno(["resume", &id, "--retry-failed", "--json"]).exits(1);
    let error: Value = serde_json::from_str(&refused.stderr).expect("an error");
    assert_eq!(error["error"]["kind"], "cannot_resume");
}

/// The first words of every output that a run printed.
fn outputs(lines: &[Value]) -> Vec<String> {
    let replies = lines.iter().filter(|line| line["kind"] == "CallReplied");
    let texts = replies.filter_map(|line| line["data"]["output"]["inline"].as_str());
    // The last line of a text; first ones are much alike.
    texts.filter_map(|text| text.lines().rfind(|line| line.len() > 30)).map(str::to_owned).collect()
}

#[test]
fn texts_that_may_not_be_kept_are_there_until_the_run_ends_and_nowhere_else() {
    let run = |house: &House| {
        let args = ["run", "python_package_publish", "--no-input", "--seed", "7", "--set", "package_name=quokkage", "--json"];
        house.start(args)
    };
    let open = House::with_delay(0);
    let whole = run(&open).end();
    assert!(!files_with(&open.store(), "quokkage").is_empty());
    for level in ["hash", "none"] {
        let house = House::new();
        house.configure(&format!(
            "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = 20\n\
             [capture]\nprompts = \"{level}\"\noutputs = \"{level}\"\nanswers = \"{level}\"\n"
        ));
        // Judged by the same words it climbs the same tiers.
        let passed = |run: &Value| -> Vec<Value> {
            let agents = run["agents"].as_array().expect("agents").iter();
            agents.map(|agent| json!([agent["role"], agent["status"], agent["tier"]])).collect()
        };
        let done = run(&house).end().exits(0);
        assert_eq!((&done.run()["status"], passed(&done.run())), (&whole.run()["status"], passed(&whole.run())), "{level}");
        let mut live = run(&house);
        live.until("AttemptEnded");
        let killed = live.kill();
        let id = killed.lines()[0]["run_id"].as_str().expect("an id").to_owned();
        let folder = house.store().join(format!("runs/{id}.private"));
        let said = outputs(&killed.lines());
        assert!(!said.is_empty() && folder.is_dir());
        let is_kept = |word: &String| files_with(&house.store(), word).iter().any(|path| !path.starts_with(&folder));
        assert!(!said.iter().any(is_kept) && !is_kept(&"quokkage".to_owned()), "{level}");
        // What was said is there for the run to go on, and then it is not.
        let resumed = house.meno(["resume", &id, "--json"]).exits(0);
        assert!(!folder.exists());
        let all: Vec<String> = said.into_iter().chain(outputs(&resumed.lines())).collect();
        for word in all.iter().map(String::as_str).chain(["quokkage"]) {
            assert_eq!(files_with(&house.store(), word), Vec::<std::path::PathBuf>::new(), "{level}: {word}");
        }
        let told = resumed.run();
        assert_eq!((&told["answers"]["package_name"], &told["agents"][0]["output"]), (&Value::Null, &Value::Null));
        // A process that was killed at the very end leaves them to the next one.
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("left"), "quokkage").expect("a text");
        house.meno(["list-runs"]).exits(0);
        assert!(!folder.exists());
        house.meno(["doctor"]).exits(0);
        house.meno(["resume", &id, "--retry-failed"]).exits(1);
    }
}

#[test]
fn forgetting_outputs_leaves_the_names_of_criteria_that_are_the_templates_words() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).exits(0);
    let run = |house: &House| document(house.meno(["show-run", "last", "--json"]));
    let names = |run: &Value| -> Vec<Value> {
        let attempts =
            run["agents"].as_array().expect("agents").iter().flat_map(|agent| agent["attempts"].as_array().expect("attempts"));
        let criteria = attempts.flat_map(|attempt| attempt["criteria"].as_array().expect("criteria"));
        criteria.map(|criterion| criterion["name"].clone()).collect()
    };
    let before = run(&house);
    assert!(!names(&before).is_empty() && names(&before).iter().all(Value::is_string), "{before}");
    let analytics =
        |house: &House| document(house.meno(["analytics", "python_package_publish", "--include-simulated", "--json"]));
    let criteria = |analytics: &Value| analytics["template"]["criteria"].to_string();
    house.meno(["fork", "last", "--agent", "publisher"]).ends();
    let told = criteria(&analytics(&house));
    let fork = run(&house);
    for run in ["last", "last~1"] {
        house.meno(["forget", run, "--outputs", "--yes"]).exits(0);
    }
    let after = run(&house);
    assert_eq!(names(&after), names(&fork));
    assert!(after["agents"].as_array().expect("agents").iter().all(|agent| agent["output"].is_null()), "{after}");
    let first = document(house.meno(["show-run", "last~1", "--json"]));
    assert_eq!(names(&first), names(&before));
    let evidence = first["agents"][0]["attempts"][0]["criteria"][0]["evidence"].clone();
    assert!(evidence.is_null(), "what was found there is what the model wrote: {evidence}");
    assert_eq!(criteria(&analytics(&house)), told);
    let events = house.meno(["events", "last~1", "--kind", "CriterionJudged"]).exits(0).stdout;
    assert!(!events.contains("criterion 0"), "{events}");
    house.meno(["audit"]).exits(0);
}
