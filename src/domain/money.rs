//! Money and tokens: integers only, and "unknown" is never zero.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in nUSD: 10⁻⁹ US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// One US dollar in nUSD.
    pub const PER_USD: u64 = 1_000_000_000;

    /// Adds, stopping at the largest amount there is rather than wrapping around.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the amount as an exact decimal number of dollars: `0.0525005`, `2`, `0`.
    pub fn to_decimal(self) -> String {
        let (whole, rest) = (self.0 / Self::PER_USD, self.0 % Self::PER_USD);
        if rest == 0 {
            return whole.to_string();
        }
        let digits = format!("{rest:09}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    }

    /// Reads a decimal number of dollars exactly; `None` when it is negative, not a number, or finer than a nUSD.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && rest.is_empty()) || rest.len() > 9 || !digits(whole) || !digits(rest) {
            return None;
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let rest: u64 = format!("{rest:0<9}").parse().ok()?;
        whole.checked_mul(Self::PER_USD)?.checked_add(rest).map(Self)
    }

    /// Converts a JSON or TOML number of dollars, rounded to the nearest nUSD; `None` when negative or not finite.
    pub fn from_usd(usd: f64) -> Option<Self> {
        let nano = (usd * Self::PER_USD as f64).round();
        (usd.is_finite() && nano >= 0.0 && nano < u64::MAX as f64).then_some(Self(nano as u64))
    }
}

impl std::iter::Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), Self::plus)
    }
}

/// Writes a whole number for people, its thousands apart: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// For people: `$1.23`, `$0.00530`, `$0.000000420`, `$1,234.57`: at least two decimals and three significant digits, rounded to nearest.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As many decimals as three digits need, but two at least and the nine that there are at most.
        let digits = self.0.checked_ilog10().map_or(0, |log| log as usize + 1);
        let decimals = if self.0 == 0 { 2 } else { (12 - digits.min(12)).clamp(2, 9) };
        let unit = 10u64.pow(9 - decimals as u32);
        let rounded = self.0 / unit + u64::from(self.0 % unit * 2 >= unit);
        let scale = 10u64.pow(decimals as u32);
        write!(f, "${}.{:0decimals$}", grouped(rounded / scale), rounded % scale)
    }
}

/// Tokens of one call by kind. `reasoning` is a part of `output`, never to be added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Input tokens that touched no cache.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: u64,
    /// Input tokens written to the provider's short-lived cache.
    pub cache_write_5m: u64,
    /// Input tokens written to the provider's long-lived cache.
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    pub output: u64,
    /// Of the output, tokens spent on reasoning.
    pub reasoning: u64,
}

impl TokenUsage {
    /// Returns all input tokens, cached or not: what long-context bands look at.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write_5m).saturating_add(self.cache_write_1h)
    }

    /// Adds kind by kind, saturating.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            cache_read: self.cache_read.saturating_add(other.cache_read),
            cache_write_5m: self.cache_write_5m.saturating_add(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.saturating_add(other.cache_write_1h),
            output: self.output.saturating_add(other.output),
            reasoning: self.reasoning.saturating_add(other.reasoning),
        }
    }

    /// Returns what it has more than `part`, kind by kind; `None` when that is nothing, or it has less of some kind.
    pub fn beyond(self, part: Self) -> Option<Self> {
        let more = Self {
            input: self.input.checked_sub(part.input)?,
            cache_read: self.cache_read.checked_sub(part.cache_read)?,
            cache_write_5m: self.cache_write_5m.checked_sub(part.cache_write_5m)?,
            cache_write_1h: self.cache_write_1h.checked_sub(part.cache_write_1h)?,
            output: self.output.checked_sub(part.output)?,
            reasoning: self.reasoning.checked_sub(part.reasoning)?,
        };
        (more != Self::default()).then_some(more)
    }
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Reported,
    /// The provider said nothing; Meno counted from the texts.
    Estimated,
}

/// Prices of one band of one model, in nUSD per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPrices {
    /// Uncached input.
    pub input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Reading the cache.
    pub cache_read: u64,
    /// Writing the short-lived cache.
    pub cache_write_5m: u64,
    /// Writing the long-lived cache.
    pub cache_write_1h: u64,
}

impl UnitPrices {
    /// Returns the price of one call: the sum of tokens × price over the kinds, rounded half up to one nUSD, once.
    ///
    /// `reasoning` is inside `output` and not added again.
    pub fn cost(&self, usage: &TokenUsage) -> NanoUsd {
        let part = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let sum = part(usage.input, self.input)
            + part(usage.cache_read, self.cache_read)
            + part(usage.cache_write_5m, self.cache_write_5m)
            + part(usage.cache_write_1h, self.cache_write_1h)
            + part(usage.output, self.output);
        NanoUsd(u64::try_from((sum + 500_000) / 1_000_000).unwrap_or(u64::MAX))
    }
}

