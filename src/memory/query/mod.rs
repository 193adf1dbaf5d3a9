//! What a query means: which words are filters, which are searched, which are ids.
//!
//! [`understand`] is pure and total: any text has a meaning, at worst that of its words. `key:value` is always a filter; words
//! are one only in a clear pattern about runs. It does not know the index, the clock, or whether anything will be found.
//! Start with [`understand`]; `table.rs` shows by example what is understood and what is not.

mod amounts;
mod calendar_words;
mod changed;
mod complete;
pub mod filter;
mod foreign;
mod keys;
mod language;
mod names;
mod negation;
pub mod order;
mod period;
mod phrase;
#[cfg(test)]
mod phrasings;
#[cfg(test)]
mod properties;
mod ranges;
mod resolve;
mod scan;
mod spell;
mod states;
mod subject;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
mod tiers;
mod times;
mod vocabulary;

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::TimeNs;

pub use complete::{Completion, complete};
pub use filter::{Filter, FilterReport, FilterTest, Origin};
pub use order::{Order, Sort};
pub use scan::QUERY_BYTES_MAX;
pub use spell::{Spelled, spell};
pub use vocabulary::{KnownTerms, Vocabulary};

use period::Calendar;
use phrase::Reader;
use resolve::{Decided, Resolver};
use scan::{Pair, Piece, Word, clean, scan};
use subject::{FILLERS, POLITE, STOP};

/// How to ask, for the end of `meno search --help`.
pub const SYNTAX: &str = "\
Keys (always filters; -key:value for the opposite; quote values with spaces):
  status:failed,cancelled   also succeeded, running, awaiting_input, suspended,
                            interrupted, verified, unverified
  since:2026-10-01 until:yesterday on:\"last month\" on:2026-10-01..2026-10-15
  cost:>1 cost:<20c cost:1..2 (US dollars)      duration:>5m duration:30s..2m
  template:release_prep  role:\"type checker\"  model:claude  provider:openai
  tier:premium (reached) only:cheap (nothing else)  escalated:yes
  escalations:>1  attempts:>=3  agents:<4  rating:>3
  tag:flaky  label:team=core  label.team:core  project:shop (a label too)
  mode:simulated  kind:run,agent,note  run:last  run:W5X7
  sort:cheapest  sort:newest,5 (the first 5; the names of --sort)
Words:
  text:\"failed tests\"       words that are searched and never read as filters
  \"exact phrase\"  what must occur as it stands
  -word  -\"two words\"  what must not occur
  Plain English works where it clearly speaks of runs; all else is text:
    failed release_prep runs since May
    successful security audits that cost more than $1 last month
    what failed yesterday
    runs that took over 5 minutes and escalated to premium
    runs that did not fail between 24 and 25 January
    the 5 most expensive runs last week (also: --sort most-expensive)
The line `understood: …` says what was taken as a filter or an order. Where
nothing else is left of a question, every run that passes is listed. What was
read from words, and a phrase in a longer question, is dropped when nothing
would be left; what was typed as a key, or as a phrase alone, is not.";

/// The most notes about a query that are kept.
const NOTES_MAX: usize = 8;
/// The most words in which meaning is looked for; the others are only searched.
const WORDS_MAX: usize = 256;
/// Characters of a run's id that are taken for one.
const ID_PART_MIN: usize = 6;
/// Digits of a run's id.
const ID_LEN: usize = 26;

/// What a query means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// What is asked of runs; all of it must hold.
    pub filters: Vec<Filter>,
    /// The words to search for: all of the query but `key:value` and `-word`. Words that are filters stay in.
    pub text: String,
    /// What is left of the text without filters and words of no meaning: for showing.
    pub rest: String,
    /// Nothing is left: filters and order say all that is asked.
    pub is_all_filters: bool,
    /// What comes first; without it, what matches best, or the newest run where there is nothing to match.
    pub order: Option<Order>,
    /// What comes first of a question in another language, of which nothing is a filter.
    pub first: Vec<FilterTest>,
    /// What must occur as it stands.
    pub phrases: Vec<String>,
    /// The phrases are all that was searched for, besides keys: one that occurs nowhere has no hits.
    pub phrases_alone: bool,
    /// What must not occur.
    pub without: Vec<String>,
    /// What would rank higher, though it is not clear enough for a filter.
    pub boosts: Vec<FilterTest>,
    /// What may be ids or names in code; exact hits come first.
    pub ids: Vec<Id>,
    /// Files that were changed by the runs that are looked for; those that changed them come first.
    pub changed: Vec<String>,
    /// What was typed like a key and is searched as text, and why.
    pub notes: Vec<String>,
}

