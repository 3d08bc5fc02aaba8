//! `Local`: an origin and a node that follows it, behind one listener.
//!
//! A request that shows the origin's token, at a path below `/v1/`, is the origin's: pushes, status, and the node's own
//! following. Everything else is a visitor's, and the node answers it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use nearside_host::{
    archive::{Archive, ArchiveError},
    blobs::BlobsError,
    engine::Engine,
    follow::{self, FollowError},
    handler,
    host::{Host, HostError},
    logbook::Logbook,
    origin_client::{ClientError, OriginClient},
    pull::sources::Sources,
    replica::{Replica, ReplicaError},
    serve,
    served::Served,
};
use nearside_origin::{
    Origin, OriginError,
    config::{AppConfig, Config},
    origin::NotTaken,
};
use nearside_protocol::{release::ReleaseId, wire::Pushed};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::loopback;

/// Folders inside the data folder.
pub const ORIGIN: &str = "origin";
pub const NODE: &str = "node";

/// How long the node may take to serve what was pushed: it compiles anew what it does not find compiled.
const SWITCH_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked for an app that the node has never served.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long requests under way may take to finish when this is stopped.
const STOP_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error("{file}: {error}")]
    File { file: String, error: std::io::Error },
    #[error("the listener has no address: {0}")]
    Listener(std::io::Error),
    #[error("release {release} of `{app}` is not served after {} s: {why}", SWITCH_WAIT.as_secs())]
    NotServed { app: String, release: ReleaseId, why: String },
    #[error("work was lost: this site is stopping")]
    Lost,
}

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// What answers at the listener: [`Local`] itself, or something around it.
#[async_trait::async_trait]
pub trait Front: Send + Sync + 'static {
    async fn answer(&self, local: &Local, request: Request<Incoming>, client: SocketAddr) -> Response<Body>;
}

/// Nothing around it.
pub struct Plain;

#[async_trait::async_trait]
impl Front for Plain {
    async fn answer(&self, local: &Local, request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        local.answer(request, client).await
    }
}

/// What a site is started with.
pub struct Settings {
    /// Origin and node each have a folder of their own in it.
    pub data: PathBuf,
    pub engine: Engine,
    pub cache_mib: u64,
    /// What the operator would say of single apps.
    pub apps: BTreeMap<String, AppConfig>,
    /// Where what is logged in this process is kept.
    pub logbook: Logbook,
}

pub struct Local {
    address: SocketAddr,
    origin: Arc<Origin>,
    host: Arc<Host>,
    stop: watch::Sender<bool>,
    running: tokio::sync::Mutex<JoinSet<()>>,
}

impl Local {
    /// Starts both, from what is on disk if there is anything, and answers at `listener`.
    pub async fn start(
        settings: Settings,
        listener: TcpListener,
        front: Arc<dyn Front>,
    ) -> Result<Arc<Local>, LocalError> {
        let Settings { data, engine, cache_mib, apps, logbook } = settings;
        let address = listener.local_addr().map_err(LocalError::Listener)?;
        let config = Config { apps, ..Config::new(address, data.join(ORIGIN)) };
        let origin = Origin::open(config, engine.clone(), logbook).await?;

        let url = format!("http://{}", reachable(address));
        let client = Arc::new(OriginClient::new(&url, Some(origin.token().to_owned()))?);
        let replica = Replica::open(&data.join(NODE))?;
        let host = Host::new("local", engine, cache_mib, client.clone())?.with_blobs(&replica.blobs())?;
        let from_disk: JoinHandle<_> = tokio::task::spawn_blocking({
            let (host, replica) = (host.clone(), replica.clone());
            move || follow::start_from_disk(&host, &replica)
        });
        from_disk.await.map_err(|_| LocalError::Lost)??;

        let stop = watch::Sender::new(false);
        let local = Arc::new(Local { address, origin, host: host.clone(), stop, running: Default::default() });
        let mut running = JoinSet::new();
        let sources = Sources::new(Vec::new(), client);
        running.spawn(follow::follow(host, replica, sources, local.stopped()));
        let answering = Arc::downgrade(&local);
        let answer = move |request, from| {
            let (local, front) = (answering.upgrade(), front.clone());
            async move {
                match local {
                    Some(local) => front.answer(&local, request, from).await,
                    None => gone(),
                }
            }
        };
        running.spawn(serve::accept(listener, answer, local.stopped()));
        *local.running.lock().await = running;
        Ok(local)
    }

