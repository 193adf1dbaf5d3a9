//! Making an answer meet or miss criteria: each demand has ways to be met, and of all ways the one is taken that leaves the
//! least open. What cannot be produced is left as it is.

use regex::Regex;
use serde_json::{Value, json};
use serde_json_path::JsonPath;

use crate::domain::criterion::{Check, Criterion, PathTest, TypedCriterion};
use crate::domain::event::Verdict;
use crate::domain::judge::{Edition, Facts, Scores, judge, schema_problems};

use super::answer::{InsertAt, ScriptedAnswer};
use super::draw::Draw;
use super::instance::instance;
use super::matching::matching;
use super::paths;
use super::phrases::Phrases;
use super::reading::Stance;

/// Rounds over the open demands, and branches tried of a pattern or schema.
const ROUNDS: usize = 5;
pub(super) const VARIANTS: u32 = 6;

/// A check, without parts, that must pass or fail.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    criterion: Criterion,
    check: Check,
    pass: bool,
    /// How much it hurts to leave it open: most for a miss, which may be what the run is about.
    cost: u32,
}

impl Demand {
    fn new(check: &Check, pass: bool) -> Self {
        let criterion = Criterion::Typed(TypedCriterion { name: None, weight: None, check: check.clone() });
        Self { criterion, check: check.clone(), pass, cost: if pass { 2 } else { 4 } }
    }

    /// The form that was asked for. It gives way where a criterion can only be missed by breaking it.
    pub(super) fn form(schema: &Value) -> Self {
        Self { cost: 1, ..Self::new(&Check::JsonSchema { schema: schema.clone() }, true) }
    }

    fn met(&self, text: &str, facts: &Facts) -> bool {
        let wanted = if self.pass { Verdict::Pass } else { Verdict::Fail };
        judge(std::slice::from_ref(&self.criterion), text, facts, Scores::Nobody(""))
            .iter()
            .all(|judged| judged.verdict == wanted)
    }
}

/// Returns what must hold for a criterion to pass or fail. Sentences, files and commands are nothing that a text decides.
pub(super) fn demands(criterion: &Criterion, pass: bool) -> Vec<Demand> {
    let Criterion::Typed(typed) = criterion else { return Vec::new() };
    // All parts, or the first that an answer can decide.
    let every = |parts: &[Criterion]| parts.iter().flat_map(|part| demands(part, pass)).collect();
    let first =
        |parts: &[Criterion]| parts.iter().map(|part| demands(part, pass)).find(|found| !found.is_empty()).unwrap_or_default();
    match &typed.check {
        Check::All { criteria } => {
            if pass {
                every(criteria)
            } else {
                first(criteria)
            }
        }
        Check::Any { criteria } => {
            if pass {
                either(criteria)
            } else {
                every(criteria)
            }
        }
        Check::Not { criterion } => demands(criterion, !pass),
        Check::Judge { .. } | Check::FileExists { .. } | Check::FileChanged { .. } | Check::Command { .. } => Vec::new(),
        check => vec![Demand::new(check, pass)],
    }
}

/// One demand that is met when any of the parts is that a text decides: an answer that meets one as it stands is left as it is.
fn either(parts: &[Criterion]) -> Vec<Demand> {
    let decided = parts.iter().filter(|part| !demands(part, true).is_empty()).cloned();
    let criteria: Vec<Criterion> = decided.collect();
    if criteria.is_empty() { Vec::new() } else { vec![Demand::new(&Check::Any { criteria }, true)] }
}

