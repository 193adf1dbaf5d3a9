//! What simple rules say about a prompt's material: findings with their places, facts, and a decision that follows from both.
//!
//! Nothing here is guessed. A finding is a line that a rule matches, a fact is something that was counted, and where nothing was given
//! nothing is said.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use super::code::{Function, Language, functions, standings};
use super::material::{Claim, Extent, File, Material};
use super::rules::broken;
use super::seen::Seen;
use super::severity::Severity;
use crate::domain::money::grouped;

/// Functions from this length on are found too long.
const LONG_LINES: usize = 60;
/// Facts that are kept, at most: more than any answer has room for.
const FACTS_MAX: usize = 80;
/// Findings of one rule in one file that are listed, at most.
const ALIKE_MAX: usize = 3;

static SUPPRESSED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"#\s*type:\s*ignore|#\s*noqa|pylint:\s*disable|#!?\[allow\(|eslint-disable|@ts-ignore")
        .expect("the pattern is a constant that a test compiles")
});
static BAR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(critical|high|medium|low) findings").expect("the pattern is a constant that a test compiles")
});

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) title: String,
    pub(super) severity: Severity,
    pub(super) kind: &'static str,
    pub(super) cwe: Option<u32>,
    pub(super) lint: Option<&'static str>,
    /// `file:line`.
    pub(super) place: String,
    pub(super) quote: String,
    pub(super) problem: String,
    pub(super) fix: String,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// No.
    Against,
    /// Yes, if.
    Conditional,
    /// Yes.
    For,
}

/// A prompt's material, looked through.
pub(super) struct Reading<'a> {
    pub(super) material: Material<'a>,
    /// What tools returned.
    pub(super) seen: &'a Seen,
    pub(super) functions: Vec<Function<'a>>,
    /// The worst first.
    pub(super) findings: Vec<Finding>,
    /// Lines that switch a check off: place and line.
    pub(super) suppressed: Vec<(String, String)>,
    /// True sentences about the material, or about what others said.
    pub(super) facts: Vec<String>,
    lines: usize,
    /// Names that tests mention.
    tested: BTreeSet<&'a str>,
}

impl<'a> Reading<'a> {
    /// Looks through a prompt and what tools returned. Findings are those of an `area` of security, if the role is for one.
    pub(super) fn of(prompt: &'a str, seen: &'a Seen, role: &str) -> Self {
        let mut material = Material::read(prompt);
        for (name, text) in &seen.files {
            if !material.files.iter().any(|file| file.name == name) {
                material.files.push(File { name, text });
            }
        }
        let mut reading = Self {
            functions: material.files.iter().flat_map(functions).collect(),
            lines: material.files.iter().map(|file| file.text.lines().count()).sum(),
            material,
            seen,
            findings: Vec::new(),
            suppressed: Vec::new(),
            facts: Vec::new(),
            tested: BTreeSet::new(),
        };
        reading.look_through();
        let area = role.split_once('[').map(|(_, area)| area.trim_end_matches(']'));
        if let Some(weaknesses) = area.and_then(weaknesses) {
            reading.findings.retain(|finding| finding.cwe.is_some_and(|cwe| weaknesses.contains(&cwe)));
        }
        reading.findings.sort_by_key(|finding| Reverse(finding.severity));
        reading.facts = reading.facts();
        reading
    }

