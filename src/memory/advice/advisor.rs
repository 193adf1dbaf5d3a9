//! From outcomes per tier to advice per task: the chance that a tier passes, and what it buys over the next lower one.
//!
//! A history seldom knows all: a cheap-first run tries the stronger tier only where the cheaper failed. The two questions are put so
//! that such a history can answer them without leaning to either side:
//!
//! - **benefit**: does the tier pass where the next lower one fails? Known where the lower one passed (no) and where it failed and the
//!   tier was tried. If some of the failed were not tried further, the tried ones count for them.
//! - **pass**: where the lower one passed and the tier was not tried, it is taken to pass at the rate at which it did where both were
//!   tried; a tier seldom fails what a lower one passes, and without such tasks that is believed with the weight of twenty.
//!
//! Tiers are levels here, lowest first: models of an outcome table are levels as well.

use std::rc::Rc;

use super::posterior::Tally;
use super::space::{Chance, Learned, Located, Question, Space, Task};

/// What is believed before it was seen: of twenty tasks that the lower level passes, the higher passes eighteen.
const KEPT: Tally = Tally { passed: 18.0, failed: 2.0 };

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

/// What is to be expected of a task at one level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The chance that the level passes.
    pub pass: Chance,
    /// The chance that the level passes and the next lower one fails; of the lowest level, the chance that it passes.
    pub benefit: f64,
    /// Past attempts at this level of the task's role and template (or role, where the template is new).
    pub n: usize,
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

/// Returns the question whether `level` passes.
pub fn pass_question(history: &[Past], level: usize) -> Question {
    let Some(lower) = level.checked_sub(1) else {
        return question(history, |past| outcome(past, Some(level)).map(|passed| (f64::from(u8::from(passed)), 1.0)));
    };
    let mut kept = KEPT;
    for past in history {
        if let (Some(true), Some(passed)) = (outcome(past, Some(lower)), outcome(past, Some(level))) {
            kept.add(f64::from(u8::from(passed)), past.weight);
        }
    }
    let stands_for = stands_for(history, level, Some(false));
    question(history, |past| match (outcome(past, Some(lower)), outcome(past, Some(level))) {
        (Some(false), Some(passed)) => Some((f64::from(u8::from(passed)), stands_for)),
        (_, Some(passed)) => Some((f64::from(u8::from(passed)), 1.0)),
        (Some(true), None) => Some((kept.passed / kept.total(), 1.0)),
        _ => None,
    })
}

fn outcome(past: &Past, level: Option<usize>) -> Option<bool> {
    past.passed.get(level?).copied().flatten()
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
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    pass: Learned,
    /// `None` at the lowest level.
    benefit: Option<Learned>,
    tried: Learned,
}

impl Advisor {
    /// Learns from `history`, in which each task has `levels` outcomes.
    pub fn new(history: &[Past], levels: usize) -> Self {
        Self::over(Rc::new(Space::new(history.iter().map(|past| past.task.clone()).collect())), history, levels)
    }

    /// Learns from `history`, whose tasks are those of `space` in their order.
    pub fn over(space: Rc<Space>, history: &[Past], levels: usize) -> Self {
        let levels = (0..levels)
            .map(|level| Level {
                pass: space.learn(&pass_question(history, level)),
                benefit: (level > 0).then(|| space.learn(&benefit_question(history, level))),
                tried: space.count(history.iter().map(|past| outcome(past, Some(level)).is_some())),
            })
            .collect();
        Self { space, levels }
    }

    /// Looks `task` up among the past ones.
    pub fn locate(&self, task: Task) -> Located {
        self.space.locate(task)
    }

    /// Returns what is to be expected of a task at each level. The chances are those of one world: no level's chance to pass is below
    /// its benefit, nor above what the lower one passes and it adds.
    pub fn estimate(&self, located: &Located) -> Vec<Estimate> {
        let mut estimates: Vec<Estimate> = self
            .levels
            .iter()
            .map(|level| {
                let pass = level.pass.chance(located);
                let benefit = level.benefit.as_ref().map_or(pass.expected, |learned| learned.chance(located).expected);
                Estimate { pass, benefit, n: level.tried.known_for(located.task()) }
            })
            .collect();
        for index in 1..estimates.len() {
            let most = estimates[index - 1].pass.expected + estimates[index].benefit;
            lower(&mut estimates[index].pass, most);
        }
        for index in (0..estimates.len()).rev() {
            let benefit = estimates[index].benefit;
            raise(&mut estimates[index].pass, benefit);
            if index > 0 {
                lower(&mut estimates[index - 1].pass, 1.0 - benefit);
            }
        }
        if let Some(first) = estimates.first_mut() {
            first.benefit = first.pass.expected;
        }
        estimates
    }
}

fn raise(chance: &mut Chance, least: f64) {
    chance.expected = chance.expected.max(least);
    chance.high = chance.high.max(chance.expected);
}

fn lower(chance: &mut Chance, most: f64) {
    chance.expected = chance.expected.min(most);
    chance.low = chance.low.min(chance.expected);
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
        near(estimates[0].pass.expected, 0.6);
        near(estimates[1].benefit, 0.2);
        near(estimates[1].pass.expected, 0.6 * 0.9 + 0.2);
        assert_eq!((estimates[0].n, estimates[1].n), (100, 30));
    }

    #[test]
    fn a_full_table_shows_what_the_stronger_one_fails() {
        let mut history = repeat(80, &past("a", "r", &[Some(true), Some(false)]));
        history.extend(repeat(80, &past("a", "r", &[Some(false), Some(false)])));
        let advisor = Advisor::new(&history, 2);
        let estimates = advisor.estimate(&advisor.locate(Task::new("a", vec![], "r", None)));
        assert!(estimates[1].pass.expected < 0.15, "{:?}", estimates[1]);
    }

    #[test]
    fn a_thin_role_leans_on_all_roles_and_says_how_few_it_knows() {
        let mut history = repeat(50, &past("a", "known", &[Some(true)]));
        history.extend(repeat(2, &past("a", "thin", &[Some(false)])));
        let advisor = Advisor::new(&history, 1);
        let at = |role: &str| advisor.estimate(&advisor.locate(Task::new("a", vec![], role, None)))[0];
        assert!((0.5..0.9).contains(&at("thin").pass.expected), "{:?}", at("thin"));
        assert_eq!((at("thin").n, at("known").n, at("new").n), (2, 50, 0));
        assert!(at("thin").pass.high - at("thin").pass.low > at("known").pass.high - at("known").pass.low);
    }

    #[test]
    fn a_history_without_outcomes_believes_anything() {
        let advisor = Advisor::new(&[], 2);
        let estimates = advisor.estimate(&advisor.locate(Task::new("a", vec![], "r", None)));
        assert_eq!(estimates.iter().map(|estimate| estimate.n).collect::<Vec<_>>(), [0, 0]);
        assert!(estimates[0].pass.high - estimates[0].pass.low > 0.9);
    }
}
