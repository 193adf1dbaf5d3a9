//! Advice for a template before money is spent: how it will probably go, where each agent should start, what to answer.
//!
//! Everything is read from the views; which past runs are like the one to come is said by their answers. What rests on less than the
//! minimum sample says that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Workspace;
use super::analysis::AnalyticsQuestion;
use super::patterns::{PastRun, Pattern};
use crate::analytics::stats;
use crate::domain::event::{Event, Mode, RecommendationShown, RecommendationShownPrivate};
use crate::domain::ids::RunId;
use crate::domain::run::{Command, Run, StartAdvice as StartWish};
use crate::domain::template::Template;
use crate::domain::text::Text;
use crate::domain::tier::{Strategy, Tier};
use crate::memory::advice::team::{StartAdvice, TierKnown, TierPast, advise};
use crate::store;
use crate::views::sketch::Sketch;

/// Past runs looked at, the newest.
const PAST_MAX: usize = 2_000;
/// Past runs whose answers are compared with those given, the newest: their events are read.
const COMPARED_MAX: usize = 300;
/// Runs named as evidence.
const EVIDENCE_MAX: usize = 8;

/// Kinds of money, the one that says most first.
const MONEY: [Mode; 3] = [Mode::Real, Mode::Imported, Mode::Simulated];

/// Advice for a template.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Advice for a template, as `meno recommend TEMPLATE --json` prints it")]
pub struct Recommendation {
    /// The template's id.
    pub template_id: String,
    /// Past runs that the advice rests on: of this template, with answers like those given.
    pub n_similar: u64,
    /// The probability of success; null under the minimum sample.
    pub success: Option<Chance>,
    /// What a run costs; null when no cost is wholly known.
    pub cost_nusd: Option<Spread>,
    /// How long a run takes; null when it is not known.
    pub duration_ms: Option<Spread>,
    /// The budget that would have covered 95 of 100 of those runs, in nUSD.
    pub budget_p95_nusd: Option<u64>,
    /// Where each agent should start.
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

/// A probability with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chance {
    /// The share observed.
    pub p: f64,
    /// The interval's lower end (Wilson, 95 %).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spread {
    /// One of ten is at most this.
    pub p10: u64,
    /// The median.
    pub p50: u64,
    /// Nine of ten are at most this.
    pub p90: u64,
}

/// Where an agent should start.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AgentAdvice {
    /// The role.
    pub role: String,
    /// The tier to start at; null while too little is known.
    pub start_tier: Option<Tier>,
    /// The tiers that were tried, lowest first.
    pub tiers: Vec<TierLine>,
    /// Why, in words and numbers.
    pub because: String,
    /// The newest runs that speak for it.
    pub evidence: Vec<String>,
}

/// What is to be expected of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TierLine {
    /// The tier.
    pub tier: Tier,
    /// The chance that it passes.
    pub p_pass: f64,
    /// The interval's lower end (95 %).
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Attempts that it is known from.
    pub n: u64,
    /// The chance that it passes and the next lower listed tier fails.
    pub benefit: f64,
    /// The expected cost of starting here; null when a cost is not known.
    pub expected_cost_nusd: Option<u64>,
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
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// The answers that will be given.
    pub answers: BTreeMap<String, Value>,
    /// Simulated runs count too.
    pub simulated: bool,
    /// Successes that nobody could verify count as successes.
    pub unverified: bool,
}

