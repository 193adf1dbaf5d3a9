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
}

impl Story {
    fn new(runs: u8) -> Self {
        let ids = (0..runs).map(|n| RunId::from_bytes([n + 1; 16]));
        Self { runs: ids.collect(), seen: Cell::new(0) }
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

    fn touched(&self, after: u64, limit: u32) -> Result<Option<(Vec<RunId>, u64, Hash)>, store::Error> {
        let last = self.seen.get().min(after + u64::from(limit.min(7)));
        let mut runs: Vec<RunId> = (after + 1..=last).map(|seq| self.runs[((seq - 1) / Self::length()) as usize]).collect();
        runs.dedup();
        Ok((last > after).then(|| (runs, last, Self::hash(last))))
    }

    fn detail(&self, run: RunId) -> Result<RunDetail, store::Error> {
        let place = self.runs.iter().position(|known| *known == run).unwrap() as u64;
        let here = self.seen.get().saturating_sub(place * Self::length()).min(Self::length());
        let events: Vec<Recorded> = sample::story().into_iter().take(here as usize).collect();
        let mut detail = RunDetail::fold(events.iter(), &|text| match text {
            crate::domain::text::Text::Inline(text) => Some(text.clone()),
            _ => None,
        });
        detail.run_id = run.to_string();
        Ok(detail)
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
