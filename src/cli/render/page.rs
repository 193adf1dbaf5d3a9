//! A page for reading: lines with headings between them.

use crate::cli::output::{FAINT, HEADING, sanitize, styled};

/// Lines with headings between them.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn line(&mut self, indent: usize, text: impl AsRef<str>) {
        self.0.push_str(&" ".repeat(indent));
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.0.push('\n');
        self.line(0, styled(HEADING, text));
    }

    /// Names and values in two columns, the first at least so wide. Both are cleaned.
    pub(super) fn pairs<'a>(&mut self, indent: usize, width_min: usize, pairs: impl IntoIterator<Item = (&'a str, String)>) {
        let pairs: Vec<(String, String)> = pairs
            .into_iter()
            .map(|(name, value)| (sanitize::line(name).into_owned(), sanitize::line(&value).into_owned()))
            .collect();
        let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(width_min);
        for (name, value) in pairs {
            self.line(indent, format!("{name:<width$}  {value}"));
        }
    }

    /// A text as it is stored, but for what a terminal must not see.
    pub(super) fn text(&mut self, text: &str) {
        self.line(0, sanitize::text(text.trim_end()));
    }

    /// Says why there is nothing to show.
    pub(super) fn nothing(&mut self, why: impl AsRef<str>) {
        self.line(2, styled(FAINT, why.as_ref()));
    }

    pub(super) fn finish(mut self) -> String {
        self.0.truncate(self.0.trim_end().len());
        self.0
    }
}
