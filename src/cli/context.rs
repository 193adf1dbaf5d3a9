//! What every command is given besides its own arguments.

use std::io::IsTerminal;

use super::args::Global;
use super::output::{OutputOptions, Printer};
use crate::settings::Variables;

/// The surroundings of a command.
#[derive(Debug)]
pub struct Context {
    /// Where output goes.
    pub out: Printer,
    /// The options of every command.
    pub global: Global,
    /// Reads environment variables.
    pub variables: Variables,
}

impl Context {
    /// Opens the surroundings that the options ask for.
    pub fn new(global: Global) -> Self {
        let variables = Variables::of_process();
        let look = OutputOptions {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            color: global.color,
            zone: global.time_zone.clone(),
            zone_is_variable: variables.is_set("TZ"),
        };
        Self { out: Printer::new(look), global, variables }
    }

    /// Tells whether a person can be asked: there is one at a terminal that can move its cursor, and `--no-input` and `--json` were not
    /// given.
    ///
    /// Questions go to stderr, so stdout may be a pipe.
    pub fn can_ask(&self) -> bool {
        !self.global.no_input && !self.global.json && std::io::stdin().is_terminal() && self.out.can_redraw()
    }

    /// Makes surroundings for a test that print to `out`.
    #[cfg(test)]
    pub(crate) fn with(out: Printer) -> Self {
        use clap::Parser;
        let cli = super::args::Cli::try_parse_from(["meno", "rebuild", "--no-input"]).unwrap();
        Self { out, global: cli.global, variables: Variables::through(|_| None) }
    }
}
