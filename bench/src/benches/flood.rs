//! Searches that nobody asks for twice, of twice the cache's size, beside what is asked for all the time: they should
//! not take its place. nginx and Varnish of the same size stand in front of a node that renders everything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Measured;
use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::columns::Kind;
use crate::hot;
use crate::limits::{
    FLOOD_ADDRESSES_MOST, FLOOD_CACHE_MIB, FLOOD_CONNECTIONS, FLOOD_SAMPLED, FLOOD_TIMES, HOT_RATE, HOT_SHARE_OF_CACHE,
};
use crate::load::{Judging, Note, Open, Plan, noted};
use crate::nginx::Nginx;
use crate::peer_cache::{Fronted, Keeps};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::sweep::sweep;
use crate::table::number;
use crate::value::Metric;
use crate::varnish::Varnish;

pub(super) const ABOUT: &str = "Hits on what is asked for all the time, before, during and after a flood of searches \
                                that are asked for once, of twice the cache's size.";

const CASE: &str = "one-off searches";

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    let catalogue = stage.start_nearside(args, Some(FLOOD_CACHE_MIB)).await?;
    let cluster = stage.cluster()?;
    let uncached = cluster.start_beside("uncached", Some(0)).await?;
    let fronted =
        Fronted { name: "flood", upstream: uncached.address, keeps: Keeps::Everything, mib: FLOOD_CACHE_MIB.into() };
    let nginx = Nginx::cache(&fronted, true, stage.scratch()).await?;
    let varnish = Varnish::start(&fronted, stage.scratch()).await?;
    let all = [
        ("nearside", cluster.address, format!("a node with --cache-mib {FLOOD_CACHE_MIB}")),
        ("nginx", nginx.address, nginx.about.clone()),
        ("varnish", varnish.address, varnish.about.clone()),
    ];

    let hot = hot_set(&catalogue, uncached.address).await?;
    let mut once = Once::new(&catalogue, uncached.address).await?;
    let (order, rate_rps) = (hot::zipf(hot.len()), args.rate.unwrap_or(HOT_RATE));
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        let first = (round - 1) % all.len();
        for (name, address, _) in all[first..].iter().chain(&all[..first]) {
            let plan = |requests, connections| Plan {
                address: *address,
                requests,
                connections,
                threads: settings.load_threads,
                judging: Judging::Noted,
            };
            let zipf = plan(Arc::new(Requests::in_order(hot.to_vec(), order.clone())?), settings.connections);
            let flood = plan(Arc::new(Requests::new(once.next()?)?), FLOOD_CONNECTIONS);
            let values = turn(&hot, &zipf, &flood, rate_rps, settings).await;
            let values = values.with_context(|| format!("{name}, round {round}"))?;
            progress(name, round, &values);
            let (case, contender) = (CASE.to_owned(), (*name).to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
        }
    }
    let place = |name: &str| all.iter().position(|(of, ..)| *of == name);
    samples.sort_by_key(|sample| place(&sample.contender));
    let describe = |(name, _, about): &(&str, SocketAddr, String)| Described {
        name: (*name).to_owned(),
        about: about.clone(),
        missing: None,
    };
    let about = format!(
        "{} addresses, which take half of a cache of {FLOOD_CACHE_MIB} MiB at most, are asked for by Zipf's law, {} a second \
         over {} connections, for three times {} s. In the second of them {} searches of {} bytes on average are asked for \
         once each. Hits and latencies are those of the former.",
        number(hot.len() as f64),
        number(rate_rps),
        settings.connections,
        settings.seconds,
        number(once.count as f64),
        number(once.bytes_mean),
    );
    let contenders = all.iter().map(describe).collect();
    let (name, kind, limit) = (CASE.to_owned(), Kind::Flood, "nearside".to_owned());
    Ok((vec![CaseReport { name, about, kind, limit, contenders, load: None }], samples))
}

