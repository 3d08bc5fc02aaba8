//! How an index changes: a change goes into the log, and with it goes a slice of what moves older ones on.

use std::sync::Arc;

use crate::{
    batch::{Batch, Said},
    documents::{Changes, Told},
    fault::{Fault, Result},
    index::{Known, count},
    limits,
    log::{self, Plan, Position, Record, Slot},
    merge::{self, Which},
    meta::Segment,
    options::{Options, Shape},
    record,
    rows::Store,
    score::{Norms, Weights},
    segment,
    source::{self, Source},
};

type How<'a> = (Shape, &'a Weights);

impl Known {
    /// Makes a batch part of the index, and goes on with merging.
    pub fn commit(&mut self, store: &mut impl Store, options: &Options, batch: Batch) -> Result<()> {
        let how = (options.shape(), &options.weights);
        let is_small = batch.fits_the_log();
        let (told, said) = batch.into_parts();
        let body = if is_small { Some(record::write(&told, &said, how.0)?) } else { None };
        let change = self.meta.next_change;
        if change == u32::MAX {
            return Err(Fault::Refused(
                "the index has been changed too often: run INSERT INTO t(t) VALUES('rebuild')".into(),
            ));
        }
        match body.filter(|body| body.len() <= limits::RECORD_BYTES) {
            Some(body) => {
                self.tell(&told)?;
                let record = Record::write(self.meta.stamp, &body);
                self.meta.stamp = log::stamp(self.meta.stamp, &body);
                self.meta.next_change += 1;
                self.hold(change, (&told, &said), how)?;
                let written = record.len().div_ceil(limits::SLOT_BYTES) * PAGE_BYTES;
                self.merge_some(store, how, written as u64)?;
                self.put(store, how, Some((change, record)))?;
            }
            None => {
                let written = self.append(store, (&told, &said), how)?;
                self.merge_some(store, how, written)?;
                self.put(store, how, None)?;
            }
        }
        // Not before it is known how far a flush goes.
        let (flushed, average) = (self.flushed(), self.meta.frozen.average());
        source::settle(&mut self.sources, flushed, (&self.documents, average), how)
    }

    /// Counts a change of documents in.
    fn tell(&mut self, told: &[Told]) -> Result<()> {
        for (document, length) in told {
            count(&mut self.meta.live, self.documents.length(*document), *length);
            self.documents.tell(*document, *length, self.meta.next_change)?;
        }
        self.meta.frozen = self.meta.live.settled();
        Ok(())
    }

    /// Has a change of the log in memory.
    fn hold(&mut self, change: u32, what: (&[Told], &[Said]), how: How<'_>) -> Result<()> {
        let with = (&self.documents, self.meta.frozen.average());
        self.sources.push(source::of_change((change, self.meta.stamp), what, with, how)?);
        Ok(())
    }

    /// Makes a change a segment at once; gives the bytes written. What is in the log is older, and goes before it.
    fn append(&mut self, store: &mut impl Store, (told, said): (&[Told], &[Said]), how: How<'_>) -> Result<u64> {
        self.drain(store, how, self.meta.next_change - 1)?;
        self.tell(told)?;
        let (change, average) = (self.meta.next_change, self.meta.frozen.average());
        let id = self.meta.begin_segment(if self.meta.segments.is_empty() { limits::TIERS - 1 } else { 0 })?;
        let bytes = segment::write(store, id, (told, said), (&self.documents, average), how)?;
        self.meta.stamp = log::stamp_of_large(self.meta.stamp, told, said);
        let changes = Changes { first: change, last: change };
        let (documents, stamp) = (told.len() as u32, self.meta.stamp);
        self.meta.segments.push(Segment { id, changes, documents, average, stamp });
        self.meta.next_change += 1;
        self.moved();
        Ok(bytes)
    }

    /// Goes on with merges, by how much was written anyway.
    fn merge_some(&mut self, store: &mut impl Store, how: How<'_>, written: u64) -> Result<()> {
        let most = (3 * written).clamp(limits::MERGE_BYTES_LEAST, limits::MERGE_BYTES_MOST);
        let mut left = most.min(limits::COMMIT_BYTES.saturating_sub(written)).max(limits::MERGE_BYTES_LEAST);
        while left > 0 || self.meta.segments.len() > limits::SEGMENTS {
            let Some(which) = self.next_merge()? else { break };
            // Over the number of segments that is possible, however much there is to write.
            let budget = if self.meta.segments.len() > limits::SEGMENTS { u64::MAX } else { left };
            let spent = self.advance(store, which, how, budget)?;
            left = left.saturating_sub(spent.max(1));
        }
        Ok(())
    }

    /// What to go on with: the log's way into a segment does not wait for larger merges.
    ///
    /// The newest change waits for the next commit: so whoever knows the index up to the commit before finds the change it
    /// knows last at the end of a segment or in the log, and reads on from there.
    fn next_merge(&mut self) -> Result<Option<Which>> {
        let (first, last) = (self.meta.log_begins(), self.meta.next_change.saturating_sub(2));
        self.meta.ring.tail = self.log_begin()?;
        if self.meta.flush.is_none() && last >= first && self.meta.ring.live(self.slot) >= self.log_slots() {
            merge::begin_flush(&mut self.meta, last)?;
        }
        if self.meta.flush.is_some() {
            return Ok(Some(Which::Flush));
        }
        let goes_on = self.meta.merge.is_some() || merge::begin(&mut self.meta)?;
        Ok(goes_on.then_some(Which::Merge))
    }

