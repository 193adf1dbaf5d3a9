//! What a run would do, without doing it: the team, why, how large the prompts are, and what it may cost.

use super::Runs;
use crate::domain::event::{InputAttached, Mode};
use crate::domain::ids::{AgentNo, RunId};
use crate::domain::money::NanoUsd;
use crate::domain::placeholder::{self, Reference};
use crate::domain::run::{Basis, Command, Refusal, Run, decide, expected, material_of, most_with_tools, preview_prompt};
use crate::domain::team::RuleTrace;
use crate::domain::template::Template;
use crate::domain::tier::Tier;
use crate::domain::tokens::estimate_tokens;
use crate::memory::advice::likeness::InputProfile;

use super::{inputs, windows};
use crate::workspace::memory::alike;
use crate::workspace::memory::recommend::{Forecast, RecommendRequest};
use crate::workspace::request::RunRequest;
use crate::workspace::runs::start::{StartError, answer_command};

/// What a run would be.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The agents, by number.
    pub agents: Vec<AgentPreview>,
    /// For every rule, what became of it and why.
    pub trace: Vec<RuleTrace>,
    /// What it may cost without turns for tools, repeats of answers that were cut off, and fallbacks; `None` when a model has no price.
    pub cost: Option<(NanoUsd, NanoUsd)>,
    /// A model that it may use has fallbacks.
    pub has_fallbacks: bool,
    /// What it costs at most when agents with tools use all their turns, and how many turns that are in each attempt; `None` when no agent
    /// has tools, or a model has no price.
    pub most: Option<(NanoUsd, u32)>,
    /// The material.
    pub inputs: Vec<InputPreview>,
    /// How past runs with answers and inputs like these went; `None` when there was none.
    pub past: Option<Forecast>,
}

/// Material that a run would be given, and who would get it.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPreview {
    /// The input, as it would be recorded.
    pub attached: InputAttached,
    /// Estimated tokens in each prompt that has it.
    pub tokens: u64,
    /// How many agents get it.
    pub agents: u64,
    /// What these tokens cost, once for each of those agents at its first tier; `None` when a model has no price.
    pub cost: Option<NanoUsd>,
}

/// What one agent would be.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentPreview {
    /// `role` or `role[item]`.
    pub label: String,
    /// The base agent.
    pub base: String,
    /// Tiers and the models that serve them, in order of use.
    pub tiers: Vec<(Tier, String)>,
    /// Labels of the agents that it waits for.
    pub depends_on: Vec<String>,
    /// Estimated input tokens of its first call, other agents' outputs not counted.
    pub prompt_tokens: u64,
    /// How many criteria judge it.
    pub criteria: usize,
    /// What it may cost, judging included: the first tier at once with an answer of usual length, and every attempt at every tier at full
    /// length, with those of the agents that it waits for. Turns for tools, repeats of answers that were cut off and dearer fallbacks
    /// come on top.
    pub cost: Option<(NanoUsd, NanoUsd)>,
}

