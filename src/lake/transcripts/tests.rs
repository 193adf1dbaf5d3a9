//! Sessions read into events, without a store.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};

use super::conversation::Conversation;
use super::resume::RecordedSession;
use super::rules::Rules;
use super::tally::Tally;
use super::{Item, Session, Source, ToolResults, claude_code::ClaudeCode};
use crate::domain::event::{AttemptOutcome, Envelope, Event, Recorded};
use crate::domain::ids::{Hash, RunId, TimeNs};
use crate::domain::prices::PriceTable;
use crate::domain::redact::Redactor;
use crate::providers::embedded_prices;
use crate::views::transcripts::Seen;

type Events = Vec<(Event, Option<TimeNs>)>;

/// Reads the only session of a folder, as far as `known` does not have it.
fn read(source: &dyn Source, folder: &Path, seen: &mut Seen, known: Option<(RunId, RecordedSession)>) -> (Option<RunId>, Events) {
    let redactor = Redactor::new(Vec::<String>::new());
    let prices = PriceTable::merge([embedded_prices().unwrap()]);
    let rules = Rules {
        source: source.name(),
        provider: source.provider(),
        redactor: &redactor,
        prices: &prices,
        prices_hash: Hash::default(),
        tool_results: ToolResults::Short,
    };
    let mut tally = Tally::default();
    let sessions: Vec<Session> = source.detect(folder, &mut tally).unwrap();
    let [session] = sessions.as_slice() else { panic!("{sessions:?}") };
    let mut conversation = Conversation::new(&rules, session, seen, known);
    let mut take = |item| {
        match item {
            Item::Facts(facts) => conversation.facts(facts),
            Item::Entry(entry) => conversation.take(entry),
            Item::Read(_) => {}
        }
        ControlFlow::Continue(())
    };
    source.read(session, &mut tally, &mut take).unwrap();
    conversation.finish();
    (conversation.run(), conversation.drain())
}

/// What the log would know after these events.
fn fold(events: &[(Event, Option<TimeNs>)]) -> RecordedSession {
    let mut known = RecordedSession::default();
    for ((event, _), version) in events.iter().zip(1..) {
        let envelope = Envelope { seq: version, run: None, version, at: 0, occurred_at: None, cause: None };
        known.apply(&Recorded { envelope, hash: Hash::default(), event: event.clone() });
    }
    known
}

fn names(events: &Events) -> Vec<&'static str> {
    events.iter().map(|(event, _)| event.name()).collect()
}

fn line(kind: &str, second: u32, message: Value) -> String {
    json!({"type": kind, "timestamp": format!("2026-07-01T10:00:{second:02}.000Z"), "cwd": "/home/ada/shop", "message": message})
        .to_string()
}

fn reply(id: &str, stop: Value, content: Value) -> Value {
    json!({"id": id, "model": "claude-haiku-4-5", "stop_reason": stop, "content": content,
        "usage": {"input_tokens": 10, "output_tokens": 2}})
}

