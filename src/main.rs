//! The program `meno`: see the library's documentation for how it is built.

use std::process::ExitCode;

use meno::internals;

fn main() -> ExitCode {
    // No panic of a dependency is expected here: rooms that turn panics into errors say so themselves.
    internals::hide_from_others();
    internals::run(std::env::args_os(), |_| false).into()
}
