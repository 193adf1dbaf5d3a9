//! `meno show-template ID`: questions, rules, conditions and the cost to expect.

use schemars::JsonSchema;
use serde::Serialize;

use super::list_templates::{Kind, TemplateLine};
use super::templates;
use crate::cli::args::ShowTemplateArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::table::{Column, Fit, Table};
use crate::cli::output::{HEADING, Printer, sanitize, styled, words};
use crate::domain::condition::{describe, from_required};
use crate::domain::criterion::Criterion;
use crate::domain::judge;
use crate::domain::team;
use crate::domain::template::{Problem, Question, Rule, Template};
use crate::domain::tier::Strategy;
use crate::workspace::Access;
use crate::workspace::library::{Entry, Library};

/// `show-template --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateDocument {
    /// Where it comes from.
    pub origin: Kind,
    /// The user's file.
    pub path: Option<String>,
    /// The file hides a built-in template of the same id.
    pub hides_builtin: bool,
    /// Warnings about it.
    pub problems: Vec<Problem>,
    /// What each rule makes, with what its base agent adds.
    pub rules: Vec<RuleLine>,
    /// The template, with all defaults.
    pub template: Template,
}

/// A rule, as it works.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RuleLine {
    /// The role.
    pub role: String,
    /// The base agent; `generic` where the rule's own is not known.
    pub base: String,
    /// The strategy, where the rule or the template says one.
    pub strategy: Option<Strategy>,
    /// When it makes an agent, in words.
    pub made_when: String,
    /// The roles that its agents wait for: those that it names, and those whose outputs its prompt reads.
    pub waits_for: Vec<String>,
    /// The names of its criteria.
    pub criteria: Vec<String>,
    /// The names of the criteria that its base agent adds.
    pub base_criteria: Vec<String>,
    /// The tools that its agents may use.
    pub tools: Vec<String>,
}

impl RuleLine {
    fn of(rule: &Rule, template: &Template, library: &Library) -> Self {
        let base = library.agent(&rule.base_template).or_else(|| library.agent(team::GENERIC));
        let of_template = template.defaults.as_ref().and_then(|defaults| defaults.strategy);
        let names = |criteria: &[Criterion]| criteria.iter().map(judge::name).collect();
        let tools = if rule.tools.is_empty() { base.map(|base| base.tools.clone()) } else { Some(rule.tools.clone()) };
        Self {
            role: rule.role.clone(),
            base: base.map_or_else(|| team::GENERIC.to_owned(), |base| base.id.clone()),
            strategy: rule.tier_strategy.or(of_template),
            made_when: made_when(rule),
            waits_for: team::waits_for(rule),
            criteria: names(&rule.success_criteria),
            base_criteria: base.map(|base| names(&base.criteria)).unwrap_or_default(),
            tools: tools.unwrap_or_default(),
        }
    }
}

/// Shows a template.
///
/// # Errors
/// When there is none of that id, or it is broken.
pub fn run(context: &mut Context, args: &ShowTemplateArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Surroundings)?;
    let mut entry = match templates::of_path(&workspace.library, &args.template)? {
        Some(entry) => entry,
        None => templates::find(&workspace.library, &args.template)?,
    };
    if context.out.json() {
        entry.problems = workspace.library.problems(&entry);
    }
    show(&mut context.out, &workspace.library, entry)
}

impl TemplateDocument {
    /// Returns what there is to know of a template.
    ///
    /// # Errors
    /// When it is broken.
    pub fn of(library: &Library, entry: Entry) -> Result<Self> {
        let TemplateLine { origin, path, hides_builtin, .. } = TemplateLine::from(&entry);
        let Some(template) = entry.template else {
            let report = CliError::new("template_broken", Exit::Mendable, format!("template `{}` is broken", entry.id));
            let file = path.as_deref().unwrap_or("FILE");
            return Err(entry
                .problems
                .iter()
                .fold(report, CliError::cause)
                .hint(format!("correct {file}, then `meno validate-template {file}`")));
        };
        let rules = template.agent_composition_rules.iter().map(|rule| RuleLine::of(rule, &template, library)).collect();
        Ok(Self { origin, path, hides_builtin, problems: entry.problems, rules, template })
    }
}