/// The hot set alone, with the flood, and alone again.
async fn turn(
    hot: &Arc<Vec<Request>>,
    zipf: &Plan,
    flood: &Plan,
    rate_rps: f64,
    settings: &Settings,
) -> Result<BTreeMap<Metric, f64>> {
    // Asked for more than once, as what is hot is.
    for _ in 0..3 {
        sweep(zipf.address, hot).await?;
    }
    let lasts = Duration::from_secs_f64(settings.seconds);
    let flood_rps = flood.requests.all().len() as f64 / settings.seconds;
    let (_, before) = noted(zipf, rate_rps, lasts).await?;
    let ((during, beside), (flooded, _)) =
        tokio::try_join!(noted(zipf, rate_rps, lasts), noted(flood, flood_rps, lasts))?;
    let (_, after) = noted(zipf, rate_rps, lasts).await?;
    Ok(values(&during, &flooded, [&before, &beside, &after]))
}

fn values(during: &Open, flooded: &Open, [before, beside, after]: [&[Note]; 3]) -> BTreeMap<Metric, f64> {
    let [before, beside, after] = [before, beside, after].map(hit_percent);
    BTreeMap::from([
        (Metric::HitsBefore, before),
        (Metric::Hits, beside),
        (Metric::HitsAfter, after),
        (Metric::HitsLost, before - beside.min(after)),
        (Metric::LatencyP50, during.p50_us),
        (Metric::LatencyP99, during.p99_us),
        (Metric::Requests, flooded.requests as f64),
        (Metric::Failed, (during.failed + flooded.failed) as f64),
    ])
}

fn hit_percent(notes: &[Note]) -> f64 {
    let hits = notes.iter().filter(|note| note.how.is_hit() && !note.failed).count();
    100.0 * hits as f64 / notes.len().max(1) as f64
}

/// As many of the most popular addresses as take their share of the cache.
async fn hot_set(catalogue: &Path, uncached: SocketAddr) -> Result<Arc<Vec<Request>>> {
    let targets = hot::targets(catalogue, FLOOD_ADDRESSES_MOST)?;
    let requests = hot::requests(HOST, &targets);
    let (_, bytes) = sweep(uncached, &Arc::new(requests.clone())).await?;
    let room = f64::from(FLOOD_CACHE_MIB) * HOT_SHARE_OF_CACHE * f64::from(1 << 20);
    let count = (requests.len() as f64 * (room / bytes as f64).min(1.0)) as usize;
    Ok(Arc::new(requests[..count.max(1)].to_vec()))
}

/// Searches for the name of one package each, none of them asked for twice in a run.
struct Once {
    names: Vec<String>,
    /// How many were asked for.
    asked: usize,
    count: usize,
    bytes_mean: f64,
}

impl Once {
    async fn new(catalogue: &Path, uncached: SocketAddr) -> Result<Self> {
        let names = catalogue::names(catalogue, usize::MAX)?;
        let mut once = Once { names, asked: 0, count: FLOOD_SAMPLED, bytes_mean: 0.0 };
        let sample = Arc::new(once.next()?);
        let (_, bytes) = sweep(uncached, &sample).await?;
        once.bytes_mean = bytes as f64 / sample.len() as f64;
        ensure!(once.bytes_mean > 0.0, "searches find nothing");
        once.count = (FLOOD_TIMES * f64::from(FLOOD_CACHE_MIB) * f64::from(1 << 20) / once.bytes_mean).ceil() as usize;
        Ok(once)
    }

    /// Once all names were asked for, they come again with more spaces behind: another address, and the same answer.
    fn next(&mut self) -> Result<Vec<Request>> {
        ensure!(!self.names.is_empty(), "the catalogue has no packages");
        let targets: Vec<String> = (self.asked..self.asked + self.count)
            .map(|number| {
                let spaces = " ".repeat(number / self.names.len());
                hot::search(&format!("{}{spaces}", self.names[number % self.names.len()]))
            })
            .collect();
        self.asked += self.count;
        Ok(hot::requests(HOST, &targets))
    }
}

fn progress(contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {contender:<9} hits {:>6.2} -> {:>6.2} -> {:>6.2} %  p99 {:>7.0} us  {:.0} searches, {:.0} failed",
        value(Metric::HitsBefore),
        value(Metric::Hits),
        value(Metric::HitsAfter),
        value(Metric::LatencyP99),
        value(Metric::Requests),
        value(Metric::Failed),
    );
}
