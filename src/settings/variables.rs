//! Environment variables: the one file that reads them, for this program and for programs that bring a reader of their own.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Reads the value of a variable.
type Read = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// A reader of environment variables. Settings, redaction, models and forms all ask the same one, so a program that keeps its
/// keys elsewhere gives its own. A variable that is empty counts as not set.
#[derive(Clone)]
pub struct Variables(Arc<Read>);

impl Variables {
    /// Reads the variables of this process.
    pub fn of_process() -> Self {
        Self(Arc::new(|name| env::var_os(name)))
    }

    /// Reads variables through `read`: from a vault, from a map, or from nowhere.
    pub fn through(read: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move |name| read(name).map(OsString::from)))
    }

    /// Returns the value of the variable `name`. A value that is not Unicode counts as not set.
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
    }

    /// Returns whether there is a variable `name`, empty or not.
    pub fn is_set(&self, name: &str) -> bool {
        (self.0)(name).is_some()
    }

    /// Returns the path that the variable `name` holds.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }
}

/// Says nothing of any value.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables")
    }
}

/// Returns the values of this process's variables whose names satisfy `is_meant`, to keep them out of words about faults.
pub fn values_of_process(is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    // One that is not Unicode would end the process if it were read as text.
    let pairs = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    pairs.filter(|(name, value)| is_meant(name) && !value.is_empty()).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let variables = Variables::through(|name| (name != "NONE").then(|| if name == "EMPTY" { "" } else { "here" }.to_owned()));
        assert_eq!((variables.get("A"), variables.path("A")), (Some("here".to_owned()), Some(PathBuf::from("here"))));
        assert_eq!((variables.get("EMPTY"), variables.path("EMPTY")), (None, None));
        assert_eq!((variables.get("NONE"), variables.path("NONE")), (None, None));
    }
}
