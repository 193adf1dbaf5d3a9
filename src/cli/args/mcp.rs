//! `mcp`: the store as a server of the Model Context Protocol, and the servers whose tools agents use.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::values::dollars;
use crate::domain::money::NanoUsd;
use crate::mcp::client_config::Client;

/// `mcp`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A client starts this command and speaks to it over stdin and stdout. Without --allow-run it only reads: search, show_run, \
        read_text, list_runs, costs, recommend, suggest, list_templates, show_template, events. What a client reads it may send to \
        its model.\n\n\
        Servers whose tools agents use stand in config.toml, `[mcp.NAME] command = [...]`: agents list `mcp:NAME/TOOL` or `mcp:NAME/*`.\n\n\
        Examples:\n  meno mcp --print-config claude-code > .mcp.json\n  meno mcp --print-config codex --allow-run --budget 0.50"
)]
pub struct McpArgs {
    /// What to do instead
    #[command(subcommand)]
    pub command: Option<McpCommand>,
    /// Let clients run templates and resume runs
    #[arg(long)]
    pub allow_run: bool,
    /// Limit what one run of a client may cost
    #[arg(long, value_name = "USD", value_parser = dollars, requires = "allow_run")]
    pub budget: Option<NanoUsd>,
    /// Use these models for runs of clients
    #[arg(long, value_name = "PRESET", requires = "allow_run")]
    pub preset: Option<String>,
    /// Print what a client's settings need, and end
    #[arg(long, value_name = "CLIENT", value_parser = client(), hide_possible_values = true,
        help = "Print settings for claude-code, codex, vscode, zed or cursor")]
    pub print_config: Option<Client>,
    /// Print settings for this address of `meno ui`
    #[arg(long, value_name = "URL", requires = "print_config", conflicts_with_all = ["allow_run", "budget", "preset"])]
    pub url: Option<String>,
}

/// `mcp …`.
#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// Start a server of the settings and list its tools
    Tools(McpServerArgs),
    /// Allow a server's tools as they are now
    Allow(McpServerArgs),
}

/// `mcp tools`, `mcp allow`.
#[derive(Debug, Args)]
pub struct McpServerArgs {
    /// The server's name under `mcp` in config.toml
    #[arg(value_name = "NAME")]
    pub name: String,
}

fn client() -> impl TypedValueParser<Value = Client> {
    PossibleValuesParser::new(Client::ALL.map(|(name, _)| name)).try_map(|word| {
        // The parser before let only these words through.
        Client::ALL.iter().find(|(name, _)| *name == word).map(|(_, client)| *client).ok_or("not one of the words allowed")
    })
}
