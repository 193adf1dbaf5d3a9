//! Agents that use tools: against a server that asks for them as models do, in all four wire formats, and against scripted
//! simulations that are killed on the way.

use std::collections::BTreeMap;
use std::fs;

use meno::event::{Event, Recorded, Text, ToolFault};
use serde_json::{Value, json};

use crate::harness::{Done, House, assert_nothing_repeated, cannot_check, files, files_with, finish};
use crate::llm_server::{LlmServer, Received, Turn};

const KEY: &str = "wire-key-0123456789abcdef0123456789";
const SECRET: &str = "what lies outside of the workspace";

const FORMATS: [(&str, &str, &str); 4] = [
    ("anthropic", "", "x-api-key"),
    ("openai-chat", "/v1", "bearer"),
    ("openai-responses", "/v1", "bearer"),
    ("ollama", "", "bearer"),
];

/// One agent that has to say what stands in a file.
fn looker(tools: &[&str]) -> Value {
    json!({
        "template_id": "look", "name": "Look", "description": "One agent that looks before it answers", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Look", "description": "What is looked for", "questions": [
            {"id": "what", "text": "What?", "type": "text_input", "default": "the answer"}]},
        "agent_composition_rules": [
            {"role": "looker", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Find {{answers.what}}.",
             "tools": tools, "success_criteria": [{"name": "says it", "type": "contains", "value": "42"}]}]
    })
}

const TOOLS: [&str; 4] = ["list_files", "find_files", "read_file", "search_files"];

/// A house whose work folder has files to look at, and a secret beside it.
fn house() -> House {
    let house = House::new();
    house.template("look", &looker(&TOOLS));
    fs::write(house.path("work/notes.txt"), "first\nthe answer is 42\n").expect("written");
    fs::write(house.path("work/huge.txt"), "a line of a huge file\n".repeat(20_000)).expect("written");
    fs::write(house.path("outside.txt"), SECRET).expect("written");
    std::os::unix::fs::symlink("../outside.txt", house.path("work/link.txt")).expect("a link");
    house
}

fn settings(kind: &str, base_url: &str, auth: &str) -> String {
    let tiers = ["cheap", "capable", "premium"]
        .map(|tier| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"small\"\nmax_output_tokens = 512\n"));
    format!(
        "{}[providers.wire]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\napi_key_env = \"WIRE_KEY\"\nauth = \"{auth}\"\n",
        tiers.concat()
    )
}

async fn meno(house: &House, args: &[&str]) -> Done {
    let mut command = house.command(args);
    command.env("WIRE_KEY", KEY);
    tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic")
}

const RUN: [&str; 4] = ["run", "look", "--no-input", "--json"];
/// The same with words for people: what is said before a run begins is among them.
const PLAIN: [&str; 3] = ["run", "look", "--no-input"];

/// Returns what is known of the last run.
fn last(house: &House) -> Value {
    let shown = house.meno(["show-run", "last", "--json"]).exits(0).stdout;
    serde_json::from_str(&shown).expect("a document")
}

