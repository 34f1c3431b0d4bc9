//! The run that a command is about, as it is now. If the passing of time or a
//! cancelled ancestor has changed it and the sweep has not come yet, the command
//! records that first, so that the history tells both in their order.

use crate::machine::draft::Draft;
use crate::machine::event::Action;
use crate::machine::lookup::{self, CancelledTrees};
use crate::machine::row::RunRow;
use crate::machine::status::Status;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The run, with its row brought up to date.
pub fn run<V: View>(draft: &mut Draft<'_, V>, run_id: &Text) -> Result<Option<RunRow>, V::Error> {
    let stored = lookup::stored_run(draft, run_id)?.filter(|run| run.lives_at(draft.now()));
    stored.map(|stored| settled(draft, stored)).transpose()
}

/// `stored` as it is now. Its row is brought up to date where the rules of the command
/// count lapses; earlier rules leave that to the sweep.
pub fn settled<V: View>(draft: &mut Draft<'_, V>, stored: RunRow) -> Result<RunRow, V::Error> {
    let now = draft.now();
    let mut trees = CancelledTrees::of(draft)?;
    let run = trees.effective(stored.clone(), now)?;
    if run.status == stored.status || !draft.counts_lapses() {
        return Ok(run);
    }
    let (action, actor) = match run.status {
        Status::Cancelled => (Action::WorkflowCancel, trees.actor(&run)?),
        Status::Failed => (Action::WorkflowFail, None),
        Status::Running => (Action::WorkflowDecide, None),
        _ => (Action::WorkflowRetry, None),
    };
    Ok(draft.move_run_as(action, &stored, run, actor))
}

/// Lists a run whose time has come among those that can be claimed at once, unless it
/// has ended meanwhile.
pub fn promote<V: View>(draft: &mut Draft<'_, V>, stored: RunRow) -> Result<(), V::Error> {
    let run = settled(draft, stored.clone())?;
    // A descendant of a cancelled run is left to the cancellation.
    match draft.counts_lapses() {
        true if run.is_over() => {}
        true => draft.promote(run),
        false => draft.promote(stored),
    }
    Ok(())
}
