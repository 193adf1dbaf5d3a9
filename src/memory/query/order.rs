//! What comes first: "the cheapest run", "the 5 slowest", "newest first", "with the most escalations", `--sort`.
//!
//! Reads superlatives; whether one is an order is decided by `resolve`, as with filters.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::amounts::{any_phrase, count, w};
use super::calendar_words::day_number;
use super::scan::Word;

/// What answers are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// The latest run first.
    Newest,
    /// The earliest run first.
    Oldest,
    /// The highest cost first.
    MostExpensive,
    /// The lowest cost first; what is not wholly known comes last.
    Cheapest,
    /// The longest duration first.
    Longest,
    /// The shortest duration first.
    Shortest,
    /// The most escalations first.
    MostEscalations,
    /// The fewest escalations first.
    FewestEscalations,
    /// The most attempts first.
    MostAttempts,
    /// The fewest attempts first.
    FewestAttempts,
    /// The most agents first.
    MostAgents,
    /// The fewest agents first.
    FewestAgents,
    /// The highest rating first.
    BestRated,
    /// The lowest rating first.
    WorstRated,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Newest,
        Self::Oldest,
        Self::MostExpensive,
        Self::Cheapest,
        Self::Longest,
        Self::Shortest,
        Self::MostEscalations,
        Self::FewestEscalations,
        Self::MostAttempts,
        Self::FewestAttempts,
        Self::MostAgents,
        Self::FewestAgents,
        Self::BestRated,
        Self::WorstRated,
    ];

    /// Returns the name that is typed after `--sort`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::MostExpensive => "most-expensive",
            Self::Cheapest => "cheapest",
            Self::Longest => "longest",
            Self::Shortest => "shortest",
            Self::MostEscalations => "most-escalations",
            Self::FewestEscalations => "fewest-escalations",
            Self::MostAttempts => "most-attempts",
            Self::FewestAttempts => "fewest-attempts",
            Self::MostAgents => "most-agents",
            Self::FewestAgents => "fewest-agents",
            Self::BestRated => "best-rated",
            Self::WorstRated => "worst-rated",
        }
    }

    /// Returns the order that begins at the other end.
    fn reversed(self) -> Self {
        let at = Self::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Self::ALL.get(at ^ 1).copied().unwrap_or(self)
    }
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim().to_lowercase().replace(['_', ' '], "-");
        Self::ALL.into_iter().find(|sort| sort.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|sort| sort.name()).collect();
            format!("`{text}` is no order; there are {}", names.join(", "))
        })
    }
}

/// An order that was asked for: what by, from which place on, how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// What it goes by: the name that is typed after `--sort`.
    pub sort: Sort,
    /// The place at which the answer begins, from 1: 2 for "the second cheapest".
    pub place: u32,
    /// How many runs were asked for: 5 for "the 5 cheapest"; null when the question names no number.
    pub count: Option<u32>,
}

impl Order {
    /// The whole order.
    pub fn of(sort: Sort) -> Self {
        Self { sort, place: 1, count: None }
    }
}

impl fmt::Display for Order {
    /// Says it in few words: `cheapest first`, `from the 2nd cheapest`, `the 5 most expensive`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.sort.name().replace('-', " ");
        match (self.place, self.count) {
            (0 | 1, None) => write!(f, "{name} first"),
            (0 | 1, Some(count)) => write!(f, "the {count} {name}"),
            (place, _) => {
                let ending = match (place % 10, place % 100) {
                    (_, 11..=13) => "th",
                    (1, _) => "st",
                    (2, _) => "nd",
                    (3, _) => "rd",
                    _ => "th",
                };
                write!(f, "from the {place}{ending} {name}")
            }
        }
    }
}

/// How a superlative is tied to what it orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Before its noun: "cheapest run".
    Before,
    /// It says enough: "with the most escalations", "newest first".
    Alone,
}

