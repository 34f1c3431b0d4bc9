//! Leases: who holds a resource, and until when. With permits several do, as with a
//! counting semaphore (Dijkstra, 1965). The revision of a grant is its fencing token. Waking those who wait is the service's job.

use crate::machine::command::{Acquire, ReleaseLease, Renew};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::{Acquired, Renewed, Reply};
use crate::machine::row::{LeaseHolder, LeaseRow, Row};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::value::{Revision, Text};
use crate::machine::view::View;

pub fn acquire<V: View>(draft: &mut Draft<'_, V>, command: &Acquire) -> Result<Reply, V::Error> {
    let Acquire { resource_id, holder_id, ttl_ms, exclusive, permits } = command;
    let lease = draft.lease(resource_id)?;
    let own = lease.as_ref().and_then(|lease| lease.holder(holder_id)).cloned();
    Ok(match (own, lease) {
        // The holder may have missed the reply to its first call, so it keeps its
        // token.
        (Some(own), Some(lease)) if !exclusive => {
            acquired(resource_id, extend(draft, resource_id, &lease, &own, *ttl_ms), false)
        }
        (None, Some(lease)) if lease.has_room(*permits) => {
            let holder = grant(draft, resource_id, command);
            put(draft, resource_id, lease.holders, holder.clone());
            acquired(resource_id, holder, true)
        }
        (_, Some(lease)) => Reply::Acquired(lease.refusal(resource_id)),
        (_, None) => {
            let holder = grant(draft, resource_id, command);
            put(draft, resource_id, Vec::new(), holder.clone());
            // Nodes that decide by the first rules do not know this field.
            let granted = draft.is_stepwise();
            acquired(resource_id, holder, granted)
        }
    })
}

pub fn renew<V: View>(draft: &mut Draft<'_, V>, command: &Renew) -> Result<Reply, V::Error> {
    let Renew { resource_id, holder_id, ttl_ms, fencing_token } = command;
    let renewed = held(draft, resource_id, holder_id, *fencing_token)?
        .map(|(lease, own)| extend(draft, resource_id, &lease, &own, *ttl_ms));
    let reason = match (&renewed, draft.counts_lapses()) {
        (None, true) => Some(describe::not_renewed(draft.lease(resource_id)?.as_ref(), holder_id)),
        (_, _) => None,
    };
    Ok(Reply::Renewed(Renewed {
        reason,
        renewed: renewed.is_some(),
        resource_id: resource_id.clone(),
        expires_at: renewed.as_ref().map(|holder| holder.expires_at),
        fencing_token: renewed.as_ref().map(|holder| holder.token),
    }))
}

pub fn release<V: View>(
    draft: &mut Draft<'_, V>,
    command: &ReleaseLease,
) -> Result<Reply, V::Error> {
    let ReleaseLease { resource_id, holder_id, fencing_token } = command;
    let held = held(draft, resource_id, holder_id, *fencing_token)?;
    if let Some((lease, own)) = &held {
        let (subject, previous) = (Noun::Lease.subject(resource_id), Some(describe::lease(own)));
        let action = Action::LeaseRelease;
        let revision = draft.record(action, subject, None, previous, Some(holder_id));
        let others = lease.holders.iter().filter(|holder| holder.token != own.token);
        let holders: Vec<_> = others.cloned().collect();
        match holders.is_empty() {
            true => draft.remove(RowId::Lease(resource_id.clone())),
            false => {
                draft.put(Row::Lease(resource_id.clone(), LeaseRow { revision, holders }));
            }
        }
    }
    Ok(Reply::LeaseReleased { released: held.is_some(), resource_id: resource_id.clone() })
}

/// The lease and its grant to this holder, if that is live and its token is `token`,
/// where one is given.
fn held<V: View>(
    draft: &Draft<'_, V>,
    resource_id: &Text,
    holder_id: &Text,
    token: Option<Revision>,
) -> Result<Option<(LeaseRow, LeaseHolder)>, V::Error> {
    let Some(lease) = draft.lease(resource_id)? else { return Ok(None) };
    let own = lease.holder(holder_id).cloned();
    let own = own.filter(|own| token.is_none_or(|token| own.token == token));
    Ok(own.map(|own| (lease, own)))
}

fn grant<V: View>(draft: &mut Draft<'_, V>, resource_id: &Text, command: &Acquire) -> LeaseHolder {
    let token = draft.revision().next();
    let holder = LeaseHolder {
        holder_id: command.holder_id.clone(),
        token,
        revision: token,
        expires_at: draft.now().plus(command.ttl_ms),
        permits: command.permits,
    };
    let (subject, new) = (Noun::Lease.subject(resource_id), Some(describe::lease(&holder)));
    draft.record(Action::LeaseAcquire, subject, new, None, Some(&command.holder_id));
    holder
}

/// Prolongs the grant `own` of a lease.
fn extend<V: View>(
    draft: &mut Draft<'_, V>,
    resource_id: &Text,
    lease: &LeaseRow,
    own: &LeaseHolder,
    ttl_ms: u64,
) -> LeaseHolder {
    let revision = draft.revision().next();
    let after = LeaseHolder { revision, expires_at: draft.now().plus(ttl_ms), ..own.clone() };
    let (new, previous) = (Some(describe::lease(&after)), Some(describe::lease(own)));
    let holder = Some(&after.holder_id);
    draft.record(Action::LeaseRenew, Noun::Lease.subject(resource_id), new, previous, holder);
    let others = lease.holders.iter().filter(|holder| holder.token != own.token);
    put(draft, resource_id, others.cloned().collect(), after.clone());
    after
}

/// Stores the lease with the holder that has just changed.
fn put<V: View>(
    draft: &mut Draft<'_, V>,
    resource_id: &Text,
    mut holders: Vec<LeaseHolder>,
    changed: LeaseHolder,
) {
    let revision = changed.revision;
    holders.push(changed);
    holders.sort_by_key(|holder| holder.token);
    draft.put(Row::Lease(resource_id.clone(), LeaseRow { revision, holders }));
}

fn acquired(resource_id: &Text, lease: LeaseHolder, granted: bool) -> Reply {
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
