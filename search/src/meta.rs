//! The one row that every statement reads first: what segments there are, what is scored by, and how far a merge is.

use crate::{
    bytes::{Bytes, put_varint},
    documents::Changes,
    fault::{Fault, Result},
    limits,
    score::{Statistics, read_average},
};

const MAGIC: u32 = u32::from_le_bytes(*b"nss2");

/// Names the contents of an index: each change's stamp is a hash of the one before it and of what it brings.
pub type Stamp = [u8; 16];

#[derive(Clone, Debug, PartialEq)]
pub struct Meta {
    /// What the index was declared as.
    pub options: u64,
    pub live: Statistics,
    /// What is scored by: `live`, rounded, so that it moves seldom.
    pub frozen: Statistics,
    pub next_segment: u32,
    pub next_change: u32,
    pub stamp: Stamp,
    /// The oldest first.
    pub segments: Vec<Segment>,
    pub merge: Option<Merge>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    pub id: u32,
    pub changes: Changes,
    pub level: u8,
    /// Documents it tells of, gone ones among them.
    pub documents: u32,
    /// The average length its maxima were reckoned by.
    pub average: f32,
    /// The stamp of its last change.
    pub stamp: Stamp,
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
            next_segment: 0,
            next_change: 1,
            stamp: [0; 16],
            segments: Vec::new(),
            merge: None,
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut row = Vec::new();
        row.extend(MAGIC.to_le_bytes());
        row.extend(self.options.to_le_bytes());
        for number in [self.live.documents, self.live.tokens, self.frozen.documents, self.frozen.tokens] {
            put_varint(&mut row, number);
        }
        put_varint(&mut row, self.next_segment.into());
        put_varint(&mut row, self.next_change.into());
        row.extend(self.stamp);
        row.push(self.segments.len() as u8);
        for segment in &self.segments {
            put_varint(&mut row, segment.id.into());
            put_changes(&mut row, segment.changes);
            row.push(segment.level);
            put_varint(&mut row, segment.documents.into());
            row.extend(segment.average.to_le_bytes());
            row.extend(segment.stamp);
        }
        row.push(u8::from(self.merge.is_some()));
        if let Some(merge) = &self.merge {
            put_varint(&mut row, merge.into.into());
            put_changes(&mut row, merge.changes);
            row.extend(merge.average.to_le_bytes());
            put_varint(&mut row, merge.lists.into());
            put_done(&mut row, merge.done);
            row.extend(&merge.from);
        }
        row
    }

    pub fn read(row: &[u8]) -> Result<Meta> {
        let mut bytes = Bytes::new(row);
        if bytes.u32()? != MAGIC {
            return Err(Fault::Damaged("its first row is of another kind"));
        }
        let options = bytes.u64()?;
        let mut statistics = || Ok::<_, Fault>(Statistics { documents: bytes.varint()?, tokens: bytes.varint()? });
        let (live, frozen) = (statistics()?, statistics()?);
        let (next_segment, next_change, stamp) = (bytes.varint32()?, bytes.varint32()?, bytes.stamp()?);
        let mut segments = Vec::new();
        for _ in 0..bytes.u8()? {
            segments.push(Segment {
                id: bytes.varint32()?,
                changes: read_changes(&mut bytes)?,
                level: bytes.u8()?,
                documents: bytes.varint32()?,
                average: read_average(&mut bytes)?,
                stamp: bytes.stamp()?,
            });
        }
        let merge = if bytes.u8()? == 0 { None } else { Some(read_merge(&mut bytes)?) };
        let meta = Meta { options, live, frozen, next_segment, next_change, stamp, segments, merge };
        if meta.is_sound() { Ok(meta) } else { Err(Fault::Damaged("its segments do not follow each other")) }
    }

    fn is_sound(&self) -> bool {
        let mut next = 1;
        let follow = self.segments.iter().all(|segment| {
            let fits = segment.changes.first == next && segment.changes.last >= next && segment.id < self.next_segment;
            next = segment.changes.last.saturating_add(1);
            fits
        });
        let merge = self.merge.as_ref().is_none_or(|merge| {
            let inputs = || self.segments.iter().filter(|segment| merge.changes.has(segment.changes));
            let first = inputs().next().is_some_and(|first| first.changes.first == merge.changes.first);
            let last = inputs().next_back().is_some_and(|last| last.changes.last == merge.changes.last);
            first && last && merge.into < self.next_segment
        });
        let bounded =
            self.next_segment < limits::SEGMENT_IDS && self.live.documents.max(self.frozen.documents) < 1 << 32;
        follow && next == self.next_change && merge && bounded && self.frozen.tokens < 1 << 52
    }
}

impl Changes {
    pub fn has(&self, other: Changes) -> bool {
        other.first >= self.first && other.last <= self.last
    }
}

fn put_changes(row: &mut Vec<u8>, changes: Changes) {
    put_varint(row, changes.first.into());
    put_varint(row, changes.last.into());
}

fn read_changes(bytes: &mut Bytes<'_>) -> Result<Changes> {
    Ok(Changes { first: bytes.varint32()?, last: bytes.varint32()? })
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
            let fit = rows.max(documents) < 1 << 31;
            if fit { Ok(Done::Documents { rows, documents, next }) } else { Err(Fault::Damaged("how far a merge is")) }
        }
        _ => Err(Fault::Damaged("how far a merge is")),
    }
}

fn read_merge(bytes: &mut Bytes<'_>) -> Result<Merge> {
    Ok(Merge {
        into: bytes.varint32()?,
        changes: read_changes(bytes)?,
        average: read_average(bytes)?,
        lists: bytes.varint32()?,
        done: read_done(bytes)?,
        from: bytes.take(bytes.len())?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meta() -> Meta {
        let segment = |id, first, last| Segment {
            id,
            changes: Changes { first, last },
            level: 2,
            documents: 77,
            average: 12.5,
            stamp: [id as u8; 16],
        };
        let merge = Merge {
            into: 9,
            changes: Changes { first: 5, last: 6 },
            average: 3.0,
            lists: 4,
            done: Done::Documents { rows: 1, documents: 400, next: 77 },
            from: b"linux".to_vec(),
        };
        Meta {
            next_segment: 10,
            next_change: 7,
            segments: vec![segment(1, 1, 4), segment(5, 5, 5), segment(6, 6, 6)],
            merge: Some(merge),
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
