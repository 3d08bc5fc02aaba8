//! How far a logbook has been read, so that reading can go on there.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub(super) book: u64,
    /// Of the last entry read.
    pub(super) seq: u64,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{0}` is no position in a logbook: the value of a Nearside-Logbook header expected")]
pub struct NotAPosition(String);

impl Position {
    pub fn is_same_book(self, other: Position) -> bool {
        self.book == other.book
    }

    /// Further on in the same book.
    pub fn at(self, seq: u64) -> Position {
        Position { seq, ..self }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.book, self.seq)
    }
}

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Position, NotAPosition> {
        let position = || {
            let (book, seq) = text.split_once('.')?;
            Some(Position { book: u64::from_str_radix(book, 16).ok()?, seq: seq.parse().ok()? })
        };
        position().ok_or_else(|| NotAPosition(text.chars().take(64).collect()))
    }
}
