//! Cuts a query into words, quoted phrases, `key:value` pairs and `-words`, in one pass from left to right.
//!
//! Knows no key and no meaning: whoever reads a pair says whether it is one.

/// Bytes of a query that are looked at; what lies behind is not read.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;

/// A word with what the grammar needs to know of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Lower case, without punctuation around it and without a possessive `'s`.
    pub text: String,
    /// The word as it was typed, punctuation included.
    pub raw: String,
    /// It begins with a capital letter.
    pub capital: bool,
    /// A possessive `'s` was cut off.
    pub possessive: bool,
    /// A comma, full stop or the like stands behind it.
    pub stop: bool,
}

/// A piece of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A word, or an operator such as `>`.
    Word(Word),
    /// What stands in quotes.
    Phrase(String),
    /// What must not occur: `-word` or `-"a phrase"`.
    Without(String),
    /// What looks like `key:value`.
    Pair(Pair),
}

/// What looks like `key:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// It was typed `-key:value`.
    pub negated: bool,
    /// The key, lower case.
    pub key: String,
    /// The values between commas, without quotes; an operator stays in front.
    pub values: Vec<String>,
    /// As typed.
    pub raw: String,
}

/// Quotes of every kind open and close alike: so that an unbalanced one costs no second look at what follows.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}' | '\u{bb}' | '「' | '」' | '『' | '』')
}

/// Tells whether `c` belongs to a script that puts no spaces between words.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}

/// Returns the first place where such a script meets another: names and numbers in a Japanese question are words of their own.
fn meeting(text: &str) -> Option<usize> {
    let chars = text.char_indices().zip(text.chars().skip(1));
    let mut meetings = chars.filter(|((_, one), next)| is_unspaced(*one) != is_unspaced(*next));
    meetings.next().map(|((at, one), _)| at + one.len_utf8())
}

fn is_operator(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '≤' | '≥')
}

/// Returns `query` without control characters, and whether its end was cut off.
pub fn clean(query: &str) -> (String, bool) {
    let cut = query.floor_char_boundary(QUERY_BYTES_MAX);
    let head = query.get(..cut).unwrap_or_default();
    (head.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), cut < query.len())
}

/// Cuts a cleaned query into pieces.
pub fn scan(query: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = query;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { return pieces };
        let mut inner = rest.chars().skip(1);
        let minus = first == '-' && !is_flag(rest) && inner.next().is_some_and(|c| c.is_alphabetic() || is_quote(c));
        let body = if minus { rest.get(1..).unwrap_or_default() } else { rest };
        if body.starts_with(is_quote) {
            let (phrase, after) = quoted(body);
            match phrase {
                Some(phrase) if minus => pieces.push(Piece::Without(phrase)),
                Some(phrase) => pieces.push(Piece::Phrase(phrase)),
                None => {}
            }
            rest = after;
            continue;
        }
        if let Some((pair, after)) = pair(rest, body, minus) {
            pieces.push(Piece::Pair(pair));
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| c.is_whitespace() || is_quote(c)).unwrap_or(rest.len());
        let (raw, after) = rest.split_at(end);
        if minus {
            let word = trimmed(raw.get(1..).unwrap_or_default());
            if !word.is_empty() {
                pieces.push(Piece::Without(word.to_owned()));
            }
        } else {
            split(raw, &mut pieces);
        }
        rest = after;
    }
}

/// Tells whether a text begins with an option of a command, `-m`: commands are searched for as they were typed, and nobody leaves out
/// whatever has a letter in it.
fn is_flag(text: &str) -> bool {
    let mut after = text.chars().skip(1);
    after.next().is_some_and(|letter| letter.is_ascii_alphabetic()) && after.next().is_none_or(char::is_whitespace)
}

/// Reads `"…"` at the start; without an end, the quote counts for nothing.
fn quoted(text: &str) -> (Option<String>, &str) {
    let mut chars = text.chars();
    chars.next();
    let inside = chars.as_str();
    match inside.find(is_quote) {
        Some(end) => {
            let (phrase, after) = inside.split_at(end);
            let mut after = after.chars();
            after.next();
            let phrase = phrase.split_whitespace().collect::<Vec<_>>().join(" ");
            ((!phrase.is_empty()).then_some(phrase), after.as_str())
        }
        None => (None, inside),
    }
}

