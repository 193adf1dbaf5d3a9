//! What this store knows by name: so that "security audits" can stand for the runs of a template.
//!
//! Names are compared by their words, in any case, with `_` and `-` like spaces and the last word singular or plural.

use std::collections::{HashMap, HashSet};

/// The most words of a name that are compared.
const WORDS_MAX: usize = 8;

/// Words of templates' names that, alone, say nothing about runs.
const COMMON: &[&str] = &[
    "test", "check", "error", "issue", "code", "feature", "document", "file", "tool", "package", "note", "result", "step", "fix",
    "task", "change", "line", "call", "message", "agent",
];

/// What a store knows by name.
#[derive(Clone, Debug, Default)]
pub struct KnownTerms {
    /// Templates: id and name.
    pub templates: Vec<(String, String)>,
    /// Roles of agents.
    pub roles: Vec<String>,
    /// Models.
    pub models: Vec<String>,
    /// Providers.
    pub providers: Vec<String>,
    /// Tags of notes.
    pub tags: Vec<String>,
    /// Labels of runs.
    pub labels: Vec<(String, String)>,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// A template, by its id.
    Template(String),
    /// A role.
    Role(String),
    /// A model.
    Model(String),
    /// A provider.
    Provider(String),
    /// A tag.
    Tag(String),
}

/// The names of a store, ready to be found in words.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    terms: HashMap<String, Vec<Term>>,
    longest: usize,
    /// Words that occur in names of templates, singular.
    subjects: HashSet<String>,
    labels: HashSet<(String, String)>,
    known: KnownTerms,
}

impl Vocabulary {
    /// Prepares what is known. The tiers need not be told: there are three.
    pub fn new(known: KnownTerms) -> Self {
        let mut vocabulary = Self { known: known.clone(), ..Self::default() };
        for (id, name) in known.templates {
            for text in [id.as_str(), name.as_str()] {
                let parts = parts(text);
                let words = parts.iter().map(|word| singular(word)).filter(|word| word.len() > 3 && !COMMON.contains(&&**word));
                vocabulary.subjects.extend(words);
                vocabulary.add(&parts, Term::Template(id.clone()));
            }
        }
        let plain = [
            (known.roles, Term::Role as fn(String) -> Term),
            (known.models, Term::Model),
            (known.providers, Term::Provider),
            (known.tags, Term::Tag),
        ];
        for (names, term) in plain {
            for name in names {
                vocabulary.add(&parts(&name), term(name.clone()));
            }
        }
        vocabulary.labels = known.labels.into_iter().map(|(key, value)| (key.to_lowercase(), value.to_lowercase())).collect();
        vocabulary
    }

    /// Returns the names from which it was made.
    pub fn known(&self) -> &KnownTerms {
        &self.known
    }

    fn add(&mut self, parts: &[String], term: Term) {
        if parts.is_empty() || parts.len() > WORDS_MAX {
            return;
        }
        self.longest = self.longest.max(parts.len());
        let terms = self.terms.entry(joined(parts)).or_default();
        if !terms.contains(&term) {
            terms.push(term);
        }
    }

    /// Returns what `text` names as a whole.
    pub fn find(&self, text: &str) -> &[Term] {
        self.terms.get(&joined(&parts(text))).map_or(&[], Vec::as_slice)
    }

    /// Returns the longest name that begins with the first of `words`, and of how many words it consists.
    pub fn longest<'a>(&self, words: impl Iterator<Item = &'a str>) -> Option<(usize, &[Term])> {
        let mut seen: Vec<String> = Vec::new();
        let mut best = None;
        for (n, word) in words.take(self.longest).enumerate() {
            let more = parts(word);
            if more.is_empty() {
                break;
            }
            seen.extend(more);
            if seen.is_empty() || seen.len() > self.longest {
                break;
            }
            if let Some(terms) = self.terms.get(&joined(&seen)) {
                best = Some((n + 1, terms.as_slice()));
            }
        }
        best
    }

    /// Tells whether `word` is the plural of a word that templates are named with: "releases", "audits".
    pub fn is_plural_subject(&self, word: &str) -> bool {
        word.ends_with('s') && self.subjects.contains(&singular(word)) && !self.subjects.contains(word)
    }

    /// Returns the models of which `text` is the name or a part of it.
    pub fn models_like(&self, text: &str) -> Vec<String> {
        let wanted = text.to_lowercase();
        let exact: Vec<String> = self.known.models.iter().filter(|model| model.to_lowercase() == wanted).cloned().collect();
        if !exact.is_empty() || wanted.len() < 3 {
            return exact;
        }
        self.known.models.iter().filter(|model| model.to_lowercase().contains(&wanted)).cloned().collect()
    }

    /// Tells whether a run carries a label with this key.
    pub fn has_label_key(&self, key: &str) -> bool {
        self.labels.iter().any(|(known, _)| known == key)
    }

    /// Tells whether a run carries this label.
    pub fn has_label(&self, key: &str, value: &str) -> bool {
        self.labels.contains(&(key.to_lowercase(), value.to_lowercase()))
    }
}

/// Returns the words of a name, in lower case.
fn parts(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric() && c != '.')
        .map(|part| part.trim_matches('.').to_lowercase())
        .filter(|part| !part.is_empty())
        .take(WORDS_MAX + 1)
        .collect()
}

fn joined(parts: &[String]) -> String {
    match parts.split_last() {
        Some((last, [])) => singular(last),
        Some((last, head)) => format!("{} {}", head.join(" "), singular(last)),
        None => String::new(),
    }
}

/// Returns an English noun's singular, roughly; both sides of a comparison pass through here.
pub fn singular(word: &str) -> String {
    if word.len() > 4
        && let Some(stem) = word.strip_suffix("ies")
    {
        return format!("{stem}y");
    }
    for ending in ["sses", "shes", "ches", "xes", "zes"] {
        if word.len() > ending.len() && word.ends_with(ending) {
            return word.strip_suffix("es").unwrap_or(word).to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(stem) if word.len() > 3 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}
