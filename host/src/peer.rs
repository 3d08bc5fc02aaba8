//! What a node gives to its siblings, at its admin address: manifests, archives, deltas, whole copies and single pages of
//! the releases it keeps. Whoever takes them proves them, as if they came from a stranger.
//!
//! Whom the origin knows as a node is let in here, and whoever shows this node's own token; nobody else is: what is given is all
//! of an app's data. Secrets are the origin's alone to give.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{
    Either, Full,
    channel::{Channel, Sender},
};
use nearside_protocol::{
    app,
    digest::Digest,
    limits::{self, PAGE_BYTES},
    page_object::{Page, Part, PlainBase, Snapshot, Writer},
    problem::{self, Problem},
    release::ReleaseId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    beside::{Lost, beside},
    conditional::Sends,
    credential::Credential,
    deltas::Deltas,
    host::Host,
    logs::Body,
    pages::{PagesError, Table},
    pull::{
        progress::HowFar,
        sources::{PREFER, preferred_wait},
    },
    replica::{AppReplica, Replica},
    reply::etag_of,
};

const OBJECT: &str = "application/octet-stream";
const JSON: &str = "application/json";
/// Bytes of a whole copy on their way to a connection, in pieces.
const PIECE_BYTES: usize = 256 << 10;
const PIECES: usize = 4;

pub struct Peer {
    replica: Replica,
    own: Credential,
    host: Option<Arc<Host>>,
    deltas: Arc<Deltas>,
    making: Semaphore,
    /// Questions that are held until what is asked for has come.
    held: Semaphore,
    copies: Arc<Semaphore>,
}

#[derive(Debug, thiserror::Error)]
enum PeerError {
    #[error("this node was given no token and has heard no origin, so it knows no siblings: --token-file")]
    NoToken,
    #[error("only siblings are given this, by what the origin tells its nodes")]
    WrongToken,
    #[error("there is no such thing here: {0}")]
    NotHere(String),
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("others are being served already; ask again, or ask the origin")]
    Busy,
    #[error("it cannot be read here: {0}")]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// What a path asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Manifest(ReleaseId),
    Archive(Digest),
    Delta(Digest, Digest),
    Base(Digest),
    Pages(Digest),
}

impl Peer {
    /// For whoever shows this token.
    pub fn new(replica: Replica, token: Option<&str>) -> Peer {
        Peer::of(replica, token.map(Credential::of).unwrap_or_default(), None)
    }

    /// For the nodes that this one's origin knows, and whoever shows its own token.
    pub fn among_siblings(replica: Replica, own: Credential, host: Arc<Host>) -> Peer {
        Peer::of(replica, own, Some(host))
    }

    fn of(replica: Replica, own: Credential, host: Option<Arc<Host>>) -> Peer {
        Peer {
            replica,
            own,
            deltas: host.as_ref().map(|host| host.deltas.clone()).unwrap_or_default(),
            host,
            making: Semaphore::new(limits::PEER_DELTAS_AT_ONCE),
            held: Semaphore::new(limits::PEER_HELD),
            copies: Arc::new(Semaphore::new(limits::PEER_BASES_AT_ONCE)),
        }
    }

    /// Answers a GET below `/v1/`.
    pub async fn answer(&self, uri: &http::Uri, headers: &HeaderMap) -> Response<Body> {
        self.respond(uri, headers).await.unwrap_or_else(|error| refusal(&error))
    }

