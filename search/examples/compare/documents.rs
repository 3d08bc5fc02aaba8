//! Generated documents: words by Zipf's law, topics that bring their own words, and bursts of one word.

pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 20) % most.max(1)
    }

    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

pub const WORDS: u64 = 200_000;
const TOPICS: u64 = 2_000;
const TOPIC_WORDS: u64 = 40;

/// The rank of a word: 0 is the commonest.
pub fn zipf(chance: &mut Chance) -> u64 {
    ((WORDS as f64 + 1.0).powf(chance.share()) - 1.0) as u64
}

pub fn word(rank: u64) -> String {
    let (mut left, mut word) = (rank.wrapping_mul(2_654_435_761) % 308_915_776, String::new());
    for _ in 0..3 {
        word.push(char::from(b"bcdfghjklmnprstvwz"[(left % 18) as usize]));
        left /= 18;
        word.push(char::from(b"aeiouy"[(left % 6) as usize]));
        left /= 6;
    }
    format!("{word}{}", if rank < 1_000 { String::new() } else { word_tail(rank) })
}

fn word_tail(mut rank: u64) -> String {
    let mut tail = String::new();
    while rank > 0 {
        tail.push(char::from(b'a' + (rank % 26) as u8));
        rank /= 26;
    }
    tail
}

pub struct Document {
    pub name: String,
    pub summary: String,
    pub body: String,
    pub section: String,
}

pub fn document(chance: &mut Chance) -> Document {
    let topics: Vec<u64> = (0..1 + chance.below(2)).map(|_| (chance.share().powi(2) * TOPICS as f64) as u64).collect();
    let body = 15 + chance.below(60) as usize + if chance.below(20) == 0 { 150 } else { 0 };
    let section = format!("s{}", (chance.share().powi(3) * 60.0) as u64);
    Document {
        name: text(chance, &topics, 3),
        summary: text(chance, &topics, 9),
        body: text(chance, &topics, body),
        section,
    }
}

fn text(chance: &mut Chance, topics: &[u64], length: usize) -> String {
    let mut words: Vec<String> = Vec::new();
    while words.len() < length {
        let rank = if chance.below(4) == 0 {
            let topic = topics[chance.below(topics.len() as u64) as usize];
            let own = (chance.share().powi(2) * TOPIC_WORDS as f64) as u64;
            300 + (topic * 97 + own * 1_009) % (WORDS / 4)
        } else {
            zipf(chance)
        };
        let burst = if chance.below(25) == 0 { 2 + chance.below(5) } else { 1 };
        (0..burst).for_each(|_| words.push(word(rank)));
    }
    words.join(" ")
}

/// A class of queries: its name and its queries, for an index with a column filter for `section`.
pub struct Class {
    pub name: &'static str,
    pub queries: Vec<String>,
}

pub fn classes(each: usize, texts: &[Document]) -> Vec<Class> {
    let mut chance = Chance::new(77);
    let mut class = |name, make: &mut dyn FnMut(&mut Chance) -> String| Class {
        name,
        queries: (0..each).map(|_| make(&mut chance)).collect(),
    };
    let ranked = |from: u64, to: u64| move |chance: &mut Chance| word(from + chance.below(to - from));
    let joined = |many: usize, sign: &'static str| {
        move |chance: &mut Chance| (0..many).map(|_| word(zipf(chance))).collect::<Vec<_>>().join(sign)
    };
    vec![
        class("1 term, 100 commonest", &mut ranked(0, 100)),
        class("1 term, rank 100-1k", &mut ranked(100, 1_000)),
        class("1 term, rank 1k-10k", &mut ranked(1_000, 10_000)),
        class("1 term, rarer", &mut ranked(10_000, 100_000)),
        class("2 terms AND", &mut joined(2, " AND ")),
        class("3 terms AND", &mut joined(3, " AND ")),
        class("2 terms OR", &mut joined(2, " OR ")),
        class("3 terms OR", &mut joined(3, " OR ")),
        class("2 of the 100 commonest AND", &mut |chance| {
            format!("{} AND {}", word(chance.below(100)), word(chance.below(100)))
        }),
        class("2 of the 100 commonest OR", &mut |chance| {
            format!("{} OR {}", word(chance.below(100)), word(chance.below(100)))
        }),
        class("prefix of 3 letters", &mut |chance| format!("{}*", &word(zipf(chance))[..3])),
        class("prefix of 5 letters", &mut |chance| format!("{}*", &word(zipf(chance))[..5])),
        class("phrase of 2, from the text", &mut |chance| {
            let words: Vec<&str> = texts[chance.below(texts.len() as u64) as usize].body.split(' ').collect();
            let at = chance.below(words.len() as u64 - 1) as usize;
            format!("\"{} {}\"", words[at], words[at + 1])
        }),
        class("1 column", &mut |chance| format!("name : {}", word(zipf(chance)))),
        class("filtered by section", &mut |chance| {
            let section = (chance.share().powi(3) * 60.0) as u64;
            format!("section : s{section} AND {}", word(zipf(chance)))
        }),
    ]
}
