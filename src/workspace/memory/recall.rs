//! Recalling the past: the index kept up to the log, and questions put to it.
//!
//! Any process may look after the index, one at a time; appends never wait for it. A process that stays (`serve`) keeps both
//! sides open and the model loaded, and answers for the others.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Recall;
use super::asked::Asked;
use crate::domain::ids::RunId;
use crate::memory::embed::{self, Embedder};
use crate::memory::index::{self, CaughtUp, Condition, GoOn, Hold, IndexDir, Source, is_of};
use crate::memory::lexical::{DocumentTest, Seen, WordFact};
use crate::memory::query::{Completion, Id, Order, Spelled, Understood, Vocabulary, complete, spell, understand};
use crate::memory::search::{Hit, OpenIndex, Question, SearchResult, Sides};
use crate::memory::{document, lexical, question};
use crate::store::guard::guarded;
use crate::store::lock;
use crate::views::run_detail::RunDetail;
use crate::workspace::keeping::figures::{IndexProgress, SealSought};
use crate::workspace::memory::logged::Logged;
use crate::workspace::memory::recall_error::RecallError;
use crate::workspace::memory::response::{HitDocument, SearchResponse, understood_document};
use crate::workspace::request::SearchRequest;

/// Runs named when nobody says how many.
const LIMIT: usize = 10;

/// Models that a process that answers has in memory at most, some 100 MB each.
const WORKERS_MAX: usize = 2;

/// Answered with nothing by a process that stays with the store.
pub(in crate::workspace) const IS_ANYBODY_THERE: &[u8] = b"";

/// What keeps memory at hand within one process.
#[derive(Default)]
pub struct Memory {
    embedder: Mutex<Option<Arc<Embedder>>>,
    opened: Mutex<Option<OpenIndex>>,
    /// The vectors of texts that runs were compared with last.
    asked: Asked,
    /// The index in memory, where nothing can be written.
    copy: OnceLock<IndexDir>,
    /// What queries may speak of, as of a state of the index.
    vocabulary: Mutex<Option<(Option<Seen>, Arc<Vocabulary>)>>,
    /// The last seal of the log, as far as it was looked for.
    pub(in crate::workspace) seal: Mutex<SealSought>,
}

/// How much was indexed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "What was indexed, as `meno reindex --json` prints it")]
pub struct Indexed {
    /// The last position of the log that the words' side has seen.
    pub indexed_to: u64,
    /// The last position of the log.
    pub log_head: u64,
    /// Runs indexed now.
    pub runs: u64,
    /// Passages embedded now.
    pub embedded: u64,
    /// Passages without a vector still.
    pub without_vector: u64,
}

/// The search index beside the log.
#[derive(Clone, Debug)]
pub struct IndexState {
    /// How it is found.
    pub condition: Condition,
    /// What it has seen is the beginning of this log, in today's form.
    pub is_ours: bool,
    /// The log's last position.
    pub head: u64,
    /// The runs of the log, and of those beside it.
    pub runs: u64,
}

