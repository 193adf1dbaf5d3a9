//! The sessions of coding agents: counted once whatever repeats them, priced to the nano-dollar, found by what was said and done.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{Done, House};

const FIRST: &str = "-home-ada-shop/0b5c1d2e-3f40-4a51-8b62-9c73ad84be95";

/// The transcripts that come with the source, and what they come to.
fn collection() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/claude-code")
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(collection().join("golden.json")).expect("a file")).expect("JSON")
}

/// Copies a folder; its files were written long ago.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let (path, to) = (entry.expect("an entry").path(), to.to_owned());
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
            age(&to, 86_400);
        }
    }
}

/// Dates a file back.
fn age(path: &Path, seconds: u64) {
    let at = SystemTime::now() - Duration::from_secs(seconds);
    File::options().append(true).open(path).and_then(|file| file.set_modified(at)).expect("a date");
}

/// A house with the collection where Claude Code keeps its sessions.
fn lived_in() -> House {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    copy(&collection().join("projects"), &house.path("home/.claude/projects"));
    house
}

fn projects(house: &House) -> PathBuf {
    house.path("home/.claude/projects")
}

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("a document")
}

#[track_caller]
fn import(house: &House) -> Value {
    document(house.meno(["import", "transcripts", "--yes", "--json"]))
}

/// What a sum says, in the words of the golden file.
fn sum(row: &Value) -> Value {
    let tokens = &row["tokens"];
    json!({"calls": row["calls"], "unknown": row["unknown"], "input": tokens["input"], "cache_read": tokens["cache_read"],
        "cache_write": tokens["cache_write"], "output": tokens["output"], "cost_nusd": row["cost_nusd"]})
}

/// What a golden file says by day and model; costs tell both kinds of cache writes together.
fn by_day_and_model_of(golden: &Value) -> Value {
    let rows = golden["by_day_and_model"].as_object().expect("rows");
    let row = |row: &Value| {
        let written = row["cache_write_5m"].as_u64().zip(row["cache_write_1h"].as_u64()).map(|(short, long)| short + long);
        json!({"calls": row["calls"], "unknown": row["unknown"], "input": row["input"], "cache_read": row["cache_read"],
            "cache_write": written, "output": row["output"], "cost_nusd": row["cost_nusd"]})
    };
    Value::from_iter(rows.iter().map(|(key, said)| (key.clone(), row(said))))
}

fn by_day_and_model(house: &House) -> Value {
    let costs = document(house.meno(["costs", "--by", "day,model", "--time-zone", "UTC", "--json"]));
    let rows = costs["rows"].as_array().expect("rows");
    let key =
        |row: &Value| format!("{} {}", row["key"]["day"].as_str().unwrap_or("?"), row["key"]["model"].as_str().unwrap_or("?"));
    Value::from_iter(rows.iter().map(|row| (key(row), sum(row))).collect::<BTreeMap<_, _>>())
}

/// Every run, whole, by its id in the other system.
fn sessions(house: &House) -> BTreeMap<String, Value> {
    let list = document(house.meno(["list-runs", "--json"]));
    let runs = list["runs"].as_array().expect("runs").iter();
    let whole = runs.map(|run| document(house.meno(["show-run", run["run_id"].as_str().expect("an id"), "--json"])));
    whole.map(|run| (run["foreign_run_id"].as_str().expect("an id").to_owned(), run)).collect()
}

fn attempts(run: &Value) -> Vec<&Value> {
    let agents = run["agents"].as_array().expect("agents").iter();
    agents.flat_map(|agent| agent["attempts"].as_array().expect("attempts")).collect()
}

