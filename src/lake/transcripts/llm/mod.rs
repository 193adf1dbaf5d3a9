//! llm: its log is one SQLite database, `logs.db`, that is only read.
//!
//! The form is that of the program's public source (`migrations.py`, up to `m027`), and a database may have two. Up to `m022` a row of
//! `responses` is a prompt with its reply, those of one `conversation_id` are a session; `tool_calls` are what a reply asked for,
//! `tool_results` what the next prompt brought back. From `m023` on a row of `turns` is a model's call, those of one `thread_id` are a
//! session, and [`turns`] reads its messages. An id that stands in both is one call, read as a turn, as the program itself does; a
//! conversation that went on in the new form is one session. Attachments and fragments are named by their hashes. A database that another
//! program has locked is said to be, and columns of later versions are not needed; migrations that are not known are counted and named.

mod turns;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ToSql};
use serde_json::Value;

use super::files::time;
use super::tally::Tally;
use super::{Entry, Item, Reply, Session, SessionFile, Source, Take, ToolUse, What};
use crate::domain::event::StopReason;
use crate::domain::ids::TimeNs;
use crate::domain::money::TokenUsage;
use crate::views::transcripts::Key;

/// Its name.
const NAME: &str = "llm";
/// The database's file.
const FILE: &str = "logs.db";
/// The folder of the program's own files.
const FOLDER: &str = "io.datasette.llm";
/// How long a locked database is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How the names of migrations begin that are known.
const MIGRATIONS: std::ops::RangeInclusive<u32> = 1..=27;
/// Columns without which responses cannot be read.
const NEEDED: [&str; 6] = ["id", "model", "prompt", "response", "conversation_id", "datetime_utc"];
/// Columns without which turns cannot be read.
const NEEDED_OF_TURNS: [&str; 6] = ["id", "model", "thread_id", "parent_message_hash", "tip_message_hash", "datetime_utc"];

/// The command-line program `llm`.
#[derive(Debug)]
pub struct Llm;

impl Source for Llm {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Whose a model is, its name says.
    fn provider(&self) -> &'static str {
        NAME
    }

    fn places(&self, variable: &dyn Fn(&str) -> Option<String>) -> Vec<PathBuf> {
        let named = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(named) = named("LLM_USER_PATH") {
            return vec![named];
        }
        let config = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
        let mac = named("HOME").map(|home| home.join("Library/Application Support"));
        config.into_iter().chain(mac).map(|folder| folder.join(FOLDER)).collect()
    }

    fn detect(&self, path: &Path, tally: &mut Tally) -> io::Result<Vec<Session>> {
        let file = if fs::metadata(path)?.is_file() { path.to_owned() } else { path.join(FILE) };
        if !is_database(&file) {
            return Ok(Vec::new());
        }
        let database = match Database::open(&file) {
            Ok(database) => database,
            Err(why) => {
                tally.skip(why.to_string(), &file, 0);
                return Ok(Vec::new());
            }
        };
        database.newer(&file, tally).map_err(|why| failed(&why))?;
        match (database.responses.missing(&NEEDED), database.turns.missing(&NEEDED_OF_TURNS)) {
            (Some(missing), Some(_)) => {
                tally.skip(format!("the database is not one that llm writes: its responses have no `{missing}`"), &file, 0);
                return Ok(Vec::new());
            }
            (Some(missing), None) if !database.responses.0.is_empty() => {
                tally.skip(format!("the responses of the database have no `{missing}`: only its turns are read"), &file, 0);
            }
            (None, Some(missing)) if !database.turns.0.is_empty() => {
                tally.skip(format!("the turns of the database have no `{missing}`: only its responses are read"), &file, 0);
            }
            _ => {}
        }
        database.sessions(&file, tally).map_err(|why| failed(&why))
    }

    fn began(&self, session: &Session) -> Option<TimeNs> {
        let file = session.files.first()?;
        Database::open(&file.path).ok()?.began(&session.id).ok().flatten()
    }

    fn read(&self, session: &Session, tally: &mut Tally, take: &mut Take<'_>) -> io::Result<()> {
        let Some(file) = session.files.first() else { return Ok(()) };
        let database = Database::open(&file.path)?;
        database.read(session, &file.path, tally, take).map_err(|why| failed(&why))
    }
}

