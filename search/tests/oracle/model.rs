//! The documents as they are, and every query answered by looking at all of them, after FORMAT.md's formulas.

use std::collections::{BTreeMap, BTreeSet};

pub const COLUMNS: usize = 3;
pub const WEIGHTS: [f32; COLUMNS] = [8.0, 3.0, 1.0];

#[derive(Clone, Default, Debug)]
pub struct Document {
    pub texts: [Vec<String>; COLUMNS],
    pub tags: Vec<String>,
    pub size: Option<i64>,
}

impl Document {
    /// With `stems`, every other word as another form of it.
    pub fn text(&self, column: usize, stems: bool) -> String {
        let formed = |(at, word): (usize, &String)| form(word, stems && at % 2 == 1);
        self.texts[column].iter().enumerate().map(formed).collect::<Vec<_>>().join(" ")
    }
}

/// Another form of a word, whose stem is the word.
fn form(word: &str, other: bool) -> String {
    if other { format!("{word}s") } else { word.to_owned() }
}

#[derive(Clone, Debug)]
pub enum Ask {
    Words {
        words: Vec<String>,
        prefix: bool,
        columns: Option<u32>,
    },
    Tag(String),
    /// Both ends are in it.
    Sizes(i64, i64),
    And(Vec<Ask>),
    Or(Vec<Ask>),
    Not(Box<(Ask, Ask)>),
}

impl Ask {
    /// As it is written in a query; with `stems`, some words as other forms of them.
    pub fn text(&self, stems: bool) -> String {
        let join = |parts: &[Ask], sign: &str| {
            let parts: Vec<String> = parts.iter().map(|part| part.text(stems)).collect();
            format!("({})", parts.join(&format!(" {sign} ")))
        };
        match self {
            Ask::Words { words, prefix, columns } => {
                let filter = columns.map_or(String::new(), |columns| {
                    let names = ["name", "summary", "body"].iter().enumerate();
                    let names: Vec<&str> =
                        names.filter(|(at, _)| columns >> at & 1 == 1).map(|(_, name)| *name).collect();
                    format!("{{{}}} : ", names.join(" "))
                });
                let star = if *prefix { " *" } else { "" };
                let last = words.len() - 1;
                let formed = |(at, word): (usize, &String)| {
                    form(word, stems && (at + words.len()) % 2 == 1 && !(*prefix && at == last))
                };
                let words: Vec<String> = words.iter().enumerate().map(formed).collect();
                if words.len() == 1 {
                    format!("{filter}{}{star}", words[0])
                } else {
                    format!("{filter}\"{}\"{star}", words.join(" "))
                }
            }
            Ask::Tag(tag) => format!("section:{tag}"),
            Ask::Sizes(from, i64::MAX) => format!("size:>={from}"),
            Ask::Sizes(i64::MIN, to) => format!("size:<={to}"),
            Ask::Sizes(from, to) => format!("size:{from}..{to}"),
            Ask::And(parts) => join(parts, "AND"),
            Ask::Or(parts) => join(parts, "OR"),
            Ask::Not(pair) => format!("({} NOT {})", pair.0.text(stems), pair.1.text(stems)),
        }
    }
}

/// What is scored by.
pub struct Scale<'a> {
    pub documents: &'a BTreeMap<i64, Document>,
    pub frozen_documents: u64,
    pub average: f32,
    /// Documents with each word.
    pub with: BTreeMap<&'a str, i64>,
}

