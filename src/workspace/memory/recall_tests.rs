//! Searches over runs with known texts: what is measured is what is found, and runs are never held up.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::memory::collection::{self, Collection};
use crate::workspace::Workspace;

/// Asks as `meno search` does; hits are the runs' own ids.
fn ask(workspace: &Workspace, query: &str, all: bool) -> (SearchResponse, Vec<String>) {
    let request = SearchRequest::new(query).all(all).catch_up(Duration::from_secs(60));
    let found = workspace.memory().search_here(&request).unwrap();
    let own = |id: &String| workspace.runs().detail(id.parse().unwrap()).unwrap().foreign_run_id.unwrap();
    let ids = found.hits.iter().map(|hit| own(&hit.run_id)).collect();
    (found, ids)
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn what_is_measured_on_texts_is_what_search_finds_in_runs_with_these_texts() {
    let dir = tempfile::tempdir().unwrap();
    let now: jiff::Zoned = "2026-11-29T12:00:00Z[UTC]".parse().unwrap();
    for name in ["paraphrases", "long_questions"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections").join(name);
        let collection = Collection::read(&folder, &|_| Ok(Vec::new())).unwrap();
        let (scratch, cache) = (dir.path().join(format!("{name}-index")), dir.path().join("cache"));
        let quality = collection::measure(&collection, &Embedder::builtin(), &scratch, &cache, &now, &|_, _| true).unwrap();
        let of = |mode: &str| quality.modes.iter().find(|measured| measured.mode == mode).unwrap().ndcg_at_10;
        let (lexical, semantic, hybrid) = (of("lexical"), of("semantic"), of("hybrid"));
        assert!(hybrid >= lexical.max(semantic) - 0.005, "{name}: {hybrid} of {lexical} and {semantic}");

        let workspace = Workspace::at(&dir.path().join(name), None).unwrap();
        workspace.keeping().import_runs(collection.as_runs().as_bytes(), "collection", &mut |_| ()).unwrap();
        let searched = collection.ndcg_of(&mut |query| ask(&workspace, query, false).1);
        assert!((searched - hybrid).abs() < 0.01, "{name}: search {searched}, bench {hybrid}");

        let (found, ids) = ask(&workspace, "zxqv blorptastic wizzle gronk", false);
        assert!(found.nothing_close && ids.is_empty(), "{ids:?}");
        let (found, ids) = ask(&workspace, "zxqv blorptastic wizzle gronk", true);
        assert!(found.nothing_close && ids.len() == 10 && found.hits.iter().all(|hit| hit.weak));
    }
}

#[test]
fn a_search_by_words_alone_says_why_and_what_can_be_done() {
    assert_eq!(by_words_alone(Some("only words were asked for")), "searched by words alone: only words were asked for");
    assert!(by_words_alone(None).ends_with("nothing is embedded yet; `meno reindex` embeds it"));
}

#[test]
fn quoted_words_in_a_sentence_never_empty_the_answer_and_alone_they_are_a_filter() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(&dir.path().join("store"), None).unwrap();
    let run = |id: &str, report: &str| {
        let started_at = "2026-01-01T00:00:00Z";
        let run =
            serde_json::json!({"run_id": id, "template_id": "report", "started_at": started_at, "agents": [], "report": report});
        format!("{run}\n")
    };
    let lines = [
        run("a", "The connection pool ran dry during the sale, and orders were lost."),
        run("b", "The sale of old furniture was announced on the notice board."),
    ];
    workspace.keeping().import_runs(lines.concat().as_bytes(), "test", &mut |_| ()).unwrap();
    let (found, ids) = ask(&workspace, "why were orders lost when the \"thread pool\" ran dry during the sale", false);
    assert_eq!((ids[0].as_str(), found.understood.loosened), ("a", vec!["thread pool".to_owned()]));
    let (found, ids) = ask(&workspace, "orders lost because the \"connection pool\" ran dry", false);
    assert_eq!((ids, found.understood.loosened), (vec!["a".to_owned()], Vec::new()));
    let (_, ids) = ask(&workspace, "\"thread pool\"", false);
    assert_eq!(ids, [] as [String; 0]);
    let (_, ids) = ask(&workspace, "\"connection pool\"", false);
    assert_eq!(ids, ["a"]);
}

