//! What the types cannot say: names that must exist, ranges, and the pieces that the neighbouring files check.

use std::collections::{HashMap, HashSet};

use regex::Regex;
use serde_json::Value;

use super::problem::Findings;
use super::reach::Reachability;
use super::types::{BaseAgent, OutputFormat, Question, QuestionKind, Rule, Template};
use super::{Context, template_id};
use crate::domain::answers::{quoted, shown};
use crate::domain::event::AnswerSource;
use crate::domain::form::{AnswerProblem, allowed, check, whole_match};
use crate::domain::nearest::nearest;
use crate::domain::placeholder::{Reference, references};

/// Tools that are built in.
pub(super) const TOOLS: [&str; 10] = [
    "list_files",
    "find_files",
    "read_file",
    "search_files",
    "git",
    "run_command",
    "write_file",
    "apply_patch",
    "recall",
    "http_get",
];

/// Questions, rules, inputs or tests of one template, at most: a person answers them, and each is compared with the others.
const ENTRIES_MAX: usize = 500;

/// Checks a template whose shape is right.
pub(super) fn check_template(template: &Template, stem: Option<&str>, context: &Context<'_>, findings: &mut Findings) {
    for (pointer, what, count) in [
        ("/form_schema/questions", "questions", template.form_schema.questions.len()),
        ("/agent_composition_rules", "rules", template.agent_composition_rules.len()),
        ("/inputs", "inputs", template.inputs.len()),
        ("/tests", "tests", template.tests.len()),
    ] {
        if count > ENTRIES_MAX {
            findings.error(pointer, format!("there are {count} {what}, more than {ENTRIES_MAX}"), "split the template");
            return;
        }
    }
    let mut checker = Checker::new(template, context, findings);
    checker.check_head(stem);
    checker.check_inputs();
    checker.check_questions();
    checker.check_rules();
    checker.check_report();
    checker.check_tests();
    checker.check_unused();
}

/// Checks a base agent whose shape is right.
pub(super) fn check_agent(agent: &BaseAgent, stem: Option<&str>, context: &Context<'_>, findings: &mut Findings) {
    check_id(findings, "/id", &agent.id, stem);
    for (i, alias) in agent.aliases.iter().enumerate() {
        check_id(findings, &format!("/aliases/{i}"), alias, None);
        if *alias == agent.id {
            findings.error(&format!("/aliases/{i}"), "the alias is the agent's own id", "remove it");
        }
    }
    if agent.instructions.trim().is_empty() {
        findings.error(
            "/instructions",
            "the instructions are empty",
            "say what to examine, in what order, and with what evidence",
        );
    }
    for (i, tool) in agent.tools.iter().enumerate() {
        check_tool(findings, &format!("/tools/{i}"), tool, context);
    }
    if let Some(contract) = &agent.output_contract {
        if let Some(schema) = &contract.schema {
            if contract.format != OutputFormat::Json {
                findings.error(
                    "/output_contract/schema",
                    "a schema belongs to the format `json`",
                    "change `format` or remove `schema`",
                );
            }
            if let Err(message) = super::criteria::compile_schema(schema) {
                findings.error("/output_contract/schema", message, "write a JSON Schema");
            }
        }
        if contract.description.trim().is_empty() {
            findings.error("/output_contract/description", "the description is empty", "name the headings or keys of the answer");
        }
    }
    let template = Template::default();
    Checker::new(&template, context, findings).check_criteria(&agent.criteria, "/criteria", &Allowed::of_base());
}

/// Which placeholders a text may use.
#[derive(Clone, Debug)]
pub(super) struct Allowed<'a> {
    /// Answers to the questions before this number.
    pub(super) answers_before: usize,
    /// Keys of the configuration; `None`: any.
    pub(super) config: Option<HashSet<&'a str>>,
    /// Inputs.
    pub(super) inputs: bool,
    /// Outputs of agents.
    pub(super) outputs: bool,
    /// `{{item}}`.
    pub(super) item: bool,
    /// The role of the rule that the text belongs to.
    pub(super) role: Option<&'a str>,
    /// Where the text stands, for messages: "a prompt".
    pub(super) place: &'static str,
}

