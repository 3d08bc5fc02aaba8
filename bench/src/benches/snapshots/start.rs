//! A node that starts with the release it has on its disk.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::Bench;
use super::cases::Taken;
use super::node::field;
use crate::connection::Connection;
use crate::limits::{READY_TIMEOUT, SETTLE, SHOWN_POLL};
use crate::nearside::Cluster;
use crate::request::Request;
use crate::response::Response;

/// What the start took, and what memory it left in use, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub(super) after: Duration,
    pub(super) resident: u64,
    pub(super) anonymous: u64,
    pub(super) file: u64,
}

pub(super) async fn measure(bench: &Bench<'_>, cluster: &mut Cluster, taken: &mut Taken) -> Result<()> {
    for round in 1..=bench.rounds {
        cluster.stop_node();
        sleep(SETTLE).await;
        let began = Instant::now();
        cluster.start_node()?;
        let answered = first_answer(cluster).await.context("starting the node again")?;
        let mut started = memory(cluster.node_process()?)?;
        started.after = answered.duration_since(began);
        eprintln!("  start {round}: {started:?}");
        taken.start(round, &started);
    }
    Ok(())
}

/// When the first page was there: whoever comes earlier is refused, or told to wait.
async fn first_answer(cluster: &mut Cluster) -> Result<Instant> {
    let request = Request::get(&format!("{}.localhost", cluster.origin.app), "/document/1", &[]);
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        if let Ok(mut connection) = Connection::open(cluster.address, Response::keeping()).await
            && connection.exchange(&request).await.is_ok()
            && connection.response.status == 200
        {
            return Ok(Instant::now());
        }
        cluster.still_running()?;
        ensure!(Instant::now() < deadline, "no page within {READY_TIMEOUT:?}:\n{}", cluster.log_tail());
        sleep(SHOWN_POLL).await;
    }
}

fn memory(process: u32) -> Result<Started> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let bytes = |name| field(&text, name).map(|kib| kib << 10).with_context(|| format!("{path} has no {name}"));
    Ok(Started {
        after: Duration::ZERO,
        resident: bytes("VmRSS")?,
        anonymous: bytes("RssAnon")?,
        file: bytes("RssFile")?,
    })
}