impl Workspace {
    /// Advises on a run of the template `id`, and appends that it did when there is a history to advise from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recommend(&self, id: &str, template: Option<&Template>, wish: &Wish) -> Result<Recommendation, store::Error> {
        let mut recommendation = self.advise_on(id, template, wish)?;
        // Advice that cannot be recorded is given all the same.
        if recommendation.n_similar > 0
            && let Err(why) = self.record_advice(&recommendation)
        {
            recommendation.warnings.push(format!("that this advice was given could not be recorded: {why}"));
        }
        Ok(recommendation)
    }

    /// Returns the command that closes a run's form and plans its team, with what history says of where adaptive agents should start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn completion(&self, run: &Run, template: &Template) -> Result<Command, store::Error> {
        let terms = run.terms.as_ref();
        let mode = terms.map_or(Mode::Real, |terms| terms.mode);
        Ok(Command::CompleteForm(self.start_advice(template, terms.and_then(|terms| terms.strategy), mode)?))
    }

    /// Returns where the agents of `template` should start that the strategy `adaptive` leaves to history: by role. Agents of which
    /// too little is known are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn start_advice(
        &self,
        template: &Template,
        strategy: Option<Strategy>,
        mode: Mode,
    ) -> Result<Vec<StartWish>, store::Error> {
        let usual = self.resolved.settings.run.strategy;
        let of = |own: Option<Strategy>| strategy.or(own).unwrap_or(usual);
        let adaptive = |own| of(own) == Strategy::Adaptive;
        let roles: Vec<&str> = template
            .agent_composition_rules
            .iter()
            .filter(|rule| adaptive(rule.tier_strategy.or(template.defaults.as_ref().and_then(|defaults| defaults.strategy))))
            .map(|rule| rule.role.as_str())
            .collect();
        if roles.is_empty() {
            return Ok(Vec::new());
        }
        let wish = Wish { simulated: mode == Mode::Simulated, ..Wish::default() };
        let patterns = self.patterns(None)?;
        let advice = roles.into_iter().filter_map(|role| {
            let advice = self.agent_advice(&template.template_id, role, &patterns, &wish);
            let evidence = advice.evidence.iter().filter_map(|run| run.parse().ok()).collect();
            Some(StartWish { role: role.to_owned(), tier: advice.start_tier?, because: advice.because, evidence })
        });
        Ok(advice.collect())
    }

    fn advise_on(&self, id: &str, template: Option<&Template>, wish: &Wish) -> Result<Recommendation, store::Error> {
        let memory = &self.resolved.settings.memory;
        let past = self.past_runs(id, None, None, PAST_MAX)?;
        let all = past.len();
        let past: Vec<PastRun> = past.into_iter().filter(|run| wish.simulated || run.fact.mode != Mode::Simulated).collect();
        let mut warnings = Vec::new();
        if past.len() < all {
            let left_out = all - past.len();
            warnings.push(format!("left out: {left_out} simulated runs; `--include-simulated` counts them"));
        }
        let similar = self.similar(past, &wish.answers, &mut warnings)?;
        let judged: Vec<bool> = similar.iter().filter_map(|run| run.fact.judged(wish.unverified)).collect();
        let enough = judged.len() >= memory.min_sample as usize;
        if !enough {
            warnings.push(format!(
                "runs of this template that ended and could be judged: {}; under {} the chance of success is not known",
                judged.len(),
                memory.min_sample
            ));
        }
        let passed = judged.iter().filter(|passed| **passed).count();
        let success = stats::wilson(passed as f64, judged.len() as f64).filter(|_| enough);
        let success = success.map(|share| Chance { p: share.value, low: share.low, high: share.high });
        // Money of different kinds is never put together: real runs say what a run costs, else imported ones, else simulated ones.
        let paid: Vec<&PastRun> = similar.iter().filter(|run| run.fact.cost_complete).collect();
        let kind = MONEY.into_iter().find(|mode| paid.iter().any(|run| run.fact.mode == *mode));
        if paid.iter().any(|run| Some(run.fact.mode) != kind) {
            let kind = kind.map_or("real", Mode::name);
            warnings.push(format!("what runs cost is that of {kind} runs alone; other kinds of money are left out"));
        }
        let costs: Vec<u64> = paid.iter().filter(|run| Some(run.fact.mode) == kind).map(|run| run.fact.cost).collect();
        let times: Vec<u64> = similar.iter().filter_map(|run| run.fact.duration_ms).collect();
        let (cost, duration) = (Sorted::new(costs), Sorted::new(times));
        let patterns = self.patterns(None)?;
        // The template's own roles in its order, then those that only its past has: of older versions, or of other tools.
        let rules = template.iter().flat_map(|template| &template.agent_composition_rules);
        let mut roles: Vec<String> = rules.map(|rule| rule.role.clone()).collect();
        let past_roles: BTreeSet<&String> =
            patterns.iter().filter(|pattern| pattern.key.template == id).map(|pattern| &pattern.key.role).collect();
        let others: Vec<String> = past_roles.into_iter().filter(|role| !roles.contains(role)).cloned().collect();
        roles.extend(others);
        let agents = roles.iter().map(|role| self.agent_advice(id, role, &patterns, wish)).collect();
        let question = AnalyticsQuestion {
            template: Some(id.to_owned()),
            simulated: wish.simulated,
            unverified: wish.unverified,
            ..AnalyticsQuestion::default()
        };
        let report = self.analytics(&question)?.template;
        let mut next = Vec::new();
        if let Some(report) = report {
            for finding in report.answers.found.iter().filter(|finding| finding.difference.low > 0.0) {
                let given = wish.answers.get(&finding.question).is_none_or(|value| *value == finding.value);
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
            n_similar: similar.len() as u64,
            success,
            cost_nusd: cost.spread(),
            duration_ms: duration.spread(),
            budget_p95_nusd: cost.at(0.95),
            agents,
            answers: self.answer_advice(id, template, wish)?,
            next,
            warnings,
            evidence: similar.iter().take(EVIDENCE_MAX).map(|run| run.run.to_string()).collect(),
        })
    }

    /// Returns the past runs whose answers agree most with those given; all when nothing was given or too few agree.
    fn similar(
        &self,
        past: Vec<PastRun>,
        answers: &BTreeMap<String, Value>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<PastRun>, store::Error> {
        if answers.is_empty() || past.is_empty() {
            return Ok(past);
        }
        let mut alike = Vec::new();
        for run in past.iter().take(COMPARED_MAX) {
            let told = self.detail(run.run)?.answers;
            let agree = answers.iter().filter(|(question, value)| told.get(*question) == Some(value)).count();
            alike.push((agree, run));
        }
        let min = self.resolved.settings.memory.min_sample as usize;
        for wanted in (1..=answers.len()).rev() {
            let chosen: Vec<PastRun> =
                alike.iter().filter(|(agree, _)| *agree >= wanted).map(|(_, run)| (*run).clone()).collect();
            if chosen.len() >= min {
                return Ok(chosen);
            }
        }
        warnings.push("too few past runs had these answers; all runs of the template are looked at".to_owned());
        Ok(past)
    }

    fn agent_advice(&self, template: &str, role: &str, patterns: &[Pattern], wish: &Wish) -> AgentAdvice {
        let memory = &self.resolved.settings.memory;
        let counts = |pattern: &&Pattern| wish.simulated || pattern.key.mode != Mode::Simulated;
        let patterns: Vec<&Pattern> = patterns.iter().filter(counts).collect();
        let today = self.today();
        let sum = |wanted: &dyn Fn(&Pattern) -> bool| {
            let mut past = TierPast::default();
            for pattern in patterns.iter().filter(|pattern| wanted(pattern)) {
                let (passed, failed) = pattern.row.decayed(today, memory.half_life_days, wish.unverified);
                let held = pattern.row.first;
                let whole = f64::from(held.passed + if wish.unverified { held.unverified } else { 0 });
                // First attempts fade as all attempts of the row do.
                let all_passed = (pattern.row.passed + if wish.unverified { pattern.row.unverified } else { 0 }) as f64;
                let share = |part: f64, all: f64| if all > 0.0 { (part / all).clamp(0.0, 1.0) } else { 0.0 };
                let first_passed = passed * share(whole, all_passed);
                let first_failed = failed * share(f64::from(held.failed), pattern.row.failed as f64);
                past.first.passed += first_passed;
                past.first.failed += first_failed;
                past.later.passed += passed - first_passed;
                past.later.failed += failed - first_failed;
            }
            past
        };
        let mut evidence: Vec<RunId> = Vec::new();
        let mut known = Vec::new();
        // Costs are compared with each other, so they are of one kind of money: the first that any attempt here was paid in.
        let own = |pattern: &&&Pattern| pattern.key.template == template && pattern.key.role == role;
        let is_paid = |mode: &Mode| patterns.iter().filter(own).any(|one| one.key.mode == *mode && one.row.cost.count() > 0);
        let money = MONEY.into_iter().find(is_paid);
        for tier in [Tier::Cheap, Tier::Capable, Tier::Premium] {
            let here =
                |pattern: &Pattern| pattern.key.template == template && pattern.key.role == role && pattern.key.tier == tier;
            let rows: Vec<&&Pattern> = patterns.iter().filter(|pattern| here(pattern)).collect();
            let n: u64 = rows.iter().map(|pattern| pattern.row.passed + pattern.row.unverified + pattern.row.failed).sum();
            if n == 0 {
                continue;
            }
            let mut cost = Sketch::default();
            rows.iter().filter(|one| Some(one.key.mode) == money).for_each(|one| cost.merge(&one.row.cost));
            evidence.extend(rows.iter().flat_map(|pattern| pattern.row.evidence.runs()));
            known.push(TierKnown {
                tier,
                here: sum(&here),
                role: sum(&|pattern| pattern.key.role == role && pattern.key.tier == tier),
                all: sum(&|pattern| pattern.key.tier == tier),
                cost: cost.mean(),
                n,
            });
        }
        evidence.sort_unstable_by(|a, b| b.cmp(a));
        evidence.dedup();
        evidence.truncate(EVIDENCE_MAX);
        let advice = advise(&known, u64::from(memory.min_sample));
        AgentAdvice {
            role: role.to_owned(),
            start_tier: advice.start,
            because: because(&advice, memory.min_sample),
            tiers: advice
                .tiers
                .iter()
                .map(|tier| TierLine {
                    tier: tier.tier,
                    p_pass: tier.p_pass,
                    low: tier.low,
                    high: tier.high,
                    n: tier.n,
                    benefit: tier.benefit,
                    expected_cost_nusd: tier.expected_cost.map(|cost| cost.round() as u64),
                })
                .collect(),
            evidence: evidence.iter().map(ToString::to_string).collect(),
        }
    }

    fn answer_advice(&self, id: &str, template: Option<&Template>, wish: &Wish) -> Result<Vec<AnswerAdvice>, store::Error> {
        let questions = template.iter().flat_map(|template| &template.form_schema.questions);
        let sensitive: Vec<&str> = questions.filter(|question| question.sensitive).map(|question| question.id.as_str()).collect();
        let mut advice = Vec::new();
        for known in self.default_answers(id, &sensitive)? {
            if wish.answers.contains_key(&known.question) {
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

    /// Appends that advice was shown, so that its worth can be measured.
    fn record_advice(&self, recommendation: &Recommendation) -> Result<(), store::Error> {
        let advice = serde_json::to_string(recommendation).unwrap_or_default();
        let event = RecommendationShown {
            template_id: recommendation.template_id.clone(),
            evidence: recommendation.evidence.iter().filter_map(|run| run.parse().ok()).collect(),
            private: Some(RecommendationShownPrivate { advice: Text::Inline(advice) }),
        };
        self.append_one(Event::from(event), None).map(drop)
    }
}

fn because(advice: &StartAdvice, min_sample: u32) -> String {
    let Some(lowest) = advice.tiers.first() else { return "this role was never tried here".to_owned() };
    let tier = |tier: &crate::memory::advice::team::TierAdvice| {
        let cost = tier.expected_cost.map_or_else(String::new, |cost| {
            format!(", starting there costs ${} on average", crate::domain::money::NanoUsd(cost.round() as u64).to_decimal())
        });
        format!(
            "{} passes {:.0} % ({:.0} to {:.0} %, {} attempts){cost}",
            tier.tier,
            tier.p_pass * 100.0,
            tier.low * 100.0,
            tier.high * 100.0,
            tier.n
        )
    };
    let words: Vec<String> = advice.tiers.iter().map(tier).collect();
    match advice.start {
        Some(_) => words.join("; "),
        None if lowest.n < u64::from(min_sample) => {
            format!("not known: {} attempts, under {min_sample} nothing is claimed", lowest.n)
        }
        None => format!("not known: some attempts have no known cost; {}", words.join("; ")),
    }
}

/// Numbers in order.
struct Sorted(Vec<u64>);

impl Sorted {
    fn new(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        Self(numbers)
    }

    /// Returns the smallest number that at least `share` of all are at most.
    fn at(&self, share: f64) -> Option<u64> {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied()
    }

    fn spread(&self) -> Option<Spread> {
        Some(Spread { p10: self.at(0.1)?, p50: self.at(0.5)?, p90: self.at(0.9)? })
    }
}
