//! How a generated secret looks that no form of its own tells: random, and in one piece.

use super::bits_per_char;

/// Returns whether a text is as random as a generated secret.
pub(super) fn is_random(secret: &str) -> bool {
    let has = |is: fn(&u8) -> bool| secret.as_bytes().iter().any(is);
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic) && bits_per_char(secret) >= 3.5
}

/// Returns whether a text without quotation marks is in one piece as generated secrets are: not a path, a name or words with hyphens.
pub(super) fn is_dense(secret: &str) -> bool {
    /// Letters and digits in a row that no word has.
    const RUN_MIN: usize = 16;
    /// Digits in such a row that no name has.
    const DIGITS_MIN: usize = 3;
    if ["/", "./", "../", "~/"].iter().any(|begin| secret.starts_with(begin)) || secret.contains("://") {
        return false;
    }
    let is_uuid = secret.len() == 36 && secret.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    let runs = |is_in: fn(char) -> bool| secret.split(move |c| !is_in(c)).filter(|run| run.len() >= RUN_MIN);
    let digits = |run: &str| run.bytes().filter(u8::is_ascii_digit).count() >= DIGITS_MIN;
    is_uuid
        || runs(|c| c.is_ascii_alphanumeric()).any(|run| digits(run) || is_mixed(run))
        || runs(|c| c.is_ascii_alphanumeric() || "+/".contains(c)).any(is_mixed)
}

/// Returns whether capitals, small letters and digits stand as mixed as by chance: in a name of code they come word by word.
fn is_mixed(run: &str) -> bool {
    let class = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let changes = run.as_bytes().windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    changes * 100 >= run.len() * 36
}
