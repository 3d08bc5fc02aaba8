//! The origin, spoken to over HTTP.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use nearside_protocol::{
    action::OPERATOR_HEADER,
    digest::Digest,
    limits,
    problem::Problem,
    status::OriginLink,
    trace_context,
    wire::{APP_DIGEST_HEADER, IDEMPOTENCY_KEY_HEADER, RECEIPT_HEADER, VISITOR_ADDRESS_HEADER, VISITOR_PREFIX},
    write::{Delivered, Delivery, Enqueued, Outcome, Receipt, Taken, Unsure},
};
use tokio::sync::Semaphore;

use crate::{
    credential::Credential,
    in_vain::InVain,
    spans::{Kind, Traced, within},
    throttle::{Throttle, Went},
    tls::{self, Believes as Tls, TlsError},
    upstream::{NotPut, Sending, Unreachable, Upstream, Visitor},
};

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("`{0}` is not an origin: `http://host:port` or `https://host` expected")]
    NotAUrl(String),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("{url} does not answer: {why}")]
    Unreachable { url: String, why: String, was_sent: bool },
    #[error("the origin refuses: {}{}", .0.title, .0.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    Refused(Box<Problem>),
    #[error("the origin's answer cannot be read: {0}")]
    Malformed(String),
}

impl From<ClientError> for Unreachable {
    fn from(error: ClientError) -> Unreachable {
        let may_have_arrived = match &error {
            ClientError::NotAUrl(_) | ClientError::Tls(_) => false,
            ClientError::Unreachable { was_sent, .. } => *was_sent,
            // It said that it does not: whoever answers so has done nothing; others may have.
            ClientError::Refused(problem) => problem.status >= 500 && problem.status != 503,
            ClientError::Malformed(_) => true,
        };
        Unreachable { why: error.to_string(), may_have_arrived }
    }
}

impl Went {
    fn of(error: &ClientError) -> Went {
        match error {
            ClientError::Refused(problem) if problem.status == 503 => Went::Refused,
            ClientError::Unreachable { was_sent: true, .. } => Went::Refused,
            ClientError::Unreachable { .. } | ClientError::NotAUrl(_) | ClientError::Tls(_) => Went::NotReached,
            ClientError::Refused(_) | ClientError::Malformed(_) => Went::Taken,
        }
    }
}

/// What is sent: a few bytes, or a file as it is read.
pub type ClientBody = UnsyncBoxBody<Bytes, std::io::Error>;

pub fn bytes(bytes: impl Into<Bytes>) -> ClientBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The same, and whether a connection has taken it: before that, nothing of the request can be acted on.
fn noted(content: impl Into<Bytes>) -> (ClientBody, Arc<AtomicBool>) {
    let was_taken = Arc::new(AtomicBool::new(false));
    let note = was_taken.clone();
    let body = Full::new(content.into()).map_frame(move |frame| {
        note.store(true, Ordering::Release);
        frame
    });
    (body.map_err(|never| match never {}).boxed_unsync(), was_taken)
}

/// A pooled client for one origin.
pub struct OriginClient {
    base: String,
    credential: Credential,
    operator: Option<HeaderValue>,
    http: Client<HttpsConnector<HttpConnector>, ClientBody>,
    submits: Semaphore,
    renders: Semaphore,
    blob_puts: Semaphore,
    throttle: Throttle,
    /// By app: receipts of commits that it has not made.
    not_made: InVain<(String, Receipt)>,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    heard: Option<Instant>,
    last_error: Option<String>,
}

impl OriginClient {
    /// A client that believes the authorities everybody does, where the origin speaks TLS.
    pub fn new(base: &str, token: Option<String>) -> Result<OriginClient, ClientError> {
        let credential = token.as_deref().map(Credential::of).unwrap_or_default();
        OriginClient::by(base, credential, &Tls::default())
    }

    /// The same by what TLS takes, and with a token that may be exchanged for another.
    pub fn by(base: &str, credential: Credential, tls: &Tls) -> Result<OriginClient, ClientError> {
        OriginClient::reaching(base, credential, tls, limits::OUTBOUND_CONNECT)
    }

