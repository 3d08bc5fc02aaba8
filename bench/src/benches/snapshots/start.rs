//! A node that starts with the release it has on its disk.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::time::sleep;

use super::Bench;
use super::cases::Taken;
use crate::connection::Connection;
use crate::limits::{READY_TIMEOUT, SETTLE, SHOWN_POLL};
use crate::nearside::Cluster;
use crate::request::Request;
use crate::resident::Resident;
use crate::response::Response;

/// What the start took, and what memory it left in use.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub(super) after: Duration,
    pub(super) resident: Resident,
}

pub(super) async fn measure(bench: &Bench<'_>, cluster: &mut Cluster, taken: &mut Taken) -> Result<()> {
    for round in 1..=bench.rounds {
        cluster.stop_node();
        sleep(SETTLE).await;
        let began = Instant::now();
        cluster.start_node()?;
        let answered = first_answer(cluster).await.context("starting the node again")?;
        let resident = Resident::of(cluster.node_process()?)?;
        let started = Started { after: answered.duration_since(began), resident };
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
