//! Material that a template needs and a run is not given: what its agents read for themselves, and what is missing then.

use super::Runs;
use crate::domain::placeholder::{self, Reference};
use crate::domain::template::{InputKindSpec, Rule, Template};
use crate::domain::tool::READ_FILE;
use crate::tools::Toolbox;
use crate::workspace::request::RunRequest;

/// Material that a template needs and a run is not given, by id and in the template's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Folders: all agents that are told of them may read the run's own folder instead.
    pub readable: Vec<String>,
    /// What the agents can only say is missing.
    pub missing: Vec<String>,
}

impl Runs<'_> {
    /// Returns what a run of `template` would lack. In a folder that holds the user's home nothing counts as read: whoever starts a run
    /// there does not mean the project that is asked for. Nor does it where tools see no file.
    pub(crate) fn lacking_material(&self, template: &Template, request: &RunRequest) -> Lacking {
        let (settings, folder) = (&self.0.resolved.settings, &self.0.places.current);
        let sees_files = || {
            let store = [self.0.store.path.as_path()];
            Toolbox::new(folder, &store, &settings.tools, self.tool_environment(settings)).sees_a_file()
        };
        let is_needed = template.inputs.iter().any(|input| input.required && !request.has_input(&input.id));
        let has_tools = is_needed && settings.tools.max_turns > 0 && !self.holds_home(folder) && sees_files();
        let reads = |rule: &Rule| {
            let base = self.0.library.agent(&rule.base_template).or_else(|| self.0.library.agent("generic"));
            let of_base = base.map(|base| base.tools.as_slice()).unwrap_or_default();
            let tools = if rule.tools.is_empty() { of_base } else { rule.tools.as_slice() };
            has_tools && tools.iter().any(|tool| tool == READ_FILE)
        };
        lacking(template, |id| request.has_input(id), reads)
    }
}

/// Decides it from which inputs are given and which rules make agents that may read files.
fn lacking(template: &Template, is_given: impl Fn(&str) -> bool, reads: impl Fn(&Rule) -> bool) -> Lacking {
    let mut lacking = Lacking::default();
    for input in template.inputs.iter().filter(|input| input.required && !is_given(&input.id)) {
        let mut told = template.agent_composition_rules.iter().filter(|rule| is_told(rule, &input.id)).peekable();
        let is_readable = input.kind == InputKindSpec::Dir && told.peek().is_some() && told.all(&reads);
        let list = if is_readable { &mut lacking.readable } else { &mut lacking.missing };
        list.push(input.id.clone());
    }
    lacking
}

/// Tells whether agents of a rule are told of an input; those without a prompt of their own are told of all.
fn is_told(rule: &Rule, input: &str) -> bool {
    let named = rule.prompt.as_deref().map(placeholder::references);
    named.is_none_or(|named| named.iter().any(|reference| matches!(reference, Reference::Input(id) if id == input)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_is_read_where_all_who_are_told_of_it_can() {
        let template: Template = serde_json::from_value(json!({
            "template_id": "t", "name": "T", "description": "d", "version": "1.0.0",
            "form_schema": {"title": "T", "description": "d", "questions": []},
            "inputs": [
                {"id": "source", "description": "d", "kind": "dir", "required": true}, {"id": "paper", "description": "d", "kind": "file", "required": true},
                {"id": "logs", "description": "d", "kind": "dir", "required": true}, {"id": "unused", "description": "d", "kind": "dir", "required": true},
                {"id": "extra", "description": "d", "kind": "dir"}
            ],
            "agent_composition_rules": [
                {"role": "reader", "base_template": "generic", "prompt": "{{inputs.source}} {{inputs.paper}} {{inputs.logs}}"},
                {"role": "teller", "base_template": "generic", "prompt": "{{inputs.logs}}"}
            ]
        }))
        .expect("a template");
        let of = |given: &'static str, readers: &'static [&'static str]| {
            let lacking = lacking(&template, |id| id == given, |rule| readers.contains(&rule.role.as_str()));
            (lacking.readable.join(" "), lacking.missing.join(" "))
        };
        let pair = |readable: &str, missing: &str| (readable.to_owned(), missing.to_owned());
        assert_eq!(of("", &["reader"]), pair("source", "paper logs unused"));
        assert_eq!(of("", &["reader", "teller"]), pair("source logs", "paper unused"));
        assert_eq!(of("source", &["reader"]), pair("", "paper logs unused"));
        assert_eq!(of("", &[]), pair("", "source paper logs unused"));
    }
}
