//! The set of revisions that are held, as a short list of ranges.

/// A set of revisions. Its ranges, both ends included, ascend and never touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RevisionRanges {
    ranges: Vec<(u64, u64)>,
}

impl RevisionRanges {
    pub(super) fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    pub(super) fn last(&self) -> Option<u64> {
        self.ranges.last().map(|&(_, last)| last)
    }

    /// The range that has `revision`.
    pub(super) fn range_at(&self, revision: u64) -> Option<(u64, u64)> {
        self.ranges.iter().rev().copied().find(|&(a, b)| a <= revision && revision <= b)
    }

    pub(super) fn contains(&self, revision: u64) -> bool {
        self.range_at(revision).is_some()
    }

    pub(super) fn insert(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        self.ranges.retain(|&(a, b)| {
            let apart = last.saturating_add(1) < a || b.saturating_add(1) < first;
            if !apart {
                first = first.min(a);
                last = last.max(b);
            }
            apart
        });
        let at = self.ranges.partition_point(|&(a, _)| a < first);
        self.ranges.insert(at, (first, last));
    }

    /// Drops the lowest ranges beyond `ranges_max`.
    pub(super) fn keep_highest(&mut self, ranges_max: usize) {
        let excess = self.ranges.len().saturating_sub(ranges_max);
        self.ranges.drain(..excess);
    }

    pub(super) fn remove(&mut self, first: u64, last: u64) {
        let pieces = self.ranges.iter().flat_map(|&(a, b)| {
            let below = (first > a).then(|| (a, b.min(first.saturating_sub(1))));
            let above = (last < b).then(|| (a.max(last.saturating_add(1)), b));
            if last < a || b < first { [Some((a, b)), None] } else { [below, above] }
        });
        self.ranges = pieces.flatten().collect();
    }

    /// The held parts of `first..=last`.
    pub(super) fn within(&self, first: u64, last: u64) -> Vec<(u64, u64)> {
        let clipped = self.ranges.iter().map(|&(a, b)| (a.max(first), b.min(last)));
        clipped.filter(|(a, b)| a <= b).collect()
    }

    /// The highest range in `first..=last` that is not held.
    pub(super) fn highest_hole(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let mut last = last;
        if let Some((a, _)) = self.range_at(last) {
            last = a.checked_sub(1)?;
        }
        if last < first {
            return None;
        }
        let below = self.ranges.iter().rev().map(|&(_, b)| b).find(|&b| b < last);
        Some((below.map_or(first, |b| first.max(b + 1)), last))
    }

    /// The range that is not held and has `revision`, within `first..=last`.
    pub(super) fn hole_at(&self, revision: u64, first: u64, last: u64) -> (u64, u64) {
        let above = self.ranges.iter().map(|&(a, _)| a).find(|&a| a > revision);
        let below = self.ranges.iter().rev().map(|&(_, b)| b).find(|&b| b < revision);
        (below.map_or(first, |b| first.max(b + 1)), above.map_or(last, |a| last.min(a - 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn behaves_as_a_set() {
        let seed = std::env::var("SEED").map_or(7, |seed| seed.parse().expect("SEED"));
        println!("SEED={seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        let (mut held, mut model) = (RevisionRanges::default(), BTreeSet::new());
        for _ in 0..3_000 {
            let first = rng.random_range(0..60);
            let last = first + rng.random_range(0..8);
            if rng.random_bool(0.5) {
                held.insert(first, last);
                model.extend(first..=last);
            } else {
                held.remove(first, last);
                model.retain(|r| *r < first || *r > last);
            }
            for revision in 0..70 {
                assert_eq!(
                    held.contains(revision),
                    model.contains(&revision),
                    "{revision} {held:?}"
                );
            }
            assert!(held.ranges.windows(2).all(|w| w[0].1 + 1 < w[1].0), "{held:?}");
            let top = (first..=65).rev().find(|r| !model.contains(r));
            let hole = held.highest_hole(first, 65);
            assert_eq!(hole.map(|(_, b)| b), top, "{first} {held:?}");
            if let Some((a, b)) = hole {
                assert!((a..=b).all(|r| !model.contains(&r)));
                assert!(a == first || model.contains(&(a - 1)));
                assert_eq!(held.hole_at(a, first, 65), (a, b));
            }
        }
    }
}
