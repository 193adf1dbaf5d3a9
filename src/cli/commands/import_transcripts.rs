//! `meno import transcripts`: the sessions of coding agents become runs of this store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::ImportTranscriptsArgs;
use crate::cli::ask::{Terminal, agrees};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::progress::Reading;
use crate::cli::running::remember;
use crate::cli::stop::Stop;
use crate::cli::{open, render};
use crate::domain::ids::TimeNs;
use crate::lake::transcripts::Session;
use crate::lake::transcripts::tally::FirstSeen;
use crate::workspace::{
    Access, FoundTranscripts, ImportProgress, ImportedTranscripts, SeenTranscripts, Workspace, transcript_sources,
};

/// The agent that hints name when none was meant.
const FIRST: &str = "claude-code";
/// How long `--watch` waits between two looks.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// What `import transcripts --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "What came of an import of transcripts, as `meno import transcripts --json` prints it")]
pub struct ImportTranscriptsDocument {
    /// Where sessions were found.
    pub places: Vec<TranscriptPlace>,
    /// Sessions that are new here.
    pub imported: u64,
    /// Sessions that were here and have more now.
    pub grown: u64,
    /// Sessions of which nothing is new.
    pub already_there: u64,
    /// Sessions in which there is nothing to take.
    pub empty: u64,
    /// Sessions that were forgotten here: nothing of them was taken.
    pub forgotten: u64,
    /// Sessions that are here only up to something that one append of the log cannot hold.
    pub cut: u64,
    /// Exchanges taken in.
    pub exchanges: u64,
    /// Replies of models taken in.
    pub calls: u64,
    /// Uses of tools taken in.
    pub tools: u64,
    /// Tokens of these replies.
    pub tokens: TranscriptTokens,
    /// What is known of their cost, in nUSD, at the prices of the table.
    pub cost_nusd: u64,
    /// The same in dollars, exactly.
    pub cost_usd: String,
    /// The cost of every reply is known.
    pub cost_complete: bool,
    /// Replies whose cost is not known.
    pub unpriced: Vec<UnpricedReplies>,
    /// Replies that are not whole yet: the next import takes them in.
    pub unfinished: u64,
    /// Replies of which an earlier import saw a part only: they are counted whole now.
    pub corrected: u64,
    /// What was left out, because its kind is not known.
    pub left_out: Vec<NotTaken>,
    /// What cannot be taken.
    pub skipped: Vec<NotTaken>,
}

/// A place with sessions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TranscriptPlace {
    /// Whose sessions they are.
    pub source: String,
    /// The folder or file.
    pub path: String,
    /// Sessions that are new or grew.
    pub sessions: u64,
    /// Their files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Sessions that did not change since they were read.
    pub unchanged: u64,
}

/// Tokens by kind.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TranscriptTokens {
    /// Input that touched no cache.
    pub input: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the short-lived cache.
    pub cache_write_5m: u64,
    /// Input written to the long-lived cache.
    pub cache_write_1h: u64,
    /// Output, reasoning included.
    pub output: u64,
}

/// Replies of one model whose cost is not known.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnpricedReplies {
    /// The model.
    pub model: String,
    /// Why.
    pub why: String,
    /// How many.
    pub calls: u64,
}

/// Something that was not taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotTaken {
    /// What, or why.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The file in which it was seen first.
    pub file: String,
    /// The line there, from 1; 0 for the file as a whole.
    pub line: u64,
}

/// Imports transcripts.
///
/// # Errors
/// When there are none, nobody agrees, or the store cannot take them.
pub fn run(context: &mut Context, args: &ImportTranscriptsArgs) -> Result<Exit> {
    let (source, path) = meant(args)?;
    // Nothing is made before somebody agrees.
    let surroundings = open::store(context, Access::Surroundings)?;
    let found = find(&surroundings, source.as_deref(), path)?;
    // Who agreed and waits for sessions may begin before the first.
    let waits = args.watch && path.map_or(args.yes, Path::exists);
    if found.is_empty() && !waits {
        let places = surroundings.keeping().transcript_places(source.as_deref());
        let has_home = context.variables.get("HOME").is_some_and(|home| !home.is_empty());
        let mut report = CliError::not_found("no transcripts were found");
        for line in looked_in(path, &places, has_home) {
            report = report.cause(line);
        }
        let named = source.as_deref().unwrap_or(FIRST);
        return Err(report.hint(format!("name a folder with sessions: `meno import transcripts {named} DIR`")));
    }
    let store = surroundings.store.path.display().to_string();
    drop(surroundings);
    if path.is_none() && !args.yes && found.iter().any(|found| !found.sessions.is_empty()) {
        consent(context, &found, &store)?;
    }
    let stop = args.watch.then(Stop::listen).transpose()?;
    let workspace = open::store(context, Access::Write)?;
    let mut seen = SeenTranscripts::default();
    let mut watched = Watched::default();
    watched.read(&found);
    let exit = take(context, args, &workspace, found, &mut seen)?;
    let Some(stop) = stop else { return Ok(exit) };
    context.out.say("watching for more; Ctrl-C ends it");
    while !stop.wait(WATCH_EVERY) {
        let mut found = find(&workspace, source.as_deref(), path)?;
        found.iter_mut().for_each(|found| found.sessions.retain(|session| watched.is_due(session)));
        found.retain(|found| !found.sessions.is_empty());
        if !found.is_empty() {
            watched.read(&found);
            take(context, args, &workspace, found, &mut seen)?;
        }
    }
    Ok(Exit::Done)
}

