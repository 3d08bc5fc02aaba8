//! Three nodes, each with a part of a core, of which one gets most of the visitors: what is made of what they ask for, with hand-over
//! and without, and what it costs when a sibling is killed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Measured;
use super::overload::quantile;
use super::stage::Stage;
use crate::args::Run;
use crate::columns::Kind;
use crate::connection::fetch;
use crate::limits::{
    OVERLOAD_IN_TIME_MS, OVERLOAD_PATIENCE, OVERLOAD_PEAK_CONNECTIONS, OVERLOAD_PEAK_MOST_RPS, SIBLINGS_CONNECTIONS,
    SIBLINGS_CORES, SIBLINGS_HEARD, SIBLINGS_KILLED_AFTER, SIBLINGS_SHARES, SIBLINGS_TIMES,
};
use crate::load::{How, Judging, Note, Plan, closed, impatient};
use crate::nearside::{Beside, Cluster, Place, free_addresses};
use crate::quota::Quota;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::table::number;
use crate::value::Metric;

pub(super) const ABOUT: &str = "Three nodes, each with 0.4 cores, of which one gets eight visitors of ten: how many get what they \
                                asked for in time, with hand-over and without it.";

const APP: &str = "modules/probe";
const NAME: &str = "probe";
const HOST: &str = "probe.localhost";

const KILLED: &str = "killed";
/// The load at which one is killed.
const KILLED_TIMES: f64 = 1.5;

/// Pages of one dear query each, none of them asked for twice. One that is made as quickly as it is handed over would be no help.
struct Asked(usize);

impl Asked {
    fn next(&mut self, count: usize) -> Result<Arc<Requests>> {
        let numbers = self.0..self.0 + count;
        self.0 = numbers.end;
        let asks = |number| Request::get(HOST, &format!("/ask/dear?p={number}"), &[]);
        Ok(Arc::new(Requests::new(numbers.map(asks).collect())?))
    }
}

/// Whether nodes ask each other.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ways {
    HandedOver,
    Alone,
}

impl Ways {
    const ALL: [Ways; 2] = [Ways::HandedOver, Ways::Alone];

    fn name(self) -> &'static str {
        match self {
            Ways::HandedOver => "handed over",
            Ways::Alone => "alone",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Ways::HandedOver => "who has no place for a page asks a sibling for it",
            Ways::Alone => "who has no place for a page refuses",
        }
    }
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    stage.start_app(&args.root.join(APP), NAME).await?;
    let mut asked = Asked(0);
    let lasts = Duration::from_secs_f64(settings.seconds);
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        for turn in 0..Ways::ALL.len() {
            let ways = Ways::ALL[(round - 1 + turn) % Ways::ALL.len()];
            // New ones for each, so that no node remembers what was asked of it in the last round.
            let mut nodes = Siblings::start(stage.cluster()?, ways, stage.scratch()).await?;
            let peak_rps = nodes.peak(&mut asked, lasts.div_f64(3.0)).await?;
            let cases = SIBLINGS_TIMES.map(|(case, times)| (case, times, false));
            for (case, times, kills) in cases.into_iter().chain([(KILLED, KILLED_TIMES, true)]) {
                let mut values = nodes.load(&mut asked, peak_rps * times, lasts, kills).await?;
                values.insert(Metric::Peak, peak_rps);
                progress(case, ways, round, &values);
                if ways == Ways::HandedOver {
                    eprintln!("     so far handed over: {}", nodes.handed().await?);
                }
                let (case, contender) = (case.to_owned(), ways.name().to_owned());
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
            stage.still_running()?;
        }
    }
    let place = |name: &str| Ways::ALL.iter().position(|ways| ways.name() == name);
    samples.sort_by_key(|sample| (place(&sample.contender), sample.round));
    let cases = SIBLINGS_TIMES.iter().map(|(case, times)| report(case, &about(*times))).collect::<Vec<_>>();
    let killed = format!(
        "{} Half way, one of the two that have little to do is killed; only visitors of the others count.",
        about(KILLED_TIMES)
    );
    Ok((cases.into_iter().chain([report(KILLED, &killed)]).collect(), samples))
}

fn report(name: &str, about: &str) -> CaseReport {
    let described =
        |ways: Ways| Described { name: ways.name().to_owned(), about: ways.about().to_owned(), missing: None };
    CaseReport {
        name: name.to_owned(),
        about: about.to_owned(),
        kind: Kind::Uneven,
        limit: Ways::Alone.name().to_owned(),
        contenders: Ways::ALL.map(described).to_vec(),
        load: None,
    }
}

fn about(times: f64) -> String {
    format!(
        "Visitors come {} times as fast as one node can answer them: each for a page of some milliseconds that nobody has asked \
         for, {} % of them to one node. The peak is what {OVERLOAD_PEAK_CONNECTIONS} connections get of that one which each \
         wait for an answer. In time is what is answered within {OVERLOAD_IN_TIME_MS} ms of the moment it was meant to be sent; \
         latencies are those of what was made. Whose request nobody has taken for {} s has gone. Each node has {SIBLINGS_CORES} \
         cores, by the kernel's quota.",
        number(times),
        number(100.0 * SIBLINGS_SHARES[0]),
        OVERLOAD_PATIENCE.as_secs(),
    )
}

type Values = BTreeMap<Metric, f64>;

