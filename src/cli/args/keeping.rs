//! What a store keeps: `backup` and `restore`, `export`, `forget` and `purge`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `backup`.
#[derive(Debug, Args)]
#[command(
    after_help = "The file holds the whole log, the texts beside it, templates and settings; indexes are made again. Runs go on \
        meanwhile: what they append after the beginning is not in it. It is read back and verified before it gets its name, and \
        `tar --zstd -tf FILE` lists it.\n\nExamples:\n  meno backup ~/backups/meno-$(date +%F).tar.zst\n  \
        meno restore --check ~/backups/meno-2026-11-23.tar.zst"
)]
pub struct BackupArgs {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// `restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "The store must not be there yet, or nothing may have happened in it. Every byte of the file is verified first; \
        when one is not as it was written, nothing is restored.\n\nExamples:\n  meno restore meno-2026-11-23.tar.zst --store ~/restored\n  \
        meno restore --check meno-2026-11-23.tar.zst"
)]
pub struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only verify the file; restore nothing
    #[arg(long)]
    pub check: bool,
}

/// `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "The log is written bit for bit, with the texts beside it, as one file per export: a second export into the same \
        folder writes only what is new. `meno import events DIR` verifies such files and makes the same chain of them. Without private \
        parts (answers, prompts, outputs, notes) the chain and its head are the same and still verify: the form for an auditor.\n\n\
        Examples:\n  meno export handover\n  meno export for-audit --without-private\n  meno export - | zstd > events.jsonl.zst"
)]
pub struct ExportArgs {
    /// The folder to write to, made when it is not there; `-` writes everything to stdout
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// The form of the files
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "jsonl")]
    pub format: ExportFormat,
    /// Leave out every text that a person, a model or a tool wrote
    #[arg(long)]
    pub without_private: bool,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Events as JSON Lines, bit for bit
    Jsonl,
}
