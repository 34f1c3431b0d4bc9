//! The tables, each with its columns and its statements.

use std::sync::LazyLock;

use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Params, Result, Row as Columns};

use super::rows;
use crate::machine::{Event, Meta, Row, RowId};

/// A table and its statements.
pub(super) struct Table<T> {
    pub name: &'static str,
    /// The columns of the primary key.
    pub id: String,
    pub create: String,
    /// Selects all rows, in any order.
    pub select: String,
    /// Selects the row with an id.
    pub one: String,
    /// Selects the rows from an id on, in the order of their ids.
    pub from: String,
    /// Adds a row whose id must not exist yet.
    pub insert: String,
    /// Adds a row or replaces the one with the same id.
    pub put: String,
    pub drop: String,
    pub read: fn(&Columns<'_>) -> Result<T>,
}

type Lazy<T> = LazyLock<Table<T>>;

// Each definition has the columns with their types, and how many of the first ones
// are the primary key.
pub(super) static KV: Lazy<Row> = Lazy::new(|| {
    let columns = "key TEXT NOT NULL, value TEXT NOT NULL, revision INTEGER NOT NULL, \
         expires_at_ms INTEGER";
    table("kv", columns, 1, rows::kv)
});
// The columns show the first holder. `record` is the row as the codec encodes it, if there
// is more to it.
pub(super) static LEASE: Lazy<Row> = Lazy::new(|| {
    let columns = "resource_id TEXT NOT NULL, holder_id TEXT NOT NULL, token INTEGER NOT NULL, \
         revision INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, record BLOB";
    table("lease", columns, 1, rows::lease)
});
pub(super) static RUN: Lazy<Row> = Lazy::new(|| {
    let columns = "run_id TEXT NOT NULL, created_revision INTEGER NOT NULL, name TEXT NOT NULL, \
         status TEXT NOT NULL, tags TEXT NOT NULL, input TEXT, priority INTEGER NOT NULL, \
         parent_run_id TEXT, revision INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, \
         updated_at_ms INTEGER NOT NULL, last_step INTEGER NOT NULL, attempts INTEGER NOT NULL, \
         max_attempts INTEGER NOT NULL, ready_at_ms INTEGER, agent_id TEXT, claim_token INTEGER, \
         claim_ttl_ms INTEGER, claim_expires_at_ms INTEGER, result TEXT, error TEXT, \
         promoted INTEGER NOT NULL DEFAULT 0, depth INTEGER NOT NULL DEFAULT 0, \
         claim_lapse TEXT, claims INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0, \
         first_step INTEGER NOT NULL DEFAULT 0, next_step INTEGER NOT NULL DEFAULT 0, \
         lapses_max INTEGER NOT NULL DEFAULT 0, backoff_ms INTEGER NOT NULL DEFAULT 0, \
         backoff_max_ms INTEGER NOT NULL DEFAULT 0, deadline_at_ms INTEGER, \
         deadline_ms INTEGER, start_by_ms INTEGER, keep_ms INTEGER, expires_at_ms INTEGER, \
         removed INTEGER NOT NULL DEFAULT 0, constraints BLOB, \
         has_dependents INTEGER NOT NULL DEFAULT 0, place INTEGER, \
         is_counted INTEGER NOT NULL DEFAULT 0, approval BLOB";
    table("run", columns, 1, rows::run)
});
pub(super) static STEP: Lazy<Row> = Lazy::new(|| {
    let columns = "run_id TEXT NOT NULL, step INTEGER NOT NULL, output TEXT NOT NULL, \
         revision INTEGER NOT NULL";
    table("step", columns, 2, rows::step)
});
pub(super) static SESSION: Lazy<Row> = Lazy::new(|| {
    let columns = "session_id TEXT NOT NULL, context TEXT NOT NULL, revision INTEGER NOT NULL, \
         saved_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL, expires_at_ms INTEGER";
    table("session", columns, 1, rows::session)
});
// The counts of the runs of a group. `kind` and `common` are `RunGroup::parts`, and `counts`
// is the JSON list of `GroupRow::numbers`.
pub(super) static GROUP: Lazy<Row> = Lazy::new(|| {
    let columns = "kind INTEGER NOT NULL, common TEXT NOT NULL, counts TEXT NOT NULL";
    table("run_group", columns, 2, rows::group)
});
// What is to be done is kept as the codec encodes the row.
pub(super) static SCHEDULE: Lazy<Row> = Lazy::new(|| {
    let columns = "name TEXT NOT NULL, record BLOB NOT NULL";
    table("schedule", columns, 1, rows::schedule)
});
// The names of runs that are paused.
pub(super) static PAUSE: Lazy<Row> = Lazy::new(|| {
    let columns = "name TEXT NOT NULL, revision INTEGER NOT NULL, at_ms INTEGER NOT NULL, \
         agent_id TEXT";
    table("pause", columns, 1, rows::pause)
});
// `frames` is JSON: [[run_id, created after], ...].
pub(super) static CANCELLATION: Lazy<Row> = Lazy::new(|| {
    let columns = "run_id TEXT NOT NULL, revision INTEGER NOT NULL, actor TEXT, reason TEXT, \
         frames TEXT NOT NULL, at_ms INTEGER NOT NULL DEFAULT 0";
    table("cancellation", columns, 1, rows::cancellation)
});
// The replies to requests with an idempotency key.
pub(super) static REQUEST: Lazy<Row> = Lazy::new(|| {
    let columns = "key TEXT NOT NULL, digest BLOB NOT NULL, reply BLOB NOT NULL, \
         at_ms INTEGER NOT NULL";
    table("request", columns, 1, rows::request)
});
pub(super) static EVENT: Lazy<Event> = Lazy::new(|| {
    let columns = "revision INTEGER NOT NULL, at_ms INTEGER NOT NULL, actor TEXT, \
         action TEXT NOT NULL, subject TEXT NOT NULL, new_value TEXT, previous_value TEXT, \
         chain TEXT NOT NULL";
    table("event", columns, 1, rows::event)
});
// One row: the state's position and how many rows there are of each kind.
pub(super) static META: Lazy<Meta> = Lazy::new(|| {
    let columns = "id INTEGER NOT NULL CHECK (id = 1), revision INTEGER NOT NULL, \
         chain TEXT NOT NULL, clock_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, \
         anchor_revision INTEGER NOT NULL, anchor_chain TEXT NOT NULL, sets INTEGER NOT NULL, \
         state_bytes INTEGER NOT NULL DEFAULT 0, keys INTEGER NOT NULL DEFAULT 0, \
         runs INTEGER NOT NULL DEFAULT 0, steps INTEGER NOT NULL DEFAULT 0, \
         leases INTEGER NOT NULL DEFAULT 0, sessions INTEGER NOT NULL DEFAULT 0, \
         requests INTEGER NOT NULL, cancellations INTEGER NOT NULL DEFAULT 0, \
         rules INTEGER NOT NULL DEFAULT 0, schedules INTEGER NOT NULL DEFAULT 0";
    table("meta", columns, 1, rows::meta)
});

/// Every table that holds rows of the state, in the order of [`RowId`].
pub(super) static ALL: [&Lazy<Row>; 10] =
    [&KV, &LEASE, &RUN, &STEP, &SESSION, &GROUP, &SCHEDULE, &PAUSE, &CANCELLATION, &REQUEST];

/// The tables are STRICT, so that every value has its column's type even if
/// somebody else edits the file.
fn table<T>(
    name: &'static str,
    columns: &str,
    id: usize,
    read: fn(&Columns<'_>) -> Result<T>,
) -> Table<T> {
    let names: Vec<&str> =
        columns.split(", ").map(|column| column.split(' ').next().unwrap_or(column)).collect();
    let marks = |count| (1..=count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let (ids, id_marks, all) = (names[..id].join(", "), marks(id), names.join(", "));
    let set = names[id..].iter().map(|name| format!("{name} = excluded.{name}"));
    let set = set.collect::<Vec<_>>().join(", ");
    let select = format!("SELECT {all} FROM {name}");
    let insert = format!("INSERT INTO {name} ({all}) VALUES ({})", marks(names.len()));
    Table {
        name,
        create: format!("CREATE TABLE {name} ({columns}, PRIMARY KEY ({ids})) STRICT"),
        one: format!("{select} WHERE ({ids}) = ({id_marks})"),
        from: format!("{select} WHERE ({ids}) >= ({id_marks}) ORDER BY {ids}"),
        put: format!("{insert} ON CONFLICT ({ids}) DO UPDATE SET {set}"),
        drop: format!("DELETE FROM {name} WHERE ({ids}) = ({id_marks})"),
        id: ids,
        select,
        insert,
        read,
    }
}

/// The table that holds the row with this id, and the id as the parameters of the
/// table's statements. `None` for rows that this store does not keep: only the
/// nodes of a cluster repeat requests on their own, so no command has an origin
/// here.
pub(super) fn place(id: &RowId) -> Option<(&'static Table<Row>, Vec<ToSqlOutput<'_>>)> {
    if let RowId::Group(group) = id {
        let (kind, common) = group.parts();
        return Some((&GROUP, vec![ToSqlOutput::from(kind), ToSqlOutput::from(&**common)]));
    }
    let (table, name, step) = match id {
        RowId::Key(key) => (&KV, key, None),
        RowId::Lease(resource_id) => (&LEASE, resource_id, None),
        RowId::Run(run_id) => (&RUN, run_id, None),
        RowId::Step(run_id, step) => (&STEP, run_id, Some(*step)),
        RowId::Session(session_id) => (&SESSION, session_id, None),
        RowId::Schedule(name) => (&SCHEDULE, name, None),
        RowId::Pause(name) => (&PAUSE, name, None),
        RowId::Cancellation(run_id) => (&CANCELLATION, run_id, None),
        RowId::Request(key) => (&REQUEST, key, None),
        RowId::Group(_) | RowId::Origin(_) | RowId::Answer(..) => return None,
    };
    let mut params = vec![ToSqlOutput::from(&**name)];
    params.extend(step.map(bound));
    Some((table, params))
}

/// A bound to compare a column with. Values beyond `i64::MAX` become that, because
/// no column can hold more.
pub(super) fn bound(value: u64) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
}

/// Reads every row in the order of the ids, so that equal states give equal
/// exports.
pub(super) fn each_row<E: From<rusqlite::Error>>(
    conn: &Connection,
    take: &mut impl FnMut(Row) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    ALL.iter().try_for_each(|table| {
        let sql = format!("{} ORDER BY {}", table.select, table.id);
        each(conn, &sql, [], table.read, take)
    })
}

pub(super) fn each<T, E: From<rusqlite::Error>>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: fn(&Columns<'_>) -> Result<T>,
    take: &mut impl FnMut(T) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let mut statement = conn.prepare(sql)?;
    for row in statement.query_map(params, read)? {
        take(row?)?;
    }
    Ok(())
}
