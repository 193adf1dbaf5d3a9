//! What agents were told and what they answered, with the verdict on it: the texts behind a run's story.

use super::page::Page;
use super::{agents_of, ending, tools};
use crate::cli::output::{BAD, FAINT, GOOD, WARN, sanitize, styled};
use crate::domain::event::{Purpose, Verdict};
use crate::domain::ids::AttemptNo;
use crate::views::run_detail::{AgentDetail, AttemptDetail, CallDetail, CriterionDetail, RunDetail};
use crate::views::status::{AttemptStatus, CallStatus};

/// Which texts of a run are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Texts {
    /// Agents' outputs and the report.
    pub outputs: bool,
    /// What the models were told.
    pub prompts: bool,
    /// Of this attempt instead of each agent's last.
    pub attempt: Option<AttemptNo>,
}

/// Shows the texts of the agents that `role` means.
pub(super) fn texts(page: &mut Page, run: &RunDetail, role: Option<&str>, texts: Texts) {
    for agent in agents_of(run, role) {
        let Some(attempt) = chosen(agent, texts.attempt) else {
            if texts.outputs || texts.prompts {
                page.heading(&format!("Output of {}", sanitize::line(&agent.role)));
                page.nothing(absent(agent, texts.attempt));
            }
            continue;
        };
        if texts.prompts {
            prompts(page, agent, attempt);
        }
        if texts.outputs {
            output(page, agent, attempt);
        }
    }
}

/// Shows what the run came to, when outputs are asked for and not those of one agent or attempt.
pub(super) fn result(page: &mut Page, run: &RunDetail, role: Option<&str>, texts: Texts) {
    if texts.outputs && role.is_none() && texts.attempt.is_none() {
        page.heading("Report");
        match &run.report {
            Some(report) => page.text(report),
            None => page.nothing("none, or not retained"),
        }
    }
}

/// Returns the attempt with this number, or the last one: of an agent that succeeded that is the one that passed.
pub(super) fn chosen(agent: &AgentDetail, number: Option<AttemptNo>) -> Option<&AttemptDetail> {
    match number {
        Some(number) => agent.attempts.iter().find(|attempt| attempt.attempt == number),
        None => agent.attempts.last(),
    }
}

fn absent(agent: &AgentDetail, number: Option<AttemptNo>) -> String {
    match (number, agent.attempts.last()) {
        (Some(number), Some(last)) => format!("there is no attempt {number}: the last is {}", last.attempt),
        _ => "no attempt was made".to_owned(),
    }
}

fn output(page: &mut Page, agent: &AgentDetail, attempt: &AttemptDetail) {
    page.heading(&format!("Output of {}", sanitize::line(&agent.role)));
    let ended = ending(attempt);
    let style = match attempt.status {
        AttemptStatus::Passed if attempt.verified => GOOD,
        AttemptStatus::FailedCriteria | AttemptStatus::Error => BAD,
        _ => WARN,
    };
    page.line(2, format!("{}: {}", which(attempt), styled(style, ended)));
    let against = attempt.criteria.iter().filter(|criterion| criterion.verdict != Verdict::Pass);
    criteria(page, 4, against);
    signals(page, 4, attempt);
    match &attempt.output {
        Some(output) => {
            page.line(0, "");
            page.text(output);
        }
        None => page.nothing(no_output(attempt)),
    }
    let earlier = agent.attempts.iter().filter(|other| other.attempt < attempt.attempt && other.output.is_some());
    let numbers: Vec<String> = earlier.map(|other| other.attempt.to_string()).collect();
    if attempt.output.is_none() && !numbers.is_empty() {
        page.nothing(format!("`--attempt N` shows earlier ones: {}", numbers.join(", ")));
    }
}

/// Names an attempt: its number, tier and model.
pub(super) fn which(attempt: &AttemptDetail) -> String {
    let model = match (&attempt.provider, &attempt.model) {
        (Some(provider), Some(model)) => format!(", {provider}/{model}"),
        (_, Some(model)) => format!(", {model}"),
        (_, None) => String::new(),
    };
    format!("attempt {} ({}{})", attempt.attempt, attempt.tier, sanitize::line(&model))
}

