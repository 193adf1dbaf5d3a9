//! What trials found in sessions: replies that are charged otherwise than the table says, that stream at once, that say little of themselves.

use std::fs;

use serde_json::{Value, json};

use crate::transcript_sources::{
    age, claude, claude_reply, codex, codex_exchange, codex_meta, house, import, rollout, runs, spent, whole, write,
};

#[test]
fn what_is_charged_besides_the_tables_prices_is_not_known() {
    let house = house();
    let ask = claude("2026-07-01T10:00:00Z", "user", "", json!({"content": "Look it up"}));
    let reply = |id: &str, more: Value| {
        let mut usage = json!({"input_tokens": 100, "output_tokens": 10, "service_tier": "standard", "inference_geo": "global"});
        usage.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        claude("2026-07-01T10:00:05Z", "assistant", id, claude_reply(id, "claude-haiku-4-5", id, usage))
    };
    let lines = [
        ask,
        reply("plain", json!({"server_tool_use": {"web_search_requests": 0}})),
        reply("searched", json!({"server_tool_use": {"web_search_requests": 3}})),
        reply("batch", json!({"service_tier": "batch"})),
        reply("region", json!({"inference_geo": "us"})),
        reply("fast", json!({"speed": "fast"})),
    ];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    let told = import(&house, "claude-code");
    assert_eq!((spent(&house), &told["cost_complete"]), ((150_000, 5), &json!(false)), "{told:#}");
    for why in ["web searches", "service tier", "region", "fast mode"] {
        assert!(told["unpriced"].to_string().contains(why), "{why}: {told:#}");
    }
}

#[test]
fn replies_that_stream_at_once_into_one_thread_count_as_they_end() {
    let house = house();
    let line = |id: &str, output: u64, stop: Value| {
        let usage = json!({"input_tokens": 100, "output_tokens": output});
        let mut reply = claude_reply(id, "claude-haiku-4-5", id, usage);
        reply["stop_reason"] = stop;
        claude("2026-07-01T10:00:05Z", "assistant", id, reply)
    };
    let ids = ["a", "b", "c", "d", "e"];
    let mut lines = vec![claude("2026-07-01T10:00:00Z", "user", "", json!({"content": "All at once"}))];
    lines.extend(ids.map(|id| line(id, 1, Value::Null)));
    lines.extend(ids.map(|id| line(id, 10, json!("end_turn"))));
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    import(&house, "claude-code");
    assert_eq!(spent(&house), (5 * 150_000, 5));
}

