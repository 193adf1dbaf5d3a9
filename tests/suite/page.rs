//! The page over plain HTTP: who comes in, what the pages say, and that what they change is the same as what commands change.

use std::fs;
use std::io::Read;

use rustix::process::Signal;
use serde_json::{Value, json};

use meno::internals::workspace::begin_open;
use meno::{Access, RunRequest};

use crate::harness::House;
use crate::page_server::Served;

/// A template with one question of each kind and a condition.
pub(crate) fn template() -> Value {
    json!({
        "template_id": "look", "name": "Look", "description": "One agent that looks", "version": "1.0.0",
        "form_schema": {"title": "Look", "description": "", "questions": [
            {"id": "what", "text": "What?", "type": "text_input"},
            {"id": "deep", "text": "Deep?", "type": "boolean", "default": false},
            {"id": "depth", "text": "How deep?", "type": "number", "min": 1, "max": 9, "integer": true, "default": 3,
             "when": {"question": "deep", "is": true}},
        ]},
        "agent_composition_rules": [
            {"role": "looker", "base_template": "generic", "tier_strategy": "progressive", "prompt": "Look at {{answers.what}}"},
        ],
    })
}

fn run_of(place: &str) -> String {
    place.rsplit('/').next().expect("a run").to_owned()
}

/// Fills in the form of the template and starts it; returns the run.
pub(crate) fn started(served: &Served, fields: &[(&str, &str)]) -> String {
    let mut all = vec![("do", "start"), ("shown", "what"), ("shown", "deep"), ("q.what", "the moon"), ("q.deep", "No")];
    all.extend(fields);
    let answer = served.post("/new/look", &all);
    assert_eq!(answer.status, 303, "{}", answer.body);
    run_of(answer.header("location").expect("the run's page"))
}

pub(crate) fn ended(house: &House, run: &str) -> Value {
    let mut detail = Value::Null;
    let until = std::time::Instant::now() + crate::harness::DEADLINE;
    while matches!(detail["status"].as_str(), None | Some("running" | "interrupted")) {
        assert!(std::time::Instant::now() < until, "the run does not end: {detail}");
        let shown = house.meno(["show-run", run, "--json"]).exits(0);
        detail = serde_json::from_str(&shown.stdout).expect("JSON");
    }
    detail
}

#[test]
fn nobody_comes_in_without_the_token_nor_from_another_page() {
    let house = House::new();
    let served = Served::admitted(&house, &[]);
    let (host, cookie) = (served.host.as_str(), served.cookie.as_str());
    let own = format!("http://{host}");
    let port = host.split(':').nth(1).expect("a port");
    for (headers, status) in [
        (vec![("Host", host), ("Cookie", cookie)], 200),
        (vec![("Host", host), ("Cookie", cookie), ("Origin", own.as_str())], 200),
        (vec![("Host", host)], 403),
        (vec![("Host", host), ("Cookie", "meno=1")], 403),
        (vec![("Host", &format!("evil.example:{port}")), ("Cookie", cookie)], 403),
        (vec![("Host", host), ("Cookie", cookie), ("Origin", "null")], 403),
        (vec![("Host", host), ("Cookie", cookie), ("Origin", "http://evil.example")], 403),
    ] {
        for path in ["/", "/new", "/api/runs", "/live?run=x"] {
            if path.starts_with("/live") && status == 200 {
                continue;
            }
            let answer = served.ask("GET", path, &headers, "");
            assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.body);
        }
    }
    let token = format!("/?token={}", served.token);
    assert_eq!(served.ask("GET", &token, &[("Host", host)], "").status, 403, "the token opens once");
    let answer = served.get("/");
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert!(!answer.body.contains("style=") && !answer.body.contains("onclick"), "{}", answer.body);
    served.running.signal(Signal::TERM);
    served.running.end().exits(0);
}

