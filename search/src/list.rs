//! Long lists: a head, and chunks of blocks of 128 postings. Every block, every chunk and the list have the highest
//! impact in them beside them, so that a search passes by what cannot be among the best.

use crate::{
    bytes::{Bytes, PADDING, packed_at, packed_len, put_packed, width_of},
    fault::{Fault, Result},
    limits::{BLOCK_POSTINGS, CHAMPIONS, CHUNK_BLOCKS, CHUNK_BYTES, LIST_CHUNKS},
    options::Shape,
    posting::Postings,
    rows::{Rows, RowsMut, chunk_id, places_id},
};

/// What a posting is worth to the maxima: its weighted count, and its impact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    pub tf: f32,
    pub impact: u16,
}

/// What is written of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    pub is_whole: bool,
}

/// What is there of a list that is written in several parts: its head, with what its champions are worth.
pub struct Begun {
    chunks: Vec<Part>,
    champions: Vec<(u32, Worth)>,
}

impl Begun {
    pub fn read(rows: &dyn Rows, (segment, list): (u32, u32), impact: impl Fn(u32, f32) -> u16) -> Result<Begun> {
        let mut row = Vec::new();
        if !rows.row(chunk_id(segment, list, 0), &mut row)? {
            return Err(Fault::Damaged("the head of a list is missing"));
        }
        let head = Head::read(&row)?;
        let worth = |(document, tf): (u32, f32)| (document, Worth { tf, impact: impact(document, tf) });
        Ok(Begun { chunks: head.chunks, champions: head.champions.into_iter().map(worth).collect() })
    }
}

/// Writes chunks of a list, their places and its head: all of it, or for so long as the bytes last. What was begun is gone
/// on with.
pub fn write(
    rows: &mut impl RowsMut,
    (segment, list): (u32, u32),
    (postings, worths): (&Postings, &[Worth]),
    shape: Shape,
    begun: Option<Begun>,
    budget_bytes: u64,
) -> Result<Written> {
    let begun = begun.unwrap_or(Begun { chunks: Vec::new(), champions: Vec::new() });
    let mut floor = begun.chunks.last().map_or(0, |chunk| chunk.last + 1);
    let chunks = begun.chunks.iter().map(|chunk| (chunk.last, chunk.most)).collect();
    let mut writer = Writer { at: (segment, list), floor, blocks: Vec::new(), bodies: Vec::new(), chunks };
    let (mut bytes, mut is_whole, mut start) =
        (0, true, postings.documents.partition_point(|document| *document < floor));
    let first = start;
    while start < postings.len() {
        let block = start..(start + BLOCK_POSTINGS).min(postings.len());
        let body = block_body(postings, block.clone(), floor, shape);
        if writer.is_full(body.len()) {
            bytes += writer.end_chunk(rows)?;
            writer.floor = floor;
            if bytes >= budget_bytes {
                is_whole = false;
                break;
            }
        }
        let last = postings.documents[block.end - 1];
        let most = worths[block.clone()].iter().map(|worth| worth.impact).max().unwrap_or(0);
        if shape.positions {
            let number = writer.blocks.len();
            let places: Vec<u8> = block.clone().flat_map(|index| postings.places_of(index)).copied().collect();
            rows.put_row(places_id(segment, list, writer.chunks.len() + 1, number), &places)?;
            bytes += places.len() as u64;
        }
        writer.bodies.extend(body);
        writer.blocks.push((last, most, writer.bodies.len() as u16));
        (start, floor) = (block.end, last + 1);
    }
    if !writer.blocks.is_empty() {
        bytes += writer.end_chunk(rows)?;
    }
    let written = (first..start).map(|index| (postings.documents[index], worths[index]));
    let head = head(begun.champions.into_iter().chain(written).collect(), &writer.chunks);
    rows.put_row(chunk_id(segment, list, 0), &head)?;
    Ok(Written { bytes: bytes + head.len() as u64, is_whole })
}

struct Writer {
    at: (u32, u32),
    floor: u32,
    blocks: Vec<(u32, u16, u16)>,
    bodies: Vec<u8>,
    chunks: Vec<(u32, u16)>,
}

const CHUNK_HEAD_BYTES: usize = 5;
const BLOCK_HEAD_BYTES: usize = 8;

