//! Measuring advice on tables of known outcomes: read, embed once, learn and measure splits side by side.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::Recall;
use crate::domain::nearest::nearest;
use crate::memory::advice::coverage::groups;
use crate::memory::advice::space::Task;
use crate::memory::advice::summary::{TrialReport, summary};
use crate::memory::advice::table::{self, TableError};
use crate::memory::advice::trial::{Plan, Split, SplitResult, Table};
use crate::memory::collection::embed_once;
use crate::memory::embed;
use crate::memory::index::{self, GoOn};

/// Groups of alike tasks that stand for roles.
const ROLES: usize = 8;

/// What is to be tried on a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BenchRouteRequest {
    /// Tasks to learn from; 60 % of the table without it.
    pub history: Option<usize>,
    /// Tasks to measure on; all others without it.
    pub test: Option<usize>,
    /// How often.
    pub splits: usize,
    /// The first split's seed.
    pub seed: u64,
    /// Only chains that begin with this model.
    pub weak: Option<String>,
    /// Only chains that end with this model.
    pub strong: Option<String>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The table cannot be read.
    #[error("the table cannot be read: {0}")]
    Io(#[source] std::io::Error),
    /// The table is none.
    #[error(transparent)]
    Table(#[from] TableError),
    /// No such model.
    #[error("the table has no model `{model}`")]
    Model {
        /// What was asked for.
        model: String,
        /// The one that was perhaps meant.
        meant: Option<String>,
    },
    /// The chain goes nowhere.
    #[error("no chain fits: a chain's stronger model is better over the whole table and costs no less than the weaker one")]
    NoChain,
    /// The chain goes to where it came from.
    #[error("the weaker and the stronger model are both `{0}`")]
    SameModel(String),
    /// More tasks are asked for than there are.
    #[error("the table has {tasks} tasks, which leaves {left} to measure on after {history} to learn from")]
    Split {
        /// Tasks in the table.
        tasks: usize,
        /// Tasks to learn from.
        history: usize,
        /// What is left.
        left: usize,
    },
    /// The embedding model.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// The vectors of the texts cannot be kept.
    #[error(transparent)]
    Vectors(#[from] index::Error),
}

/// What was measured, and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RouteReport {
    /// The embedding model.
    pub embedder: String,
    /// What the trial found.
    #[serde(flatten)]
    pub report: TrialReport,
    /// Milliseconds to learn everything of one split, on one thread: the median.
    pub fit_ms: f64,
    /// Milliseconds to answer all questions about one task, on one thread: the median over splits.
    pub answer_ms: f64,
}

impl Recall<'_> {
    /// Tries routers and strategies on the table in the file `data`. `embedding` and `measuring` are told how much is done.
    ///
    /// # Errors
    /// A [`RouteError`].
    pub(crate) fn bench_route(
        &self,
        data: &Path,
        request: &BenchRouteRequest,
        embedding: GoOn<'_>,
        measuring: GoOn<'_>,
    ) -> Result<RouteReport, RouteError> {
        let bytes = std::fs::read(data).map_err(RouteError::Io)?;
        let table = table::read(&String::from_utf8_lossy(&bytes))?;
        let plan = plan(&table, request)?;
        let embedder = self.embedder()?;
        let vectors = embed_once(&embedder, &self.bench_cache(), &table.texts, embedding)?;
        let tasks: Vec<Task> = table.texts.iter().zip(vectors).map(|(text, vector)| Task::new(text, vector, "", None)).collect();
        let meanings: Vec<&[f32]> = tasks.iter().map(|task| task.vector.as_slice()).collect();
        let plan = Plan { roles: groups(&meanings, ROLES), ..plan };
        let measured = measure(&table, &tasks, &plan, measuring);
        let median = |part: fn(&Measured) -> Duration| {
            let mut times: Vec<Duration> = measured.iter().map(part).collect();
            times.sort_unstable();
            times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e3
        };
        let (fit_ms, measure_ms) = (median(|one| one.fit), median(|one| one.measure));
        let results: Vec<SplitResult> = measured.into_iter().map(|one| one.result).collect();
        let report = summary(&table, &plan, &results);
        let answer_ms = measure_ms / report.test.max(1) as f64;
        Ok(RouteReport { embedder: embedder.id().to_owned(), report, fit_ms, answer_ms })
    }
}

fn plan(table: &Table, request: &BenchRouteRequest) -> Result<Plan, RouteError> {
    let tasks = table.texts.len();
    let history = request.history.unwrap_or(tasks * 6 / 10);
    let left = tasks.saturating_sub(history);
    let test = request.test.unwrap_or(left);
    if left == 0 || test > left {
        return Err(RouteError::Split { tasks, history, left });
    }
    let chains = chains(table, request)?;
    Ok(Plan { history, test, splits: request.splits, seed: request.seed, chains, roles: Vec::new() })
}

fn chains(table: &Table, request: &BenchRouteRequest) -> Result<Vec<(usize, usize)>, RouteError> {
    let find = |model: &Option<String>| {
        let Some(model) = model else { return Ok(None) };
        let place = table.models.iter().position(|other| other == model);
        let meant = || nearest(model, table.models.iter().map(String::as_str)).map(str::to_owned);
        place.map(Some).ok_or_else(|| RouteError::Model { model: model.clone(), meant: meant() })
    };
    let (weak, strong) = (find(&request.weak)?, find(&request.strong)?);
    if let (Some(weak), Some(strong)) = (weak, strong) {
        // Named chains are measured even where the stronger model turns out not to be stronger: the report says so.
        return if weak == strong { Err(RouteError::SameModel(table.models[weak].clone())) } else { Ok(vec![(weak, strong)]) };
    }
    let fits = |chain: &(usize, usize)| weak.is_none_or(|weak| weak == chain.0) && strong.is_none_or(|strong| strong == chain.1);
    let chains: Vec<(usize, usize)> = table.chains().into_iter().filter(fits).collect();
    if chains.is_empty() { Err(RouteError::NoChain) } else { Ok(chains) }
}

struct Measured {
    index: usize,
    result: SplitResult,
    fit: Duration,
    measure: Duration,
}

/// Measures the splits, as many at once as there are processors. What they give does not depend on it.
fn measure(table: &Table, tasks: &[Task], plan: &Plan, progress: GoOn<'_>) -> Vec<Measured> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(plan.splits);
    let next = AtomicUsize::new(0);
    let measured: Mutex<Vec<Measured>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= plan.splits {
                        break;
                    }
                    let begun = Instant::now();
                    let split = Split::fit(table, tasks, plan, index);
                    let fit = begun.elapsed();
                    let result = split.measure();
                    let measure = begun.elapsed().saturating_sub(fit);
                    let mut measured = measured.lock().unwrap_or_else(PoisonError::into_inner);
                    measured.push(Measured { index, result, fit, measure });
                    progress(measured.len() as u64, plan.splits as u64);
                }
            });
        }
    });
    let mut measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
    measured.sort_by_key(|one| one.index);
    measured
}