/// Superlatives that stand before a noun.
const ADJECTIVES: &[(&str, Sort)] = &[
    ("most expensive", Sort::MostExpensive),
    ("most costly", Sort::MostExpensive),
    ("highest cost", Sort::MostExpensive),
    ("highest-cost", Sort::MostExpensive),
    ("costliest", Sort::MostExpensive),
    ("priciest", Sort::MostExpensive),
    ("dearest", Sort::MostExpensive),
    ("least expensive", Sort::Cheapest),
    ("least costly", Sort::Cheapest),
    ("lowest cost", Sort::Cheapest),
    ("lowest-cost", Sort::Cheapest),
    ("most affordable", Sort::Cheapest),
    ("cheapest", Sort::Cheapest),
    ("longest running", Sort::Longest),
    ("longest-running", Sort::Longest),
    ("most time consuming", Sort::Longest),
    ("most time-consuming", Sort::Longest),
    ("longest lasting", Sort::Longest),
    ("longest-lasting", Sort::Longest),
    ("longest", Sort::Longest),
    ("slowest", Sort::Longest),
    ("shortest", Sort::Shortest),
    ("fastest", Sort::Shortest),
    ("quickest", Sort::Shortest),
    ("briefest", Sort::Shortest),
    ("most recent", Sort::Newest),
    ("very last", Sort::Newest),
    ("very latest", Sort::Newest),
    ("latest", Sort::Newest),
    ("newest", Sort::Newest),
    ("last", Sort::Newest),
    ("least recent", Sort::Oldest),
    ("very first", Sort::Oldest),
    ("oldest", Sort::Oldest),
    ("earliest", Sort::Oldest),
    ("first", Sort::Oldest),
    ("most escalated", Sort::MostEscalations),
    ("least escalated", Sort::FewestEscalations),
    ("most retried", Sort::MostAttempts),
    ("best rated", Sort::BestRated),
    ("best-rated", Sort::BestRated),
    ("highest rated", Sort::BestRated),
    ("highest-rated", Sort::BestRated),
    ("top rated", Sort::BestRated),
    ("top-rated", Sort::BestRated),
    ("worst rated", Sort::WorstRated),
    ("worst-rated", Sort::WorstRated),
    ("lowest rated", Sort::WorstRated),
    ("lowest-rated", Sort::WorstRated),
];

/// What can be most or least, and the order of the most.
const MEASURES: &[(&[&str], Sort)] = &[
    (&["escalations", "escalation"], Sort::MostEscalations),
    (&["attempts", "attempt", "retries", "tries"], Sort::MostAttempts),
    (&["agents"], Sort::MostAgents),
    (&["cost", "costs", "price", "spend", "spending", "expense", "money", "bill"], Sort::MostExpensive),
    (&["duration", "durations", "runtime", "run time", "time", "running time"], Sort::Longest),
    (&["rating", "ratings", "score"], Sort::BestRated),
];
const MOST: &[&str] = &["most", "highest", "greatest", "largest", "biggest", "longest", "maximum", "max", "best"];
const LEAST: &[&str] = &["fewest", "least", "lowest", "smallest", "shortest", "minimum", "min", "worst"];
const ORDINALS: [&str; 10] = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

/// Reads a superlative or a wish for an order at `at`: the place behind it, the order, and how it stands.
pub fn read(words: &[Word], at: usize) -> Option<(usize, Order, Stands)> {
    sorted_by(words, at).or_else(|| of_verb(words, at)).or_else(|| of_measure(words, at)).or_else(|| adjective(words, at))
}

