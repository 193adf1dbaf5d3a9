//! Stores that cannot be written to, on real mounts: read-only ones and full ones. Reading, searching, auditing, exporting and backing up
//! print what they print of the same store when it can be written to, nothing is changed, and writing says why it cannot.
//!
//! It needs root and mounts; without them it says so and checks nothing, which is a failure where `.ci/run` has found them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use meno::event::Hash;
use serde_json::Value;

use crate::harness::{Done, House, assert_kept, assert_nothing_repeated, cannot_check, copy, files, finish, journal_end};

/// Bytes of a disk that gets full.
const DISK: u64 = 48 << 20;
const PUBLISH: [&str; 8] = ["run", "python_package_publish", "--no-input", "--preset", "simulated", "--json", "--seed", "7"];

/// Commands that only read, and whether what they print may differ between two looks.
const READING: &[&[&str]] = &[
    &["list-runs"],
    &["list-runs", "--json"],
    &["show-run", "last"],
    &["show-run", "last", "--outputs", "--json"],
    &["events", "last"],
    &["events", "--json"],
    &["costs", "--json"],
    &["analytics", "python_package_publish", "--json"],
    &["search", "--lexical", "changelog version"],
    &["search", "--lexical", "simulated runs", "--json"],
    &["replay", "last", "--verify"],
    &["diff", "last~1", "last"],
    &["export", "-"],
    &["audit", "--json"],
    &["list-templates"],
    &["show-template", "python_package_publish"],
    // Last: where it can, it appends that advice was given.
    &["recommend", "python_package_publish", "--json"],
];

/// Commands that write.
const WRITING: &[&[&str]] = &[
    &PUBLISH,
    &["note", "last", "a note", "--json"],
    &["resume", "last", "--json"],
    &["cancel", "last", "--json"],
    &["forget", "last", "--yes", "--json"],
    &["rerun", "last", "--json"],
    &["seal", "--json"],
    &["reindex", "--json"],
    &["rebuild"],
    &["config", "preset=simulated", "--json"],
    &["serve", "--json"],
];

/// Something mounted over a folder, as long as it lives.
struct Mount(PathBuf);

impl Mount {
    /// Makes a folder read-only, with all that is in it.
    fn read_only(dir: &Path) -> Result<Self, String> {
        run(Command::new("mount").arg("--bind").args([dir, dir]))?;
        let mount = Self(dir.to_owned());
        run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(dir))?;
        Ok(mount)
    }

    /// Mounts an empty disk of so many bytes.
    fn disk(dir: &Path, bytes: u64) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=700"), "meno-test"]).arg(dir))?;
        Ok(Self(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Left mounted, the temporary folder could not be removed.
        let _ = run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", command.get_program().display(), String::from_utf8_lossy(&done.stderr).trim()))
}

/// Fills the disk to its last byte.
fn fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let mut file = fs::File::create(&path).expect("a file");
    for bytes in [1 << 16, 4096, 1] {
        while file.write_all(&vec![7; bytes]).is_ok() {}
    }
    path
}

/// What lies in a store, but for the socket: names and hashes.
fn state(store: &Path) -> BTreeMap<PathBuf, Hash> {
    files(store).into_iter().map(|path| (path.clone(), Hash::of(&fs::read(&path).expect("a file")))).collect()
}

/// What a store may lack or be behind with, besides its journal.
#[derive(Clone, Copy, Debug)]
enum Derived {
    /// Everything is there and up to date.
    Whole,
    /// Index, views and search index are of before the last run.
    Behind,
    /// They are gone.
    Gone,
}

const DERIVED: [Derived; 3] = [Derived::Whole, Derived::Behind, Derived::Gone];

/// A store with three runs, two of them with another seed, and a note.
fn house(derived: Derived) -> House {
    let house = House::new();
    // Nothing is embedded: these are about words.
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    house.meno(PUBLISH).exits(0);
    house.meno(PUBLISH[..7].iter().chain(&["8"])).ends();
    house.meno(["note", "last", "the changelog was good", "--rating", "4"]).exits(0);
    house.meno(["search", "--lexical", "changelog"]).exits(0);
    let before = house.path("before");
    for folder in ["log", "index"] {
        copy(&house.store().join(folder), &before.join(folder));
    }
    house.meno(PUBLISH[..7].iter().chain(&["9"])).ends();
    house.meno(["search", "--lexical", "changelog"]).exits(0);
    for folder in ["log", "index"] {
        match derived {
            Derived::Whole => continue,
            Derived::Behind | Derived::Gone => fs::remove_dir_all(house.store().join(folder)).expect("removed"),
        }
        if matches!(derived, Derived::Behind) {
            copy(&before.join(folder), &house.store().join(folder));
        }
    }
    house
}

