//! Runs that this page started or continued: each has an executor on a thread of its own, until it ends, must wait, or the page is closed.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::cli::error::{CliError, Exit, Result};
use crate::domain::ids::RunId;
use crate::executor::{Control, Stop};
use crate::workspace::{ActiveRun, Workspace};

/// The runs that this process carries on.
#[derive(Default)]
pub struct Runner(Mutex<Vec<Running>>);

struct Running {
    run: RunId,
    control: Sender<Control>,
    thread: JoinHandle<()>,
}

impl Runner {
    /// Carries a run on, beside everything else. An escalation that a person must approve suspends it: that is answered on its page.
    ///
    /// # Errors
    /// When its models cannot be made or the machine gives no thread.
    pub fn carry_on(&self, workspace: &Arc<Workspace>, active: ActiveRun) -> Result<()> {
        let ActiveRun { id, stream, basis, lock, redactor, .. } = active;
        let (control, controlled) = channel();
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| failed(&error))?;
        let executor = workspace.runs().executor(stream, basis, redactor, runtime, controlled, Box::new(|_| None))?;
        let execute = move || match executor.execute() {
            Ok((Stop::Ended, _)) => {
                if let Err(error) = lock.end() {
                    tracing::warn!("the lock of run {id} stays: {error}");
                }
            }
            Ok((Stop::Suspended(_), _)) => drop(lock),
            // What was recorded stays: the run's page shows it as interrupted and offers to go on.
            Err(error) => tracing::error!("run {id} cannot go on: {error}"),
        };
        let thread =
            std::thread::Builder::new().name("meno-executor".to_owned()).spawn(execute).map_err(|error| failed(&error))?;
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| !other.thread.is_finished());
        running.push(Running { run: id, control, thread });
        Ok(())
    }

    /// Pauses every run that is still going on, and waits until that is recorded.
    pub fn pause_all(&self) {
        let running = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
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

fn failed(error: &(dyn std::error::Error + 'static)) -> CliError {
    CliError::new("io", Exit::Mendable, "the run cannot be carried on").source(error).hint("its page offers to continue it")
}
