//! The pages and bytes of a push after edits, of either index.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{FTS5, Measured, NEARSIDE, documents, told};
use crate::args::Run;
use crate::benches::stage::scratch;
use crate::columns::Kind;
use crate::library::Built;
use crate::library::edited::{Change, Pushed};
use crate::library::sqlite::With;
use crate::limits::{EDIT_COMMITS, EDITED, INDEX_BUILD_TIMEOUT};
use crate::percentile::percentile;
use crate::report::{CaseReport, Described, Sample};
use crate::value::Metric;

/// Every run gives the same figures: there are no rounds.
pub(in crate::benches) async fn measure(args: &Run) -> Result<Measured> {
    let scratch = scratch()?;
    let path = |name: &str| scratch.path().join(name);
    let bare = path("documents.db");
    documents(args, &bare, None, scratch.path()).await?;
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for (name, with) in [(NEARSIDE, With::Nearside), (FTS5, With::Fts5)] {
        let index = path(with.argument());
        fs::copy(&bare, &index).context("copying the documents")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["build-index", "--with", with.argument(), "--db"]).arg(&index);
        let built: Built = told(command, "build-index", INDEX_BUILD_TIMEOUT, scratch.path()).await?;
        eprintln!("  {name}: built in {:.1} s", built.seconds);
    }
    let all = Change::ALL.into_iter().flat_map(|change| EDITED.map(|many| Edits { change, many }));
    for edits in all {
        let without = edits.make(args, &bare, None, scratch.path()).await?;
        for (name, with) in [(NEARSIDE, With::Nearside), (FTS5, With::Fts5)] {
            let all = edits.make(args, &path(with.argument()), Some(with), scratch.path()).await?;
            let sample = sample(edits, name, &all, &without)?;
            eprintln!("  {}, {name}: {:?}", edits.name(), sample.values);
            samples.push(sample);
        }
        cases.push(edits.case(args.documents));
    }
    Ok((cases, samples))
}

/// So many documents of each commit.
#[derive(Clone, Copy)]
struct Edits {
    change: Change,
    many: u64,
}

impl Edits {
    fn name(self) -> String {
        format!("{} {}", self.many, self.change.name())
    }

    /// Makes them in a copy of the file.
    async fn make(self, args: &Run, file: &Path, with: Option<With>, scratch: &Path) -> Result<Vec<Pushed>> {
        let copy = scratch.join("edited.db");
        fs::copy(file, &copy).context("copying an index")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["edit-index", "--change", self.change.name(), "--edited", &self.many.to_string()]);
        command.args(["--commits", &EDIT_COMMITS.to_string(), "--documents", &args.documents.to_string()]);
        command.arg("--db").arg(&copy);
        with.iter().for_each(|with| {
            command.args(["--with", with.argument()]);
        });
        let all = told(command, "edit-index", INDEX_BUILD_TIMEOUT, scratch).await?;
        fs::remove_file(&copy).context("removing the copy")?;
        Ok(all)
    }

    fn case(self, documents: u64) -> CaseReport {
        let described =
            |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
        let change = match self.change {
            Change::Edited => "have one word in five replaced",
            Change::Replaced => "get another text",
        };
        CaseReport {
            name: self.name(),
            about: format!(
                "{} of {documents} documents anywhere {change} in each of {EDIT_COMMITS} commits. Pages of 4 KiB that are not \
                 as they were, and the bytes of a page object of them.",
                self.many
            ),
            kind: Kind::Edited,
            limit: FTS5.to_owned(),
            contenders: vec![
                described(NEARSIDE, "kept by triggers, merges a slice at a time"),
                described(FTS5, "kept by the same triggers, with its automatic merges"),
            ],
            load: None,
        }
    }
}

fn sample(edits: Edits, contender: &str, all: &[Pushed], without: &[Pushed]) -> Result<Sample> {
    ensure!(all.len() == without.len() && !all.is_empty(), "other numbers of commits");
    let spread = |of: fn(&Pushed) -> u64| {
        let mut more: Vec<u64> = all.iter().zip(without).map(|(one, bare)| of(one).saturating_sub(of(bare))).collect();
        more.sort_unstable();
        let mean = more.iter().sum::<u64>() as f64 / more.len() as f64;
        let at = |share| percentile(&more, share).unwrap_or(0) as f64;
        [mean, at(0.99), at(1.0)]
    };
    let ([pages, pages_p99, pages_most], [bytes, bytes_p99, bytes_most]) =
        (spread(|pushed| pushed.pages), spread(|pushed| pushed.bytes));
    let values = BTreeMap::from([
        (Metric::PushPagesMean, pages),
        (Metric::PushPagesP99, pages_p99),
        (Metric::PushPagesMost, pages_most),
        (Metric::PushedMean, bytes),
        (Metric::PushedP99, bytes_p99),
        (Metric::PushedMost, bytes_most),
    ]);
    let (case, contender) = (edits.name(), contender.to_owned());
    Ok(Sample { case, contender, round: 1, closed_requests: None, open_requests: None, values })
}
