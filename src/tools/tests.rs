//! The tools in a real folder, with everything in it that tries to lead outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::domain::event::Fact;
use crate::domain::tool::{RESULT_BYTES_MAX, ToolEffect};

#[test]
fn a_name_is_one_entry_whatever_it_holds() {
    let place = Folder::new(&[("a\nsrc/forged.rs\u{1b}[2J", "needle\n")]);
    for (name, arguments) in [
        ("list_files", json!({"depth": 3})),
        ("find_files", json!({"pattern": "**"})),
        ("search_files", json!({"pattern": "needle"})),
    ] {
        let told = place.ok(name, arguments);
        assert!(told.lines().all(|line| !line.starts_with("src/")) && !told.contains('\u{1b}'), "{name}: {told:?}");
        assert!(told.contains(r"a\nsrc"), "{name}: {told:?}");
    }
}

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(place.dir.path().join("w")).unwrap();
        files.iter().for_each(|(path, text)| place.write(path, text));
        place
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("w")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run_with(&self, deny: &[&str], name: &str, arguments: Value) -> ToolOutcome {
        let store = self.root().join("state");
        let deny: Vec<String> = deny.iter().map(|pattern| (*pattern).to_owned()).collect();
        let toolbox = tools_in(&self.root(), &[store.as_path()], &deny);
        toolbox.run(name, &arguments, &CancellationToken::new()).expect("nobody stops it")
    }

    fn ok(&self, name: &str, arguments: Value) -> String {
        let outcome = self.run_with(&[], name, arguments.clone());
        assert_eq!(outcome.fault, None, "{name} {arguments}: {}", outcome.text);
        outcome.text
    }

    fn fault(&self, name: &str, arguments: Value) -> (ToolFault, String) {
        let outcome = self.run_with(&[], name, arguments.clone());
        (outcome.fault.unwrap_or_else(|| panic!("{name} {arguments}: {}", outcome.text)), outcome.text)
    }
}

fn tools_in(root: &Path, never: &[&Path], deny: &[String]) -> Toolbox {
    let settings =
        ToolSettings { deny: deny.to_vec(), commands: vec!["sh".to_owned(), "gone".to_owned()], ..ToolSettings::default() };
    let variables = |name: &str| match name {
        "PATH" => Some(".:bin:/usr/local/bin:/usr/bin:/bin".to_owned()),
        "HOME" => Some("/nowhere".to_owned()),
        "SECRET_KEY" | "PASSED" => Some("value".to_owned()),
        _ => None,
    };
    let environment = Environment::new(variables, &["PASSED".to_owned(), "SECRET_KEY".to_owned()], |name| name == "SECRET_KEY");
    Toolbox::new(root, never, &settings, environment)
}

#[test]
fn what_acts_does_nothing_where_a_secret_was_removed_from_what_was_meant() {
    let place = Folder::new(&[]);
    for (name, arguments) in [
        ("run_command", json!({"program": "sh", "arguments": ["-c", "echo [redacted:secret] > made"]})),
        ("http_get", json!({"url": "https://example.com/?token=[redacted:secret]"})),
    ] {
        let (fault, text) = place.fault(name, arguments);
        assert!(fault == ToolFault::NotAllowed && text.contains("nothing was done: leave secrets out"), "{name}: {text}");
    }
    assert!(!place.root().join("made").exists());
    place.write("a.txt", "key = [redacted:secret]");
    assert!(place.ok("search_files", json!({"pattern": "\\[redacted:"})).contains("a.txt"), "what only looks may look for it");
}

#[test]
fn every_tool_says_what_it_is_and_has_a_schema_that_closes() {
    let catalogue = catalogue();
    let names: Vec<&str> = catalogue.iter().map(|spec| spec.name.as_str()).collect();
    let reading = ["list_files", "find_files", "read_file", "search_files", "git", "http_get", "recall"];
    let writing = ["run_command", "write_file", "apply_patch"];
    assert!(names.len() == 10 && reading.iter().chain(&writing).all(|name| names.contains(name)), "{names:?}");
    for spec in &catalogue {
        let effect = if writing.contains(&spec.name.as_str()) { ToolEffect::Writes } else { ToolEffect::Reads };
        assert!(spec.effect == effect && spec.description.len() > 20, "{}", spec.name);
        assert_eq!(spec.parameters["additionalProperties"], false, "{}", spec.name);
        assert!(spec.problem(&json!({"nonsense": 1})).is_some() && jsonschema::meta::is_valid(&spec.parameters), "{}", spec.name);
    }
}

