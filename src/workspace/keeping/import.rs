//! Taking in what other systems wrote down: a file of histories becomes runs of this store, each once.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use super::Keeping;
use crate::domain::ids::RunId;
use crate::domain::money::NanoUsd;
use crate::lake::batch::Refused;
use crate::lake::convert::convert;
use crate::lake::form::{ImportedRun, NAME_CHARS_MAX};
use crate::lake::lines::{LINE_BYTES_MAX, Line, Lines};
use crate::lake::read::{self, Notice, Problem};
use crate::store;
use crate::workspace::Workspace;
use crate::workspace::keeping::intake::{Intake, Offered};

/// Problems and notices that are kept to be told; the others are counted.
const TOLD_MAX: usize = 200;
/// Who imports holds the lock of this run, which cannot be: no other import looks for what is here meanwhile.
pub(in crate::workspace) const IMPORT_LOCK: [u8; 16] = [0; 16];
/// Lines between two words about how far it has come.
const TELL_EVERY: u64 = 64;

/// A problem and the line that has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: Problem,
}

/// A line whose run was imported before with other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The line's number, from 1.
    pub line: u64,
    /// The run as it is here.
    pub run: RunId,
    /// The run's id in its own system.
    pub foreign: Option<String>,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines that are not blank.
    pub lines: u64,
    /// Runs that are new here.
    pub runs: u64,
    /// Runs that were here already, with the same words.
    pub already_there: u64,
    /// How many lines tell other things of a run that was here already. Nothing was taken of them.
    pub changed: u64,
    /// How many lines cannot be taken.
    pub failed: u64,
    /// Attempts of the new runs.
    pub attempts: u64,
    /// What is known of the new runs' cost.
    pub cost: NanoUsd,
    /// The cost of every attempt of the new runs is known.
    pub cost_complete: bool,
    /// What is wrong, of the first lines that cannot be taken.
    pub problems: Vec<LineProblem>,
    /// The first lines that tell other things.
    pub changes: Vec<Changed>,
    /// What was taken but not as it stands: notice, how often, first line.
    pub notices: Vec<(Notice, u64, u64)>,
}

/// Why an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read the file after line {line}: {source}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The source's name is empty or too long.
    #[error("the name of a source has 1 to {NAME_CHARS_MAX} characters")]
    Source,
    /// Another process imports into this store.
    #[error("process {} imports into this store", pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()))]
    Busy {
        /// Its id, when known.
        pid: Option<u32>,
    },
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Where an import stands: bytes and lines read, runs appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes read.
    pub bytes: u64,
    /// Runs that are durable in the store.
    pub runs: u64,
}

/// An import at work.
struct Import<'a> {
    workspace: &'a Workspace,
    source: &'a str,
    intake: Intake<'a>,
    done: Imported,
    notices: BTreeMap<Notice, (u64, u64)>,
}

