//! How bad a finding is.

/// How bad a finding is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Worth knowing.
    Info,
    /// A flaw without a known harm.
    Low,
    /// Harm under a condition.
    Medium,
    /// Harm that is likely.
    High,
    /// Harm without a condition.
    Critical,
}

impl Severity {
    const ALL: [Self; 5] = [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Info];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Returns the severity of that name; linters' words are read too.
    pub(super) fn named(name: &str) -> Option<Self> {
        let other = match name {
            "error" => Some(Self::High),
            "warning" => Some(Self::Medium),
            "style" => Some(Self::Low),
            _ => None,
        };
        Self::ALL.into_iter().find(|severity| severity.name() == name).or(other)
    }

    /// Returns the one of `options`, worst first, that says it: its own name, else the one as far down the list.
    pub(super) fn among<'o>(self, options: &[&'o str]) -> Option<&'o str> {
        let own = options.iter().find(|option| **option == self.name());
        let like = || options.iter().find(|option| Self::named(option) == Some(self));
        let far = || options.get((Self::Critical as usize - self as usize) * options.len() / Self::ALL.len());
        own.or_else(like).or_else(far).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_is_said_in_the_words_that_there_are() {
        let of = |severity: Severity, options: &[&'static str]| severity.among(options);
        assert_eq!(of(Severity::High, &["critical", "high", "medium", "low", "info"]), Some("high"));
        assert_eq!(of(Severity::Critical, &["high", "medium", "low"]), Some("high"));
        assert_eq!(of(Severity::Info, &["high", "medium", "low"]), Some("low"));
        assert_eq!(of(Severity::Medium, &["error", "warning", "style"]), Some("warning"));
        assert_eq!(of(Severity::Low, &[]), None);
    }
}