    async fn respond(&self, uri: &http::Uri, headers: &HeaderMap) -> Result<Response<Body>, PeerError> {
        self.admits(headers)?;
        let not_here = || PeerError::NotHere(uri.path().to_owned());
        let (name, asked) = asked(uri.path()).ok_or_else(not_here)?;
        let disk = self.replica.opened().remove(name).ok_or_else(not_here)?;
        let found = |root: &Digest| disk.pages().find(root).map(|kept| kept.table).ok_or_else(not_here);
        match asked {
            Asked::Manifest(release) => {
                let kept = disk.pages().kept().into_iter().find(|kept| kept.release == release).ok_or_else(not_here)?;
                let text = serde_json::to_vec(&*kept.signed).expect("BUG: a signed manifest is plain data");
                Ok(with_type(Either::Left(Full::new(text.into())), JSON))
            }
            Asked::Archive(digest) => {
                let of = disk.clone();
                let archive = beside(move || of.archive(&digest)).await?.map_err(|_| not_here())?;
                Ok(part_of(archive.into(), &etag_of(&digest), headers))
            }
            Asked::Delta(from, to) => {
                // It is good for longer than what it was made of is kept.
                let object = match self.deltas.get(&(from, to)) {
                    Some(object) => object,
                    None => {
                        if let Some(wait) = headers.get(PREFER).and_then(preferred_wait)
                            && self.let_come(name, &disk, &to, wait.min(limits::SIBLING_HOLD)).await
                        {
                            return Ok(accepted());
                        }
                        self.delta(found(&from)?, found(&to)?).await?.ok_or_else(not_here)?
                    }
                };
                let etag = etag_of(&Digest::of(&object));
                Ok(part_of(object, &etag, headers))
            }
            Asked::Base(root) => self.base(found(&root)?, headers),
            Asked::Pages(root) => {
                let (table, numbers) = (found(&root)?, numbers(uri.query().unwrap_or_default())?);
                let pages = beside(move || read(&table, &numbers)).await??;
                Ok(with_type(Either::Left(Full::new(pages.into())), OBJECT))
            }
        }
    }

    fn admits(&self, headers: &HeaderMap) -> Result<(), PeerError> {
        let keys = self.host.as_ref().map(|host| &host.in_fleet.keys);
        let is_known = keys.is_some_and(|keys| keys.are_shown_by(headers, Instant::now()));
        if is_known || self.own.is_shown_by(headers) {
            return Ok(());
        }
        match self.own.is_some() || keys.is_some_and(|keys| keys.pass().is_some()) {
            true => Err(PeerError::WrongToken),
            false => Err(PeerError::NoToken),
        }
    }

    /// Waits until this release is here, for so long at most. Whether it is not, and on its way.
    async fn let_come(&self, app: &str, disk: &AppReplica, root: &Digest, wait: Duration) -> bool {
        let (Some(host), Ok(_place)) = (&self.host, self.held.try_acquire()) else { return false };
        let (mut changes, before, began) = (host.pulls.changes(), host.pulls.how_far(app), Instant::now());
        while disk.pages().find(root).is_none() {
            let now = host.pulls.how_far(app);
            // It may hear of the release a moment after others did.
            let wait = if now.is_some() { wait } else { limits::SIBLING_HEARS.min(wait) };
            let left = wait.saturating_sub(began.elapsed());
            if !matches!(tokio::time::timeout(left, changes.changed()).await, Ok(Ok(()))) {
                return comes(before, host.pulls.how_far(app));
            }
        }
        false
    }

    /// None where it would be too large to make: that is for the origin.
    async fn delta(&self, from: Arc<Table>, to: Arc<Table>) -> Result<Option<Bytes>, PeerError> {
        let delta = (from.root(), to.root());
        // It may have come meanwhile.
        if let Some(object) = self.deltas.get(&delta) {
            return Ok(Some(object));
        }
        let _place = self.making.acquire().await.map_err(|_| Lost)?;
        // Whoever waited for the place may have waited for this very object.
        if let Some(object) = self.deltas.get(&delta) {
            return Ok(Some(object));
        }
        let Some(object) = beside(move || make(&from, &to)).await?? else { return Ok(None) };
        let object = Bytes::from(object);
        self.deltas.keep(delta, object.clone());
        Ok(Some(object))
    }

    /// A whole copy, page after page as they are: it costs no memory and no time to make, and goes on from any byte.
    fn base(&self, table: Arc<Table>, headers: &HeaderMap) -> Result<Response<Body>, PeerError> {
        let place = self.copies.clone().try_acquire_owned().map_err(|_| PeerError::Busy)?;
        let base = PlainBase::new(snapshot(&table));
        let etag = HeaderValue::from_str(&format!("\"plain-{}\"", table.root().short()))
            .expect("BUG: hexadecimal digits are visible ASCII");
        let length = base.bytes();
        let sends = Sends::decide(&Method::GET, headers, &etag, length);
        let range = sends.bytes(&Method::GET, length);
        let body = match range.is_empty() {
            true => Either::Left(Full::default()),
            false => {
                let (sender, body) = Channel::new(PIECES);
                tokio::spawn(send(table, base, range.clone(), sender, place));
                Either::Right(body)
            }
        };
        Ok(ranged(body, &sends, &etag, length, &range))
    }
}

