//! The one byte form of everything that travels or rests: log proposals,
//! forwarded requests, replies, events, snapshot rows, questions and answers.
//!
//! A record is one byte, the number of its format, and one message of
//! `proto/record.proto` or `proto/state.proto`. The same value always gives
//! the same bytes. Reading is strict: a record that this version would not
//! understand whole is refused, never applied by half, because replicas that
//! read the same record differently would part for good. What reading accepts
//! is shape alone; whether text is JSON or an id too long is the api's concern.

mod answer;
mod command;
mod event;
mod granted;
mod question;
mod record;
mod reply;
mod row;
mod value;
mod write;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use sha2::{Digest, Sha256};

pub use record::{Request, StateRecord};

use crate::machine::{Answer, Command, Envelope, Event, Question, Reply, Text};
use crate::proto::{record as record_form, state};

/// The newest format that this version reads, and the one it writes.
///
/// It grows when records change by more than new optional fields. Zero is no
/// format, so that zeroed bytes read as damage.
pub const FORMAT: u8 = 1;

/// Why bytes are not the record that they should be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CodecError {
    /// No bytes at all, or the format number zero.
    #[error("{message}: no record here")]
    Empty { message: &'static str },
    /// Written by a newer version of the program.
    #[error("{message}: format {found} is newer than {known}, the newest known here")]
    TooNew { message: &'static str, found: u8, known: u8 },
    /// Not the form of any message of this kind.
    #[error("{message}: malformed")]
    Malformed {
        message: &'static str,
        #[source]
        source: prost::DecodeError,
    },
    /// Holds bytes that this version does not know: a newer version's field,
    /// or one that was written twice or needlessly.
    #[error("{message}: {unread} bytes are of no field known here")]
    Unread { message: &'static str, unread: usize },
    /// A field that must be there is not, or its kind is unknown here.
    #[error("{message}.{field} is missing or of an unknown kind")]
    Missing { message: &'static str, field: &'static str },
    /// A number that names nothing known here.
    #[error("{message}.{field}: {found} names nothing known")]
    Unknown { message: &'static str, field: &'static str, found: i32 },
    /// Bytes of a fixed length have another.
    #[error("{message}.{field}: {found} bytes instead of {expected}")]
    Length { message: &'static str, field: &'static str, found: usize, expected: usize },
    /// A number too large for this machine.
    #[error("{message}.{field}: {found} is out of range")]
    Range { message: &'static str, field: &'static str, found: u64 },
    /// A name that may occur once occurs again.
    #[error("{message}.{field}: '{name}' occurs twice")]
    Twice { message: &'static str, field: &'static str, name: Text },
}

/// A log proposal.
pub fn encode_envelope(envelope: &Envelope) -> Bytes {
    encode(&record_form::Envelope::from(envelope))
}

/// Reads what [`encode_envelope`] wrote.
pub fn decode_envelope(bytes: &Bytes) -> Result<Envelope, CodecError> {
    decode::<record_form::Envelope>("Envelope", bytes)?.try_into()
}

/// A command forwarded to whoever orders it.
pub fn encode_request(request: &Request) -> Bytes {
    encode(&record_form::Request::from(request))
}

/// Reads what [`encode_request`] wrote.
pub fn decode_request(bytes: &Bytes) -> Result<Request, CodecError> {
    decode::<record_form::Request>("Request", bytes)?.try_into()
}

/// The outcome of a command.
pub fn encode_reply(reply: &Reply) -> Bytes {
    encode(&state::Reply::from(reply))
}

/// Reads what [`encode_reply`] wrote.
pub fn decode_reply(bytes: &Bytes) -> Result<Reply, CodecError> {
    decode::<state::Reply>("Reply", bytes)?.try_into()
}

/// One event of the history.
pub fn encode_event(event: &Event) -> Bytes {
    encode(&state::Event::from(event))
}

/// Reads what [`encode_event`] wrote. Whether the chain holds is not looked at.
pub fn decode_event(bytes: &Bytes) -> Result<Event, CodecError> {
    decode::<state::Event>("Event", bytes)?.try_into()
}

/// One row of a snapshot.
pub fn encode_state_record(record: &StateRecord) -> Bytes {
    encode(&record_form::StateRecord::from(record))
}

/// Reads what [`encode_state_record`] wrote.
pub fn decode_state_record(bytes: &Bytes) -> Result<StateRecord, CodecError> {
    decode::<record_form::StateRecord>("StateRecord", bytes)?.try_into()
}

/// A read.
pub fn encode_question(question: &Question) -> Bytes {
    encode(&state::Question::from(question))
}

/// Reads what [`encode_question`] wrote.
pub fn decode_question(bytes: &Bytes) -> Result<Question, CodecError> {
    decode::<state::Question>("Question", bytes)?.try_into()
}

/// What a read gave.
pub fn encode_answer(answer: &Answer) -> Bytes {
    encode(&state::Answer::from(answer))
}

/// Reads what [`encode_answer`] wrote.
pub fn decode_answer(bytes: &Bytes) -> Result<Answer, CodecError> {
    decode::<state::Answer>("Answer", bytes)?.try_into()
}

/// The digest of a command's arguments for [`Idempotency`]: SHA-256 over its
/// encoded form, so it is the same whoever asks, whenever and on which node.
///
/// [`Idempotency`]: crate::machine::command::Idempotency
pub fn digest(command: &Command) -> [u8; 32] {
    Sha256::digest(state::Command::from(command).encode_to_vec()).into()
}

fn encode(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
    bytes.put_u8(FORMAT);
    message.encode(&mut bytes).expect("a BytesMut grows as needed");
    bytes.freeze()
}

fn decode<M: Message + Default>(message: &'static str, bytes: &Bytes) -> Result<M, CodecError> {
    let mut body = bytes.clone();
    match bytes.first().copied() {
        None | Some(0) => return Err(CodecError::Empty { message }),
        Some(found) if found > FORMAT => {
            return Err(CodecError::TooNew { message, found, known: FORMAT });
        }
        Some(_) => body.advance(1),
    }
    let body_bytes = body.len();
    let form = M::decode(body).map_err(|source| CodecError::Malformed { message, source })?;
    // Fields that this version does not know were skipped, so the form is
    // shorter than what it was read from.
    match body_bytes.saturating_sub(form.encoded_len()) {
        0 => Ok(form),
        unread => Err(CodecError::Unread { message, unread }),
    }
}

impl CodecError {
    fn unknown(message: &'static str, field: &'static str, found: i32) -> CodecError {
        CodecError::Unknown { message, field, found }
    }
}

#[cfg(test)]
mod tests;
