//! The small vocabularies of event bodies. They only grow at the end: bodies hold a variant's number.

use serde::{Deserialize, Serialize};

use crate::domain::ids::{AgentNo, CallNo, Hash};
use crate::domain::money::NanoUsd;
use crate::domain::named::named_enums;
use crate::domain::text::Text;

named_enums! {
    /// Whether a run's models were real.
    Mode {
        /// Real models.
        Real = "real",
        /// The embedded simulation.
        Simulated = "simulated",
        /// Another system's run.
        Imported = "imported",
    }

    /// What to do when an agent is to escalate.
    Escalate {
        /// Climb.
        Auto = "auto",
        /// Ask a person.
        Ask = "ask",
        /// Never escalate.
        Never = "never",
    }

    /// Where an answer came from.
    AnswerSource {
        /// A person was asked.
        Asked = "asked",
        /// `--set`.
        Flag = "flag",
        /// `--answers`.
        File = "file",
        /// The template's default.
        Default = "default",
        /// The last run's answer, taken as default.
        LastRun = "last_run",
        /// A recommendation, taken as default.
        Recommended = "recommended",
        /// An environment variable, for secrets.
        Environment = "environment",
        /// Another system's record.
        Imported = "imported",
    }

    /// Kinds of material.
    InputKind {
        /// One file.
        File = "file",
        /// A folder.
        Dir = "dir",
        /// A text given directly.
        Text = "text",
    }

    /// Why a file or a folder was left out of the material.
    OmissionRule {
        /// A .gitignore or .ignore file names it.
        Ignored = "ignored",
        /// Its name begins with a dot.
        Hidden = "hidden",
        /// Files of its name usually hold secrets.
        Secret = "secret",
        /// It is larger than a file may be.
        TooLarge = "too_large",
        /// The input has as many files or bytes as it may have.
        Limit = "limit",
        /// It is no text in UTF-8.
        NotText = "not_text",
        /// It is a link, which may lead out of the folder.
        Link = "link",
        /// It cannot be read, or is no regular file.
        Unreadable = "unreadable",
    }

    /// What an agent's failure means for the run.
    OnFailure {
        /// The run fails.
        FailRun = "fail_run",
        /// The run goes on.
        Continue = "continue",
    }

    /// Who chose a tier.
    ChosenBy {
        /// The strategy's first tier.
        Strategy = "strategy",
        /// The agent's history.
        History = "history",
    }

    /// What a call is for.
    Purpose {
        /// The agent's task.
        Work = "work",
        /// Judging an attempt.
        Judge = "judge",
    }

    /// Why a model stopped.
    StopReason {
        /// It was done.
        End = "end",
        /// It wants tools to run.
        ToolUse = "tool_use",
        /// The output limit was reached.
        MaxTokens = "max_tokens",
        /// The context window was full.
        ContextFull = "context_full",
        /// The model refused.
        Refusal = "refusal",
        /// A filter of the provider stopped it.
        Filtered = "filtered",
        /// A stop sequence was met.
        StopSequence = "stop_sequence",
        /// Something this version does not know.
        Other = "other",
    }

    /// What kind of failure a call met; decides what happens next.
    ErrorClass {
        /// Connection, DNS or TLS failed, or the stream was cut.
        Connection = "connection",
        /// No byte came in time.
        Timeout = "timeout",
        /// The server answered 408, 409 or 5xx, 529 included.
        Server = "server",
        /// 429 that passes by waiting.
        RateLimit = "rate_limit",
        /// Money or quota is used up.
        Quota = "quota",
        /// The prompt does not fit the model's window.
        Context = "context",
        /// The key is missing or not accepted.
        Auth = "auth",
        /// The model does not exist.
        UnknownModel = "unknown_model",
        /// The request was refused as wrong.
        BadRequest = "bad_request",
        /// The reply could not be understood.
        BadReply = "bad_reply",
        /// Meno's own rules forbid the request.
        Forbidden = "forbidden",
    }

    /// How an attempt ended.
    AttemptOutcome {
        /// No criterion failed and there was no signal.
        Passed = "passed",
        /// Criteria or signals failed it.
        FailedCriteria = "failed_criteria",
        /// No usable reply.
        Error = "error",
        /// Dropped by Meno.
        Cancelled = "cancelled",
        /// Its process died.
        Lost = "lost",
    }

    /// What speaks against an attempt besides its criteria.
    Signal {
        /// The answer was empty.
        EmptyAnswer = "empty_answer",
        /// The model or its provider refused.
        Refusal = "refusal",
        /// The answer was cut off.
        Truncated = "truncated",
        /// Structured output could not be read.
        Malformed = "malformed",
        /// The prompt did not fit.
        ContextOverflow = "context_overflow",
        /// The tool turns were used up.
        ToolTurns = "tool_turns",
        /// The provider could not be reached.
        Unavailable = "unavailable",
        /// Money or quota was used up.
        Quota = "quota",
        /// The request was wrong: key, model or parameters.
        Configuration = "configuration",
    }

    /// Why a tool did not do what it was asked.
    ToolFault {
        /// There is no such tool, or the agent does not have it.
        UnknownTool = "unknown_tool",
        /// The arguments are not JSON, or not of the tool's schema.
        BadArguments = "bad_arguments",
        /// It is not allowed: outside of the workspace, secret, or not on the allow-list.
        NotAllowed = "not_allowed",
        /// What it was asked about is not there, or cannot be used so.
        Failed = "failed",
        /// Its time was up.
        TimedOut = "timed_out",
        /// Meno stopped while it ran: whether it had finished is not known.
        Interrupted = "interrupted",
        /// The same call had failed before, so it was not run again.
        Repeated = "repeated",
    }

    /// Why a program was not run.
    NotRun {
        /// The settings do not allow it.
        NotAllowed = "not_allowed",
        /// It is not there.
        NotFound = "not_found",
        /// What the answer proposes cannot be applied.
        PatchFails = "patch_fails",
        /// There is no copy of the workspace for it.
        NoCopy = "no_copy",
    }

    /// A verdict on one criterion, or on all of them.
    Verdict {
        /// It holds.
        Pass = "pass",
        /// It does not hold.
        Fail = "fail",
        /// Nobody could tell.
        Unknown = "unknown",
    }

    /// How a cost came about.
    CostSource {
        /// From reported tokens and the price table.
        Computed = "computed",
        /// From estimated tokens and the price table.
        Estimated = "estimated",
        /// From another system.
        Imported = "imported",
    }

    /// Why an agent moves up.
    EscalationReason {
        /// Criteria failed.
        Criteria = "criteria",
        /// The answer was empty.
        EmptyAnswer = "empty_answer",
        /// The model refused.
        Refusal = "refusal",
        /// The answer was cut off.
        Truncated = "truncated",
        /// Structured output could not be read.
        Malformed = "malformed",
        /// The prompt did not fit.
        ContextOverflow = "context_overflow",
        /// The tool turns were used up.
        ToolTurns = "tool_turns",
        /// The tier's providers could not be reached.
        Unavailable = "unavailable",
        /// The tier's quota is used up.
        Quota = "quota",
    }

    /// Why an agent gave up.
    FailureReason {
        /// The last tier failed too.
        TiersExhausted = "tiers_exhausted",
        /// The next call does not fit a budget.
        Budget = "budget",
        /// Key, model or parameters are wrong.
        Configuration = "configuration",
        /// An escalation was denied.
        Denied = "denied",
        /// Climbing is switched off.
        NeverEscalate = "never_escalate",
        /// No tier has a window that is large enough.
        Context = "context",
        /// Another system's reason.
        Imported = "imported",
        /// What its criteria ask for is not allowed to it.
        NotAllowed = "not_allowed",
    }

    /// Why an agent never got its turn.
    SkipReason {
        /// Another agent's failure ended the run.
        RunFailed = "run_failed",
        /// The run was cancelled.
        Cancelled = "cancelled",
        /// Another system's reason.
        Imported = "imported",
    }

    /// Why a run failed.
    RunFailure {
        /// An agent failed whose failure counts.
        AgentFailed = "agent_failed",
        /// No agent succeeded.
        NothingSucceeded = "nothing_succeeded",
        /// Another system's reason.
        Imported = "imported",
    }

    /// Why a run stopped.
    SuspendReason {
        /// Ctrl-C or a signal.
        Interrupted = "interrupted",
        /// A person must allow an escalation.
        Approval = "approval",
        /// The form is not complete.
        Form = "form",
        /// The day's budget is used up.
        DayBudget = "day_budget",
        /// A person must say whether a tool had finished when Meno stopped.
        Tool = "tool",
    }

    /// Whether a tool had finished when Meno stopped.
    Resolution {
        /// It had: it does not run again.
        Done = "done",
        /// It had not: it runs again.
        NotDone = "not_done",
        /// That stays unknown: it does not run again, and the model is told.
        Unknown = "unknown",
    }

    /// How it is known whether a tool had finished.
    ResolvedBy {
        /// By the files that it was to change.
        Files = "files",
        /// A person said so.
        Person = "person",
        /// It does not matter: running it again changes nothing more.
        Effect = "effect",
    }

    /// Which private parts are forgotten.
    ForgottenParts {
        /// Answers.
        Answers = "answers",
        /// Outputs.
        Outputs = "outputs",
        /// All.
        All = "all",
    }
}

