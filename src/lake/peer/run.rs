//! One run's folder.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::SIMULATED;
use crate::domain::event::{CostIncurred, CostIncurredPrivate, CostSource, Event, Purpose};
use crate::domain::ids::TimeNs;
use crate::domain::money::NanoUsd;
use crate::domain::redact::Redactor;
use crate::domain::tier::{Strategy, Tier};
use crate::lake::convert::{Converted, convert};
use crate::lake::form::{AGENTS_MAX, COST_MAX, COUNT_MAX, ImportedAgent, ImportedAttempt, ImportedRun, NAME_CHARS_MAX};
use crate::views::status::{AgentStatus, RunStatus};

/// Bytes of a file of a run, at most.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Nothing is said of a run's total when it differs from its parts by less than this: sums of binary numbers do.
const TOTAL_NUSD_APART: u64 = 1_000;

/// A run as its folder has it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerRun {
    /// The run, in the form of every import.
    pub run: ImportedRun,
    /// What that form has no place for, by agent.
    plans: Vec<Plan>,
    /// Its results were made up.
    pub is_simulated: bool,
    /// What was taken but not as it stands.
    pub notices: Vec<&'static str>,
}

/// What an agent was made of.
#[derive(Clone, Debug, Default, PartialEq)]
struct Plan {
    base: Option<String>,
    strategy: Option<Strategy>,
    tools: Vec<String>,
    config: Option<Value>,
    criteria: Option<Value>,
    error: Option<String>,
    /// What it cost, where no attempt is known that the cost could be of.
    stray: Option<NanoUsd>,
}

/// Reads the folder of a run; times without a zone are of `zone`.
///
/// # Errors
/// Why nothing can be taken of it, in words that follow the folder's name.
pub fn read_run(dir: &Path, zone: &TimeZone) -> Result<PeerRun, String> {
    let path = dir.join("result.json");
    if !path.is_file() {
        return Err("has no result.json: the run was cut off before its end was written".to_owned());
    }
    let result = read(&path)?;
    let Value::Object(result) = result else { return Err("result.json is no object".to_owned()) };
    let mut run = parse(&result, zone).map_err(|why| format!("result.json: {why}"))?;
    let report = dir.join("report.txt");
    if report.metadata().is_ok_and(|about| about.is_file() && about.len() <= FILE_BYTES_MAX) {
        match fs::read(&report).map(String::from_utf8) {
            Ok(Ok(text)) => run.run.report = Some(text),
            _ => run.notices.push("report.txt cannot be read as UTF-8 and was left out"),
        }
    }
    Ok(run)
}

