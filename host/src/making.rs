//! Making a page: a place for it, here or among the renders, for one visitor or for all who wait for the same.

use std::{
    future::poll_fn,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, request::Parts};
use http_body_util::Full;
use nearside_protocol::{class::Class, limits, write::IdempotencyKey};
use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::{JoinError, JoinHandle},
};

use crate::{
    again::ask_again,
    cache::{Because, By, Entry, Lead},
    cache_status::CacheStatus,
    hand_over,
    host::Host,
    inputs::Seen,
    policy::{Lifetime, NotStored, storable},
    queue::{Place, Waits},
    refusal::Refusal,
    release::Release,
    render::{Ask, For, Rendered, RenderedBody, render},
    reply::{self, Raw},
    shed::Shed,
    spans::{Kind, Traced},
    stale::Before,
    trace::trace_id,
    way::canonical_host,
};

/// What a render needs, before it has a place.
pub(crate) struct Asking {
    pub release: Arc<Release>,
    pub route: usize,
    pub request: Request<Full<Bytes>>,
    pub request_key: Option<IdempotencyKey>,
    pub trace: String,
    /// Where the spans of it go, if it is sampled.
    pub traced: Option<Traced>,
}

impl Asking {
    /// A page as it was seen to be asked for.
    pub(crate) fn of(release: Arc<Release>, route: usize, seen: &Seen, parts: &Parts) -> Asking {
        Asking {
            request: seen.request(canonical_host(&release), Full::default()),
            release,
            route,
            request_key: None,
            trace: trace_id(&parts.headers),
            traced: Traced::of_request(parts),
        }
    }

    fn class(&self) -> Class {
        self.release.code.app.routes[self.route].class(self.request.method().is_safe())
    }

    /// How long it may take at most.
    fn patience(&self) -> Duration {
        Duration::from_millis(self.release.code.app.routes[self.route].deadline_ms)
    }
}

// --- Where ----------------------------------------------------------------------------------------------------------

/// Whether this client may ask for more.
pub(crate) fn may_ask(host: &Host, asking: &Asking, client: IpAddr) -> Result<(), Refusal> {
    if host.clients.may_ask(client, Instant::now()) {
        return Ok(());
    }
    let shed = Shed::Client(asking.class());
    host.queue.count(shed);
    Err(Refusal::Shed(shed))
}

/// What becomes of one that has waited for a place in vain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    /// A sibling is asked for it, if one could be.
    MadeElsewhere,
    Refused,
}

/// Has `work` done in a place, if there is one soon, or told that there is none, and waits for what it sends; nothing if that
/// is lost. Who hangs up meanwhile has left the queue.
async fn in_a_place<T>(
    host: &Arc<Host>,
    asking: Asking,
    otherwise: Otherwise,
    work: impl FnOnce(Result<(Arc<Place>, Begins), Refusal>, Asking, oneshot::Sender<T>) + Send + 'static,
) -> Option<T>
where
    T: Send + 'static,
{
    let (class, patience) = (asking.class(), asking.patience());
    let (release, route) = (asking.release.clone(), asking.route);
    let mut span = asking.traced.as_ref().map(|traced| traced.span(Kind::Internal, "wait for a place"));
    let (tell, told) = oneshot::channel();
    let begins = Begins { host: host.clone(), here: is_quick(&asking).then(Handle::current) };
    let waits = host.queue.ask(class, patience, move |place| {
        if let (Some(span), Err(shed)) = (&mut span, &place) {
            span.fail(Shed::REASONS[shed.index()]);
        }
        drop(span);
        work(place.map(|place| (place, begins)).map_err(Refusal::Shed), asking, tell);
    });
    // Where somebody else could make it, it does not wait here for as long as a rush may last.
    let could_be_elsewhere = || {
        let route = &release.code.app.routes[route];
        otherwise == Otherwise::MadeElsewhere && hand_over::may_be_asked(host, &release, route)
    };
    let waits = waits.map(|waits| if could_be_elsewhere() { waits.at_most(limits::HANDED_AFTER) } else { waits });
    Waits::until(waits, told).await
}

/// Whether it is done before another thread would have been woken for it.
fn is_quick(asking: &Asking) -> bool {
    asking.class() == Class::Page && asking.release.code.quick.is(asking.route)
}

/// A place on this thread, for what is quick.
fn place_here(host: &Host, asking: &Asking) -> Option<Arc<Place>> {
    if !is_quick(asking) {
        return None;
    }
    host.lag.measure();
    if host.lag.is_short() { host.queue.place_here(asking.class()) } else { None }
}

/// Where work begins that has waited for a place.
struct Begins {
    host: Arc<Host>,
    /// The threads that were asked for it, if it is quick.
    here: Option<Handle>,
}

