//! Times and durations as people read them. Stored and given to programs in UTC; shown in the user's zone, which is named.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::domain::ids::TimeNs;

/// Where the system links its zone to.
const LOCAL: &str = "/etc/localtime";

/// Returns the system's zone. Where it names one file that file is read alone: finding a zone by its name walks through the files of all.
pub fn local() -> TimeZone {
    let named = || {
        let target = std::fs::read_link(LOCAL).ok()?;
        let name = target.to_str()?.split_once("/zoneinfo/")?.1;
        TimeZone::tzif(name, &std::fs::read(LOCAL).ok()?).ok()
    };
    named().unwrap_or_else(TimeZone::system)
}

/// Shows a moment in `zone` with the zone's abbreviation: `2026-11-22 17:21:31 CET`.
pub fn moment(at: TimeNs, zone: &TimeZone) -> String {
    show(at, zone, "%Y-%m-%d %H:%M:%S %Z")
}

/// Shows a moment to the millisecond, for logs: `2026-11-22 17:21:31.042 CET`.
pub fn moment_ms(at: TimeNs, zone: &TimeZone) -> String {
    show(at, zone, "%Y-%m-%d %H:%M:%S%.3f %Z")
}

/// Shows a moment that a document holds as RFC 3339; what cannot be read is shown as it is.
pub fn moment_of(text: &str, zone: &TimeZone) -> String {
    match nanoseconds(text) {
        Some(at) => moment(at, zone),
        None => super::sanitize::line(text).into_owned(),
    }
}

/// Reads RFC 3339 as nanoseconds since the epoch.
pub fn nanoseconds(text: &str) -> Option<TimeNs> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

/// Shows moments for a narrow list, each without what all share, and says what that is: `22 Nov 16:21:31` and `times: 2026, UTC`.
pub fn short_list(moments: &[Option<TimeNs>], zone: &TimeZone) -> (Vec<Option<String>>, String) {
    let shared = |format: &str| {
        let mut all = moments.iter().flatten().map(|at| show(*at, zone, format));
        let first = all.next()?;
        all.all(|other| other == first).then_some(first)
    };
    let year = shared("%Y");
    let format = if year.is_some() { "%d %b %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    let zone_name = shared("%Z").or_else(|| zone.iana_name().map(str::to_owned)).unwrap_or_else(|| "local".to_owned());
    let note = year.map_or_else(|| format!("times: {zone_name}"), |year| format!("times: {year}, {zone_name}"));
    (moments.iter().map(|at| at.map(|at| show(at, zone, format))).collect(), note)
}

fn show(at: TimeNs, zone: &TimeZone, format: &str) -> String {
    // Every i64 of nanoseconds is a timestamp.
    let moment = Timestamp::from_nanosecond(i128::from(at)).unwrap_or(Timestamp::UNIX_EPOCH);
    moment.to_zoned(zone.clone()).strftime(format).to_string()
}

/// Shows a duration with two units at most: `420 ms`, `3.2 s`, `2 min 05 s`, `1 h 03 min`, `2 d 04 h`.
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=59 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_zone_is_the_one_that_its_name_gives() {
        let (ours, named) = (local(), TimeZone::system());
        for at in [0, 1_700_000_000_000_000_000, 1_720_000_000_000_000_000] {
            assert_eq!(moment(at, &ours), moment(at, &named));
        }
        assert_eq!(ours.iana_name(), named.iana_name());
    }

    #[test]
    fn a_moment_is_shown_in_the_zone_that_is_asked_for_and_names_it() {
        let at = nanoseconds("2026-11-22T16:21:31.5Z").unwrap();
        assert_eq!(moment(at, &TimeZone::UTC), "2026-11-22 16:21:31 UTC");
        assert_eq!(moment_ms(at, &TimeZone::UTC), "2026-11-22 16:21:31.500 UTC");
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(moment_of("2026-07-01T12:00:00Z", &zone), "2026-07-01 14:00:00 CEST");
        assert_eq!(moment_of("\u{1b}soon", &zone), "␛soon");
    }

    #[test]
    fn a_narrow_list_says_once_what_all_its_times_share() {
        let at = |text: &str| nanoseconds(text);
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let (times, note) = short_list(&[at("2026-11-22T16:21:31Z"), None, at("2026-12-01T08:00:00Z")], &zone);
        assert_eq!(times, [Some("22 Nov 17:21:31".to_owned()), None, Some("01 Dec 09:00:00".to_owned())]);
        assert_eq!(note, "times: 2026, CET");
        let (times, note) = short_list(&[at("2026-11-22T16:21:31Z"), at("2025-07-01T08:00:00Z")], &zone);
        assert_eq!((times[1].as_deref(), note.as_str()), (Some("2025-07-01 10:00:00"), "times: local"));
    }

    #[test]
    fn the_ends_of_time_are_shown_too() {
        assert_eq!(moment(i64::MAX, &TimeZone::UTC), "2262-04-11 23:47:16 UTC");
        assert_eq!(moment(i64::MIN, &TimeZone::UTC), "1677-09-21 00:12:43 UTC");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, shown) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (3_250, "3.2 s"),
            (59_999, "59.9 s"),
            (125_000, "2 min 05 s"),
            (3_780_000, "1 h 03 min"),
            (187_200_000, "2 d 04 h"),
        ] {
            assert_eq!(duration(millis), shown);
        }
    }
}
