//! What can be done with a run: answer what it asks for, say what became of a tool, continue it, end it, say what one thinks of it.

use std::sync::Arc;

use maud::{Markup, html};

use super::Shown;
use super::approvals::{self, Wanted};
use crate::cli::error::{CliError, Result};
use crate::cli::output::words;
use crate::cli::render::{GoOn, answers_to_approval, open_tools, tool_question};
use crate::cli::{consent, form_fill};
use crate::domain::event::{Resolution, SuspendReason};
use crate::domain::ids::{AgentNo, RunId};
use crate::domain::money::NanoUsd;
use crate::domain::run::{AgentStatus, Command};
use crate::ui::{Answer, Request, Ui, element, layout};
use crate::views::run_detail::{RunDetail, ToolDetail};
use crate::views::status::RunStatus;
use crate::workspace::{MoneyStop, ResumeRequest};

/// What unblocks a run.
pub enum Unblock {
    /// Escalations are to be approved or denied.
    Approvals(Vec<Wanted>),
    /// Somebody must say whether a tool had finished when Meno stopped.
    Tool {
        /// Its number.
        number: u32,
        /// What is asked, with what it was to do.
        what: String,
        /// The commands that answer.
        commands: String,
    },
    /// Its form is open.
    Form,
    /// A budget is to be raised.
    Budget {
        /// What lets it go on.
        request: Box<ResumeRequest>,
        /// In words.
        what: String,
    },
    /// It can go on as it is.
    Resume {
        /// Agents that failed try again.
        retry_failed: bool,
        /// Why it stands still, in words.
        what: String,
    },
}

/// Returns what unblocks a run; nothing when it goes on or has ended well, and nothing for one of another system or another log.
pub fn unblock(ui: &Ui, detail: &RunDetail) -> Vec<Unblock> {
    if detail.node.is_some() || detail.is_imported() {
        return Vec::new();
    }
    let resume = |what: &str| vec![Unblock::Resume { retry_failed: false, what: what.to_owned() }];
    match detail.status {
        RunStatus::AwaitingInput | RunStatus::Interrupted if form_is_open(detail) => vec![Unblock::Form],
        RunStatus::AwaitingInput => {
            let wanted: Vec<Wanted> =
                detail.approvals.iter().filter(|approval| approval.granted.is_none()).map(Wanted::of).collect();
            let approvals = (!wanted.is_empty()).then_some(Unblock::Approvals(wanted));
            approvals.into_iter().chain(open_tools(detail).into_iter().map(|one| tool(ui, detail, one))).collect()
        }
        RunStatus::Suspended => match detail.suspended_because {
            Some(SuspendReason::DayBudget) => resume("the day's budget was used up"),
            _ => resume("it was paused"),
        },
        RunStatus::Interrupted => resume("no process carries it on any more"),
        RunStatus::Failed => {
            let stop = detail.run_id.parse().ok().and_then(|id| ui.workspace.runs().money_stop(id).ok()).unwrap_or_default();
            vec![after_failure(&stop, detail)]
        }
        RunStatus::Running | RunStatus::Succeeded | RunStatus::Cancelled => Vec::new(),
    }
}

fn tool(ui: &Ui, detail: &RunDetail, tool: &ToolDetail) -> Unblock {
    /// Characters of the arguments that are shown; the panel of its call has all of them.
    const CHARS_MAX: usize = 300;
    let run = detail.run_id.as_str();
    let allow_write = run.parse().is_ok_and(|id| ui.workspace.runs().needs_leave_to_write(id));
    let mut doing = element::line(tool.arguments.as_deref().unwrap_or_default());
    if let Some((cut, _)) = doing.char_indices().nth(CHARS_MAX) {
        doing.truncate(cut);
        doing.push('…');
    }
    let (number, name) = (tool.number, element::line(&tool.tool));
    let what = format!("Had tool {number} ({name}) finished when Meno stopped? Look at what it was to do, then answer. {doing}");
    Unblock::Tool { number, what, commands: tool_question(tool, GoOn { run, allow_write }) }
}

