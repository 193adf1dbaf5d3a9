//! Advice for many tasks in one pass: learned once from the store's past, answered for each.

use std::collections::HashMap;
use std::io::BufRead;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Recall;
use crate::domain::ids::RunId;
use crate::domain::json_fault::JsonFault;
use crate::domain::tier::Tier;
use crate::memory::advice::advisor::{Advisor, Estimate};
use crate::memory::advice::choose::{Rung, Start, best, starts};
use crate::memory::advice::past::{self, Costs, Counts, PastTask};
use crate::memory::advice::space::{Located, Task};
use crate::memory::advice::team::{Enough, TierAdvice};
use crate::memory::embed;
use crate::memory::index::{self, GoOn};
use crate::memory::sparing::{Meanings, embed_nearest};
use crate::store;
use crate::views::stats::tasks::TaskRow;
use crate::views::{rows, stats};
use crate::workspace::memory::patterns::malformed;

/// Past tasks that are learned from, at most: the newest.
const PAST_MAX: usize = 10_000;

/// Texts of past tasks that are embedded for one question, at most: what has a vector already costs nothing.
const EMBEDDED_MAX: usize = 300;

/// Past runs named as evidence for one task, at most.
const EVIDENCE_MAX: usize = 5;

/// One task that advice is asked for.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AskedTask {
    /// What the caller calls it: a text or a number.
    pub id: Value,
    /// The template that it belongs to.
    #[serde(default)]
    pub template_id: Option<String>,
    /// The role of the agent that is to do it.
    #[serde(default)]
    pub role: String,
    /// What is to be done.
    pub text: String,
}

/// Advice for one task.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "One line of `meno recommend --tasks`")]
pub struct TaskAdvice {
    /// What the caller called it.
    pub id: Value,
    /// Where to start: the least expected cost with the escalations that may follow. Null when the role's past is too small to know.
    pub start_tier: Option<Tier>,
    /// The tiers with data in this history, lowest first. Attempts are counted as past tasks of the same role and template (or role,
    /// where the template is new) with an outcome at the tier.
    pub tiers: Vec<TierAdvice>,
    /// Past runs with the most similar tasks.
    pub evidence: Vec<String>,
}

/// Why no advice can be given.
#[derive(Debug, thiserror::Error)]
pub enum RecommendError {
    /// The tasks cannot be read.
    #[error("the tasks cannot be read: {0}")]
    Io(#[source] std::io::Error),
    /// A line is no task.
    #[error("line {line} is no task: {why}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// The past cannot be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Advice for all tasks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TasksAdvice {
    /// In the order of the tasks.
    pub tasks: Vec<TaskAdvice>,
    /// Past tasks learned from.
    pub learned_from: usize,
    /// Why texts were compared by their features alone, when they were.
    pub without_meaning: Option<String>,
    /// Past tasks that were compared by their features alone, because not all that had no vector yet were embedded.
    pub not_embedded: usize,
}

/// Reads tasks: JSON Lines.
///
/// # Errors
/// [`RecommendError::Io`], [`RecommendError::Line`].
pub fn read_tasks(lines: impl BufRead) -> Result<Vec<AskedTask>, RecommendError> {
    let mut tasks = Vec::new();
    for (index, line) in lines.lines().enumerate() {
        let line = line.map_err(RecommendError::Io)?;
        if line.trim().is_empty() {
            continue;
        }
        let at = |why: String| RecommendError::Line { line: index + 1, why };
        let task: AskedTask = serde_json::from_str(&line).map_err(|error| {
            let fault = JsonFault::of(&line, &error);
            at(format!("{} at column {}", fault.message, fault.column))
        })?;
        if !matches!(task.id, Value::String(_) | Value::Number(_)) {
            return Err(at("`id` is neither a text nor a number".to_owned()));
        }
        tasks.push(task);
    }
    Ok(tasks)
}

impl Recall<'_> {
    /// Returns the past tasks that `wanted` takes, newest first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn past_tasks(
        &self,
        wanted: &dyn Fn(&PastTask) -> bool,
        limit: usize,
    ) -> Result<Vec<PastTask>, store::Error> {
        /// Rows read at once.
        const PAGE: usize = 2000;
        let (begin, mut end) = (TaskRow::of_all().finish(), TaskRow::of_all().end());
        let mut tasks = Vec::new();
        loop {
            let rows = self.view_rows(stats::NAME, begin.clone(), end, true, PAGE)?;
            for (key, row) in &rows {
                let (at, run, agent) = TaskRow::read_key(key).ok_or_else(malformed)?;
                let task = PastTask { run, at, agent, row: rows::read(row).map_err(store::Error::Views)? };
                if wanted(&task) {
                    tasks.push(task);
                }
                if tasks.len() == limit {
                    return Ok(tasks);
                }
            }
            let Some((last, _)) = rows.last().filter(|_| rows.len() == PAGE) else { return Ok(tasks) };
            end = Some(last.clone());
        }
    }

    /// Returns advice for `tasks` from what the store remembers. `progress` is told how many of how many texts are embedded.
    ///
    /// # Errors
    /// A [`RecommendError`].
    pub(crate) fn recommend_tasks(
        &self,
        tasks: &[AskedTask],
        counts: Counts,
        progress: GoOn<'_>,
    ) -> Result<TasksAdvice, RecommendError> {
        let past = self.past_tasks(&|task| counts.takes(&task.row), PAST_MAX)?;
        let tiers = past::tiers(&past, counts);
        let texts: Vec<&str> = past.iter().map(|task| task.row.text.as_str()).collect();
        let asked: Vec<&str> = tasks.iter().map(|task| task.text.as_str()).collect();
        // Without a past there is nothing to compare a text with.
        let (meanings, without_meaning) =
            if past.is_empty() { (Meanings::default(), None) } else { self.meanings(&texts, &asked, progress) };
        let Meanings { past: vectors, asked, left_out } = meanings;
        let settings = &self.0.resolved.settings.memory;
        let history = past::history(&past, counts, &vectors, &tiers, self.0.world.now(), settings.half_life_days);
        let advisor = Advisor::new(&history, tiers.len());
        let mut of_role: HashMap<&str, u32> = HashMap::new();
        past.iter().for_each(|task| *of_role.entry(&task.row.role).or_default() += 1);
        let is_known = |role: &str| of_role.get(role).is_some_and(|tasks| *tasks >= settings.min_sample);
        let costs = Costs::of(&past);
        let enough = enough(&past, counts, &tiers, settings.min_sample as usize);
        let advice = tasks.iter().enumerate().map(|(index, task)| {
            let vector = asked.get(index).cloned().unwrap_or_default();
            let located = advisor.locate(Task::new(&task.text, vector, &task.role, task.template_id.as_deref()));
            let estimates = advisor.estimate(&located);
            let starts = expected(&costs, &tiers, &task.role, &estimates);
            TaskAdvice {
                id: task.id.clone(),
                start_tier: is_known(&task.role).then(|| best(&starts).unwrap_or(0)).and_then(|start| tiers.get(start).copied()),
                tiers: lines(&tiers, &enough, &estimates, &starts),
                evidence: evidence(&past, &located),
            }
        });
        Ok(TasksAdvice { tasks: advice.collect(), learned_from: past.len(), without_meaning, not_embedded: left_out })
    }

    /// Embeds what is asked about and the past as far as there is time, with what was embedded before kept below the store's index; without
    /// vectors and with the reason when that cannot be done.
    fn meanings(&self, past: &[&str], asked: &[&str], progress: GoOn<'_>) -> (Meanings, Option<String>) {
        let embedded = || -> Result<Meanings, index::Error> {
            let embedder = self.embedder().map_err(|error: embed::Error| index::Error::from(error))?;
            embed_nearest(&embedder, &self.0.store.path.join("index").join("tasks"), (past, asked), EMBEDDED_MAX, progress)
        };
        embedded().map_or_else(|error| (Meanings::default(), Some(error.to_string())), |meanings| (meanings, None))
    }
}

