//! What a text says but for how it is shown: the control sequences of terminals, and line breaks, spaces, letters of other scripts and the
//! like that are written as escapes. All end in letters or digits, behind which a key does not begin a word: `ESC[31m`, `\n`, `%3D`, `\u5bc6`.

/// Returns `text` with spaces in place of such sequences, and before what stands between words where that is written as an escape, byte
/// for byte as long; `None` where it has none.
pub(super) fn plain(text: &str) -> Option<String> {
    let mut out: Option<Vec<u8>> = None;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| matches!(byte, 0x1b | b'\\' | b'%' | b'^' | 0xc2 | 0xef)) {
        let begin = at + found;
        let length = sequence(&bytes[begin..]);
        if length > 0 {
            let blank = out.get_or_insert_with(|| bytes.to_vec()).iter_mut().skip(begin).take(length);
            blank.for_each(|byte| *byte = b' ');
        } else if let Some(length) = letter(&bytes[begin..]) {
            // What may be a part of a password ends no word of it, and no key goes on through it.
            let marked = out.get_or_insert_with(|| bytes.to_vec()).iter_mut().skip(begin).take(length);
            marked.for_each(|byte| *byte = b'%');
            at = begin + length;
            continue;
        } else if let Some(meant) = separator(&bytes[begin..]) {
            let three = out.get_or_insert_with(|| bytes.to_vec()).get_mut(begin..begin + 3);
            three.into_iter().for_each(|three| three.copy_from_slice(&[b' ', b' ', meant]));
        }
        at = begin + length.max(1);
    }
    String::from_utf8(out?).ok()
}

/// Returns what stands between words and is written with a percent sign at the start of `bytes` (RFC 3986, 2.1); `None` for anything else,
/// so that what belongs to a key stays whole.
fn separator(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    match byte {
        0..=b' ' => Some(b' '),
        b':' | b'=' | b'"' | b'\'' | b'&' | b'?' | b',' | b';' | b'#' | b'{' | b'}' | b'<' | b'>' => Some(byte),
        _ => None,
    }
}

