//! The audit: whether the read database that nodes' releases are made of is still what it would be if it were made anew.
//!
//! Nothing that works is held up: both databases are pinned at one moment by read transactions, copied, and the rest is
//! done on the copies, on a thread of the lowest priority, one app at a time. The copy of the read database first follows
//! the copy of the store, by the very log the projector follows, so that both are of one commit.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nearside_host::disk::Disk;
use nearside_protocol::{limits, status::Audited, unix_time::now_ms};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use crate::{
    compare::{self, Verdict},
    projector::Projected,
    read_database::{self, Position, ReadDatabase, ReadError, Scope, Shape},
    stage::Stage,
    store::{self, StoreError},
};

const FOLDER: &str = "audit";
const RESULT: &str = "audit.json";

/// One audit at a time, of all apps.
static ONE: Semaphore = Semaphore::const_new(1);

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the read database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the store and the read database have {bytes} bytes together; at most {most} are audited", most = limits::AUDIT_BYTES)]
    TooLarge { bytes: u64 },
    #[error("it was not done within {} s", limits::AUDIT_WORK.as_secs())]
    TooLong,
    #[error("another version of the app was installed meanwhile; ask again")]
    Moved,
    #[error("the thread does not start")]
    Thread,
}

/// What the last audit found, kept in the app's folder.
pub(crate) fn last(app_folder: &Path) -> Option<Audited> {
    serde_json::from_slice(&fs::read(app_folder.join(RESULT)).ok()?).ok()
}

/// Audits one app, and keeps what it found. Waits for others that are under way.
pub(crate) async fn run(app: &str, app_folder: &Path, projected: Projected, disk: &Disk) -> Audited {
    let _one = ONE.acquire().await;
    let (answer, reply) = tokio::sync::oneshot::channel();
    let folder = app_folder.to_owned();
    let work = move || {
        // The thread is this audit's alone, so nobody else is made to wait by that. Where it is not allowed, it is only
        // less polite.
        let _ = rustix::process::setpriority_process(None, 19);
        let _ = answer.send(audit(&folder, &projected.file, &projected.version.shape));
    };
    let begun = Instant::now();
    let started = std::thread::Builder::new().name("nearside-audit".into()).spawn(work);
    let result = match started {
        Ok(_) => reply.await.unwrap_or(Err(AuditError::Thread)),
        Err(_) => Err(AuditError::Thread),
    };
    let mut audited = Audited { at_ms: now_ms(), took_ms: begun.elapsed().as_millis() as u64, ..Audited::default() };
    match result {
        Ok((position, verdict)) => {
            audited.commit = position.commit;
            match verdict {
                Verdict::Same(same) => {
                    audited.tables = same.tables as u64;
                    audited.rows = same.rows;
                    tracing::info!(
                        app,
                        commit = position.commit,
                        rows = same.rows,
                        "the read database is what it would be if it were made anew"
                    );
                }
                Verdict::Different(difference) => {
                    tracing::error!(
                        app,
                        commit = position.commit,
                        %difference,
                        "AUDIT: the read database is not what it would be if it were made anew; `nearside check --recipe` looks for the trigger, and a push with another snapshot.sql makes it anew"
                    );
                    audited.difference = Some(difference.to_string());
                }
            }
        }
        Err(error) => {
            tracing::error!(app, cause = %error, "AUDIT: it could not be done");
            audited.failure = Some(error.to_string());
        }
    }
    let bytes = serde_json::to_vec_pretty(&audited).expect("BUG: an audit's result is plain data");
    if let Err(error) = disk.write(&app_folder.join(RESULT), &bytes) {
        tracing::warn!(app, cause = %error, "the audit's result is not kept");
    }
    audited
}

/// Copies, compares, and cleans up. Blocks.
fn audit(app_folder: &Path, read: &Path, shape: &Shape) -> Result<(Position, Verdict), AuditError> {
    let ends_at = Instant::now() + limits::AUDIT_WORK;
    let stage = Stage::set(app_folder.join(FOLDER)).map_err(|(path, error)| AuditError::Io { path, error })?;
    let (store_copy, read_copy) = (stage.folder().join(store::FILE_NAME), stage.folder().join("read.db"));
    pin_and_copy(&app_folder.join(store::FILE_NAME), read, &store_copy, &read_copy)?;
    on_copies(stage.folder(), &store_copy, &read_copy, shape, ends_at)
        .map_err(|error| if Instant::now() > ends_at { AuditError::TooLong } else { error })
}

