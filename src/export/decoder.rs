//! Decoding: bytes of the stream go in as they arrive, parts of a state come out,
//! and the end says whether they are a whole state.

use sha2::{Digest, Sha256};

use super::check::{follow, within};
use super::counts::ExportCounts;
use super::header::{ExportHeader, FORMAT, LINE_BYTES_MAX, VERSION};
use super::line::{FirstLine, Line, TitleLine, end_line};
use crate::machine::{Chain, Meta, Revision, Text};
use crate::store::export::Part;

/// Why a stream is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportDecodeError {
    #[error("not an export: the first line does not begin one")]
    NotAnExport,
    #[error("version {found} is newer than {VERSION}, the newest known here")]
    Newer { found: u32 },
    #[error("line {line}: {why}")]
    Line { line: u64, why: String },
    #[error("cut short: it stops after line {lines}, before its end")]
    CutShort { lines: u64 },
}

/// Reads one stream.
///
/// Each line is checked as it is read. Only [`ExportDecoder::finish`] can tell that
/// nothing is missing and nothing was changed.
pub struct ExportDecoder {
    stage: DecodeStage,
    /// The beginning of a line whose end has not arrived yet.
    rest: Vec<u8>,
    /// The number of whole lines so far.
    lines: u64,
    line_bytes_max: usize,
    hash: Sha256,
    counts: ExportCounts,
}

/// What has been read, which decides what may come next.
enum DecodeStage {
    Start,
    Rows(ExportHeader),
    /// The newest event had this revision and chain value.
    Events(ExportHeader, Revision, Chain),
    End(ExportHeader),
}

impl Default for ExportDecoder {
    fn default() -> ExportDecoder {
        ExportDecoder::new()
    }
}

impl ExportDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> ExportDecoder {
        ExportDecoder::with_line_bytes_max(LINE_BYTES_MAX)
    }

    pub(super) fn with_line_bytes_max(line_bytes_max: usize) -> ExportDecoder {
        let (hash, counts) = (Sha256::new(), ExportCounts::default());
        ExportDecoder {
            stage: DecodeStage::Start,
            rest: Vec::new(),
            lines: 0,
            line_bytes_max,
            hash,
            counts,
        }
    }

    /// Reads the next bytes, and adds the rows and events in them to `parts`.
    ///
    /// # Errors
    /// The stream is refused, and the decoder must not be used any more.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        parts: &mut Vec<Part>,
    ) -> Result<(), ExportDecodeError> {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(at + 1);
            bytes = after;
            if self.rest.is_empty() {
                self.line(line, parts)?;
            } else {
                let mut whole = std::mem::take(&mut self.rest);
                whole.extend_from_slice(line);
                self.line(&whole, parts)?;
            }
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() > self.line_bytes_max {
            return Err(self.too_long());
        }
        Ok(())
    }

    /// The header, once the first line has been read.
    pub fn header(&self) -> Option<&ExportHeader> {
        match &self.stage {
            DecodeStage::Start => None,
            DecodeStage::Rows(header)
            | DecodeStage::Events(header, ..)
            | DecodeStage::End(header) => Some(header),
        }
    }

    /// The rows and events that have been read so far.
    pub fn counts(&self) -> ExportCounts {
        self.counts
    }

    /// Checks, at the end of the stream, that it is whole.
    ///
    /// # Errors
    /// The stream is not whole.
    pub fn finish(self) -> Result<(ExportHeader, ExportCounts), ExportDecodeError> {
        match self.stage {
            DecodeStage::End(header) if self.rest.is_empty() => Ok((header, self.counts)),
            DecodeStage::End(_) => Err(goes_on(self.lines + 1)),
            DecodeStage::Start if self.lines == 0 && !looks_like_one(&self.rest) => {
                Err(ExportDecodeError::NotAnExport)
            }
            DecodeStage::Start | DecodeStage::Rows(_) | DecodeStage::Events(..) => {
                Err(ExportDecodeError::CutShort { lines: self.lines })
            }
        }
    }

    /// One line, with its line break.
    fn line(&mut self, line: &[u8], parts: &mut Vec<Part>) -> Result<(), ExportDecodeError> {
        if line.len() > self.line_bytes_max {
            return Err(self.too_long());
        }
        self.lines += 1;
        self.stage = match std::mem::replace(&mut self.stage, DecodeStage::Start) {
            DecodeStage::Start => DecodeStage::Rows(first(line)?),
            DecodeStage::End(_) => return Err(goes_on(self.lines)),
            DecodeStage::Rows(header) => {
                let anchor = &header.meta.anchor;
                let (revision, chain) = (anchor.revision, anchor.chain);
                self.body(line, header, (revision, chain), false, parts)?
            }
            DecodeStage::Events(header, revision, chain) => {
                self.body(line, header, (revision, chain), true, parts)?
            }
        };
        self.hash.update(line);
        Ok(())
    }

    /// Reads a line after the first. `newest` is the position of the last event
    /// before it.
    fn body(
        &mut self,
        bytes: &[u8],
        header: ExportHeader,
        newest: (Revision, Chain),
        after_events: bool,
        parts: &mut Vec<Part>,
    ) -> Result<DecodeStage, ExportDecodeError> {
        let line = self.lines;
        let wrong = |why: String| ExportDecodeError::Line { line, why };
        let read: Line<Text> =
            serde_json::from_slice(bytes).map_err(|error| wrong(explain(&error)))?;
        let row = match read {
            Line::Key(key) => key.into_row(),
            Line::Lease(lease) => Ok(lease.into_row()),
            Line::Run(run) => run.into_row(),
            Line::Step(step) => step.into_row(),
            Line::Session(session) => session.into_row(),
            Line::Schedule(schedule) => schedule.into_row(),
            Line::Pause(pause) => Ok(pause.into_row()),
            Line::Cancellation(cancellation) => Ok(cancellation.into_row()),
            Line::Request(request) => request.into_row(),
            Line::Event(event) => {
                let event = event.into_event().map_err(wrong)?;
                follow(&event, newest, &header.meta).map_err(wrong)?;
                let (revision, chain) = (event.revision, event.chain);
                self.push(Part::Event(event), parts);
                return Ok(DecodeStage::Events(header, revision, chain));
            }
            Line::End(_) => {
                self.end(bytes, newest, &header.meta).map_err(wrong)?;
                return Ok(DecodeStage::End(header));
            }
        };
        if after_events {
            return Err(wrong("a row after the events".into()));
        }
        let row = row.map_err(wrong)?;
        within(&row, header.meta.revision).map_err(wrong)?;
        self.push(Part::Row(row), parts);
        Ok(DecodeStage::Rows(header))
    }

    fn push(&mut self, part: Part, parts: &mut Vec<Part>) {
        self.counts.count(&part);
        parts.push(part);
    }

    /// Checks that the last line is, byte for byte, the one that follows from the
    /// lines before it.
    fn end(&self, line: &[u8], newest: (Revision, Chain), meta: &Meta) -> Result<(), String> {
        if line != end_line(&self.counts, self.hash.clone()) {
            return Err("the checksum or the counts do not fit what came before; the stream was \
                        changed or damaged"
                .into());
        }
        if newest != (meta.revision, meta.chain) {
            let (ends, revision) = (newest.0, meta.revision);
            return Err(format!(
                "the history ends at revision {ends}, which is not the state's ({revision}) \
                 or has another chain value"
            ));
        }
        Ok(())
    }

    fn too_long(&self) -> ExportDecodeError {
        let (line, most) = (self.lines + 1, self.line_bytes_max);
        ExportDecodeError::Line {
            line,
            why: format!("longer than {most} bytes, so this is no export"),
        }
    }
}

