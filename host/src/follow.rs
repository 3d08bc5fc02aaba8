//! A node following its origin: hear of heads, pull, and serve what was pulled.
//!
//! What the origin says only wakes the node; what is pulled proves itself against keys the node trusts.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Method;
use nearside_protocol::{
    app,
    heads::{HeadsAsked, Newest, Nonce, SignedHeads},
    key::PublicKey,
    limits,
    release::ReleaseId,
    trust::{TrustedKey, Untrusted},
    wire::Heads,
};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::sleep_until,
};

use crate::{
    beside::Lost,
    counts::report,
    heartbeat,
    host::Host,
    origin_client::{ClientError, OriginClient, bytes, whole},
    pages::Kept,
    pull::{PullError, Puller, Verdict, sources::Sources},
    repair,
    replica::{AppReplica, Replica, ReplicaError},
    scrub,
    served::NotServed,
    switch::load,
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
    #[error("what the origin says its newest releases are is not trusted: {0}")]
    UntrustedHeads(Untrusted),
    #[error("the origin's key cannot be read: {0}")]
    Key(nearside_protocol::key::KeyError),
}

/// Serves from disk what can be served; for each app the newest release that is whole. No page is read for that: each is
/// verified when it is first used.
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
        for kept in disk.pages().kept().into_iter().rev() {
            let id = kept.release;
            match serve_kept(host, &disk, kept, &trusted) {
                Ok(()) => {
                    tracing::info!(app = %name, release = %id, "serving from disk");
                    break;
                }
                Err(error) => {
                    note(host, &name, &error);
                    tracing::error!(app = %name, release = %id, cause = %error, "not served; trying the one before")
                }
            }
        }
    }
    Ok(())
}

fn serve_kept(host: &Arc<Host>, disk: &AppReplica, kept: Kept, trusted: &[TrustedKey]) -> Result<(), PullError> {
    let manifest = kept.signed.verify(trusted).map_err(|why| PullError::Untrusted(kept.release, why))?;
    if !manifest.is_for(host.name()) {
        return Err(PullError::OtherNodes { release: kept.release, node: host.name().to_owned() });
    }
    let release = load(host, disk, manifest, kept.table)?;
    Ok(host.switch(release)?)
}

fn note(host: &Host, app: &str, error: &PullError) {
    if let Verdict::Refused(reason) | Verdict::Damaged(reason) = error.verdict() {
        host.refusals.note(Some(app), reason, error.to_string());
    }
}

/// Follows the origin until `shutdown`; repairs and scrubs meanwhile.
pub async fn follow(host: Arc<Host>, replica: Replica, sources: Sources, shutdown: impl Future<Output = ()>) {
    host.follows();
    let origin = sources.origin().clone();
    tokio::select! {
        () = shutdown => {}
        () = pull(host.clone(), replica.clone(), sources.clone()) => {}
        () = tell_behind(&host) => {}
        () = let_go(&host) => {}
        () = report::run(host.clone(), origin.clone()) => {}
        () = heartbeat::run(host.clone(), origin) => {}
        () = repair::run(host.clone(), replica.clone(), sources) => {}
        () = scrub::run(replica) => {}
    }
}

/// Siblings give to whom they know, so that is waited for.
async fn pull(host: Arc<Host>, replica: Replica, sources: Sources) {
    if sources.has_siblings() {
        let _ = tokio::time::timeout(limits::SIBLING_SECRET_WAIT, host.in_fleet.first_word()).await;
    }
    Follower::new(host, replica, sources).run().await;
}

/// What responses say of it is made here, once a second, so that a response pays nothing for it.
async fn tell_behind(host: &Host) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        host.tell_behind();
    }
}

