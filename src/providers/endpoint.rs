//! Where requests may go: addresses of providers, and which network addresses behind them are acceptable.
//!
//! A key leaves only for the origin that stands beside its name in the user's own settings. Plain http is for loopback
//! unless the settings say otherwise; addresses that hand out a machine's own credentials are never asked. Pure: names
//! are resolved elsewhere, and the answer is judged here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Why an address is refused. In words it is about `base_url`; see [`Refused::about`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no URL.
    NotAUrl(String),
    /// It is neither http nor https.
    Scheme(String),
    /// It holds a name or a password.
    UserInfo,
    /// It is http beyond loopback.
    PlainHttp(String),
    /// It is an address of this machine or of its network.
    NotPublic(IpAddr),
    /// It is an address of the link itself, or one where clouds keep a machine's credentials.
    Metadata(IpAddr),
    /// It is the address of no host, or of many.
    NoHost(IpAddr),
}

impl Refused {
    /// Says why an address is refused that people or models know as `subject`.
    pub fn about(&self, subject: &str) -> String {
        match self {
            Self::NotAUrl(text) => format!("{subject} `{text}` is not a URL like https://api.example.com/v1"),
            Self::Scheme(scheme) => format!("{subject} must begin with https:// or http://, not `{scheme}:`"),
            Self::UserInfo => format!("{subject} must not hold a user or a password"),
            Self::PlainHttp(host) => {
                format!("plain http to `{host}` is refused; use https, or set allow_http = true for this provider")
            }
            Self::NotPublic(ip) => format!("the address {ip} is not public and is never fetched from"),
            Self::Metadata(ip) => format!("the address {ip} is link-local or a cloud's metadata service and is never asked"),
            Self::NoHost(ip) => format!("the address {ip} is not that of one host and is never asked"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.about("base_url"))
    }
}

impl std::error::Error for Refused {}

/// Which addresses a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressRange {
    /// This machine only: plain http without leave to go further.
    Loopback,
    /// Anything but link-local and metadata addresses.
    Network,
    /// What everybody can reach: nothing of this machine, its network or its provider.
    Public,
}

/// A checked address.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// The address, without a fragment.
    pub url: Url,
    /// Which network addresses its name may stand for.
    pub reach: AddressRange,
    /// It is on this machine by name or number: no proxy is asked.
    pub local: bool,
}

impl Endpoint {
    /// Checks `base_url`.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn parse(base_url: &str, allow_http: bool) -> Result<Self, Refused> {
        let mut url = Url::parse(base_url.trim()).map_err(|_| Refused::NotAUrl(without_userinfo(base_url)))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::UserInfo);
        }
        url.set_fragment(None);
        let local = match url.host() {
            Some(Host::Domain(name)) => is_localhost(name),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => canonical(IpAddr::V6(ip)).is_loopback(),
            None => return Err(Refused::NotAUrl(without_userinfo(base_url))),
        };
        let plain = url.scheme() == "http";
        if plain && !local && !allow_http {
            return Err(Refused::PlainHttp(url.host_str().unwrap_or_default().to_owned()));
        }
        let reach = if plain && !allow_http { AddressRange::Loopback } else { AddressRange::Network };
        match url.host() {
            Some(Host::Ipv4(ip)) => reach.admits(IpAddr::V4(ip))?,
            Some(Host::Ipv6(ip)) => reach.admits(IpAddr::V6(ip))?,
            _ => {}
        }
        Ok(Self { url, reach, local })
    }

    /// Checks an address that a model named: whatever everybody can reach.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn public(address: &str) -> Result<Self, Refused> {
        let endpoint = Self::parse(address, true)?;
        let reach = AddressRange::Public;
        match endpoint.url.host() {
            Some(Host::Ipv4(ip)) => reach.admits(IpAddr::V4(ip))?,
            Some(Host::Ipv6(ip)) => reach.admits(IpAddr::V6(ip))?,
            _ => {}
        }
        Ok(Self { reach, local: true, ..endpoint })
    }

    /// Returns the address of `path` below the base address; its query stays.
    pub fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let joined = format!("{}{path}", url.path().trim_end_matches('/'));
        url.set_path(&joined);
        url
    }

    /// Returns scheme, host and port: `https://api.example.com`.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

impl AddressRange {
    /// Checks an address that a name stands for.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn admits(self, ip: IpAddr) -> Result<(), Refused> {
        let ip = canonical(ip);
        if is_no_host(ip) {
            return Err(Refused::NoHost(ip));
        }
        if is_metadata(ip) {
            return Err(Refused::Metadata(ip));
        }
        if self == Self::Public && !is_public(ip) {
            return Err(Refused::NotPublic(ip));
        }
        if self == Self::Loopback && !ip.is_loopback() {
            return Err(Refused::PlainHttp(ip.to_string()));
        }
        Ok(())
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Returns the IPv4 address inside an IPv6 one, mapped or translated (NAT64), so that no spelling slips through.
fn canonical(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let bytes = v6.octets();
    let tail = Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]);
    let nat64 = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    match v6.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4),
        None if nat64 => IpAddr::V4(tail),
        None => ip,
    }
}

