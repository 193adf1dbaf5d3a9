//! What can be known before a run begins: whether the models that it needs can be called at all.
//!
//! Nothing is sent to a provider. A key that is missing or bound elsewhere, a model without a price under a budget, and a server on this
//! machine that does not answer would fail the first call, after the form was filled in and the run was recorded.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use url::Url;

use super::{StartError, Workspace};
use crate::domain::money::TokenUsage;
use crate::domain::settings::{ProviderKind, Settings, TierSettings};
use crate::domain::template::Template;
use crate::domain::tier::{Strategy, Tier};
use crate::providers::Providers;

/// How long a server on this machine may take to accept a connection.
const LOCAL_WAIT: Duration = Duration::from_millis(200);

impl Workspace {
    /// Refuses a template whose rules need a model that cannot be called, before anything is asked. A tier is ready when its model or one
    /// of its fallbacks is.
    ///
    /// # Errors
    /// [`StartError::ModelNotReady`] names the first rule, tier and model; [`StartError::TierWithoutModel`] a tier without any.
    pub fn check_models(&self, template: &Template, strategy: Option<Strategy>) -> Result<(), StartError> {
        let settings = &self.resolved.settings;
        let providers = Providers::new(&settings.providers, |name| self.variables.get(name));
        for tier in self.tiers_needed(template, strategy)? {
            let (role, tier, model) = tier;
            if let Err(why) = self.tier_ready(settings, &providers, model) {
                let (provider, model) = (model.provider.clone(), model.model.clone());
                return Err(StartError::ModelNotReady { role, tier, provider, model, why });
            }
        }
        Ok(())
    }

    /// Returns the tiers that the template's rules may use, each with the first role that does, lowest first.
    pub(super) fn tiers_needed(
        &self,
        template: &Template,
        strategy: Option<Strategy>,
    ) -> Result<Vec<(String, Tier, &TierSettings)>, StartError> {
        let settings = &self.resolved.settings;
        let mut needed: Vec<(String, Tier, &TierSettings)> = Vec::new();
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

    /// Says why neither a tier's model nor any of its fallbacks can be called.
    fn tier_ready(&self, settings: &Settings, providers: &Providers, tier: &TierSettings) -> Result<(), String> {
        let own = self.model_ready(settings, providers, &tier.provider, &tier.model);
        let is_ready = |other: &crate::domain::settings::ModelRef| {
            self.model_ready(settings, providers, &other.provider, &other.model).is_ok()
        };
        if own.is_err() && tier.fallbacks.iter().any(is_ready) { Ok(()) } else { own }
    }

    fn model_ready(&self, settings: &Settings, providers: &Providers, provider: &str, model: &str) -> Result<(), String> {
        let Some(known) = settings.providers.get(provider) else { return Err(format!("provider `{provider}` is not known")) };
        if known.kind == ProviderKind::Simulated {
            return Ok(());
        }
        providers.check(provider).map_err(|failure| failure.message)?;
        let has_budget = settings.run.budget.is_some() || settings.per_day_budget.is_some();
        let is_priced = || self.prices.price(provider, model, &TokenUsage::default()).is_some();
        if has_budget && !settings.run.allow_unpriced && !is_priced() {
            return Err("it has no price, so no budget can hold it".to_owned());
        }
        if is_local(&known.base_url) && !answers(&known.base_url) {
            return Err(format!("nothing answers at {}", known.base_url));
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
