//! Fetching a text that a model asks for, from origins that the user allows and from nowhere else.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use super::endpoint::{Endpoint, Refused};
use super::http::{self, Response};

/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(20);
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Redirections followed, all within one origin.
const HOPS_MAX: usize = 5;
/// Bytes of a body that are kept.
const BODY_BYTES_MAX: usize = 2 << 20;

/// A text that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// What the server says that it is; empty when it does not.
    pub content_type: String,
    /// The body, as much as is kept.
    pub text: String,
}

/// Why nothing was fetched, in words for a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It is not allowed.
    #[error("{0}")]
    NotAllowed(String),
    /// It did not work.
    #[error("{0}")]
    Failed(String),
    /// It was stopped.
    #[error("stopped")]
    Stopped,
}

/// Fetches `address` if its origin is one of `origins`. It blocks.
///
/// # Errors
/// [`FetchError`].
pub fn text(address: &str, origins: &[String], stop: &CancellationToken) -> Result<Fetched, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| FetchError::Failed(error.to_string()))?;
    runtime.block_on(async {
        tokio::select! {
            () = stop.cancelled() => Err(FetchError::Stopped),
            fetched = tokio::time::timeout(DEADLINE, fetch(address, origins, Endpoint::public)) => {
                fetched.unwrap_or_else(|_| Err(FetchError::Failed(format!("not done within {} s", DEADLINE.as_secs()))))
            }
        }
    })
}

/// Tells whether an address has one of these origins: scheme, host and port.
fn is_allowed(url: &Url, origins: &[String]) -> bool {
    let is_same =
        |origin: &String| Url::parse(origin).is_ok_and(|origin| origin.origin() == url.origin() && origin.origin().is_tuple());
    origins.iter().any(is_same)
}

/// Says why nothing is ever fetched from what stands in the list of origins; `None` when something may be.
pub fn bad_origin(origin: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(origin) else { return Some("it is no scheme and host") };
    if !matches!(url.scheme(), "http" | "https") || !url.origin().is_tuple() {
        return Some("it is no scheme and host");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        return Some("an origin has no path: all of the site is meant");
    }
    let is_this = matches!(url.host(), Some(url::Host::Domain("localhost")));
    (is_this || Endpoint::public(origin).is_err()).then_some("nothing is fetched from private or local addresses")
}

async fn fetch(address: &str, origins: &[String], check: fn(&str) -> Result<Endpoint, Refused>) -> Result<Fetched, FetchError> {
    let mut url =
        Url::parse(address).map_err(|_| FetchError::NotAllowed(format!("`{address}` is not a URL like https://docs.rs/x")))?;
    for _ in 0..=HOPS_MAX {
        if !url.origin().is_tuple() || !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::NotAllowed(format!("`{}:` is not fetched, only https and http are", url.scheme())));
        }
        if !is_allowed(&url, origins) {
            let allowed = if origins.is_empty() { "none".to_owned() } else { origins.join(", ") };
            let origin = url.origin().ascii_serialization();
            return Err(FetchError::NotAllowed(format!("the settings do not allow {origin}; they allow {allowed}")));
        }
        let endpoint = check(url.as_str()).map_err(|refused| FetchError::NotAllowed(refused.about("the url")))?;
        let response = http::ask(&endpoint, SILENCE).await.map_err(|fault| FetchError::Failed(fault.message))?;
        let next = match (response.status(), response.header("location")) {
            (301 | 302 | 303 | 307 | 308, Some(location)) => url.join(location).ok(),
            _ => None,
        };
        let Some(next) = next else { return Ok(body(response).await) };
        if next.origin() != url.origin() {
            let words = format!("it is redirected to {}, which is another origin: ask for that yourself", next.as_str());
            return Err(FetchError::NotAllowed(words));
        }
        url = next;
    }
    Err(FetchError::Failed(format!("more than {HOPS_MAX} redirections")))
}

