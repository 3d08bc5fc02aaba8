//! One render: a fresh instance, or one that its route has reused, on a pinned release, under a deadline and caps, until its response is whole or streams.

mod deadline;
mod stream;

use std::{
    future::{pending, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, response::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use nearside_protocol::{
    limits,
    write::{IdempotencyKey, Receipt},
};
use tokio::sync::oneshot;
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::{
        bindings::{
            ProxyPre,
            http::types::{ErrorCode, Scheme},
        },
        body::HyperOutgoingBody,
    },
};

pub use self::stream::{BrokenOff, Stream};
use self::{deadline::Deadline, stream::Running};
use crate::{
    budget::Role,
    code::Code,
    counts::Render,
    evidence::Gathering,
    guest::{Ended, Given, Guest},
    host::Host,
    origin_client::NoOrigin,
    outbound::Outbound,
    outbox::Deferral,
    policy::is_event_stream,
    queue::Place,
    refusal::Refusal,
    release::Release,
    reuse::{self, Instance},
    senses::{Senses, Taint},
    spans::{Kind, Span, Traced, statements::Statements, within},
    speaker::Speaker,
    thread_cpu::ThreadCpu,
    visit::{Cost, Ran, Visit},
    writes::Writes,
};

/// For whom something is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Visitor,
    /// Nobody has asked yet, so nothing may be written in anybody's name: there is no origin, and no outbox.
    Nobody,
}

/// What is to be rendered.
pub struct Ask {
    pub whom: For,
    pub release: Arc<Release>,
    /// Index among the app's routes.
    pub route: usize,
    pub request: Request<Full<Bytes>>,
    pub request_key: Option<IdempotencyKey>,
    pub trace: String,
    /// Where the spans of it go, if it is sampled.
    pub traced: Option<Traced>,
    /// How many pages include this one.
    pub depth: usize,
    /// Hand the response on as it comes, instead of collecting it.
    pub streams: bool,
    /// Its right to run; pages that are included run in their page's place.
    pub place: Option<Arc<Place>>,
}

/// A response as its handler made it.
pub struct Rendered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: RenderedBody,
    pub taint: Taint,
    pub evidence: Gathering,
    pub cost: Arc<Cost>,
    pub took: Duration,
    pub receipt: Option<Receipt>,
    pub deferred: Option<Deferral>,
}

