//! Documents on their way into the index: first each for itself, then many of them turned into lists by term.

use std::collections::BTreeMap;

use ahash::AHashMap;

use crate::{
    bytes::{Bytes, put_varint},
    documents::Told,
    fault::{Fault, Result},
    limits, number,
    options::{Kind, Options, Shape},
    posting,
    score::length_code,
    tokens::{Forms, tokens},
};

/// Before a tag's column and value, in its term. No word begins with it.
pub const TAG: u8 = 1;

pub fn tag_term(column: usize, value: &str) -> Vec<u8> {
    [&[TAG, column as u8], value.as_bytes()].concat()
}

/// A JSON array of values can stand as it is.
const BETWEEN_TAGS: [char; 8] = [' ', ',', '\n', '\t', '\r', '[', ']', '"'];

/// How a tag is written in the index: in lower case, cut at the size of a term.
pub fn tag_value(text: &str) -> String {
    let mut value = text.trim().to_lowercase();
    value.truncate(value.floor_char_boundary(limits::TERM_BYTES));
    value
}

/// A document taken apart. Kept from one to the next for its memory.
#[derive(Default)]
pub struct Analysis {
    terms: Vec<u8>,
    /// Where each token's term is in `terms`, its column, and its place there.
    found: Vec<(u32, u32, u32, u32)>,
    folded: String,
    pub tokens: u32,
}

impl Analysis {
    pub fn read<'t>(&mut self, options: &Options, values: impl Iterator<Item = Option<&'t str>>) -> Result<()> {
        self.terms.clear();
        self.found.clear();
        self.tokens = 0;
        for (column, value) in values.enumerate().take(options.columns.len()) {
            let Some(value) = value else { continue };
            match options.columns[column].kind {
                Kind::Text => self.text(column, value, options.forms),
                Kind::Tags => self.tags(column, value),
                Kind::Number => self.number(column, value),
                Kind::Unindexed => {}
            }
        }
        if self.found.len() > limits::DOCUMENT_TOKENS as usize || self.terms.len() > u32::MAX as usize {
            let most = limits::DOCUMENT_TOKENS;
            return Err(Fault::Refused(format!("a document has {} words, over {most}", self.found.len())));
        }
        let terms = &self.terms;
        self.found.sort_unstable_by(|a, b| {
            let order = terms[a.0 as usize..a.1 as usize].cmp(&terms[b.0 as usize..b.1 as usize]);
            order.then((a.2, a.3).cmp(&(b.2, b.3)))
        });
        Ok(())
    }

    fn text(&mut self, column: usize, value: &str, forms: Forms) {
        let (terms, found) = (&mut self.terms, &mut self.found);
        let mut place = 0;
        tokens(value, forms, &mut self.folded, |word, _| {
            found.push((terms.len() as u32, (terms.len() + word.len()) as u32, column as u32, place));
            terms.extend(word.as_bytes());
            place += 1;
        });
        self.tokens += place;
    }

    fn tags(&mut self, column: usize, value: &str) {
        let values = value.split(BETWEEN_TAGS).map(tag_value).filter(|value| !value.is_empty());
        for (place, value) in values.enumerate() {
            let term = tag_term(column, &value);
            let start = self.terms.len() as u32;
            self.found.push((start, start + term.len() as u32, column as u32, place as u32));
            self.terms.extend(term);
        }
    }

    fn number(&mut self, column: usize, value: &str) {
        for term in number::read(value).into_iter().flat_map(|number| number::terms(column, number)) {
            let start = self.terms.len() as u32;
            self.found.push((start, start + term.len() as u32, column as u32, 0));
            self.terms.extend(term);
        }
    }

    /// Calls `each` with every term, its counts by column, and its places.
    pub fn each(&self, shape: Shape, mut each: impl FnMut(&[u8], &[u32], &[u8])) {
        let (mut counts, mut places) = ([0; limits::COLUMNS], Vec::new());
        let term_of = |token: &(u32, u32, u32, u32)| &self.terms[token.0 as usize..token.1 as usize];
        for group in self.found.chunk_by(|a, b| term_of(a) == term_of(b)) {
            counts.fill(0);
            places.clear();
            let mut before = (u32::MAX, 0);
            for (_, _, column, place) in group {
                counts[*column as usize] += 1;
                let base = if before.0 == *column { before.1 } else { 0 };
                if shape.positions {
                    put_varint(&mut places, u64::from(place - base));
                }
                before = (*column, *place);
            }
            each(term_of(&group[0]), &counts[..shape.columns], &places);
        }
    }

    /// The document as it waits for the end of its transaction.
    pub fn waiting(&self, document: u32, added: bool, shape: Shape) -> Vec<u8> {
        let mut row = Vec::new();
        put_varint(&mut row, u64::from(document) << 1 | u64::from(added));
        row.push(length_code(self.tokens));
        self.each(shape, |term, counts, places| {
            put_varint(&mut row, term.len() as u64);
            row.extend(term);
            let mut posting = Vec::new();
            if added {
                posting::put(&mut posting, None, 0, counts, places);
            }
            put_varint(&mut row, posting.len() as u64);
            row.extend(posting);
        });
        row
    }
}

