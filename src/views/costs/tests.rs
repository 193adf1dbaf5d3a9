//! Law 6: whatever happened, the sums are those of the events, and each kind of money is by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::calls::{CallKey, CallRow};
use super::rollup::Sums;
use super::*;
use crate::domain::event::Event;
use crate::views::sample;
use crate::views::stats::tests::{MapRows, any_log, imported, log};

fn fold(events: &[Recorded]) -> MapRows {
    let mut rows = MapRows::default();
    events.iter().for_each(|event| Costs.apply(&mut rows, event).unwrap());
    rows
}

fn sums(rows: &MapRows) -> Vec<(CostKey, CostRow)> {
    sums_of(rows, KIND)
}

fn sums_of(rows: &MapRows, kind: u8) -> Vec<(CostKey, CostRow)> {
    let rows = rows.0.iter().filter(|(key, _)| key[0] == kind);
    rows.map(|(key, row)| (CostKey::read(key).unwrap(), rows::read(row).unwrap())).collect()
}

fn calls(rows: &MapRows) -> Vec<(CallKey, CallRow)> {
    let rows = rows.0.iter().filter(|(key, _)| key[0] == calls::KIND);
    rows.map(|(key, row)| (CallKey::read(key).unwrap(), rows::read(row).unwrap())).collect()
}

#[test]
fn a_charge_is_found_under_everything_that_it_can_be_asked_by() {
    let rows = fold(&sample::story());
    let sums = sums(&rows);
    let judging: Vec<_> = sums.iter().filter(|(key, _)| key.purpose == Purpose::Judge).collect();
    assert_eq!(judging.len(), 1);
    let (key, row) = judging[0];
    assert_eq!((key.role.as_str(), key.tier, key.template.as_str()), ("linter", Tier::Capable, "release_prep"));
    assert_eq!((key.workspace.as_str(), key.labels.as_str(), key.mode), ("/home/ada/demo", "team=core", Mode::Simulated));
    assert_eq!((row.amount, row.calls, row.unknown), (500_000, 1, 0));
    assert_eq!(sums.iter().map(|(_, row)| row.amount).sum::<u128>(), 15_500_000);
    let calls = calls(&rows);
    assert_eq!(
        calls.iter().map(|(key, row)| (key.call, row.cost(), row.retries)).collect::<Vec<_>>(),
        [(1, Some(2_000_000), 1), (2, Some(10_000_000), 0), (3, Some(500_000), 0), (4, Some(3_000_000), 0),]
    );
}

#[test]
fn an_attempt_of_another_system_is_unknown_until_its_cost_comes() {
    let begin = [(1, sample::started()), (1, sample::planned(0, "linter", None)), (1, imported(0, 1, true, true))];
    let rows = fold(&log(begin.to_vec()));
    let totals = |rows: &MapRows| {
        let mut total = CostRow::default();
        sums(rows).iter().for_each(|(_, row)| total.merge(row));
        total
    };
    let total = totals(&rows);
    assert_eq!((total.calls, total.unknown, total.amount, total.usage), (1, 1, 0, sample::usage()));
    assert_eq!(calls(&rows)[0].1.cost(), None);
    let paid = [&begin[..], &[(1, sample::cost(None, 0, 1, Purpose::Work, Some(7)))]].concat();
    let rows = fold(&log(paid));
    let total = totals(&rows);
    assert_eq!((total.calls, total.unknown, total.amount, total.usage), (1, 0, 7, sample::usage()), "and tokens count once");
    assert_eq!(calls(&rows).iter().map(|(_, row)| row.cost()).collect::<Vec<_>>(), [Some(7)]);
}

#[test]
fn what_is_taken_back_is_what_was_counted_whatever_was_learned_meanwhile() {
    let events = [
        (1, sample::started()),
        (1, imported(0, 1, true, true)),
        (1, sample::planned(0, "linter", None)),
        (1, sample::cost(None, 0, 1, Purpose::Work, Some(7))),
    ];
    let rows = fold(&log(events.to_vec()));
    for kind in Sums::ALL {
        let sums = sums_of(&rows, kind.kind);
        assert_eq!(sums.iter().map(|(_, row)| (row.calls, row.unknown, row.amount)).collect::<Vec<_>>(), [(1, 0, 7)], "{kind:?}");
    }
}

