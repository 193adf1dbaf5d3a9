//! Names in quotes, as git writes those with letters beyond ASCII, quotes, backslashes or control characters.

/// Reads what stands behind the first quote of a name, up to the quote that ends it.
///
/// # Errors
/// What is wrong with it, in words for the model.
pub(super) fn name(text: &str) -> Result<String, String> {
    let mut bytes = text.as_bytes().iter();
    let mut name = Vec::new();
    loop {
        match bytes.next().copied() {
            None => return Err("the quote that ends the name is missing".to_owned()),
            Some(b'"') => break,
            Some(b'\\') => name.push(escaped(&mut bytes)?),
            Some(byte) => name.push(byte),
        }
    }
    // Other programs put a time behind a tab.
    let rest = bytes.as_slice();
    if !rest.trim_ascii().is_empty() && rest[0] != b'\t' {
        return Err("something stands behind the quote that ends the name".to_owned());
    }
    String::from_utf8(name).map_err(|_| "the name in quotes is not UTF-8".to_owned())
}

/// Reads what stands behind a backslash.
fn escaped(bytes: &mut std::slice::Iter<'_, u8>) -> Result<u8, String> {
    let bad = || "a backslash in the name begins none of \\\\ \\\" \\a \\b \\f \\n \\r \\t \\v and three octal digits".to_owned();
    Ok(match *bytes.next().ok_or_else(bad)? {
        same @ (b'\\' | b'"') => same,
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        first @ b'0'..=b'3' => {
            let mut digit =
                || bytes.next().filter(|digit| matches!(digit, b'0'..=b'7')).map(|digit| digit - b'0').ok_or_else(bad);
            let (second, third) = (digit()?, digit()?);
            (first - b'0') << 6 | second << 3 | third
        }
        _ => return Err(bad()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_git_writes_them() {
        assert_eq!(name(r#"b/\303\274.txt""#), Ok("b/ü.txt".to_owned()));
        assert_eq!(name(r#"a \"b\" \\ \a\b\f\n\r\t\v""#), Ok("a \"b\" \\ \u{7}\u{8}\u{c}\n\r\t\u{b}".to_owned()));
        assert_eq!(name("plain ü\"\t2026-01-01"), Ok("plain ü".to_owned()));
        for bad in [r"open", r#"\x41""#, r#"\18""#, r#"\9""#, r"\", r"\3", r#"\400""#, r#"\303""#, r#"a"b""#] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
