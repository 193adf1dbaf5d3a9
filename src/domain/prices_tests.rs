use super::*;

fn table(rows: &str) -> PriceTable {
    let text = format!(r#"{{"as_of": "2026-01-01", "rows": {rows}}}"#);
    PriceTable::merge([PriceFile::parse(&text).unwrap()])
}

const BANDED: &str = r#"[{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 1000000, "output": 2000000, "cache_write": 1250000},
    "bands": [{"above_input_tokens": 100, "nusd_per_mtok": {"input": 5000000, "output": 6000000}},
              {"above_input_tokens": 200, "nusd_per_mtok": {"input": 9000000, "output": 9000000}}]}]"#;

fn tokens(input: u64, output: u64) -> TokenUsage {
    TokenUsage { input, output, ..TokenUsage::default() }
}

#[test]
fn a_band_begins_strictly_above_its_threshold_and_holds_for_all_tokens() {
    let table = table(BANDED);
    let price = |input| table.price("p", "m", &tokens(input, 1)).map(|priced| (priced.amount.0, priced.band_above));
    assert_eq!(price(100), Some((102, 0)));
    assert_eq!(price(101), Some((511, 100)));
    assert_eq!(price(200), Some((1006, 100)));
    assert_eq!(price(201), Some((1818, 200)));
}

#[test]
fn missing_components_cost_what_input_costs_and_never_nothing() {
    let row = table(BANDED).row("p", "m").unwrap().clone();
    let (base, _) = row.units_for(1);
    assert_eq!((base.cache_read, base.cache_write_5m, base.cache_write_1h), (1_000_000, 1_250_000, 1_250_000));
    let (band, _) = row.units_for(150);
    assert_eq!((band.cache_read, band.cache_write_5m, band.cache_write_1h), (5_000_000, 5_000_000, 5_000_000));
}

#[test]
fn the_worst_case_reaches_into_the_next_band() {
    let table = table(BANDED);
    let worst = |input| table.worst_case("p", "m", input, 10).map(|priced| (priced.amount.0, priced.band_above));
    assert_eq!(worst(80), Some((120, 0)), "input counts at the price of writing the cache");
    assert_eq!(worst(81), Some((465, 100)), "a quarter more would cross 100");
    assert_eq!(worst(500), Some((4590, 200)));
    assert_eq!(table.worst_case("p", "unknown", 1, 1), None);
}

#[test]
fn dated_models_fall_back_to_the_undated_row_and_prefixes_only_when_a_row_says_so() {
    let one = r#"{"input": 1000000, "output": 1000000}"#;
    let two = r#"{"input": 2000000, "output": 2000000}"#;
    let rows = format!(
        r#"[{{"provider": "p", "model": "m-1", "aliases": ["em"], "nusd_per_mtok": {one}}},
            {{"provider": "p", "model": "m-1-20260202", "nusd_per_mtok": {two}}},
            {{"provider": "p", "model": "x", "prefix": true, "nusd_per_mtok": {one}}},
            {{"provider": "p", "model": "x-y", "prefix": true, "nusd_per_mtok": {two}}}]"#
    );
    let table = table(&rows);
    let input = |model| table.row("p", model).map(|row| row.nusd_per_mtok.input / 1_000_000);
    for (model, expected) in [
        ("m-1", Some(1)),
        ("em", Some(1)),
        ("m-1-20260101", Some(1)),
        ("m-1-2026-01-01", Some(1)),
        ("m-1@20260101", Some(1)),
        ("m-1-latest", Some(1)),
        ("m-1-20260202", Some(2)),
        ("m-1-pro", None),
        ("m-1-202601", None),
        ("x-z", Some(1)),
        ("x-y-z", Some(2)),
        ("y", None),
        ("", None),
        ("-20260101", None),
    ] {
        assert_eq!(input(model), expected, "{model}");
    }
    assert_eq!(table.row("q", "m-1"), None);
}

#[test]
fn later_files_win_row_by_row_and_the_hash_sees_only_the_outcome() {
    let file = |as_of: &str, model: &str, price: u64| {
        let text = format!(
            r#"{{"as_of": "{as_of}", "rows": [{{"provider": "p", "model": "{model}", "nusd_per_mtok": {{"input": {price}, "output": {price}}}}}]}}"#
        );
        PriceFile::parse(&text).unwrap()
    };
    let (a, b, b2) = (file("2026-01-01", "a", 1000), file("2026-01-01", "b", 1000), file("2026-02-02", "b", 2000));
    let merged = PriceTable::merge([a.clone(), b.clone(), b2.clone()]);
    assert_eq!(merged.row("p", "b").unwrap().nusd_per_mtok.input, 2000);
    assert_eq!(merged.as_of(), "2026-02-02");
    assert_eq!(merged.hash(), PriceTable::merge([b2, a.clone()]).hash());
    assert_ne!(merged.hash(), PriceTable::merge([a, b]).hash());
    let again = PriceFile::parse(&serde_json::to_string(&merged.to_file()).unwrap()).unwrap();
    assert_eq!(PriceTable::merge([again]), merged);
}