/// Whether a pull that was so far is coming on. One that stands still is not waited for: its source may be the one that fails.
fn comes(before: Option<HowFar>, now: Option<HowFar>) -> bool {
    match (before, now) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(before), Some(now)) => now.has_all || now.steps != before.steps,
    }
}

fn asked(path: &str) -> Option<(&str, Asked)> {
    let (name, rest) = path.strip_prefix("/v1/apps/")?.split_once('/')?;
    let (kind, id) = rest.split_once('/')?;
    let asked = match kind {
        "releases" => Asked::Manifest(id.parse().ok()?),
        "archives" => Asked::Archive(id.parse().ok()?),
        "bases" => Asked::Base(id.parse().ok()?),
        "pages" => Asked::Pages(id.parse().ok()?),
        "deltas" => {
            let (from, to) = id.split_once('.')?;
            Asked::Delta(from.parse().ok()?, to.parse().ok()?)
        }
        _ => return None,
    };
    app::is_name(name).then_some((name, asked))
}

fn numbers(query: &str) -> Result<Vec<u32>, PeerError> {
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "numbers");
    let numbers: Result<Vec<u32>, _> =
        asked.map(|(_, numbers)| numbers.split(',').map(str::parse).collect()).unwrap_or(Ok(Vec::new()));
    match numbers {
        Ok(numbers) if (1..=limits::REPAIR_PAGES).contains(&numbers.len()) => Ok(numbers),
        _ => Err(PeerError::BadRequest("?numbers= is 1 to 256 page numbers with commas between")),
    }
}

fn read(table: &Table, numbers: &[u32]) -> Result<Vec<u8>, PagesError> {
    let mut bytes = Vec::with_capacity(numbers.len() * PAGE_BYTES);
    let mut page: Page = [0; PAGE_BYTES];
    for number in numbers {
        table.read(*number, &mut page)?;
        bytes.extend_from_slice(&page);
    }
    Ok(bytes)
}

fn make(from: &Table, to: &Table) -> Result<Option<Vec<u8>>, PagesError> {
    let changed = to.changed_since(from);
    if changed.len() > limits::PEER_DELTA_PAGES {
        return Ok(None);
    }
    const IN_MEMORY: &str = "BUG: a buffer in memory takes all that is written";
    let mut writer = Writer::delta(Vec::new(), snapshot(from), snapshot(to)).expect(IN_MEMORY);
    let (mut page, mut old): (Page, Page) = ([0; PAGE_BYTES], [0; PAGE_BYTES]);
    for number in changed {
        to.read(number, &mut page)?;
        let has_old = number < from.pages();
        if has_old {
            from.read(number, &mut old)?;
        }
        writer.add(number, &page, has_old.then_some(&old)).expect(IN_MEMORY);
    }
    Ok(Some(writer.finish().expect(IN_MEMORY).out))
}

fn snapshot(table: &Table) -> Snapshot {
    Snapshot { root: table.root(), pages: table.pages() }
}

