//! Search indexes as libraries over the same documents: how large they are and how long they take to build, how long
//! queries of each class take, and what edits of documents change of them.

mod edits;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

pub(super) use self::edits::measure as measure_edits;
use super::Measured;
use super::stage::{programs, scratch};
use crate::args::Run;
use crate::columns::Kind;
use crate::library::asked::{CLASSES, classes};
use crate::library::sqlite::With;
use crate::library::{Built, Told};
use crate::limits::{
    DOCUMENTS_SEED, DOCUMENTS_TIMEOUT, INDEX_ASK_TIMEOUT, INDEX_BUILD_TIMEOUT, INDEX_PERCENTILE_QUERIES, INDEX_QUERIES,
};
use crate::percentile::percentile;
use crate::process::Process;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::value::Metric;

pub(super) const ABOUT: &str = "The search index as a library, beside FTS5 and tantivy: the same generated documents, each \
                                index in a process of its own, asked for the ten best by one thread.";
pub(super) const ABOUT_EDITS: &str = "What a push has to carry of a search index after documents were edited, beside FTS5: \
                                      300 commits, merges among them. What the documents' own table takes is taken off.";

pub(super) const NEARSIDE: &str = "nearside_search";
pub(super) const FTS5: &str = "FTS5";
pub(super) const TANTIVY: &str = "tantivy";
pub(super) const BUILT: &str = "built";

/// Where `scripts/bench` puts it, beside the folder of all other programs; or wherever this says.
const TANTIVY_PROGRAM: &str = "NEARSIDE_BENCH_TANTIVY";

/// One of those that are compared.
struct Library {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    documents: PathBuf,
    index: PathBuf,
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let scratch = scratch()?;
    let path = |name: &str| scratch.path().join(name);
    let (bare, lines) = (path("documents.db"), path("documents.txt"));
    documents(args, &bare, Some(&lines), scratch.path()).await?;
    let asked = path("asked.json");
    let queries = serde_json::to_vec(&classes(INDEX_QUERIES, DOCUMENTS_SEED)).context("writing what is asked")?;
    fs::write(&asked, queries).context("writing what is asked")?;
    let tantivy = tantivy()?;
    let mut libraries = Vec::new();
    for (name, with) in [(NEARSIDE, With::Nearside), (FTS5, With::Fts5)] {
        let index = path(&format!("{}.db", with.argument()));
        fs::copy(&bare, &index).context("copying the documents")?;
        let (program, arguments) = (std::env::current_exe()?, vec!["--with".to_owned(), with.argument().to_owned()]);
        libraries.push(Library { name, program, arguments, documents: index.clone(), index });
    }
    if let Some(program) = tantivy.clone() {
        let (arguments, index) = (Vec::new(), path("tantivy"));
        libraries.push(Library { name: TANTIVY, program, arguments, documents: lines.clone(), index });
    }
    let mut samples = Vec::new();
    let mut built = BTreeMap::new();
    for library in &libraries {
        let one: Built = library.build(scratch.path()).await.with_context(|| format!("building {}", library.name))?;
        eprintln!("  {}: built in {:.1} s, {} MiB", library.name, one.seconds, one.bytes >> 20);
        built.insert(library.name, one);
    }
    for round in 1..=settings.rounds {
        let mut found = Vec::new();
        // Whoever is first in one round is last in another.
        for number in 0..libraries.len() {
            let library = &libraries[(number + round) % libraries.len()];
            let told = library.ask(&asked, settings.seconds, scratch.path()).await;
            let told: Told = told.with_context(|| format!("asking {}", library.name))?;
            samples.extend(samples_of(library.name, round, &built[library.name], &told));
            found.push((library.name, told));
        }
        all_found_as_much(&found)?;
    }
    let order = [NEARSIDE, FTS5, TANTIVY];
    samples.sort_by_key(|sample| order.iter().position(|name| *name == sample.contender));
    Ok((cases(args.documents, tantivy.is_some()), samples))
}

/// Has this program write the documents, in a process of its own, so that it can be interrupted.
async fn documents(args: &Run, db: &Path, lines: Option<&Path>, scratch: &Path) -> Result<()> {
    eprintln!("  inventing {} documents", args.documents);
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("make-topics").arg("--db").arg(db).args(["--documents", &args.documents.to_string()]);
    command.args(["--seed", &DOCUMENTS_SEED.to_string()]);
    lines.iter().for_each(|lines| {
        command.arg("--lines").arg(lines);
    });
    Process::spawn("make-topics", command, scratch)?.finish_within(DOCUMENTS_TIMEOUT).await.map(drop)
}

fn tantivy() -> Result<Option<PathBuf>> {
    let usual = programs()?.join("../tantivy/release/nearside-bench-tantivy");
    let program = std::env::var_os(TANTIVY_PROGRAM).map_or(usual, PathBuf::from);
    Ok(program.exists().then_some(program))
}

