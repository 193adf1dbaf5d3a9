//! The patch that an answer proposes.

/// Returns the blocks of `answer` that are fenced and marked as `diff` or `patch`, one after the other; empty when there is none. A block
/// that nothing closes ends with the answer.
pub fn diffs_of(answer: &str) -> String {
    let mut diffs = String::new();
    // The fence of the open block, and whether it is a diff.
    let mut open: Option<(&str, bool)> = None;
    for line in answer.lines() {
        let fence = fence(line);
        match (open, fence) {
            (Some((begin, _)), Some((end, ""))) if end.starts_with(begin) => open = None,
            (Some((_, true)), _) => {
                diffs.push_str(line);
                diffs.push('\n');
            }
            (None, Some((begin, info))) => {
                let word = info.split_whitespace().next().unwrap_or_default();
                open = Some((begin, word.eq_ignore_ascii_case("diff") || word.eq_ignore_ascii_case("patch")));
            }
            _ => {}
        }
    }
    diffs
}

/// Reads a line as a fence of code: its characters, and what stands behind them.
fn fence(line: &str) -> Option<(&str, &str)> {
    let text = line.trim_start_matches(' ');
    let mark = text.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = text.len() - text.trim_start_matches(mark).len();
    let is_fence = line.len() - text.len() <= 3 && length >= 3;
    is_fence.then(|| (&text[..length], text[length..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diffs_of_an_answer_are_its_fenced_blocks_of_that_name() {
        let answer =
            "Why.\n```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n```\nand\n```sh\nls\n```\n~~~~ Patch of y\n+```\n~~~\n~~~~\n";
        assert_eq!(diffs_of(answer), "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n+```\n~~~\n");
        assert_eq!(diffs_of("```\n--- a/x\n```\n    ```diff\n+a\n"), "");
        assert_eq!(diffs_of("```diff\n+cut"), "+cut\n");
        assert_eq!(diffs_of(""), "");
    }
}
