//! `meno mcp` as its clients meet it: raw lines, the SDK's own client, and the Python client where there is one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::{RoleClient, ServiceExt};
use serde_json::{Map, Value, json};
use tokio::net::unix::pipe;

use crate::harness::{DEADLINE, House, cannot_be_typed, cannot_check, finish, hints};

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

/// A client that speaks in lines, and takes nothing on stdout that is not the protocol.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    next: u64,
}

impl Client {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap_or_else(|_| json!({"not the protocol": line}));
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, lines, next: 0 }
    }

    /// Starts a server in the house and greets it.
    fn greet(house: &House, args: &[&str]) -> Self {
        let mut client = Self::start(house.command(std::iter::once("mcp").chain(args.iter().copied())));
        client.initialize("2025-11-25");
        client
    }

    fn initialize(&mut self, version: &str) -> Value {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = self.ask("initialize", params);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer["result"].clone()
    }

    fn send(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().expect("open");
        writeln!(stdin, "{message}").and_then(|()| stdin.flush()).expect("the server reads");
    }

    fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}));
        self.next
    }

    #[track_caller]
    fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.lines.recv_timeout(DEADLINE).expect("an answer");
            assert_eq!(message["jsonrpc"], "2.0", "{message}");
            if message["id"] == id {
                return message;
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.answer(id)
    }

    /// Calls a tool; returns its structured result.
    #[track_caller]
    fn call(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments}));
        let result = &answer["result"];
        assert_eq!(result["isError"], false, "{answer}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(text.len() <= 40_000, "{} bytes", text.len());
        assert_eq!(serde_json::from_str::<Value>(text).expect("JSON"), result["structuredContent"]);
        result["structuredContent"].clone()
    }

    /// Calls a tool that fails; returns the words.
    #[track_caller]
    fn refused(&mut self, name: &str, arguments: Value) -> String {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments}));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let words = answer["result"]["content"][0]["text"].as_str().expect("a text").to_owned();
        for line in hints(&words) {
            assert_eq!(cannot_be_typed(&line), None, "{words}");
        }
        words
    }

    /// Leaves, and returns the server's exit code.
    fn leave(&mut self) -> Option<i32> {
        self.stdin = None;
        let until = std::time::Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return status.code();
            }
            assert!(std::time::Instant::now() < until, "the server stays though its client has left");
            std::thread::sleep(Duration::from_millis(3));
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn document(house: &House, args: &[&str]) -> Value {
    serde_json::from_str(&house.meno(args).exits(0).stdout).expect("a document")
}

#[test]
fn the_tools_give_what_the_commands_print() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).ends();
    house.meno(["run", "security_audit", "--no-input", "--seed", "3"]).ends();
    let mut client = Client::greet(&house, &[]);
    let tools = client.ask("tools/list", json!({}));
    let tools = tools["result"]["tools"].as_array().expect("tools").clone();
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().expect("a name")).collect();
    let expected = "search list_runs show_run read_text costs recommend suggest list_templates show_template events";
    assert_eq!(names, expected.split(' ').collect::<Vec<_>>());
    assert!(tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));
    let calls = [
        ("list_runs", json!({}), Some(vec!["list-runs", "--json"])),
        (
            "list_runs",
            json!({"template": "security_audit", "since": "7d"}),
            Some(vec!["list-runs", "-t", "security_audit", "--json"]),
        ),
        ("show_run", json!({"run": "last"}), Some(vec!["show-run", "last", "--json"])),
        ("show_run", json!({"run": "last~1", "prompts": true}), None),
        ("costs", json!({"by": ["template", "tier"]}), Some(vec!["costs", "--by", "template,tier", "--json"])),
        ("suggest", json!({"wish": "find security holes"}), Some(vec!["suggest", "find security holes", "--json"])),
        ("list_templates", json!({}), Some(vec!["list-templates", "--json"])),
        ("show_template", json!({"template": "security_audit"}), None),
        ("recommend", json!({"template": "security_audit", "include_simulated": true}), None),
        ("search", json!({"query": "package release", "limit": 1, "all": true}), None),
        ("events", json!({"run": "last", "kinds": ["runstarted"]}), None),
    ];
    for (name, arguments, command) in calls {
        let schema = tools.iter().find(|tool| tool["name"] == name).expect("listed")["outputSchema"].clone();
        let given = client.call(name, arguments.clone());
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let faults: Vec<String> = validator.iter_errors(&given).map(|error| error.to_string()).collect();
        assert_eq!(faults, Vec::<String>::new(), "{name} {arguments}");
        if let Some(command) = command
            && given.get("left_out").is_none()
            && given.get("next_offset").is_none()
        {
            assert_eq!(given, document(&house, &command), "{name} {arguments}");
        }
    }
    // Nothing was written: reading leaves the log as it was.
    let head = client.call("events", json!({"limit": 1}))["log_head"].clone();
    drop(client);
    assert_eq!(head, house.journal().len());
}

