//! The read database: mirrored rows of the write store, and what `snapshot.sql` derives from them.
//!
//! It is one long-lived file, changed row by row, so that few of its pages move from release to release. It is brought
//! up to the store in one of two ways that end in the same rows: by the rows the change log names, or, when the log
//! cannot tell (another store, epoch or layout), by comparing every mirrored row. A file made new is the second way on
//! an empty one.
//!
//! The store is attached read-only to the same connection, so the rows and the commit number noted with them are of one
//! moment. Foreign keys are looked at when the transaction ends: rows arrive table by table, not in the order in which
//! they were written.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::Instant,
};

use nearside_host::archive::{self, Archive, ArchiveError};
use nearside_protocol::{
    digest::{Digest, PartsHasher},
    limits,
    release::DatabaseId,
};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior,
    config::DbConfig,
    hooks::{AuthAction, AuthContext, Authorization},
    params,
};

use crate::{
    carry,
    moved::CaptureError,
    script::{self, ScriptError},
};

/// Grows when the way rows are carried over changes, so that files made before are made anew.
const FORMAT: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{file}: {error}", file = file.display())]
    Open { file: PathBuf, error: rusqlite::Error },
    #[error("{file}: {error}", file = file.display())]
    Io { file: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error("the read database: mirrored table `{table}`: {error}")]
    Table { table: String, error: rusqlite::Error },
    #[error(
        "the read database: foreign keys of snapshot.sql do not hold for the store's rows: mirror the tables they refer to, or leave them out"
    )]
    ForeignKeys,
    #[error("the read database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("the write store's `_nearside_meta` lacks `{0}`: it is not a write store, or damaged")]
    NotAStore(&'static str),
}

/// What a read database is made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Table -> mirrored columns, `id` first.
    mirror: BTreeMap<String, Vec<String>>,
    snapshot_sql: String,
}

impl Shape {
    pub fn of(archive: &Archive) -> Result<Shape, ArchiveError> {
        Ok(Shape::new(archive.app.mirror.clone(), archive.text(archive::SNAPSHOT)?))
    }

    pub fn new(mirror: BTreeMap<String, Vec<String>>, snapshot_sql: String) -> Shape {
        Shape { mirror, snapshot_sql }
    }

    fn digest(&self) -> Digest {
        // A search index of another format cannot be read: it is made anew with the rest.
        let formats = [FORMAT, nearside_search::FORMAT];
        let mut parts = PartsHasher::default().part(&formats).part(self.snapshot_sql.as_bytes());
        for (table, columns) in &self.mirror {
            parts = parts.part(table.as_bytes()).part(columns.join(",").as_bytes());
        }
        parts.finish()
    }
}

/// How far a read database has come: the store it mirrors and that store's last commit it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    pub database: DatabaseId,
    pub epoch: u64,
    pub layout: u64,
    pub commit: u64,
}

/// What it takes to get from one position to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Nothing,
    /// The rows the change log names after this commit.
    ChangesAfter(u64),
    /// Every mirrored row: the log cannot tell what is different.
    Everything,
}

pub fn scope(has: Option<&Position>, store: &Position) -> Scope {
    match has {
        Some(has) if has == store => Scope::Nothing,
        Some(Position { database, epoch, layout, commit })
            if *database == store.database
                && *epoch == store.epoch
                && *layout == store.layout
                && *commit < store.commit =>
        {
            Scope::ChangesAfter(*commit)
        }
        _ => Scope::Everything,
    }
}

pub struct ReadDatabase {
    connection: Connection,
    shape: Shape,
}

const APPLIED: &str = "
CREATE TABLE _nearside_applied (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  database TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  layout INTEGER NOT NULL,
  commit_no INTEGER NOT NULL,
  shape TEXT NOT NULL
)";

