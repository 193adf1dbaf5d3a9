//! Search: both sides are asked, their answers become one order, and each run is named once, by its best document.
//!
//! Nothing here changes the index or waits for it. What of the index is missing is said in the answer.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::asked::Order;
use super::document::{Facts, Kind};
use super::embed::Embedder;
use super::fuse::{self, Fused};
use super::index::Place;
use super::lexical::{self, DocRef, Found, Lexical, Passing, Searcher, Seen, Snippet, Test, WordFact, Words};
use super::vectors::Vectors;
use super::{ordering, passages};
use crate::store::guard::guarded;

/// Documents that each side puts forward.
pub const RECALL: usize = 200;
/// What holding a rare identifier of the question exactly as it is written counts: more than any cosine.
const IDENTIFIER_BONUS: f32 = 2.0;
/// The share of the best score from which on a document counts as one of those that are sorted when an order is asked for.
const SORTED_SHARE: f32 = 0.5;

/// A question, understood.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The words to search for.
    pub text: String,
    /// What every hit must be.
    pub hard: Vec<Test>,
    /// What hits must be unless nothing would be left.
    pub from_words: Vec<Test>,
    /// Quoted phrases that hits must hold unless none does.
    pub phrases: Vec<Test>,
    /// Hits of which more of this holds come before all others.
    pub first: Vec<Test>,
    /// The tests say all that is asked: everything that passes them is a hit, whatever its words.
    pub tests_alone: bool,
    /// What hits are sorted by, when not by how well they match.
    pub order: Option<Order>,
    /// Runs left out at the beginning of that order.
    pub skip: usize,
    /// What is better than not.
    pub soft: Vec<Test>,
    /// Runs to be named, at most.
    pub limit: usize,
}

/// Which side to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// Both, when there are vectors.
    Both,
    /// Only words.
    Lexical,
    /// Only meanings.
    Semantic,
}

/// A run that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// What its best document is about.
    pub kind: Kind,
    /// That document's title.
    pub title: String,
    /// The run's facts.
    pub facts: Facts,
    /// Scores and ranks of that document.
    pub score: Fused<DocRef>,
    /// The part of that document that says why, and where the words are in it.
    pub snippet: Snippet,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Runs, best first.
    pub hits: Vec<Hit>,
    /// How many runs there were before the limit.
    pub total: usize,
    /// Meanings were asked too.
    pub hybrid: bool,
    /// Neither words nor meanings were asked: everything that passes the tests is a hit.
    pub listed: bool,
    /// Numbers of the filters from words that would have emptied the answer and were dropped.
    pub dropped: Vec<usize>,
    /// Numbers of the phrases that would have emptied the answer: their words are searched instead.
    pub loosened: Vec<usize>,
    /// Passages of all documents.
    pub passages: u64,
    /// How many of them have no vector yet.
    pub without_vector: u64,
}

/// Both sides of the index, opened for many searches.
pub struct Opened {
    lexical: Lexical,
    vectors: Option<Vectors>,
    table: Option<Table>,
}

/// Which rows belong to which document, for one state of both sides.
struct Table {
    searcher: Searcher,
    /// Rows with their documents, in order of rows.
    rows: Vec<(u32, DocRef)>,
    /// The same in order of documents.
    documents: Vec<(DocRef, u32)>,
    /// The rows, each once.
    distinct: Vec<u32>,
    passages: u64,
    vectors: usize,
    seen: Option<Seen>,
}

impl Opened {
    /// Opens the index at `place`; `None` when there is none.
    pub fn open(place: &Place, embedder: &Embedder) -> Option<Self> {
        let lexical = place.lexical()?;
        Some(Self { lexical, vectors: place.vectors(embedder), table: None })
    }

