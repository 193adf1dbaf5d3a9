//! How verdicts combine: the truth tables, weights, and what they mean for an attempt.

use super::super::criterion::Criterion;
use super::super::event::Verdict;
use super::{Finding, Judged};

/// The share of known weight that must pass when weights are given without a threshold: the same as a judge's score needs.
pub const THRESHOLD_DEFAULT: f64 = 0.7;

/// What the criteria say about an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptVerdict {
    /// No criterion speaks against it.
    pub passed: bool,
    /// It passed because the criteria passed, not because nobody could tell.
    pub verified: bool,
    /// Numbers of the criteria that speak against it, from 0: those that failed and, when unknown fails, the unknown ones.
    pub failed: Vec<u32>,
}

/// Swaps pass and fail.
pub fn not_of(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Pass => Verdict::Fail,
        Verdict::Fail => Verdict::Pass,
        Verdict::Unknown => Verdict::Unknown,
    }
}

/// Fails if one fails, else is unknown if one is, else passes.
pub fn all_of(verdicts: &[Verdict]) -> Verdict {
    if verdicts.contains(&Verdict::Fail) {
        Verdict::Fail
    } else if verdicts.contains(&Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    }
}

/// Passes if one passes, else is unknown if one is, else fails.
pub fn any_of(verdicts: &[Verdict]) -> Verdict {
    if verdicts.contains(&Verdict::Pass) {
        Verdict::Pass
    } else if verdicts.contains(&Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Fail
    }
}

/// Combines an agent's criteria: an `all`, or with weights the share of known weight that passed against `threshold`
/// ([`THRESHOLD_DEFAULT`] without one). Without weights the threshold means nothing.
fn combined(criteria: &[Criterion], verdicts: &[Verdict], threshold: Option<f64>) -> Verdict {
    let given: Vec<Option<f64>> = criteria.iter().map(weight).collect();
    if given.iter().all(Option::is_none) {
        return all_of(verdicts);
    }
    let (mut total, mut known, mut passed) = (0.0, 0.0, 0.0);
    for (weight, verdict) in given.iter().map(|weight| weight.unwrap_or(1.0)).zip(verdicts) {
        total += weight;
        match verdict {
            Verdict::Pass => (known, passed) = (known + weight, passed + weight),
            Verdict::Fail => known += weight,
            Verdict::Unknown => {}
        }
    }
    // Sums of decimal weights are a little off; a share that is equal on paper must not fail for it.
    let slack = total * 1e-9;
    if known * 2.0 + slack < total {
        Verdict::Unknown
    } else if passed + slack >= known * threshold.unwrap_or(THRESHOLD_DEFAULT) {
        Verdict::Pass
    } else {
        Verdict::Fail
    }
}

/// A weight that is not a number above 0 counts as not given; validation has refused it long before.
fn weight(criterion: &Criterion) -> Option<f64> {
    match criterion {
        Criterion::Sentence(_) => None,
        Criterion::Typed(typed) => typed.weight.filter(|weight| weight.is_finite() && *weight > 0.0),
    }
}

/// Says what an attempt's criteria mean for it. `judged` has one entry per criterion; a missing one is unknown.
///
/// Without criteria an attempt passes unverified, even when `strict`: there is no verdict that could be unknown.
pub fn verdict(criteria: &[Criterion], judged: &[Judged], strict: bool, threshold: Option<f64>) -> AttemptVerdict {
    let verdicts: Vec<Verdict> =
        (0..criteria.len()).map(|number| judged.get(number).map_or(Verdict::Unknown, |judged| judged.verdict)).collect();
    let overall = if criteria.is_empty() { None } else { Some(combined(criteria, &verdicts, threshold)) };
    let unknown_fails = strict && overall == Some(Verdict::Unknown);
    let passed = overall != Some(Verdict::Fail) && !unknown_fails;
    let failed = verdicts.iter().zip(0u32..).filter_map(|(verdict, number)| {
        (*verdict == Verdict::Fail || (unknown_fails && *verdict == Verdict::Unknown)).then_some(number)
    });
    AttemptVerdict { passed, verified: overall == Some(Verdict::Pass), failed: failed.collect() }
}

/// Says whether a judging model has to be asked: something is pending, and the attempt has not failed without it.
pub fn needs_judge(criteria: &[Criterion], findings: &[Finding], strict: bool, threshold: Option<f64>) -> bool {
    if !findings.contains(&Finding::Pending) {
        return false;
    }
    // Both must fail: a share of weight can turn from fail to unknown when a judge is left out.
    let fails = |pending: Verdict| {
        let verdicts: Vec<Verdict> = findings
            .iter()
            .map(|finding| match finding {
                Finding::Judged(judged) => judged.verdict,
                Finding::Pending => pending,
            })
            .collect();
        let overall = combined(criteria, &verdicts, threshold);
        overall == Verdict::Fail || (strict && overall == Verdict::Unknown)
    };
    !(fails(Verdict::Pass) && fails(Verdict::Unknown))
}
