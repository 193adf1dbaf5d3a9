//! What must not be seen: known secrets and whatever looks like a key, in any text on its way out or into the log.
//!
//! Matches become `[redacted:KIND]`. Two passes: the values that are known to be secret, wherever they stand, then the
//! forms of keys and tokens that secret scanners look for. Redacting twice changes nothing more. It does not know
//! where texts come from; hashes, ULIDs and plain numbers are left alone.

mod dense;
mod forms;
mod plain;
mod signs;
mod structure;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex::{Captures, Regex, RegexBuilder};

use super::capture::Levels;
use super::personal::Rules;
use super::settings::RedactionSettings;
use super::template::Capture;
use dense::{is_dense, is_random};
use forms::{CERTAIN, FORMS, PATTERNS, Proof};

/// A secret shorter than this is only removed where it stands alone, lest every text be torn to pieces.
const ANYWHERE_MIN: usize = 4;

/// The kind of secrets that are known by value.
const KNOWN: &str = "known-secret";

/// Kinds of what is removed on request; see [`super::personal`].
const OTHERS: [&str; 4] = ["email", "phone", "name", "random"];

/// Bytes of a secret that is known by its name, beyond which no other form is looked for in it.
const SECRET_MAX: usize = 512;
/// How often as many bytes as a text has are looked into again, because a secret may stand in a candidate that is none.
const AGAIN_MAX: usize = 8;

/// Removes secrets from texts.
#[derive(Clone, Default)]
pub struct Redactor {
    known: Option<Regex>,
    n_known: usize,
    /// What is removed on request, of what people gave and of what models wrote.
    of_answers: Option<Arc<Rules>>,
    of_outputs: Option<Arc<Rules>>,
}

impl Redactor {
    /// Returns a redactor that also removes `secrets`, as they are and as they look inside JSON and URLs. Secrets of
    /// fewer than four bytes are removed only where no letter or digit touches them; empty ones are ignored.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut forms = BTreeSet::new();
        let mut n_known = 0;
        for secret in secrets {
            let secret = secret.as_ref();
            if secret.trim().is_empty() {
                continue;
            }
            n_known += 1;
            forms.insert(secret.to_owned());
            forms.insert(secret.trim().to_owned());
            let json = serde_json::to_string(secret).unwrap_or_default();
            forms.insert(json.trim_matches('"').to_owned());
            forms.insert(url::form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        }
        let mut forms: Vec<String> = forms.into_iter().filter(|form| !form.is_empty()).collect();
        // The longest first: a secret that begins like another one goes as a whole.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        let parts: Vec<String> = forms
            .iter()
            .map(|form| {
                let word = |char: Option<char>| char.is_some_and(|char| char.is_alphanumeric() || char == '_');
                let escaped = regex::escape(form);
                if form.len() >= ANYWHERE_MIN {
                    return escaped;
                }
                let (before, after) = (word(form.chars().next()), word(form.chars().last()));
                format!("{}{escaped}{}", if before { r"\b" } else { "" }, if after { r"\b" } else { "" })
            })
            .collect();
        let known = (!parts.is_empty()).then(|| RegexBuilder::new(&parts.join("|")).size_limit(64 << 20).build().ok()).flatten();
        Self { known, n_known, of_answers: None, of_outputs: None }
    }

    /// Also removes what `rules` name, wherever `levels` say `redacted` or stricter. Prompts quote answers, material and outputs, so a level
    /// for prompts is one for all of these.
    #[must_use]
    pub fn on_request(mut self, rules: &RedactionSettings, levels: Levels) -> Self {
        let rules = (*rules != RedactionSettings::default()).then(|| Arc::new(Rules::new(rules)));
        let at = |level: Capture| rules.clone().filter(|_| level.max(levels.prompts) >= Capture::Redacted);
        (self.of_answers, self.of_outputs) = (at(levels.answers), at(levels.outputs));
        self
    }

