//! Flaws that a line of code shows by itself. Each rule says what it looks for, so that whoever reads a finding can check it.

use std::sync::LazyLock;

use regex::Regex;

use super::code::Language;
use super::severity::Severity;
use Language::{Python, Rust, Script};

/// A flaw that a line shows.
pub(super) struct Rule {
    pub(super) title: &'static str,
    pub(super) severity: Severity,
    /// In the words of reviewers: correctness, robustness, readability, security…
    pub(super) kind: &'static str,
    pub(super) cwe: Option<u32>,
    /// What a linter calls it.
    pub(super) lint: Option<&'static str>,
    /// Looked for in these languages; in all when empty.
    pub(super) languages: &'static [Language],
    /// Tests are looked through too.
    pub(super) in_tests: bool,
    /// The value stands after the first quote and is not repeated.
    pub(super) is_secret: bool,
    pub(super) problem: &'static str,
    pub(super) fix: &'static str,
    pattern: &'static str,
    /// A line that matches this is fine.
    unless: Option<&'static str>,
}

const PLAIN: Rule = Rule {
    title: "",
    severity: Severity::Low,
    kind: "readability",
    cwe: None,
    lint: None,
    languages: &[],
    in_tests: false,
    is_secret: false,
    problem: "",
    fix: "",
    pattern: "",
    unless: None,
};

