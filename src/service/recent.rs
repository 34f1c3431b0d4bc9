//! A table of what happened a moment ago. It forgets by itself: what is older than
//! its time, and the oldest where there is too much.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// What happened lately, by key. The caller says what time it is, which must not go
/// back.
pub(super) struct RecentTable<K, V> {
    kept_for: Duration,
    rows_max: usize,
    rows: BTreeMap<K, (Instant, V)>,
    /// The keys in the order in which they are forgotten. Those that were taken out
    /// or replaced meanwhile are still among them.
    order: VecDeque<(Instant, K)>,
}

impl<K: Ord + Clone, V> RecentTable<K, V> {
    /// Keeps each row for `kept_for`, and at most `rows_max` of them.
    pub(super) fn new(kept_for: Duration, rows_max: usize) -> RecentTable<K, V> {
        RecentTable { kept_for, rows_max, rows: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Remembers `value` under `key`, in place of what was there.
    pub(super) fn put(&mut self, key: K, value: V, now: Instant) {
        self.forget(now);
        if self.order.len() >= self.rows_max {
            self.forget_oldest();
        }
        let until = now + self.kept_for;
        self.order.push_back((until, key.clone()));
        self.rows.insert(key, (until, value));
    }

    /// Takes out what is remembered under `key`.
    pub(super) fn take(&mut self, key: &K, now: Instant) -> Option<V> {
        self.forget(now);
        self.rows.remove(key).map(|(_, value)| value)
    }

    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((until, key)) = self.order.pop_front() else { return };
        // A row that replaced another one has its own place in the order.
        if self.rows.get(&key).is_some_and(|(row_until, _)| *row_until == until) {
            self.rows.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_FOR: Duration = Duration::from_secs(5);

    #[test]
    fn a_row_is_kept_for_its_time_and_taken_once() {
        let mut table = RecentTable::new(KEPT_FOR, 10);
        let start = Instant::now();
        table.put("a", 1, start);
        table.put("b", 2, start);
        let last_moment = start + KEPT_FOR - Duration::from_millis(1);
        assert_eq!(table.take(&"a", last_moment), Some(1));
        assert_eq!(table.take(&"a", last_moment), None);
        assert_eq!(table.take(&"b", start + KEPT_FOR), None);
        assert!(table.order.is_empty() && table.rows.is_empty());
    }

    #[test]
    fn a_row_that_replaces_another_is_kept_for_its_own_time() {
        let mut table = RecentTable::new(KEPT_FOR, 10);
        let start = Instant::now();
        table.put("a", 1, start);
        let later = start + Duration::from_secs(1);
        table.put("a", 2, later);
        assert_eq!(table.take(&"a", start + KEPT_FOR), Some(2));
    }

    #[test]
    fn the_oldest_row_goes_where_there_are_too_many() {
        let mut table = RecentTable::new(KEPT_FOR, 2);
        let start = Instant::now();
        for key in ["a", "b", "c"] {
            table.put(key, (), start);
        }
        assert_eq!(table.take(&"a", start), None);
        assert_eq!(table.take(&"b", start), Some(()));
        for _ in 0..100 {
            table.put("d", (), start);
        }
        assert_eq!(table.order.len(), 2, "keys that were replaced are bounded too");
        assert_eq!(table.take(&"d", start), Some(()));
    }
}