/// What can be said of a tool, and what follows from it.
const ANSWERS: [(Resolution, &str); 3] = [
    (Resolution::Done, "It had finished: go on as if it had ended well"),
    (Resolution::NotDone, "It had not: run it again"),
    (Resolution::Unknown, "Nobody knows: tell the agent so"),
];

/// Tells whether a run's form is open and no process asks it: its end is what plans the team.
pub fn form_is_open(detail: &RunDetail) -> bool {
    let is_suspended = detail.suspended_because == Some(SuspendReason::Form);
    is_suspended || detail.status == RunStatus::Interrupted && detail.agents.is_empty()
}

fn after_failure(stop: &MoneyStop, detail: &RunDetail) -> Unblock {
    let is_money = stop.own.budget.is_some() || !stop.own.agents.is_empty() || stop.own.unpriced;
    if !is_money {
        return Unblock::Resume { retry_failed: true, what: "it failed; agents that failed try again".to_owned() };
    }
    let mut raised: Vec<String> = stop.own.budget.iter().map(|budget| format!("a budget of {budget}")).collect();
    raised.extend(stop.own.agents.iter().map(|(role, budget)| format!("{budget} for {}", element::line(role))));
    if stop.own.unpriced {
        raised.push("a model without a price".to_owned());
    }
    let request = ResumeRequest {
        retry_failed: true,
        budget: stop.own.budget,
        agent_budgets: stop.own.agents.clone(),
        allow_unpriced: stop.own.unpriced,
        denies: false,
    };
    let spent = words::cost(detail.cost_nusd, detail.cost_complete, detail.mode);
    let what = money_words(&spent, detail.budget_nusd.map(NanoUsd), stop.own.wanted, &raised);
    Unblock::Budget { request: Box::new(request), what }
}

/// The options of `meno resume` that say the same as a request for more money.
fn raised(request: &ResumeRequest) -> String {
    let mut options = " --retry-failed".to_owned();
    options.extend(request.budget.iter().map(|budget| format!(" --budget {}", budget.to_decimal())));
    for (role, budget) in &request.agent_budgets {
        options.push_str(&format!(" --budget '{}={}'", element::line(role).replace('\'', "'\\''"), budget.to_decimal()));
    }
    if request.allow_unpriced {
        options.push_str(" --allow-unpriced");
    }
    options
}

/// Says what is spent, of what, and what more is needed.
fn money_words(spent: &str, budget: Option<NanoUsd>, wanted: NanoUsd, raised: &[String]) -> String {
    let of = budget.map_or_else(|| "the run itself has no budget".to_owned(), |budget| format!("the run's budget is {budget}"));
    format!(
        "it stopped for want of money: {spent} is spent, {of}. What is left costs at most {wanted} and needs {}.",
        raised.join(", ")
    )
}

/// Draws the forms that unblock a run, or end it.
pub(super) fn actions(shown: &Shown<'_>) -> Markup {
    let detail = shown.detail;
    if detail.node.is_some() || detail.is_imported() {
        return html! {};
    }
    html! {
        @for unblock in unblock(shown.ui, detail) { (form(shown.ui, &detail.run_id, &unblock, false)) }
        @if !detail.status.ended() && !shown.ui.read_only {
            details class="ending" id="ending" {
                summary class="button danger" { "End this run for good …" }
                form method="post" action={ "/runs/" (detail.run_id) "/cancel" } class="notice" {
                    (element::form_word(shown.ui))
                    p { "It cannot go on afterwards: what its agents have not finished is lost." }
                    button type="submit" class="danger" { "Yes, end it for good" }
                }
            }
        }
    }
}

