//! Sessions: the context that an agent keeps across its restarts.

use super::fence;
use crate::machine::command::{DeleteSession, SaveSession};
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::reply::Reply;
use crate::machine::row::{Row, SessionRow};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::value::Revision;
use crate::machine::view::View;

pub fn save<V: View>(draft: &mut Draft<'_, V>, command: &SaveSession) -> Result<Reply, V::Error> {
    let SaveSession { session_id, context, agent_id, fence, ttl_ms } = command;
    let current = draft.session(session_id)?;
    if let Some(reason) = fence::objection(draft, fence.as_ref())? {
        return Ok(Reply::SessionSaved {
            ok: false,
            session_id: session_id.clone(),
            revision: current.map_or(Revision::ZERO, |row| row.revision),
            reason: Some(reason),
        });
    }
    let saved_at = current.as_ref().map_or(draft.wall(), |row| row.saved_at);
    let (new, previous) = (Some(context.clone()), current.map(|row| row.context));
    let subject = Noun::Session.subject(session_id);
    let revision = draft.record(Action::SessionSave, subject, new, previous, agent_id.as_ref());
    let row = SessionRow {
        context: context.clone(),
        revision,
        saved_at,
        updated_at: draft.wall(),
        expires_at: ttl_ms.map(|ttl_ms| draft.now().plus(ttl_ms)),
    };
    draft.put(Row::Session(session_id.clone(), row));
    Ok(Reply::SessionSaved { ok: true, session_id: session_id.clone(), revision, reason: None })
}

pub fn delete<V: View>(
    draft: &mut Draft<'_, V>,
    command: &DeleteSession,
) -> Result<Reply, V::Error> {
    let DeleteSession { session_id, agent_id } = command;
    let current = draft.session(session_id)?;
    let ok = current.is_some();
    if let Some(row) = current {
        let (id, subject) = (RowId::Session(session_id.clone()), Noun::Session.subject(session_id));
        let (previous, agent_id) = (Some(row.context), agent_id.as_ref());
        draft.remove_recorded(Action::SessionDelete, id, subject, previous, agent_id);
    }
    Ok(Reply::SessionDeleted { ok, session_id: session_id.clone() })
}
