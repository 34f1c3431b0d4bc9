//! Snapshots on their way: cut into checked pieces here, put together, checked
//! and synced there before openraft hears of them. A transfer that stalls, is
//! cancelled or is damaged leaves nothing behind and is begun anew.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use openraft::alias::SnapshotOf;
use openraft::errors::{NetworkError, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::connections::PeerClient;
use super::conversion;
use crate::proto::peer::snapshot_part::Part;
use crate::proto::peer::{SnapshotHead, SnapshotPart, SnapshotPiece, SnapshotReply};
use crate::store::raft::blocking::blocking;
use crate::store::raft::consensus::entry::Vote;
use crate::store::raft::consensus::types::{NodeId, TypeConfig};
use crate::store::raft::disk;
use crate::store::raft::snapshot::file::{RECEIVED_PREFIX, SnapshotFile, SnapshotWriter};

/// Large enough that a piece's overhead vanishes, small enough that a handful
/// in memory do not matter.
const PIECE_BYTES: usize = 512 * 1024;

/// Pieces read ahead of the network.
const PIECES_AHEAD: usize = 4;

/// Silence of a sender that a receiver bears. Senders read ahead, so even a
/// slow disk brings a piece in far less.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

type Error = StreamingError<TypeConfig>;
type Snapshot = SnapshotOf<TypeConfig, SnapshotFile>;

/// Sends `snapshot` and waits until the peer has installed it. Gives up when
/// neither a piece leaves nor an answer comes for `patience`.
pub(super) async fn send(
    mut client: PeerClient,
    vote: Vote,
    snapshot: Snapshot,
    patience: Duration,
) -> Result<SnapshotResponse<TypeConfig>, Error> {
    let file = snapshot.snapshot;
    let head = conversion::head_out(&vote, &snapshot.meta, file.bytes, file.sha256);
    let (tx, rx) = mpsc::channel(PIECES_AHEAD);
    let reading = tokio::spawn(read_pieces(file, head, tx));
    let left = Arc::new(AtomicU64::new(0));
    let counter = left.clone();
    let parts = ReceiverStream::new(rx).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let called = watched(client.install_snapshot(parts), &left, patience).await;
    // The call is over, so its end of the channel is gone and the reader ends.
    match reading.await {
        Ok(Ok(())) => {}
        // A newer snapshot has replaced the file: openraft fetches that one.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(StreamingError::Network(NetworkError::new(&error)));
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a snapshot cannot be read to be sent");
            return Err(StreamingError::Unreachable(Unreachable::new(&error)));
        }
        Err(error) => return Err(StreamingError::Unreachable(Unreachable::new(&error))),
    }
    let reply = called?.into_inner();
    let vote = conversion::vote_in(reply.vote)
        .map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))?;
    Ok(SnapshotResponse::new(vote))
}

/// Ends `call` when `progress` stands still for `patience`.
async fn watched(
    call: impl Future<Output = Result<Response<SnapshotReply>, Status>>,
    progress: &AtomicU64,
    patience: Duration,
) -> Result<Response<SnapshotReply>, Error> {
    let unreachable = |text| Err(StreamingError::Unreachable(Unreachable::from_string(text)));
    tokio::pin!(call);
    let mut seen = progress.load(Ordering::Relaxed);
    loop {
        match timeout(patience, &mut call).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(status)) => {
                return unreachable(format!("{:?}: {}", status.code(), status.message()));
            }
            Err(_) => {
                let now = progress.load(Ordering::Relaxed);
                if now == seen {
                    return unreachable(format!("the snapshot stands still for {patience:?}"));
                }
                seen = now;
            }
        }
    }
}

