//! Cancelled trees: a cancelled run takes its descendants with it at once,
//! although the sweep reaches their rows only later. Look-ups therefore show a
//! run as cancelled where one of its ancestors is being cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stored::{search_rows, stored_run};
use crate::machine::index;
use crate::machine::passing;
use crate::machine::row::{CancellationRow, Row, RunRow};
use crate::machine::row_id::RowId;
use crate::machine::status::Status;
use crate::machine::value::{ClusterMs, Revision, Text};
use crate::machine::view::View;

/// How deep runs may be nested. Every look-up of a run may climb that far.
pub const DEPTH_MAX: u32 = 100;

/// The most ancestors that a look-up visits. Runs that older versions created may
/// be nested deeper than [`DEPTH_MAX`]; the sweep cancels those further below.
const ANCESTORS_MAX: usize = 1_000;

/// The run as everybody sees it at `now`: as the passing of time has left it, and
/// cancelled where an ancestor was, whether or not the sweep has reached it.
pub fn run<V: View>(view: &V, run_id: &Text, now: ClusterMs) -> Result<Option<RunRow>, V::Error> {
    let run = stored_run(view, run_id)?.filter(|run| run.lives_at(now));
    let Some(run) = run else { return Ok(None) };
    Ok(Some(CancelledTrees::of(view)?.effective(run, now)?))
}

/// The oldest cancellation that the sweep still carries on.
pub fn cancellation<V: View>(view: &V) -> Result<Option<(Text, CancellationRow)>, V::Error> {
    let found = search_rows(view, &index::cancelling(1))?;
    Ok(found.rows.into_iter().find_map(|(_, row)| match &*row {
        Row::Cancellation(run_id, row) => Some((run_id.clone(), CancellationRow::clone(row))),
        _ => None,
    }))
}

/// The children of a run created after `after`, oldest first, as they are
/// stored.
pub fn children<V: View>(
    view: &V,
    run_id: &str,
    after: Revision,
    limit: usize,
) -> Result<Vec<RunRow>, V::Error> {
    Ok(search_rows(view, &index::children(run_id, after, limit))?.runs().collect())
}

/// The runs that this one blocks, oldest first, as they are stored.
pub fn dependents<V: View>(view: &V, run_id: &str, limit: usize) -> Result<Vec<RunRow>, V::Error> {
    Ok(search_rows(view, &index::dependents(run_id, limit))?.runs().collect())
}

/// The trees that were cancelled and that the sweep has not finished. Reads each
/// ancestor once.
pub struct CancelledTrees<'v, V: View> {
    view: &'v V,
    /// Whether there is such a tree at all; most of the time there is none.
    any: bool,
    known: BTreeMap<Text, Ancestor>,
}

/// What is known of a run that has children.
#[derive(Clone)]
struct Ancestor {
    parent: Option<Text>,
    cancellation: Option<Arc<Row>>,
}

impl<'v, V: View> CancelledTrees<'v, V> {
    pub fn of(view: &'v V) -> Result<Self, V::Error> {
        let any = view.meta()?.counts.cancellations > 0;
        Ok(CancelledTrees { view, any, known: BTreeMap::new() })
    }

    /// Whether the run counts as cancelled although its row does not say so.
    pub(super) fn is_cancelled(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(!run.is_over() && self.is_below_cancelled(run)?)
    }

    /// Whether an ancestor of the run was cancelled and the sweep has not
    /// finished its tree.
    pub fn is_below_cancelled(&mut self, run: &RunRow) -> Result<bool, V::Error> {
        Ok(self.cancellation(run)?.is_some())
    }

    /// The run as everybody sees it at `now`.
    pub fn effective(&mut self, run: RunRow, now: ClusterMs) -> Result<RunRow, V::Error> {
        if run.is_over() {
            return Ok(run);
        }
        let row = self.cancellation(&run)?;
        if let Some(Row::Cancellation(_, cancellation)) = row.as_deref()
            && run.ends_at().is_none_or(|end| end > cancellation.at)
        {
            let error = cancellation.reason.clone();
            let status = Status::Cancelled;
            return Ok(RunRow { status, error, ready_at: None, promoted: false, ..run });
        }
        Ok(passing::at(&run, now).unwrap_or(run))
    }

    /// Who cancelled the tree that the run is in.
    pub fn actor(&mut self, run: &RunRow) -> Result<Option<Text>, V::Error> {
        Ok(match self.cancellation(run)?.as_deref() {
            Some(Row::Cancellation(_, cancellation)) => cancellation.actor.clone(),
            Some(_) | None => None,
        })
    }

    /// The cancellation of the nearest ancestor that has one.
    fn cancellation(&mut self, run: &RunRow) -> Result<Option<Arc<Row>>, V::Error> {
        let mut next = run.parent_run_id.clone().filter(|_| self.any);
        for _ in 0..ANCESTORS_MAX {
            let Some(run_id) = next else { break };
            let ancestor = self.ancestor(&run_id)?;
            if ancestor.cancellation.is_some() {
                return Ok(ancestor.cancellation);
            }
            next = ancestor.parent;
        }
        Ok(None)
    }

    fn ancestor(&mut self, run_id: &Text) -> Result<Ancestor, V::Error> {
        if let Some(ancestor) = self.known.get(run_id) {
            return Ok(ancestor.clone());
        }
        let cancellation = self.view.row(&RowId::Cancellation(run_id.clone()))?;
        let parent = match &cancellation {
            Some(_) => None,
            None => stored_run(self.view, run_id)?.and_then(|run| run.parent_run_id),
        };
        let ancestor = Ancestor { parent, cancellation };
        self.known.insert(run_id.clone(), ancestor.clone());
        Ok(ancestor)
    }
}