impl Allowed<'_> {
    /// A base agent does not know the template that will use it: only its configuration.
    fn of_base() -> Self {
        Self {
            answers_before: 0,
            config: None,
            inputs: false,
            outputs: false,
            item: false,
            role: None,
            place: "a base agent's criterion",
        }
    }
}

/// Checks one template.
pub(super) struct Checker<'t, 'f> {
    pub(super) template: &'t Template,
    pub(super) context: &'t Context<'t>,
    pub(super) findings: &'f mut Findings,
    /// The first question of each id.
    pub(super) questions: HashMap<&'t str, usize>,
    /// The first rule of each role.
    pub(super) roles: HashMap<&'t str, usize>,
    pub(super) inputs: HashSet<&'t str>,
    pub(super) reach: Reachability<'t>,
    /// Patterns of questions, compiled once however often answers are compared with them; `None` when one is broken.
    patterns: HashMap<&'t str, Option<Regex>>,
    /// Questions that something looks at.
    used: HashSet<&'t str>,
    /// A question's condition is wrong, so what the form can lead to is not known.
    pub(super) form_unsound: bool,
    /// Ids of questions could not all be read, so an unknown one may be one of those; likewise the next two.
    questions_lost: bool,
    roles_lost: bool,
    inputs_lost: bool,
}

impl<'t, 'f> Checker<'t, 'f> {
    fn new(template: &'t Template, context: &'t Context<'t>, findings: &'f mut Findings) -> Self {
        let (mut questions, mut roles) = (HashMap::new(), HashMap::new());
        for (i, question) in template.form_schema.questions.iter().enumerate() {
            questions.entry(question.id.as_str()).or_insert(i);
        }
        for (i, rule) in template.agent_composition_rules.iter().enumerate() {
            roles.entry(rule.role.as_str()).or_insert(i);
        }
        Self {
            template,
            context,
            form_unsound: findings.any_damage(),
            questions_lost: findings.names_lost("/form_schema/questions", "id"),
            roles_lost: findings.names_lost("/agent_composition_rules", "role"),
            inputs_lost: findings.names_lost("/inputs", "id"),
            findings,
            questions,
            roles,
            inputs: template.inputs.iter().map(|input| input.id.as_str()).collect(),
            reach: Reachability::new(template),
            patterns: HashMap::new(),
            used: HashSet::new(),
        }
    }

