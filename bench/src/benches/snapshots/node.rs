//! One change, followed from the origin's answer to the node's page.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nearside_protocol::limits::PUBLISH_COMPANY;
use tokio::time::sleep;

use super::edit::Edit;
use crate::connection::Connection;
use crate::limits::{SETTLE, SHOWN_POLL, SHOWN_TIMEOUT};
use crate::nearside::Cluster;
use crate::page_files::PAGE_BYTES;
use crate::request::Request;
use crate::resident::field;
use crate::response::Response;

/// What it took to bring one change to the node.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) there: Duration,
    /// How long of it the origin waited for more to publish; nothing after a push.
    pub(super) pause: Option<Duration>,
    pub(super) wire_bytes: u64,
    pub(super) written_pages: f64,
}

/// Applies the edit and watches the node's page until it shows it.
pub(super) async fn follow(cluster: &mut Cluster, edit: &mut Edit, round: usize) -> Result<Change> {
    let before = Counters::settled(cluster).await?;
    let mut page = Page::open(cluster, "/newest").await?;
    let revision = edit.apply(cluster, round).await?;
    let answered = Instant::now();
    let shown = page.until(|page| newest(page.body()).is_some_and(|newest| newest >= revision)).await;
    let there = shown.with_context(|| format!("waiting for revision {revision} at the node"))?.duration_since(answered);
    cluster.still_running()?;
    before.since(cluster, there, Some(PUBLISH_COMPANY)).await
}

/// What the node has pulled and written so far.
pub(super) struct Counters {
    pulled_bytes: u64,
    written_bytes: u64,
}

impl Counters {
    /// After it has come to rest.
    pub(super) async fn settled(cluster: &Cluster) -> Result<Counters> {
        sleep(SETTLE).await;
        let pulled_bytes = cluster.status().await?.pulled_bytes;
        Ok(Counters { pulled_bytes, written_bytes: written_bytes(cluster.node_process()?)? })
    }

    pub(super) async fn since(self, cluster: &Cluster, there: Duration, pause: Option<Duration>) -> Result<Change> {
        let now = Counters::settled(cluster).await?;
        Ok(Change {
            there,
            pause,
            wire_bytes: now.pulled_bytes - self.pulled_bytes,
            written_pages: (now.written_bytes - self.written_bytes) as f64 / PAGE_BYTES as f64,
        })
    }
}

/// One page of the node, asked for again and again on one connection.
pub(super) struct Page {
    connection: Connection,
    request: Request,
}

impl Page {
    pub(super) async fn open(cluster: &Cluster, target: &str) -> Result<Page> {
        let host = format!("{}.localhost", cluster.origin.app);
        let connection = Connection::open(cluster.address, Response::keeping()).await?;
        Ok(Page { connection, request: Request::get(&host, target, &[]) })
    }

    /// When it was first as wanted. Fails on any answer but a 200.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Response) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + SHOWN_TIMEOUT;
        loop {
            self.connection.exchange(&self.request).await?;
            let answered = Instant::now();
            self.request.verify(&self.connection.response)?;
            if wanted(&self.connection.response) {
                return Ok(answered);
            }
            ensure!(answered < deadline, "it was not there within {SHOWN_TIMEOUT:?}");
            sleep(SHOWN_POLL).await;
        }
    }
}

/// The first number of `/newest`.
fn newest(body: &[u8]) -> Option<u64> {
    std::str::from_utf8(body).ok()?.split(' ').next()?.parse().ok()
}

/// What the process caused to be written to disks, from `/proc` (proc_pid_io(5)): whole pages of 4 KiB, at the moment
/// they were changed in memory.
fn written_bytes(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/io");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    field(&text, "write_bytes").with_context(|| format!("{path} has no write_bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        assert_eq!(newest(b"12 340\n"), Some(12));
        assert_eq!(newest(b""), None);
    }

    #[test]
    fn this_process_has_written_something_or_nothing() {
        assert!(written_bytes(std::process::id()).is_ok());
    }
}
