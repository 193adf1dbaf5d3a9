//! Decides which phrases are filters: those that are said of a subject, or stand in a query that clearly speaks of runs.
//!
//! In doubt a phrase is a hint and no filter: a wrong filter hides what was looked for, a missing one only ranks it lower.

use super::amounts::w;
use super::filter::{Bounds, FilterTest, Outcome};
use super::negation::{self, Said};
use super::order::Order;
use super::period::Calendar;
use super::phrase::{Meaning, Need, PhraseMatch};
use super::scan::Word;
use super::states::is_noun;
use super::subject::{POLITE, STOP, Subject, SubjectSpan, ends_here};

/// Words between a subject and what is said of it.
const AUXILIARIES: &[&str] = &[
    "have",
    "has",
    "had",
    "were",
    "was",
    "are",
    "is",
    "been",
    "being",
    "be",
    "got",
    "get",
    "getting",
    "do",
    "does",
    "did",
    "also",
    "then",
    "all",
    "both",
    "eventually",
    "finally",
    "later",
    "already",
    "just",
    "still",
    "yet",
    "ever",
    "last",
    "first",
    "again",
    "recently",
    "actually",
    "either",
    "they",
    "i",
    "we",
    "you",
    "he",
    "she",
    "completely",
    "always",
    "sometimes",
    "often",
    "usually",
    "ran",
    "started",
    "created",
    "executed",
    "happened",
    "done",
    "tried",
    "having",
];
const RELATIVES: &[&str] = &["that", "which", "who"];
const CONJUNCTIONS: &[&str] = &["and", "or", "but", "nor"];

/// Words that join filters where nothing else is said: "failed and over $2".
const GLUE: &[&str] = &[
    "and", "or", "but", "the", "a", "in", "at", "on", "with", "from", "that", "which", "were", "was", "have", "has", "all",
    "only", "also", "ones", "one", "any", "did", "been", "be", "is", "are", "of", "–", "-", "&", "+", "/", "i", "we",
];

/// The most words of a noun between an adjective and "runs": "failed database migration runs".
const GAP_MAX: usize = 3;

/// What was decided.
#[derive(Debug, Default)]
pub struct Decided {
    /// Filters: what is asked, whether negated.
    pub filters: Vec<(FilterTest, bool)>,
    /// What comes first.
    pub order: Option<Order>,
    /// Hints.
    pub boosts: Vec<FilterTest>,
    /// Words that are spoken for: by filters and by the subject.
    pub used: Vec<(usize, usize)>,
    /// "runs" is among them, of whatever template.
    pub speaks_of_runs: bool,
}

/// What is decided upon.
pub struct Resolver<'a> {
    /// The words.
    pub words: &'a [Word],
    /// Dates.
    pub calendar: &'a Calendar<'a>,
    /// Of whom the query speaks.
    pub subjects: &'a [SubjectSpan],
    /// What may be filters.
    pub phrases: Vec<PhraseMatch>,
    /// A `key:value` was typed, so that the query speaks of runs.
    pub keyed: bool,
}

/// How a phrase is tied to a subject.
#[derive(Clone, Copy)]
struct Tie {
    subject: usize,
    /// The first word that belongs to it: auxiliaries before it.
    from: usize,
}

fn is_firm(subject: &Subject) -> bool {
    matches!(subject, Subject::Runs(_) | Subject::Template(_))
}