    /// Looks up a question; reports it when it is unknown, comes too late, or is a secret.
    pub(super) fn question(&mut self, id: &str, pointer: &str, before: usize) -> Option<&'t Question> {
        let Some((known, number)) = self.questions.get_key_value(id).map(|(known, number)| (*known, *number)) else {
            if !self.questions_lost && !self.findings.full() {
                let remedy = match nearest(id, self.questions.keys().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "ask it in `form_schema`, or name one that is asked".to_owned(),
                };
                self.findings.error(pointer, format!("there is no question {}", quoted(id)), remedy);
            }
            return None;
        };
        self.used.insert(known);
        let question = self.template.form_schema.questions.get(number)?;
        if number >= before {
            let message = match number == before {
                true => format!("question `{id}` depends on itself"),
                false if self.depends_on(number, before) => format!("question `{id}` depends on this one: a cycle"),
                false => format!("question `{id}` comes later"),
            };
            self.findings.error(pointer, message, "look only at questions that were asked before, or change their order");
            return None;
        }
        if question.kind == QuestionKind::Secret {
            let message = format!("`{id}` is a secret, and its value is never put into texts, rules or configurations");
            self.findings.error(pointer, message, "tools and providers get secrets by name; ask a boolean to decide by");
            return None;
        }
        // What such a question allows is not known.
        if self.findings.damaged_inside(&format!("/form_schema/questions/{number}")) {
            return None;
        }
        Some(question)
    }

    /// Checks that a question allows a value, whatever its `when` says.
    pub(super) fn check_allowed(&mut self, question: &'t Question, value: &Value) -> Result<(), AnswerProblem> {
        let bare = Question { pattern: None, ..question.clone() };
        check(&bare, value, AnswerSource::Default, &|_| true)?;
        let (Some(pattern), Some(text)) = (question.pattern.as_deref(), value.as_str()) else { return Ok(()) };
        let compiled = self.patterns.entry(pattern).or_insert_with(|| whole_match(pattern).ok());
        // A broken pattern is reported itself.
        match compiled.as_ref().is_none_or(|regex| regex.is_match(text)) {
            true => Ok(()),
            false => Err(AnswerProblem {
                question: question.id.clone(),
                value: Some(shown(value)),
                allowed: allowed(question),
                message: format!("{} does not match the pattern", shown(value)),
            }),
        }
    }

    /// Whether question `from` looks at question `to`, through others if need be.
    fn depends_on(&self, from: usize, to: usize) -> bool {
        let (mut open, mut seen) = (vec![from], HashSet::new());
        while let Some(number) = open.pop() {
            if number == to {
                return true;
            }
            if seen.insert(number)
                && let Some(question) = self.template.form_schema.questions.get(number)
            {
                open.extend(crate::domain::form::depends_on(question).iter().filter_map(|id| self.questions.get(id.as_str())));
            }
        }
        false
    }

    /// Checks the placeholders of a text.
    pub(super) fn check_text(&mut self, text: &str, pointer: &str, allowed: &Allowed<'_>) {
        for reference in references(text) {
            match reference {
                Reference::Answer(id) => {
                    // Said once and better than "unknown question": the name exists, but for another kind of thing.
                    if !self.questions.contains_key(id.as_str()) && !text.contains("answers.") && self.elsewhere(&id, pointer, allowed) {
                        continue;
                    }
                    self.question(&id, pointer, allowed.answers_before);
                }
                Reference::Config(key) => match &allowed.config {
                    Some(keys) if !keys.contains(key.as_str()) => {
                        let message = format!("the configuration has no key {}", quoted(&key));
                        let remedy = match nearest(&key, keys.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "set it in `config` or `config_mapping`".to_owned(),
                        };
                        self.findings.error(pointer, message, remedy);
                    }
                    _ => {}
                },
                Reference::Input(id) => self.check_input_name(&id, pointer, allowed),
                Reference::Output(role) => self.check_output_name(&role, pointer, allowed),
                Reference::Item if allowed.item => {}
                Reference::Item => self.findings.error(
                    pointer,
                    "`{{item}}` means something only in a rule with `foreach`",
                    "add `foreach`, or write `{{answers.item}}` for a question of that id",
                ),
                Reference::Unknown(inner) => self.findings.error(
                    pointer,
                    format!("unknown placeholder {}", quoted(&format!("{{{{{inner}}}}}"))),
                    "use answers.ID, config.KEY, inputs.ID, agents.ROLE.output or item; `\\\\{{` writes braces that mean themselves",
                ),
            }
        }
    }

    /// Reports a short placeholder that names an input, a role or a key of the configuration.
    fn elsewhere(&mut self, name: &str, pointer: &str, allowed: &Allowed<'_>) -> bool {
        let meant = if self.inputs.contains(name) {
            format!("{{{{inputs.{name}}}}}")
        } else if self.roles.contains_key(name) {
            format!("{{{{agents.{name}.output}}}}")
        } else if allowed.config.as_ref().is_some_and(|keys| keys.contains(name)) {
            format!("{{{{config.{name}}}}}")
        } else {
            return false;
        };
        self.findings.error(pointer, format!("there is no question {}", quoted(name)), format!("did you mean `{meant}`?"));
        true
    }

    fn check_input_name(&mut self, id: &str, pointer: &str, allowed: &Allowed<'_>) {
        if !allowed.inputs {
            self.findings.error(pointer, format!("{} cannot use inputs", allowed.place), "use the input in a prompt");
        } else if !self.inputs.contains(id) && !self.inputs_lost {
            let remedy = match nearest(id, self.inputs.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it in `inputs`".to_owned(),
            };
            self.findings.error(pointer, format!("there is no input {}", quoted(id)), remedy);
        }
    }

    fn check_output_name(&mut self, role: &str, pointer: &str, allowed: &Allowed<'_>) {
        if !allowed.outputs {
            let message = format!("{} cannot use other agents' outputs", allowed.place);
            self.findings.error(pointer, message, "use the output in a prompt or in the report");
        } else if allowed.role == Some(role) {
            self.findings.error(pointer, "an agent cannot read its own output", "name another role");
        } else {
            self.role(role, pointer);
        }
    }

    /// Looks up a role; reports it when it is unknown.
    pub(super) fn role(&mut self, role: &str, pointer: &str) -> Option<&'t Rule> {
        if let Some(number) = self.roles.get(role) {
            return self.template.agent_composition_rules.get(*number);
        }
        if !self.roles_lost && !self.findings.full() {
            let remedy = match nearest(role, self.roles.keys().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name the role of one of the rules".to_owned(),
            };
            self.findings.error(pointer, format!("there is no role {}", quoted(role)), remedy);
        }
        None
    }

    fn check_head(&mut self, stem: Option<&str>) {
        let template = self.template;
        check_id(self.findings, "/template_id", &template.template_id, stem);
        if template.name.trim().is_empty() {
            self.findings.lenient("/name", "the name is empty", "write a name for people");
        }
        if let Err(error) = semver::Version::parse(&template.version) {
            let message = format!("{} is no semantic version: {error}", quoted(&template.version));
            self.findings.lenient("/version", message, "write a version like \"1.0.0\"");
        }
        let [from, to] = template.estimated_cost_range;
        if from < 0.0 || to < from {
            let message = format!("the cost range goes from {from} to {to}");
            self.findings.error("/estimated_cost_range", message, "write the lower US dollar amount first, none below 0");
        }
        if template.estimated_duration_minutes < 0.0 {
            self.findings.error("/estimated_duration_minutes", "the duration is negative", "write a number of minutes");
        }
        if let Some(defaults) = &template.defaults {
            check_positive(self.findings, "/defaults/budget_usd", defaults.budget_usd);
            check_count(self.findings, "/defaults/max_attempts_per_tier", defaults.max_attempts_per_tier.map(u64::from), 100);
            check_count(self.findings, "/defaults/max_output_tokens", defaults.max_output_tokens, 10_000_000);
        }
    }

    fn check_inputs(&mut self) {
        let mut seen = HashSet::new();
        for (i, input) in self.template.inputs.iter().enumerate() {
            let pointer = format!("/inputs/{i}/id");
            check_name(self.findings, &pointer, &input.id, "input id");
            if !seen.insert(&input.id) {
                let message = format!("input {} is declared twice", quoted(&input.id));
                self.findings.error(&pointer, message, "give each input an id of its own");
            }
        }
    }

    fn check_report(&mut self) {
        if let Some(report) = &self.template.report {
            let allowed = Allowed {
                answers_before: usize::MAX,
                config: Some(HashSet::new()),
                inputs: false,
                outputs: true,
                item: false,
                role: None,
                place: "the report",
            };
            self.check_text(report, "/report", &allowed);
        }
    }

    fn check_tests(&mut self) {
        for (i, test) in self.template.tests.iter().enumerate() {
            for id in test.answers.keys() {
                if !self.questions.contains_key(id.as_str()) {
                    let pointer = format!("/tests/{i}/answers/{}", super::problem::key(id));
                    self.question(id, &pointer, usize::MAX);
                }
            }
            for (j, role) in test.roles.iter().enumerate() {
                let plain = match role.split_once('[') {
                    Some((plain, rest)) if rest.ends_with(']') => plain,
                    _ => role,
                };
                self.role(plain, &format!("/tests/{i}/roles/{j}"));
            }
        }
    }

    fn check_unused(&mut self) {
        if self.findings.any_damage() {
            return;
        }
        for (i, question) in self.template.form_schema.questions.iter().enumerate() {
            // Tools and providers read secrets by name, which no file says.
            if question.kind != QuestionKind::Secret && !self.used.contains(question.id.as_str()) {
                let message = format!("nothing uses the answer to `{}`", question.id);
                let remedy = "use it in a rule, prompt or configuration, or do not ask it";
                self.findings.warn(&format!("/form_schema/questions/{i}"), message, remedy);
            }
        }
    }
}

