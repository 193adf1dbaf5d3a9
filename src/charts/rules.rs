//! The rules of a template as a graph: which answers make which agents, and which agents wait for which.

use super::drawing::Meaning;
use super::graph::{Edge, Graph, Node};
use crate::domain::condition::{describe, each_test, from_required};
use crate::domain::template::{Rule, Template};

/// Columns of agents; those that wait for more than that stand in the last one.
const COLUMNS_MAX: usize = 6;

/// Returns the graph: questions that rules look at, then agents in the order in which they wait for each other.
pub fn rules(template: &Template) -> Graph {
    let rules = &template.agent_composition_rules;
    let looked_at: Vec<Vec<String>> = rules.iter().map(questions_of).collect();
    let mut questions: Vec<&str> = template
        .form_schema
        .questions
        .iter()
        .map(|question| question.id.as_str())
        .filter(|id| looked_at.iter().flatten().any(|asked| asked == id))
        .collect();
    let is_always = |asked: &Vec<String>| asked.is_empty();
    if looked_at.iter().any(is_always) {
        questions.insert(0, ALWAYS);
    }
    let waits: Vec<Vec<usize>> = rules.iter().map(|rule| waits_for(rule, rules)).collect();
    let depths = depths(&waits);
    let last = depths.iter().copied().max().unwrap_or(0);
    let mut columns: Vec<Vec<Node>> = vec![questions.iter().map(|id| question(template, id)).collect()];
    columns.resize_with(last + 2, Vec::new);
    let mut places = Vec::with_capacity(rules.len());
    for (rule, depth) in rules.iter().zip(&depths) {
        places.push((depth + 1, columns[depth + 1].len()));
        columns[depth + 1].push(agent(rule));
    }
    let mut edges = Vec::new();
    for (number, rule) in rules.iter().enumerate() {
        let words = condition(rule);
        for asked in if looked_at[number].is_empty() { vec![ALWAYS.to_owned()] } else { looked_at[number].clone() } {
            if let Some(row) = questions.iter().position(|id| *id == asked) {
                let title = format!("{}: {words}", rule.role);
                edges.push(Edge { from: (0, row), to: places[number], class: "when".into(), title });
            }
        }
        for before in waits[number].iter().filter(|before| depths[**before] < depths[number]) {
            let title = format!("{} waits for {}", rule.role, rules[*before].role);
            edges.push(Edge { from: places[*before], to: places[number], class: "after".into(), title });
        }
    }
    Graph { label: format!("rules of {}: questions, and the agents that answers make", template.template_id), columns, edges }
}

/// Stands for rules without a condition.
const ALWAYS: &str = "always";

fn question(template: &Template, id: &str) -> Node {
    let text = template.form_schema.questions.iter().find(|question| question.id == id).map(|question| question.text.as_str());
    let class = if text.is_some() { "question" } else { "always" };
    Node { name: id.to_owned(), class: class.to_owned(), meaning: Meaning::title(text.unwrap_or("whatever is answered")) }
}

fn agent(rule: &Rule) -> Node {
    let each = rule.foreach.as_ref().map_or_else(String::new, |question| format!(", one for each item of {question}"));
    let title = format!("{} ({}): {}{each}", rule.role, rule.base_template, condition(rule));
    Node { name: rule.role.clone(), class: "agent".to_owned(), meaning: Meaning::title(title) }
}

/// Says when a rule makes its agent.
fn condition(rule: &Rule) -> String {
    let required = (!rule.required_responses.is_empty()).then(|| describe(&from_required(&rule.required_responses)));
    let parts: Vec<String> = required.into_iter().chain(rule.when.as_ref().map(describe)).collect();
    if parts.is_empty() { "always".to_owned() } else { format!("when {}", parts.join(" and ")) }
}

fn questions_of(rule: &Rule) -> Vec<String> {
    let mut asked: Vec<String> = rule.required_responses.keys().cloned().collect();
    if let Some(when) = &rule.when {
        each_test(when, &mut |test| asked.push(test.question.clone()));
    }
    asked.extend(rule.foreach.clone());
    asked.sort();
    asked.dedup();
    asked
}

fn waits_for(rule: &Rule, rules: &[Rule]) -> Vec<usize> {
    let prompt = rule.prompt.as_deref().unwrap_or_default();
    let is_named = |other: &Rule| rule.depends_on.contains(&other.role) || prompt.contains(&format!("agents.{}.", other.role));
    let others = rules.iter().enumerate().filter(|(_, other)| other.role != rule.role && is_named(other));
    others.map(|(number, _)| number).collect()
}

/// Returns for each rule how many others it waits for one after the other; a circle, which no valid template has, ends at the limit.
fn depths(waits: &[Vec<usize>]) -> Vec<usize> {
    let mut depths = vec![0usize; waits.len()];
    for _ in 0..COLUMNS_MAX {
        for number in 0..waits.len() {
            let after = waits[number].iter().map(|before| depths[*before] + 1).max().unwrap_or(0);
            depths[number] = depths[number].max(after).min(COLUMNS_MAX - 1);
        }
    }
    depths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_lead_to_agents_and_agents_to_those_that_wait_for_them() {
        let template = serde_json::json!({"template_id": "t", "name": "T", "description": "d",
            "form_schema": {"title": "t", "description": "d", "questions": [
                {"id": "goal", "text": "What for?", "type": "text_input"},
                {"id": "unused", "text": "?", "type": "boolean"}]},
            "agent_composition_rules": [
                {"role": "linter", "base_template": "b", "required_responses": {"goal": "x"}},
                {"role": "writer", "base_template": "b", "depends_on": ["linter"]},
                {"role": "editor", "base_template": "b", "prompt": "Edit {{agents.writer.output}}"}]});
        let template: Template = serde_json::from_value(template).unwrap();
        let graph = rules(&template);
        let names: Vec<Vec<&str>> =
            graph.columns.iter().map(|column| column.iter().map(|node| node.name.as_str()).collect()).collect();
        assert_eq!(names, [vec!["always", "goal"], vec!["linter"], vec!["writer"], vec!["editor"]]);
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to, edge.class.as_str())).collect();
        assert_eq!(
            edges,
            [
                ((0, 1), (1, 0), "when"),
                ((0, 0), (2, 0), "when"),
                ((1, 0), (2, 0), "after"),
                ((0, 0), (3, 0), "when"),
                ((2, 0), (3, 0), "after")
            ]
        );
        assert!(graph.edges[0].title.contains("when") && graph.edges[2].title == "writer waits for linter");
    }
}
