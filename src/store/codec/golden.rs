//! Every kind in every released version, as the bytes that it was stored in: these files stay for ever and stay readable.
//!
//! `MENO_GOLDEN=create cargo test --lib golden` writes the files that are missing and touches no other.
//! The JSON beside the bytes is what shows a swapped field or a moved enum variant: such a body re-encodes to the same bytes.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::record::{Record, write_head};
use super::sample::{sample, variants};
use super::{Body, Decoded, decode, encode, to_json};
use crate::domain::event::{Envelope, KINDS};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::store::chain;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "events"].iter().collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

fn first_hash() -> Hash {
    chain::genesis(NodeId::from_bytes([9; 16]))
}

fn create(kind: u16) -> String {
    let mut text = String::new();
    for number in 0..variants(kind) {
        let event = sample(kind, number);
        let body = encode(&event, [number as u8; 16]).expect("samples can be encoded");
        let envelope = Envelope {
            seq: 1000 + number,
            run: (number % 2 == 0).then(|| RunId::from_bytes([3; 16])),
            version: if number % 2 == 0 { 40 + number } else { 0 },
            at: 1_795_000_000_000_000_000 + number as i64,
            occurred_at: (number % 3 == 1).then_some(1_700_000_000_000_000_000),
            cause: (number % 4 == 1).then_some(999),
        };
        let mut head = Vec::new();
        write_head(&mut head, &envelope, body.kind, body.kind_version, &body.public, &body.commitment);
        let hash = chain::next(&first_hash(), &head);
        let _ = writeln!(text, "head {}\nprivate {}\nhash {hash}\njson {}\n", hex(&head), hex(&body.private), to_json(&event));
    }
    text
}

fn check(name: &str, text: &str) {
    let mut found = 0;
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let field = |field: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name}: no {field}"))
        };
        let (head, private) = (unhex(field("head")), unhex(field("private")));
        let hash = chain::next(&first_hash(), &head);
        assert_eq!(hash.to_string(), field("hash"), "{name}: the chain");
        let stored = Record { head: &head, private: Some(&private) }.to_stored(hash).expect("a record");
        assert_eq!(stored.commitment, chain::commitment(&private), "{name}: the commitment");
        let Decoded::Known(recorded) = decode(&stored).unwrap_or_else(|why| panic!("{name}: {why}")) else {
            panic!("{name}: unknown")
        };
        let json: Value = serde_json::from_str(field("json")).expect("JSON");
        let is_current = KINDS.contains(&(stored.kind, stored.kind_version, name.split('.').next().unwrap_or_default()));
        let mut meaning = to_json(&recorded.event);
        if let (Value::Object(meaning), Value::Object(json), false) = (&mut meaning, &json, is_current) {
            // What a later version added was not there to be written.
            meaning.retain(|field, _| json.contains_key(field));
            // The second version may keep a text beside the log that the first always had in it.
            if name == "CallReplied.v1" && meaning["tool_calls"] == serde_json::json!({ "inline": json["tool_calls"] }) {
                meaning["tool_calls"].clone_from(&json["tool_calls"]);
            }
        }
        assert_eq!(meaning, json, "{name}: the meaning of stored bytes has changed");
        if is_current {
            let salt = private[..16].try_into().expect("a salt");
            let Body { public, private: again, .. } = encode(&recorded.event, salt).expect("it was encoded before");
            assert_eq!((public, again), (stored.public.clone(), private.clone()), "{name}: the bytes have changed");
            let mut rewritten = Vec::new();
            write_head(&mut rewritten, &stored.envelope, stored.kind, stored.kind_version, &stored.public, &stored.commitment);
            assert_eq!(rewritten, head, "{name}: the envelope's bytes have changed");
        }
        found += 1;
    }
    assert!(found > 0, "{name} is empty");
}

#[test]
fn every_golden_event_still_reads_as_it_was_written() {
    let files = std::fs::read_dir(folder()).expect("tests/golden/events");
    for file in files {
        let path = file.expect("a file").path();
        check(&path.file_stem().expect("a name").to_string_lossy(), &std::fs::read_to_string(&path).expect("text"));
    }
}

#[test]
fn every_kind_and_version_has_a_golden_file() {
    for (kind, current, name) in KINDS {
        for version in 1..=*current {
            let path = folder().join(format!("{name}.v{version}.hex"));
            if !path.exists() && version == *current && std::env::var("MENO_GOLDEN").is_ok_and(|wish| wish == "create") {
                std::fs::create_dir_all(folder()).expect("the folder");
                std::fs::write(&path, create(*kind)).expect("the file");
            }
            assert!(path.exists(), "{} is missing; write it with MENO_GOLDEN=create", path.display());
        }
    }
}