/// A body that stops early is shorter than its length says, and so is known to be broken.
async fn send(
    table: Arc<Table>,
    base: PlainBase,
    range: std::ops::Range<u64>,
    mut to: Sender<Bytes, Infallible>,
    _place: OwnedSemaphorePermit,
) {
    let mut parts = base.parts_from(range.start);
    let mut left = range.end - range.start;
    while left > 0 {
        let (source, start) = (table.clone(), range.start);
        let piece = beside(move || {
            let piece = piece(&source, &mut parts, start);
            piece.map(|piece| (piece, parts))
        });
        let Ok(Ok((mut piece, rest))) = piece.await else { return };
        parts = rest;
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        if piece.is_empty() {
            return;
        }
        left -= piece.len() as u64;
        let sent = tokio::time::timeout(limits::STREAM_IDLE, to.send_data(piece.into())).await;
        if !matches!(sent, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next bytes, none of them before `start`.
fn piece(table: &Table, parts: &mut impl Iterator<Item = (u64, Part)>, start: u64) -> Result<Vec<u8>, PagesError> {
    let mut bytes = Vec::with_capacity(PIECE_BYTES + PAGE_BYTES);
    let mut page: Page = [0; PAGE_BYTES];
    while bytes.len() < PIECE_BYTES {
        let Some((at, part)) = parts.next() else { break };
        let whole: &[u8] = match &part {
            Part::Bytes(bytes) => bytes,
            Part::Page(number) => {
                table.read(*number, &mut page)?;
                &page
            }
        };
        let skipped = usize::try_from(start.saturating_sub(at)).unwrap_or(usize::MAX);
        bytes.extend_from_slice(&whole[skipped.min(whole.len())..]);
    }
    Ok(bytes)
}

fn part_of(whole: Bytes, etag: &HeaderValue, headers: &HeaderMap) -> Response<Body> {
    let length = whole.len() as u64;
    let sends = Sends::decide(&Method::GET, headers, etag, length);
    let range = sends.bytes(&Method::GET, length);
    // A range is within the length, which is that of a buffer.
    let part = whole.slice(range.start as usize..range.end as usize);
    ranged(Either::Left(Full::new(part)), &sends, etag, length, &range)
}

fn ranged(body: Body, sends: &Sends, etag: &HeaderValue, length: u64, range: &std::ops::Range<u64>) -> Response<Body> {
    let mut response = with_type(body, OBJECT);
    let text = |text: String| HeaderValue::from_str(&text).expect("BUG: digits are visible ASCII");
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag.clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let status = match sends {
        Sends::Whole => StatusCode::OK,
        Sends::Part(part) => {
            headers.insert(header::CONTENT_RANGE, text(format!("bytes {}-{}/{length}", part.start, part.end - 1)));
            StatusCode::PARTIAL_CONTENT
        }
        Sends::Nothing => StatusCode::NOT_MODIFIED,
        Sends::NoSuchPart => {
            headers.insert(header::CONTENT_RANGE, text(format!("bytes */{length}")));
            StatusCode::RANGE_NOT_SATISFIABLE
        }
    };
    if matches!(sends, Sends::Whole | Sends::Part(_)) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    }
    *response.status_mut() = status;
    response
}

fn refusal(error: &PeerError) -> Response<Body> {
    let status = match error {
        PeerError::NoToken => StatusCode::FORBIDDEN,
        PeerError::WrongToken => StatusCode::UNAUTHORIZED,
        PeerError::NotHere(_) => StatusCode::NOT_FOUND,
        PeerError::BadRequest(_) => StatusCode::BAD_REQUEST,
        PeerError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        PeerError::Pages(_) | PeerError::Lost(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let problem = Problem::new(status.as_u16(), status.canonical_reason().unwrap_or("Error")).detail(error.to_string());
    let mut response = with_type(Either::Left(Full::new(problem.to_json().into())), problem::CONTENT_TYPE);
    *response.status_mut() = status;
    response
}

/// It will be here: RFC 9110, section 15.3.3.
fn accepted() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn with_type(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_origins() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let of = |path: &str| asked(path).map(|(_, asked)| asked);
        assert_eq!(of("/v1/apps/shop/releases/1.2"), Some(Asked::Manifest(ReleaseId { epoch: 1, seq: 2 })));
        assert_eq!(of(&format!("/v1/apps/shop/deltas/{one}.{two}")), Some(Asked::Delta(one, two)));
        assert_eq!(of(&format!("/v1/apps/shop/bases/{one}")), Some(Asked::Base(one)));
        for nonsense in ["/v1/apps/shop/secrets/x", "/v1/apps/../bases/x", "/v1/apps/shop/bases/", "/v1/key", "/"] {
            assert_eq!(of(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_pull_that_stands_still_is_not_waited_for() {
        let far = |steps, has_all| Some(HowFar { steps, has_all });
        assert!(comes(None, far(0, false)) && comes(far(3, false), far(4, false)) && comes(far(3, true), far(3, true)));
        assert!(!comes(None, None) && !comes(far(3, false), None) && !comes(far(3, false), far(3, false)));
    }

    #[test]
    fn page_numbers_are_few_and_numbers() {
        assert_eq!(numbers("numbers=3,17,18").unwrap(), [3, 17, 18]);
        let many = format!("numbers={}", vec!["1"; 257].join(","));
        for nonsense in ["", "numbers=", "numbers=a", "numbers=-1", "numbers=4294967296", &many] {
            assert!(numbers(nonsense).is_err(), "{nonsense}");
        }
    }
}
