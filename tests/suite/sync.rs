//! Logs of many stores over one shared place: pushed in parts that never change, pulled only when every byte is right, counted together.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{self, DEADLINE, Done, House, cannot_check, files, files_with};

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("one document")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

#[track_caller]
fn run(house: &House, template: &str, seed: &str) {
    house.meno(["run", template, "--no-input", "--seed", seed, "-q"]).ends();
}

#[track_caller]
fn node(house: &House) -> String {
    let list = house.meno(["events", "--kind", "StoreCreated", "--json"]).exits(0).lines();
    list[0]["data"]["node"].as_str().expect("a node").to_owned()
}

#[track_caller]
fn runs(house: &House, args: &[&str]) -> Vec<String> {
    let list = document(house.meno(["list-runs", "--json"].iter().chain(args)));
    let mut runs: Vec<String> =
        list["runs"].as_array().expect("runs").iter().map(|run| run["run_id"].as_str().expect("an id").to_owned()).collect();
    runs.sort();
    runs
}

/// Calls and costs of all modes together.
#[track_caller]
fn spent(house: &House, args: &[&str]) -> (u64, u64) {
    let costs = document(house.meno(["costs", "--by", "template,role,model", "--json"].iter().chain(args)));
    let rows = costs["rows"].as_array().expect("rows").iter();
    let sums = rows.fold((0, 0), |(calls, cost), row| {
        (calls + row["calls"].as_u64().expect("a count"), cost + row["cost_nusd"].as_u64().expect("a cost"))
    });
    let totals = costs["totals"].as_array().expect("totals").iter();
    assert_eq!(
        sums.1,
        totals.filter_map(|total| total["cost_nusd"].as_u64()).sum::<u64>(),
        "the totals are the sums of the rows"
    );
    sums
}