impl Keeping<'_> {
    /// Checks a file of histories as [`Self::import_runs`] would take it, and appends nothing.
    ///
    /// # Errors
    /// An [`ImportError`].
    pub(crate) fn check_runs(
        &self,
        file: impl BufRead,
        source: &str,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<Imported, ImportError> {
        Import::new(self.0, source, true)?.all(Lines::new(file), tell)
    }

    /// Appends every run of a file of histories that is not here yet: one JSON object per line, read as a stream.
    ///
    /// A line that cannot be taken is told and the others are. What was appended stays when it stops half-way; importing again
    /// goes on.
    ///
    /// # Errors
    /// An [`ImportError`].
    pub(crate) fn import_runs(
        &self,
        file: impl BufRead,
        source: &str,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<Imported, ImportError> {
        let import = Import::new(self.0, source, false)?;
        self.importing(|| import.all(Lines::new(file), tell))
    }
}

impl<'a> Import<'a> {
    fn new(workspace: &'a Workspace, source: &'a str, trial: bool) -> Result<Self, ImportError> {
        if source.trim().is_empty() || source.chars().count() > NAME_CHARS_MAX {
            return Err(ImportError::Source);
        }
        Ok(Self {
            workspace,
            source,
            intake: Intake::new(workspace, trial),
            done: Imported { cost_complete: true, ..Imported::default() },
            notices: BTreeMap::new(),
        })
    }

    fn all(mut self, mut lines: Lines<impl BufRead>, tell: &mut dyn FnMut(ImportProgress)) -> Result<Imported, ImportError> {
        let mut last = 0;
        loop {
            let next = lines.next_line().map_err(|source| ImportError::Read { line: last, source })?;
            let Some((number, line)) = next else { break };
            last = number;
            self.done.lines += 1;
            match line {
                Line::Text(text) => match read::line(text) {
                    Ok((run, notices)) => self.take(number, run, notices)?,
                    Err(problems) => self.fail(number, problems),
                },
                Line::TooLong => self.fail(number, vec![too_large(format!("is longer than {LINE_BYTES_MAX} bytes"))]),
            }
            self.intake.append_when_full()?;
            if self.done.lines.is_multiple_of(TELL_EVERY) {
                tell(ImportProgress { bytes: lines.bytes(), runs: self.intake.appended() });
            }
        }
        self.intake.append()?;
        tell(ImportProgress { bytes: lines.bytes(), runs: self.intake.appended() });
        self.done.notices =
            self.notices.into_iter().take(TOLD_MAX).map(|(notice, (count, first))| (notice, count, first)).collect();
        Ok(self.done)
    }

    fn take(&mut self, number: u64, run: ImportedRun, notices: Vec<Notice>) -> Result<(), ImportError> {
        let attempts = run.agents.iter().map(|agent| agent.attempts.len() as u64).sum::<u64>();
        let costs = || run.agents.iter().flat_map(|agent| &agent.attempts).map(|attempt| attempt.cost);
        let (cost, complete) = (costs().flatten().sum(), costs().all(|cost| cost.is_some()));
        let converted = convert(run, self.source, &self.workspace.redactor);
        let foreign = converted.foreign_id();
        match self.intake.offer(converted)? {
            Offered::New => {}
            Offered::AlreadyThere => {
                self.done.already_there += 1;
                return Ok(());
            }
            Offered::Changed(run) => {
                self.done.changed += 1;
                if self.done.changes.len() < TOLD_MAX {
                    self.done.changes.push(Changed { line: number, run, foreign });
                }
                return Ok(());
            }
            Offered::Refused(Refused::TooLarge(bytes)) => {
                self.fail(number, vec![too_large(format!("has {bytes} bytes of texts and attempts"))]);
                return Ok(());
            }
            Offered::Refused(refused @ Refused::Unsayable(_)) => {
                let remedy = "check its numbers".to_owned();
                self.fail(number, vec![Problem { field: String::new(), reason: refused.to_string(), remedy }]);
                return Ok(());
            }
        }
        self.done.runs += 1;
        self.done.attempts += attempts;
        self.done.cost = self.done.cost.plus(cost);
        self.done.cost_complete &= complete;
        for notice in notices {
            let told = self.notices.entry(notice).or_insert((0, number));
            told.0 += 1;
        }
        Ok(())
    }

    fn fail(&mut self, number: u64, problems: Vec<Problem>) {
        self.done.failed += 1;
        let redactor = &self.workspace.redactor;
        for problem in problems {
            if self.done.problems.len() < TOLD_MAX {
                // A reason may quote the line.
                let reason = redactor.redact(&problem.reason).into_owned();
                self.done.problems.push(LineProblem { line: number, problem: Problem { reason, ..problem } });
            }
        }
    }
}

fn too_large(reason: String) -> Problem {
    Problem { field: String::new(), reason, remedy: "split the run, or shorten its texts".to_owned() }
}
