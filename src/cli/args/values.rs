//! Words on the command line that are more than words: amounts, pairs, references to runs, dates, zones.

use std::ops::{Bound, RangeBounds};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::error::nearest;
use crate::domain::event::{Escalate, KINDS, Mode, Resolution};
use crate::domain::ids::{RunId, TimeNs};
use crate::domain::money::NanoUsd;
use crate::domain::tier::Strategy;
use crate::lake::tables::Table;
use crate::lake::transcripts::ToolResults;
use crate::memory::query::{Sort, time_span};
use crate::views::run_list::SortBy;
use crate::views::status::RunStatus;

/// Reads an amount of US dollars, exactly; a leading `$` is allowed.
///
/// # Errors
/// When it is negative, finer than a nUSD, or no decimal number.
pub fn dollars(text: &str) -> Result<NanoUsd, String> {
    NanoUsd::from_decimal(text.strip_prefix('$').unwrap_or(text))
        .ok_or_else(|| "not an amount of US dollars such as 2 or 0.50 (at most nine decimals)".to_owned())
}

/// Reads a whole number within `range`, which begins at 0 or at 1.
pub fn whole<T: TryFrom<u64> + 'static>(
    range: impl RangeBounds<u64> + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse::<u64>().ok().filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| match (range.contains(&0), range.end_bound()) {
            (true, Bound::Included(most)) => format!("not a whole number from 0 to {most}"),
            (false, Bound::Included(most)) => format!("not a whole number from 1 to {most}"),
            _ if is_digits(text) && text.bytes().any(|digit| digit != b'0') => "a number that is too large".to_owned(),
            (true, _) => "not a whole number such as 0 or 10".to_owned(),
            (false, _) => "not a positive whole number such as 1 or 10".to_owned(),
        })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a number of seconds, with decimals.
///
/// # Errors
/// When it is negative or not a number.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "not a number of seconds that can be waited".to_owned())
}

/// Reads by how much faster something goes.
///
/// # Errors
/// When it is not a number above 0.
pub fn speed(text: &str) -> Result<f64, String> {
    let speed: Option<f64> = text.parse().ok().filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    speed.ok_or_else(|| "not a number above 0 such as 1 or 10".to_owned())
}

/// Reads a time zone: a name of the IANA database, `UTC`, or an offset.
///
/// # Errors
/// When the machine knows no such zone.
pub fn time_zone(text: &str) -> Result<TimeZone, String> {
    jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(text).map_err(|_| {
        "not a time zone that this machine knows; give a name like Europe/Berlin, UTC, or an offset like +02:00".to_owned()
    })
}

/// Reads the name of a table of a lake.
pub fn table() -> impl TypedValueParser<Value = Table> {
    PossibleValuesParser::new(Table::ALL.iter().map(|table| table.name())).map(|name| {
        // The parser lets only these names through.
        Table::ALL.iter().copied().find(|table| table.name() == name).unwrap_or(Table::Events)
    })
}

/// Reads the name of a kind of event, in any case.
///
/// # Errors
/// When there is no such kind; names the nearest one.
pub fn event_kind(text: &str) -> Result<&'static str, String> {
    let names = || KINDS.iter().map(|(_, _, name)| *name);
    names().find(|name| name.eq_ignore_ascii_case(text)).ok_or_else(|| match nearest(text, names()) {
        Some(near) => format!("no such kind of event; did you mean {near}?"),
        None => format!("no such kind of event; there are {}", names().collect::<Vec<_>>().join(", ")),
    })
}

/// A parser of words that stand for values, which help and errors list.
fn choice<T: Copy + Send + Sync + 'static>(values: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.iter().map(|(name, _)| *name)).try_map(move |word| {
        // The parser before let only these words through.
        values.iter().find(|(name, _)| *name == word).map(|(_, value)| *value).ok_or("not one of the words allowed")
    })
}

/// Reads a run's state.
pub fn run_status() -> impl TypedValueParser<Value = RunStatus> {
    choice(&[
        ("running", RunStatus::Running),
        ("awaiting_input", RunStatus::AwaitingInput),
        ("suspended", RunStatus::Suspended),
        ("interrupted", RunStatus::Interrupted),
        ("succeeded", RunStatus::Succeeded),
        ("failed", RunStatus::Failed),
        ("cancelled", RunStatus::Cancelled),
    ])
}

/// Reads a run's mode.
pub fn mode() -> impl TypedValueParser<Value = Mode> {
    choice(&[("real", Mode::Real), ("simulated", Mode::Simulated), ("imported", Mode::Imported)])
}

/// Reads how much of what tools answered is kept.
pub fn tool_results() -> impl TypedValueParser<Value = ToolResults> {
    choice(&[("none", ToolResults::None), ("short", ToolResults::Short), ("all", ToolResults::All)])
}

