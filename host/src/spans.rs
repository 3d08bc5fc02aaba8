//! Spans: what a sampled request led to, step by step, sent to a collector over OTLP.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | [`Tracer`], which decides, and [`Traced`], a place in a trace that was decided for |
//! | [`span`] | one step: when, what, and what is known of it |
//! | [`statements`] | the SQL of one guest |
//! | [`sampler`] | which requests are traced |
//! | [`settings`] | the flags and the environment's `OTEL_…` |
//! | [`export`], `otlp` | the queue of what has ended, and the messages made of it |
//!
//! A request that is not sampled costs a look at one header, and nothing where there is no collector. Whoever may go on with a
//! trace has an `Option<Traced>`, which is none for all the others: there is nothing else to switch off. Ended spans go into a
//! bounded queue; what finds no room is dropped and counted, and a collector that is away slows nobody down.
//!
//! This is not OpenTelemetry's SDK, though its names and message types are used: the SDK counts dropped spans where its own
//! metrics pipeline runs only, and exports on a thread that blocks.

pub mod export;
mod otlp;
pub mod sampler;
pub mod settings;
pub mod span;
pub mod statements;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, Method, request::Parts};
use nearside_protocol::{
    limits,
    trace_context::{self, SpanId, TraceContext, TraceId},
};
use tokio::sync::mpsc;

pub use self::{
    export::{Exporting, NoExport},
    settings::TraceSettings,
    span::{Kind, Span, Value},
};
use self::{sampler::Sampler, span::Ended};
use crate::trace::new_trace;

/// Decides what is traced. Clones are the same one.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

pub(crate) struct Inner {
    sampler: Sampler,
    queue: mpsc::Sender<Ended>,
    counts: Arc<SpanCounts>,
}

/// Spans by what became of them.
#[derive(Default)]
pub struct SpanCounts {
    pub(crate) sent: AtomicU64,
    /// There were [`limits::SPANS_WAITING`] already.
    pub(crate) dropped_full: AtomicU64,
    /// The collector did not take them.
    pub(crate) dropped_unsent: AtomicU64,
    /// It took the message, and not these.
    pub(crate) rejected: AtomicU64,
}

impl SpanCounts {
    fn all(&self) -> BTreeMap<String, u64> {
        [
            ("sent", &self.sent),
            ("dropped_full", &self.dropped_full),
            ("dropped_unsent", &self.dropped_unsent),
            ("rejected", &self.rejected),
        ]
        .map(|(name, count)| (name.to_owned(), count.load(Ordering::Relaxed)))
        .into()
    }
}

/// One that traces nothing, as the default one does.
pub static OFF: Tracer = Tracer(None);

impl Tracer {
    fn on(sampler: Sampler, counts: Arc<SpanCounts>) -> (Tracer, mpsc::Receiver<Ended>) {
        let (queue, ended) = mpsc::channel(limits::SPANS_WAITING);
        (Tracer(Some(Arc::new(Inner { sampler, queue, counts }))), ended)
    }

    /// Begins the span of a request that came with these headers, if it is to be traced; what is said of it is asked for then
    /// only.
    pub fn request(&self, headers: &HeaderMap, name: impl FnOnce() -> String) -> Option<Span> {
        let inner = self.0.as_ref()?;
        let parent = context_in(headers, trace_context::HEADER);
        inner.begin(parent, Kind::Server, name)
    }

    /// The same for what began by itself.
    pub fn root(&self, kind: Kind, name: impl FnOnce() -> String) -> Option<Span> {
        self.0.as_ref()?.begin(None, kind, name)
    }

    /// Goes on with what was sampled elsewhere.
    pub fn continued(&self, context: Option<TraceContext>) -> Option<Traced> {
        let (inner, context) = (self.0.as_ref()?, context?);
        inner.sampler.samples(Some(&context), || context.trace).then(|| Traced { inner: inner.clone(), context })
    }

    /// Spans by what became of them; nothing where none are kept.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.as_ref().map(|inner| inner.counts.all()).unwrap_or_default()
    }
}

