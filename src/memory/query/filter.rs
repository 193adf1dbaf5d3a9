//! What a query asks of runs: one test per filter, where it came from, and how it is said to people and programs.
//!
//! Knows neither the words it was read from nor the index it will be asked of.

use std::fmt;
use std::ops::Bound;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Mode;
use crate::domain::ids::TimeNs;
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::views::status::RunStatus;

/// Two ends of a range; its [`Bounds::contains`] is the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds<T> {
    /// Where it begins.
    pub low: Bound<T>,
    /// Where it ends.
    pub high: Bound<T>,
}

impl<T: Copy + Ord> Bounds<T> {
    /// The range from `low` to `high`.
    pub fn new(low: Bound<T>, high: Bound<T>) -> Self {
        Self { low, high }
    }

    /// The range of one value.
    pub fn exactly(value: T) -> Self {
        Self::new(Bound::Included(value), Bound::Included(value))
    }

    /// Tells whether `value` lies within.
    pub fn contains(&self, value: T) -> bool {
        let above = match self.low {
            Bound::Included(low) => value >= low,
            Bound::Excluded(low) => value > low,
            Bound::Unbounded => true,
        };
        above
            && match self.high {
                Bound::Included(high) => value <= high,
                Bound::Excluded(high) => value < high,
                Bound::Unbounded => true,
            }
    }

    /// Returns what lies within both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let value = |bound| match bound {
            Bound::Included(value) | Bound::Excluded(value) => Some(value),
            Bound::Unbounded => None,
        };
        let low = match (value(self.low), value(other.low)) {
            (Some(a), Some(b)) if a > b || (a == b && matches!(self.low, Bound::Excluded(_))) => self.low,
            (Some(_), None) => self.low,
            _ => other.low,
        };
        let high = match (value(self.high), value(other.high)) {
            (Some(a), Some(b)) if a < b || (a == b && matches!(self.high, Bound::Excluded(_))) => self.high,
            (Some(_), None) => self.high,
            _ => other.high,
        };
        Self { low, high }
    }

    /// Tells whether nothing can lie within.
    pub fn is_empty(&self) -> bool {
        match (self.low, self.high) {
            (Bound::Included(low), Bound::Included(high)) => low > high,
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high) | Bound::Included(high)) => low >= high,
            _ => false,
        }
    }

    fn map<U>(self, f: impl Fn(T) -> U) -> (Bound<U>, Bound<U>) {
        (self.low.map(&f), self.high.map(&f))
    }
}

/// How a run ended or stands, as far as one can ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The run's state.
    Is(RunStatus),
    /// Every agent that counts is known to have met its criteria.
    Verified,
    /// The run has ended, and nobody knows whether its criteria were met.
    Unverified,
}

impl Outcome {
    /// Returns the word for it, which is also the value after `status:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Is(status) => status.name(),
            Self::Verified => "verified",
            Self::Unverified => "unverified",
        }
    }
}

/// Which kind of document is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A whole run.
    Run,
    /// One agent of a run.
    Agent,
    /// A person's note.
    Note,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Run, Self::Agent, Self::Note];

    /// Returns the word for it, which is also the value after `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Agent => "agent",
            Self::Note => "note",
        }
    }
}

/// Returns the word for a mode, which is also the value after `mode:`.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Real => "real",
        Mode::Simulated => "simulated",
        Mode::Imported => "imported",
    }
}

/// What is asked of a run or document. A list is met by any of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterTest {
    /// How it ended or stands.
    Status(Vec<Outcome>),
    /// When the run began.
    Time(Bounds<TimeNs>),
    /// What is known of its cost.
    Cost(Bounds<NanoUsd>),
    /// How long it took, in ms.
    DurationMs(Bounds<u64>),
    /// An attempt was made at one of these tiers; with `only`, at none but these.
    Tier {
        /// The tiers.
        tiers: Vec<Tier>,
        /// No other tier may have been used.
        only: bool,
    },
    /// Whether an agent escalated to a higher tier.
    Escalated(bool),
    /// How many escalations there were.
    Escalations(Bounds<u64>),
    /// How many attempts there were.
    Attempts(Bounds<u64>),
    /// How many agents there were.
    Agents(Bounds<u64>),
    /// The template's id.
    Template(Vec<String>),
    /// One of the roles took part.
    Role(Vec<String>),
    /// One of the models was used.
    Model(Vec<String>),
    /// One of the providers was used.
    Provider(Vec<String>),
    /// A note carries one of the tags.
    Tag(Vec<String>),
    /// The run carries one of the labels; without a value, the key with any value.
    Label(Vec<(String, Option<String>)>),
    /// Real, simulated or imported.
    Mode(Vec<Mode>),
    /// A note rates it so, 1 to 5.
    Rating(Bounds<u64>),
    /// Which documents.
    Kind(Vec<Kind>),
    /// Runs named by id, its beginning or end in upper case, `last` or `last~N`.
    Run(Vec<String>),
}

