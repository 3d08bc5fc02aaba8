//! What has ended, on its way to the collector: many spans in one message, a few tries, and then it is given up. Nobody waits
//! for it.

use std::{
    future::pending,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use nearside_protocol::limits;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    SpanCounts, Tracer,
    otlp::{self, Resource},
    settings::TraceSettings,
    span::Ended,
};
use crate::tls::{self, Believes, TlsError};

#[derive(Debug, thiserror::Error)]
pub enum NoExport {
    #[error("the collector's authorities: {0}")]
    Tls(#[from] TlsError),
}

/// A tracer, and what sends its spans.
pub struct Exporting {
    pub tracer: Tracer,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Exporting {
    /// Starts to send, where there is somewhere to send to. On the current tokio runtime.
    pub fn start(settings: Option<TraceSettings>) -> Result<Exporting, NoExport> {
        let Some(settings) = settings else { return Ok(Exporting { tracer: Tracer::default(), running: None }) };
        let counts = Arc::new(SpanCounts::default());
        let (tracer, ended) = Tracer::on(settings.sampler, counts.clone());
        let (stop, stopped) = oneshot::channel();
        let exporter = Exporter { collector: Collector::of(settings)?, ended, counts };
        Ok(Exporting { tracer, running: Some((stop, tokio::spawn(exporter.run(stopped)))) })
    }

    /// Sends what there still is, for [`limits::SPANS_LAST`] at most.
    pub async fn finish(self) {
        let Some((stop, running)) = self.running else { return };
        let _ = stop.send(());
        let _ = timeout(limits::SPANS_LAST, running).await;
    }
}

struct Exporter {
    collector: Collector,
    ended: mpsc::Receiver<Ended>,
    counts: Arc<SpanCounts>,
}

impl Exporter {
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut is_away = false;
        let mut spans = Vec::with_capacity(limits::SPANS_SENT_AT_ONCE);
        loop {
            let is_last = tokio::select! {
                () = gather(&mut self.ended, &mut spans) => false,
                _ = &mut stop => true,
            };
            if is_last {
                break;
            }
            let sent = tokio::select! {
                sent = send(&self.collector, &spans) => Some(sent),
                _ = &mut stop => None,
            };
            // What was under way is sent once more with the rest.
            let Some(sent) = sent else { break };
            is_away = self.note(sent, spans.len(), is_away);
            spans.clear();
        }
        self.ended.close();
        loop {
            while spans.len() < limits::SPANS_SENT_AT_ONCE {
                let Ok(span) = self.ended.try_recv() else { break };
                spans.push(span);
            }
            if spans.is_empty() {
                return;
            }
            let sent = self.collector.put(otlp::message(&self.collector.resource, &spans)).await;
            is_away = self.note(sent.map_err(|(why, _)| why), spans.len(), is_away);
            spans.clear();
            if is_away {
                return;
            }
        }
    }

    /// Whether the collector is away; that it is, and that it is back, is said once.
    fn note(&self, sent: Result<u64, NotSent>, spans: usize, was_away: bool) -> bool {
        match sent {
            Ok(rejected) => {
                let taken = (spans as u64).saturating_sub(rejected);
                self.counts.sent.fetch_add(taken, Ordering::Relaxed);
                self.counts.rejected.fetch_add(rejected, Ordering::Relaxed);
                if was_away {
                    tracing::info!("the collector takes spans again");
                }
                false
            }
            Err(why) => {
                self.counts.dropped_unsent.fetch_add(spans as u64, Ordering::Relaxed);
                if !was_away {
                    let to = &self.collector.endpoint;
                    tracing::warn!(%to, cause = %why, "the collector takes no spans; they are dropped and counted");
                }
                true
            }
        }
    }
}

/// Waits for one, and a while for its company.
async fn gather(ended: &mut mpsc::Receiver<Ended>, spans: &mut Vec<Ended>) {
    if spans.is_empty() && ended.recv_many(spans, limits::SPANS_SENT_AT_ONCE).await == 0 {
        // Nobody is there any more who could end one.
        pending::<()>().await;
    }
    let by = Instant::now() + limits::SPANS_SENT_EVERY;
    while spans.len() < limits::SPANS_SENT_AT_ONCE {
        let room = limits::SPANS_SENT_AT_ONCE - spans.len();
        match timeout_at(by, ended.recv_many(spans, room)).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Sends them, again where that may help. Gives how many it rejects.
async fn send(collector: &Collector, spans: &[Ended]) -> Result<u64, NotSent> {
    let message = otlp::message(&collector.resource, spans);
    let mut pause = limits::COLLECTOR_AGAIN_FIRST;
    let mut tries = 1;
    loop {
        match collector.put(message.clone()).await {
            Ok(rejected) => return Ok(rejected),
            Err((why, Again::Never)) => return Err(why),
            Err((why, _)) if tries == limits::COLLECTOR_TRIES => return Err(why),
            Err((_, Again::After(wait))) => {
                sleep(pause.max(wait)).await;
                pause *= 2;
                tries += 1;
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum NotSent {
    #[error("it did not answer in time")]
    Late,
    #[error("{0}")]
    Unreachable(String),
    #[error("it answers {0}")]
    Status(StatusCode),
}

/// Whether the same message may be sent again, and how soon.
enum Again {
    After(Duration),
    Never,
}

struct Collector {
    endpoint: Uri,
    headers: HeaderMap,
    wait: Duration,
    resource: Resource,
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Collector {
    fn of(settings: TraceSettings) -> Result<Collector, NoExport> {
        let TraceSettings { endpoint, headers, wait, authorities, attributes, .. } = settings;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(wait.min(limits::OUTBOUND_CONNECT)));
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::believing(&Believes { authorities, certificate: None })?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Collector {
            endpoint,
            headers: headers.into_iter().collect(),
            wait,
            resource: otlp::resource(&attributes),
            http,
        })
    }

    /// Sends one message. Gives how many of its spans are rejected.
    async fn put(&self, message: Bytes) -> Result<u64, (NotSent, Again)> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(header::CONTENT_TYPE, otlp::CONTENT_TYPE);
        let answered = async {
            let unreachable = |error: &dyn std::fmt::Display| NotSent::Unreachable(error.to_string());
            let response = self.http.request(request).await.map_err(|error| unreachable(&error))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, limits::COLLECTOR_ANSWER_BYTES).collect().await;
            Ok::<_, NotSent>((head, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        let again = || Again::After(Duration::ZERO);
        let (head, body) = match timeout(self.wait, answered).await {
            Err(_) => return Err((NotSent::Late, again())),
            Ok(Err(why)) => return Err((why, again())),
            Ok(Ok(answer)) => answer,
        };
        match head.status {
            status if status.is_success() => Ok(otlp::rejected(&body)),
            // As OTLP's specification has it; all others say that it will never be taken.
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err((NotSent::Status(status), Again::After(retry_after(&head.headers)))),
            status => Err((NotSent::Status(status), Again::Never)),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(limits::COLLECTOR_WAIT)
}
