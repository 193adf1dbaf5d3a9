//! Search: both sides are asked, their answers become one order, and each run is named once, by its best document.
//!
//! Nothing here changes the index or waits for it. What of the index is missing is said in the answer.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::asked::Order;
use super::document::{Facts, Kind};
use super::embed::Embedder;
use super::fuse::{self, Fused, Unrelated};
use super::index::IndexDir;
use super::lexical::{self, DocRef, DocumentTest, Lexical, Passing, Searcher, Seen, Snippet, StoredDocument, WordFact, Words};
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
    pub hard: Vec<DocumentTest>,
    /// What hits must be unless nothing would be left; what is dropped for that reason is better than not.
    pub from_words: Vec<DocumentTest>,
    /// Quoted phrases that hits must hold unless none does.
    pub phrases: Vec<DocumentTest>,
    /// Hits of which more of this holds come before all others.
    pub first: Vec<DocumentTest>,
    /// The tests say all that is asked: everything that passes them is a hit, whatever its words.
    pub tests_alone: bool,
    /// What hits are sorted by, when not by how well they match.
    pub order: Option<Order>,
    /// Runs left out at the beginning of that order.
    pub skip: usize,
    /// What is better than not.
    pub soft: Vec<DocumentTest>,
    /// Runs that are not named before the first that is: they were before.
    pub from: usize,
    /// Runs to be named, at most.
    pub limit: usize,
    /// Runs that are not close to the text are hits too.
    pub all: bool,
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
    /// It shares no word of weight with the question, and is not nearer to it than unrelated texts are, as far as nearness is known.
    pub is_weak: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct SearchResult {
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
    /// Nothing is close to the question: what is shown nevertheless is the nearest of what has nothing to do with it.
    pub nothing_close: bool,
    /// Passages of all documents.
    pub passages: u64,
    /// How many of them have no vector yet.
    pub without_vector: u64,
}

/// Both sides of the index, opened for many searches.
pub struct OpenIndex {
    lexical: Lexical,
    vectors: Option<Vectors>,
    table: Option<Table>,
    /// How near unrelated texts are, where that is known of the model.
    unrelated: Option<Unrelated>,
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

impl OpenIndex {
    /// Opens the index at `place`; `None` when there is none.
    pub fn open(place: &IndexDir, embedder: &Embedder) -> Option<Self> {
        let lexical = place.lexical()?;
        Some(Self { lexical, vectors: place.vectors(embedder), table: None, unrelated: place.unrelated(embedder) })
    }

