//! The team: which agents the answers call for, and for every rule why or why not.
//!
//! Planning is pure and total: the same template, base agents and answers give the same team. What another agent or an input
//! will say is not known here; such placeholders stay as pieces. Whether a template makes sense is `template`'s concern.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::answers::{Answers, answer, quoted};
use super::condition::{self, Condition, describe, each_test, from_required};
use super::criterion::{Check, Criterion, PathTest, TypedCriterion};
use super::event::OnFailure;
use super::ids::AgentNo;
use super::money::NanoUsd;
use super::placeholder::{Piece, Reference, Scope, fill_text, fill_value, pieces, references};
use super::template::{BaseAgent, OnFailureSpec, QuestionKind, Rule, Template};
use super::tier::Strategy;

mod possible;

pub use possible::possible;

/// The base agent of rules whose own is not known.
pub const GENERIC: &str = "generic";

/// What rules leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanDefaults {
    /// A strategy given for the whole run, over what template and rules say.
    pub strategy_override: Option<Strategy>,
    /// The settings' strategy, where neither rule nor template says one.
    pub strategy: Strategy,
    /// The settings' attempts at one tier, where neither rule nor template says a number.
    pub max_attempts_per_tier: u32,
}

impl Default for PlanDefaults {
    fn default() -> Self {
        Self { strategy_override: None, strategy: Strategy::Progressive, max_attempts_per_tier: 1 }
    }
}

/// A team.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Team {
    /// The agents, by number.
    pub agents: Vec<PlannedAgent>,
    /// For every rule, in order, what became of it.
    pub trace: Vec<RuleTrace>,
}

impl Team {
    /// Returns the rules that made no agent, in order.
    pub fn skipped(&self) -> impl Iterator<Item = &RuleTrace> {
        self.trace.iter().filter(|trace| trace.agents.is_empty())
    }
}

/// What became of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    /// The rule's number in the template, from 0.
    pub rule: u32,
    /// Its role.
    pub role: String,
    /// The agents that it made; none when it was skipped.
    pub agents: Vec<AgentNo>,
    /// When it was skipped: the question of the first condition that failed.
    pub question: Option<String>,
    /// Why, in words, with the answers. A sensitive answer is not shown.
    pub because: String,
}

/// An agent as planned; the fields of the event `AgentPlanned`.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedAgent {
    /// Its number in the run, from 0.
    pub number: AgentNo,
    /// The rule's number in the template, from 0.
    pub rule: u32,
    /// The rule's role.
    pub role: String,
    /// The item that `foreach` made it for.
    pub item: Option<String>,
    /// The base agent's id; `generic` when the rule's is not known.
    pub base: String,
    /// Which tiers it may use.
    pub strategy: Strategy,
    /// Names of the tools asked for.
    pub tools: Vec<String>,
    /// Agents that must have ended before, in order.
    pub depends_on: Vec<AgentNo>,
    /// Attempts at one tier, at most.
    pub max_attempts_per_tier: u32,
    /// Its own budget.
    pub budget: Option<NanoUsd>,
    /// What its failure means for the run.
    pub on_failure: OnFailure,
    /// An unknown verdict fails the attempt.
    pub strict: bool,
    /// With weights: the share of known weight that must pass, 0 to 1.
    pub threshold: Option<f64>,
    /// The resolved configuration.
    pub config: Map<String, Value>,
    /// The rule's criteria, then the base agent's, with placeholders filled.
    pub criteria: Vec<Criterion>,
    /// The rule's prompt; inputs and other agents' outputs are still symbolic.
    pub task: Vec<Piece>,
}

impl PlannedAgent {
    /// Returns the role, with the item when there is one: `role[item]`.
    pub fn title(&self) -> String {
        title(&self.role, self.item.as_deref())
    }
}

/// Returns the name by which people know an agent: `role`, or `role[item]`.
pub fn title(role: &str, item: Option<&str>) -> String {
    item.map_or_else(|| role.to_owned(), |item| format!("{role}[{item}]"))
}

/// Returns the base agent of an id or alias.
pub fn find_base<'b>(bases: &'b BTreeMap<String, BaseAgent>, name: &str) -> Option<&'b BaseAgent> {
    bases.get(name).or_else(|| bases.values().find(|base| base.aliases.iter().any(|alias| alias == name)))
}

