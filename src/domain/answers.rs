//! Answers as rules, placeholders and people see them: JSON values by question id.
//!
//! A boolean is stored as `true` or `false` and may be written "Yes", "No", "y", "n" in rules and answer files, because the
//! Python peer knows no other form. This room does not know which questions there are; that is [`super::form`].

use indexmap::IndexMap;
use serde_json::Value;

/// Answers by question id, in the order of the form. A hidden or unanswered question is absent, or `null`.
pub type Answers = IndexMap<String, Value>;

/// Reads a boolean as people and files write it; `None` for anything else.
pub fn read_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" => Some(true),
        "no" | "n" | "false" => Some(false),
        _ => None,
    }
}

/// Returns the answer to `question`, if there is one.
pub fn answer<'a>(answers: &'a Answers, question: &str) -> Option<&'a Value> {
    answers.get(question).filter(|value| !value.is_null())
}

/// Whether two scalars mean the same: numbers by value, booleans also as the words for them, the rest exactly.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Bool(flag), Value::String(text)) | (Value::String(text), Value::Bool(flag)) => read_boolean(text) == Some(*flag),
        (Value::Number(one_number), Value::Number(other_number)) => {
            one_number == other_number || one_number.as_f64() == other_number.as_f64()
        }
        _ => one == other,
    }
}

/// Returns the value as prose: texts as they are, booleans as Yes and No, sets joined by commas, nothing as nothing.
pub fn prose(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "Yes".to_owned(),
        Value::Bool(false) => "No".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(prose).collect::<Vec<_>>().join(", "),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Returns the value for messages: one line, quoted with backticks, cut after 80 characters.
pub fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => return "an empty text".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => return "an empty set".to_owned(),
        Value::Null => return "nothing".to_owned(),
        other => other.to_string(),
    };
    quoted(&text)
}

/// Quotes a text for messages: one line, with backticks, control characters escaped, cut after 80 characters.
pub fn quoted(text: &str) -> String {
    let mut line = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == 80 {
            line.push('…');
            break;
        }
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn booleans_equal_the_words_for_them_and_texts_only_themselves() {
        for (one, other, equal) in [
            (json!(true), json!("Yes"), true),
            (json!("no"), json!(false), true),
            (json!(true), json!("No"), false),
            (json!("Yes"), json!("yes"), false),
            (json!(80), json!(80.0), true),
            (json!(80), json!("80"), false),
            (json!(true), json!(1), false),
        ] {
            assert_eq!(same(&one, &other), equal, "{one} {other}");
            assert_eq!(same(&other, &one), equal, "{other} {one}");
        }
    }

    #[test]
    fn messages_stay_on_one_line_and_short() {
        assert_eq!(shown(&json!("a\nb\u{1b}[31m")), "`a\\nb\\u{1b}[31m`");
        assert_eq!(shown(&json!("x".repeat(200))).chars().count(), 83);
        assert_eq!(prose(&json!(["a", true, 2])), "a, Yes, 2");
    }
}
