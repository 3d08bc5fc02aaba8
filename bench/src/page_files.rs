//! Files of 4 KiB pages, held against each other.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

pub const PAGE_BYTES: usize = 4096;
const READ_PAGES: usize = 256;

/// How many pages of `new` are not in `old` at the same place.
pub fn differing(old: &Path, new: &Path) -> Result<u64> {
    let open = |path: &Path| File::open(path).with_context(|| format!("opening {}", path.display()));
    let (mut old, mut new) = (open(old)?, open(new)?);
    let mut differing = 0;
    loop {
        let (old, new) = (pages(&mut old)?, pages(&mut new)?);
        if new.is_empty() {
            return Ok(differing);
        }
        let same = new.chunks(PAGE_BYTES).zip(old.chunks(PAGE_BYTES)).filter(|(new, old)| new == old).count();
        differing += (new.len().div_ceil(PAGE_BYTES) - same) as u64;
    }
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
        assert_eq!(differing(&long, &long).unwrap(), 0);
        assert_eq!(differing(&long, &edited).unwrap(), 2);
        let (short, grown) = (write("short", &[1, 2]), write("grown", &[1, 2, 3, 4]));
        assert_eq!(differing(&short, &grown).unwrap(), 2);
        assert_eq!(differing(&grown, &short).unwrap(), 0);
    }
}
