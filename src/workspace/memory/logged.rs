//! The log of a workspace, with the logs that lie beside it, as the search index reads it and as hits are told apart.

use std::collections::HashMap;

use super::Recall;
use crate::domain::event::{Event, Recorded, ToolEndedPrivate};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::domain::text::Text;
use crate::memory::index::{Source, Touched, Window};
use crate::memory::lexical::{DocumentTest, WordFact};
use crate::memory::search::SearchResult;
use crate::store;
use crate::store::codec::{self, Decoded};
use crate::store::identity::IMPORTED;
use crate::views::run_detail::{Fold, RunDetail};
use crate::views::run_list::LogFilter;
use crate::workspace::Workspace;
use crate::workspace::memory::response::{HitDocument, hit_document};

/// The log of a workspace, as the index reads it.
pub(in crate::workspace) struct Logged<'a>(pub &'a Workspace);

impl Source for Logged<'_> {
    fn head(&self) -> Result<(String, u64, Hash), store::Error> {
        let head = self.0.log.head()?;
        Ok((head.node.to_string(), head.seq, head.hash))
    }

    fn hash_at(&self, seq: u64) -> Result<Option<Hash>, store::Error> {
        let event = self.0.log.read(seq, 1)?;
        Ok(event.first().filter(|event| event.envelope.seq == seq).map(|event| event.hash))
    }

    fn touched(&self, after: u64, limit: u32) -> Result<Option<Window>, store::Error> {
        let mut runs: HashMap<RunId, Touched> = HashMap::new();
        let mut touch = |run, at| {
            runs.entry(run).and_modify(|touched| touched.last = at).or_insert(Touched { run, first: at, last: at });
        };
        let mut last = None;
        let mut from = after + 1;
        while from - after <= u64::from(limit) {
            let page = self.0.runs().log_page(from)?;
            let Some(end) = page.last() else { break };
            (from, last) = (end.envelope.seq + 1, Some((end.envelope.seq, end.hash)));
            for event in &page {
                let at = event.envelope.seq;
                event.envelope.run.into_iter().for_each(|run| touch(run, at));
                // Where the own log says that another was taken in, the runs of that are new.
                if event.kind == IMPORTED
                    && let Ok(Decoded::Known(recorded)) = codec::decode(event)
                    && let Event::SegmentImported(body) = recorded.event
                    && let Some(spans) = self.0.keeping().imported_runs()?
                {
                    spans.runs_between(body.node, body.from, body.to).for_each(|run| touch(run, at));
                }
            }
        }
        let mut runs: Vec<Touched> = runs.into_values().collect();
        runs.sort_unstable_by_key(|touched| (touched.first, touched.run));
        Ok(last.map(|(seq, hash)| Window { runs, seq, hash }))
    }

    fn detail(&self, run: RunId) -> Result<(RunDetail, u64), store::Error> {
        /// Events in memory at once.
        const PAGE: u32 = 2_000;
        let (mut fold, mut next, mut last) = (Fold::default(), 1, 0);
        let mut is_locked = false;
        loop {
            let mut events = self.0.runs().events_without(run, next, PAGE, &leave_out_results)?;
            let Some(end) = events.last() else { break };
            (next, last) = (end.envelope.version.max(next).saturating_add(1), end.envelope.seq);
            // A run is found by what can be read of it, and looked at again when there is more.
            if !is_locked && let Some(key) = events.iter_mut().find_map(|recorded| self.locked(recorded)) {
                let place = self.0.memory().index_place();
                place.mark_locked(&key).map_err(store::Error::io(self.0.store.path.clone()))?;
                is_locked = true;
            }
            self.0.runs().fold_in(&mut fold, &events);
            if events.len() < PAGE as usize {
                break;
            }
        }
        let detail = self.0.runs().detail_from(run, fold)?;
        // Positions in another log are none in this one.
        let last = if detail.node.is_some() { 0 } else { last };
        Ok((detail, last))
    }
}

/// Leaves out what tools gave and showed: no document has it, and in a long session it is most of what is there. What they were asked is
/// told by their own events.
fn leave_out_results(event: &mut Event) {
    match event {
        Event::ToolEnded(body) => {
            if let Some(private) = &mut body.private {
                *private = ToolEndedPrivate { result: Text::EMPTY, whole: None, diff: None, originals: Vec::new() };
            }
        }
        Event::CallReplied(body) => {
            if let Some(private) = &mut body.private {
                private.tool_calls = Text::EMPTY;
            }
        }
        _ => {}
    }
}

impl Logged<'_> {
    /// Returns the key without which a text of an event cannot be read.
    fn locked(&self, recorded: &mut Recorded) -> Option<String> {
        let mut locked = None;
        recorded.event.each_text_mut(&mut |text| {
            // One that is missing or damaged stays a name too, and no key brings it back.
            let is_locked = |name: &Hash| matches!(self.0.payloads.read(*name), Err(store::Error::Locked(_)));
            let name = text.payload().filter(|name| locked.is_none() && is_locked(name));
            locked = locked.take().or(name.and_then(|name| self.0.payloads.key_of(name)));
        });
        locked.map(|key| key.to_string())
    }
}

impl Recall<'_> {
    /// Returns what runs must be to be of these logs; nothing when all are meant.
    pub(in crate::workspace) fn of_logs(&self, log: &LogFilter) -> Result<Option<DocumentTest>, store::Error> {
        let spans = self.0.keeping().imported_runs()?;
        let runs = |takes: &dyn Fn(NodeId) -> bool| {
            let all = spans.iter().flat_map(|spans| spans.runs().filter(|run| spans.node_of(*run).is_some_and(takes)));
            DocumentTest::Is(WordFact::Run, all.map(|run| run.to_string().to_lowercase()).collect())
        };
        Ok(match log {
            LogFilter::All => None,
            LogFilter::Own if spans.is_none() => None,
            LogFilter::Own => Some(DocumentTest::Not(Box::new(runs(&|_| true)))),
            LogFilter::Node(_) => Some(runs(&|node| log.takes(Some(node)))),
        })
    }

    /// Returns hits as they are shown, each with the imported log that has it.
    pub(in crate::workspace) fn hits(&self, answer: &SearchResult) -> Result<Vec<HitDocument>, store::Error> {
        let hit = |(hit, rank)| {
            let shown: HitDocument = hit_document(hit, rank);
            let node = shown.run_id.parse().map_or(Ok(None), |run| self.0.keeping().node_of(run))?;
            Ok(HitDocument { node: node.map(|node| node.to_string()), ..shown })
        };
        answer.hits.iter().zip(1..).map(hit).collect()
    }
}