/// Reads the first line.
fn first(line: &[u8]) -> Result<ExportHeader, ExportDecodeError> {
    let title: TitleLine =
        serde_json::from_slice(line).map_err(|_| ExportDecodeError::NotAnExport)?;
    if title.format != FORMAT {
        return Err(ExportDecodeError::NotAnExport);
    }
    if title.version > VERSION {
        return Err(ExportDecodeError::Newer { found: title.version });
    }
    let wrong = |why: String| ExportDecodeError::Line { line: 1, why };
    if title.version != VERSION {
        return Err(wrong(format!("version {} was never written", title.version)));
    }
    let first: FirstLine<Text> =
        serde_json::from_slice(line).map_err(|error| wrong(explain(&error)))?;
    let header = first.into_header().map_err(wrong)?;
    let Meta { revision, anchor, .. } = &header.meta;
    if anchor.revision > *revision {
        let why = format!("the anchor ({}) lies after the revision ({revision})", anchor.revision);
        return Err(wrong(why));
    }
    if anchor.revision == Revision::ZERO && anchor.chain != Chain::default() {
        return Err(wrong("a chain value before the first event".into()));
    }
    Ok(header)
}

/// Whether bytes without a line break may be the beginning of an export.
fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"format\":\"mcp-state-sidecar-export\"")
}

fn goes_on(line: u64) -> ExportDecodeError {
    ExportDecodeError::Line { line, why: "it goes on after its end".into() }
}

/// What is wrong with a line, and in which column. The parser sees one line only,
/// so its line number says nothing.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (why, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    format!("{why} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let refused = Err(ExportDecodeError::Line {
            line: 1,
            why: "longer than 10 bytes, so this is no export".into(),
        });
        let mut decoder = ExportDecoder::with_line_bytes_max(10);
        assert_eq!(decoder.feed(b"0123456789", &mut Vec::new()), Ok(()));
        assert_eq!(decoder.feed(b"0", &mut Vec::new()), refused);
        let mut decoder = ExportDecoder::with_line_bytes_max(10);
        assert_eq!(decoder.feed(b"0123456789\n", &mut Vec::new()), refused);
    }
}
