//! Addresses of providers: what a `base_url` may be, and when two of them are one origin.

use std::net::IpAddr;

use url::{Host, Url};

/// Returns `text` as a provider's address without a slash at its end, or why it is not one; never shows the text itself.
pub(super) fn base_url(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an address such as https://api.anthropic.com")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("is not an http or https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or password; keys come from the variable that `api_key_env` names");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Returns whether two addresses have the same scheme, host and port; never true for what is not an address.
pub(super) fn same(left: &str, right: &str) -> bool {
    match (Url::parse(left), Url::parse(right)) {
        (Ok(left), Ok(right)) => left.origin().is_tuple() && left.origin() == right.origin(),
        _ => false,
    }
}

/// Returns whether a request to `address` would leave this machine unencrypted.
pub(super) fn is_open_http(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| {
        url.scheme() == "http"
            && match url.host() {
                Some(Host::Ipv4(ip)) => !IpAddr::V4(ip).is_loopback(),
                Some(Host::Ipv6(ip)) => !IpAddr::V6(ip).is_loopback(),
                Some(Host::Domain(name)) => !name.eq_ignore_ascii_case("localhost"),
                None => true,
            }
    })
}

/// Returns an address that can be shown: what stands before an `@` may be a password.
pub(super) fn shown(text: &str) -> &str {
    if text.contains('@') { "(hidden: holds a user name or password)" } else { text }
}

/// Reads OLLAMA_HOST as Ollama's own clients do: scheme, host and port are each optional.
///
/// Without a scheme the port is 11434, with one it is the scheme's. A server's "all interfaces" is reached at loopback.
pub(super) fn ollama_host(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    let (scheme, rest, default_port) = match text.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => (scheme, rest, None),
        Some(_) => return text.to_owned(),
        None => ("http", text, Some(11434)),
    };
    let (authority, path) =
        rest.split_once('/').map_or((rest, String::new()), |(authority, path)| (authority, format!("/{path}")));
    // A bare IPv6 address has several colons and no brackets; then none of them begins a port.
    let bare_v6 = authority.parse::<std::net::Ipv6Addr>().is_ok();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !bare_v6 && port.parse::<u16>().is_ok() => (host, port.parse::<u16>().ok()),
        _ => (authority, None),
    };
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1".to_owned(),
        "[::]" | "::" => "[::1]".to_owned(),
        host if bare_v6 => format!("[{host}]"),
        host => host.to_owned(),
    };
    let port = port.or(default_port).map_or(String::new(), |port| format!(":{port}"));
    format!("{scheme}://{host}{port}{path}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ollama_hosts_are_read_as_ollama_reads_them() {
        for (text, address) in [
            ("", "http://127.0.0.1:11434"),
            ("example.com", "http://example.com:11434"),
            ("example.com:56789", "http://example.com:56789"),
            (":56789", "http://127.0.0.1:56789"),
            ("1.2.3.4", "http://1.2.3.4:11434"),
            ("http://1.2.3.4", "http://1.2.3.4"),
            ("https://example.com:56789/", "https://example.com:56789"),
            ("https://example.com/ollama/", "https://example.com/ollama"),
            ("example.com/ollama", "http://example.com:11434/ollama"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("[::1]:56789", "http://[::1]:56789"),
            ("::1", "http://[::1]:11434"),
            ("[::]", "http://[::1]:11434"),
        ] {
            assert_eq!(ollama_host(text), address, "{text}");
            assert!(base_url(address).is_ok(), "{address}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert!(same("https://api.anthropic.com", "https://API.anthropic.com:443/v1"));
        assert!(!same("https://api.anthropic.com", "http://api.anthropic.com"));
        assert!(!same("https://api.anthropic.com", "https://api.anthropic.com.evil.example"));
        assert!(!same("https://api.anthropic.com", "https://api.anthropic.com:8443"));
        assert!(!same("", ""));
    }

    #[test]
    fn http_is_open_unless_it_stays_on_this_machine() {
        assert!(is_open_http("http://192.168.1.5:11434"));
        assert!(is_open_http("http://localhost.example.com"));
        for address in ["http://127.0.0.1:1", "http://[::1]", "http://localhost:8080", "https://example.com"] {
            assert!(!is_open_http(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_text_confuses_the_readers(text in ".{0,40}") {
            let host = ollama_host(&text);
            let _ = base_url(&host).map(|address| same(&address, &text));
            let encrypted = format!("https://{text}");
            prop_assert!(!is_open_http(&encrypted));
        }
    }
}
