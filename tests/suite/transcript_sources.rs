//! Sessions of every source, and what must not happen to them: nothing forgotten comes back, nothing is paid twice or lost, every cost is
//! right to the nano-dollar.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Done, House, Running, files_with};

pub fn house() -> House {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    house
}

#[track_caller]
pub fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("a document")
}

#[track_caller]
pub fn import(house: &House, source: &str) -> Value {
    document(house.meno(["import", "transcripts", source, "--yes", "--json"]))
}

/// Writes lines into a file that nobody has written for a day.
pub fn write(path: &Path, lines: &[Value]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text).expect("a file");
    age(path);
}

pub fn age(path: &Path) {
    let at = SystemTime::now() - Duration::from_secs(86_400);
    File::options().append(true).open(path).and_then(|file| file.set_modified(at)).expect("a date");
}

/// Cost and calls of all that was imported.
#[track_caller]
pub fn spent(house: &House) -> (u64, u64) {
    let costs = document(house.meno(["costs", "--json"]));
    let total = &costs["totals"][0];
    (total["cost_nusd"].as_u64().unwrap_or(0), total["calls"].as_u64().unwrap_or(0))
}

#[track_caller]
pub fn runs(house: &House) -> Vec<Value> {
    let list = document(house.meno(["list-runs", "--sort", "oldest", "--json"]));
    list["runs"].as_array().expect("runs").clone()
}

#[track_caller]
pub fn whole(house: &House, run: &Value) -> Value {
    document(house.meno(["show-run", run["run_id"].as_str().expect("an id"), "--json"]))
}

/// Value by month and model of every row.
#[track_caller]
fn by_month_and_model(house: &House) -> Value {
    let costs = document(house.meno(["costs", "--by", "month,model", "--time-zone", "UTC", "--json"]));
    let rows = costs["rows"].as_array().expect("rows").iter().map(|row| {
        let word = |name: &str| row["key"][name].as_str().unwrap_or("?").to_owned();
        (format!("{} {}", word("month"), word("model")), row["cost_nusd"].clone())
    });
    Value::from_iter(rows)
}

pub fn claude(at: &str, kind: &str, request: &str, message: Value) -> Value {
    json!({"type": kind, "timestamp": at, "cwd": "/home/ada/shop", "requestId": request, "message": message})
}

pub fn claude_reply(id: &str, model: &str, text: &str, usage: Value) -> Value {
    json!({"id": id, "model": model, "stop_reason": "end_turn", "content": [{"type": "text", "text": text}], "usage": usage})
}

#[test]
fn what_a_forgotten_session_said_does_not_come_back_through_its_fork() {
    let house = house();
    let folder = house.path("home/.claude/projects/-home-ada-shop");
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let ask = |at: &str, text: &str| claude(at, "user", "", json!({"content": text}));
    let reply = |at: &str, id: &str, text: &str| {
        claude(at, "assistant", &format!("req_{id}"), claude_reply(id, "claude-haiku-4-5", text, usage.clone()))
    };
    let first = vec![
        ask("2026-07-01T10:00:00Z", "What is quixotic?"),
        reply("2026-07-01T10:00:05Z", "msg_1", "Tilting at windmills"),
        ask("2026-07-01T10:01:00Z", "Nobody answers this"),
        claude("2026-07-01T10:01:01Z", "user", "", json!({"content": "[Request interrupted by user]"})),
    ];
    let fork =
        [first.clone(), vec![ask("2026-07-02T10:00:00Z", "And then?"), reply("2026-07-02T10:00:05Z", "msg_2", "Rest")]].concat();
    write(&folder.join("a.jsonl"), &first);
    write(&folder.join("b.jsonl"), &fork);
    import(&house, "claude-code");
    // 100 tokens at 1 dollar and 10 at 5 dollars a million, twice.
    assert_eq!(spent(&house), (300_000, 2));
    let list = runs(&house);
    let a = list[0]["run_id"].as_str().expect("an id").to_owned();
    house.meno(["forget", &a, "--all", "--yes"]).exits(0);
    assert_eq!(spent(&house), (300_000, 2), "what was paid stays paid");
    let grown = [fork.clone(), vec![ask("2026-07-03T10:00:00Z", "More"), reply("2026-07-03T10:00:05Z", "msg_3", "Yes")]].concat();
    write(&folder.join("b.jsonl"), &grown);
    let more = [first, vec![ask("2026-07-04T10:00:00Z", "In the first"), reply("2026-07-04T10:00:05Z", "msg_4", "No")]].concat();
    write(&folder.join("a.jsonl"), &more);
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    let told = import(&house, "claude-code");
    assert_eq!((&told["grown"], &told["calls"], &told["forgotten"]), (&json!(1), &json!(1), &json!(1)), "{told:#}");
    assert_eq!(spent(&house), (450_000, 3));
    for gone in ["quixotic", "windmills", "Nobody answers", "In the first"] {
        assert_eq!(files_with(&house.store(), gone), [""; 0].map(PathBuf::from), "`{gone}` came back");
    }
    house.meno(["rebuild"]).exits(0);
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    assert_eq!(import(&house, "claude-code")["calls"], 0);
    for check in [&["audit", "--all"][..], &["doctor", "--quiet"]] {
        house.meno(check).exits(0);
    }
}

