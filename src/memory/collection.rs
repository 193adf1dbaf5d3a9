//! Test collections: documents, questions, and which document answers which, to measure search instead of feeling it.
//!
//! A collection is a folder with `docs.jsonl` {id, title?, text}, or `histories.jsonl` with runs as `meno import runs` takes them,
//! `queries.jsonl` {id, text} and `qrels.tsv` (question, document, grade; a first line of names is left out). It is searched by
//! the very index and rule that runs are searched by, its questions are understood as those of `meno search` are, and a document is found
//! as a run with that report is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Document, Facts, Kind};
use super::embed::Embedder;
use super::index::IndexDir;
use super::lexical::Seen;
use super::query::understand;
use super::search::{OpenIndex, Sides};
use super::vectors::{Appender, Vectors};
use super::{index, passages, question};

/// Hits that are judged.
const DEPTH: usize = 10;
/// Texts embedded between two writes.
const EMBED_TEXTS: usize = 256;

/// Why a collection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what it must be.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing can be measured with it.
    #[error("{}: {why}", path.display())]
    Useless {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The index made for it.
    #[error(transparent)]
    Index(#[from] index::Error),
}

/// A text with an id.
#[derive(Clone, Debug, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: Id,
    /// What it is called.
    #[serde(default)]
    pub title: Option<String>,
    /// Its words.
    pub text: String,
}

/// An id: text, or a number, which stands for its digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct Id(pub String);

impl From<serde_json::Value> for Id {
    fn from(value: serde_json::Value) -> Self {
        Self(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// A collection.
#[derive(Clone, Debug)]
pub struct Collection {
    /// What is searched; the id that judgements name is that of the run.
    pub documents: Vec<Document>,
    /// What is asked.
    pub queries: Vec<Item>,
    /// For each question the documents that answer it, with their grades above 0.
    pub judgements: HashMap<String, BTreeMap<String, f64>>,
}

impl Collection {
    /// Reads the collection in the folder `dir`; `histories` reads a file of runs.
    ///
    /// # Errors
    /// An [`Error`] with file and line.
    pub fn read(dir: &Path, histories: &dyn Fn(&Path) -> Result<Vec<Document>, String>) -> Result<Self, Error> {
        let runs = dir.join("histories.jsonl");
        let documents = if runs.is_file() {
            histories(&runs).map_err(|why| Error::Useless { path: runs, why })?
        } else {
            items(&dir.join("docs.jsonl"))?.into_iter().map(document).collect()
        };
        let queries = items(&dir.join("queries.jsonl"))?;
        let judgements = judgements(&dir.join("qrels.tsv"))?;
        let collection = Self { documents, queries, judgements };
        if collection.judged().next().is_none() {
            let why = "no question of queries.jsonl has a relevant document in qrels.tsv".to_owned();
            return Err(Error::Useless { path: dir.to_owned(), why });
        }
        Ok(collection)
    }

    /// Returns the mean nDCG@10 of what `answer` says to the questions: ids, best first.
    pub fn ndcg_of(&self, answer: &mut dyn FnMut(&str) -> Vec<String>) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for (query, judgements) in self.judged() {
            let hits = answer(&query.text);
            sum += ndcg(&hits.iter().map(String::as_str).collect::<Vec<_>>(), judgements);
            count += 1;
        }
        sum / f64::from(count.max(1))
    }

    /// Returns the documents as lines of a file for `meno import runs`, each as a run's report.
    pub fn as_runs(&self) -> String {
        let line = |document: &Document| {
            let (id, report) = (&document.facts.run_id, &document.body);
            let run = serde_json::json!({
                "run_id": id, "template_id": "report", "started_at": "2026-01-01T00:00:00Z", "agents": [], "report": report
            });
            format!("{run}\n")
        };
        self.documents.iter().map(line).collect()
    }

    /// Returns the questions that have an answer, with their judgements.
    pub fn judged(&self) -> impl Iterator<Item = (&Item, &BTreeMap<String, f64>)> {
        self.queries.iter().filter_map(|query| Some((query, self.judgements.get(&query.id.0)?)))
    }
}

fn items(path: &Path) -> Result<Vec<Item>, Error> {
    let text = read(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| Error::Line {
                path: path.to_owned(),
                line: index + 1,
                why: error.to_string(),
            })
        })
        .collect()
}

