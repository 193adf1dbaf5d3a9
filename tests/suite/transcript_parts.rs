//! Replies that were there in part when they were taken in: in the end each counts once, as it was in the end, whichever file told what.

use serde_json::{Value, json};

use crate::harness::House;
use crate::transcript_sources::{
    claude, claude_reply, codex, codex_exchange, codex_meta, document, house, import, rollout, runs, spent, whole, write,
};

/// A reply as one of its lines has it.
fn line(id: &str, output: u64, stop: Value, more: &[Value]) -> Value {
    let usage = json!({"input_tokens": 100, "cache_read_input_tokens": 7, "output_tokens": output});
    let mut reply = claude_reply(id, "claude-haiku-4-5", "Let me see", usage);
    reply["stop_reason"] = stop;
    reply["content"].as_array_mut().expect("blocks").extend(more.iter().cloned());
    claude("2026-07-01T10:00:05Z", "assistant", &format!("req_{id}"), reply)
}

fn ask(text: &str) -> Value {
    claude("2026-07-01T10:00:00Z", "user", "", json!({"content": text}))
}

/// All that is said of calls and money, but for ids.
fn told(house: &House) -> Value {
    let costs = document(house.meno(["costs", "--by", "day,model,tier", "--time-zone", "UTC", "--json"]));
    let telemetry = document(house.meno(["telemetry", "show", "--json"]));
    let sum = &telemetry["modes"][0]["total"];
    json!([costs["rows"], sum["calls"], sum["unknown"], sum["cost_nusd"], sum["tokens"]])
}

/// What a store says of calls and money that only ever saw these files.
fn once(files: &[(&str, &[Value])]) -> Value {
    let house = house();
    files.iter().for_each(|(name, lines)| write(&house.path(&format!("home/.claude/projects/{name}")), lines));
    import(&house, "claude-code");
    told(&house)
}

#[test]
fn a_reply_that_another_file_has_in_part_counts_whole_whichever_comes_first() {
    let part = [ask("Why?"), line("msg_1", 3, Value::Null, &[])];
    let all = [ask("Why?"), line("msg_1", 3, Value::Null, &[]), line("msg_1", 500, json!("end_turn"), &[])];
    let wanted = once(&[("-p/a.jsonl", &all)]);
    for (first, second) in [("-p/a.jsonl", "-p/b.jsonl"), ("-p/b.jsonl", "-p/a.jsonl"), ("-p/a.jsonl", "-q/a.jsonl")] {
        let house = house();
        let file = |name: &str| house.path(&format!("home/.claude/projects/{name}"));
        write(&file(first), &part);
        write(&file(second), &all);
        import(&house, "claude-code");
        assert_eq!(told(&house), wanted, "{first} has a part");
        house.meno(["audit", "--all"]).exits(0);
        let before = house.journal().len();
        std::fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
        let again = import(&house, "claude-code");
        assert_eq!((&again["calls"], &again["corrected"], house.journal().len()), (&json!(0), &json!(0), before), "{again:#}");
    }
}

#[test]
fn a_reply_that_was_taken_in_in_part_is_counted_whole_when_its_file_grows_or_another_has_more() {
    let tool = json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}});
    let part = vec![ask("Why?"), line("msg_1", 3, Value::Null, &[])];
    let result = claude(
        "2026-07-01T10:00:07Z",
        "user",
        "",
        json!({"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "src"}]}),
    );
    let rest = [line("msg_1", 500, json!("tool_use"), &[tool]), result, line("msg_2", 9, json!("end_turn"), &[])];
    let all = [part.clone(), rest.to_vec()].concat();
    let wanted = once(&[("-p/a.jsonl", &all)]);
    // In the same session, in a fork that began with it, and in one that another store would call the first.
    for (first, second) in [("-p/a.jsonl", "-p/a.jsonl"), ("-p/a.jsonl", "-p/b.jsonl"), ("-p/b.jsonl", "-p/a.jsonl")] {
        let house = house();
        let file = |name: &str| house.path(&format!("home/.claude/projects/{name}"));
        write(&file(first), &part);
        let begun = import(&house, "claude-code");
        assert_eq!((&begun["calls"], &begun["corrected"]), (&json!(1), &json!(0)), "{begun:#}");
        write(&file(second), &all);
        let grown = import(&house, "claude-code");
        assert_eq!((&grown["calls"], &grown["corrected"]), (&json!(1), &json!(1)), "{grown:#}");
        assert_eq!(told(&house), wanted, "{first}, then {second}");
        house.meno(["audit", "--all"]).exits(0);
        house.meno(["analytics", "--json"]).exits(0);
        let all: Vec<Value> = runs(&house).iter().map(|run| whole(&house, run)).collect();
        assert!(all.iter().all(|run| run["status"] == "succeeded"), "{all:#?}");
        let sum = |of: &dyn Fn(&Value) -> &Value| all.iter().filter_map(|run| of(run).as_u64()).sum::<u64>();
        // 107 tokens in, 7 of them out of the cache, and 500 and 9 out.
        assert_eq!(sum(&|run| &run["tokens"]["output"]), 509);
        assert_eq!(sum(&|run| &run["cost_nusd"]), spent(&house).0);
        assert_eq!(sum(&|run| &run["costs_by_tier"][0]["calls"]), 2, "a charge of a call that was counted is no further call");
        if first == second {
            let calls = &all[0]["agents"][0]["attempts"][0]["calls"];
            assert_eq!((&calls[0]["tokens"]["output"], &calls[0]["tools"][0]["ok"]), (&json!(500), &json!(true)), "{calls:#}");
        }
        let before = house.journal().len();
        std::fs::remove_file(house.store().join("transcripts.json")).expect("what was read");
        let again = import(&house, "claude-code");
        assert_eq!((&again["corrected"], house.journal().len()), (&json!(0), before), "{again:#}");
    }
}

#[test]
fn a_reply_of_codex_whose_tokens_come_late_is_the_same_call() {
    let house = house();
    let id = "019a0000-0000-7000-8000-00000000000a";
    let lines = [vec![codex_meta(id, None)], codex_exchange("2026-07-01T10:00:00Z", "Why?", "So", Some(100))].concat();
    let told_late = lines.iter().position(|line| line["payload"]["type"] == "token_count").expect("tokens");
    write(&rollout(&house, "sessions/2026/07/01", id), &lines[..told_late]);
    import(&house, "codex");
    assert_eq!(spent(&house).1, 1);
    write(&rollout(&house, "sessions/2026/07/01", id), &lines);
    let grown = import(&house, "codex");
    assert_eq!((&grown["calls"], &grown["corrected"], spent(&house).1), (&json!(0), &json!(1), 1), "{grown:#}");
    assert!(spent(&house).0 > 0);
    let again = [lines, vec![codex("2026-07-01T10:09:00Z", "event_msg", json!({"type": "task_complete"}))]].concat();
    write(&rollout(&house, "sessions/2026/07/01", id), &again);
    let grown = import(&house, "codex");
    assert_eq!((&grown["calls"], &grown["corrected"], spent(&house).1), (&json!(0), &json!(0), 1), "{grown:#}");
    house.meno(["audit", "--all"]).exits(0);
}
