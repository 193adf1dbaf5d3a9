//! How a process that stays gives back the memory that it freed.
//!
//! glibc keeps what was freed for the thread that had it: an owner that answers questions while it embeds grows to twice what it
//! uses. How soon it gives back can be said to a program that starts, in the variable `GLIBC_TUNABLES`
//! (<https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html>); so the program starts itself once more with it.

use std::ffi::OsString;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::os::unix::process::CommandExt;

use super::args::Command;
use crate::settings::Variables;

/// The variable in which glibc looks for settings.
pub const VARIABLE: &str = "GLIBC_TUNABLES";

/// One heap for all threads, its end given back from 128 KiB on, and larger pieces given back whole: thresholds that do not grow.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: &str = "glibc.malloc.arena_max=1:glibc.malloc.trim_threshold=131072:glibc.malloc.mmap_threshold=131072";

/// Where people say how glibc shall keep memory.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SAID: [&str; 7] = [
    VARIABLE,
    "MALLOC_ARENA_MAX",
    "MALLOC_ARENA_TEST",
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TOP_PAD_",
    "MALLOC_TRIM_THRESHOLD_",
];

/// Starts this program anew with glibc's settings for a process that stays, in the place of this process, when `words` (as typed, the
/// program's own name first) ask for one. Returns when they do not, when someone has said how glibc shall keep memory, and when that
/// cannot be done: what follows works all the same.
pub fn give_back(words: &[OsString]) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let variables = Variables::of_process();
        if SAID.iter().any(|name| variables.is_set(name)) || !stays(words) {
            return;
        }
        let Ok(program) = std::env::current_exe() else { return };
        let mut again = std::process::Command::new(program);
        if let [name, arguments @ ..] = words {
            again.arg0(name).args(arguments);
        }
        // What comes back is an error; the trace says that nothing is set.
        let _ = again.env(VARIABLE, SETTINGS).exec();
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = stays(words);
}

/// Says in the trace how glibc was told to keep memory.
pub fn trace(variables: &Variables) {
    match variables.get(VARIABLE) {
        Some(said) => tracing::debug!("memory that was freed goes back as {VARIABLE} says: {said}"),
        None => tracing::debug!("memory that was freed goes back as the system likes"),
    }
}

/// Says whether `words` ask for a process that stays until it is told to end.
fn stays(words: &[OsString]) -> bool {
    // Most commands do not, and are not read twice to know it.
    words.iter().skip(1).any(|word| ["serve", "ui", "mcp"].iter().any(|name| word == name))
        && super::parse(&super::args::query::protect(words.to_vec())).is_ok_and(|cli| match cli.command {
            Command::Serve | Command::Ui(_) => true,
            Command::Mcp(mcp) => mcp.command.is_none() && mcp.print_config.is_none(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_that_stay_are_known_by_what_was_typed() {
        let stays = |line: &str| stays(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["meno serve", "meno --store s serve --json", "meno ui --no-open", "meno mcp"] {
            assert!(stays(line), "{line}");
        }
        for line in ["meno", "meno list-runs", "meno search serve", "meno run ui", "meno serve --help", "meno help mcp", "serve"]
        {
            assert!(!stays(line), "{line}");
        }
        assert!(!stays("meno mcp --print-config claude-code"));
    }
}