fn judgements(path: &Path) -> Result<HashMap<String, BTreeMap<String, f64>>, Error> {
    let mut judgements: HashMap<String, BTreeMap<String, f64>> = HashMap::new();
    for (index, line) in read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: &str| Error::Line { path: path.to_owned(), line: index + 1, why: why.to_owned() };
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (query, document, grade) = match fields.as_slice() {
            [query, document, grade] => (*query, *document, *grade),
            // The form of TREC has a field without meaning in second place.
            [query, _, document, grade] => (*query, *document, *grade),
            _ => return Err(wrong("expected question, document and grade, with tabs between them")),
        };
        let grade: f64 = match grade.parse() {
            Ok(grade) => grade,
            Err(_) if index == 0 => continue,
            Err(_) => return Err(wrong("the grade is no number")),
        };
        if grade > 0.0 && grade.is_finite() {
            judgements.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        }
    }
    Ok(judgements)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// How good and how fast one side is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// `lexical`, `semantic` or `hybrid`.
    pub mode: String,
    /// Normalised discounted cumulative gain of the first ten hits; the gain is the grade (Järvelin & Kekäläinen 2002).
    pub ndcg_at_10: f64,
    /// Share of the relevant documents among the first ten hits.
    pub recall_at_10: f64,
    /// Mean reciprocal rank of the first relevant hit among the first ten.
    pub mrr: f64,
    /// Half of the questions are answered in so many milliseconds.
    pub p50_ms: f64,
    /// Of a hundred questions 99 are answered in so many milliseconds.
    pub p99_ms: f64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Search quality, as `meno bench search --json` prints it")]
pub struct Quality {
    /// Documents searched.
    pub documents: u64,
    /// Questions with judgements.
    pub queries: u64,
    /// The embedding model.
    pub embedder: String,
    /// One entry a mode.
    pub modes: Vec<Measured>,
}

/// Indexes the collection in the folder `scratch` and asks all questions in all modes. Vectors are kept in the folder `cache`, so
/// that no text is embedded twice; dates in questions are read as of `now`; `progress` is told how many of how many texts are embedded.
///
/// # Errors
/// An [`Error`].
pub fn measure(
    collection: &Collection,
    embedder: &Embedder,
    scratch: &Path,
    cache: &Path,
    now: &jiff::Zoned,
    progress: index::GoOn<'_>,
) -> Result<Quality, Error> {
    let place = IndexDir::new(scratch.to_owned());
    let io = |source| Error::Io { path: scratch.to_owned(), source };
    let texts: Vec<String> = collection.documents.iter().flat_map(|document| passages::embedded(&document.body)).collect();
    let vectors = embed_once(embedder, cache, &texts, progress)?;
    let rows: Vec<(u64, Vec<f32>)> = texts.iter().map(|text| passages::key(text)).zip(vectors).collect();
    let mut appender = Appender::open(&place.vectors_dir(embedder.id()), embedder.dims()).map_err(io)?;
    appender.append(&rows).map_err(io)?;
    let hold =
        place.hold()?.ok_or_else(|| Error::Useless { path: scratch.to_owned(), why: "the folder is in use".to_owned() })?;
    hold.fill(&collection.documents, &Seen::default())?;
    let queries: Vec<&str> = collection.judged().map(|(query, _)| query.text.as_str()).collect();
    let mut modes = Vec::new();
    for (name, sides) in [("lexical", Sides::Lexical), ("semantic", Sides::Semantic), ("hybrid", Sides::Both)] {
        let mut opened = OpenIndex::open(&place, embedder)
            .ok_or_else(|| Error::Useless { path: scratch.to_owned(), why: "the index made for it cannot be read".to_owned() })?;
        opened.refresh(&place, embedder).map_err(index::Error::from)?;
        modes.push(ask(collection, name, sides, &opened, embedder, now)?);
    }
    Ok(Quality {
        documents: collection.documents.len() as u64,
        queries: queries.len() as u64,
        embedder: embedder.id().to_owned(),
        modes,
    })
}

/// A title stands above the text, as it does in a report.
fn document(item: Item) -> Document {
    let title = item.title.filter(|title| !title.trim().is_empty());
    Document {
        kind: Kind::Run,
        title: String::new(),
        body: title.map_or_else(|| item.text.clone(), |title| format!("{title}\n\n{}", item.text)),
        facts: Facts { run_id: item.id.0, ..Facts::default() },
    }
}

