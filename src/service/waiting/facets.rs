//! Facets: the index of the groups that wait for work. A run is compared with the few
//! groups that may want it, and not with all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::wanted::Wanted;
use crate::machine::Text;
use crate::machine::filter::ClaimFilter;
use crate::machine::row::RunRow;

/// One condition of a claim's filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WantedFacet {
    /// The filter admits every run.
    All,
    Name(Text),
    Tag(Text, Text),
}

/// The groups that wait for work, each under one of its facets.
#[derive(Default)]
pub(super) struct Facets(BTreeMap<WantedFacet, BTreeSet<Arc<Wanted>>>);

impl Facets {
    /// Adds a group under the facet that has the fewest groups so far.
    pub(super) fn add(&mut self, filter: &ClaimFilter, wanted: &Arc<Wanted>) -> WantedFacet {
        let name = filter.name.iter().map(|name| WantedFacet::Name(name.clone()));
        let tags =
            filter.tags.iter().map(|(name, value)| WantedFacet::Tag(name.clone(), value.clone()));
        let groups = |facet: &WantedFacet| self.0.get(facet).map_or(0, BTreeSet::len);
        let facet = name.chain(tags).min_by_key(groups).unwrap_or(WantedFacet::All);
        self.0.entry(facet.clone()).or_default().insert(wanted.clone());
        facet
    }

    pub(super) fn remove(&mut self, facet: &WantedFacet, wanted: &Arc<Wanted>) {
        if let Some(groups) = self.0.get_mut(facet) {
            groups.remove(wanted);
            if groups.is_empty() {
                self.0.remove(facet);
            }
        }
    }

    /// The groups whose filter admits the run.
    pub(super) fn admitting(&self, run: &RunRow) -> Vec<Arc<Wanted>> {
        let tags =
            run.tags.iter().map(|(name, value)| WantedFacet::Tag(name.clone(), value.clone()));
        let facets =
            [WantedFacet::All, WantedFacet::Name(run.name.clone())].into_iter().chain(tags);
        let groups = facets.filter_map(|facet| self.0.get(&facet)).flatten();
        let admits = |wanted: &&Arc<Wanted>| match &***wanted {
            Wanted::Work(filter) => filter.admits(run),
            Wanted::Lease(_) => false,
        };
        groups.filter(admits).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
