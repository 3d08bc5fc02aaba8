//! Pulling a release: its manifest, what it is made of, by the cheapest way; nothing of it is kept before all of it has
//! proved itself.
//!
//! | module | what it holds |
//! |---|---|
//! | [`path`] | which objects, by bytes |
//! | [`sources`] | who is asked for them |
//! | [`download`] | one object, across broken connections |
//! | [`apply`] | its pages, into a draft |
//! | `passed_on` | a delta as it came, for siblings |
//! | [`progress`] | how far it has come |

pub mod apply;
pub mod download;
mod passed_on;
pub mod path;
pub mod progress;
pub mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use http::HeaderMap;
use nearside_protocol::{
    digest::Digest,
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    trace_context::TraceContext,
    trust::{TrustedKey, Untrusted},
    wire::RELEASE_TRACE_HEADER,
};
use tokio::sync::mpsc;

use self::{
    apply::{ApplyError, apply},
    download::{Download, DownloadError},
    passed_on::PassedOn,
    path::{Offer, Path, cheapest},
    progress::Progress,
    sources::{Asks, Kind, Source, Sources},
};
use crate::{
    beside::{Lost, beside},
    host::{Host, NotSwitched},
    origin_client::{ClientError, whole},
    pages::{Draft, PagesError, Table},
    replica::{AppReplica, Replica, ReplicaError},
    spans::{Kind as SpanKind, context_in, within},
    switch::{SwitchError, Took, switch},
};

const OVERSIZED: &str = "oversized";

