//! From what a query means to what the index is asked.

use std::ops::Bound;

use super::asked::Order;
use super::lexical::{self, DocumentTest, NumberFact, WordFact};
use super::query::filter::{self, Bounds, Filter, Origin, Outcome};
use super::query::{KnownTerms, Sort, Understood, Vocabulary, filter::mode_name};
use super::search::{OpenIndex, Question};
use super::uses;
use crate::domain::money::NanoUsd;
use crate::domain::tier::Tier;
use crate::views::status::RunStatus;

const NS_PER_MS: i64 = 1_000_000;

/// Names of each sort that a query is searched for.
const NAMES_MAX: usize = 5_000;

/// Returns what queries may speak of: `templates` with ids and names, and what the runs of the index have.
///
/// # Errors
/// When the index cannot be read.
pub fn vocabulary(opened: Option<&OpenIndex>, mut templates: Vec<(String, String)>) -> Result<Vocabulary, lexical::Error> {
    let values = |fact| opened.map_or_else(|| Ok(Default::default()), |open| open.values(fact, NAMES_MAX));
    let list = |fact| values(fact).map(|values| values.into_iter().collect::<Vec<_>>());
    let known: std::collections::HashSet<String> = templates.iter().map(|(id, _)| id.to_lowercase()).collect();
    templates.extend(values(WordFact::Template)?.into_iter().filter(|id| !known.contains(id)).map(|id| (id.clone(), id)));
    let labels = list(WordFact::Label)?;
    let labels = labels.iter().filter_map(|label| label.split_once('='));
    Ok(Vocabulary::new(KnownTerms {
        templates,
        roles: list(WordFact::Role)?,
        models: list(WordFact::Model)?,
        providers: list(WordFact::Provider)?,
        tags: list(WordFact::Tag)?,
        labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    }))
}

/// Returns the question for the index. Filters that name runs are `runs`, each in full, because only the store knows which run a
/// part of an id means.
///
/// A quoted phrase that stands alone is a filter. Within a sentence it is one unless nothing would be left.
pub fn ask(understood: &Understood, limit: usize, run: &dyn Fn(&str) -> Option<String>) -> Question {
    let of = |origin: Origin| {
        let filters = understood.filters.iter().filter(move |filter| filter.origin == origin);
        filters.map(|filter| test(filter, run)).collect::<Vec<_>>()
    };
    let mut hard = of(Origin::Hard);
    let mut phrases: Vec<DocumentTest> = understood.phrases.iter().map(|phrase| DocumentTest::Phrase(phrase.clone())).collect();
    if understood.phrases_alone {
        hard.append(&mut phrases);
    }
    hard.extend(understood.without.iter().map(|word| DocumentTest::Without(word.clone())));
    let changed = understood.changed.iter().map(|file| DocumentTest::Phrase(uses::changed(file)));
    Question {
        text: understood.text.clone(),
        hard,
        from_words: of(Origin::Words),
        phrases,
        soft: understood.boosts.iter().map(|boost| of_test(boost, run)).collect(),
        first: understood.first.iter().map(|test| of_test(test, run)).chain(changed).collect(),
        tests_alone: understood.is_all_filters,
        order: understood.order.map(|order| of_sort(order.sort)),
        skip: understood.order.map_or(0, |order| order.place.saturating_sub(1) as usize),
        from: 0,
        limit,
        // Where nothing is left beside filters there is nothing to be close to.
        all: understood.is_all_filters,
    }
}

fn test(filter: &Filter, run: &dyn Fn(&str) -> Option<String>) -> DocumentTest {
    match (&filter.test, filter.negated) {
        // Its opposite is no complement: a cost that is not wholly known may be on neither side.
        (filter::FilterTest::Cost(bounds), true) => not_of_cost(bounds),
        (test, true) => DocumentTest::Not(Box::new(of_test(test, run))),
        (test, false) => of_test(test, run),
    }
}

