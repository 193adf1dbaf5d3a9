//! What can be counted in a task's text: a dozen numbers that a sentence embedding does not carry well.
//!
//! Knows characters only, no language model and no history; [`Scale`] learns means and spreads, from the history alone.

/// How many numbers [`features`] returns.
pub const FEATURES: usize = 13;

/// Standardised features are cut here, so that one odd text cannot outweigh a history.
const CLAMP: f64 = 4.0;

/// Words that begin an English question for a fact.
const QUESTION_WORDS: [&str; 9] = ["who", "what", "when", "where", "which", "why", "how", "whose", "whom"];

/// Counts what there is to count in `text`. Counts are logarithmic: the tenth digit says less than the second.
pub fn features(text: &str) -> [f64; FEATURES] {
    let mut count = Counts::default();
    let mut previous = ' ';
    for c in text.chars() {
        count.see(previous, c);
        previous = c;
    }
    let words = Words::of(text);
    [
        log(count.chars),
        log(words.count),
        words.mean_length(),
        log(count.digits),
        log(count.numbers),
        words.largest_number,
        log(count.sentences),
        log(count.questions),
        f64::from(u8::from(words.begins_asking)),
        log(count.code),
        log(count.math),
        share(count.upper, count.letters),
        log(words.odd),
    ]
}

fn log(count: usize) -> f64 {
    (count as f64).ln_1p()
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[derive(Default)]
struct Counts {
    chars: usize,
    letters: usize,
    upper: usize,
    digits: usize,
    numbers: usize,
    sentences: usize,
    questions: usize,
    code: usize,
    math: usize,
}

impl Counts {
    fn see(&mut self, previous: char, c: char) {
        self.chars += 1;
        self.letters += usize::from(c.is_alphabetic());
        self.upper += usize::from(c.is_uppercase());
        if c.is_ascii_digit() {
            self.digits += 1;
            // `1,200` and `3.5` are one number each.
            self.numbers += usize::from(!previous.is_ascii_digit() && !matches!(previous, '.' | ','));
        }
        if matches!(c, '.' | '!' | '?' | '。' | '？' | '！') && !matches!(previous, '.' | '!' | '?') {
            self.sentences += 1;
        }
        self.questions += usize::from(matches!(c, '?' | '？'));
        self.code += usize::from(matches!(c, '{' | '}' | ';' | '`' | '_' | '[' | ']' | '#' | '@' | '|'));
        self.math += usize::from(matches!(
            c,
            '+' | '*'
                | '/'
                | '='
                | '^'
                | '%'
                | '$'
                | '\\'
                | '<'
                | '>'
                | '±'
                | '×'
                | '÷'
                | '≤'
                | '≥'
                | '≠'
                | '√'
                | '∑'
                | '∫'
                | '°'
        ));
    }
}

#[derive(Default)]
struct Words {
    count: usize,
    letters: usize,
    odd: usize,
    largest_number: f64,
    begins_asking: bool,
}

impl Words {
    fn of(text: &str) -> Self {
        let mut words = Self::default();
        for word in text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ',' | '.')) {
            let word = word.trim_matches(|c: char| matches!(c, ',' | '.'));
            if word.is_empty() {
                continue;
            }
            let length = word.chars().count();
            words.count += 1;
            words.letters += length;
            words.odd += usize::from(is_odd(word));
            if words.count == 1 {
                words.begins_asking = QUESTION_WORDS.contains(&word.to_lowercase().as_str());
            }
            if word.starts_with(|c: char| c.is_ascii_digit())
                && let Ok(number) = word.replace(',', "").parse::<f64>()
                && number.is_finite()
            {
                words.largest_number = words.largest_number.max(number.abs().ln_1p());
            }
        }
        words
    }

    fn mean_length(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.letters as f64 / self.count as f64 }
    }
}

/// Returns whether a word has a shape that prose does not: `x2`, `snake_case`, `camelCase`, `a.b`.
fn is_odd(word: &str) -> bool {
    let digit = word.chars().any(|c| c.is_ascii_digit());
    let letter = word.chars().any(char::is_alphabetic);
    let inner = word.chars().any(|c| c == '_') || (letter && word.contains('.'));
    let turns = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    (digit && letter) || inner || turns
}

/// Means and spreads of features, learned from a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    means: Vec<f64>,
    spreads: Vec<f64>,
}

impl Scale {
    /// Learns from the features of a history. A feature that never varies is switched off.
    pub fn of<'a>(rows: impl Iterator<Item = &'a [f64; FEATURES]> + Clone) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mut means = vec![0.0; FEATURES];
        for row in rows.clone() {
            for (mean, value) in means.iter_mut().zip(row) {
                *mean += value / count;
            }
        }
        let mut spreads = vec![0.0; FEATURES];
        for row in rows {
            for ((spread, mean), value) in spreads.iter_mut().zip(&means).zip(row) {
                *spread += (value - mean).powi(2) / count;
            }
        }
        spreads.iter_mut().for_each(|spread| *spread = spread.sqrt());
        Self { means, spreads }
    }

    /// Returns `row` in units of the history's spread, from its mean.
    pub fn apply<'a>(&'a self, row: &'a [f64; FEATURES]) -> impl Iterator<Item = f64> + 'a {
        row.iter()
            .zip(&self.means)
            .zip(&self.spreads)
            .map(|((value, mean), spread)| if *spread > 1e-9 { ((value - mean) / spread).clamp(-CLAMP, CLAMP) } else { 0.0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_questions_and_shapes_are_counted() {
        let f = features("How many of the 1,200 eggs and 3.5 kg? Use parse_v2().");
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(f[3], 7f64.ln_1p());
        near(f[4], 3f64.ln_1p());
        near(f[5], 1200f64.ln_1p());
        near(f[7], 1f64.ln_1p());
        near(f[8], 1.0);
        near(f[12], 1f64.ln_1p());
    }

    #[test]
    fn a_feature_that_never_varies_says_nothing() {
        let rows = [features("one"), features("two")];
        let scale = Scale::of(rows.iter());
        assert!(scale.apply(&features("1 2 3 4?")).all(|value| value == 0.0));
    }

    proptest! {
        #[test]
        fn every_text_has_finite_features(text in ".*", other in ".*", third in "\\PC{0,200}") {
            let rows = [features(&text), features(&other)];
            prop_assert!(rows.iter().flatten().all(|value| value.is_finite()));
            let scale = Scale::of(rows.iter());
            prop_assert!(scale.apply(&features(&third)).all(|value| value.is_finite() && value.abs() <= CLAMP));
        }
    }
}
