//! What a run decides by: the template, base agents, settings and prices recorded when it started, never today's files.

use std::collections::BTreeMap;

use crate::domain::event::{Purpose, RunStartedPrivate};
use crate::domain::judge::Edition;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::{PriceTable, Priced};
use crate::domain::settings::{ProviderKind, Settings, TierSettings};
use crate::domain::template::{BaseAgent, Template};
use crate::domain::text::Text;
use crate::domain::tier::Tier;

/// The recorded ground of every decision of a run.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The template.
    pub template: Template,
    /// The base agents that its rules name, by id.
    pub bases: BTreeMap<String, BaseAgent>,
    /// The resolved settings.
    pub settings: Settings,
    /// The price rows of the models that may be used.
    pub prices: PriceTable,
}

/// A model that may serve a call.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelChoice {
    /// The provider's name.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Output tokens allowed by the settings.
    pub max_output_tokens: u64,
    /// The context window, when known.
    pub context_tokens: Option<u64>,
    /// Reasoning effort.
    pub effort: Option<String>,
}

/// Why a run's ground cannot be read from its own events.
#[derive(Debug, thiserror::Error)]
pub enum BasisError {
    /// A text of it is forgotten, or was never kept.
    #[error("its {0} is no longer retained")]
    Gone(&'static str),
    /// A text of it is not what it should be.
    #[error("its recorded {part} cannot be read: {why}")]
    Unreadable {
        /// Which text.
        part: &'static str,
        /// Why.
        why: serde_json::Error,
    },
}

impl Basis {
    /// Returns whether the run's record says what its decisions saw of the world outside, and which event each follows from. Runs of
    /// the first edition say neither.
    pub fn records_facts(&self) -> bool {
        self.settings.judging != Edition::First
    }

    /// Returns whether prompts are held against the windows of their models. Runs of earlier editions sent whatever they had.
    pub fn checks_windows(&self) -> bool {
        self.settings.judging >= Edition::Third
    }

    /// Reads what a run recorded when it started; large texts must have been read in.
    ///
    /// # Errors
    /// [`BasisError`] names the text that is gone or cannot be read.
    pub fn recorded(started: &RunStartedPrivate) -> Result<Self, BasisError> {
        fn read<T: serde::de::DeserializeOwned>(part: &'static str, text: &Text) -> Result<T, BasisError> {
            let Text::Inline(text) = text else { return Err(BasisError::Gone(part)) };
            serde_json::from_str(text).map_err(|why| BasisError::Unreadable { part, why })
        }
        Ok(Self {
            template: read("template", &started.template)?,
            bases: read("base agents", &started.base_agents)?,
            settings: read("settings", &started.settings)?,
            prices: PriceTable::merge([read("prices", &started.prices)?]),
        })
    }

    /// Returns the models that may do an agent's work at `tier`, the first choice first; empty when the tier has none.
    pub fn work_models(&self, tier: Tier) -> Vec<ModelChoice> {
        self.settings.tiers.get(tier).map_or_else(Vec::new, |settings| self.choices(settings))
    }

    /// Returns the models that may judge work done by `judged` at `tier`: the judge of the settings, else the next higher
    /// tier's that is another model. Empty when none is left.
    pub fn judge_models(&self, tier: Tier, judged: &str) -> Vec<ModelChoice> {
        if let Some(judge) = &self.settings.tiers.judge {
            return self.choices(judge);
        }
        let higher = Tier::ALL.into_iter().filter(|other| *other > tier);
        let models = higher.filter_map(|tier| self.settings.tiers.get(tier)).map(|settings| self.choices(settings));
        models
            .map(|choices| choices.into_iter().filter(|choice| choice.model != judged).collect::<Vec<_>>())
            .find(|choices| !choices.is_empty())
            .unwrap_or_default()
    }

    /// Returns the models for `purpose`; see [`Basis::work_models`] and [`Basis::judge_models`].
    pub fn models(&self, purpose: Purpose, tier: Tier, judged: &str) -> Vec<ModelChoice> {
        match purpose {
            Purpose::Work => self.work_models(tier),
            Purpose::Judge => self.judge_models(tier, judged),
        }
    }

    fn choices(&self, tier: &TierSettings) -> Vec<ModelChoice> {
        let first = (&tier.provider, &tier.model, tier.context_tokens);
        let fallbacks = tier.fallbacks.iter().map(|model| (&model.provider, &model.model, None));
        std::iter::once(first)
            .chain(fallbacks)
            .map(|(provider, model, context)| {
                let row = self.prices.row(provider, model);
                let most = row.and_then(|row| row.max_output_tokens).unwrap_or(u64::MAX);
                ModelChoice {
                    provider: provider.clone(),
                    model: model.clone(),
                    max_output_tokens: tier.max_output_tokens.min(most),
                    context_tokens: context.or_else(|| row.and_then(|row| row.context_tokens)),
                    effort: tier.effort.clone(),
                }
            })
            .collect()
    }

    /// Returns the most output tokens that a model can give, when the price table knows it.
    pub fn max_output_of(&self, choice: &ModelChoice) -> Option<u64> {
        self.prices.row(&choice.provider, &choice.model)?.max_output_tokens
    }

    /// Returns the wire format of a provider.
    pub fn kind(&self, provider: &str) -> Option<ProviderKind> {
        self.settings.providers.get(provider).map(|settings| settings.kind)
    }

    /// Returns what `usage` costs; `None` when the model has no price.
    pub fn price(&self, provider: &str, model: &str, usage: &TokenUsage) -> Option<Priced> {
        self.prices.price(provider, model, usage)
    }

    /// Returns what a call costs at most; `None` when the model has no price.
    pub fn worst_case(&self, provider: &str, model: &str, input: u64, output: u64) -> Option<NanoUsd> {
        Some(self.prices.worst_case(provider, model, input, output)?.amount)
    }
}