impl Begins {
    /// What is quick goes on where it was asked for also if it has waited: as long as pages are asked for as fast as they are
    /// made, some always wait, and to make each elsewhere would wake two threads for it.
    fn begin(self, place: &Arc<Place>, task: impl Future<Output = ()> + Send + 'static) {
        let Begins { host, here } = self;
        match here {
            Some(here) if host.lag.is_short() && place.comes_here() => {
                let place = place.clone();
                here.spawn(async move { drop(begin_here(&host, place, task).await) });
            }
            _ => drop(host.spawn(task)),
        }
    }
}

/// A task that was begun.
enum Begun<T> {
    Done(T),
    Elsewhere(JoinHandle<T>),
}

/// Runs a task here until it first has to wait, and from then on among the renders. Most never wait.
async fn begin_here<T: Send + 'static>(
    host: &Host,
    place: Arc<Place>,
    task: impl Future<Output = T> + Send + 'static,
) -> Begun<T> {
    let mut task = Box::pin(task);
    let first = poll_fn(|context| Poll::Ready(task.as_mut().poll(context))).await;
    place.leaves_here();
    match first {
        Poll::Ready(done) => Begun::Done(done),
        Poll::Pending => Begun::Elsewhere(host.spawn(task)),
    }
}

// --- For one visitor ------------------------------------------------------------------------------------------------

/// Makes it for one visitor, if this client may ask for more and there is a place soon; not for who has hung up.
pub(crate) async fn make(host: &Arc<Host>, asking: Asking, streams: bool, client: IpAddr) -> Result<Rendered, Refusal> {
    may_ask(host, &asking, client)?;
    let lost = Refusal::Handler { trace: asking.trace.clone() };
    let task_host = host.clone();
    if let Some(place) = place_here(host, &asking) {
        let held = place.clone();
        let made = async move { made_in(&task_host, place, asking, streams).await };
        return match begin_here(host, held, made).await {
            Begun::Done(made) => made,
            Begun::Elsewhere(task) => Theirs(task).await.unwrap_or(Err(lost)),
        };
    }
    let made = in_a_place(host, asking, Otherwise::Refused, move |place, asking, tell| match place {
        Ok((place, begins)) => {
            let held = place.clone();
            let made = async move { made_in(&task_host, place, asking, streams).await };
            begins.begin(&held, for_one(made, tell));
        }
        Err(refusal) => drop(tell.send(Err(refusal))),
    });
    made.await.unwrap_or(Err(lost))
}

/// Sends what is made to the one visitor who waits for it. Ends when they leave.
async fn for_one<T>(made: impl Future<Output = T>, mut tell: oneshot::Sender<T>) {
    let made = tokio::select! {
        biased;
        () = tell.closed() => return,
        made = made => made,
    };
    let _ = tell.send(made);
}

/// Makes it in this place. To be run among the renders, or where that is as good.
pub(crate) async fn made_in(
    host: &Arc<Host>,
    place: Arc<Place>,
    asking: Asking,
    streams: bool,
) -> Result<Rendered, Refusal> {
    let Asking { release, route, request, request_key, trace, traced } = asking;
    let (whom, depth, place) = (For::Visitor, 0, Some(place));
    render(host, Ask { whom, release, route, request, request_key, trace, traced, depth, streams, place }).await
}

/// A task of one visitor's, which ends when they leave.
struct Theirs<T>(JoinHandle<T>);

impl<T> Future for Theirs<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Theirs<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

// --- For all who wait for the same ----------------------------------------------------------------------------------

/// Why a leader has nothing.
pub(crate) enum NotLed {
    /// There was no place: it is still to be landed.
    NoPlace(Box<NoPlace>),
    /// It has landed with this.
    Failed(Refusal),
}

pub(crate) struct NoPlace {
    pub lead: Lead,
    pub before: Before,
    pub refusal: Refusal,
}

/// Renders for this visitor and all who wait for the same. As long as it waits for a place, the render is this visitor's, and
/// is not made for who has hung up; from then on it goes on when they leave.
pub(crate) async fn led(
    host: &Arc<Host>,
    lead: Lead,
    asking: Asking,
    before: Before,
    otherwise: Otherwise,
) -> Result<Led, NotLed> {
    let lost = Refusal::Handler { trace: asking.trace.clone() };
    let task_host = host.clone();
    if let Some(place) = place_here(host, &asking) {
        let held = place.clone();
        let made = async move { lead_on(&task_host, lead, place, asking, before).await };
        return match begin_here(host, held, made).await {
            Begun::Done(made) => made.map_err(NotLed::Failed),
            Begun::Elsewhere(task) => task.await.unwrap_or(Err(lost)).map_err(NotLed::Failed),
        };
    }
    let led = in_a_place(host, asking, otherwise, move |place, asking, tell| match place {
        Ok((place, begins)) => {
            let held = place.clone();
            begins.begin(&held, async move {
                let led = lead_on(&task_host, lead, place, asking, before).await;
                let _ = tell.send(led.map_err(NotLed::Failed));
            });
        }
        Err(refusal) => drop(tell.send(Err(NotLed::NoPlace(Box::new(NoPlace { lead, before, refusal }))))),
    });
    led.await.unwrap_or(Err(NotLed::Failed(lost)))
}

