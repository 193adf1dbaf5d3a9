//! Who may come in: one browser of this machine's user, by a token that is used once, and nobody whom a stranger's page sends.
//!
//! The server listens on loopback only, which every user and every web page on this machine can reach. So a request must name this
//! server as its host (a name that was bound to 127.0.0.1 does not), must not come from a page of another origin, must bring the cookie
//! that the token was exchanged for, and, where it changes something, the word that stands in this server's own forms. Pure: no I/O.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::ids::Hash;

/// Where programs speak the Model Context Protocol: the only path that their token opens.
pub const MCP_PATH: &str = "/mcp";

/// What a request says of itself, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Claims<'a> {
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Cookie`.
    pub cookie: Option<&'a str>,
    /// `token` of the query.
    pub token: Option<&'a str>,
    /// `Authorization`, of a request to where programs are answered.
    pub authorization: Option<&'a str>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is answered.
    Admitted,
    /// It brought the token: it gets the cookie.
    Welcome,
    /// It is refused, and why.
    Refused(&'static str),
}

/// The secrets of one server.
pub struct Guard {
    port: u16,
    token: String,
    is_used: AtomicBool,
    session: String,
    form_word: String,
    bearer: String,
}

/// Characters of a token of programs, at least.
const BEARER_CHARS_MIN: usize = 32;

impl Guard {
    /// Makes the secrets of a server at `port`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new<E>(port: u16, random: impl Fn(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let secret = || {
            let mut bytes = [0; 32];
            random(&mut bytes)?;
            Ok(data_encoding::HEXLOWER.encode(&bytes))
        };
        Ok(Self {
            port,
            token: secret()?,
            is_used: AtomicBool::new(false),
            session: secret()?,
            form_word: secret()?,
            bearer: secret()?,
        })
    }

    /// Gives programs a token of the user's own, which stays the same.
    ///
    /// # Errors
    /// When it could be guessed, or cannot stand in a header.
    pub fn with_bearer(self, bearer: &str) -> Result<Self, String> {
        if bearer.len() < BEARER_CHARS_MIN {
            return Err(format!("it has fewer than {BEARER_CHARS_MIN} characters"));
        }
        if !bearer.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("it has characters that cannot stand in a header".to_owned());
        }
        Ok(Self { bearer: bearer.to_owned(), ..self })
    }

    /// Returns the token that programs bring, where they speak the Model Context Protocol.
    pub fn bearer(&self) -> &str {
        &self.bearer
    }

    /// Returns where they speak it.
    pub fn mcp_url(&self) -> String {
        format!("http://127.0.0.1:{}{MCP_PATH}", self.port)
    }

    /// Returns the address to open, with the token while it was not used.
    pub fn url(&self) -> String {
        let token = if self.is_used.load(Ordering::SeqCst) { String::new() } else { format!("?token={}", self.token) };
        format!("http://127.0.0.1:{}/{token}", self.port)
    }

    /// Returns the cookie to set: no script reads it, and no other site's page sends it.
    pub fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name(), self.session)
    }

    /// Cookies know no ports: each server has a name of its own.
    fn cookie_name(&self) -> String {
        format!("meno-{}", self.port)
    }

    /// Returns the word that every form of this server carries.
    pub fn form_word(&self) -> &str {
        &self.form_word
    }

    /// Tells whether a form is one of this server's own.
    pub fn is_own_form(&self, word: Option<&str>) -> bool {
        word.is_some_and(|word| same(word, &self.form_word))
    }

    /// Refuses who does not call this server by its name, or comes from a page of another origin.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_source(&self, claims: Claims<'_>) -> Result<(), &'static str> {
        let names = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port), format!("[::1]:{}", self.port)];
        // Browsers leave out the port that they would take anyway.
        let is_own = |host: &str| {
            names.iter().any(|name| {
                let short = name.strip_suffix(":80").filter(|_| self.port == 80);
                name.eq_ignore_ascii_case(host) || short.is_some_and(|short| short.eq_ignore_ascii_case(host))
            })
        };
        if !claims.host.is_some_and(is_own) {
            return Err("the request names another host");
        }
        match claims.origin {
            // Without an origin it is no script of another page: browsers always send one there.
            None => Ok(()),
            Some(origin) if origin.strip_prefix("http://").is_some_and(is_own) => Ok(()),
            Some(_) => Err("the request comes from another page"),
        }
    }

    /// Says what becomes of a request.
    pub fn admit(&self, claims: Claims<'_>) -> Entry {
        if let Err(why) = self.check_source(claims) {
            return Entry::Refused(why);
        }
        let name = self.cookie_name();
        let mut cookies =
            claims.cookie.into_iter().flat_map(|cookie| cookie.split(';')).filter_map(|one| one.trim().split_once('='));
        if cookies.any(|(key, value)| key == name && same(value, &self.session)) {
            return Entry::Admitted;
        }
        let bearer = claims.authorization.and_then(|words| words.split_once(' '));
        if bearer.is_some_and(|(scheme, given)| scheme.eq_ignore_ascii_case("bearer") && same(given.trim(), &self.bearer)) {
            return Entry::Admitted;
        }
        let Some(given) = claims.token else { return Entry::Refused("this browser was not let in") };
        if !same(given, &self.token) {
            return Entry::Refused("the address is not the one that this server printed");
        }
        if self.is_used.swap(true, Ordering::SeqCst) {
            return Entry::Refused("the address was used before");
        }
        Entry::Welcome
    }
}

/// Compares by hash, so that how long it takes says nothing about the secret.
fn same(given: &str, secret: &str) -> bool {
    Hash::of(given.as_bytes()) == Hash::of(secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn guard() -> Guard {
        let next = Cell::new(0);
        let counted = |bytes: &mut [u8]| {
            next.set(next.get() + 1);
            bytes.fill(next.get());
            Ok::<(), ()>(())
        };
        Guard::new(4690, counted).unwrap()
    }

    fn token(guard: &Guard) -> String {
        guard.url().split_once("token=").unwrap().1.to_owned()
    }

    #[test]
    fn a_program_comes_in_by_its_own_token_and_from_no_other_page() {
        let guard = guard();
        let host = Some("127.0.0.1:4690");
        let words = format!("Bearer {}", guard.bearer());
        let claims = Claims { host, authorization: Some(&words), ..Claims::default() };
        assert_eq!(guard.admit(claims), Entry::Admitted);
        assert!(matches!(guard.admit(Claims { origin: Some("http://evil.example"), ..claims }), Entry::Refused(_)));
        for wrong in ["Bearer", "Bearer ", "Bearer 0", "Basic x", &words[7..], &format!("Bearer {}", token(&guard))] {
            assert!(matches!(guard.admit(Claims { authorization: Some(wrong), ..claims }), Entry::Refused(_)), "{wrong}");
        }
        for (bad, why) in [("short", "fewer"), (&"a b".repeat(20), "header")] {
            assert!(self::guard().with_bearer(bad).err().is_some_and(|words| words.contains(why)), "{bad}");
        }
        let own = "0123456789abcdef0123456789abcdef";
        let guard = guard.with_bearer(own).unwrap();
        assert_eq!(guard.admit(Claims { authorization: Some(&format!("bearer {own}")), ..claims }), Entry::Admitted);
        assert!(matches!(guard.admit(claims), Entry::Refused(_)));
    }

    #[test]
    fn the_token_opens_once_and_the_cookie_from_then_on() {
        let guard = guard();
        let host = Some("127.0.0.1:4690");
        let token = token(&guard);
        let with_token = Claims { host, token: Some(&token), ..Claims::default() };
        assert_eq!(guard.admit(Claims { host, ..Claims::default() }), Entry::Refused("this browser was not let in"));
        let wrong = Claims { token: Some("0"), ..with_token };
        assert_eq!(guard.admit(wrong), Entry::Refused("the address is not the one that this server printed"));
        assert_eq!(guard.admit(with_token), Entry::Welcome);
        assert_eq!(guard.admit(with_token), Entry::Refused("the address was used before"));
        assert_eq!(guard.admit(wrong), Entry::Refused("the address is not the one that this server printed"));
        let set = guard.cookie();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
        let cookie = format!("other=1; {}", set.split(';').next().unwrap());
        assert_eq!(guard.admit(Claims { host, cookie: Some(&cookie), ..Claims::default() }), Entry::Admitted);
        assert!(!guard.is_own_form(None) && !guard.is_own_form(Some("")) && guard.is_own_form(Some(guard.form_word())));
    }

    #[test]
    fn strangers_names_and_pages_are_refused_even_with_the_cookie() {
        let guard = guard();
        let set = guard.cookie();
        let claims = |host, origin| Claims { host, origin, cookie: set.split(';').next(), ..Claims::default() };
        for host in [Some("127.0.0.1:4690"), Some("localhost:4690"), Some("LOCALHOST:4690"), Some("[::1]:4690")] {
            assert_eq!(guard.admit(claims(host, None)), Entry::Admitted, "{host:?}");
        }
        for host in
            [None, Some("evil.example:4690"), Some("127.0.0.1"), Some("127.0.0.1:80"), Some("127.0.0.1:4690.evil.example")]
        {
            assert!(matches!(guard.admit(claims(host, None)), Entry::Refused(_)), "{host:?}");
        }
        let usual = Guard { port: 80, ..self::guard() };
        for (host, is_own) in [("127.0.0.1", true), ("localhost", true), ("localhost:80", true), ("evil.example", false)] {
            assert_eq!(usual.check_source(Claims { host: Some(host), ..Claims::default() }).is_ok(), is_own, "{host}");
        }
        let own = Some("127.0.0.1:4690");
        assert_eq!(guard.admit(claims(own, Some("http://127.0.0.1:4690"))), Entry::Admitted);
        for origin in ["null", "", "http://evil.example", "https://127.0.0.1:4690", "http://127.0.0.1:4691", "127.0.0.1:4690"] {
            assert!(matches!(guard.admit(claims(own, Some(origin))), Entry::Refused(_)), "{origin}");
        }
    }
}
