//! The events up to a node's snapshot, from a copy of its archive: as far down
//! as they are whole.

use std::fs;
use std::io;
use std::path::Path;

use tokio::task::spawn_blocking;

use super::RecoverError;
use crate::machine::row::Anchor;
use crate::machine::{Meta, Revision};
use crate::store::StoreError;
use crate::store::raft::history::archive::{self, Archive, ArchiveError, Run, Span, Tip};

/// About how many bytes of events are read at once.
const READ_BYTES: usize = 1 << 20;

/// The history up to a snapshot.
pub(super) struct RecoveredHistory {
    /// Nothing where no event of it is wanted, or none can be read.
    archive: Option<Archive>,
    /// Events above this are whole.
    pub floor: Anchor,
}

impl RecoveredHistory {
    /// Copies the archive and finds how far down it is whole, from the state
    /// of the snapshot to the anchor that the newest state has.
    ///
    /// # Errors
    /// It cannot be copied. What is missing or damaged is none.
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
            let (archive, _damage) = Archive::open(copy, archive::Options::default())?;
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

    /// Events from `first` on, `last` at most.
    pub async fn read(&self, first: Revision, last: Revision) -> Result<Run, StoreError> {
        let gone = || StoreError::Storage("the copy of the archive is closed".to_owned());
        let archive = self.archive.as_ref().ok_or_else(gone)?;
        let run = archive.range_up(Span { first, last }, READ_BYTES).await;
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

/// Goes down from the snapshot's own chain value, which proves each event below
/// it, as far as events are there.
async fn find_floor(
    archive: &Archive,
    snapshot: &Meta,
    anchor: &Anchor,
) -> Result<Anchor, ArchiveError> {
    let mut floor = Anchor { revision: snapshot.revision, chain: snapshot.chain };
    let tip = Tip { revision: floor.revision, chain: floor.chain, anchor: anchor.clone() };
    // Fails where the archive is of another history: it is empty then.
    let _ = archive.adopt(tip).await;
    while floor.revision > anchor.revision {
        let span = Span { first: anchor.revision.next(), last: floor.revision };
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

/// A damaged archive begins anew at the first touch; only a disk that refuses
/// stops it twice.
async fn read_down(archive: &Archive, span: Span) -> Result<Run, ArchiveError> {
    match archive.range(span, READ_BYTES).await {
        Err(ArchiveError::Stopped(_)) => archive.range(span, READ_BYTES).await,
        read => read,
    }
}

/// Copies files and folders; a folder that is not there is empty.
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
