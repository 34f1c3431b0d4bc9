//! Writing: an export as the bytes of the stream, some at a time.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream, Stream};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::line::{FirstLine, LastLine, Line};
use super::{ExportCounts, Header, LINE_BYTES_MAX, Origin};
use crate::machine::hex;
use crate::machine::{Chain, Revision};
use crate::store::StoreError;
use crate::store::export::{Export, Part};

/// Bytes that are handed on at a time: enough for little overhead, little
/// enough for any message.
const CHUNK_BYTES_MAX: usize = 512 * 1024;

/// Why a stream ends without its last line.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store gave does not hang together.
    #[error("the export does not hang together: {0}")]
    Broken(String),
}

/// The stream. After an error nothing more comes, so that the last line is
/// missing and no reader takes it for whole.
pub fn encode(
    export: Export,
    origin: Origin,
) -> impl Stream<Item = Result<Bytes, WriteError>> + Send + 'static {
    let header = Header { origin, meta: export.meta };
    let writer = ExportEncoder::new(header);
    let state = EncodeState { writer, parts: Some(export.parts), ready: VecDeque::new() };
    stream::unfold(state, |mut state| async move {
        loop {
            if let Some(bytes) = state.ready.pop_front() {
                return Some((Ok(bytes), state));
            }
            // Dropped once it has ended or failed: then this is over.
            let written = match state.parts.as_mut()?.next().await {
                Some(Ok(parts)) => state.writer.take(&parts),
                Some(Err(error)) => Err(error.into()),
                None => {
                    state.parts = None;
                    state.writer.end()
                }
            };
            if let Err(error) = written {
                state.parts = None;
                state.ready.clear();
                return Some((Err(error), state));
            }
            state.ready.extend(pieces(state.writer.flush()));
        }
    })
}

struct EncodeState {
    writer: ExportEncoder,
    parts: Option<BoxStream<'static, Result<Vec<Part>, StoreError>>>,
    ready: VecDeque<Bytes>,
}

/// The lines, and what the last one says of them.
struct ExportEncoder {
    header: Header,
    /// Written and not yet handed on.
    lines: Vec<u8>,
    hash: Sha256,
    tally: ExportCounts,
    /// The newest event written.
    newest: (Revision, Chain),
}

impl ExportEncoder {
    fn new(header: Header) -> ExportEncoder {
        let anchor = &header.meta.anchor;
        let newest = (anchor.revision, anchor.chain);
        let (hash, tally) = (Sha256::new(), ExportCounts::default());
        let mut writer = ExportEncoder { lines: Vec::new(), hash, tally, newest, header };
        let first = FirstLine::of(&writer.header);
        push(&mut writer.lines, &first);
        writer
    }

    fn take(&mut self, parts: &[Part]) -> Result<(), WriteError> {
        for part in parts {
            let Some(line) = Line::of(part) else { continue };
            let before = self.lines.len();
            push(&mut self.lines, &line);
            if self.lines.len() - before > LINE_BYTES_MAX {
                let text = format!("a line takes {} bytes", self.lines.len() - before);
                return Err(WriteError::Broken(text));
            }
            if let Part::Event(event) = part {
                self.newest = (event.revision, event.chain);
            }
            self.tally.count(part);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), WriteError> {
        let meta = &self.header.meta;
        if self.newest != (meta.revision, meta.chain) {
            let (newest, revision) = (self.newest.0, meta.revision);
            let text = format!("its history ends at revision {newest}, the state is at {revision}");
            return Err(WriteError::Broken(text));
        }
        self.hash.update(&self.lines);
        let end = end_line(&self.tally, std::mem::take(&mut self.hash));
        self.lines.extend_from_slice(&end);
        Ok(())
    }

    /// What was written since.
    fn flush(&mut self) -> Bytes {
        self.hash.update(&self.lines);
        std::mem::take(&mut self.lines).into()
    }
}

/// The last line after lines with this hash.
pub(super) fn end_line(tally: &ExportCounts, hash: Sha256) -> Vec<u8> {
    let sha256 = hex::encode(&hash.finalize());
    let end = LastLine { rows: tally.rows(), events: tally.events, sha256 };
    let mut line = Vec::new();
    push(&mut line, &Line::<&str>::End(end));
    line
}

fn push(lines: &mut Vec<u8>, line: &impl Serialize) {
    serde_json::to_writer(&mut *lines, line)
        .expect("text and numbers always have a JSON form, and a Vec takes every byte");
    lines.push(b'\n');
}

fn pieces(mut bytes: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let piece = bytes.split_to(bytes.len().min(CHUNK_BYTES_MAX));
        (!piece.is_empty()).then_some(piece)
    })
}
