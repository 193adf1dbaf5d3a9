//! What the rooms below report, in the words and with the hints of the command line.

use super::commands::run::wrong;
use super::error::{CliError, Exit};
use super::output::sanitize;
use crate::domain::run::Refusal;
use crate::executor::StreamError;
use crate::lake::remote::RemoteError;
use crate::lake::tables::files::LakeError;
use crate::settings;
use crate::store::{Unwritable, backup, transfer};
use crate::workspace::proof::signing::SignError;
use crate::workspace::runs::saved::SavedError;
use crate::workspace::{
    self, FindError, ForgetError, ForkError, HandOverError, ImportError, LogsError, McpError, ModelsError, NoteError, RekeyError,
    ResumeError, StartError, SyncError, TablesError,
};

impl From<&settings::Error> for CliError {
    fn from(error: &settings::Error) -> Self {
        if let settings::Error::Write { path, source } = error {
            return match Unwritable::of(source) {
                Some(why) => Self::unwritable(error.to_string(), why),
                None => Self::cannot_write(path, source),
            };
        }
        let report = Self::new("settings", Exit::Mendable, error.to_string());
        match error.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

impl From<settings::Error> for CliError {
    fn from(error: settings::Error) -> Self {
        Self::from(&error)
    }
}

impl From<workspace::Error> for CliError {
    fn from(error: workspace::Error) -> Self {
        match error {
            workspace::Error::Settings(error) => error.into(),
            workspace::Error::Store(error) => error.into(),
            workspace::Error::Prices { .. } => Self::new("prices", Exit::Mendable, error.to_string())
                .hint("`meno prices --json` shows the form of a price table"),
            workspace::Error::Io { .. } => Self::new("io", Exit::Mendable, error.to_string()),
        }
    }
}

impl From<FindError> for CliError {
    fn from(error: FindError) -> Self {
        let message = error.to_string();
        match error {
            FindError::Store(error) => error.into(),
            FindError::NotFound(_) => Self::new("run_not_found", Exit::Mendable, message).hint("`meno list-runs` shows the runs"),
            FindError::TooFew { own: 0, others: 0, .. } => Self::new("run_not_found", Exit::Mendable, message)
                .hint("`meno list-templates` shows what can be run, `meno run TEMPLATE` begins one"),
            FindError::TooFew { own: 0, .. } => Self::new("run_not_found", Exit::Mendable, message)
                .hint("name one by its id, or four characters of its end: `meno list-runs` shows them"),
            FindError::TooFew { .. } => {
                Self::new("run_not_found", Exit::Mendable, message).hint("`meno list-runs` shows the runs")
            }
            FindError::Ambiguous { .. } => Self::new("run_ambiguous", Exit::Mendable, message).hint("use more letters of its id"),
            FindError::Imported { .. } => {
                Self::refused(message).hint("do it in the store that it is of, then export and import again")
            }
            FindError::Malformed(_) => {
                Self::new("run_reference", Exit::Mendable, message).hint("`meno list-runs` shows the runs")
            }
        }
    }
}

impl From<NoteError> for CliError {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Store(error) => error.into(),
            NoteError::TooLong => {
                Self::invalid(error.to_string()).hint("give long texts to a run as input: `meno run TEMPLATE --input ID=PATH`")
            }
        }
    }
}

impl From<ImportError> for CliError {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        match error {
            ImportError::Store(error) => error.into(),
            ImportError::Read { .. } => {
                Self::new("io", Exit::Mendable, message).hint("what was read before is imported; import the file again to go on")
            }
            ImportError::Source => Self::invalid(message).hint("give a short name: `--source ci`"),
            ImportError::Busy { .. } => Self::new("import_busy", Exit::Mendable, message).hint("wait until it has ended"),
        }
    }
}

impl From<backup::Error> for CliError {
    fn from(error: backup::Error) -> Self {
        use backup::Error;
        let message = error.to_string();
        match error {
            Error::Store(error) => error.into(),
            Error::Exists(_) => Self::new("exists", Exit::Mendable, message).hint("give another name"),
            Error::Busy(_) => Self::new("busy", Exit::Mendable, message).hint("wait until it has ended"),
            Error::Unsound { .. } => Self::new("backup_unsound", Exit::Violation, message)
                .hint("nothing was restored; use another copy of it, or an older backup"),
            Error::NotWhole { .. } => Self::new("backup_unsound", Exit::Violation, message)
                .hint("nothing was kept of it; `meno doctor` says what is damaged in the store"),
            Error::Newer { .. } => {
                Self::new("backup_newer", Exit::Mendable, message).hint("use the version of meno that wrote it, or a newer one")
            }
            Error::NotEmpty { .. } => Self::new("store_not_empty", Exit::Mendable, message)
                .hint("restore into a new folder: `meno restore FILE --store DIR`"),
            Error::Write { path, source } => Self::cannot_write(&path, &source),
            _ => Self::new("io", Exit::Mendable, message),
        }
    }
}

