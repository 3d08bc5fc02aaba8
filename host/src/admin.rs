//! The operator's listener: health, status, metrics, logs. Loopback by default.

use std::{future::Future, sync::Arc};

use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{Either, Full};
use nearside_protocol::problem::{self, Problem};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    host::Host,
    logs::{self, Logs},
    origin_client::OriginClient,
    serve::accept,
};

/// What the operator is answered from.
pub struct Admin {
    pub host: Arc<Host>,
    pub origin: Option<Arc<OriginClient>>,
    pub logs: Logs,
}

pub async fn serve(admin: Admin, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let (stop, stopping) = watch::channel(false);
    let admin = Arc::new(admin);
    let answer = move |request: http::Request<hyper::body::Incoming>, _| {
        let (admin, stopping) = (admin.clone(), stopping.clone());
        async move { admin.respond(request.method(), request.uri(), stopping) }
    };
    let shutdown = async move {
        shutdown.await;
        // Those who follow the log would be waited for.
        stop.send_replace(true);
    };
    accept(listener, answer, shutdown).await;
}

impl Admin {
    fn respond(&self, method: &Method, uri: &http::Uri, stopping: watch::Receiver<bool>) -> Response<logs::Body> {
        if method != Method::GET {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".into());
        }
        let (host, origin) = (&*self.host, self.origin.as_deref());
        match uri.path() {
            "/livez" => plain(StatusCode::OK, "alive\n".into()),
            "/readyz" if host.is_ready() => plain(StatusCode::OK, "ready\n".into()),
            "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "no release is loaded yet\n".into()),
            "/status" => {
                let status = host.status(origin.map(OriginClient::link));
                let text = serde_json::to_string_pretty(&status).expect("BUG: a status is plain data");
                with_type(StatusCode::OK, text, "application/json")
            }
            "/metrics" => with_type(StatusCode::OK, metrics(host, origin), "text/plain; version=0.0.4"),
            "/logs" => self.logs.answer(uri.query(), stopping).unwrap_or_else(|error| {
                let status = error.status();
                let title = status.canonical_reason().unwrap_or("Error");
                let problem = Problem::new(status.as_u16(), title).detail(error.to_string());
                with_type(status, problem.to_json(), problem::CONTENT_TYPE)
            }),
            _ => plain(StatusCode::NOT_FOUND, "there is /livez, /readyz, /status, /metrics and /logs\n".into()),
        }
    }
}

/// Prometheus text exposition format 0.0.4.
fn metrics(host: &Host, origin: Option<&OriginClient>) -> String {
    use std::fmt::Write;
    let status = host.status(origin.map(OriginClient::link));
    let mut text = String::from(
        "# HELP nearside_requests_total Requests by what became of them.\n# TYPE nearside_requests_total counter\n",
    );
    let mut line = |line: std::fmt::Arguments<'_>| text.write_fmt(line).expect("BUG: a String takes all text");
    for (result, count) in &status.requests {
        line(format_args!("nearside_requests_total{{result=\"{result}\"}} {count}\n"));
    }
    line(format_args!("# TYPE nearside_cache_bytes gauge\nnearside_cache_bytes {}\n", status.cache_bytes));
    line(format_args!("# TYPE nearside_cache_entries gauge\nnearside_cache_entries {}\n", status.cache_entries));
    line(format_args!("# HELP nearside_release_seq The release served.\n# TYPE nearside_release_seq gauge\n"));
    for (app, served) in &status.apps {
        let (epoch, seq) = (served.release.epoch, served.release.seq);
        line(format_args!("nearside_release_seq{{app=\"{app}\",epoch=\"{epoch}\"}} {seq}\n"));
    }
    text
}

fn plain(status: StatusCode, text: String) -> Response<logs::Body> {
    with_type(status, text, "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, text: String, content_type: &'static str) -> Response<logs::Body> {
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
