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
    (key, CostRow { calls: 1, unknown: u64::from(amount == 0), amount: amount.into(), ..CostRow::default() })
}

/// The charges as they are read by quarter hour.
fn charged(charges: &[(CostKey, CostRow)]) -> Charges {
    let mut read = Charges::default();
    charges.iter().for_each(|(key, row)| read.add(&key.to_bytes(), key.quarter, *row).unwrap());
    read
}

#[test]
fn a_run_without_a_label_is_not_one_whose_label_is_unknown() {
    assert_eq!((value_words("label", None), value_words("label.team", None)), ("no label", "no label"));
    assert_eq!((value_words("role", None), value_words("label.team", Some("core"))), ("unknown", "core"));
}

#[test]
fn a_day_is_that_of_the_zone_and_what_is_not_known_is_null() {
    let charges = [charge(4 * 23, 0, 0, "a", 5), charge(4 * 24, 0, 0, "b", 7)];
    let by = ["day", "provider", "label.team"].map(|word| word.parse().unwrap());
    let report = group(&[(None, charged(&charges))], &by, &[], &TimeZone::fixed(jiff::tz::offset(1)), (None, None));
    let keys: Vec<Vec<Option<&str>>> = report.rows.iter().map(|row| row.key.values().map(Option::as_deref).collect()).collect();
    assert_eq!(keys, [[Some("1970-01-02"), None, Some("b")], [Some("1970-01-02"), None, Some("a")]]);
    assert!("hour".parse::<Dimension>().is_err() && "label.".parse::<Dimension>().is_err());
}

#[test]
fn only_charges_with_the_value_that_is_asked_for_count() {
    let charges = [charge(0, 0, 0, "a", 5), charge(0, 0, 0, "b", 7), charge(0, 1, 0, "a", 11)];
    let asked = |words: &[&str]| {
        let only: Vec<Only> = words.iter().map(|words| words.parse().unwrap()).collect();
        let report = group(&[(None, charged(&charges))], &[Dimension::Role], &only, &TimeZone::UTC, (None, None));
        (report.rows.iter().map(|row| row.total.cost_nusd).collect::<Vec<_>>(), report.only)
    };
    assert_eq!(asked(&["role=a"]).0, [5, 11]);
    assert_eq!(asked(&["role=a", "mode=real", "label.team=a"]).0, [5]);
    let (rows, only) = asked(&["provider=", "label.team=b"]);
    assert_eq!((rows, only["provider"].as_deref(), only["label.team"].as_deref()), (vec![7], None, Some("b")));
    assert!("role".parse::<Only>().is_err() && "colour=red".parse::<Only>().is_err());
}

/// Returns what the days of `zone` hold if every moment costs its place's power of two, by the report and by the moments themselves.
fn both_ways(moments: &[TimeNs], zone: &TimeZone) -> (BTreeMap<String, u64>, BTreeMap<String, u64>, Vec<String>) {
    let amount = |place: usize| 1u64 << (place % 40);
    let charges: Vec<_> =
        moments.iter().enumerate().map(|(place, at)| charge(quarter_of(*at), 0, 0, "r", amount(place))).collect();
    let report = group(&[(None, charged(&charges))], &[Dimension::Day], &[], zone, (None, None));
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
    fn whatever_is_asked_the_totals_are_the_sums_of_the_rows_for_each_mode(
        charges in proptest::collection::vec((0i64..12_000, 0u8..3, 0usize..3, "[ab]", 0u64..1000), 0..40),
        by in proptest::sample::subsequence(Dimension::NAMES.to_vec(), 1..4),
    ) {
        let charges: Vec<_> =
            charges.iter().map(|(quarter, mode, tier, role, amount)| charge(*quarter, *mode, *tier, role, *amount)).collect();
        let by: Vec<Dimension> = by.iter().map(|word| word.parse().unwrap()).collect();
        let report = group(&[(None, charged(&charges))], &by, &[], &TimeZone::UTC, (None, None));
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
