//! Tells open pages that the log has grown: one thread watches the log for all of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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

impl Changes {
    /// Returns what hears of all news from now on.
    pub fn listen(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
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