#[test]
fn a_session_took_as_long_as_its_exchanges() {
    let house = house();
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let ask = |at: &str| claude(at, "user", "", json!({"content": format!("asked at {at}")}));
    let reply = |at: &str| claude(at, "assistant", at, claude_reply(at, "claude-haiku-4-5", "yes", usage.clone()));
    let lines =
        [ask("2026-07-01T10:00:00Z"), reply("2026-07-01T10:00:30Z"), ask("2026-07-03T10:00:00Z"), reply("2026-07-03T10:00:12Z")];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    import(&house, "claude-code");
    assert_eq!(whole(&house, &runs(&house)[0])["duration_ms"], 42_000, "two days of thinking are no work");
    assert_eq!(runs(&house)[0]["duration_ms"], 42_000);
}

#[test]
fn names_of_tools_and_models_say_no_secret_in_public() {
    let house = house();
    let secret = format!("sk-ant-api03-{}AA", "Q7x9".repeat(23));
    let tool = json!([{"type": "tool_use", "id": "t1", "name": secret, "input": {}},
        {"type": "tool_use", "id": "t2", "name": "odd name\u{1b}[2J", "input": {}}]);
    let message = json!({"id": "m", "model": secret, "stop_reason": "tool_use", "content": tool,
        "usage": {"input_tokens": 1, "output_tokens": 1}});
    let lines = [
        claude("2026-07-01T10:00:00Z", "user", "", json!({"content": "go"})),
        claude("2026-07-01T10:00:01Z", "assistant", "r", message),
    ];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    import(&house, "claude-code");
    let export = house.path("public");
    house.meno(["export", export.to_str().expect("a text"), "--without-private"]).exits(0);
    let whole = whole(&house, &runs(&house)[0]).to_string();
    assert!(!whole.contains("Q7x9Q7x9Q7x9"), "{whole}");
    assert!(whole.contains("odd_name"), "{whole}");
}

#[test]
fn a_text_that_one_append_cannot_hold_is_named_and_its_session_is_not_called_whole() {
    let house = house();
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let long = "x".repeat(40 * 1024 * 1024);
    let lines = [
        claude("2026-07-01T10:00:00Z", "user", "", json!({"content": long})),
        claude("2026-07-01T10:00:01Z", "assistant", "r", claude_reply("m", "claude-haiku-4-5", "yes", usage)),
    ];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    let told = import(&house, "claude-code");
    assert_eq!((&told["imported"], &told["cut"], &told["calls"]), (&json!(0), &json!(1), &json!(0)), "{told:#}");
    assert!(told["skipped"].to_string().contains("too large"), "{told:#}");
    assert_eq!(import(&house, "claude-code")["cut"], 1, "it is not taken for read");
}

pub fn codex(at: &str, kind: &str, payload: Value) -> Value {
    json!({"timestamp": at, "type": kind, "payload": payload})
}

