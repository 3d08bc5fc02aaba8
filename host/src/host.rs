//! `Host`: everything a node's requests share.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::HeaderValue;
use nearside_protocol::{
    heartbeat, limits,
    release::{Manifest, ReleaseId},
    status::{CertificateEnds, NodeApp, NodeStatus, OriginLink, QueueStatus, Scrub},
    wire::Heads,
};
use tokio::{
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};

use crate::{
    ahead::Ahead,
    blobs::{Blobs, BlobsError},
    cache::Cache,
    carry::{Carried, afterwards, carry},
    certificates::Certificates,
    client_certificate::ClientCertificate,
    clients::Clients,
    counters::Counters,
    counts::versions::Versions,
    deltas::Deltas,
    engine::Engine,
    forms::FormMaker,
    hand_over::HandOver,
    in_fleet::InFleet,
    lag::Lag,
    leaving::Leaving,
    outbox::Outbox,
    own_cpu::own_cpu,
    past::Past,
    priority,
    pull::progress::Pulls,
    queue::{Load, Place, Queue},
    refusals::Refusals,
    release::Release,
    running_keys::RunningKeys,
    served::{NotServed, Served},
    spans::{self, Tracer},
    upstream::Upstream,
};

pub struct Host {
    name: String,
    started: Instant,
    engine: Engine,
    pub cache: Arc<Cache>,
    pub forms: FormMaker,
    /// Guests run here, apart from the sockets, so that a heavy page does not hold up a hit.
    renders: Option<Runtime>,
    cores: usize,
    /// Who may render now.
    pub queue: Arc<Queue>,
    /// How long what comes to its sockets waits.
    pub(crate) lag: Arc<Lag>,
    pub clients: Clients,
    idle_places: Arc<Semaphore>,
    stream_places: Arc<Semaphore>,
    body_places: Arc<Semaphore>,
    upstream: Arc<dyn Upstream>,
    /// What visitors sent, where this host has a disk for it.
    blobs: OnceLock<Arc<Blobs>>,
    /// Writes taken while the origin was away, where this host has a disk for them.
    outbox: OnceLock<Arc<Outbox>>,
    pub running_keys: RunningKeys,
    directory: ArcSwap<Directory>,
    pub counters: Counters,
    /// What the requests of each app, and its queries, come to.
    pub counts: Versions,
    /// What became of entries at switches.
    carried: Carried,
    pub refusals: Refusals,
    pub pulls: Pulls,
    /// For siblings.
    pub(crate) deltas: Arc<Deltas>,
    /// Whether this node has an origin to be behind of.
    follows: AtomicBool,
    pub in_fleet: InFleet,
    /// Where renders go to siblings, and come from them.
    hand_over: OnceLock<HandOver>,
    pub leaving: Leaving,
    /// What it shows visitors, where it speaks TLS.
    certificates: OnceLock<Arc<Certificates>>,
    origin_certificate: OnceLock<Arc<ClientCertificate>>,
    /// Where some requests are traced.
    tracer: OnceLock<Tracer>,
}

/// Who is served here, by host name and by app name.
#[derive(Default, Clone)]
struct Directory {
    by_host: HashMap<String, Arc<Served>>,
    by_name: BTreeMap<String, Arc<Served>>,
}

#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("the threads that render do not start: {0}")]
    Threads(std::io::Error),
}

/// Why a release does not become the current one.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum NotSwitched {
    #[error("release {offered} is not above {current}, which is served")]
    NotNewer { offered: ReleaseId, current: ReleaseId },
    #[error("its database is {offered}, and this app's is {current}")]
    OtherDatabase { offered: String, current: String },
}

impl Host {
    pub fn new(
        name: &str,
        engine: Engine,
        cache_mib: u64,
        upstream: Arc<dyn Upstream>,
    ) -> Result<Arc<Host>, HostError> {
        Host::under(Load::default(), name, engine, cache_mib, upstream)
    }

