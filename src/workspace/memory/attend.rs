//! The index kept up to the log where nobody waits for it: at the end of a run, beside one, and in a process that stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Recall;
use crate::workspace::Workspace;
use crate::workspace::memory::recall::IS_ANYBODY_THERE;
use crate::workspace::memory::recall_error::RecallError;

/// By how much indexing in the background is put behind everything else.
#[cfg(target_os = "linux")]
const BACKGROUND_NICE: i32 = 5;

/// How far the words' side of the index is, where it is not at the log's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The last position that is searchable.
    pub indexed_to: u64,
    /// The last position of the log.
    pub log_head: u64,
}

/// Embedding beside other work, until this is dropped.
pub struct Beside(Arc<AtomicBool>);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits for `time`; returns false as soon as `is_over` says so.
fn wait(time: Duration, is_over: &dyn Fn() -> bool) -> bool {
    const LOOK_EVERY: Duration = Duration::from_millis(50);
    let until = Instant::now() + time;
    while !is_over() {
        let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return true };
        std::thread::sleep(left.min(LOOK_EVERY));
    }
    false
}

/// Puts this thread behind those that append or ask. Elsewhere than on Linux a thread has no priority of its own.
fn put_behind() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(BACKGROUND_NICE);
}

impl Recall<'_> {
    /// Makes what was appended searchable by its words, as far as that is done quickly; what is left, as after a large import, is done by
    /// searches, bit by bit, and is returned. Nothing is embedded here: that would wait for the model.
    ///
    /// # Errors
    /// A [`RecallError`].
    pub(crate) fn remember(&self) -> Result<Option<Behind>, RecallError> {
        /// How long words may take.
        const WORDS_MAX: Duration = Duration::from_secs(2);
        self.remember_within(WORDS_MAX)
    }

    pub(super) fn remember_within(&self, words: Duration) -> Result<Option<Behind>, RecallError> {
        /// How long another process, or a thread that writes vectors down, is waited for.
        const HOLD_MAX: Duration = Duration::from_millis(200);
        const LOOK_EVERY: Duration = Duration::from_millis(5);
        let begun = Instant::now();
        loop {
            match self.catch_up(&|_, _| begun.elapsed() < words)? {
                Some(done) if done.whole => return Ok(None),
                Some(done) => return Ok(Some(Behind { indexed_to: done.seq, log_head: self.0.log.head()?.seq })),
                // Whoever has the index brings it up to the log.
                None if begun.elapsed() >= HOLD_MAX => return Ok(None),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

impl Workspace {
    /// Embeds what has no vector yet beside a run that waits for its models: from `after` on, at low priority, until the returned guard is
    /// dropped, which waits for nothing. A process that stays with the store does it instead when there is one.
    pub(crate) fn embed_beside(self: &Arc<Self>, after: Duration) -> Beside {
        /// Between two looks for something to embed.
        const LOOK_EVERY: Duration = Duration::from_secs(2);
        let beside = Beside(Arc::new(AtomicBool::new(false)));
        let (stop, workspace) = (Arc::clone(&beside.0), Arc::clone(self));
        let work = move || {
            let is_over = || stop.load(Ordering::Relaxed);
            if !wait(after, &is_over) {
                return;
            }
            put_behind();
            let embedder = workspace.memory().embedder().map(|embedder| embedder.with_workers(1));
            let Some(embedder) = embedder.ok().filter(|embedder| embedder.usable().is_ok()) else { return };
            while !is_over() && workspace.log.ask(IS_ANYBODY_THERE).is_ok_and(|anybody| anybody.is_none()) {
                // What fails here is done, and said, by the next search.
                let words = workspace.memory().catch_up(&|_, _| !is_over());
                let embedded = workspace.memory().index_place().embed_beside(&embedder, &|_, _| !is_over());
                tracing::debug!(words = words.is_ok(), embedded = embedded.is_ok(), "embedded beside a run");
                if !wait(LOOK_EVERY, &is_over) {
                    return;
                }
            }
        };
        // Without a thread nothing is embedded now.
        drop(std::thread::Builder::new().name("meno-embed".to_owned()).spawn(work));
        beside
    }

    /// Keeps the index up to the log, and the answers to searches at hand, until `stop` says so: the work of a process that
    /// stays. Others that ask are answered meanwhile.
    pub(crate) fn attend(self: &Arc<Self>, stop: &(dyn Fn() -> bool + Sync)) {
        /// Between two looks at the log.
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        let me = Arc::downgrade(self);
        // Set once; a second time is the same answerer.
        let _ = self.opened.answerer.set(Box::new(move |question| me.upgrade()?.memory().answer(question)));
        self.memory().warm_up();
        put_behind();
        let mut seen = 0;
        let mut left = true;
        while !stop() {
            let head = match self.log.wait(seen, LOOK_EVERY) {
                Ok(head) => head,
                Err(error) => {
                    tracing::warn!("the log cannot be followed: {error}");
                    std::thread::sleep(LOOK_EVERY);
                    continue;
                }
            };
            if head > seen {
                match self.memory().catch_up(&|_, _| !stop()) {
                    Ok(Some(done)) => (seen, left) = (done.seq, true),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!("the index cannot be brought up to the log: {error}");
                        std::thread::sleep(LOOK_EVERY);
                    }
                }
            }
            if left {
                match self.memory().embed_missing(&|_, _| !stop()) {
                    Ok((_, missing)) => {
                        left = missing > 0;
                        if let Some(embedder) = self.memory().open_embedder().ok().filter(|_| !left) {
                            embedder.release();
                        }
                    }
                    Err(RecallError::Busy) => {}
                    Err(error) => {
                        tracing::warn!("nothing can be embedded: {error}");
                        left = false;
                    }
                }
            }
        }
    }
}

impl Recall<'_> {
    /// Loads the embedding model, so that a search that follows need not wait for it.
    pub(crate) fn warm_up(&self) {
        if let Ok(embedder) = self.open_embedder() {
            let loaded = embedder.load();
            tracing::debug!("the embedding model is loaded: {}", loaded.is_ok());
        }
    }
}
