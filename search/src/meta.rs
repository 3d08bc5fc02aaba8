//! What every statement reads first: what segments there are, what is scored by, where the log is, and how far merges are.

use crate::{
    bytes::{Bytes, put_varint},
    documents::Changes,
    fault::{Fault, Result},
    limits,
    log::{Position, Ring},
    rows::lane_of,
    score::{Statistics, read_average},
};

/// Names the contents of an index: each change's stamp is a hash of the one before it and of what it brings.
pub type Stamp = [u8; 16];

#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// What the index was declared as.
    pub options: u64,
    pub live: Statistics,
    /// What is scored by: `live`, rounded, so that it moves seldom.
    pub frozen: Statistics,
    /// Segments that were begun.
    pub begun_segments: u32,
    pub next_change: u32,
    /// Of the last change, be it in a segment or in the log.
    pub stamp: Stamp,
    pub ring: Ring,
    /// For each tier a bit: which of its two lanes new segments go to.
    pub sides: u8,
    /// The oldest first. Changes after those of the last one are in the log.
    pub segments: Vec<Segment>,
    /// The log's older changes on their way into a segment.
    pub flush: Option<Merge>,
    /// Segments on their way into a larger one.
    pub merge: Option<Merge>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    pub id: u32,
    pub changes: Changes,
    /// Documents it tells of, gone ones among them.
    pub documents: u32,
    /// The average length its maxima were reckoned by.
    pub average: f32,
    /// The stamp of its last change.
    pub stamp: Stamp,
}

impl Segment {
    /// How large it is, about: 0 for what comes out of the log, and one more for what sixteen of a tier become.
    pub fn tier(&self) -> u32 {
        lane_of(self.id) / 2
    }
}

/// A segment in the making out of several that stand beside each other. Nothing reads it before it is whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    pub into: u32,
    pub changes: Changes,
    pub average: f32,
    /// Lists that are whole.
    pub lists: u32,
    pub done: Done,
    /// Terms before this one are done.
    pub from: Vec<u8>,
}

impl Merge {
    /// Of which nothing is done.
    pub fn begun(into: u32, changes: Changes, average: f32) -> Merge {
        Merge { into, changes, average, lists: 0, done: Done::Terms { is_begun: false }, from: Vec::new() }
    }
}

/// How far a merge is beyond the terms that are done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Done {
    /// The next term's list is begun, or it is not.
    Terms { is_begun: bool },
    /// All terms, so many documents in so many rows, and of others those below `next`.
    Documents { rows: u32, documents: u32, next: u32 },
}

impl Default for Changes {
    fn default() -> Self {
        Changes { first: 1, last: 1 }
    }
}

impl Meta {
    pub fn new(options: u64) -> Meta {
        let none = Statistics { documents: 0, tokens: 0 };
        Meta {
            options,
            live: none,
            frozen: none,
            begun_segments: 0,
            next_change: 1,
            stamp: [0; 16],
            ring: Ring { slots: 1, tail: Position::default() },
            sides: 0,
            segments: Vec::new(),
            flush: None,
            merge: None,
        }
    }

    /// The first change that is in no segment, if there is one.
    pub fn log_begins(&self) -> u32 {
        self.segments.last().map_or(0, |segment| segment.changes.last).saturating_add(1)
    }

    /// The stamp of the change before the log's first.
    pub fn stamp_before_log(&self) -> Stamp {
        self.segments.last().map_or([0; 16], |segment| segment.stamp)
    }

    /// The number of a new segment in the lane that its tier's new ones go to.
    pub fn begin_segment(&mut self, tier: u32) -> Result<u32> {
        let lane = tier * 2 + u32::from(self.sides >> tier & 1);
        let id = self.begun_segments * limits::LANES + lane;
        if id + limits::LANES >= limits::SEGMENT_IDS {
            return Err(Fault::Refused(
                "the index has been changed too often: run INSERT INTO t(t) VALUES('rebuild')".into(),
            ));
        }
        self.begun_segments += 1;
        Ok(id)
    }

    pub fn write(&self) -> Vec<u8> {
        let mut row = Vec::new();
        row.extend(self.options.to_le_bytes());
        // Where the log begins takes the same bytes wherever that is: how long this is decides where a change goes.
        row.extend(self.ring.slots.to_le_bytes());
        row.extend(self.ring.tail.slot.to_le_bytes());
        row.extend(self.ring.tail.offset.to_le_bytes());
        for number in [self.live.documents, self.live.tokens, self.frozen.documents, self.frozen.tokens] {
            put_varint(&mut row, number);
        }
        put_varint(&mut row, self.begun_segments.into());
        put_varint(&mut row, self.next_change.into());
        row.extend(self.stamp);
        row.push(self.sides);
        row.push(self.segments.len() as u8);
        for segment in &self.segments {
            put_varint(&mut row, segment.id.into());
            // The first follows from the one before.
            put_varint(&mut row, segment.changes.last.into());
            put_varint(&mut row, segment.documents.into());
            row.extend(segment.average.to_le_bytes());
            row.extend(segment.stamp);
        }
        [&self.flush, &self.merge].into_iter().for_each(|merge| put_merge(&mut row, merge.as_ref()));
        row
    }

