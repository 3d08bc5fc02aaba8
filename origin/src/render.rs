//! A page rendered at the origin, from the newest read database: for a visitor whose own write has not reached the node.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};

use http::{HeaderMap, HeaderName, Response, StatusCode, Uri};
use nearside_host::{
    code::Code,
    database::Database,
    engine::Engine,
    freshness,
    host::{Host, HostError},
    origin_client::NoOrigin,
    release::Release,
    spans::Traced,
    target::Target,
    upstream::Visitor,
};
use nearside_protocol::{
    digest::Digest,
    limits,
    release::Manifest,
    wire::{APP_DIGEST_HEADER, VISITOR_ADDRESS_HEADER, VISITOR_PREFIX},
};

use crate::{
    api_error::ApiError,
    body::{self, Body},
    projector::Projected,
    site::{Running, Site},
};

/// What renders pages inside the origin: the very library that nodes are made of, without a cache.
///
/// Its handlers only read: a page that a node would cache has no business writing, so they reach no origin.
pub(crate) fn host(engine: Engine) -> Result<Arc<Host>, HostError> {
    Host::new("origin", engine, 0, Arc::new(NoOrigin))
}

/// The read database as a release of each version that nodes serve, kept while its file and that version stand.
#[derive(Default)]
pub(crate) struct Live(Mutex<Vec<(Projected, Arc<Release>)>>);

/// What is for everyone, and what some try out.
const VERSIONS: usize = 2;

impl Live {
    /// Loads code and opens the file if they are not what was used last. Blocks.
    fn release(&self, engine: &Engine, now: Projected, head: Manifest) -> Result<Arc<Release>, ApiError> {
        let mut kept = self.0.lock().expect("BUG: nothing panics while holding the live release");
        let is_same = |(then, _): &&(Projected, _)| Arc::ptr_eq(&then.version, &now.version) && then.file == now.file;
        if let Some((_, release)) = kept.iter().find(is_same) {
            return Ok(release.clone());
        }
        let fault = |error: &dyn std::fmt::Display| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the read database cannot be served: {error}"))
        };
        let code = Code::load(engine, &now.version.archive, now.version.digest).map_err(|error| fault(&error))?;
        let database = Database::live(&now.file).map_err(|error| fault(&error))?;
        let manifest = Manifest { variables: now.version.variables.clone(), ..head };
        let release = Arc::new(
            Release::assemble(manifest, now.version.secrets(), code, database).map_err(|error| fault(&error))?,
        );
        kept.push((now, release.clone()));
        if kept.len() > VERSIONS {
            kept.remove(0);
        }
        Ok(release)
    }
}

/// The page at `target`, for a visitor who holds the receipt in `headers`.
pub(crate) async fn render(
    site: &Arc<Site>,
    target: &str,
    headers: &HeaderMap,
    traced: Option<Traced>,
) -> Result<Response<Body>, ApiError> {
    let unavailable = |why: &str| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why.to_owned());
    let running = site.running().ok_or_else(|| unavailable("the app is not running: see the origin's status"))?;
    if running.is_held() {
        // What nodes serve is older than the store because somebody wants it so.
        return Err(unavailable("releases are held since a rollback"));
    }
    let head = running.head().ok_or_else(|| unavailable("there is no release yet"))?;
    let now = reached(&running, headers).await?;
    // A visitor of a node that tries something out goes on seeing that.
    let code = headers.get(APP_DIGEST_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let (now, head) = match code.and_then(|code: Digest| site.tried_version(&code)) {
        Some((version, release)) => (Projected { version, ..now }, Manifest { release, ..head }),
        None => (now, head),
    };

    let (of_site, engine) = (site.clone(), site.engine().clone());
    let release = tokio::task::spawn_blocking(move || of_site.live.release(&engine, now, head)).await;
    let release = release.unwrap_or_else(|_| Err(unavailable("the origin is stopping")))?;

    let uri: Uri = target.parse().map_err(|_| ApiError::bad_request(format!("`{target}` is not a path")))?;
    let target = Target::parse(uri.path(), uri.query()).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let visitor = visitor(headers, traced);
    match site.host().render_for(release, target, &visitor).await {
        Ok(response) => Ok(response.map(body::full)),
        Err(refusal) => Err(ApiError::new(refusal.status(), "the page cannot be rendered; the node answers for it")),
    }
}

/// The read database once it holds the receipt's commit.
async fn reached(running: &Running, headers: &HeaderMap) -> Result<Projected, ApiError> {
    let receipt = freshness::receipt_of(headers).ok_or_else(|| {
        ApiError::bad_request("render needs a Nearside-Receipt: without one, the node's own release will do")
    })?;
    if receipt.database != *running.writer.database() || receipt.epoch != running.writer.epoch() {
        return Err(ApiError::new(StatusCode::CONFLICT, "the receipt is of another database or epoch"));
    }
    if receipt.commit > *running.writer.commits().borrow() {
        return Err(ApiError::new(StatusCode::CONFLICT, "the receipt is of a commit that has not been made"));
    }
    let mut projected = running.projected();
    let reached = projected.wait_for(|projected| projected.position.commit >= receipt.commit);
    match tokio::time::timeout(limits::RECEIPT_PROJECTED_WAIT, reached).await {
        Ok(Ok(projected)) => Ok(projected.clone()),
        _ => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the read database has not reached the receipt's commit",
        )),
    }
}

/// The visitor as the node saw them.
fn visitor(headers: &HeaderMap, traced: Option<Traced>) -> Visitor {
    let mut theirs = HeaderMap::new();
    for (name, value) in headers {
        let name = name.as_str().strip_prefix(VISITOR_PREFIX).filter(|_| name != VISITOR_ADDRESS_HEADER);
        if let Some(name) = name.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok()) {
            theirs.append(name, value.clone());
        }
    }
    let client = headers.get(VISITOR_ADDRESS_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    Visitor { headers: theirs, client: client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), traced }
}