/// Says where transcripts were looked for.
fn looked_in(path: Option<&Path>, places: &[PathBuf], has_home: bool) -> Vec<String> {
    let shown = |path: &Path| path.display().to_string();
    let looked: Vec<String> = path.map_or_else(|| places.iter().map(|place| shown(place)).collect(), |path| vec![shown(path)]);
    let looked = (!looked.is_empty()).then(|| format!("looked in: {}", looked.join(", ")));
    let homeless = path.is_none() && !has_home;
    looked
        .into_iter()
        .chain(homeless.then(|| "HOME is not set, and agents keep their transcripts in the home folder".to_owned()))
        .collect()
}

/// What a session's files look like: names, sizes and times.
type Stamp = Vec<(String, u64, TimeNs)>;

/// What a watch knows of the sessions that may still be written, by their first file.
#[derive(Debug, Default)]
struct Watched {
    /// As they were when they were read.
    read: HashMap<String, Stamp>,
    /// As they were at the last look.
    looked: HashMap<String, Stamp>,
}

impl Watched {
    /// Tells whether a session is to be read now: when it has changed and either rests for a moment or has grown by a tenth. So a long
    /// session that is written all the time is not read from its beginning at every look.
    fn is_due(&mut self, session: &Session) -> bool {
        let (name, stamp) = (name(session), session.stamp());
        let Some(read) = self.read.get(&name) else { return true };
        if *read == stamp {
            // What was not whole is read again when nobody writes it any more.
            return !session.is_live();
        }
        let rests = self.looked.get(&name) == Some(&stamp);
        let before: u64 = read.iter().map(|(_, bytes, _)| bytes).sum();
        self.looked.insert(name, stamp);
        rests || session.bytes() >= before.saturating_add(before / 10)
    }

    /// Notes that these sessions are read as they are.
    fn read(&mut self, found: &[FoundTranscripts]) {
        let sessions = found.iter().flat_map(|found| &found.sessions);
        self.read.extend(sessions.map(|session| (name(session), session.stamp())));
    }
}

fn name(session: &Session) -> String {
    let place = session.files.first().map(|file| file.path.display().to_string()).unwrap_or_default();
    format!("{} {place}", session.id)
}

/// Returns the source and path that are meant: a path alone is one of the only source that reads such files.
fn meant(args: &ImportTranscriptsArgs) -> Result<(Option<String>, Option<&Path>)> {
    let Some(source) = &args.source else { return Ok((None, args.path.as_deref())) };
    if transcript_sources().any(|known| known == source) {
        return Ok((Some(source.clone()), args.path.as_deref()));
    }
    if args.path.is_none() && Path::new(source).exists() {
        return Ok((None, Some(Path::new(source))));
    }
    let names: Vec<&str> = transcript_sources().collect();
    Err(CliError::not_found(format!("`{source}` is neither an agent whose transcripts can be read nor a folder")).suggest(
        source,
        names.iter().copied(),
        &format!("agents: {}", names.join(", ")),
    ))
}

fn find(workspace: &Workspace, source: Option<&str>, path: Option<&Path>) -> Result<Vec<FoundTranscripts>> {
    workspace.keeping().find_transcripts(source, path).map_err(|why| {
        let path = path.map_or_else(String::new, |path| format!(" {}", path.display()));
        CliError::new("io", Exit::Mendable, format!("cannot read{path}: {why}"))
            .hint("name a folder with transcripts, or one such file")
    })
}

fn consent(context: &mut Context, found: &[FoundTranscripts], store: &str) -> Result<()> {
    for line in render::import::offer(found) {
        context.out.say(line);
    }
    let refused = || {
        CliError::refused("nothing was imported, because nobody agreed")
            .hint("`--yes` agrees; or name the folder: `meno import transcripts claude-code DIR`")
    };
    if !context.can_ask() {
        return Err(refused());
    }
    let text = format!("Copy their prompts, answers and tools into {store}? Keys are redacted, thinking is left out.");
    match agrees(&mut Terminal::new(true), "import", text, None, (true, "everything stays on this machine"))? {
        true => Ok(()),
        false => Err(refused()),
    }
}

