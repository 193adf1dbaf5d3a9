//! Whole answers: the form from the contract, what the material shows, and criteria met or missed by the draw.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::domain::call::{CallContext, CallRequest};
use crate::domain::judge::{Facts, Sentence, commands_asked, files_asked, sentences};
use crate::domain::template::OutputFormat;
use crate::domain::tier::Tier;

use super::answer::ScriptedAnswer;
use super::draw::Draw;
use super::instance::instance;
use super::page;
use super::phrases::Phrases;
use super::reading::Reading;
use super::seen::Seen;
use super::steer::{Demand, demands, steer};

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
    let seen = Seen::of(&request.turns);
    let reading = Reading::of(&request.prompt, &seen, &context.role);
    let phrases = Phrases::new(request, &reading, draw);
    let contract = context.contract.as_ref();
    let schema = request.schema.as_ref().map(|schema| &schema.schema).or(contract.and_then(|contract| contract.schema.as_ref()));
    let wants_json = schema.is_some() || contract.is_some_and(|contract| contract.format == OutputFormat::Json);
    let start = if wants_json {
        ScriptedAnswer::Json(match schema {
            Some(schema) => instance(schema, &phrases, draw, 0),
            None => object(contract.map_or("", |contract| &contract.description), &phrases),
        })
    } else {
        ScriptedAnswer::Page(page::page(context, contract.map_or("", |contract| &contract.description), &phrases, draw))
    };
    let mut wanted: Vec<Demand> = schema.map(Demand::form).into_iter().collect();
    for (criterion, number) in context.criteria.iter().zip(0u64..) {
        // How a command ends and what became of a file is no matter of words: the answer says what was seen.
        let one = std::slice::from_ref(criterion);
        if !commands_asked(one).is_empty() || !files_asked(one).is_empty() {
            continue;
        }
        let pass = draw.unit("criterion", number) >= failure_rate(context.tier);
        wanted.extend(demands(criterion, pass));
    }
    let facts = Facts { input_files: context.input_files.clone(), ..Facts::default() };
    steer(start, &wanted, &phrases, draw, &facts).render()
}

/// An object with the keys that a description without a schema names.
fn object(description: &str, phrases: &Phrases<'_>) -> Value {
    let mut keys: Vec<&str> = KEY.captures_iter(description).filter_map(|found| found.get(1)).map(|key| key.as_str()).collect();
    if keys.is_empty() {
        keys = vec!["summary", "findings", "next_steps"];
    }
    let mut fields = Map::new();
    for (key, number) in keys.into_iter().zip(0u64..) {
        let text = phrases.reading.text(key).unwrap_or_else(|| phrases.paragraph(number * 3, 3));
        let text = if number == 0 && key != "summary" { format!("Simulated answer, no model was called. {text}") } else { text };
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
