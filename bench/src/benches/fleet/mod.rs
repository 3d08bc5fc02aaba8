//! Many nodes: how soon a push is everywhere and who sends what, a node that was cut off, and what visitors have of a node that
//! is near.

mod cut;
mod members;
mod visitors;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use self::members::{Fleet, Sent};
use super::Measured;
use super::stage::{documents, pair, programs, scratch};
use crate::args::Run;
use crate::columns::Kind;
use crate::limits::{FLEET_ADDED, FLEET_CACHE_MIB, FLEET_MIB, FLEET_REGIONS_MS, SETTLE};
use crate::nearside::Setup;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::value::Metric;

pub(super) const ABOUT: &str = "An origin and nodes, each a process, in regions that are 20, 80 and 160 ms away from it, there \
                                and back: how soon a push is everywhere, who sends what, a node that was cut off, and what \
                                visitors have of a node that is near.";

const APP: &str = "modules/stacks";
pub(super) const NAME: &str = "stacks";
const PAIR: &str = "/pair";
const NEWEST: &str = "/newest";

const JOIN: &str = "join";
const ROWS: &str = "two rows";
const DOCUMENTS: &str = "documents";

/// Whom nodes pull from.
#[derive(Clone, Copy, PartialEq)]
enum Ways {
    Siblings,
    OriginAlone,
}

impl Ways {
    const ALL: [Ways; 2] = [Ways::Siblings, Ways::OriginAlone];

    fn name(self) -> &'static str {
        match self {
            Ways::Siblings => "siblings",
            Ways::OriginAlone => "origin alone",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Ways::Siblings => "each node asks up to three of its region before it asks the origin",
            Ways::OriginAlone => "each node asks the origin",
        }
    }
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let (nodes, mib) = (args.nodes, args.mib.unwrap_or(FLEET_MIB));
    ensure!(nodes >= FLEET_REGIONS_MS.len(), "a fleet has a node in each region: {} at least", FLEET_REGIONS_MS.len());
    let scratch = scratch()?;
    let (app, program) = (args.root.join(APP), programs()?.join("nearside"));
    let data = scratch.path().join("documents.db");
    documents(&app, &data, mib, scratch.path()).await?;
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for ways in Ways::ALL {
        let folder = scratch.path().join(ways.name().replace(' ', "-"));
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let setup = Setup {
            program: &program,
            app: &app,
            name: NAME,
            data: Some(&data),
            scratch: &folder,
            cache_mib: Some(FLEET_CACHE_MIB),
            webhook: None,
        };
        let mut fleet = Fleet::start(&setup).await?;
        let mut turns = Turns { fleet: &mut fleet, ways, folder: &folder, n: 0, samples: &mut samples };
        turns.join(nodes).await.context("starting the nodes")?;
        for round in 1..=settings.rounds {
            turns.push_rows(round).await.with_context(|| format!("two rows, round {round}"))?;
            turns.add_documents(round).await.with_context(|| format!("documents, round {round}"))?;
        }
        if ways == Ways::Siblings {
            cases = reached(nodes, mib);
            let seconds = args.cut_seconds;
            let (cut, sample) = cut::measure(&mut fleet, &folder, seconds).await.context("a node that is cut off")?;
            cases.push(cut);
            samples.extend(sample);
            let (places, sample) = visitors::measure(&fleet, settings).await.context("visitors of the regions")?;
            cases.extend(places);
            samples.extend(sample);
        }
    }
    samples.sort_by_key(|sample| cases.iter().position(|case| case.name == sample.case));
    Ok((cases, samples))
}