    fn advance(&mut self, store: &mut impl Store, which: Which, how: How<'_>, budget_bytes: u64) -> Result<u64> {
        let what = (&self.sources[..], &self.documents);
        let advanced = merge::advance(store, (&mut self.meta, which), what, how, budget_bytes)?;
        if advanced.is_whole {
            self.moved();
        }
        Ok(advanced.bytes)
    }

    /// Rows that the log is to have before it becomes a segment, by how large the index is.
    fn log_slots(&self) -> u32 {
        let slots = self.meta.live.tokens / limits::LOG_SLOT_TOKENS;
        slots.clamp(limits::LOG_SLOTS_LEAST.into(), limits::LOG_SLOTS.into()) as u32
    }

    /// After a segment came or went: what there is to search, and where the log begins.
    pub(crate) fn moved(&mut self) {
        let log = self.meta.log_begins();
        let waiting = self.sources.iter().filter(|one| one.is_held() && one.segment.changes.first >= log);
        self.sources = self.meta.segments.iter().cloned().map(Source::kept).chain(waiting.cloned()).collect();
        self.begins = Arc::new(self.begins.iter().filter(|(change, _)| *change >= log).copied().collect());
    }

    /// Moves the log up to this change into a segment, however much there is to write.
    fn drain(&mut self, store: &mut impl Store, how: How<'_>, last: u32) -> Result<()> {
        while self.meta.flush.is_some() || self.meta.log_begins() <= last {
            if self.meta.flush.is_none() {
                merge::begin_flush(&mut self.meta, last)?;
            }
            self.advance(store, Which::Flush, how, u64::MAX)?;
        }
        Ok(())
    }

    /// Merges all segments into one, and the log with them.
    pub fn optimize(&mut self, store: &mut impl Store, options: &Options) -> Result<()> {
        let how = (options.shape(), &options.weights);
        self.meta.frozen = self.meta.live.settled();
        self.drain(store, how, self.meta.next_change - 1)?;
        while self.meta.merge.is_some() {
            self.advance(store, Which::Merge, how, u64::MAX)?;
        }
        if self.meta.segments.len() > 1 {
            merge::begin_all(&mut self.meta)?;
            self.advance(store, Which::Merge, how, u64::MAX)?;
        }
        // With so much that is new, what the log will need comes along: its own length, and what comes during a flush.
        let (slots, wanted) = (self.meta.ring.slots, self.log_slots() * 3 / 2);
        if slots < wanted {
            log::extend(store, &self.row, slots, wanted)?;
            self.meta.ring.slots = wanted;
        }
        self.put(store, how, None)
    }

    fn log_ends(&self) -> Result<Position> {
        Ok(Position { slot: self.slot, offset: Slot::read(&self.row)?.log.len() as u16 })
    }

    /// Where the log begins, as far as it is written.
    fn log_begin(&self) -> Result<Position> {
        match self.begins.first() {
            Some((_, begin)) => Ok(*begin),
            None => self.log_ends(),
        }
    }

    /// Writes the first row, and a change before it.
    fn put(&mut self, store: &mut impl Store, how: How<'_>, record: Option<(u32, Vec<u8>)>) -> Result<()> {
        let bytes = record.as_ref().map_or(&[][..], |(_, record)| record);
        let log = usize::from(self.log_ends()?.offset);
        let mut plan = self.plan(log, bytes.len())?;
        let ring = self.meta.ring;
        let lacks = plan.more.saturating_sub(ring.free(self.slot));
        if lacks > 0 && (ring.wraps(self.slot) || ring.slots + lacks > limits::LOG_SLOTS_MOST) {
            // There is no room between the log's end and where it begins: all but this change goes.
            self.drain(store, how, record.as_ref().map_or(self.meta.next_change - 1, |(change, _)| change - 1))?;
            plan = self.plan(log, bytes.len())?;
        }
        let (slots, lacks) = (self.meta.ring.slots, plan.more.saturating_sub(self.meta.ring.free(self.slot)));
        if lacks > 0 {
            log::extend(store, &self.row, slots, slots + lacks)?;
            self.meta.ring.slots += lacks;
        }
        if let Some((change, _)) = record {
            let begins = plan.begins(self.slot, log, self.meta.ring.slots);
            Arc::make_mut(&mut self.begins).push((change, begins));
            self.meta.ring.tail = self.log_begin()?;
        }
        let (meta, slots) = (self.meta.write(), self.meta.ring.slots);
        (self.slot, self.row) = log::append(store, (self.slot, &self.row), slots, plan, (bytes, &meta))?;
        self.norms = Norms::new(self.meta.frozen.average());
        Ok(())
    }

    fn plan(&mut self, log: usize, record: usize) -> Result<Plan> {
        self.meta.ring.tail = self.log_begin()?;
        Plan::new(log, record, self.meta.write().len())
    }

    /// Writes the first row of an index without documents.
    pub fn begin(&mut self, store: &mut impl Store) -> Result<()> {
        self.row = log::begin(store, &self.meta.write())?;
        Ok(())
    }
}

const PAGE_BYTES: usize = 4_096;
