//! How near texts are that have nothing to do with each other: every model has another idea of it, so it is measured.

use super::{Embedder, Error};
use crate::memory::fuse::Unrelated;

/// Questions, each of another field.
const QUESTIONS: [&str; 8] = [
    "which bridge was closed because of corrosion in its cables",
    "how long must bread dough rest in a cold kitchen",
    "who composed the opera about a shipwrecked queen",
    "what dose of the vaccine protects foals against tetanus",
    "why did the wheat harvest fail in the northern provinces",
    "goals scored from corners in the second half",
    "how is the roof of a timber house protected from snow",
    "which moons have an ocean below their ice",
];

/// Reports, none of which says anything about any of the questions.
const TEXTS: [&str; 8] = [
    "The login service rejected valid tokens after its clock had been set back by two hours. Time is now taken from three servers.",
    "The choir rehearses on Tuesdays. New members sing in the second row until they have learned the programme of the season.",
    "Sales of used cars rose by four percent. Diesel models stay on the lot for eleven weeks, hybrids for less than three.",
    "The translation of the manual into Korean is complete. Two diagrams had to be drawn again, as their labels run vertically.",
    "Volunteers counted 312 swifts over the old town. Most nests are under the tiles of the brewery, which is to be renovated.",
    "The tenant may end the contract with three months' notice. A deposit of two rents is returned after the flat was inspected.",
    "The sculptor casts in aluminium, since bronze had become too expensive. The mould is of sand and is broken after each use.",
    "Pupils learn fractions with coloured strips of paper. Those who were ill repeat the unit with a partner from the other class.",
];

/// Measures it for a model: each question against each text.
///
/// # Errors
/// As [`Embedder::embed`].
pub fn measure(embedder: &Embedder) -> Result<Unrelated, Error> {
    let questions = QUESTIONS.iter().map(|question| embedder.query(question)).collect::<Result<Vec<_>, _>>()?;
    let texts = embedder.embed(&TEXTS)?;
    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosines: Vec<f32> = questions.iter().flat_map(|a| texts.iter().map(move |b| cosine(a, b))).collect();
    let count = cosines.len() as f32;
    let mean = cosines.iter().sum::<f32>() / count;
    let variance = cosines.iter().map(|cosine| (cosine - mean).powi(2)).sum::<f32>() / (count - 1.0);
    Ok(Unrelated { mean, deviation: variance.sqrt() })
}
