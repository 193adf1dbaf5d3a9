use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &str, line: usize, column: usize, shown: &str, hint: Option<&str>) {
    let problems = parse(text).expect_err("invalid");
    let [problem] = problems.as_slice() else { panic!("{problems:?}") };
    assert_eq!((problem.line, problem.column), (line, column), "{problem}");
    assert!(problem.to_string().ends_with(shown), "{problem}");
    assert_eq!(problem.hint.as_deref(), hint);
}

#[test]
fn faults_name_line_column_key_and_remedy() {
    check("# x\n[run]\n  job = 1\n", 3, 3, "`run.job` is not a setting", Some("did you mean `run.jobs`?"));
    check("budget_usd = 1\n", 1, 1, "`budget_usd` is not a setting", Some("did you mean `run.budget_usd`?"));
    check("[run]\njobs = 0\n", 2, 1, "`run.jobs` is less than 1", None);
    check("[run]\njobs = \"4\"\n", 2, 1, "`run.jobs` is not of type integer", None);
    check("[run]\nbudget_usd = -1\n", 2, 1, "`run.budget_usd` is less than 0", None);
    check("[run]\nbudget_usd = nan\n", 2, 1, "`run.budget_usd` is not of type number", None);
    let all = "`run.escalate` is none of auto, ask, never";
    check("run.escalate = \"nevr\"\n", 1, 5, all, Some("did you mean `never`?"));
    check("[tiers.cheap]\nfallbacks = [{ provider = \"x\" }]\n", 2, 14, "`tiers.cheap.fallbacks.0` lacks \"model\"", None);
    check("[providers.a]\nbase_url = \"ftp://x\"\n", 2, 1, "is not an http or https address", None);
}

#[test]
fn what_agents_could_never_get_or_be_denied_is_a_fault() {
    let line = Some("write it as a line of a .gitignore in the workspace: `private/`, `*.csv`, `docs/**/draft.md`");
    check(
        "[tools]\ndeny = [\"a\", \"../b\"]\n",
        2,
        14,
        "`tools.deny.1` leads out of the workspace, where tools read nothing",
        line,
    );
    let first = "`tools.deny.0` denies nothing: it takes back what a pattern before it denied";
    check("[tools]\ndeny = [\"!a\"]\n", 2, 9, first, line);
    assert!(parse("[tools]\ndeny = [\"a/*\", \"!a/b\"]\n").is_ok());
    let alone = Some("list the program's name alone, such as `cargo`: arguments are given with each call");
    check("[tools]\ncommands = [\"sh\", \"cargo test\"]\n", 2, 19, "`tools.commands.1` is no name of a program", alone);
    check(
        "[tools.commands.\"cargo;id\"]\neffect = \"reads\"\n",
        1,
        17,
        "`tools.commands.\"cargo;id\"` is no name of a program",
        alone,
    );
    let found =
        "list a name that is found in PATH, or an absolute path: what lies in a workspace is run by `sh` or another program";
    check(
        "[tools]\ncommands = [\"./x.sh\"]\n",
        2,
        13,
        "`tools.commands.0` is a path from the folder that meno is in",
        Some(found),
    );
    assert!(parse("[tools]\ncommands = [\"/usr/bin/g++\", \"python3.11\", \"x@1\"]\nreadable = [\"/a b\", \"~/c\"]\n").is_ok());
    let whole = Some("write the whole path: `/opt/models`, `~/models`");
    check("[tools]\nreadable = [\"models\"]\n", 2, 13, "`tools.readable.0` is no absolute path", whole);
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_text() {
    let problems = parse("presett = 1\n[tools]\nallow_write = 1\n[run]\njobs = 0\nstrategi = 1\n").expect_err("invalid");
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["presett", "tools.allow_write", "run.jobs", "run.strategi"]);
}

#[test]
fn a_text_that_is_no_toml_says_where() {
    let problems = parse("[run]\njobs = = 4\n").expect_err("invalid");
    assert_eq!(problems.first().map(|problem| (problem.line, problem.key.as_str())), Some((2, "")), "{problems:?}");
    check("a = 1\na = 2\n", 2, 1, "duplicate key", None);
    let hint = Some("give each program a table, `[tools.commands.NAME]` with its effect, and leave the list out");
    let both = "[tools]\ncommands = [\"a\"]\n[tools.commands.b]\neffect = \"reads\"\n";
    check(both, 3, 8, "cannot extend value of type array with a dotted key", hint);
    check("tools.commands = [\"a\"]\n[tools.commands]\nb.effect = \"reads\"\n", 2, 8, "duplicate key", hint);
}

#[test]
fn a_pasted_key_is_refused_and_not_repeated() {
    for text in [
        "[providers.a]\napi_key_env = \"sk-ant-api03-hunter2\"\n",
        "[providers.a]\napi_key_env = \"a1b2c3d4e5f6a7b8c9hunter2\"\n",
        "[providers.a]\nkind = \"sk-hunter2\"\n",
        "[providers.a]\nauth = [\"sk-hunter2\"]\n",
        "[providers.a]\napi_key = \"sk-hunter2\"\n",
        "[providers.a]\nheaders = { Authorization = \"hunter2\" }\n",
        "[providers.a]\nheaders = { X-Trace = \"sk-hunter2\" }\n",
        "[providers.a]\nbase_url = \"https://me:hunter2@x\"\n",
        "[run]\njobs = \"hunter2\"\n",
    ] {
        let problems = parse(text).expect_err("invalid");
        let shown = format!("{problems:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let text = "preset = \"anthropic\"\n[run]\nbudget_usd = 5\n[providers.mine]\nkind = \"openai-responses\"\nauth = \"api-key\"\n\
                base_url = \"https://x.example/openai/v1\"\napi_key_env = \"AZURE_OPENAI_API_KEY\"\nheaders = { }\n";
    let config = parse(text).expect("valid");
    assert_eq!((config.preset, config.run.budget_usd), (Some(Preset::Anthropic), Some(5.0)));
    assert!(parse("\u{feff}preset = \"mixed\"\n").is_ok(), "a byte order mark is no fault");
}

/// `MENO_BLESS=1` writes what is generated.
#[test]
fn the_schema_file_is_what_is_generated() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/config.schema.json");
    let generated = serde_json::to_string_pretty(&schema()).expect("JSON") + "\n";
    if std::env::var_os("MENO_BLESS").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas")).expect("a folder");
        std::fs::write(path, &generated).expect("written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == generated, "schemas/config.schema.json is stale: run the test with MENO_BLESS=1");
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "(\\[(run|tiers\\.cheap|providers\\.x)\\]\n)?([a-z_]{1,12} = ([0-9.-]{1,4}|\"[^\"\\\\]{0,8}\"|\\[\\]|\\{\\}|true)\n){0,4}.{0,8}") {
        if let Err(problems) = parse(&text) {
            prop_assert!(!problems.is_empty());
            prop_assert!(problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty()));
        }
    }
}