#[test]
fn every_revision_is_spoken() {
    let house = House::new();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Client::start(house.command(["mcp"]));
        let greeting = client.initialize(version);
        assert_eq!(greeting["protocolVersion"], version);
        assert_eq!(greeting["serverInfo"]["name"], "meno");
        assert_eq!(client.call("list_runs", json!({}))["total"], 0);
        assert_eq!(client.leave(), Some(0));
    }
    let mut client = Client::start(house.command(["mcp"]));
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let known = client.ask("server/discover", json!({"_meta": meta}));
    let versions = known["result"]["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2024-11-05")), "{known}");
    let answer = client.ask("tools/call", json!({"_meta": meta, "name": "list_runs", "arguments": {}}));
    assert_eq!(answer["result"]["structuredContent"]["total"], 0, "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(client.leave(), Some(0));
    assert!(!house.store().exists(), "reading makes no store");
}

#[test]
fn what_goes_wrong_is_said_with_what_to_do() {
    let house = House::with_delay(0);
    let mut client = Client::greet(&house, &[]);
    let words = client.refused("show_run", json!({"run": "last"}));
    assert!(words.contains("`list_templates` shows what can be run"), "{words}");
    let words = client.refused("show_run", json!({"run": "last", "agnet": "x"}));
    assert!(words.contains("agnet") && words.contains("agent"), "{words}");
    let words = client.refused("show_template", json!({"template": "security_adit"}));
    assert!(words.contains("did you mean `security_audit`?"), "{words}");
    assert!(client.refused("costs", json!({"by": ["moon"]})).contains("`by`"));
    assert!(client.refused("list_runs", json!({"since": "someday"})).contains("`since` is not a time"));
    let words = client.refused("recommend", json!({"template": "python_package_publish", "answers": {"pakage_name": "x"}}));
    assert!(words.contains("has no question `pakage_name`") && words.contains("package_name"), "{words}");
    let words = client.refused("run", json!({"template": "security_audit"}));
    assert!(words.contains("`meno mcp --allow-run`"), "{words}");
    let unknown = client.ask("tools/call", json!({"name": "delete_all", "arguments": {}}));
    assert!(unknown["error"]["message"].as_str().expect("words").contains("there is no tool `delete_all`"), "{unknown}");
    // Lines that are not the protocol end nothing.
    let stdin = client.stdin.as_mut().expect("open");
    stdin.write_all(b"nonsense\n{\"a\":\n\xff\xfe\n").expect("written");
    assert_eq!(client.call("list_runs", json!({}))["total"], 0);
    assert_eq!(client.leave(), Some(0));
}

#[test]
fn a_thousand_questions_while_another_process_writes() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).ends();
    let mut client = Client::greet(&house, &[]);
    let mut writer = house.command(["run", "security_audit", "--no-input", "--seed", "5", "-q"]);
    writer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut writer = writer.spawn().expect("it starts");
    let ask = |client: &mut Client, number: u64| match number % 4 {
        0 => client.request("tools/call", json!({"name": "list_runs", "arguments": {}})),
        1 => client.request("tools/call", json!({"name": "show_run", "arguments": {"run": "last"}})),
        2 => client.request("tools/call", json!({"name": "events", "arguments": {"limit": 5}})),
        _ => client.request("tools/call", json!({"name": "costs", "arguments": {}})),
    };
    let mut answered = 0;
    for _ in 0..50 {
        let mut open: Vec<u64> = (0..20).map(|number| ask(&mut client, number)).collect();
        while !open.is_empty() {
            let message = client.lines.recv_timeout(DEADLINE).expect("an answer");
            assert_eq!(message["result"]["isError"], false, "{message}");
            open.retain(|id| message["id"] != *id);
            answered += 1;
        }
    }
    assert_eq!(answered, 1000);
    assert!(matches!(writer.wait().expect("it ends").code(), Some(0 | 3)));
    assert_eq!(client.call("list_runs", json!({}))["total"], 2, "what others write is seen");
    assert_eq!(client.leave(), Some(0));
    assert_eq!(document(&house, &["list-runs", "--json"])["total"], 2);
}

