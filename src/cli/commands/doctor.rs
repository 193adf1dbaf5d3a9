//! `meno doctor`: looks at the store and everything around it, one line each, and says what to do.
//!
//! Looking changes nothing beyond what every opening of a store puts right. With `--repair` this process asks for the store, copies the damaged files of the journal beside them, and
//! puts back what the index still has.

use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::DoctorArgs;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::open::{Opening, store_with};
use crate::cli::output::{BAD, GOOD, HINT, WARN, sanitize, styled, time, words};
use crate::cli::render::GoOn;
use crate::cli::render::import::size;
use crate::domain::settings::AuthScheme;
use crate::domain::template::Problem;
use crate::domain::tier::Tier;
use crate::memory::index::Condition;
use crate::settings::Choice;
use crate::tools::sandbox::OPEN;
use crate::workspace::library::Origin;
use crate::workspace::memory::recall::IndexState;
use crate::workspace::{Access, Inspection, LastAudit, Upkeep, Workspace};

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is lost and nothing fails.
    Warning,
    /// Something does not work.
    Problem,
    /// Something is not as it was written.
    Damage,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What: a word that never changes.
    pub name: &'static str,
    /// How it is.
    pub state: CheckStatus,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What `doctor --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "How the store is, as `meno doctor --json` prints it")]
pub struct DoctorDocument {
    /// The store's folder.
    pub store: String,
    /// The worst of all.
    pub state: CheckStatus,
    /// Whether mending was asked for.
    pub repaired: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Looks at everything, and mends what can be mended when asked to.
///
/// # Errors
/// When the store cannot be opened or read at all.
pub fn run(context: &mut Context, args: &DoctorArgs) -> Result<Exit> {
    let upkeep = if args.repair { Upkeep::Thorough } else { Upkeep::Usual };
    // Settings with faults are something to be found here, not a reason to look at nothing.
    let workspace =
        store_with(context, Access::Read, Opening { upkeep, forgiving: true, says_losses: true, ..Opening::default() })
            .map_err(pointing_elsewhere)?;
    let mut first = None;
    if args.repair && workspace.session().is_some() {
        workspace.own().map_err(|error| pointing_elsewhere(error.into()))?;
        let swept = workspace.sweep_locks().map_err(|error| pointing_elsewhere(error.into()))?;
        let cleared = workspace.clear_set_aside().map_err(|error| pointing_elsewhere(error.into()))?;
        let swept = words::plural(swept as u64, "left lock file");
        let cleared = match cleared {
            0 => String::new(),
            cleared => format!(", {} of indexes that were set aside too", words::plural(cleared as u64, "folder")),
        };
        first = Some(ok("repair", format!("the whole journal was read; {swept} removed{cleared}")));
    }
    let mut document = look(&workspace).map_err(pointing_elsewhere)?;
    document.repaired = args.repair;
    if args.repair {
        // What a repair has left is not for another one.
        for check in document.checks.iter_mut().filter(|check| check.hint.as_deref() == Some(RESTORE)) {
            check.hint = Some(RESTORE_ELSEWHERE.to_owned());
        }
    }
    if let Some(first) = first {
        document.checks.insert(0, first);
    }
    let state = document.state;
    show(context, document)?;
    Ok(match state {
        CheckStatus::Ok | CheckStatus::Warning => Exit::Done,
        CheckStatus::Problem => Exit::Mendable,
        CheckStatus::Damage => Exit::Violation,
    })
}

/// Takes a hint away that sends to this very command.
fn pointing_elsewhere(mut report: CliError) -> CliError {
    if report.hint.as_ref().is_some_and(|hint| hint.contains("`meno doctor`")) {
        report.hint = Some(RESTORE_ELSEWHERE.to_owned());
    }
    report
}

/// Looks at everything and changes nothing.
///
/// # Errors
/// When the store cannot be read.
pub fn look(workspace: &Workspace) -> Result<DoctorDocument> {
    let mut checks = Vec::new();
    if workspace.session().is_none() {
        checks.push(ok("store", format!("there is none at {}; the first run makes it", workspace.store.path.display())));
    } else {
        of_store(workspace, &workspace.inspect()?, &mut checks);
        checks.push(of_search(&workspace.memory().condition()?));
        checks.push(of_audit(&workspace.proof().last_audit()?, workspace.log().head()?.seq));
    }
    of_settings(workspace, &mut checks);
    of_servers(workspace, &mut checks);
    of_tools(workspace, &mut checks);
    of_templates(workspace, &mut checks);
    let state = checks.iter().map(|check| check.state).max().unwrap_or(CheckStatus::Ok);
    Ok(DoctorDocument { store: workspace.store.path.display().to_string(), state, repaired: false, checks })
}

fn ok(name: &'static str, found: impl Into<String>) -> Check {
    Check { name, state: CheckStatus::Ok, found: found.into(), hint: None }
}

fn bad(name: &'static str, state: CheckStatus, found: impl Into<String>, hint: impl Into<String>) -> Check {
    Check { name, state, found: found.into(), hint: Some(hint.into()) }
}

/// Whether what the settings allow agents to use can be used: programs, their confinement, origins.
fn of_tools(workspace: &Workspace, checks: &mut Vec<Check>) {
    let tools = &workspace.resolved.settings.tools;
    let found = workspace.runs().tools_here();
    for program in &found.missing {
        let found = format!("there is no program `{}`, which `commands` under [tools] allows", sanitize::line(program));
        checks.push(bad("tools", CheckStatus::Warning, found, "install it, or take it out of `commands`"));
    }
    for name in &found.withheld {
        let found =
            format!("`env` under [tools] has {}, where a provider's key stands: no program gets it", sanitize::line(name));
        checks.push(bad("tools", CheckStatus::Warning, found, "take it out of `env`"));
    }
    for (server, name) in &found.withheld_of_servers {
        let (server, name) = (sanitize::line(server), sanitize::line(name));
        let found = format!("`env` under [mcp.{server}] has {name}, where a provider's key stands: the server does not get it");
        checks.push(bad("tools", CheckStatus::Warning, found, "take it out of `env`"));
    }
    for folder in &found.unreadable {
        let found = format!("`readable` under [tools] has `{}`, which is not there", sanitize::line(folder));
        checks.push(bad("tools", CheckStatus::Warning, found, "correct the path, or take it out of `readable`"));
    }
    for (origin, why) in &found.origins {
        let found = format!("`origins` under [tools] has `{}`: {why}", sanitize::line(origin));
        checks.push(bad("tools", CheckStatus::Warning, found, "write scheme and host of a public site: `https://docs.rs`"));
    }
    if tools.commands.is_empty() {
        return;
    }
    checks.push(match &found.confined {
        None => {
            bad("sandbox", CheckStatus::Warning, "programs of agents run unconfined", "set `sandbox = \"auto\"` under [tools]")
        }
        Some(enforced) if enforced.is_full => ok("sandbox", format!("programs of agents are confined; open to them: {OPEN}")),
        Some(enforced) => {
            let found = format!("this system does not enforce {}", enforced.missing.join(", "));
            bad("sandbox", CheckStatus::Warning, found, "a newer kernel with Landlock confines programs whole")
        }
    });
}

