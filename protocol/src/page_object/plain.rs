//! A base whose pages stand as they are: every byte of it is known by where it stands, so that it is sent from any byte on
//! without being made first, held or kept.

use super::{
    HEAD_BYTES, Head, RECORD_PAGES, Snapshot, pages,
    record::{Coding, RECORD_HEAD_BYTES, RecordHead},
};
use crate::limits::PAGE_BYTES;

#[derive(Clone, Debug)]
pub struct PlainBase(Snapshot);

/// A part of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Bytes(Vec<u8>),
    /// The page of this number.
    Page(u32),
}

impl PlainBase {
    pub fn new(of: Snapshot) -> PlainBase {
        PlainBase(of)
    }

    pub fn bytes(&self) -> u64 {
        self.begins(self.records()) + RECORD_HEAD_BYTES as u64
    }

    /// The parts in order, each with the byte it begins at, from the record on that has byte `at` in it.
    pub fn parts_from(&self, at: u64) -> impl Iterator<Item = (u64, Part)> + use<> {
        let of = self.clone();
        let full_record = start_of_record(0, RECORD_PAGES).len() as u64 + (RECORD_PAGES * PAGE_BYTES) as u64;
        let first = (at.saturating_sub(HEAD_BYTES as u64) / full_record).min(u64::from(self.records())) as u32;
        let head = Head { from: None, to: self.0 }.to_bytes().to_vec();
        let head = std::iter::once((0, Part::Bytes(head))).filter(move |_| at < HEAD_BYTES as u64);
        let end = RecordHead::End { records: self.records() }.to_bytes().to_vec();
        let end = std::iter::once((self.begins(self.records()), Part::Bytes(end)));
        let records = (first..self.records()).flat_map(move |record| {
            let (number, count) = (record * RECORD_PAGES as u32, of.pages_in(record));
            let (begins, start) = (of.begins(record), start_of_record(number, count as usize));
            let pages_begin = begins + start.len() as u64;
            let page =
                move |within: u32| (pages_begin + u64::from(within) * PAGE_BYTES as u64, Part::Page(number + within));
            std::iter::once((begins, Part::Bytes(start))).chain((0..count).map(page))
        });
        head.chain(records).chain(end)
    }

    fn records(&self) -> u32 {
        self.0.pages.div_ceil(RECORD_PAGES as u32)
    }

    fn pages_in(&self, record: u32) -> u32 {
        (self.0.pages - record * RECORD_PAGES as u32).min(RECORD_PAGES as u32)
    }

    /// The byte at which a record begins, or the end after the last.
    fn begins(&self, record: u32) -> u64 {
        let pages = u64::from(self.0.pages).min(u64::from(record) * RECORD_PAGES as u64);
        let full = pages / RECORD_PAGES as u64;
        let rest = (pages % RECORD_PAGES as u64) as usize;
        let starts = full * start_of_record(0, RECORD_PAGES).len() as u64
            + if rest == 0 { 0 } else { start_of_record(0, rest).len() as u64 };
        HEAD_BYTES as u64 + starts + pages * PAGE_BYTES as u64
    }
}

/// What stands before the pages of a record: its head, and the list of its pages, which are all that follow the last one.
fn start_of_record(number: u32, count: usize) -> Vec<u8> {
    let numbers: Vec<u32> = (number..).take(count).collect();
    let mut list = Vec::new();
    pages::write(number, &numbers, &mut list);
    let (data_bytes, list_bytes) = (count * PAGE_BYTES, list.len());
    let head = RecordHead::Pages { data_bytes, list_bytes, pages: count, coding: Coding::Plain };
    [&head.to_bytes()[..], &list].concat()
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
        for pages in [1, 100, 128, 129, 255, 256, 257, 512, 600] {
            let of = Snapshot { root: Digest::of(b"root"), pages };
            let base = PlainBase::new(of);
            let whole = bytes_from(&base, 0);
            assert_eq!(whole.len() as u64, base.bytes());

            let mut reader = Reader::new(None, of);
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

            let edges =
                (0..200).chain(1_048_600..1_048_700).chain([5_000, base.bytes() - 11, base.bytes() - 1, base.bytes()]);
            for at in edges {
                if at <= base.bytes() {
                    assert_eq!(bytes_from(&base, at), whole[at as usize..], "{pages} pages from {at}");
                }
            }
        }
    }
}
