//! Arguments of `ui`.

use clap::Args;

use super::values::{dollars, whole};
use crate::domain::money::NanoUsd;

/// What `ui` is given.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The address that is printed lets one browser in, once. The page is served to this machine only, and nothing is fetched \
        from elsewhere. Ctrl-C ends it; runs that it started are paused then, and `meno resume RUN` continues them.\n\n\
        Clients of the Model Context Protocol find the store at /mcp, with the token that is printed, or that of MENO_MCP_TOKEN: \
        `meno mcp --print-config codex --url http://127.0.0.1:4690/mcp` prints their settings. Without --allow-run they only read.\n\n\
        Examples:\n  meno ui\n  meno ui --read-only --no-open --port 8080"
)]
pub struct UiArgs {
    /// Use this port [default: 4690, or any that is free]
    #[arg(long, value_name = "N", value_parser = whole::<u16>(0..=65_535))]
    pub port: Option<u16>,
    /// Print the address without opening a browser
    #[arg(long)]
    pub no_open: bool,
    /// Show everything and change nothing
    #[arg(long)]
    pub read_only: bool,
    /// Let MCP clients run templates and resume runs
    #[arg(long, conflicts_with = "read_only")]
    pub allow_run: bool,
    /// Limit what one run of an MCP client may cost
    #[arg(long, value_name = "USD", value_parser = dollars, requires = "allow_run")]
    pub budget: Option<NanoUsd>,
}