#[derive(Debug, thiserror::Error)]
pub enum PullError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error("release {0} is not trusted: {1}")]
    Untrusted(ReleaseId, Untrusted),
    #[error("the manifest offered as {asked} is of {got}")]
    OtherRelease { asked: String, got: String },
    #[error("release {offered} is older than {newest}, which this node has: a node never goes back")]
    Older { offered: ReleaseId, newest: ReleaseId },
    #[error("its database is {offered}, and this node's is {here}: another origin's data")]
    OtherDatabase { offered: String, here: String },
    #[error("release {release} is being tried out at other nodes: `{node}` is not one of them")]
    OtherNodes { release: ReleaseId, node: String },
    #[error("release {0} is over this node's limits: {1}")]
    TooLarge(ReleaseId, String),
    #[error("{what} from {source_name}: {why}")]
    Damaged { what: String, source_name: String, reason: &'static str, why: String },
    #[error("{what} from {source_name}: {why}")]
    NotGot { what: String, source_name: String, why: DownloadError },
    #[error("nobody has {0}")]
    Nowhere(String),
    #[error("there is no way from what this node has to release {0}: no delta, and no base")]
    NoWay(ReleaseId),
    #[error(transparent)]
    Switch(#[from] SwitchError),
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// What becomes of a release that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is wrong with it: it is tried again soon.
    Passing,
    /// What came is not what was signed: refused, and tried again after a while.
    Damaged(&'static str),
    /// It is refused for good, by this name.
    Refused(&'static str),
}

impl PullError {
    pub fn verdict(&self) -> Verdict {
        match self {
            PullError::Untrusted(_, why) => Verdict::Refused(why.name()),
            PullError::OtherRelease { .. } => Verdict::Refused("other_release"),
            PullError::Older { .. } => Verdict::Refused("older_release"),
            PullError::OtherDatabase { .. } => Verdict::Refused("other_database"),
            PullError::OtherNodes { .. } => Verdict::Refused("other_nodes"),
            PullError::TooLarge(..) => Verdict::Refused("too_large"),
            PullError::Damaged { reason, .. } => Verdict::Damaged(reason),
            PullError::NoWay(_) => Verdict::Damaged("no_way"),
            PullError::Replica(ReplicaError::Damaged(_)) => Verdict::Damaged("wrong_hash"),
            PullError::Switch(error) => error.reason().map_or(Verdict::Passing, Verdict::Refused),
            PullError::Client(_)
            | PullError::Replica(_)
            | PullError::Pages(_)
            | PullError::NotGot { .. }
            | PullError::Nowhere(_)
            | PullError::Lost(_) => Verdict::Passing,
        }
    }
}

impl From<NotSwitched> for PullError {
    fn from(error: NotSwitched) -> PullError {
        match error {
            NotSwitched::NotNewer { offered, current } => PullError::Older { offered, newest: current },
            NotSwitched::OtherDatabase { offered, current } => PullError::OtherDatabase { offered, here: current },
        }
    }
}

/// What one pull needs; it goes on whatever else is heard meanwhile.
pub struct Puller {
    pub host: Arc<Host>,
    pub replica: Replica,
    pub sources: Sources,
    /// As they were when the pull began.
    pub trusted: Arc<[TrustedKey]>,
}

impl Puller {
    /// Makes a release the one that is served here.
    pub async fn pull(&self, app: &str, head: ReleaseId) -> Result<(), PullError> {
        let started = std::time::Instant::now();
        let (progress, _under_way) = self.host.pulls.begin(app, head);
        let (signed, manifest, context) = self.manifest(app, head).await?;
        let mut span = self.host.tracer().continued(context).map(|traced| {
            let span = traced.span(SpanKind::Consumer, format!("pull {head}")).since(started);
            span.with("nearside.app", app.to_owned()).with("nearside.release", head.to_string())
        });
        let traced = within(&span);
        let (replica, name) = (self.replica.clone(), app.to_owned());
        let disk = beside(move || replica.app(&name)).await??;
        // Before anything large is pulled, and anything written.
        self.admits(&disk, &manifest)?;
        self.pull_archive(&disk, &manifest).await?;
        self.pull_secrets(&disk, &manifest).await?;

        let _writing = disk.writing().await;
        let filled = self.fill(&disk, &manifest, &progress).await;
        let (host, store) = (self.host.clone(), disk.clone());
        let (changed, took) = beside(move || -> Result<(u32, Took), PullError> {
            let draft = match filled {
                Ok(draft) => draft,
                Err(error) => {
                    // What was written of it goes to whoever writes next.
                    store.pages().tidy();
                    return Err(error);
                }
            };
            let changed = draft.changed();
            let took = switch(&host, &store, manifest, signed, draft, traced.as_ref())?;
            Ok((changed, took))
        })
        .await??;
        let (bytes, took_ms) = (progress.status().bytes, started.elapsed().as_millis() as u64);
        if let Some(span) = &mut span {
            span.set("nearside.bytes", bytes);
            span.set("nearside.pages", changed);
        }
        let (switch_us, record_us) = (took.served.as_micros() as u64, took.recorded.as_micros() as u64);
        tracing::info!(app, release = %head, bytes, pages = changed, took_ms, switch_us, record_us, "switched");
        Ok(())
    }

    /// A manifest that is trusted, and is of what was asked for; and the trace that whoever gave it says it belongs to.
    async fn manifest(
        &self,
        app: &str,
        release: ReleaseId,
    ) -> Result<(SignedManifest, Manifest, Option<TraceContext>), PullError> {
        let path = format!("/v1/apps/{app}/releases/{release}");
        let (headers, bytes) = self.answer(&path, limits::MANIFEST_BYTES, self.sources.origin_first()).await?;
        let context = context_in(&headers, RELEASE_TRACE_HEADER);
        let signed: SignedManifest = serde_json::from_slice(&bytes)
            .map_err(|error| PullError::Untrusted(release, Untrusted::Malformed(error.to_string())))?;
        let manifest = signed.verify(&self.trusted).map_err(|why| PullError::Untrusted(release, why))?;
        if manifest.release != release || manifest.app != app {
            let got = format!("{} {}", manifest.app, manifest.release);
            return Err(PullError::OtherRelease { asked: format!("{app} {release}"), got });
        }
        Ok((signed, manifest, context))
    }

    /// What a node never does: try out what others are to, go back, or go over to another database. What it has recorded counts,
    /// served or not.
    fn admits(&self, disk: &AppReplica, manifest: &Manifest) -> Result<(), PullError> {
        if !manifest.is_for(self.host.name()) {
            return Err(PullError::OtherNodes { release: manifest.release, node: self.host.name().to_owned() });
        }
        if manifest.database_bytes() > limits::DATABASE_BYTES {
            let why = format!("{} bytes of database; at most {}", manifest.database_bytes(), limits::DATABASE_BYTES);
            return Err(PullError::TooLarge(manifest.release, why));
        }
        if let Some(newest) = disk.pages().newest() {
            // The same one again is for a release that is recorded and cannot be served: its archive was damaged, say.
            let same = manifest.release == newest.release && manifest.root == newest.table.root();
            if manifest.release <= newest.release && !same {
                return Err(PullError::Older { offered: manifest.release, newest: newest.release });
            }
            let recorded: Option<Manifest> = serde_json::from_str(&newest.signed.manifest).ok();
            if let Some(recorded) = recorded.filter(|recorded| recorded.database != manifest.database) {
                let (offered, here) = (manifest.database.to_string(), recorded.database.to_string());
                return Err(PullError::OtherDatabase { offered, here });
            }
        }
        Ok(self.host.accepts(manifest)?)
    }

    async fn pull_archive(&self, disk: &AppReplica, manifest: &Manifest) -> Result<(), PullError> {
        let (there, digest) = (disk.clone(), manifest.app_digest);
        // Code that is served was read whole when it was loaded: most releases change rows only.
        let current = self.host.by_name(&manifest.app).and_then(|served| served.current());
        let is_loaded = current.is_some_and(|current| current.code.digest == digest);
        let is_there = move || if is_loaded { there.has_archive(&digest) } else { there.archive(&digest).is_ok() };
        if beside(is_there).await? {
            return Ok(());
        }
        let path = format!("/v1/apps/{}/archives/{digest}", manifest.app);
        let most_bytes =
            usize::try_from(manifest.app_archive_bytes).unwrap_or(usize::MAX).min(limits::APP_ARCHIVE_BYTES);
        let bytes = self.small(&path, most_bytes, self.sources.origin_first()).await?;
        let there = disk.clone();
        Ok(beside(move || there.put_archive(&digest, &bytes)).await??)
    }

    /// Secrets are the origin's to give, and nobody else's.
    async fn pull_secrets(&self, disk: &AppReplica, manifest: &Manifest) -> Result<(), PullError> {
        let Some(digest) = &manifest.secrets else { return Ok(()) };
        if disk.secrets(manifest).is_ok() {
            return Ok(());
        }
        let path = format!("/v1/apps/{}/secrets/{digest}", manifest.app);
        let bytes = self.sources.origin().get(&path, limits::SECRETS_BYTES).await?;
        Ok(disk.put_secrets(digest, &bytes)?)
    }

    /// Something that fits into memory, from the first who has it.
    async fn small<'a>(
        &'a self,
        path: &str,
        most_bytes: usize,
        sources: impl Iterator<Item = &'a Source>,
    ) -> Result<Bytes, PullError> {
        self.answer(path, most_bytes, sources).await.map(|(_, bytes)| bytes)
    }

    /// The same, with what its headers say.
    async fn answer<'a>(
        &'a self,
        path: &str,
        most_bytes: usize,
        sources: impl Iterator<Item = &'a Source>,
    ) -> Result<(HeaderMap, Bytes), PullError> {
        let mut first_fault = None;
        for source in sources.filter(|source| !source.is_resting()) {
            let answer = match source.open(path, Asks::AtOnce).await {
                Ok(response) => {
                    let headers = response.headers().clone();
                    whole(response, most_bytes).await.map(|bytes| (headers, bytes))
                }
                Err(error) => Err(error),
            };
            match answer {
                Ok((headers, bytes)) => {
                    self.host.pulls.came(bytes.len());
                    return Ok((headers, bytes));
                }
                Err(error) => {
                    first_fault.get_or_insert(error);
                }
            }
        }
        Err(first_fault.map_or_else(|| PullError::Nowhere(path.to_owned()), PullError::Client))
    }

    /// A draft with exactly the manifest's pages.
    async fn fill(&self, disk: &AppReplica, manifest: &Manifest, progress: &Progress) -> Result<Draft, PullError> {
        let kept = disk.pages().kept();
        let tables: BTreeMap<Digest, Arc<Table>> =
            kept.iter().map(|kept| (kept.table.root(), kept.table.clone())).collect();
        let roots: BTreeSet<Digest> = tables.keys().copied().collect();
        let way = Way { puller: self, disk, manifest, tables: &tables, progress };

        if roots.is_empty()
            && let Some(draft) = way.copied_from_sibling().await
        {
            return Ok(draft);
        }
        let mut offers = offers_of(manifest);
        let direct = cheapest(&manifest.root, &roots, &offers);
        let has_delta = offers.iter().any(|offer| offer.from.is_some_and(|from| roots.contains(&from)));
        if let Some(path) = direct.as_ref().filter(|path| path.from.is_some() || has_delta) {
            return way.or_by_base(way.go(path).await, path).await;
        }
        if let Some(newest) = kept.last() {
            // Nobody said what it would cost, but there is a most that it is worth.
            let bytes = direct.as_ref().map_or(object_bytes_most(manifest.page_count), |path| path.bytes);
            let page_count = page_count(manifest.page_count)?;
            let from = Some(newest.table.root());
            let asked = Path { from, steps: vec![Offer { from, to: manifest.root, page_count, bytes }], bytes };
            match way.go(&asked).await {
                // Nobody makes it, or it is not worth it.
                Err(
                    PullError::Nowhere(_) | PullError::NotGot { .. } | PullError::Damaged { reason: OVERSIZED, .. },
                ) => {}
                done => return way.or_by_base(done, &asked).await,
            }
        }
        if direct.is_none() || !roots.is_empty() {
            let newest = kept.last().map(|kept| kept.release);
            self.look_back(manifest, newest, &roots, &mut offers).await?;
        }
        let path = cheapest(&manifest.root, &roots, &offers).ok_or(PullError::NoWay(manifest.release))?;
        way.or_by_base(way.go(&path).await, &path).await
    }

    /// Adds what the manifests before this one offer, back to what is kept, or to the base.
    async fn look_back(
        &self,
        head: &Manifest,
        newest_kept: Option<ReleaseId>,
        kept: &BTreeSet<Digest>,
        offers: &mut Vec<Offer>,
    ) -> Result<(), PullError> {
        let base_release = head.base.as_ref().map(|base| base.release);
        let floor = newest_kept.into_iter().chain(base_release).min();
        // The release each known root is of, new to old.
        let mut ahead: BTreeMap<ReleaseId, Digest> = from_releases(head);
        let mut seen: BTreeSet<ReleaseId> = [head.release].into();
        for _ in 0..limits::MANIFESTS_BACK {
            let Some((release, root)) = ahead.pop_last() else { break };
            let is_start = kept.contains(&root) || floor.is_some_and(|floor| release < floor);
            if is_start || !seen.insert(release) {
                continue;
            }
            let (_, manifest, _) = match self.manifest(&head.app, release).await {
                Ok(found) => found,
                // Nobody answers now, so nobody knows that there is no way.
                Err(error @ PullError::Client(ClientError::Unreachable { .. })) => return Err(error),
                // What a manifest further back does not say is not there to be used.
                Err(_) => continue,
            };
            if manifest.root != root || manifest.database != head.database {
                continue;
            }
            offers.extend(offers_of(&manifest));
            ahead.extend(from_releases(&manifest));
            let worth = cheapest(&head.root, &BTreeSet::new(), offers).map(|path| path.bytes);
            let found = cheapest(&head.root, kept, offers);
            if found.is_some_and(|path| path.from.is_some() && worth.is_none_or(|worth| path.bytes <= worth)) {
                break;
            }
        }
        Ok(())
    }
}

/// The releases a manifest leads back to, with the roots they should have.
fn from_releases(manifest: &Manifest) -> BTreeMap<ReleaseId, Digest> {
    let earlier = manifest.deltas.iter().filter(|delta| delta.from_release < manifest.release);
    let mut from: BTreeMap<ReleaseId, Digest> = earlier.map(|delta| (delta.from_release, delta.from)).collect();
    // A release that changed no page offers no delta from the one before, which has the same pages.
    if let Some(parent) = manifest.parent.filter(|parent| *parent < manifest.release) {
        from.entry(parent).or_insert(manifest.root);
    }
    from
}

/// What a manifest offers.
fn offers_of(manifest: &Manifest) -> Vec<Offer> {
    let Ok(pages) = page_count(manifest.page_count) else { return Vec::new() };
    let deltas = manifest.deltas.iter().map(|delta| Offer {
        from: Some(delta.from),
        to: manifest.root,
        page_count: pages,
        bytes: delta.bytes.min(object_bytes_most(manifest.page_count)),
    });
    let base = manifest.base.as_ref().and_then(|base| {
        let bytes = base.bytes.min(object_bytes_most(base.page_count));
        Some(Offer { from: None, to: base.root, page_count: page_count(base.page_count).ok()?, bytes })
    });
    deltas.chain(base).collect()
}

fn page_count(pages: u64) -> Result<u32, PullError> {
    let too_large = |_| PullError::Pages(PagesError::NoPage { number: u32::MAX, pages: u32::MAX });
    if pages > limits::DATABASE_BYTES / limits::PAGE_BYTES as u64 {
        return Err(PullError::Pages(PagesError::NoPage { number: u32::MAX, pages: u32::MAX }));
    }
    u32::try_from(pages).map_err(too_large)
}

/// The largest object that a snapshot of so many pages can need: each page as it is, in a record of its own.
fn object_bytes_most(pages: u64) -> u64 {
    pages.saturating_mul(limits::PAGE_BYTES as u64 + 64).saturating_add(256)
}

/// Going one way, object by object.
struct Way<'a> {
    puller: &'a Puller,
    disk: &'a AppReplica,
    manifest: &'a Manifest,
    tables: &'a BTreeMap<Digest, Arc<Table>>,
    progress: &'a Progress,
}

