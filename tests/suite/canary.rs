//! Secrets put through every door by which text comes in, and looked for behind every door by which it goes out.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Done, House, Running, files, finish};
use crate::llm_server::{LlmServer, Turn};

/// Of no form that anybody knows: only that it stands in the variable that the settings name makes it a secret.
const KEY: &str = "plain-words-of-the-wire-4711";
/// Of a form that secret scanners know; in no variable at all.
const FORM: &str = "ghp_a1B2c3D4e5a1B2c3D4e5a1B2c3D4e5a1B2c3";
/// The answer to a question for a secret.
const ANSWER: &str = "correct-horse-battery-staple-4712";
const SECRETS: [&str; 3] = [KEY, FORM, ANSWER];

fn all() -> String {
    format!("{KEY} and {FORM} and {ANSWER}")
}

fn template() -> Value {
    let agent = |role: &str, prompt: &str, word: &str| {
        json!({"role": role, "base_template": "generic", "tier_strategy": "progressive", "prompt": prompt, "on_failure": "continue",
               "success_criteria": [{"name": "says the word", "type": "contains", "value": word}]})
    };
    json!({
        "template_id": "canary", "name": "Canary", "description": "Two agents", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Canary", "description": "What is told", "questions": [
            {"id": "topic", "text": "About what?", "type": "text_input"},
            {"id": "token", "text": "Which token?", "type": "secret", "env": "CANARY_TOKEN"}]},
        "inputs": [{"id": "notes", "description": "What is known", "kind": "file", "required": false}],
        "agent_composition_rules": [
            agent("writer", "Write about {{answers.topic}}.\n\n{{inputs.notes}}", "done"),
            agent("reader", "Read.\n\n{{agents.writer.output}}", "done")],
        "report": "{{agents.writer.output}}"
    })
}

pub fn settings(base_url: &str) -> String {
    let tiers =
        ["cheap", "capable", "premium"].map(|tier| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"m-{tier}\"\n"));
    format!(
        "{}[providers.wire]\nkind = \"openai-chat\"\nbase_url = \"{base_url}\"\napi_key_env = \"WIRE_KEY\"\nretries = 2\n",
        tiers.concat()
    )
}

/// The house with everything said so far; what the test itself wrote down is known.
struct Watched {
    house: House,
    own: BTreeSet<PathBuf>,
    said: Vec<Done>,
}

impl Watched {
    fn meno<'a>(&mut self, args: impl IntoIterator<Item = &'a str>) -> usize {
        let mut command = self.house.command(args);
        command.arg("--log-file").arg(self.house.path("trace.log"));
        command.env("WIRE_KEY", KEY).env("CANARY_TOKEN", ANSWER).env("MENO_LOG", "trace");
        self.said.push(finish(command));
        self.said.len() - 1
    }

    fn said(&self, at: usize) -> &Done {
        &self.said[at]
    }

    /// Looks everywhere: at what was printed, and into every file, also into packed ones.
    #[track_caller]
    fn assert_clean(&self) {
        for done in &self.said {
            for secret in SECRETS {
                assert!(
                    !done.stdout.contains(secret) && !done.stderr.contains(secret),
                    "{secret} was printed:\n{}\n{}",
                    done.stdout,
                    done.stderr
                );
            }
        }
        let mut seen = 0;
        for path in files(&self.house.path("")).into_iter().filter(|path| !self.own.contains(path)) {
            let bytes = fs::read(&path).expect("a file");
            let unpacked = unpack(&bytes);
            for secret in SECRETS {
                let stands_in = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!stands_in(&bytes) && !stands_in(&unpacked), "{secret} stands in {}", path.display());
            }
            seen += 1;
        }
        assert!(seen > 20, "{seen} files are not all of them");
    }
}

