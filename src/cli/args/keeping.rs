//! What a store keeps: `backup` and `restore`, `export`, `forget` and `purge`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::values::{Moment, RunRef, table};
use crate::lake::tables::Table;

/// `backup`.
#[derive(Debug, Args)]
#[command(after_help = "The file holds the whole log, payloads, templates and settings; indexes are rebuilt. Runs may continue \
        meanwhile: what they append after the start is not in it. It is read back and verified before it gets its name, and \
        `tar --zstd -tf FILE` lists it. Works from read-only media and a full disk, to another place.\n\nExamples:\n  meno backup ~/backups/meno-$(date +%F).tar.zst\n  \
        meno restore --check ~/backups/meno-2026-11-23.tar.zst")]
pub struct BackupArgs {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
#[command(after_help = "The store must not be there yet, or must be empty. Every byte of the file is verified first; \
        a damaged file restores nothing.\n\nExamples:\n  meno restore meno-2026-11-23.tar.zst --store ~/restored\n  \
        meno restore --check meno-2026-11-23.tar.zst")]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Verify the file and restore nothing
    #[arg(long)]
    pub check: bool,
}

/// `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --tables, jsonl is the log itself, bit for bit, with its payloads, as one file per export: a second export into the \
        same folder writes only what is new. `meno import events DIR` verifies such files and makes the same chain of them. Without private \
        parts (answers, prompts, outputs, notes) the chain and its head are the same and still verify: the form for an auditor.\n\n\
        Parquet and csv are tables for DuckDB, Polars, Spark and others: DIR/TABLE/v=1/date=YYYY-MM-DD/NODE-FIRST-LAST.parquet. They have \
        no text by a person, model or tool, but for the table `texts`, which --with-payloads adds. An export writes only what is new, a \
        file is there when it is whole, and many stores may export into one folder, or to one URL as `meno push URL` takes it. Columns: schemas/lake/.\n\n\
        Examples:\n  meno export lake --format parquet\n  meno export s3://team-lake/meno --format parquet\n  meno export handover\n  meno export for-audit --without-private\n  \
        meno export - | zstd > events.jsonl.zst"
)]
pub struct ExportArgs {
    /// The folder or, for tables, s3://bucket/path; `-` is stdout
    #[arg(value_name = "DIR|URL")]
    pub dir: PathBuf,
    /// Write jsonl (events, bit for bit), parquet or csv
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "jsonl", hide_possible_values = true)]
    pub format: ExportFormat,
    /// Write only these tables
    #[arg(long, value_name = "TABLES", value_delimiter = ',', value_parser = table())]
    pub tables: Vec<Table>,
    /// Write only what was recorded since: 2026-10-01, 7d, yesterday
    #[arg(long, value_name = "DATE")]
    pub since: Option<Moment>,
    /// Write only what was recorded until then
    #[arg(long, value_name = "DATE")]
    pub until: Option<Moment>,
    /// Include texts by people, models and tools
    #[arg(long, conflicts_with = "without_private")]
    pub with_payloads: bool,
    /// Leave out every text by a person, model or tool
    #[arg(long)]
    pub without_private: bool,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Tables as Parquet
    Parquet,
    /// Tables as CSV
    Csv,
    /// Events as JSON Lines, bit for bit; with --tables, tables
    Jsonl,
}

/// `push`.
#[derive(Debug, Args)]
#[command(
    after_help = "The log is pushed in parts that are never changed; the next push continues after them, also after one that was cut off. Any \
        number of stores push to one place. With encryption on the parts are encrypted under the store's key: a store that pulls \
        needs it. Credentials come from the environment: AWS_ACCESS_KEY_ID and the like, GOOGLE_APPLICATION_CREDENTIALS, \
        AZURE_STORAGE_ACCOUNT_NAME and the like.\n\n\
        With --format parquet the tables of `meno export DIR --format parquet` go there too, those files that are new; they have no text by people, models and \
        tools and are not encrypted.\n\n\
        Examples:\n  meno push team-lake\n  meno push s3://team-lake/meno --without-private\n  meno push s3://team-lake/meno --format parquet"
)]
pub struct PushArgs {
    /// A folder, or s3://BUCKET/PATH, gs://…, az://…, file:///…
    #[arg(value_name = "URL")]
    pub url: String,
    /// Leave out every text by a person, model or tool
    #[arg(long)]
    pub without_private: bool,
    /// Leave parts unencrypted although the store has a key
    #[arg(long)]
    pub unencrypted: bool,
    /// Push tables for other engines too: parquet
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Option<PushFormat>,
}

