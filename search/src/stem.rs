//! Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", 1980), with the departures that FTS5's has, so
//! that the same forms of a word meet.

/// Longer words are left as they are, and shorter ones.
const LETTERS_LEAST: usize = 3;
const LETTERS_MOST: usize = 64;

/// Cuts a folded word to its stem. Only endings of ASCII letters are cut: what is not ASCII counts as consonants.
pub fn stem(word: &mut String) {
    if !(LETTERS_LEAST..=LETTERS_MOST).contains(&word.len()) {
        return;
    }
    plurals(word);
    if participles(word) {
        mend(word);
    }
    if word.ends_with('y') && has_vowel(&word.as_bytes()[..word.len() - 1]) {
        replace(word, 1, "i");
    }
    first_that_ends(word, DOUBLE_ENDINGS, |stem| measure(stem) > 0);
    first_that_ends(word, ENDINGS, |stem| measure(stem) > 0);
    last_endings(word);
    tidy(word);
}

const DOUBLE_ENDINGS: &[(&str, &str)] = &[
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("logi", "log"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
];

const ENDINGS: &[(&str, &str)] =
    &[("ical", "ic"), ("ness", ""), ("icate", "ic"), ("iciti", "ic"), ("ful", ""), ("ative", ""), ("alize", "al")];

/// Of those that end alike, the longest stands first.
const LAST_ENDINGS: &[&str] = &[
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The first ending that fits is the only one that is tried. Something must be left before it.
fn ending<'e>(word: &str, endings: impl IntoIterator<Item = &'e str>) -> Option<(usize, &'e str)> {
    endings.into_iter().enumerate().find(|(_, ending)| word.len() > ending.len() && word.ends_with(ending))
}

fn replace(word: &mut String, cut: usize, with: &str) {
    word.truncate(word.len() - cut);
    word.push_str(with);
}

fn before<'w>(word: &'w str, ending: &str) -> &'w [u8] {
    &word.as_bytes()[..word.len() - ending.len()]
}

/// Whether one was replaced.
fn first_that_ends(word: &mut String, endings: &[(&str, &str)], fits: impl Fn(&[u8]) -> bool) -> bool {
    let Some((at, old)) = ending(word, endings.iter().map(|(old, _)| *old)) else { return false };
    let is_replaced = fits(before(word, old));
    if is_replaced {
        replace(word, old.len(), endings[at].1);
    }
    is_replaced
}

fn plurals(word: &mut String) {
    let cut = match word.as_bytes() {
        [.., b's', b's', b'e', b's'] if word.len() > 4 => 2,
        [.., b'i', b'e', b's'] if word.len() > 3 => 2,
        [.., b's', b's'] => 0,
        [.., b's'] => 1,
        _ => 0,
    };
    word.truncate(word.len() - cut);
}

/// Whether one was cut off.
fn participles(word: &mut String) -> bool {
    let Some((_, old)) = ending(word, ["eed", "ed", "ing"]) else { return false };
    let stem = before(word, old);
    if old == "eed" {
        if measure(stem) > 0 {
            replace(word, 1, "");
        }
        return false;
    }
    let cut = has_vowel(stem);
    if cut {
        replace(word, old.len(), "");
    }
    cut
}

/// What a participle's ending had taken the place of.
fn mend(word: &mut String) {
    if first_that_ends(word, &[("at", "ate"), ("bl", "ble"), ("iz", "ize")], |_| true) {
        return;
    }
    match word.as_bytes() {
        [.., one, other]
            if one == other && other.is_ascii() && !is_vowel(*other, false) && !matches!(other, b'l' | b's' | b'z') =>
        {
            replace(word, 1, "");
        }
        bytes if measure(bytes) == 1 && is_short(bytes) => word.push('e'),
        _ => {}
    }
}

fn last_endings(word: &mut String) {
    let Some((_, old)) = ending(word, LAST_ENDINGS.iter().copied()) else { return };
    let stem = before(word, old);
    let fits = old != "ion" || stem.ends_with(b"s") || stem.ends_with(b"t");
    if fits && measure(stem) > 1 {
        replace(word, old.len(), "");
    }
}

fn tidy(word: &mut String) {
    if word.ends_with('e') {
        let stem = before(word, "e");
        if measure(stem) > 1 || (measure(stem) == 1 && !is_short(stem)) {
            replace(word, 1, "");
        }
    }
    if word.ends_with("ll") && measure(before(word, "l")) > 1 {
        replace(word, 1, "");
    }
}

fn is_vowel(letter: u8, y_is_one: bool) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u') || (y_is_one && letter == b'y')
}

/// Which letters are consonants; a `y` is one unless it follows one.
fn consonants(stem: &[u8]) -> impl Iterator<Item = bool> {
    stem.iter().scan(false, |after_consonant, letter| {
        *after_consonant = !is_vowel(*letter, *after_consonant);
        Some(*after_consonant)
    })
}

