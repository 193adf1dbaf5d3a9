//! Where the money went: charges by UTC quarter hour and by everything that they can be asked by, sums of these by UTC day, week and month,
//! and one row per model call.
//!
//! Money counts at once, not when its run ends, and every charge is in exactly one row of each kind: the sum of the rows is the sum of the
//! `CostIncurred` events, for each mode by itself. What has no price, was lost, or came without a cost from another system is counted as
//! unknown. A run's payer stays when the run has ended, because a charge can come late. Prompts and outputs never get here.
//!
//! The days of a zone begin at a multiple of a quarter hour, as far as the zone's offset is one: India is at +05:30, Nepal at +05:45.
//! Local mean times, the last of which ended in 1972, are not: there a quarter hour can lie in two days.

pub mod calls;
mod payer;
pub mod rollup;
#[cfg(test)]
mod tests;
pub mod tools;

use serde::{Deserialize, Serialize};

use super::rows::{self, Key, KeyReader};
use super::{Projection, Rows};
use crate::domain::event::{Mode, Purpose, Recorded};
use crate::domain::ids::{RunId, TimeNs};
use crate::domain::money::{CacheSavings, TokenUsage};
use crate::domain::tier::Tier;
pub use payer::{CostFold, RunCalls};

/// The projection's name, by which its rows are asked for.
pub const NAME: &str = "costs";

/// First byte of the keys of sums.
pub const KIND: u8 = b'h';
/// First byte of the keys of sums of quarter hours, whatever was called: few rows however many calls there are.
pub const KIND_TIME: u8 = b'q';
/// First byte of the keys of payers.
pub const KIND_PAYER: u8 = b'p';

/// Nanoseconds of a quarter hour.
const QUARTER_NS: i64 = 900_000_000_000;
/// Quarter hours of a day.
pub const QUARTERS_OF_DAY: i64 = 96;

/// Keeps charges and calls.
#[derive(Debug, Default)]
pub struct Costs;

impl Projection for Costs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn version(&self) -> u32 {
        8
    }

    fn apply(&self, rows: &mut dyn Rows, event: &Recorded) -> Result<(), String> {
        let Some(run) = event.envelope.run.filter(|_| payer::looks_at(&event.event)) else { return Ok(()) };
        let key = CostFold::key(run);
        let before: Option<CostFold> = rows.get(&key).as_deref().map(rows::read).transpose()?;
        let mut payer = before.clone().unwrap_or_default();
        payer.apply(&mut payer::InRows(rows), run, event)?;
        if before.as_ref() != Some(&payer) {
            rows.put(&key, rows::write(&payer)?);
        }
        Ok(())
    }
}

/// What a sum of charges is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CostKey {
    /// The quarter hour, in UTC quarter hours since the epoch.
    pub quarter: i64,
    /// Whether models were real.
    pub mode: Mode,
    /// The provider's name in the settings; empty when not known.
    pub provider: String,
    /// The model; empty when not known.
    pub model: String,
    /// The tier.
    pub tier: Tier,
    /// The template's id.
    pub template: String,
    /// The agent's role.
    pub role: String,
    /// Work or judging.
    pub purpose: Purpose,
    /// The folder that the run was started in; empty when not known.
    pub workspace: String,
    /// The run's labels as `key=value`, sorted, one per line.
    pub labels: String,
}

impl CostKey {
    /// Returns the key's bytes; they begin with the quarter hour.
    #[cfg(test)]
    pub fn to_bytes(&self) -> Vec<u8> {
        rollup::Sums::QUARTERS.key(self)
    }