impl Library {
    async fn build(&self, scratch: &Path) -> Result<Built> {
        let mut command = Command::new(&self.program);
        command.arg("build-index").args(&self.arguments).arg("--db").arg(&self.index);
        if self.name == TANTIVY {
            command.arg("--documents").arg(&self.documents);
        }
        told(command, "build-index", INDEX_BUILD_TIMEOUT, scratch).await
    }

    async fn ask(&self, asked: &Path, seconds: f64, scratch: &Path) -> Result<Told> {
        let mut command = Command::new(&self.program);
        command.arg("ask-index").args(&self.arguments).arg("--db").arg(&self.index);
        command.arg("--asked").arg(asked).args(["--seconds", &seconds.to_string()]);
        told(command, "ask-index", INDEX_ASK_TIMEOUT, scratch).await
    }
}

/// What a program tells in its last line.
async fn told<T: DeserializeOwned>(command: Command, name: &str, limit: Duration, scratch: &Path) -> Result<T> {
    let output = Process::spawn(name, command, scratch)?.finish_within(limit).await?;
    let last = output.lines().next_back().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("{name} told something else: {last:.200}"))
}

fn samples_of(contender: &str, round: usize, built: &Built, told: &Told) -> Vec<Sample> {
    let sample = |case: &str, values| Sample {
        case: case.to_owned(),
        contender: contender.to_owned(),
        round,
        closed_requests: None,
        open_requests: None,
        values,
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut values = BTreeMap::from([
        (Metric::BuildSeconds, built.seconds),
        (Metric::IndexMib, mib(built.bytes)),
        (Metric::BuildResident, mib(built.peak_resident_bytes)),
        (Metric::ResidentAnonymous, mib(told.resident_bytes)),
    ]);
    if let Some(bytes) = told.memory_bytes {
        values.insert(Metric::SearchMemory, mib(bytes));
    }
    let mut samples = vec![sample(BUILT, values)];
    for class in &told.classes {
        let mut times = class.times_ns.clone();
        times.sort_unstable();
        let at = |share| percentile(&times, share).unwrap_or(0) as f64 / 1e3;
        let values = BTreeMap::from([
            (Metric::LatencyP50, at(0.5)),
            (Metric::LatencyP99, at(0.99)),
            (Metric::LatencyMax, at(1.0)),
            (Metric::Requests, times.len() as f64),
        ]);
        eprintln!("  {contender} {round}: {:<28} p50 {:>9.1} us  p99 {:>9.1} us", class.name, at(0.5), at(0.99));
        if times.len() < INDEX_PERCENTILE_QUERIES {
            eprintln!("  {contender} {round}: {}: only {} queries in the time there was", class.name, times.len());
        }
        samples.push(sample(&class.name, values));
    }
    samples
}

/// What is timed is the same work: each query finds as many rows in all of them.
fn all_found_as_much(told: &[(&str, Told)]) -> Result<()> {
    let Some(((first, one), others)) = told.split_first() else { return Ok(()) };
    for (name, other) in others {
        for (mine, others) in one.classes.iter().zip(&other.classes) {
            let differ = mine.found.iter().zip(&others.found).position(|(one, other)| one != other);
            ensure!(
                differ.is_none(),
                "{}: query {differ:?} finds other numbers of rows in {first} and {name}",
                mine.name
            );
        }
    }
    Ok(())
}

fn cases(documents: u64, tantivy: bool) -> Vec<CaseReport> {
    let described =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    let missing = "its program is not built: scripts/bench index builds it";
    let contenders = || {
        vec![
            described(NEARSIDE, "a virtual table over the documents' table, by rusqlite, memory-mapped"),
            described(FTS5, "the same statements with FTS5, optimized"),
            Described {
                missing: (!tantivy).then(|| missing.to_owned()),
                ..described(
                    TANTIVY,
                    &format!("{TANTIVY}, one segment, with positions; text and section are its fields"),
                )
            },
        ]
    };
    let case = |name: &str, about: &str, kind| CaseReport {
        name: name.to_owned(),
        about: about.to_owned(),
        kind,
        limit: TANTIVY.to_owned(),
        contenders: contenders(),
        load: None,
    };
    let built = format!(
        "{documents} documents with topics and bursts, some 60 words each and one of 60 sections, of 200,000 words; one \
         thread. Sizes are without the text itself. What is held while asked is of the process, without pages of files."
    );
    let first = case(BUILT, &built, Kind::Indexed);
    std::iter::once(first).chain(CLASSES.iter().map(|(name, about)| case(name, about, Kind::Asked))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::ClassTold;

    #[test]
    fn who_finds_something_else_is_noticed() {
        let told = |found: &[usize]| {
            let (name, times_ns) = ("a".to_owned(), vec![1; found.len()]);
            let classes = vec![ClassTold { name, times_ns, found: found.to_vec() }];
            Told { classes, resident_bytes: 0, memory_bytes: None }
        };
        assert!(all_found_as_much(&[("one", told(&[1, 2])), ("other", told(&[1, 2, 3]))]).is_ok());
        assert!(all_found_as_much(&[("one", told(&[1, 2])), ("other", told(&[1, 3]))]).is_err());
    }
}
