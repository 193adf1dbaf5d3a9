//! Pages that take long: a browser is told at once that one is being made, and asks again by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinHandle};

/// What was made for somebody who did not come back for it in this time is made again.
const FRESH: Duration = Duration::from_secs(10);
/// Pages in the making that are remembered, before those that nobody came back for are dropped.
const SLOTS_MAX: usize = 64;

/// What is in the making, by name: whoever asks again for the same waits for the same work.
pub struct Pending<T>(Mutex<HashMap<String, Slot<T>>>);

type Slot<T> = Arc<tokio::sync::Mutex<Option<JoinHandle<(T, Instant)>>>>;

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Send + 'static> Pending<T> {
    /// Has `make` done on a thread that may block, unless it is in the making already, and returns what it made; `None` when it takes longer
    /// than `patience`. Then it goes on, and who asks again gets what it made.
    ///
    /// # Errors
    /// When `make` panicked.
    pub async fn get(
        &self,
        name: &str,
        patience: Duration,
        make: impl FnOnce() -> T + Send + 'static,
    ) -> Option<Result<T, JoinError>> {
        let slot = self.slot(name);
        let made = async {
            let mut make = Some(make);
            // Of those who wait for the same, one gets it, and the next has it made again.
            let mut held = slot.lock().await;
            loop {
                if held.is_none() {
                    let make = make.take()?;
                    *held = Some(tokio::task::spawn_blocking(move || (make(), Instant::now())));
                }
                // It stays where it is until it is done: whoever waits for it may lose patience.
                let done = held.as_mut()?.await;
                *held = None;
                match done {
                    Ok((_, at)) if make.is_some() && at.elapsed() > FRESH => {}
                    done => return Some(done.map(|(made, _)| made)),
                }
            }
        };
        let made = tokio::time::timeout(patience, made).await.ok().flatten();
        if made.is_some() {
            self.forget(name, &slot);
        }
        made
    }

    fn slot(&self, name: &str) -> Slot<T> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS_MAX && !slots.contains_key(name) {
            slots.retain(|_, slot| is_in_the_making(slot));
        }
        Arc::clone(slots.entry(name.to_owned()).or_default())
    }

    fn forget(&self, name: &str, slot: &Slot<T>) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.get(name).is_some_and(|known| Arc::ptr_eq(known, slot)) {
            slots.remove(name);
        }
    }
}

fn is_in_the_making<T>(slot: &Slot<T>) -> bool {
    // Somebody waits for one that cannot be had.
    slot.try_lock().map_or(true, |held| held.as_ref().is_some_and(|job| !job.is_finished()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn who_asks_again_waits_for_the_same_work_and_gets_what_it_made() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (pending, begun) = (Pending::default(), Arc::new(AtomicUsize::new(0)));
        let (release, released) = channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let make = || {
            let (begun, released) = (Arc::clone(&begun), Arc::clone(&released));
            move || {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                released.lock().unwrap().recv().unwrap();
                number
            }
        };
        runtime.block_on(async {
            for _ in 0..3 {
                assert!(pending.get("/costs", Duration::ZERO, make()).await.is_none(), "it is not made yet");
            }
            release.send(()).unwrap();
            assert_eq!(pending.get("/costs", LONG, make()).await.unwrap().unwrap(), 0, "what was begun first");
            release.send(()).unwrap();
            assert_eq!(pending.get("/costs", LONG, make()).await.unwrap().unwrap(), 1, "it is made again for the next one");
            let broken: Result<usize, JoinError> = pending.get("/x", LONG, || panic!("it breaks")).await.unwrap();
            assert!(broken.is_err());
        });
        assert_eq!((begun.load(Ordering::SeqCst), pending.0.lock().unwrap().len()), (2, 0));
    }

    #[test]
    fn what_nobody_comes_back_for_is_not_kept() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let pending = Pending::default();
            for number in 0..10 * SLOTS_MAX {
                // Nobody has the patience to see it.
                let _ = pending.get(&number.to_string(), Duration::ZERO, || ()).await;
                while pending.0.lock().unwrap().values().any(is_in_the_making) {
                    tokio::task::yield_now().await;
                }
            }
            assert!(pending.0.lock().unwrap().len() <= SLOTS_MAX);
        });
    }
}
