//! The reference's tables: telling them from others, and reading them whole.
//! A column that holds what the reference does not write is refused by name.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Result, Row};

use crate::machine::{Json, Text};
use crate::store::migration::{
    Entry, ForeignData, Key, Lease, Reference, Run, Session, Step, json, object, status, tags,
};

/// A table and its columns: name, declared type, whether NULL is refused, and
/// its place in the primary key.
type Table = (&'static str, &'static [(&'static str, &'static str, bool, u8)]);

/// The reference makes them in this order, each in a transaction of its own.
const TABLES: [Table; 6] = [
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

/// Why the tables were not read.
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    ForeignData(ForeignData),
}

/// Whether the file holds the reference's tables and nothing else: all six, or
/// as many of the first ones as it came to make before it was killed.
pub(crate) fn is_the_references(conn: &Connection) -> Result<bool> {
    let mut statement = conn.prepare(
        "SELECT type, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let things = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let things = things.collect::<Result<Vec<(String, String)>>>()?;
    let tables = things.iter().filter(|(kind, _)| kind == "table").count();
    // An index may have been added to find things by; it is made anew as ours.
    let known = |(kind, of): &(String, String)| {
        matches!(kind.as_str(), "table" | "index") && TABLES.iter().any(|(name, _)| name == of)
    };
    if tables == 0 || !things.iter().all(known) {
        return Ok(false);
    }
    for table in &TABLES[..tables] {
        if !has(conn, table)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every row there is.
pub(super) fn all(conn: &Connection) -> Result<Reference, ReadError> {
    Ok(Reference {
        keys: rows(conn, &TABLES[0], key)?,
        leases: rows(conn, &TABLES[1], lease)?,
        runs: rows(conn, &TABLES[2], run)?,
        steps: rows(conn, &TABLES[3], step)?,
        history: rows(conn, &TABLES[4], entry)?,
        sessions: rows(conn, &TABLES[5], session)?,
    })
}

pub(super) fn drop_tables(conn: &Connection) -> Result<()> {
    TABLES
        .iter()
        .try_for_each(|(name, _)| conn.execute_batch(&format!("DROP TABLE IF EXISTS {name}")))
}

fn has(conn: &Connection, (name, columns): &Table) -> Result<bool> {
    let sql = "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1) ORDER BY cid";
    let mut statement = conn.prepare(sql)?;
    let found = statement
        .query_map([name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let found = found.collect::<Result<Vec<(String, String, bool, u8)>>>()?;
    let found = found.iter().map(|(name, kind, filled, key)| (&**name, &**kind, *filled, *key));
    Ok(found.eq(columns.iter().copied()))
}

/// A table's rows, oldest first: SQLite numbers them as they come.
fn rows<T>(
    conn: &Connection,
    table: &Table,
    read: fn(&Cells<'_>) -> std::result::Result<T, ForeignData>,
) -> std::result::Result<Vec<T>, ReadError> {
    let (name, columns) = *table;
    if !has(conn, table)? {
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

fn key(cells: &Cells<'_>) -> std::result::Result<Key, ForeignData> {
    Ok(Key { key: cells.text(0)?, value: cells.json(1)?, expires_at: cells.real_if(2)? })
}

fn lease(cells: &Cells<'_>) -> std::result::Result<Lease, ForeignData> {
    Ok(Lease { resource_id: cells.text(0)?, holder_id: cells.text(1)?, expires_at: cells.real(2)? })
}

fn run(cells: &Cells<'_>) -> std::result::Result<Run, ForeignData> {
    Ok(Run {
        run_id: cells.text(0)?,
        name: cells.text(1)?,
        status: status(&cells.place(), &cells.text(2)?)?,
        tags: tags(&cells.place(), cells.columns[3], &cells.text(3)?)?,
        agent_id: cells.text_if(4)?,
        last_step: cells.whole(5)?,
        created_at: cells.real(6)?,
        updated_at: cells.real(7)?,
    })
}

fn step(cells: &Cells<'_>) -> std::result::Result<Step, ForeignData> {
    Ok(Step { run_id: cells.text(0)?, step: cells.whole(1)?, output: cells.json(2)? })
}

fn entry(cells: &Cells<'_>) -> std::result::Result<Entry, ForeignData> {
    Ok(Entry {
        key: cells.text(1)?,
        new: cells.json(2)?,
        previous: cells.json_if(3)?,
        agent_id: cells.text_if(4)?,
        written_at: cells.real(5)?,
    })
}

fn session(cells: &Cells<'_>) -> std::result::Result<Session, ForeignData> {
    Ok(Session {
        session_id: cells.text(0)?,
        context: cells.object(1)?,
        saved_at: cells.real_if(2)?,
        updated_at: cells.real_if(3)?,
    })
}

/// One row, by the numbers of its columns.
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
        self.text_if(column)?.ok_or_else(|| self.odd(column, Type::Null))
    }

    fn text_if(&self, column: usize) -> std::result::Result<Option<Text>, ForeignData> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => match std::str::from_utf8(text) {
                Ok(text) => Ok(Some(text.into())),
                Err(_) => Err(self.fault(column, "is not UTF-8")),
            },
            other => Err(self.odd(column, other.data_type())),
        }
    }

    fn json(&self, column: usize) -> std::result::Result<Json, ForeignData> {
        json(&self.place(), self.columns[column], &self.text(column)?)
    }

    fn object(&self, column: usize) -> std::result::Result<Json, ForeignData> {
        object(&self.place(), self.columns[column], &self.text(column)?)
    }

    fn json_if(&self, column: usize) -> std::result::Result<Option<Json>, ForeignData> {
        let text = self.text_if(column)?;
        text.map(|text| json(&self.place(), self.columns[column], &text)).transpose()
    }

    fn whole(&self, column: usize) -> std::result::Result<i64, ForeignData> {
        match self.get(column)? {
            ValueRef::Integer(number) => Ok(number),
            other => Err(self.odd(column, other.data_type())),
        }
    }

    fn real(&self, column: usize) -> std::result::Result<f64, ForeignData> {
        self.real_if(column)?.ok_or_else(|| self.odd(column, Type::Null))
    }

    fn real_if(&self, column: usize) -> std::result::Result<Option<f64>, ForeignData> {
        match self.get(column)? {
            ValueRef::Null => Ok(None),
            ValueRef::Real(number) => Ok(Some(number)),
            ValueRef::Integer(number) => Ok(Some(number as f64)),
            other => Err(self.odd(column, other.data_type())),
        }
    }

    fn get(&self, column: usize) -> std::result::Result<ValueRef<'_>, ForeignData> {
        self.row.get_ref(column).map_err(|error| self.fault(column, &error.to_string()))
    }

    fn odd(&self, column: usize, kind: Type) -> ForeignData {
        self.fault(column, &format!("holds a value of type {kind}"))
    }

    fn fault(&self, column: usize, what: &str) -> ForeignData {
        ForeignData::at(&self.place(), format!("{} {what}", self.columns[column]))
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> ReadError {
        ReadError::Sqlite(error)
    }
}

impl From<ForeignData> for ReadError {
    fn from(fault: ForeignData) -> ReadError {
        ReadError::ForeignData(fault)
    }
}