#[test]
fn a_file_is_read_with_its_line_numbers_and_in_parts() {
    let place = Folder::new(&[("src/a.rs", "fn a() {}\r\nfn b() {}\nlast"), ("empty", "")]);
    assert_eq!(
        place.ok("read_file", json!({"path": "src/a.rs"})),
        "src/a.rs, 3 lines:\n     1\tfn a() {}\n     2\tfn b() {}\n     3\tlast\n"
    );
    let part = place.ok("read_file", json!({"path": "./src/../src/a.rs", "first_line": 2, "lines": 1}));
    assert_eq!(part, "src/a.rs, lines 2 to 2 of 3:\n     2\tfn b() {}\n");
    assert_eq!(place.ok("read_file", json!({"path": "src/a.rs", "first_line": 9})), "`src/a.rs` has only 3 lines.\n");
    assert_eq!(place.ok("read_file", json!({"path": "empty"})), "`empty` is empty.\n");
    let absolute = place.root().join("src/a.rs");
    assert!(place.ok("read_file", json!({"path": absolute})).starts_with("src/a.rs, 3 lines"));
    place.write("long", &"0123456789abcdef\n".repeat(100_000));
    let told = place.ok("read_file", json!({"path": "long"}));
    assert!(told.len() <= RESULT_BYTES_MAX && told.starts_with("long, lines 1 to "), "{}", &told[..60]);
    assert!(told.lines().next().unwrap().ends_with(" of 100000:"));
    place.write("wide", &"ä".repeat(100_000));
    assert!(place.ok("read_file", json!({"path": "wide"})).ends_with("[… 198000 more bytes]\n"));
}

#[test]
fn what_is_no_text_or_not_there_is_said() {
    let place = Folder::new(&[("data", "a\0b")]);
    fs::create_dir(place.root().join("folder")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, place.root().join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    for (path, words) in [
        ("data", "is not a text (3 bytes)"),
        ("folder", "is a folder"),
        ("pipe", "neither a file nor a folder"),
        ("none", "There is no `none`"),
        ("data/below", "is a file, not a folder"),
        (".", "is a folder"),
    ] {
        let (fault, text) = place.fault("read_file", json!({"path": path}));
        assert!(fault == ToolFault::Failed && text.contains(words), "{path}: {text}");
    }
    let gone = tools_in(&place.root().join("none"), &[], &[]);
    let said = gone.run("list_files", &json!({}), &CancellationToken::new()).unwrap();
    assert!(said.fault == Some(ToolFault::Failed) && said.text.contains("cannot be opened"), "{}", said.text);
}

#[test]
fn no_path_leads_outside() {
    let place = Folder::new(&[("in.txt", "inside"), ("sub/in.txt", "inside")]);
    fs::write(place.dir.path().join("secret"), "SECRET").unwrap();
    let link = |target: &str, name: &str| symlink(target, place.root().join(name)).unwrap();
    link("../secret", "out");
    link("..", "up");
    link("/proc/self", "proc");
    link("sub", "inner");
    link("in.txt", "alias");
    for path in [
        "../secret",
        "sub/../../secret",
        "/etc/passwd",
        "/proc/self/environ",
        "out",
        "up/secret",
        "proc/environ",
        "inner/in.txt",
        "alias",
        "../w/in.txt",
    ] {
        for (tool, arguments) in [
            ("read_file", json!({"path": path})),
            ("list_files", json!({"path": path})),
            ("search_files", json!({"pattern": ".", "path": path})),
            ("find_files", json!({"pattern": "*", "path": path})),
        ] {
            let (fault, text) = place.fault(tool, arguments);
            assert_eq!(fault, ToolFault::NotAllowed, "{tool} {path}: {text}");
            assert!(!text.contains("SECRET") && !text.contains("PATH="), "{tool} {path}: {text}");
        }
    }
    let text = place.fault("read_file", json!({"path": "alias"})).1;
    assert_eq!(
        text,
        "`alias` is a link to `in.txt`, and links are not followed. Name the path itself if it is in the workspace."
    );
    // A walk shows links and passes by what is behind them.
    let listed = place.ok("list_files", json!({"depth": 5}));
    assert!(
        listed.contains("out -> ../secret\n") && listed.contains("sub/in.txt\n") && !listed.contains("inner/in.txt"),
        "{listed}"
    );
    assert_eq!(place.ok("find_files", json!({"pattern": "*.txt"})), "in.txt\nsub/in.txt\n");
    let found = place.ok("search_files", json!({"pattern": "SECRET|inside"}));
    assert_eq!(found, "in.txt:1: inside\nsub/in.txt:1: inside\n(2 lines found in 2 files)\n");
}

#[test]
fn a_folder_that_is_swapped_for_a_link_ten_thousand_times_leads_nowhere() {
    let place = Folder::new(&[("d/f.txt", "inside"), ("keep", "x")]);
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f.txt"), "SECRET").unwrap();
    symlink(&outside, place.root().join("l")).unwrap();
    let (d, l) = (place.root().join("d"), place.root().join("l"));
    let toolbox = tools_in(&place.root(), &[], &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..10_000 {
                swap(&d, &l);
            }
            stop.store(true, Ordering::Relaxed);
        });
        let (mut seen, mut asked) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            for (tool, arguments) in [
                ("read_file", json!({"path": "d/f.txt"})),
                ("search_files", json!({"pattern": ".", "path": "d"})),
                ("search_files", json!({"pattern": "SECRET"})),
                ("list_files", json!({"path": "d"})),
            ] {
                let outcome = toolbox.run(tool, &arguments, &CancellationToken::new()).unwrap();
                assert!(!outcome.text.contains("SECRET"), "{tool}: {}", outcome.text);
                asked += 1;
                seen += usize::from(outcome.text.contains("inside"));
            }
        }
        assert!(seen > 0 && asked > 0, "{seen} of {asked}");
    });
}

