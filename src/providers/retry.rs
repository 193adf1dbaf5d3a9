//! When to ask again: what the server says about waiting, and what to do when it says nothing.
//!
//! Pure: the clock and the random number come in as arguments. Waits are never longer than [`WAIT_MAX`]; a server that
//! wants more than that is out of quota as far as a running agent is concerned.

use std::time::{Duration, SystemTime};

use crate::domain::event::ErrorClass;

use super::fault::Fault;

/// The longest wait before another try.
pub const WAIT_MAX: Duration = Duration::from_secs(60);
/// The upper bound of the first wait when the server names none; it doubles with each try.
const FIRST: Duration = Duration::from_millis(500);

/// What a response's headers say about another try.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Advice {
    /// How long to wait.
    pub wait: Option<Duration>,
    /// `x-should-retry`.
    pub should_retry: Option<bool>,
}

impl Advice {
    /// Reads `retry-after-ms`, then `retry-after` (seconds, whole or not, or an HTTP date), and `x-should-retry`. A date
    /// counts from the response's own `date`, so that a wrong clock here does no harm, else from `now`.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let number = |name: &str| header(name)?.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        let date = || {
            let until = httpdate::parse_http_date(header("retry-after")?.trim()).ok()?;
            let from = header("date").and_then(|date| httpdate::parse_http_date(date.trim()).ok()).unwrap_or(now);
            Some(until.duration_since(from).unwrap_or_default())
        };
        let wait = number("retry-after-ms").map(|ms| seconds(ms / 1000.0)).or_else(|| number("retry-after").map(seconds));
        let should_retry = match header("x-should-retry").map(str::trim) {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        Self { wait: wait.or_else(date), should_retry }
    }

    /// Applies the advice to a failure: a server may ask not to be asked again, but not to be asked about a mistake of
    /// the configuration; and a rate limit that lasts longer than [`WAIT_MAX`] is a quota.
    pub fn apply(&self, fault: &mut Fault) {
        let passing = matches!(
            fault.class,
            ErrorClass::Server | ErrorClass::RateLimit | ErrorClass::Connection | ErrorClass::Timeout | ErrorClass::BadReply
        );
        if let Some(retry) = self.should_retry.filter(|_| passing) {
            fault.retryable = retry;
        }
        if let Some(wait) = self.wait.filter(|wait| *wait > WAIT_MAX && passing) {
            if fault.class == ErrorClass::RateLimit {
                fault.class = ErrorClass::Quota;
                fault.message = format!("{} (asks to wait {} s)", fault.message, wait.as_secs());
            }
            fault.retryable = false;
        }
    }

    /// Returns how long to wait before the next try: what the server asked for, else a random share (`chance`, from 0
    /// to 1) of a bound that starts at half a second and doubles up to [`WAIT_MAX`].
    pub fn wait(&self, failed_try: u32, chance: f64) -> Duration {
        self.wait.unwrap_or_else(|| {
            let bound = FIRST.saturating_mul(2u32.saturating_pow(failed_try.saturating_sub(1))).min(WAIT_MAX);
            bound.mul_f64(if chance.is_finite() { chance.clamp(0.0, 1.0) } else { 1.0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(headers: &[(&str, &'static str)]) -> Advice {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").unwrap();
        Advice::read(|name| headers.iter().find(|(header, _)| *header == name).map(|(_, value)| *value), now)
    }

    #[track_caller]
    fn check(headers: &[(&str, &'static str)], wait_ms: Option<u64>) {
        assert_eq!(advice(headers).wait, wait_ms.map(Duration::from_millis), "{headers:?}");
    }

    #[test]
    fn the_server_names_its_wait_in_four_ways() {
        check(&[], None);
        check(&[("retry-after", "2")], Some(2_000));
        check(&[("retry-after", "0.25")], Some(250));
        check(&[("retry-after-ms", "20"), ("retry-after", "9")], Some(20));
        check(&[("retry-after", "Sun, 22 Nov 2026 10:00:07 GMT")], Some(7_000));
        check(&[("retry-after", "Sun, 22 Nov 2026 10:00:07 GMT"), ("date", "Sun, 22 Nov 2026 10:00:05 GMT")], Some(2_000));
        check(&[("retry-after", "Sun, 22 Nov 2026 09:00:00 GMT")], Some(0));
        check(&[("retry-after", "-3")], Some(0));
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "NaN")], None);
        assert_eq!(advice(&[("retry-after", "1e300")]).wait, Some(Duration::MAX));
    }

    #[test]
    fn a_limit_beyond_the_longest_wait_is_a_quota() {
        let after = |seconds| {
            let mut fault = Fault::passing(ErrorClass::RateLimit, "slow down");
            advice(&[("retry-after", seconds)]).apply(&mut fault);
            (fault.class, fault.retryable)
        };
        assert_eq!(after("60"), (ErrorClass::RateLimit, true));
        assert_eq!(after("61"), (ErrorClass::Quota, false));
    }

    #[test]
    fn a_server_may_ask_not_to_be_asked_again_but_not_about_mistakes() {
        let after = |class, retryable, should: &'static str| {
            let mut fault = Fault { retryable, ..Fault::passing(class, "") };
            advice(&[("x-should-retry", should)]).apply(&mut fault);
            fault.retryable
        };
        assert!(!after(ErrorClass::Server, true, "false"));
        assert!(after(ErrorClass::Server, false, "true"));
        assert!(!after(ErrorClass::BadRequest, false, "true"));
        assert!(!after(ErrorClass::Quota, false, "true"));
    }

    #[test]
    fn waits_double_up_to_the_cap_and_are_spread() {
        let wait = |failed, chance| Advice::default().wait(failed, chance).as_millis();
        assert_eq!([wait(1, 1.0), wait(2, 1.0), wait(3, 1.0), wait(8, 1.0), wait(99, 1.0)], [500, 1000, 2000, 60_000, 60_000]);
        assert_eq!([wait(3, 0.0), wait(3, 0.5), wait(3, 7.0)], [0, 1000, 2000]);
        assert_eq!(Advice { wait: Some(Duration::from_secs(3)), should_retry: None }.wait(1, 0.1), Duration::from_secs(3));
    }
}
