//! `nearside_search` and FTS5 over the same table, each in its own file.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::ValueEnum;
use rusqlite::{Connection, params};

use super::asked::Class;
use super::{Built, ClassTold, Told, resident_bytes};
use crate::args::{AskIndex, BuildIndex, MakeTopics};
use crate::limits::{INDEX_CHECKED, INDEX_WARM};
use crate::topics::Topics;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum With {
    Nearside,
    Fts5,
}

impl With {
    pub fn create(self) -> &'static str {
        match self {
            With::Nearside => {
                "CREATE VIRTUAL TABLE found USING nearside_search(text, section, content='document', content_rowid='id', \
                 tags='section')"
            }
            With::Fts5 => {
                "CREATE VIRTUAL TABLE found USING fts5(text, section, content='document', content_rowid='id'); \
                 INSERT INTO found(found, rank) VALUES ('rank', 'bm25(1.0, 0.0)')"
            }
        }
    }
}

/// Keeps an index as its table is changed.
pub const TRIGGER: &str = "
CREATE TRIGGER changed AFTER UPDATE ON document BEGIN
    INSERT INTO found (found, rowid, text, section) VALUES ('delete', old.id, old.text, old.section);
    INSERT INTO found (rowid, text, section) VALUES (new.id, new.text, new.section);
END;";

/// Ten rows, the best first.
const BEST: &str = "SELECT rowid, rank FROM found WHERE found MATCH ?1 ORDER BY rank LIMIT 10";

impl With {
    /// As the command line has it.
    pub fn argument(self) -> &'static str {
        match self {
            With::Nearside => "nearside",
            With::Fts5 => "fts5",
        }
    }
}

/// For a file that nobody needs if the power fails, in memory as far as there is any.
pub fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file).with_context(|| format!("opening {}", file.display()))?;
    nearside_search::register(&connection)?;
    connection.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -262144; \
         PRAGMA mmap_size = 68719476736",
    )?;
    Ok(connection)
}

/// The documents in a table without an index, and as lines.
pub fn make(args: &MakeTopics) -> Result<()> {
    let lines = args.lines.as_ref().map(|path| File::create(path).map(BufWriter::new)).transpose();
    fill(&args.db, args.documents, args.seed, lines.context("creating the lines")?)
}

fn fill(file: &Path, documents: u64, seed: u64, mut lines: Option<BufWriter<File>>) -> Result<()> {
    let connection = open(file)?;
    connection.execute_batch("CREATE TABLE document (id INTEGER PRIMARY KEY, text TEXT, section TEXT); BEGIN")?;
    let mut topics = Topics::new(seed);
    let mut insert = connection.prepare("INSERT INTO document (text, section) VALUES (?1, ?2)")?;
    for _ in 0..documents {
        let document = topics.document();
        insert.execute(params![document.text, document.section])?;
        if let Some(lines) = &mut lines {
            writeln!(lines, "{}\t{}", document.section, document.text).context("writing lines")?;
        }
    }
    if let Some(lines) = &mut lines {
        lines.flush().context("writing lines")?;
    }
    connection.execute_batch("COMMIT").context("filling the table")
}

/// Indexes the table that is in the file.
pub fn build(args: &BuildIndex) -> Result<()> {
    let connection = open(&args.db)?;
    let before = used_bytes(&connection)?;
    let began = Instant::now();
    connection.execute_batch(args.with.create())?;
    connection.execute_batch("BEGIN; INSERT INTO found(found) VALUES ('rebuild'); COMMIT")?;
    connection.execute_batch("BEGIN; INSERT INTO found(found) VALUES ('optimize'); COMMIT")?;
    let built = Built {
        seconds: began.elapsed().as_secs_f64(),
        bytes: used_bytes(&connection)? - before,
        peak_resident_bytes: resident_bytes("VmHWM"),
    };
    println!("{}", serde_json::to_string(&built)?);
    Ok(())
}

/// Asks the index in the file.
pub fn ask(args: &AskIndex) -> Result<()> {
    let asked = fs::read(&args.asked).with_context(|| format!("reading {}", args.asked.display()))?;
    let asked: Vec<Class> = serde_json::from_slice(&asked).context("reading what is asked")?;
    let connection = Connection::open(&args.db).context("opening the index")?;
    let memory = Arc::<nearside_search::Memory>::default();
    nearside_search::register_sharing(&connection, memory.clone())?;
    connection.execute_batch("PRAGMA mmap_size = 68719476736; PRAGMA cache_size = -65536; PRAGMA query_only = 1")?;
    let lasts = Duration::from_secs_f64(args.seconds);
    let classes = asked.iter().map(|class| ask_class(&connection, class, lasts)).collect::<Result<_>>()?;
    let memory_bytes = (args.with == With::Nearside).then(|| memory.bytes() as u64);
    let told = Told { classes, resident_bytes: resident_bytes("RssAnon"), memory_bytes };
    println!("{}", serde_json::to_string(&told)?);
    Ok(())
}

fn ask_class(connection: &Connection, class: &Class, lasts: Duration) -> Result<ClassTold> {
    let texts: Vec<String> = class.queries.iter().map(|query| query.text()).collect();
    let mut statement = connection.prepare(BEST)?;
    let mut ask = |text: &String| -> Result<(u64, usize)> {
        let (began, mut found) = (Instant::now(), 0);
        let mut rows = statement.query([text])?;
        while let Some(row) = rows.next()? {
            std::hint::black_box((row.get::<_, i64>(0)?, row.get::<_, f64>(1)?));
            found += 1;
        }
        drop(rows);
        Ok((began.elapsed().as_nanos() as u64, found))
    };
    let began = Instant::now();
    // What is cold is not measured here.
    for text in texts.iter().take(INDEX_WARM) {
        ask(text)?;
        if began.elapsed() > lasts / 2 {
            break;
        }
    }
    let (mut times_ns, mut found, began) = (Vec::new(), Vec::new(), Instant::now());
    for text in &texts {
        let (time, rows) = ask(text)?;
        times_ns.push(time);
        if found.len() < INDEX_CHECKED {
            found.push(rows);
        }
        if began.elapsed() > lasts {
            break;
        }
    }
    Ok(ClassTold { name: class.name.clone(), times_ns, found })
}

/// Without what is free.
fn used_bytes(connection: &Connection) -> Result<u64> {
    let pragma = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::asked::classes;

    /// Whatever is asked, both find as many: what is timed is the same work.
    #[test]
    fn both_find_as_much() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        for (with, name) in [(With::Nearside, "nearside.db"), (With::Fts5, "fts5.db")] {
            let file = folder.path().join(name);
            fill(&file, 3_000, 1, None).unwrap();
            let connection = open(&file).unwrap();
            connection.execute_batch(with.create()).unwrap();
            connection.execute_batch("INSERT INTO found(found) VALUES ('rebuild')").unwrap();
            let found: Vec<(String, Vec<usize>)> = classes(40, 1)
                .iter()
                .map(|class| ask_class(&connection, class, Duration::from_secs(60)).unwrap())
                .map(|told| (told.name, told.found))
                .collect();
            told.push(found);
        }
        assert_eq!(told[0], told[1]);
        assert!(told[0].iter().all(|(name, found)| found.iter().any(|rows| *rows > 0) || name.contains("rarer")));
    }
}
