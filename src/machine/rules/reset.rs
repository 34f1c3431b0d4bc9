//! Reset: everything is gone but what makes tokens rise and requests repeat
//! safely: revisions, clocks and remembered answers.

use crate::machine::describe;
use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup;
use crate::machine::reply::Reply;
use crate::machine::view::View;

pub fn reset<V: View>(draft: &mut Draft<'_, V>) -> Result<Reply, V::Error> {
    let looks = if draft.is_stepwise() { lookup::UNCOUNTED_MAX } else { usize::MAX };
    let counts = lookup::counts(draft, draft.now(), looks)?;
    // As the reference counts: rows of every kind and what it had logged.
    let rows = counts.keys + counts.runs + counts.steps + counts.leases + counts.sessions;
    let cleared = rows + draft.meta()?.sets;
    let new = Some(describe::reset(cleared));
    draft.record(Action::SidecarReset, "sidecar".into(), new, None, None);
    draft.clear();
    Ok(Reply::Reset { cleared })
}
