//! What a text must hold to hold the form of a secret: looked for before the forms are, because making those takes longer than most
//! commands, and most texts of a command have no such sign.

use std::ops::Range;
use std::sync::LazyLock;

/// A piece of every text of some form.
#[derive(Clone, Copy)]
struct Sign {
    piece: &'static str,
    /// No letter, digit or `_` stands before it.
    begins_word: bool,
    /// Letters count as the same in both cases.
    any_case: bool,
}

const fn word(piece: &'static str) -> Sign {
    Sign { piece, begins_word: true, any_case: false }
}

const fn any_case(piece: &'static str, begins_word: bool) -> Sign {
    Sign { piece, begins_word, any_case: true }
}

/// The signs of all forms, in their order.
const SIGNS: &[Sign] = &[
    Sign { piece: "-----BEGIN ", begins_word: false, any_case: false },
    word("eyJ"),
    word("sk-"),
    word("ghp_"),
    word("gho_"),
    word("ghu_"),
    word("ghs_"),
    word("ghr_"),
    word("github_pat_"),
    word("gl"),
    word("AKIA"),
    word("ASIA"),
    word("ABIA"),
    word("ACCA"),
    any_case("aws", true),
    word("AIza"),
    word("ya29."),
    word("GOCSPX-"),
    word("xox"),
    word("xapp-"),
    word("hooks.slack.com/"),
    word("npm_"),
    word("pypi-"),
    word("cio"),
    word("hf_"),
    word("gsk_"),
    word("xai-"),
    word("pplx-"),
    word("r8_"),
    word("tvly-"),
    word("fw_"),
    word("csk-"),
    word("nvapi-"),
    word("lsv2_pt_"),
    word("ntn_"),
    word("sk_live_"),
    word("sk_test_"),
    word("rk_live_"),
    word("rk_test_"),
    word("whsec_"),
    word("SG."),
    word("SK"),
    word("dop_v1_"),
    word("doo_v1_"),
    word("dor_v1_"),
    Sign { piece: ":AA", begins_word: false, any_case: false },
    word("dckr_"),
    word("hvs."),
    word("hvb."),
    word("hvr."),
    word("dapi"),
    word("shpat_"),
    word("shpca_"),
    word("shppa_"),
    word("shpss_"),
    word("AGE-SECRET-KEY-1"),
    any_case("cookie", true),
    any_case("authorization", true),
    any_case("bearer", true),
    any_case("://", false),
    any_case("apikey", false),
    any_case("api_key", false),
    any_case("api-key", false),
    any_case("secretkey", false),
    any_case("secret_key", false),
    any_case("secret-key", false),
    any_case("accesskey", false),
    any_case("access_key", false),
    any_case("access-key", false),
    any_case("accountkey", false),
    any_case("account_key", false),
    any_case("account-key", false),
    any_case("privatekey", false),
    any_case("private_key", false),
    any_case("private-key", false),
    any_case("signingkey", false),
    any_case("signing_key", false),
    any_case("signing-key", false),
    any_case("encryptionkey", false),
    any_case("encryption_key", false),
    any_case("encryption-key", false),
    any_case("masterkey", false),
    any_case("master_key", false),
    any_case("master-key", false),
    any_case("servicekey", false),
    any_case("service_key", false),
    any_case("service-key", false),
    any_case("authkey", false),
    any_case("auth_key", false),
    any_case("auth-key", false),
    any_case("token", false),
    any_case("secret", false),
    any_case("passwd", false),
    any_case("password", false),
    any_case("pwd", false),
    any_case("credential", false),
];

/// The signs by their first byte.
static BY_BYTE: LazyLock<Vec<Vec<Sign>>> = LazyLock::new(|| {
    let mut by_byte = vec![Vec::new(); 256];
    for sign in SIGNS {
        let first = sign.piece.as_bytes().first().copied().unwrap_or_default();
        let mut bytes = vec![first];
        if sign.any_case && first.is_ascii_alphabetic() {
            bytes.push(first.to_ascii_uppercase());
        }
        bytes.into_iter().for_each(|byte| by_byte[usize::from(byte)].push(*sign));
    }
    by_byte
});