/// Reads by what a list is sorted.
pub fn sort_by() -> impl TypedValueParser<Value = SortBy> {
    choice(&[("newest", SortBy::Newest), ("oldest", SortBy::Oldest), ("cost", SortBy::Cost), ("duration", SortBy::Duration)])
}

/// Reads a strategy.
pub fn strategy() -> impl TypedValueParser<Value = Strategy> {
    choice(&[
        ("cheap_only", Strategy::CheapOnly),
        ("progressive", Strategy::Progressive),
        ("capable_first", Strategy::CapableFirst),
        ("premium_only", Strategy::PremiumOnly),
        ("adaptive", Strategy::Adaptive),
    ])
}

/// Reads what a search is sorted by.
pub fn sort() -> impl TypedValueParser<Value = Sort> {
    PossibleValuesParser::new(Sort::ALL.map(Sort::name)).try_map(|word| word.parse::<Sort>())
}

/// Reads what to do when an agent is to escalate.
pub fn escalate() -> impl TypedValueParser<Value = Escalate> {
    choice(&[("auto", Escalate::Auto), ("ask", Escalate::Ask), ("never", Escalate::Never)])
}

/// Reads whether a tool had finished.
pub fn resolution() -> impl TypedValueParser<Value = Resolution> {
    choice(&[("done", Resolution::Done), ("not-done", Resolution::NotDone), ("unknown", Resolution::Unknown)])
}

/// `key=value`. The value may hold anything, also further `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// What stands before the first `=`; never empty.
    pub key: String,
    /// What stands behind it; may be empty.
    pub value: String,
}

impl FromStr for KeyValue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => Ok(Self { key: key.trim().to_owned(), value: value.to_owned() }),
            _ => Err("not of the form KEY=VALUE".to_owned()),
        }
    }
}

/// A moment in the words that a search reads too: `2026-10-01`, `7d`, `last week`. Which one it is depends on now and on the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment(String);

impl Moment {
    /// Returns the moment (ns since the epoch) from which on things are meant: the first one of a day or a week.
    pub fn since(&self, now: Timestamp, zone: &TimeZone) -> TimeNs {
        self.span(now, zone).map_or(TimeNs::MIN, |(from, _)| from)
    }

    /// Returns the moment (ns since the epoch) before which things are meant: a day or a week counts to its end.
    pub fn until(&self, now: Timestamp, zone: &TimeZone) -> TimeNs {
        self.span(now, zone).map_or(TimeNs::MAX, |(_, to)| to)
    }

    fn span(&self, now: Timestamp, zone: &TimeZone) -> Option<(TimeNs, TimeNs)> {
        span(&self.0, &now.to_zoned(zone.clone()))
    }
}

/// Returns from when and before when (ns since the epoch) such words mean, seen from `now`; `None` when they name no time.
pub fn span(text: &str, now: &jiff::Zoned) -> Option<(TimeNs, TimeNs)> {
    time_span(text, now)
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = Self(text.to_owned());
        match moment.span(Timestamp::now(), &TimeZone::UTC) {
            Some(_) => Ok(moment),
            None => Err("not a time: give 2026-10-01, 7d, 12h, yesterday, \"last week\", October, or RFC 3339".to_owned()),
        }
    }
}

/// `USD` for a run, or `ROLE=USD` for an agent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The agent's role; the whole run without it.
    pub role: Option<String>,
    /// The amount.
    pub amount: NanoUsd,
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A role may have an item with any character in it: `auditor[a=b]=1`.
        match text.rsplit_once('=') {
            Some((role, amount)) if !role.trim().is_empty() => {
                Ok(Self { role: Some(role.trim().to_owned()), amount: dollars(amount.trim())? })
            }
            _ => Ok(Self { role: None, amount: dollars(text)? }),
        }
    }
}

/// `KEY` to look at, or `KEY=VALUE` to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key.
    pub key: String,
    /// The new value.
    pub value: Option<String>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value.trim().to_owned())));
        let key = key.trim().to_owned();
        if key.is_empty() { Err("not of the form KEY or KEY=VALUE".to_owned()) } else { Ok(Self { key, value }) }
    }
}

/// Characters of a run's id that must be given at least.
pub const PART_MIN: usize = 4;

/// How a user names a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunRef {
    /// The newest run, or the one so many before it.
    Last(u32),
    /// The whole id.
    Id(RunId),
    /// The beginning or the end of an id, in upper case.
    Part(String),
}

impl FromStr for RunRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        if lower == "last" {
            return Ok(Self::Last(0));
        }
        if let Some(back) = lower.strip_prefix("last~") {
            return back.parse().map(Self::Last).map_err(|_| "not of the form last~N".to_owned());
        }
        // Crockford's alphabet: no I, L, O, U.
        let fits = |c: char| c.is_ascii_digit() || (c.is_ascii_uppercase() && !matches!(c, 'I' | 'L' | 'O' | 'U'));
        let upper = text.to_ascii_uppercase();
        if !upper.chars().all(fits) || upper.len() > 26 {
            return Err("not a run: give an id, its beginning or end, last or last~N".to_owned());
        }
        if upper.len() < PART_MIN {
            return Err(format!("too short for a run: give at least {PART_MIN} characters of its id, last or last~N"));
        }
        match upper.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Ok(Self::Part(upper)),
        }
    }
}

