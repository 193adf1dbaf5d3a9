//! The tools of MCP servers as the user has allowed them: a list in the user's configuration folder, one JSON object per line.
//!
//! Naming a server in trusted settings allows what it has then; its tools are put on the list the first time they are seen. A tool that
//! is not what it was, or that is new, has to be allowed again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::write;
use crate::domain::ids::Hash;

/// One tool on the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The server's name in the settings.
    server: String,
    /// BLAKE3 of its command: another command is another server.
    command: Hash,
    /// The tool's name.
    tool: String,
    /// BLAKE3 of what the server said of the tool.
    fingerprint: Hash,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedMcpTools(Vec<Entry>);

/// A server, as the list knows it.
#[derive(Clone, Copy, Debug)]
pub struct McpServer<'a> {
    /// Its name in the settings.
    pub name: &'a str,
    /// Its command there.
    pub command: &'a [String],
}

impl McpServer<'_> {
    fn hash(&self) -> Hash {
        Hash::of(self.command.join("\0").as_bytes())
    }

    fn is(&self, entry: &Entry) -> bool {
        entry.server == self.name && entry.command == self.hash()
    }
}

impl AllowedMcpTools {
    /// Reads the list; one that is not there is empty.
    ///
    /// # Errors
    /// [`Error::TrustList`] when others could have written it or a line is not one, [`Error::Io`] when it cannot be read.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let fault = |message: &str, hint: String| Error::TrustList {
            path: file.to_owned(),
            message: message.to_owned(),
            hint: Some(hint),
        };
        let Some(text) = write::read(file)? else { return Ok(Self::default()) };
        let metadata = fs::metadata(file).map_err(Error::io(file))?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
            let hint = format!("look through it, then `chmod 600 {}`", file.display());
            return Err(fault("may have been written by others and is not believed", hint));
        }
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let entries = lines.map(serde_json::from_str).collect::<Result<_, _>>();
        entries.map(Self).map_err(|_| {
            fault("has a line that is not an entry", format!("delete {}; servers are asked about again then", file.display()))
        })
    }

    /// Returns whether anything of the server was allowed.
    pub fn knows(&self, server: McpServer<'_>) -> bool {
        self.0.iter().any(|entry| server.is(entry))
    }

    /// Returns whether the tool was allowed as it is.
    pub fn allows(&self, server: McpServer<'_>, tool: &str, fingerprint: Hash) -> bool {
        self.0.iter().any(|entry| server.is(entry) && entry.tool == tool && entry.fingerprint == fingerprint)
    }

    /// Returns whether another form of the tool was allowed.
    pub fn had(&self, server: McpServer<'_>, tool: &str) -> bool {
        self.0.iter().any(|entry| server.is(entry) && entry.tool == tool)
    }

    /// Puts a server's tools on the list `file`, in place of all that it had there. Safe against others who do the same.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn allow(file: &Path, server: McpServer<'_>, tools: &[(&str, Hash)]) -> Result<(), Error> {
        let folder = file.parent().unwrap_or(Path::new("."));
        write::make_folder(folder)?;
        let _lock = write::lock(folder)?;
        let mut entries = Self::read(file)?.0;
        entries.retain(|entry| entry.server != server.name);
        let command = server.hash();
        let named = tools.iter().map(|(tool, fingerprint)| Entry {
            server: server.name.to_owned(),
            command,
            tool: (*tool).to_owned(),
            fingerprint: *fingerprint,
        });
        entries.extend(named);
        let lines = entries.iter().filter_map(|entry| serde_json::to_string(entry).ok()).map(|line| line + "\n");
        write::replace(file, &lines.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_allowed_as_it_was_and_for_its_server_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config/mcp-tools");
        let command = ["server".to_owned(), "--all".to_owned()];
        let other = ["server".to_owned()];
        let server = McpServer { name: "fs", command: &command };
        let (one, two) = (Hash::of(b"1"), Hash::of(b"2"));
        assert!(!AllowedMcpTools::read(&file).unwrap().knows(server));
        AllowedMcpTools::allow(&file, server, &[("read", one), ("write", two)]).unwrap();
        AllowedMcpTools::allow(&file, McpServer { name: "web", command: &command }, &[("get", one)]).unwrap();
        let list = AllowedMcpTools::read(&file).unwrap();
        assert!(list.knows(server) && list.allows(server, "read", one) && list.had(server, "read"));
        assert!(!list.allows(server, "read", two) && !list.allows(server, "get", one) && !list.had(server, "new"));
        // Another command under the same name is another server.
        assert!(!list.knows(McpServer { name: "fs", command: &other }));
        AllowedMcpTools::allow(&file, server, &[("read", two)]).unwrap();
        let list = AllowedMcpTools::read(&file).unwrap();
        assert!(list.allows(server, "read", two) && !list.had(server, "write"));
        fs::write(&file, "nonsense\n").unwrap();
        assert!(matches!(AllowedMcpTools::read(&file), Err(Error::TrustList { .. })));
    }
}