/// Which two bytes begin a sign, one bit each: most places of a text are left behind with one look.
static PAIRS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut pairs = vec![0_u64; (1 << 16) / 64];
    for sign in SIGNS {
        let cases = |at: usize| {
            let byte = sign.piece.as_bytes().get(at).copied().unwrap_or_default();
            if sign.any_case { [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] } else { [byte; 2] }
        };
        for (first, second) in cases(0).into_iter().flat_map(|first| cases(1).map(|second| (first, second))) {
            let pair = usize::from(u16::from_be_bytes([first, second]));
            pairs[pair / 64] |= 1 << (pair % 64);
        }
    }
    pairs
});

/// The sign of the one form that has no end of its own.
const OPEN_ENDED: &[u8] = b"-----BEGIN ";
/// Lines with something on them that a form may reach behind the one where it begins: a name, a colon, a scheme and the secret may each stand
/// on a line of its own.
const LINES_BEHIND: usize = 3;

/// Returns the place of the first sign of `text` at `from` or behind it.
fn next(text: &str, from: usize) -> Option<usize> {
    let (bytes, by_byte, pairs) = (text.as_bytes(), &*BY_BYTE, &*PAIRS);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_sign = |at: usize| {
        by_byte[usize::from(bytes[at])].iter().any(|sign| {
            let there = bytes.get(at..at + sign.piece.len());
            let is_there = there.is_some_and(|there| match sign.any_case {
                true => there.eq_ignore_ascii_case(sign.piece.as_bytes()),
                false => there == sign.piece.as_bytes(),
            });
            let before = &bytes[..at];
            let marks = before.iter().rev().take(3).take_while(|byte| **byte == b'_').count();
            is_there && !(sign.begins_word && before[..at - marks].last().is_some_and(|byte| is_word(*byte)))
        })
    };
    let may_begin = |two: &[u8]| {
        let pair = usize::from(u16::from_be_bytes([two[0], two[1]]));
        pairs[pair / 64] >> (pair % 64) & 1 == 1
    };
    let pairs_of_text = bytes.get(from..)?.windows(2).enumerate();
    pairs_of_text.filter(|(_, two)| may_begin(two)).map(|(at, _)| from + at).find(|at| is_sign(*at))
}

/// Returns the stretches of `text` that hold all its forms of secrets, each of them whole: in order, apart, and none for a text without a
/// sign. A stretch is the lines that have signs, and those behind them that a form which begins there may reach.
pub(super) fn stretches(text: &str) -> Stretches<'_> {
    // These two letters are a `k` and an `s` where case does not count.
    let has_other_cases = !text.is_ascii() && text.contains(['\u{212a}', '\u{17f}']);
    Stretches { text, sign: if has_other_cases { None } else { next(text, 0) }, whole: has_other_cases }
}

/// See [`stretches`].
pub(super) struct Stretches<'a> {
    text: &'a str,
    /// The first sign that is in no stretch yet.
    sign: Option<usize>,
    /// All of the text is the one stretch that is left.
    whole: bool,
}

impl Iterator for Stretches<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let text = self.text;
        if std::mem::take(&mut self.whole) {
            return Some(0..text.len());
        }
        let mut sign = self.sign.take()?;
        let start = text[..sign].rfind('\n').map_or(0, |found| found + 1);
        let (mut line_end, mut end) = (0, 0);
        loop {
            if text.as_bytes()[sign..].starts_with(OPEN_ENDED) {
                return Some(start..text.len());
            }
            if sign >= line_end {
                (line_end, end) = reach(text, sign);
            }
            match next(text, sign + 1) {
                Some(next) if next < end => sign = next,
                next => {
                    self.sign = next;
                    return Some(start..end);
                }
            }
        }
    }
}

