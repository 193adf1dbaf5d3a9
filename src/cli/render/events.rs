//! `events`: the log for reading, one line per event. What was imported stands with the time at which it happened.

use jiff::tz::TimeZone;

use crate::cli::output::{FAINT, HEADING, sanitize, styled, time};
use crate::cli::progress::{Names, line};
use crate::domain::event::Recorded;

/// Shows an event: position, time, the end of the run's id, kind, and what happened when it is of note.
pub fn event(recorded: &Recorded, names: &mut Names, zone: &TimeZone) -> String {
    let envelope = &recorded.envelope;
    let run = envelope.run.map_or_else(|| "-".repeat(6), |run| run.to_string().chars().skip(20).collect());
    let words = line(recorded, names).unwrap_or_default();
    let moment = time::moment(envelope.occurred_at.unwrap_or(envelope.at), zone);
    let kind = sanitize::line(recorded.event.name());
    format!("{:>7}  {}  {run}  {}  {words}", envelope.seq, styled(FAINT, moment), styled(HEADING, kind)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::sample;

    #[test]
    fn an_event_is_one_line() {
        let mut names = Names::default();
        let shown = event(&sample::story()[5], &mut names, &TimeZone::UTC);
        let shown = anstream::adapter::strip_str(&shown).to_string();
        assert_eq!(shown, "      7  2026-11-22 16:21:36 UTC  V3W5X7  AgentPlanned  linter: planned, progressive");
    }
}
