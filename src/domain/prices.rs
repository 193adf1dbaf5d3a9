//! What tokens cost: which row of the price table a model has, which of its bands applies, and what a call costs at most.
//!
//! A table is merged from files, later ones over earlier ones, row by row of (provider, model); it is a value that a
//! run records and a replay reads back. Nothing here knows where the files lie or what day it is. An unknown model has
//! no price (`None`), which is never the same as free. Start with [`PriceTable::price`].
//!
//! Components that a row leaves out are never free: reading or writing the cache then costs what plain input costs,
//! and the long-lived cache at least what the short-lived one does.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::Hash;
use super::json_fault::JsonFault;
use super::money::{NanoUsd, TokenUsage, UnitPrices};

/// Days after which a table is worth a warning.
pub const FRESH_DAYS: i64 = 90;

/// Prices below this many nUSD per million tokens are taken for dollars written by mistake.
const PRICE_MIN: u64 = 1_000;

/// A file of prices: the embedded table, the user's `prices.json`, or the one given with `--prices`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceFile {
    /// The day that the prices were looked up, `2026-11-22`.
    pub as_of: String,
    /// Always `USD`.
    #[serde(default = "usd")]
    pub currency: String,
    /// Always `nUSD per million tokens`: 1 USD per million tokens is 1000000000.
    #[serde(default = "nusd_per_mtok")]
    pub unit: String,
    /// Where the prices come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Providers of the settings that have no rows of their own: whose prices they have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Tariff>,
    /// The models.
    pub rows: Vec<PriceRow>,
}

fn usd() -> String {
    "USD".to_owned()
}

fn nusd_per_mtok() -> String {
    "nUSD per million tokens".to_owned()
}

/// Whose prices a provider has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Tariff {
    /// Costs nothing: a model on the user's own machine.
    Free,
    /// The rows of another provider.
    SameAs(String),
    /// Its own rows, else those of whichever provider has the model, the first by name: for simulations of real models.
    AnyProvider,
}

/// The prices of one model of one provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// The provider's name in the settings.
    pub provider: String,
    /// The model's id.
    pub model: String,
    /// Other ids of the same model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The row also holds for every model whose id begins with `model` and that no other row names better.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prefix: bool,
    /// The input window in tokens.
    #[serde(default)]
    pub context_tokens: Option<u64>,
    /// Output tokens of one call, at most.
    #[serde(default)]
    pub max_output_tokens: Option<u64>,
    /// The prices, in nUSD per million tokens.
    pub nusd_per_mtok: Prices,
    /// Prices for long inputs: the highest band below the total input applies to all tokens of the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<Band>,
    /// Prices that held before, each up to a day: for calls that were made then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierPrices>,
    /// The day on which the provider switches the model off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires: Option<String>,
    /// Where this row comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The day that this row was looked up; the file's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// Prices that held up to a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlierPrices {
    /// The first day on which they did not hold any more, in UTC.
    pub until: String,
    /// The prices, in nUSD per million tokens.
    pub nusd_per_mtok: Prices,
    /// Prices for long inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bands: Vec<Band>,
}

/// Prices by kind of token, in nUSD per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// Uncached input.
    pub input: u64,
    /// Output, reasoning included.
    pub output: u64,
    /// Reading the cache; as `input` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// Writing the short-lived cache; as `input` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Writing the long-lived cache; as `cache_write` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<u64>,
}

impl Prices {
    fn units(&self) -> UnitPrices {
        let cache_write_5m = self.cache_write.unwrap_or(self.input);
        UnitPrices {
            input: self.input,
            output: self.output,
            cache_read: self.cache_read.unwrap_or(self.input),
            cache_write_5m,
            cache_write_1h: self.cache_write_1h.unwrap_or(cache_write_5m),
        }
    }

    fn all(&self) -> impl Iterator<Item = u64> {
        [Some(self.input), Some(self.output), self.cache_read, self.cache_write, self.cache_write_1h].into_iter().flatten()
    }
}

/// Prices that hold above an input length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The band applies when the total input, cached or not, is strictly above this many tokens.
    pub above_input_tokens: u64,
    /// The prices, in nUSD per million tokens.
    pub nusd_per_mtok: Prices,
}

/// Why a file of prices cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// It is not JSON of the right form.
    #[error("not a price table: {0}")]
    Form(JsonFault),
    /// A value outside the rows is wrong.
    #[error("{0}")]
    Header(String),
    /// A row is wrong.
    #[error("row {row} ({provider}/{model}): {problem}")]
    Row {
        /// The row, from 1.
        row: usize,
        /// Its provider.
        provider: String,
        /// Its model.
        model: String,
        /// What is wrong.
        problem: String,
    },
}