/// A word that is meant literally.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// A run's id, or at least six characters of its beginning or end, in upper case.
    Run(String),
    /// A name as in code: `parse_date`, `http::Error`, `#123`, `src/lib.rs`.
    Name(String),
}

/// What a query means, for other programs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UnderstoodReport {
    /// The words that are searched.
    pub text: String,
    /// What is asked of runs.
    pub filters: Vec<FilterReport>,
    /// What comes first; null when it is what matches best, or the newest run where there is nothing to match.
    pub order: Option<Order>,
    /// What must occur as it stands.
    pub phrases: Vec<String>,
    /// What must not occur.
    pub without: Vec<String>,
    /// What was typed like a key and is searched as text, and why.
    pub notes: Vec<String>,
}

impl Understood {
    /// Says what was understood in one line: `understood: failed · since 1 Oct · cost > $1 · text "type errors"`.
    pub fn line(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', ""));
        let mut parts: Vec<String> = self.filters.iter().map(|filter| filter.words.clone()).collect();
        parts.extend(self.order.map(|order| order.to_string()));
        let rest = if parts.is_empty() { &self.text } else { &self.rest };
        if !rest.is_empty() {
            parts.push(format!("text {}", quoted(rest)));
        }
        parts.extend(self.phrases.iter().map(|phrase| format!("exactly {}", quoted(phrase))));
        parts.extend(self.without.iter().map(|word| format!("without {}", quoted(word))));
        if parts.is_empty() {
            parts.push("everything".to_owned());
        }
        format!("understood: {}", parts.join(" · "))
    }

    /// Returns the form for other programs.
    pub fn report(&self) -> UnderstoodReport {
        UnderstoodReport {
            text: self.text.clone(),
            filters: self.filters.iter().map(Filter::report).collect(),
            order: self.order,
            phrases: self.phrases.clone(),
            without: self.without.clone(),
            notes: self.notes.clone(),
        }
    }
}

/// Reads a moment or a stretch of time in the words of `since:` and `until:`: from when to when, in nanoseconds since the epoch.
///
/// The command line's `--since` and `--until` read the same.
pub fn time_span(text: &str, now: &jiff::Zoned) -> Option<(TimeNs, TimeNs)> {
    keys::span(text, &Calendar::new(now))
}