pub fn codex_meta(id: &str, forked_from: Option<&str>) -> Value {
    let at = "2026-03-01T10:00:00Z";
    let mut meta =
        json!({"id": id, "timestamp": at, "cwd": "/home/ada/api", "cli_version": "0.50.0", "model_provider": "openai"});
    if let Some(parent) = forked_from {
        meta["forked_from_id"] = json!(parent);
    }
    codex(at, "session_meta", meta)
}

/// A question with an answer and its tokens, so many so far.
pub fn codex_exchange(at: &str, question: &str, answer: &str, total: Option<u64>) -> Vec<Value> {
    let mut lines = vec![
        codex(at, "turn_context", json!({"model": "gpt-5-codex"})),
        codex(
            at,
            "response_item",
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}),
        ),
        codex(
            at,
            "response_item",
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]}),
        ),
    ];
    if let Some(total) = total {
        let counts = |input: u64| json!({"input_tokens": input, "cached_input_tokens": 0, "output_tokens": 10, "total_tokens": input + 10});
        let info = json!({"total_token_usage": counts(total), "last_token_usage": counts(1000)});
        lines.push(codex(at, "event_msg", json!({"type": "token_count", "info": info})));
    }
    lines
}

pub fn rollout(house: &House, folder: &str, id: &str) -> PathBuf {
    house.path(&format!("home/.codex/{folder}/rollout-2026-03-01T10-00-00-{id}.jsonl"))
}

#[test]
fn a_fork_of_codex_stays_in_its_family_when_its_parents_are_archived_or_gone() {
    let house = house();
    let (root, parent, child) = ("0199-root", "0199-parent", "0199-child");
    let first = codex_exchange("2026-03-01T10:00:01Z", "one", "eins", Some(1000));
    let second = codex_exchange("2026-03-01T11:00:01Z", "two", "zwei", Some(2000));
    let third = codex_exchange("2026-03-01T12:00:01Z", "three", "drei", Some(3000));
    let of = |id: &str, from: Option<&str>, parts: &[&[Value]]| [vec![codex_meta(id, from)], parts.concat()].concat();
    write(&rollout(&house, "sessions/2026/03/01", root), &of(root, None, &[&first]));
    write(&rollout(&house, "archived_sessions", parent), &of(parent, Some(root), &[&first, &second]));
    write(&rollout(&house, "sessions/2026/03/02", child), &of(child, Some(parent), &[&first, &second, &third]));
    import(&house, "codex");
    // 1,000 tokens at 1.25 dollars and 10 at 10 dollars a million: three calls, whoever repeats them.
    assert_eq!(spent(&house), (3 * 1_350_000, 3));
    // The parents go; the child grows, and somebody forks it again.
    fs::remove_file(rollout(&house, "sessions/2026/03/01", root)).expect("gone");
    fs::remove_file(rollout(&house, "archived_sessions", parent)).expect("gone");
    let fourth = codex_exchange("2026-03-01T13:00:01Z", "four", "vier", Some(4000));
    write(&rollout(&house, "sessions/2026/03/02", child), &of(child, Some(parent), &[&first, &second, &third, &fourth]));
    write(&rollout(&house, "sessions/2026/03/03", "0199-last"), &of("0199-last", Some(parent), &[&first, &second]));
    let told = import(&house, "codex");
    assert_eq!((&told["calls"], spent(&house)), (&json!(1), (4 * 1_350_000, 4)), "{told:#}");
    house.meno(["audit", "--all"]).exits(0);
}

#[test]
fn a_fork_of_codex_that_does_not_name_its_parent_repeats_its_calls_all_the_same() {
    let house = house();
    let first = codex_exchange("2026-03-01T10:00:01Z", "one", "eins", Some(1000));
    let second = codex_exchange("2026-03-01T12:00:01Z", "two", "zwei", Some(2000));
    let parent = [vec![codex_meta("0199-parent", None)], first].concat();
    write(&rollout(&house, "sessions/2026/03/01", "0199-parent"), &parent);
    let child = [vec![codex_meta("0199-child", None)], parent, second].concat();
    write(&rollout(&house, "sessions/2026/03/02", "0199-child"), &child);
    import(&house, "codex");
    assert_eq!(spent(&house), (2 * 1_350_000, 2));
}

