//! Runs and the ways to find them: by age, status, name, tag and parent, and
//! which one an agent should take next.

use std::cmp::Reverse;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::machine::row::{RunRow, Status};
use crate::machine::view::{Candidate, ClaimFilter, RunFilter};
use crate::machine::{ClusterMs, Revision, Text};

/// Every run, by `run_id`, with its indexes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs {
    rows: OrdMap<Text, Arc<RunRow>>,
    /// In the order of creation, under everything that lists filter by.
    listed: OrdSet<(Facet, Revision, Text)>,
    /// Those that anybody may take at any time, best first, under everything
    /// that a claim filters by.
    ready: OrdSet<(Facet, Rank)>,
    /// Those that another agent may take from this time on: claims lapse and
    /// delays end.
    waiting: OrdSet<(ClusterMs, Text)>,
    /// By parent, in the order of creation.
    children: OrdSet<(Text, Revision, Text)>,
}

/// Something that many runs have in common. Every run has `All`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Facet {
    All,
    /// Not over.
    Open,
    Status(Status),
    Name(Text),
    Tag(Text, Text),
}

/// Higher priority first, then older.
type Rank = (Reverse<i64>, Revision, Text);

impl Runs {
    pub fn get(&self, run_id: &str) -> Option<&RunRow> {
        self.rows.get(run_id).map(|run| &**run)
    }

    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub fn iter(&self) -> impl Iterator<Item = &RunRow> {
        self.rows.values().map(|run| &**run)
    }

    pub fn put(&mut self, run: RunRow) {
        let run = Arc::new(run);
        if let Some(old) = self.rows.insert(run.run_id.clone(), run.clone()) {
            self.unlist(&old);
        }
        for facet in list_facets(&run) {
            self.listed.insert((facet, run.created_revision, run.run_id.clone()));
        }
        match availability(&run) {
            Availability::Ready => {
                let entries = claim_facets(&run).map(|facet| (facet, rank(&run)));
                self.ready.extend(entries);
            }
            Availability::From(at) => {
                self.waiting.insert((at, run.run_id.clone()));
            }
            Availability::Never => {}
        }
        if let Some(parent) = &run.parent_run_id {
            self.children.insert((parent.clone(), run.created_revision, run.run_id.clone()));
        }
    }

    fn unlist(&mut self, run: &RunRow) {
        for facet in list_facets(run) {
            self.listed.remove(&(facet, run.created_revision, run.run_id.clone()));
        }
        match availability(run) {
            Availability::Ready => {
                for facet in claim_facets(run) {
                    self.ready.remove(&(facet, rank(run)));
                }
            }
            Availability::From(at) => {
                self.waiting.remove(&(at, run.run_id.clone()));
            }
            Availability::Never => {}
        }
        if let Some(parent) = &run.parent_run_id {
            self.children.remove(&(parent.clone(), run.created_revision, run.run_id.clone()));
        }
    }

    /// Runs whose parent this is, oldest first.
    pub fn children(&self, run_id: &str) -> Vec<Text> {
        let parent = Text::from(run_id);
        let start = (parent.clone(), Revision::ZERO, Text::default());
        let children = self.children.range(start..).take_while(|(of, _, _)| *of == parent);
        children.map(|(_, _, child)| child.clone()).collect()
    }

    /// See [`crate::machine::View::runs`].
    pub fn list(
        &self,
        filter: &RunFilter,
        before: Option<Revision>,
        now: ClusterMs,
        limit: usize,
    ) -> Vec<RunRow> {
        let facet = narrowest(filter);
        let start = (facet.clone(), Revision::ZERO, Text::default());
        // Revisions are counted one by one and never get to the last one.
        let end = (facet, before.unwrap_or(Revision(u64::MAX)), Text::default());
        let newest_first = self.listed.range(start..end).rev();
        newest_first
            .filter_map(|(_, _, run_id)| self.get(run_id))
            .filter(|run| filter.admits(run, now))
            .take(limit)
            .cloned()
            .collect()
    }