fn ask(
    collection: &Collection,
    name: &str,
    sides: Sides,
    opened: &OpenIndex,
    embedder: &Embedder,
    now: &jiff::Zoned,
) -> Result<Measured, Error> {
    let vocabulary = question::vocabulary(Some(opened), Vec::new()).map_err(index::Error::from)?;
    let (mut ndcgs, mut recalls, mut ranks, mut times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (query, judgements) in collection.judged() {
        let begun = Instant::now();
        let question = question::ask(&understand(&query.text, &vocabulary, now), DEPTH, &|_| None);
        let answer = opened.answer(&question, sides, &|text| embedder.query(text).ok()).map_err(index::Error::from)?;
        times.push(begun.elapsed());
        let hits: Vec<&str> = answer.hits.iter().map(|hit| hit.facts.run_id.as_str()).collect();
        ndcgs.push(ndcg(&hits, judgements));
        let relevant = hits.iter().filter(|hit| judgements.contains_key(**hit)).count();
        recalls.push(relevant as f64 / judgements.len() as f64);
        let first = hits.iter().position(|hit| judgements.contains_key(*hit));
        ranks.push(first.map_or(0.0, |at| 1.0 / (at + 1) as f64));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    times.sort_unstable();
    let time = |share: f64| {
        let at = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len()) - 1;
        times.get(at).map_or(0.0, Duration::as_secs_f64) * 1e3
    };
    Ok(Measured {
        mode: name.to_owned(),
        ndcg_at_10: mean(&ndcgs),
        recall_at_10: mean(&recalls),
        mrr: mean(&ranks),
        p50_ms: time(0.5),
        p99_ms: time(0.99),
    })
}

/// Returns the normalised discounted cumulative gain of the first ten hits: each gains its grade, divided by log2(rank + 1).
pub fn ndcg(hits: &[&str], judgements: &BTreeMap<String, f64>) -> f64 {
    let discounted = |gains: &mut dyn Iterator<Item = f64>| -> f64 {
        gains.take(DEPTH).enumerate().map(|(at, gain)| gain / ((at + 2) as f64).log2()).sum()
    };
    let mut ideal: Vec<f64> = judgements.values().copied().collect();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(&mut ideal.into_iter());
    let gained = discounted(&mut hits.iter().map(|hit| judgements.get(*hit).copied().unwrap_or(0.0)));
    if best > 0.0 { gained / best } else { 0.0 }
}

/// Returns the vectors of `texts`, in their order: those that are in the folder `cache` from there, the others embedded and put
/// there. Stops early only with an error: `progress` is told and not asked.
///
/// # Errors
/// An [`index::Error`].
pub fn embed_once<S: AsRef<str> + Sync>(
    embedder: &Embedder,
    cache: &Path,
    texts: &[S],
    progress: index::GoOn<'_>,
) -> Result<Vec<Vec<f32>>, index::Error> {
    let dir = cache.join(embedder.id());
    let io = |source| index::Error::Io { path: dir.clone(), source };
    let known = Vectors::open(&dir, embedder.dims()).map_err(io)?;
    let keys: Vec<u64> = texts.iter().map(|text| passages::key(text.as_ref())).collect();
    let mut found: HashMap<u64, Vec<f32>> = HashMap::new();
    let mut missing: Vec<(u64, &str)> = Vec::new();
    for (key, text) in keys.iter().zip(texts) {
        if found.contains_key(key) {
            continue;
        }
        let row = known.as_ref().and_then(|known| Some((known, known.row(*key)?)));
        let vector = match row {
            Some((known, row)) => known.vector(row).map_err(io)?,
            None => {
                missing.push((*key, text.as_ref()));
                Vec::new()
            }
        };
        found.insert(*key, vector);
    }
    let total = missing.len() as u64;
    for (index, chunk) in missing.chunks(EMBED_TEXTS).enumerate() {
        let before = (index * EMBED_TEXTS) as u64;
        let words: Vec<&str> = chunk.iter().map(|(_, text)| *text).collect();
        let vectors = embedder.embed_with(&words, &|done| {
            progress(before + done as u64, total);
            true
        })?;
        let rows: Vec<(u64, Vec<f32>)> =
            chunk.iter().zip(vectors).filter_map(|((key, _), vector)| Some((*key, vector?))).collect();
        append_alone(&dir, embedder.dims(), &rows).map_err(io)?;
        found.extend(rows);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned().unwrap_or_default()).collect())
}