#[test]
fn a_session_begins_with_its_first_line_and_a_line_without_a_date_is_as_old_as_the_next() {
    let house = house();
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let mut undated = claude("", "user", "", json!({"content": "When was this?"}));
    undated.as_object_mut().expect("an object").remove("timestamp");
    let aside = |at: &str, kind: &str, message: Value| {
        let mut line = claude(at, kind, "req_side", message);
        (line["isSidechain"], line["agentId"]) = (json!(true), json!("x"));
        line
    };
    let lines = [
        undated,
        claude("2026-07-01T10:00:05Z", "assistant", "req_1", {
            let mut reply = claude_reply("msg_1", "claude-haiku-4-5", "one moment", usage.clone());
            reply["stop_reason"] = json!("tool_use");
            reply["content"] = json!([{"type": "tool_use", "id": "t1", "name": "Task", "input": {}}]);
            reply
        }),
        aside("2026-07-01T10:00:06Z", "user", json!({"content": "Look"})),
        aside("2026-07-01T10:00:07Z", "assistant", claude_reply("msg_2", "claude-haiku-4-5", "seen", usage.clone())),
        claude(
            "2026-07-01T10:00:08Z",
            "user",
            "",
            json!({"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "seen"}]}),
        ),
        claude("2026-07-01T10:00:09Z", "assistant", "req_3", claude_reply("msg_3", "claude-haiku-4-5", "Now", usage)),
    ];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    import(&house, "claude-code");
    let run = whole(&house, &runs(&house)[0]);
    assert_eq!(run["started_at"], "2026-07-01T10:00:05Z", "{run:#}");
    assert!(run["duration_ms"].as_u64() <= Some(5_000), "{run:#}");
}

#[test]
fn what_another_store_has_of_half_a_session_keeps_no_half_out() {
    let lake = tempfile::tempdir().expect("a folder");
    let lake = lake.path().to_str().expect("a text");
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let ask = |at: &str, text: &str| claude(at, "user", "", json!({"content": text}));
    let reply = |at: &str, id: &str| claude(at, "assistant", id, claude_reply(id, "claude-haiku-4-5", id, usage.clone()));
    let half = vec![ask("2026-07-01T10:00:00Z", "Zebras?"), reply("2026-07-01T10:00:05Z", "stripes")];
    let whole = [half.clone(), vec![ask("2026-07-01T11:00:00Z", "Giraffes?"), reply("2026-07-01T11:00:05Z", "necks")]].concat();
    let stores = [half, whole.clone()].map(|lines| {
        let house = house();
        write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
        import(&house, "claude-code");
        house.meno(["push", lake]).exits(0);
        house
    });
    let both = house();
    both.meno(["pull", lake]).exits(0);
    assert_eq!(spent(&both), (300_000, 2), "of two logs the one with more of a run tells it");
    let [half, _] = stores;
    half.meno(["pull", lake]).exits(0);
    write(&half.path("home/.claude/projects/-p/s.jsonl"), &whole);
    import(&half, "claude-code");
    assert_eq!(spent(&half), (300_000, 2), "what is missing comes in");
}

#[test]
fn the_rest_of_a_session_that_two_stores_took_in_counts_once() {
    let lake = tempfile::tempdir().expect("a folder");
    let lake = lake.path().to_str().expect("a text");
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let ask = |at: &str, text: &str| claude(at, "user", "", json!({"content": text}));
    let reply = |at: &str, id: &str| claude(at, "assistant", id, claude_reply(id, "claude-haiku-4-5", id, usage.clone()));
    let half = vec![ask("2026-07-01T10:00:00Z", "Zebras?"), reply("2026-07-01T10:00:05Z", "stripes")];
    let whole = [half.clone(), vec![ask("2026-07-01T11:00:00Z", "Giraffes?"), reply("2026-07-01T11:00:05Z", "necks")]].concat();
    // Both see the same folder: one takes in the beginning, the other one the rest, and the first one the rest as well.
    let [first, second, third] = [house(), house(), house()];
    let take_in = |house: &crate::harness::House, lines: &[Value]| {
        write(&house.path("home/.claude/projects/-p/s.jsonl"), lines);
        import(house, "claude-code");
    };
    take_in(&first, &half);
    first.meno(["push", lake]).exits(0);
    second.meno(["pull", lake]).exits(0);
    take_in(&second, &whole);
    second.meno(["push", lake]).exits(0);
    take_in(&first, &whole);
    first.meno(["push", lake]).exits(0);
    for house in [&first, &second, &third] {
        house.meno(["pull", lake]).exits(0);
        assert_eq!(spent(house), (300_000, 2));
    }
}

#[test]
fn a_session_of_codex_that_ends_with_a_web_search_has_ended() {
    let house = house();
    let mut lines = vec![codex_meta("0199-a", None)];
    lines.extend(codex_exchange("2026-03-01T10:00:01Z", "one", "eins", None));
    let search =
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}});
    lines.push(codex("2026-03-01T10:00:02Z", "response_item", search));
    let counts = json!({"input_tokens": 1000, "cached_input_tokens": 0, "output_tokens": 10, "total_tokens": 1010});
    let info = json!({"total_token_usage": counts, "last_token_usage": counts});
    lines.push(codex("2026-03-01T10:00:03Z", "event_msg", json!({"type": "token_count", "info": info})));
    let path = rollout(&house, "sessions/2026/03/01", "0199-a");
    write(&path, &lines);
    let text = fs::read_to_string(&path).expect("a text");
    fs::write(&path, format!("\u{feff}{text}")).expect("written");
    age(&path);
    let told = import(&house, "codex");
    assert_eq!((&told["calls"], &told["tools"], spent(&house)), (&json!(1), &json!(1), (1_350_000, 1)), "{told:#}");
    assert_eq!(runs(&house)[0]["status"], "succeeded");
}

