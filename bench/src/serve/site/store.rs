//! The one database: a pool of connections that read, and one that writes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::native::Reader;
use super::aside;
use crate::limits::{NATIVE_MMAP_BYTES, NATIVE_STATEMENTS, SITE_BUSY_WAIT, SITE_READER_WAIT, SITE_READERS};
use crate::queries::Queries;

/// Every reader was at work for too long: the visitor is told at once instead of waiting for ever.
#[derive(Debug)]
pub(super) struct Busy(Duration);

impl fmt::Display for Busy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "no connection was free within {:?}", self.0)
    }
}

impl std::error::Error for Busy {}

/// As many connections as may read at once, each with its statements prepared.
pub(super) struct Readers {
    path: PathBuf,
    queries: Arc<Queries>,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Arc<Semaphore>,
    asked: Arc<AtomicU64>,
}

impl Readers {
    pub(super) fn open(path: &Path, queries: Arc<Queries>, asked: Arc<AtomicU64>) -> Result<Self> {
        let idle = (0..SITE_READERS).map(|_| connect(path)).collect::<Result<Vec<_>>>()?;
        let places = Arc::new(Semaphore::new(SITE_READERS));
        Ok(Self { path: path.to_owned(), queries, idle: Arc::new(Mutex::new(idle)), places, asked })
    }

    /// Runs `read` in one transaction, so that a page is of one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = timeout(SITE_READER_WAIT, self.places.clone().acquire_owned()).await;
        let place = place.map_err(|_| Busy(SITE_READER_WAIT))?.context("BUG: the pool is closed")?;
        let (path, queries, idle, asked) =
            (self.path.clone(), self.queries.clone(), self.idle.clone(), self.asked.clone());
        aside(move || {
            let free = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            // One that was lost to a panic is opened anew.
            let connection = free.map_or_else(|| connect(&path), Ok)?;
            let transaction = connection.unchecked_transaction().context("beginning to read")?;
            let reader = Reader::new(&transaction, &queries);
            let result = read(&reader);
            asked.fetch_add(reader.asked.get(), Ordering::Relaxed);
            transaction.finish().context("ending to read")?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(place);
            result
        })
        .await
    }
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.pragma_update(None, "mmap_size", NATIVE_MMAP_BYTES)?;
        connection.busy_timeout(SITE_BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(NATIVE_STATEMENTS);
        nearside_search::register(&connection)?;
        Ok::<_, rusqlite::Error>(connection)
    };
    open().with_context(|| format!("opening {}", path.display()))
}

/// A review that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Review {
    pub(super) package: String,
    pub(super) author: String,
    pub(super) rating: u32,
    pub(super) body: String,
    /// The hash of what was sent, and what is shown of it.
    pub(super) picture: Option<String>,
    pub(super) thumbnail: Option<String>,
}

/// The connection that writes: one transaction at a time, durable when it returns.
#[derive(Clone)]
pub(super) struct Writer(Arc<Mutex<Connection>>);

impl Writer {
    pub(super) fn open(path: &Path) -> Result<Self> {
        ensure!(path.exists(), "there is no database {}", path.display());
        let open = || {
            let connection = Connection::open(path)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // As the origin has it: what was acknowledged outlives a loss of power.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "mmap_size", NATIVE_MMAP_BYTES)?;
            connection.busy_timeout(SITE_BUSY_WAIT)?;
            Ok::<_, rusqlite::Error>(connection)
        };
        let connection = open().with_context(|| format!("opening {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// Its id; none if there is no such package.
    pub(super) async fn post(&self, review: Review) -> Result<Option<i64>> {
        let writer = self.clone();
        aside(move || {
            let mut connection = writer.0.lock().unwrap_or_else(PoisonError::into_inner);
            insert(&mut connection, &review).context("writing a review")
        })
        .await
    }
}

fn insert(connection: &mut Connection, review: &Review) -> rusqlite::Result<Option<i64>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Review { package, author, rating, body, picture, thumbnail } = review;
    let known = transaction.prepare_cached("SELECT 1 FROM package WHERE name = ?1")?.query_row([package], |_| Ok(()));
    if known.optional()?.is_none() {
        return Ok(None);
    }
    let insert = "INSERT INTO review (package, author, rating, body, posted_at, picture, thumbnail)
        VALUES (?1, ?2, ?3, ?4, unixepoch(), ?5, ?6)";
    transaction.prepare_cached(insert)?.execute(params![package, author, rating, body, picture, thumbnail])?;
    let id = transaction.last_insert_rowid();
    transaction.commit()?;
    Ok(Some(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_posted_is_read_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TABLE package (name TEXT); INSERT INTO package VALUES ('vim');
                 CREATE TABLE review (id INTEGER PRIMARY KEY, package TEXT, author TEXT, rating INTEGER, body TEXT,
                     posted_at INTEGER, picture TEXT, thumbnail TEXT)",
            )
            .unwrap();
        let queries = folder.path().join("queries.sql");
        std::fs::write(&queries, "-- name: reviews\nSELECT body FROM review WHERE package = ?1;\n").unwrap();
        let asked = Arc::new(AtomicU64::new(0));
        let writer = Writer::open(&path).unwrap();
        let readers = Readers::open(&path, Arc::new(Queries::read(&queries).unwrap()), asked.clone()).unwrap();
        let review = |package: &str| Review {
            package: package.to_owned(),
            author: "Ann".to_owned(),
            rating: 5,
            body: "Good.".to_owned(),
            picture: None,
            thumbnail: None,
        };
        assert_eq!(writer.post(review("vim")).await.unwrap(), Some(1));
        assert_eq!(writer.post(review("emacs")).await.unwrap(), None);
        let read = |reader: &Reader<'_>| {
            let mut bodies: Vec<String> = Vec::new();
            reader.rows("reviews", ["vim"], |row| {
                bodies.push(row.get(0)?);
                Ok(())
            })?;
            Ok(bodies)
        };
        for _ in 0..2 * SITE_READERS {
            assert_eq!(readers.read(read).await.unwrap(), ["Good."]);
        }
        assert_eq!(asked.load(Ordering::Relaxed), 2 * SITE_READERS as u64);
    }
}
