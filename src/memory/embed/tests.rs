use super::*;

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn the_model_that_ships_knows_what_belongs_together() {
    let embedder = Embedder::builtin().with_workers(1);
    let texts = [
        "the release failed because the type checker found errors",
        "mypy reported problems so we could not publish",
        "a recipe for apple pie",
    ];
    let vectors = embedder.embed(&texts).unwrap();
    assert!(vectors.iter().all(|vector| (dot(vector, vector) - 1.0).abs() < 1e-4 && vector.len() == embedder.dims()));
    assert!(dot(&vectors[0], &vectors[1]) > dot(&vectors[0], &vectors[2]) + 0.2);
    // Alone or beside others, a text has the same vector.
    let alone = embedder.query(texts[2]).unwrap();
    assert!(dot(&alone, &vectors[2]) > 0.9999);
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn embedding_stops_when_it_is_told_to() {
    let embedder = Embedder::builtin().with_workers(1);
    let texts: Vec<String> = (0..40).map(|n| format!("text number {n}")).collect();
    let vectors = embedder.embed_with(&texts, &|done| done < 16).unwrap();
    assert_eq!(vectors.iter().flatten().count(), 16);
}

#[test]
fn batches_hold_every_text_once_and_like_lengths_together() {
    let texts: Vec<String> = (0..2500).map(|n| "x".repeat(n * 7919 % 300)).collect();
    let batches = batches(&texts);
    let mut all: Vec<usize> = batches.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, (0..2500).collect::<Vec<_>>());
    let widest = |batch: &Vec<usize>| {
        let lengths = || batch.iter().map(|index| texts[*index].len());
        lengths().max().unwrap() - lengths().min().unwrap()
    };
    assert!(batches.iter().map(widest).max().unwrap() <= 60);
    assert!(batches[0].iter().all(|index| *index < 1024), "the front comes first");
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn a_model_that_was_not_fetched_is_named_with_its_missing_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Embedder::open("bgesmallenv15", folder.path(), None).unwrap_err();
    assert!(missing.to_string().starts_with("the embedding model `BGESmallENV15` is not here"), "{missing}");
    assert!(matches!(Embedder::open("nonsense", folder.path(), None), Err(Error::Unknown(_))));
}

#[test]
#[cfg_attr(not(feature = "embeddings"), ignore = "needs the sentence model")]
fn what_is_unrelated_is_measured_and_far_from_what_belongs_together() {
    let embedder = Embedder::builtin().with_workers(1);
    let measured = unrelated::measure(&embedder).unwrap();
    let known = embedder.unrelated().unwrap();
    assert!((measured.mean - known.mean).abs() < 0.06 && (measured.deviation - known.deviation).abs() < 0.03, "{measured:?}");
    assert!(known.floor() < known.floor_of_best() && (0.15..0.3).contains(&known.floor()), "{}", known.floor());
}
