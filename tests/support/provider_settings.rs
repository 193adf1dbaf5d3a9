//! The settings of a provider in tests, once for the tests of the library and those of its users.
//!
//! It takes the types from the room that includes it: inside the library that is `crate`, outside it is `meno`.

use std::collections::BTreeMap;

use super::{AuthScheme, ProviderKind, ProviderSettings};

/// Returns a provider without a key that is asked once and not waited for; tests change what they are about.
pub(super) fn provider_settings(kind: ProviderKind, base_url: &str) -> ProviderSettings {
    ProviderSettings {
        kind,
        base_url: base_url.to_owned(),
        api_key_env: None,
        auth: AuthScheme::None,
        api_version: None,
        headers: BTreeMap::new(),
        max_concurrent: 1,
        connect_s: 1.0,
        first_byte_s: 1.0,
        idle_s: 1.0,
        retries: 0,
        allow_http: false,
        key_bound: false,
    }
}
