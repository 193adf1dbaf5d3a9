//! What experience says, read from the views: how attempts, runs, criteria, answers and tools went, and what follows what.
//!
//! Rows come as they are kept, each mode by itself; whoever reads chooses which modes count and says nothing under the minimum
//! sample. Every reading has seen the log up to its head of that moment.

use super::Recall;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use crate::analytics::material::{AnswerHistory, Follower, Material, Outcome, PastRun, Pattern};
use crate::domain::event::Mode;
use crate::domain::ids::{RunId, TimeNs};
use crate::store::ordered::Row;
use crate::store::{self, Error};
use crate::views::Projection;
use crate::views::rows::{self, Key, MapRows, order_of};
use crate::views::stats::answers::{AnswerKey, LastRow, QuestionRow};
use crate::views::stats::associations::{FollowRow, PairRow};
use crate::views::stats::criteria::{CriterionKey, CriterionRow};
use crate::views::stats::outcomes::{LeftOut, OutcomeRow, RunFact};
use crate::views::stats::patterns::PatternKey;
use crate::views::stats::tools::ToolRow;
use crate::views::stats::{self, Memory, day_of};

/// Rows read from a view at once.
const PAGE: u32 = 2000;

impl Recall<'_> {
    /// Returns how attempts went, of one template or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn patterns(&self, template: Option<&str>) -> Result<Vec<Pattern>, store::Error> {
        let rows = self.memory_rows(&PatternKey::of(template), PatternKey::read)?;
        Ok(rows.into_iter().map(|(key, row)| Pattern { key, row }).collect())
    }

    /// Returns how runs went, of one template or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn outcomes(&self, template: Option<&str>) -> Result<Vec<Outcome>, store::Error> {
        let rows = self.memory_rows(&OutcomeRow::of(template), OutcomeRow::read_key)?;
        Ok(rows.into_iter().map(|((template, mode), row)| Outcome { template, mode, row }).collect())
    }

    /// Returns a template's ended runs that began in `[since, until)` (ns since the epoch), newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn past_runs(
        &self,
        template: &str,
        since: Option<TimeNs>,
        until: Option<TimeNs>,
        limit: usize,
    ) -> Result<Vec<PastRun>, store::Error> {
        let (from, to) = within(&RunFact::of(template), since, until);
        let rows = self.view_rows(stats::NAME, from, to, true, limit)?;
        rows.iter().map(|(key, row)| PastRun::read(key, row).map_err(Error::Views)).collect()
    }

    /// Returns the runs that a failure of configuration ended, of one template or of all: no statistic counts them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn left_out(&self, template: Option<&str>) -> Result<Vec<(RunId, Mode)>, store::Error> {
        let begin = LeftOut::of(template);
        self.left_out_of(begin.clone().finish(), begin.end())
    }

    fn left_out_of(&self, from: Vec<u8>, to: Option<Vec<u8>>) -> Result<Vec<(RunId, Mode)>, store::Error> {
        let rows = self.view_rows(stats::NAME, from, to, true, usize::MAX)?;
        let read = |(key, row): &Row| {
            let (_, _, run) = RunFact::read_key(key).ok_or_else(malformed)?;
            let left_out: LeftOut = rows::read(row).map_err(Error::Views)?;
            Ok((run, left_out.mode))
        };
        rows.iter().map(read).collect()
    }

    /// Returns what criteria said, of one template or of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn criteria(&self, template: Option<&str>) -> Result<Vec<(CriterionKey, CriterionRow)>, store::Error> {
        self.memory_rows(&CriterionKey::of(template), CriterionKey::read)
    }

    /// Returns what one template's runs were told. Secret answers are in no view.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn answer_history(&self, template: &str) -> Result<AnswerHistory, store::Error> {
        let questions = self.memory_rows(&QuestionRow::of(template), QuestionRow::read_key)?;
        Ok(AnswerHistory {
            values: self.memory_rows(&AnswerKey::of(template), AnswerKey::read)?,
            questions: questions.into_iter().map(|((mode, question), row)| (mode, question, row)).collect(),
            last: self.memory_rows(&LastRow::of(template), LastRow::read_key)?,
        })
    }

    /// Returns how tools did for one template: mode, tool, row.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn tool_history(&self, template: &str) -> Result<Vec<(Mode, String, ToolRow)>, store::Error> {
        let rows = self.memory_rows(&ToolRow::of(template), ToolRow::read_key)?;
        Ok(rows.into_iter().map(|((_, mode, tool), row)| (mode, tool, row)).collect())
    }

    /// Returns which templates were run within a day after `template`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn followers(&self, template: &str) -> Result<Vec<Follower>, store::Error> {
        let mut followers = Vec::new();
        for mode in [Mode::Real, Mode::Imported, Mode::Simulated] {
            let pairs = self.0.memory().memory_rows::<_, PairRow>(&PairRow::of(mode, template), PairRow::read_key)?;
            if pairs.is_empty() {
                continue;
            }
            let (all, own) = (self.follow_row(mode, "")?, self.follow_row(mode, template)?);
            for ((_, _, then), pair) in pairs {
                let runs = self.follow_row(mode, &then)?.runs;
                followers.push(Follower { template: then, mode, pair, runs, followed: own.followed, all: all.runs });
            }
        }
        Ok(followers)
    }

    /// Returns everything that is known of one template, with at most `past_max` single runs. Within a window only the runs that
    /// began in it count: their events are read and folded anew, all but what follows the template, which is over all time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn material(
        &self,
        template: &str,
        since: Option<TimeNs>,
        until: Option<TimeNs>,
        past_max: usize,
    ) -> Result<Material, store::Error> {
        let followers = self.followers(template)?;
        let past = self.past_runs(template, since, until, past_max)?;
        if since.is_none() && until.is_none() {
            let tools = self.tool_history(template)?;
            let criteria = self.criteria(Some(template))?;
            let answers = self.answer_history(template)?;
            let (outcomes, patterns) = (self.outcomes(Some(template))?, self.patterns(Some(template))?);
            return Ok(Material { outcomes, patterns, criteria, answers, tools, past, followers });
        }
        let mut rows = MapRows::default();
        let (from, to) = within(&LeftOut::of(Some(template)), since, until);
        let left_out = self.left_out_of(from, to)?.into_iter().map(|(run, _)| run);
        for run in self.past_runs(template, since, until, usize::MAX)?.into_iter().map(|past| past.run).chain(left_out) {
            for event in self.0.runs().events_of(run, 1, u32::MAX)? {
                // What a fold cannot take it cannot take in the view either; `doctor` names it.
                if let Err(why) = Memory.apply(&mut rows, &event) {
                    tracing::warn!("event {} does not count: {why}", event.envelope.seq);
                }
            }
        }
        let material = Material::of_rows(&rows, template).map_err(Error::Views)?;
        Ok(Material { past, followers, ..material })
    }

    /// Returns the present UTC day, in days since the epoch: what ages are counted from.
    pub(crate) fn today(&self) -> i32 {
        day_of(self.0.world.now())
    }

    fn follow_row(&self, mode: Mode, template: &str) -> Result<FollowRow, store::Error> {
        let key = FollowRow::key(mode, template);
        let end = [&key[..], &[0]].concat();
        let found = self.view_rows(stats::NAME, key, Some(end), false, 1)?;
        found.first().map_or(Ok(FollowRow::default()), |(_, row)| rows::read(row).map_err(Error::Views))
    }

    fn memory_rows<K, R: DeserializeOwned>(
        &self,
        begin: &Key,
        read: impl Fn(&[u8]) -> Option<K>,
    ) -> Result<Vec<(K, R)>, store::Error> {
        let rows = self.view_rows(stats::NAME, begin.clone().finish(), begin.end(), false, usize::MAX)?;
        let both =
            |(key, row): &(Vec<u8>, Vec<u8>)| Ok((read(key).ok_or_else(malformed)?, rows::read(row).map_err(Error::Views)?));
        rows.iter().map(both).collect()
    }

    /// Returns the rows of `view` whose keys lie in `[from, to)`, at most `limit`, page by page.
    pub(in crate::workspace) fn view_rows(
        &self,
        view: &str,
        mut from: Vec<u8>,
        mut to: Option<Vec<u8>>,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<Row>, store::Error> {
        let mut rows = Vec::new();
        while rows.len() < limit {
            let wanted = u32::try_from(limit - rows.len()).unwrap_or(PAGE).min(PAGE);
            let page = self.0.log.view(view, &from, to.as_deref(), reverse, wanted)?.rows;
            let Some((last, _)) = page.last() else { break };
            if reverse {
                to = Some(last.clone());
            } else {
                from = [&last[..], &[0]].concat();
            }
            let is_last = page.len() < wanted as usize;
            rows.extend(page);
            if is_last {
                break;
            }
        }
        Ok(rows)
    }
}

