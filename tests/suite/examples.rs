//! Every command line that help, README and the pages in `docs/` show, run as it stands, in a folder with the files that it names.
//!
//! An example of the help finds a store with runs, and each finds the same. The lines of a page are typed one after the other into one
//! store, as a reader does: README begins with none, and nothing is done between its lines. Words in capitals and ids that only stand for
//! one are put in; comments are left out. What needs a key, a network or a person is named in [`APART`], with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Done, House, finish};

/// Examples that are not carried out, by how they begin.
const APART: [(&str, &str); 18] = [
    ("meno ui", "serves until it is stopped; `page` and `browser` look at it"),
    ("meno resolve", "needs a run that was killed while a program ran; `writing` has them"),
    ("meno events --follow", "follows until it is stopped"),
    ("meno import peer", "needs a folder of the Python system; `lake` imports one"),
    ("meno import otel /var", "needs a folder of the system"),
    ("meno import transcripts", "asks, or watches; `transcripts` does it on sessions of its own"),
    ("meno push s3", "needs a bucket"),
    ("meno export s3", "needs a bucket"),
    ("meno pull s3", "needs a bucket"),
    ("meno model fetch", "needs a network"),
    ("meno config memory.model=BGESmallENV15", "needs a model that was fetched"),
    ("meno run security_audit --preset anthropic", "needs a key"),
    ("meno rekey --key-command", "needs a keyring"),
    ("meno replay last --speed", "waits as long as the run did"),
    ("meno completions bash >", "writes below the home"),
    ("meno run release_prep                       #", "asks its questions on a terminal"),
    ("meno run explain_error", "asks one more question on a terminal"),
    ("meno bench route", "needs a table of a thousand outcomes"),
];

/// What has to happen before an example of the help can do its work.
const BEFORE: [(&str, &str); 12] = [
    ("meno resume last", "meno run release_prep --no-input --escalate ask --seed 3 --input source=. || true"),
    ("meno resume 7QW2 --retry-failed", FAILED),
    (
        "meno restore",
        "meno backup meno-2026-11-23.tar.zst; cp meno-2026-11-23.tar.zst ~/backups/; cp meno-2026-11-23.tar.zst ~/backups/meno.tar.zst",
    ),
    ("meno import events", "meno export handover; cp handover/events-*.jsonl handover/events-01J.jsonl"),
    ("meno pull team-lake", "meno push team-lake"),
    ("meno import otel traces.jsonl", "meno telemetry export --format otlp-json -o traces.jsonl"),
    ("meno audit --against", "meno seal -o seal.json --sign ~/.ssh/id_ed25519; cp ~/.ssh/id_ed25519.pub auditor.pub"),
    ("meno fork last --agent publisher", PUBLISH),
    ("meno rerun last --agent publisher", PUBLISH),
    ("meno run ./mine.json", "meno export-template python_package_publish -o mine.json"),
    ("meno run code_refactoring --answers", "printf 'target = \"parse\"\\n' > answers.toml"),
    ("zcat old.jsonl.gz", "gzip -c histories.jsonl > old.jsonl.gz"),
];
const README: &str = "README.md";
const PUBLISH: &str = "meno run python_package_publish --no-input --seed 7 || true";
/// Runs until one fails.
const FAILED: &str = "for seed in 1 2 3 4 5 6 7 8 9; do meno run python_package_publish --no-input --strategy cheap_only --seed $seed || break; done";

/// Returns the examples of the help of every command.
fn help_examples(house: &House) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let help = house.meno(["--help"]).stdout;
    let commands = help.split("\nCommands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names: Vec<&str> = commands
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(names.len() > 40, "{names:?}");
    let nested = [
        ["import", "runs"],
        ["import", "events"],
        ["import", "peer"],
        ["import", "otel"],
        ["telemetry", "show"],
        ["telemetry", "export"],
        ["bench", "search"],
        ["bench", "route"],
    ];
    let pages = names.iter().map(|name| vec![*name]).chain(nested.iter().map(|words| words.to_vec()));
    for page in pages {
        let shown = house.meno(page.into_iter().chain(["--help"])).stdout;
        let (_, examples) = shown.split_once("Example").unwrap_or_default();
        found.extend(lines(examples, "  meno ").chain(lines(examples, "  zcat ")));
    }
    found
}

