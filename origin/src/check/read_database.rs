//! The read database as `snapshot.sql` makes it, without rows, and what its triggers say.

use nearside_host::archive::{self, Archive};
use nearside_protocol::app::RESERVED_PREFIX;
use rusqlite::Connection;

use super::{finding::Finding, hint, memory, rule::Rule, snapshot::Snapshot};
use crate::{
    read_database::{ReadDatabase, ReadError, Shape},
    script,
};

const FILE: &str = archive::SNAPSHOT;

pub(super) fn empty(archive: &Archive) -> Result<Connection, Finding> {
    let shape = Shape::of(archive).map_err(|error| Finding::of_archive(&error))?;
    let connection = open().map_err(|error| told(archive, error.into()))?;
    ReadDatabase::create(connection, &shape).map(ReadDatabase::into_connection).map_err(|error| told(archive, error))
}

/// Unlike the write store, a read database may have search indexes.
fn open() -> rusqlite::Result<Connection> {
    let connection = memory::open()?;
    nearside_search::register(&connection)?;
    Ok(connection)
}

fn told(archive: &Archive, error: ReadError) -> Finding {
    match error {
        ReadError::Script(error) if error.message == "not authorized" => Finding::new(
            Rule::SnapshotDenied,
            &error.file,
            Some(error.line),
            "snapshot.sql does here what it may not",
            "it makes tables, indexes, views and triggers of its own database: no transactions, no other files, no PRAGMA \
            that sets something",
        ),
        ReadError::Script(error) => Finding::new(
            Rule::SnapshotFails,
            &error.file,
            Some(error.line),
            format!("snapshot.sql stops here: {}", error.message),
            hint_before(archive, error.line, &error.message),
        ),
        other => Finding::new(Rule::SnapshotFails, FILE, None, other.to_string(), ""),
    }
}

/// The database is gone with the error, so what came before the fault is made again for the hint.
fn hint_before(archive: &Archive, line: usize, why: &str) -> String {
    let text = archive.text(FILE).unwrap_or_default();
    let Ok(connection) = open() else { return String::new() };
    for statement in script::split(&text).iter().take_while(|statement| statement.line <= line) {
        if connection.execute_batch(statement.sql).is_err() {
            break;
        }
    }
    hint::of(&connection, why)
}

/// Names that are the origin's own.
pub(super) fn reserved(read: &Connection, snapshot: &Snapshot<'_>) -> Vec<Finding> {
    let sql = "SELECT name FROM sqlite_schema WHERE name LIKE '\\_nearside\\_%' ESCAPE '\\' AND tbl_name <> '_nearside_applied'";
    let finding = |name: String| {
        let what = format!("`{name}`: names that begin with `{RESERVED_PREFIX}` are the origin's own");
        Finding::new(Rule::SnapshotReservedName, FILE, snapshot.line_of(&name), what, "give it another name")
    };
    names(read, sql, []).into_iter().map(finding).collect()
}

/// SQLite looks at what a trigger says when a statement that fires it is prepared, not when the trigger is made.
pub(super) fn triggers(read: &Connection, snapshot: &Snapshot<'_>, table: &str, columns: &[String]) -> Option<Finding> {
    let changes = changes(table, columns);
    let (event, error) = changes.iter().find_map(|(event, sql)| Some((event, read.prepare(sql).err()?)))?;
    let (_, why) = script::place(1, "", &error);
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
    let guilty = names(read, sql, [table]).into_iter().find(|trigger| fails_alone(read, table, trigger, &changes));
    let (line, what) = match guilty {
        Some(trigger) => {
            (snapshot.line_of(&trigger), format!("trigger `{trigger}` cannot run at {event} on `{table}`: {why}"))
        }
        None => (None, format!("what is fired by {event} on `{table}` cannot run: {why}")),
    };
    let hint = hint::of(read, &why);
    let fix = if hint.is_empty() { "correct the trigger, or the foreign key".to_owned() } else { hint };
    Some(Finding::new(Rule::SnapshotTrigger, FILE, line, what, fix))
}

/// Statements that fire a mirrored table's triggers, as rows that arrive do.
pub(super) fn changes(table: &str, columns: &[String]) -> [(&'static str, String); 3] {
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let list = quoted.join(", ");
    let set = quoted.iter().map(|column| format!("{column} = {column}")).collect::<Vec<_>>().join(", ");
    [
        ("INSERT", format!("INSERT INTO \"{table}\" ({list}) SELECT {list} FROM \"{table}\"")),
        ("UPDATE", format!("UPDATE \"{table}\" SET {set}")),
        ("DELETE", format!("DELETE FROM \"{table}\"")),
    ]
}

/// Whether a change fails with this trigger the only one on its table. Everything is put back.
fn fails_alone(read: &Connection, table: &str, trigger: &str, changes: &[(&'static str, String); 3]) -> bool {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND name <> ?2";
    let others = names(read, sql, [table, trigger]);
    let drop_others: String =
        others.iter().map(|name| format!("DROP TRIGGER \"{}\";", name.replace('"', "\"\""))).collect();
    let tried = read
        .execute_batch(&format!("SAVEPOINT alone; {drop_others}"))
        .map(|()| changes.iter().any(|(_, sql)| read.prepare(sql).is_err()));
    let _ = read.execute_batch("ROLLBACK TO alone; RELEASE alone");
    tried.unwrap_or(false)
}

fn names<P: rusqlite::Params>(read: &Connection, sql: &str, parameters: P) -> Vec<String> {
    let names =
        read.prepare(sql).and_then(|mut statement| statement.query_map(parameters, |row| row.get(0))?.collect());
    names.unwrap_or_default()
}