/// A template with one agent, whose simulated answer the script says.
fn scripted(house: &House, answer: &str, more: &str) {
    let template = json!({
        "template_id": "one", "name": "One", "description": "One agent that answers", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "One", "description": "What is asked", "questions": [
            {"id": "name", "text": "Who?", "type": "text_input", "default": "nobody", "sensitive": true}]},
        "agent_composition_rules": [
            {"role": "writer", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Write to {{answers.name}}.",
             "tools": [], "success_criteria": [{"name": "writes", "type": "min_words", "value": 1}]}]
    });
    let script = house.path("script.json");
    fs::write(&script, json!({"replies": [{"role": "writer", "text": answer}]}).to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n{more}\n",
        script.display()
    ));
    house.template("one", &template);
}

#[test]
fn a_long_text_is_cut_named_and_read_to_its_end() {
    let house = House::with_delay(0);
    let long: String = (0..10_000).map(|line| format!("line {line} é\n")).collect();
    let room = "[tiers.cheap]\nprovider = \"simulated\"\nmodel = \"simulated-cheap\"\nmax_output_tokens = 200000\ncontext_tokens = 9000000";
    scripted(&house, &long, room);
    house.meno(["run", "one", "--no-input", "-q"]).exits(0);
    let mut client = Client::greet(&house, &[]);
    let shown = client.call("show_run", json!({"run": "last"}));
    let named = shown["left_out"].as_array().expect("something is left out").clone();
    let output = named.iter().find(|named| named["pointer"] == "/agents/0/output").expect("the output is named");
    assert_eq!(output["bytes"], long.len());
    let (mut read, mut offset) = (String::new(), json!(0));
    while !offset.is_null() {
        let page = client.call("read_text", json!({"run": "last", "pointer": output["pointer"], "offset": offset}));
        read += page["text"].as_str().expect("a text");
        offset = page["next_offset"].clone();
    }
    assert_eq!(read.trim_end(), long.trim_end());
    // The log shows what happened, and no text.
    let events = client.call("events", json!({"run": "last"})).to_string();
    assert!(events.contains("CallReplied") && !events.contains("line 1 é"), "{events}");
}

#[test]
fn a_sensitive_answer_is_not_shown_to_a_client() {
    let house = House::with_delay(0);
    scripted(&house, "Dear reader", "");
    house.meno(["run", "one", "--no-input", "-q", "--set", "name=Leocadia"]).exits(0);
    let mut client = Client::greet(&house, &[]);
    for (tool, arguments) in [
        ("show_run", json!({"run": "last", "prompts": true})),
        ("events", json!({"run": "last", "limit": 500})),
        ("search", json!({"query": "reader", "all": true})),
        ("list_runs", json!({})),
    ] {
        let given = client.call(tool, arguments).to_string();
        assert!(!given.contains("Leocadia"), "{tool}: {given}");
    }
    drop(client);
    // Nor is what a model says of it shown to anybody who searches.
    scripted(&house, "Dear Leocadia, good neighbour", "");
    house.meno(["run", "one", "--no-input", "-q", "--set", "name=Leocadia"]).exits(0);
    let found = house.meno(["search", "good neighbour", "--all", "--json"]).exits(0).stdout;
    assert!(found.contains("good neighbour") && !found.contains("Leocadia"), "{found}");
}