#[test]
fn whatever_a_session_had_when_it_was_read_first_the_rest_comes_with_the_second_reading() {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let tool = json!([{"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}}]);
    let lines = [
        line("user", 1, json!({"content": "first"})),
        line("assistant", 2, reply("a", json!("tool_use"), tool)),
        line("user", 3, json!({"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "src"}]})),
        line("assistant", 4, reply("b", json!("end_turn"), text("done"))),
        line("user", 5, json!({"content": "second"})),
        line("user", 6, json!({"content": "[Request interrupted by user]"})),
        line("user", 7, json!({"content": "third"})),
        line("assistant", 8, reply("c", json!("end_turn"), text("yes"))),
    ];
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let (_, whole) = read(&ClaudeCode, dir.path(), &mut Seen::default(), None);
    let without_ends = |names: Vec<&'static str>| -> Vec<&'static str> {
        let ends = ["AgentSucceeded", "AgentSkipped", "RunSucceeded", "RunCancelled", "RunResumed"];
        names.into_iter().filter(|name| !ends.contains(name)).collect()
    };
    for first in 1..lines.len() {
        fs::write(&file, lines[..first].join("\n") + "\n").unwrap();
        let mut seen = Seen::default();
        let (run, mut events) = read(&ClaudeCode, dir.path(), &mut seen, None);
        fs::write(&file, lines.join("\n")).unwrap();
        let known = run.map(|run| (run, fold(&events)));
        let (again, more) = read(&ClaudeCode, dir.path(), &mut seen, known);
        assert!(run.is_none() || run == again);
        events.extend(more);
        assert_eq!(without_ends(names(&events)), without_ends(names(&whole)), "after {first} lines");
        let known = fold(&events);
        let (_, nothing) = read(&ClaudeCode, dir.path(), &mut seen, again.map(|run| (run, known)));
        assert_eq!(names(&nothing), [""; 0], "a third reading, after {first} lines");
    }
    let outcomes: Vec<AttemptOutcome> = whole
        .iter()
        .filter_map(|(event, _)| match event {
            Event::AttemptEnded(ended) => Some(ended.outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [AttemptOutcome::Passed, AttemptOutcome::Cancelled, AttemptOutcome::Passed]);
}

#[test]
fn a_reply_that_is_asked_into_counts_what_its_last_line_says() {
    let reply = |id: &str, stop: Value, output: u64| {
        let usage = json!({"input_tokens": 10, "output_tokens": output});
        json!({"id": id, "model": "claude-haiku-4-5", "stop_reason": stop, "usage": usage, "content": [{"type": "text", "text": id}]})
    };
    let lines = [
        line("user", 1, json!({"content": "first"})),
        line("assistant", 2, reply("a", Value::Null, 2)),
        line("user", 3, json!({"content": "second, asked meanwhile"})),
        line("assistant", 4, reply("a", json!("end_turn"), 50)),
        line("assistant", 6, reply("b", json!("end_turn"), 3)),
        line("user", 7, json!({"content": "third"})),
        line("assistant", 8, reply("c", Value::Null, 4)),
        line("user", 9, json!({"content": "[Request interrupted by user]"})),
        line("user", 10, json!({"content": "fourth"})),
        line("assistant", 11, reply("d", json!("end_turn"), 5)),
    ];
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.jsonl"), lines.join("\n")).unwrap();
    let (_, events) = read(&ClaudeCode, dir.path(), &mut Seen::default(), None);
    let used: Vec<u64> = events
        .iter()
        .filter_map(|(event, _)| match event {
            Event::CallReplied(replied) => Some(replied.usage.output),
            _ => None,
        })
        .collect();
    assert_eq!(used, [50, 3, 4, 5], "each once, as its last line says; an interrupted one as it stands");
    let outcomes: Vec<AttemptOutcome> = events
        .iter()
        .filter_map(|(event, _)| match event {
            Event::AttemptEnded(ended) => Some(ended.outcome),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, [AttemptOutcome::Passed, AttemptOutcome::Passed, AttemptOutcome::Cancelled, AttemptOutcome::Passed]);
}

#[test]
fn tokens_that_cannot_be_are_unknown_and_a_model_stands_in_one_tier() {
    let message = |id: &str, usage: Value| {
        let message = json!({"id": id, "model": "claude-haiku-4-5", "stop_reason": "end_turn", "content": "x", "usage": usage});
        line("assistant", 2, message)
    };
    let lines = [
        message("a", json!({"input_tokens": u64::MAX, "output_tokens": 1})),
        message("b", json!({"input_tokens": 3, "output_tokens": 1})),
    ];
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.jsonl"), lines.join("\n")).unwrap();
    let (_, events) = read(&ClaudeCode, dir.path(), &mut Seen::default(), None);
    let costs: Vec<_> = events
        .iter()
        .filter_map(|(event, _)| match event {
            Event::CostIncurred(cost) => Some((cost.usage.map(|usage| usage.input), cost.amount.is_some(), cost.tier)),
            _ => None,
        })
        .collect();
    assert_eq!(costs, [(None, false, costs[1].2), (Some(3), true, costs[1].2)]);
}

#[test]
fn a_link_that_leads_back_is_followed_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("p");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("s.jsonl"), "").unwrap();
    std::os::unix::fs::symlink(dir.path(), folder.join("again")).unwrap();
    std::os::unix::fs::symlink(&folder, dir.path().join("a")).unwrap();
    let found = super::files::find(dir.path(), &|path| path.extension().is_some(), &mut Tally::default());
    assert_eq!(found, [folder.join("s.jsonl")]);
}

#[test]
fn a_text_that_grows_is_taken_once_and_cache_writes_without_a_lifetime_are_short() {
    let usage = json!({"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 70, "cache_creation": {
        "ephemeral_1h_input_tokens": 50, "ephemeral_5m_input_tokens": 0}});
    let message =
        |text: &str| json!({"id": "a", "model": "claude-haiku-4-5", "stop_reason": null, "usage": usage, "content": text});
    let lines = ["Hel", "Hello wor", "Hello world"].map(|text| line("assistant", 2, message(text)));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("s.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let (_, events) = read(&ClaudeCode, dir.path(), &mut Seen::default(), None);
    let replies: Vec<_> = events
        .iter()
        .filter_map(|(event, _)| match event {
            Event::CallReplied(replied) => Some(replied),
            _ => None,
        })
        .collect();
    let [replied] = replies.as_slice() else { panic!("{events:?}") };
    assert_eq!((replied.usage.cache_write_1h, replied.usage.cache_write_5m), (50, 20));
    assert!(format!("{:?}", replied.private).contains("Inline(\"Hello world\")"));
}
