//! Reading a page object as it comes, in pieces of any size. It may come from anyone: nothing of it is believed.

use zstd::zstd_safe::{DCtx, find_frame_compressed_size};

use super::{
    FORMAT, HEAD_BYTES, Head, Page, RECORD_OLD_PAGES, RECORD_PAGES, Snapshot, pages,
    record::{Coding, DICTIONARY_MAGIC, RECORD_HEAD_BYTES, RecordHead},
};
use crate::limits::PAGE_BYTES;

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
    #[error("a record breaks the format's rules, after page {0}")]
    Record(u32),
    #[error("a record's data does not decode, after page {0}")]
    Data(u32),
    #[error("it goes on after its end")]
    TooLong,
    #[error("it ends early: {0} bytes of its next part are there")]
    CutShort(usize),
    #[error("its end counts {said} records, and {came} came")]
    Count { said: u32, came: u32 },
}

impl Broken {
    /// For counters: these names stay.
    pub fn name(&self) -> &'static str {
        match self {
            Broken::NotPages => "object_not_pages",
            Broken::Future(_) => "object_future_format",
            Broken::Head => "object_head",
            Broken::OtherFrom => "object_other_from",
            Broken::OtherTo => "object_other_to",
            Broken::Record(_) => "object_record",
            Broken::Data(_) => "object_data",
            Broken::TooLong => "object_too_long",
            Broken::CutShort(_) => "object_cut_short",
            Broken::Count { .. } => "object_count",
        }
    }
}

pub struct Reader {
    from: Option<Snapshot>,
    to: Snapshot,
    expects: Part,
    /// The head or record that is not whole yet.
    partial: Vec<u8>,
    records: u32,
    /// The page after the last one that came.
    next: u32,
    decompressor: DCtx<'static>,
    numbers: Vec<u32>,
    old_numbers: Vec<u32>,
    dictionary: Vec<u8>,
    decoded: Vec<u8>,
}

/// What the next bytes are.
#[derive(Clone, Copy)]
enum Part {
    Head,
    RecordHead,
    Body(RecordHead),
    Nothing,
}

impl Part {
    fn bytes(self) -> usize {
        match self {
            Part::Head => HEAD_BYTES,
            Part::RecordHead => RECORD_HEAD_BYTES,
            Part::Body(head) => head.body_bytes(),
            Part::Nothing => 0,
        }
    }
}

impl Reader {
    /// Reads an object that makes `to` out of `from`, or out of nothing.
    pub fn new(from: Option<Snapshot>, to: Snapshot) -> Reader {
        Reader {
            from,
            to,
            expects: Part::Head,
            partial: Vec::new(),
            records: 0,
            next: 0,
            decompressor: DCtx::create(),
            numbers: Vec::new(),
            old_numbers: Vec::new(),
            dictionary: Vec::new(),
            decoded: Vec::new(),
        }
    }

