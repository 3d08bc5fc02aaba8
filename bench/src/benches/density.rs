//! A node with a thousand small apps beside one with a single app: what they take in memory and CPU while nobody asks, how long a
//! start takes, what the first visitor of each waits for, and all visitors at a fixed rate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::Measured;
use super::stage::{programs, scratch};
use crate::args::Run;
use crate::columns::Kind;
use crate::cpu;
use crate::limits::{DENSITY_FIRST_RPS, DENSITY_IDLE, DENSITY_RPS, DENSITY_SEED, SETTLE};
use crate::load::{Judging, Open, Plan, noted};
use crate::many::{Many, Place};
use crate::random::Random;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Requests;
use crate::resident::{Resident, mib};
use crate::table::number;
use crate::value::Metric;

pub(super) const ABOUT: &str =
    "Small apps on one node, each with a host name and a database of its own and of the same components.";

const CASE: &str = "apps";
const MANY: &str = "many";
const ONE: &str = "one";
/// Every answer is made: what a cache holds comes on top, and is bounded by itself.
const NO_CACHE: Option<u32> = Some(0);

struct Contender {
    name: &'static str,
    many: Many,
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let (folder, program) = (scratch()?, programs()?.join("nearside"));
    let mut contenders = Vec::new();
    for (name, count) in [(ONE, 1), (MANY, args.apps)] {
        let scratch = folder.path().join(name);
        std::fs::create_dir(&scratch).context("making a folder for an origin and a node")?;
        let place = Place { root: &args.root, scratch: &scratch, program: &program, cache_mib: NO_CACHE };
        let began = Instant::now();
        let many = Many::start(count, &place).await.with_context(|| format!("starting {name}"))?;
        let origin = Resident::of(many.cluster.origin_process())?;
        eprintln!(
            "  {name}: {count} pushed in {:.0} s, {:.0} MiB at the origin",
            began.elapsed().as_secs_f64(),
            mib(origin.all)
        );
        contenders.push(Contender { name, many });
    }
    let rate_rps = args.rate.unwrap_or(DENSITY_RPS);
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        let first = (round - 1) % contenders.len();
        for turn in 0..contenders.len() {
            let contender = &mut contenders[(first + turn) % 2];
            let values = one_turn(contender, args.apps, rate_rps, settings).await;
            let values = values.with_context(|| format!("{}, round {round}", contender.name))?;
            progress(contender.name, round, &values);
            let (case, contender) = (CASE.to_owned(), contender.name.to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
        }
    }
    samples.sort_by_key(|sample| (sample.contender == ONE, sample.round));
    let described = |name: &str, about: String| Described { name: name.to_owned(), about, missing: None };
    let case = CaseReport {
        name: CASE.to_owned(),
        about: about(args.apps, rate_rps, settings),
        kind: Kind::Density,
        limit: ONE.to_owned(),
        contenders: vec![
            described(MANY, format!("a node with {} apps", number(args.apps as f64))),
            described(ONE, "a node with one of them".to_owned()),
        ],
        load: None,
    };
    Ok((vec![case], samples))
}

fn about(apps: usize, rate_rps: f64, settings: &Settings) -> String {
    format!(
        "A node that was killed starts with what is on its disk, until it serves all of its apps. Then nobody asks for {} s. Then \
         each of {} apps is asked for its first page once, {} a second; then pages of any of them, {} a second over {} connections for \
         {} s. Who has one app is asked for as much of that one. Caches are off, so that each page is made, with a query. Memory \
         is what it is after all that, and before.",
        DENSITY_IDLE.as_secs(),
        number(apps as f64),
        number(DENSITY_FIRST_RPS),
        number(rate_rps),
        settings.connections,
        settings.seconds,
    )
}

async fn one_turn(
    contender: &mut Contender,
    apps: usize,
    rate_rps: f64,
    settings: &Settings,
) -> Result<BTreeMap<Metric, f64>> {
    let many = &mut contender.many;
    many.cluster.stop_node();
    sleep(SETTLE).await;
    let began = Instant::now();
    many.cluster.start_node()?;
    many.all_are_served().await?;
    let start = began.elapsed();
    let process = many.cluster.node_process()?;
    // What a start leaves to do is over.
    sleep(SETTLE).await;
    let before = cpu::microseconds(process)?;
    sleep(DENSITY_IDLE).await;
    let idle_us = cpu::microseconds(process)? - before;
    let idle = Resident::of(process)?;

    let firsts = load(many, DENSITY_FIRST_RPS, apps, settings).await.context("each for the first time")?;
    let before = cpu::microseconds(process)?;
    let count = (rate_rps * settings.seconds).ceil() as usize;
    let then = load(many, rate_rps, count, settings).await.context("any of them")?;
    let cpu_us = cpu::microseconds(process)? - before;
    let mut values = Resident::of(process)?.values();
    values.extend([
        (Metric::Start, start.as_secs_f64() * 1e3),
        (Metric::IdleCpu, 100.0 * idle_us as f64 / DENSITY_IDLE.as_micros() as f64),
        (Metric::ResidentIdle, mib(idle.all)),
        (Metric::FirstAskedP50, firsts.p50_us),
        (Metric::FirstAskedP99, firsts.p99_us),
        (Metric::LatencyP50, then.p50_us),
        (Metric::LatencyP99, then.p99_us),
        (Metric::LatencyMax, then.max_us),
        (Metric::CpuOpen, cpu_us as f64 / then.requests.max(1) as f64),
        (Metric::Failed, (firsts.failed + then.failed) as f64),
    ]);
    many.cluster.still_running()?;
    Ok(values)
}

/// So many requests, spread over all apps: each of them once before any is asked again.
async fn load(many: &Many, rate_rps: f64, count: usize, settings: &Settings) -> Result<Open> {
    let mut order: Vec<u32> = (0..many.count() as u32).collect();
    Random::new(DENSITY_SEED).shuffle(&mut order);
    let plan = Plan {
        address: many.cluster.address,
        requests: Arc::new(Requests::in_order(many.pages(), order)?),
        connections: settings.connections,
        threads: settings.load_threads,
        judging: Judging::Noted,
    };
    Ok(noted(&plan, rate_rps, Duration::from_secs_f64(count as f64 / rate_rps)).await?.0)
}

fn progress(contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {contender:<5} started in {:>5.0} ms  idle {:>4.1} % of a core, {:>5.0} MiB  first {:>6.0} us (p99 {:>6.0})  then \
         {:>6.0} us (p99 {:>6.0}), {:>5.0} us CPU, {:>5.0} MiB  {:.0} failed",
        value(Metric::Start),
        value(Metric::IdleCpu),
        value(Metric::ResidentIdle),
        value(Metric::FirstAskedP50),
        value(Metric::FirstAskedP99),
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
        value(Metric::CpuOpen),
        value(Metric::Resident),
        value(Metric::Failed),
    );
}