#[test]
fn two_stores_share_a_folder_and_each_sees_the_others_runs_and_money() {
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    let lake = house.path("lake");
    run(&house, "release_prep", "1");
    run(&other, "release_prep", "2");
    run(&other, "python_package_publish", "3");
    let first = document(other.meno(["push", text(&lake), "--json"]));
    assert!(first["parts"].as_u64() > Some(0) && first["key"].is_null() && first["already_there"] == 0, "{first:#}");
    let again = document(other.meno(["push", text(&lake), "--json"]));
    assert_eq!((&again["parts"], &again["bytes"], &again["already_there"]), (&json!(0), &json!(0), &first["head"]["seq"]));
    document(house.meno(["push", text(&lake), "--json"]));
    let there = files(&lake).len();

    let (mine, theirs) = (runs(&house, &[]), runs(&other, &[]));
    let (my_money, their_money) = (spent(&house, &[]), spent(&other, &[]));
    let pulled = document(house.meno(["pull", text(&lake), "--json"]));
    let logs = pulled["logs"].as_array().expect("logs");
    let log = |node: &str| logs.iter().find(|log| log["node"] == node).expect("a log");
    let (own, node) = (node(&house), node(&other));
    assert_eq!((&log(&own)["own"], &log(&own)["imported"]), (&json!(true), &json!(0)));
    assert_eq!((&log(&node)["imported"], &log(&node)["refused"]), (&first["head"]["seq"], &Value::Null), "{pulled:#}");
    let mut both = [mine.clone(), theirs.clone()].concat();
    both.sort();
    assert_eq!(runs(&house, &[]), both);
    assert_eq!(runs(&house, &["--node", &node]), theirs);

    // Costs, statistics and advice count both, or one of them.
    assert_eq!(spent(&house, &[]), (my_money.0 + their_money.0, my_money.1 + their_money.1));
    assert_eq!(spent(&house, &["--node", "own"]), my_money);
    assert_eq!(spent(&house, &["--node", &node[20..]]), their_money);
    let by_node = document(house.meno(["costs", "--by", "node", "--json"]));
    let found: Vec<(&str, u64)> = by_node["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| (row["key"]["node"].as_str().expect("a node"), row["cost_nusd"].as_u64().expect("a cost")))
        .collect();
    let mut wanted = [("own", my_money.1), (node.as_str(), their_money.1)];
    wanted.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    assert_eq!(found, wanted);
    let ended = |args: &[&str]| -> u64 {
        let analytics = document(house.meno(["analytics", "--include-simulated", "--json"].iter().chain(args)));
        let lines = analytics["templates"].as_array().expect("lines").iter();
        lines.filter(|line| line["template_id"] == "release_prep").filter_map(|line| line["runs"].as_u64()).sum()
    };
    assert_eq!((ended(&[]), ended(&["--node", "own"]), ended(&["--node", &node])), (2, 1, 1));
    let calls = |args: &[&str]| house.meno(["telemetry", "export"].iter().chain(args)).exits(0).stdout.lines().count() as u64;
    assert_eq!((calls(&[]), calls(&["--node", &node])), (my_money.0 + their_money.0, their_money.0));
    let found = document(house.meno(["search", "publish the package", "--lexical", "--json"]));
    assert!(found["hits"].as_array().expect("hits").iter().any(|hit| hit["node"] == node.as_str()), "{found:#}");

    // What is new comes with the next pull, once.
    run(&other, "release_prep", "4");
    document(other.meno(["push", text(&lake), "--json"]));
    assert!(files(&lake).len() > there);
    let pulled = document(house.meno(["pull", text(&lake), "--json"]));
    let imported: u64 = pulled["logs"].as_array().expect("logs").iter().filter_map(|log| log["imported"].as_u64()).sum();
    assert!(imported > 0, "{pulled:#}");
    assert_eq!(runs(&house, &["--node", &node]), runs(&other, &[]));
    let said = house.meno(["pull", text(&lake)]).exits(0).stderr;
    assert!(said.contains("nothing is new"), "{said}");
    house.meno(["audit", "--all"]).exits(0);
    house.meno(["doctor", "--quiet"]).exits(0);
    assert!(!house.store().join("pulling").exists(), "what was on its way is gone");
}

#[test]
fn what_is_pushed_without_private_parts_has_none_and_still_verifies() {
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    let lake = house.path("lake");
    run(&other, "python_package_publish", "3");
    other.meno(["note", "last", "quixotic words"]).exits(0);
    document(other.meno(["push", text(&lake), "--without-private", "--json"]));
    let pulled = document(house.meno(["pull", text(&lake), "--json"]));
    assert_eq!(pulled["logs"][0]["imported"], pulled["logs"][0]["without_private"], "{pulled:#}");
    assert!(files_with(&house.store(), "quixotic").is_empty());
    assert_eq!(spent(&house, &[]).1, spent(&other, &[]).1, "money is no text");
    house.meno(["audit", "--all"]).exits(0);
    // Whoever pushes everything later does so beside it.
    document(other.meno(["push", text(&lake), "--json"]));
    let third = House::with_delay(0);
    document(third.meno(["pull", text(&lake), "--json"]));
    let shown = third.meno(["show-run", &runs(&other, &[])[0]]).exits(0).stdout;
    assert!(shown.contains("quixotic words"), "{shown}");
}

#[test]
fn what_was_forgotten_there_is_in_no_file_once_it_was_pulled() {
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    let lake = house.path("lake");
    other.meno(["run", "python_package_publish", "--no-input", "--set", "package_name=aardvark-lib", "-q"]).ends();
    document(other.meno(["push", text(&lake), "--json"]));
    other.meno(["forget", "last", "--yes"]).exits(0);
    document(other.meno(["push", text(&lake), "--json"]));
    let pulled = document(house.meno(["pull", text(&lake), "--json"]));
    assert!(pulled["logs"][0]["imported"].as_u64() > Some(0), "{pulled:#}");
    assert!(files_with(&house.store(), "aardvark-lib").is_empty());
}

#[test]
fn a_store_that_was_copied_and_went_two_ways_is_refused_with_both_heads() {
    let house = House::with_delay(0);
    let lake = house.path("lake");
    run(&house, "release_prep", "1");
    let copy = house.path("copy");
    harness::copy(&house.store(), &copy);
    run(&house, "release_prep", "2");
    let pushed = document(house.meno(["push", text(&lake), "--json"]));
    let at = ["--store", text(&copy)];
    let meno = |args: &[&str]| house.meno(args.iter().chain(&at));
    // One that has gone no further is only behind, and pulls what its other self recorded.
    let behind = meno(&["push", text(&lake)]).exits(1);
    assert!(behind.stderr.contains("only up to event") && behind.stderr.contains("meno pull"), "{}", behind.stderr);
    let second = house.path("second");
    harness::copy(&copy, &second);
    let pulled = house.meno(["pull", text(&lake), "--store", text(&second)]).exits(0).stderr;
    assert!(pulled.contains("own log continues"), "{pulled}");
    assert_eq!(
        house.meno(["events", "--json", "--store", text(&second)]).exits(0).stdout,
        house.meno(["events", "--json"]).exits(0).stdout
    );
    // One that went on by itself has another history.
    run_in(&house, &copy, "3");
    let head = document(meno(&["export", text(&house.path("export")), "--json"]))["head"].clone();
    for command in ["push", "pull"] {
        let refused = meno(&[command, text(&lake)]).exits(4);
        for hash in [&pushed["head"]["hash"], &head["hash"]] {
            assert!(refused.stderr.contains(hash.as_str().expect("a hash")), "{command}: {}", refused.stderr);
        }
        assert!(refused.stderr.contains("two histories"), "{}", refused.stderr);
    }
    // Somebody who has one of them refuses the other.
    let other = House::with_delay(0);
    document(other.meno(["pull", text(&lake), "--json"]));
    let second_lake = house.path("second-lake");
    meno(&["push", text(&second_lake)]).exits(0);
    let refused = other.meno(["pull", text(&second_lake)]).exits(4);
    assert!(refused.stderr.contains("two histories"), "{}", refused.stderr);
    other.meno(["audit", "--all"]).exits(0);
}

#[track_caller]
fn run_in(house: &House, store: &Path, seed: &str) {
    house.meno(["run", "release_prep", "--no-input", "--seed", seed, "-q", "--store", text(store)]).ends();
}

#[test]
fn every_changed_byte_of_a_part_is_found_and_nothing_of_it_is_taken_in() {
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    let lake = house.path("lake");
    run(&other, "release_prep", "1");
    document(other.meno(["push", text(&lake), "--json"]));
    run(&house, "release_prep", "2");
    document(house.meno(["push", text(&lake), "--json"]));
    let object = files(&lake.join("objects")).into_iter().find(|file| {
        let logs = files(&lake.join("logs").join(node(&other)));
        let part: Value = serde_json::from_slice(&fs::read(&logs[0]).expect("a part")).expect("JSON");
        file.ends_with(part["object"].as_str().expect("a hash"))
    });
    let object = object.expect("an object");
    let whole = fs::read(&object).expect("an object");
    for at in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(&object, changed).expect("a byte");
        let third = House::with_delay(0);
        let refused = third.meno(["pull", text(&lake)]).exits(4);
        assert!(refused.stderr.contains("not those that were pushed"), "{}", refused.stderr);
        assert_eq!(runs(&third, &[]), runs(&house, &[]), "the other log is taken in all the same");
    }
    fs::write(&object, &whole[..whole.len() - 1]).expect("a cut");
    house.meno(["pull", text(&lake)]).exits(4);
    fs::remove_file(&object).expect("it is removed");
    let refused = house.meno(["pull", text(&lake)]).exits(4);
    assert!(refused.stderr.contains("is not there"), "{}", refused.stderr);
    fs::write(&object, &whole).expect("it is put back");
    // A description that was changed is found by what its object says.
    let part = files(&lake.join("logs").join(node(&other))).remove(0);
    let described = fs::read_to_string(&part).expect("a part");
    let mut wrong: Value = serde_json::from_str(&described).expect("JSON");
    wrong["to"] = json!(wrong["to"].as_u64().expect("a position") - 1);
    fs::write(&part, wrong.to_string()).expect("a lie");
    house.meno(["pull", text(&lake)]).exits(4);
    fs::write(&part, "{}").expect("nonsense");
    house.meno(["pull", text(&lake)]).exits(4);
    fs::write(&part, &described).expect("it is put back");
    document(house.meno(["pull", text(&lake), "--json"]));
    assert_eq!(runs(&house, &["--node", &node(&other)]), runs(&other, &[]));
    house.meno(["audit", "--all"]).exits(0);
}

