//! How things stand, for pages that are open: which version of the app is served, and what keeps a newer one away.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response};
use http_body_util::{BodyExt, channel::Channel};
use serde::Serialize;
use tokio::sync::watch;

use super::{page, trouble::Trouble};
use crate::local::{Body, BoxError};

pub const EVENTS_PATH: &str = "/_nearside/events";

/// A connection that nothing is said on is closed by some on the way.
const STILL_THERE: Duration = Duration::from_secs(15);
/// How long the browser waits before it connects again.
const RETRY_MS: u64 = 500;

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct State {
    /// Of the app that is served; empty before there is one.
    pub version: String,
    /// Why what was written last is not what is served.
    pub trouble: Option<Trouble>,
}

/// Tells each change of the state, beginning with how it stands, until `ended`.
pub fn events(mut state: watch::Receiver<State>, ended: impl Future<Output = ()> + Send + 'static) -> Response<Body> {
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(4);
    tokio::spawn(async move {
        let mut ended: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(ended);
        let mut said = format!("retry: {RETRY_MS}\n\n");
        loop {
            let now = state.borrow_and_update().clone();
            let json = serde_json::to_string(&now).expect("BUG: words make JSON");
            said.push_str(&format!("data: {json}\n\n"));
            // It fails when the page is gone.
            if sender.send_data(Bytes::from(std::mem::take(&mut said))).await.is_err() {
                return;
            }
            let moved = loop {
                tokio::select! {
                    moved = state.changed() => break moved.is_ok(),
                    () = &mut ended => break false,
                    () = tokio::time::sleep(STILL_THERE) => {
                        if sender.send_data(Bytes::from_static(b":\n\n")).await.is_err() {
                            return;
                        }
                    }
                }
            };
            if !moved {
                return;
            }
        }
    });
    let mut response = page::answered("text/event-stream", Bytes::new()).map(|_| body.boxed_unsync());
    // Whoever passes it on passes it on at once.
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
