//! One line of telemetry: a model call whose run cannot be told.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::run::{cost, time};
use crate::domain::event::Purpose;
use crate::domain::ids::{Hash, TimeNs};
use crate::domain::lenient_json;
use crate::domain::money::TokenUsage;
use crate::domain::tier::Tier;
use crate::lake::calls::{Call, CallAgent, CallRun};
use crate::lake::form::{COUNT_MAX, NAME_CHARS_MAX};

/// Reads a line as a run with one call; its hash says whether it is here already.
///
/// # Errors
/// Why nothing can be taken of it.
pub fn read_line(line: &[u8]) -> Result<(CallRun, Hash), String> {
    let value: Value = lenient_json::read_halves(line).map_err(|error| {
        if std::str::from_utf8(line).is_err() { "is not UTF-8".to_owned() } else { format!("is not JSON: {error}") }
    })?;
    let Value::Object(fields) = value else { return Err("is no object".to_owned()) };
    let ended = time(&fields, "ts", &TimeZone::UTC)?.ok_or("`ts` is missing")?;
    let text = |name: &str| -> Result<Option<String>, String> {
        match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() > NAME_CHARS_MAX => Err(format!("`{name}` is too long")),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(format!("`{name}` is no text")),
        }
    };
    let workflow = text("workflow")?.unwrap_or_else(|| "unknown".to_owned());
    let role = text("stage")?.unwrap_or_else(|| workflow.clone());
    let tier = match text("tier")? {
        None => None,
        Some(word) => Tier::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(&word)),
    };
    let duration_ms = count(&fields, "duration_ms")?;
    let (cost, usage) = (cost(&fields)?, tokens(&fields)?);
    let duration_ns = duration_ms.and_then(|ms| TimeNs::try_from(ms).ok()).and_then(|ms| ms.checked_mul(1_000_000)).unwrap_or(0);
    let started = ended.saturating_sub(duration_ns).max(0);
    let call = Call {
        started,
        ended: Some(ended),
        latency_ms: duration_ms,
        first_token_ms: None,
        provider: text("provider")?.unwrap_or_default(),
        model: text("model")?.unwrap_or_default(),
        tier,
        purpose: Purpose::Work,
        usage,
        cost,
        // A line without a cost is one whose cost the system did not know; its prices are not ours.
        is_unpriced: cost.is_none(),
        stop: None,
        error: None,
        tools: Vec::new(),
    };
    let digest = Hash::of(line);
    let run = CallRun {
        id: digest.to_string(),
        template: workflow,
        started,
        ended: Some(ended),
        labels: vec![("telemetry".to_owned(), "true".to_owned())],
        agents: vec![CallAgent { role, attempts: BTreeMap::from([(1, vec![call])]), ..CallAgent::default() }],
        ..CallRun::default()
    };
    Ok((run, digest))
}

fn count(fields: &Map<String, Value>, name: &str) -> Result<Option<u64>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let count = number.as_u64().or_else(|| number.as_f64().filter(|number| *number >= 0.0).map(|number| number as u64));
            count.filter(|count| *count <= COUNT_MAX).map(Some).ok_or_else(|| format!("`{name}` is {number}: no count"))
        }
        Some(_) => Err(format!("`{name}` is no number")),
    }
}

/// Reads the tokens; the cache's are a part of the input only where the line says how many.
fn tokens(fields: &Map<String, Value>) -> Result<Option<TokenUsage>, String> {
    let tokens = match fields.get("tokens") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(tokens)) => tokens,
        Some(_) => return Err("`tokens` is no object".to_owned()),
    };
    let of = |name: &str| count(tokens, name).map_err(|why| format!("tokens: {why}"));
    let (input, output) = (of("input")?, of("output")?);
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    let cache = fields.get("prompt_cache").and_then(Value::as_object);
    let cached = |name: &str| cache.map_or(Ok(None), |cache| count(cache, name)).map(Option::unwrap_or_default);
    Ok(Some(TokenUsage {
        input: input.unwrap_or(0),
        cache_read: cached("read_tokens")?,
        cache_write_5m: cached("creation_tokens")?,
        output: output.unwrap_or(0),
        ..TokenUsage::default()
    }))
}