#[test]
fn two_forks_of_codex_that_come_to_the_same_numbers_are_two() {
    let house = house();
    let first = codex_exchange("2026-03-01T10:00:01Z", "one", "eins", Some(1000));
    write(&rollout(&house, "sessions/2026/03/01", "0199-root"), &[vec![codex_meta("0199-root", None)], first.clone()].concat());
    for (id, question, answer) in [("0199-a", "two", "zwei"), ("0199-b", "two", "deux"), ("0199-c", "three", "zwei")] {
        let own = codex_exchange("2026-03-01T12:00:01Z", question, answer, Some(2000));
        let lines = [vec![codex_meta(id, Some("0199-root"))], first.clone(), own].concat();
        write(&rollout(&house, "sessions/2026/03/02", id), &lines);
    }
    import(&house, "codex");
    assert_eq!(spent(&house), (4 * 1_350_000, 4));
    fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
    assert_eq!(import(&house, "codex")["calls"], 0);
}

#[test]
fn a_rollout_of_before_lines_had_times_is_a_session_whose_tokens_are_unknown() {
    let house = house();
    let id = "019a0000-0000-7000-8000-00000000000b";
    let message =
        |role: &str, kind: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let call = json!({"type": "function_call", "name": "shell", "arguments": "{\"command\":[\"ls\"]}", "call_id": "c1"});
    let output =
        json!({"type": "function_call_output", "call_id": "c1", "output": "{\"output\":\"src\",\"metadata\":{\"exit_code\":0}}"});
    let lines = [
        json!({"id": id, "timestamp": "2025-08-01T10:00:00.000Z", "instructions": null, "git": {"branch": "main"}}),
        json!({"record_type": "state"}),
        message("user", "input_text", "<environment_context>\n  <cwd>/home/ada/api</cwd>\n</environment_context>"),
        message("user", "input_text", "What is a heron?"),
        json!({"type": "reasoning", "summary": []}),
        call,
        output,
        message("assistant", "output_text", "A bird"),
    ];
    write(&rollout(&house, "sessions/2025/08/01", id), &lines);
    let told = import(&house, "codex");
    assert_eq!((&told["imported"], &told["calls"], &told["tools"]), (&json!(1), &json!(2), &json!(1)), "{told:#}");
    assert_eq!(
        (&told["left_out"], &told["skipped"], &told["cost_complete"]),
        (&json!([]), &json!([]), &json!(false)),
        "{told:#}"
    );
    let run = whole(&house, &runs(&house)[0]);
    assert_eq!((&run["workspace"], &run["labels"]["branch"]), (&json!("/home/ada/api"), &json!("main")), "{run:#}");
    assert_eq!((&run["untold_calls"], &run["cost_complete"]), (&json!(2), &json!(false)), "unknown, not zero");
    assert_eq!(import(&house, "codex")["calls"], 0);
}

