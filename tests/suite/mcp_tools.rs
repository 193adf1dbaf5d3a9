//! Agents that use tools of MCP servers: good ones, and such that hang, die, flood, change or do not start.

use std::fs;
use std::time::Duration;

use meno::event::{Event, Recorded, Text, ToolFault};
use serde_json::{Value, json};

use crate::harness::{Done, House, Running, files_with, finish};
use crate::llm_server::{LlmServer, Turn};
use crate::mcp_server::{MODE, settings};

const KEY: &str = "wire-key-0123456789abcdef0123456789";
const RUN: [&str; 4] = ["run", "caller", "--no-input", "--json"];

/// One agent that lists these tools and has to say 42.
fn template(tools: &[&str]) -> Value {
    json!({
        "template_id": "caller", "name": "Caller", "description": "One agent that calls tools of others", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Call", "description": "What is called", "questions": [
            {"id": "what", "text": "What?", "type": "text_input", "default": "the answer"}]},
        "agent_composition_rules": [
            {"role": "caller", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Find {{answers.what}}.",
             "tools": tools, "success_criteria": [{"name": "says it", "type": "contains", "value": "42"}]}]
    })
}

fn models(base_url: &str) -> String {
    let tiers = ["cheap", "capable", "premium"]
        .map(|tier| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"small\"\nmax_output_tokens = 512\n"));
    format!(
        "{}[providers.wire]\nkind = \"anthropic\"\nbase_url = \"{base_url}\"\napi_key_env = \"WIRE_KEY\"\nauth = \"x-api-key\"\n",
        tiers.concat()
    )
}

/// A house whose agents may use the server `test`, which behaves as `more` and the mode of each run say.
fn house(server: &LlmServer, tools: &[&str], more: &str) -> House {
    let house = House::new();
    house.configure(&(models(&server.base_url("")) + &settings("test", more)));
    house.template("caller", &template(tools));
    house
}

fn command(house: &House, args: &[&str], mode: &str) -> std::process::Command {
    let mut command = house.command(args);
    command.env("WIRE_KEY", KEY).env(MODE, mode).env("MENO_TEST_FILE", house.path("appended.txt"));
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

async fn meno(house: &House, args: &[&str], mode: &str) -> Done {
    let command = command(house, args, mode);
    tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic")
}

/// Returns what came of each tool call: its fault and what the model was told.
fn results(journal: &[Recorded]) -> Vec<(Option<ToolFault>, String)> {
    let ended = journal.iter().filter_map(|recorded| match &recorded.event {
        Event::ToolEnded(body) => Some(body),
        _ => None,
    });
    ended
        .map(|body| {
            let text = body.private.as_ref().map(|private| private.result.clone());
            (
                body.fault,
                match text {
                    Some(Text::Inline(text)) => text,
                    other => format!("{other:?}"),
                },
            )
        })
        .collect()
}

fn answer() -> Turn {
    Turn::text("The answer is 42.")
}

#[tokio::test]
async fn an_agent_calls_a_tool_of_a_server_and_all_of_it_is_recorded() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__echo", json!({"text": "hello"})).tool("mcp__test__variables", json!({})));
    server.then(answer());
    let house = house(&server, &["mcp:test/*"], "");
    let done = meno(&house, &RUN[..3], "good").await.exits(0);
    assert!(
        done.stderr.contains("MCP server `test` runs as you and unconfined; agents may call mcp:test/append"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("is new: its tools are allowed as they are now (5 tools)"), "{}", done.stderr);
    assert!(done.stderr.contains("`bad name` is no name of a tool"), "{}", done.stderr);
    let task = "MCP server `test`: a tool is left out, `later` works only as a task, and meno asks for no tasks";
    assert!(done.stderr.contains(task), "{}", done.stderr);

    let requests = server.requests();
    let offered = requests[0].body["tools"].as_array().expect("tools");
    assert!(!offered.iter().any(|tool| tool["name"] == "mcp__test__later"), "{offered:?}");
    let echo = offered.iter().find(|tool| tool["name"] == "mcp__test__echo").expect("offered");
    let description = echo["description"].as_str().expect("a text");
    assert!(description.contains("MCP server `test`") && description.ends_with("> Says it again."), "{description}");
    // What a server says is fenced data.
    let told = requests[1].body["messages"][2]["content"][0]["content"].as_str().expect("a result").to_owned();
    assert!(told.starts_with("<result mark=\"") && told.contains("echo: hello"), "{told}");

    let journal = house.journal();
    let started: Vec<_> = journal
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::ToolStarted(body) => Some((body.tool.clone(), body.writes)),
            _ => None,
        })
        .collect();
    // A stranger's word that a tool only reads is not believed.
    assert_eq!(started, [("mcp__test__echo".to_owned(), true), ("mcp__test__variables".to_owned(), true)]);
    let results = results(&journal);
    assert_eq!(results[0], (None, "echo: hello".to_owned()));
    let variables: Vec<&str> = results[1].1.split(' ').collect();
    assert!(variables.contains(&"PATH") && variables.contains(&MODE), "{variables:?}");
    assert!(!variables.iter().any(|name| name.contains("KEY") || name.starts_with("MENO_STORE")), "{variables:?}");
    assert_eq!(house.meno(["audit"]).code, Some(0));
    assert_eq!(house.meno(["replay", "last", "--verify"]).code, Some(0));
}