/// What a zstd file holds: a payload, or a whole backup.
fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    if let Ok(mut decoder) = zstd::Decoder::new(bytes) {
        let _ = decoder.read_to_end(&mut unpacked);
    }
    // What lies compressed in a backup was looked into where it came from.
    unpacked
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_come_out_of_no_door_whichever_they_came_in_by() {
    let said = all();
    let server = LlmServer::start([
        // A provider that quotes the key back: in an error that passes, in headers, in an answer, in one that does not pass.
        Turn::status(500, &format!("{{\"error\": {{\"message\": \"broken for {said}\", \"code\": \"{FORM}\"}}}}")),
        Turn::text(&format!("I was told {said}. {}", "Nothing to see. ".repeat(900))).header("x-request-id", FORM),
        Turn::text(&format!("done, for {said}")),
        Turn::status(401, &format!("{{\"error\": {{\"message\": \"wrong key {said}\"}}}}")),
    ])
    .await;
    let house = House::new();
    house.configure(&settings(&server.base_url("/v1")));
    house.template("canary", &template());
    let notes = house.path("work/notes.txt");
    fs::write(&notes, format!("{said}\n{}", "Nothing to see here. ".repeat(2000))).expect("written");
    let mut watched = Watched { house, own: BTreeSet::from([notes]), said: Vec::new() };

    let topic = format!("topic=about {said}");
    let label = format!("who={said}");
    let run = ["run", "canary", "--no-input", "--input", "notes=notes.txt", "--json"];
    let done = watched.meno(run.into_iter().chain(["--set", &topic, "--label", &label]));
    assert!(watched.said(done).stdout.contains("redacted:"), "{:?}", watched.said(done));
    let run = watched.said(done).run()["run_id"].as_str().expect("an id").to_owned();
    watched.assert_clean();

    // Whatever is said about a run, and by it.
    watched.meno(["note", &run, &said, "--tag", FORM, "--rating", "2"]);
    watched.meno(["fork", &run, "--set", &topic, "--agent", "reader", "--label", &label, "--json"]);
    watched.meno(["rerun", &run, "--json"]);
    for args in [
        vec!["show-run", &run, "--outputs", "--events"],
        vec!["show-run", &run, "--json"],
        vec!["events", "--json"],
        vec!["list-runs", "--json"],
        vec!["search", "nothing to see", "--json"],
        vec!["replay", &run],
        vec!["replay", "--verify", "--all", "--json"],
        vec!["diff", &run, "last", "--json"],
        vec!["analytics", "canary", "--json"],
        vec!["costs", "--json"],
        vec!["telemetry", "show", "--json"],
        vec!["recommend", "canary", "--json"],
        vec!["config", "--json"],
        vec!["doctor", "--json"],
    ] {
        watched.meno(args);
    }
    let [out, export, report, seal, backup] =
        ["out", "export", "report.md", "seal.json", "b.tar.zst"].map(|name| text(&watched.house.path(name)));
    watched.meno(["export-run", &run, "--dir", &out, "--sensitive"]);
    watched.meno(["export", &export]);
    watched.meno(["audit", "--report", &report]);
    watched.meno(["seal", "-o", &seal]);
    watched.meno(["backup", &backup]);
    watched.meno(["forget", &run, "--yes", "--why", &said]);
    for path in [&out, &export, &report, &backup] {
        assert!(Path::new(path).exists(), "{path} was not written");
    }
    let sent: String = server.requests().iter().map(|request| request.body.to_string()).collect();
    assert!(SECRETS.iter().all(|secret| !sent.contains(secret)), "a secret was sent: {sent}");
    assert!(watched.house.path("trace.log").metadata().is_ok_and(|trace| trace.len() > 1000), "nothing was traced");
    watched.assert_clean();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_leaves_no_secret_behind_whatever_is_kept() {
    for capture in ["full", "redacted", "hash", "none"] {
        let said = all();
        let server = LlmServer::start([
            Turn::text(&format!("I was told {said}.")),
            Turn::silence(),
            Turn::text("done"),
            Turn::text("done"),
        ])
        .await;
        let house = House::new();
        let levels = format!("[capture]\nprompts = \"{capture}\"\noutputs = \"{capture}\"\nanswers = \"{capture}\"\n");
        house.configure(&(settings(&server.base_url("/v1")) + &levels));
        house.template("canary", &template());
        let notes = house.path("work/notes.txt");
        fs::write(&notes, &said).expect("written");
        let mut watched = Watched { house, own: BTreeSet::from([notes]), said: Vec::new() };
        let topic = format!("topic={said}");
        let args = ["run", "canary", "--no-input", "--input", "notes=notes.txt", "--json", "--set", &topic];
        let mut command = watched.house.command(args);
        command.env("WIRE_KEY", KEY).env("CANARY_TOKEN", ANSWER);
        let mut running = Running::start(command);
        running.until("TierEscalated");
        let asked_twice = async {
            while server.requests().len() < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked_twice).await.expect("the second request");
        running.signal(Signal::KILL);
        watched.said.push(running.end());
        let resumed = watched.meno(["resume", "last", "--json"]);
        assert!(!watched.said(resumed).events().is_empty(), "{:?}", watched.said(resumed));
        watched.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_request_addresses_telephones_and_names_are_neither_sent_nor_judged_nor_kept() {
    const PRIVATE: [&str; 3] = ["ada@example.org", "+49 30 1234567", "Lovelace"];
    let said = "Ask Ada Lovelace, ada@example.org, +49 30 1234567, of 2026-11-27.";
    let server = LlmServer::start([Turn::text(&format!("not yet: {said}")), Turn::text("done"), Turn::text("done")]).await;
    let house = House::new();
    let redaction = "[capture]\nprompts = \"redacted\"\noutputs = \"redacted\"\nanswers = \"redacted\"\n\
        [redaction]\nemails = true\nphones = true\nnames = [\"Ada Lovelace\"]\n";
    house.configure(&(settings(&server.base_url("/v1")) + redaction));
    house.template("canary", &template());
    fs::write(house.path("work/notes.txt"), said).expect("written");
    let topic = format!("topic={said}");
    let mut command = house.command(["run", "canary", "--no-input", "--input", "notes=notes.txt", "--json", "--set", &topic]);
    command.env("WIRE_KEY", KEY).env("CANARY_TOKEN", ANSWER);
    let done = finish(command).exits(0);
    for words in PRIVATE {
        assert!(!done.stdout.contains(words), "{words}");
        let kept = crate::harness::files_with(&house.store(), words);
        assert!(kept.is_empty(), "{words} stands in {kept:?}");
        assert!(server.requests().iter().all(|request| !request.body.to_string().contains(words)), "{words} was sent");
    }
    let sent = server.requests()[0].body.to_string();
    for mark in ["[redacted:email]", "[redacted:phone]", "[redacted:name]", "2026-11-27"] {
        assert!(sent.contains(mark), "{mark}: {sent}");
    }
    house.meno(["replay", "--verify", "--all"]).exits(0);
    assert_eq!(
        serde_json::from_str::<Value>(&house.meno(["audit", "--json"]).exits(0).stdout).expect("JSON")["violations"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tools_are_asked_and_return_is_clean_and_is_forgotten_with_the_run() {
    const PLAIN: &str = "only-in-a-file-of-the-workspace";
    let said = all();
    let server = LlmServer::start([
        Turn::text(&format!("I look for {said}."))
            .tool("read_file", json!({"path": "leak.txt"}))
            .tool("search_files", json!({"pattern": "secret"}))
            .tool("search_files", json!({"pattern": FORM}))
            .tool("run_command", json!({"program": "sh", "arguments": ["-c", format!("echo {said}; cat leak.txt; exit 3")]}))
            .tool("read_file", json!(format!("{{\"path\": \"{KEY}")))
            .tool(FORM, json!({"what": said})),
        Turn::text("").tool("read_file", json!({"path": "large.txt"})),
        Turn::text("done"),
        Turn::text("done"),
    ])
    .await;
    let house = House::new();
    house.configure(&(settings(&server.base_url("/v1")) + "[tools]\ncommands = [\"sh\"]\n[memory]\nembed_ms = 0\n"));
    let mut template = template();
    template["agent_composition_rules"][0]["tools"] = json!(["read_file", "search_files", "run_command"]);
    template["agent_composition_rules"][0]["success_criteria"] = json!([
        {"name": "says the word", "type": "contains", "value": "done"},
        {"name": "ends", "type": "command", "run": ["sh", "-c", "cat leak.txt"]}]);
    house.template("canary", &template);
    let own = ["leak.txt", "large.txt"].map(|name| house.path("work").join(name));
    fs::write(&own[0], format!("secret {said}\n{PLAIN}\n")).expect("written");
    // Large enough to be kept as a payload, with the secrets in what is not told to the model as well.
    fs::write(&own[1], format!("secret {said} {PLAIN}\n").repeat(1500)).expect("written");
    let mut watched = Watched { house, own: BTreeSet::from(own), said: Vec::new() };
    let mut command = watched.house.command(["run", "canary", "--no-input", "--json", "--set", "topic=files"]);
    command.arg("--log-file").arg(watched.house.path("trace.log"));
    command.env("WIRE_KEY", KEY).env("CANARY_TOKEN", ANSWER).env("MENO_LOG", "trace").env("PATH", "/usr/bin:/bin");
    let done = tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic");
    let run = done.run();
    assert_eq!(run["status"], "succeeded", "{}", done.stderr);
    let run = run["run_id"].as_str().expect("an id").to_owned();
    watched.said.push(done);
    let sent: String = server.requests().iter().map(|request| request.body.to_string()).collect();
    assert!(SECRETS.iter().all(|secret| !sent.contains(secret)), "a secret was sent: {sent}");
    assert!(sent.contains(PLAIN) && sent.contains("[redacted:"), "tools did not run: {sent}");
    watched.assert_clean();
    let house = &watched.house;
    assert!(!crate::harness::files_with(&house.store(), PLAIN).is_empty(), "what is no secret is kept");
    for args in [
        vec!["show-run", &run, "--prompts", "--events"],
        vec!["events", "--json"],
        vec!["search", "secret", "--json"],
        vec!["costs", "--by", "tool,role"],
        vec!["analytics", "canary", "--json"],
        vec!["replay", "--verify", "--all", "--json"],
    ] {
        watched.meno(args);
    }
    watched.assert_clean();
    // What tools returned goes with the run, in the log and beside it.
    let forgotten = watched.meno(["forget", &run, "--yes"]);
    assert_eq!(watched.said(forgotten).code, Some(0), "{}", watched.said(forgotten).stderr);
    watched.meno(["reindex"]);
    let left = crate::harness::files_with(&watched.house.store(), PLAIN);
    assert!(left.is_empty(), "{PLAIN} is still in {left:?}");
    let audit = watched.meno(["audit", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&watched.said(audit).stdout).expect("JSON")["violations"], json!([]));
    let replayed = watched.meno(["replay", "--verify", "--all"]);
    // No run is left whose decisions could be made again, and that is said.
    assert_eq!(watched.said(replayed).code, Some(1), "{}", watched.said(replayed).stderr);
    assert!(watched.said(replayed).stdout.contains("nothing could be verified"), "{:?}", watched.said(replayed));
}