/// Plans the team for `answers`: one agent per rule that holds, in rule order, or one per item with `foreach`.
///
/// A role that was skipped counts as done: nobody waits for it.
pub fn plan(template: &Template, bases: &BTreeMap<String, BaseAgent>, answers: &Answers, defaults: &PlanDefaults) -> Team {
    let masked: Vec<&str> = template
        .form_schema
        .questions
        .iter()
        .filter(|question| question.sensitive)
        .map(|question| question.id.as_str())
        .collect();
    let mut team = Team::default();
    for (number, rule) in template.agent_composition_rules.iter().enumerate() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let mut trace =
            RuleTrace { rule: number, role: rule.role.clone(), agents: Vec::new(), question: None, because: String::new() };
        match items(rule, answers, &masked) {
            Err(failed) => (trace.question, trace.because) = (failed.question, failed.words),
            Ok(items) => {
                trace.because = because(rule, &masked);
                for item in items {
                    let agent = u32::try_from(team.agents.len()).unwrap_or(u32::MAX);
                    trace.agents.push(agent);
                    let planner = Planner { template, rule, bases, answers, defaults, masked: &masked };
                    team.agents.push(planner.agent(agent, number, item));
                }
            }
        }
        team.trace.push(trace);
    }
    connect(template, &mut team);
    team
}

/// Returns the items that a rule makes agents for (`None`: one agent without an item), or why there are none.
fn items(rule: &Rule, answers: &Answers, masked: &[&str]) -> Result<Vec<Option<String>>, condition::Failed> {
    let required = from_required(&rule.required_responses);
    for part in std::iter::once(&required).chain(&rule.when) {
        condition::evaluate(part, answers).map_err(|failed| match looks_at(part, masked) {
            true => {
                condition::Failed { words: "a condition that looks at a sensitive answer does not hold".to_owned(), ..failed }
            }
            false => failed,
        })?;
    }
    let Some(question) = &rule.foreach else { return Ok(vec![None]) };
    let items: Vec<Option<String>> = match answer(answers, question) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(|item| Some(item.to_owned())).collect(),
        _ => Vec::new(),
    };
    if items.is_empty() {
        let words = format!("`{question}` names nothing to make an agent for");
        return Err(condition::Failed { question: Some(question.clone()), words });
    }
    Ok(items)
}

/// Says why a rule made its agents. Its conditions hold, so they tell the answers themselves.
fn because(rule: &Rule, masked: &[&str]) -> String {
    let required = (!rule.required_responses.is_empty()).then(|| from_required(&rule.required_responses));
    let told = |condition: &Condition| match looks_at(condition, masked) {
        true => "a condition that looks at a sensitive answer holds".to_owned(),
        false => describe(condition),
    };
    let mut reasons: Vec<String> = required.iter().chain(&rule.when).map(told).collect();
    reasons.extend(rule.foreach.as_ref().map(|question| format!("one for each of {}", quoted(question))));
    if reasons.is_empty() { "the rule has no condition".to_owned() } else { reasons.join("; ") }
}

/// Whether a condition looks at one of these questions.
fn looks_at(condition: &Condition, questions: &[&str]) -> bool {
    let mut looks = false;
    each_test(condition, &mut |test| looks |= questions.contains(&test.question.as_str()));
    looks
}

struct Planner<'p> {
    template: &'p Template,
    rule: &'p Rule,
    bases: &'p BTreeMap<String, BaseAgent>,
    answers: &'p Answers,
    defaults: &'p PlanDefaults,
    masked: &'p [&'p str],
}

impl Planner<'_> {
    fn agent(&self, number: AgentNo, rule_number: u32, item: Option<String>) -> PlannedAgent {
        let (rule, answers) = (self.rule, self.answers);
        let base = find_base(self.bases, &rule.base_template).or_else(|| find_base(self.bases, GENERIC));
        let of_template = self.template.defaults.as_ref();
        let empty = Map::new();
        let plain = Scope { answers, config: &empty, item: item.as_deref(), masked: &[] };
        let config = self.config(&plain);
        let scope = Scope { config: &config, ..plain };
        let criteria = rule.success_criteria.iter().chain(base.into_iter().flat_map(|base| &base.criteria));
        PlannedAgent {
            number,
            rule: rule_number,
            role: rule.role.clone(),
            base: base.map_or_else(|| GENERIC.to_owned(), |base| base.id.clone()),
            strategy: (self.defaults.strategy_override)
                .or(rule.tier_strategy)
                .or(of_template.and_then(|defaults| defaults.strategy))
                .unwrap_or(self.defaults.strategy),
            tools: if rule.tools.is_empty() {
                base.map(|base| base.tools.clone()).unwrap_or_default()
            } else {
                rule.tools.clone()
            },
            depends_on: Vec::new(),
            max_attempts_per_tier: rule
                .max_attempts_per_tier
                .or(of_template.and_then(|defaults| defaults.max_attempts_per_tier))
                .unwrap_or(self.defaults.max_attempts_per_tier)
                .max(1),
            budget: rule.budget_usd.and_then(NanoUsd::from_usd),
            on_failure: match rule.on_failure {
                Some(OnFailureSpec::Continue) => OnFailure::Continue,
                Some(OnFailureSpec::FailRun) | None => OnFailure::FailRun,
            },
            strict: rule.strict,
            threshold: rule.threshold,
            criteria: criteria.map(|criterion| fill_criterion(criterion, &scope, self.masked)).collect(),
            task: pieces(rule.prompt.as_deref().unwrap_or_default(), &scope),
            config,
            item,
        }
    }

    /// Constants first, then mapped answers; keys without a value are left out.
    fn config(&self, scope: &Scope<'_>) -> Map<String, Value> {
        let secret = |id: &str| {
            let mut questions = self.template.form_schema.questions.iter();
            questions.any(|question| question.id == id && question.kind == QuestionKind::Secret)
        };
        let constants = self.rule.config.iter().filter_map(|(key, value)| Some((key.clone(), fill_value(value, scope)?)));
        let mapped = self
            .rule
            .config_mapping
            .iter()
            .filter(|(id, _)| !secret(id))
            .filter_map(|(id, key)| Some((key.clone(), answer(self.answers, id)?.clone())));
        constants.chain(mapped).collect()
    }
}

