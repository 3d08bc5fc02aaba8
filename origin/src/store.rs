//! The write store: one SQLite file per app, with the app's own tables and the origin's reserved ones side by side.
//!
//! | table | what it holds |
//! |---|---|
//! | `_nearside_meta` | `database` (id, made once), `secret`, `epoch`, `commit` (last committed number), `layout`, `task` (last id), `task_waiting` (how many are due or running), `worked_ms` (see [`nearside_host::working_clock`]), `forgotten` (see [`crate::dedupe`]); after a backup or a restore `backed_up`, `ended` |
//! | `_nearside_change` | which mirrored rows each commit touched: see [`crate::change_log`] |
//! | `_nearside_dedupe` | what each idempotency key was answered |
//! | `_nearside_outbox` | how far each node's deferred commands have come: see [`crate::deferred`] |
//! | `_nearside_task`, `_attempt`, `_step`, `_task_kind`, `_cron` | see [`crate::tasks`] |
//! | `_nearside_migration` | the app's migrations that have run, with the digests they had |
//!
//! `layout` grows whenever the change log cannot tell what changed: a migration ran, or other columns are mirrored. A
//! read database made under another `layout` is to be made anew from the store's rows.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use nearside_protocol::{
    limits,
    release::DatabaseId,
    watermark::{BackedUp, Point, Watermark},
};
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, backup::Backup, params,
};

use crate::{kept::Kept, tasks};

pub const FILE_NAME: &str = "store.db";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the write store {file}: {error}")]
    Open { file: String, error: rusqlite::Error },
    #[error("the write store does not answer: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the write store's own table _nearside_meta lacks `{0}`: the file is damaged, or not a write store")]
    Damaged(&'static str),
    #[error("the writer's thread does not start: {0}")]
    Thread(std::io::Error),
}

/// Who a store is and how far it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    pub database: DatabaseId,
    pub epoch: u64,
    /// The last committed group's number; 0 before the first.
    pub commit: u64,
    pub layout: u64,
}

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _nearside_meta (
  key TEXT PRIMARY KEY,
  value
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS _nearside_change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  commit_no INTEGER NOT NULL,
  table_name TEXT NOT NULL,
  row_id INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS _nearside_dedupe (
  key TEXT PRIMARY KEY,
  fingerprint BLOB NOT NULL,
  outcome TEXT NOT NULL,
  commit_no INTEGER NOT NULL,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS _nearside_dedupe_at ON _nearside_dedupe (at_ms);

CREATE TABLE IF NOT EXISTS _nearside_outbox (
  outbox TEXT PRIMARY KEY,
  n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS _nearside_migration (
  name TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) WITHOUT ROWID;
";

/// What every connection that writes to the store is set to. Foreign keys are SQLite's to switch on outside a
/// transaction only; `recursive_triggers` makes a REPLACE fire the triggers of the rows it deletes.
const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA recursive_triggers = ON;
PRAGMA journal_size_limit = 67108864;
";

/// Opens the store for writing, and makes it when there is none.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let opened = Connection::open(path).and_then(|connection| {
        connection.execute_batch(SETTINGS)?;
        prepare(&connection)?;
        Ok(connection)
    });
    opened.map_err(|error| StoreError::Open { file: path.display().to_string(), error })
}

/// The same for one that is open elsewhere, and so has all that it needs.
pub(crate) fn open_again(path: &Path) -> Result<Connection, StoreError> {
    let opened = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| {
        connection.execute_batch(SETTINGS)?;
        Ok(connection)
    });
    opened.map_err(|error| StoreError::Open { file: path.display().to_string(), error })
}

/// The same for a store that nobody needs after a crash: it never waits for the disk.
pub(crate) fn open_scratch(path: &Path) -> Result<Connection, StoreError> {
    let connection = open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF")?;
    Ok(connection)
}

/// Copies a store as it is at one moment, whoever writes meanwhile. The copy is one file, with nothing beside it, and not
/// synced.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let fault = |error| StoreError::Open { file: from.display().to_string(), error };
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    // Held in a transaction, so that writes in between do not make it begin again.
    source.execute_batch("BEGIN")?;
    copy_of(&source, to)
}

