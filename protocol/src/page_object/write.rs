//! Writing a page object: pages in ascending order, each with the one it replaces.

use zstd::zstd_safe::{CCtx, compress_bound};

use super::{Coding, HEAD_BYTES, Head, Page, RECORD_HEAD_BYTES, RECORD_PAGES};
use crate::{digest::Digest, limits::PAGE_BYTES};

/// Higher levels gain a few per cent on single pages, and cost many times the time.
const LEVEL: i32 = 9;

pub struct Writer {
    head: Head,
    bytes: Vec<u8>,
    /// Pages that stand in a row and have nothing to be told apart from: compressed together.
    run: Vec<u8>,
    run_starts_at: u32,
    next: u32,
    compressor: CCtx<'static>,
    compressed: Vec<u8>,
}

impl Writer {
    /// An object that makes the snapshot `to`, of so many pages, out of `from`, or out of nothing.
    pub fn new(from: Option<Digest>, to: Digest, pages: u32) -> Writer {
        Writer {
            head: Head { pages, records: 0, from, to, bytes: 0 },
            bytes: vec![0; HEAD_BYTES],
            run: Vec::new(),
            run_starts_at: 0,
            next: 0,
            compressor: CCtx::create(),
            compressed: vec![0; compress_bound(RECORD_PAGES * PAGE_BYTES)],
        }
    }

    /// Adds a page; `old` is the page of the same number in the snapshot before, if it has one. Pages come in ascending
    /// order.
    pub fn add(&mut self, number: u32, page: &Page, old: Option<&Page>) {
        assert!(number >= self.next && number < self.head.pages, "BUG: pages are added in order, within the snapshot");
        match old {
            Some(old) => {
                self.close_run();
                self.record_on_old(number, page, old);
            }
            None => {
                let full = self.run.len() == RECORD_PAGES * PAGE_BYTES;
                if full || number != self.next {
                    self.close_run();
                }
                if self.run.is_empty() {
                    self.run_starts_at = number;
                }
                self.run.extend_from_slice(page);
            }
        }
        self.next = number + 1;
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.close_run();
        self.head.bytes = (self.bytes.len() - HEAD_BYTES) as u64;
        self.bytes[..HEAD_BYTES].copy_from_slice(&self.head.to_bytes());
        self.bytes
    }

    fn record_on_old(&mut self, number: u32, page: &Page, old: &Page) {
        let length = self.compressor.compress_using_dict(&mut self.compressed[..], page, old, LEVEL);
        match length {
            Ok(length) if length < PAGE_BYTES => {
                let data = self.compressed[..length].to_vec();
                self.record(number, 1, Coding::ZstdOnOld, &data);
            }
            _ => self.record(number, 1, Coding::Plain, page),
        }
    }

    fn close_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        let run = std::mem::take(&mut self.run);
        let pages = run.len() / PAGE_BYTES;
        match self.compressor.compress(&mut self.compressed[..], &run, LEVEL) {
            Ok(length) if length < run.len() => {
                let data = self.compressed[..length].to_vec();
                self.record(self.run_starts_at, pages, Coding::Zstd, &data);
            }
            _ => self.record(self.run_starts_at, pages, Coding::Plain, &run),
        }
    }

    fn record(&mut self, number: u32, pages: usize, coding: Coding, data: &[u8]) {
        let mut head = [0; RECORD_HEAD_BYTES];
        head[..4].copy_from_slice(&number.to_le_bytes());
        head[4..6].copy_from_slice(&(pages as u16).to_le_bytes());
        head[6] = coding.number();
        head[8..].copy_from_slice(&(data.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(data);
        self.head.records += 1;
    }
}
