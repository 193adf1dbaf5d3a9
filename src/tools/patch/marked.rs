//! The form of patches that models of OpenAI are trained on: `*** Begin Patch`, `*** Update File: …`, hunks without numbers.

use super::{FilePatch, Hunk};

/// How it begins.
pub(super) const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";

/// Reads a patch whose first file is named from the line `start` on.
///
/// # Errors
/// What is wrong with it, in words for the model.
pub(super) fn parse(lines: &[&str], start: usize) -> Result<Vec<FilePatch>, String> {
    let mut files: Vec<FilePatch> = Vec::new();
    for (at, line) in lines.iter().enumerate().skip(start) {
        let (line, number) = (line.trim_end_matches('\r'), at + 1);
        if line.trim() == END {
            break;
        }
        if let Some(words) = line.strip_prefix("*** ") {
            if words.trim() == "End of File" {
                continue;
            }
            let Some((what, name)) = words.split_once(": ") else {
                return Err(format!("line {number} of the patch is `{line}`: a file begins with `*** Update File: PATH`"));
            };
            let name = Some(name.trim().to_owned());
            let (from, to) = match what {
                "Update File" => (name.clone(), name),
                "Add File" => (None, name),
                "Delete File" => (name, None),
                _ => return Err(format!("line {number} of the patch is `{line}`: only changes of texts are applied")),
            };
            files.push(FilePatch { from, to, is_executable: false, hunks: Vec::new() });
            continue;
        }
        let Some(file) = files.last_mut() else {
            if line.is_empty() {
                continue;
            }
            return Err(format!("line {number} of the patch stands before any `*** Update File: PATH`"));
        };
        // What stands behind the mark says for people where the hunk is; its lines say it here.
        if line.starts_with("@@") || file.hunks.is_empty() {
            file.hunks.push(Hunk { at: number, ..Hunk::default() });
        }
        let Some(hunk) = file.hunks.last_mut().filter(|_| !line.starts_with("@@")) else { continue };
        match line.split_at_checked(1) {
            Some((" ", text)) => hunk.keep(text),
            Some(("-", text)) => hunk.old.push(text.to_owned()),
            Some(("+", text)) => hunk.new.push(text.to_owned()),
            // An empty line that is kept has lost its blank on the way.
            None => hunk.keep(""),
            Some(_) => {
                let words = "a line of a hunk begins with a blank, `-` or `+`";
                return Err(format!("line {number} of the patch is `{line}`: {words}"));
            }
        }
    }
    for file in &mut files {
        file.hunks.retain(|hunk| hunk.old != hunk.new);
        if file.hunks.is_empty() && file.to.is_some() {
            return Err(format!("it changes nothing in `{}`", file.path()));
        }
        if let Some(hunk) = file.hunks.iter().find(|hunk| hunk.old.is_empty() && file.from.is_some()) {
            return Err(format!("the hunk at line {} of the patch has no line that says where: give context", hunk.at));
        }
    }
    if files.is_empty() { Err("it names no file: `*** Update File: PATH` is wanted".to_owned()) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use crate::tools::patch;

    #[test]
    fn files_are_changed_made_and_deleted() {
        let text = "*** Begin Patch\n*** Update File: src/a.py\n@@ def f():\n x = 1\n-y = 2\n+y = 3\n@@\n-last\n+end\n\
                    *** Add File: new.txt\n+one\n+two\n*** Delete File: old.txt\n*** End Patch\n";
        let files = patch::parse(text).unwrap();
        assert_eq!(files.iter().map(patch::FilePatch::path).collect::<Vec<_>>(), ["src/a.py", "new.txt", "old.txt"]);
        let before = "import os\ndef f():\nx = 1\ny = 2\n\nlast\n";
        assert_eq!(files[0].apply(Some(before)), Ok(Some("import os\ndef f():\nx = 1\ny = 3\n\nend\n".to_owned())));
        assert_eq!(files[1].apply(None), Ok(Some("one\ntwo\n".to_owned())));
        assert!(files[1].apply(Some("there")).is_err());
        assert_eq!(files[2].apply(Some("whatever\n")), Ok(None));
        // Lines that stand there twice say nothing of where.
        assert!(files[0].apply(Some("x = 1\ny = 2\nx = 1\ny = 2\nlast\n")).is_err_and(|why| why.contains("more than once")));
    }
}