/// Fills a criterion's placeholders. What a judge would read holds no sensitive answer; what a pattern holds is quoted.
fn fill_criterion(criterion: &Criterion, scope: &Scope<'_>, masked: &[&str]) -> Criterion {
    let text = |text: &str| fill_text(text, scope, |filled| filled);
    let for_judge = |text: &str| fill_text(text, &Scope { masked, ..*scope }, |filled| filled);
    let value = |value: &Value| fill_value(value, scope).unwrap_or(Value::Null);
    let part = |criterion: &Criterion| fill_criterion(criterion, scope, masked);
    let typed = match criterion {
        Criterion::Sentence(sentence) => return Criterion::Sentence(for_judge(sentence)),
        Criterion::Typed(typed) => typed,
    };
    let check = match &typed.check {
        Check::Contains { value, ignore_case } => Check::Contains { value: text(value), ignore_case: *ignore_case },
        Check::NotContains { value, ignore_case } => Check::NotContains { value: text(value), ignore_case: *ignore_case },
        Check::Regex { pattern } => Check::Regex { pattern: fill_text(pattern, scope, |filled| regex::escape(&filled)) },
        Check::JsonSchema { schema } => Check::JsonSchema { schema: value(schema) },
        Check::JsonPath { path, test } => {
            Check::JsonPath { path: path.clone(), test: PathTest { equals: test.equals.as_ref().map(value), ..test.clone() } }
        }
        Check::FileExists { path } => Check::FileExists { path: text(path) },
        Check::FileChanged { path } => Check::FileChanged { path: text(path) },
        Check::Command { run, exit_code, timeout_s, patched } => Check::Command {
            run: run.iter().map(|argument| text(argument)).collect(),
            exit_code: *exit_code,
            timeout_s: *timeout_s,
            patched: *patched,
        },
        Check::Judge { rubric, threshold } => Check::Judge { rubric: for_judge(rubric), threshold: *threshold },
        Check::All { criteria } => Check::All { criteria: criteria.iter().map(part).collect() },
        Check::Any { criteria } => Check::Any { criteria: criteria.iter().map(part).collect() },
        Check::Not { criterion } => Check::Not { criterion: Box::new(part(criterion)) },
        Check::MinWords { .. } | Check::MaxWords { .. } | Check::CitesInputs {} => typed.check.clone(),
    };
    Criterion::Typed(TypedCriterion { name: typed.name.clone(), weight: typed.weight, check })
}

/// Returns the roles that a rule's agents wait for: those that it names, and those whose outputs its prompt reads.
pub fn waits_for(rule: &Rule) -> Vec<String> {
    let read = references(rule.prompt.as_deref().unwrap_or_default()).into_iter().filter_map(|reference| match reference {
        Reference::Output(role) => Some(role),
        _ => None,
    });
    let mut roles: Vec<String> = Vec::new();
    for role in rule.depends_on.iter().cloned().chain(read).filter(|role| *role != rule.role) {
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    roles
}

/// Fills in whom each agent waits for.
fn connect(template: &Template, team: &mut Team) {
    let mut of_role: HashMap<String, Vec<AgentNo>> = HashMap::new();
    for agent in &team.agents {
        of_role.entry(agent.role.clone()).or_default().push(agent.number);
    }
    for agent in &mut team.agents {
        let Some(rule) = template.agent_composition_rules.get(agent.rule as usize) else { continue };
        agent.depends_on = waits_for(rule).iter().flat_map(|role| of_role.get(role).cloned().unwrap_or_default()).collect();
        agent.depends_on.sort_unstable();
    }
}

#[cfg(test)]
mod tests;
