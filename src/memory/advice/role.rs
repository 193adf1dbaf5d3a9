//! Advice on one role of a template from the sums of its past: which chances its tiers have, where to start, and why in words.

use super::past::{Counts, MONEY};
use super::posterior::Tally;
use super::team::{StartAdvice, TierAdvice, TierKnown, TierPast, advise};
use crate::analytics::material::Pattern;
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::percent;
use crate::domain::tier::Tier;
use crate::views::sketch::Sketch;
use crate::views::stats::patterns::PatternRow;

/// By which rules advice is given.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// What counts.
    pub counts: Counts,
    /// The present UTC day, in days since the epoch.
    pub today: i32,
    /// Days after which an outcome counts half.
    pub half_life_days: f64,
    /// Attempts under which nothing is advised.
    pub min_sample: u32,
}

/// Advice on a role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleAdvice {
    /// Where to start, and what is to be expected of each tier.
    pub start: StartAdvice,
    /// Why, in words and numbers.
    pub because: String,
    /// The newest runs that speak for it, at most `evidence_max`.
    pub evidence: Vec<RunId>,
}

/// Advises on `role` in `template`, which may start at the tiers `allowed`, from the patterns of all templates.
pub fn on_role(
    (template, role): (&str, &str),
    allowed: &[Tier],
    patterns: &[Pattern],
    terms: Terms,
    evidence_max: usize,
) -> RoleAdvice {
    let counts = |pattern: &&Pattern| terms.counts.simulated || pattern.key.mode != Mode::Simulated;
    let patterns: Vec<&Pattern> = patterns.iter().filter(counts).collect();
    let sum = |wanted: &dyn Fn(&Pattern) -> bool| {
        let mut past = TierPast::default();
        patterns.iter().filter(|pattern| wanted(pattern)).for_each(|pattern| add(&mut past, &pattern.row, terms));
        past
    };
    // Costs are compared with each other, so they are of one kind of money: the first that any attempt here was paid in.
    let own = |pattern: &&&Pattern| pattern.key.template == template && pattern.key.role == role;
    let is_paid = |mode: &Mode| patterns.iter().filter(own).any(|one| one.key.mode == *mode && one.row.cost.count() > 0);
    let money = MONEY.into_iter().find(is_paid);
    let mut evidence: Vec<RunId> = Vec::new();
    let (mut known, mut tried) = (Vec::new(), Vec::new());
    for tier in Tier::ALL {
        let here = |pattern: &Pattern| pattern.key.template == template && pattern.key.role == role && pattern.key.tier == tier;
        let rows: Vec<&&Pattern> = patterns.iter().filter(|pattern| here(pattern)).collect();
        let judged = |of: fn(&PatternRow) -> (u64, u64, u64)| -> u64 {
            let counted = |(passed, unverified, failed)| passed + failed + if terms.counts.unverified { unverified } else { 0 };
            rows.iter().map(|pattern| counted(of(&pattern.row))).sum()
        };
        let n = judged(|row| (row.passed, row.unverified, row.failed));
        let n_first = judged(|row| (row.first.passed.into(), row.first.unverified.into(), row.first.failed.into())).min(n);
        let attempts: u64 = rows.iter().map(|pattern| pattern.row.attempts).sum();
        if attempts > 0 {
            tried.push(Tried { tier, attempts, judged: n });
        }
        if n == 0 {
            continue;
        }
        let mut cost = Sketch::default();
        rows.iter().filter(|one| Some(one.key.mode) == money).for_each(|one| cost.merge(&one.row.cost));
        evidence.extend(rows.iter().flat_map(|pattern| pattern.row.evidence.runs()));
        known.push(TierKnown {
            tier,
            here: sum(&here),
            role: sum(&|pattern| pattern.key.role == role && pattern.key.tier == tier),
            all: sum(&|pattern| pattern.key.tier == tier),
            cost: cost.mean(),
            n_first,
            n_later: n - n_first,
        });
    }
    evidence.sort_unstable_by(|a, b| b.cmp(a));
    evidence.dedup();
    evidence.truncate(evidence_max);
    let start = advise(&known, allowed, u64::from(terms.min_sample));
    let because = because(&start, &tried, u64::from(terms.min_sample));
    RoleAdvice { start, because, evidence }
}

/// How often a role tried a tier, and of how many attempts there it is known whether they passed.
struct Tried {
    tier: Tier,
    attempts: u64,
    judged: u64,
}

/// Adds what a row says, the old less than the new.
fn add(past: &mut TierPast, row: &PatternRow, terms: Terms) {
    let unverified = terms.counts.unverified;
    let (passed, failed) = row.decayed(terms.today, terms.half_life_days, unverified);
    let held = row.first;
    let whole = f64::from(held.passed + if unverified { held.unverified } else { 0 });
    // First attempts fade as all attempts of the row do.
    let all_passed = (row.passed + if unverified { row.unverified } else { 0 }) as f64;
    let share = |part: f64, all: f64| if all > 0.0 { (part / all).clamp(0.0, 1.0) } else { 0.0 };
    let first =
        Tally { passed: passed * share(whole, all_passed), failed: failed * share(f64::from(held.failed), row.failed as f64) };
    past.first.passed += first.passed;
    past.first.failed += first.failed;
    past.later.passed += passed - first.passed;
    past.later.failed += failed - first.failed;
}

