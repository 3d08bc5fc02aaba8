//! "Did you mean": words that no document has, and the nearest ones that some have.

use std::collections::BTreeMap;

use crate::{
    dictionary,
    fault::{Fault, Result},
    index::Known,
    limits,
    rows::Rows,
    tokens::{Forms, tokens},
};

/// The text with each unknown word as it was perhaps meant; none if there is nothing to correct, or nothing near.
pub fn spelled(rows: &dyn Rows, known: &Known, text: &str) -> Result<Option<String>> {
    if text.len() > limits::QUERY_BYTES {
        return Err(Fault::Refused(format!("the text has {} bytes, over {}", text.len(), limits::QUERY_BYTES)));
    }
    let mut words = Vec::new();
    tokens(text, Forms::AsTheyStand, &mut String::new(), |word, token| words.push((word.to_owned(), token)));
    let (mut corrected, mut at, mut looked_up) = (String::new(), 0, 0);
    for (word, token) in &words {
        if is_number(word) || documents_with(rows, known, word)? > 0 {
            continue;
        }
        looked_up += 1;
        if looked_up > limits::SPELLED_WORDS {
            break;
        }
        if let Some(near) = nearest(rows, known, word)? {
            corrected.push_str(&text[at..token.start]);
            corrected.push_str(&near);
            at = token.end;
        }
    }
    corrected.push_str(&text[at..]);
    Ok((at > 0).then_some(corrected))
}

fn is_number(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn documents_with(rows: &dyn Rows, known: &Known, word: &str) -> Result<i64> {
    let mut documents = 0;
    for source in &known.sources {
        documents += dictionary::find(source.rows(rows), source.segment.id, word.as_bytes())?.map_or(0, |row| row.more);
    }
    Ok(documents)
}

/// Of the words with the same first letter: the fewest letters off, then the one most documents have, then by name.
fn nearest(rows: &dyn Rows, known: &Known, word: &str) -> Result<Option<String>> {
    let letters: Vec<char> = word.chars().collect();
    let most = match letters.len() {
        0..3 => return Ok(None),
        3..6 => 1,
        _ => 2,
    };
    let first = letters[0].to_string();
    let mut near = BTreeMap::<Vec<u8>, (usize, i64)>::new();
    let mut distance = Distance::new(&letters, most);
    for source in &known.sources {
        let mut seen = 0;
        dictionary::scan(source.rows(rows), source.segment.id, first.as_bytes(), &mut |term, row| {
            seen += 1;
            if !term.starts_with(first.as_bytes()) || seen > limits::SPELLED_TERMS {
                return Ok(false);
            }
            if let Some(far) = std::str::from_utf8(term).ok().and_then(|term| distance.to(term)) {
                near.entry(term.to_vec()).or_insert((far, 0)).1 += row.more;
            }
            Ok(true)
        })?;
    }
    let best = near.into_iter().filter(|(_, (_, documents))| *documents > 0);
    let best = best.min_by_key(|(term, (far, documents))| (*far, std::cmp::Reverse(*documents), term.clone()));
    Ok(best.map(|(term, _)| String::from_utf8_lossy(&term).into_owned()))
}

/// Letters to insert, to delete, to replace, or neighbours to exchange.
struct Distance<'w> {
    word: &'w [char],
    most: usize,
    rows: [Vec<usize>; 3],
    other: Vec<char>,
}

impl<'w> Distance<'w> {
    fn new(word: &'w [char], most: usize) -> Distance<'w> {
        let row = || vec![0; word.len() + 1];
        Distance { word, most, rows: [row(), row(), row()], other: Vec::new() }
    }

    /// None if it is more than the most.
    fn to(&mut self, other: &str) -> Option<usize> {
        // No letter has more than four bytes, and none less than one.
        if other.len() > (self.word.len() + self.most) * 4 || other.len() + self.most < self.word.len() {
            return None;
        }
        self.other.clear();
        self.other.extend(other.chars());
        if self.other.len().abs_diff(self.word.len()) > self.most {
            return None;
        }
        let [mut before, mut above, mut row] = self.rows.each_mut().map(std::mem::take);
        (0..=self.word.len()).for_each(|column| above[column] = column);
        let mut within = true;
        for (line, letter) in self.other.iter().enumerate() {
            row[0] = line + 1;
            let mut least = row[0];
            for (column, wanted) in self.word.iter().enumerate() {
                let replaced = above[column] + usize::from(letter != wanted);
                let mut far = replaced.min(above[column + 1] + 1).min(row[column] + 1);
                if line > 0 && column > 0 && *letter == self.word[column - 1] && self.other[line - 1] == *wanted {
                    far = far.min(before[column - 1] + 1);
                }
                row[column + 1] = far;
                least = least.min(far);
            }
            // An exchange reaches back over one row.
            if least > self.most + 1 {
                within = false;
                break;
            }
            (before, above, row) = (above, row, before);
        }
        let far = above[self.word.len()];
        self.rows = [before, above, row];
        (within && far <= self.most).then_some(far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_typing() {
        let far = |word: &str, other: &str| {
            let letters: Vec<char> = word.chars().collect();
            Distance::new(&letters, 2).to(other)
        };
        for (word, other, expected) in [
            ("editor", "editor", Some(0)),
            ("editor", "editr", Some(1)),
            ("editor", "edditor", Some(1)),
            ("editor", "eidtor", Some(1)),
            ("editor", "edator", Some(1)),
            ("editor", "edat0r", Some(2)),
            ("editor", "eidtro", Some(2)),
            ("editor", "elevator", None),
            ("große", "grosse", Some(2)),
            ("ab", "", Some(2)),
        ] {
            assert_eq!(far(word, other), expected, "{word} {other}");
        }
        let letters: Vec<char> = "editor".chars().collect();
        let mut distance = Distance::new(&letters, 2);
        assert_eq!(
            ["elevator", "editr", "x", "editors"].map(|other| distance.to(other)),
            [None, Some(1), None, Some(1)]
        );
    }
}
