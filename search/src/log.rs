//! The log: the newest changes, one behind the other in rows of a page each, which are written round and round. The row that
//! was written last is the index's first row: every statement begins with it.
//!
//! A push carries one of these pages, or a few, and no other of the index, until so many changes wait that they become a
//! segment. What is written in place changes neither the pages above it nor the file's list of free ones.

use crate::{
    batch::Said,
    bytes::{Bytes, put_varint},
    documents::Told,
    fault::{Fault, Result},
    limits::{LOG_SLOTS_MOST, RECORD_BYTES, SLOT_BYTES},
    meta::Stamp,
    rows::Slots,
};

const MAGIC: u32 = u32::from_le_bytes(*b"nss3");
const HEAD_BYTES: usize = 12;
/// What a row can hold beside its own head.
const ROOM: usize = SLOT_BYTES - HEAD_BYTES;
/// Of it, the index's own facts may take so many.
const META_MOST: usize = ROOM - 1_024;

/// A row: a part of the log from its front on, and if it is the last one, the index's facts at its back.
#[derive(Clone, Copy, Debug)]
pub struct Slot<'r> {
    /// Rises from row to row in the order they are written.
    pub ordinal: u32,
    pub log: &'r [u8],
    pub meta: &'r [u8],
}

impl<'r> Slot<'r> {
    pub fn read(row: &'r [u8]) -> Result<Slot<'r>> {
        let mut bytes = Bytes::new(row);
        if row.len() != SLOT_BYTES || bytes.u32()? != MAGIC {
            return Err(Fault::Damaged("a row of its log is of another kind"));
        }
        let (ordinal, log, meta) = (bytes.u32()?, usize::from(bytes.u16()?), usize::from(bytes.u16()?));
        let free = ROOM.checked_sub(log + meta).ok_or(Fault::Damaged("the parts of a row of its log"))?;
        let log = bytes.take(log)?;
        bytes.take(free)?;
        Ok(Slot { ordinal, log, meta: bytes.take(meta)? })
    }

    fn write(self) -> Vec<u8> {
        let mut row = Vec::with_capacity(SLOT_BYTES);
        row.extend(MAGIC.to_le_bytes());
        row.extend(self.ordinal.to_le_bytes());
        row.extend((self.log.len() as u16).to_le_bytes());
        row.extend((self.meta.len() as u16).to_le_bytes());
        row.extend(self.log);
        row.resize(SLOT_BYTES - self.meta.len(), 0);
        row.extend(self.meta);
        row
    }
}

/// Finds the first row; `guess` is where it was.
///
/// A row that was the last one is followed by one with a higher ordinal from then on, which only rises. So a row with the
/// index's facts in it that is followed by none is the last one, and whoever reads both knows it: no change leaves both as
/// they are.
pub fn head(slots: &dyn Slots, guess: Option<u32>, row: &mut Vec<u8>) -> Result<u32> {
    if let Some(guess) = guess
        && let Some(number) = ahead(slots, guess, row)?
    {
        return Ok(number);
    }
    let (mut found, mut other) = (None, Vec::new());
    for number in 0..slots.slots()?.min(LOG_SLOTS_MOST) {
        if !slots.slot(number, &mut other)? {
            return Err(Fault::Damaged("a row of its log is missing"));
        }
        let slot = Slot::read(&other)?;
        if !slot.meta.is_empty() && found.is_none_or(|(ordinal, _)| ordinal < slot.ordinal) {
            found = Some((slot.ordinal, number));
            row.clone_from(&other);
        }
    }
    found.map(|(_, number)| number).ok_or(Fault::Damaged("its first row is missing"))
}

fn ahead(slots: &dyn Slots, guess: u32, row: &mut Vec<u8>) -> Result<Option<u32>> {
    let (mut number, mut other) = (guess, Vec::new());
    for _ in 0..LOG_SLOTS_MOST {
        if !slots.pair(number, row, &mut other)? {
            // There are fewer than there were, or this is the first one behind the last.
            if number == 0 || number == guess {
                return Ok(None);
            }
            number = 0;
            continue;
        }
        let (this, next) = (Slot::read(row)?, Slot::read(&other)?);
        if next.ordinal <= this.ordinal {
            return Ok((!this.meta.is_empty()).then_some(number));
        }
        number += 1;
    }
    Ok(None)
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    pub slot: u32,
    pub offset: u16,
}

/// The rows there are, and where the changes begin that are in no segment yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    pub slots: u32,
    pub tail: Position,
}