/// What apps hold that nobody asks for is given back.
async fn let_go(host: &Host) {
    loop {
        tokio::time::sleep(limits::SQL_IDLE_EVERY).await;
        for release in host.apps().iter().filter_map(|served| served.current()) {
            release.database.let_go(limits::SQL_IDLE);
        }
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Heard, FollowError>> + Send>>;

/// The origin's word on what is newest, and when it was asked for.
struct Heard {
    newest: Newest,
    /// What this node is to serve, by that.
    wanted: Heads,
    asked_at: Instant,
}

impl Heard {
    fn of(newest: Newest, asked_at: Instant) -> Heard {
        Heard { wanted: newest.wanted(), newest, asked_at }
    }
}

struct Follower {
    host: Arc<Host>,
    replica: Replica,
    sources: Sources,
    /// What the origin said last; it answers as soon as that has changed.
    heard: Heard,
    keys: Arc<[TrustedKey]>,
    pulls: JoinSet<Result<(), PullError>>,
    under_way: HashMap<Id, (String, ReleaseId)>,
    /// What became of the last release of each app that did not come.
    failed: BTreeMap<String, Failed>,
}

struct Failed {
    release: ReleaseId,
    pause: Duration,
    /// Never, for what is refused for good: until there is another release, or other keys.
    again_at: Option<Instant>,
}

impl Follower {
    fn new(host: Arc<Host>, replica: Replica, sources: Sources) -> Follower {
        let heard = Heard::of(Newest { heads: host.heads(), ..Newest::default() }, Instant::now());
        let keys = Arc::new([]);
        let (pulls, under_way, failed) = (JoinSet::new(), HashMap::new(), BTreeMap::new());
        Follower { host, replica, sources, heard, keys, pulls, under_way, failed }
    }

    async fn run(mut self) {
        let mut pause = limits::PULL_RETRY_FIRST;
        let mut answer = self.ask(Duration::ZERO);
        loop {
            self.look_at_keys();
            self.start();
            let due = self.failed.values().filter_map(|failed| failed.again_at).min();
            tokio::select! {
                Some(ended) = self.pulls.join_next_with_id() => self.ended(ended),
                () = at(due) => {}
                heard = &mut answer => {
                    let wait = match heard {
                        Ok(heard) => {
                            pause = limits::PULL_RETRY_FIRST;
                            self.hear(heard)
                        }
                        Err(error) => {
                            if let FollowError::UntrustedHeads(why) = &error {
                                self.host.refusals.note(None, why.name(), error.to_string());
                            }
                            let retry_ms = pause.as_millis() as u64;
                            tracing::warn!(cause = %error, retry_ms, "the origin could not be followed");
                            let wait = pause;
                            pause = (pause * 2).min(limits::PULL_RETRY_MOST);
                            wait
                        }
                    };
                    answer = self.ask(wait);
                }
            }
        }
    }

    /// Asks the origin, after a while, for heads that are others than those it said last.
    fn ask(&self, after: Duration) -> Answer {
        let (origin, trusted) = (self.sources.origin().clone(), self.replica.trusted().clone());
        let (node, have) = (self.host.name().to_owned(), self.heard.newest.clone());
        Box::pin(async move {
            tokio::time::sleep(after).await;
            if trusted.keys()?.is_none() {
                trust_first_key(&origin, &trusted).await?;
            }
            newer_heads(&origin, &trusted, node, have).await
        })
    }

    /// How long to wait before the origin is asked again.
    fn hear(&mut self, heard: Heard) -> Duration {
        let served = self.host.heads();
        for (app, head) in heard.wanted.iter().filter(|(app, head)| self.heard.wanted.get(*app) != Some(head)) {
            if let Some(&newest) = served.get(app).filter(|newest| *newest > head) {
                let older = PullError::Older { offered: *head, newest };
                note(&self.host, app, &older);
                self.host.note_refused(app, NotServed { release: *head, reason: None, why: older.to_string() });
                tracing::error!(%app, release = %head, cause = %older, "the origin says that an old release is the newest");
            }
        }
        let is_news = heard.newest != self.heard.newest;
        let waited = heard.asked_at.elapsed();
        self.heard = heard;
        self.host.heard(&self.heard.wanted, self.heard.asked_at);
        // Whoever answers at once that there is nothing new would be asked all the time.
        if is_news { Duration::ZERO } else { limits::HEADS_EVERY.saturating_sub(waited) }
    }

    /// Other keys may believe what was refused before.
    fn look_at_keys(&mut self) {
        // A file with a fault trusts nobody, as whoever reads it next is told.
        let keys = self.replica.trusted().keys().ok().flatten().unwrap_or_default();
        if keys[..] != self.keys[..] {
            self.keys = keys;
            self.failed.retain(|_, failed| failed.again_at.is_some());
        }
    }

    /// One pull at a time for each app whose head is not served yet. What finds no place waits for the end of another.
    ///
    /// Apps do not wait for one another: code of ten megabytes takes longer to compile than a hundred rows to follow.
    fn start(&mut self) {
        let served = self.host.heads();
        let now = Instant::now();
        for (name, head) in &self.heard.wanted {
            let is_served = served.get(name).is_some_and(|served| served >= head);
            if is_served {
                self.failed.remove(name);
            }
            let is_under_way = self.under_way.values().any(|(app, _)| app == name);
            let must_wait = self
                .failed
                .get(name)
                .is_some_and(|failed| failed.release == *head && failed.again_at.is_none_or(|again_at| again_at > now));
            let full = self.pulls.len() >= limits::PULLS_AT_ONCE;
            if is_served || is_under_way || must_wait || full || !app::is_name(name) {
                continue;
            }
            if let Some(failed) = self.failed.get_mut(name) {
                // Under way again: not due any more.
                failed.again_at = None;
            }
            let puller = Puller {
                host: self.host.clone(),
                replica: self.replica.clone(),
                sources: self.sources.clone(),
                trusted: self.keys.clone(),
            };
            let (app, head) = (name.clone(), *head);
            let pull = self.pulls.spawn(async move { puller.pull(&app, head).await });
            self.under_way.insert(pull.id(), (name.clone(), head));
        }
    }

    fn ended(&mut self, ended: Result<(Id, Result<(), PullError>), JoinError>) {
        let (id, result) = ended.unwrap_or_else(|lost| (lost.id(), Err(Lost.into())));
        let Some((app, release)) = self.under_way.remove(&id) else { return };
        let Err(error) = result else {
            self.failed.remove(&app);
            // What was heard while it was pulled vouches for it.
            self.host.heard(&self.heard.wanted, self.heard.asked_at);
            return;
        };
        note(&self.host, &app, &error);
        let reason = match error.verdict() {
            Verdict::Refused(reason) => Some(reason),
            Verdict::Passing | Verdict::Damaged(_) => None,
        };
        self.host.note_refused(&app, NotServed { release, reason, why: format!("release {release}: {error}") });
        let before = self.failed.get(&app).filter(|failed| failed.release == release);
        let pause = before.map_or(limits::PULL_RETRY_FIRST, |failed| (failed.pause * 2).min(limits::PULL_RETRY_MOST));
        let wait = match error.verdict() {
            Verdict::Passing => Some(pause),
            Verdict::Damaged(_) => Some(limits::PULL_RETRY_DAMAGED),
            Verdict::Refused(_) => None,
        };
        let again = wait.map_or("when there is another, or other keys".to_owned(), |wait| format!("{wait:?}"));
        tracing::error!(%app, %release, cause = %error, again, "the release is not served");
        let again_at = wait.map(|wait| Instant::now() + wait);
        self.failed.insert(app, Failed { release, pause, again_at });
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// A node that was given no key trusts the first one it is shown, and from then on no other.
async fn trust_first_key(origin: &OriginClient, trusted: &Trusted) -> Result<(), FollowError> {
    let text = origin.get("/v1/key", 1_024).await?;
    let key: PublicKey = String::from_utf8_lossy(&text).parse().map_err(FollowError::Key)?;
    tracing::info!(key = %key.id(), "trusting the origin's key from now on");
    Ok(trusted.add(&TrustedKey::with_both(key))?)
}

/// Waits until the origin's heads are others than these, or until it says that they still are these.
async fn newer_heads(
    origin: &OriginClient,
    trusted: &Trusted,
    node: String,
    have: Newest,
) -> Result<Heard, FollowError> {
    let mut chance = [0; 16];
    getrandom::fill(&mut chance).expect("BUG: an operating system without randomness cannot serve");
    let nonce = Nonce::from_bytes(chance);
    let Newest { heads: have, candidates } = have;
    let body = serde_json::to_vec(&HeadsAsked { nonce, have, node: Some(node), candidates })
        .expect("BUG: heads are plain data");
    let request = origin
        .request(Method::POST, "/v1/heads")
        .body(bytes(body))
        .map_err(|error| ClientError::Malformed(error.to_string()))?;
    let asked_at = Instant::now();
    let response = origin.send(request, limits::LONG_POLL + limits::LONG_POLL_GRACE).await?;
    let bytes = whole(response, limits::HEADS_BYTES).await?;
    let signed: SignedHeads =
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Malformed(error.to_string()))?;
    // As they are now, not as they were when this was asked: a key that was removed meanwhile counts no more.
    let keys = trusted.keys()?.unwrap_or_default();
    let Newest { heads, candidates } = signed.verify(&keys, nonce).map_err(FollowError::UntrustedHeads)?;
    let bounded = |heads: Heads| heads.into_iter().take(limits::APPS).collect();
    Ok(Heard::of(Newest { heads: bounded(heads), candidates: bounded(candidates) }, asked_at))
}
