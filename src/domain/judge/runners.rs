//! What the output of a command says besides its exit code: how many tests its runner ran, and that the network was missing.

use std::sync::LazyLock;

use regex::Regex;

/// How runners say at the end of a line, or on a line of its own, how many tests they ran: each pattern's groups are numbers to be added.
static COUNTS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        // unittest
        r"^Ran (\d+) tests? in ",
        // cargo test: what was ignored or filtered out did not run
        r"^test result: \w+\. (\d+) passed; (\d+) failed;",
        // nextest
        r"^Summary \[.*\] *(\d+) tests? run:",
        // pytest
        r"^=* ?(?:\d+ \w+, )*(\d+) passed\b.* in [\d.]+s",
        // jest
        r"^Tests: .*?(\d+) total",
        // vitest
        r"^Tests  .*\((\d+)\)$",
        // node --test, TAP
        r"^(?:# |ℹ )tests (\d+)$",
        // mocha
        r"^(\d+) passing \(",
        // RSpec
        r"^(\d+) examples?, \d+ failures?",
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// What a line says when there was nothing to run.
const NONE: [&str; 7] = [
    "NO TESTS RAN",
    "no tests ran",
    "No tests found",
    "No test files found",
    "no tests to run",
    "[no test files]",
    "No tests were found",
];

/// Tells whether a program ended because what it needs could not be started or read: 126 and 127 are what shells and their like end with
/// then, and an interpreter of Python without its library says so.
pub fn is_unstarted(code: i32, output: &str) -> bool {
    matches!(code, 126 | 127) || output.contains("No module named 'encodings'")
}

/// Returns how many tests the runners behind an output say that they ran; `None` when no line is one that a known runner writes.
pub fn tests_ran(output: &str) -> Option<u64> {
    let mut ran: Option<u64> = None;
    for line in output.lines().map(str::trim) {
        let more = if NONE.iter().any(|words| line.contains(words)) {
            Some(0)
        } else if line.starts_with("ok  \t") {
            // Go says of a package that its tests passed, and not how many.
            Some(1)
        } else {
            let found = COUNTS.iter().find_map(|pattern| pattern.captures(line));
            found.map(|groups| groups.iter().skip(1).flatten().filter_map(|count| count.as_str().parse::<u64>().ok()).sum())
        };
        ran = more.map_or(ran, |more| Some(ran.unwrap_or(0).saturating_add(more)));
    }
    ran
}

/// What programs say that wanted something from the network and could not have it, in lower case.
const UNREACHED: [&str; 11] = [
    "could not resolve host",
    "could not connect to server",
    "failed to connect to",
    "failed to establish a new connection",
    "name resolution",
    "network is unreachable",
    "network unreachable",
    "spurious network error",
    "eai_again",
    "enotfound",
    "dial tcp",
];

/// Tells whether a program's last words are that it could not reach the network.
pub fn lacked_network(tail: &str) -> bool {
    let tail = tail.to_lowercase();
    UNREACHED.iter().any(|words| tail.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_can_be_used() {
        assert_eq!(COUNTS.len(), 9);
    }

    #[test]
    fn runners_are_understood_by_what_they_write() {
        for (output, ran) in [
            ("", None),
            ("all is well\n", None),
            ("\n----------------------------------------------------------------------\nRan 0 tests in 0.000s\n\nOK\n", Some(0)),
            ("\nNO TESTS RAN\n", Some(0)),
            ("Ran 1 test in 0.001s\n\nOK\n", Some(1)),
            (
                "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
                Some(0),
            ),
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n   Doc-tests x\n\nrunning 0 tests\n\n\
                 test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n",
                Some(3),
            ),
            ("test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n", Some(2)),
            ("     Summary [   0.012s] 4 tests run: 4 passed, 0 skipped\n", Some(4)),
            ("collected 0 items\n\n============ no tests ran in 0.01s ============\n", Some(0)),
            ("collected 12 items\n\n12 passed in 0.02s\n", Some(12)),
            ("....\n4 passed in 0.02s\n", Some(4)),
            ("======= 1 failed, 4 passed, 2 skipped in 0.12s =======\n", Some(4)),
            ("No test files found, exiting with code 0\n Test Files  2 passed (2)\n      Tests  5 passed (5)\n", Some(5)),
            ("?   \texample.com/a\t[no test files]\n", Some(0)),
            ("?   \texample.com/a\t[no test files]\nok  \texample.com/b\t0.002s\n", Some(1)),
            ("ok  \texample.com/b\t0.002s [no tests to run]\n", Some(0)),
            ("No tests found, exiting with code 0\n", Some(0)),
            ("Tests:       1 failed, 4 passed, 5 total\n", Some(5)),
            ("# tests 0\n# suites 0\n# pass 0\n", Some(0)),
            ("  7 passing (12ms)\n", Some(7)),
            ("0 examples, 0 failures\n", Some(0)),
        ] {
            assert_eq!(tests_ran(output), ran, "{output}");
        }
    }

    #[test]
    fn a_missing_network_is_known_by_last_words() {
        assert!(lacked_network("error: failed to get `serde` / Could not resolve host: index.crates.io"));
        assert!(lacked_network("[Errno -3] Temporary failure in name resolution"));
        assert!(!lacked_network("assertion `left == right` failed / 1 failed"));
    }
}
