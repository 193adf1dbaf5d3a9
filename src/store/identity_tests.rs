//! Who a store is, said from facts alone.

use ulid::Ulid;

use super::*;

const A: NodeId = NodeId(Ulid(10));
const B: NodeId = NodeId(Ulid(20));
const C: NodeId = NodeId(Ulid(30));

fn log(node: NodeId, is_open: bool) -> LogFacts {
    LogFacts { folder: node.to_string(), node: Some(node), has_events: true, is_blank: false, is_open, foreign: Vec::new() }
}

fn facts(node_file: NodeFile, logs: Vec<LogFacts>) -> Facts {
    Facts { node_file, logs, traces: Vec::new() }
}

fn more(index: Option<NodeId>, contents: &[(NodeId, u64, &[NodeId])]) -> MoreFacts {
    let contents = contents.iter().map(|(node, last, imports)| (*node, (*last, imports.iter().copied().collect()))).collect();
    MoreFacts { index, contents }
}

/// Returns the own node and how many repairs there are; `None` when it is refused.
#[track_caller]
fn own(facts: &Facts, more: &MoreFacts) -> Option<(NodeId, usize)> {
    match judge(facts, Some(more)) {
        Verdict::Own { node, repairs, .. } => Some((node, repairs.len())),
        Verdict::Refused(_) => None,
        verdict => panic!("{verdict:?}"),
    }
}

const FILES: [NodeFile; 6] =
    [NodeFile::Missing, NodeFile::Damaged, NodeFile::Plain(A), NodeFile::Checked(A), NodeFile::Plain(C), NodeFile::Checked(C)];

#[test]
fn a_lone_log_that_was_appended_to_is_the_stores_own_whatever_its_file_says() {
    for node_file in FILES {
        let repairs = usize::from(node_file != NodeFile::Checked(A));
        assert_eq!(own(&facts(node_file, vec![log(A, true)]), &more(None, &[(A, 9, &[])])), Some((A, repairs)), "{node_file:?}");
    }
    // The index and a file with its check sum say together that this is another store's.
    let other = facts(NodeFile::Checked(C), vec![log(A, true)]);
    assert_eq!(own(&other, &more(Some(C), &[(A, 9, &[])])), None);
}

#[test]
fn an_imported_log_is_never_taken_for_the_stores_own() {
    // B was imported by A; each may have imported the other.
    for imports in [&[][..], &[A][..]] {
        let more = more(None, &[(A, 9, &[B]), (B, 99, imports)]);
        for node_file in FILES.into_iter().chain([NodeFile::Plain(B), NodeFile::Checked(B)]) {
            let found = own(&facts(node_file, vec![log(A, true), log(B, false)]), &more).map(|(node, _)| node);
            assert_eq!(found, Some(A), "{node_file:?}, {imports:?}");
        }
    }
    // Its own log is gone: what is left was imported, and only the index knows better.
    for node_file in [NodeFile::Missing, NodeFile::Damaged, NodeFile::Checked(A), NodeFile::Plain(A)] {
        let left = facts(node_file, vec![log(B, false)]);
        assert_eq!(own(&left, &more(None, &[(B, 9, &[])])), None, "{node_file:?}");
        assert_eq!(own(&left, &more(Some(A), &[(B, 9, &[])])).map(|(node, _)| node), Some(A), "{node_file:?}");
    }
    // A store that was made of an export has sealed segments only.
    assert_eq!(own(&facts(NodeFile::Missing, vec![log(A, false)]), &more(Some(A), &[(A, 9, &[])])), Some((A, 1)));
    assert_eq!(own(&facts(NodeFile::Plain(A), vec![log(A, false)]), &more(None, &[])), Some((A, 1)));
}

