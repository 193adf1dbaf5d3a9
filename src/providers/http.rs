//! HTTP as the providers need it: one POST, its status and headers, and a body that arrives in pieces.
//!
//! The only file that names reqwest. Redirects are not followed, nothing is repeated here, there is no limit on the whole
//! duration of a reply, only on its silences; names are resolved here so that every address is judged before a byte
//! is sent to it. It knows neither dialects nor prices.

use std::error::Error as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::domain::event::ErrorClass;

use super::endpoint::{AddressRange, Endpoint, Refused};
use super::fault::Fault;

/// Idle connections are kept this long.
const POOL_IDLE: Duration = Duration::from_secs(90);
/// Probes on silent connections, so that a peer that vanished is noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A client for one provider.
#[derive(Debug)]
pub struct Http(reqwest::Client);

/// A request.
#[derive(Debug)]
pub struct Post<'a> {
    /// Where to.
    pub url: Url,
    /// Headers, none of them secret.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The header that carries the key: name, what stands before the key, the key.
    pub key: Option<(&'static str, &'static str, &'a SecretString)>,
    /// The body, JSON.
    pub body: Vec<u8>,
    /// How long until the response begins.
    pub first_byte: Duration,
    /// How long it may then be silent.
    pub idle: Duration,
}

/// A response whose body is still to come.
#[derive(Debug)]
pub struct Response {
    response: reqwest::Response,
    idle: Duration,
    /// The provider's setting that says how long it may be silent, where there is one.
    setting: Option<&'static str>,
}

impl Http {
    /// Returns a client for requests to `endpoint`.
    ///
    /// # Errors
    /// [`ErrorClass::Connection`] when the system has no usable certificates.
    pub fn new(endpoint: &Endpoint, connect: Duration) -> Result<Self, Fault> {
        // Fails when it was done before, which is just as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("meno/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .connect_timeout(connect)
            .pool_idle_timeout(POOL_IDLE)
            .tcp_keepalive(KEEPALIVE)
            .dns_resolver(JudgingResolver(endpoint.reach));
        if endpoint.local {
            builder = builder.no_proxy();
        }
        if endpoint.url.scheme() == "http" {
            // No TLS will be spoken; a machine without certificates can still reach its own models.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build();
        client
            .map(Self)
            .map_err(|error| Fault::lasting(ErrorClass::Connection, format!("TLS cannot be used: {}", causes(&error))))
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// # Errors
    /// That it could not be sent, or that no response began in time.
    pub async fn post(&self, post: Post<'_>) -> Result<Response, Fault> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in post.headers {
            let wrong = || Fault::lasting(ErrorClass::BadRequest, format!("`{name}` under `headers` is not a valid header"));
            let header = HeaderName::try_from(name).map_err(|_| wrong())?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| wrong())?);
        }
        if let Some((name, prefix, key)) = post.key {
            let value = SecretString::from(format!("{prefix}{}", key.expose_secret()));
            let mut value = HeaderValue::try_from(value.expose_secret())
                .map_err(|_| Fault::lasting(ErrorClass::Auth, "the key holds characters that no key has"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let sent = self.0.post(post.url).headers(headers).body(post.body).send();
        match tokio::time::timeout(post.first_byte, sent).await {
            Ok(Ok(response)) => Ok(Response { response, idle: post.idle, setting: Some("idle_s") }),
            Ok(Err(error)) => Err(fault_of(error)),
            Err(_) => Err(silent("no response began", post.first_byte, Some("connect_s` and `first_byte_s"))),
        }
    }
}

impl Response {
    /// Returns the status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns a header; `None` when it is absent or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Waits for the next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// That the connection broke, or was silent for too long.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        match tokio::time::timeout(self.idle, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(fault_of(error)),
            Err(_) => Err(silent("the reply fell silent", self.idle, self.setting)),
        }
    }

    /// Returns the body as text, at most `limit` bytes of it: as much as came before anything went wrong.
    pub async fn text(mut self, limit: usize) -> String {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            body.extend_from_slice(&chunk[..chunk.len().min(limit - body.len())]);
            if body.len() == limit {
                break;
            }
        }
        String::from_utf8_lossy(&body).into_owned()
    }

    /// Reads the end of a body of which nothing more is needed, so that its connection can be used again, unless that
    /// takes longer than a new connection would.
    pub async fn drain(mut self) {
        let rest = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        let _ = tokio::time::timeout(Duration::from_millis(100), rest).await;
    }
}

