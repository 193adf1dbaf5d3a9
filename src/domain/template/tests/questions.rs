use serde_json::json;

use super::*;

#[test]
fn questions_are_checked() {
    let id = |value: &str, expected: &[&str]| breaks(&q("5/id"), json!(value), expected);
    id("name", &["error /form_schema/questions/5/id: question `name` is asked twice"]);
    id("a b", &["error /form_schema/questions/5/id: `a b` is no question id"]);
    breaks(
        &q("3/options"),
        json!([]),
        &[
            "error /form_schema/questions/3/options: a select needs options",
            "error /form_schema/questions/3/default: the question does not allow its own default `patch`: `patch` is none of the options",
        ],
    );
    breaks(
        &q("3/options"),
        json!(["patch", "patch", " "]),
        &[
            "error /form_schema/questions/3/options/1: option `patch` is listed twice",
            "error /form_schema/questions/3/options/2: an option is empty",
        ],
    );
    breaks(&q("3/min"), json!(1), &["error /form_schema/questions/3/min: `min` belongs to number questions"]);
    breaks(
        &q("2/min"),
        json!(200),
        &[
            "error /form_schema/questions/2/min: `min` is above `max`",
            "error /form_schema/questions/2/default: the question does not allow its own default `80`: `80` is out of range",
        ],
    );
    breaks_all(
        &[(&q("2/min"), json!(79.5)), (&q("2/max"), json!(79.9)), (&q("2/default"), json!(null))],
        &["error /form_schema/questions/2/min: there is no whole number from 79.5 to 79.9"],
    );
    breaks(
        &q("0/pattern"),
        json!("["),
        &[
            "error /form_schema/questions/0/default: the question does not allow its own default `x`: `x` does not match the pattern",
            "error /form_schema/questions/0/pattern: the pattern is no regular expression: unclosed character class",
        ],
    );
    breaks(
        &q("4/min_items"),
        json!(9),
        &[
            "error /form_schema/questions/4/default: the question does not allow its own default `[\"lint\"]`: 1 options were chosen",
            "error /form_schema/questions/4/min_items: `min_items` asks for more than the 3 options there are",
        ],
    );
    breaks_all(
        &[(&q("4/min_items"), json!(3)), (&q("4/default"), json!(null))],
        &["error /form_schema/questions/4/min_items: `min_items` asks for 3, and `excludes` lets at most 2 stand together"],
    );
    breaks_all(
        &[(&q("0/max_length"), json!(0)), (&q("0/default"), json!(null))],
        &["error /form_schema/questions/0/max_length: nothing could be written"],
    );
    breaks(
        &q("4/requires"),
        json!({"none": ["lint", "nothing"], "lnt": []}),
        &[
            "error /form_schema/questions/4/requires/none/0: option `none` both needs and rules out `lint`",
            "error /form_schema/questions/4/requires/none/1: there is no option `nothing`",
            "error /form_schema/questions/4/requires/lnt: there is no option `lnt`",
        ],
    );
    breaks(&q("5/env"), json!("MY KEY"), &["error /form_schema/questions/5/env: `MY KEY` is no name of an environment variable"]);
    breaks(
        &q("6"),
        json!({"id": "idle", "text": "?", "type": "boolean", "default": "No"}),
        &["warning /form_schema/questions/6: nothing uses the answer to `idle`"],
    );
}

#[test]
fn defaults_must_be_allowed_and_known() {
    breaks(
        &q("1/default"),
        json!("perhaps"),
        &[
            "error /form_schema/questions/1/default: the question does not allow its own default `perhaps`: `perhaps` is neither Yes nor No",
        ],
    );
    breaks(
        &q("4/default"),
        json!(["none", "lint"]),
        &[
            "error /form_schema/questions/4/default: the question does not allow its own default `[\"none\",\"lint\"]`: `none` rules out `lint`",
        ],
    );
    breaks(
        &q("5/default"),
        json!("hunter2"),
        &["error /form_schema/questions/5/default: a secret has no default: it would stand in the file"],
    );
    breaks(&q("0/default"), json!("{{bump}}"), &["error /form_schema/questions/0/default: question `bump` comes later"]);
    breaks(&q("3/default"), json!("{{nam}}"), &["error /form_schema/questions/3/default: there is no question `nam`"]);
    breaks(
        &q("2/default"),
        json!("{{name}}"),
        &["error /form_schema/questions/2/default: the default `{{name}}` is of another kind than the question"],
    );
    breaks(&q("3/default"), json!("{{config.x}}"), &["error /form_schema/questions/3/default: the configuration has no key `x`"]);
}

#[test]
fn conditions_name_earlier_questions_and_possible_answers() {
    let when = |value: Value, expected: &[&str]| breaks(&q("3/when"), value, expected);
    when(json!({"question": "test", "is": true}), &["error /form_schema/questions/3/when/question: there is no question `test`"]);
    when(
        json!({"question": "bump", "is": "minor"}),
        &["error /form_schema/questions/3/when/question: question `bump` depends on itself"],
    );
    when(
        json!({"question": "checks", "is": "lint"}),
        &["error /form_schema/questions/3/when/question: question `checks` comes later"],
    );
    breaks_all(
        &[
            (&q("3/when"), json!({"question": "checks", "is": "lint"})),
            (&q("4/when"), json!({"question": "bump", "is": "minor"})),
        ],
        &["error /form_schema/questions/3/when/question: question `checks` depends on this one: a cycle"],
    );
    when(
        json!({"question": "tests", "is": "maybe"}),
        &["error /form_schema/questions/3/when/is: the answer to `tests` can never be `maybe`"],
    );
    when(
        json!({"question": "coverage", "in": [80, "90", 101, 1.5]}),
        &[
            "error /form_schema/questions/3/when/in/1: the answer to `coverage` can never be `90`",
            "error /form_schema/questions/3/when/in/2: the answer to `coverage` can never be `101`",
            "error /form_schema/questions/3/when/in/3: the answer to `coverage` can never be `1.5`",
        ],
    );
    when(
        json!({"question": "name", "is": "UPPER"}),
        &["error /form_schema/questions/3/when/is: the answer to `name` can never be `UPPER`"],
    );
    when(
        json!({"question": "tests", "contains": true}),
        &["error /form_schema/questions/3/when/contains: the answer to `tests` cannot contain `true`"],
    );
    when(json!({"question": "tests", "in": []}), &["error /form_schema/questions/3/when/in: an empty list never matches"]);
    when(json!({"any": []}), &["error /form_schema/questions/3/when/any: an empty `any` never holds"]);
    when(
        json!({"all": [{"question": "name", "is": "a"}, {"question": "name", "is": "b"}]}),
        &["error /form_schema/questions/3/when: the condition can never hold: its parts contradict each other"],
    );
    when(
        json!({"all": [{"question": "tests", "is": false}, {"question": "coverage", "is": 80}]}),
        &[
            "error /form_schema/questions/3/when: question `bump` can never be shown: what its condition needs is hidden or excluded",
        ],
    );
    breaks(
        &r("1/when"),
        json!({"question": "key", "is": "x"}),
        &[
            "error /agent_composition_rules/1/when/question: `key` is a secret, and its value is never put into texts, rules or configurations",
        ],
    );
}
