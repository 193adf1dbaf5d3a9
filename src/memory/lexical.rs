//! The words' side of the index, in tantivy: documents in, the best of them out, and which ones a filter lets through.
//!
//! The only file that names tantivy, for those inside it too. One process writes at a time (the index's own lock sees to that); any number read, each the
//! state of the last commit. What the last commit has seen of the log stands in its payload.

mod bits;
mod failure;
mod folder;
mod identifiers;
mod spans;

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use tantivy::collector::{Collector, FilterCollector, SegmentCollector, TopDocs};
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, DirectoryLock, FileHandle, Lock, MmapDirectory, RamDirectory, TerminatingWrite, WatchCallback, WatchHandle,
    WritePtr,
};
use tantivy::postings::Postings as _;
use tantivy::query::{
    AllQuery, BooleanQuery, BoostQuery, ConstScoreQuery, FuzzyTermQuery, Occur, PhraseQuery, Query, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _};
use tantivy::snippet::{SnippetGenerator, collapse_overlapped_ranges};
use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, Stemmer, StopWordFilter, TextAnalyzer, Token, TokenStream, Tokenizer,
};
use tantivy::{
    Directory, DocAddress, DocId, DocSet as _, Index, IndexReader, IndexWriter, ReloadPolicy, Result as TantivyResult, Score,
    SegmentReader, TantivyDocument, TantivyError, Term,
};

use self::bits::Bits;
use self::failure::Failure;
use self::folder::Folder;
use self::identifiers::Identifiers;
use self::spans::Spans;
pub use super::asked::{DocRef, DocumentTest, Error, NumberFact, Passing, Seen, Snippet, StoredDocument, WordFact};
use super::bm25::{self, EXACT_WEIGHT, FUZZY_CHARS_MIN, FUZZY_WEIGHT, RARE_SHARE, TITLE_WEIGHT};
use super::document::{Document, Kind};
use super::{passages, words};
use crate::store::{Unwritable, guard};

/// The file that every commit replaces.
pub(super) const COMMIT_FILE: &str = "meta.json";
/// Memory for documents that are not written yet, in bytes: the least that tantivy takes.
const WRITER_BYTES: usize = 15_000_000;
/// Characters of a snippet.
const SNIPPET_CHARS: usize = 180;
/// Names of the two analyzers: words by their stem, and identifiers as they are written.
const STEMMED: &str = "meno_stemmed";
const EXACT: &str = "meno_exact";

/// The field that the documents of a run share.
const RUN_KEY: &str = "run_key";

#[derive(Clone, Copy)]
struct Fields {
    title: Field,
    body: Field,
    exact: Field,
    facts: Field,
    passages: Field,
    run_key: Field,
    kind: Field,
    words: Field,
    numbers: [Field; 7],
}

const NUMBER_FIELDS: [&str; 7] = ["started_at", "cost", "duration", "rating", "attempts", "escalations", "agents"];

/// The words' side of the index in one folder, or in memory.
#[derive(Clone)]
pub(super) struct Lexical {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    failure: Failure,
}

impl Lexical {
    /// Opens the index in the folder `dir`, which is created with its parents when it is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(dir).map_err(|error| {
            Unwritable::of(&error).map_or_else(|| Error::Broken(format!("{}: {error}", dir.display())), Error::Unwritable)
        })?;
        let folder = Folder::open(dir)?;
        let failure = folder.failure();
        Self::of(folder, failure)
    }

    /// Opens a copy in memory of the index in the folder `dir`, an empty one when there is none: its changes end with it.
    pub(super) fn in_memory(dir: &Path) -> Result<Self, Error> {
        let copy = RamDirectory::create();
        for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = file.file_name();
            if !name.to_string_lossy().ends_with(".lock") {
                let copied = std::fs::read(file.path()).and_then(|bytes| copy.atomic_write(Path::new(&name), &bytes));
                copied.map_err(|error| Error::Broken(error.to_string()))?;
            }
        }
        Self::of(copy, Failure::default())
    }

    /// Opens the index in `directory`, which notes in `failure` why a write failed.
    fn of(directory: impl Directory + Clone, failure: Failure) -> Result<Self, Error> {
        // It has threads of its own, on which a damaged file makes it panic.
        guard::quiet("/tantivy");
        let (schema, fields) = schema();
        let index = match Index::open_or_create(directory, schema) {
            Err(TantivyError::SchemaError(_)) => return Err(Error::Broken("it is of another form".to_owned())),
            opened => failure.told(opened)?,
        };
        folder::check(&index)?;
        index.tokenizers().register(STEMMED, stemmed());
        index.tokenizers().register(EXACT, TextAnalyzer::builder(Identifiers::default()).build());
        let reader = failure.told(index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into())?;
        Ok(Self { index, reader, fields, failure })
    }

    /// Returns what the last commit has seen; `None` for an index that has seen nothing.
    pub(super) fn seen(&self) -> Result<Option<Seen>, Error> {
        let payload = self.index.load_metas()?.payload;
        Ok(payload.and_then(|payload| serde_json::from_str(&payload).ok()))
    }

    /// Returns a writer: there is only one at a time.
    pub(super) fn writer(&self) -> Result<Writer, Error> {
        self.failure.forget();
        let writer = self.failure.told(self.index.writer_with_num_threads(1, WRITER_BYTES))?;
        Ok(Writer { writer, fields: self.fields, failure: self.failure.clone() })
    }

    /// Returns the state of the last commit, for searching.
    pub(super) fn searcher(&self) -> Result<Searcher, Error> {
        self.reader.reload()?;
        Ok(Searcher { searcher: self.reader.searcher(), fields: self.fields })
    }
}