/// A page of the documentation, with the lines of its shell blocks in their order.
struct Page {
    name: String,
    lines: Vec<String>,
}

/// Returns README and the pages of `docs/`.
fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = fs::read_dir(root.join("docs")).expect("the pages");
    let paths = folder.map(|entry| entry.expect("a page").path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.push(root.join(README));
    paths.sort();
    let page = |path: PathBuf| Page {
        name: path.strip_prefix(root).expect("inside").display().to_string(),
        lines: shell_lines(&fs::read_to_string(&path).expect("a page")),
    };
    paths.into_iter().map(page).collect()
}

fn shell_lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside && (line.ends_with("sh") || line.ends_with("console"));
        } else if inside && !line.trim().is_empty() {
            // Without installing, `cargo run --` does what `meno` does.
            found.push(line.trim_start_matches("$ ").replacen("cargo run -- ", "meno ", 1));
        }
    }
    found
}

/// The lines that begin so, joined with what is only broken to fit the terminal.
fn lines<'t>(text: &'t str, start: &'t str) -> impl Iterator<Item = String> + 't {
    text.lines().filter(move |line| line.starts_with(start)).map(|line| line.trim().to_owned())
}

/// Makes a home with a project and the files that examples name.
fn project() -> House {
    let house = House::new();
    house.configure("[memory]\nembed_ms = 0\n");
    let project = [
        ("src/lib.rs", "pub fn area(width: u32, height: u32) -> u32 {\n    width * height\n}\n"),
        ("CHANGELOG.md", "# Changes\n"),
        (
            "histories.jsonl",
            "{\"run_id\":\"a1\",\"template_id\":\"t1\",\"started_at\":\"2026-01-25T04:08:00Z\",\"status\":\"succeeded\",\"agents\":[{\"role\":\"r\",\"attempts\":[{\"tier\":\"cheap\",\"passed\":true,\"cost_usd\":1.0}]}]}\n",
        ),
        ("tasks.jsonl", "{\"id\":\"1\",\"role\":\"security_auditor\",\"text\":\"look for injections\"}\n"),
    ];
    for (name, text) in project {
        let path = house.path("work").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let readme = include_str!("../../README.md");
    let template =
        readme.split("```json\n").find(|part| part.contains("\"explain_error\"")).and_then(|part| part.split("```").next());
    fs::write(house.path("work/explain_error.json"), template.expect("the readme has a template")).expect("a file");
    for folder in ["home/.ssh", "home/backups", "home/seals", "home/.config/meno"] {
        fs::create_dir_all(house.path(folder)).expect("a folder");
    }
    if is_there("ssh-keygen") {
        shell(&house, "ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519").exits(0);
    }
    house
}

/// Makes such a home whose store has runs.
fn prepared() -> House {
    let house = project();
    house.configure("preset = \"simulated\"\n[memory]\nembed_ms = 0\n");
    let setup = "meno run release_prep --no-input --seed 7 --input source=. --label team=core; \
        meno run python_package_publish --no-input --seed 7; meno run release_prep --no-input --seed 8 --input source=.; true";
    shell(&house, setup).exits(0);
    house
}

/// Carries out a line of the shell in the project's folder.
fn shell(house: &House, line: &str) -> Done {
    let program = house.command::<&str>([]);
    let mut command = Command::new("bash");
    command.args(["-c", &format!("set -eo pipefail; {line}")]).current_dir(house.path("work")).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let folder = Path::new(env!("CARGO_BIN_EXE_meno")).parent().expect("a folder");
    command.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default()));
    finish(command)
}

