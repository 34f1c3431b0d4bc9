//! Counts of runs, to and from `proto/state.proto`.

use super::error::CodecError;
use super::value::*;
use crate::machine::WallMs;
use crate::machine::query::NameStats;
use crate::machine::run_group::{RunChanges, StatusCounts};
use crate::proto::state as proto;

/// Zeros at the end are left out.
pub(super) fn counts(counts: &StatusCounts) -> Vec<u64> {
    let counted = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    counts[..counted].to_vec()
}

pub(super) fn to_counts(
    message: &'static str,
    field: &'static str,
    form: &[u64],
) -> Result<StatusCounts, CodecError> {
    let (mut counts, found) = (StatusCounts::default(), form.len());
    let expected = counts.len();
    let Some(given) = counts.get_mut(..found) else {
        return Err(CodecError::Length { message, field, found, expected });
    };
    given.copy_from_slice(form);
    Ok(counts)
}

pub(super) fn changes(changes: &RunChanges) -> proto::RunChanges {
    let RunChanges { created, claimed, completed, failed } = *changes;
    proto::RunChanges { created, claimed, completed, failed }
}

pub(super) fn to_changes(form: Option<proto::RunChanges>) -> RunChanges {
    let proto::RunChanges { created, claimed, completed, failed } = form.unwrap_or_default();
    RunChanges { created, claimed, completed, failed }
}

impl From<&NameStats> for proto::NameStats {
    fn from(stats: &NameStats) -> Self {
        proto::NameStats {
            name: text(&stats.name),
            counts: counts(&stats.counts),
            oldest_run_id: stats.oldest.as_ref().map(|(run_id, _)| text(run_id)),
            oldest_since_ms: stats.oldest.as_ref().map(|(_, since)| since.0),
            last_five_minutes: Some(changes(&stats.recent)),
            paused: stats.paused,
        }
    }
}

impl TryFrom<proto::NameStats> for NameStats {
    type Error = CodecError;

    fn try_from(form: proto::NameStats) -> Result<Self, CodecError> {
        let since = WallMs(form.oldest_since_ms.unwrap_or_default());
        Ok(NameStats {
            name: form.name.into(),
            counts: to_counts("NameStats", "counts", &form.counts)?,
            oldest: form.oldest_run_id.map(|run_id| (run_id.into(), since)),
            paused: form.paused,
            recent: to_changes(form.last_five_minutes),
        })
    }
}