/// "sorted by cost", "order by duration ascending", "in chronological order".
fn sorted_by(words: &[Word], at: usize) -> Option<(usize, Order, Stands)> {
    let alone = |to: usize, sort: Sort| Some((to, Order::of(sort), Stands::Alone));
    if let Some(to) =
        any_phrase(words, at, &["in reverse chronological order", "reverse chronologically", "in reverse order of time"])
    {
        return alone(to, Sort::Newest);
    }
    if let Some(to) = any_phrase(words, at, &["in chronological order", "chronologically"]) {
        return alone(to, Sort::Oldest);
    }
    let lead = any_phrase(
        words,
        at,
        &[
            "sorted by",
            "sort by",
            "sort them by",
            "sort it by",
            "sorting by",
            "ordered by",
            "order by",
            "order them by",
            "ordering by",
            "ranked by",
            "rank by",
            "rank them by",
            "in order of",
            "by order of",
        ],
    );
    // "the top 3 failed runs by cost"
    if lead.is_none() && w(words, at) == "top" {
        let (to, count) = counted(words, at + 1)?;
        let by = (to..to + 5).find(|by| w(words, *by) == "by")?;
        let (_, sort) = measure(words, by + 1)?;
        return Some((to, Order { count: Some(count), ..Order::of(sort) }, Stands::Alone));
    }
    // "runs by cost"
    let bare = || (w(words, at) == "by").then_some(at + 1).filter(|next| ends_with_measure(words, *next));
    let lead = lead.or_else(bare)?;
    let mut next = lead;
    while matches!(w(words, next), "the" | "their" | "its" | "total" | "start" | "starting" | "number" | "of") {
        next += 1;
    }
    let (mut to, mut sort) = match any_phrase(words, next, &["date", "age", "recency", "when they started", "when they ran"]) {
        Some(to) => (to, Sort::Newest),
        // "by time" after "start" is the date, and the duration elsewhere.
        None if w(words, next) == "time" && next > 0 && matches!(w(words, next - 1), "start" | "starting") => {
            (next + 1, Sort::Newest)
        }
        None => measure(words, next)?,
    };
    if let Some((behind, descending)) = direction(words, to) {
        to = behind;
        if !descending {
            sort = sort.reversed();
        }
    }
    alone(to, sort)
}

/// Tells whether nothing but a measure and perhaps a direction follows: "by cost", not "by cost centre".
fn ends_with_measure(words: &[Word], at: usize) -> bool {
    measure(words, at).is_some_and(|(to, _)| {
        words.get(to - 1).is_none_or(|word| word.stop) || w(words, to).is_empty() || direction(words, to).is_some()
    })
}

/// Reads "ascending", "desc", "lowest first": the place behind and whether the highest comes first.
fn direction(words: &[Word], at: usize) -> Option<(usize, bool)> {
    let at = at + usize::from(w(words, at) == "in");
    let down: &[&str] =
        &["descending order", "descending", "desc", "highest first", "largest first", "decreasing", "newest first", "downwards"];
    let up: &[&str] =
        &["ascending order", "ascending", "asc", "lowest first", "smallest first", "increasing", "oldest first", "upwards"];
    any_phrase(words, at, down).map(|to| (to, true)).or_else(|| any_phrase(words, at, up).map(|to| (to, false)))
}

fn measure(words: &[Word], at: usize) -> Option<(usize, Sort)> {
    MEASURES.iter().find_map(|(names, sort)| any_phrase(words, at, names).map(|to| (to, *sort)))
}

/// "cost the most", "took longest", "escalated the least", "rated best".
fn of_verb(words: &[Word], at: usize) -> Option<(usize, Order, Stands)> {
    let sort = match w(words, at) {
        "cost" | "costs" | "costing" | "spent" => Sort::MostExpensive,
        "took" | "take" | "takes" | "taking" | "ran" | "running" | "lasted" | "lasting" | "needed" => Sort::Longest,
        "escalated" | "escalating" => Sort::MostEscalations,
        "rated" => Sort::BestRated,
        _ => return None,
    };
    let the = (at + 1..at + 4).find(|next| !matches!(w(words, *next), "me" | "us" | "the" | "by" | "far"))?;
    let most = match w(words, the) {
        "most" | "longest" | "best" | "highest" | "slowest" => true,
        "least" | "shortest" | "quickest" | "fastest" | "worst" | "lowest" => false,
        _ => return None,
    };
    let to = any_phrase(words, the + 1, &["amount of money", "amount of time", "money", "time", "often"]).unwrap_or(the + 1);
    Some((to, Order::of(if most { sort } else { sort.reversed() }), Stands::Alone))
}