#[test]
fn equal_replies_without_tokens_are_as_many_as_were_given() {
    let house = house();
    let lines = [
        vec![codex_meta("0199-a", None)],
        codex_exchange("2026-03-01T10:00:01Z", "go on", "ok", None),
        codex_exchange("2026-03-01T10:01:01Z", "go on", "ok", None),
        codex_exchange("2026-03-01T10:02:01Z", "go on", "ok", None),
    ];
    write(&rollout(&house, "sessions/2026/03/01", "0199-a"), &lines.concat());
    let told = import(&house, "codex");
    assert_eq!((&told["calls"], &told["cost_complete"]), (&json!(3), &json!(false)), "{told:#}");
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    assert_eq!(import(&house, "codex")["calls"], 0);
}

#[test]
fn a_packed_rollout_is_read_like_one_that_is_not() {
    let house = house();
    let lines = [vec![codex_meta("0199-a", None)], codex_exchange("2026-03-01T10:00:01Z", "one", "eins", Some(1000))].concat();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let packed = rollout(&house, "archived_sessions", "0199-a").with_extension("jsonl.zst");
    fs::create_dir_all(packed.parent().expect("a folder")).expect("a folder");
    let mut encoder = zstd::Encoder::new(File::create(&packed).expect("a file"), 3).expect("an encoder");
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("a packed file");
    age(&packed);
    let told = import(&house, "codex");
    assert_eq!((&told["imported"], &told["calls"], &told["skipped"]), (&json!(1), &json!(1), &json!([])), "{told:#}");
    assert_eq!(spent(&house), (1_350_000, 1));
    // Unpacked again it is the same session.
    write(&rollout(&house, "sessions/2026/03/01", "0199-a"), &lines);
    fs::remove_file(&packed).expect("it is unpacked");
    assert_eq!(import(&house, "codex")["calls"], 0);
    // One that is cut off is named.
    let bytes = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("packed")
    };
    let cut = rollout(&house, "archived_sessions", "0199-b").with_extension("jsonl.zst");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    age(&cut);
    let told = import(&house, "codex");
    assert_eq!(told["skipped"].as_array().map(Vec::len), Some(1), "{told:#}");
}

#[test]
fn a_watch_takes_in_what_is_written_meanwhile() {
    let house = house();
    let file = house.path("home/.claude/projects/-p/s.jsonl");
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let exchange = |minute: u32| {
        let id = format!("msg_{minute}");
        [
            claude(&format!("2026-07-01T10:{minute:02}:00Z"), "user", "", json!({"content": format!("question {minute}")})),
            claude(
                &format!("2026-07-01T10:{minute:02}:05Z"),
                "assistant",
                &id,
                claude_reply(&id, "claude-haiku-4-5", "yes", usage.clone()),
            ),
        ]
    };
    // Whoever agreed may begin before the first session; who has not is told that there is none.
    assert!(
        house.meno(["import", "transcripts", "claude-code", "--watch"]).exits(1).stderr.contains("no transcripts were found")
    );
    let mut watch: Running = house.start(["import", "transcripts", "claude-code", "--yes", "--watch", "--json"]);
    let none: Value = serde_json::from_str(watch.line().expect("a line")).expect("JSON");
    assert_eq!(none["calls"], 0);
    write(&file, &exchange(0));
    let taken = |watch: &mut Running| -> Value { serde_json::from_str(watch.line().expect("a line")).expect("JSON") };
    assert_eq!(taken(&mut watch)["calls"], 1);
    let mut open = File::options().append(true).open(&file).expect("the session");
    for line in exchange(1) {
        writeln!(open, "{line}").expect("it is written");
    }
    drop(open);
    let second = taken(&mut watch);
    assert_eq!((&second["grown"], &second["calls"]), (&json!(1), &json!(1)), "{second:#}");
    watch.signal(rustix::process::Signal::INT);
    let done = watch.end();
    assert!(matches!(done.code, Some(0 | 130)), "{done:?}");
    assert_eq!(spent(&house), (300_000, 2));
}

fn gemini(id: &str, kind: &str, at: &str, more: Value) -> Value {
    let mut line = json!({"id": id, "type": kind, "timestamp": at});
    line.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    line
}