/// Whether the programs of MCP servers are there; none is started.
fn of_servers(workspace: &Workspace, checks: &mut Vec<Check>) {
    let servers = &workspace.resolved.settings.mcp;
    let missing = workspace.runs().mcp_programs_missing();
    for (name, program) in &missing {
        let found = format!("MCP server `{name}`: there is no program `{}`", sanitize::line(program));
        checks.push(bad("mcp", CheckStatus::Problem, found, format!("install it, or correct `mcp.{name}.command`")));
    }
    if !servers.is_empty() && missing.is_empty() {
        let names: Vec<&str> = servers.keys().map(String::as_str).collect();
        checks.push(ok(
            "mcp",
            format!("the programs of MCP servers are there: {}; `meno mcp tools NAME` tries one", names.join(", ")),
        ));
    }
}

fn of_store(workspace: &Workspace, seen: &Inspection, checks: &mut Vec<Check>) {
    let folder = &workspace.store.path;
    let mode = std::fs::metadata(folder).map_or(0, |found| found.permissions().mode() & 0o777);
    checks.push(if mode & 0o077 == 0 {
        ok("store", format!("{}, closed to others", folder.display()))
    } else {
        let hint = format!("`chmod 700 {}`", folder.display());
        bad("store", CheckStatus::Warning, format!("{} is open to others ({mode:o})", folder.display()), hint)
    });
    if let Some(why) = seen.in_memory {
        let (found, hint) = match workspace.read_only() {
            Some(_) => (format!("nothing can be written: {why}; the journal was read as it lies"), READ_ONLY),
            None => (
                format!("{why}: what follows from the journal was made in memory"),
                "make room; nothing new can be begun until then",
            ),
        };
        checks.push(bad("disk", CheckStatus::Warning, found, hint));
    }
    let mine = seen.owner.pid == std::process::id();
    let whose =
        if mine { "no other process holds the store".to_owned() } else { format!("process {} holds the store", seen.owner.pid) };
    checks.push(ok("owner", format!("{whose}, meno {}", seen.owner.version)));
    for damage in seen.report.iter().flat_map(|report| &report.damage) {
        checks.push(if damage.restored {
            ok("opening", damage.to_string())
        } else {
            bad("opening", CheckStatus::Damage, damage.to_string(), RESTORE)
        });
    }
    let notices = seen.report.iter().flat_map(|report| &report.notices);
    checks.extend(notices.map(|notice| Check {
        name: "opening",
        state: CheckStatus::Warning,
        found: notice.clone(),
        hint: None,
    }));
    let journal = &seen.journal;
    let (events, files) = (words::plural(journal.events, "event"), words::plural(journal.segments, "file"));
    if journal.findings.is_empty() {
        let gone = if journal.forgotten > 0 { format!(", {} with forgotten texts", journal.forgotten) } else { String::new() };
        let new = if journal.unknown > 0 { format!(", {} of kinds of a later meno", journal.unknown) } else { String::new() };
        checks.push(ok("journal", format!("{events} in {files}, the chain is whole{gone}{new}")));
    }
    checks.extend(journal.findings.iter().map(|finding| bad("journal", CheckStatus::Damage, finding.to_string(), RESTORE)));
    checks.extend(seen.identity.iter().map(|found| bad("identity", CheckStatus::Damage, found.clone(), REOPEN)));
    for (node, scan) in &seen.imported {
        let Some(scan) = scan else {
            let found = format!("log {node} was imported once and is missing");
            checks.push(bad("imported", CheckStatus::Warning, found, "`meno import events FILE` takes it in again"));
            continue;
        };
        checks.push(match scan.findings.first() {
            None => ok("imported", format!("log {node}: {}, the chain is whole", words::plural(scan.events, "event"))),
            Some(finding) => bad("imported", CheckStatus::Damage, format!("log {node}: {finding}"), REIMPORT),
        });
    }
    checks.push(match (seen.index_agrees, seen.views_behind) {
        _ if seen.in_memory.is_some() => ok("index", "built in memory; the one on disk was not checked"),
        (true, 0) => ok("index", "has what the journal has"),
        (true, behind) => bad("index", CheckStatus::Warning, format!("the list of runs is {behind} events behind"), REBUILD),
        (false, _) => bad("index", CheckStatus::Problem, "does not have the events of the journal", REBUILD),
    });
    checks.push(match seen.refused.as_deref() {
        Some([]) => ok("views", "every event was read"),
        Some([(seq, why), ..]) => {
            let count = seen.refused.as_ref().map_or(0, Vec::len) as u64;
            let found = format!("{} could not be read, first event {seq}: {why}", words::plural(count, "event"));
            bad("views", CheckStatus::Problem, found, REBUILD)
        }
        None => ok("views", format!("not checked: process {} holds them", seen.owner.pid)),
    });
    for (path, bytes) in &seen.set_aside {
        let found = format!("{} ({}) is left of an index that was rebuilt", path.display(), size(*bytes));
        let hint = if journal.findings.is_empty() { CLEAR } else { KEEP };
        checks.push(bad("leftover", CheckStatus::Warning, found, hint));
    }
    if seen.payloads_damaged.is_empty() && (seen.payloads_missing.is_empty() || journal.forgotten > 0) {
        let others = match seen.payloads_locked {
            0 => String::new(),
            locked => format!("; {locked} not checked"),
        };
        checks.push(ok("payloads", format!("{}, all as their names say{others}", words::plural(seen.payloads, "text"))));
    }
    if let Some(why) = &seen.key_away {
        let found = format!("{} cannot be read: {why}", words::plural(seen.payloads_locked, "encrypted text"));
        checks.push(bad(
            "encryption",
            CheckStatus::Warning,
            found,
            "make the key available; all but these texts works without it",
        ));
    } else if seen.payloads_locked > 0 {
        let found = format!("{} are under a key that the settings do not name", words::plural(seen.payloads_locked, "text"));
        checks.push(bad(
            "encryption",
            CheckStatus::Warning,
            found,
            "`encryption.old_key_file` in the settings names it, then `meno rekey` brings them under the new one",
        ));
    } else if workspace.resolved.settings.encryption.old_key.is_some() {
        checks.push(bad("encryption", CheckStatus::Warning, "a rekey was not finished", "`meno rekey` continues it"));
    } else if let Some(texts @ 1..) = seen.payloads_to_rekey {
        let found = format!("{} are not under the key that the settings name", words::plural(texts, "text"));
        checks.push(bad("encryption", CheckStatus::Warning, found, "`meno rekey` brings them under it"));
    } else if workspace.resolved.settings.encryption.key.is_some() {
        checks.push(ok("encryption", "every payload is encrypted"));
    }
    checks.extend(seen.payloads_damaged.iter().map(|why| bad("payloads", CheckStatus::Damage, why.clone(), BACKUP)));
    if let (Some(first), 0) = (seen.payloads_missing.first(), journal.forgotten) {
        let found = format!("{} missing, first {first}", words::plural(seen.payloads_missing.len() as u64, "text"));
        checks.push(bad("payloads", CheckStatus::Damage, found, BACKUP));
    }
    checks.push(match (seen.spool_waiting.len(), seen.spool_kept.first()) {
        (0, None) => ok("spool", "empty"),
        (waiting, None) => {
            let found = format!("{} to be appended", words::plural(waiting as u64, "paid reply"));
            bad("spool", CheckStatus::Warning, found, "`meno resume RUN` appends them")
        }
        (_, Some(first)) => {
            let found = format!("{} could not be appended and is retained", first.display());
            bad("spool", CheckStatus::Problem, found, "it can be deleted when the run does not need it")
        }
    });
    if let Some(run) = seen.interrupted.first() {
        let found = words::plural(seen.interrupted.len() as u64, "interrupted run");
        let on = GoOn { run: &run.to_string(), allow_write: workspace.runs().needs_leave_to_write(*run) };
        let resume = on.resume("");
        checks.push(bad("runs", CheckStatus::Warning, found, format!("`{resume}` continues it, `meno cancel {run}` ends it")));
    } else if seen.locks_left > 0 {
        let found = format!("{} of ended runs", words::plural(seen.locks_left as u64, "lock file"));
        checks.push(bad("runs", CheckStatus::Warning, found, "`meno doctor --repair` removes them"));
    } else {
        checks.push(ok("runs", format!("{} live, none interrupted", seen.executed.len())));
    }
    if !seen.left_writes.is_empty() {
        let names: Vec<String> = seen.left_writes.iter().map(|file| file.display().to_string()).collect();
        let found = format!("killed processes left temporary files where agents wrote: {}", sanitize::line(&names.join(", ")));
        checks.push(bad("writes", CheckStatus::Warning, found, "delete them; nothing needs them any more"));
    }
}

