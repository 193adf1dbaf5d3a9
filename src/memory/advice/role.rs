//! Advice on one role of a template from the sums of its past: which chances its tiers have, where to start, and why in words.

use super::past::{Counts, MONEY};
use super::posterior::Tally;
use super::team::{Basis, StartAdvice, TierAdvice, TierKnown, TierPast, advise};
use crate::analytics::material::Pattern;
use crate::domain::event::Mode;
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::domain::percent;
use crate::domain::tier::Tier;
use crate::views::memory::patterns::PatternRow;
use crate::views::sketch::Sketch;

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

/// Advises on `role` in `template` from the patterns of all templates.
pub fn on_role(template: &str, role: &str, patterns: &[Pattern], terms: Terms, evidence_max: usize) -> RoleAdvice {
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
    let mut known = Vec::new();
    for tier in Tier::ALL {
        let here = |pattern: &Pattern| pattern.key.template == template && pattern.key.role == role && pattern.key.tier == tier;
        let rows: Vec<&&Pattern> = patterns.iter().filter(|pattern| here(pattern)).collect();
        let judged = |of: fn(&PatternRow) -> (u64, u64, u64)| -> u64 {
            let counted = |(passed, unverified, failed)| passed + failed + if terms.counts.unverified { unverified } else { 0 };
            rows.iter().map(|pattern| counted(of(&pattern.row))).sum()
        };
        let n = judged(|row| (row.passed, row.unverified, row.failed));
        let n_first = judged(|row| (row.first.passed.into(), row.first.unverified.into(), row.first.failed.into())).min(n);
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
    let start = advise(&known, u64::from(terms.min_sample));
    let because = because(&start, terms.min_sample);
    RoleAdvice { start, because, evidence }
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

fn because(advice: &StartAdvice, min_sample: u32) -> String {
    let Some(lowest) = advice.tiers.first() else { return "this role was never tried here".to_owned() };
    let words: Vec<String> = advice.tiers.iter().map(on_tier).collect();
    match advice.start {
        Some(_) => words.join("; "),
        None if lowest.n < u64::from(min_sample) => {
            format!("not known: {} attempts, under {min_sample} nothing is claimed", lowest.n)
        }
        None => format!("not known: some attempts have no known cost; {}", words.join("; ")),
    }
}

/// Says what is known of a tier, and from what: what was seen after a failure alone is said as that, and as an estimate of the rest.
fn on_tier(tier: &TierAdvice) -> String {
    let first = percent::with_interval(tier.p_pass, tier.low, tier.high);
    let after = tier.p_pass_after_failure.zip(tier.low_after_failure.zip(tier.high_after_failure));
    let after = after.filter(|_| tier.n_after_failure > 0).map(|(p, (low, high))| {
        let rate = percent::with_interval(p, low, high);
        format!("{} after a failure", rate.replace(')', &format!(", {} attempts)", tier.n_after_failure)))
    });
    let seen = format!("{} of first attempts", first.replace(')', &format!(", {} attempts)", tier.n_first_attempts)));
    let said = match (tier.basis, after) {
        (Basis::AfterFailure, Some(after)) => format!("{after}, of first attempts an estimated {first}"),
        (Basis::Both, Some(after)) => format!("{seen}, {after}"),
        _ => seen,
    };
    let cost = tier.expected_cost_nusd;
    let cost = cost.map_or_else(String::new, |cost| format!(", starting there costs {} on average", NanoUsd(cost)));
    format!("{} passes {said}{cost}", tier.tier)
}
