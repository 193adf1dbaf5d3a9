//! Whole runs against a server that speaks the four wire formats and fails first: what a run makes of it, what it costs, and who
//! gets to see a key.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use meno::event::Event;
use meno::internals::settings::Variables;
use meno::{Access, RunRequest};
use serde_json::{Value, json};

use crate::harness::{Done, House, assert_kept, files_with, finish, hints, words_of};
use crate::llm_server::{LlmServer, Turn};

const KEY: &str = "wire-key-0123456789abcdef0123456789";

/// Each format with the path of its base URL, its scheme, and the header in which a key travels.
const FORMATS: [(&str, &str, &str, &str); 4] = [
    ("anthropic", "", "x-api-key", "x-api-key"),
    ("openai-chat", "/v1", "bearer", "authorization"),
    ("openai-responses", "/v1", "bearer", "authorization"),
    ("ollama", "", "bearer", "authorization"),
];

/// Two agents, one after the other, each of which has to say a word.
fn relay() -> Value {
    let agent = |role: &str, prompt: &str, word: &str| {
        json!({"role": role, "base_template": "generic", "tier_strategy": "progressive", "prompt": prompt,
               "success_criteria": [{"name": "says the word", "type": "contains", "value": word}]})
    };
    json!({
        "template_id": "relay", "name": "Relay", "description": "Two agents, one after the other", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Relay", "description": "What is handed on", "questions": [
            {"id": "package_name", "text": "Which package?", "type": "text_input", "default": "demo"}]},
        "agent_composition_rules": [
            agent("builder", "Build {{answers.package_name}}.", "twine check"),
            agent("publisher", "Publish it.\n\n{{agents.builder.output}}", "twine upload")],
        "report": "{{agents.publisher.output}}"
    })
}

/// Prices in whole nUSD per token, so that sums are exact.
fn prices() -> Value {
    let row = |model: &str, factor: u64| {
        json!({"provider": "wire", "model": model, "context_tokens": 100_000, "max_output_tokens": 4096, "nusd_per_mtok": {
            "input": 1000 * factor * 1_000_000, "output": 5000 * factor * 1_000_000,
            "cache_read": 100 * factor * 1_000_000, "cache_write": 1250 * factor * 1_000_000}})
    };
    json!({"as_of": "2026-11-22", "currency": "USD", "unit": "nUSD per million tokens",
           "rows": [row("small", 1), row("medium", 2), row("large", 4)]})
}

fn prices_text() -> String {
    prices().to_string()
}

/// Returns settings for a server at `base_url`.
fn settings(kind: &str, base_url: &str, auth: &str) -> String {
    let tiers = [("cheap", "small"), ("capable", "medium"), ("premium", "large")]
        .map(|(tier, model)| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"{model}\"\nmax_output_tokens = 512\n"));
    format!(
        "{}[providers.wire]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\napi_key_env = \"WIRE_KEY\"\nauth = \"{auth}\"\nretries = 4\n",
        tiers.concat()
    )
}

/// Runs the template with the key in the environment, on a thread of its own while the server answers.
async fn relayed(house: &House, more: &[&str]) -> Done {
    let prices = house.path("prices.json");
    fs::write(&prices, prices_text()).expect("written");
    let base = ["run", "relay", "--no-input", "--json", "--jobs", "1", "--prices", prices.to_str().expect("a text")];
    let mut command = house.command(base.iter().chain(more).copied());
    command.env("WIRE_KEY", KEY);
    tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic")
}

