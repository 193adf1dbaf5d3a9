//! Which documents a query lets through, as bits by segment.

use super::{Collector, DocId, Passing, Score, SegmentCollector, SegmentReader, TantivyResult};

/// Collects which documents a query lets through.
pub(super) struct Bits;

/// The same of one segment.
pub(super) struct SegmentBits(u32, Vec<u64>);

impl Collector for Bits {
    type Fruit = Passing;
    type Child = SegmentBits;

    fn for_segment(&self, segment: u32, reader: &SegmentReader) -> TantivyResult<SegmentBits> {
        Ok(SegmentBits(segment, vec![0; reader.max_doc() as usize / 64 + 1]))
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<(u32, Vec<u64>)>) -> TantivyResult<Passing> {
        let mut passing = Passing(vec![Vec::new(); fruits.len()]);
        for (segment, bits) in fruits {
            if passing.0.len() <= segment as usize {
                passing.0.resize(segment as usize + 1, Vec::new());
            }
            passing.0[segment as usize] = bits;
        }
        Ok(passing)
    }
}

impl SegmentCollector for SegmentBits {
    type Fruit = (u32, Vec<u64>);

    fn collect(&mut self, doc: DocId, _score: Score) {
        self.1[doc as usize / 64] |= 1 << (doc % 64);
    }

    fn harvest(self) -> (u32, Vec<u64>) {
        (self.0, self.1)
    }
}