impl FilterTest {
    /// Returns the key under which people type it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Time(bounds) => match (bounds.low, bounds.high) {
                (_, Bound::Unbounded) => "since",
                (Bound::Unbounded, _) => "until",
                _ => "on",
            },
            Self::Cost(_) => "cost",
            Self::DurationMs(_) => "duration",
            Self::Tier { only: false, .. } => "tier",
            Self::Tier { only: true, .. } => "only",
            Self::Escalated(_) => "escalated",
            Self::Escalations(_) => "escalations",
            Self::Attempts(_) => "attempts",
            Self::Agents(_) => "agents",
            Self::Template(_) => "template",
            Self::Role(_) => "role",
            Self::Model(_) => "model",
            Self::Provider(_) => "provider",
            Self::Tag(_) => "tag",
            Self::Label(_) => "label",
            Self::Mode(_) => "mode",
            Self::Rating(_) => "rating",
            Self::Kind(_) => "kind",
            Self::Run(_) => "run",
        }
    }

    /// Returns the values of a list, as they are typed; empty for a range.
    pub fn values(&self) -> Vec<String> {
        let owned = |name: &'static str| name.to_owned();
        match self {
            Self::Status(all) => all.iter().map(|one| owned(one.name())).collect(),
            Self::Tier { tiers, .. } => tiers.iter().map(|tier| owned(tier.name())).collect(),
            Self::Escalated(yes) => vec![owned(if *yes { "yes" } else { "no" })],
            Self::Template(all) | Self::Role(all) | Self::Model(all) | Self::Provider(all) | Self::Tag(all) | Self::Run(all) => {
                all.clone()
            }
            Self::Label(all) => {
                all.iter().map(|(key, value)| value.as_ref().map_or(key.clone(), |value| format!("{key}={value}"))).collect()
            }
            Self::Mode(all) => all.iter().map(|mode| owned(mode_name(*mode))).collect(),
            Self::Kind(all) => all.iter().map(|kind| owned(kind.name())).collect(),
            Self::Time(_)
            | Self::Cost(_)
            | Self::DurationMs(_)
            | Self::Escalations(_)
            | Self::Attempts(_)
            | Self::Agents(_)
            | Self::Rating(_) => Vec::new(),
        }
    }

    /// Returns the ends of a range as text: moments in RFC 3339, amounts in dollars, durations in ms.
    fn ends(&self) -> Option<(Bound<String>, Bound<String>)> {
        Some(match self {
            Self::Time(bounds) => bounds.map(|at| moment(at).to_string()),
            Self::Cost(bounds) => bounds.map(NanoUsd::to_decimal),
            Self::DurationMs(bounds) => bounds.map(|ms| format!("{ms}ms")),
            Self::Escalations(bounds) | Self::Attempts(bounds) | Self::Agents(bounds) | Self::Rating(bounds) => {
                bounds.map(|n| n.to_string())
            }
            _ => return None,
        })
    }

    /// Returns the `key:value` form, which means the same when it is typed.
    pub fn to_key_value(&self) -> String {
        let key = self.key();
        let Some((low, high)) = self.ends() else {
            let quoted = |value: String| if plain(&value) { value } else { format!("\"{}\"", value.replace('"', "")) };
            return format!("{key}:{}", self.values().into_iter().map(quoted).collect::<Vec<_>>().join(","));
        };
        let time = matches!(self, Self::Time(_));
        match (low, high) {
            // A moment's range ends before its second moment; `since:` and `until:` say so already.
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high) | Bound::Included(high)) if time => {
                format!("{key}:{low}..{high}")
            }
            (Bound::Included(end) | Bound::Excluded(end), Bound::Unbounded)
            | (Bound::Unbounded, Bound::Included(end) | Bound::Excluded(end))
                if time =>
            {
                format!("{key}:{end}")
            }
            (Bound::Included(low), Bound::Included(high)) if low == high => format!("{key}:{low}"),
            (Bound::Included(low), Bound::Included(high)) => format!("{key}:{low}..{high}"),
            (low, high) => {
                let low = match low {
                    Bound::Included(low) => Some(format!(">={low}")),
                    Bound::Excluded(low) => Some(format!(">{low}")),
                    Bound::Unbounded => None,
                };
                let high = match high {
                    Bound::Included(high) => Some(format!("<={high}")),
                    Bound::Excluded(high) => Some(format!("<{high}")),
                    Bound::Unbounded => None,
                };
                format!("{key}:{}", low.into_iter().chain(high).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// Tells whether a value can be typed without quotes.
fn plain(value: &str) -> bool {
    !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "_-=~/@+".contains(c))
}

/// Returns the moment of `at`; what lies outside the calendar is its end.
fn moment(at: TimeNs) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(at)).unwrap_or(if at < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Where a filter comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// It was typed as `key:value` and always holds.
    Hard,
    /// It was read from words, and may be dropped when nothing would be left.
    #[default]
    Words,
}

