//! How much of a run's page is left: its parts show what fits, and lead to the rest.

use std::cell::Cell;

use maud::Markup;

/// Bytes of a run's page, without what stands around every page: people and browsers get lost in more.
const PAGE_BYTES: usize = 185_000;

/// What there is room for still.
pub(super) struct Room(Cell<usize>);

impl Default for Room {
    fn default() -> Self {
        Self(Cell::new(PAGE_BYTES))
    }
}

impl Room {
    /// Returns what is drawn in any case, and keeps its room.
    pub(super) fn drawn(&self, markup: Markup) -> Markup {
        self.0.set(self.0.get().saturating_sub(markup.0.len()));
        markup
    }

    /// Returns whether there is room for so many bytes.
    pub(super) fn has(&self, bytes: usize) -> bool {
        bytes <= self.0.get()
    }

    /// Returns what is drawn if there is room for it.
    pub(super) fn takes(&self, markup: Markup) -> Option<Markup> {
        self.has(markup.0.len()).then(|| self.drawn(markup))
    }

    /// Returns a part of it, at most so many bytes: who draws into the part takes nothing of the whole.
    pub(super) fn part(&self, bytes_max: usize) -> Self {
        Self(Cell::new(self.0.get().min(bytes_max)))
    }
}

#[cfg(test)]
mod tests {
    use maud::PreEscaped;

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_drawn_and_takes_no_room() {
        let room = Room::default().part(100);
        let of = |bytes: usize| PreEscaped("x".repeat(bytes));
        room.drawn(of(40));
        assert!(room.takes(of(61)).is_none() && room.takes(of(50)).is_some() && room.has(10) && !room.has(11));
        room.drawn(of(400));
        assert!(!room.has(1) && !room.part(100).has(1));
    }
}
