//! The messages of llm's turns: a tree in which every message names the one before it, each with its parts.
//!
//! What a turn was given are the messages of users and tools at the end of those that were sent; what it gave are the messages after them.

use std::path::Path;

use serde_json::Value;

use super::{Columns, Content, Database, OptionalExtension, Result, ToSql, ToolUse, What, text, tool_result};
use crate::lake::transcripts::tally::Tally;

/// Messages of one turn that are looked at: enough for any, and an end for a circle.
const MESSAGES_MAX: usize = 10_000;

/// A part of a message.
struct Part {
    kind: String,
    text: Option<String>,
    name: Option<String>,
    payload: Value,
}

impl Part {
    fn word(&self, name: &str) -> Option<String> {
        self.payload.get(name)?.as_str().map(str::to_owned)
    }

    fn name(&self) -> Option<String> {
        self.word("name").or_else(|| self.name.clone())
    }

    /// Returns by what a tool's call and its result know each other.
    fn call(&self) -> Option<String> {
        self.word("tool_call_id").or_else(|| self.name())
    }

    fn tool_use(&self) -> ToolUse {
        let arguments = self.payload.get("arguments").map(ToString::to_string).unwrap_or_default();
        ToolUse {
            id: self.call().unwrap_or_default(),
            name: self.name().unwrap_or_default(),
            arguments,
            writes: true,
            is_done: false,
        }
    }

    fn result(&self) -> What {
        tool_result(self.call(), self.word("output"), self.word("exception"))
    }
}

/// Returns what a turn was given and gave, by the last message that was sent and the last that came.
pub(super) fn content(
    database: &Database,
    parent: Option<&str>,
    tip: Option<&str>,
    file: &Path,
    tally: &mut Tally,
) -> Result<Content> {
    let mut content = Content::default();
    let messages = Columns::of(&database.connection, "messages")?.missing(&["hash", "parent_hash", "role"]);
    let parts = Columns::of(&database.connection, "parts")?.missing(&["message_hash", "position", "type", "text", "payload"]);
    if let Some(missing) = messages.or(parts) {
        tally.skip(format!("the messages of the database have no `{missing}`: turns are read without their texts"), file, 0);
        return Ok(content);
    }
    let (sent, _) = database.messages(parent, &|_, role| !matches!(role, "user" | "tool"))?;
    let (mut came, end) = database.messages(tip, &|hash, _| Some(hash) == parent)?;
    if end.as_deref() != parent {
        tally.skip("the answer of a turn does not follow what was asked: it is read without it", file, 0);
        came.clear();
    }
    let mut asked = Vec::new();
    for (hash, role) in sent.iter().rev() {
        for part in database.parts(hash)? {
            match part.kind.as_str() {
                "tool_result" => content.results.push(part.result()),
                "text" if role == "user" => asked.push(database.text(&part)?.trim().to_owned()),
                "attachment" => asked.push(database.attachment(&part)?),
                "text" | "reasoning" | "tool_call" => {}
                other => tally.leave_out("a part of a message", other, file, 0),
            }
        }
    }
    asked.retain(|part| !part.is_empty());
    content.prompt = asked.join("\n");
    for (hash, _) in came.iter().rev() {
        for part in database.parts(hash)? {
            match part.kind.as_str() {
                "text" => content.answer.push_str(&database.text(&part)?),
                "tool_call" => content.tools.push(part.tool_use()),
                "tool_result" => content.own_results.push(part.result()),
                "reasoning" | "attachment" => {}
                other => tally.leave_out("a part of a message", other, file, 0),
            }
        }
    }
    Ok(content)
}

/// A message's hash, and who says it.
type Message = (String, String);

impl Database {
    /// Returns the messages from one on upwards, as far as `is_end`, and the hash at which that was.
    fn messages(&self, from: Option<&str>, is_end: &dyn Fn(&str, &str) -> bool) -> Result<(Vec<Message>, Option<String>)> {
        let mut statement = self.connection.prepare_cached("select role, parent_hash from messages where hash = ?1")?;
        let (mut found, mut at) = (Vec::new(), from.map(str::to_owned));
        while let Some(hash) = at.take_if(|_| found.len() < MESSAGES_MAX) {
            let row = statement.query_row([&hash], |row| Ok((text(row.get_ref(0)?), text(row.get_ref(1)?)))).optional()?;
            let Some((role, parent)) = row else { return Ok((found, Some(hash))) };
            let role = role.unwrap_or_default();
            if is_end(&hash, &role) {
                return Ok((found, Some(hash)));
            }
            found.push((hash, role));
            at = parent;
        }
        Ok((found, at))
    }

    fn parts(&self, message: &str) -> Result<Vec<Part>> {
        let name = Columns::of(&self.connection, "parts")?;
        let sql =
            format!("select type, text, {}, payload from parts where message_hash = ?1 order by position", name.get("tool_name"));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let found = statement.query_map([message], |row| {
            let of = |at: usize| -> Result<Option<String>> { Ok(text(row.get_ref(at)?)) };
            let payload = of(3)?.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
            Ok(Part { kind: of(0)?.unwrap_or_default(), text: of(1)?, name: of(2)?, payload })
        })?;
        found.collect()
    }

    /// Returns the text of a part; fragments that it borrows are named by their hashes.
    fn text(&self, part: &Part) -> Result<String> {
        if let Some(text) = part.text.clone().or_else(|| part.word("text")) {
            return Ok(text);
        }
        let mut whole = String::new();
        for piece in part.payload.get("text_ref").and_then(Value::as_array).into_iter().flatten() {
            if let Some(literal) = piece.get("literal").and_then(Value::as_str) {
                whole.push_str(literal);
            } else if let Some(id) = piece.get("fragment").and_then(Value::as_i64) {
                let hash = self.named("fragments", "hash", &id)?.unwrap_or_else(|| id.to_string());
                whole.push_str(&format!("[fragment {hash}]"));
            }
        }
        Ok(whole)
    }

    fn attachment(&self, part: &Part) -> Result<String> {
        let Some(id) = part.payload.pointer("/attachment/id").and_then(Value::as_str) else { return Ok(String::new()) };
        let kind = self.named("attachments", "type", &id)?.unwrap_or_default();
        Ok(format!("[attachment {kind} {id}]"))
    }

    fn named(&self, table: &str, column: &str, id: &dyn ToSql) -> Result<Option<String>> {
        if !self.has_table(table)? {
            return Ok(None);
        }
        let mut statement = self.connection.prepare_cached(&format!("select {column} from {table} where id = ?1"))?;
        Ok(statement.query_row([id], |row| Ok(text(row.get_ref(0)?))).optional()?.flatten())
    }
}
