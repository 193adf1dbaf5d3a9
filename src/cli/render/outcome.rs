//! What is said at the end of a run: how it ended, what it cost by tier, and how to look closer.

use super::{GoOn, cost_words, mode_words, next_steps, run_style, standing};
use crate::cli::output::{FAINT, HEADING, WARN, sanitize, styled, time, words};
use crate::domain::event::Purpose;
use crate::domain::money::{NanoUsd, TokenUsage, UnitPrices};
use crate::views::run_detail::RunDetail;
use crate::views::status::AgentStatus;
use crate::workspace::MoneyStop;

/// Says how `run` ended. `premium` holds the premium model's prices, to compare with; `on` says how it goes on, and `stop` what a run
/// lacks that had no money left.
pub fn outcome(run: &RunDetail, on: &GoOn<'_>, premium: Option<&UnitPrices>, stop: &MoneyStop) -> String {
    let mut lines = Vec::new();
    let mut parts = vec![styled(run_style(run.status, run.verified), standing(run.status, run.verified))];
    parts.extend(run.duration_ms.map(time::duration));
    let done = run.agents.iter().filter(|agent| agent.status == AgentStatus::Succeeded).count();
    parts.push(format!("{done} of {} succeeded", words::plural(run.agents.len() as u64, "agent")));
    let is_inherited = |agent: &&crate::views::run_detail::AgentDetail| {
        !agent.attempts.is_empty() && agent.attempts.iter().all(|attempt| attempt.inherited_from.is_some())
    };
    match run.agents.iter().filter(is_inherited).count() {
        0 => {}
        inherited => parts.push(format!("{inherited} of them inherited")),
    }
    if !run.escalations.is_empty() {
        parts.push(words::plural(run.escalations.len() as u64, "escalation"));
    }
    lines.push(format!("{} {}", styled(HEADING, sanitize::line(&run.template_id)), parts.join(", ")));
    lines.extend(mode_words(run).map(|mode| styled(WARN, sanitize::line(&mode))));
    let failed = run.agents.iter().filter(|agent| agent.status == AgentStatus::Failed);
    let failed: Vec<(&str, Option<&str>)> = failed
        .map(|agent| (agent.role.as_str(), agent.failure.as_ref().and_then(|failure| failure.message.as_deref())))
        .collect();
    // That a run failed because an agent did is said by the agent's own line.
    let is_said = |message: &str| failed.iter().any(|(_, own)| own.is_some_and(|own| !own.is_empty() && message.ends_with(own)));
    if let Some(message) = run.failure.as_ref().and_then(|failure| failure.message.as_ref()).filter(|message| !is_said(message)) {
        lines.push(format!("  {}", sanitize::line(message)));
    }
    for (role, message) in failed {
        let message = message.unwrap_or("the reason was not retained");
        lines.push(format!("  {}: {}", sanitize::line(role), sanitize::line(message)));
    }
    lines.push(format!("cost {}", cost_words(run)));
    lines.extend(cost_lines(run).iter().map(|line| format!("  {line}")));
    if let Some(estimate) = premium.and_then(|prices| all_premium(run, prices)) {
        lines.push(styled(FAINT, format!("  all premium would have cost about {estimate} (estimate, same tokens)")));
    }
    lines.extend(next_steps::lines(run, *on, stop));
    lines.join("\n")
}

/// Says what each tier cost, work and judging apart, and what caches saved.
pub(super) fn cost_lines(run: &RunDetail) -> Vec<String> {
    let rows = run.costs_by_tier.iter().map(|row| {
        let purpose = if row.purpose == Purpose::Work { "work" } else { "judging" };
        let cost = words::cost(row.cost_nusd, row.unpriced_calls == 0, run.mode);
        (row.tier.name(), purpose, words::plural(row.calls, "call"), cost, words::tokens(row.tokens.total(), row.untold_calls()))
    });
    rows.map(|(tier, purpose, calls, cost, tokens)| format!("{tier:<8} {purpose:<8} {calls:<9} {cost}, {tokens} tokens"))
        .chain(words::cache_saved(run.cache_saved_nusd, run.cache_saved_complete, run.mode))
        .collect()
}

