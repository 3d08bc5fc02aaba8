//! Rows in memory: those of a segment that the log holds, and of tests.

use std::{
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
};

use crate::{
    fault::Result,
    rows::{EachGroup, Rows, RowsMut},
};

#[derive(Clone, Default)]
pub struct Held {
    pub groups: BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub rows: BTreeMap<i64, Vec<u8>>,
    pub documents: BTreeMap<(u32, u32), Vec<u8>>,
    bytes: usize,
}

/// What a row takes beside what is in it, about.
const ROW_BYTES: usize = 64;

impl Held {
    /// What it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn give(found: Option<&Vec<u8>>, into: &mut Vec<u8>) -> Result<bool> {
    into.clear();
    into.extend(found.into_iter().flatten());
    Ok(found.is_some())
}

impl Rows for Held {
    fn group(&self, segment: u32, term: &[u8], first: &mut Vec<u8>, into: &mut Vec<u8>) -> Result<bool> {
        let groups = self.groups.get(&segment);
        let found = groups.and_then(|groups| groups.range::<[u8], _>((Unbounded, Included(term))).next_back());
        give(found.map(|(first, _)| first), first)?;
        give(found.map(|(_, data)| data), into)
    }

    fn groups(&self, segment: u32, from: &[u8], each: &mut EachGroup<'_>) -> Result<()> {
        let Some(groups) = self.groups.get(&segment) else { return Ok(()) };
        let before = groups.range::<[u8], _>((Unbounded, Included(from))).next_back();
        let begin = before.map_or(from, |(first, _)| first.as_slice());
        for (first, data) in groups.range::<[u8], _>((Included(begin), Unbounded)) {
            if !each(first, data)? {
                break;
            }
        }
        Ok(())
    }

    fn row(&self, id: i64, into: &mut Vec<u8>) -> Result<bool> {
        give(self.rows.get(&id), into)
    }

    fn documents(&self, segment: u32, number: u32, into: &mut Vec<u8>) -> Result<bool> {
        give(self.documents.get(&(segment, number)), into)
    }
}

impl RowsMut for Held {
    fn put_group(&mut self, segment: u32, first: &[u8], data: &[u8]) -> Result<()> {
        self.bytes += first.len() + data.len() + ROW_BYTES;
        self.groups.entry(segment).or_default().insert(first.to_vec(), data.to_vec());
        Ok(())
    }

    fn put_row(&mut self, id: i64, data: &[u8]) -> Result<()> {
        self.bytes += data.len() + ROW_BYTES;
        self.rows.insert(id, data.to_vec());
        Ok(())
    }

    fn put_documents(&mut self, segment: u32, number: u32, data: &[u8]) -> Result<()> {
        self.bytes += data.len() + ROW_BYTES;
        self.documents.insert((segment, number), data.to_vec());
        Ok(())
    }
}
