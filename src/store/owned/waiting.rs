//! What the index still has to take in, and when it is time to do so: the index yields to the appender.
//!
//! Most commits are read by nobody at once, so their groups wait until there are many of them, or none has come for a moment; whoever
//! reads before that takes them in himself. Nothing here touches the index.

use std::time::{Duration, Instant};

use crate::store::journal::writer::Group;
use crate::store::log::Head;

/// The index is due when so much has come since it last was.
const DUE_EVENTS: u64 = 4096;
const DUE_BYTES: u64 = 8 * 1024 * 1024;
/// It is due when nothing has come for so long.
const DUE_AFTER: Duration = Duration::from_millis(20);
/// Appenders wait when so much waits for the index.
const WAITING_EVENTS_MAX: u64 = 65_536;
const WAITING_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where the index stands, and the acknowledged groups that it does not have, in order.
pub(super) struct Waiting {
    /// The log's end as the index has it; only meaningful while it is open.
    pub reached: Head,
    groups: Vec<Group>,
    events: u64,
    bytes: u64,
    /// Events and bytes that have come altogether, and how many of them had when the index was last due.
    come: (u64, u64),
    followed: (u64, u64),
    last: Instant,
    pub is_closing: bool,
}

/// What the thread that keeps the index is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    In(Duration),
    /// When something comes.
    Never,
    /// For the last time.
    Closing,
}

impl Waiting {
    pub fn after(reached: Head) -> Self {
        let (groups, now) = (Vec::new(), Instant::now());
        Self { reached, groups, events: 0, bytes: 0, come: (0, 0), followed: (0, 0), last: now, is_closing: false }
    }

    /// Adds a group; returns whether the thread that keeps the index has to hear of it.
    pub fn push(&mut self, group: Group, now: Instant) -> bool {
        let was_due = self.due(self.last);
        self.events += group.events;
        self.bytes += group.bytes.len() as u64;
        self.come = (self.come.0 + group.events, self.come.1 + group.bytes.len() as u64);
        self.groups.push(group);
        self.last = now;
        match was_due {
            Due::Never => true,
            Due::In(_) => self.due(now) == Due::Now,
            Due::Now | Due::Closing => false,
        }
    }

    /// Returns everything that waits.
    pub fn take(&mut self) -> Vec<Group> {
        (self.events, self.bytes) = (0, 0);
        std::mem::take(&mut self.groups)
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether appenders have to wait.
    pub fn is_full(&self) -> bool {
        self.events > WAITING_EVENTS_MAX || self.bytes > WAITING_BYTES_MAX
    }

    pub fn due(&self, now: Instant) -> Due {
        let (events, bytes) = (self.come.0 - self.followed.0, self.come.1 - self.followed.1);
        let quiet = now.saturating_duration_since(self.last);
        match events {
            _ if self.is_closing => Due::Closing,
            0 => Due::Never,
            _ if events >= DUE_EVENTS || bytes >= DUE_BYTES || quiet >= DUE_AFTER => Due::Now,
            _ => Due::In(DUE_AFTER - quiet),
        }
    }

    /// Notes that everything that has come is being followed; returns how many bytes that is since the last time.
    pub fn follow(&mut self) -> u64 {
        let bytes = self.come.1 - self.followed.1;
        self.followed = self.come;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Hash, NodeId};

    fn group(events: u64, bytes: usize) -> Group {
        let head = Head { node: NodeId::from_bytes([1; 16]), seq: 1, hash: Hash::default() };
        Group { bytes: vec![0; bytes], events, head }
    }

    fn waiting() -> (Waiting, Instant) {
        let waiting = Waiting::after(group(1, 0).head);
        let begin = waiting.last;
        (waiting, begin)
    }

    #[test]
    fn the_index_is_due_when_much_has_come_or_nothing_for_a_while() {
        let (mut waiting, begin) = waiting();
        let at = |millis| begin + Duration::from_millis(millis);
        assert_eq!(waiting.due(at(1000)), Due::Never);
        assert!(waiting.push(group(1, 100), at(0)), "the first is told");
        assert!(!waiting.push(group(1, 100), at(15)), "the next is not");
        assert_eq!(waiting.due(at(30)), Due::In(Duration::from_millis(5)));
        assert_eq!(waiting.due(at(35)), Due::Now);
        assert!(waiting.push(group(DUE_EVENTS - 2, 100), at(16)), "there are many now");
        assert_eq!(waiting.due(at(16)), Due::Now);
        assert_eq!((waiting.follow(), waiting.due(at(1000))), (300, Due::Never));
        assert!(waiting.push(group(1, DUE_BYTES as usize), at(40)));
        assert_eq!(waiting.due(at(40)), Due::Now);
        waiting.is_closing = true;
        assert_eq!(waiting.due(at(40)), Due::Closing);
    }

    #[test]
    fn what_a_reader_took_in_is_still_due_for_the_views() {
        let (mut waiting, begin) = waiting();
        waiting.push(group(1, 1), begin);
        assert_eq!((waiting.take().len(), waiting.is_empty()), (1, true));
        assert_eq!(waiting.due(begin + DUE_AFTER), Due::Now);
    }

    #[test]
    fn appenders_are_held_back_by_what_waits_and_not_by_what_came() {
        let (mut waiting, begin) = waiting();
        waiting.push(group(WAITING_EVENTS_MAX, 1), begin);
        assert!(!waiting.is_full());
        waiting.push(group(1, 1), begin);
        assert!(waiting.is_full());
        assert_eq!(waiting.take().len(), 2);
        assert!(!waiting.is_full());
    }
}
