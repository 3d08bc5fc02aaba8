//! What a push leaves of the cache: 10,000 addresses, asked for by Zipf's law, while packages are changed and reviewed.
//! Beside it, under the same load after the same pushes, a cache that is dropped each time.

mod edits;
mod judged;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::Measured;
use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::columns::Kind;
use crate::hot;
use crate::limits::{
    CARRIED_BEFORE, CARRIED_CACHE_MIB, CARRIED_PACKAGES, CARRIED_PUSHED, HOT_ADDRESSES, HOT_RATE, SETTLE, SHOWN_TIMEOUT,
};
use crate::load::{Judging, Note, Open, Plan, noted};
use crate::nearside::{Beside, POLL};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::sweep::sweep;
use crate::table::number;
use crate::value::Metric;
use edits::Edits;

pub(super) const ABOUT: &str = "What a push leaves of a node's cache, and what visitors notice of it, beside a cache \
                                that is dropped at each push.";

const CARRIED: &str = "carried";
/// What everyone does who cannot tell which pages a change touches: the limit.
const DROPPED: &str = "dropped";

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    let catalogue = stage.catalogue(args, CARRIED_PACKAGES).await?;
    let targets = hot::targets(&catalogue, HOT_ADDRESSES)?;
    stage.start_packages(args, &catalogue, Some(CARRIED_CACHE_MIB)).await?;
    let edits = Edits::new(&catalogue, stage.scratch(), &targets)?;
    let requests = hot::requests(HOST, &targets);
    let uncached = stage.cluster()?.start_beside("uncached", Some(0)).await?;
    let rate_rps = args.rate.unwrap_or(HOT_RATE);
    let mut bench = Bench {
        requests: Arc::new(Requests::in_order(requests.clone(), hot::zipf(requests.len()))?),
        all: Arc::new(requests),
        stage,
        uncached,
        edits,
        settings,
        rate_rps,
    };
    let (mut cases, mut samples) = (Vec::new(), Vec::new());
    for packages in CARRIED_PUSHED {
        let name = packages.to_string();
        for round in 1..=settings.rounds {
            // Whoever is first in one round is second in the next.
            let both = if round % 2 == 1 { [CARRIED, DROPPED] } else { [DROPPED, CARRIED] };
            for contender in both {
                let values = match contender {
                    CARRIED => bench.carried(packages).await,
                    _ => bench.dropped(packages).await,
                };
                let values = values.with_context(|| format!("{name}, {contender}, round {round}"))?;
                progress(&name, contender, round, &values);
                let (case, contender) = (name.clone(), contender.to_owned());
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
        }
        cases.push(bench.case(packages));
    }
    samples.sort_by_key(|sample| (sample.case != CARRIED_PUSHED[0].to_string(), sample.contender != CARRIED));
    Ok((cases, samples))
}

struct Bench<'a> {
    stage: Stage,
    /// Renders everything: what it says is right.
    uncached: Beside,
    edits: Edits,
    /// Each address once, and the same in the order in which visitors ask.
    all: Arc<Vec<Request>>,
    requests: Arc<Requests>,
    settings: &'a Settings,
    rate_rps: f64,
}