/// Changes `answer` until the demands are met, or nothing more can be done.
pub(super) fn steer(
    mut answer: ScriptedAnswer,
    demands: &[Demand],
    phrases: &Phrases<'_>,
    draw: &Draw,
    facts: &Facts,
) -> ScriptedAnswer {
    let open = |answer: &ScriptedAnswer| {
        let text = answer.render();
        demands.iter().filter(|demand| !demand.met(&text, facts)).map(|demand| demand.cost).sum::<u32>()
    };
    let mut best = (open(&answer), answer.clone());
    for _ in 0..ROUNDS {
        if best.0 == 0 {
            break;
        }
        for demand in demands {
            if demand.met(&answer.render(), facts) {
                continue;
            }
            let harmless = open(&answer).saturating_sub(demand.cost);
            let mut taken: Option<(u32, ScriptedAnswer)> = None;
            for way in ways(&answer, demand, phrases, draw) {
                if !demand.met(&way.render(), facts) {
                    continue;
                }
                let left = open(&way);
                // The first of equals: ways come with the most natural first.
                if taken.as_ref().is_none_or(|(least, _)| left < *least) {
                    taken = Some((left, way));
                }
                if left <= harmless {
                    break;
                }
            }
            if let Some((left, way)) = taken {
                answer = way;
                if left < best.0 {
                    best = (left, answer.clone());
                }
            }
        }
    }
    best.1
}

fn ways(answer: &ScriptedAnswer, demand: &Demand, phrases: &Phrases<'_>, draw: &Draw) -> Vec<ScriptedAnswer> {
    let pass = demand.pass;
    match &demand.check {
        Check::Contains { value, ignore_case } => text_ways(answer, value, *ignore_case, pass, phrases),
        Check::NotContains { value, ignore_case } => text_ways(answer, value, *ignore_case, !pass, phrases),
        Check::Regex { pattern } if pass => {
            let mut matches: Vec<_> = (0..VARIANTS).filter_map(|variant| matching(pattern, variant)).collect();
            matches.dedup();
            // A decision that follows comes first, one that says yes last.
            let stance = phrases.reading.stance();
            matches.sort_by_key(|found| Stance::of(&found.text).is_some_and(|of| of != stance));
            matches.into_iter().flat_map(|found| answer.put(&found.text, place(found.at_start, found.at_end), phrases)).collect()
        }
        Check::Regex { pattern } => erased(answer, pattern),
        Check::JsonSchema { schema } if pass => {
            let made = (0..VARIANTS).map(|variant| instance(schema, phrases, draw, variant));
            made.flat_map(|value| with_value(answer, value)).collect()
        }
        Check::JsonSchema { schema } => broken(answer, schema),
        Check::JsonPath { path, test } => path_ways(answer, path, test, pass),
        Check::MinWords { value } if pass => answer.lengthened(*value, phrases),
        Check::MinWords { value } => answer.shortened(value.saturating_sub(1)),
        Check::MaxWords { value } if pass => answer.shortened(*value),
        Check::MaxWords { value } => answer.lengthened(value.saturating_add(1), phrases),
        Check::CitesInputs {} => {
            let cited = if pass { phrases.citation(0) } else { Some(phrases.wrong_citation()) };
            cited.map(|cited| answer.put(&format!("See `{cited}`."), InsertAt::Within, phrases)).unwrap_or_default()
        }
        Check::Any { criteria } => {
            let parts = criteria.iter().map(|part| demands(part, true));
            parts.flat_map(|part| one_after_the_other(answer, &part, phrases, draw)).collect()
        }
        _ => Vec::new(),
    }
}

/// Meets each of `demands` in the first way that there is; empty when one cannot be met.
fn one_after_the_other(answer: &ScriptedAnswer, demands: &[Demand], phrases: &Phrases<'_>, draw: &Draw) -> Vec<ScriptedAnswer> {
    let [last] = demands else {
        return demands
            .iter()
            .try_fold(answer.clone(), |answer, demand| ways(&answer, demand, phrases, draw).into_iter().next())
            .into_iter()
            .collect();
    };
    ways(answer, last, phrases, draw)
}

fn place(at_start: bool, at_end: bool) -> InsertAt {
    match (at_start, at_end) {
        (true, _) => InsertAt::Start,
        (_, true) => InsertAt::End,
        _ => InsertAt::Within,
    }
}

fn text_ways(
    answer: &ScriptedAnswer,
    value: &str,
    ignore_case: bool,
    present: bool,
    phrases: &Phrases<'_>,
) -> Vec<ScriptedAnswer> {
    if present {
        return answer.put(value, InsertAt::Within, phrases);
    }
    erased(answer, &format!("{}{}", if ignore_case { "(?i)" } else { "" }, regex::escape(value)))
}

