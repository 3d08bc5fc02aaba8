//! Hits beside what a site is asked for as well: pages that have to be made, and searches on words that most of what there is has.
//! Hits are what most visitors wait for, and should not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Measured;
use super::stage::{HOST, Stage};
use crate::args::Run;
use crate::catalogue;
use crate::columns::Kind;
use crate::hot;
use crate::limits::{MIX_HOT_PAGES, MIX_OTHERS_CONNECTIONS, MIX_RPS, SEARCH_QUERIES};
use crate::load::{Judging, Note, Open, Plan, noted};
use crate::one_off::OneOff;
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::{Request, Requests};
use crate::sweep::sweep;
use crate::table::number;
use crate::value::Metric;

pub(super) const ABOUT: &str = "Hits at a fixed rate, alone and beside renders and searches on common words.";

const CASE: &str = "hits";
const ALONE: &str = "alone";
const MIXED: &str = "mixed";
/// Of all requests.
const HITS_SHARE: f64 = 0.9;
const RENDERS_SHARE: f64 = 0.09;
const SEARCHES_SHARE: f64 = 0.01;

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    let catalogue = stage.start_nearside(args, None).await?;
    let names = catalogue::names(&catalogue, usize::MAX)?;
    // There are few common words: some of the searches are the same.
    let common: BTreeSet<String> = catalogue::searches(&catalogue, SEARCH_QUERIES)?.common.into_iter().collect();
    let (address, process) = (stage.cluster()?.address, stage.cluster()?.node_process()?);
    let hot: Vec<String> = names.iter().take(MIX_HOT_PAGES).map(|name| hot::package(name)).collect();
    let hot = Arc::new(hot::requests(HOST, &hot));
    let searches = OneOff::new(HOST, common.into_iter().collect())?;
    let mut asked = Asked { packages: names[hot.len()..].to_vec(), renders: 0, searches };
    let rate_rps = args.rate.unwrap_or(MIX_RPS);
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        for contender in if round % 2 == 1 { [ALONE, MIXED] } else { [MIXED, ALONE] } {
            let turn = Turn { address, process, hot: &hot, rate_rps, settings };
            let others = (contender == MIXED).then_some(&mut asked);
            let values = turn.run(others).await.with_context(|| format!("{contender}, round {round}"))?;
            progress(contender, round, &values);
            let (case, contender) = (CASE.to_owned(), contender.to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            stage.still_running()?;
        }
    }
    samples.sort_by_key(|sample| (sample.contender == ALONE, sample.round));
    let described =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    let case = CaseReport {
        name: CASE.to_owned(),
        about: format!(
            "{} pages that are stored already are asked for, {} a second over {} connections for {} s. Beside them {} a second of \
             package pages that nobody has asked for yet, and {} a second of searches on the words most packages have, none of them \
             twice. Latencies are those of the hits, but where it says otherwise.",
            number(hot.len() as f64),
            number(rate_rps * HITS_SHARE),
            settings.connections,
            settings.seconds,
            number(rate_rps * RENDERS_SHARE),
            number(rate_rps * SEARCHES_SHARE),
        ),
        kind: Kind::Mixed,
        limit: ALONE.to_owned(),
        contenders: vec![
            described(MIXED, "hits beside the others"),
            described(ALONE, "the same hits, and nothing else"),
        ],
        load: None,
    };
    Ok((vec![case], samples))
}

/// What is asked for once.
struct Asked {
    packages: Vec<String>,
    renders: usize,
    searches: OneOff,
}

impl Asked {
    fn renders(&mut self, count: usize) -> Result<Arc<Requests>> {
        let next = self.packages.get(self.renders..self.renders + count);
        let next = next.context("the catalogue has too few packages for so many rounds: none is asked for twice")?;
        self.renders += count;
        let targets: Vec<String> = next.iter().map(|name| hot::package(name)).collect();
        Ok(Arc::new(Requests::new(hot::requests(HOST, &targets))?))
    }
}

struct Turn<'a> {
    address: SocketAddr,
    process: u32,
    hot: &'a Arc<Vec<Request>>,
    rate_rps: f64,
    settings: &'a Settings,
}

impl Turn<'_> {
    async fn run(self, others: Option<&mut Asked>) -> Result<BTreeMap<Metric, f64>> {
        // Asked for more than once, as what is hot is.
        for _ in 0..3 {
            sweep(self.address, self.hot).await?;
        }
        let lasts = Duration::from_secs_f64(self.settings.seconds);
        let hits = self.plan(Arc::new(Requests::new(self.hot.to_vec())?), self.settings.connections);
        let used = crate::run::Used::now(&[self.process])?;
        let (hits_rps, count) = (self.rate_rps * HITS_SHARE, |share: f64| {
            (self.rate_rps * share * self.settings.seconds).ceil() as usize + 1
        });
        let mut values = BTreeMap::new();
        let measured = match others {
            None => noted(&hits, hits_rps, lasts).await?,
            Some(asked) => {
                let renders = self.plan(asked.renders(count(RENDERS_SHARE))?, MIX_OTHERS_CONNECTIONS);
                let searches = self.plan(asked.searches.next(count(SEARCHES_SHARE))?, MIX_OTHERS_CONNECTIONS);
                let (hits, (renders, made), (searches, found)) = tokio::try_join!(
                    noted(&hits, hits_rps, lasts),
                    noted(&renders, self.rate_rps * RENDERS_SHARE, lasts),
                    noted(&searches, self.rate_rps * SEARCHES_SHARE, lasts),
                )?;
                ensure!(
                    made.iter().chain(&found).all(|note| !note.how.is_hit()),
                    "what nobody has asked for was stored"
                );
                values.extend([
                    (Metric::RendersP99, renders.p99_us),
                    (Metric::SearchesP50, searches.p50_us),
                    (Metric::SearchesP99, searches.p99_us),
                    (Metric::OthersFailed, (renders.failed + searches.failed) as f64),
                ]);
                hits
            }
        };
        values.extend(self.of_hits(&measured));
        values.insert(Metric::OthersCpu, crate::run::Used::now(&[self.process])?.others_share_since(&used));
        Ok(values)
    }

    fn of_hits(&self, (open, notes): &(Open, Vec<Note>)) -> BTreeMap<Metric, f64> {
        let hits = notes.iter().filter(|note| note.how.is_hit() && !note.failed).count();
        BTreeMap::from([
            (Metric::LatencyP50, open.p50_us),
            (Metric::LatencyP99, open.p99_us),
            (Metric::LatencyMax, open.max_us),
            (Metric::SendLateP99, open.send_late_p99_us),
            (Metric::Requests, open.requests as f64),
            (Metric::Hits, 100.0 * hits as f64 / notes.len().max(1) as f64),
            (Metric::Failed, open.failed as f64),
        ])
    }

    fn plan(&self, requests: Arc<Requests>, connections: usize) -> Plan {
        let (address, threads) = (self.address, self.settings.load_threads);
        Plan { address, requests, connections, threads, judging: Judging::Noted }
    }
}

fn progress(contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {contender:<5} p50 {:>5.0} us  p99 {:>6.0} us ({:>5.0} late)  hits {:>6.2} %  {:.0} failed  renders' p99 {:>6.0} us  \
         searches' {:>6.0} us",
        value(Metric::LatencyP50),
        value(Metric::LatencyP99),
        value(Metric::SendLateP99),
        value(Metric::Hits),
        value(Metric::Failed),
        value(Metric::RendersP99),
        value(Metric::SearchesP99),
    );
}