/// What a call costs, and at which prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// The amount.
    pub amount: NanoUsd,
    /// The prices that applied.
    pub unit: UnitPrices,
    /// The band: total input tokens above which it applies; 0 for the base prices.
    pub band_above: u64,
}

/// The prices in force.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceTable {
    as_of: Date,
    rows: BTreeMap<(String, String), PriceRow>,
    tariffs: BTreeMap<String, Tariff>,
}

impl PriceFile {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// What is wrong, with the row: unknown keys, missing prices, dates that are none, models given twice.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        let file: Self = serde_json::from_str(text).map_err(|error| PriceError::Form(JsonFault::of(text, &error)))?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), PriceError> {
        let header = |problem: String| Err(PriceError::Header(problem));
        if day(&self.as_of).is_none() {
            return header(format!("as_of: `{}` is not a day like 2026-11-22", self.as_of));
        }
        if self.currency != usd() {
            return header(format!("currency: `{}` is not supported, only USD", self.currency));
        }
        if self.unit != nusd_per_mtok() {
            return header(format!("unit: `{}` is not supported, only `{}`", self.unit, nusd_per_mtok()));
        }
        let mut seen = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let wrong = |problem: String| {
                let (provider, model) = (row.provider.clone(), row.model.clone());
                Err(PriceError::Row { row: index + 1, provider, model, problem })
            };
            if row.provider.is_empty() || row.model.is_empty() {
                return wrong("provider and model must not be empty".to_owned());
            }
            for name in std::iter::once(&row.model).chain(&row.aliases) {
                if let Some(other) = seen.insert((&row.provider, name), index + 1) {
                    return wrong(format!("`{name}` is in row {other} already"));
                }
            }
            for (what, date) in [("retires", &row.retires), ("as_of", &row.as_of)] {
                if let Some(text) = date.as_deref().filter(|text| day(text).is_none()) {
                    return wrong(format!("{what}: `{text}` is not a day like 2026-11-22"));
                }
            }
            let mut before = "";
            for earlier in &row.earlier {
                let until = &earlier.until;
                if day(until).is_none() || until.as_str() <= before {
                    return wrong(format!("earlier: `{until}` must be a day like 2026-11-22, later than the one before it"));
                }
                before = until;
            }
            let earlier = row.earlier.iter().map(|earlier| (&earlier.nusd_per_mtok, &earlier.bands));
            let priced: Vec<_> = std::iter::once((&row.nusd_per_mtok, &row.bands)).chain(earlier).collect();
            let banded = |bands: &'_ Vec<Band>| bands.iter().flat_map(|band| band.nusd_per_mtok.all()).collect::<Vec<_>>();
            let all = priced.iter().flat_map(|(prices, bands)| prices.all().chain(banded(bands)));
            if let Some(low) = all.into_iter().find(|price| (1..PRICE_MIN).contains(price)) {
                return wrong(format!(
                    "a price of {low} looks like dollars; the unit is nUSD per million tokens, so $1 is 1000000000"
                ));
            }
            for (_, bands) in priced {
                let mut above = 0;
                for band in bands {
                    if band.above_input_tokens <= above {
                        return wrong(
                            "bands must rise: each above_input_tokens above the one before, the first above 0".to_owned(),
                        );
                    }
                    above = band.above_input_tokens;
                }
            }
        }
        Ok(())
    }
}

impl PriceTable {
    /// Merges checked files, the weakest first: a row replaces an earlier one of the same provider and model, with its
    /// bands. The table is as old as its newest file; each row keeps its own day.
    pub fn merge(files: impl IntoIterator<Item = PriceFile>) -> Self {
        let mut table = Self { as_of: Date::MIN, rows: BTreeMap::new(), tariffs: BTreeMap::new() };
        for file in files {
            table.as_of = table.as_of.max(day(&file.as_of).unwrap_or(Date::MIN));
            table.tariffs.extend(file.providers);
            for mut row in file.rows {
                row.as_of.get_or_insert_with(|| file.as_of.clone());
                // A name belongs to one row of the table only: the one that came last.
                for earlier in table.rows.values_mut().filter(|earlier| earlier.provider == row.provider) {
                    earlier.aliases.retain(|alias| *alias != row.model && !row.aliases.contains(alias));
                }
                table.rows.insert((row.provider.clone(), row.model.clone()), row);
            }
        }
        table
    }

    /// Adds what the settings say about providers; what a file says about the same provider wins.
    #[must_use]
    pub fn with_tariffs(mut self, tariffs: impl IntoIterator<Item = (String, Tariff)>) -> Self {
        for (provider, tariff) in tariffs {
            self.tariffs.entry(provider).or_insert(tariff);
        }
        self
    }

