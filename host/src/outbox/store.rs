//! The outbox's file: SQLite, written by one thread.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use nearside_protocol::{
    limits,
    trace_context::TraceContext,
    write::{Deferred, IdempotencyKey, OutboxId, Outcome},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{After, Ticket, ToTake, Waiting, fingerprint, unguessable, unsure};
use crate::working_clock::WorkingClock;

#[derive(Debug, thiserror::Error)]
#[error("the outbox {}: {error}", path.display())]
pub struct StoreError {
    path: PathBuf,
    error: rusqlite::Error,
}

impl StoreError {
    pub(super) fn into_sqlite(self) -> rusqlite::Error {
        self.error
    }
}

/// How a deferred command ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    As(Outcome),
    /// Settled before, so long ago that the origin has forgotten how.
    Forgotten,
}

/// One command of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    pub app: String,
    pub n: u64,
    pub command: String,
    /// JSON text.
    pub payload: String,
    pub key: IdempotencyKey,
    /// For the visitor alone.
    #[serde(skip)]
    pub ticket: Ticket,
    /// Unix time, milliseconds.
    pub accepted_at_ms: u64,
    /// After which of the origin's commits it was sent before it was taken.
    pub sent_after: Option<u64>,
    /// It was sent and not answered, and is not deferrable: it is found out whether it was applied.
    #[serde(default)]
    pub is_unsure: bool,
    /// Nothing while it waits.
    pub settled: Option<Settled>,
    /// Whose trace it goes on with, if that is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<TraceContext>,
}

impl Written {
    pub(super) fn deferred(self) -> Deferred {
        let Written { n, command, payload, key, accepted_at_ms, sent_after, traced, .. } = self;
        Deferred { n, command, payload, key, accepted_at_ms, sent_after, traced }
    }
}

const SETTINGS: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA busy_timeout = 5000;
PRAGMA journal_size_limit = 67108864;
";