fn at_once(turn: Turn) -> Turn {
    turn.header("retry-after", "0")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_outlasts_a_server_that_fails_first_in_every_format() {
    for (kind, path, auth, header) in FORMATS {
        let server = LlmServer::start([
            at_once(Turn::status(429, "")),
            at_once(Turn::status(529, "")),
            at_once(Turn::status(500, "")),
            Turn::text("a reply that never comes to its end, because the line breaks").cut_after(40),
            Turn::text("Run twine check on both archives.").usage(100, 20).cached(30, 40, 7),
            Turn::text("I would rather not.").usage(200, 10),
            Turn::text("Then twine upload them.").usage(300, 30).cached(50, 0, 0),
        ])
        .await;
        let house = House::new();
        house.template("relay", &relay());
        house.configure(&settings(kind, &server.base_url(path), auth));
        let done = relayed(&house, &[]).await.exits(0);

        let run = done.run();
        assert_eq!(
            (&run["status"], &run["mode"], &run["verified"]),
            (&json!("succeeded"), &json!("real"), &json!(true)),
            "{kind}"
        );
        assert_eq!(server.requests().len(), 7, "{kind}");
        assert_eq!(server.open_most(), 1, "{kind}");
        assert_kept(&done.events(), &house.journal());

        let [builder, publisher] = run["agents"].as_array().expect("agents").as_slice() else { panic!("{kind}: two agents") };
        let [only] = builder["attempts"].as_array().expect("attempts").as_slice() else { panic!("{kind}: one attempt") };
        assert_eq!((&only["status"], &only["provider"], &only["model"]), (&json!("passed"), &json!("wire"), &json!("small")));
        assert_eq!(only["calls"].as_array().map(Vec::len), Some(1), "{kind}: tries are not calls");
        let retries = only["calls"][0]["retries"].as_array().expect("retries");
        let told: Vec<Value> =
            retries.iter().map(|retry| json!([retry["failed_try"], retry["class"], retry["status"]])).collect();
        let expected = [
            json!([1, "rate_limit", 429]),
            json!([2, "server", 529]),
            json!([3, "server", 500]),
            json!([4, "connection", retries[3]["status"]]),
        ];
        assert_eq!(told, expected, "{kind}");
        assert!(retries[..3].iter().all(|retry| retry["waited_ms"] == 0), "{kind}: {retries:?}");

        let climbed: Vec<Value> = publisher["attempts"]
            .as_array()
            .expect("attempts")
            .iter()
            .map(|attempt| {
                json!([attempt["attempt"], attempt["tier"], attempt["model"], attempt["status"], attempt["escalated_to"]])
            })
            .collect();
        let expected =
            [json!([1, "cheap", "small", "failed_criteria", "capable"]), json!([2, "capable", "medium", "passed", null])];
        assert_eq!(climbed, expected, "{kind}");

        // Ollama knows no cache and counts no reasoning.
        let plain = kind == "ollama";
        let of = |cached: u64| if plain { 0 } else { cached };
        let tokens = json!({"input": 600, "cache_read": of(80), "cache_write": of(40), "output": 60, "reasoning": of(7)});
        assert_eq!(run["tokens"], tokens, "{kind}");
        let builders = 100 * 1000 + of(30) * 100 + of(40) * 1250 + 20 * 5000;
        let publishers = 200 * 1000 + 10 * 5000 + 300 * 2000 + of(50) * 200 + 30 * 10_000;
        // Ollama costs nothing, whatever a price table says of its models.
        let (builders, publishers) = if plain { (0, 0) } else { (builders, publishers) };
        assert_eq!((&builder["cost_nusd"], &publisher["cost_nusd"]), (&json!(builders), &json!(publishers)), "{kind}");
        assert_eq!(run["cost_nusd"], builders + publishers, "{kind}");
        // Reading costs a tenth of what plain input costs, writing a quarter more.
        let saved = if plain { Value::Null } else { json!(30 * 900 - 40 * 250 + 50 * 1800) };
        let costs = house.meno(["costs", "--json"]).exits(0).stdout;
        let costs: Value = serde_json::from_str(&costs).expect("a document");
        assert_eq!((&run["cache_saved_nusd"], &costs["totals"][0]["cache_saved_nusd"]), (&saved, &saved), "{kind}");
        for told in [house.meno(["costs"]).exits(0).stdout, house.meno(["show-run", "last"]).exits(0).stdout] {
            assert_eq!(told.contains("the prompt cache saved about $0.000107 (estimate)"), !plain, "{kind}: {told}");
        }

        for request in server.requests() {
            let key = request.header(header).unwrap_or_default().trim_start_matches("Bearer ").to_owned();
            assert_eq!(key, KEY, "{kind}");
            let elsewhere = |(name, value): &(String, String)| name != header && value.contains(KEY);
            assert!(!request.headers.iter().any(elsewhere) && !request.path.contains(KEY), "{kind}");
            assert!(!request.body.to_string().contains(KEY), "{kind}");
        }
        assert!(files_with(&house.store(), KEY).is_empty() && !done.stdout.contains(KEY) && !done.stderr.contains(KEY), "{kind}");
    }
}

/// Returns the body of a reply in which these pieces of a JSON text follow each other, and the text `twine check, then twine upload`.
fn in_pieces(kind: &str, pieces: &[&str]) -> String {
    let sse = |data: String| format!("data: {data}\n\n");
    let delta = |piece: &str| match kind {
        "anthropic" => {
            sse(format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{piece}"}}}}"#))
        }
        "openai-chat" => sse(format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{piece}"}}}}]}}"#)),
        "openai-responses" => {
            sse(format!(r#"{{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"{piece}"}}"#))
        }
        _ => format!(r#"{{"message":{{"role":"assistant","content":"{piece}"}},"done":false}}"#) + "\n",
    };
    let end = match kind {
        "anthropic" => sse(r#"{"type":"message_stop"}"#.to_owned()),
        "openai-chat" => sse("[DONE]".to_owned()),
        "openai-responses" => sse(r#"{"type":"response.completed","response":{"status":"completed","output":[]}}"#.to_owned()),
        _ => "{\"done\":true,\"done_reason\":\"stop\"}\n".to_owned(),
    };
    pieces.iter().chain(&["twine check, then twine upload"]).map(|piece| delta(piece)).collect::<String>() + &end
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_surrogate_pair_costs_no_second_call_in_any_format() {
    for (kind, path, auth, _) in FORMATS {
        let body = in_pieces(kind, &[r"\ud83e", r"\udd80\ud83d", r"\udc69\u200d\ud83d", r"\udd2c, \ud83e", " "]);
        let server = LlmServer::start([Turn::raw([body.clone()]), Turn::raw(body.as_bytes().chunks(5))]).await;
        let house = House::new();
        house.template("relay", &relay());
        house.configure(&settings(kind, &server.base_url(path), auth));
        let done = relayed(&house, &[]).await;
        assert_eq!(server.requests().len(), 2, "{kind}: {}", done.stderr);
        let agents = done.run()["agents"].clone();
        for agent in agents.as_array().expect("agents") {
            let output = &agent["attempts"][0]["output"];
            assert_eq!(output, "🦀👩\u{200d}🔬, \u{fffd} twine check, then twine upload", "{kind}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_fails_the_run_without_climbing() {
    let server = LlmServer::start([Turn::status(401, "")]).await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("anthropic", &server.base_url(""), "x-api-key"));
    let done = relayed(&house, &[]).await.exits(3);
    assert_eq!(server.requests().len(), 1);
    assert!(!done.events().iter().any(|event| event["kind"] == "TierEscalated"));
    assert!(done.events().iter().any(|event| event["kind"] == "AgentFailed" && event["data"]["reason"] == "configuration"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_budget_is_a_wall_for_calls_that_cost_money() {
    let server = LlmServer::start([]).await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    // 512 output tokens at 5,000 nUSD alone are more than this.
    relayed(&house, &["--budget", "0.002"]).await.exits(3);
    assert_eq!(server.requests().len(), 0);
    assert!(!house.journal().iter().any(|recorded| matches!(recorded.event, Event::CallStarted(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_the_days_budget_stopped_goes_on_by_the_lines_that_it_prints() {
    let server = LlmServer::start([Turn::text("Run twine check."), Turn::text("Then twine upload.")]).await;
    let house = House::new();
    house.template("relay", &relay());
    let settings = settings("openai-chat", &server.base_url("/v1"), "bearer");
    house.configure(&format!("{settings}\n[budget]\nper_day_usd = 0.002\n"));
    let prices = house.path("prices.json");
    fs::write(&prices, prices_text()).expect("written");
    let with_key = async |words: Vec<String>| {
        let mut command = house.command(words);
        command.env("WIRE_KEY", KEY);
        tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic")
    };
    let run = ["run", "relay", "--no-input", "--prices", prices.to_str().expect("a text")].map(str::to_owned);
    let stopped = with_key(run.to_vec()).await.exits(3);
    assert_eq!(server.requests().len(), 0);
    let lines = hints(&stopped.stdout);
    let line = |part: &str| lines.iter().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {lines:?}"));
    for part in ["meno config budget.per_day_usd=", "--retry-failed"] {
        let done = with_key(words_of(line(part))[1..].to_vec()).await;
        assert_eq!(done.code, Some(0), "{}: {}{}", line(part), done.stdout, done.stderr);
    }
    assert_eq!(server.requests().len(), 2);
    house.meno(["replay", "--verify", "--all"]).exits(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_is_denied_without_the_key_of_its_model() {
    let server = LlmServer::start([Turn::text("I would rather not.").usage(10, 5)]).await;
    let house = House::new();
    let mut alone = relay();
    alone["agent_composition_rules"].as_array_mut().expect("rules").truncate(1);
    alone["report"] = json!("{{agents.builder.output}}");
    house.template("relay", &alone);
    house.configure(&settings("anthropic", &server.base_url(""), "x-api-key"));
    let waiting = relayed(&house, &["--escalate", "ask"]).await.exits(3).run();
    assert_eq!(waiting["status"], "awaiting_input");
    // The key is not in this environment.
    let resumed = |answer: &'static str| house.command(["resume", "last", answer, "--json"]);
    let approved = resumed("--approve");
    let approved = tokio::task::spawn_blocking(move || finish(approved)).await.expect("no panic");
    assert!(approved.code == Some(1) && approved.stderr.contains("WIRE_KEY"), "{approved:?}");
    let denied = resumed("--deny");
    let denied = tokio::task::spawn_blocking(move || finish(denied)).await.expect("no panic").exits(3).run();
    assert_eq!((&denied["status"], server.requests().len()), (&json!("failed"), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_settings_bring_no_key_to_the_strangers_server() {
    let strangers = LlmServer::start([]).await;
    let users = LlmServer::start([Turn::text("Run twine check."), Turn::text("Then twine upload.")]).await;
    let house = House::new();
    let store = house.path("work/.meno");
    fs::create_dir_all(store.join("templates")).expect("a folder");
    fs::write(store.join("templates/relay.json"), relay().to_string()).expect("written");
    fs::write(store.join("config.toml"), settings("openai-chat", &strangers.base_url("/v1"), "bearer")).expect("written");
    let run = |args: &[&str]| {
        let prices = house.path("prices.json");
        fs::write(&prices, prices_text()).expect("written");
        let mut command = house.command(args);
        // Nobody names the store: it is found by walking up.
        command.env_remove("MENO_STORE").env("WIRE_KEY", KEY).env("OPENAI_API_KEY", KEY);
        tokio::task::spawn_blocking(move || finish(command))
    };
    let relay = ["run", "relay", "--no-input", "--json"];

    // Nothing of the stranger's counts: neither their server nor their variable's name.
    let done = run(&relay).await.expect("no panic");
    assert_eq!(strangers.requests().len(), 0, "{done:?}");
    assert_eq!(done.code, Some(1), "{done:?}");

    // The user's own settings for the same provider stay the user's, and the stranger's template does not spend their money.
    house.configure(&settings("openai-chat", &users.base_url("/v1"), "bearer"));
    let done = run(&relay).await.expect("no panic");
    assert_eq!((strangers.requests().len(), users.requests().len(), done.code), (0, 0, Some(1)), "{done:?}");
    assert!(done.stderr.contains("trust"), "{}", done.stderr);

    // What the user says on the command line does not make the stranger's server a place for keys either.
    let done = run(&["run", "relay", "--no-input", "--json", "--preset", "openai"]).await.expect("no panic");
    assert_eq!((strangers.requests().len(), done.code), (0, Some(1)), "{done:?}");

    // A built-in template may run there: with the user's server and key, however the stranger's file names the same provider.
    let done = run(&["run", "python_package_publish", "--no-input", "--no-material", "--json"]).await.expect("no panic");
    assert!(matches!(done.code, Some(0 | 3)), "{}", done.stderr);
    assert_eq!(strangers.requests().len(), 0);
    let with_key = |request: &crate::llm_server::Received| request.header("authorization") == Some(&format!("Bearer {KEY}"));
    assert!(!users.requests().is_empty() && users.requests().iter().all(with_key));
    assert_eq!(done.run()["mode"], "real");

    // A run of that template that the store recorded would spend it as much, however it is taken up again.
    let mut named = house.command(relay);
    named.env("MENO_STORE", &store).env("WIRE_KEY", KEY);
    let done = tokio::task::spawn_blocking(move || finish(named)).await.expect("no panic");
    assert_eq!(done.run()["template_id"], "relay", "{}", done.stderr);
    let asked = (strangers.requests().len(), users.requests().len());
    for again in ["fork", "rerun", "resume"] {
        let done = run(&[again, "last", "--no-input", "--json"]).await.expect("no panic");
        assert!(done.code == Some(1) && done.stderr.contains("not trusted"), "{again}: {}", done.stderr);
    }
    assert_eq!((strangers.requests().len(), users.requests().len()), asked);

    assert!(files_with(&store, KEY).is_empty());
}

/// A program that brings the library may keep its keys where it likes: models ask the reader that settings and redaction ask.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_programs_own_reader_of_variables_is_the_one_that_models_ask() {
    let said = format!("Then twine upload it with {KEY}.");
    let server = LlmServer::start([Turn::text("Run twine check."), Turn::text(&said)]).await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    let run = move || {
        let variables = Variables::through(|name| (name == "WIRE_KEY").then(|| KEY.to_owned()));
        let workspace = house.workspace_with(Access::Write, false, variables);
        let template = workspace.runs().template("relay").expect("there");
        let run = workspace.runs().run_to_end(&template, RunRequest::default()).expect("it runs");
        drop(workspace);
        (run, files_with(&house.store(), KEY))
    };
    let (run, leaks) = tokio::task::spawn_blocking(run).await.expect("no panic");
    assert_eq!((run.status.name(), leaks), ("succeeded", Vec::new()));
    let seen: Vec<_> = server.requests().iter().map(|request| request.header("authorization").map(str::to_owned)).collect();
    assert_eq!(seen, vec![Some(format!("Bearer {KEY}")); 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_stays_with_the_origin_that_it_was_bound_to() {
    // The user binds the key to one server; a store that is named, and so believed, moves the base URL but names no key.
    let (bound, other) = (LlmServer::start([]).await, LlmServer::start([]).await);
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("openai-chat", &bound.base_url("/v1"), "bearer"));
    let moved = format!("[providers.wire]\nbase_url = \"{}\"\n", other.base_url("/v1"));
    fs::write(house.store().join("config.toml"), moved).expect("written");
    let done = relayed(&house, &[]).await;
    for request in other.requests() {
        let seen = request.headers.iter().any(|(_, value)| value.contains(KEY));
        assert!(!seen, "the key went to a server that it was not bound to");
    }
    // That is known before the run begins, so there is none.
    assert_eq!((bound.requests().len(), done.code), (0, Some(1)), "{}", done.stderr);
    assert!(done.stderr.contains("model_not_ready") && done.stderr.contains("is not bound to"), "{}", done.stderr);
    assert!(house.meno(["list-runs", "--json"]).exits(0).stdout.contains("\"total\": 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_try_cost_of_which_nobody_told_is_not_known() {
    let server = LlmServer::start([
        Turn::silence(),
        Turn::text("Run twine check on both archives.").usage(100, 20),
        Turn::text("Then twine upload them.").usage(300, 30),
    ])
    .await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&format!("{}first_byte_s = 0.5\n", settings("openai-chat", &server.base_url("/v1"), "bearer")));
    let done = relayed(&house, &[]).await.exits(0);
    let run = done.run();
    assert_eq!(run["cost_nusd"], 100 * 1000 + 20 * 5000 + 300 * 1000 + 30 * 5000, "what is known");
    assert_eq!((&run["cost_complete"], &run["lost_calls"], &run["unpriced_calls"]), (&json!(false), &json!(1), &json!(0)));
    let costs: Value = serde_json::from_str(&house.meno(["costs", "--json"]).exits(0).stdout).expect("JSON");
    assert_eq!(costs["totals"][0]["unknown"], 1, "{costs}");
    house.meno(["audit"]).exits(0);
    house.meno(["replay", "last", "--verify"]).exits(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_try_is_not_repeated_that_the_budget_does_not_hold() {
    let broken = || at_once(Turn::text(&"word ".repeat(300)).in_pieces_of(40).cut_after(9000));
    for turn in [broken as fn() -> Turn, Turn::silence as fn() -> Turn] {
        let server = LlmServer::start([turn(), turn(), turn(), turn()]).await;
        let house = House::new();
        house.template("relay", &relay());
        house.configure(&format!("{}first_byte_s = 0.5\n", settings("openai-chat", &server.base_url("/v1"), "bearer")));
        let done = relayed(&house, &["--budget", "0.004"]).await;
        let run = done.run();
        assert_eq!((server.requests().len(), &run["status"]), (1, &json!("failed")), "{run}");
        assert!(run["cost_nusd"].as_u64().is_some_and(|cost| cost <= 4_000_000), "{run}");
        house.meno(["audit"]).exits(0);
        house.meno(["replay", "last", "--verify"]).exits(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_beyond_belief_is_estimated_and_an_estimate_is_said_to_be_one() {
    let server = LlmServer::start([
        Turn::text("Run twine check on both archives.").usage(100, 10_000_000_000_000_000_000),
        Turn::text("Then twine upload them.").usage(300, 30),
    ])
    .await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    let run = relayed(&house, &[]).await.exits(0).run();
    assert!(run["cost_nusd"].as_u64().is_some_and(|cost| cost < 1_000_000), "{run}");
    assert_eq!((&run["estimated_calls"], &run["cost_complete"]), (&json!(1), &json!(true)));
    let shown = house.meno(["show-run", "last"]).exits(0).stdout;
    assert!(shown.contains("1 call estimated"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_provider_redirects_to_is_said_and_nobody_is_followed() {
    let moved = Turn::status(302, "").header("location", "https://elsewhere.example/v1/chat/completions");
    let server = LlmServer::start([moved]).await;
    let house = House::new();
    house.template("relay", &relay());
    house.configure(&settings("openai-chat", &server.base_url("/v1"), "bearer"));
    let done = relayed(&house, &["--budget", "1"]).await;
    let shown = house.meno(["show-run", "last"]).stdout;
    assert!(shown.contains("elsewhere.example") && shown.contains("base_url"), "{shown}\n{}", done.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_nothing_but_signs_of_life_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            thread::spawn(move || {
                let (mut stream, mut head) = (stream, [0; 1024]);
                let _ = stream.read(&mut head);
                let mut said = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
                while said.is_ok() {
                    thread::sleep(Duration::from_millis(40));
                    said = stream.write_all(b": still here\n\n");
                }
            });
        }
    });
    let house = House::new();
    house.template("relay", &relay());
    let settings = settings("openai-chat", &base, "bearer").replace("retries = 4", "retries = 0\nidle_s = 0.2");
    house.configure(&settings);
    relayed(&house, &["--strategy", "cheap_only"]).await.exits(3);
    let shown = house.meno(["events", "last", "--kind", "CallFailed", "--json"]).exits(0).stdout;
    assert!(shown.contains("nothing but signs of life came within 2 s") && shown.contains("`idle_s`"), "{shown}");
}
