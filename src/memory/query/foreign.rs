//! What a question in another language says that needs no grammar: names of the store, dates, and words for how runs ended.
//!
//! Nothing of it becomes a filter: what was found there only comes first.

use std::ops::Bound;

use jiff::civil::Date;

use crate::domain::event::Mode;
use crate::views::status::RunStatus;

use super::amounts::w;
use super::calendar_words::{day_number, year};
use super::filter::{Bounds, FilterTest, Outcome};
use super::period::{Calendar, Stretch};
use super::scan::Word;
use super::vocabulary::{Term, Vocabulary};

/// The months from January on: German, French, Spanish.
const MONTHS: [&[&str]; 12] = [
    &["januar", "jänner", "janvier", "enero"],
    &["februar", "februar", "février", "fevrier", "febrero"],
    &["märz", "maerz", "mars", "marzo"],
    &["april", "avril", "abril"],
    &["mai", "mayo"],
    &["juni", "juin", "junio"],
    &["juli", "juillet", "julio"],
    &["august", "août", "aout", "agosto"],
    &["september", "septembre", "septiembre", "setiembre"],
    &["oktober", "octobre", "octubre"],
    &["november", "novembre", "noviembre"],
    &["dezember", "décembre", "decembre", "diciembre"],
];
/// How words for a state begin: German, French, Spanish, Japanese.
const STATES: [(&str, RunStatus); 19] = [
    ("fehlgeschlagen", RunStatus::Failed),
    ("gescheitert", RunStatus::Failed),
    ("échou", RunStatus::Failed),
    ("echou", RunStatus::Failed),
    ("échec", RunStatus::Failed),
    ("fallid", RunStatus::Failed),
    ("fallad", RunStatus::Failed),
    ("fallaron", RunStatus::Failed),
    ("falló", RunStatus::Failed),
    ("失敗", RunStatus::Failed),
    ("erfolgreich", RunStatus::Succeeded),
    ("réussi", RunStatus::Succeeded),
    ("exitos", RunStatus::Succeeded),
    ("成功", RunStatus::Succeeded),
    ("abgebrochen", RunStatus::Cancelled),
    ("annulé", RunStatus::Cancelled),
    ("cancelad", RunStatus::Cancelled),
    ("キャンセル", RunStatus::Cancelled),
    ("中止", RunStatus::Cancelled),
];
const MODES: [(&str, Mode); 7] = [
    ("simuliert", Mode::Simulated),
    ("simulé", Mode::Simulated),
    ("simulad", Mode::Simulated),
    ("シミュレーション", Mode::Simulated),
    ("importiert", Mode::Imported),
    ("importé", Mode::Imported),
    ("importad", Mode::Imported),
];
/// Words that make a date a beginning or an end: German, French, Spanish, Japanese.
const SINCE: &[&str] = &["seit", "ab", "nach", "depuis", "après", "desde", "después", "から", "以降", "以来"];
const UNTIL: &[&str] = &["vor", "bis", "avant", "jusqu", "antes", "hasta", "まで", "以前"];
/// Articles before a day.
const ARTICLES: &[&str] = &["le", "el", "der", "dem", "den"];
/// Words that deny something: with one of them, states say too little.
const DENIALS: &[&str] = &[
    "nicht", "kein", "keine", "keinen", "keiner", "nie", "ohne", "außer", "weder", "pas", "sans", "sauf", "ne", "ni", "jamais",
    "no", "sin", "nunca", "excepto", "salvo", "tampoco",
];
const DENIALS_WITHIN: &[&str] = &["ない", "なかった", "以外", "なし", "せず", "ません"];

/// Returns what should come first: of each kind one test.
pub fn first(words: &[Word], calendar: &Calendar<'_>, vocabulary: &Vocabulary) -> Vec<FilterTest> {
    let mut tests = names(words, vocabulary);
    if let Some((low, high)) = dates(words, calendar) {
        let (low, _) = calendar.ends(Stretch::Days(low, low));
        let (_, high) = calendar.ends(Stretch::Days(high, high));
        let said = |names: &[&str]| {
            words
                .iter()
                .any(|word| names.iter().any(|name| word.text == *name || (!name.is_ascii() && word.text.starts_with(name))))
        };
        let (low, high) = match (said(SINCE), said(UNTIL)) {
            (true, false) => (Bound::Included(low), Bound::Unbounded),
            (false, true) => (Bound::Unbounded, Bound::Excluded(high)),
            _ => (Bound::Included(low), Bound::Excluded(high)),
        };
        tests.push(FilterTest::Time(Bounds::new(low, high)));
    }
    let denied = words.iter().any(|word| {
        let text = word.text.as_str();
        DENIALS.contains(&text) || text.starts_with("n'") || DENIALS_WITHIN.iter().any(|part| text.contains(part))
    });
    if !denied {
        let states: Vec<Outcome> = listed(words, &STATES).into_iter().map(Outcome::Is).collect();
        let modes = listed(words, &MODES);
        tests.extend((!states.is_empty()).then_some(FilterTest::Status(states)));
        tests.extend((!modes.is_empty()).then_some(FilterTest::Mode(modes)));
    }
    tests
}

