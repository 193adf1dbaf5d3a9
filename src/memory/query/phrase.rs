//! What in the words might be a filter, and what it would need to be one: "last month", "over $2", "at premium", "failed".
//!
//! It reads phrases one by one and decides nothing: [`super::resolve`] does, when it knows of whom the query speaks.

use crate::domain::money::NanoUsd;

use super::amounts::{
    Cmp, any_phrase, bare_money, between, comparison, count, dashed_count, dashed_duration, dashed_money, duration,
    duration_with_unit, money, money_with_unit, w,
};
use super::filter::{Bounds, FilterTest, Kind};
use super::negation;
use super::order::{self, Order, Stands};
use super::period::Calendar;
use super::scan::Word;
use super::states::{is_state, state};
use super::subject::{STOP, Subject, SubjectSpan, ends_here};
use super::vocabulary::Vocabulary;

/// What a phrase needs to be a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: "cost more than $1" says it all.
    Nothing,
    /// A query that speaks of runs.
    Context,
    /// It must say it of a subject: "failed runs", "runs that failed".
    Attached {
        /// It may stand before its noun: "failed", not "fails".
        adjective: bool,
    },
    /// It must stand before its noun: "October runs", "last week's runs".
    Before,
    /// It is never a filter, only a hint.
    Never,
}

/// What a phrase would ask.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// Only some runs.
    Test(FilterTest),
    /// Which ones come first.
    Order(Order),
}

/// A phrase that was found.
#[derive(Clone, Debug)]
pub struct PhraseMatch {
    /// Its first word.
    pub from: usize,
    /// The word behind its last.
    pub to: usize,
    /// What it would ask.
    pub meaning: Meaning,
    /// Its own words say that it does not hold.
    pub negated: bool,
    /// What it needs.
    pub need: Need,
}

impl PhraseMatch {
    /// A phrase that would be a filter.
    pub fn new(from: usize, to: usize, test: FilterTest, need: Need) -> Self {
        Self { from, to, meaning: Meaning::Test(test), negated: false, need }
    }

    /// Returns the filter that it would be.
    pub fn test(&self) -> Option<&FilterTest> {
        match &self.meaning {
            Meaning::Test(test) => Some(test),
            Meaning::Order(_) => None,
        }
    }
}

/// What phrases are read against.
pub struct Reader<'a> {
    /// The words.
    pub words: &'a [Word],
    /// Dates.
    pub calendar: &'a Calendar<'a>,
    /// Names.
    pub vocabulary: &'a Vocabulary,
    /// Of whom the query speaks.
    pub subjects: &'a [SubjectSpan],
}

