//! What the page says before a run starts, and of one that is at work.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{DEADLINE, House, Running};
use crate::mcp_server::{MODE, settings};
use crate::page::{ended, started, template};
use crate::page_server::Served;

/// A house whose one agent calls a tool first; its page finds the programs of this machine.
fn house(tool: &str, call: &Value, tools: &str) -> (House, Served) {
    let house = House::new();
    let mut look = template();
    look["agent_composition_rules"][0]["tools"] = json!([tool]);
    house.template("look", &look);
    let replies = json!({"replies": [{"turn": 1, "times": 9, "text": "I look.", "tool_calls": [call]}, {"times": 99, "text": "The heron migration was late."}]});
    fs::write(house.path("script.json"), replies.to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n{tools}",
        house.path("script.json").display()
    ));
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0"]);
    command.env("PATH", "/usr/bin:/bin").env(MODE, "good").env("MENO_TEST_FILE", house.path("appended.txt"));
    let mut served = Served::of(Running::start(command));
    let token = format!("/?token={}", served.token);
    served.cookie = served.get(&token).header("set-cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    (house, served)
}

/// Asks for a page until it has what is waited for.
fn until(served: &Served, path: &str, what: &str) -> String {
    let end = Instant::now() + DEADLINE;
    loop {
        let page = served.page(path);
        if page.contains(what) {
            return page;
        }
        assert!(Instant::now() < end, "{what} never comes: {page}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn tools_at_work_are_named_until_they_end() {
    let call = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["-c", "while ! test -e go; do sleep 0.02; done"]}});
    let (house, served) = house("sh", &call, "[tools]\ncommands = [\"sh\"]\n");
    let run = started(&served, &[]);
    let page = until(&served, &format!("/runs/{run}"), "1 tool at work");
    let list = page.split("id=\"at-work\"").nth(1).and_then(|rest| rest.split("</div>").next()).expect("a list");
    assert!(list.contains("run_command</code></a> of looker, attempt 1, since ") && list.contains("sel=t"), "{list}");
    fs::write(house.path("work/go"), "").expect("written");
    ended(&house, &run);
    assert!(!served.page(&format!("/runs/{run}")).contains("at work"));
}

#[test]
fn how_far_a_tool_says_that_it_is_stands_beside_it() {
    let call = json!({"name": "mcp:test/fail", "arguments": {"how": "slow"}});
    let (house, served) = house("mcp:test/fail", &call, &settings("test", "timeout_s = 5"));
    let run = started(&served, &[]);
    let page = until(&served, &format!("/runs/{run}"), " of 8: step");
    assert!(page.contains("1 tool at work"), "{page}");
    ended(&house, &run);
    assert!(!served.page(&format!("/runs/{run}")).contains(" of 8: step"), "it is recorded nowhere");
}

#[test]
fn agents_of_a_run_that_the_page_started_recall_past_runs() {
    let (house, served) = house("recall", &json!({"name": "recall", "arguments": {"query": "heron migration"}}), "");
    let first = started(&served, &[]);
    ended(&house, &first);
    // A slow machine indexes it later.
    until(&served, "/memory?q=heron+migration", &first);
    let run = started(&served, &[]);
    let detail = ended(&house, &run);
    let tool = &detail["agents"][0]["attempts"][0]["calls"][0]["tools"][0];
    assert!(tool["ok"] == json!(true), "{tool}");
    let call = &detail["agents"][0]["attempts"][0]["calls"][0]["call"];
    let page = served.page(&format!("/runs/{run}?sel=t{call}.0"));
    let told = page.split("<h3>Result</h3>").nth(1).and_then(|rest| rest.split("</pre>").next()).expect("a result");
    assert!(told.contains("1. run ") && told.contains("heron migration was late"), "{told}");
}

#[test]
fn what_is_known_of_a_new_run_stands_before_its_start_and_the_first_button_starts_nothing() {
    let house = House::new();
    let mut look = template();
    look["inputs"] = json!([{"id": "paper", "description": "d", "kind": "file", "required": true}]);
    house.template("look", &look);
    let served = Served::admitted(&house, &[]);
    let page = served.post("/new/look", &[("do", "update"), ("shown", "what"), ("q.what", "moon")]).body;
    let form = page.split("class=\"new-run\"").nth(1).and_then(|rest| rest.split("</form>").next()).expect("a form");
    let place = |what: &str| form.find(what).unwrap_or_else(|| panic!("no {what}: {form}"));
    assert!(place("expected cost") < place("value=\"start\"") && place("id=\"past\"") < place("value=\"start\""), "{form}");
    let first = form.split("<button").nth(1).and_then(|rest| rest.split('>').next()).expect("a button");
    assert!(first.contains("value=\"update\"") && first.contains("tabindex=\"-1\""), "{first}");
    assert!(form.contains("<code>paper</code> not given: agents can only say") && !form.contains("without_material"), "{form}");
}

#[test]
fn pages_say_what_prompt_caches_saved() {
    let house = House::new();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let sessions = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/claude-code/projects");
    house.meno(["import", "transcripts", "claude-code", sessions, "--yes"]).ends();
    let served = Served::admitted(&house, &[]);
    assert!(served.page("/costs?since=2020-01-01").contains("; the prompt cache saved "));
    let listed: Value = serde_json::from_str(&served.page("/api/runs")).expect("JSON");
    let runs = listed["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].as_str().expect("an id"));
    let said = runs.filter(|run| served.page(&format!("/runs/{run}")).contains("<small>the prompt cache saved ")).count();
    assert!(said > 0);
    // What a person asked in a session stands with the attempt, and is a text of its own.
    let detail =
        |run: &str| -> Value { serde_json::from_str(&house.meno(["show-run", run, "--json"]).exits(0).stdout).expect("JSON") };
    let task = |run: &Value| {
        let id = run["run_id"].as_str().expect("an id").to_owned();
        let task = detail(&id)["agents"][0]["attempts"][0]["task"].as_str()?.to_owned();
        Some((id, task))
    };
    let (run, task) = listed["runs"].as_array().expect("runs").iter().find_map(task).expect("a session");
    let page = served.page(&format!("/runs/{run}?sel=a0.1"));
    assert!(page.contains("<h3>Prompt</h3>") && !page.contains("0 characters"), "{page}");
    assert_eq!(served.page(&format!("/runs/{run}/text?of=a0.1&part=task")), task);
}
