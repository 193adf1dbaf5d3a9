//! Taking in the transcripts that coding agents leave behind: what is there, what of it is new, and how it comes into the log.
//!
//! Which files an import has read whole is kept beside the log, so that the next one need not open them. It is only a saving: what
//! is here is known from the log alone, and without that file everything is read again and nothing is taken in twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Keeping;
use super::transcript_stamps::{stamp, stamp_key, write_stamps};
use crate::domain::event::Event;
use crate::domain::ids::{BatchId, Hash, NodeId, RunId, TimeNs};
use crate::lake::batch::EventBatch;
use crate::lake::transcripts::conversation::Conversation;
use crate::lake::transcripts::grown::{self, Retold};
use crate::lake::transcripts::resume::RecordedSession;
use crate::lake::transcripts::rules::Rules;
use crate::lake::transcripts::taken::Taken;
use crate::lake::transcripts::tally::Tally;
use crate::lake::transcripts::{Item, SOURCES, Session, Source, ToolResults};
use crate::store;
use crate::store::codec::{self, Decoded};
use crate::store::files::{OsFiles, write_whole};
use crate::store::imported;
use crate::store::log::Head;
use crate::views::imports;
use crate::views::transcripts::{Key, NAME, Seen, key_of};
use crate::workspace::Workspace;
use crate::workspace::keeping::import::{ImportError, ImportProgress};

/// A file that was written so lately may be written still.
const LIVE_NS: TimeNs = 300_000_000_000;
/// Rows and events that are asked for at once.
const PAGE: u32 = 4096;
/// Replies of other runs that are looked into together.
const RETOLD_MAX: usize = 4096;
/// Runs that are held while the sessions that repeat them are read.
const RECORDED_MAX: usize = 4;

/// Names the agents whose transcripts can be read.
pub fn transcript_sources() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|source| source.name())
}

/// What lies in one place.
#[derive(Clone, Debug)]
pub struct FoundTranscripts {
    /// Whose sessions they are.
    pub source: &'static str,
    /// Where they lie.
    pub place: PathBuf,
    /// Those that are new or grew since they were read.
    pub sessions: Vec<Session>,
    /// Those that did not change since.
    pub unchanged: u64,
    /// What could not be looked at.
    pub tally: Tally,
}

impl FoundTranscripts {
    /// Returns the bytes of the files that are to be read.
    pub fn bytes(&self) -> u64 {
        self.sessions.iter().map(Session::bytes).sum()
    }

    /// Returns how many files are to be read.
    pub fn files(&self) -> u64 {
        let files = self.sessions.iter().flat_map(|session| &session.files);
        files.map(|file| &file.path).collect::<HashSet<_>>().len() as u64
    }
}

/// What came of an import of transcripts.
#[derive(Clone, Debug, Default)]
pub struct ImportedTranscripts {
    /// Sessions that are new here.
    pub sessions: u64,
    /// Sessions that were here and have more now.
    pub grown: u64,
    /// Sessions of which nothing is new.
    pub already_there: u64,
    /// Sessions in which there is nothing to take.
    pub empty: u64,
    /// Sessions that were forgotten here and do not come back.
    pub forgotten: u64,
    /// Sessions that end before something that one append cannot hold; [`Self::tally`] names them.
    pub cut: u64,
    /// What was taken in.
    pub taken: Taken,
    /// What was not.
    pub tally: Tally,
}

/// What of transcripts is in the log, for imports that follow one another: the next one reads only what was appended since.
#[derive(Debug, Default)]
pub struct SeenTranscripts {
    seen: Seen,
    /// The position of the log up to which it knows everything.
    upto: u64,
    /// Where the logs of other stores ended when they were looked through.
    ends: Vec<Head>,
}

