//! Taking in the history of the Python system: its folders of runs and the lines of its telemetry.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use jiff::tz::TimeZone;

use super::Keeping;
use crate::domain::money::NanoUsd;
use crate::lake::calls::Rules;
use crate::lake::lines::{LINE_BYTES_MAX, Line, Lines};
use crate::lake::peer::{self, PeerFiles};
use crate::lake::skipped::Skipped;
use crate::workspace::keeping::import::{ImportError, ImportProgress};
use crate::workspace::keeping::intake::{HistoryImported, Intake};

/// Lines between two words about how far it has come.
const TELL_EVERY: u64 = 256;

impl Keeping<'_> {
    /// Appends every run and every call of telemetry that was found and is not here yet. Times without a zone are of `zone`. What cannot be
    /// taken is named in the outcome, and the rest is taken.
    ///
    /// # Errors
    /// When the store cannot take it. What was appended stays; importing again goes on.
    pub(crate) fn import_peer(
        &self,
        found: &PeerFiles,
        skipped: Skipped,
        zone: &TimeZone,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<HistoryImported, ImportError> {
        self.importing(|| {
            let mut done = HistoryImported { skipped, templates: found.templates.clone(), ..HistoryImported::default() };
            let mut intake = Intake::new(self.0, false);
            for dir in &found.runs {
                self.peer_run(dir, zone, &mut intake, &mut done)?;
                tell(ImportProgress { bytes: 0, runs: intake.appended() });
            }
            for file in &found.usage {
                self.peer_usage(file, &mut intake, &mut done, tell)?;
            }
            intake.append()?;
            tell(ImportProgress { bytes: 0, runs: intake.appended() });
            Ok(done)
        })
    }

    fn peer_run(
        &self,
        dir: &Path,
        zone: &TimeZone,
        intake: &mut Intake<'_>,
        done: &mut HistoryImported,
    ) -> Result<(), ImportError> {
        let run = match peer::read_run(dir, zone) {
            Ok(run) => run,
            Err(why) => {
                done.skipped.skip(self.0.redactor.redact(&why).into_owned(), dir, 0);
                return Ok(());
            }
        };
        let (simulated, notices) = (run.is_simulated, run.notices.clone());
        let agents = run.run.agents.len() as u64;
        let costs = run.costs();
        if done.count(intake.offer(run.convert(&self.0.redactor))?, dir, 0) {
            done.agents += agents;
            let cost: NanoUsd = costs.iter().copied().flatten().sum();
            if simulated {
                done.simulated += 1;
                done.simulated_cost = done.simulated_cost.plus(cost);
            } else {
                done.sums.cost = done.sums.cost.plus(cost);
            }
            done.costless += costs.iter().filter(|cost| cost.is_none()).count() as u64;
            for notice in notices {
                *done.notices.entry(notice.to_owned()).or_default() += 1;
            }
        }
        intake.append_when_full()
    }

    fn peer_usage(
        &self,
        file: &Path,
        intake: &mut Intake<'_>,
        done: &mut HistoryImported,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<(), ImportError> {
        let rules = Rules {
            source: peer::USAGE_SOURCE,
            redactor: &self.0.redactor,
            prices: &self.0.prices,
            prices_hash: self.0.prices.hash(),
        };
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(error) => {
                done.skipped.skip(format!("cannot be read: {error}"), file, 0);
                return Ok(());
            }
        };
        let mut lines = Lines::new(BufReader::with_capacity(1 << 20, opened));
        let mut last = 0;
        let mut seen = HashSet::new();
        loop {
            let next = lines.next_line().map_err(|source| ImportError::Read { line: last, source })?;
            let Some((number, line)) = next else { return Ok(()) };
            last = number;
            let text = match line {
                Line::Text(text) => text,
                Line::TooLong => {
                    done.skipped.skip(format!("is longer than {LINE_BYTES_MAX} bytes"), file, number);
                    continue;
                }
            };
            match peer::read_line(text) {
                Ok((run, digest)) => {
                    // Two processes that write at once repeat lines: it is one call.
                    if !seen.insert(digest) {
                        *done.notices.entry("a line of telemetry repeats another one and counts once".to_owned()).or_default() +=
                            1;
                        continue;
                    }
                    let (converted, sums) = rules.convert(&run, digest);
                    if done.count(intake.offer(converted)?, file, number) {
                        done.agents += 1;
                        done.sums.add(&sums);
                    }
                    intake.append_when_full()?;
                }
                Err(why) => done.skipped.skip(self.0.redactor.redact(&why).into_owned(), file, number),
            }
            if number.is_multiple_of(TELL_EVERY) {
                tell(ImportProgress { bytes: lines.bytes(), runs: intake.appended() });
            }
        }
    }
}
