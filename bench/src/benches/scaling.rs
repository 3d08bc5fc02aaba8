//! A node that has one core, and the same with all of them: what a request costs, and how often the node's threads wait for each
//! other or interrupt other cores. What grows with the cores here is what bends first where there are many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Measured;
use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::columns::Kind;
use crate::cores::Cores;
use crate::hot;
use crate::kernel_counts::KernelCounts;
use crate::limits::{CALIBRATION_SECONDS, MIX_HOT_PAGES, RENDER_PAGES};
use crate::load::{Judging, Plan, closed};
use crate::nearside::Beside;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::sweep::sweep;
use crate::value::Metric;

pub(super) const ABOUT: &str = "A node on one core and on all: CPU a request, and what its threads cost each other.";

const ONE: &str = "one core";
const ALL: &str = "all cores";
const NO_CACHE: Option<u32> = Some(0);
/// Of a turn is counted, so that neither its beginning nor its end is in it.
const COUNTED_SHARE: f64 = 0.8;

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let cores = Cores::apart()?;
    let mut stage = Stage::new(ABOUT)?;
    let catalogue = stage.start_nearside(args, None).await?;
    let names = catalogue::names(&catalogue, RENDER_PAGES)?;
    let pages: Vec<String> = names.iter().map(|name| hot::package(name)).collect();
    let hot = hot::requests(HOST, &pages[..pages.len().min(MIX_HOT_PAGES)]);
    let pages = hot::requests(HOST, &pages);
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for (case, how, cache_mib, requests) in [
        ("hits", "stored already", None, hot),
        ("renders", "made for each request, with the cache off", NO_CACHE, pages),
    ] {
        cores.be_on_one()?;
        let one = stage.cluster()?.start_beside(&format!("{case}-one"), cache_mib).await?;
        cores.be_free()?;
        let all = stage.cluster()?.start_beside(&format!("{case}-all"), cache_mib).await?;
        cases.push(described(case, how, &requests, &cores));
        samples.extend(Turns { stage: &stage, cores: &cores, case, requests, settings }.run(&one, &all).await?);
        stage.still_running()?;
    }
    Ok((cases, samples))
}

fn described(case: &str, how: &str, requests: &[Request], cores: &Cores) -> CaseReport {
    let described =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    CaseReport {
        name: case.to_owned(),
        about: format!(
            "GET of {} package pages in turn, {how}. The generator has core {}, which the node with all cores shares with it.",
            requests.len(),
            cores.generator,
        ),
        kind: Kind::Scaled,
        limit: ONE.to_owned(),
        contenders: vec![
            described(ALL, "a node that may use every core"),
            described(ONE, "a node that may use one, which nobody else does"),
        ],
        load: None,
    }
}

struct Turns<'a> {
    stage: &'a Stage,
    cores: &'a Cores,
    case: &'a str,
    requests: Vec<Request>,
    settings: &'a Settings,
}

impl Turns<'_> {
    async fn run(&self, one: &Beside, all: &Beside) -> Result<Vec<Sample>> {
        self.cores.be_generator()?;
        for node in [one, all] {
            sweep(node.address, &Arc::new(self.requests.clone())).await?;
            closed(&self.plan(node)?, Duration::from_secs_f64(CALIBRATION_SECONDS)).await?;
        }
        let mut samples = Vec::new();
        for round in 1..=self.settings.rounds {
            let both = [(ONE, one), (ALL, all)];
            for (contender, node) in if round % 2 == 1 { both } else { [both[1], both[0]] } {
                let turn = self.turn(node).await;
                let values = turn.with_context(|| format!("{}, {contender}, round {round}", self.case))?;
                progress(self.case, contender, round, &values);
                let (case, contender) = (self.case.to_owned(), contender.to_owned());
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
        }
        self.cores.be_free()?;
        samples.sort_by_key(|sample| (sample.contender == ONE, sample.round));
        Ok(samples)
    }

    async fn turn(&self, node: &Beside) -> Result<BTreeMap<Metric, f64>> {
        let lasts = Duration::from_secs_f64(self.settings.seconds);
        let counts = KernelCounts::begin(node.id(), lasts.mul_f64(COUNTED_SHARE), self.stage.scratch())?;
        let before = crate::cpu::microseconds(node.id())?;
        let closed = closed(&self.plan(node)?, lasts).await?;
        let cpu_us = crate::cpu::microseconds(node.id())? - before;
        let counts =
            counts.finish().await?.into_iter().map(|(metric, a_second)| (metric, a_second / closed.per_second()));
        let mut values: BTreeMap<Metric, f64> = counts.collect();
        values.insert(Metric::Throughput, closed.per_second());
        values.insert(Metric::CpuClosed, cpu_us as f64 / closed.requests.max(1) as f64);
        Ok(values)
    }

    fn plan(&self, node: &Beside) -> Result<Plan> {
        Ok(Plan {
            address: node.address,
            requests: Arc::new(Requests::new(self.requests.clone())?),
            connections: self.settings.connections,
            threads: self.settings.load_threads,
            judging: Judging::Refusable,
        })
    }
}

fn progress(case: &str, contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {case} {round}: {contender:<9} {:>7.0}/s  {:>6.1} us CPU  a request: {:.4} locks waited for  {:.4} cores interrupted  \
         {:.3} futex calls  {:.3} switches",
        value(Metric::Throughput),
        value(Metric::CpuClosed),
        value(Metric::LockWaits),
        value(Metric::CoresInterrupted),
        value(Metric::FutexCalls),
        value(Metric::Switches),
    );
}
