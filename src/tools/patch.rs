//! Unified diffs: read, and applied strictly to texts.
//!
//! What a hunk takes away and keeps must stand in the file, character by character. Only where it stands may differ from what the hunk
//! says, because models count lines badly: then the one place counts that has these lines, and two such places are refused.

mod marked;
mod quoted;

/// The mark of byte order with which some texts begin. Nobody sees it, so patches mostly leave it out.
const MARK: char = '\u{feff}';

/// What a patch does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePatch {
    /// The file before; `None` when it is new.
    pub from: Option<String>,
    /// The file afterwards; `None` when it is deleted.
    pub to: Option<String>,
    /// It is new, and a program.
    pub is_executable: bool,
    hunks: Vec<Hunk>,
}

/// A place of a file where something changes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
struct Hunk {
    /// The first line that it is about, from 1, as it says; 0 for an empty file.
    line: usize,
    /// Its lines as they stand in the file before, and as they do afterwards: without their ends.
    old: Vec<String>,
    new: Vec<String>,
    /// The lines that it keeps, by their places in both.
    kept: Vec<(usize, usize)>,
    /// The last line before, or afterwards, is said to have no end.
    old_is_open: bool,
    new_is_open: bool,
    /// Where it stands in the patch, from 1.
    at: usize,
}

/// Reads a patch.
///
/// # Errors
/// What is wrong with it, in words for the model.
pub fn parse(text: &str) -> Result<Vec<FilePatch>, String> {
    let lines: Vec<&str> = text.lines().collect();
    if let Some(start) = lines.iter().position(|line| line.trim() == marked::BEGIN) {
        return marked::parse(&lines, start + 1);
    }
    let mut files: Vec<FilePatch> = Vec::new();
    let mut at = 0;
    // The line of git's that says which mode the next file has, or had.
    let mut said: Option<(usize, Mode)> = None;
    while at < lines.len() {
        let line = lines[at];
        if let Some(mode) = mode_of(line, at)? {
            nothing_follows(&lines, said)?;
            said = Some((at, mode));
            at += 1;
        } else if line.starts_with("diff --git ") {
            nothing_follows(&lines, said.take())?;
            at += 1;
        } else if begins_file(&lines, at) {
            let (from, to) = (name_of(&line[4..], at)?, name_of(&lines[at + 1][4..], at + 1)?);
            let (from, to) = without_prefixes(from, to);
            if from.is_none() && to.is_none() {
                return Err(format!("line {} of the patch names no file", at + 1));
            }
            if let (Some(from), Some(to)) = (&from, &to)
                && from != to
            {
                return Err(format!("the patch renames `{from}` to `{to}`: write the new file and delete the old one instead"));
            }
            let is_executable = match said.take() {
                None => false,
                Some((_, Mode::New { is_executable })) if from.is_none() => is_executable,
                Some((_, Mode::Deleted)) if to.is_none() => false,
                Some((said, _)) => {
                    let words = "the `---` and `+++` lines behind it say otherwise";
                    return Err(format!("line {} of the patch is `{}`, and {words}", said + 1, lines[said]));
                }
            };
            files.push(FilePatch { from, to, is_executable, hunks: Vec::new() });
            at += 2;
        } else if line.starts_with("@@") {
            let Some(file) = files.last_mut() else {
                return Err(format!("line {} of the patch begins a hunk before any `--- FILE` and `+++ FILE`", at + 1));
            };
            let (hunk, next) = hunk(&lines, at)?;
            file.hunks.push(hunk);
            at = next;
        } else if ["rename ", "copy ", "GIT binary patch"].iter().any(|words| line.starts_with(words))
            || (line.starts_with("Binary files ") && line.ends_with(" differ"))
        {
            return Err(format!("line {} of the patch is `{line}`: only changes of texts are applied", at + 1));
        } else {
            // What stands between files is for people: `index`, words.
            at += 1;
        }
    }
    nothing_follows(&lines, said)?;
    if files.is_empty() {
        return Err("it has no `--- FILE` and `+++ FILE` lines: a unified diff is wanted".to_owned());
    }
    if let Some(empty) = files.iter().find(|file| file.hunks.is_empty() && file.to.is_some()) {
        return Err(format!("it changes nothing in `{}`: a hunk begins with `@@ -LINE,COUNT +LINE,COUNT @@`", empty.path()));
    }
    Ok(files)
}

/// What git says of a file's mode before it shows the change.
#[derive(Clone, Copy)]
enum Mode {
    /// It is new.
    New {
        /// It is a program.
        is_executable: bool,
    },
    /// It is deleted.
    Deleted,
}