/// How often a consonant follows a vowel.
fn measure(stem: &[u8]) -> usize {
    let after = consonants(stem).skip(1);
    consonants(stem).zip(after).filter(|(first, second)| !first && *second).count()
}

/// Any vowel, a `y` that is not the first letter among them.
fn has_vowel(stem: &[u8]) -> bool {
    stem.iter().enumerate().any(|(at, letter)| is_vowel(*letter, at > 0))
}

/// It ends with a consonant, a vowel and a consonant that is none of `w`, `x` and `y`.
fn is_short(stem: &[u8]) -> bool {
    if stem.len() < 3 || matches!(stem.last(), Some(b'w' | b'x' | b'y')) {
        return false;
    }
    let last: Vec<bool> = consonants(stem).skip(stem.len() - 3).collect();
    last == [true, false, true]
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::*;

    /// FTS5's own stem of each word.
    fn theirs(words: &[String]) -> Vec<String> {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE VIRTUAL TABLE f USING fts5(word, tokenize = 'porter unicode61');
                 CREATE VIRTUAL TABLE v USING fts5vocab(f, 'instance'); BEGIN",
            )
            .unwrap();
        let mut insert = connection.prepare("INSERT INTO f(rowid, word) VALUES (?1, ?2)").unwrap();
        for (rowid, word) in words.iter().enumerate() {
            insert.execute(params![rowid, word]).unwrap();
        }
        let mut stems = vec![String::new(); words.len()];
        let mut found = connection.prepare("SELECT doc, term FROM v").unwrap();
        let mut rows = found.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            stems[row.get::<_, usize>(0).unwrap()] = row.get(1).unwrap();
        }
        stems
    }

    fn differences(words: &[String]) -> Vec<(String, String, String)> {
        let ours = words.iter().map(|word| {
            let mut stemmed = word.clone();
            stem(&mut stemmed);
            stemmed
        });
        let all = words.iter().cloned().zip(ours).zip(theirs(words));
        all.filter(|((_, ours), theirs)| ours != theirs).map(|((word, ours), theirs)| (word, ours, theirs)).collect()
    }

    /// Every way that three letters can stand before any ending, so that each rule meets all that it asks about.
    #[test]
    fn every_ending_is_cut_as_fts5_cuts_it() {
        let letters = ["", "a", "y", "e", "b", "s", "t", "l", "w", "z", "é"];
        let more = ["", "s", "ing", "ed", "eed", "ly", "es", "ies", "sses", "e", "ll", "y", "li", "ement", "ator"];
        let endings = DOUBLE_ENDINGS.iter().chain(ENDINGS).map(|(old, _)| *old).chain(LAST_ENDINGS.iter().copied());
        let endings: Vec<&str> = endings.chain(more).collect();
        let mut words = Vec::new();
        for one in letters {
            for two in letters {
                for three in letters {
                    for four in ["", "a", "n"] {
                        let begin = format!("{one}{two}{three}{four}");
                        words.extend(endings.iter().map(|ending| format!("{begin}{ending}")));
                    }
                }
            }
        }
        words.retain(|word| !word.is_empty());
        assert!(words.len() > 100_000);
        // FTS5 folds é to e before it cuts, as the index does.
        words.iter_mut().for_each(|word| *word = word.replace('é', "e"));
        assert_eq!(differences(&words), []);
    }

    #[test]
    fn words_of_a_text_are_cut_as_fts5_cuts_them() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let folders = [root.to_owned(), format!("{root}/docs"), format!("{root}/docs/bench"), format!("{root}/search")];
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let texts =
            files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "md"));
        let text: String = texts.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let mut words: Vec<String> = Vec::new();
        crate::tokens::tokens(&text, crate::tokens::Forms::AsTheyStand, &mut String::new(), |word, _| {
            words.push(word.to_owned());
        });
        words.sort_unstable();
        words.dedup();
        assert!(words.len() > 2_500, "{}", words.len());
        assert_eq!(differences(&words), []);
        // A list of words that the machine may have, for a run by hand.
        if let Ok(file) = std::env::var("NEARSIDE_SEARCH_WORDS") {
            let list = std::fs::read_to_string(file).unwrap().to_lowercase();
            let words: Vec<String> = list
                .lines()
                .filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
                .map(str::to_owned)
                .collect();
            println!("{} words", words.len());
            assert_eq!(differences(&words), []);
        }
    }

    #[test]
    fn what_is_too_short_or_too_long_or_not_of_these_letters_is_left() {
        for word in ["is", "as", "日本語", &format!("{}ing", "a".repeat(64))] {
            let mut stemmed = word.to_owned();
            stem(&mut stemmed);
            assert_eq!(stemmed, word);
        }
        let mut stemmed = "größeing".to_owned();
        stem(&mut stemmed);
        assert_eq!(stemmed, "größe");
    }
}
