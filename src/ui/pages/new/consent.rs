//! The second yes before real money is spent. It is given to what is shown, and to nothing else.

use std::fmt::Write as _;

use crate::cli::preview;
use crate::domain::event::Mode;
use crate::domain::ids::Hash;
use crate::settings::Preset;
use crate::ui::Params;
use crate::workspace::Preview;

/// What a form says of the consent.
pub(super) struct Consent<'a> {
    /// The models that are chosen.
    pub(super) preset: &'a str,
    /// The question was put already.
    pub(super) was_asked: bool,
    given: Option<&'a str>,
}

impl<'a> Consent<'a> {
    /// Reads it.
    pub(super) fn of(form: &'a Params) -> Self {
        let preset = form.get("preset").unwrap_or(Preset::Simulated.name());
        Self { preset, was_asked: form.get("asked").is_some(), given: form.get("confirm") }
    }

    /// Returns the same when the question is put now, or was before.
    pub(super) fn asked_now(self, is_asked: bool) -> Self {
        Self { was_asked: self.was_asked || is_asked, ..self }
    }

    /// Tells whether it was given to this plan.
    pub(super) fn is_given(&self, plan: &str) -> bool {
        self.given == Some(plan)
    }

    /// Tells whether it was given, to another plan.
    pub(super) fn is_outdated(&self, plan: &str) -> bool {
        self.given.is_some_and(|given| given != plan)
    }
}

/// Returns what a plan is known by: models, team, what it costs and who gets what material, as they are shown. Anything else in the form may
/// change without another yes.
pub(super) fn plan(preset: &str, preview: &Preview) -> String {
    let mut shown = format!("{preset}\n{}\n", preview::cost_line(preview, Mode::Real));
    for agent in &preview.agents {
        // Writing to a text never fails.
        let _ = writeln!(shown, "{:?} {:?} {:?}", agent.label, agent.tiers, agent.depends_on);
    }
    for input in &preview.inputs {
        let _ = writeln!(shown, "{}", preview::shared_line(input, Mode::Real));
    }
    Hash::of(shown.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::NanoUsd;
    use crate::domain::tier::Tier;
    use crate::workspace::runs::preview::AgentPreview;

    fn preview(label: &str, model: &str, cents: u64) -> Preview {
        let cost = Some((NanoUsd(cents * 10_000_000), NanoUsd(cents * 20_000_000)));
        let agent = AgentPreview {
            label: label.to_owned(),
            base: "generic".to_owned(),
            tiers: vec![(Tier::Cheap, model.to_owned())],
            depends_on: Vec::new(),
            prompt_tokens: 10,
            criteria: 1,
            cost,
        };
        Preview { agents: vec![agent], trace: Vec::new(), cost, has_fallbacks: false, most: None, inputs: Vec::new(), past: None }
    }

    #[test]
    fn a_yes_is_one_to_these_models_this_team_and_this_cost() {
        let given = plan("anthropic", &preview("looker", "m", 1));
        let form = Params::parse(format!("preset=anthropic&confirm={given}").as_bytes());
        let consent = Consent::of(&form);
        let mut wordier = preview("looker", "m", 1);
        wordier.agents[0].prompt_tokens = 11;
        assert!(consent.is_given(&plan("anthropic", &wordier)), "nothing that is shown has changed");
        for other in [
            plan("openai", &preview("looker", "m", 1)),
            plan("anthropic", &preview("looker", "m 2", 1)),
            plan("anthropic", &preview("looker[x]", "m", 1)),
            plan("anthropic", &preview("looker", "m", 2)),
        ] {
            assert!(!consent.is_given(&other) && consent.is_outdated(&other));
        }
        assert!(!Consent::of(&Params::parse(b"confirm=yes")).is_given(&given));
    }
}
