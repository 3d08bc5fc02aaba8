//! Changes of the catalogue: revised packages in a file that is pushed, and reviews, each a command.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;

use crate::catalogue;
use crate::hot;
use crate::limits::{HOT_SEED, REVIEWS_AT_ONCE};
use crate::origin::Origin;
use crate::random::Random;

#[derive(Debug)]
pub(super) struct Edits {
    file: PathBuf,
    /// Those whose pages are among the addresses, and the others.
    asked: Vec<String>,
    others: Vec<String>,
    random: Random,
    /// How many pushes there were.
    turn: u64,
}

impl Edits {
    pub fn new(catalogue: &Path, scratch: &Path, targets: &[String]) -> Result<Self> {
        let file = scratch.join("edited.db");
        fs::copy(catalogue, &file).context("copying the catalogue")?;
        let targets: std::collections::HashSet<&str> = targets.iter().map(String::as_str).collect();
        let names = catalogue::names(catalogue, usize::MAX)?;
        let (asked, others): (Vec<_>, Vec<_>) =
            names.into_iter().partition(|name| targets.contains(hot::package(name).as_str()));
        ensure!(!asked.is_empty() && !others.is_empty(), "the catalogue is too small");
        Ok(Self { file, asked, others, random: Random::new(HOT_SEED), turn: 0 })
    }

    pub fn packages(&self) -> usize {
        self.asked.len() + self.others.len()
    }

    /// Revises so many packages, reviews each of them, and returns once all of it is in a release.
    pub async fn push(&mut self, count: usize, origin: &Origin) -> Result<()> {
        self.turn += 1;
        let names = self.some(count);
        let bytes = self.revise(&names)?;
        let (turn, origin) = (self.turn, Arc::new(origin.clone()));
        let mut reviews = JoinSet::new();
        for (number, name) in names.into_iter().enumerate() {
            if reviews.len() >= REVIEWS_AT_ONCE {
                reviews.join_next().await.context("BUG: no review")?.context("a review panicked")??;
            }
            let origin = origin.clone();
            reviews.spawn(async move {
                let review = json!({
                    "package": name,
                    "author": format!("Visitor {number}"),
                    "rating": 1 + number % 5,
                    "body": format!("Tried it in round {turn}, and it did what it says."),
                });
                origin.command("post-review", &review, &format!("carried-{turn}-{number}")).await.map(drop)
            });
        }
        while let Some(done) = reviews.join_next().await {
            done.context("a review panicked")??;
        }
        origin.push_data(&bytes).await.context("pushing revised packages")
    }

    /// Distinct ones, every second of them among those asked for.
    fn some(&mut self, count: usize) -> Vec<String> {
        self.random.shuffle(&mut self.asked);
        self.random.shuffle(&mut self.others);
        let half = (count / 2).min(self.asked.len());
        self.asked[..half].iter().chain(self.others.iter().take(count - half)).cloned().collect()
    }

    fn revise(&self, names: &[String]) -> Result<Vec<u8>> {
        let mut connection = Connection::open(&self.file).context("opening the edited catalogue")?;
        let change = connection.transaction()?;
        for name in names {
            let version = format!("{}.0-{}", self.turn, self.turn);
            let revise = "UPDATE package SET version = ?2, size_bytes = size_bytes + 1 WHERE name = ?1";
            ensure!(change.execute(revise, (name, version))? == 1, "no package {name}");
        }
        change.commit()?;
        drop(connection);
        fs::read(&self.file).context("reading the edited catalogue")
    }
}