fn is_database(file: &Path) -> bool {
    let mut head = [0; 16];
    File::open(file).and_then(|mut file| file.read_exact(&mut head)).is_ok() && &head == b"SQLite format 3\0"
}

/// Says what is wrong with a database.
fn failed(why: &rusqlite::Error) -> io::Error {
    let code = why.sqlite_error_code();
    io::Error::other(match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database is locked by another program: try again when it is done".to_owned()
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => "the database is damaged".to_owned(),
        Some(ErrorCode::CannotOpen) => "the database cannot be opened".to_owned(),
        _ => format!("the database cannot be read: {why}"),
    })
}

/// A database, open for reading.
struct Database {
    connection: Connection,
    responses: Columns,
    turns: Columns,
}

/// The columns of a table; none when there is no such table.
struct Columns(Vec<String>);

impl Columns {
    fn of(connection: &Connection, table: &str) -> Result<Self> {
        names(connection, &format!("select name from pragma_table_info('{table}')")).map(Self)
    }

    fn has(&self, column: &str) -> bool {
        self.0.iter().any(|known| known == column)
    }

    fn missing<'a>(&self, needed: &[&'a str]) -> Option<&'a str> {
        needed.iter().copied().find(|needed| !self.has(needed))
    }

    /// Returns a column, null where the database is of an earlier version.
    fn get<'a>(&self, name: &'a str) -> &'a str {
        if self.has(name) { name } else { "null" }
    }
}

/// A row of responses, or of turns.
struct Row {
    id: String,
    model: String,
    prompt: String,
    response: String,
    at: Option<TimeNs>,
    duration_ms: Option<i64>,
    input: Option<i64>,
    output: Option<i64>,
    details: Option<String>,
    /// Of a turn the last message that was sent and the last that came.
    turn: Option<(Option<String>, Option<String>)>,
}

/// What a call was given and what it gave.
#[derive(Default)]
struct Content {
    /// Results of tools that it was given.
    results: Vec<What>,
    /// What was asked.
    prompt: String,
    /// What was answered.
    answer: String,
    /// The tools that were asked for.
    tools: Vec<ToolUse>,
    /// Results of tools that ran where the model did: they are part of the reply.
    own_results: Vec<What>,
}

type Result<T> = std::result::Result<T, rusqlite::Error>;

