//! `audit --report`: Markdown or JSON to hand to somebody: what was looked at, then every run with who, when, which models, which answers, what
//! it cost and what was judged how. Sensitive answers come masked, secret ones are not known here at all.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use super::export_run::inline;
use super::{cost_words, ending, mode_words, standing, time_words};
use crate::cli::output::words;
use crate::domain::event::AnswerSource;
use crate::views::run_detail::{AgentDetail, AttemptDetail, RunDetail};
use crate::workspace::AuditDocument;

/// The report as JSON, for its published schema: it is written run by run.
#[cfg(test)]
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A report to hand over, as `meno audit --report FILE.json` writes it")]
pub struct AuditReport {
    /// What the audit looked at and found.
    pub audit: AuditDocument,
    /// The runs.
    pub runs: Vec<ReportedRun>,
}

/// A run in a report.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReportedRun {
    /// The hash of the user who started it; null when it is forgotten or was never known.
    pub started_by: Option<String>,
    /// The run, with sensitive answers masked.
    pub run: RunDetail,
}

/// Writes what the audit looked at and found.
pub fn head(document: &AuditDocument) -> String {
    let mut page = String::from("# Audit\n\n");
    let verdict = if document.sound {
        "Everything that can be verified is as it was written.".to_owned()
    } else {
        format!("**{} found.**", words::plural(document.violations_total, "violation"))
    };
    let _ = write!(page, "{verdict}\n\n- Store: `{}`\n", document.node);
    let _ = writeln!(page, "- Log: {} up to position {}", words::plural(document.events, "event"), document.position);
    let _ = writeln!(page, "- Head: `{}`", document.head);
    let _ = writeln!(page, "- Events with forgotten texts: {}", document.forgotten_events);
    if let Some(seal) = &document.against {
        let signed = document.signed_by.as_ref().map_or_else(String::new, |by| format!(", signed by {by}"));
        let _ = writeln!(page, "- Compared with the seal of position {}, made {}{signed}", seal.position, seal.at);
    }
    page.push_str("\n| Check | Checked | Violations | Not verifiable |\n|---|---:|---:|---:|\n");
    for tally in &document.checks {
        let _ = writeln!(page, "| {} | {} | {} | {} |", tally.check, tally.checked, tally.violations, tally.not_verifiable);
    }
    if !document.violations.is_empty() {
        page.push_str("\n## Violations\n\n| Position | Check | What | Expected | Found |\n|---:|---|---|---|---|\n");
        for violation in &document.violations {
            let seq = violation.seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
            let [what, expected, found] = [&violation.what, &violation.expected, &violation.found].map(|text| inline(text));
            let _ = writeln!(page, "| {seq} | {} | {what} | {expected} | {found} |", violation.check);
        }
        let left = document.violations_total - document.violations.len() as u64;
        if left > 0 {
            let _ = writeln!(page, "\n{} more are not listed.", words::count(left));
        }
    }
    if !document.notes.is_empty() {
        page.push_str("\n## Notes\n\n");
        for note in &document.notes {
            let _ = writeln!(page, "- {}", inline(note));
        }
    }
    page
}

/// Writes one run; `by` is the hash of who started it.
pub fn run(run: &RunDetail, by: Option<&str>) -> String {
    let mut page = format!("\n## Run {}\n\n", run.run_id);
    let known = |value: Option<&str>| value.map_or_else(|| "not known".to_owned(), inline);
    let name = run.template_name.as_deref().unwrap_or(&run.template_id);
    let _ = writeln!(
        page,
        "- Template: {} ({} {}), hash `{}`",
        inline(name),
        inline(&run.template_id),
        inline(&run.template_version),
        run.template_hash
    );
    let _ = writeln!(page, "- Started by user {} in {}", known(by), known(run.workspace.as_deref()));
    if let Some(lineage) = &run.lineage {
        let is_inherited = |attempt: &&AttemptDetail| attempt.inherited_from.is_some();
        let inherited = run.agents.iter().flat_map(|agent| &agent.attempts).filter(is_inherited).count() as u64;
        let at = lineage.position.map_or_else(String::new, |at| format!(" at position {at}"));
        let _ = writeln!(
            page,
            "- Forked from run {}{at}: {} inherited, paid for there",
            lineage.parent,
            words::plural(inherited, "attempt")
        );
    }
    let _ = writeln!(page, "- Began {}, ended {}", known(run.started_at.as_deref()), known(run.ended_at.as_deref()));
    if let Some(duration) = run.duration_ms {
        let _ = writeln!(page, "- Duration: {}", time_words(duration, run.form_ms, run.waited_ms));
    }
    let _ = writeln!(page, "- Ended: {}", standing(run.status, run.verified));
    if let Some(mode) = mode_words(run) {
        let _ = writeln!(page, "- {}", inline(&mode));
    }
    let _ = writeln!(page, "- Cost: {}", inline(&cost_words(run)));
    let budget = run.budget_nusd.map_or_else(|| "none".to_owned(), |budget| words::amount(Some(budget)));
    let _ = writeln!(page, "- Budget: {budget}; prices of {}", inline(&run.prices_as_of));
    let _ = writeln!(
        page,
        "- Meno {}, seed {}, {}, last hash `{}`",
        inline(&run.meno_version),
        run.seed,
        words::plural(run.events, "event"),
        run.head
    );
    models(&mut page, run);
    answers(&mut page, run);
    team(&mut page, run);
    run.agents.iter().filter(|agent| !agent.attempts.is_empty()).for_each(|agent| judged(&mut page, agent));
    escalations(&mut page, run);
    page
}