impl Ring {
    /// Rows that hold something, if the last one is `head`.
    pub fn live(self, head: u32) -> u32 {
        1 + if self.wraps(head) { head + self.slots - self.tail.slot } else { head - self.tail.slot }
    }

    pub fn free(self, head: u32) -> u32 {
        self.slots.saturating_sub(self.live(head))
    }

    /// Rows can be put behind the last one as long as the log does not go on before it.
    pub fn wraps(self, head: u32) -> bool {
        self.tail.slot > head
    }
}

/// A change in the log.
#[derive(Debug)]
pub struct Record {
    pub at: Position,
    /// The stamp of the change before it.
    pub before: Stamp,
    pub body: Vec<u8>,
}

impl Record {
    pub fn write(before: Stamp, body: &[u8]) -> Vec<u8> {
        let mut bytes = before.to_vec();
        put_varint(&mut bytes, body.len() as u64);
        bytes.extend(body);
        bytes
    }
}

/// What a change's stamp is.
pub fn stamp(before: Stamp, body: &[u8]) -> Stamp {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before).update(body);
    first_of(&hasher)
}

/// The same of one that is too large for the log, and so has no body: of what it tells and says.
pub fn stamp_of_large(before: Stamp, told: &[Told], said: &[Said]) -> Stamp {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before);
    for (document, length) in told {
        hasher.update(&document.to_le_bytes()).update(&[u8::from(length.is_some()), length.unwrap_or(0)]);
    }
    for one in said {
        hasher.update(&(one.term.len() as u32).to_le_bytes()).update(&one.term).update(&one.more.to_le_bytes());
        hasher.update(&(one.postings.len() as u32).to_le_bytes()).update(&one.postings);
    }
    first_of(&hasher)
}

fn first_of(hasher: &blake3::Hasher) -> Stamp {
    let hash = hasher.finalize();
    std::array::from_fn(|index| hash.as_bytes()[index])
}

/// Goes through the changes from a place on.
pub struct Reader<'a> {
    slots: &'a dyn Slots,
    ring: Ring,
    head: u32,
    row: Vec<u8>,
    at: Position,
    /// Rows that were left behind.
    left: u32,
}

impl<'a> Reader<'a> {
    pub fn new(slots: &'a dyn Slots, ring: Ring, head: u32, at: Position) -> Result<Reader<'a>> {
        let mut reader = Reader { slots, ring, head, row: Vec::new(), at, left: 0 };
        reader.load(at.slot)?;
        if usize::from(at.offset) > Slot::read(&reader.row)?.log.len() {
            return Err(Fault::Damaged("where its log goes on"));
        }
        Ok(reader)
    }

    fn load(&mut self, slot: u32) -> Result<()> {
        if !self.slots.slot(slot, &mut self.row)? {
            return Err(Fault::Damaged("a row of its log is missing"));
        }
        self.at.slot = slot;
        Ok(())
    }

    /// What is left of this row, or of the next; nothing at the end.
    fn settle(&mut self) -> Result<usize> {
        loop {
            let slot = Slot::read(&self.row)?;
            let left = slot.log.len().saturating_sub(self.at.offset.into());
            if left > 0 || self.at.slot == self.head {
                return Ok(left);
            }
            let (ordinal, next) = (slot.ordinal, self.at.slot + 1);
            self.left += 1;
            self.load(if next == self.ring.slots { 0 } else { next })?;
            self.at.offset = 0;
            if self.left > self.ring.slots || Slot::read(&self.row)?.ordinal != ordinal.wrapping_add(1) {
                return Err(Fault::Damaged("the rows of its log do not follow each other"));
            }
        }
    }

    fn take(&mut self, mut count: usize) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        while count > 0 {
            let part = self.settle()?.min(count);
            if part == 0 {
                return Err(Fault::Damaged("its log ends early"));
            }
            let from = usize::from(self.at.offset);
            taken.extend_from_slice(&Slot::read(&self.row)?.log[from..from + part]);
            self.at.offset += part as u16;
            count -= part;
        }
        Ok(taken)
    }

    pub fn next(&mut self) -> Result<Option<Record>> {
        if self.settle()? == 0 {
            return Ok(None);
        }
        let at = self.at;
        let before = Bytes::new(&self.take(16)?).stamp()?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)?[0];
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 21 {
                return Err(Fault::Damaged("the length of a change"));
            }
        }
        if length > RECORD_BYTES {
            return Err(Fault::Damaged("the length of a change"));
        }
        Ok(Some(Record { at, before, body: self.take(length)? }))
    }
}