    /// Takes in what was committed since, on both sides.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn refresh(&mut self, place: &Place, embedder: &Embedder) -> Result<(), lexical::Error> {
        let is_whole = self.vectors.as_mut().is_some_and(|vectors| vectors.reload().unwrap_or(false));
        if !is_whole {
            if self.vectors.take().is_some() {
                // Rows have other places in other files.
                self.table = None;
            }
            self.vectors = place.vectors(embedder);
        }
        let seen = self.lexical.seen()?;
        let vectors = self.vectors.as_ref().map_or(0, Vectors::len);
        if self.table.as_ref().is_none_or(|table| table.seen != seen || table.vectors != vectors) {
            let searcher = self.lexical.searcher()?;
            let mut rows = Vec::new();
            let mut passages = 0;
            searcher.each_passage(&mut |doc, key| {
                passages += 1;
                if let Some(row) = self.vectors.as_ref().and_then(|vectors| vectors.row(key)) {
                    rows.push((row, doc));
                }
            })?;
            rows.sort_unstable();
            let mut documents: Vec<(DocRef, u32)> = rows.iter().map(|(row, doc)| (*doc, *row)).collect();
            documents.sort_unstable();
            let mut distinct: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            distinct.dedup();
            self.table = Some(Table { searcher, rows, documents, distinct, passages, vectors, seen });
        }
        Ok(())
    }

    /// Returns the words that documents have for a fact, in lower case, at most `limit`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn values(&self, fact: WordFact, limit: usize) -> Result<BTreeSet<String>, lexical::Error> {
        self.table.as_ref().map_or_else(|| Ok(BTreeSet::new()), |table| table.searcher.values(fact, limit))
    }

    /// Returns whether every passage has its vector.
    pub fn is_embedded(&self) -> bool {
        self.table.as_ref().is_some_and(|table| table.passages == table.rows.len() as u64)
    }

    /// Returns what the index has seen of the log.
    pub fn seen(&self) -> Option<&Seen> {
        self.table.as_ref().and_then(|table| table.seen.as_ref())
    }

    /// Answers a question. `embed` gives its vector and is only asked when there are vectors to compare it with; a question whose
    /// vector cannot be had is answered by words alone.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn answer(
        &self,
        question: &Question,
        sides: Sides,
        embed: &dyn Fn(&str) -> Option<Vec<f32>>,
    ) -> Result<Answer, lexical::Error> {
        let Some(table) = &self.table else { return Ok(Answer::default()) };
        let searcher = &table.searcher;
        let mut answer =
            Answer { passages: table.passages, without_vector: table.passages - table.rows.len() as u64, ..Answer::default() };
        let (tests, passing) = self.filter(searcher, question, &mut answer)?;
        let passes = |doc: DocRef| passing.as_ref().is_none_or(|passing| passing.has(doc));
        let alone = question.tests_alone && (!tests.is_empty() || question.order.is_some());
        let listed = alone || question.text.trim().is_empty();
        answer.listed = listed;
        let words = if listed { None } else { searcher.words(&question.text, &question.soft)? };
        let mut fused = if listed {
            let order = question.order.unwrap_or(Order::NEWEST);
            ordering::all(searcher, order, &passes)?.into_iter().map(unscored).collect()
        } else {
            let by_words = || match &words {
                Some(words) if sides != Sides::Semantic => searcher.best(words, &tests, RECALL),
                _ => Ok(Vec::new()),
            };
            let has_meanings = sides != Sides::Lexical && self.vectors.is_some() && !table.rows.is_empty();
            let (lexical, query) = if has_meanings {
                // The model takes longer than the words do: both work at once.
                std::thread::scope(|scope| {
                    let by_words = scope.spawn(|| guarded(by_words).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic))));
                    let query = embed(&question.text);
                    let broken = |_| Err(lexical::Error::Broken("a search by words ended early".to_owned()));
                    (by_words.join().unwrap_or_else(broken), query)
                })
            } else {
                (by_words(), None)
            };
            let lexical = lexical?;
            let (semantic, cosines) = match (&self.vectors, &query) {
                (Some(vectors), Some(query)) => meanings(table, vectors, query, passing.as_ref(), &lexical),
                _ => Default::default(),
            };
            answer.hybrid = query.is_some();
            fuse::fuse(fuse::RULE, &lexical, &semantic, &cosines)
        };
        if sides != Sides::Semantic && !listed {
            self.put_identifiers_first(searcher, &question.text, &mut fused)?;
        }
        if !listed && let Some(order) = question.order {
            fused = sorted(searcher, order, fused)?;
        }
        if !listed && !question.first.is_empty() {
            fused = put_first(searcher, &question.first, &passes, fused)?;
        }
        let documents: Vec<DocRef> = fused.iter().map(|one| one.item).collect();
        let mut seen: HashSet<u64> = HashSet::new();
        for (one, run) in fused.into_iter().zip(searcher.run_keys(&documents)?) {
            if seen.insert(run) && seen.len() > question.skip && answer.hits.len() < question.limit {
                let found = searcher.fetch(one.item)?;
                let snippet = snippet(searcher, words.as_ref(), &found)?;
                answer.hits.push(Hit { kind: found.kind, title: found.title, facts: found.facts, score: one, snippet });
            }
        }
        answer.total = seen.len().saturating_sub(question.skip);
        Ok(answer)
    }

    /// Returns a run by its whole id, as a hit; `None` when the index does not have it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn run(&self, run: &str) -> Result<Option<Hit>, lexical::Error> {
        let is = |fact, word: &str| Test::Is(fact, vec![word.to_owned()]);
        let hard = vec![is(WordFact::Run, run), is(WordFact::Kind, Kind::Run.name())];
        let question = Question { hard, limit: 1, ..Question::default() };
        Ok(self.answer(&question, Sides::Lexical, &|_| None)?.hits.pop())
    }

    /// Returns the tests that count and what passes them: phrases and those from words only as far as something passes.
    fn filter(
        &self,
        searcher: &Searcher,
        question: &Question,
        answer: &mut Answer,
    ) -> Result<(Vec<Test>, Option<Passing>), lexical::Error> {
        let mut tests = question.hard.clone();
        let mut passing = searcher.passing(&tests)?;
        let phrases = question.phrases.iter().enumerate().map(|(number, test)| (true, number, test));
        let from_words = question.from_words.iter().enumerate().map(|(number, test)| (false, number, test));
        for (is_phrase, number, test) in phrases.chain(from_words) {
            tests.push(test.clone());
            let narrower = searcher.passing(&tests)?;
            if narrower.as_ref().is_some_and(|passing| passing.count() == 0) {
                tests.pop();
                if is_phrase { &mut answer.loosened } else { &mut answer.dropped }.push(number);
            } else {
                passing = narrower;
            }
        }
        Ok((tests, passing))
    }

    fn put_identifiers_first(&self, searcher: &Searcher, text: &str, fused: &mut [Fused<DocRef>]) -> Result<(), lexical::Error> {
        let rare = searcher.rare_identifiers(text)?;
        if rare.is_empty() {
            return Ok(());
        }
        for one in fused.iter_mut() {
            let held = rare.iter().filter(|passing| passing.has(one.item)).count();
            one.score += IDENTIFIER_BONUS * held as f32 / rare.len() as f32;
        }
        fused.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(())
    }
}