impl Way<'_> {
    /// A delta that is not what it should be, or not there, is no reason to stay behind, where a whole copy is offered, too.
    /// Nor is a page here that is damaged.
    async fn or_by_base(&self, gone: Result<Draft, PullError>, path: &Path) -> Result<Draft, PullError> {
        let is_bad = |error: &PullError| {
            matches!(
                error,
                PullError::Pages(PagesError::Damaged { .. }) | PullError::Damaged { .. } | PullError::Nowhere(_)
            )
        };
        let error = match gone {
            Err(error) if path.from.is_some() && is_bad(&error) => error,
            other => return other,
        };
        let Some(base) = cheapest(&self.manifest.root, &BTreeSet::new(), &offers_of(self.manifest)) else {
            return Err(error);
        };
        self.refused(&error);
        tracing::warn!(app = self.manifest.app, release = %self.manifest.release, cause = %error, "pulling a whole copy instead");
        self.go(&base).await
    }

    async fn go(&self, path: &Path) -> Result<Draft, PullError> {
        let mut distrusted: BTreeSet<String> = BTreeSet::new();
        'again: loop {
            self.progress.expect(path.bytes);
            let table = path.from.and_then(|root| self.tables.get(&root));
            let mut draft = self.disk.pages().draft(table);
            for step in &path.steps {
                match self.step(draft, step, &distrusted).await {
                    Ok(next) => draft = next,
                    Err((Some(sibling), error)) => {
                        // The draft has a part of what it sent: from the beginning, without it.
                        if let Verdict::Damaged(_) = error.verdict() {
                            self.refused(&error);
                        }
                        tracing::warn!(app = self.manifest.app, cause = %error, "going on without this sibling");
                        distrusted.insert(sibling);
                        continue 'again;
                    }
                    Err((None, error)) => return Err(error),
                }
            }
            return Ok(draft);
        }
    }

    /// The very release as a whole copy, where a sibling has it: what the origin offers leads over older ones, of which siblings
    /// have nothing any more.
    async fn copied_from_sibling(&self) -> Option<Draft> {
        let page_count = page_count(self.manifest.page_count).ok()?;
        let bytes = object_bytes_most(self.manifest.page_count);
        let copy = Offer { from: None, to: self.manifest.root, page_count, bytes };
        let path = object_path(&self.manifest.app, &copy);
        let siblings = self.puller.sources.near_first().filter(|source| source.kind() == Kind::Sibling);
        for source in siblings.filter(|source| !source.is_resting()) {
            let Ok(download) = Download::open(source, &path, bytes, Asks::AtOnce, || ()).await else { continue };
            self.progress.expect(bytes);
            match self.take(self.disk.pages().draft(None), &copy, download, source, &path).await {
                Ok(draft) => return Some(draft),
                Err(error) => {
                    if let Verdict::Damaged(_) = error.verdict() {
                        self.refused(&error);
                    }
                    tracing::warn!(app = self.manifest.app, cause = %error, "going on without this sibling");
                }
            }
        }
        None
    }

    fn refused(&self, error: &PullError) {
        if let Verdict::Damaged(reason) | Verdict::Refused(reason) = error.verdict() {
            self.puller.host.refusals.note(Some(&self.manifest.app), reason, error.to_string());
        }
    }

    /// Applies one object. An error names the sibling that is to blame, if one is.
    async fn step(
        &self,
        draft: Draft,
        object: &Offer,
        distrusted: &BTreeSet<String>,
    ) -> Result<Draft, (Option<String>, PullError)> {
        let path = object_path(&self.manifest.app, object);
        let mut fault = None;
        let sources = &self.puller.sources;
        let turns = match object.from {
            Some(_) => sources.for_delta(&path, object.bytes),
            None => sources.near_first().map(|source| (source, Asks::AtOnce)).collect(),
        };
        let may_ask = |source: &Source| !source.is_resting() && !distrusted.contains(&source.to_string());
        for (source, asks) in turns.into_iter().filter(|(source, _)| may_ask(source)) {
            let comes_nearer = || self.progress.comes_nearer();
            let opened = Download::open(source, &path, most_bytes(source, object), asks, comes_nearer);
            let download = match opened.await {
                Ok(download) => download,
                // Nothing was taken from it yet, so the next one may be asked.
                Err(DownloadError::Missing) => continue,
                Err(why) => {
                    fault = Some(not_got(&path, source, why));
                    continue;
                }
            };
            let blame = || (source.kind() == Kind::Sibling).then(|| source.to_string());
            return self.take(draft, object, download, source, &path).await.map_err(|error| (blame(), error));
        }
        Err((None, fault.unwrap_or(PullError::Nowhere(path))))
    }

    async fn take(
        &self,
        draft: Draft,
        object: &Offer,
        download: Download<'_>,
        source: &Source,
        path: &str,
    ) -> Result<Draft, PullError> {
        let (pieces, taken) = mpsc::channel(limits::PULL_PIECES);
        let wanted = *object;
        let applied = beside(move || apply(draft, &wanted, taken));
        let passed_on = PassedOn::of(object, &self.puller.sources);
        let downloaded = download
            .run(&pieces, |piece| {
                self.progress.came(piece.len());
                self.puller.host.pulls.came(piece.len());
                passed_on.note(piece);
            })
            .await;
        drop(pieces);
        let applied = applied.await?;
        match (downloaded, applied) {
            (Ok(_), Ok(draft)) => {
                passed_on.keep(&self.puller.host.deltas);
                Ok(draft)
            }
            // Whoever takes the pieces knows best why they are no good.
            (Ok(_) | Err(DownloadError::NotTaken), Err(error)) => Err(not_applied(path, source, error)),
            (Err(why), _) => Err(not_got(path, source, why)),
        }
    }
}