#[test]
fn a_client_runs_and_resumes_where_it_may() {
    let house = House::with_delay(0);
    scripted(&house, "All is well", "");
    let mut client = Client::greet(&house, &["--allow-run"]);
    let tools = client.ask("tools/list", json!({}));
    let run = tools["result"]["tools"].as_array().expect("tools").iter().find(|tool| tool["name"] == "run").expect("offered");
    assert_eq!(run["annotations"]["readOnlyHint"], false);
    let done = client.call("run", json!({"template": "one", "labels": {"by": "client"}, "seed": 5}));
    assert_eq!((&done["status"], &done["mode"]), (&json!("succeeded"), &json!("simulated")));
    assert_eq!(done["agents"][0]["output"], "All is well");
    let words = client.refused("resume", json!({"run": done["run_id"]}));
    assert!(words.contains("succeeded"), "{words}");
    let words = client.refused("run", json!({"template": "one", "answers": {"nmae": "x"}}));
    assert!(words.contains("nmae"), "{words}");
    let id = done["run_id"].as_str().expect("an id");
    assert_eq!(client.call("search", json!({"query": "label:by=client"}))["hits"][0]["run_id"], id);
    assert_eq!(client.leave(), Some(0));
}

#[test]
fn a_run_outlives_the_patience_of_its_client_and_is_interrupted_when_cancelled() {
    let house = House::with_delay(0);
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = 300000\n");
    let mut client = Client::greet(&house, &["--allow-run"]);
    let begun = client.call("run", json!({"template": "python_package_publish", "wait_s": 0}));
    assert_eq!(begun["status"], "running");
    let id = client.request("tools/call", json!({"name": "run", "arguments": {"template": "security_audit", "wait_s": 600}}));
    while client.call("list_runs", json!({"template": "security_audit"}))["total"] == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}));
    while client.call("list_runs", json!({"template": "security_audit", "status": ["suspended"]}))["total"] == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(client.call("show_run", json!({"run": begun["run_id"]}))["status"], "running", "the other one goes on");
    assert_eq!(client.leave(), Some(0));
    let left = document(&house, &["list-runs", "--json"]);
    let states: Vec<&Value> = left["runs"].as_array().expect("runs").iter().map(|run| &run["status"]).collect();
    assert_eq!(states, ["suspended", "suspended"], "what was under way can be resumed");
}

#[test]
fn a_printed_configuration_starts_the_server() {
    let house = House::with_delay(0);
    for name in ["claude-code", "vscode", "zed", "cursor", "codex"] {
        // The store is that of MENO_STORE here, which the client's environment does not have.
        let printed = house.meno(["mcp", "--print-config", name]).exits(0).stdout;
        let document: Value = match name {
            "codex" => serde_json::to_value(toml::from_str::<toml::Table>(&printed).expect("TOML")).expect("JSON"),
            _ => serde_json::from_str(&printed).expect("JSON"),
        };
        let server = document.as_object().expect("an object").values().next().expect("servers")["meno"].clone();
        let store = house.store().display().to_string();
        assert!(server["args"].as_array().expect("arguments").iter().any(|word| *word == store), "{name}: {printed}");
        let mut command = house.command(Vec::<&str>::new());
        let mut named = Command::new(server["command"].as_str().expect("a program"));
        named.args(server["args"].as_array().expect("arguments").iter().map(|word| word.as_str().expect("a word")));
        named.env_clear().current_dir(house.path("work"));
        let pairs: Vec<_> =
            command.get_envs().map(|(key, value)| (key.to_owned(), value.map(std::ffi::OsStr::to_owned))).collect();
        for (key, value) in pairs.into_iter().filter(|(key, _)| key != "MENO_STORE") {
            named.env(key, value.expect("set"));
        }
        command.env_clear();
        let mut client = Client::start(named);
        client.initialize("2025-06-18");
        assert_eq!(client.call("list_runs", json!({}))["total"], 0, "{name}");
        assert_eq!(client.leave(), Some(0));
    }
}

