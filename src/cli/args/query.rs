//! Lets a query begin with `-`: what is no option of a command that takes one goes behind `--` before the words are read.

use std::ffi::{OsStr, OsString};

use clap::{Arg, CommandFactory};

use super::Cli;

/// Commands whose words are a query.
const COMMANDS: [&str; 2] = ["search", "suggest"];

/// Returns the words as typed, the program's own name first, with those of a query behind `--`.
pub fn protect(words: Vec<OsString>) -> Vec<OsString> {
    // Building the whole command line takes longer than most commands.
    if !words.iter().any(|word| COMMANDS.iter().any(|command| word == command)) {
        return words;
    }
    let mut program = Cli::command();
    program.build();
    let Some(at) = command_at(&program, &words) else { return words };
    let name = words.get(at).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(command) = program.get_subcommands().find(|command| command.get_name() == name) else { return words };
    if !COMMANDS.contains(&name.as_str()) {
        return words;
    }
    let mut kept: Vec<OsString> = words.get(..=at).unwrap_or_default().to_vec();
    let mut query: Vec<OsString> = Vec::new();
    let mut rest = words.into_iter().skip(at + 1);
    while let Some(word) = rest.next() {
        if word == "--" {
            query.extend(rest);
            break;
        }
        match option(command, &word) {
            Some(Takes::Nothing) => kept.push(word),
            Some(Takes::TheNext) => {
                kept.push(word);
                kept.extend(rest.next());
            }
            None => query.push(word),
        }
    }
    if !query.is_empty() {
        kept.push(OsString::from("--"));
        kept.append(&mut query);
    }
    kept
}

/// Returns the place of the command's name, behind options of the program.
fn command_at(program: &clap::Command, words: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word = words.get(at)?;
        at += match option(program, word) {
            Some(Takes::Nothing) => 1,
            Some(Takes::TheNext) => 2,
            None => return (word != "--").then_some(at),
        };
    }
}

/// What an option takes besides its own word.
enum Takes {
    Nothing,
    TheNext,
}

/// Reads a word as an option; `None` when it is none.
fn option(command: &clap::Command, word: &OsStr) -> Option<Takes> {
    let word = word.to_str()?;
    let takes_value = |arg: &Arg| arg.get_action().takes_values();
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(name))?;
        return Some(if takes_value(arg) && value.is_none() { Takes::TheNext } else { Takes::Nothing });
    }
    let mut short = word.strip_prefix('-')?.chars();
    while let Some(c) = short.next() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(c))?;
        if takes_value(arg) {
            let value = short.as_str();
            // `-n5` and `-n=5` are options, `-noise` is a word that must not occur.
            let is_number = value.trim_start_matches('=').chars().all(|c| c.is_ascii_digit());
            return is_number.then_some(if value.is_empty() { Takes::TheNext } else { Takes::Nothing });
        }
    }
    (word.len() > 1).then_some(Takes::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(words: &str) -> String {
        let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        protect(words).iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_query_may_begin_with_a_hyphen_wherever_options_stand() {
        for (typed, read) in [
            ("meno search -draft", "meno search -- -draft"),
            ("meno search -status:failed --limit 3 -noise", "meno search --limit 3 -- -status:failed -noise"),
            ("meno --store s search -n5 a --explain", "meno --store s search -n5 --explain -- a"),
            ("meno search -n 5 -qv -x", "meno search -n 5 -qv -- -x"),
            ("meno search --limit=2 --nothing -- --json", "meno search --limit=2 -- --nothing --json"),
            ("meno search - -5", "meno search -- - -5"),
            ("meno search --help", "meno search --help"),
            ("meno list-runs -s failed", "meno list-runs -s failed"),
            ("meno run search --set a=b", "meno run search --set a=b"),
            ("meno", "meno"),
        ] {
            assert_eq!(protected(typed), read, "{typed}");
        }
    }
}