/// Reads a line of git's about a mode; `None` when it is none.
///
/// # Errors
/// What is not applied: a recorded change of a file has no mode to become, so none could be told from what somebody did since.
fn mode_of(line: &str, at: usize) -> Result<Option<Mode>, String> {
    let found = ["old mode ", "new mode ", "new file mode ", "deleted file mode "].into_iter().find_map(|words| {
        let mode = line.strip_prefix(words)?.trim();
        (mode.len() == 6 && mode.bytes().all(|digit| matches!(digit, b'0'..=b'7'))).then_some((words, mode))
    });
    let Some((words, mode)) = found else { return Ok(None) };
    let refused = |why: &str| Err(format!("line {} of the patch is `{line}`: {why}", at + 1));
    match (words, mode.strip_prefix("100")) {
        ("old mode " | "new mode ", _) => {
            refused("modes of files that are there are not changed: leave these lines out, and a program like `chmod` does it")
        }
        (_, None) => refused("only files are made and deleted, no links"),
        ("new file mode ", Some(bits)) => Ok(Some(Mode::New { is_executable: bits.bytes().any(|digit| digit & 1 == 1) })),
        _ => Ok(Some(Mode::Deleted)),
    }
}

/// Refuses what git said of a file of which nothing follows: files without a line have no hunk there.
fn nothing_follows(lines: &[&str], said: Option<(usize, Mode)>) -> Result<(), String> {
    let Some((at, mode)) = said else { return Ok(()) };
    let how = match mode {
        Mode::New { .. } => "write an empty file with `write_file` instead",
        Mode::Deleted => "an empty file is deleted by `--- a/FILE` and `+++ /dev/null`",
    };
    Err(format!("line {} of the patch is `{}`, and no `--- FILE` and `+++ FILE` follow: {how}", at + 1, lines[at]))
}

fn begins_file(lines: &[&str], at: usize) -> bool {
    lines[at].starts_with("--- ") && lines.get(at + 1).is_some_and(|next| next.starts_with("+++ "))
}

/// A name in a header ends at a tab, behind which other programs put a time; one in quotes is written as git does it.
fn name_of(text: &str, at: usize) -> Result<Option<String>, String> {
    let name = match text.trim().strip_prefix('"') {
        Some(quoted) => quoted::name(quoted).map_err(|why| format!("line {} of the patch names no file: {why}", at + 1))?,
        None => text.split('\t').next().unwrap_or_default().trim().to_owned(),
    };
    Ok((name != "/dev/null" && !name.is_empty()).then_some(name))
}

/// Takes away the `a/` and `b/` of git, where both names that are there have them.
fn without_prefixes(from: Option<String>, to: Option<String>) -> (Option<String>, Option<String>) {
    let has = |name: &Option<String>, prefix| name.as_ref().is_none_or(|name| name.starts_with(prefix));
    if has(&from, "a/") && has(&to, "b/") {
        let bare = |name: Option<String>| name.map(|name| name[2..].to_owned());
        (bare(from), bare(to))
    } else {
        (from, to)
    }
}

/// Reads the hunk that begins at a line; returns where the next thing begins.
fn hunk(lines: &[&str], start: usize) -> Result<(Hunk, usize), String> {
    let head = lines[start];
    let bad = || format!("line {} of the patch is `{head}`: a hunk begins with `@@ -LINE,COUNT +LINE,COUNT @@`", start + 1);
    let mut words = head.trim_start_matches('@').split_whitespace();
    let mut range = |sign: char| {
        let word = words.next().and_then(|word| word.strip_prefix(sign)).ok_or_else(bad)?;
        let (line, count) = word.split_once(',').unwrap_or((word, "1"));
        match (line.parse::<usize>(), count.parse::<usize>()) {
            (Ok(line), Ok(count)) => Ok((line, count)),
            _ => Err(bad()),
        }
    };
    let ((line, old_count), (_, new_count)) = (range('-')?, range('+')?);
    let mut hunk = Hunk { line, at: start + 1, ..Hunk::default() };
    let mut at = start + 1;
    while let Some(text) = lines.get(at) {
        // While lines are missing, what looks like a head is a line that was taken away.
        let is_whole = hunk.old.len() >= old_count && hunk.new.len() >= new_count;
        if text.starts_with("@@") || text.starts_with("diff --git ") || (begins_file(lines, at) && is_whole) {
            break;
        }
        match text.as_bytes().first() {
            Some(b' ') => {
                hunk.keep(&text[1..]);
                (hunk.old_is_open, hunk.new_is_open) = (false, false);
            }
            Some(b'-') => {
                hunk.old.push(text[1..].to_owned());
                hunk.old_is_open = false;
            }
            Some(b'+') => {
                hunk.new.push(text[1..].to_owned());
                hunk.new_is_open = false;
            }
            Some(b'\\') => match lines[at - 1].as_bytes().first() {
                Some(b'-') => hunk.old_is_open = true,
                Some(b'+') => hunk.new_is_open = true,
                _ => (hunk.old_is_open, hunk.new_is_open) = (true, true),
            },
            // An empty line that is kept has lost its blank on the way.
            None if !is_whole => hunk.keep(""),
            None => break,
            Some(_) if is_whole => break,
            Some(_) => {
                let words = "a line of a hunk begins with a blank, `-` or `+`";
                return Err(format!("line {} of the patch is `{text}`: {words}", at + 1));
            }
        }
        at += 1;
    }
    if hunk.old == hunk.new && hunk.old_is_open == hunk.new_is_open {
        return Err(format!("the hunk at line {} of the patch changes nothing", start + 1));
    }
    Ok((hunk, at))
}