/// Exchanges two names in one step.
pub(super) fn swap(one: &Path, other: &Path) {
    #[cfg(target_os = "linux")]
    rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, rustix::fs::RenameFlags::EXCHANGE).unwrap();
    #[cfg(not(target_os = "linux"))]
    {
        let aside = one.with_extension("aside");
        fs::rename(one, &aside).unwrap();
        fs::rename(other, one).unwrap();
        fs::rename(&aside, other).unwrap();
    }
}

#[test]
fn secrets_stores_and_what_settings_deny_are_not_read() {
    let place = Folder::new(&[
        (".env", "KEY=SECRET"),
        ("config/.env.local", "KEY=SECRET"),
        ("certs/server.pem", "SECRET"),
        (".git/config", "SECRET"),
        ("state/log", "SECRET"),
        ("private/notes.md", "SECRET"),
        ("data/big.CSV", "SECRET"),
        ("deep/down/x", "SECRET"),
        (".env.example", "KEY="),
        ("src/a.rs", "SECRETS"),
    ]);
    let root = place.root().canonicalize().unwrap();
    let deny = ["./private/", "*.csv", &format!("{}/deep/down/", root.display())];
    let reads = ["read_file", "search_files"];
    for path in [
        ".env",
        "config/.env.local",
        "certs/server.pem",
        ".git/config",
        "state/log",
        "private/notes.md",
        "data/big.CSV",
        "deep/down/x",
    ] {
        for tool in reads {
            let outcome = place.run_with(&deny, tool, json!({"path": path, "pattern": "."}));
            assert_eq!(outcome.fault, Some(ToolFault::NotAllowed), "{tool} {path}: {}", outcome.text);
            assert!(outcome.text.contains("is not read by tools"), "{}", outcome.text);
        }
    }
    let found = place.run_with(&deny, "search_files", json!({"pattern": "SECRET|KEY"})).text;
    assert_eq!(found, ".env.example:1: KEY=\nsrc/a.rs:1: SECRETS\n(2 lines found in 2 files)\n");
    let listed = place.run_with(&deny, "list_files", json!({"depth": 9})).text;
    for hidden in [".env\n", ".git", "server.pem", "log", "notes.md", "big.CSV"] {
        assert!(!listed.contains(hidden), "{hidden}: {listed}");
    }
    // The store is known by itself, wherever a rename puts it.
    fs::rename(place.root().join("state"), place.root().join("moved")).unwrap();
    let toolbox = tools_in(&place.root(), &[&place.root().join("moved")], &[]);
    let outcome = toolbox.run("read_file", &json!({"path": "moved/log"}), &CancellationToken::new()).unwrap();
    assert!(outcome.text.contains("it is a store of meno"), "{}", outcome.text);
    let bad = tools_in(&place.root(), &[], &["{a".to_owned()]);
    let outcome = bad.run("list_files", &json!({}), &CancellationToken::new()).unwrap();
    assert!(outcome.fault.is_some() && outcome.text.contains("`{a` under `deny` of [tools] is no pattern: "), "{}", outcome.text);
}

