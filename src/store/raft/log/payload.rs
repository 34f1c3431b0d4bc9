//! The payload of a group commit: a `Commit` message, written and read one
//! operation at a time, so that each entry's place in the file is known.

use std::ops::Range;

use prost::Message;
use prost::encoding::decode_varint;

use crate::proto::record;

/// One thing that a group commit says.
pub(super) type LogOperation = record::operation::Operation;

/// `operations = 1`, length-delimited.
const OPERATION_KEY: u8 = 1 << 3 | 2;

/// Appends an operation to a payload; where its bytes lie within it.
pub(super) fn push(payload: &mut Vec<u8>, operation: LogOperation) -> Range<usize> {
    let message = record::Operation { operation: Some(operation) };
    payload.push(OPERATION_KEY);
    message
        .encode_length_delimited(payload)
        .expect("a Vec grows as needed, and prost fails on lack of room only");
    payload.len() - message.encoded_len()..payload.len()
}

/// Where the operations of a payload lie within it.
///
/// # Errors
/// When the payload is not a `Commit`.
pub(super) fn operations(payload: &[u8]) -> Result<Vec<Range<usize>>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        if payload[at] != OPERATION_KEY {
            return Err(format!("a commit has an unknown field at byte {at}"));
        }
        let mut rest = &payload[at + 1..];
        let length = decode_varint(&mut rest).map_err(|error| error.to_string())?;
        let start = payload.len() - rest.len();
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        match end.filter(|end| *end <= payload.len()) {
            Some(end) => found.push(start..end),
            None => {
                return Err(format!("an operation of {length} bytes does not fit its commit"));
            }
        }
        at = found.last().map_or(at, |range| range.end);
    }
    Ok(found)
}

/// The operation that these bytes are.
///
/// # Errors
/// When they are none, or one this version does not know.
pub(super) fn decode(bytes: &[u8]) -> Result<LogOperation, String> {
    let message = record::Operation::decode(bytes).map_err(|error| error.to_string())?;
    message.operation.ok_or_else(|| "an operation is of an unknown kind".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_read_back_in_order_and_as_a_commit() {
        let mut payload = Vec::new();
        let operations_in = [
            LogOperation::Vote(record::Vote { term: 3, node: 1, committed: true }),
            LogOperation::Truncate(record::Truncate { last: None }),
            LogOperation::Committed(record::LogId { term: 300, index: 70_000 }),
        ];
        for operation in &operations_in {
            push(&mut payload, operation.clone());
        }
        let ranges = operations(&payload).unwrap();
        let read = ranges.into_iter().map(|range| decode(&payload[range]).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), operations_in);
        assert_eq!(record::Commit::decode(payload.as_slice()).unwrap().operations.len(), 3);
        assert!(operations(&payload[..payload.len() - 1]).is_err());
    }
}
