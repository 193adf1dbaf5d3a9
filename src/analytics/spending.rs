//! Money by whatever it is asked by. Every charge is in one row, so the totals are the sums of the rows; real, imported and simulated
//! money stand in rows of their own, whatever is asked.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Mode;
use crate::domain::ids::{NodeId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::views::costs::tools::{ToolKey, ToolSum};
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
    /// The log: the own one, or the node of one that was pulled or imported.
    Node,
    /// The tool; asks for calls and time instead of money.
    Tool,
    /// One label's value.
    LabelOf(String),
}

/// The charges of one log: its node, `None` for the own one.
pub type LogCharges = (Option<NodeId>, Vec<(CostKey, CostRow)>);

impl Dimension {
    /// The words for dimensions, in the order of help.
    pub const NAMES: [&'static str; 14] = [
        "day",
        "week",
        "month",
        "mode",
        "provider",
        "model",
        "tier",
        "template",
        "role",
        "purpose",
        "workspace",
        "label",
        "node",
        "tool",
    ];

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
            Self::Node => 12,
            Self::Tool => 13,
            Self::LabelOf(label) => return format!("label.{label}"),
        };
        Self::NAMES[place].to_owned()
    }

    /// Returns the part of `key` that is asked for; `None` where it is not known or not there.
    fn value(&self, node: Option<NodeId>, key: &CostKey, calendar: &Calendar<'_>) -> Option<String> {
        let day = || calendar.days(key.quarter).0;
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
            // A charge is of no tool: its turn is.
            Self::Tool => None,
            Self::Label => known(&key.labels.replace('\n', ", ")),
            Self::Node => Some(node.map_or_else(|| "own".to_owned(), |node| node.to_string())),
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
            Self::Node,
            Self::Tool,
        ];
        if let Some(label) = word.strip_prefix("label.").filter(|label| !label.is_empty()) {
            return Ok(Self::LabelOf(label.to_owned()));
        }
        let known = all.into_iter().find(|dimension| dimension.name() == word);
        known.ok_or_else(|| format!("not one of {}, label.NAME", Self::NAMES.join(", ")))
    }
}

/// A dimension and the value that it must have: `template=release_prep`. An empty value stands for what is not known or not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Only {
    /// The dimension.
    pub dimension: Dimension,
    /// Its value.
    pub value: String,
}

impl CostQuestion {
    /// Returns whether nothing is asked for but when, and whether models were real: then the sums of quarter hours do.
    pub(crate) fn asks_for_time_alone(&self) -> bool {
        let is_time = |asked: &Dimension| matches!(asked, Dimension::Day | Dimension::Week | Dimension::Month | Dimension::Mode);
        self.by.iter().all(is_time) && self.only.iter().all(|only| is_time(&only.dimension))
    }
}

impl Only {
    fn holds(&self, node: Option<NodeId>, key: &CostKey, calendar: &Calendar<'_>) -> bool {
        self.dimension.value(node, key, calendar).unwrap_or_default() == self.value
    }
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(words: &str) -> Result<Self, String> {
        let (dimension, value) = words.split_once('=').ok_or("not DIMENSION=VALUE, as in template=release_prep")?;
        Ok(Self { dimension: dimension.parse()?, value: value.to_owned() })
    }
}

/// Returns a row's value of a dimension as it is shown. Without one it is not known, but for labels: those a run has or has not.
pub fn value_words<'v>(dimension: &str, value: Option<&'v str>) -> &'v str {
    value.unwrap_or(if dimension == "label" || dimension.starts_with("label.") { "no label" } else { "unknown" })
}

/// What `costs` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CostQuestion {
    /// By what costs are grouped.
    pub by: Vec<Dimension>,
    /// Only charges for which all of this holds.
    pub only: Vec<Only>,
    /// Only charges at this moment or later (ns since the epoch), widened to a whole UTC quarter hour.
    pub since: Option<TimeNs>,
    /// Only charges before this moment, widened likewise.
    pub until: Option<TimeNs>,
}

/// What `costs --json` prints. Amounts in nUSD.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Costs, as `meno costs --json` prints them")]
pub struct CostReport {
    /// By what it was asked.
    pub by: Vec<String>,
    /// Value by dimension that all charges have; null for what is not known or not there.
    #[serde(rename = "where")]
    pub only: IndexMap<String, Option<String>>,
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
    /// Where it was asked by `tool`: one row for each mode and combination, the longest first. Tools cost no money of their own.
    pub tools: Vec<ToolTotal>,
    /// What to know of these numbers.
    pub notices: Vec<String>,
}

/// Tool calls that ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ToolTotal {
    /// Value by dimension; null where it is not known or not there.
    pub key: IndexMap<String, Option<String>>,
    /// Whether the models that asked were real.
    pub mode: Mode,
    /// All of them.
    pub calls: u64,
    /// Of them, those that did not do what they were asked.
    pub failed: u64,
    /// How long they ran together, in milliseconds.
    pub duration_ms: u64,
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