fn read(path: &Path) -> Result<Value, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| format!("{name} cannot be read: {error}"))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{name} is larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    if bytes.is_empty() {
        return Err(format!("{name} is empty"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{name} is not UTF-8"))?;
    serde_json::from_str(text).map_err(|error| format!("{name} is not JSON: {error}"))
}

fn parse(result: &Map<String, Value>, zone: &TimeZone) -> Result<PeerRun, String> {
    let mut notices = Vec::new();
    let run_id = name(result, "run_id")?.ok_or("`run_id` is missing")?;
    let template_id = name(result, "template_id")?.ok_or("`template_id` is missing")?;
    let wrote = time(result, "timestamp", zone)?;
    let form = result.get("form_responses").and_then(Value::as_object);
    let answered = form.map(|form| time(form, "timestamp", zone)).transpose()?.flatten();
    let started_at = answered.or(wrote).ok_or("`timestamp` is missing")?;
    let ended_at = wrote.filter(|wrote| *wrote >= started_at && answered.is_some());
    let answers: IndexMap<String, Value> = form
        .and_then(|form| form.get("responses"))
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(question, value)| (question.clone(), value.clone()))
        .collect();
    let created = list(result, "agents_created")?;
    let results = list(result, "agent_results")?;
    if results.len() > AGENTS_MAX || created.len() > AGENTS_MAX {
        return Err(format!("it has more than {AGENTS_MAX} agents"));
    }
    let (mut agents, mut plans, mut is_simulated) = (Vec::new(), Vec::new(), false);
    for (value, number) in results.iter().zip(0usize..) {
        let agent = value.as_object().ok_or_else(|| format!("`agent_results[{number}]` is no object"))?;
        let at = |why: String| format!("`agent_results[{number}]`: {why}");
        let id = agent.get("agent_id").and_then(Value::as_str);
        let plan = created.iter().find(|plan| id.is_some() && plan.get("agent_id").and_then(Value::as_str) == id);
        let (read, simulated, noticed) = self::agent(agent, plan.or_else(|| created.get(number))).map_err(at)?;
        is_simulated |= simulated;
        notices.extend(noticed);
        let stray = if read.attempts.is_empty() { cost(agent).ok().flatten().filter(|cost| cost.0 > 0) } else { None };
        plans.push(Plan { stray, ..plan_of(plan.or_else(|| created.get(number)), agent) });
        agents.push(read);
    }
    // Those that were made and never had their turn.
    for plan in created.iter().skip(results.len()) {
        let role = plan.as_object().map(|plan| name(plan, "role")).transpose()?.flatten();
        agents.push(ImportedAgent {
            role: role.unwrap_or_else(|| "agent".to_owned()),
            task: None,
            status: Some(AgentStatus::Skipped),
            attempts: Vec::new(),
        });
        plans.push(plan_of(Some(plan), &Map::new()));
    }
    let told = agents.iter().flat_map(|agent| &agent.attempts).filter_map(|attempt| attempt.cost);
    let known = told.chain(plans.iter().filter_map(|plan| plan.stray)).sum::<NanoUsd>().0;
    if result
        .get("total_cost")
        .and_then(Value::as_f64)
        .and_then(NanoUsd::from_usd)
        .is_some_and(|total| total.0.abs_diff(known) > TOTAL_NUSD_APART)
    {
        notices.push("`total_cost` is not the sum of the agents' costs; the agents' count");
    }
    let status = match result.get("success") {
        Some(Value::Bool(true)) => Some(RunStatus::Succeeded),
        Some(Value::Bool(false)) => Some(RunStatus::Failed),
        _ => None,
    };
    let mut labels = IndexMap::new();
    if is_simulated {
        labels.insert(SIMULATED.0.to_owned(), SIMULATED.1.to_owned());
    }
    notices.sort_unstable();
    notices.dedup();
    Ok(PeerRun {
        run: ImportedRun {
            run_id: Some(run_id),
            template_id,
            started_at,
            ended_at,
            status,
            labels,
            answers,
            agents,
            report: None,
            notes: Vec::new(),
        },
        plans,
        is_simulated,
        notices,
    })
}

/// Reads what one agent did; returns whether it was made up, and what was not taken as it stands.
fn agent(result: &Map<String, Value>, plan: Option<&Value>) -> Result<(ImportedAgent, bool, Option<&'static str>), String> {
    let of_plan = plan.and_then(Value::as_object).map(|plan| name(plan, "role")).transpose()?.flatten();
    let role = name(result, "role")?.or(of_plan).ok_or("`role` is missing")?;
    let passed = match result.get("success") {
        Some(Value::Bool(passed)) => *passed,
        _ => return Err("`success` is neither true nor false".to_owned()),
    };
    let cost = cost(result)?;
    let duration_ms = match result.get("duration") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let ms = value.as_f64().map(|seconds| (seconds * 1000.0).round()).filter(|ms| (0.0..COUNT_MAX as f64).contains(ms));
            Some(ms.ok_or("`duration` is no number of seconds")? as u64)
        }
    };
    let (output, message) = match result.get("output") {
        Some(Value::String(text)) => (Some(text.clone()), Some(text.as_str())),
        Some(Value::Object(fields)) if !fields.is_empty() => {
            let message = fields.get("message").and_then(Value::as_str);
            (Some(message.map_or_else(|| Value::Object(fields.clone()).to_string(), str::to_owned)), message)
        }
        _ => (None, None),
    };
    let model = result.get("output").and_then(|output| output.get("model")).and_then(Value::as_str);
    let simulated = message.is_some_and(|message| message.starts_with("Mock execution of "));
    let tier = match result.get("tier_used").and_then(Value::as_str) {
        Some(word) => Tier::ALL.into_iter().find(|tier| tier.name().eq_ignore_ascii_case(word)),
        None => None,
    };
    let Some(tier) = tier else {
        // It broke before or within its work: at which tier, the record does not say.
        let lost = cost.is_some_and(|cost| cost.0 > 0);
        let notice =
            lost.then_some("an agent's tier is not named: its cost is booked where its strategy begins, and no attempt is known");
        let status = Some(if passed { AgentStatus::Succeeded } else { AgentStatus::Failed });
        return Ok((ImportedAgent { role, task: None, status, attempts: Vec::new() }, simulated, notice));
    };
    let attempt = ImportedAttempt {
        tier,
        provider: None,
        model: model.filter(|model| !model.is_empty() && model.len() <= NAME_CHARS_MAX).map(str::to_owned),
        passed,
        cost,
        input_tokens: None,
        output_tokens: None,
        duration_ms,
        output,
        failed_criteria: Vec::new(),
    };
    Ok((ImportedAgent { role, task: None, status: None, attempts: vec![attempt] }, simulated, None))
}

