//! Which moment a typed date means: `2026-10-01`, `7d`, `yesterday`.
//!
//! The command line's `--since` and the search's `since:` read the same words. It knows neither the clock nor the zone:
//! both are handed in when a moment is asked for.

use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::ids::TimeNs;

/// A moment as people name it; which one it is depends on now and on the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A day.
    Day(Date),
    /// So many days before today.
    DaysBack(i64),
    /// So long before now.
    Ago(SignedDuration),
    /// A moment.
    At(Timestamp),
}

impl When {
    /// Returns the moment (ns since the epoch) from which on things are meant: the first one of a day.
    pub fn since(self, now: Timestamp, zone: &TimeZone) -> TimeNs {
        self.moment(now, zone, 0)
    }

    /// Returns the moment (ns since the epoch) before which things are meant: a day counts to its end.
    pub fn until(self, now: Timestamp, zone: &TimeZone) -> TimeNs {
        self.moment(now, zone, 1)
    }

    fn moment(self, now: Timestamp, zone: &TimeZone, days_on: i64) -> TimeNs {
        let first_of = |day: Date| day.to_zoned(zone.clone()).map(|moment| moment.timestamp());
        let moment = match self {
            Self::Day(day) => first_of(day.saturating_add(days_on.days())).unwrap_or(Timestamp::MAX),
            Self::DaysBack(back) => {
                let today = now.to_zoned(zone.clone()).date();
                first_of(today.saturating_sub((back - days_on).days())).unwrap_or(now)
            }
            Self::Ago(duration) => now.saturating_sub(duration).unwrap_or(Timestamp::MIN),
            Self::At(moment) => moment,
        };
        // What a log can hold ends in 2262; moments beyond are as good as its ends.
        let nanoseconds = moment.as_nanosecond();
        i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "now" => return Ok(Self::Ago(SignedDuration::ZERO)),
            "today" => return Ok(Self::DaysBack(0)),
            "yesterday" => return Ok(Self::DaysBack(1)),
            _ => {}
        }
        if let Ok(day) = text.parse::<Date>()
            && !text.contains(['T', 't', ' ', ':'])
        {
            return Ok(Self::Day(day));
        }
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Ok(Self::At(moment));
        }
        ago(text)
            .map(Self::Ago)
            .ok_or_else(|| "not a date: give 2026-10-01, 7d, 12h, 30m, 2w, today, yesterday, or RFC 3339".to_owned())
    }
}

/// Reads `7d` and the like.
fn ago(text: &str) -> Option<SignedDuration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let seconds: i64 = match unit {
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(seconds).map(SignedDuration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_mean_days_in_the_users_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-11-22T23:30:00Z".parse().unwrap(); // the 23rd there
        let at = |text: &str| i64::try_from(text.parse::<Timestamp>().unwrap().as_nanosecond()).unwrap();
        let when = |text: &str| text.parse::<When>().unwrap();
        assert_eq!(when("2026-10-01").since(now, &zone), at("2026-09-30T22:00:00Z"));
        assert_eq!(when("2026-10-01").until(now, &zone), at("2026-10-01T22:00:00Z"));
        assert_eq!(when("yesterday").since(now, &zone), at("2026-11-21T22:00:00Z"));
        assert_eq!(when("today").until(now, &zone), at("2026-11-23T22:00:00Z"));
        assert_eq!(when("7d").since(now, &zone), at("2026-11-15T23:30:00Z"));
        assert_eq!(when("2026-10-01T12:00:00+01:00").since(now, &zone), at("2026-10-01T11:00:00Z"));
        assert_eq!(when("9999-12-31").until(now, &zone), i64::MAX);
        assert_eq!(when("0001-01-01").since(now, &zone), i64::MIN);
        for wrong in ["", "7", "d", "7y", "2026-13-01", "99999999999999999999d", "9223372036854775807w"] {
            assert!(wrong.parse::<When>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_date_is_too_strange_to_be_refused(word in any::<String>(), days in 0i64..i64::MAX) {
            let now = Timestamp::UNIX_EPOCH;
            for word in [word, format!("{days}d")] {
                if let Ok(when) = word.parse::<When>() {
                    prop_assert!(when.since(now, &TimeZone::UTC) <= when.until(now, &TimeZone::UTC));
                }
            }
        }
    }
}
