//! nearside_search beside FTS5 in one process: `cargo run --release -p nearside-search --example compare -- 100000`.

mod documents;
mod pages;

use std::time::{Duration, Instant};

use documents::{Chance, Class, Document, classes, document};
use rusqlite::{Connection, params};

/// FTS5 is slow on common words: a class gets no more time than this.
const CLASS_TIME: Duration = Duration::from_secs(6);

const COLUMNS: &str = "name, summary, body, section";

fn main() -> rusqlite::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let each: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    println!("{count} documents, up to {each} queries a class, top 10 by rank, microseconds p50 / p99 / max");

    let mut chance = Chance::new(1);
    let all: Vec<Document> = (0..count).map(|_| document(&mut chance)).collect();
    let open = |name: &str| -> rusqlite::Result<Connection> {
        let connection = Connection::open(folder.path().join(name))?;
        nearside_search::register(&connection)?;
        connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA mmap_size = 8000000000; PRAGMA cache_size = -65536;")?;
        fill(&connection, &all)?;
        Ok(connection)
    };
    let bare = open("bare.db")?;
    let ours = open("ours.db")?;
    build(
        "nearside_search",
        &ours,
        &bare,
        &format!(
            "CREATE VIRTUAL TABLE found USING nearside_search({COLUMNS}, content='package', content_rowid='id', weights='8,3,1', tags='section')"
        ),
    )?;
    let fts5 = open("fts5.db")?;
    build(
        "FTS5",
        &fts5,
        &bare,
        &format!("CREATE VIRTUAL TABLE found USING fts5({COLUMNS}, content='package', content_rowid='id')"),
    )?;
    fts5.execute("INSERT INTO found(found, rank) VALUES ('rank', 'bm25(8.0, 3.0, 1.0, 0.0)')", [])?;

    println!("\n| queries | FTS5 | nearside_search | FTS5's p99 / ours |\n|---|---|---|---|");
    for class in classes(each, &all) {
        let (mine, theirs) = (time(&ours, &class)?, time(&fts5, &class)?);
        println!("| {} | {} | {} | {:.0} |", class.name, theirs.shown(), mine.shown(), theirs.p99 / mine.p99);
    }
    pages::compare(folder.path(), count)
}

fn fill(connection: &Connection, all: &[Document]) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, summary TEXT, body TEXT, section TEXT); BEGIN",
    )?;
    let mut insert =
        connection.prepare("INSERT INTO package (name, summary, body, section) VALUES (?1, ?2, ?3, ?4)")?;
    for one in all {
        insert.execute(params![one.name, one.summary, one.body, one.section])?;
    }
    connection.execute_batch("COMMIT")
}

fn bytes(connection: &Connection) -> rusqlite::Result<i64> {
    let pragma = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

fn build(name: &str, connection: &Connection, bare: &Connection, create: &str) -> rusqlite::Result<()> {
    let began = Instant::now();
    connection.execute_batch(create)?;
    connection.execute_batch("INSERT INTO found(found) VALUES ('rebuild')")?;
    let took = began.elapsed();
    let size = (bytes(connection)? - bytes(bare)?) as f64 / 1e6;
    println!(
        "{name}: built in {:.1} s, {size:.1} MB beside {:.1} MB of text",
        took.as_secs_f64(),
        bytes(bare)? as f64 / 1e6
    );
    Ok(())
}

struct Times {
    p50: f64,
    p99: f64,
    most: f64,
    count: usize,
}

impl Times {
    fn shown(&self) -> String {
        format!("{:.1} / {:.0} / {:.0} ({})", self.p50, self.p99, self.most, self.count)
    }
}

fn time(connection: &Connection, class: &Class) -> rusqlite::Result<Times> {
    let mut statement =
        connection.prepare("SELECT rowid, rank FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 10")?;
    let (mut times, began) = (Vec::new(), Instant::now());
    // What is cold is not measured here.
    for query in class.queries.iter().take(20).chain(&class.queries) {
        // The best of three: a busy machine takes the processor away for milliseconds at a time.
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let start = Instant::now();
            let mut rows = statement.query([query])?;
            while let Some(row) = rows.next()? {
                std::hint::black_box(row.get::<_, i64>(0)?);
            }
            best = best.min(start.elapsed().as_nanos() as f64 / 1e3);
        }
        times.push(best);
        if began.elapsed() > CLASS_TIME {
            break;
        }
    }
    let mut times = if times.len() > 40 { times.split_off(20) } else { times };
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(Times { p50: at(0.5), p99: at(0.99), most: at(1.0), count: times.len() })
}