#[test]
fn wrong_files_name_the_row() {
    for (text, error) in [
        (r#"{"as_of": "2026-1-1", "rows": []}"#, "as_of: `2026-1-1` is not a day like 2026-11-22"),
        (r#"{"as_of": "2026-01-01", "currency": "EUR", "rows": []}"#, "currency: `EUR` is not supported, only USD"),
        (
            r#"{"as_of": "2026-01-01", "rows": [{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 2, "output": 9000}}]}"#,
            "row 1 (p/m): a price of 2 looks like dollars; the unit is nUSD per million tokens, so $1 is 1000000000",
        ),
        (
            r#"{"as_of": "2026-01-01", "rows": [{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 0, "output": 0}},
               {"provider": "p", "model": "n", "aliases": ["m"], "nusd_per_mtok": {"input": 0, "output": 0}}]}"#,
            "row 2 (p/n): `m` is in row 1 already",
        ),
        (
            r#"{"as_of": "2026-01-01", "rows": [{"provider": "p", "model": "m", "retires": "soon", "nusd_per_mtok": {"input": 0, "output": 0}}]}"#,
            "row 1 (p/m): retires: `soon` is not a day like 2026-11-22",
        ),
        (
            r#"{"as_of": "2026-01-01", "rows": [{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 0, "output": 0},
               "bands": [{"above_input_tokens": 0, "nusd_per_mtok": {"input": 0, "output": 0}}]}]}"#,
            "row 1 (p/m): bands must rise: each above_input_tokens above the one before, the first above 0",
        ),
    ] {
        assert_eq!(PriceFile::parse(text).unwrap_err().to_string(), error);
    }
    let typo = r#"{"as_of": "2026-01-01", "rows": [{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 0, "ouput": 0}}]}"#;
    assert!(PriceFile::parse(typo).unwrap_err().to_string().contains("unknown field `ouput`"));
}

#[test]
fn tariffs_make_a_provider_free_or_like_another() {
    let table = table(BANDED).with_tariffs([
        ("local".to_owned(), Tariff::Free),
        ("work".to_owned(), Tariff::SameAs("p".to_owned())),
        ("simulated".to_owned(), Tariff::AnyProvider),
    ]);
    let amount = |provider| table.price(provider, "m", &tokens(10, 0)).map(|priced| priced.amount.0);
    assert_eq!(amount("local"), Some(0));
    assert_eq!(amount("work"), Some(10));
    assert_eq!(amount("simulated"), Some(10));
    assert_eq!(amount("elsewhere"), None);
    let narrow = table.narrowed([("work", "m"), ("local", "any"), ("elsewhere", "m")]);
    for provider in ["local", "work", "elsewhere"] {
        assert_eq!(narrow.price(provider, "m", &tokens(9, 9)), table.price(provider, "m", &tokens(9, 9)), "{provider}");
    }
    assert_eq!(narrow.rows().count(), 1);
}

#[test]
fn old_prices_and_retired_models_are_said() {
    let day = |text: &str| text.parse::<Date>().unwrap();
    let rows = r#"[{"provider": "p", "model": "m", "retires": "2026-03-01", "nusd_per_mtok": {"input": 0, "output": 0}}]"#;
    let table = table(rows);
    assert_eq!(table.stale([("p", "m")], day("2026-04-01")), None, "90 days");
    assert!(table.stale([("p", "m")], day("2026-04-02")).unwrap().starts_with("prices are from 2026-01-01, 91 days ago"));
    assert_eq!(table.stale([("p", "unknown")], day("2030-01-01")), None);
    assert_eq!(table.retiring("p", "m", day("2026-01-29")), None);
    assert_eq!(table.retiring("p", "m", day("2026-01-30")).unwrap(), "model `m` of provider `p` retires on 2026-03-01");
    assert!(table.retiring("p", "m", day("2026-03-01")).unwrap().contains("was retired"));
}

#[test]
fn a_call_costs_what_held_on_its_day() {
    let rows = r#"[{"provider": "p", "model": "m", "nusd_per_mtok": {"input": 3000000, "output": 3000000}, "earlier": [
        {"until": "1970-01-11", "nusd_per_mtok": {"input": 1000000, "output": 1000000}},
        {"until": "1970-01-21", "nusd_per_mtok": {"input": 2000000, "output": 2000000},
            "bands": [{"above_input_tokens": 5, "nusd_per_mtok": {"input": 9000000, "output": 9000000}}]}]}]"#;
    let table = table(rows);
    let cost = |input, on| table.price_on("p", "m-20260101", &tokens(input, 0), on).map(|priced| priced.amount.0);
    assert_eq!([9, 10, 19, 20].map(|day| cost(1, day)), [Some(1), Some(2), Some(2), Some(3)]);
    assert_eq!([9, 10, 20].map(|day| cost(6, day)), [Some(6), Some(54), Some(18)], "each with its own bands");
    assert_eq!(table.price_on("p", "other", &tokens(1, 0), 0), None);
    let unordered = rows.replace("1970-01-21", "1970-01-11");
    let text = format!(r#"{{"as_of": "2026-01-01", "rows": {unordered}}}"#);
    assert!(PriceFile::parse(&text).unwrap_err().to_string().contains("earlier"));
}