#[test]
fn what_has_no_vector_is_embedded_beside_other_work_until_the_guard_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Arc::new(Workspace::at(&dir.path().join("store"), None).unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections/paraphrases");
    let collection = Collection::read(&folder, &|_| Ok(Vec::new())).unwrap();
    workspace.keeping().import_runs(collection.as_runs().as_bytes(), "collection", &mut |_| ()).unwrap();
    workspace.memory().remember().unwrap();
    let embedder = workspace.memory().embedder().unwrap();
    let vectors = || workspace.memory().index_place().vectors(&embedder).map_or(0, |vectors| vectors.len());
    assert_eq!(vectors(), 0, "nothing is embedded where nobody waits");
    drop(workspace.embed_beside(Duration::from_secs(3_600)));
    let beside = workspace.embed_beside(Duration::from_millis(1));
    while vectors() < collection.documents.len() {
        // The index can be changed meanwhile.
        workspace.memory().remember().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(beside);
    assert_eq!(vectors(), collection.documents.len());
}

#[test]
fn one_damaged_text_takes_nothing_else_out_of_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let workspace = Workspace::at(&store, None).unwrap();
    let line = |id: &str, report: &str| {
        let started_at = "2026-01-01T00:00:00Z";
        serde_json::json!({"run_id": id, "template_id": "report", "started_at": started_at, "agents": [], "report": report})
            .to_string()
            + "\n"
    };
    let long = "The connection pool ran dry during the sale, and orders were lost. ".repeat(300);
    let lines = line("a", &long) + &line("b", "The sale of old furniture was announced on the notice board.");
    workspace.keeping().import_runs(lines.as_bytes(), "test", &mut |_| ()).unwrap();
    let mut damaged = 0;
    for folder in std::fs::read_dir(store.join("payloads")).unwrap().flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            std::fs::write(file.path(), "x").unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "nothing lies beside the log");
    let (found, ids) = ask(&workspace, "old furniture on the notice board", false);
    assert_eq!((ids, found.indexed_to), (vec!["b".to_owned()], found.log_head));
    for run in workspace.runs().run_ids().unwrap() {
        workspace.runs().detail(run.parse().unwrap()).unwrap();
    }
    assert!(!workspace.inspect().unwrap().payloads_damaged.is_empty());
}

#[test]
fn words_that_are_left_after_an_import_are_told_and_done_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(&dir.path().join("store"), None).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/collections/paraphrases");
    let collection = Collection::read(&folder, &|_| Ok(Vec::new())).unwrap();
    workspace.keeping().import_runs(collection.as_runs().as_bytes(), "collection", &mut |_| ()).unwrap();
    let log_head = workspace.log.head().unwrap().seq;
    let first = workspace.memory().remember_within(Duration::ZERO).unwrap().unwrap();
    let second = workspace.memory().remember_within(Duration::ZERO).unwrap().unwrap();
    assert!(first.indexed_to < second.indexed_to && second.indexed_to < log_head, "{first:?} {second:?}");
    assert_eq!((first.log_head, second.log_head), (log_head, log_head));
    assert_eq!(workspace.memory().remember_within(Duration::from_secs(3_600)).unwrap(), None);
}

#[test]
fn a_word_within_a_sentence_without_spaces_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::at(&dir.path().join("store"), None).unwrap();
    let reports = [
        ("japanese", "修正する：ウェブソケットのテストが不安定です。src/main.rsを直した。"),
        ("chinese", "数据库连接池耗尽，网络中断了九分钟。"),
        ("thai", "ฐานข้อมูลเต็มเมื่อคืนนี้"),
        ("english", "The websocket test is flaky."),
    ];
    let line = |(id, report): &(&str, &str)| {
        let run = serde_json::json!({
            "run_id": id, "template_id": "report", "started_at": "2026-01-01T00:00:00Z", "agents": [], "report": report
        });
        format!("{run}\n")
    };
    let lines: String = reports.iter().map(line).collect();
    workspace.keeping().import_runs(lines.as_bytes(), "test", &mut |_| ()).unwrap();
    let asked = |query: &str| {
        let request = SearchRequest { lexical_only: true, ..SearchRequest::new(query).catch_up(Duration::from_secs(60)) };
        let found = workspace.memory().search_here(&request).unwrap();
        let own = |id: &String| workspace.runs().detail(id.parse().unwrap()).unwrap().foreign_run_id.unwrap();
        let ids: Vec<String> = found.hits.iter().map(|hit| own(&hit.run_id)).collect();
        (ids, found.hits)
    };
    for (query, id) in [
        ("ウェブソケット", "japanese"),
        ("テスト", "japanese"),
        ("不安定なテスト", "japanese"),
        ("\"不安定です\"", "japanese"),
        ("src/main.rs", "japanese"),
        ("网络", "chinese"),
        ("数据库", "chinese"),
        ("\"连接池耗尽\"", "chinese"),
        ("ข้อมูล", "thai"),
        ("websocket", "english"),
    ] {
        assert_eq!(asked(query).0, [id], "{query}");
    }
    assert_eq!(asked("\"テストする\"").0, [] as [&str; 0], "a phrase is all of its characters");
    let hit = &asked("ウェブソケット").1[0];
    let marked: Vec<&str> = hit.highlights.iter().map(|(from, to)| &hit.snippet[*from..*to]).collect();
    assert_eq!(marked, ["ウェブソケット"], "pairs that overlap are one place");
}
