//! What the native contenders share: statements prepared once, on read-only connections; and, on a file that does not
//! change, one of them for each thread.

use std::cell::{Cell, RefCell};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use rusqlite::{CachedStatement, Connection, OpenFlags, Params, Row};

use super::Answer;
use crate::args::Native;
use crate::limits::{NATIVE_MMAP_BYTES, NATIVE_STATEMENTS};
use crate::queries::Queries;
use crate::request::percent_encode;

thread_local! {
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// The file and the app's statements.
#[derive(Debug)]
pub struct Database {
    uri: String,
    queries: Queries,
}

/// A connection for one request.
#[derive(Debug)]
pub struct Reader<'c> {
    connection: &'c Connection,
    queries: &'c Queries,
    /// How many statements it has run.
    pub asked: Cell<u64>,
}

impl Database {
    /// Prepares the statements named, so that a wrong file is refused before the first request.
    pub fn open(args: &Native, names: &[&str]) -> Result<Self> {
        ensure!(args.db.exists(), "there is no database {}", args.db.display());
        let database = Self { uri: uri(&args.db), queries: Queries::read(&args.app.join("queries.sql"))? };
        database.read(|reader| names.iter().try_for_each(|name| reader.statement(name).map(drop)))?;
        Ok(database)
    }

    pub fn read<T>(&self, read: impl FnOnce(&Reader<'_>) -> Result<T>) -> Result<T> {
        CONNECTION.with_borrow_mut(|slot| {
            let connection = match slot {
                Some(connection) => connection,
                None => slot.insert(connect(&self.uri)?),
            };
            read(&Reader::new(connection, &self.queries))
        })
    }
}

impl<'c> Reader<'c> {
    pub fn new(connection: &'c Connection, queries: &'c Queries) -> Self {
        Self { connection, queries, asked: Cell::new(0) }
    }

    fn statement(&self, name: &str) -> Result<CachedStatement<'c>> {
        let text = self.queries.get(name)?;
        self.connection.prepare_cached(text).with_context(|| format!("preparing {name}"))
    }

    /// Calls `each` with every row of the named statement; true if there was any.
    pub fn rows(
        &self,
        name: &str,
        parameters: impl Params,
        mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<bool> {
        let mut statement = self.statement(name)?;
        self.asked.update(|asked| asked + 1);
        let run = || {
            let mut rows = statement.query(parameters)?;
            let mut any = false;
            while let Some(row) = rows.next()? {
                each(row)?;
                any = true;
            }
            Ok::<_, rusqlite::Error>(any)
        };
        run().with_context(|| format!("running {name}"))
    }
}

/// `immutable` spares each query its locks: a release never changes, and the limit should do nothing it need not do.
fn uri(path: &Path) -> String {
    let path = path.display().to_string();
    let segments: Vec<String> = path.split('/').map(percent_encode).collect();
    format!("file:{}?immutable=1", segments.join("/"))
}

fn connect(uri: &str) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let open = || {
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.pragma_update(None, "mmap_size", NATIVE_MMAP_BYTES)?;
        connection.set_prepared_statement_cache_capacity(NATIVE_STATEMENTS);
        nearside_search::register(&connection)?;
        Ok::<_, rusqlite::Error>(connection)
    };
    open().with_context(|| format!("opening {uri}"))
}

/// The body, a 404 for none, a 500 with the reason: the harness counts both as failures.
pub fn answer(content_type: &'static str, body: Result<Option<Vec<u8>>>) -> Answer {
    let (status, body) = match body {
        Ok(Some(body)) => (StatusCode::OK, body),
        Ok(None) => (StatusCode::NOT_FOUND, Vec::new()),
        Err(error) => {
            eprintln!("{error:#}");
            (StatusCode::INTERNAL_SERVER_ERROR, Vec::new())
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
