//! Long descriptions from apt's `*Translation-en` lists, which `apt-cache dumpavail` leaves out.
//!
//! A list holds records of Package, Description-md5 and Description-en. The name and the sum
//! together say which package a text belongs to: versions of one package may have different texts.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{debian::description, package::Package, record::Records};

/// The packages that wait for a long description: name and Description-md5 to place in the catalogue.
pub(crate) type Wanted = HashMap<(String, String), usize>;

/// Gives the wanted packages the descriptions found in the folder's lists; the others stay empty.
pub(crate) fn fill(folder: &Path, packages: &mut [Package], mut wanted: Wanted) -> Result<()> {
    for list in
        lists(folder).with_context(|| format!("cannot look for Translation-en lists in {}", folder.display()))?
    {
        if wanted.is_empty() {
            break;
        }
        fill_from(&list, packages, &mut wanted)
            .with_context(|| format!("in {} (`apt-get update` fetches it anew)", list.display()))?;
    }
    Ok(())
}

fn fill_from(list: &Path, packages: &mut [Package], wanted: &mut Wanted) -> Result<()> {
    let mut records = Records::new(BufReader::new(File::open(list)?));
    while let Some(record) = records.next_record()? {
        let (Some(name), Some(md5), Some(text)) =
            (record.get("Package"), record.get("Description-md5"), record.get("Description-en"))
        else {
            continue;
        };
        if let Some(place) = wanted.remove(&(name.to_owned(), md5.to_owned())) {
            packages[place].description = description(text).1;
        }
    }
    Ok(())
}

/// In order of their names, so that two runs over one folder agree.
fn lists(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut lists = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Compressed ones end in `.lz4` or `.xz`.
        if path.as_os_str().as_encoded_bytes().ends_with(b"Translation-en") && path.is_file() {
            lists.push(path);
        }
    }
    lists.sort();
    Ok(lists)
}
