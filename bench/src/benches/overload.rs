//! Three times as much as can be rendered: what of it is made, and what becomes of pages that are there already. A node, the
//! same without refusing anything, and a Node.js server behind nginx, each measured against its own peak.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
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
use crate::limits::{
    OVERLOAD_AFTER, OVERLOAD_CONNECTIONS, OVERLOAD_HIT_CONNECTIONS, OVERLOAD_HITS_RPS, OVERLOAD_IN_TIME_MS,
    OVERLOAD_PATIENCE, OVERLOAD_PEAK_CONNECTIONS, OVERLOAD_PEAK_MOST_RPS, OVERLOAD_PHASE_SHARE, OVERLOAD_TIMES,
    OVERLOAD_USUAL_SHARE, PEER_CACHE_MIB,
};
use crate::load::{Judging, Note, Plan, closed, impatient, noted};
use crate::nginx::Nginx;
use crate::one_off::OneOff;
use crate::peer_cache::{Fronted, Keeps};
use crate::percentile::percentile;
use crate::process::Process;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Requests;
use crate::sweep::sweep;
use crate::table::number;
use crate::value::Metric;

pub(super) const ABOUT: &str = "Renders at three times what can be made, beside hits: how many are made in time, how long those \
                                take, and what becomes of the hits.";

const NEARSIDE: &str = "nearside";
const UNLIMITED: &str = "unlimited";
const NODE: &str = "node";

const CASE: &str = "3x";

struct Contender {
    name: &'static str,
    about: String,
    address: SocketAddr,
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let cores = Cores::apart()?;
    cores.be_contenders()?;
    let mut stage = Stage::new(ABOUT)?;
    let catalogue = stage.start_nearside(args, None).await?;
    let cluster = stage.cluster()?;
    let unlimited = cluster.start_beside_with("unlimited", None, &["--no-shedding"]).await?;
    let mut contenders = vec![
        Contender { name: NEARSIDE, about: "a node".to_owned(), address: cluster.address },
        Contender {
            name: UNLIMITED,
            about: "a node that refuses nothing: 64 renders at once, the others wait".to_owned(),
            address: unlimited.address,
        },
    ];
    let names = catalogue::names(&catalogue, usize::MAX)?;
    let missing = match node_js(&names, args, stage.scratch()).await {
        Ok((server, address, version)) => {
            let fronted =
                Fronted { name: "overload", upstream: address, keeps: Keeps::Everything, mib: PEER_CACHE_MIB };
            let nginx = Nginx::cache(&fronted, true, stage.scratch()).await?;
            let about = format!("Node.js {version}, one process, behind {}", nginx.about);
            contenders.push(Contender { name: NODE, about, address: nginx.address });
            stage.keep(nginx);
            stage.keep_server(server);
            None
        }
        Err(why) => Some(format!("{why:#}")),
    };
    if let Some(why) = &missing {
        eprintln!("  {NODE}: not measured: {why}");
    }
    cores.be_generator()?;

    let hits = hot::requests(HOST, &names.iter().take(10).map(|name| hot::package(name)).collect::<Vec<_>>());
    let mut asked = OneOff::new(HOST, names)?;
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        for turn in 0..contenders.len() {
            let contender = &contenders[(round - 1 + turn) % contenders.len()];
            let measured =
                Turn { contender, settings, hits: Arc::new(Requests::new(hits.clone())?), asked: &mut asked };
            let values = measured.run().await.with_context(|| format!("{}, round {round}", contender.name))?;
            progress(contender.name, round, &values);
            let (case, contender) = (CASE.to_owned(), contender.name.to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            stage.still_running()?;
        }
    }
    cores.be_free()?;

    let place = |name: &str| contenders.iter().position(|contender| contender.name == name);
    samples.sort_by_key(|sample| (place(&sample.contender), sample.round));
    let mut described: Vec<Described> = contenders
        .iter()
        .map(|contender| Described { name: contender.name.to_owned(), about: contender.about.clone(), missing: None })
        .collect();
    described.extend(missing.map(|why| Described { name: NODE.to_owned(), about: String::new(), missing: Some(why) }));
    let about = about(settings, &cores.about());
    let (name, limit) = (CASE.to_owned(), NEARSIDE.to_owned());
    let case = CaseReport { name, about, kind: Kind::Overload, limit, contenders: described, load: None };
    Ok((vec![case], samples))
}

fn about(settings: &Settings, cores: &str) -> String {
    let usual = number(100.0 * OVERLOAD_USUAL_SHARE);
    format!(
        "The peak is that of {OVERLOAD_PEAK_CONNECTIONS} connections which each wait for an answer: searches, each for something \
         that nobody has asked for. Then as many come as {usual} % of that; then {OVERLOAD_TIMES} times as many for {} s, over \
         {OVERLOAD_CONNECTIONS} connections; then {usual} % again, of which the last of {} seconds counts. In time is what \
         is answered within {OVERLOAD_IN_TIME_MS} ms of the moment it was meant to be sent; latencies are those of what was \
         made. Whose request nobody has taken for {} s has gone. Beside all that, {OVERLOAD_HITS_RPS} hits a second, before it alone. {cores}.",
        settings.seconds,
        OVERLOAD_AFTER.as_secs(),
        OVERLOAD_PATIENCE.as_secs(),
    )
}

struct Turn<'a> {
    contender: &'a Contender,
    settings: &'a Settings,
    hits: Arc<Requests>,
    asked: &'a mut OneOff,
}

type Values = BTreeMap<Metric, f64>;

