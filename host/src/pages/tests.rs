//! Random histories against a plain model; SQLite on top; damage; and every state a loss of power can leave.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use nearside_protocol::{
    digest::{Digest, PageTree},
    key::{KeyId, SecretKey},
    limits::PAGE_BYTES,
    page_object::Page,
    release::{ReleaseId, SignedManifest},
};
use proptest::prelude::*;
use rusqlite::Connection;

use super::{Keep, PageStore, PagesError, Table, reads::ReadSet};
use crate::{
    bindings::edge::types::Value,
    database::Database,
    disk::{
        Disk, Step, Watcher,
        losing::{LosingDisk, Luck},
    },
};

const KEEP: Keep = Keep { releases: 3, strides: &[4], bytes: u64::MAX };

type Model = Vec<Page>;

fn page(seed: u64) -> Page {
    let mut page = [0; PAGE_BYTES];
    page[..8].copy_from_slice(&seed.to_le_bytes());
    page[4_000..4_008].copy_from_slice(&seed.wrapping_mul(31).to_le_bytes());
    page
}

fn root(model: &Model) -> Digest {
    let mut tree = PageTree::default();
    model.iter().for_each(|page| tree.add(page));
    tree.root()
}

fn id(seq: u64) -> ReleaseId {
    ReleaseId { epoch: 1, seq }
}

/// Only what the store looks at; whether it is to be trusted is not its affair.
fn signed(seq: u64, root: Digest) -> SignedManifest {
    let key: KeyId = SecretKey::from_seed([1; 32]).public().id();
    let manifest = format!(r#"{{"release":"{}","root":"{root}"}}"#, id(seq));
    SignedManifest { key, signature: String::new(), manifest }
}

fn push(store: &PageStore, seq: u64, model: &Model) {
    let newest = store.newest().map(|kept| kept.table);
    let mut draft = store.draft(newest.as_ref());
    draft.resize(model.len() as u32);
    for (number, page) in model.iter().enumerate() {
        draft.put(number as u32, page).unwrap();
    }
    assert_eq!(draft.root(), root(model));
    store.commit(draft, id(seq), signed(seq, root(model)), KEEP).unwrap();
}

fn content(table: &Table) -> Model {
    (0..table.pages())
        .map(|number| {
            let mut page = [0; PAGE_BYTES];
            table.read(number, &mut page).unwrap();
            page
        })
        .collect()
}

#[derive(Clone, Debug)]
enum Change {
    Set(u32, u64),
    Resize(u32),
}

fn history() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        6 => (0..700_u32, 0..40_u64).prop_map(|(number, seed)| Change::Set(number, seed)),
        1 => (1..700_u32).prop_map(Change::Resize),
    ];
    prop::collection::vec(prop::collection::vec(change, 0..12), 1..14)
}

fn change(model: &mut Model, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Resize(pages) => model.resize(*pages as usize, page(7)),
            Change::Set(number, seed) => {
                let at = *number as usize % model.len().max(1);
                if model.is_empty() {
                    model.push(page(0));
                }
                model[at] = page(*seed);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever was pushed is what every kept release reads, before and after a start, however long a reader stays.
    #[test]
    fn every_release_reads_as_it_was_pushed(history in history(), reopen in prop::collection::vec(any::<bool>(), 14)) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = PageStore::open(folder.path(), Disk::real()).unwrap();
        let mut model = vec![page(1); 300];
        let mut pushed: BTreeMap<u64, Model> = BTreeMap::new();
        let mut held: Vec<(Arc<Table>, Model)> = Vec::new();
        for (seq, changes) in (1..).zip(&history) {
            change(&mut model, changes);
            push(&store, seq, &model);
            pushed.insert(seq, model.clone());
            if seq % 3 == 0 {
                held.push((store.newest().unwrap().table, model.clone()));
            }
            if reopen[seq as usize - 1] {
                held.clear();
                drop(store);
                store = PageStore::open(folder.path(), Disk::real()).unwrap();
            }
            let kept = store.kept();
            prop_assert!(kept.len() <= 2 * KEEP.releases && kept.last().unwrap().release == id(seq));
            for kept in &kept {
                prop_assert!(content(&kept.table) == pushed[&kept.release.seq], "release {}", kept.release);
            }
            for (table, model) in &held {
                prop_assert!(&content(table) == model, "a reader that stayed");
            }
            for pair in kept.windows(2) {
                let (old, new) = (&pushed[&pair[0].release.seq], &pushed[&pair[1].release.seq]);
                let differ: Vec<u32> =
                    (0..new.len()).filter(|at| old.get(*at) != Some(&new[*at])).map(|at| at as u32).collect();
                prop_assert_eq!(pair[1].table.changed_since(&pair[0].table), differ);
            }
        }
        // Nothing is lost track of: what is in use is what is kept.
        held.clear();
        store.tidy();
        let slots: std::collections::BTreeSet<u32> =
            store.kept().iter().flat_map(|kept| kept.table.entries_since(None)).map(|(_, slot, _)| slot).collect();
        prop_assert_eq!(store.used_bytes(), (slots.len() * PAGE_BYTES) as u64);
    }
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = PageStore::open(folder.path(), Disk::real()).unwrap();
    push(&store, 1, &vec![page(1); 10]);
    let before = store.used_bytes();
    let mut draft = store.draft(store.newest().map(|kept| kept.table).as_ref());
    draft.put(3, &page(9)).unwrap();
    let seen = draft.table();
    draft.put(3, &page(10)).unwrap();
    draft.put(4, &page(11)).unwrap();
    assert_eq!(content(&seen)[3], page(9), "what was shown stays");
    drop(draft);
    store.tidy();
    assert_eq!(content(&seen)[3], page(9), "as long as someone looks");
    drop(seen);
    store.tidy();
    assert_eq!(store.used_bytes(), before);
}

