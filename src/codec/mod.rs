//! The one byte form of everything that is stored or sent: log proposals, forwarded
//! requests, replies, events, snapshot rows, questions and answers.
//!
//! A record is one byte, the number of its format, and one message of
//! `proto/record.proto` or `proto/state.proto`. The same value always gives
//! the same bytes. Decoding is strict: a record that this version would not
//! understand as a whole is refused, because replicas that read the same record
//! differently would diverge for good. Only the shape is checked; whether a text is
//! JSON and whether an id is too long is the task of the api.
//!
//! Read `encoding` and `error` first. Every other file converts some types to and
//! from their messages:
//!
//! | file | converts |
//! |---|---|
//! | `command`, `run_command`, `key_command` | commands |
//! | `reply`, `run_reply` | replies |
//! | `run_counts` | how many runs there are |
//! | `schedule` | schedules |
//! | `question`, `answer` | reads |
//! | `row`, `event` | rows and events |
//! | `envelope`, `state_record` | what logs and snapshots hold |
//! | `value` | text, tags, hashes and other small values |

mod answer;
mod command;
mod encoding;
mod envelope;
mod error;
mod event;
mod key_command;
mod question;
mod reply;
mod row;
mod run_command;
mod run_counts;
mod run_reply;
mod schedule;
mod state_record;
mod value;

pub use encoding::{
    FORMAT, decode_answer, decode_approval, decode_constraints, decode_envelope, decode_event,
    decode_forwarded, decode_question, decode_reply, decode_state_record, digest, encode_answer,
    encode_approval, encode_constraints, encode_envelope, encode_event, encode_forwarded,
    encode_question, encode_reply, encode_state_record,
};
pub use envelope::ForwardedRequest;
pub use error::CodecError;
pub use state_record::StateRecord;

#[cfg(test)]
mod tests;
