//! The rows an index is made of, whoever keeps them: SQLite's tables, or memory.

use crate::{fault::Result, limits};

/// Takes the first term of a group and the group; false ends the scan.
pub type EachGroup<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// Reading. A row that is not there leaves `into` empty and gives false.
pub trait Rows {
    /// The group a term is in, if it is in any: the last one that begins with it or with one before it.
    fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool>;
    /// Groups from the one `from` is in, in order, while `each` gives true.
    fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()>;
    /// A part of a list: its head, a chunk, or the places of a block.
    fn row(&self, id: i64, into: &mut Vec<u8>) -> Result<bool>;
    fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool>;
}

pub trait RowsMut: Rows {
    fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()>;
    fn put_row(&mut self, id: i64, data: &[u8]) -> Result<()>;
    fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()>;
}

/// The pages of the log.
pub trait Slots {
    /// How many there are.
    fn slots(&self) -> Result<u32>;
    fn slot(&self, number: u32, into: &mut Vec<u8>) -> Result<bool>;
    /// This one and the one behind it, which is the first if this one is the last; false if it is not there.
    fn pair(&self, number: u32, this: &mut Vec<u8>, next: &mut Vec<u8>) -> Result<bool>;
    /// One that is there, or the one after the last.
    fn put_slot(&mut self, number: u32, data: &[u8]) -> Result<()>;
}

/// All an index is kept in.
pub trait Store: RowsMut + Slots {
    /// Forgets all segments of a lane.
    fn clear_lane(&mut self, lane: u32) -> Result<()>;
}

/// Segments that go together stand in tables of their own, which are emptied at a stroke: rows that are deleted one by one
/// would change the pages they are on first. A segment's lane is in its number.
pub fn lane_of(segment: u32) -> u32 {
    segment % limits::LANES
}

/// The rows of a segment, and in it of a list, stand together: 22 bits of segment, 20 of list, 14 of chunk, 7 of block. Chunk 0
/// is the list's head. Block 0 is a chunk, and the blocks after it are the places of its blocks.
fn row_id(segment: u32, list: u32, chunk: usize, block: usize) -> i64 {
    i64::from(segment) << 41 | i64::from(list) << 21 | (chunk as i64) << 7 | block as i64
}

/// Whose row it is.
pub fn segment_of(id: i64) -> u32 {
    (id >> 41) as u32
}

pub fn chunk_id(segment: u32, list: u32, chunk: usize) -> i64 {
    row_id(segment, list, chunk, 0)
}

pub fn places_id(segment: u32, list: u32, chunk: usize, block: usize) -> i64 {
    row_id(segment, list, chunk, block + 1)
}

/// What a segment tells of documents stands behind all its lists.
pub fn documents_id(segment: u32, number: u32) -> i64 {
    row_id(segment, limits::SEGMENT_LISTS, 0, 0) + i64::from(number)
}

const _: () = assert!(limits::SEGMENT_IDS == 1 << 22 && limits::SEGMENT_LISTS < 1 << 20);
const _: () =
    assert!(limits::LIST_CHUNKS < 1 << 14 && limits::CHUNK_BLOCKS < 1 << 7 && limits::DOCUMENT_ROWS <= 1 << 21);
