//! The environment variables that bear on settings, as values.
//!
//! Of variables that hold secrets only their presence is known here, never their value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::meaning::header_fault;
use super::variables::Variables;

/// Extra headers, one `Name: value` per line.
const HEADERS: &str = "ANTHROPIC_CUSTOM_HEADERS";

/// Variables whose value counts.
const PLAIN: [&str; 6] =
    ["ANTHROPIC_API_VERSION", "ANTHROPIC_BASE_URL", "OLLAMA_HOST", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"];

/// Variables of which only the presence counts.
const SECRET: [&str; 4] = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OLLAMA_API_KEY", "OPENAI_API_KEY"];

/// The providers' variables; one that is blank counts as not set.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    plain: BTreeMap<&'static str, String>,
    present: BTreeSet<&'static str>,
    headers: BTreeMap<String, String>,
    /// Names of headers that look like secrets and are not taken.
    refused: Vec<String>,
}

/// Names only: an address may hold a password.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.plain.keys()).entries(&self.present).entries(self.headers.keys()).finish()
    }
}

impl Environment {
    /// Takes what bears on settings out of `variables`.
    pub fn of(variables: &Variables) -> Self {
        let set = |name: &str| variables.get(name).filter(|value| !value.trim().is_empty());
        let lines = set(HEADERS).unwrap_or_default();
        let pairs = lines.lines().filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim()));
        let (headers, refused): (Vec<_>, Vec<_>) = pairs.partition(|(name, value)| header_fault(name, value).is_none());
        Self {
            plain: PLAIN.into_iter().filter_map(|name| set(name).map(|value| (name, value.trim().to_owned()))).collect(),
            present: SECRET.into_iter().filter(|name| set(name).is_some()).collect(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            refused: refused.into_iter().map(|(name, _)| name.escape_debug().to_string()).collect(),
        }
    }

    /// Returns the value of a variable that holds no secret.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// Returns the extra headers of ANTHROPIC_CUSTOM_HEADERS that are no secrets.
    pub(super) fn headers(&self) -> &BTreeMap<String, String> {
        &self.headers
    }

    /// Returns one line about headers that were not taken, if there are any.
    pub(super) fn notice(&self) -> Option<String> {
        (!self.refused.is_empty())
            .then(|| format!("{HEADERS}: not sent, because they look like secrets: {}", self.refused.join(", ")))
    }

    /// Returns whether a variable that holds a secret is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.present.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_of_a_key_is_never_held() {
        let environment = Environment::of(&Variables::through(|name| Some(format!("sk-{name}-value"))));
        assert!(environment.has("ANTHROPIC_API_KEY"));
        let shown = format!("{environment:?}");
        for name in SECRET {
            assert!(!shown.contains(&format!("sk-{name}")), "{shown}");
        }
    }

    #[test]
    fn headers_that_look_like_secrets_are_not_taken() {
        let lines = "X-Team: blue\nAuthorization: Bearer abc\nX-Trace: sk-123\nnonsense";
        let environment = Environment::of(&Variables::through(move |name| (name == HEADERS).then(|| lines.to_owned())));
        assert_eq!(environment.headers().keys().collect::<Vec<_>>(), ["X-Team"]);
        let notice = environment.notice().expect("a notice");
        assert!(notice.ends_with("Authorization, X-Trace"), "{notice}");
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let environment = Environment::of(&Variables::through(|_| Some("  ".to_owned())));
        assert_eq!(environment, Environment::default());
    }
}
