//! Whether the prompts of a run fit its models, held against their windows before anything is asked or paid for.

use crate::domain::ids::AgentNo;
use crate::domain::run::{Basis, Run, material_of, preview_prompt};
use crate::domain::tier::{Strategy, Tier};
use crate::domain::tokens::least_tokens;
use crate::workspace::runs::start::StartError;

/// Refuses a run one of whose first prompts no tier of its agent can hold. `run` is what the run would be; while its form is open there
/// is no team yet, and the rules that always make an agent are asked instead, with their instructions and the material alone.
///
/// # Errors
/// [`StartError::PromptTooLarge`] with the numbers of the first that does not fit.
pub(in crate::workspace) fn check(basis: &Basis, run: &Run, strategy: Option<Strategy>) -> Result<(), StartError> {
    if run.form_complete {
        for number in 0..run.agents.len() as AgentNo {
            let Some(agent) = run.agent(number) else { continue };
            hold(basis, &agent.label, agent.plan.strategy, preview_prompt(run, basis, number).least_tokens())?;
        }
        return Ok(());
    }
    for rule in &basis.template.agent_composition_rules {
        if rule.when.is_some() || !rule.required_responses.is_empty() || rule.foreach.is_some() {
            continue;
        }
        let default = basis.template.defaults.as_ref().and_then(|defaults| defaults.strategy);
        let strategy = strategy.or(rule.tier_strategy).or(default).unwrap_or(basis.settings.run.strategy);
        let instructions = basis.bases.get(&rule.base_template).map_or(0, |base| least_tokens(&base.instructions));
        let material = least_tokens(&material_of(run, rule.prompt.as_deref()));
        hold(basis, &rule.role, strategy, instructions + material)?;
    }
    Ok(())
}

/// Refuses a prompt of `least` tokens that is larger than every window of the strategy's tiers. A window that is not known may hold it.
fn hold(basis: &Basis, role: &str, strategy: Strategy, least: u64) -> Result<(), StartError> {
    let mut largest: Option<(u64, Tier, String)> = None;
    for tier in strategy.tiers() {
        let Some(choice) = basis.work_models(*tier).into_iter().next() else { continue };
        let Some(window) = choice.context_tokens else { return Ok(()) };
        if largest.as_ref().is_none_or(|(known, ..)| window > *known) {
            largest = Some((window, *tier, choice.model));
        }
    }
    match largest {
        Some((window, tier, model)) if least > window => {
            Err(StartError::PromptTooLarge { role: role.to_owned(), least, window, tier, model })
        }
        _ => Ok(()),
    }
}
