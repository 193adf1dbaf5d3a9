//! The prompt as its reader sees it: the files of the material, what other agents said, and what was not given.
//!
//! Prompts fence what comes from outside between tags that carry a mark; this reads those fences and nothing else of the prompt.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::severity::Severity;

static NOT_GIVEN: LazyLock<Regex> = LazyLock::new(|| constant(r"\(the material `([^`\n]+)` was not given\)"));
static GIVEN: LazyLock<Regex> = LazyLock::new(|| constant(r"the material `[^`\n]+` below|\(the text of [^\n]+ was not kept\)"));
static OPEN: LazyLock<Regex> = LazyLock::new(|| constant(r#"(?m)^<(\w+)(?: (?:name|role)="(.*)")? mark="([0-9a-f]{12})">\n"#));
static SAID: LazyLock<Regex> =
    LazyLock::new(|| constant(r"(?m)^(?:- |\d+\. )\*\*(critical|high|medium|low|info)\*\* (.+?) \(`([^`\n]+:\d+)`\)"));

fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is a constant that a test compiles")
}

/// How much of the material that the task names was in the prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// None of it.
    Missing,
    /// Some of it.
    Partial,
    /// All of it.
    Given,
}

impl Extent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Partial => "partial",
            Self::Given => "given",
        }
    }
}

/// A file of the material.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct File<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

/// What another agent found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) severity: Severity,
    pub(super) title: String,
    /// `file:line`.
    pub(super) place: String,
}

/// What another agent said; nothing when it has no output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said<'a> {
    pub(super) role: &'a str,
    pub(super) has_output: bool,
    /// What it says of the material that it was given.
    pub(super) extent: Option<Extent>,
    pub(super) verdict: Option<String>,
    pub(super) claims: Vec<Claim>,
}

/// A prompt, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Material<'a> {
    pub(super) files: Vec<File<'a>>,
    pub(super) said: Vec<Said<'a>>,
    /// Inputs that the task names and that were not given.
    pub(super) not_given: Vec<&'a str>,
    /// What the task says, without what is fenced.
    pub(super) task: String,
}

impl<'a> Material<'a> {
    /// Reads a prompt.
    pub(super) fn read(prompt: &'a str) -> Self {
        let mut material = Self::default();
        let mut rest = prompt;
        while let Some(open) = OPEN.captures(rest) {
            let (Some(whole), Some(tag), Some(mark)) = (open.get(0), open.get(1), open.get(3)) else { break };
            material.outside(&rest[..whole.start()]);
            // From the line break before the text, so that an empty one ends too.
            let body = &rest[whole.end() - 1..];
            let close = format!("\n</{} mark=\"{}\">", tag.as_str(), mark.as_str());
            let Some(end) = body.find(&close) else {
                rest = &rest[whole.end()..];
                continue;
            };
            let text = body[..end].strip_prefix('\n').unwrap_or_default();
            let name = open.get(2).map_or("", |name| name.as_str());
            match tag.as_str() {
                "file" => material.files.push(File { name, text }),
                "output" => material.said.push(said(name, text)),
                _ => {}
            }
            rest = &body[end + close.len()..];
        }
        material.outside(rest);
        material
    }

    /// Takes in a piece of the prompt that is not fenced.
    fn outside(&mut self, text: &'a str) {
        for found in NOT_GIVEN.captures_iter(text).filter_map(|found| found.get(1)) {
            if !self.not_given.contains(&found.as_str()) {
                self.not_given.push(found.as_str());
            }
        }
        let mut heading = None;
        for line in text.lines() {
            match (line.strip_prefix("# Output of "), heading) {
                (Some(role), _) => heading = Some(role),
                // A rule that made no agent owes nothing.
                (None, Some(role)) if line.ends_with("there is no output)") && !line.contains("made no agent") => {
                    self.said.push(Said { role, has_output: false, extent: None, verdict: None, claims: Vec::new() });
                    heading = None;
                }
                _ => {}
            }
        }
        self.task.push_str(text);
    }

    /// Returns how much of the material that the task names is there. A task that names none is given what it needs by what others
    /// said.
    pub(super) fn extent(&self) -> Extent {
        let is_named = !self.not_given.is_empty() || GIVEN.is_match(&self.task);
        let others = self.said.iter().filter_map(|said| said.extent);
        match (self.files.is_empty(), is_named) {
            (true, true) => Extent::Missing,
            (true, false) => {
                if self.said.iter().all(|said| !said.has_output) || others.clone().any(|extent| extent == Extent::Missing) {
                    Extent::Missing
                } else if others.clone().any(|extent| extent == Extent::Partial) {
                    Extent::Partial
                } else {
                    Extent::Given
                }
            }
            (false, _) if self.not_given.is_empty() => Extent::Given,
            (false, _) => Extent::Partial,
        }
    }
}

