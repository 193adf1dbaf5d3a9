//! What to do next, in the words of who is told it: a model that calls tools cannot type commands, so a command that a tool stands for is
//! named as a call of that tool. Other commands stay, and are said to be the person's.

use serde_json::{Map, Value, json};

/// A command that a tool stands for.
struct Stand {
    command: &'static str,
    tool: &'static str,
    /// The field that the command's first word is.
    first: Option<&'static str>,
    /// What stands for that word when there is none.
    default: Option<&'static str>,
    options: &'static [(&'static str, Field)],
    /// The tool is offered only where clients may run templates.
    runs: bool,
}

/// What an option of a command is among the arguments of a tool.
enum Field {
    Is(&'static str, bool),
    Text(&'static str),
    Number(&'static str),
}

const fn reads(command: &'static str, tool: &'static str, first: Option<&'static str>) -> Stand {
    Stand { command, tool, first, default: None, options: &[], runs: false }
}

const STANDS: [Stand; 10] = [
    Stand {
        options: &[("--limit", Field::Number("limit")), ("-n", Field::Number("limit"))],
        ..reads("list-runs", "list_runs", None)
    },
    Stand {
        default: Some("last"),
        options: &[("--agent", Field::Text("agent")), ("--prompts", Field::Is("prompts", true))],
        ..reads("show-run", "show_run", Some("run"))
    },
    reads("events", "events", Some("run")),
    reads("search", "search", Some("query")),
    reads("suggest", "suggest", Some("request")),
    reads("costs", "costs", None),
    reads("list-templates", "list_templates", None),
    reads("show-template", "show_template", Some("template")),
    Stand {
        runs: true,
        options: &[
            ("--budget", Field::Number("budget_usd")),
            ("--strategy", Field::Text("strategy")),
            ("--seed", Field::Number("seed")),
        ],
        ..reads("run", "run", Some("template"))
    },
    Stand {
        runs: true,
        options: &[
            ("--retry-failed", Field::Is("retry_failed", true)),
            ("--approve", Field::Is("approve", true)),
            ("--deny", Field::Is("approve", false)),
            ("--budget", Field::Number("budget_usd")),
        ],
        ..reads("resume", "resume", Some("run"))
    },
];

/// Said where a command is left that no tool stands for.
const FOR_A_PERSON: &str = "(a command that begins with `meno` is for the person, at a terminal)";

/// Returns `text` with calls of tools in the place of commands; `may_run`: clients may run templates.
pub(super) fn in_tools(text: &str, may_run: bool) -> String {
    let mut is_left = false;
    let mut told: Vec<String> = Vec::new();
    for (place, part) in text.split('`').enumerate() {
        // What stands between two backticks is a word that is typed.
        let command = if place % 2 == 1 { part.strip_prefix("meno ") } else { None };
        let call = command.and_then(|command| call(command, may_run));
        is_left |= command.is_some() && call.is_none();
        told.push(call.unwrap_or_else(|| part.to_owned()));
    }
    let told = told.join("`");
    if is_left { format!("{told} {FOR_A_PERSON}") } else { told }
}

/// Returns the call that does what a command does; `None` when no tool does all of it.
fn call(command: &str, may_run: bool) -> Option<String> {
    let mut words = command.split_whitespace();
    let name = words.next()?;
    let stand = STANDS.iter().find(|stand| stand.command == name).filter(|stand| may_run || !stand.runs)?;
    let mut arguments = Map::new();
    while let Some(word) = words.next() {
        let (field, value) = if word.starts_with('-') {
            let (_, field) = stand.options.iter().find(|(option, _)| *option == word)?;
            match field {
                Field::Is(field, value) => (*field, json!(value)),
                Field::Text(field) => (*field, json!(words.next()?)),
                // A number that is not known yet stands as a word in capitals.
                Field::Number(field) => (*field, number(words.next()?)),
            }
        } else {
            (stand.first.filter(|first| !arguments.contains_key(*first))?, json!(word))
        };
        arguments.insert(field.to_owned(), value);
    }
    if let (Some(first), Some(default)) = (stand.first, stand.default) {
        arguments.entry(first).or_insert_with(|| default.into());
    }
    Some(match arguments.is_empty() {
        true => stand.tool.to_owned(),
        false => format!("{} {}", stand.tool, Value::Object(arguments)),
    })
}

fn number(word: &str) -> Value {
    serde_json::from_str::<Value>(word).ok().filter(Value::is_number).unwrap_or_else(|| word.into())
}

#[cfg(test)]
mod tests {
    use super::super::tools;
    use super::*;

    #[test]
    fn what_a_tool_does_is_named_as_its_call_and_the_rest_is_the_persons() {
        let same = "close `docs` and `meno`";
        for (hint, may_run, told) in [
            ("`meno list-runs` shows the runs", false, "`list_runs` shows the runs"),
            ("`meno show-run` says why", false, r#"`show_run {"run":"last"}` says why"#),
            ("`meno show-run 7QW2 --agent a` says why", false, r#"`show_run {"run":"7QW2","agent":"a"}` says why"#),
            ("`meno resume 7QW2 --retry-failed` tries again", true, r#"`resume {"run":"7QW2","retry_failed":true}` tries again"#),
            ("`meno resume 7QW2 --deny` ends it", true, r#"`resume {"run":"7QW2","approve":false}` ends it"#),
            ("`meno resume 7QW2 --budget 2.5` gives more", true, r#"`resume {"run":"7QW2","budget_usd":2.5}` gives more"#),
            (same, true, same),
        ] {
            assert_eq!(in_tools(hint, may_run), told);
        }
        for (hint, may_run) in [
            ("`meno resume 7QW2` continues it", false),
            ("`meno resume 7QW2 --allow-write` continues it", true),
            ("`meno config run.jobs=2` changes it", true),
        ] {
            assert_eq!(in_tools(hint, may_run), format!("{hint} {FOR_A_PERSON}"));
        }
        let mixed = in_tools("`meno list-runs` shows them, `meno forget RUN` forgets", true);
        assert_eq!(mixed, format!("`list_runs` shows them, `meno forget RUN` forgets {FOR_A_PERSON}"));
    }

    #[test]
    fn every_call_is_one_that_the_door_offers() {
        let offered = |may_run| tools::all(may_run);
        for stand in &STANDS {
            let tool = offered(true).into_iter().find(|tool| tool.name == stand.tool).unwrap();
            assert_eq!(stand.runs, !offered(false).iter().any(|tool| tool.name == stand.tool), "{}", stand.tool);
            let takes = |field: &str| tool.input["properties"].get(field).is_some();
            assert!(stand.first.is_none_or(takes), "{}", stand.tool);
            for (option, field) in stand.options {
                let (Field::Is(field, _) | Field::Text(field) | Field::Number(field)) = field;
                assert!(takes(field), "{} {option}", stand.tool);
            }
        }
    }
}
