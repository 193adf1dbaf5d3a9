//! What no tool may read: lines of `deny` under `[tools]`, in the syntax of `.gitignore`. A line that can deny nothing is refused, since
//! whoever wrote it believes that something is denied.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// What settings deny of a folder.
#[derive(Debug)]
pub struct Deny {
    patterns: Vec<String>,
    matcher: Gitignore,
}

impl Deny {
    /// Reads `lines` for the folder `workspace`.
    ///
    /// # Errors
    /// The first line that can deny nothing, and why.
    pub fn new(lines: &[String], workspace: &str) -> Result<Self, (String, String)> {
        let mut builder = GitignoreBuilder::new("");
        let mut patterns = Vec::new();
        for line in lines {
            let bad = |why: String| (line.clone(), why);
            let pattern = pattern(&within(line, workspace)).map_err(bad)?;
            let added = builder.case_insensitive(true).and_then(|builder| builder.add_line(None, &pattern));
            added.map_err(|error| bad(error.to_string()))?;
            patterns.push(pattern);
        }
        let matcher = builder.build().map_err(|error| (lines.join(", "), error.to_string()))?;
        Ok(Self { patterns, matcher })
    }

    /// Tells whether a path below the folder is denied.
    pub fn matches(&self, path: &str, is_folder: bool) -> bool {
        self.matcher.matched(path, is_folder).is_ignore()
    }

    /// Returns what tells git to leave out whatever a pattern could mean; what is taken back stays left out.
    pub fn pathspecs(&self) -> impl Iterator<Item = String> {
        let denied = self.patterns.iter().filter(|pattern| !pattern.starts_with('!'));
        denied.flat_map(|pattern| {
            let named = pattern.trim_matches('/');
            let is_anchored = pattern.trim_end_matches('/').contains('/');
            let place = if is_anchored { "" } else { "**/" };
            ["", "/**"].map(|end| format!(":(exclude,icase,glob){place}{named}{end}"))
        })
    }
}

/// Returns a line of `deny` as paths of the workspace are matched by it: without `./` and doubled slashes.
///
/// # Errors
/// Why it can deny nothing.
pub fn pattern(line: &str) -> Result<String, String> {
    let line = line.trim_end();
    let (sign, rest) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest));
    if rest.is_empty() {
        return Err("denies nothing".to_owned());
    }
    if rest.starts_with(char::is_whitespace) {
        return Err("begins with a blank, which belongs to the name".to_owned());
    }
    if line.starts_with('#') {
        return Err("is a comment in this syntax".to_owned());
    }
    let parts: Vec<&str> = rest.split('/').collect();
    if parts.contains(&"..") || parts.first() == Some(&"~") {
        return Err("leads out of the workspace, where tools read nothing".to_owned());
    }
    let named: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty() && *part != ".").collect();
    if named.is_empty() {
        return Err("denies nothing; `*` denies everything".to_owned());
    }
    // A name that stands alone is denied wherever it lies; one with a slash before it only at the top.
    let is_anchored = named.len() > 1 || rest.starts_with('/') || rest.starts_with("./");
    let end = if parts.last().is_some_and(|last| last.is_empty() || *last == ".") { "/" } else { "" };
    let pattern = format!("{sign}{}{}{end}", if is_anchored { "/" } else { "" }, named.join("/"));
    let mut builder = GitignoreBuilder::new("");
    builder.add_line(None, &pattern).map_err(|error| format!("is no pattern: {error}"))?;
    if has_open_bracket(&pattern) {
        return Err("is no pattern: nothing closes its `[`".to_owned());
    }
    Ok(pattern)
}

/// Returns a line that names its place in the whole file system as a path of the folder `workspace`, if it lies there.
pub fn within(line: &str, workspace: &str) -> String {
    let workspace = workspace.trim_end_matches('/');
    match line.strip_prefix(workspace).filter(|_| !workspace.is_empty()) {
        Some("" | "/") => "*".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => line.to_owned(),
    }
}

/// Tells whether a pattern has a `[` that is neither closed nor escaped.
fn has_open_bracket(pattern: &str) -> bool {
    let mut rest = pattern.chars();
    let mut class: Option<usize> = None;
    while let Some(next) = rest.next() {
        match (next, &mut class) {
            ('\\', _) => drop(rest.next()),
            ('[', None) => class = Some(0),
            // A bracket that stands first, also after a sign, is one of the class.
            (']', Some(1..)) => class = None,
            ('!' | '^', Some(0)) => {}
            (_, Some(count)) => *count += 1,
            _ => {}
        }
    }
    class.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_path_of_the_workspace_or_is_refused() {
        for (line, expected) in [
            ("data/", "data/"),
            ("*.csv", "*.csv"),
            ("./data/", "/data/"),
            ("./data/.", "/data/"),
            ("a//b/./c", "/a/b/c"),
            ("/data", "/data"),
            ("data/** ", "/data/**"),
            ("!docs/readme.md", "!/docs/readme.md"),
            ("[ab].md", "[ab].md"),
            ("[]a].md", "[]a].md"),
            ("\\[a", "\\[a"),
            ("\\#a", "\\#a"),
        ] {
            assert_eq!(pattern(line).as_deref(), Ok(expected), "{line}");
        }
        for (line, why) in [
            ("", "denies nothing"),
            ("  ", "denies nothing"),
            ("!", "denies nothing"),
            ("/", "denies nothing; `*` denies everything"),
            ("./", "denies nothing; `*` denies everything"),
            (" data/", "begins with a blank, which belongs to the name"),
            ("# data", "is a comment in this syntax"),
            ("../work/data", "leads out of the workspace, where tools read nothing"),
            ("a/../b", "leads out of the workspace, where tools read nothing"),
            ("~/data", "leads out of the workspace, where tools read nothing"),
            ("data/[", "is no pattern: nothing closes its `[`"),
            ("data/[!", "is no pattern: nothing closes its `[`"),
            ("data/[]", "is no pattern: nothing closes its `[`"),
        ] {
            assert_eq!(
                pattern(line).map_err(|got| (got.starts_with(why), got)).map_err(|got| got.0),
                Err(true),
                "{line}: {:?}",
                pattern(line)
            );
        }
        assert!(pattern("[z-a]").unwrap_err().starts_with("is no pattern: "));
        assert!(pattern("*.{csv").unwrap_err().starts_with("is no pattern: "));
    }

    #[test]
    fn git_leaves_out_what_a_pattern_could_mean() {
        let lines = ["private/", "./data/x", "!data/x/readme.md"].map(str::to_owned);
        let pathspecs: Vec<String> = Deny::new(&lines, "/w").unwrap().pathspecs().collect();
        let expected = ["**/private", "**/private/**", "data/x", "data/x/**"];
        assert_eq!(pathspecs, expected.map(|named| format!(":(exclude,icase,glob){named}")));
    }

    #[test]
    fn a_path_of_the_whole_file_system_is_one_of_the_workspace_when_it_lies_there() {
        for (line, expected) in [
            ("/home/me/shop/data/", "/data/"),
            ("/home/me/shop", "*"),
            ("/home/me/shop/", "*"),
            ("/home/me/shopping", "/home/me/shopping"),
            ("/data", "/data"),
            ("data", "data"),
        ] {
            assert_eq!(within(line, "/home/me/shop"), expected, "{line}");
        }
        assert_eq!(within("/data", "/"), "/data");
    }
}
