//! JSON as careless senders write it: what is meant is plain, and a strict parser refuses it.
//!
//! - Half a surrogate pair: JavaScript cuts texts between the two UTF-16 units of a character, so `\ud83e` may end one text and
//!   `\udd80` begin the next.
//! - Bytes that are no UTF-8, among them characters cut between two texts.
//! - Control characters that are not escaped within a text.
//! - `NaN` and `Infinity`, as Python writes them: `null`.
//!
//! A text that strict JSON allows is never changed. Fragments of characters stand in the texts as marks, each a character of its own
//! from the end of the last private plane, until [`mend`] joins those that stand side by side and replaces the others by U+FFFD.

use serde_json::Value;

/// The mark of the UTF-16 unit 0xD800; those of the 2,047 units behind it follow.
const UNITS: u32 = 0x10_f000;
/// The mark of the byte 0x00; those of the others follow.
const BYTES: u32 = 0x10_f800;

/// Reads JSON and leaves fragments of characters as marks, so that texts can be put together before they are mended.
///
/// # Errors
/// When it is no JSON, however kindly it is read.
pub fn read_marked(json: &[u8]) -> Result<Value, serde_json::Error> {
    read_as(json, Care::None)
}

/// Reads JSON and mends every text in it.
///
/// # Errors
/// As [`read_marked`].
pub fn read(json: &[u8]) -> Result<Value, serde_json::Error> {
    read_as(json, Care::None).map(mended)
}

/// Reads JSON that is strict but for halves of surrogate pairs, and mends every text in it: for files, whose other faults their
/// authors can mend.
///
/// # Errors
/// When it is no JSON otherwise.
pub fn read_halves(json: &[u8]) -> Result<Value, serde_json::Error> {
    read_as(json, Care::ButHalves).map(mended)
}

fn read_as(json: &[u8], care: Care) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(json).or_else(|strict| match marked(json, care) {
        Some(marked) => serde_json::from_str(&marked),
        None => Err(strict),
    })
}

/// How careful the sender is believed to be.
#[derive(Clone, Copy, PartialEq)]
enum Care {
    None,
    /// Nothing is wrong but halves of surrogate pairs.
    ButHalves,
}

