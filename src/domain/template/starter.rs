//! A template to begin with: small, valid, and saying in `$comment`s what can be written where.

use super::id::{BadId, template_id};

const STARTER: &str = r#"{
  "$comment": "Keys called $comment are for people and never read. `meno validate-template FILE` checks this file and runs its tests.",
  "template_id": "ID",
  "name": "Review of a project",
  "description": "Reviews code, and checks the tests if there are any",
  "version": "0.1.0",
  "tags": ["review"],
  "estimated_cost_range": [0.05, 0.5],
  "estimated_duration_minutes": 5,
  "form_schema": {
    "title": "What shall be reviewed?",
    "description": "Each answer decides who is in the team, or what they are told.",
    "questions": [
      {
        "$comment": "Types: text_input, single_select, multi_select, boolean, number, path, secret.",
        "id": "goal",
        "text": "What shall the review find out?",
        "type": "text_input",
        "default": "Is this code ready for a release?",
        "max_length": 500
      },
      {
        "id": "aspects",
        "text": "Which aspects matter?",
        "type": "multi_select",
        "options": ["correctness", "security", "readability"],
        "default": ["correctness", "security"]
      },
      {
        "id": "has_tests",
        "text": "Is there a test suite?",
        "type": "boolean",
        "default": true
      },
      {
        "$comment": "Shown only when `when` holds. Conditions: is, in, not, contains; all, any, not combine them.",
        "id": "coverage",
        "text": "Lowest test coverage to accept, in per cent",
        "type": "number",
        "integer": true,
        "min": 0,
        "max": 100,
        "default": 80,
        "when": {"question": "has_tests", "is": true}
      }
    ]
  },
  "inputs": [
    {"id": "code", "description": "The code to review", "kind": "dir", "required": true}
  ],
  "agent_composition_rules": [
    {
      "$comment": "One agent per chosen aspect; {{item}} is the aspect. Without `foreach` a rule makes one agent.",
      "role": "reviewer",
      "base_template": "generic",
      "tier_strategy": "progressive",
      "tools": ["list_files", "read_file", "search_files"],
      "foreach": "aspects",
      "prompt": "Review this code for {{item}}. The question is: {{answers.goal}}\n\n{{inputs.code}}",
      "success_criteria": [
        {"type": "min_words", "value": 30},
        {"$comment": "Typed criteria are decided by code. A plain sentence is decided by a judging model.", "type": "cites_inputs"}
      ]
    },
    {
      "$comment": "Made only when there are tests. The configuration is shown to the agent.",
      "role": "test_checker",
      "base_template": "generic",
      "tier_strategy": "cheap_only",
      "required_responses": {"has_tests": "Yes"},
      "config": {"lowest_coverage_percent": "{{coverage}}"},
      "prompt": "Say which parts of this code the tests leave out, if coverage shall reach {{config.lowest_coverage_percent}} per cent.\n\n{{inputs.code}}",
      "success_criteria": [{"type": "min_words", "value": 20}]
    },
    {
      "$comment": "Reading another agent's output makes this one wait for it.",
      "role": "editor",
      "base_template": "generic",
      "tier_strategy": "capable_first",
      "prompt": "Write one report from these reviews, the most important finding first.\n\n{{agents.reviewer.output}}\n\n{{agents.test_checker.output}}",
      "success_criteria": [{"type": "regex", "pattern": "(?m)^#+ "}]
    }
  ],
  "report": "{{agents.editor.output}}",
  "tests": [
    {"name": "the defaults", "answers": {}, "roles": ["reviewer[correctness]", "reviewer[security]", "test_checker", "editor"]},
    {"name": "no tests, no test checker", "answers": {"has_tests": false, "aspects": ["readability"]}, "roles": ["reviewer[readability]", "editor"]}
  ]
}
"#;

/// Returns the text of a new template with this id.
///
/// # Errors
/// The id cannot be one.
pub fn starter(id: &str) -> Result<String, BadId> {
    // An id holds nothing that would need quoting in JSON.
    Ok(STARTER.replacen("\"ID\"", &format!("\"{}\"", template_id(id)?), 1))
}
