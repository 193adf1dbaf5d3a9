//! Ids of templates and base agents: safe as file names, because they are joined into paths.

use crate::domain::answers::quoted;

/// The longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is no id of a template or base agent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{shown} is no id: {reason}")]
pub struct BadId {
    /// The text, safe to print.
    pub shown: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// Checks the id of a template or base agent: `[a-z0-9][a-z0-9_-]{0,63}`, so never a path. Every id that is read goes through
/// here before it names a file.
///
/// # Errors
/// The text breaks the rule.
pub fn template_id(text: &str) -> Result<&str, BadId> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    let reason = match text.as_bytes() {
        [] => "it is empty",
        bytes if bytes.len() > ID_BYTES_MAX => "it is longer than 64 characters",
        bytes if !bytes.iter().all(|byte| inner(*byte)) => "only a-z, 0-9, `_` and `-` are allowed",
        [b'_' | b'-', ..] => "it begins with `_` or `-`",
        _ => return Ok(text),
    };
    Err(BadId { shown: quoted(text), reason })
}

#[cfg(test)]
mod tests {
    use super::template_id;

    #[test]
    fn what_could_be_a_path_is_no_id() {
        for id in ["a", "0", "release-prep", "python_package_publish", &"x".repeat(64)] {
            assert_eq!(template_id(id), Ok(id));
        }
        for id in
            ["", ".", "..", "../x", "/etc", "a/b", "a\\b", "A", "é", "a\0", "a\n", "a b", "-a", "_a", "a.json", &"x".repeat(65)]
        {
            assert!(template_id(id).is_err(), "{id:?}");
        }
        assert_eq!(
            template_id("a\u{1b}[0m").map_err(|error| error.to_string()),
            Err("`a\\u{1b}[0m` is no id: only a-z, 0-9, `_` and `-` are allowed".to_owned())
        );
    }
}
