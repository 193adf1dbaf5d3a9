//! What `run --dry-run` and `show-template` show: the team, why, and the expected cost.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use super::context::Context;
use super::error::Result;
use super::output::table::{Column, Fit, Table};
use super::output::{HEADING, sanitize, styled, time, words};
use super::progress;
use crate::domain::event::{Mode, OmissionRule};
use crate::domain::template::Template;
use crate::workspace::{Forecast, InputPreview, Preview};

/// What `run --dry-run --json` prints. Amounts in nUSD; null when a model has no price.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A run that was not made, as `meno run --dry-run --json` prints it")]
pub struct DryRun {
    /// The template's id.
    pub template_id: String,
    /// Whether the models would be real or simulated.
    pub mode: Mode,
    /// The agents, in order.
    pub agents: Vec<DryAgent>,
    /// Rules that would make no agent, and why.
    pub skipped_rules: Vec<DryRule>,
    /// What the run may cost: from.
    pub cost_low_nusd: Option<u64>,
    /// What the run may cost: to, judging included. Turns for tools, repeats of answers that were cut off, and dearer fallbacks come on
    /// top.
    pub cost_high_nusd: Option<u64>,
    /// What the run costs at most when agents with tools use all their turns; null when no agent has tools, or a model has no price.
    pub cost_most_nusd: Option<u64>,
    /// The material.
    pub inputs: Vec<DryInput>,
    /// How past runs with answers and inputs like these went; null when there was none.
    pub past: Option<Forecast>,
}

/// Material that the run would be given.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryInput {
    /// The input's id.
    pub input: String,
    /// Files taken.
    pub files: u32,
    /// Bytes taken.
    pub bytes: u64,
    /// Files and folders left out.
    pub left_out: u32,
    /// How many of them by which rule.
    pub left_out_by: IndexMap<OmissionRule, u32>,
    /// What was left out, the first few hundred, and why.
    pub omissions: Vec<(String, String)>,
    /// The rule of each of `omissions`.
    pub omission_rules: Vec<OmissionRule>,
    /// Estimated tokens in each prompt that has it.
    pub tokens: u64,
    /// How many agents get it.
    pub agents: u64,
    /// What these tokens cost, once for each of those agents at its first tier.
    pub cost_nusd: Option<u64>,
}

/// An agent that would be made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryAgent {
    /// Its role.
    pub role: String,
    /// Its base agent.
    pub base: String,
    /// Tiers that it may use, in order.
    pub tiers: Vec<String>,
    /// The models that serve them.
    pub models: Vec<String>,
    /// Roles that it waits for.
    pub depends_on: Vec<String>,
    /// Estimated input tokens of its first call, without other agents' outputs.
    pub prompt_tokens: u64,
    /// How many criteria judge it.
    pub criteria: usize,
    /// What it may cost: from.
    pub cost_low_nusd: Option<u64>,
    /// What it may cost: to. Turns for tools come on top.
    pub cost_high_nusd: Option<u64>,
}

/// A rule that would make no agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DryRule {
    /// Its role.
    pub role: String,
    /// Why not.
    pub because: String,
}

/// Shows a preview.
///
/// # Errors
/// When stdout cannot be written.
pub fn show(context: &mut Context, template: &Template, preview: &Preview, mode: Mode) -> Result<()> {
    if context.out.json() {
        return context.out.document(&document(template, preview, mode));
    }
    let mut table = Table::new(
        &context.out,
        &[
            Column::new("agent", Fit::Whole),
            Column::new("tiers", Fit::Words),
            Column::new("waits for", Fit::Words).optional(1),
            Column::new("criteria", Fit::Number).optional(2),
            Column::new("prompt tokens", Fit::Number).optional(3),
            Column::new("cost", Fit::Whole),
        ],
    );
    for agent in &preview.agents {
        let tiers: Vec<&str> = agent.tiers.iter().map(|(tier, _)| tier.name()).collect();
        let cost = agent.cost.map_or_else(|| "unknown".to_owned(), |(low, high)| format!("{low} – {high}"));
        table.row([
            sanitize::line(&agent.label).into_owned(),
            tiers.join(" → "),
            agent.depends_on.iter().map(|label| sanitize::line(label).into_owned()).collect::<Vec<_>>().join(", "),
            agent.criteria.to_string(),
            words::count(agent.prompt_tokens),
            cost,
        ]);
    }
    context.out.data(styled(HEADING, words::plural(preview.agents.len() as u64, "agent")))?;
    context.out.data(table.finish())?;
    context.out.data(styled(HEADING, "rules"))?;
    for rule in &preview.trace {
        let verdict = if rule.agents.is_empty() { "no agent" } else { "agent" };
        context.out.data(format!("  {}: {verdict}: {}", sanitize::line(&rule.role), sanitize::line(&rule.because)))?;
    }
    for input in &preview.inputs {
        context.out.data(progress::attached(&input.attached))?;
        context.out.data(format!("  {}", shared_line(input, mode)))?;
    }
    context.out.data(cost_line(preview, mode))?;
    preview.past.as_ref().map_or(Ok(()), |past| context.out.data(past_line(past)))
}

