//! Long texts cut into passages that an embedding model can read whole.
//!
//! Cuts fall on the borders of sections, on paragraph borders where they can, else between sentences, else between words. The same text
//! always gives the same passages, so that what was embedded once is found again by [`key`].

use std::ops::Range;

/// Words in a passage, at most: with their punctuation about what the model that ships reads.
pub const WORDS_MAX: usize = 160;
/// Passages of one document that are embedded, at most; the words of all of them are searched.
pub const PASSAGES_MAX: usize = 32;

/// Ends a section: texts of different origin are never in one passage, so that a report is read the same wherever it stands.
pub const SECTION_END: char = '\u{c}';
/// Ends what has a meaning: what follows is searched by its words alone, because lines that programs write are all near to each other and
/// to any short question.
pub const MEANING_END: char = '\u{1e}';
/// Words of what stands before a passage, at most.
const LEAD_WORDS_MAX: usize = 30;

/// Returns where the passages of `text` are, in order; none for a text without words.
pub fn split(text: &str) -> Vec<Range<usize>> {
    sections(text).into_iter().flat_map(|section| of_section(text, section)).take(PASSAGES_MAX).collect()
}

/// Returns what is embedded for `text`: each passage after the first sentence or heading of its section, because a passage alone may not
/// say what it is about, and a text mostly begins with what it is about. (nDCG@10 of meaning alone on abstracts .387 without, .402 with.)
pub fn embedded(text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for section in sections(text) {
        let lead = lead(&text[section.clone()]);
        for passage in of_section(text, section) {
            let passage = &text[passage];
            texts.push(if passage == lead { passage.to_owned() } else { format!("{lead}\n{passage}") });
        }
    }
    texts.truncate(PASSAGES_MAX);
    texts
}

fn sections(text: &str) -> Vec<Range<usize>> {
    let end = text.find(MEANING_END).unwrap_or(text.len());
    between(text, 0..end, |before, _| before.ends_with(SECTION_END))
}

/// Returns the first sentence of a section, or its first line where that ends earlier; a heading with the sentence that follows it.
fn lead(section: &str) -> String {
    let section = section.trim();
    let ends = |before: &str, after: &str| {
        after.starts_with('\n') || (before.ends_with(['.', '!', '?', '。']) && after.starts_with(char::is_whitespace))
    };
    let sentences = between(section, 0..section.len(), ends).into_iter().map(|range| section[range].trim());
    let mut sentences = sentences.filter(|sentence| !sentence.is_empty());
    let first = sentences.next().unwrap_or_default();
    let second = sentences.next().filter(|_| first.starts_with('#')).unwrap_or_default();
    let words = first.split_whitespace().chain(second.split_whitespace());
    let words: Vec<&str> = words.filter(|word| word.contains(|c| c != '#')).take(LEAD_WORDS_MAX).collect();
    let words = words.join(" ");
    // A script without spaces has long words.
    words[..words.floor_char_boundary(LEAD_WORDS_MAX * WORD_CHARS_MAX)].to_owned()
}

fn of_section(text: &str, section: Range<usize>) -> Vec<Range<usize>> {
    let mut passages: Vec<(Range<usize>, usize)> = Vec::new();
    for piece in pieces(text, section) {
        let words = count(&text[piece.clone()]);
        if words == 0 {
            continue;
        }
        let is_full = passages.len() == PASSAGES_MAX;
        match passages.last_mut() {
            Some((last, so_far)) if *so_far + words <= WORDS_MAX => {
                last.end = piece.end;
                *so_far += words;
            }
            _ if is_full => break,
            _ => passages.push((piece, words)),
        }
    }
    passages.into_iter().map(|(range, _)| trimmed(text, range)).collect()
}

/// Returns the key of an embedded text: the first eight bytes of its BLAKE3. Two of a million texts share one with a
/// probability of 3 in 100 million; then one of them is found in the other's place.
pub fn key(embedded: &str) -> u64 {
    let hash = blake3::hash(embedded.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns paragraphs, those that are too long cut into sentences, those that are too long cut between words.
fn pieces(text: &str, section: Range<usize>) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    for paragraph in
        between(text, section, |before, after| before.ends_with('\n') && after.starts_with(['\n', '\r', '#', '-', '*']))
    {
        if count(&text[paragraph.clone()]) <= WORDS_MAX {
            pieces.push(paragraph);
            continue;
        }
        let ends = |before: &str, after: &str| {
            before.ends_with('\n') || (before.ends_with(['.', '!', '?', ';', '。']) && after.starts_with(char::is_whitespace))
        };
        for sentence in between(text, paragraph, ends) {
            if count(&text[sentence.clone()]) <= WORDS_MAX {
                pieces.push(sentence);
            } else {
                words(text, sentence, &mut pieces);
            }
        }
    }
    pieces
}

/// Cuts `range` wherever `cut` says so of what stands before and after.
fn between(text: &str, range: Range<usize>, cut: impl Fn(&str, &str) -> bool) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    for (at, _) in text[range.clone()].char_indices().skip(1) {
        let at = range.start + at;
        if cut(&text[start..at], &text[at..range.end]) {
            parts.push(start..at);
            start = at;
        }
    }
    if start < range.end {
        parts.push(start..range.end);
    }
    parts
}

