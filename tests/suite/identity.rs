//! Who a store is stands in its segments: whatever happens to what only repeats it, the runs are there, or the store is refused. Never
//! is it taken for an empty one.

use std::fs;
use std::path::{Path, PathBuf};

use meno::event::NodeId;
use meno::internals::store::NodeFile;
use serde_json::Value;

use crate::harness::{Done, House, files};

#[track_caller]
fn document(done: Done) -> Value {
    serde_json::from_str(&done.exits(0).stdout).expect("one document")
}

/// A store with two runs, and its node.
fn filled() -> (House, NodeId) {
    let house = House::with_delay(0);
    for seed in ["1", "2"] {
        house.meno(["run", "python_package_publish", "--no-input", "--seed", seed, "-q"]).ends();
    }
    house.meno(["list-runs"]).exits(0);
    let node = node(&house.store());
    (house, node)
}

fn node(store: &Path) -> NodeId {
    match NodeFile::read(&fs::read(store.join("journal/node")).expect("a node")) {
        NodeFile::Checked(node) => node,
        other => panic!("{other:?}"),
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() => copy(&entry.path(), &to),
            kind if kind.is_file() => drop(fs::copy(entry.path(), to).expect("copied")),
            _ => {}
        }
    }
}

fn segment(store: &Path, node: NodeId) -> PathBuf {
    files(&store.join("journal").join(node.to_string())).into_iter().find(|path| path.extension().is_some()).expect("a segment")
}

/// Checks that the runs are listed, that `said` is said now and not again, and that all is whole afterwards.
#[track_caller]
fn is_repaired(house: &House, store: &Path, said: &str) {
    let at = ["--store", store.to_str().expect("a text")];
    let meno = |args: &[&str]| house.meno(args.iter().chain(&at));
    let listed = meno(&["list-runs", "--json"]).exits(0);
    let runs = listed.stdout.matches("\"run_id\"").count();
    assert_eq!(runs, 2, "{}", listed.stdout);
    assert!(listed.stderr.contains(said), "`{said}` is not said:\n{}", listed.stderr);
    let again = meno(&["list-runs", "--json"]).exits(0);
    assert_eq!((again.stdout, again.stderr), (listed.stdout, String::new()));
    meno(&["audit", "--all"]).exits(0);
    meno(&["doctor"]).exits(0);
}

/// Checks that nothing is done with the store, whatever is asked of it.
#[track_caller]
fn is_refused(house: &House, store: &Path, said: &str) {
    // sled writes when it is looked into.
    let all = || {
        let folders = ["journal", "payloads"].map(|folder| store.join(folder)).into_iter().filter(|folder| folder.is_dir());
        let files = folders.flat_map(|folder| files(&folder));
        files.map(|path| (fs::read(&path).expect("read"), path)).collect::<Vec<_>>()
    };
    let before = all();
    for command in [&["list-runs"][..], &["search", "publish"], &["audit", "--all"], &["doctor"], &["events"]] {
        let done = house.meno(command.iter().chain(&["--store", store.to_str().expect("a text")])).exits(5);
        assert!(done.stderr.contains(said), "{command:?} does not say `{said}`:\n{}", done.stderr);
        assert_eq!(done.stdout, "", "{command:?}");
    }
    assert!(all() == before, "something was changed");
}

#[test]
fn a_flipped_bit_in_the_node_file_never_makes_a_store_seem_empty() {
    let (house, node) = filled();
    let file = house.store().join("journal/node");
    let plain = format!("{node}\n").into_bytes();
    for sound in [NodeFile::bytes(node), plain] {
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 5);
            fs::write(&file, &bytes).expect("written");
            let listed = house.meno(["list-runs", "--json"]);
            let listed = if listed.code == Some(5) { continue } else { listed.exits(0) };
            assert_eq!(listed.stdout.matches("\"run_id\"").count(), 2, "byte {at}: {}", String::from_utf8_lossy(&bytes));
            assert_eq!(fs::read(&file).expect("read"), NodeFile::bytes(node), "byte {at}");
        }
    }
    // The lowest bit of the first byte of an old file is a valid name of another log.
    let mut bytes = format!("{node}\n").into_bytes();
    bytes[0] ^= 1;
    assert!(matches!(NodeFile::read(&bytes), NodeFile::Plain(other) if other != node));
    fs::write(&file, &bytes).expect("written");
    is_repaired(&house, &house.store(), &format!("the segments are of log {node}"));
}

