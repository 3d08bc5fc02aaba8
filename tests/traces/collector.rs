//! A collector of traces: takes what comes over OTLP/HTTP, and shows a trace as a tree.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::span::SpanKind,
};
use prost::Message;

/// What a span told, and who.
#[derive(Clone, Debug)]
pub struct Told {
    pub service: String,
    pub instance: String,
    pub trace: String,
    pub span: String,
    /// Empty where it is the first of its trace.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub attributes: BTreeMap<String, String>,
    /// Traces and spans.
    pub links: Vec<(String, String)>,
    pub has_failed: bool,
}

#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    /// Answers 503 while this is set.
    pub is_full: Arc<AtomicBool>,
    /// What it was told another way: `traceparent` of requests to `/hook`.
    hooks: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    /// Listens until the process ends.
    pub fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Collector { address, told: Arc::default(), is_full: Arc::default(), hooks: Arc::default() };
        let serving = collector.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serving.serve(listener));
        });
        collector
    }

    async fn serve(self, listener: TcpListener) {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let collector = self.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let collector = collector.clone();
                    async move { Ok::<_, Infallible>(collector.answer(request).await) }
                });
                // Who leaves, leaves.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let answered = |status: StatusCode| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            response
        };
        if head.uri.path() == "/hook" {
            let parent = head.headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
            self.hooks.lock().unwrap().push(parent.to_owned());
            return answered(StatusCode::NO_CONTENT);
        }
        assert_eq!(head.uri.path(), "/v1/traces");
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        if self.is_full.load(Ordering::Relaxed) {
            return answered(StatusCode::SERVICE_UNAVAILABLE);
        }
        let message = ExportTraceServiceRequest::decode(body).unwrap();
        self.told.lock().unwrap().extend(read(message));
        answered(StatusCode::OK)
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that came of one trace, in the order in which it began.
    pub fn trace(&self, id: &str) -> Tree {
        let mut spans: Vec<Told> = self.all().into_iter().filter(|told| told.trace == id).collect();
        spans.sort_by_key(|told| told.start_ns);
        Tree(spans)
    }

    pub fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub fn hooks(&self) -> Vec<String> {
        self.hooks.lock().unwrap().clone()
    }
}

fn read(message: ExportTraceServiceRequest) -> Vec<Told> {
    let mut all = Vec::new();
    for of_process in message.resource_spans {
        let process = attributes(of_process.resource.unwrap().attributes);
        let said = |name: &str| process.get(name).cloned().unwrap_or_default();
        for span in of_process.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans) {
            assert!(span.trace_id.len() == 16 && span.span_id.len() == 8, "{span:?}");
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
            all.push(Told {
                service: said("service.name"),
                instance: said("service.instance.id"),
                trace: hex(&span.trace_id),
                span: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                has_failed: span.status.as_ref().is_some_and(|status| status.code == 2),
                links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                name: span.name,
                start_ns: span.start_time_unix_nano,
                end_ns: span.end_time_unix_nano,
                attributes: attributes(span.attributes),
            });
        }
    }
    all
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("not expected: {other:?}"),
    };
    all.into_iter().map(|pair| (pair.key, text(pair.value.unwrap().value.unwrap()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of one trace.
pub struct Tree(Vec<Told>);

impl Tree {
    /// Those whose parent is not here: it is somebody else's.
    pub fn roots(&self) -> Vec<&Told> {
        self.0.iter().filter(|told| !self.0.iter().any(|other| other.span == told.parent)).collect()
    }

    pub fn children<'a>(&'a self, of: &'a Told) -> impl Iterator<Item = &'a Told> {
        self.0.iter().filter(move |told| told.parent == of.span)
    }

    /// The span that these names lead to, from a root on, each the child of the one before.
    pub fn find(&self, names: &[&str]) -> Option<&Told> {
        let fits = |told: &Told, name: &str| match name.strip_suffix('*') {
            Some(start) => told.name.starts_with(start),
            None => told.name == name,
        };
        let (first, rest) = names.split_first()?;
        let mut found: Vec<&Told> = self.roots().into_iter().filter(|told| fits(told, first)).collect();
        for name in rest {
            found = found.into_iter().flat_map(|told| self.children(told)).filter(|told| fits(told, name)).collect();
        }
        found.first().copied()
    }

    /// As a person reads it: what, where, when it began and how long it took.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let from = self.0.iter().map(|told| told.start_ns).min().unwrap_or(0);
        self.roots().into_iter().for_each(|root| self.add(&mut text, root, 0, from));
        text
    }

    fn add(&self, text: &mut String, told: &Told, depth: usize, from: u64) {
        let what = format!("{}{}", "  ".repeat(depth), told.name);
        let place = if told.instance.is_empty() { &told.service } else { &told.instance };
        let ms = |ns: u64| ns as f64 / 1e6;
        let (at, took) = (ms(told.start_ns - from), ms(told.end_ns - told.start_ns));
        *text += &format!("{what:<72} {place:<16} {at:>9.2} ms +{took:>9.2} ms\n");
        self.children(told).for_each(|child| self.add(text, child, depth + 1, from));
    }
}
