//! The user's wish to stop: Ctrl-C, SIGTERM and SIGHUP, for commands that go on until then.
//!
//! A thread of its own listens, so that whoever blocks on the store or a pipe can look between two steps. It knows nothing of what
//! is stopped.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::error::{CliError, Exit, Result};

/// Whether the user wants this to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Listens for Ctrl-C, SIGTERM and SIGHUP from now on; they no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system does not let this process listen.
    pub fn listen() -> Result<Self> {
        let stop = Self::default();
        let failed = |error: std::io::Error| CliError::new("io", Exit::Mendable, format!("cannot listen for Ctrl-C: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let mut term = {
            let _inside = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).map_err(failed)?
        };
        let mut interrupt = {
            let _inside = runtime.enter();
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).map_err(failed)?
        };
        // The end of the terminal too, unless whoever started this wants it to go on then.
        let mut hangup = match is_hangup_ignored() {
            true => None,
            false => {
                let _inside = runtime.enter();
                Some(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map_err(failed)?)
            }
        };
        let heard = stop.clone();
        let listen = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = async {
                        match &mut hangup {
                            Some(hangup) => hangup.recv().await,
                            None => std::future::pending().await,
                        }
                    } => {}
                }
            });
            heard.ask();
        };
        thread::Builder::new().name("meno-stop".to_owned()).spawn(listen).map_err(failed)?;
        Ok(stop)
    }

    /// Asks for the end.
    pub fn ask(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Tells whether the end was asked for.
    pub fn is_asked(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the end is asked for or `patience` is over; tells whether it was asked for.
    pub fn wait(&self, patience: Duration) -> bool {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, _) = self.0.1.wait_timeout_while(asked, patience, |asked| !*asked).unwrap_or_else(PoisonError::into_inner);
        *asked
    }
}

/// Tells whether this process was started so that the end of its terminal does not concern it.
pub fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // Signals are counted from 1, and this is the first.
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_is_told_at_once_and_whoever_comes_later_too() {
        let stop = Stop::default();
        assert!(!stop.wait(Duration::ZERO) && !stop.is_asked());
        let waiting = thread::spawn({
            let stop = stop.clone();
            move || stop.wait(Duration::from_secs(600))
        });
        stop.ask();
        assert!(waiting.join().unwrap() && stop.wait(Duration::ZERO) && stop.is_asked());
    }
}
