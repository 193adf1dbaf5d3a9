//! The files whose lines an agent may quote: those of the inputs, and those that tools showed to it or to agents that it builds on.
//!
//! Derived from what is recorded: a reading of a file says at its head how many lines the file has, a search names each line that it
//! shows. What a tool has not shown cannot be quoted.

use std::collections::{BTreeMap, BTreeSet};

use super::prompt::input_files;
use super::state::{Agent, Run};
use crate::domain::ids::AgentNo;
use crate::domain::judge::Edition;
use crate::domain::tool::READ_FILE;

/// Returns the files that an agent may quote, each with the number of its lines, as far as they are known to be there.
pub fn quotable_files(run: &Run, agent: AgentNo, edition: Edition) -> Vec<(String, u64)> {
    let mut files = input_files(run);
    if edition.quotes_tools() {
        let mut shown = BTreeMap::new();
        for agent in sources(run, agent) {
            agent_shown(run, agent, &mut shown);
        }
        files.extend(shown);
    }
    files
}

/// The agent and all that it depends on, directly or not: they have ended, so what they were shown is the same in any order of arrival.
fn sources(run: &Run, agent: AgentNo) -> Vec<&Agent> {
    let (mut open, mut seen) = (vec![agent], BTreeSet::new());
    while let Some(number) = open.pop() {
        if seen.insert(number) {
            open.extend(run.agent(number).into_iter().flat_map(|agent| agent.plan.depends_on.iter().copied()));
        }
    }
    seen.into_iter().filter_map(|number| run.agent(number)).collect()
}

fn agent_shown(run: &Run, agent: &Agent, shown: &mut BTreeMap<String, u64>) {
    let calls = agent.attempts.iter().flat_map(|attempt| run.calls_of(attempt));
    for turn in calls.filter_map(|call| call.turn.as_ref()) {
        for (asked, ran) in turn.calls.iter().zip(&turn.runs) {
            let Some(end) = ran.end.as_ref().filter(|end| end.ok) else { continue };
            match asked.name.as_str() {
                READ_FILE => read(&end.result).into_iter().for_each(|(name, lines)| note(shown, name, lines)),
                "search_files" => found(&end.result).for_each(|(name, line)| note(shown, name, line)),
                _ => {}
            }
        }
    }
}

fn note(shown: &mut BTreeMap<String, u64>, name: &str, lines: u64) {
    let known = shown.get(name).copied().unwrap_or(0);
    if lines > known {
        shown.insert(name.to_owned(), lines);
    }
}

/// Reads the head of a file that was read, `NAME, 12 lines:` or `NAME, lines 3 to 9 of 12:`: its name and how many lines it has.
pub(crate) fn read(result: &str) -> Option<(&str, u64)> {
    let head = result.lines().next()?.strip_suffix(':')?;
    let (name, extent) = head.rsplit_once(", ")?;
    let count = match extent.strip_prefix("lines ") {
        Some(range) => range.rsplit_once(" of ")?.1,
        None => extent.strip_suffix(" lines")?,
    };
    Some((name, count.parse().ok()?))
}

/// Reads the lines that a search shows, `NAME:12: text`.
pub(crate) fn found(result: &str) -> impl Iterator<Item = (&str, u64)> {
    result.lines().filter_map(|line| {
        let (name, rest) = line.split_once(':')?;
        let (number, _) = rest.split_once(':')?;
        Some((name, number.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_showed_is_read_back() {
        assert_eq!(read("src/a, b.rs, 12 lines:\n     1\tx"), Some(("src/a, b.rs", 12)));
        assert_eq!(read("src/lib.rs, lines 3 to 9 of 120:\n     3\tx"), Some(("src/lib.rs", 120)));
        assert_eq!(read("`src/lib.rs` is empty.\n"), None);
        assert_eq!(read("src/lib.rs, many lines:\n"), None);
        let hits: Vec<_> = found("a.rs:3: let x: u8 = 1;\nb.rs:70:\n(2 lines found in 9 files)\nno: line\n").collect();
        assert_eq!(hits, [("a.rs", 3), ("b.rs", 70)]);
    }

    #[test]
    fn the_longest_extent_that_was_shown_counts() {
        let mut shown = BTreeMap::new();
        for (name, lines) in [("a", 3), ("a", 9), ("a", 4)] {
            note(&mut shown, name, lines);
        }
        assert_eq!(shown["a"], 9);
    }
}