/// Returns the bounds of the keys behind `begin` of runs that began in `[since, until)`.
fn within(begin: &Key, since: Option<TimeNs>, until: Option<TimeNs>) -> (Vec<u8>, Option<Vec<u8>>) {
    let from = since.map_or_else(|| begin.clone().finish(), |since| begin.clone().bytes(&order_of(since)).finish());
    let to = until.map_or_else(|| begin.end(), |until| Some(begin.clone().bytes(&order_of(until)).finish()));
    (from, to)
}

pub(in crate::workspace) fn malformed() -> store::Error {
    Error::Views("a key of a view is malformed".to_owned())
}

/// What history proposes for one question.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultAnswer {
    /// The question's id.
    pub question: String,
    /// The last answer, and its run.
    pub last: Option<(Value, RunId)>,
    /// What most successful runs chose; `None` when fewer than the minimum sample succeeded.
    pub chosen: Option<ChosenAnswer>,
}

/// What successful runs chose most often.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenAnswer {
    /// The value.
    pub value: Value,
    /// Successful runs that chose it.
    pub successes: u64,
    /// Successful runs that answered the question.
    pub of: u64,
    /// The newest of them.
    pub evidence: Vec<RunId>,
}

impl Recall<'_> {
    /// Returns what history proposes for each question of a template that was answered before. Secret answers are in no view, and
    /// those of questions in `sensitive` are left out here. Lists are proposed as they were given last only, and what successful runs
    /// chose is known from the minimum sample of them on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn default_answers(&self, template: &str, sensitive: &[&str]) -> Result<Vec<DefaultAnswer>, store::Error> {
        let history = self.answer_history(template)?;
        let mut defaults = Vec::new();
        for (question, last) in &history.last {
            if sensitive.contains(&question.as_str()) {
                continue;
            }
            // What a person chose counts whatever answered it; what went well counts only where models were real.
            let last = last.0.first().and_then(|answer| Some((serde_json::from_str(&answer.value).ok()?, answer.run)));
            let is_list = matches!(&last, Some((Value::Array(_), _)));
            let chosen = if is_list { None } else { chosen(&history, question) };
            let chosen = chosen.filter(|chosen| chosen.of >= u64::from(self.0.resolved.settings.memory.min_sample));
            defaults.push(DefaultAnswer { question: question.clone(), last, chosen });
        }
        Ok(defaults)
    }
}

