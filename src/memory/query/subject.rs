//! Who a query speaks of: runs, a template's runs, "anything", "releases", notes, or nobody in particular.
//!
//! Words become filters only where such a subject stands; so this is where "the test suite runs slowly" is told from
//! "nightly runs since May". It knows no filter.

use super::amounts::{any_phrase, comparison, w};
use super::order;
use super::period::Calendar;
use super::scan::Word;
use super::vocabulary::{Term, Vocabulary};

/// What kind of subject it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// "runs", with the templates whose runs they are.
    Runs(Vec<String>),
    /// A template's name that stands for its runs.
    Template(Vec<String>),
    /// The plural of a word that templates are named with: "releases".
    Plural,
    /// "agents", "attempts": parts of runs.
    Parts,
    /// "what", "anything", "those" at the beginning; `asks` when the question itself is about runs: "what did I run".
    Open {
        /// The question is about what was run.
        asks: bool,
    },
    /// A person's notes.
    Notes,
}

/// A subject and its words.
#[derive(Clone, Debug)]
pub struct SubjectSpan {
    /// The first word.
    pub from: usize,
    /// The word behind the last.
    pub to: usize,
    /// What it is.
    pub subject: Subject,
}

/// Words that carry no meaning of their own.
pub const STOP: &[&str] = &[
    "a", "an", "the", "and", "or", "but", "of", "for", "to", "in", "on", "at", "by", "with", "without", "from", "as", "is",
    "are", "was", "were", "be", "been", "being", "has", "have", "had", "do", "does", "did", "that", "which", "who", "whose",
    "where", "when", "why", "how", "what", "i", "we", "you", "it", "they", "me", "my", "our", "us", "this", "these", "those",
    "there", "all", "any", "some", "because", "due", "since", "until", "before", "after", "during", "then", "so", "if", "not",
    "no", "only", "just", "also", "again", "please", "show", "list", "find", "give", "get", "search", "about", "ones", "one",
    "each", "every", "ever", "than", "more", "less", "over", "under", "between", "into", "out", "up", "many", "much", "can",
    "could", "would", "should", "last", "first", "while", "whenever", "though", "although", "however", "once", "twice", "using",
    "used", "via", "both", "either", "yet", "too", "–", "-", "&", "+", "despite", "through", "within", "against", "nor",
    "neither", "except", "never",
];

/// Words before the subject of a wish.
pub const POLITE: &[&str] = &[
    "show", "me", "us", "list", "find", "give", "get", "please", "search", "for", "can", "could", "you", "i", "want", "to",
    "see", "look", "up", "the", "any", "all", "of", "display", "fetch", "only", "recent", "my", "our", "need", "would", "like",
    "hey", "and", "also", "just", "let", "where", "are", "were", "was", "there", "is", "did", "has", "have", "do",
];

/// Words that add nothing to a question about runs of which everything else is understood.
pub const FILLERS: &[&str] = &[
    "run",
    "runs",
    "ran",
    "running",
    "execution",
    "executions",
    "session",
    "sessions",
    "happened",
    "happen",
    "happens",
    "occurred",
    "executed",
    "started",
    "done",
    "tried",
    "cost",
    "costs",
    "take",
    "takes",
    "took",
    "long",
    "go",
    "went",
    "outcome",
    "outcomes",
    "result",
    "results",
    "status",
    "tell",
    "name",
    "number",
    "count",
    "thanks",
    "thank",
    "kindly",
    "exactly",
    "ok",
    "hi",
    "hello",
    "thing",
    "things",
    "anything",
    "everything",
    "something",
    "nothing",
    "recently",
    "single",
    "know",
    "sort",
    "sorted",
    "order",
    "first",
    "top",
    "overall",
    "exist",
    "exists",
    "ended",
    "finished",
    "stuff",
    "of",
    "ago",
    "now",
    "s",
    "re",
    "far",
    "few",
    "either",
    "total",
    "still",
    "even",
    "mine",
    "template",
    "templates",
];

/// Words before "run" that make it another thing.
const COMPOUND: &[&str] =
    &["test", "tests", "dry", "trial", "training", "ci", "pytest", "print", "bank", "ski", "home", "long", "pilot"];

/// Words after which "runs" is a verb.
const DOES: &[&str] = &[
    "that", "it", "he", "she", "who", "code", "script", "suite", "server", "program", "always", "never", "usually", "often",
    "also", "then", "job", "service", "function", "command", "process", "team", "app", "water", "time", "tool", "binary", "loop",
    "ci",
];

