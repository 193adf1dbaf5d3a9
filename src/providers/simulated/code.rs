//! Code as far as its lines show it: languages, functions with their lengths, what is a test, what has a description.

use std::sync::LazyLock;

use regex::Regex;

use super::material::File;
use super::rules::Standing;

static PYTHON: LazyLock<Regex> = LazyLock::new(|| constant(r"^(\s*)(?:async\s+)?def\s+(\w+)\s*\("));
static RUST: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^(\s*)(pub(?:\([^)]*\))?\s+)?(?:(?:const|async|unsafe|extern\s+\S+)\s+)*fn\s+(\w+)"));
static SCRIPT: LazyLock<Regex> =
    LazyLock::new(|| constant(r"^(\s*)(export\s+)?(?:default\s+)?(?:async\s+)?function\s*\*?\s*(\w+)"));

fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that a test compiles")
}

/// A language whose code is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// JavaScript and TypeScript.
    Script,
    /// Another programming or configuration language.
    Other,
    /// Not code.
    Prose,
}

impl Language {
    pub(super) fn of(name: &str) -> Self {
        let base = name.rsplit('/').next().unwrap_or(name);
        match base.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase().as_str() {
            "py" | "pyi" => Self::Python,
            "rs" => Self::Rust,
            "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" => Self::Script,
            "md" | "markdown" | "rst" | "txt" | "adoc" | "lock" | "svg" | "csv" | "" => Self::Prose,
            _ => Self::Other,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Rust => "Rust",
            Self::Script => "JavaScript or TypeScript",
            Self::Other => "other code or configuration",
            Self::Prose => "text",
        }
    }
}

/// A function, as its lines show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) file: &'a str,
    pub(super) name: &'a str,
    /// Where it begins, from 1.
    pub(super) line: usize,
    pub(super) lines: usize,
    pub(super) is_public: bool,
    pub(super) is_described: bool,
    pub(super) is_test: bool,
    /// Something in it can fail a test.
    pub(super) asserts: bool,
    /// Python: all of its signature has types.
    pub(super) is_typed: bool,
}

/// Returns whether a file holds tests, by its name.
pub(super) fn is_test_file(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split('/').collect();
    let base = parts.pop().unwrap_or(name);
    let stem = base.split('.').next().unwrap_or(base);
    parts.iter().any(|part| ["test", "tests", "__tests__", "spec", "benches"].contains(part))
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || stem == "tests"
        || stem == "conftest"
        || base.contains(".test.")
        || base.contains(".spec.")
}

/// Says of each line of a file where it stands.
pub(super) fn standings<'a>(file: &File<'a>) -> Vec<(&'a str, Standing)> {
    let language = Language::of(file.name);
    let mut in_test = is_test_file(file.name);
    let mut in_text = false;
    let mut standings = Vec::new();
    for line in file.text.lines() {
        let trimmed = line.trim_start();
        in_test |= language == Language::Rust && trimmed.starts_with("#[cfg(test)]");
        let marks = if language == Language::Python { line.matches("\"\"\"").count() + line.matches("'''").count() } else { 0 };
        let is_comment = match language {
            Language::Rust | Language::Script => {
                trimmed.starts_with("//") || trimmed.starts_with("/*") || trimmed.starts_with("* ")
            }
            Language::Python => trimmed.starts_with('#'),
            Language::Other => trimmed.starts_with('#') || trimmed.starts_with("//") || trimmed.starts_with("* "),
            Language::Prose => true,
        };
        standings.push((line, Standing { language, in_test, is_prose: is_comment || in_text || marks > 0 }));
        in_text ^= marks % 2 == 1;
    }
    standings
}

/// Finds the functions of a file.
pub(super) fn functions<'a>(file: &File<'a>) -> Vec<Function<'a>> {
    let language = Language::of(file.name);
    let pattern = match language {
        Language::Python => &PYTHON,
        Language::Rust => &RUST,
        Language::Script => &SCRIPT,
        Language::Other | Language::Prose => return Vec::new(),
    };
    let lines = standings(file);
    let mut functions = Vec::new();
    for (number, (line, standing)) in lines.iter().enumerate() {
        let Some(found) = pattern.captures(line).filter(|_| !standing.is_prose) else { continue };
        let Some(name) = found.get(found.len() - 1).map(|name| name.as_str()) else { continue };
        let indent = found.get(1).map_or(0, |indent| indent.len());
        let length = if language == Language::Python { indented(&lines[number..], indent) } else { braced(&lines[number..]) };
        let body = || lines[number..number + length].iter().map(|(line, _)| *line);
        let above = || lines[..number].iter().rev().map(|(line, _)| line.trim()).take_while(|line| !line.is_empty());
        let (is_public, is_described, is_test) = match language {
            Language::Python => {
                let signature = 1 + body().position(|line| line.trim_end().ends_with(':')).unwrap_or(0);
                let first = body().skip(signature).map(str::trim_start).find(|line| !line.is_empty()).unwrap_or_default();
                let described = ["\"\"\"", "'''", "r\"\"\"", "\"", "'"].iter().any(|mark| first.starts_with(mark));
                (!name.starts_with('_'), described, standing.in_test && name.starts_with("test"))
            }
            _ => {
                let head = above().find(|line| !line.starts_with("#[") || line.starts_with("#[doc")).unwrap_or_default();
                let described = ["///", "/**", "#[doc", "*/", "*"].iter().any(|mark| head.starts_with(mark));
                let public = found.get(2).is_some_and(|word| !word.as_str().contains('('));
                (public, described, above().any(|line| line.starts_with("#[test]") || line.ends_with("::test]")))
            }
        };
        functions.push(Function {
            file: file.name,
            name,
            line: number + 1,
            lines: length,
            is_public,
            is_described,
            is_test,
            asserts: body()
                .any(|line| ["assert", "raises", "expect(", "panic!", "should", "?;"].iter().any(|word| line.contains(word))),
            is_typed: language != Language::Python || is_typed(&body().collect::<Vec<_>>()),
        });
    }
    functions
}

