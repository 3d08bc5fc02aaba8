//! Many ask for one page at once that takes a while: it should be made once, and nobody should wait longer than that
//! takes; where it must be made for each of them, waiting for the first should not cost much.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Measured;
use super::stage::Stage;
use crate::args::Run;
use crate::columns::Kind;
use crate::connection::{Connection, fetch};
use crate::limits::{CROWD_ALONE, CROWD_MS, CROWD_TIMEOUT, PEER_CACHE_MIB};
use crate::nginx::Nginx;
use crate::peer_cache::{Fronted, Keeps};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::request::Request;
use crate::response::Response;
use crate::value::Metric;
use crate::varnish::Varnish;

pub(super) const ABOUT: &str = "One page that takes 100 ms, asked for by 50 and 500 at once while nobody has it: a \
                                node renders it, the others have it from a plain server that waits as long.";

const APP: &str = "modules/probe";
const NAME: &str = "probe";
const HOST: &str = "probe.localhost";

/// Without any cache: the limit.
const PLAIN: &str = "plain";
/// What a node does where nothing can be shared.
const APART: &str = "apart";

/// A case, how many come at once, and whether what they get may be kept.
const CASES: [(&str, usize, bool); 4] =
    [("50", 50, true), ("500", 500, true), ("50, not to be kept", 50, false), ("500, not to be kept", 500, false)];

/// Who is asked.
struct Asked {
    name: &'static str,
    about: String,
    address: SocketAddr,
    /// Each of a crowd asks for a page of its own.
    apart: bool,
}

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let mut stage = Stage::new(ABOUT)?;
    stage.start_app(&args.root.join(APP), NAME).await?;
    let arguments = ["serve-wait", "--ms", &CROWD_MS.to_string()].map(str::to_owned);
    let plain = stage.serve(PLAIN, "", vec![Request::get(HOST, "/", &[])], &arguments).await?.address;
    let fronted = |name| Fronted { name, upstream: plain, keeps: Keeps::AsSaid, mib: PEER_CACHE_MIB };
    let nginx = Nginx::cache(&fronted("plain"), false, stage.scratch()).await?;
    let locked = Nginx::cache(&fronted("locked"), true, stage.scratch()).await?;
    let varnish = Varnish::start(&fronted("plain"), stage.scratch()).await?;
    let node = stage.cluster()?.address;
    let asked = |name, about: &str, address| Asked { name, about: about.to_owned(), address, apart: name == APART };
    let all = [
        asked("nearside", "a node that renders the page", node),
        asked("nginx", &nginx.about, nginx.address),
        asked("nginx, lock", &locked.about, locked.address),
        asked("varnish", &varnish.about, varnish.address),
        asked(APART, "the same node asked for as many different pages: nothing can be shared", node),
        asked(PLAIN, "raw hyper that waits 100 ms for each, with nothing in front", plain),
    ];

    let (mut cases, mut samples, mut crowds) = (Vec::new(), Vec::new(), 0);
    for (case, people, keep) in CASES {
        for round in 0..settings.rounds {
            let first = round % all.len();
            for asked in all[first..].iter().chain(&all[..first]) {
                let crowd = Crowd { asked, people, keep, number: &mut crowds };
                let values = crowd.gather().await;
                let values = values.with_context(|| format!("{case}, {}, round {}", asked.name, round + 1))?;
                progress(case, asked.name, round + 1, &values);
                let (case, contender) = (case.to_owned(), asked.name.to_owned());
                let round = round + 1;
                samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
            }
        }
        let kept = if keep { "may be kept" } else { "must be made for each" };
        let describe = |asked: &Asked| Described { name: asked.name.into(), about: asked.about.clone(), missing: None };
        cases.push(CaseReport {
            name: case.to_owned(),
            about: format!(
                "{people} connections ask at once for one page that takes {CROWD_MS} ms and {kept}; nobody has asked for \
                 it before."
            ),
            kind: Kind::Crowd,
            limit: PLAIN.to_owned(),
            contenders: all.iter().map(describe).collect(),
            load: None,
        });
    }
    let place = |sample: &Sample| {
        let case = CASES.iter().position(|case| case.0 == sample.case);
        (case, all.iter().position(|asked| asked.name == sample.contender))
    };
    samples.sort_by_key(place);
    Ok((cases, samples))
}

struct Crowd<'a> {
    asked: &'a Asked,
    people: usize,
    keep: bool,
    /// Of pages nobody has asked for yet.
    number: &'a mut u64,
}

/// One answer, and when it was there.
struct Given {
    after: Duration,
    status: u16,
    body: Vec<u8>,
}

impl Crowd<'_> {
    async fn gather(mut self) -> Result<BTreeMap<Metric, f64>> {
        let mut alone = Vec::new();
        for _ in 0..CROWD_ALONE {
            let request = self.next();
            let began = Instant::now();
            request.verify(&fetch(self.asked.address, &request).await?)?;
            alone.push(began.elapsed());
        }
        alone.sort_unstable();
        let alone = alone[alone.len() / 2].as_secs_f64() * 1e3;

        let one = self.next();
        let requests: Vec<Request> =
            (0..self.people).map(|_| if self.asked.apart { self.next() } else { one.clone() }).collect();
        let given = tokio::time::timeout(CROWD_TIMEOUT, all_at_once(self.asked.address, requests)).await;
        let mut given = given.with_context(|| format!("not everyone was answered within {CROWD_TIMEOUT:?}"))??;
        given.sort_by_key(|given| given.after);
        let ms = |given: &Given| given.after.as_secs_f64() * 1e3;
        let (middle, last) = (ms(&given[given.len() / 2]), ms(&given[given.len() - 1]));
        let good = || given.iter().filter(|given| given.status == 200);
        let renders: BTreeSet<&[u8]> = good().map(|given| given.body.as_slice()).collect();
        Ok(BTreeMap::from([
            (Metric::Renders, renders.len() as f64),
            (Metric::Alone, alone),
            (Metric::WaiterP50, middle),
            (Metric::WaiterP50Over, middle - alone),
            (Metric::WaiterMax, last),
            (Metric::Failed, (given.len() - good().count()) as f64),
        ]))
    }

    fn next(&mut self) -> Request {
        *self.number += 1;
        let keep = if self.keep { "&keep=1" } else { "" };
        Request::get(HOST, &format!("/wait?ms={CROWD_MS}{keep}&n={}", self.number), &[])
    }
}

/// Connects everyone, then lets all ask. Each is timed from its own sending: that sending five hundred takes this
/// program a while is nobody's wait.
async fn all_at_once(address: SocketAddr, requests: Vec<Request>) -> Result<Vec<Given>> {
    let together = Arc::new(Barrier::new(requests.len()));
    let mut tasks = JoinSet::new();
    for request in requests {
        let mut connection = Connection::open(address, Response::keeping()).await?;
        let together = together.clone();
        tasks.spawn(async move {
            together.wait().await;
            let began = Instant::now();
            connection.exchange(&request).await?;
            let (ended, response) = (Instant::now(), &connection.response);
            anyhow::Ok(Given { after: ended - began, status: response.status, body: response.body().to_vec() })
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        all.push(done.context("one of the crowd panicked")??);
    }
    Ok(all)
}

fn progress(case: &str, contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {case} {round}: {contender:<11} {:>3.0} renders, alone {:>5.1} ms  p50 {:>6.1} ms  max {:>6.1} ms  {:.0} \
         failed",
        value(Metric::Renders),
        value(Metric::Alone),
        value(Metric::WaiterP50),
        value(Metric::WaiterMax),
        value(Metric::Failed),
    );
}