    /// Returns what somebody wrote, or gave as material, as it may be used and kept.
    pub fn redact_answer<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_all(text, self.of_answers.as_deref())
    }

    /// Returns what a model or its provider wrote as it may be used and kept.
    pub fn redact_output<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_all(text, self.of_outputs.as_deref())
    }

    fn redact_all<'a>(&self, text: &'a str, rules: Option<&Rules>) -> Cow<'a, str> {
        let text = self.redact(text);
        let Some(rules) = rules else { return text };
        match rules.redact(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(redacted) => Cow::Owned(redacted),
        }
    }

    /// Returns `text` with every secret replaced by `[redacted:KIND]`; borrowed when there was none. In JSON the strings are looked at as
    /// they are meant, JSON within them too: behind `\n` a key does not begin a word, and a quotation mark is none behind a `\`.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.in_json(text) {
            Cow::Borrowed(text) => self.as_it_stands(text),
            Cow::Owned(text) => match self.as_it_stands(&text) {
                Cow::Borrowed(_) => Cow::Owned(text),
                Cow::Owned(text) => Cow::Owned(text),
            },
        }
    }

    fn as_it_stands<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let first = match &self.known {
            Some(known) => replace(text, known, |found| Some((found.start(), found.end(), KNOWN))),
            None => Cow::Borrowed(text),
        };
        match first {
            Cow::Borrowed(text) => by_form(text),
            Cow::Owned(text) => match by_form(&text) {
                Cow::Borrowed(_) => Cow::Owned(text),
                Cow::Owned(text) => Cow::Owned(text),
            },
        }
    }

    /// Redacts the strings of a JSON text that are written with escapes; all else stays byte for byte.
    fn in_json<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let may_be = text.trim_start().starts_with(['{', '[', '"']) && text.contains('\\');
        if !may_be || serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut kept, mut at) = (String::new(), 0, 0);
        // A quotation mark outside of a string begins one, because the text is JSON.
        while let Some(begin) = text[at..].find('"').map(|found| at + found) {
            let mut end = begin + 1;
            while let Some(byte) = text.as_bytes().get(end).filter(|byte| **byte != b'"') {
                end += if *byte == b'\\' { 2 } else { 1 };
            }
            let Some(string) = text.get(begin..=end) else { break };
            at = end + 1;
            if string.contains('\\')
                && let Ok(meant) = serde_json::from_str::<String>(string)
                && let Cow::Owned(redacted) = self.redact(&meant)
            {
                out.push_str(&text[kept..begin]);
                out.push_str(&serde_json::Value::String(redacted).to_string());
                kept = at;
            }
        }
        if kept == 0 {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[kept..]);
        Cow::Owned(out)
    }

    /// Returns whether `text` holds a secret.
    pub fn finds(&self, text: &str) -> bool {
        matches!(self.redact(text), Cow::Owned(_))
    }
}

/// Shows how many secrets are known and none of them.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("n_known", &self.n_known).finish_non_exhaustive()
    }
}

pub(super) fn replace<'a>(
    text: &'a str,
    regex: &Regex,
    mut secret: impl FnMut(regex::Match<'_>) -> Option<(usize, usize, &'static str)>,
) -> Cow<'a, str> {
    let mut out = String::new();
    let mut kept = 0;
    for found in regex.find_iter(text) {
        // What an earlier pass put there is no secret.
        if let Some((start, end, kind)) = secret(found).filter(|(start, end, _)| !inside_mark(text, *start, *end)) {
            out.push_str(&text[kept..start]);
            out.push_str(&format!("[redacted:{kind}]"));
            kept = end;
        }
    }
    if kept == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[kept..]);
    Cow::Owned(out)
}

/// Returns whether the range lies within a mark that this file made; a secret in brackets is no mark.
fn inside_mark(text: &str, start: usize, end: usize) -> bool {
    /// Longer than any mark.
    const MARK_MAX: usize = 64;
    let from = start.saturating_sub(MARK_MAX);
    let before = text.as_bytes()[from..start].iter().rposition(|byte| *byte == b'[').map(|at| from + at);
    let open = if text[start..].starts_with('[') { Some(start) } else { before };
    let Some((open, rest)) = open.and_then(|open| Some((open, text[open..].strip_prefix("[redacted:")?))) else { return false };
    let Some((kind, _)) = rest.split_once(']') else { return false };
    let known = kind == KNOWN || OTHERS.contains(&kind) || FORMS.iter().any(|(form, ..)| *form == kind);
    known && end <= open + "[redacted:]".len() + kind.len()
}