/// The forms in which a push writes tables beside the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PushFormat {
    /// Tables as Parquet
    Parquet,
}

/// `pull`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each log stays apart, as its own verified chain: its runs are listed, found and counted, and never changed. What was \
        tampered with is refused, the rest is stored.\n\n\
        Examples:\n  meno pull team-lake\n  meno pull s3://team-lake/meno\n  meno costs --by month,model --node own"
)]
pub struct PullArgs {
    /// A folder, or s3://BUCKET/PATH, gs://…, az://…, file:///…
    #[arg(value_name = "URL")]
    pub url: String,
}

/// `forget`.
#[derive(Debug, Args)]
#[command(
    after_help = "What is forgotten is gone from the log, the payloads and the search index; hashes, numbers and times stay, \
        and the log verifies as before. Backups, exports and copies elsewhere keep theirs. Outputs may quote answers and prompts quote \
        both: only --all leaves nothing.\n\nExamples:\n  meno forget last --outputs\n  meno forget 7QW2 --all --yes --why \"asked by the customer\""
)]
pub struct ForgetArgs {
    /// The run: an id, its start or end, `last` or `last~N` of the own runs; it must have ended
    #[arg(value_name = "RUN")]
    pub run: RunRef,
    /// Forget answers, inputs, and prompts made of them
    #[arg(long, group = "which")]
    pub answers: bool,
    /// Forget outputs, and prompts, evidence and reports that quote them
    #[arg(long, group = "which")]
    pub outputs: bool,
    /// Forget every text, labels and notes too; the default
    #[arg(long, group = "which")]
    pub all: bool,
    /// Forget the same of its forks, which hold copies
    #[arg(long)]
    pub with_forks: bool,
    /// Record this reason in the log
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub why: String,
    /// Skip confirmation; required without a terminal
    #[arg(short, long)]
    pub yes: bool,
}

/// `purge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Every text of these runs is forgotten, as by `meno forget last --all`; what they cost and how they went stays.\n\n\
        Examples:\n  meno purge --older-than 90d --dry-run\n  meno purge --older-than 2026-01-01 --yes"
)]
pub struct PurgeArgs {
    /// Forget runs ended before: 90d, 2026-10-01, RFC 3339
    #[arg(long, value_name = "AGE")]
    pub older_than: Moment,
    /// Show these runs and forget nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Skip confirmation; required without a terminal
    #[arg(short, long)]
    pub yes: bool,
}

/// `rekey`.
#[derive(Debug, Args)]
#[command(
    after_help = "Encrypted are the payloads: prompts, outputs, material and reports of more than 8 KiB, and the templates and settings \
        that runs recorded. Shorter texts are in the log itself, words are in the search index: for those there is encryption of the disk. \
        The store keeps only where the key is, in its config.toml; without the key everything but payloads works. Keep the key: there is no \
        way around it.\n\nExamples:\n  meno rekey --key-file ~/.config/meno/payloads.key --generate\n  \
        meno rekey --key-command secret-tool lookup meno payloads\n  meno rekey --off"
)]
pub struct RekeyArgs {
    /// Use the key in this file: hexadecimal or Base64
    #[arg(long, value_name = "FILE", group = "to")]
    pub key_file: Option<PathBuf>,
    /// Create the file with a new random key
    #[arg(long, requires = "key_file")]
    pub generate: bool,
    /// Use the key that this program prints
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true, group = "to")]
    pub key_command: Vec<String>,
    /// Decrypt everything and stop encrypting
    #[arg(long, group = "to")]
    pub off: bool,
}
