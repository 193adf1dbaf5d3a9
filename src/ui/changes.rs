//! Tells open pages that the log has grown: one thread watches the log for all of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use crate::domain::ids::RunId;
use crate::workspace::Workspace;

/// News that a slow page may be behind before it is told that it missed some.
const BEHIND_MAX: usize = 64;
/// How long one look for more takes, at most.
const PATIENCE: Duration = Duration::from_millis(500);
/// News are told at most this often: a page is drawn anew for each.
const PAUSE: Duration = Duration::from_millis(250);

/// The runs of which events were appended.
pub type News = Arc<BTreeSet<RunId>>;

/// Who wants to hear of news.
pub struct Changes(broadcast::Sender<News>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::channel(BEHIND_MAX).0)
    }
}

/// Runs that a browser is told of at once, at most: of more, that there were many.
const NAMED_MAX: usize = 100;

/// What a browser was not told yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Untold {
    runs: BTreeSet<RunId>,
    /// More than are named, or nobody knows of which.
    many: bool,
}

impl Untold {
    /// Adds news; events of no run may change any page.
    pub fn add(&mut self, news: &BTreeSet<RunId>) {
        self.runs.extend(news);
        self.many |= news.is_empty() || self.runs.len() > NAMED_MAX;
        if self.many {
            self.runs.clear();
        }
    }

    /// Adds news that were missed.
    pub fn miss(&mut self) {
        (self.many, self.runs) = (true, BTreeSet::new());
    }

    /// Returns whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        !self.many && self.runs.is_empty()
    }

    /// Returns what is told now: the runs, with spaces between them, or `*` for any.
    pub fn take(&mut self) -> String {
        let Self { runs, many } = std::mem::take(self);
        if many { "*".to_owned() } else { runs.iter().map(RunId::to_string).collect::<Vec<_>>().join(" ") }
    }
}

impl Changes {
    /// Returns what hears of all news from now on.
    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    /// Returns what says that a run's page has changed without an event: what comes too soon after the last time is not said.
    pub fn teller(&self, run: RunId) -> impl Fn() + Send + Sync + 'static {
        /// How often it is said at most.
        const EVERY: Duration = Duration::from_secs(1);
        let (sender, last) = (self.0.clone(), Mutex::new(None::<Instant>));
        move || {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|at| at.elapsed() >= EVERY) {
                *last = Some(Instant::now());
                // Nobody may be listening.
                let _ = sender.send(Arc::new(BTreeSet::from([run])));
            }
        }
    }

    /// Watches the log until `is_over`. A store that cannot be read for a while has no news.
    pub fn watch(&self, workspace: &Workspace, is_over: &dyn Fn() -> bool) {
        let log = workspace.log();
        let mut seen = log.head().map_or(0, |head| head.seq);
        while !is_over() {
            match log.wait(seen, PATIENCE) {
                Ok(head) if head > seen => {
                    std::thread::sleep(PAUSE);
                    let mut runs = BTreeSet::new();
                    while let Ok(page) = workspace.runs().log_page(seen + 1)
                        && let Some(last) = page.last()
                    {
                        seen = last.envelope.seq.max(seen + 1);
                        runs.extend(page.iter().filter_map(|stored| stored.envelope.run));
                    }
                    // Nobody may be listening.
                    let _ = self.0.send(Arc::new(runs));
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(PATIENCE),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> RunId {
        RunId::from_bytes([number; 16])
    }

    #[test]
    fn what_changes_often_is_told_once() {
        let changes = Changes::default();
        let (mut news, tell) = (changes.listen(), changes.teller(run(1)));
        (0..100).for_each(|_| tell());
        assert_eq!(news.try_recv().map(|runs| runs.iter().copied().collect::<Vec<_>>()).ok(), Some(vec![run(1)]));
        assert!(news.len() < 3);
    }

    #[test]
    fn a_browser_that_is_slow_hears_of_every_run_once_and_of_many_as_of_any() {
        let mut untold = Untold::default();
        assert!(untold.is_empty());
        untold.add(&BTreeSet::from([run(1), run(2)]));
        untold.add(&BTreeSet::from([run(2), run(3)]));
        assert_eq!(untold.take(), format!("{} {} {}", run(1), run(2), run(3)));
        assert!(untold.is_empty(), "it was told");
        untold.add(&(0..=100).map(run).collect());
        untold.add(&BTreeSet::from([run(1)]));
        assert!(!untold.is_empty());
        assert_eq!(untold.take(), "*");
        untold.add(&BTreeSet::from([run(1)]));
        assert_eq!(untold.take(), run(1).to_string());
        untold.add(&BTreeSet::new());
        assert_eq!(untold.take(), "*", "an event of no run");
        untold.miss();
        assert_eq!((untold.take(), untold.is_empty()), ("*".to_owned(), true));
    }
}
