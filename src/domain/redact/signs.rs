//! What a text must hold to hold the form of a secret: looked for before the forms are, because making those takes longer than most
//! commands, and most texts of a command have no such sign.

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

/// Returns whether `text` may hold the form of a secret; false only when it holds none.
pub(super) fn stand_in(text: &str) -> bool {
    let (bytes, by_byte) = (text.as_bytes(), &*BY_BYTE);
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let sign_at = |at: usize| {
        by_byte[usize::from(bytes[at])].iter().any(|sign| {
            let there = bytes.get(at..at + sign.piece.len());
            let is_there = there.is_some_and(|there| match sign.any_case {
                true => there.eq_ignore_ascii_case(sign.piece.as_bytes()),
                false => there == sign.piece.as_bytes(),
            });
            is_there && !(sign.begins_word && at > 0 && is_word(bytes[at - 1]))
        })
    };
    // These two letters are a `k` and an `s` where case does not count.
    text.contains(['\u{212a}', '\u{17f}']) || (0..bytes.len()).any(sign_at)
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, Hir, HirKind};

    use super::super::{FORMS, PATTERNS};
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
                    assert!(stand_in(&text), "{kind}: {text}");
                }
            }
            assert!(found > 10, "{kind}: its texts are not found themselves ({found})");
        }
        assert!(!stand_in(
            "A task-list about risks: the assessment, the keys of a map and the passing of time at 10:30, in Asia"
        ));
    }
}