/// Three nodes of one origin.
struct Siblings {
    members: Vec<Member>,
}

/// One of them. Its group can go only when its process has.
struct Member {
    node: Option<Beside>,
    address: SocketAddr,
    _quota: Quota,
}

impl Siblings {
    async fn start(cluster: &Cluster, ways: Ways, scratch: &Path) -> Result<Self> {
        let mut members = Vec::new();
        for name in ["x", "y", "z"] {
            let [visitors, admin] = free_addresses()?;
            let url = format!("http://{admin}");
            let more: &[&str] = match ways {
                Ways::HandedOver => &["--cores", "1", "--admin-url", &url],
                Ways::Alone => &["--cores", "1", "--no-hand-over"],
            };
            let folder = format!("node-{name}-{}", ways.name().replace(' ', "-"));
            // What the last round left.
            let _ = std::fs::remove_dir_all(scratch.join(&folder));
            let place = Place { name, folder: &folder, visitors, admin, origin: cluster.origin.address };
            let mut node = cluster.start_at(&place, None, more)?;
            node.wait_until_ready().await?;
            let quota = Quota::of(node.id(), SIBLINGS_CORES)?;
            members.push(Member { node: Some(node), address: visitors, _quota: quota });
        }
        // They hear of each other with the origin's answers to their heartbeats.
        tokio::time::sleep(SIBLINGS_HEARD).await;
        Ok(Self { members })
    }

    /// Of the one that most visitors come to. Twice, of which the first warms it up.
    async fn peak(&self, asked: &mut Asked, lasts: Duration) -> Result<f64> {
        let mut peak_rps = 0.0;
        for _ in 0..2 {
            let requests = asked.next((OVERLOAD_PEAK_MOST_RPS * lasts.as_secs_f64()) as usize)?;
            let (address, connections) = (self.members[0].address, OVERLOAD_PEAK_CONNECTIONS);
            let plan = Plan { address, requests, connections, threads: 1, judging: Judging::Strict };
            peak_rps = closed(&plan, lasts).await?.per_second();
        }
        Ok(peak_rps)
    }

    /// What became of what the busy one had no place for.
    async fn handed(&self) -> Result<Value> {
        let node = self.members[0].node.as_ref().context("BUG: the busy one is never killed")?;
        let request = Request::get(&node.admin.to_string(), "/status", &[]);
        let response = fetch(node.admin, &request).await?;
        let status: Value = serde_json::from_slice(response.body()).context("reading the node's status")?;
        Ok(status["handed"].clone())
    }

    async fn load(&mut self, asked: &mut Asked, rate_rps: f64, lasts: Duration, kills: bool) -> Result<Values> {
        let mut plans = Vec::new();
        for (member, share) in self.members.iter().zip(SIBLINGS_SHARES) {
            let rate_rps = rate_rps * share;
            let requests = asked.next((rate_rps * lasts.as_secs_f64()).ceil() as usize + 1)?;
            let (address, connections) = (member.address, SIBLINGS_CONNECTIONS);
            plans.push((Plan { address, requests, connections, threads: 1, judging: Judging::Noted }, rate_rps));
        }
        let load = |(plan, rate_rps): &(Plan, f64)| {
            let (plan, rate_rps) = (plan.clone(), *rate_rps);
            async move { impatient(&plan, rate_rps, lasts, OVERLOAD_PATIENCE).await.map(|(_, notes)| notes) }
        };
        let last = self.members.last_mut().context("BUG: three siblings")?;
        let killing = async {
            if kills {
                tokio::time::sleep(lasts.mul_f64(SIBLINGS_KILLED_AFTER)).await;
                last.node = None;
            }
            Ok(())
        };
        let (busy, idle, killed, ()) = tokio::try_join!(load(&plans[0]), load(&plans[1]), load(&plans[2]), killing)?;
        // Whose node is gone, their balancer sends elsewhere.
        let notes: Vec<Note> = if kills { [busy, idle].concat() } else { [busy, idle, killed].concat() };
        let made: Vec<Note> = notes.iter().filter(|note| !note.failed).copied().collect();
        let in_time = made.iter().filter(|note| note.latency_us <= OVERLOAD_IN_TIME_MS * 1e3).count();
        let by_sibling = made.iter().filter(|note| note.how == How::Sibling).count();
        Ok(BTreeMap::from([
            (Metric::Requests, notes.len() as f64),
            (Metric::Throughput, in_time as f64 / lasts.as_secs_f64()),
            (Metric::Failed, (notes.len() - made.len()) as f64),
            (Metric::BySibling, 100.0 * by_sibling as f64 / made.len().max(1) as f64),
            (Metric::LatencyP50, quantile(&made, 0.5)?),
            (Metric::LatencyP99, quantile(&made, 0.99)?),
        ]))
    }
}

fn progress(case: &str, ways: Ways, round: usize, values: &Values) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {case:<6} {:<11} peak {:>6.0}/s  in time {:>6.0}/s  {:>6.0} of {:>7.0} failed  {:>4.1} % by siblings  p50 {:>8.0} us \
         p99 {:>8.0} us",
        ways.name(),
        value(Metric::Peak),
        value(Metric::Throughput),
        value(Metric::Failed),
        value(Metric::Requests),
        value(Metric::BySibling),
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
    );
}
