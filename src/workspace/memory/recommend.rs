//! Advice for a template before money is spent: how it will probably go, where each agent should start, what to answer.
//!
//! Everything is read from the views; [`crate::workspace::memory::alike`] says which past runs are like the one to come. What rests on
//! less than the minimum sample says that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Recall;
use crate::domain::event::{Event, Mode, RecommendationShown, RecommendationShownPrivate};
use crate::domain::ids::RunId;
use crate::domain::team::possible;
use crate::domain::template::Template;
use crate::domain::text::Text;
use crate::domain::tier::Tier;
use crate::memory::advice::likeness::InputProfile;
use crate::memory::advice::outlook::{Chance, Spread, outlook};
use crate::memory::advice::past::Counts;
use crate::memory::advice::role::{RoleAdvice, Terms, on_role};
use crate::memory::advice::team::TierAdvice;
use crate::store;
use crate::views::misconfigured::left_out_words;
use crate::workspace::memory::alike::InputLikeness;
use crate::workspace::memory::analysis::AnalyticsQuestion;
use crate::workspace::memory::patterns::{PastRun, Pattern};

/// Past runs looked at, the newest.
const PAST_MAX: usize = 2_000;
/// Runs named as evidence.
const EVIDENCE_MAX: usize = 8;

/// Advice for a template.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Advice for a template, as `meno recommend TEMPLATE --json` prints it")]
pub struct Recommendation {
    /// The template's id.
    pub template_id: String,
    /// Past runs that the advice rests on: of this template, with answers and inputs like those given.
    pub n_similar: u64,
    /// What of each given input those runs had too; empty when no input was given, or all runs are looked at.
    pub inputs: Vec<InputLikeness>,
    /// The probability of success; null under the minimum sample, as every number below that is made of runs.
    pub success: Option<Chance>,
    /// Of those runs, how many are known to have succeeded or not.
    pub n_judged: u64,
    /// What a run costs.
    pub cost_nusd: Option<Spread>,
    /// Of those runs, how many have a known cost in the kind of money that counts.
    pub n_cost: u64,
    /// How long a run works, without the time that a form takes or a person is waited for.
    pub duration_ms: Option<Spread>,
    /// Of those runs, how many have a known duration.
    pub n_duration: u64,
    /// The budget that would have covered 95 of 100 of those runs, in nUSD.
    pub budget_p95_nusd: Option<u64>,
    /// Runs of this template that ended because they could not work: key, model, price or server. They are counted nowhere else.
    pub failed_by_configuration: u64,
    /// Where each agent should start: those that the given answers make or may make, else all that are known.
    pub agents: Vec<AgentAdvice>,
    /// What to answer.
    pub answers: Vec<AnswerAdvice>,
    /// Templates that usually follow.
    pub next: Vec<NextAdvice>,
    /// What to beware of.
    pub warnings: Vec<String>,
    /// The newest of the runs that the advice rests on.
    pub evidence: Vec<String>,
}

/// How past runs like one to come went.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Forecast {
    /// Past runs that it rests on: of this template, with answers and inputs like those given.
    pub n_similar: u64,
    /// What of each given input those runs had too; empty when no input was given, or all runs are looked at.
    pub inputs: Vec<InputLikeness>,
    /// The probability of success; null under the minimum sample.
    pub success: Option<Chance>,
    /// What a run cost; null under the minimum sample.
    pub cost_nusd: Option<Spread>,
    /// How long a run worked; null under the minimum sample.
    pub duration_ms: Option<Spread>,
}

/// Where an agent should start.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentAdvice {
    /// The role.
    pub role: String,
    /// The tier to start at; null while too little is known.
    pub start_tier: Option<Tier>,
    /// The tiers that were tried, lowest first.
    pub tiers: Vec<TierAdvice>,
    /// Why, in words and numbers.
    pub because: String,
    /// The newest runs that speak for it.
    pub evidence: Vec<String>,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AnswerAdvice {
    /// The question's id.
    pub question: String,
    /// The answer.
    pub value: Value,
    /// Why.
    pub because: String,
    /// The newest runs that speak for it.
    pub evidence: Vec<String>,
}

