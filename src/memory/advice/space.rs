//! A history as a space of tasks in which questions are answered: what is the chance of this outcome for a task like that?
//!
//! Three answers are combined: the mean of the task's role and template (a posterior that leans on its parents), a ridge regression
//! on text features and sentence vector, and the nearest past tasks. How much each counts is found inside the history, on tasks that
//! the fit has not seen; with a thin history only the first is left. The result is a calibrated chance. Which outcomes are asked for,
//! and what follows from a chance, is not known here.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::features::{FEATURES, Scale, features};
use super::linear::{FOLDS, Normal, Ridge, Rows};
use super::neighbours::{Near, TaskPoint, how_many, mean, nearest};
use super::posterior::{Beta, PARENT_STRENGTH, Tally};

/// The penalty of the regression. On public outcome tables 30 to 300 do about as well; 10 and 1000 are worse.
const LAMBDA: f64 = 100.0;

/// What the numbers of a unit vector are multiplied by, so that the penalty weighs as much on them as on the features.
const VECTOR_SCALE: f64 = 2.0;

/// Answers below which the text of a task says nothing and the mean of its role is all there is.
pub const TEXT_MIN: usize = 30;

/// Past tasks whose neighbours are looked up to weigh the answers against each other.
const PROBES_MAX: usize = 600;

/// What regression and neighbours count before there is evidence.
const PRIOR_MIX: [f64; 2] = [0.5, 0.7];

/// How many answers of evidence it takes to believe the evidence as much as the prior.
const PRIOR_STRENGTH: f64 = 200.0;

/// A task: what it says, and whose it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Task {
    /// What can be counted in its text.
    pub features: [f64; FEATURES],
    /// Its vector of unit length; empty when it has none.
    pub vector: Vec<f32>,
    /// The role of the agent that does it.
    pub role: String,
    /// The template that it belongs to.
    pub template: Option<String>,
}

impl Task {
    /// Makes a task of a text and its vector.
    pub fn new(text: &str, vector: Vec<f32>, role: &str, template: Option<&str>) -> Self {
        Self { features: features(text), vector, role: role.to_owned(), template: template.map(str::to_owned) }
    }
}

/// A question put to every past task: its answer, 0 to 1, and how much it counts; a weight of 0 stands for "not known".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Question {
    /// Per task.
    pub answers: Vec<f64>,
    /// Per task.
    pub weights: Vec<f64>,
}

/// A history of tasks.
#[derive(Clone, Debug)]
pub struct Space {
    scale: Scale,
    tasks: Vec<Task>,
    places: Vec<TaskPoint>,
    rows: Rows,
    folds: Vec<usize>,
    /// Some tasks, spread over the history, with their neighbours.
    probes: Vec<(usize, Near)>,
    /// Decomposed normal equations by weighting: most questions know the same tasks.
    normals: RefCell<Vec<Rc<Normal>>>,
}

/// A task that was looked up in a [`Space`].
#[derive(Clone, Debug)]
pub struct Located {
    task: Task,
    row: Vec<f64>,
    near: Near,
}

impl Located {
    /// Returns the task.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Returns the task as one of another role, at the same place.
    #[must_use]
    pub fn with_role(&self, role: String) -> Self {
        Self { task: Task { role, ..self.task.clone() }, ..self.clone() }
    }

    /// Returns the nearest past tasks, nearest first.
    pub fn nearest(&self) -> impl Iterator<Item = usize> + '_ {
        self.near.iter().map(|(index, _)| *index)
    }
}

impl Space {
    /// Makes a space of past tasks.
    pub fn new(tasks: Vec<Task>) -> Self {
        let scale = Scale::of(tasks.iter().map(|task| &task.features));
        let width = FEATURES + tasks.iter().map(|task| task.vector.len()).max().unwrap_or(0);
        let places: Vec<TaskPoint> = tasks.iter().map(|task| place(&scale, task)).collect();
        let mut rows = Rows::new(width);
        tasks.iter().for_each(|task| rows.push(numbers(&scale, task)));
        let folds = (0..tasks.len()).map(|index| index % FOLDS).collect();
        let count = tasks.len().min(PROBES_MAX);
        let probes = (0..count)
            .map(|probe| {
                let index = probe * tasks.len() / count;
                (index, nearest(&places, &places[index], Some(index)))
            })
            .collect();
        Self { scale, tasks, places, rows, folds, probes, normals: RefCell::default() }
    }

