use std::{collections::BTreeMap, fs};

use rusqlite::backup::{Backup, StepResult};

use super::*;

/// A generator that gives the same each time: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

struct Fixture {
    folder: tempfile::TempDir,
    connection: Connection,
    moved: Moved,
    random: Random,
    /// What the captures so far come to.
    assembled: BTreeMap<u32, Page>,
}

fn fixture(seed: u64) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;
             PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL; PRAGMA cache_size = 20;
             CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
             CREATE INDEX item_name ON item (name);
             CREATE VIRTUAL TABLE words USING fts5(name, content = '');",
        )
        .unwrap();
    let moved = Moved::follow_from(&connection, &path).unwrap();
    Fixture { folder, connection, moved, random: Random(seed), assembled: BTreeMap::new() }
}

impl Fixture {
    fn change(&mut self) {
        let (id, bytes) = (self.random.below(400), self.random.below(9_000));
        let sql = match self.random.below(10) {
            0..4 => format!(
                "INSERT OR REPLACE INTO item VALUES ({id}, hex(randomblob(6)), randomblob({bytes}));
                 INSERT INTO words (name) SELECT name FROM item WHERE id = {id};"
            ),
            4 => format!("UPDATE item SET name = name || 'x' WHERE id % 17 = {id} % 17"),
            5 => format!("DELETE FROM item WHERE id BETWEEN {id} AND {id} + 40"),
            6 => format!("PRAGMA incremental_vacuum({})", 1 + id / 4),
            // Larger than the cache: its frames are in the log before anyone knows that it comes to nothing.
            7 => "BEGIN; UPDATE item SET body = randomblob(5000); ROLLBACK".to_owned(),
            8 => format!(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
                 INSERT INTO item (name, body) SELECT 'n' || i, randomblob({bytes}) FROM n"
            ),
            _ => ["PASSIVE", "FULL", "RESTART", "TRUNCATE"].map(|kind| format!("PRAGMA wal_checkpoint({kind})"))
                [self.random.below(4) as usize]
                .clone(),
        };
        self.connection.execute_batch(&sql).unwrap();
        self.moved.follow(&self.connection).unwrap();
    }

    /// Lays a capture over what there is; gives how many pages it gave.
    fn capture(&mut self, since: Since, keep: bool) -> usize {
        let capture = self.moved.capture(since);
        let mut given = BTreeMap::new();
        capture
            .each(|number, page| {
                assert!(given.insert(number, *page).is_none());
                Ok::<_, CaptureError>(())
            })
            .unwrap();
        let count = given.len();
        if keep {
            let page_count = capture.page_count();
            self.assembled.extend(given);
            self.assembled.retain(|number, _| *number < page_count);
        }
        count
    }

    fn assert_equal(&self) {
        let copy = self.folder.path().join("copy.db");
        let _ = fs::remove_file(&copy);
        let mut to = Connection::open(&copy).unwrap();
        to.execute_batch("PRAGMA journal_mode = OFF").unwrap();
        assert_eq!(Backup::new(&self.connection, &mut to).unwrap().step(-1).unwrap(), StepResult::Done);
        drop(to);
        let expected = fs::read(&copy).unwrap();
        let assembled: Vec<u8> = self.assembled.values().flatten().copied().collect();
        assert_eq!(assembled.len(), expected.len());
        for (number, (ours, theirs)) in assembled.chunks(PAGE_BYTES).zip(expected.chunks(PAGE_BYTES)).enumerate() {
            let mut theirs = theirs.to_vec();
            if number == 0 {
                // A copy counts as a change of the file and of its schema; and it has another journal.
                for kept in [18..20, 24..28, 40..44, 92..100] {
                    theirs[kept.clone()].copy_from_slice(&ours[kept]);
                }
            }
            assert!(ours == theirs, "page {number}");
        }
        let ours = self.folder.path().join("assembled.db");
        fs::write(&ours, assembled).unwrap();
        let opened = crate::snapshot::open_immutable(&ours).unwrap();
        assert_eq!(opened.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    }
}

#[test]
fn captures_come_to_the_database_whatever_was_done_to_it() {
    for seed in 1..=6 {
        let mut fixture = fixture(seed);
        fixture.capture(Since::Unknown, true);
        fixture.assert_equal();
        let mut kept = true;
        for _ in 0..40 {
            (0..fixture.random.below(6)).for_each(|_| fixture.change());
            let since = match (fixture.random.below(12), kept) {
                (0, _) => Since::Unknown,
                (_, true) => Since::LastCapture,
                (_, false) => Since::BeforeLastCapture,
            };
            kept = fixture.random.below(4) > 0;
            fixture.capture(since, kept);
            if kept {
                fixture.assert_equal();
            }
        }
    }
}

#[test]
fn a_small_change_of_a_large_database_gives_few_pages() {
    let mut fixture = fixture(1);
    fixture
        .connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO item (name, body) SELECT 'n' || i, randomblob(3000) FROM n",
        )
        .unwrap();
    fixture.moved.follow(&fixture.connection).unwrap();
    assert!(fixture.capture(Since::Unknown, true) > 3_000);
    assert_eq!(fixture.capture(Since::LastCapture, true), 0);
    for checkpoint in ["PASSIVE", "RESTART", "TRUNCATE"] {
        fixture.connection.execute_batch("UPDATE item SET body = randomblob(3000) WHERE id = 1500").unwrap();
        fixture.moved.follow(&fixture.connection).unwrap();
        fixture.connection.execute_batch(&format!("PRAGMA wal_checkpoint({checkpoint})")).unwrap();
        fixture.moved.follow(&fixture.connection).unwrap();
        let given = fixture.capture(Since::LastCapture, true);
        assert!((1..5).contains(&given), "{given} pages");
        fixture.assert_equal();
    }
}

#[test]
fn a_log_that_was_there_before_is_read_too() {
    let mut fixture = fixture(1);
    (0..20).for_each(|_| fixture.change());
    let path = fixture.folder.path().join("read.db");
    fixture.moved = Moved::follow_from(&fixture.connection, &path).unwrap();
    fixture.capture(Since::LastCapture, true);
    fixture.assert_equal();
}

#[test]
fn what_is_too_much_to_list_is_everything() {
    let mut pages = Pages::none();
    (0..=MOVED_PAGES as u32).for_each(|page| pages.add(page));
    assert_eq!(pages, Pages::All);
    let mut these = Pages::none();
    these.add(3);
    these.add_all(Pages::All);
    assert_eq!(these, Pages::All);
}
