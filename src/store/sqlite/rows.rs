//! Rows from columns. A value that this program cannot have written is an error
//! that names the column.

use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row as Columns};
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecError, StateRecord};
use crate::machine::command::Rules;
use crate::machine::event::Event;
use crate::machine::meta::{Anchor, Counts, Meta};
use crate::machine::row::{
    CancellationRow, ClaimRow, KeyRow, LeaseHolder, LeaseRow, OnLapse, PauseRow, RequestRow,
    RetryPolicy, Row, RunRow, SessionRow, StepRow,
};
use crate::machine::run_group::{GroupRow, RunGroup};
use crate::machine::stored_steps::StoredSteps;
use crate::machine::{Chain, ClusterMs, Json, Revision, Text, WallMs};

pub(super) fn meta(row: &Columns<'_>) -> Result<Meta> {
    Ok(Meta {
        revision: Revision(row.get(1)?),
        chain: chain(row, 2)?,
        clock: ClusterMs(row.get(3)?),
        wall: WallMs(row.get(4)?),
        anchor: Anchor { revision: Revision(row.get(5)?), chain: chain(row, 6)? },
        sets: row.get(7)?,
        state_bytes: row.get(8)?,
        counts: Counts {
            keys: row.get(9)?,
            runs: row.get(10)?,
            steps: row.get(11)?,
            leases: row.get(12)?,
            sessions: row.get(13)?,
            requests: row.get(14)?,
            cancellations: row.get(15)?,
            schedules: row.get(17)?,
        },
        rules: rules(row, 16)?,
    })
}

pub(super) fn kv(row: &Columns<'_>) -> Result<Row> {
    let value = KeyRow {
        value: json(row, 1)?,
        revision: Revision(row.get(2)?),
        expires_at: deadline(row, 3)?,
    };
    Ok(Row::Key(row.get(0)?, value))
}

pub(super) fn lease(row: &Columns<'_>) -> Result<Row> {
    const RECORD: usize = 5;
    if let Some(bytes) = row.get::<_, Option<Vec<u8>>>(RECORD)? {
        return match codec::decode_state_record(&bytes.into()) {
            Ok(StateRecord::Row(row @ Row::Lease(..))) => Ok(row),
            Ok(_) => Err(unexpected(RECORD, "a record of another kind")),
            Err(error) => Err(Error::FromSqlConversionFailure(RECORD, Type::Blob, Box::new(error))),
        };
    }
    let holder = LeaseHolder {
        holder_id: row.get(1)?,
        token: Revision(row.get(2)?),
        revision: Revision(row.get(3)?),
        expires_at: ClusterMs(row.get(4)?),
        permits: 0,
    };
    Ok(Row::Lease(row.get(0)?, LeaseRow::of(holder)))
}

pub(super) fn run(row: &Columns<'_>) -> Result<Row> {
    Ok(Row::Run(Box::new(RunRow {
        run_id: row.get(0)?,
        created_revision: Revision(row.get(1)?),
        name: row.get(2)?,
        status: parsed(row, 3)?,
        tags: from_json(row, 4)?,
        input: row.get::<_, Option<Text>>(5)?.map(Json::new),
        priority: row.get(6)?,
        parent_run_id: row.get(7)?,
        revision: Revision(row.get(8)?),
        created_at: WallMs(row.get(9)?),
        updated_at: WallMs(row.get(10)?),
        last_step: row.get(11)?,
        attempts: row.get(12)?,
        max_attempts: row.get(13)?,
        ready_at: deadline(row, 14)?,
        agent_id: row.get(15)?,
        claim: claim(row)?,
        result: row.get::<_, Option<Text>>(19)?.map(Json::new),
        error: row.get(20)?,
        promoted: row.get(21)?,
        depth: row.get(22)?,
        claims: row.get(24)?,
        steps: StoredSteps { count: row.get(25)?, first: row.get(26)?, next: row.get(27)? },
        retry: RetryPolicy {
            lapses_max: row.get(28)?,
            backoff_ms: row.get(29)?,
            backoff_max_ms: row.get(30)?,
        },
        deadline_at: deadline(row, 31)?,
        deadline_ms: row.get(32)?,
        start_by: deadline(row, 33)?,
        keep_ms: row.get(34)?,
        expires_at: deadline(row, 35)?,
        removed: row.get(36)?,
        constraints: decoded(row, 37, codec::decode_constraints)?,
        has_dependents: row.get(38)?,
        place: row.get::<_, Option<u64>>(39)?.map(Revision),
        is_counted: row.get(40)?,
        approval: decoded(row, 41, codec::decode_approval)?,
    })))
}

