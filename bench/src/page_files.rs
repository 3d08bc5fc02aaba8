//! SQLite files of 4 KiB pages, held against each other.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

pub const PAGE_BYTES: usize = 4096;
const READ_PAGES: usize = 256;

/// Which pages of `new` are not in `old` at the same place, counted from 0.
pub fn differing(old: &Path, new: &Path) -> Result<Vec<u64>> {
    let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    let (mut old, mut new) = (open(old)?, open(new)?);
    let (mut differing, mut number) = (Vec::new(), 0);
    loop {
        let (old, new) = (pages(&mut old)?, pages(&mut new)?);
        if new.is_empty() {
            return Ok(differing);
        }
        let mut old = old.chunks(PAGE_BYTES);
        for page in new.chunks(PAGE_BYTES) {
            if old.next() != Some(page) {
                differing.push(number);
            }
            number += 1;
        }
    }
}

/// The pages that SQLite keeps for later, counted from 0: what stands in them means nothing.
pub fn free(file: &Path) -> Result<BTreeSet<u64>> {
    let opened = File::open(file).with_context(|| format!("opening {}", file.display()))?;
    let number_at = |at: u64| -> Result<u64> {
        let mut bytes = [0; 4];
        opened.read_exact_at(&mut bytes, at).with_context(|| format!("reading {}", file.display()))?;
        Ok(u32::from_be_bytes(bytes).into())
    };
    // Section 1.5 of SQLite's file format: trunk pages in a chain, each with a list of leaves. Numbers count from 1.
    let (mut free, mut trunk) = (BTreeSet::new(), number_at(32)?);
    while trunk != 0 {
        ensure!(free.insert(trunk - 1), "the free pages of {} go round in circles", file.display());
        let at = (trunk - 1) * PAGE_BYTES as u64;
        let leaves = number_at(at + 4)?.min(PAGE_BYTES as u64 / 4 - 2);
        for leaf in 0..leaves {
            free.insert(number_at(at + 8 + leaf * 4)?.saturating_sub(1));
        }
        trunk = number_at(at)?;
    }
    Ok(free)
}

fn pages(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(READ_PAGES * PAGE_BYTES);
    file.take((READ_PAGES * PAGE_BYTES) as u64).read_to_end(&mut bytes).context("reading pages")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_and_added_pages_are_counted_and_dropped_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, pages: &[u8]| {
            let bytes: Vec<u8> = pages.iter().flat_map(|byte| [*byte; PAGE_BYTES]).collect();
            std::fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let long: Vec<u8> = (0..600).map(|page| page as u8).collect();
        let mut edited = long.clone();
        (edited[3], edited[599]) = (255, 254);
        let (long, edited) = (write("long", &long), write("edited", &edited));
        assert!(differing(&long, &long).unwrap().is_empty());
        assert_eq!(differing(&long, &edited).unwrap(), [3, 599]);
        let (short, grown) = (write("short", &[1, 2]), write("grown", &[1, 2, 3, 4]));
        assert_eq!(differing(&short, &grown).unwrap(), [2, 3]);
        assert!(differing(&grown, &short).unwrap().is_empty());
    }

    #[test]
    fn free_pages_are_those_of_what_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(6000000))").unwrap();
        assert_eq!(free(&file).unwrap().len(), 0);
        connection.execute_batch("DROP TABLE t").unwrap();
        let count: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
        assert!(count > 1_400, "more than one trunk: {count}");
        assert_eq!(free(&file).unwrap().len() as i64, count);
    }
}
