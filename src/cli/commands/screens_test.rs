//! What people see: the tables of all commands on terminals of several widths, over a store whose runs are always the same.

use std::fmt::Write as _;

use anstream::adapter::strip_str;
use clap::{CommandFactory, Parser};
use jiff::tz::TimeZone;
use textwrap::core::display_width;

use super::dispatch;
use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::output::capture::Captured;
use crate::cli::output::{Color, OutputOptions, Printer};
use crate::settings::Variables;

const WIDTHS: [u16; 4] = [60, 80, 100, 160];

/// The commands that print tables and little else.
const TABLES: [&str; 21] = [
    "list-runs",
    "list-runs --sort cost --limit 3",
    "costs",
    "costs --by role",
    "costs --by month,model,tier",
    "costs --by template,role,model",
    "list-templates",
    "prices",
    "model list",
    "config",
    "search type errors --limit 4",
    "search type errors --limit 4 --explain",
    "suggest check the types of a package",
    "recommend release_prep",
    "analytics",
    "analytics release_prep",
    "backtest --strategy adaptive,cheap_only",
    "whatif RUN --strategy cheap_only,premium_only",
    "audit",
    "purge --older-than 2026-10-20 --dry-run",
    "bench route DIR/outcomes.jsonl --splits 2",
];

/// One whose table is of milliseconds.
const MEASURED: &str = "bench search DIR/collection";

/// Those that print sentences and tables.
const PAGES: [&str; 6] = [
    "telemetry show",
    "show-template release_prep",
    "run release_prep --preset simulated --input source=DIR/src --dry-run",
    "show-run RUN",
    "show-run FORK",
    "diff RUN FORK",
];

/// Those that print sentences, at 80 columns.
const SENTENCES: [&str; 11] = [
    "validate-template DIR/broken.json",
    "show-run RUN --outputs",
    "show-run RUN --agent coverage_analyst --prompts",
    "report RUN",
    "events RUN",
    "replay RUN",
    "replay RUN --verify",
    "doctor",
    "trust DIR/project",
    "list-runs --status suspended",
    "search status:cancelled",
];

