//! How long a node takes to open a page store with a large release:
//! `cargo run --release -p nearside-host --example open_store -- 280000`

use std::{error::Error, time::Instant};

use nearside_host::{
    disk::Disk,
    pages::{Keep, PageStore},
};
use nearside_protocol::{
    key::SecretKey,
    limits::PAGE_BYTES,
    page_object::Page,
    release::{ReleaseId, SignedManifest},
};

const TIMES: usize = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let pages: u32 = std::env::args().nth(1).map_or(Ok(280_000), |pages| pages.parse())?;
    let folder = tempfile::tempdir()?;
    {
        let store = PageStore::open(folder.path(), Disk::real())?;
        let mut draft = store.draft(None);
        draft.resize(pages);
        let mut page: Page = [7; PAGE_BYTES];
        for number in 0..pages {
            page[..4].copy_from_slice(&number.to_le_bytes());
            draft.put(number, &page)?;
        }
        let release = ReleaseId { epoch: 1, seq: 1 };
        let manifest = format!(r#"{{"release":"{release}","root":"{}"}}"#, draft.root());
        let key = SecretKey::from_seed([1; 32]).public().id();
        let signed = SignedManifest { key, signature: String::new(), manifest };
        store.commit(draft, release, signed, Keep { releases: 1, strides: &[], bytes: u64::MAX })?;
    }
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..TIMES {
        let begun = Instant::now();
        let store = PageStore::open(folder.path(), Disk::real())?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(store.newest().map(|kept| kept.table.pages()), Some(pages));
    }
    times.sort_by(f64::total_cmp);
    println!("{pages} pages: median {:.1} ms, {:.1} to {:.1}", times[TIMES / 2], times[0], times[TIMES - 1]);
    Ok(())
}