impl<'a> Scale<'a> {
    pub fn new(documents: &'a BTreeMap<i64, Document>, frozen_documents: u64, average: f32) -> Scale<'a> {
        let mut with = BTreeMap::new();
        for document in documents.values() {
            let words: BTreeSet<&str> = document.texts.iter().flatten().map(String::as_str).collect();
            words.into_iter().for_each(|word| *with.entry(word).or_insert(0) += 1);
        }
        Scale { documents, frozen_documents, average, with }
    }

    fn idf(&self, with: i64) -> u64 {
        let all = self.frozen_documents.max(1) as f64;
        let with = with.clamp(1, self.frozen_documents.max(1) as i64) as f64;
        ((1.0 + (all - with + 0.5) / (with + 0.5)).ln() * 65_536.0).ceil() as u64
    }

    fn idf_of(&self, word: &str, prefix: bool) -> u64 {
        if !prefix {
            return self.idf(self.with.get(word).copied().unwrap_or(0));
        }
        let spellings = self.with.range(word..).take_while(|(other, _)| other.starts_with(word));
        self.idf(spellings.map(|(_, count)| count).sum())
    }

    fn impact(&self, tf: f32, document: &Document) -> u64 {
        let tokens: usize = document.texts.iter().map(Vec::len).sum();
        let length =
            if tokens < 64 { tokens as f32 } else { (tokens >> (tokens.ilog2() - 4) << (tokens.ilog2() - 4)) as f32 };
        let norm = 1.2 * (1.0 - 0.75 + 0.75 * length / self.average);
        (65_535.0 * (1.0 - norm / (tf + norm))) as u64
    }

    /// The score of a document; none when it is not found.
    pub fn score(&self, ask: &Ask, document: &Document) -> Option<u64> {
        match ask {
            Ask::Words { words, prefix, columns } => self.words(words, *prefix, columns.unwrap_or(7), document),
            Ask::Tag(tag) => document.tags.contains(tag).then_some(0),
            Ask::Sizes(from, to) => document.size.filter(|size| (from..=to).contains(&size)).map(|_| 0),
            Ask::And(parts) => parts.iter().map(|part| self.score(part, document)).sum(),
            Ask::Or(parts) => {
                let found: Vec<u64> = parts.iter().filter_map(|part| self.score(part, document)).collect();
                (!found.is_empty()).then(|| found.iter().sum())
            }
            Ask::Not(pair) => self.score(&pair.0, document).filter(|_| self.score(&pair.1, document).is_none()),
        }
    }

    fn words(&self, words: &[String], prefix: bool, columns: u32, document: &Document) -> Option<u64> {
        let last = words.len() - 1;
        let idf: u64 = words.iter().enumerate().map(|(at, word)| self.idf_of(word, prefix && at == last)).sum();
        if words.len() == 1 && prefix {
            let all: BTreeSet<&String> =
                document.texts.iter().flatten().filter(|word| word.starts_with(&words[0])).collect();
            let impacts = all.into_iter().filter_map(|word| {
                self.tf(columns, document, |text, at| text[at] == *word).map(|tf| self.impact(tf, document))
            });
            return impacts.max().map(|impact| idf * impact);
        }
        let stands = |text: &[String], at: usize| {
            words.iter().enumerate().all(|(offset, word)| {
                let there = text.get(at + offset);
                there
                    .is_some_and(|there| if prefix && offset == last { there.starts_with(word) } else { there == word })
            })
        };
        self.tf(columns, document, stands).map(|tf| idf * self.impact(tf, document))
    }

    fn tf(&self, columns: u32, document: &Document, stands: impl Fn(&[String], usize) -> bool) -> Option<f32> {
        let (mut tf, mut any) = (0.0, false);
        for column in (0..COLUMNS).filter(|column| columns >> column & 1 == 1) {
            let text = &document.texts[column];
            let count = (0..text.len()).filter(|at| stands(text, *at)).count();
            tf += count as f32 * WEIGHTS[column];
            any |= count > 0;
        }
        any.then_some(tf)
    }

    /// All that is found, by rowid.
    pub fn all(&self, ask: &Ask) -> Vec<i64> {
        let found = self.documents.iter().filter(|(_, document)| self.score(ask, document).is_some());
        found.map(|(id, _)| *id).collect()
    }

    /// All that is found, by size; what has none comes before the least.
    pub fn by_size(&self, ask: &Ask, descending: bool) -> Vec<i64> {
        let mut found = self.all(ask);
        let size = |id: &i64| self.documents[id].size;
        if descending {
            found.sort_by_key(|id| std::cmp::Reverse(size(id)))
        } else {
            found.sort_by_key(size)
        }
        found
    }

    /// Tags and how many of what is found have them, the most first, then by name.
    pub fn facets(&self, ask: &Ask, most: usize) -> Vec<(String, i64)> {
        let mut counts = BTreeMap::<String, i64>::new();
        for id in self.all(ask) {
            let tags: BTreeSet<&String> = self.documents[&id].tags.iter().collect();
            tags.into_iter().for_each(|tag| *counts.entry(tag.clone()).or_default() += 1);
        }
        let mut counts: Vec<(String, i64)> = counts.into_iter().collect();
        counts.sort_by_key(|(tag, count)| (std::cmp::Reverse(*count), tag.clone()));
        counts.truncate(most);
        counts
    }

    /// The best, the best first, and lower rowids first among those that are tied.
    pub fn best(&self, ask: &Ask, limit: usize, offset: usize) -> Vec<(i64, u64)> {
        let mut found: Vec<(i64, u64)> =
            self.documents.iter().filter_map(|(id, document)| Some((*id, self.score(ask, document)?))).collect();
        found.sort_by_key(|(id, score)| (std::cmp::Reverse(*score), *id));
        found.into_iter().skip(offset).take(limit).collect()
    }
}