fn of_test(test: &filter::FilterTest, run: &dyn Fn(&str) -> Option<String>) -> DocumentTest {
    use filter::FilterTest as Asked;
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let numbers = |fact, bounds: &Bounds<u64>| within(fact, bounds, |number| i64::try_from(number).unwrap_or(i64::MAX));
    match test {
        Asked::Status(outcomes) => DocumentTest::Any(outcomes.iter().map(|outcome| of_outcome(*outcome)).collect()),
        Asked::Time(bounds) => {
            // Whole milliseconds are indexed: a run that began within one is within it.
            let low = match bounds.low {
                Bound::Included(low) | Bound::Excluded(low) => Some(low.div_euclid(NS_PER_MS)),
                Bound::Unbounded => None,
            };
            let high = match bounds.high {
                Bound::Included(high) => Some(high.div_euclid(NS_PER_MS)),
                Bound::Excluded(high) => Some((high - 1).div_euclid(NS_PER_MS)),
                Bound::Unbounded => None,
            };
            DocumentTest::Within(NumberFact::StartedAt, low, high)
        }
        Asked::Cost(bounds) => of_cost(bounds),
        Asked::DurationMs(bounds) => numbers(NumberFact::Duration, bounds),
        Asked::Tier { tiers, only } => {
            let used = DocumentTest::Is(WordFact::Tier, names(tiers.iter().map(|tier| tier.name()).collect()));
            if !only {
                return used;
            }
            let others = [Tier::Cheap, Tier::Capable, Tier::Premium].into_iter().filter(|tier| !tiers.contains(tier));
            let others = DocumentTest::Is(WordFact::Tier, others.map(|tier| tier.name().to_owned()).collect());
            DocumentTest::All(vec![used, DocumentTest::Not(Box::new(others))])
        }
        Asked::Escalated(true) => DocumentTest::Within(NumberFact::Escalations, Some(1), None),
        Asked::Escalated(false) => DocumentTest::Within(NumberFact::Escalations, None, Some(0)),
        Asked::Escalations(bounds) => numbers(NumberFact::Escalations, bounds),
        Asked::Attempts(bounds) => numbers(NumberFact::Attempts, bounds),
        Asked::Agents(bounds) => numbers(NumberFact::Agents, bounds),
        Asked::Template(ids) => DocumentTest::Is(WordFact::Template, ids.clone()),
        Asked::Role(roles) => DocumentTest::Is(WordFact::Role, roles.clone()),
        Asked::Model(models) => DocumentTest::Is(WordFact::Model, models.clone()),
        Asked::Provider(providers) => DocumentTest::Is(WordFact::Provider, providers.clone()),
        Asked::Tag(tags) => DocumentTest::Is(WordFact::Tag, tags.clone()),
        Asked::Label(labels) => {
            let label = |(key, value): &(String, Option<String>)| match value {
                Some(value) => format!("{key}={value}"),
                None => key.clone(),
            };
            DocumentTest::Is(WordFact::Label, labels.iter().map(label).collect())
        }
        Asked::Mode(modes) => DocumentTest::Is(WordFact::Mode, names(modes.iter().map(|mode| mode_name(*mode)).collect())),
        Asked::Rating(bounds) => numbers(NumberFact::Rating, bounds),
        Asked::Kind(kinds) => DocumentTest::Is(WordFact::Kind, names(kinds.iter().map(|kind| kind.name()).collect())),
        Asked::Run(runs) => {
            DocumentTest::Is(WordFact::Run, runs.iter().map(|name| run(name).unwrap_or_else(|| name.clone())).collect())
        }
    }
}

/// What is known of a cost is the least that it can be. It tells that a run cost more than an amount; that it cost no more tells only all
/// of the cost.
fn of_cost(bounds: &Bounds<NanoUsd>) -> DocumentTest {
    let known = within(NumberFact::Cost, bounds, nusd);
    match bounds.high {
        Bound::Unbounded => known,
        Bound::Included(_) | Bound::Excluded(_) => DocumentTest::All(vec![known, cost_is_known()]),
    }
}

