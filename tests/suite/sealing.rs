//! Keys: seals that are signed, in the form that OpenSSH knows, and texts that are encrypted at rest.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meno::event::Hash;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Done, House, cannot_check, files, files_with, finish};
use crate::llm_server::{LlmServer, Turn};

const PUBLISH: [&str; 5] = ["run", "python_package_publish", "--no-input", "--seed", "7"];

#[track_caller]
fn document(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap_or_else(|why| panic!("{why}: {}", done.stdout))
}

fn key(name: &str) -> String {
    format!("{}/tests/data/keys/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a text")
}

fn sealed() -> (House, PathBuf) {
    let house = House::with_delay(0);
    house.meno(PUBLISH).exits(0);
    let seal = house.path("seal.json");
    let done = house.meno(["seal", "-o", text(&seal), "--sign", &key("plain")]).exits(0);
    assert!(done.stderr.contains("signed by SHA256:"), "{}", done.stderr);
    (house, seal)
}

#[test]
fn a_seal_is_signed_and_only_the_seal_that_was_signed_by_the_key_that_signed_counts() {
    let (house, seal) = sealed();
    let against = |more: &[&str]| house.meno(["audit", "--against", text(&seal), "--json"].iter().chain(more));
    let held = document(&against(&["--signer", &key("plain.pub")]).exits(0));
    assert!(held["signed_by"].as_str().is_some_and(|by| by.starts_with("SHA256:")), "{held}");
    // Without a signer that is asked for, a signature that is there is looked at all the same.
    against(&[]).exits(0);
    let other = document(&against(&["--signer", &key("locked.pub")]).exits(4));
    assert_eq!(
        (&other["violations"][0]["check"], &other["violations"][0]["what"]),
        (&json!("seals"), &json!("who signed the seal"))
    );
    let signers = house.path("allowed_signers");
    let line = |name: &str| {
        format!(
            "# who\n{name}@example.org namespaces=\"meno-seal\" {}",
            fs::read_to_string(key(&format!("{name}.pub"))).expect("a key")
        )
    };
    fs::write(&signers, line("locked") + &line("plain")).expect("written");
    against(&["--signer", text(&signers)]).exits(0);
    // A line that has expired, or is for something else, is told from one of somebody unknown.
    for (options, said) in
        [("valid-before=\"20260101Z\"", "it expired on 2026-01-01"), ("namespaces=\"git\"", "it may sign for `git` only")]
    {
        let refused = format!("a {options} {}", fs::read_to_string(key("plain.pub")).expect("a key"));
        fs::write(&signers, &refused).expect("written");
        let found = document(&against(&["--signer", text(&signers)]).exits(4));
        let violation = &found["violations"][0];
        assert_eq!(violation["what"], "who signed the seal");
        assert!(violation["found"].as_str().is_some_and(|found| found.contains(said)), "{violation}");
    }

    // The same seal with another position: its signature is not over that.
    let genuine = fs::read_to_string(&seal).expect("a seal");
    fs::write(&seal, genuine.replacen("\"at\": \"2", "\"at\": \"3", 1)).expect("written");
    let forged = document(&against(&[]).exits(4));
    assert_eq!(forged["violations"][0]["what"], "the signature of the seal");
    fs::write(&seal, genuine).expect("written");
    fs::remove_file(house.path("seal.json.sig")).expect("removed");
    assert_eq!(document(&against(&[]).exits(0))["signed_by"], Value::Null);
    assert!(against(&["--signer", &key("plain.pub")]).exits(4).stderr.contains("seal.json.sig"));
}

#[test]
fn a_key_that_cannot_sign_seals_nothing() {
    let (house, _) = sealed();
    let before = house.journal().len();
    let seal = house.path("another.json");
    let sign = |key: &str| house.meno(["seal", "-o", text(&seal), "--sign", key, "--no-input"]).exits(1).stderr;
    assert!(sign(&key("locked")).contains("passphrase"));
    assert!(sign(&key("plain.pub")).contains("private key"));
    assert!(sign(&key("missing")).contains("missing"));
    assert_eq!((house.journal().len(), seal.exists()), (before, false));
    house.meno(["seal", "--sign", &key("plain")]).exits(2);
}

