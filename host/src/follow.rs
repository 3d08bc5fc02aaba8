//! A node following its origin: hear of heads, pull, verify, prepare, record, switch.
//!
//! What the origin says only wakes the node; what is pulled proves itself against keys the node trusts.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use http::Method;
use http_body_util::BodyExt;
use nearside_protocol::{
    app,
    heads::{HeadsAsked, Nonce, SignedHeads},
    key::PublicKey,
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    trust::{TrustedKey, Untrusted},
    wire::Heads,
};
use tokio::task::{Id, JoinError, JoinSet};

use crate::{
    archive::{Archive, ArchiveError},
    code::{Code, CodeError},
    database::{Database, DatabaseError},
    host::{Host, NotSwitched},
    origin_client::{ClientError, OriginClient, bytes, whole},
    release::Release,
    replica::{AppReplica, Replica, ReplicaError},
    trusted::{Trusted, TrustedError},
};

#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Trusted(#[from] TrustedError),
    #[error("release {0} is not trusted: {1}")]
    Untrusted(ReleaseId, Untrusted),
    #[error("what the origin says its newest releases are is not trusted: {0}")]
    UntrustedHeads(Untrusted),
    #[error("the manifest offered as {asked} is of {got}")]
    OtherRelease { asked: String, got: String },
    #[error("release {0} is over this node's limits: {1}")]
    TooLarge(ReleaseId, String),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Code(#[from] CodeError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    NotSwitched(#[from] NotSwitched),
    #[error("the origin's key cannot be read: {0}")]
    Key(nearside_protocol::key::KeyError),
    #[error("the task that loads releases was lost")]
    Lost,
}

/// Serves from disk what can be served; for each app the newest release that is whole.
pub fn start_from_disk(host: &Arc<Host>, replica: &Replica) -> Result<(), FollowError> {
    let trusted = replica.trusted().keys()?.unwrap_or_default();
    for name in replica.apps()?.into_iter().filter(|name| app::is_name(name)) {
        let disk = match replica.app(&name) {
            Ok(disk) => disk,
            Err(error) => {
                tracing::error!(app = %name, cause = %error, "not served");
                continue;
            }
        };
        for id in disk.candidates() {
            let loaded = disk
                .verified(id, &trusted)
                .map_err(FollowError::from)
                .and_then(|manifest| load(host, &disk, manifest))
                .and_then(|release| Ok(host.switch(release)?));
            match loaded {
                Ok(()) => {
                    tracing::info!(app = %name, release = %id, "serving from disk");
                    break;
                }
                Err(error) => {
                    tracing::error!(app = %name, release = %id, cause = %error, "not served; trying the one before")
                }
            }
        }
    }
    Ok(())
}

/// Puts a release together from verified parts on disk. Compiles; takes a moment.
fn load(host: &Arc<Host>, disk: &AppReplica, manifest: Manifest) -> Result<Release, FollowError> {
    let current = host.by_name(&manifest.app).and_then(|served| served.current());
    let code = match current {
        Some(current) if current.code.digest == manifest.app_digest => current.code.clone(),
        _ => Code::load(host.engine(), &Archive::unpack(&disk.archive(&manifest.app_digest)?)?, manifest.app_digest)?,
    };
    let database = Database::file(&disk.snapshot_path(&manifest.root))?;
    let secrets = disk.secrets(&manifest)?;
    Ok(Release::assemble(manifest, secrets.as_ref(), code, database)?)
}