/// Returns what the tokens of all work would cost at the premium model's prices. Without any work there is nothing to compare.
fn all_premium(run: &RunDetail, prices: &UnitPrices) -> Option<NanoUsd> {
    let mut usage = TokenUsage::default();
    for row in run.costs_by_tier.iter().filter(|row| row.purpose == Purpose::Work) {
        usage = usage.plus(TokenUsage {
            input: row.tokens.input,
            cache_read: row.tokens.cache_read,
            // How long they live is not known here; most caches are short-lived.
            cache_write_5m: row.tokens.cache_write,
            cache_write_1h: 0,
            output: row.tokens.output,
            reasoning: row.tokens.reasoning,
        });
    }
    (usage != TokenUsage::default()).then(|| prices.cost(&usage).plus(NanoUsd(run.verification_cost_nusd)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::SuspendReason;
    use crate::views::sample::{self, inline};

    fn tell(run: &RunDetail, premium: Option<&UnitPrices>) -> String {
        anstream::adapter::strip_str(&outcome(run, &GoOn { run: "W5X7", allow_write: false }, premium, &MoneyStop::default()))
            .to_string()
    }

    #[test]
    fn the_end_of_a_run_says_what_it_cost_and_how_to_look_closer() {
        let run = RunDetail::fold(sample::story().iter(), &inline);
        let prices = UnitPrices { input: 5_000_000_000, output: 25_000_000_000, ..UnitPrices::default() };
        insta::assert_snapshot!(tell(&run, Some(&prices)), @r"
        release_prep succeeded, 29.0 s, 2 of 2 agents succeeded, 1 escalation
        simulated: no model was called, costs are estimates
        cost $0.0155 simulated of $0.500 (judging $0.000500)
          cheap    work     2 calls   $0.00500 simulated, 3,468 tokens
          capable  work     1 call    $0.0100 simulated, 1,734 tokens
          capable  judging  1 call    $0.000500 simulated, 1,734 tokens
          all premium would have cost about $0.0530 (estimate, same tokens)
        outputs: `meno show-run W5X7 --outputs`
        details: `meno show-run W5X7`
        ");
    }

    #[test]
    fn what_the_cache_saved_stands_with_the_costs() {
        use crate::domain::event::Event;
        let unit = UnitPrices {
            input: 3_000_000_000,
            cache_read: 300_000_000,
            cache_write_5m: 3_750_000_000,
            cache_write_1h: 6_000_000_000,
            ..UnitPrices::default()
        };
        let told = |priced: usize| {
            let mut story = sample::story();
            let costs = story.iter_mut().filter_map(|recorded| match &mut recorded.event {
                Event::CostIncurred(body) => Some(body),
                _ => None,
            });
            costs.take(priced).for_each(|body| body.unit_prices = Some(unit));
            tell(&RunDetail::fold(story.iter(), &inline), None)
        };
        // Four times 200 read at $2.70 less a million, 30 and 4 written at $0.75 and $3 more.
        assert!(told(4).contains("  the prompt cache saved about $0.00202 simulated (estimate)\n"), "{}", told(4));
        assert!(told(1).contains("  the prompt cache saved at least $0.000506 simulated (estimate)\n"), "{}", told(1));
        assert!(!told(0).contains("cache"), "{}", told(0));
    }

    #[test]
    fn why_a_run_failed_is_said_once() {
        use crate::domain::event::{RunFailed, RunFailedPrivate, RunFailure};
        let failed = |message: &str| {
            let private = Some(RunFailedPrivate { message: message.to_owned() });
            let end = RunFailed { reason: RunFailure::AgentFailed, private }.into();
            let events = [sample::started(), sample::planned(0, "linter", None), sample::agent_failed(0), end];
            tell(&RunDetail::fold(sample::stream(events).iter(), &inline), None)
        };
        let why = "the next call may cost $0.09, $0.02 is left";
        let told = failed(&format!("agent `linter` failed: {why}"));
        assert!(told.matches(why).count() == 1 && told.contains(&format!("  linter: {why}")), "{told}");
        assert!(failed("no agent succeeded").contains("  no agent succeeded\n  linter: "));
    }

    #[test]
    fn a_run_that_stopped_says_how_it_goes_on() {
        let events = sample::stream([
            sample::started(),
            sample::planned(0, "linter", None),
            sample::suspended(SuspendReason::Interrupted),
        ]);
        let told = tell(&RunDetail::fold(events.iter(), &inline), None);
        assert!(told.contains("`meno resume W5X7`"), "{told}");
        let events = sample::stream([sample::started(), sample::planned(0, "linter", None), sample::agent_failed(0)]);
        let told = tell(&RunDetail::fold(events.iter(), &inline), None);
        assert!(told.contains("linter: the next call may cost $0.09, $0.02 is left"), "{told}");
    }
}
