//! `cites_inputs`: every `file:line` that an answer quotes exists in the inputs, and there is one at least.
//!
//! What counts as a quote: something with the name of an input, or with a file's extension, followed by `:` and a line or
//! a range of lines (`a.rs:10`, `a.rs:10-14`, `a.rs:L10`). Times, ports and addresses are no quotes.

use std::sync::LazyLock;

use regex::Regex;

use super::Judged;
use super::quote::clip;

/// Characters that end a name in running text; names that contain one are looked for verbatim.
const BREAKS: &str = r#"`'"<>()[]{}|,;*"#;

static LINES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^:L?([0-9]+)(?:[-–]L?([0-9]+))?").expect("the pattern is a constant that a test compiles"));
static QUOTES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"([^\s:`'"<>()\[\]{}|,;*]+)(:L?[0-9]+(?:[-–]L?[0-9]+)?)"#)
        .expect("the pattern is a constant that a test compiles")
});

pub(super) fn cites(answer: &str, inputs: &[(String, u64)]) -> Judged {
    if inputs.is_empty() {
        return Judged::code(false, "there are no inputs to quote from");
    }
    let mut right: Vec<&str> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    let mut judge = |quoted, verdict: Result<(), String>| match verdict {
        Ok(()) => right.push(quoted),
        Err(why) => wrong.push(format!("`{}` {why}", clip(quoted, 120))),
    };
    let mut taken = Vec::new();
    for (name, lines) in inputs.iter().filter(|(name, _)| name.contains(|c: char| c.is_whitespace() || BREAKS.contains(c))) {
        for (at, _) in answer.match_indices(name.as_str()) {
            let after = at + name.len();
            if let Some(found) = LINES.captures(&answer[after..]) {
                let end = after + found.get(0).map_or(0, |whole| whole.len());
                judge(&answer[at..end], in_file(&found[1], found.get(2).map(|to| to.as_str()), *lines));
                taken.push(at..end);
            }
        }
    }
    for found in QUOTES.captures_iter(answer) {
        let (Some(whole), Some(path), Some(place)) = (found.get(0), found.get(1), found.get(2)) else { continue };
        if taken.iter().any(|range| range.contains(&path.start()) || range.contains(&(whole.end() - 1))) {
            continue;
        }
        let Some(numbers) = LINES.captures(place.as_str()) else { continue };
        let to = numbers.get(2).map(|to| to.as_str());
        let mut files = inputs.iter().filter(|(name, _)| is_named(name, path.as_str())).peekable();
        if files.peek().is_some() {
            let results: Vec<_> = files.map(|(_, lines)| in_file(&numbers[1], to, *lines)).collect();
            let verdict = if results.iter().any(Result::is_ok) { Ok(()) } else { results.into_iter().next().unwrap_or(Ok(())) };
            judge(whole.as_str(), verdict);
        } else if looks_like_a_file(path.as_str()) {
            judge(whole.as_str(), Err("is in no input".to_owned()));
        }
    }
    if !wrong.is_empty() {
        let more = if wrong.len() > 3 { format!(", and {} more", wrong.len() - 3) } else { String::new() };
        return Judged::code(false, format!("{}{more}", wrong[..wrong.len().min(3)].join(", ")));
    }
    match right.first() {
        Some(first) => Judged::code(true, format!("{} quotes of the inputs, the first `{}`", right.len(), clip(first, 120))),
        None => Judged::code(false, "the answer quotes no line of the inputs as `file:line`"),
    }
}

/// The same file, or one of both is the other with folders in front.
fn is_named(name: &str, quoted: &str) -> bool {
    let plain = |path: &'_ str| path.trim_start_matches("./").to_owned();
    let (name, quoted) = (plain(name), plain(quoted));
    let ends_with = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|front| front.ends_with('/'));
    !quoted.is_empty() && (name == quoted || ends_with(&name, &quoted) || ends_with(&quoted, &name))
}

fn looks_like_a_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    !path.starts_with("//")
        && (1..=8).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn in_file(from: &str, to: Option<&str>, lines: u64) -> Result<(), String> {
    // A number too large for 64 bits is beyond every file.
    let number = |digits: &str| digits.parse::<u64>().unwrap_or(u64::MAX);
    let from = number(from);
    let to = to.map_or(from, number);
    if from == 0 || from > to || to > lines {
        return Err(format!("does not exist: the file has {lines} lines"));
    }
    Ok(())
}
