//! Rows as columns and back. Reading judges what it finds: a value that this
//! program cannot have written is an error that names the column.

use std::collections::BTreeMap;

use rusqlite::types::{ToSqlOutput, Type, Value};
use rusqlite::{Error, Result, Row};

use crate::codec;
use crate::machine::event::Event;
use crate::machine::row::{
    Anchor, ClaimRow, KeyRow, LeaseRow, Meta, RequestRow, RunRow, SessionRow, StepRow,
};
use crate::machine::{Chain, ClusterMs, Json, Revision, Text, WallMs};

pub(super) const KV: &str = "key, value, revision, expires_at_ms";
pub(super) const LEASE: &str = "resource_id, holder_id, token, revision, expires_at_ms";
pub(super) const RUN: &str = "run.created_revision, run.run_id, run.name, run.status, run.tags, \
     run.input, run.priority, run.parent_run_id, run.revision, run.created_at_ms, \
     run.updated_at_ms, run.last_step, run.attempts, run.max_attempts, run.ready_at_ms, \
     run.agent_id, run.claim_token, run.claim_ttl_ms, run.claim_expires_at_ms, run.result, \
     run.error";
pub(super) const STEP: &str = "step, output, revision";
pub(super) const SESSION: &str = "session_id, context, revision, saved_at_ms, updated_at_ms";
pub(super) const EVENT: &str =
    "revision, at_ms, actor, action, subject, new_value, previous_value, chain";
pub(super) const META: &str = "revision, chain, clock_ms, wall_ms, anchor_revision, \
     anchor_chain, sets, requests, state_bytes";

/// The state's position, and how many requests are remembered: counting them
/// anew for each command would cost more than the command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub meta: Meta,
    pub requests: u64,
}

pub(super) fn position(row: &Row<'_>) -> Result<Position> {
    let meta = Meta {
        revision: Revision(row.get(0)?),
        chain: chain(row, 1)?,
        clock: ClusterMs(row.get(2)?),
        wall: WallMs(row.get(3)?),
        anchor: Anchor { revision: Revision(row.get(4)?), chain: chain(row, 5)? },
        sets: row.get(6)?,
        state_bytes: row.get(8)?,
    };
    Ok(Position { meta, requests: row.get(7)? })
}

pub(super) fn kv(row: &Row<'_>) -> Result<(Text, KeyRow)> {
    let value = KeyRow {
        value: json(row, 1)?,
        revision: Revision(row.get(2)?),
        expires_at: deadline(row, 3)?,
    };
    Ok((row.get(0)?, value))
}

pub(super) fn lease(row: &Row<'_>) -> Result<(Text, LeaseRow)> {
    let lease = LeaseRow {
        holder_id: row.get(1)?,
        token: Revision(row.get(2)?),
        revision: Revision(row.get(3)?),
        expires_at: ClusterMs(row.get(4)?),
    };
    Ok((row.get(0)?, lease))
}

pub(super) fn run(row: &Row<'_>) -> Result<RunRow> {
    Ok(RunRow {
        created_revision: Revision(row.get(0)?),
        run_id: row.get(1)?,
        name: row.get(2)?,
        status: parsed(row, 3)?,
        tags: tags(row, 4)?,
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
    })
}

/// All of a claim's columns are there, or none.
fn claim(row: &Row<'_>) -> Result<Option<ClaimRow>> {
    let Some(token) = row.get::<_, Option<u64>>(16)? else { return Ok(None) };
    Ok(Some(ClaimRow {
        token: Revision(token),
        ttl_ms: row.get(17)?,
        expires_at: ClusterMs(row.get(18)?),
    }))
}

pub(super) fn step(row: &Row<'_>) -> Result<(u64, StepRow)> {
    Ok((row.get(0)?, StepRow { output: json(row, 1)?, revision: Revision(row.get(2)?) }))
}

pub(super) fn session(row: &Row<'_>) -> Result<(Text, SessionRow)> {
    let session = SessionRow {
        context: json(row, 1)?,
        revision: Revision(row.get(2)?),
        saved_at: WallMs(row.get(3)?),
        updated_at: WallMs(row.get(4)?),
    };
    Ok((row.get(0)?, session))
}

pub(super) fn request(row: &Row<'_>) -> Result<RequestRow> {
    let bytes: Vec<u8> = row.get(1)?;
    let reply = codec::decode_reply(&bytes.into())
        .map_err(|error| Error::FromSqlConversionFailure(1, Type::Blob, Box::new(error)))?;
    Ok(RequestRow { digest: row.get(0)?, reply, at: ClusterMs(row.get(2)?) })
}

pub(super) fn event(row: &Row<'_>) -> Result<Event> {
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

/// A bound to compare a column with: no column holds what is beyond it.
pub(super) fn bound(value: u64) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Tags as the JSON object that the `tags` column holds.
pub(super) fn tags_text(tags: &BTreeMap<Text, Text>) -> Result<String> {
    serde_json::to_string(tags).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

/// A chain value as the columns hold it: 64 hexadecimal digits.
pub(super) fn chain_text(chain: Chain) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    chain.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn chain(row: &Row<'_>, column: usize) -> Result<Chain> {
    let text: Text = row.get(column)?;
    let mut chain = Chain::default();
    let digits = text.as_bytes();
    if digits.len() != 2 * chain.0.len() {
        return Err(strange(column, &text));
    }
    for (byte, pair) in chain.0.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else {
            return Err(strange(column, &text));
        };
        *byte = (high << 4 | low) as u8;
    }
    Ok(chain)
}

fn json(row: &Row<'_>, column: usize) -> Result<Json> {
    Ok(Json::new(row.get::<_, Text>(column)?))
}

fn deadline(row: &Row<'_>, column: usize) -> Result<Option<ClusterMs>> {
    Ok(row.get::<_, Option<u64>>(column)?.map(ClusterMs))
}

fn tags(row: &Row<'_>, column: usize) -> Result<BTreeMap<Text, Text>> {
    let text: Text = row.get(column)?;
    serde_json::from_str(&text).map_err(|_| strange(column, &text))
}

fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> Result<T> {
    let text: Text = row.get(column)?;
    text.parse().map_err(|_| strange(column, &text))
}

fn strange(column: usize, text: &str) -> Error {
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
