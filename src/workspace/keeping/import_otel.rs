//! Taking in traces of generative AI, as OpenTelemetry's collectors and vendors export them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::Keeping;
use crate::lake::calls::Rules;
use crate::lake::otel::read::Span;
use crate::lake::otel::{SOURCE, documents, read, trace};
use crate::lake::skipped::Skipped;
use crate::workspace::keeping::import::{ImportError, ImportProgress};
use crate::workspace::keeping::intake::{HistoryImported, Intake};

/// Spans that are held until their traces are whole; then the oldest traces are taken as they are.
const SPANS_MAX: usize = 200_000;

/// Traces on their way to be whole.
#[derive(Default)]
struct Traces {
    spans: HashMap<String, Vec<Span>>,
    /// The traces in the order in which they were first seen, and in which file.
    order: Vec<(String, PathBuf)>,
    held: usize,
    /// Traces that were taken in because too many spans were held.
    gone: HashSet<String>,
}

impl Keeping<'_> {
    /// Appends every trace with model calls that is in `files` and not here yet. What cannot be taken is named in the outcome.
    ///
    /// # Errors
    /// When the store cannot take it. What was appended stays; importing again goes on.
    pub(crate) fn import_otel(
        &self,
        files: &[PathBuf],
        skipped: Skipped,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<HistoryImported, ImportError> {
        self.importing(|| {
            let mut done = HistoryImported { skipped, ..HistoryImported::default() };
            let mut intake = Intake::new(self.0, false);
            let mut traces = Traces::default();
            for file in files {
                let mut broken = Vec::new();
                let mut take = |number: u64, document| {
                    let mut failed = Vec::new();
                    let taken = read::document(&document, &mut |span| match span {
                        Ok(span) => traces.add(span, file, &mut done.skipped),
                        Err(why) => failed.push(why),
                    });
                    failed.extend(taken.err());
                    for why in failed {
                        done.skipped.skip(self.0.redactor.redact(&why).into_owned(), file, number);
                    }
                    if traces.held > SPANS_MAX {
                        self.take_traces(&mut traces, SPANS_MAX / 2, &mut intake, &mut done)?;
                    }
                    tell(ImportProgress { bytes: number, runs: intake.appended() });
                    Ok::<(), ImportError>(())
                };
                let read = documents::each(file, &mut take, &mut |number, why| broken.push((number, why)));
                for (number, why) in broken {
                    done.skipped.skip(why, file, number);
                }
                match read {
                    Ok(taken) => taken?,
                    Err(why) => done.skipped.skip(why, file, 0),
                }
            }
            self.take_traces(&mut traces, 0, &mut intake, &mut done)?;
            intake.append()?;
            tell(ImportProgress { bytes: 0, runs: intake.appended() });
            Ok(done)
        })
    }

    /// Takes the oldest traces in until no more than `most` spans are held.
    fn take_traces(
        &self,
        traces: &mut Traces,
        most: usize,
        intake: &mut Intake<'_>,
        done: &mut HistoryImported,
    ) -> Result<(), ImportError> {
        let rules =
            Rules { source: SOURCE, redactor: &self.0.redactor, prices: &self.0.prices, prices_hash: self.0.prices.hash() };
        let mut taken = 0;
        for (trace, file) in &traces.order {
            if traces.held <= most {
                break;
            }
            taken += 1;
            let spans = traces.spans.remove(trace).unwrap_or_default();
            traces.held -= spans.len();
            if most > 0 {
                traces.gone.insert(trace.clone());
            }
            let Some((run, digest)) = trace::run(spans) else {
                done.skipped.skip(
                    "is a trace without model calls: none of its spans has attributes of `gen_ai.*`, OpenInference or Langfuse that say so",
                    file,
                    0,
                );
                continue;
            };
            // A trace that this program wrote, of a run that is here: its calls would count twice.
            if let Some(own) = run.own
                && !self.0.log.read_run(own, 1, 1)?.is_empty()
            {
                done.already_there += 1;
                *done.notices.entry("the trace of a run that is here already was not taken in".to_owned()).or_default() += 1;
                continue;
            }
            let agents = run.agents.len() as u64;
            let (converted, mut sums) = rules.convert(&run, digest);
            if done.count(intake.offer(converted)?, file, 0) {
                done.agents += agents;
                if run.is_simulated {
                    done.simulated += 1;
                    done.simulated_cost = done.simulated_cost.plus(std::mem::take(&mut sums.cost));
                }
                done.sums.add(&sums);
            }
            intake.append_when_full()?;
        }
        traces.order.drain(..taken);
        Ok(())
    }
}

impl Traces {
    fn add(&mut self, span: Span, file: &Path, tally: &mut Skipped) {
        if self.gone.contains(&span.trace) {
            tally.skip("a span came after the rest of its trace had been taken in", file, 0);
            return;
        }
        self.held += 1;
        let spans = self.spans.entry(span.trace.clone()).or_default();
        if spans.is_empty() {
            self.order.push((span.trace.clone(), file.to_owned()));
        }
        spans.push(span);
    }
}