#[test]
fn what_is_not_whole_or_not_newer_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = PageStore::open(folder.path(), Disk::real()).unwrap();
    push(&store, 5, &vec![page(1); 4]);
    let table = store.newest().unwrap().table;
    let commit = |pages, seq| {
        let mut draft = store.draft(Some(&table));
        draft.resize(pages);
        let root = draft.root();
        store.commit(draft, id(seq), signed(seq, root), KEEP).map(|kept| kept.release)
    };
    assert!(matches!(commit(6, 6), Err(PagesError::Incomplete(2))));
    assert!(matches!(commit(4, 5), Err(PagesError::NotNewer(..))));
    assert!(matches!(commit(4, 4), Err(PagesError::NotNewer(..))));
    assert_eq!(commit(4, 6).unwrap(), id(6), "the same pages, as another release");
    assert!(PageStore::open(folder.path(), Disk::real()).is_err(), "two processes");
}

#[test]
fn retention_goes_by_bytes_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let store = PageStore::open(folder.path(), Disk::real()).unwrap();
    let keep = Keep { releases: 100, strides: &[], bytes: 250 * PAGE_BYTES as u64 };
    for seq in 1..=6 {
        let model = vec![page(seq); 100];
        let mut draft = store.draft(store.newest().map(|kept| kept.table).as_ref());
        model.iter().enumerate().for_each(|(at, page)| {
            draft.put(at as u32, page).unwrap();
        });
        store.commit(draft, id(seq), signed(seq, root(&model)), keep).unwrap();
        assert!(store.used_bytes() <= keep.bytes, "{}", store.used_bytes());
    }
    assert_eq!(store.kept().iter().map(|kept| kept.release.seq).collect::<Vec<_>>(), [5, 6]);
}

/// A SQLite file's pages, made so that it opens as it is.
fn sqlite_pages(path: &Path) -> Model {
    fs::read(path).unwrap().as_chunks::<PAGE_BYTES>().0.to_vec()
}

#[test]
fn sqlite_reads_a_table_and_hears_of_damage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO t SELECT i, hex(randomblob(200)) FROM n;
             INSERT INTO t VALUES (9999, hex(zeroblob(50000)));
             CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words SELECT body FROM t;",
        )
        .unwrap();
    drop(connection);
    let model = sqlite_pages(&file);
    {
        let store = PageStore::open(&folder.path().join("pages"), Disk::real()).unwrap();
        push(&store, 1, &model);
    }
    let store = PageStore::open(&folder.path().join("pages"), Disk::real()).unwrap();
    let told = Arc::new(AtomicU32::new(u32::MAX));
    let tell = told.clone();
    store.on_damage(Box::new(move |_, number| tell.store(number, Ordering::Relaxed)));
    let database = Database::of(store.newest().unwrap().table).unwrap();
    let mut reader = database.reader().unwrap();
    let sum = "SELECT count(*), sum(length(body)), max(body) FROM t ORDER BY 3";
    let ask = |connection: &Connection, sql: &str| {
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    let expected = ask(&Connection::open(&file).unwrap(), sum).unwrap();
    reader.trusted(|connection| {
        assert_eq!(ask(connection, sum).unwrap(), expected);
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        assert!(connection.execute("INSERT INTO t VALUES (1, 'x')", []).is_err());
        // A sort too large for memory goes to a file of the VFS below.
        let mut sorted = connection.prepare("SELECT body FROM t ORDER BY body || id").unwrap();
        assert_eq!(sorted.query_map([], |row| row.get::<_, String>(0)).unwrap().count(), 5_001);
        let before = super::vfs::clock_reads();
        connection.query_row("SELECT date(x) FROM (SELECT 'no' || 'w' AS x)", [], |_| Ok(())).unwrap();
        assert!(super::vfs::clock_reads() > before, "a `now` that came out of a column");
    });
    drop((reader, database, store));

    // A bit of one page in the middle turns on the disk.
    let slots = folder.path().join("pages/slots");
    let mut bytes = fs::read(&slots).unwrap();
    let victim = 100;
    bytes[victim * PAGE_BYTES + 100] ^= 1;
    fs::write(&slots, bytes).unwrap();
    let store = PageStore::open(&folder.path().join("pages"), Disk::real()).unwrap();
    let tell = told.clone();
    store.on_damage(Box::new(move |_, number| tell.store(number, Ordering::Relaxed)));
    let database = Database::of(store.newest().unwrap().table).unwrap();
    let all = "SELECT count(*), sum(length(body)) + (SELECT sum(length(body)) FROM words) FROM t";
    let failed = database.reader().unwrap().trusted(|connection| ask(connection, all).unwrap_err());
    assert_eq!(failed.sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure), "{failed}");
    assert_eq!(told.load(Ordering::Relaxed), victim as u32);

    let repaired = store.repair(victim as u32, &model[victim]).unwrap();
    assert_eq!(repaired.len(), 1);
    let database = Database::of(repaired[0].table.clone()).unwrap();
    database.reader().unwrap().trusted(|connection| ask(connection, all).unwrap());
    drop((database, repaired, store));
    let store = PageStore::open(&folder.path().join("pages"), Disk::real()).unwrap();
    assert!(content(&store.newest().unwrap().table) == model, "the repair outlives a start");
}

