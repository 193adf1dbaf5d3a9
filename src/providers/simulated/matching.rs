//! Texts that match a regular expression, made from its syntax tree.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Texts are at most so many bytes long; an expression that needs more is not served.
const BYTES_MAX: usize = 4_000;

/// A text that should match, and where it has to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Match {
    /// The text.
    pub(super) text: String,
    /// It has to stand at the very start.
    pub(super) at_start: bool,
    /// It has to stand at the very end.
    pub(super) at_end: bool,
}

/// Makes a text for `pattern`; another `variant` takes other branches. The caller checks that it matches: looks around are
/// not followed. `None` when the pattern cannot be read or needs too much.
pub(super) fn matching(pattern: &str, variant: u32) -> Option<Match> {
    let hir = ParserBuilder::new().nest_limit(100).build().parse(pattern).ok()?;
    let mut text = String::new();
    write(&hir, variant as usize, &mut text)?;
    let properties = hir.properties();
    let at_start = properties.look_set_prefix().contains(Look::Start);
    Some(Match { text, at_start, at_end: properties.look_set_suffix().contains(Look::End) })
}

fn write(hir: &Hir, variant: usize, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(character(class, variant)?),
        HirKind::Capture(capture) => write(&capture.sub, variant, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, variant, text))?,
        HirKind::Alternation(parts) => write(parts.get(variant % parts.len().max(1))?, variant, text)?,
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(u32::MAX);
            // Odd variants take one more than needed, for expressions whose least match is too little in its place.
            for _ in 0..repetition.min.saturating_add((variant % 2) as u32).min(most) {
                write(&repetition.sub, variant, text)?;
            }
        }
    }
    (text.len() <= BYTES_MAX).then_some(())
}

/// Takes a letter or digit where the class has one, so that the text reads well.
fn character(class: &Class, variant: usize) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class.ranges().iter().map(|range| (range.start(), range.end())).collect(),
        Class::Bytes(class) => class.ranges().iter().map(|range| (char::from(range.start()), char::from(range.end()))).collect(),
    };
    let nice = [('a', 'z'), ('1', '9'), ('A', 'Z'), ('0', '0'), (' ', '~')];
    let cut = |(low, high): (char, char)| {
        ranges.iter().map(move |(start, end)| ((*start).max(low), (*end).min(high))).find(|(start, end)| start <= end)
    };
    match nice.into_iter().find_map(cut) {
        Some((start, end)) => char::from_u32(start as u32 + (variant as u32) % (end as u32 - start as u32 + 1)),
        None => ranges.first().map(|(start, _)| *start),
    }
}