#[test]
fn sessions_of_gemini_are_counted_once_however_often_a_message_is_written() {
    let house = house();
    let project = house.path("home/.gemini/tmp/api");
    let chats = project.join("chats");
    let tokens = |input: u64, cached: u64, output: u64, thoughts: u64| json!({"input": input, "cached": cached, "output": output, "thoughts": thoughts, "tool": 0, "total": input + output + thoughts});
    let call = json!([{"id": "call-1", "name": "run_shell_command", "args": {"command": "cargo test"}, "status": "success",
        "timestamp": "2026-05-01T10:00:08Z",
        "result": [{"functionResponse": {"id": "call-1", "response": {"output": "3 passed quixotically"}}}]}]);
    let head = json!({"sessionId": "5e55-1", "projectHash": "abc", "startTime": "2026-05-01T10:00:00Z", "kind": "main"});
    let asked = gemini("u1", "user", "2026-05-01T10:00:01Z", json!({"content": [{"text": "Run the tests"}]}));
    let lines = [
        head,
        asked,
        // The same message, as it gets its tokens and its tool.
        gemini(
            "g1",
            "gemini",
            "2026-05-01T10:00:05Z",
            json!({"content": "I run them.", "model": "gemini-2.5-pro", "tokens": null}),
        ),
        gemini(
            "g1",
            "gemini",
            "2026-05-01T10:00:05Z",
            json!({"content": "I run them.", "model": "gemini-2.5-pro", "tokens": tokens(1000, 400, 50, 30)}),
        ),
        gemini(
            "g1",
            "gemini",
            "2026-05-01T10:00:05Z",
            json!({"content": "I run them.", "model": "gemini-2.5-pro", "tokens": tokens(1000, 400, 50, 30), "toolCalls": call}),
        ),
        json!({"$set": {"lastUpdated": "2026-05-01T10:00:08Z"}}),
        gemini(
            "g2",
            "gemini",
            "2026-05-01T10:00:12Z",
            json!({"content": "All passed.", "model": "gemini-2.5-pro", "tokens": tokens(300_000, 0, 20, 0),
                "thoughts": [{"subject": "zirconium"}]}),
        ),
        json!({"$rewindTo": "u2"}),
        gemini("e1", "error", "2026-05-01T10:01:00Z", json!({"content": "429: quota exceeded"})),
        gemini("x1", "hologram", "2026-05-01T10:01:01Z", json!({"content": "?"})),
    ];
    write(&chats.join("session-2026-05-01T10-00-5e551000.jsonl"), &lines);
    fs::write(project.join(".project_root"), "/home/ada/api\n").expect("a marker");
    let helper = [
        json!({"sessionId": "5e55-sub", "projectHash": "abc", "startTime": "2026-05-01T10:00:06Z", "kind": "subagent"}),
        gemini("s1", "user", "2026-05-01T10:00:06Z", json!({"content": "Look"})),
        gemini(
            "s2",
            "gemini",
            "2026-05-01T10:00:07Z",
            json!({"content": "Seen.", "model": "gemini-2.5-flash", "tokens": tokens(100, 0, 10, 0)}),
        ),
    ];
    write(&chats.join("5e55-1/5e55-sub.jsonl"), &helper);
    // An earlier version wrote one document a session.
    let legacy = json!({"sessionId": "5e55-2", "projectHash": "abc", "startTime": "2026-02-01T10:00:00Z", "messages": [
        gemini("l1", "user", "2026-02-01T10:00:01Z", json!({"content": "Hello"})),
        gemini("l2", "gemini", "2026-02-01T10:00:02Z", json!({"content": "Hi", "model": "gemini-3-flash-preview", "tokens": tokens(100, 0, 10, 0)})),
    ]});
    write(&chats.join("session-2026-02-01T10-00-5e552000.json"), &[legacy]);

    let told = import(&house, "gemini");
    assert_eq!((&told["imported"], &told["calls"]), (&json!(2), &json!(4)), "{told:#}");
    let named: Vec<&Value> = told["left_out"].as_array().expect("a list").iter().map(|at| &at["what"]).collect();
    assert_eq!(named, ["a message of kind `hologram` is not known"]);
    // 600 at 1.25, 400 cached at 0.125 and 80 at 10 dollars a million; above 200,000 tokens 2.5 and 15 dollars.
    let pro = 750_000 + 50_000 + 800_000 + 750_000_000 + 300_000;
    // 100 at 0.3 and 10 at 2.5; 100 at 0.5 and 10 at 3.
    let wanted = json!({"2026-02 gemini-3-flash-preview": 50_000 + 30_000, "2026-05 gemini-2.5-pro": pro,
        "2026-05 gemini-2.5-flash": 30_000 + 25_000});
    let found = by_month_and_model(&house);
    for (row, cost) in wanted.as_object().expect("rows") {
        assert_eq!(found[row], *cost, "{row}: {found:#}");
    }
    let run =
        runs(&house).iter().map(|run| whole(&house, run)).find(|run| run["foreign_run_id"] == "5e55-1").expect("the session");
    assert_eq!((&run["workspace"], &run["labels"]["project"]), (&json!("/home/ada/api"), &json!("api")));
    let roles: Vec<&Value> = run["agents"].as_array().expect("agents").iter().map(|agent| &agent["role"]).collect();
    assert_eq!(roles, ["main", "subagent[5e55-sub]"]);
    let tool = &run["agents"][0]["attempts"][0]["calls"][0]["tools"][0];
    assert_eq!((&tool["tool"], &tool["ok"]), (&json!("run_shell_command"), &json!(true)), "{run:#}");
    let found = document(house.meno(["search", "\"All passed\"", "--lexical", "--json"]));
    assert_eq!(found["hits"].as_array().map(Vec::len), Some(1));
    assert_eq!(document(house.meno(["search", "zirconium", "--lexical", "--json"]))["hits"], json!([]));
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    assert_eq!(import(&house, "gemini")["calls"], 0);
    for check in [&["audit", "--all"][..], &["replay", "--verify", "--all"]] {
        house.meno(check).exits(0);
    }
}

