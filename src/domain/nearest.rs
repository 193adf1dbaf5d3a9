//! "Did you mean": the known name that an unknown one was probably meant to be.

/// Names longer than this many bytes are not typing errors of a known one, and comparing them costs time.
const NAME_BYTES_MAX: usize = 128;

/// Returns the known name nearest to `name`, if one is near enough to be worth showing.
///
/// Upper and lower case, `-`, `_` and spaces count as the same; otherwise about one letter in three may differ.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let wanted = plain(name);
    let distance_max = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|candidate| candidate.len() <= NAME_BYTES_MAX)
        .map(|candidate| (strsim::osa_distance(&wanted, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= distance_max && *distance < candidate.chars().count().max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).map(|c| if c == '-' || c == ' ' { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_is_understood_and_another_word_is_not() {
        let known = ["release_prep", "security_audit", "is", "in"];
        for (name, meant) in [
            ("relese_prep", Some("release_prep")),
            ("Release-Prep", Some("release_prep")),
            ("securty_adit", Some("security_audit")),
            ("iss", Some("is")),
            ("documentation", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
    }
}
