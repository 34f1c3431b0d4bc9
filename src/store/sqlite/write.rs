//! Writing rows, events and the position into columns.

use rusqlite::{Connection, Error, Result, ToSql, params};

use super::rows::chain_text;
use super::table::{
    CANCELLATION, EVENT, GROUP, KV, LEASE, META, PAUSE, REQUEST, RUN, SCHEDULE, SESSION, STEP,
    Table,
};
use crate::codec::{self, StateRecord};
use crate::machine::command::Rules;
use crate::machine::row::{LeaseHolder, LeaseRow, OnLapse, SessionRow};
use crate::machine::{Event, Json, Meta, Row};

/// Writes a row with the statement that `statement` selects.
pub(super) fn row(
    conn: &Connection,
    row: &Row,
    statement: fn(&Table<Row>) -> &String,
) -> Result<()> {
    let execute = |table: &Table<Row>, params: &[&dyn ToSql]| {
        conn.prepare_cached(statement(table))?.execute(params).map(drop)
    };
    match row {
        Row::Key(key, row) => {
            let expires_at_ms = row.expires_at.map(|at| at.0);
            execute(&KV, params![key, row.value.as_str(), row.revision.0, expires_at_ms])
        }
        Row::Lease(resource_id, row) => {
            let Some(first) = row.holders.first() else { return Err(no_holders()) };
            let LeaseHolder { holder_id, token, expires_at, .. } = first;
            let is_plain = first.permits == 0 && *row == LeaseRow::of(first.clone());
            let record = codec::encode_state_record(&StateRecord::Row(Row::Lease(
                resource_id.clone(),
                row.clone(),
            )));
            let record = (!is_plain).then(|| record.to_vec());
            let revision = row.revision.0;
            let params = params![resource_id, holder_id, token.0, revision, expires_at.0, record];
            execute(&LEASE, params)
        }
        Row::Run(run) => execute(
            &RUN,
            params![
                run.run_id,
                run.created_revision.0,
                run.name,
                run.status.as_str(),
                json_text(&run.tags)?,
                run.input.as_ref().map(Json::as_str),
                run.priority,
                run.parent_run_id,
                run.revision.0,
                run.created_at.0,
                run.updated_at.0,
                run.last_step,
                run.attempts,
                run.max_attempts,
                run.ready_at.map(|at| at.0),
                run.agent_id,
                run.claim.as_ref().map(|claim| claim.token.0),
                run.claim.as_ref().map(|claim| claim.ttl_ms),
                run.claim.as_ref().map(|claim| claim.expires_at.0),
                run.result.as_ref().map(Json::as_str),
                run.error,
                run.promoted,
                run.depth,
                run.claim.as_ref().and_then(|claim| on_lapse(claim.on_lapse)),
                run.claims,
                run.steps.count,
                run.steps.first,
                run.steps.next,
                run.retry.lapses_max,
                run.retry.backoff_ms,
                run.retry.backoff_max_ms,
                run.deadline_at.map(|at| at.0),
                run.deadline_ms,
                run.start_by.map(|at| at.0),
                run.keep_ms,
                run.expires_at.map(|at| at.0),
                run.removed,
                run.constraints.as_deref().map(|it| codec::encode_constraints(it).to_vec()),
                run.has_dependents,
                run.place.map(|place| place.0),
                run.is_counted,
                run.approval.as_deref().map(|it| codec::encode_approval(it).to_vec()),
            ],
        ),
        Row::Step(run_id, step, row) => {
            execute(&STEP, params![run_id, step, row.output.as_str(), row.revision.0])
        }
        Row::Session(session_id, row) => {
            let SessionRow { context, revision, saved_at, updated_at, expires_at } = row;
            let params = params![
                session_id,
                context.as_str(),
                revision.0,
                saved_at.0,
                updated_at.0,
                expires_at.map(|at| at.0),
            ];
            execute(&SESSION, params)
        }
        Row::Group(group, row) => {
            let (kind, common) = group.parts();
            execute(&GROUP, params![kind, common, json_text(&row.numbers())?])
        }
        Row::Schedule(name, _) => {
            let record = codec::encode_state_record(&StateRecord::Row(row.clone()));
            execute(&SCHEDULE, params![name, &*record])
        }
        Row::Pause(name, row) => {
            execute(&PAUSE, params![name, row.revision.0, row.at.0, row.agent_id])
        }
        Row::Cancellation(run_id, row) => {
            let frames: Vec<_> = row.frames.iter().map(|(run, after)| (run, after.0)).collect();
            let frames = json_text(&frames)?;
            let params = params![run_id, row.revision.0, row.actor, row.reason, frames, row.at.0];
            execute(&CANCELLATION, params)
        }
        Row::Request(key, row) => {
            let reply = codec::encode_reply(&row.reply);
            execute(&REQUEST, params![key, row.digest, &*reply, row.at.0])
        }
        Row::Origin(..) | Row::Answer(..) => Err(no_origins()),
    }
}

/// Writes the state's position.
pub(in crate::store) fn meta(conn: &Connection, meta: &Meta) -> Result<()> {
    let counts = &meta.counts;
    let params = params![
        1,
        meta.revision.0,
        chain_text(meta.chain),
        meta.clock.0,
        meta.wall.0,
        meta.anchor.revision.0,
        chain_text(meta.anchor.chain),
        meta.sets,
        meta.state_bytes,
        counts.keys,
        counts.runs,
        counts.steps,
        counts.leases,
        counts.sessions,
        counts.requests,
        counts.cancellations,
        rules_number(meta.rules),
        counts.schedules,
    ];
    conn.prepare_cached(&META.put)?.execute(params).map(drop)
}

/// Adds an event to the history.
pub(in crate::store) fn event(conn: &Connection, event: &Event) -> Result<()> {
    let params = params![
        event.revision.0,
        event.at.0,
        event.actor,
        event.action.as_str(),
        event.subject,
        event.new.as_ref().map(Json::as_str),
        event.previous.as_ref().map(Json::as_str),
        chain_text(event.chain),
    ];
    conn.prepare_cached(&EVENT.insert)?.execute(params).map(drop)
}

/// The error for rows that only the nodes of a cluster need; see [`super::table::place`].
pub(super) fn no_origins() -> Error {
    Error::ToSqlConversionFailure("this store keeps no origins".into())
}

/// The error for a lease that nobody ever held, which no rule writes.
fn no_holders() -> Error {
    Error::ToSqlConversionFailure("a lease has no holder".into())
}

/// What [`super::rows::run`] reads back.
fn on_lapse(on_lapse: OnLapse) -> Option<String> {
    match on_lapse {
        OnLapse::TakeOver => None,
        OnLapse::Retry { pause_ms } => Some(pause_ms.to_string()),
        OnLapse::Fail => Some("fail".to_owned()),
    }
}

fn rules_number(rules: Rules) -> i64 {
    match rules {
        Rules::Whole => 0,
        Rules::Stepwise => 1,
        Rules::Attempts => 2,
    }
}

/// A value as the JSON text that a column holds.
fn json_text(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}
