//! The reference's tables: recognising and reading them. If a column holds
//! something that the reference does not write, it is refused by name.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Result, Row};

use crate::machine::{Json, Text};
use crate::store::migration::check::{ForeignData, json, object, status, tags};
use crate::store::migration::model::{
    Reference, ReferenceKey, ReferenceLease, ReferenceRun, ReferenceSession, ReferenceSet,
    ReferenceStep,
};

/// A table and its columns. Each column has a name, a declared type, whether it
/// is NOT NULL, and its position in the primary key.
type TableLayout = (&'static str, &'static [(&'static str, &'static str, bool, u8)]);

/// The reference makes its tables in this order, each in its own transaction.
const TABLES: [TableLayout; 6] = [
    (
        "kv_store",
        &[
            ("key", "TEXT", false, 1),
            ("value_json", "TEXT", true, 0),
            ("expires_at", "REAL", false, 0),
        ],
    ),
    (
        "leases",
        &[
            ("resource_id", "TEXT", false, 1),
            ("holder_id", "TEXT", true, 0),
            ("expires_at", "REAL", true, 0),
        ],
    ),
    (
        "workflows",
        &[
            ("run_id", "TEXT", false, 1),
            ("name", "TEXT", true, 0),
            ("status", "TEXT", true, 0),
            ("tags_json", "TEXT", true, 0),
            ("agent_id", "TEXT", false, 0),
            ("last_step", "INTEGER", true, 0),
            ("created_at", "REAL", true, 0),
            ("updated_at", "REAL", true, 0),
        ],
    ),
    (
        "step_outputs",
        &[
            ("run_id", "TEXT", true, 1),
            ("step", "INTEGER", true, 2),
            ("output_json", "TEXT", true, 0),
        ],
    ),
    (
        "history",
        &[
            ("id", "INTEGER", false, 1),
            ("key", "TEXT", true, 0),
            ("new_value_json", "TEXT", true, 0),
            ("previous_value_json", "TEXT", false, 0),
            ("agent_id", "TEXT", false, 0),
            ("written_at", "REAL", true, 0),
        ],
    ),
    (
        "sessions",
        &[
            ("session_id", "TEXT", false, 1),
            ("context_json", "TEXT", true, 0),
            ("saved_at", "REAL", true, 0),
            ("updated_at", "REAL", true, 0),
        ],
    ),
];

/// Why the tables cannot be read.
pub(super) enum ReadTablesError {
    Sqlite(rusqlite::Error),
    ForeignData(ForeignData),
}

