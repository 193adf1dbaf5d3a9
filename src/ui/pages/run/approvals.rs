//! Escalations that wait for a person: each with what it may cost, answered one by one or all at once.

use maud::{Markup, html};

use crate::cli::error::{CliError, Result};
use crate::cli::output::words;
use crate::domain::ids::AgentNo;
use crate::domain::money::NanoUsd;
use crate::ui::{Params, element};
use crate::views::run_detail::Approval;

/// Escalations of a run that are asked about at once; more are asked about when these are answered.
const ASKED_MAX: usize = 40;
/// Characters of an agent's name that are shown.
const ROLE_CHARS_MAX: usize = 80;

/// An escalation that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    agent: AgentNo,
    /// Who wants what, in words.
    what: String,
    /// The most that it may cost; `None` when that is not known.
    worst: Option<u64>,
}

impl Wanted {
    /// Reads it from the run's document.
    pub(super) fn of(approval: &Approval) -> Self {
        let role = element::short(&approval.role, ROLE_CHARS_MAX);
        let reason = approval.reason.name().replace('_', " ");
        let what = format!("{role} wants to escalate from {} to {} ({reason})", approval.from, approval.to);
        Self { agent: approval.number, what, worst: approval.worst_case_nusd }
    }

    fn words(&self) -> String {
        format!("{}; {}", self.what, most(self.worst))
    }
}

fn most(worst: Option<u64>) -> String {
    worst.map_or_else(
        || "what that may cost is not known".to_owned(),
        |worst| format!("that may cost up to {} more", NanoUsd(worst)),
    )
}

/// Says what is asked.
pub(super) fn words(wanted: &[Wanted]) -> String {
    match wanted {
        [one] => one.words(),
        _ => {
            let together = wanted.iter().map(|one| one.worst).try_fold(0u64, |sum, worst| Some(sum.saturating_add(worst?)));
            format!("{} wait for an answer; together {}", words::plural(wanted.len() as u64, "escalation"), most(together))
        }
    }
}

/// Draws what answers them: two buttons for one, a choice for each of several.
pub(super) fn fields(wanted: &[Wanted]) -> Markup {
    if let [one] = wanted {
        return html! {
            input type="hidden" name="agent" value=(one.agent);
            button type="submit" class="primary" name="granted" value="yes" { "Approve" }
            button type="submit" name="granted" value="no" { "Deny" }
        };
    }
    let asked = &wanted[..wanted.len().min(ASKED_MAX)];
    let all = if asked.len() < wanted.len() { format!("these {}", asked.len()) } else { "all".to_owned() };
    html! {
        div class="approvals" {
            @for Wanted { agent, what, worst } in asked {
                fieldset {
                    legend { (what) "; " b { (most(*worst)) } }
                    input type="hidden" name="agent" value=(agent);
                    @for (value, name) in [("yes", "Approve"), ("no", "Deny"), ("", "Later")] {
                        label class="option" {
                            input type="radio" name={ "answer." (agent) } value=(value) checked[value.is_empty()];
                            (name)
                        }
                    }
                }
            }
        }
        button type="submit" class="primary" { "Answer as chosen" }
        button type="submit" name="granted" value="yes" { "Approve " (all) }
        button type="submit" name="granted" value="no" { "Deny " (all) }
    }
}

/// Reads what was answered.
///
/// # Errors
/// When nothing was, or what was is no answer.
pub(super) fn read(form: &Params) -> Result<Vec<(AgentNo, bool)>> {
    let back = "go back to the run's page and choose one";
    let answer = |text: &str| match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(CliError::invalid(format!("`{}` is neither approved nor denied", element::short(other, 20))).hint(back)),
    };
    let mut answers = Vec::new();
    for text in form.all("agent") {
        let agent: AgentNo =
            text.parse().map_err(|_| CliError::invalid(format!("`{}` is no agent", element::short(text, 20))).hint(back))?;
        // A button for all counts before what is chosen for each.
        if let Some(said) = form.get("granted").or_else(|| form.get(&format!("answer.{agent}"))) {
            answers.push((agent, answer(said)?));
        }
    }
    if answers.is_empty() {
        return Err(CliError::invalid("nothing was approved or denied").hint(back));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(agent: AgentNo, worst: Option<u64>) -> Wanted {
        Wanted { agent, what: format!("agent {agent} wants more"), worst }
    }

    #[test]
    fn several_are_answered_one_by_one_or_all_at_once() {
        let read = |form: &str| read(&Params::parse(form.as_bytes()));
        let chosen = "agent=0&answer.0=yes&agent=3&answer.3=&agent=7&answer.7=no";
        assert_eq!(read(chosen).unwrap(), [(0, true), (7, false)], "the one in the middle is for later");
        assert_eq!(read(&format!("{chosen}&granted=no")).unwrap(), [(0, false), (3, false), (7, false)]);
        assert_eq!(read("agent=4&granted=yes").unwrap(), [(4, true)]);
        for nothing in ["", "agent=1&answer.1=", "granted=yes", "agent=x&granted=yes", "agent=1&granted=maybe"] {
            assert!(read(nothing).is_err(), "{nothing}");
        }
    }

    #[test]
    fn each_has_its_amount_and_all_of_them_the_sum() {
        let two = [wanted(0, Some(1_500_000_000)), wanted(3, Some(500_000_000))];
        let drawn = fields(&two).into_string();
        assert!(drawn.contains("up to $1.50 more") && drawn.contains("up to $0.500 more"), "{drawn}");
        assert_eq!(drawn.matches("type=\"radio\"").count(), 6);
        assert!(words(&two).contains("2 escalations") && words(&two).contains("together that may cost up to $2.00 more"));
        assert!(words(&[wanted(0, None), wanted(1, Some(1))]).contains("not known"));
        assert!(!fields(&two[..1]).into_string().contains("radio") && words(&two[..1]).contains("$1.50"));
        let many: Vec<Wanted> = (0..100).map(|agent| wanted(agent, Some(1))).collect();
        let drawn = fields(&many).into_string();
        assert!(drawn.len() < 25_000 && drawn.contains("Approve these 40"), "{} bytes", drawn.len());
    }
}