impl Writer {
    fn is_full(&self, more: usize) -> bool {
        let blocks = self.blocks.len() + 1;
        let bytes = CHUNK_HEAD_BYTES + blocks * BLOCK_HEAD_BYTES + self.bodies.len() + more;
        blocks > 1 && (bytes > CHUNK_BYTES || blocks > CHUNK_BLOCKS)
    }

    fn end_chunk(&mut self, rows: &mut impl RowsMut) -> Result<u64> {
        let mut chunk = vec![self.blocks.len() as u8];
        chunk.extend(self.floor.to_le_bytes());
        for (last, most, end) in &self.blocks {
            chunk.extend(last.to_le_bytes());
            chunk.extend(most.to_le_bytes());
            chunk.extend(end.to_le_bytes());
        }
        chunk.append(&mut self.bodies);
        let last = self.blocks.last().map_or(0, |block| block.0);
        self.chunks.push((last, self.blocks.iter().map(|block| block.1).max().unwrap_or(0)));
        if self.chunks.len() > LIST_CHUNKS {
            return Err(Fault::Refused("a word stands in more documents than a list can hold".into()));
        }
        self.blocks.clear();
        rows.put_row(chunk_id(self.at.0, self.at.1, self.chunks.len()), &chunk)?;
        Ok(chunk.len() as u64)
    }
}

/// One less than its postings, then a width and the numbers of that width: for documents, then for each column.
fn block_body(postings: &Postings, block: std::ops::Range<usize>, floor: u32, shape: Shape) -> Vec<u8> {
    let documents = &postings.documents[block.clone()];
    let steps = || {
        let before = std::iter::once(floor).chain(documents.iter().map(|document| document + 1));
        documents.iter().zip(before).map(|(document, before)| document - before)
    };
    let mut body = vec![documents.len() as u8 - 1, width_of(steps()) as u8];
    let counts = |column| block.clone().map(move |index| postings.counts[index * shape.columns + column]);
    body.extend((0..shape.columns).map(|column| width_of(counts(column)) as u8));
    let width = u32::from(body[1]);
    put_packed(&mut body, steps(), width);
    for column in 0..shape.columns {
        let width = u32::from(body[2 + column]);
        put_packed(&mut body, counts(column), width);
    }
    body
}

fn head(mut best: Vec<(u32, Worth)>, chunks: &[(u32, u16)]) -> Vec<u8> {
    let order = |(document, worth): &(u32, Worth)| (std::cmp::Reverse(worth.impact), *document);
    if best.len() > CHAMPIONS {
        best.select_nth_unstable_by_key(CHAMPIONS - 1, order);
        best.truncate(CHAMPIONS);
    }
    best.sort_unstable_by_key(order);
    let mut head = vec![best.len() as u8];
    for (document, worth) in best {
        head.extend(document.to_le_bytes());
        head.extend(worth.tf.to_le_bytes());
    }
    for (last, most) in chunks {
        head.extend(last.to_le_bytes());
        head.extend(most.to_le_bytes());
    }
    head
}

/// What is known of a long list without its chunks.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Document and weighted count, the best first.
    pub champions: Vec<(u32, f32)>,
    pub chunks: Vec<Part>,
}

/// A chunk or a block: documents from `floor` to `last`, none with more impact than `most`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    pub floor: u32,
    pub last: u32,
    pub most: u16,
}

impl Head {
    pub fn read(row: &[u8]) -> Result<Head> {
        let mut bytes = Bytes::new(row);
        let champions = bytes.u8()?;
        let champions = (0..champions).map(|_| {
            let champion = (bytes.u32()?, bytes.f32()?);
            let fits = champion.0 < u32::MAX && (0.0..=1e12).contains(&champion.1);
            if fits { Ok(champion) } else { Err(Fault::Damaged("a champion")) }
        });
        let champions = champions.collect::<Result<Vec<_>>>()?;
        let mut chunks = Vec::with_capacity(bytes.len() / 6);
        let mut floor = 0;
        while !bytes.is_empty() {
            let (last, most) = (bytes.u32()?, bytes.u16()?);
            chunks.push(part(floor, last, most)?);
            floor = last + 1;
        }
        if chunks.is_empty() || chunks.len() > LIST_CHUNKS {
            return Err(Fault::Damaged("the number of chunks"));
        }
        Ok(Head { champions, chunks })
    }
}