/// How the search index is, beside the log; it may be changed by another process while it is looked at.
fn of_search(index: &IndexState) -> Check {
    let note = |found: String, hint: &str| Check { hint: Some(hint.to_owned()), ..ok("search", found) };
    match &index.condition {
        Condition::Absent if index.head == 0 => ok("search", "there is nothing to find yet"),
        Condition::Absent => note("there is no index yet".to_owned(), "the next search makes it, and so does `meno reindex`"),
        Condition::InMemory => ok("search", "made in memory where it is needed; the index on disk was not checked"),
        Condition::Stale => {
            bad("search", CheckStatus::Warning, "texts in the index were forgotten", "`meno reindex` makes it anew without them")
        }
        Condition::Broken(why) => bad("search", CheckStatus::Problem, format!("the index cannot be read: {why}"), REINDEX),
        Condition::Read { .. } if !index.is_ours => {
            bad("search", CheckStatus::Warning, "the index is of another log, or of another form", REINDEX)
        }
        Condition::Read { seen, runs } if seen.seq < index.head => {
            let behind = words::plural(index.head - seen.seq, "event");
            let found = format!("{runs} of {} indexed, {behind} behind the log", words::plural(index.runs, "run"));
            note(found, "the next search goes on with it, and so does `meno reindex`")
        }
        Condition::Read { runs, .. } if *runs < index.runs => {
            let found = format!("the index has seen all events, and only {runs} of {}", words::plural(index.runs, "run"));
            bad("search", CheckStatus::Problem, found, "`meno reindex --anew` rebuilds it; nothing is lost")
        }
        Condition::Read { runs, .. } => ok("search", format!("{} indexed, up to the log", words::plural(*runs, "run"))),
    }
}