/// Draws the form that does what unblocks a run; `in_list` when it stands in the list of those that wait, to which an answer returns.
pub fn form(ui: &Ui, run: &str, unblock: &Unblock, in_list: bool) -> Markup {
    let (action, what) = match unblock {
        Unblock::Approvals(wanted) => ("approve", approvals::words(wanted)),
        Unblock::Tool { what, .. } => ("resolve", what.clone()),
        Unblock::Budget { what, .. } | Unblock::Resume { what, .. } => ("resume", what.clone()),
        Unblock::Form => ("", "its form is open".to_owned()),
    };
    let needs_leave = run.parse().is_ok_and(|id| ui.workspace.runs().needs_leave_to_write(id));
    let on = GoOn { run, allow_write: needs_leave };
    let at_terminal = match unblock {
        Unblock::Tool { commands, .. } => commands.clone(),
        Unblock::Approvals(_) => answers_to_approval(on),
        Unblock::Budget { request, .. } => format!("`{}`", on.resume(&raised(request))),
        Unblock::Resume { retry_failed: true, .. } => format!("`{}`", on.resume(" --retry-failed")),
        Unblock::Resume { .. } | Unblock::Form => format!("`{}`", on.resume("")),
    };
    html! {
        div class="notice" {
            p { (what) }
            @if let Unblock::Form = unblock {
                @if ui.read_only { p class="hint" { (layout::backticks(&format!("`meno resume {run}` asks what is open"))) } }
                @else { p { a class="button primary" href={ "/runs/" (run) "/form" } { "Answer the open questions" } } }
            } @else if ui.read_only {
                p class="hint" { "This page only shows the store. At a terminal: " (layout::backticks(&at_terminal)) }
            } @else {
                form method="post" action={ "/runs/" (run) "/" (action) } class="actions" {
                    (element::form_word(ui))
                    @match unblock {
                        Unblock::Approvals(wanted) => {
                            @if in_list { input type="hidden" name="back" value="needs"; }
                            (approvals::fields(wanted))
                        }
                        Unblock::Tool { number, .. } => {
                            input type="hidden" name="tool" value=(number);
                            @for (answer, meaning) in ANSWERS { button type="submit" name="answer" value=(answer.name()) { (meaning) } }
                        }
                        Unblock::Budget { request, .. } => {
                            input type="hidden" name="retry_failed" value="yes";
                            @if let Some(budget) = request.budget {
                                label { "Budget of the run in US dollars " input name="budget" value=(budget.to_decimal()) inputmode="decimal" size="10" required; }
                            }
                            @for (role, budget) in &request.agent_budgets {
                                input type="hidden" name="agent_budget" value={ (role) "=" (budget.to_decimal()) };
                            }
                            @if request.allow_unpriced { input type="hidden" name="allow_unpriced" value="yes"; }
                            button type="submit" class="primary" { "Raise the budget and continue" }
                        }
                        Unblock::Resume { retry_failed, .. } => {
                            @if *retry_failed { input type="hidden" name="retry_failed" value="yes"; }
                            button type="submit" class="primary" { @if *retry_failed { "Try again" } @else { "Continue" } }
                        }
                        Unblock::Form => {}
                    }
                }
                @if needs_leave {
                    p class="hint" {
                        "Its agents might change files, and may not when it goes on from here. With leave to, at a terminal: " (layout::backticks(&at_terminal))
                    }
                }
            }
        }
    }
}

fn back(run: RunId) -> Answer {
    Answer::See(format!("/runs/{run}"))
}

/// Answers escalations that wait, and carries the run on.
///
/// # Errors
/// When nothing waits there, or the run cannot be carried on.
pub fn approve(ui: &Ui, request: &Request) -> Result<Answer> {
    let answers = approvals::read(&request.form)?;
    let wanted = ResumeRequest { denies: answers.iter().all(|(_, granted)| !granted), ..ResumeRequest::default() };
    let run = go_on(ui, request, &wanted, Answered::Approvals(answers))?;
    Ok(if request.form.get("back") == Some("needs") { Answer::See("/needs".to_owned()) } else { run })
}

