//! Settings that a run recorded, brought under what the user allows today.

use super::origin;
use super::types::Settings;

/// Returns recorded settings with no more rights than `today`'s give.
///
/// A run goes on with what it was started with, but a recorded text may come from another machine: a key goes only where
/// today's settings let it go, and agents may run and write only what today's settings allow.
#[must_use]
pub fn under(mut recorded: Settings, today: &Settings) -> Settings {
    for provider in recorded.providers.values_mut() {
        let mut same = today.providers.values().filter(|now| origin::same(&now.base_url, &provider.base_url));
        provider.key_bound &= same.clone().any(|now| now.key_bound && now.api_key_env == provider.api_key_env);
        provider.allow_http &= same.any(|now| now.allow_http);
    }
    recorded.tools.commands.retain(|command| today.tools.commands.contains(command));
    recorded.tools.allow_write &= today.tools.allow_write;
    recorded.tools.sandbox = recorded.tools.sandbox.max(today.tools.sandbox);
    recorded.tools.readable.retain(|folder| today.tools.readable.contains(folder));
    recorded.tools.network &= today.tools.network;
    recorded.tools.origins.retain(|origin| today.tools.origins.contains(origin));
    recorded.tools.env.retain(|name| today.tools.env.contains(name));
    let denied_since = today.tools.deny.iter().filter(|pattern| !recorded.tools.deny.contains(pattern));
    let denied_since: Vec<String> = denied_since.cloned().collect();
    recorded.tools.deny.extend(denied_since);
    recorded
}