#[test]
fn a_form_of_another_page_changes_nothing() {
    let house = House::new();
    house.template("look", &template());
    let run = house.meno(["run", "look", "--no-input", "--set", "what=x", "--json"]).ends().run()["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let served = Served::admitted(&house, &[]);
    let headers = [
        ("Host", served.host.as_str()),
        ("Cookie", served.cookie.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let path = format!("/runs/{run}/note");
    for body in ["text=planted", "text=planted&word=", "text=planted&word=0123"] {
        assert_eq!(served.ask("POST", &path, &headers, body).status, 403, "{body}");
    }
    assert_eq!(served.ask("GET", &path, &headers, "").status, 405, "a link changes nothing");
    assert_eq!(served.post(&path, &[("text", "mine"), ("rating", "4"), ("tags", "a, b")]).status, 303);
    let detail: Value = serde_json::from_str(&house.meno(["show-run", &run, "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(detail["notes"].as_array().map(Vec::len), Some(1));
    assert_eq!((&detail["notes"][0]["text"], &detail["notes"][0]["rating"]), (&json!("mine"), &json!(4)));
}

#[test]
fn a_page_runs_no_program_in_a_folder_that_holds_the_home_folder() {
    let house = House::new();
    let mut runs = template();
    runs["agent_composition_rules"][0]["tools"] = json!(["sh"]);
    house.template("look", &runs);
    house.configure("preset = \"simulated\"\n[tools]\ncommands = [\"sh\"]\n");
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0"]);
    command.current_dir(house.path("home"));
    let mut served = Served::of(crate::harness::Running::start(command));
    let answer = served.get(&format!("/?token={}", served.token));
    served.cookie = answer.header("set-cookie").expect("a cookie").split(';').next().expect("its value").to_owned();
    let answer = served.post("/new/look", &[("do", "start"), ("shown", "what"), ("q.what", "x")]);
    assert!(answer.status != 303 && answer.body.contains("holds your home folder"), "{} {}", answer.status, answer.body);
    assert!(served.page("/new/look").contains("holds your home folder"), "it is said before the form is filled in");
}

#[test]
fn a_page_that_only_shows_changes_nothing() {
    let house = House::new();
    house.template("look", &template());
    let run = house.meno(["run", "look", "--no-input", "--set", "what=x", "--json"]).ends().run()["run_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let served = Served::admitted(&house, &["--read-only"]);
    let before = served.page("/api/runs");
    for (path, fields) in [
        (format!("/runs/{run}/note"), vec![("text", "x")]),
        (format!("/runs/{run}/cancel"), vec![]),
        (format!("/runs/{run}/resume"), vec![("retry_failed", "yes")]),
        ("/new/look".to_owned(), vec![("do", "start"), ("shown", "what"), ("q.what", "x")]),
    ] {
        assert_eq!(served.post(&path, &fields).status, 409, "{path}");
    }
    assert_eq!(served.page("/api/runs"), before);
    assert!(!served.page(&format!("/runs/{run}")).contains("Add note"));
}

#[test]
fn the_form_asks_by_the_answers_says_what_is_wrong_and_starts_the_run() {
    let house = House::new();
    house.template("look", &template());
    let served = Served::admitted(&house, &[]);
    let shown = served.page("/new/look");
    assert!(shown.contains("q-what") && !shown.contains("q-depth"), "{shown}");
    let deep = [("do", "update"), ("shown", "what"), ("shown", "deep"), ("q.what", "moon"), ("q.deep", "Yes")];
    let shown = served.post("/new/look", &deep).body;
    assert!(shown.contains("q-depth") && shown.contains("from the template") && shown.contains("expected cost"), "{shown}");
    let wrong = [&deep[..], &[("do", "start"), ("shown", "depth"), ("q.depth", "12")]].concat();
    let wrong: Vec<(&str, &str)> = wrong.into_iter().filter(|pair| *pair != ("do", "update")).collect();
    let answer = served.post("/new/look", &wrong);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("from 1 to 9") && answer.body.contains("did not start"), "{}", answer.body);
    assert_eq!(served.page("/api/runs").matches("run_id").count(), 0);
    let run = started(&served, &[("seed", "7"), ("labels", "team=core")]);
    let detail = ended(&house, &run);
    assert_eq!(
        (&detail["mode"], &detail["answers"]["what"], &detail["labels"]["team"]),
        (&json!("simulated"), &json!("the moon"), &json!("core"))
    );
    assert_eq!((&detail["answer_sources"]["what"], &detail["answer_sources"]["deep"]), (&json!("asked"), &json!("default")));
    // What was answered is proposed next time, and says so.
    let again = served.page("/new/look");
    assert!(again.contains("the moon") && again.contains("as last time"), "{again}");
    // Past runs are compared when the page is there already: by the script, or by whoever presses the button.
    assert!(
        again.contains("not compared yet") && again.contains("value=\"past\"") && !again.contains("past run is like"),
        "{again}"
    );
    let past = [("do", "past"), ("shown", "what"), ("shown", "deep"), ("q.what", "the moon"), ("q.deep", "No")];
    let compared = served.post("/new/look", &past).body;
    assert!(!compared.contains("not compared yet") && compared.contains("What will run"), "{compared}");
}

#[test]
fn real_money_is_spent_only_after_a_second_yes() {
    let house = House::new();
    house.template("look", &template());
    let mut command = house.command(["ui", "--json", "--no-open", "--port", "0"]);
    command.env("ANTHROPIC_API_KEY", "sk-ant-not-a-key");
    let mut served = Served::of(crate::harness::Running::start(command));
    let token = format!("/?token={}", served.token);
    served.cookie = served.get(&token).header("set-cookie").expect("a cookie").split(';').next().expect("one").to_owned();
    let fields = [("do", "start"), ("shown", "what"), ("q.what", "x"), ("preset", "anthropic")];
    let answer = served.post("/new/look", &fields);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("This spends real money") && answer.body.contains("name=\"confirm\""), "{}", answer.body);
    assert!(!answer.body.contains("sk-ant-not-a-key"));
    // The yes is one to what is shown: it stays while anything else in the form changes, and ends with it.
    let yes =
        answer.body.split("name=\"confirm\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a yes").to_owned();
    let updated = |more: &[(&str, &str)]| {
        let fields = [&[("do", "update"), ("shown", "what"), ("asked", "yes"), ("confirm", &yes)], more].concat();
        served.post("/new/look", &fields).body
    };
    let same = [("q.what", "x"), ("preset", "anthropic")];
    let kept = updated(&[&same[..], &[("seed", "7")]].concat());
    let checked = |body: &str| {
        body.split("id=\"confirm\"").nth(1).and_then(|rest| rest.split('>').next()).map(|tag| tag.contains(" checked"))
    };
    assert!(checked(&kept) == Some(true) && kept.contains("Start with real money"), "{kept}");
    let more = [("q.what", "x"), ("preset", "anthropic"), ("strategy", "premium_only")];
    let changed = updated(&more);
    assert!(checked(&changed) == Some(false) && changed.contains("Your yes was to something else"), "{changed}");
    let fields = [&[("do", "start"), ("shown", "what"), ("asked", "yes"), ("confirm", &yes)], &more[..]].concat();
    let answer = served.post("/new/look", &fields);
    assert!(answer.status == 200 && checked(&answer.body) == Some(false), "{} {}", answer.status, answer.body);
    let simulated = updated(&[("q.what", "x"), ("preset", "simulated")]);
    assert!(checked(&simulated).is_none() && !simulated.contains("name=\"asked\""), "{simulated}");
    assert_eq!(served.page("/api/runs").matches("run_id").count(), 0, "nothing was started");
}

/// A command that finds the programs that agents run.
fn with_programs(house: &House, args: &[&str]) -> std::process::Command {
    let mut command = house.command(args);
    command.env("PATH", "/usr/bin:/bin");
    command
}

/// A run that was killed while a program ran of which nobody knows whether it had finished.
fn interrupted(house: &House) {
    let mut runs = template();
    runs["agent_composition_rules"][0]["tools"] = json!(["sh"]);
    house.template("look", &runs);
    let program = json!({"name": "run_command", "arguments": {"program": "sh", "arguments": ["append.sh"]}});
    let replies = json!({"replies": [{"turn": 1, "times": 9, "text": "I run it.", "tool_calls": [program]}, {"turn": 2, "times": 9, "text": "It ran."}]});
    fs::write(house.path("script.json"), replies.to_string()).expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n[tools]\ncommands = [\"sh\"]\n",
        house.path("script.json").display()
    ));
    // It goes on when the test lets it, so that nothing of it is left running.
    fs::write(house.path("work/append.sh"), "echo ran >> log.txt\nwhile ! test -e go; do sleep 0.02; done\n").expect("written");
    let mut running =
        crate::harness::Running::start(with_programs(house, &["run", "look", "--no-input", "--json", "--set", "what=x"]));
    running.until("ToolStarted");
    let until = std::time::Instant::now() + crate::harness::DEADLINE;
    while !fs::read_to_string(house.path("work/log.txt")).is_ok_and(|text| text == "ran\n") {
        assert!(std::time::Instant::now() < until, "the program does not run");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.kill();
    fs::write(house.path("work/go"), "").expect("written");
}

#[test]
fn what_became_of_a_tool_is_said_on_the_page() {
    for (answer, times) in [("done", 1), ("not_done", 2), ("unknown", 1)] {
        let house = House::new();
        interrupted(&house);
        crate::harness::finish(with_programs(&house, &["resume", "last"])).exits(3);
        let mut served =
            Served::of(crate::harness::Running::start(with_programs(&house, &["ui", "--json", "--no-open", "--port", "0"])));
        let token = format!("/?token={}", served.token);
        served.cookie =
            served.get(&token).header("set-cookie").expect("a cookie").split(';').next().expect("its value").to_owned();
        let listed: Value = serde_json::from_str(&served.page("/api/runs")).expect("JSON");
        let run = listed["runs"][0]["run_id"].as_str().expect("an id").to_owned();
        let place = format!("/runs/{run}/resolve");
        for path in ["/needs".to_owned(), format!("/runs/{run}")] {
            let page = served.page(&path);
            let form =
                page.split(&format!("action=\"{place}\"")).nth(1).and_then(|rest| rest.split("</form>").next()).expect("a form");
            assert_eq!(form.matches("name=\"answer\"").count(), 3, "{form}");
            assert!(
                page.contains("finished when Meno stopped?") && page.contains("append.sh") && form.contains("run it again"),
                "{page}"
            );
        }
        assert_eq!(served.post(&place, &[("tool", "7"), ("answer", answer)]).status, 409, "no such tool");
        assert_eq!(served.post(&place, &[("tool", "1"), ("answer", "perhaps")]).status, 400);
        assert_eq!(served.post(&place, &[("tool", "1"), ("answer", answer)]).status, 303);
        assert_eq!(ended(&house, &run)["status"], "succeeded", "{answer}");
        assert_eq!(fs::read_to_string(house.path("work/log.txt")).expect("there").lines().count(), times, "{answer}");
        assert_eq!(served.post(&place, &[("tool", "1"), ("answer", answer)]).status, 409, "it is said once");
        assert!(!served.page("/needs").contains(&run));
    }
}

#[test]
fn an_escalation_that_waits_is_approved_on_the_page() {
    let house = House::new();
    house.template("look", &template());
    fs::write(
        house.path("script.json"),
        json!({"replies": [
            {"role": "looker", "attempt": 1, "stop": "refusal"}, {"role": "looker", "attempt": 2, "text": "the moon is far"},
        ]})
        .to_string(),
    )
    .expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n",
        house.path("script.json").display()
    ));
    let served = Served::admitted(&house, &[]);
    let run = started(&served, &[("escalate", "ask")]);
    assert_eq!(ended(&house, &run)["status"], "awaiting_input");
    let needs = served.page("/needs");
    assert!(needs.contains(&run) && needs.contains("wants to escalate from cheap to capable"), "{needs}");
    assert_eq!(served.post(&format!("/runs/{run}/approve"), &[("agent", "7"), ("granted", "yes")]).status, 409, "no such agent");
    assert_eq!(served.post(&format!("/runs/{run}/approve"), &[("agent", "0"), ("granted", "yes")]).status, 303);
    let detail = ended(&house, &run);
    assert_eq!((&detail["status"], &detail["agents"][0]["attempts"][1]["tier"]), (&json!("succeeded"), &json!("capable")));
    assert!(!served.page("/needs").contains(&run));
    let page = served.page(&format!("/runs/{run}"));
    assert!(page.contains("wf-climb") && page.matches("class=\"wf-bar").count() >= 4, "{page}");
}

#[test]
fn every_position_shows_what_replay_shows_there() {
    let house = House::new();
    house.meno(["run", "release_prep", "--no-input", "--seed", "3"]).ends();
    let served = Served::admitted(&house, &[]);
    let events = house.meno(["events", "last", "--json"]).exits(0).lines();
    let run = events[0]["run_id"].as_str().expect("an id");
    for event in events.iter().step_by(7) {
        let seq = event["seq"].to_string();
        let replayed = house.meno(["replay", run, "--at", &seq, "--json"]).exits(0);
        let replayed: Value = serde_json::from_str(&replayed.stdout).expect("JSON");
        let shown: Value = serde_json::from_str(&served.page(&format!("/api/runs/{run}?at={seq}"))).expect("JSON");
        assert_eq!(shown, replayed, "at {seq}");
        let page = served.page(&format!("/runs/{run}?at={seq}"));
        assert!(page.contains("As it was at event") && page.contains("wf-cursor") || replayed["agents"] == json!([]), "at {seq}");
        // The number of the event, which the track without a script sends, leads to the same.
        let by_step = served.page(&format!("/runs/{run}?step={}", event["version"]));
        assert_eq!(by_step.contains("As it was at event"), event["seq"] != events.last().expect("one")["seq"]);
    }
    assert_eq!(served.get(&format!("/runs/{run}?at=0")).status, 404, "it had not begun");
    assert_eq!(served.get(&format!("/runs/{run}?at=x")).status, 400);
    assert_eq!(served.get("/runs/01KAPXZ8T0M3N5Q7R9S1V3W5X7").status, 404);
    assert_eq!(served.get("/nowhere").status, 404);
    assert_eq!(served.get("/?status=done").status, 400);
    assert_eq!(served.get("/new/nothing").status, 404);
}

#[test]
fn runs_are_filtered_searched_and_paged() {
    let house = House::with_delay(0);
    house.template("look", &template());
    let workspace = house.workspace(Access::Write, false);
    let entry = workspace.runs().template("look").expect("it is there");
    let request = |number: u32| RunRequest::new().answer("what", format!("thing {number}")).label("odd", "yes");
    let ids: Vec<String> =
        (0..53).map(|number| workspace.runs().run_to_end(&entry, request(number)).expect("it runs").run_id).collect();
    drop(workspace);
    let served = Served::admitted(&house, &[]);
    let first = served.page("/");
    let shown = |page: &str| ids.iter().filter(|id| page.contains(&format!("title=\"{id}\""))).count();
    assert_eq!(shown(&first), 50);
    let next = first.split("href=\"/?before=").nth(1).and_then(|rest| rest.split('"').next()).expect("a next page").to_owned();
    assert_eq!(shown(&served.page(&format!("/?before={next}"))), 3);
    for (query, count) in [
        ("template=look&label=odd%3Dyes", 50),
        ("label=odd%3Dno", 0),
        ("mode=real", 0),
        ("status=cancelled", 0),
        ("since=1h", 50),
        ("during=today", 50),
        ("during=2020-01-01..2020-12-31", 0),
        ("q=%22thing+7%22&during=2020-01-01", 0),
        ("node=own", 50),
    ] {
        assert_eq!(shown(&served.page(&format!("/?{query}"))), count, "{query}");
    }
    let unknown = served.get("/?node=ABCDE");
    assert!((400..500).contains(&unknown.status) && unknown.body.contains("ABCDE"), "{}", unknown.body);
    let chips = served.page("/?status=failed&mode=simulated");
    assert!(chips.contains("href=\"/?mode=simulated\"") && chips.contains("href=\"/?status=failed\""), "{chips}");
    let found = served.page("/?q=mode%3Asimulated+%22thing+7%22");
    assert_eq!(shown(&found), 1, "{found}");
    assert!(found.contains("Understood as") && found.contains("aria-label=\"Remove"), "{found}");
}

#[test]
fn a_search_of_a_time_finds_what_was_under_way_then_however_much_came_later() {
    let house = House::new();
    let line = |number: u32, month: u32| {
        let at = format!("2026-{month:02}-03T{:02}:{:02}:00Z", number / 60, number % 60);
        json!({"run_id": format!("{month}-{number}"), "template_id": "look", "started_at": at, "ended_at": at, "agents": [
            {"role": "looker", "task": "Look at the moon", "attempts": [{"tier": "cheap", "passed": true, "output": "Seen."}]}]})
        .to_string()
    };
    let lines: Vec<String> = (0..130).map(|number| line(number, 5)).chain((0..7).map(|number| line(number, 3))).collect();
    fs::write(house.path("history.jsonl"), lines.join("\n")).expect("written");
    house.meno(["import", "runs", house.path("history.jsonl").to_str().expect("UTF-8")]).exits(0);
    house.meno(["reindex"]).exits(0);
    let served = Served::admitted(&house, &[]);
    let shown = |query: &str| served.page(&format!("/?{query}")).matches("class=\"row id\"").count();
    assert_eq!(shown("q=moon&during=2026-03-01..2026-03-31"), 7);
    assert_eq!(shown("q=moon&during=2026-04-01..2026-04-30"), 0);
}

#[test]
fn a_page_that_is_open_hears_of_a_run_of_another_process() {
    let house = House::new();
    house.template("look", &template());
    let served = Served::admitted(&house, &[]);
    let mut news = served.listen("/live");
    let mut heard = String::new();
    let mut buffer = [0; 1024];
    while !heard.contains("\r\n\r\n") {
        let read = news.read(&mut buffer).expect("the head");
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    assert!(heard.contains("text/event-stream"), "{heard}");
    let done = house.meno(["run", "look", "--no-input", "--set", "what=x", "--json"]).ends().run();
    let run = done["run_id"].as_str().expect("an id");
    while !heard.contains(&format!("data: {run}\n")) {
        let read = news.read(&mut buffer).expect("news");
        assert!(read > 0, "it ended: {heard}");
        heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

#[test]
fn an_open_form_is_completed_on_the_page() {
    let house = House::with_delay(0);
    house.template("look", &template());
    let workspace = house.workspace(Access::Write, false);
    let entry = workspace.runs().template("look").expect("it is there");
    let run = begin_open(&workspace, &entry, RunRequest::new().answer("what", "the moon")).expect("it begins").to_string();
    drop(workspace);
    let served = Served::admitted(&house, &[]);
    let place = format!("/runs/{run}/form");
    assert!(served.page("/needs").contains(&format!("href=\"{place}\"")));
    assert!(served.page(&place).contains("value=\"the moon\""), "what was answered stands in it");
    let wrong = served.post(&place, &[("do", "start"), ("shown", "what"), ("q.what", "")]);
    assert!(wrong.status == 200 && wrong.body.contains("some answers are missing or wrong"), "{}", wrong.body);
    let fields = [("do", "start"), ("shown", "what"), ("q.what", "the sun"), ("shown", "deep"), ("q.deep", "No")];
    assert_eq!(served.post(&place, &fields).status, 303);
    assert_eq!(ended(&house, &run)["answers"]["what"], "the sun");
    assert_eq!(served.get(&place).status, 409, "a form is completed once");
}

#[test]
fn what_cannot_be_done_is_said_to_people_and_to_programs() {
    let house = House::new();
    house.template("look", &template());
    let served = Served::admitted(&house, &[]);
    let run = started(&served, &[]);
    ended(&house, &run);
    let note = |rating| served.post(&format!("/runs/{run}/note"), &[("text", "x"), ("rating", rating)]);
    for rating in ["9", "abc"] {
        let answer = note(rating);
        assert!(answer.status == 400 && answer.body.contains("from 1 to 5"), "{}", answer.body);
    }
    assert_eq!(note("").status, 303);
    for (path, status) in [("/api/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", 404), ("/api/runs?status=odd", 400), ("/api/nothing", 404)] {
        let answer = served.get(path);
        let document: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, document["error"]["message"].is_string()), (status, true), "{}", answer.body);
    }
    let memory = served.page("/memory?q=moon");
    assert_eq!(memory.matches("nderstood").count(), 1, "{memory}");
}

#[test]
fn what_is_too_large_or_asked_in_the_wrong_way_is_a_page_that_says_what_to_do() {
    let house = House::new();
    import_one(&house);
    let served = Served::admitted(&house, &[]);
    let run: Value = serde_json::from_str(&served.page("/api/runs")).expect("JSON");
    let note = format!("/runs/{}/note", run["runs"][0]["run_id"].as_str().expect("an id"));
    let said = |answer: &crate::page_server::Answer, status: u16, words: &[&str]| {
        assert_eq!(answer.status, status, "{}", answer.body);
        let missing: Vec<_> = words.iter().filter(|words| !answer.body.contains(**words)).collect();
        assert!(answer.body.contains("<nav") && missing.is_empty(), "{missing:?}: {}", answer.body);
    };
    let long = "x".repeat(1024 * 1024 + 1);
    said(&served.post(&note, &[("text", &long)]), 400, &["1048576 bytes", "--input ID=PATH"]);
    said(&served.post(&note, &[("text", &"x".repeat(5 * 1024 * 1024))]), 413, &["larger than 4 MiB", "send less"]);
    said(&served.get(&note), 405, &["does not answer GET", "go to the page with the form"]);
    let headers = [("Host", served.host.as_str()), ("Cookie", &served.cookie)];
    said(&served.ask("POST", "/costs", &headers, ""), 405, &["does not answer POST", "open it in the browser"]);
    let program = served.ask("POST", "/api/costs", &headers, "");
    assert_eq!((program.status, program.header("content-type")), (405, Some("application/json")), "{}", program.body);
    assert!(served.ask("POST", "/style.css", &headers, "").body.contains("can only be read"));
    assert_eq!(served.post(&note, &[("text", &long[..1024 * 1024])]).status, 303, "what is just short enough is taken");
}

fn import_one(house: &House) {
    let line = json!({"run_id": "r1", "template_id": "look", "started_at": "2026-06-01T10:00:00Z",
        "agents": [{"role": "looker", "attempts": [{"tier": "cheap", "provider": "p", "model": "m", "passed": true}]}]});
    fs::write(house.path("one.jsonl"), line.to_string()).expect("written");
    house.meno(["import", "runs", house.path("one.jsonl").to_str().expect("UTF-8")]).exits(0);
}

#[test]
fn hostile_texts_are_text_on_every_page() {
    const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1))";
    const WORSE: &str = "<script>alert(2)</script>\u{1b}[31mred \u{202e}live\u{7}";
    let house = House::new();
    let mut hostile = template();
    hostile["name"] = json!(HOSTILE);
    hostile["description"] = json!(HOSTILE);
    hostile["form_schema"]["questions"][0]["text"] = json!(HOSTILE);
    hostile["form_schema"]["questions"][0]["help_text"] = json!(HOSTILE);
    fs::write(
        house.path("script.json"),
        json!({"replies": [
            {"role": "looker", "times": 9, "text": format!("{HOSTILE} {WORSE}\n\n{}", "x".repeat(100_000))},
        ]})
        .to_string(),
    )
    .expect("written");
    house.configure(&format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\nscript = \"{}\"\n",
        house.path("script.json").display()
    ));
    house.template("look", &hostile);
    let what = format!("what={HOSTILE}");
    let run =
        house.meno(["run", "look", "--no-input", "--json", "--set", &what, "--label", &format!("evil={HOSTILE}")]).ends().run();
    let run = run["run_id"].as_str().expect("an id").to_owned();
    house.meno(["note", &run, WORSE, "--tag", HOSTILE]).exits(0);
    let served = Served::admitted(&house, &[]);
    let query = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        "/".to_owned(),
        format!("/?q={query}"),
        format!("/?template={query}"),
        format!("/?since={query}"),
        format!("/runs/{query}"),
        format!("/runs/{run}"),
        format!("/runs/{run}?sel=a0.1"),
        format!("/runs/{run}?sel=c0"),
        format!("/runs/{run}?sel={query}"),
        format!("/runs/{run}/events"),
        "/needs".to_owned(),
        "/new".to_owned(),
        "/new/look".to_owned(),
        format!("/new/{query}"),
        format!("/{query}"),
    ] {
        let answer = served.get(&path);
        let body = &answer.body;
        assert_ne!(answer.status, 500, "{path}: {body}");
        for never in ["<script>", "<img", "href=\"javascript", "\u{1b}", "\u{7}"] {
            assert!(!body.contains(never), "{path} has {never:?}");
        }
        assert!(body.len() < 200_000, "{path}: {} bytes", body.len());
    }
}
