//! What it takes to make the object that leads from one SQLite file to another, as the origin does for a release:
//! `cargo run --release -p nearside-origin --example encode -- OLD.db NEW.db`

use std::{error::Error, fs::File, io::Read, path::Path, time::Instant};

use nearside_host::{
    disk::Disk,
    pages::{Draft, PageStore},
};
use nearside_origin::encode;
use nearside_protocol::{limits::PAGE_BYTES, page_object::Page};

fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [old, new] = &files[..] else { return Err("two SQLite files expected".into()) };
    let folder = tempfile::tempdir()?;
    let store = PageStore::open(folder.path(), Disk::real())?;
    let mut draft = store.draft(None);
    fill(&mut draft, old.as_ref())?;
    let from = draft.table();
    let mut draft = store.draft(Some(&from));
    fill(&mut draft, new.as_ref())?;
    let to = draft.table();
    tell_memory("with both in a page store")?;
    let begun = Instant::now();
    let (chosen, encoded) = encode::smallest(&from, &to, tempfile::tempfile()?)?;
    println!("{}: {} pages, {} bytes, {} ms", chosen.name(), encoded.pages, encoded.bytes, begun.elapsed().as_millis());
    tell_memory("after encoding")?;
    Ok(())
}

fn fill(draft: &mut Draft, file: &Path) -> Result<(), Box<dyn Error>> {
    let mut file = File::open(file)?;
    let pages = (file.metadata()?.len() / PAGE_BYTES as u64) as u32;
    draft.resize(pages);
    let mut page: Page = [0; PAGE_BYTES];
    for number in 0..pages {
        file.read_exact(&mut page)?;
        draft.put(number, &page)?;
    }
    Ok(())
}

/// What of this process is in memory, of its own and of files.
fn tell_memory(when: &str) -> Result<(), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map_or("?", str::trim).to_owned();
    println!("{when}: {} its own, {} of files, {} at most", of("RssAnon:"), of("RssFile:"), of("VmHWM:"));
    Ok(())
}