/// What a command prints, without what differs at every look.
fn printed(done: &Done) -> String {
    match serde_json::from_str::<Value>(&done.stdout) {
        Ok(mut document) => {
            if let Some(fields) = document.as_object_mut() {
                fields.remove("took_ms");
                // What opening found is said where the files were opened.
                fields.remove("notes");
                fields.remove("notices");
            }
            document.to_string()
        }
        Err(_) => done.stdout.clone(),
    }
}

/// Runs all that only reads; returns what each printed. On a store that cannot be written to, each says so once.
fn read_all(house: &House, words: Option<&str>) -> Vec<(String, String)> {
    let look = |args: &&[&str]| {
        let done = house.meno(*args);
        assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
        let said = |words: &str| done.stderr.lines().filter(|line| line.contains(words)).count();
        match words {
            _ if args.contains(&"--json") => assert_eq!(done.stderr, "", "{args:?}"),
            _ if args[0].contains("template") => assert_eq!(done.stderr, "", "{args:?}"),
            Some(words) => assert_eq!(said(words), 1, "{args:?} says it once: {}", done.stderr),
            None => assert_eq!(said("nothing"), 0, "{args:?}: {}", done.stderr),
        }
        (args.join(" "), printed(&done))
    };
    READING.iter().map(look).collect()
}

/// Backs the store up and exports it elsewhere, and makes a store of the backup again.
fn take_away(house: &House, name: &str) {
    let to = house.path(name);
    fs::create_dir(&to).expect("a folder");
    let at = |file: &str| to.join(file).display().to_string();
    house.meno(["backup", &at("all.meno")]).exits(0);
    house.meno(["export", &at("events")]).exits(0);
    house.meno(["export-run", "last", "--dir", &at("run")]).exits(0);
    house.meno(["audit", "--report", &at("audit.html")]).exits(0);
    assert!(fs::metadata(to.join("audit.html")).expect("a report").len() > 1000);
    let restored = at("restored");
    house.meno(["--store", &restored, "restore", &at("all.meno")]).exits(0);
    let imported = at("imported");
    house.meno(["--store", &imported, "import", "events", &at("events")]).exits(0);
    for store in [restored, imported] {
        let runs = house.meno(["--store", &store, "list-runs", "--json"]).exits(0).stdout;
        assert_eq!(runs, house.meno(["list-runs", "--json"]).exits(0).stdout);
    }
}

fn refuses_to_write(house: &House, words: &str) {
    for args in WRITING {
        let done = house.meno(*args).exits(5);
        assert!(done.stderr.contains(words) && done.stderr.contains("hint"), "{args:?}: {}", done.stderr);
    }
}

#[track_caller]
fn assert_same(looked: &[(String, String)], right: &[(String, String)], of: Derived) {
    for ((args, looked), (_, right)) in looked.iter().zip(right) {
        assert!(looked == right, "{of:?}, {args}:\n{looked}\n--- is to be\n{right}");
    }
}

#[test]
fn a_read_only_store_is_read_searched_audited_and_taken_away_as_if_it_were_not() {
    for derived in DERIVED {
        let house = house(derived);
        let before = state(&house.store());
        let mount = match Mount::read_only(&house.store()) {
            Ok(mount) => mount,
            Err(why) => return cannot_check("mounts", &why),
        };
        let looked = read_all(&house, Some("the file system is read-only"));
        let list = |temporary: &str| {
            let mut list = house.command(["list-runs", "--json"]);
            list.env("TMPDIR", temporary);
            finish(list).exits(0).stdout
        };
        let temporary = house.path("temporary");
        fs::create_dir(&temporary).expect("a folder");
        assert_eq!(
            list("/proc/no-such-folder"),
            list(&temporary.display().to_string()),
            "copied or made in memory, it is the same"
        );
        assert_eq!(fs::read_dir(&temporary).expect("a folder").count(), 0, "a copy was left behind");
        take_away(&house, "away");
        refuses_to_write(&house, "read-only");
        let doctor = house.meno(["doctor"]).exits(0).stdout;
        assert!(doctor.contains("nothing can be written: the file system is read-only"), "{doctor}");
        drop(mount);
        assert!(state(&house.store()) == before, "{derived:?}: something was changed");
        assert_same(&looked, &read_all(&house, None), derived);
    }
}

