//! From outcomes per tier to advice per task: the chance that a tier passes, and what it buys over the next lower one.
//!
//! A history seldom knows all: a cheap-first run tries the stronger tier only where the cheaper failed. The questions are put so
//! that such a history can answer them without leaning to either side:
//!
//! - **benefit**: does the tier pass where the next lower one fails? Known where the lower one passed (no) and where it failed and the
//!   tier was tried. If some of the failed were not tried further, the tried ones count for them.
//! - **pass**, of a first attempt: known of the lowest tier. Of a higher one the history knows what it does after a failure; what that
//!   says of first attempts, and how little, is in [`super::identified`].
//!
//! Tiers are levels here, lowest first: models of an outcome table are levels as well.

use std::rc::Rc;

use super::identified::{FirstAttempts, Moments};
use super::posterior::{Beta, Tally};
use super::space::{Learned, Located, Question, Space, Task};
use super::team::TierBelief;

/// A task that counts for others which were not tried counts for so many, at most.
const STANDS_FOR_MAX: f64 = 20.0;

/// A past task and what came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The task.
    pub task: Task,
    /// How much it counts: 1, and less with age.
    pub weight: f64,
    /// Per level, lowest first: whether it passed; `None` where it was not tried.
    pub passed: Vec<Option<bool>>,
}

/// What is to be expected of a task at one level, and from how many past tasks of its role and template (or role, where the template is
/// new) that is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// What is believed of the level.
    pub belief: TierBelief,
    /// Tasks with an outcome at this level.
    pub n: usize,
    /// Of them, those that began here.
    pub n_first: usize,
    /// Of them, those that the next lower level had failed.
    pub n_after: usize,
}

/// Returns the question whether `level` passes where `level - 1` fails.
pub fn benefit_question(history: &[Past], level: usize) -> Question {
    let stands_for = stands_for(history, level, Some(false));
    question(history, |past| match (outcome(past, level.checked_sub(1)), outcome(past, Some(level))) {
        (Some(true), _) => Some((0.0, 1.0)),
        (Some(false), Some(passed)) => Some((f64::from(u8::from(passed)), stands_for)),
        _ => None,
    })
}

/// Returns the question whether `level` passes, put to the tasks that `of` takes and that were tried there.
fn pass_question(history: &[Past], level: usize, of: impl Fn(&Past) -> bool) -> Question {
    question(history, |past| outcome(past, Some(level)).filter(|_| of(past)).map(|passed| (f64::from(u8::from(passed)), 1.0)))
}

fn outcome(past: &Past, level: Option<usize>) -> Option<bool> {
    past.passed.get(level?).copied().flatten()
}

fn begins_at(past: &Past, level: usize) -> bool {
    past.passed.iter().take(level).all(Option::is_none)
}

/// Returns for how many a task stands that was tried at `level` after the next lower one had ended in `lower`.
fn stands_for(history: &[Past], level: usize, lower: Option<bool>) -> f64 {
    let same = history.iter().filter(|past| outcome(past, level.checked_sub(1)) == lower);
    let (mut all, mut tried) = (0.0, 0.0);
    for past in same {
        all += past.weight;
        tried += if outcome(past, Some(level)).is_some() { past.weight } else { 0.0 };
    }
    if tried > 0.0 { (all / tried).min(STANDS_FOR_MAX) } else { 1.0 }
}

fn question(history: &[Past], answer: impl Fn(&Past) -> Option<(f64, f64)>) -> Question {
    let answers = history.iter().map(|past| answer(past).unwrap_or_default());
    let (answers, weights) = answers.zip(history).map(|((answer, counts), past)| (answer, counts * past.weight)).unzip();
    Question { answers, weights }
}

/// What was learned from a history about all its levels.
#[derive(Debug)]
pub struct Advisor {
    space: Rc<Space>,
    lowest: Option<Learned>,
    higher: Vec<Level>,
    tried: Vec<Counted>,
}

/// What was learned about a level above the lowest.
#[derive(Debug)]
struct Level {
    /// Whether the next lower one passes, where it was tried.
    below: Learned,
    benefit: Learned,
    /// Whether it passes where it was the first to be tried; `None` where it never was.
    first: Option<Learned>,
    /// Whether it passes what the next lower one passes; `None` where that was never tried.
    kept: Option<Learned>,
}

/// How often a level was tried.
#[derive(Debug)]
struct Counted {
    all: Learned,
    first: Learned,
    after: Learned,
}

