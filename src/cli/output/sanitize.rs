//! Makes text of users, models and tools harmless for a terminal: whatever could move the cursor, hide or reorder text is
//! replaced by something visible.

use std::borrow::Cow;

/// Cleans a text of several lines: line breaks and tabs stay.
pub fn text(text: &str) -> Cow<'_, str> {
    clean(text, true)
}

/// Cleans a text for one line: line breaks and tabs become visible too.
pub fn line(text: &str) -> Cow<'_, str> {
    clean(text, false)
}

/// Makes a JSON document harmless without changing what it says: inside its texts, such characters become `\\uXXXX`.
pub fn json(document: &str) -> Cow<'_, str> {
    // Outside of texts JSON has only printable ASCII and white space, so whatever is harmful stands inside one.
    let harmless = |c: char| matches!(c, '\n' | '\t' | '\r') || !is_harmful(c);
    if document.chars().all(harmless) {
        return Cow::Borrowed(document);
    }
    let mut clean = String::with_capacity(document.len() + 16);
    for c in document.chars() {
        if harmless(c) {
            clean.push(c);
        } else {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| clean.push_str(&format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(clean)
}

fn clean(text: &str, multiline: bool) -> Cow<'_, str> {
    let harmless = |c: char| match c {
        '\n' | '\t' => multiline,
        _ => !is_harmful(c),
    };
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // A line break as Windows writes it is a line break.
            '\r' if multiline && chars.peek() == Some(&'\n') => {}
            _ if harmless(c) => clean.push(c),
            _ => push_visible(&mut clean, c),
        }
    }
    Cow::Owned(clean)
}

/// Tells whether a terminal or a reader could be fooled by `c`.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Directional marks, overrides and isolates: what is shown is not what is there.
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Line and paragraph separators, and what terminals do not show at all.
            | '\u{2028}' | '\u{2029}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_visible(clean: &mut String, c: char) {
    match c {
        // Unicode has a picture of every C0 control character.
        '\0'..='\u{1f}' => clean.extend(char::from_u32(0x2400 + c as u32)),
        '\u{7f}' => clean.push('␡'),
        _ => clean.push_str(&format!("<U+{:04X}>", c as u32)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escape_sequences_and_bidi_tricks_become_visible() {
        assert_eq!(text("a\u{1b}[31mb\u{7}\u{7f}\u{9b}2J"), "a␛[31mb␇␡<U+009B>2J");
        assert_eq!(text("user\u{202e}gnp.exe"), "user<U+202E>gnp.exe");
        assert_eq!(text("over\rwritten\r\nnext"), "over␍written\nnext");
    }

    #[test]
    fn line_breaks_and_tabs_stay_in_texts_and_not_in_lines() {
        assert_eq!(text("a\n\tb"), "a\n\tb");
        assert_eq!(line("a\n\tb"), "a␊␉b");
    }

    #[test]
    fn words_of_the_world_are_left_alone() {
        for words in ["naïve café", "日本語", "👩\u{200d}🔬 emoji", "שלום", "العربية"] {
            assert!(matches!(line(words), Cow::Borrowed(same) if same == words), "{words}");
        }
    }

    proptest! {
        #[test]
        fn json_says_the_same_after_cleaning_and_holds_nothing_harmful(words in any::<String>()) {
            let document = serde_json::to_string(&words).unwrap();
            let clean = json(&document);
            prop_assert!(!clean.chars().any(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), words);
        }

        #[test]
        fn nothing_harmful_is_left_and_cleaning_twice_changes_nothing(words in any::<String>()) {
            let once = line(&words).into_owned();
            prop_assert!(!once.chars().any(is_harmful));
            prop_assert_eq!(line(&once), once.as_str());
            prop_assert!(text(&words).chars().all(|c| !is_harmful(c) || c == '\n' || c == '\t'));
        }
    }
}