impl ReadDatabase {
    /// Makes the file anew from the store's rows. It has its name only when it is whole.
    pub fn build(file: &Path, store: &Path, shape: &Shape) -> Result<ReadDatabase, ReadError> {
        let temporary = file.with_extension("tmp");
        let _ = std::fs::remove_file(&temporary);
        drop(ReadDatabase::scratch(&temporary, store, shape)?);
        let io = |error| ReadError::Io { file: file.to_owned(), error };
        File::open(&temporary).and_then(|made| made.sync_all()).map_err(io)?;
        nearside_host::disk::Disk::real().rename(&temporary, file).map_err(io)?;
        ReadDatabase::open_as(file, store, shape)
    }

    /// The same in memory, to be held against one that was kept.
    pub(crate) fn in_memory(store: &Path, shape: &Shape) -> Result<ReadDatabase, ReadError> {
        ReadDatabase::scratch(Path::new(":memory:"), store, shape)
    }

    /// The same in a file that nobody needs after a crash, and that must not be there.
    pub(crate) fn scratch(file: &Path, store: &Path, shape: &Shape) -> Result<ReadDatabase, ReadError> {
        let mut database = ReadDatabase::create(connect(file, "MEMORY", "OFF")?, shape)?;
        attach(&database.connection, store)?;
        database.update()?;
        Ok(database)
    }

    /// Opens a file that [`ReadDatabase::build`] made; none when it was made for another shape, or is not readable.
    pub fn open(file: &Path, store: &Path, shape: &Shape) -> Result<Option<ReadDatabase>, ReadError> {
        let made_for = || -> rusqlite::Result<String> {
            let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            connection.query_row("SELECT shape FROM _nearside_applied", [], |row| row.get(0))
        };
        if !file.is_file() || made_for().ok() != Some(shape.digest().to_string()) {
            return Ok(None);
        }
        ReadDatabase::open_as(file, store, shape).map(Some)
    }

    fn open_as(file: &Path, store: &Path, shape: &Shape) -> Result<ReadDatabase, ReadError> {
        // NORMAL: after a loss of power it may have gone back some commits. The change log reaches back to the last
        // checkpoint, so it catches up.
        let connection = connect(file, "WAL", "NORMAL")?;
        connection.execute_batch(carry::CHANGED)?;
        attach(&connection, store)?;
        Ok(ReadDatabase { connection, shape: shape.clone() })
    }

    /// Makes the tables of `snapshot.sql` in an empty database, without any rows. `check` does this in memory.
    pub fn create(mut connection: Connection, shape: &Shape) -> Result<ReadDatabase, ReadError> {
        connection.execute_batch(APPLIED)?;
        let guard = |context: AuthContext<'_>| match context.action {
            AuthAction::Attach { .. }
            | AuthAction::Detach { .. }
            | AuthAction::Transaction { .. }
            | AuthAction::Savepoint { .. }
            | AuthAction::DropTable { table_name: "_nearside_applied" } => Authorization::Deny,
            AuthAction::Function { function_name: "load_extension" } => Authorization::Deny,
            AuthAction::Pragma { pragma_value: Some(_), .. } => Authorization::Deny,
            _ => Authorization::Allow,
        };
        connection.authorizer(Some(guard))?;
        let ran = script::run(&connection, archive::SNAPSHOT, &shape.snapshot_sql);
        connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
        ran?;
        connection.execute_batch(carry::CHANGED)?;
        Ok(ReadDatabase { connection, shape: shape.clone() })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// From then on every statement fails.
    pub(crate) fn stop_at(&mut self, ends_at: Instant) -> Result<(), ReadError> {
        Ok(self.connection.progress_handler(10_000, Some(move || Instant::now() > ends_at))?)
    }

    pub fn into_connection(self) -> Connection {
        self.connection
    }

    /// The position noted in the file; none before its first update.
    #[cfg(test)]
    pub(crate) fn position(&self) -> Result<Option<Position>, ReadError> {
        position(&self.connection).map_err(ReadError::Sqlite)
    }

    /// What it would take to bring the rows up to the store as it is now.
    pub(crate) fn scope(&self) -> Result<Scope, ReadError> {
        Ok(scope(position(&self.connection)?.as_ref(), &store_position(&self.connection)?))
    }