#[test]
fn a_walk_keeps_to_the_rules_of_gitignore() {
    let place = Folder::new(&[
        (".gitignore", "target/\n*.log\n!keep.log\n/only-here\n"),
        ("target/debug/x.rs", "found"),
        ("a.log", "found"),
        ("keep.log", "found"),
        ("only-here", "found"),
        ("sub/only-here", "found"),
        ("sub/.gitignore", "*.tmp\n!a.log\n"),
        ("sub/a.log", "found"),
        ("sub/b.tmp", "found"),
        ("sub/deep/c.tmp", "found"),
        (".github/ci.yml", "found"),
    ]);
    let found = place.ok("search_files", json!({"pattern": "FOUND", "ignore_case": true}));
    assert_eq!(
        found,
        ".github/ci.yml:1: found\nkeep.log:1: found\nsub/a.log:1: found\nsub/only-here:1: found\n(4 lines found in 6 files)\n"
    );
    // Whoever begins below keeps to the rules above; what is named is read.
    let below = place.ok("search_files", json!({"pattern": "found", "path": "sub/deep"}));
    assert_eq!(below, "(nothing found in 0 files)\n");
    assert!(place.ok("read_file", json!({"path": "target/debug/x.rs"})).contains("found"));
    assert_eq!(place.ok("list_files", json!({})), ".github/\n.gitignore\nkeep.log\nsub/\n");
    assert_eq!(place.ok("find_files", json!({"pattern": "**/*.log"})), "keep.log\nsub/a.log\n");
    assert_eq!(place.ok("find_files", json!({"pattern": "sub/*here"})), "sub/only-here\n");
    assert_eq!(place.ok("find_files", json!({"pattern": "*.none"})), "(no files)");
    assert_eq!(place.fault("find_files", json!({"pattern": "{a"})).0, ToolFault::BadArguments);
}

#[test]
fn a_search_says_how_much_it_found_and_shows_no_more_than_asked() {
    let place = Folder::new(&[("a.txt", &"needle\nhay\n".repeat(300)), ("b.bin", "needle\0"), ("c.rs", &"x".repeat(5000))]);
    let found = place.ok("search_files", json!({"pattern": "needle", "max_lines": 2}));
    assert_eq!(found, "a.txt:1: needle\na.txt:3: needle\n(300 lines found, the first 2 are shown)\n");
    assert_eq!(place.ok("search_files", json!({"pattern": "needle", "files": "*.rs"})), "(nothing found in 1 files)\n");
    let long = place.ok("search_files", json!({"pattern": "^x+$"}));
    assert!(long.starts_with("c.rs:1: xxx") && long.contains("x…\n") && long.len() < 400);
    assert_eq!(place.fault("search_files", json!({"pattern": "("})).0, ToolFault::BadArguments);
    assert_eq!(place.fault("search_files", json!({"pattern": "(a{1000}){1000}"})).0, ToolFault::BadArguments);
}

#[test]
fn a_tool_that_is_stopped_has_no_result() {
    let files: Vec<String> = (0..200).map(|n| format!("d{n}/f{n}.txt")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), "x")).collect();
    let place = Folder::new(&files);
    let toolbox = tools_in(&place.root(), &[], &[]);
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(toolbox.run("search_files", &json!({"pattern": "x"}), &stop), None);
}

fn sh(script: &str) -> Value {
    json!({"program": "sh", "arguments": ["-c", script]})
}