pub enum RenderedBody {
    Whole(Bytes),
    /// Over the store cap, of a route that is never stored, or events.
    Streams(Stream),
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Guest(#[from] Ended),
    #[error("it returned without an answer")]
    NoResponse,
    #[error("it answered with an error: {0}")]
    ErrorCode(String),
    #[error("its body is broken: {0}")]
    BrokenBody(String),
    #[error("its task was lost")]
    Lost,
    #[error("{} responses stream already", limits::STREAMS_AT_ONCE)]
    TooManyStreams,
}

/// Runs in its caller's task, which is to be among the renders, where no socket is served, or begins elsewhere if it is quick.
pub async fn render(host: &Arc<Host>, mut ask: Ask) -> Result<Rendered, Refusal> {
    let (started, work) = (Instant::now(), ThreadCpu::now());
    let mut span = ask.traced.as_ref().map(|traced| begin_span(traced, &ask));
    if span.is_some() {
        ask.traced = within(&span);
    }
    let route = &ask.release.code.app.routes[ask.route];
    let speaker = Arc::new(Speaker {
        role: Role::Handler,
        app: ask.release.code.app.name.clone(),
        place: route.path.clone(),
        release: Some(ask.release.manifest.release.to_string()),
        trace: ask.trace.clone(),
    });
    let (counts, code, index) = (ask.release.counts.clone(), ask.release.code.clone(), ask.route);
    let whom = match ask.whom {
        _ if ask.depth > 0 => Render::Included,
        For::Visitor => Render::Visitor,
        For::Nobody => Render::Ahead,
    };
    let result = run(host, ask, speaker.clone()).await;
    let took = started.elapsed();
    counts.count_render(whom, took);
    // On a busy machine others have the core for longer than a small page needs it. Who moves on to another thread has waited.
    code.quick.took(index, work.elapsed().unwrap_or(took));
    if let Some(span) = span.take() {
        end_span(span, &result);
    }
    result
        .map(|mut rendered| {
            rendered.took = took;
            rendered
        })
        .map_err(|failure| {
            // How a guest ended, the guest has told.
            if !matches!(failure, Failure::Guest(_)) {
                speaker.failed(&failure);
            }
            let trace = speaker.trace.clone();
            match failure {
                Failure::Guest(Ended::Deadline(_) | Ended::Cpu(_)) => Refusal::Deadline { trace },
                Failure::Guest(Ended::NoRoom) | Failure::TooManyStreams => Refusal::Busy,
                _ => Refusal::Handler { trace },
            }
        })
}

fn begin_span(traced: &Traced, ask: &Ask) -> Span {
    let app = &ask.release.code.app;
    let route = &app.routes[ask.route].path;
    let what = if ask.depth > 0 { "include" } else { "render" };
    traced
        .span(Kind::Internal, format!("{what} {route}"))
        .with("nearside.app", app.name.clone())
        .with("nearside.release", ask.release.manifest.release.to_string())
        .with("http.route", route.clone())
}

fn end_span(mut span: Span, result: &Result<Rendered, Failure>) {
    match result {
        Ok(rendered) => {
            span.set("http.response.status_code", rendered.status.as_u16());
            span.set("nearside.queries", rendered.cost.queries.load(Ordering::Relaxed));
            span.set("nearside.rows", rendered.cost.rows.load(Ordering::Relaxed));
            span.set("nearside.sql_us", rendered.cost.sql_us.load(Ordering::Relaxed));
        }
        Err(failure) => span.fail(failure.to_string()),
    }
}

async fn run(host: &Arc<Host>, ask: Ask, speaker: Arc<Speaker>) -> Result<Rendered, Failure> {
    let release = ask.release;
    let route = &release.code.app.routes[ask.route];
    let taint = Taint::default();
    if route.reuse {
        taint.keeps_memory();
    }
    let evidence = Gathering::default();
    let cost = Arc::new(Cost { trace: ask.trace, ..Cost::default() });
    let receipt = Arc::new(Mutex::new(None));
    let deferred = Arc::new(Mutex::new(None));
    let deadline = Deadline::new(Duration::from_millis(route.deadline_ms));

    let visit = Visit {
        host: host.clone(),
        writes: Writes {
            code: release.code.clone(),
            upstream: match ask.whom {
                For::Visitor => host.upstream(),
                For::Nobody => Arc::new(NoOrigin),
            },
            request_key: ask.request_key,
            blobs: host.blobs().cloned(),
            outbox: host.outbox().filter(|_| ask.whom == For::Visitor).cloned(),
            seen_commit: release.manifest.applied_commit,
            respond_async: prefers_async(ask.request.headers()),
            taint: taint.clone(),
            deferred: deferred.clone(),
            receipt: receipt.clone(),
            traced: ask.traced.clone(),
        },
        taint: taint.clone(),
        evidence: evidence.clone(),
        cost: cost.clone(),
        speaker: speaker.clone(),
        whom: ask.whom,
        deadline: deadline.first,
        route: ask.route,
        shown_whole: ask.request.method() != Method::GET,
        depth: ask.depth,
        reader: None,
        ran: Ran::default(),
        statements: Statements::of(ask.traced.clone()),
        traced: ask.traced,
        place: ask.place.clone(),
        release: release.clone(),
    };
    let given = Given {
        speaker,
        senses: Senses::Watched { taint: taint.clone(), seed: release.code.digest },
        variables: &release.variables,
        outbound: Outbound::nowhere(),
        memory_mib: route.memory_mib,
        cpu: Duration::from_millis(route.deadline_ms),
        place: ask.place.clone(),
    };
    let waiting = if route.reuse { release.code.idle.take(ask.route, &release.settings) } else { None };
    let instance = match waiting {
        Some(instance) => instance.renewed(given, visit),
        None => Instance::fresh(release.code.handler(route).engine(), given, visit),
    };
    let called = Called {
        host: host.clone(),
        code: release.code.clone(),
        route: ask.route,
        instance,
        request: ask.request,
        deadline: deadline.clone(),
        streams: ask.streams,
        place: ask.place.clone(),
    };

    let (hand_over, mut handed) = oneshot::channel();
    let (finish, finished) = oneshot::channel();
    let mut guest = Box::pin(called.run(hand_over, finish));
    let (answered, is_over) = tokio::select! {
        biased;
        answered = &mut handed => (answered.unwrap_or(Err(Failure::Lost)), false),
        () = &mut guest => (handed.try_recv().unwrap_or(Err(Failure::Lost)), true),
    };
    let Handed { parts, body } = answered?;
    let body = match body {
        HandedBody::Whole(bytes) => RenderedBody::Whole(bytes),
        // From here on the response goes at the client's pace, outside the places of the renders.
        HandedBody::Streams(first, rest) => {
            let _stream = host.stream_place().ok_or(Failure::TooManyStreams)?;
            if let Some(place) = &ask.place {
                place.give_back();
            }
            let task = (!is_over).then(|| host.spawn(guest));
            let guest = Running { task, finished, _stream };
            RenderedBody::Streams(Stream { first, rest, guest, deadline })
        }
    };
    let receipt = receipt.lock().expect("BUG: nothing panics while holding a receipt").clone();
    let deferred = deferred.lock().expect("BUG: nothing panics while holding a ticket").clone();
    Ok(Rendered {
        status: parts.status,
        headers: parts.headers,
        body,
        taint,
        evidence,
        cost,
        took: Duration::ZERO,
        receipt,
        deferred,
    })
}

/// RFC 7240. A route that declares its inputs is never shown this header, and never writes.
fn prefers_async(headers: &HeaderMap) -> bool {
    let all = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|wish| wish.trim().eq_ignore_ascii_case("respond-async"))
}