/// Reads `key:value` at the start of `body`.
fn pair<'q>(rest: &'q str, body: &'q str, negated: bool) -> Option<(Pair, &'q str)> {
    let open = body.strip_prefix(['(', '[']).unwrap_or(body);
    // `label.team:core` names the key of a label.
    let is_label = open.get(..6).is_some_and(|begin| begin.eq_ignore_ascii_case("label."));
    let is_key = |c: char| c.is_ascii_alphabetic() || c == '_' || is_label && (c.is_ascii_digit() || matches!(c, '.' | '-'));
    let colon = open.find(|c: char| !is_key(c)).filter(|at| (2..=if is_label { 60 } else { 20 }).contains(at))?;
    let (key, value) = open.split_at(colon);
    let value = value.strip_prefix(':')?;
    if value.starts_with([':', '/', '\\']) {
        return None;
    }
    // `cost:> 1` and `cost: >1`: an operator binds the word that follows.
    let gap = value.len() - value.trim_start().len();
    let joined = if gap > 0 && value.trim_start().starts_with(is_operator) { value.trim_start() } else { value };
    let operator = joined.find(|c: char| !is_operator(c)).unwrap_or(joined.len());
    let after_operator = joined.get(operator..).unwrap_or_default();
    let skip = if operator > 0 { after_operator.len() - after_operator.trim_start().len() } else { 0 };
    let start = operator + skip;
    let mut values = vec![joined.get(..operator).unwrap_or_default().to_owned()];
    let mut inside = false;
    let mut end = start;
    for c in joined.get(start..).unwrap_or_default().chars() {
        if is_quote(c) {
            // A quote that is never closed counts for nothing; it is the last one, so this is looked for only once.
            let closed = joined.get(end + c.len_utf8()..).is_some_and(|tail| tail.contains(is_quote));
            inside = !inside && closed;
        } else if c.is_whitespace() && !inside {
            break;
        } else if c == ',' && !inside {
            values.push(String::new());
        } else if let Some(value) = values.last_mut() {
            value.push(c);
        }
        end += c.len_utf8();
    }
    for value in &mut values {
        let trimmed = value.trim().trim_end_matches([';', '?', '!', ')', ']']);
        let trimmed = if trimmed.ends_with("..") { trimmed } else { trimmed.trim_end_matches('.') };
        *value = trimmed.to_owned();
    }
    values.retain(|value| !value.is_empty());
    if values.is_empty() {
        return None;
    }
    let after = joined.get(end..).unwrap_or_default();
    let raw = rest.get(..rest.len() - after.len()).unwrap_or_default().to_owned();
    Some((Pair { negated, key: key.to_ascii_lowercase(), values, raw }, after))
}

/// Returns `text` without the punctuation around it.
fn trimmed(text: &str) -> &str {
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '$' | '¢' | '€' | '%' | '+' | '#' | '_'));
    // "Oct '25"
    let year = |text: &str| text.len() == 3 && text.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    if text.starts_with('\'') && year(text) {
        return text;
    }
    text.trim_start_matches(|c: char| {
        matches!(c, '(' | '[' | '{' | ',' | ';' | ':' | '!' | '?' | '\'' | '`' | '*' | '¿' | '¡' | '\u{2018}')
    })
}

/// Cuts what stands between spaces into words: where scripts meet, at dashes, at commas outside numbers, at an operator before an amount.
fn split(raw: &str, pieces: &mut Vec<Piece>) {
    let mut rest = raw;
    while let Some((head, tail)) = meeting(rest).and_then(|at| rest.split_at_checked(at)) {
        split_spaced(head, pieces);
        rest = tail;
    }
    split_spaced(rest, pieces);
}

fn split_spaced(raw: &str, pieces: &mut Vec<Piece>) {
    let digits = |text: &str, at: usize, c: char| {
        let before = text.get(..at).is_some_and(|head| head.ends_with(|c: char| c.is_ascii_digit()));
        let tail = text.get(at + c.len_utf8()..).unwrap_or_default();
        before && tail.starts_with(|c: char| c.is_ascii_digit())
    };
    let amount = |text: &str| {
        let text = text.strip_prefix(['=', '$']).unwrap_or(text);
        text.strip_prefix('$').unwrap_or(text).starts_with(|c: char| c.is_ascii_digit() || c == '.')
    };
    let mut rest = raw;
    while !rest.is_empty() {
        let cut = rest.char_indices().find(|(at, c)| match c {
            '–' | '—' | ';' | '|' | '·' | '•' | '、' | '。' | '，' | '？' | '！' | '；' => true,
            ',' => !digits(rest, *at, ','),
            '<' | '>' | '≤' | '≥' => {
                rest.get(at + c.len_utf8()..).is_none_or(|tail| tail.is_empty() || tail == "=" || amount(tail))
            }
            _ => false,
        });
        let Some((at, c)) = cut else {
            word(rest, false, pieces);
            return;
        };
        let (head, tail) = rest.split_at(at);
        let mut tail = tail.get(c.len_utf8()..).unwrap_or_default();
        word(head, !is_operator(c) && !matches!(c, '–' | '—'), pieces);
        if is_operator(c) {
            let equal = tail.strip_prefix('=');
            let name = match (c, equal) {
                ('<', None) => "<",
                ('>', None) => ">",
                ('<' | '≤', _) => "<=",
                _ => ">=",
            };
            tail = equal.unwrap_or(tail);
            push(name, name, false, pieces);
        } else if matches!(c, '–' | '—') {
            push("–", "–", false, pieces);
        }
        rest = tail;
    }
}

fn word(raw: &str, comma: bool, pieces: &mut Vec<Piece>) {
    let core = trimmed(raw);
    let stop = comma || raw.trim_end_matches(['\'', ')', ']', '}', '`']).ends_with(['.', '?', '!', ':', ')']);
    if core.is_empty() {
        let operator = !raw.is_empty() && raw.chars().all(|c| is_operator(c) || matches!(c, '-' | '&'));
        if operator {
            push(raw, raw, false, pieces);
        } else if let Some(Piece::Word(before)) = pieces.last_mut() {
            before.stop |= !raw.is_empty() || comma;
        }
        return;
    }
    push(core, raw, stop, pieces);
}

fn push(core: &str, raw: &str, stop: bool, pieces: &mut Vec<Piece>) {
    let text = core.to_lowercase().replace('\u{2019}', "'");
    let (text, possessive) = match text.strip_suffix("'s") {
        Some(owner) => (owner.to_owned(), true),
        None => (text, false),
    };
    let capital = core.starts_with(char::is_uppercase);
    pieces.push(Piece::Word(Word { text, raw: raw.to_owned(), capital, possessive, stop }));
}
