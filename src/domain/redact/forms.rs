//! The forms of secrets, and the one pattern that finds them all.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// What a match must have besides its form.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Proof {
    /// The form alone is proof.
    Form,
    /// The header of a JSON Web Token before it, which is a part of the secret: looked for from its end, because a pattern that begins with
    /// it would follow every such beginning to the end of its word.
    Header,
    /// A digit, so that words are left alone.
    Digit,
    /// A digit and 16 letters or digits in a row, so that names with hyphens are left alone.
    Run,
    /// As random as a generated secret: digits, letters, and at least 3.5 bits per character.
    Random,
    /// The same, and in one piece as no name, path or phrase is: for what stands without quotation marks.
    Dense,
}

/// The forms of secrets: kind, pattern, proof. The secret is the group `s` where there is one, else the whole match.
pub(super) const FORMS: &[(&str, &str, Proof)] = &[
    (
        "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
        Proof::Form,
    ),
    ("jwt", r"\.eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", Proof::Header),
    ("anthropic-key", r"\bsk-ant-[A-Za-z0-9_*-]{6,}", Proof::Form),
    ("api-key", r"\bsk-[A-Za-z0-9_-]{0,60}\*{2,}[A-Za-z0-9_*-]*", Proof::Form),
    ("api-key", r"\bsk-(?:proj|svcacct|admin|or-v1|lf|litellm)-[A-Za-z0-9_-]{12,}", Proof::Digit),
    ("api-key", r"\bsk-[A-Za-z0-9_-]{16,}", Proof::Run),
    ("github-token", r"\bgh[pousr]_[A-Za-z0-9]{20,}", Proof::Form),
    ("github-token", r"\bgithub_pat_[A-Za-z0-9_]{20,}", Proof::Form),
    ("gitlab-token", r"\bgl(?:pat|dt|rt|ptt|cbt|soat|agent|ft|imt)-[A-Za-z0-9_-]{16,}", Proof::Form),
    ("aws-key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", Proof::Form),
    ("aws-key", r#"(?i)\baws_?secret_?(?:access_?)?key["']?\s*[:=]\s*["']?(?P<s>(?:[A-Za-z0-9/+=]|\\{1,8}/){40})"#, Proof::Form),
    ("google-key", r"\bAIza[A-Za-z0-9_-]{30,}", Proof::Form),
    ("google-key", r"\bya29\.[A-Za-z0-9_-]{20,}", Proof::Form),
    ("google-key", r"\bGOCSPX-[A-Za-z0-9_-]{20,}", Proof::Form),
    ("slack-token", r"\bxox[abeoprs]-[A-Za-z0-9-]{8,}", Proof::Digit),
    ("slack-token", r"\bxapp-[0-9]-[A-Za-z0-9-]{10,}", Proof::Form),
    ("slack-token", r"\bhooks\.slack\.com/services/(?P<s>T[A-Za-z0-9_/]{15,})", Proof::Form),
    ("npm-token", r"\bnpm_[A-Za-z0-9]{30,}", Proof::Form),
    ("pypi-token", r"\bpypi-[A-Za-z0-9_-]{40,}", Proof::Form),
    ("crates-token", r"\bcio[A-Za-z0-9]{32}\b", Proof::Digit),
    ("huggingface-token", r"\bhf_[A-Za-z0-9]{30,}", Proof::Form),
    ("api-key", r"\b(?:gsk_|xai-|pplx-|r8_|tvly-|fw_|csk-|nvapi-|lsv2_pt_|ntn_)[A-Za-z0-9_-]{30,}", Proof::Digit),
    ("stripe-key", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", Proof::Form),
    ("webhook-secret", r"\bwhsec_[A-Za-z0-9+/=]{20,}", Proof::Form),
    ("sendgrid-key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", Proof::Form),
    ("twilio-key", r"\bSK[0-9a-f]{32}\b", Proof::Digit),
    ("digitalocean-token", r"\bdo[opr]_v1_[a-f0-9]{64}\b", Proof::Form),
    ("telegram-token", r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b", Proof::Form),
    ("docker-token", r"\bdckr_[po]at_[A-Za-z0-9_-]{20,}", Proof::Form),
    ("vault-token", r"\bhv[sbr]\.[A-Za-z0-9_-]{20,}", Proof::Form),
    ("databricks-token", r"\bdapi[0-9a-f]{32}\b", Proof::Form),
    ("shopify-token", r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b", Proof::Form),
    ("age-key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{40,}", Proof::Form),
    ("cookie", r#"(?i)\b(?:set-)?cookie["']?\s*:\s*["']?(?P<s>[A-Za-z0-9_.-]+=[^\r\n"']{6,})"#, Proof::Form),
    (
        "authorization",
        r#"(?i)\b(?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|apikey)\s+)?(?P<s>[A-Za-z0-9._~+/=-]{8,})"#,
        Proof::Digit,
    ),
    ("authorization", r#"(?i)\b(?:x-)?(?:goog-)?api-key["']?\s*[:=]\s*["']?(?P<s>[A-Za-z0-9._~+/=-]{8,})"#, Proof::Digit),
    ("bearer", r"(?i)\bbearer\s+(?P<s>[A-Za-z0-9._~+/=-]{12,})", Proof::Digit),
    ("url-password", r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@<>{}\[\]]{0,64}:(?P<s>[^\s/@<>{}\[\]$]{3,})@", Proof::Form),
    // Quotation marks may be escaped: a text in JSON in a text.
    (
        "secret",
        r#"(?i)\b[a-z0-9_]{0,48}(?:(?:api|secret|access|account|private|signing|encryption|master|service|auth)[_-]?key|token|secret|passw(?:or)?d|pwd|credentials?)\\{0,32}["']?\s*[:=]\s*\\{0,32}["'](?P<s>(?:[^"'\s\\]|\\{1,8}/){12,})\\{0,32}["']"#,
        Proof::Random,
    ),
    (
        "secret",
        r#"(?i)\b[a-z0-9_]{0,48}(?:(?:api|secret|access|account|private|signing|encryption|master|service|auth)[_-]?key|token|secret|passw(?:or)?d|pwd|credentials?)\\{0,32}["']?\s*[:=]\s*(?P<s>(?:[a-z0-9+/_.~!@#%^*-]|\\{1,8}/)(?:[a-z0-9+/=_.~!@#%^*:?-]|\\{1,8}/){15,})"#,
        Proof::Dense,
    ),
    (
        "secret",
        r#"(?i)--[a-z0-9-]{0,32}(?:api-?key|token|secret|passw(?:or)?d)[ =]\\{0,32}["']?(?P<s>(?:[a-z0-9+/_.~!@#%^*-]|\\{1,8}/)(?:[a-z0-9+/=_.~!@#%^*:?-]|\\{1,8}/){15,})"#,
        Proof::Dense,
    ),
];

/// All forms in one pattern; the group `kN` is form number N, the group `sN` its secret.
pub(super) static PATTERNS: LazyLock<Option<Regex>> = LazyLock::new(|| pattern_of(|_| true));
/// Those that tell a secret by itself, whatever name stands before it.
pub(super) static CERTAIN: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern_of(|proof| !matches!(proof, Proof::Random | Proof::Dense)));

fn pattern_of(is_in: impl Fn(Proof) -> bool) -> Option<Regex> {
    let parts: Vec<String> = FORMS
        .iter()
        .enumerate()
        .filter(|(_, (_, _, proof))| is_in(*proof))
        .map(|(index, (_, pattern, _))| {
            // Markup puts underscores around words: `_key_` is a word of its own, and the key is another.
            let (inner, end) = pattern.strip_suffix(r"\b").map_or((*pattern, ""), |inner| (inner, r"(?:\b|_)"));
            let pattern = match inner.strip_prefix(r"\b").filter(|inner| !inner.contains("(?P<s>")) {
                Some(inner) => format!(r"\b_{{0,3}}(?P<s>{inner}){end}"),
                None => format!("{inner}{end}"),
            };
            // An ASCII word boundary keeps the search fast on texts in any language.
            let pattern = pattern.replace(r"\b", r"(?-u:\b)").replace("(?P<s>", &format!("(?P<s{index}>"));
            format!("(?P<k{index}>{pattern})")
        })
        .collect();
    // The patterns are constants; `the_patterns_compile` proves that this never gives `None`.
    // Its states do not fit what is usual, and were made again and again.
    RegexBuilder::new(&parts.join("|")).size_limit(64 << 20).dfa_size_limit(16 << 20).build().ok()
}