/// Returns those of `texts` that have no vector in the folder `cache`, each once, in their order.
///
/// # Errors
/// [`index::Error::Io`].
pub fn not_embedded<'t>(embedder: &Embedder, cache: &Path, texts: &[&'t str]) -> Result<Vec<&'t str>, index::Error> {
    let dir = cache.join(embedder.id());
    let known = Vectors::open(&dir, embedder.dims()).map_err(|source| index::Error::Io { path: dir.clone(), source })?;
    let mut seen: HashSet<u64> = HashSet::new();
    let mut missing = |text: &&str| {
        let key = passages::key(text);
        known.as_ref().is_none_or(|known| known.row(key).is_none()) && seen.insert(key)
    };
    Ok(texts.iter().filter(|text| missing(text)).copied().collect())
}

/// Appends rows while no other process does: several may embed for the same cache at once.
fn append_alone(dir: &Path, dims: usize, rows: &[(u64, Vec<f32>)]) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    lock.lock()?;
    Appender::open(dir, dims)?.append(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graded(pairs: &[(&str, f64)]) -> BTreeMap<String, f64> {
        pairs.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect()
    }

    #[test]
    fn gains_count_less_the_later_they_come() {
        let judgements = graded(&[("a", 2.0), ("b", 1.0)]);
        assert!((ndcg(&["a", "b"], &judgements) - 1.0).abs() < 1e-12);
        let swapped = (1.0 + 2.0 / 3f64.log2()) / (2.0 + 1.0 / 3f64.log2());
        assert!((ndcg(&["b", "a"], &judgements) - swapped).abs() < 1e-12);
        assert_eq!(ndcg(&["x", "y"], &judgements), 0.0);
        let eleventh: Vec<&str> = ["x"; 10].into_iter().chain(["a"]).collect();
        assert_eq!(ndcg(&eleventh, &judgements), 0.0, "only ten count");
    }

    fn no_runs(_: &Path) -> Result<Vec<Document>, String> {
        Ok(Vec::new())
    }

    #[test]
    fn a_broken_collection_is_refused_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert!(matches!(Collection::read(dir.path(), &no_runs), Err(Error::Io { .. })));
        write("docs.jsonl", "{\"id\": 7, \"text\": \"seven\"}\n\n{\"id\": \"8\"}\n");
        write("queries.jsonl", "{\"id\": \"q\", \"text\": \"which one\"}\n");
        write("qrels.tsv", "query\tdoc\tgrade\nq\t7\tone\n");
        let message = |dir| Collection::read(dir, &no_runs).unwrap_err().to_string();
        assert!(message(dir.path()).contains("docs.jsonl, line 3: missing field `text`"), "{}", message(dir.path()));
        write("docs.jsonl", "{\"id\": 7, \"text\": \"seven\"}\n");
        assert!(message(dir.path()).ends_with("qrels.tsv, line 2: the grade is no number"));
        write("qrels.tsv", "q\t7\t0\n");
        assert!(message(dir.path()).contains("no question of queries.jsonl has a relevant document"));
        write("qrels.tsv", "q\t0\t7\t2\n");
        let collection = Collection::read(dir.path(), &no_runs).unwrap();
        assert_eq!(collection.judged().next().unwrap().1["7"], 2.0);
    }

    #[test]
    fn those_who_fill_a_cache_at_once_do_not_mix_their_vectors() {
        let dir = tempfile::tempdir().unwrap();
        let vector = |key: u64| vec![key as f32; 8];
        std::thread::scope(|scope| {
            for writer in 0..4u64 {
                let dir = dir.path();
                scope.spawn(move || {
                    for round in 0..40u64 {
                        let rows: Vec<(u64, Vec<f32>)> =
                            (0..1 + round % 5).map(|n| writer * 10_000 + round * 10 + n).map(|key| (key, vector(key))).collect();
                        append_alone(dir, 8, &rows).unwrap();
                    }
                });
            }
        });
        let vectors = Vectors::open(dir.path(), 8).unwrap().unwrap();
        assert_eq!(vectors.len(), 4 * 8 * 15);
        for key in (0..4).flat_map(|writer| (0..40).map(move |round| writer * 10_000 + round * 10)) {
            assert_eq!(vectors.vector(vectors.row(key).unwrap()).unwrap(), vector(key));
        }
    }
}
