//! Auditing a store: every byte of the journal, every payload that an event names, every run's story, index and views against the log.
//!
//! It changes nothing and works beside an owner. The log is read from its first event to the end that it has when the audit begins, and
//! the runs one after the other: what is held in memory is one run, and how many events each of the others has, with their digest.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::Proof;
use crate::audit::finding::{Check, Findings, Location, Violation};
use crate::audit::lineage;
use crate::audit::story::RunAudit;
use crate::domain::event::{Event, ForgottenParts, Mode, Recorded};
use crate::domain::ids::{Hash, NodeId, RunId};
use crate::domain::run::Run;
use crate::domain::text::Text;
use crate::store::check::{self, Digest, Scan};
use crate::store::codec::record::write_head;
use crate::store::codec::{self, Decoded};
use crate::store::files::{Files, OsFiles};
use crate::store::journal::folder;
use crate::store::log::{Head, Log, Stored};
use crate::store::payloads::Payloads;
use crate::store::{self, Error, chain, forget, identity, lock};
use crate::views::Projection;
use crate::views::costs::rollup::Sums;
use crate::views::costs::{CostKey, CostRow, Costs};
use crate::views::rows::{self, Key, MapRows};
use crate::views::run_list::RunRow;
use crate::workspace::memory::recent::Recent;
use crate::workspace::proof::audit_document::{AuditDocument, AuditRequest};
use crate::workspace::runs::every_run::each_run;
use crate::workspace::runs::origins::Origins;
use crate::workspace::upkeep::refused_by_views;

/// Events or rows read at once.
const PAGE: u32 = 2000;
/// So many violations stand in the document; each is told when it is found, however many there are.
const VIOLATIONS_KEPT_MAX: usize = 10_000;

/// What an audit reads.
pub(in crate::workspace) struct Material<'a> {
    pub log: &'a dyn Log,
    pub files: &'a dyn Files,
    pub store: &'a Path,
    pub payloads: &'a Payloads,
}

impl Proof<'_> {
    /// Audits the store or one run; `tell` hears of every violation when it is found.
    ///
    /// # Errors
    /// When the store cannot be read at all. What is damaged is a violation, not an error.
    pub fn audit(&self, request: &AuditRequest, tell: &mut dyn FnMut(&Violation)) -> Result<AuditDocument, store::Error> {
        // Its reports are held against the own log.
        self.0.keeping().over_own_log(|| self.audit_own(request, tell))
    }

    fn audit_own(&self, request: &AuditRequest, tell: &mut dyn FnMut(&Violation)) -> Result<AuditDocument, store::Error> {
        let store = self.0.place()?.dir();
        let material = Material { log: self.0.log.as_ref(), files: &OsFiles, store, payloads: &self.0.payloads };
        // Whatever opening has to say is said by the first look at the log.
        self.0.log.read(1, 1)?;
        let mut notes = Vec::new();
        if let Some(report) = lock(&self.0.opened.report).as_ref() {
            notes.extend(report.notices.iter().cloned());
            notes.extend(report.damage.iter().map(ToString::to_string));
        }
        let mut document = audit(&material, request, tell)?;
        let owned = lock(&self.0.opened.log).upgrade();
        if let Some(log) = owned.filter(|_| request.run.is_none()) {
            let refused = refused_by_views(&log)?;
            notes.extend(refused.into_iter().map(|(seq, why)| format!("event {seq} could not be read by a view: {why}")));
        }
        notes.append(&mut document.notes);
        document.notes = notes;
        if request.run.is_none()
            && self.0.read_only().is_none()
            && let Err(why) = self.note_audit(&document)
        {
            // On a full disk an audit says what it always says.
            tracing::warn!("when the store was audited is not noted in it: {why}");
        }
        Ok(document)
    }
}

