//! Where webhooks arrive: a server in this process that takes its time, and remembers what it was told.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::limits::RECEIVER_BODY_BYTES;

/// Ends with the process.
#[derive(Debug)]
pub struct Receiver {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    delay_ms: AtomicU64,
    keys: Mutex<HashSet<String>>,
}

impl Receiver {
    /// Answers each after `delay`, from a thread of its own.
    pub fn start(delay: Duration) -> Result<Self> {
        let state = Arc::new(State::default());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening for webhooks")?;
        listener.set_nonblocking(true).context("listening for webhooks")?;
        let address = listener.local_addr()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
        let shared = state.clone();
        let run = move || runtime.block_on(accept(listener, shared));
        std::thread::Builder::new().name("webhooks".to_owned()).spawn(run).context("starting a thread")?;
        let receiver = Self { address, state };
        receiver.answer_after(delay);
        Ok(receiver)
    }

    pub fn answer_after(&self, delay: Duration) {
        self.state.delay_ms.store(delay.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Webhooks with different keys: one that came twice counts once.
    pub fn told(&self) -> u64 {
        self.state.keys.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let state = state.clone();
        let service = service_fn(move |request| answer(request, state.clone()));
        // A sender that goes away is the sender's affair.
        tokio::spawn(async move { http1::Builder::new().serve_connection(TokioIo::new(stream), service).await });
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let key = key(request.headers());
    let whole = Limited::new(request.into_body(), RECEIVER_BODY_BYTES).collect().await.is_ok();
    tokio::time::sleep(Duration::from_millis(state.delay_ms.load(Ordering::Relaxed))).await;
    let mut response = Response::new(Empty::new());
    *response.status_mut() = match key {
        Some(key) if whole => {
            state.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            StatusCode::NO_CONTENT
        }
        _ => StatusCode::BAD_REQUEST,
    };
    Ok(response)
}

/// What stays the same when a webhook is sent again.
fn key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key").or_else(|| headers.get("webhook-id"))?;
    key.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::connection::fetch;

    #[tokio::test]
    async fn a_webhook_counts_once_and_is_answered_after_a_while() {
        let receiver = Receiver::start(Duration::from_millis(30)).unwrap();
        for (key, told) in [("a", 1), ("b", 2), ("a", 2)] {
            let request = crate::request::Request::with_body("POST", "h", "/", &[("Idempotency-Key", key)], b"{}");
            let began = Instant::now();
            assert_eq!(fetch(receiver.address, &request).await.unwrap().status, 204);
            assert!(began.elapsed() >= Duration::from_millis(30));
            assert_eq!(receiver.told(), told);
        }
        let without = crate::request::Request::with_body("POST", "h", "/", &[], b"{}");
        assert_eq!(fetch(receiver.address, &without).await.unwrap().status, 400);
    }
}
