//! Anything at all as a page object: after its head, and whole; as a base and as a delta on a few old pages.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nearside_protocol::{
    digest::Digest,
    page_object::{Broken, Head, Page, Reader, Snapshot},
};

const OLD_PAGES: u32 = 24;
const NEW_PAGES: u32 = 300;

fn old(number: u32, page: &mut Page) -> Result<(), Broken> {
    assert!(number < OLD_PAGES, "a page is asked for that is not there");
    page.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at as u32 * 31 / (number + 1)) as u8);
    Ok(())
}

fn read(from: Option<Snapshot>, to: Snapshot, pieces: &[&[u8]]) {
    let mut reader = Reader::new(from, to);
    let mut next = 0;
    for piece in pieces {
        let taken = reader.take::<Broken>(piece, old, |number, _| {
            assert!(number >= next && number < to.pages, "pages come in order, within the snapshot");
            next = number + 1;
            Ok(())
        });
        if taken.is_err() {
            return;
        }
    }
    let whole = reader.finish().is_ok();
    assert!(!whole || from.is_some() || next == to.pages, "a base holds every page");
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let from = (choice & 1 == 1).then(|| Snapshot { root: Digest::of(b"from"), pages: OLD_PAGES });
    let to = Snapshot { root: Digest::of(b"to"), pages: if choice & 2 == 0 { 3 } else { NEW_PAGES } };
    let head = Head { from, to }.to_bytes();
    let (one, other) = data.split_at(data.len() * usize::from(choice >> 3) / 32);
    match choice & 4 {
        0 => read(from, to, &[&head, one, other]),
        _ => read(from, to, &[one, other]),
    }
});