/// What is sure to lie outside: a cost of which all is known, and one of which the known part is too much already.
fn not_of_cost(bounds: &Bounds<NanoUsd>) -> DocumentTest {
    let outside = DocumentTest::Not(Box::new(within(NumberFact::Cost, bounds, nusd)));
    let mut any = vec![DocumentTest::All(vec![cost_is_known(), outside])];
    let above = match bounds.high {
        Bound::Included(high) => Some(Bound::Excluded(high)),
        Bound::Excluded(high) => Some(Bound::Included(high)),
        Bound::Unbounded => None,
    };
    any.extend(above.map(|low| within(NumberFact::Cost, &Bounds { low, high: Bound::Unbounded }, nusd)));
    DocumentTest::Any(any)
}

fn cost_is_known() -> DocumentTest {
    DocumentTest::Is(WordFact::CostKnown, vec!["yes".to_owned()])
}

fn nusd(cost: NanoUsd) -> i64 {
    i64::try_from(cost.0).unwrap_or(i64::MAX)
}

fn of_sort(sort: Sort) -> Order {
    let (by, descending) = match sort {
        Sort::Newest => (NumberFact::StartedAt, true),
        Sort::Oldest => (NumberFact::StartedAt, false),
        Sort::MostExpensive => (NumberFact::Cost, true),
        Sort::Cheapest => (NumberFact::Cost, false),
        Sort::Longest => (NumberFact::Duration, true),
        Sort::Shortest => (NumberFact::Duration, false),
        Sort::MostEscalations => (NumberFact::Escalations, true),
        Sort::FewestEscalations => (NumberFact::Escalations, false),
        Sort::MostAttempts => (NumberFact::Attempts, true),
        Sort::FewestAttempts => (NumberFact::Attempts, false),
        Sort::MostAgents => (NumberFact::Agents, true),
        Sort::FewestAgents => (NumberFact::Agents, false),
        Sort::BestRated => (NumberFact::Rating, true),
        Sort::WorstRated => (NumberFact::Rating, false),
    };
    Order { by, descending }
}

fn of_outcome(outcome: Outcome) -> DocumentTest {
    let is = |fact, word: &str| DocumentTest::Is(fact, vec![word.to_owned()]);
    match outcome {
        Outcome::Is(status) => is(WordFact::Status, status.name()),
        Outcome::Verified => is(WordFact::Verified, "yes"),
        Outcome::Unverified => {
            let ended = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
            let ended = DocumentTest::Is(WordFact::Status, ended.map(|status| status.name().to_owned()).into());
            DocumentTest::All(vec![ended, is(WordFact::Verified, "no")])
        }
    }
}

