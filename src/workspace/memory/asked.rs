//! The vectors of what was asked last: asking the model takes longer than all else of an answer.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// Questions that are kept, the newest.
const KEPT: usize = 64;

/// Texts that the model was asked for, with their vectors.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<VecDeque<(String, Vec<f32>)>>);

impl Asked {
    /// Returns the vector of a text; the model is asked where it is not known. What it cannot say is asked again.
    pub(super) fn vector<E>(&self, text: &str, ask: impl FnOnce(&str) -> Result<Vec<f32>, E>) -> Result<Vec<f32>, E> {
        let held = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, vector)) = held().iter().find(|(known, _)| known == text) {
            return Ok(vector.clone());
        }
        let vector = ask(text)?;
        let mut held = held();
        held.truncate(KEPT - 1);
        held.push_front((text.to_owned(), vector.clone()));
        Ok(vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_asked_once_for_a_text_and_again_after_it_failed() {
        let asked = Asked::default();
        let mut times = 0;
        let mut ask = |text: &str, works: bool| {
            asked.vector(text, |text| {
                times += 1;
                if works { Ok(vec![text.len() as f32, times as f32]) } else { Err("no model") }
            })
        };
        assert_eq!(ask("a", false), Err("no model"));
        assert_eq!(ask("a", true), Ok(vec![1.0, 2.0]));
        assert_eq!([ask("a", true), ask("a", false)], [Ok(vec![1.0, 2.0]), Ok(vec![1.0, 2.0])]);
        for number in 0..2 * KEPT {
            assert!(ask(&format!("text {number}"), true).is_ok());
        }
        assert_eq!(ask("a", false), Err("no model"), "the oldest are not kept");
        assert_eq!(asked.0.lock().unwrap().len(), KEPT);
    }
}
