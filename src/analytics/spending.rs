//! Money by whatever it is asked by. Every charge is in one row, so the totals are the sums of the rows; real, imported and simulated
//! money stand in rows of their own, whatever is asked.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Mode;
use crate::domain::ids::TimeNs;
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::views::costs::{CostKey, CostRow, month_begin, month_middle, month_of, quarter_begin, quarter_end};

/// By what costs are asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The day of the zone.
    Day,
    /// The ISO week of the zone.
    Week,
    /// The month of the zone.
    Month,
    /// Real, imported or simulated.
    Mode,
    /// The provider.
    Provider,
    /// The model.
    Model,
    /// The tier.
    Tier,
    /// The template.
    Template,
    /// The role.
    Role,
    /// Work or judging.
    Purpose,
    /// The folder that the run was started in.
    Workspace,
    /// All labels of the run together.
    Label,
    /// One label's value.
    LabelOf(String),
}

impl Dimension {
    /// The words for dimensions, in the order of help.
    pub const NAMES: [&'static str; 12] =
        ["day", "week", "month", "mode", "provider", "model", "tier", "template", "role", "purpose", "workspace", "label"];

    /// Returns the word for it.
    pub fn name(&self) -> String {
        let place = match self {
            Self::Day => 0,
            Self::Week => 1,
            Self::Month => 2,
            Self::Mode => 3,
            Self::Provider => 4,
            Self::Model => 5,
            Self::Tier => 6,
            Self::Template => 7,
            Self::Role => 8,
            Self::Purpose => 9,
            Self::Workspace => 10,
            Self::Label => 11,
            Self::LabelOf(label) => return format!("label.{label}"),
        };
        Self::NAMES[place].to_owned()
    }

    /// Returns the part of `key` that is asked for; `None` where it is not known or not there.
    fn value(&self, key: &CostKey, zone: &TimeZone) -> Option<String> {
        let day = || day_of(quarter_begin(key.quarter), zone);
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self {
            Self::Day => day().map(|day| day.to_string()),
            Self::Week => day().map(|day| {
                let week = day.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }),
            Self::Month => day().map(|day| format!("{:04}-{:02}", day.year(), day.month())),
            Self::Mode => Some(key.mode.name().to_owned()),
            Self::Provider => known(&key.provider),
            Self::Model => known(&key.model),
            Self::Tier => Some(key.tier.name().to_owned()),
            Self::Template => known(&key.template),
            Self::Role => known(&key.role),
            Self::Purpose => Some(key.purpose.name().to_owned()),
            Self::Workspace => known(&key.workspace),
            Self::Label => known(&key.labels.replace('\n', ", ")),
            Self::LabelOf(label) => {
                let values = key.labels.lines().filter_map(|line| line.split_once('='));
                values.into_iter().find(|(name, _)| name == label).map(|(_, value)| value.to_owned())
            }
        }
    }
}

impl std::str::FromStr for Dimension {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let all = [
            Self::Day,
            Self::Week,
            Self::Month,
            Self::Mode,
            Self::Provider,
            Self::Model,
            Self::Tier,
            Self::Template,
            Self::Role,
            Self::Purpose,
            Self::Workspace,
            Self::Label,
        ];
        if let Some(label) = word.strip_prefix("label.").filter(|label| !label.is_empty()) {
            return Ok(Self::LabelOf(label.to_owned()));
        }
        let known = all.into_iter().find(|dimension| dimension.name() == word);
        known.ok_or_else(|| format!("not one of {}, label.NAME", Self::NAMES.join(", ")))
    }
}

