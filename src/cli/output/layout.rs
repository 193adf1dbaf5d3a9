//! How wide the columns of a table are, and what is left out so that it fits a terminal: arithmetic, no text is drawn here.

use std::collections::HashMap;

use textwrap::core::{Word, display_width};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Columns of white space between two columns of a table.
pub const GAP: usize = 2;
/// Lines that one record takes at most; on terminals below [`TINY`] columns [`LINES_TINY`].
const LINES: usize = 4;
const LINES_TINY: usize = 12;
const TINY: usize = 60;
/// A column of words is not made narrower than this, unless its longest text is.
const WORDS_MIN: usize = 12;
/// Parts of names up to this width are not broken.
const PIECE_MAX: usize = 20;
/// The same as [`WORDS_MIN`] where texts are cut: there should be something to read before the cut.
const WORDS_CUT: usize = 20;

/// Returns how many lines a record may take on a terminal of `width` columns.
pub fn lines_max(width: usize) -> usize {
    if width < TINY { LINES_TINY } else { LINES }
}

/// What a layout has to know of one column.
#[derive(Clone, Debug)]
pub struct Measured<'t> {
    /// The width of its widest cell, header included.
    pub natural: usize,
    /// The width of its header.
    pub header: usize,
    /// The texts of its cells when it may be wrapped; `None` for columns that keep their width.
    pub words: Option<Vec<&'t str>>,
}

/// Returns the widths at which all columns fit into `width`, no cell being wrapped to more than `lines` lines and, unless `cut`,
/// none being cut; `None` when there are none.
pub fn widths(columns: &[Measured<'_>], width: usize, lines: usize, cut: bool) -> Option<Vec<usize>> {
    let gaps = GAP * columns.len().saturating_sub(1);
    let fixed: usize = columns.iter().filter(|column| column.words.is_none()).map(|column| column.natural).sum();
    let room = width.checked_sub(gaps + fixed)?;
    let least = if cut { WORDS_CUT } else { WORDS_MIN };
    let floors: Vec<usize> =
        columns.iter().map(|column| column.natural.min(column.header.max(least).max(piece(column)))).collect();
    let wrapped = columns.iter().zip(&floors).filter(|(column, _)| column.words.is_some());
    if wrapped.map(|(_, floor)| floor).sum::<usize>() > room {
        return None;
    }
    let mut memo = HashMap::new();
    for height in 1..=lines {
        let mut needed = |index: usize, column: &Measured<'_>| match &column.words {
            None => column.natural,
            Some(_) if height == 1 => column.natural,
            Some(texts) => {
                *memo.entry((index, height)).or_insert_with(|| narrowest(texts, floors[index], column.natural, height))
            }
        };
        let each: Vec<usize> = columns.iter().enumerate().map(|(index, column)| needed(index, column)).collect();
        if let Some(spare) = width.checked_sub(each.iter().sum::<usize>() + gaps) {
            return Some(filled(columns, each, spare));
        }
    }
    cut.then(|| share(columns, room, &floors))
}

/// Gives spare columns to those that are wrapped: as many as possible get all they lack.
fn filled(columns: &[Measured<'_>], mut widths: Vec<usize>, mut spare: usize) -> Vec<usize> {
    let mut lacking: Vec<usize> = (0..columns.len()).filter(|index| widths[*index] < columns[*index].natural).collect();
    lacking.sort_by_key(|index| columns[*index].natural - widths[*index]);
    for index in lacking {
        let more = spare.min(columns[index].natural - widths[index]);
        widths[index] += more;
        spare -= more;
    }
    widths
}

/// The smallest width from `low` to `high` at which no text takes more than `height` lines.
fn narrowest(texts: &[&str], mut low: usize, mut high: usize, height: usize) -> usize {
    // Texts that fit at the present best guess need not be looked at again: they fit in every wider column.
    while low < high {
        let middle = low + (high - low) / 2;
        if texts.iter().all(|text| display_width(text) <= middle || wrap(text, middle).len() <= height) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The longest part of a text that should not be broken, up to [`PIECE_MAX`].
fn piece(column: &Measured<'_>) -> usize {
    let texts = column.words.iter().flatten();
    texts.flat_map(|text| pieces(text)).map(|piece| display_width(piece.word)).max().unwrap_or(0).min(PIECE_MAX)
}

/// Shares out `room` among the columns of words: each its floor, the rest by what each lacks.
fn share(columns: &[Measured<'_>], room: usize, floors: &[usize]) -> Vec<usize> {
    let lacks = || columns.iter().zip(floors).filter(|(column, _)| column.words.is_some());
    let spare = room - lacks().map(|(_, floor)| floor).sum::<usize>();
    let lack = lacks().map(|(column, floor)| column.natural - floor).sum::<usize>().max(1);
    let width = |(column, floor): (&Measured<'_>, &usize)| match column.words {
        None => column.natural,
        Some(_) => floor + (column.natural - floor).min(spare * (column.natural - floor) / lack),
    };
    columns.iter().zip(floors).map(width).collect()
}

/// Breaks `text` into lines of at most `width` columns: between words, after `_`, `-`, `/`, `,` and `:` within names, else anywhere.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width.max(1))
        .word_separator(WordSeparator::Custom(pieces))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options).into_iter().map(|line| line.trim_end().to_owned()).collect()
}

/// Wraps `text`, and ends it with `…` where it would take more than `lines` lines.
pub fn wrap_cut(text: &str, width: usize, lines: usize) -> Vec<String> {
    let mut wrapped = wrap(text, width);
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            while display_width(last) + 1 > width.max(1) && last.pop().is_some() {}
            last.truncate(last.trim_end().len());
            last.push('…');
        }
    }
    wrapped
}

