//! Pages of Markdown: under each heading what its name asks for, as far as the material shows it.

use std::sync::LazyLock;

use regex::Regex;

use crate::domain::call::CallContext;
use crate::domain::criterion::{Check, Criterion};

use super::answer::Page;
use super::draw::Draw;
use super::matching::matching;
use super::phrases::Phrases;
use super::reading::{Reading, Stance};
use super::steer::VARIANTS;

/// Lines of a list, at most.
const LINES_MAX: usize = 8;

static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"#{1,4} [A-Za-z0-9][^#\n`"',;:.(|]*"#).expect("the pattern is a constant that a test compiles")
});

/// A page with the contract's headings.
pub(super) fn page(context: &CallContext, description: &str, phrases: &Phrases<'_>, draw: &Draw) -> Page {
    let reading = phrases.reading;
    let notice = format!(
        "> Simulated answer: no model was called (role {}, tier {}, attempt {}).",
        context.role, context.tier, context.attempt
    );
    let notice = match reading.scope() {
        Some(scope) => format!("{notice} Simple rules looked through {scope}."),
        None => notice,
    };
    let notice = match reading.seen.tools() {
        Some(tools) => format!("{notice} Tools: {tools}."),
        None => notice,
    };
    let mut page = Page::new(notice);
    let mut headings = headings(description);
    if headings.is_empty() {
        headings = vec!["## Summary".to_owned(), "## Details".to_owned(), "## Next steps".to_owned()];
    }
    let decision = decision(&context.criteria, reading);
    let on_top = description.contains("first line");
    if let Some(decision) = decision.as_ref().filter(|_| on_top) {
        page.push(decision.as_str(), true);
    }
    // About 17 words a sentence, and at least one sentence a section.
    let sentences = (110 + draw.number("length", 0) % 180) / 17;
    let each = (sentences / headings.len() as u64).clamp(1, 3);
    let mut facts = 0;
    for (heading, number) in headings.iter().zip(0u64..) {
        page.push(heading.as_str(), true);
        if let Some(decision) = decision.as_ref().filter(|_| number == 0 && !on_top) {
            page.push(decision.as_str(), true);
            page.push(reading.because(), true);
        }
        match body(heading, reading) {
            // Nothing that simple rules find is sure.
            Some(lines) if number == 0 && description.contains("`Confidence: low`") => {
                page.push(lines, true);
                page.push("Confidence: low", true);
            }
            Some(lines) => page.push(lines, true),
            None => {
                page.push(phrases.paragraph(facts, each), false);
                facts += each;
            }
        }
    }
    page
}

/// Returns what stands under a heading; `None` when its name asks for nothing that is known.
fn body(heading: &str, reading: &Reading<'_>) -> Option<String> {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let asks = |words: &[&str]| words.iter().any(|word| heading.contains(word));
    let has_said = reading.material.said.iter().any(|said| said.has_output);
    if reading.material.files.is_empty() && !has_said {
        return asks(&["summary", "overview", "conclusion", "goal"]).then(|| reading.summary());
    }
    if asks(&["not verified", "open point", "open question", "question"]) {
        let claims = reading.records("not_verified", &["claim", "how_to_check"]).unwrap_or_default();
        let text = |record: &super::record::Record, name: &str| record.get(name)?.as_str().map(str::to_owned);
        let line = |record| Some(format!("- {}: {}", text(&record, "claim")?, text(&record, "how_to_check")?));
        return Some(claims.into_iter().filter_map(line).collect::<Vec<_>>().join("\n"));
    }
    if asks(&["contradiction"]) {
        return Some("None.".to_owned());
    }
    if asks(&["summary", "overview", "conclusion", "goal"]) {
        return Some(reading.summary());
    }
    if has_said && asks(&["evidence", "gates", "sources"]) {
        let lines = reading.material.said.iter().map(|said| format!("- {}", reading.in_words(said.role)));
        return Some(lines.collect::<Vec<_>>().join("\n"));
    }
    if asks(&["step", "action", "change"]) {
        let claims = reading.claims();
        let lines = (1..).zip(claims.iter().take(LINES_MAX));
        let lines = lines.map(|(number, it)| format!("{number}. **{}** {} (`{}`)", it.severity.name(), it.title, it.place));
        return Some(or_none(lines.collect()));
    }
    if asks(&["finding", "risk", "weakness", "evidence", "hot spot", "cause", "issue", "problem"]) {
        let claims = reading.claims();
        let lines = claims.iter().take(LINES_MAX);
        return Some(or_none(lines.map(|it| format!("- **{}** {} (`{}`)", it.severity.name(), it.title, it.place)).collect()));
    }
    if asks(&["part", "content", "behaviour", "inventory"]) && !reading.material.files.is_empty() {
        let public = reading.public().take(LINES_MAX);
        let lines = public.map(|f| format!("- `{}`, {} (`{}`)", f.name, super::reading::plural(f.lines, "line"), f.place()));
        let lines: Vec<String> = lines.collect();
        return (!lines.is_empty()).then(|| lines.join("\n"));
    }
    None
}

fn or_none(lines: Vec<String>) -> String {
    if lines.is_empty() { "None that simple rules could find.".to_owned() } else { lines.join("\n") }
}

/// Returns the words of the decision that a criterion asks for: of its alternatives the one that follows from what is known.
fn decision(criteria: &[Criterion], reading: &Reading<'_>) -> Option<String> {
    fn patterns<'c>(criterion: &'c Criterion, found: &mut Vec<&'c str>) {
        let Criterion::Typed(typed) = criterion else { return };
        match &typed.check {
            Check::Regex { pattern } => found.push(pattern),
            Check::All { criteria } | Check::Any { criteria } => criteria.iter().for_each(|part| patterns(part, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    criteria.iter().for_each(|criterion| patterns(criterion, &mut found));
    found.into_iter().find_map(|pattern| {
        let options: Vec<String> = (0..VARIANTS).filter_map(|variant| matching(pattern, variant)).map(|it| it.text).collect();
        let of = |wanted: Stance| options.iter().find(|option| Stance::of(option) == Some(wanted));
        // Words that can only say yes, or only no, decide nothing.
        of(Stance::For)?;
        let against = of(Stance::Against)?;
        let decided = match reading.stance() {
            Stance::Against => against,
            Stance::Conditional | Stance::For => of(Stance::Conditional).unwrap_or(against),
        };
        Some(decided.trim().to_owned())
    })
}

fn headings(description: &str) -> Vec<String> {
    let mut headings: Vec<String> = Vec::new();
    for found in HEADING.find_iter(description) {
        let mut heading = found.as_str().trim_end();
        // A heading in the middle of a sentence ends before the word that joins it to the next.
        for word in [" and", " or", " then", " with"] {
            heading = heading.strip_suffix(word).unwrap_or(heading);
        }
        if !headings.iter().any(|there| there == heading) {
            headings.push(heading.to_owned());
        }
    }
    headings
}