impl Reader<'_> {
    /// Finds all phrases from left to right, none inside another or inside a subject.
    pub fn phrases(&self) -> Vec<PhraseMatch> {
        let mut all: Vec<PhraseMatch> = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            if let Some(place) = self.subjects.iter().find(|place| place.from == at && place.to > at) {
                if let Subject::Notes = place.subject {
                    all.push(PhraseMatch::new(at, place.to, FilterTest::Kind(vec![Kind::Note]), Need::Nothing));
                }
                at = place.to;
                continue;
            }
            match self.one(at, all.last()) {
                Some(found) if found.to > at => {
                    at = found.to;
                    all.push(found);
                }
                _ => at += 1,
            }
        }
        all
    }

    fn one(&self, at: usize, before: Option<&PhraseMatch>) -> Option<PhraseMatch> {
        self.amount_of_time(at)
            .or_else(|| self.time(at, before))
            .or_else(|| self.order(at))
            .or_else(|| self.cost(at))
            .or_else(|| self.duration(at))
            .or_else(|| self.rating(at))
            .or_else(|| self.counts(at))
            .or_else(|| self.often_to(at, before))
            .or_else(|| self.often(at))
            .or_else(|| self.tier(at).map(|found| self.numbered(found)))
            .or_else(|| state(self.words, at))
            .or_else(|| self.label(at))
            .or_else(|| self.name(at, before))
    }

    fn subject_ends(&self, at: usize) -> bool {
        self.subjects.iter().any(|place| place.to == at)
    }

    /// Tells whether nothing of the same noun phrase follows at `at`.
    pub fn ends(&self, at: usize) -> bool {
        ends_here(self.words, at, self.calendar) || is_state(self.words, at) || self.subjects.iter().any(|place| place.from == at)
    }

    /// "for 5 minutes" and "over 5 minutes" are durations, where a date would be read next.
    fn amount_of_time(&self, at: usize) -> Option<PhraseMatch> {
        (matches!(w(self.words, at), "for" | "over") && duration(self.words, at + 1).is_some())
            .then(|| self.duration(at))
            .flatten()
    }

    fn time(&self, at: usize, before: Option<&PhraseMatch>) -> Option<PhraseMatch> {
        let (to, period) = self.calendar.period(self.words, at)?;
        let owner = self.words.get(to - 1).is_some_and(|word| word.possessive);
        let previous = at.checked_sub(1).map_or("", |before| w(self.words, before));
        let lead = w(self.words, at);
        let attached = at == 0 || self.subject_ends(at) || before.is_some_and(|found| found.to == at);
        let content = matches!(
            previous,
            "about"
                | "mentioning"
                | "mention"
                | "mentions"
                | "regarding"
                | "concerning"
                | "titled"
                | "called"
                | "named"
                | "covering"
                | "version"
        );
        // "a report for last month", "emails from last week": it is said of another noun.
        let loose = matches!(lead, "of" | "for" | "at" | "over") && !owner || lead == "from" && !STOP.contains(&previous);
        let need = if content || (loose && !attached) {
            Need::Never
        } else if owner {
            Need::Before
        } else if period.vague {
            // "runs of October", but not "October" alone.
            let denied = negation::ends_at(self.words, at).is_some();
            let of = matches!(lead, "of" | "for") && at > 0 && attached;
            if denied || of { Need::Context } else { Need::Before }
        } else if !self.ends(to)
            && !self.words.get(to - 1).is_some_and(|word| word.stop)
            && at == 0
            && !matches!(lead, "since" | "in")
        {
            // "yesterday meeting notes": a noun's adjective.
            Need::Before
        } else {
            Need::Context
        };
        Some(PhraseMatch::new(at, to, FilterTest::Time(period.bounds), need))
    }

    fn order(&self, at: usize) -> Option<PhraseMatch> {
        let (to, order, stands) = order::read(self.words, at)?;
        let need = if stands == Stands::Alone { Need::Context } else { Need::Before };
        Some(PhraseMatch { from: at, to, meaning: Meaning::Order(order), negated: false, need })
    }

    fn money_range(&self, at: usize) -> Option<(usize, Bounds<NanoUsd>)> {
        dashed_money(self.words, at)
            .or_else(|| between(self.words, at, |at| money(self.words, at), |at, unit| money_with_unit(self.words, at, unit)))
    }

    /// Reads "more than $1", "between 1 and 2 dollars", "$5 or more", "$1+"; with `bare`, numbers without a unit too.
    fn money_compared(&self, at: usize, bare: bool) -> Option<(usize, Bounds<NanoUsd>)> {
        let words = self.words;
        if let Some(found) = self.money_range(at) {
            return Some(found);
        }
        let amount = |at: usize| {
            money(words, at).or_else(|| if bare { bare_money(words, at).filter(|(next, _)| self.ends(*next)) } else { None })
        };
        if bare && let Some(found) = between(words, at, amount, |_, _| None) {
            return Some(found);
        }
        if let Some((next, cmp)) = comparison(words, at) {
            return amount(next).map(|(next, value)| (next, cmp.bounds(value)));
        }
        if let Some(plus) = w(words, at).strip_suffix('+')
            && let Some(value) = super::amounts::money_word(plus)
        {
            return Some((at + 1, Cmp::Least.bounds(value)));
        }
        let (next, value) = amount(at)?;
        or_more(words, next).map(|(next, cmp)| (next, cmp.bounds(value)))
    }

    fn cost(&self, at: usize) -> Option<PhraseMatch> {
        let words = self.words;
        let found =
            |to: usize, bounds: Bounds<NanoUsd>, need: Need| Some(PhraseMatch::new(at, to, FilterTest::Cost(bounds), need));
        let word = w(words, at);
        let verb = matches!(word, "cost" | "costs" | "costed" | "costing");
        let spent = matches!(
            word,
            "spent" | "spend" | "spending" | "paid" | "burned" | "burnt" | "price" | "priced" | "bill" | "used" | "spends"
        );
        if verb || spent {
            let mut next = at + 1;
            while matches!(
                w(words, next),
                "was"
                    | "were"
                    | "is"
                    | "are"
                    | "of"
                    | "us"
                    | "me"
                    | "a"
                    | "an"
                    | "total"
                    | "has"
                    | "had"
                    | "been"
                    | "only"
                    | "at"
                    | ":"
            ) && !(matches!(w(words, next), "a" | "an" | "at") && self.money_compared(next, false).is_some())
            {
                next += 1;
            }
            if let Some((to, bounds)) = self.money_compared(next, verb) {
                let unit = money_unit(words, next, to);
                // Another's cost is no run's: "license costs more than $100" still reads so, but nothing hangs on it.
                return found(to, bounds, if verb && unit { Need::Nothing } else { Need::Context });
            }
            if verb && let Some(to) = any_phrase(words, next, &["nothing", "zero", "exactly nothing"]) {
                return found(to, Bounds::exactly(NanoUsd(0)), Need::Context);
            }
            // "did not cost anything"
            if verb && let Some(to) = any_phrase(words, next, &["anything", "something", "a cent", "a penny"]) {
                return found(to, Cmp::More.bounds(NanoUsd(0)), Need::Context);
            }
            if verb && let Some((to, value)) = money(words, next).filter(|(to, _)| self.ends(*to)) {
                return found(to, Bounds::exactly(value), Need::Context);
            }
            return None;
        }
        let free = [
            "for free",
            "free of charge",
            "for nothing",
            "with zero cost",
            "at zero cost",
            "zero cost",
            "with no cost",
            "at no cost",
            "no cost",
            "without cost",
            "without costs",
            "without any cost",
        ];
        if let Some(to) = any_phrase(words, at, &free) {
            return found(to, Bounds::exactly(NanoUsd(0)), Need::Context);
        }
        let lead =
            at + usize::from(matches!(word, "for" | "at" | "with" | "worth") && !matches!(w(words, at + 1), "least" | "most"));
        let (to, bounds) = self.money_compared(lead, false)?;
        found(to, bounds, Need::Context)
    }

    fn duration(&self, at: usize) -> Option<PhraseMatch> {
        let words = self.words;
        let word = w(words, at);
        let leads = matches!(
            word,
            "took"
                | "take"
                | "takes"
                | "taking"
                | "taken"
                | "lasted"
                | "lasts"
                | "lasting"
                | "ran"
                | "running"
                | "needed"
                | "needing"
                | "duration"
                | "for"
                | "within"
                | "in"
        );
        let mut next = at + usize::from(leads);
        while leads && matches!(w(words, next), "for" | "of" | "was" | "is" | "in" | "me" | "us" | ":") {
            next += 1;
        }
        let dashed = dashed_duration(words, next).filter(|_| leads);
        let range =
            dashed.or_else(|| between(words, next, |at| duration(words, at), |at, unit| duration_with_unit(words, at, unit)));
        let (to, bounds) = match range {
            Some(found) if leads || word == "between" || word == "from" => found,
            Some(_) => return None,
            None => match comparison(words, next) {
                Some((after, cmp)) => {
                    let (to, ms) = duration(words, after)?;
                    (to, cmp.bounds(ms))
                }
                None => {
                    let (to, ms) = duration(words, next)?;
                    match or_more(words, to) {
                        Some((to, cmp)) => (to, cmp.bounds(ms)),
                        None if word == "within" => (to, Cmp::Most.bounds(ms)),
                        None => return None,
                    }
                }
            },
        };
        // "more than 3 days old" and "5 minutes ago" are dates; "every", "per" and the like are rates.
        let other = matches!(
            w(words, to),
            "ago" | "old" | "per" | "each" | "later" | "earlier" | "apart" | "window" | "timeout" | "limit"
        );
        (!other).then_some(PhraseMatch::new(at, to, FilterTest::DurationMs(bounds), Need::Context))
    }

    fn rating(&self, at: usize) -> Option<PhraseMatch> {
        let words = self.words;
        let lead = any_phrase(
            words,
            at,
            &[
                "with a rating of",
                "with rating of",
                "with a rating",
                "with rating",
                "rating of",
                "rated as",
                "rated with",
                "rated",
                "rating is",
                "rating",
            ],
        );
        let found = |to: usize, bounds: Bounds<u64>| Some(PhraseMatch::new(at, to, FilterTest::Rating(bounds), Need::Context));
        let Some(next) = lead else {
            let stars = w(words, at).strip_suffix("-star").and_then(|n| n.parse().ok()).filter(|n| (1..=5).contains(n));
            return stars.and_then(|n| found(at + 1, Bounds::exactly(n)));
        };
        let star = |at: usize| count(words, at).filter(|(_, n)| (1..=5).contains(n));
        if let Some((to, bounds)) = between(words, next, star, |_, _| None).or_else(|| dashed_count(words, next)) {
            let to = any_phrase(words, to, &["stars", "star"]).unwrap_or(to);
            return self.ends(to).then(|| found(to, bounds)).flatten();
        }
        let (next, cmp) = comparison(words, next).map_or((next, None), |(next, cmp)| (next, Some(cmp)));
        let out_of = w(words, next).strip_suffix("/5").and_then(|n| n.parse::<u64>().ok()).map(|n| (next + 1, n));
        let (to, n) = out_of.or_else(|| count(words, next)).filter(|(_, n)| (1..=5).contains(n))?;
        let to = any_phrase(words, to, &["out of 5", "out of five", "stars", "star"]).unwrap_or(to);
        if let (None, Some((to, cmp))) = (cmp, or_more(words, to)) {
            return found(to, cmp.bounds(n));
        }
        self.ends(to).then(|| found(to, cmp.unwrap_or(Cmp::Equal).bounds(n))).flatten()
    }

    /// Reads "more than two escalations", "with 3 attempts", "between 2 and 4 agents", "zero escalations".
    fn counts(&self, at: usize) -> Option<PhraseMatch> {
        let words = self.words;
        let with = at + usize::from(matches!(w(words, at), "with" | "needed" | "had" | "took" | "used" | "having"));
        let bare = |at: usize| {
            let single = any_phrase(words, at, &["a single", "only one", "just one"]).map(|next| (next, 1));
            single.or_else(|| count(words, at).filter(|_| !matches!(w(words, at), "a" | "an" | "half")))
        };
        let range = between(words, with, bare, |_, _| None).or_else(|| dashed_count(words, with));
        let (mut next, mut bounds) = match (range, comparison(words, with)) {
            (Some(found), _) => found,
            (None, Some((number, cmp))) => count(words, number).map(|(next, n)| (next, cmp.bounds(n)))?,
            (None, None) => {
                let (next, n) = bare(with)?;
                or_more(words, next).map_or((next, Bounds::exactly(n)), |(next, cmp)| (next, cmp.bounds(n)))
            }
        };
        let noun = w(words, next);
        next += 1;
        if let Some((behind, cmp)) = or_more(words, next)
            && let std::ops::Bound::Included(n) = bounds.low
        {
            (next, bounds) = (behind, cmp.bounds(n));
        }
        let test = match noun {
            "escalations" | "escalation" => FilterTest::Escalations(bounds),
            "attempts" | "attempt" | "tries" => FilterTest::Attempts(bounds),
            "agents" | "agent" => FilterTest::Agents(bounds),
            _ => return None,
        };
        Some(PhraseMatch::new(at, next, test, Need::Context))
    }
}

/// Reads "or more", "or less" and their like.
pub fn or_more(words: &[Word], at: usize) -> Option<(usize, Cmp)> {
    let more = [
        "or more",
        "or higher",
        "or above",
        "or over",
        "or better",
        "or longer",
        "and up",
        "and more",
        "and above",
        "and over",
        "upwards",
        "plus",
    ];
    let less = [
        "or less",
        "or lower",
        "or under",
        "or below",
        "or worse",
        "or shorter",
        "or fewer",
        "and under",
        "and below",
        "tops",
        "max",
    ];
    any_phrase(words, at, &more).map(|to| (to, Cmp::Least)).or_else(|| any_phrase(words, at, &less).map(|to| (to, Cmp::Most)))
}

/// Tells whether the amount between was given with its currency or a sign of comparison.
fn money_unit(words: &[Word], from: usize, to: usize) -> bool {
    (from..to).any(|at| {
        let word = w(words, at);
        word.contains(['$', '¢', '<', '>', '='])
            || matches!(word, "dollar" | "dollars" | "cent" | "cents" | "usd" | "buck" | "bucks" | "ct" | "cts")
            || super::amounts::money_word(word).is_some()
    })
}