fn by_form(text: &str) -> Cow<'_, str> {
    let found = within(text, text, signs::stretches(text));
    let again = plain::plain(&found).map(|plain| within(&plain, &found, signs::stretches(&plain)).into_owned());
    again.filter(|again| *again != *found).map_or(found, Cow::Owned)
}

/// Returns `shown` without the secrets that these stretches of `text` have, which says the same, byte for byte at the same place.
fn within<'a>(text: &str, shown: &'a str, stretches: impl Iterator<Item = Range<usize>>) -> Cow<'a, str> {
    let mut stretches = stretches.peekable();
    // Most texts have none, and making the patterns takes longer than most commands.
    if stretches.peek().is_none() {
        return Cow::Borrowed(shown);
    }
    let Some(patterns) = PATTERNS.as_ref() else { return Cow::Borrowed(shown) };
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    // Candidates are looked into again only so often, so that no text takes more than linear time: behind that, only for what is certain.
    let mut patience = text.len().saturating_mul(AGAIN_MAX);
    let mut certain_to = 0;
    for Range { start, end: stretch_end } in stretches {
        at = at.max(start);
        while at < stretch_end {
            let is_certain = at < certain_to;
            let (patterns, end) = match CERTAIN.as_ref() {
                Some(certain) if is_certain => (certain, certain_to),
                _ => (patterns, stretch_end),
            };
            let Some(captures) = patterns.captures_at(&text[..end], at) else {
                at = end;
                continue;
            };
            let (index, secret) = located(&captures);
            let (kind, _, proof) = FORMS[index];
            let begin = begin_of(text, &secret, proof).map(|begin| begin.max(kept));
            if let Some(begin) = begin.filter(|begin| !inside_mark(text, *begin, secret.end)) {
                out.push_str(&shown[kept..begin]);
                out.push_str(&format!("[redacted:{kind}]"));
                (kept, at) = (secret.end, secret.end);
                continue;
            }
            // Something else may begin inside what was no secret: go on behind its first character.
            let found = captures.get_match();
            let first = found.as_str().chars().next().map_or(1, char::len_utf8);
            at = if is_certain { found.end() } else { found.start() + first };
            match patience.checked_sub(found.len()) {
                Some(left) => patience = left,
                None => certain_to = certain_to.max(found.end()),
            }
        }
    }
    if kept == 0 {
        return Cow::Borrowed(shown);
    }
    out.push_str(&shown[kept..]);
    Cow::Owned(out)
}

/// Returns which form matched and where its secret stands.
fn located(captures: &Captures<'_>) -> (usize, Range<usize>) {
    let whole = captures.get_match();
    for index in 0..FORMS.len() {
        if captures.name(&format!("k{index}")).is_some() {
            return (index, captures.name(&format!("s{index}")).unwrap_or(whole).range());
        }
    }
    (0, whole.range())
}

/// Returns where a secret begins of which a form found the rest or all; `None` when it is none.
fn begin_of(text: &str, found: &Range<usize>, proof: Proof) -> Option<usize> {
    let secret = &text[found.clone()];
    let has_digit = || secret.bytes().any(|byte| byte.is_ascii_digit());
    let is_proven = match proof {
        Proof::Form => true,
        Proof::Header => return header(text, found.start),
        Proof::Digit => has_digit(),
        Proof::Run => has_digit() && secret.split(|char: char| !char.is_ascii_alphanumeric()).any(|run| run.len() >= 16),
        // A secret of a form of its own is named by that.
        Proof::Random => is_random(&unescaped(secret)) && !has_form(secret),
        Proof::Dense => is_random(&unescaped(secret)) && is_dense(&unescaped(secret)) && !has_form(secret),
    };
    is_proven.then_some(found.start)
}

/// Returns where the header begins of a JSON Web Token (RFC 7519) whose first dot this is.
fn header(text: &str, dot: usize) -> Option<usize> {
    const BYTES_MIN: usize = "eyJ".len() + 8;
    let bytes = text.as_bytes();
    let is_in = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let from = dot - bytes[..dot].iter().rev().take_while(|byte| is_in(byte)).count();
    let begins = |at: usize| bytes[at..].starts_with(b"eyJ") && (at == from || !bytes[at - 1].is_ascii_alphanumeric());
    (from..(dot + 1).saturating_sub(BYTES_MIN)).find(|at| begins(*at))
}