    pub fn read(row: &[u8]) -> Result<Meta> {
        let mut bytes = Bytes::new(row);
        let options = bytes.u64()?;
        let tail = |bytes: &mut Bytes<'_>| Ok::<_, Fault>(Position { slot: bytes.u32()?, offset: bytes.u16()? });
        let ring = Ring { slots: bytes.u32()?, tail: tail(&mut bytes)? };
        let mut statistics = || Ok::<_, Fault>(Statistics { documents: bytes.varint()?, tokens: bytes.varint()? });
        let (live, frozen) = (statistics()?, statistics()?);
        let (begun_segments, next_change, stamp) = (bytes.varint32()?, bytes.varint32()?, bytes.stamp()?);
        let sides = bytes.u8()?;
        let (mut segments, mut first) = (Vec::new(), 1_u32);
        for _ in 0..bytes.u8()? {
            segments.push(Segment {
                id: bytes.varint32()?,
                changes: Changes { first, last: bytes.varint32()? },
                documents: bytes.varint32()?,
                average: read_average(&mut bytes)?,
                stamp: bytes.stamp()?,
            });
            first = segments.last().map_or(1, |segment| segment.changes.last.saturating_add(1));
        }
        let (flush, merge) = (read_merge(&mut bytes)?, read_merge(&mut bytes)?);
        let meta =
            Meta { options, live, frozen, begun_segments, next_change, stamp, ring, sides, segments, flush, merge };
        if meta.is_sound() { Ok(meta) } else { Err(Fault::Damaged("its segments do not follow each other")) }
    }

    fn is_sound(&self) -> bool {
        let begun = |id: u32| id / limits::LANES < self.begun_segments;
        let segments = self.segments.iter().all(|one| one.changes.last >= one.changes.first && begun(one.id));
        let log = self.log_begins();
        let flush = self.flush.as_ref().is_none_or(|flush| {
            let Changes { first, last } = flush.changes;
            first == log && last >= first && last < self.next_change && begun(flush.into)
        });
        let merge = self.merge.as_ref().is_none_or(|merge| {
            let inputs = || self.segments.iter().filter(|segment| merge.changes.has(segment.changes));
            let first = inputs().next().is_some_and(|first| first.changes.first == merge.changes.first);
            let last = inputs().next_back().is_some_and(|last| last.changes.last == merge.changes.last);
            first && last && begun(merge.into)
        });
        let bounded = self.begun_segments <= limits::SEGMENT_IDS / limits::LANES
            && self.live.documents.max(self.frozen.documents) < 1 << 32
            && self.frozen.tokens < 1 << 52;
        let ring = self.ring.slots <= limits::LOG_SLOTS_MOST && self.ring.tail.slot < self.ring.slots;
        segments && log <= self.next_change && flush && merge && bounded && ring
    }
}

impl Changes {
    pub fn has(&self, other: Changes) -> bool {
        other.first >= self.first && other.last <= self.last
    }
}

fn put_done(row: &mut Vec<u8>, done: Done) {
    match done {
        Done::Terms { is_begun } => row.push(u8::from(is_begun)),
        Done::Documents { rows, documents, next } => {
            row.push(2);
            [rows, documents, next].into_iter().for_each(|number| put_varint(row, number.into()));
        }
    }
}

fn read_done(bytes: &mut Bytes<'_>) -> Result<Done> {
    match bytes.u8()? {
        begun @ 0..=1 => Ok(Done::Terms { is_begun: begun == 1 }),
        2 => {
            let (rows, documents, next) = (bytes.varint32()?, bytes.varint32()?, bytes.varint32()?);
            let fit = rows <= limits::DOCUMENT_ROWS && documents < 1 << 31;
            if fit { Ok(Done::Documents { rows, documents, next }) } else { Err(Fault::Damaged("how far a merge is")) }
        }
        _ => Err(Fault::Damaged("how far a merge is")),
    }
}

fn put_merge(row: &mut Vec<u8>, merge: Option<&Merge>) {
    row.push(u8::from(merge.is_some()));
    let Some(merge) = merge else { return };
    [merge.into, merge.changes.first, merge.changes.last].into_iter().for_each(|number| put_varint(row, number.into()));
    row.extend(merge.average.to_le_bytes());
    put_varint(row, merge.lists.into());
    put_done(row, merge.done);
    put_varint(row, merge.from.len() as u64);
    row.extend(&merge.from);
}

fn read_merge(bytes: &mut Bytes<'_>) -> Result<Option<Merge>> {
    if bytes.u8()? == 0 {
        return Ok(None);
    }
    let (into, changes) = (bytes.varint32()?, Changes { first: bytes.varint32()?, last: bytes.varint32()? });
    let (average, lists, done) = (read_average(bytes)?, bytes.varint32()?, read_done(bytes)?);
    let length = bytes.varint32()? as usize;
    Ok(Some(Merge { into, changes, average, lists, done, from: bytes.take(length)?.to_vec() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meta() -> Meta {
        let segment = |id, first, last| Segment {
            id,
            changes: Changes { first, last },
            documents: 77,
            average: 12.5,
            stamp: [id as u8; 16],
        };
        let merge = |into, first, last| Merge {
            into,
            changes: Changes { first, last },
            average: 3.0,
            lists: 4,
            done: Done::Documents { rows: 1, documents: 400, next: 77 },
            from: b"linux".to_vec(),
        };
        Meta {
            begun_segments: 10,
            next_change: 12,
            ring: Ring { slots: 9, tail: Position { slot: 8, offset: 700 } },
            sides: 5,
            segments: vec![segment(4, 1, 4), segment(6, 5, 5), segment(12, 6, 6)],
            flush: Some(merge(18, 7, 10)),
            merge: Some(merge(26, 5, 6)),
            ..Meta::new(42)
        }
    }

    #[test]
    fn it_comes_back() {
        assert_eq!(Meta::read(&meta().write()).unwrap(), meta());
        assert_eq!(Meta::read(&Meta::new(1).write()).unwrap(), Meta::new(1));
    }

    proptest! {
        #[test]
        fn damage_is_read_or_refused(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
            let mut row = meta().write();
            let at = at.index(row.len());
            if cut { row.truncate(at) } else { row[at] = with }
            let _ = Meta::read(&row);
        }
    }
}