/// Makes what a visitor has just been shown as it was. Nobody waits for it, so it comes after all who wait.
pub(crate) fn refresh(host: &Arc<Host>, lead: Lead, asking: Asking, before: Before) {
    let task_host = host.clone();
    host.spawn(async move {
        match task_host.queue.place(Class::Refresh, asking.patience()).await {
            Ok(place) => drop(lead_on(&task_host, lead, place, asking, before).await),
            Err(shed) => drop(lead.land(Err(Refusal::Shed(shed)))),
        }
    });
}

/// Asks again or renders, and lands.
pub(crate) async fn lead_on(
    host: &Arc<Host>,
    mut lead: Lead,
    place: Arc<Place>,
    mut asking: Asking,
    before: Before,
) -> Result<Led, Refusal> {
    lead.begin();
    let (release, route) = (asking.release.clone(), asking.route);
    let because = match before {
        Before::Nothing => Because::default(),
        Before::Wrong(_, cause) => Because::of(cause),
        Before::InDoubt(entry) => match ask_again(&release, &entry) {
            Ok(confirmed) => {
                let confirmed = Arc::new(confirmed);
                // Right in any case, and stored unless there is a newer one.
                let _ = lead.land(Ok((confirmed.clone(), Ok(Lifetime::Release))));
                return Ok(Led::Confirmed(confirmed));
            }
            Err(because) => because,
        },
    };
    let mut shown = release.shows(because.cause, route);
    if let Some(span) = &mut shown {
        match asking.traced.as_ref().map(Traced::context) {
            Some(visitors) => span.link(visitors),
            None => asking.traced = Some(span.traced()),
        }
    }
    let mut made = match made_in(host, place, asking, false).await {
        Ok(rendered) => Made::of(rendered, release, route, because),
        Err(refusal) => {
            let _ = lead.land(Err(refusal.clone()));
            return Err(refusal);
        }
    };
    match &made.entry {
        Some(entry) => {
            if let Err(why) = lead.land(Ok((entry.clone(), made.verdict))) {
                made.status = CacheStatus::NotStored(why);
            }
        }
        None => lead.land_unstorable(made.verdict.err().unwrap_or(NotStored::TooLarge)),
    }
    Ok(Led::Made(Box::new(made)))
}

/// What a leader has, for itself and all who wait.
pub(crate) enum Led {
    Confirmed(Arc<Entry>),
    Made(Box<Made>),
}

// --- What has come of it --------------------------------------------------------------------------------------------

/// A render's result, on its way to one visitor.
pub(crate) struct Made {
    pub rendered: Rendered,
    /// Whether it may be kept; whether it was is the status's to say.
    pub verdict: Result<Lifetime, NotStored>,
    pub(crate) release: Arc<Release>,
    pub(crate) route: usize,
    /// The entry, where the response is whole.
    pub entry: Option<Arc<Entry>>,
    pub(crate) status: CacheStatus,
}

impl Made {
    /// Makes an entry of a whole response, and judges whether it may be kept.
    pub(crate) fn of(rendered: Rendered, release: Arc<Release>, route: usize, because: Because) -> Made {
        let declared = &release.code.app.routes[route];
        let verdict =
            storable(&declared.inputs, rendered.status, &rendered.headers, &rendered.taint).and_then(|lifetime| {
                match rendered.body {
                    RenderedBody::Streams(_) => Err(NotStored::TooLarge),
                    RenderedBody::Whole(_) => Ok(lifetime),
                }
            });
        let status = verdict.map_or_else(CacheStatus::NotStored, |_| CacheStatus::Stored(because.cause));
        tracing::debug!(
            app = %release.code.app.name,
            route = %declared.path,
            release = %release.manifest.release,
            trace = %rendered.cost.trace,
            cache = status.name(),
            because = because.cause.name(),
            query = because.query.as_deref(),
            "rendered"
        );
        let by = if release.ahead.is_open() { By::RenderingAhead } else { By::Rendering };
        let entry = match &rendered.body {
            RenderedBody::Streams(_) => None,
            RenderedBody::Whole(body) => {
                let raw = Raw {
                    status: rendered.status,
                    headers: &rendered.headers,
                    body: body.clone(),
                    evidence: rendered.evidence.gathered(),
                    took: rendered.took,
                    on: release.manifest.release,
                };
                let entry = reply::entry(raw, declared, &release, verdict);
                Some(Arc::new(Entry { by, because, ..entry }))
            }
        };
        Made { rendered, verdict, release, route, entry, status }
    }
}
