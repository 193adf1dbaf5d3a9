//! The log of llm in its two forms: rows of `responses`, and turns with messages and parts.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Done, House, files_with, finish};

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("a document")
}

/// A log as `llm` keeps it since its messages are a tree, as far as it is read: with a response from before, and one that was written in
/// both forms.
fn log(path: &Path) -> Connection {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let log = Connection::open(path).expect("a database");
    log.execute_batch(
        "create table _llm_migrations (name text primary key, applied_at text);
         insert into _llm_migrations values ('m022_response_reasoning', ''), ('m023_message_store', ''),
            ('m024_tool_instance_references', ''), ('m025_turn_tools_instance_backfill', ''), ('m026_message_tree_view', ''),
            ('m027_turns_response_json', ''), ('m028_of_the_future', '');
         create table responses (id text primary key, model text, prompt text, response text, conversation_id text,
            duration_ms integer, datetime_utc text, input_tokens integer, output_tokens integer, token_details text);
         create table threads (id text primary key, name text, tip_message_hash text, forked_from text, datetime_utc text);
         create table turns (id text primary key, thread_id text, parent_message_hash text, tip_message_hash text, model text,
            resolved_model text, options_json text, schema_id text, input_tokens integer, output_tokens integer, token_details text,
            duration_ms integer, datetime_utc text, response_json text);
         create table messages (hash text primary key, parent_hash text, role text, provider_metadata text);
         create table parts (id integer primary key, message_hash text, position integer, type text, tool_name text, text text,
            payload text);
         create table fragments (id integer primary key, hash text, content text);
         create table attachments (id text primary key, type text, path text, url text, content blob);
         insert into fragments values (1, 'f00d', 'a long text');
         insert into attachments values ('cafe01', 'image/png', null, null, null);
         insert into responses values
            ('r1', 'gpt-4o-mini', 'From before', 'Yes', 'c1', 1, '2025-06-01T10:00:00', 1000, 100, null),
            ('r2', 'gpt-4o-mini', 'In both', 'Twice', 'c1', 1, '2025-06-01T10:01:00', 1000, 100, null);
         insert into threads values ('c1', 'before', 'm4', null, ''), ('t1', 'bird', 'b5', null, '');
         insert into messages values
            ('m1', null, 'user', null), ('m2', 'm1', 'assistant', null), ('m3', 'm2', 'user', null), ('m4', 'm3', 'assistant', null),
            ('b0', null, 'system', null), ('b1', 'b0', 'user', null), ('b2', 'b1', 'assistant', null), ('b3', 'b2', 'tool', null),
            ('b4', 'b3', 'assistant', null), ('b5', 'b1', 'assistant', null), ('u1', 'b4', 'user', null), ('u2', 'u1', 'assistant', null);
         insert into parts (message_hash, position, type, tool_name, text, payload) values
            ('m1', 0, 'text', null, 'From before', null), ('m2', 0, 'text', null, 'Yes', null),
            ('m3', 0, 'text', null, 'In both', null), ('m4', 0, 'text', null, 'Once', null),
            ('b0', 0, 'text', null, 'Be brief', null),
            ('b1', 0, 'text', null, null, '{\"text_ref\": [{\"literal\": \"What is in the picture?\\n\"}, {\"fragment\": 1}]}'),
            ('b1', 1, 'attachment', null, null, '{\"attachment\": {\"id\": \"cafe01\"}}'),
            ('b2', 0, 'reasoning', null, 'a bird, I think', null),
            ('b2', 1, 'tool_call', 'look', null, '{\"name\": \"look\", \"arguments\": {\"at\": 1}, \"tool_call_id\": \"call_1\"}'),
            ('b3', 0, 'tool_result', 'look', null,
                '{\"name\": \"look\", \"output\": \"\", \"tool_call_id\": \"call_1\", \"exception\": \"too dark\"}'),
            ('b4', 0, 'text', null, 'A quixotic ', null), ('b4', 1, 'text', null, 'heron.', null),
            ('b5', 0, 'text', null, 'A stork.', null),
            ('u1', 0, 'text', null, 'Search for it', null),
            ('u2', 0, 'tool_call', 'web_search', null,
                '{\"name\": \"web_search\", \"arguments\": {}, \"tool_call_id\": \"s1\", \"server_executed\": true}'),
            ('u2', 1, 'tool_result', 'web_search', null,
                '{\"name\": \"web_search\", \"output\": \"found\", \"tool_call_id\": \"s1\", \"server_executed\": true}'),
            ('u2', 2, 'text', null, 'It flew away.', null), ('u2', 3, 'hologram', null, null, null);
         insert into turns (id, thread_id, parent_message_hash, tip_message_hash, model, resolved_model, input_tokens, output_tokens,
            token_details, duration_ms, datetime_utc) values
            ('r2', 'c1', 'm3', 'm4', 'gpt-4o-mini', null, 1000, 100, null, 1, '2025-06-01T10:01:00+00:00'),
            ('t1', 't1', 'b1', 'b2', 'gpt-4o', 'gpt-4o-2024-08-06', 1000, 20, '{\"prompt_tokens_details\": {\"cached_tokens\": 400}}', 1500,
                '2025-07-01T10:00:00+00:00'),
            ('t2', 't1', 'b3', 'b4', 'gpt-4o', 'gpt-4o-2024-08-06', 1100, 10, null, 500, '2025-07-01T10:00:02+00:00'),
            ('t3', 't1', 'u1', 'u2', 'gpt-4o-mini', null, 200, null, null, 500, '2025-08-01T10:00:04+00:00'),
            ('t4', null, 'b1', 'b5', 'claude-haiku-4-5', null, 100, 10, null, 500, '2026-03-01T10:00:04+00:00');",
    )
    .expect("rows");
    log
}