/// Returns the length of the sequence that `bytes` begin with, 0 where they begin with none.
fn sequence(bytes: &[u8]) -> usize {
    /// How the escape character is written in the strings of programs and of JSON.
    const ESCAPES: [&[u8]; 7] = [b"\\u001b", b"\\u001B", b"\\x1b", b"\\x1B", b"\\033", b"\\e", b"\x1b"];
    /// What stands in its place where a text was made harmless.
    const STAND_INS: [&[u8]; 2] = ["\u{fffd}".as_bytes(), b"^["];
    if let Some(rest) = bytes.strip_prefix("\u{9b}".as_bytes()) {
        return bytes.len() - rest.len() + parameters(rest);
    }
    for escape in ESCAPES {
        let Some(rest) = bytes.strip_prefix(escape) else { continue };
        return escape.len()
            + match rest {
                [b'[', rest @ ..] => 1 + parameters(rest),
                [b'(' | b')', b'0'..=b'9' | b'A'..=b'Z', ..] => 2,
                [next, ..] if next.is_ascii() && (escape == b"\x1b" || *next == b']') => 1,
                _ => 0,
            };
    }
    for stand_in in STAND_INS {
        match bytes.strip_prefix(stand_in) {
            Some([b'[', rest @ ..]) => return stand_in.len() + 1 + parameters(rest),
            Some([b'(' | b')', b'0'..=b'9' | b'A'..=b'Z', ..]) => return stand_in.len() + 2,
            _ => {}
        }
    }
    match bytes {
        [b'\\', b'u', b'0', b'0', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => 6,
        // Not the beginning of an octal number.
        [b'\\', b'0', b'0'..=b'7', b'0'..=b'7', ..] => 0,
        [b'\\', b'n' | b'r' | b't' | b'b' | b'f' | b'v' | b'a' | b'0', ..] => 2,
        _ => 0,
    }
}

/// Returns the length of the escape of a letter or byte that `bytes` begin with, whose digits would else begin a word with what follows.
fn letter(bytes: &[u8]) -> Option<usize> {
    let are = |digits: &[u8], is: fn(&u8) -> bool| digits.iter().all(is);
    match bytes {
        [b'\\', b'u', digits @ ..] if digits.len() >= 4 && are(&digits[..4], u8::is_ascii_hexdigit) => Some(6),
        [b'\\', b'U', digits @ ..] if digits.len() >= 8 && are(&digits[..8], u8::is_ascii_hexdigit) => Some(10),
        [b'\\', b'x', high, low, ..] if are(&[*high, *low], u8::is_ascii_hexdigit) => Some(4),
        [b'\\', b'0'..=b'3', high, low, ..] if are(&[*high, *low], |digit| (b'0'..=b'7').contains(digit)) => Some(4),
        [b'%', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', low, ..] if low.is_ascii_hexdigit() => Some(3),
        _ => None,
    }
}

/// Returns the length of the parameters of a control sequence with its last byte (ECMA-48, 5.4).
fn parameters(bytes: &[u8]) -> usize {
    let inner = bytes.iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
    inner + usize::from(bytes.get(inner).is_some_and(|byte| (0x40..0x7f).contains(byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_shows_a_text_is_blank_and_what_it_says_stays_where_it_is() {
        for (text, expected) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "       red    "),
            (r"a\nb\u001b[36mc\e[0md", "a  b          c     d"),
            ("\u{1b}]8;;https://a\u{7}b", "  8;;https://a\u{7}b"),
            ("\u{9b}31mred", "     red"),
            (r"\xAKIA \q", r"\xAKIA \q"),
            ("\u{1b}(Bred", "   red"),
            ("\u{fffd}[32mred\u{fffd}^[[0mred", "       red\u{fffd}     red"),
            ("a%20b%3Dc%3a%0Ad%2Be%zz%2", "a   b  =c  :   d%2Be%zz%2"),
            (r"\u5bc6a\ud83d\udd11b\\u5bc6c\u12", r"%%%%%%a%%%%%%%%%%%%b\%%%%%%c\u12"),
            (r"\xe5\xafa\345\257b\U0001F511c%E5%AFd", r"%%%%%%%%a%%%%%%%%b%%%%%%%%%%c%%%%%%d"),
        ] {
            assert_eq!(plain(text).unwrap_or_else(|| text.to_owned()), expected, "{text:?}");
        }
        assert_eq!(plain("nothing of it, naïve £"), None);
    }

    fn assert_redacted(text: &str, expected: &str) {
        assert_eq!(super::super::Redactor::default().redact(text), expected);
    }

    #[test]
    fn a_key_behind_a_control_sequence_or_a_written_line_break_is_removed() {
        let key = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        for (before, after) in
            [("\u{1b}[31m", "\u{1b}[0m"), (r"see: line\n", r"\n"), (r"\u001b[1;36m", ""), (r"\t", ""), ("\u{9b}1m", "")]
                .into_iter()
                .chain([
                    ("\u{fffd}[32m", "\u{fffd}[0m"),
                    ("\u{1b}(B", ""),
                    ("?next=a%3Ftoken%3D", "%26b"),
                    ("%0A", ""),
                    ("^[[1m", ""),
                    (r#"{"a":1}{"m":"\u5bc6\u94a5\uff1a"#, "\"}"),
                    (r#"exit 0: {\"msg\": \"\\ud83d\\udd11"#, ""),
                    (r"b'\xe9", "'"),
                    (r"\345\257\206", ""),
                    ("q=%E5%AF%86", ""),
                    ("in _", " of markup"),
                    ("**__", "**"),
                ])
        {
            assert_redacted(&format!("{before}{key}{after}"), &format!("{before}[redacted:github-token]{after}"));
        }
        assert_redacted(
            r#"exit 0: {"a":"line\nAKIAIOSFODNN7EXAMPLE"} and more"#,
            r#"exit 0: {"a":"line\n[redacted:aws-key]"} and more"#,
        );
        assert_redacted(
            "Authorization%3A%20Bearer%20q8Zr2Lw9Tx4Vb7Nc1Md6Kp3",
            "Authorization%3A%20Bearer%20[redacted:authorization]",
        );
        for before in ["\u{1b}[36m", "%0A"] {
            let url = format!("{before}postgres://me:p%C3%A4ssw0rd@db/x");
            assert_redacted(&url, &format!("{before}postgres://me:[redacted:url-password]@db/x"));
        }
        assert_redacted("API_KEY=\u{1b}[36mq8Zr2Lw9Tx4Vb7Nc1Md6Kp3\u{1b}[0m", "API_KEY=\u{1b}[36m[redacted:secret]\u{1b}[0m");
    }

    proptest! {
        #[test]
        fn it_is_as_long_whatever_the_text(text in r"[\x1b\\\[\]0-9;mnu\u{9b}\u{fffd}%^(é£a-c ]{0,40}") {
            prop_assert_eq!(plain(&text).unwrap_or_else(|| text.clone()).len(), text.len());
        }
    }
}
