//! Reset: removes everything except what keeps tokens rising and makes repeated
//! requests safe: the revision, the clocks and the remembered answers.

use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::Reply;
use crate::machine::subject::Noun;
use crate::machine::view::View;

pub fn reset<V: View>(draft: &mut Draft<'_, V>) -> Result<Reply, V::Error> {
    let looks = if draft.is_stepwise() { lookup::UNCOUNTED_MAX } else { usize::MAX };
    let counts = lookup::counts(draft, draft.now(), looks)?;
    // The Python reference counts the rows of every kind and the sets that it has
    // logged.
    let rows = counts.keys + counts.runs + counts.steps + counts.leases + counts.sessions;
    let cleared = rows + counts.schedules + draft.meta()?.sets;
    let new = Some(describe::reset(cleared));
    draft.record(Action::SidecarReset, Noun::State.subject(""), new, None, None);
    draft.clear();
    Ok(Reply::Reset { cleared })
}
