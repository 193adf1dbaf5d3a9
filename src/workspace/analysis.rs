//! Reports over the past: what was spent, and how templates do.

use jiff::tz::TimeZone;

use super::Workspace;
use crate::analytics::build::{self, Terms};
use crate::analytics::report::Analytics;
use crate::analytics::spending::{self, CostReport, Dimension};
use crate::analytics::telemetry::{Gathering, PriceOf, TelemetryReport};
use crate::domain::ids::TimeNs;
use crate::store;
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

impl Workspace {
    /// Returns what experience says: a line per template, and everything about the one that is asked for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn analytics(&self, question: &AnalyticsQuestion) -> Result<Analytics, store::Error> {
        let template = question.template.as_deref();
        let terms = self.terms(question);
        let (lines, report) = match template {
            Some(template) => {
                let material = self.material(template, question.since, question.until, PAST_MAX)?;
                (build::lines(&material.outcomes, &terms), build::template(template, &material, &terms))
            }
            None if question.since.is_none() && question.until.is_none() => (build::lines(&self.outcomes(None)?, &terms), None),
            None => {
                let mut outcomes = Vec::new();
                let mut known: Vec<String> = self.outcomes(None)?.into_iter().map(|outcome| outcome.template).collect();
                known.dedup();
                for template in known {
                    outcomes.extend(self.material(&template, question.since, question.until, 0)?.outcomes);
                }
                (build::lines(&outcomes, &terms), None)
            }
        };
        Ok(Analytics {
            modes: terms.modes(),
            unverified_counts: terms.unverified,
            min_sample: terms.min_sample,
            half_life_days: terms.half_life_days,
            since: question.since.map(utc),
            until: question.until.map(utc),
            templates: lines,
            template: report,
        })
    }

    /// Returns sums over the model calls that began in `[since, until)` (ns since the epoch), with an estimate of what the same tokens
    /// would have cost at the prices of the premium model that is set.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn telemetry(&self, since: Option<TimeNs>, until: Option<TimeNs>) -> Result<TelemetryReport, store::Error> {
        let premium = self.resolved.settings.tiers.premium.as_ref().map(|tier| {
            let price: PriceOf<'_> = Box::new(|usage| Some(self.prices.price(&tier.provider, &tier.model, usage)?.amount));
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
        let memory = &self.resolved.settings.memory;
        let found = question.template.as_deref().and_then(|id| self.library.find(id).ok().flatten());
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

    /// Returns what was spent between `since` and `until` (ns since the epoch, widened to whole UTC quarter hours), by `by`, with the days of
    /// `zone`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn costs(
        &self,
        by: &[Dimension],
        since: Option<TimeNs>,
        until: Option<TimeNs>,
        zone: &TimeZone,
    ) -> Result<CostReport, store::Error> {
        let is_fine = by.iter().any(|dimension| matches!(dimension, Dimension::Day | Dimension::Week));
        let by_month = if since.is_none() && until.is_none() && !is_fine { self.charges_by_month(zone)? } else { None };
        let charges = by_month.map_or_else(|| self.charges(since, until), Ok)?;
        let since = since.map(|since| costs::quarter_begin(costs::quarter_of(since)));
        let until = until.map(|until| costs::quarter_end(costs::quarter_of(until.saturating_sub(1))).saturating_add(1));
        Ok(spending::group(&charges, by, zone, (since.map(utc), until.map(utc))))
    }
}