/// Who judged a criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgedBy {
    /// Meno's own code.
    Code,
    /// A judging model, in this call.
    Model(CallNo),
    /// Nobody: no judge was left, or a cheaper criterion had failed already.
    Nobody,
}

/// What a decision saw outside the log. What it is about, and hashes of what could be guessed, are private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// A file of the workspace.
    File {
        /// Before the attempt began.
        before: FileState,
        /// When its answer had come.
        after: FileState,
    },
    /// A program that was run.
    Command {
        /// Its exit code; `None` when a signal or its time limit ended it.
        exit: Option<i32>,
        /// Its time limit ended it.
        timed_out: bool,
        /// How long it ran, in milliseconds.
        latency_ms: u64,
        /// Bytes that it wrote, of which the private part may keep fewer.
        output_bytes: u64,
    },
    /// The day's budget, which all runs of the store share.
    DayBudget {
        /// What the day may hold.
        limit: NanoUsd,
        /// What was spent and set aside.
        used: NanoUsd,
        /// What was wanted besides.
        wanted: NanoUsd,
    },
    /// A program that a criterion asks for and that was not run.
    CommandNotRun {
        /// Why.
        why: NotRun,
    },
}

/// What a tool makes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// The file, relative to the workspace.
    pub path: String,
    /// Its content before; `None` when it was not there.
    pub original: Option<Text>,
    /// BLAKE3 of its content before; `None` when it was not there.
    pub before: Option<Hash>,
    /// BLAKE3 of its content afterwards; `None` when it is deleted.
    pub after: Option<Hash>,
    /// Its permission bits before; `None` when it was not there.
    pub mode: Option<u32>,
    /// How many folders above it are made for it.
    pub folders: u32,
}

