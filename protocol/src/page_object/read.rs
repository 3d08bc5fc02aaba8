//! Reading a page object as it comes, in pieces of any size. It may come from anyone: nothing of it is believed.

use zstd::zstd_safe::DCtx;

use super::{Coding, FORMAT, HEAD_BYTES, Head, Page, RECORD_HEAD_BYTES, RECORD_PAGES};
use crate::{digest::Digest, limits::PAGE_BYTES};

/// What is wrong with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("it does not begin as a page object does")]
    NotPages,
    #[error("its format is {0}; this version reads up to {FORMAT}: upgrade")]
    Future(u16),
    #[error("its head is damaged")]
    Head,
    #[error("it is made from another snapshot than the one that is here")]
    OtherFrom,
    #[error("it makes another snapshot than the manifest names")]
    OtherTo,
    #[error("a record breaks the format's rules, near page {0}")]
    Record(u32),
    #[error("the data of page {0} does not decode")]
    Data(u32),
    #[error("it has more bytes than its head says")]
    TooLong,
    #[error("it ends early: {0} records are missing")]
    CutShort(u32),
}

/// What is expected of an object, from the manifest and from what is on disk.
#[derive(Clone, Debug)]
struct Expected {
    from: Option<Digest>,
    to: Digest,
    pages: u32,
}

pub struct Reader {
    expected: Expected,
    head: Option<Head>,
    /// The head or record that is not whole yet.
    partial: Vec<u8>,
    left: u32,
    next: u32,
    decompressor: DCtx<'static>,
    decoded: Vec<u8>,
}

impl Reader {
    pub fn new(from: Option<Digest>, to: Digest, pages: u32) -> Reader {
        Reader {
            expected: Expected { from, to, pages },
            head: None,
            partial: Vec::new(),
            left: 0,
            next: 0,
            decompressor: DCtx::create(),
            decoded: vec![0; RECORD_PAGES * PAGE_BYTES],
        }
    }

    /// Takes the next bytes. `old` gives a page of the snapshot before, `page` takes each page as it is decoded.
    pub fn take<E: From<Broken>>(
        &mut self,
        mut bytes: &[u8],
        mut old: impl FnMut(u32, &mut Page) -> Result<(), E>,
        mut page: impl FnMut(u32, &Page) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let wanted = self.wanted()?;
            let taken = bytes.len().min(wanted - self.partial.len());
            self.partial.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.partial.len() == self.wanted()? {
                self.whole(&mut old, &mut page)?;
            }
        }
        Ok(())
    }

    /// Says whether all of it has come. The pages' root is for the caller to compare.
    pub fn finish(self) -> Result<(), Broken> {
        match self.head {
            None => Err(Broken::CutShort(0)),
            Some(_) if self.left > 0 => Err(Broken::CutShort(self.left)),
            Some(_) => Ok(()),
        }
    }

    /// How many bytes the part that is being collected has.
    fn wanted(&self) -> Result<usize, Broken> {
        if self.head.is_none() {
            return Ok(HEAD_BYTES);
        }
        if self.left == 0 {
            return Err(Broken::TooLong);
        }
        match self.partial.first_chunk::<RECORD_HEAD_BYTES>() {
            None => Ok(RECORD_HEAD_BYTES),
            Some(head) => Ok(RECORD_HEAD_BYTES + self.record(head)?.data_bytes),
        }
    }

    fn record(&self, head: &[u8; RECORD_HEAD_BYTES]) -> Result<Record, Broken> {
        let number = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let broken = Err(Broken::Record(number));
        let pages = usize::from(u16::from_le_bytes([head[4], head[5]]));
        let Some(coding) = Coding::of(head[6]) else { return broken };
        let data_bytes = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;

        let fits = number >= self.next && u64::from(number) + pages as u64 <= u64::from(self.expected.pages);
        let sized = (1..=RECORD_PAGES).contains(&pages)
            && match coding {
                Coding::Plain => data_bytes == pages * PAGE_BYTES,
                Coding::Zstd => (1..pages * PAGE_BYTES).contains(&data_bytes),
                Coding::ZstdOnOld => {
                    pages == 1 && self.expected.from.is_some() && (1..PAGE_BYTES).contains(&data_bytes)
                }
            };
        // A base leaves nothing out.
        let complete = self.expected.from.is_some() || number == self.next;
        if fits && sized && complete && head[7] == 0 {
            Ok(Record { number, pages, coding, data_bytes })
        } else {
            broken
        }
    }

    fn whole<E: From<Broken>>(
        &mut self,
        old: &mut impl FnMut(u32, &mut Page) -> Result<(), E>,
        page: &mut impl FnMut(u32, &Page) -> Result<(), E>,
    ) -> Result<(), E> {
        let partial = std::mem::take(&mut self.partial);
        if self.head.is_none() {
            let head = partial.first_chunk().ok_or(Broken::Head)?;
            self.begin(Head::read(head)?)?;
            return Ok(());
        }
        let Some(head) = partial.first_chunk::<RECORD_HEAD_BYTES>() else { return Ok(()) };
        let record = self.record(head)?;
        let data = &partial[RECORD_HEAD_BYTES..];
        let decoded = &mut self.decoded[..record.pages * PAGE_BYTES];
        let length = match record.coding {
            Coding::Plain => {
                decoded.copy_from_slice(data);
                Ok(decoded.len())
            }
            Coding::Zstd => self.decompressor.decompress(decoded, data),
            Coding::ZstdOnOld => {
                let mut before = [0; PAGE_BYTES];
                old(record.number, &mut before)?;
                self.decompressor.decompress_using_dict(decoded, data, &before)
            }
        };
        if length != Ok(record.pages * PAGE_BYTES) {
            return Err(Broken::Data(record.number).into());
        }
        for (number, decoded) in (record.number..).zip(decoded.as_chunks().0) {
            page(number, decoded)?;
        }
        self.next = record.number + record.pages as u32;
        self.left -= 1;
        Ok(())
    }

    fn begin(&mut self, head: Head) -> Result<(), Broken> {
        if head.from != self.expected.from {
            return Err(Broken::OtherFrom);
        }
        if head.to != self.expected.to || head.pages != self.expected.pages {
            return Err(Broken::OtherTo);
        }
        self.left = head.records;
        self.head = Some(head);
        Ok(())
    }
}

struct Record {
    number: u32,
    pages: usize,
    coding: Coding,
    data_bytes: usize,
}
