//! Runs that this page started or continued: each has an executor on a thread of its own, until it ends, must wait, or the page is closed.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::changes::Changes;
use crate::cli::error::{CliError, Exit, Result};
use crate::domain::ids::{CallNo, RunId};
use crate::executor::{Control, Stop};
use crate::workspace::{ActiveRun, Workspace};

/// The runs that this process carries on.
#[derive(Default)]
pub struct Runner(Mutex<Vec<Running>>);

/// What tools said last of how far they are, by the call that asked for them.
type Told = Arc<Mutex<HashMap<CallNo, String>>>;

struct Running {
    run: RunId,
    told: Told,
    control: Sender<Control>,
    thread: JoinHandle<()>,
}

impl Runner {
    /// Carries a run on, beside everything else. An escalation that a person must approve suspends it: that is answered on its page.
    ///
    /// # Errors
    /// When its models cannot be made or the machine gives no thread.
    pub fn carry_on(&self, changes: &Changes, workspace: &Arc<Workspace>, active: ActiveRun) -> Result<()> {
        let ActiveRun { id, stream, basis, lock, redactor, .. } = active;
        let (control, controlled) = channel();
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| failed(&error))?;
        let executor = workspace.runs().executor(stream, basis, redactor, runtime, controlled, Box::new(|_| None))?;
        let told = Told::default();
        let heard = Arc::clone(&told);
        let tell = changes.teller(id);
        let hear = move |call, words: &str| {
            lock_of(&heard).insert(call, words.to_owned());
            tell();
        };
        let executor = executor.recalling(workspace.memory_search()).telling(Arc::new(hear));
        // Its tools search the memory of these settings as long as it works.
        let kept = Arc::clone(workspace);
        let carry_on = move || match executor.execute() {
            Ok((Stop::Ended, _)) => {
                if let Err(error) = lock.end() {
                    tracing::warn!("the lock of run {id} stays: {error}");
                }
            }
            Ok((Stop::Suspended(_), _)) => drop(lock),
            // What was recorded stays: the run's page shows it as interrupted and offers to go on.
            Err(error) => tracing::error!("run {id} cannot go on: {error}"),
        };
        let execute = move || {
            carry_on();
            drop(kept);
        };
        let thread =
            std::thread::Builder::new().name("meno-executor".to_owned()).spawn(execute).map_err(|error| failed(&error))?;
        let mut running = lock_of(&self.0);
        running.retain(|other| !other.thread.is_finished());
        running.push(Running { run: id, told, control, thread });
        Ok(())
    }

    /// Returns what the tools of a call said last of how far they are; `None` where they say nothing, or another process carries the run on.
    pub fn progress(&self, run: RunId, call: CallNo) -> Option<String> {
        let running = lock_of(&self.0);
        let one = running.iter().rev().find(|one| one.run == run)?;
        lock_of(&one.told).get(&call).cloned()
    }

    /// Pauses every run that is still going on, and waits until that is recorded.
    pub fn pause_all(&self) {
        let running = std::mem::take(&mut *lock_of(&self.0));
        for one in &running {
            // One that has ended hears nothing.
            let _ = one.control.send(Control::Interrupt);
        }
        for one in running {
            if one.thread.join().is_err() {
                tracing::error!("the executor of run {} ended without a result", one.run);
            }
        }
    }
}

fn lock_of<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new("io", Exit::Mendable, "the run cannot be carried on").source(error).hint("its page offers to continue it")
}
