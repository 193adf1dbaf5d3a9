//! All models that a run may call: those reached over the network, and the embedded simulation.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::simulated::{Script, Simulated, perform};
use super::{CallOutcome, CallUpdate, Permission, Providers};
use crate::domain::call::CallRequest;
use crate::settings::{ProviderKind, Settings};

/// The models of the settings.
pub struct Models {
    real: Providers,
    simulated: Simulated,
    simulations: BTreeSet<String>,
}

impl Models {
    /// Makes the models of `settings`; `keys` reads an environment variable, `script` is what the simulation follows.
    pub fn new(settings: &Settings, script: Script, keys: impl Fn(&str) -> Option<String>) -> Self {
        let simulated = settings.providers.iter().filter(|(_, provider)| provider.kind == ProviderKind::Simulated);
        let retries = simulated.clone().map(|(_, provider)| provider.retries).max().unwrap_or_default();
        Self {
            real: Providers::new(&settings.providers, keys),
            simulated: Simulated::new(settings.simulated.delay_ms, retries, script),
            simulations: simulated.map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Performs a call; see [`Providers::call`].
    pub async fn call(
        &self,
        request: &CallRequest,
        cancel: &CancellationToken,
        mut update: impl FnMut(CallUpdate) -> Permission + Send,
    ) -> CallOutcome {
        if !self.simulations.contains(&request.provider) {
            return self.real.call(request, cancel, update).await;
        }
        let steps = self.simulated.plan(request);
        match perform(steps, cancel, |retry| drop(update(CallUpdate::Retry(retry)))).await {
            Some(Ok(reply)) => CallOutcome::Replied(reply),
            Some(Err(failure)) => CallOutcome::Failed(failure),
            None => CallOutcome::Cancelled { usage: None },
        }
    }
}
