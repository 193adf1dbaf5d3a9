//! Changes of files in a real folder: whole or not at all, inside it whatever happens to it, and told apart after a crash.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::change::{Standing, standing, take_back};
use super::*;
use crate::domain::tool::{APPLY_PATCH, WRITE_FILE};

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("w");
    fs::create_dir(&root).unwrap();
    for (path, text) in files {
        fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        fs::write(root.join(path), text).unwrap();
    }
    (dir, root)
}

fn toolbox(root: &Path) -> Toolbox {
    let settings = ToolSettings { allow_write: true, deny: vec!["denied/".to_owned()], ..ToolSettings::default() };
    Toolbox::new(root, &[], &settings, Environment::default())
}

fn run(tools: &Toolbox, name: &str, arguments: Value) -> ToolOutcome {
    tools.run(name, &arguments, &CancellationToken::new()).expect("nobody stops it")
}

fn plan(tools: &Toolbox, name: &str, arguments: &Value, recorded: Option<&[FileChange]>) -> Write {
    match tools.begin(name, arguments, recorded, &CancellationToken::new()) {
        Begun::Writes(write) => write,
        Begun::Ended(outcome) => panic!("{outcome:?}"),
    }
}

fn read(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn a_file_is_made_and_replaced_with_its_folders_and_its_mode() {
    let (_dir, root) = folder(&[("run.sh", "echo old\n")]);
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    let tools = toolbox(&root);
    let made = run(&tools, WRITE_FILE, json!({"path": "a/b/c.txt", "content": "new\n"}));
    assert_eq!((made.fault, made.text.as_str()), (None, "`a/b/c.txt` is new: 1 lines.\n"));
    assert_eq!(made.diff.as_deref(), Some("--- /dev/null\n+++ b/a/b/c.txt\n@@ -0,0 +1 @@\n+new\n"));
    run(&tools, WRITE_FILE, json!({"path": "run.sh", "content": "echo new\n"}));
    let mode = fs::metadata(root.join("run.sh")).unwrap().permissions().mode() & 0o7777;
    assert_eq!((read(&root, "run.sh").as_str(), mode), ("echo new\n", 0o751));
    let same = run(&tools, WRITE_FILE, json!({"path": "run.sh", "content": "echo new\n"}));
    assert_eq!((same.fault, same.diff), (None, None));
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2, "nothing is left beside");
}

#[test]
fn a_patch_changes_all_of_its_files_or_none() {
    let (_dir, root) = folder(&[("a", "1\n2\n"), ("b", "x\n"), ("gone", "x\n")]);
    let tools = toolbox(&root);
    let good = "--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n 1\n-2\n+zwei\n";
    let bad = "--- a/b\n+++ b/b\n@@ -1 +1 @@\n-y\n+z\n";
    let refused = run(&tools, APPLY_PATCH, json!({"patch": format!("{good}{bad}")}));
    assert_eq!(refused.fault, Some(ToolFault::Failed));
    assert!(refused.text.contains("line 1 is `x`, not `y`") && read(&root, "a") == "1\n2\n", "{}", refused.text);
    let both = "--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n--- /dev/null\n+++ b/d/new\n@@ -0,0 +1 @@\n+n\n";
    let done = run(&tools, APPLY_PATCH, json!({"patch": format!("{good}{both}")}));
    assert_eq!(done.fault, None, "{}", done.text);
    assert!(read(&root, "a") == "1\nzwei\n" && !root.join("gone").exists() && read(&root, "d/new") == "n\n");
}