/// Either all columns of a claim have values, or none has.
fn claim(row: &Columns<'_>) -> Result<Option<ClaimRow>> {
    let Some(token) = row.get::<_, Option<u64>>(16)? else { return Ok(None) };
    Ok(Some(ClaimRow {
        token: Revision(token),
        ttl_ms: row.get(17)?,
        expires_at: ClusterMs(row.get(18)?),
        on_lapse: on_lapse(row)?,
    }))
}

/// What follows when the claim lapses: nothing but that others may take over, the pause
/// before the next attempt, or the end of the run.
fn on_lapse(row: &Columns<'_>) -> Result<OnLapse> {
    const COLUMN: usize = 23;
    let Some(text) = row.get::<_, Option<Text>>(COLUMN)? else { return Ok(OnLapse::TakeOver) };
    match (&*text, text.parse()) {
        ("fail", _) => Ok(OnLapse::Fail),
        (_, Ok(pause_ms)) => Ok(OnLapse::Retry { pause_ms }),
        (_, Err(_)) => Err(unexpected(COLUMN, &text)),
    }
}

pub(super) fn step(row: &Columns<'_>) -> Result<Row> {
    let step = StepRow { output: json(row, 2)?, revision: Revision(row.get(3)?) };
    Ok(Row::Step(row.get(0)?, row.get(1)?, step))
}

pub(super) fn session(row: &Columns<'_>) -> Result<Row> {
    let session = SessionRow {
        context: json(row, 1)?,
        revision: Revision(row.get(2)?),
        saved_at: WallMs(row.get(3)?),
        updated_at: WallMs(row.get(4)?),
        expires_at: deadline(row, 5)?,
    };
    Ok(Row::Session(row.get(0)?, session))
}

pub(super) fn group(row: &Columns<'_>) -> Result<Row> {
    let common: Text = row.get(1)?;
    let group = RunGroup::of_parts(row.get(0)?, common.clone());
    let group = group.ok_or_else(|| unexpected(0, &common))?;
    let numbers: Vec<u64> = from_json(row, 2)?;
    let row = GroupRow::of_numbers(&numbers).ok_or_else(|| unexpected(2, &common))?;
    Ok(Row::Group(group, row))
}

pub(super) fn schedule(row: &Columns<'_>) -> Result<Row> {
    let bytes: Vec<u8> = row.get(1)?;
    match codec::decode_state_record(&bytes.into()) {
        Ok(StateRecord::Row(row @ Row::Schedule(..))) => Ok(row),
        Ok(_) => Err(unexpected(1, "a record of another kind")),
        Err(error) => Err(Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error))),
    }
}

pub(super) fn pause(row: &Columns<'_>) -> Result<Row> {
    let pause = PauseRow {
        revision: Revision(row.get(1)?),
        at: WallMs(row.get(2)?),
        agent_id: row.get(3)?,
    };
    Ok(Row::Pause(row.get(0)?, pause))
}

pub(super) fn cancellation(row: &Columns<'_>) -> Result<Row> {
    let frames: Vec<(Text, u64)> = from_json(row, 4)?;
    let cancellation = CancellationRow {
        revision: Revision(row.get(1)?),
        at: ClusterMs(row.get(5)?),
        actor: row.get(2)?,
        reason: row.get(3)?,
        frames: frames.into_iter().map(|(run_id, after)| (run_id, Revision(after))).collect(),
    };
    Ok(Row::Cancellation(row.get(0)?, Box::new(cancellation)))
}