/// Runs an agent that lets the server fail in these ways, and speaks to it after each.
async fn failures(ways: &[&str], more: &str) -> Vec<(Option<ToolFault>, String)> {
    let server = LlmServer::start(Vec::new()).await;
    for how in ways {
        server.then(Turn::text("").tool("mcp__test__fail", json!({"how": how})));
        // Whatever happened, the server is there again.
        server.then(Turn::text("").tool("mcp__test__echo", json!({"text": how})));
    }
    server.then(answer());
    let house = house(&server, &["mcp:test/fail", "mcp:test/echo"], more);
    meno(&house, &RUN, "good").await.exits(0);
    results(&house.journal())
}

#[tokio::test]
async fn a_server_that_fails_a_call_is_a_result_with_a_reason() {
    let results = failures(&["say", "die", "flood"], "").await;
    let failed = Some(ToolFault::Failed);
    assert_eq!(results[0], (failed, "no such record".to_owned()));
    assert_eq!(results[1], (None, "echo: say".to_owned()));
    assert_eq!(results[2].0, failed);
    assert!(results[2].1.contains("exit code 3") && results[2].1.contains("out of memory"), "{}", results[2].1);
    assert!(results[2].1.contains("Whether the call had an effect is not known"), "{}", results[2].1);
    assert_eq!(results[3], (None, "echo: die".to_owned()), "it is started again");
    assert_eq!(results[4].0, failed);
    assert!(results[4].1.contains("a message of more than 8 MiB"), "{}", results[4].1);
    assert_eq!(results[5], (None, "echo: flood".to_owned()));
}

