//! Short quotes for evidence: cut on character borders, on one line.

use super::edition::Edition;

/// Evidence is at most so many bytes long.
pub const EVIDENCE_BYTES_MAX: usize = 600;

/// A quote within evidence is at most so many bytes long.
const QUOTE_BYTES_MAX: usize = 120;

/// Cuts `text` to at most `bytes_max` bytes (never less than the mark's own three), with `…` where something was cut off.
pub fn clip(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes_max.saturating_sub('…'.len_utf8()));
    format!("{}…", text[..end].trim_end())
}

/// Returns the start of `text` on one line, in quotation marks.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", one_line(text))
}

/// Returns the start of `text` on one line.
pub(super) fn one_line(text: &str) -> String {
    clip(&text.split_whitespace().take(QUOTE_BYTES_MAX).collect::<Vec<_>>().join(" "), QUOTE_BYTES_MAX)
}

/// Says where in `text` the bytes `at..end` are, and quotes them with some of what surrounds them.
pub(super) fn found(text: &str, at: usize, end: usize, edition: Edition) -> String {
    let line = text[..at].matches('\n').count() + 1;
    let from = text[..at].rfind('\n').map_or(0, |newline| newline + 1).max(text.floor_char_boundary(at.saturating_sub(40)));
    let to = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    in_line(line, &text[from..to], edition)
}

/// Says that something was found in a line, from 1, and quotes it.
pub(super) fn in_line(line: usize, text: &str, edition: Edition) -> String {
    let found = match edition {
        Edition::First => "line",
        _ => "found at line",
    };
    format!("{found} {line}: {}", quote(text))
}