#[test]
fn two_subagents_whose_lines_do_not_say_whose_they_are_have_their_own_prompts() {
    let house = house();
    let line = |id: &str, parent: Option<&str>, kind: &str, message: Value| {
        let mut line = claude("2026-07-01T10:00:05Z", kind, &format!("req_{id}"), message);
        (line["uuid"], line["parentUuid"], line["isSidechain"]) = (json!(id), json!(parent), json!(true));
        line
    };
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let reply = |id: &str, text: &str| claude_reply(id, "claude-haiku-4-5", text, usage.clone());
    let mut main = claude("2026-07-01T10:00:00Z", "user", "", json!({"content": "Ask two"}));
    (main["uuid"], main["parentUuid"]) = (json!("m1"), json!(null));
    let mut done = claude("2026-07-01T10:00:09Z", "assistant", "req_m", reply("msg_m", "Both said so"));
    (done["uuid"], done["parentUuid"]) = (json!("m2"), json!("m1"));
    let mut before = claude("2026-07-01T10:00:01Z", "user", "", json!({"content": "More", "role": "user"}));
    (before["uuid"], before["parentUuid"]) = (json!("m3"), json!("m1"));
    let lines = [
        main,
        before,
        line("a1", None, "user", json!({"content": "What do herons eat?"})),
        line("b1", None, "user", json!({"content": "What do owls eat?"})),
        line("a2", Some("a1"), "assistant", reply("msg_a", "Fish")),
        line("b2", Some("b1"), "assistant", reply("msg_b", "Mice")),
        done,
    ];
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &lines);
    import(&house, "claude-code");
    let run = whole(&house, &runs(&house)[0]);
    let agents = run["agents"].as_array().expect("agents").iter().skip(1);
    let said = agents.map(|agent| {
        let attempt = &agent["attempts"][0];
        (attempt["task"].as_str().unwrap_or("-"), attempt["output"].as_str().unwrap_or("-"), &attempt["status"])
    });
    let passed = json!("passed");
    let wanted = [("What do herons eat?", "Fish", &passed), ("What do owls eat?", "Mice", &passed)];
    assert_eq!(said.collect::<Vec<_>>(), wanted, "{run:#}");
}

#[test]
fn what_an_advisor_and_a_compaction_used_are_calls_of_their_own() {
    let house = house();
    let part = |kind: &str, model: Value, input: u64, output: u64| json!({"type": kind, "model": model, "input_tokens": input, "output_tokens": output});
    let usage = json!({"input_tokens": 4, "output_tokens": 683, "iterations": [
        part("message", json!(null), 2, 85),
        part("advisor_message", json!("claude-opus-4-8"), 91_627, 18_716),
        part("compaction", json!(null), 1_000, 100),
        part("message", json!(null), 2, 598),
    ]});
    let ask = claude("2026-10-01T10:00:00Z", "user", "", json!({"content": "q"}));
    let mut reply = claude_reply("m1", "claude-haiku-4-5", "a", usage);
    reply["content"] = json!([{"type": "server_tool_use", "id": "srv1", "name": "advisor", "input": {}},
        {"type": "advisor_tool_result", "tool_use_id": "srv1", "content": {"type": "advisor_result", "text": "use a mutex"}},
        {"type": "text", "text": "a"}]);
    let line = claude("2026-10-01T10:00:05Z", "assistant", "r1", reply);
    // It is written twice, as it streams.
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &[ask.clone(), line.clone(), line]);
    let told = import(&house, "claude-code");
    let haiku = 4 * 1_000 + 683 * 5_000 + 1_000 * 1_000 + 100 * 5_000;
    let opus = 91_627 * 5_000 + 18_716 * 25_000;
    assert_eq!((spent(&house), &told["left_out"]), ((haiku + opus, 3), &json!([])), "{told:#}");
    let run = whole(&house, &runs(&house)[0]);
    let attempts = run["agents"][0]["attempts"].as_array().expect("attempts");
    assert_eq!((attempts.len(), &attempts[0]["output"], &attempts[0]["status"]), (1, &json!("a"), &json!("passed")), "{run:#}");
    assert_eq!(import(&house, "claude-code")["calls"], 0);

    // Where another model answered in its place, a part of it is priced by nobody here.
    let house = self::house();
    let usage =
        json!({"input_tokens": 4, "output_tokens": 9, "iterations": [part("fallback_message", json!("claude-haiku-4-5"), 4, 9)]});
    let line = claude("2026-10-01T10:00:05Z", "assistant", "r1", claude_reply("m1", "claude-haiku-4-5", "a", usage));
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &[ask, line]);
    let told = import(&house, "claude-code");
    assert!(told["cost_complete"] == false && told["unpriced"].to_string().contains("several models"), "{told:#}");
}

