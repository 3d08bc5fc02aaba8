//! A small edit of a written catalogue: other versions and summaries for a few packages, so that
//! tests and benchmarks can push a change of known size.

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;

use crate::{grammar::Grammar, random::Random};

const IDS_BY_NAME: &str = "SELECT id FROM package ORDER BY name";
const VERSION_AND_SUMMARY: &str = "SELECT version, summary FROM package WHERE id = ?1";
const UPDATE: &str = "UPDATE package SET version = ?2, summary = ?3 WHERE id = ?1";

/// Stands between a summary and what an edit adds to it; the next edit replaces what follows.
const NOW_WITH: &str = ", now with ";

/// Changes the version and the summary of `count` packages. Which and how follows from the seed and
/// the catalogue.
pub(crate) fn apply(connection: &mut Connection, count: u32, seed: u64) -> Result<()> {
    let transaction = connection.transaction()?;
    let mut ids: Vec<i64> =
        transaction.prepare(IDS_BY_NAME)?.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    ensure!(
        count as usize <= ids.len(),
        "cannot edit {count} packages of a catalogue of {}: give a smaller --edit",
        ids.len()
    );
    let mut random = Random::new(seed);
    let grammar = Grammar::new();
    let mut select = transaction.prepare(VERSION_AND_SUMMARY)?;
    let mut update = transaction.prepare(UPDATE)?;
    for place in 0..count as usize {
        // The start of a Fisher-Yates shuffle: no package twice.
        let chosen = place + random.below((ids.len() - place) as u64) as usize;
        ids.swap(place, chosen);
        let id = ids[place];
        let (version, summary): (String, String) =
            select.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).with_context(|| format!("package {id}"))?;
        update.execute((id, next_version(&version), revised(&summary, &grammar, &mut random)))?;
    }
    drop((select, update));
    Ok(transaction.commit()?)
}

/// The version with its last number one higher: 1.4-2 becomes 1.4-3.
fn next_version(version: &str) -> String {
    let Some(last) = version.rfind(|c: char| c.is_ascii_digit()) else {
        return format!("{version}.1");
    };
    let (head, tail) = version.split_at(last + 1);
    let (before, number) = head.split_at(head.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    match number.parse::<u64>().ok().and_then(|number| number.checked_add(1)) {
        Some(next) => format!("{before}{next:0width$}{tail}", width = number.len()),
        None => format!("{version}.1"),
    }
}

/// The summary with a new ending, never the one it had.
fn revised(summary: &str, grammar: &Grammar, random: &mut Random) -> String {
    let kept = summary.split_once(NOW_WITH).map_or(summary, |(kept, _)| kept);
    loop {
        let revised = format!("{kept}{NOW_WITH}one more {} {}", grammar.adjective(random), grammar.noun(random));
        if revised != summary {
            return revised;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::TempDir;

    use super::*;
    use crate::{catalogue::Draft, invent};

    type Row = (i64, String, String, String, String);

    fn rows(file: &Path) -> Vec<Row> {
        let connection = Connection::open(file).unwrap();
        let sql =
            "SELECT id, name, version, summary, concat(section, description, homepage, maintainer, size_bytes, tags)
                   FROM package ORDER BY id";
        let mut statement = connection.prepare(sql).unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        statement.query_map((), row).unwrap().map(Result::unwrap).collect()
    }

    fn invented(folder: &TempDir, name: &str, edit: Option<(u32, u64)>) -> std::path::PathBuf {
        let out = folder.path().join(name);
        let mut draft = Draft::empty(&out).unwrap();
        draft.insert(&invent::packages(500, 1)).unwrap();
        finish(draft, edit);
        out
    }

    fn copied(folder: &TempDir, name: &str, original: &Path, edit: Option<(u32, u64)>) -> std::path::PathBuf {
        let out = folder.path().join(name);
        finish(Draft::copy_of(original, &out).unwrap(), edit);
        out
    }

    fn finish(mut draft: Draft, edit: Option<(u32, u64)>) {
        if let Some((count, seed)) = edit {
            apply(draft.connection(), count, seed).unwrap();
        }
        draft.finish().unwrap();
    }

    #[test]
    fn exactly_the_wanted_number_changes() {
        let folder = tempfile::tempdir().unwrap();
        let base = rows(&invented(&folder, "base.db", None));
        for count in [0, 1, 20, 500] {
            let edited = rows(&invented(&folder, "edited.db", Some((count, 7))));
            let changed: Vec<_> = base.iter().zip(&edited).filter(|(a, b)| a != b).collect();
            assert_eq!(changed.len(), count as usize);
            for (a, b) in changed {
                assert_eq!((a.0, &a.1, &a.4), (b.0, &b.1, &b.4));
                assert!(a.2 != b.2 && a.3 != b.3, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn the_seed_decides_and_the_copy_agrees() {
        let folder = tempfile::tempdir().unwrap();
        let base = invented(&folder, "base.db", None);
        let edited = rows(&invented(&folder, "a.db", Some((20, 7))));
        assert_eq!(edited, rows(&invented(&folder, "b.db", Some((20, 7)))));
        assert_ne!(edited, rows(&invented(&folder, "c.db", Some((20, 8)))));
        assert_eq!(edited, rows(&copied(&folder, "d.db", &base, Some((20, 7)))));
    }

    #[test]
    fn a_catalogue_can_be_edited_again_and_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = invented(&folder, "base.db", None);
        Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
        let mut before = rows(&file);
        for _ in 0..3 {
            copied(&folder, "base.db", &file, Some((500, 7)));
            let after = rows(&file);
            assert!(before.iter().zip(&after).all(|(a, b)| a.2 != b.2 && a.3 != b.3));
            assert!(after.iter().all(|row| row.3.matches(NOW_WITH).count() == 1));
            before = after;
        }
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name == "base.db.tmp"), "{names:?}");
    }

    #[test]
    fn too_large_an_edit_is_refused_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let base = invented(&folder, "base.db", None);
        let out = folder.path().join("out.db");
        let mut draft = Draft::copy_of(&base, &out).unwrap();
        let error = apply(draft.connection(), 501, 7).unwrap_err().to_string();
        assert!(error.contains("501") && error.contains("500"), "{error}");
        drop(draft);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn versions_count_on() {
        let next = ["1.4-2", "1.9", "2020.09", "1:2.0~rc1+b", "none", "99999999999999999999999"].map(next_version);
        assert_eq!(next, ["1.4-3", "1.10", "2020.10", "1:2.0~rc2+b", "none.1", "99999999999999999999999.1"]);
    }
}