/// Changes the index.
pub(super) struct Writer {
    writer: IndexWriter,
    fields: Fields,
    failure: Failure,
}

impl Writer {
    /// Puts `documents` in the place of all documents of the run `run`.
    pub(super) fn replace(&self, run: &str, documents: &[Document]) -> Result<(), Error> {
        self.writer.delete_term(Term::from_field_text(self.fields.words, &worded(WordFact::Run, run)));
        documents.iter().try_for_each(|document| self.add(document))
    }

    /// Adds a document.
    pub(super) fn add(&self, document: &Document) -> Result<(), Error> {
        self.failure.told(self.writer.add_document(self.document(document))).map(drop)
    }

    /// Removes everything.
    pub(super) fn clear(&self) -> Result<(), Error> {
        self.failure.told(self.writer.delete_all_documents()).map(drop)
    }

    /// Makes the changes visible, together with what they have seen of the log.
    pub(super) fn commit(&mut self, seen: &Seen) -> Result<(), Error> {
        let mut commit = self.failure.told(self.writer.prepare_commit())?;
        let payload = serde_json::to_string(seen).map_err(|error| Error::Broken(error.to_string()))?;
        commit.set_payload(&payload);
        self.failure.told(commit.commit()).map(drop)
    }

    /// Waits until segments that are being merged are merged.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.failure.told(self.writer.wait_merging_threads())
    }

    fn document(&self, from: &Document) -> TantivyDocument {
        let Document { kind, title, body, facts } = from;
        let mut document = TantivyDocument::new();
        document.add_text(self.fields.title, title);
        document.add_text(self.fields.body, body);
        document.add_text(self.fields.exact, format!("{}\n{title}\n{body}", facts.run_id));
        // Facts are strings, numbers and lists of them: their JSON cannot fail.
        document.add_text(self.fields.facts, serde_json::to_string(facts).unwrap_or_default());
        for passage in passages::embedded(body) {
            document.add_u64(self.fields.passages, passages::key(&passage));
        }
        document.add_u64(self.fields.run_key, passages::key(&facts.run_id));
        document.add_text(self.fields.kind, kind.name());
        let mut words = |fact, values: &[String]| {
            values.iter().for_each(|value| document.add_text(self.fields.words, worded(fact, value)));
        };
        let one = |value: &str| [value.to_owned()];
        words(WordFact::Kind, &one(kind.name()));
        words(WordFact::Run, &one(&facts.run_id));
        words(WordFact::Template, &one(&facts.template));
        words(WordFact::Status, &one(&facts.status));
        words(WordFact::Mode, &one(&facts.mode));
        words(WordFact::Role, &facts.roles);
        words(WordFact::Tier, &facts.tiers);
        words(WordFact::Model, &facts.models);
        words(WordFact::Provider, &facts.providers);
        words(WordFact::Tag, &facts.tags);
        words(WordFact::Label, &facts.labels);
        // A label's key alone asks for any value of it.
        let keys = facts.labels.iter().filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        words(WordFact::Label, &keys.collect::<Vec<_>>());
        for (fact, is) in [(WordFact::Verified, facts.verified), (WordFact::CostKnown, facts.cost_complete)] {
            words(fact, &one(if is { "yes" } else { "no" }));
        }
        let mut numbers = |fact: NumberFact, values: &[i64]| {
            values.iter().for_each(|value| document.add_i64(self.fields.numbers[fact as usize], *value));
        };
        numbers(NumberFact::StartedAt, &[facts.started_at]);
        numbers(NumberFact::Cost, &[facts.cost_nusd]);
        numbers(NumberFact::Duration, facts.duration_ms.as_slice());
        numbers(NumberFact::Rating, &facts.ratings);
        numbers(NumberFact::Attempts, &[facts.attempts]);
        numbers(NumberFact::Escalations, &[facts.escalations]);
        numbers(NumberFact::Agents, &[facts.agents]);
        document
    }
}