    /// Answers one request, whosever it is.
    pub async fn answer(&self, request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        if self.is_the_origins(&request) {
            return self.origin.answer(request).await.map(|body| body.map_err(BoxError::from).boxed_unsync());
        }
        let request = loopback::readdressed(&self.host, request);
        let reply = handler::answer(&self.host, request, client.ip()).await;
        reply.map(|body| body.map_err(BoxError::from).boxed_unsync())
    }

    /// Whether a request is a node's or an operator's: it shows the origin's token.
    pub fn is_the_origins(&self, request: &Request<Incoming>) -> bool {
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| {
            // Whoever comes without this very token is a visitor, also at such a path: it may be the app's.
            request.uri().path().starts_with("/v1/") && scheme.eq_ignore_ascii_case("bearer")
        });
        token.is_some_and(|(_, token)| self.origin.admits(token.trim()))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The app served here, if there is just one.
    pub fn only(&self) -> Option<Arc<Served>> {
        loopback::only(&self.host)
    }

    /// Whether this app has ever been released here.
    pub fn has(&self, app: &str) -> bool {
        self.origin.outs().borrow().has(app)
    }

    /// Makes an archive the app's next release, and waits until the node serves it.
    pub async fn push(&self, archive: &Archive) -> Result<Pushed, LocalError> {
        let of = archive.clone();
        let packed = tokio::task::spawn_blocking(move || of.pack()).await.map_err(|_| LocalError::Lost)??;
        self.push_packed(&archive.app.name, packed).await
    }

    /// The same with an archive that is packed already.
    pub async fn push_packed(&self, app: &str, packed: Vec<u8>) -> Result<Pushed, LocalError> {
        let pushed = self.origin.push(app, packed).await?;
        self.serves(app, &pushed).await?;
        Ok(pushed)
    }

    /// Brings rows into an app's store from the text of an SQL file, and waits until the node serves them.
    pub async fn seed(&self, app: &str, file: &str, sql: &str) -> Result<Pushed, LocalError> {
        let pushed = self.origin.seed(app, file, sql).await?;
        self.serves(app, &pushed).await?;
        Ok(pushed)
    }

    /// Publishes everything that was written to an app's store, and waits until the node serves it.
    pub async fn caught_up(&self, app: &str) -> Result<(), LocalError> {
        let pushed = self.origin.publish(app).await?;
        self.serves(app, &pushed).await
    }

    /// Waits until the node serves what was pushed.
    pub async fn serves(&self, app: &str, pushed: &Pushed) -> Result<(), LocalError> {
        let Some(release) = pushed.release else { return Ok(()) };
        let mut stop = self.stop.subscribe();
        let switched = async {
            let served = loop {
                match self.host.by_name(app) {
                    Some(served) => break served,
                    None => tokio::time::sleep(LOOK_EVERY).await,
                }
            };
            let _ = served.switched().wait_for(|now| now.is_some_and(|now| now >= release)).await;
        };
        tokio::select! {
            switched = tokio::time::timeout(SWITCH_WAIT, switched) => switched.map_err(|_| {
                let status = self.host.status(None);
                let why = status.apps.get(app).and_then(|app| app.refused.clone());
                let why = why.unwrap_or_else(|| "see the log".to_owned());
                LocalError::NotServed { app: app.to_owned(), release, why }
            }),
            _ = stop.wait_for(|stop| *stop) => Err(LocalError::Lost),
        }
    }

    /// Resolves when this is told to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Ends both: no new connections, requests under way have a second, then the store is closed.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        self.origin.end_waits();
        let mut running = std::mem::take(&mut *self.running.lock().await);
        let ended = async { while running.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WAIT, ended).await.is_err() {
            tracing::debug!("some connections did not finish in time and were cut");
        }
        drop(running);
        self.origin.stop().await;
    }
}

/// An address to connect to: a listener on all addresses is reached at the machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn gone() -> Response<Body> {
    let mut response = Response::new(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    response
}
