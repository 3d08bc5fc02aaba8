//! Pages of the file that a commit changes: what a push has to carry.

use std::{collections::HashMap, path::Path};

use rusqlite::{Connection, params};

use crate::documents::{Chance, Document, document};

const PAGE: usize = 4_096;
const COMMITS: usize = 300;

/// The same edits with either index, and with none, whose pages are taken off.
pub fn compare(folder: &Path, count: usize) -> rusqlite::Result<()> {
    println!("\nIndex pages changed a commit over {COMMITS} commits, merges among them: mean / p99 / most");
    println!("| documents edited | FTS5 | nearside_search |\n|---|---|---|");
    for edited in [1, 20, 600] {
        let commits = if edited == 600 { COMMITS / 5 } else { COMMITS };
        let bare = changed(folder, "bare.db", count, edited, commits)?;
        let shown = ["fts5.db", "ours.db"].map(|name| -> rusqlite::Result<String> {
            let pages = changed(folder, name, count, edited, commits)?;
            let mut pages: Vec<i64> = pages.iter().zip(&bare).map(|(all, bare)| all - bare).collect();
            pages.sort_unstable();
            let mean = pages.iter().sum::<i64>() as f64 / pages.len() as f64;
            Ok(format!("{mean:.1} / {} / {}", pages[(pages.len() - 1) * 99 / 100], pages[pages.len() - 1]))
        });
        let [fts5, ours] = shown;
        println!("| {edited} ({commits} commits) | {} | {} |", fts5?, ours?);
    }
    Ok(())
}

fn changed(folder: &Path, name: &str, count: usize, edited: usize, commits: usize) -> rusqlite::Result<Vec<i64>> {
    let file = folder.join(format!("{edited}-{name}"));
    std::fs::copy(folder.join(name), &file).expect("a copy");
    let connection = Connection::open(&file)?;
    nearside_search::register(&connection)?;
    connection.execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF")?;
    if name != "bare.db" {
        connection.execute_batch(
            "CREATE TRIGGER changed AFTER UPDATE ON package BEGIN
             INSERT INTO found (found, rowid, name, summary, body, section)
             VALUES ('delete', old.id, old.name, old.summary, old.body, old.section);
             INSERT INTO found (rowid, name, summary, body, section)
             VALUES (new.id, new.name, new.summary, new.body, new.section); END;",
        )?;
    }
    let (mut chance, mut before, mut pages) = (Chance::new(9), HashMap::new(), Vec::new());
    look(&file, &mut before);
    for _ in 0..commits {
        connection.execute_batch("BEGIN")?;
        for _ in 0..edited {
            let id = 1 + chance.below(count as u64) as i64;
            let Document { name, summary, body, section } = document(&mut chance);
            let sql = "UPDATE package SET name = ?2, summary = ?3, body = ?4, section = ?5 WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![id, name, summary, body, section])?;
        }
        connection.execute_batch("COMMIT")?;
        pages.push(look(&file, &mut before));
    }
    drop(connection);
    std::fs::remove_file(&file).expect("the copy is there");
    Ok(pages)
}

/// How many pages are not as they were.
fn look(file: &Path, before: &mut HashMap<usize, blake3::Hash>) -> i64 {
    let bytes = std::fs::read(file).expect("the database is there");
    let mut changed = 0;
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        let hash = blake3::hash(page);
        changed += i64::from(before.insert(number, hash) != Some(hash));
    }
    changed
}