impl FilePatch {
    /// Returns the file that it is about.
    pub fn path(&self) -> &str {
        self.to.as_deref().or(self.from.as_deref()).unwrap_or_default()
    }

    /// Returns what becomes of a file; `None`: it is deleted.
    ///
    /// # Errors
    /// The first hunk that does not fit, in words for the model.
    pub fn apply(&self, before: Option<&str>) -> Result<Option<String>, String> {
        let path = self.path();
        match (before, &self.from) {
            (None, Some(_)) => return Err(format!("there is no `{path}` to change; a new file is written `--- /dev/null`")),
            (Some(_), None) => return Err(format!("`{path}` is there already, and the patch says that it is new")),
            _ => {}
        }
        let text = before.unwrap_or_default();
        let bare = text.strip_prefix(MARK);
        let mut lines = lines_of(bare.unwrap_or(text));
        let mut is_marked = bare.is_some();
        lines.iter_mut().take(1).for_each(|first| first.is_marked = is_marked);
        let mut ends_open = !text.is_empty() && !text.ends_with('\n');
        let mut result: Vec<Line<'_>> = Vec::new();
        let mut done = 0;
        for hunk in &self.hunks {
            let place = hunk
                .place(&lines, done, ends_open)
                .map_err(|why| format!("the hunk at line {} of the patch does not fit `{path}`: {why}", hunk.at))?;
            result.extend(&lines[done..place]);
            hunk.put(&lines, (place, is_marked && place == 0), &mut result);
            // A patch that names the mark says what becomes of it.
            let has_mark = |lines: &[String]| lines.iter().any(|line| line.starts_with(MARK));
            if place == 0 && has_mark(&hunk.old[..hunk.old.len().min(1)]) && !has_mark(&hunk.new) {
                is_marked = false;
            }
            done = place + hunk.old.len();
            let ends_as_before = hunk.old.last() == hunk.new.last() && hunk.old_is_open == hunk.new_is_open;
            if done == lines.len() && !ends_as_before {
                ends_open = hunk.new_is_open;
            }
        }
        result.extend(&lines[done.min(lines.len())..]);
        if self.to.is_none() {
            if !result.is_empty() && !self.hunks.is_empty() {
                return Err(format!("the patch deletes `{path}` and leaves {} lines of it", result.len()));
            }
            return Ok(None);
        }
        if let Some(last) = result.last_mut().filter(|_| ends_open) {
            last.end = "";
        }
        let mut after = if is_marked { MARK.to_string() } else { String::new() };
        after.extend(result.iter().flat_map(|line| [line.text, line.end]));
        Ok(Some(after))
    }
}

/// A line of a file, and what ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line<'a> {
    text: &'a str,
    end: &'a str,
    /// The file begins with it and a mark of byte order.
    is_marked: bool,
}

impl Line<'_> {
    /// Whether this is the line that a patch has, which may or may not have the mark and the end of Windows.
    fn is(&self, old: &str) -> bool {
        let old = old.strip_prefix(MARK).filter(|_| self.is_marked).unwrap_or(old);
        self.text == old || old.strip_suffix('\r') == Some(self.text)
    }
}