    /// A client for another node, which is told no token: it is reached in a moment, or not at all.
    pub fn near(base: &str) -> Result<OriginClient, ClientError> {
        OriginClient::reaching(base, Credential::default(), &Tls::default(), limits::HANDED_CONNECT)
    }

    fn reaching(base: &str, credential: Credential, tls: &Tls, connect: Duration) -> Result<OriginClient, ClientError> {
        let not_a_url = || ClientError::NotAUrl(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| not_a_url())?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none() || uri.path() != "/" || uri.query().is_some() {
            return Err(not_a_url());
        }
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_keepalive(Some(Duration::from_secs(15)));
        connector.set_connect_timeout(Some(connect));
        connector.enforce_http(false);
        // Over TLS both ends can say that they speak HTTP/2, and then everything goes over one connection.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::believing(tls)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .timer(TokioTimer::new())
            .http2_adaptive_window(true)
            // One connection that is dead without a word must not hold up all that is sent over it.
            .http2_keep_alive_interval(limits::ORIGIN_PING_EVERY)
            .http2_keep_alive_timeout(limits::ORIGIN_PING_WAIT)
            .build(connector);
        Ok(OriginClient {
            base: base.trim_end_matches('/').to_owned(),
            credential,
            operator: None,
            http,
            submits: Semaphore::new(limits::SUBMITS_AT_ONCE),
            renders: Semaphore::new(limits::ORIGIN_RENDERS_AT_ONCE),
            blob_puts: Semaphore::new(limits::BLOB_PUTS_AT_ONCE),
            throttle: Throttle::default(),
            not_made: InVain::new(limits::RECEIPT_REFUSED_FOR, limits::RECEIPTS_REFUSED),
            link: Mutex::default(),
        })
    }

    /// Says with each request who asks, for the log of what operators do; what fits in no header is left out.
    pub fn as_operator(mut self, who: &str) -> OriginClient {
        self.operator = HeaderValue::from_str(who).ok();
        self
    }

    pub fn url(&self) -> &str {
        &self.base
    }

    pub fn link(&self) -> OriginLink {
        let link = self.link.lock().expect("BUG: nothing panics while holding the link");
        OriginLink {
            url: self.base.clone(),
            heard_ms_ago: link.heard.map(|heard| heard.elapsed().as_millis() as u64),
            last_error: link.last_error.clone(),
        }
    }

    /// A request without headers yet but the token's.
    pub fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(operator) = &self.operator {
            request = request.header(OPERATOR_HEADER, operator);
        }
        match self.credential.header() {
            Some(token) => request.header(header::AUTHORIZATION, token),
            None => request,
        }
    }

    /// Sends a request; any answer but success is an error.
    pub async fn send(&self, request: Request<ClientBody>, wait: Duration) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |why: String, was_sent| ClientError::Unreachable { url: self.base.clone(), why, was_sent };
        let sent = match tokio::time::timeout(wait, self.http.request(request)).await {
            Err(_) => Err(unreachable(format!("no answer within {} ms", wait.as_millis()), true)),
            Ok(Err(error)) => Err(unreachable(self.why(&error), !error.is_connect())),
            Ok(Ok(response)) => Ok(response),
        };
        let answered = match sent {
            Ok(response) if response.status().is_success() => Ok(response),
            Ok(response) => Err(refused(response).await),
            Err(error) => Err(error),
        };
        self.note(&answered);
        answered
    }

    /// Whoever is not let in has not been heard: it is told like an origin that is away.
    fn note(&self, answered: &Result<Response<Incoming>, ClientError>) {
        let mut link = self.link.lock().expect("BUG: nothing panics while holding the link");
        match answered {
            Err(ClientError::Refused(problem)) if matches!(problem.status, 401 | 403) => {
                link.last_error = answered.as_ref().err().map(ToString::to_string);
            }
            Ok(_) | Err(ClientError::Refused(_)) => *link = Link { heard: Some(Instant::now()), last_error: None },
            Err(error) => link.last_error = Some(error.to_string()),
        }
    }

    /// Where a certificate is not taken, the connection ends after the client's part of the handshake, often without a word.
    fn why(&self, error: &hyper_util::client::legacy::Error) -> String {
        let why = causes(error);
        // Also while HTTP/2 is only agreed upon: then the request is said to have been canceled.
        let was_connected = !error.is_connect() || why.contains("canceled");
        match self.base.starts_with("https:") && was_connected && !why.contains("alert") {
            true => format!("{why} (where it asks for a certificate: --origin-certificate)"),
            false => why,
        }
    }

    pub async fn get(&self, path: &str, most_bytes: usize) -> Result<Bytes, ClientError> {
        let request = self.request(Method::GET, path).body(bytes("")).map_err(malformed)?;
        whole(self.send(request, limits::OUTBOUND_CONNECT * 2).await?, most_bytes).await
    }

    pub async fn get_json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        serde_json::from_slice(&self.get(path, limits::MANIFEST_BYTES).await?).map_err(malformed)
    }
}