impl Resolver<'_> {
    /// Decides.
    pub fn decide(self) -> Decided {
        let ties: Vec<Option<Tie>> = self.phrases.iter().map(|found| self.tie(found)).collect();
        let said: Vec<Said> = self.phrases.iter().map(|found| self.said(found)).collect();
        let either = self.alternatives(&said);
        let any_candidate = self.phrases.iter().any(|found| matches!(found.need, Need::Context | Need::Nothing));
        let covered = self.covered(&said);
        let any_firm = self.subjects.iter().any(|place| is_firm(&place.subject));
        let speaks = self.keyed
            || covered
            || self.phrases.iter().any(|found| found.need == Need::Nothing)
            || self.subjects.iter().any(|place| match &place.subject {
                Subject::Runs(_) | Subject::Template(_) | Subject::Notes | Subject::Open { asks: true } => true,
                Subject::Parts | Subject::Plural | Subject::Open { asks: false } => self.carries(place, &ties),
            });
        let any_runs = |place: &SubjectSpan| matches!(&place.subject, Subject::Runs(ids) if ids.is_empty());
        let mut decided = Decided { speaks_of_runs: self.subjects.iter().any(any_runs), ..Decided::default() };
        for (number, found) in self.phrases.iter().enumerate() {
            let tie = ties.get(number).copied().flatten();
            let said = said.get(number).copied().unwrap_or(Said::Plain);
            let tied = tie.and_then(|tie| self.subjects.get(tie.subject)).map(|place| &place.subject);
            let fits = match (found.need, &found.meaning) {
                (Need::Nothing, _) => true,
                (Need::Context, _) => speaks,
                (Need::Before, Meaning::Order(_)) => covered || tied.is_some_and(is_firm),
                (Need::Before | Need::Attached { .. }, Meaning::Test(test)) => {
                    tied.is_some_and(|subject| match subject {
                        Subject::Plural | Subject::Open { .. } => any_candidate && speaks,
                        Subject::Parts => matches!(test, FilterTest::Escalated(_)),
                        subject => is_firm(subject),
                    }) || (covered && !any_firm && (found.need != Need::Before || matches!(test, FilterTest::Tier { .. })))
                }
                _ => false,
            };
            let accepted = fits && said != Said::Unclear && !either.contains(&number);
            let (denied, from) = match said {
                Said::Not(from) => (true, from.min(tie.map_or(from, |tie| tie.from))),
                _ => (false, tie.map_or(found.from, |tie| tie.from.min(found.from))),
            };
            match &found.meaning {
                Meaning::Order(order) if accepted && !denied => {
                    // "the last run but one"
                    let known = decided.order.get_or_insert(*order);
                    if known.sort == order.sort && order.place > 1 {
                        *known = *order;
                    }
                    decided.used.push((from, found.to));
                }
                Meaning::Test(test) if accepted => {
                    merge(&mut decided.filters, test.clone(), denied != found.negated);
                    decided.used.push((from, found.to));
                }
                Meaning::Test(test) if !found.negated && !denied && !matches!(test, FilterTest::Time(_)) => {
                    decided.boosts.push(test.clone());
                }
                _ => {}
            }
        }
        self.name_templates(&mut decided, speaks, covered);
        decided
    }

    /// Tells whether `found` is denied.
    fn said(&self, found: &PhraseMatch) -> Said {
        self.said_at((found.from, found.to), Some(found))
    }

    fn said_at(&self, (from, to): (usize, usize), found: Option<&PhraseMatch>) -> Said {
        let subject =
            |at: usize| self.subjects.iter().find(|place| place.to == at && place.to > place.from).map(|place| place.from);
        let ending = |at: usize| {
            let other = self.phrases.iter().find(|other| other.to == at && other.from < at)?;
            let nouns = || found.is_some_and(|found| is_noun(self.words, found) && is_noun(self.words, other));
            let test = found.and_then(PhraseMatch::test);
            Some((other.from, test.zip(other.test()).is_some_and(|(one, other)| alike(one, other)) || nouns()))
        };
        negation::of(self.words, (from, to), &subject, &ending)
    }

    /// Finds phrases joined by "or" that no one list of values can say: "failed or over $2". A filter for one of them would hide what is
    /// asked for with the other.
    fn alternatives(&self, said: &[Said]) -> Vec<usize> {
        let mut either = Vec::new();
        let mut chain: Vec<usize> = Vec::new();
        let mut mixed = false;
        for (number, found) in self.phrases.iter().enumerate() {
            let joined = chain.last().and_then(|last| self.phrases.get(*last)).is_some_and(|last| {
                w(self.words, last.to) == "or"
                    && (last.to + 1..found.from).all(|at| {
                        AUXILIARIES.contains(&w(self.words, at))
                            || RELATIVES.contains(&w(self.words, at))
                            || negation::is_part(self.words, at)
                            || matches!(w(self.words, at), "with" | "in" | "at" | "the" | "from")
                    })
            });
            if !joined {
                if mixed {
                    either.append(&mut chain);
                }
                chain.clear();
                mixed = false;
            } else if let Some(last) = chain.last() {
                let is = |number: usize| matches!(said.get(number), Some(Said::Not(_)));
                let same = self
                    .phrases
                    .get(*last)
                    .and_then(PhraseMatch::test)
                    .zip(found.test())
                    .is_some_and(|(one, other)| alike(one, other) && is(*last) == is(number));
                // "neither failed nor simulated": both are denied, whatever they are.
                mixed |= !(same || (is(*last) && is(number)));
            }
            chain.push(number);
        }
        if mixed {
            either.append(&mut chain);
        }
        either
    }

    /// Adds the templates that stand for their runs, and those whose runs are not wanted.
    fn name_templates(&self, decided: &mut Decided, speaks: bool, covered: bool) {
        let denied = |place: &SubjectSpan| match &place.subject {
            Subject::Runs(ids) | Subject::Template(ids) if !ids.is_empty() => {
                matches!(self.said_at((place.from, place.to), None), Said::Not(_))
            }
            _ => false,
        };
        let filtered = !decided.filters.is_empty() || decided.order.is_some() || (covered && self.subjects.iter().any(denied));
        let firm_runs = self.subjects.iter().any(|place| matches!(place.subject, Subject::Runs(_)));
        let (mut wanted, mut unwanted): (Vec<String>, Vec<String>) = Default::default();
        for place in self.subjects {
            let (Subject::Runs(ids) | Subject::Template(ids)) = &place.subject else {
                if speaks && (filtered || matches!(place.subject, Subject::Open { asks: true })) {
                    decided.used.push((place.from, place.to));
                }
                continue;
            };
            let is_runs = matches!(place.subject, Subject::Runs(_));
            let said = if ids.is_empty() { Said::Plain } else { self.said_at((place.from, place.to), None) };
            let taken = match said {
                Said::Unclear => false,
                Said::Not(_) => is_runs || filtered || firm_runs || covered,
                Said::Plain => is_runs || filtered,
            };
            if !taken {
                if said == Said::Plain {
                    decided.boosts.push(FilterTest::Template(ids.clone()));
                }
                continue;
            }
            match said {
                Said::Not(from) => {
                    unwanted.extend(ids.iter().cloned());
                    decided.used.push((from, place.to));
                }
                _ => {
                    wanted.extend(ids.iter().cloned());
                    decided.used.push((place.from, place.to));
                }
            }
        }
        for (mut ids, negated) in [(unwanted, true), (wanted, false)] {
            if !ids.is_empty() {
                ids.sort();
                ids.dedup();
                decided.filters.insert(0, (FilterTest::Template(ids), negated));
            }
        }
    }

    /// Tells whether what is said of a weak subject makes it stand for runs: "releases that failed last month".
    fn carries(&self, place: &SubjectSpan, ties: &[Option<Tie>]) -> bool {
        let candidate = |found: &PhraseMatch| matches!(found.need, Need::Context | Need::Nothing);
        let stated = ties
            .iter()
            .flatten()
            .any(|tie| self.subjects.get(tie.subject).is_some_and(|tied| tied.from == place.from && tied.to == place.to));
        let relative = RELATIVES.contains(&w(self.words, place.to));
        let behind = place.to + usize::from(relative);
        let next = self.phrases.iter().find(|found| {
            let gap =
                (behind..found.from).all(|at| AUXILIARIES.contains(&w(self.words, at)) || negation::is_part(self.words, at));
            found.from >= behind && gap && candidate(found)
        });
        let next = next.is_some_and(|found| match (&place.subject, found.test()) {
            // "releases since May" may be anybody's, "releases over $2" and "everything since May" are ours.
            (Subject::Plural, Some(FilterTest::Cost(_))) | (Subject::Open { .. }, _) => true,
            (Subject::Plural, Some(FilterTest::DurationMs(_) | FilterTest::Tier { .. } | FilterTest::Escalated(_))) => relative,
            (Subject::Parts, Some(FilterTest::Tier { .. } | FilterTest::Escalated(_))) => true,
            (Subject::Plural | Subject::Parts, Some(FilterTest::Escalations(_) | FilterTest::Attempts(_))) => relative,
            _ => false,
        });
        next || (stated && self.phrases.iter().any(candidate)) || (stated && matches!(place.subject, Subject::Parts))
    }

    /// Tells whether the query is nothing but filters: "failed yesterday", "since May", "not failed", "the cheapest".
    fn covered(&self, said: &[Said]) -> bool {
        let inside = |at: usize| {
            self.phrases.iter().any(|found| found.need != Need::Never && found.from <= at && at < found.to)
                || self
                    .subjects
                    .iter()
                    .any(|place| !matches!(place.subject, Subject::Plural | Subject::Parts) && place.from <= at && at < place.to)
        };
        let polite = self.words.iter().take_while(|word| POLITE.contains(&word.text.as_str())).count();
        let glue = |at: usize| GLUE.contains(&w(self.words, at)) || negation::is_part(self.words, at);
        let all = (0..self.words.len()).all(|at| at < polite || inside(at) || glue(at));
        // A state alone is a word like any other; a date, an amount, an order, or what is denied is not.
        let telling = |(found, said): (&PhraseMatch, &Said)| {
            matches!(found.need, Need::Context | Need::Nothing)
                || matches!(found.meaning, Meaning::Order(_))
                || found.negated
                || matches!(said, Said::Not(_))
        };
        let without = || {
            let mut named = self.subjects.iter().filter(|place| matches!(place.subject, Subject::Template(_)));
            named.any(|place| matches!(self.said_at((place.from, place.to), None), Said::Not(_)))
        };
        all && (self.phrases.iter().zip(said).any(telling) || without())
            && !self.phrases.iter().any(|found| found.need == Need::Never)
    }

    fn starts(&self, at: usize) -> Option<&PhraseMatch> {
        self.phrases.iter().find(|found| found.from == at)
    }

    /// Finds the subject of which `found` is said.
    fn tie(&self, found: &PhraseMatch) -> Option<Tie> {
        let before = matches!(found.need, Need::Before | Need::Attached { adjective: true });
        let after = matches!(found.need, Need::Attached { .. });
        (before.then(|| self.ahead(found)).flatten())
            .or_else(|| after.then(|| self.behind(found)).flatten())
            .or_else(|| self.between(found))
    }

    /// "when did release_prep last succeed": an adverb between a subject and what is said of it.
    fn between(&self, found: &PhraseMatch) -> Option<Tie> {
        let subject = self.subjects.iter().position(|place| place.to == found.from && place.to > place.from)?;
        let next = self.starts(found.to).is_some_and(|next| matches!(next.need, Need::Attached { .. }))
            || matches!(w(self.words, found.to), "ran" | "run" | "started");
        (next && matches!(found.meaning, Meaning::Order(_))).then_some(Tie { subject, from: found.from })
    }

    /// "failed premium runs": looks to the right, over other adjectives and a few words of a noun.
    fn ahead(&self, found: &PhraseMatch) -> Option<Tie> {
        let mut at = found.to;
        let mut gap = 0;
        for _ in 0..16 {
            if let Some(subject) = self.subjects.iter().position(|place| place.from == at && place.to > at) {
                let place = self.subjects.get(subject)?;
                let reachable = gap == 0 || matches!(place.subject, Subject::Runs(_));
                return reachable.then_some(Tie { subject, from: found.from });
            }
            let word = w(self.words, at);
            if let Some(next) = self.starts(at).filter(|next| {
                matches!(next.need, Need::Before | Need::Attached { adjective: true } | Need::Never) || next.to == at + 1
            }) {
                at = next.to;
            } else if matches!(word, "and" | "or" | "&" | "/" | "+" | "nor" | "but" | "not") {
                at += 1;
            } else if !word.is_empty()
                && !STOP.contains(&word)
                && gap < GAP_MAX
                && !self.words.get(at - 1).is_some_and(|word| word.stop)
            {
                gap += 1;
                at += 1;
            } else {
                return None;
            }
        }
        None
    }

    /// "runs that have not failed": looks to the left, over auxiliaries and what else is said of the subject.
    fn behind(&self, found: &PhraseMatch) -> Option<Tie> {
        let mut at = found.from;
        // Without "that", "were" or the like, "runs failed tests" could speak of tests.
        let mut open = false;
        let mut linked = false;
        for _ in 0..32 {
            let subject = self.subjects.iter().position(|place| place.to == at && (place.to > place.from || at == found.from));
            if let Some(subject) = subject {
                let place = self.subjects.get(subject)?;
                let closed = open || self.closes(found.to);
                return closed.then_some(Tie { subject, from: found.from }).filter(|_| place.to <= found.from);
            }
            let last = at.checked_sub(1)?;
            let word = w(self.words, last);
            let ending = self.phrases.iter().find(|other| other.to == at && other.from < at && other.need != Need::Never);
            if let Some(other) = ending.filter(|other| matches!(other.meaning, Meaning::Order(_))) {
                at = other.from;
            } else if let Some(other) = ending {
                // Two sayings need a link: "since May and failed", "since May that failed", "last week, failed".
                let comma = self.words.get(last).is_some_and(|word| word.stop);
                // "runs where the linter failed": the linter did, not the run.
                let another = matches!(other.test(), Some(FilterTest::Role(_)));
                if !(linked || comma || !(another || matches!(other.need, Need::Attached { .. }))) {
                    return None;
                }
                at = other.from;
            } else if let Some(denial) = negation::ends_at(self.words, at) {
                linked |= word == "nor";
                open = true;
                at = denial;
            } else if matches!(word, "the" | "those" | "any" | "a") && negation::ends_at(self.words, last).is_some() {
                at = last;
            } else if AUXILIARIES.contains(&word) {
                open |= !matches!(word, "all" | "both" | "last" | "first" | "either");
                at = last;
            } else if RELATIVES.contains(&word) {
                open = true;
                linked = true;
                at = last;
            } else if CONJUNCTIONS.contains(&word) {
                linked = true;
                at = last;
            } else {
                return None;
            }
        }
        None
    }

    fn closes(&self, at: usize) -> bool {
        ends_here(self.words, at, self.calendar) || self.starts(at).is_some_and(|found| found.need != Need::Never)
    }
}