fn because(advice: &StartAdvice, tried: &[Tried], min_sample: u64) -> String {
    if tried.is_empty() {
        return "this role was never tried here".to_owned();
    }
    let of_tier = |tried: &Tried| match advice.tiers.iter().find(|tier| tier.tier == tried.tier && tier.p_pass.is_some()) {
        Some(known) => on_tier(known, min_sample),
        None => on_little(tried),
    };
    let words: Vec<String> = tried.iter().map(of_tier).collect();
    let mut words = words.join("; ");
    let is_thin = tried.iter().any(|tried| tried.judged < min_sample);
    if is_thin {
        words.push_str(&format!("; under {min_sample} nothing is claimed"));
    }
    match advice.start {
        Some(_) => words,
        None if is_thin => format!("not known: {words}"),
        None => format!("not known: some attempts have no known cost; {words}"),
    }
}

/// Says how little is known of a tier.
fn on_little(tried: &Tried) -> String {
    let Tried { tier, attempts, judged } = tried;
    let noun = if *attempts == 1 { "attempt" } else { "attempts" };
    if attempts == judged {
        format!("{tier} had {attempts} {noun}")
    } else {
        format!("{tier} had {attempts} {noun}, {judged} of which could be judged")
    }
}

/// Says what is known of a tier, and from what: what was seen after a failure alone is said as that, and as an estimate of the rest.
fn on_tier(tier: &TierAdvice, min_sample: u64) -> String {
    let rate = |p: Option<f64>, low: Option<f64>, high: Option<f64>, n: Option<u64>| {
        let words = percent::with_interval(p?, low?, high?);
        let Some(n) = n else { return Some(words) };
        Some(words.replace(')', &format!(", {n} {})", if n == 1 { "attempt" } else { "attempts" })))
    };
    let is_enough = |n: u64| n >= min_sample && n > 0;
    let seen = is_enough(tier.n_first_attempts)
        .then(|| rate(tier.p_pass, tier.low, tier.high, Some(tier.n_first_attempts)))
        .flatten()
        .map(|rate| format!("{rate} of first attempts"));
    let after = is_enough(tier.n_after_failure)
        .then(|| {
            let n = Some(tier.n_after_failure);
            rate(tier.p_pass_after_failure, tier.low_after_failure, tier.high_after_failure, n)
        })
        .flatten()
        .map(|rate| format!("{rate} after a failure"));
    let said = match (seen, after) {
        (Some(seen), Some(after)) => format!("{seen}, {after}"),
        (Some(seen), None) => seen,
        (None, after) => {
            // Neither kind of attempts is enough by itself, or only those after a failure are.
            let n = after.is_none().then_some(tier.n);
            let estimate = rate(tier.p_pass, tier.low, tier.high, n).unwrap_or_default();
            let after = after.map_or_else(String::new, |after| format!("{after}, "));
            format!("{after}of first attempts an estimated {estimate}")
        }
    };
    let cost = tier.expected_cost_nusd;
    let cost = cost.map_or_else(String::new, |cost| format!(", starting there costs {} on average", NanoUsd(cost)));
    format!("{} passes {said}{cost}", tier.tier)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::views::stats::patterns::{DayAttempts, PatternKey};

    /// First attempts of one role at a tier: passed, passed unverified, failed.
    fn pattern(tier: Tier, passed: u32, unverified: u32, failed: u32) -> Pattern {
        let first = DayAttempts { passed, unverified, failed };
        let mut cost = Sketch::default();
        (0..passed + unverified + failed).for_each(|_| cost.add(1_000_000));
        let row = PatternRow {
            attempts: u64::from(passed + unverified + failed),
            passed: passed.into(),
            unverified: unverified.into(),
            failed: failed.into(),
            days: BTreeMap::from([(20_000, first)]),
            first,
            cost,
            ..PatternRow::default()
        };
        let (template, role, provider, model) = ("t".into(), "r".into(), "p".into(), "m".into());
        Pattern { key: PatternKey { template, mode: Mode::Real, role, tier, provider, model }, row }
    }

    fn on(patterns: &[Pattern], allowed: &[Tier]) -> RoleAdvice {
        let terms = Terms { counts: Counts::default(), today: 20_000, half_life_days: 90.0, min_sample: 10 };
        on_role(("t", "r"), allowed, patterns, terms, 5)
    }

    #[test]
    fn attempts_that_nobody_could_judge_are_told_beside_those_that_count() {
        let advice = on(&[pattern(Tier::Cheap, 3, 17, 0)], &Tier::ALL);
        assert_eq!(advice.start.start, None);
        assert_eq!(advice.because, "not known: cheap had 20 attempts, 3 of which could be judged; under 10 nothing is claimed");
        let advice = on(&[pattern(Tier::Cheap, 0, 20, 0)], &Tier::ALL);
        assert!(advice.because.starts_with("not known: cheap had 20 attempts, 0 of which"), "{}", advice.because);
        assert_eq!(on(&[], &Tier::ALL).because, "this role was never tried here");
    }

    #[test]
    fn no_rate_is_told_of_a_tier_that_was_tried_once() {
        let advice = on(&[pattern(Tier::Cheap, 40, 0, 10), pattern(Tier::Capable, 1, 0, 0)], &Tier::ALL);
        assert!(
            advice.because.contains("cheap passes 79 % (") && advice.because.contains("50 attempts) of first attempts"),
            "{}",
            advice.because
        );
        assert!(advice.because.contains("; capable had 1 attempt; under 10"), "{}", advice.because);
        assert_eq!(advice.because.matches('%').count(), 2, "{}", advice.because);
    }

    #[test]
    fn a_role_is_advised_on_at_its_only_tier_whatever_others_were_tried_before() {
        let patterns = [pattern(Tier::Cheap, 1, 0, 2), pattern(Tier::Premium, 18, 0, 2)];
        let advice = on(&patterns, &[Tier::Premium]);
        assert_eq!(advice.start.start, Some(Tier::Premium));
        assert!(
            advice.because.contains("premium passes") && advice.because.contains("cheap had 3 attempts"),
            "{}",
            advice.because
        );
    }
}
