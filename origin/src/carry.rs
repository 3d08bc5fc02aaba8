//! Carrying mirrored rows from the attached store (`store`) to the read database (`main`), inside one transaction.
//!
//! Rows that differ are updated, not replaced, so that UPDATE triggers see what was there before, and rows that are the
//! same are not touched, so that their pages stay as they are. An `INSERT … ON CONFLICT DO UPDATE` would do in one
//! statement what takes two here, but it fires BEFORE INSERT triggers for rows it then updates.
//!
//! Tables are filled in the order of their names and rows in the order of their ids. Triggers of `snapshot.sql` must
//! give the same whatever the order, and whether a row was updated or taken out and put in again.

use std::collections::BTreeMap;

use rusqlite::{Connection, ErrorCode};

use crate::read_database::ReadError;

/// Made once on each connection: the rows that one run is about.
pub(crate) const CHANGED: &str =
    "CREATE TEMP TABLE changed (table_name TEXT, id INTEGER, PRIMARY KEY (table_name, id)) WITHOUT ROWID";

type Mirror = BTreeMap<String, Vec<String>>;

/// Which rows a statement looks at.
#[derive(Clone, Copy)]
enum Rows {
    Logged,
    All,
}

/// Carries the rows that the change log names after a commit.
pub(crate) fn changes(connection: &Connection, mirror: &Mirror, after: u64) -> Result<(), ReadError> {
    connection.execute("DELETE FROM temp.changed", [])?;
    connection.execute(
        "INSERT OR IGNORE INTO temp.changed (table_name, id)
         SELECT table_name, row_id FROM store._nearside_change WHERE commit_no > ?1",
        [after],
    )?;
    carry(connection, mirror, Rows::Logged)
}

/// Compares every mirrored row, and carries those that differ.
pub(crate) fn everything(connection: &Connection, mirror: &Mirror) -> Result<(), ReadError> {
    carry(connection, mirror, Rows::All)
}

fn carry(connection: &Connection, mirror: &Mirror, rows: Rows) -> Result<(), ReadError> {
    connection.execute_batch("SAVEPOINT carry")?;
    match row_by_row(connection, mirror, rows) {
        Err(ReadError::Table { error, .. }) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            connection.execute_batch("ROLLBACK TO carry")?;
            out_and_in(connection, mirror)?;
        }
        other => other?,
    }
    connection.execute_batch("RELEASE carry")?;
    Ok(())
}

fn row_by_row(connection: &Connection, mirror: &Mirror, rows: Rows) -> Result<(), ReadError> {
    each(connection, mirror, |table, _| Some(delete_gone(table, rows)))?;
    each(connection, mirror, |table, columns| update(table, columns, rows))?;
    each(connection, mirror, |table, columns| Some(insert_missing(table, columns, rows)))
}

/// Rows that swapped a unique value cannot be updated one after the other, though the store's rows, all together, are
/// fine: so the rows that differ are taken out, and then put in again. Taking rows out may cascade to others, so
/// everything is compared after that.
fn out_and_in(connection: &Connection, mirror: &Mirror) -> Result<(), ReadError> {
    each(connection, mirror, delete_different)?;
    row_by_row(connection, mirror, Rows::All)
}

fn each(
    connection: &Connection,
    mirror: &Mirror,
    statement: impl Fn(&str, &[String]) -> Option<String>,
) -> Result<(), ReadError> {
    for (table, columns) in mirror {
        if let Some(sql) = statement(table, columns) {
            connection
                .prepare_cached(&sql)
                .and_then(|mut statement| statement.execute([]))
                .map_err(|error| ReadError::Table { table: table.clone(), error })?;
        }
    }
    Ok(())
}

/// A condition on the alias `row`.
fn about(row: &str, table: &str, rows: Rows) -> String {
    match rows {
        // A table's name is letters, digits and `_`: it can stand in quotes as it is.
        Rows::Logged => format!(r#"{row}."id" IN (SELECT id FROM temp.changed WHERE table_name = '{table}')"#),
        Rows::All => "true".to_owned(),
    }
}

fn delete_gone(table: &str, rows: Rows) -> String {
    let about = about("m", table, rows);
    format!(r#"DELETE FROM main."{table}" AS m WHERE {about} AND NOT EXISTS (SELECT 1 FROM store."{table}" AS s WHERE s."id" = m."id")"#)
}

fn update(table: &str, columns: &[String], rows: Rows) -> Option<String> {
    let differ = differ(columns)?;
    let about = about("m", table, rows);
    let set: Vec<String> = columns[1..].iter().map(|column| format!(r#""{column}" = s."{column}""#)).collect();
    let set = set.join(", ");
    Some(format!(r#"UPDATE main."{table}" AS m SET {set} FROM store."{table}" AS s WHERE s."id" = m."id" AND {about} AND ({differ})"#))
}

fn insert_missing(table: &str, columns: &[String], rows: Rows) -> String {
    let about = about("s", table, rows);
    let list = |prefix: &str| columns.iter().map(|column| format!(r#"{prefix}"{column}""#)).collect::<Vec<_>>().join(", ");
    let (into, from) = (list(""), list("s."));
    format!(
        r#"INSERT INTO main."{table}" ({into}) SELECT {from} FROM store."{table}" AS s WHERE {about} AND NOT EXISTS (SELECT 1 FROM main."{table}" AS m WHERE m."id" = s."id") ORDER BY s."id""#
    )
}

fn delete_different(table: &str, columns: &[String]) -> Option<String> {
    let differ = differ(columns)?;
    Some(format!(
        r#"DELETE FROM main."{table}" AS m WHERE EXISTS (SELECT 1 FROM store."{table}" AS s WHERE s."id" = m."id" AND ({differ}))"#
    ))
}

/// Whether the mirrored columns of `m` and `s` differ in any way that can be seen: `1` and `1.0` are equal to SQLite, and
/// so are `a` and `A` in a column declared NOCASE. None when nothing but the id is mirrored.
fn differ(columns: &[String]) -> Option<String> {
    let one = |column: &String| {
        format!(r#"m."{column}" IS NOT s."{column}" COLLATE BINARY OR typeof(m."{column}") <> typeof(s."{column}")"#)
    };
    let differ = columns[1..].iter().map(one).collect::<Vec<_>>().join(" OR ");
    (!differ.is_empty()).then_some(differ)
}
