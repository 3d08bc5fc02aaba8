//! What the first one waits for: the first visitor of an app that nobody has asked for, and a new version of an app whose components
//! are compiled already. A node that starts with a large release on its disk is the bench `start`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::Measured;
use super::stage::{programs, scratch};
use crate::args::Run;
use crate::columns::Kind;
use crate::connection::Connection;
use crate::limits::{COLD_APPS, COLD_IDLE, COLD_VERSIONS, SHOWN_POLL, SHOWN_TIMEOUT};
use crate::many::{Many, Place};
use crate::percentile::{percentile, spread};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Request;
use crate::response::Response;
use crate::value::Metric;

pub(super) const ABOUT: &str = "The first visitor of an app that nobody has asked for, and a new version of an app. How long a node takes \
                                that starts with more than a GiB on its disk is [start](start.md).";

const IDLE: &str = "idle app";
const FIRST: &str = "first";
const AGAIN: &str = "again";
const VERSION: &str = "new version";
const NEARSIDE: &str = "nearside";
const NO_CACHE: Option<u32> = Some(0);

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let folder = scratch()?;
    let program = programs()?.join("nearside");
    let place = Place { root: &args.root, scratch: folder.path(), program: &program, cache_mib: NO_CACHE };
    let mut many = Many::start(COLD_APPS, &place).await?;
    let mut samples = Vec::new();
    let mut version = 0;
    for round in 1..=settings.rounds {
        let mut take = |case: &str, contender: &str, values: BTreeMap<Metric, f64>| {
            eprintln!("  {round}: {case}, {contender}: {values:.2?}");
            let (case, contender) = (case.to_owned(), contender.to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
        };
        many.cluster.stop_node();
        many.cluster.start_node()?;
        many.all_are_served().await?;
        sleep(COLD_IDLE).await;
        let pages = many.pages();
        for contender in [FIRST, AGAIN] {
            take(IDLE, contender, asked_one_by_one(&many, &pages).await.context("asking each app")?);
        }
        let mut switches = Vec::new();
        for _ in 0..COLD_VERSIONS {
            version += 1;
            switches.push(switched(&many, version).await.context("a new version")?);
        }
        take(VERSION, NEARSIDE, medians(&switches)?);
    }
    let place = |name: &str| [IDLE, VERSION].iter().position(|case| *case == name);
    samples.sort_by_key(|sample| (place(&sample.case), sample.contender == AGAIN));
    Ok((cases(), samples))
}

fn cases() -> Vec<CaseReport> {
    let described =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    let idle = CaseReport {
        name: IDLE.to_owned(),
        about: format!(
            "A node with {COLD_APPS} small apps was started with what is on its disk, and nobody has asked for any of them for {} s. \
             Each is asked for a page with a query, one after another over one connection, nothing cached; and then again.",
            COLD_IDLE.as_secs(),
        ),
        kind: Kind::Cold,
        limit: AGAIN.to_owned(),
        contenders: vec![
            described(FIRST, "the first page of each app since the start"),
            described(AGAIN, "the second"),
        ],
        load: None,
    };
    let version = CaseReport {
        name: VERSION.to_owned(),
        about: format!(
            "Another version of one of them, with the same components, is pushed; {COLD_VERSIONS} times a round, of which the median \
             is taken. The node says how long it takes from what is on its disk - code, settings and pages - until the version is \
             served, and how much of that the disk takes to have it recorded."
        ),
        kind: Kind::Version,
        limit: NEARSIDE.to_owned(),
        contenders: vec![described(NEARSIDE, "a node that serves the version before")],
        load: None,
    };
    vec![idle, version]
}

async fn asked_one_by_one(many: &Many, pages: &[Request]) -> Result<BTreeMap<Metric, f64>> {
    let mut connection = Connection::open(many.cluster.address, Response::keeping()).await?;
    let mut latencies_ns = Vec::with_capacity(pages.len());
    for page in pages {
        let began = Instant::now();
        connection.exchange(page).await?;
        latencies_ns.push(began.elapsed().as_nanos() as u64);
        page.verify(&connection.response)?;
    }
    latencies_ns.sort_unstable();
    let us = |share| percentile(&latencies_ns, share).map(|ns| ns as f64 / 1e3).context("BUG: nobody was asked");
    Ok(BTreeMap::from([
        (Metric::LatencyP50, us(0.5)?),
        (Metric::LatencyP99, us(0.99)?),
        (Metric::LatencyMax, us(1.0)?),
        (Metric::Requests, pages.len() as f64),
    ]))
}

/// One switch, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Switched {
    served: f64,
    recorded: f64,
    pushed: f64,
}

async fn switched(many: &Many, version: usize) -> Result<Switched> {
    let before = many.cluster.status().await?.release;
    let began = Instant::now();
    many.push_version(0, version).await?;
    let deadline = began + SHOWN_TIMEOUT;
    while many.cluster.status().await?.release == before {
        ensure!(Instant::now() < deadline, "the version was not served within {SHOWN_TIMEOUT:?}");
        sleep(SHOWN_POLL).await;
    }
    let pushed = began.elapsed();
    // The line comes after the switch.
    let line = loop {
        let line = many.cluster.log_tail().lines().rev().find(|line| line.contains(" switched ")).map(str::to_owned);
        if let Some(line) = line.filter(|line| !line.contains(&format!(" {before} "))) {
            break line;
        }
        ensure!(Instant::now() < deadline, "the node does not say that it has switched:\n{}", many.cluster.log_tail());
        sleep(SHOWN_POLL).await;
    };
    let ms =
        |name| said(&line, name).with_context(|| format!("the node does not say {name}: {line}")).map(|us| us / 1e3);
    let pushed = ms_of(pushed);
    Ok(Switched { served: ms("switch_us")?, recorded: ms("record_us")?, pushed })
}

/// The number of `name=number` in a line of the node's log.
fn said(line: &str, name: &str) -> Option<f64> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.trim().parse().ok())
}

fn ms_of(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn medians(switches: &[Switched]) -> Result<BTreeMap<Metric, f64>> {
    let median = |of: fn(&Switched) -> f64| {
        let all: Vec<f64> = switches.iter().map(of).collect();
        spread(&all).map(|spread| spread.median).context("BUG: nothing was switched")
    };
    Ok(BTreeMap::from([
        (Metric::SwitchMs, median(|switched| switched.served)?),
        (Metric::RecordMs, median(|switched| switched.recorded)?),
        (Metric::There, median(|switched| switched.pushed)?),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_says() {
        let line =
            "2026-11-30T08:41:17.765Z  INFO shelf-0000 1.3 switched bytes=0 took_ms=12 switch_us=3400 record_us=2000\n";
        assert_eq!((said(line, "switch_us"), said(line, "record_us")), (Some(3_400.0), Some(2_000.0)));
        assert_eq!(said(line, "us"), None);
    }
}