impl Database {
    fn open(file: &Path) -> io::Result<Self> {
        let open = || -> Result<Self> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(PATIENCE)?;
            let (responses, turns) = (Columns::of(&connection, "responses")?, Columns::of(&connection, "turns")?);
            Ok(Self { connection, responses, turns })
        };
        open().map_err(|why| failed(&why))
    }

    /// Returns the statement that gives the rows of both forms, all or those of session `?1`; one that stands in both comes from the turns.
    fn rows(&self, is_one: bool) -> Result<String> {
        let only = |session: &str| {
            if is_one { format!(" where ({session} = ?1 or ({session} is null and id = ?1))") } else { " where true".to_owned() }
        };
        let mut forms = Vec::new();
        let has_turns = self.turns.missing(&NEEDED_OF_TURNS).is_none();
        let numbers = |of: &Columns| {
            ["duration_ms", "input_tokens", "output_tokens", "token_details"]
                .map(|name| format!("{} as {name}", of.get(name)))
                .join(", ")
        };
        if self.responses.missing(&NEEDED).is_none() {
            forms.push(format!(
                "select coalesce(conversation_id, id) as session, id, coalesce({}, model) as model, prompt, response, datetime_utc, {},
                    length(coalesce(prompt, '')) + length(coalesce(response, '')) as size, 0 as is_turn, null as parent, null as tip
                    from responses{}{}",
                self.responses.get("resolved_model"),
                numbers(&self.responses),
                only("conversation_id"),
                if has_turns { " and not exists (select 1 from turns where turns.id = responses.id)" } else { "" },
            ));
        }
        if has_turns {
            let search = Columns::of(&self.connection, "turn_search")?;
            let size = match search.missing(&["turn_id", "prompt", "response"]) {
                Some(_) => "0",
                None => {
                    "coalesce((select length(coalesce(prompt, '')) + length(coalesce(response, '')) from turn_search
                        where turn_id = turns.id), 0)"
                }
            };
            forms.push(format!(
                "select coalesce(thread_id, id) as session, id, coalesce({}, model) as model, null as prompt, null as response,
                    datetime_utc, {}, {size} as size, 1 as is_turn, parent_message_hash as parent, tip_message_hash as tip from turns{}",
                self.turns.get("resolved_model"),
                numbers(&self.turns),
                only("thread_id"),
            ));
        }
        Ok(forms.join(" union all "))
    }

    fn has_table(&self, name: &str) -> Result<bool> {
        let found =
            self.connection.query_row("select 1 from sqlite_master where type = 'table' and name = ?1", [name], |_| Ok(()));
        Ok(found.optional()?.is_some())
    }

    /// Names migrations that came after those that are known.
    fn newer(&self, file: &Path, tally: &mut Tally) -> Result<()> {
        if self.has_table("_llm_migrations")? {
            for name in names(&self.connection, "select name from _llm_migrations")? {
                let number = name.get(1..4).and_then(|number| number.parse().ok());
                if number.is_none_or(|number| !MIGRATIONS.contains(&number)) {
                    tally.leave_out("a migration of the database", &name, file, 0);
                }
            }
        }
        Ok(())
    }

    /// Returns the conversations; a response without one stands for itself.
    fn sessions(&self, file: &Path, tally: &mut Tally) -> Result<Vec<Session>> {
        let rows = self.rows(false)?;
        let mut statement = self
            .connection
            .prepare(&format!("select session, sum(size), max(datetime_utc), count(*) from ({rows}) group by 1 order by 1"))?;
        let mut rows = statement.query([])?;
        let mut sessions = Vec::new();
        while let Some(row) = rows.next()? {
            // A response may stand for itself, but not without a name: it would be taken in again by every import.
            let Some(id) = text(row.get_ref(0)?) else {
                let count: i64 = row.get(3)?;
                (0..count).for_each(|_| tally.skip("a response has no id that is a text", file, 0));
                continue;
            };
            let (bytes, last) = (number(row.get_ref(1)?), text(row.get_ref(2)?));
            let modified = last.as_deref().and_then(moment).unwrap_or_default();
            let whole = |number: i64| u64::try_from(number).unwrap_or_default();
            let bytes = whole(bytes.unwrap_or_default()).saturating_add(whole(row.get(3)?));
            let file = SessionFile { path: file.to_owned(), thread: None, family: Vec::new(), bytes, modified, is_live: false };
            sessions.push(Session { id, project: String::new(), files: vec![file] });
        }
        Ok(sessions)
    }

    fn began(&self, session: &str) -> Result<Option<TimeNs>> {
        let sql = format!("select min(datetime_utc) from ({})", self.rows(true)?);
        let first: Option<String> = self.connection.query_row(&sql, [session], |row| row.get(0))?;
        Ok(first.as_deref().and_then(moment))
    }

    fn read(&self, session: &Session, file: &Path, tally: &mut Tally, take: &mut Take<'_>) -> Result<()> {
        let sql = format!(
            "select id, model, prompt, response, datetime_utc, duration_ms, input_tokens, output_tokens, token_details, size, is_turn,
                parent, tip from ({}) order by datetime_utc, id",
            self.rows(true)?,
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([&session.id])?;
        let mut bytes = 0;
        while let Some(row) = rows.next()? {
            let of = |at: usize| -> Result<Option<String>> { Ok(text(row.get_ref(at)?)) };
            let whole = |at: usize| -> Result<Option<i64>> { Ok(number(row.get_ref(at)?)) };
            let is_odd = |at: usize| Ok::<bool, rusqlite::Error>(matches!(row.get_ref(at)?, ValueRef::Blob(_)));
            let mut odd = false;
            for at in 0..5 {
                odd |= is_odd(at)?;
            }
            // What is there and is no number is not the same as nothing.
            let counts = |at: usize| -> Result<Option<i64>> {
                Ok(whole(at)?.or(if row.get_ref(at)? == ValueRef::Null { None } else { Some(-1) }))
            };
            let (id, input, output) = (of(0)?, counts(6)?, counts(7)?);
            let size = whole(9)?.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
            let turn = if whole(10)? == Some(1) { Some((of(11)?, of(12)?)) } else { None };
            let row = Row {
                model: of(1)?.unwrap_or_default(),
                prompt: of(2)?.unwrap_or_default(),
                response: of(3)?.unwrap_or_default(),
                at: of(4)?.as_deref().and_then(moment),
                duration_ms: whole(5)?,
                input,
                output,
                details: of(8)?,
                id: id.unwrap_or_default(),
                turn,
            };
            tally.lines += 1;
            if odd || row.id.is_empty() {
                tally.skip("a response has no id, or bytes where a text should be", file, 0);
                continue;
            }
            let Some(at) = row.at else {
                tally.skip("a response has no time that can be read", file, 0);
                continue;
            };
            bytes += size;
            let items = match self.items(&row, at, file, tally) {
                Ok(items) => items,
                Err(rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..)) => {
                    tally.skip("a response's tools or prompts have values of another type", file, 0);
                    continue;
                }
                Err(why) => return Err(why),
            };
            if items.into_iter().chain([Item::Read(bytes)]).try_for_each(&mut *take).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Makes of a row what happened: what the tools brought, what was asked, what was answered.
    fn items(&self, row: &Row, at: TimeNs, file: &Path, tally: &mut Tally) -> Result<Vec<Item>> {
        let content = match &row.turn {
            Some((parent, tip)) => turns::content(self, parent.as_deref(), tip.as_deref(), file, tally)?,
            None => self.content(row)?,
        };
        let mut items = Vec::new();
        let mut say = |at, what| items.push(Item::Entry(Entry { thread: None, at, what }));
        content.results.into_iter().for_each(|result| say(at, result));
        if !content.prompt.is_empty() {
            say(at, What::Prompt { text: content.prompt, stands_alone: true });
        }
        let usage = usage(row);
        if [row.input, row.output].iter().any(|count| count.is_some_and(|count| count < 0)) {
            tally.skip("tokens are negative or no numbers: their cost is not known", file, 0);
        }
        let (provider, model) = provider(&row.model);
        let ended = at.saturating_add(row.duration_ms.unwrap_or_default().max(0).saturating_mul(1_000_000));
        say(
            ended,
            What::Reply(Reply {
                key: Key::reply(NAME, &row.id, None),
                aliases: Vec::new(),
                provider: Some(provider.to_owned()),
                model: model.to_owned(),
                usage,
                unpriced_because: None,
                reported: None,
                // Nothing comes back to a reply whose tools ran with the model: the exchange may be over with it.
                stop: (!content.own_results.is_empty() && content.own_results.len() == content.tools.len())
                    .then_some(StopReason::Other),
                text: content.answer,
                tools: content.tools,
                request: None,
            }),
        );
        content.own_results.into_iter().for_each(|result| say(ended, result));
        Ok(items)
    }

    /// Returns what a response was given and gave.
    fn content(&self, row: &Row) -> Result<Content> {
        let mut content = Content { prompt: self.prompt(row)?, answer: row.response.clone(), ..Content::default() };
        if self.has_table("tool_results")? {
            let failure = Columns::of(&self.connection, "tool_results")?;
            let sql = format!(
                "select coalesce(tool_call_id, name), output, {} from tool_results where response_id = ?1 order by id",
                failure.get("exception")
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let found = statement.query_map([&row.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            for found in found {
                let (id, output, failure) = found?;
                content.results.push(tool_result(id, output, failure));
            }
        }
        if self.has_table("tool_calls")? {
            let sql = "select coalesce(tool_call_id, name), name, arguments from tool_calls where response_id = ?1 order by id";
            let mut statement = self.connection.prepare_cached(sql)?;
            let found = statement.query_map([&row.id], |row| {
                let text = |at: usize| -> Result<String> { Ok(row.get::<_, Option<String>>(at)?.unwrap_or_default()) };
                Ok(ToolUse { id: text(0)?, name: text(1)?, arguments: text(2)?, writes: true, is_done: false })
            })?;
            content.tools = found.collect::<Result<_>>()?;
        }
        Ok(content)
    }

    /// Returns what was asked, with attachments and fragments by their hashes.
    fn prompt(&self, row: &Row) -> Result<String> {
        let mut parts = vec![row.prompt.trim().to_owned()];
        let mut name = |table: &str, sql: &str| -> Result<()> {
            if self.has_table(table)? {
                let mut statement = self.connection.prepare_cached(sql)?;
                let found = statement.query_map([&row.id], |row| row.get::<_, Option<String>>(0))?;
                for found in found {
                    parts.extend(found?);
                }
            }
            Ok(())
        };
        name(
            "prompt_fragments",
            "select '[fragment ' || f.hash || ']' from prompt_fragments p join fragments f on f.id = p.fragment_id
                where p.response_id = ?1 order by p.\"order\"",
        )?;
        name(
            "prompt_attachments",
            "select '[attachment ' || coalesce(a.type, '') || ' ' || a.id || ']' from prompt_attachments p
                join attachments a on a.id = p.attachment_id where p.response_id = ?1 order by p.\"order\"",
        )?;
        parts.retain(|part| !part.is_empty());
        Ok(parts.join("\n"))
    }
}

/// Returns what a tool brought: its output, or why it failed.
fn tool_result(id: Option<String>, output: Option<String>, failure: Option<String>) -> What {
    let ok = failure.as_deref().is_none_or(str::is_empty);
    let text = output.filter(|_| ok).or(failure).unwrap_or_default();
    What::ToolResult { id: id.unwrap_or_default(), ok, text }
}

/// Returns a value as text; bytes are none.
fn text(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// Returns a value as a whole number, if it is one.
fn number(value: ValueRef<'_>) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Real(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
        ValueRef::Real(_) | ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

fn names(connection: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// Reads a moment; one without a zone is in UTC.
fn moment(text: &str) -> Option<TimeNs> {
    let text = text.replacen(' ', "T", 1);
    time(&text).or_else(|| time(&format!("{text}Z")))
}

/// Returns whose a model is, by its name, and the name without that; what its name does not say is not known.
fn provider(model: &str) -> (&str, &str) {
    let bare = model.split_once('/').filter(|(of, _)| matches!(*of, "anthropic" | "openai" | "gemini" | "google"));
    let name = bare.map_or(model, |(_, name)| name);
    let begins = |words: &[&str]| words.iter().any(|word| name.starts_with(word));
    let provider = match bare {
        Some(("anthropic", _)) => "anthropic",
        Some(("openai", _)) => "openai",
        Some(_) => "google",
        None if begins(&["claude-"]) => "anthropic",
        None if begins(&["gpt-", "chatgpt-", "o1", "o3", "o4"]) => "openai",
        None if begins(&["gemini-"]) => "google",
        None => NAME,
    };
    (provider, name)
}

/// Reads what a reply used; `None` when the log does not say both input and output, or when a number is none. Whether input contains what came from a cache is
/// told by the names that its provider has for it.
fn usage(row: &Row) -> Option<TokenUsage> {
    let whole = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let (input, output) = (whole(row.input)?, whole(row.output)?);
    let details: Value = row.details.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let count = |place: &str| details.pointer(place).and_then(Value::as_u64);
    let any = |places: &[&str]| places.iter().find_map(|place| count(place)).unwrap_or(0);
    let reasoning =
        any(&["/completion_tokens_details/reasoning_tokens", "/output_tokens_details/reasoning_tokens", "/thoughtsTokenCount"]);
    let (read, written) = (count("/cache_read_input_tokens"), count("/cache_creation_input_tokens"));
    if read.is_some() || written.is_some() {
        let long = any(&["/cache_creation/ephemeral_1h_input_tokens"]);
        let short = written.unwrap_or(0).saturating_sub(long);
        let cache_read = read.unwrap_or(0);
        return Some(TokenUsage { input, cache_read, cache_write_5m: short, cache_write_1h: long, output, reasoning });
    }
    let cached =
        any(&["/prompt_tokens_details/cached_tokens", "/input_tokens_details/cached_tokens", "/cachedContentTokenCount"]);
    let input = input.saturating_sub(cached);
    Some(TokenUsage { input, cache_read: cached, cache_write_5m: 0, cache_write_1h: 0, output, reasoning })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(input: Option<i64>, details: &str) -> Row {
        let text = String::new;
        Row {
            id: text(),
            model: text(),
            prompt: text(),
            response: text(),
            at: None,
            duration_ms: None,
            input,
            output: Some(5),
            details: Some(details.to_owned()),
            turn: None,
        }
    }

    #[test]
    fn whether_the_input_contains_the_cache_is_told_by_its_names() {
        let read = |details| {
            usage(&row(Some(100), details))
                .map(|usage| (usage.input, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h))
        };
        assert_eq!(read(r#"{"prompt_tokens_details": {"cached_tokens": 40}}"#), Some((60, 40, 0, 0)));
        assert_eq!(read(r#"{"cachedContentTokenCount": 40}"#), Some((60, 40, 0, 0)));
        let claude = r#"{"cache_read_input_tokens": 40, "cache_creation_input_tokens": 30, "cache_creation": {"ephemeral_1h_input_tokens": 10}}"#;
        assert_eq!(read(claude), Some((100, 40, 20, 10)));
        assert_eq!(read("no JSON"), Some((100, 0, 0, 0)));
        assert_eq!(usage(&row(None, "{}")), None);
        assert_eq!(usage(&row(Some(-1), "{}")), None);
        assert_eq!(usage(&Row { output: None, ..row(Some(100), "{}") }), None, "tokens that are not told are not none");
    }

    #[test]
    fn a_models_name_says_whose_it_is() {
        assert_eq!(provider("anthropic/claude-sonnet-4-5"), ("anthropic", "claude-sonnet-4-5"));
        assert_eq!(provider("gpt-4o-mini"), ("openai", "gpt-4o-mini"));
        assert_eq!(provider("gemini/gemini-2.5-pro"), ("google", "gemini-2.5-pro"));
        assert_eq!(provider("mistral-7b"), ("llm", "mistral-7b"));
        assert_eq!(provider("openrouter/openai/gpt-4o"), ("llm", "openrouter/openai/gpt-4o"));
    }

    #[test]
    fn moments_are_in_utc_unless_they_say_otherwise() {
        assert_eq!(moment("2025-01-02T03:04:05.5"), moment("2025-01-02 03:04:05.5+00:00"));
        assert!(moment("2025-01-02T03:04:05").is_some() && moment("soon").is_none());
    }
}
