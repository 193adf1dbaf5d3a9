//! `export-run`: a run as files, in the shapes that other tools for meta-workflows read, with what those lack beside it.
//!
//! Amounts are dollars there and stand beside exact nUSD; times carry their zone; sensitive answers are left out unless
//! they are asked for.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::output::{Texts, chosen, criterion_name, no_output, no_prompt, which};
use super::{cost_words, ending, mode_words, standing, time_words};
use crate::cli::output::{sanitize, time, words};
use crate::domain::event::Mode;
use crate::domain::money::NanoUsd;
use crate::views::run_detail::{AgentDetail, RunDetail};
use crate::views::status::{AgentStatus, RunStatus};

/// A file of an export: its name and its text.
pub type File = (&'static str, String);

/// Writes `run` as files. Without `sensitive`, sensitive answers are left out and masked wherever the team repeats them. `texts` says
/// which attempt's outputs are shown, and whether prompts are written too.
///
/// # Errors
/// When a part of the run cannot be said in JSON, which no fold gives.
pub fn export_run(run: &RunDetail, sensitive: bool, texts: Texts) -> Result<Vec<File>, serde_json::Error> {
    let run = if sensitive { run.clone() } else { run.clone().masked() };
    let left_out: Vec<&String> =
        if sensitive { Vec::new() } else { run.sensitive.iter().filter(|id| run.answers.contains_key(*id)).collect() };
    let responses = responses(&run, &left_out);
    let agents: Vec<Value> = run.agents.iter().map(created).collect();
    let mut files = vec![
        ("config.json", pretty(&config(&run))?),
        ("form_responses.json", pretty(&responses)?),
        ("agents.json", pretty(&agents)?),
        ("result.json", pretty(&result(&run, responses, agents, texts)?)?),
        ("report.md", report(&run, &left_out, texts)),
    ];
    if texts.prompts {
        files.push(("prompts.md", prompts(&run, texts)));
    }
    Ok(files)
}

fn pretty(value: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(value).map(|json| json + "\n")
}

/// When the run ended, or began when it has not.
fn timestamp(run: &RunDetail) -> Option<&String> {
    run.ended_at.as_ref().or(run.started_at.as_ref())
}

/// Dollars as a JSON number: the nearest double, which reads back as the same nUSD up to some millions of dollars.
fn usd(nano: u64) -> f64 {
    nano as f64 / NanoUsd::PER_USD as f64
}

fn config(run: &RunDetail) -> Value {
    json!({
        "template_id": run.template_id,
        "template_name": run.template_name.as_ref().unwrap_or(&run.template_id),
        "template_version": run.template_version,
        "run_id": run.run_id,
        "timestamp": timestamp(run),
        "template_hash": run.template_hash,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "mode": run.mode,
        "status": run.status,
        "strategy": run.strategy,
        "budget_usd": run.budget_nusd.map(usd),
        "seed": run.seed,
        "prices_as_of": run.prices_as_of,
        "meno_version": run.meno_version,
        "labels": run.labels,
        "lineage": run.lineage,
        "events": run.events,
        "head": run.head,
    })
}

fn responses(run: &RunDetail, left_out: &[&String]) -> Value {
    let kept: IndexMap<&String, &Value> = run.answers.iter().filter(|(id, _)| !left_out.contains(id)).collect();
    json!({
        "template_id": run.template_id,
        "responses": kept,
        "timestamp": run.started_at,
        "response_id": format!("resp-{}", run.run_id),
        "sources": run.answer_sources,
        "left_out": left_out,
    })
}

fn created(agent: &AgentDetail) -> Value {
    json!({
        "agent_id": agent.agent_id,
        "role": agent.role,
        "base_template": agent.base_template,
        "tier_strategy": agent.strategy,
        "tools": agent.tools,
        "config": agent.config.clone().unwrap_or_else(|| json!({})),
        "success_criteria": agent.success_criteria.clone().unwrap_or_else(|| json!([])),
        "depends_on": agent.depends_on,
        "task": agent.task,
        "on_failure": agent.on_failure,
        "budget_usd": agent.budget_nusd.map(usd),
    })
}

fn agent_result(agent: &AgentDetail, texts: Texts) -> Result<Value, serde_json::Error> {
    let error = match (&agent.failure, agent.skipped_because) {
        (Some(failure), _) => Some(failure.message.clone().unwrap_or_else(|| failure.reason.name().to_owned())),
        (None, Some(because)) => Some(format!("skipped: {because}")),
        (None, None) => None,
    };
    Ok(json!({
        "agent_id": agent.agent_id,
        "role": agent.role,
        "success": agent.status == AgentStatus::Succeeded,
        "cost": usd(agent.cost_nusd),
        "duration": agent.duration_ms.unwrap_or(0) as f64 / 1000.0,
        "tier_used": agent.tier.map_or("none", |tier| tier.name()),
        "output": agent.output.as_ref().map_or_else(|| json!({}), |output| json!(output)),
        "error": error,
        "status": agent.status,
        "verified": agent.verified,
        "cost_nusd": agent.cost_nusd,
        "cost_complete": agent.cost_complete,
        "attempt": chosen(agent, texts.attempt).map(serde_json::to_value).transpose()?,
    }))
}

fn result(run: &RunDetail, responses: Value, agents: Vec<Value>, texts: Texts) -> Result<Value, serde_json::Error> {
    let success = run.status == RunStatus::Succeeded;
    let failure = run.failure.as_ref().map(|failure| failure.message.clone().unwrap_or_else(|| failure.reason.name().to_owned()));
    let error = failure.or_else(|| (!success).then(|| standing(run.status, run.verified)));
    Ok(json!({
        "run_id": run.run_id,
        "template_id": run.template_id,
        "timestamp": timestamp(run),
        "form_responses": responses,
        "agents_created": agents,
        "agent_results": run.agents.iter().map(|agent| agent_result(agent, texts)).collect::<Result<Vec<_>, _>>()?,
        "total_cost": usd(run.cost_nusd),
        "total_duration": run.duration_ms.unwrap_or(0) as f64 / 1000.0,
        "form_duration": run.form_ms.map(|ms| ms as f64 / 1000.0),
        "waited_duration": run.waited_ms.map(|ms| ms as f64 / 1000.0),
        "success": success,
        "error": error,
        "verified": run.verified,
        "mode": run.mode,
        "total_cost_nusd": run.cost_nusd,
        "cost_complete": run.cost_complete,
        "run": serde_json::to_value(run)?,
    }))
}

fn report(run: &RunDetail, left_out: &[&String], texts: Texts) -> String {
    let mut page = format!("# Run {}\n\n", run.run_id);
    if let Some(mode) = mode_words(run) {
        page += &format!("**{}**\n\n", inline(&mode));
    }
    let template = format!("{} {}", run.template_name.as_ref().unwrap_or(&run.template_id), run.template_version);
    let mut item = |name: &str, value: &str| page += &format!("- **{name}**: {}\n", inline(value));
    item("Template", &template);
    item("Status", &standing(run.status, run.verified));
    if let Some(message) = run.failure.as_ref().and_then(|failure| failure.message.as_ref()) {
        item("Reason", message);
    }
    item("Started", run.started_at.as_deref().unwrap_or("unknown"));
    item("Ended", run.ended_at.as_deref().unwrap_or("not yet"));
    if let Some(took) = run.duration_ms {
        item("Duration", &time_words(took, run.form_ms, run.waited_ms));
    }
    item("Agents", &run.agents.len().to_string());
    item("Cost", &cost_words(run));
    item("Last event's hash", &run.head);

    page += "\n## Answers\n\n";
    for (id, value) in &run.answers {
        let value = if left_out.contains(&id) { "left out".to_owned() } else { words::value(value) };
        page += &format!("- **{}**: {}\n", inline(id), inline(&value));
    }
    page += "\n## Agents\n";
    for agent in &run.agents {
        agent_section(&mut page, agent, run.mode, texts);
    }
    if !run.skipped_rules.is_empty() {
        page += "\n## Not needed\n\n";
        for rule in &run.skipped_rules {
            page += &format!(
                "- **{}**: {}\n",
                inline(&rule.role),
                inline(rule.because.as_deref().unwrap_or("the reason was not retained"))
            );
        }
    }
    page += "\n## Cost by tier\n\n| tier | purpose | calls | cost | tokens |\n|---|---|---:|---:|---:|\n";
    for row in &run.costs_by_tier {
        let cost = words::cost(row.cost_nusd, row.unpriced_calls == 0, run.mode);
        let tokens = match row.untold_calls() {
            0 => row.tokens.total().to_string(),
            _ => "unknown".to_owned(),
        };
        page += &format!("| {} | {} | {} | {cost} | {tokens} |\n", row.tier, row.purpose, row.calls);
    }
    if let Some(text) = &run.report {
        page += &format!("\n## Report\n\n{}\n", sanitize::text(text.trim_end()));
    }
    page
}

fn agent_section(page: &mut String, agent: &AgentDetail, mode: Mode, texts: Texts) {
    let status =
        if agent.status == AgentStatus::Succeeded && !agent.verified { "succeeded, unverified" } else { agent.status.name() };
    *page += &format!("\n### {}\n\n- **Status**: {status}\n", inline(&agent.role));
    *page += &format!("- **Base agent**: {}\n- **Strategy**: {}\n", inline(&agent.base_template), agent.strategy);
    *page += &format!("- **Cost**: {}\n", words::cost(agent.cost_nusd, agent.cost_complete, mode));
    if let Some(failure) = &agent.failure {
        *page += &format!("- **Reason**: {}\n", inline(failure.message.as_deref().unwrap_or(failure.reason.name())));
    }
    for attempt in &agent.attempts {
        let took = attempt.duration_ms.map_or_else(String::new, |took| format!(", {}", time::duration(took)));
        let model = inline(attempt.model.as_deref().unwrap_or("no model called"));
        let ended = ending(attempt);
        *page += &format!("- **Attempt {}** ({}, {model}): {ended}{took}\n", attempt.attempt, attempt.tier);
        for criterion in &attempt.criteria {
            let name = criterion_name(criterion);
            let evidence = criterion.evidence.as_ref().filter(|evidence| !evidence.is_empty());
            let evidence = evidence.map_or_else(String::new, |evidence| format!(" → {}", inline(evidence)));
            *page += &format!("  - {}: {}{evidence}\n", criterion.verdict, inline(&name));
        }
        if !attempt.signals.is_empty() {
            let signals: Vec<String> = attempt.signals.iter().map(|signal| signal.name().replace('_', " ")).collect();
            *page += &format!("  - signals: {}\n", signals.join(", "));
        }
    }
    if let Some(attempt) = chosen(agent, texts.attempt) {
        let ended = ending(attempt);
        *page += &format!("\nOutput of {}: {ended}\n\n", inline(&which(attempt)));
        match &attempt.output {
            Some(output) => *page += &format!("{}\n", fenced(output)),
            None => *page += &format!("*{}*\n", inline(&no_output(attempt))),
        }
    }
}

/// What the models were told, call by call.
fn prompts(run: &RunDetail, texts: Texts) -> String {
    let mut page = format!("# Prompts of run {}\n", run.run_id);
    for agent in &run.agents {
        let attempts = agent.attempts.iter().filter(|attempt| texts.attempt.is_none_or(|number| attempt.attempt == number));
        for attempt in attempts {
            page += &format!("\n## {}, {}\n", inline(&agent.role), inline(&which(attempt)));
            if attempt.calls.is_empty() {
                page += &format!("\n*{}*\n", inline(&no_prompt(attempt)));
            }
            for call in &attempt.calls {
                let prompt = call.prompt.as_ref();
                for (name, text) in [
                    ("system", prompt.and_then(|prompt| prompt.system.as_deref())),
                    ("user", prompt.and_then(|prompt| prompt.user.as_deref())),
                    ("transcript", prompt.and_then(|prompt| prompt.transcript.as_deref())),
                ] {
                    let text = match text {
                        Some(text) => fenced(text),
                        None if name == "transcript" => continue,
                        None => "*not retained*".to_owned(),
                    };
                    page += &format!("\n### Call {} ({}): {name}\n\n{text}\n", call.call, call.purpose);
                }
            }
        }
    }
    page
}

/// Text on one line of Markdown that means nothing but itself.
pub(super) fn inline(text: &str) -> String {
    let clean = sanitize::line(text);
    let mut escaped = String::with_capacity(clean.len());
    for c in clean.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '!' | '&') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Text in a fence that is longer than any in the text, so that it cannot end it.
pub(super) fn fenced(text: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat((longest + 1).max(3));
    format!("{fence}text\n{}\n{fence}", sanitize::text(text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample::{self, inline as text_of};

    fn files(sensitive: bool) -> IndexMap<&'static str, String> {
        let run = RunDetail::fold(sample::story().iter(), &text_of);
        export_run(&run, sensitive, Texts::default()).unwrap().into_iter().collect()
    }

    fn json(files: &IndexMap<&str, String>, name: &str) -> Value {
        serde_json::from_str(&files[name]).unwrap()
    }

    #[test]
    fn the_files_have_the_fields_that_readers_of_the_known_shapes_look_for() {
        let files = files(false);
        let fields = |value: &Value, names: &[&str]| names.iter().for_each(|name| assert!(value.get(name).is_some(), "{name}"));
        fields(&json(&files, "config.json"), &["template_id", "template_name", "template_version", "run_id", "timestamp"]);
        fields(&json(&files, "form_responses.json"), &["template_id", "responses", "timestamp", "response_id"]);
        let agents = json(&files, "agents.json");
        fields(&agents[0], &["agent_id", "role", "base_template", "tier_strategy", "tools", "config", "success_criteria"]);
        let result = json(&files, "result.json");
        fields(&result, &["form_responses", "agents_created", "total_duration", "success", "error", "run"]);
        fields(&result["agent_results"][0], &["agent_id", "role", "success", "cost", "duration", "tier_used", "output", "error"]);
        assert_eq!(result["agent_results"][0]["output"], "All clean.");
        assert_eq!((&result["total_cost"], &result["total_cost_nusd"]), (&json!(0.0155), &json!(15_500_000)));
    }

    #[test]
    fn sensitive_answers_are_left_out_unless_asked_for() {
        let without = files(false);
        assert!(without.values().all(|text| !text.contains("ACME")), "{without:?}");
        assert_eq!(json(&without, "form_responses.json")["left_out"], json!(["customer", "token"]));
        let with = files(true);
        assert_eq!(json(&with, "form_responses.json")["responses"]["customer"], "ACME Corp");
    }

    #[test]
    fn the_report_is_for_reading() {
        insta::assert_snapshot!(files(false)["report.md"], @r"
        # Run 01KAPXZ8T0M3N5Q7R9S1V3W5X7

        **simulated: no model was called, costs are estimates**

        - **Template**: Release preparation 1.2.0
        - **Status**: succeeded
        - **Started**: 2026-11-22T16:21:31Z
        - **Ended**: 2026-11-22T16:22:04Z
        - **Duration**: 29.0 s, form 4.0 s
        - **Agents**: 2
        - **Cost**: $0.0155 simulated of $0.500 (judging $0.000500)
        - **Last event's hash**: 039afa45cde496762333d7b3df8f96b3c9732a951abef6cc70e2f2655ecaf513

        ## Answers

        - **package\_name**: demo
        - **customer**: left out
        - **token**: left out

        ## Agents

        ### linter

        - **Status**: succeeded
        - **Base agent**: code\_reviewer
        - **Strategy**: progressive
        - **Cost**: $0.0125 simulated
        - **Attempt 1** (cheap, sim-small): failed, 2.0 s
          - fail: no lint errors → E501 in line 3
        - **Attempt 2** (capable, sim-small): passed, 2.0 s
          - pass: no lint errors → E501 in line 3

        Output of attempt 2 (capable, simulated/sim-small): passed

        ```text
        All clean.
        ```

        ### auditor\[src\]

        - **Status**: succeeded
        - **Base agent**: code\_reviewer
        - **Strategy**: progressive
        - **Cost**: $0.00300 simulated
        - **Attempt 1** (cheap, sim-small): passed, 2.0 s

        Output of attempt 1 (cheap, simulated/sim-small): passed

        ```text
        No findings.
        ```

        ## Not needed

        - **publisher**: publish\_to is PyPI; it has no answer

        ## Cost by tier

        | tier | purpose | calls | cost | tokens |
        |---|---|---:|---:|---:|
        | cheap | work | 2 | $0.00500 simulated | 3468 |
        | capable | work | 1 | $0.0100 simulated | 1734 |
        | capable | judge | 1 | $0.000500 simulated | 1734 |

        ## Report

        # Report

        All clean.
        ");
    }

    #[test]
    fn stored_text_cannot_break_out_of_the_report() {
        assert_eq!(inline("**bold** | <b> \u{1b}"), r"\*\*bold\*\* \| \<b\> ␛");
        assert_eq!(fenced("a ```` b"), "`````text\na ```` b\n`````");
    }
}