/// Reads a query: never fails, in time and memory linear in its length, of which [`QUERY_BYTES_MAX`] bytes are read.
///
/// Dates are read in the zone of `now`.
pub fn understand(query: &str, vocabulary: &Vocabulary, now: &jiff::Zoned) -> Understood {
    let (query, cut) = clean(query);
    let calendar = Calendar::new(now);
    let mut understood = Understood::default();
    if cut {
        understood.notes.push(format!("only the first {QUERY_BYTES_MAX} bytes are searched"));
    }
    let mut words: Vec<Word> = Vec::new();
    let mut text: Vec<String> = Vec::new();
    let mut order = None;
    let pieces = scan(&query);
    understood.notes.extend(unread_alternative(&pieces));
    for piece in pieces {
        match piece {
            Piece::Word(word) => {
                text.push(word.raw.clone());
                words.push(word);
            }
            Piece::Phrase(phrase) => {
                text.push(phrase.clone());
                // Nothing is read across a quotation.
                if let Some(last) = words.last_mut() {
                    last.stop = true;
                }
                understood.phrases.push(phrase);
            }
            Piece::Without(word) => understood.without.push(word),
            Piece::Pair(pair) if pair.key == keys::TEXT && !pair.negated => {
                if let Some(last) = words.last_mut() {
                    last.stop = true;
                }
                let literal = pair.values.join(",");
                words.push(opaque(&pair.raw, &literal));
                text.push(literal);
            }
            Piece::Pair(pair) if typed_order(&pair).is_some() => order = typed_order(&pair),
            Piece::Pair(pair) => match keys::read(&pair, &calendar, vocabulary) {
                Some(Ok(test)) => {
                    let filter = Filter::new(test, pair.negated, Origin::Hard, now);
                    if !understood.filters.contains(&filter) {
                        understood.filters.push(filter);
                    }
                }
                unread => {
                    let note = match unread {
                        Some(Err(note)) => note,
                        _ => format!("`{}` is searched as text: there is no key `{}`", pair.raw.trim(), pair.key),
                    };
                    if understood.notes.len() < NOTES_MAX {
                        understood.notes.push(note);
                    }
                    text.push(pair.raw.trim().to_owned());
                    if let Some(last) = words.last_mut() {
                        last.stop = true;
                    }
                    words.push(opaque(&pair.raw, &pair.raw));
                }
            },
        }
    }
    understood.ids = ids(&words);
    understood.changed = changed::files(&words);
    understood.text = text.join(" ");
    let keyed = !understood.filters.is_empty();
    let head = words.get(..WORDS_MAX.min(words.len())).unwrap_or_default();
    understood.phrases_alone = words.is_empty();
    let is_foreign = language::is_foreign(head);
    let decided = if is_foreign { Decided::default() } else { read_words(head, &calendar, vocabulary, keyed) };
    if is_foreign {
        understood.first = foreign::first(head, &calendar, vocabulary);
    }
    understood.rest = rest(&words, &decided.used);
    understood.order = order.or(decided.order);
    for (test, negated) in decided.filters {
        // What was typed as a key as well is one filter.
        if !understood.filters.iter().any(|known| known.test == test && known.negated == negated) {
            understood.filters.push(Filter::new(test, negated, Origin::Words, now));
        }
    }
    understood.boosts = decided.boosts;
    let is_said = !is_foreign && understood.phrases.is_empty() && is_said(&words, &decided.used);
    if is_said && decided.speaks_of_runs && understood.filters.is_empty() {
        // "runs", "show all runs"
        understood.order.get_or_insert(Order::of(Sort::Newest));
    }
    understood.is_all_filters = is_said && (!understood.filters.is_empty() || understood.order.is_some());
    if understood.is_all_filters {
        understood.rest.clear();
    }
    understood
}

/// Says that keys are never alternatives, where somebody seems to think so: "or" between two, or one that has a single value twice.
fn unread_alternative(pieces: &[Piece]) -> Option<String> {
    const SINGLE: [&str; 4] = ["status", "mode", "template", "kind"];
    const ALL_HOLD: &str = "keys must all hold";
    let is_or = |window: &[Piece]| match window {
        [Piece::Pair(_), Piece::Word(word), Piece::Pair(_)] => matches!(word.text.as_str(), "or" | "|" | "||"),
        _ => false,
    };
    if pieces.windows(3).any(is_or) {
        return Some(format!("{ALL_HOLD}, `or` between them is not read: ask twice, or give one key several values (`key:a,b`)"));
    }
    let pairs: Vec<&Pair> = pieces
        .iter()
        .filter_map(|piece| if let Piece::Pair(pair) = piece { Some(pair) } else { None })
        .filter(|pair| !pair.negated && SINGLE.contains(&pair.key.as_str()))
        .collect();
    let twice = pairs.iter().enumerate().find_map(|(at, pair)| {
        let again = pairs.iter().skip(at + 1).find(|again| again.key == pair.key && again.values != pair.values)?;
        Some((pair, again))
    })?;
    let (key, values) = (&twice.0.key, [twice.0.values.join(","), twice.1.values.join(",")].join(","));
    Some(format!("{ALL_HOLD}, and nothing has two values of `{key}`: `{key}:{values}` finds either"))
}

fn read_words(words: &[Word], calendar: &Calendar<'_>, vocabulary: &Vocabulary, keyed: bool) -> Decided {
    let is_state = |at: usize| states::is_state(words, at);
    let subjects = subject::subjects(words, calendar, vocabulary, &is_state);
    let phrases = Reader { words, calendar, vocabulary, subjects: &subjects }.phrases();
    Resolver { words, calendar, subjects: &subjects, phrases, keyed }.decide()
}

/// A word that means nothing but itself: `typed`, with its key, is no word that anything is made of, and `raw` is what is searched.
fn opaque(typed: &str, raw: &str) -> Word {
    let (text, raw) = (typed.trim().to_lowercase(), raw.trim().to_owned());
    Word { text, raw, capital: false, possessive: false, stop: true }
}