    /// Takes in what was committed since, on both sides.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn refresh(&mut self, place: &IndexDir, embedder: &Embedder) -> Result<(), lexical::Error> {
        let is_whole = self.vectors.as_mut().is_some_and(|vectors| vectors.reload().unwrap_or(false));
        if !is_whole {
            if self.vectors.take().is_some() {
                // Rows have other places in other files.
                self.table = None;
            }
            self.vectors = place.vectors(embedder);
            self.unrelated = place.unrelated(embedder);
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

    /// Returns how many passages there are, and how many of them have no vector yet.
    pub fn passages(&self) -> (u64, u64) {
        self.table.as_ref().map_or((0, 0), |table| (table.passages, table.passages - table.rows.len() as u64))
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
    ) -> Result<SearchResult, lexical::Error> {
        let Some(table) = &self.table else { return Ok(SearchResult::default()) };
        let searcher = &table.searcher;
        let mut answer = SearchResult {
            passages: table.passages,
            without_vector: table.passages - table.rows.len() as u64,
            ..SearchResult::default()
        };
        let filter = filter(searcher, question, &mut answer)?;
        let passes = |doc: DocRef| filter.passing.as_ref().is_none_or(|passing| passing.has(doc));
        let alone = question.tests_alone && (!filter.tests.is_empty() || question.order.is_some());
        answer.listed = alone || question.text.trim().is_empty();
        if answer.listed {
            let order = question.order.unwrap_or(Order::NEWEST);
            let all = ordering::all(searcher, order, &passes)?.into_iter().map(Fused::new).collect();
            self.show(searcher, question, None, all, &mut answer)?;
            return Ok(answer);
        }
        let words = searcher.words(&question.text)?;
        let mut fused = self.rank(table, question, words.as_ref(), sides, &filter, embed, &mut answer.hybrid)?;
        if let Some(order) = question.order {
            fused = sorted(searcher, order, fused)?;
        }
        if !question.first.is_empty() {
            fused = put_first(searcher, &question.first, &passes, fused)?;
        }
        self.show(searcher, question, words.as_ref(), fused, &mut answer)?;
        Ok(answer)
    }

    /// Asks both sides and makes one order of their answers; says in `hybrid` whether meanings were asked.
    #[expect(clippy::too_many_arguments, reason = "one step of `answer`, which has all of them")]
    fn rank(
        &self,
        table: &Table,
        question: &Question,
        words: Option<&Words>,
        sides: Sides,
        filter: &Filter,
        embed: &dyn Fn(&str) -> Option<Vec<f32>>,
        hybrid: &mut bool,
    ) -> Result<Vec<Fused<DocRef>>, lexical::Error> {
        let searcher = &table.searcher;
        let words = words.filter(|_| sides != Sides::Semantic);
        let by_words = || -> Result<Vec<Fused<DocRef>>, lexical::Error> {
            let Some(words) = words else { return Ok(Vec::new()) };
            let found = searcher.best(words, &filter.tests, RECALL)?;
            let scores = searcher.scores(words, &found)?;
            let scored = found.into_iter().zip(scores);
            let mut found: Vec<_> = scored.map(|(doc, bm25)| Fused { bm25: Some(bm25), ..Fused::new(doc) }).collect();
            found.sort_by(|a, b| b.bm25.unwrap_or(0.0).total_cmp(&a.bm25.unwrap_or(0.0)));
            (1..).zip(&mut found).for_each(|(rank, one)| one.lexical_rank = Some(rank));
            Ok(found)
        };
        let has_meanings = sides != Sides::Lexical && self.vectors.is_some() && !table.rows.is_empty();
        let (found, query) = if has_meanings {
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
        let mut candidates = found?;
        *hybrid = query.is_some();
        let meanings = self.vectors.as_ref().zip(query.as_deref());
        let near = meanings.map(|(vectors, query)| near(table, vectors, query, filter.passing.as_ref(), &candidates));
        let near = near.unwrap_or_default();
        let places: HashMap<DocRef, usize> = candidates.iter().map(|one| one.item).zip(0..).collect();
        let by_words_only = candidates.len();
        for (rank, doc) in (1..).zip(&near.best) {
            match places.get(doc).and_then(|at| candidates.get_mut(*at)) {
                Some(one) => one.semantic_rank = Some(rank),
                None => candidates.push(Fused { semantic_rank: Some(rank), ..Fused::new(*doc) }),
            }
        }
        // Both scores for every candidate: what only one side put forward is judged by the other too.
        let others: Vec<DocRef> = candidates.iter().skip(by_words_only).map(|one| one.item).collect();
        if let Some(words) = words {
            let scores = searcher.scores(words, &others)?;
            candidates.iter_mut().skip(by_words_only).zip(scores).for_each(|(one, bm25)| one.bm25 = Some(bm25));
            // A question of identifiers alone may have no other words.
            if words.attainable > 0.0 {
                candidates.iter_mut().for_each(|one| one.share = one.bm25.unwrap_or(0.0) / words.attainable);
            }
            let rare = searcher.rare_identifiers(&question.text)?;
            for one in &mut candidates {
                let held = rare.iter().filter(|passing| passing.has(one.item)).count();
                one.is_named = held > 0;
                one.bonus += IDENTIFIER_BONUS * held as f32 / rare.len().max(1) as f32;
            }
        }
        for one in &mut candidates {
            one.cosine = near.rows.get(&one.item).map(|(cosine, _)| *cosine);
            one.bonus += fuse::RULE.soft * filter.soft.iter().filter(|passing| passing.has(one.item)).count() as f32;
        }
        fuse::fuse(fuse::RULE, &mut candidates);
        if let Some((vectors, query)) = meanings.filter(|_| sides == Sides::Both) {
            feed_back(searcher, vectors, query, &near, &mut candidates)?;
            fuse::fuse(fuse::RULE, &mut candidates);
        }
        Ok(candidates)
    }

    /// Names each run once, by the best of its documents, and leaves out what is not close.
    fn show(
        &self,
        searcher: &Searcher,
        question: &Question,
        words: Option<&Words>,
        fused: Vec<Fused<DocRef>>,
        answer: &mut SearchResult,
    ) -> Result<(), lexical::Error> {
        let documents: Vec<DocRef> = fused.iter().map(|one| one.item).collect();
        let mut seen: HashSet<u64> = HashSet::new();
        let runs = fused.into_iter().zip(searcher.run_keys(&documents)?);
        let mut best: Vec<Fused<DocRef>> = runs.filter(|(_, run)| seen.insert(*run)).map(|(one, _)| one).collect();
        let is_ranked = !answer.listed;
        let unrelated = self.unrelated.filter(|_| answer.hybrid);
        let by_words = |one: &Fused<DocRef>| one.is_named || one.share >= fuse::SHARE_MIN;
        let is_weak = |one: &Fused<DocRef>| {
            let is_near = |cosine| unrelated.is_none_or(|unrelated| cosine >= unrelated.floor());
            is_ranked && !by_words(one) && !one.cosine.is_some_and(is_near)
        };
        if let Some(unrelated) = unrelated {
            let is_close =
                |one: &Fused<DocRef>| by_words(one) || one.cosine.is_none_or(|cosine| cosine >= unrelated.floor_of_best());
            answer.nothing_close = !best.is_empty() && !best.iter().any(is_close);
            if !question.all {
                best.retain(|one| !answer.nothing_close && (one.cosine.is_none() || !is_weak(one)));
            }
        }
        answer.total = best.len().saturating_sub(question.skip);
        for score in best.into_iter().skip(question.skip.saturating_add(question.from)).take(question.limit) {
            let found = searcher.fetch(score.item)?;
            let snippet = snippet(searcher, words, &found)?;
            let is_weak = answer.nothing_close || is_weak(&score);
            answer.hits.push(Hit { kind: found.kind, title: found.title, facts: found.facts, score, snippet, is_weak });
        }
        Ok(())
    }

    /// Returns a run by its whole id, as a hit; `None` when the index does not have it.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn run(&self, run: &str) -> Result<Option<Hit>, lexical::Error> {
        let is = |fact, word: &str| DocumentTest::Is(fact, vec![word.to_owned()]);
        let hard = vec![is(WordFact::Run, run), is(WordFact::Kind, Kind::Run.name())];
        let question = Question { hard, limit: 1, ..Question::default() };
        Ok(self.answer(&question, Sides::Lexical, &|_| None)?.hits.pop())
    }

    /// Returns the vector of the beginning of a run's own document, by the run's whole id; `None` when there is none yet.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn vector_of_run(&self, run: &str) -> Result<Option<Vec<f32>>, lexical::Error> {
        let (Some(table), Some(vectors)) = (&self.table, &self.vectors) else { return Ok(None) };
        let row = self.run(run)?.and_then(|hit| table.rows_of(hit.score.item).next());
        Ok(row.and_then(|row| vectors.vector(row).ok()))
    }
}

/// What hits must be, and what is better than not.
struct Filter {
    tests: Vec<DocumentTest>,
    /// What passes all tests; `None` when everything does.
    passing: Option<Passing>,
    /// What passes each test that is better passed.
    soft: Vec<Passing>,
}

/// Decides which tests count: phrases and those from words only as far as something passes.
fn filter(searcher: &Searcher, question: &Question, answer: &mut SearchResult) -> Result<Filter, lexical::Error> {
    let mut tests = question.hard.clone();
    let mut passing = searcher.passing(&tests)?;
    let mut soft = Vec::new();
    let phrases = question.phrases.iter().enumerate().map(|(number, test)| (true, number, test));
    let from_words = question.from_words.iter().enumerate().map(|(number, test)| (false, number, test));
    for (is_phrase, number, test) in phrases.chain(from_words) {
        tests.push(test.clone());
        let narrower = searcher.passing(&tests)?;
        if narrower.as_ref().is_some_and(|passing| passing.count() == 0) {
            soft.extend(tests.pop());
            if is_phrase { &mut answer.loosened } else { &mut answer.dropped }.push(number);
        } else {
            passing = narrower;
        }
    }
    let soft = question.soft.iter().chain(&soft).map(|test| searcher.passing(std::slice::from_ref(test)));
    let soft = soft.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Filter { tests, passing, soft })
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

/// How near documents are to a question.
#[derive(Default)]
struct Near {
    /// The nearest, best first.
    best: Vec<DocRef>,
    /// The cosine of each document that is looked at, and the row that has it.
    rows: HashMap<DocRef, (f32, u32)>,
}

/// Returns how near the nearest documents are, and those that the words found.
fn near(table: &Table, vectors: &Vectors, query: &[f32], passing: Option<&Passing>, found: &[Fused<DocRef>]) -> Near {
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
    let nearest = vectors.nearest(query, rows, RECALL).unwrap_or_default();
    // What only the words found has its own nearness.
    let mut more: Vec<u32> = found.iter().flat_map(|one| table.rows_of(one.item)).collect();
    more.sort_unstable();
    more.dedup();
    let known: HashSet<u32> = nearest.iter().map(|(row, _)| *row).collect();
    more.retain(|row| !known.contains(row));
    let more = vectors.cosines(query, &more).unwrap_or_default();
    let mut rows: HashMap<DocRef, (f32, u32)> = HashMap::new();
    for (row, cosine) in nearest.into_iter().chain(more) {
        for doc in table.documents_of(row).filter(|doc| passes(doc)) {
            let known = rows.entry(doc).or_insert((cosine, row));
            if cosine > known.0 {
                *known = (cosine, row);
            }
        }
    }
    let mut best: Vec<(DocRef, f32)> = rows.iter().map(|(doc, (cosine, _))| (*doc, *cosine)).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Near { best: best.into_iter().take(RECALL).map(|(doc, _)| doc).collect(), rows }
}

/// Measures the nearness of all candidates once more, now to the question and the best runs together: what is like them is likely sought too.
/// Of each document the passage counts that was nearest to the question.
fn feed_back(
    searcher: &Searcher,
    vectors: &Vectors,
    query: &[f32],
    near: &Near,
    candidates: &mut [Fused<DocRef>],
) -> Result<(), lexical::Error> {
    let documents: Vec<DocRef> = candidates.iter().map(|one| one.item).collect();
    let mut seen: HashSet<u64> = HashSet::new();
    let runs = documents.iter().zip(searcher.run_keys(&documents)?).filter(|(_, run)| seen.insert(*run));
    let best = runs.filter_map(|(doc, _)| near.rows.get(doc)).take(fuse::RULE.feedback_runs);
    let best: Vec<Vec<f32>> = best.filter_map(|(_, row)| vectors.vector(*row).ok()).collect();
    let moved = fuse::fed_back(fuse::RULE, query, &best);
    let mut rows: Vec<u32> = documents.iter().filter_map(|doc| near.rows.get(doc)).map(|(_, row)| *row).collect();
    rows.sort_unstable();
    rows.dedup();
    let nearness: HashMap<u32, f32> = vectors.cosines(&moved, &rows).unwrap_or_default().into_iter().collect();
    for one in candidates {
        one.nearness = near.rows.get(&one.item).and_then(|(_, row)| nearness.get(row)).copied();
    }
    Ok(())
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
    tests: &[DocumentTest],
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
    fused.extend(more.into_iter().take(RECALL).map(Fused::new));
    // What the question names needs no nearness.
    fused.iter_mut().filter(|one| held(one.item) > 0).for_each(|one| one.is_named = true);
    fused.sort_by_key(|one| std::cmp::Reverse(held(one.item)));
    Ok(fused)
}

/// Returns the part of a document that says why it was found; its beginning when no word of the question is in it.
fn snippet(searcher: &Searcher, words: Option<&Words>, found: &StoredDocument) -> Result<Snippet, lexical::Error> {
    /// Bytes of a beginning.
    const BYTES: usize = 180;
    const BREAKS: [char; 3] = ['\n', passages::SECTION_END, passages::MEANING_END];
    if let Some(words) = words
        && let Some(snippet) = searcher.snippet(words, &found.body)?
    {
        // A line break and a space are one byte each: the places of the words stay.
        return Ok((snippet.0.replace(BREAKS, " "), snippet.1));
    }
    let first = passages::split(&found.body).into_iter().next().unwrap_or(0..0);
    let text = &found.body[first];
    let end = text.floor_char_boundary(BYTES);
    Ok((text[..end].replace(BREAKS, " "), Vec::new()))
}