/// What the model was told of the tool calls of one turn, by what went over the wire: id, text, and whether it is marked as an error.
fn results(kind: &str, request: &Received, turn: usize) -> Vec<(String, String, Option<bool>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<(usize, String, String, Option<bool>)> = match kind {
        "anthropic" => {
            let messages = request.body["messages"].as_array().expect("messages").iter().enumerate();
            messages
                .flat_map(|(at, message)| {
                    let blocks = message["content"].as_array().expect("blocks").clone();
                    let results = blocks.into_iter().filter(|block| block["type"] == "tool_result");
                    results.map(move |block| {
                        (at / 2 - 1, text(&block["tool_use_id"]), text(&block["content"]), block["is_error"].as_bool())
                    })
                })
                .collect()
        }
        "openai-chat" | "ollama" => {
            let mut turn = 0;
            let mut found = Vec::new();
            for message in request.body["messages"].as_array().expect("messages") {
                match message["role"].as_str() {
                    Some("assistant") => turn += 1,
                    Some("tool") => {
                        let id = if kind == "ollama" { "tool_name" } else { "tool_call_id" };
                        found.push((turn - 1, text(&message[id]), text(&message["content"]), None));
                    }
                    _ => {}
                }
            }
            found
        }
        _ => {
            let mut turn = 0;
            let mut in_results = true;
            let mut found = Vec::new();
            for item in request.body["input"].as_array().expect("items") {
                let is_result = item["type"] == "function_call_output";
                turn += usize::from(is_result && !in_results);
                in_results = is_result;
                if is_result {
                    found.push((turn - 1, text(&item["call_id"]), text(&item["output"]), None));
                }
            }
            found
        }
    };
    found.into_iter().filter(|(at, ..)| *at == turn).map(|(_, id, text, error)| (id, text, error)).collect()
}

