//! `backup`, `restore`: a store in one file, and back.

use std::path::PathBuf;

use clap::Args;

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
