//! Encoding and decoding: one function of each for every kind of record.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;
use sha2::{Digest, Sha256};

use super::envelope::ForwardedRequest;
use super::error::CodecError;
use super::state_record::StateRecord;
use crate::machine::row::{ApprovalRow, Constraints};
use crate::machine::{Answer, Command, Envelope, Event, Question, Reply};
use crate::proto::{record as record_form, state};

/// The format that is written, and the newest one that is read.
///
/// A change of records by more than new optional fields needs a new number. Zero is
/// never used, so that zeroed bytes are recognised as damage.
pub const FORMAT: u8 = 1;

/// Encodes a proposal of the replicated log.
pub fn encode_envelope(envelope: &Envelope) -> Bytes {
    encode(&record_form::Envelope::from(envelope))
}

/// Decodes what [`encode_envelope`] wrote.
pub fn decode_envelope(bytes: &Bytes) -> Result<Envelope, CodecError> {
    decode::<record_form::Envelope>("Envelope", bytes)?.try_into()
}

/// Encodes a command that a node forwards to the leader.
pub fn encode_forwarded(request: &ForwardedRequest) -> Bytes {
    encode(&record_form::Request::from(request))
}

/// Decodes what [`encode_forwarded`] wrote.
pub fn decode_forwarded(bytes: &Bytes) -> Result<ForwardedRequest, CodecError> {
    decode::<record_form::Request>("Request", bytes)?.try_into()
}

/// Encodes the reply to a command.
pub fn encode_reply(reply: &Reply) -> Bytes {
    encode(&state::Reply::from(reply))
}

/// Decodes what [`encode_reply`] wrote.
pub fn decode_reply(bytes: &Bytes) -> Result<Reply, CodecError> {
    decode::<state::Reply>("Reply", bytes)?.try_into()
}

/// Encodes an event of the history.
pub fn encode_event(event: &Event) -> Bytes {
    encode(&state::Event::from(event))
}

/// Decodes what [`encode_event`] wrote. It does not check the chain.
pub fn decode_event(bytes: &Bytes) -> Result<Event, CodecError> {
    decode::<state::Event>("Event", bytes)?.try_into()
}

/// Encodes a row of a snapshot.
pub fn encode_state_record(record: &StateRecord) -> Bytes {
    encode(&record_form::StateRecord::from(record))
}

/// Decodes what [`encode_state_record`] wrote.
pub fn decode_state_record(bytes: &Bytes) -> Result<StateRecord, CodecError> {
    decode::<record_form::StateRecord>("StateRecord", bytes)?.try_into()
}

/// Encodes the constraints of a run, where a store keeps them apart.
pub fn encode_constraints(constraints: &Constraints) -> Bytes {
    encode(&state::Constraints::from(constraints))
}

/// Decodes what [`encode_constraints`] wrote.
pub fn decode_constraints(bytes: &Bytes) -> Result<Constraints, CodecError> {
    decode::<state::Constraints>("Constraints", bytes)?.try_into()
}

/// Encodes the question of a run to a person, where a store keeps it apart.
pub fn encode_approval(approval: &ApprovalRow) -> Bytes {
    encode(&state::Approval::from(approval))
}

/// Decodes what [`encode_approval`] wrote.
pub fn decode_approval(bytes: &Bytes) -> Result<ApprovalRow, CodecError> {
    Ok(decode::<state::Approval>("Approval", bytes)?.into())
}

/// Encodes a question.
pub fn encode_question(question: &Question) -> Bytes {
    encode(&state::Question::from(question))
}

/// Decodes what [`encode_question`] wrote.
pub fn decode_question(bytes: &Bytes) -> Result<Question, CodecError> {
    decode::<state::Question>("Question", bytes)?.try_into()
}

/// Encodes an answer.
pub fn encode_answer(answer: &Answer) -> Bytes {
    encode(&state::Answer::from(answer))
}

/// Decodes what [`encode_answer`] wrote.
pub fn decode_answer(bytes: &Bytes) -> Result<Answer, CodecError> {
    decode::<state::Answer>("Answer", bytes)?.try_into()
}

/// The digest of a command for [`Idempotency`]: the SHA-256 of its encoded form,
/// which is the same for every caller, at every time and on every node.
///
/// [`Idempotency`]: crate::machine::command::Idempotency
pub fn digest(command: &Command) -> [u8; 32] {
    Sha256::digest(state::Command::from(command).encode_to_vec()).into()
}

pub(super) fn encode(message: &impl Message) -> Bytes {
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
    // Decoding skips fields that this version does not know, so the message then
    // encodes to fewer bytes than it was read from.
    match body_bytes.saturating_sub(form.encoded_len()) {
        0 => Ok(form),
        unread => Err(CodecError::Unread { message, unread }),
    }
}