/// Joins the fragments of characters that stand side by side, and replaces those that belong to nothing by U+FFFD.
pub fn mend(text: &mut String) {
    if !text.chars().any(|c| fragment(c).is_some()) {
        return;
    }
    let mut mended = String::with_capacity(text.len());
    let (mut bytes, mut high) = (Vec::new(), None);
    for c in text.chars() {
        let fragment = fragment(c);
        if let (Some(Fragment::Unit(low @ 0xdc00..)), Some(first)) = (fragment, high) {
            mended.extend(char::decode_utf16([first, low]).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
            high = None;
            continue;
        }
        if high.take().is_some() {
            mended.push(char::REPLACEMENT_CHARACTER);
        }
        if let Some(Fragment::Byte(byte)) = fragment {
            bytes.push(byte);
            continue;
        }
        mended.push_str(&String::from_utf8_lossy(&std::mem::take(&mut bytes)));
        match fragment {
            Some(Fragment::Unit(unit @ ..0xdc00)) => high = Some(unit),
            Some(_) => mended.push(char::REPLACEMENT_CHARACTER),
            None => mended.push(c),
        }
    }
    if high.is_some() {
        mended.push(char::REPLACEMENT_CHARACTER);
    }
    mended.push_str(&String::from_utf8_lossy(&bytes));
    *text = mended;
}

fn mended(mut value: Value) -> Value {
    mend_value(&mut value);
    value
}

/// Mends every text in `value`, names of fields included.
fn mend_value(value: &mut Value) {
    match value {
        Value::String(text) => mend(text),
        Value::Array(items) => items.iter_mut().for_each(mend_value),
        Value::Object(fields) => {
            for (mut name, mut field) in std::mem::take(fields) {
                mend(&mut name);
                mend_value(&mut field);
                fields.insert(name, field);
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
enum Fragment {
    Unit(u16),
    Byte(u8),
}

fn fragment(mark: char) -> Option<Fragment> {
    let mark = u32::from(mark);
    if let Some(byte) = mark.checked_sub(BYTES) {
        return u8::try_from(byte).ok().map(Fragment::Byte);
    }
    mark.checked_sub(UNITS).and_then(|unit| u16::try_from(0xd800 + unit).ok()).map(Fragment::Unit)
}

fn mark(base: u32, fragment: u32) -> char {
    // Every unit and every byte has its mark within the plane.
    char::from_u32(base + fragment).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Rewrites JSON that is careless as JSON that is not; `None` when there is nothing to rewrite.
fn marked(json: &[u8], care: Care) -> Option<String> {
    if care == Care::ButHalves && std::str::from_utf8(json).is_err() {
        return None;
    }
    let mut out = Rewritten { text: String::with_capacity(json.len()), care, in_text: false, changed: false };
    for chunk in json.utf8_chunks() {
        out.valid(chunk.valid());
        out.changed |= !chunk.invalid().is_empty();
        out.text.extend(chunk.invalid().iter().map(|byte| mark(BYTES, u32::from(*byte))));
    }
    out.changed.then_some(out.text)
}

struct Rewritten {
    text: String,
    care: Care,
    /// Within a JSON text, between its quotation marks.
    in_text: bool,
    changed: bool,
}

impl Rewritten {
    fn valid(&mut self, mut rest: &str) {
        while let Some(c) = rest.chars().next() {
            let taken = if self.in_text { self.within(c, rest) } else { self.between(c, rest) };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Takes the start of `rest`, which begins with `c` and stands outside of texts; returns how many bytes that was.
    fn between(&mut self, c: char, rest: &str) -> usize {
        let words = ["NaN", "Infinity", "-Infinity"].into_iter().filter(|_| self.care == Care::None);
        if let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) {
            self.text.push_str("null");
            self.changed = true;
            return word.len();
        }
        self.in_text = c == '"';
        self.text.push(c);
        c.len_utf8()
    }

    /// The same within a text.
    fn within(&mut self, c: char, rest: &str) -> usize {
        match c {
            '\\' => return self.escape(rest),
            '"' => self.in_text = false,
            '\0'..='\u{1f}' if self.care == Care::None => {
                self.text.push_str(&format!("\\u{:04x}", u32::from(c)));
                self.changed = true;
                return 1;
            }
            _ => {}
        }
        self.text.push(c);
        c.len_utf8()
    }

    fn escape(&mut self, rest: &str) -> usize {
        const LENGTH: usize = r"\u0000".len();
        let taken = match (unit(rest), rest.get(LENGTH..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 2 * LENGTH,
            (Some(half @ 0xd800..=0xdfff), _) => {
                self.text.push(mark(UNITS, u32::from(half) - 0xd800));
                self.changed = true;
                return LENGTH;
            }
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        self.text.push_str(&rest[..taken]);
        taken
    }
}

/// Reads the UTF-16 unit of an escape such as `\u00fc` at the beginning of `text`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(json: impl AsRef<[u8]>, expected: Value) {
        assert_eq!(read(json.as_ref()).unwrap(), expected);
    }

    #[test]
    fn halves_of_characters_are_joined_and_what_is_left_is_replaced() {
        check(r#"["a\ud83e\udd80b"]"#, json!(["a🦀b"]));
        check(r#"["a\ud83e"]"#, json!(["a\u{fffd}"]));
        check(r#"["\uDD80a", "\\ud83e"]"#, json!(["\u{fffd}a", "\\ud83e"]));
        check(r#"["\ud83e\ud83e\udd80\udd80"]"#, json!(["\u{fffd}🦀\u{fffd}"]));
        check(r#"{"\ud83e": {"k": "\ud83ex"}}"#, json!({"\u{fffd}": {"k": "\u{fffd}x"}}));
        check(r#"["\ud83e\n", "\ud83e\u0041"]"#, json!(["\u{fffd}\n", "\u{fffd}A"]));
    }

    #[test]
    fn texts_cut_within_a_character_are_whole_when_put_together() {
        let piece = |json: &[u8]| read_marked(json).unwrap()[0].as_str().unwrap().to_owned();
        let join = |pieces: &[&[u8]]| {
            let mut text: String = pieces.iter().map(|json| piece(json)).collect();
            mend(&mut text);
            text
        };
        assert_eq!(join(&[br#"["Gr\u00fc\u00dfe, \ud83e"]"#, br#"["\udd80\ud83d"]"#, br#"["\udc69"]"#]), "Grüße, 🦀👩");
        assert_eq!(join(&[br#"["\ud83e"]"#, br#"["x\udd80"]"#]), "\u{fffd}x\u{fffd}");
        assert_eq!(join(&[b"[\"\xf0\x9f\"]", b"[\"\xa6\x80 \xc3\"]", b"[\"\xbc\"]"]), "🦀 ü");
        assert_eq!(join(&[b"[\"a\xf0\x9f\"]", b"[\"b\"]"]), "a\u{fffd}b");
    }

    #[test]
    fn other_carelessness_is_read_as_it_is_meant() {
        check("[\"a\tb\nc\u{1}\"]", json!(["a\tb\nc\u{1}"]));
        check(r#"{"logprob": -Infinity, "p": NaN, "t": "NaN"}"#, json!({"logprob": null, "p": null, "t": "NaN"}));
        for broken in ["[", "[\"\\ud83e\"", "{\"a\" 1}", "[\"\\x\"]", "\\", "\"\\", "[\"\\u12\"]", "", "nan"] {
            assert!(read(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn files_may_have_halves_and_nothing_else() {
        assert_eq!(read_halves(br#"["a\ud83e"]"#).unwrap(), json!(["a\u{fffd}"]));
        for careless in [&b"[NaN]"[..], b"[\"a\tb\"]", b"[\"\xff\"]"] {
            assert!(read_halves(careless).is_err());
        }
    }

    proptest! {
        #[test]
        fn strict_json_is_never_changed(text in any::<String>(), name in any::<String>()) {
            let value = json!({name: [text, 1, null]});
            prop_assert_eq!(read(value.to_string().as_bytes()).unwrap(), value.clone());
            prop_assert_eq!(read_marked(value.to_string().as_bytes()).unwrap(), value);
        }

        #[test]
        fn units_of_any_text_cut_anywhere_come_back(text in "\\PC{0,8}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(units.len() + 1)).collect();
            cuts.extend([0, units.len()]);
            cuts.sort_unstable();
            let mut whole = String::new();
            for cut in cuts.windows(2) {
                let escaped: String = units[cut[0]..cut[1]].iter().map(|unit| format!("\\u{unit:04x}")).collect();
                whole.push_str(read_marked(format!("\"{escaped}\"").as_bytes()).unwrap().as_str().unwrap());
            }
            mend(&mut whole);
            prop_assert_eq!(whole, text);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[\\\\ud8defE3\"a\\x00-\\x1f]{0,40}") {
            drop(read(&bytes));
            drop(read(format!("\"{text}").as_bytes()));
        }
    }
}