/// A template that usually follows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct NextAdvice {
    /// The template's id.
    pub template_id: String,
    /// Its runs within a day after one of this template.
    pub runs: u64,
    /// How much likelier it is then than otherwise.
    pub lift: f64,
}

/// What a recommendation is asked for.
///
/// ```
/// use meno::RecommendRequest;
///
/// let request = RecommendRequest::new().answer("has_tests", true).include_simulated(true);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecommendRequest {
    answers: BTreeMap<String, Value>,
    inputs: Vec<InputProfile>,
    simulated: bool,
    unverified: bool,
}

impl RecommendRequest {
    /// A request for advice before anything is answered, from real runs that were verified.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a question will be answered.
    #[must_use]
    pub fn answer(mut self, question: impl Into<String>, value: impl Into<Value>) -> Self {
        self.answers.insert(question.into(), value.into());
        self
    }

    /// Says which inputs will be given, as [`Recall::profiles`] reads them.
    #[must_use]
    pub(crate) fn inputs(mut self, inputs: Vec<InputProfile>) -> Self {
        self.inputs = inputs;
        self
    }

    /// Lets simulated runs count too.
    #[must_use]
    pub fn include_simulated(mut self, include: bool) -> Self {
        self.simulated = include;
        self
    }

    /// Lets successes that nobody could verify count as successes.
    #[must_use]
    pub fn include_unverified(mut self, include: bool) -> Self {
        self.unverified = include;
        self
    }

    fn counts(&self) -> Counts {
        Counts { simulated: self.simulated, unverified: self.unverified }
    }
}

impl AgentAdvice {
    fn new(role: &str, advice: RoleAdvice) -> Self {
        Self {
            role: role.to_owned(),
            start_tier: advice.start.start,
            tiers: advice.start.tiers,
            because: advice.because,
            evidence: advice.evidence.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Recall<'_> {
    /// Advises on a run of the template `id`, and appends that it did when there is a history to advise from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recommend(&self, id: &str, request: &RecommendRequest) -> Result<Recommendation, store::Error> {
        // Histories of other tools come without template files: what they name is known by its runs.
        let template = self.0.library.find(id).ok().flatten().and_then(|entry| entry.template);
        let mut recommendation = self.advise_on(id, template.as_ref(), request)?;
        // Advice that cannot be recorded is given all the same.
        if recommendation.n_similar > 0
            && self.0.read_only().is_none()
            && let Err(why) = self.record_advice(&recommendation)
        {
            recommendation.warnings.push(format!("that this advice was given could not be recorded: {why}"));
        }
        Ok(recommendation)
    }

    /// Advises on a run of the template `id`, and records nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn advise(&self, id: &str, request: &RecommendRequest) -> Result<Recommendation, store::Error> {
        let template = self.0.library.find(id).ok().flatten().and_then(|entry| entry.template);
        self.advise_on(id, template.as_ref(), request)
    }