/// Cuts a text into its lines. A last one without an end would end as the one before it.
fn lines_of(text: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in text.split_inclusive('\n') {
        let before = lines.last().map_or("\n", |before| before.end);
        let cut = |end: &'static str| line.strip_suffix(end).map(|text| Line { text, end, is_marked: false });
        lines.push(cut("\r\n").or_else(|| cut("\n")).unwrap_or(Line { text: line, end: before, is_marked: false }));
    }
    lines
}

impl Hunk {
    /// Takes in a line that stays.
    fn keep(&mut self, text: &str) {
        self.kept.push((self.old.len(), self.new.len()));
        self.old.push(text.to_owned());
        self.new.push(text.to_owned());
    }

    /// Writes its lines as they stand afterwards, where it fits at `place`. A line that stays has its own end, whatever the patch has; a
    /// new one has that of the line that it replaces, else of the line before it, else of the line behind it.
    /// Where the file begins with a mark, `is_marked`, new lines do without.
    fn put<'a>(&'a self, lines: &[Line<'a>], (place, is_marked): (usize, bool), result: &mut Vec<Line<'a>>) {
        let (mut old, mut new) = (0, 0);
        for &(old_kept, new_kept) in self.kept.iter().chain([&(self.old.len(), self.new.len())]) {
            for (text, replaced) in self.new[new..new_kept].iter().zip(place + old..) {
                let behind = place + old_kept;
                let beside = if replaced < behind { Some(replaced) } else { behind.checked_sub(1) };
                let end = beside.and_then(|at| lines.get(at)).or(lines.get(behind)).map_or("\n", |line| line.end);
                let text = text.strip_suffix('\r').filter(|_| end == "\r\n").unwrap_or(text);
                let text = text.strip_prefix(MARK).filter(|_| is_marked).unwrap_or(text);
                result.push(Line { text, end, is_marked: false });
            }
            result.extend(lines.get(place + old_kept).filter(|_| old_kept < self.old.len()));
            (old, new) = (old_kept + 1, new_kept + 1);
        }
    }