impl Turn<'_> {
    async fn run(mut self) -> Result<Values> {
        let lasts = Duration::from_secs_f64(self.settings.seconds);
        let short = lasts.mul_f64(OVERLOAD_PHASE_SHARE);
        for _ in 0..3 {
            sweep(self.contender.address, &Arc::new(self.hits.all().to_vec())).await?;
        }
        // Twice, of which the first warms it up.
        let mut peak_rps = 0.0;
        for _ in 0..2 {
            let most = (OVERLOAD_PEAK_MOST_RPS * short.as_secs_f64()) as usize;
            let searches = self.asked.next(most)?;
            let plan = self.plan(searches, OVERLOAD_PEAK_CONNECTIONS, Judging::Strict);
            peak_rps = closed(&plan, short).await?.per_second();
        }
        let alone = noted(&self.hits_plan(), OVERLOAD_HITS_RPS, short).await?.1;
        let usual = self.both(peak_rps * OVERLOAD_USUAL_SHARE, short).await?;
        let over = self.both(peak_rps * OVERLOAD_TIMES, lasts).await?;
        let after = self.both(peak_rps * OVERLOAD_USUAL_SHARE, OVERLOAD_AFTER).await?;

        let last = OVERLOAD_AFTER - Duration::from_secs(1);
        let last: Vec<Note> = after.renders.into_iter().filter(|note| note.at >= last).collect();
        let made = made(&over.renders);
        Ok(BTreeMap::from([
            (Metric::Peak, peak_rps),
            (Metric::Throughput, in_time(&over.renders, lasts)),
            (Metric::LatencyP50, quantile(&made, 0.5)?),
            (Metric::LatencyP99, quantile(&made, 0.99)?),
            (Metric::Requests, over.renders.len() as f64),
            (Metric::Failed, (over.renders.len() - made.len()) as f64),
            (Metric::UsualRate, in_time(&usual.renders, short)),
            (Metric::UsualP99, quantile(&self::made(&usual.renders), 0.99)?),
            (Metric::AfterRate, in_time(&last, Duration::from_secs(1))),
            (Metric::HitsAloneP99, quantile(&alone, 0.99)?),
            (Metric::HitsP99, quantile(&over.hits, 0.99)?),
            (Metric::HitsFailed, over.hits.iter().filter(|note| note.failed).count() as f64),
        ]))
    }

    /// Searches and hits at the same time.
    async fn both(&mut self, rate_rps: f64, lasts: Duration) -> Result<Noted> {
        let count = (rate_rps * lasts.as_secs_f64()).ceil() as usize + 1;
        let searches = self.asked.next(count)?;
        let renders = self.plan(searches, OVERLOAD_CONNECTIONS, Judging::Noted);
        let hits = self.hits_plan();
        let ((_, renders), (_, hits)) = tokio::try_join!(
            impatient(&renders, rate_rps, lasts, OVERLOAD_PATIENCE),
            noted(&hits, OVERLOAD_HITS_RPS, lasts)
        )?;
        Ok(Noted { renders, hits })
    }

    fn hits_plan(&self) -> Plan {
        self.plan(self.hits.clone(), OVERLOAD_HIT_CONNECTIONS, Judging::Noted)
    }

    fn plan(&self, requests: Arc<Requests>, connections: usize, judging: Judging) -> Plan {
        Plan { address: self.contender.address, requests, connections, threads: 1, judging }
    }
}

struct Noted {
    renders: Vec<Note>,
    hits: Vec<Note>,
}

fn made(notes: &[Note]) -> Vec<Note> {
    notes.iter().filter(|note| !note.failed).copied().collect()
}

/// How many a second.
fn in_time(notes: &[Note], lasts: Duration) -> f64 {
    let in_time = notes.iter().filter(|note| !note.failed && note.latency_us <= OVERLOAD_IN_TIME_MS * 1e3);
    in_time.count() as f64 / lasts.as_secs_f64()
}

/// In microseconds.
pub(super) fn quantile(notes: &[Note], share: f64) -> Result<f64> {
    let mut latencies_us: Vec<u64> = notes.iter().map(|note| note.latency_us as u64).collect();
    latencies_us.sort_unstable();
    percentile(&latencies_us, share).map(|us| us as f64).context("nothing was answered")
}

/// Our own little server, with the names it looks through.
async fn node_js(names: &[String], args: &Run, scratch: &Path) -> Result<(Process, SocketAddr, String)> {
    let version = Command::new("node").arg("--version").stdin(Stdio::null()).output();
    let version = version.context("node does not start: apt-get install nodejs")?;
    let file = scratch.join("names");
    std::fs::write(&file, names.join("\n")).context("writing the names")?;
    let mut command = Command::new("node");
    command.arg(args.root.join("bench/node/search.mjs")).arg(&file);
    let mut server = Process::spawn("node-js", command, scratch)?;
    let address = server.listening().await?;
    Ok((server, address, String::from_utf8_lossy(&version.stdout).trim().to_owned()))
}

fn progress(contender: &str, round: usize, values: &Values) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {contender:<9} peak {:>6.0}/s  in time at 3x {:>6.0}/s  p99 {:>8.0} us at 80 %, {:>8.0} us at 3x  hits \
         {:>6.0} -> {:>8.0} us  after {:>6.0} of {:>6.0}/s",
        value(Metric::Peak),
        value(Metric::Throughput),
        value(Metric::UsualP99),
        value(Metric::LatencyP99),
        value(Metric::HitsAloneP99),
        value(Metric::HitsP99),
        value(Metric::AfterRate),
        value(Metric::UsualRate),
    );
}
