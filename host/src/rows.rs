//! The rows of a result as they cross to a guest: five pieces, whatever the number of cells. `wit/types.wit` says how they
//! are laid out.

use nearside_protocol::{digest::Digest, limits};
use rusqlite::types::ValueRef;

use crate::{
    bindings::edge::types::{FlatRows, Rows, Value},
    budget::Budget,
};

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;

/// No piece is longer than this, so that two places in it fit a word.
const _: () = assert!(limits::SQL_RESULT_BYTES * 3 < u32::MAX as usize);

impl FlatRows {
    /// A result without rows, of columns with these names.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str>) -> FlatRows {
        let (mut ends, mut texts) = (Vec::new(), String::new());
        for name in names {
            texts.push_str(name);
            ends.push(texts.len() as u32);
        }
        FlatRows { names: ends, kinds: Vec::new(), words: Vec::new(), texts, blobs: Vec::new() }
    }

    /// Adds a cell of the last row, or of a new one. What is not UTF-8 in a text is replaced.
    pub(crate) fn push(&mut self, value: ValueRef<'_>) {
        let (kind, word) = match value {
            ValueRef::Null => (NULL, 0),
            ValueRef::Integer(integer) => (INTEGER, integer as u64),
            ValueRef::Real(real) => (REAL, real.to_bits()),
            ValueRef::Text(bytes) => {
                let start = self.texts.len();
                self.texts.push_str(&String::from_utf8_lossy(bytes));
                (TEXT, span(start, self.texts.len()))
            }
            ValueRef::Blob(bytes) => {
                let start = self.blobs.len();
                self.blobs.extend_from_slice(bytes);
                (BLOB, span(start, self.blobs.len()))
            }
        };
        self.kinds.push(kind);
        self.words.push(word);
    }

    /// Which bound it is over, if it is over one.
    pub(crate) fn over(&self) -> Option<Budget> {
        let bytes = self.texts.len() + self.blobs.len() + self.kinds.len() * size_of::<Value>();
        if bytes > limits::SQL_RESULT_BYTES {
            return Some(Budget::QueryBytes);
        }
        (self.kinds.len() > limits::SQL_ROWS * self.names.len().max(1)).then_some(Budget::QueryRows)
    }

    pub fn count(&self) -> usize {
        self.kinds.len() / self.names.len().max(1)
    }

    /// The same cell by cell.
    pub fn rows(&self) -> Rows {
        let starts = std::iter::once(0).chain(self.names.iter().map(|end| *end as usize));
        let names = starts.zip(&self.names).map(|(start, end)| self.texts[start..*end as usize].to_owned());
        let cells = self.kinds.iter().zip(&self.words).map(|(kind, word)| match *kind {
            INTEGER => Value::Integer(*word as i64),
            REAL => Value::Real(f64::from_bits(*word)),
            TEXT => Value::Text(self.texts[place(*word)].to_owned()),
            BLOB => Value::Blob(self.blobs[place(*word)].to_vec()),
            _ => Value::Null,
        });
        Rows { columns: names.collect(), cells: cells.collect() }
    }

    /// The digest of all of it: columns, and every cell with its type.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::with_capacity((self.names.len() * 4 + self.kinds.len() * 9 + 32).min(64 << 10));
        for length in [self.names.len(), self.kinds.len(), self.texts.len(), self.blobs.len()] {
            bytes.extend_from_slice(&(length as u64).to_le_bytes());
        }
        self.names.iter().for_each(|end| bytes.extend_from_slice(&end.to_le_bytes()));
        bytes.extend_from_slice(&self.kinds);
        self.words.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        for piece in [&bytes[..], self.texts.as_bytes(), &self.blobs] {
            hasher.update(piece);
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

fn span(start: usize, end: usize) -> u64 {
    (start as u64) << 32 | end as u64
}

fn place(span: u64) -> std::ops::Range<usize> {
    (span >> 32) as usize..span as u32 as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(cells: &[ValueRef<'_>]) -> FlatRows {
        let mut flat = FlatRows::of(["a", "b"].into_iter());
        cells.iter().for_each(|cell| flat.push(*cell));
        flat
    }

    #[test]
    fn a_result_is_the_same_flat_and_cell_by_cell() {
        let cells = [
            ValueRef::Null,
            ValueRef::Integer(i64::MIN),
            ValueRef::Real(-0.5),
            ValueRef::Text("grün".as_bytes()),
            ValueRef::Blob(&[0, 255]),
            ValueRef::Text(b"not \xff UTF-8"),
        ];
        let flat = flat(&cells);
        let rows = flat.rows();
        assert_eq!((flat.count(), rows.columns.as_slice()), (3, &["a".to_owned(), "b".to_owned()][..]));
        assert!(matches!(
            &rows.cells[..],
            [Value::Null, Value::Integer(i64::MIN), Value::Real(-0.5), Value::Text(one), Value::Blob(blob), Value::Text(two)]
            if one == "grün" && blob == &[0, 255] && two == "not \u{fffd} UTF-8"
        ));
    }

    #[test]
    fn rows_differ_by_type_as_by_value() {
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        let mut all = vec![
            flat(&[]),
            flat(&[ValueRef::Null]),
            flat(&[ValueRef::Integer(0)]),
            flat(&[ValueRef::Integer(1)]),
            flat(&[ValueRef::Real(1.0)]),
            flat(&[text("1")]),
            flat(&[text("")]),
            flat(&[ValueRef::Blob(b"1")]),
            flat(&[text("1"), text("")]),
            flat(&[text(""), text("1")]),
            FlatRows::of(["ab"].into_iter()),
            FlatRows::of(["a", "b", ""].into_iter()),
        ];
        // Texts and blobs run into each other only where they are one.
        all.push(flat(&[text("12"), ValueRef::Blob(b"3")]));
        all.push(flat(&[text("1"), ValueRef::Blob(b"23")]));
        let different: std::collections::BTreeSet<_> = all.iter().map(FlatRows::digest).collect();
        assert_eq!(different.len(), all.len());
    }
}
