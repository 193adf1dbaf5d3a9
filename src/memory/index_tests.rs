//! The index against a log in memory: however it was cut into batches, the same is found.

use std::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::domain::event::Recorded;
use crate::memory::lexical::{DocumentTest, WordFact};
use crate::memory::search::{OpenIndex, Question, Sides};
use crate::views::sample;

/// A log of runs that each have as many events as the sample story.
struct Story {
    runs: Vec<RunId>,
    seen: Cell<u64>,
    /// Events looked through at once, at most.
    window: u64,
    /// The runs went on at the same time, an event of each in turn.
    is_interleaved: bool,
    /// How often a run was read.
    reads: Cell<u64>,
}

impl Story {
    fn new(runs: u8) -> Self {
        let ids = (0..runs).map(|n| RunId::from_bytes([n + 1; 16]));
        Self { runs: ids.collect(), seen: Cell::new(0), window: 7, is_interleaved: false, reads: Cell::new(0) }
    }

    fn run_at(&self, seq: u64) -> RunId {
        let place = if self.is_interleaved { (seq - 1) % self.runs.len() as u64 } else { (seq - 1) / Self::length() };
        self.runs[place as usize]
    }

    fn length() -> u64 {
        sample::story().len() as u64
    }

    fn hash(seq: u64) -> Hash {
        Hash::of(&seq.to_le_bytes())
    }
}

impl Source for Story {
    fn head(&self) -> Result<(String, u64, Hash), store::Error> {
        Ok(("node".to_owned(), self.seen.get(), Self::hash(self.seen.get())))
    }

    fn hash_at(&self, seq: u64) -> Result<Option<Hash>, store::Error> {
        Ok((seq <= self.seen.get()).then(|| Self::hash(seq)))
    }

    fn touched(&self, after: u64, limit: u32) -> Result<Option<Window>, store::Error> {
        let last = self.seen.get().min(after + u64::from(limit).min(self.window));
        let mut runs: Vec<Touched> = Vec::new();
        for seq in after + 1..=last {
            let run = self.run_at(seq);
            match runs.iter_mut().find(|touched| touched.run == run) {
                Some(touched) => touched.last = seq,
                None => runs.push(Touched { run, first: seq, last: seq }),
            }
        }
        Ok((last > after).then(|| Window { runs, seq: last, hash: Self::hash(last) }))
    }

    fn detail(&self, run: RunId) -> Result<(RunDetail, u64), store::Error> {
        self.reads.set(self.reads.get() + 1);
        let here: Vec<u64> = (1..=self.seen.get()).filter(|seq| self.run_at(*seq) == run).collect();
        let events: Vec<Recorded> = sample::story().into_iter().take(here.len()).collect();
        let mut detail = RunDetail::fold(events.iter(), &|text| match text {
            crate::domain::text::Text::Inline(text) => Some(text.clone()),
            _ => None,
        });
        detail.run_id = run.to_string();
        Ok((detail, here.last().copied().unwrap_or_default()))
    }
}

fn all(place: &IndexDir) -> Vec<(String, String)> {
    let embedder = Embedder::builtin();
    let mut opened = OpenIndex::open(place, &embedder).unwrap();
    opened.refresh(place, &embedder).unwrap();
    let hard = vec![DocumentTest::Is(WordFact::Kind, vec!["run".to_owned()])];
    let question = Question { hard, limit: 100, ..Question::default() };
    let answer = opened.answer(&question, Sides::Lexical, &|_| None).unwrap();
    let mut found: Vec<_> = answer.hits.into_iter().map(|hit| (hit.facts.run_id, hit.facts.status)).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]
    #[test]
    fn however_the_log_was_cut_the_same_is_found(cuts in proptest::collection::vec(1u64..60, 1..6), stop in any::<bool>()) {
        let story = Story::new(6);
        let (dir, anew) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (place, fresh) = (IndexDir::new(dir.path().join("index")), IndexDir::new(anew.path().join("index")));
        let end = 6 * Story::length();
        for cut in cuts.into_iter().chain([end]) {
            story.seen.set((story.seen.get() + cut).min(end));
            let hold = place.hold().unwrap().unwrap();
            let first = hold.catch_up(&story, &|_, _| !stop).unwrap();
            prop_assert!(first.seq <= story.seen.get());
            let whole = hold.catch_up(&story, &|_, _| true).unwrap();
            prop_assert!(whole.whole && whole.seq == story.seen.get());
        }
        fresh.hold().unwrap().unwrap().catch_up(&story, &|_, _| true).unwrap();
        prop_assert_eq!(all(&place), all(&fresh));
        prop_assert_eq!(all(&place).len(), 6);
    }
}

#[test]
fn a_run_longer_than_a_window_is_read_once_however_often_the_time_is_over() {
    let story = Story::new(1);
    let dir = tempfile::tempdir().unwrap();
    let place = IndexDir::new(dir.path().join("index"));
    let hold = place.hold().unwrap().unwrap();
    let half = Story::length() / 2;
    assert!(half > 2 * story.window);
    for (seen, reads) in [(half, 1), (Story::length(), 2)] {
        story.seen.set(seen);
        let mut before = 0;
        loop {
            let done = hold.catch_up(&story, &|_, _| false).unwrap();
            assert!(done.seq > before, "each time goes on");
            assert_eq!(all(&place).len(), 1, "what is searchable is never less than what was seen");
            before = done.seq;
            if done.whole {
                break;
            }
        }
        assert_eq!((before, story.reads.get()), (seen, reads));
    }
    story.reads.set(0);
    hold.clear().unwrap();
    assert_eq!(hold.catch_up(&story, &|_, _| true).unwrap().runs, 1);
    assert_eq!(story.reads.get(), 1);
}