fn history(number: u32) -> String {
    let (day, hour) = (1 + number % 28, number % 24);
    let template =
        ["python_package_publish", "a_template_with_a_really_long_name_of_our_own", "release_prep"][number as usize % 3];
    let failed = number.is_multiple_of(5);
    let passed = if failed { "false" } else { "true" };
    let status = if failed { "failed" } else { "succeeded" };
    let second = format!(
        r#",{{"tier":"capable","provider":"anthropic","model":"claude-sonnet-5-5","passed":{passed},"cost_usd":0.{number:03},"input_tokens":9{number:03},"output_tokens":21{number:02},"duration_ms":6{number:03},"output":"All stubs are in place; mypy reports nothing."}}"#
    );
    format!(
        r#"{{"run_id":"h{number}","template_id":"{template}","started_at":"2026-10-{day:02}T{hour:02}:05:00Z","ended_at":"2026-10-{day:02}T{hour:02}:06:{:02}Z","status":"{status}","labels":{{"team":"core"}},"answers":{{"package_name":"demo-{number}"}},"agents":[{{"role":"type_checker","task":"Check the types of the package and explain each error in words that a newcomer understands","attempts":[{{"tier":"cheap","provider":"anthropic","model":"claude-haiku-5-5","passed":{},"cost_usd":0.00{number:02},"input_tokens":4{number:03},"output_tokens":8{number:02},"duration_ms":2{number:03},"output":"mypy found {number} type errors in demo/parse.py; the release should wait until they are fixed, since two of them are in public functions.","failed_criteria":{}}}{}]}},{{"role":"documentation_and_changelog_writer","task":"Write what changed","attempts":[{{"tier":"cheap","provider":"anthropic","model":"claude-haiku-5-5","passed":true,"cost_usd":0.0011,"input_tokens":1200,"output_tokens":340,"duration_ms":1800,"output":"Changelog written."}}]}}],"report":"The release of demo-{number} was held back by type errors, which were then fixed."}}"#,
        10 + number % 50,
        number.is_multiple_of(2),
        if number.is_multiple_of(2) { "[]" } else { r#"["every function that is public has annotations"]"# },
        if number.is_multiple_of(2) && !failed { "" } else { &second },
    )
}

/// A folder with a store whose runs are always the same.
struct Desk {
    dir: tempfile::TempDir,
    run: String,
    fork: String,
    ended: String,
}

impl Desk {
    /// Fills a store with runs of October 2026, a simulated run and a fork of it.
    fn new() -> Self {
        let mut desk = Self {
            dir: tempfile::Builder::new().prefix("meno-").tempdir_in("/tmp").unwrap(),
            run: String::new(),
            fork: String::new(),
            ended: String::new(),
        };
        let write = |name: &str, text: &str| {
            let file = desk.dir.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let lines: String = (1..=30).fold(String::new(), |mut lines, number| {
            let _ = writeln!(lines, "{}", history(number));
            lines
        });
        write("histories.jsonl", &lines);
        let outcomes = (0..60).fold(String::new(), |mut lines, number| {
            let _ = writeln!(
                lines,
                r#"{{"text":"task {number} of kind {}","models":{{"a-small-model":{{"score":{},"cost_usd":0.0001}},"a-model-with-a-long-name-2026-10-01":{{"score":1,"cost_usd":0.002}}}}}}"#,
                number % 5,
                u8::from(number % 5 > 1)
            );
            lines
        });
        write("outcomes.jsonl", &outcomes);
        write(
            "collection/docs.jsonl",
            "{\"id\":\"a\",\"text\":\"types and errors\"}\n{\"id\":\"b\",\"text\":\"release notes\"}\n",
        );
        write("collection/queries.jsonl", "{\"id\":\"q\",\"text\":\"errors of types\"}\n");
        write("collection/qrels.tsv", "q\ta\t1\n");
        write("src/demo/parse.py", "def parse(text):\n    return text.split(',')  # TODO: quotes\n");
        write("src/README.md", "# demo\n\nSplits lines at commas.\n");
        write("project/.meno/config.toml", "[run]\njobs = 2\n");
        write(
            "broken.json",
            r#"{"template_id":"broken","name":"Broken","version":"1.0.0","description":"Two mistakes.","form_schema":{"questions":[{"id":"goal","text":"What is it for?","type":"text"}]},"agent_composition_rules":[{"role":"writer","base_template":"writer_of_texts","when":{"question":"gaol","equals":"x"}}]}"#,
        );
        let (said, _) = desk.typed(80, "import runs DIR/histories.jsonl");
        assert!(said.contains("30 runs imported"), "{said}");
        // Tools would read the folder in which the test runs, and take their time.
        write("store/config.toml", "[tools]\nmax_turns = 0\n");
        (desk.ended, desk.run) =
            desk.typed(80, "run release_prep --preset simulated --input source=DIR/src --jobs 1 --deterministic -q");
        desk.typed(80, "reindex");
        (_, desk.fork) = desk.typed(80, &format!("fork {} --agent RUN_ROLE -q", desk.run));
        desk
    }

    /// Types a command on a terminal of `width` columns; returns the screen, and the id of the newest run.
    fn typed(&self, width: u16, command: &str) -> (String, String) {
        let store = self.dir.path().join("store");
        let words = ["meno", "--no-input", "--store", store.to_str().unwrap()].map(str::to_owned);
        let cli = Cli::try_parse_from(words.into_iter().chain(self.words(command))).unwrap();
        let screen = Captured::default();
        let look = OutputOptions { quiet: cli.global.quiet, zone: Some(TimeZone::UTC), ..OutputOptions::default() };
        let out = Printer::to(look, screen.clone(), screen.clone(), Some(width));
        // Every run has an id of its own.
        let seed = command.bytes().map(u32::from).sum::<u32>().to_string();
        let variables = Variables::through(move |name| match name {
            "MENO_CLOCK" => Some("2026-11-22T16:21:31Z".to_owned()),
            "MENO_SEED" => Some(seed.clone()),
            _ => None,
        });
        let mut context = Context { out, global: cli.global, variables };
        if let Err(report) = dispatch(&mut context, cli.command) {
            context.out.error(&report);
        }
        let shown = strip_str(&screen.text()).to_string();
        let newest = shown.rsplit_once("meno show-run ").map_or("", |(_, rest)| rest.split(['`', ' ']).next().unwrap_or(""));
        (shown.clone(), newest.to_owned())
    }

    /// Reads a command: a question is one word, `DIR`, `RUN` and `FORK` stand for what is here.
    fn words(&self, command: &str) -> Vec<String> {
        let place = self.dir.path().display().to_string();
        let named = |word: &str| match word {
            "RUN" => self.run.clone(),
            "FORK" => self.fork.clone(),
            "RUN_ROLE" => "release_manager".to_owned(),
            word => word.replace("DIR", &place),
        };
        let Some(start) = ["search ", "suggest "].into_iter().find(|start| command.starts_with(start)) else {
            return command.split_whitespace().map(named).collect();
        };
        let rest = &command[start.len()..];
        let (question, options) = rest.find(" --").map_or((rest, ""), |at| rest.split_at(at));
        [start.trim(), question].into_iter().chain(options.split_whitespace()).map(str::to_owned).collect()
    }

    /// Replaces what differs from machine to machine, and what measures time.
    fn steady(&self, command: &str, screen: &str) -> String {
        let place = self.dir.path().display().to_string();
        let folder = std::env::current_dir().unwrap().display().to_string();
        let screen = screen.replace(&place, "DIR").replace(&folder, "FOLDER");
        match command.split(' ').next() {
            // The head depends on where the material lies.
            Some("audit") => {
                let is_head = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
                screen.split_inclusive([' ', '\n']).map(|word| if is_head(word.trim()) { "HEAD\n" } else { word }).collect()
            }
            Some("doctor") => lines_without(&screen, &["  prices", "  owner"]),
            Some("bench") => {
                let measured = screen.lines().take_while(|line| !line.contains("tasks to learn from"));
                measured.collect::<Vec<_>>().join("\n")
            }
            _ => screen,
        }
    }
}

/// Leaves out lines that hold one of `words`, with those that continue them.
fn lines_without(text: &str, words: &[&str]) -> String {
    let mut is_left_out = false;
    let mut kept = Vec::new();
    for line in text.lines() {
        is_left_out = words.iter().any(|word| line.contains(word)) || is_left_out && line.starts_with("   ");
        if !is_left_out {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// What can be copied stays on one line whatever the width: ids, paths, addresses, shell lines. All else fits.
fn must_fit(command: &str, width: u16, shown: &str) {
    // These hold texts as they are stored.
    if ["--outputs", "--prompts", "report "].iter().any(|word| command.contains(word)) {
        return;
    }
    for line in shown.lines().filter(|line| display_width(line) > usize::from(width)) {
        let is_one = line.trim().trim_matches(['(', ')', ',', ';', ':']).split(' ').count() == 1;
        let can_be_copied = is_one || line.starts_with("meno ") || line.contains(['`', '/']);
        assert!(can_be_copied, "{command} at {width}:\n{line}\n\n{shown}");
    }
}

#[test]
fn tiny_terminals_show_every_screen() {
    let desk = Desk::new();
    for command in TABLES.into_iter().chain(PAGES).chain(SENTENCES).chain([MEASURED]) {
        for width in [20, 40].into_iter().chain(WIDTHS.into_iter().filter(|_| command == MEASURED)) {
            let (shown, _) = desk.typed(width, command);
            must_fit(command, width, &shown);
        }
    }
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn every_table_is_as_it_was() {
    let desk = Desk::new();
    for command in TABLES.into_iter().chain(PAGES) {
        let mut page = String::new();
        for width in WIDTHS {
            let (shown, _) = desk.typed(width, command);
            must_fit(command, width, &shown);
            let _ = writeln!(page, "{}\n{}", "=".repeat(usize::from(width)), desk.steady(command, shown.trim_end()));
        }
        insta::assert_snapshot!(file_name(command), page);
    }
}

#[test]
fn every_screen_of_sentences_is_as_it_was() {
    let desk = Desk::new();
    for command in SENTENCES {
        let (shown, _) = desk.typed(80, command);
        must_fit(command, 80, &shown);
        insta::assert_snapshot!(file_name(command), desk.steady(command, &shown));
    }
    insta::assert_snapshot!("run_end", desk.steady("run", &desk.ended));
}

#[test]
fn the_help_is_as_it_was() {
    let mut program = Cli::command().term_width(80);
    insta::assert_snapshot!("help", program.render_help().to_string());
    program.build();
    for name in ["run", "search", "show-run", "events"] {
        let command = program.find_subcommand_mut(name).unwrap();
        insta::assert_snapshot!(format!("help_{name}"), command.render_help().to_string());
    }
}

#[test]
fn colours_change_nothing_but_colour() {
    let desk = Desk::new();
    for command in ["list-runs", "analytics", "config"] {
        let store = desk.dir.path().join("store");
        let shown = [Color::Never, Color::Always].map(|color| {
            let screen = Captured::default();
            let look = OutputOptions { color, zone: Some(TimeZone::UTC), ..OutputOptions::default() };
            let out = Printer::to(look, screen.clone(), Vec::new(), Some(80));
            let cli = Cli::try_parse_from(["meno", "--store", store.to_str().unwrap(), command]).unwrap();
            let mut context = Context { out, global: cli.global, variables: Variables::through(|_| None) };
            dispatch(&mut context, cli.command).unwrap();
            screen.text()
        });
        assert!(shown[1].contains("\u{1b}["), "{}", shown[1]);
        assert_eq!(strip_str(&shown[1]).to_string(), shown[0]);
        assert!(shown[1].lines().all(|line| display_width(line) <= 80), "{}", shown[1]);
    }
}

fn file_name(command: &str) -> String {
    command.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
