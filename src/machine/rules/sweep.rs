//! The sweep: carries on what time calls for and what commands have left, a
//! bounded piece at a time: removes what nobody can see any more, lists runs
//! whose time has come among those that can be claimed at once, and cancels below
//! cancelled runs. Nobody sees a difference but that look-ups stay short.

use super::cancel;
use crate::machine::describe;
use crate::machine::draft::{Draft, lease_subject};
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::Reply;
use crate::machine::row::{Row, RowId};
use crate::machine::value::Text;
use crate::machine::view::{ClaimFilter, View};

/// Most rows that one sweep changes, whatever it asks for: a replica applies
/// that many in a few milliseconds.
const SWEEP_MAX: u32 = 1_000;

/// The same by the first rules.
const SWEEP_WHOLE_MAX: u32 = 10_000;

pub fn sweep<V: View>(draft: &mut Draft<'_, V>, limit: u32) -> Result<Reply, V::Error> {
    let most = if draft.is_stepwise() { SWEEP_MAX } else { SWEEP_WHOLE_MAX };
    let limit = limit.min(most) as usize;
    let mut due = lookup::due_rows(draft, draft.now(), limit + 1)?;
    let mut more = due.len() > limit;
    due.truncate(limit);
    let mut swept = due.len();
    for id in due {
        match id {
            RowId::Key(key) => expire_key(draft, key)?,
            RowId::Lease(resource_id) => expire_lease(draft, resource_id)?,
            RowId::Origin(session) => {
                // Also where the node that proposed the sweep begins it anew.
                draft.drop_answers_below(session, u64::MAX);
                draft.remove(RowId::Origin(session));
            }
            id => draft.remove(id),
        }
    }
    if draft.is_stepwise() && !more {
        let any = ClaimFilter::default();
        let mut due = lookup::due_runs(draft, &any, draft.now(), limit - swept + 1)?;
        more |= due.len() > limit - swept;
        due.truncate(limit - swept);
        swept += due.len();
        due.into_iter().for_each(|run| draft.promote(run));
    }
    if draft.is_stepwise() && !more {
        if limit > swept {
            swept += cancel::carry_on(draft, limit - swept)?;
        }
        more |= draft.position()?.counts.cancellations > 0;
    }
    Ok(Reply::Swept { removed: swept as u32, more })
}

fn expire_key<V: View>(draft: &mut Draft<'_, V>, key: Text) -> Result<(), V::Error> {
    let previous = lookup::key(draft, &key)?.map(|row| row.value);
    draft.record(Action::StateExpire, key.clone(), None, previous, None);
    draft.remove(RowId::Key(key));
    Ok(())
}

fn expire_lease<V: View>(draft: &mut Draft<'_, V>, resource_id: Text) -> Result<(), V::Error> {
    let lease = draft.row(&RowId::Lease(resource_id.clone()))?;
    let previous = match lease.as_deref() {
        Some(Row::Lease(_, lease)) => Some(describe::lease(lease)),
        Some(_) | None => None,
    };
    draft.record(Action::LeaseExpire, lease_subject(&resource_id), None, previous, None);
    draft.remove(RowId::Lease(resource_id));
    Ok(())
}
