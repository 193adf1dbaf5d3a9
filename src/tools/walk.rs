//! Walks over the files below a folder, as `.gitignore` and `.ignore` in the tree let it, on several threads.
//!
//! Folders are opened through [`Root`], so a walk cannot leave it; the rules of `.gitignore` are read through it too.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use tokio_util::sync::CancellationToken;

use super::ToolError;
use super::root::{Folder, Kind, Root, RootPath};

/// Files and folders of one walk, at most.
pub const ENTRIES_MAX: usize = 500_000;
/// A longer `.gitignore` is not a file of rules.
const RULES_BYTES_MAX: u64 = 1 << 20;
/// Threads of one walk, at most: several tools may run at once.
const THREADS_MAX: usize = 8;

/// How much of the tree is walked.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Folders within folders, at most.
    pub depth: usize,
    /// Files that `.gitignore` leaves out are left out.
    pub respect_ignore: bool,
}

/// What a walk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// It ended early, because there are more than [`ENTRIES_MAX`] entries.
    pub is_cut: bool,
}

/// Rules of ignore files, from the folder itself up to where the walk began.
#[derive(Clone, Debug)]
struct Rules {
    own: Gitignore,
    above: Option<Arc<Rules>>,
}

struct Queue {
    waiting: VecDeque<(RootPath, Option<Arc<Rules>>)>,
    /// Folders that wait or are being read.
    left: usize,
}

struct Walk<'a, V> {
    root: &'a Root,
    start: usize,
    extent: Extent,
    stop: &'a CancellationToken,
    queue: Mutex<Queue>,
    woken: Condvar,
    seen: AtomicUsize,
    visit: V,
}

/// Visits every entry below `start` once, in no order and from several threads: folder, name, and what it stands for.
///
/// # Errors
/// When `start` itself cannot be read. Folders below that cannot are passed over.
pub fn walk<V>(root: &Root, start: &RootPath, extent: Extent, stop: &CancellationToken, visit: V) -> Result<Walked, ToolError>
where
    V: Fn(&Folder<'_>, &str, &Kind) + Sync,
{
    root.folder(start)?;
    let rules = if extent.respect_ignore { rules_above(root, start) } else { None };
    let queue = Mutex::new(Queue { waiting: VecDeque::from([(start.clone(), rules)]), left: 1 });
    let (woken, seen) = (Condvar::new(), AtomicUsize::new(0));
    let walk = Walk { root, start: start.depth(), extent, stop, queue, woken, seen, visit };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(|| walk.work())));
        walk.work();
    });
    if stop.is_cancelled() {
        return Err(ToolError::failed("stopped"));
    }
    Ok(Walked { is_cut: walk.seen.load(Ordering::Relaxed) > ENTRIES_MAX })
}

impl<V: Fn(&Folder<'_>, &str, &Kind) + Sync> Walk<'_, V> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done under this lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut queue = self.lock();
            let next = loop {
                if let Some(next) = queue.waiting.pop_front() {
                    break Some(next);
                }
                if queue.left == 0 {
                    break None;
                }
                queue = self.woken.wait(queue).unwrap_or_else(PoisonError::into_inner);
            };
            drop(queue);
            let Some((path, rules)) = next else { return };
            let below = if self.is_over() { Vec::new() } else { self.read(&path, rules) };
            let mut queue = self.lock();
            queue.left += below.len();
            queue.left -= 1;
            queue.waiting.extend(below);
            drop(queue);
            self.woken.notify_all();
        }
    }

    fn is_over(&self) -> bool {
        self.stop.is_cancelled() || self.seen.load(Ordering::Relaxed) > ENTRIES_MAX
    }

    fn read(&self, path: &RootPath, above: Option<Arc<Rules>>) -> Vec<(RootPath, Option<Arc<Rules>>)> {
        let Ok(folder) = self.root.folder(path) else { return Vec::new() };
        let Ok(entries) = folder.entries() else { return Vec::new() };
        let rules = if self.extent.respect_ignore { own_rules(&folder, &entries, above) } else { None };
        let mut below = Vec::new();
        for (name, kind) in &entries {
            if self.is_over() {
                break;
            }
            let is_folder = *kind == Kind::Folder;
            if rules.as_ref().is_some_and(|rules| rules.leaves_out(&path.join(name).text(), is_folder)) {
                continue;
            }
            self.seen.fetch_add(1, Ordering::Relaxed);
            (self.visit)(&folder, name, kind);
            if is_folder && path.depth() + 1 - self.start < self.extent.depth {
                below.push((path.join(name), rules.clone()));
            }
        }
        below
    }
}

impl Rules {
    /// The nearest rule that says something decides.
    fn leaves_out(&self, path: &str, is_folder: bool) -> bool {
        match self.own.matched(path, is_folder) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => self.above.as_ref().is_some_and(|above| above.leaves_out(path, is_folder)),
        }
    }
}

/// The rules of the folders from the root down to the one where a walk begins.
fn rules_above(root: &Root, start: &RootPath) -> Option<Arc<Rules>> {
    let mut rules = None;
    let mut folder = root.folder(&RootPath::default()).ok()?;
    for name in start.text().split('/').filter(|name| *name != ".") {
        let entries = folder.entries().unwrap_or_default();
        rules = own_rules(&folder, &entries, rules);
        folder = folder.folder(name).ok()?;
    }
    rules
}

fn own_rules(folder: &Folder<'_>, entries: &[(String, Kind)], above: Option<Arc<Rules>>) -> Option<Arc<Rules>> {
    let base = folder.path().text();
    let mut builder = GitignoreBuilder::new(if base == "." { "" } else { base.as_str() });
    let mut some = false;
    // The later file wins: `.ignore` is for tools that search.
    for file in [".gitignore", ".ignore"] {
        let is_there = entries.iter().any(|(name, kind)| name == file && *kind == Kind::File);
        let Some((opened, _)) = is_there.then(|| folder.file(file).ok()).flatten() else { continue };
        let mut text = Vec::new();
        if opened.take(RULES_BYTES_MAX).read_to_end(&mut text).is_err() {
            continue;
        }
        // A line that is no rule says nothing, as with git.
        String::from_utf8_lossy(&text).lines().for_each(|line| drop(builder.add_line(None, line)));
        some = true;
    }
    match builder.build() {
        Ok(own) if some => Some(Arc::new(Rules { own, above })),
        _ => above,
    }
}