/// Where a record goes, so that the fewest rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// It begins in the row that is the last one by now, and not behind it.
    continues: bool,
    /// New rows.
    pub more: u32,
}

impl Plan {
    /// `log` bytes stand in the last row.
    pub fn new(log: usize, record: usize, meta: usize) -> Result<Plan> {
        if meta > META_MOST {
            return Err(Fault::Refused(
                "the index is in too many parts: run INSERT INTO t(t) VALUES('optimize')".into(),
            ));
        }
        // Only the last row has the index's facts.
        let rows = |bytes: usize| 1 + bytes.saturating_sub(ROOM - meta).div_ceil(ROOM) as u32;
        if log + record + meta <= ROOM {
            return Ok(Plan { continues: true, more: 0 });
        }
        let fresh = Plan { continues: false, more: rows(record) };
        let room = ROOM - log;
        if record <= room {
            return Ok(fresh);
        }
        let more = rows(record - room);
        Ok(if more < fresh.more { Plan { continues: true, more } } else { fresh })
    }

    /// Where the record begins.
    pub fn begins(self, head: u32, log: usize, slots: u32) -> Position {
        if self.continues {
            return Position { slot: head, offset: log as u16 };
        }
        Position { slot: if head + 1 == slots { 0 } else { head + 1 }, offset: 0 }
    }
}

/// Puts a record behind the last row's part of the log; gives the row that is the last one then.
pub fn append(
    slots: &mut dyn Slots,
    (head, row): (u32, &[u8]),
    count: u32,
    plan: Plan,
    (record, meta): (&[u8], &[u8]),
) -> Result<(u32, Vec<u8>)> {
    let last = Slot::read(row)?;
    let (mut number, mut ordinal) = (head, last.ordinal);
    let mut rest = record;
    let mut log = if plan.continues { last.log.to_vec() } else { Vec::new() };
    let mut put = |number, ordinal, log: &[u8], meta: &[u8]| -> Result<Vec<u8>> {
        let row = Slot { ordinal, log, meta }.write();
        slots.put_slot(number, &row)?;
        Ok(row)
    };
    for more in (0..=plan.more).rev() {
        let room = ROOM - if more == 0 { meta.len() } else { 0 };
        let is_written = plan.continues || more < plan.more;
        if is_written {
            let (part, after) = rest.split_at(rest.len().min(room - log.len()));
            log.extend(part);
            rest = after;
            let row = put(number, ordinal, &log, if more == 0 { meta } else { &[] })?;
            log.clear();
            if more == 0 {
                return Ok((number, row));
            }
        }
        number = if number + 1 == count { 0 } else { number + 1 };
        ordinal = ordinal.checked_add(1).ok_or(Fault::Damaged("its log was written too often"))?;
    }
    Err(Fault::Damaged("its log"))
}

/// The first row of an index that was just made.
pub fn begin(slots: &mut dyn Slots, meta: &[u8]) -> Result<Vec<u8>> {
    let row = Slot { ordinal: 1, log: &[], meta }.write();
    slots.put_slot(0, &row)?;
    Ok(row)
}

