//! What visitors of the package directory ask for: a few addresses most of the time, and most of them seldom.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, ensure};

use crate::catalogue;
use crate::limits::{HOT_DRAWS, HOT_SEED};
use crate::random::Random;
use crate::request::{Request, percent_encode};

/// Of ten addresses this many are packages, and the rest mostly searches.
const PACKAGES_OF_TEN: usize = 7;
/// Pages of a section that are asked for.
const SECTION_PAGES: usize = 5;

/// `count` addresses, the most popular first: home, the sections, then packages and searches in a seeded order.
pub fn targets(catalogue: &Path, count: usize) -> Result<Vec<String>> {
    let mut targets = vec!["/".to_owned(), "/sections".to_owned()];
    let sections = catalogue::sections(catalogue)?;
    targets.extend(sections.iter().map(|section| format!("/section/{}", percent_encode(section))));
    let packages = catalogue::names(catalogue, count)?;
    let (packages, more) = packages.split_at(packages.len().min(count * PACKAGES_OF_TEN / 10));
    let mut rest: Vec<String> = packages.iter().map(|name| package(name)).collect();
    for section in &sections {
        rest.extend((2..=SECTION_PAGES).map(|page| format!("/section/{}?page={page}", percent_encode(section))));
    }
    let searches = catalogue::searches(catalogue, count)?;
    // Words that every other package has are asked for by nobody all the time.
    let words: BTreeSet<&str> = searches.selective.iter().map(String::as_str).collect();
    let mut words: Vec<&str> = words.into_iter().collect();
    Random::new(HOT_SEED).shuffle(&mut words);
    words.truncate(count.saturating_sub(targets.len() + rest.len()));
    rest.extend(words.into_iter().map(search));
    // A catalogue of few words has fewer searches.
    let missing = count.saturating_sub(targets.len() + rest.len());
    rest.extend(more.iter().take(missing).map(|name| package(name)));
    Random::new(HOT_SEED).shuffle(&mut rest);
    targets.extend(rest);
    ensure!(targets.len() >= count, "the catalogue has only {} of {count} addresses", targets.len());
    targets.truncate(count);
    Ok(targets)
}

pub fn package(name: &str) -> String {
    format!("/package/{}", percent_encode(name))
}

pub fn search(words: &str) -> String {
    format!("/search?q={}", percent_encode(words))
}

/// As a browser asks.
pub fn requests(host: &str, targets: &[String]) -> Vec<Request> {
    targets.iter().map(|target| Request::get(host, target, &[("Accept", "text/html")])).collect()
}

/// Zipf's law: the second half as often as the first.
#[derive(Debug, Clone)]
pub struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    pub fn of(count: usize) -> Self {
        let mut sum = 0.0;
        let add = |rank| {
            sum += 1.0 / rank as f64;
            sum
        };
        Self { sums: (1..=count).map(add).collect() }
    }

    /// A rank from 0 on.
    pub fn draw(&self, random: &mut Random) -> usize {
        let at = random.share() * self.sums.last().copied().unwrap_or(0.0);
        self.sums.partition_point(|sum| *sum <= at).min(self.sums.len().saturating_sub(1))
    }
}

/// In which order `count` addresses are asked for.
pub fn zipf(count: usize) -> Vec<u32> {
    let (zipf, mut random) = (Zipf::of(count), Random::new(HOT_SEED));
    (0..HOT_DRAWS).map(|_| zipf.draw(&mut random) as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_asked_for_half_as_often_as_the_first() {
        let order = zipf(100);
        let count = |rank: u32| order.iter().filter(|drawn| **drawn == rank).count() as f64;
        assert!((count(0) / count(1) - 2.0).abs() < 0.1, "{} and {}", count(0), count(1));
        assert!(count(99) > 0.0 && order.iter().all(|drawn| *drawn < 100));
        assert_eq!(order, zipf(100));
    }

    #[test]
    fn addresses() {
        assert_eq!(package("g++"), "/package/g%2B%2B");
        assert_eq!(search("a b"), "/search?q=a%20b");
    }
}
