//! `meno push` and `meno pull`: logs of many stores over one shared place.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::backup::HeadDocument;
use super::export_tables::{self, TableDocument};
use crate::cli::args::{PullArgs, PushArgs, PushFormat};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open;
use crate::cli::output::words;
use crate::cli::progress::{Counting, EXPORTING, Reading};
use crate::store::backup::LogEnd;
use crate::workspace::{Access, Pulled, SyncProgress, TablesRequest, TakenAs};

/// What `push --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was pushed, as `meno push --json` prints it")]
pub struct PushDocument {
    /// The shared place.
    pub url: String,
    /// Where the log ends, here and now there.
    pub head: HeadDocument,
    /// Whether private parts are in it.
    pub private: bool,
    /// The key that the parts are encrypted under; null when they are not.
    pub key: Option<String>,
    /// Parts that are new there.
    pub parts: u64,
    /// Events in them.
    pub events: u64,
    /// Texts in them that are kept beside the log.
    pub payloads: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Events that were there already.
    pub already_there: u64,
    /// What was written of each table; null when none was asked for.
    pub tables: Option<Vec<TableDocument>>,
}

/// What `pull --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What was pulled, as `meno pull --json` prints it")]
pub struct PullDocument {
    /// The shared place.
    pub url: String,
    /// The logs there.
    pub logs: Vec<PulledLog>,
}

/// One log of a shared place.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PulledLog {
    /// Whose log it is.
    pub node: String,
    /// It is this store's own.
    pub own: bool,
    /// Where it ends here; null when nothing of it was taken in now.
    pub head: Option<HeadDocument>,
    /// Events that are new here.
    pub imported: u64,
    /// Of these, events without their private part.
    pub without_private: u64,
    /// Texts that events name and that did not come.
    pub missing_payloads: u64,
    /// Why no more of it was taken in; null when all of it was.
    pub refused: Option<String>,
}

/// Pushes the store's own log.
///
/// # Errors
/// When the place cannot be used, or has another history of this log.
pub fn push(context: &mut Context, args: &PushArgs) -> Result<Exit> {
    let workspace = open::store(context, Access::Change)?;
    let remote = workspace.keeping().remote(&args.url, true)?;
    let mut shown = Reading::new(&context.out, "pushing", Some(0));
    let mut tell = |at: SyncProgress| shown.of(at.done, at.total);
    let pushed = workspace.keeping().push(&remote, !args.without_private, !args.unencrypted, &mut tell);
    shown.end();
    let pushed = pushed?;
    let url = remote.address().to_owned();
    let tables = args.format.map(|PushFormat::Parquet| {
        let counting = Counting::new(&context.out, EXPORTING);
        let exported = workspace.keeping().export_tables(&TablesRequest::new(Path::new(&args.url)), &mut |seq, last| {
            counting.show(seq, last);
        });
        counting.finish();
        exported
    });
    let tables = tables.transpose()?;
    if context.out.json() {
        context.out.document(&PushDocument {
            url,
            head: (&LogEnd::from(pushed.head)).into(),
            private: !args.without_private,
            key: pushed.key,
            parts: pushed.parts,
            events: pushed.events,
            payloads: pushed.payloads,
            bytes: pushed.bytes,
            already_there: pushed.already_there,
            tables: tables.as_ref().map(export_tables::documents),
        })?;
        return Ok(Exit::Done);
    }
    if pushed.parts == 0 {
        context.out.say(format!("{url}: all {} were there already", words::plural(pushed.already_there, "event")));
    } else {
        let texts = if args.without_private {
            "without private parts".to_owned()
        } else {
            format!("{} beside them", words::plural(pushed.payloads, "text"))
        };
        let key = pushed.key.map_or_else(|| "not encrypted".to_owned(), |key| format!("encrypted under key {key}"));
        let sent = pushed.bytes.div_ceil(1024);
        context.out.say(format!(
            "{url}: {} pushed in {}, {texts}, {} KiB, {key}",
            words::plural(pushed.events, "event"),
            words::plural(pushed.parts, "part"),
            words::count(sent)
        ));
    }
    context.out.say(format!("head: event {}, {}", pushed.head.seq, pushed.head.hash));
    if let Some(tables) = &tables {
        match export_tables::lines(tables) {
            lines if lines.is_empty() => context.out.say("tables: nothing is new"),
            lines => lines.into_iter().for_each(|line| context.out.say(line)),
        }
    }
    Ok(Exit::Done)
}

/// Pulls the logs of other stores.
///
/// # Errors
/// When the place cannot be used, or a log of it is refused.
pub fn pull(context: &mut Context, args: &PullArgs) -> Result<Exit> {
    let surroundings = open::store(context, Access::Surroundings)?;
    let remote = surroundings.keeping().remote(&args.url, false)?;
    drop(surroundings);
    let workspace = open::store(context, Access::Write)?;
    let own = workspace.log().head()?.node;
    let mut shown = Reading::new(&context.out, "pulling", Some(0));
    let mut tell = |at: SyncProgress| shown.of(at.done, at.total);
    let pulled = workspace.keeping().pull(&remote, &mut tell);
    shown.end();
    let pulled = pulled?;
    let logs: Vec<PulledLog> = pulled.iter().map(|log| document(log, log.node == own)).collect();
    let url = remote.address().to_owned();
    if !context.out.json() {
        for (log, said) in pulled.iter().zip(&logs) {
            context.out.say(line(log, said));
        }
        if logs.iter().all(|log| log.own) {
            context.out.say(format!("{url}: no other store has pushed there; `meno push URL` pushes this one"));
        }
    } else {
        context.out.document(&PullDocument { url, logs })?;
    }
    match pulled.into_iter().find_map(|log| log.refused) {
        Some(why) => Err(CliError::from(why)),
        None => Ok(Exit::Done),
    }
}

fn document(log: &Pulled, own: bool) -> PulledLog {
    let sum = |of: &dyn Fn(&crate::workspace::TakenIn) -> u64| log.taken.iter().map(of).sum();
    PulledLog {
        node: log.node.to_string(),
        own,
        head: log.taken.last().map(|taken| (&LogEnd::from(taken.head)).into()),
        imported: sum(&|taken| taken.imported),
        without_private: sum(&|taken| taken.without_private),
        missing_payloads: sum(&|taken| taken.missing_payloads),
        refused: log.refused.as_ref().map(ToString::to_string),
    }
}

fn line(log: &Pulled, said: &PulledLog) -> String {
    let name = if said.own { format!("{} (this store)", said.node) } else { said.node.clone() };
    let events = words::plural(said.imported, "event");
    let mut text = match log.taken.last().map(|taken| taken.taken_as) {
        None | Some(TakenAs::Nothing) => format!("{name}: nothing is new"),
        Some(TakenAs::Continued) => format!("{name}: this store's own log continues with {events}"),
        Some(_) => format!("{name}: verified; {events} are new"),
    };
    if said.without_private > 0 {
        text.push_str(&format!(", {} of them without private parts", words::count(said.without_private)));
    }
    if said.missing_payloads > 0 {
        text.push_str(&format!(", {} did not come", words::plural(said.missing_payloads, "text")));
    }
    if said.refused.is_some() {
        text.push_str("; the rest was refused");
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schemas_of_push_and_pull_are_those_of_their_types() {
        crate::views::schema_test::check::<super::PushDocument>("push.json");
        crate::views::schema_test::check::<super::PullDocument>("pull.json");
    }
}