/// Records what a person says of a tool during which Meno stopped, and carries the run on.
///
/// # Errors
/// When the run does not wait for that, or cannot be carried on.
pub fn resolve(ui: &Ui, request: &Request) -> Result<Answer> {
    let tool = request.form.get("tool").and_then(|tool| tool.parse::<u32>().ok());
    let tool = tool.ok_or_else(|| CliError::invalid("no tool is named").hint("go back to the run's page"))?;
    let said = request.form.get("answer").unwrap_or_default();
    let answer = ANSWERS.into_iter().map(|(answer, _)| answer).find(|answer| answer.name() == said);
    let answer = answer.ok_or_else(|| {
        CliError::invalid("it is not said whether the tool had finished").hint("go back to the run's page and choose an answer")
    })?;
    go_on(ui, request, &ResumeRequest::default(), Answered::Tool(tool, answer))
}

/// What a person answered that a run waited for.
enum Answered {
    Nothing,
    Approvals(Vec<(AgentNo, bool)>),
    Tool(u32, Resolution),
}

/// Carries a run on.
///
/// # Errors
/// When it cannot be carried on.
pub fn resume(ui: &Ui, request: &Request) -> Result<Answer> {
    let form = &request.form;
    let amount = |text: &str| {
        NanoUsd::from_decimal(text.trim()).ok_or_else(|| {
            CliError::invalid(format!("`{}` is not an amount", element::line(text))).hint("give US dollars, such as 0.50")
        })
    };
    let of_agent = |text: &str| {
        let (role, budget) = text.rsplit_once('=').ok_or_else(|| CliError::invalid("a budget names no agent"))?;
        Ok::<_, CliError>((role.to_owned(), amount(budget)?))
    };
    let wanted = ResumeRequest {
        retry_failed: form.get("retry_failed").is_some(),
        budget: form.get("budget").map(amount).transpose()?,
        agent_budgets: form.all("agent_budget").map(of_agent).collect::<Result<_>>()?,
        allow_unpriced: form.get("allow_unpriced").is_some(),
        denies: false,
    };
    go_on(ui, request, &wanted, Answered::Nothing)
}

fn go_on(ui: &Ui, request: &Request, wanted: &ResumeRequest, answered: Answered) -> Result<Answer> {
    ui.must_write()?;
    let id = ui.workspace.runs().find_own_run(request.part("run"))?;
    refuse_strange(ui)?;
    let vain = |what: String| {
        Err(CliError::refused(format!("{what} of run {id} waits for no answer")).hint("its page shows how it stands"))
    };
    // A run that waits for something else is not begun again.
    let detail = ui.workspace.runs().detail(id)?;
    let waits = |agent: AgentNo| detail.approvals.iter().any(|it| it.number == agent && it.granted.is_none());
    match &answered {
        Answered::Approvals(answers) => {
            if let Some((agent, _)) = answers.iter().find(|(agent, _)| !waits(*agent)) {
                return vain(format!("agent-{agent}"));
            }
        }
        Answered::Tool(tool, _) if !open_tools(&detail).iter().any(|it| it.number == *tool) => {
            return vain(format!("tool {tool}"));
        }
        _ => {}
    }
    refuse_home(ui, id)?;
    let mut active = ui.workspace.runs().resume(id, wanted)?;
    let known = form_fill::secrets_of(&ui.workspace, &active.basis.template, &form_fill::none());
    active.redactor = ui.workspace.redactor_of(&active.basis, &known);
    match answered {
        Answered::Approvals(answers) => {
            let waits = |known: &crate::domain::run::Agent| matches!(known.status, AgentStatus::AwaitingApproval { .. });
            let is_open = |(agent, _): &(AgentNo, bool)| active.stream.run().agent(*agent).is_some_and(waits);
            let open = answers.into_iter().filter(is_open);
            let commands: Vec<Command> = open.map(|(agent, granted)| Command::Approve { agent, granted }).collect();
            let basis = Arc::clone(&active.basis);
            if !commands.is_empty() {
                active.stream.perform(&basis, &commands)?;
            }
        }
        // One that was answered elsewhere meanwhile needs no other answer.
        Answered::Tool(tool, resolution) => {
            active.resolve_tool(tool, resolution)?;
        }
        Answered::Nothing => {}
    }
    ui.runner.carry_on(&ui.changes, &ui.workspace, active)?;
    Ok(back(id))
}

