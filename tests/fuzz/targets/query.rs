//! Any text is understood: without end in sight, without a panic, and every filter of it can be typed as a key again.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|query: &str| checks::query(query));