#[test]
fn what_a_person_typed_is_kept_wherever_it_stands() {
    let house = house();
    let at = |second: u32| format!("2026-10-01T10:00:{second:02}Z");
    let user = |second: u32, content: Value| claude(&at(second), "user", "", json!({"content": content}));
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let says = |second: u32, id: &str, text: &str| {
        claude(&at(second), "assistant", id, claude_reply(id, "claude-haiku-4-5", text, usage.clone()))
    };
    let mut uses = says(3, "m1", "I look");
    uses["message"]["stop_reason"] = json!("tool_use");
    uses["message"]["content"] = json!([{"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.rs"}}]);
    let queued = |second: u32, mode: &str, text: &str| json!({"type": "attachment", "timestamp": at(second), "attachment": {"type": "queued_command", "prompt": text, "commandMode": mode}});
    let lines = [
        user(1, json!("first question")),
        uses,
        user(
            4,
            json!([{"type": "tool_result", "tool_use_id": "t1", "content": "fn main() {}"}, {"type": "text", "text": "look at the weasel too"}]),
        ),
        says(5, "m2", "a weasel"),
        queued(6, "task-notification", "a task is done"),
        queued(7, "prompt", "and the kangaroo please"),
        // Some versions write it as a line of its own as well.
        user(8, json!("and the kangaroo please")),
        says(9, "m3", "a kangaroo"),
        // Asked again in the same words, after the answer.
        user(9, json!("and the kangaroo please")),
        says(9, "m4", "another kangaroo"),
        user(10, json!("<bash-input>ls giraffe</bash-input>")),
        user(11, json!("<bash-stdout>giraffe</bash-stdout><bash-stderr></bash-stderr>")),
        json!({"type": "ai-title", "title": "x"}),
    ];
    let path = house.path("home/.claude/projects/-p/s.jsonl");
    write(&path, &lines);
    let told = import(&house, "claude-code");
    assert_eq!((&told["left_out"], &told["skipped"]), (&json!([]), &json!([])), "{told:#}");
    let exchanges = |house: &crate::harness::House| -> Vec<(String, String)> {
        let run = whole(house, &runs(house)[0]);
        let attempts = run["agents"][0]["attempts"].as_array().expect("attempts").clone();
        let word = |attempt: &Value, name: &str| attempt[name].as_str().unwrap_or("-").to_owned();
        attempts.iter().map(|attempt| (word(attempt, "task"), word(attempt, "output"))).collect()
    };
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let wanted = [
        pair("first question", ""),
        pair("look at the weasel too", "a weasel"),
        pair("and the kangaroo please", "a kangaroo"),
        pair("and the kangaroo please", "another kangaroo"),
    ];
    assert_eq!(exchanges(&house), wanted, "a command of the shell asks no model");

    // A line behind one that a crash cut off.
    let house = self::house();
    let cut = r#"{"type":"user","timestamp":"2026-10-01T10:00:01Z","me"#;
    let text = format!("{cut}{}\n{}\n", user(2, json!("asked again")), says(3, "m1", "yes"));
    let path = house.path("home/.claude/projects/-p/s.jsonl");
    write(&path, &[]);
    fs::write(&path, text).expect("written");
    age(&path);
    let told = import(&house, "claude-code");
    assert!(told["skipped"].to_string().contains("cut off"), "{told:#}");
    assert_eq!(exchanges(&house), [pair("asked again", "yes")]);
}