const RULES: &[Rule] = &[
    Rule {
        title: "secret in the source",
        severity: Severity::High,
        kind: "security",
        cwe: Some(798),
        lint: Some("S105"),
        is_secret: true,
        problem: "whoever can read the file can use the secret",
        fix: "rotate it, and read it from the environment or a secret store",
        pattern: r#"(?i)\b\w*(?:password|passwd|secret|api_?key|access_?key|auth_?token|access_?token|private_?key)\w*["']?\s*(?::\s*&?(?:'static\s+)?\w+\s*)?[:=]\s*["'][^"'\s]{6,}["']|\[redacted:[a-z-]*(?:key|token|secret|password)\]"#,
        // Names of things, places to fill in, and variables are no secrets.
        unless: Some(r#"[:=]\s*["'][a-z_ ]+["']|(?i:example|your[_-]|\$\{|\{\{|["']<)"#),
        ..PLAIN
    },
    Rule {
        title: "text is run as code",
        severity: Severity::High,
        kind: "security",
        cwe: Some(95),
        lint: Some("S307"),
        languages: &[Python, Script],
        problem: "whoever controls the text controls the program",
        fix: "read the value with a parser, for example `ast.literal_eval` or `JSON.parse`",
        pattern: r"(?:^|[^.\w])(?:eval|exec)\(",
        ..PLAIN
    },
    Rule {
        title: "shell command made from text",
        severity: Severity::High,
        kind: "security",
        cwe: Some(78),
        lint: Some("S602"),
        languages: &[Python],
        problem: "a file name or an argument with shell characters runs other commands",
        fix: "pass a list of arguments and leave the shell out",
        pattern: r"shell\s*=\s*True|\bos\.(?:system|popen)\(",
        ..PLAIN
    },
    Rule {
        title: "query put together from text",
        severity: Severity::High,
        kind: "security",
        cwe: Some(89),
        lint: Some("S608"),
        problem: "a value with a quote in it changes the query",
        fix: "use the driver's placeholders",
        pattern: r#"(?i)\bf["'][^"']*\b(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from)\s|["'][^"']*\b(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from)\s[^"']*["']?[^"']*["']\s*(?:%|\+|\.format\()|format!\(\s*"[^"]*\b(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from)\s"#,
        ..PLAIN
    },
    Rule {
        title: "objects are loaded from bytes that may be hostile",
        severity: Severity::High,
        kind: "security",
        cwe: Some(502),
        lint: Some("S301"),
        languages: &[Python],
        problem: "loading runs code that the bytes name",
        fix: "use a format that holds only data, such as JSON or `yaml.safe_load`",
        pattern: r"\b(?:pickle|marshal|dill)\.loads?\(|\byaml\.load\(",
        unless: Some(r"SafeLoader"),
        ..PLAIN
    },
    Rule {
        title: "certificates are not checked",
        severity: Severity::High,
        kind: "security",
        cwe: Some(295),
        lint: Some("S501"),
        problem: "whoever is on the way can read and change what is sent",
        fix: "check certificates; trust a private authority by name where one is needed",
        pattern: r"verify\s*=\s*False|danger_accept_invalid_certs\(\s*true|rejectUnauthorized\s*:\s*false|InsecureSkipVerify\s*:\s*true",
        ..PLAIN
    },
    Rule {
        title: "weak hash",
        severity: Severity::Medium,
        kind: "security",
        cwe: Some(328),
        lint: Some("S324"),
        problem: "collisions can be made, so it proves nothing about content that others choose",
        fix: "use SHA-256 or BLAKE3; for passwords argon2",
        pattern: r#"\bhashlib\.(?:md5|sha1)\(|createHash\(["'](?:md5|sha1)["']\)|\bMd5::new\(|\bSha1::new\("#,
        ..PLAIN
    },
    Rule {
        title: "debug mode is switched on",
        severity: Severity::Medium,
        kind: "security",
        cwe: Some(489),
        lint: Some("S201"),
        languages: &[Python, Script],
        problem: "errors show code and values to whoever causes them",
        fix: "read it from the environment, off by default",
        pattern: r"\bdebug\s*=\s*True\b|^\s*DEBUG\s*=\s*True\b",
        ..PLAIN
    },
    Rule {
        title: "files are open to everybody",
        severity: Severity::Medium,
        kind: "security",
        cwe: Some(732),
        lint: Some("S103"),
        problem: "every user of the machine can change them",
        fix: "give the least that works, for example 0600",
        pattern: r"chmod\([^)]*0o?777|\bchmod\s+(?:-R\s+)?777\b|from_mode\(0o777\)",
        ..PLAIN
    },
    Rule {
        title: "bare except",
        severity: Severity::Medium,
        kind: "robustness",
        cwe: Some(396),
        lint: Some("E722"),
        languages: &[Python],
        in_tests: true,
        problem: "it catches everything, an interrupt and a misspelled name too",
        fix: "name the exceptions that can be handled here",
        pattern: r"^\s*except\s*:",
        ..PLAIN
    },
    Rule {
        title: "mutable default argument",
        severity: Severity::Medium,
        kind: "correctness",
        lint: Some("B006"),
        languages: &[Python],
        in_tests: true,
        problem: "all calls share one object, so what one call adds the next one sees",
        fix: "default to `None` and make the object inside",
        pattern: r"^\s*(?:async\s+)?def\s+\w+\(.*=\s*(?:\[\]|\{\}|list\(\)|dict\(\)|set\(\))",
        ..PLAIN
    },
    Rule {
        title: "panics instead of returning an error",
        severity: Severity::Medium,
        kind: "robustness",
        cwe: Some(248),
        lint: Some("clippy::unwrap_used"),
        languages: &[Rust],
        problem: "a value that is missing or wrong ends the program",
        fix: "return the error with `?`, or say why it cannot happen",
        pattern: r"\.unwrap\(\)|\bpanic!\(|\btodo!\(|\bunimplemented!\(",
        ..PLAIN
    },
    Rule {
        title: "unsafe code",
        severity: Severity::Medium,
        kind: "correctness",
        cwe: Some(119),
        lint: Some("unsafe_code"),
        languages: &[Rust],
        problem: "the compiler does not check what happens here",
        fix: "use a safe interface, or say in a SAFETY comment what it rests on",
        pattern: r"\bunsafe\s*\{|\bunsafe\s+(?:fn|impl)\b",
        ..PLAIN
    },
    Rule {
        title: "error is dropped",
        severity: Severity::Medium,
        kind: "robustness",
        cwe: Some(390),
        lint: Some("no-empty"),
        languages: &[Script],
        problem: "what fails here is never heard of",
        fix: "handle it, or let it through",
        pattern: r"catch\s*(?:\([^)]*\))?\s*\{\s*\}",
        ..PLAIN
    },
    Rule {
        title: "traffic without encryption",
        severity: Severity::Low,
        kind: "security",
        cwe: Some(319),
        problem: "what is sent can be read and changed on the way",
        fix: "use https",
        pattern: r#"["']http://[A-Za-z0-9]"#,
        unless: Some(r"http://(?:localhost|127\.|0\.0\.0\.0|www\.w3\.org|schemas\.|json-schema\.org|example\.)"),
        ..PLAIN
    },
    Rule {
        title: "path of one machine",
        severity: Severity::Low,
        kind: "design",
        lint: Some("hard-coded-path"),
        problem: "it does not work on any other machine",
        fix: "take it from a setting or from the environment",
        pattern: r#"["'](?:/home/\w|/Users/\w|[A-Z]:\\+Users\\)"#,
        ..PLAIN
    },
    Rule {
        title: "debug output left in",
        severity: Severity::Low,
        kind: "readability",
        lint: Some("T100"),
        problem: "it was for whoever wrote it, and now everybody gets it",
        fix: "remove it",
        pattern: r"\bdbg!\(|\bconsole\.log\(|\bbreakpoint\(\)|\bpdb\.set_trace\(|\bdebugger;",
        ..PLAIN
    },
    Rule {
        title: "comparison with None by value",
        severity: Severity::Low,
        kind: "readability",
        lint: Some("E711"),
        languages: &[Python],
        in_tests: true,
        problem: "a class that defines equality may say yes",
        fix: "write `is None` or `is not None`",
        pattern: r"[!=]=\s*None\b",
        ..PLAIN
    },
];

/// Work that somebody left for later stands in comments, where no other rule looks.
pub(super) const TODO: Rule = Rule {
    title: "unfinished work",
    severity: Severity::Low,
    kind: "readability",
    lint: Some("FIX002"),
    in_tests: true,
    problem: "somebody left work for later",
    fix: "do it, or write down who needs it and when",
    pattern: r"(?:^|\s)(?:#|//+!?|/\*|\*|--|<!--|;)\s*.*\b(?:TODO|FIXME|XXX|HACK)\b",
    ..PLAIN
};

static COMPILED: LazyLock<Vec<(&Rule, Regex, Option<Regex>)>> = LazyLock::new(|| RULES.iter().map(compiled).collect());
static UNFINISHED: LazyLock<(&Rule, Regex, Option<Regex>)> = LazyLock::new(|| compiled(&TODO));

fn compiled(rule: &'static Rule) -> (&'static Rule, Regex, Option<Regex>) {
    let regex = |pattern: &str| Regex::new(pattern).expect("the pattern is a constant that a test compiles");
    (rule, regex(rule.pattern), rule.unless.map(regex))
}

/// Where a line of code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) language: Language,
    pub(super) in_test: bool,
    /// The line is a comment or part of a text.
    pub(super) is_prose: bool,
}

