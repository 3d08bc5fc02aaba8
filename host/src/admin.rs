//! The operator's listener: health, status, metrics, logs, the cache, and what siblings may take. Loopback by default; who comes
//! from elsewhere shows a token.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use http_body_util::{Either, Full};
use nearside_protocol::{
    hand_over::PATH,
    problem::{self, Problem},
    status::NodeStatus,
};
use serde::Serialize;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    gate::Gate,
    hand_over,
    host::Host,
    inspect::InspectError,
    logs::{self, Logs},
    metrics,
    origin_client::OriginClient,
    peer::Peer,
    replica::Replica,
    serve::accept,
};

/// What the operator is answered from.
pub struct Admin {
    pub host: Arc<Host>,
    pub origin: Option<Arc<OriginClient>>,
    pub logs: Logs,
    pub replica: Replica,
    pub peer: Peer,
    pub gate: Gate,
    /// A release that may be further behind than this makes the node unready.
    pub max_staleness: Option<Duration>,
}

pub async fn serve(admin: Arc<Admin>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let answer = move |request: http::Request<hyper::body::Incoming>, client: SocketAddr| {
        let (admin, stopping) = (admin.clone(), stopping.clone());
        async move { admin.respond(request, client, stopping).await }
    };
    let shutdown = async move {
        shutdown.await;
        // Those who follow the log would be waited for.
        stop.send_replace(true);
    };
    accept(listener, answer, shutdown).await;
}

impl Admin {
    async fn respond(
        &self,
        request: http::Request<hyper::body::Incoming>,
        client: SocketAddr,
        stopping: watch::Receiver<bool>,
    ) -> Response<logs::Body> {
        if let Err(why) = self.gate.lets_in(request.method(), request.uri().path(), client.ip(), request.headers()) {
            tracing::debug!(path = request.uri().path(), from = %client.ip(), cause = %why, "not answered");
            return refused(why.status(), &why);
        }
        if (request.method(), request.uri().path()) == (&Method::POST, PATH) {
            return hand_over::answer(&self.host, request).await.map(Either::Left);
        }
        let uri = request.uri();
        match (request.method(), uri.path()) {
            (&Method::GET, _) => {}
            (&Method::DELETE, "/cache") => return self.cached(uri, Host::purge).await,
            (&Method::POST, "/outbox/retry") => return self.retry(),
            _ => {
                let only = "GET only; and DELETE of /cache, POST to /outbox/retry\n";
                return plain(StatusCode::METHOD_NOT_ALLOWED, only.into());
            }
        }
        match uri.path() {
            "/cache" => self.cached(uri, Host::stored).await,
            "/cache/explain" => self.cached(uri, Host::explain).await,
            "/livez" => plain(StatusCode::OK, "alive\n".into()),
            "/readyz" => match unready(&self.host, self.max_staleness) {
                None => plain(StatusCode::OK, "ready\n".into()),
                Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
            },
            "/status" => {
                let text = serde_json::to_string_pretty(&self.status()).expect("BUG: a status is plain data");
                with_type(StatusCode::OK, text, "application/json")
            }
            "/metrics" => {
                let text = metrics::text(&self.status(), &self.host.counts.totals());
                with_type(StatusCode::OK, text, "text/plain; version=0.0.4")
            }
            "/logs" => {
                let answer = self.logs.answer(uri.query(), stopping);
                answer.unwrap_or_else(|error| refused(error.status(), &error))
            }
            "/outbox" => self.outbox(uri.query()).await,
            path if path.starts_with("/v1/") => self.peer.answer(uri, request.headers()).await,
            _ => plain(
                StatusCode::NOT_FOUND,
                "there is /livez, /readyz, /status, /metrics, /logs, /cache and /outbox\n".into(),
            ),
        }
    }

    /// Looks through the cache apart from the sockets: it may be a large one.
    async fn cached<T: Serialize + Send + 'static>(
        &self,
        uri: &Uri,
        look: fn(&Host, &str) -> Result<T, InspectError>,
    ) -> Response<logs::Body> {
        let (host, query) = (self.host.clone(), uri.query().unwrap_or_default().to_owned());
        match self.host.spawn(async move { look(&host, &query) }).await {
            Ok(Ok(found)) => {
                let text = serde_json::to_string(&found).expect("BUG: a report is plain data");
                with_type(StatusCode::OK, text, "application/json")
            }
            Ok(Err(error)) => refused(error.status(), &error),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the cache could not be looked through\n".into()),
        }
    }

    /// A part of the outbox, old to new; `?after=APP:N` goes on after that one.
    async fn outbox(&self, query: Option<&str>) -> Response<logs::Body> {
        let Some(outbox) = self.host.outbox().cloned() else { return refused(StatusCode::NOT_FOUND, &NO_OUTBOX) };
        let after = match query.map(str::parse).transpose() {
            Ok(after) => after,
            Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
        };
        match tokio::task::spawn_blocking(move || outbox.page(after.as_ref())).await {
            Ok(Ok(page)) => {
                let text = serde_json::to_string(&page).expect("BUG: writes are plain data");
                with_type(StatusCode::OK, text, "application/json")
            }
            Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
            Err(_) => refused(StatusCode::SERVICE_UNAVAILABLE, &"the node is stopping"),
        }
    }

    fn retry(&self) -> Response<logs::Body> {
        let Some(outbox) = self.host.outbox() else { return refused(StatusCode::NOT_FOUND, &NO_OUTBOX) };
        outbox.retry();
        plain(StatusCode::ACCEPTED, "it is tried again now\n".into())
    }

    fn status(&self) -> NodeStatus {
        NodeStatus {
            pages_written_bytes: self.replica.pages_written_bytes(),
            scrub: self.replica.health().status(),
            refused_calls: self.gate.refused(),
            ..self.host.status(self.origin.as_deref().map(OriginClient::link))
        }
    }
}

/// Why no visitors should be sent here.
pub(crate) fn unready(host: &Host, max_staleness: Option<Duration>) -> Option<String> {
    if host.leaving.has_begun() {
        return Some("it is leaving".into());
    }
    if !host.is_ready() {
        return Some("no release is loaded yet".into());
    }
    let most = max_staleness?;
    let stale = host.behind().into_iter().find(|(_, behind)| *behind > most);
    stale.map(|(app, behind)| {
        let (behind, most) = (behind.as_secs(), most.as_secs());
        format!("the release of `{app}` may be {behind} s behind the origin's; max_staleness_s is {most}")
    })
}

const NO_OUTBOX: &str = "this node takes no writes for later: it has no origin";

fn refused(status: StatusCode, why: &dyn std::fmt::Display) -> Response<logs::Body> {
    let title = status.canonical_reason().unwrap_or("Error");
    let problem = Problem::new(status.as_u16(), title).detail(why.to_string());
    with_type(status, problem.to_json(), problem::CONTENT_TYPE)
}

fn plain(status: StatusCode, text: String) -> Response<logs::Body> {
    with_type(status, text, "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, text: String, content_type: &'static str) -> Response<logs::Body> {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