    /// Brings the rows up to the store as it is now.
    pub fn update(&mut self) -> Result<Position, ReadError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.pragma_update(None, "defer_foreign_keys", true)?;
        let has = position(&transaction)?;
        let store = store_position(&transaction)?;
        match scope(has.as_ref(), &store) {
            Scope::Nothing => return Ok(store),
            Scope::ChangesAfter(commit) => carry::changes(&transaction, &self.shape.mirror, commit)?,
            Scope::Everything => carry::everything(&transaction, &self.shape.mirror)?,
        }
        transaction.execute(
            "REPLACE INTO main._nearside_applied (only, database, epoch, layout, commit_no, shape) VALUES (1, ?, ?, ?, ?, ?)",
            params![store.database.0, store.epoch, store.layout, store.commit, self.shape.digest().to_string()],
        )?;
        transaction.commit().map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => ReadError::ForeignKeys,
            _ => ReadError::Sqlite(error),
        })?;
        Ok(store)
    }

    /// Moves the write-ahead log into the file and syncs it; false when a reader is in the way.
    pub fn checkpoint(&self) -> Result<bool, ReadError> {
        let complete = self.connection.query_row("PRAGMA main.wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(0)? == 0 && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        })?;
        Ok(complete)
    }
}

fn connect(file: &Path, journal: &str, synchronous: &str) -> Result<Connection, ReadError> {
    let open = || {
        let connection = Connection::open(file)?;
        connection.pragma_update(None, "page_size", limits::PAGE_BYTES as i64)?;
        connection.pragma_update(None, "journal_mode", journal)?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        // The projector says when: between its updates and what it reads out of the log nothing may move.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        nearside_search::register(&connection)?;
        Ok(connection)
    };
    open().map_err(|error| ReadError::Open { file: file.to_owned(), error })
}

/// The only other user of the locks is a checkpoint that ends.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

fn attach(connection: &Connection, store: &Path) -> Result<(), ReadError> {
    // `%`, `?` and `#` mean something else in SQLite's file URIs.
    let path = store.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    connection
        .execute("ATTACH ?1 AS store", [format!("file:{path}?mode=ro")])
        .map_err(|error| ReadError::Open { file: store.to_owned(), error })?;
    Ok(())
}

/// The schema, and the statistics the query planner goes by: read once by each connection, so no page tells of them.
pub fn schema(connection: &Connection) -> rusqlite::Result<String> {
    let mut schema = String::new();
    let mut add = |sql: &str| -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            schema.push_str(&row.get::<_, Option<String>>(0)?.unwrap_or_default());
            schema.push('\n');
        }
        Ok(())
    };
    add("SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM main.sqlite_schema ORDER BY type, name")?;
    if connection.table_exists(Some("main"), "sqlite_stat1")? {
        add("SELECT tbl || ' ' || coalesce(idx, '') || ' ' || stat FROM main.sqlite_stat1 ORDER BY 1")?;
    }
    Ok(schema)
}

/// The position noted in a read database or a snapshot.
pub fn position(connection: &Connection) -> rusqlite::Result<Option<Position>> {
    let sql = "SELECT database, epoch, layout, commit_no FROM main._nearside_applied";
    connection
        .query_row(sql, [], |row| {
            Ok(Position {
                database: DatabaseId(row.get(0)?),
                epoch: row.get(1)?,
                layout: row.get(2)?,
                commit: row.get(3)?,
            })
        })
        .optional()
}

fn store_position(connection: &Connection) -> Result<Position, ReadError> {
    fn value<T: rusqlite::types::FromSql>(connection: &Connection, key: &'static str) -> Result<T, ReadError> {
        connection
            .prepare_cached("SELECT value FROM store._nearside_meta WHERE key = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?
            .ok_or(ReadError::NotAStore(key))
    }
    Ok(Position {
        database: DatabaseId(value(connection, "database")?),
        epoch: value(connection, "epoch")?,
        layout: value(connection, "layout")?,
        commit: value(connection, "commit")?,
    })
}