/// When the whole store was audited last, as it notes.
fn of_audit(last: &LastAudit, head: u64) -> Check {
    match last {
        LastAudit::Never => {
            Check { hint: Some("`meno audit` verifies every event and payload".to_owned()), ..ok("audit", "none is noted") }
        }
        LastAudit::Noted(note) => {
            let since = words::plural(head.saturating_sub(note.position), "event");
            let at = time::moment_of(&note.at, &jiff::tz::TimeZone::UTC);
            match note.violations {
                0 => ok("audit", format!("the last one, {at}, found nothing violated; {since} since")),
                violations => {
                    let found = format!("the last one, {at}, found {}", words::plural(violations, "violation"));
                    bad("audit", CheckStatus::Problem, found, "`meno audit` lists them, and notes when they are gone")
                }
            }
        }
        LastAudit::OfAnotherLog(note) => {
            let found = format!("event {} of the log is not the one that was audited last, {}", note.position, note.at);
            bad("audit", CheckStatus::Warning, found, "`meno audit --against SEAL` tells a rewritten log from a restored one")
        }
    }
}

const RESTORE: &str = "`meno doctor --repair` puts back what the index still has; the rest must come from a copy of the store";
const RESTORE_ELSEWHERE: &str =
    "what is lost must come from a copy of the store: `meno restore FILE --store DIR` makes one of a backup";
