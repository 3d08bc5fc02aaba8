//! What counting adds to a query, beside the same query without:
//! `cargo run --release -p nearside-host --example counting`

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use nearside_host::{
    bindings::edge::types::Value,
    counts::query::{Counted, Why},
    database::{Database, Reader},
    disk::Disk,
    pages::{PageStore, reads},
};
use nearside_protocol::limits::PAGE_BYTES;
use rusqlite::Connection;

const ROWS: i64 = 20_000;
const RUNS: i64 = 20_000;
const ROUNDS: usize = 9;
const BUDGET: Duration = Duration::from_secs(1);

const QUERIES: [(&str, &str); 2] = [
    ("one row by its key", "SELECT about FROM item WHERE id = ?1"),
    ("twenty rows in order", "SELECT id, about FROM item WHERE id > ?1 ORDER BY id LIMIT 20"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("made.db");
    Connection::open(&file)?.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES};
         CREATE TABLE item (id INTEGER PRIMARY KEY, about TEXT);
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {ROWS})
         INSERT INTO item SELECT n, printf('%0100d', n) FROM n;"
    ))?;
    let store = PageStore::open(&folder.path().join("store"), Disk::real())?;
    let mut draft = store.draft(None);
    for (number, page) in (0..).zip(std::fs::read(&file)?.chunks_exact(PAGE_BYTES)) {
        draft.put(number, page.try_into()?)?;
    }
    let database = Database::of(draft.table())?;
    let mut reader = database.reader()?;
    let counted = Counted::default();
    for (what, sql) in QUERIES {
        let (mut without, mut with) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            without.push(ns_a_run(|parameters| as_before(&mut reader, sql, parameters)));
            with.push(ns_a_run(|parameters| {
                let measured = reader.measured(sql, parameters, BUDGET);
                counted.count(Why::Rendering, &measured.run);
                counted.sample(parameters, &measured.run);
                black_box((measured.answer.is_ok(), measured.pages));
            }));
        }
        without.sort_by(f64::total_cmp);
        with.sort_by(f64::total_cmp);
        let (before, after) = (without[ROUNDS / 2], with[ROUNDS / 2]);
        println!("{what}: {before:.0} ns without, {after:.0} ns with counting, {:+.0} ns", after - before);
    }
    Ok(())
}

/// Run, with its pages recorded and its time taken, as a page's evidence and `Server-Timing` need.
fn as_before(reader: &mut Reader, sql: &str, parameters: &[Value]) {
    let started = Instant::now();
    let (rows, pages, _) = reads::recorded(|| reader.query(sql, parameters, BUDGET));
    black_box((rows.is_ok(), pages, started.elapsed()));
}

fn ns_a_run(mut run: impl FnMut(&[Value])) -> f64 {
    let started = Instant::now();
    for n in 0..RUNS {
        run(&[Value::Integer(n * 7_919 % ROWS)]);
    }
    started.elapsed().as_nanos() as f64 / RUNS as f64
}
