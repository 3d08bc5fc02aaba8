//! The catalogue of packages that is pushed, and what is asked of it: which pages, which searches.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, OpenFlags};

use crate::args::Run;
use crate::limits::CATALOGUE_SEED;
use crate::process::Process;
use crate::random::Random;

/// How many words are common: each of them is in a large part of all packages.
const COMMON_WORDS: usize = 50;
/// A selective word is in at least this many packages, and in at most one package in so many.
const SELECTIVE_MIN_PACKAGES: usize = 3;
const SELECTIVE_ONE_IN: usize = 500;
const SEED: u64 = 1;

/// The given catalogue, or one invented for this run in `scratch` by the app's own importer.
pub async fn obtain(args: &Run, packages: u32, program: &Path, scratch: &Path) -> Result<PathBuf> {
    if let Some(given) = &args.catalogue {
        ensure!(given.exists(), "there is no catalogue {}", given.display());
        return Ok(given.clone());
    }
    let file = scratch.join("catalogue.db");
    let mut command = Command::new(program);
    command.arg("invent").arg("--out").arg(&file);
    command.args(["--packages", &packages.to_string(), "--seed", &CATALOGUE_SEED.to_string()]);
    Process::spawn("packages-import", command, scratch)?.finish().await?;
    Ok(file)
}

/// The names of `count` packages in a seeded order, fewer if there are not as many.
pub fn names(catalogue: &Path, count: usize) -> Result<Vec<String>> {
    let mut names: Vec<String> = column(catalogue, "SELECT name FROM package ORDER BY name")?;
    ensure!(!names.is_empty(), "the catalogue {} has no packages", catalogue.display());
    Random::new(SEED).shuffle(&mut names);
    names.truncate(count);
    Ok(names)
}

/// The names of all sections.
pub fn sections(catalogue: &Path) -> Result<Vec<String>> {
    column(catalogue, "SELECT DISTINCT section FROM package ORDER BY section")
}

/// Two mixes of search terms, half of each one word and half two.
#[derive(Debug, Clone, PartialEq)]
pub struct Searches {
    /// Words that few packages have; the pairs come from one package, so that they find it.
    pub selective: Vec<String>,
    /// Words that many packages have.
    pub common: Vec<String>,
}

pub fn searches(catalogue: &Path, count: usize) -> Result<Searches> {
    let statement = "SELECT coalesce(summary, '') || ' ' || coalesce(description, '') FROM package ORDER BY name";
    let documents = column(catalogue, statement)?;
    let documents: Vec<BTreeSet<String>> = documents.iter().map(|text| words(text)).collect();
    mix(&documents, count).with_context(|| format!("choosing searches from {}", catalogue.display()))
}

fn mix(documents: &[BTreeSet<String>], count: usize) -> Result<Searches> {
    let mut frequencies: HashMap<&str, usize> = HashMap::new();
    for word in documents.iter().flatten() {
        *frequencies.entry(word).or_default() += 1;
    }
    let mut by_frequency: Vec<(&str, usize)> = frequencies.iter().map(|(word, count)| (*word, *count)).collect();
    by_frequency.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let common: Vec<&str> = by_frequency.iter().take(COMMON_WORDS).map(|(word, _)| *word).collect();
    let most = (documents.len() / SELECTIVE_ONE_IN).max(SELECTIVE_MIN_PACKAGES + 2);
    let is_selective = |word: &str| (SELECTIVE_MIN_PACKAGES..=most).contains(&frequencies[word]);
    let candidates: Vec<Vec<&str>> = documents
        .iter()
        .map(|document| document.iter().map(String::as_str).filter(|word| is_selective(word)).collect())
        .filter(|selective: &Vec<&str>| selective.len() >= 2)
        .collect();
    ensure!(common.len() >= 2, "it has too few words");
    ensure!(!candidates.is_empty(), "no package has two words that few others have");

    let mut random = Random::new(SEED);
    let mut pick = |words: &[&str], index: usize| {
        let first = random.below(words.len());
        let second = (first + 1 + random.below(words.len() - 1)) % words.len();
        if index.is_multiple_of(2) { words[first].to_owned() } else { format!("{} {}", words[first], words[second]) }
    };
    let common = (0..count).map(|index| pick(&common, index)).collect();
    let mut random = Random::new(SEED);
    let selective = (0..count).map(|index| pick(&candidates[random.below(candidates.len())], index)).collect();
    Ok(Searches { selective, common })
}

/// Distinct lower-case words of ASCII letters: the ones any tokenizer agrees on.
fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

fn column(catalogue: &Path, statement: &str) -> Result<Vec<String>> {
    let read = || -> rusqlite::Result<Vec<String>> {
        let connection = Connection::open_with_flags(catalogue, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(statement)?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    read().with_context(|| format!("reading the catalogue {}", catalogue.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinct_and_plain() {
        let found: Vec<String> = words("The tool, the-tool: 3D ümlaut x86 of Tools").into_iter().collect();
        assert_eq!(found, ["the", "tool", "tools"]);
    }

    #[test]
    fn selective_words_are_rare_and_common_words_are_not() {
        let letters = |index: usize| ["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh", "ii", "jj"][index % 10];
        let documents: Vec<BTreeSet<String>> = (0..100)
            .map(|index| {
                let rare = |kind: &str| format!("{kind}{}{}", letters(index / 10 / 2), letters(index / 4 % 10));
                words(&format!("every package has {} {}", rare("rare"), rare("seldom")))
            })
            .collect();
        let searches = mix(&documents, 40).unwrap();
        assert_eq!((searches.selective.len(), searches.common.len()), (40, 40));
        let rare = |text: &str| text.split(' ').all(|word| word.starts_with("rare") || word.starts_with("seldom"));
        assert!(searches.selective.iter().all(|text| rare(text)), "{:?}", searches.selective);
        assert_eq!(searches.selective.iter().filter(|text| text.contains(' ')).count(), 20);
        assert_eq!(searches, mix(&documents, 40).unwrap());
        assert!(mix(&[], 1).is_err());
    }

    #[test]
    fn names_in_a_seeded_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("CREATE TABLE package(name TEXT); INSERT INTO package VALUES ('a'),('b'),('c')")
            .unwrap();
        assert_eq!(names(&path, 2).unwrap().len(), 2);
        assert_eq!(names(&path, 2).unwrap(), names(&path, 2).unwrap());
        assert_eq!(names(&path, 9).unwrap().len(), 3);
        assert!(searches(&path, 1).is_err());
    }
}
