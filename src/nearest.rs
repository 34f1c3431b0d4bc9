//! The nearest known name to one that is not known, for "did you mean".

/// The one of `known` that differs from `name` by the fewest letters, where
/// that is few enough to be a slip: a third of the name.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = name.chars().count().div_ceil(3);
    let distances = known.into_iter().map(|candidate| (distance(name, candidate), candidate));
    let (slips, candidate) = distances.min_by_key(|(slips, _)| *slips)?;
    (slips <= slips_max).then_some(candidate)
}

/// Levenshtein's distance, in characters, ASCII case aside.
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
    fn a_slip_is_understood_and_a_stranger_is_not() {
        let known = ["agent_id", "run_id", "ttl_seconds"];
        assert_eq!(nearest("ttl_second", known), Some("ttl_seconds"));
        assert_eq!(nearest("Agent_Id", known), Some("agent_id"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