impl TokenSum {
    /// Returns input of every kind.
    pub fn total_input(&self) -> u64 {
        self.input.saturating_add(self.cache_read).saturating_add(self.cache_write)
    }
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
    /// Tells whether anything is known of its tokens. A call has read something: a sum of zero is a sum of nothing known.
    pub fn has_tokens(&self) -> bool {
        self.calls == 0 || self.tokens.total_input() > 0 || self.tokens.output > 0
    }

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

/// Groups the charges of logs for which all of `only` holds. `span` is what was asked for, as it is to be said.
pub fn group(
    logs: &[LogCharges],
    by: &[Dimension],
    only: &[Only],
    zone: &TimeZone,
    span: (Option<String>, Option<String>),
) -> CostReport {
    let calendar = Calendar::new(zone);
    let all = || logs.iter().flat_map(|(node, charges)| charges.iter().map(|charge| (*node, charge)));
    let charges = || all().filter(|(node, (key, _))| only.iter().all(|only| only.holds(*node, key, &calendar)));
    let mut groups: BTreeMap<(Mode, Vec<Option<String>>), CostRow> = BTreeMap::new();
    let mut totals: BTreeMap<Mode, CostRow> = BTreeMap::new();
    for (node, (key, row)) in charges() {
        let values = by.iter().map(|dimension| dimension.value(node, key, &calendar)).collect();
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
        only: names_of(only),
        since: span.0,
        until: span.1,
        time_zone: name_of(zone),
        rows: groups.iter().map(line).collect(),
        totals: totals.iter().map(|(mode, sum)| CostTotal::new(*mode, sum)).collect(),
        tools: Vec::new(),
        notices: undecided(charges().map(|(_, charge)| charge), by, &calendar).into_iter().collect(),
    }
}

/// The tool calls of one log: its node, `None` for the own one.
pub type LogToolCalls = (Option<NodeId>, Vec<(ToolKey, ToolSum)>);

/// Groups tool calls, as [`group`] does charges.
pub fn group_tools(
    logs: &[LogToolCalls],
    by: &[Dimension],
    only: &[Only],
    zone: &TimeZone,
    span: (Option<String>, Option<String>),
) -> CostReport {
    let calendar = Calendar::new(zone);
    let mut groups: BTreeMap<(Mode, Vec<Option<String>>), ToolSum> = BTreeMap::new();
    for (node, (key, sum)) in logs.iter().flat_map(|(node, calls)| calls.iter().map(|call| (*node, call))) {
        let charge = key.as_charge();
        let value = |dimension: &Dimension| match dimension {
            Dimension::Tool => Some(key.tool.clone()),
            other => other.value(node, &charge, &calendar),
        };
        if only.iter().all(|only| value(&only.dimension).unwrap_or_default() == only.value) {
            groups.entry((key.mode, by.iter().map(value).collect())).or_default().merge(sum);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((mode, _), sum)| (*mode, std::cmp::Reverse((sum.duration_ms, sum.calls))));
    let line = |((mode, values), sum): ((Mode, Vec<Option<String>>), ToolSum)| ToolTotal {
        key: by.iter().map(Dimension::name).zip(values).collect(),
        mode,
        calls: sum.calls,
        failed: sum.failed,
        duration_ms: sum.duration_ms,
    };
    CostReport {
        by: by.iter().map(Dimension::name).collect(),
        only: names_of(only),
        since: span.0,
        until: span.1,
        time_zone: name_of(zone),
        rows: Vec::new(),
        totals: Vec::new(),
        tools: groups.into_iter().map(line).collect(),
        notices: vec!["tools cost no money of their own; the calls of their turns are in `meno costs --by role`".to_owned()],
    }
}

/// The values that were asked for, by dimension; `None` for what is not known or not there.
fn names_of(only: &[Only]) -> IndexMap<String, Option<String>> {
    only.iter().map(|only| (only.dimension.name(), Some(only.value.clone()).filter(|value| !value.is_empty()))).collect()
}

/// Says how many charges lie in a quarter hour that is in two days of the zone: they count on the day in which it began. That is so
/// where an offset is no multiple of a quarter hour, as those of local mean times, and where clocks went back at a minute past
/// midnight, as in Newfoundland until 2011.
fn undecided<'a>(
    charges: impl Iterator<Item = &'a (CostKey, CostRow)>,
    by: &[Dimension],
    calendar: &Calendar<'_>,
) -> Option<String> {
    if !by.iter().any(|dimension| matches!(dimension, Dimension::Day | Dimension::Week | Dimension::Month)) {
        return None;
    }
    let is_parted = |key: &CostKey| {
        let (begin, end) = calendar.days(key.quarter);
        begin != end
    };
    let calls: u64 = charges.filter(|(key, _)| is_parted(key)).map(|(_, row)| row.calls).sum();
    (calls > 0).then(|| {
        format!(
            "charges are kept by UTC quarter hour, and a day of {} begins within one: {calls} calls close to midnight may count on \
             the wrong side of it",
            name_of(calendar.zone)
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

/// The days of a zone. Charges come in the order of time, many of one quarter hour after the other: it is looked up once.
struct Calendar<'z> {
    zone: &'z TimeZone,
    last: Cell<Option<(i64, Days)>>,
}

/// The days in which a quarter hour begins and ends; `None` where that is beyond every calendar.
type Days = (Option<Date>, Option<Date>);

impl<'z> Calendar<'z> {
    fn new(zone: &'z TimeZone) -> Self {
        Self { zone, last: Cell::new(None) }
    }

    fn days(&self, quarter: i64) -> Days {
        if let Some((known, days)) = self.last.get()
            && known == quarter
        {
            return days;
        }
        let days = (day_of(quarter_begin(quarter), self.zone), day_of(quarter_end(quarter), self.zone));
        self.last.set(Some((quarter, days)));
        days
    }
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
#[path = "spending_tests.rs"]
mod tests;
