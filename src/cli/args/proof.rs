//! Arguments of the commands that prove what happened: `audit`, `replay`, `diff`, `seal`.

use std::path::PathBuf;

use clap::Args;

use super::values::{RunRef, speed, whole};

/// `audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Follows the chain through every byte of the journal, then looks at every run: texts and payloads against their hashes, \
        costs against recorded prices, a failed verdict before every escalation, an end for every attempt, criteria judged again where that \
        needs no model, index and views against the log. What is not verifiable because a text was forgotten is counted apart. Nothing is \
        changed, and a store on read-only media can be audited. Ends with 4 when something is violated.\n\n\
        --report says of each run who, when, which models and answers, what it cost and how it was judged. --signer takes a .pub file, \
        or OpenSSH's allowed_signers.\n\n\
        Examples:\n  meno audit\n  meno audit last --json\n  meno audit --against seal.json --report audit.md\n  \
        meno audit --against seal.json --signer auditor.pub"
)]
pub struct AuditArgs {
    /// Only this run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN", conflicts_with = "all")]
    pub run: Option<RunRef>,
    /// Audit all runs, as without RUN
    #[arg(long)]
    pub all: bool,
    /// Compare the log with a seal stored elsewhere
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Accept only a seal signed by a key in FILE
    #[arg(long, value_name = "FILE", requires = "against")]
    pub signer: Option<PathBuf>,
    /// Write a report: Markdown, or JSON to FILE.json
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// `replay`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --verify: prints a run's events as they happened. With --verify: repeats every decision of the run, \
        from the template, settings, prices, answers and replies that it recorded, and shows the first event that comes out \
        differently; ends with 4 then. No model is called and nothing is paid. --from takes what `meno export DIR`, \
        `meno events last --json` or `meno run … --json` wrote.\n\n\
        Examples:\n  meno replay last\n  meno replay last --speed 10\n  meno replay last --at 42\n  meno replay --verify --all\n  \
        meno events last --json > saved.jsonl && meno replay --verify --from saved.jsonl"
)]
pub struct ReplayArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "RUN", required_unless_present_any = ["all", "from"], conflicts_with = "all")]
    pub run: Option<RunRef>,
    /// Repeat every decision and compare
    #[arg(long, conflicts_with_all = ["speed", "step", "at"])]
    pub verify: bool,
    /// Verify all runs
    #[arg(long, requires = "verify")]
    pub all: bool,
    /// Verify saved runs instead of the store's
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "verify", conflicts_with_all = ["run", "all", "speed", "step", "at"])]
    pub from: Vec<PathBuf>,
    /// Wait between events as then, divided by FACTOR
    #[arg(long, value_name = "FACTOR", value_parser = speed, conflicts_with_all = ["step", "at"])]
    pub speed: Option<f64>,
    /// Wait for Enter before every event
    #[arg(long, conflicts_with = "at")]
    pub step: bool,
    /// Show the run at this position, or its Nth event
    #[arg(long, value_name = "SEQ", value_parser = whole::<u64>(1..))]
    pub at: Option<u64>,
}

/// `diff`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  meno diff last~1 last")]
pub struct DiffArgs {
    /// The first run: an id, its start or end, `last` or `last~N` of the own runs
    #[arg(value_name = "A")]
    pub a: RunRef,
    /// The second run
    #[arg(value_name = "B")]
    pub b: RunRef,
}

/// `seal`.
#[derive(Debug, Args)]
#[command(
    after_help = "A seal says which event stood last and what its hash was. Keep it where the store is not: `meno audit --against FILE` \
        finds a log that was cut before it, or rewritten. That the log was sealed is noted in the log. A signature says who sealed: it is \
        what `ssh-keygen -Y sign -n meno-seal` makes, and either checks the other's.\n\n\
        Examples:\n  meno seal -o ~/seals/2026-11.json\n  meno seal -o ~/seals/2026-11.json --sign ~/.ssh/id_ed25519"
)]
pub struct SealArgs {
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Sign with this OpenSSH ed25519 key, as FILE.sig
    #[arg(long, value_name = "KEY", requires = "output")]
    pub sign: Option<PathBuf>,
}
