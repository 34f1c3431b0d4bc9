//! Searches: which rows are listed under all of some facets, and in which order.
//!
//! All facets of an index list a row under the same rank and id. Rows that have
//! several facets in common are found by walking those facets in step (a zig-zag
//! or leapfrog join: Veldhuizen, "Leapfrog Triejoin", 2014), at a cost that
//! follows the facet with the fewest rows.

use super::entry::{IndexEntry, end_of, successor};
use super::row_id::RowId;

/// The number of seeks that a search over several facets makes beyond those
/// that find a row. Memory and files answer that many within milliseconds; a
/// search without a bound would hold up everybody else.
pub const SEEKS_MAX: usize = 1_000;

/// A walk along the entries that list a row under all of some facets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Search {
    /// The prefixes (index and facet) to intersect: at least one, all of the same
    /// index, or of indexes that list the rows under the same ranks.
    pub prefixes: Vec<Vec<u8>>,
    /// The length of the rank; the id follows it.
    pub rank_bytes: usize,
    /// The rank and id at which the walk begins; an entry there is found too.
    pub from: Vec<u8>,
    /// The rank and id before which the walk ends; without it the walk goes to
    /// the end.
    pub until: Option<Vec<u8>>,
    /// Whether to walk from the end towards the beginning.
    pub reverse: bool,
    /// The most rows to find.
    pub limit: usize,
}

/// The result of a [`Search`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Searched {
    /// The rank and id of each row found, in the order of the walk.
    pub found: Vec<Vec<u8>>,
    /// The point at which the walk gave up because it had made too many seeks.
    /// The next search begins here or, in reverse, ends here.
    pub stopped: Option<Vec<u8>>,
}

impl Search {
    /// The id of a row that the search found.
    pub fn id(&self, found: &[u8]) -> Option<RowId> {
        RowId::from_bytes(found.get(self.rank_bytes..)?)
    }

    /// The entries under one of the prefixes that the search may find, as a
    /// start (inclusive) and an end (exclusive).
    pub fn range(&self, prefix: &[u8]) -> (Vec<u8>, Vec<u8>) {
        ([prefix, &*self.from].concat(), end_under(prefix, self.until.as_deref()))
    }

    /// Carries out the search. `range(start, end, reverse, limit)` must give up
    /// to `limit` entries from `start` on and before `end`; with `reverse` it
    /// must give the last ones first.
    ///
    /// # Errors
    /// Those of `range`.
    pub fn walk<E>(
        &self,
        mut range: impl FnMut(&[u8], &[u8], bool, usize) -> Result<Vec<IndexEntry>, E>,
    ) -> Result<Searched, E> {
        if self.until.as_ref().is_some_and(|until| *until <= self.from) || self.limit == 0 {
            return Ok(Searched::default());
        }
        if let [prefix] = &self.prefixes[..] {
            let (start, end) = self.range(prefix);
            let entries = range(&start, &end, self.reverse, self.limit)?;
            let found = entries.iter().map(|entry| entry[prefix.len()..].to_vec()).collect();
            return Ok(Searched { found, stopped: None });
        }
        self.leapfrog(range)
    }

    /// Seeks in one prefix after the other for the next place at or beyond the
    /// farthest one seen, until all prefixes agree on a place.
    fn leapfrog<E>(
        &self,
        mut range: impl FnMut(&[u8], &[u8], bool, usize) -> Result<Vec<IndexEntry>, E>,
    ) -> Result<Searched, E> {
        let mut searched = Searched::default();
        let seeks_max = self.limit.saturating_mul(self.prefixes.len()).saturating_add(SEEKS_MAX);
        // The places that are still ahead: from `low` on, and before `high`.
        let (mut low, mut high) = (self.from.clone(), self.until.clone());
        let (mut agreed, mut seeks) = (0, 0);
        for prefix in self.prefixes.iter().cycle() {
            if seeks >= seeks_max {
                searched.stopped = if self.reverse { high } else { Some(low) };
                break;
            }
            seeks += 1;
            let (start, end) = ([&**prefix, &*low].concat(), end_under(prefix, high.as_deref()));
            let next = range(&start, &end, self.reverse, 1)?;
            let Some(next) = next.first().map(|entry| entry[prefix.len()..].to_vec()) else {
                break;
            };
            // No prefix can list a row before this place, so the others go on
            // from here.
            let (place, bound) = match self.reverse {
                false => (next.clone(), &mut low),
                true => (successor(&next), high.get_or_insert_default()),
            };
            agreed = if agreed > 0 && *bound == place { agreed + 1 } else { 1 };
            *bound = place;
            if agreed == self.prefixes.len() {
                match self.reverse {
                    false => low = successor(&next),
                    true => high = Some(next.clone()),
                }
                searched.found.push(next);
                agreed = 0;
                if searched.found.len() == self.limit {
                    break;
                }
            }
        }
        Ok(searched)
    }
}

/// The end (exclusive) of the entries under `prefix` that lie before `until`.
fn end_under(prefix: &[u8], until: Option<&[u8]>) -> Vec<u8> {
    until.map_or_else(|| end_of(prefix), |until| [prefix, until].concat())
}