#[test]
fn what_disagrees_with_the_segments_is_put_right_and_said_once() {
    let (house, node) = filled();
    let foreign = House::with_delay(0);
    foreign.meno(["run", "release_prep", "--no-input", "-q"]).ends();
    foreign.meno(["list-runs"]).exits(0);
    let other = self::node(&foreign.store());
    let bare = House::with_delay(0);
    fs::create_dir(bare.store()).expect("a folder");
    bare.meno(["list-runs"]).exits(0);
    let nobody = self::node(&bare.store());

    type Harm<'a> = Box<dyn Fn(&Path) + 'a>;
    let write = |bytes: Vec<u8>| -> Harm<'_> {
        Box::new(move |store: &Path| fs::write(store.join("journal/node"), &bytes).expect("written"))
    };
    let own = node.to_string();
    let cases: Vec<(&str, Harm<'_>)> = vec![
        ("journal/node was damaged", write(Vec::new())),
        ("journal/node was damaged", write(own.as_bytes()[..13].to_vec())),
        ("journal/node was damaged", write(vec![0; 36])),
        ("journal/node named log", write(NodeFile::bytes(other))),
        ("journal/node was missing", Box::new(|store| fs::remove_file(store.join("journal/node")).expect("removed"))),
        (
            "is the folder of log",
            Box::new(|store| {
                fs::rename(store.join("journal").join(&own), store.join("journal/moved")).expect("renamed");
            }),
        ),
        (
            "is the folder of log",
            Box::new(|store| {
                fs::rename(store.join("journal").join(&own), store.join("journal").join(other.to_string())).expect("renamed");
            }),
        ),
        (
            "in which nothing happened",
            Box::new(|store| {
                // What earlier versions did when a bit of the file had flipped.
                let to = store.join("journal").join(nobody.to_string());
                copy(&bare.store().join("journal").join(nobody.to_string()), &to);
                fs::write(store.join("journal/node"), format!("{nobody}\n")).expect("written");
            }),
        ),
        (
            "is a segment of log",
            Box::new(|store| {
                let to = store.join("journal").join(&own).join("00000000000000009999.seg");
                fs::copy(segment(&foreign.store(), other), to).expect("copied");
            }),
        ),
        (
            "does not belong to this log",
            Box::new(|store| {
                fs::remove_dir_all(store.join("log")).expect("removed");
                copy(&foreign.store().join("log"), &store.join("log"));
            }),
        ),
        (
            "were missing at the journal's end; the index had them",
            Box::new(|store| fs::remove_dir_all(store.join("journal").join(&own)).expect("removed")),
        ),
        (
            "were missing at the journal's end; the index had them",
            Box::new(|store| fs::remove_dir_all(store.join("journal")).expect("removed")),
        ),
    ];
    for (number, (said, harm)) in cases.into_iter().enumerate() {
        let store = house.path(&format!("harmed-{number}"));
        copy(&house.store(), &store);
        harm(&store);
        is_repaired(&house, &store, said);
        assert_eq!(self::node(&store), node, "{said}");
    }
}

#[test]
fn a_store_that_nobody_can_identify_is_refused_and_left_as_it_is() {
    let (house, node) = filled();
    let foreign = House::with_delay(0);
    foreign.meno(["run", "release_prep", "--no-input", "-q"]).ends();
    let other = self::node(&foreign.store());
    let harmed = |name: &str| {
        let store = house.path(name);
        copy(&house.store(), &store);
        store
    };
    let two = harmed("two");
    let to = two.join("journal").join(other.to_string());
    copy(&foreign.store().join("journal").join(other.to_string()), &to);
    is_refused(&house, &two, "two logs of this store");

    let gone = harmed("gone");
    fs::remove_dir_all(gone.join("journal")).expect("removed");
    fs::remove_dir_all(gone.join("log")).expect("removed");
    let payload = gone.join("payloads/ab");
    fs::create_dir_all(&payload).expect("a folder");
    fs::write(payload.join("ab".repeat(32)), "x").expect("written");
    is_refused(&house, &gone, "it is not a new one");
    // Nor does a restore take its place.
    let backup = house.path("backup.tar.zst");
    house.meno(["backup", backup.to_str().expect("a text")]).exits(0);
    house.meno(["restore", backup.to_str().expect("a text"), "--store", gone.to_str().expect("a text")]).exits(1);
    assert!(payload.join("ab".repeat(32)).exists());

    let bare = harmed("bare");
    fs::remove_dir_all(bare.join("journal").join(node.to_string())).expect("removed");
    fs::remove_dir_all(bare.join("log")).expect("removed");
    fs::remove_dir_all(bare.join("index")).ok();
    is_refused(&house, &bare, "it is not a new one");

    let spoilt = harmed("spoilt");
    let path = segment(&spoilt, node);
    let length = fs::read(&path).expect("read").len();
    fs::write(&path, vec![7; length]).expect("written");
    fs::remove_dir_all(spoilt.join("log")).expect("removed");
    is_refused(&house, &spoilt, "it is not a new one");
}

#[test]
fn an_audit_beside_an_owner_names_what_disagrees() {
    let (house, node) = filled();
    let mut serve = house.start(["serve", "--json"]);
    assert!(serve.line().is_some_and(|line| line.contains("serving")));
    house.meno(["audit", "--all"]).exits(0);
    fs::write(house.store().join("journal/node"), "01").expect("written");
    for command in [&["audit", "--all"][..], &["doctor"]] {
        let done = house.meno(command).exits(4);
        assert!(done.stdout.contains("journal/node was damaged"), "{}", done.stdout);
    }
    serve.kill();
    is_repaired(&house, &house.store(), &format!("the segments are of log {node}"));
}

#[test]
fn imported_logs_are_audited_and_never_taken_for_the_stores_own() {
    let (house, node) = filled();
    let other = House::with_delay(0);
    other.meno(["run", "release_prep", "--no-input", "-q"]).ends();
    let export = other.path("export");
    other.meno(["export", export.to_str().expect("a text")]).exits(0);
    house.meno(["import", "events", export.to_str().expect("a text")]).exits(0);
    house.meno(["audit", "--all"]).exits(0);
    let imported = self::node(&other.store());
    for bytes in [Vec::new(), NodeFile::bytes(imported), format!("{imported}\n").into_bytes()] {
        fs::write(house.store().join("journal/node"), bytes).expect("written");
        house.meno(["list-runs"]).exits(0);
        assert_eq!(self::node(&house.store()), node);
    }
    let doctor = document(house.meno(["doctor", "--json"]));
    let found = doctor["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "imported").expect("a check");
    assert_eq!(found["state"], "ok");
    // A byte of it that is not as it was written is a violation like any other.
    let path = segment(&house.store(), imported);
    let mut bytes = fs::read(&path).expect("read");
    bytes[400] ^= 1;
    fs::write(&path, bytes).expect("written");
    let found = house.meno(["audit", "--all"]).exits(4);
    assert!(found.stdout.contains(&imported.to_string()), "{}", found.stdout);
    house.meno(["doctor"]).exits(4);
}
