//! What can be typed about templates and base agents.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `list-templates`.
#[derive(Debug, Args)]
pub struct ListTemplatesArgs {
    /// List the base agents that rules may name
    #[arg(long)]
    pub agents: bool,
}

/// `show-template`.
#[derive(Debug, Args)]
pub struct ShowTemplateArgs {
    /// The template's id, or a path to its file
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
}

/// `template …`.
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// Write a commented template into the store
    New {
        /// The new template's id: a-z, 0-9, _ and -
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Add a checked template or base agent to the store
    Add {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `export-template`.
#[derive(Debug, Args)]
pub struct ExportTemplateArgs {
    /// The template's id
    #[arg(value_name = "TEMPLATE")]
    pub template: String,
    /// Take the base agent of that id instead
    #[arg(long)]
    pub agent: bool,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `validate-template`.
#[derive(Debug, Args)]
pub struct ValidateTemplateArgs {
    /// The files: templates and base agents
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}