#[test]
fn names_in_quotes_are_read_as_git_writes_them_and_guarded_as_all_are() {
    let (_dir, root) = folder(&[("ü.txt", "1\n")]);
    let tools = toolbox(&root);
    let patch = |from: &str, to: &str| json!({"patch": format!("--- {from}\n+++ {to}\n@@ -1 +1 @@\n-1\n+2\n")});
    let done = run(&tools, APPLY_PATCH, patch(r#""a/\303\274.txt""#, r#""b/\303\274.txt""#));
    assert_eq!((done.fault, read(&root, "ü.txt").as_str()), (None, "2\n"), "{}", done.text);
    let new = |to: &str| run(&tools, APPLY_PATCH, json!({"patch": format!("--- /dev/null\n+++ {to}\n@@ -0,0 +1 @@\n+n\n")}));
    assert_eq!(new(r#""b/say \"hi\".txt""#).fault, None);
    assert_eq!(read(&root, "say \"hi\".txt"), "n\n");
    for bad in [r#""b/\056\056/\056\056/x""#, r#""\057etc/x""#, r#""b/a\nb""#, r#""b/a\000b""#, r#""b/\303.txt""#, r#""b/open"#] {
        let refused = new(bad);
        assert!(refused.fault.is_some(), "{bad}: {}", refused.text);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 2);
}

#[test]
fn what_tools_do_not_read_they_do_not_write() {
    let (dir, root) = folder(&[(".git/config", "x\n"), ("denied/x", "x\n"), ("bytes", "x\n")]);
    fs::write(root.join("bytes"), [0xff, 0xfe]).unwrap();
    symlink("bytes", root.join("link")).unwrap();
    symlink(dir.path(), root.join("out")).unwrap();
    let tools = toolbox(&root);
    for path in [
        ".env",
        ".git/config",
        ".git/hooks/x",
        "x/.env.local",
        "k.pem",
        "denied/x",
        "denied/new",
        "../x",
        "link",
        "out/x",
        "bytes",
        ".",
        "denied/x/y",
    ] {
        let outcome = run(&tools, WRITE_FILE, json!({"path": path, "content": "y\n"}));
        assert!(outcome.fault.is_some(), "{path}: {}", outcome.text);
    }
    assert!(!dir.path().join("x").exists() && fs::read(root.join("bytes")).unwrap() == [0xff, 0xfe]);
    let strict = Toolbox::new(&root, &[], &ToolSettings::default(), Environment::default());
    let refused = run(&strict, WRITE_FILE, json!({"path": "new", "content": "y\n"}));
    assert!(refused.fault == Some(ToolFault::NotAllowed) && !root.join("new").exists(), "{}", refused.text);
}

#[test]
fn a_file_that_could_not_be_put_back_is_not_changed() {
    let key = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let (_dir, root) = folder(&[("keyed", &format!("token = {key}\n")), ("plain", "x\n")]);
    let tools = toolbox(&root);
    let refused = run(&tools, WRITE_FILE, json!({"path": "keyed", "content": "x\n"}));
    assert!(refused.fault == Some(ToolFault::NotAllowed) && read(&root, "keyed").contains(key), "{}", refused.text);
    for content in [format!("{key}\n"), "token = [redacted:github]\n".to_owned()] {
        let refused = run(&tools, WRITE_FILE, json!({"path": "plain", "content": content}));
        assert!(refused.fault == Some(ToolFault::NotAllowed) && read(&root, "plain") == "x\n", "{}", refused.text);
    }
}

#[test]
fn the_files_say_how_far_a_write_came_and_it_goes_on_from_there() {
    let patch = json!({"patch": "--- a/a\n+++ b/a\n@@ -1 +1,2 @@\n 1\n+2\n--- a/b\n+++ b/b\n@@ -1 +1,2 @@\n 1\n+2\n"});
    for (a, b, other, expected) in [
        ("1\n", "1\n", false, Some(Resolution::NotDone)),
        ("1\n2\n", "1\n", false, Some(Resolution::NotDone)),
        ("1\n2\n", "1\n2\n", false, Some(Resolution::Done)),
        ("1\n", "3\n", true, None),
    ] {
        let (_dir, root) = folder(&[("a", "1\n"), ("b", "1\n")]);
        let tools = toolbox(&root);
        assert_eq!(
            tools.look(APPLY_PATCH, &patch, None),
            Some((Resolution::NotDone, None)),
            "nothing is changed before it is recorded"
        );
        let recorded = plan(&tools, APPLY_PATCH, &patch, None).changes();
        // The process died here, with the files so.
        fs::write(root.join("a"), a).unwrap();
        fs::write(root.join("b"), b).unwrap();
        let found = tools.look(APPLY_PATCH, &patch, Some(&recorded));
        assert_eq!(found.as_ref().map(|(resolution, _)| *resolution), expected, "{a:?} {b:?}");
        let again = plan(&tools, APPLY_PATCH, &patch, Some(&recorded));
        assert_eq!(again.changes(), recorded, "the same is planned");
        match found {
            Some((Resolution::Done, outcome)) => assert!(outcome.unwrap().diff.unwrap().contains("+2")),
            _ => assert_eq!(tools.write(&again).fault.is_some(), other),
        }
        if !other {
            assert_eq!((read(&root, "a").as_str(), read(&root, "b").as_str()), ("1\n2\n", "1\n2\n"));
        }
    }
}

#[test]
fn a_new_file_of_a_patch_may_be_a_program_and_its_undoing_takes_it_away() {
    let (_dir, root) = folder(&[]);
    let tools = toolbox(&root);
    let part = |name: &str, mode: u32| {
        format!("diff --git a/{name} b/{name}\nnew file mode {mode}\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+echo\n")
    };
    let write = plan(&tools, APPLY_PATCH, &json!({"patch": part("x.sh", 100_755) + &part("y", 100_644)}), None);
    let outcome = tools.write(&write);
    assert_eq!(outcome.text, "`x.sh` is new: 1 lines, executable.\n`y` is new: 1 lines.\n");
    let mode = |name: &str| fs::metadata(root.join(name)).unwrap().permissions().mode();
    // What the user takes from all new files is taken from programs too.
    let readable = mode("y") & 0o444;
    assert_eq!((mode("x.sh") & 0o100, mode("x.sh") & 0o444, mode("y") & 0o111), (0o100, readable, 0));
    let open = Root::open(&root, &[], &[]).unwrap();
    for change in write.changes() {
        assert_eq!(take_back(&open, &change, false), Ok(Standing::After));
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn a_file_with_several_names_is_not_parted_from_them() {
    let (_dir, root) = folder(&[("a", "old\n"), ("late", "old\n")]);
    fs::hard_link(root.join("a"), root.join("b")).unwrap();
    let tools = toolbox(&root);
    let patch = |path: &str| json!({"patch": format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-old\n+new\n")});
    for (tool, arguments) in [
        (WRITE_FILE, json!({"path": "a", "content": "new\n"})),
        (APPLY_PATCH, patch("b")),
        (APPLY_PATCH, json!({"patch": "--- a/a\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n"})),
    ] {
        let refused = run(&tools, tool, arguments);
        assert!(refused.fault == Some(ToolFault::Failed) && refused.text.contains("several names"), "{}", refused.text);
    }
    assert_eq!(run(&tools, "read_file", json!({"path": "a"})).fault, None);
    // It gets its other name between the plan and the write, or before the write is taken back.
    let write = plan(&tools, APPLY_PATCH, &patch("late"), None);
    fs::hard_link(root.join("late"), root.join("other")).unwrap();
    assert!(tools.write(&write).text.contains("several names"));
    fs::remove_file(root.join("other")).unwrap();
    assert_eq!(tools.write(&write).fault, None);
    fs::hard_link(root.join("late"), root.join("other")).unwrap();
    let (open, change) = (Root::open(&root, &[], &[]).unwrap(), write.changes().pop().unwrap());
    for dry_run in [true, false] {
        assert!(take_back(&open, &change, dry_run).is_err_and(|error| error.message.contains("several names")));
    }
    assert_eq!((read(&root, "a"), read(&root, "b")), ("old\n".to_owned(), "old\n".to_owned()));
    assert_eq!((read(&root, "late"), read(&root, "other")), ("new\n".to_owned(), "new\n".to_owned()));
}

#[test]
fn a_patch_that_fails_on_the_way_says_and_shows_what_it_had_changed() {
    let (_dir, root) = folder(&[("a", "1\n"), ("b", "1\n"), ("c", "1\n")]);
    let tools = toolbox(&root);
    let part = |path: &str| format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1,2 @@\n 1\n+2\n");
    let write = plan(&tools, APPLY_PATCH, &json!({"patch": part("a") + &part("b") + &part("c")}), None);
    fs::write(root.join("b"), "mine\n").unwrap();
    let outcome = tools.write(&write);
    assert_eq!(outcome.diff.as_deref(), Some(part("a").as_str()));
    let changes = write.changes();
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(crate::domain::tool::may_have_changed(false, outcome.fault, Some(&outcome.text), &paths), 1, "{}", outcome.text);
    fs::write(root.join("a"), "mine\n").unwrap();
    assert_eq!(tools.write(&write).diff, None);
}

#[test]
fn a_change_is_taken_back_where_the_file_is_still_as_it_was_left() {
    let (_dir, root) = folder(&[("a", "old\n")]);
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let tools = toolbox(&root);
    let write = |path: &str, content: &str| {
        let write = plan(&tools, WRITE_FILE, &json!({"path": path, "content": content}), None);
        assert_eq!(tools.write(&write).fault, None);
        write.changes().pop().unwrap()
    };
    let (changed, made) = (write("a", "new\n"), write("deep/er/b", "b\n"));
    let open = Root::open(&root, &[], &[]).unwrap();
    assert_eq!(take_back(&open, &changed, true), Ok(Standing::After));
    assert_eq!(read(&root, "a"), "new\n", "a preview changes nothing");
    fs::write(root.join("a"), "mine\n").unwrap();
    assert_eq!(take_back(&open, &changed, false), Ok(Standing::Other));
    assert_eq!(read(&root, "a"), "mine\n");
    fs::write(root.join("a"), "new\n").unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(take_back(&open, &changed, false), Ok(Standing::After));
    let mode = fs::metadata(root.join("a")).unwrap().permissions().mode() & 0o777;
    assert_eq!((read(&root, "a").as_str(), mode), ("old\n", 0o600), "who may read it was decided since");
    assert_eq!(take_back(&open, &made, false), Ok(Standing::After));
    assert!(!root.join("deep").exists(), "folders that were made for it are gone too");
    assert_eq!(standing(&open, &made), Ok(Standing::Before));
    let forgotten = FileChange { original: Some(crate::domain::text::Text::Withheld), ..changed };
    assert_eq!(take_back(&open, &forgotten, false), Ok(Standing::Before), "nothing has to be kept for what is there");
    fs::write(root.join("a"), "new\n").unwrap();
    assert!(take_back(&open, &forgotten, false).is_err());
}

#[test]
fn a_folder_that_is_swapped_for_a_link_ten_thousand_times_lets_nothing_be_written_outside() {
    let (dir, root) = folder(&[("d/keep", "x\n")]);
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f.txt"), "outside\n").unwrap();
    symlink(&outside, root.join("l")).unwrap();
    let tools = toolbox(&root);
    let (stop, d, l) = (AtomicBool::new(false), root.join("d"), root.join("l"));
    let (mut written, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..10_000).for_each(|_| super::tests::swap(&d, &l));
            stop.store(true, Ordering::Relaxed);
        });
        let mut n = 0;
        while !stop.load(Ordering::Relaxed) || written == 0 {
            n += 1;
            let outcome = run(&tools, WRITE_FILE, json!({"path": "d/f.txt", "content": format!("{n}\n")}));
            *(if outcome.fault.is_none() { &mut written } else { &mut refused }) += 1;
        }
    });
    assert!(written > 0, "{written} {refused}");
    let names: Vec<_> = fs::read_dir(&outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!((names, fs::read_to_string(outside.join("f.txt")).unwrap().as_str()), (vec!["f.txt".into()], "outside\n"));
}

#[test]
fn what_a_killed_process_left_beside_a_file_is_cleared_away() {
    let (_dir, root) = folder(&[("a", "x\n")]);
    let hash = crate::domain::ids::Hash::of(b"a").to_string();
    // No process has this number: it is above what any system gives.
    fs::write(root.join(format!(".{}.2147483646-7.meno", &hash[..12])), "half").unwrap();
    let own = format!(".{}.{}-7.meno", &hash[..12], std::process::id());
    fs::write(root.join(&own), "somebody is at it").unwrap();
    run(&toolbox(&root), WRITE_FILE, json!({"path": "a", "content": "y\n"}));
    let mut names: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [own, "a".to_owned()]);
}

/// Everybody adds the same line to the same file; who finds it changed, and be it to what was meant, reads it again.
#[test]
fn what_is_written_at_once_is_there_or_refused() {
    const WRITERS: usize = 4;
    const LINES: usize = 25;
    let (_dir, root) = folder(&[("log.txt", "top\n")]);
    let write = || {
        let tools = toolbox(&root);
        for _ in 0..LINES {
            let patch = json!({"patch": "--- a/log.txt\n+++ b/log.txt\n@@ -1 +1,2 @@\n top\n+line\n"});
            while run(&tools, APPLY_PATCH, patch.clone()).fault.is_some() {}
        }
    };
    std::thread::scope(|scope| (0..WRITERS).for_each(|_| drop(scope.spawn(write))));
    assert_eq!(read(&root, "log.txt"), format!("top\n{}", "line\n".repeat(WRITERS * LINES)));
}

/// A lock of another opened folder is what another process has: the write waits for its end.
#[test]
fn another_process_that_changes_files_is_waited_for() {
    let (_dir, root) = folder(&[]);
    let held = fs::File::open(&root).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let is_free = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            is_free.store(true, Ordering::SeqCst);
            drop(held);
        });
        assert_eq!(run(&toolbox(&root), WRITE_FILE, json!({"path": "a", "content": "1"})).fault, None);
        assert!(is_free.load(Ordering::SeqCst));
    });
}

