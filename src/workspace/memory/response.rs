//! What a search found, as it is shown and as other programs read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::memory::document::Kind;
use crate::memory::query::{Origin, Spelled, Understood};
use crate::memory::search::{Hit, SearchResult};

/// What a search found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "What was found, as `meno search --json` prints it")]
pub struct SearchResponse {
    /// The question as it was asked.
    pub query: String,
    /// What it was understood to mean.
    pub understood: UnderstoodDocument,
    /// `hybrid`: by words and meaning; `lexical`: by words alone.
    pub mode: String,
    /// The last position of the log that the index has seen.
    pub indexed_to: u64,
    /// The last position of the log.
    pub log_head: u64,
    /// Passages of the index.
    pub passages: u64,
    /// Passages that have no vector yet: they are found by their words alone.
    pub passages_without_vector: u64,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
    /// Runs that were found, before the limit: of each side at most two hundred documents are looked at.
    pub total: u64,
    /// Nothing is close to the question: no run shares a word of weight with it or is nearer in meaning than unrelated texts are.
    #[serde(default)]
    pub nothing_close: bool,
    /// What is missing from the answer, in words.
    pub notices: Vec<String>,
    /// Runs, best first.
    pub hits: Vec<HitDocument>,
}

/// What a query was understood to mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnderstoodDocument {
    /// The words that were searched.
    pub text: String,
    /// The same for people.
    pub line: String,
    /// What was asked of runs.
    pub filters: Vec<FilterDocument>,
    /// What came first; null when it was what matched best, or the newest run where there was nothing to match.
    #[serde(default)]
    pub order: Option<OrderDocument>,
    /// Filters and order said all that was asked: every run that passes was listed, whatever its words.
    #[serde(default)]
    pub filters_alone: bool,
    /// The question without filters and order, as it is typed so that nothing is read from it: with the `typed` forms of those it means what was
    /// understood.
    #[serde(default)]
    pub typed: String,
    /// What had to occur as it stands.
    pub phrases: Vec<String>,
    /// Phrases of a longer question that occur nowhere as they stand: their words were searched.
    #[serde(default)]
    pub loosened: Vec<String>,
    /// What was not to occur.
    pub without: Vec<String>,
    /// What was typed like a key and searched as text, and why.
    pub notes: Vec<String>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderDocument {
    /// What it goes by: the name that is typed after `--sort`.
    pub sort: String,
    /// How it is said to people.
    pub words: String,
    /// The place at which the answer begins, from 1: 2 for "the second cheapest".
    pub place: u32,
    /// How many runs the question asks for; null when it names no number.
    pub count: Option<u32>,
    /// The `sort:…` form, which means the same when it is typed.
    #[serde(default)]
    pub typed: String,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FilterDocument {
    /// What is looked at: `status`, `time`, `cost`, `template` …
    pub key: String,
    /// How it is said to people.
    pub words: String,
    /// The `key:value` form, which means the same when it is typed.
    pub typed: String,
    /// `hard`: typed as a key; `words`: read from words.
    pub origin: String,
    /// It must not hold.
    pub negated: bool,
    /// It was dropped because it would have emptied the answer.
    pub dropped: bool,
    /// Everything else about it: values, or the ends of a range.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// A run that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HitDocument {
    /// Its place, from 1.
    pub rank: u64,
    /// The run's id.
    pub run_id: String,
    /// What its best document is about.
    pub kind: Kind,
    /// That document's title.
    pub title: String,
    /// The score that ordered it.
    pub score: f64,
    /// Its place by words alone; null when the words did not find it.
    pub lexical_rank: Option<u32>,
    /// Its place by meaning alone; null when the meaning did not find it.
    pub semantic_rank: Option<u32>,
    /// Its BM25 score.
    pub bm25: Option<f64>,
    /// BM25 divided by the most that the question could score: the share that orders.
    #[serde(default)]
    pub share: f64,
    /// Its cosine with the question.
    pub cosine: Option<f64>,
    /// Its cosine with the question and the best three runs together, which orders.
    #[serde(default)]
    pub nearness: Option<f64>,
    /// It shares no word of weight with the question and is not nearer in meaning than unrelated texts are.
    #[serde(default)]
    pub weak: bool,
    /// The part of the document that says why.
    pub snippet: String,
    /// Where words of the question are in the snippet: from and to, in bytes.
    pub highlights: Vec<(usize, usize)>,
    /// Where the run stands.
    pub status: String,
    /// Every agent that counts is known to have met its criteria.
    pub verified: bool,
    /// `real`, `simulated` or `imported`.
    pub mode: String,
    /// The template's id.
    pub template_id: String,
    /// When the run began.
    pub started_at: String,
    /// What is known of its cost.
    pub cost_nusd: i64,
    /// Whether that is all of it.
    pub cost_complete: bool,
    /// The node of the imported log that has it; null for a run of the store's own log.
    #[serde(default)]
    pub node: Option<String>,
}

/// Returns what a query was understood to mean and what the answer made of it.
pub(in crate::workspace) fn understood_document(
    understood: &Understood,
    spelled: Spelled,
    answer: &SearchResult,
) -> UnderstoodDocument {
    let dropped = &answer.dropped;
    let report = understood.report();
    let mut from_words = 0..;
    let filters = report.filters.iter().map(|filter| {
        let mut more = match serde_json::to_value(filter) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        for said in ["key", "words", "typed", "origin", "negated"] {
            more.remove(said);
        }
        let is_words = filter.origin == Origin::Words;
        FilterDocument {
            key: filter.key.to_owned(),
            words: filter.words.clone(),
            typed: filter.typed.clone(),
            origin: if is_words { "words" } else { "hard" }.to_owned(),
            negated: filter.negated,
            dropped: is_words && from_words.next().is_some_and(|number| dropped.contains(&number)),
            more,
        }
    });
    let filters: Vec<FilterDocument> = filters.collect();
    UnderstoodDocument {
        text: report.text,
        line: understood.line(),
        filters,
        order: report.order.map(|order| OrderDocument {
            sort: order.sort.name().to_owned(),
            words: order.to_string(),
            place: order.place,
            count: order.count,
            typed: spelled.order.unwrap_or_default(),
        }),
        typed: spelled.text,
        filters_alone: answer.listed,
        loosened: answer.loosened.iter().filter_map(|number| report.phrases.get(*number).cloned()).collect(),
        phrases: report.phrases,
        without: report.without,
        notes: report.notes,
    }
}

/// Returns a hit at its place.
pub(in crate::workspace) fn hit_document(hit: &Hit, rank: u64) -> HitDocument {
    let started = jiff::Timestamp::from_millisecond(hit.facts.started_at).unwrap_or_default();
    HitDocument {
        rank,
        run_id: hit.facts.run_id.clone(),
        kind: hit.kind,
        title: hit.title.clone(),
        score: f64::from(hit.score.score),
        lexical_rank: hit.score.lexical_rank,
        semantic_rank: hit.score.semantic_rank,
        bm25: hit.score.bm25.map(f64::from),
        share: f64::from(hit.score.share),
        cosine: hit.score.cosine.map(f64::from),
        nearness: hit.score.nearness.map(f64::from),
        weak: hit.is_weak,
        snippet: hit.snippet.0.clone(),
        highlights: hit.snippet.1.iter().map(|range| (range.start, range.end)).collect(),
        status: hit.facts.status.clone(),
        verified: hit.facts.verified,
        mode: hit.facts.mode.clone(),
        template_id: hit.facts.template.clone(),
        started_at: started.to_string(),
        cost_nusd: hit.facts.cost_nusd,
        cost_complete: hit.facts.cost_complete,
        node: None,
    }
}