/// Words after which "run" is a noun.
const DETERMINERS: &[&str] = &[
    "a",
    "the",
    "my",
    "our",
    "your",
    "this",
    "last",
    "latest",
    "previous",
    "any",
    "each",
    "every",
    "no",
    "one",
    "another",
    "recent",
    "newest",
    "most",
    "oldest",
    "longest",
    "cheapest",
    "dearest",
    "expensive",
    "single",
    "which",
    "what",
    "of",
    "in",
    "nightly",
    "past",
    "first",
];

/// Verbs with which something is said of a run.
pub const VERBS: &[&str] = &[
    "took",
    "takes",
    "taking",
    "cost",
    "costs",
    "costing",
    "lasted",
    "lasting",
    "ran",
    "reached",
    "reaching",
    "rated",
    "tagged",
    "labelled",
    "labeled",
    "started",
    "happened",
    "needed",
    "needing",
    "exceeded",
    "exceeding",
    "ending",
    "finishing",
    "starting",
];

/// Tells whether nothing of the same noun phrase follows behind `at`.
pub fn ends_here(words: &[Word], at: usize, calendar: &Calendar<'_>) -> bool {
    let stopped = at.checked_sub(1).and_then(|last| words.get(last)).is_some_and(|last| last.stop);
    let next = w(words, at);
    stopped
        || next.is_empty()
        || STOP.contains(&next)
        || VERBS.contains(&next)
        || next.ends_with("ly")
        || comparison(words, at).is_some()
        || calendar.period(words, at).is_some()
}

/// Finds all subjects, in order, none inside another.
pub fn subjects(
    words: &[Word],
    calendar: &Calendar<'_>,
    vocabulary: &Vocabulary,
    is_state: &dyn Fn(usize) -> bool,
) -> Vec<SubjectSpan> {
    let mut places = Vec::new();
    // "how do I cancel a run": a question about doing, not about what was done.
    if any_phrase(
        words,
        0,
        &["how to", "how do i", "how do we", "how do you", "how can i", "how can we", "how should", "how would"],
    )
    .is_some()
    {
        return places;
    }
    if let Some(place) = open(words, calendar) {
        places.push(place);
    }
    let mut at = 0;
    while at < words.len() {
        match one(words, at, calendar, vocabulary, is_state) {
            Some(place) => {
                at = place.to;
                places.push(place);
            }
            None => at += 1,
        }
    }
    places
}

fn one(
    words: &[Word],
    at: usize,
    calendar: &Calendar<'_>,
    vocabulary: &Vocabulary,
    is_state: &dyn Fn(usize) -> bool,
) -> Option<SubjectSpan> {
    let found = |to: usize, subject: Subject| Some(SubjectSpan { from: at, to, subject });
    let mut end = at;
    let mut ids: Vec<String> = Vec::new();
    // "release_prep and security_audit runs": several names with one noun.
    while let Some((next, more)) = template(words, end, vocabulary) {
        ids.extend(more);
        end = next;
        let and = end + usize::from(matches!(w(words, end), "and" | "or"));
        if template(words, and, vocabulary).is_none() {
            break;
        }
        end = and;
    }
    if end > at {
        let noun = end + usize::from(matches!(w(words, end), "template" | "workflow" | "team"));
        if matches!(w(words, noun), "run" | "runs" | "execution" | "executions" | "session" | "sessions")
            && !adverb(w(words, noun + 1))
        {
            return found(noun + 1, Subject::Runs(ids));
        }
        return mention(words, at, end, calendar, is_state).then_some(SubjectSpan {
            from: at,
            to: end,
            subject: Subject::Template(ids),
        });
    }
    let word = w(words, at);
    match word {
        "sessions" | "session" if !leads(words, at, is_state) => None,
        "runs" | "run" | "executions" | "execution" | "sessions" | "session"
            if run_noun(words, at, calendar, vocabulary, is_state) =>
        {
            // "runs of release_prep", "run for the security audit template"
            let of = any_phrase(words, at + 1, &["of", "for", "from", "with", "using"]);
            let the = of.map(|of| of + usize::from(matches!(w(words, of), "the" | "a" | "my" | "our" | "template")));
            if let Some((end, ids)) = the.and_then(|the| template(words, the, vocabulary)) {
                let end = end + usize::from(matches!(w(words, end), "template" | "workflow" | "team"));
                if ends_here(words, end, calendar) || is_state(end) {
                    return found(end, Subject::Runs(ids));
                }
            }
            found(at + 1, Subject::Runs(Vec::new()))
        }
        "agents" | "attempts"
            if w(words, at + 1) == "that" || w(words, at + 1) == "which" || w(words, at + 1).starts_with("escalat") =>
        {
            found(at + 1, Subject::Parts)
        }
        "notes" | "note" => {
            let next = w(words, at + 1);
            let mine = at > 0 && matches!(w(words, at - 1), "my" | "our" | "only");
            let said = matches!(next, "rated" | "tagged" | "only")
                || any_phrase(
                    words,
                    at + 1,
                    &["i wrote", "i made", "i left", "we wrote", "that i wrote", "with rating", "with a rating"],
                )
                .is_some();
            if mine || said { found(at + 1, Subject::Notes) } else { None }
        }
        "workflows" => found(at + 1, Subject::Plural),
        word if vocabulary.is_plural_subject(word) && (ends_here(words, at + 1, calendar) || is_state(at + 1)) => {
            found(at + 1, Subject::Plural)
        }
        _ => None,
    }
}