/// Returns where the line at `from` ends, and the last one that a form may reach which begins there.
fn reach(text: &str, from: usize) -> (usize, usize) {
    let mut ends = text[from..].split_inclusive('\n').scan(from, |at, line| {
        *at += line.len();
        Some((*at, line.trim().is_empty()))
    });
    let first = ends.next().map_or(text.len(), |(end, _)| end);
    let last = ends.filter(|(_, is_blank)| !is_blank).take(LINES_BEHIND).last();
    (first, last.map_or(first, |(end, _)| end))
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, Hir, HirKind};

    use super::super::forms::{FORMS, PATTERNS};
    use super::super::within;
    use super::*;

    /// Writes a text of the pattern, as `dice` chooses.
    fn write(hir: &Hir, dice: &mut impl FnMut(usize) -> usize, out: &mut String) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).unwrap()),
            HirKind::Class(Class::Unicode(class)) => {
                let range = class.ranges()[dice(class.ranges().len())];
                let (start, end) = (range.start() as u32, range.end() as u32);
                let char = start + dice((end - start) as usize + 1) as u32;
                out.push(char::from_u32(char).unwrap_or(range.start()));
            }
            HirKind::Class(Class::Bytes(class)) => out.push(char::from(class.ranges()[0].start())),
            HirKind::Repetition(again) => {
                let more = again.max.map_or(3, |max| max - again.min).min(3) as usize;
                (0..again.min as usize + dice(more + 1)).for_each(|_| write(&again.sub, dice, out));
            }
            HirKind::Capture(group) => write(&group.sub, dice, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, dice, out)),
            HirKind::Alternation(parts) => write(&parts[dice(parts.len())], dice, out),
        }
    }

    #[test]
    fn every_text_of_every_form_has_a_sign() {
        let mut random = 7u64;
        let mut dice = move |sides: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % sides.max(1)
        };
        for (kind, pattern, _) in FORMS {
            let hir = regex_syntax::parse(pattern).unwrap();
            let mut found = 0;
            for round in 0..400 {
                let mut text = String::new();
                write(&hir, &mut dice, &mut text);
                let text = [text.clone(), format!("see {text} there"), format!("\"{text}\"")][round % 3].clone();
                if PATTERNS.as_ref().unwrap().is_match(&text) {
                    found += 1;
                    assert!(stretches(&text).next().is_some(), "{kind}: {text}");
                }
            }
            assert!(found > 10, "{kind}: its texts are not found themselves ({found})");
        }
        let words = "A task-list about risks: the assessment, the keys of a map and the passing of time at 10:30, in Asia";
        assert_eq!(stretches(words).next(), None);
    }

    #[test]
    fn what_lies_outside_of_stretches_holds_nothing_whatever_stands_between_secrets() {
        let mut random = 11u64;
        let mut dice = move |sides: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % sides.max(1)
        };
        let forms: Vec<Hir> = FORMS.iter().map(|(_, pattern, _)| regex_syntax::parse(pattern).unwrap()).collect();
        let between = ["", " ", "\n", "\n\n", "\r\n", "\n \n\t\n", "é", "\"", ": ", "x"];
        let plain = [
            "the token of the day is spent".to_owned(),
            "fn next(text: &str) -> Option<usize> { text.len() }\n".repeat(20),
            "see https://example.com/a/b and password rules".to_owned(),
            "API_KEY\n=\n\nC3J27XDCG2LmlZGEONYlgCtjfIZ4SOcM".to_owned(),
            "authorization\n:\nbearer\n\n\nabc123def456ghi".to_owned(),
            "a line".to_owned(),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl".to_owned(),
        ];
        let mut removed = 0;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..1 + dice(8) {
                match dice(3) {
                    0 => text.push_str(&plain[dice(plain.len())]),
                    // A private key without an end takes the rest: seldom.
                    _ => write(&forms[if dice(20) == 0 { 0 } else { 1 + dice(forms.len() - 1) }], &mut dice, &mut text),
                }
                text.push_str(between[dice(between.len())]);
            }
            let whole = within(&text, &text, std::iter::once(0..text.len())).into_owned();
            assert_eq!(within(&text, &text, stretches(&text)), whole, "{text}");
            removed += usize::from(whole != text);
        }
        assert!(removed > 500, "{removed}");
    }

    #[test]
    fn a_stretch_is_the_lines_that_a_form_may_reach() {
        let lines = "one\ntoken\ntwo\n\n \nthree\nfour\nfive\nsix\npassword";
        let found: Vec<&str> = stretches(lines).map(|range| &lines[range]).collect();
        assert_eq!(found, ["token\ntwo\n\n \nthree\nfour\n", "password"]);
        let all = |text: &str| stretches(text).map(|range| (range.start, range.end)).collect::<Vec<_>>();
        assert_eq!(all("a token\nb token\n\nc"), [(0, 18)]);
        let key = "x\n-----BEGIN PRIVATE KEY-----\na\nb\nc\nd\ne\nf";
        assert_eq!(all(key), [(2, key.len())]);
        assert_eq!(all("aſk"), [(0, 4)], "the long s");
    }
}