impl Table {
    fn documents_of(&self, row: u32) -> impl Iterator<Item = DocRef> + '_ {
        let from = self.rows.partition_point(|(other, _)| *other < row);
        self.rows[from..].iter().take_while(move |(other, _)| *other == row).map(|(_, doc)| *doc)
    }

    fn rows_of(&self, doc: DocRef) -> impl Iterator<Item = u32> + '_ {
        let from = self.documents.partition_point(|(other, _)| *other < doc);
        self.documents[from..].iter().take_while(move |(other, _)| *other == doc).map(|(_, row)| *row)
    }
}

/// Returns the nearest documents, best first, and the cosines of those in `lexical`.
fn meanings(
    table: &Table,
    vectors: &Vectors,
    query: &[f32],
    passing: Option<&Passing>,
    lexical: &[(DocRef, f32)],
) -> (Vec<(DocRef, f32)>, HashMap<DocRef, f32>) {
    let passes = |doc: &DocRef| passing.is_none_or(|passing| passing.has(*doc));
    let filtered: Vec<u32>;
    let rows = match passing {
        None => &table.distinct,
        Some(_) => {
            let mut rows: Vec<u32> = table.rows.iter().filter(|(_, doc)| passes(doc)).map(|(row, _)| *row).collect();
            rows.dedup();
            filtered = rows;
            &filtered
        }
    };
    let near = vectors.nearest(query, rows, RECALL).unwrap_or_default();
    // What only the words found has its own nearness.
    let found: HashSet<DocRef> = lexical.iter().map(|(doc, _)| *doc).collect();
    let mut more: Vec<u32> = found.iter().flat_map(|doc| table.rows_of(*doc)).collect();
    more.sort_unstable();
    more.dedup();
    let known: HashSet<u32> = near.iter().map(|(row, _)| *row).collect();
    more.retain(|row| !known.contains(row));
    let more = vectors.cosines(query, &more).unwrap_or_default();
    let mut best: HashMap<DocRef, f32> = HashMap::new();
    for (row, cosine) in near.into_iter().chain(more) {
        for doc in table.documents_of(row).filter(|doc| passes(doc)) {
            let known = best.entry(doc).or_insert(f32::MIN);
            *known = known.max(cosine);
        }
    }
    let cosines: HashMap<DocRef, f32> = found.iter().filter_map(|doc| Some((*doc, *best.get(doc)?))).collect();
    let mut semantic: Vec<(DocRef, f32)> = best.into_iter().collect();
    semantic.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    semantic.truncate(RECALL);
    (semantic, cosines)
}

