//! From text to terms: letters, digits and private characters make words, folded to lower case and without accents,
//! as FTS5's `unicode61 remove_diacritics 2` does for most of what is written.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use crate::{limits, stem::stem};

/// How words are written in the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Forms {
    #[default]
    AsTheyStand,
    /// Without their endings, so that forms of one word meet.
    Stems,
}

/// A word where it stands in the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Token {
    pub start: usize,
    pub end: usize,
}

/// Calls `each` with every word's folded form and its place.
pub fn tokens(text: &str, forms: Forms, folded: &mut String, mut each: impl FnMut(&str, Token)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let Some((start, _)) = text[at..].char_indices().find(|(_, letter)| is_word(*letter)) else { return };
        let start = at + start;
        let length = text[start..].char_indices().find(|(_, letter)| !is_word(*letter) && !is_mark(*letter));
        let end = length.map_or(text.len(), |(length, _)| start + length);
        fold(&text[start..end], folded);
        if forms == Forms::Stems {
            stem(folded);
        }
        if !folded.is_empty() {
            each(folded, Token { start, end });
        }
        at = end;
    }
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || (!letter.is_ascii() && letter.is_alphanumeric() && !is_mark(letter))
        || matches!(letter, '\u{e000}'..='\u{f8ff}')
}

/// A mark neither begins a word nor ends one.
fn is_mark(letter: char) -> bool {
    !letter.is_ascii() && is_combining_mark(letter)
}

/// The sign of a millionth is the letter it looks like, as in FTS5.
fn greek(letter: char) -> char {
    if letter == '\u{b5}' { '\u{3bc}' } else { letter }
}

fn fold(word: &str, into: &mut String) {
    into.clear();
    if word.is_ascii() {
        into.push_str(word);
        into.make_ascii_lowercase();
    } else {
        into.extend(
            word.nfd()
                .filter(|letter| !is_mark(*letter))
                .flat_map(char::to_lowercase)
                .filter(|letter| !is_mark(*letter))
                .map(greek),
        );
    }
    if into.len() > limits::TERM_BYTES {
        into.truncate(into.floor_char_boundary(limits::TERM_BYTES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        tokens(text, Forms::AsTheyStand, &mut String::new(), |word, _| found.push(word.to_owned()));
        found
    }

    #[test]
    fn words_are_folded() {
        assert_eq!(words("Hello, WORLD-wide 3.14"), ["hello", "world", "wide", "3", "14"]);
        assert_eq!(words("Größe Ångström café cafe\u{301} ПРИВЕТ"), ["große", "angstrom", "cafe", "cafe", "привет"]);
        assert_eq!(words("İstanbul µs"), ["istanbul", "μs"]);
        assert_eq!(words("  \u{301} -- "), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(1_000))[0].len(), limits::TERM_BYTES);
        assert_eq!(words("日本語 텍스트").len(), 2);
    }

    #[test]
    fn stems_are_of_folded_words() {
        let mut found = Vec::new();
        tokens("Running ponies, ÉDITING", Forms::Stems, &mut String::new(), |word, _| found.push(word.to_owned()));
        assert_eq!(found, ["run", "poni", "edit"]);
    }

    #[test]
    fn places_are_of_the_text_as_it_stands() {
        let mut places = Vec::new();
        tokens("é-B", Forms::AsTheyStand, &mut String::new(), |_, token| places.push((token.start, token.end)));
        assert_eq!(places, [(0, 2), (3, 4)]);
    }
}
