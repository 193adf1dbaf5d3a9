//! Runs that were forked from one another.

use std::collections::BTreeSet;

use super::Runs;
use crate::domain::event::Event;
use crate::domain::ids::RunId;
use crate::domain::run::{Agent, Run};
use crate::domain::settings::ToolSettings;
use crate::store::Error;
use crate::views::run_list::RunLine;
use crate::views::runs;

/// Runs before a fork, from parent to parent, whose tool results it may be given, at most.
const ANCESTORS_MAX: usize = 4;
/// Rows read at once.
const PAGE: u32 = 2000;

/// A run in a tree of forks.
#[derive(Clone, Debug, PartialEq)]
pub struct Relative {
    /// The run.
    pub id: RunId,
    /// The position in the log of its parent's event where it was forked off; `None` for the root.
    pub at: Option<u64>,
    /// For each fork between it and the root, whether another one of the same parent follows below; its own is the last.
    pub followed: Vec<bool>,
    /// What the list of runs says of it; `None` when it is not in this store.
    pub line: Option<RunLine>,
}

impl Relative {
    /// Runs of a tree that are returned, at most.
    pub const MAX: usize = 200;
}

impl Runs<'_> {
    /// Returns the runs that `run` was forked from, the nearest first, as they were there, as far as what their tools found may be given
    /// again: not where what a run wrote was taken back, and not where today's settings (`now`) let agents do less than it recorded.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(in crate::workspace) fn ancestors(
        &self,
        run: &Run,
        recorded: &ToolSettings,
        now: &ToolSettings,
    ) -> Result<Vec<Run>, Error> {
        // Files are written by agents that reuse nothing.
        let same = ToolSettings { allow_write: recorded.allow_write, ..now.clone() } == *recorded;
        let has_tools = |agent: &Agent| !agent.status.is_ended() && !agent.plan.tools.is_empty();
        let mut ancestors: Vec<Run> = Vec::new();
        let mut parent = run.parent.filter(|_| same && run.agents.iter().any(has_tools));
        while let Some(fork) = parent.filter(|_| ancestors.len() < ANCESTORS_MAX) {
            let events = self.events_of(fork.run, 1, u32::MAX)?;
            if events.iter().any(|recorded| matches!(recorded.event, Event::WriteUndone(_))) {
                break;
            }
            let mut there = Run::default();
            events.iter().filter(|recorded| recorded.envelope.version <= fork.version).for_each(|it| there.apply(it));
            // One that is not in this store, or not as it was, is no record of anything.
            if there.head != fork.head {
                break;
            }
            parent = there.parent;
            ancestors.push(there);
        }
        Ok(ancestors)
    }

    /// Returns the runs that were forked from `id`, the oldest first, and where.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn children(&self, id: RunId) -> Result<Vec<(RunId, u64)>, Error> {
        let (mut from, to) = runs::children(id);
        let mut children = Vec::new();
        loop {
            let page = self.0.log.view(runs::NAME, &from, Some(&to), false, PAGE)?;
            let Some((last, _)) = page.rows.last() else { return Ok(children) };
            from = runs::after(last);
            children.extend(page.rows.iter().filter_map(|(key, row)| runs::read_child(key, row)));
        }
    }

    /// Returns all runs that were forked from `id`, from those, and so on.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn descendants(&self, id: RunId) -> Result<Vec<RunId>, Error> {
        let (mut found, mut next) = (BTreeSet::new(), vec![id]);
        while let Some(run) = next.pop() {
            next.extend(
                self.children(run)?.into_iter().map(|(child, _)| child).filter(|child| *child != id && found.insert(*child)),
            );
        }
        Ok(found.into_iter().collect())
    }

    /// Returns the whole tree of forks that a run belongs to, from its root, each run before those that were forked from it; empty when
    /// there is no other run in it. At most 200 runs are told.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn family(&self, id: RunId) -> Result<Vec<Relative>, Error> {
        let mut root = id;
        // A log that was tampered with may claim a circle.
        for _ in 0..Relative::MAX {
            match self.row(root)?.and_then(|row| row.parent) {
                Some(parent) => root = parent,
                None => break,
            }
        }
        let mut family: Vec<Relative> = Vec::new();
        let mut next = vec![(root, Vec::new(), None)];
        while let Some((id, followed, at)) = next.pop() {
            if family.len() == Relative::MAX || family.iter().any(|known| known.id == id) {
                continue;
            }
            let line = self.row(id)?.map(|row| row.line(self.is_executed(&row)));
            let children = self.children(id)?;
            for (number, (child, version)) in children.iter().enumerate().rev() {
                let followed = followed.iter().copied().chain([number + 1 < children.len()]).collect();
                next.push((*child, followed, self.position(id, *version)?));
            }
            family.push(Relative { id, at, followed, line });
        }
        Ok(if family.len() > 1 { family } else { Vec::new() })
    }
}