#[track_caller]
fn finds(house: &House, query: &str) -> Vec<String> {
    let found = document(house.meno(["search", query, "--lexical", "--json"]));
    found["hits"].as_array().expect("hits").iter().map(|hit| hit["run_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn tokens_and_costs_are_those_of_the_golden_file_and_a_second_import_adds_nothing() {
    let house = lived_in();
    let told = import(&house);
    let golden = golden();
    assert_eq!(by_day_and_model(&house), by_day_and_model_of(&golden), "{told:#}");
    let runs = sessions(&house);
    let wanted = golden["by_session"].as_object().expect("sessions");
    assert_eq!(runs.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (id, wanted) in wanted {
        let calls = || attempts(&runs[id]).into_iter().flat_map(|attempt| attempt["calls"].as_array().expect("calls"));
        let replied = calls().filter(|call| call["status"] == "replied").count();
        let written = wanted["cache_write_5m"].as_u64().zip(wanted["cache_write_1h"].as_u64()).map(|(short, long)| short + long);
        let found = (replied, &runs[id]["cost_nusd"], &runs[id]["tokens"]["output"], runs[id]["tokens"]["cache_write"].as_u64());
        assert_eq!(
            found,
            (wanted["calls"].as_u64().expect("a count") as usize, &wanted["cost_nusd"], &wanted["output"], written),
            "{id}"
        );
        assert_eq!(runs[id]["cost_complete"], wanted["unknown"] == 0, "{id}");
    }
    assert_eq!((&told["imported"], &told["already_there"]), (&json!(4), &json!(0)));
    let named = |list: &str| told[list].as_array().expect("a list").iter().map(|at| at["what"].clone()).collect::<Vec<_>>();
    assert_eq!(named("left_out"), ["a line of kind `hologram` is not known"]);
    let skipped = ["a line is cut off", "tokens are negative or no numbers: their cost is not known"];
    assert_eq!(named("skipped"), skipped);
    assert_eq!(told["unpriced"].as_array().expect("a list").len(), 2, "an unknown model and tokens that are none: {told:#}");

    let before = house.journal().len();
    let again = import(&house);
    assert_eq!((&again["imported"], &again["grown"], &again["already_there"]), (&json!(0), &json!(0), &json!(4)));
    assert_eq!(again["places"][0]["unchanged"], 4, "nothing is read again");
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    let again = import(&house);
    assert_eq!((&again["imported"], &again["grown"], &again["already_there"]), (&json!(0), &json!(0), &json!(4)));
    assert_eq!(house.journal().len(), before, "the log alone knows what is here");
}

#[test]
fn a_session_reads_as_it_went() {
    let house = lived_in();
    import(&house);
    let runs = sessions(&house);
    let run = &runs[FIRST];
    assert_eq!(
        (&run["template_id"], &run["mode"], &run["workspace"]),
        (&json!("claude-code"), &json!("imported"), &json!("/home/ada/shop"))
    );
    assert_eq!(run["labels"], json!({"project": "shop", "branch": "main", "version": "2.1.39"}));
    let roles: Vec<&str> = run["agents"].as_array().expect("agents").iter().filter_map(|agent| agent["role"].as_str()).collect();
    assert_eq!(roles, ["main", "subagent[a1b2c3]", "subagent[d4e5f6]"]);
    let main = run["agents"][0]["attempts"].as_array().expect("attempts");
    let asked: Vec<(&str, &str)> =
        main.iter().map(|attempt| (attempt["task"].as_str().unwrap_or("-"), attempt["status"].as_str().unwrap_or("-"))).collect();
    let wanted = [
        ("Why is the websocket test flaky?", "passed"),
        ("Rewrite it with a fake clock", "cancelled"),
        ("And what does a heron eat?", "passed"),
        ("Deploy it", "error"),
    ];
    assert_eq!(asked, wanted);
    assert!(main.iter().all(|attempt| attempt["verified"] == false), "nobody judged them");
    assert_eq!(run["status"], "failed", "its last exchange ended in an error");
    let tools = |attempt: &Value| -> Vec<(String, Value)> {
        let calls = attempt["calls"].as_array().expect("calls").iter();
        let tools = calls.flat_map(|call| call["tools"].as_array().expect("tools"));
        tools.map(|tool| (tool["tool"].as_str().expect("a name").to_owned(), tool["ok"].clone())).collect()
    };
    let wanted = [("Read", json!(true)), ("Bash", json!(false)), ("Task", json!(true))].map(|(tool, ok)| (tool.to_owned(), ok));
    assert_eq!(tools(&main[0]), wanted);
    let page = house.meno(["show-run", run["run_id"].as_str().expect("an id")]).exits(0).stdout;
    let mut from = 0;
    for said in [
        "> Why is the websocket test flaky?",
        "Let me look at the test.",
        "[Read] {\"file_path\":\"/home/ada/shop/tests/websocket_reconnect.rs\"}",
        "[Bash] {\"command\":\"cargo test websocket_reconnect",
        "failed",
        "wait for the `open` event",
        "> Rewrite it with a fake clock",
        "I will replace the sleep by a fake clock",
        "Fish.",
        "Frogs as well.",
        "error: rate_limit: You've hit your limit",
        "Exchanges of subagent[a1b2c3]",
        "One sleep, in websocket_reconnect.rs line 14.",
    ] {
        let at = page[from..].find(said).unwrap_or_else(|| panic!("`{said}` comes next: {page}"));
        from += at + said.len();
    }
    let fork = &runs["-home-ada-shop/1c6d2e3f-4051-4b62-9c73-ad84be95cfa6"];
    let asked: Vec<&Value> = attempts(fork).into_iter().map(|attempt| &attempt["task"]).collect();
    assert_eq!(asked, ["Does it also hold for the grpc stream?"], "what it repeats is the first session's");
    assert_eq!(attempts(fork)[0]["calls"][0]["reported_cost_nusd"], 12_300_000);
    assert_eq!(attempts(fork)[0]["calls"][0]["cost_source"], "estimated");
    let open = &runs["-home-ada-docs/2d7e3f40-5162-4c73-8d84-be95cfa6d0b7"];
    assert_eq!((&open["status"], &attempts(open)[0]["status"]), (&json!("interrupted"), &json!("running")));
    for whole in [["audit", "--all"], ["doctor", "--quiet"], ["replay", "--all"]] {
        let args: Vec<&str> = if whole[0] == "replay" { vec!["replay", "--verify", "--all"] } else { whole.to_vec() };
        house.meno(args).exits(0);
    }
    assert!(!house.meno(["doctor"]).exits(0).stdout.contains("interrupted run"), "nobody could resume it");
}

#[test]
fn a_session_is_found_by_what_was_asked_answered_run_and_touched_and_keys_and_thinking_stay_out() {
    let house = lived_in();
    import(&house);
    let runs = sessions(&house);
    let first = runs[FIRST]["run_id"].as_str().expect("an id");
    for query in [
        "websocket flaky",
        "what does a heron eat",
        "\"wait for the `open` event\"",
        "cargo test nocapture",
        "websocket_reconnect.rs",
        "Grepping",
    ] {
        assert_eq!(finds(&house, query).first().map(String::as_str), Some(first), "{query}");
    }
    assert!(finds(&house, "zirconium").is_empty(), "thinking is left out");
    let mut kept = Vec::new();
    for recorded in house.journal() {
        kept.extend(format!("{:?}", recorded.event).into_bytes());
    }
    let kept = String::from_utf8(kept).expect("a text");
    assert!(!kept.contains("Q7x9Q7x9") && !kept.contains("zirconium"));
    assert!(kept.contains("quixotic_port_4711"), "what a tool said is kept");
    let costs = document(house.meno(["costs", "--by", "month,model,label.project", "--time-zone", "UTC", "--json"]));
    let sums: u64 = costs["rows"].as_array().expect("rows").iter().filter_map(|row| row["cost_nusd"].as_u64()).sum();
    let golden = golden();
    let wanted = golden["by_session"].as_object().expect("sessions").values().filter_map(|row| row["cost_nusd"].as_u64());
    assert_eq!(sums, wanted.sum::<u64>());
    assert!(costs["rows"].as_array().expect("rows").iter().any(|row| row["key"]["label.project"] == "docs"));
}

#[test]
fn a_session_that_grew_gets_its_new_part_only_and_a_reply_that_is_still_written_waits() {
    let house = lived_in();
    import(&house);
    let before = sessions(&house);
    let file = projects(&house).join(format!("{FIRST}.jsonl"));
    let line = |at: &str, kind: &str, message: Value| {
        json!({"type": kind, "timestamp": at, "sessionId": "x", "cwd": "/home/ada/shop", "requestId": "req_new", "message": message})
            .to_string()
    };
    let reply = |text: &str, output: u64, stop: Value| {
        json!({"id": "msg_new", "role": "assistant", "model": "claude-haiku-4-5-20251001", "stop_reason": stop,
            "content": [{"type": "text", "text": text}], "usage": {"input_tokens": 100, "output_tokens": output}})
    };
    let append = |text: String| {
        let mut file = File::options().append(true).open(&file).expect("the session");
        file.write_all(text.as_bytes()).expect("it is written");
    };
    let asked = line("2026-07-06T08:00:00.000Z", "user", json!({"role": "user", "content": "One more thing"}));
    append(format!("{asked}\n{}\n", line("2026-07-06T08:00:01.000Z", "assistant", reply("Thing", 1, Value::Null))));
    let told = import(&house);
    assert_eq!((&told["unfinished"], &told["calls"], &told["grown"]), (&json!(1), &json!(0), &json!(0)), "{told:#}");
    append(format!("{}\n", line("2026-07-06T08:00:02.000Z", "assistant", reply("Thing done", 50, json!("end_turn")))));
    let told = import(&house);
    assert_eq!((&told["grown"], &told["calls"], &told["exchanges"]), (&json!(1), &json!(1), &json!(1)), "{told:#}");
    // 100 tokens at 1 dollar and 50 at 5 dollars a million.
    assert_eq!(told["cost_nusd"], 350_000);
    let after = sessions(&house);
    assert_eq!(after.len(), before.len());
    for (id, run) in &before {
        let more = if id == FIRST { 350_000 } else { 0 };
        let cost = |run: &Value| run["cost_nusd"].as_u64().expect("a cost");
        assert_eq!(cost(&after[id]), cost(run) + more, "{id}");
    }
    let grown = &after[FIRST];
    let last = grown["agents"][0]["attempts"].as_array().and_then(|attempts| attempts.last()).expect("an attempt");
    assert_eq!(
        (&last["task"], &last["output"], &last["status"]),
        (&json!("One more thing"), &json!("Thing done"), &json!("passed"))
    );
    assert_eq!(grown["status"], "succeeded", "it ended well this time");
    let index = house.store().join("index");
    fs::remove_dir_all(&index).expect("an index");
    assert_eq!(import(&house)["calls"], 0);
    assert!(!index.exists(), "where nothing is new, nothing is indexed and embedded");
    house.meno(["audit", "--all"]).exits(0);
    assert_eq!(finds(&house, "\"One more thing\"").first().map(String::as_str), grown["run_id"].as_str());
}

#[test]
fn nothing_is_read_into_a_store_unless_somebody_agrees() {
    let house = lived_in();
    let refused = house.meno(["import", "transcripts"]).exits(1);
    assert!(refused.stderr.contains("4 sessions in 6 files") && refused.stderr.contains("--yes"), "{}", refused.stderr);
    assert!(!house.store().exists(), "nothing was made");
    let named = projects(&house);
    let named = named.to_str().expect("a text");
    house.meno(["import", "transcripts", "claude-code", named]).exits(0);
    house.meno(["import", "transcripts"]).exits(0);

    let empty = House::new();
    let none = empty.meno(["import", "transcripts", "--yes"]).exits(1);
    assert!(none.stderr.contains("no transcripts were found") && none.stderr.contains(".claude/projects"), "{}", none.stderr);
    let wrong = empty.meno(["import", "transcripts", "claude-coda"]).exits(1);
    assert!(wrong.stderr.contains("claude-code"), "{}", wrong.stderr);
    empty.meno(["import", "transcripts", "claude-code", "/nowhere"]).exits(1);
}

#[test]
fn how_much_of_a_tool_is_kept_is_chosen() {
    let kept = |how: &str| {
        let house = lived_in();
        house.meno(["import", "transcripts", "--yes", "--tool-results", how]).exits(0);
        house
            .journal()
            .iter()
            .map(|recorded| format!("{:?}", recorded.event).matches("assert!(reconnected)").count())
            .sum::<usize>()
    };
    // 8 KiB are about 370 of its 600 lines; what is larger is a payload.
    assert_eq!(kept("none"), 0);
    let short = kept("short");
    assert!((300..=400).contains(&short), "{short}");
}

/// A session with many exchanges.
fn long_session(session: u64, exchanges: u32) -> String {
    let mut text = String::new();
    for number in 0..exchanges {
        let at = |second: u32| format!("2026-05-01T{:02}:{:02}:{second:02}.000Z", number / 60 % 24, number % 60);
        let asked = json!({"type": "user", "timestamp": at(1), "cwd": "/home/ada/long",
            "message": {"role": "user", "content": format!("question {number}")}});
        let reply = json!({"type": "assistant", "timestamp": at(5), "requestId": format!("r{session}-{number}"), "message": {
            "id": format!("m{session}-{number}"), "model": "claude-haiku-4-5-20251001", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": format!("answer {number} {}", "lorem ipsum ".repeat(40))}],
            "usage": {"input_tokens": 10, "output_tokens": 1}}});
        text.push_str(&format!("{asked}\n{reply}\n"));
    }
    text
}

#[test]
fn an_import_that_is_killed_loses_and_doubles_nothing() {
    const SESSIONS: u64 = 6;
    const EXCHANGES: u32 = 1200;
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let folder = house.path("home/.claude/projects/-home-ada-long");
    fs::create_dir_all(&folder).expect("a folder");
    for session in 0..SESSIONS {
        let path = folder.join(format!("session-{session}.jsonl"));
        fs::write(&path, long_session(session, EXCHANGES)).expect("a session");
        age(&path, 86_400);
    }
    let mut kills = 0;
    for _ in 0..8 {
        let mut child = house.command(["import", "transcripts", "--yes"]).spawn().expect("it starts");
        let bytes = || walk(&house.store().join("journal"));
        let wanted = bytes() + 200_000;
        loop {
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            if bytes() > wanted {
                kills += u32::from(child.kill().is_ok());
                child.wait().expect("it is gone");
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    assert!(kills > 0, "it was never caught at work");
    house.meno(["import", "transcripts", "--yes"]).exits(0);
    let costs = document(house.meno(["costs", "--json"]));
    let calls = SESSIONS * u64::from(EXCHANGES);
    // 10 tokens at 1 dollar and 1 at 5 dollars a million.
    assert_eq!((&costs["totals"][0]["calls"], &costs["totals"][0]["cost_nusd"]), (&json!(calls), &json!(calls * 15_000)));
    let list = document(house.meno(["list-runs", "--json"]));
    assert_eq!(list["total"], SESSIONS);
    assert!(list["runs"].as_array().expect("runs").iter().all(|run| run["status"] == "succeeded"), "{list:#}");
    house.meno(["audit", "--all"]).exits(0);
}

/// Bytes of the files below a folder.
fn walk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => walk(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn files_that_are_no_transcripts_are_named_and_never_fatal() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n");
    let folder = house.path("home/.claude/projects/-home-ada-odd");
    fs::create_dir_all(&folder).expect("a folder");
    let good = |id: &str, text: &[u8]| -> Vec<u8> {
        let head = format!(
            r#"{{"type":"assistant","timestamp":"2026-05-01T10:00:00Z","message":{{"id":"{id}","model":"claude-haiku-4-5","stop_reason":"end_turn","usage":{{"input_tokens":10,"output_tokens":1}},"content":[{{"type":"text","text":""#
        );
        [head.as_bytes(), text, br#""}]}}"#].concat()
    };
    let long = vec![b'x'; 70 * 1024 * 1024];
    let deep = [vec![b'['; 5000], vec![b']'; 5000]].concat();
    let lines: Vec<Vec<u8>> = vec![
        b"no JSON at all".to_vec(),
        b"[1, 2]".to_vec(),
        [br#"{"type":"assistant","message":{"id":"deep","content":"#.to_vec(), deep, b"}}".to_vec()].concat(),
        good("utf8", b"caf\xe9"),
        good("long", &long),
        good("fine", "grüße".as_bytes()),
        br#"{"type":"user","message":"text"}"#.to_vec(),
    ];
    let path = folder.join("odd.jsonl");
    fs::write(&path, lines.join(&b'\n')).expect("a file");
    age(&path, 86_400);
    fs::write(folder.join("binary.jsonl"), [0u8, 159, 146, 150, 0, 1, 2]).expect("a file");
    age(&folder.join("binary.jsonl"), 86_400);
    let told = import(&house);
    assert_eq!((&told["imported"], &told["calls"]), (&json!(1), &json!(2)), "{told:#}");
    let skipped: Vec<&str> = told["skipped"].as_array().expect("a list").iter().filter_map(|at| at["what"].as_str()).collect();
    for reason in ["a line is not JSON", "nested too deeply", "not UTF-8, what is broken", "longer than 67108864 bytes"] {
        assert!(skipped.iter().any(|what| what.contains(reason)), "{reason}: {skipped:?}");
    }
    assert!(!finds(&house, "grüße").is_empty());
}

/// A house with the rollouts where Codex keeps them.
fn with_codex() -> House {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let codex = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/codex");
    for folder in ["sessions", "archived_sessions"] {
        copy(&codex.join(folder), &house.path("home/.codex").join(folder));
    }
    house
}

#[test]
fn codex_calls_are_counted_once_whatever_forks_and_subagents_repeat() {
    let house = with_codex();
    let told = import(&house);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/codex/golden.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(golden).expect("a file")).expect("JSON");
    assert_eq!(by_day_and_model(&house), by_day_and_model_of(&golden), "{told:#}");
    assert_eq!((&told["imported"], &told["left_out"], &told["skipped"]), (&json!(3), &json!([]), &json!([])), "{told:#}");
    let runs = sessions(&house);
    let run = runs.values().find(|run| run["foreign_run_id"].as_str().is_some_and(|id| id.contains("aaaa"))).expect("the first");
    assert_eq!(run["labels"], json!({"project": "api", "branch": "main", "version": "0.50.0"}));
    assert_eq!(run["agents"].as_array().map(Vec::len), Some(2), "the subagent works for the first session");
    let main = run["agents"][0]["attempts"].as_array().expect("attempts");
    let asked: Vec<&Value> = main.iter().map(|attempt| &attempt["task"]).collect();
    assert_eq!(asked, ["Find the slow query", "Now with a smaller model", "Stop me"]);
    assert_eq!(main[2]["status"], "cancelled");
    let tools: Vec<(&Value, &Value)> = main[0]["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .flat_map(|call| call["tools"].as_array().expect("tools"))
        .map(|tool| (&tool["tool"], &tool["ok"]))
        .collect();
    assert_eq!(tools, [(&json!("shell"), &json!(true)), (&json!("apply_patch"), &json!(false))]);
    let fork = runs.values().find(|run| run["foreign_run_id"].as_str().is_some_and(|id| id.contains("bbbb"))).expect("the fork");
    let asked: Vec<&Value> = attempts(fork).into_iter().map(|attempt| &attempt["task"]).collect();
    assert_eq!(asked, ["And the orders table?"]);
    let first = run["run_id"].as_str().expect("an id");
    for query in ["slow query", "007_index.sql", "\"explain analyze\""] {
        assert_eq!(finds(&house, query).first().map(String::as_str), Some(first), "{query}");
    }
    assert!(finds(&house, "zirconium").is_empty(), "reasoning is left out");
    let before = house.journal().len();
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    assert_eq!(import(&house)["calls"], 0);
    assert_eq!(house.journal().len(), before);
    house.meno(["audit", "--all"]).exits(0);
}