/// A guest that is to be run.
struct Called {
    host: Arc<Host>,
    code: Arc<Code>,
    route: usize,
    instance: Instance,
    request: Request<Full<Bytes>>,
    deadline: Deadline,
    streams: bool,
    /// Given back when the guest is gone.
    place: Option<Arc<Place>>,
}

/// What a guest hands over, once.
struct Handed {
    parts: Parts,
    body: HandedBody,
}

enum HandedBody {
    Whole(Bytes),
    /// What has come of it, and the rest as it comes.
    Streams(Vec<Bytes>, HyperOutgoingBody),
}

impl Called {
    /// Runs the guest and, in the same task, takes what it answers: a response that is whole wakes who waits for it once,
    /// however many pieces it was written in. A guest whose response is whole goes at once: work after the answer would
    /// keep a place at the renderer that others wait for. One that streams goes on, in a task of its own by then.
    async fn run(
        self,
        hand_over: oneshot::Sender<Result<Handed, Failure>>,
        finish: oneshot::Sender<Result<(), Ended>>,
    ) {
        // In this order: the place outlives the store.
        let Called { place, host, code, route, mut instance, request, deadline, streams } = self;
        let reuse = code.app.routes[route].reuse;
        let is_done = {
            let handler = code.handler(&code.app.routes[route]);
            let (respond, response) = oneshot::channel();
            let running = pin!(call(&mut instance, handler, request, respond, deadline));
            let mut guest = Driven { running, ended: None, place: place.as_deref() };
            let answered = guest.answer(response, streams).await;
            let whole = !matches!(&answered, Ok(Handed { body: HandedBody::Streams(..), .. }));
            let is_wanted = hand_over.send(answered).is_ok();
            if is_wanted && !whole {
                // Told before the store goes: a body that ends because its guest was torn down is not a whole body.
                let _ = finish.send(guest.end().await);
            }
            guest.ended == Some(Ok(()))
        };
        if reuse && is_done {
            reuse::keep(&host, &code, route, instance);
        }
    }
}

type Answer = Result<Response<HyperOutgoingBody>, ErrorCode>;

