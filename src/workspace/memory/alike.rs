//! Which past runs are most like the one to come: by their answers, by their material, and by what their texts mean.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Recall;
use crate::domain::event::{Event, InputAttached, Recorded};
use crate::domain::ids::RunId;
use crate::domain::template::Template;
use crate::domain::text::Text;
use crate::memory::advice::likeness::{ALIKE, InputProfile};
use crate::memory::advice::outlook::most_alike;
use crate::store;
use crate::views::run_detail::Fold;
use crate::workspace::memory::patterns::PastRun;
use crate::workspace::runs::inputs;

/// Past runs whose answers and inputs are compared with those given, the newest: their events are read.
const COMPARED_MAX: usize = 300;
/// Past inputs whose meaning is compared: those that share the most words, and different ones only.
const EMBEDDED_MAX: usize = 48;
/// Events at a run's beginning among which its inputs are.
const FIRST_EVENTS: u32 = 64;
/// What an equal answer or the same input says, beside nearness of texts.
const SURE: usize = 2;

/// What of an input past runs had too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InputLikeness {
    /// The input's id.
    pub input: String,
    /// How many of the runs that the advice rests on had the same files.
    pub same: u64,
    /// How many had others like them, by their words or by what they mean.
    pub alike: u64,
}

/// The past runs that were chosen.
#[derive(Debug, Default)]
pub(in crate::workspace) struct Similar {
    /// The runs, the newest first.
    pub runs: Vec<PastRun>,
    /// What of each given input they had too.
    pub inputs: Vec<InputLikeness>,
}

/// How near a past input is to one that is given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Other,
    Alike,
    Same,
}

