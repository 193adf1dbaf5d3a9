//! `show-run`: a run in detail, for reading.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::next_steps::{GoOn, answers_to_approval, open_tools, tool_question};
use super::output::{self, Texts};
use super::page::Page;
use super::session;
use super::tools;
use super::{agent_style, agents_of, cost_words, ending, mode_words, run_style, standing, time_words};
use crate::cli::output::{FAINT, HEADING, WARN, sanitize, styled, time, words};
use crate::domain::event::Mode;
use crate::domain::omission;
use crate::views::run_detail::{AgentDetail, AttemptDetail, RunDetail, Tokens};
use crate::views::status::{AgentStatus, AttemptStatus};
use crate::workspace::Relative;

/// What of a run is shown.
#[derive(Clone, Copy, Debug)]
pub struct ShowRunOptions<'a> {
    /// Which texts of its agents follow.
    pub texts: Texts,
    /// Only agents of this role, and nothing but the head of the rest.
    pub agent: Option<&'a str>,
    /// The zone in which times are shown.
    pub zone: &'a TimeZone,
    /// What its tools changed in files follows.
    pub diff: bool,
    /// Commands that go on with it allow writing anew.
    pub allow_write: bool,
    /// The tree of forks that the run belongs to; empty when there is none.
    pub family: &'a [Relative],
    /// The width of the terminal; `None` for a pipe.
    pub width: Option<u16>,
}

/// Tells the story of `run`, whose sensitive values are masked already.
pub fn show_run(run: &RunDetail, shown: ShowRunOptions<'_>) -> String {
    let mut page = Page::new(shown.width);
    head(&mut page, run, shown.zone);
    // Whoever asks for outputs wants to know what the run came to, before how it got there.
    output::result(&mut page, run, shown.agent, shown.texts);
    if shown.agent.is_none() {
        family(&mut page, run, shown.family);
        answers(&mut page, run);
        inputs(&mut page, run);
    }
    let is_session = session::is_session(run);
    if is_session {
        session::exchanges(&mut page, run, shown.agent, shown.texts.outputs);
    } else {
        page.heading("Agents");
        agents_of(run, shown.agent).for_each(|agent| tell_agent(&mut page, agent, run.mode));
        tools::untold(run).into_iter().for_each(|words| page.line(2, styled(FAINT, words)));
    }
    if shown.agent.is_none() {
        skipped(&mut page, run);
        let on = GoOn { run: &run.run_id, allow_write: shown.allow_write };
        approvals(&mut page, run, on);
        open_questions(&mut page, run, on);
        costs(&mut page, run);
        notes(&mut page, run, shown.zone);
    }
    if shown.diff {
        tools::diffs(&mut page, run, shown.agent);
    }
    if !is_session {
        output::texts(&mut page, run, shown.agent, shown.texts);
    }
    page.finish()
}

