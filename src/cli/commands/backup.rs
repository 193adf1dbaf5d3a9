//! `meno backup` and `meno restore`: a store in one file, and back.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::{BackupArgs, RestoreArgs};
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::cli::output::words;
use crate::store::backup::{Contents, LogEnd};
use crate::workspace::{Access, check_backup};

/// What `backup --json` and `restore --json` print.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "A backup that was written, verified or restored, as `meno backup --json` and `meno restore --json` print it")]
pub struct BackupDocument {
    /// The file.
    pub file: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// The store that was restored; `null` when nothing was.
    pub store: Option<String>,
    /// When it was begun.
    pub made_at: String,
    /// The store's identity.
    pub node: String,
    /// The last event of its log.
    pub head: HeadDocument,
    /// Logs of other stores that are in it.
    pub others: Vec<HeadDocument>,
    /// Events of all its logs.
    pub events: u64,
    /// Of them, events whose texts were forgotten.
    pub forgotten_events: u64,
    /// Texts kept beside the log.
    pub payloads: u64,
    /// Of them, encrypted ones: that they are the right ones cannot be told without the key, which is not in the backup.
    pub encrypted_payloads: u64,
    /// Such texts that events name and that are not in it: they were missing or damaged.
    pub missing_payloads: u64,
}

/// Where a log ends.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HeadDocument {
    /// The log's node.
    pub node: String,
    /// The last position.
    pub seq: u64,
    /// The chain's hash there.
    pub hash: String,
}

impl From<&LogEnd> for HeadDocument {
    fn from(end: &LogEnd) -> Self {
        Self { node: end.node.to_string(), seq: end.seq, hash: end.hash.to_string() }
    }
}

/// Writes a backup.
///
/// # Errors
/// When the file is there already or cannot be written, or the store is damaged.
pub fn backup(context: &mut Context, args: &BackupArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Read)?;
    let contents = workspace.keeping().back_up(&args.file)?;
    show(context, &args.file.display().to_string(), &contents, None, "written, read back and verified")?;
    Ok(Exit::Done)
}

/// Makes a store out of a backup, or only verifies it.
///
/// # Errors
/// When the file is not a whole backup, or the store is not empty.
pub fn restore(context: &mut Context, args: &RestoreArgs) -> Result<Exit> {
    let file = args.file.display().to_string();
    if args.check {
        let contents = check_backup(&args.file)?;
        show(context, &file, &contents, None, "is whole")?;
        return Ok(Exit::Done);
    }
    let workspace = open::store(context, Access::Surroundings)?;
    let restored = workspace.keeping().restore(&args.file)?;
    let store = workspace.store.path.display().to_string();
    show(context, &file, &restored.contents, Some(&store), &format!("verified and restored as {store}"))?;
    if let Some(before) = restored.before {
        context.out.say(format!("the settings and templates that were there before are in {}", before.display()));
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, file: &str, contents: &Contents, store: Option<&str>, what: &str) -> Result<()> {
    let log = &contents.manifest.log;
    if context.out.json() {
        return context.out.document(&BackupDocument {
            file: file.to_owned(),
            bytes: contents.bytes,
            store: store.map(str::to_owned),
            made_at: contents.manifest.made_at.clone(),
            node: log.node.to_string(),
            head: log.into(),
            others: contents.manifest.others.iter().map(Into::into).collect(),
            events: contents.events,
            forgotten_events: contents.without_private,
            payloads: contents.payloads,
            encrypted_payloads: contents.encrypted_payloads,
            missing_payloads: contents.missing_payloads.len() as u64,
        });
    }
    let (events, texts) = (words::plural(contents.events, "event"), words::plural(contents.payloads, "text"));
    context.out.say(format!("{file}: {what}: {events} and {texts} beside them in {} bytes", words::count(contents.bytes)));
    context.out.say(format!("head: event {}, {}", log.seq, log.hash));
    if contents.encrypted_payloads > 0 {
        let encrypted = words::plural(contents.encrypted_payloads, "text");
        context.out.say(format!("{encrypted} are encrypted, and their key is not in the file: keep it elsewhere"));
    }
    if !contents.missing_payloads.is_empty() {
        let missing = words::plural(contents.missing_payloads.len() as u64, "text");
        context.out.warn(format!("{missing} that events name are missing or damaged and not in it; `meno doctor` says more"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_backup_is_that_of_its_type() {
        crate::views::schema_test::check::<super::BackupDocument>("backup.json");
    }
}