/// Breaks the lines of `text` that are wider than `width` between words; what continues a line is set in as its last column is.
///
/// Shell lines are not broken, nor what stands in backticks, names, ids and paths: they can be copied.
pub fn flow(text: &str, width: usize) -> String {
    text.split('\n').map(|line| flow_line(line, width)).collect::<Vec<_>>().join("\n")
}

/// Breaks one line as [`flow`] does.
pub fn flow_line(line: &str, width: usize) -> String {
    if display_width(line) <= width {
        return line.to_owned();
    }
    let plain = anstream::adapter::strip_str(line).to_string();
    if ["meno ", "$ "].iter().any(|start| plain.trim_start().starts_with(start)) {
        return line.to_owned();
    }
    let hang = hang(&plain, width / 3);
    let mut flowed = String::new();
    let (mut used, mut is_empty) = (0, true);
    for part in unbroken(line) {
        if !is_empty && used + display_width(part.trim_end()) > width {
            flowed.truncate(flowed.trim_end().len());
            flowed.push('\n');
            flowed.push_str(&" ".repeat(hang));
            used = hang;
        }
        flowed.push_str(part);
        used += display_width(part);
        is_empty = is_empty && part.trim().is_empty();
    }
    flowed
}

/// Words behind which what continues a line is set in.
const MARKS: [&str; 7] = ["-", "*", ">", "error:", "warning:", "note:", "hint:"];

/// How far what continues a line is set in: to its last column that begins within `most`, else behind its mark.
fn hang(line: &str, most: usize) -> usize {
    let body = line.trim_start();
    let lead = line.len() - body.len();
    let mut column = None;
    let mut spaces = 0;
    for (at, letter) in body.char_indices() {
        if letter != ' ' && spaces > 1 {
            let begins = lead + display_width(&body[..at]);
            if begins > most {
                break;
            }
            column = Some(begins);
        }
        spaces = if letter == ' ' { spaces + 1 } else { 0 };
    }
    let is_marked = body.split_whitespace().next().is_some_and(|word| MARKS.contains(&word));
    let beside = lead + if lead > 0 || is_marked { 2 } else { 0 };
    column.unwrap_or(beside).min(most)
}

/// Cuts a line into the parts that stay together, each with the spaces behind it.
fn unbroken(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut before) = (0, ' ');
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        if letter != ' ' && before == ' ' && at > start && !quoted {
            let (last, next) = (&line[start..at], line[at..].split(' ').next().unwrap_or_default());
            // Two words with slashes may be one path.
            if !(last.contains('/') && next.contains('/')) {
                parts.push(last);
                start = at;
            }
        }
        if letter == '`' {
            quoted = !quoted && line[at + 1..].contains('`');
        }
        before = letter;
    }
    parts.push(&line[start..]);
    parts
}