#[test]
fn a_program_runs_without_a_shell_and_with_nothing_of_the_environment_but_what_it_may_have() {
    let place = Folder::new(&[("bin/gone", "#!/bin/sh\necho planted\n"), ("sh", "#!/bin/sh\necho planted\n")]);
    for planted in ["bin/gone", "sh"] {
        fs::set_permissions(place.root().join(planted), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let text = place.ok("run_command", sh("echo out; echo err >&2; pwd; exit 3"));
    let root = place.root().canonicalize().unwrap();
    assert!(text.starts_with(&format!("out\nerr\n{}\n(exit code 3, ", root.display())), "{text}");
    let env = place.ok("run_command", sh("env | sort"));
    assert!(
        env.contains("PATH=/usr/local/bin:/usr/bin:/bin\n") && env.contains("HOME=/nowhere\n") && env.contains("PASSED=value"),
        "{env}"
    );
    assert!(!env.contains("SECRET_KEY") && !env.contains("CARGO"), "{env}");
    // Nothing reads what a person types, and a word is a word.
    assert!(place.ok("run_command", sh("cat; echo done")).starts_with("done\n"));
    let words = place.ok("run_command", json!({"program": "sh", "arguments": ["-c", "echo \"$1\"", "x", "a; echo b | $(c)"]}));
    assert!(words.starts_with("a; echo b | $(c)\n"), "{words}");
    for (program, fault, said) in [
        ("cat", ToolFault::NotAllowed, "is not on the list"),
        ("./sh", ToolFault::NotAllowed, "is not on the list"),
        ("/bin/sh", ToolFault::NotAllowed, "is not on the list"),
        ("gone", ToolFault::Failed, "is not on this machine"),
    ] {
        let (found, text) = place.fault("run_command", json!({"program": program}));
        assert!(found == fault && text.contains(said), "{program}: {text}");
    }
    assert_eq!(place.fault("run_command", json!({"program": "sh", "arguments": ["a\0b"]})).0, ToolFault::BadArguments);
    assert!(place.ok("run_command", sh("kill -9 $$")).contains("ended by a signal"));
}

/// Whether a process ends soon: it is gone, or is only waited for.
fn ends(pid: &str) -> bool {
    let is_alive = || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        !is_alive()
    })
}

#[test]
fn a_program_at_its_limit_is_ended_with_all_that_it_started() {
    let place = Folder::new(&[]);
    let mut hangs = sh("sleep 1000 & echo $!; exec sleep 1000");
    hangs["timeout_s"] = json!(1);
    let (fault, text) = place.fault("run_command", hangs);
    assert_eq!(fault, ToolFault::TimedOut, "{text}");
    let pid = text.lines().nth(1).unwrap();
    assert!(text.starts_with("`sh` was ended after 1 s.\n") && ends(pid), "{text}");
    // What is left behind by a program that ends in time goes too, and does not hold up its result.
    let left = place.ok("run_command", sh("sleep 1000 & echo $!"));
    assert!(left.contains("exit code 0") && ends(left.lines().next().unwrap()), "{left}");
    // Whoever stops the run stops the program.
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    let toolbox = tools_in(&place.root(), &[], &[]);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| toolbox.run("run_command", &sh("exec sleep 1000"), &stop));
        stopper.cancel();
        let outcome = running.join().unwrap().expect("what may have changed something has an end");
        assert_eq!(outcome.fault, Some(ToolFault::Interrupted), "{}", outcome.text);
    });
}

#[test]
fn a_program_that_floods_is_kept_by_its_head_and_its_tail() {
    let place = Folder::new(&[]);
    let text = place.ok("run_command", sh("echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo last"));
    assert!(text.starts_with("first\nxxx") && text.contains(" bytes were not kept …]") && text.contains("last\n(exit code 0"));
    assert!(text.len() < 5_000_000, "{}", text.len());
}

#[test]
fn a_command_of_a_criterion_is_seen_as_it_ended_or_as_why_it_did_not_run() {
    let place = Folder::new(&[]);
    let toolbox = tools_in(&place.root(), &[], &[]);
    let observe = |run: &[&str]| {
        let run: Vec<String> = run.iter().map(|word| (*word).to_owned()).collect();
        toolbox.observe(CommandAsked { run: &run, timeout_s: 60, patched: false }, "", &CancellationToken::new()).unwrap()
    };
    let seen = observe(&["sh", "-c", "echo two words; exit 5"]);
    assert!(matches!(seen.fact, Fact::Command { exit: Some(5), timed_out: false, output_bytes: 10, .. }), "{seen:?}");
    assert_eq!(observe(&["cat"]).fact, Fact::CommandNotRun { why: NotRun::NotAllowed });
    assert_eq!(observe(&["gone"]).fact, Fact::CommandNotRun { why: NotRun::NotFound });
}

