//! Dotted keys: what may stand where, read from the schema of `config.toml`, and the nearest known name for a wrong one.

use std::sync::LazyLock;

use serde_json::Value;

use super::file;

/// The schema, generated once per process.
static SCHEMA: LazyLock<Value> = LazyLock::new(file::schema);

/// Returns the schema of `config.toml`.
pub(super) fn schema() -> &'static Value {
    &SCHEMA
}

/// Joins segments into a dotted key, quoting those that are not bare; control characters come out escaped.
pub(super) fn dotted<S: AsRef<str>>(segments: &[S]) -> String {
    let quoted: Vec<String> =
        segments.iter().map(|segment| toml_edit::Key::new(segment.as_ref()).display_repr().into_owned()).collect();
    quoted.join(".")
}

/// Splits a dotted key; `None` when it is not one.
pub(super) fn split(key: &str) -> Option<Vec<String>> {
    let keys = toml_edit::Key::parse(key).ok()?;
    (!keys.is_empty()).then(|| keys.iter().map(|key| key.get().to_owned()).collect())
}

/// Returns the schema of what stands at `path`, following references; `None` when the path is not known.
pub(super) fn at<S: AsRef<str>>(path: &[S]) -> Option<&'static Value> {
    path.iter().try_fold(follow(&SCHEMA), |schema, segment| child(schema, segment.as_ref()))
}

/// Returns whether a value, not a table of further keys, stands at `path`.
pub(super) fn is_leaf<S: AsRef<str>>(path: &[S]) -> bool {
    at(path).is_some_and(|schema| schema["type"] != "object")
}

/// Returns every key with a value, names that users choose as `NAME`.
pub(super) fn all() -> Vec<String> {
    let mut keys = Vec::new();
    collect(follow(&SCHEMA), &mut Vec::new(), &mut keys);
    keys
}

/// Returns the known key nearest to `path`: a sibling spelled alike, else a key elsewhere whose last part is alike.
pub(super) fn nearest<S: AsRef<str>>(path: &[S]) -> Option<String> {
    let wrong = (0..path.len()).find(|&depth| at(&path[..=depth]).is_none())?;
    let (parent, name) = (&path[..wrong], path[wrong].as_ref());
    let siblings =
        at(parent).and_then(|schema| schema["properties"].as_object()).into_iter().flatten().map(|(name, _)| name.as_str());
    if let Some(sibling) = alike(name, siblings) {
        let mut fixed: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
        fixed[wrong] = sibling;
        // What follows a mended segment may be wrong as well; then the mended part alone is the better advice.
        let known = if at(&fixed).is_some() { fixed.len() } else { wrong + 1 };
        return Some(dotted(&fixed[..known]));
    }
    let all = all();
    let last = path.last()?.as_ref();
    let endings = all.iter().map(|key| key.rsplit('.').next().unwrap_or(key));
    let ending = alike(last, endings)?;
    all.iter().find(|key| key.rsplit('.').next() == Some(ending)).cloned()
}

/// Returns the candidate nearest to `name`, if one is near enough to be meant.
pub(super) fn alike<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            let longest = name.chars().count().max(candidate.chars().count());
            *distance * 3 <= longest || (name.len() >= 3 && candidate.starts_with(name))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn follow(schema: &'static Value) -> &'static Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => SCHEMA.pointer(pointer).unwrap_or(schema),
        None => schema,
    }
}

fn child(schema: &'static Value, name: &str) -> Option<&'static Value> {
    let found = schema["properties"].get(name).or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()));
    found.map(follow)
}

fn collect(schema: &'static Value, path: &mut Vec<String>, keys: &mut Vec<String>) {
    if schema["type"] != "object" {
        keys.push(path.join("."));
        return;
    }
    let properties = schema["properties"].as_object().into_iter().flatten().map(|(name, inner)| (name.as_str(), inner));
    let rest = schema.get("additionalProperties").filter(|rest| rest.is_object()).map(|inner| ("NAME", inner));
    for (name, inner) in properties.chain(rest) {
        path.push(name.to_owned());
        collect(follow(inner), path, keys);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_nearest(key: &str, nearest_key: Option<&str>) {
        let path = split(key).expect("a dotted key");
        assert_eq!(nearest(&path).as_deref(), nearest_key, "{key}");
    }

    #[test]
    fn a_wrong_key_finds_the_one_that_was_meant() {
        check_nearest("run.job", Some("run.jobs"));
        check_nearest("rnu.jobs", Some("run.jobs"));
        check_nearest("budget_usd", Some("run.budget_usd"));
        check_nearest("providers.mine.api_key", Some("providers.mine.api_key_env"));
        check_nearest("tiers.cheep.model", Some("tiers.cheap.model"));
        check_nearest("retention.dayz", Some("retention.days"));
        check_nearest("zzzzzzzzzz", None);
    }

    #[test]
    fn known_keys_lead_to_their_schema() {
        assert!(is_leaf(&["run", "jobs"]));
        assert!(is_leaf(&["providers", "whatever", "headers", "X-Team"]));
        assert!(is_leaf(&["tiers", "cheap", "fallbacks"]));
        assert!(!is_leaf(&["run"]));
        assert!(at(&["run", "jobs", "more"]).is_none());
        assert!(all().contains(&"providers.NAME.base_url".to_owned()));
    }

    #[test]
    fn names_with_dots_are_quoted_and_read_back() {
        let key = dotted(&["providers", "my.host", "kind"]);
        assert_eq!(key, "providers.\"my.host\".kind");
        assert_eq!(split(&key).as_deref(), Some(["providers", "my.host", "kind"].map(str::to_owned).as_slice()));
        assert!(!dotted(&["a\u{1b}[31m"]).contains('\u{1b}'));
    }
}
