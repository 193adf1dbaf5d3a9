//! Which passages have no vector, and in which order they are to get one.

use std::collections::HashSet;

use super::{Error, IndexDir};
use crate::domain::ids::Hash;
use crate::memory::embed::Embedder;
use crate::memory::lexical::{self, DocRef, NumberFact, Searcher};
use crate::memory::passages;
use crate::store::guard::guarded;

/// Passages without a vector.
pub(super) struct Missing {
    /// The state of the index that it was looked up in.
    pub(super) seen: (Option<Hash>, u64),
    searcher: Searcher,
    /// Their documents, those of the newest runs last.
    documents: Vec<DocRef>,
    pub(super) keys: HashSet<u64>,
}

impl Missing {
    /// Looks for them; `None` when there is no index. What panics over a damaged index is an error.
    pub(super) fn of(place: &IndexDir, embedder: &Embedder) -> Result<Option<Self>, Error> {
        guarded(|| Self::look(place, embedder)).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic).into()))
    }

    fn look(place: &IndexDir, embedder: &Embedder) -> Result<Option<Self>, Error> {
        // Looked at first: what comes meanwhile is a change.
        let seen = place.state(embedder);
        let Some(lexical) = place.lexical() else { return Ok(None) };
        let searcher = lexical.searcher()?;
        let known = place.vectors(embedder);
        let mut keys: HashSet<u64> = HashSet::new();
        let mut of_missing: HashSet<DocRef> = HashSet::new();
        searcher.each_passage(&mut |doc, key| {
            if known.as_ref().is_none_or(|known| known.row(key).is_none()) {
                keys.insert(key);
                of_missing.insert(doc);
            }
        })?;
        let mut documents: Vec<(i64, DocRef)> = Vec::new();
        searcher.each_number(NumberFact::StartedAt, true, &mut |doc, start| {
            if of_missing.contains(&doc) {
                documents.push((start.unwrap_or_default(), doc));
            }
        })?;
        documents.sort_unstable();
        Ok(Some(Self { seen, searcher, documents: documents.into_iter().map(|(_, doc)| doc).collect(), keys }))
    }

    pub(super) fn len(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Puts the documents first that hold most of the words of `question`.
    pub(super) fn put_first(&mut self, question: &str) -> Result<(), Error> {
        /// Documents put first.
        const FIRST: usize = 32;
        let best = || match self.searcher.words(question)? {
            Some(words) => self.searcher.best(&words, &[], FIRST),
            None => Ok(Vec::new()),
        };
        let best = guarded(best).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic)))?;
        let missing: HashSet<DocRef> = self.documents.iter().copied().collect();
        // One that is there twice has nothing missing the second time.
        self.documents.extend(best.into_iter().rev().filter(|doc| missing.contains(doc)));
        Ok(())
    }

    /// Takes the next texts with their keys, about `count` of them; none when there are no more.
    pub(super) fn take(&mut self, count: usize) -> Result<Vec<(u64, String)>, Error> {
        let mut texts = Vec::new();
        while texts.len() < count
            && let Some(doc) = self.documents.pop()
        {
            let fetched = guarded(|| self.searcher.fetch(doc)).unwrap_or_else(|panic| Err(lexical::Error::Broken(panic)));
            let passages = passages::embedded(&fetched?.body).into_iter();
            let keyed = passages.map(|text| (passages::key(&text), text));
            texts.extend(keyed.filter(|(key, _)| self.keys.remove(key)));
        }
        Ok(texts)
    }
}