/// Takes out what matches, and tries once more on what that left; with a word in its place where the text can have one.
fn erased(answer: &ScriptedAnswer, pattern: &str) -> Vec<ScriptedAnswer> {
    let Ok(regex) = Regex::new(pattern) else { return Vec::new() };
    let erase = |text: &str, instead: &str| {
        let left = regex.replace_all(text, instead);
        if left == instead { String::new() } else { regex.replace_all(&left, "").into_owned() }
    };
    vec![answer.map_texts(|text| erase(text, "it")), answer.map_texts(|text| erase(text, ""))]
}

/// The value alone, and laid over the one that is there.
fn with_value(answer: &ScriptedAnswer, value: Value) -> Vec<ScriptedAnswer> {
    let over = match (answer.json(), &value) {
        (Some(Value::Object(there)), Value::Object(new)) => {
            let mut both = there.clone();
            both.extend(new.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some(answer.with_json(Value::Object(both)))
        }
        _ => None,
    };
    over.into_iter().chain([answer.with_json(value)]).collect()
}

/// Values near the one that is there which the schema does not allow.
fn broken(answer: &ScriptedAnswer, schema: &Value) -> Vec<ScriptedAnswer> {
    let there = answer.json().cloned().unwrap_or_else(|| json!({}));
    let mut values = Vec::new();
    if let Value::Object(fields) = &there {
        // The last first: a summary, which says that all is simulated, usually stands at the start.
        for key in fields.keys().rev() {
            let mut without = there.clone();
            paths::remove(&mut without, &format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            values.push(without);
        }
    }
    values.extend([Value::Null, json!([]), json!({"simulated": "another form than asked for"})]);
    values.retain(|value| schema_problems(schema, value, Edition::default()).is_ok_and(|problems| !problems.is_empty()));
    values.into_iter().map(|value| answer.with_json(value)).collect()
}

fn path_ways(answer: &ScriptedAnswer, path: &str, test: &PathTest, pass: bool) -> Vec<ScriptedAnswer> {
    let there = answer.json().cloned().unwrap_or_else(|| json!({"summary": "Simulated answer, no model was called."}));
    let removed = || {
        let mut value = there.clone();
        if let Ok(parsed) = JsonPath::parse(path) {
            // Later places first: removing one moves those after it.
            let found: Vec<String> = parsed.query_located(&there).locations().map(|place| place.to_json_pointer()).collect();
            found.iter().rev().for_each(|pointer| {
                paths::remove(&mut value, pointer);
            });
        }
        value
    };
    let set = |new: Value| {
        let mut value = there.clone();
        paths::set(&mut value, path, new).then_some(value)
    };
    let must_find = test.exists != Some(false);
    let values: Vec<Value> = if pass != must_find {
        let mut values: Vec<Value> = other_values(test).into_iter().filter_map(set).collect();
        values.push(removed());
        values
    } else {
        right_values(test).into_iter().filter_map(set).collect()
    };
    values.into_iter().map(|value| answer.with_json(value)).collect()
}

fn right_values(test: &PathTest) -> Vec<Value> {
    if let Some(value) = &test.equals {
        return vec![value.clone()];
    }
    match (test.min, test.max) {
        (None, None) => vec![json!("simulated"), json!(1), json!(true), json!(["simulated"]), json!({})],
        (min, max) => {
            let whole = min.map(f64::ceil).or(max.map(f64::floor)).map(number);
            whole.into_iter().chain(min.map(number)).chain(max.map(number)).collect()
        }
    }
}

fn other_values(test: &PathTest) -> Vec<Value> {
    let mut values = Vec::new();
    match &test.equals {
        Some(Value::Bool(value)) => values.push(json!(!value)),
        Some(Value::Number(value)) => values.push(number(value.as_f64().unwrap_or_default() + 1.0)),
        Some(Value::String(value)) => values.push(json!(format!("not {value}"))),
        Some(_) => values.push(Value::Null),
        None => {}
    }
    values.extend(test.min.map(|min| number(min.ceil() - 1.0)));
    values.extend(test.max.map(|max| number(max.floor() + 1.0)));
    values
}

/// A whole number where it is one, so that schemas with `integer` take it.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 { json!(value as i64) } else { json!(value) }
}
