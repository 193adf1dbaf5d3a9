//! Money by whatever it is asked by. Every charge is in one row, so the totals are the sums of the rows; real, imported and simulated
//! money stand in rows of their own, whatever is asked.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use indexmap::{IndexMap, IndexSet};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::Serialize;

use super::charges::Charges;
use crate::domain::event::Mode;
use crate::domain::ids::{NodeId, TimeNs};
use crate::domain::money::{NanoUsd, TokenUsage};
use crate::views::costs::tools::{ToolKey, ToolSum};
use crate::views::costs::{CostKey, CostRow, quarter_begin, quarter_end};

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
pub type LogCharges = (Option<NodeId>, Charges);

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

    /// Tells whether it is a part of the calendar.
    pub(super) fn is_time(&self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Month)
    }

    /// Returns the day, week or month in which a quarter hour begins; `None` where no such thing is asked for.
    fn time(&self, quarter: i64, calendar: &Calendar<'_>) -> Option<String> {
        let day = || calendar.days(quarter).0;
        match self {
            Self::Day => day().map(|day| day.to_string()),
            Self::Week => day().map(|day| {
                let week = day.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }),
            Self::Month => day().map(|day| format!("{:04}-{:02}", day.year(), day.month())),
            _ => None,
        }
    }

    /// Returns the part of `key` that is asked for; `None` where it is not known or not there.
    fn value(&self, node: Option<NodeId>, key: &CostKey, calendar: &Calendar<'_>) -> Option<String> {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self {
            Self::Day | Self::Week | Self::Month => self.time(key.quarter, calendar),
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
    /// What the prompt caches of providers saved: tokens read from a cache times what they cost less than plain input, minus what tokens
    /// written to one cost more. An estimate by the prices of then; below zero where writing cost more than reading saved. Null where
    /// nothing was read from a cache at known prices.
    pub cache_saved_nusd: Option<i64>,
    /// False where something was read from a cache at unknown prices: then it saved at least that.
    pub cache_saved_complete: bool,
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
            cache_saved_nusd: sum.cache.amount(),
            cache_saved_complete: sum.cache.is_complete(),
        }
    }
}

/// A row's place among the rows: its mode and its values.
type Place = (Mode, Vec<Option<String>>);

/// Numbers of values in the order in which they came.
struct Numbered<T>(IndexSet<T>);

impl<T: std::hash::Hash + Eq> Numbered<T> {
    fn number(&mut self, value: T) -> usize {
        self.0.insert_full(value).0
    }
}

/// Groups the charges of logs for which all of `only` holds. `span` is what was asked for, as it is to be said.
pub fn group(
    logs: &[LogCharges],
    by: &[Dimension],
    only: &[Only],
    zone: &TimeZone,
    span: (Option<String>, Option<String>),
) -> CostReport {
    let calendar = Calendar::new(zone);
    let mut groups: BTreeMap<Place, CostRow> = BTreeMap::new();
    let mut undecided = 0;
    for (node, charges) in logs {
        undecided += add_groups(&mut groups, *node, charges, (by, only), &calendar);
    }
    let mut totals: BTreeMap<Mode, CostRow> = BTreeMap::new();
    for ((mode, _), sum) in &groups {
        totals.entry(*mode).or_default().merge(sum);
    }
    let mut groups: Vec<(Place, CostRow)> = groups.into_iter().collect();
    let is_time = by.first().is_some_and(Dimension::is_time);
    if is_time {
        groups.sort_by(|(a, x), (b, y)| (&a.1[0], a.0, y.amount).cmp(&(&b.1[0], b.0, x.amount)));
    } else {
        groups.sort_by_key(|(key, row)| (key.0, std::cmp::Reverse(row.amount)));
    }
    let line = |((mode, values), sum): &(Place, CostRow)| CostLine {
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
        notices: undecided_notice(undecided, by, &calendar).into_iter().collect(),
    }
}