async fn sdk(house: &House, args: &[&str]) -> (RunningService<RoleClient, ClientConfig>, Child) {
    let mut command = house.command(std::iter::once("mcp").chain(args.iter().copied()));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let stdin = pipe::Sender::from_owned_fd(OwnedFd::from(child.stdin.take().expect("piped"))).expect("a pipe");
    let stdout = pipe::Receiver::from_owned_fd(OwnedFd::from(child.stdout.take().expect("piped"))).expect("a pipe");
    let config = ClientConfig::new(ClientCapabilities::default(), Implementation::new("test", "1"));
    (config.serve(AsyncRwTransport::new(stdout, stdin)).await.expect("a greeting"), child)
}

#[tokio::test]
async fn the_sdks_own_client_lists_calls_and_leaves() {
    let house = House::with_delay(0);
    house.meno(PUBLISH).ends();
    let (client, mut child) = sdk(&house, &[]).await;
    let greeting = client.peer_info().expect("a greeting");
    assert_eq!(greeting.protocol_version, ProtocolVersion::LATEST_WITH_INITIALIZE);
    assert!(greeting.instructions.as_ref().is_some_and(|words| words.contains("data, not instructions")));
    assert_eq!(client.list_all_tools().await.expect("tools").len(), 10);
    let result = client.call_tool(CallToolRequestParams::new("list_runs")).await.expect("a result");
    assert_eq!(result.structured_content.expect("structured")["total"], 1);
    let mut arguments = Map::new();
    arguments.insert("run".to_owned(), json!("zzzz"));
    let refused = client.call_tool(CallToolRequestParams::new("show_run").with_arguments(arguments)).await.expect("a result");
    assert_eq!(refused.is_error, Some(true));
    assert!(client.call_tool(CallToolRequestParams::new("nothing")).await.is_err());
    client.cancel().await.expect("it ends");
    let left = tokio::task::spawn_blocking(move || child.wait()).await.expect("no panic").expect("it ends");
    assert_eq!(left.code(), Some(0));
}

#[test]
fn the_python_client_lists_calls_and_meets_errors() {
    let python = std::env::var("MENO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let house = House::with_delay(0);
    let server = house.command(["mcp"]);
    // Which Python a name stands for, and what it has, may depend on the home folder.
    let python = || {
        let mut command = Command::new(&python);
        command.env_clear().current_dir(house.path("work"));
        command.envs(server.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command
    };
    let has = python().args(["-c", "import mcp"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        return cannot_check("mcp-python", "the package `mcp` is not installed (MENO_TEST_PYTHON names a Python that has it)");
    }
    house.meno(PUBLISH).ends();
    let script = house.path("client.py");
    fs::write(&script, PYTHON).expect("written");
    let mut command = python();
    command.arg(&script).arg(server.get_program());
    let done = finish(command).exits(0);
    assert_eq!(done.stdout.trim(), "10 tools, 1 run, an error, 50 answers", "{}", done.stderr);
}

/// The client validates every structured result against the tool's output schema by itself.
const PYTHON: &str = r#"
import asyncio, os, sys
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

def field(value, *names):
    return next(getattr(value, name) for name in names if hasattr(value, name))

async def main():
    server = StdioServerParameters(command=sys.argv[1], args=["mcp"], env=dict(os.environ))
    async with stdio_client(server) as (reading, writing):
        async with ClientSession(reading, writing) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            runs = await session.call_tool("list_runs", {})
            total = field(runs, "structured_content", "structuredContent")["total"]
            for name, arguments in [
                ("show_run", {"run": "last"}), ("costs", {}), ("suggest", {"wish": "publish a package"}),
                ("search", {"query": "package", "all": True}), ("events", {"run": "last"}),
                ("recommend", {"template": "python_package_publish", "include_simulated": True}),
                ("list_templates", {}), ("show_template", {"template": "python_package_publish"}),
            ]:
                result = await session.call_tool(name, arguments)
                assert not field(result, "is_error", "isError"), (name, result)
            wrong = await session.call_tool("show_run", {"run": "zzzz"})
            assert field(wrong, "is_error", "isError")
            many = await asyncio.gather(*(session.call_tool("list_runs", {}) for _ in range(50)))
            assert all(field(one, "structured_content", "structuredContent")["total"] == 1 for one in many)
            print(f"{len(tools)} tools, {total} run, an error, {len(many)} answers")

asyncio.run(main())
"#;