/// Whether the file holds the reference's tables and nothing else. There may be
/// fewer than six if the reference was killed before it had made all of them.
pub(in crate::store) fn are_the_references(conn: &Connection) -> Result<bool> {
    let mut statement = conn.prepare(
        "SELECT type, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let objects = objects.collect::<Result<Vec<(String, String)>>>()?;
    let tables = objects.iter().filter(|(kind, _)| kind == "table").count();
    // Somebody may have added an index. It is not needed afterwards.
    let known = |(kind, of): &(String, String)| {
        matches!(kind.as_str(), "table" | "index") && TABLES.iter().any(|(name, _)| name == of)
    };
    if tables == 0 || !objects.iter().all(known) {
        return Ok(false);
    }
    for table in &TABLES[..tables] {
        if !exists(conn, table)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every row of every table.
pub(super) fn all(conn: &Connection) -> Result<Reference, ReadTablesError> {
    Ok(Reference {
        keys: rows(conn, &TABLES[0], key)?,
        leases: rows(conn, &TABLES[1], lease)?,
        runs: rows(conn, &TABLES[2], run)?,
        steps: rows(conn, &TABLES[3], step)?,
        history: rows(conn, &TABLES[4], set)?,
        sessions: rows(conn, &TABLES[5], session)?,
    })
}

pub(super) fn drop_tables(conn: &Connection) -> Result<()> {
    TABLES
        .iter()
        .try_for_each(|(name, _)| conn.execute_batch(&format!("DROP TABLE IF EXISTS {name}")))
}

/// Whether there is a table with exactly this layout.
fn exists(conn: &Connection, (name, columns): &TableLayout) -> Result<bool> {
    let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = conn.prepare(sql)?;
    let found = statement
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let found = found.collect::<Result<Vec<(String, String, bool, u8)>>>()?;
    let found = found.iter().map(|(name, kind, not_null, key)| (&**name, &**kind, *not_null, *key));
    Ok(found.eq(columns.iter().copied()))
}

/// A table's rows, oldest first: SQLite assigns row ids in ascending order.
fn rows<T>(
    conn: &Connection,
    table: &TableLayout,
    read: fn(&Cells<'_>) -> std::result::Result<T, ForeignData>,
) -> std::result::Result<Vec<T>, ReadTablesError> {
    let (name, columns) = *table;
    if !exists(conn, table)? {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = columns.iter().map(|(column, ..)| *column).collect();
    let sql = format!("SELECT {} FROM {name} ORDER BY rowid", names.join(", "));
    let mut statement = conn.prepare(&sql)?;
    let mut found = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        all.push(read(&Cells { table: name, columns: &names, row })?);
    }
    Ok(all)
}

fn key(cells: &Cells<'_>) -> std::result::Result<ReferenceKey, ForeignData> {
    let (key, value) = (cells.text(0)?, cells.json(1)?);
    Ok(ReferenceKey { key, value, expires_at: cells.optional_real(2)? })
}

fn lease(cells: &Cells<'_>) -> std::result::Result<ReferenceLease, ForeignData> {
    let (resource_id, holder_id) = (cells.text(0)?, cells.text(1)?);
    Ok(ReferenceLease { resource_id, holder_id, expires_at: cells.real(2)? })
}

fn run(cells: &Cells<'_>) -> std::result::Result<ReferenceRun, ForeignData> {
    Ok(ReferenceRun {
        run_id: cells.text(0)?,
        name: cells.text(1)?,
        status: status(&cells.place(), &cells.text(2)?)?,
        tags: tags(&cells.place(), cells.columns[3], &cells.text(3)?)?,
        agent_id: cells.optional_text(4)?,
        last_step: cells.integer(5)?,
        created_at: cells.real(6)?,
        updated_at: cells.real(7)?,
    })
}

fn step(cells: &Cells<'_>) -> std::result::Result<ReferenceStep, ForeignData> {
    let (run_id, step) = (cells.text(0)?, cells.integer(1)?);
    Ok(ReferenceStep { run_id, step, output: cells.json(2)? })
}

fn set(cells: &Cells<'_>) -> std::result::Result<ReferenceSet, ForeignData> {
    Ok(ReferenceSet {
        key: cells.text(1)?,
        new: cells.json(2)?,
        previous: cells.optional_json(3)?,
        agent_id: cells.optional_text(4)?,
        written_at: cells.real(5)?,
    })
}

fn session(cells: &Cells<'_>) -> std::result::Result<ReferenceSession, ForeignData> {
    Ok(ReferenceSession {
        session_id: cells.text(0)?,
        context: cells.object(1)?,
        saved_at: cells.optional_real(2)?,
        updated_at: cells.optional_real(3)?,
    })
}

/// One row, read by column numbers.
struct Cells<'a> {
    table: &'static str,
    columns: &'a [&'static str],
    row: &'a Row<'a>,
}

impl Cells<'_> {
    /// The table and the row, as messages name them.
    fn place(&self) -> String {
        let show = |column: usize| match self.row.get_ref(column) {
            Ok(ValueRef::Text(name)) => format!("'{}'", String::from_utf8_lossy(name)),
            Ok(ValueRef::Integer(number)) => number.to_string(),
            Ok(ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => "a row".into(),
        };
        match self.table {
            "step_outputs" => format!("{} {} step {}", self.table, show(0), show(1)),
            table => format!("{table} {}", show(0)),
        }
    }

    fn text(&self, column: usize) -> std::result::Result<Text, ForeignData> {
        self.optional_text(column)?.ok_or_else(|| self.wrong_type(column, Type::Null))
    }

    fn optional_text(&self, column: usize) -> std::result::Result<Option<Text>, ForeignData> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Some(text.into())),
                Err(_) => Err(self.fault(column, "is not UTF-8")),
            },
            other => Err(self.wrong_type(column, other.data_type())),
        }
    }

    fn json(&self, column: usize) -> std::result::Result<Json, ForeignData> {
        json(&self.place(), self.columns[column], &self.text(column)?)
    }

    fn object(&self, column: usize) -> std::result::Result<Json, ForeignData> {
        object(&self.place(), self.columns[column], &self.text(column)?)
    }

    fn optional_json(&self, column: usize) -> std::result::Result<Option<Json>, ForeignData> {
        let text = self.optional_text(column)?;
        text.map(|text| json(&self.place(), self.columns[column], &text)).transpose()
    }

    fn integer(&self, column: usize) -> std::result::Result<i64, ForeignData> {
        match self.get(column)? {
            ValueRef::Integer(number) => Ok(number),
            other => Err(self.wrong_type(column, other.data_type())),
        }
    }

    fn real(&self, column: usize) -> std::result::Result<f64, ForeignData> {
        self.optional_real(column)?.ok_or_else(|| self.wrong_type(column, Type::Null))
    }

    fn optional_real(&self, column: usize) -> std::result::Result<Option<f64>, ForeignData> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Real(number) => Ok(Some(number)),
            ValueRef::Integer(number) => Ok(Some(number as f64)),
            other => Err(self.wrong_type(column, other.data_type())),
        }
    }

    fn get(&self, column: usize) -> std::result::Result<ValueRef<'_>, ForeignData> {
        self.row.get_ref(column).map_err(|error| self.fault(column, &error.to_string()))
    }

    fn wrong_type(&self, column: usize, kind: Type) -> ForeignData {
        self.fault(column, &format!("holds a value of type {kind}"))
    }

    fn fault(&self, column: usize, what: &str) -> ForeignData {
        ForeignData::at(&self.place(), format!("{} {what}", self.columns[column]))
    }
}

impl From<rusqlite::Error> for ReadTablesError {
    fn from(error: rusqlite::Error) -> ReadTablesError {
        ReadTablesError::Sqlite(error)
    }
}

impl From<ForeignData> for ReadTablesError {
    fn from(found: ForeignData) -> ReadTablesError {
        ReadTablesError::ForeignData(found)
    }
}