fn plan_of(plan: Option<&Value>, result: &Map<String, Value>) -> Plan {
    let text = |name: &str| plan?.get(name)?.as_str().map(str::to_owned);
    let strategy = text("tier_strategy");
    Plan {
        base: text("base_template").filter(|base| base.len() <= NAME_CHARS_MAX),
        strategy: Strategy::ALL.into_iter().find(|known| Some(known.name()) == strategy.as_deref()),
        tools: plan
            .and_then(|plan| plan.get("tools"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|tool| tool.as_str().map(str::to_owned))
            .collect(),
        config: plan.and_then(|plan| plan.get("config")).filter(|config| config.is_object()).cloned(),
        criteria: plan.and_then(|plan| plan.get("success_criteria")).filter(|criteria| criteria.is_array()).cloned(),
        error: result.get("error").and_then(Value::as_str).map(str::to_owned),
        stray: None,
    }
}

impl PeerRun {
    /// Returns the run's events.
    pub fn convert(self, redactor: &Redactor) -> Converted {
        let plans = self.plans;
        let mut converted = convert(self.run, super::SOURCE, redactor);
        let clean = |text: &str| redactor.redact(text).into_owned();
        for (event, _) in &mut converted.events {
            match event {
                Event::AgentPlanned(body) => {
                    let Some(plan) = plans.get(body.agent as usize) else { continue };
                    body.base = plan.base.as_deref().map_or_else(|| std::mem::take(&mut body.base), clean);
                    body.strategy = plan.strategy.unwrap_or(body.strategy);
                    body.tools = plan.tools.iter().map(|tool| clean(tool)).collect();
                    if let Some(private) = &mut body.private {
                        private.config = plan.config.as_ref().map_or_else(|| "{}".to_owned(), |json| clean(&json.to_string()));
                        private.criteria =
                            plan.criteria.as_ref().map_or_else(|| "[]".to_owned(), |json| clean(&json.to_string()));
                    }
                }
                Event::AgentFailed(body) => {
                    let error = plans.get(body.agent as usize).and_then(|plan| plan.error.as_deref());
                    if let (Some(private), Some(error)) = (&mut body.private, error) {
                        private.message = clean(error);
                    }
                }
                _ => {}
            }
        }
        let ends = |event: &Event| match event {
            Event::AgentSucceeded(body) => Some(body.agent),
            Event::AgentFailed(body) => Some(body.agent),
            Event::AgentSkipped(body) => Some(body.agent),
            _ => None,
        };
        for (plan, agent) in plans.iter().zip(0..) {
            let Some(amount) = plan.stray else { continue };
            let Some(place) = converted.events.iter().position(|(event, _)| ends(event) == Some(agent)) else { continue };
            let at = converted.events[place].1;
            let tier = plan.strategy.unwrap_or(Strategy::Progressive).tiers().first().copied().unwrap_or(Tier::Cheap);
            let cost = CostIncurred {
                call: None,
                agent,
                attempt: 1,
                tier,
                purpose: Purpose::Work,
                provider: None,
                model: None,
                amount: Some(amount),
                usage: None,
                unit_prices: None,
                band_above: 0,
                source: CostSource::Imported,
                reported: None,
                private: Some(CostIncurredPrivate {}),
            };
            converted.events.insert(place, (cost.into(), at));
        }
        converted
    }

    /// Returns what is known of its cost, part by part; `None` for an attempt whose cost is not told.
    pub fn costs(&self) -> Vec<Option<NanoUsd>> {
        let told = self.run.agents.iter().flat_map(|agent| &agent.attempts).map(|attempt| attempt.cost);
        told.chain(self.plans.iter().filter_map(|plan| plan.stray).map(Some)).collect()
    }
}

fn list<'v>(object: &'v Map<String, Value>, field: &str) -> Result<&'v [Value], String> {
    match object.get(field) {
        Some(Value::Array(items)) => Ok(items),
        None | Some(Value::Null) => Ok(&[]),
        Some(_) => Err(format!("`{field}` is no list")),
    }
}

fn name(object: &Map<String, Value>, field: &str) -> Result<Option<String>, String> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Err(format!("`{field}` is empty")),
        Some(Value::String(text)) if text.chars().count() > NAME_CHARS_MAX => {
            Err(format!("`{field}` has more than {NAME_CHARS_MAX} characters"))
        }
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{field}` is no text")),
    }
}

/// Reads what an agent cost; `None` when it is not known.
pub(super) fn cost(object: &Map<String, Value>) -> Result<Option<NanoUsd>, String> {
    match object.get("cost") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let cost = number.as_f64().and_then(NanoUsd::from_usd).filter(|cost| *cost <= COST_MAX);
            cost.map(Some).ok_or_else(|| format!("`cost` is {number}: not between 0 and a million dollars"))
        }
        Some(_) => Err("`cost` is no number".to_owned()),
    }
}

/// Reads a moment; one without a zone is of `zone`.
pub(super) fn time(object: &Map<String, Value>, field: &str, zone: &TimeZone) -> Result<Option<TimeNs>, String> {
    let text = match object.get(field) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(format!("`{field}` is no time")),
    };
    let at = text.parse::<Timestamp>().or_else(|_| text.parse::<DateTime>()?.to_zoned(zone.clone()).map(|at| at.timestamp()));
    let at = at.ok().and_then(|at| i64::try_from(at.as_nanosecond()).ok()).filter(|at| *at >= 0);
    at.map(Some).ok_or_else(|| format!("`{field}` is no time since 1970"))
}