/// Returns the rules that a line breaks, and what may be quoted of it.
pub(super) fn broken(line: &str, standing: Standing) -> Vec<(&'static Rule, String)> {
    let rules = COMPILED.iter().filter(|_| !standing.is_prose).chain(std::iter::once(&*UNFINISHED));
    let breaks = |(rule, pattern, unless): &&(&'static Rule, Regex, Option<Regex>)| {
        (rule.languages.is_empty() || rule.languages.contains(&standing.language))
            && (rule.in_tests || !standing.in_test)
            && pattern.is_match(line)
            && !unless.as_ref().is_some_and(|unless| unless.is_match(line))
    };
    rules.filter(breaks).map(|(rule, ..)| (*rule, quote(line, rule.is_secret))).collect()
}

const QUOTE_CHARS: usize = 100;

/// What is shown of a line. A secret's value is not.
fn quote(line: &str, is_secret: bool) -> String {
    let line = line.trim();
    let shown = if is_secret { line.find(['"', '\'']).map_or("", |at| &line[..=at]) } else { line };
    let cut: String = shown.chars().take(QUOTE_CHARS).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(language: Language, line: &str) -> Vec<&'static str> {
        broken(line, Standing { language, in_test: false, is_prose: false }).into_iter().map(|(rule, _)| rule.title).collect()
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        let other = Language::Other;
        for (language, line, title) in [
            (Python, r#"API_KEY = "abcdef123456""#, "secret in the source"),
            (Rust, r#"const API_KEY: &str = "abcdef123456";"#, "secret in the source"),
            (other, "token: \"[redacted:api-key]\"", "secret in the source"),
            (Python, "x = eval(text)", "text is run as code"),
            (Python, "subprocess.run(cmd, shell=True)", "shell command made from text"),
            (Python, r#"db.execute(f"SELECT * FROM users WHERE id = {id}")"#, "query put together from text"),
            (Python, r#"db.execute("SELECT * FROM users WHERE id = '%s'" % id)"#, "query put together from text"),
            (Rust, r#"let q = format!("DELETE FROM t WHERE id = {id}");"#, "query put together from text"),
            (Python, "pickle.loads(data)", "objects are loaded from bytes that may be hostile"),
            (Python, "requests.get(url, verify=False)", "certificates are not checked"),
            (Python, "hashlib.md5(x)", "weak hash"),
            (Python, "app.run(debug=True)", "debug mode is switched on"),
            (other, "chmod 777 data", "files are open to everybody"),
            (Python, "    except:", "bare except"),
            (Python, "def f(a, b=[]):", "mutable default argument"),
            (Rust, "let x = y.unwrap();", "panics instead of returning an error"),
            (Rust, "unsafe { *p }", "unsafe code"),
            (Script, "try { f() } catch (e) {}", "error is dropped"),
            (Python, r#"get("http://shop.test/x")"#, "traffic without encryption"),
            (Python, r#"open("/home/ann/data.csv")"#, "path of one machine"),
            (Rust, "dbg!(x);", "debug output left in"),
            (Python, "if x == None:", "comparison with None by value"),
            (Rust, "let x = 1; // TODO: two", "unfinished work"),
        ] {
            assert!(titles(language, line).contains(&title), "{line}: {:?}", titles(language, line));
        }
        for rule in RULES {
            assert!(
                !rule.problem.is_empty() && !rule.fix.is_empty() && rule.lint.is_some() | rule.cwe.is_some(),
                "{}",
                rule.title
            );
        }
    }

    #[test]
    fn lines_that_only_look_alike_are_fine() {
        for (language, line) in [
            (Python, "model.eval()"),
            (Python, "yaml.load(text, Loader=SafeLoader)"),
            (Python, "except ValueError:"),
            (Python, r#"password = os.environ["APP_PASSWORD"]"#),
            (Python, r#"get("http://localhost:8000")"#),
            (Rust, "x.unwrap_or_default()"),
            (Python, "todo = 3"),
            (Rust, r#"AccessToken = "access_token","#),
            (Python, r#"API_KEY = "your-api-key-here-1""#),
        ] {
            assert!(titles(language, line).is_empty(), "{line}: {:?}", titles(language, line));
        }
    }

    #[test]
    fn a_secret_is_not_repeated() {
        let standing = Standing { language: Python, in_test: false, is_prose: false };
        let (_, quote) = broken(r#"password = "hunter2hunter2"  # the real one"#, standing).remove(0);
        assert_eq!(quote, r#"password = "…"#);
    }
}