/// "with the most escalations", "the highest number of attempts", "lowest duration".
fn of_measure(words: &[Word], at: usize) -> Option<(usize, Order, Stands)> {
    let mut next = at;
    while next < at + 3 && matches!(w(words, next), "with" | "has" | "had" | "have" | "having" | "of" | "the" | "needed" | "took")
    {
        next += 1;
    }
    let most = if MOST.contains(&w(words, next)) {
        true
    } else if LEAST.contains(&w(words, next)) {
        false
    } else {
        return None;
    };
    let noun = any_phrase(words, next + 1, &["number of", "amount of", "total"]).unwrap_or(next + 1);
    let (to, sort) = measure(words, noun)?;
    // "longest time" and "highest cost" alone may stand before another noun: "highest cost items".
    let led = next > at || matches!(w(words, noun), "escalations" | "attempts" | "retries" | "agents");
    let first = w(words, to) == "first";
    let stands = if led || first { Stands::Alone } else { Stands::Before };
    Some((to + usize::from(first), Order::of(if most { sort } else { sort.reversed() }), stands))
}

/// "the cheapest", "second cheapest", "top 5 most expensive", "last 10", "penultimate"; "newest first".
fn adjective(words: &[Word], at: usize) -> Option<(usize, Order, Stands)> {
    if w(words, at) == "penultimate" {
        return Some((at + 1, Order { place: 2, ..Order::of(Sort::Newest) }, Stands::Before));
    }
    if let Some(to) = any_phrase(words, at, &["second to last", "second-to-last", "next to last", "next-to-last", "last but one"])
    {
        return Some((to, Order { place: 2, ..Order::of(Sort::Newest) }, Stands::Before));
    }
    if let Some(to) = any_phrase(words, at, &["before last", "before the last", "but one"]) {
        return Some((to, Order { place: 2, ..Order::of(Sort::Newest) }, Stands::Alone));
    }
    if let Some(to) = any_phrase(words, at, &["last time", "latest time", "most recent time", "most recently"]) {
        return Some((to, Order::of(Sort::Newest), Stands::Alone));
    }
    if let Some(to) = any_phrase(words, at, &["first time", "earliest time"]) {
        return Some((to, Order::of(Sort::Oldest), Stands::Alone));
    }
    let top = at + usize::from(w(words, at) == "top");
    let (next, mut number) = counted(words, top).map_or((top, None), |(next, n)| (next, Some(n)));
    let mut place = 1;
    let mut next = next;
    if number.is_none()
        && top == at
        && let Some(nth) = ordinal(w(words, at))
        && superlative(words, at + 1).is_some()
    {
        (place, next) = (nth, at + 1);
    }
    let (mut to, sort) = superlative(words, next)?;
    if number.is_none()
        && place == 1
        && let Some((behind, n)) = counted(words, to)
    {
        (to, number) = (behind, Some(n));
    }
    let noun = to + usize::from(matches!(w(words, to), "ones" | "one" | "runs" | "run" | "sessions" | "session"));
    if w(words, noun) == "first" && !matches!(w(words, next), "first" | "last") {
        return Some((noun + 1, Order { sort, place, count: number }, Stands::Alone));
    }
    Some((to, Order { sort, place, count: number }, Stands::Before))
}

fn superlative(words: &[Word], at: usize) -> Option<(usize, Sort)> {
    ADJECTIVES.iter().find_map(|(text, sort)| any_phrase(words, at, &[text]).map(|to| (to, *sort)))
}

/// Reads a whole number above 0 that is no article.
fn counted(words: &[Word], at: usize) -> Option<(usize, u32)> {
    if matches!(w(words, at), "a" | "an" | "half" | "one") {
        return None;
    }
    let (next, n) = count(words, at)?;
    u32::try_from(n).ok().filter(|n| *n > 0).map(|n| (next, n))
}

/// Reads "second", "3rd".
fn ordinal(word: &str) -> Option<u32> {
    let named = ORDINALS.iter().position(|name| *name == word).and_then(|at| u32::try_from(at + 1).ok());
    let digits = word.ends_with(|c: char| c.is_ascii_alphabetic()).then(|| day_number(word)).flatten();
    named.or_else(|| digits.and_then(|n| u32::try_from(n).ok()))
}
