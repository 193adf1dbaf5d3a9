//! Drawings in text, for terminals.

use super::axis::{Scale, Unit, drawable};

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws `value` of `largest` as a bar of at most `width` columns; what is more than nothing is seen.
pub fn bar(value: f64, largest: f64, width: usize) -> String {
    if value <= 0.0 || largest <= 0.0 || !value.is_finite() {
        return String::new();
    }
    let eighths = ((value / largest).min(1.0) * (width * 8) as f64).round().max(1.0) as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

/// Draws a share with its interval on a line from 0 to 100 % of `width` columns: `· ├──●─┤     `.
pub fn interval(low: f64, value: f64, high: f64, width: usize) -> String {
    let column = |share: f64| (drawable(share).min(1.0) * width.saturating_sub(1) as f64).round() as usize;
    let (low, value, high) = (column(low), column(value), column(high));
    let sign = |place: usize| match place {
        place if place == value => '●',
        place if place == low => '├',
        place if place == high => '┤',
        place if (low..high).contains(&place) => '─',
        _ => '·',
    };
    (0..width).map(sign).collect()
}

/// Draws numbers as columns over a scale, `height` lines high, few of them spread over `room` columns of the terminal: each line with the label of its step where it has one, the first and the
/// last name under them. A missing number is a dot on the lowest line. Two lines of text are added to `height`: axis and names.
pub fn columns(values: &[Option<f64>], unit: Unit, (room, height): (usize, usize), names: (&str, &str)) -> Vec<String> {
    /// Few numbers are spread over no more columns of the terminal than these.
    const SPREAD: usize = 40;
    let height = height.max(2);
    let wide = (room.min(SPREAD) / values.len().max(1)).clamp(1, 5);
    let across = values.len() * wide;
    let largest = values.iter().flatten().copied().map(drawable).fold(0.0, f64::max);
    let scale = if unit == Unit::Share { Scale::shares() } else { Scale::new(unit, largest, 2) };
    let labels: Vec<(usize, String)> = scale
        .ticks
        .iter()
        .skip(1)
        .map(|tick| ((scale.part(*tick) * height as f64).round().max(1.0) as usize, unit.label(*tick)))
        .collect();
    let zero = unit.label(0.0);
    let margin = labels.iter().map(|(_, label)| label.len()).chain([zero.len()]).max().unwrap_or(0);
    let mut lines = Vec::with_capacity(height + 2);
    for line in (1..=height).rev() {
        let label = labels.iter().find(|(place, _)| *place == line).map_or("", |(_, label)| label);
        let axis = if label.is_empty() { '│' } else { '┤' };
        let sign = |value: &Option<f64>| match value {
            None if line == 1 => '·',
            None => ' ',
            Some(value) => {
                let eighths = (scale.part(*value) * (height * 8) as f64).round() as usize;
                let eighths = if *value > 0.0 { eighths.max(1) } else { 0 };
                LEVELS[eighths.saturating_sub((line - 1) * 8).min(8)]
            }
        };
        let drawn: String = values.iter().map(|value| thick(sign(value), wide)).collect();
        lines.push(format!("{label:>margin$} {axis}{drawn}").trim_end().to_owned());
    }
    lines.push(format!("{zero:>margin$} └{}", "─".repeat(across)));
    let gap = (across + 1).saturating_sub(names.0.chars().count() + names.1.chars().count());
    lines.push(if gap > 0 && values.len() > 1 {
        format!("{:margin$} {}{:gap$}{}", "", names.0, "", names.1)
    } else if names.0 == names.1 {
        format!("{:margin$}  {}", "", names.0)
    } else {
        format!("{:margin$}  {} to {}", "", names.0, names.1)
    });
    lines
}

/// Draws a sign `wide` columns wide, with a gap after it where there is room for one.
fn thick(sign: char, wide: usize) -> String {
    if wide < 2 { sign.to_string() } else { format!("{} ", sign.to_string().repeat(wide - 1)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bar_shows_its_share_and_something_for_more_than_nothing() {
        assert_eq!((bar(1.0, 2.0, 4), bar(0.001, 2.0, 4), bar(0.0, 2.0, 4)), ("██".into(), "▏".into(), String::new()));
        assert_eq!(bar(f64::NAN, 1.0, 4), "");
    }

    #[test]
    fn an_interval_stands_where_its_shares_are() {
        assert_eq!(interval(0.25, 0.5, 1.0, 9), "··├─●───┤");
        assert_eq!(interval(0.0, 0.0, 0.0, 5), "●····");
        assert_eq!(interval(f64::NAN, 0.5, 2.0, 5), "├─●─┤");
    }

    #[test]
    fn columns_have_an_axis_with_units_and_names() {
        let values: Vec<Option<f64>> = (0..24).map(|place| (place != 3).then_some(f64::from(place) * 1e6)).collect();
        let drawn = columns(&values, Unit::Money, (60, 4), ("2026-10-01", "2026-10-24"));
        insta::assert_snapshot!(drawn.join("\n"));
    }

    proptest! {
        #[test]
        fn any_numbers_give_lines_of_one_width(values in proptest::collection::vec(proptest::option::of(any::<f64>()), 0..60)) {
            let lines = columns(&values, Unit::Money, (60, 5), ("a", "b"));
            prop_assert_eq!(lines.len(), 7);
            let axis = lines[5].chars().count();
            prop_assert!(lines.iter().take(5).all(|line| line.chars().count() <= axis), "{lines:?}");
        }
    }
}
