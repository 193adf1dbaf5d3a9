//! What a `config.toml` says that its schema allows and that can never be meant.

use super::commands::CommandsConfig;
use super::file::{Config, ToolsConfig};
use super::origin;
use crate::tools::deny;

/// A fault at a path, before its place in the text is known.
pub(super) struct Fault {
    /// The keys and numbers on the way to it.
    pub(super) path: Vec<String>,
    /// What is wrong.
    pub(super) message: String,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

/// Finds what no schema can say: addresses, names of variables, headers that would be secrets.
pub(super) fn faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, provider) in &config.providers {
        let mut fault = |key: &[&str], message: &str, hint: Option<&str>| {
            let path = ["providers", name].iter().chain(key).map(|&segment| segment.to_owned()).collect();
            faults.push(Fault { path, message: message.to_owned(), hint: hint.map(str::to_owned) });
        };
        if let Some(Err(message)) = provider.base_url.as_deref().map(origin::base_url) {
            fault(&["base_url"], message, None);
        }
        if provider.api_key_env.as_deref().is_some_and(|variable| !is_variable(variable)) {
            let hint = "put the key into an environment variable and its name, such as ANTHROPIC_API_KEY, here";
            fault(&["api_key_env"], "is not the name of an environment variable", Some(hint));
        }
        for (header, value) in &provider.headers {
            if let Some(message) = header_fault(header, value) {
                fault(&["headers", header], message, Some("keys come from the variable that `api_key_env` names"));
            }
        }
    }
    for (name, server) in &config.mcp {
        let mut fault = |key: &[&str], message: &str, hint: Option<&str>| {
            let path = ["mcp", name].iter().chain(key).map(|&segment| segment.to_owned()).collect();
            faults.push(Fault { path, message: message.to_owned(), hint: hint.map(str::to_owned) });
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 24 || !name.bytes().all(is_plain) {
            fault(&[], "is no name of a server", Some("use at most 24 letters, digits, `_` and `-`"));
        }
        if server.url.is_some() && server.command.is_some() {
            fault(&["url"], "stands beside `command`", Some("a server is started by its command or reached by its address"));
        }
        if let Some(Err(message)) = server.url.as_deref().map(origin::base_url) {
            fault(&["url"], message, None);
        }
        if server.token_env.as_deref().is_some_and(|variable| !is_variable(variable)) {
            let hint = "put the token into an environment variable and its name here";
            fault(&["token_env"], "is not the name of an environment variable", Some(hint));
        }
        if server.env.iter().flatten().any(|variable| !is_variable(variable)) {
            fault(
                &["env"],
                "has what is not the name of an environment variable",
                Some("put values into variables, and their names here"),
            );
        }
    }
    of_tools(&config.tools, &mut faults);
    faults
}

/// Finds what agents could be allowed and never get, and what they could be denied and still read.
fn of_tools(tools: &ToolsConfig, faults: &mut Vec<Fault>) {
    let mut fault = |key: &str, entry: &str, message: String, hint: &str| {
        let path = ["tools", key, entry].map(str::to_owned).to_vec();
        faults.push(Fault { path, message, hint: Some(hint.to_owned()) });
    };
    for (number, line) in tools.deny.iter().flatten().enumerate() {
        let why = match deny::pattern(line) {
            Err(why) => Some(why),
            // What is taken back must have been denied before.
            Ok(_) if number == 0 && line.starts_with('!') => {
                Some("denies nothing: it takes back what a pattern before it denied".to_owned())
            }
            Ok(_) => None,
        };
        if let Some(why) = why {
            let hint = "write it as a line of a .gitignore in the workspace: `private/`, `*.csv`, `docs/**/draft.md`";
            fault("deny", &number.to_string(), why, hint);
        }
    }
    let commands = match &tools.commands {
        Some(CommandsConfig::Names(names)) => names.iter().enumerate().map(|(number, name)| (number.to_string(), name)).collect(),
        Some(CommandsConfig::Tables(tables)) => tables.keys().map(|name| (name.clone(), name)).collect(),
        None => Vec::new(),
    };
    for (entry, name) in commands {
        if let Some((message, hint)) = program_fault(name) {
            fault("commands", &entry, message.to_owned(), hint);
        }
    }
    for (number, folder) in tools.readable.iter().flatten().enumerate() {
        if !(folder.starts_with('/') || folder == "~" || folder.starts_with("~/")) {
            let hint = "write the whole path: `/opt/models`, `~/models`";
            fault("readable", &number.to_string(), "is no absolute path".to_owned(), hint);
        }
    }
}

/// Returns why no program can ever be found by an entry of `commands`, and what to write.
fn program_fault(name: &str) -> Option<(&'static str, &'static str)> {
    let is_shell = |c: char| c.is_control() || ";|&<>$`\"'*?(){}[]!#\\".contains(c);
    if name.starts_with('/') {
        return None;
    }
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains(is_shell) {
        return Some((
            "is no name of a program",
            "list the program's name alone, such as `cargo`: arguments are given with each call",
        ));
    }
    name.contains('/').then_some((
        "is a path from the folder that meno is in",
        "list a name that is found in PATH, or an absolute path: what lies in a workspace is run by `sh` or another program",
    ))
}

/// Returns whether `name` can be an environment variable's. Keys have a dash, or are long mixtures without an underscore.
fn is_variable(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let like_a_key = name.len() >= 20 && !name.contains('_') && name.bytes().any(|byte| byte.is_ascii_digit());
    !name.is_empty() && !like_a_key && name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Returns why a header may not be set: it cannot be sent, or it looks like a secret, which settings must not hold.
pub(super) fn header_fault(name: &str, value: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Some("is not a header's name");
    }
    if value.chars().any(|c| c.is_control()) || !value.is_ascii() {
        return Some("is not a header's value");
    }
    let secret_name =
        ["authorization", "cookie", "api-key", "apikey", "token", "secret", "password"].iter().any(|part| lower.contains(part));
    let secret_value = ["sk-", "bearer ", "basic "].iter().any(|start| value.to_ascii_lowercase().starts_with(start));
    (secret_name || secret_value).then_some("looks like a secret, and headers are kept with every run")
}
