//! `meno import events`: a log that somebody handed over.

use schemars::JsonSchema;
use serde::Serialize;

use super::backup::HeadDocument;
use crate::cli::args::ImportEventsArgs;
use crate::cli::context::Context;
use crate::cli::error::{Exit, Result};
use crate::cli::open;
use crate::cli::output::words;
use crate::store::backup::LogEnd;
use crate::workspace::{Access, TakenAs};

/// What `import events --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What came of an import of events, as `meno import events --json` prints it")]
pub struct ImportEventsDocument {
    /// The file or folder.
    pub path: String,
    /// `own`: the store was empty and this is its log now; `beside`: kept beside the store's own log; `continued`: a
    /// copy of the store's own log had gone on, and so does this one; `nothing`: all of it was here.
    pub taken_as: String,
    /// Where the log ends here.
    pub head: HeadDocument,
    /// Events that are new here.
    pub imported: u64,
    /// Events that were here already.
    pub already_there: u64,
    /// Events that came without their private part.
    pub without_private: u64,
    /// Texts that events name and that did not come.
    pub missing_payloads: u64,
}

/// Verifies events and takes in what is new of them.
///
/// # Errors
/// When a file is not what was written, or the store cannot take it.
pub fn run(context: &mut Context, args: &ImportEventsArgs) -> Result<Exit> {
    let surroundings = open::store(context, Access::Surroundings)?;
    let taken = if surroundings.keeping().is_empty() {
        surroundings.keeping().adopt_events(&args.path)?
    } else {
        open::store_with(context, Access::Write, open::Opening { hush: true, ..open::Opening::default() })?
            .keeping()
            .import_events(&args.path)?
    };
    let path = args.path.display().to_string();
    if context.out.json() {
        context.out.document(&ImportEventsDocument {
            path,
            taken_as: match taken.taken_as {
                TakenAs::Own => "own",
                TakenAs::Beside => "beside",
                TakenAs::Continued => "continued",
                TakenAs::Nothing => "nothing",
            }
            .to_owned(),
            head: (&LogEnd::from(taken.head)).into(),
            imported: taken.imported,
            already_there: taken.already_there,
            without_private: taken.without_private,
            missing_payloads: taken.missing_payloads,
        })?;
        return Ok(Exit::Done);
    }
    let imported = words::plural(taken.imported, "event");
    context.out.say(match taken.taken_as {
        TakenAs::Own => format!("{path}: verified; {imported} are the log of {}", surroundings.store.path.display()),
        TakenAs::Beside => format!(
            "{path}: verified; {imported} of store {} are kept beside this store's own log, {} were here already",
            taken.head.node,
            words::count(taken.already_there)
        ),
        TakenAs::Continued => format!("{path}: verified; this store's own log continues with {imported}"),
        TakenAs::Nothing => format!("{path}: verified; all {} were here already", words::plural(taken.already_there, "event")),
    });
    context.out.say(format!("head: event {}, {}", taken.head.seq, taken.head.hash));
    if taken.without_private > 0 {
        context.out.say(format!("{} came without private parts", words::plural(taken.without_private, "event")));
    }
    if taken.missing_payloads > 0 {
        context.out.warn(format!("{} that events name did not come", words::plural(taken.missing_payloads, "text")));
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_import_of_events_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ImportEventsDocument>("import-events.json");
    }
}
