//! Random documents with topics and bursts, random edits and random queries, all from one seed.

use crate::model::{Ask, COLUMNS, Document};

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 33) % most.max(1)
    }

    pub fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Small numbers are much likelier than large ones.
    fn skewed(&mut self, most: u64) -> u64 {
        let mut bound = most;
        while bound > 2 && !self.one_in(3) {
            bound = bound / 2 + 1;
        }
        self.below(bound)
    }

    pub fn word(&mut self, words: u64) -> String {
        let number = self.skewed(words);
        let stem = ["a", "ab", "abc", "b", "ba", "c", "data", "edge"][(number % 8) as usize];
        format!("{stem}{}", number / 8)
    }

    pub fn document(&mut self, words: u64, most: u64) -> Document {
        let mut document = Document::default();
        let topic = self.word(words);
        for column in 0..COLUMNS {
            let length = self.below(most * (column as u64 + 1) / 3 + 1);
            while (document.texts[column].len() as u64) < length {
                let word = if self.one_in(5) { topic.clone() } else { self.word(words) };
                let burst = if self.one_in(12) { 1 + self.below(6) } else { 1 };
                (0..burst).for_each(|_| document.texts[column].push(word.clone()));
            }
        }
        if self.one_in(40) {
            let topic = &document.texts[0].first().cloned().unwrap_or(topic);
            (0..self.below(200)).for_each(|_| document.texts[2].push(topic.clone()));
        }
        // Near each other, far apart, below nothing, and none at all.
        let wide = [1, 1_000, 1 << 30, 1 << 50][self.below(4) as usize];
        document.size = (!self.one_in(8)).then(|| (self.below(600) as i64 - 100) * wide);
        document.tags = (0..self.below(3)).map(|_| format!("t{}", self.skewed(6))).collect();
        document
    }

    pub fn ask(&mut self, words: u64) -> Ask {
        match self.below(12) {
            0..3 => self.term(words),
            3..5 => Ask::Or((0..2 + self.below(2)).map(|_| self.term(words)).collect()),
            5..7 => Ask::And((0..2 + self.below(2)).map(|_| self.term(words)).collect()),
            7 => Ask::And(vec![self.term(words), Ask::Tag(format!("t{}", self.skewed(6)))]),
            8 => Ask::Not(Box::new((self.term(words), self.term(words)))),
            9 => self.sizes(),
            10 => Ask::And(vec![self.term(words), self.sizes()]),
            _ => self.tree(words, 3),
        }
    }

    fn sizes(&mut self) -> Ask {
        let wide = [1, 1_000, 1 << 30, 1 << 50][self.below(4) as usize];
        let from = (self.below(600) as i64 - 100) * wide;
        match self.below(4) {
            0 => Ask::Sizes(from, i64::MAX),
            1 => Ask::Sizes(i64::MIN, from),
            _ => Ask::Sizes(from, from + self.below(1 << 12) as i64 * wide / 16),
        }
    }

    fn tree(&mut self, words: u64, depth: u64) -> Ask {
        if depth == 0 || self.one_in(3) {
            return self.term(words);
        }
        let parts = |chance: &mut Self| (0..2 + chance.below(2)).map(|_| chance.tree(words, depth - 1)).collect();
        match self.below(3) {
            0 => Ask::And(parts(self)),
            1 => Ask::Or(parts(self)),
            _ => Ask::Not(Box::new((self.tree(words, depth - 1), self.tree(words, depth - 1)))),
        }
    }

    fn term(&mut self, words: u64) -> Ask {
        let many = if self.one_in(4) { 2 + self.below(2) } else { 1 };
        let mut asked: Vec<String> = (0..many).map(|_| self.word(words)).collect();
        if asked.len() > 1 && self.one_in(2) {
            let first = asked[0].clone();
            asked[1] = first;
        }
        let prefix = self.one_in(5);
        if prefix && let Some(last) = asked.last_mut() {
            last.truncate(1 + self.below(last.len() as u64) as usize);
        }
        let columns = self.one_in(5).then(|| 1 + self.below(7) as u32);
        if self.one_in(25) {
            self.sizes()
        } else if self.one_in(20) {
            Ask::Tag(format!("t{}", self.skewed(6)))
        } else {
            Ask::Words { words: asked, prefix, columns }
        }
    }
}
