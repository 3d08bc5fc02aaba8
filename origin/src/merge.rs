//! A data push: the tables of `[data]` made equal to those of a SQLite file, row by row, in one commit.
//!
//! Rows are told to be the same by their key, so a row that stays keeps its `id`, and a row that did not change is not
//! written: what is pushed every day changes few pages of the replica, however the file was made.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, time::Instant};

use nearside_protocol::limits;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params_from_iter, types::Value};

use crate::{
    keyed::{Keyed, KeyedError},
    store::{self, StoreError},
};

/// Why a file was not taken. The store is untouched.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    #[error("no version of the app is installed yet: push the app first, it makes the tables")]
    NoApp,
    #[error("the app takes no data: its manifest has no [data]")]
    TakesNone,
    #[error("the file is not a SQLite database: {0}")]
    NotADatabase(String),
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the file has none of the tables in [data]: {0}")]
    NoTable(String),
    #[error(transparent)]
    Table(#[from] KeyedError),
    #[error("{place}: {why}")]
    Row { place: String, why: String },
    #[error("{table}: rows that are not in the file cannot be deleted: {why}")]
    Delete { table: String, why: String },
    #[error("row {row} of `{table}` would point to a row of `{parent}` that is not there")]
    Dangling { table: String, row: i64, parent: String },
    #[error("it took longer than {} seconds, during which nothing else is written", limits::MERGE_WORK.as_secs())]
    TooLong,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the writer has stopped")]
    Stopped,
}

impl From<rusqlite::Error> for MergeError {
    fn from(error: rusqlite::Error) -> MergeError {
        MergeError::Store(error.into())
    }
}

/// What merging did to the store.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) report: Vec<String>,
    pub(crate) commit: Option<u64>,
}

/// Merges `file` into the store at `path`, on a connection of its own: the writer's is bound by a guest's limits.
pub(crate) fn run(path: &Path, file: &Path, data: &BTreeMap<String, Vec<String>>) -> Result<Merged, MergeError> {
    if data.is_empty() {
        return Err(MergeError::TakesNone);
    }
    let mut connection = store::open(path)?;
    let ends_at = Instant::now() + limits::MERGE_WORK;
    connection.progress_handler(1_000, Some(move || Instant::now() > ends_at))?;
    attach(&connection, file)?;
    // Closing the connection rolls back what was not committed.
    connection.execute_batch("PRAGMA cache_size = -65536; BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON")?;
    let merged = tables(&connection, data).and_then(|(report, changed)| {
        if !changed {
            return Ok(Merged { report, commit: None });
        }
        let commit = store::count_commit(&connection)?;
        commit_or_name(&connection)?;
        Ok(Merged { report, commit: Some(commit) })
    });
    merged.map_err(|error| if Instant::now() > ends_at { MergeError::TooLong } else { error })
}

/// Opens the pushed file beside the store, read-only and taken as it is: it has no journal of its own here.
fn attach(connection: &Connection, file: &Path) -> Result<(), MergeError> {
    let mut magic = [0; 16];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    if read.is_err() || &magic != b"SQLite format 3\0" {
        return Err(MergeError::NotADatabase("it does not begin like one".into()));
    }
    let plain = file.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    connection
        .execute("ATTACH ?1 AS pushed", [format!("file:{plain}?mode=ro&immutable=1")])
        .map_err(|error| MergeError::NotADatabase(error.to_string()))?;
    let check = connection.query_row("PRAGMA pushed.quick_check(1)", [], |row| row.get::<_, String>(0));
    match check {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(MergeError::Damaged(verdict)),
        Err(error) => Err(MergeError::Damaged(error.to_string())),
    }
}