fn place(found: &FoundTranscripts) -> TranscriptPlace {
    TranscriptPlace {
        source: found.source.to_owned(),
        path: found.place.display().to_string(),
        sessions: found.sessions.len() as u64,
        files: found.files(),
        bytes: found.bytes(),
        unchanged: found.unchanged,
    }
}

fn take(
    context: &mut Context,
    args: &ImportTranscriptsArgs,
    workspace: &Workspace,
    found: Vec<FoundTranscripts>,
    seen: &mut SeenTranscripts,
) -> Result<Exit> {
    let places = found.iter().map(place).collect();
    let bytes = found.iter().map(FoundTranscripts::bytes).sum();
    let mut counting = Reading::new(&context.out, "importing", Some(bytes));
    let mut tell = |at: ImportProgress| counting.reached(at.bytes, Some(at.runs));
    let imported = workspace.keeping().import_transcripts(found, args.tool_results, seen, &mut tell)?;
    counting.end();
    // Nothing but what cannot be read is worth another look.
    let sessions =
        imported.sessions + imported.grown + imported.already_there + imported.forgotten + imported.empty + imported.cut;
    let exit = if sessions == 0 && imported.tally.skipped().next().is_some() { Exit::Mendable } else { Exit::Done };
    if context.out.json() {
        let document = document(&imported, places);
        if args.watch { context.out.json_line(&document) } else { context.out.document(&document) }?;
    } else {
        for line in render::import::not_taken(&imported) {
            context.out.warn(line);
        }
        context.out.data(render::import::transcripts(&imported))?;
    }
    // Where nothing is new there is nothing to remember, and nobody waits for it.
    if imported.sessions + imported.grown > 0 {
        remember(context, workspace);
    }
    Ok(exit)
}

fn document(imported: &ImportedTranscripts, places: Vec<TranscriptPlace>) -> ImportTranscriptsDocument {
    let taken = &imported.taken;
    let not_taken = |(what, count, first): (&str, u64, &FirstSeen)| NotTaken {
        what: what.to_owned(),
        count,
        file: first.file.display().to_string(),
        line: first.line,
    };
    ImportTranscriptsDocument {
        places,
        imported: imported.sessions,
        grown: imported.grown,
        already_there: imported.already_there,
        empty: imported.empty,
        forgotten: imported.forgotten,
        cut: imported.cut,
        exchanges: taken.exchanges,
        calls: taken.calls,
        tools: taken.tools,
        tokens: TranscriptTokens {
            input: taken.usage.input,
            cache_read: taken.usage.cache_read,
            cache_write_5m: taken.usage.cache_write_5m,
            cache_write_1h: taken.usage.cache_write_1h,
            output: taken.usage.output,
        },
        cost_nusd: taken.cost.0,
        cost_usd: taken.cost.to_decimal(),
        cost_complete: taken.unpriced.is_empty(),
        unpriced: taken
            .unpriced
            .iter()
            .map(|((model, why), calls)| UnpricedReplies { model: model.clone(), why: (*why).to_owned(), calls: *calls })
            .collect(),
        unfinished: taken.unfinished,
        corrected: taken.corrected,
        left_out: imported.tally.left_out().map(not_taken).collect(),
        skipped: imported.tally.skipped().map(not_taken).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::lake::transcripts::SessionFile;

    use super::*;

    fn session(bytes: u64, modified: TimeNs, is_live: bool) -> Session {
        let path = "s.jsonl".into();
        let file = SessionFile { path, thread: None, family: Vec::new(), bytes, modified, is_live };
        Session { id: "s".to_owned(), project: String::new(), files: vec![file] }
    }

    #[test]
    fn a_session_that_is_written_all_the_time_is_read_when_it_rests_or_has_grown_by_a_tenth() {
        let mut watched = Watched::default();
        assert!(watched.is_due(&session(1000, 1, true)), "it is new");
        let found = |session| FoundTranscripts {
            source: "x",
            place: "p".into(),
            sessions: vec![session],
            unchanged: 0,
            tally: crate::lake::transcripts::tally::Tally::default(),
        };
        watched.read(&[found(session(1000, 1, true))]);
        assert!(!watched.is_due(&session(1000, 1, true)), "nothing has changed");
        assert!(!watched.is_due(&session(1010, 2, true)), "it is written");
        assert!(!watched.is_due(&session(1020, 3, true)), "it is written");
        assert!(watched.is_due(&session(1020, 3, true)), "it rests");
        assert!(watched.is_due(&session(1100, 4, true)), "it has grown");
        watched.read(&[found(session(1100, 4, true))]);
        assert!(watched.is_due(&session(1100, 4, false)), "nobody writes it any more");
    }

    #[test]
    fn the_schema_of_an_import_of_transcripts_is_that_of_its_type() {
        crate::views::schema_test::check::<super::ImportTranscriptsDocument>("import-transcripts.json");
    }
}