    /// Returns the index of the line at which it begins in a file whose lines up to `done` are taken.
    fn place(&self, lines: &[Line<'_>], done: usize, ends_open: bool) -> Result<usize, String> {
        let fits = |place: usize| {
            let part = lines.get(place..place + self.old.len());
            let is_same = part.is_some_and(|part| part.iter().zip(&self.old).all(|(line, old)| line.is(old)));
            is_same && (!self.old_is_open || (ends_open && place + self.old.len() == lines.len()))
        };
        if self.old.is_empty() {
            // Nothing says where but the number: behind that line.
            let place = if lines.is_empty() { 0 } else { self.line };
            return if place >= done && place <= lines.len() {
                Ok(place)
            } else {
                Err(format!("there is no line {}", self.line))
            };
        }
        let stated = self.line.saturating_sub(1);
        if self.line > 0 && stated >= done && fits(stated) {
            return Ok(stated);
        }
        let last = (lines.len() + 1).saturating_sub(self.old.len());
        let places: Vec<usize> = (done..last).filter(|place| fits(*place)).take(2).collect();
        match places.as_slice() {
            [one] => Ok(*one),
            [] => Err(self.why_not(lines, stated.max(done))),
            _ => {
                Err("its lines stand in the file more than once, and none at the line that it says: give more context".to_owned())
            }
        }
    }

    /// Says which line is not as the hunk has it, where it says that it begins.
    fn why_not(&self, lines: &[Line<'_>], place: usize) -> String {
        let there = lines.get(place..).unwrap_or_default();
        let wrong = self.old.iter().enumerate().find(|(index, old)| there.get(*index).is_none_or(|line| !line.is(old)));
        let Some((index, old)) = wrong else { return "it ends elsewhere".to_owned() };
        let (number, old) = (place + index + 1, seen(old));
        match there.get(index) {
            Some(Line { text, .. }) => {
                format!("line {number} is `{}`, not `{old}`, and no other place has these lines", seen(text))
            }
            None => format!("the file ends before line {number}, which should be `{old}`"),
        }
    }
}

/// Returns a line with a mark of byte order as something that can be seen.
fn seen(line: &str) -> String {
    line.replace(MARK, "\\u{feff}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use similar::TextDiff;

    use super::*;

    fn apply(patch: &str, before: Option<&str>) -> Result<Option<String>, String> {
        let files = parse(patch)?;
        assert_eq!(files.len(), 1);
        files[0].apply(before)
    }

    #[test]
    fn lines_are_found_by_what_they_say_where_the_number_is_wrong() {
        let before = "a\nb\nc\nd\n";
        let patch = |line: usize| format!("--- a/f\n+++ b/f\n@@ -{line},2 +{line},2 @@\n b\n-c\n+C\n");
        for line in [2, 1, 40] {
            assert_eq!(apply(&patch(line), Some(before)), Ok(Some("a\nb\nC\nd\n".into())), "{line}");
        }
        let twice = "x\nb\nc\nb\nc\n";
        assert!(apply(&patch(1), Some(twice)).is_err_and(|why| why.contains("more than once")));
        assert_eq!(apply(&patch(4), Some(twice)), Ok(Some("x\nb\nc\nb\nC\n".into())));
        let why = apply(&patch(2), Some("a\nb\nx\n")).expect_err("it does not fit");
        assert!(why.contains("line 3 is `x`, not `c`"), "{why}");
    }

    #[test]
    fn files_are_made_and_deleted_and_keep_their_ends() {
        assert_eq!(apply("--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+a\n+b\n", None), Ok(Some("a\nb\n".into())));
        assert_eq!(apply("--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", Some("a\n")), Ok(None));
        assert!(apply("--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n", Some("a\nb\n")).is_err());
        assert!(apply("--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+a\n", Some("b\n")).is_err_and(|why| why.contains("already")));
        assert!(apply("--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", None).is_err_and(|why| why.contains("no `f`")));
        let open = "--- f\n+++ f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n";
        assert_eq!(apply(open, Some("a")), Ok(Some("b\n".into())));
        assert!(apply(open, Some("a\n")).is_err());
        assert_eq!(apply("--- f\n+++ f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n", Some("a\r\nb\r\n")), Ok(Some("a\r\nc\r\n".into())));
    }

    /// Both forms of patches.
    fn apply_both(hunk: &str, before: &str) -> String {
        let unified = apply(&format!("--- f\n+++ f\n@@ -1,9 +1,9 @@\n{hunk}"), Some(before));
        let marked = apply(&format!("*** Begin Patch\n*** Update File: f\n@@\n{hunk}*** End Patch\n"), Some(before));
        assert_eq!(unified, marked);
        unified.unwrap().unwrap()
    }

    #[test]
    fn each_line_keeps_its_own_end_and_a_new_one_has_that_of_its_neighbour() {
        let mut lines: Vec<String> = (1..=200).map(|number| format!("line {number}\n")).collect();
        lines[149] = "line 150\r\n".to_owned();
        let before = lines.concat();
        lines[0] = "LINE 1\n".to_owned();
        assert_eq!(apply_both("-line 1\n+LINE 1\n line 2\n", &before), lines.concat());
        for (hunk, before, after) in [
            // What is kept stays so also within a hunk.
            (" a\n-b\n+B\n c\n d\n", "a\r\nb\nc\r\nd\n", "a\r\nB\nc\r\nd\n"),
            // One for one, and the rest as the last that is replaced.
            ("-a\n-b\n+A\n+B\n+B2\n c\n", "a\nb\r\nc\n", "A\nB\r\nB2\r\nc\n"),
            // Nothing is replaced: as the line before, or behind.
            (" a\n+x\n b\n", "a\r\nb\n", "a\r\nx\r\nb\n"),
            ("+x\n a\n b\n", "a\r\nb\n", "x\r\na\r\nb\n"),
            // A line without an end gets one when it is the last no more.
            (" a\n b\n+c\n", "a\r\nb", "a\r\nb\r\nc\r\n"),
            ("-a\n+A\n b\n", "a\r\nb", "A\r\nb"),
        ] {
            assert_eq!(apply_both(hunk, before), after, "{hunk:?} {before:?}");
        }
    }

    #[test]
    fn a_mark_of_byte_order_is_kept_and_hinders_nobody() {
        let before = "\u{feff}one\ntwo\n";
        for (hunk, after) in [
            ("-one\n+ONE\n two\n", "\u{feff}ONE\ntwo\n"),
            (" one\n-two\n+TWO\n", "\u{feff}one\nTWO\n"),
            ("+zero\n one\n", "\u{feff}zero\none\ntwo\n"),
            ("-one\n two\n", "\u{feff}two\n"),
            // The patch has it too, or says that it goes.
            ("-\u{feff}one\n+\u{feff}ONE\n two\n", "\u{feff}ONE\ntwo\n"),
            (" \u{feff}one\n-two\n+TWO\n", "\u{feff}one\nTWO\n"),
            ("-one\n+\u{feff}ONE\n two\n", "\u{feff}ONE\ntwo\n"),
            ("-\u{feff}one\n+one\n two\n", "one\ntwo\n"),
        ] {
            assert_eq!(apply_both(hunk, before), after, "{hunk:?}");
        }
        assert_eq!(apply_both("-one\n+\u{feff}one\n", "one\n"), "\u{feff}one\n", "it is put in");
        let why = apply("--- f\n+++ f\n@@ -1 +1 @@\n-\u{feff}one\n+ONE\n", Some("one\n")).expect_err("it has none");
        assert!(why.contains("line 1 is `one`, not `\\u{feff}one`"), "{why}");
    }

    #[test]
    fn what_git_says_of_modes_is_done_or_refused() {
        let git = |said: &str, rest: &str| parse(&format!("diff --git a/x b/x\n{said}\nindex 0000000..1111111\n{rest}"));
        let made = "--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+echo\n";
        let deleted = "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-echo\n";
        let changed = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
        for (said, is_executable) in [("new file mode 100755", true), ("new file mode 100644", false)] {
            assert_eq!(git(said, made).unwrap()[0].is_executable, is_executable, "{said}");
            let after = format!("{made}{changed}");
            assert!(git(said, &after).is_ok_and(|files| !files[1].is_executable), "of one file only");
        }
        assert!(git("deleted file mode 100755", deleted).is_ok());
        for (said, rest, words) in [
            ("old mode 100644\nnew mode 100755", changed, "line 2 of the patch is `old mode 100644`: modes of files"),
            ("new mode 100755", "", "modes of files"),
            ("new file mode 120000", made, "no links"),
            ("new file mode 100755", changed, "say otherwise"),
            ("deleted file mode 100644", changed, "say otherwise"),
            ("new file mode 100644", "", "write_file"),
            ("new file mode 100644", "diff --git a/y b/y\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n", "write_file"),
            ("deleted file mode 100644", "", "+++ /dev/null"),
        ] {
            let why = git(said, rest).expect_err(said);
            assert!(why.contains(words), "{said}: {why}");
        }
        // Words between files are no mode.
        assert!(git("new mode of work\nold mode 7", changed).is_ok());
    }

    #[test]
    fn what_is_no_patch_is_refused_in_words() {
        for (patch, words) in [
            ("", "unified diff"),
            ("just words", "unified diff"),
            ("--- a/f\n+++ b/f\n", "changes nothing"),
            ("@@ -1 +1 @@\n-a\n+b\n", "before any"),
            ("--- a/f\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n", "renames"),
            ("--- a/f\n+++ b/f\n@@ one @@\n-a\n+b\n", "a hunk begins with"),
            ("--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n-a\nb\n", "begins with a blank"),
            ("--- a/f\n+++ b/f\n@@ -1 +1 @@\n a\n", "changes nothing"),
            ("diff --git a/f b/f\nBinary files a/f and b/f differ\n", "only changes of texts"),
            ("*** Begin Patch\n*** End Patch\n", "names no file"),
            ("*** Begin Patch\n*** Update File: f\n*** Move to: g\n", "only changes of texts"),
            ("*** Begin Patch\n*** Update File: f\n*** End Patch\n", "changes nothing"),
        ] {
            assert!(parse(patch).is_err_and(|why| why.contains(words)), "{patch:?}: {:?}", parse(patch));
        }
    }

    proptest! {
        /// Whatever `similar` says is the difference of two texts makes the one of the other.
        #[test]
        fn every_difference_can_be_applied(before in "([ab-]{0,2}\n){0,12}[a-]{0,2}", after in "([ab+]{0,2}\n){0,12}[b+]{0,2}", context in 0usize..4) {
            prop_assume!(before != after && !before.is_empty() && !after.is_empty());
            let diff = TextDiff::from_lines(&before, &after).unified_diff().context_radius(context).header("a/f", "b/f").to_string();
            let patch = parse(&diff).map_err(TestCaseError::fail)?;
            prop_assert_eq!(patch[0].apply(Some(&before)), Ok(Some(after)), "{}", diff);
        }

        #[test]
        fn no_text_breaks_it(patch in "(--- [a-z]\n|\\+\\+\\+ [a-z]\n|@@ -[0-9],[0-9] \\+[0-9],[0-9] @@\n|[ +-]?[a-c]\n|\n|\\\\x\n){0,20}", before in "([a-c]\n){0,5}[a-c]?") {
            if let Ok(files) = parse(&patch) {
                files.iter().for_each(|file| drop(file.apply(Some(&before))));
            }
        }
    }
}
