//! A plain server whose answers take a while and differ each time: equal answers are of one request to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body_util::Full;

use super::{Answer, serve_async};
use crate::args::ServeWait;

pub fn run(args: &ServeWait) -> Result<()> {
    let (wait, answered) = (Duration::from_millis(args.ms), Arc::new(AtomicU64::new(0)));
    serve_async(&args.listen, move |request| answer(request.uri().query().is_some_and(keeps), wait, answered.clone()))
}

/// An address with `keep` may be kept.
fn keeps(query: &str) -> bool {
    query.split('&').any(|parameter| parameter.split('=').next() == Some("keep"))
}

async fn answer(keep: bool, wait: Duration, answered: Arc<AtomicU64>) -> Answer {
    let number = answered.fetch_add(1, Ordering::Relaxed);
    tokio::time::sleep(wait).await;
    let mut response = Response::new(Full::new(Bytes::from(format!("{number:020}\n"))));
    let control = if keep { "max-age=600" } else { "no-store" };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(control));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_differ_and_say_whether_they_may_be_kept() {
        assert!(keeps("ms=1&keep=1") && keeps("keep") && !keeps("keeper=1"));
        let answered = Arc::new(AtomicU64::new(0));
        let kept = answer(true, Duration::ZERO, answered.clone()).await;
        assert_eq!(kept.headers()[CACHE_CONTROL], "max-age=600");
        let other = answer(false, Duration::ZERO, answered.clone()).await;
        assert_eq!(other.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(answered.load(Ordering::Relaxed), 2);
    }
}
