//! A provider's bytes decode to the same, however they are cut into pieces, and never end the program.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::stream(bytes));
