use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::analytics::spending::{CostReport, group};
use crate::domain::event::{Mode, Purpose};
use crate::domain::money::TokenUsage;
use crate::domain::tier::Tier;

type Kept = BTreeMap<Vec<u8>, (Sums, i64, CostRow)>;

/// Keeps charges as the view does: each in one sum of every kind.
fn kept(charges: &[(CostKey, CostRow)]) -> Kept {
    let mut kept = Kept::new();
    for (key, row) in charges {
        for sums in Sums::ALL {
            let place = kept.entry(sums.key(key)).or_insert_with(|| (sums, sums.stretch.of(key.quarter), CostRow::default()));
            place.2.merge(row);
        }
    }
    kept
}

/// Returns what the question says of them, and how many sums were read for it.
fn asked(kept: &Kept, question: &CostQuestion, zone: &TimeZone) -> (CostReport, usize) {
    let count = std::cell::Cell::new(0);
    let sums = |part: Part, each: &mut EachSum<'_>| {
        for (key, (_, number, row)) in kept.iter().filter(|(_, (sums, ..))| *sums == part.sums) {
            if part.from.is_none_or(|from| from <= *number) && part.to.is_none_or(|to| *number < to) {
                count.set(count.get() + 1);
                each(*number, key, *row)?;
            }
        }
        Ok::<_, String>(())
    };
    let charges = read(question, zone, &sums).unwrap();
    (group(&[(None, charges)], &question.by, &question.only, zone, (None, None)), count.get())
}

fn key(quarter: i64, mode: u8, template: &str, label: u8) -> CostKey {
    CostKey {
        quarter,
        mode: [Mode::Real, Mode::Simulated, Mode::Imported][usize::from(mode % 3)],
        provider: "p".into(),
        model: String::new(),
        tier: Tier::ALL[usize::from(mode % 2)],
        template: template.into(),
        role: "r".into(),
        purpose: Purpose::Work,
        workspace: String::new(),
        labels: if label == 0 { String::new() } else { format!("ticket={label}") },
    }
}

fn row(amount: u64) -> CostRow {
    let usage = TokenUsage { input: amount * 3, output: amount, ..TokenUsage::default() };
    CostRow { calls: 1, unknown: u64::from(amount == 0), amount: amount.into(), usage, cache: Default::default() }
}

fn zone(name: &str) -> TimeZone {
    jiff::tz::db().get(name).unwrap()
}

#[test]
fn a_year_by_week_is_read_from_weeks_and_labels_cost_nothing_where_nobody_asks_for_them() {
    // One charge each hour, each of another ticket.
    let charges: Vec<_> = (0..365 * 24).map(|hour| (key(hour * 4, 0, "t", (hour % 200) as u8), row(7))).collect();
    let kept = kept(&charges);
    let read = |by: &[&str], zone: &TimeZone| {
        let by = by.iter().map(|word| word.parse().unwrap()).collect();
        let (report, read) = asked(&kept, &CostQuestion { by, ..CostQuestion::default() }, zone);
        let total = &report.totals[0];
        assert_eq!((total.calls, total.cost_nusd), (8_760, 7 * 8_760));
        read
    };
    assert_eq!(read(&["week", "template"], &TimeZone::UTC), 53);
    assert_eq!(read(&["template"], &zone("Asia/Kolkata")), 12, "where no calendar is asked for, none is looked at");
    assert_eq!(read(&["day", "template"], &TimeZone::UTC), 365);
    let abroad = read(&["week", "template"], &zone("Asia/Kolkata"));
    assert!((54..53 * 8).contains(&abroad), "a week and what is between both midnights: {abroad}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whatever_is_asked_in_whatever_zone_it_is_what_the_quarter_hours_say(
        // Near the ends of days, weeks and months, and at any time.
        charges in proptest::collection::vec((0i64..800, -120i64..120, any::<bool>(), 0u8..3, "[ab]", 0u8..3, 0u64..1000), 0..16),
        by in proptest::sample::subsequence(vec!["day", "week", "month", "mode", "tier", "template", "label", "label.ticket"], 0..4),
        only in proptest::sample::select(vec!["", "template=a", "week=1970-W20", "month=1971-01", "label=ticket=1", "mode=real"]),
        span in (proptest::option::of(0i64..77_000), proptest::option::of(0i64..77_000)),
        zone_name in proptest::sample::select(vec![
            "UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Monrovia",
        ]),
    ) {
        let zone = zone(zone_name);
        let charge = |(day, around, is_near, mode, template, label, amount): (i64, i64, bool, u8, String, u8, u64)| {
            let quarter = day * 96 + if is_near { around % 50 } else { around };
            (key(quarter, mode, &template, label), row(amount))
        };
        let charges: Vec<_> = charges.into_iter().map(charge).collect();
        let question = CostQuestion {
            by: by.iter().map(|word| word.parse().unwrap()).collect(),
            only: (!only.is_empty()).then(|| only.parse().unwrap()).into_iter().collect(),
            since: span.0.map(quarter_begin),
            until: span.1.map(quarter_begin),
        };
        let (found, _) = asked(&kept(&charges), &question, &zone);
        let inside = |(key, _): &&(CostKey, CostRow)| {
            span.0.is_none_or(|from| from <= key.quarter) && span.1.is_none_or(|to| key.quarter < to)
        };
        let mut plain = Charges::default();
        charges.iter().filter(inside).for_each(|(key, row)| plain.add(&key.to_bytes(), key.quarter, *row).unwrap());
        let expected = group(&[(None, plain)], &question.by, &question.only, &zone, (None, None));
        prop_assert_eq!(&found.rows, &expected.rows);
        prop_assert_eq!(found.totals, expected.totals);
        // Their offsets were no multiples of a quarter hour once.
        let is_odd = matches!(zone_name, "Africa/Monrovia" | "Pacific/Kiritimati" | "Pacific/Apia");
        prop_assert!(found.notices.is_empty() || is_odd, "{:?}", found.notices);
    }
}