#[test]
fn a_toolbox_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let (_dir, root) = folder(&[]);
    is_shared(&Arc::new(toolbox(&root)));
}

fn change(path: &str, before: Option<&str>, after: Option<&str>) -> FileChange {
    let hash = |text: Option<&str>| text.map(|text| crate::domain::ids::Hash::of(text.as_bytes()));
    FileChange {
        path: path.to_owned(),
        original: before.map(|text| crate::domain::text::Text::Inline(text.to_owned())),
        before: hash(before),
        after: hash(after),
        mode: Some(0o644),
        folders: 0,
    }
}

#[test]
fn a_name_that_breaks_its_line_is_refused_and_never_drawn_into_a_diff() {
    let (_dir, root) = folder(&[]);
    let tools = toolbox(&root);
    for path in ["a\n+++ b/forged", "a\u{1b}[2J", "sub\r/x"] {
        let refused = run(&tools, WRITE_FILE, json!({"path": path, "content": "x\n"}));
        assert_eq!(refused.fault, Some(ToolFault::NotAllowed), "{}", refused.text);
        assert!(refused.diff.is_none() && !refused.text.contains(char::is_control), "{:?}", refused.text);
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_put_back_keeps_the_mode_that_it_has_by_now() {
    let (_dir, root) = folder(&[("a", "new\n")]);
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    let open = root::Root::open(&root, &[], &[]).unwrap();
    assert_eq!(take_back(&open, &change("a", Some("old\n"), Some("new\n")), false), Ok(Standing::After));
    assert_eq!((read(&root, "a").as_str(), fs::metadata(root.join("a")).unwrap().permissions().mode() & 0o777), ("old\n", 0o600));
}

#[test]
fn what_a_killed_write_left_beside_a_file_goes_with_its_undoing() {
    let (_dir, root) = folder(&[]);
    let open = root::Root::open(&root, &[], &[]).unwrap();
    let made = FileChange { folders: 2, ..change("a/b/c.txt", None, Some("x\n")) };
    fs::create_dir_all(root.join("a/b")).unwrap();
    let name = &crate::domain::ids::Hash::of(b"c.txt").to_string()[..12];
    // No process has this number: it is beyond what the system gives.
    fs::write(root.join(format!("a/b/.{name}.2147483646-0.meno")), "x").unwrap();
    assert_eq!(take_back(&open, &made, true), Ok(Standing::Before));
    assert!(root.join("a/b").is_dir(), "a preview changes nothing");
    assert_eq!(take_back(&open, &made, false), Ok(Standing::Before));
    assert!(!root.join("a").exists());
    // It was cut off before it had made all of its folders, and somebody has put something into the first.
    fs::create_dir(root.join("a")).unwrap();
    fs::write(root.join("a/mine"), "x").unwrap();
    assert_eq!(take_back(&open, &made, false), Ok(Standing::Before));
    assert!(root.join("a/mine").is_file());
}

#[test]
fn a_change_that_was_not_captured_is_not_taken_for_somebody_elses() {
    let (_dir, root) = folder(&[("a", "new\n")]);
    let open = root::Root::open(&root, &[], &[]).unwrap();
    let unknown = FileChange { original: None, ..change("a", None, None) };
    assert!(take_back(&open, &unknown, true).is_err_and(|error| error.message.contains("capture.outputs")));
}
