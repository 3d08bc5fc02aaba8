//! A query in one segment: a tree of what goes through documents in order and knows bounds of their scores.

use crate::{
    cursor::{Cursor, END, Level},
    fault::Result,
    phrase::Phrase,
    top::Top,
};

/// There are few of them, and most are lists.
#[allow(clippy::large_enum_variant)]
pub enum Clause<'a> {
    List(Cursor<'a>),
    Phrase(Box<Phrase<'a>>),
    /// Any of these; scores add up.
    Any(Vec<Clause<'a>>),
    /// Any of these spellings of one word: the best counts.
    Best(Vec<Cursor<'a>>),
    All(Vec<Clause<'a>>),
    Not(Box<(Clause<'a>, Clause<'a>)>),
}

impl Clause<'_> {
    pub fn size(&self) -> usize {
        match self {
            Clause::List(cursor) => cursor.size(),
            Clause::Phrase(phrase) => phrase.size(),
            Clause::Any(parts) => parts.iter().map(Clause::size).sum(),
            Clause::Best(cursors) => cursors.iter().map(Cursor::size).sum(),
            Clause::All(parts) => parts.iter().map(Clause::size).min().unwrap_or(0),
            Clause::Not(pair) => pair.0.size(),
        }
    }

    /// To the first document from `target` on.
    pub fn seek(&mut self, target: u32) -> Result<u32> {
        match self {
            Clause::List(cursor) => cursor.seek(target),
            Clause::Phrase(phrase) => phrase.seek(target),
            Clause::Any(parts) => parts.iter_mut().try_fold(END, |least, part| Ok(least.min(part.seek(target)?))),
            Clause::Best(cursors) => cursors.iter_mut().try_fold(END, |least, one| Ok(least.min(one.seek(target)?))),
            Clause::All(parts) => seek_all(parts, target),
            Clause::Not(pair) => {
                let (wanted, unwanted) = &mut **pair;
                let mut document = wanted.seek(target)?;
                while document != END && unwanted.seek(document)? == document {
                    document = wanted.seek(document + 1)?;
                }
                Ok(document)
            }
        }
    }

    /// Whether this document is found: no other is looked for.
    pub fn meets(&mut self, document: u32) -> Result<bool> {
        match self {
            Clause::List(cursor) => Ok(cursor.seek(document)? == document),
            Clause::Phrase(phrase) => phrase.meets(document),
            Clause::Any(parts) => parts.iter_mut().try_fold(false, |any, part| Ok(any || part.meets(document)?)),
            Clause::Best(cursors) => {
                cursors.iter_mut().try_fold(false, |any, one| Ok(one.seek(document)? == document || any))
            }
            Clause::All(parts) => parts.iter_mut().try_fold(true, |all, part| Ok(all && part.meets(document)?)),
            Clause::Not(pair) => Ok(pair.0.meets(document)? && !pair.1.meets(document)?),
        }
    }

    /// The score of a document that `seek` gave, or that it `meets`.
    pub fn score(&mut self, document: u32) -> Result<u64> {
        match self {
            Clause::List(cursor) => Ok(if cursor.document() == document { cursor.score() } else { 0 }),
            Clause::Phrase(phrase) => Ok(phrase.score(document)),
            Clause::Any(parts) => parts.iter_mut().try_fold(0, |sum, part| {
                Ok(sum + if part.seek(document)? == document { part.score(document)? } else { 0 })
            }),
            Clause::Best(cursors) => {
                let at = |cursor: &&mut Cursor<'_>| cursor.document() == document;
                Ok(cursors.iter_mut().filter(at).map(|cursor| cursor.score()).max().unwrap_or(0))
            }
            Clause::All(parts) => parts.iter_mut().try_fold(0, |sum, part| Ok(sum + part.score(document)?)),
            Clause::Not(pair) => pair.0.score(document),
        }
    }

    /// Up to where bounds are of one piece.
    pub fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        let least = |least: u32, part: &mut Clause<'_>| Ok(least.min(part.reach(level, from)?));
        match self {
            Clause::List(cursor) => cursor.reach(level, from),
            Clause::Phrase(phrase) => phrase.reach(level, from),
            Clause::Any(parts) | Clause::All(parts) => parts.iter_mut().try_fold(END, least),
            Clause::Best(cursors) => {
                cursors.iter_mut().try_fold(END, |least, one| Ok(least.min(one.reach(level, from)?)))
            }
            Clause::Not(pair) => pair.0.reach(level, from),
        }
    }

    /// The most a document of `from..=to` can score, if there can be one.
    pub fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        match self {
            Clause::List(cursor) => cursor.bound(level, from, to),
            Clause::Phrase(phrase) => phrase.bound(level, from, to),
            Clause::Any(parts) => {
                let mut bounds = parts.iter_mut().filter_map(|part| part.bound(level, from, to)).peekable();
                bounds.peek().is_some().then(|| bounds.sum())
            }
            Clause::Best(cursors) => cursors.iter_mut().filter_map(|one| one.bound(level, from, to)).max(),
            Clause::All(parts) => parts.iter_mut().map(|part| part.bound(level, from, to)).sum(),
            Clause::Not(pair) => pair.0.bound(level, from, to),
        }
    }

    /// Lets a phrase leave out places that cannot matter, where its score is all that counts.
    pub fn heed(&mut self, top: &Top) {
        if let Clause::Phrase(phrase) = self {
            phrase.heed(top);
        }
    }
}

/// The rarest leads; the others follow, and whoever gets ahead leads on.
fn seek_all(parts: &mut [Clause<'_>], mut target: u32) -> Result<u32> {
    'again: loop {
        for (index, part) in parts.iter_mut().enumerate() {
            let document = part.seek(target)?;
            if document == END {
                return Ok(END);
            }
            if document > target {
                target = document;
                if index > 0 {
                    continue 'again;
                }
            }
        }
        return Ok(if parts.is_empty() { END } else { target });
    }
}