/// `last_n` outlives the commands it counted, so that no number is given out twice.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app (name TEXT PRIMARY KEY, last_n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS command (
  app TEXT NOT NULL,
  n INTEGER NOT NULL,
  name TEXT NOT NULL,
  payload TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  ticket TEXT NOT NULL UNIQUE,
  accepted_at_ms INTEGER NOT NULL,
  sent_after INTEGER,
  settled TEXT,
  settled_at_ms INTEGER,
  traced TEXT,
  PRIMARY KEY (app, n),
  UNIQUE (app, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS command_waiting ON command (app, n) WHERE settled IS NULL;
CREATE INDEX IF NOT EXISTS command_settled ON command (settled_at_ms) WHERE settled IS NOT NULL;
";

const COLUMNS: &str = "app, n, name, payload, key, ticket, accepted_at_ms, sent_after, settled, traced";

pub(super) struct Store {
    path: PathBuf,
    pub(super) connection: Connection,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Store, StoreError> {
        let opened = Connection::open(path).and_then(|connection| {
            connection.execute_batch(SETTINGS)?;
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(TABLES)?;
            transaction.execute_batch(unsure::TABLES)?;
            bring_up(&transaction)?;
            transaction.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('id', ?1)", [unguessable()])?;
            transaction.commit()?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Ok(Store { path: path.to_owned(), connection }),
            Err(error) => Err(StoreError { path: path.to_owned(), error }),
        }
    }

    pub(super) fn id(&self) -> Result<OutboxId, StoreError> {
        let read = self.connection.query_row("SELECT value FROM meta WHERE key = 'id'", [], |row| row.get(0));
        let text: String = self.told(read)?;
        self.told(OutboxId::try_from(text).map_err(|bad| rusqlite::Error::ToSqlConversionFailure(Box::new(bad))))
    }

    /// Goes on from where it was noted.
    pub(super) fn clock(&self) -> Result<WorkingClock, StoreError> {
        let sql = "SELECT value FROM meta WHERE key = 'worked_ms'";
        let noted = self.told(self.connection.query_row(sql, [], |row| row.get(0)).optional())?;
        Ok(WorkingClock::start(noted))
    }

    pub(super) fn waiting(&self) -> Result<BTreeMap<String, Waiting>, StoreError> {
        let sql = "SELECT app, count(*), sum(octet_length(payload) + octet_length(name) + octet_length(key)), min(accepted_at_ms)
                   FROM command WHERE settled IS NULL GROUP BY app";
        self.told(self.connection.prepare(sql).and_then(|mut statement| {
            let of = |row: &Row<'_>| {
                let waiting = Waiting { writes: row.get(1)?, bytes: row.get(2)?, oldest_at_ms: row.get(3)? };
                Ok((row.get(0)?, waiting))
            };
            statement.query_map([], of)?.collect()
        }))
    }

    pub(super) fn unsure(&self) -> Result<BTreeMap<String, Waiting>, StoreError> {
        self.told(unsure::waiting(&self.connection))
    }

    pub(super) fn by_ticket(&self, app: &str, ticket: &Ticket) -> Result<Option<Written>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM command WHERE ticket = ?1 AND app = ?2");
        let found = self.connection.query_row(&sql, [&ticket.0, app], written).optional();
        self.told(found.and_then(|found| match found {
            None => unsure::by_ticket(&self.connection, app, ticket),
            found => Ok(found),
        }))
    }

    pub(super) fn list(&self, after: Option<&After>, most: usize) -> Result<Vec<Written>, StoreError> {
        if let Some(After { n, is_unsure: true, .. }) = after {
            return self.told(unsure::list(&self.connection, *n, most));
        }
        let sql = format!("SELECT {COLUMNS} FROM command WHERE (app, n) > (?1, ?2) ORDER BY app, n LIMIT ?3");
        let (app, n) = after.map_or(("", 0), |after| (after.app.as_str(), after.n));
        self.told(self.connection.prepare(&sql).and_then(|mut statement| {
            let mut all: Vec<Written> =
                statement.query_map(params![app, n, most], written)?.collect::<Result<_, _>>()?;
            all.extend(unsure::list(&self.connection, 0, most - all.len())?);
            Ok(all)
        }))
    }

    /// The oldest that wait, as many as go in one delivery; and the oldest number that is kept at all.
    pub(super) fn next(&self, app: &str) -> Result<(u64, Vec<Written>), StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM command WHERE app = ?1 AND settled IS NULL ORDER BY n LIMIT ?2");
        let oldest = self.connection.query_row("SELECT min(n) FROM command WHERE app = ?1", [app], |row| {
            Ok(row.get::<_, Option<u64>>(0)?.unwrap_or(0))
        });
        let waiting: rusqlite::Result<Vec<Written>> = self
            .connection
            .prepare(&sql)
            .and_then(|mut statement| statement.query_map(params![app, limits::DELIVERY_WRITES], written)?.collect());
        let mut bytes = 0;
        let mut waiting = self.told(waiting)?;
        let fits = waiting.iter().take_while(|write| {
            bytes += write.payload.len();
            bytes <= limits::DELIVERY_BYTES
        });
        let fits = fits.count().max(1);
        waiting.truncate(fits);
        Ok((self.told(oldest)?, waiting))
    }

    fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError { path: self.path.clone(), error })
    }
}

/// Files of earlier layouts. One did not say after which commit: after none that is known. One knew no traces.
fn bring_up(connection: &Connection) -> rusqlite::Result<()> {
    if has_column(connection, "command", "was_sent")? {
        connection.execute_batch(
            "ALTER TABLE command ADD COLUMN sent_after INTEGER;
             UPDATE command SET sent_after = 0 WHERE was_sent;
             ALTER TABLE command DROP COLUMN was_sent;",
        )?;
    }
    for table in ["command", "unsure"] {
        if !has_column(connection, table, "traced")? {
            connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN traced TEXT"))?;
        }
    }
    Ok(())
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    connection.query_row(sql, [table, column], |row| row.get(0))
}

/// What is known of a key.
pub(super) enum Known {
    Nothing,
    Same(Ticket),
    Other,
}

pub(super) fn look_up(connection: &Connection, take: &ToTake) -> rusqlite::Result<Known> {
    fingerprinted(connection, "SELECT fingerprint, ticket FROM command WHERE app = ?1 AND key = ?2", take)
}