/// Reads ahead of the network, piece by piece.
async fn read_pieces(
    file: SnapshotFile,
    head: SnapshotHead,
    tx: mpsc::Sender<SnapshotPart>,
) -> io::Result<()> {
    let part = |part| SnapshotPart { part: Some(part) };
    let mut reader = blocking(move || file.reader()).await?;
    if tx.send(part(Part::Head(head))).await.is_err() {
        return Ok(());
    }
    let mut offset = 0;
    loop {
        let read = blocking(move || {
            let mut data = Vec::with_capacity(PIECE_BYTES);
            // At the end, this compares the whole with its digest.
            reader.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut data)?;
            Ok((reader, data))
        });
        let data;
        (reader, data) = read.await?;
        if data.is_empty() {
            return Ok(());
        }
        let (crc32c, bytes) = (crc32c::crc32c(&data), data.len() as u64);
        let piece = SnapshotPiece { offset, crc32c, data: data.into() };
        offset += bytes;
        if tx.send(part(Part::Piece(piece))).await.is_err() {
            return Ok(());
        }
    }
}

/// A snapshot that arrived whole. Dropped, it removes its file, unless the
/// state machine has moved it to where it belongs.
pub(super) struct Received {
    pub vote: Vote,
    pub snapshot: Snapshot,
    _leftover: Leftover,
}

struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        // Gone is what it should be: adopted under another name.
        let _ = disk::remove_file(&self.0);
    }
}

/// Takes a snapshot from `from` into `folder`.
pub(super) async fn receive(
    mut parts: Streaming<SnapshotPart>,
    folder: &Path,
    from: NodeId,
) -> Result<Received, Status> {
    /// Tells transfers of one run apart.
    static TRANSFERS: AtomicU64 = AtomicU64::new(0);
    let Some(Part::Head(head)) = next_part(&mut parts).await? else {
        return Err(Status::invalid_argument("a snapshot begins with its head"));
    };
    let vote = conversion::vote_in(head.vote)?;
    let meta = conversion::meta_in(&head)?;
    let number = TRANSFERS.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{RECEIVED_PREFIX}{from}-{number}.snapshot"));
    let leftover = Leftover(path.clone());
    let mut writer = done(move || SnapshotWriter::create(path)).await?;
    while let Some(part) = next_part(&mut parts).await? {
        let Part::Piece(piece) = part else {
            return Err(Status::invalid_argument("a snapshot has one head"));
        };
        let end = piece.offset.saturating_add(piece.data.len() as u64);
        if piece.offset != writer.bytes() || end > head.bytes {
            let (at, offset) = (writer.bytes(), piece.offset);
            let text = format!("a piece at {offset} to {end} does not fit at {at}");
            return Err(Status::invalid_argument(text));
        }
        writer = done(move || write_piece(writer, &piece.data, piece.crc32c)).await?;
    }
    if writer.bytes() != head.bytes {
        let (got, want) = (writer.bytes(), head.bytes);
        return Err(Status::data_loss(format!("{got} of {want} bytes came")));
    }
    let file = done(move || writer.finish()).await?;
    if file.sha256[..] != head.sha256[..] {
        return Err(Status::data_loss("the snapshot differs from its digest"));
    }
    Ok(Received { vote, snapshot: Snapshot { meta, snapshot: file }, _leftover: leftover })
}

fn write_piece(
    mut writer: SnapshotWriter,
    data: &Bytes,
    crc32c: u32,
) -> io::Result<SnapshotWriter> {
    let found = crc32c::crc32c(data);
    if found != crc32c {
        let at = writer.bytes();
        let text = format!("the piece at {at} has crc32c {found:08x}, not {crc32c:08x}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    writer.write_all(data)?;
    Ok(writer)
}

async fn next_part(parts: &mut Streaming<SnapshotPart>) -> Result<Option<Part>, Status> {
    match timeout(PIECE_TIMEOUT, parts.message()).await {
        Err(_) => Err(Status::deadline_exceeded("the sender has fallen silent")),
        Ok(Ok(Some(SnapshotPart { part: None }))) => {
            Err(Status::invalid_argument("an empty part of a snapshot"))
        }
        Ok(message) => Ok(message?.and_then(|message| message.part)),
    }
}

/// As [`blocking`], for a peer that is to be told what went wrong.
async fn done<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    blocking(work).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Status::data_loss(error.to_string()),
        _ => Status::internal(error.to_string()),
    })
}
