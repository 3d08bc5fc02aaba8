//! `Origin`: all apps, the signing key, who may ask, and the HTTP interface around them.

use std::{
    collections::BTreeMap,
    fs::File,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use nearside_host::{disk::Disk, door::Door, engine::Engine, logbook::Logbook, logs::Logs, serve, spans::Tracer};
use nearside_protocol::{
    action::Action,
    app,
    digest::Digest,
    fleet::Fleet,
    heads::{Newest, Nonce, SignedHeads},
    key::PublicKey,
    limits,
    status::OriginStatus,
    voucher::AppVoucher,
    wire::Pushed,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    actions::Log,
    api::{self, Client},
    api_error::ApiError,
    body::Body,
    bucket::{Bucket, BucketError},
    canary,
    config::Config,
    fleet::{Head, Nodes},
    out::Outs,
    page::Page,
    render,
    secrets::{self, SecretError, Token},
    site::{Common, How, PushError, Site, SiteError},
    tokens::Tokens,
};

const APPS: &str = "apps";
const OBJECTS: &str = "objects";

#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: another origin is running on this data folder", path = path.display())]
    InUse { path: PathBuf },
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Host(#[from] nearside_host::host::HostError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("app `{app}`: {error}")]
    Site { app: String, error: SiteError },
    #[error("the log of what operators did cannot be opened: {0}")]
    Actions(#[from] rusqlite::Error),
    #[error("{0} apps are here already; that is the most one origin takes")]
    TooManyApps(usize),
}

/// Why something pushed was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    #[error(transparent)]
    Origin(#[from] OriginError),
    #[error(transparent)]
    Push(#[from] PushError),
}

pub struct Origin {
    config: Config,
    common: Common,
    pub(crate) tokens: Tokens,
    started: Instant,
    sites: RwLock<BTreeMap<String, Arc<Site>>>,
    /// Pushes whose bodies are being taken.
    pub(crate) pushes: Semaphore,
    pub(crate) blob_puts: Semaphore,
    incoming: AtomicU64,
    pub(crate) logs: Logs,
    pub(crate) nodes: Nodes,
    pub(crate) actions: Log,
    pub(crate) page: Page,
    stopping: watch::Sender<bool>,
    /// Held for as long as the origin lives.
    _lock: File,
}

impl Origin {
    /// Opens the data folder and starts every app that has a release. An app that does not start is logged, and told in
    /// `status`; its releases can be pulled.
    ///
    /// `logbook` is what operators are shown as the origin's log.
    pub async fn open(config: Config, engine: Engine, logbook: Logbook) -> Result<Arc<Origin>, OriginError> {
        Origin::open_traced(config, engine, logbook, Tracer::default()).await
    }

    /// The same, with what is sampled traced.
    pub async fn open_traced(
        config: Config,
        engine: Engine,
        logbook: Logbook,
        tracer: Tracer,
    ) -> Result<Arc<Origin>, OriginError> {
        let apps = config.data.join(APPS);
        let io = |error| OriginError::Io { path: config.data.clone(), error };
        Disk::real().folder(&apps).map_err(io)?;
        let lock = lock(&config.data)?;
        let first = Token::load(&config.data, config.token_file.as_deref())?;
        let key = secrets::signing_key(&config.data)?;
        let (nodes, actions) = (Nodes::open(&config.data).map_err(io)?, Log::open(&config.data)?);
        let page = Page::of(&first);
        let tokens = Tokens::open(&config.data, first).map_err(io)?;
        let host = render::host(engine.clone())?.with_tracer(tracer.clone());
        let bucket = match &config.objects {
            Some(objects) => Bucket::open(objects)?,
            None => Bucket::folder(&config.data.join(OBJECTS))?,
        };
        match tokio::time::timeout(limits::OBJECT_STORE_PROOF, bucket.prove_creates_once()).await {
            Ok(Err(error @ BucketError::Overwrites { .. })) => return Err(error.into()),
            Ok(Ok(())) => {}
            // What is released already can be given out; and the first release there will ask again.
            Ok(Err(error)) => tracing::warn!(cause = %error, "the object store does not answer as it should"),
            Err(_) => tracing::warn!("the object store does not answer"),
        }
        let (outs, host_names) = (watch::channel(Outs::default()).0, Arc::default());
        let common = Common { engine, host, key, bucket, outs, host_names, tracer };
        let names = names_in(&apps).map_err(io)?;
        let origin = Arc::new(Origin {
            config,
            common,
            tokens,
            started: Instant::now(),
            sites: RwLock::default(),
            pushes: Semaphore::new(limits::PUSHES_AT_ONCE),
            blob_puts: Semaphore::new(limits::BLOB_PUTS_AT_ONCE),
            incoming: AtomicU64::new(0),
            logs: Logs::new(logbook),
            nodes,
            actions,
            page,
            stopping: watch::channel(false).0,
            _lock: lock,
        });
        for name in names {
            let site = origin.site_or_new(&name)?;
            if let Err(error) = site.resume().await {
                tracing::error!(app = name, cause = %error, "the app does not start");
            }
        }
        Ok(origin)
    }

    pub(crate) fn tracer(&self) -> &Tracer {
        &self.common.tracer
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.config.certificates.is_some()
    }

    /// Answers nodes and operators until `shutdown`; then lets what is under way finish, for at most [`limits::DRAIN`],
    /// and stops all apps.
    pub async fn serve(self: &Arc<Self>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        self.serve_at(listener, shutdown).await;
    }

    /// The same where the socket may speak TLS.
    pub async fn serve_at(self: &Arc<Self>, door: impl Into<Door>, shutdown: impl Future<Output = ()>) {
        let origin = self.clone();
        let answer = move |mut request: Request<Incoming>, client| {
            let origin = origin.clone();
            request.extensions_mut().insert(Client(client));
            async move { origin.answer(request).await }
        };
        let shutdown = async {
            shutdown.await;
            self.end_waits();
        };
        let audits = tokio::spawn(self.clone().audits());
        let notes = tokio::spawn(self.clone().notes());
        let canaries = tokio::spawn(canary::watch::watch(self.clone()));
        serve::accept(door, answer, shutdown).await;
        audits.abort();
        notes.abort();
        canaries.abort();
        self.stop().await;
    }

    /// Audits each app once a day, one after the other.
    async fn audits(self: Arc<Self>) {
        loop {
            tokio::time::sleep(limits::AUDIT_LOOK).await;
            for site in self.sites().into_values() {
                site.audit_if_due().await;
            }
        }
    }

    /// Writes down now and then which nodes there are.
    async fn notes(self: Arc<Self>) {
        loop {
            tokio::time::sleep(limits::HEARTBEAT_EVERY).await;
            let origin = self.clone();
            let note = move || origin.nodes.note(&origin.config.data, &Disk::real(), Instant::now());
            if let Ok(Err(error)) = tokio::task::spawn_blocking(note).await {
                tracing::warn!(cause = %error, "which nodes there are cannot be written down");
            }
        }
    }

    /// Answers one request of a node or an operator.
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        api::answer(self, request).await
    }

    /// Those who wait for news are told that there is none, so that their connections can end.
    pub fn end_waits(&self) {
        self.stopping.send_replace(true);
    }

    /// Stops all apps; called by [`Origin::serve`] at its end.
    pub async fn stop(&self) {
        self.end_waits();
        let stops: Vec<_> =
            self.sites().into_values().map(|site| tokio::spawn(async move { site.stop().await })).collect();
        for stop in stops {
            let _ = stop.await;
        }
    }

    pub fn key(&self) -> PublicKey {
        self.common.key.public()
    }

    /// What an operator shows first to be let in.
    pub fn token(&self) -> &str {
        self.tokens.first()
    }

    /// The newest releases of each app, as they change.
    pub fn outs(&self) -> watch::Receiver<Outs> {
        self.common.outs.subscribe()
    }

    /// The answer to whoever asked with this nonce.
    pub(crate) fn sign_heads(&self, nonce: Nonce, newest: &Newest) -> SignedHeads {
        SignedHeads::sign(nonce, newest, &self.common.key)
    }

    pub async fn status(&self) -> OriginStatus {
        let mut apps = BTreeMap::new();
        for (name, site) in self.sites() {
            apps.insert(name, site.status().await);
        }
        OriginStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            key: self.key().to_string(),
            apps,
            spans: self.tracer().counts(),
            refused_calls: self.tokens.refused(),
        }
    }

    /// The nodes, by what they told last.
    pub(crate) fn fleet(&self) -> Fleet {
        let head = |site: &Site| {
            let head = site.newest()?;
            Some(Head { release: head.release, since_ms: head.created_at_ms, candidate: site.candidate_since() })
        };
        let heads = self.sites().into_iter().filter_map(|(name, site)| Some((name, head(&site)?))).collect();
        self.nodes.view(&heads, Instant::now())
    }

    /// What operators did, new to old.
    pub(crate) async fn newest_actions(&self, limit: usize) -> Result<Vec<Action>, ApiError> {
        let log = self.actions.clone();
        let fault = |error: &dyn std::fmt::Display| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
        let newest = tokio::task::spawn_blocking(move || log.newest(limit)).await.map_err(|error| fault(&error))?;
        newest.map_err(|error| fault(&error))
    }

    /// Takes an app's archive. An app that is new here and comes to nothing is forgotten.
    pub async fn push(&self, app: &str, packed: Vec<u8>) -> Result<Pushed, NotTaken> {
        self.push_and(app, packed, None, How::default()).await
    }

    /// The same, with the voucher for its code, which fits it.
    pub(crate) async fn push_and(
        &self,
        app: &str,
        packed: Vec<u8>,
        voucher: Option<AppVoucher>,
        how: How,
    ) -> Result<Pushed, NotTaken> {
        let site = self.site_or_new(app)?;
        if let Some(voucher) = voucher {
            site.vouchers()
                .keep(&Digest::of(&packed), &voucher)
                .map_err(|error| OriginError::Io { path: self.config.data.join(APPS).join(app), error })?;
        }
        match site.push_archive(packed, how).await {
            Ok(pushed) => Ok(pushed),
            Err(error) => {
                self.forget_if_empty(site);
                Err(error.into())
            }
        }
    }

    /// Takes rows from an SQL file into an app's store; `file` is what messages call it.
    pub async fn seed(&self, app: &str, file: &str, sql: &str) -> Result<Pushed, NotTaken> {
        let site = self.site(app).ok_or(PushError::NoApp)?;
        Ok(site.seed(file, sql).await?)
    }

    /// Makes a release of everything that has been written to an app's store by now.
    pub async fn publish(&self, app: &str) -> Result<Pushed, NotTaken> {
        let site = self.site(app).ok_or(PushError::NoApp)?;
        Ok(site.publish().await?)
    }

    /// Whether somebody is known by this token.
    pub fn admits(&self, shown: &str) -> bool {
        self.tokens.holder(Some(shown)).is_ok()
    }

    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// A number no other file that comes in has.
    pub(crate) fn next_incoming(&self) -> u64 {
        self.incoming.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn site(&self, name: &str) -> Option<Arc<Site>> {
        self.sites.read().expect("BUG: nothing panics while holding the sites").get(name).cloned()
    }

    /// The site of an app that may be new here. `name` is an app's name, checked.
    pub(crate) fn site_or_new(&self, name: &str) -> Result<Arc<Site>, OriginError> {
        let mut sites = self.sites.write().expect("BUG: nothing panics while holding the sites");
        if let Some(site) = sites.get(name) {
            return Ok(site.clone());
        }
        if sites.len() >= limits::APPS {
            return Err(OriginError::TooManyApps(sites.len()));
        }
        let settings = self.config.apps.get(name).cloned().unwrap_or_default();
        let folder = self.config.data.join(APPS).join(name);
        let site = Site::open(&folder, name, settings, self.common.clone())
            .map_err(|error| OriginError::Site { app: name.to_owned(), error })?;
        let site = Arc::new(site);
        sites.insert(name.to_owned(), site.clone());
        Ok(site)
    }

    /// Forgets an app whose first push came to nothing, unless another push is on its way there.
    pub(crate) fn forget_if_empty(&self, site: Arc<Site>) {
        let mut sites = self.sites.write().expect("BUG: nothing panics while holding the sites");
        // One count is the directory's, one ours.
        if Arc::strong_count(&site) == 2 && site.remove_if_empty() {
            sites.remove(site.name());
        }
    }

    pub(crate) fn sites(&self) -> BTreeMap<String, Arc<Site>> {
        self.sites.read().expect("BUG: nothing panics while holding the sites").clone()
    }
}

/// Two processes on one folder would write over each other's releases.
fn lock(data: &Path) -> Result<File, OriginError> {
    let path = data.join("lock");
    let file = File::create(&path).map_err(|error| OriginError::Io { path: path.clone(), error })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OriginError::InUse { path: data.to_owned() }),
        Err(std::fs::TryLockError::Error(error)) => Err(OriginError::Io { path, error }),
    }
}

fn names_in(apps: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(apps)? {
        let entry = entry?;
        match entry.file_name().into_string() {
            Ok(name) if app::is_name(&name) && entry.path().is_dir() => names.push(name),
            _ => tracing::warn!(path = %entry.path().display(), "not an app's folder; left alone"),
        }
    }
    names.sort();
    Ok(names)
}
