//! Whole answers: the form from the contract, the length of a real one, and criteria met or missed by the draw.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::domain::call::{CallContext, CallRequest};
use crate::domain::judge::{Facts, Sentence, sentences};
use crate::domain::template::OutputFormat;
use crate::domain::tier::Tier;

use super::answer::{Answer, Page};
use super::draw::Draw;
use super::instance::instance;
use super::phrases::Phrases;
use super::steer::{Demand, demands, steer};

static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"#{1,4} [A-Za-z0-9][^#\n`"',;:.(|]*"#).expect("the pattern is a constant that a test compiles")
});
static KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"[`"]([A-Za-z_][A-Za-z0-9_]*)[`"]"#).expect("the pattern is a constant that a test compiles"));

/// Returns the share of criteria, 0 to 1, that an answer of this tier misses.
pub fn failure_rate(tier: Tier) -> f64 {
    match tier {
        Tier::Cheap => 0.35,
        Tier::Capable => 0.12,
        Tier::Premium => 0.03,
    }
}

/// Writes an answer to a work call.
pub(super) fn answer(request: &CallRequest, draw: &Draw) -> String {
    let context = &request.context;
    let phrases = Phrases::new(request, draw);
    let contract = context.contract.as_ref();
    let schema = request.schema.as_ref().map(|schema| &schema.schema).or(contract.and_then(|contract| contract.schema.as_ref()));
    let wants_json = schema.is_some() || contract.is_some_and(|contract| contract.format == OutputFormat::Json);
    let start = if wants_json {
        Answer::Json(match schema {
            Some(schema) => instance(schema, &phrases, draw, 0),
            None => object(contract.map_or("", |contract| &contract.description), &phrases),
        })
    } else {
        Answer::Page(page(context, contract.map_or("", |contract| &contract.description), &phrases, draw))
    };
    let mut wanted: Vec<Demand> = schema.map(Demand::form).into_iter().collect();
    for (criterion, number) in context.criteria.iter().zip(0u64..) {
        let pass = draw.unit("criterion", number) >= failure_rate(context.tier);
        wanted.extend(demands(criterion, pass));
    }
    let facts = Facts { input_files: context.input_files.clone(), ..Facts::default() };
    steer(start, &wanted, &phrases, draw, &facts).render()
}

/// A page with the contract's headings, of 100 to 400 words.
fn page(context: &CallContext, description: &str, phrases: &Phrases<'_>, draw: &Draw) -> Page {
    let notice = format!(
        "> Simulated answer: no model was called (role {}, tier {}, attempt {}).",
        context.role, context.tier, context.attempt
    );
    let mut page = Page::new(notice);
    let mut headings = headings(description);
    if headings.is_empty() {
        headings = vec!["## Summary".to_owned(), "## Details".to_owned(), "## Next steps".to_owned()];
    }
    // About 17 words a sentence, and at least one sentence a section.
    let sentences = (110 + draw.number("length", 0) % 180) / 17;
    let each = (sentences / headings.len() as u64).max(1);
    for (heading, number) in headings.iter().zip(0u64..) {
        page.push(heading.as_str(), true);
        page.push(phrases.paragraph(number * 20, each), false);
        if let Some(citation) = phrases.citation(number) {
            page.push(format!("- {} (`{citation}`)", phrases.sentence(number * 20 + 19)), false);
        }
    }
    page
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

/// An object with the keys that a description without a schema names.
fn object(description: &str, phrases: &Phrases<'_>) -> Value {
    let mut keys: Vec<&str> = KEY.captures_iter(description).filter_map(|found| found.get(1)).map(|key| key.as_str()).collect();
    if keys.is_empty() {
        keys = vec!["summary", "findings", "next_steps"];
    }
    let mut fields = Map::new();
    for (key, number) in keys.into_iter().zip(0u64..) {
        let text = phrases.paragraph(number * 20, 3);
        let text = if number == 0 { format!("Simulated answer, no model was called. {text}") } else { text };
        fields.insert(key.to_owned(), Value::String(text));
    }
    Value::Object(fields)
}

/// Writes a judge's reply: a score for each sentence, by the same rule as criteria.
pub(super) fn scores(context: &CallContext, draw: &Draw) -> String {
    let of = |(sentence, number): (Sentence<'_>, u64)| {
        let pass = draw.unit("criterion", number) >= failure_rate(context.tier);
        let share = draw.unit("score", number);
        let threshold = sentence.threshold.clamp(0.0, 1.0);
        let score = if pass { threshold + share * (1.0 - threshold) } else { share * threshold * 0.9 };
        // Two decimals, without rounding across the threshold.
        let rounded = (score * 100.0).round() / 100.0;
        let score = if (rounded >= threshold) == pass { rounded } else { score };
        let reason = if pass { "Simulated: the candidate meets it." } else { "Simulated: the candidate falls short of it." };
        json!({"criterion": number + 1, "reason": reason, "score": score})
    };
    let entries: Vec<Value> = sentences(&context.criteria).into_iter().zip(0u64..).map(of).collect();
    json!({ "scores": entries }).to_string()
}