#[tokio::test]
async fn a_server_that_the_settings_do_not_name_is_said_at_the_start() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(answer());
    let house = house(&server, &["mcp:other/look", "cargo"], "");
    let done = meno(&house, &RUN[..3], "good").await.exits(0);
    for said in [
        "agents list and do not have mcp:other/look: the settings name no MCP server `other`",
        "agents list and do not have cargo: the settings do not allow these programs (`commands` under [tools])",
    ] {
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_no_refusal() {
    let results = failures(&["riddle", "nonsense"], "").await;
    for at in [0, 2] {
        let (fault, said) = &results[at];
        assert_eq!(*fault, Some(ToolFault::Failed));
        assert!(
            said.contains("its answer cannot be read") && said.contains("Whether the call had an effect is not known"),
            "{said}"
        );
    }
    assert_eq!(results[3], (None, "echo: nonsense".to_owned()), "the server is spoken to as before");
}

#[tokio::test]
async fn a_server_that_hangs_is_ended_and_started_again() {
    let results = failures(&["hang"], "timeout_s = 2.5").await;
    assert_eq!(results[0].0, Some(ToolFault::TimedOut));
    assert!(results[0].1.contains("gave no result within 2.5 s and was ended"), "{}", results[0].1);
    assert_eq!(results[1], (None, "echo: hang".to_owned()));
}

#[tokio::test]
async fn progress_puts_the_clock_off_and_is_shown_to_who_watches() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__fail", json!({"how": "slow"})));
    server.then(answer());
    let house = house(&server, &["mcp:test/fail"], "timeout_s = 2.5");
    let done = meno(&house, &RUN[..3], "good").await.exits(0);
    // It takes longer than the limit, and never told of nothing for so long.
    assert_eq!(results(&house.journal()), [(None, "done at last".to_owned())]);
    assert!(done.stderr.contains("caller: mcp__test__fail: 1 of 8: step 1\n"), "{}", done.stderr);
    assert!(files_with(&house.store(), "step 1").is_empty(), "progress is recorded nowhere");
}

#[tokio::test]
async fn progress_without_an_end_is_no_reason_to_wait_for_ever() {
    let results = failures(&["forever"], "timeout_s = 0.5").await;
    assert_eq!(results[0].0, Some(ToolFault::TimedOut));
    let told = "told of its progress and gave no result within 5 s and was ended";
    assert!(results[0].1.contains(told), "{}", results[0].1);
    assert_eq!(results[1], (None, "echo: forever".to_owned()), "it is started again");
}

#[tokio::test]
async fn a_tool_that_changes_in_the_middle_of_a_run_is_refused_and_one_that_goes_is_said_to_be_gone() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__echo", json!({"text": "before"})));
    for (tool, arguments) in [
        ("mcp__test__fail", json!({"how": "change"})),
        ("mcp__test__echo", json!({"text": "after"})),
        ("mcp__test__variables", json!({"text": "MENO_TEST_MCP"})),
        ("mcp__test__append", json!({"line": "after"})),
        ("mcp__test__fail", json!({"how": "say"})),
    ] {
        server.then(Turn::text("").tool(tool, arguments));
    }
    server.then(answer());
    let house = house(&server, &["mcp:test/*"], "");
    meno(&house, &RUN, "good").await.exits(0);
    let results = results(&house.journal());
    assert_eq!(results[..2], [(None, "echo: before".to_owned()), (None, "changed".to_owned())]);
    let (fault, told) = &results[2];
    assert_eq!(*fault, Some(ToolFault::NotAllowed));
    let words = "has changed since it was allowed: `echo` is described in another way";
    assert!(told.contains(words) && told.contains("`meno mcp allow test`"), "{told}");
    // What did not change goes on.
    assert_eq!(results[3], (None, "good".to_owned()));
    assert_eq!(results[4], (Some(ToolFault::Failed), "The MCP server `test` has no tool `append` any more.".to_owned()));
    assert!(!house.path("appended.txt").exists());
    assert_eq!(results[5], (Some(ToolFault::Failed), "no such record".to_owned()));
}

#[tokio::test]
async fn a_server_that_comes_back_with_other_tools_is_seen_through_whichever_is_called_first() {
    let server = LlmServer::start(Vec::new()).await;
    for (tool, arguments) in [
        ("mcp__test__append", json!({"line": "now it changes"})),
        ("mcp__test__fail", json!({"how": "die"})),
        ("mcp__test__variables", json!({"text": "MENO_TEST_MCP"})),
        ("mcp__test__echo", json!({"text": "after"})),
    ] {
        server.then(Turn::text("").tool(tool, arguments));
    }
    server.then(answer());
    let house = house(&server, &["mcp:test/*"], "");
    meno(&house, &RUN, "drifting").await.exits(0);
    let results = results(&house.journal());
    assert_eq!(results[2], (None, "drifting".to_owned()));
    assert_eq!(results[3].0, Some(ToolFault::NotAllowed), "{results:?}");
    assert!(results[3].1.contains("`echo` is described in another way"), "{results:?}");
}