    /// One that is to take so much.
    pub fn under(
        load: Load,
        name: &str,
        engine: Engine,
        cache_mib: u64,
        upstream: Arc<dyn Upstream>,
    ) -> Result<Arc<Host>, HostError> {
        let cores = load.cores;
        let renders = tokio::runtime::Builder::new_multi_thread()
            .thread_name("nearside-render")
            // A query cannot yield, so a few more threads than cores keep slow ones from holding up all others.
            .worker_threads(cores + 2)
            .on_thread_start(priority::renders)
            .enable_time()
            .enable_io()
            .build()
            .map_err(HostError::Threads)?;
        Ok(Arc::new(Host {
            name: name.to_owned(),
            started: Instant::now(),
            engine,
            cache: Arc::new(Cache::new(cache_mib)),
            forms: FormMaker::default(),
            renders: Some(renders),
            cores,
            queue: Queue::new(&load),
            lag: Arc::default(),
            clients: Clients::new(load.renders_per_client_s),
            stream_places: Arc::new(Semaphore::new(limits::STREAMS_AT_ONCE)),
            idle_places: Arc::new(Semaphore::new(limits::REUSED_IDLE_AT_ONCE)),
            body_places: Arc::new(Semaphore::new(limits::REQUEST_BODIES_AT_ONCE)),
            upstream,
            blobs: OnceLock::new(),
            outbox: OnceLock::new(),
            running_keys: RunningKeys::default(),
            directory: ArcSwap::default(),
            counters: Counters::default(),
            counts: Versions::default(),
            carried: Carried::default(),
            refusals: Refusals::default(),
            pulls: Pulls::default(),
            deltas: Arc::default(),
            follows: AtomicBool::new(false),
            in_fleet: InFleet::default(),
            hand_over: OnceLock::new(),
            leaving: Leaving::default(),
            certificates: OnceLock::new(),
            origin_certificate: OnceLock::new(),
            tracer: OnceLock::new(),
        }))
    }

    /// Tells when these end.
    pub fn with_certificates(self: Arc<Host>, certificates: Arc<Certificates>) -> Arc<Host> {
        let _ = self.certificates.set(certificates);
        self
    }

    /// Traces what this decides for. Called once, before anything is served.
    pub fn with_tracer(self: Arc<Host>, tracer: Tracer) -> Arc<Host> {
        let _ = self.tracer.set(tracer);
        self
    }

    pub fn tracer(&self) -> &Tracer {
        self.tracer.get().unwrap_or(&spans::OFF)
    }

    /// Hands renders over to siblings, and is handed some. Called once, before anything is served.
    pub fn with_hand_over(self: Arc<Host>, hand_over: HandOver) -> Arc<Host> {
        let _ = self.hand_over.set(hand_over);
        self
    }

    pub fn hand_over(&self) -> Option<&HandOver> {
        self.hand_over.get()
    }

    /// Tells when this one, which the origin is shown, ends.
    pub fn with_origin_certificate(self: Arc<Host>, certificate: Arc<ClientCertificate>) -> Arc<Host> {
        let _ = self.origin_certificate.set(certificate);
        self
    }