/// Puts rows behind the last one, to be written on later. Their ordinals are above those of all rows but the first one, so
/// that none of those seems to be the last one.
pub fn extend(slots: &mut dyn Slots, row: &[u8], from: u32, to: u32) -> Result<()> {
    let filler = Slot { ordinal: Slot::read(row)?.ordinal, log: &[], meta: &[] }.write();
    (from..to).try_for_each(|number| slots.put_slot(number, &filler))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Pages {
        rows: Vec<Vec<u8>>,
        written: usize,
    }

    impl Slots for Pages {
        fn slots(&self) -> Result<u32> {
            Ok(self.rows.len() as u32)
        }

        fn slot(&self, number: u32, into: &mut Vec<u8>) -> Result<bool> {
            into.clear();
            into.extend(self.rows.get(number as usize).into_iter().flatten());
            Ok((number as usize) < self.rows.len())
        }

        fn pair(&self, number: u32, this: &mut Vec<u8>, next: &mut Vec<u8>) -> Result<bool> {
            let is_there = self.slot(number, this)?;
            Ok(is_there && (self.slot(number + 1, next)? || self.slot(0, next)?))
        }

        fn put_slot(&mut self, number: u32, data: &[u8]) -> Result<()> {
            self.written += 1;
            match self.rows.get_mut(number as usize) {
                Some(row) => *row = data.to_vec(),
                None => self.rows.push(data.to_vec()),
            }
            Ok(())
        }
    }

    /// Records of many sizes go round and round, and come back from any place that still counts; and the last row is found from
    /// wherever it was before.
    #[test]
    fn records_come_back_and_the_last_row_is_found() {
        let mut pages = Pages::default();
        let mut row = begin(&mut pages, b"facts").unwrap();
        let (mut head, mut ring) = (0, Ring { slots: 1, tail: Position { slot: 0, offset: 0 } });
        let (mut kept, mut state, mut before) = (std::collections::VecDeque::new(), 7_u32, [0; 16]);
        for round in 0..3_000_u32 {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let size = if state >> 28 == 0 { state >> 16 & 0x7fff } else { state >> 16 & 0x3ff };
            let body: Vec<u8> = (0..size).map(|at| (at * 31 + round) as u8).collect();
            let meta = vec![round as u8; 5 + (state >> 8 & 0x1ff) as usize];
            let framed = Record::write(before, &body);
            let log = Slot::read(&row).unwrap().log.len();
            let plan = Plan::new(log, framed.len(), meta.len()).unwrap();
            while plan.more > ring.free(head) && ring.wraps(head) {
                kept.pop_front();
                ring.tail = kept
                    .front()
                    .map_or(Position { slot: head, offset: log as u16 }, |(at, _): &(Position, Vec<u8>)| *at);
            }
            if plan.more > ring.free(head) {
                let slots = ring.slots + plan.more - ring.free(head);
                extend(&mut pages, &row, ring.slots, slots).unwrap();
                ring.slots = slots;
            }
            pages.written = 0;
            let begins = plan.begins(head, log, ring.slots);
            let old = head;
            (head, row) = append(&mut pages, (head, &row), ring.slots, plan, (&framed, &meta)).unwrap();
            assert_eq!(pages.written as u32, plan.more + u32::from(plan.continues));
            assert!(pages.written <= framed.len() / (ROOM - meta.len()) + 2);
            before = stamp(before, &body);
            kept.push_back((begins, body));
            if kept.len() > 60 + (round % 40) as usize {
                kept.pop_front();
            }
            ring.tail = kept[0].0;
            let mut found = Vec::new();
            for guess in [None, Some(old), Some(head), Some(state % ring.slots), Some(9_999)] {
                assert_eq!(
                    (super::head(&pages, guess, &mut found).unwrap(), &found),
                    (head, &row),
                    "{round} {guess:?}"
                );
            }
            assert_eq!(Slot::read(&row).unwrap().meta, meta);
            let from = (state >> 4) as usize % kept.len();
            let mut reader = Reader::new(&pages, ring, head, kept[from].0).unwrap();
            for (_, body) in kept.iter().skip(from) {
                assert!(reader.next().unwrap().unwrap().body == *body);
            }
            assert!(reader.next().unwrap().is_none());
        }
        assert!(ring.slots < 200, "{}", ring.slots);
    }

    #[test]
    fn a_small_record_touches_one_row() {
        for log in (0..ROOM).step_by(13) {
            for record in (0..2_000).step_by(50) {
                let plan = Plan::new(log, record, 300).unwrap();
                assert_eq!(plan.more + u32::from(plan.continues), 1, "{log} {record}");
            }
        }
        assert!(Plan::new(0, 0, ROOM).is_err());
    }

    proptest! {
        #[test]
        fn damage_is_read_or_refused(row in 0_usize..6, at in 0..SLOT_BYTES, with in any::<u8>(), slot in 0_u32..7, offset in any::<u16>()) {
            let mut pages = Pages::default();
            let mut last = (0, begin(&mut pages, b"facts").unwrap());
            extend(&mut pages, &last.1, 1, 6).unwrap();
            for size in [900, 3_000, 5_000, 1_000] {
                let record = Record::write([3; 16], &vec![size as u8; size]);
                let plan = Plan::new(Slot::read(&last.1).unwrap().log.len(), record.len(), 5).unwrap();
                last = append(&mut pages, (last.0, &last.1), 6, plan, (&record, b"facts")).unwrap();
            }
            let at = if at % 2 == 0 { at % HEAD_BYTES } else { at };
            pages.rows[row][at] = with;
            let _ = head(&pages, Some(slot), &mut Vec::new());
            let ring = Ring { slots: 6, tail: Position { slot: 0, offset: 0 } };
            for at in [ring.tail, Position { slot, offset }] {
                let Ok(mut reader) = Reader::new(&pages, ring, last.0, at) else { continue };
                while let Ok(Some(_)) = reader.next() {}
            }
        }
    }
}