#[test]
fn two_own_logs_are_refused_unless_one_of_them_holds_nothing() {
    for node_file in FILES.into_iter().chain([NodeFile::Plain(B), NodeFile::Checked(B)]) {
        let two = facts(node_file, vec![log(A, true), log(B, true)]);
        assert_eq!(own(&two, &more(Some(A), &[(A, 9, &[]), (B, 2, &[])])), None, "{node_file:?}");
        // What a flipped bit in the file made: a log beside, in which nothing happened.
        let verdict = judge(&two, Some(&more(Some(B), &[(A, 9, &[]), (B, 1, &[])])));
        let Verdict::Own { node: A, repairs, .. } = verdict else { panic!("{node_file:?}: {verdict:?}") };
        let aside = Action::Rename(B.to_string().into(), format!("{B}.set-aside").into());
        assert!(repairs.iter().any(|repair| repair.action == aside), "{node_file:?}: {repairs:?}");
    }
}

#[test]
fn nothing_but_nothing_is_a_new_store() {
    let none = more(None, &[]);
    assert_eq!(judge(&facts(NodeFile::Missing, vec![]), Some(&none)), Verdict::New(None));
    // Earlier releases wrote the file first, and a kill may have come then.
    assert_eq!(judge(&facts(NodeFile::Plain(A), vec![]), Some(&none)), Verdict::New(Some(A)));
    let begun = LogFacts { node: None, has_events: false, is_blank: true, ..log(A, false) };
    assert_eq!(judge(&facts(NodeFile::Missing, vec![begun.clone()]), Some(&none)), Verdict::New(Some(A)));
    let spoilt = LogFacts { is_blank: false, ..begun.clone() };
    for (node_file, logs, traces) in [
        (NodeFile::Checked(A), vec![], vec![]),
        (NodeFile::Damaged, vec![], vec![]),
        (NodeFile::Checked(A), vec![begun], vec![]),
        (NodeFile::Missing, vec![spoilt], vec![]),
        (NodeFile::Missing, vec![], vec!["payloads"]),
        (NodeFile::Plain(A), vec![], vec!["an index"]),
    ] {
        let facts = Facts { node_file, logs, traces };
        assert!(matches!(judge(&facts, Some(&none)), Verdict::Refused(_)), "{facts:?}");
    }
}

#[test]
fn renamed_folders_and_misplaced_segments_are_put_right() {
    let renamed = LogFacts { folder: "old".to_owned(), ..log(A, true) };
    let verdict = judge(&facts(NodeFile::Checked(A), vec![renamed.clone()]), None);
    let Verdict::Own { node: A, repairs, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(repairs.len(), 1);
    assert_eq!(repairs[0].action, Action::Rename("old".into(), A.to_string().into()));
    // A copy that somebody made is left alone; one that has another log's name is not.
    let copied = facts(NodeFile::Checked(A), vec![log(A, true), renamed]);
    assert_eq!(judge(&copied, None), Verdict::Own { node: A, folder: A.to_string(), repairs: vec![] });
    let posing = facts(NodeFile::Checked(A), vec![log(A, true), LogFacts { folder: B.to_string(), ..log(A, true) }]);
    let Verdict::Own { node: A, repairs, .. } = judge(&posing, None) else { panic!("{posing:?}") };
    assert_eq!(repairs[0].action, Action::Rename(B.to_string().into(), format!("{B}.set-aside").into()));
    let foreign = facts(NodeFile::Checked(A), vec![LogFacts { foreign: vec![(7, B)], ..log(A, true) }]);
    let Verdict::Own { node: A, repairs, .. } = judge(&foreign, None) else { panic!("{foreign:?}") };
    assert!(repairs[0].finding.as_ref().is_some_and(|finding| finding.contains(&format!("is a segment of log {B}"))));
}

#[test]
fn a_file_with_its_check_sum_is_read_and_no_other() {
    let bytes = NodeFile::bytes(A);
    assert_eq!(NodeFile::read(&bytes), NodeFile::Checked(A));
    assert_eq!(NodeFile::read(format!("{A}\n").as_bytes()), NodeFile::Plain(A));
    assert_eq!(NodeFile::read(A.to_string().as_bytes()), NodeFile::Plain(A));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(!matches!(NodeFile::read(&flipped), NodeFile::Checked(node) if node != A), "byte {at}, bit {bit}");
            assert!(!matches!(NodeFile::read(&flipped), NodeFile::Plain(_)), "byte {at}, bit {bit}");
        }
    }
}