/// How each tool ended: why it did not do what it was asked, and whether it only told an earlier result again.
fn ended(journal: &[Recorded]) -> Vec<(Option<ToolFault>, bool)> {
    let ended = journal.iter().filter_map(|recorded| match &recorded.event {
        Event::ToolEnded(body) => Some((body.fault, body.repeats.is_some())),
        _ => None,
    });
    ended.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_work_in_every_wire_format_whatever_a_model_asks_for() {
    for (kind, path, auth) in FORMATS {
        let server = LlmServer::start([
            Turn::text("Let me look.")
                .tool("read_file", json!({"path": "notes.txt"}))
                .tool("search_files", json!({"pattern": "answer"}))
                .tool("fly to the moon", json!({}))
                .tool("read_file", json!("{\"path\": \"no"))
                .tool("read_file", json!({"path": "../outside.txt"}))
                .tool("read_file", json!({"path": "link.txt"}))
                .tool("read_file", json!({"path": "/proc/self/environ"})),
            Turn::text("").tool("read_file", json!({"path": "huge.txt"})).tool("read_file", json!({"path": "notes.txt"})),
            Turn::text("The answer is 42."),
        ])
        .await;
        let house = house();
        house.configure(&settings(kind, &server.base_url(path), auth));
        let done = meno(&house, &PLAIN).await.exits(0);
        assert!(done.stderr.contains("agents may read files below"), "{}", done.stderr);
        let requests = server.requests();
        assert_eq!(requests.len(), 3, "{kind}");

        // Tools go out in the provider's own form.
        let first = &requests[0].body;
        let tools = first["tools"].as_array().unwrap_or_else(|| panic!("{kind}: no tools in {first}"));
        let name = |tool: &Value| match kind {
            "openai-chat" | "ollama" => (tool["function"]["name"].clone(), tool["function"]["parameters"].is_object()),
            "anthropic" => (tool["name"].clone(), tool["input_schema"].is_object()),
            _ => (tool["name"].clone(), tool["parameters"].is_object()),
        };
        assert_eq!(tools.iter().map(name).collect::<Vec<_>>(), TOOLS.map(|tool| (json!(tool), true)), "{kind}");

        // Results come back in the order of the calls, each by its id.
        let told = results(kind, &requests[1], 0);
        assert_eq!(told.len(), 7, "{kind}: {}", requests[1].body);
        let ids: Vec<&str> = told.iter().map(|(id, ..)| id.as_str()).collect();
        match kind {
            "anthropic" => assert_eq!(ids, (1..=7).map(|n| format!("toolu_{n}")).collect::<Vec<_>>()),
            "ollama" => assert_eq!(&ids[..3], ["read_file", "search_files", "fly_to_the_moon"]),
            _ => assert_eq!(ids, (1..=7).map(|n| format!("call_{n}")).collect::<Vec<_>>(), "{kind}"),
        }
        for (index, words) in [
            (0, "     2\tthe answer is 42"),
            (1, "notes.txt:2: the answer is 42"),
            (2, "There is no tool `fly to the moon`. You have: list_files, find_files, read_file, search_files."),
            (3, "are not JSON: {\"path\": \"no"),
            (4, "`../outside.txt` is outside of the workspace"),
            (5, "`link.txt` is a link to `../outside.txt`, and links are not followed"),
            (6, "`/proc/self/environ` is outside of the workspace"),
        ] {
            assert!(told[index].1.contains(words), "{kind} {index}: {}", told[index].1);
            assert!(told[index].1.starts_with("<result mark=\""), "{kind}: a result is fenced");
            assert!(kind != "anthropic" || told[index].2 == Some(index > 1), "{kind} {index}: {:?}", told[index].2);
        }
        // What was asked before is told again, and a huge file comes in part.
        let told = results(kind, &requests[2], 1);
        assert!(told[0].1.contains("huge.txt, lines 1 to ") && told[0].1.len() < 40_000, "{kind}: {}", told[0].1.len());
        assert!(told[1].1.contains("the answer is 42"), "{kind}");
        assert_eq!(results(kind, &requests[2], 0), results(kind, &requests[1], 0), "{kind}: the conversation stays as it was");
        // Sealed reasoning goes back as it came.
        let body = requests[1].body.to_string();
        match kind {
            "anthropic" => {
                assert!(body.contains(r#"{"type":"thinking","thinking":"I should look.","signature":"signed"}"#), "{body}");
                assert!(requests[1].body["messages"][2]["content"][6]["cache_control"].is_object(), "{body}");
            }
            "openai-responses" => assert!(body.contains("sealed thoughts"), "{body}"),
            _ => {}
        }
        let all: String = requests.iter().map(|request| request.body.to_string()).collect();
        assert!(!all.contains(SECRET) && !all.contains(KEY), "{kind}");

        // The log has each tool before it ran and after.
        let journal = house.journal();
        let faults = ended(&journal);
        let not = |fault| (Some(fault), false);
        let expected = [
            (None, false),
            (None, false),
            not(ToolFault::UnknownTool),
            not(ToolFault::BadArguments),
            not(ToolFault::NotAllowed),
            not(ToolFault::NotAllowed),
            not(ToolFault::NotAllowed),
            (None, false),
            (None, true),
        ];
        let mut sorted = (faults, expected.to_vec());
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1, "{kind}");
        assert!(files_with(&house.store(), SECRET).is_empty(), "{kind}");
        meno(&house, &["audit"]).await.exits(0);
        meno(&house, &["replay", "--verify", "--all"]).await.exits(0);
        let shown = meno(&house, &["show-run", "last", "--prompts"]).await.exits(0).stdout;
        for words in ["turn 1", "asks for 7 tools", "bad arguments", "told again", "turn 3", "the answer is 42"] {
            assert!(shown.contains(words), "{kind}: {words} is not in\n{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_a_tool_finds_is_redacted_before_anybody_is_told() {
    let server = LlmServer::start([
        Turn::text("").tool("read_file", json!({"path": "leak.txt"})).tool("search_files", json!({"pattern": KEY})),
        Turn::text("It is 42."),
    ])
    .await;
    let house = house();
    fs::write(house.path("work/leak.txt"), format!("token {KEY}\nAKIAIOSFODNN7EXAMPLE\n")).expect("written");
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    let done = meno(&house, &RUN).await.exits(0);
    let all: String = server.requests().iter().map(|request| request.body.to_string()).collect();
    assert!(all.contains("[redacted:") && !all.contains(KEY) && !all.contains("AKIAIOSFODNN7EXAMPLE"), "{all}");
    assert!(files_with(&house.store(), KEY).is_empty() && !done.stdout.contains(KEY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_cut_off_by_its_limit_runs_no_tool() {
    let server =
        LlmServer::start([Turn::text("I").tool("read_file", json!("{\"path\": \"notes")).truncated(), Turn::text("It is 42.")])
            .await;
    let house = house();
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    let done = meno(&house, &RUN).await.exits(0);
    assert_eq!(ended(&house.journal()), []);
    let attempts = done.run()["agents"][0]["attempts"].clone();
    assert_eq!((&attempts[0]["signals"], &attempts[1]["status"]), (&json!(["truncated"]), &json!("passed")));
}

/// Replies that ask for a tool in each of so many turns, and then answer.
fn script(turns: u32, delay_ms: u64) -> Value {
    let asks = (1..=turns).map(|turn| {
        json!({"turn": turn, "times": 9, "delay_ms": delay_ms, "text": "Let me look.", "tool_calls": [
            {"name": "read_file", "arguments": {"path": "notes.txt", "first_line": turn}},
            {"name": "search_files", "arguments": {"pattern": format!("answer{{0,{turn}}}")}}]})
    });
    // It takes a while too, so that a run that is to be killed before it is still there.
    let answer = json!({"turn": turns + 1, "times": 9, "delay_ms": delay_ms, "text": "It is 42."});
    json!({"replies": asks.chain([answer]).collect::<Vec<_>>()})
}

fn simulated(house: &House, script: &Value, max_turns: u32) {
    let file = house.path("script.json");
    fs::write(&file, script.to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[tools]\nmax_turns = {max_turns}\n[simulated]\nscript = \"{}\"\n",
        file.display()
    ));
}

#[test]
fn the_log_of_a_conversation_grows_with_its_turns_and_not_with_their_square() {
    let bytes_of = |turns: u32| {
        let house = house();
        // A prompt and results that would show if they were written down again with every turn.
        fs::write(house.path("work/notes.txt"), "the answer is 42, and much more is said here\n".repeat(150)).expect("written");
        simulated(&house, &script(turns, 0), 100);
        house.meno(RUN).exits(0);
        let kept = ["journal", "payloads"].map(|folder| files(&house.store().join(folder)));
        kept.iter().flatten().map(|file| fs::metadata(file).expect("a file").len()).sum::<u64>()
    };
    let [few, some, many] = [10, 20, 40].map(bytes_of);
    let (first, second) = (some - few, many - some);
    assert!(second < first * 2 + first / 5, "10 more turns take {first} bytes, 20 more {second}");
}

/// A reply stands in one batch with the start of the tools that it asks for, their results in one with the next call.
#[test]
fn a_turn_waits_for_the_disk_twice() {
    let syncs_of = |turns: u32| -> Result<usize, String> {
        let house = house();
        simulated(&house, &script(turns, 0), 100);
        let synced = crate::syncs::synced(&house.command(RUN), &house.store())?;
        Ok(synced.iter().filter(|path| path.starts_with("journal/") && path.ends_with(".seg")).count())
    };
    match syncs_of(2) {
        Err(why) => cannot_check("strace", &why),
        Ok(few) => assert_eq!(syncs_of(12), Ok(few + 20), "of 10 turns more than {few}"),
    }
}

#[test]
fn a_password_that_a_model_gives_to_a_tool_is_in_no_byte_of_the_store() {
    let house = house();
    fs::write(house.path("work/notes.txt"), "the answer is 42").expect("written");
    let arguments = json!({"path": "notes.txt", "password": "hunter2abc", "login": {"pin_pwd": 471_147}});
    let asks =
        json!({"turn": 1, "times": 9, "text": "Let me look.", "tool_calls": [{"name": "read_file", "arguments": arguments}]});
    simulated(&house, &json!({"replies": [asks, {"turn": 2, "times": 9, "text": "It is 42."}]}), 100);
    house.meno(RUN).ends();
    let told: String = house.journal().iter().map(|recorded| format!("{:?}", recorded.event)).collect();
    assert!(told.contains("[redacted:secret]") && told.contains("notes.txt"), "{told}");
    for secret in ["hunter2abc", "471147"] {
        assert!(!told.contains(secret), "{told}");
        assert!(files_with(&house.store(), secret).is_empty(), "{secret}");
    }
}

/// Every text of the tools of a run: what was asked, and what was told.
fn tools(journal: &[Recorded]) -> BTreeMap<(u32, u32), (String, Option<Text>)> {
    let mut tools = BTreeMap::new();
    for recorded in journal {
        match &recorded.event {
            Event::ToolStarted(body) => {
                let before = tools.insert((body.call, body.tool_call), (body.tool.clone(), None));
                assert_eq!(before, None, "a tool call was started twice");
            }
            Event::ToolEnded(body) => {
                let tool = tools.get_mut(&(body.call, body.tool_call)).expect("it was started");
                assert_eq!(tool.1, None, "a tool call ended twice");
                tool.1 = body.private.as_ref().map(|private| private.result.clone());
            }
            _ => {}
        }
    }
    tools
}

#[test]
fn a_run_killed_within_a_conversation_goes_on_with_it() {
    const TURNS: u32 = 4;
    let mut cuts = Vec::new();
    for kind in ["CallStarted", "CallReplied", "ToolStarted", "ToolEnded"] {
        cuts.extend((1..=TURNS).map(|n| (kind, n)));
    }
    for (kind, nth) in cuts {
        let house = house();
        simulated(&house, &script(TURNS, 50), 16);
        let mut running = house.start(RUN);
        (0..nth).for_each(|_| drop(running.until(kind)));
        running.kill();
        let before = house.journal();
        house.meno(["resume", "last", "--json"]).went_on();
        let journal = house.journal();
        let shown = house.meno(["show-run", "last", "--json"]).exits(0).stdout;
        let run: Value = serde_json::from_str(&shown).expect("JSON");
        assert_eq!(run["status"], "succeeded", "{kind} {nth}");
        assert_nothing_repeated(&journal);
        let (tools_before, tools) = (tools(&before), tools(&journal));
        for (call, (name, result)) in &tools_before {
            assert!(result.is_none() || tools[call] == (name.clone(), result.clone()), "{kind} {nth}: a finished tool changed");
        }
        assert!(tools.values().all(|(_, result)| result.is_some()), "{kind} {nth}: a tool has no end");
        // A turn that was finished is not asked for again: each is asked for once, but for what was lost.
        let started = journal.iter().filter(|recorded| matches!(recorded.event, Event::CallStarted(_))).count();
        let lost = journal.iter().filter(|recorded| matches!(recorded.event, Event::CallLost(_))).count();
        assert_eq!(started, TURNS as usize + 1 + lost, "{kind} {nth}");
        house.meno(["audit"]).exits(0);
        house.meno(["replay", "--verify", "--all"]).exits(0);
    }
}

/// Boundaries at which a run is killed by default.
const BOUNDARIES: u64 = 6;

/// The boundaries after which a run of so many events is killed: spread over the run, or all of them where `MENO_CRASH_ROUNDS` asks for
/// as many.
fn boundaries(events: u64) -> Vec<u64> {
    let asked = std::env::var("MENO_CRASH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let rounds = asked.unwrap_or(BOUNDARIES).clamp(1, events);
    (0..rounds).map(|round| 1 + round * events / rounds).collect()
}

#[test]
fn a_run_with_tools_killed_at_any_event_ends_as_if_nothing_had_happened() {
    const TURNS: u32 = 3;
    let count = |journal: &[Recorded], wanted: fn(&Event) -> bool| journal.iter().filter(|it| wanted(&it.event)).count();
    let is_start = |event: &Event| matches!(event, Event::CallStarted(_));
    let is_lost = |event: &Event| matches!(event, Event::CallLost(_));
    let whole = house();
    simulated(&whole, &script(TURNS, 0), 16);
    let expected = whole.meno(RUN).exits(0).run()["agents"][0]["output"].clone();
    let journal = whole.journal();
    let (asked, told) = (count(&journal, is_start), tools(&journal).into_values().collect::<Vec<_>>());
    assert_eq!(told.len(), 2 * TURNS as usize);
    for boundary in boundaries(journal.len() as u64) {
        let house = house();
        simulated(&house, &script(TURNS, 8), 16);
        let mut running = house.start(RUN);
        for _ in 0..boundary {
            if running.line().is_none() {
                break;
            }
        }
        running.kill();
        let before = house.journal();
        let resumed = house.meno(["resume", "last", "--json"]);
        // A run that had ended when it was killed has nothing to go on with.
        assert!(matches!(resumed.code, Some(0 | 1)), "{boundary}: {}", resumed.stderr);
        let journal = house.journal();
        assert_nothing_repeated(&journal);
        assert_eq!(
            journal[..before.len()].iter().map(|it| it.hash).collect::<Vec<_>>(),
            before.iter().map(|it| it.hash).collect::<Vec<_>>()
        );
        assert_eq!(tools(&journal).into_values().collect::<Vec<_>>(), told, "killed after event {boundary}");
        assert_eq!(
            count(&journal, is_start),
            asked + count(&journal, is_lost),
            "killed after event {boundary}: a turn was asked for again"
        );
        let run = last(&house);
        assert_eq!(
            (&run["status"], &run["agents"][0]["output"]),
            (&json!("succeeded"), &expected),
            "killed after event {boundary}"
        );
        house.meno(["audit"]).exits(0);
    }
}

#[test]
fn settings_can_switch_tools_off_and_deny_files() {
    let house = house();
    simulated(&house, &script(1, 0), 0);
    house.meno(RUN).ends();
    assert!(!house.journal().iter().any(|recorded| matches!(recorded.event, Event::ToolStarted(_))));
    simulated(&house, &script(1, 0), 16);
    let settings = fs::read_to_string(house.path("config/meno/config.toml")).expect("readable");
    house.configure(&settings.replace("[tools]\n", "[tools]\ndeny = [\"*.txt\"]\n"));
    house.meno(RUN).exits(0);
    let ended = ended(&house.journal());
    assert_eq!(ended[0].0.or(ended[1].0), Some(ToolFault::NotAllowed), "{ended:?}");
}

/// A template whose one agent has to leave the tests of the folder green.
fn tested(run: &[&str]) -> Value {
    let mut template = looker(&["read_file"]);
    template["agent_composition_rules"][0]["tier_strategy"] = json!("progressive");
    template["agent_composition_rules"][0]["success_criteria"] =
        json!([{"name": "tests pass", "type": "command", "run": run, "timeout_s": 60}]);
    template
}

#[test]
fn a_command_decides_whether_an_attempt_passes() {
    let house = house();
    house.template("look", &tested(&["sh", "check.sh"]));
    // It fails the first time, as tests do before somebody mends what they test.
    let check = "if test -f mended; then echo 3 passed; else touch mended; echo 1 failed, 2 passed; exit 1; fi\n";
    fs::write(house.path("work/check.sh"), check).expect("written");
    house.configure("preset = \"simulated\"\n[tools]\ncommands = [\"sh\"]\n");
    let mut command = house.command(PLAIN);
    command.env("PATH", "/usr/bin:/bin");
    let done = finish(command).exits(0);
    assert!(done.stderr.contains("runs sh in ") && done.stderr.contains(", confined "), "{}", done.stderr);
    let run = last(&house);
    assert_eq!((&run["status"], &run["verified"]), (&json!("succeeded"), &json!(true)));
    let attempts = run["agents"][0]["attempts"].as_array().expect("attempts").clone();
    assert_eq!(attempts.iter().map(|attempt| attempt["tier"].clone()).collect::<Vec<_>>(), ["cheap", "capable"]);
    let evidence = |attempt: &Value| attempt["criteria"][0]["evidence"].as_str().expect("evidence").to_owned();
    assert_eq!([evidence(&attempts[0]), evidence(&attempts[1])], ["exit code 1: 1 failed, 2 passed", "exit code 0: 3 passed"]);
    // The agent that tries again is told what failed.
    let shown = house.meno(["show-run", "last", "--prompts"]).exits(0).stdout;
    assert!(shown.contains("- tests pass: exit code 1: 1 failed, 2 passed"), "{shown}");
    let kinds: Vec<&str> = house.journal().iter().map(|recorded| recorded.event.name()).collect();
    let seen = kinds.iter().position(|kind| *kind == "FactObserved").expect("a fact");
    let judged = kinds.iter().position(|kind| *kind == "CriterionJudged").expect("a verdict");
    assert!(seen < judged, "{kinds:?}");
    house.meno(["audit"]).exits(0);
    house.meno(["replay", "--verify", "--all"]).exits(0);
}

#[test]
fn a_command_that_the_settings_do_not_allow_decides_nothing_and_the_start_says_so() {
    for (settings, evidence) in [("", "the settings do not allow `sh`"), ("[tools]\ncommands = [\"sh\"]\n", "`sh` is not there")]
    {
        let house = house();
        house.template("look", &tested(&["sh", "check.sh"]));
        house.configure(&format!("preset = \"simulated\"\n{settings}"));
        let mut command = house.command(PLAIN);
        // Programs of the workspace are no programs of the machine.
        command.env("PATH", format!(".:{}", house.path("nowhere").display()));
        fs::write(house.path("work/sh"), "#!/bin/false\n").expect("written");
        let done = finish(command).exits(0);
        assert!(!settings.is_empty() || done.stderr.contains("criteria that run sh will be unknown"), "{}", done.stderr);
        let run = last(&house);
        assert_eq!((&run["status"], &run["verified"]), (&json!("succeeded"), &json!(false)));
        let found = run["agents"][0]["attempts"][0]["criteria"][0].clone();
        assert_eq!(found["verdict"], "unknown");
        assert!(found["evidence"].as_str().is_some_and(|words| words.contains(evidence)), "{found}");
        house.meno(["audit"]).exits(0);
        house.meno(["replay", "--verify", "--all"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_runs_only_the_programs_that_its_agent_lists_and_the_settings_allow() {
    let server = LlmServer::start([
        Turn::text("")
            .tool("run_command", json!({"program": "sh", "arguments": ["-c", "echo 42; env"]}))
            .tool("run_command", json!({"program": "cat", "arguments": ["notes.txt"]}))
            .tool("run_command", json!({"program": "env"})),
        Turn::text("It is 42."),
    ])
    .await;
    let house = house();
    house.template("look", &looker(&["sh", "env", "read_file"]));
    // The template asks for `env`, which the settings do not grant; the settings grant `cat`, which the agent does not list.
    house.configure(&format!(
        "{}[tools]\ncommands = [\"sh\", \"cat\"]\n",
        settings("anthropic", &server.base_url(""), "x-api-key")
    ));
    let mut command = house.command(PLAIN);
    command.env("WIRE_KEY", KEY).env("PATH", "/usr/bin:/bin");
    let done = tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic").exits(0);
    assert!(done.stderr.contains("agents list and do not have env: the settings do not allow"), "{}", done.stderr);
    let requests = server.requests();
    let tools = requests[0].body["tools"].as_array().expect("tools");
    assert_eq!(tools[1]["input_schema"]["properties"]["program"]["enum"], json!(["sh"]));
    let told = results("anthropic", &requests[1], 0);
    assert!(told[0].1.contains("42\n") && told[0].1.contains("(exit code 0") && !told[0].1.contains("WIRE_KEY"), "{told:?}");
    assert!(told[1].1.contains("\"cat\" is not one of") && told[2].1.contains("\"env\" is not one of"), "{told:?}");
    meno(&house, &["audit"]).await.exits(0);
    meno(&house, &["replay", "--verify", "--all"]).await.exits(0);
}
