//! What can be known before a run begins or goes on: whether the models that it needs can be called at all.
//!
//! Nothing is sent to a provider elsewhere. A key that is missing or bound elsewhere, a model without a price under a budget, and a server
//! on this machine that does not answer or does not have the model would fail the first call, after the form was filled in and the run was
//! recorded.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::Runs;
use crate::domain::event::Escalate;
use crate::domain::ids::RunId;
use crate::domain::judge;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::domain::prices::PriceTable;
use crate::domain::run::{Agent, AgentStatus, Basis, Run};
use crate::domain::settings::{ModelRef, ProviderKind, Settings, TierSettings};
use crate::domain::template::Template;
use crate::domain::tier::{Strategy, Tier};
use crate::providers::{Providers, model_list};
use crate::settings;
use crate::store;
use crate::workspace::StartError;

/// How long a server on this machine may take to accept a connection.
const LOCAL_WAIT: Duration = Duration::from_millis(200);

/// Models that a refusal names, at most.
const NAMED_MAX: usize = 5;

/// A model that a run needs cannot be called: mend what is said, or choose another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {tier} model `{provider}/{model}`, which `{role}` may need, cannot be called: {why}")]
pub struct ModelNotReady {
    /// The role that needs it.
    pub role: String,
    /// The tier.
    pub tier: Tier,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Why.
    pub why: String,
}

/// A tier that a role needs, with the model that serves it.
type Needed<'s> = (String, Tier, &'s TierSettings);

impl Runs<'_> {
    /// Returns the folder in which a run works: where it began, wherever it is continued from.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn folder_of(&self, id: RunId) -> Result<PathBuf, store::Error> {
        let recorded = self.started(id)?.and_then(|started| started.private).map(|private| private.workspace);
        let recorded = recorded.filter(|folder| folder.starts_with('/'));
        Ok(recorded.map_or_else(|| self.0.places.current.clone(), PathBuf::from))
    }

    /// Refuses a template whose rules need a model that cannot be called, before anything is asked. A tier is ready when its model or one
    /// of its fallbacks is. `budget` is the run's own, beside those of the settings and the template.
    ///
    /// # Errors
    /// [`StartError::ModelNotReady`] names the first rule, tier and model; [`StartError::TierWithoutModel`] a tier without any.
    pub(crate) fn check_models(
        &self,
        template: &Template,
        strategy: Option<Strategy>,
        budget: Option<NanoUsd>,
    ) -> Result<(), StartError> {
        let settings = &self.0.resolved.settings;
        let has_budget = budget.is_some() || settings.run.budget.is_some() || has_own_budget(template);
        let is_priced_only = (has_budget || settings.per_day_budget.is_some()) && !settings.run.allow_unpriced;
        let check = Check { settings, prices: &self.0.prices, is_priced_only };
        Ok(self.check_needed(&check, &self.tiers_needed(template, strategy)?)?)
    }

    /// Refuses a run that needs a model which cannot be called, before it begins or goes on: its agents that have not ended, at the tiers
    /// that they may still use. Agents whose escalation waits for a person count only where that will be approved.
    ///
    /// # Errors
    /// [`ModelNotReady`] names the first agent, tier and model.
    pub(in crate::workspace) fn check_run(&self, run: &Run, basis: &Basis, approves: bool) -> Result<(), ModelNotReady> {
        let Some(terms) = &run.terms else { return Ok(()) };
        let settings = settings::under(basis.settings.clone(), &self.0.resolved.settings);
        let has_budget = terms.budget.is_some() || run.agents.iter().any(|agent| agent.plan.budget.is_some());
        let limits = [basis.settings.per_day_budget, self.0.resolved.settings.per_day_budget];
        let has_budget = has_budget || limits.iter().any(Option::is_some);
        let check = Check { settings: &settings, prices: &basis.prices, is_priced_only: has_budget && !terms.allow_unpriced };
        let mut needed: Vec<Needed<'_>> = Vec::new();
        if !run.form_complete {
            // A tier without a model is refused when an agent needs it.
            needed = tiers_of(&basis.template, terms.strategy, &settings).unwrap_or_default();
        }
        for agent in run.agents.iter().filter(|agent| !agent.status.is_ended()) {
            let from = match agent.status {
                AgentStatus::AwaitingApproval { .. } if !approves => continue,
                AgentStatus::AwaitingApproval { to, .. } => to,
                _ => agent.tier,
            };
            let may_use = |tier: &&Tier| **tier == from || (**tier > from && terms.escalate != Escalate::Never);
            for tier in agent.plan.strategy.tiers().iter().filter(may_use) {
                needed.extend(settings.tiers.get(*tier).map(|model| (agent.label.clone(), *tier, model)));
            }
        }
        self.check_needed(&check, &needed)
    }

    fn check_needed(&self, check: &Check<'_>, needed: &[Needed<'_>]) -> Result<(), ModelNotReady> {
        let providers = Providers::new(&check.settings.providers, |name| self.0.variables.get(name));
        let mut checked: Vec<Tier> = Vec::new();
        for (role, tier, model) in needed {
            if checked.contains(tier) {
                continue;
            }
            checked.push(*tier);
            if let Err(why) = check.tier(&providers, model) {
                let (provider, model) = (model.provider.clone(), model.model.clone());
                return Err(ModelNotReady { role: role.clone(), tier: *tier, provider, model, why });
            }
        }
        Ok(())
    }

    /// Returns the tiers that the template's rules may use, each with the first role that does, lowest first.
    pub(in crate::workspace) fn tiers_needed(
        &self,
        template: &Template,
        strategy: Option<Strategy>,
    ) -> Result<Vec<Needed<'_>>, StartError> {
        tiers_of(template, strategy, &self.0.resolved.settings)
    }
}

