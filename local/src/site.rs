//! An app on a fresh site, for a test: an origin and a node with a folder of their own, and a visitor with cookies.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use nearside_host::{archive::Archive, engine::Engine, logbook::Logbook};
use nearside_origin::config::AppConfig;
use nearside_protocol::wire::RECEIPT_HEADER;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::{
    build::BuildError,
    folder::FolderError,
    local::{Local, LocalError, Plain, Settings},
};

/// Longer than any route may take.
const ANSWER_WAIT: Duration = Duration::from_secs(90);
const ANSWER_BYTES: usize = 64 << 20;
const CACHE_MIB: u64 = 16;
const COOKIES_MOST: usize = 200;

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Local(Box<LocalError>),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Engine(#[from] nearside_host::engine::EngineError),
    #[error(transparent)]
    Archive(#[from] nearside_host::archive::ArchiveError),
    #[error("a folder or port for the site cannot be had: {0}")]
    Io(std::io::Error),
    #[error("`{0}` is not a request that can be sent: {1}")]
    BadRequest(String, String),
    #[error("no whole answer to {0}: {1}")]
    NoAnswer(String, String),
}

impl From<LocalError> for SiteError {
    fn from(error: LocalError) -> SiteError {
        SiteError::Local(Box::new(error))
    }
}

/// What a request was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Under which the logbook has what was logged meanwhile.
    pub trace: String,
}

/// What a visitor sends.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// An app, packed once for all the sites it runs on.
#[derive(Clone)]
pub struct PackedApp {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl PackedApp {
    pub fn collect(folder: &Path) -> Result<PackedApp, SiteError> {
        let archive = Archive::collect(folder)?;
        Ok(PackedApp { name: archive.app.name.clone(), bytes: archive.pack()? })
    }
}

pub struct Site {
    local: Arc<Local>,
    app: String,
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: Mutex<BTreeMap<String, String>>,
    _data: TempDir,
}

impl Site {
    /// Starts the app without any data but what its migrations bring. Its tasks reach nobody.
    pub async fn start(app: &PackedApp, engine: Engine, logbook: Logbook) -> Result<Site, SiteError> {
        let data = tempfile::Builder::new().prefix("nearside-test-").tempdir().map_err(SiteError::Io)?;
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(SiteError::Io)?;
        let offline = AppConfig { offline: true, ..AppConfig::default() };
        let settings = Settings {
            data: data.path().to_owned(),
            engine,
            cache_mib: CACHE_MIB,
            apps: BTreeMap::from([(app.name.clone(), offline)]),
            logbook,
        };
        let local = Local::start(settings, listener, Arc::new(Plain)).await?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let site = Site { local, app: app.name.clone(), client, cookies: Mutex::default(), _data: data };
        site.local.push_packed(&app.name, app.bytes.clone()).await?;
        Ok(site)
    }

    /// Runs SQL on the write store; `file` is what messages call it. The rows are served when this returns.
    pub async fn seed(&self, file: &str, sql: &str) -> Result<(), SiteError> {
        Ok(self.local.seed(&self.app, file, sql).await.map(drop)?)
    }

    /// `http://…`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.local.address())
    }

    /// Waits until everything that was written is in what is served.
    pub async fn settled(&self) -> Result<(), SiteError> {
        Ok(self.local.caught_up(&self.app).await?)
    }

    /// Sends a request with the cookies that earlier answers have set, and keeps those this one sets.
    pub async fn send(&self, ask: Ask) -> Result<Answer, SiteError> {
        let what = format!("{} {}", ask.method, ask.target);
        let bad = |why: String| SiteError::BadRequest(what.clone(), why);
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.url(), ask.target))
            .body(Full::new(ask.body))
            .map_err(|error| bad(error.to_string()))?;
        *request.headers_mut() = ask.headers;
        request.headers_mut().entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        self.add_cookies(request.headers_mut()).map_err(|error| bad(error.to_string()))?;
        let trace = nearside_host::trace::trace_id(request.headers());
        let parent = format!("00-{trace}-{}-01", &trace[..16]);
        request.headers_mut().insert("traceparent", HeaderValue::from_str(&parent).map_err(|e| bad(e.to_string()))?);

        let none = |why: String| SiteError::NoAnswer(what.clone(), why);
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| none(error.to_string()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| none(error.to_string()))?;
            Ok::<_, SiteError>(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trace })
        };
        let answer = tokio::time::timeout(ANSWER_WAIT, answered)
            .await
            .map_err(|_| none(format!("nothing came for {} s", ANSWER_WAIT.as_secs())))??;
        self.keep_cookies(&answer);
        Ok(answer)
    }

    /// One cookie header: those kept, unless the request brings one of the same name.
    fn add_cookies(&self, headers: &mut HeaderMap) -> Result<(), header::InvalidHeaderValue> {
        let own: Vec<String> = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .map(|pair| pair.trim().to_owned())
            .collect();
        let kept = self.cookies.lock().expect("BUG: nothing panics while holding the cookies");
        let names = |name: &str| own.iter().any(|pair| pair.split('=').next() == Some(name));
        let mut pairs: Vec<String> =
            kept.iter().filter(|(name, _)| !names(name)).map(|(name, value)| format!("{name}={value}")).collect();
        pairs.extend(own.iter().cloned());
        headers.remove(header::COOKIE);
        if !pairs.is_empty() {
            headers.insert(header::COOKIE, HeaderValue::from_str(&pairs.join("; "))?);
        }
        Ok(())
    }

    /// All cookies go to all paths: tests of one site are one visitor's.
    fn keep_cookies(&self, answer: &Answer) {
        let mut kept = self.cookies.lock().expect("BUG: nothing panics while holding the cookies");
        for set in answer.set_cookies() {
            if set.ended {
                kept.remove(&set.name);
            } else if kept.len() < COOKIES_MOST {
                kept.insert(set.name, set.value);
            }
        }
    }

    /// Ends the site; its folder goes with it.
    pub async fn stop(self) {
        // Idle connections of the visitor would be waited for.
        drop(self.client);
        self.local.stop().await;
    }
}

struct SetCookie {
    name: String,
    value: String,
    /// It takes a cookie away.
    ended: bool,
}

impl Answer {
    /// The values of all headers of this name, in order.
    pub fn header_values(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The value of the first header of this name; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        self.header_values(name).into_iter().next().unwrap_or_default()
    }

    /// The body as text; what is not UTF-8 is shown as U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The value of a cookie that this answer sets.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.set_cookies().into_iter().find(|set| set.name == name).map(|set| set.value)
    }

    /// Whether it tells of a write, which a later read is to show.
    pub fn has_written(&self) -> bool {
        self.headers.contains_key(RECEIPT_HEADER)
    }

    fn set_cookies(&self) -> Vec<SetCookie> {
        let read = |text: String| {
            let mut parts = text.split(';').map(str::trim);
            let (name, value) = parts.next()?.split_once('=')?;
            let ended = parts.any(|part| {
                let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
                let zero = attribute.eq_ignore_ascii_case("max-age") && value.parse::<i64>().is_ok_and(|age| age <= 0);
                // Who takes a cookie away by its date sends one long past.
                zero || attribute.eq_ignore_ascii_case("expires") && value.contains("1970")
            });
            Some(SetCookie { name: name.trim().to_owned(), value: value.trim().to_owned(), ended })
        };
        self.header_values("set-cookie").into_iter().filter_map(read).collect()
    }
}

/// How long something took, for a person.
pub(crate) fn seconds_since(started: Instant) -> f64 {
    started.elapsed().as_secs_f64()
}
