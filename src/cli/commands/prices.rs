//! `meno prices [MODEL] [--update FILE]`: what tokens cost, and the user's own table.

use crate::cli::args::PricesArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::table::{Column, Fit, Table};
use crate::cli::output::{Printer, sanitize, words};
use crate::domain::money::NanoUsd;
use crate::domain::prices::{PriceRow, PriceTable};
use crate::settings::Places;
use crate::workspace::{Access, setup};

/// Shows prices; with `--json` as a price table that `--update` takes.
///
/// # Errors
/// When a table is wrong, or nobody prices the model.
pub fn run(context: &mut Context, args: &PricesArgs) -> Result<Exit> {
    if let Some(file) = &args.update {
        let (path, table) = setup::update_prices(&Places::of_process(&context.variables)?, file)?;
        let models = words::plural(table.rows.len() as u64, "model");
        context.out.say(format!("wrote {}: {models}, as of {}", sanitize::line(&path.display().to_string()), table.as_of));
        if args.model.is_none() && !context.out.json() {
            return Ok(Exit::Done);
        }
    }
    let workspace = open::store(context, Access::Surroundings)?;
    show(&mut context.out, &workspace.prices, args.model.as_deref())
}

fn show(out: &mut Printer, prices: &PriceTable, model: Option<&str>) -> Result<Exit> {
    let rows: Vec<&PriceRow> = match model {
        None => prices.rows().collect(),
        Some(model) => find(prices, model)?,
    };
    if out.json() {
        let mut file = prices.to_file();
        file.rows = rows.into_iter().cloned().collect();
        out.document(&file)?;
        return Ok(Exit::Done);
    }
    let columns = [
        Column::new("provider", Fit::Whole).once(),
        Column::new("model", Fit::Whole),
        Column::new("input above", Fit::Number),
        Column::new("input", Fit::Number),
        Column::new("output", Fit::Number),
        Column::new("cache read", Fit::Number).optional(1),
        Column::new("cache write", Fit::Number).optional(1),
        Column::new("as of", Fit::Whole).once().optional(3),
        Column::new("retires", Fit::Whole).optional(2),
    ];
    let mut table = Table::new(out, &columns);
    for row in rows {
        for above in std::iter::once(0).chain(row.bands.iter().map(|band| band.above_input_tokens)) {
            let (unit, _) = row.units_for(above.saturating_add(1));
            let usd = |price: u64| format!("${}", NanoUsd(price).to_decimal());
            let above = if above == 0 { String::new() } else { words::count(above) };
            let day = |day: &Option<String>| day.clone().unwrap_or_default();
            table.row([
                row.provider.clone(),
                row.model.clone(),
                above,
                usd(unit.input),
                usd(unit.output),
                usd(unit.cache_read),
                usd(unit.cache_write_5m),
                day(&row.as_of),
                day(&row.retires),
            ]);
        }
    }
    out.data(table.finish())?;
    out.say("US dollars per million tokens; a band holds for the whole call when its input is above so many tokens");
    Ok(Exit::Done)
}

/// Returns the rows that price `model`, given alone or as `provider/model`.
fn find<'p>(prices: &'p PriceTable, model: &str) -> Result<Vec<&'p PriceRow>> {
    let mut providers: Vec<&str> = prices.rows().map(|row| row.provider.as_str()).collect();
    providers.dedup();
    let mut rows: Vec<&PriceRow> = providers
        .iter()
        // A simulation has the rows of others, which are listed as theirs already.
        .filter_map(|provider| prices.row(provider, model).filter(|row| row.provider == **provider))
        .collect();
    if rows.is_empty() {
        rows.extend(model.split_once('/').and_then(|(provider, model)| prices.row(provider, model)));
    }
    if rows.is_empty() {
        let report = CliError::new("model_not_found", Exit::Mendable, format!("model `{model}` has no price"));
        return Err(report.suggest(
            model,
            prices.rows().map(|row| row.model.as_str()),
            "`meno prices` shows all; `--prices FILE` adds more",
        ));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;
    use crate::domain::prices::PriceFile;
    use crate::providers::embedded_prices;

    #[test]
    fn a_model_is_shown_with_its_bands_and_a_wrong_name_with_the_nearest() {
        let prices = PriceTable::merge([embedded_prices().unwrap()]);
        let data = Captured::default();
        let mut out = Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None);
        assert_eq!(show(&mut out, &prices, Some("claude-haiku-5-5")), Ok(Exit::Done));
        assert!(data.text().lines().count() == 3 && data.text().contains("100,000"), "{}", data.text());
        let report = show(&mut out, &prices, Some("claude-haiku-55")).unwrap_err();
        assert!(report.exit == Exit::Mendable && report.hint.unwrap().contains("`claude-haiku-5-5`"));
    }

    #[test]
    fn the_json_is_a_price_table_that_is_read_back() {
        let prices = PriceTable::merge([embedded_prices().unwrap()]);
        let data = Captured::default();
        show(
            &mut Printer::to(OutputOptions { json: true, ..OutputOptions::default() }, data.clone(), Vec::new(), None),
            &prices,
            None,
        )
        .unwrap();
        assert_eq!(PriceTable::merge([PriceFile::parse(&data.text()).unwrap()]), prices);
    }
}
