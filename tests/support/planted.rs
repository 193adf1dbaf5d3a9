//! Real projects with a planted fault, and a house in which agents may run their tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use meno::event::{Event, Recorded, ToolFault};
use serde_json::{Value, json};

use crate::harness::{Done, House, cannot_check, finish};
use crate::llm_server::Turn;

pub const KEY: &str = "wire-key-0123456789abcdef0123456789";

/// A project, what is wrong with it, and how it is mended.
pub struct Project {
    pub files: &'static [(&'static str, &'static str)],
    pub broken: &'static str,
    pub wrong: &'static str,
    pub right: &'static str,
    pub runner: &'static str,
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    /// What its output says of the planted test.
    pub failure: &'static str,
}

pub const CARGO: Project = Project {
    files: &[
        ("Cargo.toml", "[package]\nname = \"billing\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n"),
        ("Cargo.lock", "version = 3\n\n[[package]]\nname = \"billing\"\nversion = \"0.1.0\"\n"),
        ("README.md", "# billing\n\nAdds up the lines of an invoice.\n"),
        (".gitignore", "/target\n"),
        (
            "tests/totals.rs",
            "#[test]\nfn discount_lowers_the_total() {\n    assert_eq!(billing::total(&[100, 50], 10), 135);\n}\n",
        ),
    ],
    broken: "src/lib.rs",
    wrong: "//! Totals.\n\n/// Adds up amounts and takes off a discount in percent.\npub fn total(amounts: &[u64], discount: u64) -> u64 {\n    \
            let sum: u64 = amounts.iter().sum();\n    sum + sum * discount / 100\n}\n",
    right: "//! Totals.\n\n/// Adds up amounts and takes off a discount in percent.\npub fn total(amounts: &[u64], discount: u64) -> u64 {\n    \
            let sum: u64 = amounts.iter().sum();\n    sum - sum * discount / 100\n}\n",
    runner: "cargo test",
    program: "cargo",
    arguments: &["test"],
    failure: "discount_lowers_the_total",
};

pub const PYTHON: Project = Project {
    files: &[
        ("pyproject.toml", "[project]\nname = \"billing\"\nversion = \"0.1.0\"\n"),
        ("README.md", "# billing\n\nAdds up the lines of an invoice.\n"),
        ("tests/__init__.py", ""),
        (
            "tests/test_billing.py",
            "import unittest\n\nfrom billing import total\n\n\nclass Totals(unittest.TestCase):\n    def test_discount(self):\n        \
             self.assertEqual(total([100, 50], 10), 135)\n",
        ),
    ],
    broken: "billing.py",
    wrong: "\"\"\"Totals.\"\"\"\n\n\ndef total(amounts, discount):\n    \"\"\"Adds up amounts and takes off a discount in percent.\"\"\"\n    \
            amount = sum(amounts)\n    return amount + amount * discount // 100\n",
    right: "\"\"\"Totals.\"\"\"\n\n\ndef total(amounts, discount):\n    \"\"\"Adds up amounts and takes off a discount in percent.\"\"\"\n    \
            amount = sum(amounts)\n    return amount - amount * discount // 100\n",
    runner: "python3 -m unittest",
    program: "python3",
    arguments: &["-m", "unittest"],
    failure: "test_discount",
};

/// Returns the folder of a program that works in an environment of its own; `None` where there is none.
pub fn folder_of(program: &str) -> Option<PathBuf> {
    if program == "cargo" {
        return Path::new(env!("CARGO")).parent().map(Path::to_owned);
    }
    // What PATH finds may be a script that needs more than PATH.
    let output = Command::new(program).args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    path.parent().filter(|_| path.is_absolute()).map(Path::to_owned)
}

/// A house whose work folder holds the project, with settings that allow its test command; `None` where that is not on this machine.
pub fn house(project: &Project, settings: &str) -> Option<(House, PathBuf)> {
    let Some(folder) = folder_of(project.program) else {
        cannot_check(project.program, "there is no such program");
        return None;
    };
    let house = House::new();
    for (name, text) in project.files.iter().chain([&(project.broken, project.wrong)]) {
        let path = house.path("work").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    // Python takes a module that was compiled within the same second, and is as long, for the same.
    house.configure(&format!(
        "{settings}[memory]\nembed_ms = 0\n[tools]\ncommands = [\"{}\", \"sh\"]\nenv = [\"PYTHONDONTWRITEBYTECODE\"]\nreadable = [\"{}\"]\n",
        project.program,
        folder.parent().unwrap_or(&folder).display()
    ));
    Some((house, folder))
}

pub fn meno(house: &House, programs: &Path, args: &[&str]) -> Done {
    let mut command = house.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("WIRE_KEY", KEY).env("PYTHONDONTWRITEBYTECODE", "1");
    finish(command)
}

pub async fn meno_beside(house: &House, programs: &Path, args: &[&str]) -> Done {
    let mut command = house.command(args);
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display())).env("WIRE_KEY", KEY).env("PYTHONDONTWRITEBYTECODE", "1");
    tokio::task::spawn_blocking(move || finish(command)).await.expect("no panic")
}

pub fn command(project: &Project) -> Value {
    json!({"program": project.program, "arguments": project.arguments})
}

pub fn agent(run: &Value, role: &str) -> Value {
    let agents = run["agents"].as_array().expect("agents");
    agents.iter().find(|agent| agent["role"] == role).unwrap_or_else(|| panic!("no {role} in {run}")).clone()
}

/// The tools that ended, in order: name, and why one did not do what it was asked.
pub fn tools(journal: &[Recorded]) -> Vec<(String, Option<ToolFault>)> {
    let mut names = std::collections::BTreeMap::new();
    let mut ended = Vec::new();
    for recorded in journal {
        match &recorded.event {
            Event::ToolStarted(body) => drop(names.insert((recorded.envelope.run, body.call, body.tool_call), body.tool.clone())),
            Event::ToolEnded(body) => {
                ended.push((names[&(recorded.envelope.run, body.call, body.tool_call)].clone(), body.fault));
            }
            _ => {}
        }
    }
    ended
}

pub fn wire(base_url: &str) -> String {
    let tiers = ["cheap", "capable", "premium"]
        .map(|tier| format!("[tiers.{tier}]\nprovider = \"wire\"\nmodel = \"m-{tier}\"\nmax_output_tokens = 2048\n"));
    format!(
        "{}[providers.wire]\nkind = \"anthropic\"\nbase_url = \"{base_url}\"\napi_key_env = \"WIRE_KEY\"\nauth = \"x-api-key\"\n",
        tiers.concat()
    )
}

/// What a model asks for at once and gets wrong: broken arguments, a tool that is not there, a huge result.
pub fn clumsy_turn() -> Turn {
    Turn::text("Let me look.")
        .tool("list_files", json!({"depth": 2}))
        .tool("read_file", json!("{\"path\": \"bil"))
        .tool("browse_web", json!({"url": "http://example.com"}))
        .tool("read_file", json!({"path": "huge.txt"}))
}

/// Writes the file with the huge result, and a key at its end.
pub fn write_huge(house: &House) {
    fs::write(house.path("work/huge.txt"), format!("{}\n{KEY}\n", "a line of a huge file\n".repeat(20_000))).expect("written");
}
