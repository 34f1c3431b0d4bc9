//! The known name that is nearest to an unknown one, for "did you mean".

/// A longer name is no typing error, and a comparison takes time in proportion to the
/// product of both lengths.
const NAME_CHARS_MAX: usize = 100;

/// From this length on, the beginning of a known name counts as one typing error.
const BEGINNING_CHARS_MIN: usize = 3;

/// Finds the name among `known` that differs from `name` by the fewest letters. `None`
/// where more than a third of the letters differ: that is another word.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let chars = name.chars().take(NAME_CHARS_MAX + 1).count();
    if chars > NAME_CHARS_MAX {
        return None;
    }
    let errors = |candidate: &str| {
        let is_beginning = chars >= BEGINNING_CHARS_MIN && candidate.starts_with(name);
        if is_beginning { 1 } else { distance(name, candidate) }
    };
    let distances = known.into_iter().map(|candidate| (errors(candidate), candidate));
    let (errors, candidate) = distances.min_by_key(|(errors, _)| *errors)?;
    (errors <= chars.div_ceil(3)).then_some(candidate)
}

/// The Levenshtein distance in characters, ignoring ASCII case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let cost = usize::from(!a.eq_ignore_ascii_case(b));
            let replaced = diagonal + cost;
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_understood_and_another_word_is_not() {
        let known = ["agent_id", "run_id", "ttl_seconds"];
        assert_eq!(nearest("ttl_second", known), Some("ttl_seconds"));
        assert_eq!(nearest("Agent_Id", known), Some("agent_id"));
        assert_eq!(nearest("ttl", known), Some("ttl_seconds"));
        assert_eq!(nearest("agentId", known), Some("agent_id"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"r".repeat(1_000_000), known), None);
    }

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