/// OpenSSH's own program checks what Meno signed, and the other way round. Where it is not installed that is said.
#[test]
fn signatures_are_those_of_ssh_keygen() {
    let (house, seal) = sealed();
    let keygen = |args: &[&str], input: Option<&Path>| {
        let input = input.map_or_else(Stdio::null, |path| Stdio::from(fs::File::open(path).expect("a file")));
        Command::new("ssh-keygen").args(args).stdin(input).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let signers = house.path("allowed_signers");
    fs::write(&signers, format!("auditor@example.org {}", fs::read_to_string(key("plain.pub")).expect("a key")))
        .expect("written");
    let signature = house.path("seal.json.sig");
    let verify = ["-Y", "verify", "-n", "meno-seal", "-I", "auditor@example.org", "-f", text(&signers), "-s", text(&signature)];
    match keygen(&verify, Some(&seal)) {
        Err(why) => return cannot_check("ssh-keygen", &why.to_string()),
        Ok(status) => assert!(status.success(), "ssh-keygen does not accept the signature"),
    }
    fs::remove_file(&signature).expect("removed");
    // ssh-keygen wants a key that nobody else can read.
    let private = house.path("key");
    fs::copy(key("plain"), &private).expect("copied");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("closed");
    let sign = |namespace| keygen(&["-Y", "sign", "-n", namespace, "-f", text(&private), text(&seal)], None).expect("it is here");
    assert!(sign("meno-seal").success());
    house.meno(["audit", "--against", text(&seal), "--signer", &key("plain.pub")]).exits(0);
    fs::remove_file(&signature).expect("removed");
    assert!(sign("git").success());
    house.meno(["audit", "--against", text(&seal)]).exits(4);
}

/// What some prompt of the run says that is kept beside the log.
const IN_A_PAYLOAD: &str = "is not for the disk";

/// A run with material that is too long to be kept in the log itself.
fn with_material(house: &House) -> String {
    let words = format!("Canary {IN_A_PAYLOAD}. {}", "All work and no play. ".repeat(800));
    fs::write(house.path("work/notes.txt"), words).expect("written");
    let template = json!({
        "template_id": "reader", "name": "Reader", "description": "One agent", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Reader", "description": "Nothing to ask", "questions": [
            {"id": "topic", "text": "About what?", "type": "text_input", "default": "work"}]},
        "inputs": [{"id": "notes", "description": "What is known", "kind": "file", "required": false}],
        "agent_composition_rules": [{"role": "reader", "base_template": "generic", "prompt": "Read.\n\n{{inputs.notes}}"}]
    });
    house.template("reader", &template);
    let mut run = house.command(["run", "reader", "--no-input", "--seed", "3", "--input", "notes=notes.txt"]);
    run.env("WIRE_KEY", "of no use elsewhere");
    finish(run).exits(0);
    document(&house.meno(["show-run", "last", "--json"]).exits(0))["run_id"].as_str().expect("an id").to_owned()
}

fn payloads(house: &House) -> Vec<PathBuf> {
    // Beside them lies what says which key they are under.
    files(&house.store().join("payloads")).into_iter().filter(|path| !path.ends_with("key")).collect()
}

fn is_encrypted(path: &Path) -> bool {
    fs::read(path).expect("a file").starts_with(b"menoenc1")
}

