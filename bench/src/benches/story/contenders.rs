//! The three ways to have the site, each with a store of its own, all on the same cores.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::super::stage::{APP, Stage};
use super::{NEARSIDE, NGINX, PLAIN};
use crate::args::Run;
use crate::connection::fetch;
use crate::cores::Cores;
use crate::limits::{CARRIED_PACKAGES, PEER_CACHE_MIB, STORY_DONE_POLL, STORY_DONE_TIMEOUT, STORY_WEBHOOK};
use crate::nearside::Beside;
use crate::nginx::Nginx;
use crate::origin::Origin;
use crate::peer_cache::{Fronted, Keeps};
use crate::receiver::Receiver;
use crate::request::Request;
use crate::serve::site::COUNT;

/// Keeps everything running that the contenders are made of.
pub(super) struct Cast {
    stage: Stage,
    pub(super) catalogue: std::path::PathBuf,
    pub(super) contenders: Vec<Contender>,
    _beside: Beside,
}

pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) about: String,
    /// Visitors are spread over these.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) processes: Vec<u32>,
    /// Where its webhooks arrive.
    pub(super) receiver: Receiver,
    behind: Behind,
}

/// Who is asked what was done.
enum Behind {
    Service(SocketAddr),
    Cluster { origin: Origin, admins: Vec<SocketAddr> },
}

/// Starts all of them where contenders run, and leaves this thread where the generator does.
pub(super) async fn start(args: &Run, cores: &Cores, about: &'static str) -> Result<Cast> {
    cores.be_generator()?;
    let receivers = [Receiver::start(STORY_WEBHOOK)?, Receiver::start(STORY_WEBHOOK)?, Receiver::start(STORY_WEBHOOK)?];
    let [of_plain, of_nginx, of_nearside] = receivers;
    cores.be_contenders()?;
    let mut stage = Stage::new(about)?;
    let catalogue = stage.catalogue(args, CARRIED_PACKAGES).await?;
    stage.start_packages_telling(args, &catalogue, of_nearside.address).await?;
    let beside = stage.cluster()?.start_beside("b", None).await?;
    let nearside = nearside(&stage, &beside, of_nearside)?;
    let release = stage.release_file().await?;
    let plain = service(&mut stage, args, PLAIN, &release, of_plain).await?;
    let mut fronted = service(&mut stage, args, NGINX, &release, of_nginx).await?;
    let front =
        Fronted { name: "story", upstream: fronted.addresses[0], keeps: Keeps::ForASecond, mib: PEER_CACHE_MIB };
    let nginx = Nginx::cache(&front, true, stage.scratch()).await?;
    fronted.about = format!("the same service, its pages kept for a second by {}", nginx.about);
    fronted.addresses = vec![nginx.address];
    fronted.processes.push(nginx.id());
    stage.keep(nginx);
    cores.be_generator()?;
    Ok(Cast { stage, catalogue, contenders: vec![plain, fronted, nearside], _beside: beside })
}

fn nearside(stage: &Stage, beside: &Beside, receiver: Receiver) -> Result<Contender> {
    let cluster = stage.cluster()?;
    Ok(Contender {
        name: NEARSIDE,
        about: "an origin and two nodes; each node has half of the visitors".to_owned(),
        addresses: vec![cluster.address, beside.address],
        processes: vec![cluster.origin_process(), cluster.node_process()?, beside.id()],
        receiver,
        behind: Behind::Cluster { origin: cluster.origin.clone(), admins: vec![cluster.admin, beside.admin] },
    })
}

/// The plain service with a copy of the release as its store.
async fn service(
    stage: &mut Stage,
    args: &Run,
    name: &'static str,
    release: &std::path::Path,
    receiver: Receiver,
) -> Result<Contender> {
    let folder = stage.scratch().join(format!("site-{name}"));
    fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let db = folder.join("site.db");
    fs::copy(release, &db).with_context(|| format!("copying the release to {}", db.display()))?;
    let app = args.root.join(APP).display().to_string();
    let url = format!("http://{}/reviews", receiver.address);
    let arguments = ["serve-site", "--db", &db.display().to_string(), "--app", &app, "--webhook", &url];
    let arguments = arguments.map(str::to_owned);
    let served = stage.serve(name, "", vec![Request::get("h", "/", &[])], &arguments).await?;
    Ok(Contender {
        name,
        about: "one service, hyper and rusqlite, in front of the write store: everything is done inside the request"
            .to_owned(),
        addresses: vec![served.address],
        processes: vec![served.process],
        receiver,
        behind: Behind::Service(served.address),
    })
}

impl Cast {
    /// Fails with the log of whoever has ended.
    pub(super) fn still_running(&mut self) -> Result<()> {
        self.stage.still_running()
    }
}

impl Contender {
    /// How many statements were run for pages since it started; none where nobody counts them.
    pub(super) async fn queries(&self) -> Result<Option<u64>> {
        match &self.behind {
            Behind::Service(address) => Ok(Some(text(*address, COUNT).await?.trim().parse().context("a count")?)),
            Behind::Cluster { admins, .. } => {
                let mut sum = None;
                for admin in admins {
                    let metrics = text(*admin, "/metrics").await?;
                    sum = counted(&metrics).map(|count| count + sum.unwrap_or(0)).or(sum);
                }
                Ok(sum)
            }
        }
    }

    /// Waits until everything is done that was put off.
    pub(super) async fn done(&self) -> Result<Duration> {
        let began = Instant::now();
        while self.waiting().await? > 0 {
            ensure!(began.elapsed() < STORY_DONE_TIMEOUT, "{}: work is left after {STORY_DONE_TIMEOUT:?}", self.name);
            sleep(STORY_DONE_POLL).await;
        }
        Ok(began.elapsed())
    }

    /// Tasks, and writes that nodes have taken and not delivered.
    async fn waiting(&self) -> Result<u64> {
        let Behind::Cluster { origin, admins } = &self.behind else { return Ok(0) };
        let tasks = origin.tasks().await?;
        let kinds = tasks["kinds"].as_object().context("the origin does not say which tasks there are")?;
        let count = |kind: &Value, state| kind[state].as_u64().unwrap_or(0);
        let mut waiting: u64 = kinds.values().map(|kind| count(kind, "due") + count(kind, "running")).sum();
        for admin in admins {
            let status: Value =
                serde_json::from_str(&text(*admin, "/status").await?).context("reading a node's status")?;
            waiting += status["outbox"]["waiting_writes"].as_u64().unwrap_or(0);
        }
        Ok(waiting)
    }
}

async fn text(address: SocketAddr, target: &str) -> Result<String> {
    let request = Request::get(&address.to_string(), target, &[]);
    let response = fetch(address, &request).await?;
    request.verify(&response)?;
    Ok(String::from_utf8_lossy(response.body()).into_owned())
}

/// What a node's metrics say of queries.
fn counted(metrics: &str) -> Option<u64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("nearside_app_queries_total{"));
    let mut counts = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).peekable();
    counts.peek()?;
    Some(counts.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_counts() {
        let metrics = "# TYPE nearside_app_queries_total counter\nnearside_app_queries_total{app=\"a\"} 3\n\
                       nearside_app_queries_total{app=\"b\"} 4\nother 9\n";
        assert_eq!(counted(metrics), Some(7));
        assert_eq!(counted("other 9\n"), None);
    }
}
