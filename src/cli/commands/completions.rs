//! `meno completions SHELL`: what a shell needs to complete commands, options, and what the store has.

use clap_complete::env::Shells;

use crate::cli::args::CompletionsArgs;
use crate::cli::completion::VARIABLE;
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};

/// Prints the script of a shell to stdout: it asks this program while somebody types.
///
/// # Errors
/// When stdout cannot be written.
pub fn run(context: &mut Context, args: &CompletionsArgs) -> Result<Exit> {
    let (shells, shell) = (Shells::builtins(), args.shell.to_string());
    let shell = shells.completer(&shell).ok_or_else(|| CliError::fault(format!("there are no completions for {shell}")))?;
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, "meno", "meno", "meno", &mut script);
    written.map_err(|error| CliError::fault("the completions cannot be written").source(&error))?;
    let script = String::from_utf8(script).map_err(|error| CliError::fault("the completions are not text").source(&error))?;
    context.out.text(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use clap_complete::Shell;

    use super::*;
    use crate::cli::output::capture::Captured;
    use crate::cli::output::{OutputOptions, Printer};

    #[test]
    fn every_shell_gets_a_script_that_asks_the_program() {
        for &shell in Shell::value_variants() {
            let data = Captured::default();
            let mut context = Context::with(Printer::to(OutputOptions::default(), data.clone(), Vec::new(), None));
            assert_eq!(run(&mut context, &CompletionsArgs { shell }), Ok(Exit::Done));
            assert!(data.text().contains(VARIABLE), "{shell}");
        }
    }
}
