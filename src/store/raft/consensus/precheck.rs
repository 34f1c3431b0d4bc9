//! Prechecks: what those who wait may get, as far as the leader knows before it
//! orders their commands. One run that becomes claimable wakes a caller on every
//! node, and only one of them can have it; the others are told so at once, and
//! nothing of theirs enters the log. A hope promises nothing: who gets what is
//! decided where the command is applied.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::machine::command::{Acquire, ClaimNext};
use crate::machine::reply::{Acquired, Claimed};
use crate::machine::view::{Candidate, ClaimFilter, View};
use crate::machine::{ClusterMs, Command, Reply, Row, RowId, index, lookup};
use crate::store::tables::Tables;

/// Runs and leases that commands under way may get. Clones share them.
#[derive(Clone, Default)]
pub struct Prechecks(Arc<Mutex<BTreeSet<RowId>>>);

/// One that is held for a command, until it is dropped.
pub struct Reserved {
    prechecks: Prechecks,
    id: RowId,
}

impl Prechecks {
    /// Holds what `command` may get of the state in `tables` at `now`. None for
    /// commands that are ordered anyway.
    ///
    /// # Errors
    /// There is nothing for it: the reply that says so.
    pub fn hope(
        &self,
        command: &Command,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Option<Reserved>, Box<Reply>> {
        match command {
            Command::ClaimNext(claim) => self.run(claim, tables, now).map(Some),
            Command::Acquire(acquire) => self.lease(acquire, tables, now),
            _ => Ok(None),
        }
    }

    fn run(
        &self,
        claim: &ClaimNext,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Reserved, Box<Reply>> {
        let filter = ClaimFilter { name: claim.name.clone(), tags: claim.tags.clone() };
        let mut held = self.held();
        let Ok(due) = lookup::due_runs(tables, &filter, now, lookup::DUE_MAX);
        let search = index::ready(&filter, claim.after, held.len() + 1);
        let Ok(ready) = tables.search(&search);
        let ready = ready.found.iter().filter_map(|place| search.id(place));
        let due = due.into_iter().map(|run| RowId::Run(run.run_id));
        if let Some(id) = due.chain(ready).find(|id| !held.contains(id)) {
            held.insert(id.clone());
            return Ok(Reserved { prechecks: self.clone(), id });
        }
        drop(held);
        let Ok(candidate) = lookup::candidate(tables, &filter, claim.after, &[], now);
        let nothing = match candidate {
            Candidate::At(at) => Claimed::nothing(Some(at)),
            Candidate::Further(rank) => Claimed { searched: Some(rank), ..Claimed::nothing(None) },
            Candidate::Ready(_) | Candidate::None => Claimed::nothing(None),
        };
        Err(Box::new(Reply::Claimed(nothing)))
    }

    fn lease(
        &self,
        acquire: &Acquire,
        tables: &Tables,
        now: ClusterMs,
    ) -> Result<Option<Reserved>, Box<Reply>> {
        let id = RowId::Lease(acquire.resource_id.clone());
        let Ok(row) = tables.row(&id);
        match row.as_deref() {
            Some(Row::Lease(resource_id, lease)) if lease.lives_at(now) => {
                match lease.holder_id == acquire.holder_id {
                    true => Ok(None),
                    false => {
                        let held = Acquired::held(resource_id, lease);
                        Err(Box::new(Reply::Acquired(held)))
                    }
                }
            }
            Some(_) | None if self.held().insert(id.clone()) => {
                Ok(Some(Reserved { prechecks: self.clone(), id }))
            }
            Some(_) | None => {
                let nobody = Acquired {
                    acquired: false,
                    resource_id: acquire.resource_id.clone(),
                    holder: None,
                    expires_at: None,
                    reason: Some("Another caller is about to get it".into()),
                    fencing_token: None,
                    retry_at: None,
                    granted: false,
                };
                Err(Box::new(Reply::Acquired(nobody)))
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeSet<RowId>> {
        // A panic while inserting leaves a set that is still a set.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.prechecks.held().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::command::Create;
    use crate::machine::command::Envelope;
    use crate::machine::decide;
    use crate::machine::index::LOOKS_MAX;
    use crate::machine::{Rules, Text, WallMs};

    const NOW: ClusterMs = ClusterMs(1_000);

    fn create(tables: &mut Tables, random: u64, name: &str, tag: &str) -> Text {
        let command = Command::Create(Create {
            name: name.into(),
            tags: [("t".into(), tag.into())].into(),
            input: None,
            priority: 0,
            delay_ms: None,
            max_attempts: 1,
            parent_run_id: None,
        });
        let envelope = Envelope {
            origin: None,
            idempotency: None,
            actor: None,
            random,
            wall: WallMs(NOW.0),
            clock: NOW,
            state_bytes_max: None,
            rules: Rules::Stepwise,
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
    fn whoever_is_refused_is_told_where_the_search_stopped() {
        let mut tables = Tables::default();
        // In turn, so that neither of the two leads past the other.
        for n in 0..LOOKS_MAX as u64 {
            create(&mut tables, 2 * n, "wanted", "other");
            create(&mut tables, 2 * n + 1, "other", "wanted");
        }
        let both = create(&mut tables, u64::MAX, "wanted", "wanted");
        let mut claim = ClaimNext {
            agent_id: "a".into(),
            name: Some("wanted".into()),
            tags: [("t".into(), "wanted".into())].into(),
            claim_ttl_ms: 1_000,
            after: None,
        };
        let prechecks = Prechecks::default();
        let mut refused = 0;
        let hope = loop {
            match prechecks.run(&claim, &tables, NOW) {
                Ok(hope) => break hope,
                Err(reply) => match *reply {
                    Reply::Claimed(Claimed { searched: Some(rank), .. }) => {
                        claim.after = Some(rank);
                        refused += 1;
                    }
                    other => panic!("given up although there is one: {other:?}"),
                },
            }
        };
        assert_eq!(hope.id, RowId::Run(both));
        assert!(refused > 0, "it was found at once, so this test says nothing");
    }
}