impl Inner {
    fn begin(
        self: &Arc<Inner>,
        parent: Option<TraceContext>,
        kind: Kind,
        name: impl FnOnce() -> String,
    ) -> Option<Span> {
        let mut new = None;
        let trace = || match &parent {
            Some(parent) => parent.trace,
            None => *new.insert(new_trace()),
        };
        if !self.sampler.samples(parent.as_ref(), trace) {
            return None;
        }
        let trace = parent.map(|parent| parent.trace).or(new).unwrap_or_else(new_trace);
        Some(Span::begin(self.clone(), trace, parent.map(|parent| parent.span), kind, name().into()))
    }

    /// Whatever happens to it, nobody waits for it.
    fn take(&self, ended: Ended) {
        if self.queue.try_send(ended).is_err() {
            self.counts.dropped_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A place in a trace that is sampled: what begins here is its child. There is none for what is not sampled.
#[derive(Clone)]
pub struct Traced {
    inner: Arc<Inner>,
    context: TraceContext,
}

impl Traced {
    fn of(inner: &Arc<Inner>, trace: TraceId, span: SpanId) -> Traced {
        Traced { inner: inner.clone(), context: TraceContext { trace, span, is_sampled: true } }
    }

    pub fn span(&self, kind: Kind, name: impl Into<Cow<'static, str>>) -> Span {
        Span::begin(self.inner.clone(), self.context.trace, Some(self.context.span), kind, name.into())
    }

    /// That of a request whose span has begun, if it has one.
    pub fn of_request(head: &Parts) -> Option<Traced> {
        head.extensions.get().cloned()
    }

    /// As it is named to whoever goes on elsewhere.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// The same as a header says it.
    pub fn header(&self) -> HeaderValue {
        HeaderValue::from_str(&self.context.to_string()).expect("BUG: hexadecimal digits")
    }
}

impl std::fmt::Debug for Traced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Traced({})", self.context)
    }
}

/// What a header says of a trace; nothing where it says what cannot be read.
pub fn context_in(headers: &HeaderMap, name: &str) -> Option<TraceContext> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Made-up methods are one, so that nobody makes up names of spans.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// What a span leads on to.
pub fn within(span: &Option<Span>) -> Option<Traced> {
    span.as_ref().map(Span::traced)
}

#[cfg(test)]
mod tests {
    use super::{sampler::Sampler, *};

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn tracer(sampler: Sampler) -> (Tracer, mpsc::Receiver<Ended>) {
        Tracer::on(sampler, Arc::default())
    }

    fn with(parent: &str) -> HeaderMap {
        [(trace_context::HEADER.parse().unwrap(), parent.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_request_goes_on_with_the_trace_it_came_with() {
        let (tracer, mut ended) = tracer(Sampler::of(0.0, true));
        let span = tracer.request(&with(PARENT), || "GET /".into()).unwrap();
        let inner = span.traced().span(Kind::Internal, "inside");
        assert_eq!(span.traced().context().trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        drop((inner, span));
        let (inner, outer) = (ended.try_recv().unwrap(), ended.try_recv().unwrap());
        assert_eq!(
            (inner.parent, outer.parent),
            (Some(outer.span), Some(SpanId([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7])))
        );
        assert_eq!(inner.trace, outer.trace);
        assert!(inner.start_ns <= inner.end_ns && outer.start_ns <= outer.end_ns);
    }

    #[test]
    fn what_is_not_sampled_is_asked_nothing() {
        let (tracer, _ended) = tracer(Sampler::of(0.0, true));
        let name = || unreachable!("nobody keeps it");
        assert!(tracer.request(&HeaderMap::new(), name).is_none());
        assert!(tracer.request(&with(&PARENT.replace("-01", "-00")), name).is_none());
        assert!(tracer.request(&with("nonsense"), name).is_none());
        assert!(tracer.root(Kind::Internal, name).is_none());
        assert!(Tracer::default().request(&with(PARENT), name).is_none());
        assert!(Tracer::default().continued(PARENT.parse().ok()).is_none());
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (tracer, mut ended) = tracer(Sampler::of(1.0, true));
        for _ in 0..limits::SPANS_WAITING + 7 {
            drop(tracer.root(Kind::Internal, || "one".into()).unwrap());
        }
        assert_eq!(tracer.counts()["dropped_full"], 7);
        let traces: std::collections::BTreeSet<_> =
            std::iter::from_fn(|| ended.try_recv().ok().map(|one| one.trace)).collect();
        assert_eq!(traces.len(), limits::SPANS_WAITING, "each root begins a trace of its own");
    }
}
