//! What was left out of material, in numbers and words.

use super::event::OmissionRule;

/// Returns how many files are missing that belong to the material: what is ignored or hidden does not.
pub fn missed(omitted: &[(OmissionRule, u32)]) -> u32 {
    let belongs = |(rule, _): &&(OmissionRule, u32)| !matches!(rule, OmissionRule::Ignored | OmissionRule::Hidden);
    omitted.iter().filter(belongs).map(|(_, count)| *count).sum()
}

/// Says what was left out: for each rule how many, with at most `most` names. Empty when nothing was.
pub fn in_words<'n>(
    omitted: &[(OmissionRule, u32)],
    names: impl Iterator<Item = (OmissionRule, &'n str)> + Clone,
    most: usize,
) -> String {
    let part = |(rule, count): &(OmissionRule, u32)| {
        let own = names.clone().filter(|(of, _)| of == rule).map(|(_, name)| name);
        let mut shown: Vec<&str> = own.take(most).collect();
        if !shown.is_empty() && (shown.len() as u64) < u64::from(*count) {
            shown.push("…");
        }
        let shown = if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) };
        format!("{count} {}{shown}", words(*rule))
    };
    omitted.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Says a rule as an adjective.
pub fn words(rule: OmissionRule) -> &'static str {
    match rule {
        OmissionRule::Ignored => "ignored",
        OmissionRule::Hidden => "hidden",
        OmissionRule::Secret => "secret by name",
        OmissionRule::TooLarge => "too large",
        OmissionRule::Limit => "beyond the limit",
        OmissionRule::NotText => "not text",
        OmissionRule::Link => "links",
        OmissionRule::Unreadable => "unreadable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_said_by_rule_with_the_first_names() {
        let omitted = [(OmissionRule::Ignored, 2), (OmissionRule::Secret, 1), (OmissionRule::Limit, 900)];
        let names = [(OmissionRule::Ignored, "target/"), (OmissionRule::Secret, ".env"), (OmissionRule::Ignored, "a.log")];
        let words = in_words(&omitted, names.into_iter(), 1);
        assert_eq!(words, "2 ignored (target/, …), 1 secret by name (.env), 900 beyond the limit");
        assert_eq!((missed(&omitted), in_words(&[], names.into_iter(), 1).as_str()), (901, ""));
    }
}