/// Follows the origin until `shutdown`.
pub async fn follow(host: Arc<Host>, replica: Replica, origin: Arc<OriginClient>, shutdown: impl Future<Output = ()>) {
    let mut follower = Follower::new(host, replica, origin);
    tokio::pin!(shutdown);
    let mut pause = limits::PULL_RETRY_FIRST;
    loop {
        let round = tokio::select! {
            () = &mut shutdown => return,
            round = follower.round() => round,
        };
        match round {
            Ok(()) => pause = limits::PULL_RETRY_FIRST,
            Err(error) => {
                tracing::warn!(cause = %error, retry_ms = pause.as_millis() as u64, "the origin could not be followed");
                tokio::select! {
                    () = &mut shutdown => return,
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(limits::PULL_RETRY_MOST);
            }
        }
    }
}

struct Follower {
    host: Arc<Host>,
    replica: Replica,
    origin: Arc<OriginClient>,
    /// What the origin said last; it answers as soon as that has changed.
    heads: Heads,
    pulls: JoinSet<Result<(), FollowError>>,
    under_way: HashMap<Id, (String, ReleaseId)>,
}

impl Follower {
    fn new(host: Arc<Host>, replica: Replica, origin: Arc<OriginClient>) -> Follower {
        let heads = host.heads();
        Follower { host, replica, origin, heads, pulls: JoinSet::new(), under_way: HashMap::new() }
    }

    /// Starts what is to be pulled, then waits until the origin has something new or a pull has ended.
    ///
    /// Apps do not wait for one another: code of ten megabytes takes longer to compile than a hundred rows to follow.
    async fn round(&mut self) -> Result<(), FollowError> {
        if self.replica.trusted().keys()?.is_none() {
            self.trust_first_key().await?;
        }
        self.start();
        tokio::select! {
            Some(ended) = self.pulls.join_next_with_id() => self.ended(ended),
            heads = newer_heads(&self.origin, self.replica.trusted(), &self.heads) => {
                self.heads = heads?;
                Ok(())
            }
        }
    }

    /// One pull at a time for each app whose head is not served yet. What finds no place waits for the end of another.
    fn start(&mut self) {
        let served = self.host.heads();
        for (name, head) in &self.heads {
            let is_served = served.get(name).is_some_and(|served| served >= head);
            let is_under_way = self.under_way.values().any(|(app, _)| app == name);
            if is_served || is_under_way || !app::is_name(name) || self.pulls.len() >= limits::PULLS_AT_ONCE {
                continue;
            }
            let puller = Puller { host: self.host.clone(), replica: self.replica.clone(), origin: self.origin.clone() };
            let (app, head) = (name.clone(), *head);
            let pull = self.pulls.spawn(async move { puller.pull(&app, head).await });
            self.under_way.insert(pull.id(), (name.clone(), head));
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), FollowError>), JoinError>) -> Result<(), FollowError> {
        let (id, result) = ended.unwrap_or_else(|lost| (lost.id(), Err(FollowError::Lost)));
        let pulled = self.under_way.remove(&id);
        if let (Err(error), Some((app, head))) = (&result, pulled) {
            self.host.note_refused(&app, format!("release {head}: {error}"));
            tracing::error!(%app, release = %head, cause = %error, "the release is not served");
        }
        result
    }

    /// A node that was given no key trusts the first one it is shown, and from then on no other.
    async fn trust_first_key(&mut self) -> Result<(), FollowError> {
        let text = self.origin.get("/v1/key", 1_024).await?;
        let key: PublicKey = String::from_utf8_lossy(&text).parse().map_err(FollowError::Key)?;
        tracing::info!(key = %key.id(), "trusting the origin's key from now on");
        Ok(self.replica.trusted().add(&TrustedKey::with_both(key))?)
    }
}

/// Waits until the origin's heads are others than these.
async fn newer_heads(origin: &OriginClient, trusted: &Trusted, heads: &Heads) -> Result<Heads, FollowError> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
    let nonce = Nonce::from_bytes(chance);
    let asked = HeadsAsked { nonce, have: heads.clone() };
    let body = serde_json::to_vec(&asked).expect("BUG: heads are plain data");
    let request = origin
        .request(Method::POST, "/v1/heads")
        .body(bytes(body))
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    let response = origin.send(request, limits::LONG_POLL + Duration::from_secs(10)).await?;
    let bytes = whole(response, limits::MANIFEST_BYTES).await?;
    let signed: SignedHeads =
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Malformed(error.to_string()))?;
    // As they are now, not as they were when this was asked: a key that was removed meanwhile counts no more.
    let keys = trusted.keys()?.unwrap_or_default();
    let heads = signed.verify(&keys, nonce).map_err(FollowError::UntrustedHeads)?;
    Ok(heads.into_iter().take(limits::APPS).collect())
}

/// What one pull needs; it goes on whatever else is heard meanwhile.
struct Puller {
    host: Arc<Host>,
    replica: Replica,
    origin: Arc<OriginClient>,
}

