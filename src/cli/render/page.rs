//! A page for reading: lines with headings between them.

use super::report::report;
use crate::cli::output::{FAINT, HEADING, layout, sanitize, styled};

/// Lines with headings between them, for a terminal of some width or for a pipe.
pub(super) struct Page {
    text: String,
    width: Option<u16>,
}

impl Page {
    pub(super) fn new(width: Option<u16>) -> Self {
        Self { text: String::new(), width }
    }

    pub(super) fn line(&mut self, indent: usize, text: impl AsRef<str>) {
        let line = format!("{:indent$}{}", "", text.as_ref());
        let line = match self.width {
            Some(width) => layout::flow(&line, width.into()),
            None => line,
        };
        self.text.push_str(&line);
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, text: &str) {
        self.text.push('\n');
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

    /// A stored text: in a pipe as it is, but for what a terminal must not see; on a terminal laid out as Markdown.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(&report(text, self.width));
        self.text.push('\n');
    }

    /// A stored text whose lines stay as they are, but for what a terminal must not see.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.text.push_str(sanitize::text(text).trim_end_matches('\n'));
        self.text.push('\n');
    }

    /// Says why there is nothing to show.
    pub(super) fn nothing(&mut self, why: impl AsRef<str>) {
        self.line(2, styled(FAINT, why.as_ref()));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}