impl Keeping<'_> {
    /// Looks for transcripts of `source`, or of every agent: at `path`, or where they lie.
    ///
    /// # Errors
    /// When `path` cannot be read.
    pub(crate) fn find_transcripts(&self, source: Option<&str>, path: Option<&Path>) -> io::Result<Vec<FoundTranscripts>> {
        let stamps = self.stamps();
        let now = self.0.world.now();
        let mut found = Vec::new();
        let mut places_seen = HashSet::new();
        for source in SOURCES.iter().filter(|known| source.is_none_or(|name| name == known.name())) {
            let places = match path {
                Some(path) => vec![path.to_owned()],
                None => source.places(&|name| self.0.variables.get(name)),
            };
            for place in places {
                // One folder may be reached by several names.
                let real = place.canonicalize();
                if path.is_none() && !real.is_ok_and(|real| places_seen.insert((source.name(), real))) {
                    continue;
                }
                let mut tally = Tally::default();
                let mut sessions = source.detect(&place, &mut tally)?;
                let all = sessions.len();
                sessions.retain(|session| stamps.get(&stamp_key(source.name(), session)) != Some(&stamp(session)));
                for file in sessions.iter_mut().flat_map(|session| &mut session.files) {
                    file.is_live = now.saturating_sub(file.modified) < LIVE_NS;
                }
                let unchanged = (all - sessions.len()) as u64;
                if all > 0 || tally.skipped().next().is_some() {
                    found.push(FoundTranscripts { source: source.name(), place, sessions, unchanged, tally });
                }
            }
        }
        if path.is_some() && found.iter().any(|found| !found.sessions.is_empty() || found.unchanged > 0) {
            // What one source can read need not be what the others write.
            found.retain(|found| !found.sessions.is_empty() || found.unchanged > 0);
        }
        Ok(found)
    }

    /// Returns the places in which transcripts of `source`, or of every agent, are looked for.
    pub(crate) fn transcript_places(&self, source: Option<&str>) -> Vec<PathBuf> {
        let meant = SOURCES.iter().filter(|known| source.is_none_or(|name| name == known.name()));
        meant.flat_map(|source| source.places(&|name| self.0.variables.get(name))).collect()
    }

    /// Takes in what is new of the sessions that were found.
    ///
    /// What was appended stays when it stops half-way; importing again goes on.
    ///
    /// # Errors
    /// When the store cannot take it. A file that cannot be read is counted and named.
    pub(crate) fn import_transcripts(
        &self,
        found: Vec<FoundTranscripts>,
        tool_results: ToolResults,
        seen: &mut SeenTranscripts,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportedTranscripts, ImportError> {
        self.importing(|| self.take_transcripts(found, tool_results, seen, tell))
    }

    fn take_transcripts(
        &self,
        found: Vec<FoundTranscripts>,
        tool_results: ToolResults,
        seen: &mut SeenTranscripts,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportedTranscripts, ImportError> {
        // What is not in the log after a failure must not be taken for known.
        let mut known = std::mem::take(seen);
        self.see_transcripts(&mut known)?;
        let elsewhere = self.imported_runs()?.map(|spans| spans.runs().collect()).unwrap_or_default();
        let mut import = Import {
            workspace: self.0,
            seen: known.seen,
            node: self.0.log.head()?.node,
            elsewhere,
            families: HashMap::new(),
            gathered: EventBatch::default(),
            waiting: HashSet::new(),
            pending: HashSet::new(),
            recorded: Vec::new(),
            done: ImportedTranscripts::default(),
            appended: 0,
            unappended: 0,
            bytes: 0,
            read_whole: Vec::new(),
            tell,
        };
        import.all(found, tool_results)?;
        *seen = SeenTranscripts { seen: import.seen, upto: known.upto, ends: known.ends };
        Ok(import.done)
    }

    /// Brings what is known of transcripts up to the log: from its view at first, then event by event.
    fn see_transcripts(&self, known: &mut SeenTranscripts) -> Result<(), store::Error> {
        if known.upto == 0 {
            known.seen = Seen::new(self.0.salt()?);
            let (mut from, mut upto) = (Vec::new(), None);
            loop {
                let page = self.0.log.view(NAME, &from, None, false, PAGE)?;
                for (key, row) in &page.rows {
                    known.seen.add_row(key, row).map_err(store::Error::Views)?;
                }
                // What came in while the pages were read may be missing in the earlier ones.
                known.upto = *upto.get_or_insert(page.seen);
                match page.rows.last() {
                    Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
                    None => break,
                }
            }
        }
        loop {
            let page = self.0.runs().log_page(known.upto + 1)?;
            let Some(last) = page.last() else { break };
            known.upto = last.envelope.seq;
            for stored in &page {
                if let Decoded::Known(recorded) = codec::decode(stored)? {
                    known.seen.apply(&recorded);
                }
            }
        }
        self.see_pulled(known)
    }

    /// Adds what the logs of other stores have, which lie beside the own one: what came in there is not taken in here again. What they
    /// have of a run that is here too does not count, so that the rest of it can still come in.
    fn see_pulled(&self, known: &mut SeenTranscripts) -> Result<(), store::Error> {
        let Some(spans) = self.imported_runs()? else { return Ok(()) };
        let mut is_here: HashMap<RunId, bool> = HashMap::new();
        for end in spans.ends() {
            let from = known.ends.iter().find(|seen| seen.node == end.node).map_or(1, |seen| seen.seq + 1);
            imported::read(&OsFiles, &self.0.store.path, *end, from, &mut |stored| {
                if let Some(run) = stored.envelope.run
                    && let Ok(Decoded::Known(recorded)) = codec::decode(&stored)
                    && let Some(key) = key_of(&recorded.event)
                {
                    let is_here = match is_here.get(&run) {
                        Some(is_here) => *is_here,
                        None => *is_here.entry(run).or_insert(self.node_of(run)?.is_none()),
                    };
                    if !is_here {
                        known.seen.add(key, run);
                    }
                }
                Ok(())
            })?;
        }
        known.ends = spans.ends().to_vec();
        Ok(())
    }
}

/// An import at work.
struct Import<'a> {
    workspace: &'a Workspace,
    seen: Seen,
    node: NodeId,
    /// Runs of the logs of other stores.
    elsewhere: HashSet<RunId>,
    /// By source and session: the first session of its family, as it was known when it was imported.
    families: HashMap<(&'static str, String), Option<String>>,
    gathered: EventBatch,
    /// Sessions whose events are gathered and not appended, by their origin's key.
    waiting: HashSet<[u8; 16]>,
    /// Runs whose events are gathered and not appended.
    pending: HashSet<RunId>,
    /// Runs that other sessions repeat, as the log and what is gathered know them; the last was used last.
    recorded: Vec<(RunId, RecordedSession)>,
    done: ImportedTranscripts,
    appended: u64,
    unappended: u64,
    bytes: u64,
    /// Sessions that were read whole since the last append.
    read_whole: Vec<(Hash, Hash)>,
    tell: &'a mut dyn FnMut(ImportProgress),
}

impl Import<'_> {
    fn all(&mut self, found: Vec<FoundTranscripts>, tool_results: ToolResults) -> Result<(), ImportError> {
        let workspace = self.workspace;
        let prices_hash = workspace.prices.hash();
        for source in SOURCES {
            let rules = Rules {
                source: source.name(),
                provider: source.provider(),
                redactor: &workspace.redactor,
                prices: &workspace.prices,
                prices_hash,
                tool_results,
            };
            let mut sessions: Vec<((Option<TimeNs>, bool), Session)> = Vec::new();
            for found in found.iter().filter(|found| found.source == source.name()) {
                self.done.tally.merge(&found.tally);
                self.done.already_there += found.unchanged;
                let first = |session: &Session| (source.began(session), source.is_fork(session));
                sessions.extend(found.sessions.iter().map(|session| (first(session), session.clone())));
            }
            // Over all places: whoever began first keeps what several sessions repeat.
            let modified = |session: &Session| session.files.iter().map(|file| file.modified).min();
            sessions.sort_by(|(a, first), (b, other)| {
                (a.0.is_none(), a, modified(first), &first.id).cmp(&(b.0.is_none(), b, modified(other), &other.id))
            });
            largest_first(&mut sessions);
            for ((began, _), mut session) in sessions {
                self.session(source, &rules, &mut session, began)?;
            }
        }
        self.append()?;
        (self.tell)(ImportProgress { bytes: self.bytes, runs: self.appended });
        Ok(())
    }

    fn session(
        &mut self,
        source: &dyn Source,
        rules: &Rules<'_>,
        session: &mut Session,
        began: Option<TimeNs>,
    ) -> Result<(), ImportError> {
        let (origin, ..) = rules.origin(session);
        if self.waiting.contains(&origin.key) {
            self.append()?;
        }
        let mut known = self.known(origin.key)?;
        if known.as_ref().is_some_and(|(run, _)| self.pending.contains(run)) {
            self.append()?;
            known = self.known(origin.key)?;
        }
        let was_here = known.is_some();
        let was_forgotten = self.seen.forgotten_run_of(Key::of_origin(&origin)).is_some();
        if was_forgotten || known.as_ref().is_some_and(|(_, known)| known.is_forgotten) {
            self.done.forgotten += 1;
            self.bytes += session.bytes();
            self.read_whole.push((stamp_key(rules.source, session), stamp(session)));
            return Ok(());
        }
        self.complete_families(rules, session, known.as_ref().and_then(|(_, known)| known.family.clone()))?;
        let session = &*session;
        let mut seen = std::mem::take(&mut self.seen);
        let mut tally = std::mem::take(&mut self.done.tally);
        let elsewhere = std::mem::take(&mut self.elsewhere);
        let mut conversation = Conversation::new(rules, session, &mut seen, known);
        conversation.know_elsewhere(self.node, &elsewhere);
        conversation.know_began(began);
        let (mut outcome, mut corrected) = (Ok(Going::On), Ok(()));
        let mut is_first = !was_here;
        let mut taken = None;
        let begun = self.bytes;
        let read = source.read(session, &mut tally, &mut |item| {
            match item {
                Item::Facts(facts) => conversation.facts(facts),
                Item::Entry(entry) => conversation.take(entry),
                Item::Read(bytes) => self.bytes = begun + bytes,
            }
            outcome = self.gather(&mut conversation, &mut is_first, &mut taken);
            if conversation.retold() >= RETOLD_MAX && outcome.is_ok() {
                corrected = self.correct(rules, conversation.drain_retold());
            }
            if matches!(outcome, Ok(Going::On)) && corrected.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let going = outcome?;
        corrected?;
        self.bytes = begun + session.bytes();
        let mut is_whole = going == Going::On;
        if let Err(why) = &read {
            tally.skip(format!("cannot be read: {why}"), session.files.first().map_or(Path::new(""), |file| &file.path), 0);
            is_whole = false;
        }
        let mut last = going;
        if is_whole {
            conversation.finish();
            last = self.gather(&mut conversation, &mut is_first, &mut taken)?;
        }
        self.correct(rules, conversation.drain_retold())?;
        let unfinished = conversation.taken.unfinished;
        let has_added = taken.is_some();
        let is_known = was_here || conversation.has_met();
        let taken = Taken { unfinished, ..taken.unwrap_or_default() };
        drop(conversation);
        self.seen = seen;
        self.elsewhere = elsewhere;
        self.done.tally = tally;
        if last == Going::TooLarge {
            let file = session.files.first().map_or(Path::new(""), |file| &file.path);
            self.done.tally.skip("the session holds a text that is too large for the log: it ends before it here", file, 0);
            self.done.cut += 1;
            is_whole = false;
        }
        match last {
            Going::Forgotten => self.done.forgotten += 1,
            Going::TooLarge if !has_added => {}
            Going::On if !has_added => {
                *(if is_known { &mut self.done.already_there } else { &mut self.done.empty }) += 1;
                self.done.taken.add(&taken);
            }
            Going::On | Going::TooLarge => {
                self.waiting.insert(origin.key);
                *(if was_here { &mut self.done.grown } else { &mut self.done.sessions }) += 1;
                self.unappended += 1;
                self.done.taken.add(&taken);
            }
        }
        if is_whole && unfinished == 0 && !session.is_live() {
            self.read_whole.push((stamp_key(rules.source, session), stamp(session)));
        }
        (self.tell)(ImportProgress { bytes: self.bytes, runs: self.appended });
        Ok(())
    }

    /// Returns the run of a session that is here, with what the log knows of it.
    fn known(&self, key: [u8; 16]) -> Result<Option<(RunId, RecordedSession)>, store::Error> {
        let after = [&key[..], &[0]].concat();
        let rows = self.workspace.log.view(imports::NAME, &key, Some(&after), false, 1)?;
        let Some((_, row)) = rows.rows.first() else { return Ok(None) };
        let run = imports::read_row(row).map_err(store::Error::Views)?.run;
        Ok(Some((run, self.recorded(run)?)))
    }

    /// Returns what the log knows of a run.
    fn recorded(&self, run: RunId) -> Result<RecordedSession, store::Error> {
        let (mut known, mut from) = (RecordedSession::default(), 1);
        loop {
            let page = self.workspace.log.read_run(run, from, PAGE)?;
            if page.is_empty() {
                return Ok(known);
            }
            for stored in &page {
                if let Decoded::Known(recorded) = codec::decode(stored)? {
                    known.apply(&recorded);
                }
                from = stored.envelope.version + 1;
            }
        }
    }

    /// Brings the calls of other runs up to what was told of them here. What other stores have, they correct themselves.
    fn correct(&mut self, rules: &Rules<'_>, retold: Vec<Retold>) -> Result<(), ImportError> {
        let mut by_run: BTreeMap<RunId, Vec<Retold>> = BTreeMap::new();
        for told in retold {
            by_run.entry(told.run).or_default().push(told);
        }
        for (run, retold) in by_run {
            let held = self.recorded.iter().position(|(known, _)| *known == run).map(|at| self.recorded.remove(at).1);
            let mut known = match held {
                Some(known) => known,
                None if self.workspace.keeping().node_of(run)?.is_some() => continue,
                None => {
                    if self.pending.contains(&run) {
                        self.append()?;
                    }
                    self.recorded(run)?
                }
            };
            if !known.is_forgotten {
                let (events, taken) = grown::correct(rules, run, &mut known, &retold);
                let workspace = self.workspace;
                if !events.is_empty() && self.gathered.add_part(run, events, &|| workspace.world.random()).is_ok() {
                    self.pending.insert(run);
                    self.done.taken.add(&taken);
                }
            }
            self.recorded.push((run, known));
            if self.recorded.len() > RECORDED_MAX {
                self.recorded.remove(0);
            }
        }
        if self.gathered.is_full() {
            self.append()?;
        }
        Ok(())
    }

    /// Lets the family of each file begin where an earlier import saw it begin: parents may be gone since, or come back.
    fn complete_families(&mut self, rules: &Rules<'_>, session: &mut Session, own: Option<String>) -> Result<(), store::Error> {
        for file in &mut session.files {
            let mut first = own.clone();
            for id in file.family.iter().filter(|id| **id != session.id) {
                if first.is_some() {
                    break;
                }
                let known = (rules.source, id.clone());
                if !self.families.contains_key(&known) {
                    let (origin, ..) = rules.origin_of(id);
                    let family = self.known(origin.key)?.and_then(|(_, known)| known.family);
                    self.families.insert(known.clone(), family);
                }
                first = self.families.get(&known).cloned().flatten();
            }
            if let Some(first) = first.filter(|first| file.family.first() != Some(first)) {
                file.family.retain(|id| *id != first);
                file.family.insert(0, first);
            }
        }
        Ok(())
    }

    fn gather(
        &mut self,
        conversation: &mut Conversation<'_>,
        is_first: &mut bool,
        taken: &mut Option<Taken>,
    ) -> Result<Going, ImportError> {
        let events: Vec<(Event, Option<TimeNs>)> = conversation.drain();
        let Some(run) = conversation.run().filter(|_| !events.is_empty()) else { return Ok(Going::On) };
        let workspace = self.workspace;
        // What it said may have been forgotten since; its id follows from where it comes from, and it must not come back.
        if std::mem::take(is_first) {
            let is_gone = !workspace.log.read_run(run, 1, 1)?.is_empty();
            if is_gone || conversation.left_apart().map_or(Ok(false), |there| self.is_untold(there))? {
                return Ok(Going::Forgotten);
            }
        }
        if self.gathered.add_part(run, events, &|| workspace.world.random()).is_err() {
            return Ok(Going::TooLarge);
        }
        self.pending.insert(run);
        self.recorded.retain(|(known, _)| *known != run);
        // Only what can be appended was taken in.
        *taken = Some(conversation.taken.clone());
        if self.gathered.is_full() {
            self.append()?;
            (self.tell)(ImportProgress { bytes: self.bytes, runs: self.appended });
        }
        Ok(Going::On)
    }

    /// Tells whether what came into a run cannot be told: it was forgotten here, or came from another store without its private parts.
    fn is_untold(&self, run: RunId) -> Result<bool, store::Error> {
        if self.workspace.keeping().node_of(run)?.is_none() {
            return Ok(true);
        }
        let first = self.workspace.log.read_run(run, 1, 1)?;
        Ok(first.first().is_none_or(|stored| stored.private.is_none()))
    }

    fn append(&mut self) -> Result<(), ImportError> {
        let Workspace { payloads, world, .. } = self.workspace;
        if let Some((batch, texts)) = self.gathered.take(BatchId(world.ulid(None))) {
            let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            payloads.write(&texts)?;
            self.workspace.runs().append_with(&batch, &texts)?;
        }
        self.waiting.clear();
        self.pending.clear();
        self.appended += std::mem::take(&mut self.unappended);
        self.stamp()
    }

    /// Notes which sessions need not be read again: everything of them is in the log.
    fn stamp(&mut self) -> Result<(), ImportError> {
        if self.read_whole.is_empty() {
            return Ok(());
        }
        let mut stamps = self.workspace.keeping().stamps();
        stamps.extend(self.read_whole.drain(..));
        let path = self.workspace.keeping().stamps_file();
        write_whole(&OsFiles, &path, &write_stamps(&stamps)).map_err(store::Error::io(&path))?;
        Ok(())
    }
}

/// Of sessions that lie in several places, lets the one that says most come in where the first of them would: an older copy may end in
/// the middle of a reply.
fn largest_first<T: Clone>(sessions: &mut [(T, Session)]) {
    let mut places: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, (_, session)) in sessions.iter().enumerate() {
        places.entry(session.id.clone()).or_default().push(at);
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut same: Vec<_> = places.iter().map(|at| sessions[*at].clone()).collect();
        same.sort_by_key(|(_, session)| std::cmp::Reverse(session.bytes()));
        places.into_iter().zip(same).for_each(|(at, session)| sessions[at] = session);
    }
}

/// How a session's events were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    /// All of them.
    On,
    /// None: the run is one that was forgotten.
    Forgotten,
    /// Up to some that do not fit into one append.
    TooLarge,
}