const REOPEN: &str = "the next process that opens the store puts it right: end the one that holds it, then try again";
const REIMPORT: &str = "move its folder away from `journal`, then `meno import events FILE` takes it in again";
const REBUILD: &str = "`meno rebuild` rebuilds it; nothing is lost";
const CLEAR: &str = "nothing in it is needed; `meno doctor --repair` removes it";
const KEEP: &str = "keep it until the journal is whole again: it may have what the journal lost";
const REINDEX: &str = "`meno reindex` rebuilds it; nothing is lost";
const READ_ONLY: &str =
    "reading, searching, auditing, exporting and `meno backup FILE` work; damage is reported and not restored";
const BACKUP: &str = "put the file back from a copy of the store; the event that names it still proves what it was";

fn of_settings(workspace: &Workspace, checks: &mut Vec<Check>) {
    let resolved = &workspace.resolved;
    for fault in &workspace.faults {
        let report = CliError::from(fault);
        let hint = report.hint.or_else(|| Some("correct the file; until then only this command works".to_owned()));
        checks.push(Check { name: "settings", state: CheckStatus::Problem, found: report.message, hint });
    }
    checks.push(match &resolved.choice {
        Choice::Made => ok("settings", "models are chosen"),
        Choice::Nothing { .. } => {
            bad("settings", CheckStatus::Warning, "no model is chosen yet", "`meno run TEMPLATE --preset simulated` needs no key")
        }
        Choice::Unusable(error) => {
            let report = CliError::from(error);
            Check { name: "settings", state: CheckStatus::Problem, found: report.message, hint: report.hint }
        }
    });
    let tiers: Vec<_> = Tier::ALL.into_iter().filter_map(|tier| resolved.settings.tiers.get(tier)).collect();
    let mut asked = Vec::new();
    for tier in &tiers {
        let Some(provider) = resolved.settings.providers.get(&tier.provider) else { continue };
        let Some(variable) = provider.api_key_env.as_deref().filter(|_| provider.auth != AuthScheme::None) else { continue };
        if asked.contains(&variable) {
            continue;
        }
        asked.push(variable);
        // Whether it is there; what it is, is nobody's concern.
        checks.push(if workspace.variables.get(variable).is_some() {
            ok("keys", format!("{variable} is set, for {}", tier.provider))
        } else {
            let found = format!("{variable} is not set, and {} needs it", tier.provider);
            bad("keys", CheckStatus::Warning, found, format!("`export {variable}=…`"))
        });
    }
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let used: Vec<(&str, &str)> = tiers.iter().map(|tier| (tier.provider.as_str(), tier.model.as_str())).collect();
    checks.push(match workspace.prices.stale(used.iter().copied(), today) {
        None => ok("prices", format!("{} rows, newest of {}", workspace.prices.rows().count(), workspace.prices.as_of())),
        Some(stale) => bad("prices", CheckStatus::Warning, stale, "`meno prices --update FILE` takes newer ones"),
    });
    for (provider, model) in used {
        if let Some(words) = workspace.prices.retiring(provider, model, today) {
            checks.push(bad(
                "prices",
                CheckStatus::Warning,
                words,
                "choose another model with `meno config tiers.TIER.model=MODEL`",
            ));
        }
    }
}