    /// Takes the next bytes. `old` gives a page of the snapshot `from`, **as it was before anything of this object was
    /// applied**: a page may be asked for after the one of its number has come. `page` takes each page as it is decoded.
    pub fn take<E: From<Broken>>(
        &mut self,
        mut bytes: &[u8],
        mut old: impl FnMut(u32, &mut Page) -> Result<(), E>,
        mut page: impl FnMut(u32, &Page) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let missing = self.expects.bytes() - self.partial.len();
            if missing == 0 {
                return Err(Broken::TooLong.into());
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(missing));
            self.partial.extend_from_slice(taken);
            bytes = rest;
            if self.partial.len() == self.expects.bytes() {
                self.expects = self.whole(&mut old, &mut page)?;
                self.partial.clear();
            }
        }
        Ok(())
    }

    /// Says whether all of it has come. The pages' root is for the caller to compare.
    pub fn finish(self) -> Result<(), Broken> {
        match self.expects {
            Part::Nothing => Ok(()),
            _ => Err(Broken::CutShort(self.partial.len())),
        }
    }

    /// Looks at a part that has come whole, and says what follows it.
    fn whole<E: From<Broken>>(
        &mut self,
        old: &mut impl FnMut(u32, &mut Page) -> Result<(), E>,
        page: &mut impl FnMut(u32, &Page) -> Result<(), E>,
    ) -> Result<Part, E> {
        match self.expects {
            Part::Head => {
                let head = self.partial.first_chunk().ok_or(Broken::Head)?;
                self.begin(&Head::read(head)?)?;
                Ok(Part::RecordHead)
            }
            Part::RecordHead => {
                let head = self.partial.first_chunk().and_then(RecordHead::read);
                match head.ok_or(Broken::Record(self.next))? {
                    RecordHead::End { records } => Ok(self.end(records)?),
                    head => Ok(Part::Body(head)),
                }
            }
            Part::Body(head) => {
                self.record(head, old, page)?;
                Ok(Part::RecordHead)
            }
            Part::Nothing => Err(Broken::TooLong.into()),
        }
    }

    fn begin(&self, head: &Head) -> Result<(), Broken> {
        if head.from != self.from {
            return Err(Broken::OtherFrom);
        }
        if head.to != self.to {
            return Err(Broken::OtherTo);
        }
        Ok(())
    }

    fn end(&self, records: u32) -> Result<Part, Broken> {
        if records != self.records {
            return Err(Broken::Count { said: records, came: self.records });
        }
        // A base leaves nothing out, nor does a delta beyond the end of what it is applied to.
        let must_reach = self.from.map_or(0, |from| from.pages);
        if self.to.pages > must_reach && self.next != self.to.pages {
            return Err(Broken::Record(self.next));
        }
        Ok(Part::Nothing)
    }

    fn record<E: From<Broken>>(
        &mut self,
        head: RecordHead,
        old: &mut impl FnMut(u32, &mut Page) -> Result<(), E>,
        page: &mut impl FnMut(u32, &Page) -> Result<(), E>,
    ) -> Result<(), E> {
        let RecordHead::Pages { list_bytes, pages, coding, .. } = head else { return Ok(()) };
        let partial = std::mem::take(&mut self.partial);
        let (list, data) = partial.split_at(list_bytes);
        self.lists(list, pages, coding).ok_or(Broken::Record(self.next))?;

        self.dictionary.clear();
        for number in &self.old_numbers {
            let mut before = [0; PAGE_BYTES];
            old(*number, &mut before)?;
            self.dictionary.extend_from_slice(&before);
        }
        if self.dictionary.starts_with(&DICTIONARY_MAGIC) {
            return Err(Broken::Record(self.next).into());
        }
        self.decoded.resize(RECORD_PAGES * PAGE_BYTES, 0);
        let decoded = &mut self.decoded[..pages * PAGE_BYTES];
        let is_frame = || find_frame_compressed_size(data) == Ok(data.len());
        let length = match coding {
            Coding::Plain => {
                decoded.copy_from_slice(data);
                Some(decoded.len())
            }
            _ if !is_frame() => None,
            _ => self.decompressor.decompress_using_dict(decoded, data, &self.dictionary).ok(),
        };
        if length != Some(pages * PAGE_BYTES) {
            return Err(Broken::Data(self.next).into());
        }
        for (number, decoded) in self.numbers.iter().zip(decoded.as_chunks().0) {
            page(*number, decoded)?;
        }
        self.next = self.numbers.last().map_or(self.next, |last| last + 1);
        self.records += 1;
        self.partial = partial;
        Ok(())
    }

    /// Reads which pages a record has and which old ones it is made with. None if they break a rule.
    fn lists(&mut self, mut list: &[u8], count: usize, coding: Coding) -> Option<()> {
        let old_pages = self.from.map_or(0, |from| from.pages);
        pages::read(self.next, count, self.to.pages, &mut list, &mut self.numbers)?;
        let (first, last) = (*self.numbers.first()?, *self.numbers.last()?);
        let is_whole = last - first + 1 == count as u32 && first == self.next;
        // Whatever the snapshot before does not have must be there: no page beyond its end is left out.
        let leaves_out_new = last >= old_pages && {
            let new = self.numbers.iter().filter(|number| **number >= old_pages).count() as u32;
            new != last + 1 - old_pages.max(self.next)
        };
        if self.numbers.len() != count || leaves_out_new || (self.from.is_none() && !is_whole) {
            return None;
        }
        self.old_numbers.clear();
        match coding {
            Coding::Plain | Coding::Zstd => {}
            Coding::ZstdOnSame => {
                self.old_numbers.extend(self.numbers.iter().filter(|number| **number < old_pages));
                // Without any it would be another name for the coding before.
                self.old_numbers.first()?;
            }
            Coding::ZstdOnPages => {
                pages::read(0, RECORD_OLD_PAGES, old_pages, &mut list, &mut self.old_numbers)?;
                self.old_numbers.first()?;
            }
        }
        list.is_empty().then_some(())
    }
}
