//! The events up to a node's snapshot, from a copy of its archive: as far back as
//! they are complete.

use std::fs;
use std::io;
use std::path::Path;

use tokio::task::spawn_blocking;

use super::error::RecoverError;
use crate::machine::meta::Anchor;
use crate::machine::{Meta, Revision};
use crate::store::StoreError;
use crate::store::raft::history::archive::{
    self, Archive, ArchiveError, EventRun, RevisionSpan, StatePosition,
};
use crate::store::raft::host::Environment;

/// About how many bytes of events are read at once.
const READ_BYTES: usize = 1 << 20;

/// The history up to a snapshot.
pub(super) struct RecoveredHistory {
    /// None if no event before the snapshot is needed.
    archive: Option<Archive>,
    /// All events after this are present and intact.
    pub floor: Anchor,
}

impl RecoveredHistory {
    /// Copies the archive, and finds how far back it is complete, from the state of
    /// the snapshot to the anchor of the newest state.
    ///
    /// # Errors
    /// When it cannot be copied. Missing or damaged events are no error.
    pub async fn open(
        folder: &Path,
        scratch: &Path,
        snapshot: &Meta,
        anchor: &Anchor,
    ) -> Result<RecoveredHistory, RecoverError> {
        if snapshot.revision <= anchor.revision {
            return Ok(RecoveredHistory { archive: None, floor: anchor.clone() });
        }
        let (from, copy) = (folder.to_owned(), scratch.join("archive"));
        let opening = spawn_blocking(move || {
            copy_folder(&from, &copy)
                .map_err(|source| RecoverError::Copy { path: copy.clone(), source })?;
            let (archive, _damage) =
                Archive::open(&Environment::system(), copy, archive::Options::default())?;
            Ok::<_, RecoverError>(archive)
        });
        let opened = opening.await.map_err(|panic| RecoverError::BrokenOff(panic.to_string()))?;
        let archive = opened?;
        let found = find_floor(&archive, snapshot, anchor).await;
        if found.is_err() {
            archive.close().await;
        }
        Ok(RecoveredHistory { floor: found?, archive: Some(archive) })
    }

    /// Some events from `first` on, up to `last` at most.
    pub async fn read(&self, first: Revision, last: Revision) -> Result<EventRun, StoreError> {
        let gone = || StoreError::Storage("the copy of the archive is closed".to_owned());
        let archive = self.archive.as_ref().ok_or_else(gone)?;
        let run = archive.range_up(RevisionSpan { first, last }, READ_BYTES).await;
        run.map_err(|error| StoreError::Storage(error.to_string()))
    }
}

impl Drop for RecoveredHistory {
    fn drop(&mut self) {
        if let Some(archive) = &self.archive {
            archive.close_now();
        }
    }
}

/// Goes back from the chain value of the snapshot, which proves each event before
/// it, as far as there are events.
async fn find_floor(
    archive: &Archive,
    snapshot: &Meta,
    anchor: &Anchor,
) -> Result<Anchor, ArchiveError> {
    let mut floor = Anchor { revision: snapshot.revision, chain: snapshot.chain };
    let tip =
        StatePosition { revision: floor.revision, chain: floor.chain, anchor: anchor.clone() };
    // This fails if the archive belongs to another history; the archive is empty then.
    let _ = archive.adopt(tip).await;
    while floor.revision > anchor.revision {
        let span = RevisionSpan { first: anchor.revision.next(), last: floor.revision };
        let run = match read_down(archive, span).await {
            Ok(run) => run,
            Err(ArchiveError::Damaged(_)) => return Ok(floor),
            Err(error) => return Err(error),
        };
        let (Some(found), true) = (run.span(), run.is_linked()) else { return Ok(floor) };
        if found.last != span.last || run.last_chain() != floor.chain {
            return Ok(floor);
        }
        floor = Anchor { revision: Revision(found.first.0 - 1), chain: run.before };
    }
    Ok(floor)
}

/// Reads twice if necessary: a damaged archive starts anew at the first access, and
/// only a failing disk stops it a second time.
async fn read_down(archive: &Archive, span: RevisionSpan) -> Result<EventRun, ArchiveError> {
    match archive.range(span, READ_BYTES).await {
        Err(ArchiveError::Stopped(_)) => archive.range(span, READ_BYTES).await,
        read => read,
    }
}

/// Copies files and folders. A missing folder counts as empty.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let files = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let target = to.join(file.file_name());
        match file.file_type()?.is_dir() {
            true => copy_folder(&file.path(), &target)?,
            false => fs::copy(file.path(), target).map(drop)?,
        }
    }
    Ok(())
}
