//! What visitors notice of pushes: the same load on a page that reads two tables, with a release every 200 ms and
//! without any. Each push writes the same number to both tables, so an answer with two different ones is of two releases.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::Measured;
use super::stage::{documents, pair, programs, scratch};
use crate::args::Run;
use crate::columns::Kind;
use crate::limits::{CALIBRATION_SECONDS, PUSH_EVERY, PUSHES_MIB, PUSHES_SHARE_OF_PEAK};
use crate::load::{Judging, Open, Plan, closed, open};
use crate::nearside::{Cluster, Setup};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::run::Used;
use crate::table::number;
use crate::value::Metric;

pub(super) const ABOUT: &str = "A node under load while a release is pushed every 200 ms, beside the same load while \
                                none is: what visitors notice.";

const APP: &str = "modules/stacks";
const NAME: &str = "stacks";
const PAGE: &str = "/pair";

/// The load with pushes and the one without, which is the limit.
const PUSHED: &str = "pushed";
const CALM: &str = "calm";

/// With the node's cache and without.
const CASES: [(&str, Option<u32>, &str); 2] = [
    ("rendered", Some(0), "the node's cache off, so that every answer is rendered from the release of the moment"),
    ("cached", None, "answered from the node's cache, in which each release changes this very page"),
];

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let scratch = scratch()?;
    let (app, program) = (args.root.join(APP), programs()?.join("nearside"));
    let mib = args.mib.unwrap_or(PUSHES_MIB);
    let data = scratch.path().join("documents.db");
    documents(&app, &data, mib, scratch.path()).await?;
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for (name, cache_mib, about) in CASES {
        let folder = scratch.path().join(name);
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        let setup = Setup {
            program: &program,
            app: &app,
            name: NAME,
            data: Some(&data),
            scratch: &folder,
            cache_mib,
            webhook: None,
        };
        let mut load = Load { cluster: Cluster::start(&setup).await?, settings, rate_rps: 0.0, folder: &folder, n: 0 };
        load.rate_rps = match args.rate {
            Some(rate) => rate,
            None => load.peak().await? * PUSHES_SHARE_OF_PEAK,
        };
        for round in 1..=settings.rounds {
            // Whoever is first in one round is second in the next.
            let both = if round % 2 == 1 { [CALM, PUSHED] } else { [PUSHED, CALM] };
            for contender in both {
                let turn = load.turn(contender == PUSHED).await;
                let values = turn.with_context(|| format!("{name}, {contender}, round {round}"))?;
                progress(name, contender, round, &values);
                let (case, contender) = (name.to_owned(), contender.to_owned());
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
        }
        let about = format!(
            "GET {PAGE} beside {mib} MiB of documents, {about}: {} requests a second over {} connections, in turns of \
             {} s.",
            number(load.rate_rps),
            settings.connections,
            settings.seconds,
        );
        cases.push(case(name, about));
    }
    samples.sort_by_key(|sample| (sample.case != CASES[0].0, sample.contender != CALM));
    Ok((cases, samples))
}

fn case(name: &str, about: String) -> CaseReport {
    let describe =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    let contenders = vec![
        describe(PUSHED, "a file of two rows is pushed to the origin every 200 ms, and published at once"),
        describe(CALM, "nothing is pushed"),
    ];
    CaseReport { name: name.to_owned(), about, kind: Kind::Disturbed, limit: CALM.to_owned(), contenders, load: None }
}

/// A node and what it is loaded with.
struct Load<'a> {
    cluster: Cluster,
    settings: &'a Settings,
    rate_rps: f64,
    folder: &'a Path,
    /// What was pushed last.
    n: u64,
}

/// What pushing during one turn came to.
#[derive(Default)]
struct Pushed {
    releases: BTreeSet<String>,
}

impl Load<'_> {
    async fn peak(&self) -> Result<f64> {
        Ok(closed(&self.plan()?, Duration::from_secs_f64(CALIBRATION_SECONDS)).await?.per_second())
    }

    async fn turn(&mut self, pushed: bool) -> Result<BTreeMap<Metric, f64>> {
        let (plan, lasts) = (self.plan()?, Duration::from_secs_f64(self.settings.seconds));
        let node = self.cluster.node_process()?;
        let servers = [node, self.cluster.origin_process()];
        let rate = self.rate_rps;
        // Made before: whoever pushes has a machine of their own.
        let files = if pushed { self.files(lasts)? } else { Vec::new() };
        let (before, node_before) = (Used::now(&servers)?, crate::cpu::microseconds(node)?);
        let until = Instant::now() + lasts;
        let (open, pushed) = tokio::try_join!(open(&plan, rate, lasts), self.push_until(until, files))?;
        self.cluster.still_running()?;
        let cpu_us = crate::cpu::microseconds(node)? - node_before;
        let others = Used::now(&servers)?.others_share_since(&before);
        Ok(values(&open, &pushed, cpu_us, others))
    }

    /// Pushes on a schedule of its own: a push that takes longer than the pause delays the next, and skips none.
    async fn push_until(&self, until: Instant, files: Vec<Vec<u8>>) -> Result<Pushed> {
        let (began, mut seen) = (Instant::now(), Pushed::default());
        let mut files = files.into_iter();
        for turn in 0_u32.. {
            sleep((began + PUSH_EVERY * turn).saturating_duration_since(Instant::now())).await;
            if Instant::now() >= until {
                break;
            }
            seen.releases.insert(self.cluster.status().await?.release);
            if let Some(file) = files.next() {
                self.cluster.origin.push_data(&file).await.context("pushing two rows")?;
            }
        }
        Ok(seen)
    }

    /// As many as can be pushed in that time, each with numbers of its own.
    fn files(&mut self, lasts: Duration) -> Result<Vec<Vec<u8>>> {
        let count = lasts.as_nanos().div_ceil(PUSH_EVERY.as_nanos()) as u64;
        let first = self.n + 1;
        self.n += count;
        (first..first + count).map(|n| pair(self.folder, n)).collect()
    }

    fn plan(&self) -> Result<Plan> {
        let page = Request::get(&format!("{NAME}.localhost"), PAGE, &[]);
        Ok(Plan {
            address: self.cluster.address,
            requests: Arc::new(Requests::new(vec![page])?),
            connections: self.settings.connections,
            threads: self.settings.load_threads,
            judging: Judging::Pairs,
        })
    }
}

fn values(open: &Open, pushed: &Pushed, cpu_us: u64, others: f64) -> BTreeMap<Metric, f64> {
    BTreeMap::from([
        (Metric::Requests, open.requests as f64),
        (Metric::Failed, open.failed as f64),
        (Metric::Mixed, open.mixed as f64),
        (Metric::Releases, pushed.releases.len() as f64),
        (Metric::LatencyP50, open.p50_us),
        (Metric::LatencyP99, open.p99_us),
        (Metric::LatencyMax, open.max_us),
        (Metric::SendLateP99, open.send_late_p99_us),
        (Metric::CpuOpen, cpu_us as f64 / open.requests as f64),
        (Metric::OthersCpu, others),
    ])
}

fn progress(case: &str, contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {case} {round}: {contender:<7} {:>8.0} requests, {:>3.0} releases  p50 {:>6.0} us  p99 {:>6.0} us  {:.0} \
         failed, {:.0} mixed  ({:>6.0} late, others {:>2.0} %)",
        value(Metric::Requests),
        value(Metric::Releases),
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
        value(Metric::Failed),
        value(Metric::Mixed),
        value(Metric::SendLateP99),
        100.0 * value(Metric::OthersCpu),
    );
}
