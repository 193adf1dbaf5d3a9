//! A run's report on a terminal: Markdown as it is written, wrapped, with its headings marked.

use crate::cli::output::layout::flow_line;
use crate::cli::output::{HEADING, sanitize, styled};

/// Lines of a report that the end of a run shows at most.
const EXCERPT_LINES: usize = 12;
/// Headings of the section that says what the report comes to.
const DECISIONS: [&str; 6] = ["decision", "verdict", "recommendation", "conclusion", "summary", "result"];

/// Shows a report on a terminal of `width` columns; in a pipe it is the Markdown that it is.
pub fn report(text: &str, width: Option<u16>) -> String {
    let text = sanitize::text(text);
    let is_json = text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    let Some(width) = width.filter(|_| !is_json) else { return text.trim_end().to_owned() };
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.trim_end().lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            lines.push(line.to_owned());
        } else if is_code || line.trim_start().starts_with('|') {
            lines.push(line.to_owned());
        } else if line.starts_with('#') {
            lines.push(styled(HEADING, line));
        } else {
            lines.push(flow_line(line, usize::from(width)));
        }
    }
    lines.join("\n")
}

/// Returns what a report comes to: the section with its decision, else its first lines, and never many.
pub fn excerpt(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    let is_heading = |line: &str| line.starts_with('#');
    let is_decision = |line: &&str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        is_heading(line) && DECISIONS.iter().any(|word| title.split_whitespace().next() == Some(*word))
    };
    let section = match lines.iter().position(is_decision) {
        Some(start) => {
            // An output may begin with headings of its own: the section goes on until something is said, and a quoted notice says nothing.
            let mut is_said = false;
            let mut ends = |line: &str| {
                is_said |= !is_heading(line) && !line.starts_with('>') && !line.trim().is_empty();
                is_heading(line) && is_said
            };
            let end = lines[start + 1..].iter().position(|line| ends(line)).map_or(lines.len(), |end| start + 1 + end);
            &lines[start..end]
        }
        None => &lines[..],
    };
    let is_cut = section.len() > EXCERPT_LINES;
    let mut shown = section[..section.len().min(EXCERPT_LINES)].join("\n").trim_end().to_owned();
    if is_cut {
        shown.push_str("\n…");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_decision_or_the_beginning() {
        let text = "# Ready?\n\nChecked: all.\n\n## Decision\n\nGo, with two conditions.\n\n## Notes\n\nNone.\n";
        assert_eq!(excerpt(text), "## Decision\n\nGo, with two conditions.");
        let nested = "## Decision\n\n> A notice.\n\n## Conclusion\n\nNo go.\n\n## Evidence\n\nNone.\n";
        assert_eq!(excerpt(nested), "## Decision\n\n> A notice.\n\n## Conclusion\n\nNo go.");
        assert_eq!(excerpt("# Ready?\n\nNo.\n"), "# Ready?\n\nNo.");
        let long = (0..40).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
        assert!(excerpt(&long).ends_with("line 11\n…"), "{}", excerpt(&long));
        assert_eq!(excerpt(""), "");
    }

    #[test]
    fn prose_is_wrapped_and_code_is_not() {
        let text =
            "Some words that are wrapped\n- an item that is wrapped\n```\nlet code = \"stays as it is, however long\";\n```\n";
        let shown = report(text, Some(16));
        assert_eq!(
            shown,
            "Some words that\nare wrapped\n- an item that\n  is wrapped\n```\nlet code = \"stays as it is, however long\";\n```"
        );
        assert_eq!(report("# a\u{1b}[2J\n", None), "# a␛[2J");
    }
}