    fn advise_on(
        &self,
        id: &str,
        template: Option<&Template>,
        request: &RecommendRequest,
    ) -> Result<Recommendation, store::Error> {
        let memory = &self.0.resolved.settings.memory;
        let (past, all) = self.past_of(id, request.simulated)?;
        let mut warnings = Vec::new();
        if past.len() < all {
            let left_out = all - past.len();
            let noun = if left_out == 1 { "run" } else { "runs" };
            warnings.push(format!("left out: {left_out} simulated {noun}; `--include-simulated` counts them"));
        }
        let similar = self.similar(id, past, &request.answers, &request.inputs, &mut warnings)?;
        let outlook = outlook(&similar.runs, memory.min_sample, request.unverified);
        warnings.extend(outlook.warnings);
        let left_out = self.left_out(Some(id))?;
        let simulated = similar.runs.iter().filter(|run| run.fact.mode == Mode::Simulated).count();
        if simulated > 0 {
            let of = similar.runs.len();
            warnings.push(format!(
                "{simulated} of {of} runs behind this are simulated: their costs were never paid, and no model answered"
            ));
        }
        let left_out = left_out.iter().filter(|(_, mode)| request.simulated || *mode != Mode::Simulated).count() as u64;
        warnings.extend(left_out_words(left_out));
        let patterns = self.patterns(None)?;
        let roles = self.roles(id, template, request, &patterns);
        let agents = roles
            .iter()
            .map(|(role, tiers)| AgentAdvice::new(role, self.role_advice((id, role), tiers, &patterns, request.counts())));
        let agents = agents.collect();
        let question = AnalyticsQuestion {
            template: Some(id.to_owned()),
            simulated: request.simulated,
            unverified: request.unverified,
            ..AnalyticsQuestion::default()
        };
        let report = self.analytics(&question)?.template;
        let mut next = Vec::new();
        if let Some(report) = report {
            for finding in report.answers.found.iter().filter(|finding| finding.difference.low > 0.0) {
                let given = request.answers.get(&finding.question).is_none_or(|value| *value == finding.value);
                if given {
                    warnings.push(format!(
                        "`{}` = {} goes with failure: {:.0} % of {} runs with it failed, {:.0} % of the others",
                        finding.question,
                        finding.value,
                        finding.with.value * 100.0,
                        finding.with.n,
                        finding.without.value * 100.0
                    ));
                }
            }
            next.extend(report.next.iter().map(|next| NextAdvice {
                template_id: next.template_id.clone(),
                runs: next.runs,
                lift: next.lift.value,
            }));
        }
        Ok(Recommendation {
            template_id: id.to_owned(),
            n_similar: similar.runs.len() as u64,
            inputs: similar.inputs,
            success: outlook.success,
            n_judged: outlook.n_judged,
            cost_nusd: outlook.cost,
            n_cost: outlook.n_cost,
            duration_ms: outlook.duration_ms,
            n_duration: outlook.n_duration,
            budget_p95_nusd: outlook.budget_p95,
            failed_by_configuration: left_out,
            agents,
            answers: self.answer_advice(id, template, request)?,
            next,
            warnings,
            evidence: similar.runs.iter().take(EVIDENCE_MAX).map(|run| run.run.to_string()).collect(),
        })
    }

    /// Returns the roles to advise on, each with the tiers that it may use: those that the given answers make or may make; without
    /// answers all of the template's in its order, then those that only its past has, of older versions or of other tools.
    fn roles(
        &self,
        id: &str,
        template: Option<&Template>,
        request: &RecommendRequest,
        patterns: &[Pattern],
    ) -> Vec<(String, Vec<Tier>)> {
        let given = request.answers.iter().map(|(question, value)| (question.clone(), value.clone())).collect();
        let is_answered = !request.answers.is_empty();
        let rules = match template {
            Some(template) if is_answered => possible(template, &given),
            Some(template) => template.agent_composition_rules.iter().collect(),
            None => Vec::new(),
        };
        let usual = template.and_then(|template| template.defaults.as_ref()).and_then(|defaults| defaults.strategy);
        let usual = usual.unwrap_or(self.0.resolved.settings.run.strategy);
        let mut roles: Vec<(String, Vec<Tier>)> = Vec::new();
        for rule in rules {
            if !roles.iter().any(|(role, _)| *role == rule.role) {
                roles.push((rule.role.clone(), rule.tier_strategy.unwrap_or(usual).tiers().to_vec()));
            }
        }
        if template.is_none() || !is_answered {
            let of_past = patterns.iter().filter(|pattern| pattern.key.template == id).map(|pattern| &pattern.key.role);
            for role in of_past.collect::<BTreeSet<_>>() {
                if !roles.iter().any(|(known, _)| known == role) {
                    roles.push((role.clone(), Tier::ALL.to_vec()));
                }
            }
        }
        roles
    }