/// What `costs --json` prints. Amounts in nUSD.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Costs, as `meno costs --json` prints them")]
pub struct CostReport {
    /// By what it was asked.
    pub by: Vec<String>,
    /// From this moment on, rounded down to a UTC quarter hour; null: from the beginning.
    pub since: Option<String>,
    /// Up to this moment, rounded up to a UTC quarter hour; null: to the end.
    pub until: Option<String>,
    /// The zone whose days, weeks and months are meant.
    pub time_zone: String,
    /// One row for each mode and combination of values, times in order, else the dearest first.
    pub rows: Vec<CostLine>,
    /// The sums of the rows, for each mode by itself.
    pub totals: Vec<CostTotal>,
    /// What to know of these numbers.
    pub notices: Vec<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CostLine {
    /// Value by dimension; null where it is not known or not there.
    pub key: IndexMap<String, Option<String>>,
    /// Its sum.
    #[serde(flatten)]
    pub total: CostTotal,
}

/// A sum.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CostTotal {
    /// What kind of money it is.
    pub mode: Mode,
    /// Model calls.
    pub calls: u64,
    /// Of them, those whose cost is not known: without a price, lost, or imported without one. More than one charge of a call can be.
    pub unknown: u64,
    /// What is known.
    pub cost_nusd: u64,
    /// The same in US dollars.
    pub cost_usd: String,
    /// Tokens, as far as known.
    pub tokens: TokenSum,
}

/// Tokens by kind; `reasoning` is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TokenSum {
    /// Input that touched no cache.
    pub input: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Written to a cache.
    pub cache_write: u64,
    /// Output.
    pub output: u64,
    /// Of the output, reasoning.
    pub reasoning: u64,
}

impl From<TokenUsage> for TokenSum {
    fn from(usage: TokenUsage) -> Self {
        Self {
            input: usage.input,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
            output: usage.output,
            reasoning: usage.reasoning,
        }
    }
}

impl CostTotal {
    fn new(mode: Mode, sum: &CostRow) -> Self {
        let amount = NanoUsd(u64::try_from(sum.amount).unwrap_or(u64::MAX));
        Self {
            mode,
            calls: sum.calls,
            unknown: sum.unknown,
            cost_nusd: amount.0,
            cost_usd: amount.to_decimal(),
            tokens: sum.usage.into(),
        }
    }
}

/// A row's place among the rows, and how much is in it.
type Group = ((Mode, Vec<Option<String>>), CostRow);

/// Groups charges. `span` is what was asked for, as it is to be said.
pub fn group(
    charges: &[(CostKey, CostRow)],
    by: &[Dimension],
    zone: &TimeZone,
    span: (Option<String>, Option<String>),
) -> CostReport {
    let mut groups: BTreeMap<(Mode, Vec<Option<String>>), CostRow> = BTreeMap::new();
    let mut totals: BTreeMap<Mode, CostRow> = BTreeMap::new();
    for (key, row) in charges {
        let values = by.iter().map(|dimension| dimension.value(key, zone)).collect();
        groups.entry((key.mode, values)).or_default().merge(row);
        totals.entry(key.mode).or_default().merge(row);
    }
    let mut groups: Vec<Group> = groups.into_iter().collect();
    let is_time = matches!(by.first(), Some(Dimension::Day | Dimension::Week | Dimension::Month));
    if is_time {
        groups.sort_by(|(a, x), (b, y)| (&a.1[0], a.0, y.amount).cmp(&(&b.1[0], b.0, x.amount)));
    } else {
        groups.sort_by_key(|(key, row)| (key.0, std::cmp::Reverse(row.amount)));
    }
    let line = |((mode, values), sum): &Group| CostLine {
        key: by.iter().map(Dimension::name).zip(values.iter().cloned()).collect(),
        total: CostTotal::new(*mode, sum),
    };
    CostReport {
        by: by.iter().map(Dimension::name).collect(),
        since: span.0,
        until: span.1,
        time_zone: name_of(zone),
        rows: groups.iter().map(line).collect(),
        totals: totals.iter().map(|(mode, sum)| CostTotal::new(*mode, sum)).collect(),
        notices: undecided(charges, by, zone).into_iter().collect(),
    }
}

/// Says how many charges lie in a quarter hour that is in two days of the zone: they count on the day in which it began. That is so
/// where an offset is no multiple of a quarter hour, as those of local mean times, and where clocks went back at a minute past
/// midnight, as in Newfoundland until 2011.
fn undecided(charges: &[(CostKey, CostRow)], by: &[Dimension], zone: &TimeZone) -> Option<String> {
    if !by.iter().any(|dimension| matches!(dimension, Dimension::Day | Dimension::Week | Dimension::Month)) {
        return None;
    }
    let is_parted = |key: &CostKey| day_of(quarter_begin(key.quarter), zone) != day_of(quarter_end(key.quarter), zone);
    let calls: u64 = charges.iter().filter(|(key, _)| is_parted(key)).map(|(_, row)| row.calls).sum();
    (calls > 0).then(|| {
        format!(
            "charges are kept by UTC quarter hour, and a day of {} begins within one: {calls} calls close to midnight may count on \
             the wrong side of it",
            name_of(zone)
        )
    })
}

