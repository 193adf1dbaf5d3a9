//! `diff`: two runs side by side, as far as they differ.

use crate::audit::diff::{AgentDiff, AgentSide, RunDiff, Side};
use crate::cli::output::{BAD, GOOD, HEADING, sanitize, styled, words};
use crate::cli::render::{attempt_words, standing, time_words};
use crate::domain::event::Mode;

/// Shows how two runs differ.
pub fn diff(found: &RunDiff) -> String {
    let mut lines = vec![side("a", &found.a), side("b", &found.b)];
    if found.a.template_hash != found.b.template_hash {
        lines.push("their templates differ".to_owned());
    }
    if let Some(difference) = found.cost_difference_nusd.filter(|difference| *difference != 0) {
        let amount = words::cost(difference.unsigned_abs(), true, found.a.mode);
        let (more, less) = if difference > 0 { ("b", "a") } else { ("a", "b") };
        let complete = found.a.cost_complete && found.b.cost_complete;
        lines.push(format!("{more} cost {amount} more than {less}{}", if complete { "" } else { ", as far as is known" }));
    }
    if !found.answers.is_empty() {
        lines.push(format!("\n{}", styled(HEADING, "Answers")));
        for answer in &found.answers {
            let value = |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "-".to_owned(), words::value);
            lines.push(format!("  {}: {} -> {}", sanitize::line(&answer.question), value(&answer.a), value(&answer.b)));
        }
    }
    if !found.agents.is_empty() {
        lines.push(format!("\n{}", styled(HEADING, "Agents")));
        found.agents.iter().for_each(|agent| agent_lines(&mut lines, agent, (found.a.mode, found.b.mode)));
    }
    if let Some(report) = &found.report {
        lines.push(format!("\n{}", styled(HEADING, "Report")));
        lines.push(colored(report));
    }
    if found.same {
        lines.push("nothing differs in answers, team, attempts, outputs and cost".to_owned());
    }
    lines.join("\n")
}

fn side(name: &str, side: &Side) -> String {
    let took = side.duration_ms.map(|took| format!(", {}", time_words(took, side.form_ms, side.waited_ms))).unwrap_or_default();
    format!(
        "{name}: run {}, {} {}, {}, {}{took}",
        side.run_id,
        sanitize::line(&side.template_id),
        sanitize::line(&side.template_version),
        standing(side.status, side.verified),
        words::cost(side.cost_nusd, side.cost_complete, side.mode)
    )
}

fn agent_lines(lines: &mut Vec<String>, agent: &AgentDiff, modes: (Mode, Mode)) {
    let role = sanitize::line(&agent.role);
    match (&agent.a, &agent.b) {
        (Some(a), Some(b)) if a == b && modes.0 == modes.1 => lines.push(format!("  {role}: {}", told(a, modes.0))),
        (Some(a), Some(b)) => {
            lines.push(format!("  {role}:"));
            lines.push(format!("    a: {}", told(a, modes.0)));
            lines.push(format!("    b: {}", told(b, modes.1)));
        }
        (Some(a), None) => lines.push(format!("  {role}: only in a: {}", told(a, modes.0))),
        (None, Some(b)) => lines.push(format!("  {role}: only in b: {}", told(b, modes.1))),
        (None, None) => {}
    }
    if !agent.plan.is_empty() {
        lines.push(format!("    planned with other {}", agent.plan.join(", ")));
    }
    if let Some(output) = &agent.output {
        lines.push(colored(output));
    }
}

fn told(side: &AgentSide, mode: Mode) -> String {
    let attempts: Vec<String> = side
        .attempts
        .iter()
        .map(|attempt| {
            let failed = if attempt.failed.is_empty() { String::new() } else { format!(" ({})", attempt.failed.join(", ")) };
            let model = attempt.model.as_deref().unwrap_or("unknown model");
            format!("{} {model} {}{failed}", attempt.tier, attempt_words(attempt.status, side.verified))
        })
        .collect();
    let attempts = if attempts.is_empty() { "no attempt".to_owned() } else { attempts.join("; ") };
    let verified = if side.verified { ", verified" } else { "" };
    let cost = words::cost(side.cost_nusd, side.cost_complete, mode);
    sanitize::line(&format!("{}{verified}, {cost}: {attempts}", side.status.name())).into_owned()
}

/// Colours the lines of a unified diff, cleaned for the terminal.
fn colored(diff: &str) -> String {
    let line = |line: &str| {
        let clean = sanitize::line(line).into_owned();
        match line.chars().next() {
            Some('+') => styled(GOOD, clean),
            Some('-') => styled(BAD, clean),
            _ => clean,
        }
    };
    diff.lines().map(|text| format!("    {}", line(text))).collect::<Vec<_>>().join("\n")
}