fn not_got(path: &str, source: &Source, why: DownloadError) -> PullError {
    let (what, source_name) = (path.to_owned(), source.to_string());
    match why {
        DownloadError::TooLong { .. } => {
            PullError::Damaged { what, source_name, reason: OVERSIZED, why: why.to_string() }
        }
        why => PullError::NotGot { what, source_name, why },
    }
}

fn not_applied(path: &str, source: &Source, error: ApplyError) -> PullError {
    let reason = match error {
        ApplyError::WrongRoot { .. } => "wrong_hash",
        ApplyError::Broken(_) | ApplyError::NoSuchPage(_) => "broken_object",
        ApplyError::Pages(error) => return PullError::Pages(error),
    };
    PullError::Damaged { what: path.to_owned(), source_name: source.to_string(), reason, why: error.to_string() }
}

fn object_path(app: &str, object: &Offer) -> String {
    match &object.from {
        Some(from) => format!("/v1/apps/{app}/deltas/{from}.{}", object.to),
        None => format!("/v1/apps/{app}/bases/{}", object.to),
    }
}

/// A sibling makes its objects itself: its whole copies are not compressed, and another version may have packed a delta.
fn most_bytes(source: &Source, object: &Offer) -> u64 {
    match (source.kind(), object.from) {
        (Kind::Origin, _) => object.bytes,
        (Kind::Sibling, Some(_)) => object
            .bytes
            .saturating_add(object.bytes / limits::SIBLING_SLACK_PART)
            .saturating_add(limits::SIBLING_SLACK_BYTES),
        (Kind::Sibling, None) => object_bytes_most(object.page_count.into()),
    }
}