#[test]
fn time_that_is_over_within_a_window_loses_nothing_of_it() {
    for is_interleaved in [false, true] {
        let story = Story { window: 10_000, is_interleaved, ..Story::new(3) };
        let end = 3 * Story::length();
        story.seen.set(end);
        let dir = tempfile::tempdir().unwrap();
        let place = IndexDir::new(dir.path().join("index"));
        let hold = place.hold().unwrap().unwrap();
        let seen: Vec<u64> = (0..3).map(|_| hold.catch_up(&story, &|_, _| false).unwrap().seq).collect();
        // As far as everything is searchable: up to the first event of the first run that is not.
        let expected = if is_interleaved { [1, 2, end] } else { [Story::length(), 2 * Story::length(), end] };
        assert_eq!((seen, story.reads.get()), (expected.to_vec(), 3));
        assert_eq!(hold.catch_up(&story, &|_, _| true).unwrap(), CaughtUp { seq: end, whole: true, ..CaughtUp::default() });
        assert_eq!(all(&place).len(), 3);
    }
}

#[test]
fn an_index_of_another_log_is_made_anew_and_says_so() {
    let story = Story::new(2);
    story.seen.set(2 * Story::length());
    let dir = tempfile::tempdir().unwrap();
    let place = IndexDir::new(dir.path().join("index"));
    let hold = place.hold().unwrap().unwrap();
    assert!(place.hold().unwrap().is_none(), "one process changes it at a time");
    assert_eq!(hold.catch_up(&story, &|_, _| true).unwrap().anew, None);
    let again = hold.catch_up(&story, &|_, _| true).unwrap();
    assert_eq!((again.runs, again.whole), (0, true), "nothing is done twice");
    // The log is another one: shorter, with other hashes.
    story.seen.set(Story::length());
    let anew = hold.catch_up(&story, &|_, _| true).unwrap();
    assert!(anew.anew.is_some_and(|why| why.contains("another log")));
    assert_eq!(all(&place).len(), 1);
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn passages_are_embedded_newest_first_once_and_only_while_there_is_time() {
    let story = Story::new(3);
    story.seen.set(3 * Story::length());
    let dir = tempfile::tempdir().unwrap();
    let place = IndexDir::new(dir.path().join("index"));
    let hold = place.hold().unwrap().unwrap();
    hold.catch_up(&story, &|_, _| true).unwrap();
    let embedder = Embedder::builtin().with_workers(1);
    let (none, missing) = hold.embed(&embedder, &|_, _| false).unwrap();
    assert_eq!(none, 0);
    assert!(missing > 0);
    assert_eq!(hold.embed(&embedder, &|_, _| true).unwrap(), (missing, 0));
    assert_eq!(hold.embed(&embedder, &|_, _| true).unwrap(), (0, 0), "what was embedded is not embedded again");
}

/// The report of a run: the seventh speaks of an okapi.
fn report(n: i64) -> Document {
    use crate::memory::document::{Facts, Kind};
    Document {
        kind: Kind::Run,
        title: String::new(),
        body: format!("Report {n}: {}", if n == 7 { "the okapi ate the cable" } else { "nothing of note happened" }),
        facts: Facts { run_id: format!("run{n}"), started_at: n, ..Facts::default() },
    }
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn what_a_question_is_about_is_embedded_also_where_loading_the_model_took_all_the_time() {
    let dir = tempfile::tempdir().unwrap();
    let place = IndexDir::new(dir.path().join("index"));
    let hold = place.hold().unwrap().unwrap();
    hold.fill(&(0..60).map(report).collect::<Vec<_>>(), &Seen::default()).unwrap();
    let embedder = Embedder::builtin().with_workers(1);
    let (_, mut left) = hold.embed(&embedder, &|_, _| false).unwrap();
    let total = left;
    for _ in 0..2 {
        let (done, missing) = hold.embed_for("what did the okapi eat", &embedder, &|_, _| false).unwrap();
        assert!(done > 0, "each search goes on where the last one stopped");
        assert_eq!(missing, left - done);
        left = missing;
    }
    assert!(left > 0, "no more than the first few are waited for");
    assert_eq!(place.vectors(&embedder).map(|vectors| vectors.len() as u64), Some(total - left));
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn what_the_words_of_a_question_find_is_embedded_first() {
    use crate::memory::passages;
    let dir = tempfile::tempdir().unwrap();
    let place = IndexDir::new(dir.path().join("index"));
    let hold = place.hold().unwrap().unwrap();
    hold.fill(&(0..200).map(report).collect::<Vec<_>>(), &Seen::default()).unwrap();
    let embedder = Embedder::builtin().with_workers(1);
    // Time for one round, which is over before it is all done.
    let (done, left) = hold.embed_for("what did the okapi eat", &embedder, &|done, _| done == 0).unwrap();
    assert!(done > 0 && left > 0, "{done} {left}");
    let vectors = place.vectors(&embedder).unwrap();
    let key = passages::key(&passages::embedded(&report(7).body)[0]);
    assert!(vectors.row(key).is_some(), "the oldest but few, and it is what was asked for");
}
