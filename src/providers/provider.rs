//! One provider: its checked address, its key, its limits, and how a request leaves for it.
//!
//! Whatever is wrong with its settings is kept and said when it is called, so that one bad provider does not stop the
//! others. The key is read once, held apart from everything that can be printed, and sent only to the address that it is
//! bound to.

use std::sync::OnceLock;
use std::time::Duration;

use secrecy::SecretString;

use crate::domain::call::CallRequest;
use crate::domain::event::ErrorClass;
use crate::settings::{AuthScheme, ProviderKind, ProviderSettings};

use super::endpoint::{Endpoint, Refused};
use super::fault::Fault;
use super::http::{Http, Post, Response};
use super::limit::Limiter;
use super::wire;

/// Headers that settings must not set: they carry keys, or belong to the request itself.
const RESERVED: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "cookie",
    "host",
    "content-type",
    "content-length",
    "transfer-encoding",
    "connection",
];

/// A provider, ready to be called or ready to say why not.
pub(super) struct Provider {
    name: String,
    pub(super) settings: ProviderSettings,
    pub(super) limiter: Limiter,
    endpoint: Result<Endpoint, Refused>,
    key: Key,
    client: OnceLock<Http>,
}

enum Key {
    /// None is needed.
    None,
    Held(SecretString),
    Missing(String),
    /// The variable and the address do not stand in the same trusted place.
    Unbound(String),
}

impl Provider {
    pub(super) fn new(name: &str, settings: &ProviderSettings, keys: &impl Fn(&str) -> Option<String>) -> Self {
        let key = match &settings.api_key_env {
            Some(variable) if settings.auth != AuthScheme::None => read_key(variable, settings, keys),
            _ => Key::None,
        };
        Self {
            name: name.to_owned(),
            settings: settings.clone(),
            limiter: Limiter::new(settings.max_concurrent),
            endpoint: Endpoint::parse(&settings.base_url, settings.allow_http),
            key,
            client: OnceLock::new(),
        }
    }

    pub(super) fn secret(&self) -> Option<&SecretString> {
        match &self.key {
            Key::Held(key) => Some(key),
            Key::None | Key::Missing(_) | Key::Unbound(_) => None,
        }
    }

    /// Returns why a call cannot even begin.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let endpoint = self.endpoint()?;
        let auth = |message| Err(Fault::lasting(ErrorClass::Auth, message));
        match &self.key {
            Key::None | Key::Held(_) => {}
            Key::Missing(variable) => {
                return auth(format!("no key: environment variable {variable} is not set (set it, or choose another preset)"));
            }
            Key::Unbound(variable) => {
                let origin = endpoint.origin();
                return auth(format!(
                    "the key in {variable} is not bound to {origin}: base_url and api_key_env must stand together in your own config.toml"
                ));
            }
        }
        let reserved = |name: &&String| RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if let Some(header) = self.settings.headers.keys().find(reserved) {
            let message =
                format!("`{header}` must not stand under `headers`; keys come from the variable that api_key_env names");
            return Err(Fault::lasting(ErrorClass::Forbidden, message));
        }
        Ok(())
    }

    /// Sends `request` and waits for the head of the response.
    pub(super) async fn send(&self, request: &CallRequest) -> Result<Response, Fault> {
        self.check()?;
        let endpoint = self.endpoint()?;
        let wire = wire::build(&self.settings, request)
            .ok_or_else(|| Fault::lasting(ErrorClass::BadRequest, format!("provider `{}` has no wire format", self.name)))?;
        let connect = seconds(self.settings.connect_s);
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let client = Http::new(endpoint, connect)?;
                self.client.get_or_init(|| client)
            }
        };
        let dialect = wire.headers.iter().map(|(name, value)| (*name, value.as_str()));
        // The settings' headers come last: who writes one that the dialect has too means it.
        let extra = self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let body = serde_json::to_vec(&wire.body)
            .map_err(|error| Fault::lasting(ErrorClass::BadRequest, format!("the request cannot be written: {error}")))?;
        let post = Post {
            url: endpoint.join(wire.path),
            headers: dialect.chain(extra).collect(),
            key: self.secret().and_then(|key| {
                let (header, prefix) = match self.settings.auth {
                    AuthScheme::XApiKey => ("x-api-key", ""),
                    AuthScheme::Bearer => ("authorization", "Bearer "),
                    AuthScheme::ApiKey => ("api-key", ""),
                    AuthScheme::None => return None,
                };
                Some((header, prefix, key))
            }),
            body,
            first_byte: connect.saturating_add(seconds(self.settings.first_byte_s)),
            idle: self.idle(),
        };
        client.post(post).await
    }

    /// Returns how long a reply may be silent.
    pub(super) fn idle(&self) -> Duration {
        seconds(self.settings.idle_s)
    }

    fn endpoint(&self) -> Result<&Endpoint, Fault> {
        self.endpoint.as_ref().map_err(|refused| Fault::lasting(ErrorClass::Forbidden, refused.to_string()))
    }
}

fn read_key(variable: &str, settings: &ProviderSettings, keys: &impl Fn(&str) -> Option<String>) -> Key {
    // A model on one's own machine needs no key; the cloud behind the same program does.
    let optional = settings.kind == ProviderKind::Ollama;
    if !settings.key_bound {
        return if optional { Key::None } else { Key::Unbound(variable.to_owned()) };
    }
    let key = keys(variable).map(SecretString::from);
    let trimmed = key.as_ref().map(|key| secrecy::ExposeSecret::expose_secret(key).trim());
    match trimmed.filter(|key| !key.is_empty()) {
        Some(key) => Key::Held(SecretString::from(key)),
        None if optional => Key::None,
        None => Key::Missing(variable.to_owned()),
    }
}

/// Returns a duration of the settings; one that is not positive counts as a millisecond, an endless one as a day.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.001)).unwrap_or(Duration::MAX).min(Duration::from_secs(86_400))
}
