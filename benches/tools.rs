//! What agents wait for: a search over many small files beside ripgrep, reading a large file, and a turn whose tool takes no time.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use meno::internals::domain::ToolSettings;
use meno::internals::tools::{Environment, Toolbox};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use support::Result;
use support::numbers::{Table, median, ms, timed, times, verdict};
use support::stores::Scratch;

/// Small files, in folders of a hundred.
const FILES: usize = 100_000;
const PER_FOLDER: usize = 100;
/// Lines of each.
const LINES: usize = 20;
const ROUNDS: usize = 7;
const BAR_SEARCH: f64 = 1.5;
const BAR_READ: f64 = 0.005;
const BAR_TURN: f64 = 0.003;
const TURNS_FEW: u32 = 10;
const TURNS_MANY: u32 = 110;
const TEMPLATE: &str = r#"{
    "template_id": "look", "name": "Look", "version": "1.0.0", "description": "One agent that looks",
    "form_schema": {"title": "Look", "description": "Nothing is asked", "questions": []},
    "agent_composition_rules": [
        {"role": "looker", "base_template": "generic", "tier_strategy": "cheap_only", "prompt": "Look.", "tools": ["read_file"]}
    ]
}"#;

fn main() -> Result<()> {
    let scratch = Scratch::new("tools")?;
    let tree = scratch.path("tree");
    grow(&tree)?;
    let tools = Toolbox::new(&tree, &[], &ToolSettings::default(), Environment::default());

    let mut table = Table::new(["search", "meno", "rg", "ratio", "bar", "reached"]);
    for (name, pattern) in [("rare word", "needle[0-9]+"), ("nothing", "no such words"), ("every file", "line 7 of")] {
        let asked = json!({"pattern": pattern});
        run(&tools, "search_files", &asked)?;
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            own.push(took(|| run(&tools, "search_files", &asked))?);
            others.extend(ripgrep(&tree, pattern));
        }
        let (own, other) = (median(&own), (!others.is_empty()).then(|| median(&others)));
        let ratio = other.map(|other| own / other);
        table.row([
            name.to_owned(),
            ms(own),
            other.map_or_else(|| "not installed".to_owned(), ms),
            ratio.map_or_else(String::new, times),
            format!("<= {}", times(BAR_SEARCH)),
            ratio.map_or_else(String::new, |ratio| verdict(ratio, BAR_SEARCH, false)),
        ]);
    }
    table.print(&format!("`search_files` over {FILES} files of {LINES} lines, warm"));

    let mut table = Table::new(["tool", "p50", "bar", "reached"]);
    let large = "0123456789abcdef 0123456789abcdef 0123456789abcdef\n".repeat(20_000);
    fs::write(tree.join("large.txt"), &large)?;
    let (first, asked) = (json!({"path": "large.txt"}), json!({"path": "large.txt", "first_line": 10_000, "lines": 400}));
    for (name, asked) in [("read_file, 1 MB", first), ("400 lines from its middle", asked)] {
        let mut own = Vec::new();
        for _ in 0..ROUNDS * 5 {
            own.push(took(|| run(&tools, "read_file", &asked))?);
        }
        let own = median(&own);
        table.row([name.to_owned(), ms(own), format!("< {}", ms(BAR_READ)), verdict(own, BAR_READ, false)]);
    }
    table.print("Reading");
    turns(&scratch)
}

/// What a turn of a conversation takes whose model and tool take no time: a longer run less a shorter one, beside two appends with
/// fdatasync, which is what it needs of the disk.
fn turns(scratch: &Scratch) -> Result<()> {
    let home = scratch.path("home");
    for folder in [".config/meno", "store", "work"] {
        fs::create_dir_all(home.join(folder))?;
    }
    fs::write(home.join("work/one.txt"), "one line\n")?;
    let (mut few, mut many, mut synced) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        few.push(conversation(&home, TURNS_FEW)?);
        many.push(conversation(&home, TURNS_MANY)?);
        let mut file = fs::File::options().create(true).append(true).open(home.join("synced"))?;
        let mut append = || (0..2).try_for_each(|_| file.write_all(&[7; 1000]).and_then(|()| file.sync_data()));
        synced.push(took(|| append().map_err(Into::into))?);
    }
    let turn = (median(&many) - median(&few)) / f64::from(TURNS_MANY - TURNS_FEW);
    let (two, own) = (median(&synced), turn - median(&synced));
    let mut table = Table::new(["turn", "two syncs", "own", "bar", "reached"]);
    table.row([ms(turn), ms(two), ms(own), format!("< {}", ms(BAR_TURN)), verdict(own, BAR_TURN, false)]);
    table.print("A turn whose model and tool take no time");
    Ok(())
}

/// Runs a conversation of so many turns to its end.
fn conversation(home: &Path, turns: u32) -> Result<f64> {
    let asks = (1..=turns).map(|turn| {
        json!({"turn": turn, "times": 9, "text": "I look.", "tool_calls": [
            {"name": "read_file", "arguments": {"path": "one.txt", "lines": turn}}]})
    });
    let replies: Vec<Value> = asks.chain([json!({"turn": turns + 1, "times": 9, "text": "Seen."})]).collect();
    fs::write(home.join("script.json"), json!({"replies": replies}).to_string())?;
    let settings = format!(
        "preset = \"simulated\"\n[memory]\nembed_ms = 0\n[tools]\nmax_turns = 200\n[simulated]\nscript = {:?}\n",
        home.join("script.json").display().to_string()
    );
    fs::write(home.join(".config/meno/config.toml"), settings)?;
    fs::write(home.join("work/look.json"), TEMPLATE)?;
    let program = std::env::var_os("MENO_BENCH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_meno").into(), PathBuf::from);
    let mut command = Command::new(program);
    command.args(["run", "./look.json", "--no-input"]).env_clear().env("HOME", home).env("MENO_STORE", home.join("store"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(home.join("work")).stdin(Stdio::null());
    let (seconds, output) = timed(|| command.output());
    let output = output?;
    match output.status.success() {
        true => Ok(seconds),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

fn took<T>(run: impl FnOnce() -> Result<T>) -> Result<f64> {
    let (seconds, done) = timed(run);
    done.map(|_| seconds)
}

fn grow(tree: &Path) -> Result<()> {
    for number in 0..FILES {
        let folder = tree.join(format!("d{}/e{}", number / PER_FOLDER / 32, number / PER_FOLDER % 32));
        if number % PER_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        let mut text: String =
            (0..LINES).map(|line| format!("this is line {line} of file {number}, and more is said\n")).collect();
        if number % 1000 == 7 {
            text += &format!("needle{number}\n");
        }
        fs::write(folder.join(format!("f{number}.txt")), text)?;
    }
    Ok(())
}

fn run(tools: &Toolbox, name: &str, asked: &Value) -> Result<usize> {
    let outcome = tools.run(name, asked, &CancellationToken::new()).ok_or("it was stopped")?;
    match outcome.fault {
        None => Ok(outcome.text.len()),
        Some(_) => Err(outcome.text.into()),
    }
}

/// The same search by ripgrep; `None` where it is not installed.
fn ripgrep(tree: &Path, pattern: &str) -> Option<f64> {
    let mut command = Command::new("rg");
    command.args(["--line-number", "--no-heading", "--color=never", pattern]).current_dir(tree);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (seconds, status) = timed(|| command.status());
    status.is_ok().then_some(seconds)
}
