//! Transfers of snapshots between nodes. The sender cuts a snapshot into pieces with
//! checksums; the receiver puts them together, checks and syncs the file, and only
//! then passes it to openraft. A transfer that stalls, is cancelled or is damaged
//! leaves nothing behind and starts again from the beginning.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use openraft::errors::{NetworkError, StreamingError, Unreachable};
use openraft::raft::SnapshotResponse;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::connections::PeerClient;
use super::conversion;
use super::failure::describe;
use crate::proto::peer::snapshot_part::Part;
use crate::proto::peer::{SnapshotHead, SnapshotPart, SnapshotPiece, SnapshotReply};
use crate::store::raft::consensus::entry::Vote;
use crate::store::raft::consensus::types::{NodeId, TypeConfig};
use crate::store::raft::host::Environment;
use crate::store::raft::snapshot::file::{RECEIVED_PREFIX, SnapshotFile, SnapshotWriter};
use crate::store::raft::snapshot::folder::Snapshot;

/// Large enough that the overhead of a piece does not matter, and small enough that
/// a few pieces in memory do not either.
const PIECE_BYTES: usize = 512 * 1024;

/// How many pieces are read ahead of the network.
const PIECES_AHEAD: usize = 4;

/// How long a receiver waits for the next piece. Senders read ahead, so even a slow
/// disk takes far less time for one.
const PIECE_TIMEOUT: Duration = Duration::from_secs(10);

type Error = StreamingError<TypeConfig>;

/// Sends `snapshot` and waits until the peer has installed it. Gives up when no
/// piece was sent and no answer came for `stall_timeout`.
pub(super) async fn send(
    mut client: PeerClient,
    vote: Vote,
    snapshot: Snapshot,
    stall_timeout: Duration,
) -> Result<SnapshotResponse<TypeConfig>, Error> {
    let file = snapshot.snapshot;
    let head = conversion::encode_snapshot_head(&vote, &snapshot.meta, file.bytes, file.sha256);
    let (tx, rx) = mpsc::channel(PIECES_AHEAD);
    let reading = tokio::spawn(read_pieces(file, head, tx));
    let pieces_sent = Arc::new(AtomicU64::new(0));
    let counter = pieces_sent.clone();
    let parts = ReceiverStream::new(rx).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let called = until_stalled(client.install_snapshot(parts), &pieces_sent, stall_timeout).await;
    // The call is over and has dropped its end of the channel, so the reader ends.
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
    let vote = conversion::decode_vote(reply.vote)
        .map_err(|error| StreamingError::Unreachable(Unreachable::new(&error)))?;
    Ok(SnapshotResponse::new(vote))
}

/// Ends `call` when `progress` does not change for `stall_timeout`.
async fn until_stalled(
    call: impl Future<Output = Result<Response<SnapshotReply>, Status>>,
    progress: &AtomicU64,
    stall_timeout: Duration,
) -> Result<Response<SnapshotReply>, Error> {
    let unreachable = |text| Err(StreamingError::Unreachable(Unreachable::from_string(text)));
    tokio::pin!(call);
    let mut before = progress.load(Ordering::Relaxed);
    loop {
        match timeout(stall_timeout, &mut call).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(status)) => {
                return unreachable(describe(&status));
            }
            Err(_) => {
                let now = progress.load(Ordering::Relaxed);
                if now == before {
                    return unreachable(format!(
                        "the snapshot made no progress for {stall_timeout:?}"
                    ));
                }
                before = now;
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
    let environment = file.environment.clone();
    let mut reader = environment.blocking(move || file.reader()).await?;
    if tx.send(part(Part::Head(head))).await.is_err() {
        return Ok(());
    }
    let mut offset = 0;
    loop {
        let read = environment.blocking(move || {
            let mut data = Vec::with_capacity(PIECE_BYTES);
            // At the end of the file, the reader compares the content with its digest.
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

/// A snapshot that has arrived completely. Its file is removed when this is dropped,
/// unless the state machine has adopted it.
pub(super) struct ReceivedSnapshot {
    pub vote: Vote,
    pub snapshot: Snapshot,
    _file: TemporaryFile,
}

struct TemporaryFile(Environment, PathBuf);

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // The file is usually gone, because it was adopted under another name.
        let _ = self.0.disk.remove_file(&self.1);
    }
}

/// Receives a snapshot from `from` into `folder`.
pub(super) async fn receive(
    mut parts: Streaming<SnapshotPart>,
    (environment, folder): (&Environment, &Path),
    from: NodeId,
) -> Result<ReceivedSnapshot, Status> {
    /// Distinguishes the transfers of one run of the node.
    static TRANSFERS: AtomicU64 = AtomicU64::new(0);
    let Some(Part::Head(head)) = next_part(&mut parts).await? else {
        return Err(Status::invalid_argument("a snapshot begins with its head"));
    };
    let vote = conversion::decode_vote(head.vote)?;
    let meta = conversion::decode_snapshot_meta(&head)?;
    let number = TRANSFERS.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{RECEIVED_PREFIX}{from}-{number}.snapshot"));
    let temporary = TemporaryFile(environment.clone(), path.clone());
    let host = environment.clone();
    let creating = move || SnapshotWriter::create(&host, path);
    let mut writer = blocking_for_peer(environment, creating).await?;
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
        let writing = move || write_piece(writer, &piece.data, piece.crc32c);
        writer = blocking_for_peer(environment, writing).await?;
    }
    if writer.bytes() != head.bytes {
        let (got, want) = (writer.bytes(), head.bytes);
        return Err(Status::data_loss(format!("{got} of {want} bytes arrived")));
    }
    let file = blocking_for_peer(environment, move || writer.finish()).await?;
    if file.sha256[..] != head.sha256[..] {
        return Err(Status::data_loss("the snapshot differs from its digest"));
    }
    Ok(ReceivedSnapshot { vote, snapshot: Snapshot { meta, snapshot: file }, _file: temporary })
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

/// Like [`Environment::blocking`], but reports the error to the peer.
async fn blocking_for_peer<T: Send + 'static>(
    environment: &Environment,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Status> {
    environment.blocking(work).await.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Status::data_loss(error.to_string()),
        _ => Status::internal(error.to_string()),
    })
}
