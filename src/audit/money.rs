//! Money: every call's tokens are paid for once, at the prices recorded with the run, and no call was made that a budget forbade.

use super::finding::{Check, Findings, Location};
use super::story::RunAudit;
use crate::domain::event::{CallStarted, CostIncurred, CostSource, Event};
use crate::domain::ids::CallNo;
use crate::domain::money::{NanoUsd, TokenUsage, UsageSource};
use crate::domain::run::Call;

/// What was used and whose cost must be the next event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    call: CallNo,
    /// The tokens; `None` where nobody said them and the provider may want to be paid.
    usage: Option<TokenUsage>,
    source: CostSource,
}

/// Looks at an event's money, against what is known before it.
pub(super) fn look(audit: &mut RunAudit, event: &Event, at: Location, book: &mut Findings<'_>) {
    let owed = audit.owed.take();
    match event {
        Event::CostIncurred(body) => cost(audit, body, owed, at, book),
        _ => unpaid(owed, at, book),
    }
    audit.owed = match event {
        Event::CallReplied(body) => Some(Owed {
            call: body.call,
            usage: Some(body.usage),
            source: match body.usage_source {
                // The prices of another system's call are Meno's own, of the table and not of the bill.
                UsageSource::Reported if audit.is_imported => CostSource::Estimated,
                UsageSource::Reported => CostSource::Computed,
                UsageSource::Estimated => CostSource::Estimated,
            },
        }),
        Event::CallFailed(body) => failed(audit, body.call, body.usage, body.class.may_be_charged(body.status)),
        Event::CallCancelled(body) => failed(audit, body.call, body.usage, false),
        Event::RequestRetried(body) => failed(audit, body.call, body.usage, body.class.may_be_charged(body.status)),
        _ => None,
    };
    if let Event::CallStarted(body) = event {
        reservation(audit, body, at, book);
    }
}

/// At the end of the stream nothing may be owed.
pub(super) fn settle(audit: &mut RunAudit, at: Location, book: &mut Findings<'_>) {
    unpaid(audit.owed.take(), at, book);
}

fn failed(audit: &RunAudit, call: CallNo, usage: Option<TokenUsage>, may_be_charged: bool) -> Option<Owed> {
    let is_untold = may_be_charged && audit.run.terms.as_ref().is_some_and(|terms| terms.judging.knows_unpaid());
    (usage.is_some() || is_untold && !audit.is_imported).then_some(Owed { call, usage, source: CostSource::Estimated })
}

fn unpaid(owed: Option<Owed>, at: Location, book: &mut Findings<'_>) {
    if let Some(owed) = owed {
        let what = format!("call {} used tokens that nothing was booked for", owed.call);
        book.broken(Check::Money, at, what, "CostIncurred as the next event", "none");
    }
}

fn cost(audit: &mut RunAudit, body: &CostIncurred, owed: Option<Owed>, at: Location, book: &mut Findings<'_>) {
    let Some(number) = body.call else {
        // Another system's amount: there is nothing that it could be computed from.
        let imported = (CostSource::Imported, None);
        return book.same(
            Check::Money,
            at,
            "source and prices of a cost without a call",
            &imported,
            &(body.source, body.unit_prices),
        );
    };
    let before = audit.counted.get(&number).copied().filter(|_| owed.is_none() && audit.is_imported);
    let (used, charged) = before.unwrap_or_default();
    if audit.is_imported {
        let sums = (used.plus(body.usage.unwrap_or_default()), charged.plus(body.amount.unwrap_or_default()));
        audit.counted.insert(number, sums);
    }
    let audit = &*audit;
    // Another system's own amount for a call stands as it was reported.
    let is_reported = audit.is_imported && body.source == CostSource::Imported && body.unit_prices.is_none();
    let source = |owed: &Owed| if is_reported { CostSource::Imported } else { owed.source };
    // Another system may not say how many tokens a call used: then its end has zeros, which its cost need not repeat.
    let is_untold = |owed: &Owed| audit.is_imported && body.usage.is_none() && owed.usage == Some(TokenUsage::default());
    let told = |owed: &Owed| owed.usage.filter(|_| !is_untold(owed));
    // What another system told of a call after it was counted is charged then, and nothing owes it.
    let more = before.map(|_| (number, body.usage, CostSource::Estimated));
    let expected = owed.map(|owed| (owed.call, told(&owed), source(&owed))).or(more);
    book.same(Check::Money, at, "the call, tokens and source of a cost", &expected, &Some((number, body.usage, body.source)));
    let call = audit.run.calls.get(&number);
    // Names that another system does not say are empty in the call and none in the cost.
    let known = |name: Option<&'_ String>| name.filter(|name| !name.is_empty()).cloned();
    let names = |call: &Call| (known(Some(&call.provider)), known(Some(&call.model)));
    let expected = call.map(|call| (call.agent, call.attempt, call.purpose, names(call)));
    let names = (known(body.provider.as_ref()), known(body.model.as_ref()));
    let found = Some((body.agent, body.attempt, body.purpose, names));
    book.same(Check::Money, at, "agent, attempt, purpose and model that a cost is booked on", &expected, &found);
    if let (Some(usage), Some(prices)) = (&body.usage, &body.unit_prices) {
        let whole = NanoUsd(prices.cost(&used.plus(*usage)).0.saturating_sub(charged.0));
        book.same(Check::Money, at, "tokens times unit prices", &Some(whole), &body.amount);
    } else if !is_reported {
        book.same(Check::Money, at, "the amount of a cost without prices", &None, &body.amount);
    }
    if is_reported {
        return;
    }
    match (&audit.basis, &body.usage, call) {
        (Some(basis), Some(usage), Some(call)) => {
            let priced = basis.price(&call.provider, &call.model, usage);
            let expected = priced.as_ref().map(|priced| (priced.unit, priced.band_above));
            let found = body.unit_prices.map(|prices| (prices, body.band_above));
            book.same(Check::Money, at, "unit prices, against the price table recorded with the run", &expected, &found);
        }
        _ => book.not_verifiable(Check::Money),
    }
}

/// What is set aside is the worst case, and it fitted the budgets.
fn reservation(audit: &RunAudit, body: &CallStarted, at: Location, book: &mut Findings<'_>) {
    match &audit.basis {
        Some(basis) => {
            let worst = basis.worst_case(&body.provider, &body.model, body.estimated_input, body.max_output);
            book.same(Check::Money, at, "the worst case of a call", &worst, &body.reserved);
        }
        None => book.not_verifiable(Check::Money),
    }
    let Some(terms) = &audit.run.terms else { return };
    let agents = audit.run.agent(body.agent).and_then(|agent| agent.plan.budget);
    for (limit, scope, whose) in [(terms.budget, None, "run"), (agents, Some(body.agent), "agent")] {
        let Some(limit) = limit else { continue };
        let Some(worst) = body.reserved else {
            book.holds(Check::Money, at, terms.allow_unpriced, || {
                [format!("a call without a price under the {whose}'s budget"), "none".into(), body.model.clone()]
            });
            continue;
        };
        let (settled, open) = audit.run.committed(scope);
        let total = settled.plus(open).plus(worst);
        book.holds(Check::Money, at, total <= limit, || {
            [format!("what the {whose} may come to cost with this call"), format!("at most {limit}"), total.to_string()]
        });
    }
}