/// A store that somebody else brought is shown; what it says is not carried out.
///
/// # Errors
/// When the store was found and is not trusted.
pub fn refuse_strange(ui: &Ui) -> Result<()> {
    if consent::is_strange(&ui.workspace)? {
        return Err(CliError::refused("this store comes from somewhere else: it is shown and not run")
            .hint("look at its templates and settings, then `meno trust`"));
    }
    Ok(())
}

/// A run whose programs would be confined to the home folder is not carried on from here, where nobody is asked.
///
/// # Errors
/// When that is so, or the run cannot be read.
pub fn refuse_home(ui: &Ui, run: RunId) -> Result<()> {
    let runs = ui.workspace.runs();
    // What is wrong with its record is for whoever goes on with it to say.
    let Ok(basis) = runs.recorded_basis(run) else { return Ok(()) };
    consent::home_refusal(&ui.workspace, &basis.template, &runs.folder_of(run)?).map_or(Ok(()), Err)
}

/// Ends a run for good.
///
/// # Errors
/// When there is no such run or it has ended.
pub fn cancel(ui: &Ui, request: &Request) -> Result<Answer> {
    ui.must_write()?;
    let id = ui.workspace.runs().find_own_run(request.part("run"))?;
    ui.workspace.runs().cancel(id)?;
    Ok(back(id))
}

/// Adds a note.
///
/// # Errors
/// When it says nothing, or the store cannot take it.
pub fn note(ui: &Ui, request: &Request) -> Result<Answer> {
    ui.must_write()?;
    let id = ui.workspace.runs().find_own_run(request.part("run"))?;
    let text = request.form.get("text").map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| CliError::invalid("the note says nothing").hint("write something, then add it"))?;
    let rating = request.form.get("rating").map(|text| {
        text.trim().parse::<u8>().ok().filter(|rating| (1..=5).contains(rating)).ok_or_else(|| {
            CliError::invalid(format!("the rating cannot be `{}`", element::line(text))).hint("use a number from 1 to 5, or none")
        })
    });
    let rating = rating.transpose()?;
    let tags = request.form.get("tags").unwrap_or_default().split(',').map(str::trim).filter(|tag| !tag.is_empty());
    let redactor = form_fill::redactor_about(&ui.workspace, id);
    let tags = tags.map(|tag| redactor.redact_answer(tag).into_owned()).collect();
    ui.workspace.runs().note(id, &redactor.redact_answer(text), rating, tags)?;
    Ok(back(id))
}

/// Says in words how many runs wait.
pub fn waiting_words(count: usize) -> String {
    match count {
        0 => "Nothing waits for you.".to_owned(),
        count => format!(
            "{} for you.",
            if count == 1 { "1 run waits".to_owned() } else { format!("{} runs wait", words::count(count as u64)) }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_money_says_what_is_spent_what_the_limit_is_and_what_is_needed() {
        let usd = |text: &str| NanoUsd::from_decimal(text).unwrap();
        let raised = ["a budget of $0.05".to_owned()];
        let words = money_words("$0.02", Some(usd("0.03")), usd("0.03"), &raised);
        for said in ["$0.02 is spent", "budget is $0.03", "at most $0.03", "needs a budget of $0.05"] {
            assert!(words.contains(said), "{said}: {words}");
        }
        assert!(money_words("$0.02", None, usd("0.03"), &raised).contains("no budget"));
    }
}