fn of_templates(workspace: &Workspace, checks: &mut Vec<Check>) {
    let entries = workspace.library.list();
    let broken: Vec<_> = entries.iter().filter(|entry| entry.template.is_none()).collect();
    if broken.is_empty() {
        checks.push(ok("templates", format!("{}, none broken", words::plural(entries.len() as u64, "template"))));
    }
    let file_of = |origin: &Origin| match origin {
        Origin::User(path) | Origin::File(path) => {
            format!("`meno validate-template {}` shows all its problems", words::argument(path))
        }
        Origin::BuiltIn => "mend the base agent; `meno list-templates --agents` names its file".to_owned(),
    };
    let why = |error: Option<&Problem>| error.map_or_else(|| "it cannot be read".to_owned(), ToString::to_string);
    for entry in broken {
        let said = format!("{} is broken: {}", entry.id, why(entry.first_error()));
        checks.push(bad("templates", CheckStatus::Warning, said, file_of(&entry.origin)));
    }
    for entry in workspace.library.list_agents().iter().filter(|entry| entry.agent.is_none()) {
        let said = format!("the base agent {} is broken: {}", entry.id, why(entry.first_error()));
        checks.push(bad("templates", CheckStatus::Warning, said, file_of(&entry.origin)));
    }
}

fn show(context: &mut Context, document: DoctorDocument) -> Result<()> {
    if context.out.json() {
        return context.out.document(&document);
    }
    for check in document.checks {
        let (style, word) = match check.state {
            CheckStatus::Ok => (GOOD, "ok"),
            CheckStatus::Warning => (WARN, "warning"),
            CheckStatus::Problem => (BAD, "problem"),
            CheckStatus::Damage => (BAD, "damage"),
        };
        let found = sanitize::line(&check.found).into_owned();
        let head = format!("{}  {:<10}  ", styled(style, format!("{word:<7}")), check.name);
        context.out.data(format!("{head}{found}"))?;
        if let Some(hint) = &check.hint {
            // As far in as what was found.
            context.out.data(format!("{:21}{}", "", styled(HINT, sanitize::line(hint))))?;
        }
    }
    Ok(())
}