fn within<T: Copy>(fact: NumberFact, bounds: &Bounds<T>, number: impl Fn(T) -> i64) -> DocumentTest {
    let low = match bounds.low {
        Bound::Included(low) => Some(number(low)),
        Bound::Excluded(low) => Some(number(low).saturating_add(1)),
        Bound::Unbounded => None,
    };
    let high = match bounds.high {
        Bound::Included(high) => Some(number(high)),
        Bound::Excluded(high) => Some(number(high).saturating_sub(1)),
        Bound::Unbounded => None,
    };
    DocumentTest::Within(fact, low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::document::{Document, Facts, Kind};
    use crate::memory::lexical::{Lexical, Seen};
    use crate::memory::ordering;
    use crate::memory::query::understand;

    #[test]
    fn a_word_that_must_not_occur_drops_the_run_whichever_of_its_documents_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let index = Lexical::in_memory(dir.path()).unwrap();
        let mut writer = index.writer().unwrap();
        let documents = [
            ("paid", Kind::Run, "deploy of the shop", "it went well"),
            ("paid", Kind::Agent, "reviewer", "the payment service was slow during the deploy"),
            ("plain", Kind::Run, "deploy of the site", "it went well"),
            ("plain", Kind::Agent, "reviewer", "the deploy was fast"),
            ("titled", Kind::Run, "payments", "the deploy was fast"),
        ];
        for (run, kind, title, body) in documents {
            let facts = Facts { run_id: run.to_owned(), ..Facts::default() };
            writer.add(&Document { kind, title: title.to_owned(), body: body.to_owned(), facts }).unwrap();
            // Documents of one run may lie in several parts of the index.
            writer.commit(&Seen::default()).unwrap();
        }
        writer.finish().unwrap();
        let searcher = index.searcher().unwrap();
        let found = |query: &str| {
            let understood = understand(query, &Vocabulary::default(), &"2026-11-22T12:00:00Z[UTC]".parse().unwrap());
            let asked = ask(&understood, 10, &|_| None);
            let words = searcher.words(&asked.text).unwrap().unwrap();
            let best = searcher.best(&words, &asked.hard, 10).unwrap();
            let passing = searcher.passing(&asked.hard).unwrap();
            assert!(best.iter().all(|doc| passing.as_ref().is_none_or(|passing| passing.has(*doc))), "{query}");
            let runs = best.into_iter().map(|doc| searcher.fetch(doc).unwrap().facts.run_id);
            runs.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("deploy"), "paid plain titled");
        assert_eq!(found("deploy -payment"), "plain");
        assert_eq!(found("deploy -\"payment service\""), "plain titled");
        assert_eq!(found("deploy -zebra"), "paid plain titled");
        assert_eq!(found("deploy -the"), "paid plain titled", "a word that is in every text says nothing");
    }

    #[test]
    fn a_cost_that_is_not_wholly_known_is_known_to_be_no_less_and_never_to_be_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let index = Lexical::in_memory(dir.path()).unwrap();
        let mut writer = index.writer().unwrap();
        let runs = [
            ("free", 0, true),
            ("cheap", 500_000_000, true),
            ("dear", 2_000_000_000, true),
            ("unknown", 0, false),
            ("some_cents", 12_300_000, false),
            ("over_a_dollar", 1_200_000_000, false),
        ];
        for (run, cost_nusd, cost_complete) in runs {
            let facts = Facts { run_id: run.to_owned(), cost_nusd, cost_complete, ..Facts::default() };
            writer.add(&Document { kind: Kind::Run, title: String::new(), body: String::new(), facts }).unwrap();
        }
        writer.commit(&Seen::default()).unwrap();
        writer.finish().unwrap();
        let searcher = index.searcher().unwrap();
        let found = |query: &str| {
            let understood = understand(query, &Vocabulary::default(), &"2026-11-22T12:00:00Z[UTC]".parse().unwrap());
            let asked = ask(&understood, 10, &|_| None);
            let tests = [asked.hard, asked.from_words].concat();
            assert_eq!(tests.len(), 1, "{query}: {}", understood.line());
            let passing = searcher.passing(&tests).unwrap().unwrap();
            let order = Order { by: NumberFact::StartedAt, descending: true };
            let all = ordering::all(&searcher, order, &|doc| passing.has(doc)).unwrap();
            let mut all: Vec<String> = all.into_iter().map(|doc| searcher.fetch(doc).unwrap().facts.run_id).collect();
            all.sort();
            all.join(" ")
        };
        for (query, runs) in [
            ("free runs", "free"),
            ("runs that cost nothing", "free"),
            ("runs that cost less than 20 cents", "free"),
            ("cost:<1", "cheap free"),
            ("cost:<0.013", "free"),
            ("cost:1..1.5", ""),
            ("cost:>1", "dear over_a_dollar"),
            ("cost:>=0", "cheap dear free over_a_dollar some_cents unknown"),
            ("cost:>0", "cheap dear over_a_dollar some_cents"),
            ("-cost:<1", "dear over_a_dollar"),
            ("-cost:>1", "cheap free"),
            ("-cost:0", "cheap dear over_a_dollar some_cents"),
            ("-cost:0.4..1", "dear free over_a_dollar"),
            ("runs that did not cost anything", "free"),
            ("runs that do not cost more than 1 dollar", "cheap free"),
        ] {
            assert_eq!(found(query), runs, "{query}");
        }
    }
}
