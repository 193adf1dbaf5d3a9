//! `meno ui` as clients of the Model Context Protocol meet it over HTTP: who comes in, what they read, what they may run.

use serde_json::{Value, json};

use crate::harness::{Done, House, Running, finish};
use crate::page_server::{Answer, Served};

const OWN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// Asks as a client does; returns the answer and the document in it.
fn ask(served: &Served, token: &str, more: &[(&str, &str)], message: &Value) -> (Answer, Value) {
    let words = format!("Bearer {token}");
    let mut headers = vec![
        ("Host", served.host.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Authorization", if token.is_empty() { "" } else { words.as_str() }),
    ];
    headers.extend(more);
    let answer = served.ask("POST", "/mcp", &headers, &message.to_string());
    let document = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    (answer, document)
}

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn greeting(version: &str) -> Value {
    let client = json!({"name": "test", "version": "1"});
    request("initialize", json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}))
}

fn with_own_token(house: &House, args: &[&str]) -> Served {
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0"].iter().chain(args).copied());
    command.env("MENO_MCP_TOKEN", OWN);
    Served::of(Running::start(command))
}

#[test]
fn a_client_over_http_reads_what_the_commands_print_and_nobody_else_comes_in() {
    let house = House::with_delay(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    let served = with_own_token(&house, &[]);
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let (answer, greeted) = ask(&served, OWN, &[], &greeting(version));
        assert_eq!((answer.status, &greeted["result"]["protocolVersion"]), (200, &json!(version)), "{answer:?}");
        assert_eq!(greeted["result"]["serverInfo"]["name"], "meno");
        let said = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(ask(&served, OWN, &[("MCP-Protocol-Version", version)], &said).0.status, 202);
        let call = request("tools/call", json!({"name": "list_runs", "arguments": {}}));
        let (_, found) = ask(&served, OWN, &[("MCP-Protocol-Version", version)], &call);
        let printed: Value = serde_json::from_str(&house.meno(["list-runs", "--json"]).exits(0).stdout).expect("JSON");
        assert_eq!(found["result"]["structuredContent"]["runs"][0]["run_id"], printed["runs"][0]["run_id"], "{found}");
    }
    // The newest revision has no greeting.
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}}});
    let newest = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "server/discover")];
    let (answer, found) = ask(&served, OWN, &newest, &discover);
    assert!(answer.status == 200 && found["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{answer:?}");
    // Without leave, nothing is offered that runs.
    let (_, listed) = ask(&served, OWN, &[], &request("tools/list", json!({})));
    let names: Vec<&str> =
        listed["result"]["tools"].as_array().expect("tools").iter().filter_map(|it| it["name"].as_str()).collect();
    assert!(names.contains(&"search") && !names.contains(&"run"), "{names:?}");
    let (_, refused) = ask(&served, OWN, &[], &request("tools/call", json!({"name": "run", "arguments": {"template": "x"}})));
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    assert!(refused["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("only reads")), "{refused}");

    let list = request("tools/list", json!({}));
    for (token, more, status) in [
        ("", vec![], 401),
        ("0", vec![], 401),
        (served.token.as_str(), vec![], 401),
        (OWN, vec![("Origin", "http://evil.example")], 403),
        (OWN, vec![("Origin", "null")], 403),
    ] {
        assert_eq!(ask(&served, token, &more, &list).0.status, status, "{token} {more:?}");
    }
    let words = format!("Bearer {OWN}");
    let elsewhere = [("Host", "evil.example"), ("Content-Type", "application/json"), ("Authorization", words.as_str())];
    assert_eq!(served.ask("POST", "/mcp", &elsewhere, &list.to_string()).status, 403);
    // The token opens no page, from which runs could be started.
    assert_eq!(served.ask("GET", "/new", &[("Host", &served.host), ("Authorization", &words)], "").status, 403);
    // What is not JSON, and what is too much, is said to be.
    let (answer, _) = ask(&served, OWN, &[], &json!("no request"));
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let headers = [
        ("Host", served.host.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Authorization", words.as_str()),
    ];
    let answer = served.ask("POST", "/mcp", &headers, "{\"jsonrpc\": ");
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(ask(&served, OWN, &[], &list).0.status, 200, "it goes on");
}

#[test]
fn a_client_over_http_runs_where_it_may_and_comes_in_by_the_token_that_is_printed() {
    let house = House::with_delay(0);
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0", "--allow-run"]);
    command.env_remove("MENO_MCP_TOKEN");
    let mut running = Running::start(command);
    let line: Value = serde_json::from_str(running.line().expect("where it is")).expect("JSON");
    let (url, token) = (line["mcp_url"].as_str().expect("an address"), line["mcp_token"].as_str().expect("a token"));
    let host = url.strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp")).expect("an address").to_owned();
    let served = Served { running, host, token: String::new(), cookie: String::new() };
    let arguments = json!({"template": "python_package_publish", "seed": 7});
    let (_, ran) = ask(&served, token, &[], &request("tools/call", json!({"name": "run", "arguments": arguments})));
    let run = &ran["result"]["structuredContent"];
    assert_eq!(ran["result"]["isError"], false, "{ran}");
    let printed: Value = serde_json::from_str(&house.meno(["show-run", "last", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(run["run_id"], printed["run_id"], "{run}");
    let shown = house.meno(["mcp", "--print-config", "codex", "--url", url]).exits(0);
    assert!(shown.stdout.contains(url) && !shown.stdout.contains(token), "{}", shown.stdout);
    house.meno(["mcp", "--print-config", "codex", "--url", "https://x"]).exits(2);
    let mut weak = house.command(["ui", "--json", "--no-open", "--port", "0"]);
    weak.env("MENO_MCP_TOKEN", "guess");
    assert!(finish(weak).exits(1).stderr.contains("MENO_MCP_TOKEN"));
}

/// A house whose one agent may use the server at `url`, and asks it for its runs.
fn asking(url: &str) -> House {
    let house = House::with_delay(0);
    let script = house.path("script.json");
    let replies = json!([
        {"turn": 1, "times": 9, "text": "I ask.", "tool_calls": [{"name": "mcp:other/list_runs", "arguments": {}}]},
        {"turn": 2, "times": 9, "text": "Asked."}]);
    std::fs::write(&script, json!({"replies": replies}).to_string()).expect("written");
    house.template(
        "ask",
        &json!({
        "template_id": "ask", "name": "Ask", "description": "d", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": []},
        "agent_composition_rules": [
            {"role": "asker", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Ask.", "tools": ["mcp:other/*"]}]}),
    );
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = {:?}\n[mcp.other]\nurl = \"{url}\"\ntoken_env = \"OTHER_TOKEN\"\n",
        script.display().to_string()
    ));
    house
}

fn with_token(house: &House, token: &str, args: &[&str]) -> Done {
    let mut command = house.command(args);
    command.env("OTHER_TOKEN", token);
    finish(command)
}

#[test]
fn an_agent_calls_tools_of_a_server_at_an_address() {
    let other = House::with_delay(0);
    other.meno(["run", "python_package_publish", "--no-input", "--seed", "7"]).ends();
    let served = with_own_token(&other, &[]);
    let house = asking(&format!("http://{}/mcp", served.host));
    let listed = with_token(&house, OWN, &["mcp", "tools", "other"]).exits(0).stdout;
    assert!(listed.contains("mcp:other/list_runs") && listed.contains("mcp:other/search"), "{listed}");
    let done = with_token(&house, OWN, &["run", "ask", "--no-input"]).exits(0);
    assert!(done.stderr.contains("is reached at http://127.0.0.1:"), "{}", done.stderr);
    let run: Value =
        serde_json::from_str(&house.meno(["show-run", "last", "--json", "--prompts"]).exits(0).stdout).expect("JSON");
    let tool = &run["agents"][0]["attempts"][0]["calls"][0]["tools"][0];
    assert!(tool["ok"] == true && tool["result"].as_str().is_some_and(|told| told.contains("python_package_publish")), "{tool}");
    assert!(crate::harness::files_with(&house.store(), OWN).is_empty(), "the token is in the store");

    // What is wrong is said before anything is paid.
    for (token, words) in [("wrong-wrong-wrong-wrong-wrong-wrong", "token_env"), ("", "OTHER_TOKEN")] {
        let refused = with_token(&house, token, &["run", "ask", "--no-input"]).exits(1).stderr;
        assert!(refused.contains("`other` cannot be used") && refused.contains(words), "{refused}");
    }
    drop(served);
    let gone = with_token(&house, OWN, &["run", "ask", "--no-input"]).exits(1).stderr;
    assert!(gone.contains("cannot be reached at http://127.0.0.1:"), "{gone}");
    let elsewhere = asking("http://example.com/mcp");
    let refused = with_token(&elsewhere, OWN, &["run", "ask", "--no-input"]).exits(1).stderr;
    assert!(refused.contains("plain http"), "{refused}");
    let both = "[mcp.other]\ncommand = [\"x\"]\nurl = \"http://127.0.0.1:1/mcp\"\n";
    elsewhere.configure(both);
    assert!(elsewhere.meno(["config"]).stderr.contains("stands beside `command`"));
}
