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

/// The groups that wait for work, each under some of its facets: one of which every run
/// has that its filter admits.
#[derive(Default)]
pub(super) struct Facets(BTreeMap<WantedFacet, BTreeSet<Arc<Wanted>>>);

impl Facets {
    /// Adds a group under all of its names, or under one of its tags: where there are
    /// the fewest groups so far.
    pub(super) fn add(&mut self, filter: &ClaimFilter, wanted: &Arc<Wanted>) -> Vec<WantedFacet> {
        let names: Vec<_> = filter.names.iter().cloned().map(WantedFacet::Name).collect();
        let tags =
            filter.tags.iter().map(|(name, value)| WantedFacet::Tag(name.clone(), value.clone()));
        let groups = |facet: &WantedFacet| self.0.get(facet).map_or(0, BTreeSet::len);
        let choices = [names].into_iter().filter(|names| !names.is_empty());
        let choices = choices.chain(tags.map(|tag| vec![tag]));
        let fewest = choices.min_by_key(|facets| facets.iter().map(groups).sum::<usize>());
        let facets = fewest.unwrap_or_else(|| vec![WantedFacet::All]);
        for facet in &facets {
            self.0.entry(facet.clone()).or_default().insert(wanted.clone());
        }
        facets
    }

    pub(super) fn remove(&mut self, facets: &[WantedFacet], wanted: &Arc<Wanted>) {
        for facet in facets {
            if let Some(groups) = self.0.get_mut(facet) {
                groups.remove(wanted);
                if groups.is_empty() {
                    self.0.remove(facet);
                }
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
            Wanted::Lease(..) => false,
        };
        groups.filter(admits).cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