#[test]
fn a_full_disk_is_read_searched_audited_and_taken_away_as_if_it_were_not() {
    for derived in DERIVED {
        let house = house(derived);
        let dir = house.path("disk");
        let _mount = match Mount::disk(&dir, DISK) {
            Ok(mount) => mount,
            Err(why) => return cannot_check("mounts", &why),
        };
        copy(&house.store(), &dir.join("store"));
        fs::remove_dir_all(house.store()).expect("removed");
        symlink(dir.join("store"), house.store()).expect("a link");
        let journal = dir.join("store/journal");
        let before = state(&journal);
        let filler = fill(&dir);
        let looked = read_all(&house, Some("the disk is full"));
        take_away(&house, "away");
        refuses_to_write(&house, "full");
        assert!(state(&journal) == before, "{derived:?}: the journal was changed");
        let aside = files(&dir).into_iter().filter(|path| path.to_string_lossy().contains(".broken")).count();
        assert_eq!(aside, 0, "{derived:?}: an index was set aside for want of room");
        fs::remove_file(filler).expect("removed");
        assert_same(&looked, &read_all(&house, None), derived);
        house.meno(["note", "last", "there is room again"]).exits(0);
    }
}

#[test]
fn a_run_under_way_when_the_disk_gets_full_has_recorded_what_it_paid_for() {
    let house = House::with_delay(20);
    let dir = house.path("disk");
    let _mount = match Mount::disk(&dir, DISK) {
        Ok(mount) => mount,
        Err(why) => return cannot_check("mounts", &why),
    };
    fs::create_dir(dir.join("store")).expect("a folder");
    symlink(dir.join("store"), house.store()).expect("a link");
    let mut running = house.start(PUBLISH);
    for _ in 0..20 {
        running.line().expect("the run goes on");
    }
    let filler = fill(&dir);
    let done = running.end();
    let printed: Vec<Value> = done.lines().into_iter().filter(|line| line["type"] == "event").collect();
    fs::remove_file(filler).expect("removed");
    let id = printed[0]["run_id"].as_str().expect("an id");
    let resumed = house.meno(["resume", id, "--json"]);
    // A run that had ended has nothing to go on with, and says so.
    assert!(matches!(resumed.code, Some(0 | 1)), "{}", resumed.stderr);
    let journal = house.journal();
    assert_kept(&printed, &journal);
    assert_nothing_repeated(&journal);
    let shown: Value = serde_json::from_str(&house.meno(["show-run", id, "--json"]).exits(0).stdout).expect("a document");
    assert_eq!(shown["status"], "succeeded");
}

#[test]
fn an_owner_is_asked_through_a_read_only_mount() {
    let house = house(Derived::Whole);
    let view = house.path("view");
    fs::create_dir(&view).expect("a folder");
    let bound = run(Command::new("mount").arg("--bind").args([&house.store(), &view]));
    let mount = bound.map(|()| Mount(view.clone()));
    let mount = mount.and_then(|mount| run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(&view)).map(|()| mount));
    let _mount = match mount {
        Ok(mount) => mount,
        Err(why) => return cannot_check("mounts", &why),
    };
    let path = view.display().to_string();
    let alone = house.meno(["--store", &path, "list-runs"]).exits(0);
    assert!(alone.stderr.contains("read-only"), "{}", alone.stderr);
    let mut serving = house.start(["serve", "--json"]);
    serving.line().expect("it serves");
    let asked = house.meno(["--store", &path, "list-runs"]).exits(0);
    assert_eq!((asked.stdout, asked.stderr.contains("read-only")), (alone.stdout, false));
    house.meno(["--store", &path, "note", "last", "through the owner"]).exits(0);
    assert!(house.meno(["events", "last", "--json"]).exits(0).stdout.contains("through the owner"));
}