    /// Returns the same space with other roles, one per past task.
    #[must_use]
    pub fn with_roles(&self, roles: impl Iterator<Item = String>) -> Self {
        let mut space = self.clone();
        space.tasks.iter_mut().zip(roles).for_each(|(task, role)| task.role = role);
        space
    }

    /// Looks `task` up.
    pub fn locate(&self, task: Task) -> Located {
        let mut row = Rows::new(self.rows.width());
        row.push(numbers(&self.scale, &task));
        let near = nearest(&self.places, &place(&self.scale, &task), None);
        Located { row: row.row(0).to_vec(), near, task }
    }

    /// Learns to answer `question`.
    pub fn learn(&self, question: &Question) -> Learned {
        let known = question.weights.iter().filter(|weight| **weight > 0.0).count();
        let means = Means::of(&self.tasks, question);
        let neighbours = how_many(known);
        let mut learned = Learned { means, neighbours, text: None, residuals: Vec::new(), weights: question.weights.clone() };
        if known < TEXT_MIN {
            return learned;
        }
        learned.residuals = self
            .tasks
            .iter()
            .zip(question.answers.iter().zip(&question.weights))
            .map(
                |(task, (answer, weight))| {
                    if *weight > 0.0 { answer - learned.means.without(task, *answer, *weight) } else { 0.0 }
                },
            )
            .collect();
        let fit = self.normal(&question.weights).fit(&self.rows, &self.folds, &learned.residuals);
        let seen: Vec<Seen> = self
            .probes
            .iter()
            .filter(|(index, _)| question.weights[*index] > 0.0)
            .map(|(index, near)| Seen {
                answer: question.answers[*index],
                mean: question.answers[*index] - learned.residuals[*index],
                parts: [fit.held_out[*index], mean(near, neighbours, &question.weights, &learned.residuals).unwrap_or_default()],
                weight: question.weights[*index],
            })
            .collect();
        let mix = mix(&seen);
        let centre = learned.means.all().mean();
        let calibration = Calibration::of(centre, &seen, mix);
        learned.text = Some(TextModel { ridge: fit.ridge, mix, calibration });
        learned
    }

    /// Counts the past tasks by role and template that have a weight above 0.
    pub fn count(&self, weights: Vec<f64>) -> Learned {
        let question = Question { answers: vec![0.0; weights.len()], weights };
        let means = Means::of(&self.tasks, &question);
        Learned { means, neighbours: 0, text: None, residuals: Vec::new(), weights: Vec::new() }
    }

    fn normal(&self, weights: &[f64]) -> Rc<Normal> {
        let mut normals = self.normals.borrow_mut();
        if let Some(normal) = normals.iter().find(|normal| normal.weights() == weights) {
            return Rc::clone(normal);
        }
        let normal = Rc::new(Normal::of(&self.rows, weights, &self.folds, LAMBDA));
        normals.push(Rc::clone(&normal));
        normal
    }
}

fn place(scale: &Scale, task: &Task) -> TaskPoint {
    TaskPoint { vector: task.vector.clone(), shape: scale.apply(&task.features).map(|value| value as f32).collect() }
}

fn numbers<'a>(scale: &'a Scale, task: &'a Task) -> impl Iterator<Item = f64> + 'a {
    scale.apply(&task.features).chain(task.vector.iter().map(|value| VECTOR_SCALE * f64::from(*value)))
}

/// What one past task says about how to combine: predictions that have not seen it, and its answer.
struct Seen {
    answer: f64,
    mean: f64,
    parts: [f64; 2],
    weight: f64,
}

