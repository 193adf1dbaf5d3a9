//! What was done with tools, in words that are searched: commands run, files read and changed.
//!
//! Meno's own tools say by their events what they changed. Of other agents' tools, whose sessions are imported, the arguments are all that
//! is known: those of the common ones are read here, of the others their names and arguments are searched as they stand.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::tool::changes_files;
use crate::views::run_detail::{AttemptDetail, ToolDetail};

/// Bytes of what was done with tools.
const BYTES_MAX: usize = 8_000;
/// What stands before a file that was changed.
const CHANGED: &str = "changed";
/// Tools of other agents that write files, in lower case.
const FOREIGN_WRITES: [&str; 11] = [
    "edit",
    "multiedit",
    "write",
    "write_file",
    "notebookedit",
    "replace",
    "create_file",
    "edit_file",
    "str_replace",
    "str_replace_editor",
    "str_replace_based_edit_tool",
];
/// Tools of other agents that read one file, in lower case.
const FOREIGN_READS: [&str; 3] = ["read", "read_file", "view"];
/// What the file is called among their arguments.
const FILE_ARGUMENTS: [&str; 6] = ["file_path", "filePath", "path", "notebook_path", "absolute_path", "target_file"];
/// What stands before the name of a file in a patch.
const PATCHED: [&str; 4] = ["*** Update File: ", "*** Add File: ", "*** Delete File: ", "*** Move to: "];

/// Returns the phrase by which runs are found that changed a file: its path, or the end of it.
pub fn changed(file: &str) -> String {
    format!("{CHANGED} {file}")
}

/// Says what was done with tools, each thing once, a line each. `is_foreign` says that other agents did it, with tools of theirs.
pub fn of<'a>(attempts: impl Iterator<Item = &'a AttemptDetail>, is_foreign: bool) -> String {
    let tools = attempts.flat_map(|attempt| &attempt.calls).flat_map(|call| &call.tools);
    // What was refused or failed is no fact of the run.
    let lines_of = if is_foreign { foreign_lines } else { own_lines };
    let lines: BTreeSet<String> = tools.filter(|tool| tool.ok == Some(true)).flat_map(lines_of).collect();
    let mut words = String::new();
    for line in lines {
        if words.len() + line.len() < BYTES_MAX {
            words.push_str(&line);
            words.push('\n');
        }
    }
    words
}

