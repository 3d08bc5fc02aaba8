//! A base whose pages stand as they are: every byte of it is known by where it stands, so that it is sent from any byte on
//! without being made first, held or kept.

use super::{Coding, HEAD_BYTES, Head, RECORD_HEAD_BYTES, RECORD_PAGES, record_head};
use crate::{digest::Digest, limits::PAGE_BYTES};

#[derive(Clone, Debug)]
pub struct PlainBase {
    root: Digest,
    pages: u32,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Bytes(Vec<u8>),
    /// The page of this number.
    Page(u32),
}

impl PlainBase {
    pub fn new(root: Digest, pages: u32) -> PlainBase {
        PlainBase { root, pages }
    }

    pub fn bytes(&self) -> u64 {
        (HEAD_BYTES + self.records() * RECORD_HEAD_BYTES) as u64 + u64::from(self.pages) * PAGE_BYTES as u64
    }

    /// The parts in order, each with the byte it begins at, from the record on that has byte `at` in it.
    pub fn parts_from(&self, at: u64) -> impl Iterator<Item = (u64, Part)> + use<> {
        let record_bytes = (RECORD_HEAD_BYTES + RECORD_PAGES * PAGE_BYTES) as u64;
        let first = (at.saturating_sub(HEAD_BYTES as u64) / record_bytes) as usize;
        let head = (0, Part::Bytes(self.head().to_bytes().to_vec()));
        let pages = self.pages;
        let records = (first..self.records()).flat_map(move |record| {
            let begins = HEAD_BYTES as u64 + record as u64 * record_bytes;
            let number = (record * RECORD_PAGES) as u32;
            let count = (pages - number).min(RECORD_PAGES as u32);
            let head = record_head(number, count as usize, Coding::Plain, count as usize * PAGE_BYTES);
            let page = move |within: u32| {
                let at = begins + RECORD_HEAD_BYTES as u64 + u64::from(within) * PAGE_BYTES as u64;
                (at, Part::Page(number + within))
            };
            std::iter::once((begins, Part::Bytes(head.to_vec()))).chain((0..count).map(page))
        });
        std::iter::once(head).filter(move |_| at < HEAD_BYTES as u64).chain(records)
    }

    fn records(&self) -> usize {
        (self.pages as usize).div_ceil(RECORD_PAGES)
    }

    fn head(&self) -> Head {
        let bytes = self.bytes() - HEAD_BYTES as u64;
        Head { pages: self.pages, records: self.records() as u32, from: None, to: self.root, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page_object::{Broken, Page, Reader};

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
            let base = PlainBase::new(Digest::of(b"root"), pages);
            let whole = bytes_from(&base, 0);
            assert_eq!(whole.len() as u64, base.bytes());

            let mut reader = Reader::new(None, Digest::of(b"root"), pages);
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

            for at in [1, 95, 96, 97, 107, 108, 5_000, 1_048_683, 1_048_684, 1_048_690, base.bytes() - 1, base.bytes()]
            {
                if at <= base.bytes() {
                    assert_eq!(bytes_from(&base, at), whole[at as usize..], "{pages} pages from {at}");
                }
            }
        }
    }
}