/// Finds how much regression and neighbours count: least squares on held-out predictions, drawn to the prior, never negative.
fn mix(seen: &[Seen]) -> [f64; 2] {
    let total: f64 = seen.iter().map(|one| one.weight).sum();
    let (mut gram, mut side) = ([[0.0; 2]; 2], [0.0; 2]);
    for one in seen {
        let residual = one.answer - one.mean;
        for i in 0..2 {
            side[i] += one.weight * one.parts[i] * residual;
            for (cell, part) in gram[i].iter_mut().zip(one.parts) {
                *cell += one.weight * one.parts[i] * part;
            }
        }
    }
    for i in 0..2 {
        let pull = gram[i][i] / total.max(1.0) * PRIOR_STRENGTH + 1e-9;
        side[i] += pull * PRIOR_MIX[i];
        gram[i][i] += pull;
    }
    let determinant = gram[0][0] * gram[1][1] - gram[0][1] * gram[1][0];
    let both = [
        (side[0] * gram[1][1] - side[1] * gram[0][1]) / determinant,
        (side[1] * gram[0][0] - side[0] * gram[1][0]) / determinant,
    ];
    let found = if both[0] < 0.0 {
        [0.0, side[1] / gram[1][1]]
    } else if both[1] < 0.0 {
        [side[0] / gram[0][0], 0.0]
    } else {
        both
    };
    if found.iter().all(|share| share.is_finite()) { found.map(|share| share.clamp(0.0, 2.0)) } else { PRIOR_MIX }
}

/// Turns a raw prediction into a chance: a logistic curve over its log-odds (Platt). With slope 1 and no shift a prediction between
/// 0.02 and 0.98 is the chance. It always rises, so that calibration never changes an order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Calibration {
    centre: f64,
    shift: f64,
    slope: f64,
}

impl Calibration {
    /// Fits shift and slope by Newton's method, drawn to "the prediction is right as it is".
    fn of(centre: f64, seen: &[Seen], mix: [f64; 2]) -> Self {
        let centre = logit(centre.clamp(0.02, 0.98));
        let mut fitted = Self { centre, shift: 0.0, slope: 1.0 };
        // As much as twenty answers of an even chance say.
        let pull = 20.0 * 0.25;
        for _ in 0..20 {
            let (mut gradient, mut curve) = ([-pull * fitted.shift, -pull * (fitted.slope - 1.0)], [[pull, 0.0], [0.0, pull]]);
            for one in seen {
                let score = fitted.score(one.mean + mix[0] * one.parts[0] + mix[1] * one.parts[1]);
                let chance = logistic(fitted.centre + fitted.shift + fitted.slope * score);
                let (error, spread) = (one.weight * (one.answer - chance), one.weight * chance * (1.0 - chance));
                gradient[0] += error;
                gradient[1] += error * score;
                curve[0][0] += spread;
                curve[0][1] += spread * score;
                curve[1][1] += spread * score * score;
            }
            let determinant = curve[0][0] * curve[1][1] - curve[0][1] * curve[0][1];
            let step = [
                (gradient[0] * curve[1][1] - gradient[1] * curve[0][1]) / determinant,
                (gradient[1] * curve[0][0] - gradient[0] * curve[0][1]) / determinant,
            ];
            if !step.iter().all(|part| part.is_finite()) {
                break;
            }
            fitted.shift = (fitted.shift + step[0].clamp(-1.0, 1.0)).clamp(-2.0, 2.0);
            fitted.slope = (fitted.slope + step[1].clamp(-1.0, 1.0)).clamp(0.3, 3.0);
            if step.iter().all(|part| part.abs() < 1e-6) {
                break;
            }
        }
        fitted
    }

    /// Returns how far the log-odds of a prediction are from those of the mean.
    fn score(self, prediction: f64) -> f64 {
        logit(prediction) - self.centre
    }

    fn chance(self, prediction: f64) -> f64 {
        logistic(self.centre + self.shift + self.slope * self.score(prediction))
    }
}

/// Returns the log-odds of a prediction, which may lie outside of 0 to 1: towards the ends the curve goes on as a straight line.
fn logit(prediction: f64) -> f64 {
    const END: f64 = 0.02;
    let inside = prediction.clamp(END, 1.0 - END);
    (inside / (1.0 - inside)).ln() + (prediction - inside) / (END * (1.0 - END))
}

fn logistic(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// What was learned about a question.
#[derive(Clone, Debug)]
pub struct Learned {
    means: Means,
    neighbours: usize,
    text: Option<TextModel>,
    residuals: Vec<f64>,
    weights: Vec<f64>,
}

#[derive(Clone, Debug)]
struct TextModel {
    ridge: Ridge,
    mix: [f64; 2],
    calibration: Calibration,
}

/// The chance of an outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// The expected chance.
    pub expected: f64,
    /// What is believed of it.
    pub belief: Beta,
}