fn check_id(findings: &mut Findings, pointer: &str, id: &str, stem: Option<&str>) {
    match template_id(id) {
        Err(bad) => findings.error(pointer, bad.to_string(), "write a-z, 0-9, `_` and `-`, at most 64 characters"),
        Ok(id) => {
            if let Some(stem) = stem.filter(|stem| *stem != id) {
                let message = format!("the id is `{id}`, but the file is called {}", quoted(stem));
                findings.error(pointer, message, format!("rename the file to `{id}.json`, or change the id"));
            }
        }
    }
}

/// Checks an id that people type on command lines and in placeholders.
pub(super) fn check_name(findings: &mut Findings, pointer: &str, name: &str, what: &str) {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '=' | '{' | '}' | '.' | '[' | ']' | ',');
    if name.is_empty() || name.len() > 100 || name.contains('\0') || name.contains('\n') {
        findings.error(
            pointer,
            format!("{} is no {what}", quoted(name)),
            "write 1 to 100 characters: letters, digits, `_` and `-`",
        );
    } else if name.contains(bad) {
        findings.lenient(pointer, format!("{} is no {what}", quoted(name)), "write letters, digits, `_` and `-`");
    }
}

/// Checks a tool's name: built in, of an MCP server, or a program.
pub(super) fn check_tool(findings: &mut Findings, pointer: &str, tool: &str, context: &Context<'_>) {
    if TOOLS.contains(&tool) {
        return;
    }
    if let Some(rest) = tool.strip_prefix("mcp:") {
        let named = rest.split_once('/').is_some_and(|(server, tool)| !server.is_empty() && !tool.is_empty());
        if !named {
            findings.lenient(pointer, format!("{} names no tool", quoted(tool)), "write mcp:SERVER/TOOL or mcp:SERVER/*");
        } else if let (Some((server, _)), Some(servers)) = (rest.split_once('/'), context.servers)
            && !servers.contains(server)
        {
            let message = format!("the settings name no MCP server {}, so agents cannot use {}", quoted(server), quoted(tool));
            let near = nearest(server, servers.iter().map(String::as_str));
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? else "));
            findings.warn(pointer, message, format!("{near}say its `command` or `url` under [mcp.{server}] in config.toml"));
        }
        return;
    }
    let program = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    if tool.is_empty() || tool.len() > 64 || !tool.chars().all(program) || tool.starts_with(['-', '.']) {
        let remedy = format!("name a program, or one of {}", TOOLS.join(", "));
        findings.lenient(pointer, format!("{} is no tool", quoted(tool)), remedy);
        return;
    }
    let allowed = context.commands.is_some_and(|commands| commands.contains(tool));
    // Short names are near to too many programs to call them mistakes.
    if !allowed
        && tool.len() >= 6
        && let Some(near) = nearest(tool, TOOLS)
    {
        findings.lenient(pointer, format!("there is no tool {}", quoted(tool)), format!("did you mean `{near}`?"));
    } else if !allowed && context.commands.is_some() {
        let message = format!("`{tool}` is a program that the settings do not allow, so agents cannot use it");
        findings.warn(pointer, message, format!("add it to `commands` under [tools] in config.toml: \"{tool}\""));
    }
}

/// Checks an amount of US dollars.
pub(super) fn check_positive(findings: &mut Findings, pointer: &str, amount: Option<f64>) {
    if let Some(amount) = amount.filter(|amount| crate::domain::money::NanoUsd::from_usd(*amount).is_none_or(|nano| nano.0 == 0))
    {
        findings.error(pointer, format!("{amount} is no budget"), "write an amount of US dollars above 0, or leave it out");
    }
}

/// Checks a count: from 1 to `max`.
pub(super) fn check_count(findings: &mut Findings, pointer: &str, count: Option<u64>, max: u64) {
    if let Some(count) = count.filter(|count| *count == 0 || *count > max) {
        findings.error(pointer, format!("{count} is out of range"), format!("write a number from 1 to {max}"));
    }
}