/// Instantiates and calls the handler, until it returns, fails, or its deadline passes.
async fn call(
    Instance { store, proxy, .. }: &mut Instance,
    handler: &ProxyPre<Guest<Option<Visit>>>,
    request: Request<Full<Bytes>>,
    respond: oneshot::Sender<Answer>,
    deadline: Deadline,
) -> Result<(), Ended> {
    let called = {
        let handled = async {
            let request = store.data_mut().http().new_incoming_request(Scheme::Http, request)?;
            let out = store.data_mut().http().new_response_outparam(respond)?;
            let proxy = match proxy {
                Some(proxy) => proxy,
                none => none.insert(handler.instantiate_async(&mut *store).await?),
            };
            proxy.wasi_http_incoming_handler().call_handle(&mut *store, request, out).await
        };
        tokio::select! {
            // In this order: most guests never wait, and for those no timer is set.
            biased;
            result = handled => Some(result),
            () = deadline.passed() => None,
        }
    };
    match called {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(store.data().ended(&error)),
        None => Err(store.data().late(deadline.ended())),
    }
}

/// A guest under way, and how it has ended.
struct Driven<'a, F> {
    running: Pin<&'a mut F>,
    place: Option<&'a Place>,
    ended: Option<Result<(), Ended>>,
}

impl<F: Future<Output = Result<(), Ended>>> Driven<'_, F> {
    /// Waits for something that the guest makes, while it goes on; none if it has ended and not made it.
    async fn until<T>(&mut self, made: impl Future<Output = T>) -> Option<T> {
        let mut made = pin!(made);
        poll_fn(|context| {
            if self.ended.is_none() {
                if let Some(place) = self.place {
                    place.goes_on();
                }
                match (self.running.as_mut().poll(context), self.place) {
                    (Poll::Ready(ended), _) => self.ended = Some(ended),
                    (Poll::Pending, Some(place)) => place.pauses(),
                    (Poll::Pending, None) => {}
                }
            }
            match made.as_mut().poll(context) {
                Poll::Ready(made) => Poll::Ready(Some(made)),
                Poll::Pending if self.ended.is_some() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn end(&mut self) -> Result<(), Ended> {
        self.until(pending::<()>()).await;
        self.ended.clone().unwrap_or(Ok(()))
    }

    async fn answer(&mut self, response: oneshot::Receiver<Answer>, streams: bool) -> Result<Handed, Failure> {
        let response = match self.until(response).await {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(code))) => return Err(Failure::ErrorCode(format!("{code:?}"))),
            Some(Err(_)) | None => return Err(self.end().await.err().map_or(Failure::NoResponse, Failure::Guest)),
        };
        let (parts, body) = response.into_parts();
        // Events are for now: they go out as they come, whatever becomes of other responses of this route.
        let body = match streams || is_event_stream(&parts.headers) {
            true => HandedBody::Streams(Vec::new(), body),
            false => self.collect(&parts.headers, body).await?,
        };
        Ok(Handed { parts, body })
    }

    /// Collects a body up to what may be stored; a larger one goes on as a stream.
    async fn collect(&mut self, headers: &HeaderMap, mut body: HyperOutgoingBody) -> Result<HandedBody, Failure> {
        let mut pieces: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        while let Some(Some(frame)) = self.until(body.frame()).await {
            match frame.map(Frame::into_data) {
                Ok(Ok(piece)) => {
                    bytes += piece.len();
                    pieces.push(piece);
                }
                Ok(Err(_trailers)) => break,
                Err(error) => return Err(self.failed().await.unwrap_or(Failure::BrokenBody(format!("{error:?}")))),
            }
            if bytes > limits::STORED_BODY_BYTES {
                return Ok(HandedBody::Streams(pieces, body));
            }
        }
        if let Some(Err(ended)) = &self.ended {
            return Err(Failure::Guest(ended.clone()));
        }
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        if declared.is_some_and(|declared: usize| declared != bytes) {
            let why = format!("{bytes} bytes came where {} were declared", declared.unwrap_or_default());
            return Err(Failure::BrokenBody(why));
        }
        Ok(HandedBody::Whole(joined(pieces, bytes)))
    }

    /// The guest's failure, if it fails soon.
    async fn failed(&mut self) -> Option<Failure> {
        let ended = tokio::time::timeout(Duration::from_millis(50), self.end()).await;
        ended.ok()?.err().map(Failure::Guest)
    }
}

fn joined(mut pieces: Vec<Bytes>, bytes: usize) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut whole = Vec::with_capacity(bytes);
    pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
    whole.into()
}
