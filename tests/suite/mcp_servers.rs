//! Servers of the Model Context Protocol that others wrote: the official ones of files and of everything.
//!
//! It needs node and a folder with both (`npm install @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-everything`)
//! that `MENO_MCP_SERVERS` names; without it one line says so.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{House, cannot_check, finish};

/// Returns the folder that has the servers; `None`, said in one line, where there is none.
fn servers() -> Option<PathBuf> {
    let folder =
        std::env::var_os("MENO_MCP_SERVERS").map(|folder| PathBuf::from(folder).join("node_modules/@modelcontextprotocol"));
    let found = folder.filter(|folder| ["filesystem", "everything"].iter().all(|name| program(folder, name).is_file()));
    if found.is_none() {
        cannot_check("mcp-servers", "MENO_MCP_SERVERS names no folder in which npm has installed them");
    }
    found
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("server-{name}/dist/index.js"))
}

#[test]
fn agents_use_the_official_servers() {
    let Some(folder) = servers() else { return };
    let house = House::with_delay(0);
    let work = house.path("work");
    fs::create_dir_all(work.join("files")).expect("a folder");
    fs::write(work.join("files/a.txt"), "the answer is 42\n").expect("written");
    let script = house.path("script.json");
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    let calls = [
        call("mcp:fs/read_text_file", json!({"path": "files/a.txt"})),
        call("mcp:fs/read_text_file", json!({"path": "/etc/passwd"})),
        call("mcp:fs/write_file", json!({"path": "files/new.txt", "content": "new"})),
        call("mcp:every/get-sum", json!({"a": 2, "b": 3})),
        call("mcp:every/get-tiny-image", json!({})),
        // It tells of its progress each second, for longer than a call may be silent.
        call("mcp:every/trigger-long-running-operation", json!({"duration": 6, "steps": 6})),
        call("mcp:every/simulate-research-query", json!({"topic": "cats"})),
    ];
    let replies = json!([{"turn": 1, "times": 9, "text": "", "tool_calls": calls}, {"turn": 2, "times": 9, "text": "Done."}]);
    fs::write(&script, json!({"replies": replies}).to_string()).expect("written");
    let template = json!({
        "template_id": "use", "name": "Use", "description": "d", "version": "1.0.0",
        "form_schema": {"title": "t", "description": "d", "questions": []},
        "agent_composition_rules": [{"role": "user", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Use them.",
            "tools": ["mcp:fs/*", "mcp:every/*"]}]});
    house.template("use", &template);
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = {script:?}\n[mcp.fs]\ncommand = [\"node\", {fs:?}, \".\"]\n\
         [mcp.every]\ncommand = [\"node\", {every:?}]\ntimeout_s = 3\n",
        fs = program(&folder, "filesystem"),
        every = program(&folder, "everything"),
    ));
    let mut command = house.command(["run", "use", "--no-input"]);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let done = finish(command).exits(0);
    let left_out = "a tool is left out, `simulate-research-query` works only as a task";
    assert!(done.stderr.contains(left_out), "{}", done.stderr);
    assert!(done.stderr.contains("user: mcp__every__trigger-long-running-operation: 1 of 6"), "{}", done.stderr);
    let shown = house.meno(["show-run", "last", "--json", "--prompts"]).exits(0).stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let tools = &shown["agents"][0]["attempts"][0]["calls"][0]["tools"];
    let told = |at: usize| (tools[at]["ok"].as_bool().expect("ended"), tools[at]["result"].as_str().unwrap_or_default());
    assert!(told(0).0 && told(0).1.contains("the answer is 42"), "{:?}", told(0));
    assert!(!told(1).0 && !told(1).1.contains("root:"), "{:?}", told(1));
    assert!(told(2).0 && fs::read_to_string(work.join("files/new.txt")).is_ok_and(|text| text == "new"), "{:?}", told(2));
    assert!(told(3).0 && told(3).1.contains('5'), "{:?}", told(3));
    assert!(told(4).0 && told(4).1.contains("image/png"), "{:?}", told(4));
    assert!(told(5).0 && told(5).1.contains("Long running operation completed"), "{:?}", told(5));
    assert_eq!(tools[6]["fault"], "unknown_tool", "{}", tools[6]);
    let out = house.path("out");
    house.meno(["export-run", "last", "--dir", out.to_str().expect("a text")]).exits(0);
    let picture = fs::read(out.join("agent-0-attempt-1-call-1-tool-4-image-1.png")).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
}
