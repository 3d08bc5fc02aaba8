//! Words that stand beside each other, in one segment.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::{
    cursor::{Cursor, END, Level},
    fault::Result,
    score::{Norms, Weights},
    top::Top,
};

/// Words that stand beside each other.
pub struct Phrase<'a> {
    /// Each of its words, in the order of the text; the last may have several spellings.
    words: Vec<Word<'a>>,
    columns: u32,
    idf: u64,
    norms: &'a Norms,
    weights: &'a Weights,
    document: u32,
    started: bool,
    tf: f32,
    length: u8,
    /// The score and document of the worst hit that still is among the best.
    bar: Option<(u64, u32)>,
    starts: Vec<(u32, u32)>,
    next: Vec<(u32, u32)>,
}

pub struct Word<'a> {
    spellings: Vec<Cursor<'a>>,
    /// Of many, where each of them is, the first one on top; those at their end are not in it.
    ahead: BinaryHeap<Reverse<(u32, usize)>>,
    started: bool,
}

/// Spellings of a word in a phrase that are asked one after the other; of more, only those that are next.
const SPELLINGS_BESIDE: usize = 8;

impl<'a> Word<'a> {
    pub fn new(spellings: Vec<Cursor<'a>>) -> Word<'a> {
        Word { spellings, ahead: BinaryHeap::new(), started: false }
    }

    fn has_many(&self) -> bool {
        self.spellings.len() > SPELLINGS_BESIDE
    }

    fn size(&self) -> usize {
        self.spellings.iter().map(Cursor::size).sum()
    }

    fn seek(&mut self, target: u32) -> Result<u32> {
        if !self.has_many() {
            return self.spellings.iter_mut().try_fold(END, |least, one| Ok(least.min(one.seek(target)?)));
        }
        let behind: Vec<usize> = match std::mem::replace(&mut self.started, true) {
            false => (0..self.spellings.len()).collect(),
            true => std::iter::from_fn(|| {
                let is_behind = self.ahead.peek().is_some_and(|Reverse((document, _))| *document < target);
                if is_behind { self.ahead.pop().map(|Reverse((_, index))| index) } else { None }
            })
            .collect(),
        };
        for index in behind {
            let document = self.spellings[index].seek(target)?;
            if document != END {
                self.ahead.push(Reverse((document, index)));
            }
        }
        Ok(self.ahead.peek().map_or(END, |Reverse((document, _))| *document))
    }

    /// Of many spellings, bounds would be dearer than what they spare: the other words of the phrase have theirs.
    fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        if self.has_many() {
            return Ok(END);
        }
        self.spellings.iter_mut().try_fold(END, |least, one| Ok(least.min(one.reach(level, from)?)))
    }

    /// In units of impact: cursors of a phrase have an idf of one. Several spellings may add up.
    fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        if self.has_many() {
            return Some(u64::MAX);
        }
        let mut bounds = self.spellings.iter_mut().filter_map(|one| one.bound(level, from, to)).peekable();
        bounds.peek().is_some().then(|| bounds.map(|bound| bound + 1).sum())
    }

    fn places(&mut self, document: u32, into: &mut Vec<(u32, u32)>, held: &mut Vec<(u32, u32)>) -> Result<()> {
        into.clear();
        let mut here = Vec::new();
        if !self.has_many() {
            here.extend((0..self.spellings.len()).filter(|index| self.spellings[*index].document() == document));
        }
        while self.ahead.peek().is_some_and(|Reverse((first, _))| *first == document) {
            here.extend(self.ahead.pop().map(|Reverse((_, index))| index));
        }
        for index in here {
            self.spellings[index].places(held)?;
            into.append(held);
            if self.has_many() {
                self.ahead.push(Reverse((document, index)));
            }
        }
        if self.spellings.len() > 1 {
            into.sort_unstable();
        }
        Ok(())
    }
}

