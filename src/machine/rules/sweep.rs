//! The sweep: removes what nobody can see any more, a bounded piece at a time.
//! Claims are not swept: a lapsed one only lets another agent take over.

use crate::machine::change::Change;
use crate::machine::describe;
use crate::machine::draft::{Draft, lease_subject};
use crate::machine::event::Action;
use crate::machine::reply::Reply;
use crate::machine::value::Text;
use crate::machine::view::{Due, View};

/// Most rows that one sweep removes, whatever it asks for: a replica applies
/// that many in some tens of milliseconds.
pub const SWEEP_MAX: u32 = 10_000;

pub fn sweep<V: View>(draft: &mut Draft<'_, V>, limit: u32) -> Result<Reply, V::Error> {
    let limit = limit.min(SWEEP_MAX);
    let mut due = draft.view.due(draft.now(), limit as usize + 1)?;
    let more = due.len() > limit as usize;
    due.truncate(limit as usize);
    let removed = due.len() as u32;
    for row in due {
        match row {
            Due::Key(key) => expire_key(draft, key)?,
            Due::Lease(resource_id) => expire_lease(draft, resource_id)?,
            Due::Request(key) => draft.change(Change::DropRequest(key)),
            Due::Origin(session) => draft.change(Change::DropOrigin(session)),
        }
    }
    Ok(Reply::Swept { removed, more })
}

fn expire_key<V: View>(draft: &mut Draft<'_, V>, key: Text) -> Result<(), V::Error> {
    let previous = draft.view.key(&key)?.map(|row| row.value);
    draft.record(Action::StateExpire, key.clone(), None, previous, None);
    draft.drop_key(key);
    Ok(())
}

fn expire_lease<V: View>(draft: &mut Draft<'_, V>, resource_id: Text) -> Result<(), V::Error> {
    let previous = draft.view.lease(&resource_id)?.map(|row| describe::lease(&row));
    draft.record(Action::LeaseExpire, lease_subject(&resource_id), None, previous, None);
    draft.drop_lease(resource_id);
    Ok(())
}