    /// Reads the key of any of the [`Sums`](rollup::Sums), and the number of the stretch that it is about. That stands in the place of the quarter hour,
    /// and what the sums are not told apart by is empty.
    pub fn read(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key);
        let quarter = reader.signed()?;
        let byte = reader.byte()?;
        let mode = [Mode::Real, Mode::Simulated, Mode::Imported].into_iter().find(|mode| *mode as u8 == byte)?;
        if key.first() == Some(&KIND_TIME) {
            return Some(Self {
                quarter,
                mode,
                provider: String::new(),
                model: String::new(),
                tier: Tier::Cheap,
                template: String::new(),
                role: String::new(),
                purpose: Purpose::Work,
                workspace: String::new(),
                labels: String::new(),
            });
        }
        Some(Self {
            quarter,
            mode,
            provider: reader.text()?.to_owned(),
            model: reader.text()?.to_owned(),
            tier: {
                let byte = reader.byte()?;
                Tier::ALL.into_iter().find(|tier| *tier as u8 == byte)?
            },
            template: reader.text()?.to_owned(),
            role: reader.text()?.to_owned(),
            purpose: {
                let byte = reader.byte()?;
                [Purpose::Work, Purpose::Judge].into_iter().find(|purpose| *purpose as u8 == byte)?
            },
            workspace: reader.text()?.to_owned(),
            labels: reader.text()?.to_owned(),
        })
    }
}

/// Returns the UTC quarter hour of a moment (ns since the epoch), in quarter hours since the epoch.
pub fn quarter_of(at: TimeNs) -> i64 {
    at.div_euclid(QUARTER_NS)
}

/// Returns the UTC month of a quarter hour, in months since the epoch.
pub fn month_of(quarter: i64) -> i64 {
    // Years of 400 come round after as many days whatever year they begin with; here a year begins in March, so that leap days are last.
    let days = quarter.div_euclid(QUARTERS_OF_DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    (era * 400 + year) * 12 + month + 2 - 1970 * 12
}

/// Returns the first quarter hour of a UTC month (in months since the epoch).
pub fn month_begin(month: i64) -> i64 {
    let months = month + 1970 * 12 - 2;
    let (years, month) = (months.div_euclid(12), months.rem_euclid(12));
    let (era, year) = (years.div_euclid(400), years.rem_euclid(400));
    let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5;
    (era * 146_097 + day - 719_468) * QUARTERS_OF_DAY
}

/// Returns a quarter hour in the middle of a UTC month: whatever the zone, it is in the same month there.
pub fn month_middle(month: i64) -> i64 {
    month_begin(month) + 14 * QUARTERS_OF_DAY
}

/// Returns the first moment of a quarter hour, in ns since the epoch.
pub fn quarter_begin(quarter: i64) -> TimeNs {
    quarter.saturating_mul(QUARTER_NS)
}

/// Returns the last moment of a quarter hour, in ns since the epoch.
pub fn quarter_end(quarter: i64) -> TimeNs {
    quarter_begin(quarter).saturating_add(QUARTER_NS - 1)
}

/// A sum of charges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRow {
    /// Model calls; an attempt of another system counts as one.
    pub calls: u64,
    /// Charges whose amount is not known.
    pub unknown: u64,
    /// What is known, in nUSD.
    pub amount: u128,
    /// Tokens, as far as known.
    pub usage: TokenUsage,
    /// What caches saved.
    pub cache: CacheSavings,
}

impl CostRow {
    /// Adds everything that `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.unknown += other.unknown;
        self.amount += other.amount;
        self.usage = self.usage.plus(other.usage);
        self.cache.merge(other.cache);
    }

    /// Takes out what `other` holds, which is a part of this.
    pub fn take_out(&mut self, other: &Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.unknown = self.unknown.saturating_sub(other.unknown);
        self.amount = self.amount.saturating_sub(other.amount);
        self.usage = payer::minus(self.usage, other.usage);
        self.cache.take_out(other.cache);
    }
}

impl CostFold {
    /// Returns the key of a run's payer.
    pub fn key(run: RunId) -> Vec<u8> {
        Key::new(KIND_PAYER).bytes(&run.to_bytes()).finish()
    }
}