    /// See [`crate::machine::View::candidate`]. Looks at runs that fit one of
    /// the filter's conditions and at those whose time has come, not at all.
    pub fn candidate(&self, filter: &ClaimFilter, now: ClusterMs) -> Candidate {
        let fits = |run: &&RunRow| filter.admits(run);
        let facet = narrowest_claim(filter);
        let start = (facet.clone(), (Reverse(i64::MAX), Revision::ZERO, Text::default()));
        let ready = self.ready.range(start..).take_while(|(of, _)| *of == facet);
        let ready = ready.filter_map(|(_, (_, _, run_id))| self.get(run_id)).find(fits);
        let lapsed = self.waiting.iter().take_while(|(from, _)| *from <= now);
        let lapsed = lapsed.filter_map(|(_, run_id)| self.get(run_id)).filter(fits);
        if let Some(best) = ready.into_iter().chain(lapsed).min_by_key(|run| rank(run)) {
            return Candidate::Ready(Box::new(best.clone()));
        }
        let fits = |run_id| self.get(run_id).is_some_and(|run| filter.admits(run));
        let next = self.waiting_after(now).find(|(_, run_id)| fits(run_id));
        next.map_or(Candidate::None, |(at, _)| Candidate::At(*at))
    }

    /// The first time after `now` at which a run becomes claimable.
    pub fn next_deadline(&self, now: ClusterMs) -> Option<ClusterMs> {
        self.waiting_after(now).next().map(|(at, _)| *at)
    }

    fn waiting_after(&self, now: ClusterMs) -> impl Iterator<Item = &(ClusterMs, Text)> {
        // The last representable time has no successor, hence the filter.
        let start = (now.plus(1), Text::default());
        self.waiting.range(start..).filter(move |(at, _)| *at > now)
    }
}

enum Availability {
    Ready,
    From(ClusterMs),
    Never,
}

fn availability(run: &RunRow) -> Availability {
    match run.claimable_from() {
        None => Availability::Never,
        Some(_) if run.status == Status::Created && run.ready_at.is_none() => Availability::Ready,
        Some(at) => Availability::From(at),
    }
}

fn rank(run: &RunRow) -> Rank {
    (Reverse(run.priority), run.created_revision, run.run_id.clone())
}

fn list_facets(run: &RunRow) -> impl Iterator<Item = Facet> + use<'_> {
    let open = (!run.is_over()).then_some(Facet::Open);
    [Facet::All, Facet::Status(run.status)].into_iter().chain(open).chain(tag_facets(run))
}

fn claim_facets(run: &RunRow) -> impl Iterator<Item = Facet> + use<'_> {
    [Facet::All, Facet::Name(run.name.clone())].into_iter().chain(tag_facets(run))
}

fn tag_facets(run: &RunRow) -> impl Iterator<Item = Facet> + use<'_> {
    run.tags.iter().map(|(name, value)| Facet::Tag(name.clone(), value.clone()))
}

/// The condition that leaves the fewest runs to look at, as a rule: of all
/// runs ever made, few are open.
fn narrowest(filter: &RunFilter) -> Facet {
    let tag = filter.tags.first_key_value();
    match (filter.status, filter.claimable, tag) {
        (Some(status @ (Status::Created | Status::Claimed | Status::Running)), _, _) => {
            Facet::Status(status)
        }
        (_, Some(true), _) => Facet::Open,
        (_, _, Some((name, value))) => Facet::Tag(name.clone(), value.clone()),
        (Some(status @ (Status::Done | Status::Failed | Status::Cancelled)), _, None) => {
            Facet::Status(status)
        }
        (None, _, None) => Facet::All,
    }
}

fn narrowest_claim(filter: &ClaimFilter) -> Facet {
    match (filter.tags.first_key_value(), &filter.name) {
        (Some((name, value)), _) => Facet::Tag(name.clone(), value.clone()),
        (None, Some(name)) => Facet::Name(name.clone()),
        (None, None) => Facet::All,
    }
}
