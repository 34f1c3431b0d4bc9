//! Keys: setting and deleting them, on conditions.

use super::fence;
use crate::machine::command::{Delete, Fence, Set};
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::{Reply, Written};
use crate::machine::row::{KeyRow, Row};
use crate::machine::row_id::RowId;
use crate::machine::value::{Json, Revision, Text};
use crate::machine::view::View;

pub fn set<V: View>(draft: &mut Draft<'_, V>, set: &Set) -> Result<Reply, V::Error> {
    let current = draft.key(&set.key)?;
    if let Some(refusal) = objection(draft, current.as_ref(), set.if_revision, set.fence.as_ref())?
    {
        return Ok(Reply::Set(refusal));
    }
    let revision =
        write(draft, &set.key, &set.value, set.ttl_ms, current.as_ref(), set.agent_id.as_ref());
    Ok(Reply::Set(Written { ok: true, revision, reason: None }))
}

pub fn delete<V: View>(draft: &mut Draft<'_, V>, delete: &Delete) -> Result<Reply, V::Error> {
    let current = draft.key(&delete.key)?;
    let fence = delete.fence.as_ref();
    if let Some(refusal) = objection(draft, current.as_ref(), delete.if_revision, fence)? {
        return Ok(Reply::Deleted(refusal));
    }
    let Some(current) = current else {
        let absent = Written { ok: false, revision: Revision::ZERO, reason: None };
        return Ok(Reply::Deleted(absent));
    };
    let revision = remove(draft, &delete.key, current, delete.agent_id.as_ref());
    Ok(Reply::Deleted(Written { ok: true, revision, reason: None }))
}

/// Writes a key, whatever its value was.
pub fn write<V: View>(
    draft: &mut Draft<'_, V>,
    key: &Text,
    value: &Json,
    ttl_ms: Option<u64>,
    current: Option<&KeyRow>,
    agent_id: Option<&Text>,
) -> Revision {
    let previous = current.map(|row| row.value.clone());
    let new = Some(value.clone());
    let revision = draft.record(Action::StateSet, key.clone(), new, previous, agent_id);
    let expires_at = ttl_ms.map(|ttl_ms| draft.now().plus(ttl_ms));
    let row = KeyRow { value: value.clone(), revision, expires_at };
    draft.put(Row::Key(key.clone(), row));
    draft.count_set();
    revision
}

/// Removes a key that exists.
pub fn remove<V: View>(
    draft: &mut Draft<'_, V>,
    key: &Text,
    current: KeyRow,
    agent_id: Option<&Text>,
) -> Revision {
    let id = RowId::Key(key.clone());
    draft.remove_recorded(Action::StateDelete, id, key.clone(), Some(current.value), agent_id)
}

/// The revision that conditions compare with: zero where the key does not exist.
pub fn revision_of(current: Option<&KeyRow>) -> Revision {
    current.map_or(Revision::ZERO, |row| row.revision)
}

fn objection<V: View>(
    draft: &Draft<'_, V>,
    current: Option<&KeyRow>,
    if_revision: Option<Revision>,
    fence: Option<&Fence>,
) -> Result<Option<Written>, V::Error> {
    let revision = revision_of(current);
    let reason = fence::objection(draft, fence)?.or_else(|| {
        let wanted = if_revision.filter(|wanted| *wanted != revision)?;
        Some(describe::wrong_revision(revision, wanted))
    });
    Ok(reason.map(|reason| Written { ok: false, revision, reason: Some(reason) }))
}