async fn body(response: Response) -> Fetched {
    let (status, content_type) = (response.status(), response.header("content-type").unwrap_or_default().to_owned());
    Fetched { status, content_type, text: response.text(BODY_BYTES_MAX).await }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A server on this machine that answers each request with the next of `responses`.
    async fn server(responses: Vec<String>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for response in responses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        origin
    }

    fn reply(head: &str, body: &str) -> String {
        format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[test]
    fn an_origin_from_which_nothing_can_come_is_known() {
        for bad in [
            "*",
            "docs.rs",
            "http://10.0.0.1",
            "http://127.0.0.1:80",
            "https://[::1]",
            "http://localhost:80",
            "ftp://docs.rs",
            "https://docs.rs/serde",
        ] {
            assert!(bad_origin(bad).is_some(), "{bad}");
        }
        for good in ["https://docs.rs", "https://docs.rs/", "http://1.1.1.1:8080"] {
            assert_eq!(bad_origin(good), None, "{good}");
        }
    }

    fn nearby(address: &str) -> Result<Endpoint, Refused> {
        Endpoint::parse(address, true)
    }

    #[tokio::test]
    async fn redirections_are_followed_within_an_origin_and_not_across() {
        let responses = vec![reply("302 Found\r\nlocation: /there", ""), reply("200 OK\r\ncontent-type: text/plain", "found")];
        let origin = server(responses).await;
        let fetched = fetch(&format!("{origin}/here"), &[origin], nearby).await;
        assert_eq!(fetched.map(|fetched| (fetched.status, fetched.text)), Ok((200, "found".to_owned())));
        let origin = server(vec![reply("302 Found\r\nlocation: http://127.0.0.1:1/there", "")]).await;
        let refused = fetch(&origin, &[origin.clone(), "http://127.0.0.1:1".to_owned()], nearby).await;
        assert!(matches!(&refused, Err(FetchError::NotAllowed(why)) if why.contains("another origin")), "{refused:?}");
        let origin = server((0..=HOPS_MAX).map(|_| reply("302 Found\r\nlocation: /again", "")).collect()).await;
        assert!(matches!(fetch(&origin, std::slice::from_ref(&origin), nearby).await, Err(FetchError::Failed(_))));
    }

    #[test]
    fn only_allowed_origins_and_public_addresses_are_asked() {
        let stop = CancellationToken::new();
        let origins = ["https://docs.rs".to_owned(), "http://127.0.0.1:80".to_owned(), "http://localhost:80".to_owned()];
        for address in
            ["https://docs.rs.evil.example/", "http://docs.rs/", "https://docs.rs:444/", "file:///etc/passwd", "docs.rs"]
        {
            assert!(matches!(text(address, &origins, &stop), Err(FetchError::NotAllowed(_))), "{address}");
        }
        // Why it is refused is said of the address that was asked for.
        for (address, words) in [
            ("file:///etc/passwd", "`file:` is not fetched, only https and http are"),
            ("data:text/plain,x", "`data:` is not fetched, only https and http are"),
            ("https://ada:pass@docs.rs/", "the url must not hold a user or a password"),
            ("http://0.0.0.0/", "the address 0.0.0.0 is not that of one host and is never asked"),
        ] {
            let origins = ["https://docs.rs".to_owned(), "http://0.0.0.0".to_owned()];
            assert_eq!(text(address, &origins, &stop), Err(FetchError::NotAllowed(words.to_owned())), "{address}");
        }
        let refused = text("http://127.0.0.1/", &origins, &stop);
        assert!(matches!(&refused, Err(FetchError::NotAllowed(why)) if why.contains("not public")), "{refused:?}");
        // A name is judged by what it stands for.
        let refused = text("http://localhost/", &origins, &stop);
        assert!(matches!(&refused, Err(FetchError::Failed(why)) if why.contains("not public")), "{refused:?}");
    }
}