impl Puller {
    async fn pull(&self, app: &str, head: ReleaseId) -> Result<(), FollowError> {
        let started = std::time::Instant::now();
        let signed: SignedManifest = self.origin.get_json(&format!("/v1/apps/{app}/releases/{head}")).await?;
        let trusted = self.replica.trusted().keys()?.unwrap_or_default();
        let manifest = signed.verify(&trusted).map_err(|why| FollowError::Untrusted(head, why))?;
        if manifest.release != head || manifest.app != app {
            let got = format!("{} {}", manifest.app, manifest.release);
            return Err(FollowError::OtherRelease { asked: format!("{app} {head}"), got });
        }
        // Before anything is pulled or written: what is refused here is refused at the next start, too.
        self.host.accepts(&manifest)?;
        let disk = self.replica.app(app)?;
        self.pull_archive(&disk, &manifest).await?;
        self.pull_secrets(&disk, &manifest).await?;
        let bytes = self.pull_snapshot(&disk, &manifest).await?;

        let host = self.host.clone();
        let switched = tokio::task::spawn_blocking(move || {
            let release = load(&host, &disk, manifest)?;
            disk.commit(head, &signed)?;
            host.switch(release)?;
            disk.retire(&|path| host.reads_snapshot(path));
            Ok::<_, FollowError>(())
        });
        switched.await.map_err(|_| FollowError::Lost)??;
        let took_ms = started.elapsed().as_millis() as u64;
        tracing::info!(app, release = %head, bytes, took_ms, "switched");
        Ok(())
    }

    async fn pull_archive(&self, disk: &AppReplica, manifest: &Manifest) -> Result<(), FollowError> {
        if disk.archive(&manifest.app_digest).is_ok() {
            return Ok(());
        }
        let path = format!("/v1/apps/{}/archives/{}", manifest.app, manifest.app_digest);
        let bytes = self.origin.get(&path, limits::APP_ARCHIVE_BYTES).await?;
        Ok(disk.put_archive(&manifest.app_digest, &bytes)?)
    }

    async fn pull_secrets(&self, disk: &AppReplica, manifest: &Manifest) -> Result<(), FollowError> {
        let Some(digest) = &manifest.secrets else { return Ok(()) };
        if disk.secrets(manifest).is_ok() {
            return Ok(());
        }
        let path = format!("/v1/apps/{}/secrets/{digest}", manifest.app);
        let bytes = self.origin.get(&path, limits::SECRETS_BYTES).await?;
        Ok(disk.put_secrets(digest, &bytes)?)
    }

    /// Gives the bytes that crossed the wire.
    async fn pull_snapshot(&self, disk: &AppReplica, manifest: &Manifest) -> Result<u64, FollowError> {
        if manifest.database_bytes() > limits::DATABASE_BYTES {
            let why = format!("{} bytes of database; at most {}", manifest.database_bytes(), limits::DATABASE_BYTES);
            return Err(FollowError::TooLarge(manifest.release, why));
        }
        let (there, wanted) = (disk.clone(), manifest.clone());
        let whole = tokio::task::spawn_blocking(move || there.verify_snapshot(&wanted).is_ok());
        if whole.await.map_err(|_| FollowError::Lost)? {
            return Ok(0);
        }
        let path = format!("/v1/apps/{}/snapshots/{}", manifest.app, manifest.root);
        let request = self
            .origin
            .request(Method::GET, &path)
            .body(bytes(""))
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let mut body = self.origin.send(request, limits::OUTBOUND_CONNECT * 2).await?.into_body();
        let mut incoming = disk.incoming(manifest)?;
        let mut received = 0;
        loop {
            let frame = tokio::time::timeout(limits::STREAM_IDLE, body.frame());
            let stalled =
                |why: &str| ClientError::Malformed(format!("the snapshot broke off after {received} bytes: {why}"));
            match frame.await.map_err(|_| stalled("nothing came any more"))? {
                None => break,
                Some(Err(error)) => return Err(stalled(&error.to_string()).into()),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        received += piece.len() as u64;
                        // Hashing and writing keep a core busy for a while: not on the threads that answer hits.
                        incoming = tokio::task::spawn_blocking(move || incoming.write(&piece).map(|()| incoming))
                            .await
                            .map_err(|_| FollowError::Lost)??;
                    }
                }
            }
        }
        tokio::task::spawn_blocking(move || incoming.finish()).await.map_err(|_| FollowError::Lost)??;
        Ok(received)
    }
}
