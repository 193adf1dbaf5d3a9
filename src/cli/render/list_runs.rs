//! `list-runs`: one row per run.

use super::{run_style, standing};
use crate::cli::output::table::{Column, Entry, Fit, Table};
use crate::cli::output::{Printer, time, words};
use crate::domain::event::Mode;
use crate::views::run_list::{RunLine, RunList};
use crate::views::status::RunStatus;

/// Shows a list of runs. `all` are the ids of all runs of the store, so that a shortened one names one run only.
pub fn list_runs(out: &Printer, list: &RunList, all: &[&str]) -> String {
    let ids: Vec<&str> = list.runs.iter().map(|run| run.run_id.as_str()).collect();
    let short_ids = words::unique_suffixes(&ids, all);
    let moments: Vec<_> = list.runs.iter().map(|run| time::nanoseconds(&run.started_at)).collect();
    let (short_times, note) = time::short_list(&moments, out.zone());
    let mut columns = vec![
        Column::new("run", Fit::Whole),
        Column::new("template", Fit::Words),
        Column::new("status", Fit::Words),
        Column::new("started", Fit::Whole),
        Column::new("duration", Fit::Number).optional(1),
        Column::new("cost", Fit::Number),
        Column::new("agents", Fit::Number).optional(3),
        Column::new("escalations", Fit::Number).optional(2),
        Column::new("mode", Fit::Whole).once(),
    ];
    let has_imported = list.runs.iter().any(|run| run.node.is_some());
    if has_imported {
        columns.push(Column::new("node", Fit::Whole));
    }
    let mut table = Table::new(out, &columns);
    table.short_note(note);
    for (((run, short_id), at), short_time) in list.runs.iter().zip(short_ids).zip(moments).zip(short_times) {
        let started = at.map_or_else(|| run.started_at.clone(), |at| time::moment(at, out.zone()));
        let node = has_imported.then(|| Entry::from(run.node.as_deref().map_or("own", words::id_end)));
        let row = [
            Entry::from(run.run_id.as_str()).short(short_id),
            Entry::from(run.template_id.as_str()),
            Entry::styled(run_style(run.status, run.verified), standing_of(run)),
            Entry::from(started).short(short_time.unwrap_or_default()),
            Entry::from(match (run.duration_ms, attempts_alone(run)) {
                (Some(duration), _) => time::duration(duration),
                (None, Some(attempts)) => format!("Σ {}", time::duration(attempts)),
                (None, None) => "-".to_owned(),
            }),
            // The column `mode` says what kind of money it is.
            Entry::from(words::cost_listed(run.cost_nusd, run.cost_complete, run.status == RunStatus::Running)),
            Entry::from(u64::from(run.agents)),
            Entry::from(u64::from(run.escalations)),
            Entry::from(run.mode.name()),
        ];
        table.row(row.into_iter().chain(node));
    }
    table.finish()
}

/// Says how a run stands, and that it could not work where that is why.
fn standing_of(run: &RunLine) -> String {
    let standing = standing(run.status, run.verified);
    if run.failed_by_configuration { format!("{standing} (configuration)") } else { standing }
}

/// Returns how long the attempts of an ended run took together, when that is all that its record says of time.
fn attempts_alone(run: &RunLine) -> Option<u64> {
    run.attempts_duration_ms.filter(|_| run.mode == Mode::Imported && run.duration_ms.is_none())
}

/// Says under a list what a mark in it means; `None` when there is none.
pub fn legend(list: &RunList) -> Option<&'static str> {
    let is_marked = list.runs.iter().any(|run| attempts_alone(run).is_some());
    is_marked.then_some("Σ: the sum of the attempts' durations; the end of the run is not recorded")
}

/// Says under a list what it left out; `None` when it shows all.
pub fn remainder(list: &RunList) -> Option<String> {
    let shown = list.runs.len() as u64;
    (shown < list.total).then(|| format!("{shown} of {}; more with --limit", words::plural(list.total, "run")))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::output::OutputOptions;
    use crate::views::run_list::RunRow;
    use crate::views::sample;

    fn show(width: Option<u16>) -> String {
        let row = sample::story().iter().fold(RunRow::new(sample::run_id()), RunRow::apply);
        let lost = sample::stream([sample::started(), sample::lost(1)]).iter().fold(RunRow::new(sample::run_id()), RunRow::apply);
        let mut second = lost.line(false);
        second.run_id = "01KAPXZ8T0M3N5Q7R9S1V3W5X8".into();
        let list = RunList { runs: vec![row.line(false), second], total: 7 };
        let all: Vec<&str> = list.runs.iter().map(|run| run.run_id.as_str()).collect();
        let look = OutputOptions { zone: Some(TimeZone::UTC), ..OutputOptions::default() };
        let out = Printer::to(look, Vec::new(), Vec::new(), width);
        assert_eq!(remainder(&list).unwrap(), "2 of 7 runs; more with --limit");
        anstream::adapter::strip_str(&list_runs(&out, &list, &all)).to_string()
    }

    #[test]
    fn a_list_is_complete_in_a_pipe() {
        insta::assert_snapshot!(show(None), @r"
        run                         template      status       started                  duration     cost  agents  escalations  mode
        01KAPXZ8T0M3N5Q7R9S1V3W5X7  release_prep  succeeded    2026-11-22 16:21:31 UTC    29.0 s  $0.0155       2            1  simulated
        01KAPXZ8T0M3N5Q7R9S1V3W5X8  release_prep  interrupted  2026-11-22 16:21:31 UTC         -  unknown       0            0  simulated
        ");
    }

    #[test]
    fn a_narrow_terminal_shows_the_ends_of_ids() {
        let shown = show(Some(100));
        assert!(!shown.contains("01KAPXZ8T0M3N5Q7R9S1V3W5X7") && shown.contains("W5X7") && shown.contains("W5X8"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
    }
}