    /// Returns the newest past runs of a template, and how many there were with those that do not count.
    fn past_of(&self, id: &str, simulated: bool) -> Result<(Vec<PastRun>, usize), store::Error> {
        let past = self.past_runs(id, None, None, PAST_MAX)?;
        let all = past.len();
        Ok((past.into_iter().filter(|run| simulated || run.fact.mode != Mode::Simulated).collect(), all))
    }

    /// Says how past runs like the one to come went; `None` when there was none. Appends nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn forecast(&self, id: &str, request: &RecommendRequest) -> Result<Option<Forecast>, store::Error> {
        let (past, _) = self.past_of(id, request.simulated)?;
        let similar = self.similar(id, past, &request.answers, &request.inputs, &mut Vec::new())?;
        if similar.runs.is_empty() {
            return Ok(None);
        }
        let outlook = outlook(&similar.runs, self.0.resolved.settings.memory.min_sample, request.unverified);
        Ok(Some(Forecast {
            n_similar: similar.runs.len() as u64,
            inputs: similar.inputs,
            success: outlook.success,
            cost_nusd: outlook.cost,
            duration_ms: outlook.duration_ms,
        }))
    }

    /// Advises on a role of a template, which may start at the tiers `allowed`, from what all templates' attempts say.
    pub(in crate::workspace) fn role_advice(
        &self,
        of: (&str, &str),
        allowed: &[Tier],
        patterns: &[Pattern],
        counts: Counts,
    ) -> RoleAdvice {
        let memory = &self.0.resolved.settings.memory;
        let terms = Terms { counts, today: self.today(), half_life_days: memory.half_life_days, min_sample: memory.min_sample };
        on_role(of, allowed, patterns, terms, EVIDENCE_MAX)
    }

    fn answer_advice(
        &self,
        id: &str,
        template: Option<&Template>,
        request: &RecommendRequest,
    ) -> Result<Vec<AnswerAdvice>, store::Error> {
        let questions = template.iter().flat_map(|template| &template.form_schema.questions);
        let sensitive: Vec<&str> = questions.filter(|question| question.sensitive).map(|question| question.id.as_str()).collect();
        let mut advice = Vec::new();
        for known in self.default_answers(id, &sensitive)? {
            if request.answers.contains_key(&known.question) {
                continue;
            }
            if let Some(chosen) = known.chosen {
                advice.push(AnswerAdvice {
                    question: known.question,
                    value: chosen.value,
                    because: format!("{} of {} successful runs chose it", chosen.successes, chosen.of),
                    evidence: chosen.evidence.iter().map(ToString::to_string).collect(),
                });
            } else if let Some((value, run)) = known.last {
                let evidence = vec![run.to_string()];
                advice.push(AnswerAdvice { question: known.question, value, because: "answered so last".to_owned(), evidence });
            }
        }
        Ok(advice)
    }

    /// Appends that advice was shown, so that its worth can be measured; without the answers that it repeats, which belong to the
    /// runs that gave them and are forgotten with those.
    fn record_advice(&self, recommendation: &Recommendation) -> Result<(), store::Error> {
        let mut told = recommendation.clone();
        told.answers.iter_mut().for_each(|answer| answer.value = Value::Null);
        told.warnings.clear();
        let advice = serde_json::to_string(&told).unwrap_or_default();
        let evidence = recommendation.evidence.iter().filter_map(|run| run.parse().ok()).collect();
        self.advice_shown(&recommendation.template_id, evidence, advice, None).map(drop)
    }

    /// Appends that advice was shown, in a run or before any; returns the event's position.
    pub(in crate::workspace) fn advice_shown(
        &self,
        template: &str,
        evidence: Vec<RunId>,
        advice: String,
        run: Option<RunId>,
    ) -> Result<u64, store::Error> {
        let event = RecommendationShown {
            template_id: template.to_owned(),
            evidence,
            private: Some(RecommendationShownPrivate { advice: Text::Inline(advice) }),
        };
        Ok(self.0.runs().append_one(Event::from(event), run)?.0.seq)
    }
}
