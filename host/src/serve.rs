//! Sockets: accept, speak HTTP/1.1 and HTTP/2 with limits, and drain when told to stop.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use nearside_protocol::limits;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, watch},
};

use crate::{
    activity::Activity,
    at_once,
    door::Door,
    greeting::Greeting,
    handler,
    head_timer::HeadTimer,
    host::Host,
    quiet::{Quiet, Verdict},
    seats::Seats,
    stall::{Stalls, speaks},
    visitor_span,
};

/// After a failed accept - the process is out of file descriptors, say - wait a little rather than spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves visitors until `shutdown`, then lets what is under way finish, for at most [`limits::DRAIN`].
pub async fn serve(host: Arc<Host>, door: impl Into<Door>, shutdown: impl Future<Output = ()>) {
    serve_until(host, door, at_most_drain(shutdown)).await;
}

async fn at_most_drain(shutdown: impl Future<Output = ()>) -> Duration {
    shutdown.await;
    limits::DRAIN
}

/// The same, for at most so long as `shutdown` then says.
pub async fn serve_until(host: Arc<Host>, door: impl Into<Door>, shutdown: impl Future<Output = Duration>) {
    let counted = host.clone();
    let answer = move |request: Request<Incoming>, client: SocketAddr| {
        let (mut parts, body) = request.into_parts();
        let mut span = visitor_span::begin(&host, &mut parts);
        let at_once = at_once::answer(&host, &parts, client.ip());
        if let Some(reply) = &at_once {
            host.in_fleet.answered.count_at_once(reply.status());
            if let Some(span) = span.take() {
                visitor_span::answered(span, reply);
            }
        }
        let answered = at_once.ok_or_else(|| {
            let (host, request, began) = (host.clone(), Request::from_parts(parts, body), Instant::now());
            Box::pin(async move {
                let reply = handler::answer(&host, request, client.ip()).await;
                host.in_fleet.answered.count_longer(reply.status(), began);
                if let Some(span) = span {
                    visitor_span::answered(span, &reply);
                }
                reply
            })
        });
        async move {
            match answered {
                Ok(reply) => reply,
                Err(later) => later.await,
            }
        }
    };
    accept_until(door.into(), answer, move || counted.counters.count_unseated(), shutdown).await;
}

/// The same for any service: the admin listener and the origin use it too.
pub async fn accept<F, R, B>(door: impl Into<Door>, answer: F, shutdown: impl Future<Output = ()>)
where
    F: Fn(Request<Incoming>, SocketAddr) -> R + Clone + Send + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    accept_until(door.into(), answer, || (), at_most_drain(shutdown)).await;
}

async fn accept_until<F, R, B>(door: Door, answer: F, unseated: impl Fn(), shutdown: impl Future<Output = Duration>)
where
    F: Fn(Request<Incoming>, SocketAddr) -> R + Clone + Send + 'static,
    R: Future<Output = Response<B>> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    let Door { listener, tls, most_a_client } = door;
    let seats = Seats::of(most_a_client);
    // Told when connections are to end; all of them have when nobody listens any more.
    let (ends, ending) = watch::channel(());
    // Gone when this stops: connections that have not said a word are waited for a moment only.
    let (running, stopping) = watch::channel(());
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    tokio::pin!(shutdown);
    let drain = loop {
        let accepted = tokio::select! {
            drain = &mut shutdown => break drain,
            accepted = async {
                let place = room.clone().acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        let (Ok((stream, client)), Ok(place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Some(seat) = seats.seat(client.ip()) else {
            tracing::debug!(%client, most = most_a_client, "it has as many connections as it may have");
            unseated();
            continue;
        };
        let stream = prepared(stream);
        let (answer, activity) = (answer.clone(), Arc::new(Activity::default()));
        let asks = activity.clone();
        let service = service_fn(move |request| {
            let (stream, answered) = (asks.asks(), answer(request, client));
            async move { Ok::<_, Infallible>(answered.await.map(|body| stream.answered(body))) }
        });
        let (ending, mut stopping, tls) = (ending.clone(), stopping.clone(), tls.clone());
        tokio::spawn(async move {
            let spoke = tokio::select! {
                spoke = speaks(&stream) => spoke,
                () = async {
                    let _ = stopping.changed().await;
                    tokio::time::sleep(limits::LAST_WORD).await;
                } => false,
            };
            if spoke {
                let stream = Stalls::new(stream, activity.clone());
                let is_last = || stopping.has_changed().is_err();
                let life = |is_last| Life { activity, ending, is_last };
                // A client that leaves in the middle is no fault of ours, nor one that believes none of our certificates.
                match tls {
                    None => converse(stream, service, life(is_last())).await,
                    Some(tls) => match tokio::time::timeout(limits::REQUEST_HEAD_WAIT, tls.accept(stream)).await {
                        Ok(Ok(stream)) => converse(stream, service, life(is_last())).await,
                        Ok(Err(cause)) => tracing::debug!(%client, %cause, "no TLS"),
                        Err(_) => tracing::debug!(%client, cause = "its handshake takes too long", "no TLS"),
                    },
                }
            }
            drop((place, seat));
        });
    };
    drop((listener, running, ending));
    ends.send_replace(());
    if tokio::time::timeout(drain, ends.closed()).await.is_err() {
        tracing::warn!(seconds = drain.as_secs(), "some connections did not finish in time and were cut");
    }
}

/// What decides when a connection ends, besides its client.
struct Life {
    activity: Arc<Activity>,
    ending: watch::Receiver<()>,
    /// It came when this was told to stop.
    is_last: bool,
}

/// All requests of one connection.
async fn converse<I, S, B>(stream: I, service: S, life: Life)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send + 'static> + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Unpin
        + Send
        + 'static,
{
    let mut http = http();
    let stream = Greeting::within(limits::REQUEST_HEAD_WAIT, stream);
    let Life { activity, mut ending, is_last } = life;
    if is_last {
        // Its first request is its last one. It is waited for, and not told to stop before it is read.
        http.http1().keep_alive(false);
    }
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let mut quiet = Quiet::since(Instant::now());
    let mut is_told = is_last;
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            _ = ending.changed(), if !is_told => {
                connection.as_mut().graceful_shutdown();
                is_told = true;
            }
            () = tokio::time::sleep(limits::CONNECTION_LOOK) => {
                match quiet.look(activity.seen(), Instant::now()) {
                    Verdict::GoesOn => {}
                    Verdict::Idle if !is_told => {
                        connection.as_mut().graceful_shutdown();
                        is_told = true;
                    }
                    // It is cut.
                    Verdict::Idle | Verdict::Stalled => return,
                }
            }
        }
    }
}

fn prepared(stream: TcpStream) -> TcpStream {
    // Without this, an answer written in two pieces waits for the client's delayed acknowledgement: 40 ms.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(cause = %error, "TCP_NODELAY is not set");
    }
    stream
}

/// Of one connection.
fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(HeadTimer::default())
        .header_read_timeout(limits::REQUEST_HEAD_WAIT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(limits::REQUEST_HEAD_BYTES as u32)
        .keep_alive_interval(Duration::from_secs(30));
    http
}