/// Also where an index would remember a part of what it has read from the question before.
#[test]
fn a_question_on_a_used_connection_depends_on_the_pages_that_another_answer_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "CREATE VIRTUAL TABLE words USING fts5(body);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO words SELECT 'w' || i || ' ' || hex(randomblob(200)) FROM n;
             INSERT INTO words (words) VALUES ('optimize');",
        )
        .unwrap();
    let before = sqlite_pages(&file);
    let store = PageStore::open(&folder.path().join("pages"), Disk::real()).unwrap();
    push(&store, 1, &before);
    let database = Database::of(store.newest().unwrap().table).unwrap();
    let mut reader = database.reader().unwrap();
    let mut ask = |word: &str| {
        let sql = "SELECT rowid FROM words WHERE words MATCH ?1";
        let measured = reader.measured(sql, &[Value::Text(word.to_owned())], Duration::from_secs(5));
        measured.answer.unwrap();
        measured.pages
    };
    ask("w1");
    for word in ["w77", "w2500", "w4999", "nowhere"] {
        let read = ask(word);
        connection.execute("INSERT INTO words VALUES (?1)", [word]).unwrap();
        let after = sqlite_pages(&file);
        // Of the first page only what SQLite counts there.
        let is_changed = |page: &usize| before.get(*page) != after.get(*page);
        let changed: Vec<u32> = (1..after.len()).filter(is_changed).map(|page| page as u32).collect();
        let ReadSet::Pages(pages) = &read else { panic!("{word}: too many") };
        assert!(pages.iter().any(|page| changed.contains(page)), "{word}: {read:?} and {changed:?}");
    }
}

/// Remembers every step.
#[derive(Default)]
struct Steps(Mutex<Vec<Step>>);

impl Watcher for Steps {
    fn saw(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

/// After every step of some applies, each with several choices of what of the un-synced was lost: the store opens, the
/// newest release is the last one acknowledged or the one under way, and each of its pages is right.
#[test]
fn a_disk_that_loses_what_was_not_synced_loses_no_release() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Arc::new(Steps::default());
    let store = PageStore::open(folder.path(), Disk::watched(steps.clone())).unwrap();
    let mut models = vec![Vec::new()];
    let mut acknowledged = vec![0];
    let mut model: Model = (0..40).map(page).collect();
    for seq in 1..=6_u64 {
        for at in 0..4 {
            model[(seq as usize * 7 + at * 9) % 40] = page(seq * 100 + at as u64);
        }
        push(&store, seq, &model);
        models.push(model.clone());
        acknowledged.push(steps.0.lock().unwrap().len());
    }
    let repaired = store.repair(3, &model[3]).unwrap();
    assert_eq!(repaired.last().unwrap().release, id(6));
    drop(store);

    let steps = steps.0.lock().unwrap();
    let mut disk = LosingDisk::default();
    let mut states = 0;
    for (done, step) in steps.iter().enumerate() {
        disk.take(step);
        let least = acknowledged.iter().filter(|steps| **steps <= done + 1).count() as u64 - 1;
        for way in 0..6 {
            let scratch = tempfile::tempdir().unwrap();
            disk.found(folder.path(), scratch.path(), Luck::new(way, done as u64)).unwrap();
            let found = PageStore::open(scratch.path(), Disk::real()).unwrap();
            states += 1;
            let newest = found.newest().map_or(0, |kept| kept.release.seq);
            assert!(newest == least || newest == least + 1, "step {done}, way {way}: {newest}, acknowledged {least}");
            if let Some(kept) = found.newest() {
                assert!(content(&kept.table) == models[newest as usize], "step {done}, way {way}: a wrong page");
            }
            // And it goes on from there.
            let next: Model = (0..30).map(|at| page(at + 9_000)).collect();
            push(&found, 50, &next);
            assert!(content(&found.newest().unwrap().table) == next);
        }
    }
    println!("{states} states after {} steps", steps.len());
    assert!(states > 100);
}
