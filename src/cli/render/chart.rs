//! Small drawings in text, for terminals.

/// Draws `value` of `largest` as a bar of at most `width` columns; what is more than nothing is seen.
pub fn bar(value: f64, largest: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if value <= 0.0 || largest <= 0.0 || !value.is_finite() {
        return String::new();
    }
    let eighths = ((value / largest).min(1.0) * (width * 8) as f64).round().max(1.0) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Draws a row of numbers between 0 and the largest, one column each; a missing one is a dot.
pub fn sparkline(values: &[Option<f64>]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = values.iter().flatten().copied().fold(0.0, f64::max);
    let level = |value: &Option<f64>| match value {
        None => '·',
        Some(value) if largest > 0.0 => LEVELS[((value / largest).clamp(0.0, 1.0) * 7.0).round() as usize],
        Some(_) => LEVELS[0],
    };
    values.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_its_share_and_something_for_more_than_nothing() {
        assert_eq!((bar(1.0, 2.0, 4), bar(0.001, 2.0, 4), bar(0.0, 2.0, 4)), ("██".into(), "▏".into(), String::new()));
        assert_eq!(bar(f64::NAN, 1.0, 4), "");
    }

    #[test]
    fn a_sparkline_has_a_column_for_each_number() {
        assert_eq!(sparkline(&[Some(0.0), None, Some(1.0)]), "▁·█");
    }
}
