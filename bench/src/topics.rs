//! Documents for the benches of search indexes: words by Zipf's law, topics that bring words of their own, and bursts of
//! one word. Made one after the other, so that a million of them need no memory; the same seed gives the same ones.

use crate::random::Random;

pub const WORDS: usize = 200_000;
pub const SECTIONS: usize = 60;
const TOPICS: usize = 2_000;
const TOPIC_WORDS: usize = 40;
/// Words of topics are of middling rank: none is among these commonest ones.
const TOPIC_WORDS_FROM: usize = 300;
const WORDS_LEAST: usize = 20;
const WORDS_MORE: usize = 60;
/// One document in so many is much longer.
const LONG_ONE_IN: usize = 20;
const LONG_MORE: usize = 150;
/// One word in so many comes from a topic of the document, and one in so many comes several times.
const TOPIC_ONE_IN: usize = 4;
const BURST_ONE_IN: usize = 25;
const BURST_MORE: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub text: String,
    pub section: String,
}

/// An endless row of documents.
#[derive(Debug, Clone)]
pub struct Topics {
    random: Random,
}

impl Topics {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    pub fn document(&mut self) -> Document {
        let random = &mut self.random;
        let topics = [topic(random), topic(random)];
        let topics = &topics[..1 + random.below(2)];
        let long = if random.below(LONG_ONE_IN) == 0 { LONG_MORE } else { 0 };
        let words = WORDS_LEAST + random.below(WORDS_MORE) + long;
        let (mut text, mut count) = (String::new(), 0);
        while count < words {
            let rank = if random.below(TOPIC_ONE_IN) == 0 {
                let topic = topics[random.below(topics.len())];
                let own = (random.share().powi(2) * TOPIC_WORDS as f64) as usize;
                TOPIC_WORDS_FROM + (topic * 97 + own * 1_009) % (WORDS / 4)
            } else {
                zipf(random)
            };
            let times = if random.below(BURST_ONE_IN) == 0 { 2 + random.below(BURST_MORE) } else { 1 };
            for _ in 0..times {
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&word(rank));
            }
            count += times;
        }
        Document { text, section: section(random) }
    }
}

fn topic(random: &mut Random) -> usize {
    (random.share().powi(2) * TOPICS as f64) as usize
}

/// Some sections are much larger than others.
pub fn section(random: &mut Random) -> String {
    format!("s{}", (random.share().powi(3) * SECTIONS as f64) as usize)
}

/// The rank of a word: 0 is the commonest.
pub fn zipf(random: &mut Random) -> usize {
    ((WORDS as f64 + 1.0).powf(random.share()) - 1.0) as usize
}

/// The word of a rank: common ones are short.
pub fn word(rank: usize) -> String {
    let mut left = (rank as u64).wrapping_mul(2_654_435_761) % 308_915_776;
    let mut word = String::new();
    for _ in 0..3 {
        word.push(char::from(b"bcdfghjklmnprstvwz"[(left % 18) as usize]));
        left /= 18;
        word.push(char::from(b"aeiouy"[(left % 6) as usize]));
        left /= 6;
    }
    // Beyond the commonest, the rank itself keeps words apart.
    let mut tail = if rank < 1_000 { 0 } else { rank };
    while tail > 0 {
        word.push(char::from(b'a' + (tail % 26) as u8));
        tail /= 26;
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn documents_repeat_with_their_seed() {
        let made = |seed| (0..20).map(|_| 0).scan(Topics::new(seed), |all, _| Some(all.document())).collect::<Vec<_>>();
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
    }

    /// What a search index could take advantage of is there: common words, words that go together, words that come often.
    #[test]
    fn words_are_common_or_rare_and_come_in_topics_and_bursts() {
        let mut topics = Topics::new(1);
        let (mut with, mut bursts) = (HashMap::<String, Vec<usize>>::new(), 0);
        const DOCUMENTS: usize = 3_000;
        for number in 0..DOCUMENTS {
            let document = topics.document();
            let mut counts = HashMap::<&str, usize>::new();
            document.text.split(' ').for_each(|word| *counts.entry(word).or_default() += 1);
            bursts += counts.values().filter(|count| **count >= 4).count();
            counts.keys().for_each(|word| with.entry((*word).to_owned()).or_default().push(number));
        }
        assert!(with[&word(0)].len() > DOCUMENTS / 2, "{}", with[&word(0)].len());
        assert!(with.values().filter(|documents| documents.len() == 1).count() > with.len() / 3);
        assert!(bursts > DOCUMENTS / 3, "{bursts}");
        // Two words of one topic are found together far more often than their numbers would have it.
        let of = |own: usize| &with[&word(TOPIC_WORDS_FROM + own * 1_009)];
        let (one, other) = (of(0), of(1));
        let both = one.iter().filter(|number| other.contains(number)).count();
        let by_chance = one.len() * other.len() / DOCUMENTS;
        assert!(both > 3 * by_chance.max(1), "{both}, {by_chance} by chance");
    }
}