/// One thing that is asked of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What is asked.
    pub test: FilterTest,
    /// It must not hold.
    pub negated: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// How it is said to people: `failed`, `since 1 Oct`, `cost > $1`.
    pub words: String,
}

impl Filter {
    /// Makes a filter and the words for it; days are named in the zone of `now`.
    pub fn new(test: FilterTest, negated: bool, origin: Origin, now: &jiff::Zoned) -> Self {
        let words = format!("{}{}", if negated { "not " } else { "" }, words(&test, now));
        Self { test, negated, origin, words }
    }

    /// Returns the `key:value` form, which means the same when it is typed.
    pub fn to_key_value(&self) -> String {
        format!("{}{}", if self.negated { "-" } else { "" }, self.test.to_key_value())
    }

    /// Returns the form for other programs.
    pub fn report(&self) -> FilterReport {
        let mut report = FilterReport {
            key: if matches!(self.test, FilterTest::Time(_)) { "time" } else { self.test.key() },
            words: self.words.clone(),
            typed: self.to_key_value(),
            origin: self.origin,
            negated: self.negated,
            values: self.test.values(),
            ..FilterReport::default()
        };
        if let FilterTest::Time(bounds) = &self.test {
            let (low, high) = bounds.map(|at| moment(at).to_string());
            (report.since, report.until) = (end(low), end(high));
            return report;
        }
        let (unit, numbers) = match &self.test {
            FilterTest::Cost(bounds) => (Some("nUSD"), bounds.map(|cost| cost.0)),
            FilterTest::DurationMs(bounds) => (Some("ms"), bounds.map(|ms| ms)),
            FilterTest::Escalations(bounds)
            | FilterTest::Attempts(bounds)
            | FilterTest::Agents(bounds)
            | FilterTest::Rating(bounds) => (None, bounds.map(|n| n)),
            _ => return report,
        };
        report.unit = unit;
        match numbers.0 {
            Bound::Included(low) => report.at_least = Some(low),
            Bound::Excluded(low) => report.more_than = Some(low),
            Bound::Unbounded => {}
        }
        match numbers.1 {
            Bound::Included(high) => report.at_most = Some(high),
            Bound::Excluded(high) => report.less_than = Some(high),
            Bound::Unbounded => {}
        }
        report
    }
}

fn end<T>(bound: Bound<T>) -> Option<T> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// A filter as other programs see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct FilterReport {
    /// What is looked at: `status`, `time`, `cost`, `template` …
    pub key: &'static str,
    /// How it is said to people.
    pub words: String,
    /// The `key:value` form, which means the same when it is typed.
    pub typed: String,
    /// Where it comes from.
    pub origin: Origin,
    /// It must not hold.
    pub negated: bool,
    /// The values of a list, of which any is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// The first moment (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The moment before which (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The lowest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// The value that must be exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_than: Option<u64>,
    /// The highest value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// The value that must not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub less_than: Option<u64>,
    /// The unit of the four: `nUSD` or `ms`; absent for counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
}