pub(super) fn request(row: &Columns<'_>) -> Result<Row> {
    let bytes: Vec<u8> = row.get(2)?;
    let reply = codec::decode_reply(&bytes.into()).map_err(|error| undecodable(2, error))?;
    let request = RequestRow { digest: row.get(1)?, reply, at: ClusterMs(row.get(3)?) };
    Ok(Row::Request(row.get(0)?, Box::new(request)))
}

pub(super) fn event(row: &Columns<'_>) -> Result<Event> {
    Ok(Event {
        revision: Revision(row.get(0)?),
        at: WallMs(row.get(1)?),
        actor: row.get(2)?,
        action: parsed(row, 3)?,
        subject: row.get(4)?,
        new: row.get::<_, Option<Text>>(5)?.map(Json::new),
        previous: row.get::<_, Option<Text>>(6)?.map(Json::new),
        chain: chain(row, 7)?,
    })
}

/// A chain value as the columns hold it: 64 hexadecimal digits.
pub(super) fn chain_text(chain: Chain) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    chain.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn chain(row: &Columns<'_>, column: usize) -> Result<Chain> {
    let text: Text = row.get(column)?;
    let mut chain = Chain::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * chain.0.len() {
        return Err(unexpected(column, &text));
    }
    for (byte, pair) in chain.0.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
            return Err(unexpected(column, &text));
        };
        *byte = (high << 4 | low) as u8;
    }
    Ok(chain)
}

fn rules(row: &Columns<'_>, column: usize) -> Result<Rules> {
    match row.get(column)? {
        0 => Ok(Rules::Whole),
        1 => Ok(Rules::Stepwise),
        2 => Ok(Rules::Attempts),
        other => Err(unexpected(column, &i64::to_string(&other))),
    }
}

fn json(row: &Columns<'_>, column: usize) -> Result<Json> {
    Ok(Json::new(row.get::<_, Text>(column)?))
}

fn decoded<T>(
    row: &Columns<'_>,
    column: usize,
    decode: fn(&Bytes) -> std::result::Result<T, CodecError>,
) -> Result<Option<Box<T>>> {
    let bytes: Option<Vec<u8>> = row.get(column)?;
    let decoded = bytes.map(|bytes| decode(&bytes.into()).map(Box::new)).transpose();
    decoded.map_err(|error| undecodable(column, error))
}

fn undecodable(column: usize, error: CodecError) -> Error {
    Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}

fn deadline(row: &Columns<'_>, column: usize) -> Result<Option<ClusterMs>> {
    Ok(row.get::<_, Option<u64>>(column)?.map(ClusterMs))
}

fn from_json<T: DeserializeOwned>(row: &Columns<'_>, column: usize) -> Result<T> {
    let text: Text = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| unexpected(column, &text))
}

fn parsed<T: std::str::FromStr>(row: &Columns<'_>, column: usize) -> Result<T> {
    let text: Text = row.get(column)?;
    text.parse().map_err(|_| unexpected(column, &text))
}

fn unexpected(column: usize, text: &str) -> Error {
    let shown: String = text.chars().take(80).collect();
    let message = format!("a value that this program does not write: '{shown}'");
    Error::FromSqlConversionFailure(column, Type::Text, message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_text_reads_back() {
        let conn = rusqlite::Connection::open_in_memory().unwrap();
        let value = Chain(std::array::from_fn(|i| (i * 37 + 11) as u8));
        assert_eq!(chain_text(value), value.to_string());
        let back = conn.query_row("SELECT ?1", [chain_text(value)], |row| chain(row, 0)).unwrap();
        assert_eq!(back, value);
        for bad in ["", "00", &"zz".repeat(32), &"é".repeat(32)] {
            assert!(conn.query_row("SELECT ?1", [bad], |row| chain(row, 0)).is_err(), "{bad}");
        }
    }
}
