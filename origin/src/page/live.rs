//! Following the page: the parts that have changed, as server-sent events, until the session is over or the origin stops.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{
    BodyExt,
    channel::{Channel, Sender},
};
use nearside_protocol::{digest::Digest, limits};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{frame, session::Session};
use crate::{api_error::ApiError, body::Body, origin::Origin};

/// Events that may wait for their connection.
const PIECES: usize = 2;

pub(super) fn follow(origin: &Arc<Origin>, session: Session) -> Result<Response<Body>, ApiError> {
    let full = || {
        let why = format!("{} pages follow already; that is the most", limits::FLEET_WATCHERS);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why)
    };
    let place = origin.page.watchers.clone().try_acquire_owned().map_err(|_| full())?;
    let (sender, body) = Channel::<Bytes, std::io::Error>::new(PIECES);
    tokio::spawn(run(origin.clone(), session, sender, place));
    let mut response = Response::new(body.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // What stands in between is to pass each event on at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

async fn run(
    origin: Arc<Origin>,
    session: Session,
    mut sender: Sender<Bytes, std::io::Error>,
    _place: OwnedSemaphorePermit,
) {
    let mut stopping = origin.stopping();
    let mut sent: BTreeMap<&'static str, Digest> = BTreeMap::new();
    let mut sent_at = Instant::now();
    let mut every = tokio::time::interval(limits::FLEET_PAGE_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let is_over = session.holder(&origin).is_none();
        let mut events = match is_over {
            true => "event: over\ndata:\n\n".to_owned(),
            false => news(&origin, &mut sent).await,
        };
        if events.is_empty() {
            if sent_at.elapsed() < limits::FLEET_PAGE_HEARTBEAT {
                continue;
            }
            events.push_str(":\n\n");
        }
        sent_at = Instant::now();
        tokio::select! {
            sent = sender.send_data(events.into()) => if sent.is_err() || is_over { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// The parts that are others than those sent before.
async fn news(origin: &Origin, sent: &mut BTreeMap<&'static str, Digest>) -> String {
    let facts = origin.page.gatherer.facts(origin).await;
    let mut events = String::new();
    for (part, markup) in frame::parts(&facts) {
        let html = markup.into_string();
        let digest = Digest::of(html.as_bytes());
        if sent.insert(part, digest) != Some(digest) {
            // JSON has no line breaks, which would end the event.
            let data = serde_json::json!({ "part": part, "html": html });
            events.push_str(&format!("event: part\ndata: {data}\n\n"));
        }
    }
    events
}