/// Lines of a function that ends where a line begins as far left as it does.
fn indented(lines: &[(&str, Standing)], indent: usize) -> usize {
    let width = |line: &str| line.len() - line.trim_start().len();
    let mut last = 0;
    for (number, (line, _)) in lines.iter().enumerate().skip(1) {
        if line.trim().is_empty() {
            continue;
        }
        // The end of a signature over several lines stands as far left as its beginning.
        if width(line) <= indent && !line.trim_start().starts_with(')') {
            break;
        }
        last = number;
    }
    last + 1
}

/// Lines of a function that ends with its last brace; 1 when it has none.
fn braced(lines: &[(&str, Standing)]) -> usize {
    let (mut depth, mut opened) = (0usize, false);
    for (number, (line, standing)) in lines.iter().enumerate() {
        if standing.is_prose {
            continue;
        }
        for c in line.chars() {
            match c {
                '{' => (depth, opened) = (depth + 1, true),
                '}' => depth = depth.saturating_sub(1),
                ';' if !opened => return number + 1,
                _ => {}
            }
        }
        if opened && depth == 0 {
            return number + 1;
        }
    }
    1
}

/// Returns whether a Python signature says the type of what it takes and of what it returns.
fn is_typed(body: &[&str]) -> bool {
    let end = body.iter().position(|line| line.trim_end().ends_with(':')).unwrap_or(0);
    let signature = body[..=end.min(body.len().saturating_sub(1))].join(" ");
    let Some((_, rest)) = signature.split_once('(') else { return true };
    let Some((arguments, result)) = rest.rsplit_once(')') else { return true };
    let mut depth = 0i32;
    let mut names = vec![String::new()];
    for c in arguments.chars() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(name) = names.last_mut() {
            name.push(c);
        }
    }
    let own = |name: &str| ["", "self", "cls", "*", "/"].contains(&name);
    result.contains("->") && names.iter().map(|name| name.trim()).all(|name| own(name) || name.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_where_they_begin_and_end() {
        let text = "import os\n\n\ndef load(path):\n    \"\"\"Reads.\"\"\"\n    if path:\n        return 1\n\n    return 2\n\n\
            class A:\n    def _go(\n        self,\n        n: int = 1,\n    ) -> int:\n        # def not_me():\n        return n\n";
        let found = functions(&File { name: "a.py", text });
        let short: Vec<_> = found.iter().map(|f| (f.name, f.line, f.lines, f.is_public, f.is_described, f.is_typed)).collect();
        assert_eq!(short, [("load", 4, 6, true, true, false), ("_go", 12, 6, false, false, true)]);
        let text = "/// Adds.\n#[inline]\npub fn add(a: u8) -> u8 {\n    if a > 1 { 2 } else { 3 }\n}\n\nfn bare() {}\n\n\
            #[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(add(1), 3);\n    }\n}\n";
        let found = functions(&File { name: "src/a.rs", text });
        let short: Vec<_> =
            found.iter().map(|f| (f.name, f.line, f.lines, f.is_public, f.is_described, f.is_test, f.asserts)).collect();
        assert_eq!(
            short,
            [
                ("add", 3, 3, true, true, false, false),
                ("bare", 7, 1, false, false, false, false),
                ("adds", 12, 3, false, false, true, true)
            ]
        );
    }

    #[test]
    fn tests_are_known_by_their_names() {
        for name in ["tests/a.py", "test_a.py", "src/a_test.go", "src/tests.rs", "a.spec.ts", "x/__tests__/a.js"] {
            assert!(is_test_file(name), "{name}");
        }
        for name in ["src/latest.py", "contest.rs", "testing.md"] {
            assert!(!is_test_file(name), "{name}");
        }
    }
}
