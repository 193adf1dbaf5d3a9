//! What must hold for any bytes. The fuzz targets try them with what a fuzzer finds, the ordinary tests with random and mutated
//! bytes, so that the targets compile and hold without a fuzzer too.

use std::sync::LazyLock;

use meno::event::{Envelope, Hash, KINDS, NodeId};
use meno::internals::domain::{Context, ProviderKind, parse_agent_bytes, parse_bytes};
use meno::internals::lake::{Line, Lines, read};
use meno::internals::memory::{Filter, KnownTerms, Vocabulary, understand};
use meno::internals::providers::Decoder;
use meno::internals::store::Stored;
use meno::internals::store::codec::decode;
use meno::internals::store::journal::Frame;

/// Stored bytes of any kind are decoded or refused.
pub fn record(bytes: &[u8]) {
    if let Some(frame) = Frame::read(bytes, NodeId::from_bytes([0; 16])) {
        frame.records().for_each(drop);
    }
    let (kind, kind_version, _) = KINDS[bytes.first().map_or(0, |byte| usize::from(*byte)) % KINDS.len()];
    let (public, private) = bytes.split_at(bytes.len() / 2);
    let envelope = Envelope { seq: 1, run: None, version: 0, at: 0, occurred_at: None, cause: None };
    let stored = Stored {
        envelope,
        kind,
        kind_version,
        public: public.to_vec(),
        commitment: [0; 32],
        private: Some(private.to_vec()),
        hash: Hash::default(),
    };
    drop(decode(&stored));
}

const KINDS_OF_PROVIDERS: [ProviderKind; 4] =
    [ProviderKind::Anthropic, ProviderKind::OpenaiChat, ProviderKind::OpenaiResponses, ProviderKind::Ollama];

/// A provider's bytes decode to the same, however they are cut into pieces. The first byte chooses the dialect and the pieces.
pub fn stream(bytes: &[u8]) {
    let Some((choice, stream)) = bytes.split_first() else { return };
    let kind = KINDS_OF_PROVIDERS[usize::from(*choice) % KINDS_OF_PROVIDERS.len()];
    let decode = |pieces: Vec<&[u8]>| {
        let mut decoder = Decoder::new(kind);
        let pushed = pieces.into_iter().try_for_each(|piece| decoder.push(piece).map_err(|fault| fault.class));
        pushed.map(|()| decoder.finish().map_err(|ended| ended.0.class).map(|draft| (draft.stop_reason(), draft.tool_calls())))
    };
    let whole = decode(vec![stream]);
    let pieces = decode(stream.chunks(usize::from(*choice % 7) + 1).collect());
    assert_eq!(whole, pieces);
}

/// Any text is a template or a list of problems with places.
pub fn template(bytes: &[u8]) {
    for problem in parse_bytes(bytes, None, &Context::default()).problems {
        assert!(problem.line > 0 && problem.column > 0, "{problem}");
    }
    drop(parse_agent_bytes(bytes, None, &Context::default()));
}

/// Any text is lines, and every line a run or a list of problems.
pub fn import(bytes: &[u8]) {
    let mut lines = Lines::new(bytes);
    while let Ok(Some((_, line))) = lines.next_line() {
        if let Line::Text(text) = line {
            match read::line(text) {
                Ok((run, _)) => drop(run.digest()),
                Err(problems) => assert!(problems.iter().all(|problem| !problem.reason.is_empty() && !problem.remedy.is_empty())),
            }
        }
    }
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Vocabulary::new(KnownTerms {
        templates: vec![("release_prep".to_owned(), "Release preparation".to_owned())],
        roles: names(&["type_checker", "security auditor"]),
        models: names(&["claude-sonnet-4-5", "gpt-5"]),
        providers: names(&["anthropic", "openai"]),
        tags: names(&["flaky"]),
        labels: vec![("team".to_owned(), "core".to_owned())],
    })
});

/// Any text is understood, and every filter of it can be typed as a key again.
pub fn query(query: &str) {
    let now = "2026-11-22T12:00:00+01:00[+01:00]".parse().expect("a moment");
    let understood = understand(query, &VOCABULARY, &now);
    assert!(!understood.line().is_empty() && !understood.text.contains(char::is_control));
    drop(understood.report());
    let typed: Vec<String> = understood.filters.iter().map(Filter::to_key_value).collect();
    for (filter, typed) in understood.filters.iter().zip(typed) {
        let again = understand(&typed, &VOCABULARY, &now);
        assert!(again.filters.iter().any(|other| other.test.key() == filter.test.key()), "{typed}");
    }
}
