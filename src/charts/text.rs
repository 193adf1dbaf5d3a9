//! Texts inside a drawing: escaped, shortened and measured.

/// Size of a label in pixels; the style sheet says the same.
pub const FONT: f64 = 12.0;
/// Width of a usual letter, as a part of the font's size: on the wide side, so that labels never touch.
const LETTER: f64 = 0.6;

/// Writes a text so that it is nothing but text in HTML and SVG. What could hide or reorder text is replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(' '),
            c if is_harmful(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Tells whether a character controls what is shown, or may not stand in XML.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

/// Estimates the width of a text in pixels.
pub fn width(text: &str) -> f64 {
    text.chars().map(letter).sum()
}

fn letter(c: char) -> f64 {
    if u32::from(c) < 0x1100 { FONT * LETTER } else { FONT * 1.1 }
}

/// Shortens a text to `room` pixels, with `…` where something is left out.
pub fn shorten(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut left = room - letter('…');
    let kept: String = text
        .chars()
        .take_while(|c| {
            left -= letter(*c);
            left >= 0.0
        })
        .collect();
    if kept.is_empty() { String::new() } else { format!("{}…", kept.trim_end()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stored_text_is_text_in_a_page() {
        assert_eq!(escape("<a href='x'>\"&\n"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp; ");
        assert_eq!(escape("\u{1b}[2J\u{202e}x"), "\u{fffd}[2J\u{fffd}x");
    }

    proptest! {
        #[test]
        fn a_shortened_text_fits(text in any::<String>(), room in 0.0..300.0f64) {
            prop_assert!(width(&shorten(&text, room)) <= room.max(0.0) + 1e-9);
        }
    }
}
