//! Reading: bytes of the stream go in as they come, parts of a state come out,
//! and at the end the verdict whether they are one.

use sha2::{Digest, Sha256};

use super::line::{FirstLine, Line, TitleLine};
use super::write::end_line;
use super::{ExportCounts, FORMAT, Header, LINE_BYTES_MAX, VERSION};
use crate::machine::{Chain, Event, Meta, Revision, Row, Text};
use crate::store::export::Part;

/// Why a stream is refused. One line for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
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
/// What it gives is checked line by line; that all of it is there and nothing
/// was changed only [`Reader::finish`] knows.
pub struct Reader {
    stage: Stage,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
    /// Whole lines so far.
    lines: u64,
    line_bytes_max: usize,
    hash: Sha256,
    tally: ExportCounts,
}

/// What has been read, and so what may come.
enum Stage {
    Start,
    Rows(Header),
    /// After an event with this revision and chain value.
    Events(Header, Revision, Chain),
    End(Header),
}

impl Default for Reader {
    fn default() -> Reader {
        Reader::new()
    }
}

impl Reader {
    /// A reader at the start of a stream.
    pub fn new() -> Reader {
        Reader::with_line_bytes_max(LINE_BYTES_MAX)
    }

    pub(super) fn with_line_bytes_max(line_bytes_max: usize) -> Reader {
        let (hash, tally) = (Sha256::new(), ExportCounts::default());
        Reader { stage: Stage::Start, rest: Vec::new(), lines: 0, line_bytes_max, hash, tally }
    }

