//! Turns the patterns of [`crate::words`] into sentences.

use crate::{
    random::{Random, Zipf},
    words,
};

/// What a sentence is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) project: &'a str,
    pub(crate) topic: &'a str,
}

/// The vocabulary, with how often each word comes up.
#[derive(Debug)]
pub(crate) struct Grammar {
    nouns: Zipf,
    adjectives: Zipf,
    verbs: Zipf,
    agents: Zipf,
}

impl Grammar {
    pub(crate) fn new() -> Self {
        Self {
            nouns: Zipf::of(words::NOUNS.len()),
            adjectives: Zipf::of(words::ADJECTIVES.len()),
            verbs: Zipf::of(words::VERBS.len()),
            agents: Zipf::of(words::AGENTS.len()),
        }
    }

    pub(crate) fn noun(&self, random: &mut Random) -> &'static str {
        draw(words::NOUNS, &self.nouns, random)
    }

    pub(crate) fn adjective(&self, random: &mut Random) -> &'static str {
        draw(words::ADJECTIVES, &self.adjectives, random)
    }

    pub(crate) fn verb(&self, random: &mut Random) -> &'static str {
        draw(words::VERBS, &self.verbs, random)
    }

    pub(crate) fn summary(&self, subject: Subject<'_>, random: &mut Random) -> String {
        self.say(random.pick(words::SUMMARIES), subject, random)
    }

    /// One to three paragraphs, sometimes with a list, in lines of any length.
    pub(crate) fn description(&self, subject: Subject<'_>, random: &mut Random) -> String {
        // A text that makes one remark twice reads like a machine's.
        let mut remarks = words::SENTENCES.to_vec();
        let mut text = capitalised(&self.say(random.pick(words::OPENINGS), subject, random));
        for _ in 0..random.between(1, 3) {
            text.push(' ');
            self.remark(&mut remarks, subject, random, &mut text);
        }
        if random.chance(25) {
            text.push_str("\n\nAmong other things it offers:");
            for _ in 0..random.between(2, 5) {
                text.push_str("\n * ");
                text.push_str(&self.say(random.pick(words::POINTS), subject, random));
            }
        }
        if random.chance(50) {
            text.push_str("\n\n");
            self.remark(&mut remarks, subject, random, &mut text);
            for _ in 0..random.below(3) {
                text.push(' ');
                self.remark(&mut remarks, subject, random, &mut text);
            }
        }
        text
    }

    /// Says one of the remarks that are left.
    fn remark(&self, left: &mut Vec<&str>, subject: Subject<'_>, random: &mut Random, text: &mut String) {
        let pattern = left.swap_remove(random.below(left.len() as u64) as usize);
        text.push_str(&capitalised(&self.say(pattern, subject, random)));
    }

    fn say(&self, pattern: &str, subject: Subject<'_>, random: &mut Random) -> String {
        let mut text = String::with_capacity(2 * pattern.len());
        // A sentence that says one word twice reads like a mistake.
        let mut said = Vec::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (slot, after) = after.split_once('}').expect("BUG: a slot of a pattern is not closed");
            rest = after;
            match slot {
                "t" => text.push_str(subject.topic),
                "p" => text.push_str(subject.project),
                _ => self.fill(slot, &mut said, random, &mut text),
            }
        }
        text.push_str(rest);
        text
    }

    fn fill(&self, slot: &str, said: &mut Vec<&'static str>, random: &mut Random, text: &mut String) {
        /// Draws for a word that was not said yet; the commonest may repeat in the end.
        const DRAWS_MAX: u32 = 8;
        let mut draw = || match slot {
            "a" | "A" => self.adjective(random),
            "n" | "s" => self.noun(random),
            "v" | "V" => self.verb(random),
            "g" => draw(words::AGENTS, &self.agents, random),
            other => unreachable!("BUG: a pattern has a slot {other:?}"),
        };
        let mut word = draw();
        for _ in 1..DRAWS_MAX {
            if !said.contains(&word) {
                break;
            }
            word = draw();
        }
        said.push(word);
        match slot {
            "A" => {
                text.push_str(if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an " } else { "a " });
                text.push_str(word);
            }
            "s" | "V" => text.push_str(&with_s(word)),
            _ => text.push_str(word),
        }
    }
}

fn draw(words: &[&'static str], zipf: &Zipf, random: &mut Random) -> &'static str {
    let rank = zipf.sample(random).expect("BUG: a list of words is empty");
    words[rank]
}

/// A noun's plural and a verb's third person, which English spells alike.
fn with_s(word: &str) -> String {
    let before_y = word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    match before_y {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) => format!("{word}es"),
        None => format!("{word}s"),
    }
}

fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling() {
        assert_eq!(
            ["file", "copy", "key", "search", "prism", "canvas"].map(with_s),
            ["files", "copies", "keys", "searches", "prisms", "canvases"]
        );
    }

    #[test]
    fn every_pattern_can_be_said() {
        let (grammar, mut random) = (Grammar::new(), Random::new(1));
        let subject = Subject { project: "fenport", topic: "archives" };
        for patterns in [words::SUMMARIES, words::OPENINGS, words::SENTENCES, words::POINTS] {
            for pattern in patterns {
                let text = grammar.say(pattern, subject, &mut random);
                assert!(!text.is_empty() && !text.contains(['{', '}']) && !text.contains("  "), "{text}");
            }
        }
    }
}