/// How a file was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Nobody looked.
    Unseen,
    /// It was not there, not readable, or its path leads out of the workspace.
    Absent,
    /// It was there.
    Present {
        /// Its size.
        bytes: u64,
    },
}

/// A verdict that was reached in another run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct InheritedVerdict {
    /// The criterion's number within its agent.
    pub criterion: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// A judge's score, 0 to 1.
    pub score: Option<f64>,
    /// Who judged; a call is one of the run that made the attempt.
    pub by: JudgedBy,
}

/// Who wrote a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    /// The template's `report` text.
    Template,
    /// An agent whose base is `synthesizer`.
    Synthesizer(AgentNo),
    /// The outputs of the agents that nobody depends on, joined.
    Outputs,
    /// Another system.
    Imported,
}

impl ErrorClass {
    /// Tells whether the request itself was wrong: its key, its model, its parameters, or that Meno's own rules forbid it. Another try at
    /// another tier does not cure that.
    pub fn is_configuration(self) -> bool {
        matches!(self, Self::Auth | Self::UnknownModel | Self::BadRequest | Self::Forbidden)
    }

    /// Tells whether a provider that answered with `status`, if it did, may want to be paid for a request that failed so: it had taken the
    /// request, and what came of it is not known.
    pub fn may_be_charged(self, status: Option<u16>) -> bool {
        let is_taken = status.is_some_and(|status| (200..300).contains(&status));
        match self {
            Self::Timeout => is_taken || status.is_none(),
            Self::Connection | Self::BadReply => is_taken,
            _ => false,
        }
    }
}