fn adverb(word: &str) -> bool {
    word.len() > 4
        && word.ends_with("ly")
        && !matches!(word, "only" | "early" | "july" | "nightly" | "recently" | "currently" | "successfully")
}

/// Reads the name of a template; several ids when templates share it.
fn template(words: &[Word], at: usize, vocabulary: &Vocabulary) -> Option<(usize, Vec<String>)> {
    let rest = words.get(at..)?;
    // A name does not reach over a comma.
    let reach = rest.iter().position(|word| word.stop).map_or(rest.len(), |stop| stop + 1);
    let (len, terms) = vocabulary.longest(rest.iter().take(reach).map(|word| word.text.as_str()))?;
    let id = |term: &Term| match term {
        Term::Template(id) => Some(id.clone()),
        _ => None,
    };
    let ids: Vec<String> = terms.iter().filter_map(id).collect();
    (!ids.is_empty()).then_some((at + len, ids))
}

/// Tells whether a template's name, without "runs", speaks of its runs: not "a security audit checklist".
fn mention(words: &[Word], at: usize, end: usize, calendar: &Calendar<'_>, is_state: &dyn Fn(usize) -> bool) -> bool {
    let typed = end == at + 1 && w(words, at).contains(['_', '-']);
    let before = at.checked_sub(1).map_or("", |before| w(words, before));
    if matches!(
        before,
        "about"
            | "mention"
            | "mentions"
            | "mentioning"
            | "regarding"
            | "write"
            | "writing"
            | "create"
            | "build"
            | "make"
            | "do"
            | "perform"
            | "design"
            | "a"
            | "an"
            | "new"
            | "our"
            | "like"
            | "plan"
    ) && !typed
        && !matches!(w(words, end), "that" | "which")
    {
        return false;
    }
    if typed {
        return true;
    }
    // One plain word is too common to stand for a template, unless in the plural.
    if end == at + 1 && !w(words, at).ends_with('s') {
        return false;
    }
    ends_here(words, end, calendar) || is_state(end)
}

/// Tells whether nothing but what a wish begins with stands before `at`: "session" may also be what a text is about.
fn leads(words: &[Word], at: usize, is_state: &dyn Fn(usize) -> bool) -> bool {
    let mut next = 0;
    while next < at {
        let ordered = order::read(words, next).map(|(to, ..)| to).filter(|to| *to <= at);
        let word = w(words, next);
        let is_tier = matches!(word, "premium" | "capable" | "cheap" | "real" | "simulated" | "imported");
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        next = match ordered {
            Some(to) if to > next => to,
            _ if POLITE.contains(&word)
                || DETERMINERS.contains(&word)
                || is_tier
                || is_number
                || is_state(next)
                || word == "which" =>
            {
                next + 1
            }
            _ => return false,
        };
    }
    true
}