/// Returns what is to be expected of a start at each tier; nothing where a cost is not known.
fn expected(costs: &Costs, tiers: &[Tier], role: &str, estimates: &[Estimate]) -> Vec<Start> {
    let Some(costs) = costs.means(role, tiers) else { return Vec::new() };
    let rungs: Vec<Rung> = estimates.iter().zip(costs).map(|(estimate, cost)| estimate.belief.rung(cost)).collect();
    starts(&rungs)
}

/// Says of which tiers the history holds enough outcomes for a number: of any role, because the estimates for one lean on all.
fn enough(past: &[PastTask], counts: Counts, tiers: &[Tier], min_sample: usize) -> Vec<Enough> {
    let has_outcome = |task: &&PastTask, tier: Tier| counts.passed_at(task, tier).is_some();
    let of_tier = |(place, tier): (usize, &Tier)| {
        let tried = || past.iter().filter(|task| has_outcome(task, *tier));
        let below = place.checked_sub(1).and_then(|below| tiers.get(below));
        let has_failed = |task: &&PastTask| below.is_some_and(|below| counts.passed_at(task, *below) == Some(false));
        Enough { tier: tried().count() >= min_sample, after_failure: tried().filter(has_failed).count() >= min_sample }
    };
    tiers.iter().enumerate().map(of_tier).collect()
}

fn lines(tiers: &[Tier], enough: &[Enough], estimates: &[Estimate], starts: &[Start]) -> Vec<TierAdvice> {
    let line = |(index, ((tier, enough), estimate)): (usize, ((&Tier, &Enough), &Estimate))| TierAdvice {
        n: estimate.n as u64,
        expected_cost_nusd: starts.get(index).filter(|_| enough.tier).map(|start| start.cost.round() as u64),
        ..estimate.belief.advice(*tier, estimate.n_first as u64, estimate.n_after as u64, *enough)
    };
    tiers.iter().zip(enough).zip(estimates).enumerate().map(line).collect()
}

fn evidence(past: &[PastTask], located: &Located) -> Vec<String> {
    let mut runs: Vec<RunId> = Vec::new();
    for run in located.nearest().filter_map(|index| past.get(index)).map(|task| task.run) {
        if runs.len() == EVIDENCE_MAX {
            break;
        }
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_task_is_named() {
        let message = |text: &str| read_tasks(text.as_bytes()).unwrap_err().to_string();
        assert!(message("{\"id\": 1, \"text\": \"a\"}\n\n{\"id\": 2}").starts_with("line 3 is no task: missing field `text`"));
        assert!(message("{\"id\": [], \"text\": \"a\"}").contains("neither a text nor a number"));
        assert!(message("task").starts_with("line 1 is no task"));
        let tasks = read_tasks("{\"id\": \"x\", \"role\": \"r\", \"template_id\": null, \"text\": \"a\"}\n".as_bytes()).unwrap();
        assert_eq!((tasks[0].role.as_str(), &tasks[0].template_id), ("r", &None));
    }
}