#[tokio::test]
async fn a_key_that_a_server_is_to_have_is_withheld_and_said_to_be() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(answer());
    let house = House::new();
    let with_key = settings("test", "").replace("\"MENO_TEST_FILE\"", "\"MENO_TEST_FILE\", \"WIRE_KEY\"");
    house.configure(&(models(&server.base_url("")) + &with_key));
    house.template("caller", &template(&["mcp:test/*"]));
    let done = meno(&house, &RUN[..3], "good").await.exits(0);
    let words = "MCP server `test` does not get WIRE_KEY, which `env` under [mcp.test] lists: a provider's key stands there";
    assert!(done.stderr.contains(words), "{}", done.stderr);
    let doctor = meno(&house, &["doctor"], "good").await;
    let words = "`env` under [mcp.test] has WIRE_KEY, where a provider's key stands: the server does not get it";
    assert!(doctor.stdout.contains(words), "{}", doctor.stdout);
}

#[tokio::test]
async fn a_server_that_does_not_start_is_said_before_anything_is_paid() {
    for (mode, more, why) in [
        ("dead", "", "exit code 7; its last words: no licence[31m for this machine"),
        ("silent", "start_s = 0.7", "did not answer within 0.7 s (`mcp.test.start_s` gives it longer)"),
    ] {
        let server = LlmServer::start(Vec::new()).await;
        let house = house(&server, &["mcp:test/*"], more);
        let before = house.journal().len();
        let done = meno(&house, &RUN[..3], mode).await.exits(1);
        assert!(done.stderr.contains(why) && done.stderr.contains("`meno mcp tools test`"), "{}", done.stderr);
        assert_eq!((server.requests().len(), house.journal().len()), (0, before), "nothing was sent or recorded");
    }
    let server = LlmServer::start(Vec::new()).await;
    let house = House::new();
    house.configure(&(models(&server.base_url("")) + "[mcp.gone]\ncommand = [\"no-such-program\"]\n"));
    house.template("caller", &template(&["mcp:gone/x"]));
    let done = meno(&house, &RUN[..3], "good").await.exits(1);
    assert!(done.stderr.contains("the program `no-such-program` is not in PATH"), "{}", done.stderr);
    let doctor = house.meno(["doctor"]).exits(1);
    assert!(doctor.stdout.contains("MCP server `gone`: there is no program `no-such-program`"), "{}", doctor.stdout);
}

