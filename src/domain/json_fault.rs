//! Where a text is no JSON, in the characters that people count.

/// What is wrong with a text that is no JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    /// The byte.
    pub at: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop, no place.
    pub message: String,
}

impl JsonFault {
    /// Says where the fault lies that serde_json found in `text`: of a trailing comma, where the comma stands and not what follows it.
    pub fn of(text: &str, error: &serde_json::Error) -> Self {
        let said = error.to_string();
        let message = said.rsplit_once(" at line ").map_or(said.as_str(), |(message, _)| message).to_owned();
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        let line_start = starts.clone().nth(error.line().saturating_sub(1)).unwrap_or(0);
        // serde_json counts columns in bytes, from 1, and 0 for a line's end.
        let mut at = text.floor_char_boundary((line_start + error.column().saturating_sub(1)).min(text.len()));
        if message == "trailing comma" {
            let before = text[..at].trim_end_matches([' ', '\t', '\r', '\n']);
            at = before.strip_suffix(',').map_or(at, str::len);
        }
        let line_start = starts.take_while(|start| *start <= at).last().unwrap_or(0);
        let line = text[..at].matches('\n').count() + 1;
        Self { at, line, column: text[line_start..at].chars().count() + 1, message }
    }
}

impl std::fmt::Display for JsonFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_comma_stands_where_it_is_written() {
        let fault = |text: &str| JsonFault::of(text, &serde_json::from_str::<serde_json::Value>(text).unwrap_err()).to_string();
        assert_eq!(fault("{\n \"ä\": [1, 2 , ]\n}"), "line 2, column 13: trailing comma");
        assert_eq!(fault("{\"a\": 1,\n\n}"), "line 1, column 8: trailing comma");
        assert_eq!(fault("{\n \"a\": }"), "line 2, column 7: expected value");
        assert_eq!(fault(""), "line 1, column 1: EOF while parsing a value");
        assert_eq!(fault("[1"), "line 1, column 2: EOF while parsing a list");
    }
}
