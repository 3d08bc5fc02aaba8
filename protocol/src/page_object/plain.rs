//! A base whose pages stand as they are: every byte of it is known by where it stands, so that it is sent from any byte on
//! without being made first, held or kept.

use super::{
    HEAD_BYTES, Head, RECORD_PAGES, Snapshot, pages,
    record::{Coding, RecordHead},
};
use crate::limits::PAGE_BYTES;

#[derive(Clone, Debug)]
pub struct PlainBase {
    to: Snapshot,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Bytes(Vec<u8>),
    /// The page of this number.
    Page(u32),
}

impl PlainBase {
    pub fn new(to: Snapshot) -> PlainBase {
        PlainBase { to }
    }

    pub fn bytes(&self) -> u64 {
        let end = RecordHead::End { records: 0 }.to_bytes().len() as u64;
        match self.records().checked_sub(1) {
            None => HEAD_BYTES as u64 + end,
            Some(last) => self.begins(last) + (self.before(last).len() + self.count(last) * PAGE_BYTES) as u64 + end,
        }
    }

    /// The parts in order, each with the byte it begins at, from the record on that has byte `at` in it.
    pub fn parts_from(&self, at: u64) -> impl Iterator<Item = (u64, Part)> + use<> {
        let base = self.clone();
        let first = (at.saturating_sub(HEAD_BYTES as u64) / (self.begins(1) - self.begins(0))) as usize;
        let head = Head { from: None, to: self.to }.to_bytes();
        let end = RecordHead::End { records: self.records() as u32 }.to_bytes();
        let end = (self.bytes() - end.len() as u64, Part::Bytes(end.to_vec()));
        let records = (first..self.records()).flat_map(move |record| {
            let (begins, before) = (base.begins(record), base.before(record));
            let pages = begins + before.len() as u64;
            let number = (record * RECORD_PAGES) as u32;
            let page = move |within: u32| (pages + u64::from(within) * PAGE_BYTES as u64, Part::Page(number + within));
            std::iter::once((begins, Part::Bytes(before))).chain((0..base.count(record) as u32).map(page))
        });
        let head = std::iter::once((0, Part::Bytes(head.to_vec()))).filter(move |_| at < HEAD_BYTES as u64);
        head.chain(records).chain(std::iter::once(end))
    }

    fn records(&self) -> usize {
        (self.to.pages as usize).div_ceil(RECORD_PAGES)
    }

    fn count(&self, record: usize) -> usize {
        (self.to.pages as usize - record * RECORD_PAGES).min(RECORD_PAGES)
    }

    /// All records before the last are alike.
    fn begins(&self, record: usize) -> u64 {
        let full = before(RECORD_PAGES).len() + RECORD_PAGES * PAGE_BYTES;
        HEAD_BYTES as u64 + record as u64 * full as u64
    }

    fn before(&self, record: usize) -> Vec<u8> {
        before(self.count(record))
    }
}

/// What stands before so many pages, which follow those of the record before.
fn before(count: usize) -> Vec<u8> {
    let mut list = Vec::new();
    pages::write(0, &(0..count as u32).collect::<Vec<_>>(), &mut list);
    let (data_bytes, list_bytes) = (count * PAGE_BYTES, list.len());
    let head = RecordHead::Pages { data_bytes, list_bytes, pages: count, coding: Coding::Plain }.to_bytes();
    [&head[..], &list].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        digest::Digest,
        page_object::{Broken, Page, Reader},
    };

    fn page(number: u32) -> Page {
        let mut page = [7; PAGE_BYTES];
        page[..4].copy_from_slice(&number.to_le_bytes());
        page
    }

    fn bytes_from(base: &PlainBase, at: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (begins, part) in base.parts_from(at) {
            let whole = match part {
                Part::Bytes(bytes) => bytes,
                Part::Page(number) => page(number).to_vec(),
            };
            bytes.extend_from_slice(&whole[(at.saturating_sub(begins) as usize).min(whole.len())..]);
        }
        bytes
    }

    #[test]
    fn it_is_a_base_and_is_the_same_from_any_byte_on() {
        for pages in [1, 255, 256, 257, 600] {
            let to = Snapshot { root: Digest::of(b"root"), pages };
            let base = PlainBase::new(to);
            let whole = bytes_from(&base, 0);
            assert_eq!(whole.len() as u64, base.bytes());

            let mut reader = Reader::new(None, to);
            let mut seen = 0;
            reader
                .take::<Broken>(
                    &whole,
                    |_, _| unreachable!("a base has no page before"),
                    |number, decoded| {
                        assert_eq!((number, decoded), (seen, &page(seen)));
                        seen += 1;
                        Ok(())
                    },
                )
                .unwrap();
            reader.finish().unwrap();
            assert_eq!(seen, pages);

            let end = base.bytes();
            let first = [0, 1, 87, 88, 89, 97, 98, 100, 101, 102, 5_000];
            let second = [88, 97, 98, 101, 102].map(|at| at + 13 + 1_048_576);
            for at in first.into_iter().chain(second).chain([end - 11, end - 10, end - 1, end]) {
                if at <= base.bytes() {
                    assert_eq!(bytes_from(&base, at), whole[at as usize..], "{pages} pages from {at}");
                }
            }
        }
    }
}