/// What an example says with a word in capitals or an id that stands for any.
fn filled(house: &House, example: &str) -> String {
    let words = example.split(" #").next().unwrap_or(example).trim_end();
    // Nobody is there to be asked.
    let sure = if words.starts_with("meno forget") && !words.contains("--yes") { " --yes" } else { "" };
    let words = words.replace(" RUN", " last").replace("01J….jsonl", "01J.jsonl").replace("01J…", "01J") + sure;
    if !words.contains("7QW2") {
        return words;
    }
    let list: serde_json::Value = serde_json::from_str(&shell(house, "meno list-runs --json").stdout).expect("a list");
    let id = list["runs"][0]["run_id"].as_str().expect("a run");
    words.replace("7QW2", &id[id.len() - 6..])
}

fn is_there(program: &str) -> bool {
    Command::new("sh").args(["-c", &format!("command -v {program}")]).output().is_ok_and(|done| done.status.success())
}

/// Says whether an example can be carried out here.
fn is_for_here(example: &str) -> bool {
    let needs = |program: &&str| example.contains(program) || (*program == "ssh-keygen" && example.contains("id_ed25519"));
    let mut needed = ["ssh-keygen", "zstd", "jq", "gzip"].into_iter().filter(needs);
    !APART.iter().any(|(start, _)| example.starts_with(start)) && needed.all(is_there)
}

/// A simulated run may end without success; that is no fault of the example.
fn check(failed: &mut Vec<String>, example: &str, done: &Done) {
    if !matches!(done.code, Some(0 | 3)) {
        failed.push(format!("{example}\n  {:?}: {}", done.code, done.stderr.trim()));
    }
}

fn copy(from: &House) -> House {
    let house = House::new();
    for folder in ["work", "home", "config", "data", "store"] {
        let (from, to) = (from.path(folder), house.path(folder));
        let status =
            Command::new("sh").arg("-c").arg("rm -rf \"$2\" && cp -a \"$1\" \"$2\"").arg("sh").arg(from).arg(to).status();
        assert!(status.expect("cp runs").success());
    }
    house
}

#[test]
fn every_example_of_help_works() {
    let prepared = prepared();
    let examples = help_examples(&prepared);
    assert!(examples.len() > 60, "{examples:#?}");
    let is_shown = |start: &str| examples.iter().any(|example| example.starts_with(start));
    let on_a_page = |start: &str| pages().iter().any(|page| page.lines.iter().any(|line| line.starts_with(start)));
    let stale = APART.iter().chain(&BEFORE).filter(|(start, _)| !is_shown(start) && !on_a_page(start));
    let mut failed: Vec<String> =
        stale.map(|(start, why)| format!("no example begins with `{start}` any more ({why})")).collect();
    for example in examples.iter().filter(|example| is_for_here(example)) {
        let house = copy(&prepared);
        if let Some((_, before)) = BEFORE.iter().find(|(start, _)| example.starts_with(start)) {
            shell(&house, before).exits(0);
        }
        check(&mut failed, example, &shell(&house, &filled(&house, example)));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_lines_of_each_page_work_in_the_order_in_which_they_stand() {
    let prepared = prepared();
    let mut failed = Vec::new();
    let mut count = 0;
    for page in pages() {
        // Who reads README has no store yet, and makes one; `.meno/` is found as it is by its reader.
        let (house, store) = if page.name == README { (project(), "unset MENO_STORE; ") } else { (copy(&prepared), "") };
        for line in &page.lines {
            let is_known = ["meno ", "echo ", "cargo ", "export "].iter().any(|start| line.starts_with(start));
            if !is_known {
                failed.push(format!("{}: nothing carries out `{line}`", page.name));
            }
            if line.starts_with("cargo ") || line.starts_with("export ") || !is_for_here(line) {
                continue;
            }
            count += 1;
            let done = shell(&house, &format!("{store}{}", filled(&house, line)));
            check(&mut failed, &format!("{}: {line}", page.name), &done);
        }
    }
    assert!(count > 80, "{count}");
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn help_has_a_command_as_other_programs_do() {
    let house = House::new();
    let by_word = house.meno(["help", "run"]).exits(0).stdout;
    assert_eq!(by_word, house.meno(["run", "--help"]).exits(0).stdout);
}