fn part(floor: u32, last: u32, most: u16) -> Result<Part> {
    if last < floor || last == u32::MAX {
        return Err(Fault::Damaged("parts of a list are out of order"));
    }
    Ok(Part { floor, last, most })
}

/// A chunk in memory.
#[derive(Default)]
pub struct Chunk {
    padded: Vec<u8>,
    pub blocks: Vec<Part>,
    /// Where the body of each block begins.
    starts: Vec<usize>,
}

impl Chunk {
    pub fn load(&mut self, rows: &dyn Rows, id: i64, expected: Part) -> Result<()> {
        self.blocks.clear();
        self.starts.clear();
        if !rows.row(id, &mut self.padded)? {
            return Err(Fault::Damaged("a chunk is missing"));
        }
        let mut bytes = Bytes::new(&self.padded);
        let (count, mut floor) = (usize::from(bytes.u8()?), bytes.u32()?);
        let bodies = CHUNK_HEAD_BYTES + count * BLOCK_HEAD_BYTES;
        let mut start = bodies;
        for _ in 0..count {
            let (last, most, end) = (bytes.u32()?, bytes.u16()?, bodies + usize::from(bytes.u16()?));
            self.blocks.push(part(floor, last, most)?);
            self.starts.push(start);
            if end < start || end > self.padded.len() || most > expected.most {
                return Err(Fault::Damaged("the blocks of a chunk"));
            }
            (floor, start) = (last + 1, end);
        }
        let whole = self.blocks.first().zip(self.blocks.last());
        if count > CHUNK_BLOCKS
            || whole.is_none_or(|(first, last)| first.floor < expected.floor || last.last != expected.last)
        {
            return Err(Fault::Damaged("a chunk is not the one its list's head tells of"));
        }
        self.padded.extend([0; PADDING]);
        Ok(())
    }

    /// Reads the documents of a block; its counts stay packed.
    pub fn open_block(&self, number: usize, shape: Shape, block: &mut Block) -> Result<()> {
        let (part, start) = self.blocks.get(number).zip(self.starts.get(number)).ok_or(Fault::Damaged("a block"))?;
        let end = self.starts.get(number + 1).copied().unwrap_or(self.padded.len() - PADDING);
        let mut bytes = Bytes::new(&self.padded[*start..end]);
        let (count, width) = (usize::from(bytes.u8()?) + 1, u32::from(bytes.u8()?));
        if count > BLOCK_POSTINGS || width > 32 {
            return Err(Fault::Damaged("the size of a block"));
        }
        let documents = start + 2 + shape.columns;
        let mut at = documents + packed_len(count, width);
        for column in 0..shape.columns {
            let width = u32::from(bytes.u8()?);
            block.counts[column] = (at, width);
            at += packed_len(count, width);
            if width > 32 {
                return Err(Fault::Damaged("the size of a block"));
            }
        }
        if at != end {
            return Err(Fault::Damaged("the size of a block"));
        }
        block.len = count;
        let mut next = u64::from(part.floor);
        for (index, document) in block.documents[..count].iter_mut().enumerate() {
            next += u64::from(packed_at(&self.padded, documents, width, index)) + 1;
            *document = (next - 1).min(u64::from(u32::MAX)) as u32;
        }
        if next != u64::from(part.last) + 1 {
            return Err(Fault::Damaged("the documents of a block"));
        }
        Ok(())
    }

    #[inline]
    pub fn count(&self, block: &Block, column: usize, index: usize) -> u32 {
        let (start, width) = block.counts[column];
        if width == 0 { 0 } else { packed_at(&self.padded, start, width, index) }
    }
}

/// A block whose documents are read.
pub struct Block {
    pub documents: [u32; BLOCK_POSTINGS],
    pub len: usize,
    /// For each column where its counts begin and how wide they are.
    pub counts: [(usize, u32); crate::limits::COLUMNS],
}

impl Default for Block {
    fn default() -> Self {
        Block { documents: [0; BLOCK_POSTINGS], len: 0, counts: [(0, 0); crate::limits::COLUMNS] }
    }
}

