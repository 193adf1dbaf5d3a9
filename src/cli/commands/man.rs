//! `meno man DIR`: one man page for the program and one for each command.

use std::fs;

use clap::CommandFactory;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::args::{Cli, ManArgs};
use crate::cli::context::Context;
use crate::cli::error::{CliError, Exit, Result};
use crate::cli::output::sanitize;

/// What `man --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "The man pages that were written, as `meno man --json` prints them")]
pub struct ManPages {
    /// The folder.
    pub dir: String,
    /// Names of the files in it, such as `meno-run.1`.
    pub pages: Vec<String>,
}

/// Writes the pages, over those of another version.
///
/// # Errors
/// When the folder cannot be made or a page cannot be written.
pub fn run(context: &mut Context, args: &ManArgs) -> Result<Exit> {
    let dir = args.dir.display().to_string();
    let write = || -> std::io::Result<Vec<String>> {
        fs::create_dir_all(&args.dir)?;
        let mut pages = Vec::new();
        for (name, text) in pages_of(Cli::command())? {
            fs::write(args.dir.join(&name), text)?;
            pages.push(name);
        }
        Ok(pages)
    };
    let pages = write().map_err(|error| {
        CliError::new("io", Exit::Mendable, format!("the man pages cannot be written to {dir}: {error}"))
            .hint("name a folder that you may write to, such as ~/.local/share/man/man1")
    })?;
    if context.out.json() {
        context.out.document(&ManPages { dir, pages })?;
    } else {
        context.out.say(format!("wrote {} pages to {}", pages.len(), sanitize::line(&dir)));
    }
    Ok(Exit::Done)
}

/// Returns the page of `command` and those of all commands below it, by file name.
fn pages_of(mut command: clap::Command) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut open = vec![command];
    while let Some(command) = open.pop() {
        let page = clap_mangen::Man::new(command.clone());
        let mut text = Vec::new();
        page.render(&mut text)?;
        pages.push((page.get_filename(), text));
        open.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
    }
    pages.sort();
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::capture::Captured;
    use crate::cli::output::{OutputOptions, Printer};

    #[test]
    fn every_command_has_a_page_with_its_options_and_examples() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = Captured::default();
        let look = OutputOptions { json: true, ..OutputOptions::default() };
        let mut context = Context::with(Printer::to(look, data.clone(), Vec::new(), None));
        let folder = dir.path().join("man1");
        assert_eq!(run(&mut context, &ManArgs { dir: folder.clone() }), Ok(Exit::Done));
        let told: serde_json::Value = serde_json::from_str(&data.text()).expect("JSON");
        let pages = told["pages"].as_array().expect("a list").len();
        assert_eq!(pages, fs::read_dir(&folder).expect("a folder").count());
        for command in Cli::command().get_subcommands() {
            assert!(folder.join(format!("meno-{}.1", command.get_name())).exists(), "{}", command.get_name());
        }
        let page = fs::read_to_string(folder.join("meno-model-fetch.1")).expect("a page of a command below a command");
        assert!(page.contains("meno\\-model\\-fetch") || page.contains("meno model fetch"), "{page}");
        let page = fs::read_to_string(folder.join("meno-man.1")).expect("a page");
        assert!(page.contains("DIR") && page.contains("man meno"), "{page}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        let mut context = Context::with(Printer::to(OutputOptions::default(), Vec::new(), Vec::new(), None));
        let failed = run(&mut context, &ManArgs { dir: file.clone() }).expect_err("it is a file");
        assert!(failed.message.contains(&file.display().to_string()), "{}", failed.message);
    }
}
