//! Names in the words: roles, models, providers, tags and labels that the store knows.
//!
//! A name alone is a hint; "with the linter", "gpt-5 runs" and "tagged flaky" may be filters.

use super::amounts::{any_phrase, w};
use super::filter::FilterTest;
use super::negation;
use super::phrase::{Need, PhraseMatch, Reader};
use super::scan::Word;
use super::subject::Subject;
use super::vocabulary::Term;

impl Reader<'_> {
    /// Reads "labelled team=core", `team=core` where runs carry it, and "in project shop" where runs carry `project=shop`.
    pub fn label(&self, at: usize) -> Option<PhraseMatch> {
        const PROJECT: &[&str] =
            &["in project", "in the project", "of project", "of the project", "for project", "for the project", "from project"];
        let words = self.words;
        if let Some(next) = any_phrase(words, at, PROJECT).filter(|next| self.vocabulary.has_label("project", w(words, *next))) {
            let name = words.get(next).map_or("", |word| word.raw.as_str());
            let name = name.trim_matches(|c: char| matches!(c, ',' | '.' | ';' | '(' | ')' | '?' | '"'));
            let test = FilterTest::Label(vec![("project".to_owned(), Some(name.to_owned()))]);
            return Some(PhraseMatch::new(at, next + 1, test, Need::Context));
        }
        let lead = any_phrase(
            words,
            at,
            &["labelled with", "labeled with", "labelled", "labeled", "with the label", "with label", "label"],
        );
        let next = lead.unwrap_or(at);
        let (key, value) = w(words, next).split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty())?;
        let known = lead.is_some() || self.vocabulary.has_label(key, value);
        // As typed, for labels are compared as they are.
        let typed = words
            .get(next)
            .map_or("", |word| word.raw.as_str())
            .trim_matches(|c: char| matches!(c, ',' | '.' | ';' | '(' | ')' | '?'));
        let (key, value) = typed.split_once('=')?;
        let test = FilterTest::Label(vec![(key.to_owned(), Some(value.to_owned()))]);
        known.then_some(PhraseMatch::new(at, next + 1, test, Need::Context))
    }

    /// Reads roles, models, providers and tags.
    pub fn name(&self, at: usize, before: Option<&PhraseMatch>) -> Option<PhraseMatch> {
        let words = self.words;
        const LEADS: &[&str] = &[
            "by the",
            "with the",
            "using the",
            "by",
            "with",
            "using",
            "used the",
            "used",
            "use the",
            "use",
            "uses",
            "on",
            "via",
            "through",
            "from",
            "tagged with",
            "tagged as",
            "tagged",
            "with tag",
            "with the tag",
            "with role",
            "role",
            "with model",
            "model",
            "provider",
            "where the",
            "in which the",
            "whose",
            "involving the",
            "involving",
        ];
        let lead = any_phrase(words, at, LEADS)
            .filter(|start| self.vocabulary.longest(texts(words, *start)).is_some() || self.model_word(*start).is_some());
        // "with gpt-5 or sonnet"
        let joined = before.is_some_and(|found| {
            found.to + 1 == at
                && found.need == Need::Context
                && matches!(w(words, found.to), "or" | "and")
                && matches!(
                    found.test(),
                    Some(FilterTest::Model(_) | FilterTest::Provider(_) | FilterTest::Role(_) | FilterTest::Tag(_))
                )
        });
        let tag_joined = joined && before.is_some_and(|found| matches!(found.test(), Some(FilterTest::Tag(_))));
        // "without the linter"
        let article = usize::from(at > 0 && matches!(w(words, at - 1), "the" | "a"));
        let denied = negation::ends_at(words, at - article).is_some();
        let lead = lead.or((joined || denied).then_some(at));
        let start = lead.unwrap_or(at);
        let led = words.get(at..start).unwrap_or_default().iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        let (len, terms) = match self.vocabulary.longest(texts(words, start)) {
            Some(found) => found,
            None => {
                let models = self.model_word(start).filter(|_| lead.is_some())?;
                let need = if self.ends(start + 1) && led != "role" { Need::Context } else { Need::Never };
                return Some(PhraseMatch::new(at, start + 1, FilterTest::Model(models), need));
            }
        };
        let to = start + len;
        let tagged = led.contains("tag") || tag_joined;
        let pick = |wanted: fn(&Term) -> Option<String>| {
            let all: Vec<String> = terms.iter().filter_map(wanted).collect();
            (!all.is_empty()).then_some(all)
        };
        let tags = pick(|term| if let Term::Tag(tag) = term { Some(tag.clone()) } else { None });
        let models = pick(|term| if let Term::Model(model) = term { Some(model.clone()) } else { None });
        let providers = pick(|term| if let Term::Provider(name) = term { Some(name.clone()) } else { None });
        let roles = pick(|term| if let Term::Role(role) = term { Some(role.clone()) } else { None });
        let agent = matches!(w(words, to), "agent" | "agents" | "role");
        let before_runs = self.subjects.iter().any(|place| place.from == to && matches!(place.subject, Subject::Runs(_)));
        let whole = self.ends(to) && (lead.is_some() || before_runs);
        let (test, good) = if let Some(tags) = tags.filter(|_| tagged) {
            (FilterTest::Tag(tags), true)
        } else if let Some(models) = models.filter(|_| !tagged) {
            (FilterTest::Model(models), whole)
        } else if let Some(providers) = providers.filter(|_| !tagged) {
            (FilterTest::Provider(providers), whole)
        } else {
            let roles = roles.filter(|_| !tagged)?;
            (FilterTest::Role(roles), whole && !matches!(led.as_str(), "on" | "through" | "from" | "via") || agent)
        };
        let to = to + usize::from(agent && matches!(test, FilterTest::Role(_)));
        Some(PhraseMatch::new(at, to, test, if good { Need::Context } else { Need::Never }))
    }

    /// Reads a part of models' names that names a family: "sonnet", "gpt-5".
    fn model_word(&self, at: usize) -> Option<Vec<String>> {
        const COMMON: &[&str] = &[
            "mini",
            "large",
            "small",
            "turbo",
            "instruct",
            "chat",
            "preview",
            "latest",
            "base",
            "nano",
            "fast",
            "medium",
            "high",
            "code",
            "coder",
            "vision",
            "test",
            "simulated",
            "model",
            "cheap",
            "capable",
            "premium",
            "text",
            "embedding",
            "realtime",
            "audio",
            "image",
        ];
        let word = w(self.words, at);
        if word.len() < 3 || COMMON.contains(&word) {
            return None;
        }
        let whole = |model: &String| {
            let model = model.to_lowercase();
            model.match_indices(word).any(|(from, _)| {
                let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
                edge(model.get(..from).and_then(|head| head.chars().next_back()))
                    && edge(model.get(from + word.len()..).and_then(|tail| tail.chars().next()))
            })
        };
        let models: Vec<String> = self.vocabulary.models_like(word).into_iter().filter(whole).collect();
        (!models.is_empty()).then_some(models)
    }
}

fn texts(words: &[Word], at: usize) -> impl Iterator<Item = &str> {
    let rest = words.get(at..).unwrap_or_default();
    let reach = rest.iter().position(|word| word.stop).map_or(rest.len(), |stop| stop + 1);
    rest.iter().take(reach).map(|word| word.text.as_str())
}