/// Returns a secret without the backslashes that JSON may have before a `/`.
fn unescaped(secret: &str) -> Cow<'_, str> {
    if secret.contains('\\') { Cow::Owned(secret.replace('\\', "")) } else { Cow::Borrowed(secret) }
}

/// Returns whether a form of its own stands in a secret that is known by the name before it.
fn has_form(secret: &str) -> bool {
    let Some(certain) = CERTAIN.as_ref().filter(|_| secret.len() <= SECRET_MAX) else { return false };
    let mut at = 0;
    while let Some(captures) = certain.captures_at(secret, at) {
        let (index, found) = located(&captures);
        if begin_of(secret, &found, FORMS[index].2).is_some() {
            return true;
        }
        let found = captures.get_match();
        at = found.start() + found.as_str().chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// Returns the Shannon entropy of the text's characters.
pub(super) fn bits_per_char(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    text.chars().for_each(|char| *counts.entry(char).or_insert(0u32) += 1);
    let n = f64::from(counts.values().sum::<u32>().max(1));
    counts.values().map(|&count| f64::from(count) / n).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Redactor::default().redact(text), expected);
    }

    #[test]
    fn the_patterns_compile() {
        assert!(PATTERNS.is_some() && CERTAIN.is_some());
    }

    #[test]
    fn keys_and_tokens_are_removed_with_their_kind() {
        let a40 = "a1B2c3D4e5".repeat(4);
        for (text, kind) in [
            ("sk-ant-api03-AbCdEf123456_-x", "anthropic-key"),
            ("sk-proj-abc123DEF456ghi789", "api-key"),
            ("sk-0123456789abcdef0123", "api-key"),
            ("sk-abc1**********wxyz", "api-key"),
            (&format!("ghp_{a40}"), "github-token"),
            ("github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz", "github-token"),
            ("AKIAIOSFODNN7EXAMPLE", "aws-key"),
            (&format!("AIza{}", &a40[..35]), "google-key"),
            ("xoxb-123456789012-abcdefghijkl", "slack-token"),
            ("glpat-abcdefghij0123456789", "gitlab-token"),
            (&format!("npm_{}", &a40[..36]), "npm-token"),
            (&format!("hf_{}", &a40[..34]), "huggingface-token"),
            ("sk_live_0123456789abcdefABCDEF", "stripe-key"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl_-x", "jwt"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----", "private-key"),
        ] {
            check(&format!("({text}) is it"), &format!("([redacted:{kind}]) is it"));
        }
    }

    #[test]
    fn headers_keep_their_name_and_lose_their_value() {
        check("authorization: Bearer abc123def456ghi", "authorization: Bearer [redacted:authorization]");
        check(r#"{"x-api-key": "0a1b2c3d4e"}"#, r#"{"x-api-key": "[redacted:authorization]"}"#);
        check("Cookie: session=abcdef; theme=dark\nok", "Cookie: [redacted:cookie]\nok");
        check("send Bearer 0a1b2c3d4e5f6g", "send Bearer [redacted:bearer]");
        check("postgres://me:hunter2@db/x", "postgres://me:[redacted:url-password]@db/x");
        check(r#"API_KEY = "q8Zr2Lx0Vn5Tb7Wy""#, r#"API_KEY = "[redacted:secret]""#);
    }

    #[test]
    fn values_behind_the_name_of_a_secret_go_however_they_are_quoted() {
        let key = "C3J27XDCG2LmlZGEONYlgCtjfIZ4SOcM";
        let azure = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
        for text in [
            format!("API_KEY={key}"),
            format!("export API_KEY=\"{key}\" && x"),
            format!("export API_KEY='{key}'"),
            format!(r#"{{"api_key": "{key}"}}"#),
            format!(r#""token": "{key}""#),
            format!("client_secret = \"{key}\""),
            format!("api_key: {key}\nnext: 1"),
            format!("apiKey: \"{key}\""),
            format!("curl -d '{{\"secret_key\":\"{key}\"}}' x"),
            format!("AccountName=me;AccountKey={azure};EndpointSuffix=core.windows.net"),
            format!("tool --api-key {key} --verbose"),
        ] {
            let mut shown = text.clone();
            // As it is, and in JSON in JSON: what a tool was called with.
            for depth in 0..3 {
                let redacted = Redactor::default().redact(&shown).into_owned();
                assert!(redacted.contains("[redacted:secret]"), "{depth}: {shown}");
                assert!(![key, &azure[..30]].iter().any(|secret| redacted.contains(secret)), "{depth}: {redacted}");
                assert_eq!(Redactor::default().redact(&redacted), redacted, "twice");
                // Within a longer text that is no JSON.
                let told = format!("it said {shown} and left");
                assert!(Redactor::default().redact(&told).contains("[redacted:secret]"), "{depth}: {told}");
                shown = serde_json::json!({ "command": shown }).to_string();
            }
        }
        let arguments = serde_json::json!({"command": "cat <<E\nAKIAIOSFODNN7EXAMPLE\nE", "n": 1}).to_string();
        check(&arguments, r#"{"command":"cat <<E\n[redacted:aws-key]\nE","n":1}"#);
        check("ANTHROPIC_API_KEY=sk-ant-api03-AbCdEf123456_-x9", "ANTHROPIC_API_KEY=[redacted:anthropic-key]");
    }

    #[test]
    fn a_key_in_a_long_candidate_that_is_none_is_removed() {
        let key = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
        for before in [
            format!("token: https://example.com/{}", "abc/".repeat(150)),
            format!("credentials=/{}", "abc/".repeat(150)),
            format!("password=\"{}.", "x".repeat(600)),
            // However often a candidate within a candidate was none.
            "token=/a/".repeat(400),
        ] {
            check(&format!("{before}{key}\" x"), &format!("{before}[redacted:github-token]\" x"));
        }
        let names = format!("{}{key}\" x", "pwd=apikey=token=secret=".repeat(400));
        assert!(!Redactor::default().redact(&names).contains(&key[..8]));
    }

    #[test]
    fn a_token_of_the_web_goes_with_its_header_wherever_that_begins() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl";
        for (before, after) in [("", ""), ("x ", " y"), ("_", "_"), ("id-", ""), ("é", "é"), ("token=", ""), ("a.", "")] {
            let shown = Redactor::default().redact(&format!("{before}{token}{after}")).into_owned();
            assert!(shown.starts_with(&format!("{before}[redacted:jwt]")), "{shown}");
        }
        for text in ["eyJshort.eyJzdWIiOiIxMjM0In0", "xeyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0", ".eyJzdWIiOiIxMjM0In0"] {
            check(text, text);
        }
    }

    #[test]
    fn a_secret_with_escaped_slashes_or_deep_in_json_is_removed() {
        let aws = "wJalrXUtnFEMI/K7MDENGbPxRfiCYQk3v9Lm2Zx8";
        let php = format!(r#"{{"aws_secret_access_key":"{}"}}"#, aws.replace('/', r"\/"));
        check(&php, r#"{"aws_secret_access_key":"[redacted:aws-key]"}"#);
        check(&format!("exit 0: {php}"), r#"exit 0: {"aws_secret_access_key":"[redacted:aws-key]"}"#);
        let mut nested = serde_json::json!({"password": "q8Zr2Lw9Tx4Vb7Nc1Md6Kp3q8Zr2Lw9T"});
        for depth in 0..5 {
            nested = serde_json::json!({ "body": nested.to_string() });
            let shown = Redactor::default().redact(&format!("out: {nested}")).into_owned();
            assert!(shown.contains("[redacted:secret]") && !shown.contains("Lw9Tx4"), "{depth}: {shown}");
        }
    }

    #[test]
    fn an_unfinished_private_key_goes_to_the_end() {
        check("a -----BEGIN PRIVATE KEY-----\nMIIE", "a [redacted:private-key]");
    }

    #[test]
    fn what_only_resembles_a_secret_stays() {
        for text in [
            "01J9ZK2X3Y4V5W6T7S8R9Q0P1N",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "call +49 170 1234567 or 555-0100-2000",
            "sk-circle-fade-dot-animation-delay",
            "the bearer of this letter",
            "authorization: required",
            "Authorization: Bearer YOUR_API_KEY",
            "api_key_env = \"ANTHROPIC_API_KEY\"",
            "password = \"correct horse battery\"",
            "https://example.org:8080/a@b",
            "postgres://me:${PASSWORD}@db/x",
            "the set-cookie: header",
            "task-force-1234567890123456",
            "npm_config_registry=https://registry.example.org",
            "550e8400-e29b-41d4-a716-446655440000",
            "API_KEY=your-api-key-goes-here-12345",
            "API_KEY=$API_KEY_OF_2026 and API_KEY=${OTHER_KEY_2026}",
            "API_KEY=<your key, 32 characters>",
            "secret_key = /home/ada/.ssh/id_ed25519_2026",
            "token = generateRandomString16Characters(seed)",
            "token: https://example.org/oauth2/v2.0/token1234",
            "max_tokens=4096 and input_tokens: 123456789012345678",
            "api_key=settings.providers2.anthropic1.api_key3",
            "password_hash: 5f4dcc3b5aa765d61d8327deb882cf99",
            "cancellation_token=CancellationToken.None",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn known_secrets_go_wherever_and_however_they_stand() {
        let redactor = Redactor::new(["p\"ss wörd", "abc", "longer-secret", "longer", "", "  "]);
        for (text, expected) in [
            ("xp\"ss wördx", "x[redacted:known-secret]x"),
            (r#"{"k":"p\"ss wörd"}"#, r#"{"k":"[redacted:known-secret]"}"#),
            ("?q=p%22ss+w%C3%B6rd&", "?q=[redacted:known-secret]&"),
            ("abcd abc-abc", "abcd [redacted:known-secret]-[redacted:known-secret]"),
            ("a longer-secret", "a [redacted:known-secret]"),
        ] {
            assert_eq!(redactor.redact(text), expected);
        }
        assert_eq!(format!("{redactor:?}"), "Redactor { n_known: 4, .. }");
    }

    #[test]
    fn a_secret_dressed_as_a_mark_is_still_a_secret() {
        check("[redacted:sk-ant-api03-AbCdEf]", "[redacted:[redacted:anthropic-key]]");
        check("[redacted:api-key]", "[redacted:api-key]");
    }

    #[test]
    fn clean_texts_are_not_copied() {
        assert!(matches!(Redactor::new(["secret-value"]).redact("nothing here"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_key_behind_a_megabyte_of_almost_keys_is_found() {
        // Quadratic work would take minutes here.
        for almost in [
            "sk-",
            "Grüße aus Köln, 世界! ",
            "a://b:",
            "eyJ",
            "eyJaaaaaaaa-AKIA0123456789ABCDEF-",
            "eyJaaaaaaaa-cioAbCdEfGhAbCdEfGhAbCdEfGhAbCdEfGh-",
            "eyJaaaaaaaa.eyJ",
            "pwd=apikey=token=secret=",
            "api_key=\"abc",
            "api_key=",
            "token: a1B2c3D4e5f6G7h8-",
            "secret",
            "--",
            "bearer ",
        ] {
            let text = almost.repeat(1_000_000 / almost.len()) + " and AKIAIOSFODNN7EXAMPLE";
            assert!(Redactor::new(["hush-hush"]).redact(&text).ends_with(" [redacted:aws-key]"), "{almost}");
        }
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing_more(
            before in "[ -~é\n]{0,20}",
            secret in prop_oneof!["sk-[a-z0-9]{20}", "Bearer [a-z0-9]{16}", "AKIA[A-Z0-9]{16}", "x://a:[a-z]{4}@b"],
            after in "[ -~é\n]{0,20}",
        ) {
            let redactor = Redactor::new(["redacted", "se3cret"]);
            let once = redactor.redact(&format!("{before} {secret} {after} se3cret")).into_owned();
            prop_assert!(!once.contains("se3cret"));
            prop_assert_eq!(redactor.redact(&once), once.as_str());
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            Redactor::new(["é"]).redact(&text);
        }
    }
}