/// A document that neither side was asked for.
fn unscored(item: DocRef) -> Fused<DocRef> {
    Fused { item, score: 0.0, lexical_rank: None, semantic_rank: None, bm25: None, cosine: None }
}

/// Sorts what matches well enough: everything is a little like everything, and the cheapest of all is not what was asked for.
fn sorted(searcher: &Searcher, order: Order, fused: Vec<Fused<DocRef>>) -> Result<Vec<Fused<DocRef>>, lexical::Error> {
    let least = fused.first().map_or(0.0, |best| best.score * SORTED_SHARE);
    let near: HashMap<DocRef, Fused<DocRef>> =
        fused.into_iter().filter(|one| one.score >= least).map(|one| (one.item, one)).collect();
    let order = ordering::all(searcher, order, &|doc| near.contains_key(&doc))?;
    Ok(order.into_iter().filter_map(|doc| near.get(&doc).copied()).collect())
}

/// Puts documents first of which more of `tests` holds, also those that neither side has found.
fn put_first(
    searcher: &Searcher,
    tests: &[Test],
    passes: &dyn Fn(DocRef) -> bool,
    mut fused: Vec<Fused<DocRef>>,
) -> Result<Vec<Fused<DocRef>>, lexical::Error> {
    let mut holds = Vec::new();
    for test in tests {
        holds.extend(searcher.passing(std::slice::from_ref(test))?);
    }
    let held = |doc: DocRef| holds.iter().filter(|passing| passing.has(doc)).count();
    let known: HashSet<DocRef> = fused.iter().map(|one| one.item).collect();
    let mut more = ordering::all(searcher, Order::NEWEST, &|doc| passes(doc) && !known.contains(&doc) && held(doc) > 0)?;
    more.sort_by_key(|doc| std::cmp::Reverse(held(*doc)));
    fused.extend(more.into_iter().take(RECALL).map(unscored));
    fused.sort_by_key(|one| std::cmp::Reverse(held(one.item)));
    Ok(fused)
}

/// Returns the part of a document that says why it was found; its beginning when no word of the question is in it.
fn snippet(searcher: &Searcher, words: Option<&Words>, found: &Found) -> Result<Snippet, lexical::Error> {
    /// Bytes of a beginning.
    const BYTES: usize = 180;
    if let Some(words) = words
        && let Some(snippet) = searcher.snippet(words, &found.body)?
    {
        // A line break and a space are one byte each: the places of the words stay.
        return Ok((snippet.0.replace('\n', " "), snippet.1));
    }
    let first = passages::split(&found.body).into_iter().next().unwrap_or(0..0);
    let text = &found.body[first];
    let end = text.floor_char_boundary(BYTES);
    Ok((text[..end].replace('\n', " "), Vec::new()))
}