#[test]
fn a_lost_call_is_unknown_until_its_reply_is_found() {
    let lost = [
        (1, sample::started()),
        (1, sample::attempt_started(0, 1, Tier::Capable)),
        (1, sample::call_started(1, 0, 1, Purpose::Work)),
        (1, sample::lost(1)),
    ];
    let unknown = |events: &[(u8, Event)]| {
        let rows = fold(&log(events.to_vec()));
        sums(&rows).iter().fold((0, 0, 0), |sum, (_, row)| (sum.0 + row.calls, sum.1 + row.unknown, sum.2 + row.amount))
    };
    assert_eq!(unknown(&lost), (1, 1, 0));
    let found = [&lost[..], &[(1, sample::replied(1, "x")), (1, sample::cost(Some(1), 0, 1, Purpose::Work, Some(9)))]].concat();
    assert_eq!(unknown(&found), (1, 0, 9));
}

proptest! {
    #[test]
    fn the_sums_are_those_of_the_events_by_mode_tier_purpose_and_quarter_hour(events in any_log()) {
        let mut modes = BTreeMap::new();
        let mut expected: BTreeMap<_, u128> = BTreeMap::new();
        for event in &events {
            match &event.event {
                Event::RunStarted(body) => drop(modes.insert(event.envelope.run, body.mode)),
                Event::CostIncurred(body) => {
                    let mode = modes.get(&event.envelope.run).copied().unwrap_or(Mode::Real);
                    let place = (mode, body.tier, body.purpose, quarter_of(event.envelope.at));
                    *expected.entry(place).or_default() += u128::from(body.amount.unwrap_or_default().0);
                }
                _ => {}
            }
        }
        expected.retain(|_, amount| *amount > 0);
        let rows = fold(&events);
        let mut found: BTreeMap<_, u128> = BTreeMap::new();
        for (key, row) in sums(&rows) {
            *found.entry((key.mode, key.tier, key.purpose, key.quarter)).or_default() += row.amount;
        }
        found.retain(|_, amount| *amount > 0);
        prop_assert_eq!(found, expected);
        // What telemetry shows is the same money, call by call.
        let all: u128 = sums(&rows).iter().map(|(_, row)| row.amount).sum();
        prop_assert_eq!(calls(&rows).iter().map(|(_, row)| u128::from(row.amount)).sum::<u128>(), all);
        // Whoever folds one run alone sees the same calls.
        let mut runs: BTreeMap<RunId, RunCalls> = BTreeMap::new();
        for event in &events {
            if let Some(run) = event.envelope.run {
                runs.entry(run).or_default().apply(run, event).unwrap();
            }
        }
        let mut alone: Vec<_> = runs.values().flat_map(RunCalls::rows).map(|(key, row)| (*key, row.clone())).collect();
        alone.sort_unstable_by_key(|(key, _)| *key);
        prop_assert_eq!(alone, calls(&rows));
    }
}

#[test]
fn months_are_those_of_the_calendar() {
    let (first, last) = (jiff::civil::date(1800, 1, 1), jiff::civil::date(2250, 1, 1));
    let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day < last);
    for (day, number) in days.zip(i64::from((first - jiff::civil::date(1970, 1, 1)).get_days())..) {
        let month = (i64::from(day.year()) - 1970) * 12 + i64::from(day.month()) - 1;
        let begin = number * QUARTERS_OF_DAY;
        assert_eq!((month_of(begin), month_of(begin + 95)), (month, month), "{day}");
        assert_eq!((month_begin(month) == begin, month_of(month_middle(month))), (day.day() == 1, month), "{day}");
    }
}

proptest! {
    #[test]
    fn sums_of_every_stretch_hold_what_was_charged_in_it(events in any_log()) {
        let rows = fold(&events);
        for kind in Sums::ALL {
            let mut expected: BTreeMap<Vec<u8>, CostRow> = BTreeMap::new();
            for (key, row) in sums(&rows) {
                expected.entry(kind.key(&key)).or_default().merge(&row);
            }
            let found = rows.0.iter().filter(|(key, _)| key[0] == kind.kind);
            let found: BTreeMap<Vec<u8>, CostRow> = found.map(|(key, row)| (key.clone(), rows::read(row).unwrap())).collect();
            prop_assert!(found.keys().all(|key| CostKey::read(key).is_some()));
            prop_assert_eq!(found, expected, "{:?}", kind);
        }
    }
}
