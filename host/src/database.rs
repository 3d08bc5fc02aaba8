//! A snapshot opened for reading, and the connections that have been opened on it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use nearside_protocol::{limits, queries::Query};
use nearside_search::Memory;
use rusqlite::{Connection, OpenFlags};

use crate::{
    bindings::edge::types::{FlatRows, SqlError, Value},
    counts::run::{Measured, Run},
    pages::{
        Table, reads,
        vfs::{self, Shelf},
    },
    sql::{self, Examined, Grant, Guarded},
};

/// What is read.
enum Source {
    /// The pages of a release: no one ever changes them.
    Pages { table: Arc<Table>, shelf: Shelf },
    /// The origin's own read database, which grows while it is read; each reader stays at the moment it began.
    Live(PathBuf),
}

#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("{0} cannot be read: {1}")]
    Open(String, rusqlite::Error),
    #[error("queries.sql:{line}: query `{name}`: {why}")]
    Query { name: String, line: usize, why: String },
}

/// A snapshot and its idle connections.
pub struct Database {
    source: Source,
    idle: Mutex<Vec<Idle>>,
    /// What search indexes need to have in memory, once for all connections.
    search: Arc<Memory>,
}

/// A connection that nobody uses now.
struct Idle {
    connection: Guarded,
    since: Instant,
}

/// A named query, as this snapshot's schema understands it.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub sql: Arc<str>,
    pub examined: Examined,
    /// Its place among the queries, by name.
    pub index: usize,
}

pub type PreparedQueries = BTreeMap<String, Prepared>;

impl Database {
    /// Opens a release's pages.
    pub fn of(table: Arc<Table>) -> Result<Arc<Database>, DatabaseError> {
        Database::following(table, None)
    }

    /// Opens the pages of a release after another one of the same app: what its search indexes keep in memory goes on from
    /// there.
    pub fn following(table: Arc<Table>, before: Option<&Database>) -> Result<Arc<Database>, DatabaseError> {
        let shelf = Shelf::put(table.clone()).map_err(|error| DatabaseError::Open(name_of(&table), error))?;
        let search = before.map_or_else(Memory::default, |before| Memory::following(&before.search));
        Database::open(Source::Pages { table, shelf }, search)
    }

    /// Opens the origin's own read database.
    pub fn live(path: &Path) -> Result<Arc<Database>, DatabaseError> {
        Database::open(Source::Live(path.to_owned()), Memory::default())
    }

    fn open(source: Source, search: Memory) -> Result<Arc<Database>, DatabaseError> {
        let database = Database { source, idle: Mutex::default(), search: Arc::new(search) };
        let first = database.connect()?;
        database.give_back(first);
        Ok(Arc::new(database))
    }

    /// Opens connections ahead, so that the first requests find them.
    pub fn warm(&self, connections: usize) -> Result<(), DatabaseError> {
        (self.idle_connections()..connections)
            .try_for_each(|_| self.connect().map(|connection| self.give_back(connection)))
    }

    /// Connections that were in use and may be again.
    pub fn idle_connections(&self) -> usize {
        self.idle.lock().expect("BUG: nothing panics while holding the pool").len()
    }

    /// Closes connections that nobody has needed for so long; one stays for whoever comes next.
    pub fn let_go(&self, idle_for: Duration) {
        let mut idle = self.idle.lock().expect("BUG: nothing panics while holding the pool");
        // The one given back last is taken first, so the others stand in the order in which they were needed.
        let spare = idle.len().saturating_sub(1);
        let gone = idle[..spare].iter().take_while(|idle| idle.since.elapsed() >= idle_for).count();
        let gone: Vec<Idle> = idle.drain(..gone).collect();
        drop(idle);
        // Closed where nobody waits for the lock.
        drop(gone);
    }

    /// What its search indexes have in memory, for all connections together.
    pub fn search_memory_bytes(&self) -> u64 {
        self.search.bytes() as u64
    }

    pub fn table(&self) -> Option<&Arc<Table>> {
        match &self.source {
            Source::Pages { table, .. } => Some(table),
            _ => None,
        }
    }

    /// Every named query, prepared; the first that cannot be is the error.
    pub fn prepare(&self, queries: &BTreeMap<String, Query>) -> Result<PreparedQueries, DatabaseError> {
        let mut connection = self.take()?;
        let mut prepared = PreparedQueries::new();
        for (index, query) in queries.values().enumerate() {
            let refuse = |why: String| DatabaseError::Query { name: query.name.clone(), line: query.line, why };
            let examined = connection.examine(&query.sql).map_err(|error| refuse(sql::describe(&error).to_owned()))?;
            if !examined.read_only {
                return Err(refuse("it changes something: at a node, queries only read".into()));
            }
            prepared.insert(query.name.clone(), Prepared { sql: query.sql.as_str().into(), examined, index });
        }
        self.give_back(connection);
        Ok(prepared)
    }

    /// A connection for one request, pinned to one moment.
    pub fn reader(self: &Arc<Self>) -> Result<Reader, DatabaseError> {
        let mut connection = self.take()?;
        if matches!(self.source, Source::Live(_)) {
            let began = connection.trusted(|connection| connection.execute_batch("BEGIN"));
            began.map_err(|error| DatabaseError::Open(self.name(), error))?;
        }
        Ok(Reader { database: self.clone(), connection: Some(connection) })
    }

    fn take(&self) -> Result<Guarded, DatabaseError> {
        let idle = self.idle.lock().expect("BUG: nothing panics while holding the pool").pop();
        idle.map_or_else(|| self.connect(), |idle| Ok(idle.connection))
    }

