//! Reports over the past: what was spent, and how templates do.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Recall;
use crate::analytics::build::{self, Terms};
use crate::analytics::material::Outcome;
use crate::analytics::report::{Analytics, WeekLine};
use crate::analytics::spending::{self, CostQuestion, CostReport, Dimension, Only};
use crate::analytics::telemetry::{Gathering, PriceOf, TelemetryReport};
use crate::domain::ids::{NodeId, TimeNs};
use crate::store;
use crate::views::run_list::RunRow;
use crate::views::{costs, utc};

/// Single runs that a report looks at, the newest.
const PAST_MAX: usize = 2000;

/// What `analytics` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnalyticsQuestion {
    /// Only this template, and everything about it.
    pub template: Option<String>,
    /// Only runs begun at this moment or later.
    pub since: Option<TimeNs>,
    /// Only runs begun before this moment.
    pub until: Option<TimeNs>,
    /// Simulated runs count too.
    pub simulated: bool,
    /// Successes that nobody could verify count as successes.
    pub unverified: bool,
}

impl Recall<'_> {
    /// Returns what experience says: a line per template, and everything about the one that is asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn analytics(&self, question: &AnalyticsQuestion) -> Result<Analytics, store::Error> {
        let template = question.template.as_deref();
        let terms = self.terms(question);
        let (outcomes, report) = match template {
            Some(template) => {
                let material = self.material(template, question.since, question.until, PAST_MAX)?;
                let report = build::template(template, &material, &terms);
                (material.outcomes, report)
            }
            None if question.since.is_none() && question.until.is_none() => (self.outcomes(None)?, None),
            None => {
                let mut outcomes = Vec::new();
                let mut known: Vec<String> = self.outcomes(None)?.into_iter().map(|outcome| outcome.template).collect();
                known.dedup();
                for template in known {
                    outcomes.extend(self.material(&template, question.since, question.until, 0)?.outcomes);
                }
                (outcomes, None)
            }
        };
        Ok(Analytics {
            modes: terms.modes(),
            unverified_counts: terms.unverified,
            min_sample: terms.min_sample,
            half_life_days: terms.half_life_days,
            since: question.since.map(utc),
            until: question.until.map(utc),
            templates: build::lines(&outcomes, &terms),
            template: report,
            weeks: build::weeks(&outcomes, &terms),
        })
    }

    /// Returns the weeks of each template that has runs that count, whenever they began.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn trends(&self, question: &AnalyticsQuestion) -> Result<BTreeMap<String, Vec<WeekLine>>, store::Error> {
        let terms = self.terms(question);
        let mut templates: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
        for outcome in self.outcomes(None)? {
            templates.entry(outcome.template.clone()).or_default().push(outcome);
        }
        Ok(templates.into_iter().map(|(template, outcomes)| (template, build::weeks(&outcomes, &terms))).collect())
    }

    /// Returns sums over the model calls that began in `[since, until)` (ns since the epoch), with an estimate of what the same tokens
    /// would have cost at the prices of the premium model that is set.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn telemetry(&self, since: Option<TimeNs>, until: Option<TimeNs>) -> Result<TelemetryReport, store::Error> {
        let premium = self.0.resolved.settings.tiers.premium.as_ref().map(|tier| {
            let price: PriceOf<'_> = Box::new(|usage| Some(self.0.prices.price(&tier.provider, &tier.model, usage)?.amount));
            (tier.model.clone(), price)
        });
        let mut gathering = Gathering::new(premium);
        self.each_call(since, until, |_, row, payer| -> Result<(), store::Error> {
            gathering.add(row, payer);
            Ok(())
        })?;
        Ok(gathering.finish((since.map(utc), until.map(utc))))
    }

    fn terms(&self, question: &AnalyticsQuestion) -> Terms {
        let memory = &self.0.resolved.settings.memory;
        let found = question.template.as_deref().and_then(|id| self.0.library.find(id).ok().flatten());
        let template = found.and_then(|entry| entry.template);
        let questions = template.iter().flat_map(|template| &template.form_schema.questions);
        Terms {
            simulated: question.simulated,
            unverified: question.unverified,
            min_sample: u64::from(memory.min_sample.max(1)),
            half_life_days: memory.half_life_days,
            today: self.today(),
            sensitive: questions.filter(|question| question.sensitive).map(|question| question.id.clone()).collect(),
        }
    }

    /// Returns what was spent between `since` and `until` of the question (ns since the epoch, widened to whole UTC quarter hours), by its
    /// dimensions, with the days of `zone`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn costs(&self, question: &CostQuestion, zone: &TimeZone) -> Result<CostReport, store::Error> {
        let CostQuestion { by, only, since, until } = question;
        let since_quarter = since.map(|since| costs::quarter_begin(costs::quarter_of(since)));
        let until_quarter = until.map(|until| costs::quarter_end(costs::quarter_of(until.saturating_sub(1))).saturating_add(1));
        let span = (since_quarter.map(utc), until_quarter.map(utc));
        let asks_for = |wanted: &Dimension| by.contains(wanted) || only.iter().any(|only| only.dimension == *wanted);
        if asks_for(&Dimension::Tool) {
            let calls = self.of_each_log(asks_for(&Dimension::Node), &|| self.tool_calls(*since, *until))?;
            return Ok(spending::group_tools(&calls, by, only, zone, span));
        }
        let charges = self.of_each_log(asks_for(&Dimension::Node), &|| self.charges(question, zone))?;
        let mut report = spending::group(&charges, by, only, zone, span);
        report.notices.extend(self.calls_without_end(question)?);
        Ok(report)
    }

    /// Says how many model calls of runs that have not ended, and that the question may count, have no end in the log: nobody knows yet what
    /// they cost, so that no sum has it. The newest runs are looked at, because older ones that stand still are many where many fail.
    fn calls_without_end(&self, question: &CostQuestion) -> Result<Option<String>, store::Error> {
        const RUNS: usize = 100;
        let CostQuestion { only, since, until, .. } = question;
        let (mut calls, mut runs) = (0, 0);
        for row in self.0.runs().waiting_rows(RUNS)? {
            let open = row.open_costs.without_end();
            if open == 0 || until.is_some_and(|until| row.started_at >= until) || !only.iter().all(|only| may_be(&row, only)) {
                continue;
            }
            // What a process does that has the run in its hands will be written now; a run that stands still made its calls before its
            // last event.
            let runs_now = || self.0.runs().is_executed(&row);
            let moment =
                || self.0.runs().events_of(row.run_id, row.version, 1).map(|last| last.first().map(|last| last.envelope.at));
            if let Some(since) = since
                && !runs_now()
                && moment()?.is_some_and(|at| costs::quarter_of(at) < costs::quarter_of(*since))
            {
                continue;
            }
            (calls, runs) = (calls + open, runs + 1);
        }
        let words = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
        Ok((calls > 0).then(|| {
            let (calls, runs) = (words(calls, "model call"), words(runs, "run"));
            format!("in no sum: {calls} without an end, in {runs} without an end; each sum is at least what it says")
        }))
    }

    /// Asks `ask` of each log by itself, or of all logs at once where nothing depends on whose they are.
    fn of_each_log<T>(
        &self,
        apart: bool,
        ask: &dyn Fn() -> Result<T, store::Error>,
    ) -> Result<Vec<(Option<NodeId>, T)>, store::Error> {
        if apart { self.0.keeping().each_log(ask) } else { Ok(vec![(None, ask()?)]) }
    }
}

/// Tells whether calls of a run may have this value: what only a call itself tells, all of them may have.
fn may_be(row: &RunRow, only: &Only) -> bool {
    let is = |value: Option<&str>| value.unwrap_or_default() == only.value;
    match &only.dimension {
        Dimension::Template => is(Some(&row.template_id)),
        Dimension::Mode => is(Some(row.mode.name())),
        Dimension::Workspace => is(row.workspace.as_deref()),
        // What stands still is asked for in the own log alone.
        Dimension::Node => only.value == "own",
        Dimension::LabelOf(key) => is(row.labels.get(key).map(String::as_str)),
        _ => true,
    }
}
