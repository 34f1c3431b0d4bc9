//! Leases: who holds a resource, and until when. The revision of a grant is its
//! fencing token. Waking those who wait is the service's job.

use crate::machine::command::{Acquire, ReleaseLease, Renew};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::{Acquired, Renewed, Reply};
use crate::machine::row::{LeaseRow, Row};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

pub fn acquire<V: View>(draft: &mut Draft<'_, V>, command: &Acquire) -> Result<Reply, V::Error> {
    let Acquire { resource_id, holder_id, ttl_ms, exclusive } = command;
    Ok(match draft.lease(resource_id)? {
        None => {
            // Nodes that decide by the first rules do not know this field.
            let granted = draft.is_stepwise();
            acquired(resource_id, grant(draft, resource_id, holder_id, *ttl_ms), granted)
        }
        // The holder may have missed the reply to its first call, so it keeps its
        // token.
        Some(lease) if lease.holder_id == *holder_id && !exclusive => {
            acquired(resource_id, extend(draft, resource_id, &lease, *ttl_ms), false)
        }
        Some(lease) => {
            Reply::Acquired(Acquired::held(resource_id, &lease.holder_id, lease.expires_at))
        }
    })
}

pub fn renew<V: View>(draft: &mut Draft<'_, V>, command: &Renew) -> Result<Reply, V::Error> {
    let Renew { resource_id, holder_id, ttl_ms, fencing_token } = command;
    let renewed = held(draft, resource_id, holder_id, *fencing_token)?
        .map(|lease| extend(draft, resource_id, &lease, *ttl_ms));
    let reason = match (&renewed, draft.counts_lapses()) {
        (None, true) => Some(describe::not_renewed(draft.lease(resource_id)?.as_ref())),
        (_, _) => None,
    };
    Ok(Reply::Renewed(Renewed {
        reason,
        renewed: renewed.is_some(),
        resource_id: resource_id.clone(),
        expires_at: renewed.as_ref().map(|lease| lease.expires_at),
        fencing_token: renewed.as_ref().map(|lease| lease.token),
    }))
}

pub fn release<V: View>(
    draft: &mut Draft<'_, V>,
    command: &ReleaseLease,
) -> Result<Reply, V::Error> {
    let ReleaseLease { resource_id, holder_id, fencing_token } = command;
    let held = held(draft, resource_id, holder_id, *fencing_token)?;
    if let Some(lease) = &held {
        let (subject, previous) = (Noun::Lease.subject(resource_id), Some(describe::lease(lease)));
        let id = RowId::Lease(resource_id.clone());
        draft.remove_recorded(Action::LeaseRelease, id, subject, previous, Some(holder_id));
    }
    Ok(Reply::LeaseReleased { released: held.is_some(), resource_id: resource_id.clone() })
}

/// The lease, if this holder has it now and its token is `token`, where one is
/// given.
fn held<V: View>(
    draft: &Draft<'_, V>,
    resource_id: &Text,
    holder_id: &Text,
    token: Option<Revision>,
) -> Result<Option<LeaseRow>, V::Error> {
    let lease = draft.lease(resource_id)?;
    Ok(lease.filter(|lease| {
        lease.holder_id == *holder_id && token.is_none_or(|token| lease.token == token)
    }))
}

fn grant<V: View>(
    draft: &mut Draft<'_, V>,
    resource_id: &Text,
    holder_id: &Text,
    ttl_ms: u64,
) -> LeaseRow {
    let token = draft.revision().next();
    let expires_at = draft.now().plus(ttl_ms);
    let lease = LeaseRow { holder_id: holder_id.clone(), token, revision: token, expires_at };
    let new = Some(describe::lease(&lease));
    draft.record(
        Action::LeaseAcquire,
        Noun::Lease.subject(resource_id),
        new,
        None,
        Some(holder_id),
    );
    draft.put(Row::Lease(resource_id.clone(), lease.clone()));
    lease
}

fn extend<V: View>(
    draft: &mut Draft<'_, V>,
    resource_id: &Text,
    before: &LeaseRow,
    ttl_ms: u64,
) -> LeaseRow {
    let revision = draft.revision().next();
    let after = LeaseRow { revision, expires_at: draft.now().plus(ttl_ms), ..before.clone() };
    let (new, previous) = (Some(describe::lease(&after)), Some(describe::lease(before)));
    let holder = Some(&after.holder_id);
    draft.record(Action::LeaseRenew, Noun::Lease.subject(resource_id), new, previous, holder);
    draft.put(Row::Lease(resource_id.clone(), after.clone()));
    after
}

fn acquired(resource_id: &Text, lease: LeaseRow, granted: bool) -> Reply {
    Reply::Acquired(Acquired {
        acquired: true,
        resource_id: resource_id.clone(),
        holder: Some(lease.holder_id),
        expires_at: Some(lease.expires_at),
        reason: None,
        fencing_token: Some(lease.token),
        retry_at: None,
        granted,
    })
}
