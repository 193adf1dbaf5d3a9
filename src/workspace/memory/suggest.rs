//! Which template fits to what a person wants to do.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Recall;
use crate::domain::template::Template;
use crate::memory::collection::embed_once;
use crate::views::status::RunStatus;
use crate::workspace::memory::recall_error::RecallError;

/// A template whose best text is less like the wish than this does not fit.
const COSINE_MIN: f32 = 0.28;
/// Above this likeness there is no doubt.
const COSINE_SURE: f32 = 0.65;
/// Templates that are much less like the wish than the best one are not named.
const BEHIND_MAX: f32 = 0.12;
/// Templates named, at most.
const NAMED_MAX: usize = 3;

/// Templates that fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Templates that fit, as `meno suggest --json` prints them")]
pub struct Suggested {
    /// What the person wants to do.
    pub wish: String,
    /// Templates, best first; none when none fits.
    pub templates: Vec<SuggestedTemplate>,
}

/// A template that fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SuggestedTemplate {
    /// The template's id.
    pub template_id: String,
    /// Its name.
    pub name: String,
    /// From 0 to 1: how sure it is that it fits.
    pub confidence: f64,
    /// Why, in words.
    pub because: String,
    /// Runs of it so far, but for those that a failure of configuration ended.
    pub runs: u64,
    /// Of the runs that have ended, how many succeeded.
    pub succeeded: u64,
}

impl Recall<'_> {
    /// Returns the templates that fit to a wish, by the meaning of what they say of themselves.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub fn suggest(&self, wish: &str) -> Result<Suggested, RecallError> {
        let embedder = self.embedder()?;
        let templates: Vec<Template> = self.0.library.list().into_iter().filter_map(|entry| entry.template).collect();
        let texts: Vec<(usize, String)> = templates
            .iter()
            .enumerate()
            .flat_map(|(at, template)| texts(template).into_iter().map(move |text| (at, text)))
            .collect();
        let words: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let vectors = embed_once(&embedder, &self.bench_cache(), &words, &|_, _| true)?;
        let query = embedder.query(wish)?;
        let mut best: HashMap<usize, (f32, &str)> = HashMap::new();
        for ((at, text), vector) in texts.iter().zip(&vectors) {
            let cosine: f32 = vector.iter().zip(&query).map(|(a, b)| a * b).sum();
            let known = best.entry(*at).or_insert((f32::MIN, ""));
            if cosine > known.0 {
                *known = (cosine, text);
            }
        }
        let mut ranked: Vec<(usize, f32, &str)> = best.into_iter().map(|(at, (cosine, text))| (at, cosine, text)).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let first = ranked.first().map_or(0.0, |(_, cosine, _)| *cosine);
        let past = self.0.runs().all_rows()?;
        let fitting = ranked.into_iter().filter(|(_, cosine, _)| *cosine >= COSINE_MIN && first - cosine <= BEHIND_MAX);
        let templates = fitting.take(NAMED_MAX).filter_map(|(at, cosine, text)| {
            let template = templates.get(at)?;
            let runs = || past.iter().filter(|row| row.template_id == template.template_id && !row.failed_by_configuration());
            Some(SuggestedTemplate {
                template_id: template.template_id.clone(),
                name: template.name.clone(),
                confidence: f64::from(((cosine - COSINE_MIN) / (COSINE_SURE - COSINE_MIN)).clamp(0.05, 1.0)),
                because: text.lines().last().unwrap_or_default().trim().to_owned(),
                runs: runs().count() as u64,
                succeeded: runs().filter(|row| row.status == RunStatus::Succeeded).count() as u64,
            })
        });
        Ok(Suggested { wish: wish.to_owned(), templates: templates.collect() })
    }
}

/// What a template says of itself: its description, its tags, and what each of its agents is told to do.
fn texts(template: &Template) -> Vec<String> {
    let mut texts = vec![format!("{}\n{}", template.name, template.description)];
    if !template.tags.is_empty() {
        texts.push(format!("{}\n{}", template.name, template.tags.join(", ")));
    }
    let roles: Vec<&str> = template.agent_composition_rules.iter().map(|rule| rule.role.as_str()).collect();
    texts.push(format!("{}\n{}", template.name, roles.join(", ")));
    texts
}
