//! Postings in memory, and as the bytes of a short list.
//!
//! A posting says in which document a word stands, how often in each column, and at which places. Its places are
//! variable numbers, each from the one before it in its column, and are carried about unread.

use crate::{
    bytes::{Bytes, put_varint},
    fault::{Fault, Result},
    limits,
    options::Shape,
};

/// Postings of one term by ascending document. `counts` has one number for each column of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Postings {
    pub documents: Vec<u32>,
    pub counts: Vec<u32>,
    pub places: Vec<u8>,
    /// Where the places of each posting end.
    pub ends: Vec<u32>,
}

impl Postings {
    pub fn len(&self) -> usize {
        self.documents.len()
    }

    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    pub fn counts_of(&self, index: usize, columns: usize) -> &[u32] {
        &self.counts[index * columns..(index + 1) * columns]
    }

    pub fn places_of(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.places[start as usize..self.ends[index] as usize]
    }

    pub fn push(&mut self, document: u32, counts: &[u32], places: &[u8]) {
        self.documents.push(document);
        self.counts.extend_from_slice(counts);
        self.places.extend_from_slice(places);
        self.ends.push(self.places.len() as u32);
    }

    pub fn clear(&mut self) {
        self.documents.clear();
        self.counts.clear();
        self.places.clear();
        self.ends.clear();
    }
}

/// Puts one posting behind those of `before` and less.
pub fn put(into: &mut Vec<u8>, before: Option<u32>, document: u32, counts: &[u32], places: &[u8]) {
    put_varint(into, u64::from(before.map_or(document, |before| document - before - 1)));
    if counts.len() > 1 {
        let mask =
            counts.iter().enumerate().fold(0_u64, |mask, (column, count)| mask | u64::from(*count > 0) << column);
        if mask.is_power_of_two() && counts.iter().sum::<u32>() == 1 {
            put_varint(into, u64::from(mask.trailing_zeros()) << 1 | 1);
            into.extend_from_slice(places);
            return;
        }
        put_varint(into, mask << 1);
    }
    for count in counts.iter().filter(|count| **count > 0) {
        put_varint(into, u64::from(*count));
    }
    into.extend_from_slice(places);
}

pub fn put_all(into: &mut Vec<u8>, postings: &Postings, shape: Shape) {
    let mut before = None;
    for index in 0..postings.len() {
        let document = postings.documents[index];
        put(into, before, document, postings.counts_of(index, shape.columns), postings.places_of(index));
        before = Some(document);
    }
}

/// Reads a short list to its end.
pub fn read_all(list: &[u8], shape: Shape, into: &mut Postings) -> Result<()> {
    let mut bytes = Bytes::new(list);
    let mut before = None;
    let mut counts = [0; limits::COLUMNS];
    let counts = &mut counts[..shape.columns];
    while !bytes.is_empty() {
        let step = bytes.varint32()?;
        let document = match before {
            None => Some(step),
            Some(before) => step.checked_add(1).and_then(|step| step.checked_add(before)),
        };
        let document = document.filter(|document| *document < u32::MAX).ok_or(Fault::Damaged("a document id"))?;
        let all = read_counts(&mut bytes, counts)?;
        let places = if shape.positions { bytes.varints(all)? } else { &[] };
        into.push(document, counts, places);
        before = Some(document);
    }
    Ok(())
}

/// How many numbers there are in all.
fn read_counts(bytes: &mut Bytes<'_>, counts: &mut [u32]) -> Result<u64> {
    let mask = match if counts.len() > 1 { bytes.varint()? } else { 2 } {
        once if once & 1 == 1 => {
            let column = usize::try_from(once >> 1).ok().filter(|column| *column < counts.len());
            counts.fill(0);
            counts[column.ok_or(Fault::Damaged("columns that are not there"))?] = 1;
            return Ok(1);
        }
        several => several >> 1,
    };
    if mask == 0 || mask >> counts.len() != 0 {
        return Err(Fault::Damaged("columns that are not there"));
    }
    let mut all = 0;
    for (column, count) in counts.iter_mut().enumerate() {
        *count = if mask >> column & 1 == 1 { bytes.varint32()? } else { 0 };
        if *count > limits::DOCUMENT_TOKENS {
            return Err(Fault::Damaged("a word occurs too often"));
        }
        all += u64::from(*count);
    }
    Ok(all)
}

/// The places of a posting, by column.
pub fn read_places(places: &[u8], counts: &[u32], into: &mut Vec<(u32, u32)>) -> Result<()> {
    into.clear();
    let mut bytes = Bytes::new(places);
    for (column, count) in counts.iter().enumerate() {
        let mut place = 0_u32;
        for _ in 0..*count {
            place = place.saturating_add(bytes.varint32()?);
            into.push((column as u32, place));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn postings(columns: usize, documents: Vec<(u32, u32)>) -> Postings {
        let mut made = Postings::default();
        let mut document = 0_u32;
        for (step, seed) in documents {
            document += step + 1;
            let mut counts: Vec<u32> = (0..columns).map(|column| seed >> (column * 3) & 3).collect();
            counts[0] += u32::from(counts.iter().all(|count| *count == 0));
            let mut places = Vec::new();
            for index in 0..counts.iter().sum::<u32>() {
                put_varint(&mut places, u64::from(index * (seed & 0xff)));
            }
            made.push(document, &counts, &places);
        }
        made
    }

    proptest! {
        #[test]
        fn short_lists_come_back(columns in 1_usize..4, documents in prop::collection::vec((0_u32..90_000, any::<u32>()), 0..50)) {
            let shape = Shape { columns, positions: true };
            let made = postings(columns, documents);
            let mut bytes = Vec::new();
            put_all(&mut bytes, &made, shape);
            let mut read = Postings::default();
            read_all(&bytes, shape, &mut read).unwrap();
            prop_assert_eq!(made, read);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), columns in 1_usize..4) {
            for positions in [false, true] {
                let mut read = Postings::default();
                let _ = read_all(&bytes, Shape { columns, positions }, &mut read);
                prop_assert!(read.documents.is_sorted());
            }
        }
    }
}