/// Tells whether a run needs the folder in which it works: for tools, or because criteria look at files there or run programs.
pub(super) fn works_in_folder(run: &Run, basis: &Basis) -> bool {
    let needs =
        |agent: &Agent| !judge::files_asked(&agent.criteria).is_empty() || !judge::commands_asked(&agent.criteria).is_empty();
    !basis.settings.tools.catalogue.is_empty() || run.agents.iter().filter(|agent| !agent.status.is_ended()).any(needs)
}

fn tiers_of<'s>(template: &Template, strategy: Option<Strategy>, settings: &'s Settings) -> Result<Vec<Needed<'s>>, StartError> {
    let mut needed: Vec<Needed<'s>> = Vec::new();
    for rule in &template.agent_composition_rules {
        let default = template.defaults.as_ref().and_then(|defaults| defaults.strategy);
        let strategy = strategy.or(rule.tier_strategy).or(default).unwrap_or(settings.run.strategy);
        for tier in strategy.tiers() {
            let Some(model) = settings.tiers.get(*tier) else {
                return Err(StartError::TierWithoutModel { role: rule.role.clone(), strategy, tier: *tier });
            };
            if needed.iter().all(|(_, known, _)| known != tier) {
                needed.push((rule.role.clone(), *tier, model));
            }
        }
    }
    needed.sort_by_key(|(_, tier, _)| *tier);
    Ok(needed)
}

/// Tells whether the template itself limits what a run or an agent may cost.
fn has_own_budget(template: &Template) -> bool {
    template.defaults.as_ref().is_some_and(|defaults| defaults.budget_usd.is_some())
        || template.agent_composition_rules.iter().any(|rule| rule.budget_usd.is_some())
}

/// By what models are checked.
struct Check<'a> {
    settings: &'a Settings,
    prices: &'a PriceTable,
    /// A budget holds only models with a price.
    is_priced_only: bool,
}

impl Check<'_> {
    /// Says why neither a tier's model nor any of its fallbacks can be called.
    fn tier(&self, providers: &Providers, tier: &TierSettings) -> Result<(), String> {
        let own = self.model(providers, &tier.provider, &tier.model);
        let is_ready = |other: &ModelRef| self.model(providers, &other.provider, &other.model).is_ok();
        if own.is_err() && tier.fallbacks.iter().any(is_ready) { Ok(()) } else { own }
    }

    fn model(&self, providers: &Providers, provider: &str, model: &str) -> Result<(), String> {
        let Some(known) = self.settings.providers.get(provider) else {
            return Err(format!("provider `{provider}` is not known"));
        };
        if known.kind == ProviderKind::Simulated {
            return Ok(());
        }
        providers.check(provider).map_err(|failure| failure.message)?;
        if self.is_priced_only && self.prices.price(provider, model, &TokenUsage::default()).is_none() {
            return Err("it has no price, so no budget can hold it: `--prices FILE` gives it one".to_owned());
        }
        if !is_local(&known.base_url) {
            return Ok(());
        }
        if !answers(&known.base_url) {
            return Err(format!("nothing answers at {}", known.base_url));
        }
        if known.kind == ProviderKind::Ollama
            && let Some(names) = model_list::ollama(&known.base_url)
            && !model_list::has(&names, model)
        {
            let some: Vec<&str> = names.iter().take(NAMED_MAX).map(String::as_str).collect();
            let others = if some.is_empty() { "no model".to_owned() } else { some.join(", ") };
            return Err(format!("the server at {} does not have it; it has {others}", known.base_url));
        }
        Ok(())
    }
}

/// Tells whether an address is on this machine.
fn is_local(base_url: &str) -> bool {
    let Ok(url) = Url::parse(base_url) else { return false };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Tells whether a server on this machine accepts connections; one elsewhere is not asked.
pub fn answers(base_url: &str) -> bool {
    let Ok(url) = Url::parse(base_url) else { return false };
    let Some((host, port)) = url.host_str().zip(url.port_or_known_default()) else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = (host, port).to_socket_addrs().into_iter().flatten().filter(|address| address.ip().is_loopback());
    addresses.any(|address| TcpStream::connect_timeout(&address, LOCAL_WAIT).is_ok())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_local_server_answers_while_it_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        assert!(is_local(&url) && answers(&url));
        drop(listener);
        assert!(!answers(&url));
        assert!(is_local("http://localhost:11434/v1") && is_local("http://[::1]:9") && !is_local("https://api.example.com"));
        assert!(!answers("https://192.0.2.1") && !answers("no address"));
    }
}