impl From<HandOverError> for CliError {
    fn from(error: HandOverError) -> Self {
        let message = error.to_string();
        match error {
            HandOverError::Store(error) => error.into(),
            HandOverError::Archive(error) => error.into(),
            HandOverError::File { source: transfer::Error::OtherChain(_), .. } => {
                Self::new("events_other_chain", Exit::Violation, message)
                    .hint("one of them was restored and continued, or rewritten; import it into a new store: `--store DIR`")
            }
            HandOverError::File { source: transfer::Error::Unsound { .. }, .. } => {
                Self::new("events_unsound", Exit::Violation, message).hint("nothing was imported; ask for the file again")
            }
            HandOverError::File { source: transfer::Error::Newer(_), .. } => {
                Self::new("events_newer", Exit::Mendable, message).hint("use the version of meno that wrote them, or a newer one")
            }
            // Nobody reads stdout any more.
            HandOverError::File { source: transfer::Error::Io(error), .. } if error.kind() == std::io::ErrorKind::BrokenPipe => {
                error.into()
            }
            HandOverError::File { .. } => Self::new("io", Exit::Mendable, message),
            HandOverError::NoFiles(_) => {
                Self::new("not_found", Exit::Mendable, message).hint("`meno export DIR` writes such files")
            }
            HandOverError::Gap { .. } => Self::new("events_gap", Exit::Mendable, message).hint("import the earlier files first"),
            HandOverError::Busy { .. } => Self::new("import_busy", Exit::Mendable, message).hint("wait until it has ended"),
        }
    }
}

/// The variables that most credentials of object stores come from.
const CREDENTIALS: &str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, GOOGLE_APPLICATION_CREDENTIALS for gs://, \
    AZURE_STORAGE_ACCOUNT_KEY for az://";

impl From<RemoteError> for CliError {
    fn from(error: RemoteError) -> Self {
        let message = error.to_string();
        match error {
            RemoteError::Address { .. } => Self::new("remote_address", Exit::Mendable, message)
                .hint("a folder that is there, or a URL like `s3://bucket/path`; credentials come from the environment"),
            RemoteError::Missing { .. } => Self::new("remote_missing", Exit::Mendable, message)
                .hint("make the bucket or container, or mend the address: `s3://bucket/path`"),
            RemoteError::NoCredentials { .. } => {
                Self::new("remote_denied", Exit::Mendable, message).hint(format!("set them in the environment: {CREDENTIALS}"))
            }
            RemoteError::Denied { .. } => Self::new("remote_denied", Exit::Mendable, message)
                .hint(format!("credentials come from the environment: {CREDENTIALS}")),
            RemoteError::Silent { .. } => Self::new("remote_silent", Exit::Mendable, message)
                .hint("see whether it is up and can be reached from here, then run the command again: what was done stays"),
            _ => Self::new("remote_failed", Exit::Mendable, message).hint("try again: what was done stays, and the rest follows"),
        }
    }
}

impl From<SyncError> for CliError {
    fn from(error: SyncError) -> Self {
        let message = error.to_string();
        match error {
            SyncError::Remote(error) => error.into(),
            SyncError::HandOver(error) => error.into(),
            SyncError::Store(error) => error.into(),
            SyncError::TwoHistories { .. } => Self::new("two_histories", Exit::Violation, message)
                .hint("a store was copied and both copies went on; `meno export DIR` hands one of them to a store of its own"),
            SyncError::Tampered { .. } => Self::new("remote_tampered", Exit::Violation, message)
                .hint("nothing of it was taken in; ask whoever pushed it to push to another place"),
            SyncError::Behind { .. } => Self::new("store_behind", Exit::Mendable, message)
                .hint("`meno pull URL` brings the store up to what was pushed before"),
            SyncError::Newer { .. } => {
                Self::new("remote_newer", Exit::Mendable, message).hint("use the version of meno that wrote it, or a newer one")
            }
            SyncError::Busy { .. } => Self::new("pull_busy", Exit::Mendable, message).hint("wait until it has ended"),
            SyncError::Outrun(_) => Self::new("push_busy", Exit::Mendable, message).hint("try again when the others are done"),
        }
    }
}