/// Tells whose trace the request goes on with, if that is sampled.
pub(crate) fn traced_by(request: http::request::Builder, traced: Option<&Traced>) -> http::request::Builder {
    match traced {
        Some(traced) => request.header(trace_context::HEADER, traced.header()),
        None => request,
    }
}

/// What an answer says that is none.
async fn refused(response: Response<Incoming>) -> ClientError {
    let status = response.status();
    let body = whole(response, limits::MANIFEST_BYTES).await.unwrap_or_default();
    let fallback = || {
        let problem = Problem::new(status.as_u16(), status.canonical_reason().unwrap_or("Error"));
        // A few words, as a node's health has them.
        let words = str::from_utf8(&body).ok().map(str::trim);
        match words.filter(|words| (1..=limits::NODE_WORDS_BYTES).contains(&words.len()) && !words.contains('<')) {
            Some(words) => problem.detail(words),
            None => problem,
        }
    };
    ClientError::Refused(Box::new(serde_json::from_slice(&body).unwrap_or_else(|_| fallback())))
}

/// A body of at most so many bytes.
pub async fn whole(response: Response<Incoming>, most_bytes: usize) -> Result<Bytes, ClientError> {
    let mut body = Limited::new(response.into_body(), most_bytes);
    let mut whole = BytesMut::new();
    loop {
        // A peer that is gone without a word sends nothing ever again.
        match tokio::time::timeout(limits::STREAM_IDLE, body.frame()).await {
            Err(_) => return Err(ClientError::Malformed(format!("it broke off after {} bytes", whole.len()))),
            Ok(None) => return Ok(whole.freeze()),
            Ok(Some(frame)) => {
                if let Ok(piece) = frame.map_err(malformed)?.into_data() {
                    whole.extend_from_slice(&piece);
                }
            }
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> ClientError {
    ClientError::Malformed(error.to_string())
}

/// hyper's errors say what failed in their sources only.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[async_trait::async_trait]
impl Upstream for OriginClient {
    async fn submit(&self, command: Sending<'_>) -> Result<Outcome, Unreachable> {
        let app = command.app;
        let outcome = self.post("commands", command).await?;
        // It answers so when too many commands wait for its writer.
        let went = if matches!(outcome, Outcome::Retry { .. }) { Went::Refused } else { Went::Taken };
        self.throttle.went(went, Instant::now());
        if let Outcome::Applied { receipt, .. } = &outcome {
            // Somebody may have guessed it a moment ago.
            self.not_made.forget(&(app.to_owned(), receipt.clone()));
        }
        Ok(outcome)
    }

    async fn enqueue(&self, task: Sending<'_>) -> Result<u64, Unreachable> {
        let enqueued: Enqueued = self.post("tasks", task).await?;
        self.throttle.went(Went::Taken, Instant::now());
        Ok(enqueued.task)
    }

    async fn deliver(&self, app: &str, delivery: Delivery) -> Result<Delivered, Unreachable> {
        let body = serde_json::to_vec(&delivery).expect("BUG: a delivery is plain data");
        let request = self
            .request(Method::POST, &format!("/v1/apps/{app}/deferred"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(bytes(body))
            .map_err(|error| Unreachable::unsent(error.to_string()))?;
        let response = self.send(request, limits::DELIVERY_WAIT).await?;
        let body = whole(response, limits::DELIVERY_WRITES * limits::COMMAND_REPLY_BYTES * 2).await?;
        serde_json::from_slice(&body).map_err(|error| Unreachable::unanswered(error.to_string()))
    }

    async fn find_out(&self, app: &str, unsure: Unsure) -> Result<Taken, Unreachable> {
        let body = serde_json::to_vec(&unsure).expect("BUG: a question is plain data");
        let request = self
            .request(Method::POST, &format!("/v1/apps/{app}/unsure"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(bytes(body))
            .map_err(|error| Unreachable::unsent(error.to_string()))?;
        let response = self.send(request, limits::UNSURE_WAIT).await?;
        let body = whole(response, limits::COMMAND_REPLY_BYTES * 2).await?;
        serde_json::from_slice(&body).map_err(|error| Unreachable::unanswered(error.to_string()))
    }

    async fn render(
        &self,
        app: &str,
        code: &Digest,
        target: &str,
        visitor: &Visitor,
        receipt: &Receipt,
    ) -> Result<Response<Bytes>, Unreachable> {
        let Ok(_place) = self.renders.try_acquire() else {
            let why = format!("{} pages are being rendered there already", limits::ORIGIN_RENDERS_AT_ONCE);
            return Err(Unreachable::unsent(why));
        };
        let asked_at = Instant::now();
        let not_made = (app.to_owned(), receipt.clone());
        if self.not_made.was(&not_made, asked_at) {
            return Err(Unreachable::unsent("it has just said that it made no such commit"));
        }
        self.may_ask()?;
        let target: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
        let span = visitor.traced.as_ref().map(|traced| traced.span(Kind::Client, "ask the origin for the page"));
        let request = self.request(Method::GET, &format!("/v1/apps/{app}/render?target={target}"));
        let mut request = traced_by(request, within(&span).as_ref())
            .header(RECEIPT_HEADER, receipt.to_string())
            .header(APP_DIGEST_HEADER, code.to_string());
        // The visitor's headers travel under names of their own, apart from those of this request.
        let fits = |name: &HeaderName| VISITOR_ADDRESS_HEADER.strip_prefix(VISITOR_PREFIX) != Some(name.as_str());
        for (name, value) in visitor.headers.iter().filter(|(name, _)| fits(name)) {
            request = request.header(format!("{VISITOR_PREFIX}{name}"), value);
        }
        request = request.header(VISITOR_ADDRESS_HEADER, visitor.client.to_string());
        let request = request.body(bytes("")).map_err(|error| Unreachable::unsent(error.to_string()))?;
        let sent = tokio::time::timeout(limits::SUBMIT_WAIT, self.http.request(request)).await;
        let went = match &sent {
            Ok(Ok(response)) if response.status() == StatusCode::SERVICE_UNAVAILABLE => Went::Refused,
            Ok(Ok(_)) => Went::Taken,
            Ok(Err(error)) if error.is_connect() => Went::NotReached,
            _ => Went::Refused,
        };
        self.throttle.went(went, Instant::now());
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Unreachable::unanswered(causes(&error))),
            Err(_) => {
                let why = format!("no answer within {} ms", limits::SUBMIT_WAIT.as_millis());
                return Err(Unreachable::unanswered(why));
            }
        };
        // A page with an error status of its own is an answer; only the marked ones are pages.
        if !response.headers().contains_key(nearside_protocol::wire::RELEASE_HEADER) {
            if response.status() == StatusCode::CONFLICT {
                self.not_made.note(not_made, asked_at, Instant::now());
            }
            return Err(Unreachable::unanswered(format!("it answered {}", response.status())));
        }
        let (parts, body) = response.into_parts();
        let body = whole(Response::new(body), limits::STORED_BODY_BYTES).await?;
        Ok(Response::from_parts(parts, body))
    }

    async fn put_blob(&self, app: &str, content: Bytes) -> Result<Digest, NotPut> {
        let Ok(_place) = self.blob_puts.try_acquire() else {
            let why = format!("{} blobs are on their way there already", limits::BLOB_PUTS_AT_ONCE);
            return Err(Unreachable::unsent(why).into());
        };
        self.may_ask()?;
        let digest = Digest::of(&content);
        let request = self.request(Method::PUT, &format!("/v1/apps/{app}/blobs/{digest}")).body(bytes(content));
        let request = request.map_err(|error| Unreachable::unsent(error.to_string()))?;
        match self.asked(self.send(request, limits::BLOB_PUT_WAIT).await) {
            Ok(_) => Ok(digest),
            // What only the app or its operator can change; all else may pass.
            Err(ClientError::Refused(problem)) if problem.status < 500 || problem.status == 507 => {
                Err(NotPut::Refused(problem.detail.unwrap_or(problem.title)))
            }
            Err(error) => Err(Unreachable::from(error).into()),
        }
    }

    async fn blob(&self, app: &str, digest: &Digest) -> Result<Option<Bytes>, Unreachable> {
        self.may_ask()?;
        match self.asked(self.get(&format!("/v1/apps/{app}/blobs/{digest}"), limits::BLOB_BYTES).await) {
            Ok(content) => Ok(Some(content)),
            Err(ClientError::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl OriginClient {
    fn may_ask(&self) -> Result<(), Unreachable> {
        match self.throttle.may_ask(Instant::now()) {
            true => Ok(()),
            false => Err(Unreachable::unsent("it has more to do than it can, and is asked less for a while")),
        }
    }

    /// Notes how a visitor's question went.
    fn asked<T>(&self, answer: Result<T, ClientError>) -> Result<T, ClientError> {
        self.throttle.went(answer.as_ref().map_or_else(Went::of, |_| Went::Taken), Instant::now());
        answer
    }

    /// Sends one to what there is of its `kind`.
    async fn post<T: serde::de::DeserializeOwned>(&self, kind: &str, sending: Sending<'_>) -> Result<T, Unreachable> {
        let Sending { app, name, payload, key, traced } = sending;
        let Ok(_place) = self.submits.try_acquire() else {
            let why = format!("{} writes are on their way already", limits::SUBMITS_AT_ONCE);
            return Err(Unreachable::unsent(why));
        };
        self.may_ask()?;
        let length = payload.len();
        let (body, was_taken) = noted(payload);
        let request = traced_by(self.request(Method::POST, &format!("/v1/apps/{app}/{kind}/{name}")), traced)
            .header(header::CONTENT_LENGTH, length)
            .header(IDEMPOTENCY_KEY_HEADER, key.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(|error| Unreachable::unsent(error.to_string()))?;
        let sent = self.send(request, limits::SUBMIT_WAIT).await;
        if let Err(error) = &sent {
            self.throttle.went(Went::of(error), Instant::now());
        }
        let sent = sent.map_err(Unreachable::from);
        // Who was never connected, or waited for a connection until there was no time left, has sent nothing.
        let response = sent.map_err(|error| match was_taken.load(Ordering::Acquire) {
            true => error,
            false => Unreachable::unsent(error.why),
        })?;
        debug_assert_eq!(response.status(), StatusCode::OK);
        let body = whole(response, limits::COMMAND_REPLY_BYTES * 2).await?;
        serde_json::from_slice(&body).map_err(|error| Unreachable::unanswered(error.to_string()))
    }
}

/// A node without an origin: it serves what is on its disk.
pub struct NoOrigin;

#[async_trait::async_trait]
impl Upstream for NoOrigin {
    async fn submit(&self, _: Sending<'_>) -> Result<Outcome, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }

    async fn enqueue(&self, _: Sending<'_>) -> Result<u64, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }

    async fn deliver(&self, _: &str, _: Delivery) -> Result<Delivered, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }

    async fn find_out(&self, _: &str, _: Unsure) -> Result<Taken, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }

    async fn render(
        &self,
        _: &str,
        _: &Digest,
        _: &str,
        _: &Visitor,
        _: &Receipt,
    ) -> Result<Response<Bytes>, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }

    async fn put_blob(&self, _: &str, _: Bytes) -> Result<Digest, NotPut> {
        Err(Unreachable::unsent("this node has none").into())
    }

    async fn blob(&self, _: &str, _: &Digest) -> Result<Option<Bytes>, Unreachable> {
        Err(Unreachable::unsent("this node has none"))
    }
}