/// Adds a filter to the others: lists of the same kind are alternatives, ranges must all hold.
fn merge(filters: &mut Vec<(FilterTest, bool)>, test: FilterTest, negated: bool) {
    for (seen, not) in filters.iter_mut().filter(|(_, not)| *not == negated) {
        let merged = match (&mut *seen, &test) {
            (FilterTest::Status(all), FilterTest::Status(more)) if states(all) == states(more) => extend(all, more),
            (FilterTest::Mode(all), FilterTest::Mode(more)) => extend(all, more),
            (FilterTest::Model(all), FilterTest::Model(more))
            | (FilterTest::Provider(all), FilterTest::Provider(more))
            | (FilterTest::Role(all), FilterTest::Role(more))
            | (FilterTest::Tag(all), FilterTest::Tag(more)) => extend(all, more),
            (FilterTest::Tier { tiers, only }, FilterTest::Tier { tiers: more, only: other }) if only == other => {
                extend(tiers, more);
                tiers.sort();
                true
            }
            (FilterTest::Kind(all), FilterTest::Kind(more)) => extend(all, more),
            (FilterTest::Time(one), FilterTest::Time(other)) if !*not => narrow(one, other),
            (FilterTest::Cost(one), FilterTest::Cost(other)) if !*not => narrow(one, other),
            (FilterTest::DurationMs(one), FilterTest::DurationMs(other)) if !*not => narrow(one, other),
            (one, other) => *one == *other,
        };
        if merged {
            return;
        }
    }
    filters.push((test, negated));
}

