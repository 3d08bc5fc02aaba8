use rusqlite::Connection;

use super::*;

/// A table in WAL mode that syncs as told, and one row a commit.
fn commits(folder: &Path, synchronous: &str, count: u32) -> (Connection, Vec<usize>, Watched) {
    let watched = Watched::folder(folder);
    let connection = Connection::open(folder.canonicalize().unwrap().join("a.db")).unwrap();
    let settings = format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 7;
         CREATE TABLE t (n INTEGER PRIMARY KEY, filler); PRAGMA wal_checkpoint(TRUNCATE);"
    );
    connection.execute_batch(&settings).unwrap();
    let done = (0..count).map(|n| {
        connection.execute("INSERT INTO t VALUES (?1, zeroblob(2000))", [n]).unwrap();
        watched.taken()
    });
    let done = done.collect();
    (connection, done, watched)
}

/// How many rows are there after a crash; nothing if the database is broken.
fn rows(watched: &Watched, steps: usize, loss: Loss) -> Option<u32> {
    let folder = tempfile::tempdir().unwrap();
    watched.image(steps, loss).lay(watched, folder.path()).unwrap();
    let connection = Connection::open(folder.path().join("a.db")).unwrap();
    let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).ok()?;
    assert_eq!(check, "ok");
    let count = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).ok()?;
    let rows: Vec<u32> = connection
        .prepare("SELECT n FROM t ORDER BY n")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .ok()?;
    assert!(rows.iter().copied().eq(0..count), "no row without those before it");
    Some(count)
}

/// Of all crash points after the first commit, and several losses at each: how many lack a row whose commit had returned.
fn lost(synchronous: &str) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let (_connection, done, watched) = commits(folder.path(), synchronous, 12);
    let losses = [Loss::Everything, Loss::Nothing, Loss::Some(1), Loss::Some(2), Loss::Some(3)];
    let mut points = 0;
    let mut lost = 0;
    for steps in done[0]..=watched.taken() {
        let acknowledged = done.iter().filter(|at| **at <= steps).count() as u32;
        for loss in losses {
            points += 1;
            lost += usize::from(rows(&watched, steps, loss).is_none_or(|rows| rows < acknowledged));
        }
    }
    (lost, points)
}

#[test]
fn what_sqlite_syncs_is_there_and_what_it_does_not_is_missed() {
    let (lost_full, points) = lost("FULL");
    assert_eq!(lost_full, 0, "of {points}");
    let (lost_normal, points) = lost("NORMAL");
    assert!(lost_normal > 0, "of {points}");
}

#[test]
fn it_fails_when_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let (connection, _, watched) = commits(folder.path(), "FULL", 3);
    let insert = |n: u32| connection.execute("INSERT INTO t VALUES (?1, zeroblob(2000))", [n]);
    watched.fail_syncs_after(Some(0));
    assert!(insert(3).unwrap_err().to_string().contains("disk I/O error"));
    watched.fail_syncs_after(None);
    insert(3).unwrap();
    watched.full_after(Some(0));
    let full = (4..40).map(insert).find_map(Result::err);
    assert!(full.unwrap().to_string().contains("full"));
    watched.full_after(None);
    insert(90).unwrap();
}
