//! A service that writes the way most do: hyper in front of one connection to SQLite, statements prepared, a commit for
//! each write.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use rusqlite::{Connection, params};

use super::{Answer, serve_async};
use crate::args::ServeWrite;
use crate::limits::WRITE_BODY_BYTES;

/// As the app's store has them, with the origin's settings.
const TABLES: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE \"left\" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE \"right\" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE answered (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO \"left\" VALUES (1, 0);
INSERT INTO \"right\" VALUES (1, 0);
";

/// The store of one process, which makes one commit a write.
#[derive(Debug)]
pub struct Store(Connection);

impl Store {
    pub fn make(path: &Path) -> Result<Self> {
        let connection = Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
        connection.execute_batch(TABLES).context("making the store")?;
        Ok(Self(connection))
    }

    /// What the app's command does, and what makes it be done once; durable when this returns.
    pub fn bump(&mut self, key: &str, by: i64) -> Result<i64> {
        let transaction = self.0.transaction()?;
        transaction.prepare_cached("UPDATE \"left\" SET n = n + ?1")?.execute([by])?;
        transaction.prepare_cached("UPDATE \"right\" SET n = n + ?1")?.execute([by])?;
        let n: i64 = transaction.prepare_cached("SELECT n FROM \"left\"")?.query_row([], |row| row.get(0))?;
        let record = "INSERT INTO answered (key, reply) VALUES (?1, ?2)";
        transaction.prepare_cached(record)?.execute(params![key, format!("{{\"n\":{n}}}")])?;
        transaction.commit()?;
        Ok(n)
    }
}

pub fn run(args: &ServeWrite) -> Result<()> {
    let store = Arc::new(Mutex::new(Store::make(&args.db)?));
    serve_async(&args.listen, move |request| {
        let store = store.clone();
        async move {
            let key = request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned);
            let body = Limited::new(request.into_body(), WRITE_BODY_BYTES).collect().await;
            let work = move || {
                let payload: serde_json::Value = serde_json::from_slice(&body.ok()?.to_bytes()).ok()?;
                let mut store = store.lock().ok()?;
                store.bump(&key?, payload["by"].as_i64()?).ok()
            };
            // Waiting for the disk on a thread that serves others would hold them up.
            answer(tokio::task::spawn_blocking(work).await.ok().flatten())
        }
    })
}

fn answer(n: Option<i64>) -> Answer {
    let body = n.map(|n| format!("{{\"n\":{n}}}")).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = if n.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_counted_and_no_key_twice() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::make(&folder.path().join("a.db")).unwrap();
        assert_eq!((store.bump("a", 1).unwrap(), store.bump("b", 2).unwrap()), (1, 3));
        assert!(store.bump("a", 1).is_err());
        assert_eq!(store.bump("c", 0).unwrap(), 3);
    }
}