/// What the caches of providers saved: an estimate by the prices that were known, against the same input without a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheSavings {
    /// What reading cost less than plain input, minus what writing cost more, in nUSD.
    pub saved: i128,
    /// Charges that read from a cache and whose prices are known.
    pub priced: u64,
    /// Charges that read from a cache at unknown prices.
    pub unpriced: u64,
}

impl CacheSavings {
    /// Returns what the cache saved in one charge.
    pub fn of(usage: Option<&TokenUsage>, prices: Option<&UnitPrices>) -> Self {
        let Some(usage) = usage else { return Self::default() };
        let reads = u64::from(usage.cache_read > 0);
        let Some(prices) = prices else { return Self { unpriced: reads, ..Self::default() } };
        let less = |tokens: u64, price: u64| i128::from(tokens) * (i128::from(prices.input) - i128::from(price));
        let saved = less(usage.cache_read, prices.cache_read)
            + less(usage.cache_write_5m, prices.cache_write_5m)
            + less(usage.cache_write_1h, prices.cache_write_1h);
        Self { saved: saved / 1_000_000, priced: reads, unpriced: 0 }
    }

    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: Self) {
        self.saved += other.saved;
        self.priced += other.priced;
        self.unpriced += other.unpriced;
    }

    /// Takes out what `other` holds, which is a part of this.
    pub fn take_out(&mut self, other: Self) {
        self.saved -= other.saved;
        self.priced = self.priced.saturating_sub(other.priced);
        self.unpriced = self.unpriced.saturating_sub(other.unpriced);
    }

    /// Returns the amount in nUSD, less than zero where writing cost more than reading saved; `None` where nothing was read from a cache at
    /// known prices.
    pub fn amount(&self) -> Option<i64> {
        let most = if self.saved < 0 { i64::MIN } else { i64::MAX };
        (self.priced > 0).then(|| i64::try_from(self.saved).unwrap_or(most))
    }

    /// Tells whether the prices of all that was read from a cache are known.
    pub fn is_complete(&self) -> bool {
        self.unpriced == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_saves_what_reading_costs_less_without_what_writing_costs_more() {
        let prices = UnitPrices {
            input: 3_000_000_000,
            output: 15_000_000_000,
            cache_read: 300_000_000,
            cache_write_5m: 3_750_000_000,
            cache_write_1h: 6_000_000_000,
        };
        let usage = |cache_read, cache_write_5m, cache_write_1h| TokenUsage {
            input: 7,
            cache_read,
            cache_write_5m,
            cache_write_1h,
            output: 9,
            reasoning: 0,
        };
        let mut sum = CacheSavings::of(Some(&usage(0, 1_000, 100)), Some(&prices));
        // What is written and never read is no saving that could be told.
        assert_eq!((sum.saved, sum.amount()), (-750_000 - 300_000, None));
        sum.merge(CacheSavings::of(Some(&usage(1_000, 0, 0)), Some(&prices)));
        assert_eq!((sum.amount(), sum.is_complete()), (Some(2_700_000 - 1_050_000), true));
        let unknown = CacheSavings::of(Some(&usage(5, 0, 0)), None);
        assert_eq!((unknown.amount(), unknown.is_complete()), (None, false));
        sum.merge(unknown);
        assert_eq!((sum.amount(), sum.is_complete()), (Some(1_650_000), false));
        sum.take_out(unknown);
        assert!(sum.is_complete());
        assert_eq!(CacheSavings::of(Some(&usage(0, 0, 0)), None), CacheSavings::default());
        assert_eq!(CacheSavings::of(None, Some(&prices)), CacheSavings::default());
    }

    #[test]
    fn dollars_are_read_and_written_exactly() {
        for text in ["0", "0.000000001", "2", "0.0525005", "18446744073.709551615"] {
            assert_eq!(NanoUsd::from_decimal(text).map(NanoUsd::to_decimal).as_deref(), Some(text));
        }
        for text in ["", ".", "-1", "1e3", "0.0000000001", "18446744073.709551616", "1.2.3", " 1"] {
            assert_eq!(NanoUsd::from_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn people_see_two_decimals_or_three_digits() {
        let cases = [
            (0, "$0.00"),
            (1, "$0.000000001"),
            (420, "$0.000000420"),
            (5_300_000, "$0.00530"),
            (999_999_999, "$1.000"),
            (1_234_567_890, "$1.23"),
            (999_994_999_999, "$999.99"),
            (999_995_000_000, "$1,000.00"),
            (12_345_678_900_000, "$12,345.68"),
            (u64::MAX, "$18,446,744,073.71"),
        ];
        for (nano, shown) in cases {
            assert_eq!(NanoUsd(nano).to_string(), shown, "{nano}");
        }
    }

    #[test]
    fn reasoning_is_not_paid_twice() {
        let prices = UnitPrices { output: 10_000_000_000, ..UnitPrices::default() };
        let usage = TokenUsage { output: 2_000, reasoning: 1_500, ..TokenUsage::default() };
        assert_eq!(prices.cost(&usage), NanoUsd(20_000_000));
    }
}