fn show(out: &mut Printer, library: &Library, entry: Entry) -> Result<Exit> {
    let document = TemplateDocument::of(library, entry)?;
    if out.json() {
        out.document(&document)?;
        return Ok(Exit::Done);
    }
    let TemplateDocument { path, rules: lines, template, .. } = document;
    let text = |text: &str| sanitize::text(text).into_owned();
    out.data(format!("{}  {} {}", styled(HEADING, text(&template.template_id)), text(&template.name), text(&template.version)))?;
    out.data(text(&template.description))?;
    let origin = path.map_or_else(|| "built-in".to_owned(), |path| text(&path));
    let [low, high] = template.estimated_cost_range;
    out.data(format!("origin: {origin}\nexpected: ${low} to ${high}, about {} min", template.estimated_duration_minutes))?;
    for input in &template.inputs {
        let need = if input.required { "needed" } else { "optional" };
        out.data(format!("input {} ({need}): {}", text(&input.id), text(&input.description)))?;
    }
    out.data(format!("\n{}", styled(HEADING, words::plural(template.form_schema.questions.len() as u64, "question"))))?;
    questions(out, &template.form_schema.questions)?;
    out.data(format!("\n{}", styled(HEADING, words::plural(lines.len() as u64, "rule"))))?;
    rules(out, &lines)
}

fn questions(out: &mut Printer, questions: &[Question]) -> Result<()> {
    let columns = [
        Column::new("id", Fit::Whole),
        Column::new("question", Fit::Words),
        Column::new("type", Fit::Words),
        Column::new("default", Fit::Words),
        Column::new("shown when", Fit::Words),
    ];
    let mut table = Table::new(out, &columns);
    for question in questions {
        let kind = serde_json::to_value(question.kind).unwrap_or_default();
        let kind = if question.required { words::value(&kind) } else { format!("{}, optional", words::value(&kind)) };
        let asked = match question.options.as_slice() {
            [] => question.text.clone(),
            options => format!("{} ({})", question.text, options.join(" | ")),
        };
        let default = question.default.as_ref().map(words::value).unwrap_or_default();
        let when = question.when.as_ref().map(describe).unwrap_or_default();
        table.row([question.id.clone(), asked, kind, default, when]);
    }
    out.data(table.finish())
}

fn rules(out: &mut Printer, rules: &[RuleLine]) -> Result<Exit> {
    let columns = [
        Column::new("role", Fit::Whole),
        Column::new("agent", Fit::Whole).optional(2),
        Column::new("strategy", Fit::Whole).once().optional(1),
        Column::new("made when", Fit::Words),
        Column::new("after", Fit::Words),
        Column::new("criteria", Fit::Words),
    ];
    let mut table = Table::new(out, &columns);
    for rule in rules {
        let strategy = rule.strategy.map_or("", |strategy| strategy.name());
        let criteria = rule.criteria.iter().chain(&rule.base_criteria).map(String::as_str).collect::<Vec<_>>().join("; ");
        table.row([rule.role.as_str(), &rule.base, strategy, &rule.made_when, &rule.waits_for.join(", "), &criteria]);
    }
    out.data(table.finish())?;
    Ok(Exit::Done)
}

/// Says when a rule makes an agent.
fn made_when(rule: &Rule) -> String {
    let required = (!rule.required_responses.is_empty()).then(|| describe(&from_required(&rule.required_responses)));
    let parts: Vec<String> = required.into_iter().chain(rule.when.as_ref().map(describe)).collect();
    let when = if parts.is_empty() { "always".to_owned() } else { parts.join("; and ") };
    rule.foreach.as_ref().map_or(when.clone(), |question| format!("{when}; one for each of {question}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::cli::output::capture::Captured;

    #[test]
    fn a_rule_is_shown_with_the_names_of_its_criteria() {
        let library = Library::open(std::path::Path::new(""));
        let entry = library.find("python_package_publish").unwrap().unwrap();
        let template = entry.template.clone().unwrap();
        let wanted =
            template.agent_composition_rules.iter().flat_map(|rule| &rule.success_criteria).map(judge::name).next().unwrap();
        let data = Captured::default();
        show(&mut Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None), &library, entry).unwrap();
        assert!(data.text().contains(&wanted), "{wanted} is not in\n{}", data.text());
    }
}
