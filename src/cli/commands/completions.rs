//! `meno completions SHELL`: what a shell needs to complete commands and options.

use clap::CommandFactory;

use crate::cli::args::{Cli, CompletionsArgs};
use crate::cli::context::Context;
use crate::cli::error::{Exit, Report, Result};

/// Prints the completions of a shell to stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "meno", &mut script);
    let script = String::from_utf8(script).map_err(|error| Report::fault("the completions are not text").source(&error))?;
    context.out.text(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;
    use crate::cli::output::capture::Captured;
    use crate::cli::output::{Look, Out};

    #[test]
    fn every_shell_gets_completions_that_know_the_commands() {
        for &shell in Shell::value_variants() {
            let data = Captured::default();
            let mut context = Context::with(Out::to(Look::default(), data.clone(), Vec::new(), None));
            assert_eq!(run(&mut context, &CompletionsArgs { shell }), Ok(Exit::Done));
            assert!(data.text().contains("list-runs"), "{shell}");
        }
    }
}