fn reached(nodes: usize, mib: u64) -> Vec<CaseReport> {
    let added = FLEET_ADDED;
    let about = |name: &str| match name {
        JOIN => format!(
            "{nodes} nodes with nothing on their disks start in waves, each twice as many as are there, and pull {mib} MiB of \
             documents: until the last is ready."
        ),
        ROWS => format!(
            "A file of two rows is pushed: until the last of {nodes} nodes shows it, from the moment it is sent."
        ),
        _ => format!(
            "A command adds {added} documents: until the last of {nodes} nodes shows them, from the moment it is sent; the \
             release waits 250 ms for company."
        ),
    };
    let case = |name: &str| CaseReport {
        name: name.to_owned(),
        about: about(name),
        kind: Kind::Reached,
        limit: Ways::OriginAlone.name().to_owned(),
        contenders: Ways::ALL.map(|ways| described(ways.name(), ways.about())).into(),
        load: None,
    };
    [JOIN, ROWS, DOCUMENTS].map(case).into()
}

fn described(name: &str, about: &str) -> Described {
    Described { name: name.to_owned(), about: about.to_owned(), missing: None }
}

fn sample(case: &str, contender: &str, round: usize, values: BTreeMap<Metric, f64>) -> Sample {
    let (case, contender) = (case.to_owned(), contender.to_owned());
    Sample { case, contender, round, closed_requests: None, open_requests: None, values }
}

/// What is done with one fleet.
struct Turns<'a> {
    fleet: &'a mut Fleet,
    ways: Ways,
    folder: &'a Path,
    /// What was pushed last.
    n: u64,
    samples: &'a mut Vec<Sample>,
}

impl Turns<'_> {
    async fn join(&mut self, nodes: usize) -> Result<()> {
        self.fleet.take_sent();
        let took = self.fleet.join(nodes, self.ways, self.folder).await?;
        self.note(JOIN, 1, &[took]);
        Ok(())
    }

    async fn push_rows(&mut self, round: usize) -> Result<()> {
        self.n += 1;
        let (file, n) = (pair(self.folder, self.n)?, self.n);
        self.fleet.take_sent();
        let since = Instant::now();
        self.fleet.cluster.origin.push_data(&file).await.context("pushing two rows")?;
        let took = self.fleet.shown_by_all(PAIR, |page| shows_pair(page, n), since).await?;
        self.note(ROWS, round, &took);
        Ok(())
    }

    async fn add_documents(&mut self, round: usize) -> Result<()> {
        let before = documents_in(&self.fleet.members[0].page(NEWEST).await?)?;
        self.fleet.take_sent();
        let since = Instant::now();
        let payload = json!({ "count": FLEET_ADDED, "seed": round });
        let key = format!("fleet-{}-{round}", self.ways.name().replace(' ', "-"));
        self.fleet.cluster.origin.command("add", &payload, &key).await?;
        let shows = |page: &str| documents_in(page).is_ok_and(|documents| documents > before);
        let took = self.fleet.shown_by_all(NEWEST, shows, since).await?;
        self.note(DOCUMENTS, round, &took);
        // Releases come a second apart at the closest, and what is asked about the last one is not to be of the next.
        tokio::time::sleep(Duration::from_secs(1) + SETTLE).await;
        Ok(())
    }

    fn note(&mut self, case: &str, round: usize, took: &[Duration]) {
        let Sent { origin, siblings } = self.fleet.take_sent();
        let (middle, last) = (ms(took[took.len() / 2]), ms(took[took.len() - 1]));
        let contender = self.ways.name();
        eprintln!(
            "  {case} {round}: {contender:<12} half after {middle:>6.0} ms, all after {last:>6.0} ms; the origin sent \
             {origin:>10} bytes, siblings {siblings:>10}"
        );
        let mut values = BTreeMap::from([
            (Metric::There, last),
            (Metric::OriginBytes, origin as f64),
            (Metric::SiblingBytes, siblings as f64),
        ]);
        if took.len() > 1 {
            values.insert(Metric::ThereHalf, middle);
        }
        self.samples.push(sample(case, contender, round, values));
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn shows_pair(page: &str, n: u64) -> bool {
    page.split_whitespace().next().and_then(|first| first.parse().ok()).is_some_and(|first: u64| first >= n)
}

/// `revision documents`.
fn documents_in(page: &str) -> Result<u64> {
    let count = page.split_whitespace().nth(1).and_then(|count| count.parse().ok());
    count.with_context(|| format!("`{page}` tells of no documents"))
}