/// Asks for a file at `url` and waits for the head of the response. Redirections are followed, as places that keep large files
/// send them, and never from https to http.
///
/// # Errors
/// That it could not be asked for, or that no response began within `patience`.
pub async fn get(endpoint: &Endpoint, patience: Duration) -> Result<Response, Fault> {
    /// Redirections followed.
    const HOPS_MAX: usize = 5;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("meno/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::limited(HOPS_MAX))
        .referer(false)
        .https_only(endpoint.url.scheme() == "https")
        .connect_timeout(patience)
        .dns_resolver(JudgingResolver(endpoint.reach));
    if endpoint.local {
        builder = builder.no_proxy();
    }
    if endpoint.url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(|error| Fault::lasting(ErrorClass::Connection, causes(&error)))?;
    match tokio::time::timeout(patience, client.get(endpoint.url.clone()).send()).await {
        Ok(Ok(response)) => Ok(Response { response, idle: patience, setting: None }),
        Ok(Err(error)) => Err(fault_of(error)),
        Err(_) => Err(silent("no response began", patience, None)),
    }
}

/// Asks for `endpoint` without following anything: a redirection is a response like others. No proxy is asked, since it would resolve the
/// name anew; the addresses that are judged are the ones connected to.
///
/// # Errors
/// That it could not be asked for, or that no response began within `patience`.
pub async fn ask(endpoint: &Endpoint, patience: Duration) -> Result<Response, Fault> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("meno/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(patience)
        .dns_resolver(JudgingResolver(endpoint.reach));
    if endpoint.url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(|error| Fault::lasting(ErrorClass::Connection, causes(&error)))?;
    match tokio::time::timeout(patience, client.get(endpoint.url.clone()).send()).await {
        Ok(Ok(response)) => Ok(Response { response, idle: patience, setting: None }),
        Ok(Err(error)) => Err(fault_of(error)),
        Err(_) => Err(silent("no response began", patience, None)),
    }
}

/// `setting`: which one of the provider's says how long to wait.
fn silent(what: &str, after: Duration, setting: Option<&str>) -> Fault {
    let longer = setting.map_or_else(String::new, |setting| format!(" (as long as `{setting}` of the provider allows)"));
    Fault::passing(ErrorClass::Timeout, format!("{what} within {} s{longer}", after.as_secs_f64()))
}

fn fault_of(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(refused) = inner.downcast_ref::<Refused>() {
            return Fault::lasting(ErrorClass::Forbidden, refused.to_string());
        }
        cause = inner.source();
    }
    if error.is_builder() {
        return Fault::lasting(ErrorClass::BadRequest, causes(&error));
    }
    // A connection that is not made in time was never there: that says where the server is not, and nothing of how fast it is.
    let class = if error.is_timeout() && !error.is_connect() { ErrorClass::Timeout } else { ErrorClass::Connection };
    Fault::passing(class, causes(&error))
}

/// Returns an error with its causes, each said once.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Resolves names and refuses those of which any address is out of reach: a name that also stands for a forbidden
/// address is up to something. The addresses judged are the ones connected to, so a second answer changes nothing.
#[derive(Debug)]
struct JudgingResolver(AddressRange);

impl Resolve for JudgingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                reach.admits(address.ip())?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(name: &str, reach: AddressRange) -> Result<usize, String> {
        let name = name.parse().map_err(|_| "no name".to_owned())?;
        match JudgingResolver(reach).resolve(name).await {
            Ok(addresses) => Ok(addresses.count()),
            Err(error) => {
                Err(error.downcast::<Refused>().map_or_else(|error| error.to_string(), |refused| format!("{refused:?}")))
            }
        }
    }

    #[tokio::test]
    async fn names_are_judged_by_their_addresses() {
        assert!(resolved("localhost", AddressRange::Loopback).await.is_ok_and(|n| n > 0));
        assert_eq!(resolved("10.0.0.1", AddressRange::Loopback).await, Err("PlainHttp(\"10.0.0.1\")".to_owned()));
        assert_eq!(resolved("10.0.0.1", AddressRange::Network).await, Ok(1));
        assert_eq!(resolved("169.254.169.254", AddressRange::Network).await, Err("Metadata(169.254.169.254)".to_owned()));
    }

    #[tokio::test]
    async fn a_refused_address_is_forbidden_and_not_merely_unreachable() {
        // reqwest wraps what a resolver says in errors of its own; the cause has to be found in there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).dns_resolver(Refusing).build().unwrap();
        let fault = fault_of(client.post("http://localhost:9").send().await.unwrap_err());
        assert_eq!((fault.class, fault.retryable), (ErrorClass::Forbidden, false));
    }

    struct Refusing;

    impl Resolve for Refusing {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Err(Refused::UserInfo.into()) })
        }
    }
}
