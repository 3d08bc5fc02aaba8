//! Every address once, as fast as a few connections can.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::limits::{SWEEP_CONNECTIONS, SWEEP_TIMEOUT};
use crate::load::{Note, Times};
use crate::request::Request;
use crate::response::Response;

/// What was noted of each, in the order of the requests, and the bytes of all bodies. Fails on a status that is not
/// expected.
pub async fn sweep(address: SocketAddr, requests: &Arc<Vec<Request>>) -> Result<(Vec<Note>, u64)> {
    let cursor = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..SWEEP_CONNECTIONS.min(requests.len()) {
        tasks.spawn(some(address, requests.clone(), cursor.clone()));
    }
    let all = async {
        let (mut all, mut bytes) = (Vec::with_capacity(requests.len()), 0);
        while let Some(done) = tasks.join_next().await {
            let (notes, of_these) = done.context("a sweep panicked")??;
            all.extend(notes);
            bytes += of_these;
        }
        anyhow::Ok((all, bytes))
    };
    let swept = tokio::time::timeout(SWEEP_TIMEOUT, all).await;
    let (mut all, bytes) = swept.with_context(|| format!("a sweep took over {SWEEP_TIMEOUT:?}"))??;
    all.sort_by_key(|note| note.request);
    Ok((all, bytes))
}

async fn some(address: SocketAddr, requests: Arc<Vec<Request>>, cursor: Arc<AtomicUsize>) -> Result<(Vec<Note>, u64)> {
    let mut connection = Connection::open(address, Response::heads()).await?;
    let (mut notes, mut bytes) = (Vec::new(), 0);
    loop {
        let index = cursor.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(index) else { return Ok((notes, bytes)) };
        let began = Instant::now();
        connection.exchange(request).await?;
        request.verify(&connection.response)?;
        bytes += connection.response.body_bytes;
        let first_byte = connection.began_at.map_or_else(|| began.elapsed(), |at| at.duration_since(began));
        let times = Times { at: Duration::ZERO, first_byte, latency: began.elapsed() };
        notes.push(Note::new(index, times, false, &connection.response));
    }
}
