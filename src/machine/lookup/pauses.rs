//! Paused names: whose runs nobody gets who asks for any.

use std::collections::BTreeSet;

use crate::machine::filter::{ClaimFilter, SearchFilter};
use crate::machine::page::{Page, Range, Scan};
use crate::machine::row::{PauseRow, Row, RunRow};
use crate::machine::row_id::RowId;
use crate::machine::value::Text;
use crate::machine::view::View;

/// The most names that are paused at a time. Every claim of any name reads all of them.
pub const PAUSES_MAX: usize = 100;

/// Where a claim looks for runs: the names that it wants, without those that are paused.
pub struct OpenSearch<'f> {
    /// There are none if every name that is wanted is paused.
    pub parts: Vec<SearchFilter<'f>>,
    /// The paused names among those that the parts find.
    paused: BTreeSet<Text>,
}

impl<'f> OpenSearch<'f> {
    pub fn of<V: View>(view: &V, filter: &'f ClaimFilter) -> Result<Self, V::Error> {
        let parts = open_parts(view, filter)?;
        let paused = match filter.names.is_empty() {
            true => pauses(view)?.into_iter().map(|(name, _)| name).collect(),
            false => BTreeSet::new(),
        };
        Ok(OpenSearch { parts, paused })
    }

    /// Whether a run that one of the parts has found may be given to whoever asks for any.
    pub fn admits(&self, run: &RunRow) -> bool {
        !self.paused.contains(&run.name)
    }
}

/// The searches that find what `filter` wants, without those for paused names.
pub(super) fn open_parts<'f, V: View>(
    view: &V,
    filter: &'f ClaimFilter,
) -> Result<Vec<SearchFilter<'f>>, V::Error> {
    let mut parts = filter.searches();
    for name in &filter.names {
        if pause(view, name)?.is_some() {
            parts.retain(|part| part.name != Some(name));
        }
    }
    Ok(parts)
}

/// The pause of a name, if it is paused.
pub fn pause<V: View>(view: &V, name: &Text) -> Result<Option<PauseRow>, V::Error> {
    Ok(view.row(&RowId::Pause(name.clone()))?.and_then(|row| match &*row {
        Row::Pause(_, row) => Some(row.clone()),
        _ => None,
    }))
}

/// Every name that is paused, in the order of the names.
pub fn pauses<V: View>(view: &V) -> Result<Vec<(Text, PauseRow)>, V::Error> {
    let rows = view.rows(&Range::Pauses(Scan::default()), Page::of_rows(PAUSES_MAX))?;
    let pauses = rows.iter().filter_map(|row| match &**row {
        Row::Pause(name, row) => Some((name.clone(), row.clone())),
        _ => None,
    });
    Ok(pauses.collect())
}