impl<'a> Phrase<'a> {
    pub fn new(words: Vec<Word<'a>>, columns: u32, idf: u64, norms: &'a Norms, weights: &'a Weights) -> Phrase<'a> {
        let (starts, next) = (Vec::new(), Vec::new());
        Phrase {
            words,
            columns,
            idf,
            norms,
            weights,
            document: 0,
            started: false,
            tf: 0.0,
            length: 0,
            bar: None,
            starts,
            next,
        }
    }

    pub fn size(&self) -> usize {
        // Looking at places is dear.
        self.words.iter().map(Word::size).min().unwrap_or(0) + (1 << 30)
    }

    pub fn seek(&mut self, target: u32) -> Result<u32> {
        if self.started && self.document >= target {
            return Ok(self.document);
        }
        self.started = true;
        let mut document = target;
        loop {
            document = self.together(document)?;
            if document == END || (!self.is_hopeless(document)? && self.stands_in(document)?) {
                self.document = document;
                return Ok(document);
            }
            document += 1;
        }
    }

    pub fn meets(&mut self, document: u32) -> Result<bool> {
        for word in &mut self.words {
            if word.seek(document)? != document {
                return Ok(false);
            }
        }
        let stands = self.stands_in(document)?;
        if stands {
            (self.document, self.started) = (document, true);
        }
        Ok(stands)
    }

    /// The next document with all the words in it.
    fn together(&mut self, mut target: u32) -> Result<u32> {
        let mut agreed = 0;
        let mut index = 0;
        while agreed < self.words.len() {
            let document = self.words[index].seek(target)?;
            if document == END {
                return Ok(END);
            }
            agreed = if document == target { agreed + 1 } else { 1 };
            target = document;
            index = (index + 1) % self.words.len();
        }
        Ok(target)
    }

    /// Whether it could not be among the best even if the words always stood beside each other.
    fn is_hopeless(&mut self, document: u32) -> Result<bool> {
        let Some((score, worst)) = self.bar else { return Ok(false) };
        let most =
            self.words.iter_mut().filter(|word| word.spellings.len() == 1).map(|word| word.spellings[0].impact());
        let bound = most.min().map_or(u64::MAX, |impact| self.idf * u64::from(impact));
        Ok(bound < score || (bound == score && document > worst))
    }

    fn stands_in(&mut self, document: u32) -> Result<bool> {
        let mut held = Vec::new();
        for (offset, word) in self.words.iter_mut().enumerate() {
            let into = if offset == 0 { &mut self.starts } else { &mut self.next };
            word.places(document, into, &mut held)?;
            if offset > 0 {
                let next = &self.next;
                self.starts.retain(|(column, place)| {
                    place.checked_add(offset as u32).is_some_and(|place| next.binary_search(&(*column, place)).is_ok())
                });
            }
        }
        self.tf = 0.0;
        let mut any = false;
        for (column, _) in self.starts.iter().filter(|(column, _)| self.columns >> column & 1 == 1) {
            any = true;
            self.tf += self.weights.of(*column as usize);
        }
        if any {
            self.length = self.words[0].spellings[0].length_of(document);
        }
        Ok(any)
    }

    pub fn score(&self, document: u32) -> u64 {
        if self.document != document { 0 } else { self.idf * u64::from(self.norms.impact(self.tf, self.length)) }
    }

    pub fn reach(&mut self, level: Level, from: u32) -> Result<u32> {
        self.words.iter_mut().try_fold(END, |least, word| Ok(least.min(word.reach(level, from)?)))
    }

    pub fn bound(&mut self, level: Level, from: u32, to: u32) -> Option<u64> {
        let mut least = u64::MAX;
        for word in &mut self.words {
            least = least.min(word.bound(level, from, to)?);
        }
        Some(self.idf.saturating_mul(least))
    }

    /// Leaves out what cannot be among these any more.
    pub fn heed(&mut self, top: &Top) {
        self.bar = top.bar();
    }
}