impl Learned {
    /// Returns how many past tasks of the same role and template, or else of the same role, have an answer; all without either.
    pub fn known_for(&self, task: &Task) -> usize {
        self.means.count(task)
    }

    /// Answers the question for a task that was looked up in the same space.
    pub fn chance(&self, located: &Located) -> Chance {
        let posterior = self.means.of_task(&located.task);
        let Some(text) = &self.text else { return Chance { expected: posterior.mean(), belief: posterior } };
        let near = mean(&located.near, self.neighbours, &self.weights, &self.residuals).unwrap_or_default();
        let raw = posterior.mean() + text.mix[0] * text.ridge.predict(&located.row) + text.mix[1] * near;
        let expected = text.calibration.chance(raw);
        // A text moves the chance away from its role's mean: what is known there is what its neighbourhood knows.
        let evidence = self.means.weight(&located.task).min(self.neighbours as f64);
        Chance { expected, belief: Beta::around(expected, evidence) }
    }

    /// Returns the weight of the answers of past tasks of the same role and template, or else of the same role; a role without any
    /// counts as much as a parent does.
    pub fn weight_for(&self, task: &Task) -> f64 {
        self.means.weight(task)
    }

    /// Returns how many answers are heard at most: those of the neighbours, where texts are compared.
    pub fn heard(&self) -> f64 {
        if self.text.is_some() { self.neighbours as f64 } else { f64::INFINITY }
    }
}

/// Posteriors by role and template, by role, and of all.
#[derive(Clone, Debug, Default)]
struct Means {
    all: (Tally, usize),
    roles: HashMap<String, (Tally, usize)>,
    cells: HashMap<(String, String), (Tally, usize)>,
}

impl Means {
    fn of(tasks: &[Task], question: &Question) -> Self {
        let mut means = Self::default();
        for (task, (answer, weight)) in tasks.iter().zip(question.answers.iter().zip(&question.weights)) {
            if *weight <= 0.0 {
                continue;
            }
            let add = |place: &mut (Tally, usize)| {
                place.0.add(*answer, *weight);
                place.1 += 1;
            };
            add(&mut means.all);
            add(means.roles.entry(task.role.clone()).or_default());
            if let Some(template) = &task.template {
                add(means.cells.entry((task.role.clone(), template.clone())).or_default());
            }
        }
        means
    }

    fn all(&self) -> Beta {
        self.all.0.alone()
    }

    fn role(&self, task: &Task) -> Option<&(Tally, usize)> {
        self.roles.get(&task.role)
    }

    fn cell(&self, task: &Task) -> Option<&(Tally, usize)> {
        let template = task.template.as_ref()?;
        self.cells.get(&(task.role.clone(), template.clone()))
    }

    fn of_task(&self, task: &Task) -> Beta {
        self.lean(task, |tally| tally)
    }

    /// Returns the mean that the other tasks give for one that is counted in it.
    fn without(&self, task: &Task, answer: f64, weight: f64) -> f64 {
        self.lean(task, |tally| tally.without(answer, weight)).mean()
    }

    /// Leans a place on the others: templates of a role on its other templates, a role on other roles. What is counted in a place is in
    /// none of its parents.
    fn lean(&self, task: &Task, look: impl Fn(Tally) -> Tally) -> Beta {
        match (self.role(task), self.cell(task)) {
            (Some((role, _)), Some((cell, _))) => look(*cell).below(role.less(*cell).below(self.all.0.less(*role).alone())),
            (Some((role, _)), None) => look(*role).below(self.all.0.less(*role).alone()),
            _ if task.role.is_empty() => look(self.all.0).alone(),
            _ => Tally::default().below(self.all.0.alone()),
        }
    }

    fn count(&self, task: &Task) -> usize {
        if task.role.is_empty() {
            return self.all.1;
        }
        self.cell(task).or_else(|| self.role(task)).map_or(0, |place| place.1)
    }

    fn weight(&self, task: &Task) -> f64 {
        let all = self.all.0.total();
        let alike = if task.role.is_empty() { all } else { all.min(PARENT_STRENGTH) };
        self.cell(task).or_else(|| self.role(task)).map_or(alike, |place| place.0.total())
    }
}