/// Returns the charges of UTC `months` as those of the months of `zone`: what is in another month there is taken out and stands beside it, by
/// quarter hour, as `read` gives it (from, to). `None` where a month of the zone begins within a quarter hour.
///
/// # Errors
/// What `read` says.
pub fn by_month<E>(
    months: Vec<(CostKey, CostRow)>,
    zone: &TimeZone,
    read: impl Fn(i64, i64) -> Result<Vec<(CostKey, CostRow)>, E>,
) -> Result<Option<Vec<(CostKey, CostRow)>>, E> {
    let mut months: BTreeMap<CostKey, CostRow> = months.into_iter().collect();
    let numbers: BTreeSet<i64> = months.keys().map(|key| month_of(key.quarter)).collect();
    let begins: BTreeSet<i64> = numbers.iter().flat_map(|month| [*month, month + 1]).map(month_begin).collect();
    let mut apart = Vec::new();
    for begin in begins {
        let Some(moved) = in_other_months(begin, zone) else { return Ok(None) };
        let (Some(first), Some(last)) = (moved.first(), moved.last()) else { continue };
        for (key, row) in read(*first, last + 1)? {
            if moved.contains(&key.quarter) {
                let month = CostKey { quarter: month_middle(month_of(key.quarter)), ..key.clone() };
                if let Some(sum) = months.get_mut(&month) {
                    sum.take_out(&row);
                }
                apart.push((key, row));
            }
        }
    }
    let left = months.into_iter().filter(|(_, row)| *row != CostRow::default());
    Ok(Some(left.chain(apart).collect()))
}

/// Returns the quarter hours around `begin`, with which a UTC month begins, that are in another month of `zone`; `None` where one of them
/// is in two days.
fn in_other_months(begin: i64, zone: &TimeZone) -> Option<Vec<i64>> {
    // No zone is further from UTC.
    const AROUND: i64 = 26 * 4;
    let mut moved = Vec::new();
    for quarter in begin - AROUND..begin + AROUND {
        let (day, end) = (day_of(quarter_begin(quarter), zone)?, day_of(quarter_end(quarter), zone)?);
        if day != end {
            return None;
        }
        let month = (i64::from(day.year()) - 1970) * 12 + i64::from(day.month()) - 1;
        if month != month_of(quarter) {
            moved.push(quarter);
        }
    }
    Some(moved)
}

/// Returns the day of a moment (ns since the epoch) in `zone`.
fn day_of(at: TimeNs, zone: &TimeZone) -> Option<Date> {
    Timestamp::from_nanosecond(i128::from(at)).ok().map(|at| at.to_zoned(zone.clone()).date())
}