/// One state of the index.
pub(super) struct Searcher {
    searcher: tantivy::Searcher,
    fields: Fields,
}

/// The words of a question, ready for searching.
pub(super) struct Words {
    query: Box<dyn Query>,
    sought: Vec<Sought>,
    /// The most that a document's body could score: every word of the question in it, again and again.
    pub(super) attainable: f32,
}

/// Something that is looked for.
struct Sought {
    term: Term,
    /// How rare it is, times what its field counts.
    weight: Score,
    /// The mean length of its field's texts; `None` where only being there counts.
    mean: Option<f32>,
    /// Words that differ in one letter stand for it.
    is_fuzzy: bool,
}

impl Sought {
    fn clause(&self, boost: Score) -> (Occur, Box<dyn Query>) {
        let query: Box<dyn Query> = match self.is_fuzzy {
            true => Box::new(FuzzyTermQuery::new(self.term.clone(), 1, true)),
            false => Box::new(TermQuery::new(self.term.clone(), IndexRecordOption::WithFreqs)),
        };
        (Occur::Should, Box::new(BoostQuery::new(query, boost)))
    }
}

impl Searcher {
    /// Returns how many runs there are.
    pub(super) fn runs(&self) -> Result<u64, Error> {
        let is_run = DocumentTest::Is(WordFact::Kind, vec![Kind::Run.name().to_owned()]);
        Ok(self.passing(&[is_run])?.map_or(0, |passing| passing.count() as u64))
    }