/// Adds the charges of one log to the groups; returns how many calls lie in quarter hours that are in two days. What a charge is about, and
/// in which day, is looked at once for all charges of which it is the same.
fn add_groups(
    groups: &mut BTreeMap<Place, CostRow>,
    node: Option<NodeId>,
    charges: &Charges,
    (by, only): (&[Dimension], &[Only]),
    calendar: &Calendar<'_>,
) -> u64 {
    // The values of the dimensions that are a time, or of those that are none; `None` where `only` does not hold.
    let values = |is_time: bool, value: &dyn Fn(&Dimension) -> Option<String>| {
        let here = |dimension: &Dimension| dimension.is_time() == is_time;
        let mut only = only.iter().filter(|only| here(&only.dimension));
        let holds = only.all(|only| value(&only.dimension).unwrap_or_default() == only.value);
        holds.then(|| by.iter().filter(|dimension| here(dimension)).map(value).collect::<Vec<_>>())
    };
    let mut abouts = Numbered(IndexSet::new());
    let of_key = |key: &CostKey| {
        let values = values(false, &|dimension| dimension.value(node, key, calendar))?;
        Some(abouts.number((key.mode, values)))
    };
    let keys: Vec<Option<usize>> = charges.keys.iter().map(of_key).collect();
    let (mut days, mut quarters) = (Numbered(IndexSet::new()), HashMap::new());
    let mut sums: HashMap<(usize, usize), (CostRow, CostRow)> = HashMap::new();
    let mut undecided = 0;
    for charge in &charges.rows {
        let Some(about) = keys[charge.key] else { continue };
        let of_quarter = || {
            let values = values(true, &|dimension| dimension.time(charge.quarter, calendar))?;
            Some((days.number(values), calendar.is_parted(charge.quarter)))
        };
        let Some((day, is_parted)) = *quarters.entry(charge.quarter).or_insert_with(of_quarter) else { continue };
        let (counted, taken_out) = sums.entry((about, day)).or_default();
        if charge.is_taken_out {
            taken_out.merge(&charge.row);
        } else {
            counted.merge(&charge.row);
            undecided += if is_parted { charge.row.calls } else { 0 };
        }
    }
    for ((about, day), (mut sum, taken_out)) in sums {
        sum.take_out(&taken_out);
        if sum == CostRow::default() {
            continue;
        }
        let (Some((mode, others)), Some(times)) = (abouts.0.get_index(about), days.0.get_index(day)) else { continue };
        let (mut times, mut others) = (times.iter(), others.iter());
        let value = |dimension: &Dimension| if dimension.is_time() { times.next() } else { others.next() }.cloned().flatten();
        groups.entry((*mode, by.iter().map(value).collect())).or_default().merge(&sum);
    }
    undecided
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

/// Says how many calls were charged in a quarter hour that is in two days of the zone: they count on the day in which it began. That is so
/// where an offset is no multiple of a quarter hour, as those of local mean times, and where clocks went back at a minute past
/// midnight, as in Newfoundland until 2011.
fn undecided_notice(calls: u64, by: &[Dimension], calendar: &Calendar<'_>) -> Option<String> {
    (calls > 0 && by.iter().any(Dimension::is_time)).then(|| {
        format!(
            "charges are kept by UTC quarter hour, and a day of {} begins within one: {calls} calls close to midnight may count on \
             the wrong side of it",
            name_of(calendar.zone)
        )
    })
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

    /// Tells whether a quarter hour is in two days.
    fn is_parted(&self, quarter: i64) -> bool {
        let (begin, end) = self.days(quarter);
        begin != end
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
pub(super) fn day_of(at: TimeNs, zone: &TimeZone) -> Option<Date> {
    Timestamp::from_nanosecond(i128::from(at)).ok().map(|at| zone.to_datetime(at).date())
}

/// Returns a zone's name, or its offset when it has none.
fn name_of(zone: &TimeZone) -> String {
    let offset = || zone.to_fixed_offset().map(|offset| offset.to_string());
    zone.iana_name().map_or_else(|| offset().unwrap_or_else(|_| "of this machine".to_owned()), str::to_owned)
}

#[cfg(test)]
#[path = "spending_tests.rs"]
mod tests;
