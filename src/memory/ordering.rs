//! Sorts documents as it was asked: by date, cost, duration and the like.
//!
//! Knows neither the question nor how well a document matches it.

use std::cmp::Reverse;

use super::asked::{DocRef, DocumentTest, NumberFact, Order, WordFact};
use super::lexical::{self, Searcher};

/// Returns the documents that `keep` keeps in the given order.
///
/// # Errors
/// When the index cannot be read.
pub fn all(searcher: &Searcher, order: Order, keep: &dyn Fn(DocRef) -> bool) -> Result<Vec<DocRef>, lexical::Error> {
    let mut starts = Vec::new();
    searcher.each_number(NumberFact::StartedAt, true, &mut |doc, start| {
        if keep(doc) {
            starts.push((start.unwrap_or(i64::MIN), doc));
        }
    })?;
    if order == Order::NEWEST {
        starts.sort_unstable_by_key(|(start, doc)| (Reverse(*start), *doc));
        return Ok(starts.into_iter().map(|(_, doc)| doc).collect());
    }
    // The known part of a cost says nothing about how cheap a run was.
    let is_cheapest = order.by == NumberFact::Cost && !order.descending;
    let unknown =
        is_cheapest.then(|| searcher.passing(&[DocumentTest::Is(WordFact::CostKnown, vec!["no".to_owned()])])).transpose()?;
    let unknown = unknown.flatten();
    let mut keyed = Vec::with_capacity(starts.len());
    let mut starts = starts.into_iter().peekable();
    searcher.each_number(order.by, order.descending, &mut |doc, value| {
        // Both passes go through the documents in the same order.
        if let Some((start, _)) = starts.next_if(|(_, kept)| *kept == doc) {
            let value = value.filter(|_| unknown.as_ref().is_none_or(|unknown| !unknown.has(doc)));
            let key = value.map(|value| if order.descending { -i128::from(value) } else { i128::from(value) });
            keyed.push((key.is_none(), key, Reverse(start), doc));
        }
    })?;
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(.., doc)| doc).collect())
}
