//! Medians, percentiles and the tables that show them.

use std::time::{Duration, Instant};

/// Returns the value below which `part` (0 to 1) of the values lie.
pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * part).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

/// Returns the value in the middle.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// Returns how long `run` took, in seconds, and what it returned.
pub fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed().as_secs_f64(), result)
}

/// Returns milliseconds of a number of seconds, for people.
pub fn ms(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

/// Returns a rate for people.
pub fn rate(per_second: f64) -> String {
    format!("{per_second:.0}/s")
}

/// Returns how often one goes into the other, for people.
pub fn times(ratio: f64) -> String {
    format!("{ratio:.2}x")
}

/// Whether a bar was reached: `at_least` it, or below it.
pub fn verdict(measured: f64, bar: f64, at_least: bool) -> String {
    let reached = if at_least { measured >= bar } else { measured < bar };
    if reached { "yes".to_owned() } else { "NO".to_owned() }
}

/// A table as people and Markdown read it.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a table with the names of its columns.
    pub fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { rows: vec![columns.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Prints the table under a title.
    pub fn print(&self, title: &str) {
        println!("\n{title}\n");
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<usize> =
            (0..columns).map(|column| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} |"));
            println!("|{}", cells.collect::<String>());
            if number == 0 {
                println!("|{}", widths.iter().map(|width| format!("{}|", "-".repeat(width + 2))).collect::<String>());
            }
        }
    }
}

/// Waits a moment, so that work left over from one slice is not counted to the next.
pub fn settle() {
    std::thread::sleep(Duration::from_millis(20));
}
