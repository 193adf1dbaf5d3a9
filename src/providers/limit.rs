//! How many requests one provider gets at once, and when it wants to be left alone.
//!
//! The number adapts: a rate limit halves it, each success adds a little, up to what the settings allow. The wish to be
//! left alone is shared, so that many agents do not each run into the same wall. It knows nothing of requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The limiter of one provider.
#[derive(Debug)]
pub struct Limiter {
    most: f64,
    state: Mutex<LimitState>,
    changed: Notify,
}

#[derive(Debug)]
struct LimitState {
    in_flight: u32,
    /// Invariant: from 1 to `most`.
    allowed: f64,
    not_before: Option<Instant>,
    cut_at: Option<Instant>,
}

/// The right to have one request in flight; given back when dropped.
#[derive(Debug)]
pub struct Permit<'a> {
    limiter: &'a Limiter,
    since: Instant,
}

impl Limiter {
    /// Returns a limiter for at most `most` requests at once; 0 counts as 1.
    pub fn new(most: u32) -> Self {
        let most = f64::from(most.max(1));
        let state = LimitState { in_flight: 0, allowed: most, not_before: None, cut_at: None };
        Self { most, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Waits until a request may leave.
    pub async fn acquire(&self) -> Permit<'_> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listening starts before looking, so that nothing that changes in between is missed.
            changed.as_mut().enable();
            let until = {
                let mut state = self.state();
                let now = Instant::now();
                let until = state.not_before.filter(|until| *until > now);
                if until.is_none() && f64::from(state.in_flight) < state.allowed.floor() {
                    state.in_flight += 1;
                    return Permit { limiter: self, since: now };
                }
                until
            };
            match until {
                Some(until) => tokio::select! {
                    () = tokio::time::sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, LimitState> {
        // No code panics while it holds the lock, and every state is a valid one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Notes that the provider answered.
    pub fn succeeded(&self) {
        let mut state = self.limiter.state();
        state.allowed = (state.allowed + 1.0 / state.allowed).min(self.limiter.most);
        drop(state);
        self.limiter.changed.notify_waiters();
    }

    /// Notes that the provider wants fewer requests, and none for `wait`. Requests that left together count once.
    pub fn limited(&self, wait: Duration) {
        let now = Instant::now();
        let mut state = self.limiter.state();
        if state.cut_at.is_none_or(|cut_at| self.since > cut_at) {
            state.allowed = (state.allowed / 2.0).max(1.0);
            state.cut_at = Some(now);
        }
        state.not_before = state.not_before.max(now.checked_add(wait));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.limiter.state().in_flight -= 1;
        self.limiter.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Waits for something that must come.
    async fn in_time<T>(wait: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("nobody was woken")
    }

    fn free(limiter: &Limiter) -> usize {
        let mut permits = Vec::new();
        while let Some(permit) = limiter.acquire().now_or_never() {
            permits.push(permit);
        }
        permits.len()
    }

    #[tokio::test]
    async fn no_more_than_allowed_are_in_flight() {
        let limiter = Limiter::new(2);
        let first = limiter.acquire().await;
        let _second = limiter.acquire().await;
        assert!(limiter.acquire().now_or_never().is_none());
        drop(first);
        assert!(limiter.acquire().now_or_never().is_some());
        assert_eq!(free(&Limiter::new(0)), 1);
    }

    #[tokio::test]
    async fn a_waiting_request_leaves_when_another_ends() {
        let limiter = Limiter::new(1);
        let first = limiter.acquire().await;
        let both = async {
            tokio::join!(async { drop(limiter.acquire().await) }, async {
                tokio::task::yield_now().await;
                drop(first);
            })
        };
        in_time(both).await;
    }

    #[tokio::test]
    async fn limits_that_come_together_halve_once_and_successes_win_back() {
        let limiter = Limiter::new(8);
        let permits = [limiter.acquire().await, limiter.acquire().await];
        permits.iter().for_each(|permit| permit.limited(Duration::ZERO));
        drop(permits);
        assert_eq!(free(&limiter), 4);
        tokio::time::sleep(Duration::from_millis(1)).await;
        limiter.acquire().await.limited(Duration::ZERO);
        assert_eq!(free(&limiter), 2);
        for _ in 0..100 {
            limiter.acquire().await.succeeded();
        }
        assert_eq!(free(&limiter), 8);
    }

    #[tokio::test]
    async fn everybody_waits_for_the_same_moment() {
        let limiter = Limiter::new(4);
        let start = Instant::now();
        limiter.acquire().await.limited(Duration::from_millis(30));
        assert_eq!(free(&limiter), 0);
        in_time(async { tokio::join!(limiter.acquire(), limiter.acquire()) }).await;
        assert!(start.elapsed() >= Duration::from_millis(30));
    }
}