    /// Reads on; adds what the lines say to `parts`.
    ///
    /// # Errors
    /// The stream is refused; nothing more may be fed.
    pub fn feed(&mut self, mut bytes: &[u8], parts: &mut Vec<Part>) -> Result<(), ReadError> {
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

    /// The first line, once it is read.
    pub fn header(&self) -> Option<&Header> {
        match &self.stage {
            Stage::Start => None,
            Stage::Rows(header) | Stage::Events(header, ..) | Stage::End(header) => Some(header),
        }
    }

    /// What has been read so far.
    pub fn tally(&self) -> ExportCounts {
        self.tally
    }

    /// The stream has ended: whether it is whole.
    ///
    /// # Errors
    /// It is not.
    pub fn finish(self) -> Result<(Header, ExportCounts), ReadError> {
        match self.stage {
            Stage::End(header) if self.rest.is_empty() => Ok((header, self.tally)),
            Stage::End(_) => Err(goes_on(self.lines + 1)),
            Stage::Start if self.lines == 0 && !looks_like_one(&self.rest) => {
                Err(ReadError::NotAnExport)
            }
            Stage::Start | Stage::Rows(_) | Stage::Events(..) => {
                Err(ReadError::CutShort { lines: self.lines })
            }
        }
    }

    /// One line, with its line break.
    fn line(&mut self, line: &[u8], parts: &mut Vec<Part>) -> Result<(), ReadError> {
        if line.len() > self.line_bytes_max {
            return Err(self.too_long());
        }
        self.lines += 1;
        self.stage = match std::mem::replace(&mut self.stage, Stage::Start) {
            Stage::Start => Stage::Rows(first(line)?),
            Stage::End(_) => return Err(goes_on(self.lines)),
            Stage::Rows(header) => {
                let anchor = &header.meta.anchor;
                let (revision, chain) = (anchor.revision, anchor.chain);
                self.body(line, header, (revision, chain), false, parts)?
            }
            Stage::Events(header, revision, chain) => {
                self.body(line, header, (revision, chain), true, parts)?
            }
        };
        self.hash.update(line);
        Ok(())
    }

    /// A line after the first. `newest` is the event before it.
    fn body(
        &mut self,
        bytes: &[u8],
        header: Header,
        newest: (Revision, Chain),
        after_events: bool,
        parts: &mut Vec<Part>,
    ) -> Result<Stage, ReadError> {
        let line = self.lines;
        let wrong = |why: String| ReadError::Line { line, why };
        let read: Line<Text> =
            serde_json::from_slice(bytes).map_err(|error| wrong(said(&error)))?;
        let row = match read {
            Line::Key(key) => key.into_row(),
            Line::Lease(lease) => Ok(lease.into_row()),
            Line::Run(run) => run.into_row(),
            Line::Step(step) => step.into_row(),
            Line::Session(session) => session.into_row(),
            Line::Cancellation(cancellation) => Ok(cancellation.into_row()),
            Line::Request(request) => request.into_row(),
            Line::Event(event) => {
                let event = event.into_event().map_err(wrong)?;
                follow(&event, newest, &header.meta).map_err(wrong)?;
                let (revision, chain) = (event.revision, event.chain);
                self.push(Part::Event(event), parts);
                return Ok(Stage::Events(header, revision, chain));
            }
            Line::End(_) => {
                self.end(bytes, newest, &header.meta).map_err(wrong)?;
                return Ok(Stage::End(header));
            }
        };
        if after_events {
            return Err(wrong("a row after the events".into()));
        }
        let row = row.map_err(wrong)?;
        within(&row, header.meta.revision).map_err(wrong)?;
        self.push(Part::Row(row), parts);
        Ok(Stage::Rows(header))
    }

    fn push(&mut self, part: Part, parts: &mut Vec<Part>) {
        self.tally.count(&part);
        parts.push(part);
    }

    /// The last line must be, byte for byte, the one that belongs to what came
    /// before it.
    fn end(&self, line: &[u8], newest: (Revision, Chain), meta: &Meta) -> Result<(), String> {
        if line != end_line(&self.tally, self.hash.clone()) {
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

    fn too_long(&self) -> ReadError {
        let (line, most) = (self.lines + 1, self.line_bytes_max);
        ReadError::Line { line, why: format!("longer than {most} bytes, so this is no export") }
    }
}

/// The first line.
fn first(line: &[u8]) -> Result<Header, ReadError> {
    let title: TitleLine = serde_json::from_slice(line).map_err(|_| ReadError::NotAnExport)?;
    if title.format != FORMAT {
        return Err(ReadError::NotAnExport);
    }
    if title.version > VERSION {
        return Err(ReadError::Newer { found: title.version });
    }
    let wrong = |why: String| ReadError::Line { line: 1, why };
    if title.version != VERSION {
        return Err(wrong(format!("version {} was never written", title.version)));
    }
    let first: FirstLine<Text> =
        serde_json::from_slice(line).map_err(|error| wrong(said(&error)))?;
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

/// An event must be the next one, and its chain value its own.
fn follow(event: &Event, newest: (Revision, Chain), meta: &Meta) -> Result<(), String> {
    let (revision, chain) = newest;
    if revision >= meta.revision {
        return Err(format!("an event after the state's revision ({})", meta.revision));
    }
    if event.revision != revision.next() {
        return Err(format!("event {} comes after event {revision}", event.revision));
    }
    if !event.follows(chain) {
        return Err(format!("the chain breaks at event {}", event.revision));
    }
    Ok(())
}

/// No row was changed or granted after the state's revision: the next grant
/// would give such a token a second time.
fn within(row: &Row, newest: Revision) -> Result<(), String> {
    let highest = match row {
        Row::Key(_, row) => row.revision,
        Row::Lease(_, row) => row.revision.max(row.token),
        Row::Run(row) => {
            let token = row.claim.as_ref().map_or(Revision::ZERO, |claim| claim.token);
            row.revision.max(row.created_revision).max(token)
        }
        Row::Step(_, _, row) => row.revision,
        Row::Session(_, row) => row.revision,
        Row::Cancellation(_, row) => row.revision,
        Row::Request(..) | Row::Origin(..) | Row::Answer(..) => Revision::ZERO,
    };
    if highest > newest {
        return Err(format!("revision {highest} lies after the state's ({newest})"));
    }
    Ok(())
}

/// Whether bytes without a line break may be an export's beginning.
fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(b"{\"format\":\"mcp-state-sidecar-export\"")
}

fn goes_on(line: u64) -> ReadError {
    ReadError::Line { line, why: "it goes on after its end".into() }
}

/// What is wrong with a line, and where in it: the line's own number within
/// itself is always 1.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (why, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    format!("{why} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let refused = Err(ReadError::Line {
            line: 1,
            why: "longer than 10 bytes, so this is no export".into(),
        });
        let mut reader = Reader::with_line_bytes_max(10);
        assert_eq!(reader.feed(b"0123456789", &mut Vec::new()), Ok(()));
        assert_eq!(reader.feed(b"0", &mut Vec::new()), refused);
        let mut reader = Reader::with_line_bytes_max(10);
        assert_eq!(reader.feed(b"0123456789\n", &mut Vec::new()), refused);
    }
}