/// Many documents by term. Documents come by ascending id.
#[derive(Default)]
pub struct Batch {
    terms: AHashMap<Box<[u8]>, List>,
    pub documents: BTreeMap<u32, Option<u8>>,
    /// Of terms and postings.
    pub bytes: usize,
}

/// What a change says of a term.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub term: Box<[u8]>,
    /// How many more documents have it than before.
    pub more: i64,
    /// As a short list, however many they are.
    pub postings: Vec<u8>,
}

#[derive(Default)]
struct List {
    more: i64,
    before: Option<u32>,
    postings: Vec<u8>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    fn list(&mut self, term: &[u8]) -> &mut List {
        if !self.terms.contains_key(term) {
            self.bytes += term.len() + 120;
            self.terms.insert(term.into(), List::default());
        }
        self.terms.get_mut(term).expect("BUG: it was just put there")
    }

    pub fn add(&mut self, document: u32, analysis: &Analysis, shape: Shape) {
        analysis.each(shape, |term, counts, places| {
            let list = self.list(term);
            list.more += 1;
            let before = list.postings.len();
            posting::put(&mut list.postings, list.before, document, counts, places);
            list.before = Some(document);
            let grown = list.postings.len() - before;
            self.bytes += grown;
        });
        self.documents.insert(document, Some(length_code(analysis.tokens)));
    }

    /// All changes of one document that waited, in their order. The last one tells how it is now.
    pub fn add_waiting(&mut self, document: u32, rows: &[Vec<u8>], shape: Shape) -> Result<()> {
        for (index, row) in rows.iter().enumerate() {
            let newest = index + 1 == rows.len();
            let mut bytes = Bytes::new(row);
            let added = bytes.varint()? & 1 == 1;
            let length = bytes.u8()?;
            if newest {
                self.documents.insert(document, added.then_some(length));
            }
            while !bytes.is_empty() {
                let size = bytes.varint()? as usize;
                let term = bytes.take(size)?;
                let size = bytes.varint()? as usize;
                let posting = bytes.take(size)?;
                let list = self.list(term);
                list.more += if added { 1 } else { -1 };
                if newest && added {
                    let mut read = posting::Postings::default();
                    posting::read_all(posting, shape, &mut read)?;
                    if read.len() != 1 || list.before.is_some_and(|before| before >= document) {
                        return Err(Fault::Damaged("a change that waits"));
                    }
                    let before = list.postings.len();
                    posting::put(&mut list.postings, list.before, document, &read.counts, &read.places);
                    list.before = Some(document);
                    let grown = list.postings.len() - before;
                    self.bytes += grown;
                }
            }
        }
        Ok(())
    }

    /// Whether it may go into the log: who reads it there takes no more than that, however few bytes it is coded in.
    pub fn fits_the_log(&self) -> bool {
        self.bytes + self.documents.len() * size_of::<Told>() <= limits::RECORD_BATCH_BYTES
    }

    /// What it tells of documents and says of terms, by their order. A term of which it says nothing is left out.
    pub fn into_parts(self) -> (Vec<Told>, Vec<Said>) {
        let said = self.terms.into_iter().map(|(term, List { more, postings, .. })| Said { term, more, postings });
        let mut said: Vec<Said> = said.filter(|one| one.more != 0 || !one.postings.is_empty()).collect();
        said.sort_unstable_by(|a, b| a.term.cmp(&b.term));
        (self.documents.into_iter().collect(), said)
    }
}

/// Which document a waiting row is about.
pub fn document_of(row: &[u8]) -> Result<u32> {
    u32::try_from(Bytes::new(row).varint()? >> 1).map_err(|_| Fault::Damaged("a change that waits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was not counted would go into the log, where nobody could read it again.
    #[test]
    fn what_waited_weighs_what_it_becomes() {
        let options = Options::parse(&["text", "content=''"]).unwrap();
        let mut analysis = Analysis::default();
        let words = "again ".repeat(10_000);
        analysis.read(&options, [Some(words.as_str())].into_iter()).unwrap();
        let shape = options.shape();
        let (mut added, mut waited) = (Batch::default(), Batch::default());
        added.add(1, &analysis, shape);
        waited.add_waiting(1, &[analysis.waiting(1, true, shape)], shape).unwrap();
        assert!(added.bytes > 10_000);
        assert_eq!(waited.bytes, added.bytes);
        assert!(waited.fits_the_log());
        waited.bytes = limits::RECORD_BATCH_BYTES - size_of::<Told>();
        assert!(waited.fits_the_log());
        waited.documents.insert(2, None);
        assert!(!waited.fits_the_log());
    }
}
