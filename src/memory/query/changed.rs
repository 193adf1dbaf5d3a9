//! Questions for the runs that changed a file: "who edited src/billing.py", "runs that changed the file Cargo.toml".

use super::is_name;
use super::scan::Word;

/// Words that say that something was changed.
const VERBS: [&str; 15] = [
    "change", "changed", "changes", "changing", "edit", "edited", "edits", "modified", "modify", "modifies", "patched",
    "rewrote", "touched", "wrote", "written",
];
/// Words by which it was not.
const NOT: [&str; 7] = ["not", "never", "didn't", "don't", "doesn't", "without", "no"];
/// Words that may stand between.
const BETWEEN: [&str; 8] = ["the", "file", "files", "my", "our", "in", "and", "or"];

/// Returns the files that the question says were changed, as they are written.
pub fn files(words: &[Word]) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    if words.iter().any(|word| NOT.contains(&word.text.as_str())) {
        return files;
    }
    let mut is_after = false;
    for word in words {
        let bare =
            word.raw.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '/' | '.' | '~')).trim_end_matches('.');
        if VERBS.contains(&word.text.as_str()) {
            is_after = true;
        } else if is_after && is_name(bare) && bare.contains(['.', '/']) {
            files.extend((!files.iter().any(|file| file == bare)).then(|| bare.to_owned()));
        } else {
            is_after &= BETWEEN.contains(&word.text.as_str());
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::super::{Vocabulary, understand};

    #[test]
    fn files_behind_a_word_of_changing_are_those_that_were_changed() {
        let now = jiff::Zoned::default();
        let asked = |text: &str| understand(text, &Vocabulary::default(), &now).changed;
        assert_eq!(asked("runs that changed billing.py"), ["billing.py"]);
        assert_eq!(asked("Who edited src/a.rs and `tests/b.rs`?"), ["src/a.rs", "tests/b.rs"]);
        assert_eq!(asked("which sessions touched the file .env.local."), [".env.local"]);
        for other in
            ["runs that read billing.py", "billing.py changed", "what changed yesterday", "changed how billing.py is read", ""]
        {
            assert_eq!(asked(other), [""; 0], "{other}");
        }
        assert_eq!(asked("runs that did not change billing.py"), [""; 0]);
    }
}