#[test]
fn turns_of_llm_are_calls_and_what_stands_in_both_forms_is_one() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let file = house.path("home/.config/io.datasette.llm/logs.db");
    let log = log(&file);
    let meno = |args: &[&str]| {
        let mut command = house.command(args);
        command.env("LLM_USER_PATH", file.parent().expect("a folder"));
        finish(command)
    };
    let import = ["import", "transcripts", "llm", "--yes", "--json"];
    let told = document(meno(&import));
    assert_eq!((&told["imported"], &told["calls"], &told["tools"]), (&json!(3), &json!(6), &json!(2)), "{told:#}");
    let left_out = told["left_out"].to_string();
    assert!(left_out.contains("m028_of_the_future") && left_out.contains("hologram"), "{told:#}");
    assert!(!left_out.contains("m023") && !left_out.contains("m027"), "{told:#}");
    assert_eq!((&told["skipped"], &told["cost_complete"]), (&json!([]), &json!(false)), "{told:#}");

    let costs = document(meno(&["costs", "--by", "month,model", "--time-zone", "UTC", "--json"]));
    let paid = |month: &str, model: &str| -> (u64, u64) {
        let is_it = |row: &&Value| row["key"]["month"] == month && row["key"]["model"] == model;
        let row =
            costs["rows"].as_array().expect("rows").iter().find(is_it).unwrap_or_else(|| panic!("{month} {model}: {costs:#}"));
        (row["cost_nusd"].as_u64().unwrap_or(0), row["unknown"].as_u64().unwrap_or(0))
    };
    // Twice 1,000 at 0.15 and 100 at 0.6.
    assert_eq!(paid("2025-06", "gpt-4o-mini"), (2 * (150_000 + 60_000), 0));
    // 600 and 1,100 at 2.5, 400 cached at 1.25, 20 and 10 at 10.
    assert_eq!(paid("2025-07", "gpt-4o-2024-08-06"), (1_500_000 + 2_750_000 + 500_000 + 300_000, 0));
    // Its output is not told: what it cost is not known.
    assert_eq!(paid("2025-08", "gpt-4o-mini"), (0, 1));
    assert_eq!(paid("2026-03", "claude-haiku-4-5"), (100_000 + 50_000, 0));

    let list = document(meno(&["list-runs", "--sort", "oldest", "--json"]));
    let runs: Vec<Value> = list["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].clone()).collect();
    let run = |number: usize| document(meno(&["show-run", runs[number].as_str().expect("an id"), "--json"]));
    let attempts = |run: &Value| run["agents"][0]["attempts"].as_array().expect("attempts").clone();
    let tasks = |run: &Value| -> Vec<Value> { attempts(run).iter().map(|attempt| attempt["task"].clone()).collect() };
    assert_eq!(tasks(&run(0)), ["From before", "In both"], "a conversation that goes on in the new form is one");
    let bird = run(1);
    let asked = "What is in the picture?\n[fragment f00d]\n[attachment image/png cafe01]";
    assert_eq!(tasks(&bird), [asked, "Search for it"], "{bird:#}");
    let tool = |attempt: usize| attempts(&bird)[attempt]["calls"][0]["tools"][0].clone();
    assert_eq!((&tool(0)["ok"], &tool(1)["ok"]), (&json!(false), &json!(true)), "{bird:#}");
    assert_eq!(tasks(&run(2)), [asked], "the same question of another turn");
    let outcome = |attempt: &Value| attempt["status"].clone();
    assert_eq!(attempts(&bird).iter().map(outcome).collect::<Vec<_>>(), ["passed", "passed"], "{bird:#}");
    for left_out in ["a bird, I think", "a long text"] {
        assert_eq!(files_with(&house.store(), left_out), [""; 0].map(PathBuf::from), "thinking and fragments are left out");
    }

    assert_eq!(document(meno(&import))["calls"], 0);
    log.execute_batch(
        "insert into messages values ('u3', 'u2', 'user', null), ('u4', 'u3', 'assistant', null);
         insert into parts (message_hash, position, type, text) values ('u3', 0, 'text', 'And now?'), ('u4', 0, 'text', 'Gone');
         insert into turns (id, thread_id, parent_message_hash, tip_message_hash, model, input_tokens, output_tokens, datetime_utc)
            values ('t5', 't1', 'u3', 'u4', 'gpt-4o-mini', 10, 1, '2025-08-02T10:00:00+00:00');",
    )
    .expect("rows");
    let told = document(meno(&import));
    assert_eq!((&told["grown"], &told["calls"]), (&json!(1), &json!(1)), "{told:#}");
    // A later version has no responses, and its turns may lack what is not needed.
    log.execute_batch("drop table responses; drop table parts; alter table turns drop column duration_ms").expect("another form");
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    let told = document(meno(&import));
    assert_eq!((&told["calls"], told["skipped"].to_string().contains("without their texts")), (&json!(0), true), "{told:#}");
    meno(&["audit", "--all"]).exits(0);
}
