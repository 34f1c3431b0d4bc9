//! Encoding: an export as the bytes of the stream, a chunk at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream, Stream};
use sha2::{Digest, Sha256};

use super::counts::ExportCounts;
use super::header::{ExportHeader, ExportOrigin, LINE_BYTES_MAX};
use super::line::{FirstLine, Line, end_line, push};
use crate::machine::{Chain, Revision};
use crate::store::StoreError;
use crate::store::export::{Export, Part};

/// The most bytes of a chunk: enough to keep the overhead low, and less than the
/// limit of a gRPC message.
const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// Why a stream ends without its last line.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExportEncodeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store gave a state that is not consistent.
    #[error("the export does not hang together: {0}")]
    Broken(String),
}

/// The stream of an export. It ends after an error, so that its last line is missing
/// and no reader takes it for whole.
pub fn encode(
    export: Export,
    origin: ExportOrigin,
) -> impl Stream<Item = Result<Bytes, ExportEncodeError>> + Send + 'static {
    let header = ExportHeader { origin, meta: export.meta };
    let encoder = ExportEncoder::new(header);
    let state = EncodeState { encoder, parts: Some(export.parts), ready: VecDeque::new() };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(bytes) = state.ready.pop_front() {
                return Some((Ok(bytes), state));
            }
            // The parts are dropped once they have ended or failed, which ends this
            // stream as well.
            let written = match state.parts.as_mut()?.next().await {
                Some(Ok(parts)) => state.encoder.push(&parts),
                Some(Err(error)) => Err(error.into()),
                None => {
                    state.parts = None;
                    state.encoder.end()
                }
            };
            if let Err(error) = written {
                state.parts = None;
                state.ready.clear();
                return Some((Err(error), state));
            }
            state.ready.extend(pieces(state.encoder.flush()));
        }
    })
}

struct EncodeState {
    encoder: ExportEncoder,
    parts: Option<BoxStream<'static, Result<Vec<Part>, StoreError>>>,
    ready: VecDeque<Bytes>,
}

/// Writes lines, and keeps what the last one says about them.
struct ExportEncoder {
    header: ExportHeader,
    /// The lines that have not been returned yet.
    lines: Vec<u8>,
    hash: Sha256,
    counts: ExportCounts,
    /// The newest event written.
    newest: (Revision, Chain),
}

impl ExportEncoder {
    fn new(header: ExportHeader) -> ExportEncoder {
        let anchor = &header.meta.anchor;
        let newest = (anchor.revision, anchor.chain);
        let (hash, counts) = (Sha256::new(), ExportCounts::default());
        let mut encoder = ExportEncoder { lines: Vec::new(), hash, counts, newest, header };
        let first = FirstLine::of(&encoder.header);
        push(&mut encoder.lines, &first);
        encoder
    }

    fn push(&mut self, parts: &[Part]) -> Result<(), ExportEncodeError> {
        for part in parts {
            let Some(line) = Line::of(part) else { continue };
            let before = self.lines.len();
            push(&mut self.lines, &line);
            if self.lines.len() - before > LINE_BYTES_MAX {
                let text = format!("a line takes {} bytes", self.lines.len() - before);
                return Err(ExportEncodeError::Broken(text));
            }
            if let Part::Event(event) = part {
                self.newest = (event.revision, event.chain);
            }
            self.counts.count(part);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), ExportEncodeError> {
        let meta = &self.header.meta;
        if self.newest != (meta.revision, meta.chain) {
            let (newest, revision) = (self.newest.0, meta.revision);
            let text = format!("its history ends at revision {newest}, the state is at {revision}");
            return Err(ExportEncodeError::Broken(text));
        }
        self.hash.update(&self.lines);
        let end = end_line(&self.counts, std::mem::take(&mut self.hash));
        self.lines.extend_from_slice(&end);
        Ok(())
    }

    /// The lines written since the last call.
    fn flush(&mut self) -> Bytes {
        self.hash.update(&self.lines);
        std::mem::take(&mut self.lines).into()
    }
}

fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(CHUNK_BYTES_MAX));
        (!piece.is_empty()).then_some(piece)
    })
}