#[test]
fn what_is_torn_or_damaged_in_a_read_only_store_is_reported_and_stays() {
    let house = house(Derived::Gone);
    let (segment, end) = journal_end(&house.store());
    let sound = fs::read(&segment).expect("a file");
    let runs = house.meno(["list-runs"]).exits(0).stdout;
    fs::remove_dir_all(house.store().join("log")).expect("removed");

    let torn = [&sound[..end], b"MFRM half of a frame"].concat();
    let mut damaged = sound.clone();
    damaged[end / 2] ^= 1;
    for (bytes, code) in [(torn, 0), (damaged, 4)] {
        fs::write(&segment, &bytes).expect("written");
        let mount = match Mount::read_only(&house.store()) {
            Ok(mount) => mount,
            Err(why) => return cannot_check("mounts", &why),
        };
        let audit = house.meno(["audit"]).exits(code);
        let doctor = house.meno(["doctor"]).exits(code).stdout;
        let listed = house.meno(["list-runs"]).exits(0).stdout;
        if code == 0 {
            assert!(audit.stdout.contains("are no whole events and are left out"), "{}", audit.stdout);
            assert!(doctor.contains("are no whole events and are left out"), "{doctor}");
            assert_eq!(listed, runs);
        }
        drop(mount);
        assert!(fs::read(&segment).expect("a file") == bytes, "it was put right");
    }
}

#[test]
fn a_damaged_last_event_is_told_from_a_torn_one_by_an_index_that_is_not_opened_in_its_place() {
    let house = house(Derived::Whole);
    let (segment, end) = journal_end(&house.store());
    let mut bytes = fs::read(&segment).expect("a file");
    bytes[end - 9] ^= 1;
    fs::write(&segment, &bytes).expect("written");
    let before = state(&house.store());
    let mount = match Mount::read_only(&house.store()) {
        Ok(mount) => mount,
        Err(why) => return cannot_check("mounts", &why),
    };
    let audit = house.meno(["audit"]).exits(4).stdout;
    assert!(audit.contains("missing"), "{audit}");
    house.meno(["doctor"]).exits(4);
    house.meno(["list-runs"]).exits(0);
    drop(mount);
    assert!(state(&house.store()) == before, "something was changed");
    // Where it can be written to, the index gives back what it has.
    house.meno(["doctor", "--repair"]).exits(0);
    house.meno(["audit"]).exits(0);
}

#[test]
fn a_folder_without_write_permission_is_read() {
    let house = house(Derived::Whole);
    let right = house.meno(["list-runs"]).exits(0).stdout;
    // Permissions do not stop root, so there it is another user's house and command.
    let is_root = rustix::process::geteuid().is_root();
    let mut program = PathBuf::from(house.command([""; 0]).get_program());
    if is_root {
        // Where it was built may be a folder that only root can enter.
        let built = std::mem::replace(&mut program, house.path("meno"));
        fs::copy(built, &program).expect("the program is copied");
        run(Command::new("chown").args(["-R", "65534"]).arg(house.path(""))).expect("root gives folders away");
    }
    fs::set_permissions(house.store(), fs::Permissions::from_mode(0o500)).expect("set");
    let meno = |args: &[&str]| {
        let told = house.command(args);
        let mut command = Command::new(&program);
        command.args(args).env_clear().envs(told.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(house.path("work"));
        if is_root {
            command.uid(65534);
        }
        finish(command)
    };
    let listed = meno(&["list-runs"]).exits(0);
    assert_eq!(listed.stdout, right);
    assert!(listed.stderr.contains("the permissions do not allow it"), "{}", listed.stderr);
    meno(&["audit"]).exits(0);
    let refused = meno(&["note", "last", "a note"]).exits(5);
    assert!(refused.stderr.contains("the permissions do not allow it"), "{}", refused.stderr);
    fs::set_permissions(house.store(), fs::Permissions::from_mode(0o700)).expect("set");
}

#[test]
fn permissions_that_cannot_be_tightened_are_said_and_strangers_are_still_refused() {
    let house = house(Derived::Whole);
    fs::set_permissions(house.store(), fs::Permissions::from_mode(0o755)).expect("set");
    let mount = match Mount::read_only(&house.store()) {
        Ok(mount) => mount,
        Err(why) => return cannot_check("mounts", &why),
    };
    let listed = house.meno(["list-runs"]).exits(0);
    assert!(listed.stderr.contains("open to others (755)") && listed.stderr.lines().count() == 1, "{}", listed.stderr);
    drop(mount);
    std::os::unix::fs::chown(house.store(), Some(4242), None).expect("root gives folders away");
    let _mount = Mount::read_only(&house.store()).expect("it went before");
    let refused = house.meno(["list-runs"]).exits(1);
    assert!(refused.stderr.contains("belongs to user id 4242"), "{}", refused.stderr);
}
