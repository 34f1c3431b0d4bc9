//! Facets: by what the groups of those who wait for work are found, so that a
//! run is held against the few that may want it and not against all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::queues::Wanted;
use crate::machine::Text;
use crate::machine::row::RunRow;
use crate::machine::view::ClaimFilter;

/// One thing that a group asks of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum WantedFacet {
    /// It asks for nothing.
    All,
    Name(Text),
    Tag(Text, Text),
}

/// Groups by one facet each.
#[derive(Default)]
pub(super) struct Facets(BTreeMap<WantedFacet, BTreeSet<Arc<Wanted>>>);

impl Facets {
    /// Lists a group by that of its facets by which the fewest are listed yet.
    pub(super) fn list(&mut self, filter: &ClaimFilter, wanted: &Arc<Wanted>) -> WantedFacet {
        let name = filter.name.iter().map(|name| WantedFacet::Name(name.clone()));
        let tags =
            filter.tags.iter().map(|(name, value)| WantedFacet::Tag(name.clone(), value.clone()));
        let listed = |facet: &WantedFacet| self.0.get(facet).map_or(0, BTreeSet::len);
        let facet = name.chain(tags).min_by_key(listed).unwrap_or(WantedFacet::All);
        self.0.entry(facet.clone()).or_default().insert(wanted.clone());
        facet
    }

    pub(super) fn unlist(&mut self, facet: &WantedFacet, wanted: &Arc<Wanted>) {
        if let Some(listed) = self.0.get_mut(facet) {
            listed.remove(wanted);
            if listed.is_empty() {
                self.0.remove(facet);
            }
        }
    }

    /// The groups that may have the run.
    pub(super) fn admitting(&self, run: &RunRow) -> Vec<Arc<Wanted>> {
        let tags =
            run.tags.iter().map(|(name, value)| WantedFacet::Tag(name.clone(), value.clone()));
        let facets =
            [WantedFacet::All, WantedFacet::Name(run.name.clone())].into_iter().chain(tags);
        let listed = facets.filter_map(|facet| self.0.get(&facet)).flatten();
        let admits = |wanted: &&Arc<Wanted>| match &***wanted {
            Wanted::Work(filter) => filter.admits(run),
            Wanted::Lease(_) => false,
        };
        listed.filter(admits).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