/// Reads a whole long list, as merges do.
pub fn read_all(rows: &dyn Rows, (segment, list): (u32, u32), shape: Shape, into: &mut Postings) -> Result<()> {
    let mut row = Vec::new();
    if !rows.row(chunk_id(segment, list, 0), &mut row)? {
        return Err(Fault::Damaged("the head of a list is missing"));
    }
    let head = Head::read(&row)?;
    let (mut chunk, mut block, mut counts) = (Chunk::default(), Block::default(), vec![0; shape.columns]);
    for (number, part) in head.chunks.iter().enumerate() {
        chunk.load(rows, chunk_id(segment, list, number + 1), *part)?;
        for at in 0..chunk.blocks.len() {
            chunk.open_block(at, shape, &mut block)?;
            if shape.positions && !rows.row(places_id(segment, list, number + 1, at), &mut row)? {
                return Err(Fault::Damaged("the places of a block are missing"));
            }
            let mut places = Bytes::new(&row);
            for index in 0..block.len {
                let mut all = 0;
                for (column, count) in counts.iter_mut().enumerate() {
                    *count = chunk.count(&block, column, index);
                    all += u64::from(*count);
                }
                into.push(block.documents[index], &counts, if shape.positions { places.varints(all)? } else { &[] });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{bytes::put_varint, held::Held};

    fn made(columns: usize, many: u32, seed: u32) -> Postings {
        let mut postings = Postings::default();
        let (mut document, mut state) = (seed % 1_000, seed | 1);
        for _ in 0..many {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            document += 1 + (state >> 24) * (seed % 7);
            let mut counts: Vec<u32> = (0..columns).map(|column| state >> (8 + column * 3) & 3).collect();
            counts[0] += u32::from(counts.iter().all(|count| *count == 0));
            let mut places = Vec::new();
            (0..counts.iter().sum::<u32>())
                .for_each(|index| put_varint(&mut places, u64::from(index * (state & 0x1ff))));
            postings.push(document, &counts, &places);
        }
        postings
    }

    fn worths(postings: &Postings, columns: usize) -> Vec<Worth> {
        let worth = |index| Worth { tf: 1.0, impact: postings.counts_of(index, columns)[0] as u16 };
        (0..postings.len()).map(worth).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn long_lists_come_back(columns in 1_usize..4, many in 1_u32..9_000, seed in any::<u32>()) {
            let shape = Shape { columns, positions: true };
            let postings = made(columns, many, seed);
            let mut rows = Held::default();
            let worths = worths(&postings, columns);
            let whole = write(&mut rows, (3, 9), (&postings, &worths), shape, None, u64::MAX).unwrap();
            prop_assert!(whole.is_whole);
            let mut read = Postings::default();
            read_all(&rows, (3, 9), shape, &mut read).unwrap();
            prop_assert!(postings == read);
            // In parts, it is the same list.
            let mut parts = Held::default();
            let impact = |document: u32, _: f32| worths[postings.documents.binary_search(&document).unwrap()].impact;
            let mut written = write(&mut parts, (3, 9), (&postings, &worths), shape, None, 5_000).unwrap();
            while !written.is_whole {
                let begun = Begun::read(&parts, (3, 9), impact).unwrap();
                written = write(&mut parts, (3, 9), (&postings, &worths), shape, Some(begun), 5_000).unwrap();
            }
            prop_assert!(parts.rows == rows.rows);
            for (id, row) in &rows.rows {
                let (is_head, is_chunk) = (id & 0x1f_ffff == 0, id & 0x7f == 0);
                prop_assert!(is_head || !is_chunk || row.len() <= CHUNK_BYTES);
            }
        }

        #[test]
        fn damaged_lists_are_read_or_refused(seed in any::<u32>(), at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()) {
            let shape = Shape { columns: 2, positions: true };
            let postings = made(2, 700, seed);
            let mut rows = Held::default();
            write(&mut rows, (0, 0), (&postings, &worths(&postings, 2)), shape, None, u64::MAX).unwrap();
            let mut all: Vec<&mut Vec<u8>> = rows.rows.values_mut().collect();
            let row = at.index(all.len());
            let byte = at.index(all[row].len());
            if cut { all[row].truncate(byte) } else { all[row][byte] = with }
            let mut read = Postings::default();
            let _ = read_all(&rows, (0, 0), shape, &mut read);
        }
    }
}