impl Recall<'_> {
    /// Answers a search: the process that stays with the store does so when there is one, else this one. Sensitive answers are masked in
    /// what is shown of the hits, whoever asks.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub fn search(&self, search: &SearchRequest) -> Result<SearchResponse, RecallError> {
        let mut found = self.found(search)?;
        found.hits.iter_mut().try_for_each(|hit| self.mask(hit))?;
        Ok(found)
    }

    /// Takes sensitive answers of its run out of what is shown of a hit.
    fn mask(&self, hit: &mut HitDocument) -> Result<(), RecallError> {
        let Ok(id) = hit.run_id.parse() else { return Ok(()) };
        let detail = self.0.runs().detail(id)?;
        let before = hit.snippet.clone();
        detail.mask_in(&mut hit.snippet);
        if hit.snippet != before {
            // They are positions in the text that was there.
            hit.highlights.clear();
        }
        detail.mask_in(&mut hit.title);
        Ok(())
    }

    fn found(&self, search: &SearchRequest) -> Result<SearchResponse, RecallError> {
        if let Ok(question) = serde_json::to_vec(search)
            && let Some(answer) = self.0.log.ask(&question)?
            && let Ok(found) = serde_json::from_slice(&answer)
        {
            return Ok(found);
        }
        self.search_here(search)
    }

    /// Answers a search in this process.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn search_here(&self, search: &SearchRequest) -> Result<SearchResponse, RecallError> {
        let begun = Instant::now();
        let mut place = self.index_place();
        let mut notices = Vec::new();
        let patience = Duration::from_millis(search.catch_up_ms);
        let embedder = if search.lexical_only {
            Err("only words were asked for".to_owned())
        } else {
            let opened = self.open_embedder();
            opened.and_then(|embedder| embedder.usable().map(|()| embedder)).map_err(|error| error.to_string())
        };
        // What is all filters whatever the store speaks of needs no meanings.
        let now = search.now.parse().unwrap_or_else(|_| jiff::Zoned::now());
        let is_all_filters = understand(&search.query, &Vocabulary::default(), &now).is_all_filters;
        let log_head = self.0.log.head()?.seq;
        let is_current = lock(&self.0.memory.opened).as_ref().is_some_and(|open| {
            open.seen().is_some_and(|seen| seen.seq >= log_head) && (open.is_embedded() || embedder.is_err() || is_all_filters)
        });
        if !is_current && self.0.store.path.is_dir() {
            std::thread::scope(|scope| {
                // The model is loaded while the index is brought up to the log. Why it cannot be is said when it is asked.
                // A store of which only the beginning is written has nothing to compare.
                let model = embedder.as_ref().ok().filter(|_| log_head > 1 && !is_all_filters);
                let loading = model.map(|embedder| scope.spawn(|| embedder.load()));
                let take_in = |place: &IndexDir| -> Result<(), RecallError> {
                    place.hold()?.map_or(Ok(()), |hold| self.take_in_unlocked(&hold))
                };
                let catch_up = |place: &IndexDir| {
                    // A copy in memory ends with this process: there is no later search that would go on with it.
                    self.catch_up(&|_, _| place.is_in_memory() || begun.elapsed() < patience)
                };
                let mut done = take_in(&place).and_then(|()| catch_up(&place));
                if done.as_ref().is_err_and(|error| error.unwritable().is_some()) {
                    place = self.index_in_memory();
                    done = take_in(&place).and_then(|()| catch_up(&place));
                }
                match done {
                    Ok(Some(done)) => notices.extend(done.anew.map(|why| format!("the index was rebuilt: {why}"))),
                    Ok(None) => {}
                    // An index that cannot be written is still searched as far as it goes.
                    Err(error) => notices.push(format!("the index could not be brought up to the log: {error}")),
                }
                drop(loading.map(std::thread::ScopedJoinHandle::join));
                if let Some(embedder) = model {
                    let in_time = |_, _| begun.elapsed() < patience;
                    let embed = |hold: Hold| hold.embed_for(&search.query, embedder, &in_time);
                    let embedded = place.hold().and_then(|hold| hold.map(embed).transpose());
                    if let Err(error) = embedded {
                        notices.push(format!("not everything could be embedded: {error}"));
                    }
                }
            });
        }
        let builtin = Embedder::builtin();
        let model = embedder.as_deref().unwrap_or(&builtin);
        let mut opened = lock(&self.0.memory.opened);
        let embed = |text: &str| embedder.as_ref().ok().and_then(|embedder| embedder.query(text).ok());
        let (understood, spelled, answer) = match self.look(search, &place, model, &mut opened, &embed) {
            Err(RecallError::Lexical(why)) => {
                // What the index says cannot be read: it is made anew from the log, and asked once more. One that only cannot be written
                // is left as it is.
                *opened = None;
                let is_sound = matches!(why, lexical::Error::Unwritable(_));
                if is_sound {
                    place = self.index_in_memory();
                } else {
                    notices.push(format!("the index was rebuilt: {why}"));
                }
                let hold = place.hold()?.ok_or(RecallError::Busy)?;
                if !is_sound {
                    hold.clear()?;
                }
                self.bring_up(&hold, &|_, _| true)?;
                drop(hold);
                self.look(search, &place, model, &mut opened, &embed)?
            }
            looked => looked?,
        };
        let indexed_to = opened.as_ref().and_then(|open| open.seen()).map_or(0, |seen| seen.seq);
        if indexed_to < log_head {
            notices.push(format!(
                "the index has seen events up to {indexed_to} of {log_head}; `meno reindex` brings it up to the log"
            ));
        }
        if !search.lexical_only && !answer.hybrid && !answer.listed && answer.passages > 0 {
            notices.push(by_words_alone(embedder.as_ref().err().map(String::as_str)));
        } else if answer.hybrid && answer.without_vector > 0 {
            notices.push(format!(
                "{} of {} passages are not embedded yet and are found by their words alone; `meno reindex` embeds them",
                answer.without_vector, answer.passages
            ));
        }
        Ok(SearchResponse {
            query: search.query.clone(),
            understood: understood_document(&understood, spelled, &answer),
            mode: if answer.hybrid { "hybrid" } else { "lexical" }.to_owned(),
            indexed_to,
            log_head,
            passages: answer.passages,
            passages_without_vector: answer.without_vector,
            took_ms: (begun.elapsed().as_secs_f64() * 1e5).round() / 1e2,
            total: answer.total as u64,
            nothing_close: answer.nothing_close,
            notices,
            hits: self.hits(&answer)?,
        })
    }

    /// Puts the question to the index as far as it has come. What panics over a damaged index is an error.
    fn look(
        &self,
        search: &SearchRequest,
        place: &IndexDir,
        model: &Embedder,
        opened: &mut Option<OpenIndex>,
        embed: &dyn Fn(&str) -> Option<Vec<f32>>,
    ) -> Result<(Understood, Spelled, SearchResult), RecallError> {
        let look = || {
            if opened.is_none() {
                *opened = OpenIndex::open(place, model);
            }
            if let Some(open) = opened.as_mut()
                && open.refresh(place, model).is_err()
            {
                // It was made anew under our feet.
                *opened = OpenIndex::open(place, model);
                opened.as_mut().map(|open| open.refresh(place, model)).transpose()?;
            }
            let vocabulary = self.vocabulary(opened.as_ref())?;
            let now = search.now.parse().unwrap_or_else(|_| jiff::Zoned::now());
            let mut understood = understand(&search.query, &vocabulary, &now);
            understood.order = search.sort.map(Order::of).or(understood.order);
            let named = understood.order.and_then(|order| order.count).map(|count| count as usize);
            let limit = search.limit.unwrap_or(named.unwrap_or(LIMIT));
            let limit = limit.min(named.map_or(usize::MAX, |named| named.saturating_sub(search.skip)));
            let run = |name: &str| self.0.runs().find_run(name).ok().map(|run| run.to_string());
            // Runs that are named by their ids come before all others: what comes after so many is known of the whole list only.
            let has_named = understood.ids.iter().any(|id| matches!(id, Id::Run(_)));
            let (from, left_out) = if has_named { (0, search.skip) } else { (search.skip, 0) };
            let mut asked = question::ask(&understood, limit.saturating_add(left_out), &run);
            asked.from = from;
            asked.all |= search.all;
            asked.hard.extend(self.of_logs(&search.log)?);
            let sides = if search.lexical_only { Sides::Lexical } else { Sides::Both };
            let mut answer = match opened.as_ref() {
                Some(open) => open.answer(&asked, sides, embed)?,
                None => SearchResult::default(),
            };
            answer.total = answer.total.min(named.unwrap_or(usize::MAX));
            self.named_runs_first(&understood, &mut answer, opened.as_ref(), limit.saturating_add(left_out))?;
            answer.hits.drain(..left_out.min(answer.hits.len()));
            let spelled = spell(&understood, &answer.loosened, &vocabulary, &now);
            Ok((understood, spelled, answer))
        };
        guarded(look).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic).into()))
    }

    /// Returns the runs of `template` whose texts are nearest to `text` by words and by meaning, the nearest first, at most `limit`. Only what
    /// is indexed already can be near.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(in crate::workspace) fn nearest_runs(&self, template: &str, text: &str, limit: usize) -> Result<Vec<RunId>, RecallError> {
        self.nearest(vec![DocumentTest::Is(WordFact::Template, vec![template.to_lowercase()])], text, None, limit)
    }

    /// Returns the runs, whatever their template, whose texts are nearest to those of `run`, the nearest first, at most `limit`. The index
    /// is brought up to the log as far as `patience` lets it.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn runs_like(&self, run: &RunDetail, limit: usize, patience: Duration) -> Result<Vec<RunId>, RecallError> {
        /// Characters that say enough of a run.
        const CHARS_MAX: usize = 2000;
        let begun = Instant::now();
        self.catch_up(&|_, _| begun.elapsed() < patience)?;
        let documents = document::of_run(run);
        let Some(document) = documents.first() else { return Ok(Vec::new()) };
        let text: String = format!("{} {}", document.title, document.body).chars().take(CHARS_MAX).collect();
        let mut near = self.nearest(Vec::new(), &text, Some(&run.run_id), limit + 1)?;
        near.retain(|id| id.to_string() != run.run_id);
        near.truncate(limit);
        Ok(near)
    }

    /// Returns the runs nearest to `text`. Where it is that of run `of`, the vector that the index has of it spares asking the model, which
    /// takes longer than all else.
    fn nearest(&self, hard: Vec<DocumentTest>, text: &str, of: Option<&str>, limit: usize) -> Result<Vec<RunId>, RecallError> {
        let (place, embedder) = (self.index_place(), self.open_embedder()?);
        let mut opened = lock(&self.0.memory.opened);
        if opened.is_none() {
            *opened = OpenIndex::open(&place, &embedder);
        }
        let Some(open) = opened.as_mut() else { return Ok(Vec::new()) };
        let question = Question { text: text.to_owned(), hard, limit, all: true, ..Question::default() };
        let near = || -> Result<Vec<RunId>, RecallError> {
            open.refresh(&place, &embedder)?;
            let known = of.map_or(Ok(None), |run| open.vector_of_run(run))?;
            let vector =
                |text: &str| known.clone().or_else(|| self.0.memory.asked.vector(text, |text| embedder.query(text)).ok());
            let answer = open.answer(&question, Sides::Both, &vector)?;
            Ok(answer.hits.iter().filter_map(|hit| hit.facts.run_id.parse().ok()).collect())
        };
        guarded(near).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic).into()))
    }

    /// Returns how far the index has come: the event that it has seen last, passages, and those of them without a vector; `None` when there
    /// is no index yet.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn index_progress(&self) -> Result<Option<IndexProgress>, RecallError> {
        let (place, embedder) = (self.index_place(), self.open_embedder()?);
        let mut opened = lock(&self.0.memory.opened);
        if opened.is_none() {
            *opened = OpenIndex::open(&place, &embedder);
        }
        let Some(open) = opened.as_mut() else { return Ok(None) };
        let progress = || -> Result<IndexProgress, RecallError> {
            open.refresh(&place, &embedder)?;
            let (passages, missing) = open.passages();
            let without_vector = if embedder.usable().is_ok() { missing } else { 0 };
            Ok(IndexProgress { indexed_to: open.seen().map_or(0, |seen| seen.seq), passages, without_vector })
        };
        guarded(progress).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic).into())).map(Some)
    }

    /// Answers what another process asks, in JSON; `None` when it is no search.
    pub(crate) fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        if question == IS_ANYBODY_THERE {
            return Some(Vec::new());
        }
        let search: SearchRequest = serde_json::from_slice(question).ok()?;
        let found = self.search_here(&search).inspect_err(|error| tracing::warn!("a search failed: {error}")).ok()?;
        serde_json::to_vec(&found).ok()
    }

    /// Brings the words' side of the index up to the log as long as `go_on` says so; `None` while another process does.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn catch_up(&self, go_on: GoOn<'_>) -> Result<Option<CaughtUp>, RecallError> {
        let Some(hold) = self.index_place().hold()? else { return Ok(None) };
        Ok(Some(self.bring_up(&hold, go_on)?))
    }

    /// Has the words' side made anew when texts were left out of it whose key is at hand now.
    fn take_in_unlocked(&self, hold: &Hold) -> Result<(), RecallError> {
        let key = self.index_place().locked();
        if key.is_some_and(|key| self.0.payloads.keyring().has(&key)) {
            hold.clear()?;
        }
        Ok(())
    }

    /// Brings the words' side up to the log; one that cannot be read or changed is made anew.
    fn bring_up(&self, hold: &Hold, go_on: GoOn<'_>) -> Result<CaughtUp, RecallError> {
        let bring = || {
            guarded(|| hold.catch_up(&Logged(self.0), go_on))
                .unwrap_or_else(|panic| Err(index::Error::Lexical(lexical::Error::Broken(panic))))
        };
        match bring() {
            Err(index::Error::Lexical(lexical::Error::Broken(why))) => {
                hold.clear()?;
                Ok(CaughtUp { anew: Some(why), ..bring()? })
            }
            done => Ok(done?),
        }
    }

    /// Embeds what has no vector yet as long as `go_on` says so; returns how many passages were embedded and how many are left.
    ///
    /// # Errors
    /// A [`RecallError`]; [`RecallError::Busy`] while another process looks after the index.
    pub(crate) fn embed_missing(&self, go_on: GoOn<'_>) -> Result<(u64, u64), RecallError> {
        let embedder = self.open_embedder()?;
        if embedder.usable().is_err() {
            return Ok((0, 0));
        }
        let hold = self.index_place().hold()?.ok_or(RecallError::Busy)?;
        Ok(hold.embed(&embedder, go_on)?)
    }

    /// Brings both sides of the index to the log's head; `anew` makes the words' side from nothing.
    ///
    /// # Errors
    /// A [`RecallError`]; [`RecallError::Busy`] when another process does not let go of the index within `patience`.
    pub(crate) fn reindex(
        &self,
        anew: bool,
        patience: Duration,
        words: GoOn<'_>,
        meanings: GoOn<'_>,
    ) -> Result<Indexed, RecallError> {
        /// Between two looks whether the index is free.
        const LOOK_EVERY: Duration = Duration::from_millis(50);
        let embedder = self.embedder()?;
        // A store that is not there has nothing to index, and is not made for it.
        self.0.place()?;
        let deadline = Instant::now() + patience;
        let hold = loop {
            match self.index_place().hold()? {
                Some(hold) => break hold,
                None if Instant::now() >= deadline => return Err(RecallError::Busy),
                None => std::thread::sleep(LOOK_EVERY),
            }
        };
        self.take_in_unlocked(&hold)?;
        if anew {
            hold.clear()?;
        }
        let mut indexed = Indexed::default();
        loop {
            let done = self.bring_up(&hold, words)?;
            let (embedded, left) = if embedder.usable().is_ok() { hold.embed(&embedder, meanings)? } else { (0, 0) };
            indexed.runs += done.runs;
            indexed.embedded += embedded;
            (indexed.indexed_to, indexed.without_vector) = (done.seq, left);
            indexed.log_head = self.0.log.head()?.seq;
            // What was appended meanwhile is taken in too.
            if !done.whole || done.seq >= indexed.log_head || left > 0 {
                return Ok(indexed);
            }
        }
    }

    /// Looks at the search index beside the log, and changes nothing.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn condition(&self) -> Result<IndexState, crate::store::Error> {
        let condition = self.index_place().condition();
        let (node, head, _) = Logged(self.0).head()?;
        let is_ours = match &condition {
            Condition::Read { seen, .. } => is_of(seen, &node, &Logged(self.0))?,
            _ => false,
        };
        let runs = self.0.runs().run_ids()?.into_iter().collect::<HashSet<_>>().len() as u64;
        Ok(IndexState { condition, is_ours, head, runs })
    }

    pub(in crate::workspace) fn index_place(&self) -> IndexDir {
        match self.0.read_only() {
            Some(_) => self.index_in_memory(),
            None => self.0.memory.copy.get().cloned().unwrap_or_else(|| IndexDir::new(self.0.store.path.join("index"))),
        }
    }

    /// Has the index copied into memory, and used there from now on.
    fn index_in_memory(&self) -> IndexDir {
        self.0.memory.copy.get_or_init(|| IndexDir::in_memory(self.0.store.path.join("index"))).clone()
    }

    /// Returns the embedding model, opened once for this process.
    pub(in crate::workspace) fn open_embedder(&self) -> Result<Arc<Embedder>, embed::Error> {
        let mut embedder = lock(&self.0.memory.embedder);
        if let Some(embedder) = &*embedder {
            return Ok(Arc::clone(embedder));
        }
        // Each worker has the model in memory once: a process that stays is not to take all that there is.
        let opened = Arc::new(self.embedder()?.with_workers(WORKERS_MAX));
        *embedder = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// What the query may speak of: templates, and what past runs had. Gathered once for each state of the index.
    fn vocabulary(&self, opened: Option<&OpenIndex>) -> Result<Arc<Vocabulary>, RecallError> {
        let seen = opened.and_then(|open| open.seen().cloned());
        let mut kept = lock(&self.0.memory.vocabulary);
        if let Some((of, vocabulary)) = &*kept
            && *of == seen
        {
            return Ok(Arc::clone(vocabulary));
        }
        let vocabulary = Arc::new(question::vocabulary(opened, self.0.library.names())?);
        *kept = Some((seen, Arc::clone(&vocabulary)));
        Ok(vocabulary)
    }

    /// Returns what the last word of a query may become, at most `limit`: filters, and names that runs of the index have. Nothing is
    /// indexed for it.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn completions(&self, query: &str, limit: usize) -> Result<Vec<Completion>, RecallError> {
        let (place, embedder) = (self.index_place(), self.open_embedder()?);
        let mut opened = lock(&self.0.memory.opened);
        if opened.is_none() {
            *opened = OpenIndex::open(&place, &embedder);
        }
        let look = || -> Result<Vec<Completion>, RecallError> {
            opened.as_mut().map(|open| open.refresh(&place, &embedder)).transpose()?;
            Ok(complete(query, self.vocabulary(opened.as_ref())?.known(), limit))
        };
        guarded(look).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic).into()))
    }

    /// A run whose id is in the query is what is sought.
    fn named_runs_first(
        &self,
        understood: &Understood,
        answer: &mut SearchResult,
        opened: Option<&OpenIndex>,
        limit: usize,
    ) -> Result<(), RecallError> {
        let named = understood.ids.iter().filter_map(|id| match id {
            Id::Run(part) => self.0.runs().find_run(part).ok().map(|run| run.to_string()),
            Id::Name(_) => None,
        });
        let named: Vec<String> = named.collect();
        for run in named.iter().rev() {
            let place = answer.hits.iter().position(|hit| hit.facts.run_id == *run);
            let hit = match (place, opened) {
                (Some(place), _) => Some(answer.hits.remove(place)),
                (None, Some(open)) => open.run(run)?.inspect(|_| answer.total += 1),
                (None, None) => None,
            };
            if let Some(hit) = hit {
                answer.nothing_close = false;
                answer.hits.insert(0, Hit { is_weak: false, ..hit });
            }
        }
        answer.hits.truncate(limit);
        Ok(())
    }
}

/// Says why only words were compared: what keeps the model from being used, or that no passage has a vector yet.
fn by_words_alone(unusable: Option<&str>) -> String {
    format!("searched by words alone: {}", unusable.unwrap_or("nothing is embedded yet; `meno reindex` embeds it"))
}

#[cfg(test)]
#[path = "recall_tests.rs"]
mod tests;