#[tokio::test]
async fn a_tool_that_changed_is_refused_until_it_is_allowed_again() {
    let server = LlmServer::start(Vec::new()).await;
    let house = house(&server, &["mcp:test/echo"], "");
    server.then(answer());
    meno(&house, &RUN, "good").await.exits(0);
    let before = house.journal().len();
    let refused = meno(&house, &RUN[..3], "changed").await.exits(1);
    assert!(refused.stderr.contains("`echo` is described in another way"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`meno mcp allow test`"), "{}", refused.stderr);
    assert_eq!((server.requests().len(), house.journal().len()), (1, before));
    let shown = meno(&house, &["mcp", "tools", "test"], "changed").await.exits(0);
    assert!(shown.stdout.contains("mcp:test/echo  writes, not allowed as it is now"), "{}", shown.stdout);
    assert!(shown.stdout.contains("id_ed25519") && !shown.stdout.contains('\u{202e}'), "{}", shown.stdout);
    assert!(
        shown.stdout.contains("arguments: {\"type\":\"object\"") && shown.stderr.contains("left out: `bad name`"),
        "{shown:?}"
    );
    meno(&house, &["mcp", "allow", "test"], "changed").await.exits(0);
    server.then(answer());
    meno(&house, &RUN, "changed").await.exits(0);
    // And back again is a change too.
    meno(&house, &RUN, "good").await.exits(1);
}

#[test]
fn one_odd_tool_is_left_out_and_too_many_or_an_unknown_revision_are_refused() {
    let house = House::new();
    house.configure(&settings("test", ""));
    let tools = |mode: &str| finish(command(&house, &["mcp", "tools", "test", "--json"], mode));
    let listed: Value = serde_json::from_str(&tools("odd").exits(0).stdout).expect("JSON");
    assert_eq!((&listed["tools"][0]["name"], listed["tools"].as_array().map(Vec::len)), (&json!("mcp:test/echo"), Some(1)));
    assert!(listed["tools"][0]["parameters"]["properties"]["text"].is_object(), "{listed}");
    assert!(listed["left_out"][0].as_str().is_some_and(|why| why.contains("`shapeless`")), "{listed}");
    let many = tools("many").exits(1);
    assert!(many.stderr.contains("more than 500 tools"), "{}", many.stderr);
    // The command that tries a server alone does not send to itself.
    assert!(!many.stderr.contains("meno mcp tools"), "{}", many.stderr);
    let ancient = tools("ancient").exits(1);
    assert!(ancient.stderr.contains("revision 1999-01-01"), "{}", ancient.stderr);
}

#[tokio::test]
async fn what_a_strangers_store_says_of_servers_does_not_count() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(answer());
    let house = House::new();
    house.configure(&models(&server.base_url("")));
    let store = house.path("work/.meno");
    fs::create_dir_all(store.join("journal")).expect("a folder");
    fs::create_dir_all(store.join("templates")).expect("a folder");
    let planted = house.path("planted");
    fs::write(
        store.join("config.toml"),
        format!("[mcp.test]\ncommand = [\"/bin/sh\", \"-c\", \"touch {}\"]\n", planted.display()),
    )
    .expect("written");
    fs::write(house.path("caller.json"), template(&["mcp:test/echo"]).to_string()).expect("written");
    let mut command = command(&house, &["config", "--json"], "good");
    command.env_remove("MENO_STORE");
    let shown = finish(command).exits(0);
    assert!(!shown.stdout.contains("/bin/sh"), "{}", shown.stdout);
    let mut tools = self::command(&house, &["mcp", "tools", "test"], "good");
    tools.env_remove("MENO_STORE");
    let refused = finish(tools).exits(1);
    assert!(refused.stderr.contains("ignored `mcp.test`"), "{}", refused.stderr);
    assert!(!planted.exists());
}

#[tokio::test]
async fn a_picture_is_kept_as_a_payload_and_told_as_such() {
    let server = LlmServer::start(Vec::new()).await;
    let long = "long ".repeat(10_000);
    server.then(Turn::text("").tool("mcp__test__picture", json!({})).tool("mcp__test__echo", json!({"text": long})));
    server.then(answer());
    let house = house(&server, &["mcp:test/picture", "mcp:test/echo"], "");
    meno(&house, &RUN, "good").await.exits(0);
    let journal = house.journal();
    let (fault, told) = &results(&journal)[0];
    assert_eq!(*fault, None);
    assert_eq!(told, "a picture\n[image 1: image/png, 11 bytes; kept beside the run and not shown to you]");
    assert!(!server.requests()[1].body.to_string().contains("iVBORw0KGgphYmM"), "the model is not told the data");
    assert!(!files_with(&house.store(), "iVBORw0KGgphYmM").is_empty(), "the data is kept");
    assert_eq!(house.meno(["replay", "last", "--verify"]).code, Some(0));
    // Both can be looked at.
    let shown = house.meno(["show-run", "last"]).exits(0).stdout;
    assert!(shown.contains(" --dir DIR` writes pictures, and whole what models were told a part of"), "{shown}");
    let out = house.path("out");
    house.meno(["export-run", "last", "--dir", out.to_str().expect("a text")]).exits(0);
    let read = |end: &str| fs::read(out.join(format!("agent-0-attempt-1-call-1-tool-{end}"))).expect("written");
    assert_eq!(read("0-image-1.png"), b"\x89PNG\r\n\x1a\nabc");
    assert_eq!(String::from_utf8(read("1.txt")).expect("a text"), format!("echo: {long}"));
}

#[tokio::test]
async fn a_server_of_the_newest_revision_and_believed_annotations() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__echo", json!({"text": "new"})));
    server.then(Turn::text("").tool("mcp__test__echo", json!({"text": "new"})));
    server.then(answer());
    let house = house(&server, &["mcp:test/echo"], "trust_annotations = true");
    meno(&house, &RUN, "newest").await.exits(0);
    let journal = house.journal();
    let writes = journal.iter().filter_map(|recorded| match &recorded.event {
        Event::ToolStarted(body) => Some(body.writes),
        _ => None,
    });
    assert_eq!(writes.collect::<Vec<_>>(), [false, false], "it says that it only reads, and is believed");
    assert_eq!(results(&journal), [(None, "echo: new".to_owned()), (None, "echo: new".to_owned())]);
    let repeats = journal.iter().filter(|recorded| matches!(&recorded.event, Event::ToolEnded(body) if body.repeats.is_some()));
    assert_eq!(repeats.count(), 1, "the same question is answered from the record");
}