/// Reads `sort:NAME`; `None` for any other pair, and for an order that cannot be read.
fn typed_order(pair: &Pair) -> Option<Order> {
    (pair.key == keys::SORT && !pair.negated).then(|| spell::order(pair)).flatten()
}

/// Finds what may be ids or names in code.
fn ids(words: &[Word]) -> Vec<Id> {
    let mut ids: Vec<Id> = Vec::new();
    for word in words.iter().take(WORDS_MAX) {
        let bare = word.raw.trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '#' | '_' | '/' | '$'));
        if let Some(part) = run_part(bare) {
            ids.push(Id::Run(part));
        }
        if is_name(bare) {
            ids.push(Id::Name(bare.to_owned()));
        }
    }
    ids.sort();
    ids.dedup();
    ids
}

/// Returns a part of a run's id in upper case. An English word of six letters is none: there must be a digit.
fn run_part(text: &str) -> Option<String> {
    let upper = text.to_ascii_uppercase();
    let fits = (ID_PART_MIN..=ID_LEN).contains(&upper.len()) && upper.chars().all(keys::is_ulid_digit);
    let mixed = upper.contains(|c: char| c.is_ascii_digit()) && upper.contains(|c: char| c.is_ascii_alphabetic());
    (fits && (mixed || upper.len() == ID_LEN)).then_some(upper)
}

/// Tells whether `text` looks like a name in code, a path, or a number of an issue.
fn is_name(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if text.len() < 3 || text.len() > 200 {
        return false;
    }
    if text.starts_with('#') {
        return text.chars().skip(1).all(|c| c.is_ascii_alphanumeric());
    }
    let inner = text.trim_matches(|c: char| !c.is_alphanumeric());
    let joined = inner.contains(['_', '/']) || inner.contains("::") || inner.contains("->");
    let dotted = inner.split('.').count() > 1 && inner.split('.').all(|part| !part.is_empty());
    let camel = inner.chars().zip(inner.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
    let digits = inner.chars().any(|c| c.is_ascii_digit());
    letters > 0
        && (joined || dotted || camel || (digits && (letters > 1 || (inner.len() > 3 && inner.starts_with(char::is_alphabetic)))))
}

/// Returns the words that nothing was made of.
fn free<'w>(words: &'w [Word], used: &[(usize, usize)]) -> Vec<(usize, &'w Word)> {
    let mut taken = vec![false; words.len()];
    for (from, to) in used {
        taken.iter_mut().take(*to).skip(*from).for_each(|word| *word = true);
    }
    words.iter().enumerate().filter(|(at, _)| !taken.get(*at).copied().unwrap_or(false)).collect()
}

/// Tells whether nothing of meaning is left.
fn is_said(words: &[Word], used: &[(usize, usize)]) -> bool {
    free(words, used).iter().all(|(at, word)| {
        let text = word.text.as_str();
        // Of what is denied, something was not understood.
        if negation::is_part(words, *at) {
            return false;
        }
        STOP.contains(&text) || POLITE.contains(&text) || FILLERS.contains(&text) || !text.contains(char::is_alphanumeric)
    })
}

/// Returns the words that nothing was made of, without those of no meaning at the edges.
fn rest(words: &[Word], used: &[(usize, usize)]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let free = free(words, used);
    let meaningless = |word: &Word| STOP.contains(&word.text.as_str());
    let mut at = 0;
    while let Some((place, _)) = free.get(at) {
        // One stretch of words that stand together.
        let len = free.iter().skip(at).enumerate().take_while(|(n, (other, _))| *other == place + n).count();
        let stretch = free.get(at..at + len).unwrap_or_default();
        let first = stretch.iter().position(|(_, word)| !meaningless(word));
        let last = stretch.iter().rposition(|(_, word)| !meaningless(word));
        if let (Some(first), Some(last)) = (first, last) {
            kept.extend(stretch.get(first..=last).unwrap_or_default().iter().map(|(_, word)| word.raw.as_str()));
        }
        at += len.max(1);
    }
    kept.join(" ").trim_end_matches([',', '.', '?', '!', ';', ':']).to_owned()
}
