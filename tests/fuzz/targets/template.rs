//! Any text is a template or a list of problems with places, and never ends the program.
#![no_main]

use libfuzzer_sys::fuzz_target;
use meno::domain::template::{Context, parse_agent_bytes, parse_bytes};

fuzz_target!(|bytes: &[u8]| {
    for problem in parse_bytes(bytes, None, &Context::default()).problems {
        assert!(problem.line > 0 && problem.column > 0, "{problem}");
    }
    drop(parse_agent_bytes(bytes, None, &Context::default()));
});
