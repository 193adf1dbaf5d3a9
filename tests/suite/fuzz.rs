//! The checks of the fuzz targets, with random bytes and with sound ones that were damaged: what a fuzzer would find first.

use proptest::prelude::*;

#[path = "../fuzz/checks.rs"]
mod checks;

const TEMPLATE: &str = include_str!("../../templates/release_prep.json");
const LINE: &str = r#"{"run_id": "a", "template_id": "t", "started_at": "2026-10-01T09:30:00Z", "notes": ["x"], "agents": [
    {"role": "r", "attempts": [{"tier": "cheap", "passed": true, "cost_usd": 0.5}]}]}"#;
const QUERY: &str =
    "failed releases since May that cost more than $1 status:failed role:\"type checker\" -draft \"exact phrase\"";
const STREAM: &str = "data: {\"choices\": [{\"delta\": {\"content\": \"hi\"}, \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]\n\n";

/// A sound text with a few bytes changed, a piece taken out and a piece doubled.
fn damaged(sound: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (bytes, any::<prop::sample::Index>(), 0..40usize, any::<bool>()).prop_map(move |(changes, at, length, twice)| {
        let mut text = sound.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = place.index(text.len());
            text[place] = byte;
        }
        let from = at.index(text.len());
        let piece: Vec<u8> = text[from..(from + length).min(text.len())].to_vec();
        if twice {
            text.splice(from..from, piece);
        } else {
            text.drain(from..from + piece.len());
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_keep_the_promises_of_every_fuzz_target(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        checks::record(&bytes);
        checks::stream(&bytes);
        checks::template(&bytes);
        checks::import(&bytes);
        checks::query(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_texts_keep_them_too(
        template in damaged(TEMPLATE), line in damaged(LINE), stream in damaged(STREAM), query in damaged(QUERY), choice in any::<u8>(),
    ) {
        checks::template(&template);
        checks::import(&line);
        checks::stream(&[&[choice][..], &stream].concat());
        checks::query(&String::from_utf8_lossy(&query));
    }
}