impl From<LogsError> for CliError {
    fn from(error: LogsError) -> Self {
        let message = error.to_string();
        match error {
            LogsError::Store(error) => error.into(),
            LogsError::Unknown { known, .. } if known.is_empty() => {
                Self::new("not_found", Exit::Mendable, message).hint("no other store's log is here: `meno pull URL` brings them")
            }
            LogsError::Unknown { known, .. } => Self::new("not_found", Exit::Mendable, message)
                .hint(format!("`own` names this store's; the others are {}", known.join(", "))),
        }
    }
}

impl From<TablesError> for CliError {
    fn from(error: TablesError) -> Self {
        let message = error.to_string();
        match error {
            TablesError::Store(error) => error.into(),
            TablesError::Lake(LakeError::Remote(error)) => error.into(),
            TablesError::Lake(LakeError::OtherVersion { .. }) => Self::new("lake_version", Exit::Mendable, message)
                .hint("use the newer version of Meno, or export into another folder"),
            TablesError::Lake(LakeError::Io { .. }) => Self::new("io", Exit::Mendable, message)
                .hint("choose a folder that can be written; what was exported before stays and counts"),
            TablesError::Remote(error) => error.into(),
            TablesError::Busy(_) => Self::new("busy", Exit::Mendable, message).hint("wait until it has ended"),
            TablesError::Behind { .. } => Self::new("lake_ahead", Exit::Mendable, message)
                .hint("the store was restored from an older backup: export into another folder"),
            TablesError::Rows(_) => Self::fault(message),
        }
    }
}

impl From<ForgetError> for CliError {
    fn from(error: ForgetError) -> Self {
        let message = error.to_string();
        match error {
            ForgetError::Store(error) => error.into(),
            ForgetError::Open(run) => Self::new("run_open", Exit::Mendable, message).hint(format!("`meno cancel {run}` ends it")),
            ForgetError::Busy { .. } => Self::new("busy", Exit::Mendable, message).hint("wait until it has ended"),
            ForgetError::NotYet(_) => Self::new("not_forgotten_yet", Exit::Unreachable, message)
                .hint("the next opening of the store tries again; `meno doctor` says what is in the way"),
            ForgetError::Index(_) => Self::new("index_not_cleared", Exit::Unreachable, message)
                .hint("`meno reindex` clears it as soon as no other process is changing it"),
        }
    }
}

impl From<StreamError> for CliError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Refused(refusal) => refusal.into(),
            StreamError::Store(error) => error.into(),
        }
    }
}

impl From<Refusal> for CliError {
    fn from(refusal: Refusal) -> Self {
        let report = Self::new("refused", Exit::Mendable, refusal.to_string());
        match refusal {
            Refusal::NoAgents { because } => because
                .into_iter()
                .fold(report, |report, (role, why)| report.cause(format!("`{role}`: {why}")))
                .hint("change the answers; `--dry-run` shows why each rule does or does not hold"),
            Refusal::FormIncomplete(_) => report.hint("answer with `--set ID=VALUE` or `--answers FILE`"),
            Refusal::TierWithoutModel { tier, .. } => {
                report.hint(format!("set `tiers.{tier}.provider` and `tiers.{tier}.model`, or choose `--preset`"))
            }
            Refusal::Ended("failed") => report.hint("`meno resume RUN --retry-failed` lets failed agents start again"),
            Refusal::Ended(_) => report.hint("`meno show-run RUN` shows how it went"),
            Refusal::Suspended => report.hint("`meno resume RUN` goes on"),
            Refusal::BudgetSpent { .. } => report.hint("give a larger `--budget`; `meno show-run RUN` shows the costs"),
            _ => report,
        }
    }
}