impl Recall<'_> {
    /// Reads material as a run of `template` would get it, and returns what is compared of it.
    ///
    /// # Errors
    /// When an input is not the template's or cannot be read.
    pub(crate) fn profiles(
        &self,
        template: Option<&Template>,
        given: &[(String, String)],
    ) -> Result<Vec<InputProfile>, inputs::InputError> {
        let specs = template.map_or(&[][..], |template| &template.inputs);
        let redactor = match template {
            Some(template) => self.0.redactor_of(&self.0.runs().basis(template), &[]),
            None => Arc::new(self.0.redactor_with(&[])),
        };
        given.iter().map(|(id, value)| inputs::read(specs, id, value, &redactor).map(|input| profile(&input))).collect()
    }

    /// Returns the past runs that are most like the one to come: an equal answer or the same input says most, nearness of texts is
    /// next. All when nothing was given or too few are alike.
    pub(in crate::workspace) fn similar(
        &self,
        template: &str,
        past: Vec<PastRun>,
        answers: &BTreeMap<String, Value>,
        given: &[InputProfile],
        warnings: &mut Vec<String>,
    ) -> Result<Similar, store::Error> {
        if (answers.is_empty() && given.is_empty()) || past.is_empty() {
            return Ok(Similar { runs: past, inputs: Vec::new() });
        }
        let min = self.0.resolved.settings.memory.min_sample as usize;
        // Answers of several words are hardly ever given twice; what they mean may be.
        let texts: Vec<&str> =
            answers.values().filter_map(Value::as_str).filter(|text| text.contains(char::is_whitespace)).collect();
        let near: BTreeSet<RunId> = if texts.is_empty() {
            BTreeSet::new()
        } else {
            self.nearest_runs(template, &texts.join("\n"), 2 * min).map(|runs| runs.into_iter().collect()).unwrap_or_else(
                |error| {
                    warnings.push(format!("runs are compared by equal answers alone, and not by what their texts mean: {error}"));
                    BTreeSet::new()
                },
            )
        };
        let mut compared: Vec<(PastRun, usize, Vec<InputProfile>)> = Vec::new();
        for (place, run) in past.iter().enumerate() {
            let is_near = near.contains(&run.run);
            if place >= COMPARED_MAX && !is_near {
                continue;
            }
            let told = if answers.is_empty() { IndexMap::new() } else { self.answers_of(run.run)? };
            let agree = answers.iter().filter(|(question, value)| told.get(*question) == Some(value)).count();
            let had = if given.is_empty() { Vec::new() } else { self.inputs_of(run.run)? };
            compared.push((run.clone(), SURE * agree + usize::from(is_near), had));
        }
        let pasts: Vec<&[InputProfile]> = compared.iter().map(|(.., had)| had.as_slice()).collect();
        let nearness: Vec<Vec<Nearness>> = given.iter().map(|input| self.nearness(input, &pasts, 2 * min, warnings)).collect();
        let points = |place: usize| -> usize {
            let of = |near: &Vec<Nearness>| near.get(place).map_or(0, |near| *near as usize);
            nearness.iter().map(of).sum()
        };
        let alike: Vec<(usize, PastRun)> =
            compared.iter().enumerate().map(|(place, (run, known, _))| (known + points(place), run.clone())).collect();
        let Some(runs) = most_alike(&alike, SURE * (answers.len() + given.len()) + 1, min) else {
            warnings.push("too few past runs are like this one; all runs of the template are used".to_owned());
            return Ok(Similar { runs: past, inputs: Vec::new() });
        };
        let chosen: BTreeSet<RunId> = runs.iter().map(|run| run.run).collect();
        let count = |near: &[Nearness], wanted: Nearness| {
            let is = |(place, near): &(usize, &Nearness)| {
                **near == wanted && compared.get(*place).is_some_and(|(run, ..)| chosen.contains(&run.run))
            };
            near.iter().enumerate().filter(is).count() as u64
        };
        let inputs = given.iter().zip(&nearness).map(|(input, near)| InputLikeness {
            input: input.input.clone(),
            same: count(near, Nearness::Same),
            alike: count(near, Nearness::Alike),
        });
        Ok(Similar { inputs: inputs.collect(), runs })
    }

    /// Returns the answers of a run, reading no further than to where its form ended, and nothing of what it began with.
    fn answers_of(&self, run: RunId) -> Result<IndexMap<String, Value>, store::Error> {
        let leave_out = |event: &mut Event| {
            if let Event::RunStarted(body) = event {
                body.private = None;
            }
        };
        let is_over = |recorded: &Recorded| matches!(recorded.event, Event::FormCompleted(_) | Event::AgentPlanned(_));
        let (mut fold, mut next) = (Fold::default(), 1);
        loop {
            let events = self.0.runs().events_without(run, next, FIRST_EVENTS, &leave_out)?;
            self.0.runs().fold_in(&mut fold, &events);
            let Some(last) = events.last().filter(|_| !events.iter().any(is_over)) else { return Ok(fold.finish().answers) };
            next = last.envelope.version + 1;
        }
    }

    /// Returns what is compared of the inputs that a run had.
    fn inputs_of(&self, run: RunId) -> Result<Vec<InputProfile>, store::Error> {
        let attached = |recorded: Recorded| match recorded.event {
            Event::InputAttached(input) => Some(profile(&input)),
            _ => None,
        };
        Ok(self.0.runs().events_of(run, 1, FIRST_EVENTS)?.into_iter().filter_map(attached).collect())
    }

    /// Says for each past run how near its input of the same id is to `input`: by words, and by meaning those `nearest` that are nearest.
    fn nearness(
        &self,
        input: &InputProfile,
        pasts: &[&[InputProfile]],
        nearest: usize,
        warnings: &mut Vec<String>,
    ) -> Vec<Nearness> {
        let same_id = |had: &&[InputProfile]| had.iter().find(|had| had.input == input.input).cloned();
        let pasts: Vec<Option<InputProfile>> = pasts.iter().map(same_id).collect();
        let mut near = vec![Nearness::Other; pasts.len()];
        let mut others: Vec<(usize, &InputProfile, f64)> = Vec::new();
        for (place, past) in pasts.iter().enumerate() {
            let Some(past) = past else { continue };
            let overlap = input.overlap(past);
            if input.is_same(past) {
                near[place] = Nearness::Same;
            } else if overlap >= ALIKE {
                near[place] = Nearness::Alike;
            } else if !past.beginning.is_empty() && !input.beginning.is_empty() {
                others.push((place, past, overlap));
            }
        }
        // When all are looked at, none is nearer than the others.
        if others.len() <= nearest {
            return near;
        }
        others.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut distinct: Vec<&str> = Vec::new();
        for (_, past, _) in &others {
            if distinct.len() < EMBEDDED_MAX && !distinct.contains(&past.beginning.as_str()) {
                distinct.push(&past.beginning);
            }
        }
        let texts: Vec<&str> = std::iter::once(input.beginning.as_str()).chain(distinct.iter().copied()).collect();
        let vectors = match self.open_embedder().and_then(|embedder| embedder.embed(&texts)) {
            Ok(vectors) => vectors,
            Err(error) => {
                warnings.push(format!("inputs are compared by their words alone, and not by what they mean: {error}"));
                return near;
            }
        };
        let Some((own, vectors)) = vectors.split_first() else { return near };
        let cosine = |other: &[f32]| own.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        let cosines: BTreeMap<&str, f32> = distinct.iter().copied().zip(vectors.iter().map(|vector| cosine(vector))).collect();
        let mut by_meaning: Vec<(f32, usize)> =
            others.iter().filter_map(|(place, past, _)| Some((*cosines.get(past.beginning.as_str())?, *place))).collect();
        by_meaning.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (_, place) in by_meaning.into_iter().take(nearest) {
            near[place] = Nearness::Alike;
        }
        near
    }
}

/// Returns what is compared of an input.
pub(in crate::workspace) fn profile(input: &InputAttached) -> InputProfile {
    let texts = input.private.iter().flat_map(|private| &private.texts);
    let texts = texts.map(|(name, text)| match text {
        Text::Inline(text) => (name.as_str(), Some(text.as_str())),
        _ => (name.as_str(), None),
    });
    InputProfile::new(&input.input, (input.files, input.bytes), texts)
}
