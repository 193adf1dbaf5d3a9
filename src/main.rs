//! The program `meno`: see the library's documentation for how it is built.

fn main() -> std::process::ExitCode {
    meno::internals::main()
}