    fn give_back(&self, connection: Guarded) {
        let mut idle = self.idle.lock().expect("BUG: nothing panics while holding the pool");
        if idle.len() < limits::SQL_IDLE_CONNECTIONS {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }

    fn connect(&self) -> Result<Guarded, DatabaseError> {
        let connect = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = match &self.source {
                Source::Pages { shelf, .. } => Connection::open_with_flags_and_vfs(shelf.uri(), flags, vfs::NAME)?,
                Source::Live(path) => Connection::open_with_flags(format!("file:{}?mode=ro", uri_path(path)), flags)?,
            };
            connection.pragma_update(None, "mmap_size", limits::DATABASE_BYTES as i64)?;
            connection.pragma_update(None, "cache_size", -limits::SQL_CACHE_KIB)?;
            // A sort that does not fit the cache goes to a file, so that no query can hold more memory than that.
            connection.pragma_update(None, "temp_store", "FILE")?;
            connection.pragma_update(None, "query_only", true)?;
            nearside_search::register_sharing(&connection, self.search.clone())?;
            if matches!(self.source, Source::Pages { .. }) && !remembers(&connection)? {
                // Pages of a release never change, so there is nothing to look at again before each statement. Where an error
                // ends this transaction, there is one a statement, as ever.
                connection.execute_batch("BEGIN")?;
            }
            Guarded::new(connection, Grant::Read)
        };
        connect().map_err(|error| DatabaseError::Open(self.name(), error))
    }

    fn name(&self) -> String {
        match &self.source {
            Source::Pages { table, .. } => name_of(table),
            Source::Live(path) => path.display().to_string(),
        }
    }
}

/// Whether a virtual table may keep what it has read for the next statement, as FTS5 does with the list of its segments until
/// another transaction begins. Then a statement's pages would not be all that its answer depends on. Our own notes them each time.
fn remembers(connection: &Connection) -> rusqlite::Result<bool> {
    const VIRTUAL: &str = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND rootpage = 0";
    let mut statement = connection.prepare(VIRTUAL)?;
    let mut tables = statement.query([])?;
    while let Some(table) = tables.next()? {
        if module(&table.get::<_, String>(0)?) != Some(OURS) {
            return Ok(true);
        }
    }
    Ok(false)
}

const OURS: &str = "nearside_search";

/// What stands behind USING, where that is as clear as it usually is.
fn module(sql: &str) -> Option<&str> {
    let rest = sql.strip_prefix("CREATE VIRTUAL TABLE ")?;
    let name_bytes = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let rest = rest[name_bytes..].trim_start();
    let (using, rest) = rest.split_at_checked("USING".len())?;
    let module = rest.trim_start();
    let end = module.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(module.len());
    using.eq_ignore_ascii_case("USING").then_some(&module[..end])
}

fn name_of(table: &Table) -> String {
    format!("snapshot {}", table.root().short())
}

/// `%`, `?` and `#` mean something else in SQLite's file URIs.
pub fn uri_path(path: &Path) -> String {
    path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

/// A connection on loan to one request.
pub struct Reader {
    database: Arc<Database>,
    connection: Option<Guarded>,
}

impl Reader {
    pub fn query(&mut self, sql: &str, parameters: &[Value], budget: Duration) -> Result<FlatRows, SqlError> {
        self.connection.as_mut().expect("BUG: only drop takes the connection").query(sql, parameters, budget)
    }

    /// The same, with the pages it was read from and what it took.
    pub fn measured(
        &mut self,
        sql: &str,
        parameters: &[Value],
        budget: Duration,
    ) -> Measured<Result<FlatRows, SqlError>> {
        let connection = self.connection.as_mut().expect("BUG: only drop takes the connection");
        let started = Instant::now();
        let ((answer, steps), pages, extent) = reads::recorded(|| {
            // Which tables there are is read from it, once a connection.
            reads::note(0);
            connection.counted(sql, parameters, budget)
        });
        let time = started.elapsed();
        let rows = answer.as_ref().ok().map(|rows| rows.count() as u64);
        let run = Run { time, rows, pages: extent.pages, fetches: extent.fetches, steps };
        Measured { answer, pages, run }
    }

    /// For the host's own questions.
    pub fn trusted<T>(&mut self, work: impl FnOnce(&mut Connection) -> T) -> T {
        self.connection.as_mut().expect("BUG: only drop takes the connection").trusted(work)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut connection = self.connection.take().expect("BUG: a reader is dropped once");
        let ended = match self.database.source {
            Source::Pages { .. } => Ok(()),
            Source::Live(_) => connection.trusted(|connection| connection.execute_batch("ROLLBACK")),
        };
        // A connection that cannot end its transaction is not for the next request.
        if ended.is_ok() {
            self.database.give_back(connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_nobody_needs_are_closed_but_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (x)").unwrap();
        let database = Database::live(&path).unwrap();
        let readers: Vec<Reader> = (0..3).map(|_| database.reader().unwrap()).collect();
        assert_eq!(database.idle_connections(), 0);
        drop(readers);
        database.let_go(Duration::from_secs(60));
        assert_eq!(database.idle_connections(), 3);
        database.let_go(Duration::ZERO);
        database.let_go(Duration::ZERO);
        assert_eq!(database.idle_connections(), 1);
        assert!(database.reader().unwrap().query("SELECT x FROM a", &[], Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn our_own_virtual_tables_are_told_from_others() {
        for (sql, expected) in [
            ("CREATE VIRTUAL TABLE words USING nearside_search(a)", Some("nearside_search")),
            ("CREATE VIRTUAL TABLE words using\n fts5(a)", Some("fts5")),
            ("CREATE VIRTUAL TABLE \"using nearside_search\" USING fts5(a)", None),
        ] {
            assert_eq!(module(sql), expected);
        }
    }
}