impl Advisor {
    /// Learns from `history`, in which each task has `levels` outcomes.
    pub fn new(history: &[Past], levels: usize) -> Self {
        Self::over(Rc::new(Space::new(history.iter().map(|past| past.task.clone()).collect())), history, levels)
    }

    /// Learns from `history`, whose tasks are those of `space` in their order.
    pub fn over(space: Rc<Space>, history: &[Past], levels: usize) -> Self {
        let some = |question: Question| question.weights.iter().any(|weight| *weight > 0.0).then(|| space.learn(&question));
        let higher = (1..levels).map(|level| Level {
            below: space.learn(&pass_question(history, level - 1, |_| true)),
            benefit: space.learn(&benefit_question(history, level)),
            first: some(pass_question(history, level, |past| begins_at(past, level))),
            kept: some(pass_question(history, level, |past| outcome(past, Some(level - 1)) == Some(true))),
        });
        let higher: Vec<Level> = higher.collect();
        let lowest = match higher.first() {
            Some(level) => Some(level.below.clone()),
            None => (levels > 0).then(|| space.learn(&pass_question(history, 0, |_| true))),
        };
        let count = |of: &dyn Fn(&Past) -> bool| {
            space.count(history.iter().map(|past| if of(past) { past.weight } else { 0.0 }).collect())
        };
        let tried = (0..levels).map(|level| {
            let tried = move |past: &Past| outcome(past, Some(level)).is_some();
            Counted {
                all: count(&tried),
                first: count(&|past| tried(past) && begins_at(past, level)),
                after: count(&|past| tried(past) && outcome(past, level.checked_sub(1)) == Some(false)),
            }
        });
        let tried = tried.collect();
        Self { space, lowest, higher, tried }
    }

    /// Looks `task` up among the past ones.
    pub fn locate(&self, task: Task) -> Located {
        self.space.locate(task)
    }

    /// Returns what is to be expected of a task at each level. The chances are those of one world: no level's chance to pass is below
    /// its benefit, nor the second one's above what the lowest passes and it adds.
    pub fn estimate(&self, located: &Located) -> Vec<Estimate> {
        let Some(lowest) = &self.lowest else { return Vec::new() };
        let lowest = lowest.chance(located);
        let first = FirstAttempts::observed(lowest.belief);
        let mut beliefs = vec![TierBelief { pass: lowest.expected, first, after: None, benefit: lowest.expected }];
        let mut reach = Moments::of(lowest.belief).rest();
        for (index, level) in self.higher.iter().enumerate() {
            let tried = self.tried[index + 1].after.weight_for(located.task());
            let (belief, next) = level.belief(located, &beliefs, reach, tried);
            beliefs.push(belief);
            reach = next;
        }
        if let [lowest, second, ..] = &mut beliefs[..] {
            second.pass = second.pass.min(lowest.pass + second.benefit);
        }
        for index in (0..beliefs.len()).rev() {
            let benefit = beliefs[index].benefit;
            beliefs[index].pass = beliefs[index].pass.max(benefit);
            if index > 0 {
                beliefs[index - 1].pass = beliefs[index - 1].pass.min(1.0 - benefit);
            }
        }
        beliefs[0].benefit = beliefs[0].pass;
        let count = |learned: &Learned| learned.known_for(located.task());
        let known = |(belief, tried): (TierBelief, &Counted)| Estimate {
            belief,
            n: count(&tried.all),
            n_first: count(&tried.first),
            n_after: count(&tried.after),
        };
        beliefs.into_iter().zip(&self.tried).map(known).collect()
    }
}