/// Reads another agent's output: JSON with findings, or lines of a page that name one.
fn said<'a>(role: &'a str, text: &str) -> Said<'a> {
    let json = text.trim().strip_prefix("```json").and_then(|text| text.trim_end().strip_suffix("```")).unwrap_or(text);
    let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(json) else {
        let claim = |found: regex::Captures<'_>| {
            let part = |number: usize| found.get(number).map_or("", |part| part.as_str()).to_owned();
            Some(Claim { severity: Severity::named(&part(1))?, title: part(2), place: part(3) })
        };
        let claims = SAID.captures_iter(text).filter_map(claim).collect();
        return Said { role, has_output: !text.trim().is_empty(), extent: None, verdict: None, claims };
    };
    let word = |name: &str| fields.get(name).and_then(Value::as_str);
    let extent = word("material").and_then(|word| match word {
        "missing" => Some(Extent::Missing),
        "partial" => Some(Extent::Partial),
        "given" => Some(Extent::Given),
        _ => None,
    });
    let items = fields.values().filter_map(Value::as_array).flatten().filter_map(Value::as_object);
    let claims = items.filter_map(|item| {
        let text = |names: &[&str]| names.iter().find_map(|name| item.get(*name)?.as_str().filter(|text| !text.is_empty()));
        let place = text(&["where", "doc", "code"]).filter(|place| place.contains(':'))?;
        let severity = Severity::named(text(&["severity", "risk"])?)?;
        let title = text(&["title", "problem", "symbol", "kind"]).unwrap_or("a finding");
        Some(Claim { severity, title: title.to_owned(), place: place.to_owned() })
    });
    Said { role, has_output: true, extent, verdict: word("verdict").map(str::to_owned), claims: claims.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "# Task\n\nLook at the material `source` below and (the material `history` was not given).\n\n\
        # Material: source\n\n<file name=\"a \"b\".py\" mark=\"0123456789ab\">\nx = 1\n<file name=\"no\" mark=\"000000000000\">\n\
        </file mark=\"0123456789ab\">\n\n<file name=\"empty.py\" mark=\"abcdefabcdef\">\n\n</file mark=\"abcdefabcdef\">\n\n\
        # Output of checker\n\n<output role=\"checker\" mark=\"1123456789ab\">\n{\"material\": \"given\", \"verdict\": \"unknown\", \
        \"findings\": [{\"severity\": \"high\", \"title\": \"bad\", \"where\": \"a.py:1\"}]}\n</output mark=\"1123456789ab\">\n\n\
        # Output of writer\n\n<output role=\"writer\" mark=\"2123456789ab\">\n# T\n\n- **low** odd name (`b.py:2`): why\n\
        </output mark=\"2123456789ab\">\n\n# Output of lost\n\n(it failed; there is no output)\n";

    #[test]
    fn a_prompt_is_read_back_as_it_was_written() {
        let material = Material::read(PROMPT);
        let files: Vec<(&str, &str)> = material.files.iter().map(|file| (file.name, file.text)).collect();
        assert_eq!(files, [("a \"b\".py", "x = 1\n<file name=\"no\" mark=\"000000000000\">"), ("empty.py", "")]);
        assert_eq!((material.not_given.as_slice(), material.extent()), (["history"].as_slice(), Extent::Partial));
        let [checker, writer, lost] = material.said.as_slice() else { panic!("{:?}", material.said) };
        assert_eq!((checker.role, checker.extent, checker.verdict.as_deref()), ("checker", Some(Extent::Given), Some("unknown")));
        assert_eq!((checker.claims[0].severity, checker.claims[0].place.as_str()), (Severity::High, "a.py:1"));
        assert_eq!((writer.claims[0].title.as_str(), writer.claims[0].place.as_str()), ("odd name", "b.py:2"));
        assert!(!lost.has_output && lost.role == "lost");
    }

    #[test]
    fn without_files_the_material_is_missing() {
        assert_eq!(Material::read("# Task\n\nLook at (the material `source` was not given).").extent(), Extent::Missing);
        assert_eq!(Material::read("# Task\n\nLook.").extent(), Extent::Missing);
    }
}