#[tokio::test]
async fn a_run_killed_in_a_call_goes_on_and_calls_nothing_twice() {
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__append", json!({"line": "first"})));
    server.then(Turn::text("").tool("mcp__test__append", json!({"line": "slow"})));
    let house = house(&server, &["mcp:test/*"], "");
    let path = house.path("appended.txt");
    let mut running = Running::start(command(&house, &RUN, "good"));
    let watched = path.clone();
    let running = tokio::task::spawn_blocking(move || {
        while !fs::read_to_string(&watched).is_ok_and(|text| text.contains("slow")) {
            // Events are read so that the pipe never fills.
            drop(running.line_within(Duration::from_millis(20)));
        }
        running
    });
    running.await.expect("no panic").kill();
    // Whether the last call did its work is not in the log, and it may not be made again: a person says.
    let waiting = meno(&house, &["resume", "last", "--json"], "good").await.exits(3);
    assert_eq!(waiting.run()["status"], "awaiting_input");
    server.then(answer());
    meno(&house, &["resolve", "last", "done", "--json"], "good").await.exits(0);
    assert_eq!(fs::read_to_string(&path).expect("written"), "first\nslow\n", "neither call was made again");
    let results = results(&house.journal());
    assert_eq!(results[0], (None, "appended".to_owned()));
    assert_eq!(server.requests().len(), 3, "finished turns are not paid again");
}

#[tokio::test]
async fn a_token_that_a_server_says_again_stays_out_of_the_store() {
    const TOKEN: &str = "plain words of a token 9x";
    let server = LlmServer::start(Vec::new()).await;
    server.then(Turn::text("").tool("mcp__test__variables", json!({"text": "SERVICE_TOKEN"})));
    server.then(answer());
    let house = House::new();
    let with_token = settings("test", "").replace("\"MENO_TEST_FILE\"", "\"MENO_TEST_FILE\", \"SERVICE_TOKEN\"");
    house.configure(&(models(&server.base_url("")) + &with_token));
    house.template("caller", &template(&["mcp:test/*"]));
    let mut command = command(&house, &RUN, "good");
    command.env("SERVICE_TOKEN", TOKEN);
    tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic").exits(0);
    let (fault, told) = &results(&house.journal())[0];
    assert!(fault.is_none() && !told.is_empty() && !told.contains(TOKEN), "{told}");
    assert!(!server.requests()[1].body.to_string().contains(TOKEN), "the model is not told it either");
    assert_eq!(files_with(&house.store(), TOKEN), Vec::<std::path::PathBuf>::new());
}