/// Tells whether "run" or "runs" at `at` is the noun.
fn run_noun(
    words: &[Word],
    at: usize,
    calendar: &Calendar<'_>,
    vocabulary: &Vocabulary,
    is_state: &dyn Fn(usize) -> bool,
) -> bool {
    let plural = w(words, at).ends_with('s');
    let last = at.checked_sub(1).and_then(|before| words.get(before)).filter(|before| !before.stop);
    let before = last.map_or("", |last| last.text.as_str());
    let next = if words.get(at).is_some_and(|word| word.stop) { "" } else { w(words, at + 1) };
    if COMPOUND.contains(&before) || adverb(next) || next == "out" || next == "into" || next == "away" {
        return false;
    }
    let ordered = |back: usize| at.checked_sub(back).and_then(|from| order::read(words, from)).is_some_and(|(to, ..)| to == at);
    let modified = last.is_some_and(|last| last.possessive)
        || (1..=5).any(ordered)
        || at.checked_sub(1).is_some_and(is_state)
        || matches!(
            before,
            "premium" | "capable" | "cheap" | "tier" | "premium-tier" | "cheap-tier" | "capable-tier" | "free" | "agent"
        )
        || (at > 0 && vocabulary.longest(std::iter::once(before)).is_some());
    if !plural {
        // "when a run is cancelled" speaks of any run, "a run that was cancelled" of one that can be found.
        let any = |before: usize| at.checked_sub(before).is_some_and(|before| matches!(w(words, before), "a" | "an"));
        if (any(1) || (modified && any(2))) && !matches!(next, "that" | "which" | "where" | "from" | "with") {
            return false;
        }
        let begins = before.is_empty() && matches!(next, "that" | "which" | "with" | "where" | "from" | "of") || before == "the";
        return begins || modified || DETERMINERS.contains(&before);
    }
    if before == "which" || before == "what" {
        // "the tool which runs tests"
        return at < 2
            || words.get(at - 2).is_none_or(|word| word.stop || POLITE.contains(&word.text.as_str()) || word.text == "know");
    }
    if DOES.contains(&before) {
        return false;
    }
    if before.is_empty() || modified || STOP.contains(&before) || POLITE.contains(&before) || DETERMINERS.contains(&before) {
        return true;
    }
    if at > 0 && (before.bytes().all(|byte| byte.is_ascii_digit()) || calendar.period(words, at - 1).is_some()) {
        return true;
    }
    let follows = matches!(
        next,
        "" | "that"
            | "which"
            | "where"
            | "with"
            | "without"
            | "since"
            | "from"
            | "before"
            | "after"
            | "until"
            | "costing"
            | "taking"
            | "over"
            | "above"
            | "below"
            | "between"
            | "last"
            | "yesterday"
            | "today"
            | "were"
            | "was"
            | "have"
            | "did"
    );
    follows || is_state(at + 1) || calendar.period(words, at + 1).is_some()
}

/// Finds "what", "anything", "failures" at the beginning.
fn open(words: &[Word], calendar: &Calendar<'_>) -> Option<SubjectSpan> {
    let polite = words.iter().take(8).take_while(|word| POLITE.contains(&word.text.as_str())).count();
    let all = polite > 0 && w(words, polite - 1) == "all" && matches!(w(words, polite), "that" | "which");
    let at = if all { polite - 1 } else { polite };
    let word = w(words, at);
    // "failures since May": the noun is subject and state in one.
    let dated = |at: usize| w(words, at).is_empty() || calendar.period(words, at).is_some() || comparison(words, at).is_some();
    if matches!(word, "failures" | "successes" | "cancellations") && dated(at + 1) {
        return Some(SubjectSpan { from: at, to: at, subject: Subject::Open { asks: false } });
    }
    let pronoun = all
        || matches!(
            word,
            "what" | "which" | "anything" | "everything" | "something" | "things" | "stuff" | "those" | "ones" | "whatever"
        );
    if !pronoun {
        return None;
    }
    let mut to = at + 1;
    while matches!(w(words, to), "ones" | "one" | "else" | "of" | "things" | "all") {
        to += 1;
    }
    let verb = to + usize::from(matches!(w(words, to), "that" | "which"));
    let asks = any_phrase(
        words,
        verb,
        &[
            "ran",
            "happened",
            "did i run",
            "did we run",
            "did i do",
            "did we do",
            "did i try",
            "did we try",
            "did i start",
            "did we start",
            "did i execute",
            "was run",
            "were run",
            "was executed",
            "was done",
            "has run",
            "have i run",
            "have we run",
            "have i done",
            "have we done",
            "i ran",
            "we ran",
            "i did",
            "we did",
            "i've run",
            "we've run",
            "got run",
            "has happened",
            "did you run",
            "did it run",
            "was started",
            "started",
            "finished",
            "went wrong",
        ],
    )
    .is_some();
    Some(SubjectSpan { from: at, to, subject: Subject::Open { asks } })
}
