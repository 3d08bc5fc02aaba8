//! What an index is asked: queries by class, so that a class that is slow cannot hide among others.

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::topics::{Topics, WORDS, section, word, zipf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    All,
    Any,
    Phrase,
    /// Of one word, its beginning.
    Prefix,
}

/// A query, in no index's own language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub join: Join,
    pub words: Vec<String>,
    /// Only documents of this section; it does not score.
    pub section: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    pub name: String,
    pub queries: Vec<Asked>,
}

impl Asked {
    /// As FTS5 and `nearside_search` read it.
    pub fn text(&self) -> String {
        let words = match self.join {
            Join::All => self.words.join(" AND "),
            Join::Any => self.words.join(" OR "),
            Join::Phrase => format!("\"{}\"", self.words.join(" ")),
            Join::Prefix => format!("{}*", self.words.join(" ")),
        };
        match &self.section {
            Some(section) => format!("section : {section} AND ({words})"),
            None => words,
        }
    }
}

pub const COMMONEST: &str = "1 word, the commonest 1 %";

/// The classes, each with what it is about.
pub const CLASSES: &[(&str, &str)] = &[
    (COMMONEST, "Of the 2,000 commonest of 200,000 words, each as likely as another."),
    ("1 word, 100 commonest", "By the rank the words are drawn by."),
    ("1 word, rank 100-1k", "By the rank the words are drawn by."),
    ("1 word, rank 1k-10k", "By the rank the words are drawn by."),
    ("1 word, rarer", "Rank 10,000 to 100,000."),
    ("2 words AND", "Each as likely as it is common."),
    ("3 words AND", "Each as likely as it is common."),
    ("2 words OR", "Each as likely as it is common."),
    ("3 words OR", "Each as likely as it is common."),
    ("2 of the 100 commonest AND", "Words that most documents have."),
    ("2 of the 100 commonest OR", "Words that most documents have."),
    ("prefix of 3 letters", "Of a word as likely as it is common."),
    ("prefix of 5 letters", "Of a word as likely as it is common."),
    ("phrase of 2", "Two words that stand beside each other in some document."),
    ("filtered", "A word as likely as it is common, among the documents of one of 60 sections."),
];

/// So many queries of each class; phrases are from the documents of `documents_seed`.
pub fn classes(each: usize, documents_seed: u64) -> Vec<Class> {
    let mut random = Random::new(77);
    let mut phrases = Topics::new(documents_seed);
    CLASSES
        .iter()
        .map(|(name, _)| Class {
            name: (*name).to_owned(),
            queries: (0..each).map(|_| query(name, &mut random, &mut phrases)).collect(),
        })
        .collect()
}

fn query(class: &str, random: &mut Random, phrases: &mut Topics) -> Asked {
    let asked = |join, words| Asked { join, words, section: None };
    let ranked = |random: &mut Random, from: usize, to: usize| word(from + random.below(to - from));
    let many = |random: &mut Random, many: usize| (0..many).map(|_| word(zipf(random))).collect();
    let begin = |word: String, letters: usize| word[..letters.min(word.len())].to_owned();
    match class {
        COMMONEST => asked(Join::All, vec![ranked(random, 0, WORDS / 100)]),
        "1 word, 100 commonest" => asked(Join::All, vec![ranked(random, 0, 100)]),
        "1 word, rank 100-1k" => asked(Join::All, vec![ranked(random, 100, 1_000)]),
        "1 word, rank 1k-10k" => asked(Join::All, vec![ranked(random, 1_000, 10_000)]),
        "1 word, rarer" => asked(Join::All, vec![ranked(random, 10_000, 100_000)]),
        "2 words AND" => asked(Join::All, many(random, 2)),
        "3 words AND" => asked(Join::All, many(random, 3)),
        "2 words OR" => asked(Join::Any, many(random, 2)),
        "3 words OR" => asked(Join::Any, many(random, 3)),
        "2 of the 100 commonest AND" => asked(Join::All, vec![ranked(random, 0, 100), ranked(random, 0, 100)]),
        "2 of the 100 commonest OR" => asked(Join::Any, vec![ranked(random, 0, 100), ranked(random, 0, 100)]),
        "prefix of 3 letters" => asked(Join::Prefix, vec![begin(word(zipf(random)), 3)]),
        "prefix of 5 letters" => asked(Join::Prefix, vec![begin(word(zipf(random)), 5)]),
        "phrase of 2" => {
            let document = phrases.document();
            let words: Vec<&str> = document.text.split(' ').collect();
            let at = random.below(words.len() - 1);
            asked(Join::Phrase, words[at..at + 2].iter().map(|word| (*word).to_owned()).collect())
        }
        "filtered" => Asked { join: Join::All, words: many(random, 1), section: Some(section(random)) },
        other => unreachable!("BUG: there is no class {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_queries_and_they_repeat() {
        let all = classes(20, 1);
        assert_eq!(all, classes(20, 1));
        assert_eq!(all.len(), CLASSES.len());
        assert!(all.iter().all(|class| class.queries.len() == 20));
    }

    #[test]
    fn queries_are_written_as_fts5_reads_them() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        for (join, asked, text) in [
            (Join::All, words(&["a", "b"]), "a AND b"),
            (Join::Any, words(&["a", "b"]), "a OR b"),
            (Join::Phrase, words(&["a", "b"]), "\"a b\""),
            (Join::Prefix, words(&["ab"]), "ab*"),
        ] {
            assert_eq!(Asked { join, words: asked, section: None }.text(), text);
        }
        let filtered = Asked { join: Join::All, words: words(&["a"]), section: Some("s3".into()) };
        assert_eq!(filtered.text(), "section : s3 AND (a)");
    }
}