#[test]
fn a_fork_leaves_what_it_repeats_to_the_session_it_is_from() {
    let house = house();
    let at = |second: u32| format!("2026-10-01T10:00:{second:02}Z");
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    let ask = claude(&at(1), "user", "", json!({"content": "q"}));
    let mut uses = claude(&at(2), "assistant", "r1", claude_reply("m1", "claude-haiku-4-5", "", usage.clone()));
    uses["message"]["content"] = json!([{"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_path": "a.rs"}}]);
    uses["message"]["stop_reason"] = json!("tool_use");
    let result =
        claude(&at(3), "user", "", json!({"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "text"}]}));
    let done = claude(&at(4), "assistant", "r2", claude_reply("m2", "claude-haiku-4-5", "done", usage.clone()));
    let other = claude(&at(5), "assistant", "r3", claude_reply("m3", "claude-haiku-4-5", "other", usage));
    let forked = |line: &Value| {
        let mut line = line.clone();
        line["forkedFrom"] = json!({"sessionId": "s"});
        line
    };
    let folder = house.path("home/.claude/projects/-p");
    write(&folder.join("s.jsonl"), &[ask.clone(), uses.clone(), result, done]);
    let fork = folder.join("a-fork.jsonl");
    write(&fork, &[forked(&ask), forked(&uses), other]);
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(900_000);
    fs::File::options().append(true).open(&fork).and_then(|file| file.set_modified(long_ago)).expect("a date");
    import(&house, "claude-code");
    let all = runs(&house);
    let run = all.iter().map(|run| whole(&house, run)).find(|run| run.to_string().contains("\"done\"")).expect("the session");
    let tools = run["agents"][0]["attempts"][0]["calls"][0]["tools"].as_array().expect("tools");
    assert_eq!((tools.len(), &tools[0]["ok"]), (1, &json!(true)), "{run:#}");
    assert_eq!(spent(&house), (3 * 150_000, 3));
}

#[test]
fn more_tokens_than_there_can_be_are_no_sum() {
    let house = house();
    let ask = claude("2026-10-01T10:00:00Z", "user", "", json!({"content": "q"}));
    let usage = json!({"input_tokens": 100, "output_tokens": 1_000_000_000_000_000_u64});
    let line = claude("2026-10-01T10:00:05Z", "assistant", "r1", claude_reply("m1", "claude-haiku-4-5", "a", usage));
    write(&house.path("home/.claude/projects/-p/s.jsonl"), &[ask, line]);
    let told = import(&house, "claude-code");
    assert_eq!((spent(&house).0, &told["cost_complete"]), (0, &json!(false)), "{told:#}");
}

#[test]
fn who_changed_a_file_comes_before_who_read_it() {
    let house = house();
    let usage = json!({"input_tokens": 100, "output_tokens": 10});
    for (number, tool) in ["Read", "Read", "Edit", "Read"].into_iter().enumerate() {
        let at = |second: u32| format!("2026-10-0{}T10:00:0{second}Z", number + 1);
        let mut uses =
            claude(&at(2), "assistant", "", claude_reply(&format!("m{number}"), "claude-haiku-4-5", "", usage.clone()));
        let input = json!({"file_path": "/home/ada/shop/src/billing.py", "old_string": "a", "new_string": "b"});
        uses["message"]["content"] = json!([{"type": "text", "text": "billing.py, billing.py"}, {"type": "tool_use", "id": "t", "name": tool, "input": input}]);
        let lines = [
            claude(&at(1), "user", "", json!({"content": "What was changed in billing.py?"})),
            uses,
            claude(&at(3), "user", "", json!({"content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]})),
        ];
        write(&house.path(&format!("home/.claude/projects/-p/s{number}.jsonl")), &lines);
    }
    import(&house, "claude-code");
    let changer = runs(&house)[2]["run_id"].clone();
    for question in ["runs that changed billing.py", "who edited src/billing.py", "changed /home/ada/shop/src/billing.py"] {
        let found =
            serde_json::from_str::<Value>(&house.meno(["search", question, "--json"]).exits(0).stdout).expect("a document");
        assert_eq!(found["hits"][0]["run_id"], changer, "{question}: {found:#}");
    }
}