/// Says what a call of an own tool was about, without what it wrote.
fn own_lines(used: &ToolDetail) -> Vec<String> {
    let tool = used.tool.as_str();
    if changes_files(tool) {
        // By what was recorded as changed: arguments say what was meant, not what came of it. What was taken back is no fact either.
        let files = used.files.iter().filter(|file| !used.undone.contains(file));
        return files.flat_map(|file| changed_lines(file)).collect();
    }
    let arguments = Arguments::of(used);
    let line = match tool {
        "read_file" => arguments.text("path").map(|file| format!("read {file}")),
        "search_files" | "find_files" => arguments.text("pattern").map(|pattern| format!("searched for {pattern}")),
        "run_command" => arguments.text("program").map(|program| {
            let words = arguments.0["arguments"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let line: Vec<&str> = std::iter::once(program).chain(words).collect();
            format!("ran {}", line.join(" "))
        }),
        _ => None,
    };
    Vec::from_iter(line)
}

/// Says what files a call of another agent's tool was about, by its arguments.
fn foreign_lines(used: &ToolDetail) -> Vec<String> {
    let (tool, arguments) = (used.tool.to_lowercase(), Arguments::of(used));
    let file = FILE_ARGUMENTS.into_iter().find_map(|name| arguments.text(name));
    match tool.as_str() {
        "apply_patch" => {
            let written = used.arguments.as_deref().unwrap_or_default();
            let patch = arguments.0.as_str().or_else(|| arguments.text("input")).or_else(|| arguments.text("patch"));
            let named =
                |line: &'_ str| PATCHED.into_iter().find_map(|mark| line.trim_start().strip_prefix(mark).map(str::to_owned));
            patch.unwrap_or(written).lines().filter_map(named).flat_map(|file| changed_lines(&file)).collect()
        }
        tool if FOREIGN_WRITES.contains(&tool) => file.map(changed_lines).unwrap_or_default(),
        tool if FOREIGN_READS.contains(&tool) => file.map(|file| format!("read {file}")).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// What a tool was called with.
struct Arguments(Value);

impl Arguments {
    fn of(used: &ToolDetail) -> Self {
        Self(used.arguments.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str().filter(|text| !text.trim().is_empty())
    }
}

/// Says that a file was changed: by its whole path, and by the end of it.
fn changed_lines(file: &str) -> Vec<String> {
    let file = file.trim();
    let name = file.rsplit(['/', '\\']).next().filter(|name| !name.is_empty() && *name != file);
    std::iter::once(file).chain(name).map(changed).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str, arguments: Value, files: &[&str]) -> ToolDetail {
        ToolDetail {
            tool: name.to_owned(),
            ok: Some(true),
            arguments: Some(arguments.to_string()),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            ..ToolDetail::default()
        }
    }

    #[test]
    fn files_are_changed_by_what_was_recorded_not_by_what_was_meant() {
        let said = |tool: &ToolDetail| own_lines(tool).join("; ");
        let patch = |text: &str| json!({ "patch": text });
        let marked = patch("*** Begin Patch\n*** Delete File: old.txt\n*** End Patch");
        let changed = "changed old.txt; changed src/a.rs; changed a.rs";
        assert_eq!(said(&tool("apply_patch", marked, &["old.txt", "src/a.rs"])), changed);
        let deleted = patch("--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
        assert_eq!(said(&tool("apply_patch", deleted, &["old.txt"])), "changed old.txt");
        // A write or a patch that changed nothing prepared none.
        assert_eq!(said(&tool("apply_patch", patch("*** Begin Patch\n*** Delete File: a\n*** End Patch"), &[])), "");
        assert_eq!(said(&tool("write_file", json!({"path": "same.txt", "content": "x"}), &[])), "");
        let back = ToolDetail { undone: vec!["a".to_owned()], ..tool("apply_patch", Value::Null, &["a", "b"]) };
        assert_eq!(said(&back), "changed b");
        assert_eq!(said(&tool("read_file", json!({"path": "a"}), &[])), "read a");
    }

    #[test]
    fn tools_of_other_agents_say_by_their_arguments_what_they_touched() {
        let said = |tool: &ToolDetail| foreign_lines(tool).join("; ");
        let edit = json!({"file_path": "/home/me/shop/src/billing.py", "old_string": "a", "new_string": "b"});
        let changed = "changed /home/me/shop/src/billing.py; changed billing.py";
        assert_eq!(said(&tool("Edit", edit.clone(), &[])), changed);
        assert_eq!(said(&tool("replace", edit, &[])), changed);
        assert_eq!(
            said(&tool("Write", json!({"file_path": "C:\\w\\a.md", "content": ""}), &[])),
            "changed C:\\w\\a.md; changed a.md"
        );
        assert_eq!(said(&tool("write_file", json!({"file_path": "a.md", "content": ""}), &[])), "changed a.md");
        assert_eq!(said(&tool("Read", json!({"file_path": "billing.py"}), &[])), "read billing.py");
        let patch = "*** Begin Patch\n*** Update File: billing.py\n@@\n-x\n*** Add File: b.py\n+y\n*** End Patch";
        assert_eq!(said(&tool("apply_patch", json!({ "input": patch }), &[])), "changed billing.py; changed b.py");
        let raw = ToolDetail { arguments: Some(patch.to_owned()), ..tool("apply_patch", Value::Null, &[]) };
        assert_eq!(said(&raw), "changed billing.py; changed b.py");
        assert_eq!(said(&tool("Edit", json!({"old_string": "a"}), &[])), "");
        assert_eq!(said(&tool("Bash", json!({"command": "rm billing.py"}), &[])), "");
    }
}