/// Says why an attempt has no output to show.
pub(super) fn no_output(attempt: &AttemptDetail) -> String {
    let replied = |call: &CallDetail| call.purpose == Purpose::Work && call.status == CallStatus::Replied;
    if attempt.calls.iter().any(replied) || attempt.imported || attempt.inherited_from.is_some() {
        return "its answer is not retained".to_owned();
    }
    match &attempt.error {
        Some(error) => format!("no answer: {}", sanitize::line(error)),
        None => "no answer".to_owned(),
    }
}

/// Lists verdicts, each with what speaks for it.
pub(super) fn criteria<'a>(page: &mut Page, indent: usize, criteria: impl IntoIterator<Item = &'a CriterionDetail>) {
    for criterion in criteria {
        let score = criterion.score.map_or_else(String::new, |score| format!(" {score}"));
        let style = match criterion.verdict {
            Verdict::Pass => GOOD,
            Verdict::Fail => BAD,
            Verdict::Unknown => WARN,
        };
        let evidence = criterion.evidence.as_ref().filter(|evidence| !evidence.is_empty());
        let evidence = evidence.map_or_else(String::new, |evidence| format!(" → {}", sanitize::line(evidence)));
        let name = criterion_name(criterion);
        page.line(indent, format!("{}{score}  {}{evidence}", styled(style, criterion.verdict), sanitize::line(&name)));
    }
}

/// Returns the name of a criterion, or its number when the name is gone.
pub(super) fn criterion_name(criterion: &CriterionDetail) -> String {
    criterion.name.clone().unwrap_or_else(|| format!("criterion {}", criterion.criterion))
}

/// Lists what speaks against an attempt besides its criteria.
pub(super) fn signals(page: &mut Page, indent: usize, attempt: &AttemptDetail) {
    if !attempt.signals.is_empty() {
        let signals: Vec<String> = attempt.signals.iter().map(|signal| signal.name().replace('_', " ")).collect();
        page.line(indent, format!("signals: {}", signals.join(", ")));
    }
}

fn prompts(page: &mut Page, agent: &AgentDetail, attempt: &AttemptDetail) {
    let role = sanitize::line(&agent.role);
    if attempt.calls.is_empty() {
        page.heading(&format!("Prompt of {role}"));
        page.line(2, which(attempt));
        return page.nothing(no_prompt(attempt));
    }
    for call in &attempt.calls {
        let (work, model) = (call.purpose == Purpose::Work, format!("{}/{}", call.provider, call.model));
        page.heading(&format!("Prompt of {role}{}", if work { "" } else { ", for its judge" }));
        page.line(2, format!("attempt {} ({}, {})", attempt.attempt, attempt.tier, sanitize::line(&model)));
        let prompt = call.prompt.as_ref();
        if prompt.is_some_and(|prompt| prompt.transcript.is_some()) {
            page.line(2, "goes on with the conversation above");
            tools::told(page, call);
            continue;
        }
        for (name, text) in [
            ("System message", prompt.and_then(|prompt| prompt.system.as_deref())),
            ("User message", prompt.and_then(|prompt| prompt.user.as_deref())),
        ] {
            page.line(0, "");
            page.line(0, styled(FAINT, format!("{name}:")));
            match text {
                Some("") => page.nothing("empty"),
                Some(text) => page.text(text),
                None => page.nothing("not retained"),
            }
        }
        tools::told(page, call);
    }
}

/// Says why an attempt without a call has no prompt.
pub(super) fn no_prompt(attempt: &AttemptDetail) -> String {
    match &attempt.inherited_from {
        Some(origin) => format!("the attempt was made by run {origin}, which has its prompts"),
        None if attempt.imported => "another system made the attempt: its prompts are not known".to_owned(),
        None => "no model was called".to_owned(),
    }
}
