//! Decides which phrases are filters: those that are said of a subject, or stand in a query that clearly speaks of runs.
//!
//! In doubt a phrase is a hint and no filter: a wrong filter hides what was looked for, a missing one only ranks it lower.

use super::amounts::w;
use super::filter::{Bounds, Outcome, Test};
use super::period::Calendar;
use super::phrase::{Found, Need};
use super::scan::Word;
use super::subject::{POLITE, Place, STOP, Subject, ends_here};

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
const NEGATIONS: &[&str] = &[
    "not",
    "never",
    "didn't",
    "don't",
    "doesn't",
    "haven't",
    "hasn't",
    "hadn't",
    "weren't",
    "wasn't",
    "except",
    "excluding",
    "besides",
    "isn't",
    "aren't",
    "didnt",
    "dont",
];
const RELATIVES: &[&str] = &["that", "which", "who"];
const CONJUNCTIONS: &[&str] = &["and", "or", "but", "nor"];

/// Words that join filters where nothing else is said: "failed and over $2".
const GLUE: &[&str] = &[
    "and", "or", "but", "the", "a", "in", "at", "on", "with", "from", "that", "which", "were", "was", "have", "has", "all",
    "only", "also", "ones", "–", "-", "&", "+", "/", "i", "we",
];

/// The most words of a noun between an adjective and "runs": "failed database migration runs".
const GAP_MAX: usize = 3;

/// What was decided.
#[derive(Debug, Default)]
pub struct Decided {
    /// Filters: what is asked, whether negated.
    pub filters: Vec<(Test, bool)>,
    /// Hints.
    pub boosts: Vec<Test>,
    /// Words that are spoken for: by filters and by the subject.
    pub used: Vec<(usize, usize)>,
}

/// What is decided upon.
pub struct Resolver<'a> {
    /// The words.
    pub words: &'a [Word],
    /// Dates.
    pub calendar: &'a Calendar<'a>,
    /// Of whom the query speaks.
    pub subjects: &'a [Place],
    /// What may be filters.
    pub phrases: Vec<Found>,
    /// A `key:value` was typed, so that the query speaks of runs.
    pub keyed: bool,
}

/// How a phrase is tied to a subject.
#[derive(Clone, Copy)]
struct Tie {
    subject: usize,
    negated: bool,
    /// The first word that belongs to it: negations and auxiliaries before it.
    from: usize,
}