    /// Returns the day of the newest file, `2026-11-22`.
    pub fn as_of(&self) -> String {
        self.as_of.to_string()
    }

    /// Returns all rows, by provider and model.
    pub fn rows(&self) -> impl Iterator<Item = &PriceRow> {
        self.rows.values()
    }

    /// Returns the table as one file, in its canonical order: what [`PriceFile::parse`] and [`Self::merge`] turn into
    /// an equal table.
    pub fn to_file(&self) -> PriceFile {
        PriceFile {
            as_of: self.as_of(),
            currency: usd(),
            unit: nusd_per_mtok(),
            note: None,
            providers: self.tariffs.clone(),
            rows: self.rows.values().cloned().collect(),
        }
    }

    /// Returns the table narrowed to the (provider, model) pairs of `used`: what a run records. It prices these pairs
    /// exactly as the whole table does.
    #[must_use]
    pub fn narrowed<'a>(&self, used: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut narrow = Self { as_of: self.as_of, rows: BTreeMap::new(), tariffs: BTreeMap::new() };
        for (provider, model) in used {
            if let Some(tariff) = self.tariffs.get(provider) {
                narrow.tariffs.insert(provider.to_owned(), tariff.clone());
            }
            if let Some(row) = self.row(provider, model) {
                narrow.rows.insert((row.provider.clone(), row.model.clone()), row.clone());
            }
        }
        narrow
    }

    /// Returns the BLAKE3 hash of the canonical table: equal tables have equal hashes, whatever files they came from.
    pub fn hash(&self) -> Hash {
        // A struct of strings, numbers and string-keyed maps always has a JSON form, so the default is never used.
        Hash::of(&serde_json::to_vec(&self.to_file()).unwrap_or_default())
    }

    /// Returns the row of a model: by its id or an alias, then without a dated suffix (`-20260101`, `-2026-01-01`,
    /// `@20260101`, `-latest`), then the longest row that says it is a prefix. `None` for models without a row, free
    /// ones included.
    pub fn row(&self, provider: &str, model: &str) -> Option<&PriceRow> {
        match self.tariffs.get(provider) {
            Some(Tariff::Free) => None,
            Some(Tariff::SameAs(other)) => self.row_of(other, model),
            Some(Tariff::AnyProvider) => self.row_of(provider, model).or_else(|| {
                let mut providers: Vec<&str> = self.rows.keys().map(|(provider, _)| provider.as_str()).collect();
                providers.dedup();
                providers.into_iter().find_map(|provider| self.row_of(provider, model))
            }),
            None => self.row_of(provider, model),
        }
    }

    fn row_of(&self, provider: &str, model: &str) -> Option<&PriceRow> {
        let named = |name: &str| {
            let mine = self.rows.values().filter(|row| row.provider == provider);
            let aliased = || mine.clone().find(|row| row.aliases.iter().any(|alias| alias == name));
            self.rows.get(&(provider.to_owned(), name.to_owned())).or_else(aliased)
        };
        let prefixed = || {
            let rows = self.rows.values().filter(|row| row.provider == provider && row.prefix && model.starts_with(&row.model));
            rows.max_by_key(|row| row.model.len())
        };
        named(model).or_else(|| named(undated(model)?)).or_else(prefixed)
    }

    /// Returns whether calls of the provider cost nothing.
    pub fn is_free(&self, provider: &str) -> bool {
        self.tariffs.get(provider) == Some(&Tariff::Free)
    }

    /// Returns what `usage` costs on a model; `None` when the model has no price, zero when the provider is free.
    pub fn price(&self, provider: &str, model: &str, usage: &TokenUsage) -> Option<Priced> {
        if self.is_free(provider) {
            return Some(Priced { amount: NanoUsd(0), unit: UnitPrices::default(), band_above: 0 });
        }
        let (unit, band_above) = self.row(provider, model)?.units_for(usage.total_input());
        Some(Priced { amount: unit.cost(usage), unit, band_above })
    }

    /// Returns what `usage` cost on the UTC day `on`, in days since the epoch; as [`Self::price`] where prices did not change.
    pub fn price_on(&self, provider: &str, model: &str, usage: &TokenUsage, on: i32) -> Option<Priced> {
        let earlier = self.row(provider, model).and_then(|row| {
            let on = Date::constant(1970, 1, 1).checked_add(jiff::Span::new().try_days(on).ok()?).ok()?;
            row.earlier.iter().find(|earlier| day(&earlier.until).is_some_and(|until| on < until))
        });
        match earlier {
            Some(earlier) => {
                let (unit, band_above) = units_for(&earlier.nusd_per_mtok, &earlier.bands, usage.total_input());
                Some(Priced { amount: unit.cost(usage), unit, band_above })
            }
            None => self.price(provider, model, usage),
        }
    }

    /// Returns what a call costs at most, for a budget to set aside; `None` when the model has no price.
    ///
    /// The input may turn out to be written to the provider's cache, which can be dearer than plain input, and it may
    /// be a quarter longer than estimated: the dearest price of every band within reach is taken for the estimate.
    pub fn worst_case(&self, provider: &str, model: &str, estimated_input: u64, max_output: u64) -> Option<Priced> {
        let usage = TokenUsage { input: estimated_input, output: max_output, ..TokenUsage::default() };
        if self.is_free(provider) {
            return self.price(provider, model, &usage);
        }
        let row = self.row(provider, model)?;
        let reach = estimated_input.saturating_add(estimated_input / 4);
        let within = row.bands.iter().filter(|band| band.above_input_tokens < reach);
        let tiers = std::iter::once(0).chain(within.map(|band| band.above_input_tokens)).map(|above| {
            let (mut unit, band_above) = row.units_for(above.saturating_add(1));
            unit.input = unit.input.max(unit.cache_read).max(unit.cache_write_5m);
            Priced { amount: unit.cost(&usage), unit, band_above }
        });
        tiers.max_by_key(|priced| priced.amount)
    }

    /// Returns a warning when the prices of `used`, pairs of provider and model, were looked up more than
    /// [`FRESH_DAYS`] days before `today`.
    pub fn stale<'a>(&self, used: impl IntoIterator<Item = (&'a str, &'a str)>, today: Date) -> Option<String> {
        let rows = used.into_iter().filter_map(|(provider, model)| self.row(provider, model));
        let oldest = rows.filter_map(|row| day(row.as_of.as_deref()?)).min()?;
        let days = (today - oldest).get_days();
        (i64::from(days) > FRESH_DAYS).then(|| {
            format!("prices are from {oldest}, {days} days ago; costs may be wrong, newer ones can be given with --prices FILE")
        })
    }

    /// Returns a warning when the provider has switched the model off by `today`, or will within 30 days.
    pub fn retiring(&self, provider: &str, model: &str, today: Date) -> Option<String> {
        let date = day(self.row(provider, model)?.retires.as_deref()?)?;
        match (date - today).get_days() {
            ..=0 => Some(format!("model `{model}` of provider `{provider}` was retired on {date}")),
            1..=30 => Some(format!("model `{model}` of provider `{provider}` retires on {date}")),
            _ => None,
        }
    }
}