/// A log as `llm` keeps it, as far as it is read.
fn llm_log(path: &Path) -> Connection {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let log = Connection::open(path).expect("a database");
    log.execute_batch(
        "create table _llm_migrations (name text primary key, applied_at text);
         insert into _llm_migrations values ('m010_create_new_log_tables', ''), ('m021_tool_results_exception', '');
         create table conversations (id text primary key, name text, model text);
         create table responses (id text primary key, model text, prompt text, system text, prompt_json text, options_json text,
            response text, response_json text, conversation_id text, duration_ms integer, datetime_utc text, input_tokens integer,
            output_tokens integer, token_details text, schema_id text, resolved_model text);
         create table attachments (id text primary key, type text, path text, url text, content blob);
         create table prompt_attachments (response_id text, attachment_id text, \"order\" integer);
         create table tool_calls (id integer primary key, response_id text, tool_id integer, name text, arguments text, tool_call_id text);
         create table tool_results (id integer primary key, response_id text, tool_id integer, name text, output text, tool_call_id text,
            instance_id integer, exception text);
         insert into attachments values ('cafe01', 'image/png', null, null, null);
         insert into prompt_attachments values ('r1', 'cafe01', 0);
         insert into responses (id, model, prompt, response, conversation_id, duration_ms, datetime_utc, input_tokens, output_tokens, token_details)
         values
            ('r1', 'gpt-4o-mini', 'What is in the picture?', '', 'c1', 1500, '2025-06-01T10:00:00.000000', 1000, 20,
                '{\"prompt_tokens_details\": {\"cached_tokens\": 400}}'),
            ('r2', 'gpt-4o-mini', '', 'A quixotic heron.', 'c1', 500, '2025-06-01T10:00:02.000000', 1100, 10, null),
            ('r3', 'anthropic/claude-sonnet-4-5', 'Hello', 'Hi', null, 200, '2025-10-01T10:00:00.000000+00:00', 100, 10,
                '{\"cache_creation_input_tokens\": 300, \"cache_read_input_tokens\": 200, \"cache_creation\": {\"ephemeral_1h_input_tokens\": 100}}'),
            ('r4', 'mistral-7b', 'Hello', 'Hi', null, 200, '2025-10-02T10:00:00.000000', null, null, null);
         insert into tool_calls values (1, 'r1', 1, 'look', '{\"at\": 1}', 'call_1');
         insert into tool_results values (1, 'r2', 1, 'look', 'a bird', 'call_1', null, null);",
    )
    .expect("rows");
    log
}

#[test]
fn conversations_of_llm_become_runs_and_its_log_is_only_read() {
    let house = house();
    let file = house.path("home/.config/io.datasette.llm/logs.db");
    let log = llm_log(&file);
    drop(log);
    let before = fs::read(&file).expect("a log");
    let meno = |args: &[&str]| {
        let mut command = house.command(args);
        command.env("LLM_USER_PATH", file.parent().expect("a folder"));
        crate::harness::finish(command)
    };
    let import = ["import", "transcripts", "llm", "--yes", "--json"];
    let told = document(meno(&import));
    assert_eq!((&told["imported"], &told["calls"], &told["tools"]), (&json!(3), &json!(4), &json!(1)), "{told:#}");
    assert_eq!((told["cost_complete"].clone(), &told["places"][0]["files"]), (json!(false), &json!(1)));
    assert_eq!(fs::read(&file).expect("a log"), before, "nothing was written");
    // 600 at 0.15, 400 cached at 0.075, 20 and 10 at 0.6, 1,100 at 0.15; 100 at 3, 200 at 0.3, 200 at 3.75, 100 at 6, 10 at 15.
    let found = by_month_and_model(&house);
    assert_eq!(found["2025-06 gpt-4o-mini"], 90_000 + 30_000 + 12_000 + 165_000 + 6_000, "{found:#}");
    assert_eq!(found["2025-10 claude-sonnet-4-5"], 300_000 + 60_000 + 750_000 + 600_000 + 150_000, "{found:#}");
    let run =
        runs(&house).iter().map(|run| whole(&house, run)).find(|run| run["foreign_run_id"] == "c1").expect("a conversation");
    let attempts = run["agents"][0]["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 1, "a tool's answer is no question: {run:#}");
    assert_eq!(attempts[0]["task"], "What is in the picture?\n[attachment image/png cafe01]");
    assert_eq!(attempts[0]["calls"][0]["tools"][0]["ok"], true);
    assert_eq!(document(meno(&import))["calls"], 0);
    // It goes on, and only that is new.
    let log = Connection::open(&file).expect("a database");
    log.execute_batch(
        "insert into responses (id, model, prompt, response, conversation_id, duration_ms, datetime_utc, input_tokens, output_tokens)
            values ('r5', 'gpt-4o-mini', 'And now?', 'Gone', 'c1', 100, '2025-06-02T10:00:00', 10, 1);
         insert into _llm_migrations values ('m099_of_the_future', '');",
    )
    .expect("rows");
    let told = document(meno(&import));
    assert_eq!((&told["grown"], &told["calls"]), (&json!(1), &json!(1)), "{told:#}");
    assert!(told["left_out"].to_string().contains("m099_of_the_future"), "{told:#}");
    // Somebody else writes: it is said, and nothing is lost.
    log.execute_batch("begin exclusive").expect("a lock");
    let locked = meno(&["import", "transcripts", "llm", "--yes"]);
    assert!(locked.stderr.contains("locked by another program"), "{locked:?}");
    drop(log);
    // A database of something else is none.
    let other = house.path("other.db");
    Connection::open(&other).and_then(|other| other.execute_batch("create table responses (id text)")).expect("a database");
    let odd = house.meno(["import", "transcripts", "llm", other.to_str().expect("a text")]);
    assert!(odd.stderr.contains("not one that llm writes"), "{odd:?}");
    house.meno(["audit", "--all"]).exits(0);
}

#[test]
fn every_month_and_model_costs_what_it_cost_then_to_the_nano_dollar() {
    let house = house();
    let usage = json!({"input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 10_000,
        "cache_creation_input_tokens": 3_000, "cache_creation": {"ephemeral_5m_input_tokens": 2_000, "ephemeral_1h_input_tokens": 1_000}});
    // Dated names, the plain ones, what was cheaper later, and long inputs.
    let calls = [
        ("2024-11-20", "claude-3-5-haiku-20241022", 1_000_000 + 500_000 + 1_000_000 + 2_500_000 + 2_000_000),
        ("2025-01-10", "claude-3-5-haiku-20241022", 800_000 + 400_000 + 800_000 + 2_000_000 + 1_600_000),
        ("2025-06-01", "claude-opus-4-20250514", 15_000_000 + 7_500_000 + 15_000_000 + 37_500_000 + 30_000_000),
        ("2025-10-01", "claude-sonnet-4-5-20250929", 3_000_000 + 1_500_000 + 3_000_000 + 7_500_000 + 6_000_000),
        ("2025-12-01", "claude-opus-4-5-20251101", 5_000_000 + 2_500_000 + 5_000_000 + 12_500_000 + 10_000_000),
        ("2026-03-01", "claude-haiku-4-5-20251001", 1_000_000 + 500_000 + 1_000_000 + 2_500_000 + 2_000_000),
        ("2026-10-01", "claude-opus-5-5", 4_000_000 + 2_000_000 + 2_000_000 + 10_000_000 + 8_000_000),
    ];
    let mut wanted = serde_json::Map::new();
    let mut lines = Vec::new();
    for (number, (day, model, cost)) in calls.iter().enumerate() {
        lines.push(claude(&format!("{day}T10:00:00Z"), "user", "", json!({"content": format!("question {number}")})));
        let id = format!("msg_{number}");
        lines.push(claude(&format!("{day}T10:00:05Z"), "assistant", &id, claude_reply(&id, model, "yes", usage.clone())));
        wanted.insert(format!("{} {model}", &day[..7]), json!(cost));
    }
    let long = json!({"input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 250_000});
    for (day, model, cost) in [
        ("2025-09-01", "claude-sonnet-4-20250514", 6_000_000 + 2_250_000 + 150_000_000),
        ("2026-02-20", "claude-opus-4-6", 10_000_000 + 3_750_000 + 250_000_000),
        ("2026-03-13", "claude-opus-4-6", 5_000_000 + 2_500_000 + 125_000_000),
    ] {
        lines.push(claude(&format!("{day}T10:00:00Z"), "user", "", json!({"content": format!("long {day}")})));
        let reply = claude_reply(day, model, "yes", long.clone());
        lines.push(claude(&format!("{day}T10:00:05Z"), "assistant", day, reply));
        wanted.insert(format!("{} {model}", &day[..7]), json!(cost));
    }
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    let mut rollout_lines = vec![codex_meta("0199-a", None)];
    for (at, model, total) in [
        ("2025-05-01", "o3", 1000),
        ("2025-07-01", "o3-2025-04-16", 2000),
        ("2025-09-01", "gpt-5-codex", 3000),
        ("2026-08-20", "gpt-5.6-sol", 4000),
        ("2026-08-21", "gpt-5.6", 5000),
    ] {
        let mut exchange = codex_exchange(&format!("{at}T10:00:01Z"), at, "yes", Some(total));
        exchange[0]["payload"]["model"] = json!(model);
        rollout_lines.extend(exchange);
    }
    wanted.insert("2025-05 o3".to_owned(), json!(10_000_000 + 400_000));
    wanted.insert("2025-07 o3-2025-04-16".to_owned(), json!(2_000_000 + 80_000));
    wanted.insert("2025-09 gpt-5-codex".to_owned(), json!(1_250_000 + 100_000));
    wanted.insert("2026-08 gpt-5.6-sol".to_owned(), json!(5_000_000 + 300_000));
    wanted.insert("2026-08 gpt-5.6".to_owned(), json!(4_000_000 + 200_000));
    write(&rollout(&house, "sessions/2025/05/01", "0199-a"), &rollout_lines);
    let told = document(house.meno(["import", "transcripts", "--yes", "--json"]));
    assert_eq!(told["cost_complete"], true, "{told:#}");
    assert_eq!(by_month_and_model(&house), Value::Object(wanted));
}
