//! Items of JSON answers, made from what was found: which list of an answer's form is about what, told by the names of its fields.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::material::Extent;
use super::reading::{Finding, Reading};
use super::severity::Severity;

/// Items of one list, at most: answers stay short enough to be read.
const ITEMS_MAX: usize = 8;

/// A value for each name that the form may use.
pub(super) type Record = Map<String, Value>;

impl Reading<'_> {
    /// Returns the items of a list called `key` whose items have these fields; `None` when the fields say nothing about what belongs there.
    pub(super) fn records(&self, key: &str, fields: &[&str]) -> Option<Vec<Record>> {
        let has = |names: &[&str]| names.iter().all(|name| fields.contains(name));
        let any = |names: &[&str]| names.iter().any(|name| fields.contains(name));
        let mut records = if has(&["claim", "how_to_check"]) {
            self.open_claims()
        } else if has(&["exit_code"]) {
            self.ran()
        } else if has(&["likely_cause"]) {
            self.failures()
        } else if has(&["name", "version"]) {
            // Which versions are affected no rule knows.
            Vec::new()
        } else if has(&["documented"]) {
            let item = |described: bool| if described { "yes" } else { "no" };
            let public = self.public();
            public.map(|f| record([("item", json!(f.name)), ("documented", json!(item(f.is_described)))])).collect()
        } else if has(&["justified"]) {
            let suppressed = self.suppressed.iter();
            suppressed
                .map(|(place, line)| at(place, [("quote", json!(line)), ("justified", json!("unknown")), ("why", json!(line))]))
                .collect()
        } else if has(&["can_fail"]) {
            self.tests()
        } else if key == "weak_tests" {
            let weak = self.functions.iter().filter(|function| function.is_test && !function.asserts);
            weak.map(|test| at(&test.place(), [("problem", json!(format!("nothing in `{}` can fail", test.name)))])).collect()
        } else if has(&["symbol"]) {
            self.gaps()
        } else if has(&["doc", "code"]) {
            self.undescribed()
        } else if any(&["where", "file", "path", "place", "location", "line"]) {
            self.flaws(fields)
        } else {
            return None;
        };
        records.truncate(ITEMS_MAX);
        Some(records)
    }

    /// The commands that were run, each with how it ended.
    fn ran(&self) -> Vec<Record> {
        let ended = self.seen.ran.iter().filter_map(|ran| Some((ran, ran.exit?)));
        let run = ended
            .map(|(ran, exit)| record([("command", json!(ran.command)), ("exit_code", json!(exit)), ("tail", json!(ran.tail))]));
        run.collect()
    }

    /// The tests that the output of a command names as failed.
    fn failures(&self) -> Vec<Record> {
        let failures = self.seen.ran.iter().flat_map(|ran| &ran.failures);
        let failure = failures.map(|failure| {
            at(
                &failure.place,
                [
                    ("test", json!(failure.test)),
                    ("message", json!(failure.message)),
                    ("likely_cause", json!("not known: simple rules read the output, no model did")),
                    ("kind", json!("unknown")),
                ],
            )
        });
        failure.collect()
    }

    fn flaws(&self, fields: &[&str]) -> Vec<Record> {
        let has = |name: &str| fields.contains(&name);
        if has("code") && has("quote") {
            return self.untyped();
        }
        // Who is asked to look again at what others found says what became of each finding.
        let said: Vec<_> = self.material.said.iter().filter(|said| said.extent.is_some()).flat_map(|said| &said.claims).collect();
        if !said.is_empty() && has("quote") && !has("cwe") {
            let mut seen = BTreeSet::new();
            let again = said.into_iter().filter(|claim| seen.insert((&claim.place, &claim.title)));
            return again.map(|claim| self.seen_again(&claim.title, claim.severity, &claim.place)).collect();
        }
        let wanted = |finding: &&Finding| (!has("cwe") || finding.cwe.is_some()) && (!has("rule") || finding.lint.is_some());
        self.listed(usize::MAX).into_iter().filter(wanted).map(flaw).collect()
    }

    fn seen_again(&self, title: &str, severity: Severity, place: &str) -> Record {
        let line = self.line(place).map(str::trim);
        let (problem, fix) = match line {
            Some(line) if !line.is_empty() => {
                let own = self.findings.iter().find(|finding| finding.place == place);
                let quote = own.map_or_else(|| line.chars().take(100).collect(), |finding| finding.quote.clone());
                (format!("stands: the line is there and reads `{quote}`"), own.map_or("", |finding| &finding.fix).to_owned())
            }
            _ => ("open: the line is not in the material here".to_owned(), "give the material that it stands in".to_owned()),
        };
        let kind = self.findings.iter().find(|finding| finding.place == place).map_or("correctness", |finding| finding.kind);
        let quote = self.findings.iter().find(|finding| finding.place == place).map_or("", |finding| &finding.quote);
        at(
            place,
            [
                ("title", json!(title)),
                ("severity", json!(severity.name())),
                ("kind", json!(kind)),
                ("quote", json!(quote)),
                ("problem", json!(problem)),
                ("fix", json!(fix)),
            ],
        )
    }

    fn untyped(&self) -> Vec<Record> {
        let untyped = self.functions.iter().filter(|function| !function.is_typed && !function.is_test);
        let record = |function: &super::code::Function<'_>| {
            at(
                &function.place(),
                [
                    ("title", json!(format!("`{}` has no full signature", function.name))),
                    ("code", json!("no-untyped-def")),
                    ("severity", json!("low")),
                    ("quote", json!(self.line(&function.place()).unwrap_or_default().trim())),
                    ("problem", json!("a checker believes whatever is passed and returned")),
                    ("fix", json!("annotate every argument and the result")),
                ],
            )
        };
        untyped.map(record).collect()
    }

    fn gaps(&self) -> Vec<Record> {
        let gap = |function: &super::code::Function<'_>| {
            at(
                &function.place(),
                [
                    ("symbol", json!(function.name)),
                    ("missing", json!("whole function")),
                    ("risk", json!(if function.lines > 20 { "medium" } else { "low" })),
                    ("severity", json!("low")),
                    ("why_it_matters", json!(format!("no test in the material names `{}`", function.name))),
                    ("test_idea", json!(format!("call `{}` with a usual value and with an empty one", function.name))),
                    ("effort", json!(if function.lines > 40 { "medium" } else { "small" })),
                ],
            )
        };
        self.untested().map(gap).collect()
    }

    fn undescribed(&self) -> Vec<Record> {
        let missing = self.public().filter(|function| !function.is_described);
        let record = |function: &super::code::Function<'_>| {
            record([
                ("kind", json!("missing")),
                ("severity", json!("low")),
                ("doc", json!("")),
                ("code", json!(function.place())),
                ("quote", json!(self.line(&function.place()).unwrap_or_default().trim())),
                ("problem", json!(format!("`{}` is public and has no description", function.name))),
                ("fix", json!(format!("say in a sentence what `{}` does and returns", function.name))),
            ])
        };
        missing.map(record).collect()
    }

    fn tests(&self) -> Vec<Record> {
        let tests = self.functions.iter().filter(|function| function.is_test);
        let record = |test: &super::code::Function<'_>| {
            let problems = if test.asserts { json!([]) } else { json!([format!("nothing in it can fail: {}", test.place())]) };
            record([
                ("name", json!(test.name)),
                ("verdict", json!("unknown")),
                ("can_fail", json!(if test.asserts { "unknown" } else { "no" })),
                ("catches", json!("not known: nothing was run")),
                ("problems", problems),
            ])
        };
        tests.map(record).collect()
    }

    fn open_claims(&self) -> Vec<Record> {
        let open = |claim: String, check: String| record([("claim", json!(claim)), ("how_to_check", json!(check))]);
        let mut claims = Vec::new();
        for input in &self.material.not_given {
            claims.push(open(
                format!("anything about `{input}`, which was not given"),
                format!("run again with --input {input}=PATH"),
            ));
        }
        if let Some(finding) = self.findings.first() {
            claims.push(open(
                format!("that `{}` does harm as it is used", finding.place),
                format!("read `{}` and whoever calls it", finding.place),
            ));
        }
        claims.push(open(
            "everything that needs understanding: this answer is simulated, and no model read the material".to_owned(),
            "run the template with a real model, for example --preset anthropic".to_owned(),
        ));
        claims
    }

    /// Returns the lines of a list of texts called `key`; `None` when nothing is known for it.
    pub(super) fn texts(&self, key: &str) -> Option<Vec<String>> {
        let first = |lines: Vec<String>| lines.into_iter().take(4).collect::<Vec<_>>();
        Some(match key {
            "problems" | "configuration" | "questions" => Vec::new(),
            "strengths" | "checked_and_fine" => {
                let described = self.public().filter(|function| function.is_described);
                first(described.map(|f| format!("`{}` says what it does (`{}`)", f.name, f.place())).collect())
            }
            "missing" => first(self.untested().map(|f| format!("no test names `{}` (`{}`)", f.name, f.place())).collect()),
            "next_steps" => match self.findings.first() {
                Some(_) => first(self.listed(4).iter().map(|it| format!("Mend `{}`: {}.", it.place, it.fix)).collect()),
                None => self.material.not_given.iter().map(|input| format!("Give `--input {input}=PATH`.")).collect(),
            },
            _ => return None,
        })
    }

    /// Returns the text of a field called `key`; `None` when nothing is known for it.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        Some(match key {
            "summary" => format!("Simulated answer, no model was called. {}", self.summary()),
            "linter" | "checker" => match self.seen.ran.first() {
                Some(ran) => format!("`{}`, run as a tool", ran.command),
                None => "none was run; simple rules read the text".to_owned(),
            },
            "source" => "no report in the material was read".to_owned(),
            "threat_model" => match self.functions.iter().find(|function| function.name == "main").or(self.functions.first()) {
                Some(entry) => format!("Whoever calls `{}` (`{}`) is taken to choose its arguments.", entry.name, entry.place()),
                None => "None: no code was read.".to_owned(),
            },
            _ => return None,
        })
    }

    /// Returns which of `options` a field called `key` says; `None` when that is not about the material.
    pub(super) fn option<'o>(&self, key: &str, options: &[&'o str], found: usize) -> Option<&'o str> {
        let named = |name: &str| options.iter().find(|option| **option == name).copied();
        match key {
            "material" => named(self.material.extent().name()).or_else(|| {
                // A form may have no word for a part of the material.
                (self.material.extent() != Extent::Missing).then(|| named("given")).flatten()
            }),
            "verdict" | "decision" if found == 0 && self.seen.all_passed() == Some(true) => {
                ["pass", "clean"].into_iter().find_map(named).or_else(|| named("unknown"))
            }
            "verdict" | "decision" if found == 0 && self.seen.all_passed().is_none() => named("unknown"),
            "verdict" | "decision" => {
                let against = ["findings", "request changes", "revise", "reject", "fail", "hold", "no go"];
                against.into_iter().find_map(named)
            }
            _ => None,
        }
    }
}