/// Says in a line how past runs like this one went.
pub fn past_line(past: &Forecast) -> String {
    let mut parts = Vec::new();
    if let Some(cost) = &past.cost_nusd {
        let amount = |amount| words::amount(Some(amount));
        parts.push(format!("cost {} ({} to {})", amount(cost.p50), amount(cost.p10), amount(cost.p90)));
    }
    if let Some(duration) = &past.duration_ms {
        parts.push(format!("duration {}", time::duration(duration.p50)));
    }
    if let Some(success) = &past.success {
        parts.push(format!("success {:.0} % ({:.0}–{:.0})", success.p * 100.0, success.low * 100.0, success.high * 100.0));
    }
    for input in &past.inputs {
        parts.push(format!("input {}: {} had the same, {} one like it", sanitize::line(&input.input), input.same, input.alike));
    }
    match (&past.success, parts.is_empty()) {
        (_, true) => parts.push("too few to say how this one will go".to_owned()),
        (None, false) => parts.push("chance of success not known: too few of them could be judged".to_owned()),
        (Some(_), false) => {}
    }
    format!("{} like this: {}", words::plural(past.n_similar, "past run"), parts.join(" · "))
}

/// Says in a line who gets an input, and what that costs.
pub fn shared_line(input: &InputPreview, mode: Mode) -> String {
    let simulated = if mode == Mode::Simulated { ", simulated" } else { "" };
    let cost = input.cost.map_or_else(|| "cost unknown, a model has no price".to_owned(), |cost| cost.to_string());
    let id = sanitize::line(&input.attached.input);
    let tokens = words::count(input.tokens);
    match input.agents {
        0 => format!("no agent is given `{id}`"),
        1 => format!("`{id}` goes to 1 agent: about {tokens} tokens, {cost} (estimate{simulated})"),
        agents => format!(
            "the same `{id}` goes to {agents} agents: about {agents} × {tokens} tokens, {cost} for the first prompts (estimate{simulated})"
        ),
    }
}

/// Says the expected cost in a line.
pub fn cost_line(preview: &Preview, mode: Mode) -> String {
    let simulated = if mode == Mode::Simulated { ", simulated: nothing is spent" } else { "" };
    let fallback = if preview.has_fallbacks { " or a fallback takes over" } else { "" };
    let more = format!("more if an answer is cut off{fallback}");
    match (preview.cost, preview.most) {
        (Some((low, high)), Some((most, turns))) => format!(
            "expected cost: {low} to {high} (estimate{simulated}), up to {most} if agents use all {turns} turns with tools in every attempt; {more}"
        ),
        (Some((low, high)), None) => format!("expected cost: {low} to {high} (estimate{simulated}); {more}"),
        (None, _) => format!("expected cost: unknown, a model has no price{simulated}"),
    }
}

fn document(template: &Template, preview: &Preview, mode: Mode) -> DryRun {
    let agents = preview.agents.iter().map(|agent| DryAgent {
        role: agent.label.clone(),
        base: agent.base.clone(),
        tiers: agent.tiers.iter().map(|(tier, _)| tier.name().to_owned()).collect(),
        models: agent.tiers.iter().map(|(_, model)| model.clone()).collect(),
        depends_on: agent.depends_on.clone(),
        prompt_tokens: agent.prompt_tokens,
        criteria: agent.criteria,
        cost_low_nusd: agent.cost.map(|cost| cost.0.0),
        cost_high_nusd: agent.cost.map(|cost| cost.1.0),
    });
    let skipped = preview.trace.iter().filter(|rule| rule.agents.is_empty());
    DryRun {
        template_id: template.template_id.clone(),
        mode,
        agents: agents.collect(),
        skipped_rules: skipped.map(|rule| DryRule { role: rule.role.clone(), because: rule.because.clone() }).collect(),
        cost_low_nusd: preview.cost.map(|cost| cost.0.0),
        cost_high_nusd: preview.cost.map(|cost| cost.1.0),
        cost_most_nusd: preview.most.map(|most| most.0.0),
        inputs: preview.inputs.iter().map(dry_input).collect(),
        past: preview.past.clone(),
    }
}

fn dry_input(input: &InputPreview) -> DryInput {
    let attached = &input.attached;
    DryInput {
        input: attached.input.clone(),
        files: attached.files,
        bytes: attached.bytes,
        left_out: attached.left_out,
        left_out_by: attached.omitted.iter().copied().collect(),
        omissions: attached.private.as_ref().map(|private| private.omissions.clone()).unwrap_or_default(),
        omission_rules: attached.private.as_ref().map(|private| private.rules.clone()).unwrap_or_default(),
        tokens: input.tokens,
        agents: input.agents,
        cost_nusd: input.cost.map(|cost| cost.0),
    }
}