/// Merges each table of `[data]` that the file has; gives the report and whether anything changed.
fn tables(connection: &Connection, data: &BTreeMap<String, Vec<String>>) -> Result<(Vec<String>, bool), MergeError> {
    let mut report = Vec::new();
    let mut changed = false;
    let mut merged = 0;
    for (table, key) in data {
        match Keyed::find(connection, table, key)? {
            None => report.push(format!("{table}: not in the file; left as it is")),
            Some(keyed) => {
                let counts = merge(connection, &keyed)?;
                changed |= counts.inserted + counts.updated + counts.deleted > 0;
                merged += 1;
                report.push(format!(
                    "{table}: {} inserted, {} updated, {} deleted, {} unchanged",
                    counts.inserted, counts.updated, counts.deleted, counts.unchanged
                ));
            }
        }
    }
    if merged == 0 {
        return Err(MergeError::NoTable(data.keys().map(String::as_str).collect::<Vec<_>>().join(", ")));
    }
    Ok((report, changed))
}

struct Counts {
    inserted: u64,
    updated: u64,
    deleted: u64,
    unchanged: u64,
}

fn merge(connection: &Connection, keyed: &Keyed) -> Result<Counts, MergeError> {
    // The file's keys, under the store's own idea of what is equal; doubles and NULLs show here.
    connection.execute_batch(&keyed.stage_sql())?;
    bulk_or_name(connection, keyed, &keyed.stage_all_sql(), &keyed.stage_one_sql())?;
    let deleted = connection
        .execute(&keyed.delete_sql(), [])
        .map_err(|error| MergeError::Delete { table: keyed.table.clone(), why: error.to_string() })?;
    let before = count(connection, "main", &keyed.table)?;
    let written = bulk_or_name(connection, keyed, &keyed.upsert_all_sql(), &keyed.upsert_one_sql())?;
    let inserted = count(connection, "main", &keyed.table)? - before;
    connection.execute_batch("DROP TABLE temp.stage")?;
    let updated = written - inserted;
    let unchanged = count(connection, "pushed", &keyed.table)? - written;
    Ok(Counts { inserted, updated, deleted: deleted as u64, unchanged })
}

/// Runs a statement over all rows of the file. If it fails, the rows are taken one by one to name the first that does.
fn bulk_or_name(connection: &Connection, keyed: &Keyed, all: &str, one: &str) -> Result<u64, MergeError> {
    let error = match connection.execute(all, []) {
        Ok(rows) => return Ok(rows as u64),
        Err(error) => error,
    };
    if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
        return Err(MergeError::Row { place: keyed.table.clone(), why: error.to_string() });
    }
    let mut rows = connection.prepare(&keyed.select_sql())?;
    let mut one = connection.prepare(one)?;
    let width = keyed.columns.len();
    let mut rows = rows.query([])?;
    let mut number = 0;
    while let Some(row) = rows.next()? {
        number += 1;
        let values: Vec<Value> = (0..width).map(|index| row.get(index)).collect::<Result<_, _>>()?;
        if let Err(error) = one.execute(params_from_iter(&values)) {
            let place = keyed.place(number, &values);
            return Err(MergeError::Row { place, why: KeyedError::explain(&error) });
        }
    }
    Err(MergeError::Row { place: keyed.table.clone(), why: error.to_string() })
}

fn count(connection: &Connection, schema: &str, table: &str) -> rusqlite::Result<u64> {
    connection.query_row(&format!("SELECT count(*) FROM {schema}.\"{table}\""), [], |row| row.get(0))
}

/// Foreign keys are judged when all tables are merged: names what is left pointing nowhere.
fn commit_or_name(connection: &Connection) -> Result<(), MergeError> {
    let Err(error) = connection.execute_batch("COMMIT") else { return Ok(()) };
    let dangling = connection
        .query_row("PRAGMA main.foreign_key_check", [], |row| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.unwrap_or_default(), row.get(2)?))
        })
        .optional();
    match dangling {
        Ok(Some((table, row, parent))) => Err(MergeError::Dangling { table, row, parent }),
        _ => Err(error.into()),
    }
}