/// Tells whether an address, in its canonical form, is one that everybody can reach.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_for_tests = a == 198 && (b == 18 || b == 19);
            let is_protocol = (a, b, c) == (192, 0, 0) || (a, b, c) == (192, 88, 99);
            let is_own = ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared;
            !(is_own || is_for_tests || is_protocol || a == 0 || a >= 224 || ip.is_documentation() || is_metadata(IpAddr::V4(ip)))
        }
        IpAddr::V6(ip) => {
            let segments = ip.segments();
            // Of the global range, what carries other addresses within it is left out: Teredo, 6to4, documentation.
            let is_global = segments[0] & 0xe000 == 0x2000;
            let carries = (segments[0] == 0x2001 && (segments[1] < 0x200 || segments[1] == 0xdb8)) || segments[0] == 0x2002;
            is_global && !carries && !is_metadata(IpAddr::V6(ip))
        }
    }
}

/// Tells whether an address stands for no host, or for many at once.
fn is_no_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast(),
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
    }
}

fn is_metadata(ip: IpAddr) -> bool {
    match ip {
        // 169.254/16 is the link and most clouds; the others are Alibaba's and Azure's services.
        IpAddr::V4(ip) => {
            let special = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
            ip.is_link_local() || special.contains(&ip)
        }
        IpAddr::V6(ip) => {
            let amazon = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            ip.segments()[0] & 0xffc0 == 0xfe80 || ip == amazon
        }
    }
}

fn without_userinfo(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base_url: &str, allow_http: bool, expected: Result<AddressRange, &str>) {
        let parsed = Endpoint::parse(base_url, allow_http).map(|endpoint| endpoint.reach);
        assert_eq!(parsed.map_err(|refused| refused.to_string()), expected.map_err(str::to_owned), "{base_url}");
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_allowed() {
        let refused =
            |host: &str| format!("plain http to `{host}` is refused; use https, or set allow_http = true for this provider");
        check("https://api.anthropic.com", false, Ok(AddressRange::Network));
        for local in
            ["http://127.0.0.1:11434", "http://[::1]:1", "http://localhost", "http://LOCALHOST.:8080/v1", "http://a.localhost"]
        {
            check(local, false, Ok(AddressRange::Loopback));
        }
        for far in ["10.0.0.7", "example.com", "localhost.example.com", "127.0.0.1.nip.io"] {
            check(&format!("http://{far}/v1"), false, Err(&refused(far)));
            check(&format!("http://{far}/v1"), true, Ok(AddressRange::Network));
        }
    }

    #[test]
    fn metadata_services_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "169.254.1.1",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "100.100.100.200",
        ] {
            let refused = Endpoint::parse(&format!("https://{host}/"), true).unwrap_err();
            assert!(matches!(refused, Refused::Metadata(_)), "{host}: {refused}");
        }
        for host in ["0.0.0.0", "0", "[::]", "[::ffff:0.0.0.0]", "255.255.255.255", "224.0.0.1", "[ff02::1]"] {
            let refused = Endpoint::parse(&format!("https://{host}/"), true).unwrap_err();
            assert!(refused.to_string().ends_with("is not that of one host and is never asked"), "{host}: {refused}");
        }
        assert!(Endpoint::parse("https://192.168.1.2/v1", false).is_ok(), "the user's own network, named by the user");
    }

    #[test]
    fn odd_addresses_are_refused_without_showing_passwords() {
        check("https://user:pass@example.com", true, Err("base_url must not hold a user or a password"));
        check("ftp://example.com", true, Err("base_url must begin with https:// or http://, not `ftp:`"));
        check("api.example.com", true, Err("base_url `api.example.com` is not a URL like https://api.example.com/v1"));
        check("user:pass@", true, Err("base_url must begin with https:// or http://, not `user:`"));
        check("", true, Err("base_url `` is not a URL like https://api.example.com/v1"));
    }

    #[test]
    fn names_that_resolve_elsewhere_are_seen_through() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(AddressRange::Loopback.admits(ip("127.3.2.1")).is_ok());
        assert!(AddressRange::Loopback.admits(ip("10.0.0.1")).is_err());
        assert!(AddressRange::Network.admits(ip("10.0.0.1")).is_ok());
        assert!(AddressRange::Network.admits(ip("169.254.169.254")).is_err());
    }

    #[test]
    fn only_what_everybody_can_reach_is_public() {
        let is_refused = |text: &str| AddressRange::Public.admits(text.parse().unwrap()).is_err();
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "::7f00:1",
            "2002:7f00:1::",
            "2001:0:1::",
            "ff02::1",
        ] {
            assert!(is_refused(own), "{own}");
        }
        for public in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700:4700::1111", "64:ff9b::101:101"] {
            assert!(!is_refused(public), "{public}");
        }
        for literal in ["http://127.0.0.1:8080/", "https://[::1]/", "http://0x7f000001/", "https://[::ffff:192.168.0.1]/x"] {
            assert!(matches!(Endpoint::public(literal), Err(Refused::NotPublic(_))), "{literal}");
        }
        assert!(Endpoint::public("https://user:pass@example.com/").is_err() && Endpoint::public("file:///etc/passwd").is_err());
    }

    #[test]
    fn paths_are_added_below_the_base() {
        let join = |base: &str| Endpoint::parse(base, false).unwrap().join("/chat").to_string();
        assert_eq!(join("https://h/v1"), "https://h/v1/chat");
        assert_eq!(join("https://h/v1//"), "https://h/v1/chat");
        assert_eq!(join("https://h"), "https://h/chat");
        assert_eq!(join("https://h/openai/v1?api-version=1#x"), "https://h/openai/v1/chat?api-version=1");
    }
}