impl Level {
    /// Returns what is believed of the level for a task, and the share of such tasks that go further up. `lower` are the levels below,
    /// `reach` the share that comes up from there, `tried` the weight of past tasks like it that did.
    fn belief(&self, located: &Located, lower: &[TierBelief], reach: Moments, tried: f64) -> (TierBelief, Moments) {
        let benefit = self.benefit.chance(located).expected;
        // The benefit is asked where the lower level was tried: of those tasks it passes so many.
        let failed = 1.0 - self.below.chance(located).expected;
        let rate = if failed > 1e-9 { (benefit / failed).clamp(0.0, 1.0) } else { 0.0 };
        let after = Beta::around(rate, tried.min(self.benefit.heard()));
        let seen = |learned: &Option<Learned>| {
            learned.as_ref().map_or_else(Tally::default, |learned| {
                let (chance, weight) =
                    (learned.chance(located).expected, learned.weight_for(located.task()).min(learned.heard()));
                Tally { passed: weight * chance, failed: weight * (1.0 - chance) }
            })
        };
        let own = seen(&self.first);
        let first = FirstAttempts::after_failures(reach, lower.len(), after, seen(&self.kept)).and_first(own);
        let climbed = reach.times(Moments::of(after).rest());
        let next = if own.failed > 0.0 {
            Moments::of(own.alone()).rest().or(own.failed, climbed, tried * (1.0 - rate))
        } else {
            climbed
        };
        // Above the second level the lower one was mostly tried on what had failed before: its benefit is put together for all tasks.
        let benefit = match lower {
            [_, .., last] => (1.0 - last.pass) * rate,
            _ => benefit,
        };
        (TierBelief { pass: first.rate.mean(), first, after: Some(after), benefit }, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(text: &str, role: &str, passed: &[Option<bool>]) -> Past {
        Past { task: Task::new(text, vec![], role, None), weight: 1.0, passed: passed.to_vec() }
    }

    fn repeat(times: usize, past: &Past) -> Vec<Past> {
        vec![past.clone(); times]
    }

    #[test]
    fn a_cheap_first_history_answers_both_questions() {
        // 60 pass at once; of 40 that fail, 30 are tried further and 15 of these pass.
        let mut history = repeat(60, &past("a", "r", &[Some(true), None]));
        history.extend(repeat(15, &past("a", "r", &[Some(false), Some(true)])));
        history.extend(repeat(15, &past("a", "r", &[Some(false), Some(false)])));
        history.extend(repeat(10, &past("a", "r", &[Some(false), None])));
        let advisor = Advisor::new(&history, 2);
        let estimates = advisor.estimate(&advisor.locate(Task::new("a", vec![], "r", None)));
        let near = |a: f64, b: f64| assert!((a - b).abs() < 0.03, "{a} is not {b}");
        near(estimates[0].belief.pass, 0.6);
        near(estimates[1].belief.benefit, 0.2);
        near(estimates[1].belief.after.unwrap().mean(), 0.5);
        // What passes at once was never tried at the second level: it may pass there or not.
        let ((low, high), bounds) = (estimates[1].belief.first.interval(0.95), estimates[1].belief.first.bounds(0.95));
        assert!(bounds.0 < 0.2 && bounds.1 > 0.8 && (0.5..0.8).contains(&estimates[1].belief.pass), "{:?}", estimates[1]);
        assert!(low < 0.5 && high > 0.75 && low > bounds.0 - 1e-9 && high < bounds.1 + 1e-9, "{low} {high}");
        let counts = |estimate: &Estimate| (estimate.n, estimate.n_first, estimate.n_after);
        assert_eq!((counts(&estimates[0]), counts(&estimates[1])), ((100, 100, 0), (30, 0, 30)));
    }

    #[test]
    fn a_full_table_shows_what_the_stronger_one_fails() {
        let mut history = repeat(80, &past("a", "r", &[Some(true), Some(false)]));
        history.extend(repeat(80, &past("a", "r", &[Some(false), Some(false)])));
        let advisor = Advisor::new(&history, 2);
        let estimates = advisor.estimate(&advisor.locate(Task::new("a", vec![], "r", None)));
        assert!(estimates[1].belief.pass < 0.15, "{:?}", estimates[1]);
    }

    #[test]
    fn a_thin_role_leans_on_all_roles_and_says_how_few_it_knows() {
        let mut history = repeat(50, &past("a", "known", &[Some(true)]));
        history.extend(repeat(2, &past("a", "thin", &[Some(false)])));
        let advisor = Advisor::new(&history, 1);
        let at = |role: &str| advisor.estimate(&advisor.locate(Task::new("a", vec![], role, None)))[0];
        assert!((0.2..0.9).contains(&at("thin").belief.pass), "{:?}", at("thin"));
        assert_eq!((at("thin").n, at("known").n, at("new").n), (2, 50, 0));
        let width = |role: &str| {
            let (low, high) = at(role).belief.first.interval(0.95);
            high - low
        };
        assert!(width("thin") > width("known") && width("new") > width("known") + 0.2, "{} {}", width("thin"), width("new"));
    }

    #[test]
    fn a_history_without_outcomes_believes_anything() {
        let advisor = Advisor::new(&[], 2);
        let estimates = advisor.estimate(&advisor.locate(Task::new("a", vec![], "r", None)));
        assert_eq!(estimates.iter().map(|estimate| estimate.n).collect::<Vec<_>>(), [0, 0]);
        let (low, high) = estimates[0].belief.first.interval(0.95);
        assert!(high - low > 0.9);
    }
}