impl From<McpError> for CliError {
    fn from(error: McpError) -> Self {
        let message = sanitize::line(&error.to_string()).into_owned();
        match error {
            McpError::Fault(fault) => Self::new("mcp_server", Exit::Mendable, message)
                .hint(format!("`meno config` shows `mcp.{}`; `meno mcp tools {}` tries it alone", fault.server, fault.server)),
            McpError::Changed { server, .. } => Self::new("mcp_server_changed", Exit::Mendable, message)
                .hint(format!("look at it with `meno mcp tools {server}`, then `meno mcp allow {server}`")),
            McpError::Unknown { name, known } => {
                let how = format!("it is named by `command` under [mcp.{}] in config.toml", sanitize::line(&name));
                Self::not_found(message).suggest(&name, known.iter().map(String::as_str), &how)
            }
            McpError::List(error) => error.into(),
            McpError::Store(error) => error.into(),
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        let message = error.to_string();
        match error {
            StartError::Refused(refusal) => refusal.into(),
            StartError::Unconfined(_) => Self::new("unconfined", Exit::Mendable, message)
                .hint("set `sandbox = \"auto\"` under [tools] to run with what this system can"),
            StartError::Store(error) => error.into(),
            StartError::Answers(problems) => wrong(&problems),
            StartError::UnknownTemplate { id, nearest } => {
                let report = Self::not_found(format!("template `{}` is not known", sanitize::line(&id)))
                    .cause("looked in: the store's templates, the built-in ones");
                let all = "`meno list-templates` shows all";
                report.hint(nearest.map_or_else(|| all.to_owned(), |near| format!("did you mean `{near}`? {all}")))
            }
            StartError::UnreadableTemplate { id, source } => {
                Self::invalid(format!("template `{}` cannot be read", sanitize::line(&id))).source(&source)
            }
            StartError::Broken { id, .. } => Self::new("template_broken", Exit::Mendable, message).hint(format!(
                "`meno export-template {id} -o FILE` writes its text, `meno validate-template FILE` shows all its problems"
            )),
            StartError::TierWithoutModel { tier, .. } => Self::new("tier_without_model", Exit::Mendable, message).hint(format!(
                "set `tiers.{tier}.provider` and `tiers.{tier}.model`, or choose another `--preset` or `--strategy`"
            )),
            StartError::ModelNotReady(_) => Self::new("model_not_ready", Exit::Mendable, message)
                .hint("`meno config` shows the settings; `--preset simulated` needs no model"),
            StartError::PromptTooLarge { tier, .. } => Self::new("prompt_too_large", Exit::Mendable, message).hint(format!(
                "give less material, or a model with a larger window: `tiers.{tier}.model`, and `tiers.{tier}.context_tokens` where the price table does not know it"
            )),
            StartError::MaterialMissing(_) => Self::new("material_missing", Exit::Mendable, message)
                .hint("give it, or say `--no-material` to let the agents work without it"),
            StartError::Mcp(error) => error.into(),
            StartError::Input(_) => {
                Self::new("input", Exit::Mendable, message).hint("`meno show-template TEMPLATE` lists the inputs it takes")
            }
        }
    }
}

impl From<ModelsError> for CliError {
    fn from(error: ModelsError) -> Self {
        match error {
            ModelsError::Mcp(error) => error.into(),
            ModelsError::Store(error) => error.into(),
            error => Self::new("script", Exit::Mendable, error.to_string()).hint("correct it, or empty `simulated.script`"),
        }
    }
}

impl From<SavedError> for CliError {
    fn from(error: SavedError) -> Self {
        let exit = match &error {
            SavedError::Export { .. } => Exit::Violation,
            _ => Exit::Mendable,
        };
        Self::new("saved_runs", exit, error.to_string())
            .hint("save runs with `meno export DIR`, or one with `meno events last --json > FILE`")
    }
}

#[cfg(not(feature = "signing"))]
impl From<SignError> for CliError {
    fn from(error: SignError) -> Self {
        Self::new("signature", Exit::Mendable, error.to_string())
    }
}

#[cfg(feature = "signing")]
impl From<SignError> for CliError {
    fn from(error: SignError) -> Self {
        let exit = match error {
            // Whoever takes a signature away must not get off more lightly than who forges one.
            SignError::Unsigned(_) | SignError::NoSignature { .. } => Exit::Violation,
            _ => Exit::Mendable,
        };
        let report = Self::new("signature", exit, error.to_string());
        match error {
            SignError::NoKey { .. } => report.hint("`ssh-keygen -t ed25519 -f KEY` makes one"),
            SignError::NoPassphrase(_) => {
                report.hint("run it on a terminal, or sign with `ssh-keygen -Y sign -n meno-seal -f KEY FILE`")
            }
            SignError::WrongPassphrase(_) => report.hint("try again; nothing was sealed"),
            SignError::Io { .. } | SignError::Unsigned(_) | SignError::NoSignature { .. } => {
                report.hint("the signature of a seal lies beside it as FILE.sig; `meno seal -o FILE --sign KEY` writes it")
            }
            SignError::NoSigners(_) => report.hint("give the signer's .pub file, or a file of lines `NAME ssh-ed25519 KEY`"),
        }
    }
}

impl From<RekeyError> for CliError {
    fn from(error: RekeyError) -> Self {
        let message = error.to_string();
        match error {
            RekeyError::Store(error) => error.into(),
            RekeyError::Settings(error) => error.into(),
            RekeyError::Key(_) => Self::new("key", Exit::Mendable, message)
                .hint("`meno doctor` shows where the key is looked for; `meno rekey --key-file FILE --generate` makes a new one"),
            RekeyError::Unfinished(_) => {
                Self::new("settings", Exit::Mendable, message).hint("keep both keys until `meno rekey` has ended well")
            }
            RekeyError::Left(_) => Self::new("key", Exit::Mendable, message)
                .hint("everything else is done; make that key available, then `meno rekey` goes on"),
            RekeyError::Untrusted(_) => {
                Self::new("untrusted", Exit::Mendable, message).hint("look at its config.toml, then `meno trust` it")
            }
            RekeyError::InUse { .. } => Self::new("busy", Exit::Mendable, message)
                .hint("it would go on under the old key: end it (`meno serve`, a run, an import), then try again"),
            RekeyError::Executed(_) => Self::new("busy", Exit::Mendable, message)
                .hint("it would go on under the old key: wait for its end, or pause it with Ctrl-C"),
        }
    }
}

/// What may be given as `--at`.
pub fn at_hint(run: impl std::fmt::Display) -> String {
    format!(
        "`--at N` takes the number of one of its events, or a position of the log from its first on; `meno events {run}` shows these"
    )
}

impl From<ForkError> for CliError {
    fn from(error: ForkError) -> Self {
        let message = error.to_string();
        match error {
            ForkError::Gone(ResumeError::Forgotten { run, part: "earlier text" }) => Self::new(
                "cannot_fork",
                Exit::Mendable,
                format!("run {run} cannot be continued: its texts were forgotten or not retained"),
            )
            .hint(format!("`meno rerun {run}` does all of it again, if its answers are kept")),
            ForkError::Gone(error) => error.into(),
            ForkError::ModelNotReady(error) => ResumeError::from(error).into(),
            ForkError::Refused(refusal) => refusal.into(),
            ForkError::Store(error) => error.into(),
            ForkError::TooEarly { run, .. } => Self::new("fork_position", Exit::Mendable, message).hint(at_hint(run)),
            ForkError::Ended { last, .. } => Self::new("fork_position", Exit::Mendable, message)
                .hint(format!("its last position before that is {last}; `--agent ROLE` repeats a role")),
            ForkError::NoSuchAgent { role, known, run } => Self::new("not_found", Exit::Mendable, message)
                .cause(format!("it has: {}", known.join(", ")))
                .suggest(&role, known.iter().map(String::as_str), &format!("`meno show-run {run}` shows its team")),
            ForkError::OthersFailed { run, role, .. } => {
                Self::refused(message).hint(format!("`meno fork {run} --agent '{role}' --retry-failed` lets them work anew too"))
            }
            ForkError::Redacted { run, .. } => Self::refused(message).hint(format!("`meno rerun {run}` repeats all agents")),
            ForkError::NoTeam(run) => {
                Self::new("no_team", Exit::Mendable, message).hint(format!("`meno resume {run}` continues the form"))
            }
        }
    }
}

impl From<ResumeError> for CliError {
    fn from(error: ResumeError) -> Self {
        let message = error.to_string();
        match error {
            ResumeError::Refused(refusal) => refusal.into(),
            ResumeError::Store(error) => error.into(),
            ResumeError::Mcp(error) => error.into(),
            ResumeError::NoSuchAgent { run, role, known } => Self::new("not_found", Exit::Mendable, message)
                .cause(format!("it has: {}", known.join(", ")))
                .suggest(&role, known.iter().map(String::as_str), &format!("`meno show-run {run}` shows its team")),
            ResumeError::ModelNotReady(_) => Self::new("model_not_ready", Exit::Mendable, message).hint(
                "nothing was stored: mend it and try again; a run keeps the models of its beginning, `meno config` shows today's",
            ),
            ResumeError::FolderGone { .. } => {
                Self::new("folder_gone", Exit::Mendable, message).hint("put the folder back, then resume the run again")
            }
            ResumeError::Locked { .. } => {
                Self::new("store_locked", Exit::Mendable, message).hint("`meno doctor` says where the key is looked for")
            }
            ResumeError::Forgotten { .. } | ResumeError::Unreadable { .. } | ResumeError::Imported(_) => {
                Self::new("cannot_resume", Exit::Mendable, message).hint("start a new run with `meno run TEMPLATE`")
            }
        }
    }
}