#[test]
fn with_the_stores_key_nothing_in_the_place_can_be_read_and_who_has_the_key_pulls() {
    let key = |house: &House, byte: &str| {
        let file = house.path("key");
        fs::write(&file, byte.repeat(32)).expect("a key");
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its owner's");
        house.configure(&format!(
            "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[simulated]\ndelay_ms = 0\n[encryption]\nkey_file = \"{}\"\n",
            file.display()
        ));
    };
    let (house, friend, stranger) = (House::with_delay(0), House::with_delay(0), House::with_delay(0));
    key(&house, "ab");
    key(&friend, "ab");
    key(&stranger, "cd");
    let lake = house.path("lake");
    run(&house, "python_package_publish", "3");
    house.meno(["note", "last", "quixotic words"]).exits(0);
    let pushed = document(house.meno(["push", text(&lake), "--json"]));
    assert!(pushed["key"].is_string(), "{pushed:#}");
    let object = files(&lake.join("objects")).remove(0);
    assert!(fs::read(&object).expect("an object").starts_with(b"menoenc1"));
    let refused = stranger.meno(["pull", text(&lake)]);
    assert!(refused.code != Some(0) && refused.stderr.contains("key"), "{}", refused.stderr);
    document(friend.meno(["pull", text(&lake), "--json"]));
    let shown = friend.meno(["show-run", &runs(&house, &[])[0]]).exits(0).stdout;
    assert!(shown.contains("quixotic words"), "{shown}");
}

