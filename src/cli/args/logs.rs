//! Which logs a question is about, the same in every command that asks one.

use clap::Args;

use crate::views::run_list::LogFilter;

/// Which logs count.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArgs {
    /// Take only this pulled or imported log; `own` excludes all
    #[arg(long, value_name = "NODE")]
    pub node: Option<LogFilter>,
    /// Take only this store's own log
    #[arg(long, conflicts_with = "node")]
    pub own: bool,
}

impl LogArgs {
    /// Returns which logs are meant; all of them when nothing is said.
    pub fn filter(&self) -> LogFilter {
        if self.own { LogFilter::Own } else { self.node.clone().unwrap_or_default() }
    }
}