#[test]
fn texts_beside_the_log_are_encrypted_under_a_key_that_is_elsewhere_and_all_else_works_without_it() {
    let house = House::with_delay(0);
    let first = with_material(&house);
    assert!(!files_with(&house.store().join("payloads"), IN_A_PAYLOAD).is_empty() || !payloads(&house).is_empty());
    let inside = house.store().join("key");
    assert!(house.meno(["rekey", "--key-file", text(&inside), "--generate"]).exits(1).stderr.contains("in the store"));
    assert!(!inside.exists());
    let file = house.path("payloads.key");
    let done = document(&house.meno(["rekey", "--key-file", text(&file), "--generate", "--json"]).exits(0));
    assert_eq!((&done["plain"], done["changed"] == done["encrypted"]), (&json!(0), true), "{done}");
    assert_eq!(fs::metadata(&file).expect("a key").permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).expect("a key");
    assert_eq!(files_with(&house.store(), secret.trim()), Vec::<PathBuf>::new());
    // What comes later is encrypted from the start, and everything reads as before.
    let second = with_material(&house);
    assert!(payloads(&house).iter().all(|path| is_encrypted(path)));
    for run in [&first, &second] {
        let story = house.meno(["events", run, "--json"]).exits(0).stdout;
        assert!(story.contains(IN_A_PAYLOAD));
    }
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    assert_eq!(audit["violations"], json!([]));
    house.meno(["replay", "--verify", "--all"]).exits(0);
    house.meno(["fork", &first, "--agent", "reader"]).exits(0);
    house.meno(["run", "python_package_publish", "--no-input", "--seed", "6", "-q"]).ends();

    // Without the key: the log, its proof, its lists and its numbers; not the texts beside it, and no new ones in clear.
    let away = house.path("payloads.away");
    fs::rename(&file, &away).expect("moved");
    let shown = house.meno(["show-run", &first]).exits(0);
    assert!(shown.stderr.contains("key is not available") && shown.stderr.contains("payloads.key"), "{}", shown.stderr);
    assert!(!house.meno(["events", &first, "--json"]).exits(0).stdout.contains(IN_A_PAYLOAD));
    let audit = document(&house.meno(["audit", "--json"]).exits(0));
    let told = audit["checks"].as_array().expect("checks").iter().find(|tally| tally["check"] == "payloads").expect("payloads");
    assert!(told["not_verifiable"].as_u64() > Some(0), "{audit}");
    // What decisions were made from is locked: that nothing could be verified is said, and is no success.
    let replayed = house.meno(["replay", "last", "--verify"]).exits(1);
    assert!(
        replayed.stdout.contains("nothing could be verified") && replayed.stdout.contains("key is not available"),
        "{replayed:?}"
    );
    let (journal, before) = (house.journal().len(), payloads(&house).len());
    let refused = house.meno(["run", "reader", "--no-input", "--seed", "4", "--input", "notes=notes.txt"]).exits(1);
    assert!(refused.stderr.contains("their key is not available"), "{}", refused.stderr);
    assert!(house.meno(["fork", &first]).exits(1).stderr.contains("encrypted"));
    assert_eq!((house.journal().len(), payloads(&house).len()), (journal, before));
    house.meno(["list-runs"]).exits(0);
    assert!(house.meno(["doctor"]).exits(0).stdout.contains("encryption"));

    // A backup has what the disk has, and says so.
    let backup = house.path("backup.tar.zst");
    let written = document(&house.meno(["backup", text(&backup), "--json"]).exits(0));
    assert_eq!(written["encrypted_payloads"], written["payloads"]);
    house.meno(["restore", "--check", text(&backup)]).exits(0);

    // A key that others can read is not used.
    fs::rename(&away, &file).expect("moved back");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("opened");
    assert!(house.meno(["show-run", &first]).exits(0).stderr.contains("chmod 600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("closed");
    house.meno(["rekey", "--off"]).exits(0);
    assert!(!payloads(&house).iter().any(|path| is_encrypted(path)));
    // Who still knows the old key writes nothing under it.
    let settings = house.store().join("config.toml");
    let today = fs::read_to_string(&settings).expect("settings");
    fs::write(&settings, today.replace("key_file = \"\"", &format!("key_file = \"{}\"", file.display()))).expect("written");
    let refused = house.meno(["run", "reader", "--no-input", "--seed", "5", "--input", "notes=notes.txt"]).exits(1);
    assert!(refused.stderr.contains("not encrypted any more"), "{}", refused.stderr);
    fs::write(&settings, today).expect("written");
    fs::remove_file(&file).expect("removed");
    assert_eq!(document(&house.meno(["audit", "--json"]).exits(0))["violations"], json!([]));
    with_material(&house);
}

/// What an agent's tools were asked and what they returned is under the key as well.
#[test]
fn what_tools_read_and_wrote_is_encrypted_too() {
    let house = House::with_delay(0);
    let file = house.path("payloads.key");
    house.meno(["init"]).exits(0);
    house.meno(["rekey", "--key-file", text(&file), "--generate"]).exits(0);
    let long = |words: &str| format!("{words} {IN_A_PAYLOAD}\n{}", "All work and no play.\n".repeat(800));
    fs::write(house.path("work/long.txt"), long("READ")).expect("written");
    let template = json!({
        "template_id": "scribe", "name": "Scribe", "description": "One agent", "version": "1.0.0",
        "estimated_cost_range": [0.01, 0.1], "estimated_duration_minutes": 1,
        "form_schema": {"title": "Scribe", "description": "Nothing to ask", "questions": [
            {"id": "topic", "text": "About what?", "type": "text_input", "default": "work"}]},
        "agent_composition_rules": [
            {"role": "scribe", "base_template": "generic", "prompt": "Copy.", "tools": ["read_file", "write_file"]}]
    });
    house.template("scribe", &template);
    let script = house.path("script.json");
    let replies = json!({"replies": [
        {"role": "scribe", "turn": 1, "tool_calls": [{"name": "read_file", "arguments": {"path": "long.txt", "lines": 2000}}]},
        {"role": "scribe", "turn": 2, "tool_calls": [
            {"name": "write_file", "arguments": {"path": "copy.txt", "content": long("WRITTEN")}},
            {"name": "write_file", "arguments": {"path": "long.txt", "content": "short"}}]},
        {"role": "scribe", "turn": 3, "text": "It is copied."}
    ]});
    fs::write(&script, replies.to_string()).expect("written");
    house.configure(&format!("preset = \"simulated\"\n[simulated]\ndelay_ms = 0\nscript = \"{}\"\n", script.display()));
    house.meno(["run", "scribe", "--no-input", "--seed", "3", "--allow-write"]).exits(0);
    assert!(fs::read_to_string(house.path("work/copy.txt")).expect("there").starts_with("WRITTEN"));
    assert!(!payloads(&house).is_empty() && payloads(&house).iter().all(|path| is_encrypted(path)));
    let canaries = ["READ", "WRITTEN"].map(|words| format!("{words} {IN_A_PAYLOAD}"));
    for canary in &canaries {
        assert_eq!(files_with(&house.store(), canary), Vec::<PathBuf>::new());
        assert!(house.meno(["events", "last", "--json"]).exits(0).stdout.contains(canary), "{canary}");
    }
    assert_eq!(document(&house.meno(["audit", "--json"]).exits(0))["violations"], json!([]));
    house.meno(["replay", "--verify", "--all"]).exits(0);
    let away = house.path("payloads.away");
    fs::rename(&file, &away).expect("moved");
    for words in [["events", "last", "--json"], ["show-run", "last", "--outputs"], ["show-run", "last", "--diff"]] {
        let done = house.meno(words);
        assert!(canaries.iter().all(|canary| !done.stdout.contains(canary)), "{words:?}: {}", done.stdout);
    }
    // Nothing goes back in part.
    let refused = house.meno(["undo", "last"]).exits(1);
    assert!(refused.stderr.contains("key is not available"), "{}", refused.stderr);
    assert!(house.path("work/copy.txt").exists());
    fs::rename(&away, &file).expect("moved back");
    house.meno(["undo", "last"]).exits(0);
    assert!(!house.path("work/copy.txt").exists());
    assert_eq!(fs::read_to_string(house.path("work/long.txt")).expect("there"), long("READ"));
    // What is back already needs no key.
    fs::rename(&file, &away).expect("moved");
    house.meno(["undo", "last"]).exits(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_without_the_key_is_found_as_soon_as_it_is_back() {
    let long = format!("A quokka {IN_A_PAYLOAD}. {}", "All work and no play. ".repeat(800));
    let server = LlmServer::start([Turn::text(&long)]).await;
    let house = House::new();
    house.configure(&crate::canary::settings(&server.base_url("/v1")));
    let file = house.path("payloads.key");
    let run = with_material(&house);
    house.meno(["rekey", "--key-file", text(&file), "--generate"]).exits(0);
    let is_found = || house.meno(["search", "quokka", "--lexical", "--json"]).exits(0).stdout.contains(&run);
    let away = house.path("payloads.away");
    fs::rename(&file, &away).expect("moved");
    house.meno(["reindex", "--anew"]).exits(0);
    assert!(!is_found());
    // What comes later is found all the same.
    house.meno(["note", &run, "Numbat"]).exits(0);
    assert!(house.meno(["search", "numbat", "--lexical", "--json"]).exits(0).stdout.contains(&run));
    fs::rename(&away, &file).expect("moved back");
    assert!(is_found());
}

#[test]
fn every_changed_byte_of_an_encrypted_text_is_found() {
    let house = House::with_delay(0);
    with_material(&house);
    house.meno(["rekey", "--key-file", text(&house.path("k")), "--generate"]).exits(0);
    let path = payloads(&house).into_iter().min_by_key(|path| fs::metadata(path).expect("a file").len()).expect("a payload");
    let sound = fs::read(&path).expect("a file");
    // The smallest payload, at places all over it: each costs a process.
    for at in (0..sound.len()).step_by(sound.len().div_ceil(12)) {
        let mut changed = sound.clone();
        changed[at] ^= 1;
        fs::write(&path, changed).expect("written");
        let audit = house.meno(["audit", "--json"]);
        let violation = document(&audit)["violations"][0].clone();
        // A file under a key of another name cannot be told from one of a key that is elsewhere, but nothing passes for what it was.
        let is_of_another_key = (8..16).contains(&at);
        assert!(violation["check"] == "payloads" || is_of_another_key, "byte {at}: {}", audit.stdout);
    }
    fs::write(&path, &sound).expect("written");
    house.meno(["audit"]).exits(0);
}

#[test]
fn a_rekey_that_is_killed_leaves_every_text_readable_and_goes_on() {
    let house = House::with_delay(0);
    let run = with_material(&house);
    for number in 0..200 {
        // More texts than a kill needs to hit the middle; nothing names them, as after a crash.
        let words = format!("text {number} {}", "x".repeat(9000));
        let name = Hash::of(words.as_bytes()).to_string();
        let folder = house.store().join("payloads").join(&name[..2]);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(&name), zstd::encode_all(words.as_bytes(), 3).expect("packed")).expect("written");
    }
    house.meno(["rekey", "--key-file", text(&house.path("a")), "--generate"]).exits(0);
    fs::write(house.path("b"), "ab".repeat(32)).expect("written");
    fs::set_permissions(house.path("b"), fs::Permissions::from_mode(0o600)).expect("closed");
    for wait in [1, 20, 60] {
        let rekey = house.start(["rekey", "--key-file", text(&house.path("b"))]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        rekey.signal(Signal::KILL);
        let _ = rekey.end();
        assert!(house.meno(["events", &run, "--json"]).exits(0).stdout.contains(IN_A_PAYLOAD));
    }
    let done = document(&house.meno(["rekey", "--key-file", text(&house.path("b")), "--json"]).exits(0));
    assert_eq!(done["plain"], 0);
    fs::remove_file(house.path("a")).expect("the old key is not needed any more");
    assert!(house.meno(["events", &run, "--json"]).exits(0).stdout.contains(IN_A_PAYLOAD));
    let config = fs::read_to_string(house.store().join("config.toml")).expect("settings");
    assert!(config.contains("key_file") && !config.contains("old_key"), "{config}");
    assert_eq!(document(&house.meno(["rekey", "--json"]).exits(0))["changed"], 0);
}

#[test]
fn a_key_comes_from_a_program_and_never_from_a_store_that_is_not_trusted() {
    let house = House::with_delay(0);
    let run = with_material(&house);
    let key = "0123456789abcdef".repeat(4);
    house.meno(["rekey", "--key-command", "echo", &key]).exits(0);
    assert!(house.meno(["events", &run, "--json"]).exits(0).stdout.contains(IN_A_PAYLOAD));
    assert!(house.meno(["rekey", "--key-command", "false"]).exits(1).stderr.contains("false"));
    assert!(house.meno(["rekey", "--key-command", "echo", "no key"]).exits(1).stderr.contains("it is no key"));
    house.meno(["rekey", "--off"]).exits(0);

    // Somebody's repository brings a store whose settings name a program.
    let project = house.path("work/project");
    fs::create_dir_all(project.join(".meno")).expect("a folder");
    let marker = house.path("ran");
    let config = format!("[encryption]\nkey_command = [\"touch\", \"{}\"]\n", marker.display());
    fs::write(project.join(".meno/config.toml"), config).expect("written");
    let mut found = house.command(["run", "python_package_publish", "--no-input", "--seed", "7"]);
    found.env_remove("MENO_STORE").current_dir(&project);
    let done = crate::harness::finish(found);
    assert!(done.stderr.contains("encryption.key_command"), "{}", done.stderr);
    assert!(!marker.exists(), "a stranger's program ran");
}

#[test]
fn a_store_that_others_use_is_not_rekeyed() {
    let house = House::with_delay(2000);
    let mut running = house.start(PUBLISH.iter().chain(&["--json"]));
    running.until("CallStarted");
    let refused = house.meno(["rekey", "--key-file", text(&house.path("k")), "--generate"]).exits(1);
    assert!(refused.stderr.contains("uses this store"), "{}", refused.stderr);
    running.signal(Signal::INT);
    let _ = running.end();
    assert!(!house.path("k").exists(), "a key that is not used was left");
    house.meno(["rekey", "--key-file", text(&house.path("k")), "--generate"]).exits(0);
    house.meno(["cancel", "last"]).exits(0);
}