fn chosen(history: &AnswerHistory, question: &str) -> Option<ChosenAnswer> {
    let counts = |mode: &Mode| *mode != Mode::Simulated;
    let asked = history.questions.iter().filter(|(mode, known, _)| known == question && counts(mode));
    let of = asked.map(|(_, _, row)| row.ends.judged(true).0).sum();
    let mut values: Vec<(&str, u64, stats::Evidence)> = Vec::new();
    for (key, row) in history.values.iter().filter(|(key, _)| key.question == question && counts(&key.mode)) {
        let successes = row.ends.judged(true).0;
        match values.iter_mut().find(|(value, ..)| *value == key.value) {
            Some(held) => {
                held.1 += successes;
                held.2.merge(&row.successes);
            }
            None => values.push((&key.value, successes, row.successes.clone())),
        }
    }
    let (value, successes, evidence) = values.into_iter().filter(|held| held.1 > 0).max_by(|a, b| {
        // Of two that were chosen equally often the one chosen last is proposed.
        (a.1, a.2.newest()).cmp(&(b.1, b.2.newest()))
    })?;
    Some(ChosenAnswer { value: serde_json::from_str(value).ok()?, successes, of, evidence: evidence.runs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::stats::answers::AnswerRow;
    use crate::views::stats::outcomes::Ends;

    #[test]
    fn what_successful_runs_chose_is_counted_over_real_and_imported_ones() {
        let value = |mode, value: &str, succeeded, failed| {
            let key = AnswerKey { template: "t".into(), mode, question: "q".into(), value: value.into() };
            (key, AnswerRow { ends: Ends { succeeded, failed, ..Ends::default() }, ..AnswerRow::default() })
        };
        let asked = |mode, succeeded, failed| {
            let ends = Ends { succeeded, failed, ..Ends::default() };
            (mode, "q".to_owned(), QuestionRow { ends, ..QuestionRow::default() })
        };
        let history = AnswerHistory {
            values: vec![
                value(Mode::Real, "true", 2, 9),
                value(Mode::Real, "false", 2, 0),
                value(Mode::Imported, "false", 3, 0),
                value(Mode::Simulated, "true", 50, 0),
            ],
            questions: vec![asked(Mode::Real, 4, 9), asked(Mode::Imported, 3, 0), asked(Mode::Simulated, 50, 0)],
            last: Vec::new(),
        };
        let chosen = chosen(&history, "q").unwrap();
        assert_eq!((chosen.value, chosen.successes, chosen.of), (Value::Bool(false), 5, 7));
        assert_eq!(super::chosen(&history, "other"), None);
    }
}