/// Runs git itself, to make repositories; false where there is none.
fn git(folder: &Path, words: &[&str]) -> bool {
    git_says(folder, words).is_some()
}

/// Returns what git itself says, unless it fails.
fn git_says(folder: &Path, words: &[&str]) -> Option<String> {
    let mut command = std::process::Command::new("git");
    command.args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]).args(words);
    command.current_dir(folder).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("HOME", folder);
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[test]
fn git_reads_the_history_and_starts_nothing_that_a_repository_names() {
    let place = Folder::new(&[
        ("a.txt", "one\n"),
        (".env", "KEY=SECRET\n"),
        (".gitattributes", "*.txt filter=evil diff=evil\n"),
        ("data.csv", "SECRET\n"),
    ]);
    let root = place.root();
    if !git(&root, &["init"]) {
        return;
    }
    assert!(git(&root, &["add", "-A"]) && git(&root, &["commit", "-m", "the first"]));
    place.write("a.txt", "two\n");
    place.write(".env", "KEY=SECRET2\n");
    let mark = place.dir.path().join("planted");
    let evil = format!("touch {}; cat", mark.display());
    for key in [
        "filter.evil.clean",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.fsmonitor",
        "diff.external",
        "core.pager",
        "gpg.program",
        "pager.log",
        "core.sshCommand",
    ] {
        assert!(git(&root, &["config", key, &evil]), "{key}");
    }
    git(&root, &["config", "log.showSignature", "true"]);
    git(&root, &["config", "core.worktree", "/etc"]);
    let hooks = root.join(".git/hooks/post-index-change");
    fs::write(&hooks, format!("#!/bin/sh\n{evil}\n")).unwrap();
    fs::set_permissions(&hooks, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ran = |arguments: Value| {
        let outcome = place.run_with(&["*.csv"], "git", arguments.clone());
        assert!(!mark.exists(), "{arguments} started a program of the repository");
        assert!(!outcome.text.contains("SECRET"), "{arguments}: {}", outcome.text);
        outcome
    };
    let status = ran(json!({"command": "status"}));
    assert!(status.text.contains("## main\n") && status.text.contains(" M a.txt\n"), "{}", status.text);
    let diff = ran(json!({"command": "diff"}));
    assert!(diff.text.contains("-one\n+two\n"), "{}", diff.text);
    assert!(ran(json!({"command": "log"})).text.contains("the first"));
    assert!(ran(json!({"command": "show", "revision": "HEAD"})).text.contains("+one\n"));
    assert!(ran(json!({"command": "blame", "path": "a.txt", "revision": "HEAD"})).text.contains("one"));
    for (arguments, fault) in [
        (json!({"command": "show", "revision": "HEAD:.env"}), ToolFault::BadArguments),
        (json!({"command": "log", "revision": "--output=x"}), ToolFault::BadArguments),
        (json!({"command": "blame", "path": ".env"}), ToolFault::NotAllowed),
        (json!({"command": "diff", "path": "data.csv"}), ToolFault::NotAllowed),
        (json!({"command": "diff", "path": "../x"}), ToolFault::NotAllowed),
        (json!({"command": "blame"}), ToolFault::BadArguments),
        (json!({"command": "show", "revision": "nothing"}), ToolFault::Failed),
    ] {
        assert_eq!(ran(arguments.clone()).fault, Some(fault), "{arguments}");
    }
    // What a file's own object holds is no commit, however it is asked for.
    let blob = git_says(&root, &["rev-parse", "HEAD:.env"]).unwrap();
    for (command, revision) in [("show", blob.clone()), ("diff", format!("{blob}..{blob}")), ("show", "HEAD^{tree}".to_owned())] {
        assert!(ran(json!({"command": command, "revision": revision})).fault.is_some(), "{command} {revision}");
    }
    // A commit that says that it is signed, and a format that has the signature checked.
    let signed = place.dir.path().join("commit");
    let commit = git_says(&root, &["cat-file", "commit", "HEAD"]).unwrap();
    let (head, message) = commit.split_once("\n\n").unwrap();
    let signature = " -----BEGIN PGP SIGNATURE-----\n \n AAAA\n -----END PGP SIGNATURE-----";
    fs::write(&signed, format!("{head}\ngpgsig{signature}\n\n{message}\n")).unwrap();
    let id = git_says(&root, &["hash-object", "-t", "commit", "-w", signed.to_str().unwrap()]).unwrap();
    assert!(git(&root, &["update-ref", "HEAD", &id]) && git(&root, &["config", "format.pretty", "format:%H %G?"]));
    ran(json!({"command": "log"}));
    ran(json!({"command": "show"}));
    // A tree that was linked by the repository is one of it; a file that names somebody else's is not.
    assert!(git(&root, &["config", "--unset", "core.worktree"]));
    let linked = place.dir.path().join("linked");
    assert!(git(&root, &["-c", "core.hooksPath=/dev/null", "worktree", "add", "--no-checkout", linked.to_str().unwrap()]));
    let other = tools_in(&linked, &[], &[]);
    let log = other.run("git", &json!({"command": "log"}), &CancellationToken::new()).unwrap();
    assert!(log.fault.is_none() && log.text.contains("the first"), "{}", log.text);
    let stranger = place.dir.path().join("stranger");
    fs::create_dir(&stranger).unwrap();
    fs::write(stranger.join(".git"), format!("gitdir: {}\n", root.join(".git").display())).unwrap();
    let refused = tools_in(&stranger, &[], &[]).run("git", &json!({"command": "log"}), &CancellationToken::new()).unwrap();
    assert_eq!(refused.fault, Some(ToolFault::NotAllowed), "{}", refused.text);
    // What a repository has elsewhere is anybody's, and a filter whose name is no text cannot be switched off.
    fs::write(root.join(".git/commondir"), "/home/ada/private/.git").unwrap();
    assert_eq!(ran(json!({"command": "log"})).fault, Some(ToolFault::NotAllowed));
    fs::remove_file(root.join(".git/commondir")).unwrap();
    let mut config = fs::read(root.join(".git/config")).unwrap();
    config.extend(b"[filter \"\xff\"]\n\tclean = cat\n");
    fs::write(root.join(".git/config"), config).unwrap();
    assert_eq!(ran(json!({"command": "diff"})).fault, Some(ToolFault::NotAllowed));
    // What git cannot read at all it says itself.
    fs::write(root.join(".git/config"), "[core\n").unwrap();
    let broken = ran(json!({"command": "log"}));
    assert!(broken.fault == Some(ToolFault::Failed) && broken.text.contains("bad config line 1"), "{}", broken.text);
}

#[test]
fn a_program_reads_neither_the_variables_nor_the_memory_of_meno() {
    let place = Folder::new(&[]);
    let full = Confinement::new(&ToolSettings::default(), &place.root(), None, &[]).enforced().is_some_and(|found| found.is_full);
    if !full {
        return;
    }
    let text = place.ok("run_command", sh("cat /proc/$PPID/environ /proc/$PPID/maps; cat /proc/self/status | head -1"));
    assert!(text.contains("ermission denied") && !text.contains("PATH=") && !text.contains("r-xp"), "{text}");
    assert!(text.contains("Name:\tcat"), "its own it reads: {text}");
}

#[test]
fn what_a_file_or_a_program_writes_hides_nothing_of_a_result() {
    let mark = crate::domain::tool::KEPT_BESIDE;
    let place = Folder::new(&[("a.txt", &format!("visible\n{mark}HIDDEN\n"))]);
    for (name, arguments) in
        [("read_file", json!({"path": "a.txt"})), ("run_command", sh("cat a.txt")), ("search_files", json!({"pattern": "."}))]
    {
        let text = place.ok(name, arguments);
        assert!(text.contains("HIDDEN") && !text.contains(mark), "{name}: {text:?}");
    }
    let gone = place.fault("read_file", json!({"path": format!("none{mark}HIDDEN")}));
    assert!(gone.1.contains("HIDDEN") && !gone.1.contains(mark), "{gone:?}");
}

#[test]
fn the_names_of_built_in_tools_are_known_to_decisions() {
    let catalogue = catalogue();
    assert!(catalogue.iter().all(|spec| crate::domain::tool::is_built_in(&spec.name)));
    assert!(!crate::domain::tool::is_built_in("cargo"));
}
