//! From the start of a run to its team.

use serde_json::Value;

use super::Decision;
use crate::domain::answers::Answers;
use crate::domain::event::{
    AgentPlanned, AgentPlannedPrivate, AnswerChanged, AnswerChangedPrivate, AnswerGiven, AnswerGivenPrivate, AnswerSource,
    ChosenBy, FormCompleted, FormCompletedPrivate, InputAttached, QuestionsShown, QuestionsShownPrivate, RuleSkipped,
    RuleSkippedPrivate, RunStarted, StartTierChosen, StartTierChosenPrivate,
};
use crate::domain::placeholder;
use crate::domain::run::command::{Refusal, StartAdvice};
use crate::domain::run::state::Phase;
use crate::domain::team::{self, PlanDefaults, PlannedAgent};
use crate::domain::template::Question;

pub(super) fn begin(draft: &mut Decision<'_>, started: RunStarted) -> Result<(), Refusal> {
    if draft.run.phase != Phase::New {
        return Err(Refusal::AlreadyStarted);
    }
    draft.emit(started);
    Ok(())
}

pub(super) fn attach(draft: &mut Decision<'_>, input: InputAttached) -> Result<(), Refusal> {
    must_ask(draft)?;
    draft.emit(input);
    Ok(())
}

pub(super) fn show(draft: &mut Decision<'_>, questions: Vec<String>) -> Result<(), Refusal> {
    must_ask(draft)?;
    draft.emit(QuestionsShown { questions, private: Some(QuestionsShownPrivate {}) });
    Ok(())
}

pub(super) fn answer(
    draft: &mut Decision<'_>,
    question: String,
    value: &Value,
    source: AnswerSource,
    secret: bool,
) -> Result<(), Refusal> {
    must_ask(draft)?;
    let known = draft.run.answers.get(&question);
    if known.is_some_and(|answer| !secret && answer.value == *value) {
        return Ok(());
    }
    let is_change = known.is_some();
    let value = if secret { "null".to_owned() } else { value.to_string() };
    if is_change {
        draft.emit(AnswerChanged { question, source, secret, removed: false, private: Some(AnswerChangedPrivate { value }) });
    } else {
        draft.emit(AnswerGiven { question, source, secret, private: Some(AnswerGivenPrivate { value }) });
    }
    Ok(())
}

pub(super) fn take_back(draft: &mut Decision<'_>, question: String) -> Result<(), Refusal> {
    must_ask(draft)?;
    let Some(answer) = draft.run.answers.get(&question) else { return Ok(()) };
    let (source, secret) = (answer.source, answer.secret);
    let private = Some(AnswerChangedPrivate { value: "null".to_owned() });
    draft.emit(AnswerChanged { question, source, secret, removed: true, private });
    Ok(())
}

pub(super) fn complete(draft: &mut Decision<'_>, advice: &[StartAdvice]) -> Result<(), Refusal> {
    must_ask(draft)?;
    let template = &draft.basis.template;
    let values: Answers = draft.run.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect();
    let visible = |question: &Question| crate::domain::form::is_visible(question, &values);
    let questions = || template.form_schema.questions.iter();
    let missing: Vec<String> = questions()
        .filter(|question| question.required && visible(question) && !draft.run.answers.contains_key(&question.id))
        .map(|question| question.id.clone())
        .collect();
    if !missing.is_empty() {
        return Err(Refusal::FormIncomplete(missing));
    }
    let hidden: Vec<String> = questions().filter(|question| !visible(question)).map(|q| q.id.clone()).collect();
    for question in &hidden {
        if let Some(answer) = draft.run.answers.get(question) {
            let (source, secret) = (answer.source, answer.secret);
            let private = Some(AnswerChangedPrivate { value: "null".to_owned() });
            draft.emit(AnswerChanged { question: question.clone(), source, secret, removed: true, private });
        }
    }
    draft.emit(FormCompleted { answered: draft.run.answers.len() as u32, hidden, private: Some(FormCompletedPrivate {}) });
    plan(draft, advice)
}

fn plan(draft: &mut Decision<'_>, advice: &[StartAdvice]) -> Result<(), Refusal> {
    let settings = &draft.basis.settings;
    let started = draft.run.terms.as_ref();
    let defaults = PlanDefaults {
        strategy_override: started.and_then(|terms| terms.strategy),
        strategy: settings.run.strategy,
        max_attempts_per_tier: settings.run.max_attempts_per_tier,
    };
    let answers: Answers = draft.run.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect();
    let team = team::plan(&draft.basis.template, &draft.basis.bases, &answers, &defaults);
    if team.agents.is_empty() {
        return Err(Refusal::NoAgents { because: team.trace.into_iter().map(|rule| (rule.role, rule.because)).collect() });
    }
    for rule in team.skipped() {
        let private = Some(RuleSkippedPrivate { because: rule.because.clone() });
        draft.emit(RuleSkipped { rule: rule.rule, role: rule.role.clone(), question: rule.question.clone(), private });
    }
    for agent in team.agents.clone() {
        for tier in agent.strategy.tiers() {
            if settings.tiers.get(*tier).is_none() {
                return Err(Refusal::TierWithoutModel { role: agent.role, tier: *tier });
            }
        }
        let (number, strategy) = (agent.number, agent.strategy);
        let advised = advice.iter().find(|one| one.role == agent.role && strategy.tiers().contains(&one.tier)).cloned();
        let because =
            team.trace.iter().find(|rule| rule.rule == agent.rule).map_or_else(String::new, |rule| rule.because.clone());
        draft.emit(planned(agent, because));
        if let Some(advised) = advised {
            draft.emit(StartTierChosen {
                agent: number,
                tier: advised.tier,
                by: ChosenBy::History,
                evidence: advised.evidence,
                private: Some(StartTierChosenPrivate { because: advised.because }),
            });
        } else if let Some(tier) = strategy.tiers().first() {
            draft.emit(StartTierChosen {
                agent: number,
                tier: *tier,
                by: ChosenBy::Strategy,
                evidence: Vec::new(),
                private: Some(StartTierChosenPrivate { because: format!("{strategy} starts at {tier}") }),
            });
        }
    }
    Ok(())
}

fn planned(agent: PlannedAgent, because: String) -> AgentPlanned {
    AgentPlanned {
        agent: agent.number,
        rule: agent.rule,
        role: agent.role,
        base: agent.base,
        strategy: agent.strategy,
        tools: agent.tools,
        depends_on: agent.depends_on,
        max_attempts_per_tier: agent.max_attempts_per_tier,
        budget: agent.budget,
        on_failure: agent.on_failure,
        strict: agent.strict,
        threshold: agent.threshold,
        private: Some(AgentPlannedPrivate {
            item: agent.item,
            because,
            config: Value::Object(agent.config).to_string(),
            criteria: serde_json::to_string(&agent.criteria).unwrap_or_default(),
            task: placeholder::join(
                &agent.task,
                |input| format!("{{{{inputs.{input}}}}}"),
                |role| format!("{{{{agents.{role}.output}}}}"),
            ),
        }),
    }
}

/// Refuses unless the form is open.
fn must_ask(draft: &Decision<'_>) -> Result<(), Refusal> {
    draft.must_run()?;
    if draft.run.form_complete { Err(Refusal::FormComplete) } else { Ok(()) }
}