#[test]
fn a_push_that_is_killed_is_gone_on_with_and_leaves_nothing_half() {
    let house = House::with_delay(0);
    let lake = house.path("lake");
    // More events than one part holds.
    let lines: String = (0..3000)
        .map(|number| {
            json!({"run_id": format!("r{number}"), "template_id": "t", "started_at": "2026-05-01T10:00:00Z",
                "ended_at": "2026-05-01T10:01:00Z", "status": "succeeded", "agents": []})
            .to_string()
                + "\n"
        })
        .collect();
    let file = house.path("runs.jsonl");
    fs::write(&file, lines).expect("runs");
    house.meno(["import", "runs", text(&file)]).ends();
    let mut killed = 0;
    for round in 0..6u64 {
        let push = house.start(["push", text(&lake)]);
        std::thread::sleep(Duration::from_millis(20 + round * 15));
        killed += u32::from(push.kill().code.is_none());
    }
    document(house.meno(["push", text(&lake), "--json"]));
    assert!(killed > 0, "it was never caught at work");
    let other = House::with_delay(0);
    document(other.meno(["pull", text(&lake), "--json"]));
    assert_eq!(runs(&other, &[]), runs(&house, &[]));
    other.meno(["audit", "--all"]).exits(0);
}

#[test]
fn places_that_are_none_are_said_to_be() {
    let house = House::with_delay(0);
    run(&house, "release_prep", "1");
    let none = house.meno(["pull", "/nowhere/at/all"]).exits(1);
    assert!(none.stderr.contains("/nowhere/at/all"), "{}", none.stderr);
    let secret = house.meno(["push", "s3://key:hush-hush@bucket/x"]).exits(1);
    assert!(!secret.stderr.contains("hush-hush") && secret.stderr.contains("environment"), "{}", secret.stderr);
    house.meno(["push", "https://example.com/lake"]).exits(1);
    let empty = House::with_delay(0);
    assert!(empty.meno(["push", text(&empty.path("lake"))]).code != Some(0), "there is nothing to push");
}

/// A server that speaks S3, ended when it is dropped.
struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// Starts the server that is at hand; `None` when there is none.
    fn start() -> Option<Self> {
        let named = std::env::var_os("MENO_MOTO_SERVER").map(PathBuf::from);
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let found =
            named.or_else(|| std::env::split_paths(&paths).map(|dir| dir.join("moto_server")).find(|file| file.is_file()))?;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let mut command = Command::new(found);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let server = Self { child, port };
        let until = Instant::now() + DEADLINE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the server does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        let request = format!("PUT /lake HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        Some(server)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes requests on, one a connection, and has something go wrong with half of them; returns its port and how many it saw.
fn flaky(to: u16) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = count.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || drop(pass_on(stream, to, number)));
        }
    });
    (port, seen)
}

fn pass_on(mut client: TcpStream, to: u16, number: u32) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    match number % 8 {
        0 => return client.write_all(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        2 => return client.write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        4 => return Ok(()),
        _ => {}
    }
    let mut server = TcpStream::connect(("127.0.0.1", to))?;
    server.write_all(head.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1).as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if number % 8 == 6 {
        // It was done, and nobody hears of it.
        return client.write_all(&answer[..answer.len().min(20)]);
    }
    client.write_all(&answer)
}

/// Returns the names of everything in the bucket.
fn listed(port: u16) -> Vec<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    let request = format!("GET /lake?list-type=2 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a list");
    let mut names: Vec<String> =
        answer.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).map(str::to_owned).collect();
    names.sort();
    names
}