    /// Returns the words that documents have for a fact, in lower case, at most `limit`.
    pub(super) fn values(&self, fact: WordFact, limit: usize) -> Result<BTreeSet<String>, Error> {
        let broken = |error: std::io::Error| Error::Broken(error.to_string());
        let mut values = BTreeSet::new();
        for reader in self.searcher.segment_readers() {
            let index = reader.inverted_index(self.fields.words)?;
            let (from, to) = ([letter(fact)], [letter(fact) + 1]);
            let mut terms = index.terms().range().ge(from).lt(to).into_stream().map_err(broken)?;
            while values.len() < limit && terms.advance() {
                values.extend(terms.key().get(1..).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned));
            }
        }
        Ok(values)
    }

    /// Reads a question's words; `None` when it has none that documents could hold.
    pub(super) fn words(&self, text: &str) -> Result<Option<Words>, Error> {
        let Fields { title, body, exact, .. } = self.fields;
        let (mut sought, mut should, mut attainable) = (Vec::new(), Vec::new(), 0.0);
        let mut seek = |field, text: &str, boost: Score, mean: Option<f32>| -> Result<(u64, Score), Error> {
            let term = Term::from_field_text(field, text);
            let holding = self.searcher.doc_freq(&term)?;
            let idf = bm25::idf(self.documents(), holding);
            let is_fuzzy = holding == 0 && field == body && text.chars().count() >= FUZZY_CHARS_MIN;
            if holding > 0 || is_fuzzy {
                let one = Sought { term, weight: boost * idf, mean, is_fuzzy };
                should.push(one.clause(if is_fuzzy { FUZZY_WEIGHT } else { boost }));
                sought.push(one);
            }
            Ok((holding, idf))
        };
        let (of_bodies, of_titles) = (self.mean_length(body)?, self.mean_length(title)?);
        for stem in tokens(stemmed(), text).into_iter().take(words::MAX) {
            attainable += seek(body, &stem, 1.0, Some(of_bodies))?.1 * bm25::SATURATION_MAX;
            seek(title, &stem, TITLE_WEIGHT, Some(of_titles))?;
        }
        for identifier in tokens(TextAnalyzer::builder(Identifiers::default()).build(), text).into_iter().take(words::MAX) {
            seek(exact, &identifier, EXACT_WEIGHT, None)?;
        }
        Ok((!sought.is_empty()).then(|| Words { query: Box::new(BooleanQuery::new(should)), sought, attainable }))
    }

    /// Returns the documents that pass all `tests` and hold most of `words`, the best first as far as the index itself can say.
    pub(super) fn best(&self, words: &Words, tests: &[DocumentTest], limit: usize) -> Result<Vec<DocRef>, Error> {
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, words.query.box_clone())];
        clauses.extend(tests.iter().map(|test| (Occur::Must, Box::new(ConstScoreQuery::new(self.test(test), 0.0)) as _)));
        let found = self.search(BooleanQuery::new(clauses), tests, TopDocs::with_limit(limit).order_by_score())?;
        Ok(found.into_iter().map(|(_, at)| DocRef { segment: at.segment_ord, doc: at.doc_id }).collect())
    }

    /// Returns the BM25 scores of `documents`, whoever found them: all by the same statistics.
    pub(super) fn scores(&self, words: &Words, documents: &[DocRef]) -> Result<Vec<f32>, Error> {
        let mut order: Vec<(DocRef, usize)> = documents.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut scores = vec![0.0; documents.len()];
        for sought in &words.sought {
            if sought.is_fuzzy {
                let holds = self.searcher.search(&FuzzyTermQuery::new(sought.term.clone(), 1, true), &Bits)?;
                let weight = FUZZY_WEIGHT * bm25::idf(self.documents(), holds.count() as u64);
                order.iter().filter(|(doc, _)| holds.has(*doc)).for_each(|(_, at)| scores[*at] += weight);
                continue;
            }
            for here in order.chunk_by(|(a, _), (b, _)| a.segment == b.segment) {
                self.score_segment(sought, here, &mut scores)?;
            }
        }
        Ok(scores)
    }

    /// Adds what one word counts to the scores of documents of one segment, which are in ascending order.
    fn score_segment(&self, sought: &Sought, documents: &[(DocRef, usize)], scores: &mut [f32]) -> Result<(), Error> {
        let field = sought.term.field();
        let reader = documents.first().and_then(|(doc, _)| self.searcher.segment_readers().get(doc.segment as usize));
        let Some(reader) = reader else { return Ok(()) };
        let postings = reader.inverted_index(field)?.read_postings(&sought.term, IndexRecordOption::WithFreqs);
        let Some(mut postings) = postings.map_err(|error| Error::Broken(error.to_string()))? else { return Ok(()) };
        let lengths = sought.mean.map(|mean| reader.get_fieldnorms_reader(field).map(|lengths| (lengths, mean))).transpose()?;
        for (DocRef { doc, .. }, at) in documents {
            if postings.doc() < *doc {
                postings.seek(*doc);
            }
            if postings.doc() == *doc {
                scores[*at] += sought.weight
                    * lengths
                        .as_ref()
                        .map_or(1.0, |(lengths, mean)| bm25::saturation(postings.term_freq(), lengths.fieldnorm(*doc), *mean));
            }
        }
        Ok(())
    }

    fn documents(&self) -> u64 {
        self.searcher.segment_readers().iter().map(|reader| u64::from(reader.max_doc())).sum()
    }

    fn mean_length(&self, field: Field) -> Result<f32, Error> {
        let mut words = 0;
        for reader in self.searcher.segment_readers() {
            words += reader.inverted_index(field)?.total_num_tokens();
        }
        Ok(words as f32 / self.documents().max(1) as f32)
    }

    /// Returns which documents pass all `tests`, as bits by segment; `None` when all do.
    pub(super) fn passing(&self, tests: &[DocumentTest]) -> Result<Option<Passing>, Error> {
        if tests.is_empty() {
            return Ok(None);
        }
        let clauses = tests.iter().map(|test| (Occur::Must, self.test(test))).collect();
        Ok(Some(self.search(BooleanQuery::new(clauses), tests, Bits)?))
    }

    /// Searches among the runs that none of `tests` drops as a whole.
    fn search<C: Collector + Send + Sync>(
        &self,
        query: BooleanQuery,
        tests: &[DocumentTest],
        collector: C,
    ) -> Result<C::Fruit, Error> {
        let dropped = self.dropped(tests)?;
        if dropped.is_empty() {
            return Ok(self.searcher.search(&query, &collector)?);
        }
        let stays = move |run: u64| !dropped.contains(&run);
        Ok(self.searcher.search(&query, &FilterCollector::new(RUN_KEY.to_owned(), stays, collector))?)
    }

    /// Returns the keys of the runs that hold a word which must not occur, in whichever of their documents.
    fn dropped(&self, tests: &[DocumentTest]) -> Result<Arc<HashSet<u64>>, Error> {
        let mut dropped = HashSet::new();
        for test in tests {
            if let DocumentTest::Without(word) = test
                && !tokens(stemmed(), word).is_empty()
            {
                let holding = self.searcher.search(&*self.test(&DocumentTest::Phrase(word.clone())), &Bits)?;
                dropped.extend(self.run_keys(&holding.documents())?);
            }
        }
        Ok(Arc::new(dropped))
    }

    /// Returns, for each identifier of `text` that only few documents hold, which ones do.
    pub(super) fn rare_identifiers(&self, text: &str) -> Result<Vec<Passing>, Error> {
        let few = 3.max(self.searcher.num_docs() / RARE_SHARE);
        let mut rare = Vec::new();
        for identifier in
            words::identifiers(text).into_iter().filter(|identifier| words::is_telling(&identifier.text)).take(words::MAX)
        {
            let term = Term::from_field_text(self.fields.exact, &identifier.text);
            if (1..=few).contains(&self.searcher.doc_freq(&term)?) {
                rare.push(self.searcher.search(&TermQuery::new(term, IndexRecordOption::Basic), &Bits)?);
            }
        }
        Ok(rare)
    }

    /// Calls `take` with every live document and the keys of its passages.
    pub(super) fn each_passage(&self, take: &mut dyn FnMut(DocRef, u64)) -> Result<(), Error> {
        for (segment, reader) in (0u32..).zip(self.searcher.segment_readers()) {
            let keys = reader.fast_fields().u64("passages")?;
            for doc in reader.doc_ids_alive() {
                keys.values_for_doc(doc).for_each(|key| take(DocRef { segment, doc }, key));
            }
        }
        Ok(())
    }

    /// Calls `take` with every live document, always in the same order, and its `highest` or lowest number for `fact`.
    pub(super) fn each_number(&self, fact: NumberFact, highest: bool, take: super::asked::EachNumber<'_>) -> Result<(), Error> {
        for (segment, reader) in (0u32..).zip(self.searcher.segment_readers()) {
            let column = reader.fast_fields().i64(NUMBER_FIELDS[fact as usize])?;
            for doc in reader.doc_ids_alive() {
                let numbers = column.values_for_doc(doc);
                take(DocRef { segment, doc }, if highest { numbers.max() } else { numbers.min() });
            }
        }
        Ok(())
    }

    /// Returns for each document a number that the documents of its run share, and those of no other run.
    pub(super) fn run_keys(&self, documents: &[DocRef]) -> Result<Vec<u64>, Error> {
        let readers = self.searcher.segment_readers().iter();
        let columns: Vec<_> = readers.map(|reader| reader.fast_fields().u64(RUN_KEY)).collect::<Result<_, _>>()?;
        let key = |at: &DocRef| columns.get(at.segment as usize).and_then(|column| column.first(at.doc)).unwrap_or_default();
        Ok(documents.iter().map(key).collect())
    }

    /// Returns a document.
    pub(super) fn fetch(&self, at: DocRef) -> Result<StoredDocument, Error> {
        let document: TantivyDocument = self.searcher.doc(DocAddress::new(at.segment, at.doc))?;
        let text = |field| document.get_first(field).and_then(|value| value.as_str()).unwrap_or_default();
        let facts = serde_json::from_str(text(self.fields.facts)).map_err(|error| Error::Broken(error.to_string()))?;
        let kind = match text(self.fields.kind) {
            "agent" => Kind::Agent,
            "note" => Kind::Note,
            _ => Kind::Run,
        };
        Ok(StoredDocument { kind, title: text(self.fields.title).to_owned(), body: text(self.fields.body).to_owned(), facts })
    }

    /// Returns the part of `text` that holds most of `words`, and where they are in it; `None` when it holds none.
    pub(super) fn snippet(&self, words: &Words, text: &str) -> Result<Option<Snippet>, Error> {
        let mut generator = SnippetGenerator::create(&self.searcher, &*words.query, self.fields.body)?;
        generator.set_max_num_chars(SNIPPET_CHARS);
        let snippet = generator.snippet(text);
        Ok((!snippet.is_empty()).then(|| (snippet.fragment().to_owned(), collapse_overlapped_ranges(snippet.highlighted()))))
    }

    fn test(&self, test: &DocumentTest) -> Box<dyn Query> {
        match test {
            DocumentTest::Is(fact, values) => {
                let term = |value: &String| Term::from_field_text(self.fields.words, &worded(*fact, value));
                Box::new(TermSetQuery::new(values.iter().map(term)))
            }
            DocumentTest::Within(fact, from, to) => {
                let field = self.fields.numbers[*fact as usize];
                let bound = |value: &Option<i64>| {
                    value.map_or(Bound::Unbounded, |value| Bound::Included(Term::from_field_i64(field, value)))
                };
                match (from, to) {
                    (None, None) => Box::new(AllQuery),
                    _ => Box::new(RangeQuery::new(bound(from), bound(to))),
                }
            }
            DocumentTest::Phrase(words) => {
                let stems = tokens(stemmed(), words);
                let either = [self.fields.body, self.fields.title].map(|field| {
                    let terms: Vec<Term> = stems.iter().map(|stem| Term::from_field_text(field, stem)).collect();
                    let query: Box<dyn Query> = match terms.as_slice() {
                        [] => Box::new(AllQuery),
                        [one] => Box::new(TermQuery::new(one.clone(), IndexRecordOption::Basic)),
                        _ => Box::new(PhraseQuery::new_with_offset(positions(words, field))),
                    };
                    (Occur::Should, query)
                });
                Box::new(BooleanQuery::new(either.into()))
            }
            // It is about runs: see `dropped`.
            DocumentTest::Without(_) => Box::new(AllQuery),
            DocumentTest::Any(tests) => {
                Box::new(BooleanQuery::new(tests.iter().map(|test| (Occur::Should, self.test(test))).collect()))
            }
            DocumentTest::All(tests) => {
                Box::new(BooleanQuery::new(tests.iter().map(|test| (Occur::Must, self.test(test))).collect()))
            }
            DocumentTest::Not(test) => {
                Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(AllQuery)), (Occur::MustNot, self.test(test))]))
            }
        }
    }
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = |analyzer, positions: bool| {
        let option = if positions { IndexRecordOption::WithFreqsAndPositions } else { IndexRecordOption::WithFreqs };
        TextFieldIndexing::default().set_tokenizer(analyzer).set_index_option(option)
    };
    let title = schema.add_text_field("title", TextOptions::default().set_indexing_options(words(STEMMED, true)).set_stored());
    let body = schema.add_text_field("body", TextOptions::default().set_indexing_options(words(STEMMED, true)).set_stored());
    let exact = words(EXACT, false).set_fieldnorms(false).set_index_option(IndexRecordOption::Basic);
    let exact = schema.add_text_field("exact", TextOptions::default().set_indexing_options(exact));
    let facts = schema.add_text_field("facts", STORED);
    let passages = schema.add_u64_field("passages", FAST);
    let run_key = schema.add_u64_field(RUN_KEY, FAST);
    let kind = schema.add_text_field("kind", STORED);
    let words = schema.add_text_field("words", STRING);
    let number_fields = NUMBER_FIELDS.map(|name| schema.add_i64_field(name, FAST));
    (schema.build(), Fields { title, body, exact, facts, passages, run_key, kind, words, numbers: number_fields })
}

/// The facts in words stand in one field, each behind the letter of its fact: what a commit costs is the number of fields.
fn letter(fact: WordFact) -> u8 {
    b'A' + fact as u8
}

fn worded(fact: WordFact, value: &str) -> String {
    format!("{}{}", char::from(letter(fact)), value.to_lowercase())
}

fn stemmed() -> TextAnalyzer {
    let stop = StopWordFilter::remove(words::STOP.iter().map(|word| (*word).to_owned()));
    TextAnalyzer::builder(Spans::default())
        .filter(RemoveLongFilter::limit(60))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(stop)
        .filter(Stemmer::default())
        .build()
}

fn tokens(mut analyzer: TextAnalyzer, text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut tokens = Vec::new();
    analyzer.token_stream(text).process(&mut |token: &Token| {
        if seen.insert(token.text.clone()) {
            tokens.push(token.text.clone());
        }
    });
    tokens
}

/// Returns the terms of a phrase with their places, stop words leaving gaps.
fn positions(text: &str, field: Field) -> Vec<(usize, Term)> {
    let mut terms = Vec::new();
    stemmed().token_stream(text).process(&mut |token: &Token| {
        terms.push((token.position, Term::from_field_text(field, &token.text)));
    });
    terms
}
