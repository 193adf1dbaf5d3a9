//! The command line: arguments in, words and JSON out.
//!
//! It knows people, terminals and exit codes; it knows nothing of how things are stored or which model answers, and calls
//! use cases only. Start with [`args`] (what can be typed), then `commands`; [`error`] is the one way in which a command
//! fails, [`output`] the one way out for text.

pub mod allocator;
pub mod args;
pub mod ask;
pub mod commands;
pub mod completion;
pub mod consent;
pub mod context;
pub mod error;
mod error_map;
pub mod form_fill;
pub mod open;
pub mod output;
pub mod preview;
pub mod progress;
pub mod render;
mod running;
pub mod stop;
pub mod trace;

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};

use clap::FromArgMatches;

use args::Cli;
use context::Context;
use error::{CliError, Exit, Result, install_panic_hook};
use output::{OutputOptions, Printer};

/// Runs the program with `words` as typed, the program's own name first. `known_panic` says which panics are expected and
/// turned into errors by those who cause them, so that they are not shown.
pub fn run(words: impl IntoIterator<Item = OsString>, known_panic: fn(&PanicHookInfo<'_>) -> bool) -> Exit {
    let words: Vec<OsString> = words.into_iter().collect();
    if completion::answer(&words) {
        return Exit::Done;
    }
    let words = args::query::protect(words);
    match parse(&words) {
        Ok(cli) => {
            install_panic_hook(cli.global.json, known_panic);
            // The panic has been shown by the hook; what it left half done is never looked at again.
            catch_unwind(AssertUnwindSafe(|| carry_out(cli))).unwrap_or(Exit::Fault)
        }
        Err(error) => misunderstood(&error, words.iter().any(|word| word == "--json")),
    }
}

/// Says why `words` (as typed, the program's own name first) cannot be typed; `None` when they can, or ask for help.
pub fn complaint(words: impl IntoIterator<Item = OsString>) -> Option<String> {
    let words = args::query::protect(words.into_iter().collect());
    parse(&words).err().filter(clap::Error::use_stderr).map(|error| error.to_string())
}

/// Reads the command line; help is laid out for the terminal.
fn parse(words: &[OsString]) -> std::result::Result<Cli, clap::Error> {
    let read = |words: &[OsString]| {
        let mut program = args::program().term_width(output::help_width());
        let mut matches = program.try_get_matches_from_mut(words)?;
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut program))
    };
    read(words).or_else(|error| match help_about_help(words).filter(|_| error.use_stderr()) {
        Some(words) => read(&words).map_err(|help| if help.use_stderr() { error } else { help }),
        None => Err(error),
    })
}

/// Returns what `help --help` means, for which clap knows no option: the help of the command `help`, or of what is named behind it.
fn help_about_help(words: &[OsString]) -> Option<Vec<OsString>> {
    let at = words.iter().position(|word| word == "help")?;
    let (before, behind) = words.split_at(at + 1);
    let mut named: Vec<OsString> = behind.iter().filter(|word| *word != "--help" && *word != "-h").cloned().collect();
    if named.len() == behind.len() {
        return None;
    }
    if named.is_empty() {
        named.push("help".into());
    }
    Some([before, &named[..]].concat())
}

fn carry_out(cli: Cli) -> Exit {
    let mut context = Context::new(cli.global);
    let result = start_trace(&context).and_then(|()| commands::dispatch(&mut context, cli.command));
    result.unwrap_or_else(|report| {
        context.out.error(&report);
        report.exit
    })
}

fn start_trace(context: &Context) -> Result<()> {
    let filter = context.variables.get("MENO_LOG");
    trace::start(filter.as_deref(), context.global.log_file.as_deref())?;
    allocator::trace(&context.variables);
    Ok(())
}

/// Shows help and version on stdout, usage errors on stderr.
fn misunderstood(error: &clap::Error, json: bool) -> Exit {
    if !error.use_stderr() {
        // Whoever closed the pipe has read enough of the help.
        let _ = error.print();
        return Exit::Done;
    }
    if json {
        let words = error.render().to_string();
        let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let mut report =
            CliError::usage(first.strip_prefix("error: ").unwrap_or(first)).hint("`meno --help` shows what can be typed");
        report.causes = lines.map(str::to_owned).filter(|line| !line.starts_with("For more information")).collect();
        Printer::new(OutputOptions { json: true, ..OutputOptions::default() }).error(&report);
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = parse(&words).unwrap_err();
        assert!(!error.use_stderr(), "{line}: {error}");
        error.to_string()
    }

    #[test]
    fn help_has_help_of_its_own() {
        assert!(help("meno help --help").contains("Usage: meno help"));
        assert_eq!(help("meno help run -h"), help("meno help run"));
        assert!(help("meno template help --help").contains("Usage: meno template help"));
        assert!(complaint(["meno", "frobnicate", "help", "--help"].map(OsString::from)).is_some());
        assert!(complaint(["meno", "help", "frobnicate", "--help"].map(OsString::from)).unwrap().contains("frobnicate"));
    }
}
