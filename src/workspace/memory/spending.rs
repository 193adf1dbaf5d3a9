//! Money and model calls, read from the views.

use super::Recall;
use indexmap::IndexMap;
use jiff::tz::TimeZone;

use crate::analytics::charges::{self, Charges, EachSum, Part};
use crate::analytics::spending::CostQuestion;
use crate::domain::ids::{RunId, TimeNs};
use crate::lake::otel::write::RunSpans;
use crate::store::{self, Error};
use crate::views::costs::calls::{self, CallKey, CallRow};
use crate::views::costs::tools::{self, ToolKey, ToolSum};
use crate::views::costs::{self, CostFold, CostKey, quarter_of};
use crate::views::rows::{self, Key, KeyReader};

impl Recall<'_> {
    /// Returns the charges that a question is about, with the days of `zone`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn charges(&self, question: &CostQuestion, zone: &TimeZone) -> Result<Charges, store::Error> {
        /// Readings of a log that grows meanwhile.
        const READINGS_MAX: usize = 3;
        let seen = || self.0.log.view(costs::NAME, &[], None, false, 0).map(|rows| rows.seen);
        let mut readings = 1;
        loop {
            let before = seen()?;
            let charges = charges::read(question, zone, &|part, each| self.sums(part, each))?;
            // What is taken out of a sum has to be in it.
            if !charges.has_moved() || readings == READINGS_MAX || seen()? == before {
                return Ok(charges);
            }
            readings += 1;
        }
    }

    fn sums(&self, part: Part, each: &mut EachSum<'_>) -> Result<(), store::Error> {
        let all = Key::new(part.sums.kind);
        let key = |number: i64| part.sums.from(number).finish();
        let from = part.from.map_or_else(|| all.clone().finish(), key);
        let to = part.to.map_or_else(|| all.end(), |to| Some(key(to)));
        for (key, row) in self.view_rows(costs::NAME, from, to, false, usize::MAX)? {
            let number =
                KeyReader::new(&key).signed().ok_or_else(|| Error::Views("a key of the costs is malformed".to_owned()))?;
            each(number, &key, rows::read(&row).map_err(Error::Views)?).map_err(Error::Views)?;
        }
        Ok(())
    }

    /// Returns the quarter hour in which something was spent last, by its beginning; `None` where nothing was.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn last_charge(&self) -> Result<Option<TimeNs>, store::Error> {
        let all = Key::new(costs::KIND);
        let newest = self.view_rows(costs::NAME, all.clone().finish(), all.end(), true, 1)?;
        Ok(newest.first().and_then(|(key, _)| CostKey::read(key)).map(|key| costs::quarter_begin(key.quarter)))
    }

    /// Returns the tool calls that ended in the UTC quarter hours that touch `[since, until)` (ns since the epoch), in the order of time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn tool_calls(
        &self,
        since: Option<TimeNs>,
        until: Option<TimeNs>,
    ) -> Result<Vec<(ToolKey, ToolSum)>, store::Error> {
        let all = Key::new(tools::KIND);
        let from = since.map_or_else(|| all.clone().finish(), |since| ToolKey::from_quarter(quarter_of(since)).finish());
        let last = |until: TimeNs| ToolKey::from_quarter(quarter_of(until.saturating_sub(1)).saturating_add(1)).finish();
        let to = until.map_or_else(|| all.end(), |until| Some(last(until)));
        let read = |(key, row): &(Vec<u8>, Vec<u8>)| {
            let key = ToolKey::read(key).ok_or_else(|| Error::Views("a key of the tool calls is malformed".to_owned()))?;
            Ok((key, rows::read(row).map_err(Error::Views)?))
        };
        self.view_rows(costs::NAME, from, to, false, usize::MAX)?.iter().map(read).collect()
    }

    /// Calls `each` with every model call that began in `[since, until)` (ns since the epoch), in the order of time, with who paid.
    ///
    /// # Errors
    /// When the store cannot be read, or what `each` says.
    pub(crate) fn each_call<E: From<store::Error>>(
        &self,
        since: Option<TimeNs>,
        until: Option<TimeNs>,
        mut each: impl FnMut(CallKey, &CallRow, &CostFold) -> Result<(), E>,
    ) -> Result<(), E> {
        const PAGE: usize = 2000;
        let all = Key::new(calls::KIND);
        let mut from = since.map_or_else(|| all.clone().finish(), |since| CallKey::from_time(since).finish());
        let to = until.map_or_else(|| all.end(), |until| Some(CallKey::from_time(until).finish()));
        let mut payer: Option<(RunId, CostFold)> = None;
        loop {
            let page = self.view_rows(costs::NAME, from, to.clone(), false, PAGE)?;
            for (key, row) in &page {
                let key = CallKey::read(key).ok_or_else(|| Error::Views("a key of the calls is malformed".to_owned()))?;
                let row: CallRow = rows::read(row).map_err(Error::Views)?;
                if payer.as_ref().is_none_or(|(run, _)| *run != key.run) {
                    payer = Some((key.run, self.payer(key.run)?));
                }
                if let Some((_, payer)) = &payer {
                    each(key, &row, payer)?;
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => from = [&last[..], &[0]].concat(),
                _ => return Ok(()),
            }
        }
    }

    fn payer(&self, run: RunId) -> Result<CostFold, store::Error> {
        let key = CostFold::key(run);
        let end = [&key[..], &[0]].concat();
        let found = self.view_rows(costs::NAME, key, Some(end), false, 1)?;
        found.first().map_or(Ok(CostFold::default()), |(_, row)| rows::read(row).map_err(Error::Views))
    }

    /// Calls `each` with the spans of every run that had a model call in `[since, until)` (ns since the epoch), in the order of their first
    /// call then, and with how many calls these are.
    ///
    /// # Errors
    /// When the store cannot be read, or what `each` says.
    pub(crate) fn each_run_spans<E: From<store::Error>>(
        &self,
        since: Option<TimeNs>,
        until: Option<TimeNs>,
        each: &mut dyn FnMut(Vec<serde_json::Value>, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut runs: IndexMap<RunId, u64> = IndexMap::new();
        self.each_call(since, until, |key, _, _| -> Result<(), store::Error> {
            *runs.entry(key.run).or_default() += 1;
            Ok(())
        })?;
        for (run, calls) in runs {
            let mut spans = RunSpans::new(run);
            for recorded in self.0.keeping().public_events(run, u64::MAX)? {
                spans.apply(&recorded);
            }
            each(spans.spans(since, until), calls)?;
        }
        Ok(())
    }
}