impl Resolver<'_> {
    /// Decides.
    pub fn decide(self) -> Decided {
        let ties: Vec<Option<Tie>> = self.phrases.iter().map(|found| self.tie(found)).collect();
        let candidate = |found: &Found| matches!(found.need, Need::Context | Need::Nothing);
        let any_candidate = self.phrases.iter().any(candidate);
        let covered = self.covered();
        let firm = |subject: &Subject| matches!(subject, Subject::Runs(_) | Subject::Template(_));
        let speaks = self.keyed
            || covered
            || self.phrases.iter().any(|found| found.need == Need::Nothing)
            || self.subjects.iter().any(|place| match &place.subject {
                Subject::Runs(_) | Subject::Template(_) | Subject::Notes | Subject::Open { asks: true } => true,
                Subject::Parts | Subject::Plural | Subject::Open { asks: false } => self.carries(place, &ties),
            });
        let mut decided = Decided::default();
        let mut said = vec![false; self.subjects.len()];
        for (found, tie) in self.phrases.iter().zip(&ties) {
            let accepted = match found.need {
                Need::Nothing => true,
                Need::Context => speaks,
                Need::Before | Need::Attached { .. } => {
                    tie.is_some_and(|tie| match self.subjects.get(tie.subject).map(|place| &place.subject) {
                        Some(subject) if firm(subject) => true,
                        Some(Subject::Plural | Subject::Open { .. }) => any_candidate && speaks,
                        Some(Subject::Parts) => matches!(found.test, Test::Escalated(_)),
                        _ => false,
                    }) || (covered
                        && !self.subjects.iter().any(|place| firm(&place.subject))
                        && (found.need != Need::Before || matches!(found.test, Test::Tier { .. })))
                }
                Need::Never => false,
            };
            if !accepted {
                if !found.negated && !matches!(found.test, Test::Time(_)) {
                    decided.boosts.push(found.test.clone());
                }
                continue;
            }
            // "runs that didn't use premium", "that did not cost more than $1".
            let denied = tie.is_none()
                && !matches!(found.test, Test::Time(_))
                && found.from.checked_sub(1).is_some_and(|before| NEGATIONS.contains(&w(self.words, before)));
            let (negated, from) =
                tie.map_or((denied, found.from - usize::from(denied)), |tie| (tie.negated, tie.from.min(found.from)));
            if let Some(tie) = tie
                && let Some(said) = said.get_mut(tie.subject)
            {
                *said = true;
            }
            decided.used.push((from, found.to));
            merge(&mut decided.filters, found.test.clone(), negated != found.negated);
        }
        self.name_templates(&mut decided, speaks);
        decided
    }

    /// Adds the templates that stand for their runs.
    fn name_templates(&self, decided: &mut Decided, speaks: bool) {
        let filtered = !decided.filters.is_empty();
        let mut templates: Vec<String> = Vec::new();
        for place in self.subjects {
            match &place.subject {
                Subject::Runs(ids) => templates.extend(ids.iter().cloned()),
                Subject::Template(ids) if filtered => templates.extend(ids.iter().cloned()),
                Subject::Template(ids) => decided.boosts.push(Test::Template(ids.clone())),
                _ => {}
            }
            if speaks && (filtered || matches!(place.subject, Subject::Runs(_) | Subject::Open { asks: true })) {
                decided.used.push((place.from, place.to));
            }
        }
        if !templates.is_empty() {
            templates.sort();
            templates.dedup();
            decided.filters.insert(0, (Test::Template(templates), false));
        }
    }

    /// Tells whether what is said of a weak subject makes it stand for runs: "releases that failed last month".
    fn carries(&self, place: &Place, ties: &[Option<Tie>]) -> bool {
        let candidate = |found: &Found| matches!(found.need, Need::Context | Need::Nothing);
        let stated = ties
            .iter()
            .flatten()
            .any(|tie| self.subjects.get(tie.subject).is_some_and(|tied| tied.from == place.from && tied.to == place.to));
        let relative = RELATIVES.contains(&w(self.words, place.to));
        let behind = place.to + usize::from(relative);
        let next = self.phrases.iter().find(|found| {
            let gap =
                (behind..found.from).all(|at| AUXILIARIES.contains(&w(self.words, at)) || NEGATIONS.contains(&w(self.words, at)));
            found.from >= behind && gap && candidate(found)
        });
        let next = next.is_some_and(|found| match (&place.subject, &found.test) {
            // "releases since May" may be anybody's, "releases over $2" and "everything since May" are ours.
            (Subject::Plural, Test::Cost(_)) | (Subject::Open { .. }, _) => true,
            (Subject::Plural, Test::DurationMs(_) | Test::Tier { .. } | Test::Escalated(_)) => relative,
            (Subject::Parts, Test::Tier { .. } | Test::Escalated(_)) => true,
            _ => false,
        });
        next || (stated && self.phrases.iter().any(candidate)) || (stated && matches!(place.subject, Subject::Parts))
    }

    /// Tells whether the query is nothing but filters: "failed yesterday", "since May".
    fn covered(&self) -> bool {
        let inside = |at: usize| {
            self.phrases.iter().any(|found| found.need != Need::Never && found.from <= at && at < found.to)
                || self
                    .subjects
                    .iter()
                    .any(|place| !matches!(place.subject, Subject::Plural | Subject::Parts) && place.from <= at && at < place.to)
        };
        let polite = self.words.iter().take_while(|word| POLITE.contains(&word.text.as_str())).count();
        let glue = |word: &str| GLUE.contains(&word) || NEGATIONS.contains(&word);
        let all = (0..self.words.len()).all(|at| at < polite || inside(at) || glue(w(self.words, at)));
        // A state alone is a word like any other; a date or an amount is not.
        all && self.phrases.iter().any(|found| found.need == Need::Context)
            && !self.phrases.iter().any(|found| found.need == Need::Never)
    }

    fn starts(&self, at: usize) -> Option<&Found> {
        self.phrases.iter().find(|found| found.from == at)
    }

    /// Finds the subject of which `found` is said.
    fn tie(&self, found: &Found) -> Option<Tie> {
        let before = matches!(found.need, Need::Before | Need::Attached { adjective: true });
        let after = matches!(found.need, Need::Attached { .. });
        (before.then(|| self.ahead(found)).flatten()).or_else(|| after.then(|| self.behind(found)).flatten())
    }

    /// "failed premium runs": looks to the right, over other adjectives and a few words of a noun.
    fn ahead(&self, found: &Found) -> Option<Tie> {
        let mut at = found.to;
        let mut gap = 0;
        for _ in 0..16 {
            if let Some(subject) = self.subjects.iter().position(|place| place.from == at && place.to > at) {
                let place = self.subjects.get(subject)?;
                let reachable = gap == 0 || matches!(place.subject, Subject::Runs(_));
                let (negated, from) = match found.from.checked_sub(1) {
                    Some(not) if w(self.words, not) == "not" => (true, not),
                    _ => (false, found.from),
                };
                return reachable.then_some(Tie { subject, negated, from });
            }
            let word = w(self.words, at);
            if let Some(next) = self.starts(at).filter(|next| {
                matches!(next.need, Need::Before | Need::Attached { adjective: true } | Need::Never) || next.to == at + 1
            }) {
                at = next.to;
            } else if matches!(word, "and" | "or" | "&" | "/" | "+") {
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
    fn behind(&self, found: &Found) -> Option<Tie> {
        let mut at = found.from;
        let (mut negated, mut from) = (false, found.from);
        // Without "that", "were" or the like, "runs failed tests" could speak of tests.
        let mut open = false;
        let mut linked = false;
        for _ in 0..32 {
            let subject = self.subjects.iter().position(|place| place.to == at && (place.to > place.from || at == found.from));
            if let Some(subject) = subject {
                let place = self.subjects.get(subject)?;
                let closed = open || self.closes(found.to);
                return closed.then_some(Tie { subject, negated, from }).filter(|_| place.to <= found.from);
            }
            let last = at.checked_sub(1)?;
            let word = w(self.words, last);
            if let Some(other) = self.phrases.iter().find(|other| other.to == at && other.from < at && other.need != Need::Never)
            {
                // Two sayings need a link: "since May and failed", "since May that failed", "last week, failed".
                let comma = self.words.get(last).is_some_and(|word| word.stop);
                // "runs where the linter failed": the linter did, not the run.
                let another = matches!(other.test, Test::Role(_));
                if !(linked || comma || !(another || matches!(other.need, Need::Attached { .. }))) {
                    return None;
                }
                at = other.from;
            } else if NEGATIONS.contains(&word) {
                // Of several links only what stands directly before it negates it.
                if !linked {
                    negated = true;
                    from = last;
                }
                open = true;
                at = last;
            } else if AUXILIARIES.contains(&word) {
                open |= !matches!(word, "all" | "both" | "last" | "first" | "either");
                at = last;
            } else if RELATIVES.contains(&word) {
                open = true;
                linked = true;
                at = last;
            } else if word == "than" && last > 0 && w(self.words, last - 1) == "other" {
                (negated, from, open) = (true, last - 1, true);
                at = last - 1;
            } else if CONJUNCTIONS.contains(&word) {
                if word == "but" && !linked && matches!(w(self.words, found.to), "ones" | "one") {
                    // "all runs but failed ones"
                    (negated, from) = (true, last);
                }
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
fn merge(filters: &mut Vec<(Test, bool)>, test: Test, negated: bool) {
    for (seen, not) in filters.iter_mut().filter(|(_, not)| *not == negated) {
        let merged = match (&mut *seen, &test) {
            // A run is verified besides being in a state: "verified and successful" asks for both.
            (Test::Status(all), Test::Status(more)) if states(all) == states(more) => extend(all, more),
            (Test::Mode(all), Test::Mode(more)) => extend(all, more),
            (Test::Model(all), Test::Model(more))
            | (Test::Provider(all), Test::Provider(more))
            | (Test::Role(all), Test::Role(more))
            | (Test::Tag(all), Test::Tag(more)) => extend(all, more),
            (Test::Tier { tiers, only }, Test::Tier { tiers: more, only: other }) if only == other => {
                extend(tiers, more);
                tiers.sort();
                true
            }
            (Test::Kind(all), Test::Kind(more)) => extend(all, more),
            (Test::Time(one), Test::Time(other)) if !*not => narrow(one, other),
            (Test::Cost(one), Test::Cost(other)) if !*not => narrow(one, other),
            (Test::DurationMs(one), Test::DurationMs(other)) if !*not => narrow(one, other),
            (one, other) => *one == *other,
        };
        if merged {
            return;
        }
    }
    filters.push((test, negated));
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
