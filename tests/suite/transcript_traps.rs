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
