//! What a page is asked and what it answers, without a word of HTTP.

use maud::Markup;

use crate::cli::error::{CliError, Result};

/// Names with values, in order, as in a URL's query or a form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=2`. Anything can be read: what has no `=` is a name without a value.
    pub fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// Returns the first value of a name, if it is not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.trim().is_empty()).map(|(_, value)| value.as_str())
    }

    /// Returns every value of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns all names with their values.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns these with one value for a name, in place of those that it had; with none, it is left out.
    #[must_use]
    pub fn with(&self, name: &str, value: Option<&str>) -> Self {
        let kept = self.0.iter().filter(|(key, _)| key != name).cloned();
        Self(kept.chain(value.map(|value| (name.to_owned(), value.to_owned()))).collect())
    }

    /// Returns these without one value of a name.
    #[must_use]
    pub fn without(&self, name: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|(key, known)| key != name || known != value).cloned().collect())
    }

    /// Returns the link to `path` with these; names without a value are left out.
    pub fn link(&self, path: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(_, value)| !value.trim().is_empty()));
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

impl FromIterator<(String, String)> for Params {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// A request to a page.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The parts of the path that the route names.
    pub parts: Params,
    /// The query.
    pub query: Params,
    /// The form that was sent; empty unless it is a POST.
    pub form: Params,
}

impl Request {
    /// Returns a part of the path that the route names.
    pub fn part(&self, name: &str) -> &str {
        self.parts.get(name).unwrap_or_default()
    }

    /// Reads a value of the query, when it is there.
    ///
    /// # Errors
    /// When it is not what it has to be.
    pub fn read<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>, allowed: &str) -> Result<Option<T>> {
        let Some(text) = self.query.get(name) else { return Ok(None) };
        read(text.trim()).map(Some).ok_or_else(|| {
            CliError::invalid(format!("`{name}` cannot be `{text}`"))
                .hint(format!("use {allowed}, or remove it from the address"))
        })
    }
}

/// A page, still without what stands around it.
pub struct Page {
    /// Its title.
    pub title: String,
    /// The path of the entry of the navigation that it belongs to.
    pub here: &'static str,
    /// What it shows.
    pub body: Markup,
    /// Open pages ask again when the log grows: of this run, or with an empty name of any. `None`: what is shown does not change.
    pub live: Option<String>,
}

/// What a page answers.
pub enum Answer {
    /// A page.
    Page(Box<Page>),
    /// Something was done: the browser goes there next.
    See(String),
    /// A JSON document.
    Json(String),
    /// A plain text.
    Text(String),
}

impl From<Page> for Answer {
    fn from(page: Page) -> Self {
        Self::Page(Box::new(page))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_keeps_what_is_chosen_and_drops_one_value_at_a_time() {
        let chosen = Params::parse(b"status=failed&status=running&template=&label=a%3Db");
        assert_eq!(chosen.get("template"), None);
        assert_eq!(chosen.without("status", "failed").link("/runs"), "/runs?status=running&label=a%3Db");
        assert_eq!(chosen.with("status", None).with("label", None).link("/runs"), "/runs");
        assert_eq!(chosen.with("before", Some("x y")).all("before").collect::<Vec<_>>(), ["x y"]);
    }

    proptest! {
        #[test]
        fn any_query_can_be_read_and_said_again(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let read = Params::parse(&bytes);
            let link = read.link("");
            let query = link.strip_prefix('?').unwrap_or_default();
            let kept: Vec<_> = read.pairs().filter(|(_, value)| !value.trim().is_empty()).collect();
            let again = Params::parse(query.as_bytes());
            prop_assert_eq!(again.pairs().collect::<Vec<_>>(), kept);
        }
    }
}
