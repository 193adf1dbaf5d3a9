//! Shares as people read them: in percent, with as many decimals as it takes to tell the ends of their interval apart.

/// Decimals at most.
const DECIMALS_MAX: usize = 3;

/// Writes a share and its interval as percentages, without the sign: value, low, high. `99.7` is not shown as `100` beside `100`.
pub fn numbers(value: f64, low: f64, high: f64) -> [String; 3] {
    let shown = |share: f64, decimals: usize| format!("{:.decimals$}", share * 100.0);
    let decimals = (0..DECIMALS_MAX).find(|decimals| shown(low, *decimals) != shown(high, *decimals)).unwrap_or(DECIMALS_MAX);
    [value, low, high].map(|share| shown(share, decimals))
}

/// Writes a share with its interval: `84 % (80 to 88 %)`.
pub fn with_interval(value: f64, low: f64, high: f64) -> String {
    let [value, low, high] = numbers(value, low, high);
    format!("{value} % ({low} to {high} %)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_an_interval_are_never_shown_as_one() {
        assert_eq!(with_interval(0.84, 0.8, 0.88), "84 % (80 to 88 %)");
        assert_eq!(with_interval(0.9986, 0.9967, 1.0), "99.9 % (99.7 to 100.0 %)");
        assert_eq!(with_interval(0.0, 0.0, 0.0004), "0.00 % (0.00 to 0.04 %)");
    }
}