impl Bench<'_> {
    /// The load, the push in it, and then every address from this node and from one that renders everything.
    async fn carried(&mut self, packages: usize) -> Result<BTreeMap<Metric, f64>> {
        let cluster = self.stage.cluster()?;
        let node = cluster.address;
        let before_release = self.settled(&[]).await?;
        sweep(node, &self.all).await?;
        let (before, _) = sweep(node, &self.all).await?;

        let lasts = Duration::from_secs_f64(self.settings.seconds);
        let (plan, rate_rps) = (self.plan(node), self.rate_rps);
        let edits = &mut self.edits;
        let push = async {
            sleep(CARRIED_BEFORE).await;
            let began = Instant::now();
            edits.push(packages, &cluster.origin).await?;
            anyhow::Ok(began.elapsed())
        };
        let ((open, notes), took) = tokio::try_join!(noted(&plan, rate_rps, lasts), push)?;
        let release = self.settled(&[]).await?;
        ensure!(release > before_release, "nothing was published");
        let (swept, _) = sweep(node, &self.all).await?;
        let (right, _) = sweep(self.uncached.address, &self.all).await?;
        ensure!(right.iter().all(|note| note.release == Some(release)), "a release came while addresses were compared");

        let around: Vec<Note> = notes.iter().chain(&swept).copied().collect();
        let judged = judged::judge(&before, &around, &right, release);
        let (hits_before, hits) =
            judged::hits(&notes, before_release).context("the push took longer than the load: give more --seconds")?;
        let mut values = latencies(&open);
        values.extend([
            (Metric::HitsBefore, hits_before),
            (Metric::Hits, hits),
            (Metric::HitsLost, hits_before - hits),
            (Metric::ByPages, judged.share(judged.by_pages)),
            (Metric::ByRows, judged.share(judged.by_rows)),
            (Metric::Ahead, judged.share(judged.ahead)),
            (Metric::OnDemand, judged.share(judged.on_demand)),
            (Metric::SamePages, judged.same as f64),
            (Metric::SameKept, 100.0 * judged.same_kept as f64 / judged.same.max(1) as f64),
            (Metric::Stale, judged.stale as f64),
            (Metric::Pushed, took.as_secs_f64() * 1e3),
        ]);
        Ok(values)
    }

    /// The same push, and the load right after it on a node that has the release and has been asked for nothing.
    async fn dropped(&mut self, packages: usize) -> Result<BTreeMap<Metric, f64>> {
        let cluster = self.stage.cluster()?;
        let before = self.settled(&[]).await?;
        self.edits.push(packages, &cluster.origin).await?;
        let empty = cluster.start_beside("dropped", Some(CARRIED_CACHE_MIB)).await?;
        ensure!(self.settled(&[&empty]).await? > before, "nothing was published");
        let lasts = Duration::from_secs_f64(self.settings.seconds).saturating_sub(CARRIED_BEFORE);
        let (open, notes) = noted(&self.plan(empty.address), self.rate_rps, lasts).await?;
        let mut values = latencies(&open);
        values.insert(Metric::Hits, judged::hit_percent(notes.iter()).context("BUG: a load of nothing")?);
        Ok(values)
    }

    /// Waits until every node serves the same release and no newer one comes; its number.
    async fn settled(&self, others: &[&Beside]) -> Result<u64> {
        let cluster = self.stage.cluster()?;
        let (mut since, mut last) = (Instant::now(), String::new());
        let deadline = Instant::now() + SHOWN_TIMEOUT;
        loop {
            let release = cluster.status().await?.release;
            let mut same = release == last;
            for other in others.iter().copied().chain([&self.uncached]) {
                same &= cluster.status_at(other.admin).await?.release == release;
            }
            if !same {
                (since, last) = (Instant::now(), release);
            } else if since.elapsed() > SETTLE * 2 {
                let number = release.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
                return number.with_context(|| format!("a release called {release:?}"));
            }
            ensure!(Instant::now() < deadline, "the nodes do not settle on one release");
            sleep(POLL).await;
        }
    }

    fn plan(&self, address: SocketAddr) -> Plan {
        Plan {
            address,
            requests: self.requests.clone(),
            connections: self.settings.connections,
            threads: self.settings.load_threads,
            judging: Judging::Noted,
        }
    }

    fn case(&self, packages: usize) -> CaseReport {
        let about = format!(
            "{packages} of {} packages are revised, half of them among those asked for, and {packages} reviews are \
             posted, while {} addresses are asked for by Zipf's law, {} a second over {} connections; all are in the \
             cache before. {} s, of which the first {} s are before the push.",
            number(self.edits.packages() as f64),
            number(self.all.len() as f64),
            number(self.rate_rps),
            self.settings.connections,
            self.settings.seconds,
            CARRIED_BEFORE.as_secs(),
        );
        let describe =
            |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
        let contenders = vec![
            describe(CARRIED, "a node; shares are of all addresses, by their first answers after the push"),
            describe(
                DROPPED,
                "a node with an empty cache, loaded from the moment it has the release: the origin's work on the push is \
                 over by then, and not in its latencies",
            ),
        ];
        let (name, kind, limit) = (packages.to_string(), Kind::Carried, DROPPED.to_owned());
        CaseReport { name, about, kind, limit, contenders, load: None }
    }
}

fn latencies(open: &Open) -> BTreeMap<Metric, f64> {
    BTreeMap::from([
        (Metric::LatencyP50, open.p50_us),
        (Metric::LatencyP99, open.p99_us),
        (Metric::LatencyMax, open.max_us),
        (Metric::Failed, open.failed as f64),
    ])
}

fn progress(case: &str, contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {case} {round}: {contender:<7} hits {:>6.2} -> {:>6.2} %  p99 {:>7.0} us  pages {:>5.1} rows {:>5.1} ahead \
         {:>4.1} demand {:>5.1} %  same {:.0}, kept {:.2} %  {:.0} stale, {:.0} failed  (pushed in {:.0} ms)",
        value(Metric::HitsBefore),
        value(Metric::Hits),
        value(Metric::LatencyP99),
        value(Metric::ByPages),
        value(Metric::ByRows),
        value(Metric::Ahead),
        value(Metric::OnDemand),
        value(Metric::SamePages),
        value(Metric::SameKept),
        value(Metric::Stale),
        value(Metric::Failed),
        value(Metric::Pushed),
    );
}
