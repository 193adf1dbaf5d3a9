//! Subagents whose lines do not say whose they are: each begins with a line that follows none, and goes on with what follows its lines.

use std::collections::HashMap;

use super::told::Told;

/// The thread of such lines; further ones have a number.
const UNNAMED: &str = "sidechain";
/// Lines that are held, whose followers may come.
const LINES_MAX: usize = 65_536;

/// The unnamed subagents of one file.
#[derive(Default)]
pub(super) struct Sidechains {
    /// By the id of a line: whose it is.
    lines: HashMap<String, u32>,
    /// How many there are.
    count: u32,
    /// Lines of the file say which they follow.
    tells_parents: bool,
}

impl Sidechains {
    /// Takes in that a line of whichever thread says which one it follows.
    pub(super) fn note(&mut self, told: &Told<'_>) {
        self.tells_parents |= told.parent_uuid.is_some();
    }

    /// Returns the thread of a line that does not say whose it is.
    pub(super) fn thread(&mut self, told: &Told<'_>) -> String {
        let before = told.parent_uuid.as_deref().and_then(|parent| self.lines.get(parent).copied());
        let begins = self.tells_parents && told.parent_uuid.is_none() && told.kind.as_deref() == Some("user");
        if self.count == 0 || (before.is_none() && begins) {
            self.count += 1;
        }
        let number = before.unwrap_or(self.count);
        if self.lines.len() >= LINES_MAX {
            self.lines.clear();
        }
        self.lines.extend(told.uuid.as_deref().map(|line| (line.to_owned(), number)));
        if number == 1 { UNNAMED.to_owned() } else { format!("{UNNAMED} {number}") }
    }
}