/// Returns a zone's name, or its offset when it has none.
fn name_of(zone: &TimeZone) -> String {
    let offset = || zone.to_fixed_offset().map(|offset| offset.to_string());
    zone.iana_name().map_or_else(|| offset().unwrap_or_else(|_| "of this machine".to_owned()), str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::event::Purpose;
    use crate::domain::tier::Tier;
    use crate::views::costs::quarter_of;

    fn charge(quarter: i64, mode: u8, tier: usize, role: &str, amount: u64) -> (CostKey, CostRow) {
        let mode = [Mode::Real, Mode::Simulated, Mode::Imported][usize::from(mode % 3)];
        let key = CostKey {
            quarter,
            mode,
            provider: String::new(),
            model: "m".into(),
            tier: Tier::ALL[tier % 3],
            template: "t".into(),
            role: role.into(),
            purpose: Purpose::Work,
            workspace: String::new(),
            labels: format!("team={role}\nurgent=yes"),
        };
        (key, CostRow { calls: 1, unknown: u64::from(amount == 0), amount: amount.into(), usage: TokenUsage::default() })
    }

    #[test]
    fn a_day_is_that_of_the_zone_and_what_is_not_known_is_null() {
        let charges = [charge(4 * 23, 0, 0, "a", 5), charge(4 * 24, 0, 0, "b", 7)];
        let by = ["day", "provider", "label.team"].map(|word| word.parse().unwrap());
        let report = group(&charges, &by, &TimeZone::fixed(jiff::tz::offset(1)), (None, None));
        let keys: Vec<Vec<Option<&str>>> =
            report.rows.iter().map(|row| row.key.values().map(Option::as_deref).collect()).collect();
        assert_eq!(keys, [[Some("1970-01-02"), None, Some("b")], [Some("1970-01-02"), None, Some("a")]]);
        assert!("hour".parse::<Dimension>().is_err() && "label.".parse::<Dimension>().is_err());
    }

    /// Returns what the days of `zone` hold if every moment costs its place's power of two, by the report and by the moments themselves.
    fn both_ways(moments: &[TimeNs], zone: &TimeZone) -> (BTreeMap<String, u64>, BTreeMap<String, u64>, Vec<String>) {
        let amount = |place: usize| 1u64 << (place % 40);
        let charges: Vec<_> =
            moments.iter().enumerate().map(|(place, at)| charge(quarter_of(*at), 0, 0, "r", amount(place))).collect();
        let report = group(&charges, &[Dimension::Day], zone, (None, None));
        let reported = report.rows.iter().map(|row| (row.key["day"].clone().unwrap(), row.total.cost_nusd)).collect();
        let mut exact: BTreeMap<String, u64> = BTreeMap::new();
        for (place, at) in moments.iter().enumerate() {
            *exact.entry(day_of(*at, zone).unwrap().to_string()).or_default() += amount(place);
        }
        (reported, exact, report.notices)
    }

    /// Returns moments around midnight and around every change of the zone's offset, and some at any time.
    fn moments(zone: &TimeZone, from: &str, to: &str) -> Vec<TimeNs> {
        let (from, to): (Timestamp, Timestamp) = (from.parse().unwrap(), to.parse().unwrap());
        let ns = |at: Timestamp| i64::try_from(at.as_nanosecond()).unwrap();
        let mut moments: Vec<TimeNs> = Vec::new();
        for change in zone.following(from).take_while(|change| change.timestamp() < to).take(120) {
            moments.extend([-1_800, -900, -1, 0, 1, 899, 900, 1_799].map(|s: i64| ns(change.timestamp()) + s * 1_000_000_000));
        }
        let (first, last) = (from.to_zoned(zone.clone()).date(), to.to_zoned(zone.clone()).date());
        let days = (first.until(last).unwrap().get_days() / 97).max(1);
        for day in first.series(jiff::Span::new().days(days)).take_while(|day| *day < last) {
            let midnight = ns(day.to_zoned(zone.clone()).unwrap().timestamp());
            moments.extend([-900, -1, 0, 1, 30_000].map(|s: i64| midnight + s * 1_000_000_000 + s.signum()));
        }
        moments
    }

    #[test]
    fn the_days_of_every_zone_are_exact_or_it_is_said_that_they_are_not() {
        let (mut zones, mut odd) = (0, BTreeMap::new());
        for name in jiff::tz::db().available() {
            let Ok(zone) = jiff::tz::db().get(name.as_str()) else { continue };
            // Since then every day of every zone has begun with a quarter hour.
            let (reported, exact, notices) = both_ways(&moments(&zone, "2012-01-01T00:00:00Z", "2100-01-01T00:00:00Z"), &zone);
            assert_eq!((reported, notices.len()), (exact, 0), "{name}");
            // Before, either the days are exact, or the report says that some are not.
            let (reported, exact, notices) = both_ways(&moments(&zone, "1850-01-01T00:00:00Z", "2012-01-01T00:00:00Z"), &zone);
            assert!(reported == exact || notices.len() == 1, "{name}");
            zones += 1;
            odd.insert(name.as_str().to_owned(), notices.len());
        }
        assert!(zones > 300, "only {zones} zones are known here");
        assert_eq!((odd["Africa/Monrovia"], odd["America/St_Johns"], odd["UTC"]), (1, 1, 0));
    }

    #[test]
    fn a_fixed_offset_of_no_quarter_hour_is_told() {
        let zone = TimeZone::fixed(jiff::tz::Offset::from_seconds(5 * 3600 + 50 * 60).unwrap());
        // 18:10 UTC is midnight there.
        let at = |minute: i64| (18 * 60 + minute) * 60_000_000_000;
        let (reported, exact, notices) = both_ways(&[at(5), at(12)], &zone);
        assert_ne!(reported, exact);
        assert!(notices[0].contains("+05:50") && notices[0].contains("2 calls close to midnight"), "{notices:?}");
        let (reported, exact, notices) = both_ways(&[at(50), at(-50)], &zone);
        assert_eq!((reported, notices.len()), (exact, 0), "nothing is said where nothing is open");
    }

    proptest! {
        #[test]
        fn months_tell_what_their_quarter_hours_tell_in_every_zone(
            // Near the ends of months, and at any time.
            charges in proptest::collection::vec((0i64..600, -120i64..120, any::<bool>(), 0u8..3, 0u64..1000), 0..40),
            zone in proptest::sample::select(vec![
                "UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Monrovia",
            ]),
        ) {
            let zone = jiff::tz::db().get(zone).unwrap();
            let mut raw: BTreeMap<CostKey, CostRow> = BTreeMap::new();
            for (month, around, is_near, mode, amount) in charges {
                let quarter = month_begin(month) + if is_near { around } else { 1_000 + around };
                let (key, row) = charge(quarter, mode, 0, "r", amount);
                raw.entry(key).or_default().merge(&row);
            }
            let mut months: BTreeMap<CostKey, CostRow> = BTreeMap::new();
            for (key, row) in &raw {
                let quarter = month_middle(month_of(key.quarter));
                months.entry(CostKey { quarter, ..key.clone() }).or_default().merge(row);
            }
            let raw: Vec<_> = raw.into_iter().collect();
            let read = |from, to| {
                let inside = raw.iter().filter(|(key, _)| (from..to).contains(&key.quarter));
                Ok::<_, ()>(inside.cloned().collect())
            };
            if let Some(by_month) = by_month(months.into_iter().collect(), &zone, read).unwrap() {
                for by in [vec![Dimension::Month], vec![Dimension::Month, Dimension::Tier], vec![Dimension::Model]] {
                    let report = |charges: &[_]| CostReport { notices: Vec::new(), ..group(charges, &by, &zone, (None, None)) };
                    prop_assert_eq!(report(&by_month), report(&raw));
                }
            } else {
                prop_assert_eq!(zone.iana_name(), Some("Africa/Monrovia"));
            }
        }

        #[test]
        fn whatever_is_asked_the_totals_are_the_sums_of_the_rows_for_each_mode(
            charges in proptest::collection::vec((0i64..12_000, 0u8..3, 0usize..3, "[ab]", 0u64..1000), 0..40),
            by in proptest::sample::subsequence(Dimension::NAMES.to_vec(), 1..4),
        ) {
            let charges: Vec<_> =
                charges.iter().map(|(quarter, mode, tier, role, amount)| charge(*quarter, *mode, *tier, role, *amount)).collect();
            let by: Vec<Dimension> = by.iter().map(|word| word.parse().unwrap()).collect();
            let report = group(&charges, &by, &TimeZone::UTC, (None, None));
            for mode in [Mode::Real, Mode::Simulated, Mode::Imported] {
                let sum = |of: &dyn Fn(&CostTotal) -> u64| {
                    report.rows.iter().map(|row| &row.total).filter(|total| total.mode == mode).map(of).sum::<u64>()
                };
                let of_charges = charges.iter().filter(|(key, _)| key.mode == mode);
                let expected: u64 = of_charges.clone().map(|(_, row)| row.amount as u64).sum();
                let total = report.totals.iter().find(|total| total.mode == mode);
                prop_assert_eq!(total.map_or(0, |total| total.cost_nusd), expected);
                prop_assert_eq!(sum(&|total| total.cost_nusd), expected);
                prop_assert_eq!(sum(&|total| total.calls), of_charges.count() as u64);
            }
        }
    }
}