    fn look_through(&mut self) {
        for file in &self.material.files {
            for (number, (line, standing)) in (1..).zip(standings(file)) {
                if standing.in_test {
                    self.tested.extend(line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() > 2));
                }
                let place = format!("{}:{number}", file.name);
                for (rule, quote) in broken(line, standing) {
                    self.findings.push(Finding {
                        title: rule.title.to_owned(),
                        severity: rule.severity,
                        kind: rule.kind,
                        cwe: rule.cwe,
                        lint: rule.lint,
                        place: place.clone(),
                        quote,
                        problem: rule.problem.to_owned(),
                        fix: rule.fix.to_owned(),
                    });
                }
                if SUPPRESSED.is_match(line) && standing.language != Language::Prose {
                    self.suppressed.push((place, line.trim().chars().take(100).collect()));
                }
            }
        }
        for function in self.functions.iter().filter(|function| function.lines >= LONG_LINES) {
            self.findings.push(Finding {
                title: format!("long function `{}`", function.name),
                severity: Severity::Low,
                kind: "design",
                cwe: None,
                lint: Some("PLR0915"),
                place: function.place(),
                quote: format!("{} …", function.name),
                problem: format!("it has {} lines, too many to be seen at once", function.lines),
                fix: "split it where its parts can be named".to_owned(),
            });
        }
    }

    fn facts(&self) -> Vec<String> {
        let mut facts = self.seen.in_words();
        if self.material.files.is_empty() {
            for said in &self.material.said {
                facts.push(format!("{}.", self.in_words(said.role)));
            }
            return facts;
        }
        let mut files: Vec<_> = self.material.files.iter().map(|file| (file.text.lines().count(), file.name)).collect();
        files.sort_by(|a, b| b.cmp(a));
        for (lines, name) in files.iter().take(12) {
            let own = self.functions.iter().filter(|function| function.file == *name);
            facts.push(match own.max_by_key(|function| function.lines) {
                Some(longest) => format!(
                    "`{name}` has {}, and its longest function is `{}` with {} (`{}`).",
                    plural(*lines, "line"),
                    longest.name,
                    plural(longest.lines, "line"),
                    longest.place()
                ),
                None => format!("`{name}` has {}.", plural(*lines, "line")),
            });
        }
        let public: Vec<_> = self.public().collect();
        let bare: Vec<_> = public.iter().filter(|function| !function.is_described).collect();
        if let Some(first) = bare.first() {
            facts.push(format!(
                "Of {} public functions {} have no description; the first is `{}` (`{}`).",
                public.len(),
                bare.len(),
                first.name,
                first.place()
            ));
        }
        for function in self.untested().take(8) {
            facts.push(format!("No test names `{}` (`{}`).", function.name, function.place()));
        }
        for finding in self.listed(usize::MAX) {
            facts.push(format!("The line `{}` reads `{}`: {}.", finding.place, finding.quote, finding.problem));
        }
        for (place, _) in self.suppressed.iter().take(5) {
            facts.push(format!("A check is switched off at `{place}`."));
        }
        facts.truncate(FACTS_MAX);
        facts
    }

    /// Returns the public functions that are no tests.
    pub(super) fn public(&self) -> impl Iterator<Item = &Function<'a>> {
        self.functions
            .iter()
            .filter(|function| function.is_public && !function.is_test && !super::code::is_test_file(function.file))
    }

    /// Returns the public functions that no test names.
    pub(super) fn untested(&self) -> impl Iterator<Item = &Function<'a>> {
        self.public().filter(|function| function.name != "main" && !self.tested.contains(function.name))
    }

    /// Returns at most `most` findings, the worst first, without more of the same than anybody would read.
    pub(super) fn listed(&self, most: usize) -> Vec<&Finding> {
        let mut alike: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut listed = Vec::new();
        for finding in &self.findings {
            let file = finding.place.rsplit_once(':').map_or("", |(file, _)| file);
            let count = alike.entry((finding.title.as_str(), file)).or_default();
            *count += 1;
            if *count <= ALIKE_MAX && listed.len() < most {
                listed.push(finding);
            }
        }
        listed
    }

    /// Returns what there is to report: the material's findings, else those that others reported, without repeating one.
    pub(super) fn claims(&self) -> Vec<Claim> {
        let mut claims: Vec<Claim> = if self.material.files.is_empty() {
            self.material.said.iter().flat_map(|said| &said.claims).cloned().collect()
        } else {
            let claim = |finding: &Finding| Claim {
                severity: finding.severity,
                title: format!("{}: {}", finding.title, finding.problem),
                place: finding.place.clone(),
            };
            self.listed(usize::MAX).into_iter().map(claim).collect()
        };
        let mut seen = BTreeSet::new();
        claims.retain(|claim| seen.insert((claim.place.clone(), claim.title.split(':').next().unwrap_or_default().to_owned())));
        claims.sort_by_key(|claim| Reverse(claim.severity));
        claims
    }

    /// Returns the line of `place`, if the material has it.
    pub(super) fn line(&self, place: &str) -> Option<&'a str> {
        let (name, number) = place.rsplit_once(':')?;
        let file = self.material.files.iter().find(|file| file.name == name)?;
        file.text.lines().nth(number.parse::<usize>().ok()?.checked_sub(1)?)
    }

    /// Returns places that the material has, those of findings first.
    pub(super) fn places(&self) -> Vec<String> {
        let found = self.listed(usize::MAX).into_iter().map(|finding| finding.place.clone());
        found.chain(self.functions.iter().map(Function::place)).collect()
    }

    /// Says in a few words what was looked at.
    pub(super) fn scope(&self) -> Option<String> {
        let files = self.material.files.len();
        if files == 0 {
            return None;
        }
        let mut languages: BTreeMap<Language, usize> = BTreeMap::new();
        for file in &self.material.files {
            *languages.entry(Language::of(file.name)).or_default() += 1;
        }
        let parts: Vec<String> =
            languages.iter().map(|(language, count)| format!("{} {}", grouped(*count as u64), language.name())).collect();
        Some(format!("{} with {} ({})", plural(files, "file"), plural(self.lines, "line"), parts.join(", ")))
    }

    /// Says in two sentences what was found, or why nothing was.
    pub(super) fn summary(&self) -> String {
        let ran = self.seen.ran.iter().map(|ran| match ran.exit {
            Some(code) => format!(" `{}` ended with exit code {code}.", ran.command),
            None => format!(" `{}` did not end by itself.", ran.command),
        });
        self.looked() + &ran.collect::<String>()
    }

    fn looked(&self) -> String {
        if let Some(scope) = self.scope() {
            let Some(worst) = self.findings.first() else {
                return format!("Simple rules looked through {scope} and found nothing; that is no proof.");
            };
            return format!(
                "Simple rules looked through {scope} and found {}: {}. The first is {} at `{}`.",
                plural(self.findings.len(), "thing"),
                self.by_severity(),
                worst.title,
                worst.place
            );
        }
        if self.material.said.iter().any(|said| said.has_output) {
            let claims = self.claims();
            let lacking: Vec<String> = self.lacking().map(|role| format!("`{role}`")).collect();
            let lack = if lacking.is_empty() { String::new() } else { format!(" Without material: {}.", lacking.join(", ")) };
            return match claims.first() {
                Some(worst) => format!(
                    "{} said what they found; the worst of {} is of severity {}: {} (`{}`).{lack}",
                    plural(self.material.said.len(), "agent"),
                    plural(claims.len(), "finding"),
                    worst.severity.name(),
                    worst.title,
                    worst.place
                ),
                None => format!("{} reported no finding.{lack}", plural(self.material.said.len(), "agent")),
            };
        }
        match self.material.not_given.first() {
            Some(input) => {
                format!("No material was given, so nothing was looked at; `--input {input}=PATH` gives it.")
            }
            None => "No material was given, so nothing was looked at.".to_owned(),
        }
    }

    fn by_severity(&self) -> String {
        let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
        for finding in &self.findings {
            *counts.entry(finding.severity).or_default() += 1;
        }
        let parts: Vec<String> = counts.iter().rev().map(|(severity, count)| format!("{count} {}", severity.name())).collect();
        parts.join(", ")
    }

    /// Returns the agents that say that they had no material, or said nothing.
    fn lacking(&self) -> impl Iterator<Item = &'a str> {
        self.material.said.iter().filter(|said| !said.has_output || said.extent == Some(Extent::Missing)).map(|said| said.role)
    }

    /// Says in a line what an agent said.
    pub(super) fn in_words(&self, role: &str) -> String {
        let Some(said) = self.material.said.iter().find(|said| said.role == role) else {
            return format!("`{role}` said nothing");
        };
        if !said.has_output {
            return format!("`{role}` has no output");
        }
        let extent = said.extent.map(|extent| format!(", material {}", extent.name())).unwrap_or_default();
        let verdict = said.verdict.as_ref().map(|verdict| format!(", verdict {verdict}")).unwrap_or_default();
        match said.claims.iter().max_by_key(|claim| claim.severity) {
            Some(worst) => format!(
                "`{role}`: {}, the worst of severity {} at `{}`{extent}{verdict}",
                plural(said.claims.len(), "finding"),
                worst.severity.name(),
                worst.place
            ),
            None => format!("`{role}`: no finding{extent}{verdict}"),
        }
    }

    /// Returns what follows from the findings, one's own and others', and from what is missing. Simple rules prove nothing, so an
    /// unconditional yes never follows.
    pub(super) fn stance(&self) -> Stance {
        let bar = BAR.captures(&self.material.task).and_then(|found| Severity::named(found.get(1)?.as_str()));
        let bar = bar.unwrap_or(Severity::High);
        let said = self.material.said.iter().flat_map(|said| &said.claims).map(|claim| claim.severity);
        let worst = said.chain(self.findings.iter().map(|finding| finding.severity)).max();
        if self.seen.all_passed() == Some(false) || self.against().is_some() {
            return Stance::Against;
        }
        let knows_nothing = self.material.files.is_empty() && self.lacking().count() == self.material.said.len();
        if knows_nothing || worst.is_some_and(|worst| worst >= bar) { Stance::Against } else { Stance::Conditional }
    }

    /// Returns the first agent whose verdict speaks against it, and that names no findings: those are weighed by themselves.
    fn against(&self) -> Option<&'a str> {
        let speaks = |verdict: &String| Stance::of(verdict) == Some(Stance::Against);
        let mut said = self.material.said.iter().filter(|said| said.claims.is_empty());
        said.find(|said| said.verdict.as_ref().is_some_and(speaks)).map(|said| said.role)
    }

    /// Says why the stance is what it is.
    pub(super) fn because(&self) -> String {
        if self.seen.all_passed() == Some(false) {
            return "Because a command failed.".to_owned();
        }
        if let Some(role) = self.against() {
            return format!("Because `{role}` decided against it.");
        }
        let claims = self.claims();
        match (self.stance(), claims.first()) {
            (Stance::Against, Some(worst)) => {
                format!("Because of {} (`{}`), of severity {}.", worst.title, worst.place, worst.severity.name())
            }
            (Stance::Against, None) => "Because nothing was looked at.".to_owned(),
            _ => "Nothing that holds it back was found, and nothing was verified: a real model and the project's own tests have to confirm it."
                .to_owned(),
        }
    }
}