impl std::fmt::Display for RunRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Last(0) => f.write_str("last"),
            Self::Last(back) => write!(f, "last~{back}"),
            Self::Id(id) => write!(f, "{id}"),
            Self::Part(part) => f.write_str(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(dollars("0.50"), Ok(NanoUsd(500_000_000)));
        assert_eq!(dollars("$2"), Ok(NanoUsd(2_000_000_000)));
        assert!(dollars("-1").is_err() && dollars("nan").is_err() && dollars("0.0000000001").is_err());
    }

    #[test]
    fn what_is_no_number_of_a_range_is_refused_with_what_would_be() {
        let (positive, any, rating) = (whole::<u32>(1..), whole::<u64>(0..), whole::<u8>(1..=5));
        assert_eq!((positive("7"), any("0"), rating("5")), (Ok(7), Ok(0), Ok(5)));
        for wrong in ["-1", "0", "1.5", "", "many"] {
            assert_eq!(positive(wrong).unwrap_err(), "not a positive whole number such as 1 or 10", "{wrong}");
        }
        assert_eq!(positive("4294967296").unwrap_err(), "a number that is too large");
        assert_eq!(any("-1").unwrap_err(), "not a whole number such as 0 or 10");
        assert_eq!(rating("6").unwrap_err(), "not a whole number from 1 to 5");
    }

    #[test]
    fn pairs_split_at_the_first_equals_sign() {
        assert_eq!("a=b=c".parse(), Ok(KeyValue { key: "a".into(), value: "b=c".into() }));
        assert_eq!("a=".parse(), Ok(KeyValue { key: "a".into(), value: String::new() }));
        let (role, amount) = (Some("auditor[a=b]".to_owned()), NanoUsd(500_000_000));
        assert_eq!("auditor[a=b]=0.5".parse(), Ok(Budget { role, amount }));
        assert_eq!("0.5".parse(), Ok(Budget { role: None, amount }));
        assert!("auditor=".parse::<Budget>().is_err() && "=1".parse::<Budget>().is_err());
        assert!("=b".parse::<KeyValue>().is_err() && "ab".parse::<KeyValue>().is_err());
        assert_eq!("run.jobs".parse(), Ok(Setting { key: "run.jobs".into(), value: None }));
        assert_eq!("run.jobs = 4".parse(), Ok(Setting { key: "run.jobs".into(), value: Some("4".into()) }));
    }

    #[test]
    fn a_run_is_named_by_id_part_or_age() {
        let named = |text: &str| text.parse::<RunRef>().unwrap();
        let id = "01KAPXZ8T0M3N5Q7R9S1V3W5X7".parse::<RunId>().unwrap();
        assert_eq!((named("last"), named("LAST~2")), (RunRef::Last(0), RunRef::Last(2)));
        assert_eq!(named("w5x8"), RunRef::Part("W5X8".to_owned()));
        assert_eq!(named(&id.to_string().to_lowercase()), RunRef::Id(id));
        for wrong in ["", "abc", "../../x", "last~", "last~-1", "ILOU", "01KAPXZ8T0M3N5Q7R9S1V3W5X7Z"] {
            assert!(wrong.parse::<RunRef>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn kinds_of_events_are_found_in_any_case_and_near_ones_suggested() {
        assert_eq!(event_kind("tierescalated"), Ok("TierEscalated"));
        assert!(event_kind("TierEscalate").unwrap_err().contains("TierEscalated"));
    }

    #[test]
    fn a_moment_is_what_a_search_reads() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap(); // a Wednesday
        let at = |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        for (words, from, to) in [
            ("2026-10-01", "2026-10-01T00:00:00Z", "2026-10-02T00:00:00Z"),
            ("7d", "2026-11-18T12:00:00Z", "2026-11-18T12:00:00Z"),
            ("last week", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("last-week", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("October", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("3 days ago", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
        ] {
            let moment: Moment = words.parse().unwrap();
            let found = (moment.since(now, &TimeZone::UTC), moment.until(now, &TimeZone::UTC));
            assert_eq!(found, (at(from), at(to)), "{words}");
        }
        assert!("someday".parse::<Moment>().is_err() && "".parse::<Moment>().is_err());
    }

    proptest! {
        #[test]
        fn no_word_is_too_strange_to_be_refused(word in any::<String>()) {
            let _ = (dollars(&word), seconds(&word), time_zone(&word), event_kind(&word), word.parse::<KeyValue>());
            if let Ok(run) = word.parse::<RunRef>() {
                prop_assert_eq!(run.to_string().parse::<RunRef>(), Ok(run));
            }
        }
    }
}
