//! Tiers in words: "at premium", "escalated to capable", "only cheap", "without premium".

use crate::domain::tier::Tier;

use super::amounts::{any_phrase, w};
use super::filter::FilterTest;
use super::phrase::{Need, PhraseMatch, Reader};
use super::scan::Word;

impl Reader<'_> {
    /// Reads "at premium", "never reached capable", "only cheap".
    pub fn tier(&self, at: usize) -> Option<PhraseMatch> {
        const REACHED: &[&str] = &[
            "escalated all the way to",
            "escalated up to",
            "escalated to",
            "escalating to",
            "climbed to",
            "climbed up to",
            "went up to",
            "made it to",
            "got to",
            "went to",
            "ended at",
            "ended up at",
            "ended on",
            "reached",
            "reaching",
            "reach",
            "hit",
            "needed",
            "needing",
            "need",
            "required",
            "requiring",
            "used",
            "using",
            "uses",
            "use",
            "started at",
            "started on",
            "ran at",
            "ran on",
            "run at",
            "run on",
            "at",
            "on",
            "with",
            "via",
        ];
        const ONLY: &[&str] = &[
            "only used",
            "used only",
            "using only",
            "only using",
            "only on",
            "only at",
            "only with",
            "nothing but",
            "stayed at",
            "stayed on",
            "stayed in",
            "never left",
            "only",
        ];
        const NONE: &[&str] = &["without", "never reached", "never used", "never needed", "never hit", "not using", "not at"];
        let words = self.words;
        let read = |start: usize| {
            let the = start + usize::from(matches!(w(words, start), "the" | "a" | "only" | "just"));
            let just = the + usize::from(matches!(w(words, the), "only" | "just"));
            let (mut next, first) = one_tier(words, just)?;
            let mut tiers = vec![first];
            while matches!(w(words, next), "or" | "and") && one_tier(words, next + 1).is_some() {
                let (after, tier) = one_tier(words, next + 1)?;
                tiers.push(tier);
                next = after;
            }
            tiers.sort();
            tiers.dedup();
            let unit = matches!(w(words, next), "tier" | "tiers" | "level" | "model" | "models");
            let only = (start..just).any(|at| matches!(w(words, at), "only" | "just"));
            Some((next + usize::from(unit), tiers, only, unit))
        };
        let found = |to: usize, tiers: Vec<Tier>, only: bool, negated: bool, need: Need| {
            Some(PhraseMatch { negated, ..PhraseMatch::new(at, to, FilterTest::Tier { tiers, only }, need) })
        };
        for (leads, only, negated) in [(NONE, false, true), (ONLY, true, false), (REACHED, false, false)] {
            if let Some(start) = any_phrase(words, at, leads)
                && let Some((to, tiers, just, unit)) = read(start)
            {
                if w(words, to) == "only" && self.ends(to + 1) {
                    return found(to + 1, tiers, true, negated, Need::Context);
                }
                // "premium account" is no tier.
                let whole = unit || self.ends(to);
                return found(to, tiers, only || just, negated, if whole { Need::Context } else { Need::Never });
            }
        }
        let (to, tiers, _, unit) = read(at).filter(|_| one_tier(words, at).is_some())?;
        if w(words, to) == "only" && self.ends(to + 1) {
            return found(to + 1, tiers, true, false, Need::Context);
        }
        // "cheap runs" may only be inexpensive ones; "premium runs" and "cheap tier" are clear.
        let clear = unit || !tiers.contains(&Tier::Cheap);
        let dashed = w(words, at).ends_with("-only");
        let need = if dashed || clear { if unit && self.ends(to) { Need::Context } else { Need::Before } } else { Need::Never };
        found(to, tiers, dashed, false, need)
    }
}

fn one_tier(words: &[Word], at: usize) -> Option<(usize, Tier)> {
    let word = w(words, at);
    let name = ["-only", "-tier", "-level"].iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word);
    if name == "tier" {
        let (next, tier) = one_tier(words, at + 1)?;
        return Some((next, tier));
    }
    Tier::ALL.into_iter().find(|tier| tier.name() == name).map(|tier| (at + 1, tier))
}
