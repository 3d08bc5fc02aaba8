//! The terms of a segment: some after the other in groups, each a row under its first term. Neighbours begin alike, so a
//! term is written as what differs from the one before it.

use std::cmp::Ordering;

use crate::{
    bytes::{Bytes, put_varint},
    fault::{Fault, Result},
    limits,
    rows::{Rows, RowsMut},
};

/// What is said of a term: how many more documents have it than older segments say, and where its postings are.
#[derive(Clone, Debug, PartialEq)]
pub struct TermRow<L = Vec<u8>> {
    pub more: i64,
    pub postings: Place<L>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Place<L = Vec<u8>> {
    Nowhere,
    Here(L),
    /// In a list of this number, so many.
    List(u32, u32),
}

/// Takes a term and what is said of it; false ends the scan.
pub type EachTerm<'a> = dyn FnMut(&[u8], TermRow<&[u8]>) -> Result<bool> + 'a;

impl Place<&[u8]> {
    pub fn owned(&self) -> Place {
        match self {
            Place::Nowhere => Place::Nowhere,
            Place::Here(list) => Place::Here(list.to_vec()),
            Place::List(list, many) => Place::List(*list, *many),
        }
    }
}

impl TermRow<&[u8]> {
    pub fn owned(&self) -> TermRow {
        TermRow { more: self.more, postings: self.postings.owned() }
    }
}

/// What a segment says of a term, if anything.
pub fn find(rows: &dyn Rows, segment: u32, wanted: &[u8]) -> Result<Option<TermRow>> {
    let (mut term, mut data) = (Vec::new(), Vec::new());
    if !rows.group(segment, wanted, &mut term, &mut data)? {
        return Ok(None);
    }
    let mut group = Group::new(&data);
    while let Some(row) = group.next(&mut term)? {
        match term.as_slice().cmp(wanted) {
            Ordering::Less => {}
            Ordering::Equal => return Ok(Some(row.owned())),
            Ordering::Greater => break,
        }
    }
    Ok(None)
}

/// Terms from `from` on, in order, while `each` gives true.
pub fn scan(rows: &dyn Rows, segment: u32, from: &[u8], each: &mut EachTerm<'_>) -> Result<()> {
    let mut term = Vec::new();
    rows.groups(segment, from, &mut |first, data| {
        if first <= term.as_slice() {
            return Err(Fault::Damaged("terms are out of order"));
        }
        term.clear();
        term.extend(first);
        let mut group = Group::new(data);
        while let Some(row) = group.next(&mut term)? {
            if term.as_slice() >= from && !each(&term, row)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Steps through a group. The term it is at is kept by whoever asks: the group's first to begin with.
struct Group<'r> {
    bytes: Bytes<'r>,
    is_first: bool,
}

/// Lengths below this are in the byte that two of them share.
const LONG: usize = 15;

impl<'r> Group<'r> {
    fn new(data: &'r [u8]) -> Group<'r> {
        Group { bytes: Bytes::new(data), is_first: true }
    }

    fn next(&mut self, term: &mut Vec<u8>) -> Result<Option<TermRow<&'r [u8]>>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        if !std::mem::take(&mut self.is_first) {
            let lengths = usize::from(self.bytes.u8()?);
            let shared = self.length(lengths >> 4)?;
            let more = self.length(lengths & LONG)?;
            let rest = self.bytes.take(more)?;
            let ascends = match term.get(shared) {
                Some(before) => rest.first().is_some_and(|next| next > before),
                None => shared == term.len() && !rest.is_empty(),
            };
            if !ascends {
                return Err(Fault::Damaged("terms are out of order"));
            }
            term.truncate(shared);
            term.extend(rest);
        }
        self.row().map(Some)
    }

    fn length(&mut self, told: usize) -> Result<usize> {
        Ok(if told < LONG { told } else { LONG.saturating_add(self.bytes.varint32()? as usize) })
    }

    fn row(&mut self) -> Result<TermRow<&'r [u8]>> {
        let head = self.bytes.varint()?;
        let folded = head >> 2;
        let more = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        if more.unsigned_abs() > u64::from(u32::MAX) {
            return Err(Fault::Damaged("the number of documents with a word"));
        }
        let postings = match head & 3 {
            NOWHERE => Place::Nowhere,
            HERE => {
                let length = self.bytes.varint32()? as usize;
                Place::Here(self.bytes.take(length)?)
            }
            LIST => Place::List(self.bytes.varint32()?, self.bytes.varint32()?),
            _ => return Err(Fault::Damaged("a term is of an unknown kind")),
        };
        match postings {
            Place::List(list, _) if list >= limits::SEGMENT_LISTS => Err(Fault::Damaged("the number of a list")),
            postings => Ok(TermRow { more, postings }),
        }
    }
}

const NOWHERE: u64 = 0;
const HERE: u64 = 1;
const LIST: u64 = 2;

/// Writes groups, by ascending term.
#[derive(Default)]
pub struct GroupWriter {
    first: Vec<u8>,
    term: Vec<u8>,
    data: Vec<u8>,
}

impl GroupWriter {
    /// Gives the bytes written, of groups that are full.
    pub fn put(&mut self, rows: &mut impl RowsMut, segment: u32, term: &[u8], row: TermRow<&[u8]>) -> Result<u64> {
        let mut written = 0;
        let said = said(&row);
        if !self.data.is_empty() && self.data.len() + said.len() + term.len() / 2 > limits::GROUP_BYTES {
            written = self.end(rows, segment)?;
        }
        if self.data.is_empty() {
            self.first.clear();
            self.first.extend(term);
        } else {
            let shared = self.term.iter().zip(term).take_while(|(one, other)| one == other).count();
            let rest = &term[shared..];
            self.data.push((shared.min(LONG) << 4 | rest.len().min(LONG)) as u8);
            for length in [shared, rest.len()] {
                if let Some(over) = length.checked_sub(LONG) {
                    put_varint(&mut self.data, over as u64);
                }
            }
            self.data.extend(rest);
        }
        self.data.extend(said);
        self.term.clear();
        self.term.extend(term);
        Ok(written)
    }

    /// Writes what there is of a group.
    pub fn end(&mut self, rows: &mut impl RowsMut, segment: u32) -> Result<u64> {
        if self.data.is_empty() {
            return Ok(0);
        }
        rows.put_group(segment, &self.first, &self.data)?;
        let written = self.first.len() + self.data.len() + ROW_BYTES;
        self.data.clear();
        Ok(written as u64)
    }
}

/// What SQLite needs for a row beside its values, about.
const ROW_BYTES: usize = 12;

fn said(row: &TermRow<&[u8]>) -> Vec<u8> {
    let mut said = Vec::new();
    let folded = (row.more << 1 ^ row.more >> 63) as u64;
    let kind = match row.postings {
        Place::Nowhere => NOWHERE,
        Place::Here(_) => HERE,
        Place::List(..) => LIST,
    };
    put_varint(&mut said, folded << 2 | kind);
    match row.postings {
        Place::Nowhere => {}
        Place::Here(list) => {
            put_varint(&mut said, list.len() as u64);
            said.extend(list);
        }
        Place::List(list, many) => {
            put_varint(&mut said, list.into());
            put_varint(&mut said, many.into());
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::held::Held;

    fn any_row() -> impl Strategy<Value = TermRow> {
        let list = prop::collection::vec(any::<u8>(), 1..80).prop_map(Place::Here);
        let long = (0..limits::SEGMENT_LISTS, any::<u32>()).prop_map(|(list, many)| Place::List(list, many));
        let place = prop_oneof![Just(Place::Nowhere), list, long];
        (prop_oneof![-2_i64..3, -(1_i64 << 32) + 1..1 << 32], place)
            .prop_map(|(more, postings)| TermRow { more, postings })
    }

    fn any_term() -> impl Strategy<Value = Vec<u8>> {
        let few = prop::collection::vec(b'a'..b'd', 0..9);
        let many = (any::<u8>(), 1_usize..130).prop_map(|(letter, length)| vec![letter; length]);
        (few, prop_oneof![3 => Just(Vec::new()), 1 => many]).prop_filter_map("no term is empty", |(one, other)| {
            let term = [one, other].concat();
            (!term.is_empty()).then_some(term)
        })
    }

    fn borrowed(row: &TermRow) -> TermRow<&[u8]> {
        let postings = match &row.postings {
            Place::Nowhere => Place::Nowhere,
            Place::Here(list) => Place::Here(list.as_slice()),
            Place::List(list, many) => Place::List(*list, *many),
        };
        TermRow { more: row.more, postings }
    }

    fn written(terms: &BTreeMap<Vec<u8>, TermRow>) -> Held {
        let (mut rows, mut writer) = (Held::default(), GroupWriter::default());
        for (term, row) in terms {
            writer.put(&mut rows, 7, term, borrowed(row)).unwrap();
        }
        writer.end(&mut rows, 7).unwrap();
        rows
    }

    fn scanned(rows: &Held, from: &[u8]) -> Result<Vec<(Vec<u8>, TermRow)>> {
        let mut all = Vec::new();
        scan(rows, 7, from, &mut |term, row| {
            all.push((term.to_vec(), row.owned()));
            Ok(true)
        })?;
        Ok(all)
    }

    proptest! {
        #[test]
        fn terms_come_back(terms in prop::collection::btree_map(any_term(), any_row(), 0..300), other in any_term()) {
            let rows = written(&terms);
            for (term, row) in &terms {
                prop_assert_eq!(&find(&rows, 7, term).unwrap(), &Some(row.clone()));
            }
            prop_assert_eq!(find(&rows, 7, &other).unwrap(), terms.get(&other).cloned());
            prop_assert_eq!(find(&rows, 8, &other).unwrap(), None);
            let expected: Vec<_> = terms.range(other.clone()..).map(|(term, row)| (term.clone(), row.clone())).collect();
            prop_assert_eq!(scanned(&rows, &other).unwrap(), expected);
        }

        #[test]
        fn damage_is_read_or_refused(
            terms in prop::collection::btree_map(any_term(), any_row(), 1..100),
            at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<bool>()
        ) {
            let mut rows = written(&terms);
            let mut all: Vec<&mut Vec<u8>> = rows.groups.values_mut().flat_map(|groups| groups.values_mut()).collect();
            let row = at.index(all.len());
            let byte = at.index(all[row].len());
            if cut { all[row].truncate(byte) } else { all[row][byte] = with }
            if let Ok(read) = scanned(&rows, &[]) {
                prop_assert!(read.is_sorted_by(|one, other| one.0 < other.0));
            }
            let _ = find(&rows, 7, terms.keys().next_back().unwrap());
        }
    }
}