impl Runs<'_> {
    /// Says what a run with these answers would be. Nothing is appended and nothing is called.
    ///
    /// # Errors
    /// As [`Runs::start`].
    pub(crate) fn preview(&self, template: &Template, request: &RunRequest) -> Result<Preview, StartError> {
        let (preview, given) = self.imagined(template, request)?;
        Ok(Preview { past: self.past(template, &given), ..preview })
    }

    /// Says the same without how past runs like it went: that reads many of them, and compares what texts mean.
    ///
    /// # Errors
    /// As [`Runs::start`].
    pub(crate) fn preview_alone(&self, template: &Template, request: &RunRequest) -> Result<Preview, StartError> {
        Ok(self.imagined(template, request)?.0)
    }

    /// A history that cannot be read is no reason not to say what the run would be.
    fn past(&self, template: &Template, given: &RecommendRequest) -> Option<Forecast> {
        self.0.memory().forecast(&template.template_id, given).unwrap_or_default()
    }

    /// Says what a run would be, and what of it is compared with past runs.
    fn imagined(&self, template: &Template, request: &RunRequest) -> Result<(Preview, RecommendRequest), StartError> {
        self.check_tiers(template, request.strategy)?;
        let basis = self.basis(template);
        let settled = self.0.settle(template, request)?;
        let redactor = self.0.redactor_of(&basis, &settled.secrets);
        let inputs = request.inputs.iter().map(|(id, value)| inputs::read(&template.inputs, id, value, &redactor));
        let inputs: Vec<InputAttached> = inputs.collect::<Result<_, _>>()?;
        let executor = crate::domain::ids::ExecutorId::from_bytes([0; 16]);
        let started = self.started_without_store(template, &basis, request, &redactor, executor);
        let mut commands = vec![Command::Begin(Box::new(started))];
        let profiles: Vec<InputProfile> = inputs.iter().map(alike::profile).collect();
        commands.extend(inputs.iter().cloned().map(|input| Command::Attach(Box::new(input))));
        commands.extend(settled.answers.into_iter().map(|answer| answer_command(&redactor, template, answer)));
        let advice =
            self.adaptive_starts(template, request.strategy, crate::workspace::runs::start::mode(&self.0.resolved.settings))?;
        commands.push(Command::CompleteForm(advice));
        let run = imagine(&basis, commands)?;
        windows::check(&basis, &run, request.strategy)?;
        let trace =
            crate::domain::team::plan(template, &basis.bases, &answers(&run), &self.plan_defaults(request.strategy)).trace;
        let agents: Vec<AgentPreview> =
            (0..run.agents.len() as AgentNo).filter_map(|agent| preview(&run, &basis, agent)).collect();
        let sum =
            |end: fn((NanoUsd, NanoUsd)) -> NanoUsd| agents.iter().map(|agent| agent.cost.map(end)).sum::<Option<NanoUsd>>();
        let cost = sum(|cost| cost.0).zip(sum(|cost| cost.1));
        let most = most_with_tools(&run, &basis);
        let mut tiers = run.agents.iter().flat_map(|agent| agent.plan.strategy.tiers());
        let has_fallbacks = tiers.any(|tier| basis.work_models(*tier).len() > 1);
        let is_simulated = crate::workspace::runs::start::mode(&self.0.resolved.settings) == Mode::Simulated;
        let given = RecommendRequest::new().inputs(profiles).include_simulated(is_simulated);
        let given = answers(&run).into_iter().fold(given, |given, (question, value)| given.answer(question, value));
        let inputs = inputs.into_iter().map(|input| input_preview(&run, &basis, input)).collect();
        Ok((Preview { agents, trace, cost, has_fallbacks, most, inputs, past: None }, given))
    }
}

fn answers(run: &Run) -> crate::domain::answers::Answers {
    run.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect()
}

/// Folds what `commands` would cause.
pub(in crate::workspace) fn imagine(basis: &Basis, commands: Vec<Command>) -> Result<Run, Refusal> {
    let run = Run { id: Some(RunId::from_bytes([0; 16])), ..Run::default() };
    commands.into_iter().try_fold(run, |run, command| Ok(decide(run, basis, command, 0)?.1))
}

/// Says who would get an input and what that costs.
fn input_preview(run: &Run, basis: &Basis, attached: InputAttached) -> InputPreview {
    let alone = Run { inputs: run.inputs.iter().filter(|input| input.id == attached.input).cloned().collect(), ..Run::default() };
    let tokens = estimate_tokens(&material_of(&alone, None));
    let named = Reference::Input(attached.input.clone());
    let gets = |agent: &&crate::domain::run::Agent| {
        let rule = basis.template.agent_composition_rules.get(agent.plan.rule as usize);
        rule.and_then(|rule| rule.prompt.as_deref()).is_none_or(|task| placeholder::references(task).contains(&named))
    };
    let getting: Vec<_> = run.agents.iter().filter(gets).collect();
    let price = |agent: &&crate::domain::run::Agent| {
        let first = agent.plan.strategy.tiers().iter().find_map(|tier| basis.work_models(*tier).into_iter().next())?;
        basis.worst_case(&first.provider, &first.model, tokens, 0)
    };
    let cost = getting.iter().map(price).sum::<Option<NanoUsd>>();
    InputPreview { attached, tokens, agents: getting.len() as u64, cost }
}

fn preview(run: &Run, basis: &Basis, number: AgentNo) -> Option<AgentPreview> {
    let agent = run.agent(number)?;
    let prompt = preview_prompt(run, basis, number);
    let prompt_tokens = estimate_tokens(&prompt.system) + estimate_tokens(&prompt.user);
    let tiers: Vec<_> = agent
        .plan
        .strategy
        .tiers()
        .iter()
        .filter_map(|tier| Some((*tier, basis.work_models(*tier).into_iter().next()?)))
        .collect();
    let label = |number: &AgentNo| run.agent(*number).map(|agent| agent.label.clone());
    Some(AgentPreview {
        label: agent.label.clone(),
        base: agent.plan.base.clone(),
        depends_on: agent.plan.depends_on.iter().filter_map(label).collect(),
        prompt_tokens,
        criteria: agent.criteria.len(),
        cost: expected(run, basis, agent),
        tiers: tiers.into_iter().map(|(tier, model)| (tier, model.model)).collect(),
    })
}