impl Proof<'_> {
    /// Returns the hash of the user who started a run; `None` when it is forgotten or was never known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn started_by(&self, run: RunId) -> Result<Option<String>, store::Error> {
        let private = self.0.runs().started(run)?.and_then(|started| started.private);
        Ok(private.map(|private| private.user).filter(|user| !user.is_empty()))
    }

    /// Calls `each` with every run, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read, or what `each` says.
    pub(crate) fn each_run<E: From<store::Error>>(&self, each: impl FnMut(RunId) -> Result<(), E>) -> Result<(), E> {
        each_run(self.0.log.as_ref(), each)
    }
}

/// Audits what `material` gives; see [`Proof::audit`].
pub(in crate::workspace) fn audit(
    material: &Material<'_>,
    request: &AuditRequest,
    tell: &mut dyn FnMut(&Violation),
) -> Result<AuditDocument, store::Error> {
    let head = material.log.head()?;
    let (mut violations, mut total) = (Vec::new(), 0);
    let mut keep = |violation: &Violation| {
        total += 1;
        if violations.len() < VIOLATIONS_KEPT_MAX {
            violations.push(violation.clone());
        }
        tell(violation);
    };
    let mut auditor = Auditor {
        material,
        request,
        head,
        book: Findings::new(&mut keep),
        forgotten: HashMap::new(),
        recent: Recent::default(),
        run_events: 0,
        genesis: 0,
        runs: 0,
        streams: HashMap::new(),
        is_measure: true,
        is_short: false,
        costs: HashMap::new(),
        other_bytes: 0,
        origins: Origins::default(),
        others: BTreeMap::new(),
    };
    // What only the index has is put back into the journal before that is looked at.
    if let Err(why) = material.log.read(1, 1)
        && !matches!(why, store::Error::Damaged(_) | store::Error::Index(_) | store::Error::Views(_))
    {
        return Err(why);
    }
    // What the journal lost comes first: what follows from it in the index is told by it.
    let scan = auditor.journal()?;
    auditor.is_measure = scan.findings.is_empty();
    let digest = auditor.index(&scan)?;
    auditor.compare(&scan, digest);
    let runs = match request.run {
        Some(run) => auditor.run(run)?.min(1),
        None => {
            auditor.other_logs()?;
            auditor.all_runs()?
        }
    };
    let mut notes = Vec::new();
    if auditor.other_bytes > 0 {
        notes.push(format!("{} payload files hold the right text in other bytes than this version writes", auditor.other_bytes));
    }
    let (checks, genesis_events) = (auditor.book.tallies(), auditor.genesis);
    Ok(AuditDocument {
        sound: total == 0,
        node: head.node.to_string(),
        run_id: request.run.map(|run| run.to_string()),
        position: head.seq,
        head: head.hash.to_string(),
        events: scan.events,
        genesis_events,
        runs,
        forgotten_events: scan.forgotten,
        unknown_events: scan.unknown,
        checks,
        violations_total: total,
        violations,
        notes,
        against: request.against.clone(),
        signed_by: request.signed.as_ref().filter(|signed| signed.counts()).map(|signed| signed.by.clone()),
    })
}

/// An audit at work. Positions behind `head` were appended since it began, and are left alone.
struct Auditor<'a> {
    material: &'a Material<'a>,
    request: &'a AuditRequest,
    head: Head,
    book: Findings<'a>,
    /// Runs of which somebody asked to forget texts: which, and where the log says so.
    forgotten: HashMap<RunId, Vec<(ForgottenParts, u64)>>,
    recent: Recent,
    /// Events of runs, and runs, as the journal has them.
    run_events: u64,
    runs: u64,
    /// Events that begin a log, of which a log has one.
    genesis: u64,
    /// The events of each run as the journal has them, until the run was looked at.
    streams: HashMap<RunId, Stream>,
    /// Where the journal itself is damaged, it is no measure for the index.
    is_measure: bool,
    /// The index has other events of a run than the journal: what follows from it is no measure for the views.
    is_short: bool,
    /// The sum of all charges as the runs' events make them, each kind of money by itself.
    costs: HashMap<Mode, CostRow>,
    /// Payload files that hold their text in bytes of their own.
    other_bytes: u64,
    /// Runs from which others took work over.
    origins: Origins,
    /// Where the logs end that were taken in beside, as this one says.
    others: BTreeMap<NodeId, Head>,
}