/// Tells whether a word says how runs ended, in a language that is read here.
pub fn is_state(text: &str) -> bool {
    STATES.iter().map(|(part, _)| part).chain(MODES.iter().map(|(part, _)| part)).any(|part| text.starts_with(part))
}

/// Finds words that begin so; where words are not divided, those that hold it.
fn listed<T: Copy + PartialEq>(words: &[Word], table: &[(&str, T)]) -> Vec<T> {
    let mut all = Vec::new();
    for word in words {
        let found = table.iter().find(|(part, _)| {
            let whole = part.starts_with(|c: char| c.is_alphabetic() && c < '\u{2e80}');
            if whole { word.text.starts_with(part) } else { word.text.contains(part) }
        });
        if let Some((_, value)) = found
            && !all.contains(value)
        {
            all.push(*value);
        }
    }
    all
}

/// Finds names of the store that nobody writes by chance: `release_prep`, `claude-haiku-4-5`, a template's name of several words.
fn names(words: &[Word], vocabulary: &Vocabulary) -> Vec<FilterTest> {
    let (mut templates, mut models, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(rest) = words.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((len, terms)) = vocabulary.longest(rest.iter().map(|word| word.text.as_str())) else {
            at += 1;
            continue;
        };
        if len > 1 || w(words, at).contains(['_', '-']) || w(words, at).contains(|c: char| c.is_ascii_digit()) {
            for term in terms {
                match term {
                    Term::Template(id) => templates.push(id.clone()),
                    Term::Model(model) => models.push(model.clone()),
                    Term::Role(role) => roles.push(role.clone()),
                    Term::Provider(_) | Term::Tag(_) => {}
                }
            }
        }
        at += len;
    }
    let mut tests = Vec::new();
    tests.extend((!templates.is_empty()).then_some(FilterTest::Template(templates)));
    tests.extend((!models.is_empty()).then_some(FilterTest::Model(models)));
    tests.extend((!roles.is_empty()).then_some(FilterTest::Role(roles)));
    tests
}

/// Returns the first and the last day that are named, in ISO form, with a month's name or as `2026年1月24日`.
fn dates(words: &[Word], calendar: &Calendar<'_>) -> Option<(Date, Date)> {
    let mut span: Option<(Date, Date)> = None;
    for at in 0..words.len() {
        let found = iso(w(words, at)).or_else(|| named(words, at, calendar)).or_else(|| counted(words, at, calendar));
        if let Some((first, last)) = found {
            span = Some(span.map_or((first, last), |(low, high)| (low.min(first), high.max(last))));
        }
    }
    span
}

/// Reads `2026-01-24` and `2026-01`.
fn iso(word: &str) -> Option<(Date, Date)> {
    if let Ok(day) = word.parse::<Date>() {
        return Some((day, day));
    }
    let (y, m) = word.split_once('-')?;
    let first = Date::new(year(y)?, m.parse().ok().filter(|_| m.len() == 2)?, 1).ok()?;
    Some((first, first.last_of_month()))
}

/// Reads "Januar 2026", "24. Januar", "del 24 al 25 de enero de 2026" at the month's name.
fn named(words: &[Word], at: usize, calendar: &Calendar<'_>) -> Option<(Date, Date)> {
    let month = MONTHS.iter().position(|names| names.contains(&w(words, at))).and_then(|at| i8::try_from(at + 1).ok())?;
    let of = at + 1 + usize::from(matches!(w(words, at + 1), "de" | "del"));
    let year = year(w(words, of));
    // The place before `at`, over a word of no meaning.
    let before =
        |at: usize, over: &[&str]| at.checked_sub(1).filter(|at| over.contains(&w(words, *at))).unwrap_or(at).checked_sub(1);
    let last = before(at, &["de"]).and_then(|place| day_number(w(words, place)).map(|day| (place, day)));
    let Some((place, last)) = last else { return calendar.month(month, year) };
    let first = before(place, ARTICLES).and_then(|and| before(and, &[])).and_then(|place| day_number(w(words, place)));
    let first = first.filter(|first| *first < last);
    let Stretch::Days(day, _) = calendar.dated(last, month, year)? else { return None };
    Some((Date::new(day.year(), month, first.unwrap_or(last)).ok()?, day))
}

/// Reads `2026年1月24日`, `1月`: numbers with a sign behind each.
fn counted(words: &[Word], at: usize, calendar: &Calendar<'_>) -> Option<(Date, Date)> {
    let sign = |at: usize, sign: char| w(words, at).starts_with(sign);
    if !sign(at, '月') && !sign(at, '월') {
        return None;
    }
    let number = at.checked_sub(1)?;
    let month = w(words, number).parse::<i8>().ok().filter(|month| (1..=12).contains(month))?;
    let of = number.checked_sub(1).filter(|at| sign(*at, '年') || sign(*at, '년')).and_then(|at| at.checked_sub(1));
    let year = of.and_then(|at| year(w(words, at)));
    match day_number(w(words, at + 1)).filter(|_| sign(at + 2, '日') || sign(at + 2, '일')) {
        Some(day) => match calendar.dated(day, month, year)? {
            Stretch::Days(first, last) => Some((first, last)),
            Stretch::Moments(..) => None,
        },
        None => calendar.month(month, year),
    }
}