fn models(page: &mut String, run: &RunDetail) {
    let mut used: Vec<(String, u64)> = Vec::new();
    for attempt in run.agents.iter().flat_map(|agent| &agent.attempts) {
        let calls = attempt.calls.iter().map(|call| format!("{} {} ({})", call.provider, call.model, call.purpose));
        let imported = attempt.imported.then(|| attempt.model.clone().unwrap_or_else(|| "not known".to_owned()));
        for model in calls.chain(imported) {
            match used.iter_mut().find(|(known, _)| *known == model) {
                Some((_, count)) => *count += 1,
                None => used.push((model, 1)),
            }
        }
    }
    if !used.is_empty() {
        page.push_str("\n### Models\n\n| Model | Calls |\n|---|---:|\n");
        for (model, count) in &used {
            let _ = writeln!(page, "| {} | {count} |", inline(model));
        }
    }
}

fn answers(page: &mut String, run: &RunDetail) {
    if run.answers.is_empty() {
        return;
    }
    page.push_str("\n### Answers\n\n| Question | Answer | From |\n|---|---|---|\n");
    for (question, value) in &run.answers {
        let source = run.answer_sources.get(question).copied().map_or("not known", AnswerSource::name);
        let _ = writeln!(page, "| {} | {} | {source} |", inline(question), inline(&words::value(value)));
    }
}

fn team(page: &mut String, run: &RunDetail) {
    if run.agents.is_empty() {
        return;
    }
    page.push_str("\n### Team\n\n| Agent | Ended | Tier | Attempts | Cost |\n|---|---|---|---:|---:|\n");
    for agent in &run.agents {
        let tier = agent.tier.map_or("-", |tier| tier.name());
        let verified = if agent.verified { ", verified" } else { "" };
        let cost = words::cost(agent.cost_nusd, agent.cost_complete, run.mode);
        let (role, status) = (inline(&agent.role), agent.status.name());
        let _ = writeln!(page, "| {role} | {status}{verified} | {tier} | {} | {cost} |", agent.attempts.len());
    }
    for rule in &run.skipped_rules {
        let because = rule.because.as_deref().unwrap_or("the reason is forgotten");
        let _ = writeln!(page, "\n{} was not needed: {}", inline(&rule.role), inline(because));
    }
}

fn judged(page: &mut String, agent: &AgentDetail) {
    let _ = write!(page, "\n### How {} was judged\n\n", inline(&agent.role));
    for attempt in &agent.attempts {
        attempt_line(page, attempt);
        for criterion in &attempt.criteria {
            let name = criterion.name.as_deref().map_or_else(|| format!("criterion {}", criterion.criterion), inline);
            let score = criterion.score.map_or_else(String::new, |score| format!(", score {score}"));
            let evidence = criterion.evidence.as_deref().filter(|evidence| !evidence.is_empty());
            let evidence = evidence.map_or_else(String::new, |evidence| format!(": {}", inline(evidence)));
            let _ = writeln!(page, "  - {name}: **{}**{score}, by {}{evidence}", criterion.verdict, inline(&criterion.by));
        }
    }
}

fn attempt_line(page: &mut String, attempt: &AttemptDetail) {
    let model = attempt.model.as_deref().map_or_else(|| "an unknown model".to_owned(), inline);
    let ended = ending(attempt);
    let signals: Vec<&str> = attempt.signals.iter().map(|signal| signal.name()).collect();
    let signals = if signals.is_empty() { String::new() } else { format!(" ({})", signals.join(", ")) };
    let inherited = attempt.inherited_from.as_ref().map_or_else(String::new, |origin| format!(", inherited from run {origin}"));
    let _ = writeln!(page, "- Attempt {} at {} with {model}: {ended}{signals}{inherited}", attempt.attempt, attempt.tier);
}

fn escalations(page: &mut String, run: &RunDetail) {
    if run.escalations.is_empty() && run.approvals.is_empty() {
        return;
    }
    page.push_str("\n### Escalations\n\n");
    for escalation in &run.escalations {
        let failed = if escalation.failed_criteria.is_empty() {
            String::new()
        } else {
            format!(": {}", escalation.failed_criteria.join(", "))
        };
        let (role, why) = (inline(&escalation.role), inline(&format!("{}{failed}", escalation.reason)));
        let _ = writeln!(page, "- {}: {role} from {} to {} ({why})", escalation.at, escalation.from, escalation.to);
    }
    for asked in &run.approvals {
        let answer = match asked.granted {
            Some(true) => "allowed",
            Some(false) => "denied",
            None => "not answered",
        };
        let _ = writeln!(page, "- Approval for {} to escalate to {}: {answer}", inline(&asked.role), asked.to);
    }
}