/// The same from a connection whose transaction says which moment.
pub(crate) fn copy_of(source: &Connection, to: &Path) -> Result<(), StoreError> {
    let fault = |error| StoreError::Open { file: to.display().to_string(), error };
    let mut copy = Connection::open(to).map_err(fault)?;
    copy.execute_batch("PRAGMA synchronous = OFF")?;
    Backup::new(source, &mut copy)?.run_to_completion(COPIED_AT_ONCE_PAGES, COPY_PAUSE, None)?;
    // Without a write-ahead log, so that the file is all there is.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

/// A copy lets others have the disk after so many pages.
const COPIED_AT_ONCE_PAGES: i32 = 2_048;
const COPY_PAUSE: Duration = Duration::from_millis(2);

/// Makes the reserved tables in a database that may have them already; `check` uses it on one in memory.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO _nearside_meta (key, value) VALUES (?1, ?2)")?;
    insert.execute(params!["database", hex(&random::<8>())])?;
    insert.execute(params!["secret", random::<32>()])?;
    insert.execute(params!["epoch", 1])?;
    for counter in ["commit", "layout", "task"] {
        insert.execute(params![counter, 0])?;
    }
    drop(insert);
    tasks::schema::prepare(&transaction)?;
    transaction.commit()
}

pub fn meta(connection: &Connection) -> Result<Meta, StoreError> {
    Ok(Meta {
        database: DatabaseId(value(connection, "database")?),
        epoch: value(connection, "epoch")?,
        commit: value(connection, "commit")?,
        layout: value(connection, "layout")?,
    })
}

/// How long the store has been worked on, if that was noted already.
pub(crate) fn worked_ms(connection: &Connection) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT value FROM _nearside_meta WHERE key = 'worked_ms'";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?)
}

pub(crate) fn note_worked_ms(connection: &Connection, worked_ms: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO _nearside_meta (key, value) VALUES ('worked_ms', ?1)
        ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.execute(sql, [worked_ms]).map(drop)
}

/// Keys the randomness commands see, so that who chooses an idempotency key cannot foresee it.
pub(crate) fn secret(connection: &Connection) -> Result<[u8; 32], StoreError> {
    value(connection, "secret")
}

/// Sets the store to a higher epoch, after it was restored from a copy: commits made since that copy are lost, and
/// receipts of the old epoch must not be compared with the numbers given out from now on.
pub fn claim_epoch(connection: &Connection, epoch: u64) -> Result<(), StoreError> {
    connection.execute("UPDATE _nearside_meta SET value = ?1 WHERE key = 'epoch' AND value < ?1", [epoch])?;
    Ok(())
}

/// The same for a store that comes out of a backup made at `at_ms`: it remembers how far the epoch had come that ends
/// here, and that the backup has everything up to there. Gives the mark it leaves with.
pub fn begin_epoch(connection: &Connection, epoch: u64, at_ms: u64) -> Result<Watermark, StoreError> {
    let before = watermark(connection)?;
    let mut ended = before.ended;
    ended.push(Point { epoch: before.epoch, commit: before.commit });
    ended.drain(..ended.len().saturating_sub(limits::EPOCHS_REMEMBERED));
    let transaction = connection.unchecked_transaction()?;
    set_json(&transaction, ENDED, &ended)?;
    set_json(&transaction, BACKED_UP, &BackedUp { epoch: before.epoch, commit: before.commit, at_ms })?;
    claim_epoch(&transaction, epoch)?;
    transaction.commit()?;
    watermark(connection)
}

/// How far the store has come, and how far backups have.
pub fn watermark(connection: &Connection) -> Result<Watermark, StoreError> {
    let Meta { database, epoch, commit, .. } = meta(connection)?;
    let backed_up = json(connection, BACKED_UP)?;
    let ended = json(connection, ENDED)?.unwrap_or_default();
    Ok(Watermark { database, epoch, commit, backed_up, ended })
}

/// Notes that a verified backup has everything up to a commit. Another process may write meanwhile.
pub fn note_backup(path: &Path, backup: &BackedUp) -> Result<(), StoreError> {
    let fault = |error| StoreError::Open { file: path.display().to_string(), error };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0")?;
    let transaction = begin_among_writers(&connection)?;
    let newest: Option<BackedUp> = json(&transaction, BACKED_UP)?;
    if newest.is_none_or(|newest| (newest.epoch, newest.commit) <= (backup.epoch, backup.commit)) {
        set_json(&transaction, BACKED_UP, backup)?;
    }
    Ok(transaction.commit()?)
}