fn head(page: &mut Page, run: &RunDetail, zone: &TimeZone) {
    let name = run.template_name.as_ref().map_or_else(String::new, |name| format!(" ({})", sanitize::line(name)));
    let version = match run.template_version.as_str() {
        "" => String::new(),
        version => format!(" {}", sanitize::line(version)),
    };
    page.line(0, format!("{} {}{version}{name}", styled(HEADING, &run.run_id), sanitize::line(&run.template_id),));
    if let Some(mode) = mode_words(run) {
        page.line(0, styled(WARN, sanitize::line(&mode)));
    }
    let mut status = styled(run_style(run.status, run.verified), standing(run.status, run.verified));
    if let Some(why) = run.suspended_because {
        status.push_str(&format!(": {}", why.name().replace('_', " ")));
    }
    if let Some(failure) = &run.failure {
        let message = failure.message.as_ref().map_or_else(String::new, |message| format!(": {}", sanitize::line(message)));
        status.push_str(&format!(", {}{message}", failure.reason.name().replace('_', " ")));
    }
    page.line(0, format!("status   {status}"));
    if run.failed_by_configuration {
        page.line(0, "counts   in no statistic: it failed by its configuration");
    }
    let mut pairs = Vec::new();
    if let Some(started) = &run.started_at {
        let took = match (run.duration_ms, run.attempts_duration_ms) {
            (Some(took), _) => format!(", took {}", time_words(took, run.form_ms, run.waited_ms)),
            (None, Some(attempts)) if run.source.is_some() => {
                format!(", attempts took {} together (its end is not recorded)", time::duration(attempts))
            }
            (None, _) => String::new(),
        };
        pairs.push(("started", time::moment_of(started, zone) + &took));
    }
    pairs.push(("cost", cost_words(run)));
    pairs.push(("tokens", token_words(run)));
    if !run.labels.is_empty() {
        pairs.push(("labels", run.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")));
    }
    if let Some(folder) = &run.workspace {
        pairs.push(("folder", folder.clone()));
    }
    if let Some(node) = &run.node {
        pairs.push(("log", format!("{node}, imported")));
    }
    if let Some(lineage) = &run.lineage {
        let at = lineage.position.map_or_else(String::new, |at| format!(" at event {at}"));
        pairs.push(("forked", format!("from {}{at}", lineage.parent)));
    }
    if run.forgotten_events > 0 {
        pairs.push(("texts", format!("those of {} were forgotten", words::plural(run.forgotten_events, "event"))));
    }
    // As wide as `started`, so that the head is one block with the line above.
    page.pairs(0, "started".len(), pairs);
}

fn token_words(run: &RunDetail) -> String {
    let tokens = &run.tokens;
    let untold = run.untold_calls;
    if untold > 0 && *tokens == Tokens::default() {
        return "unknown".to_owned();
    }
    let mut parts = vec![format!("{} input", words::count(tokens.input))];
    for (count, kind) in [(tokens.cache_read, "cache read"), (tokens.cache_write, "cache write")] {
        if count > 0 {
            parts.push(format!("{} {kind}", words::count(count)));
        }
    }
    let reasoning = if tokens.reasoning > 0 { format!(" ({} reasoning)", words::count(tokens.reasoning)) } else { String::new() };
    parts.push(format!("{} output{reasoning}", words::count(tokens.output)));
    if untold > 0 {
        parts.push(format!("those of {} unknown", words::plural(untold, "call")));
    }
    parts.join(", ")
}

fn family(page: &mut Page, run: &RunDetail, family: &[Relative]) {
    if family.is_empty() {
        return;
    }
    page.heading("Forks");
    for relative in family {
        let branch = branch(&relative.followed);
        let id = relative.id.to_string();
        let at = relative.at.map_or_else(String::new, |at| format!("  at event {at}"));
        let standing = match &relative.line {
            Some(line) => {
                let cost = words::cost(line.cost_nusd, line.cost_complete, line.mode);
                format!("{}, {cost}", styled(run_style(line.status, line.verified), standing(line.status, line.verified)))
            }
            None => "not in this store".to_owned(),
        };
        let this = if id == run.run_id { "  (this run)" } else { "" };
        page.line(2, format!("{branch}{id}{at}  {standing}{this}"));
    }
}

/// The lines of a tree in front of a run: for each level above it, whether another branch follows.
fn branch(followed: &[bool]) -> String {
    let Some((own, above)) = followed.split_last() else { return String::new() };
    let above: String = above.iter().map(|follows| if *follows { "│  " } else { "   " }).collect();
    above + if *own { "├─ " } else { "└─ " }
}

fn answers(page: &mut Page, run: &RunDetail) {
    if run.answers.is_empty() && run.hidden_questions.is_empty() {
        return;
    }
    page.heading("Answers");
    let shown = |id: &str, value: &Value| match value {
        Value::Null if run.sensitive.iter().any(|sensitive| sensitive == id) => "given, never shown".to_owned(),
        Value::Null => "not retained".to_owned(),
        value => words::value(value),
    };
    let pairs = run.answers.iter().map(|(id, value)| {
        let source =
            run.answer_sources.get(id).map_or_else(String::new, |source| format!("  ({})", source.name().replace('_', " ")));
        (id.as_str(), shown(id, value) + &source)
    });
    page.pairs(2, 0, pairs);
    if !run.hidden_questions.is_empty() {
        page.line(2, styled(FAINT, format!("hidden: {}", sanitize::line(&run.hidden_questions.join(", ")))));
    }
}

fn inputs(page: &mut Page, run: &RunDetail) {
    if run.inputs.is_empty() {
        return;
    }
    page.heading("Inputs");
    page.pairs(
        2,
        0,
        run.inputs.iter().map(|input| {
            let left_out = if input.left_out == 0 { String::new() } else { format!(", {} left out", input.left_out) };
            let path = input.path.as_deref().unwrap_or("not retained");
            let files = words::plural(u64::from(input.files), "file");
            (input.id.as_str(), format!("{path}: {files}, {}{left_out}", words::plural(input.bytes, "byte")))
        }),
    );
    for input in run.inputs.iter().filter(|input| input.left_out > 0) {
        page.line(2, styled(FAINT, format!("left out of {}", sanitize::line(&input.id))));
        for (rule, count) in &input.left_out_by {
            let own = input.omission_rules.iter().zip(&input.omissions).filter(|(of, _)| *of == rule);
            let mut names: Vec<String> = own.map(|(_, (name, _))| sanitize::line(name).into_owned()).collect();
            match u64::from(*count).saturating_sub(names.len() as u64) {
                0 => {}
                more if names.is_empty() => names.push(format!("{} without a name here", words::count(more))),
                more => names.push(format!("and {} more", words::count(more))),
            }
            page.line(4, format!("{}: {}", omission::words(*rule), names.join(", ")));
        }
    }
}

fn tell_agent(page: &mut Page, agent: &AgentDetail, mode: Mode) {
    let status = match agent.status {
        AgentStatus::Succeeded if !agent.verified => "succeeded, unverified".to_owned(),
        status => status.name().to_owned(),
    };
    let mut parts = vec![agent.strategy.name().to_owned()];
    if agent.attempts.iter().any(|attempt| attempt.inherited_from.is_none()) {
        parts.push(super::agent_cost(agent, mode));
        parts.push(format!("{} tokens", words::tokens(agent.tokens.total(), agent.untold_calls)));
    }
    parts.extend(agent.duration_ms.map(time::duration));
    page.line(
        2,
        format!(
            "{}  {}  {}",
            styled(HEADING, sanitize::line(&agent.role)),
            styled(agent_style(agent.status), status),
            parts.join(", ")
        ),
    );
    if let Some(start) = &agent.start_tier
        && let Some(because) = start.because.as_ref().filter(|because| !because.is_empty())
        // That a strategy starts where it starts is no news.
        && *because != format!("{} starts at {}", agent.strategy.name(), start.tier)
    {
        page.line(4, format!("starts at {}: {}", start.tier, sanitize::line(because)));
    }
    agent.attempts.iter().for_each(|attempt| tell_attempt(page, attempt, mode));
    if let Some(failure) = &agent.failure {
        let message = failure.message.as_ref().map_or_else(String::new, |message| format!(": {}", sanitize::line(message)));
        page.line(4, format!("failed, {}{message}", failure.reason.name().replace('_', " ")));
    }
    if let Some(because) = agent.skipped_because {
        page.line(4, format!("skipped: {}", because.name().replace('_', " ")));
    }
}

fn tell_attempt(page: &mut Page, attempt: &AttemptDetail, mode: Mode) {
    let model = match (&attempt.provider, &attempt.model) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        (_, Some(model)) => model.clone(),
        (_, None) => if attempt.imported { "model not known" } else { "no model called" }.to_owned(),
    };
    let cost = match &attempt.inherited_from {
        Some(origin) => format!("inherited from {origin}, paid there"),
        None => super::attempt_cost(attempt, mode),
    };
    let mut parts = vec![ending(attempt).to_owned(), cost];
    parts.extend(attempt.duration_ms.map(time::duration));
    page.line(4, format!("{} {:<8} {}  {}", attempt.attempt, attempt.tier, sanitize::line(&model), parts.join(", ")));
    for call in &attempt.calls {
        for retry in &call.retries {
            let status = retry.status.map_or_else(String::new, |status| format!(" (HTTP {status})"));
            page.line(6, format!("retried after {}{status}, waited {}", retry.class, time::duration(retry.waited_ms)));
        }
    }
    for switch in &attempt.switches {
        let (from, to) = (sanitize::line(&switch.from), sanitize::line(&switch.to));
        page.line(6, format!("{from} failed ({}), continued with {to}", switch.class));
    }
    tools::turns(page, 6, attempt);
    output::criteria(page, 6, &attempt.criteria);
    output::signals(page, 6, attempt);
    if let Some(error) = attempt.error.as_ref().filter(|_| attempt.status != AttemptStatus::Passed) {
        page.line(6, format!("error: {}", sanitize::line(error)));
    }
    if let Some(to) = attempt.escalated_to {
        page.line(6, format!("escalates to {to}"));
    }
}

fn skipped(page: &mut Page, run: &RunDetail) {
    if run.skipped_rules.is_empty() {
        return;
    }
    page.heading("Not needed");
    let rules = run.skipped_rules.iter();
    page.pairs(
        2,
        0,
        rules.map(|rule| (rule.role.as_str(), rule.because.clone().unwrap_or_else(|| "the reason was not retained".to_owned()))),
    );
}

fn approvals(page: &mut Page, run: &RunDetail, on: GoOn<'_>) {
    if run.approvals.is_empty() {
        return;
    }
    page.heading("Approvals");
    let waits = format!("waits: {}", answers_to_approval(on));
    for approval in &run.approvals {
        let said = match approval.granted {
            Some(true) => "allowed",
            Some(false) => "denied",
            None => &waits,
        };
        let cost = words::amount(approval.worst_case_nusd);
        let role = sanitize::line(&approval.role);
        page.line(2, format!("{role}  {} to {} ({}), up to {cost} more: {said}", approval.from, approval.to, approval.reason));
    }
}

/// Tools of which a person must say whether they had finished when Meno stopped.
fn open_questions(page: &mut Page, run: &RunDetail, on: GoOn<'_>) {
    let open = open_tools(run);
    if !open.is_empty() {
        page.heading("Waits for you");
        open.iter().for_each(|tool| page.line(2, tool_question(tool, on)));
    }
}

fn costs(page: &mut Page, run: &RunDetail) {
    if run.costs_by_tier.is_empty() {
        return;
    }
    page.heading("Costs by tier");
    super::outcome::cost_lines(run).iter().for_each(|line| page.line(2, line));
}

fn notes(page: &mut Page, run: &RunDetail, zone: &TimeZone) {
    if run.notes.is_empty() {
        return;
    }
    page.heading("Notes");
    for note in &run.notes {
        let rating = note.rating.map_or_else(String::new, |rating| format!("  {rating}/5"));
        let tags = if note.tags.is_empty() { String::new() } else { format!("  [{}]", sanitize::line(&note.tags.join(", "))) };
        let text = sanitize::text(note.text.as_deref().unwrap_or("not retained")).replace('\n', "\n    ");
        page.line(2, format!("{}{rating}{tags}  {text}", time::moment_of(&note.at, zone)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample::{self, inline};

    fn show(run: &RunDetail, outputs: bool, agent: Option<&str>) -> String {
        let texts = Texts { outputs, ..Texts::default() };
        let (zone, family) = (&TimeZone::UTC, &[][..]);
        let shown = ShowRunOptions { texts, agent, zone, family, diff: false, allow_write: false, width: None };
        let page = show_run(run, shown);
        anstream::adapter::strip_str(&page).to_string()
    }

    fn story() -> RunDetail {
        RunDetail::fold(sample::story().iter(), &inline).masked()
    }

    #[test]
    fn a_run_is_told_from_its_answers_to_its_notes() {
        insta::assert_snapshot!(show(&story(), true, None), @r"
        01KAPXZ8T0M3N5Q7R9S1V3W5X7 release_prep 1.2.0 (Release preparation)
        simulated: no model was called, costs are estimates
        status   succeeded
        started  2026-11-22 16:21:31 UTC, took 29.0 s, form 4.0 s
        cost     $0.0155 simulated of $0.500 (judging $0.000500)
        tokens   4,000 input, 800 cache read, 136 cache write, 2,000 output (400 reasoning)
        labels   team=core
        folder   /home/ada/demo

        Report
        # Report

        All clean.

        Answers
          package_name  demo  (asked)
          customer      ***  (asked)
          token         given, never shown  (asked)
          hidden: publish_to

        Agents
          linter  succeeded  progressive, $0.0125 simulated, 5,202 tokens, 4.0 s
            1 cheap    simulated/sim-small  failed, $0.00200 simulated, 2.0 s
              retried after rate_limit (HTTP 429), waited 2.0 s
              fail  no lint errors → E501 in line 3
              escalates to capable
            2 capable  simulated/sim-small  passed, $0.0105 simulated, 2.0 s
              pass  no lint errors → E501 in line 3
          auditor[src]  succeeded  progressive, $0.00300 simulated, 1,734 tokens, 2.0 s
            1 cheap    simulated/sim-small  passed, $0.00300 simulated, 2.0 s

        Not needed
          publisher  publish_to is PyPI; it has no answer

        Costs by tier
          cheap    work     2 calls   $0.00500 simulated, 3,468 tokens
          capable  work     1 call    $0.0100 simulated, 1,734 tokens
          capable  judging  1 call    $0.000500 simulated, 1,734 tokens

        Notes
          2026-11-22 16:22:05 UTC  4/5  [keep]  good ␛[31mwork

        Output of linter
          attempt 2 (capable, simulated/sim-small): passed

        All clean.

        Output of auditor[src]
          attempt 1 (cheap, simulated/sim-small): passed

        No findings.
        ");
    }

    #[test]
    fn one_agent_can_be_looked_at_alone_whatever_its_item() {
        let page = show(&story(), true, Some("auditor"));
        assert!(page.contains("auditor[src]") && page.contains("No findings."), "{page}");
        assert!(!page.contains("linter") && !page.contains("Answers"), "{page}");
    }

    #[test]
    fn what_was_forgotten_is_said_to_be_gone() {
        let mut events = sample::story();
        events.iter_mut().for_each(|recorded| sample::forget(&mut recorded.event));
        let page = show(&RunDetail::fold(events.iter(), &inline), true, None);
        assert!(page.contains("were forgotten") && page.contains("not retained") && page.contains("$0.0155"), "{page}");
    }

    #[test]
    fn nothing_that_was_stored_reaches_the_terminal_unclean() {
        let mut events = sample::story();
        let evil = "\u{1b}]0;evil\u{7}\u{202e}";
        events[1] = sample::recorded(2, sample::answer("package_name", &serde_json::to_string(evil).unwrap()));
        events[5] = sample::recorded(6, sample::planned(0, evil, Some(evil)));
        events[18] = sample::recorded(19, sample::replied(2, evil));
        let page = show_run(
            &RunDetail::fold(events.iter(), &inline),
            ShowRunOptions {
                texts: Texts { outputs: true, ..Texts::default() },
                agent: None,
                zone: &TimeZone::UTC,
                family: &[],
                diff: false,
                allow_write: false,
                width: None,
            },
        );
        let bare = anstream::adapter::strip_str(&page).to_string();
        assert!(!page.contains("\u{1b}]") && !page.contains('\u{202e}') && !bare.contains('\u{7}'), "{page:?}");
        assert!(bare.contains("␛]0;evil␇<U+202E>"), "{bare}");
    }
}
