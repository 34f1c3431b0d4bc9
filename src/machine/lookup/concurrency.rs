//! Concurrency keys: whether one more run of a key may be claimed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::stored::{DUE_MAX, search_rows};
use crate::machine::index::{self, Index};
use crate::machine::passing;
use crate::machine::row::{Concurrency, RunRow};
use crate::machine::run_group::RunGroup;
use crate::machine::value::{ClusterMs, Text};
use crate::machine::view::View;

/// Which keys have room at one time. Reads each key once.
pub(super) struct Rooms<'v, V: View> {
    view: &'v V,
    now: ClusterMs,
    keys: BTreeMap<Text, KeyRoom>,
}

/// What is known of a key.
struct KeyRoom {
    /// How many of its runs count as claimed.
    claimed: u64,
    /// Those of them that are not any more. They are looked up where they matter.
    lapsed: Option<Vec<RunRow>>,
}

impl<'v, V: View> Rooms<'v, V> {
    pub fn of(view: &'v V, now: ClusterMs) -> Self {
        Rooms { view, now, keys: BTreeMap::new() }
    }

    /// Whether the run may be claimed as far as its key goes. A claim that has lapsed does
    /// not count, although the sweep has not recorded that yet.
    pub fn has_room(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        let Some(Concurrency { key, limit }) = run.concurrency() else { return Ok(true) };
        let room = match self.keys.entry(key.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let claimed = self.view.group(&RunGroup::Concurrency(key.clone()))?.claimed();
                entry.insert(KeyRoom { claimed, lapsed: None })
            }
        };
        // A run that somebody works on without a claim counts, and keeps out only others.
        let others = room.claimed.saturating_sub(u64::from(run.takes_room()));
        if others < u64::from(*limit) {
            return Ok(true);
        }
        let lapsed = match &mut room.lapsed {
            Some(lapsed) => lapsed,
            unknown => unknown.insert(lapsed_of_key(self.view, key, self.now)?),
        };
        let is_own = |lapsed: &&RunRow| run.takes_room() && lapsed.run_id == run.run_id;
        let lapsed = lapsed.iter().filter(|lapsed| !is_own(lapsed)).count() as u64;
        Ok(others.saturating_sub(lapsed) < u64::from(*limit))
    }
}

/// The runs of a concurrency key that count as claimed although the claim on them has
/// lapsed or they have ended, as far as they are among the first that are due.
pub fn lapsed_of_key<V: View>(
    view: &V,
    key: &Text,
    now: ClusterMs,
) -> Result<Vec<RunRow>, V::Error> {
    let due = search_rows(view, &index::expired(Index::Deadline, now, DUE_MAX))?;
    let is_lapsed = |run: &RunRow| {
        run.concurrency().is_some_and(|concurrency| concurrency.key == *key)
            && run.takes_room()
            && passing::at(run, now).is_some_and(|after| !after.takes_room())
    };
    Ok(due.runs().filter(is_lapsed).collect())
}
