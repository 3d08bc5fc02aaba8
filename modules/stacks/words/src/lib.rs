//! Invents documents of a language nobody speaks. The same seed gives the same ones, in the command that adds some and
//! in the program that makes a database full of them.

/// The vocabulary has this many words, as a power of two.
const OCTAVES: u32 = 16;
const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aeio";
const TITLE_WORDS: u64 = 3;
const TITLE_WORDS_MORE: u64 = 5;
const BODY_WORDS: u64 = 200;
const BODY_WORDS_MORE: u64 = 400;
/// One word in so many ends a sentence.
const SENTENCE_WORDS: u64 = 14;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Not yet unique: whoever stores it adds what makes it so.
    pub slug: String,
    pub title: String,
    pub body: String,
}

/// An endless row of documents.
#[derive(Debug, Clone)]
pub struct Documents {
    random: u64,
}

impl Documents {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: seed }
    }

    /// The next one.
    #[must_use]
    pub fn invent(&mut self) -> Document {
        let title_words = TITLE_WORDS + self.below(TITLE_WORDS_MORE);
        let title = self.text(title_words, false);
        let body_words = BODY_WORDS + self.below(BODY_WORDS_MORE);
        let body = self.text(body_words, true);
        Document { slug: title.to_lowercase().replace(' ', "-"), title, body }
    }

    fn text(&mut self, words: u64, in_sentences: bool) -> String {
        let mut text = String::new();
        let mut begins = true;
        for index in 0..words {
            if index > 0 {
                text.push(' ');
            }
            let from = text.len();
            self.word(&mut text);
            if begins {
                text[from..=from].make_ascii_uppercase();
            }
            begins = in_sentences && self.below(SENTENCE_WORDS) == 0;
            if begins {
                text.push('.');
            }
        }
        text
    }

    /// Zipf's law in steps: as many of all words come from the 1st as from the 2nd and 3rd, the 4th to 7th and so on.
    fn word(&mut self, text: &mut String) {
        let octave = self.below(u64::from(OCTAVES));
        let mut rank = (1 << octave) + self.below(1 << octave);
        while rank > 0 {
            text.push(char::from(CONSONANTS[(rank & 15) as usize]));
            text.push(char::from(VOWELS[(rank >> 4 & 3) as usize]));
            rank >>= 6;
        }
    }

    /// A number below `bound`, by SplitMix64 (Steele, Lea, Flood 2014).
    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_row_of_documents() {
        let three = |seed| {
            let mut documents = Documents::new(seed);
            [documents.invent(), documents.invent(), documents.invent()]
        };
        assert_eq!(three(1), three(1));
        assert_ne!(three(1), three(2));
        assert_ne!(three(1)[0], three(1)[1]);
    }

    #[test]
    fn a_document_reads_like_one() {
        let document = Documents::new(7).invent();
        assert!((3..8).contains(&document.title.split(' ').count()), "{}", document.title);
        assert!((200..600).contains(&document.body.split(' ').count()), "{}", document.body);
        assert!(document.body.contains(". "));
        assert!(document.slug.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase()), "{}", document.slug);
    }

    #[test]
    fn few_words_are_common_and_many_are_rare() {
        let mut documents = Documents::new(7);
        let text: String = (0..200).map(|_| documents.invent().body + " ").collect();
        let mut counts = std::collections::HashMap::new();
        for word in text.split(' ') {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
        let once = counts.values().filter(|count| **count == 1).count();
        let most = *counts.values().max().expect("words");
        assert!(once > counts.len() / 4 && most > 3_000, "{} words, {once} once, one {most} times", counts.len());
    }
}
