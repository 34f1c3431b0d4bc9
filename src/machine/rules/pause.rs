//! Pauses: no run of a name is given to those who ask for any run. Runs that are claimed
//! go on, and whoever claims one run by its id gets it.

use super::outcome::refuse;
use crate::machine::command::Pause;
use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup::{self, PAUSES_MAX};
use crate::machine::reply::{RefusalCode, Reply};
use crate::machine::row::{PauseRow, Row};
use crate::machine::row_id::RowId;
use crate::machine::subject::Noun;
use crate::machine::view::View;

pub fn pause<V: View>(draft: &mut Draft<'_, V>, command: &Pause) -> Result<Reply, V::Error> {
    let Pause { name, resume, agent_id } = command;
    let before = lookup::pause(draft, name)?;
    let (subject, paused) = (Noun::Pause.subject(name), !resume);
    let changed = match before {
        None if paused => {
            if lookup::pauses(draft)?.len() >= PAUSES_MAX {
                let message = format!("name: {PAUSES_MAX} names are paused, which is the most");
                return Ok(refuse(RefusalCode::QuotaExceeded, message));
            }
            let new = Some(describe::pause());
            let action = Action::WorkflowPause;
            let revision = draft.record(action, subject, new, None, agent_id.as_ref());
            let agent_id = agent_id.clone().or_else(|| draft.actor().cloned());
            let row = PauseRow { revision, at: draft.wall(), agent_id };
            draft.put(Row::Pause(name.clone(), row));
            true
        }
        Some(_) if *resume => {
            let (id, previous) = (RowId::Pause(name.clone()), Some(describe::pause()));
            let action = Action::WorkflowUnpause;
            draft.remove_recorded(action, id, subject, previous, agent_id.as_ref());
            true
        }
        None | Some(_) => false,
    };
    Ok(Reply::Paused { name: name.clone(), paused, changed })
}