/// Says a test in few words.
fn words(test: &FilterTest, now: &jiff::Zoned) -> String {
    let any = |values: Vec<String>| values.join(" or ");
    match test {
        FilterTest::Time(bounds) => time_words(bounds, now),
        FilterTest::Cost(bounds) => range_words("cost", bounds, |cost| Money(cost).to_string()),
        FilterTest::DurationMs(bounds) => range_words("duration", bounds, duration_words),
        FilterTest::Escalations(bounds) => range_words("escalations", bounds, |n| n.to_string()),
        FilterTest::Attempts(bounds) => range_words("attempts", bounds, |n| n.to_string()),
        FilterTest::Agents(bounds) => range_words("agents", bounds, |n| n.to_string()),
        FilterTest::Rating(bounds) => range_words("rated", bounds, |n| n.to_string()),
        FilterTest::Status(_) | FilterTest::Mode(_) => any(test.values()).replace('_', " "),
        FilterTest::Tier { only, .. } => format!("{} {}", if *only { "only" } else { "tier" }, any(test.values())),
        FilterTest::Escalated(yes) => (if *yes { "escalated" } else { "not escalated" }).to_owned(),
        _ => format!("{} {}", test.key(), any(test.values())),
    }
}

/// Dollars without needless decimals: `$1`, `$1.50`, `$0.002`.
struct Money(NanoUsd);

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = self.0.to_decimal();
        match exact.split_once('.') {
            Some((_, rest)) if rest.len() == 1 => write!(f, "${exact}0"),
            _ => write!(f, "${exact}"),
        }
    }
}

fn duration_words(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", ms / unit),
        None => format!("{ms} ms"),
    }
}

fn range_words<T: Copy + Ord>(what: &str, bounds: &Bounds<T>, say: impl Fn(T) -> String) -> String {
    match (bounds.low, bounds.high) {
        (Bound::Included(low), Bound::Included(high)) if low == high => format!("{what} {}", say(low)),
        (Bound::Included(low), Bound::Included(high)) => format!("{what} {}–{}", say(low), say(high)),
        (low, high) => {
            let low = match low {
                Bound::Included(low) => format!(" ≥ {}", say(low)),
                Bound::Excluded(low) => format!(" > {}", say(low)),
                Bound::Unbounded => String::new(),
            };
            let high = match high {
                Bound::Included(high) => format!(" ≤ {}", say(high)),
                Bound::Excluded(high) => format!(" < {}", say(high)),
                Bound::Unbounded => String::new(),
            };
            format!("{what}{low}{high}")
        }
    }
}

/// Names days where the ends are midnights, moments elsewhere: `since 1 Oct until 31 Oct`, `on 3 Nov 2025`.
fn time_words(bounds: &Bounds<TimeNs>, now: &jiff::Zoned) -> String {
    let zone = now.time_zone();
    let day = |day: Date| {
        let pattern = if day.year() == now.year() { "%-d %b" } else { "%-d %b %Y" };
        day.strftime(pattern).to_string()
    };
    let local = |at: TimeNs| moment(at).to_zoned(zone.clone());
    let from = |at: TimeNs| {
        let at = local(at);
        if at.time() == Time::midnight() { day(at.date()) } else { format!("{} {}", day(at.date()), at.strftime("%H:%M")) }
    };
    let last = |at: TimeNs| {
        let local = local(at);
        if local.time() == Time::midnight() { local.date().yesterday().map_or(local.date(), |day| day) } else { local.date() }
    };
    match (end(bounds.low), end(bounds.high)) {
        (Some(low), Some(high)) if is_day(low, high, zone) => format!("on {}", day(local(low).date())),
        (Some(low), Some(high)) if local(high).time() == Time::midnight() => {
            format!("since {} until {}", from(low), day(last(high)))
        }
        (Some(low), Some(high)) => format!("since {} before {}", from(low), from(high)),
        (Some(low), None) => format!("since {}", from(low)),
        (None, Some(high)) => format!("before {}", from(high)),
        (None, None) => "any time".to_owned(),
    }
}

fn is_day(low: TimeNs, high: TimeNs, zone: &TimeZone) -> bool {
    let low = moment(low).to_zoned(zone.clone());
    low.time() == Time::midnight() && low.tomorrow().is_ok_and(|next| next.timestamp() == moment(high))
}
