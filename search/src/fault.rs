//! What can go wrong, in words for the one who asked.

use rusqlite::ffi;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A row of the index does not say what the format allows. The documents themselves are not concerned.
    #[error("the search index is damaged ({0}): make it anew with INSERT INTO t(t) VALUES('rebuild')")]
    Damaged(&'static str),
    #[error("query: {what} at byte {at}; {advice}")]
    Query { what: String, at: usize, advice: &'static str },
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
}

pub type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// What has a code of SQLite's own, such as an interrupt, keeps it.
    pub fn into_sqlite(self) -> rusqlite::Error {
        let code = match self {
            Fault::Sql(error) => return error,
            Fault::Damaged(_) => ffi::SQLITE_CORRUPT_VTAB,
            Fault::Query { .. } | Fault::Refused(_) => ffi::SQLITE_ERROR,
        };
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(self.to_string()))
    }
}
