//! The edits: commands the app has.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::documents;
use crate::limits::EDITED_ROWS;
use crate::nearside::Cluster;
use crate::random::Random;

const SEED: u64 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// So many documents anywhere, of title and body one word.
    Revise(usize),
    Add(usize),
}

#[derive(Debug)]
pub(super) struct Edit {
    kind: Kind,
    /// How many documents there were at first: these are revised.
    documents: u64,
    random: Random,
}

impl Edit {
    pub(super) fn all(snapshot: &Path) -> Result<[Edit; 3]> {
        let documents = documents::count(snapshot)?;
        ensure!(documents >= EDITED_ROWS as u64, "only {documents} documents: too few to revise {EDITED_ROWS}");
        let edit = |kind| Edit { kind, documents, random: Random::new(SEED) };
        Ok([edit(Kind::Revise(1)), edit(Kind::Revise(EDITED_ROWS)), edit(Kind::Add(EDITED_ROWS))])
    }

    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Revise(1) => super::cases::ONE_REVISED,
            Kind::Revise(_) => super::cases::MANY_REVISED,
            Kind::Add(_) => super::cases::MANY_ADDED,
        }
    }

    /// Writes at the origin; the revision by which a page tells that it is there.
    pub(super) async fn apply(&mut self, cluster: &Cluster, round: usize) -> Result<u64> {
        let (command, payload) = self.command(round);
        let key = format!("{command}-{}-{round}", self.name().replace(' ', "-"));
        let reply = cluster.origin.command(command, &payload, &key).await?;
        reply["revision"].as_u64().context("a reply without a revision")
    }

    fn command(&mut self, round: usize) -> (&'static str, Value) {
        match self.kind {
            Kind::Revise(rows) => {
                let mut ids = std::collections::BTreeSet::new();
                while ids.len() < rows {
                    ids.insert(1 + self.random.below(self.documents as usize));
                }
                let word = format!("revised{}", ["one", "two", "three", "four", "five"][round % 5]);
                ("revise", json!({ "ids": ids, "word": word }))
            }
            // Far from the seed that made the others.
            Kind::Add(count) => ("add", json!({ "count": count, "seed": 1_000_000 + round })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_spread_and_others_each_time() {
        let mut edit = Edit { kind: Kind::Revise(200), documents: 1_000, random: Random::new(SEED) };
        let ids = |(_, payload): (&str, Value)| -> Vec<u64> { serde_json::from_value(payload["ids"].clone()).unwrap() };
        let (first, second) = (ids(edit.command(1)), ids(edit.command(2)));
        assert_eq!((first.len(), second.len()), (200, 200));
        assert_ne!(first, second);
        assert!(first[0] >= 1 && first[0] < 50 && first[199] <= 1_000 && first[199] > 950, "{first:?}");
    }
}
