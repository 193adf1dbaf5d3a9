//! What a person pastes into a client so that it starts this server.

use serde_json::{Map, Value, json};

/// A client whose settings are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Claude Code.
    ClaudeCode,
    /// Codex.
    Codex,
    /// Visual Studio Code.
    VsCode,
    /// Zed.
    Zed,
    /// Cursor.
    Cursor,
}

impl Client {
    /// All of them, with the words that name them.
    pub const ALL: [(&str, Self); 5] = [
        ("claude-code", Self::ClaudeCode),
        ("codex", Self::Codex),
        ("vscode", Self::VsCode),
        ("zed", Self::Zed),
        ("cursor", Self::Cursor),
    ];

    /// Returns the file that the settings belong into.
    pub fn file(self) -> &'static str {
        match self {
            Self::ClaudeCode => ".mcp.json of the project",
            Self::Codex => "~/.codex/config.toml",
            Self::VsCode => ".vscode/mcp.json of the project",
            Self::Zed => "settings.json of Zed (`zed: open settings`)",
            Self::Cursor => ".cursor/mcp.json of the project, or ~/.cursor/mcp.json",
        }
    }

    /// Returns the settings with which the client starts `program` with `arguments`.
    pub fn settings(self, program: &str, arguments: &[String]) -> String {
        let command = json!({"command": program, "args": arguments});
        let typed = json!({"type": "stdio", "command": program, "args": arguments});
        match self {
            Self::ClaudeCode | Self::Cursor => under("mcpServers", typed),
            Self::VsCode => under("servers", typed),
            Self::Zed => under("context_servers", command),
            Self::Codex => {
                let mut server = toml::Table::new();
                server.insert("command".to_owned(), program.into());
                server.insert("args".to_owned(), arguments.iter().map(String::as_str).collect::<Vec<_>>().into());
                let named = toml::Table::from_iter([("meno".to_owned(), toml::Value::Table(server))]);
                toml::Table::from_iter([("mcp_servers".to_owned(), toml::Value::Table(named))]).to_string()
            }
        }
    }
}

/// The variable from which clients that can read one, and `meno ui`, take the token.
pub const TOKEN_VARIABLE: &str = "MENO_MCP_TOKEN";

impl Client {
    /// Returns the settings with which the client reaches the server that `meno ui` is at `url`.
    pub fn http_settings(self, url: &str) -> String {
        let with = |token: &str| json!({"url": url, "headers": {"Authorization": format!("Bearer {token}")}});
        let typed = |token: &str| {
            let mut server = with(token);
            server["type"] = "http".into();
            server
        };
        match self {
            Self::ClaudeCode => under("mcpServers", typed(&format!("${{{TOKEN_VARIABLE}}}"))),
            Self::Cursor => under("mcpServers", with(&format!("${{env:{TOKEN_VARIABLE}}}"))),
            Self::VsCode => under("servers", typed(&format!("${{env:{TOKEN_VARIABLE}}}"))),
            Self::Zed => under("context_servers", with("TOKEN")),
            Self::Codex => {
                let server = [("url", url), ("bearer_token_env_var", TOKEN_VARIABLE)];
                let server = server.into_iter().map(|(key, value)| (key.to_owned(), value.into()));
                let named = toml::Table::from_iter([("meno".to_owned(), toml::Value::Table(server.collect()))]);
                toml::Table::from_iter([("mcp_servers".to_owned(), toml::Value::Table(named))]).to_string()
            }
        }
    }

    /// Says where the token comes from.
    pub fn token_words(self) -> &'static str {
        match self {
            Self::Zed => "put the token that `meno ui` prints in the place of TOKEN",
            _ => "it takes the token from MENO_MCP_TOKEN, as `meno ui` does where that is set",
        }
    }
}

fn under(key: &str, server: Value) -> String {
    let servers: Map<String, Value> = [("meno".to_owned(), server)].into_iter().collect();
    let document: Map<String, Value> = [(key.to_owned(), Value::Object(servers))].into_iter().collect();
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_can_reach_an_address_and_no_settings_hold_a_token() {
        for (name, client) in Client::ALL {
            let text = client.http_settings("http://127.0.0.1:4690/mcp");
            assert!(text.contains("http://127.0.0.1:4690/mcp"), "{name}: {text}");
            assert!(text.contains(TOKEN_VARIABLE) || (client == Client::Zed && text.contains("Bearer TOKEN")), "{name}: {text}");
        }
    }

    #[test]
    fn every_client_gets_settings_that_name_the_program_with_its_arguments() {
        let arguments = ["mcp".to_owned(), "--store".to_owned(), "/a \"b\"\\c".to_owned()];
        for (name, client) in Client::ALL {
            let text = client.settings("/usr/bin/meno", &arguments);
            let server = match client {
                Client::Codex => {
                    let table: toml::Table = toml::from_str(&text).unwrap();
                    serde_json::to_value(&table["mcp_servers"]["meno"]).unwrap()
                }
                _ => {
                    let document: Value = serde_json::from_str(&text).unwrap();
                    let key = document.as_object().unwrap().keys().next().unwrap().clone();
                    document[key]["meno"].clone()
                }
            };
            assert_eq!((&server["command"], &server["args"]), (&json!("/usr/bin/meno"), &json!(arguments)), "{name}");
        }
    }
}