/// Tells whether both are lists of values of which any is enough.
fn alike(one: &FilterTest, other: &FilterTest) -> bool {
    match (one, other) {
        // A run is verified besides being in a state: "verified and successful" asks for both.
        (FilterTest::Status(one), FilterTest::Status(other)) => states(one) == states(other),
        (FilterTest::Tier { only, .. }, FilterTest::Tier { only: other, .. }) => only == other,
        (FilterTest::Mode(_), FilterTest::Mode(_))
        | (FilterTest::Model(_), FilterTest::Model(_))
        | (FilterTest::Provider(_), FilterTest::Provider(_))
        | (FilterTest::Role(_), FilterTest::Role(_))
        | (FilterTest::Tag(_), FilterTest::Tag(_))
        | (FilterTest::Kind(_), FilterTest::Kind(_)) => true,
        (one, other) => one == other,
    }
}

/// Tells whether the list is of states, not of verdicts.
fn states(all: &[Outcome]) -> bool {
    all.iter().all(|one| matches!(one, Outcome::Is(_)))
}

fn extend<T: Clone + PartialEq>(all: &mut Vec<T>, more: &[T]) -> bool {
    for one in more {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    true
}

fn narrow<T: Copy + Ord>(one: &mut Bounds<T>, other: &Bounds<T>) -> bool {
    let both = one.and(*other);
    let fits = !both.is_empty();
    if fits {
        *one = both;
    }
    fits
}
