//! Where the agents of a run start, as far as history has a say: by itself under the strategy `adaptive`, elsewhere only when a
//! person agrees.

use super::Runs;
use serde::Serialize;

use crate::domain::answers::Answers;
use crate::domain::event::{Event, Mode, RecommendationTaken, RecommendationTakenPrivate};
use crate::domain::ids::RunId;
use crate::domain::run::{Basis, Command, Run, StartAdvice};
use crate::domain::team;
use crate::domain::template::Template;
use crate::domain::tier::{Strategy, Tier};
use crate::memory::advice::past::Counts;
use crate::store;

/// A start that a person is asked about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StartOffer {
    /// The agent's role.
    pub role: String,
    /// Where it would start without advice.
    pub usual: Tier,
    /// Where its history says that it should.
    pub start_tier: Tier,
    /// Why, in words and numbers.
    pub because: String,
    /// Past runs that speak for it.
    #[serde(skip)]
    pub evidence: Vec<RunId>,
}

impl Runs<'_> {
    /// Returns the command that closes a run's form and plans its team: with what history says of adaptive agents, and with the
    /// starts that a person agreed to.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn completion(&self, run: &Run, template: &Template, agreed: &[StartOffer]) -> Result<Command, store::Error> {
        let terms = run.terms.as_ref();
        let mode = terms.map_or(Mode::Real, |terms| terms.mode);
        let mut starts = self.adaptive_starts(template, terms.and_then(|terms| terms.strategy), mode)?;
        starts.extend(agreed.iter().map(|offer| StartAdvice {
            role: offer.role.clone(),
            tier: offer.start_tier,
            because: offer.because.clone(),
            evidence: offer.evidence.clone(),
        }));
        Ok(Command::CompleteForm(starts))
    }

    /// Returns where the agents of `template` should start that the strategy `adaptive` leaves to history: by role. Agents of which
    /// too little is known are left out.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn adaptive_starts(
        &self,
        template: &Template,
        strategy: Option<Strategy>,
        mode: Mode,
    ) -> Result<Vec<StartAdvice>, store::Error> {
        let usual = self.0.resolved.settings.run.strategy;
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
        let patterns = self.0.memory().patterns(None)?;
        let advice = roles.into_iter().filter_map(|role| {
            let tiers = Strategy::Adaptive.tiers();
            let advice = self.0.memory().role_advice((&template.template_id, role), tiers, &patterns, counts(mode));
            Some(StartAdvice {
                role: role.to_owned(),
                tier: advice.start.start?,
                because: advice.because,
                evidence: advice.evidence,
            })
        });
        Ok(advice.collect())
    }

    /// Returns the starts that history advises for the agents that the run's answers call for, where it differs from what their
    /// strategy does. None when the run's strategy was said: then that was the choice.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn start_offers(&self, run: &Run, basis: &Basis) -> Result<Vec<StartOffer>, store::Error> {
        let Some(terms) = run.terms.as_ref().filter(|terms| terms.strategy.is_none()) else { return Ok(Vec::new()) };
        let answers: Answers = run.answers.iter().map(|(id, answer)| (id.clone(), answer.value.clone())).collect();
        let team = team::plan(&basis.template, &basis.bases, &answers, &self.plan_defaults(None));
        let mut agents = team.agents;
        agents.retain(|agent| agent.strategy != Strategy::Adaptive && agent.strategy.tiers().len() > 1);
        agents.dedup_by(|a, b| a.role == b.role);
        if agents.is_empty() {
            return Ok(Vec::new());
        }
        let patterns = self.0.memory().patterns(None)?;
        let offer = |agent: &team::PlannedAgent| {
            let usual = *agent.strategy.tiers().first()?;
            let of = (basis.template.template_id.as_str(), agent.role.as_str());
            let advice = self.0.memory().role_advice(of, agent.strategy.tiers(), &patterns, counts(terms.mode));
            let start = advice.start.start.filter(|start| *start != usual)?;
            let (because, evidence) = (advice.because, advice.evidence);
            Some(StartOffer { role: agent.role.clone(), usual, start_tier: start, because, evidence })
        };
        Ok(agents.iter().filter_map(offer).collect())
    }

    /// Appends that `offers` were shown, and which of them (by index) were taken.
    ///
    /// # Errors
    /// When the store cannot take it.
    pub(crate) fn offered(&self, run: RunId, template: &str, offers: &[StartOffer], taken: &[usize]) -> Result<(), store::Error> {
        let advice = serde_json::to_string(offers).unwrap_or_default();
        let mut evidence: Vec<RunId> = offers.iter().flat_map(|offer| offer.evidence.iter().copied()).collect();
        evidence.sort_unstable();
        evidence.dedup();
        let shown = self.0.memory().advice_shown(template, evidence, advice, Some(run))?;
        for item in taken {
            let item = u32::try_from(*item).unwrap_or(u32::MAX);
            let event = RecommendationTaken { shown, item, private: Some(RecommendationTakenPrivate {}) };
            self.append_one(Event::from(event), Some(run))?;
        }
        Ok(())
    }
}

/// Simulated runs teach simulated runs alone.
fn counts(mode: Mode) -> Counts {
    Counts { simulated: mode == Mode::Simulated, unverified: false }
}
