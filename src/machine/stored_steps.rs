//! Which steps of a run there are, in three numbers, so that nobody has to read them all.

/// Which steps of a run are stored. All are zero where none is, and where earlier
/// rules stored them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredSteps {
    pub count: u64,
    pub first: u64,
    /// The first step after `first` that is missing.
    pub next: u64,
}

impl StoredSteps {
    /// The number of steps, unless earlier rules have stored some without counting.
    pub fn known_count(&self, last_step: u64) -> Option<u64> {
        (self.next > 0 || last_step == 0).then_some(self.count)
    }

    /// The first step that is missing. Earlier rules noted only `last_step`, the
    /// highest one.
    pub fn next_after(&self, last_step: u64) -> u64 {
        match (self.next, last_step) {
            (0, 0) => 0,
            (0, last_step) => last_step.saturating_add(1),
            (next, _) => next,
        }
    }
}