#[test]
fn tables_go_to_s3_by_names_and_one_that_is_killed_leaves_nothing_half() {
    let Some(server) = S3::start() else {
        return cannot_check("S3", "`moto_server` is not there (`pip install 'moto[server]'`, then MENO_MOTO_SERVER or PATH)");
    };
    let house = House::with_delay(0);
    run(&house, "release_prep", "1");
    let start = |args: &[&str]| {
        let mut command = house.command(args);
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "hush-hush").env("AWS_REGION", "us-east-1");
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", server.port));
        harness::Running::start(command)
    };
    let export = ["export", "s3://lake/team", "--format", "parquet", "--json"];
    // Cut off again and again at other moments; what has a name is whole, and what is done is not done again.
    for round in 0..6u64 {
        let running = start(&export);
        std::thread::sleep(Duration::from_millis(100 + round * 120));
        drop(running.kill());
    }
    let rows = |document: &Value| -> u64 {
        document["tables"].as_array().expect("tables").iter().filter_map(|table| table["rows"].as_u64()).sum()
    };
    document(start(&export).end());
    let first = listed(server.port);
    assert!(first.iter().any(|name| name.starts_with("team/runs/v=1/date=") && name.ends_with(".parquet")), "{first:?}");
    assert!(first.iter().all(|name| name.ends_with(".parquet") || name.ends_with(".parquet.done")), "{first:?}");
    assert_eq!((rows(&document(start(&export).end())), listed(server.port)), (0, first.clone()), "nothing is new");
    // The same as into a folder that was never cut off, byte for byte.
    let folder = house.path("lake");
    house.meno(["export", text(&folder), "--format", "parquet"]).exits(0);
    let mut inside: Vec<String> = files(&folder)
        .iter()
        .filter_map(|file| file.strip_prefix(&folder).ok())
        .map(|name| format!("team/{}", name.display()))
        .filter(|name| name.contains("/v=1/"))
        .collect();
    inside.sort();
    assert_eq!(inside, first);
    for name in first.iter().filter(|name| name.ends_with(".parquet")) {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("the server");
        let name = name.replace('=', "%3D");
        let signed = "Authorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, Signature=0";
        let request = format!("GET /lake/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\n{signed}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an object");
        let here = fs::read(folder.join(name.replace("%3D", "=").trim_start_matches("team/"))).expect("the file");
        assert!(answer.ends_with(&here), "{name}");
    }
    // What is new comes as further files, with a push of the log too; no text and no key is among it.
    run(&house, "release_prep", "2");
    let pushed = document(start(&["push", "s3://lake/team", "--format", "parquet", "--json"]).end());
    assert!(rows(&pushed) > 0 && pushed["parts"].as_u64() > Some(0), "{pushed:#}");
    let all = listed(server.port);
    assert!(first.iter().all(|name| all.contains(name)) && all.iter().any(|name| name.starts_with("team/logs/")), "{all:?}");
    assert_eq!(rows(&document(start(&export).end())), 0, "a push and an export write the same files");
    assert!(files_with(&house.store(), "hush-hush").is_empty(), "no key is kept");
}

#[test]
fn two_stores_push_to_s3_at_the_same_time_over_a_line_that_fails() {
    let Some(server) = S3::start() else {
        return cannot_check("S3", "`moto_server` is not there (`pip install 'moto[server]'`, then MENO_MOTO_SERVER or PATH)");
    };
    let (port, seen) = flaky(server.port);
    let (house, other) = (House::with_delay(0), House::with_delay(0));
    for (house, seed) in [(&house, "1"), (&other, "2")] {
        run(house, "release_prep", seed);
    }
    let start = |house: &House, args: &[&str]| {
        let mut command = house.command(args);
        command.env("AWS_ACCESS_KEY_ID", "testing").env("AWS_SECRET_ACCESS_KEY", "hush-hush").env("AWS_REGION", "us-east-1");
        command.env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"));
        harness::Running::start(command)
    };
    let push = ["push", "s3://lake/team", "--json"];
    // The same store twice, too: the second finds what the first pushed.
    let pushes = [start(&house, &push), start(&other, &push), start(&house, &push)];
    let mut parts = 0;
    for push in pushes {
        parts += document(push.end())["parts"].as_u64().expect("a count");
    }
    // A part whose answer was lost on the way is found there and not counted.
    assert!(parts <= 2, "no part is pushed twice");
    for (house, other) in [(&house, &other), (&other, &house)] {
        document(start(house, &["pull", "s3://lake/team", "--json"]).end());
        assert_eq!(runs(house, &["--node", &node(other)]), runs(other, &["--node", "own"]));
        house.meno(["audit", "--all"]).exits(0);
        assert!(files_with(&house.store(), "hush-hush").is_empty(), "no key is kept");
    }
    assert!(seen.load(Ordering::Relaxed) > 20, "many requests failed on the way");
    drop(server);
    let gone = start(&house, &["push", "s3://lake/team"]);
    drop(gone.kill());
}
