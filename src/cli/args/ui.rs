//! Arguments of `ui`.

use clap::Args;

/// What `ui` is given.
#[derive(Clone, Copy, Debug, Args)]
#[command(
    after_help = "The address that is printed lets one browser in, once. The page is served to this machine only, and nothing is fetched \
        from elsewhere. Ctrl-C ends it; runs that it started are paused then, and `meno resume RUN` continues them.\n\n\
        Examples:\n  meno ui\n  meno ui --read-only --no-open --port 8080"
)]
pub struct UiArgs {
    /// Use this port [default: 4690, or any that is free]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Print the address without opening a browser
    #[arg(long)]
    pub no_open: bool,
    /// Show everything and change nothing
    #[arg(long)]
    pub read_only: bool,
}