    fn certificates_end(&self) -> Vec<CertificateEnds> {
        let shown = self.certificates().map(|certificates| certificates.expire()).unwrap_or_default();
        shown.into_iter().chain(self.origin_certificate.get().map(|certificate| certificate.ends())).collect()
    }

    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.certificates.get()
    }

    /// Serves blobs, and keeps those asked for in this folder. Called once, before anything is served. Blocks.
    pub fn with_blobs(self: Arc<Host>, folder: &Path) -> Result<Arc<Host>, BlobsError> {
        let _ = self.blobs.set(Blobs::open(folder, limits::BLOB_CACHE_BYTES)?);
        Ok(self)
    }

    /// Takes deferrable writes while the origin is away. Called once, before anything is served.
    pub fn with_outbox(self: Arc<Host>, outbox: Arc<Outbox>) -> Arc<Host> {
        let _ = self.outbox.set(outbox);
        self
    }

    pub fn outbox(&self) -> Option<&Arc<Outbox>> {
        self.outbox.get()
    }

    pub fn blobs(&self) -> Option<&Arc<Blobs>> {
        self.blobs.get()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn upstream(&self) -> Arc<dyn Upstream> {
        self.upstream.clone()
    }

    /// Runs a task among the renders.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.renders.as_ref().expect("BUG: only drop takes the runtime").spawn(task)
    }

    /// A place for what no visitor waits for; none while they need them.
    pub fn spare_place(&self) -> Option<Arc<Place>> {
        self.queue.spare()
    }

    pub(crate) fn carried(&self) -> &Carried {
        &self.carried
    }

    pub(crate) fn cores(&self) -> usize {
        self.cores
    }

    /// A place among the streams at once, if there is one.
    pub fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        self.stream_places.clone().try_acquire_owned().ok()
    }

    /// A place among the instances that wait for another request, if there is one.
    pub(crate) fn idle_place(&self) -> Option<OwnedSemaphorePermit> {
        self.idle_places.clone().try_acquire_owned().ok()
    }

    /// Room for bodies of requests, if there is any: so many places.
    pub fn body_places(&self, count: u32) -> Option<OwnedSemaphorePermit> {
        self.body_places.clone().try_acquire_many_owned(count).ok()
    }

    pub fn by_host(&self, host: &str) -> Option<Arc<Served>> {
        self.directory.load().by_host.get(host).cloned()
    }

    /// What `look` finds in the release served at a host name. It is to be quick: what it sees is held without being counted.
    pub(crate) fn at<T>(&self, name: &str, look: impl FnOnce(&Served, &Release) -> Option<T>) -> Option<T> {
        let directory = self.directory.load();
        let served = directory.by_host.get(name)?;
        let current = served.current.load();
        look(served, current.as_deref()?)
    }

    pub fn by_name(&self, app: &str) -> Option<Arc<Served>> {
        self.directory.load().by_name.get(app).cloned()
    }

    /// Every app that is served, by name.
    pub fn apps(&self) -> Vec<Arc<Served>> {
        self.directory.load().by_name.values().cloned().collect()
    }

    /// Whether a release of this manifest may follow the one that is served.
    pub fn accepts(&self, offered: &Manifest) -> Result<(), NotSwitched> {
        let Some(current) = self.by_name(&offered.app).and_then(|served| served.current()) else { return Ok(()) };
        let has = &current.manifest;
        if offered.database != has.database {
            let (offered, current) = (offered.database.to_string(), has.database.to_string());
            return Err(NotSwitched::OtherDatabase { offered, current });
        }
        if offered.release <= has.release {
            return Err(NotSwitched::NotNewer { offered: offered.release, current: has.release });
        }
        Ok(())
    }

    /// Makes `release` the one that new requests get. Requests under way finish on theirs. Blocks for a moment: what is asked
    /// for most is made right for it before that.
    pub fn switch(self: &Arc<Host>, mut release: Release) -> Result<(), NotSwitched> {
        let name = release.code.app.name.clone();
        let served = self.by_name(&name).unwrap_or_else(|| Served::new(&name));
        let _switching = served.switching.lock().expect("BUG: nothing panics while switching");
        self.accepts(&release.manifest)?;
        release.counts = self.counts.of(&release);
        let mut left = Vec::new();
        let release = match served.current() {
            None => Arc::new(Release { generation: 1, ..release }),
            Some(before) => {
                release.generation = before.generation + 1;
                release.past = Past::after(&before, &release);
                release.ahead = Ahead::open();
                let release = Arc::new(release);
                let carried;
                (carried, left) = carry(self, &served, &release);
                self.carried.add(&carried);
                release
            }
        };
        let id = release.manifest.release;
        let hosts = release.code.app.hosts.clone();
        served.current.store(Some(release.clone()));
        if let Some(blobs) = self.blobs() {
            blobs.a_release_came();
        }
        release.ahead.close(&self.cache, release.generation);
        served.verified().switched(id);
        self.list(&served, &hosts);
        *served.not_served() = None;
        served.switched.send_replace(Some(id));
        self.in_fleet.has_news();
        if !left.is_empty() {
            self.spawn(afterwards(self.clone(), served.clone(), release, left));
        }
        Ok(())
    }

    /// Serves the same release from another copy of its pages: one of them was damaged, and is whole there.
    pub fn reopen(&self, release: Release) {
        let Some(served) = self.by_name(&release.manifest.app) else { return };
        let is_served = served.current().is_some_and(|current| current.manifest == release.manifest);
        if is_served {
            served.current.store(Some(Arc::new(release)));
        }
    }

    /// The origin says which releases are the newest, as the answer to a question sent at `asked_at`.
    pub fn heard(&self, heads: &Heads, asked_at: Instant) {
        let directory = self.directory.load();
        for (name, served) in &directory.by_name {
            let current = served.current().map(|release| release.manifest.release);
            if let Some(named) = heads.get(name) {
                served.verified().heard(*named, current, asked_at);
            }
        }
    }

    /// From now on the node says by how much it may be behind its origin.
    pub fn follows(&self) {
        self.follows.store(true, Ordering::Relaxed);
    }

    /// By how much the releases served may be behind the newest ones; nothing for a node without an origin.
    pub fn behind(&self) -> BTreeMap<String, Duration> {
        if !self.follows.load(Ordering::Relaxed) {
            return BTreeMap::new();
        }
        let directory = self.directory.load();
        directory.by_name.iter().filter_map(|(name, served)| Some((name.clone(), served.behind_at_most()?))).collect()
    }

    /// Makes the header of each app's responses anew.
    pub fn tell_behind(&self) {
        let directory = self.directory.load();
        for served in directory.by_name.values() {
            let behind = served.behind_at_most().filter(|behind| *behind >= limits::BEHIND_SHOWN);
            let header = behind.map(|behind| Arc::new(HeaderValue::from(behind.as_secs() + 1)));
            if header.is_some() || served.behind_header.load().is_some() {
                served.behind_header.store(header);
            }
        }
    }

    /// Remembers, for `status`, why a newer release is not served.
    pub fn note_refused(&self, app: &str, not_served: NotServed) {
        if let Some(served) = self.by_name(app) {
            *served.not_served() = Some(not_served);
        }
    }

    fn list(&self, served: &Arc<Served>, hosts: &[String]) {
        self.directory.rcu(|directory| {
            let mut directory = Directory::clone(directory);
            directory.by_name.insert(served.name.clone(), served.clone());
            directory.by_host.retain(|_, other| other.name != served.name);
            for host in hosts {
                if let Some(other) = directory.by_host.get(host) {
                    tracing::warn!(%host, keeps = %other.name, refused = %served.name, "two apps want one host name");
                } else {
                    directory.by_host.insert(host.clone(), served.clone());
                }
            }
            directory
        });
    }

    /// The releases served, by app.
    pub fn heads(&self) -> Heads {
        let release = |served: &Arc<Served>| served.current().map(|release| release.manifest.release);
        let directory = self.directory.load();
        directory.by_name.iter().filter_map(|(name, served)| Some((name.clone(), release(served)?))).collect()
    }

    pub fn is_ready(&self) -> bool {
        self.directory.load().by_name.values().any(|served| served.current().is_some())
    }

    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// How busy this node is at this moment.
    pub fn load(&self) -> heartbeat::Load {
        heartbeat::Load { cpu_ms: own_cpu().unwrap_or_default().as_millis() as u64, ..self.renders_load() }
    }

    /// The same without what the system would have to be asked for.
    pub(crate) fn renders_load(&self) -> heartbeat::Load {
        let QueueStatus { cores_most, running, waiting, .. } = self.queue.status();
        heartbeat::Load {
            renders_running: running,
            renders_waiting: waiting.values().sum(),
            render_places: cores_most,
            queue_delay_us: None,
            is_hot: self.queue.is_hot(),
            cores: self.cores as u64,
            cpu_ms: 0,
        }
    }

    pub fn status(&self, origin: Option<OriginLink>) -> NodeStatus {
        let directory = self.directory.load();
        let behind = self.behind();
        let caches = self.cache.apps();
        let app = |served: &Arc<Served>| {
            let release = served.current()?;
            let manifest = &release.manifest;
            Some(NodeApp {
                release: manifest.release,
                app_digest: manifest.app_digest,
                applied_commit: manifest.applied_commit,
                created_at_ms: manifest.created_at_ms,
                page_count: manifest.page_count,
                hosts: release.code.app.hosts.clone(),
                refused: served.not_served().as_ref().map(|not_served| not_served.why.clone()),
                behind_at_most_ms: behind.get(&served.name).map(|behind| behind.as_millis() as u64),
                cache: caches.get(&served.name).copied().unwrap_or_default(),
                search_memory_bytes: release.database.search_memory_bytes(),
            })
        };
        NodeStatus {
            node: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs(),
            origin,
            apps: directory.by_name.iter().filter_map(|(name, served)| Some((name.clone(), app(served)?))).collect(),
            requests: self.counters.all(),
            connections_refused: self.counters.unseated(),
            cache_bytes: self.cache.bytes(),
            cache_entries: self.cache.count(),
            forms: self.forms.counts(),
            carried: self.carried.counts().map(|(name, count)| (name.to_owned(), count)).into(),
            refusals: self.refusals.counts(),
            last_refusal: self.refusals.last(),
            pulls: self.pulls.status(),
            pulled_bytes: self.pulls.bytes(),
            pages_written_bytes: 0,
            scrub: Scrub::default(),
            outbox: self.outbox().map(|outbox| outbox.status()),
            siblings: self.in_fleet.siblings(),
            certificates: self.certificates_end(),
            queue: self.queue.status(),
            shed: self.queue.shed(),
            handed: self.hand_over().map(HandOver::handed).unwrap_or_default(),
            taken: self.hand_over().map(HandOver::taken).unwrap_or_default(),
            spans: self.tracer().counts(),
            refused_calls: BTreeMap::new(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A runtime must not be waited for inside another one.
        if let Some(renders) = self.renders.take() {
            renders.shutdown_background();
        }
    }
}