fn flaw(finding: &Finding) -> Record {
    at(
        &finding.place,
        [
            ("title", json!(finding.title)),
            ("name", json!(finding.title)),
            ("cwe", json!(finding.cwe.unwrap_or(710))),
            ("rule", json!(finding.lint.unwrap_or(""))),
            ("severity", json!(finding.severity.name())),
            ("risk", json!(finding.severity.name())),
            ("confidence", json!("possible")),
            ("kind", json!(finding.kind)),
            ("category", json!(finding.kind)),
            ("quote", json!(finding.quote)),
            ("problem", json!(finding.problem)),
            ("message", json!(finding.problem)),
            ("description", json!(finding.problem)),
            ("attack", json!(finding.problem)),
            ("fix", json!(finding.fix)),
            ("recommendation", json!(finding.fix)),
            ("test", json!(format!("`{}` no longer reads so, and a test shows why", finding.place))),
            ("automatic", json!(false)),
        ],
    )
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Record {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A record about a place, under the names that forms give it.
fn at<const N: usize>(place: &str, fields: [(&str, Value); N]) -> Record {
    let mut record = record(fields);
    let (file, line) = place.rsplit_once(':').unwrap_or((place, "0"));
    for name in ["where", "place", "location"] {
        record.insert(name.to_owned(), json!(place));
    }
    for name in ["file", "path"] {
        record.insert(name.to_owned(), json!(file));
    }
    record.insert("line".to_owned(), json!(line.parse::<u64>().unwrap_or_default()));
    record
}