impl Function<'_> {
    /// Returns `file:line` of its beginning.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

impl Stance {
    /// Reads a decision's words; `None` when they decide nothing.
    pub(super) fn of(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let says = |options: &[&str]| options.iter().any(|option| words.contains(option));
        if says(&["no go", "hold", "reject", "request changes", "fail", "not ready", "block", "do not"]) {
            Some(Self::Against)
        } else if says(&["condition", "revise"]) {
            Some(Self::Conditional)
        } else if says(&["go", "approve", "accept", "pass", "ready", "ship"]) {
            Some(Self::For)
        } else {
            None
        }
    }
}

/// The weaknesses of an area of security, by their CWE numbers.
fn weaknesses(area: &str) -> Option<&'static [u32]> {
    Some(match area {
        "Injection" => &[78, 79, 89, 94, 95],
        "Authentication and sessions" => &[287, 384, 613],
        "Authorization" => &[639, 862, 863],
        "Secrets and configuration" => &[312, 319, 489, 532, 798],
        "Cryptography" => &[295, 327, 328, 330],
        "Parsing and deserialization" => &[119, 502, 611],
        "Files and paths" => &[22, 73, 377, 732],
        "Dependencies and build" => &[494, 829],
        "Resource exhaustion" => &[248, 390, 396, 400, 770],
        _ => return None,
    })
}

/// Writes a count with its noun.
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count as u64), if count == 1 { "" } else { "s" })
}