/// Cuts `range` after every [`WORDS_MAX`] words, and words that are longer than [`WORD_CHARS_MAX`] too.
fn words(text: &str, range: Range<usize>, pieces: &mut Vec<Range<usize>>) {
    let (mut start, mut seen, mut long) = (range.start, 0, 0);
    for (at, c) in text[range.clone()].char_indices() {
        long = if c.is_whitespace() { 0 } else { long + 1 };
        seen += usize::from(long == 1 || long % WORD_CHARS_MAX == 0);
        if seen > WORDS_MAX {
            pieces.push(start..range.start + at);
            (start, seen) = (range.start + at, 1);
        }
    }
    pieces.push(start..range.end);
}

/// Characters after which a word counts as another one: scripts without spaces and encoded data are cut too.
const WORD_CHARS_MAX: usize = 20;

fn count(text: &str) -> usize {
    text.split_whitespace().map(|word| 1 + word.chars().count() / WORD_CHARS_MAX).sum()
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let part = &text[range.clone()];
    let start = range.start + (part.len() - part.trim_start().len());
    start..start + part.trim().len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paragraphs_stay_together_while_they_fit() {
        let short = "One paragraph.\n\nAnother one.\n";
        let parts = split(short);
        assert_eq!((parts.len(), parts[0].clone()), (1, 0..short.trim_end().len()));
        let long = format!("{}\n\n{}", "alpha ".repeat(120).trim_end(), "beta ".repeat(120).trim_end());
        let parts = split(&long);
        assert_eq!(parts.len(), 2);
        assert!(long[parts[0].clone()].ends_with("alpha") && long[parts[1].clone()].starts_with("beta"));
    }

    #[test]
    fn what_is_embedded_begins_with_what_the_section_is_about() {
        assert_eq!(embedded("One sentence alone."), ["One sentence alone."]);
        assert_eq!(embedded("A title\n\nIts text. More."), ["A title\nA title\n\nIts text. More."]);
        let two = format!("The pool ran dry.\u{c}Another report. {}", "It has seven words and a few. ".repeat(40));
        let texts = embedded(&two);
        assert!(texts.len() >= 3 && texts[0] == "The pool ran dry.", "{texts:?}");
        assert!(texts[1..].iter().all(|text| text.starts_with("Another report.\n")), "sections are never mixed: {texts:?}");
        assert!(
            embedded("# Report\n\nThe disk was full. It is empty now.")[0].starts_with("Report The disk was full.\n# Report")
        );
        // A report is read the same wherever it stands.
        let alone = embedded("The disk was full. It is empty now.");
        assert_eq!(embedded("size: large\u{c}The disk was full. It is empty now.\u{c}end")[1..2], alone[..]);
        assert_eq!(embedded("The disk was full. It is empty now.\u{1e}escalated twice"), alone);
    }

    #[test]
    fn a_long_paragraph_is_cut_between_sentences() {
        let text = "This sentence has exactly six words. ".repeat(60);
        let parts = split(&text);
        assert!(parts.len() >= 3 && parts.iter().all(|part| text[part.clone()].ends_with('.')), "{parts:?}");
    }

    proptest! {
        #[test]
        fn passages_are_in_order_and_hold_every_word(text in "([a-zß]{1,12}[ .\n]{1,3}){0,600}") {
            let parts = split(&text);
            prop_assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
            let kept: Vec<&str> = parts.iter().flat_map(|part| text[part.clone()].split_whitespace()).collect();
            prop_assert_eq!(kept, text.split_whitespace().collect::<Vec<_>>());
            prop_assert!(parts.iter().all(|part| count(&text[part.clone()]) <= WORDS_MAX));
        }

        #[test]
        fn any_text_is_cut_without_a_panic(text in ".{0,3000}") {
            prop_assert_eq!(split(&text).len(), embedded(&text).len());
            for part in split(&text) {
                prop_assert!(!text[part].is_empty());
            }
        }
    }
}
