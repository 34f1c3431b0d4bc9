//! Prechecks: before the leader logs an attempt to claim a run or to acquire a
//! lease, it checks whether there is anything left to get. One run that becomes
//! claimable wakes a caller on every node, and only one of them can have it. The
//! others are refused at once, so that their commands do not fill the log. A
//! reservation promises nothing: the command is decided when it is applied.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::command::{Acquire, ClaimNext};
use crate::machine::filter::ClaimFilter;
use crate::machine::index::{self, Index};
use crate::machine::lookup::OpenSearch;
use crate::machine::query::Candidate;
use crate::machine::reply::{Acquired, Claimed};
use crate::machine::view::View;
use crate::machine::{ClusterMs, Command, Reply, Row, RowId, lookup};
use crate::store::tables::Tables;

/// The runs and leases that are reserved for commands on their way into the log.
/// Clones share them.
#[derive(Clone, Default)]
pub struct Prechecks(Arc<Mutex<BTreeSet<RowId>>>);

/// A run or lease that is reserved for one command, until this is dropped.
pub struct Reservation {
    prechecks: Prechecks,
    id: RowId,
}

impl Prechecks {
    /// Reserves what `command` may get from the state in `tables` at `now`; none if
    /// the command needs no reservation.
    ///
    /// # Errors
    /// When there is nothing for it: the reply that says so.
    pub fn reserve(
        &self,
        command: &Command,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Option<Reservation>, Box<Reply>> {
        match command {
            Command::ClaimNext(claim) => self.reserve_run(claim, tables, now).map(Some),
            Command::Acquire(acquire) => self.reserve_lease(acquire, tables, now),
            _ => Ok(None),
        }
    }

    fn reserve_run(
        &self,
        claim: &ClaimNext,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Reservation, Box<Reply>> {
        let filter = ClaimFilter::of(claim);
        let Ok(open) = OpenSearch::of(tables, &filter);
        let mut reserved = self.lock();
        let Ok(due) = lookup::due_runs(tables, &filter, now, lookup::DUE_MAX);
        let ready = |index| {
            let ids = open.parts.iter().flat_map(|part| {
                let search = index::ready(index, *part, claim.after, reserved.len() + 1);
                let Ok(ready) = tables.search(&search);
                ready.found.iter().filter_map(|place| search.id(place)).collect::<Vec<_>>()
            });
            ids.collect::<Vec<_>>()
        };
        let is_free = |id: &RowId| {
            let Ok(row) = tables.row(id);
            let is_open = row.is_some_and(|row| row.run().is_some_and(|run| open.admits(run)));
            is_open && !reserved.contains(id)
        };
        let due = due.into_iter().map(|run| RowId::Run(run.run_id));
        let mut id = due.chain(ready(Index::Ready)).find(is_free);
        let Ok(candidate) = lookup::candidate(tables, &filter, claim.after, &[], now);
        if id.is_none()
            && let Candidate::Ready(run) = &candidate
        {
            // It lies behind others that are paused, or its concurrency key has room.
            let found = [RowId::Run(run.run_id.clone())].into_iter();
            id = found.chain(ready(Index::Limited)).find(is_free);
        }
        if let Some(id) = id {
            reserved.insert(id.clone());
            return Ok(Reservation { prechecks: self.clone(), id });
        }
        drop(reserved);
        let nothing = match candidate {
            Candidate::At(at) => Claimed::nothing(Some(at)),
            Candidate::Further(rank) => Claimed { searched: Some(rank), ..Claimed::nothing(None) },
            Candidate::Ready(_) | Candidate::None => Claimed::nothing(None),
        };
        Err(Box::new(Reply::Claimed(nothing)))
    }

    fn reserve_lease(
        &self,
        acquire: &Acquire,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Option<Reservation>, Box<Reply>> {
        let id = RowId::Lease(acquire.resource_id.clone());
        let Ok(row) = tables.row(&id);
        let lease = match row.as_deref() {
            Some(Row::Lease(_, lease)) => lease.clone().at(now),
            Some(_) | None => None,
        };
        match lease {
            // Of several permits, others may be about to get some.
            Some(lease)
                if lease.holder(&acquire.holder_id).is_some()
                    || lease.has_room(acquire.permits) =>
            {
                Ok(None)
            }
            Some(lease) => Err(Box::new(Reply::Acquired(lease.refusal(&acquire.resource_id)))),
            None if acquire.permits > 1 => Ok(None),
            None if self.lock().insert(id.clone()) => {
                Ok(Some(Reservation { prechecks: self.clone(), id }))
            }
            None => {
                let refused = Acquired {
                    acquired: false,
                    resource_id: acquire.resource_id.clone(),
                    holder: None,
                    expires_at: None,
                    reason: Some("Another caller is about to get it".into()),
                    fencing_token: None,
                    retry_at: None,
                    granted: false,
                };
                Err(Box::new(Reply::Acquired(refused)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<RowId>> {
        // A panic cannot leave a set half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.prechecks.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::command::{Create, Envelope, StateLimits};
    use crate::machine::decide;
    use crate::machine::search::SEEKS_MAX;
    use crate::machine::{Rules, Text, WallMs};

    const NOW: ClusterMs = ClusterMs(1_000);

    fn create(tables: &mut Tables, random: u64, name: &str, tag: &str) -> Text {
        let command = Command::Create(Create {
            name: name.into(),
            tags: [("t".into(), tag.into())].into(),
            ..Create::default()
        });
        let envelope = Envelope {
            origin: None,
            idempotency: None,
            actor: None,
            random,
            wall: WallMs(NOW.0),
            clock: NOW,
            limits: StateLimits::default(),
            rules: Rules::Attempts,
            command,
        };
        let Ok(decision) = decide(&envelope, tables);
        tables.apply(&decision);
        match decision.reply {
            Reply::Created { run_id, .. } => run_id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_claim_learns_where_the_search_stopped() {
        let mut tables = Tables::default();
        // The two kinds alternate, so that a search by either index has to pass all of them.
        for n in 0..SEEKS_MAX as u64 {
            create(&mut tables, 2 * n, "wanted", "other");
            create(&mut tables, 2 * n + 1, "other", "wanted");
        }
        let both = create(&mut tables, u64::MAX, "wanted", "wanted");
        let mut claim = ClaimNext {
            agent_id: "a".into(),
            names: ["wanted".into()].into(),
            tags: [("t".into(), "wanted".into())].into(),
            claim_ttl_ms: 1_000,
            ..ClaimNext::default()
        };
        let prechecks = Prechecks::default();
        let mut refused = 0;
        let reservation = loop {
            match prechecks.reserve_run(&claim, &tables, NOW) {
                Ok(reservation) => break reservation,
                Err(reply) => match *reply {
                    Reply::Claimed(Claimed { searched: Some(rank), .. }) => {
                        claim.after = Some(rank);
                        refused += 1;
                    }
                    other => panic!("gave up although a run matches: {other:?}"),
                },
            }
        };
        assert_eq!(reservation.id, RowId::Run(both));
        assert!(refused > 0, "the first search found it, so this test proves nothing");
    }
}