/// Where a line may be broken: a name of many parts is broken between its parts.
fn pieces(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let mut rest = line;
    Box::new(std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut before = None;
        let mut end = rest.len();
        for (at, letter) in rest.char_indices() {
            let breaks = match before {
                Some(' ') => letter != ' ',
                Some('_' | '-' | '/' | ',' | ':') => letter.is_alphabetic(),
                _ => false,
            };
            if breaks {
                end = at;
                break;
            }
            before = Some(letter);
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(Word::from(piece))
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words<'t>(texts: &[&'t str]) -> Measured<'t> {
        let natural = texts.iter().map(|text| display_width(text)).max().unwrap_or(0);
        Measured { natural, header: 4, words: Some(texts.to_vec()) }
    }

    fn fixed(natural: usize) -> Measured<'static> {
        Measured { natural, header: 4, words: None }
    }

    #[test]
    fn what_fits_keeps_its_width_and_the_longest_words_give_way() {
        assert_eq!(widths(&[fixed(10), words(&["short"])], 40, 4, false), Some(vec![10, 5]));
        let long = "a sentence of quite some words that has to be broken into lines";
        let found = widths(&[fixed(10), words(&["short"]), words(&[long])], 40, 4, false).unwrap();
        assert_eq!((found[0], found[1]), (10, 5));
        assert!(found[2] <= 21 && wrap(long, found[2]).len() <= 4, "{found:?}");
    }

    #[test]
    fn too_much_fits_only_when_it_may_be_cut_and_numbers_never_are() {
        let long = "word ".repeat(100);
        assert_eq!(widths(&[fixed(10), words(&[&long])], 60, 4, false), None);
        assert_eq!(widths(&[fixed(10), words(&[&long])], 60, 4, true), Some(vec![10, 48]));
        assert_eq!(widths(&[fixed(70)], 60, 4, true), None);
    }

    #[test]
    fn names_are_broken_between_their_parts() {
        assert_eq!(wrap("python_package_publish", 15), ["python_package_", "publish"]);
        assert_eq!(wrap("one two", 4), ["one", "two"]);
        assert_eq!(wrap_cut("one two three four", 5, 2), ["one", "two…"]);
    }

    #[test]
    fn prose_is_broken_between_words_and_what_can_be_copied_is_not() {
        let line = "the run waits for an approval: `meno resume 01KAPXZ8T0M3N5Q7R9S1V3W5X7 --approve` goes on";
        assert_eq!(flow(line, 40), "the run waits for an approval:\n`meno resume 01KAPXZ8T0M3N5Q7R9S1V3W5X7 --approve`\ngoes on");
        let shell = "meno run release_prep --set checks=Security --dry-run";
        assert_eq!(flow(shell, 20), shell);
        assert_eq!(flow("written to /home/ada/my notes/report.md now", 30), "written to\n/home/ada/my notes/report.md\nnow");
        assert_eq!(flow("status   failed: it has no answer", 27), "status   failed: it has no\n         answer");
        assert_eq!(flow("warning: one two three", 14), "warning: one\n  two three");
        assert_eq!(flow("\u{1b}[1mone two\u{1b}[0m three", 8), "\u{1b}[1mone two\u{1b}[0m\nthree");
        assert_eq!(flow("a  b\n\nno more", 80), "a  b\n\nno more");
    }

    proptest! {
        #[test]
        fn flowing_changes_white_space_alone(text in "( {0,3}[a-z`/é]{1,9}){0,20}", width in 8_usize..90) {
            let flowed = flow(&text, width);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&flowed), words(&text));
            if !text.contains(['`', '/']) {
                for line in flowed.lines() {
                    prop_assert!(display_width(line) <= width.max(9 + width / 3), "{:?}", line);
                }
            }
        }

        #[test]
        fn nothing_is_wider_than_it_may_be(text in "\\PC{0,80}", width in 2_usize..40, lines in 1_usize..5) {
            for line in wrap_cut(&text, width, lines) {
                prop_assert!(display_width(&line) <= width, "{line:?}");
            }
            prop_assert!(wrap_cut(&text, width, lines).len() <= lines.max(1));
        }

        #[test]
        fn widths_never_exceed_the_terminal(naturals in proptest::collection::vec((1_usize..60, any::<bool>()), 1..8), width in 20_usize..160, cut in any::<bool>()) {
            let texts: Vec<String> = naturals.iter().map(|(natural, _)| "ab ".repeat(*natural)).collect();
            let columns: Vec<Measured<'_>> = naturals.iter().zip(&texts).map(|((natural, is_words), text)| {
                if *is_words { words(&[text.as_str()]) } else { fixed(*natural) }
            }).collect();
            if let Some(found) = widths(&columns, width, 4, cut) {
                for (column, width) in columns.iter().zip(&found) {
                    prop_assert!(*width >= column.natural.min(6));
                }
                prop_assert!(found.iter().sum::<usize>() + GAP * (found.len() - 1) <= width);
            }
        }
    }
}
