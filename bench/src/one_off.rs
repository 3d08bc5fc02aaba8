//! Searches that nobody has asked for before: each has to be rendered.

use std::sync::Arc;

use anyhow::{Result, ensure};

use crate::hot;
use crate::request::Requests;

/// Searches for one of these words each, none of them asked for twice in a run.
#[derive(Debug)]
pub struct OneOff {
    host: &'static str,
    words: Vec<String>,
    count: usize,
}

impl OneOff {
    pub fn new(host: &'static str, words: Vec<String>) -> Result<Self> {
        ensure!(!words.is_empty(), "the catalogue has no words to search for");
        Ok(Self { host, words, count: 0 })
    }

    /// Once all words were asked for, they come again with more spaces behind: another address, and the same work.
    pub fn next(&mut self, count: usize) -> Result<Arc<Requests>> {
        let targets: Vec<String> = (self.count..self.count + count)
            .map(|number| {
                let spaces = " ".repeat(number / self.words.len());
                hot::search(&format!("{}{spaces}", self.words[number % self.words.len()]))
            })
            .collect();
        self.count += count;
        Ok(Arc::new(Requests::new(hot::requests(self.host, &targets))?))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_comes_twice() {
        let mut searches = OneOff::new("a.localhost", vec!["x".into(), "y".into()]).unwrap();
        let first = searches.next(3).unwrap();
        let second = searches.next(4).unwrap();
        let heads: BTreeSet<String> =
            first.all().iter().chain(second.all()).map(|request| format!("{request:?}")).collect();
        assert_eq!(heads.len(), 7);
        assert!(OneOff::new("a.localhost", Vec::new()).is_err());
    }
}
