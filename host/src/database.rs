//! A snapshot opened for reading: a file, and the connections that have been opened on it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use nearside_protocol::{limits, queries::Query};
use rusqlite::{Connection, OpenFlags};

use crate::{
    bindings::edge::types::{Rows, SqlError, Value},
    sql::{self, Examined, Grant, Guarded},
};

/// How the file behaves while it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A snapshot: no one ever writes to it.
    Immutable,
    /// The origin's own read database, which grows while it is read; each reader stays at the moment it began.
    Live,
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0}: {1}")]
    Open(PathBuf, rusqlite::Error),
    #[error("queries.sql:{line}: query `{name}`: {why}")]
    Query { name: String, line: usize, why: String },
}

/// A snapshot and its idle connections.
pub struct Database {
    path: PathBuf,
    mode: Mode,
    idle: Mutex<Vec<Guarded>>,
}

/// A named query, as this snapshot's schema understands it.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub sql: Arc<str>,
    pub examined: Examined,
}

pub type PreparedQueries = BTreeMap<String, Prepared>;

impl Database {
    pub fn open(path: &Path, mode: Mode) -> Result<Arc<Database>, DatabaseError> {
        let database = Database { path: path.to_owned(), mode, idle: Mutex::default() };
        let first = database.connect()?;
        database.give_back(first);
        Ok(Arc::new(database))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every named query, prepared; the first that cannot be is the error.
    pub fn prepare(&self, queries: &BTreeMap<String, Query>) -> Result<PreparedQueries, DatabaseError> {
        let mut connection = self.take()?;
        let mut prepared = PreparedQueries::new();
        for query in queries.values() {
            let refuse = |why: String| DatabaseError::Query { name: query.name.clone(), line: query.line, why };
            let examined = connection.examine(&query.sql).map_err(|error| refuse(sql::describe(&error).to_owned()))?;
            if !examined.read_only {
                return Err(refuse("it changes something: at a node, queries only read".into()));
            }
            prepared.insert(query.name.clone(), Prepared { sql: query.sql.as_str().into(), examined });
        }
        self.give_back(connection);
        Ok(prepared)
    }

    /// A connection for one request, pinned to one moment.
    pub fn reader(self: &Arc<Self>) -> Result<Reader, DatabaseError> {
        let mut connection = self.take()?;
        if self.mode == Mode::Live {
            connection
                .trusted(|connection| connection.execute_batch("BEGIN"))
                .map_err(|error| DatabaseError::Open(self.path.clone(), error))?;
        }
        Ok(Reader { database: self.clone(), connection: Some(connection) })
    }

    fn take(&self) -> Result<Guarded, DatabaseError> {
        let idle = self.idle.lock().expect("BUG: nothing panics while holding the pool").pop();
        idle.map_or_else(|| self.connect(), Ok)
    }

    fn give_back(&self, connection: Guarded) {
        let mut idle = self.idle.lock().expect("BUG: nothing panics while holding the pool");
        if idle.len() < limits::SQL_IDLE_CONNECTIONS {
            idle.push(connection);
        }
    }

    fn connect(&self) -> Result<Guarded, DatabaseError> {
        let connect = || {
            let options = match self.mode {
                Mode::Immutable => "immutable=1",
                Mode::Live => "mode=ro",
            };
            let uri = format!("file:{}?{options}", uri_path(&self.path));
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(uri, flags)?;
            connection.pragma_update(None, "mmap_size", limits::DATABASE_BYTES as i64)?;
            connection.pragma_update(None, "cache_size", -limits::SQL_CACHE_KIB)?;
            // A sort that does not fit the cache goes to a file, so that no query can hold more memory than that.
            connection.pragma_update(None, "temp_store", "FILE")?;
            connection.pragma_update(None, "query_only", true)?;
            Guarded::new(connection, Grant::Read)
        };
        connect().map_err(|error| DatabaseError::Open(self.path.clone(), error))
    }
}

/// `%`, `?` and `#` mean something else in SQLite's file URIs.
fn uri_path(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// A connection on loan to one request.
pub struct Reader {
    database: Arc<Database>,
    connection: Option<Guarded>,
}

impl Reader {
    pub fn query(&mut self, sql: &str, parameters: &[Value], budget: Duration) -> Result<Rows, SqlError> {
        self.connection.as_mut().expect("BUG: only drop takes the connection").query(sql, parameters, budget)
    }

    /// For the host's own questions.
    pub fn trusted<T>(&mut self, work: impl FnOnce(&mut Connection) -> T) -> T {
        self.connection.as_mut().expect("BUG: only drop takes the connection").trusted(work)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut connection = self.connection.take().expect("BUG: a reader is dropped once");
        let ended = match self.database.mode {
            Mode::Immutable => Ok(()),
            Mode::Live => connection.trusted(|connection| connection.execute_batch("ROLLBACK")),
        };
        // A connection that cannot end its transaction is not for the next request.
        if ended.is_ok() {
            self.database.give_back(connection);
        }
    }
}