/// `sql` gives the fingerprint and the ticket kept under an app's key.
pub(super) fn fingerprinted(connection: &Connection, sql: &str, take: &ToTake) -> rusqlite::Result<Known> {
    let found: Option<([u8; 32], String)> = connection
        .query_row(sql, params![take.app, take.key.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match found {
        None => Known::Nothing,
        Some((known, ticket)) if known == *fingerprint(take).as_bytes() => Known::Same(Ticket(ticket)),
        Some(_) => Known::Other,
    })
}

/// Inside a transaction: takes it, under the app's next number.
pub(super) fn insert(connection: &Connection, take: &ToTake, now_ms: u64) -> rusqlite::Result<Ticket> {
    let grow = "INSERT INTO app (name, last_n) VALUES (?1, 1)
                ON CONFLICT (name) DO UPDATE SET last_n = last_n + 1 RETURNING last_n";
    let n: u64 = connection.query_row(grow, [&take.app], |row| row.get(0))?;
    let ticket = unguessable();
    let sql =
        "INSERT INTO command (app, n, name, payload, key, fingerprint, ticket, accepted_at_ms, sent_after, traced)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let ToTake { app, command, payload, sent_after, .. } = take;
    let (key, fingerprint, traced) = (take.key.to_string(), fingerprint(take), trace_of(take));
    let print = fingerprint.as_bytes();
    connection.execute(sql, params![app, n, command, payload, key, print, ticket, now_ms, sent_after, traced])?;
    Ok(Ticket(ticket))
}

/// As it is kept.
pub(super) fn trace_of(take: &ToTake) -> Option<String> {
    take.traced.map(|context| context.to_string())
}

/// Inside a transaction: the origin has said what became of it. Gives its ticket and weight if it waited.
pub(super) fn settle(
    connection: &Connection,
    app: &str,
    n: u64,
    settled: &Settled,
    worked_ms: u64,
) -> rusqlite::Result<Option<(Ticket, u64)>> {
    let text = serde_json::to_string(settled).expect("BUG: outcomes are plain data");
    let sql = "UPDATE command SET settled = ?3, settled_at_ms = ?4 WHERE app = ?1 AND n = ?2 AND settled IS NULL
               RETURNING ticket, octet_length(payload) + octet_length(name) + octet_length(key)";
    let waited = |row: &Row<'_>| Ok((Ticket(row.get(0)?), row.get(1)?));
    connection.prepare_cached(sql)?.query_row(params![app, n, text, worked_ms], waited).optional()
}

/// When the first of those that wait was taken.
pub(super) fn oldest_at_ms(connection: &Connection, app: &str) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT accepted_at_ms FROM command WHERE app = ?1 AND settled IS NULL ORDER BY n LIMIT 1";
    connection.query_row(sql, [app], |row| row.get(0)).optional()
}

/// Inside a transaction: those from this number on wait again. The origin, restored from an old copy, lacks them.
pub(super) fn unsettle(connection: &Connection, app: &str, from: u64) -> rusqlite::Result<usize> {
    let sql =
        "UPDATE command SET settled = NULL, settled_at_ms = NULL WHERE app = ?1 AND n >= ?2 AND settled IS NOT NULL";
    connection.execute(sql, params![app, from])
}

/// Inside a transaction: how late it is by the working clock.
pub(super) fn note_worked_ms(connection: &Connection, worked_ms: u64) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO meta (key, value) VALUES ('worked_ms', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.execute(sql, [worked_ms]).map(drop)
}

/// Inside a transaction: lets go of what was settled before.
pub(super) fn purge(connection: &Connection, before: u64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM command WHERE settled IS NOT NULL AND settled_at_ms < ?1", [before]).map(drop)
}

pub(super) fn written(row: &Row<'_>) -> rusqlite::Result<Written> {
    let unreadable = |at: usize, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, error)
    };
    let (settled, traced): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    Ok(Written {
        app: row.get(0)?,
        n: row.get(1)?,
        command: row.get(2)?,
        payload: row.get(3)?,
        key: IdempotencyKey::try_from(row.get::<_, String>(4)?).map_err(|error| unreadable(4, Box::new(error)))?,
        ticket: Ticket(row.get(5)?),
        accepted_at_ms: row.get(6)?,
        sent_after: row.get(7)?,
        is_unsure: false,
        traced: traced.and_then(|text| text.parse().ok()),
        settled: settled
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| unreadable(8, Box::new(error)))?,
    })
}