/// A busy writer leaves the lock for moments only, which SQLite's own way of waiting, longer and longer, would miss.
fn begin_among_writers(connection: &Connection) -> Result<Transaction<'_>, StoreError> {
    let ends_at = Instant::now() + LOCK_WAIT;
    loop {
        match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < ends_at => {
                std::thread::sleep(LOCK_RETRY);
            }
            begun => return Ok(begun?),
        }
    }
}

const LOCK_WAIT: Duration = Duration::from_secs(30);
const LOCK_RETRY: Duration = Duration::from_micros(100);

const BACKED_UP: &str = "backed_up";
const ENDED: &str = "ended";

/// A value that is JSON; none when it is not there.
fn json<T: serde::de::DeserializeOwned>(connection: &Connection, key: &'static str) -> Result<Option<T>, StoreError> {
    let sql = "SELECT value FROM _nearside_meta WHERE key = ?1";
    let text: Option<String> = connection.query_row(sql, [key], |row| row.get(0)).optional()?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Damaged(key))).transpose()
}

fn set_json(connection: &Connection, key: &'static str, value: &impl serde::Serialize) -> rusqlite::Result<()> {
    let text = serde_json::to_string(value).expect("BUG: a few numbers are plain data");
    connection.execute("REPLACE INTO _nearside_meta (key, value) VALUES (?1, ?2)", (key, text)).map(drop)
}

/// Inside a write transaction: counts it as a commit and gives its number.
pub(crate) fn count_commit(connection: &Connection) -> rusqlite::Result<u64> {
    grow(connection, "commit")
}

/// Inside a write transaction: the next number of a counter.
pub(crate) fn grow(connection: &Connection, counter: &'static str) -> rusqlite::Result<u64> {
    let sql = "UPDATE _nearside_meta SET value = value + 1 WHERE key = ?1 RETURNING value";
    connection.kept(sql)?.query_row([counter], |row| row.get(0))
}

fn value<T: rusqlite::types::FromSql>(connection: &Connection, key: &'static str) -> Result<T, StoreError> {
    connection
        .query_row("SELECT value FROM _nearside_meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()?
        .ok_or(StoreError::Damaged(key))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("BUG: an operating system without randomness cannot serve");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_keeps_its_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let first = meta(&open(&path).unwrap()).unwrap();
        let connection = open(&path).unwrap();
        assert_eq!(meta(&connection).unwrap(), first);
        assert_eq!((first.epoch, first.commit, first.database.0.len()), (1, 0, 16));
        assert_eq!(count_commit(&connection).unwrap(), 1);
        claim_epoch(&connection, 3).unwrap();
        claim_epoch(&connection, 2).unwrap();
        assert_eq!(meta(&connection).unwrap(), Meta { epoch: 3, commit: 1, ..first });
    }

    #[test]
    fn a_store_knows_how_far_backups_have_come_and_which_epochs_ended_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let connection = open(&path).unwrap();
        for number in 1..=5 {
            assert_eq!(count_commit(&connection).unwrap(), number);
        }
        assert_eq!(watermark(&connection).unwrap().backed_up, None);
        let backup = |commit| BackedUp { epoch: 1, commit, at_ms: 9 };
        note_backup(&path, &backup(4)).unwrap();
        note_backup(&path, &backup(3)).unwrap();
        assert_eq!(watermark(&connection).unwrap().backed_up, Some(backup(4)));

        let copy = folder.path().join("copy.db");
        super::copy(&path, &copy).unwrap();
        let copy = open(&copy).unwrap();
        let mark = begin_epoch(&copy, 4, 10).unwrap();
        assert_eq!((mark.epoch, mark.commit, mark.ended.as_slice()), (4, 5, &[Point { epoch: 1, commit: 5 }][..]));
        assert_eq!(mark.backed_up, Some(BackedUp { epoch: 1, commit: 5, at_ms: 10 }));
        count_commit(&copy).unwrap();
        let mark = begin_epoch(&copy, 6, 11).unwrap();
        assert_eq!(mark.ended, [Point { epoch: 1, commit: 5 }, Point { epoch: 4, commit: 6 }]);
    }

    #[test]
    fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, "not a database, but long enough to be looked at as one").unwrap();
        let error = open(&path).unwrap_err().to_string();
        assert!(error.contains("store.db") && error.contains("not a database"), "{error}");
    }
}
