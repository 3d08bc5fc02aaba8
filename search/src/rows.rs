//! The rows an index is made of, whoever keeps them: SQLite's tables, or maps in tests.

use crate::{fault::Result, limits};

/// Takes the first term of a group and the group; false ends the scan.
pub type EachGroup<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

/// Reading. A row that is not there leaves `into` empty and gives false.
pub trait Rows {
    /// The group a term is in, if it is in any: the last one that begins with it or with one before it.
    fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool>;
    /// Groups from the one `from` is in, in order, while `each` gives true.
    fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()>;
    fn chunk(&self, id: i64, into: &mut Vec<u8>) -> Result<bool>;
    fn places(&self, id: i64, into: &mut Vec<u8>) -> Result<bool>;
    fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool>;
}

pub trait RowsMut: Rows {
    fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()>;
    fn put_chunk(&mut self, id: i64, data: &[u8]) -> Result<()>;
    fn put_places(&mut self, id: i64, data: &[u8]) -> Result<()>;
    fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()>;
    fn drop_segment(&mut self, segment: u32) -> Result<()>;
}

/// The rows of a segment, and in it of a list, stand together: 23 bits of segment, 20 of list, 14 of chunk, 6 of block.
/// Chunk 0 is the list's head.
pub fn row_id(segment: u32, list: u32, chunk: usize, block: usize) -> i64 {
    i64::from(segment) << 40 | i64::from(list) << 20 | (chunk as i64) << 6 | block as i64
}

/// All rows of a segment: from the first, to before the second.
pub fn segment_ids(segment: u32) -> (i64, i64) {
    (row_id(segment, 0, 0, 0), row_id(segment + 1, 0, 0, 0))
}

const _: () = assert!(limits::SEGMENT_IDS == 1 << 23 && limits::SEGMENT_LISTS == 1 << 20);
const _: () = assert!(limits::LIST_CHUNKS < 1 << 14 && limits::CHUNK_BLOCKS <= 1 << 6);

/// Rows in memory, for tests.
#[cfg(test)]
pub mod memory {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Clone, Default)]
    pub struct Memory {
        pub groups: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
        pub chunks: BTreeMap<i64, Vec<u8>>,
        pub places: BTreeMap<i64, Vec<u8>>,
        pub documents: BTreeMap<(u32, u32), Vec<u8>>,
    }

    fn give(found: Option<&Vec<u8>>, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        into.extend(found.into_iter().flatten());
        Ok(found.is_some())
    }

    impl Rows for Memory {
        fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool> {
            let found = self.groups.range((segment, Vec::new())..=(segment, term.to_vec())).next_back();
            give(found.map(|((_, first), _)| first), first)?;
            give(found.map(|(_, data)| data), into)
        }

        fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()> {
            let before = self.groups.range((segment, Vec::new())..=(segment, from.to_vec())).next_back();
            let begin = before.map_or((segment, from.to_vec()), |(key, _)| key.clone());
            for ((_, first), data) in self.groups.range(begin..(segment + 1, Vec::new())) {
                if !each(first, data)? {
                    break;
                }
            }
            Ok(())
        }

        fn chunk(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
            give(self.chunks.get(&id), into)
        }

        fn places(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
            give(self.places.get(&id), into)
        }

        fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool> {
            give(self.documents.get(&(segment, number)), into)
        }
    }

    impl RowsMut for Memory {
        fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()> {
            self.groups.insert((segment, first.to_vec()), data.to_vec());
            Ok(())
        }

        fn put_chunk(&mut self, id: i64, data: &[u8]) -> Result<()> {
            self.chunks.insert(id, data.to_vec());
            Ok(())
        }

        fn put_places(&mut self, id: i64, data: &[u8]) -> Result<()> {
            self.places.insert(id, data.to_vec());
            Ok(())
        }

        fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()> {
            self.documents.insert((segment, number), data.to_vec());
            Ok(())
        }

        fn drop_segment(&mut self, segment: u32) -> Result<()> {
            let (from, to) = segment_ids(segment);
            self.groups.retain(|(of, _), _| *of != segment);
            self.documents.retain(|(of, _), _| *of != segment);
            self.chunks.retain(|id, _| !(from..to).contains(id));
            self.places.retain(|id, _| !(from..to).contains(id));
            Ok(())
        }
    }
}
