//! What a push has to carry after documents were edited: the pages each commit changed, read off SQLite's log, and their
//! bytes as page objects have them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use nearside_protocol::digest::Digest;
use nearside_protocol::page_object::{Page, Snapshot, Writer};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::sqlite::TRIGGER;
use crate::args::EditIndex;
use crate::limits::EDITS_SEED;
use crate::page_files::PAGE_BYTES;
use crate::random::Random;
use crate::topics::{Document, Topics, word, zipf};

/// What becomes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Change {
    /// One word in five is another.
    Edited,
    /// All of it is another text.
    Replaced,
}

impl Change {
    pub const ALL: [Change; 2] = [Change::Edited, Change::Replaced];

    /// As the command line has it, and a report.
    pub fn name(self) -> &'static str {
        match self {
            Change::Edited => "edited",
            Change::Replaced => "replaced",
        }
    }
}

/// A page object's own bytes, whatever is in it, count in each push alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    pub pages: u64,
    pub bytes: u64,
}

/// Changes documents, in each commit so many anywhere; the same ones whatever index is kept.
pub fn run(args: &EditIndex) -> Result<()> {
    let connection = Connection::open(&args.db).with_context(|| format!("opening {}", args.db.display()))?;
    nearside_search::register(&connection)?;
    // Nothing may get into the log before its commit, and nothing out of it before it was looked at.
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -1048576; \
         PRAGMA wal_checkpoint(TRUNCATE)",
    )?;
    if args.with.is_some() {
        connection.execute_batch(TRIGGER)?;
        pushed(&connection, &args.db)?;
    }
    let (mut random, mut topics) = (Random::new(EDITS_SEED), Topics::new(EDITS_SEED));
    let mut all = Vec::new();
    let documents = usize::try_from(args.documents).context("so many documents")?;
    for _ in 0..args.commits {
        connection.execute_batch("BEGIN")?;
        let mut read = connection.prepare_cached("SELECT text, section FROM document WHERE id = ?1")?;
        let mut update = connection.prepare_cached("UPDATE document SET text = ?2, section = ?3 WHERE id = ?1")?;
        for _ in 0..args.edited {
            let id = (1 + random.below(documents)) as i64;
            let document = match args.change {
                Change::Replaced => topics.document(),
                Change::Edited => {
                    let read = read.query_row([id], |row| Ok(Document { text: row.get(0)?, section: row.get(1)? }));
                    edited(&read?, &mut random)
                }
            };
            update.execute(params![id, document.text, document.section])?;
        }
        drop((read, update));
        connection.execute_batch("COMMIT")?;
        all.push(pushed(&connection, &args.db)?);
    }
    if args.with.is_some() {
        connection.execute_batch("INSERT INTO found(found) VALUES ('integrity-check')")?;
    }
    println!("{}", serde_json::to_string(&all)?);
    Ok(())
}

const EDITED_WORDS_ONE_IN: usize = 5;

fn edited(document: &Document, random: &mut Random) -> Document {
    let words = document.text.split(' ').map(|old| match random.below(EDITED_WORDS_ONE_IN) {
        0 => word(zipf(random)),
        _ => old.to_owned(),
    });
    Document { text: words.collect::<Vec<_>>().join(" "), section: document.section.clone() }
}

const LOG_HEAD_BYTES: usize = 32;
const FRAME_HEAD_BYTES: usize = 24;

/// What the commits since the last call changed; then it is in the file.
fn pushed(connection: &Connection, file: &Path) -> Result<Pushed> {
    let log = fs::read(format!("{}-wal", file.display())).context("reading the log")?;
    let mut newest = BTreeMap::<u32, &[u8]>::new();
    for frame in log.get(LOG_HEAD_BYTES..).unwrap_or_default().chunks_exact(FRAME_HEAD_BYTES + PAGE_BYTES) {
        let number = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
        ensure!(number > 0, "the log has a page without a number");
        newest.insert(number - 1, &frame[FRAME_HEAD_BYTES..]);
    }
    let opened = File::open(file).context("opening the database")?;
    let pages_before = opened.metadata()?.len() / PAGE_BYTES as u64;
    let pages: u64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
    let snapshot = |pages: u64| Ok::<_, anyhow::Error>(Snapshot { root: Digest::of(b""), pages: pages.try_into()? });
    let mut writer = Writer::delta(Vec::new(), snapshot(pages_before)?, snapshot(pages)?)?;
    let (mut count, mut old): (u64, Page) = (0, [0; PAGE_BYTES]);
    for (number, page) in newest {
        let new: &Page = page.try_into()?;
        let there = u64::from(number) < pages_before;
        if there {
            opened.read_exact_at(&mut old, u64::from(number) * PAGE_BYTES as u64)?;
        }
        if !there || old != *new {
            writer.add(number, new, there.then_some(&old))?;
            count += 1;
        }
    }
    let bytes = writer.finish()?.bytes;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))?;
    Ok(Pushed { pages: count, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_a_commit_changed_are_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let connection = Connection::open(&file).unwrap();
        let setup = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
            CREATE TABLE a (id INTEGER PRIMARY KEY, b); CREATE TABLE c (id INTEGER PRIMARY KEY, d);
            INSERT INTO a VALUES (1, 'x'); INSERT INTO c VALUES (1, 'x')";
        connection.execute_batch(setup).unwrap();
        pushed(&connection, &file).unwrap();
        connection.execute_batch("UPDATE a SET b = 'y'; UPDATE a SET b = 'z'").unwrap();
        let one = pushed(&connection, &file).unwrap();
        // The table's page: with a log, the first page's counter of changes stays as it was.
        assert_eq!(one.pages, 1);
        assert!((1..500).contains(&one.bytes), "{}", one.bytes);
        connection.execute_batch("INSERT INTO a VALUES (2, randomblob(40000))").unwrap();
        let more = pushed(&connection, &file).unwrap();
        assert!(more.pages >= 11 && more.bytes > 40_000, "{more:?}");
        assert_eq!(pushed(&connection, &file).unwrap().pages, 0);
    }
}