fn pin_and_copy(store: &Path, read: &Path, store_copy: &Path, read_copy: &Path) -> Result<(), AuditError> {
    let bytes: u64 = [store, read].iter().filter_map(|file| fs::metadata(file).ok()).map(|meta| meta.len()).sum();
    if bytes > limits::AUDIT_BYTES {
        return Err(AuditError::TooLarge { bytes });
    }
    // The read database first: while it is pinned at a commit, no checkpoint of a later one is whole, so the store's
    // log is not cut off behind it.
    let read = pinned(read, "SELECT count(*) FROM _nearside_applied")?;
    let store = pinned(store, "SELECT count(*) FROM _nearside_meta")?;
    store::copy_of(&read, read_copy)?;
    drop(read);
    store::copy_of(&store, store_copy)?;
    Ok(())
}

/// A connection in a read transaction that has begun.
fn pinned(file: &Path, first: &str) -> Result<Connection, AuditError> {
    let connection = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA query_only = ON; BEGIN")?;
    connection.query_row(first, [], |_| Ok(()))?;
    Ok(connection)
}

fn on_copies(
    folder: &Path,
    store_copy: &Path,
    read_copy: &Path,
    shape: &Shape,
    ends_at: Instant,
) -> Result<(Position, Verdict), AuditError> {
    let mut kept = ReadDatabase::open(read_copy, store_copy, shape)?.ok_or(AuditError::Moved)?;
    kept.stop_at(ends_at)?;
    if let Some(damage) = compare::integrity(kept.connection())? {
        let position = read_database::position(kept.connection())?.ok_or(AuditError::Moved)?;
        return Ok((position, Verdict::Different(damage)));
    }
    // Comparing every row would mend what is to be found.
    if kept.scope()? == Scope::Everything {
        return Err(AuditError::Moved);
    }
    let position = kept.update()?;
    let mut anew = ReadDatabase::scratch(&folder.join("anew.db"), store_copy, shape)?;
    anew.stop_at(ends_at)?;
    let verdict = compare::compare(kept.connection(), anew.connection())?;
    Ok((position, verdict))
}

/// When an app that was audited then is audited next.
pub(crate) fn is_due(last: Option<&Audited>, now_ms: u64) -> bool {
    let age = last.map(|last| Duration::from_millis(now_ms.saturating_sub(last.at_ms)));
    age.is_none_or(|age| age >= limits::AUDIT_EVERY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::change_log;

    const SNAPSHOT: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, n);
        CREATE TABLE total (only INTEGER PRIMARY KEY, n); INSERT INTO total VALUES (1, 0);
        CREATE TRIGGER more AFTER INSERT ON item BEGIN UPDATE total SET n = n + new.n; END;";

    fn commit(store: &Connection, sql: &str) {
        store.execute_batch(&format!("BEGIN IMMEDIATE; {sql}")).unwrap();
        store::count_commit(store).unwrap();
        store.execute_batch("COMMIT").unwrap();
    }

    #[test]
    fn a_read_database_that_drifted_is_found_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (path, read) = (folder.path().join(store::FILE_NAME), folder.path().join("read-1.db"));
        let store = store::open(&path).unwrap();
        store.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, n)").unwrap();
        let mirror = BTreeMap::from([("item".to_owned(), vec!["id".to_owned(), "n".to_owned()])]);
        change_log::make_triggers(&store, &change_log::wanted(&mirror)).unwrap();
        let shape = Shape::new(mirror, SNAPSHOT.to_owned());
        commit(&store, "INSERT INTO item (n) VALUES (1), (2)");
        let mut kept = ReadDatabase::build(&read, &path, &shape).unwrap();
        commit(&store, "INSERT INTO item (n) VALUES (3)");

        // One commit is only in the store yet: the copy follows, the original does not.
        let (position, verdict) = audit(folder.path(), &read, &shape).unwrap();
        assert_eq!(position.commit, 2);
        assert!(matches!(verdict, Verdict::Same(same) if same.tables == 3), "{verdict:?}");
        assert_eq!(kept.position().unwrap().unwrap().commit, 1);
        assert!(!folder.path().join(FOLDER).exists());

        kept.update().unwrap();
        kept.connection().execute("UPDATE total SET n = 7", []).unwrap();
        let (_, verdict) = audit(folder.path(), &read, &shape).unwrap();
        let Verdict::Different(difference) = verdict else { panic!("{verdict:?}") };
        assert_eq!(
            (difference.place.as_str(), difference.kept.as_str(), difference.anew.as_str()),
            ("table `total`", "7", "6")
        );

        // What comparing every row would put right is not put right before anyone has looked.
        store.execute_batch("UPDATE _nearside_meta SET value = value + 1 WHERE key = 'layout'").unwrap();
        assert!(matches!(audit(folder.path(), &read, &shape), Err(AuditError::Moved)));
    }

    #[test]
    fn an_audit_is_due_a_day_after_the_last() {
        let last = Audited { at_ms: 1_000, ..Audited::default() };
        let day_ms = limits::AUDIT_EVERY.as_millis() as u64;
        assert!(is_due(None, 0) && !is_due(Some(&last), 1_000) && !is_due(Some(&last), day_ms));
        assert!(is_due(Some(&last), 1_000 + day_ms));
    }
}