/// How many events a run has, and a digest of their hashes in their order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Stream {
    events: u64,
    digest: Hash,
}

impl Stream {
    fn add(&mut self, hash: &Hash) {
        self.events += 1;
        self.digest = chain::next(&self.digest, &hash.0);
    }
}

/// What index and journal agree on: how many events, and the digest of their hashes.
type Extent = (u64, Hash);

impl Auditor<'_> {
    /// Reads the whole log from the index, and follows the chain through it; `None` when it cannot be read. Where events are missing that
    /// the journal lost too, the chain is followed again behind them.
    fn index(&mut self, scan: &Scan) -> Result<Option<Extent>, Error> {
        let (mut count, mut next, mut digest) = (0, 1, Digest::default());
        let mut previous = Some(chain::genesis(self.head.node));
        let mut reached_before = 0_u64;
        let mut bytes = Vec::new();
        while next <= self.head.seq {
            let page = match self.material.log.read(next, PAGE) {
                Ok(page) => page,
                Err(why @ (Error::Damaged(_) | Error::Index(_) | Error::Views(_))) => {
                    let at = Location { seq: Some(next), run: None };
                    self.book.broken(Check::Index, at, "the index cannot be read", "the events of the journal", why.to_string());
                    return Ok(None);
                }
                Err(why) => return Err(why),
            };
            let Some(last) = page.last() else { break };
            let reached = last.envelope.seq.max(next + page.len() as u64 - 1);
            for stored in page.iter().filter(|stored| stored.envelope.seq <= self.head.seq) {
                let at = Location { seq: Some(stored.envelope.seq), run: stored.envelope.run };
                if stored.envelope.seq > reached_before.saturating_add(1) && !scan.findings.is_empty() {
                    previous = None;
                }
                reached_before = stored.envelope.seq;
                bytes.clear();
                let Stored { envelope, kind, kind_version, public, commitment, .. } = stored;
                write_head(&mut bytes, envelope, *kind, *kind_version, public, commitment);
                if let Some(previous) = previous {
                    let hash = chain::next(&previous, &bytes);
                    self.book.same(Check::Index, at, "hash of the event in the index", &hash, &stored.hash);
                }
                if let Some(private) = &stored.private {
                    let found = Hash(chain::commitment(private));
                    self.book.same(Check::Index, at, "texts of the event in the index", &Hash(*commitment), &found);
                }
                digest.add(&stored.hash);
                // Of the first event behind lost ones no hash is known.
                previous = (previous.is_some() || stored.hash != Hash::default()).then_some(stored.hash);
                count += 1;
            }
            next = reached + 1;
        }
        Ok(Some((count, digest.finish())))
    }

    /// Reads every byte of the journal.
    fn journal(&mut self) -> Result<Scan, Error> {
        let (material, head, request) = (self.material, self.head, self.request);
        let mut previous = chain::genesis(head.node);
        let mut is_sealed_seen = false;
        let scan = check::scan_stored(material.files, material.store, head, &mut |stored, known| {
            let envelope = &stored.envelope;
            let at = Location { seq: Some(envelope.seq), run: envelope.run };
            let caused_before = envelope.cause.is_none_or(|cause| cause < envelope.seq);
            self.book.holds(Check::Positions, at, caused_before, || {
                let found = envelope.cause.unwrap_or_default().to_string();
                ["an event is caused by one before it".into(), format!("a position below {}", envelope.seq), found]
            });
            if let Some(run) = envelope.run {
                self.run_events += 1;
                self.streams.entry(run).or_default().add(&stored.hash);
            }
            self.runs += u64::from(envelope.run.is_some() && envelope.version == 1);
            if let Some(seal) = request.against.as_ref().filter(|seal| seal.position == envelope.seq && seal.node == head.node) {
                is_sealed_seen = true;
                let what = "the log was rewritten after it was sealed: the hash at the sealed position";
                self.book.same(Check::Seals, at, what, &seal.head, &stored.hash);
            }
            if let Some(mut recorded) = known {
                if let Event::PrivatePartsForgotten(body) = &recorded.event {
                    self.forgotten.entry(body.run).or_default().push((body.which, envelope.seq));
                }
                self.genesis += u64::from(matches!(recorded.event, Event::StoreCreated(_)));
                if envelope.run.is_none() {
                    self.of_the_store(&recorded, previous);
                    self.texts(stored, &mut recorded);
                }
            }
            previous = stored.hash;
        })?;
        for what in identity::disagreements(material.files, material.store, head.node)? {
            self.book.broken(Check::Chain, Location::default(), what, &format!("log {}", head.node), "another");
        }
        self.book.held(Check::Chain, scan.events);
        self.book.held(Check::Texts, scan.events - scan.forgotten);
        for finding in &scan.findings {
            let at = Location { seq: finding.seq, run: None };
            let words = || [finding.to_string(), finding.expected.clone(), finding.found.clone()];
            self.book.holds(Check::Chain, at, false, words);
        }
        if let Some(signed) = &request.signed {
            signed.look(Location::default(), &mut self.book);
        }
        if let Some(seal) = &request.against {
            self.book.same(Check::Seals, Location::default(), "the store that the seal is of", &seal.node, &head.node);
            if seal.node == head.node && !is_sealed_seen {
                let at = Location { seq: Some(seal.position), run: None };
                let found = format!("an end at event {}", head.seq);
                self.book.broken(
                    Check::Seals,
                    at,
                    "the log was cut before the position that was sealed",
                    "the sealed event",
                    found,
                );
            }
        }
        Ok(scan)
    }

    /// Reads every byte of the logs that were taken in beside, as far as the store's own log says.
    fn other_logs(&mut self) -> Result<(), Error> {
        for head in std::mem::take(&mut self.others).into_values() {
            if !self.material.files.exists(&folder(self.material.store, head.node)) {
                // An export hands over one log, and not those that lie beside it.
                self.book.not_verifiable(Check::Chain);
                continue;
            }
            let scan = check::scan(self.material.files, self.material.store, head, &mut |_| {})?;
            self.book.held(Check::Chain, scan.events);
            for finding in scan.findings {
                let words = format!("the imported log {}: {finding}", head.node);
                self.book.broken(Check::Chain, Location::default(), words, &finding.expected, finding.found);
            }
        }
        Ok(())
    }

    /// Looks at what an event outside any run says of the log itself; `before` is the chain's hash before it.
    fn of_the_store(&mut self, recorded: &Recorded, before: Hash) {
        let seq = recorded.envelope.seq;
        let at = Location { seq: Some(seq), run: None };
        match &recorded.event {
            Event::StoreCreated(body) => {
                let (expected, found) = ((1, self.head.node), (seq, body.node));
                self.book.same(Check::Chain, at, "position and node of the store's first event", &expected, &found);
            }
            Event::SegmentImported(body) => {
                self.others.insert(body.node, Head { node: body.node, seq: body.to, hash: body.head });
            }
            Event::CheckpointSealed(body) => {
                let sealed = if body.position.saturating_add(1) == seq {
                    Some(before)
                } else {
                    let there = self.material.log.read(body.position, 1).ok().and_then(|page| page.first().cloned());
                    there.filter(|there| there.envelope.seq == body.position && body.position < seq).map(|there| there.hash)
                };
                self.book.same(Check::Seals, at, "the head that was sealed", &sealed, &Some(body.head));
            }
            _ => {}
        }
    }

    fn compare(&mut self, scan: &Scan, index: Option<Extent>) {
        if let Some((count, digest)) = index {
            let at = Location::default();
            self.book.same(Check::Index, at, "events in the index", &self.head.seq, &count);
            if self.is_measure {
                self.book.same(Check::Index, at, "digest of all events in the index", &scan.digest, &digest);
            }
        }
    }

    /// Looks at every run that the list of runs has, and at the list.
    fn all_runs(&mut self) -> Result<u64, Error> {
        let (mut runs, mut events) = (0, 0);
        let listed = each_run(self.material.log, |run| {
            let found = self.run(run)?;
            // A run that began since the audit did has no event up to its end.
            runs += u64::from(found > 0);
            events += found;
            Ok::<(), Error>(())
        });
        let at = Location::default();
        match listed {
            Ok(()) => {}
            Err(why @ (Error::Damaged(_) | Error::Index(_) | Error::Views(_))) => {
                self.book.broken(Check::Views, at, "the list of runs cannot be read", "the runs of the log", why.to_string());
                return Ok(runs);
            }
            Err(why) => return Err(why),
        }
        if self.is_measure {
            // What the list lacks, the index may lack too.
            let mut left: Vec<RunId> = self.streams.keys().copied().collect();
            left.sort_unstable();
            left.into_iter().try_for_each(|run| self.run(run).map(drop))?;
        }
        self.book.same(Check::Views, at, "runs in the list of runs", &self.runs, &runs);
        self.book.same(Check::Views, at, "events of the runs in the list of runs", &self.run_events, &events);
        if !self.is_short {
            self.costs()?;
        }
        Ok(runs)
    }

    /// Looks at one run; returns how many events it has up to the audit's end, as the journal has it where that is whole.
    fn run(&mut self, run: RunId) -> Result<u64, Error> {
        let mut audit = RunAudit::new(run);
        let (mut row, mut charges) = (RunRow::new(run), MapRows::default());
        let (mut next, mut found, mut is_read) = (1, Stream::default(), true);
        'pages: loop {
            let page = match self.material.log.read_run(run, next, PAGE) {
                Ok(page) => page,
                Err(why @ (Error::Damaged(_) | Error::Index(_) | Error::Views(_))) => {
                    let at = Location { seq: None, run: Some(run) };
                    self.book.broken(Check::Index, at, "the run's events cannot be read", "events", why.to_string());
                    is_read = false;
                    break;
                }
                Err(why) => return Err(why),
            };
            let Some(last) = page.last() else { break };
            // Versions that do not go up are a violation, found below; they must not keep this from its end.
            next = last.envelope.version.max(next + page.len() as u64 - 1).saturating_add(1);
            for stored in &page {
                if stored.envelope.seq > self.head.seq {
                    break 'pages;
                }
                found.add(&stored.hash);
                match codec::decode(stored) {
                    Ok(Decoded::Known(mut recorded)) => {
                        row = row.apply(&recorded);
                        // What the view cannot take stands in no report either.
                        let _ = Costs.apply(&mut charges, &recorded);
                        self.texts(stored, &mut recorded);
                        audit.take(&recorded, &mut self.book);
                        self.lineage(&recorded, audit.run())?;
                    }
                    Ok(Decoded::Unknown { .. }) => audit.take_unknown(&stored.envelope, &mut self.book),
                    Err(why) => {
                        audit.take_unknown(&stored.envelope, &mut self.book);
                        let at = Location { seq: Some(stored.envelope.seq), run: Some(run) };
                        self.book.broken(Check::Index, at, "an event cannot be read", "a body of its kind", why.to_string());
                    }
                }
            }
        }
        for (key, charge) in charges.0.range(Key::new(Sums::QUARTERS.kind).finish()..) {
            let Some(key) = CostKey::read(key).filter(|_| key.first() == Some(&Sums::QUARTERS.kind)) else { break };
            self.costs.entry(key.mode).or_default().merge(&rows::read(charge).unwrap_or_default());
        }
        let expected = self.streams.remove(&run).unwrap_or_default();
        if self.is_measure && is_read {
            let at = Location { seq: None, run: Some(run) };
            self.is_short |= expected != found;
            self.book.same(Check::Index, at, "events of the run in the index", &expected.events, &found.events);
            if expected.events == found.events {
                self.book.same(Check::Index, at, "digest of the run's events in the index", &expected.digest, &found.digest);
            }
        }
        if found.events > 0 && (found == expected || !self.is_measure) {
            audit.finish(&mut self.book);
            self.shown_row(run, &row)?;
        }
        Ok(if self.is_measure { expected.events } else { found.events })
    }

    /// What a fork says of other runs must be what they recorded.
    fn lineage(&mut self, recorded: &Recorded, run: &Run) -> Result<(), Error> {
        let at = Location { seq: Some(recorded.envelope.seq), run: recorded.envelope.run };
        match &recorded.event {
            Event::RunForked(body) => {
                let there = Origins::head(self.material, body.parent, body.version)?;
                lineage::forked(body, there, at, &mut self.book);
            }
            Event::AttemptInherited(body) => {
                let origin = self.origins.run(self.material, body.run)?;
                lineage::inherited(body, origin, at, &mut self.book);
            }
            Event::ToolEnded(body) => {
                if let Some((origin, ..)) = body.reused {
                    let origin = self.origins.run(self.material, origin)?;
                    lineage::reused(body, run, origin, at, &mut self.book);
                }
            }
            Event::AgentFailed(body) => {
                if let (Some(agent), Some(parent)) = (lineage::left_as_failed(body, run), run.parent) {
                    let there = Origins::run_at(self.material, parent.run, parent.version)?;
                    lineage::left_failed(body, agent, there.as_ref(), at, &mut self.book);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the large texts of an event in, where they are; those that are gone must have been forgotten.
    fn texts(&mut self, stored: &Stored, recorded: &mut Recorded) {
        let run = recorded.envelope.run;
        let at = Location { seq: Some(recorded.envelope.seq), run };
        let forgotten = run.and_then(|run| self.forgotten.get(&run));
        let is_forgotten = forgotten.is_some();
        let is_to_go = |(which, seq): &(ForgottenParts, u64)| stored.envelope.seq < *seq && forget::concerns(*which, stored.kind);
        // While the next opening is to remove them, they are there as they must be.
        if stored.private.is_some()
            && forgotten.is_some_and(|said| said.iter().any(is_to_go))
            && !forget::is_marked(self.material.files, self.material.store)
        {
            self.book.broken(Check::Texts, at, "texts are there that were forgotten", "none", "texts");
        }
        if stored.private.is_none() {
            if is_forgotten {
                self.book.not_verifiable(Check::Texts);
            } else {
                self.book.broken(
                    Check::Texts,
                    at,
                    "texts are missing without having been forgotten",
                    "texts, or PrivatePartsForgotten",
                    "neither",
                );
            }
        }
        let Self { material, book, recent, other_bytes, .. } = self;
        recorded.event.each_text_mut(&mut |text| {
            let Some(name) = text.payload() else { return };
            if let Some(known) = recent.texts.get(&name) {
                *text = Text::Inline(known.clone());
                return;
            }
            match material.payloads.read(name) {
                Ok(bytes) => {
                    book.held(Check::Payloads, 1);
                    *other_bytes += u64::from(!material.payloads.is_as_written(name, &bytes));
                    let read = String::from_utf8_lossy(&bytes).into_owned();
                    recent.keep(name, &read);
                    *text = Text::Inline(read);
                }
                Err(Error::Locked(_)) => book.not_verifiable(Check::Payloads),
                Err(Error::MissingPayloads(_)) if is_forgotten => book.not_verifiable(Check::Payloads),
                Err(Error::MissingPayloads(_)) => {
                    book.broken(Check::Payloads, at, format!("payload {name} is missing"), "a file with its text", "none");
                }
                Err(why) => book.broken(Check::Payloads, at, "a payload is damaged", &name.to_string(), why.to_string()),
            }
        });
    }
}

#[path = "audit_derived.rs"]
mod derived;
#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