impl PriceRow {
    /// Returns the prices for a call with `total_input` input tokens, and the band's threshold (0 for the base prices).
    pub fn units_for(&self, total_input: u64) -> (UnitPrices, u64) {
        units_for(&self.nusd_per_mtok, &self.bands, total_input)
    }
}

fn units_for(prices: &Prices, bands: &[Band], total_input: u64) -> (UnitPrices, u64) {
    let band = bands.iter().rev().find(|band| total_input > band.above_input_tokens);
    let Some(band) = band else { return (prices.units(), 0) };
    let (base, mut unit) = (prices.units(), band.nusd_per_mtok.units());
    // What the band leaves out is never cheaper than it is below the band.
    if band.nusd_per_mtok.cache_write.is_none() {
        unit.cache_write_5m = unit.cache_write_5m.max(base.cache_write_5m);
    }
    if band.nusd_per_mtok.cache_write_1h.is_none() {
        unit.cache_write_1h = unit.cache_write_1h.max(unit.cache_write_5m).max(base.cache_write_1h);
    }
    (unit, band.above_input_tokens)
}

fn day(text: &str) -> Option<Date> {
    let form = text.len() == 10 && text.bytes().enumerate().all(|(i, byte)| matches!(i, 4 | 7) == (byte == b'-'));
    form.then(|| text.parse().ok()).flatten()
}

/// Returns the model's id without its date or `-latest`; `None` when it has neither.
fn undated(model: &str) -> Option<&str> {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(stem) = model.strip_suffix("-latest") {
        return Some(stem).filter(|stem| !stem.is_empty());
    }
    let (stem, date) = model.rsplit_once(['-', '@'])?;
    if digits(date, 8) {
        return Some(stem).filter(|stem| !stem.is_empty());
    }
    let (stem, month) = stem.rsplit_once('-')?;
    let (stem, year) = stem.rsplit_once('-')?;
    (digits(date, 2) && digits(month, 2) && digits(year, 4) && !stem.is_empty()).then_some(stem)
}

#[cfg(test)]
#[path = "prices_tests.rs"]
mod tests;
